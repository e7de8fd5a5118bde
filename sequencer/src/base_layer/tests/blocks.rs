//! Blocks on a base layer: what a proposer builds, what a judge thinks of it, and what it does.

use protocol::{
    block::{Block, InvalidBlock},
    inbox::InboxKind,
    number::{Height, Round},
    params::INBOX_PER_BATCH_MAX,
    rebuild::apply_words,
    transaction::{SignedTransaction, Submission},
    validity::{BaseLayerView, Missing, OriginStatus, Verdict},
};

use super::*;
use crate::{
    builder::{
        Exchange,
        rig::{BidRig, COLLATERAL},
    },
    fixture::{key, transfer, validator},
};
use stage::{deposit, request};

fn exit_of(leaf: u32) -> InboxItem {
    let request = protocol::inbox::InboxRequest {
        from: protocol::number::LeafIndex(leaf),
        owner: owner_account(1),
        ..request(InboxKind::ForcedExit)
    };
    request.to_item()
}

fn credit(amount: u128) -> InboxItem {
    deposit(1, owner_account(1), amount).to_item()
}

/// A payment by leaf `from`, signed for this chain.
fn payment(from: u8, nonce: u64, amount: u128) -> Submission {
    let transaction = transfer(from, 3, nonce, amount, 2);
    let domain = genesis().domain();
    Submission::Single(SignedTransaction {
        transaction,
        key: key(from).public(),
        signature: key(from).sign(&transaction.message(&domain, false)),
    })
}

fn valid(rig: &Rig, block: &Block) {
    let verdict = rig.executor.judge(block).unwrap();
    assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
}

#[test]
fn the_next_items_stand_first_and_do_what_they_say() {
    let rig = rig();
    write(&rig, 9, &[(credit(500), 3, None), (exit_of(2), 9, None)]);
    let mut rig = on_base_layer(rig);
    rig.send_one(payment(1, 0, 1_000_100)).unwrap_err(); // more than it has before the deposit
    rig.send_one(payment(2, 0, 10)).unwrap();
    let judged = rig.propose();
    assert_eq!(judged.block.payload.inbox, [credit(500), exit_of(2)]);
    assert_eq!(judged.block.header.core.l1_origin, origin(9));
    assert_eq!(judged.effects.tip.inbox_count, 2);
    valid(&rig, &judged.block);
    rig.commit(judged);
    assert_eq!(rig.balance(1), 1_000_500);
    assert_eq!(rig.balance(2), 999_988, "account 1 does not own leaf 2");
    rig.now_ms += 200;
    // admission looks at what the deposit has left
    rig.send_one(payment(1, 0, 1_000_100)).unwrap();
    let judged = rig.propose();
    assert!(judged.block.payload.inbox.is_empty());
    assert_eq!(judged.block.header.core.l1_origin, origin(9), "repeated");
    valid(&rig, &judged.block);
    rig.commit(judged);
    assert_eq!(rig.balance(1), 398);
}

/// A pending payment whose money an item takes away fails, and the block is valid all the same.
#[test]
fn an_exit_before_a_payment_fails_the_payment() {
    let rig = rig();
    let mut rig = on_base_layer(rig);
    let id = rig.send_one(payment(1, 0, 10)).unwrap();
    write(&rig, 9, &[(exit_of(1), 3, None)]);
    rig = on_base_layer(rig);
    let judged = rig.propose();
    assert!(judged.block.payload.entries.is_empty());
    assert!(judged.effects.executed[0].withdrawal.is_some());
    valid(&rig, &judged.block);
    rig.commit(judged);
    assert_eq!((rig.balance(1), rig.shared().pool().len()), (0, 0));
    let record = rig.shared().store.transaction(&id).unwrap().unwrap();
    assert!(
        matches!(record, crate::storage::TransactionRecord::Failed { .. }),
        "{record:?}"
    );
}

#[test]
fn a_block_takes_as_many_items_as_a_batch_and_the_next_the_rest() {
    let rig = rig();
    let most = usize::try_from(INBOX_PER_BATCH_MAX).unwrap();
    let items = vec![(credit(1), 3, Some(9)); most + 5];
    write(&rig, 9, &items);
    let mut rig = on_base_layer(rig);
    rig.send_one(payment(2, 0, 10)).unwrap();
    for (count, paid) in [(most, 1), (5, 0), (0, 0)] {
        let judged = rig.propose();
        let payload = &judged.block.payload;
        assert_eq!((payload.inbox.len(), payload.entries.len()), (count, paid));
        valid(&rig, &judged.block);
        rig.commit(judged);
        rig.now_ms += 200;
    }
    assert_eq!(
        rig.balance(1),
        1_000_000 + u128::try_from(most + 5).unwrap()
    );
}

/// Built by a proposer that has never heard of a base layer, with this origin.
fn without_items(rig: &Rig, number: u64) -> Block {
    let blind = rig
        .executor
        .propose(Height(1), Round(0), validator().address());
    let mut block = (*blind.unwrap().block).clone();
    block.header.core.l1_origin = origin(number);
    block
}

#[test]
fn a_due_item_may_not_be_left_out_and_others_may() {
    let blind = rig();
    let rig = rig();
    write(&rig, 20, &[(credit(500), 3, Some(9)), (credit(1), 4, None)]);
    let rig = on_base_layer(rig);
    let judge = |number: u64| rig.executor.judge(&without_items(&blind, number)).unwrap();
    assert!(judge(8).is_valid());
    for number in [9, 20] {
        let verdict = judge(number);
        assert!(
            matches!(verdict, Verdict::Invalid(InvalidBlock::Inbox(_))),
            "{verdict:?}"
        );
    }
    let unknown = Missing::Origin(origin(21));
    assert_eq!(judge(21), Verdict::Unknown(unknown));
}

#[test]
fn an_old_origin_is_judged_as_when_it_was_new() {
    let rig = rig();
    write(&rig, 20, &[]);
    let part = load(&rig);
    let at = |origin: L1Origin| part.read().status(&origin);
    for number in 1..=20 {
        assert_eq!(at(origin(number)), OriginStatus::Final);
        let other = L1Origin {
            hash: [0xee; 32],
            ..origin(number)
        };
        assert_eq!(at(other), OriginStatus::Conflicting);
    }
    assert_eq!(at(origin(21)), OriginStatus::Unknown);
    assert_eq!(at(L1Origin::default()), OriginStatus::Final);
    let zero = L1Origin {
        number: 0,
        hash: [1; 32],
    };
    assert_eq!(at(zero), OriginStatus::Conflicting, "below the first block");
}

/// What was promised stands under the items that were known then, whatever comes in between.
#[test]
fn a_promise_is_kept_when_an_item_that_would_break_it_becomes_final_meanwhile() {
    let rig = rig();
    write(&rig, 5, &[(credit(5), 3, None)]);
    let rig = on_base_layer(rig);
    let own = validator().address();
    let promised = rig.send_one(payment(1, 0, 10)).unwrap();
    rig.executor.promise(own, promised).unwrap();
    let items = [(credit(5), 3, None), (exit_of(1), 7, None)];
    write(&rig, 9, &items);
    // the same chain in memory: nothing but the final part is read anew
    let part = load(&rig);
    let dir = Arc::clone(&rig.dir);
    let executor = Arc::into_inner(rig.executor).unwrap();
    let executor = Arc::new(executor.on_base_layer(Some(part)));
    let judged = executor.propose(Height(1), Round(0), own).unwrap();
    assert_eq!(judged.block.header.core.l1_origin, origin(5));
    assert_eq!(judged.block.payload.inbox, [credit(5)]);
    assert_eq!(judged.block.payload.entries.len(), 1);
    assert!(executor.judge(&judged.block).unwrap().is_valid());
    drop((executor, rig.queue));
    // and after a restart
    let (mempool, jobs) = (MempoolConfig::default(), JobsConfig::default());
    let rig = on_base_layer(Rig::open_chain(&genesis(), dir, mempool, jobs).unwrap());
    rig.executor.restore_promises().unwrap();
    let again = rig.propose();
    assert_eq!(again.block.id(), judged.block.id());
}

#[test]
fn a_block_is_proposed_only_after_its_origin_was_final_for_a_while() {
    let rig = rig();
    let store = Arc::clone(&rig.shared().store);
    let config = BaseLayerConfig {
        origin_delay: Duration::from_secs(3_600),
        ..silent()
    };
    write(&rig, 5, &[]);
    let part = FinalPart::load(store, &config).unwrap();
    let parent = L1Origin::default();
    assert_eq!(part.origin_above(&parent), origin(5), "known before");
    write(&rig, 6, &[]);
    part.publish(&record(6));
    assert_eq!(part.origin_above(&parent), origin(5));
    assert_eq!(part.origin_above(&origin(7)), origin(7), "never below");
    assert_eq!(part.read().status(&origin(6)), OriginStatus::Final);
}

#[test]
fn a_sold_block_holds_the_items_before_its_payment() {
    let rig = BidRig::new().rig;
    let rig = on_base_layer(rig);
    let (exchange, sold) = Exchange::new(Arc::clone(&rig.executor));
    let mut rig = BidRig {
        rig,
        exchange,
        sold,
    };
    rig.decide_own(0, None);
    write(&rig.rig, 9, &[(credit(500), 3, Some(8))]);
    let part = rig.rig.executor.base_layer.as_ref().unwrap();
    part.publish(&record(9));
    rig.send(4, 100);
    let leaves = rig.rig.shared().chain.view().leaves.len();
    let offer = rig.offer(COLLATERAL[0]);
    assert_eq!(offer.core.l1_origin, origin(9));
    assert_eq!(offer.payload.inbox, [credit(500)]);
    let header = rig.sign(COLLATERAL[0], &offer);
    assert_eq!(rig.rig.executor.judge_header(&header), Ok(Ok(())));
    let block = Block {
        header,
        payload: offer.payload,
    };
    valid(&rig.rig, &block);
    rig.decide(block, 0, None);
    // its owner had no such leaf: the deposit made one
    assert_eq!(rig.rig.shared().chain.view().leaves.len(), leaves + 1);
    assert_eq!(rig.rig.executor.tip().inbox_count, 1);
}

/// The words of a batch with items, and genesis, give every leaf back; the batch's header says when its last origin was.
#[test]
fn a_batch_with_items_is_rebuilt_from_its_words_and_certified_with_the_origins_time() {
    let rig = rig();
    let items = [(credit(500), 3, None), (exit_of(1), 4, None)];
    write(&rig, 9, &items);
    let mut rig = on_base_layer(rig);
    rig.send_one(payment(2, 0, 10)).unwrap();
    rig.block();
    rig.block_after(protocol::params::BATCH_AGE_MS_MAX + 1_000);
    rig.send_one(payment(2, 1, 10)).unwrap();
    rig.block_after(protocol::params::BATCH_AGE_MS_MAX + 1_000);
    rig.block();
    rig.batcher();
    let store = &rig.shared().store;
    let batch = store.batch(protocol::number::BatchNumber(1)).unwrap();
    let batch = batch.expect("sealed");
    let genesis = genesis();
    let start = (genesis.state(), Height(0), 0);
    let (state, _, inbox_count) = apply_words(start, &batch.words).unwrap();
    assert_eq!((state.root(), inbox_count), (batch.end.root, 2));
    assert_eq!(state.leaves()[1].balance.get(), 0);
    let last = store.block(batch.last_height).unwrap().unwrap();
    let named = last.block.header.core.l1_origin;
    assert_eq!(named, origin(9));
    assert_eq!(store.origin_time(&named), Ok(base_block(9).time));
    let other = L1Origin {
        hash: [1; 32],
        ..named
    };
    assert!(store.origin_time(&other).is_err());
}
