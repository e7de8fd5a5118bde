//! The rules, operation by operation. Every execution goes through [`Stage::run`], which checks what must hold
//! whatever the operation: conservation, nothing applied by halves, and what a leaf may never do.

mod bids;
mod campaign;
mod forced_operations;
mod groups;
mod leaves;
mod refusals;

use std::collections::BTreeMap;

use crate::{
    Fr,
    account::{L1Address, Leaf, LeafKey},
    inbox::{InboxItem, InboxKind, InboxRequest},
    number::{Amount, Height, LeafIndex, Nonce, TokenId, encode_amount},
    params::{BALANCE_LIMIT, NONCE_LAST},
    state::LeafView,
    testing::{Draft, Drafter, Keyring, amount, balances_opened, leaf},
    threaded::{FeeLeaves, Phase, Threaded},
    transaction::{Action, Domain, Transaction},
    words::WordReader,
};

use super::{Executed, Header, InvalidOperation, Operation, execute, open_block};

/// Leaves at any index, so that full trees can be played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Leaves(BTreeMap<LeafIndex, Leaf>);

impl LeafView for Leaves {
    fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.0.get(&index).copied()
    }
}

const COLLECTOR: LeafIndex = LeafIndex(0);
const ALICE: LeafIndex = LeafIndex(1);
const BOB: LeafIndex = LeafIndex(2);
const OTHER_TOKEN: LeafIndex = LeafIndex(3);
const LOCKED: LeafIndex = LeafIndex(4);
const SPENT_NONCES: LeafIndex = LeafIndex(5);
const RICH: LeafIndex = LeafIndex(6);
const KEYLESS: LeafIndex = LeafIndex(7);
const ABSENT: LeafIndex = LeafIndex(99);
const HEIGHT: Height = Height(100);

/// Fee leaf selectors: the collector, a leaf of token 1, no leaf at all, Bob.
const FEE_LEAVES: [LeafIndex; 4] = [COLLECTOR, OTHER_TOKEN, ABSENT, BOB];

#[derive(Clone, Debug)]
struct Stage {
    leaves: Leaves,
    threaded: Threaded,
    domain: Domain,
    keyring: Keyring,
}

impl Stage {
    /// Inside a block at [`HEIGHT`]; leaf n has key n and owner n.
    fn new() -> Self {
        let mut leaves = Leaves::default();
        let balances = [
            1_000,
            1_000_000,
            500,
            1_000_000,
            1 << 60,
            1_000,
            BALANCE_LIMIT - 1,
            1_000,
        ];
        for (place, balance) in balances.into_iter().enumerate() {
            let place = u32::try_from(place).unwrap();
            let token = u32::from(LeafIndex(place) == OTHER_TOKEN);
            leaves
                .0
                .insert(LeafIndex(place), leaf(u64::from(place), token, balance));
        }
        leaves.0.get_mut(&LOCKED).unwrap().lock_until = Height(1_000);
        leaves.0.get_mut(&SPENT_NONCES).unwrap().nonce = Nonce(NONCE_LAST);
        leaves.0.get_mut(&KEYLESS).unwrap().key = LeafKey::NULL;
        let mut threaded = Threaded::batch_start(Fr::from(1_u64), 8, Height(HEIGHT.0 - 1), 7);
        open_block(&mut threaded, &header(false)).unwrap();
        Self {
            leaves,
            threaded,
            domain: Domain(Fr::from(5_u64)),
            keyring: Keyring::new(8),
        }
    }

    fn drafter(&self) -> Drafter<'_, Leaves> {
        Drafter {
            view: &self.leaves,
            threaded: &self.threaded,
            domain: &self.domain,
            keyring: &self.keyring,
        }
    }

    fn leaf(&self, index: LeafIndex) -> Leaf {
        self.leaves.leaf(index).unwrap()
    }

    fn leaf_mut(&mut self, index: LeafIndex) -> &mut Leaf {
        self.leaves.0.get_mut(&index).unwrap()
    }

    fn balance(&self, index: LeafIndex) -> u128 {
        self.leaf(index).balance.get()
    }

    /// The next transaction of `from`.
    fn transaction(&self, from: LeafIndex, fee: u128, action: Action) -> Transaction {
        Transaction {
            from,
            nonce: self.leaves.leaf(from).map_or(Nonce(0), |leaf| leaf.nonce),
            valid_until: HEIGHT,
            fee: amount(fee),
            action,
        }
    }

    fn signed(&self, transaction: Transaction, fee_leaf: u8) -> Operation {
        self.drafter().operation(&Draft {
            transaction,
            fee_leaf,
        })
    }

    /// Signs and runs the next transaction of `from`, fee to leaf selector 0.
    fn act(
        &mut self,
        from: LeafIndex,
        fee: u128,
        action: Action,
    ) -> Result<Executed, InvalidOperation> {
        let operation = self.signed(self.transaction(from, fee, action), 0);
        self.run(&operation)
    }

    fn force(&mut self, request: &InboxRequest) -> Executed {
        self.run(&Operation::Inbox(request.to_item())).unwrap()
    }

    /// Executes, checks everything that always holds, and applies.
    fn run(&mut self, operation: &Operation) -> Result<Executed, InvalidOperation> {
        let before = self.clone();
        let result = execute(&self.leaves, &mut self.threaded, &self.domain, operation);
        match &result {
            Err(_) => assert_eq!(self.threaded, before.threaded, "an error changes nothing"),
            Ok(executed) => {
                for access in executed.accesses {
                    if let Some(leaf) = access.after {
                        self.leaves.0.insert(access.index, leaf);
                    } else {
                        assert_eq!(access.before, None, "leaves are never removed");
                    }
                }
                check_effects(&before, self, operation, executed);
            }
        }
        result
    }
}

/// What holds for every executed operation.
fn check_effects(before: &Stage, after: &Stage, operation: &Operation, executed: &Executed) {
    // accesses tell the truth about the view
    let mut seen = BTreeMap::new();
    for access in executed.accesses {
        let expected = seen
            .get(&access.index)
            .copied()
            .unwrap_or_else(|| before.leaves.leaf(access.index));
        assert_eq!(access.before, expected, "accesses see earlier writes");
        seen.insert(access.index, access.after);
    }
    // conservation, in one token
    let (held_before, held_after) = balances_opened(executed);
    let withdrawn = executed
        .withdrawal
        .map_or(0, |[_, amount]| WordReader::new(&amount).take_u128(120));
    let deposited = deposited(operation);
    assert_eq!(
        held_before + deposited,
        held_after + withdrawn + executed.burned.get(),
        "sum of changes is -burn, +deposit, -withdrawal: {operation:?}"
    );
    let mut moved: Vec<TokenId> = changed(before, after)
        .filter(|(old, new)| old.map(|old| old.balance) != Some(new.balance))
        .map(|(_, new)| new.token)
        .collect();
    moved.dedup();
    assert!(moved.len() <= 1, "an operation moves one token");
    // what a leaf may never do
    for (old, new) in changed(before, after) {
        assert_ne!(new.l1_owner, L1Address::ZERO);
        assert!(new.nonce.0 <= NONCE_LAST);
        let Some(old) = old else {
            assert_eq!((new.nonce, new.lock_until), (Nonce(0), Height(0)));
            continue;
        };
        assert_eq!((old.l1_owner, old.token), (new.l1_owner, new.token));
        assert!(old.nonce <= new.nonce && old.lock_until <= new.lock_until);
        if old.is_locked(before.threaded.height) {
            assert_eq!(old.key, new.key, "a locked key stands");
            let is_bid = matches!(operation, Operation::BidPay(_) | Operation::BidBurn(_));
            assert!(is_bid || old.balance <= new.balance, "only bids debit");
        }
    }
    // new leaves, counters
    let created: Vec<LeafIndex> = after
        .leaves
        .0
        .keys()
        .filter(|index| before.leaves.leaf(**index).is_none())
        .copied()
        .collect();
    let count = before.threaded.leaf_count;
    match created[..] {
        [] => assert_eq!(after.threaded.leaf_count, count),
        [index] => {
            assert_eq!(u64::from(index.0), count, "a new leaf goes to leaf_count");
            assert_eq!(after.threaded.leaf_count, count + 1);
        }
        _ => panic!("an operation creates at most one leaf"),
    }
    let is_inbox = matches!(operation, Operation::Inbox(_));
    let counts = |stage: &Stage| {
        (
            stage.threaded.inbox_count,
            stage.threaded.counts.signed_operations,
        )
    };
    let (inbox, signed) = counts(before);
    assert_eq!(
        counts(after),
        (
            inbox + u64::from(is_inbox),
            signed + u64::from(operation.is_signed())
        )
    );
    let untouched = |threaded: &Threaded| {
        (
            threaded.root,
            threaded.h,
            threaded.height,
            threaded.fee_leaves,
            (
                threaded.counts.ops,
                threaded.counts.withdrawals,
                threaded.counts.inbox,
            ),
        )
    };
    assert_eq!(untouched(&before.threaded), untouched(&after.threaded));
    if is_inbox {
        assert_eq!(before.threaded.phase, after.threaded.phase);
        assert_eq!(executed.burned, Amount::ZERO);
    }
}

fn changed<'a>(
    before: &'a Stage,
    after: &'a Stage,
) -> impl Iterator<Item = (Option<Leaf>, Leaf)> + 'a {
    after
        .leaves
        .0
        .iter()
        .map(|(index, new)| (before.leaves.leaf(*index), *new))
        .filter(|(old, new)| *old != Some(*new))
}

/// Money an operation brings in: the amount of a Deposit, unless its l1_owner is zero (which is a no-op).
fn deposited(operation: &Operation) -> u128 {
    match operation {
        Operation::Inbox(item) => {
            let request = item.request();
            let counts =
                request.kind == Some(InboxKind::Deposit) && request.l1_owner != L1Address::ZERO;
            if counts { request.amount.get() } else { 0 }
        }
        _ => 0,
    }
}

fn header(bid: bool) -> Header {
    Header {
        height_delta: 1,
        fee_leaves: FeeLeaves::new(&FEE_LEAVES),
        bid,
    }
}

fn transfer(to: LeafIndex, value: u128) -> Action {
    Action::Transfer {
        to,
        amount: amount(value),
    }
}

/// `(owner, token, leaf, amount)` of the withdrawal words.
fn withdrawal(executed: &Executed) -> Option<(L1Address, u32, u32, u128)> {
    executed.withdrawal.map(|[first, second]| {
        let (mut first, mut second) = (WordReader::new(&first), WordReader::new(&second));
        let read = (
            first.take_address(),
            first.take_u32(),
            first.take_u32(),
            second.take_u128(120),
        );
        assert!(first.is_empty() && second.is_empty());
        read
    })
}
