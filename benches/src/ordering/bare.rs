//! The engine alone: the same context, keys, extensions, log and disk, and an application that answers at once.
//!
//! A block is its height's number; nothing is built, judged, executed or stored, and nothing is guarded.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Instant};

use arc_malachitebft_app::{
    config::{
        ConsensusConfig, DiscoveryConfig, GossipSubConfig, P2pConfig, PubSubProtocol, ValuePayload,
        ValueSyncConfig,
    },
    engine::{
        consensus::ConsensusRef,
        host::{HostMsg, LocallyProposedValue, Next, ProposedValue},
        network::{NetworkIdentity, NetworkMsg, NetworkRef},
        util::{
            events::TxEvent,
            output_port::OutputPort,
            streaming::{StreamContent, StreamId, StreamMessage},
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
use arc_malachitebft_core_types::{
    HeightParams, LinearTimeouts, Round, SignedMessage, ValidatorProof, Validity,
    VoteExtensionPolicy, VoteExtensionScope,
};
use arc_malachitebft_signing::{Error, Signer};
use async_trait::async_trait;
use bytesize::ByteSize;
use protocol::{
    Fr, block::BlockId, number::Height, transaction::Domain, validator::ValidatorKey,
    vote::Extension,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use sequencer::agreement::{
    Agreement, BlockValue, EngineHeight, EngineProposal, EngineVote, Part, RecoveringVerifier,
    SeatAddress, Seats, VoteExtension, WireCodec,
};
use tokio::sync::{OnceCell, mpsc};

use super::set::{directory, free_ports, others, validator, validators};

/// Heights that may wait to be counted.
const COUNTED_MAX: usize = 1_024;

/// Signs at once, and remembers nothing.
struct PlainSigner {
    key: ValidatorKey,
    agreement: Agreement,
}

#[async_trait]
impl Signer<Agreement> for PlainSigner {
    async fn sign_vote(
        &self,
        vote: EngineVote,
    ) -> Result<SignedMessage<Agreement, EngineVote>, Error> {
        let digest = self.agreement.vote_digest(&vote).expect("a defined round");
        Ok(SignedMessage::new(vote, self.key.sign(&digest)))
    }

    async fn sign_proposal(
        &self,
        proposal: EngineProposal,
    ) -> Result<SignedMessage<Agreement, EngineProposal>, Error> {
        let digest = self
            .agreement
            .proposal_digest(&proposal)
            .expect("a defined round");
        Ok(SignedMessage::new(proposal, self.key.sign(&digest)))
    }

    async fn sign_vote_extension(
        &self,
        scope: VoteExtensionScope<Agreement>,
        extension: VoteExtension,
    ) -> Result<SignedMessage<Agreement, VoteExtension>, Error> {
        let digest = self.agreement.extension_digest(&scope, &extension);
        let signature = self.key.sign(&digest.expect("a defined round"));
        Ok(SignedMessage::new(extension, signature))
    }

    async fn sign_validator_proof(
        &self,
        public_key: Vec<u8>,
        peer: Vec<u8>,
    ) -> Result<ValidatorProof<Agreement>, Error> {
        let signature = self.key.sign(&[0; 32]);
        Ok(ValidatorProof::new(public_key, peer, signature))
    }
}

/// Answers the engine.
struct Host {
    seats: Seats,
    address: SeatAddress,
    consensus: Arc<OnceCell<(ConsensusRef<Agreement>, NetworkRef<Agreement>)>>,
    decided: mpsc::Sender<Instant>,
}

fn block(height: EngineHeight) -> BlockId {
    let mut id = [1; 32];
    id[..8].copy_from_slice(&height.0.0.to_be_bytes());
    BlockId(id)
}

impl Host {
    fn params(&self) -> HeightParams<Agreement> {
        HeightParams {
            validator_set: self.seats.clone(),
            timeouts: LinearTimeouts::default(),
            target_time: None,
            vote_extension_policy: VoteExtensionPolicy::Required,
        }
    }
}

#[async_trait]
impl Actor for Host {
    type Msg = HostMsg<Agreement>;
    type State = EngineHeight;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        (): (),
    ) -> Result<EngineHeight, ActorProcessingErr> {
        Ok(EngineHeight(Height(1)))
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        question: Self::Msg,
        at: &mut EngineHeight,
    ) -> Result<(), ActorProcessingErr> {
        match question {
            HostMsg::ConsensusReady { reply_to } => reply_to.send((*at, self.params()))?,
            HostMsg::StartedRound { reply_to, .. } => reply_to.send(Vec::new())?,
            HostMsg::GetValue {
                height,
                round,
                reply_to,
                ..
            } => {
                let (_, network) = self.consensus.get().expect("set before the first height");
                let mut name = height.0.0.to_be_bytes().to_vec();
                name.extend_from_slice(&self.address.0.0);
                let part = Part::Payload(Box::default());
                let stream = StreamId::new(name.into());
                let message = StreamMessage::new(stream, 0, StreamContent::Data(part));
                network.cast(NetworkMsg::PublishProposalPart(message))?;
                reply_to.send(LocallyProposedValue {
                    height,
                    round,
                    value: BlockValue(block(height)),
                })?;
            }
            HostMsg::ExtendVote { reply_to, .. } => {
                reply_to.send(Some(VoteExtension(Extension::default())))?;
            }
            HostMsg::VerifyVoteExtensions {
                extensions,
                reply_to,
                ..
            } => {
                let good = extensions.into_iter().map(|(address, _)| (address, Ok(())));
                reply_to.send(good.collect())?;
            }
            HostMsg::GetHistoryMinHeight { reply_to } => reply_to.send(*at)?,
            // a part stands for the block of the height that its stream is named after
            HostMsg::ReceivedProposalPart { part, reply_to, .. } => {
                let name = part.stream_id.to_bytes();
                let height = name
                    .first_chunk::<8>()
                    .map(|bytes| u64::from_be_bytes(*bytes));
                let height = Height(height.expect("streams are named after heights"));
                let proposer = *self
                    .seats
                    .set()
                    .proposer(height, protocol::number::Round(0));
                reply_to.send(ProposedValue {
                    height: EngineHeight(height),
                    round: Round::new(0),
                    valid_round: Round::Nil,
                    proposer: SeatAddress(proposer),
                    value: BlockValue(block(EngineHeight(height))),
                    validity: Validity::Valid,
                })?;
            }
            HostMsg::Decided { reply_to, .. } => {
                let _ = self.decided.try_send(Instant::now()); // enough were counted
                reply_to.send(())?;
            }
            HostMsg::Finalized {
                certificate,
                reply_to,
                ..
            } => {
                *at = EngineHeight(Height(certificate.height.0.0 + 1));
                reply_to.send(Next::Start(*at, self.params()))?;
            }
            HostMsg::GetDecidedValues { reply_to, .. } => reply_to.send(Vec::new())?,
            HostMsg::RestreamValue { .. } | HostMsg::ProcessSyncedValue { .. } => {}
        }
        Ok(())
    }
}

fn multiaddr(address: &SocketAddr) -> Multiaddr {
    format!("/ip4/{}/tcp/{}", address.ip(), address.port())
        .parse()
        .expect("an address")
}

fn config(ports: &[SocketAddr], number: u8) -> ConsensusConfig {
    let p2p = P2pConfig {
        listen_addr: multiaddr(&ports[usize::from(number)]),
        persistent_peers: others(ports, number).iter().map(multiaddr).collect(),
        protocol: PubSubProtocol::GossipSub(GossipSubConfig::new(6, 12, 4, 2, true, false, true)),
        discovery: DiscoveryConfig {
            max_connections_per_ip: 128,
            ..DiscoveryConfig::default()
        },
        rpc_max_size: ByteSize::mib(10),
        ..P2pConfig::default()
    };
    ConsensusConfig {
        p2p,
        value_payload: ValuePayload::ProposalAndParts,
        ..ConsensusConfig::default()
    }
}

/// Starts one engine; what comes out are the moments of its decisions. It runs until the runtime ends.
async fn start(ports: &[SocketAddr], number: u8, dir: &Path) -> mpsc::Receiver<Instant> {
    let agreement = Agreement {
        domain: Domain(Fr::from(1_u64)),
    };
    let key = validator(number);
    let address = SeatAddress(key.address());
    let seats = Seats::from(validators(u8::try_from(ports.len()).expect("few nodes")));
    let config = config(ports, number);
    let sync = ValueSyncConfig::default();
    let registry = SharedRegistry::global().with_moniker(format!("bare-{address}"));
    let metrics = Metrics::register(&registry);
    let (node, _) = spawn_node_actor(metrics.clone())
        .await
        .expect("a node actor");
    let identity = NetworkIdentity::new(
        address.to_string(),
        Keypair::generate_ed25519(),
        Some(address.to_string()),
    );
    let network = spawn_network_actor(&config, &sync, identity, &registry, WireCodec)
        .await
        .expect("a network actor");
    let wal = dir.join(format!("bare-{number}.wal"));
    let wal = spawn_wal_actor(&agreement, WireCodec, &wal, &registry, node.clone())
        .await
        .expect("a log actor");
    let (decided, counted) = mpsc::channel(COUNTED_MAX);
    let cell = Arc::new(OnceCell::new());
    let host = Host {
        seats,
        address,
        consensus: Arc::clone(&cell),
        decided,
    };
    let (host, _) = Actor::spawn(None, host, ()).await.expect("a host actor");
    let port = Arc::new(OutputPort::new());
    let signer = PlainSigner { key, agreement };
    let consensus = spawn_consensus_actor(
        agreement,
        address,
        config,
        Box::new(RecoveringVerifier::new(agreement)),
        Some(Box::new(signer)),
        network.clone(),
        host.clone(),
        wal,
        Arc::clone(&port),
        metrics,
        TxEvent::new(),
        node,
    )
    .await
    .expect("a consensus actor");
    let _ = cell.set((consensus.clone(), network.clone()));
    let sync = spawn_sync_actor(
        agreement, network, host, consensus, WireCodec, &sync, &registry,
    )
    .await
    .expect("a sync actor");
    drop(sync);
    counted
}

/// Milliseconds between decisions of the first of `count` engines.
pub(super) async fn block_ms(count: u8, warm_up: u64, blocks: u64) -> Vec<f64> {
    let (ports, dir) = (free_ports(count), directory());
    let mut decisions = Vec::new();
    for number in 0..count {
        decisions.push(start(&ports, number, dir.path()).await);
    }
    let mut times = Vec::new();
    let mut last = None;
    for place in 0..=warm_up + blocks {
        let now = decisions[0].recv().await.expect("the engine runs");
        let before = last.replace(now);
        if let Some(before) = before.filter(|_| place > warm_up) {
            times.push(now.duration_since(before).as_secs_f64() * 1_000.0);
        }
    }
    times
}
