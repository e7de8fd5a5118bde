//! Starting, running and stopping everything. The first component that stops, stops the node.

mod state_only;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use jsonrpsee::server::ServerHandle;
use libp2p::identity::Keypair;
use protocol::{chunk::ChunkSize, genesis::GenesisError, number::Height, state::State};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    base_layer::{FinalPart, OtherBaseLayer, check_config, run_base_layer},
    batcher::{Batcher, BatcherError},
    builder::{Exchange, Leaves, Producer, run_leaves, run_producer},
    chain::{Chain, ChainConstants, now_ms},
    checkpoints::{Checkpoints, run_checkpoints},
    config::{NodeConfig, StorageConfig},
    consensus::{Consensus, ConsensusError, ConsensusSetup},
    events::Events,
    evidence::EvidenceBook,
    executor::{Decided, Executor},
    failpoint,
    guard::{GuardError, SigningGuard},
    mempool::{Admission, Entry, Mempool, run_admission},
    nats::run_nats,
    network::{
        Gossip, GossipConfig, GossipError, GossipHandler, GossipLimits, IdentityError,
        load_or_make_identity,
    },
    promises::Promises,
    proving::RocksQueue,
    pruning::{Pruner, run_pruning},
    relay::{News, Outlet, Relay, run_reach, run_tell},
    rpc::{Health, PublicApi, serve_jobs, serve_public},
    sets::{GenesisSet, OtherSet, SetSource, SetsError},
    settling::{Settling, run_settling},
    snapshot::{SnapshotKeeper, run_snapshots},
    soft::{Soft, SoftRules, run_soft},
    storage::{StorageError, Store},
    telemetry,
};

/// Longest a graceful stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two looks at whether the database is closed.
const CLOSE_PAUSE: Duration = Duration::from_millis(5);
/// Looks: a second. A worker of this process may hold the proof queue, and with it the database, for longer.
const CLOSE_LOOKS: u32 = 200;

/// Why a node does not start, or has stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Genesis is not usable.
    #[error("genesis is refused: {0}")]
    Genesis(#[from] GenesisError),
    /// The base layer is not this chain's, or not this database's.
    #[error(transparent)]
    OtherBaseLayer(#[from] OtherBaseLayer),
    /// The sets that this node was given are not those that were decided.
    #[error(transparent)]
    OtherSet(#[from] OtherSet),
    /// The key is not one that genesis or the validator set file names.
    #[error(
        "genesis names validators {expected}, and the validator set file does not name {actual}, whose key was given: \
         give the right key file, or the validator set file that names it"
    )]
    ValidatorKey {
        /// Addresses genesis names.
        expected: String,
        /// Address of the key.
        actual: String,
    },
    /// A validator's key would be idle in a follower, and its seat empty.
    #[error(
        "{0} is a validator: it cannot only follow; start it as one, or give a follower another key"
    )]
    FollowerKey(String),
    /// Files beside the database cannot be used.
    #[error("{path} cannot be used: {source}; check space and permissions")]
    Files {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The record of what was signed cannot be used.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The network identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Gossip does not start, or has stopped.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// Agreement does not start, or has stopped.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The database cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A port cannot be used.
    #[error(
        "cannot listen on {address} for {what}: {source}; stop what uses the port, or name another"
    )]
    Listen {
        /// Which interface.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's words.
        source: std::io::Error,
    },
    /// A certified block does not execute again.
    #[error("{0}")]
    Execution(String),
    /// A component ended without being told to, or panicked.
    #[error("component {component} stopped: {reason}")]
    Stopped {
        /// Its name.
        component: &'static str,
        /// Why.
        reason: String,
    },
    /// A component did not stop in time.
    #[error("the node did not stop within {} s; its database is consistent all the same", STOP_TIMEOUT.as_secs())]
    StopTimeout,
}

impl From<SetsError> for NodeError {
    fn from(error: SetsError) -> Self {
        match error {
            SetsError::Storage(error) => Self::Storage(error),
            SetsError::Other(other) => Self::OtherSet(other),
        }
    }
}

impl From<BatcherError> for NodeError {
    fn from(error: BatcherError) -> Self {
        match error {
            BatcherError::Storage(error) => Self::Storage(error),
            BatcherError::Execution { .. } => Self::Execution(error.to_string()),
        }
    }
}

type Component = (&'static str, Result<(), NodeError>);

/// A node on its way up. Boxed, so that the engine is compiled here and not again in every program that starts a node.
pub type Starting = Pin<Box<dyn Future<Output = Result<Node, NodeError>> + Send>>;

/// A running node.
pub struct Node {
    components: JoinSet<Component>,
    cancelled: CancellationToken,
    servers: [ServerHandle; 2],
    health: Health,
    rpc_address: SocketAddr,
    jobs_address: SocketAddr,
    engine_address: SocketAddr,
    gossip_address: SocketAddr,
    heights: watch::Receiver<Height>,
    queue: Arc<RocksQueue>,
    store: std::sync::Weak<Store>,
    guard: std::sync::Weak<SigningGuard>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("rpc_address", &self.rpc_address)
            .field("jobs_address", &self.jobs_address)
            .finish_non_exhaustive()
    }
}

/// A key outside of all sets would sign for nobody. One of a later set follows until then, one that has left follows on.
fn check_validator(config: &NodeConfig) -> Result<(), NodeError> {
    let actual = config.validator_key.address();
    let set = &config.genesis.validators;
    let is_member = set.weight_of(&actual) > 0 || config.sets.names(&actual);
    if is_member && config.is_follower {
        return Err(NodeError::FollowerKey(actual.to_string()));
    }
    if is_member || config.is_follower {
        return Ok(());
    }
    let names = set.validators().iter();
    let names: Vec<String> = names.map(|one| one.address.to_string()).collect();
    Err(NodeError::ValidatorKey {
        expected: names.join(", "),
        actual: actual.to_string(),
    })
}

/// Starts what forgets old blocks and what writes snapshots, if they are wanted.
fn keep_storage(
    components: &mut JoinSet<Component>,
    config: &StorageConfig,
    (shared, queue, tip): (&Admission, &Arc<RocksQueue>, &watch::Receiver<Height>),
    cancelled: &CancellationToken,
) {
    if let Some(keep) = config.keep_blocks {
        let pruner = Arc::new(Pruner {
            store: Arc::clone(&shared.store),
            queue: Arc::clone(queue),
            keep,
        });
        let (tip, token) = (tip.clone(), cancelled.clone());
        components.spawn(async move {
            let result = run_pruning(pruner, tip, token).await;
            ("pruning", result.map_err(NodeError::from))
        });
    }
    if let Some(config) = config.snapshots.clone() {
        let keeper = Arc::new(SnapshotKeeper {
            store: Arc::clone(&shared.store),
            genesis: shared.chain.constants.genesis_hash,
            config,
        });
        let token = cancelled.clone();
        components.spawn(async move {
            let result = run_snapshots(keeper, token).await;
            ("snapshots", result.map_err(NodeError::from))
        });
    }
}

/// Ends with the first of the two servers.
fn spawn_servers(
    components: &mut JoinSet<Component>,
    [public, jobs]: [&ServerHandle; 2],
    cancelled: &CancellationToken,
) {
    for (name, handle) in [("rpc", public.clone()), ("jobs rpc", jobs.clone())] {
        let token = cancelled.clone();
        components.spawn(async move {
            tokio::select! {
                () = token.cancelled() => (name, Ok(())),
                () = handle.stopped() => (name, Ok(())),
            }
        });
    }
}

/// Serves the proof jobs over NATS as well, if a server is configured. The validator's address names this node there: no
/// other node has its key.
fn spawn_nats(
    components: &mut JoinSet<Component>,
    config: &NodeConfig,
    queue: &Arc<RocksQueue>,
    cancelled: &CancellationToken,
) {
    let Some(nats) = config.jobs.nats.clone() else {
        return;
    };
    let node = hex::encode(config.validator_key.address().0);
    let (queue, token) = (Arc::clone(queue), cancelled.clone());
    components.spawn(async move {
        run_nats(queue, nats, node, token).await;
        ("proof jobs over NATS", Ok(()))
    });
}

fn listen_error(
    what: &'static str,
    address: SocketAddr,
) -> impl FnOnce(std::io::Error) -> NodeError {
    move |source| NodeError::Listen {
        what,
        address,
        source,
    }
}

impl Node {
    /// Opens or makes the database, checks it, and starts every component. Needs a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// Why the node does not start; nothing is left running.
    #[must_use]
    pub fn start(config: NodeConfig) -> Starting {
        Box::pin(Self::open(config))
    }

    async fn open(config: NodeConfig) -> Result<Self, NodeError> {
        config.genesis.check()?;
        check_validator(&config)?;
        telemetry::install();
        failpoint::arm(config.genesis.is_development());
        let opened = {
            let config = config.clone();
            tokio::task::spawn_blocking(move || Opened::new(&config))
                .await
                .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?
        };
        match opened.shared.store.rebuilt()? {
            None => opened.serve(config).await,
            Some(rebuilt) => opened.serve_state(config, rebuilt).await,
        }
    }

    /// Address of the public interface.
    #[must_use]
    pub fn rpc_address(&self) -> SocketAddr {
        self.rpc_address
    }

    /// Address of the job interface.
    #[must_use]
    pub fn jobs_address(&self) -> SocketAddr {
        self.jobs_address
    }

    /// Where other validators' engines reach this one; port 0 if it serves a rebuilt state only.
    #[must_use]
    pub fn engine_address(&self) -> SocketAddr {
        self.engine_address
    }

    /// Where other nodes' gossip reaches this one; port 0 if it serves a rebuilt state only.
    #[must_use]
    pub fn gossip_address(&self) -> SocketAddr {
        self.gossip_address
    }

    /// Newest committed height; changes with every block.
    #[must_use]
    pub fn heights(&self) -> watch::Receiver<Height> {
        self.heights.clone()
    }

    /// The proof queue, for workers in this process.
    #[must_use]
    pub fn queue(&self) -> Arc<RocksQueue> {
        Arc::clone(&self.queue)
    }

    /// Waits until a component stops; that is always an error. Call [`Node::stop`] afterwards.
    pub async fn wait(&mut self) -> NodeError {
        match self.components.join_next().await {
            Some(Ok((_, Err(error)))) => error,
            Some(Ok((component, Ok(())))) => NodeError::Stopped {
                component,
                reason: "it ended by itself".into(),
            },
            Some(Err(error)) => NodeError::Stopped {
                component: "task",
                reason: error.to_string(),
            },
            None => NodeError::Stopped {
                component: "all",
                reason: "the node was stopped".into(),
            },
        }
    }

    /// Stops every component, at the latest after 5 seconds. What was acknowledged is on disk at any moment.
    ///
    /// # Errors
    /// The first error a component ended with, or [`NodeError::StopTimeout`].
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.health.set_ready(false);
        self.cancelled.cancel();
        for server in &self.servers {
            let _ = server.stop(); // it may have stopped already
        }
        let all = async {
            let mut first = Ok(());
            while let Some(ended) = self.components.join_next().await {
                let result = ended.map_or_else(
                    |error| {
                        let reason = error.to_string();
                        Err(NodeError::Stopped {
                            component: "task",
                            reason,
                        })
                    },
                    |(component, result)| {
                        tracing::info!(component, "stopped"); // if one hangs, the log says which
                        result
                    },
                );
                first = first.and(result);
            }
            for server in self.servers {
                server.stopped().await;
            }
            first
        };
        let result = tokio::time::timeout(STOP_TIMEOUT, all)
            .await
            .unwrap_or(Err(NodeError::StopTimeout));
        // The database and the guard close with their last users; whoever starts a node on them next must find them closed.
        drop(self.queue);
        for _ in 0..CLOSE_LOOKS {
            if self.store.strong_count() == 0 && self.guard.strong_count() == 0 {
                break;
            }
            tokio::time::sleep(CLOSE_PAUSE).await;
        }
        result
    }
}

/// What has been read from disk, before anything runs.
struct Opened {
    shared: Admission,
    queue: Arc<RocksQueue>,
    /// The newest state, for the batcher to go back from.
    state: State,
    /// The last blocks and the sets in office, for agreement to go on from.
    decided: Decided,
    guard: Arc<SigningGuard>,
    /// Key of this node on both networks.
    identity: Keypair,
    news: mpsc::Receiver<News>,
}

/// Where the engine's log, the record of what was signed and the network identity lie.
pub(crate) fn agreement_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("agreement")
}

impl Opened {
    fn new(config: &NodeConfig) -> Result<Self, NodeError> {
        let started = std::time::Instant::now();
        let store = Arc::new(Store::open(&config.data_dir, &config.genesis)?);
        let followed = store.base_record()?;
        let layer = config.base_layer.as_ref();
        check_config(layer, &config.genesis, followed.as_ref())?;
        let entries = store.read_for_start()?;
        let (state, tip) = store.load_state(&config.genesis)?;
        let constants = ChainConstants::new(&config.genesis);
        // nobody knows the sets above a rebuilt state, and nothing there is certified
        let sets: &dyn SetSource = match store.rebuilt()? {
            Some(_) => &GenesisSet,
            None => &*config.sets,
        };
        let decided = Decided::load(&store, &constants.domain, sets, (&tip, &state))?;
        let events = Events::new();
        let mut pool = Mempool::new(config.mempool.clone());
        for (sequence, pending) in store.pending()? {
            let ids = pending.submission.ids(&constants.domain);
            pool.restore(Entry::new(
                sequence,
                pending.submission,
                ids,
                pending.received_ms,
            ));
        }
        let (outlet, news) = Outlet::new();
        let queue = Arc::new(RocksQueue::load(
            Arc::clone(&store),
            config.jobs.clone(),
            (config.chunk_key.clone(), config.data_key.clone()),
            constants.clone(),
            Arc::clone(&config.proof_verifier),
            events.clone(),
            outlet.clone(),
        )?);
        let pending = pool.len();
        let chain = Arc::new(Chain::new(constants, state.clone(), tip));
        let ms = started.elapsed().as_millis();
        tracing::info!(
            height = tip.height.0,
            entries,
            pending,
            ms,
            "database opened and checked"
        );
        let shared = Admission {
            chain,
            pool: Arc::new(Mutex::new(pool)),
            store,
            events,
            outlet,
        };
        let dir = agreement_dir(&config.data_dir);
        std::fs::create_dir_all(&dir).map_err(|source| NodeError::Files {
            path: dir.clone(),
            source,
        })?;
        let key = config.validator_key.clone();
        let guard = SigningGuard::open(&dir.join("guard"), key, config.genesis.domain())?;
        let identity = load_or_make_identity(&dir.join("identity"))?;
        Ok(Self {
            shared,
            queue,
            state,
            decided,
            guard: Arc::new(guard),
            identity,
            news,
        })
    }

    async fn serve(self, config: NodeConfig) -> Result<Node, NodeError> {
        let Self {
            shared,
            queue,
            state,
            decided,
            guard,
            identity,
            news,
        } = self;
        let (health, cancelled) = (Health::default(), CancellationToken::new());
        let (requests, received) = mpsc::channel(config.mempool.queue_max.max(1));
        let chain = Arc::clone(&shared.chain);
        let (tip_sender, mut tip) = watch::channel(chain.view().tip.height);
        let heights = tip.clone();
        let decided = (decided, Arc::clone(&config.sets));
        let final_part = config
            .base_layer
            .as_ref()
            .map(|layer| FinalPart::load(Arc::clone(&shared.store), layer).map(Arc::new))
            .transpose()?;
        let settling = config
            .base_layer
            .as_ref()
            .map(|_| Settling::load(Arc::clone(&shared.store), shared.events.clone()).map(Arc::new))
            .transpose()?;
        let executor = Executor::new(shared.clone(), decided, tip_sender);
        let executor = Arc::new(executor.on_base_layer(final_part.clone()));
        executor.reports.restore(shared.store.charges()?);
        executor.restore_promises()?;
        let (exchange, sold) = Exchange::new(Arc::clone(&executor));
        let exchange = Arc::new(exchange);
        let (store, outlet) = (Arc::clone(&shared.store), shared.outlet.clone());
        let (constants, dir) = (
            shared.chain.constants.clone(),
            config.data_dir.join("evidence"),
        );
        let evidence = EvidenceBook::open(
            dir.clone(),
            Arc::clone(&store),
            constants.clone(),
            outlet.clone(),
        );
        let evidence = evidence.map_err(|source| NodeError::Files { path: dir, source })?;
        let evidence = Arc::new(evidence);
        let checkpoints = Arc::new(Checkpoints::new(
            store,
            constants,
            Arc::clone(&guard),
            Arc::clone(&evidence),
            outlet,
        ));
        let soft_guard = (!config.is_follower).then(|| Arc::clone(&guard));
        let soft = Soft::new(Arc::clone(&executor), soft_guard, SoftRules::new(&config));
        let soft = Arc::new(soft);
        let relay = Relay::new(
            shared.clone(),
            Arc::clone(&queue),
            requests.clone(),
            (Arc::clone(&evidence), Arc::clone(&checkpoints)),
            config.network.gossip_peers.len(),
            (Arc::clone(&exchange), config.bid_leaf),
            Arc::clone(&soft),
        );
        let parts = (Arc::clone(&queue), Arc::clone(&exchange), Arc::clone(&soft));
        let promises = Promises::new(Arc::clone(&executor), Arc::clone(&guard));
        let api = PublicApi::new(&config, shared.clone(), parts, requests)
            .settling(settling.clone())
            .promising((!config.is_follower).then_some(promises));
        let public = serve_public(&config.rpc, api, health.clone())
            .await
            .map_err(listen_error("JSON-RPC", config.rpc.listen))?;
        let jobs = serve_jobs(config.jobs.listen, Arc::clone(&queue))
            .await
            .map_err(listen_error("proof jobs", config.jobs.listen))?;

        let (store, events) = (Arc::clone(&shared.store), shared.events.clone());
        let weak_guard = Arc::downgrade(&guard);
        let relay = Arc::new(relay);
        let gossip = GossipConfig {
            listen: config.network.gossip_listen,
            peers: config.network.gossip_peers.clone(),
            identity: identity.clone(),
            chain: shared.chain.constants.genesis_hash.0,
            validator_proof: (!config.is_follower).then(|| {
                guard
                    .sign_validator_proof(&identity.public().to_peer_id().to_bytes())
                    .0
                    .to_vec()
            }),
            limits: GossipLimits::default(),
        };
        let handler = Arc::clone(&relay) as Arc<dyn GossipHandler>;
        let (gossip, gossiping) = Gossip::start(gossip, handler, cancelled.clone()).await?;
        let gossip_address = gossip.listen_address();
        exchange.connect(gossip.clone());
        let mut components = JoinSet::new();
        let token = cancelled.clone();
        let telling = (Arc::clone(&relay), gossip.clone());
        components.spawn(async move {
            run_tell(telling.0, telling.1, news, token).await;
            ("news", Ok(()))
        });
        let (token, asking) = (cancelled.clone(), (Arc::clone(&relay), gossip.clone()));
        components.spawn(async move {
            run_soft(soft, asking.0, asking.1, token).await;
            ("soft chain", Ok(()))
        });
        components.spawn(async move {
            let result = gossiping
                .await
                .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            ("gossip", result.map_err(NodeError::from))
        });
        // a follower, whose key has no seat, signs nothing here and keeps what the others sign
        let (token, sealed) = (cancelled.clone(), events.clone());
        components.spawn(async move {
            let result = run_checkpoints(checkpoints, sealed, token).await;
            ("checkpoints", result.map_err(NodeError::from))
        });
        let (reaching, token) = ((Arc::clone(&relay), gossip.clone()), cancelled.clone());
        components.spawn(async move {
            run_reach(reaching.0, reaching.1, token).await;
            ("reach of peers", Ok(()))
        });
        if let (Some(part), Some(layer)) = (final_part, config.base_layer.clone()) {
            let token = cancelled.clone();
            components.spawn(async move {
                let result = run_base_layer(part, layer, token).await;
                ("base layer", result.map_err(NodeError::from))
            });
        }
        if let (Some(settling), Some(layer)) = (settling, config.base_layer.clone()) {
            let token = cancelled.clone();
            components.spawn(async move {
                let result = run_settling(settling, layer, token).await;
                ("settlement", result.map_err(NodeError::from))
            });
        }
        keep_storage(
            &mut components,
            &config.storage,
            (&shared, &queue, &tip),
            &cancelled,
        );
        let token = cancelled.clone();
        let admission = shared.clone();
        components.spawn(async move {
            (
                "admission",
                run_admission(admission, received, token)
                    .await
                    .map_err(NodeError::from),
            )
        });
        if let Some(builder) = config.builder.clone() {
            let leaves = Arc::new(Leaves::default());
            let producer = Producer {
                config: builder,
                executor: Arc::clone(&executor),
                exchange: Arc::clone(&exchange),
                leaves: Arc::clone(&leaves),
                relay: Arc::clone(&relay),
                gossip: gossip.clone(),
            };
            let asking = (Arc::clone(&relay), gossip.clone(), cancelled.clone());
            components.spawn(async move {
                run_leaves(leaves, asking.0, asking.1, asking.2).await;
                ("leaves of validators", Ok(()))
            });
            let token = cancelled.clone();
            components.spawn(async move {
                run_producer(producer, sold, token).await;
                ("builder", Ok(()))
            });
        }
        let consensus = Consensus::start(ConsensusSetup {
            executor,
            guard,
            identity,
            evidence,
            peers: Some((Arc::clone(&relay), gossip.clone())),
            network: config.network.clone(),
            block_interval: config.block_interval,
            dir: agreement_dir(&config.data_dir),
            is_follower: config.is_follower,
            exchange,
            bid_leaf: config.bid_leaf,
        })
        .await?;
        let engine_address = consensus.listen_address();
        let token = cancelled.clone();
        components.spawn(async move {
            (
                "agreement",
                consensus.run(token).await.map_err(NodeError::from),
            )
        });
        let token = cancelled.clone();
        let runtime = tokio::runtime::Handle::current();
        let parts = (Arc::clone(&chain), store, Arc::clone(&queue), events);
        components.spawn_blocking(move || {
            // Going back to the start of the open batch rehashes the state: nobody waits for it.
            let (chain, store, queue, events) = parts;
            let result = Batcher::new(chain, store, queue, events, (state, ChunkSize::PROTOCOL))
                .map_err(BatcherError::from)
                .and_then(|mut batcher| batcher.run(&mut tip, &runtime, &token));
            ("batcher", result.map_err(NodeError::from))
        });
        spawn_nats(&mut components, &config, &queue, &cancelled);
        let (token, watched) = (cancelled.clone(), Arc::clone(&queue));
        components.spawn(async move {
            let result = tokio::select! {
                () = token.cancelled() => Ok(()),
                error = watched.run_until_failure() => Err(NodeError::Storage(error)),
            };
            ("proof queue", result)
        });
        spawn_servers(&mut components, [&public.handle, &jobs.handle], &cancelled);
        health.set_ready(true);
        tracing::info!(rpc = %public.address, jobs = %jobs.address, time_ms = now_ms(), "node started");
        Ok(Node {
            components,
            cancelled,
            servers: [public.handle, jobs.handle],
            health,
            rpc_address: public.address,
            jobs_address: jobs.address,
            engine_address,
            gossip_address,
            heights,
            queue,
            store: Arc::downgrade(&shared.store),
            guard: weak_guard,
        })
    }
}
