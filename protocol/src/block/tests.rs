//! Honest blocks are accepted; each core field, signature, shape and bid that is wrong is refused.

use ark_ff::{Field, Zero};

use super::*;
use crate::{
    codec::from_bytes,
    inbox::InboxItem,
    number::{Amount, Nonce},
    params::{INBOX_PER_BATCH_MAX, ITEM_WORDS},
    testing::{
        BlockShape, Draft, Drafter, World, amount, generator, l1_owner, leaf, secret_key, soak,
    },
    threaded::Threaded,
    transaction::{Action, SignedBid, SignedTransaction, Transaction},
    words::Word,
};

const COLLATERAL: LeafIndex = LeafIndex(4);

/// Leaves of token 0 (keys 0 to 3), collateral at 4, a leaf of token 1 at 5.
fn world() -> World {
    let mut leaves: Vec<Leaf> = (0..5).map(|number| leaf(number, 0, 1_000_000)).collect();
    leaves[4].balance = amount(1 << 60);
    leaves[4].lock_until = Height(2 * EPOCH_HEIGHTS + 1);
    leaves.push(leaf(5, 1, 1_000));
    World::new(leaves, 6)
}

fn apply(world: &World, block: &Block) -> Result<BlockEffects, InvalidBlock> {
    let chain_id = world.genesis.chain_id;
    apply_block(&world.state, &world.tip, &world.domain, chain_id, block)
}

/// Signed transfer of 10 from leaf `from` to leaf 3.
fn draft(from: u32, nonce: u64) -> Draft {
    Draft {
        transaction: Transaction {
            from: LeafIndex(from),
            nonce: Nonce(nonce),
            valid_until: Height(100),
            fee: Amount::ZERO,
            action: Action::Transfer {
                to: LeafIndex(3),
                amount: amount(10),
            },
        },
        fee_leaf: 0,
    }
}

fn with_drafter<T>(world: &World, make: impl Fn(Drafter<'_, State>) -> T) -> T {
    let threaded = Threaded::batch_start(world.state.root(), 5, world.tip.height, 0);
    make(Drafter {
        view: &world.state,
        threaded: &threaded,
        domain: &world.domain,
        keyring: &world.keyring,
    })
}

fn single(world: &World, from: u32, nonce: u64) -> Entry {
    with_drafter(world, |drafter| drafter.entry(&draft(from, nonce)))
}

fn group(world: &World, drafts: &[Draft]) -> Entry {
    with_drafter(world, |drafter| drafter.group(drafts))
}

fn block(world: &World, entries: Vec<Entry>) -> Block {
    world.plain_block(vec![], entries)
}

#[test]
fn random_blocks_are_accepted_and_do_what_was_built() {
    for seed in 0..soak(3) {
        let mut rng = generator(seed);
        let mut world = World::random(&mut rng, 30);
        for _ in 0..6 {
            let shape = BlockShape::random(&mut rng, 12);
            let block = world.random_block(&mut rng, &shape);
            let mut execution = BlockExecution::new(
                &world.state,
                &world.tip,
                &block.header.core.fee_leaves,
                block.header.bid.is_some(),
            );
            for operation in block.operations(&world.domain) {
                execution.push(&world.domain, &operation).unwrap();
            }
            let inbox_count = execution.threaded.inbox_count;
            let (changes, executed) = execution.finish().unwrap();
            assert_eq!(from_bytes::<Block>(&to_bytes(&block)).as_ref(), Ok(&block));
            let tip = world.tip;
            let effects = world.apply(&block);
            assert_eq!((&effects.changes, &effects.executed), (&changes, &executed));
            assert_eq!(executed.len(), block.operation_count());
            assert_eq!(effects.tip.height, Height(tip.height.0 + 1));
            assert_eq!(effects.tip.inbox_count, inbox_count);
            assert_eq!(effects.tip.id, block.id());
        }
    }
}

#[test]
fn every_core_field_is_bound() {
    let world = world();
    let good = block(&world, vec![single(&world, 1, 0)]);
    assert!(apply(&world, &good).is_ok());
    let with = |alter: &dyn Fn(&mut BlockCore)| {
        let mut block = good.clone();
        alter(&mut block.header.core);
        assert_ne!(block.id(), good.id());
        apply(&world, &block)
    };
    let is_core = |result: Result<BlockEffects, InvalidBlock>| {
        assert!(matches!(result, Err(InvalidBlock::Core(_))), "{result:?}");
    };
    is_core(with(&|core| core.chain_id = 1));
    is_core(with(&|core| core.height = Height(0)));
    is_core(with(&|core| core.height = Height(2)));
    is_core(with(&|core| core.parent = BlockId([9; 32])));
    is_core(with(&|core| core.fee_leaves = FeeLeaves::NONE));
    is_core(with(&|core| core.timestamp_ms = world.tip.timestamp_ms));
    is_core(with(&|core| core.timestamp_ms = 0));
    is_core(with(&|core| core.state_root_before += Fr::ONE));
    assert_eq!(
        with(&|core| core.payload_root = [0; 32]),
        Err(InvalidBlock::PayloadRoot)
    );
    // what execution does not read is still part of the id that certificates sign
    assert!(with(&|core| core.author = l1_owner(99)).is_ok());
    let last = Tip {
        height: Height(u64::MAX),
        ..world.tip
    };
    let refused = apply_block(&world.state, &last, &world.domain, 31_337, &good);
    assert!(matches!(refused, Err(InvalidBlock::Core(_))));
}

#[test]
fn a_payload_under_another_root_is_refused() {
    let world = world();
    let mut other = block(&world, vec![single(&world, 1, 0)]);
    other.payload.entries.push(single(&world, 2, 0));
    assert_eq!(apply(&world, &other), Err(InvalidBlock::PayloadRoot));
}

#[test]
fn wrong_signatures_are_refused() {
    let world = world();
    let signed = with_drafter(&world, |drafter| drafter.sign(&draft(1, 0).transaction));
    let refuse = |member: SignedTransaction| {
        let entry = Entry::Submission {
            submission: Submission::Single(member),
            fee_leaves: vec![0],
        };
        // a good one in the same batch of signatures does not help
        let block = block(&world, vec![single(&world, 2, 0), entry]);
        assert_eq!(apply(&world, &block), Err(InvalidBlock::Signature));
    };
    let changed = |alter: fn(&mut Transaction)| {
        let mut member = signed;
        alter(&mut member.transaction);
        refuse(member);
    };
    changed(|transaction| transaction.action = Action::Withdraw { amount: amount(10) });
    changed(|transaction| transaction.valid_until = Height(101));
    changed(|transaction| transaction.fee = amount(1));
    changed(|transaction| transaction.nonce = Nonce(1));
    refuse(SignedTransaction {
        key: secret_key(2).public(),
        ..signed
    });
    // review C6: signed for another chain
    let mut foreign = world.clone();
    foreign.domain = Domain::new(1, foreign.genesis.rollup, foreign.genesis.params_hash(), 1);
    let elsewhere = with_drafter(&foreign, |drafter| drafter.sign(&draft(1, 0).transaction));
    refuse(elsewhere);
    // a member of a group alone, though its own fields are right
    let Entry::Submission { submission, .. } = group(&world, &[draft(1, 0), draft(2, 0)]) else {
        panic!("a group is a submission");
    };
    refuse(submission.members()[0]);
}

#[test]
fn the_key_that_signed_must_be_the_leafs() {
    let world = world();
    let transaction = draft(1, 0).transaction;
    let thief = secret_key(2);
    let entry = Entry::Submission {
        submission: Submission::Single(SignedTransaction {
            transaction,
            key: thief.public(),
            signature: thief.sign(&transaction.message(&world.domain, false)),
        }),
        fee_leaves: vec![0],
    };
    assert_eq!(
        apply(&world, &block(&world, vec![entry])),
        Err(InvalidBlock::Operation {
            place: 0,
            reason: InvalidOperation::KeyMismatch {
                index: LeafIndex(1)
            }
        })
    );
}

#[test]
fn groups_have_two_to_sixteen_members_and_a_selector_each() {
    let world = world();
    let drafts: Vec<Draft> = (0..17).map(|nonce| draft(1, nonce)).collect();
    for count in [0, 1, 17] {
        let block = block(&world, vec![group(&world, &drafts[..count])]);
        assert!(
            matches!(apply(&world, &block), Err(InvalidBlock::Payload(_))),
            "{count}"
        );
    }
    for count in [2, 16] {
        assert!(
            apply(
                &world,
                &block(&world, vec![group(&world, &drafts[..count])])
            )
            .is_ok()
        );
    }
    for selectors in [vec![], vec![0], vec![0; 3]] {
        let Entry::Submission { submission, .. } = group(&world, &drafts[..2]) else {
            panic!("a group is a submission");
        };
        let entry = Entry::Submission {
            submission,
            fee_leaves: selectors,
        };
        let refused = apply(&world, &block(&world, vec![entry]));
        assert!(matches!(refused, Err(InvalidBlock::Payload(_))));
    }
}

/// Nothing ordered can fail to fit: a block that no batch could hold alone would halt the chain.
#[test]
fn a_block_fits_one_batch_alone() {
    let world = world();
    let item = InboxItem([Word([0xff; 31]); ITEM_WORDS]);
    let most = usize::try_from(INBOX_PER_BATCH_MAX).unwrap();
    assert!(apply(&world, &world.plain_block(vec![item; most], vec![])).is_ok());
    let refused = apply(&world, &world.plain_block(vec![item; most + 1], vec![]));
    assert!(matches!(refused, Err(InvalidBlock::Payload(_))));
    let many: Vec<Entry> = vec![single(&world, 1, 0); 2_049];
    assert!(matches!(
        apply(&world, &block(&world, many)),
        Err(InvalidBlock::Payload(_))
    ));
    let flood = vec![item; BLOCK_OPERATIONS_MAX + 1];
    let refused = apply(&world, &world.plain_block(flood, vec![]));
    assert_eq!(refused, Err(InvalidBlock::Payload("too many operations")));
}

#[test]
fn an_invalid_operation_makes_the_whole_block_invalid() {
    let mut world = world();
    let entries = vec![
        single(&world, 1, 0),
        single(&world, 2, 7),
        single(&world, 3, 0),
    ];
    let expected = InvalidBlock::Operation {
        place: 1,
        reason: InvalidOperation::NonceMismatch {
            expected: Nonce(0),
            actual: Nonce(7),
        },
    };
    assert_eq!(apply(&world, &block(&world, entries)), Err(expected));
    // a replay of yesterday's payload
    let good = block(&world, vec![single(&world, 1, 0)]);
    world.apply(&good);
    let again = world.block(good.payload.clone(), good.header.core.fee_leaves);
    assert!(matches!(
        apply(&world, &again),
        Err(InvalidBlock::Operation {
            place: 0,
            reason: InvalidOperation::NonceMismatch { .. }
        })
    ));
    assert!(matches!(apply(&world, &good), Err(InvalidBlock::Core(_))));
}

fn bid_block(world: &World, leaf: LeafIndex, value: u128) -> Block {
    let mut block = block(world, vec![single(world, 1, 0)]);
    world.seal_bid(&mut block, leaf, amount(value));
    block
}

#[test]
fn a_bid_pays_for_its_own_block() {
    let world = world();
    let good = bid_block(&world, COLLATERAL, 5_000);
    let effects = apply(&world, &good).unwrap();
    assert_eq!(effects.changes[&LeafIndex(0)].balance, amount(1_005_000));
    // sealing again gives the same bid: its hash does not cover itself
    let mut again = good.clone();
    world.seal_bid(&mut again, COLLATERAL, amount(5_000));
    assert_eq!(again, good);
}

/// A proposer must not take a bid for a block of its own making.
#[test]
fn a_bid_for_another_core_is_refused() {
    let world = world();
    let good = bid_block(&world, COLLATERAL, 5_000);
    let reseal = |alter: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        alter(&mut block);
        let bid = block.header.bid.take();
        world.seal(&mut block);
        block.header.bid = bid;
        block.header.core.usage = Usage::of(&block.operations(&world.domain));
        apply(&world, &block)
    };
    let refused = InvalidBlock::Bid("it was made for another core");
    assert_eq!(
        reseal(&|block| drop(block.payload.entries.pop())),
        Err(refused.clone())
    );
    assert_eq!(
        reseal(&|block| block.header.core.author = l1_owner(4)),
        Err(refused.clone())
    );
    assert_eq!(
        reseal(&|block| block.header.core.timestamp_ms += 1),
        Err(refused.clone())
    );
    let others = FeeLeaves::new(&[LeafIndex(2)]).unwrap();
    assert_eq!(
        reseal(&|block| block.header.core.fee_leaves = others),
        Err(refused)
    );
    assert!(reseal(&|_| {}).is_ok());
    // the value is under the collateral's signature
    let lowered = reseal(&|block| {
        if let Some(signed) = &mut block.header.bid {
            signed.bid.value = amount(1);
            *signed = SignedBid::new(signed.bid, &world.domain, &world.builder);
        }
    });
    assert_eq!(lowered, Err(InvalidBlock::Signature));
}

#[test]
fn a_bid_needs_locked_sufficient_collateral_of_the_right_token() {
    let world = world();
    let refused = |world: &World, leaf: LeafIndex, value: u128, part: &str| match apply(
        world,
        &bid_block(world, leaf, value),
    ) {
        Err(InvalidBlock::Bid(reason)) => assert!(reason.contains(part), "{reason}"),
        other => panic!("expected an invalid bid ({part}): {other:?}"),
    };
    refused(&world, LeafIndex(99), 5, "does not exist");
    refused(&world, LeafIndex(2), 5, "two epochs");
    let with = |alter: fn(&mut Leaf)| {
        let mut leaves = world.genesis.leaves.clone();
        alter(&mut leaves[4]);
        World::new(leaves, 6)
    };
    refused(
        &with(|leaf| leaf.lock_until.0 -= 1),
        COLLATERAL,
        5,
        "two epochs",
    );
    refused(&world, COLLATERAL, (1 << 60) + 1, "cover");
    let below_floor = with(|leaf| leaf.balance = amount(BID_FLOOR - 1));
    refused(&below_floor, COLLATERAL, 5, "cover");
    let at_floor = with(|leaf| leaf.balance = amount(BID_FLOOR));
    assert!(apply(&at_floor, &bid_block(&at_floor, COLLATERAL, 5)).is_ok());
    let other_token = with(|leaf| leaf.token = crate::number::TokenId(1));
    refused(&other_token, COLLATERAL, 5, "token");
    assert!(apply(&world, &bid_block(&world, COLLATERAL, 1 << 60)).is_ok());
}

#[test]
fn an_entry_applies_whole_or_not_at_all() {
    let world = world();
    let fee_leaves = world.genesis.fee_leaves;
    let mut execution = BlockExecution::new(&world.state, &world.tip, &fee_leaves, false);
    execution
        .push_entry(&world.domain, &single(&world, 1, 0))
        .unwrap();
    let (threaded, sender) = (execution.threaded, execution.leaf(LeafIndex(2)));
    // the third member spends a nonce that is not next
    let broken = group(&world, &[draft(2, 0), draft(2, 1), draft(2, 9)]);
    let (member, reason) = execution.push_entry(&world.domain, &broken).unwrap_err();
    assert_eq!(member, 2);
    assert!(matches!(reason, InvalidOperation::NonceMismatch { .. }));
    for malformed in [group(&world, &[]), group(&world, &[draft(2, 0)])] {
        let refused = execution.push_entry(&world.domain, &malformed);
        assert_eq!(refused, Err((0, InvalidOperation::GroupMismatch)));
    }
    assert_eq!(execution.threaded, threaded);
    assert_eq!(execution.leaf(LeafIndex(2)), sender);
    // and the execution goes on
    let whole = group(&world, &[draft(2, 0), draft(2, 1), draft(2, 2)]);
    execution.push_entry(&world.domain, &whole).unwrap();
    assert_eq!(execution.threaded.counts.signed_operations, 4);
    let (changes, executed) = execution.finish().unwrap();
    assert_eq!(executed.len(), 4);
    assert_eq!(changes[&LeafIndex(3)].balance, amount(1_000_040));
}

#[test]
fn a_block_closes_without_open_group_or_promise() {
    let world = world();
    let fee_leaves = world.genesis.fee_leaves;
    let promised = BlockExecution::new(&world.state, &world.tip, &fee_leaves, true);
    assert_eq!(promised.finish().err(), Some(InvalidOperation::BidMissing));
    let mut open = BlockExecution::new(&world.state, &world.tip, &fee_leaves, false);
    let operations = group(&world, &[draft(1, 0), draft(2, 0)]).operations(&world.domain);
    open.push(&world.domain, &operations[0]).unwrap();
    assert_eq!(open.finish().err(), Some(InvalidOperation::GroupOpen));
    let mut closed = BlockExecution::new(&world.state, &world.tip, &FeeLeaves::NONE, false);
    assert_eq!(
        closed.push(&world.domain, &operations[0]),
        Err(InvalidOperation::NoBlock),
        "without fee leaves no block opens"
    );
    let empty = BlockExecution::new(&world.state, &world.tip, &fee_leaves, false);
    assert_eq!(empty.finish(), Ok((BTreeMap::new(), vec![])));
}

#[test]
fn empty_blocks_are_valid_and_change_nothing_but_the_tip() {
    let mut world = world();
    let root = world.state.root();
    let empty = block(&world, vec![]);
    assert!(empty.is_empty());
    let effects = world.apply(&empty);
    assert!(effects.changes.is_empty() && effects.executed.is_empty());
    assert_eq!((world.state.root(), world.tip.height), (root, Height(1)));
    assert!(!root.is_zero());
}
