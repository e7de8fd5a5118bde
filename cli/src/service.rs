//! Starting a node in this process with the keys it needs, and what its errors mean.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::genesis::Genesis;
use protocol::number::Amount;
use protocol::validator::ValidatorKey;
use sequencer::{
    ConsensusError, GenesisSet, NetworkConfig, Node, NodeConfig, NodeError, PlonkVerifier,
    SET_FILE_BYTES_MAX, SetSource, StorageError, parse_sets,
};

use crate::commands::prover::{
    CHUNK_MEMORY_MB, CLOSE_MEMORY_MB, DATA_MEMORY_MB, FINISH_MEMORY_MB, JOIN_MEMORY_MB,
};
use crate::exit::{CliError, Exit};
use crate::{files, keys};

/// What a node is started with.
pub(crate) struct Plan {
    /// The chain.
    pub(crate) genesis: Genesis,
    /// Directory of the database.
    pub(crate) data: PathBuf,
    /// Directory of strings and keys.
    pub(crate) cache: PathBuf,
    /// Certifies blocks.
    pub(crate) validator: ValidatorKey,
    /// Whether insecure tools are permitted on a development chain.
    pub(crate) dev: bool,
    /// Address of the RPC.
    pub(crate) rpc: SocketAddr,
    /// Address of the proof queue.
    pub(crate) jobs: SocketAddr,
    /// The other validators.
    pub(crate) network: NetworkConfig,
    /// Time between blocks.
    pub(crate) block_interval: Duration,
    /// How long a worker's lease lasts after its last heartbeat.
    pub(crate) lease: Duration,
    /// Least fee.
    pub(crate) fee_min: Amount,
    /// Whether its batches are aggregated.
    pub(crate) aggregate: bool,
}

impl Plan {
    /// Gets the keys ready (which may take minutes, once) and says how to start.
    ///
    /// # Errors
    /// `Usage` for an insecure string that is not allowed, else the keys' failure.
    pub(crate) fn prepare(self) -> Result<NodeConfig, CliError> {
        keys::check_allowed(&self.genesis, self.dev)?;
        let descriptions = keys::descriptions(&self.cache, &self.genesis)?;
        let encoded = (descriptions.chunk.encode(), descriptions.data.encode());
        let aggregation = self
            .aggregate
            .then(|| keys::aggregation(&self.genesis))
            .transpose()?;
        let verifier = PlonkVerifier::new(descriptions.chunk, descriptions.data, aggregation);
        let verifier = Arc::new(verifier);
        let mut config =
            NodeConfig::new(self.genesis, self.data, self.validator, encoded, verifier);
        config.block_interval = self.block_interval;
        config.rpc.listen = self.rpc;
        config.jobs.listen = self.jobs;
        config.jobs.lease = self.lease;
        config.jobs.chunk_memory_mb = CHUNK_MEMORY_MB;
        config.jobs.data_memory_mb = DATA_MEMORY_MB;
        config.jobs.join_memory_mb = JOIN_MEMORY_MB;
        config.jobs.close_memory_mb = CLOSE_MEMORY_MB;
        config.jobs.finish_memory_mb = FINISH_MEMORY_MB;
        config.mempool.fee_min = self.fee_min;
        config.network = self.network;
        Ok(config)
    }
}

/// What this file says of the validators of later epochs; without one those of genesis stay.
///
/// # Errors
/// `Usage` if it cannot be read, `Corrupt` if it is no validator set file of this chain.
pub(crate) fn validator_sets(
    path: Option<&Path>,
    genesis: &Genesis,
) -> Result<Arc<dyn SetSource>, CliError> {
    let Some(path) = path else {
        return Ok(Arc::new(GenesisSet));
    };
    let text = files::read_text(path, SET_FILE_BYTES_MAX)?;
    parse_sets(&text, genesis).map_err(|why| {
        let what = format!("{} is not usable", path.display());
        let todo =
            "use the file that the operators of this chain have agreed on (docs/validator-sets.md)";
        CliError::new(Exit::Corrupt, what, why, todo)
    })
}

/// Starts a node.
///
/// # Errors
/// What the node says, with the exit code that fits.
pub(crate) async fn start(config: NodeConfig) -> Result<Node, CliError> {
    let data = config.data_dir.clone();
    Node::start(config)
        .await
        .map_err(|error| node_error("the node cannot start", &data, &error))
}

/// A node's error as ours.
pub(crate) fn node_error(what: &str, data: &Path, error: &NodeError) -> CliError {
    let (exit, todo) = match error {
        NodeError::Storage(StorageError::Corrupt { .. }) => (
            Exit::Corrupt,
            "restore a backup, or start with an empty directory; quorate doctor checks the disk",
        ),
        NodeError::Storage(StorageError::OtherSchema { .. }) => (
            Exit::Version,
            "use the release that wrote the database, or start with an empty directory",
        ),
        NodeError::Storage(StorageError::OtherGenesis { .. }) => (
            Exit::Usage,
            "name the directory of this chain, or an empty one",
        ),
        NodeError::OtherBaseLayer(_) => (
            Exit::Usage,
            "give the endpoint and the deployment file of this chain ([base_layer] in docs/quorate.toml)",
        ),
        NodeError::OtherSet(_) | NodeError::Consensus(ConsensusError::OtherSet(_)) => (
            Exit::Usage,
            "get the validator set file that the other operators use; what is on disk is good",
        ),
        _ => (
            Exit::Unavailable,
            "quorate doctor checks ports, disk and clock",
        ),
    };
    CliError::new(exit, format!("{what} ({})", data.display()), error, todo)
}
