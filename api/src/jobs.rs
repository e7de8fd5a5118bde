//! Proof jobs: what a worker leases, and how it answers (`proving.md`, "Many workers").
//!
//! A job is self-contained and named by its content: witness bytes in, proof bytes out. Oldest batch first. A lease ends
//! at its deadline unless the worker heartbeats; then the job goes to another worker. Results are verified before
//! they count, whoever sends them: duplicates and late results change nothing, a false one costs a strike.

mod aggregation;
pub mod nats;
mod remote;

use std::future::Future;

use jsonrpsee::{core::RpcResult, proc_macros::rpc};
use protocol::hash::keccak256;
use serde::{Deserialize, Serialize};

pub use aggregation::{
    ACCUMULATOR_LIMBS, AggregationWitness, CHUNKS_MAX, Circuit, ClosedEnds, LEVELS, StatedProof,
    address_of, join_width,
};
pub use remote::RemoteQueue;

use crate::{
    error::{ApiError, ErrorCode},
    text::{BytesText, HashText},
};

/// Letters of a worker's name at most.
pub const WORKER_NAME_MAX: usize = 64;
/// Letters of a phase or failure reason at most.
pub const WORKER_TEXT_MAX: usize = 200;
/// Bytes of a proof at most: several times the largest honest one.
pub const PROOF_BYTES_MAX: usize = 64 << 10;

/// Which circuit a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// The witness is a Borsh `protocol::witness::ChunkWitness`.
    Chunk,
    /// The witness is a Borsh `protocol::witness::DataWitness`.
    Data,
    /// Two proofs of the level below become one; witness an [`AggregationWitness`], result a [`StatedProof`], in Borsh.
    Join,
    /// The joined chunks and the data become a batch; witness and result as for [`Self::Join`].
    Close,
    /// A batch becomes what the base layer verifies; witness and result as for [`Self::Join`].
    Finish,
}

impl JobKind {
    /// All of them, in the order of the work on a batch.
    pub const ALL: [Self; 5] = [
        Self::Chunk,
        Self::Data,
        Self::Join,
        Self::Close,
        Self::Finish,
    ];

    /// Whether it is about proofs of proofs.
    #[must_use]
    pub fn is_aggregation(self) -> bool {
        matches!(self, Self::Join | Self::Close | Self::Finish)
    }

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chunk => "chunk",
            Self::Data => "data",
            Self::Join => "join",
            Self::Close => "close",
            Self::Finish => "finish",
        }
    }
}

/// keccak256 of a tag for the kind and the witness bytes; of a job of aggregation, of what it proves
/// ([`AggregationWitness::id`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub [u8; 32]);

impl JobId {
    /// Id of the job with this content.
    #[must_use]
    pub fn new(kind: JobKind, witness: &[u8]) -> Self {
        let tag: &[u8] = match kind {
            JobKind::Chunk => b"QUORATE/api/job/chunk/v1",
            JobKind::Data => b"QUORATE/api/job/data/v1",
            JobKind::Join | JobKind::Close | JobKind::Finish => {
                let known = AggregationWitness::decode(kind, witness).ok();
                if let Some(id) = known.and_then(|witness| witness.id()) {
                    return id;
                }
                b"QUORATE/api/job/malformed/v1" // nobody's: the id of no job
            }
        };
        Self(keccak256(&[tag, witness].concat()))
    }
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

/// What a worker says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerInfo {
    /// Name, unique among workers: 1 to 64 of letters, digits, '-', '_', '.'.
    pub name: String,
    /// Memory it may use, in MiB.
    pub memory_mb: u64,
    /// Kinds of jobs it takes.
    pub kinds: Vec<JobKind>,
}

impl WorkerInfo {
    /// Checks name and kinds.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidWorker`].
    pub fn check(&self) -> Result<(), ApiError> {
        let is_fine = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let name = &self.name;
        let fits = (1..=WORKER_NAME_MAX).contains(&name.len()) && name.chars().all(is_fine);
        if !fits || self.kinds.is_empty() || self.kinds.len() > JobKind::ALL.len() {
            let reason = "the name, or the list of job kinds, cannot be used";
            return Err(ApiError::new(ErrorCode::InvalidWorker, reason));
        }
        Ok(())
    }
}

/// A job that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Names this lease; it dies with the lease.
    pub token: u64,
    /// Which circuit.
    pub kind: JobKind,
    /// Batch the job belongs to.
    pub batch: u64,
    /// Position of the chunk in its batch, or of the join among all of its batch, level by level; else 0.
    pub index: u32,
    /// Milliseconds left; each heartbeat restores them.
    pub lease_ms: u64,
    /// Borsh bytes of the witness.
    pub witness: Vec<u8>,
}

impl Lease {
    /// A lease whose witness came another way, once the job is seen to be the witness's.
    ///
    /// # Errors
    /// [`ErrorCode::UnknownJob`].
    fn checked(self) -> Result<Self, ApiError> {
        if JobId::new(self.kind, &self.witness) == self.job {
            return Ok(self);
        }
        let reason = "the witness does not hash to the job's id: it was damaged on the way";
        Err(ApiError::new(ErrorCode::UnknownJob, reason))
    }
}

/// What became of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submitted {
    /// The proof was verified and is now the job's.
    Accepted,
    /// The job had a proof already; nothing has changed.
    Duplicate,
    /// The proof does not verify; the worker has one more strike.
    Rejected,
    /// The node is away; its queue server keeps the result until the node has judged it.
    Kept,
}

/// What is in the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueStatus {
    /// Jobs waiting.
    pub queued: u64,
    /// Jobs held, and how far they are.
    pub leased: Vec<LeasedJob>,
    /// Jobs done since genesis.
    pub done: u64,
    /// Workers seen since the node started.
    pub workers: Vec<WorkerStatus>,
}

/// A job that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeasedJob {
    /// The job.
    pub id: HashText,
    /// Which circuit.
    pub kind: JobKind,
    /// Batch.
    pub batch: u64,
    /// Position of the chunk, or of the join among all of its batch; else 0.
    pub index: u32,
    /// Who holds it.
    pub worker: String,
    /// Phase reported last.
    pub phase: String,
    /// Percent reported last.
    pub percent: u8,
    /// Milliseconds until the lease ends.
    pub lease_left_ms: u64,
}

/// A worker as the node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// Results that did not verify.
    pub strikes: u32,
    /// Proofs accepted.
    pub accepted: u64,
    /// Milliseconds until it may lease again; 0 if it may now.
    pub suspended_ms: u64,
}

/// The queue, as a worker uses it: in the node's process or over the network.
pub trait JobQueue: Send + Sync {
    /// Takes the oldest job that fits the worker, if there is one.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidWorker`], [`ErrorCode::WorkerSuspended`] or [`ErrorCode::Unavailable`].
    fn lease(
        &self,
        worker: &WorkerInfo,
    ) -> impl Future<Output = Result<Option<Lease>, ApiError>> + Send;

    /// Keeps a lease alive and reports progress; returns the milliseconds left from now.
    ///
    /// # Errors
    /// [`ErrorCode::LeaseLost`] or [`ErrorCode::UnknownJob`]: the work is somebody else's.
    fn heartbeat(
        &self,
        job: JobId,
        token: u64,
        phase: &str,
        percent: u8,
    ) -> impl Future<Output = Result<u64, ApiError>> + Send;

    /// Hands in a proof; a valid one counts even if the lease was lost. The token tells whose result it is, so
    /// that nobody collects strikes for another.
    ///
    /// # Errors
    /// [`ErrorCode::UnknownJob`], [`ErrorCode::ProofTooLarge`] or [`ErrorCode::WorkerSuspended`].
    fn submit(
        &self,
        job: JobId,
        token: u64,
        proof: Vec<u8>,
    ) -> impl Future<Output = Result<Submitted, ApiError>> + Send;

    /// Gives a lease back.
    ///
    /// # Errors
    /// [`ErrorCode::LeaseLost`] or [`ErrorCode::UnknownJob`].
    fn fail(
        &self,
        job: JobId,
        token: u64,
        reason: &str,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;

    /// What is in the queue.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`].
    fn status(&self) -> impl Future<Output = Result<QueueStatus, ApiError>> + Send;
}

/// A lease in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseJson {
    /// The job.
    pub job: HashText,
    /// Names this lease.
    pub token: u64,
    /// Which circuit.
    pub kind: JobKind,
    /// Batch.
    pub batch: u64,
    /// Position of the chunk, or of the join among all of its batch; else 0.
    pub index: u32,
    /// Milliseconds left.
    pub lease_ms: u64,
    /// Borsh bytes of the witness.
    pub witness: BytesText,
}

impl From<Lease> for LeaseJson {
    fn from(lease: Lease) -> Self {
        Self {
            job: lease.job.0.into(),
            token: lease.token,
            kind: lease.kind,
            batch: lease.batch,
            index: lease.index,
            lease_ms: lease.lease_ms,
            witness: lease.witness.as_slice().into(),
        }
    }
}

impl LeaseJson {
    /// The lease, once the id is seen to be the content's.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`] or [`ErrorCode::UnknownJob`].
    pub fn parse(&self) -> Result<Lease, ApiError> {
        let lease = Lease {
            job: JobId(self.job.parse()?),
            token: self.token,
            kind: self.kind,
            batch: self.batch,
            index: self.index,
            lease_ms: self.lease_ms,
            witness: self.witness.parse()?,
        };
        lease.checked()
    }
}

/// The queue's JSON-RPC interface, on its own address.
#[rpc(server, client, namespace = "prover")]
pub trait Prover {
    /// Takes the oldest job that fits the worker.
    #[method(name = "lease")]
    async fn lease(&self, worker: WorkerInfo) -> RpcResult<Option<LeaseJson>>;

    /// Keeps a lease alive; returns the milliseconds left.
    #[method(name = "heartbeat")]
    async fn heartbeat(
        &self,
        job: HashText,
        token: u64,
        phase: String,
        percent: u8,
    ) -> RpcResult<u64>;

    /// Hands in a proof.
    #[method(name = "submit")]
    async fn submit(&self, job: HashText, token: u64, proof: BytesText) -> RpcResult<Submitted>;

    /// Gives a lease back.
    #[method(name = "fail")]
    async fn fail(&self, job: HashText, token: u64, reason: String) -> RpcResult<()>;

    /// What is in the queue.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<QueueStatus>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_witness_is_noticed() {
        let witness = vec![1, 2, 3];
        let lease = Lease {
            job: JobId::new(JobKind::Chunk, &witness),
            token: 7,
            kind: JobKind::Chunk,
            batch: 1,
            index: 0,
            lease_ms: 10,
            witness,
        };
        let mut json = LeaseJson::from(lease.clone());
        assert_eq!(json.parse(), Ok(lease));
        json.witness = BytesText("0x010204".into());
        assert_eq!(json.parse().unwrap_err().code, ErrorCode::UnknownJob);
    }

    #[test]
    fn worker_names_are_plain() {
        let worker = |name: &str| WorkerInfo {
            name: name.into(),
            memory_mb: 1,
            kinds: vec![JobKind::Chunk],
        };
        assert_eq!(worker("box-1.b_2").check(), Ok(()));
        for name in ["", "a b", "a\n", &"a".repeat(65)] {
            assert!(worker(name).check().is_err(), "{name:?}");
        }
        assert_ne!(
            JobId::new(JobKind::Chunk, b""),
            JobId::new(JobKind::Data, b"")
        );
        for kind in JobKind::ALL {
            let name = serde_json::to_value(kind).unwrap();
            assert_eq!(name, kind.name());
        }
    }
}
