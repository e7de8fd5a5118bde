//! Peers that break the rules, made of the same swarm with its limits taken off.

use libp2p::Swarm;
use libp2p::futures::StreamExt;
use libp2p::gossipsub::{
    ConfigBuilder, IdentTopic, MaxCountSubscriptionFilter, Message as MeshMessage,
    MessageAuthenticity, MessageId, ValidationMode, WhitelistSubscriptionFilter,
};
use libp2p::request_response::{Event, Message};
use libp2p::swarm::SwarmEvent;

use super::*;
use crate::network::frame::{
    Announcement, GossipFrame, Hello, PROTOCOL_VERSION, Request, Response, content_hash,
    to_multiaddr,
};
use crate::network::scoring::Mesh;
use crate::network::swarm::{Protocols, ProtocolsEvent, build_swarm};

/// A swarm whose owner does as he likes.
struct Hostile {
    swarm: Swarm<Protocols>,
    hello: Hello,
    /// Answers to every fetch.
    bytes: Option<Vec<u8>>,
    fetches: usize,
    says_hello: bool,
}

impl Hostile {
    fn new() -> Self {
        let identity = Keypair::generate_ed25519();
        let limits = GossipLimits::default();
        let mut swarm = build_swarm(identity, &CHAIN, 100, &limits).expect("swarm");
        swarm.behaviour_mut().mesh = boundless_mesh();
        Self {
            swarm,
            hello: Hello {
                chain: CHAIN,
                version: PROTOCOL_VERSION,
                port: 0,
                validator_proof: None,
            },
            bytes: None,
            fetches: 0,
            says_hello: true,
        }
    }

    fn id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    fn dial(&mut self, node: &Node) {
        self.swarm.dial(to_multiaddr(node.address())).expect("dial");
    }

    /// Takes one event; true if a connection closed.
    async fn step(&mut self) -> bool {
        match self.swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } if self.says_hello => {
                let hello = Request::Hello(self.hello.clone());
                let requests = &mut self.swarm.behaviour_mut().requests;
                requests.send_request(&peer_id, hello);
            }
            SwarmEvent::Behaviour(ProtocolsEvent::Requests(Event::Message {
                message:
                    Message::Request {
                        request, channel, ..
                    },
                ..
            })) if self.says_hello => {
                let response = match request {
                    Request::Hello(_) => Response::Welcome,
                    Request::Fetch(_) => {
                        self.fetches += 1;
                        Response::Bytes(self.bytes.clone())
                    }
                    Request::Peers | Request::Call(_) => Response::Refused,
                };
                let requests = &mut self.swarm.behaviour_mut().requests;
                let _ = requests.send_response(channel, response);
            }
            SwarmEvent::ConnectionClosed { .. } => return true,
            _ => {}
        }
        false
    }

    /// Acts until `is_so`, doing `act` now and then.
    async fn until(
        &mut self,
        what: &str,
        mut act: impl FnMut(&mut Self),
        mut is_so: impl FnMut(&Self) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            act(self);
            let step = tokio::time::timeout(Duration::from_millis(20), self.step());
            // Silence is a step too.
            let _ = step.await;
        }
    }

    async fn until_closed(&mut self) {
        let closed = async { while !self.step().await {} };
        tokio::time::timeout(PATIENCE, closed)
            .await
            .expect("the connection closes");
    }

    fn send(&mut self, topic: Topic, frame: Vec<u8>) {
        let topic = IdentTopic::new(topic.full_name(&CHAIN));
        // An error says that the victim has not subscribed yet, or is gone.
        let _ = self.swarm.behaviour_mut().mesh.publish(topic, frame);
    }
}

fn boundless_mesh() -> Mesh {
    let topics: Vec<IdentTopic> = Topic::ALL
        .iter()
        .map(|topic| IdentTopic::new(topic.full_name(&CHAIN)))
        .collect();
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message: &MeshMessage| MessageId::new(&message.data))
        .max_transmit_size(8 << 20)
        .build()
        .expect("config");
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(topics.iter().map(IdentTopic::hash).collect()),
        max_subscribed_topics: 100,
        max_subscriptions_per_request: 100,
    };
    let authenticity = MessageAuthenticity::Anonymous;
    let mut mesh = Mesh::new_with_subscription_filter(authenticity, config, filter).expect("mesh");
    for topic in &topics {
        mesh.subscribe(topic).expect("subscribe");
    }
    mesh
}

/// A node with an honest neighbour that hears it, patient with those who say no Hello.
async fn victim() -> (Node, Node) {
    let mut config = Node::config(&[]);
    config.limits.hello_time_max = Duration::from_secs(60);
    let victim = Node::start_with(config, Recorder::default()).await;
    let honest = Node::start(&[&victim]).await;
    warm(&honest, &[&victim]).await;
    (victim, honest)
}

async fn check_honest_is_heard(victim: &Node, honest: &Node) {
    honest.publish(Topic::Submissions, "still here");
    eventually("the honest neighbour is heard", || {
        victim.handler.count(b"still here") == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_longer_than_allowed_are_not_judged_and_cost_the_connection() {
    let (victim, honest) = victim().await;
    let mut hostile = Hostile::new();
    hostile.dial(&victim);
    let id = hostile.id();
    hostile
        .until("connected", |_| {}, |_| victim.status(id).is_some())
        .await;
    let mut fill = 0_u8;
    let long = |hostile: &mut Hostile| {
        fill = fill.wrapping_add(1);
        let bytes = Bytes::from([b"long".as_slice(), &vec![fill; 8_000]].concat());
        hostile.send(Topic::Submissions, GossipFrame::Inline(bytes).encode());
    };
    hostile
        .until("banned", long, |_| victim.status(id).is_none())
        .await;
    // A frame beyond the mesh's own limit ends the stream that carries it.
    let mut hostile = Hostile::new();
    hostile.dial(&victim);
    let mut sent = 0;
    let huge = |hostile: &mut Hostile| {
        sent += 1;
        let bytes = Bytes::from([b"long".as_slice(), &vec![sent; 2 << 20]].concat());
        hostile.send(Topic::Submissions, GossipFrame::Inline(bytes).encode());
        if sent == 3 {
            hostile.send(Topic::Submissions, b"\x09junk".to_vec());
        }
    };
    let mut steps = 0;
    hostile
        .until("sent", huge, |_| {
            steps += 1;
            steps > 5
        })
        .await;
    check_honest_is_heard(&victim, &honest).await;
    assert_eq!(victim.handler.count_prefix(b"long"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_none_cost_the_connection() {
    let (victim, honest) = victim().await;
    let mut hostile = Hostile::new();
    hostile.dial(&victim);
    let id = hostile.id();
    hostile
        .until("connected", |_| {}, |_| victim.status(id).is_some())
        .await;
    let mut round = 0_u32;
    let junk = |hostile: &mut Hostile| {
        round += 1;
        let frame = match round % 3 {
            0 => format!("\x07 {round}").into_bytes(),
            // Another announcer's name.
            1 => announcement(round, 5_000, PeerId::random()),
            // Longer than bids may be.
            _ => announcement(round, 1 << 20, hostile.id()),
        };
        hostile.send(Topic::Bids, frame);
    };
    hostile
        .until("banned", junk, |_| victim.status(id).is_none())
        .await;
    check_honest_is_heard(&victim, &honest).await;
}

fn announcement(salt: u32, len_bytes: u32, announcer: PeerId) -> Vec<u8> {
    let hash = content_hash(Topic::Soft, &salt.to_be_bytes());
    GossipFrame::Announcement(Announcement {
        hash,
        len_bytes,
        announcer,
    })
    .encode()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announcer_without_the_message_loses_its_place_and_another_delivers_once() {
    let (victim, honest) = victim().await;
    let message = Bytes::from(vec![3; 50_000]);
    let hash = content_hash(Topic::Reveals, &message);
    let mut hostile = Hostile::new();
    hostile.dial(&victim);
    let id = hostile.id();
    hostile
        .until("ready", |_| {}, |_| victim.is_ready(id))
        .await;
    let frame = GossipFrame::Announcement(Announcement {
        hash,
        len_bytes: 50_000,
        announcer: id,
    });
    let announce = |hostile: &mut Hostile| hostile.send(Topic::Reveals, frame.encode());
    hostile
        .until("asked", announce, |hostile| hostile.fetches > 0)
        .await;
    let is_lowered = |_: &Hostile| victim.status(id).is_none_or(|status| status.score < 0.0);
    hostile.until("scored down", |_| {}, is_lowered).await;
    honest.publish(Topic::Reveals, message.clone());
    eventually("the other delivers", || victim.handler.count(&message) == 1).await;
    // Wrong bytes are worse than none.
    hostile.bytes = Some(vec![4; 50_000]);
    let mut salt = 0_u32;
    let lie = |hostile: &mut Hostile| {
        salt += 1;
        let frame = announcement(salt, 50_000, hostile.id());
        hostile.send(Topic::Reveals, frame);
    };
    hostile
        .until("banned", lie, |_| victim.status(id).is_none())
        .await;
    assert_eq!(victim.handler.count(&message), 1);
    assert_eq!(victim.handler.count(&[4; 50_000]), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_of_another_chain_is_turned_away() {
    let victim = Node::start(&[]).await;
    let mut hostile = Hostile::new();
    hostile.hello.chain = [8; 32];
    hostile.dial(&victim);
    hostile.until_closed().await;
    let mut hostile = Hostile::new();
    hostile.hello.version = PROTOCOL_VERSION + 1;
    hostile.dial(&victim);
    hostile.until_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_says_nothing_is_turned_away() {
    let mut config = Node::config(&[]);
    config.limits.hello_time_max = Duration::from_millis(300);
    let victim = Node::start_with(config, Recorder::default()).await;
    let mut hostile = Hostile::new();
    hostile.says_hello = false;
    hostile.dial(&victim);
    hostile.until_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_requests_is_answered_with_refusals_and_then_not_at_all() {
    let victim = Node::start(&[]).await;
    let mut hostile = Hostile::new();
    hostile.dial(&victim);
    let id = hostile.id();
    hostile
        .until("ready", |_| {}, |_| victim.is_ready(id))
        .await;
    let peer = victim.id();
    let flood = |hostile: &mut Hostile| {
        for _ in 0..20 {
            let request = Request::Call(vec![0; 1_000]);
            let requests = &mut hostile.swarm.behaviour_mut().requests;
            requests.send_request(&peer, request);
        }
    };
    hostile
        .until("banned", flood, |_| victim.status(id).is_none())
        .await;
    assert!(*victim.handler.served.lock().expect("lock") < 2_000);
}
