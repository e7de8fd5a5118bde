//! Assembly of the engine's actors: network, write-ahead log, core, synchronisation and their supervisor, with our host
//! between them (`app-channel`, which does the same, cannot take a verdict late).
//!
//! What this module does not do: answer the engine.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use arc_malachitebft_app::types::codec::Codec;
use arc_malachitebft_app::{
    config::{
        ConsensusConfig, DiscoveryConfig, GossipSubConfig, P2pConfig, PubSubMaxSizePerTopic,
        PubSubProtocol, ValuePayload, ValueSyncConfig,
    },
    engine::{
        consensus::ConsensusRef,
        network::{NetworkIdentity, NetworkRef},
        node::NodeRef,
        util::{
            events::TxEvent,
            output_port::{OutputPort, OutputPortSubscriberTrait},
        },
    },
    metrics::{Metrics, SharedRegistry},
    net::Multiaddr,
    spawn::{
        spawn_consensus_actor, spawn_network_actor, spawn_node_actor, spawn_sync_actor,
        spawn_wal_actor,
    },
    types::Keypair,
};
use arc_malachitebft_signing::Signer;
use bytesize::ByteSize;
use libp2p::multiaddr::Protocol;
use ractor::Actor;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    ConsensusError,
    host::{Host, Question},
};
use crate::agreement::{Agreement, GuardedSigner, RecoveringVerifier, SeatAddress, WireCodec};

/// Connections of one address: validators of a devnet share one.
const CONNECTIONS_PER_ADDRESS: usize = 128;
/// A vote with a full extension, and room for a proposal.
const VOTE_BYTES_MAX: u64 = 16 << 10;
/// A certificate of the largest set.
const CERTIFICATE_BYTES_MAX: u64 = 64 << 10;
/// One part of a block: what `agreement`'s bytes allow.
const PART_BYTES_MAX: u64 = 4 << 20;
/// Answers to requests for decided blocks: one of the largest, header and payload, and its certificate.
pub(super) const SYNC_BYTES_MAX: u64 = 2 * PART_BYTES_MAX + (1 << 20);
/// How often a port, or a log, that is taken is tried again.
const LISTEN_TRIES: u32 = 40;
/// Between two tries.
const LISTEN_PAUSE: Duration = Duration::from_millis(50);
/// How long the engine's network may take to close: a part of what a node may take to stop.
const NETWORK_STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a node tells its peers where it stands.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);
/// How long a request for decided blocks may take.
const SYNC_TIMEOUT: Duration = Duration::from_secs(5);
/// Blocks asked for at once.
const SYNC_BATCH: usize = 16;

/// What the engine needs from the node.
pub(super) struct EngineSetup<'a> {
    pub(super) agreement: Agreement,
    pub(super) signer: GuardedSigner,
    pub(super) address: SeatAddress,
    /// Key of this node on the network.
    pub(super) identity: Keypair,
    pub(super) listen: SocketAddr,
    pub(super) peers: &'a [SocketAddr],
    /// File of the write-ahead log.
    pub(super) wal: &'a Path,
    /// Whether this node proposes and votes, or only follows.
    pub(super) is_voting: bool,
}

/// The running engine.
pub(super) struct Engine {
    node: NodeRef,
    closed: JoinHandle<()>,
    pub(super) consensus: ConsensusRef<Agreement>,
    pub(super) network: NetworkRef<Agreement>,
    pub(super) events: TxEvent<Agreement>,
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) listen: SocketAddr,
}

fn failed(error: impl std::fmt::Debug) -> ConsensusError {
    ConsensusError::Engine(format!("{error:?}"))
}

fn multiaddr(address: &SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// The address that the engine will listen on, if nobody else does: it only logs a failure, and would wait for ever.
/// The listener of an engine that was stopped a moment ago may not be closed yet, so a taken port is tried for a while.
async fn check_listen(listen: SocketAddr) -> Result<SocketAddr, ConsensusError> {
    let bind = || TcpListener::bind(listen).and_then(|listener| listener.local_addr());
    let mut result = bind();
    for _ in 0..LISTEN_TRIES {
        if result.is_ok() {
            break;
        }
        tokio::time::sleep(LISTEN_PAUSE).await;
        result = bind();
    }
    result.map_err(|source| ConsensusError::Listen {
        address: listen,
        source,
    })
}

/// Waits until the log of an engine that was stopped a moment ago is closed: the actor that takes it does not wait.
async fn wait_for_log(wal: &Path) {
    for _ in 0..LISTEN_TRIES {
        // no file, or one that cannot be opened, is the actor's to report
        let is_free = File::open(wal).map_or(true, |file| file.try_lock().is_ok());
        if is_free {
            return;
        }
        tokio::time::sleep(LISTEN_PAUSE).await;
    }
}

fn consensus_config(listen: &SocketAddr, setup: &EngineSetup<'_>) -> ConsensusConfig {
    let p2p = P2pConfig {
        listen_addr: multiaddr(listen),
        persistent_peers: setup.peers.iter().map(multiaddr).collect(),
        protocol: PubSubProtocol::GossipSub(GossipSubConfig::new(6, 12, 4, 2, true, false, true)),
        discovery: DiscoveryConfig {
            max_connections_per_ip: CONNECTIONS_PER_ADDRESS,
            ..DiscoveryConfig::default()
        },
        pubsub_max_size: ByteSize::b(PART_BYTES_MAX + (1 << 10)),
        pubsub_max_size_per_topic: PubSubMaxSizePerTopic {
            consensus: Some(ByteSize::b(VOTE_BYTES_MAX)),
            proposal_parts: Some(ByteSize::b(PART_BYTES_MAX)),
            liveness: Some(ByteSize::b(CERTIFICATE_BYTES_MAX)),
        },
        rpc_max_size: ByteSize::b(SYNC_BYTES_MAX),
        ..P2pConfig::default()
    };
    ConsensusConfig {
        enabled: setup.is_voting,
        p2p,
        value_payload: ValuePayload::ProposalAndParts,
        ..ConsensusConfig::default()
    }
}

fn sync_config() -> ValueSyncConfig {
    ValueSyncConfig {
        status_update_interval: STATUS_INTERVAL,
        request_timeout: SYNC_TIMEOUT,
        max_response_size: ByteSize::b(SYNC_BYTES_MAX),
        batch_size: SYNC_BATCH,
        ..ValueSyncConfig::default()
    }
}

impl Engine {
    /// Starts every actor; the engine asks for its first height when it listens.
    ///
    /// # Errors
    /// [`ConsensusError`]; nothing is left running.
    pub(super) async fn start(setup: EngineSetup<'_>) -> Result<Self, ConsensusError> {
        let listen = check_listen(setup.listen).await?;
        wait_for_log(setup.wal).await;
        let registry = SharedRegistry::global().with_moniker(setup.address.to_string());
        let metrics = Metrics::register(&registry);
        let (node, closed) = spawn_node_actor(metrics.clone()).await.map_err(failed)?;
        let started = Self::spawn(setup, listen, &registry, metrics, &node).await;
        match started {
            Ok((consensus, network, events, questions)) => Ok(Self {
                node,
                closed,
                consensus,
                network,
                events,
                questions,
                listen,
            }),
            Err(error) => {
                let reason = Some("the engine could not be started".to_owned());
                node.get_cell().stop_children(reason.clone());
                node.stop(reason);
                Err(error)
            }
        }
    }

    async fn spawn(
        setup: EngineSetup<'_>,
        listen: SocketAddr,
        registry: &SharedRegistry,
        metrics: Metrics,
        node: &NodeRef,
    ) -> Result<
        (
            ConsensusRef<Agreement>,
            NetworkRef<Agreement>,
            TxEvent<Agreement>,
            mpsc::Receiver<Question>,
        ),
        ConsensusError,
    > {
        let (config, sync) = (consensus_config(&listen, &setup), sync_config());
        let peer = setup.identity.public().to_peer_id();
        let (key, peer) = (setup.address.0.0.to_vec(), peer.to_bytes());
        let proof = setup
            .signer
            .sign_validator_proof(key, peer)
            .await
            .map_err(failed)?;
        let proof = WireCodec.encode(&proof).map_err(failed)?;
        let identity = NetworkIdentity::new_validator(
            setup.address.to_string(),
            setup.identity,
            setup.address.to_string(),
            proof,
        );
        let network = spawn_network_actor(&config, &sync, identity, registry, WireCodec)
            .await
            .map_err(failed)?;
        network.link(node.get_cell());
        let wal = spawn_wal_actor(
            &setup.agreement,
            WireCodec,
            setup.wal,
            registry,
            node.clone(),
        )
        .await
        .map_err(failed)?;
        wal.link(node.get_cell());
        let (host, questions) = Host::new();
        let (host, _) = Actor::spawn(None, host, ()).await.map_err(failed)?;
        host.link(node.get_cell());
        let (events, sync_port) = (TxEvent::new(), Arc::new(OutputPort::new()));
        let verifier = RecoveringVerifier::new(setup.agreement);
        let consensus = spawn_consensus_actor(
            setup.agreement,
            setup.address,
            config,
            Box::new(verifier),
            Some(Box::new(setup.signer)),
            network.clone(),
            host.clone(),
            wal,
            Arc::clone(&sync_port),
            metrics,
            events.clone(),
            node.clone(),
        )
        .await
        .map_err(failed)?;
        consensus.link(node.get_cell());
        let sync = spawn_sync_actor(
            setup.agreement,
            network.clone(),
            host,
            consensus.clone(),
            WireCodec,
            &sync,
            registry,
        )
        .await
        .map_err(failed)?;
        if let Some(sync) = sync {
            sync.link(node.get_cell());
            sync.subscribe_to_port(&sync_port);
        }
        Ok((consensus, network, events, questions))
    }

    /// Stops every actor, the network first: the supervisor kills the others when one has ended, and a network that is
    /// killed keeps its port until it hears from a peer.
    pub(super) async fn stop(self) {
        let reason = Some("the node stops".to_owned());
        let network = self.network.get_cell();
        let closed = network.stop_and_wait(reason.clone(), Some(NETWORK_STOP_TIMEOUT));
        if let Err(error) = closed.await {
            tracing::warn!(%error, "the engine's network did not stop in order");
        }
        self.node.get_cell().stop_children(reason.clone());
        self.node.stop(reason);
        let _ = self.closed.await; // it only says whether the supervisor panicked
    }
}
