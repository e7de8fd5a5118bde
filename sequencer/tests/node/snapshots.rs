//! Four validators that prune and write snapshots: one loses its disk and begins at a snapshot, and a node that nobody can
//! help any more says so.

use std::time::Duration;

use api::{
    error::ErrorCode,
    jobs::{JobKind, JobQueue, WorkerInfo},
    rpc::QuorateClient,
    status::{Evidence, NodeRole, NodeStatus, Stage},
};
use sequencer::{
    SnapshotConfig, StorageConfig, check_database, check_snapshot, make_snapshot, restore_snapshot,
};

use crate::{
    set::{COUNT, Set},
    setup::{genesis_of, proof_for, sign_for, transfer, wait_for},
};

/// Blocks that nodes keep here: fewer than an operator may ask for.
const KEEP: u64 = 40;

async fn pay(set: &Set, node: u8, nonce: u64) -> api::text::HashText {
    let signed = sign_for(&set.domain, transfer(1, 2, nonce, 10));
    let id = set.client(node).send_transaction(signed).await.unwrap();
    wait_for(set.client(node), &id, Stage::Certified).await;
    id
}

async fn status(set: &Set, node: u8) -> NodeStatus {
    set.client(node).status().await.unwrap()
}

async fn wait_until(set: &Set, node: u8, is_there: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
    for _ in 0..1_200 {
        let found = status(set, node).await;
        if is_there(&found) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("node {node}: {:?}", status(set, node).await);
}

/// Proves whatever a node wants proven, once.
async fn prove(set: &Set, node: u8) {
    let worker = WorkerInfo {
        name: "one".into(),
        memory_mb: 1 << 20,
        kinds: vec![JobKind::Chunk, JobKind::Data],
    };
    let queue = set.queue(node);
    while let Some(lease) = queue.lease(&worker).await.unwrap() {
        let proof = proof_for(&lease);
        queue.submit(lease.job, lease.token, proof).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_validator_that_lost_its_disk_begins_at_a_snapshot_of_peers_that_prune() {
    let genesis = genesis_of(COUNT);
    let mut set = Set::start(COUNT).await;
    for number in 0..COUNT {
        set.stop_one(number).await;
    }
    let snapshots = set.dir.path().join("snapshots");
    set.storage = StorageConfig {
        keep_blocks: Some(KEEP),
        snapshots: None,
    };
    set.start_all().await;
    let first = pay(&set, 0, 0).await;
    // the batch seals by age, is signed by all, and proven
    wait_until(&set, 0, |status| status.batch_certified == 1).await;
    prove(&set, 0).await;
    for number in 0..COUNT {
        wait_until(&set, number, |status| status.batch_proven == 1).await;
    }
    set.stop_one(3).await;
    // the one that stopped may have decided a block that the others had not yet
    let away_from = status(&set, 0).await.height + 2;
    // one of them is started again, and writes snapshots by itself
    set.stop_one(1).await;
    set.storage.snapshots = Some(SnapshotConfig {
        directory: snapshots.clone(),
        every_batches: 1,
        keep: 2,
    });
    set.start_one(1).await;
    // all that is pruned lies below, and with it what the one that is away would need
    let mut nonce = 1;
    let is_pruned = |status: &NodeStatus| status.blocks_from > away_from + 1;
    for number in [0, 1, 2] {
        while !is_pruned(&status(&set, number).await) {
            assert!(nonce < 400, "{:?}", status(&set, number).await);
            pay(&set, 0, nonce).await;
            nonce += 1;
            prove(&set, 0).await;
        }
    }
    let pruned = status(&set, 0).await;
    let refused = set.client(0).block(Some(1)).await.unwrap_err().to_string();
    assert!(refused.contains("pruned here"), "{refused}");
    // a receipt outlives the block
    let kept = set
        .client(0)
        .transaction_status(first.clone())
        .await
        .unwrap();
    assert_eq!(kept.stage, Stage::Proven);
    let is_record = |evidence: &Evidence| matches!(evidence, Evidence::Record { .. });
    assert!(
        kept.reached.iter().any(|one| is_record(&one.evidence)),
        "{kept:?}"
    );

    // as it is, it cannot catch up, and says why
    set.storage.snapshots = None;
    set.start_one(3).await;
    let stuck = wait_until(&set, 3, |status| status.peers_keep_from.is_some()).await;
    assert!(stuck.peers_keep_from.unwrap() >= pruned.blocks_from.min(away_from + 2));
    assert!(stuck.height < stuck.peers_keep_from.unwrap());
    set.stop_one(3).await;

    let sealed = status(&set, 1).await.batch_sealed;
    let file = snapshots.join(format!("batch-{sealed:010}.snapshot"));
    for _ in 0..400 {
        if file.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let info = check_snapshot(&file, &genesis).unwrap();
    assert_eq!(info.batch.0, sealed);
    set.lose_database(3);
    restore_snapshot(&file, &set.data_dir(3), &genesis).unwrap();
    set.start_one(3).await;
    let target = status(&set, 0).await.height + 5;
    set.wait_for_height(3, target).await;
    let joined = wait_until(&set, 3, |status| status.role == NodeRole::Validator).await;
    assert_eq!(joined.peers_keep_from, None);
    assert!(joined.blocks_from >= info.blocks_from.0);
    let unknown = set.client(3).transaction_status(first).await.unwrap();
    assert_eq!(unknown.stage, Stage::UnknownHere);
    assert!(
        unknown.revertible_by.contains("recorded from height"),
        "{unknown:?}"
    );
    let code = set.client(3).batch(Some(1)).await.unwrap_err().to_string();
    assert!(code.contains(ErrorCode::Pruned.message()), "{code}");

    // with one of the others away its vote is needed, for blocks and for the next batch
    set.stop_one(2).await;
    let id = pay(&set, 3, nonce).await;
    wait_for(set.client(0), &id, Stage::Certified).await;
    let next = status(&set, 0).await.batch_open;
    let mut batches = Vec::new();
    for number in [0, 3] {
        wait_until(&set, number, |status| status.batch_certified >= next).await;
        let batch = set.client(number).batch(Some(next)).await.unwrap();
        batches.push((batch.root_after, batch.first_height, batch.last_height));
    }
    assert_eq!(batches[0], batches[1]);
    let height = status(&set, 3)
        .await
        .height
        .min(status(&set, 0).await.height);
    set.assert_equal(height - 10..=height).await;
    set.stop_one(0).await;
    let data = set.data_dir(0);
    assert!(
        check_database(&data, &genesis).is_ok(),
        "doctor takes a pruned one"
    );
    // and one that was pruned makes the next snapshot
    let made = make_snapshot(&data, &genesis, &set.dir.path().join("made")).unwrap();
    assert!(made.batch.0 >= next);
    set.stop().await;
}
