//! The node's JSON-RPC interface, `quorate_*`: one trait for server and client.

use jsonrpsee::{
    core::{RpcResult, SubscriptionResult},
    proc_macros::rpc,
};

use crate::{
    ledger::{BatchJson, BlockJson, BundleJson, CheckpointJson, LeafJson, LeafProofJson, Page},
    operation::{PointJson, SignedTransactionJson, SimulationJson, SimulationMember},
    preconfirmation::PreconfirmationJson,
    set::{BidsJson, InclusionJson, ValidatorsJson},
    soft::SoftChainJson,
    status::{ChainInfo, NodeStatus, Notice, Topic, TransactionStatus},
    text::{AddressText, HashText},
};

/// Methods of the node. Parameters go by position or by name; `docs/rpc.md` describes each.
#[rpc(server, client, namespace = "quorate")]
pub trait Quorate {
    /// Accepts a signed operation; when it returns, the operation is on disk.
    #[method(name = "sendTransaction")]
    async fn send_transaction(&self, transaction: SignedTransactionJson) -> RpcResult<HashText>;

    /// Accepts 2 to 16 operations that apply together or not at all; returns their ids in order.
    #[method(name = "sendAtomicGroup")]
    async fn send_atomic_group(
        &self,
        transactions: Vec<SignedTransactionJson>,
    ) -> RpcResult<Vec<HashText>>;

    /// What would happen to these operations in the next block; two or more are an atomic group.
    #[method(name = "simulate")]
    async fn simulate(&self, transactions: Vec<SimulationMember>) -> RpcResult<SimulationJson>;

    /// How far an operation has come.
    #[method(name = "transactionStatus")]
    async fn transaction_status(&self, id: HashText) -> RpcResult<TransactionStatus>;

    /// The next proposer's promise that a pending operation will stand in its block.
    #[method(name = "preconfirm")]
    async fn preconfirm(&self, id: HashText) -> RpcResult<PreconfirmationJson>;

    /// A leaf with its Merkle proof.
    #[method(name = "leaf")]
    async fn leaf(&self, index: u32) -> RpcResult<LeafProofJson>;

    /// The first leaf of a payment address: key, base-layer owner and token.
    #[method(name = "resolveLeaf")]
    async fn resolve_leaf(
        &self,
        key: PointJson,
        l1_owner: AddressText,
        token: u32,
    ) -> RpcResult<LeafJson>;

    /// All leaves of a key and base-layer owner, by token and index.
    #[method(name = "leavesOfOwner")]
    async fn leaves_of_owner(
        &self,
        key: PointJson,
        l1_owner: AddressText,
        cursor: Option<String>,
        limit: Option<u32>,
    ) -> RpcResult<Page<LeafJson>>;

    /// Operations that named a leaf as sender or recipient, newest first.
    #[method(name = "transactionsOfLeaf")]
    async fn transactions_of_leaf(
        &self,
        index: u32,
        cursor: Option<String>,
        limit: Option<u32>,
    ) -> RpcResult<Page<TransactionStatus>>;

    /// A block; the newest without a height.
    #[method(name = "block")]
    async fn block(&self, height: Option<u64>) -> RpcResult<BlockJson>;

    /// A batch with its timeline; the open one without a number.
    #[method(name = "batch")]
    async fn batch(&self, number: Option<u64>) -> RpcResult<BatchJson>;

    /// The bundle of a proven batch.
    #[method(name = "bundle")]
    async fn bundle(&self, number: u64) -> RpcResult<BundleJson>;

    /// The validators' certificate over a sealed batch.
    #[method(name = "checkpoint")]
    async fn checkpoint(&self, number: u64) -> RpcResult<CheckpointJson>;

    /// What the chain is.
    #[method(name = "chain")]
    async fn chain(&self) -> RpcResult<ChainInfo>;

    /// What the node is doing.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<NodeStatus>;

    /// The set of the newest height, and what each of its validators did.
    #[method(name = "validators")]
    async fn validators(&self) -> RpcResult<ValidatorsJson>;

    /// How long operations waited, by proposer and by builder.
    #[method(name = "inclusion")]
    async fn inclusion(&self) -> RpcResult<InclusionJson>;

    /// The soft chains above the newest certified block that this node knows.
    #[method(name = "softChain")]
    async fn soft_chain(&self) -> RpcResult<SoftChainJson>;

    /// Bids at recent heights, and what became of them.
    #[method(name = "bids")]
    async fn bids(&self) -> RpcResult<BidsJson>;

    /// Notices about an operation, blocks or batches.
    #[subscription(name = "subscribe" => "subscription", unsubscribe = "unsubscribe", item = Notice)]
    async fn follow(&self, topic: Topic) -> SubscriptionResult;
}
