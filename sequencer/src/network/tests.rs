//! Whole networks on loopback. `hostile` holds peers that break the rules.
//!
//! Handlers of these tests reject what begins with `bad`, ignore what begins with `meh` and accept the rest.

mod hostile;

use std::sync::Mutex;

use super::*;

/// Long enough for a machine busy with other builds; a passing test waits only for what it needs.
const PATIENCE: Duration = Duration::from_secs(20);

const CHAIN: [u8; 32] = [7; 32];

/// What one node saw.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<(Topic, Bytes)>>,
    served: Mutex<usize>,
    answer: Option<Bytes>,
}

impl Recorder {
    fn count(&self, bytes: &[u8]) -> usize {
        let seen = self.seen.lock().expect("lock");
        seen.iter().filter(|(_, got)| got == bytes).count()
    }

    fn count_prefix(&self, prefix: &[u8]) -> usize {
        let seen = self.seen.lock().expect("lock");
        seen.iter()
            .filter(|(_, got)| got.starts_with(prefix))
            .count()
    }
}

#[async_trait]
impl GossipHandler for Recorder {
    async fn judge(&self, topic: Topic, _: PeerId, bytes: Bytes) -> Acceptance {
        self.seen.lock().expect("lock").push((topic, bytes.clone()));
        match bytes.get(..3) {
            Some(b"bad") => Acceptance::Reject,
            Some(b"meh") => Acceptance::Ignore,
            _ => Acceptance::Accept,
        }
    }

    async fn serve(&self, _: PeerId, _: Bytes) -> Option<Bytes> {
        *self.served.lock().expect("lock") += 1;
        self.answer.clone()
    }

    fn is_validator_proof(&self, peer: PeerId, proof: &[u8]) -> Option<[u8; 20]> {
        (proof == peer.to_bytes()).then_some([9; 20])
    }
}

/// A running node.
struct Node {
    gossip: Gossip,
    handler: Arc<Recorder>,
    cancel: CancellationToken,
    task: JoinHandle<Result<(), GossipError>>,
    identity: Keypair,
}

impl Node {
    fn config(peers: &[&Self]) -> GossipConfig {
        GossipConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            peers: peers.iter().map(|node| node.address()).collect(),
            identity: Keypair::generate_ed25519(),
            chain: CHAIN,
            validator_proof: None,
            limits: GossipLimits {
                redial_pause_min: Duration::from_millis(50),
                redial_pause_max: Duration::from_millis(200),
                // Lines must stay lines.
                peers_target: 0,
                ..GossipLimits::default()
            },
        }
    }

    async fn start_with(config: GossipConfig, handler: Recorder) -> Self {
        let (handler, cancel) = (Arc::new(handler), CancellationToken::new());
        let identity = config.identity.clone();
        let (gossip, task) = Gossip::start(config, handler.clone(), cancel.clone())
            .await
            .expect("start");
        Self {
            gossip,
            handler,
            cancel,
            task,
            identity,
        }
    }

    async fn start(peers: &[&Self]) -> Self {
        Self::start_with(Self::config(peers), Recorder::default()).await
    }

    fn id(&self) -> PeerId {
        self.gossip.local_peer_id()
    }

    fn address(&self) -> SocketAddr {
        self.gossip.listen_address()
    }

    fn is_ready(&self, peer: PeerId) -> bool {
        let peers = self.gossip.peers();
        peers
            .iter()
            .any(|status| status.peer == peer && status.ready)
    }

    fn status(&self, peer: PeerId) -> Option<PeerStatus> {
        let peers = self.gossip.peers();
        peers.into_iter().find(|status| status.peer == peer)
    }

    fn publish(&self, topic: Topic, bytes: impl Into<Bytes>) {
        self.gossip.publish(topic, bytes.into()).expect("publish");
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.expect("join").expect("clean end");
    }
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until what `from` publishes arrives at `to`: subscriptions and meshes are there.
async fn warm(from: &Node, to: &[&Node]) {
    let prefix = format!("warm {} ", from.id());
    let mut round = 0_u32;
    eventually("the mesh forms", || {
        from.publish(Topic::Submissions, format!("{prefix}{round}"));
        round += 1;
        to.iter()
            .all(|node| node.handler.count_prefix(prefix.as_bytes()) > 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_of_four_delivers_small_and_large_messages_exactly_once() {
    let a = Node::start(&[]).await;
    let b = Node::start(&[&a]).await;
    let c = Node::start(&[&b]).await;
    let d = Node::start(&[&c]).await;
    warm(&a, &[&b, &c, &d]).await;
    let mut messages: Vec<(Topic, Bytes)> = (0..20)
        .map(|index| (Topic::Submissions, Bytes::from(format!("small {index}"))))
        .collect();
    for (topic, len_bytes) in [
        (Topic::Submissions, topic::INLINE_BYTES_MAX),
        (Topic::Submissions, topic::INLINE_BYTES_MAX + 1),
        (Topic::Proofs, Topic::Proofs.bytes_max()),
        (Topic::Reveals, 1 << 20),
        (Topic::Reveals, Topic::Reveals.bytes_max()),
    ] {
        messages.push((topic, Bytes::from(vec![5; len_bytes])));
    }
    for (topic, bytes) in &messages {
        a.publish(*topic, bytes.clone());
    }
    for node in [&b, &c, &d] {
        eventually("all arrive", || {
            messages
                .iter()
                .all(|(_, bytes)| node.handler.count(bytes) > 0)
        })
        .await;
    }
    // What comes after them has everything that could come twice before it.
    a.publish(Topic::Submissions, "last");
    eventually("the last arrives", || d.handler.count(b"last") == 1).await;
    for node in [&b, &c, &d] {
        for (topic, bytes) in &messages {
            assert_eq!(node.handler.count(bytes), 1, "{topic:?} {}", bytes.len());
        }
    }
    assert_eq!(a.handler.count_prefix(b""), 0, "own messages come back");
    for node in [a, b, c, d] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_longer_than_its_topic_is_not_published() {
    let a = Node::start(&[]).await;
    let len_bytes = Topic::Bids.bytes_max() + 1;
    assert_eq!(
        a.gossip.publish(Topic::Bids, vec![0; len_bytes].into()),
        Err(PublishError::InvalidLength {
            len_bytes,
            max: Topic::Bids.bytes_max()
        })
    );
    let gossip = a.gossip.clone();
    a.stop().await;
    assert_eq!(
        gossip.publish(Topic::Bids, Bytes::new()),
        Err(PublishError::UnavailableNetwork)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_message_is_not_forwarded_and_its_sender_is_banned_while_others_are_heard() {
    let b = Node::start(&[]).await;
    let c = Node::start(&[&b]).await;
    let liar = Node::start(&[&b]).await;
    warm(&liar, &[&b, &c]).await;
    warm(&c, &[&b]).await;
    for index in 0..3 {
        liar.publish(Topic::Submissions, format!("bad {index}"));
    }
    eventually("the liar is gone", || b.status(liar.id()).is_none()).await;
    c.publish(Topic::Bids, "good");
    eventually("honest traffic flows", || b.handler.count(b"good") == 1).await;
    assert_eq!(c.handler.count_prefix(b"bad"), 0);
    assert!(b.handler.count_prefix(b"bad") >= 2, "one is forgiven");
    assert!(!b.is_ready(liar.id()), "it dials again and again in vain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_rejected_message_counts_against_whoever_announced_it() {
    let b = Node::start(&[]).await;
    let c = Node::start(&[&b]).await;
    let liar = Node::start(&[&b]).await;
    warm(&liar, &[&b, &c]).await;
    for fill in 0..3_u8 {
        let mut bytes = b"bad".to_vec();
        bytes.resize(10_000, fill);
        liar.publish(Topic::Reveals, bytes);
    }
    eventually("the liar is gone", || b.status(liar.id()).is_none()).await;
    assert_eq!(c.handler.count_prefix(b"bad"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ignored_message_is_neither_forwarded_nor_punished() {
    let b = Node::start(&[]).await;
    let c = Node::start(&[&b]).await;
    let a = Node::start(&[&b]).await;
    warm(&a, &[&b, &c]).await;
    for index in 0..10 {
        a.publish(Topic::Submissions, format!("meh {index}"));
        let mut long = format!("meh {index}").into_bytes();
        long.resize(5_000, 0);
        a.publish(Topic::Submissions, long);
    }
    eventually("all are judged", || b.handler.count_prefix(b"meh") == 20).await;
    a.publish(Topic::Submissions, "good");
    eventually("its sender is heard", || c.handler.count(b"good") == 1).await;
    assert_eq!(c.handler.count_prefix(b"meh"), 0);
    assert!(b.status(a.id()).expect("connected").score >= 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_rejected_messages_does_not_stop_honest_ones() {
    let b = Node::start(&[]).await;
    let c = Node::start(&[&b]).await;
    let honest = Node::start(&[&b]).await;
    let flooder = Node::start(&[&b]).await;
    warm(&flooder, &[&b, &c]).await;
    warm(&honest, &[&b, &c]).await;
    let gossip = flooder.gossip.clone();
    let flood = tokio::spawn(async move {
        for index in 0..5_000_u32 {
            let bytes = Bytes::from(format!("bad {index}"));
            while gossip.publish(Topic::Submissions, bytes.clone()).is_err() {
                tokio::task::yield_now().await;
            }
        }
    });
    for index in 0..50_u32 {
        honest.publish(Topic::Submissions, format!("good {index}"));
    }
    eventually("honest messages pass", || {
        c.handler.count_prefix(b"good") == 50
    })
    .await;
    flood.await.expect("flood");
    eventually("the flooder is gone", || b.status(flooder.id()).is_none()).await;
    assert_eq!(c.handler.count_prefix(b"bad"), 0);
    assert!(b.is_ready(honest.id()) && b.is_ready(c.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_goes_to_validators_first_and_on_to_the_next_peer() {
    let answer = Bytes::from_static(b"answer");
    let mut config = Node::config(&[]);
    let id = config.identity.public().to_peer_id();
    config.validator_proof = Some(id.to_bytes());
    let validator = Node::start_with(config, Recorder::default()).await;
    let handler = Recorder {
        answer: Some(answer.clone()),
        ..Recorder::default()
    };
    let other = Node::start_with(Node::config(&[]), handler).await;
    let a = Node::start(&[&validator, &other]).await;
    eventually("both are ready", || {
        // Also the way back: they serve only who said Hello.
        a.is_ready(id) && a.is_ready(other.id())
    })
    .await;
    assert_eq!(a.status(id).expect("peer").validator, Some([9; 20]));
    let request = Bytes::from_static(b"request");
    assert_eq!(
        a.gossip.request(request.clone(), PATIENCE).await,
        Some(answer)
    );
    assert_eq!(*validator.handler.served.lock().expect("lock"), 1);
    assert_eq!(*other.handler.served.lock().expect("lock"), 1);
    // Nobody has anything for a node without peers.
    let lonely = Node::start(&[]).await;
    assert_eq!(lonely.gossip.request(request.clone(), PATIENCE).await, None);
    let absent = PeerId::random();
    assert_eq!(a.gossip.request_from(absent, request, PATIENCE).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_peer_that_restarts_is_met_again() {
    let b = Node::start(&[]).await;
    let a = Node::start(&[&b]).await;
    let (id, address, identity) = (b.id(), b.address(), b.identity.clone());
    eventually("they meet", || a.is_ready(id)).await;
    b.stop().await;
    eventually("it is gone", || !a.is_ready(id)).await;
    let mut config = Node::config(&[]);
    config.listen = address;
    config.identity = identity;
    let b = Node::start_with(config, Recorder::default()).await;
    eventually("they meet again", || a.is_ready(id) && b.is_ready(a.id())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_know_a_third_find_each_other() {
    let c = Node::start(&[]).await;
    let curious = || {
        let mut config = Node::config(&[&c]);
        config.limits.peers_target = 4;
        config.limits.discovery_pause = Duration::from_millis(100);
        Node::start_with(config, Recorder::default())
    };
    let (a, b) = (curious().await, curious().await);
    eventually("they meet", || a.is_ready(b.id()) && b.is_ready(a.id())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sybils_of_one_address_get_no_more_than_its_places() {
    let mut config = Node::config(&[]);
    config.limits.exempt_loopback = false;
    config.limits.per_address_max = 3;
    let a = Node::start_with(config, Recorder::default()).await;
    let mut sybils = Vec::new();
    for _ in 0..8 {
        sybils.push(Node::start(&[&a]).await);
    }
    let ready = || sybils.iter().filter(|node| node.is_ready(a.id())).count();
    eventually("the places are taken", || {
        assert!(a.gossip.peers().len() <= 3);
        ready() == 3
    })
    .await;
    // The others have tried in the meantime, and a place freed is taken by one of them.
    let index = sybils.iter().position(|node| node.is_ready(a.id()));
    let inside = sybils.swap_remove(index.expect("one is ready"));
    let left = inside.id();
    inside.stop().await;
    eventually("another takes the place", || {
        let peers = a.gossip.peers();
        assert!(peers.len() <= 3);
        peers.len() == 3 && peers.iter().all(|status| status.peer != left)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validator_finds_a_place_where_a_stranger_does_not() {
    let mut config = Node::config(&[]);
    config.limits.peers_max = 1;
    config.limits.validator_places = 1;
    let a = Node::start_with(config, Recorder::default()).await;
    let stranger = Node::start(&[&a]).await;
    let mut config = Node::config(&[&a]);
    let id = config.identity.public().to_peer_id();
    config.validator_proof = Some(id.to_bytes());
    let validator = Node::start_with(config, Recorder::default()).await;
    eventually("the validator is in", || {
        assert!(!a.is_ready(stranger.id()));
        a.is_ready(id) && validator.is_ready(a.id())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panicking_handler_ends_the_network_with_an_error() {
    struct Broken;
    #[async_trait]
    impl GossipHandler for Broken {
        async fn judge(&self, _: Topic, _: PeerId, _: Bytes) -> Acceptance {
            unreachable!("broken on purpose")
        }
        async fn serve(&self, _: PeerId, _: Bytes) -> Option<Bytes> {
            None
        }
        fn is_validator_proof(&self, _: PeerId, _: &[u8]) -> Option<[u8; 20]> {
            None
        }
    }
    let handler = Arc::new(Broken);
    let (gossip, task) = Gossip::start(Node::config(&[]), handler, CancellationToken::new())
        .await
        .expect("start");
    let mut config = Node::config(&[]);
    config.peers.push(gossip.listen_address());
    let a = Node::start_with(config, Recorder::default()).await;
    let mut round = 0_u32;
    eventually("the task ends", || {
        a.publish(Topic::Bids, format!("{round}"));
        round += 1;
        task.is_finished()
    })
    .await;
    assert!(matches!(
        task.await.expect("join"),
        Err(GossipError::InternalHandler { .. })
    ));
}
