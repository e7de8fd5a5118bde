//! The one gossip neighbour of nodes that are cut off from all others: it carries the nodes' questions to them and their
//! answers back, and nothing of what is gossiped. It knows of a question only which it is. For a node that sells its blocks
//! it also carries bids, and says in its name where it wants them paid.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use libp2p::{PeerId, identity::Keypair};
use protocol::{codec::to_bytes, genesis::Genesis, number::LeafIndex, validator::ValidatorKey};
use sequencer::{
    guard::SigningGuard,
    network::{Acceptance, Gossip, GossipConfig, GossipHandler, GossipLimits, Topic},
};
use tokio_util::sync::CancellationToken;

/// Less than any question waits for its answer.
const ANSWER_MAX: Duration = Duration::from_millis(450);

/// Questions by their first byte.
type Asked = Arc<Mutex<BTreeMap<u8, usize>>>;

/// Carries nothing.
pub(crate) struct Deaf;

#[async_trait]
impl GossipHandler for Deaf {
    async fn judge(&self, _: Topic, _: PeerId, _: Bytes) -> Acceptance {
        Acceptance::Ignore
    }

    async fn serve(&self, _: PeerId, _: Bytes) -> Option<Bytes> {
        None
    }

    fn is_validator_proof(&self, _: PeerId, _: &[u8]) -> Option<[u8; 20]> {
        None
    }
}

/// First byte of the question where bids are to be paid.
const BID_LEAF: u8 = 3;

/// Carries bids to a seller, and answers for it.
struct Broker {
    near: OnceLock<Gossip>,
    leaf: LeafIndex,
}

#[async_trait]
impl GossipHandler for Broker {
    async fn judge(&self, topic: Topic, _: PeerId, bytes: Bytes) -> Acceptance {
        if let (Topic::Bids, Some(near)) = (topic, self.near.get()) {
            let _ = near.publish(topic, bytes); // the seller may be away
        }
        Acceptance::Ignore
    }

    async fn serve(&self, _: PeerId, question: Bytes) -> Option<Bytes> {
        let is_this = question.first() == Some(&BID_LEAF);
        is_this.then(|| to_bytes(&self.leaf).into())
    }

    fn is_validator_proof(&self, _: PeerId, _: &[u8]) -> Option<[u8; 20]> {
        None
    }
}

/// Asks the others.
struct Carrier {
    far: Gossip,
    asked: Asked,
}

#[async_trait]
impl GossipHandler for Carrier {
    async fn judge(&self, _: Topic, _: PeerId, _: Bytes) -> Acceptance {
        Acceptance::Ignore
    }

    async fn serve(&self, _: PeerId, question: Bytes) -> Option<Bytes> {
        let which = *question.first()?;
        *self.asked.lock().unwrap().entry(which).or_default() += 1;
        self.far.request(question, ANSWER_MAX).await
    }

    fn is_validator_proof(&self, _: PeerId, _: &[u8]) -> Option<[u8; 20]> {
        None
    }
}

fn config(genesis: &Genesis, peers: &[SocketAddr]) -> GossipConfig {
    GossipConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        peers: peers.to_vec(),
        identity: Keypair::generate_ed25519(),
        chain: genesis.hash().0,
        validator_proof: None,
        limits: GossipLimits::default(),
    }
}

/// The running bridge.
pub(crate) struct Bridge {
    /// Where the nodes reach it.
    pub(crate) near: SocketAddr,
    gossip: Gossip,
    asked: Asked,
    cancelled: CancellationToken,
}

impl Bridge {
    pub(crate) async fn start(genesis: &Genesis, others: &[SocketAddr]) -> Self {
        Self::start_as(config(genesis, others), Arc::new(Deaf)).await
    }

    /// For a validator that sells its blocks for payments to this leaf.
    pub(crate) async fn start_for_seller(
        genesis: &Genesis,
        others: &[SocketAddr],
        (seller, leaf): (ValidatorKey, LeafIndex),
    ) -> Self {
        let mut far = config(genesis, others);
        let dir = tempfile::TempDir::new().unwrap();
        let guard = SigningGuard::open(&dir.path().join("guard"), seller, genesis.domain());
        let peer = far.identity.public().to_peer_id().to_bytes();
        let proof = guard.unwrap().sign_validator_proof(&peer);
        far.validator_proof = Some(proof.0.to_vec());
        let broker = Arc::new(Broker {
            near: OnceLock::new(),
            leaf,
        });
        let bridge = Self::start_as(far, Arc::clone(&broker) as Arc<dyn GossipHandler>).await;
        assert!(broker.near.set(bridge.gossip.clone()).is_ok());
        bridge
    }

    async fn start_as(far: GossipConfig, handler: Arc<dyn GossipHandler>) -> Self {
        let cancelled = CancellationToken::new();
        let near = GossipConfig {
            peers: Vec::new(),
            identity: Keypair::generate_ed25519(),
            validator_proof: None,
            ..far.clone()
        };
        // Two swarms, so that neither side learns addresses of the other.
        let far = Gossip::start(far, handler, cancelled.clone());
        let (far, _) = far.await.unwrap();
        let asked = Asked::default();
        let carrier = Arc::new(Carrier {
            far,
            asked: Arc::clone(&asked),
        });
        let near = Gossip::start(near, carrier, cancelled.clone());
        let (gossip, _) = near.await.unwrap();
        Self {
            near: gossip.listen_address(),
            gossip,
            asked,
            cancelled,
        }
    }

    /// How often a question, named by its first byte, was asked.
    pub(crate) fn asked(&self, question: u8) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.get(&question).copied().unwrap_or(0)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.cancelled.cancel();
    }
}
