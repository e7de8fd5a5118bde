//! The node: takes operations, orders them into certified blocks, executes and stores them, cuts them into proof
//! jobs, verifies the proofs and serves all of it.
//!
//! One entry, [`Node::start`]. Data flows one way: RPC, mempool, block, executor, store, batcher, job queue, proofs.
//! What this crate does not do: decide whether an operation is valid (`protocol`), make proofs (`prover`) or
//! believe them (`verifier`).

pub mod agreement;
mod base_layer;
mod batcher;
mod builder;
mod chain;
mod checkpoints;
mod config;
mod consensus;
mod events;
mod evidence;
mod executor;
mod failpoint;
#[cfg(test)]
mod fixture;
pub mod guard;
mod mempool;
mod nats;
pub mod network;
mod node;
mod observed;
mod promises;
mod proving;
mod pruning;
mod rebuilt;
mod relay;
mod restart;
mod rpc;
mod sets;
mod settling;
mod sightings;
mod snapshot;
mod soft;
mod storage;
mod telemetry;

pub use base_layer::{BaseHeads, OtherBaseLayer, look_at};
pub use config::{
    BaseLayerConfig, BuilderConfig, BuilderStrategy, JobsConfig, MempoolConfig, Mode,
    NetworkConfig, NodeConfig, PosterConfig, RoundTimeouts, RpcConfig, SnapshotConfig,
    StorageConfig,
};
pub use consensus::ConsensusError;
pub use failpoint::{
    POINTS as FAILPOINTS, REBUILD_POINTS as REBUILD_FAILPOINTS, VARIABLE as FAILPOINT_VARIABLE,
};
pub use node::{Node, NodeError, Starting};
pub use proving::{AggregationKeys, PlonkVerifier, ProofVerifier, RocksQueue};
pub use rebuilt::{NotRebuilt, check_unmade, make_rebuilt};
pub use restart::{RestartPoint, RestartRefusal, make_restarted, sign_restart};
pub use sets::{GenesisSet, OtherSet, SET_FILE_BYTES_MAX, SetFileError, SetSource, parse_sets};
pub use snapshot::{SnapshotError, SnapshotInfo, check_snapshot, make_snapshot, restore_snapshot};
pub use storage::{Checked, StorageError, check_database};
