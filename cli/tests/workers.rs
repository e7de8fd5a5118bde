//! Several prover processes on one queue: one that goes silent, one that is killed, one that is slow but alive.
//!
//! One real chunk proof and one real data proof; what a lost lease sends in late changes nothing. With `QUORATE_SOAK` also
//! a real final proof, by one worker from the chunk to the end.

#![expect(
    clippy::print_stdout,
    reason = "the figures of a run are read with --nocapture"
)]

#[path = "workers/nats.rs"]
mod nats;
#[path = "support/node.rs"]
mod node;
#[path = "../../sequencer/src/nats/server.rs"]
mod server;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::error::ErrorCode;
use api::jobs::{JobKind, JobQueue, Lease, RemoteQueue, Submitted, WorkerInfo};
use api::ledger::{BatchJob, BatchJson, BatchStage};
use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use jsonrpsee::http_client::HttpClient;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::number::{Amount, Height, LeafIndex, Nonce};
use protocol::transaction::{Action, Domain, SignedTransaction, Transaction};
use verifier::bundle::Bundle;

use crate::node::{Chain, Node, Process, funded_key, l1_owner, quorate};

/// Lease of this test: short, so that a killed worker's job moves on soon; workers heartbeat four times in it.
const LEASE_MS: u32 = 5_000;
/// Longest wait for the batch to be proven, on a busy machine.
const PROVEN_MAX: Duration = Duration::from_secs(500);
/// Longest wait for a final proof: minutes of work, and keys if there are none.
const FINAL_MAX: Duration = Duration::from_secs(5_400);
/// Longest wait for anything else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `quorate prover` process; killed if the test fails.
struct Worker {
    name: &'static str,
    child: Child,
}

impl Worker {
    fn start(node: &Node, name: &'static str) -> Self {
        Self::start_with(node, name, &[])
    }

    fn start_with(node: &Node, name: &'static str, more: &[&str]) -> Self {
        Self::spawn(name, ["--jobs", &node.jobs], more)
    }

    /// One that takes jobs from a place that a flag and its value name.
    fn spawn(name: &'static str, place: [&str; 2], more: &[&str]) -> Self {
        let child = quorate()
            .args([
                "prover", "--dev", "--json", "--log", "error", "--name", name,
            ])
            .args(place)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        Self { name, child }
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop; what it says of its work.
    fn stop(mut self) -> serde_json::Value {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it runs");
        let stdout = self.child.stdout.take().expect("stdout is piped");
        let report = std::io::read_to_string(stdout).expect("stdout can be read");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        serde_json::from_str(&report).expect("a report")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    u64::try_from(now.as_millis()).expect("a time")
}

/// One payment that makes a leaf.
async fn pay(client: &HttpClient) {
    let chain = client.chain().await.expect("the chain");
    let domain = Domain(chain.domain.parse().expect("a field element"));
    let secret = funded_key(0);
    let transaction = Transaction {
        from: LeafIndex(1),
        nonce: Nonce(0),
        valid_until: Height(1 << 40),
        fee: Amount::ZERO,
        action: Action::TransferToNew {
            key: secret.public().into(),
            l1_owner: l1_owner(1),
            amount: Amount::new(5).expect("an amount"),
        },
    };
    let signed = SignedTransaction {
        transaction,
        key: secret.public(),
        signature: secret.sign(&transaction.message(&domain, false)),
    };
    let json = SignedTransactionJson::new(chain.chain_id, &signed);
    client
        .send_transaction(json)
        .await
        .expect("a valid payment");
}

async fn batch(client: &HttpClient) -> BatchJson {
    client.batch(Some(1)).await.expect("the first batch")
}

fn job(batch: &BatchJson, kind: JobKind) -> BatchJob {
    let job = batch.jobs.iter().find(|job| job.kind == kind);
    job.expect("a sealed batch has both kinds").clone()
}

/// Looks at the first batch until it is as wished.
async fn wait_for(
    client: &HttpClient,
    what: &str,
    patience: Duration,
    is_so: impl Fn(&BatchJson) -> bool,
) -> BatchJson {
    let until = Instant::now() + patience;
    loop {
        let batch = batch(client).await;
        if is_so(&batch) {
            return batch;
        }
        assert!(Instant::now() < until, "never {what}: {batch:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Takes the chunk, and never says another word in time.
async fn silent_lease(queue: &RemoteQueue) -> Lease {
    let worker = WorkerInfo {
        name: "silent".into(),
        memory_mb: 1 << 16,
        kinds: vec![JobKind::Chunk],
    };
    let lease = queue.lease(&worker).await.expect("a queue");
    lease.expect("the chunk waits")
}

/// A worker that tells how far it is.
fn is_at_work(job: &BatchJob, names: &[&str]) -> bool {
    let is_ours = job
        .worker
        .as_deref()
        .is_some_and(|name| names.contains(&name));
    is_ours && job.phase.as_deref().is_some_and(|phase| phase != "leased")
}

/// What the holder of a lost lease can do: nothing.
async fn late_words_change_nothing(client: &HttpClient, queue: &RemoteQueue, lost: &Lease) {
    let before = job(&batch(client).await, JobKind::Chunk);
    let beat = queue.heartbeat(lost.job, lost.token, "late", 99).await;
    assert_eq!(beat.expect_err("lost").code, ErrorCode::LeaseLost);
    let given_back = queue.fail(lost.job, lost.token, "late").await;
    assert_eq!(given_back.expect_err("lost").code, ErrorCode::LeaseLost);
    let rubbish = queue.submit(lost.job, lost.token, vec![7; 1_000]).await;
    assert_eq!(rubbish, Ok(Submitted::Rejected));
    let after = job(&batch(client).await, JobKind::Chunk);
    assert_eq!(
        (
            after.worker,
            after.attempts,
            after.leased_ms,
            after.proven_ms
        ),
        (before.worker, before.attempts, before.leased_ms, None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_job_goes_on_elsewhere_and_the_batch_is_proven_slow() {
    let chain = Chain::new(1, &[("lease_ms", LEASE_MS)]);
    let node = chain.start();
    let client = node.client();
    pay(&client).await;
    let queue = RemoteQueue::new(&node.jobs).expect("a URL");
    let is_sealed = |batch: &BatchJson| batch.stage == BatchStage::Sealed;
    wait_for(&client, "sealed", PATIENCE, is_sealed).await;
    let lost = silent_lease(&queue).await;
    assert_eq!(job(&batch(&client).await, JobKind::Chunk).attempts, 1);

    // Two workers: one gets the data, the other the chunk as soon as the silent lease has ended.
    let mut workers = vec![Worker::start(&node, "one"), Worker::start(&node, "two")];
    let held = wait_for(&client, "taken over", PATIENCE, |batch| {
        is_at_work(&job(batch, JobKind::Chunk), &["one", "two"])
    })
    .await;
    let chunk = job(&held, JobKind::Chunk);
    assert_eq!(chunk.attempts, 2);
    late_words_change_nothing(&client, &queue, &lost).await;

    // The holder dies while it reports progress; a third worker stands by.
    let place = workers
        .iter()
        .position(|worker| Some(worker.name) == chunk.worker.as_deref());
    let killed = workers.remove(place.expect("a worker holds the chunk"));
    let (killed_name, killed_ms) = (killed.name, now_ms());
    killed.kill();
    workers.push(Worker::start(&node, "three"));
    let names: Vec<&str> = workers.iter().map(|worker| worker.name).collect();
    let moved = wait_for(&client, "reassigned", PROVEN_MAX, |batch| {
        is_at_work(&job(batch, JobKind::Chunk), &names)
    })
    .await;
    let chunk = job(&moved, JobKind::Chunk);
    assert_eq!(chunk.attempts, 3);
    assert_ne!(chunk.worker.as_deref(), Some(killed_name));
    let waited = chunk.leased_ms.expect("leased").saturating_sub(killed_ms);
    assert!(
        waited >= u64::from(LEASE_MS) / 2,
        "taken away {waited} ms after the last sign of life"
    );

    // The proof takes many times the lease while another worker asks for work: heartbeats keep it.
    let proven = wait_for(&client, "proven", PROVEN_MAX, |batch| {
        batch.stage == BatchStage::Proven
    })
    .await;
    let last = job(&proven, JobKind::Chunk);
    assert_eq!((&last.worker, last.attempts), (&chunk.worker, 3));
    assert_eq!(last.leased_ms, chunk.leased_ms);
    let took = last.proven_ms.expect("proven") - last.leased_ms.expect("leased");
    assert!(
        took > 2 * u64::from(LEASE_MS),
        "proven in {took} ms: too fast to tell"
    );

    // The right proof under the lost lease is a duplicate, and costs nobody anything.
    let bundle = client.bundle(1).await.expect("the bundle").bytes;
    let decoded = Bundle::decode(&bundle.parse().expect("hex")).expect("a bundle");
    let again = queue
        .submit(lost.job, lost.token, decoded.chunks[0].proof.clone())
        .await;
    assert_eq!(again, Ok(Submitted::Duplicate));
    assert_eq!(batch(&client).await, proven);
    assert_eq!(client.bundle(1).await.expect("the bundle").bytes, bundle);
    let status = queue.status().await.expect("a queue");
    let strikes = |name: &str| {
        let mut workers = status.workers.iter();
        let worker = workers.find(|worker| worker.name == name);
        worker.expect("a known worker").strikes
    };
    assert_eq!(strikes("silent"), 1, "the rubbish");
    assert!(names.iter().all(|name| {
        let mut seen = status.workers.iter();
        seen.all(|worker| worker.name != *name || worker.strikes == 0)
    }));

    let reports = workers.into_iter().map(Worker::stop);
    let accepted: u64 = reports
        .map(|report| report["accepted"].as_u64().expect("a count"))
        .sum();
    // The killed worker may have proven the data before it took the chunk.
    assert!((1..=2).contains(&accepted), "{accepted}");
    node.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_batch_gets_its_final_proof_through_the_queue_slow() {
    if std::env::var_os("QUORATE_SOAK").is_none() {
        // ten minutes of a quiet machine, and eleven gigabytes of memory
        println!("no final proof made: set QUORATE_SOAK=1");
        return;
    }
    let chain = Chain::new(1, &[]);
    let start = || {
        let mut command = chain.command();
        command.arg("--aggregate");
        let served = Process::spawn(&mut command, chain.path("log")).serving();
        served
            .unwrap_or_else(|| panic!("no start: {}", chain.log()))
            .0
    };
    let node = start();
    let client = node.client();
    pay(&client).await;
    let rewarded = l1_owner(7).to_string();
    let worker = Worker::start_with(&node, "one", &["--prover-id", &rewarded]);
    let is_done = |batch: &BatchJson| batch.final_proof_ms.is_some();
    let done = wait_for(&client, "final", FINAL_MAX, is_done).await;
    let kinds: Vec<JobKind> = done.jobs.iter().map(|job| job.kind).collect();
    assert_eq!(kinds, JobKind::ALL);
    for job in &done.jobs {
        let (from, to) = (
            job.leased_ms.expect("leased"),
            job.proven_ms.expect("proven"),
        );
        println!(
            "{}: {:.1} s",
            job.kind.name(),
            Duration::from_millis(to - from).as_secs_f64()
        );
        // the node verified it, and the lease lived through keys and proof
        assert_eq!((job.worker.as_deref(), job.attempts), (Some("one"), 1));
    }
    let report = worker.stop();
    assert_eq!(report["accepted"], JobKind::ALL.len());
    assert!(
        chain.log().contains(&rewarded),
        "the node says who is rewarded"
    );
    drop(client);
    node.stop();
    let node = start();
    let kept = batch(&node.client()).await;
    assert_eq!(kept.final_proof_ms, done.final_proof_ms);
    node.stop();
}
