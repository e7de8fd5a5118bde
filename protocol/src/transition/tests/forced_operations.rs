//! Inbox items: what each does, and the complete list of rules that make one a no-op.

use super::{
    ABSENT, ALICE, Amount, BALANCE_LIMIT, BOB, HEIGHT, Height, InboxItem, InboxKind, InboxRequest,
    KEYLESS, L1Address, LOCKED, Leaf, LeafIndex, LeafKey, Nonce, OTHER_TOKEN, Operation, Phase,
    RICH, SPENT_NONCES, Stage, TokenId, amount, withdrawal,
};
use crate::{
    params::LEAF_COUNT_MAX,
    testing::{l1_owner, secret_key},
};

/// A request of Alice's owner that its rules let through.
fn request(kind: InboxKind) -> InboxRequest {
    InboxRequest {
        kind: Some(kind),
        from: ALICE,
        to: BOB,
        token: TokenId(0),
        amount: amount(1_001),
        owner: l1_owner(1),
        l1_owner: l1_owner(2),
        key: secret_key(50).public().into(),
    }
}

#[track_caller]
fn expect_noop(stage: &Stage, request: &InboxRequest) {
    let mut after = stage.clone();
    let executed = after.force(request);
    assert!(!executed.applied, "{request:?}");
    assert_eq!(executed.withdrawal, None);
    assert_eq!(after.leaves, stage.leaves);
    assert_eq!(after.threaded.leaf_count, stage.threaded.leaf_count);
    assert_eq!(
        after.threaded.inbox_count,
        stage.threaded.inbox_count + 1,
        "it is consumed"
    );
}

#[test]
fn forced_transfer_moves_an_exact_amount_without_nonce_or_fee() {
    let mut stage = Stage::new();
    let executed = stage.force(&request(InboxKind::ForcedTransfer));
    assert!(executed.applied);
    assert_eq!((stage.balance(ALICE), stage.balance(BOB)), (998_999, 1_501));
    assert_eq!(stage.leaf(ALICE).nonce, Nonce(0));
    let to_self = InboxRequest {
        to: ALICE,
        ..request(InboxKind::ForcedTransfer)
    };
    assert!(stage.force(&to_self).applied);
    assert_eq!(stage.balance(ALICE), 998_999);
}

#[test]
fn forced_transfer_to_new_creates_the_next_leaf() {
    let mut stage = Stage::new();
    let made = request(InboxKind::ForcedTransferToNew);
    assert!(stage.force(&made).applied);
    let expected = Leaf::new(made.key, made.l1_owner, TokenId(0), amount(1_001));
    assert_eq!(stage.leaf(LeafIndex(8)), expected);
    assert_eq!(stage.balance(ALICE), 998_999);
}

#[test]
fn forced_withdraw_and_exit_pay_the_owner() {
    let mut stage = Stage::new();
    let executed = stage.force(&request(InboxKind::ForcedWithdraw));
    assert_eq!(withdrawal(&executed), Some((l1_owner(1), 0, 1, 1_001)));
    let exit = InboxRequest {
        amount: amount(BALANCE_LIMIT - 1), // ignored
        ..request(InboxKind::ForcedExit)
    };
    let executed = stage.force(&exit);
    assert_eq!(withdrawal(&executed), Some((l1_owner(1), 0, 1, 998_999)));
    assert_eq!(stage.balance(ALICE), 0);
    // the leaf lives on, and an empty one may exit again
    let executed = stage.force(&exit);
    assert_eq!(withdrawal(&executed), Some((l1_owner(1), 0, 1, 0)));
}

#[test]
fn forced_change_key_gives_a_keyless_leaf_a_signer() {
    let mut stage = Stage::new();
    let change = InboxRequest {
        from: KEYLESS,
        owner: l1_owner(7),
        key: secret_key(1).public().into(),
        amount: amount(BALANCE_LIMIT - 1), // ignored
        ..request(InboxKind::ForcedChangeKey)
    };
    assert!(stage.force(&change).applied);
    stage.act(KEYLESS, 0, super::transfer(BOB, 1)).unwrap();
    // and back to a key that never signs
    let mut stage = Stage::new();
    let null = InboxRequest {
        key: LeafKey::NULL,
        ..request(InboxKind::ForcedChangeKey)
    };
    assert!(stage.force(&null).applied);
    assert!(stage.act(ALICE, 0, super::transfer(BOB, 1)).is_err());
}

#[test]
fn a_leaf_without_nonces_is_still_served() {
    let mut stage = Stage::new();
    let exit = InboxRequest {
        from: SPENT_NONCES,
        owner: l1_owner(5),
        ..request(InboxKind::ForcedExit)
    };
    assert!(stage.force(&exit).applied);
}

const FORCED: [InboxKind; 5] = [
    InboxKind::ForcedTransfer,
    InboxKind::ForcedTransferToNew,
    InboxKind::ForcedWithdraw,
    InboxKind::ForcedChangeKey,
    InboxKind::ForcedExit,
];

#[test]
fn rules_of_the_sender_make_every_forced_operation_a_no_op() {
    let stage = Stage::new();
    for kind in FORCED {
        let good = request(kind);
        assert!(stage.clone().force(&good).applied);
        expect_noop(
            &stage,
            &InboxRequest {
                from: ABSENT,
                ..good
            },
        ); // from empty
        expect_noop(
            &stage,
            &InboxRequest {
                owner: l1_owner(2),
                ..good
            },
        );
        expect_noop(
            &stage,
            &InboxRequest {
                owner: L1Address::ZERO,
                ..good
            },
        );
        expect_noop(
            &stage,
            &InboxRequest {
                token: TokenId(1),
                ..good
            },
        );
        let locked = InboxRequest {
            from: LOCKED,
            owner: l1_owner(4),
            amount: Amount::ZERO,
            ..good
        };
        expect_noop(&stage, &locked);
        let mut freed = stage.clone();
        freed.leaf_mut(LOCKED).lock_until = Height(HEIGHT.0 - 1);
        assert!(freed.force(&locked).applied);
    }
}

#[test]
fn an_amount_above_the_balance_is_a_no_op() {
    let stage = Stage::new();
    for kind in [
        InboxKind::ForcedTransfer,
        InboxKind::ForcedTransferToNew,
        InboxKind::ForcedWithdraw,
    ] {
        let all = InboxRequest {
            amount: amount(1_000_000),
            ..request(kind)
        };
        assert!(stage.clone().force(&all).applied);
        expect_noop(
            &stage,
            &InboxRequest {
                amount: amount(1_000_001),
                ..all
            },
        );
        expect_noop(
            &stage,
            &InboxRequest {
                amount: amount(BALANCE_LIMIT - 1),
                ..all
            },
        );
        let to_self = InboxRequest {
            to: ALICE,
            amount: amount(1_000_001),
            ..all
        };
        expect_noop(&stage, &to_self);
    }
}

#[test]
fn rules_of_the_recipient_make_a_forced_transfer_a_no_op() {
    let stage = Stage::new();
    let good = request(InboxKind::ForcedTransfer);
    expect_noop(&stage, &InboxRequest { to: ABSENT, ..good });
    expect_noop(
        &stage,
        &InboxRequest {
            to: OTHER_TOKEN,
            ..good
        },
    );
    expect_noop(&stage, &InboxRequest { to: RICH, ..good }); // a credit reaching 2^120
    let mut room = stage.clone();
    room.leaf_mut(RICH).balance = amount(BALANCE_LIMIT - 1 - 1_001);
    assert!(room.force(&InboxRequest { to: RICH, ..good }).applied);
    assert_eq!(room.balance(RICH), BALANCE_LIMIT - 1);
    // a locked leaf can be credited
    assert!(
        stage
            .clone()
            .force(&InboxRequest { to: LOCKED, ..good })
            .applied
    );
}

#[test]
fn new_leaves_need_an_owner_and_room() {
    let stage = Stage::new();
    let good = request(InboxKind::ForcedTransferToNew);
    expect_noop(
        &stage,
        &InboxRequest {
            l1_owner: L1Address::ZERO,
            ..good
        },
    );
    let mut full = stage.clone();
    full.threaded.leaf_count = LEAF_COUNT_MAX;
    expect_noop(&full, &good);
    full.threaded.leaf_count = LEAF_COUNT_MAX - 1;
    assert!(full.force(&good).applied);
    expect_noop(&full, &good);
}

#[test]
fn unknown_types_are_no_ops() {
    let stage = Stage::new();
    for number in (0..16_u8).filter(|number| !(1..=6).contains(number)) {
        let mut item = request(InboxKind::ForcedExit).to_item();
        item.0[0].0[30] = (item.0[0].0[30] & 0xf0) | number;
        let mut after = stage.clone();
        let executed = after.run(&Operation::Inbox(item)).unwrap();
        assert!(!executed.applied);
        assert_eq!(after.leaves, stage.leaves);
    }
}

#[test]
fn spare_bits_change_nothing() {
    let stage = Stage::new();
    for kind in InboxKind::ALL {
        let clean = request(kind).to_item();
        let mut dirty = clean;
        for byte in &mut dirty.0[0].0[..3] {
            *byte = 0xff; // bits 224 to 247 of the head; 220 to 223 follow
        }
        dirty.0[0].0[3] |= 0xf0;
        for byte in &mut dirty.0[1].0[..11] {
            *byte = 0xff;
        }
        for byte in &mut dirty.0[2].0[..9] {
            *byte = 0xff;
        }
        dirty.0[2].0[9] |= 0xf0;
        assert_eq!(clean.request(), dirty.request());
        let run = |item: InboxItem| {
            let mut stage = stage.clone();
            let executed = stage.run(&Operation::Inbox(item)).unwrap();
            (executed, stage.leaves)
        };
        assert_eq!(run(clean), run(dirty));
    }
}

#[test]
fn deposits_credit_the_named_leaf_or_make_one() {
    let mut stage = Stage::new();
    let deposit = request(InboxKind::Deposit); // to Bob, whose owner it states
    assert!(stage.force(&deposit).applied);
    assert_eq!(stage.balance(BOB), 1_501);
    assert_eq!(
        stage.leaf(BOB).key,
        secret_key(2).public().into(),
        "its key stands"
    );
    // another owner, another token, no leaf there: a new leaf each time
    let elsewhere = [
        InboxRequest {
            l1_owner: l1_owner(3),
            ..deposit
        },
        InboxRequest {
            token: TokenId(9),
            ..deposit
        },
        InboxRequest {
            to: ABSENT,
            ..deposit
        },
        InboxRequest {
            to: LeafIndex(u32::MAX),
            ..deposit
        },
    ];
    for (place, deposit) in elsewhere.iter().enumerate() {
        assert!(stage.force(deposit).applied);
        let made = stage.leaf(LeafIndex(8 + u32::try_from(place).unwrap()));
        let expected = Leaf::new(deposit.key, deposit.l1_owner, deposit.token, amount(1_001));
        assert_eq!(made, expected);
    }
    // the leaf named is the one that is created
    let next = InboxRequest {
        to: LeafIndex(12),
        key: LeafKey::NULL,
        ..deposit
    };
    assert!(stage.force(&next).applied);
    assert_eq!(stage.balance(LeafIndex(12)), 1_001);
    assert!(stage.force(&next).applied);
    assert_eq!(stage.balance(LeafIndex(12)), 2_002, "now it is credited");
    // a locked leaf can be credited
    let locked = InboxRequest {
        to: LOCKED,
        l1_owner: l1_owner(4),
        ..deposit
    };
    assert!(stage.force(&locked).applied);
}

/// The depositor, not the leaf's owner, gets it back.
#[test]
fn deposits_that_cannot_be_credited_go_back() {
    let mut stage = Stage::new();
    let overflow = InboxRequest {
        to: RICH,
        l1_owner: l1_owner(6),
        owner: l1_owner(30),
        ..request(InboxKind::Deposit)
    };
    let before = stage.leaves.clone();
    let executed = stage.force(&overflow);
    assert!(!executed.applied);
    assert_eq!(withdrawal(&executed), Some((l1_owner(30), 0, 6, 1_001)));
    assert_eq!(stage.leaves, before);
    stage.threaded.leaf_count = LEAF_COUNT_MAX;
    let no_room = InboxRequest {
        to: ABSENT,
        token: TokenId(7),
        ..overflow
    };
    let executed = stage.force(&no_room);
    assert!(!executed.applied);
    assert_eq!(withdrawal(&executed), Some((l1_owner(30), 7, 99, 1_001)));
    // in a full tree a matching leaf is still credited
    let matching = request(InboxKind::Deposit);
    assert!(stage.force(&matching).applied);
}

/// The Inbox refuses it first; the rules must still be able to prove it.
#[test]
fn a_deposit_without_an_owner_is_a_no_op() {
    let orphan = InboxRequest {
        l1_owner: L1Address::ZERO,
        ..request(InboxKind::Deposit)
    };
    expect_noop(&Stage::new(), &orphan);
}

/// Review H2: no rule names what a sequencer can set. Height matters to locked leaves only.
#[test]
fn nothing_a_sequencer_sets_decides_an_items_fate() {
    for kind in InboxKind::ALL {
        let outcome = |alter: fn(&mut Stage)| {
            let mut stage = Stage::new();
            alter(&mut stage);
            let executed = stage.force(&request(kind));
            (executed, stage.leaves)
        };
        let expected = outcome(|_| {});
        assert!(expected.0.applied);
        let alterations: [fn(&mut Stage); 5] = [
            |stage| stage.threaded.height = Height(u64::MAX),
            |stage| stage.threaded.phase = Phase::BidPending,
            |stage| stage.threaded.fee_leaves = crate::threaded::FeeLeaves::new(&[ABSENT]).unwrap(),
            |stage| stage.threaded.inbox_count = u64::from(u32::MAX),
            |stage| stage.threaded.counts.signed_operations = 1 << 40,
        ];
        for alter in alterations {
            assert_eq!(outcome(alter), expected, "{kind:?}");
        }
    }
}

/// Review H5: a leaf with the victim's key and a stranger's owner is not the victim's.
#[test]
fn the_key_gives_no_right_to_force() {
    let mut stage = Stage::new();
    let alices_key = stage.leaf(ALICE).key;
    let advertised = InboxRequest {
        l1_owner: l1_owner(66),
        key: alices_key,
        to: ABSENT,
        ..request(InboxKind::Deposit)
    };
    stage.force(&advertised);
    let exit = InboxRequest {
        from: LeafIndex(8),
        owner: l1_owner(1),
        ..request(InboxKind::ForcedExit)
    };
    expect_noop(&stage, &exit);
    // and a deposit for Alice that names the stranger's leaf makes a new one
    let deposit = InboxRequest {
        to: LeafIndex(8),
        l1_owner: l1_owner(1),
        key: alices_key,
        ..request(InboxKind::Deposit)
    };
    assert!(stage.force(&deposit).applied);
    assert_eq!(stage.leaf(LeafIndex(9)).l1_owner, l1_owner(1));
    assert_eq!(stage.balance(LeafIndex(8)), 1_001);
}
