//! BidPay and BidBurn: collateral pays, nobody else.

use super::{
    ABSENT, ALICE, Amount, BALANCE_LIMIT, COLLECTOR, HEIGHT, Height, InvalidOperation, KEYLESS,
    LOCKED, LeafIndex, Nonce, OTHER_TOKEN, Operation, Phase, RICH, Stage, amount,
};
use crate::{
    Fr,
    params::{BID_BURN_HEIGHTS_MAX, BID_FLOOR},
    threaded::FeeLeaves,
    transaction::Bid,
};

fn pending() -> Stage {
    let mut stage = Stage::new();
    stage.threaded.phase = Phase::BidPending;
    stage
}

fn bid(stage: &Stage, leaf: LeafIndex, height: u64, value: u128) -> Bid {
    stage
        .drafter()
        .bid(leaf, Height(height), amount(value), Fr::from(9_u64))
}

#[test]
fn payment_moves_exactly_the_value_to_the_first_fee_leaf() {
    let mut stage = pending();
    let bid = bid(&stage, LOCKED, HEIGHT.0, 12_345);
    let executed = stage.run(&Operation::BidPay(bid)).unwrap();
    assert_eq!(executed.burned, Amount::ZERO);
    assert_eq!(stage.balance(LOCKED), (1 << 60) - 12_345);
    assert_eq!(stage.balance(COLLECTOR), 1_000 + 12_345);
    assert_eq!(stage.leaf(LOCKED).nonce, Nonce(0), "a bid has no nonce");
    assert_eq!(stage.threaded.last_bid_height, HEIGHT);
    assert_eq!(stage.threaded.phase, Phase::Signed);
    // one payment per height
    assert_eq!(
        stage.run(&Operation::BidPay(bid)),
        Err(InvalidOperation::BidOutOfPlace)
    );
}

#[test]
fn inbox_items_may_come_before_a_promised_payment() {
    let mut stage = pending();
    let item = crate::testing::random_item(&mut crate::testing::generator(3));
    stage.run(&Operation::Inbox(item)).unwrap();
    assert_eq!(stage.threaded.phase, Phase::BidPending);
    let bid = bid(&stage, LOCKED, HEIGHT.0, 0);
    stage.run(&Operation::BidPay(bid)).unwrap();
    let refused = stage.run(&Operation::Inbox(item));
    assert_eq!(refused, Err(InvalidOperation::InboxOutOfPlace));
}

#[test]
fn payment_is_refused_without_cover_authority_or_a_fitting_fee_leaf() {
    let refused = |stage: &Stage, bid: Bid| stage.clone().run(&Operation::BidPay(bid)).unwrap_err();
    let stage = pending();
    let needed = (1 << 60) + 1;
    assert_eq!(
        refused(&stage, bid(&stage, LOCKED, HEIGHT.0, needed)),
        InvalidOperation::InsufficientBalance {
            needed,
            available: amount(1 << 60)
        }
    );
    assert_eq!(
        refused(&stage, bid(&stage, ABSENT, HEIGHT.0, 1)),
        InvalidOperation::SenderMissing { index: ABSENT }
    );
    for height in [HEIGHT.0 - 1, HEIGHT.0 + 1, 0, u64::MAX] {
        assert_eq!(
            refused(&stage, bid(&stage, LOCKED, height, 1)),
            InvalidOperation::BidHeight {
                bid: Height(height),
                height: HEIGHT
            }
        );
    }
    // somebody else's key over the victim's leaf
    let stolen = Bid {
        leaf: LOCKED,
        ..bid(&stage, ALICE, HEIGHT.0, 1)
    };
    assert_eq!(
        refused(&stage, stolen),
        InvalidOperation::KeyMismatch { index: LOCKED }
    );
    let keyless = bid(&stage, KEYLESS, HEIGHT.0, 1);
    assert_eq!(
        refused(&stage, keyless),
        InvalidOperation::KeyMismatch { index: KEYLESS }
    );
    // the first fee leaf: missing, of another token, full
    let with_first = |leaf: LeafIndex| {
        let mut stage = pending();
        stage.threaded.fee_leaves = FeeLeaves::new(&[leaf, COLLECTOR]).unwrap();
        stage
    };
    let paid = bid(&stage, LOCKED, HEIGHT.0, 1);
    assert_eq!(
        refused(&with_first(ABSENT), paid),
        InvalidOperation::FeeLeafMissing { index: ABSENT }
    );
    assert!(matches!(
        refused(&with_first(OTHER_TOKEN), paid),
        InvalidOperation::FeeLeafToken { .. }
    ));
    assert_eq!(
        refused(&with_first(RICH), paid),
        InvalidOperation::BalanceOverflow
    );
}

#[test]
fn the_payer_may_be_the_first_fee_leaf() {
    let mut stage = pending();
    stage.threaded.fee_leaves = FeeLeaves::new(&[LOCKED]).unwrap();
    let bid = bid(&stage, LOCKED, HEIGHT.0, 77);
    stage.run(&Operation::BidPay(bid)).unwrap();
    assert_eq!(stage.balance(LOCKED), 1 << 60);
}

#[test]
fn a_burn_takes_value_floor_or_balance_and_credits_nobody() {
    // (balance, value, burned)
    let cases = [
        (1 << 60, 1 << 50, 1 << 50),
        (1 << 60, 5, BID_FLOOR),
        (1 << 60, 0, BID_FLOOR),
        (1 << 60, BID_FLOOR, BID_FLOOR),
        (1 << 60, BID_FLOOR + 1, BID_FLOOR + 1),
        (1 << 60, BALANCE_LIMIT - 1, 1 << 60),
        (BID_FLOOR - 1, 0, BID_FLOOR - 1),
        (0, 7, 0),
    ];
    for (balance, value, burned) in cases {
        let mut stage = Stage::new();
        stage.leaf_mut(LOCKED).balance = amount(balance);
        let bid = bid(&stage, LOCKED, HEIGHT.0 - 1, value);
        let before = stage.clone();
        let executed = stage.run(&Operation::BidBurn(bid)).unwrap();
        assert_eq!(executed.burned, amount(burned));
        assert_eq!(stage.balance(LOCKED), balance - burned);
        for (index, leaf) in &before.leaves.0 {
            assert!(*index == LOCKED || stage.leaf(*index) == *leaf);
        }
        assert_eq!(
            stage.threaded.last_bid_height,
            Height(0),
            "a burn is no payment"
        );
    }
}

#[test]
fn a_burn_names_a_bid_at_most_seventeen_heights_old() {
    let stage = Stage::new();
    for (height, is_valid) in [
        (HEIGHT.0 - BID_BURN_HEIGHTS_MAX, true),
        (HEIGHT.0 - BID_BURN_HEIGHTS_MAX - 1, false),
        (HEIGHT.0, true),
        (HEIGHT.0 + 1, false),
    ] {
        let bid = bid(&stage, LOCKED, height, 1);
        let result = stage.clone().run(&Operation::BidBurn(bid));
        assert_eq!(result.is_ok(), is_valid, "{height}");
    }
    // near genesis the window is cut at 0
    let mut early = stage.clone();
    early.threaded.height = Height(5);
    let bid = bid(&early, LOCKED, 0, 1);
    early.run(&Operation::BidBurn(bid)).unwrap();
}

#[test]
fn burns_need_the_collaterals_key_and_an_existing_leaf() {
    let mut stage = Stage::new();
    let stolen = Bid {
        leaf: LOCKED,
        ..bid(&stage, ALICE, HEIGHT.0, 1)
    };
    assert_eq!(
        stage.run(&Operation::BidBurn(stolen)),
        Err(InvalidOperation::KeyMismatch { index: LOCKED })
    );
    let absent = bid(&stage, ABSENT, HEIGHT.0, 1);
    assert_eq!(
        stage.run(&Operation::BidBurn(absent)),
        Err(InvalidOperation::SenderMissing { index: ABSENT })
    );
}

#[test]
fn a_bids_message_binds_all_it_says_and_no_operation_equals_it() {
    let stage = Stage::new();
    let base = bid(&stage, LOCKED, HEIGHT.0, 5);
    let message = base.message(&stage.domain);
    let others = [
        Bid {
            leaf: ALICE,
            ..base
        },
        Bid {
            height: Height(HEIGHT.0 + 1),
            ..base
        },
        Bid {
            value: amount(6),
            ..base
        },
        Bid {
            core_hash: Fr::from(10_u64),
            ..base
        },
    ];
    for other in others {
        assert_ne!(other.message(&stage.domain), message);
        let claim = (other.key, other.message(&stage.domain), other.signature);
        assert!(!crate::signature::verify_batch(&[claim]));
    }
    assert!(crate::signature::verify_batch(&[base.claim(&stage.domain)]));
    let elsewhere = crate::transaction::Domain(Fr::from(6_u64));
    assert!(!crate::signature::verify_batch(&[base.claim(&elsewhere)]));
}
