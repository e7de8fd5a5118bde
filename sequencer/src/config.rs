//! What a node is started with. Protocol constants are not here: they are in genesis.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use api::jobs::nats::NatsConfig;
use protocol::{
    genesis::Genesis,
    number::{Amount, LeafIndex},
    signature::SecretKey,
    validator::ValidatorKey,
};
use settlement::{BaseLayer, TransactionSigner, deploy::Deployment};

use crate::{
    proving::ProofVerifier,
    sets::{GenesisSet, SetSource},
};

/// Everything [`crate::Node::start`] needs.
#[derive(Clone)]
pub struct NodeConfig {
    /// The chain. A database of another genesis is refused.
    pub genesis: Genesis,
    /// Directory of the database; made if it does not exist.
    pub data_dir: PathBuf,
    /// The validator sets of later epochs. All nodes of a chain are given the same.
    pub sets: Arc<dyn SetSource>,
    /// Key that signs for this validator; its address is in the set that genesis names or may be in a later one. That of
    /// a follower is not, and signs nothing.
    pub validator_key: ValidatorKey,
    /// Whether this node only follows: it serves what the validators decide and takes no part in deciding.
    pub is_follower: bool,
    /// Leaf where this validator wants builders' bids paid; without one it takes no bids.
    pub bid_leaf: Option<LeafIndex>,
    /// Builds blocks for the validators, if this node is a follower.
    pub builder: Option<BuilderConfig>,
    /// What this node reports while no quorum answers.
    pub mode: Mode,
    /// Time between blocks, empty ones included.
    pub block_interval: Duration,
    /// Public interface.
    pub rpc: RpcConfig,
    /// Interface of proof workers.
    pub jobs: JobsConfig,
    /// What is kept pending.
    pub mempool: MempoolConfig,
    /// What is kept on disk.
    pub storage: StorageConfig,
    /// The base layer that this node follows; a chain without one has no inbox. All nodes of a chain have one, or none.
    pub base_layer: Option<BaseLayerConfig>,
    /// The other validators, and how long this node waits for them.
    pub network: NetworkConfig,
    /// Encoded description of the chunk circuit's key: part of every bundle.
    pub chunk_key: Vec<u8>,
    /// Encoded description of the data circuit's key: part of every bundle.
    pub data_key: Vec<u8>,
    /// Decides whether a proof counts, and with the keys of aggregation also whether there are jobs of it.
    pub proof_verifier: Arc<dyn ProofVerifier>,
}

impl NodeConfig {
    /// Defaults for everything that has one: the set of genesis for ever, blocks every 200 ms, RPC on 127.0.0.1:8545, jobs on 127.0.0.1:8546, no
    /// peers.
    #[must_use]
    pub fn new(
        genesis: Genesis,
        data_dir: PathBuf,
        validator_key: ValidatorKey,
        (chunk_key, data_key): (Vec<u8>, Vec<u8>),
        proof_verifier: Arc<dyn ProofVerifier>,
    ) -> Self {
        Self {
            genesis,
            data_dir,
            sets: Arc::new(GenesisSet),
            validator_key,
            is_follower: false,
            bid_leaf: None,
            builder: None,
            mode: Mode::Halt,
            block_interval: Duration::from_millis(200),
            rpc: RpcConfig::default(),
            jobs: JobsConfig::default(),
            mempool: MempoolConfig::default(),
            storage: StorageConfig::default(),
            base_layer: None,
            network: NetworkConfig::default(),
            chunk_key,
            data_key,
            proof_verifier,
        }
    }
}

/// What a node does while no quorum answers. It changes nothing about what is final, and nodes of one chain may differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: what is pending waits.
    #[default]
    Halt,
    /// It follows the soft chain, signs it if it is a validator, and reports operations as soft.
    Available,
}

/// In which order a builder takes pending operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuilderStrategy {
    /// The highest fee first; of equal fees, and of one leaf's operations, the earlier first.
    #[default]
    HighestFee,
    /// As they came.
    FirstCome,
}

/// A builder: whose collateral its bids stand on, where it collects fees, and what it offers.
#[derive(Clone, Debug)]
pub struct BuilderConfig {
    /// Key that signs bids and answers for payloads.
    pub key: ValidatorKey,
    /// Leaf with locked collateral.
    pub collateral_leaf: LeafIndex,
    /// Key of that leaf.
    pub collateral_key: SecretKey,
    /// Leaf that collects the fees of its blocks; of the same token as the collateral.
    pub fee_leaf: LeafIndex,
    /// Order of operations.
    pub strategy: BuilderStrategy,
    /// Share of a block's fees that a bid offers, in percent; at most 100.
    pub share_percent: u8,
}

/// Limits of the public interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcConfig {
    /// Address; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Bytes of a request.
    pub body_bytes_max: u32,
    /// Bytes of a response; a bundle in hex must fit.
    pub response_bytes_max: u32,
    /// Requests in one batch.
    pub batch_max: u32,
    /// Connections at a time.
    pub connections_max: u32,
    /// Subscriptions of one connection.
    pub subscriptions_max: u32,
    /// Notices a slow subscriber may fall behind before it is dropped.
    pub notices_max: u32,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8_545)),
            body_bytes_max: 1 << 20,
            response_bytes_max: 64 << 20,
            batch_max: 100,
            connections_max: 256,
            subscriptions_max: 64,
            notices_max: 256,
        }
    }
}

/// The job queue and its interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobsConfig {
    /// Address; port 0 picks a free one. Workers are trusted with nothing, but they see witnesses.
    pub listen: SocketAddr,
    /// A lease ends so long after the last heartbeat.
    pub lease: Duration,
    /// Results that do not verify before a worker is suspended.
    pub strikes_max: u32,
    /// How long a suspension lasts.
    pub suspension: Duration,
    /// MiB a worker must offer for a chunk job.
    pub chunk_memory_mb: u64,
    /// MiB a worker must offer for a data job.
    pub data_memory_mb: u64,
    /// MiB a worker must offer for a join.
    pub join_memory_mb: u64,
    /// MiB a worker must offer to close a batch.
    pub close_memory_mb: u64,
    /// MiB a worker must offer for a final proof.
    pub finish_memory_mb: u64,
    /// A NATS server through which the same jobs are served; none without one.
    pub nats: Option<NatsConfig>,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8_546)),
            lease: Duration::from_secs(30),
            strikes_max: 3,
            suspension: Duration::from_secs(600),
            chunk_memory_mb: 4_096,
            data_memory_mb: 2_048,
            join_memory_mb: 4_096,
            close_memory_mb: 4_096,
            finish_memory_mb: 6_144,
            nats: None,
        }
    }
}

/// Limits of the mempool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MempoolConfig {
    /// Submissions pending.
    pub entries_max: usize,
    /// Bytes pending.
    pub bytes_max: usize,
    /// Bytes pending for one leaf.
    pub leaf_bytes_max: usize,
    /// How far a nonce may be ahead of the leaf's.
    pub nonce_gap_max: u64,
    /// Least fee, in base units of a token that a fee leaf collects.
    pub fee_min: Amount,
    /// Requests waiting for admission before senders are told to come back.
    pub queue_max: usize,
}

impl Default for MempoolConfig {
    fn default() -> Self {
        Self {
            entries_max: 50_000,
            bytes_max: 64 << 20,
            leaf_bytes_max: 64 << 10,
            nonce_gap_max: 128,
            fee_min: Amount::ZERO,
            queue_max: 8_192,
        }
    }
}

/// What is kept of the past. The default is an archive node: it forgets nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageConfig {
    /// Newest blocks that stay on disk, beside those that are still needed; all without a number.
    pub keep_blocks: Option<u64>,
    /// Snapshots that the node writes by itself.
    pub snapshots: Option<SnapshotConfig>,
}

/// Snapshots of a running node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// Directory of the files.
    pub directory: PathBuf,
    /// Batches from one to the next; at least 1.
    pub every_batches: u64,
    /// Newest files that stay; at least 1.
    pub keep: usize,
}

/// The base layer, and where this chain's contracts are on it.
#[derive(Clone)]
pub struct BaseLayerConfig {
    /// A base layer that is trusted to say which block is final.
    pub layer: Arc<dyn BaseLayer>,
    /// The contracts. All nodes of a chain are given the same.
    pub deployment: Deployment,
    /// The first block that blocks may name, at or below the one that made the Inbox. All nodes of a chain are given the same.
    pub first_block: u64,
    /// Between two looks.
    pub poll: Duration,
    /// How long a block has been final here before this node proposes it, so that its peers have seen that too: a few of their
    /// looks.
    pub origin_delay: Duration,
    /// Posts batches there; without it this node only looks.
    pub poster: Option<PosterConfig>,
}

/// Who pays for transactions to the base layer, and how much.
#[derive(Clone)]
pub struct PosterConfig {
    /// The key; nothing else may sign with it.
    pub key: TransactionSigner,
    /// Wei per gas at most.
    pub fee_max_wei: u128,
    /// Blocks that a transaction waits before its fees are raised.
    pub patience_blocks: u64,
}

impl PosterConfig {
    /// At most 200 gwei per gas, raised after three blocks.
    #[must_use]
    pub fn new(key: TransactionSigner) -> Self {
        Self {
            key,
            fee_max_wei: 200_000_000_000,
            patience_blocks: 3,
        }
    }
}

impl BaseLayerConfig {
    /// A look every two seconds, and three looks until a final block is proposed.
    #[must_use]
    pub fn new(layer: Arc<dyn BaseLayer>, deployment: Deployment, first_block: u64) -> Self {
        Self {
            layer,
            deployment,
            first_block,
            poll: Duration::from_secs(2),
            origin_delay: Duration::from_secs(6),
            poster: None,
        }
    }
}

impl std::fmt::Debug for BaseLayerConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BaseLayerConfig")
            .field("chain_id", &self.layer.chain_id())
            .field("deployment", &self.deployment)
            .field("first_block", &self.first_block)
            .field("poll", &self.poll)
            .field("origin_delay", &self.origin_delay)
            .field(
                "poster",
                &self.poster.as_ref().map(|poster| poster.key.address()),
            )
            .finish()
    }
}

/// How this node reaches the other validators of its set. A set of one needs none of it.
///
/// Both protocols open a connection in each direction that is configured; it is enough if one of two nodes names the
/// other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Address where this node's consensus engine is reached; port 0 picks a free one, which nobody can be told before.
    pub engine_listen: SocketAddr,
    /// Addresses of the other validators' engines.
    pub engine_peers: Vec<SocketAddr>,
    /// Address where submissions are gossiped; port 0 picks a free one.
    pub gossip_listen: SocketAddr,
    /// Addresses of the other nodes' gossip.
    pub gossip_peers: Vec<SocketAddr>,
    /// How long the steps of a round take at most.
    pub timeouts: RoundTimeouts,
    /// D of `sequencing.md`: a message between two connected honest nodes is assumed to take at most this long. Safety
    /// does not depend on it.
    pub delay_bound: Duration,
    /// S of `sequencing.md`: honest nodes are assumed to start a round within so long of each other.
    pub skew_bound: Duration,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            engine_listen: any,
            engine_peers: Vec::new(),
            gossip_listen: any,
            gossip_peers: Vec::new(),
            timeouts: RoundTimeouts::default(),
            delay_bound: Duration::from_millis(200),
            skew_bound: Duration::from_millis(200),
        }
    }
}

/// How long the steps of a round are waited for: `step + round * step_delta`. Safety does not depend on any of them;
/// too short ones cost rounds, too long ones cost time after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTimeouts {
    /// For a proposal.
    pub propose: Duration,
    /// More for a proposal in each later round.
    pub propose_delta: Duration,
    /// For the rest of the prevotes, once two thirds have prevoted.
    pub prevote: Duration,
    /// More for prevotes in each later round.
    pub prevote_delta: Duration,
    /// For the rest of the precommits, once two thirds have precommitted.
    pub precommit: Duration,
    /// More for precommits in each later round.
    pub precommit_delta: Duration,
    /// Time between two repetitions of the own votes while a round does not end.
    pub rebroadcast: Duration,
}

impl Default for RoundTimeouts {
    fn default() -> Self {
        Self {
            propose: Duration::from_millis(1_500),
            propose_delta: Duration::from_millis(500),
            prevote: Duration::from_millis(500),
            prevote_delta: Duration::from_millis(250),
            precommit: Duration::from_millis(500),
            precommit_delta: Duration::from_millis(250),
            rebroadcast: Duration::from_secs(2),
        }
    }
}
