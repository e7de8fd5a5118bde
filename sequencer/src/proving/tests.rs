//! The queue's rules, on jobs of real blocks; the verifier is the fixture's.

use std::{sync::Arc, time::Duration};

use api::{
    error::ErrorCode,
    jobs::{JobKind, JobQueue, Lease, PROOF_BYTES_MAX, Submitted, WorkerInfo},
};
use protocol::{number::BatchNumber, rebuild::apply_words};
use verifier::bundle::Bundle;

use crate::{
    JobsConfig, MempoolConfig,
    fixture::{CHUNK, Rig, genesis, proof_for, sign, transfer},
};

fn worker(name: &str) -> WorkerInfo {
    WorkerInfo {
        name: name.into(),
        memory_mb: 8_192,
        kinds: vec![JobKind::Chunk, JobKind::Data],
    }
}

fn jobs(lease: Duration) -> JobsConfig {
    JobsConfig {
        lease,
        strikes_max: 2,
        ..JobsConfig::default()
    }
}

/// A chain with one sealed batch of `operations` payments and an empty open one.
fn sealed(operations: u64, jobs: JobsConfig) -> Rig {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let mut rig = Rig::open(dir, MempoolConfig::default(), jobs).unwrap();
    for nonce in 0..operations {
        rig.send_one(sign(transfer(1, 2, nonce, 1, 0))).unwrap();
        if nonce % 100 == 99 {
            rig.block();
        }
    }
    rig.block();
    rig.block_after(20_000);
    rig.block(); // a block's time is that of its parent's certificate
    rig.batcher();
    rig
}

async fn lease(rig: &Rig, name: &str) -> Lease {
    rig.queue
        .lease(&worker(name))
        .await
        .unwrap()
        .expect("a job is waiting")
}

#[tokio::test]
async fn proven_jobs_become_a_bundle_that_rebuilds_the_state() {
    let rig = sealed(400, jobs(Duration::from_secs(60)));
    let mut done = Vec::new();
    while let Some(lease) = rig.queue.lease(&worker("one")).await.unwrap() {
        assert_eq!(lease.batch, 1);
        let result = rig
            .queue
            .submit(lease.job, lease.token, proof_for(&lease))
            .await;
        assert_eq!(result, Ok(Submitted::Accepted));
        done.push((lease.kind, lease.index));
    }
    let chunks = 200_usize.div_ceil(CHUNK.pairs);
    let expected: Vec<_> = (0..u32::try_from(chunks).unwrap())
        .map(|index| (JobKind::Chunk, index))
        .chain([(JobKind::Data, 0)])
        .collect();
    assert_eq!(done, expected, "oldest first, data last");
    let store = &rig.shared().store;
    let record = store.batch(BatchNumber(1)).unwrap().unwrap();
    assert!(record.proven.is_some());
    assert_eq!(rig.queue.proven_up_to(), 1);
    let bundle = Bundle::decode(&store.bundle(BatchNumber(1)).unwrap().unwrap()).unwrap();
    assert_eq!(bundle.chunks.len(), chunks);
    assert_eq!(bundle.chunks.last().unwrap().after, record.end);
    assert!(bundle.start.is_batch_start() && record.end.is_batch_end());
    let before = (genesis().state(), protocol::number::Height(0), 0);
    let (state, height, _) = apply_words(before, &bundle.words).unwrap();
    assert_eq!(state.root(), rig.shared().chain.state().state.root());
    assert_eq!((state.root(), height), (record.end.root, record.end.height));
    assert_eq!(store.open_batch().unwrap().root, record.end.root);
}

#[tokio::test]
async fn a_full_chunk_is_a_job_before_its_batch_is_sealed() {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let mut rig = Rig::open(dir, MempoolConfig::default(), JobsConfig::default()).unwrap();
    let slots = 2 * u64::try_from(CHUNK.pairs).unwrap();
    for nonce in 0..slots {
        rig.send_one(sign(transfer(1, 2, nonce, 1, 0))).unwrap();
        if nonce % 50 == 49 || nonce + 1 == slots {
            rig.block();
        }
    }
    let _batcher = rig.batcher();
    let lease = lease(&rig, "one").await;
    assert_eq!((lease.kind, lease.index), (JobKind::Chunk, 0));
    assert!(rig.shared().store.batch(BatchNumber(1)).unwrap().is_none());
    // A restarted batcher makes the same job again and does not queue it twice.
    assert_eq!(
        rig.queue
            .submit(lease.job, lease.token, proof_for(&lease))
            .await,
        Ok(Submitted::Accepted)
    );
    drop(rig.batcher());
    assert_eq!(rig.queue.lease(&worker("two")).await, Ok(None));
}

#[tokio::test]
async fn a_dead_workers_job_is_reassigned_and_its_late_result_still_counts_once() {
    let rig = sealed(2, jobs(Duration::from_millis(60)));
    let first = lease(&rig, "dead").await;
    let other = lease(&rig, "other").await;
    assert_ne!(first.job, other.job);
    assert_eq!(rig.queue.lease(&worker("third")).await, Ok(None));
    // Heartbeats keep a lease for longer than its length.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        assert!(
            rig.queue
                .heartbeat(other.job, other.token, "proving", 50)
                .await
                .is_ok()
        );
    }
    let again = lease(&rig, "third").await;
    assert_eq!(again.job, first.job, "only the silent worker lost its job");
    let lost = rig
        .queue
        .heartbeat(first.job, first.token, "proving", 99)
        .await
        .unwrap_err();
    assert_eq!(lost.code, ErrorCode::LeaseLost);
    let late = rig
        .queue
        .submit(first.job, first.token, proof_for(&first))
        .await;
    assert_eq!(late, Ok(Submitted::Accepted));
    let duplicate = rig
        .queue
        .submit(again.job, again.token, proof_for(&again))
        .await;
    assert_eq!(duplicate, Ok(Submitted::Duplicate));
    let status = rig.queue.status().await.unwrap();
    assert_eq!((status.done, status.leased.len()), (1, 1));
}

#[tokio::test]
async fn bogus_results_cost_their_sender_strikes_and_block_nobody() {
    let rig = sealed(2, jobs(Duration::from_secs(60)));
    for strike in 0..2 {
        let held = lease(&rig, "liar").await;
        let result = rig
            .queue
            .submit(held.job, held.token, vec![strike; 64])
            .await;
        assert_eq!(result, Ok(Submitted::Rejected));
    }
    let refused = rig.queue.lease(&worker("liar")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::WorkerSuspended);
    // A stranger who knows a job's name but no token harms nobody and nothing.
    let held = lease(&rig, "honest").await;
    let stranger = rig
        .queue
        .submit(held.job, held.token.wrapping_add(1), vec![0; 32])
        .await;
    assert_eq!(stranger, Ok(Submitted::Rejected));
    assert!(
        rig.queue
            .heartbeat(held.job, held.token, "proving", 10)
            .await
            .is_ok()
    );
    let huge = rig
        .queue
        .submit(held.job, held.token, vec![0; PROOF_BYTES_MAX + 1])
        .await;
    assert_eq!(huge.unwrap_err().code, ErrorCode::ProofTooLarge);
    assert_eq!(
        rig.queue
            .submit(held.job, held.token, proof_for(&held))
            .await,
        Ok(Submitted::Accepted)
    );
    let unknown = rig.queue.submit(api::jobs::JobId([9; 32]), 0, vec![]).await;
    assert_eq!(unknown.unwrap_err().code, ErrorCode::UnknownJob);
    let strikes: Vec<_> = rig.queue.status().await.unwrap().workers;
    let of = |name: &str| {
        strikes
            .iter()
            .find(|worker| worker.name == name)
            .unwrap()
            .strikes
    };
    assert_eq!((of("liar"), of("honest")), (2, 0));
}

#[tokio::test]
async fn workers_get_only_what_fits_them_and_give_back_what_they_cannot_do() {
    let rig = sealed(2, jobs(Duration::from_secs(60)));
    let small = WorkerInfo {
        memory_mb: 100,
        ..worker("small")
    };
    assert_eq!(rig.queue.lease(&small).await, Ok(None));
    let data_only = WorkerInfo {
        kinds: vec![JobKind::Data],
        ..worker("data")
    };
    assert_eq!(
        rig.queue.lease(&data_only).await.unwrap().unwrap().kind,
        JobKind::Data
    );
    let held = lease(&rig, "quitter").await;
    rig.queue
        .fail(held.job, held.token, "out of memory")
        .await
        .unwrap();
    assert_eq!(lease(&rig, "next").await.job, held.job);
    let bad = WorkerInfo {
        name: "a b".into(),
        ..worker("x")
    };
    assert_eq!(
        rig.queue.lease(&bad).await.unwrap_err().code,
        ErrorCode::InvalidWorker
    );
}

#[tokio::test]
async fn leases_end_with_the_process_and_proofs_do_not() {
    let rig = sealed(2, jobs(Duration::from_secs(600)));
    let chunk = lease(&rig, "one").await;
    let data = lease(&rig, "two").await;
    let proof = proof_for(&chunk);
    assert_eq!(
        rig.queue
            .submit(chunk.job, chunk.token, proof.clone())
            .await,
        Ok(Submitted::Accepted)
    );
    let dir = Arc::clone(&rig.dir);
    drop(rig);
    let rig = Rig::open(
        dir,
        MempoolConfig::default(),
        jobs(Duration::from_secs(600)),
    )
    .unwrap();
    drop(rig.batcher());
    assert_eq!(
        rig.queue.submit(chunk.job, chunk.token, proof).await,
        Ok(Submitted::Duplicate)
    );
    let again = lease(&rig, "three").await;
    assert_eq!(
        again.job, data.job,
        "the lease did not survive, the job did"
    );
    let result = rig
        .queue
        .submit(again.job, again.token, proof_for(&again))
        .await;
    assert_eq!(result, Ok(Submitted::Accepted));
    assert_eq!(rig.queue.proven_up_to(), 1);
}
