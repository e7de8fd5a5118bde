//! What nodes look up outside: blocks of the base layer with the inbox they fill, and the validator sets by epoch.
//!
//! Both are fixed for a run. What differs from node to node is only how far its [`View`] of the base layer reaches.
//! Not here: when a view moves on (the scheduler), and forks of the base layer: an origin is final or not yet seen.

use std::rc::Rc;

use protocol::{
    account::{L1Address, LeafKey},
    block::L1Origin,
    inbox::{InboxItem, InboxKind, InboxRequest},
    number::{Epoch, Height, LeafIndex, TokenId},
    params::ITEM_WORDS,
    testing::{amount, l1_owner},
    validator::{Validator, ValidatorKey, ValidatorSet},
    validity::{BaseLayerView, OriginStatus, QueuedItem},
    words::Word,
};

/// Milliseconds from one final block of the base layer to the next.
pub(crate) const BASE_BLOCK_MS: u64 = 150;

/// The inbox, as the base layer has filled it at the end of the run.
pub(crate) struct BaseLayer {
    pub(crate) items: Vec<QueuedItem>,
}

impl BaseLayer {
    /// Items enqueued and due at these blocks, in order: deposits to leaf 3 and words that mean nothing, in turns.
    pub(crate) fn new(times: &[(u64, u64)]) -> Self {
        let items = times.iter().enumerate();
        let items = items.map(|(place, (enqueued_at, due_at))| QueuedItem {
            item: match place % 2 {
                0 => deposit(),
                _ => InboxItem([Word([0xff; 31]); ITEM_WORDS]),
            },
            enqueued_at: *enqueued_at,
            due_at: *due_at,
        });
        Self {
            items: items.collect(),
        }
    }
}

fn deposit() -> InboxItem {
    let request = InboxRequest {
        kind: Some(InboxKind::Deposit),
        from: LeafIndex(0),
        to: LeafIndex(3),
        token: TokenId(0),
        amount: amount(7),
        owner: L1Address([0xd0; 20]),
        l1_owner: l1_owner(3),
        key: LeafKey::NULL,
    };
    request.to_item()
}

/// The only block of the base layer with this number.
pub(crate) fn origin(number: u64) -> L1Origin {
    let mut hash = [0; 32];
    hash[24..].copy_from_slice(&number.to_be_bytes());
    L1Origin { number, hash }
}

/// A node's view of the base layer: every block up to a number is final.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) number: u64,
    pub(crate) layer: Rc<BaseLayer>,
}

impl BaseLayerView for View {
    fn status(&self, named: &L1Origin) -> OriginStatus {
        if named.number > self.number {
            OriginStatus::Unknown
        } else if *named == origin(named.number) {
            OriginStatus::Final
        } else {
            OriginStatus::Conflicting
        }
    }

    fn item(&self, index: u64) -> Option<QueuedItem> {
        let item = self.layer.items.get(usize::try_from(index).ok()?)?;
        (item.enqueued_at <= self.number).then_some(*item)
    }
}

/// Validator sets of epoch 0, 1 and so on; the last one stays.
pub(crate) struct Sets(Vec<ValidatorSet>);

impl Sets {
    /// Sets of these weights by epoch and seat; weight 0 is not in the set.
    pub(crate) fn new(keys: &[ValidatorKey], weights: &[Vec<u64>]) -> Self {
        let set = |weights: &Vec<u64>| {
            let seats = keys.iter().zip(weights).filter(|(_, weight)| **weight > 0);
            let seats = seats.map(|(key, weight)| Validator {
                address: key.address(),
                weight: *weight,
            });
            ValidatorSet::new(seats.collect()).unwrap()
        };
        Self(weights.iter().map(set).collect())
    }

    pub(crate) fn of_epoch(&self, epoch: u64) -> &ValidatorSet {
        let place = usize::try_from(epoch).unwrap();
        &self.0[place.min(self.0.len() - 1)]
    }

    /// The set that decides this height.
    pub(crate) fn at(&self, height: Height) -> &ValidatorSet {
        self.of_epoch(Epoch::of(height).0)
    }

    /// The set whose hash the header of this height holds.
    pub(crate) fn after(&self, height: Height) -> &ValidatorSet {
        self.of_epoch(Epoch::of(height).0 + 1)
    }

    /// Weight of a validator in the first set that it is in.
    pub(crate) fn weight_of(&self, address: &L1Address) -> u128 {
        let mut weights = self.0.iter().map(|set| set.weight_of(address));
        weights.find(|weight| *weight > 0).unwrap_or(0)
    }
}
