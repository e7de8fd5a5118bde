//! Values on disk. A change of any of them is a new layout: raise [`super::open::SCHEMA`].

use std::collections::BTreeMap;

use api::jobs::{ACCUMULATOR_LIMBS, Circuit, StatedProof};
use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    Fr,
    account::Leaf,
    block::{Block, Tip},
    certificate::ExtendedCertificate,
    checkpoint::Checkpoint,
    codec::{borsh_field, field_from_be_bytes, field_to_be_bytes},
    number::{BatchNumber, Height, LeafIndex},
    public_inputs::PublicInputs,
    threaded::Threaded,
    transaction::Submission,
    words::Words,
};

/// Where the state on disk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct TipRecord {
    pub(crate) tip: Tip,
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub(crate) root: Fr,
    pub(crate) leaf_count: u64,
}

/// A block and the certificate that decides it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct StoredBlock {
    pub(crate) block: Block,
    pub(crate) certificate: ExtendedCertificate,
}

/// What a block has overwritten.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Undo {
    pub(crate) leaf_count: u64,
    pub(crate) earlier: BTreeMap<LeafIndex, Leaf>,
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum TransactionRecord {
    /// In the mempool under this sequence number.
    Pending { sequence: u64, received_ms: u64 },
    /// In a certified block, which this node committed at `ordered_ms`.
    Ordered {
        received_ms: u64,
        ordered_ms: u64,
        height: Height,
        place: u32,
    },
    /// It will not be applied.
    Failed {
        received_ms: u64,
        failed_ms: u64,
        code: i32,
        reason: String,
    },
}

/// An entry of the mempool.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct PendingRecord {
    pub(crate) submission: Submission,
    pub(crate) received_ms: u64,
}

/// Where the batcher starts after a restart: the first block of the open batch, and what its trace starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct OpenBatchRecord {
    pub(crate) number: BatchNumber,
    pub(crate) first_height: Height,
    /// Height of the last published block before the batch.
    pub(crate) published_height: Height,
    pub(crate) inbox_count: u64,
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub(crate) root: Fr,
}

/// A sealed batch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct BatchRecord {
    pub(crate) number: BatchNumber,
    pub(crate) first_height: Height,
    pub(crate) last_height: Height,
    pub(crate) start: Threaded,
    pub(crate) end: Threaded,
    pub(crate) words: Words,
    /// Chunk jobs in order, then the data job.
    pub(crate) jobs: Vec<[u8; 32]>,
    pub(crate) opened_ms: u64,
    pub(crate) sealed_ms: u64,
    pub(crate) proven: Option<ProvenRecord>,
}

/// A checkpoint, and when this node had it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct CheckpointRecord {
    pub(crate) time_ms: u64,
    pub(crate) checkpoint: Checkpoint,
}

/// A batch whose every proof was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct ProvenRecord {
    pub(crate) time_ms: u64,
    pub(crate) bundle_hash: [u8; 32],
    pub(crate) bundle_bytes: u64,
}

/// The proof of a whole batch, as the base layer takes it; it was verified before it was written.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct FinalProofRecord {
    /// When this node had it.
    pub(crate) time_ms: u64,
    /// What it states; who is rewarded is in there.
    pub(crate) inputs: PublicInputs,
    /// The accumulator's limbs as 32-byte big-endian words, then the proof: an argument of the contract.
    pub(crate) contract_bytes: Vec<u8>,
}

impl FinalProofRecord {
    /// The record of a proof, whose statement these inputs are.
    pub(crate) fn new(time_ms: u64, inputs: PublicInputs, stated: &StatedProof) -> Self {
        let limbs = stated.instance.iter().take(ACCUMULATOR_LIMBS);
        let words = limbs.flat_map(field_to_be_bytes);
        Self {
            time_ms,
            inputs,
            contract_bytes: words.chain(stated.proof.iter().copied()).collect(),
        }
    }

    /// The proof with its whole instance, as a worker has handed it in; `None` if the bytes are damaged.
    pub(crate) fn stated(&self) -> Option<StatedProof> {
        let (words, proof) = self
            .contract_bytes
            .split_at_checked(ACCUMULATOR_LIMBS * 32)?;
        let (words, _) = words.as_chunks::<32>();
        let limbs: Vec<Fr> = words
            .iter()
            .map(field_from_be_bytes)
            .collect::<Result<_, _>>()
            .ok()?;
        Some(StatedProof {
            instance: [&limbs[..], &self.inputs.to_fields()].concat(),
            proof: proof.to_vec(),
        })
    }
}

/// A proof job. Its witness is in another column until the job is proven.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct JobRecord {
    pub(crate) circuit: Circuit,
    pub(crate) batch: BatchNumber,
    /// Position of the chunk, or of the join among all of the batch, level by level; else 0.
    pub(crate) index: u32,
    /// Public inputs, 32 little-endian bytes each: all of them of a chunk or the data, else those behind the
    /// accumulator, without who is rewarded.
    pub(crate) instances: Vec<[u8; 32]>,
    /// State after a chunk.
    pub(crate) after: Option<Threaded>,
    pub(crate) created_ms: u64,
    pub(crate) leased_ms: Option<u64>,
    pub(crate) proven_ms: Option<u64>,
    /// Leases so far.
    pub(crate) attempts: u32,
    pub(crate) worker: Option<String>,
}
