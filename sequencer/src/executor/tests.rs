//! Blocks built, judged and committed on a small chain.

use protocol::validity::Verdict;

use super::*;
use crate::{
    config::MempoolConfig,
    fixture::{Rig, domain, genesis, sign, transfer},
};

fn verdict_of(rig: &Rig, block: &Block) -> Verdict {
    rig.executor.judge(block).unwrap()
}

/// What a proposer builds is what the vote rule accepts, also after a restart.
#[test]
fn every_built_block_is_valid_under_the_vote_rule() {
    let mut rig = Rig::new(MempoolConfig::default());
    for nonce in 0..5 {
        if nonce == 3 {
            let dir = Arc::clone(&rig.dir);
            drop(rig);
            rig = Rig::open(dir, MempoolConfig::default(), Default::default()).unwrap();
        }
        rig.send_one(sign(transfer(1, 2, nonce, 10, 2))).unwrap();
        let judged = rig.propose();
        assert_eq!(judged.block.operation_count(), 1);
        let Verdict::Valid(effects) = verdict_of(&rig, &judged.block) else {
            panic!("{:?}", verdict_of(&rig, &judged.block));
        };
        assert_eq!(*effects, *judged.effects, "built as it is judged");
        rig.commit(judged);
        let tip = rig.executor.tip();
        let stored = rig.shared().store.block(tip.height).unwrap().unwrap();
        let set = &genesis().validators;
        assert_eq!(stored.certificate.verify(&domain(), set), Ok(()));
        rig.now_ms += 200;
    }
}

#[test]
fn answers_about_another_height_are_stale() {
    let rig = Rig::new(MempoolConfig::default());
    let judged = rig.propose();
    rig.commit(judged.clone());
    let stale = Stale {
        asked: Height(1),
        tip: Height(1),
    };
    assert_eq!(
        rig.executor.judge(&judged.block),
        Err(NoPrefix::Stale(stale))
    );
    let certificate = crate::fixture::certify(&judged.block, &crate::fixture::validator(), 0);
    assert_eq!(
        rig.executor.commit(judged, certificate, 0),
        Err(CommitError::Stale(stale))
    );
}

/// A block of another node holds one of two operations that fight for a nonce here: the other has failed, and says why.
#[test]
fn an_operation_overtaken_by_a_foreign_block_fails_with_its_reason() {
    let here = Rig::new(MempoolConfig::default());
    let there = Rig::new(MempoolConfig::default());
    let id = here.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    there.send_one(sign(transfer(1, 3, 0, 11, 2))).unwrap();
    let foreign = there.propose();
    assert!(verdict_of(&here, &foreign.block).is_valid());
    here.commit(foreign);
    let record = here.shared().store.transaction(&id).unwrap();
    let Some(crate::storage::TransactionRecord::Failed { code, .. }) = record else {
        panic!("{record:?}");
    };
    assert_eq!(code, api::ErrorCode::NonceUsed.number());
    assert_eq!(here.shared().pool().len(), 0);
}

/// The same operation pending here and ordered by another node is ordered here too, once.
#[test]
fn an_operation_in_a_foreign_block_leaves_the_pool_as_ordered() {
    let here = Rig::new(MempoolConfig::default());
    let there = Rig::new(MempoolConfig::default());
    let id = here.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    there.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    here.commit(there.propose());
    let record = here.shared().store.transaction(&id).unwrap();
    let is_ordered = matches!(
        record,
        Some(crate::storage::TransactionRecord::Ordered { .. })
    );
    assert!(is_ordered, "{record:?}");
    assert_eq!(here.shared().pool().len(), 0);
    assert!(here.shared().store.pending().unwrap().is_empty());
}

#[test]
fn what_came_at_an_earlier_height_and_is_not_in_the_block_is_listed() {
    let rig = Rig::new(MempoolConfig::default());
    let empty = rig.propose();
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    assert!(rig.executor.listable(&empty.block).is_empty(), "too young");
    rig.commit(empty);
    let full = rig.propose();
    assert_eq!(full.block.operation_count(), 1);
    assert!(rig.executor.listable(&full.block).is_empty(), "inside");
    let mut other = (*full.block).clone();
    other.payload.entries.clear();
    let name = sign(transfer(1, 2, 0, 10, 2)).list_hash(&domain());
    assert_eq!(rig.executor.listable(&other), vec![name]);
}

/// A signature is skipped only for the very bytes that the pool holds.
#[test]
fn a_spoiled_signature_is_found_although_the_pool_knows_the_operation() {
    let rig = Rig::new(MempoolConfig::default());
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    rig.send_one(sign(transfer(2, 3, 0, 10, 2))).unwrap();
    let mut block = (*rig.propose().block).clone();
    assert!(verdict_of(&rig, &block).is_valid());
    let protocol::block::Entry::Submission { submission, .. } = &mut block.payload.entries[1]
    else {
        panic!("a submission");
    };
    let protocol::transaction::Submission::Single(signed) = submission else {
        panic!("a single one");
    };
    signed.signature = sign(transfer(1, 2, 0, 11, 2)).members()[0].signature;
    block.header.core.payload_root = block.payload.root();
    let Verdict::Invalid(reason) = verdict_of(&rig, &block) else {
        panic!("a spoiled signature is valid");
    };
    assert_eq!(reason, protocol::block::InvalidBlock::Signature);
}

/// Rounds go by without a decision: a second block of the same height takes the place of the first.
#[test]
fn a_node_proposes_again_in_a_later_round_of_the_same_height() {
    let rig = Rig::new(MempoolConfig::default());
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    let first = rig.propose();
    rig.send_one(sign(transfer(2, 3, 0, 10, 2))).unwrap();
    let second = rig.propose();
    assert_eq!(first.block.operation_count(), 1);
    assert_eq!(second.block.operation_count(), 2);
    rig.commit(first);
    assert_eq!(
        rig.shared().pool().len(),
        1,
        "the other waits for the next block"
    );
    let next = rig.propose();
    assert_eq!(next.block.operation_count(), 1);
}

/// A block that leaves out a listed operation, decided with the vote that lists it.
fn commit_listing(rig: &Rig, block: Judged) -> ListHash {
    let listed = rig.executor.listable(&block.block);
    let [name] = listed[..] else {
        panic!("{listed:?}");
    };
    let (key, now_ms) = (crate::fixture::validator(), rig.now_ms);
    let certificate =
        crate::fixture::certify_listing(&block.block, std::slice::from_ref(&key), now_ms, listed);
    rig.executor.commit(block, certificate, now_ms).unwrap();
    name
}

/// What a list demands is proposed although the pool holds something else in its place: the chain would stop otherwise.
#[test]
fn a_listed_operation_that_was_replaced_is_excused_also_after_a_restart() {
    let rig = Rig::new(MempoolConfig::default());
    let empty = rig.propose();
    rig.send_one(sign(transfer(1, 2, 0, 10, 20))).unwrap();
    rig.commit(empty);
    let foreign = Rig::new(MempoolConfig::default());
    foreign.commit(foreign.propose());
    let name = commit_listing(&rig, foreign.propose());
    rig.send_one(sign(transfer(1, 3, 0, 10, 40))).unwrap();
    assert!(rig.shared().pool().named(&name).is_none(), "replaced");
    let dir = Arc::clone(&rig.dir);
    drop(rig);
    let rig = Rig::open(dir, MempoolConfig::default(), Default::default()).unwrap();
    let judged = rig.propose();
    assert_eq!(judged.block.operation_count(), 1);
    assert_eq!(judged.block.payload.excuses.len(), 1);
    assert!(verdict_of(&rig, &judged.block).is_valid());
    rig.commit(judged);
    assert!(rig.propose().block.payload.excuses.is_empty());
}

/// An operation overtaken by the very block in whose vote it was listed.
#[test]
fn a_listed_operation_that_was_overtaken_is_excused() {
    let here = Rig::new(MempoolConfig::default());
    let there = Rig::new(MempoolConfig::default());
    here.commit(here.propose());
    there.commit(there.propose());
    here.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    there.send_one(sign(transfer(1, 3, 0, 11, 2))).unwrap();
    for rig in [&here, &there] {
        let empty = Rig::new(MempoolConfig::default());
        empty.commit(empty.propose());
        rig.commit(empty.propose());
    }
    commit_listing(&here, there.propose());
    let judged = here.propose();
    assert_eq!(judged.block.operation_count(), 0);
    assert_eq!(judged.block.payload.excuses.len(), 1);
    assert!(verdict_of(&here, &judged.block).is_valid());
}

/// The bytes are served for a while, and then forgotten.
#[test]
fn what_left_the_pool_is_served_for_sixteen_heights() {
    let mut rig = Rig::new(MempoolConfig::default());
    let first = sign(transfer(1, 2, 0, 10, 20));
    rig.send_one(first.clone()).unwrap();
    rig.send_one(sign(transfer(1, 3, 0, 10, 40))).unwrap();
    let name = first.list_hash(&domain());
    let served = |rig: &Rig| {
        let tip = rig.executor.tip().height;
        rig.shared().store.departed(tip, &name).unwrap()
    };
    for _ in 0..16 {
        assert_eq!(served(&rig).as_ref(), Some(&first));
        rig.block();
    }
    assert_eq!(served(&rig), Some(first));
    rig.block();
    assert_eq!(served(&rig), None);
}
