//! A builder of its own make, from the messages in `docs/builder.md` alone: it has no node, only a connection. It outbids
//! honest builders with their own cores, and keeps what it has sold.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use borsh::BorshDeserialize;
use bytes::Bytes;
use libp2p::{PeerId, identity::Keypair};
use protocol::{
    block::{BlockHeader, Payload},
    codec::{from_bytes, to_bytes},
    genesis::Genesis,
    number::{Amount, LeafIndex},
    signature::SecretKey,
    transaction::{Bid, Domain, SignedBid, Submission},
    validator::ValidatorKey,
    vote::{Proposal, SignedProposal},
};
use sequencer::network::{Acceptance, Gossip, GossipConfig, GossipHandler, GossipLimits, Topic};
use tokio_util::sync::CancellationToken;

use crate::setup::key;

/// Nodes that it meets may start at any time.
const REDIAL_PAUSE: Duration = Duration::from_millis(250);

/// What it does with what it sells next; then it is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sells nothing.
    Idle = 0,
    /// Never reveals.
    Withhold = 1,
    /// Reveals a payload that is the one it bid for, and invalid.
    Invalid = 2,
}

struct Brain {
    domain: Domain,
    key: ValidatorKey,
    collateral: (LeafIndex, SecretKey),
    mode: AtomicU8,
    gossip: OnceLock<Gossip>,
    taken: Arc<AtomicU64>,
    bids: Arc<AtomicU64>,
    sold: Mutex<Vec<Proposal>>,
}

/// The running thief.
pub(crate) struct Thief {
    brain: Arc<Brain>,
    cancelled: CancellationToken,
    /// Height at which a proposer took its bid first.
    pub(crate) taken: Arc<AtomicU64>,
    /// Bids it has made.
    pub(crate) bids: Arc<AtomicU64>,
}

impl Thief {
    pub(crate) async fn start(peers: &[SocketAddr], genesis: &Genesis, leaf: u32) -> Self {
        let (taken, bids) = (Arc::default(), Arc::default());
        let brain = Arc::new(Brain {
            domain: genesis.domain(),
            key: ValidatorKey::from_bytes(&[0xee; 32]).unwrap(),
            collateral: (LeafIndex(leaf), key(u8::try_from(leaf).unwrap())),
            mode: AtomicU8::new(0),
            gossip: OnceLock::new(),
            taken: Arc::clone(&taken),
            bids: Arc::clone(&bids),
            sold: Mutex::default(),
        });
        let config = GossipConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            peers: peers.to_vec(),
            identity: Keypair::generate_ed25519(),
            chain: genesis.hash().0,
            validator_proof: None,
            limits: GossipLimits {
                redial_pause_max: REDIAL_PAUSE,
                ..GossipLimits::default()
            },
        };
        let cancelled = CancellationToken::new();
        let handler = Arc::clone(&brain) as Arc<dyn GossipHandler>;
        let (gossip, _) = Gossip::start(config, handler, cancelled.clone())
            .await
            .unwrap();
        assert!(brain.gossip.set(gossip).is_ok());
        Self {
            brain,
            cancelled,
            taken,
            bids,
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.brain.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// Proposals that took its bids, as the proposers opened them.
    pub(crate) fn sold(&self) -> Vec<Proposal> {
        self.brain.sold.lock().unwrap().clone()
    }

    pub(crate) fn stop(&self) {
        self.cancelled.cancel();
    }
}

impl Brain {
    fn is(&self, mode: Mode) -> bool {
        self.mode.load(Ordering::Relaxed) == mode as u8
    }

    fn publish(&self, topic: Topic, bytes: Vec<u8>) {
        if let Some(gossip) = self.gossip.get() {
            let _ = gossip.publish(topic, bytes.into());
        }
    }

    /// The same operation twice: the nonce is used the second time. Nothing of it is in the block it was taken from.
    fn invalid_payload(&self) -> Payload {
        let mut transaction = crate::setup::transfer(2, 1, 7_777, 1);
        transaction.fee = Amount::ZERO;
        let signature = key(2).sign(&transaction.message(&self.domain, false));
        let signed = protocol::transaction::SignedTransaction {
            transaction,
            key: key(2).public(),
            signature,
        };
        Payload {
            entries: vec![protocol::block::Entry::Submission {
                submission: Submission::Single(signed),
                fee_leaves: vec![0],
            }],
            ..Payload::default()
        }
    }

    /// Outbids this bid with a core that only the payload root tells from it.
    fn outbid(&self, mut header: BlockHeader) {
        let theirs = header.bid.unwrap().bid;
        let core = &mut header.core;
        core.payload_root = if self.is(Mode::Invalid) {
            self.invalid_payload().root()
        } else {
            [7; 32]
        };
        let value = Amount::new(theirs.value.get() + 1_000).unwrap();
        let mut bid = Bid {
            leaf: self.collateral.0,
            height: core.height,
            value,
            core_hash: core.bid_hash(),
            key: self.collateral.1.public(),
            signature: theirs.signature,
        };
        bid.signature = self.collateral.1.sign(&bid.message(&self.domain));
        header.bid = Some(SignedBid::new(bid, &self.domain, &self.key));
        self.bids.fetch_add(1, Ordering::Relaxed);
        self.publish(Topic::Bids, to_bytes(&header));
    }

    /// Version 1, kind 5, then an Init (0) or a payload (1).
    fn see_reveal(&self, bytes: &[u8]) {
        let Some(body) = bytes.strip_prefix(&[1, 5, 0]) else {
            return;
        };
        let mut body = body;
        let signed = SignedProposal::deserialize(&mut body).unwrap();
        let header = BlockHeader::deserialize(&mut body).unwrap();
        if header
            .bid
            .is_some_and(|signed| signed.builder == self.key.address())
        {
            self.sold.lock().unwrap().push(signed.proposal);
            let height = header.core.height.0;
            let _ = self
                .taken
                .compare_exchange(0, height, Ordering::Relaxed, Ordering::Relaxed);
            let mode = self.mode.swap(Mode::Idle as u8, Ordering::Relaxed);
            if mode == Mode::Invalid as u8 {
                let mut bytes = vec![1, 5, 1];
                bytes.extend_from_slice(&to_bytes(&self.invalid_payload()));
                self.publish(Topic::Reveals, bytes);
            }
        }
    }
}

#[async_trait]
impl GossipHandler for Brain {
    async fn judge(&self, topic: Topic, _: PeerId, bytes: Bytes) -> Acceptance {
        match topic {
            Topic::Bids => {
                let header = from_bytes::<BlockHeader>(&bytes).unwrap();
                let is_own = header
                    .bid
                    .is_some_and(|bid| bid.builder == self.key.address());
                if !is_own && !self.is(Mode::Idle) {
                    self.outbid(header);
                }
            }
            Topic::Reveals => self.see_reveal(&bytes),
            _ => {}
        }
        Acceptance::Accept
    }

    async fn serve(&self, _: PeerId, _: Bytes) -> Option<Bytes> {
        None
    }

    fn is_validator_proof(&self, _: PeerId, _: &[u8]) -> Option<[u8; 20]> {
        None
    }
}
