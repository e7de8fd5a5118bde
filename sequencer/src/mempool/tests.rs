//! Rules of the mempool, and that blocks take from it what they should.

use api::error::ErrorCode;
use protocol::{
    account::{L1Address, LeafKey},
    number::{Amount, Height, LeafIndex},
    transaction::{Action, Submission, Transaction},
};

use crate::{
    config::MempoolConfig,
    fixture::{Rig, key, sign, sign_group, transfer},
    storage::TransactionRecord,
};

fn code(result: Result<impl std::fmt::Debug, api::ApiError>) -> ErrorCode {
    result.unwrap_err().code
}

fn rig() -> Rig {
    Rig::new(MempoolConfig::default())
}

#[test]
fn a_payment_is_admitted_ordered_and_paid_with_its_fee() {
    let mut rig = rig();
    let id = rig.send_one(sign(transfer(1, 2, 0, 500, 10))).unwrap();
    let record = rig.shared().store.transaction(&id).unwrap();
    assert!(matches!(record, Some(TransactionRecord::Pending { .. })));
    rig.block();
    let record = rig.shared().store.transaction(&id).unwrap();
    assert!(matches!(
        record,
        Some(TransactionRecord::Ordered {
            height: Height(1),
            place: 0,
            ..
        })
    ));
    assert_eq!((rig.balance(1), rig.balance(2)), (999_490, 1_000_500));
    assert_eq!(
        rig.balance(0),
        1_000_009,
        "a tenth of the fee, rounded down to 1, is burned"
    );
    assert_eq!(rig.shared().pool().len(), 0);
}

#[test]
fn every_broken_rule_has_its_code() {
    let mut rig = rig();
    rig.send_one(sign(transfer(1, 2, 0, 1, 0))).unwrap();
    rig.block();
    let amount = |value| Amount::new(value).unwrap();
    let base = transfer(1, 2, 1, 1, 0);
    let to_new = |l1_owner| Action::TransferToNew {
        key: LeafKey::NULL,
        l1_owner,
        amount: amount(1),
    };
    let cases = [
        (transfer(1, 2, 0, 1, 0), ErrorCode::NonceUsed),
        (transfer(1, 2, 500, 1, 0), ErrorCode::NonceGap),
        (transfer(1, 99, 1, 1, 0), ErrorCode::UnknownLeaf),
        (transfer(99, 1, 0, 1, 0), ErrorCode::UnknownLeaf),
        (transfer(1, 4, 1, 1, 0), ErrorCode::UnknownToken),
        (
            transfer(1, 2, 1, 2_000_000, 0),
            ErrorCode::InsufficientBalance,
        ),
        (
            transfer(1, 2, 1, (1 << 30) + 1, 0),
            ErrorCode::AmountNotFloat,
        ),
        (transfer(1, 2, 1, 1, 257), ErrorCode::FeeNotFloat),
        (transfer(4, 4, 0, 1, 5), ErrorCode::FeeToken),
        (
            Transaction {
                valid_until: Height(1),
                ..base
            },
            ErrorCode::Expired,
        ),
        (
            Transaction {
                action: to_new(L1Address::ZERO),
                ..base
            },
            ErrorCode::InvalidOperation,
        ),
    ];
    for (transaction, expected) in cases {
        assert_eq!(
            code(rig.send_one(sign(transaction))),
            expected,
            "{transaction:?}"
        );
    }
    assert_eq!(
        rig.shared().pool().len(),
        0,
        "refused operations leave nothing behind"
    );
}

#[test]
fn a_bad_signature_in_a_round_of_good_ones_is_found_and_harms_nobody() {
    let rig = rig();
    let mut round: Vec<Submission> = (0..100)
        .map(|nonce| sign(transfer(1, 2, nonce, 1, 0)))
        .collect();
    for place in [3, 64, 99] {
        let Submission::Single(signed) = &mut round[place] else {
            unreachable!()
        };
        signed.signature = key(1).sign(&protocol::Fr::from(1_u64));
    }
    let verdicts = rig.send(round);
    for (place, verdict) in verdicts.iter().enumerate() {
        match place {
            3 | 64 | 99 => assert_eq!(
                verdict.as_ref().unwrap_err().code,
                ErrorCode::InvalidSignature
            ),
            _ => assert!(verdict.is_ok(), "{place}: {verdict:?}"),
        }
    }
    // Signed for another leaf's key: the signature is fine, the leaf refuses.
    let Submission::Single(mut signed) = sign(transfer(2, 1, 0, 1, 0)) else {
        unreachable!()
    };
    signed.key = key(3).public();
    signed.signature = key(3).sign(&signed.transaction.message(&crate::fixture::domain(), false));
    assert_eq!(
        code(rig.send_one(Submission::Single(signed))),
        ErrorCode::KeyMismatch
    );
}

#[test]
fn a_nonce_gap_waits_and_closes() {
    let mut rig = rig();
    rig.send_one(sign(transfer(1, 2, 1, 10, 0))).unwrap();
    rig.send_one(sign(transfer(1, 2, 2, 10, 0))).unwrap();
    rig.block();
    assert_eq!((rig.balance(2), rig.shared().pool().len()), (1_000_000, 2));
    rig.send_one(sign(transfer(1, 2, 0, 10, 0))).unwrap();
    rig.block();
    assert_eq!((rig.balance(2), rig.shared().pool().len()), (1_000_030, 0));
}

#[test]
fn replacement_needs_ten_percent_more_and_names_what_it_replaced() {
    let mut rig = rig();
    let old = rig.send_one(sign(transfer(1, 2, 0, 10, 100))).unwrap();
    assert_eq!(
        rig.send_one(sign(transfer(1, 2, 0, 10, 100))),
        Ok(old),
        "the same again is fine"
    );
    assert_eq!(
        code(rig.send_one(sign(transfer(1, 3, 0, 10, 109)))),
        ErrorCode::ReplacementUnderpriced
    );
    rig.send_one(sign(transfer(1, 3, 0, 10, 110))).unwrap();
    let record = rig.shared().store.transaction(&old).unwrap();
    assert!(
        matches!(record, Some(TransactionRecord::Failed { .. })),
        "{record:?}"
    );
    rig.block();
    assert_eq!((rig.balance(2), rig.balance(3)), (1_000_000, 1_000_010));
    // A free operation is replaced by one that pays at least 1.
    rig.send_one(sign(transfer(2, 1, 0, 1, 0))).unwrap();
    assert_eq!(
        code(rig.send_one(sign(transfer(2, 3, 0, 1, 0)))),
        ErrorCode::ReplacementUnderpriced
    );
    assert!(rig.send_one(sign(transfer(2, 3, 0, 1, 1))).is_ok());
}

#[test]
fn replaced_and_sent_again_in_one_round_ends_as_the_last_step_says() {
    let rig = rig();
    let (first, second) = (
        sign(transfer(1, 2, 0, 1, 10)),
        sign(transfer(1, 2, 0, 1, 20)),
    );
    let verdicts = rig.send(vec![first.clone(), second, first]);
    assert!(verdicts[0].is_ok() && verdicts[1].is_ok());
    assert_eq!(
        verdicts[2].as_ref().unwrap_err().code,
        ErrorCode::ReplacementUnderpriced
    );
    let id = verdicts[0].as_ref().unwrap()[0];
    let record = rig.shared().store.transaction(&id).unwrap();
    assert!(matches!(record, Some(TransactionRecord::Failed { .. })));
    assert_eq!(rig.shared().store.pending().unwrap().len(), 1);
}

#[test]
fn balance_covers_everything_pending() {
    let rig = rig();
    rig.send_one(sign(transfer(1, 2, 0, 600_000, 0))).unwrap();
    assert_eq!(
        code(rig.send_one(sign(transfer(1, 2, 1, 400_001, 0)))),
        ErrorCode::InsufficientBalance
    );
    rig.send_one(sign(transfer(1, 2, 1, 400_000, 0))).unwrap();
    // A replacement frees what it replaces.
    assert!(rig.send_one(sign(transfer(1, 2, 1, 300_000, 1))).is_ok());
    // What is pending for the recipient cannot be spent yet.
    assert_eq!(
        code(rig.send_one(sign(transfer(2, 1, 0, 1_000_001, 0)))),
        ErrorCode::InsufficientBalance
    );
}

#[test]
fn limits_hold_and_the_lowest_fee_is_evicted() {
    let rig = Rig::new(MempoolConfig {
        entries_max: 2,
        ..MempoolConfig::default()
    });
    let cheap = rig.send_one(sign(transfer(1, 2, 0, 1, 5))).unwrap();
    rig.send_one(sign(transfer(2, 1, 0, 1, 9))).unwrap();
    assert_eq!(
        code(rig.send_one(sign(transfer(3, 1, 0, 1, 5)))),
        ErrorCode::MempoolFull
    );
    rig.send_one(sign(transfer(3, 1, 0, 1, 6))).unwrap();
    let record = rig.shared().store.transaction(&cheap).unwrap();
    assert!(matches!(record, Some(TransactionRecord::Failed { .. })));
    assert_eq!(rig.shared().pool().len(), 2);

    let bytes = protocol::codec::to_bytes(&sign(transfer(1, 2, 0, 1, 0))).len();
    let rig = Rig::new(MempoolConfig {
        leaf_bytes_max: 2 * bytes,
        ..MempoolConfig::default()
    });
    rig.send_one(sign(transfer(1, 2, 0, 1, 0))).unwrap();
    rig.send_one(sign(transfer(1, 2, 1, 1, 0))).unwrap();
    assert_eq!(
        code(rig.send_one(sign(transfer(1, 2, 2, 1, 0)))),
        ErrorCode::LeafQuota
    );
    assert!(
        rig.send_one(sign(transfer(2, 1, 0, 1, 0))).is_ok(),
        "another leaf has its own quota"
    );

    let fee_min = Amount::new(3).unwrap();
    let rig = Rig::new(MempoolConfig {
        fee_min,
        ..MempoolConfig::default()
    });
    assert_eq!(
        code(rig.send_one(sign(transfer(1, 2, 0, 1, 2)))),
        ErrorCode::FeeTooLow
    );
    assert!(
        rig.send_one(sign(transfer(4, 4, 0, 1, 0))).is_ok(),
        "nobody collects token 9"
    );
}

#[test]
fn pending_operations_expire_and_say_so() {
    let mut rig = rig();
    let gapped = Transaction {
        valid_until: Height(2),
        ..transfer(1, 2, 1, 1, 0)
    };
    let id = rig.send_one(sign(gapped)).unwrap();
    rig.block();
    assert_eq!(rig.shared().pool().len(), 1, "block 2 may hold it");
    rig.block();
    assert_eq!(rig.shared().pool().len(), 0, "no later block can");
    match rig.shared().store.transaction(&id).unwrap() {
        Some(TransactionRecord::Failed { code, .. }) => {
            assert_eq!(code, ErrorCode::Expired.number())
        }
        other => panic!("{other:?}"),
    }
    assert!(rig.shared().store.pending().unwrap().is_empty());
}

#[test]
fn groups_apply_together_or_not_at_all() {
    let mut rig = rig();
    // 2 has nothing but what 1 gives it inside the group.
    let swap = [
        transfer(1, 2, 0, 1_000_000, 0),
        transfer(2, 3, 0, 2_000_000, 0),
    ];
    let ids = rig.send(vec![sign_group(&swap)]).remove(0).unwrap();
    assert_eq!(ids.len(), 2);
    rig.block();
    assert_eq!(
        (rig.balance(1), rig.balance(2), rig.balance(3)),
        (0, 0, 3_000_000)
    );
    let broken = [transfer(3, 1, 0, 5, 0), transfer(1, 2, 1, 6, 0)];
    assert_eq!(
        code(rig.send(vec![sign_group(&broken)]).remove(0)),
        ErrorCode::InsufficientBalance
    );
    // A member alone carries no valid signature.
    let Submission::Group(members) =
        sign_group(&[transfer(3, 1, 0, 1, 0), transfer(3, 1, 1, 1, 0)])
    else {
        unreachable!()
    };
    let alone = Submission::Single(members[0]);
    assert_eq!(code(rig.send_one(alone)), ErrorCode::InvalidSignature);
    // One leaf twice in a group, one nonce after the other.
    rig.send(vec![sign_group(&[
        transfer(3, 1, 0, 1, 0),
        transfer(3, 1, 1, 1, 0),
    ])])
    .remove(0)
    .unwrap();
    rig.block();
    assert_eq!(rig.balance(1), 2);
}

#[test]
fn what_turns_invalid_while_it_waits_fails_with_its_reason_and_followers_wait() {
    let mut rig = rig();
    // Both orders of the key change are admitted; the transfer signed by the old key is then void.
    let rekey = Transaction {
        action: Action::ChangeKey { key: LeafKey::NULL },
        ..transfer(1, 1, 0, 1, 0)
    };
    rig.send_one(sign(rekey)).unwrap();
    let id = rig.send_one(sign(transfer(1, 2, 1, 1, 0))).unwrap();
    let follower = rig.send_one(sign(transfer(1, 2, 2, 1, 0))).unwrap();
    rig.block();
    match rig.shared().store.transaction(&id).unwrap() {
        Some(TransactionRecord::Failed { code, .. }) => {
            assert_eq!(code, ErrorCode::KeyMismatch.number())
        }
        other => panic!("{other:?}"),
    }
    assert!(rig.shared().store.transaction(&follower).unwrap().is_some());
    assert_eq!(rig.balance(2), 1_000_000);
    assert_eq!(LeafIndex(1), transfer(1, 2, 0, 1, 0).from);
}

#[test]
fn acknowledged_operations_survive_a_restart_and_apply_once() {
    let mut rig = rig();
    let ids: Vec<_> = (0..5)
        .map(|nonce| rig.send_one(sign(transfer(1, 2, nonce, 10, 0))).unwrap())
        .collect();
    rig.block();
    let later = rig.send_one(sign(transfer(2, 3, 0, 7, 0))).unwrap();
    let dir = std::sync::Arc::clone(&rig.dir);
    drop(rig);
    let mut rig = Rig::open(dir, MempoolConfig::default(), crate::JobsConfig::default()).unwrap();
    assert_eq!((rig.balance(1), rig.balance(2)), (999_950, 1_000_050));
    assert_eq!(rig.shared().pool().len(), 1);
    rig.block();
    assert_eq!((rig.balance(2), rig.balance(3)), (1_000_043, 1_000_007));
    for id in ids.iter().chain([&later]) {
        let record = rig.shared().store.transaction(id).unwrap();
        assert!(matches!(record, Some(TransactionRecord::Ordered { .. })));
    }
    assert_eq!(
        code(rig.send_one(sign(transfer(1, 2, 0, 10, 0)))),
        ErrorCode::NonceUsed
    );
}
