//! Atomic groups: 2 to 16 members, in order, uncut, inside one block.

use super::{
    ALICE, Action, BOB, InvalidOperation, OTHER_TOKEN, Operation, Stage, amount, transfer,
};
use crate::{
    block::Entry,
    number::{LeafIndex, Nonce},
    testing::Draft,
    threaded::OpenGroup,
};

/// A swap and more: member n is a transfer between Alice and Bob, nonces in order.
fn drafts(stage: &Stage, members: u64) -> Vec<Draft> {
    (0..members)
        .map(|place| {
            let (from, to) = if place % 2 == 0 {
                (ALICE, BOB)
            } else {
                (BOB, ALICE)
            };
            let mut transaction = stage.transaction(from, 0, transfer(to, 10));
            transaction.nonce = Nonce(place / 2);
            Draft {
                transaction,
                fee_leaf: 0,
            }
        })
        .collect()
}

fn operations(stage: &Stage, members: u64) -> Vec<Operation> {
    stage
        .drafter()
        .group(&drafts(stage, members))
        .operations(&stage.domain)
}

fn run_all(stage: &mut Stage, operations: &[Operation]) -> Result<(), (usize, InvalidOperation)> {
    operations
        .iter()
        .enumerate()
        .try_for_each(|(place, operation)| {
            stage
                .run(operation)
                .map(|_| ())
                .map_err(|error| (place, error))
        })
}

#[test]
fn two_to_sixteen_members_apply_in_order() {
    for members in [2, 3, 15, 16] {
        let mut stage = Stage::new();
        let operations = operations(&stage, members);
        for (place, operation) in operations.iter().enumerate() {
            stage.run(operation).unwrap();
            let is_last = place + 1 == operations.len();
            assert_eq!(stage.threaded.group.is_open(), !is_last);
        }
        assert_eq!(stage.threaded.group, OpenGroup::NONE);
        assert_eq!(stage.threaded.counts.signed_operations, members);
        assert_eq!(stage.leaf(ALICE).nonce, Nonce(members.div_ceil(2)));
    }
}

#[test]
fn one_and_seventeen_members_are_refused() {
    let mut stage = Stage::new();
    let operations_of_one = operations(&stage, 1);
    let refused = run_all(&mut stage, &operations_of_one);
    assert_eq!(refused, Err((0, InvalidOperation::GroupMismatch)));
    let operations_of_many = operations(&stage, 17);
    let refused = run_all(&mut stage, &operations_of_many);
    assert_eq!(refused, Err((16, InvalidOperation::GroupMismatch)));
}

#[test]
fn members_cannot_be_cut_reordered_repeated_or_replaced() {
    let fresh = Stage::new();
    let whole = operations(&fresh, 4);
    let refused = |operations: &[Operation]| {
        let mut stage = fresh.clone();
        run_all(&mut stage, operations).unwrap_err()
    };
    // a member left out: of the front, of the middle
    assert!(refused(&whole[1..]).0 < 3);
    assert!(refused(&[whole[0], whole[1], whole[3]]).0 < 3);
    // closed early: the flag of the second member says it is the last
    let mut early = whole.clone();
    if let Operation::Signed {
        group: Some(group), ..
    } = &mut early[1]
    {
        group.last = true;
    }
    assert_eq!(refused(&early), (1, InvalidOperation::GroupMismatch));
    // reordered: members 0 and 1 act on different leaves, so only the hash can tell
    let reordered = [whole[1], whole[0], whole[2], whole[3]];
    assert_eq!(refused(&reordered), (3, InvalidOperation::GroupMismatch));
    // an outsider in between, and the end of the group missing
    let outsider = fresh.signed(
        fresh.transaction(OTHER_TOKEN, 0, Action::Withdraw { amount: amount(1) }),
        0,
    );
    assert_eq!(
        refused(&[whole[0], outsider]),
        (1, InvalidOperation::GroupOpen)
    );
    // a member of another group
    let mut other = fresh.clone();
    other.domain.0 += crate::Fr::from(1_u64);
    let foreign = operations(&other, 4);
    assert_eq!(
        refused(&[whole[0], foreign[1]]),
        (1, InvalidOperation::GroupOpen)
    );
    // a member whose content changed after signing: G no longer closes
    let mut changed = whole.clone();
    if let Operation::Signed { transaction, .. } = &mut changed[2] {
        transaction.transaction.action = transfer(BOB, 11);
    }
    assert_eq!(refused(&changed), (3, InvalidOperation::GroupMismatch));
}

#[test]
fn a_member_alone_is_not_what_its_author_signed() {
    let stage = Stage::new();
    let Entry::Submission { submission, .. } = stage.drafter().group(&drafts(&stage, 2)) else {
        panic!("a group is a submission");
    };
    let member = submission.members()[0];
    let alone = crate::transaction::Submission::Single(member);
    let claims = alone.claims(&stage.domain);
    assert!(!crate::signature::verify_batch(&claims));
    assert!(crate::signature::verify_batch(
        &submission.claims(&stage.domain)
    ));
    // and a signature over M with in_group = 0 does not serve in a group
    let single = stage.drafter().sign(&member.transaction);
    let mut members = submission.members().to_vec();
    members[0] = single;
    let mixed = crate::transaction::Submission::Group(members);
    assert_eq!(
        crate::signature::invalid_claims(&mixed.claims(&stage.domain)),
        vec![0]
    );
}

#[test]
fn inbox_bids_and_blocks_cannot_split_a_group() {
    let mut stage = Stage::new();
    let whole = operations(&stage, 2);
    stage.run(&whole[0]).unwrap();
    let burn = stage
        .drafter()
        .bid(ALICE, super::HEIGHT, amount(1), crate::Fr::from(1_u64));
    assert_eq!(
        stage.run(&Operation::BidBurn(burn)),
        Err(InvalidOperation::GroupOpen)
    );
    assert_eq!(
        stage.run(&Operation::BidPay(burn)),
        Err(InvalidOperation::BidOutOfPlace)
    );
    let item = crate::testing::random_item(&mut crate::testing::generator(2));
    assert_eq!(
        stage.run(&Operation::Inbox(item)),
        Err(InvalidOperation::InboxOutOfPlace)
    );
    let mut threaded = stage.threaded;
    let refused = super::open_block(&mut threaded, &super::header(false));
    assert_eq!(refused, Err(InvalidOperation::GroupOpen));
    assert!(!stage.threaded.is_batch_end());
    // a Noop changes nothing, and the group goes on
    stage.run(&Operation::Noop).unwrap();
    stage.run(&whole[1]).unwrap();
    assert!(stage.threaded.is_batch_end());
}

#[test]
fn members_may_share_a_leaf_and_spend_what_an_earlier_member_paid() {
    let mut stage = Stage::new();
    let poor = LeafIndex(7);
    stage.leaf_mut(poor).key = stage.keyring.key(7).public().into();
    stage.leaf_mut(poor).balance = amount(0);
    let fund = Draft {
        transaction: stage.transaction(ALICE, 0, transfer(poor, 50)),
        fee_leaf: 0,
    };
    let spend = Draft {
        transaction: stage.transaction(poor, 0, transfer(BOB, 50)),
        fee_leaf: 0,
    };
    let operations = stage
        .drafter()
        .group(&[fund, spend])
        .operations(&stage.domain);
    run_all(&mut stage, &operations).unwrap();
    assert_eq!((stage.balance(poor), stage.balance(BOB)), (0, 550));
}
