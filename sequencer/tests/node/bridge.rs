//! The one gossip neighbour of nodes that are cut off from all others: it carries the nodes' questions to them and their
//! answers back, and nothing of what is gossiped. It knows of a question only which it is.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use libp2p::{PeerId, identity::Keypair};
use protocol::genesis::Genesis;
use sequencer::network::{Acceptance, Gossip, GossipConfig, GossipHandler, GossipLimits, Topic};
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

/// The running bridge.
pub(crate) struct Bridge {
    /// Where the nodes reach it.
    pub(crate) near: SocketAddr,
    asked: Asked,
    cancelled: CancellationToken,
}

impl Bridge {
    pub(crate) async fn start(genesis: &Genesis, others: &[SocketAddr]) -> Self {
        let cancelled = CancellationToken::new();
        let config = |peers: &[SocketAddr]| GossipConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            peers: peers.to_vec(),
            identity: Keypair::generate_ed25519(),
            chain: genesis.hash().0,
            validator_proof: None,
            limits: GossipLimits::default(),
        };
        // Two swarms, so that neither side learns addresses of the other.
        let far = Gossip::start(config(others), Arc::new(Deaf), cancelled.clone());
        let (far, _) = far.await.unwrap();
        let asked = Asked::default();
        let carrier = Arc::new(Carrier {
            far,
            asked: Arc::clone(&asked),
        });
        let near = Gossip::start(config(&[]), carrier, cancelled.clone());
        let near = near.await.unwrap().0.listen_address();
        Self {
            near,
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
