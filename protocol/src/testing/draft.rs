//! Operations drafted against a view: valid where the view permits, or with one thing wrong.

use ark_bn254::Fr;
use ark_ff::{Field, UniformRand};
use rand::{Rng, seq::SliceRandom};

use super::{Keyring, l1_owner, random_amount, random_leaf_key};
use crate::{
    account::{L1Address, Leaf, LeafKey},
    block::Entry,
    inbox::{InboxItem, InboxKind, InboxRequest},
    number::{Amount, Height, LeafIndex, Nonce, TokenId, floor_amount, floor_fee},
    params::{BID_FLOOR, EPOCH_HEIGHTS, ITEM_WORDS, LOCK_HEIGHTS_MAX},
    state::{LeafView, Overlay},
    threaded::Threaded,
    transaction::{
        Action, Bid, Domain, OperationKind, SignedTransaction, Submission, Transaction, group_hash,
    },
    transition::{Operation, execute},
    words::{WORD_BYTES, Word},
};

/// A transaction, and the fee leaf selector its block would give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Not yet signed.
    pub transaction: Transaction,
    /// Selector among the block's fee leaves; 0 if the fee is 0.
    pub fee_leaf: u8,
}

/// Drafts operations for one place in a block.
#[derive(Clone, Copy)]
pub struct Drafter<'a, V> {
    /// Leaves as the block has left them so far.
    pub view: &'a V,
    /// Threaded state at that place.
    pub threaded: &'a Threaded,
    /// What signatures are bound to.
    pub domain: &'a Domain,
    /// Keys that can sign.
    pub keyring: &'a Keyring,
}

impl<V: LeafView> Drafter<'_, V> {
    fn random_index(&self, rng: &mut impl Rng) -> LeafIndex {
        let count = u32::try_from(self.threaded.leaf_count).unwrap_or(u32::MAX);
        LeafIndex(rng.gen_range(0..count.max(1)))
    }

    /// A live leaf that fits, found by drawing; `None` if none was drawn.
    pub fn find_leaf(
        &self,
        rng: &mut impl Rng,
        fits: impl Fn(&Leaf) -> bool,
    ) -> Option<(LeafIndex, Leaf)> {
        (0..64).find_map(|_| {
            let index = self.random_index(rng);
            self.view
                .leaf(index)
                .filter(|leaf| fits(leaf))
                .map(|leaf| (index, leaf))
        })
    }

    /// A transaction of this kind, valid if the view holds leaves that permit one. `None` if it does not, or for a
    /// kind that is not a transaction's.
    pub fn transaction(&self, rng: &mut impl Rng, kind: OperationKind) -> Option<Draft> {
        let is_lock = kind == OperationKind::Lock;
        let (from, sender) = self.find_leaf(rng, |leaf| {
            self.keyring.find(&leaf.key).is_some()
                && (is_lock || !leaf.is_locked(self.threaded.height))
        })?;
        let (fee, fee_leaf) = self.fee(rng, &sender);
        let left = sender.balance.checked_sub(fee).unwrap_or(Amount::ZERO);
        let amount = match rng.gen_range(0..8) {
            0 => Amount::ZERO,
            1 => left,
            _ => Amount::new(left.get() >> rng.gen_range(0..100)).unwrap_or(left),
        };
        let float = floor_amount(amount);
        let action = match kind {
            OperationKind::Transfer => Action::Transfer {
                to: match rng.gen_range(0..6) {
                    0 => from,
                    _ => self.find_leaf(rng, |leaf| leaf.token == sender.token)?.0,
                },
                amount: float,
            },
            OperationKind::TransferToNew => Action::TransferToNew {
                key: random_leaf_key(rng, self.keyring),
                l1_owner: l1_owner(rng.gen_range(0..32)),
                amount: float,
            },
            OperationKind::Withdraw => Action::Withdraw { amount },
            OperationKind::ChangeKey => Action::ChangeKey {
                key: match rng.gen_range(0..4) {
                    0 => random_leaf_key(rng, self.keyring),
                    _ => self.keyring.key(rng.r#gen()).public().into(),
                },
            },
            OperationKind::Lock => {
                let from_now = self.threaded.height.0.max(sender.lock_until.0);
                let max = self.threaded.height.0.saturating_add(LOCK_HEIGHTS_MAX);
                let until = match rng.gen_range(0..3) {
                    0 => max,
                    _ => from_now.saturating_add(rng.gen_range(1..4)).min(max),
                };
                Action::Lock {
                    until: Height(until),
                }
            }
            _ => return None,
        };
        let is_locked = sender.is_locked(self.threaded.height);
        Some(Draft {
            transaction: Transaction {
                from,
                nonce: sender.nonce,
                valid_until: Height(
                    self.threaded
                        .height
                        .0
                        .saturating_add(rng.gen_range(0..1_000)),
                ),
                fee: if is_locked { Amount::ZERO } else { fee },
                action,
            },
            fee_leaf: if is_locked { 0 } else { fee_leaf },
        })
    }

    /// A fee the sender can pay into a fee leaf of its token, and that leaf's selector.
    fn fee(&self, rng: &mut impl Rng, sender: &Leaf) -> (Amount, u8) {
        let fitting: Vec<u8> = (0_u8..)
            .zip(self.threaded.fee_leaves.iter())
            .filter(|(_, index)| {
                self.view
                    .leaf(*index)
                    .is_some_and(|leaf| leaf.token == sender.token)
            })
            .map(|(selector, _)| selector)
            .collect();
        let wanted = sender.balance.get() >> rng.gen_range(1..110);
        let fee = floor_fee(Amount::new(wanted).unwrap_or(Amount::ZERO));
        match fitting.choose(rng) {
            Some(selector) if fee != Amount::ZERO && rng.gen_bool(0.8) => (fee, *selector),
            _ => (Amount::ZERO, 0),
        }
    }

    /// Signs with the key of the `from` leaf, or with key 0 if the ring does not hold it.
    #[must_use]
    pub fn sign(&self, transaction: &Transaction) -> SignedTransaction {
        self.sign_message(transaction, &transaction.message(self.domain, false))
    }

    fn sign_message(&self, transaction: &Transaction, message: &Fr) -> SignedTransaction {
        let key = self
            .view
            .leaf(transaction.from)
            .and_then(|leaf| self.keyring.find(&leaf.key))
            .unwrap_or_else(|| self.keyring.key(0));
        SignedTransaction {
            transaction: *transaction,
            key: key.public(),
            signature: key.sign(message),
        }
    }

    /// The slot of a single signed transaction.
    #[must_use]
    pub fn operation(&self, draft: &Draft) -> Operation {
        Operation::Signed {
            transaction: self.sign(&draft.transaction),
            fee_leaf: draft.fee_leaf,
            group: None,
        }
    }

    /// The payload entry of a single signed transaction.
    #[must_use]
    pub fn entry(&self, draft: &Draft) -> Entry {
        Entry::Submission {
            submission: Submission::Single(self.sign(&draft.transaction)),
            fee_leaves: vec![draft.fee_leaf],
        }
    }

    /// Transactions that are valid one after the other from here; fewer than `count` if none more was found.
    pub fn sequence(
        &self,
        rng: &mut impl Rng,
        count: usize,
        kinds: &[OperationKind],
    ) -> Vec<Draft> {
        let mut leaves = Overlay::new(self.view);
        let mut threaded = *self.threaded;
        let mut drafts = Vec::new();
        for _ in 0..count.saturating_mul(8) {
            if drafts.len() == count {
                break;
            }
            let here = Drafter {
                view: &leaves,
                threaded: &threaded,
                domain: self.domain,
                keyring: self.keyring,
            };
            let draft = kinds
                .choose(rng)
                .and_then(|kind| here.transaction(rng, *kind));
            let Some(draft) = draft else { continue };
            let operation = here.operation(&draft);
            let mut after = threaded;
            let Ok(executed) = execute(&leaves, &mut after, self.domain, &operation) else {
                continue;
            };
            threaded = after;
            for access in executed.accesses {
                if let Some(leaf) = access.after {
                    leaves.write(access.index, leaf);
                }
            }
            drafts.push(draft);
        }
        drafts
    }

    /// The entry of an atomic group of these transactions, whatever their number and validity.
    ///
    /// Each member is signed by the key its leaf has before the group.
    #[must_use]
    pub fn group(&self, drafts: &[Draft]) -> Entry {
        let messages: Vec<Fr> = drafts
            .iter()
            .map(|draft| draft.transaction.message(self.domain, true))
            .collect();
        let hash = group_hash(&messages);
        Entry::Submission {
            submission: Submission::Group(
                drafts
                    .iter()
                    .map(|draft| self.sign_message(&draft.transaction, &hash))
                    .collect(),
            ),
            fee_leaves: drafts.iter().map(|draft| draft.fee_leaf).collect(),
        }
    }

    /// The draft with one field changed. Nearly always invalid; the caller asks the rules.
    pub fn broken(&self, rng: &mut impl Rng, draft: &Draft) -> Draft {
        let mut broken = *draft;
        let transaction = &mut broken.transaction;
        match rng.gen_range(0..9) {
            0 => transaction.from = LeafIndex(rng.r#gen()),
            1 => transaction.from = self.random_index(rng),
            2 => transaction.nonce = Nonce(transaction.nonce.0.wrapping_add(rng.gen_range(1..3))),
            3 => transaction.valid_until = Height(self.threaded.height.0.saturating_sub(1)),
            4 => transaction.fee = random_amount(rng),
            5 => broken.fee_leaf = rng.r#gen(),
            6 => {
                if let Action::Transfer { to, .. } = &mut transaction.action {
                    *to = LeafIndex(rng.r#gen());
                }
            }
            7 => {
                if let Action::Lock { until } = &mut transaction.action {
                    *until = Height(rng.r#gen());
                }
            }
            _ => match &mut transaction.action {
                Action::Transfer { amount, .. }
                | Action::TransferToNew { amount, .. }
                | Action::Withdraw { amount } => *amount = random_amount(rng),
                Action::ChangeKey { key } => *key = LeafKey::NULL,
                Action::Lock { until } => *until = Height(0),
            },
        }
        broken
    }

    /// An inbox request of this kind that its rules let through, if the view holds leaves that permit one.
    pub fn request(&self, rng: &mut impl Rng, kind: InboxKind) -> InboxRequest {
        let height = self.threaded.height;
        let drawn = match kind {
            InboxKind::Deposit => self.find_leaf(rng, |_| true),
            _ => self.find_leaf(rng, |leaf| !leaf.is_locked(height)),
        };
        let (from, sender) = drawn.unwrap_or((
            LeafIndex(0),
            Leaf::new(LeafKey::NULL, l1_owner(0), TokenId(0), Amount::ZERO),
        ));
        let recipient = self.find_leaf(rng, |leaf| leaf.token == sender.token);
        let within = sender.balance.get() >> rng.gen_range(0..100);
        let base = InboxRequest {
            kind: Some(kind),
            from,
            to: recipient.map_or(from, |(index, _)| index),
            token: sender.token,
            amount: Amount::new(within).unwrap_or(Amount::ZERO),
            owner: sender.l1_owner,
            l1_owner: l1_owner(rng.gen_range(0..32)),
            key: random_leaf_key(rng, self.keyring),
        };
        if kind != InboxKind::Deposit {
            return base;
        }
        let amount = Amount::new(rng.r#gen::<u128>() >> rng.gen_range(30..128));
        InboxRequest {
            from: LeafIndex(0),
            to: if rng.r#gen() {
                from
            } else {
                LeafIndex(rng.r#gen())
            },
            l1_owner: if rng.r#gen() {
                sender.l1_owner
            } else {
                base.l1_owner
            },
            owner: l1_owner(rng.gen_range(0..32)),
            amount: amount.unwrap_or(Amount::ZERO),
            ..base
        }
    }

    /// The request with one field changed: usually a no-op by one rule of the list.
    pub fn near_request(&self, rng: &mut impl Rng, request: &InboxRequest) -> InboxRequest {
        let mut near = *request;
        match rng.gen_range(0..8) {
            0 => near.from = LeafIndex(rng.r#gen()),
            1 => near.to = LeafIndex(rng.r#gen()),
            2 => near.token = TokenId(near.token.0.wrapping_add(1)),
            3 => near.amount = random_amount(rng),
            4 => near.owner = l1_owner(rng.r#gen()),
            5 => near.l1_owner = L1Address::ZERO,
            6 => near.from = self.random_index(rng),
            _ => near.kind = None,
        }
        near
    }

    /// An item: valid, near-valid, with spare bits set, or five random words.
    pub fn item(&self, rng: &mut impl Rng) -> InboxItem {
        let kind = *InboxKind::ALL.choose(rng).unwrap_or(&InboxKind::Deposit);
        let request = self.request(rng, kind);
        match rng.gen_range(0..6) {
            0 => self.near_request(rng, &request).to_item(),
            1 => random_item(rng),
            2 => {
                let mut item = request.to_item();
                let [head, owner, ..] = &mut item.0;
                for word in [head, owner] {
                    let [first, ..] = &mut word.0;
                    *first = rng.r#gen(); // spare bits: ignored by rule
                }
                item
            }
            _ => request.to_item(),
        }
    }

    /// A bid of `leaf` for `height` over this core hash, signed by the leaf's key (or key 0).
    #[must_use]
    pub fn bid(&self, leaf: LeafIndex, height: Height, value: Amount, core_hash: Fr) -> Bid {
        let key = self
            .view
            .leaf(leaf)
            .and_then(|leaf| self.keyring.find(&leaf.key))
            .unwrap_or_else(|| self.keyring.key(0));
        let mut bid = Bid {
            leaf,
            height,
            value,
            core_hash,
            key: key.public(),
            signature: key.sign(&Fr::ONE),
        };
        bid.signature = key.sign(&bid.message(self.domain));
        bid
    }

    /// A valid bid for the block being drafted (its core hash is still to be set), if there is collateral.
    pub fn payable_bid(&self, rng: &mut impl Rng) -> Option<Bid> {
        let height = self.threaded.height;
        let proposer = self.threaded.fee_leaves.get(0)?;
        let token = self.view.leaf(proposer)?.token;
        let locked = Height(height.0.saturating_add(2 * EPOCH_HEIGHTS));
        let (index, leaf) = self.find_leaf(rng, |leaf| {
            leaf.token == token
                && leaf.is_locked(locked)
                && leaf.balance.get() >= BID_FLOOR
                && self.keyring.find(&leaf.key).is_some()
        })?;
        let value = leaf.balance.get() >> rng.gen_range(1..60);
        Some(self.bid(index, height, Amount::new(value)?, Fr::rand(rng)))
    }

    /// A burn of a bid at most 17 heights old, of any leaf whose key is on the ring.
    pub fn burnable_bid(&self, rng: &mut impl Rng) -> Option<Bid> {
        let (index, leaf) = self.find_leaf(rng, |leaf| self.keyring.find(&leaf.key).is_some())?;
        let height = self.threaded.height.0.saturating_sub(rng.gen_range(0..18));
        let value = Amount::new(leaf.balance.get() >> rng.gen_range(0..60))?;
        Some(self.bid(index, Height(height), value, Fr::rand(rng)))
    }
}

/// Five random words, small type numbers preferred.
pub fn random_item(rng: &mut impl Rng) -> InboxItem {
    let mut item = InboxItem([Word([0; WORD_BYTES]); ITEM_WORDS]);
    for word in &mut item.0 {
        rng.fill(&mut word.0[..]);
    }
    if rng.r#gen() {
        let [head, ..] = &mut item.0;
        if let Some(last) = head.0.last_mut() {
            *last = (*last & 0xf0) | rng.gen_range(1..7); // the lowest four bits are the type
        }
    }
    item
}
