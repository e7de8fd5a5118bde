//! Four validators and one worker: the final proof of a batch is at every node, whether it was there when it was made.

use std::time::Duration;

use api::{
    jobs::{JobKind, JobQueue, Submitted, WorkerInfo},
    ledger::BatchJson,
    rpc::QuorateClient,
    status::Stage,
};

use crate::{
    set::{COUNT, Set},
    setup::{proof_for, sign_for, transfer, wait_for},
};

/// Does what a node wants done until there is nothing; the number of jobs.
async fn work(set: &Set, node: u8) -> usize {
    let worker = WorkerInfo {
        name: "one".into(),
        memory_mb: 1 << 20,
        kinds: JobKind::ALL.to_vec(),
    };
    let queue = set.queue(node);
    let mut done = 0;
    while let Some(lease) = queue.lease(&worker).await.unwrap() {
        let proof = proof_for(&lease);
        let submitted = queue.submit(lease.job, lease.token, proof).await.unwrap();
        assert_eq!(submitted, Submitted::Accepted);
        done += 1;
    }
    done
}

async fn wait_until(set: &Set, node: u8, is_so: impl Fn(&BatchJson) -> bool) -> BatchJson {
    for _ in 0..1_200 {
        let batch = set.client(node).batch(Some(1)).await.unwrap();
        if is_so(&batch) {
            return batch;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let batch = set.client(node).batch(Some(1)).await;
    panic!("node {node}: {batch:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_final_proof_that_one_node_has_is_soon_at_all_of_them() {
    let mut set = Set::start(COUNT).await;
    let signed = sign_for(&set.domain, transfer(1, 2, 0, 10));
    let id = set.client(0).send_transaction(signed).await.unwrap();
    wait_for(set.client(0), &id, Stage::Certified).await;
    for number in 0..COUNT {
        wait_until(&set, number, |batch| batch.sealed_ms.is_some()).await;
    }
    set.stop_one(3).await;
    assert_eq!(
        work(&set, 0).await,
        5,
        "one chunk, its data, and three of aggregation"
    );
    for number in 0..COUNT - 1 {
        // told as it was made, or asked for
        let batch = wait_until(&set, number, |batch| batch.final_proof_ms.is_some()).await;
        assert!(batch.jobs.iter().all(|job| job.proven_ms.is_some()));
    }
    // it was away, and has nobody who works for it
    set.start_one(3).await;
    wait_until(&set, 3, |batch| batch.final_proof_ms.is_some()).await;
    assert_eq!(work(&set, 3).await, 0);
    set.stop_one(3).await;
    set.start_one(3).await;
    let kept = wait_until(&set, 3, |_| true).await;
    assert!(kept.final_proof_ms.is_some(), "a restart forgets nothing");
}
