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

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_malachitebft_app::types::Keypair;
use protocol::number::{Height, LeafIndex};
use tokio_util::sync::CancellationToken;

use crate::{
    agreement::{Agreement, GuardedSigner, SeatAddress},
    builder::Exchange,
    config::NetworkConfig,
    evidence::EvidenceBook,
    executor::{CommitError, Executor},
    guard::{GuardError, SigningGuard},
    network::Gossip,
    relay::{Progress, Relay},
    sets::OtherSet,
    storage::StorageError,
};

use app::{App, Ended, Pace, Role};
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
    /// The others have decided another next set than this node expects.
    #[error(transparent)]
    OtherSet(#[from] OtherSet),
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
pub(crate) struct ConsensusSetup {
    pub(crate) executor: Arc<Executor>,
    pub(crate) guard: Arc<SigningGuard>,
    pub(crate) identity: Keypair,
    pub(crate) evidence: Arc<EvidenceBook>,
    /// Whom to ask for the bytes of listed submissions, and how far the chain is.
    pub(crate) peers: Peers,
    pub(crate) network: NetworkConfig,
    /// Time between blocks, empty ones included.
    pub(crate) block_interval: std::time::Duration,
    /// Directory of the engine's log.
    pub(crate) dir: PathBuf,
    /// Whether this node never votes.
    pub(crate) is_follower: bool,
    pub(crate) exchange: Arc<Exchange>,
    /// Where this validator wants bids paid; without a leaf it takes none.
    pub(crate) bid_leaf: Option<LeafIndex>,
}

/// Agreement, started.
pub(crate) struct Consensus {
    setup: ConsensusSetup,
    engine: Engine,
    app: App,
}

impl Consensus {
    /// Starts the engine.
    ///
    /// # Errors
    /// [`ConsensusError`]; nothing is left running.
    pub(crate) async fn start(setup: ConsensusSetup) -> Result<Self, ConsensusError> {
        let role = first_role(&setup).await?;
        let (engine, app) = assemble(&setup, setup.network.engine_listen, role).await?;
        Ok(Self { setup, engine, app })
    }

    /// Where other validators reach this one.
    pub(crate) fn listen_address(&self) -> SocketAddr {
        self.engine.listen
    }

    /// Agrees until cancelled; first as an observer, if this key may have signed more than is remembered here.
    ///
    /// # Errors
    /// What ended it.
    pub(crate) async fn run(self, cancelled: CancellationToken) -> Result<(), ConsensusError> {
        let Self {
            setup,
            mut engine,
            mut app,
        } = self;
        loop {
            let ended = app.run(&mut engine.questions, &cancelled).await;
            let listen = engine.listen;
            engine.stop().await;
            match ended? {
                Ended::Cancelled => return Ok(()),
                Ended::CaughtUp => {
                    let height = setup.executor.tip().height.0;
                    tracing::info!(height, "caught up: voting from here on");
                    (engine, app) = assemble(&setup, listen, Role::Validator).await?;
                }
            }
        }
    }
}

/// What this node does at first. A key that has signed above what this database and log remember stays silent until
/// the chain has passed that height: its own guard knows of it, or, after a restore of everything, its peers, who show
/// certificates and what it has signed itself. A node that was merely behind when it stopped first gets what was decided,
/// and then votes.
async fn first_role(setup: &ConsensusSetup) -> Result<Role, ConsensusError> {
    if setup.is_follower {
        let until = app::FOLLOWED_HEIGHT_MAX;
        return Ok(Role::Observer { until });
    }
    let tip = setup.executor.tip().height;
    let signed = setup.guard.highest_signed()?;
    let has_log = wal_path(&setup.dir).exists();
    let mut silent_to = Height(0);
    if signed.0 > tip.0.saturating_add(1) || (signed > tip && !has_log) {
        silent_to = signed;
    }
    let Progress {
        certified,
        signed: shown,
    } = match &setup.peers {
        Some((relay, gossip)) => relay.progress(gossip, &setup.guard.address()).await,
        None => Progress::default(),
    };
    let domain = setup.executor.shared.chain.constants.domain;
    for sighting in shown {
        if !setup.guard.knows(&sighting.request(&domain))? {
            let (height, round, _) = sighting.rank();
            tracing::warn!(
                height = height.0,
                round = round.0,
                "peers hold a signature of this key that is not remembered here"
            );
            setup.guard.catch_up(height)?;
        }
    }
    if certified > tip {
        // A guard that remembers this height is of the life that signed in it; another may be an older copy, and then
        // this key can have voted in the height above too. Whoever decided a height remembers it: after a crash of all
        // nodes more than two thirds vote in the next one.
        silent_to = silent_to.max(certified);
        if signed < certified {
            setup
                .guard
                .catch_up(Height(certified.0.saturating_add(1)))?;
        }
    }
    // the guard refuses up to there, and a refusal stops the node
    silent_to = silent_to.max(setup.guard.passed()?);
    if silent_to > tip {
        let (tip, until) = (tip.0, silent_to.0);
        tracing::info!(tip, until, "catching up as an observer: not voting yet");
        return Ok(Role::Observer { until: silent_to });
    }
    Ok(Role::Validator)
}

fn wal_path(dir: &Path) -> PathBuf {
    dir.join("engine.wal")
}

async fn assemble(
    setup: &ConsensusSetup,
    listen: SocketAddr,
    role: Role,
) -> Result<(Engine, App), ConsensusError> {
    let domain = setup.executor.shared.chain.constants.domain;
    let agreement = Agreement { domain };
    let engine = Engine::start(EngineSetup {
        agreement,
        signer: GuardedSigner::new(Arc::clone(&setup.guard)),
        address: SeatAddress(setup.guard.address()),
        identity: setup.identity.clone(),
        listen,
        peers: &setup.network.engine_peers,
        wal: &wal_path(&setup.dir),
        // a follower hears votes as they are cast; no key of the set is here to vote with
        is_voting: role == Role::Validator || setup.is_follower,
    })
    .await?;
    let pace = Pace {
        block_interval: setup.block_interval,
        timeouts: setup.network.timeouts,
        delay_bound: setup.network.delay_bound,
        skew_bound: setup.network.skew_bound,
    };
    let (executor, guard) = (Arc::clone(&setup.executor), Arc::clone(&setup.guard));
    let app = App::new(
        executor,
        guard,
        agreement,
        &engine,
        (setup.peers.clone(), Arc::clone(&setup.evidence)),
        (pace, role),
        (Arc::clone(&setup.exchange), setup.bid_leaf),
    );
    Ok((engine, app))
}
