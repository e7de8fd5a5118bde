//! Subjects, streams and messages between workers and nodes, the same on both sides.
//!
//! | subject | kind | what |
//! |---|---|---|
//! | `quorate.jobs.v1.lease`, `.status` | request to any one node | [`WorkerInfo`](crate::jobs::WorkerInfo); nothing |
//! | `quorate.jobs.v1.node.NODE.heartbeat`, `.fail` | request to the node that granted the lease | [`Heartbeat`], [`Fail`] |
//! | `quorate.witnesses.v1.HASH.PART` | stored in [`WITNESSES`] | a piece of a witness |
//! | `quorate.results.v1.NODE` | stored in [`RESULTS`] until judged | a [`ResultMessage`] |
//! | `quorate.verdicts.v1.HASH` | told once | the verdict on the result with this hash |
//!
//! Requests and answers are JSON ([`Reply`]), results Borsh. A witness is named by its own hash, so what is stored is
//! the same for every node that has it; a verdict is told under the result's hash and never under a subject that a
//! stranger chose.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use borsh::{BorshDeserialize, BorshSerialize};
use protocol::codec::{from_bytes, to_bytes};
use protocol::hash::keccak256;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::{ApiError, ErrorCode};
use crate::jobs::{JobId, JobKind, Lease, PROOF_BYTES_MAX, WORKER_TEXT_MAX};
use crate::text::HashText;

/// Where workers ask for a job.
pub const LEASE_SUBJECT: &str = "quorate.jobs.v1.lease";
/// Where anybody asks what is in a queue.
pub const STATUS_SUBJECT: &str = "quorate.jobs.v1.status";
/// Stream of witnesses.
pub const WITNESSES: &str = "QUORATE_WITNESSES_V1";
/// Stream of results.
pub const RESULTS: &str = "QUORATE_RESULTS_V1";
/// Letters of a node's name: the hex digits of its validator's address.
pub const NODE_NAME_LEN: usize = 40;
/// Bytes of one part of a witness. A server takes messages of a megabyte unless it was told otherwise.
pub const PART_BYTES: usize = 256 << 10;
/// Bytes of a witness at most: several times that of the largest circuit.
pub const WITNESS_BYTES_MAX: usize = 64 << 20;
/// Bytes of a result at most: the largest proof, and what stands around it.
pub const RESULT_BYTES_MAX: usize = PROOF_BYTES_MAX + (4 << 10);
/// What a server must take in one message: a part, or a result, and their headers.
pub const PAYLOAD_BYTES_MIN: usize = PART_BYTES + (16 << 10);

/// How long a witness stays. It is fetched right after its lease; whoever leases later finds it put there again.
const WITNESS_AGE_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of all witnesses: those of some hundred leases. The oldest go first.
const WITNESSES_BYTES_MAX: i64 = 512 << 20;
/// How long a result waits for its node.
const RESULT_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Bytes of all results: some thousand. The oldest go first.
const RESULTS_BYTES_MAX: i64 = 128 << 20;

/// Whether this is a node's name, and nothing that would change the meaning of a subject.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.len() == NODE_NAME_LEN && name.bytes().all(is_digit)
}

/// Where this node's workers keep their leases alive.
#[must_use]
pub fn heartbeat_subject(node: &str) -> String {
    format!("quorate.jobs.v1.node.{node}.heartbeat")
}

/// Where this node's workers give their leases back.
#[must_use]
pub fn fail_subject(node: &str) -> String {
    format!("quorate.jobs.v1.node.{node}.fail")
}

/// Where results for this node go.
#[must_use]
pub fn result_subject(node: &str) -> String {
    format!("quorate.results.v1.{node}")
}

/// Where the verdict on this result is told.
#[must_use]
pub fn verdict_subject(result: &[u8]) -> String {
    format!("quorate.verdicts.v1.{}", hex::encode(keccak256(result)))
}

/// Where a part of a witness lies.
#[must_use]
pub fn witness_subject(hash: &[u8; 32], part: usize) -> String {
    format!("quorate.witnesses.v1.{}.{part}", hex::encode(hash))
}

/// Where all parts of a witness lie.
#[must_use]
pub fn witness_filter(hash: &[u8; 32]) -> String {
    format!("quorate.witnesses.v1.{}.*", hex::encode(hash))
}

/// Parts of a witness of so many bytes.
#[must_use]
pub fn witness_parts(len_bytes: usize) -> usize {
    len_bytes.div_ceil(PART_BYTES)
}

/// The stream of witnesses: one message a part, forgotten after a while.
#[must_use]
pub fn witnesses_config() -> Config {
    Config {
        name: WITNESSES.to_owned(),
        subjects: vec!["quorate.witnesses.v1.>".to_owned()],
        max_messages_per_subject: 1,
        max_age: WITNESS_AGE_MAX,
        max_bytes: WITNESSES_BYTES_MAX,
        max_message_size: limit(PART_BYTES),
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        ..Config::default()
    }
}

/// The stream of results: each stays until its node has judged it.
#[must_use]
pub fn results_config() -> Config {
    Config {
        name: RESULTS.to_owned(),
        subjects: vec!["quorate.results.v1.*".to_owned()],
        retention: RetentionPolicy::WorkQueue,
        max_age: RESULT_AGE_MAX,
        max_bytes: RESULTS_BYTES_MAX,
        max_message_size: limit(RESULT_BYTES_MAX),
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        ..Config::default()
    }
}

/// A length as the server counts it.
fn limit(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply<T> {
    /// What was asked for.
    Done(T),
    /// Why not.
    Refused {
        /// Number of an [`ErrorCode`].
        code: i32,
        /// What is wrong, with values.
        reason: String,
    },
}

impl<T> From<Result<T, ApiError>> for Reply<T> {
    fn from(result: Result<T, ApiError>) -> Self {
        match result {
            Ok(value) => Self::Done(value),
            Err(error) => Self::Refused {
                code: error.code.number(),
                reason: error.reason,
            },
        }
    }
}

impl<T: DeserializeOwned> Reply<T> {
    /// Reads an answer.
    ///
    /// # Errors
    /// The refusal in it, or [`ErrorCode::Unavailable`] for what is no answer.
    pub fn decode(bytes: &[u8]) -> Result<T, ApiError> {
        let unreadable = |why: String| ApiError::new(ErrorCode::Unavailable, why);
        match serde_json::from_slice(bytes) {
            Ok(Self::Done(value)) => Ok(value),
            Ok(Self::Refused { code, reason }) => Err(match ErrorCode::from_number(code) {
                Some(code) => ApiError::new(
                    code,
                    reason.chars().take(WORKER_TEXT_MAX).collect::<String>(),
                ),
                None => unreadable(format!("the node answers with the unknown code {code}")),
            }),
            Err(error) => Err(unreadable(format!(
                "the node's answer is not readable: {error}"
            ))),
        }
    }
}

/// A lease; its witness is fetched by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// The node that holds the job.
    pub node: String,
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
    /// keccak256 of the witness.
    pub witness: HashText,
    /// Bytes of the witness.
    pub witness_bytes: u64,
}

impl Granted {
    /// A lease whose witness was stored; returns the witness's hash with it.
    #[must_use]
    pub fn new(node: &str, lease: &Lease) -> (Self, [u8; 32]) {
        let hash = keccak256(&lease.witness);
        let granted = Self {
            node: node.to_owned(),
            job: lease.job.0.into(),
            token: lease.token,
            kind: lease.kind,
            batch: lease.batch,
            index: lease.index,
            lease_ms: lease.lease_ms,
            witness: hash.into(),
            witness_bytes: u64::try_from(lease.witness.len()).unwrap_or(u64::MAX),
        };
        (granted, hash)
    }

    /// The lease with its witness, once the job is seen to be the content's.
    ///
    /// # Errors
    /// [`ErrorCode::MalformedText`] or [`ErrorCode::UnknownJob`].
    pub fn lease(&self, witness: Vec<u8>) -> Result<Lease, ApiError> {
        let lease = Lease {
            job: JobId(self.job.parse()?),
            token: self.token,
            kind: self.kind,
            batch: self.batch,
            index: self.index,
            lease_ms: self.lease_ms,
            witness,
        };
        lease.checked()
    }
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The job.
    pub job: HashText,
    /// Names the lease.
    pub token: u64,
    /// What the worker is doing.
    pub phase: String,
    /// How far it is.
    pub percent: u8,
}

/// A lease that is given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fail {
    /// The job.
    pub job: HashText,
    /// Names the lease.
    pub token: u64,
    /// Why.
    pub reason: String,
}

/// A proof that is handed in.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ResultMessage {
    /// The job.
    pub job: [u8; 32],
    /// Names the lease.
    pub token: u64,
    /// Bytes of the proof, or of a [`StatedProof`](crate::jobs::StatedProof).
    pub proof: Vec<u8>,
}

impl ResultMessage {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// Reads one; nothing for what is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > RESULT_BYTES_MAX {
            return None;
        }
        from_bytes(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::StatedProof;

    fn granted(witness: &[u8]) -> Granted {
        let lease = Lease {
            job: JobId::new(JobKind::Chunk, witness),
            token: u64::MAX,
            kind: JobKind::Chunk,
            batch: 3,
            index: 1,
            lease_ms: 7,
            witness: witness.to_vec(),
        };
        let (granted, hash) = Granted::new(&"a5".repeat(20), &lease);
        assert_eq!(hash, keccak256(witness));
        assert_eq!(granted.lease(witness.to_vec()), Ok(lease));
        granted
    }

    #[test]
    fn a_lease_takes_its_own_witness_only() {
        let granted = granted(b"witness");
        let error = granted
            .lease(b"another".to_vec())
            .expect_err("another job's");
        assert_eq!(error.code, ErrorCode::UnknownJob);
        let json = serde_json::to_vec(&Reply::Done(Some(&granted))).expect("JSON");
        assert_eq!(Reply::decode(&json), Ok(Some(granted)));
    }

    #[test]
    fn answers_carry_refusals_and_rubbish_is_none() {
        let refusal = ApiError::new(ErrorCode::WorkerSuspended, "9 s");
        let reply: Reply<u64> = Err::<u64, _>(refusal.clone()).into();
        let json = serde_json::to_vec(&reply).expect("JSON");
        assert_eq!(Reply::<u64>::decode(&json), Err(refusal));
        let strange = br#"{"refused":{"code":7,"reason":"x"}}"#;
        for bytes in [&b"{}"[..], b"", b"\xff", strange, &json[..json.len() - 1]] {
            let error = Reply::<u64>::decode(bytes).expect_err("no answer");
            assert_eq!(error.code, ErrorCode::Unavailable);
        }
    }

    #[test]
    fn names_of_nodes_cannot_bend_a_subject() {
        assert!(is_node_name(&"0a".repeat(20)));
        for name in [
            "",
            "a",
            &"0A".repeat(20),
            &"*".repeat(40),
            &".".repeat(40),
            &"a".repeat(41),
        ] {
            assert!(!is_node_name(name), "{name}");
        }
    }

    #[test]
    fn results_come_back_whole_and_long_ones_are_not_read() {
        let result = ResultMessage {
            job: [4; 32],
            token: 9,
            proof: vec![5; PROOF_BYTES_MAX],
        };
        let bytes = result.encode();
        assert_eq!(ResultMessage::decode(&bytes), Some(result));
        assert_eq!(ResultMessage::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(ResultMessage::decode(&[0; RESULT_BYTES_MAX + 1]), None);
        let stated = StatedProof {
            instance: vec![protocol::Fr::from(1_u64); 25],
            proof: vec![0; 40 << 10],
        };
        assert!(
            stated.encode().len() < PROOF_BYTES_MAX,
            "a result of aggregation fits"
        );
        assert_eq!(witness_parts(0), 0);
        assert_eq!(witness_parts(PART_BYTES), 1);
        assert_eq!(witness_parts(PART_BYTES + 1), 2);
    }
}
