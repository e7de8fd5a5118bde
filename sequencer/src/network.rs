//! Gossip between nodes: everything that is not a vote.
//!
//! Operations, bids, payloads, certificates, proofs and evidence travel in a libp2p swarm of its own. The engine's
//! votes have another, so that a flood here never delays a vote. Invariants: nothing is forwarded before the
//! caller's [`GossipHandler`] accepted it; every queue, table, message and wait has a named limit; a peer that
//! sends what every honest node rejects loses its score, then its connection; a peer without a Hello for this chain
//! leaves after a few seconds. Nothing a peer sends ends the task; the first failure of our own does.
//!
//! This module does not know what the bytes mean, keeps nothing on disk but the identity, and promises no delivery:
//! who needs a message asks for it with [`Gossip::request`].
//!
//! Map: `topic` and `frame` are the wire, `codec` reads and writes requests, `scoring` sets up the mesh, `gate`
//! admits connections, `book` says whom to dial, `judging` and `fetching` are the queues, `driver` moves it all.

mod book;
mod bucket;
mod codec;
mod driver;
mod fetching;
mod frame;
mod gate;
mod identity;
mod judging;
mod scoring;
mod swarm;
#[cfg(test)]
mod tests;
mod topic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use libp2p::PeerId;
use libp2p::identity::Keypair;
use rand::seq::SliceRandom;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use identity::{IdentityError, load_or_make_identity};
pub use topic::{Acceptance, Topic};

use codec::{FRAME_BYTES, REQUEST_BYTES_MAX};
use driver::{Command, Driver};

/// Commands of this node waiting for the driver.
const COMMANDS_MAX: usize = 1_024;

/// Bytes of messages waiting to be published: the longest message eight times.
const PUBLISH_BYTES_MAX: usize = 32 << 20;

/// Peers asked one after another for one request.
const REQUEST_PEERS_MAX: usize = 8;

/// Names this module's metrics for whoever reads them.
pub(crate) fn describe_metrics() {
    ::metrics::describe_counter!(
        "sequencer_gossip_messages_total",
        "messages judged, by topic and verdict"
    );
    ::metrics::describe_counter!(
        "sequencer_gossip_dropped_total",
        "messages not judged or not sent, by topic and reason"
    );
    ::metrics::describe_counter!(
        "sequencer_gossip_answers_total",
        "requests of peers answered, with bytes or with nothing"
    );
    ::metrics::describe_counter!(
        "sequencer_gossip_bans_total",
        "peers banned for what they sent"
    );
    ::metrics::describe_counter!(
        "sequencer_gossip_refused_connections_total",
        "connections the gate refused"
    );
    ::metrics::describe_gauge!("sequencer_gossip_peers", "connected peers");
    ::metrics::describe_gauge!(
        "sequencer_gossip_queue_messages",
        "messages waiting for a verdict"
    );
    ::metrics::describe_gauge!(
        "sequencer_gossip_queue_bytes",
        "bytes waiting for a verdict or being judged"
    );
    ::metrics::describe_gauge!(
        "sequencer_gossip_held_bytes",
        "bytes of long messages held to be served"
    );
}

/// What the node thinks of messages and has to give; shared by all peers, so it must be quick and bounded itself.
#[async_trait]
pub trait GossipHandler: Send + Sync + 'static {
    /// Judges a message before it is forwarded. Called once per message, at many at once; an answer that takes
    /// longer than a few seconds counts as [`Acceptance::Ignore`].
    async fn judge(&self, topic: Topic, from: PeerId, bytes: Bytes) -> Acceptance;

    /// Answers a request of a peer that has said Hello, or `None` if there is nothing to give.
    async fn serve(&self, from: PeerId, request: Bytes) -> Option<Bytes>;

    /// The address of the validator whose key signed `peer` in `proof`, if that validator is in the set.
    fn is_validator_proof(&self, peer: PeerId, proof: &[u8]) -> Option<[u8; 20]>;
}

/// What the network needs to start.
#[derive(Clone)]
pub struct GossipConfig {
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// Peers to stay connected to.
    pub peers: Vec<SocketAddr>,
    /// The node's key on the network.
    pub identity: Keypair,
    /// Hash of the chain; peers of another are turned away.
    pub chain: [u8; 32],
    /// Signature of a validator's key over this node's peer id, at most 1 KiB.
    pub validator_proof: Option<Vec<u8>>,
    /// Limits that a deployment may change.
    pub limits: GossipLimits,
}

/// Limits that a deployment may change.
#[derive(Clone, Debug)]
pub struct GossipLimits {
    /// Peers connected at once, configured ones not counted.
    pub peers_max: usize,
    /// Of them, places only validators take.
    pub validator_places: usize,
    /// Peers below which others' addresses are asked for and dialled.
    pub peers_target: usize,
    /// Connections from one address (one /64 of IPv6).
    pub per_address_max: usize,
    /// Whether loopback addresses are free of the limits per address: for a network on one machine.
    pub exempt_loopback: bool,
    /// Time a new peer has for its Hello.
    pub hello_time_max: Duration,
    /// First and longest pause between attempts at a configured peer.
    pub redial_pause_min: Duration,
    /// See above.
    pub redial_pause_max: Duration,
    /// Pause between asking for addresses.
    pub discovery_pause: Duration,
}

impl Default for GossipLimits {
    fn default() -> Self {
        Self {
            // A full set of 100 validators fits beside 28 others.
            peers_max: 128,
            validator_places: 100,
            // Twice the mesh's degree of six, with room for failures.
            peers_target: 16,
            per_address_max: 8,
            exempt_loopback: true,
            hello_time_max: Duration::from_secs(5),
            redial_pause_min: Duration::from_millis(250),
            redial_pause_max: Duration::from_secs(30),
            discovery_pause: Duration::from_secs(10),
        }
    }
}

/// Why the network does not start, or ended.
#[derive(Debug, Error)]
pub enum GossipError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; choose another address or free this one")]
    UnavailableAddress {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The validator's proof does not fit a Hello.
    #[error("validator proof has {len_bytes} bytes, at most {max} fit a Hello")]
    InvalidProof {
        /// Its length.
        len_bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The library refused one of our settings.
    #[error("the network library refuses a setting: {what}")]
    InternalSetting {
        /// What it said.
        what: String,
    },
    /// The listener closed while the node ran.
    #[error("the listener closed: {reason}")]
    InternalListener {
        /// Why.
        reason: String,
    },
    /// The caller's handler panicked.
    #[error("a handler of gossip failed: {reason}")]
    InternalHandler {
        /// The panic.
        reason: String,
    },
}

/// Why a message is not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The message is longer than its topic allows.
    #[error("message of {len_bytes} bytes is longer than {max}, the limit of its topic")]
    InvalidLength {
        /// Its length.
        len_bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Too much waits already: try again later.
    #[error("too many messages wait to be published")]
    UnavailableQueue,
    /// The network has ended.
    #[error("the network has ended")]
    UnavailableNetwork,
}

/// What is known of a connected peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerStatus {
    /// Its identity.
    pub peer: PeerId,
    /// Where the connection comes from or goes to.
    pub address: SocketAddr,
    /// Whether this node dialled.
    pub outbound: bool,
    /// The validator it proved to be.
    pub validator: Option<[u8; 20]>,
    /// Whether both sides have said Hello.
    pub ready: bool,
    /// The mesh's opinion of it.
    pub score: f64,
}

/// A handle to the running network; clones are the same network.
#[derive(Clone)]
pub struct Gossip {
    commands: mpsc::Sender<Command>,
    publish_budget: Arc<Semaphore>,
    peers: watch::Receiver<Arc<[PeerStatus]>>,
    local: PeerId,
    address: SocketAddr,
}

impl Gossip {
    /// Listens, dials the configured peers and runs until `cancel`, or until a failure of its own, which the
    /// joined task returns.
    ///
    /// # Errors
    /// `UnavailableAddress`, `InvalidProof`, `InternalSetting`.
    pub async fn start(
        config: GossipConfig,
        handler: Arc<dyn GossipHandler>,
        cancel: CancellationToken,
    ) -> Result<(Self, JoinHandle<Result<(), GossipError>>), GossipError> {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (status, peers) = watch::channel(Arc::from([]));
        let local = config.identity.public().to_peer_id();
        let (driver, address) = Driver::listen(config, handler, receiver, status, cancel).await?;
        let gossip = Self {
            commands,
            publish_budget: Arc::new(Semaphore::new(PUBLISH_BYTES_MAX)),
            peers,
            local,
            address,
        };
        Ok((gossip, tokio::spawn(driver.run())))
    }

    /// Gives a message to the peers. The caller has judged it; its own handler does not see it.
    ///
    /// # Errors
    /// `InvalidLength`, `UnavailableQueue`, `UnavailableNetwork`; never waits.
    pub fn publish(&self, topic: Topic, bytes: Bytes) -> Result<(), PublishError> {
        let (len_bytes, max) = (bytes.len(), topic.bytes_max());
        if len_bytes > max {
            return Err(PublishError::InvalidLength { len_bytes, max });
        }
        let permits = u32::try_from(len_bytes).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.publish_budget)
            .try_acquire_many_owned(permits)
            .map_err(|_| PublishError::UnavailableQueue)?;
        let command = Command::Publish {
            topic,
            bytes,
            permit,
        };
        self.commands
            .try_send(command)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => PublishError::UnavailableQueue,
                mpsc::error::TrySendError::Closed(_) => PublishError::UnavailableNetwork,
            })
    }

    /// Asks peers one after another, validators first, until one has an answer. Each gets its share of the time
    /// left. `None` if nobody had one in time.
    pub async fn request(&self, request: Bytes, timeout: Duration) -> Option<Bytes> {
        let deadline = Instant::now() + timeout;
        let mut peers: Vec<(bool, PeerId)> = self
            .peers()
            .into_iter()
            .filter(|status| status.ready)
            .map(|status| (status.validator.is_none(), status.peer))
            .collect();
        peers.shuffle(&mut rand::thread_rng());
        peers.sort_by_key(|(stranger, _)| *stranger);
        peers.truncate(REQUEST_PEERS_MAX);
        let mut left = u32::try_from(peers.len()).unwrap_or(u32::MAX);
        for (_, peer) in peers {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let share = remaining.checked_div(left).unwrap_or(remaining);
            left = left.saturating_sub(1);
            if let Some(answer) = self.request_from(peer, request.clone(), share).await {
                return Some(answer);
            }
        }
        None
    }

    /// Asks one peer. `None` if it has nothing, is not connected, or does not answer in time.
    pub async fn request_from(
        &self,
        peer: PeerId,
        request: Bytes,
        timeout: Duration,
    ) -> Option<Bytes> {
        if request.len() > REQUEST_BYTES_MAX - FRAME_BYTES {
            tracing::warn!(
                len_bytes = request.len(),
                max = REQUEST_BYTES_MAX - FRAME_BYTES,
                "request is too long to be sent: split it"
            );
            return None;
        }
        let (reply, answer) = oneshot::channel();
        let command = Command::Call {
            peer,
            request,
            reply,
        };
        let asked = async {
            self.commands.send(command).await.ok()?;
            answer.await.ok().flatten()
        };
        tokio::time::timeout(timeout, asked).await.ok().flatten()
    }

    /// Connected peers, as of the last fraction of a second.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.borrow().to_vec()
    }

    /// This node's identity.
    pub fn local_peer_id(&self) -> PeerId {
        self.local
    }

    /// Where this node listens.
    pub fn listen_address(&self) -> SocketAddr {
        self.address
    }
}
