//! What each signed transaction does to leaves: effects, coinciding leaves, boundaries, fees.

use super::{
    ALICE, Action, Amount, BALANCE_LIMIT, BOB, COLLECTOR, Executed, HEIGHT, Height,
    InvalidOperation, KEYLESS, L1Address, LOCKED, Leaf, LeafIndex, LeafKey, NONCE_LAST, Nonce,
    Operation, RICH, Stage, TokenId, amount, encode_amount, transfer, withdrawal,
};
use crate::{
    params::{BURN_NUMERATOR, LEAF_COUNT_MAX, LOCK_HEIGHTS_MAX},
    testing::{l1_owner, secret_key},
    threaded::OpenGroup,
    transition::burn_of,
};

#[test]
fn transfer_moves_amount_and_fee_and_burns_its_share() {
    let mut stage = Stage::new();
    let executed = stage.act(ALICE, 200, transfer(BOB, 1_000)).unwrap();
    let burned = 200 * BURN_NUMERATOR / 65_536; // rounds down
    assert_eq!(burned, 20);
    assert_eq!(executed.burned, amount(burned));
    assert_eq!(executed.withdrawal, None);
    assert!(executed.applied);
    assert_eq!(
        executed.accesses.map(|access| access.index),
        [ALICE, BOB, COLLECTOR]
    );
    assert_eq!(stage.balance(ALICE), 1_000_000 - 1_200);
    assert_eq!(stage.leaf(ALICE).nonce, Nonce(1));
    assert_eq!(stage.balance(BOB), 1_500);
    assert_eq!(stage.leaf(BOB).nonce, Nonce(0));
    assert_eq!(stage.balance(COLLECTOR), 1_000 + 180);
}

#[test]
fn a_leaf_may_play_every_part_at_once() {
    // (from, to, selector): to = from; to = fee leaf; from = fee leaf; all three.
    for (from, to, selector) in [
        (ALICE, ALICE, 0),
        (ALICE, BOB, 3),
        (BOB, ALICE, 3),
        (BOB, BOB, 3),
    ] {
        let mut stage = Stage::new();
        let fee_leaf = stage.threaded.fee_leaves.get(selector).unwrap();
        let mut expected = [ALICE, BOB, COLLECTOR].map(|index| (index, stage.balance(index)));
        let mut add = |index: LeafIndex, plus: u128, minus: u128| {
            for (place, balance) in &mut expected {
                if *place == index {
                    *balance = *balance + plus - minus;
                }
            }
        };
        add(from, 0, 100 + 50);
        add(to, 100, 0);
        add(fee_leaf, 45, 0); // floor(50 * 6554 / 65536) = 5 is burned
        let operation = stage.signed(stage.transaction(from, 50, transfer(to, 100)), selector);
        stage.run(&operation).unwrap();
        for (index, balance) in expected {
            assert_eq!(stage.balance(index), balance, "{from} {to} {selector}");
        }
        assert_eq!(stage.leaf(from).nonce, Nonce(1));
    }
}

#[test]
fn transfer_to_oneself_changes_only_fee_and_nonce() {
    let mut stage = Stage::new();
    let before = stage.leaf(ALICE);
    stage.act(ALICE, 10, transfer(ALICE, 1_000)).unwrap();
    let expected = Leaf {
        balance: amount(before.balance.get() - 10),
        nonce: Nonce(1),
        ..before
    };
    assert_eq!(stage.leaf(ALICE), expected);
    // the whole balance may go round, but not more
    stage.act(ALICE, 0, transfer(ALICE, 999_990)).unwrap();
    let refused = stage.act(ALICE, 0, transfer(ALICE, 999_991));
    assert!(matches!(
        refused,
        Err(InvalidOperation::InsufficientBalance { .. })
    ));
}

#[test]
fn transfer_to_new_creates_the_next_leaf_with_the_senders_token() {
    let mut stage = Stage::new();
    for (place, key) in [LeafKey::NULL, secret_key(77).public().into()]
        .into_iter()
        .enumerate()
    {
        let action = Action::TransferToNew {
            key,
            l1_owner: l1_owner(9),
            amount: amount(300),
        };
        let executed = stage.act(ALICE, 100, action).unwrap();
        let index = LeafIndex(8 + u32::try_from(place).unwrap());
        assert_eq!(executed.accesses[1].index, index);
        assert_eq!(executed.accesses[1].before, None);
        assert_eq!(
            stage.leaf(index),
            Leaf::new(key, l1_owner(9), TokenId(0), amount(300))
        );
    }
    assert_eq!(stage.threaded.leaf_count, 10);
    assert_eq!(stage.balance(ALICE), 1_000_000 - 800);
}

/// A block may name a fee leaf that does not exist yet; an operation that creates it may pay its fee there.
#[test]
fn the_new_leaf_may_collect_its_own_fee() {
    let mut stage = Stage::new();
    stage.threaded.leaf_count = 99;
    let action = Action::TransferToNew {
        key: LeafKey::NULL,
        l1_owner: l1_owner(9),
        amount: amount(300),
    };
    let operation = stage.signed(stage.transaction(ALICE, 100, action), 2);
    stage.run(&operation).unwrap();
    assert_eq!(stage.balance(LeafIndex(99)), 300 + 90);
}

#[test]
fn the_last_leaf_can_be_created_and_no_further() {
    let mut stage = Stage::new();
    let action = Action::TransferToNew {
        key: LeafKey::NULL,
        l1_owner: l1_owner(9),
        amount: amount(1),
    };
    stage.threaded.leaf_count = LEAF_COUNT_MAX - 1;
    stage.act(ALICE, 0, action).unwrap();
    assert_eq!(stage.balance(LeafIndex(u32::MAX)), 1);
    assert_eq!(stage.threaded.leaf_count, LEAF_COUNT_MAX);
    assert_eq!(stage.act(ALICE, 0, action), Err(InvalidOperation::TreeFull));
    // everything else goes on
    stage
        .act(ALICE, 0, transfer(LeafIndex(u32::MAX), 1))
        .unwrap();
}

#[test]
fn withdraw_pays_the_l1_owner_any_exact_amount() {
    let mut stage = Stage::new();
    let exact = 123_456_789_012_345_678_901_u128;
    assert_eq!(encode_amount(amount(exact)), None);
    stage.leaf_mut(ALICE).balance = amount(exact + 7);
    let executed = stage
        .act(
            ALICE,
            7,
            Action::Withdraw {
                amount: amount(exact),
            },
        )
        .unwrap();
    assert_eq!(withdrawal(&executed), Some((l1_owner(1), 0, 1, exact)));
    assert_eq!(stage.balance(ALICE), 0);
    // a whole balance of 2^120 - 1 can always leave
    let all = amount(BALANCE_LIMIT - 1);
    let executed = stage
        .act(RICH, 0, Action::Withdraw { amount: all })
        .unwrap();
    assert_eq!(withdrawal(&executed), Some((l1_owner(6), 0, 6, all.get())));
    let executed = stage
        .act(
            RICH,
            0,
            Action::Withdraw {
                amount: Amount::ZERO,
            },
        )
        .unwrap();
    assert_eq!(withdrawal(&executed), Some((l1_owner(6), 0, 6, 0)));
}

#[test]
fn change_key_hands_the_leaf_over_and_keeps_the_nonce() {
    let mut stage = Stage::new();
    let key: LeafKey = secret_key(2).public().into();
    let before = stage.leaf(ALICE);
    stage.act(ALICE, 10, Action::ChangeKey { key }).unwrap();
    let expected = Leaf {
        key,
        nonce: Nonce(1),
        balance: amount(999_990),
        ..before
    };
    assert_eq!(stage.leaf(ALICE), expected);
    let old_key = Operation::Signed {
        transaction: {
            let transaction = stage.transaction(ALICE, 0, transfer(BOB, 1));
            crate::transaction::SignedTransaction {
                transaction,
                key: secret_key(1).public(),
                signature: secret_key(1).sign(&transaction.message(&stage.domain, false)),
            }
        },
        fee_leaf: 0,
        group: None,
    };
    let refused = stage.run(&old_key);
    assert_eq!(refused, Err(InvalidOperation::KeyMismatch { index: ALICE }));
    stage.act(ALICE, 0, transfer(BOB, 1)).unwrap(); // the drafter finds the new key
}

#[test]
fn a_leaf_without_a_key_never_signs_but_is_paid() {
    let mut stage = Stage::new();
    stage.act(ALICE, 0, transfer(KEYLESS, 5)).unwrap();
    assert_eq!(stage.balance(KEYLESS), 1_005);
    let refused = stage.act(KEYLESS, 0, transfer(ALICE, 5));
    assert_eq!(
        refused,
        Err(InvalidOperation::KeyMismatch { index: KEYLESS })
    );
}

#[test]
fn balances_reach_but_never_pass_the_limit() {
    let mut stage = Stage::new();
    let refused = stage.act(ALICE, 0, transfer(RICH, 1));
    assert_eq!(refused, Err(InvalidOperation::BalanceOverflow));
    stage.leaf_mut(RICH).balance = amount(BALANCE_LIMIT - 2);
    stage.act(ALICE, 0, transfer(RICH, 1)).unwrap();
    assert_eq!(stage.balance(RICH), BALANCE_LIMIT - 1);
    // a self-transfer of a full leaf does not overflow on the way
    stage.act(RICH, 0, transfer(RICH, 7)).unwrap();
    // amount + fee above 2^120 is a lack of balance, never a wrap
    let most = crate::number::floor_amount(amount(BALANCE_LIMIT - 1));
    let fee = 255 * 10_u128.pow(31);
    let refused = stage.act(RICH, fee, transfer(BOB, most.get()));
    let needed = most.get() + fee;
    assert!(needed > BALANCE_LIMIT);
    assert_eq!(
        refused,
        Err(InvalidOperation::InsufficientBalance {
            needed,
            available: amount(BALANCE_LIMIT - 1)
        })
    );
    // a fee can overflow its collector
    stage.leaf_mut(COLLECTOR).balance = amount(BALANCE_LIMIT - 1);
    assert_eq!(
        stage.act(ALICE, 2, transfer(BOB, 1)),
        Err(InvalidOperation::BalanceOverflow)
    );
}

#[test]
fn the_last_usable_nonce_is_one_below_the_last() {
    let mut stage = Stage::new();
    stage.leaf_mut(ALICE).nonce = Nonce(NONCE_LAST - 1);
    stage.act(ALICE, 0, transfer(BOB, 1)).unwrap();
    assert_eq!(stage.leaf(ALICE).nonce, Nonce(NONCE_LAST));
    assert_eq!(
        stage.act(ALICE, 0, transfer(BOB, 1)),
        Err(InvalidOperation::NonceExhausted)
    );
    // it can still be paid, and collect
    stage.act(BOB, 0, transfer(ALICE, 1)).unwrap();
}

#[test]
fn valid_until_is_the_last_valid_height() {
    let mut stage = Stage::new();
    stage.act(ALICE, 0, transfer(BOB, 1)).unwrap(); // valid_until = HEIGHT
    let expired = super::Transaction {
        valid_until: Height(HEIGHT.0 - 1),
        ..stage.transaction(ALICE, 0, transfer(BOB, 1))
    };
    let operation = stage.signed(expired, 0);
    assert_eq!(
        stage.run(&operation),
        Err(InvalidOperation::Expired {
            valid_until: Height(HEIGHT.0 - 1),
            height: HEIGHT
        })
    );
}

fn lock(until: u64) -> Action {
    Action::Lock {
        until: Height(until),
    }
}

#[test]
fn a_lock_only_rises_within_bounds() {
    let mut stage = Stage::new();
    let max = HEIGHT.0 + LOCK_HEIGHTS_MAX;
    assert_eq!(
        stage.act(ALICE, 0, lock(0)),
        Err(InvalidOperation::LockNotRaised { current: Height(0) })
    );
    assert_eq!(
        stage.act(ALICE, 0, lock(max + 1)),
        Err(InvalidOperation::LockTooFar { max: Height(max) })
    );
    assert_eq!(
        stage.act(ALICE, 0, lock(u64::MAX)),
        Err(InvalidOperation::LockTooFar { max: Height(max) })
    );
    // below the height: raised, and the leaf is still free
    stage.act(ALICE, 10, lock(HEIGHT.0 - 1)).unwrap();
    assert_eq!(stage.balance(ALICE), 999_990);
    stage.act(ALICE, 0, transfer(BOB, 1)).unwrap();
    // at the height: locked from now on
    stage.act(ALICE, 10, lock(HEIGHT.0)).unwrap();
    assert_eq!(
        stage.act(ALICE, 0, transfer(BOB, 1)),
        Err(InvalidOperation::Locked { until: HEIGHT })
    );
    // a locked leaf may be locked further, free of charge only
    assert_eq!(
        stage.act(ALICE, 10, lock(max)),
        Err(InvalidOperation::LockedFee)
    );
    stage.act(ALICE, 0, lock(max)).unwrap();
    assert_eq!(stage.leaf(ALICE).lock_until, Height(max));
    assert_eq!(
        stage.act(ALICE, 0, lock(max)),
        Err(InvalidOperation::LockNotRaised {
            current: Height(max)
        })
    );
}

#[test]
fn a_lock_at_the_largest_height_does_not_wrap() {
    let mut stage = Stage::new();
    stage.threaded.height = Height(u64::MAX - 1);
    let transaction = super::Transaction {
        valid_until: Height(u64::MAX),
        ..stage.transaction(ALICE, 0, lock(u64::MAX))
    };
    let operation = stage.signed(transaction, 0);
    stage.run(&operation).unwrap();
    assert_eq!(stage.leaf(ALICE).lock_until, Height(u64::MAX));
}

#[test]
fn a_locked_leaf_can_do_nothing_but_be_credited() {
    let mut stage = Stage::new();
    let until = Height(1_000);
    let actions = [
        transfer(BOB, 0),
        transfer(LOCKED, 1),
        Action::Withdraw { amount: amount(1) },
        Action::ChangeKey { key: LeafKey::NULL },
        Action::TransferToNew {
            key: LeafKey::NULL,
            l1_owner: l1_owner(1),
            amount: amount(1),
        },
    ];
    for action in actions {
        assert_eq!(
            stage.act(LOCKED, 0, action),
            Err(InvalidOperation::Locked { until })
        );
    }
    stage.act(ALICE, 0, transfer(LOCKED, 5)).unwrap();
    assert_eq!(stage.balance(LOCKED), (1 << 60) + 5);
    // the last locked height, and the first free one
    stage.threaded.height = until;
    let transaction = super::Transaction {
        valid_until: Height(2_000),
        ..stage.transaction(LOCKED, 0, transfer(BOB, 1))
    };
    let operation = stage.signed(transaction, 0);
    assert_eq!(
        stage.run(&operation),
        Err(InvalidOperation::Locked { until })
    );
    stage.threaded.height = Height(until.0 + 1);
    stage.run(&operation).unwrap();
}

#[test]
fn burn_rounds_down_and_never_exceeds_the_fee() {
    for fee in [0, 1, 9, 10, 11, 255, 255 * 10_u128.pow(31)] {
        let burned = burn_of(amount(fee)).get();
        assert_eq!(burned, fee * BURN_NUMERATOR / 65_536);
        assert!(burned <= fee);
    }
    assert_eq!(burn_of(amount(9)), Amount::ZERO); // too small to burn
    assert_eq!(burn_of(amount(10)), amount(1));
}

#[test]
fn noop_changes_nothing_and_counts_nothing() {
    let mut stage = Stage::new();
    let before = stage.clone();
    let Executed {
        accesses,
        withdrawal,
        burned,
        applied,
    } = stage.run(&Operation::Noop).unwrap();
    assert_eq!(
        (stage.leaves, stage.threaded),
        (before.leaves, before.threaded)
    );
    assert!(accesses.iter().all(|access| access.before == access.after));
    assert_eq!((withdrawal, burned, applied), (None, Amount::ZERO, true));
    assert_eq!(before.threaded.group, OpenGroup::NONE);
}

#[test]
fn every_leaf_keeps_an_owner_on_the_base_layer() {
    let mut stage = Stage::new();
    let action = Action::TransferToNew {
        key: secret_key(1).public().into(),
        l1_owner: L1Address::ZERO,
        amount: amount(1),
    };
    assert_eq!(
        stage.act(ALICE, 0, action),
        Err(InvalidOperation::ZeroOwner)
    );
}
