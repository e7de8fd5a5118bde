//! The worker loop: lease a job, keep the lease alive, prove, hand the proof in (`proving.md`, "Many workers").
//!
//! Generic over the queue (in the node's process or over the network) and over what makes proofs, so that the loop
//! is tested without a circuit. Invariants: one job at a time; a worker that stops gives its lease back; a queue that
//! cannot be reached is asked again, never faster than once a second; a proof is handed in even if the lease was
//! lost, since a valid proof is always welcome.
//!
//! What it does not do: it does not decide whether a proof is valid (the prover checks its own, the node checks all),
//! and it cannot interrupt a proof: a worker that is told to stop leaves its thread behind for the process to end.

mod provers;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::error::{ApiError, ErrorCode};
use api::jobs::{
    JobKind, JobQueue, Lease, PROOF_BYTES_MAX, Submitted, WORKER_TEXT_MAX, WorkerInfo,
};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use provers::{AggregationProver, Load, Provers};

use crate::progress::{Phase, Progress, ProgressSink};

/// Time between two looks at an empty queue.
const IDLE_WAIT: Duration = Duration::from_millis(500);
/// Time before a queue that failed is asked again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Longest time between two attempts.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Attempts to hand in one proof, with growing waits: several minutes.
const SUBMIT_ATTEMPTS: u32 = 12;
/// A heartbeat at least this often, so that progress is seen.
const HEARTBEAT_MAX: Duration = Duration::from_secs(2);
/// A heartbeat at most this often.
const HEARTBEAT_MIN: Duration = Duration::from_millis(20);

/// Makes proofs.
pub trait JobProver: Send + Sync + 'static {
    /// Proves one job and checks the proof.
    ///
    /// # Errors
    /// Why there is no proof; the job goes back to the queue with this reason.
    fn prove(
        &self,
        kind: JobKind,
        witness: &[u8],
        progress: ProgressSink<'_>,
    ) -> Result<Vec<u8>, JobError>;
}

/// Why a job was not proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The witness is not one that this worker can prove.
    #[error("the witness cannot be proven here: {0}")]
    InvalidWitness(String),
    /// The proof that was made does not verify: the worker's keys or its circuit are wrong.
    #[error("the finished proof does not verify: {0}")]
    InvalidProof(String),
    /// Something in this process failed.
    #[error("the prover failed: {0}")]
    Internal(String),
}

/// Why a worker gave up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The queue refuses this worker's description.
    #[error("the queue refuses this worker: {0}")]
    InvalidWorker(ApiError),
    /// The node does not accept this worker's proofs: going on would waste both sides' time.
    #[error(
        "the node refused {refused} proofs of this worker; its circuits are not the node's: use the node's release"
    )]
    Rejected {
        /// Proofs refused.
        refused: u32,
    },
    /// Our own proofs do not verify.
    #[error("{failed} proofs in a row failed here: {reason}")]
    Failing {
        /// Jobs that failed.
        failed: u32,
        /// Why the last one did.
        reason: String,
    },
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// What the queue is told.
    pub info: WorkerInfo,
    /// Proofs refused before the worker gives up.
    pub refusals_max: u32,
    /// Jobs that may fail in a row before the worker gives up.
    pub failures_max: u32,
}

impl WorkerConfig {
    /// The usual limits.
    #[must_use]
    pub fn new(info: WorkerInfo) -> Self {
        Self {
            info,
            refusals_max: 3,
            failures_max: 3,
        }
    }
}

/// What a worker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// Proofs that were accepted.
    pub accepted: u32,
    /// Proofs that somebody else had handed in before.
    pub duplicate: u32,
    /// Proofs that a queue server keeps for a node that was away.
    pub kept: u32,
    /// Jobs given back.
    pub failed: u32,
}

/// Works until `stop` is cancelled.
///
/// # Errors
/// [`WorkerError`]: conditions that waiting does not cure.
pub async fn run_worker<Q: JobQueue, P: JobProver>(
    queue: &Q,
    prover: Arc<P>,
    config: &WorkerConfig,
    stop: &CancellationToken,
) -> Result<WorkerReport, WorkerError> {
    let mut report = WorkerReport::default();
    let (mut refused, mut failing) = (0, 0);
    let mut wait = RETRY_WAIT;
    while let Some(leased) = or_stop(stop, queue.lease(&config.info)).await {
        let lease = match leased {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                wait = RETRY_WAIT;
                or_stop(stop, sleep(IDLE_WAIT)).await;
                continue;
            }
            Err(error) if error.code == ErrorCode::InvalidWorker => {
                return Err(WorkerError::InvalidWorker(error));
            }
            Err(error) => {
                warn!(%error, wait_ms = wait.as_millis(), "cannot lease a job");
                or_stop(stop, sleep(wait)).await;
                wait = (wait * 2).min(RETRY_WAIT_MAX);
                continue;
            }
        };
        wait = RETRY_WAIT;
        info!(job = %lease.job, batch = lease.batch, chunk = lease.index, kind = ?lease.kind, "proving");
        match work(queue, &prover, &lease, stop).await {
            Worked::Stopped => {
                give_back(queue, &lease, "the worker is stopping").await;
                break;
            }
            Worked::Failed(error) => {
                error!(job = %lease.job, %error, "no proof");
                give_back(queue, &lease, &error.to_string()).await;
                report.failed += 1;
                failing += 1;
                if failing >= config.failures_max {
                    let reason = error.to_string();
                    return Err(WorkerError::Failing {
                        failed: failing,
                        reason,
                    });
                }
            }
            Worked::Proven(proof) => {
                failing = 0;
                match submit(queue, &lease, proof, stop).await {
                    Some(Submitted::Accepted) => {
                        info!(job = %lease.job, "proof accepted");
                        report.accepted += 1;
                    }
                    Some(Submitted::Duplicate) => report.duplicate += 1,
                    Some(Submitted::Kept) => {
                        info!(job = %lease.job, "proof kept for the node, which is away");
                        report.kept += 1;
                    }
                    Some(Submitted::Rejected) => {
                        error!(job = %lease.job, "the node says that the proof does not verify");
                        refused += 1;
                        if refused >= config.refusals_max {
                            return Err(WorkerError::Rejected { refused });
                        }
                    }
                    None => report.failed += 1,
                }
            }
        }
    }
    Ok(report)
}

/// The future's value, unless `stop` comes first.
async fn or_stop<T>(stop: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        value = future => Some(value),
    }
}

enum Worked {
    Proven(Vec<u8>),
    Failed(JobError),
    Stopped,
}

/// Proves on a thread of its own, with a heartbeat beside it.
async fn work<Q: JobQueue, P: JobProver>(
    queue: &Q,
    prover: &Arc<P>,
    lease: &Lease,
    stop: &CancellationToken,
) -> Worked {
    let progress = Arc::new(Mutex::new(Progress {
        phase: Phase::Witness,
        percent: 0,
    }));
    let mut proving = start(Arc::clone(prover), lease, Arc::clone(&progress));
    let period = (Duration::from_millis(lease.lease_ms) / 4).clamp(HEARTBEAT_MIN, HEARTBEAT_MAX);
    let mut is_held = true;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Worked::Stopped,
            done = &mut proving => {
                return match done {
                    Ok(Ok(proof)) if proof.len() > PROOF_BYTES_MAX => {
                        Worked::Failed(JobError::Internal(format!("a proof of {} bytes", proof.len())))
                    }
                    Ok(Ok(proof)) => Worked::Proven(proof),
                    Ok(Err(error)) => Worked::Failed(error),
                    Err(error) => Worked::Failed(JobError::Internal(error.to_string())),
                };
            }
            () = sleep(period) => {}
        }
        if !is_held {
            continue;
        }
        let now = *progress.lock().unwrap_or_else(PoisonError::into_inner);
        let beat = queue.heartbeat(lease.job, lease.token, phase_name(now.phase), now.percent);
        match or_stop(stop, beat).await {
            None => return Worked::Stopped,
            Some(Ok(_)) => {}
            Some(Err(error))
                if matches!(error.code, ErrorCode::LeaseLost | ErrorCode::UnknownJob) =>
            {
                warn!(job = %lease.job, %error, "lease lost; the proof is finished all the same");
                is_held = false;
            }
            // The lease outlives a few lost heartbeats.
            Some(Err(error)) => warn!(job = %lease.job, %error, "heartbeat failed"),
        }
    }
}

fn start<P: JobProver>(
    prover: Arc<P>,
    lease: &Lease,
    progress: Arc<Mutex<Progress>>,
) -> JoinHandle<Result<Vec<u8>, JobError>> {
    let (kind, witness) = (lease.kind, lease.witness.clone());
    tokio::task::spawn_blocking(move || {
        let sink = move |now| *progress.lock().unwrap_or_else(PoisonError::into_inner) = now;
        prover.prove(kind, &witness, &sink)
    })
}

/// Hands the proof in, again and again while the queue cannot be reached; nothing if it never could.
async fn submit<Q: JobQueue>(
    queue: &Q,
    lease: &Lease,
    proof: Vec<u8>,
    stop: &CancellationToken,
) -> Option<Submitted> {
    let mut wait = RETRY_WAIT;
    for attempt in 1..=SUBMIT_ATTEMPTS {
        // A proof in hand is worth one try even while stopping.
        let error = match queue.submit(lease.job, lease.token, proof.clone()).await {
            Ok(submitted) => return Some(submitted),
            Err(error) => error,
        };
        let is_final = matches!(error.code, ErrorCode::UnknownJob | ErrorCode::ProofTooLarge);
        warn!(job = %lease.job, attempt, %error, "cannot hand the proof in");
        if is_final || or_stop(stop, sleep(wait)).await.is_none() {
            return None;
        }
        wait = (wait * 2).min(RETRY_WAIT_MAX);
    }
    None
}

/// Best effort: the lease ends by itself if this does not arrive.
async fn give_back<Q: JobQueue>(queue: &Q, lease: &Lease, reason: &str) {
    let reason: String = reason
        .chars()
        .filter(char::is_ascii)
        .take(WORKER_TEXT_MAX)
        .collect();
    let answer =
        tokio::time::timeout(RETRY_WAIT, queue.fail(lease.job, lease.token, &reason)).await;
    if !matches!(answer, Ok(Ok(()))) {
        info!(job = %lease.job, "the lease could not be given back; it will expire");
    }
}

/// Name of a phase in a heartbeat.
#[must_use]
pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Keys => "keys",
        Phase::Witness => "witness",
        Phase::Commit => "commit",
        Phase::Arguments => "arguments",
        Phase::Quotient => "quotient",
        Phase::Opening => "opening",
        Phase::Verifying => "verifying",
    }
}

#[cfg(test)]
mod tests;
