//! The door to agreement: behind it the Malachite engine (Tendermint) orders blocks with the other validators, and asks
//! this node what it is to propose, what it may vote for, and what to do with what was decided.
//!
//! The engine counts votes and keeps its own log; the vote rule is `protocol::validity`, blocks are built, judged and
//! committed by [`crate::executor`], and nothing is signed but through [`crate::guard`]. One validator is a set like any
//! other. What this module does not do: gossip transactions (`network`), or know what a block means.

mod app;
mod engine;
mod host;
mod locks;
mod parts;

use std::{net::SocketAddr, path::Path, sync::Arc};

use arc_malachitebft_app::types::Keypair;
use tokio_util::sync::CancellationToken;

use crate::{
    agreement::{Agreement, GuardedSigner, SeatAddress},
    config::NetworkConfig,
    executor::{CommitError, Executor},
    guard::{GuardError, SigningGuard},
    network::Gossip,
    relay::Relay,
    storage::StorageError,
};

use app::{App, Pace};
use engine::{Engine, EngineSetup};

/// Why agreement does not start, or has stopped.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// The engine's port cannot be used.
    #[error(
        "cannot listen on {address} for agreement: {source}; stop what uses the port, or name another"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        source: std::io::Error,
    },
    /// What was signed cannot be remembered, or something else was signed in its place.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The engine could not be started.
    #[error("the agreement engine did not start: {0}")]
    Engine(String),
    /// The engine has stopped: its log, its network or this program failed.
    #[error(
        "the agreement engine stopped; the log says why. Nothing more is signed until the node is started again"
    )]
    Stopped,
    /// What was decided is not valid here: more than a third of the weight is faulty, or this program is.
    #[error(
        "the block decided at height {height} is not valid: {reason}; stop, keep the data directory, and report this"
    )]
    InvalidDecision {
        /// The height.
        height: u64,
        /// The rule it breaks.
        reason: String,
    },
}

impl From<CommitError> for ConsensusError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => Self::Storage(error),
            CommitError::Stale(stale) => Self::Engine(stale.to_string()),
        }
    }
}

/// Other nodes, outside of agreement.
pub(crate) type Peers = Option<(Arc<Relay>, Gossip)>;

/// What agreement works on.
pub(crate) struct ConsensusSetup<'a> {
    pub(crate) executor: Arc<Executor>,
    pub(crate) guard: Arc<SigningGuard>,
    pub(crate) identity: Keypair,
    /// Whom to ask for the bytes of listed submissions.
    pub(crate) peers: Peers,
    pub(crate) network: &'a NetworkConfig,
    /// Time between blocks, empty ones included.
    pub(crate) block_interval: std::time::Duration,
    /// Directory of the engine's log.
    pub(crate) dir: &'a Path,
}

/// Agreement, started.
pub(crate) struct Consensus {
    engine: Engine,
    app: App,
}

impl Consensus {
    /// Starts the engine.
    ///
    /// # Errors
    /// [`ConsensusError`]; nothing is left running.
    pub(crate) async fn start(setup: ConsensusSetup<'_>) -> Result<Self, ConsensusError> {
        let ConsensusSetup {
            executor,
            guard,
            identity,
            peers,
            network,
            block_interval,
            dir,
        } = setup;
        let domain = executor.shared.chain.constants.domain;
        let agreement = Agreement { domain };
        let engine = Engine::start(EngineSetup {
            agreement,
            signer: GuardedSigner::new(Arc::clone(&guard)),
            address: SeatAddress(guard.address()),
            identity,
            listen: network.engine_listen,
            peers: &network.engine_peers,
            wal: &dir.join("engine.wal"),
        })
        .await?;
        let pace = Pace {
            block_interval,
            timeouts: network.timeouts,
            delay_bound: network.delay_bound,
        };
        let app = App::new(executor, guard, agreement, &engine, peers, pace);
        Ok(Self { engine, app })
    }

    /// Where other validators reach this one.
    pub(crate) fn listen_address(&self) -> SocketAddr {
        self.engine.listen
    }

    /// Agrees until cancelled.
    ///
    /// # Errors
    /// What ended it.
    pub(crate) async fn run(self, cancelled: CancellationToken) -> Result<(), ConsensusError> {
        let Self {
            mut engine,
            mut app,
        } = self;
        let result = app.run(&mut engine.questions, &cancelled).await;
        engine.stop().await;
        result
    }
}
