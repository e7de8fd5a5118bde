//! Every rule that makes an operation invalid is reached by one case here, and changes nothing.

use super::{
    ABSENT, ALICE, Action, BOB, Fr, HEIGHT, Height, InvalidOperation, LOCKED, LeafIndex, Nonce,
    OTHER_TOKEN, Operation, RICH, SPENT_NONCES, Stage, TokenId, Transaction, amount, header,
    open_block, transfer,
};
use crate::{
    account::{L1Address, LeafKey},
    number::Amount,
    params::LEAF_COUNT_MAX,
    testing::{l1_owner, random_item},
    threaded::{FeeLeaves, Phase, Threaded},
    transition::{Header, Membership},
};

/// Number of the rule; the compiler asks for a new one when a rule is added.
fn rule(error: &InvalidOperation) -> usize {
    match error {
        InvalidOperation::NoBlock => 0,
        InvalidOperation::HeightDelta => 1,
        InvalidOperation::NoFeeLeaves => 2,
        InvalidOperation::InboxOutOfPlace => 3,
        InvalidOperation::BidMissing => 4,
        InvalidOperation::BidOutOfPlace => 5,
        InvalidOperation::SenderMissing { .. } => 6,
        InvalidOperation::KeyMismatch { .. } => 7,
        InvalidOperation::NonceMismatch { .. } => 8,
        InvalidOperation::NonceExhausted => 9,
        InvalidOperation::Expired { .. } => 10,
        InvalidOperation::Locked { .. } => 11,
        InvalidOperation::AmountNotFloat { .. } => 12,
        InvalidOperation::FeeNotFloat { .. } => 13,
        InvalidOperation::InsufficientBalance { .. } => 14,
        InvalidOperation::RecipientMissing { .. } => 15,
        InvalidOperation::RecipientToken { .. } => 16,
        InvalidOperation::FeeLeafSelector { .. } => 17,
        InvalidOperation::FeeLeafMissing { .. } => 18,
        InvalidOperation::FeeLeafToken { .. } => 19,
        InvalidOperation::BalanceOverflow => 20,
        InvalidOperation::TreeFull => 21,
        InvalidOperation::ZeroOwner => 22,
        InvalidOperation::LockNotRaised { .. } => 23,
        InvalidOperation::LockTooFar { .. } => 24,
        InvalidOperation::LockedFee => 25,
        InvalidOperation::GroupOpen => 26,
        InvalidOperation::GroupMismatch => 27,
        InvalidOperation::BidHeight { .. } => 28,
    }
}

const RULES: usize = 29;

struct Case {
    stage: Stage,
    operation: Operation,
    expected: InvalidOperation,
}

/// A transaction of `from` with fee leaf selector, on a fresh stage.
fn signed(
    from: LeafIndex,
    (fee, selector): (u128, u8),
    action: Action,
    expected: InvalidOperation,
) -> Case {
    altered(from, (fee, selector), action, |_| {}, expected)
}

fn altered(
    from: LeafIndex,
    (fee, selector): (u128, u8),
    action: Action,
    alter: impl Fn(&mut Transaction),
    expected: InvalidOperation,
) -> Case {
    let stage = Stage::new();
    let mut transaction = stage.transaction(from, fee, action);
    alter(&mut transaction);
    let operation = stage.signed(transaction, selector);
    Case {
        stage,
        operation,
        expected,
    }
}

/// A plain valid transfer on an altered stage.
fn staged(alter: impl Fn(&mut Stage), expected: InvalidOperation) -> Case {
    let mut stage = Stage::new();
    let operation = stage.signed(stage.transaction(ALICE, 0, transfer(BOB, 1)), 0);
    alter(&mut stage);
    Case {
        stage,
        operation,
        expected,
    }
}

fn new_leaf(owner: L1Address) -> Action {
    Action::TransferToNew {
        key: LeafKey::NULL,
        l1_owner: owner,
        amount: amount(1),
    }
}

fn lock(until: u64) -> Action {
    Action::Lock {
        until: Height(until),
    }
}

fn cases_of_transactions() -> Vec<Case> {
    use InvalidOperation as Rule;
    let (alice_to_bob, max) = (transfer(BOB, 1), HEIGHT.0 + crate::params::LOCK_HEIGHTS_MAX);
    let not_float = amount((1 << 30) + 1);
    vec![
        signed(
            ABSENT,
            (0, 0),
            alice_to_bob,
            Rule::SenderMissing { index: ABSENT },
        ),
        altered(
            ALICE,
            (0, 0),
            alice_to_bob,
            |transaction| transaction.nonce = Nonce(1),
            Rule::NonceMismatch {
                expected: Nonce(0),
                actual: Nonce(1),
            },
        ),
        signed(SPENT_NONCES, (0, 0), alice_to_bob, Rule::NonceExhausted),
        altered(
            ALICE,
            (0, 0),
            alice_to_bob,
            |transaction| transaction.valid_until = Height(3),
            Rule::Expired {
                valid_until: Height(3),
                height: HEIGHT,
            },
        ),
        signed(
            LOCKED,
            (0, 0),
            alice_to_bob,
            Rule::Locked {
                until: Height(1_000),
            },
        ),
        signed(
            RICH,
            (0, 0),
            transfer(BOB, not_float.get()),
            Rule::AmountNotFloat { amount: not_float },
        ),
        signed(
            ALICE,
            (257, 0),
            alice_to_bob,
            Rule::FeeNotFloat { fee: amount(257) },
        ),
        signed(
            BOB,
            (1, 0),
            transfer(ALICE, 500),
            Rule::InsufficientBalance {
                needed: 501,
                available: amount(500),
            },
        ),
        signed(
            ALICE,
            (0, 0),
            transfer(ABSENT, 1),
            Rule::RecipientMissing { index: ABSENT },
        ),
        signed(
            ALICE,
            (0, 0),
            transfer(OTHER_TOKEN, 1),
            Rule::RecipientToken {
                expected: TokenId(0),
                actual: TokenId(1),
            },
        ),
        signed(
            ALICE,
            (0, 1),
            alice_to_bob,
            Rule::FeeLeafSelector { selector: 1 },
        ),
        signed(
            ALICE,
            (10, 4),
            alice_to_bob,
            Rule::FeeLeafSelector { selector: 4 },
        ),
        signed(
            ALICE,
            (10, 255),
            alice_to_bob,
            Rule::FeeLeafSelector { selector: 255 },
        ),
        signed(
            ALICE,
            (10, 2),
            alice_to_bob,
            Rule::FeeLeafMissing { index: ABSENT },
        ),
        signed(
            ALICE,
            (10, 1),
            alice_to_bob,
            Rule::FeeLeafToken {
                expected: TokenId(0),
                actual: TokenId(1),
            },
        ),
        signed(ALICE, (0, 0), transfer(RICH, 1), Rule::BalanceOverflow),
        signed(ALICE, (0, 0), new_leaf(L1Address::ZERO), Rule::ZeroOwner),
        signed(
            ALICE,
            (0, 0),
            lock(0),
            Rule::LockNotRaised { current: Height(0) },
        ),
        signed(
            ALICE,
            (0, 0),
            lock(max + 1),
            Rule::LockTooFar { max: Height(max) },
        ),
        signed(LOCKED, (10, 0), lock(2_000), Rule::LockedFee),
    ]
}

fn cases_of_place() -> Vec<Case> {
    use InvalidOperation as Rule;
    let bid = |height: u64| {
        let stage = Stage::new();
        stage
            .drafter()
            .bid(LOCKED, Height(height), amount(1), Fr::from(1_u64))
    };
    let item = random_item(&mut crate::testing::generator(1));
    let with = |operation: Operation, alter: fn(&mut Stage), expected: Rule| {
        let mut stage = Stage::new();
        alter(&mut stage);
        Case {
            stage,
            operation,
            expected,
        }
    };
    let mut full = signed(ALICE, (0, 0), new_leaf(l1_owner(1)), Rule::TreeFull);
    full.stage.threaded.leaf_count = LEAF_COUNT_MAX;
    let mut alone = staged(|_| {}, Rule::GroupMismatch);
    if let Operation::Signed { group, .. } = &mut alone.operation {
        *group = Some(Membership {
            hash: Fr::from(1_u64),
            last: true,
        });
    }
    vec![
        full,
        alone,
        staged(
            |stage| stage.leaf_mut(ALICE).key = LeafKey::NULL,
            Rule::KeyMismatch { index: ALICE },
        ),
        staged(|stage| stage.threaded.phase = Phase::NoBlock, Rule::NoBlock),
        staged(
            |stage| stage.threaded.phase = Phase::BidPending,
            Rule::BidMissing,
        ),
        staged(|stage| stage.threaded.group.members = 1, Rule::GroupOpen),
        with(
            Operation::Inbox(item),
            |stage| stage.threaded.phase = Phase::Signed,
            Rule::InboxOutOfPlace,
        ),
        with(
            Operation::Inbox(item),
            |stage| stage.threaded.phase = Phase::NoBlock,
            Rule::InboxOutOfPlace,
        ),
        with(
            Operation::BidPay(bid(HEIGHT.0)),
            |_| {},
            Rule::BidOutOfPlace,
        ),
        with(
            Operation::BidPay(bid(HEIGHT.0)),
            |stage| stage.threaded.phase = Phase::Signed,
            Rule::BidOutOfPlace,
        ),
        with(
            Operation::BidPay(bid(HEIGHT.0 - 1)),
            |stage| stage.threaded.phase = Phase::BidPending,
            Rule::BidHeight {
                bid: Height(HEIGHT.0 - 1),
                height: HEIGHT,
            },
        ),
        with(
            Operation::BidBurn(bid(HEIGHT.0)),
            |stage| stage.threaded.phase = Phase::BidPending,
            Rule::BidMissing,
        ),
    ]
}

#[test]
fn every_rule_is_reached_and_refusal_changes_nothing() {
    let mut reached = [false; RULES];
    for mut case in cases_of_transactions().into_iter().chain(cases_of_place()) {
        let before = case.stage.clone();
        assert_eq!(case.stage.run(&case.operation), Err(case.expected));
        assert_eq!(case.stage.leaves, before.leaves);
        reached[rule(&case.expected)] = true;
    }
    for (_, expected) in headers() {
        reached[rule(&expected)] = true; // each is refused in the test below
    }
    let missing: Vec<usize> = (0..RULES).filter(|rule| !reached[*rule]).collect();
    assert_eq!(missing, Vec::<usize>::new());
}

fn headers() -> Vec<(Header, InvalidOperation)> {
    let with = |height_delta: u64| Header {
        height_delta,
        ..header(false)
    };
    let without_leaves = |fee_leaves: Option<FeeLeaves>| Header {
        fee_leaves,
        ..header(false)
    };
    vec![
        (with(0), InvalidOperation::HeightDelta),
        (with(1 << 40), InvalidOperation::HeightDelta),
        (with(u64::MAX), InvalidOperation::HeightDelta),
        (without_leaves(None), InvalidOperation::NoFeeLeaves),
        (
            without_leaves(Some(FeeLeaves::NONE)),
            InvalidOperation::NoFeeLeaves,
        ),
    ]
}

#[test]
fn malformed_headers_are_refused_and_change_nothing() {
    let fresh = Threaded::batch_start(Fr::from(1_u64), 8, Height(99), 0);
    for (header, expected) in headers() {
        let mut threaded = fresh;
        assert_eq!(open_block(&mut threaded, &header), Err(expected));
        assert_eq!(threaded, fresh);
    }
    let mut late = Threaded {
        height: Height(u64::MAX),
        ..fresh
    };
    assert_eq!(
        open_block(&mut late, &header(false)),
        Err(InvalidOperation::HeightDelta)
    );
    let mut open = fresh;
    open.group.members = 1;
    assert_eq!(
        open_block(&mut open, &header(false)),
        Err(InvalidOperation::GroupOpen)
    );
    let mut promised = Threaded {
        phase: Phase::BidPending,
        ..fresh
    };
    assert_eq!(
        open_block(&mut promised, &header(false)),
        Err(InvalidOperation::BidMissing)
    );
}

#[test]
fn headers_move_height_and_keep_or_replace_fee_leaves() {
    let mut threaded = Threaded::batch_start(Fr::from(1_u64), 8, Height(99), 0);
    open_block(&mut threaded, &header(true)).unwrap();
    assert_eq!(
        (threaded.height, threaded.phase),
        (Height(100), Phase::BidPending)
    );
    threaded.phase = Phase::Signed;
    let kept = Header {
        height_delta: (1 << 40) - 1,
        fee_leaves: None,
        bid: false,
    };
    open_block(&mut threaded, &kept).unwrap();
    assert_eq!(threaded.height, Height(100 + (1 << 40) - 1));
    assert_eq!(threaded.phase, Phase::Inbox);
    assert_eq!(threaded.fee_leaves, header(false).fee_leaves.unwrap());
    let one = Header {
        fee_leaves: FeeLeaves::new(&[BOB]),
        ..kept
    };
    open_block(&mut threaded, &one).unwrap();
    assert_eq!(threaded.fee_leaves.count(), 1);
}

/// An amount or a balance can be anything; an invalid signed operation is always a typed error.
#[test]
fn amounts_at_the_limits_are_refused_not_wrapped() {
    let mut stage = Stage::new();
    let most = Amount::new((1 << 120) - 1).unwrap();
    let refused = stage.act(BOB, 0, Action::Withdraw { amount: most });
    assert!(matches!(
        refused,
        Err(InvalidOperation::InsufficientBalance { .. })
    ));
    let refused = stage.act(BOB, most.get(), transfer(ALICE, 0));
    assert_eq!(refused, Err(InvalidOperation::FeeNotFloat { fee: most }));
}
