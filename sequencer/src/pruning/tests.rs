//! What is forgotten and what stays, block by block.

use api::jobs::{JobKind, JobQueue, WorkerInfo};

use super::*;
use crate::{
    fixture::{Rig, genesis, proof_for, sign, transfer, validator},
    storage::{StorageError, check_database},
};

const KEEP: u64 = 32;

fn pruner(rig: &Rig) -> Pruner {
    Pruner {
        store: Arc::clone(&rig.shared().store),
        queue: Arc::clone(&rig.queue),
        keep: KEEP,
    }
}

fn prune(rig: &Rig) -> Height {
    let tip = rig.executor.tip().height;
    pruner(rig).prune(tip, &|| false).unwrap();
    rig.shared().store.first_height().unwrap()
}

/// Proves everything that waits.
async fn prove_all(rig: &Rig) {
    let worker = WorkerInfo {
        name: "one".into(),
        memory_mb: 1 << 20,
        kinds: vec![JobKind::Chunk, JobKind::Data],
    };
    while let Some(lease) = rig.queue.lease(&worker).await.unwrap() {
        let proof = proof_for(&lease);
        rig.queue
            .submit(lease.job, lease.token, proof)
            .await
            .unwrap();
    }
}

/// A chain with one sealed batch at its beginning.
fn sealed() -> Rig {
    let mut rig = Rig::new(Default::default());
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    rig.block();
    rig.seal(1);
    rig
}

#[tokio::test]
async fn exactly_so_many_blocks_stay_and_a_restart_goes_on() {
    let mut rig = sealed();
    for nonce in 2..42 {
        rig.send_one(sign(transfer(1, 2, nonce, 10, 2))).unwrap();
        rig.block();
    }
    assert_eq!(prune(&rig), Height(1), "the first batch is not proven");
    rig.certify_batch(1, &[validator()]);
    rig.seal(42);
    rig.certify_batch(2, &[validator()]);
    prove_all(&rig).await;
    assert_eq!(rig.queue.proven_up_to(), 2);
    for _ in 0..5 {
        rig.block();
    }
    let tip = rig.executor.tip().height.0;
    let first = prune(&rig);
    assert_eq!(first, Height(tip + 1 - KEEP));
    let store = &rig.shared().store;
    assert_eq!(store.block(Height(first.0 - 1)).unwrap(), None);
    let blocks = (first.0..=tip).filter(|height| store.block(Height(*height)).unwrap().is_some());
    assert_eq!(u64::try_from(blocks.count()).unwrap(), KEEP);
    // a few more are left until there are enough for one write
    rig.block();
    assert_eq!(prune(&rig), first);
    rig.block();
    assert_eq!(prune(&rig), Height(first.0 + 2));

    let dir = Arc::clone(&rig.dir);
    let data = dir.path().join("db");
    drop(rig);
    assert!(check_database(&data, &genesis()).is_ok());
    let mut rig = Rig::open(dir, Default::default(), Default::default()).unwrap();
    rig.block();
    rig.batcher();
    assert_eq!(rig.queue.proven_up_to(), 2);
}

#[tokio::test]
async fn blocks_of_the_open_batch_and_before_it_stay_however_few_are_wanted() {
    let mut rig = sealed();
    for nonce in 2..42 {
        rig.send_one(sign(transfer(1, 2, nonce, 10, 2))).unwrap();
        rig.block();
    }
    rig.seal(42);
    prove_all(&rig).await;
    for nonce in 43..90 {
        rig.send_one(sign(transfer(1, 2, nonce, 10, 2))).unwrap();
        rig.block();
    }
    let second = rig.shared().store.batch(BatchNumber(2)).unwrap().unwrap();
    let first = rig.shared().store.batch(BatchNumber(1)).unwrap().unwrap();
    assert!(prune(&rig) <= first.last_height, "not certified");
    rig.certify_batch(1, &[validator()]);
    assert_eq!(
        prune(&rig).0,
        second.last_height.0 - 16,
        "for the next snapshot"
    );
    rig.certify_batch(2, &[validator()]);
    assert_eq!(prune(&rig).0, second.last_height.0 - 16);
    let path = rig.dir.path().join("taken");
    let data = rig.dir.path().join("db");
    let dir = Arc::clone(&rig.dir);
    drop(rig);
    let made = crate::snapshot::make_snapshot(&data, &genesis(), &path);
    assert_eq!(made.unwrap().height, second.last_height);
    drop(dir);
}

#[test]
fn a_block_that_is_missing_above_what_was_pruned_is_found() {
    let mut rig = sealed();
    for _ in 0..30 {
        rig.block();
    }
    let store = &rig.shared().store;
    store.prune_blocks(Height(8)).unwrap();
    store.lose_block(Height(12));
    let data = rig.dir.path().join("db");
    let dir = Arc::clone(&rig.dir);
    drop(rig);
    let error = check_database(&data, &genesis()).unwrap_err();
    let StorageError::Corrupt { what, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(what, "block 12 is missing");
    drop(dir);
}
