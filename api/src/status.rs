//! Status of operations, of the chain and of the node.

use serde::{Deserialize, Serialize};

use crate::{
    ledger::{BatchStage, CertificateJson, ValidatorJson},
    operation::Verdict,
    preconfirmation::PreconfirmationJson,
    set::SetWeights,
    text::{AddressText, AmountText, FieldText, HashText},
};

/// How far an operation has come. `committed` and `finalized` are reported by nodes that follow a base layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// This node has not seen the id. It says nothing about other nodes, and never that it was dropped.
    UnknownHere,
    /// Accepted and on disk, waiting for a block.
    Pending,
    /// In a soft block, while no quorum answers (mode `available`): it can be reverted.
    Soft,
    /// In a block that validators have certified.
    Certified,
    /// Its batch stands on the base layer: its data is published for ever.
    Committed,
    /// Every proof of its batch was verified by this node.
    Proven,
    /// A final block of the base layer has proven its batch.
    Finalized,
    /// It will not be applied; it can be signed again.
    Failed,
}

/// What shows that a stage was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// The node's own word.
    Mempool,
    /// Signatures of validators over soft blocks, as this node holds them: `quorate_softChain` names the signers.
    Soft {
        /// Height of the certified block that the soft chain stands on.
        base_height: u64,
        /// Number of the soft block above it.
        number: u64,
        /// Hash of the soft block.
        block: HashText,
        /// Weight that has signed it or a soft block above it.
        weight_signed: u64,
        /// Weight of the set.
        weight_total: u64,
    },
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
    /// This node's record of what it had; the block was pruned here, and archive nodes have its certificate.
    Record {
        /// Height of the block.
        height: u64,
        /// Place of the operation among the block's.
        place: u32,
    },
    /// A bundle that `quorate verify` accepts.
    Bundle {
        /// Batch.
        batch: u64,
        /// keccak256 of the bundle.
        hash: HashText,
    },
    /// A transaction of the base layer that committed or proved the batch.
    BaseLayer {
        /// Batch.
        batch: u64,
        /// Where.
        place: PlaceJson,
    },
}

/// Where a transaction stands on the base layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceJson {
    /// Height of the block.
    pub number: u64,
    /// Hash of the block.
    pub block: HashText,
    /// The transaction.
    pub transaction: HashText,
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
    /// The receipt: every tier reached, in order of time.
    pub tiers: Vec<TierReached>,
    /// What can still revert it, in one sentence.
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

/// Who vouches for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// This node alone.
    Pending,
    /// The proposer of a height that is not decided yet, by a signed promise.
    Preconfirmed,
    /// Validators that reach each other, for a soft block: fewer than decide.
    Soft,
    /// Validators, for its block.
    Certified,
    /// Validators, for the content of its sealed batch: a checkpoint.
    BatchCertified,
    /// Proofs of its batch, checked by this node.
    Proven,
    /// The base layer, for the data of its batch.
    Committed,
    /// The base layer's final blocks, for the proof of its batch.
    Finalized,
}

impl Tier {
    /// What can still revert an operation at this tier, certified by a set of these weights.
    #[must_use]
    pub fn revertible_by(self, weights: Option<&SetWeights>) -> String {
        let (third, total) = weights.map_or((0, 0), |one| (one.above_third(), one.total));
        match self {
            Self::Pending => {
                "may still be replaced by the same key, expire, be evicted by a higher fee, or lose its balance to another payment".into()
            }
            Self::Preconfirmed => {
                "another proposer's block may be decided; then it is pending again. Its proposer may break the promise, and is convicted by its own signatures".into()
            }
            Self::Soft => format!(
                "can be reverted: no weight of signatures below a soft block decides, also not {total} of {total}; it is ordered or fails when validators decide again"
            ),
            Self::Certified => format!(
                "reverts only if more than a third of the weight, {third} of {total}, signs two blocks at one height, or if its batch is never proven"
            ),
            Self::BatchCertified => format!(
                "reverts only if more than a third of the weight, {third} of {total}, signs two contents of one batch"
            ),
            Self::Proven => format!(
                "what it did is proven; its place reverts only if more than a third of the weight, {third} of {total}, signs twice, and its batch is not final on the base layer"
            ),
            Self::Committed => format!(
                "its batch is voided if it is not proven in time, or if the base layer reverts; then only more than a third of the weight, {third} of {total}, could order it elsewhere"
            ),
            Self::Finalized => "reverts only with a final block of the base layer".into(),
        }
    }
}

/// One tier an operation has reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TierReached {
    /// The tier.
    pub tier: Tier,
    /// When this node had it, in milliseconds since 1970 by its clock.
    pub time_ms: u64,
    /// Milliseconds since this node received the operation; 0 if it first saw it in a block.
    pub since_received_ms: u64,
    /// Milliseconds since the tier before.
    pub since_previous_ms: u64,
    /// The promise, by whom and of which place, of the tier `preconfirmed`; absent for the others.
    pub preconfirmation: Option<PreconfirmationJson>,
    /// Weights of the set that certified it; absent for `pending` and `preconfirmed`.
    pub weights: Option<SetWeights>,
    /// Weight of the signatures that this node holds; absent where none are.
    pub weight_signed: Option<u64>,
    /// What can still revert it, in one sentence.
    pub revertible_by: String,
}

/// How blocks become final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalityMode {
    /// Without a quorum nothing is ordered: certified blocks alone are reported.
    Halt,
    /// Blocks become final as in `halt`; beside them, while no quorum answers, operations are reported as `soft`.
    Available,
}

/// What a node does in agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It asks its peers how far the chain is before it decides.
    Starting,
    /// Its key has a seat, and it proposes and votes.
    Validator,
    /// Its key may have signed more than it remembers: it follows until a height is passed.
    Observer,
    /// It never votes.
    Follower,
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

/// Where a node stands on the base layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseLayerStatus {
    /// Newest block that was seen.
    pub latest: Option<u64>,
    /// Newest block called safe.
    pub safe: Option<u64>,
    /// Newest final block whose inbox items the node has.
    pub finalized: Option<u64>,
    /// Base-layer block that the newest block names; 0 before any does.
    pub origin: u64,
    /// Inbox items that final blocks have enqueued.
    pub inbox_items: u64,
    /// Why nothing more is taken from the base layer until an operator acts.
    pub alarm: Option<String>,
    /// Why the last look at it failed; it is repeated.
    pub trouble: Option<String>,
}

/// Where a rebuilt state comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebuiltJson {
    /// The proven batch after which it is.
    pub batch: u64,
    /// Final block of the base layer up to which was read.
    pub base_layer_block: u64,
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
    /// Where the node stands on the base layer; absent if it follows none.
    pub base_layer: Option<BaseLayerStatus>,
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
    /// The least weight that certifies: more than two thirds.
    pub weight_quorum: u64,
    /// How blocks become final.
    pub finality: FinalityMode,
    /// Milliseconds since the newest block's timestamp, by this node's clock.
    pub since_block_ms: u64,
    /// What this node does in agreement.
    pub role: NodeRole,
    /// Height after which an observer votes.
    pub observes_until: Option<u64>,
    /// Round of the next height that agreement is in, if it has begun.
    pub round: Option<u32>,
    /// Gossip peers connected.
    pub peers: u64,
    /// Newest batch with a checkpoint: signatures of more than two thirds of the weight; 0 if none.
    pub batch_certified: u64,
    /// Height of the first block that this node has: 1, or more if it was started from a snapshot, pruned or restarted.
    pub blocks_from: u64,
    /// Where the state comes from, if this node serves one that was rebuilt from the base layer and orders nothing; absent
    /// otherwise.
    pub rebuilt: Option<RebuiltJson>,
    /// Set while this node cannot catch up: no peer has the next block any more, and peers keep blocks from this height.
    /// Start it from a snapshot (docs/snapshots.md).
    pub peers_keep_from: Option<u64>,
    /// Batch that is open.
    pub batch_open: u64,
    /// Newest sealed batch, 0 if none.
    pub batch_sealed: u64,
    /// Newest batch such that it and all before it that this node has are proven, 0 if none.
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
    /// The proof of a batch that the base layer verifies is here.
    FinalProof {
        /// Number of the batch.
        number: u64,
        /// When this node had it.
        time_ms: u64,
    },
    /// The subscriber was too slow; this many notices are lost and the subscription ends.
    Lagged {
        /// Notices lost.
        missed: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_revert_names_the_least_weight_above_a_third() {
        let weights = SetWeights {
            total: 10,
            faulty_max: 3,
            quorum: 7,
        };
        for tier in [Tier::Certified, Tier::BatchCertified, Tier::Proven] {
            let sentence = tier.revertible_by(Some(&weights));
            assert!(sentence.contains("4 of 10"), "{sentence}");
        }
        assert!(Tier::Pending.revertible_by(None).contains("expire"));
        let promised = Tier::Preconfirmed.revertible_by(None);
        assert!(promised.contains("another proposer's block"), "{promised}");
        let soft = Tier::Soft.revertible_by(Some(&weights));
        assert!(soft.contains("can be reverted"), "{soft}");
    }
}
