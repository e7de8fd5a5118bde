//! Whole nodes in one process that cross a boundary: keys change seats, nodes stop and come back, files differ.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use protocol::{
    block::BlockId,
    evidence::Evidence,
    validator::ValidatorKey,
    vote::{Step, Vote},
};

use super::{ports::free_ports, *};
use crate::{
    Node, NodeConfig, NodeError,
    chain::ChainConstants,
    consensus::ConsensusError,
    evidence::{EvidenceBook, Recorded},
    fixture::{HashVerifier, domain, seat_key, set_of_four},
    guard::SigningGuard,
    relay::Outlet,
};

const INTERVAL: Duration = Duration::from_millis(50);
/// Five keys: four sit in epoch 0, and the fifth enters.
const COUNT: u8 = 5;
/// The key that leaves.
const LEAVING: u8 = 4;
/// The key that enters.
const ENTERING: u8 = 5;

fn chain() -> Genesis {
    Genesis {
        validators: set_of_four(),
        ..genesis()
    }
}

/// In epoch 1 the fourth key makes room for the fifth.
fn one_leaves(more: &[(u64, &[(L1Address, u64)])]) -> Arc<dyn SetSource> {
    let stays = [1, 2, 3, ENTERING].map(|number| (seat_key(number).address(), 1));
    let mut entries = vec![(1, &stays[..])];
    entries.extend_from_slice(more);
    file(&chain(), &entries)
}

struct Network {
    dir: TempDir,
    engines: Vec<SocketAddr>,
    gossips: Vec<SocketAddr>,
    nodes: Vec<Option<Node>>,
}

impl Network {
    /// Nodes of the keys 1 to [`COUNT`] on a chain that stands at `height`, not started.
    fn at(height: u64, source: &dyn SetSource) -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let logs = tracing_subscriber::fmt().with_env_filter(filter);
        let _ = logs.with_test_writer().try_init(); // another test of this process may have done it
        let mut ports = free_ports(2 * usize::from(COUNT));
        let gossips = ports.split_off(usize::from(COUNT));
        let network = Self {
            dir: TempDir::new().unwrap(),
            engines: ports,
            gossips,
            nodes: (0..COUNT).map(|_| None).collect(),
        };
        let mut keys: Vec<ValidatorKey> = (1..=4).map(seat_key).collect();
        keys.sort_by_key(ValidatorKey::address);
        for number in 1..=COUNT {
            let path = network.data(number);
            write_prefix(&path, &chain(), &keys, (source, Height(height)));
        }
        network
    }

    fn data(&self, number: u8) -> PathBuf {
        self.dir.path().join(format!("node-{number}"))
    }

    fn config(&self, number: u8, sets: Arc<dyn SetSource>) -> NodeConfig {
        let keys = (vec![1], vec![2]);
        let (data, key) = (self.data(number), seat_key(number));
        let mut config =
            NodeConfig::new(chain(), data, key, keys, Arc::new(HashVerifier::default()));
        config.sets = sets;
        config.block_interval = INTERVAL;
        config.rpc.listen.set_port(0);
        config.jobs.listen.set_port(0);
        let place = usize::from(number - 1);
        let others = |ports: &[SocketAddr]| {
            let own = ports[place];
            ports.iter().filter(|port| **port != own).copied().collect()
        };
        config.network.engine_listen = self.engines[place];
        config.network.gossip_listen = self.gossips[place];
        config.network.engine_peers = others(&self.engines);
        config.network.gossip_peers = others(&self.gossips);
        config
    }

    /// Starts nodes, all at once: one waits for its peers' word before it votes.
    async fn start(&mut self, numbers: &[u8], sets: &Arc<dyn SetSource>) {
        let launched: Vec<_> = numbers
            .iter()
            .map(|number| tokio::spawn(Node::start(self.config(*number, Arc::clone(sets)))))
            .collect();
        for (number, launched) in numbers.iter().zip(launched) {
            let node = launched.await.unwrap().unwrap();
            self.nodes[usize::from(number - 1)] = Some(node);
        }
    }

    async fn stop_one(&mut self, number: u8) {
        let node = self.nodes[usize::from(number - 1)].take().unwrap();
        node.stop().await.unwrap();
    }

    /// Stops a node, starts it again, and waits until it has caught up.
    async fn restart(&mut self, number: u8, sets: &Arc<dyn SetSource>) {
        self.stop_one(number).await;
        self.start(&[number], sets).await;
        let height = self.tip() + 2;
        self.wait_for(height).await;
    }

    /// Height of the node that is farthest.
    fn tip(&self) -> u64 {
        let nodes = self.nodes.iter().flatten();
        let heights = nodes.map(|node| node.heights().borrow().0);
        heights.max().unwrap()
    }

    async fn stop(&mut self) {
        for node in &mut self.nodes {
            if let Some(node) = node.take() {
                node.stop().await.unwrap();
            }
        }
    }

    async fn wait_for(&self, height: u64) {
        for (node, number) in self.nodes.iter().zip(1..) {
            let Some(node) = node else {
                continue;
            };
            let mut heights = node.heights();
            let reached = heights.wait_for(|tip| tip.0 >= height);
            let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
            assert!(
                reached.is_ok(),
                "node {number} stands at {}",
                node.heights().borrow().0
            );
        }
    }

    /// The database of a node that is stopped.
    fn store(&self, number: u8) -> Store {
        Store::open(&self.data(number), &chain()).unwrap()
    }

    fn guard(&self, number: u8) -> SigningGuard {
        let path = self.data(number).join("agreement/guard");
        SigningGuard::open(&path, seat_key(number), domain()).unwrap()
    }
}

/// Numbers of the keys that signed for a block, after checking that its own epoch's set decided it.
fn signers(store: &Store, height: u64) -> Vec<u8> {
    let stored = store.block(Height(height)).unwrap().unwrap();
    let set = store.office(Epoch::of(Height(height))).unwrap();
    assert_eq!(
        stored.certificate.verify(&domain(), &set),
        Ok(()),
        "height {height}"
    );
    let signed = |number: &u8| {
        let address = seat_key(*number).address();
        let mut signatures = stored.certificate.signatures.iter();
        signatures.any(|one| one.validator == address)
    };
    (1..=COUNT).filter(signed).collect()
}

fn id(store: &Store, height: u64) -> BlockId {
    store.block(Height(height)).unwrap().unwrap().block.id()
}

fn double_vote(number: u8, height: u64) -> Evidence {
    let sign = |block| {
        let vote = Vote {
            height: Height(height),
            round: Round(0),
            step: Step::Prevote,
            block: Some(BlockId([block; 32])),
        };
        vote.sign(&domain(), &seat_key(number))
    };
    Evidence::DoubleVote(sign(1), sign(2))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_validator_leaves_and_another_enters_without_a_restart_and_both_follow() {
    let sets = one_leaves(&[]);
    let mut network = Network::at(LAST - 5, &*sets);
    network.start(&[1, 2, 3, 4, 5], &sets).await;
    let end = LAST + 15;
    network.wait_for(end).await;
    network.stop().await;
    let stores: Vec<Store> = (1..=COUNT).map(|number| network.store(number)).collect();
    let mut seen = [[false; 6]; 2];
    for height in LAST - 4..=end {
        for store in &stores {
            assert_eq!(id(store, height), id(&stores[0], height), "height {height}");
            for number in signers(store, height) {
                seen[usize::from(height > LAST)][usize::from(number)] = true;
            }
        }
    }
    assert!(!seen[0][usize::from(ENTERING)] && !seen[1][usize::from(LEAVING)]);
    assert!(seen[1][usize::from(ENTERING)], "who enters votes");
    let highest = network.guard(LEAVING).highest_signed().unwrap();
    assert!(
        highest <= Height(LAST),
        "who has left signs nothing more: {highest}"
    );

    // an offence of epoch 1 convicts offline, by the set that the handover proves
    let store = Arc::new(network_store(stores));
    let constants = ChainConstants::new(&chain());
    let dir = network.dir.path().join("evidence");
    let book = EvidenceBook::open(dir.clone(), store, constants, Outlet::new().0).unwrap();
    let left = book.record(double_vote(LEAVING, LAST + 3));
    assert_eq!(left, Ok(Recorded::Nothing), "it has no seat to misuse");
    let entered = book.record(double_vote(ENTERING, LAST + 3));
    assert_eq!(entered, Ok(Recorded::New));
    let files: Vec<_> = std::fs::read_dir(dir).unwrap().collect();
    assert_eq!(files.len(), 1);
    let bytes = std::fs::read(files[0].as_ref().unwrap().path()).unwrap();
    let judgement = verifier::evidence::verify_evidence(&bytes, Some(&chain())).unwrap();
    assert_eq!(judgement.finding.offender, seat_key(ENTERING).address());
}

/// Keeps the first one open.
fn network_store(mut stores: Vec<Store>) -> Store {
    stores.swap_remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_restart_on_both_sides_of_the_boundary_and_go_on() {
    let sets = one_leaves(&[]);
    let mut network = Network::at(LAST - 60, &*sets);
    network.start(&[1, 2, 3, 4, 5], &sets).await;
    network.wait_for(LAST - 55).await;
    for number in [1, ENTERING] {
        network.restart(number, &sets).await;
    }
    network.wait_for(LAST + 1).await;
    for number in [1, LEAVING, ENTERING] {
        network.restart(number, &sets).await;
    }
    // the validator that left is away: the new set does not need it
    network.stop_one(LEAVING).await;
    let target = network.tip() + 10;
    network.wait_for(target).await;
    // and it comes back as one that follows
    network.start(&[LEAVING], &sets).await;
    network.wait_for(target + 5).await;
    network.stop().await;
    let (first, left) = (network.store(1), network.store(LEAVING));
    for height in LAST - 59..=target + 5 {
        assert_eq!(id(&first, height), id(&left, height), "height {height}");
        assert!(height <= LAST || !signers(&first, height).contains(&LEAVING));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_with_another_file_stops_with_its_reason_and_has_signed_nothing_wrong() {
    let own = seat_key(3).address();
    let sets = one_leaves(&[]);
    let other = one_leaves(&[(2, &[(own, 1)])]);
    let mut network = Network::at(LAST - 4, &*sets);
    // of epoch 1 as well: the blocks that are here tell it at its start
    let alone = file(&chain(), &[(1, &[(own, 1)])]);
    let refused = Node::start(network.config(3, alone)).await;
    assert!(matches!(refused, Err(NodeError::OtherSet(_))));

    network.start(&[3], &other).await;
    network.start(&[1, 2, 4, 5], &sets).await;
    let mut odd = network.nodes[2].take().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), odd.wait()).await;
    match ended.unwrap() {
        NodeError::Consensus(ConsensusError::OtherSet(other)) => {
            assert_eq!((other.height, other.epoch), (Height(LAST + 1), Epoch(2)));
        }
        error => panic!("{error}"),
    }
    assert!(odd.stop().await.is_ok());
    network.wait_for(LAST + 10).await;
    network.stop().await;
    let guard = network.guard(3);
    assert!(guard.highest_signed().unwrap() <= Height(LAST + 1));
    let lock = guard.lock().unwrap().map(|lock| lock.height);
    assert!(
        lock <= Some(Height(LAST)),
        "it precommitted no block of the epoch: {lock:?}"
    );
    for number in [1, 2, 4, 5] {
        let files = std::fs::read_dir(network.data(number).join("evidence"));
        assert!(
            files.map_or(true, |mut files| files.next().is_none()),
            "node {number}"
        );
    }
}
