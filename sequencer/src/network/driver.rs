//! The task that owns the swarm: takes events, commands, verdicts and time, one after another.
//!
//! It never waits for the caller: verdicts and answers are computed in tasks of bounded number. The three child
//! modules are one state machine: `peering` (connections, Hello, addresses, bans), `gossiping` (messages) and
//! `requesting` (requests both ways).

mod gossiping;
mod peering;
mod requesting;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libp2p::futures::StreamExt;
use libp2p::gossipsub::{self, TopicHash};
use libp2p::request_response::{OutboundRequestId, ResponseChannel};
use libp2p::swarm::SwarmEvent;
use libp2p::{PeerId, Swarm, ping};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::book::AddressBook;
use super::bucket::Bucket;
use super::fetching::Fetching;
use super::frame::{
    ContentHash, Hello, PROTOCOL_VERSION, Response, VALIDATOR_PROOF_BYTES_MAX, to_multiaddr,
    to_socket_address,
};
use super::judging::{Job, Judging};
use super::swarm::{Protocols, ProtocolsEvent, build_swarm};
use super::topic::{Acceptance, Topic};
use super::{GossipConfig, GossipError, GossipHandler, GossipLimits, PeerStatus};

/// How often the driver looks at what time does: deadlines, dialling, scores.
const TICK: Duration = Duration::from_millis(100);

/// A listener that does not come up in this time does not come up.
const LISTEN_TIME_MAX: Duration = Duration::from_secs(5);

/// What the handle asks for.
pub(crate) enum Command {
    Publish {
        topic: Topic,
        bytes: Bytes,
        /// Returned when the message has left the queue.
        permit: OwnedSemaphorePermit,
    },
    Call {
        peer: PeerId,
        request: Bytes,
        reply: oneshot::Sender<Option<Bytes>>,
    },
}

/// A request of ours under way.
enum Asked {
    Hello,
    Peers,
    Fetch(ContentHash),
    Call(oneshot::Sender<Option<Bytes>>),
}

/// What a task of the caller's came to.
enum Done {
    Judged(Job, Acceptance),
    Served {
        peer: PeerId,
        channel: ResponseChannel<Response>,
        answer: Option<Bytes>,
    },
}

/// A connected peer.
struct Peer {
    /// The other end of the first connection.
    address: SocketAddr,
    outbound: bool,
    /// Where it listens, as far as we have seen ourselves: the address dialled, or the one seen with the port said.
    reachable: Option<SocketAddr>,
    since: Instant,
    /// It said Hello, and is this validator.
    hello: Option<Option<[u8; 20]>>,
    /// It took our Hello.
    welcomed: bool,
    /// Points against it, decaying; part of its score.
    faults: f64,
    requests: Bucket,
    answer_bytes: Bucket,
    messages: Bucket,
    serving: usize,
}

impl Peer {
    fn is_ready(&self) -> bool {
        self.hello.is_some() && self.welcomed
    }

    fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

/// The state of the network.
pub(crate) struct Driver {
    swarm: Swarm<Protocols>,
    handler: Arc<dyn GossipHandler>,
    limits: GossipLimits,
    local: PeerId,
    hello: Hello,
    topics: BTreeMap<TopicHash, Topic>,
    commands: mpsc::Receiver<Command>,
    status: watch::Sender<Arc<[PeerStatus]>>,
    cancel: CancellationToken,
    peers: BTreeMap<PeerId, Peer>,
    book: AddressBook,
    judging: Judging,
    fetching: Fetching,
    asked: BTreeMap<OutboundRequestId, (PeerId, Asked)>,
    tasks: JoinSet<Done>,
    serving: usize,
    decayed: Instant,
    discovered: Instant,
}

impl Driver {
    /// Builds the swarm and waits until it listens; gives the address.
    pub(crate) async fn listen(
        config: GossipConfig,
        handler: Arc<dyn GossipHandler>,
        commands: mpsc::Receiver<Command>,
        status: watch::Sender<Arc<[PeerStatus]>>,
        cancel: CancellationToken,
    ) -> Result<(Self, SocketAddr), GossipError> {
        let len_bytes = config.validator_proof.as_ref().map_or(0, Vec::len);
        if len_bytes > VALIDATOR_PROOF_BYTES_MAX {
            let max = VALIDATOR_PROOF_BYTES_MAX;
            return Err(GossipError::InvalidProof { len_bytes, max });
        }
        let local = config.identity.public().to_peer_id();
        let connections_max = config.limits.peers_max.saturating_add(config.peers.len());
        let mut swarm = build_swarm(
            config.identity,
            &config.chain,
            connections_max,
            &config.limits,
        )?;
        let address = listen(&mut swarm, config.listen).await?;
        let now = Instant::now();
        let book = AddressBook::new(
            &config.peers,
            config.limits.redial_pause_min,
            config.limits.redial_pause_max,
            now,
        );
        let topic = |topic: &Topic| (TopicHash::from_raw(topic.full_name(&config.chain)), *topic);
        let driver = Self {
            swarm,
            handler,
            limits: config.limits,
            local,
            hello: Hello {
                chain: config.chain,
                version: PROTOCOL_VERSION,
                port: address.port(),
                validator_proof: config.validator_proof,
            },
            topics: Topic::ALL.iter().map(topic).collect(),
            commands,
            status,
            cancel,
            peers: BTreeMap::new(),
            book,
            judging: Judging::default(),
            fetching: Fetching::default(),
            asked: BTreeMap::new(),
            tasks: JoinSet::new(),
            serving: 0,
            decayed: now,
            discovered: now,
        };
        Ok((driver, address))
    }

    /// Runs until cancelled or until a failure of our own.
    pub(crate) async fn run(mut self) -> Result<(), GossipError> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let cancel = self.cancel.clone();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                event = self.swarm.select_next_some() => self.on_event(event)?,
                Some(command) = self.commands.recv() => self.on_command(command),
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.on_done(done)?;
                }
                _ = ticks.tick() => self.on_tick(Instant::now()),
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<ProtocolsEvent>) -> Result<(), GossipError> {
        let now = Instant::now();
        match event {
            SwarmEvent::Behaviour(ProtocolsEvent::Mesh(event)) => self.on_mesh(event, now),
            SwarmEvent::Behaviour(ProtocolsEvent::Requests(event)) => self.on_requests(event, now),
            SwarmEvent::Behaviour(ProtocolsEvent::Ping(ping::Event {
                connection,
                result: Err(ping::Failure::Timeout | ping::Failure::Other { .. }),
                ..
            })) => {
                self.swarm.close_connection(connection);
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.on_connected(peer_id, connection_id, &endpoint, now),
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established: 0,
                ..
            } => self.on_disconnected(&peer_id, now),
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => self.on_dial_failed(connection_id, &error, now),
            SwarmEvent::ListenerClosed { reason, .. } => {
                let reason = reason.err().map_or_else(String::new, |e| e.to_string());
                return Err(GossipError::InternalListener { reason });
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a connection could not be taken");
            }
            _ => {}
        }
        Ok(())
    }

    fn on_mesh(&mut self, event: gossipsub::Event, now: Instant) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => self.on_message(propagation_source, message_id, message, now),
            // A node of this network speaks it; whoever does not is something else.
            gossipsub::Event::GossipsubNotSupported { peer_id } => self.disconnect(&peer_id),
            gossipsub::Event::Subscribed { .. }
            | gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::SlowPeer { .. } => {}
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish {
                topic,
                bytes,
                permit,
            } => {
                self.publish(topic, bytes);
                drop(permit);
            }
            Command::Call {
                peer,
                request,
                reply,
            } => self.call(peer, &request, reply),
        }
    }

    fn on_done(&mut self, done: Result<Done, JoinError>) -> Result<(), GossipError> {
        let now = Instant::now();
        let done = done.map_err(|error| GossipError::InternalHandler {
            reason: error.to_string(),
        })?;
        match done {
            Done::Judged(job, acceptance) => self.on_judged(job, acceptance, now),
            Done::Served {
                peer,
                channel,
                answer,
            } => self.on_served(peer, channel, answer, now),
        }
        Ok(())
    }

    fn on_tick(&mut self, now: Instant) {
        self.check_peers(now);
        self.dial(now);
        self.discover(now);
        self.fetching.prune(now);
        self.start_fetches();
        self.publish_status();
        let (waiting, bytes) = self.judging.load();
        // Counts below 2^52 are exact.
        ::metrics::gauge!("sequencer_gossip_queue_messages").set(waiting as f64);
        ::metrics::gauge!("sequencer_gossip_queue_bytes").set(bytes as f64);
        ::metrics::gauge!("sequencer_gossip_held_bytes").set(self.fetching.held_bytes() as f64);
        ::metrics::gauge!("sequencer_gossip_peers").set(self.peers.len() as f64);
    }

    fn publish_status(&mut self) {
        let mesh = &self.swarm.behaviour().mesh;
        let status = self.peers.iter().map(|(peer, known)| PeerStatus {
            peer: *peer,
            address: known.address,
            outbound: known.outbound,
            validator: known.hello.flatten(),
            ready: known.is_ready(),
            score: mesh.peer_score(peer).unwrap_or(0.0),
        });
        self.status.send_replace(status.collect());
    }
}

/// Listens and waits for the address.
async fn listen(
    swarm: &mut Swarm<Protocols>,
    address: SocketAddr,
) -> Result<SocketAddr, GossipError> {
    let unavailable = |reason: String| GossipError::UnavailableAddress { address, reason };
    swarm
        .listen_on(to_multiaddr(address))
        .map_err(|error| unavailable(error.to_string()))?;
    let listening = async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    let strange = || unavailable(format!("{address} is no TCP address"));
                    return to_socket_address(&address).ok_or_else(strange);
                }
                SwarmEvent::ListenerClosed { reason, .. } => {
                    let reason = reason.err().map_or_else(String::new, |e| e.to_string());
                    return Err(unavailable(reason));
                }
                // The transport tells the address before it takes a connection.
                _ => {}
            }
        }
    };
    tokio::time::timeout(LISTEN_TIME_MAX, listening)
        .await
        .map_err(|_| unavailable("it did not come up in time".to_owned()))?
}
