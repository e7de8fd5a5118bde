//! Status of operations, of the chain and of the node.

use serde::{Deserialize, Serialize};

use crate::{
    ledger::{BatchStage, CertificateJson, ValidatorJson},
    operation::Verdict,
    text::{AddressText, AmountText, FieldText, HashText},
};

/// How far an operation has come. `committed` and `finalized` need a base layer and are never reported here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// This node has not seen the id. It says nothing about other nodes, and never that it was dropped.
    UnknownHere,
    /// Accepted and on disk, waiting for a block.
    Pending,
    /// In a block that validators have certified.
    Certified,
    /// Every proof of its batch was verified by this node.
    Proven,
    /// It will not be applied; it can be signed again.
    Failed,
}

/// What shows that a stage was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// The node's own word.
    Mempool,
    /// Signatures of validators over the block.
    Certificate {
        /// Height of the block.
        height: u64,
        /// Place of the operation among the block's.
        place: u32,
        /// Id of the block.
        block: HashText,
        /// The signatures.
        certificate: CertificateJson,
    },
    /// A bundle that `quorate verify` accepts.
    Bundle {
        /// Batch.
        batch: u64,
        /// keccak256 of the bundle.
        hash: HashText,
    },
}

/// One stage an operation has reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageReached {
    /// The stage.
    pub stage: Stage,
    /// When, in milliseconds since 1970, by this node's clock (a block's timestamp for `certified`).
    pub time_ms: u64,
    /// What shows it.
    pub evidence: Evidence,
}

/// Status of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionStatus {
    /// Id of the operation.
    pub id: HashText,
    /// How far it has come.
    pub stage: Stage,
    /// Every stage reached, in order.
    pub reached: Vec<StageReached>,
    /// What can still revert the newest stage.
    pub revertible_by: String,
    /// Why it failed, and when.
    pub failure: Option<Failure>,
}

/// Why and when an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// When.
    pub time_ms: u64,
    /// Why.
    pub verdict: Verdict,
}

impl Stage {
    /// What can still revert an operation at this stage.
    #[must_use]
    pub fn revertible_by(self) -> &'static str {
        match self {
            Self::UnknownHere => "not seen here: another node may have it",
            Self::Pending => {
                "replacement by the same key, expiry, eviction by a higher fee, or a balance spent elsewhere"
            }
            Self::Certified => {
                "validators of more than a third of the weight signing another block at this height, or its batch never being proven"
            }
            Self::Proven => {
                "the batch has no base layer yet: only the validator set vouches for its place"
            }
            Self::Failed => "nothing: sign the operation again",
        }
    }
}

/// What the chain is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainInfo {
    /// Chain id of the base layer.
    pub chain_id: u64,
    /// Rollup contract.
    pub rollup: AddressText,
    /// First field of every signed message.
    pub domain: FieldText,
    /// Hash of genesis.
    pub genesis_hash: HashText,
    /// Hash of the protocol's parameters.
    pub params_hash: HashText,
    /// Version of the circuits.
    pub circuit_version: u64,
    /// Reference string the circuits' keys are made from.
    pub reference_string: String,
    /// Validators of epoch 0, by address: those that genesis names.
    pub validators: Vec<ValidatorJson>,
    /// Leaves that collect fees, and what they collect.
    pub fee_leaves: Vec<FeeLeafInfo>,
    /// Least fee this node takes, in base units of a token that a fee leaf collects.
    pub fee_min: AmountText,
    /// Time between blocks.
    pub block_interval_ms: u64,
    /// Whether insecure development tools are permitted on this chain.
    pub is_development: bool,
}

/// A leaf that collects fees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeLeafInfo {
    /// Place in the tree.
    pub index: u32,
    /// Token it collects.
    pub token: u32,
}

/// What the node is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeStatus {
    /// Version of the program.
    pub version: String,
    /// Newest height.
    pub height: u64,
    /// Id of the newest block.
    pub block: HashText,
    /// Its timestamp.
    pub timestamp_ms: u64,
    /// State root after it.
    pub root: FieldText,
    /// Leaves in the tree.
    pub leaf_count: u64,
    /// Inbox items consumed.
    pub inbox_count: u64,
    /// Operations pending.
    pub mempool_operations: u64,
    /// Bytes pending.
    pub mempool_bytes: u64,
    /// Validators of the set.
    pub validators: u32,
    /// Weight of the set.
    pub weight_total: u64,
    /// f: the most weight that may be faulty while blocks are safe and go on.
    pub weight_faulty_max: u64,
    /// Newest batch with a checkpoint: signatures of more than two thirds of the weight; 0 if none.
    pub batch_certified: u64,
    /// Batch that is open.
    pub batch_open: u64,
    /// Newest sealed batch, 0 if none.
    pub batch_sealed: u64,
    /// Newest batch such that it and all before it are proven, 0 if none.
    pub batch_proven: u64,
    /// Jobs waiting for a worker.
    pub jobs_queued: u64,
    /// Jobs a worker holds.
    pub jobs_leased: u64,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
}

/// What a subscription asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Topic {
    /// Every change of one operation's status, starting with the present one.
    Transaction {
        /// Its id.
        id: HashText,
    },
    /// Every new block.
    Blocks,
    /// Every batch that is sealed or proven.
    Batches,
}

/// What a subscription sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// An operation's status has changed.
    Transaction {
        /// The new status.
        status: TransactionStatus,
    },
    /// A block was certified.
    Block {
        /// Its height.
        height: u64,
        /// Its id.
        id: HashText,
        /// Its timestamp.
        timestamp_ms: u64,
        /// Number of its operations.
        operations: u32,
    },
    /// A batch has moved.
    Batch {
        /// Its number.
        number: u64,
        /// Where it stands now.
        stage: BatchStage,
        /// When it got there.
        time_ms: u64,
    },
    /// The subscriber was too slow; this many notices are lost and the subscription ends.
    Lagged {
        /// Notices lost.
        missed: u64,
    },
}
