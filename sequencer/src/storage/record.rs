//! Values on disk. A change of any of them is a new layout: raise [`super::open::SCHEMA`].

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    Fr,
    account::Leaf,
    block::{Block, Tip},
    certificate::ExtendedCertificate,
    checkpoint::Checkpoint,
    codec::borsh_field,
    number::{BatchNumber, Height, LeafIndex},
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

/// A proof job. Its witness is in another column until the batch is proven.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct JobRecord {
    /// 0 chunk, 1 data.
    pub(crate) kind: u8,
    pub(crate) batch: BatchNumber,
    pub(crate) index: u32,
    /// Public inputs, 32 little-endian bytes each.
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
