//! One contract for every way from a worker to the queue: in this process, over HTTP, over NATS.
//!
//! Each rule is a function over a [`Door`]; the macro below makes a test of it for each door. What only one door can get
//! wrong is tested beside it (`doors/nats.rs`).

mod nats;

use std::{sync::Arc, time::Duration};

use api::{
    error::ErrorCode,
    jobs::{
        JobId, JobKind, JobQueue, Lease, PROOF_BYTES_MAX, RemoteQueue, Submitted, WorkerInfo,
        WorkerStatus,
        nats::{NatsConfig, NatsQueue},
    },
};
use jsonrpsee::server::ServerHandle;
use tokio_util::sync::CancellationToken;

use super::RocksQueue;
use crate::{
    JobsConfig, MempoolConfig,
    fixture::{Rig, proof_for, sign, transfer},
    nats::{run_nats, server::NatsServer},
    rpc::serve_jobs,
};

/// A lease that ends while a test waits, on a busy machine not before a heartbeat of every [`BEAT`].
const SHORT: Duration = Duration::from_millis(800);
/// Between two heartbeats.
const BEAT: Duration = Duration::from_millis(100);
/// A lease that does not end in a test.
const LONG: Duration = Duration::from_secs(600);

/// A way from a worker to the queue, and what keeps it open.
trait Door: Sized {
    /// What a worker holds.
    type Queue: JobQueue;

    /// Opens the way to this queue.
    async fn open(queue: &Arc<RocksQueue>) -> Self;

    /// Another worker's end of it.
    async fn worker(&self) -> Self::Queue;
}

/// In this process.
struct Embedded(Arc<RocksQueue>);

/// The worker's end of [`Embedded`].
struct Shared(Arc<RocksQueue>);

impl JobQueue for Shared {
    async fn lease(&self, worker: &WorkerInfo) -> Result<Option<Lease>, api::ApiError> {
        self.0.lease(worker).await
    }

    async fn heartbeat(
        &self,
        job: JobId,
        token: u64,
        phase: &str,
        percent: u8,
    ) -> Result<u64, api::ApiError> {
        self.0.heartbeat(job, token, phase, percent).await
    }

    async fn submit(
        &self,
        job: JobId,
        token: u64,
        proof: Vec<u8>,
    ) -> Result<Submitted, api::ApiError> {
        self.0.submit(job, token, proof).await
    }

    async fn fail(&self, job: JobId, token: u64, reason: &str) -> Result<(), api::ApiError> {
        self.0.fail(job, token, reason).await
    }

    async fn status(&self) -> Result<api::jobs::QueueStatus, api::ApiError> {
        self.0.status().await
    }
}

impl Door for Embedded {
    type Queue = Shared;

    async fn open(queue: &Arc<RocksQueue>) -> Self {
        Self(Arc::clone(queue))
    }

    async fn worker(&self) -> Shared {
        Shared(Arc::clone(&self.0))
    }
}

/// JSON-RPC over HTTP.
struct Http {
    url: String,
    server: ServerHandle,
}

impl Door for Http {
    type Queue = RemoteQueue;

    async fn open(queue: &Arc<RocksQueue>) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let listening = serve_jobs(listen, Arc::clone(queue)).await.unwrap();
        Self {
            url: format!("http://{}", listening.address),
            server: listening.handle,
        }
    }

    async fn worker(&self) -> RemoteQueue {
        RemoteQueue::new(&self.url).unwrap()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.server.stop(); // it may have stopped
    }
}

/// A NATS server, and this node behind it.
struct Nats {
    server: NatsServer,
    node: CancellationToken,
}

impl Door for Nats {
    type Queue = NatsQueue;

    async fn open(queue: &Arc<RocksQueue>) -> Self {
        let server = NatsServer::start();
        let node = node_behind(&server, queue, 1);
        Self { server, node }
    }

    async fn worker(&self) -> NatsQueue {
        worker_of(&self.server).await
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.node.cancel();
    }
}

/// Puts a queue behind a server, as the node of this number.
fn node_behind(server: &NatsServer, queue: &Arc<RocksQueue>, number: u8) -> CancellationToken {
    let config = NatsConfig::new(&server.url, None).unwrap();
    let (token, queue) = (CancellationToken::new(), Arc::clone(queue));
    let name = hex::encode([number; 20]);
    tokio::spawn(run_nats(queue, config, name, token.clone()));
    token
}

/// A worker's connection, once a node answers on it.
async fn worker_of(server: &NatsServer) -> NatsQueue {
    let config = NatsConfig::new(&server.url, None).unwrap();
    let queue = NatsQueue::connect(&config).await.unwrap();
    for _ in 0..200 {
        if queue.status().await.is_ok() {
            return queue;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no node behind {}", server.url);
}

fn info(name: &str) -> WorkerInfo {
    WorkerInfo {
        name: name.into(),
        memory_mb: 8_192,
        kinds: vec![JobKind::Chunk, JobKind::Data],
    }
}

/// A chain with so many sealed batches of one payment: a chunk job and a data job each.
fn sealed(batches: u64, lease: Duration) -> Rig {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let jobs = JobsConfig {
        lease,
        strikes_max: 2,
        ..JobsConfig::default()
    };
    let mut rig = Rig::open(dir, MempoolConfig::default(), jobs).unwrap();
    for nonce in 0..batches {
        rig.send_one(sign(transfer(1, 2, nonce, 1, 0))).unwrap();
        rig.block();
        rig.block_after(20_000);
        rig.block(); // a block's time is that of its parent's certificate
    }
    rig.batcher();
    rig
}

async fn lease(queue: &impl JobQueue, name: &str) -> Lease {
    let leased = queue.lease(&info(name)).await.unwrap();
    leased.expect("a job waits")
}

async fn worker_status(queue: &impl JobQueue, name: &str) -> WorkerStatus {
    let status = queue.status().await.unwrap();
    let mut workers = status.workers.into_iter();
    workers
        .find(|worker| worker.name == name)
        .expect("a known worker")
}

async fn oldest_batch_first<D: Door>() {
    let rig = sealed(2, LONG);
    let door = D::open(&rig.queue).await;
    let queue = door.worker().await;
    let mut order = Vec::new();
    while let Some(lease) = queue.lease(&info("one")).await.unwrap() {
        order.push((lease.batch, lease.kind));
    }
    let (chunk, data) = (JobKind::Chunk, JobKind::Data);
    assert_eq!(order, [(1, chunk), (1, data), (2, chunk), (2, data)]);
    let status = queue.status().await.unwrap();
    assert_eq!((status.queued, status.leased.len()), (0, 4));
}

async fn a_batch_is_proven<D: Door>() {
    let rig = sealed(1, LONG);
    let door = D::open(&rig.queue).await;
    let queue = door.worker().await;
    for _ in 0..2 {
        let lease = lease(&queue, "one").await;
        let submitted = queue
            .submit(lease.job, lease.token, proof_for(&lease))
            .await;
        assert_eq!(submitted, Ok(Submitted::Accepted));
    }
    assert_eq!(queue.lease(&info("one")).await, Ok(None));
    assert_eq!(rig.queue.proven_up_to(), 1);
    assert_eq!(queue.status().await.unwrap().done, 2);
    assert_eq!(worker_status(&queue, "one").await.accepted, 2);
}

async fn progress_is_reported_and_keeps_a_lease_past_its_length<D: Door>() {
    let rig = sealed(1, SHORT);
    let door = D::open(&rig.queue).await;
    let (busy, other) = (door.worker().await, door.worker().await);
    let held = lease(&busy, "busy").await;
    let from = tokio::time::Instant::now();
    while from.elapsed() < 3 * SHORT {
        tokio::time::sleep(BEAT).await;
        let left = busy.heartbeat(held.job, held.token, "quotient", 42).await;
        assert_eq!(left.map(Duration::from_millis), Ok(SHORT));
        let another = other.lease(&info("other")).await.unwrap();
        assert!(
            another.is_none_or(|another| another.job != held.job),
            "taken away"
        );
    }
    let status = other.status().await.unwrap();
    let shown = status.leased.iter().find(|job| job.id == held.job.0.into());
    let shown = shown.expect("it is held");
    assert_eq!(
        (shown.worker.as_str(), shown.phase.as_str(), shown.percent),
        ("busy", "quotient", 42)
    );
}

async fn a_silent_workers_job_goes_on_elsewhere_and_its_late_result_counts_once<D: Door>() {
    let rig = sealed(1, SHORT);
    let door = D::open(&rig.queue).await;
    let (silent, other) = (door.worker().await, door.worker().await);
    let first = lease(&silent, "silent").await;
    let data = lease(&other, "other").await;
    assert_eq!(
        other.lease(&info("other")).await,
        Ok(None),
        "not before the deadline"
    );
    tokio::time::sleep(SHORT + BEAT).await;
    let again = lease(&other, "other").await;
    assert_eq!(
        again.job, first.job,
        "the oldest of the two that were silent"
    );
    assert_ne!(again.token, first.token);
    let late = silent.heartbeat(first.job, first.token, "late", 99).await;
    assert_eq!(late.unwrap_err().code, ErrorCode::LeaseLost);
    let late = silent.fail(first.job, first.token, "late").await;
    assert_eq!(late.unwrap_err().code, ErrorCode::LeaseLost);
    let late = silent
        .submit(first.job, first.token, proof_for(&first))
        .await;
    assert_eq!(
        late,
        Ok(Submitted::Accepted),
        "a valid proof is always welcome"
    );
    let second = other
        .submit(again.job, again.token, proof_for(&again))
        .await;
    assert_eq!(second, Ok(Submitted::Duplicate));
    assert_ne!(data.job, again.job);
    assert_eq!(other.status().await.unwrap().done, 1);
    assert_eq!(worker_status(&other, "silent").await.strikes, 0);
}

async fn a_killed_worker_costs_its_lease_only<D: Door>() {
    let rig = sealed(1, SHORT);
    let door = D::open(&rig.queue).await;
    let killed = door.worker().await;
    let lost = lease(&killed, "killed").await;
    let beat = killed.heartbeat(lost.job, lost.token, "commit", 5).await;
    assert!(beat.is_ok());
    drop(killed);
    let other = door.worker().await;
    let data = lease(&other, "other").await;
    assert_eq!(data.kind, JobKind::Data, "the chunk is still held");
    tokio::time::sleep(SHORT + BEAT).await;
    let again = lease(&other, "other").await;
    assert_eq!((again.job, again.witness), (lost.job, lost.witness));
}

async fn what_is_given_back_goes_to_the_next<D: Door>() {
    let rig = sealed(1, LONG);
    let door = D::open(&rig.queue).await;
    let (one, two) = (door.worker().await, door.worker().await);
    let held = lease(&one, "one").await;
    one.fail(held.job, held.token, "out of memory")
        .await
        .unwrap();
    let next = lease(&two, "two").await;
    assert_eq!(next.job, held.job);
    let lost = one.heartbeat(held.job, held.token, "commit", 1).await;
    assert_eq!(lost.unwrap_err().code, ErrorCode::LeaseLost);
}

async fn bogus_results_cost_strikes_and_nothing_else<D: Door>() {
    let rig = sealed(1, LONG);
    let door = D::open(&rig.queue).await;
    let (liar, honest) = (door.worker().await, door.worker().await);
    for strike in 0..2 {
        let held = lease(&liar, "liar").await;
        let result = liar.submit(held.job, held.token, vec![strike; 64]).await;
        assert_eq!(result, Ok(Submitted::Rejected));
    }
    let refused = liar.lease(&info("liar")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::WorkerSuspended);
    let held = lease(&honest, "honest").await;
    let (job, token) = (held.job, held.token);
    // Whoever knows the job but not the token takes nothing from its holder, and gives it no strike.
    let stranger = honest.submit(job, token.wrapping_add(1), vec![0; 32]).await;
    assert_eq!(stranger, Ok(Submitted::Rejected));
    assert!(honest.heartbeat(job, token, "commit", 10).await.is_ok());
    let empty = honest.submit(job, token.wrapping_add(1), Vec::new()).await;
    assert_eq!(empty, Ok(Submitted::Rejected));
    let accepted = honest.submit(job, token, proof_for(&held)).await;
    assert_eq!(accepted, Ok(Submitted::Accepted));
    assert_eq!(worker_status(&honest, "liar").await.strikes, 2);
    assert_eq!(worker_status(&honest, "honest").await.strikes, 0);
}

async fn an_oversized_result_is_refused_and_the_lease_stays<D: Door>() {
    let rig = sealed(1, LONG);
    let door = D::open(&rig.queue).await;
    let queue = door.worker().await;
    let held = lease(&queue, "one").await;
    for length in [PROOF_BYTES_MAX + 1, 2 << 20] {
        let huge = queue.submit(held.job, held.token, vec![0; length]).await;
        // above a body's limit HTTP says less
        let code = huge.unwrap_err().code;
        assert!(
            code == ErrorCode::ProofTooLarge
                || (length > PROOF_BYTES_MAX + 1 && code == ErrorCode::Unavailable),
            "{length}: {code:?}"
        );
    }
    assert!(
        queue
            .heartbeat(held.job, held.token, "commit", 1)
            .await
            .is_ok()
    );
    let accepted = queue.submit(held.job, held.token, proof_for(&held)).await;
    assert_eq!(accepted, Ok(Submitted::Accepted));
    assert_eq!(worker_status(&queue, "one").await.strikes, 0);
}

async fn a_replayed_result_changes_nothing<D: Door>() {
    let rig = sealed(2, LONG);
    let door = D::open(&rig.queue).await;
    let (one, two) = (door.worker().await, door.worker().await);
    let first = lease(&one, "one").await;
    let proof = proof_for(&first);
    let accepted = one.submit(first.job, first.token, proof.clone()).await;
    assert_eq!(accepted, Ok(Submitted::Accepted));
    for _ in 0..3 {
        let again = one.submit(first.job, first.token, proof.clone()).await;
        assert_eq!(again, Ok(Submitted::Duplicate));
    }
    // The proof of one job is none of another, whoever hands it in.
    let data = lease(&two, "two").await;
    let chunk = lease(&two, "two").await;
    assert_eq!((chunk.kind, chunk.batch), (JobKind::Chunk, 2));
    for job in [&data, &chunk] {
        let replayed = two.submit(job.job, first.token, proof.clone()).await;
        assert_eq!(replayed, Ok(Submitted::Rejected));
        assert!(two.heartbeat(job.job, job.token, "commit", 1).await.is_ok());
    }
    assert_eq!(two.status().await.unwrap().done, 1);
}

async fn workers_get_what_fits_their_memory_and_kinds<D: Door>() {
    let rig = sealed(1, LONG);
    let door = D::open(&rig.queue).await;
    let queue = door.worker().await;
    let config = JobsConfig::default();
    let with = |memory_mb, kinds: &[JobKind]| WorkerInfo {
        memory_mb,
        kinds: kinds.to_vec(),
        ..info("one")
    };
    let both = [JobKind::Chunk, JobKind::Data];
    assert!(config.data_memory_mb < config.chunk_memory_mb);
    let too_small = with(config.data_memory_mb - 1, &both);
    assert_eq!(queue.lease(&too_small).await, Ok(None));
    let small = with(config.chunk_memory_mb - 1, &both);
    let data = queue.lease(&small).await.unwrap().expect("the data fits");
    assert_eq!(data.kind, JobKind::Data, "and the chunk does not");
    assert_eq!(queue.lease(&small).await, Ok(None));
    let others = with(u64::MAX, &[JobKind::Join, JobKind::Finish]);
    assert_eq!(queue.lease(&others).await, Ok(None));
    let large = with(config.chunk_memory_mb, &both);
    let chunk = queue.lease(&large).await.unwrap().expect("it fits");
    assert_eq!(chunk.kind, JobKind::Chunk);
}

async fn strangers_and_unknown_jobs_are_told_so<D: Door>() {
    let rig = sealed(1, LONG);
    let door = D::open(&rig.queue).await;
    let queue = door.worker().await;
    let unknown = JobId([9; 32]);
    let submitted = queue.submit(unknown, 0, vec![1]).await.unwrap_err();
    assert_eq!(submitted.code, ErrorCode::UnknownJob);
    let beat = queue.heartbeat(unknown, 0, "x", 1).await.unwrap_err();
    assert_eq!(beat.code, ErrorCode::UnknownJob);
    let failed = queue.fail(unknown, 0, "x").await.unwrap_err();
    assert_eq!(failed.code, ErrorCode::UnknownJob);
    for bad in [
        WorkerInfo {
            name: "a b".into(),
            ..info("x")
        },
        WorkerInfo {
            kinds: Vec::new(),
            ..info("x")
        },
    ] {
        let refused = queue.lease(&bad).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidWorker);
    }
}

macro_rules! contract {
    ($($rule:ident)*) => {
        $(mod $rule {
            use super::{Embedded, Http, Nats};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_process() {
                super::$rule::<Embedded>().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_http() {
                super::$rule::<Http>().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_nats() {
                super::$rule::<Nats>().await;
            }
        })*
    };
}

contract! {
    oldest_batch_first
    a_batch_is_proven
    progress_is_reported_and_keeps_a_lease_past_its_length
    a_silent_workers_job_goes_on_elsewhere_and_its_late_result_counts_once
    a_killed_worker_costs_its_lease_only
    what_is_given_back_goes_to_the_next
    bogus_results_cost_strikes_and_nothing_else
    an_oversized_result_is_refused_and_the_lease_stays
    a_replayed_result_changes_nothing
    workers_get_what_fits_their_memory_and_kinds
    strangers_and_unknown_jobs_are_told_so
}
