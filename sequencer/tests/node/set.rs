//! Several validators in one process, each with its own database, guard, log and ports.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use api::{
    rpc::QuorateClient,
    status::{NodeRole, Stage},
};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use protocol::{genesis::Genesis, transaction::Domain};
use sequencer::{BaseLayerConfig, Node, NodeConfig, NodeError, RocksQueue, StorageConfig};
use tempfile::TempDir;

use crate::ports::free_ports;
use crate::setup::{config, genesis_of, show_logs, sign_for, transfer, validator_number, wait_for};

pub(crate) const COUNT: u8 = 4;
const INTERVAL: Duration = Duration::from_millis(50);

pub(crate) struct Set {
    pub(crate) dir: TempDir,
    /// What every node keeps of the past, from its next start on.
    pub(crate) storage: StorageConfig,
    ports: Vec<SocketAddr>,
    pub(crate) gossip: Vec<SocketAddr>,
    interval: Duration,
    nodes: Vec<Option<(Node, HttpClient)>>,
    genesis: Genesis,
    /// What each node follows; none follow anything if it is empty.
    layers: Vec<BaseLayerConfig>,
    pub(crate) domain: Domain,
}

pub(crate) fn others(ports: &[SocketAddr], own: SocketAddr) -> Vec<SocketAddr> {
    ports.iter().filter(|port| **port != own).copied().collect()
}

fn config_of(
    dir: &Path,
    number: u8,
    (ports, gossip): (&[SocketAddr], &[SocketAddr]),
    interval: Duration,
) -> NodeConfig {
    let mut config = config(&dir.join(format!("node-{number}")), interval);
    config.genesis = genesis_of(u8::try_from(ports.len()).unwrap());
    config.validator_key = validator_number(number);
    let own = ports[usize::from(number)];
    config.network.engine_listen = own;
    config.network.engine_peers = others(ports, own);
    let own = gossip[usize::from(number)];
    config.network.gossip_listen = own;
    config.network.gossip_peers = others(gossip, own);
    config
}

impl Set {
    pub(crate) async fn start(count: u8) -> Self {
        Self::start_with(count, INTERVAL).await
    }

    /// With this much time between two blocks.
    pub(crate) async fn start_with(count: u8, interval: Duration) -> Self {
        Self::start_on(genesis_of(count), Vec::new(), interval).await
    }

    /// A chain with as many validators, whose nodes follow these.
    pub(crate) async fn start_on(
        genesis: Genesis,
        layers: Vec<BaseLayerConfig>,
        interval: Duration,
    ) -> Self {
        let mut set = Self::prepare(genesis, layers, interval);
        set.start_all().await;
        set
    }

    /// The same, not started: what their databases begin with is put there first.
    pub(crate) fn prepare(
        genesis: Genesis,
        layers: Vec<BaseLayerConfig>,
        interval: Duration,
    ) -> Self {
        show_logs();
        Self {
            dir: TempDir::new().unwrap(),
            storage: StorageConfig::default(),
            ports: Vec::new(),
            gossip: Vec::new(),
            interval,
            nodes: genesis
                .validators
                .validators()
                .iter()
                .map(|_| None)
                .collect(),
            domain: genesis.domain(),
            genesis,
            layers,
        }
    }

    /// All at once: a node waits for its peers' word before it votes. On new ports: old ones stay taken for a while.
    pub(crate) async fn start_all(&mut self) {
        let count = u8::try_from(self.nodes.len()).unwrap();
        self.ports = free_ports(usize::from(2 * count));
        self.gossip = self.ports.split_off(usize::from(count));
        let numbers = 0_u8..;
        let launched: Vec<_> = numbers
            .zip(&self.nodes)
            .map(|(number, _)| self.launch(number))
            .collect();
        for (place, launched) in self.nodes.iter_mut().zip(launched) {
            *place = Some(launched.await.unwrap());
        }
    }

    /// Removes a node's database, as a lost disk does, and leaves what was signed.
    pub(crate) fn lose_database(&self, number: u8) {
        for entry in std::fs::read_dir(self.data_dir(number)).unwrap() {
            let path = entry.unwrap().path();
            if path.ends_with("agreement") {
                continue;
            }
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    pub(crate) fn data_dir(&self, number: u8) -> std::path::PathBuf {
        self.dir.path().join(format!("node-{number}/db"))
    }

    pub(crate) async fn start_one(&mut self, number: u8) {
        let started = self.launch(number).await.unwrap();
        self.nodes[usize::from(number)] = Some(started);
    }

    fn launch(&self, number: u8) -> tokio::task::JoinHandle<(Node, HttpClient)> {
        let places = (self.ports.as_slice(), self.gossip.as_slice());
        let mut config = config_of(self.dir.path(), number, places, self.interval);
        config.storage = self.storage.clone();
        config.genesis = self.genesis.clone();
        config.base_layer = self.layers.get(usize::from(number)).cloned();
        std::fs::create_dir_all(config.data_dir.parent().unwrap()).unwrap();
        tokio::spawn(async move {
            let node = Node::start(config).await.unwrap();
            let url = format!("http://{}", node.rpc_address());
            let client = HttpClientBuilder::default().build(url).unwrap();
            (node, client)
        })
    }

    pub(crate) async fn stop_one(&mut self, number: u8) {
        let (node, _) = self.nodes[usize::from(number)].take().unwrap();
        node.stop().await.unwrap();
    }

    /// Waits until a node has stopped by itself, and says why.
    pub(crate) async fn fall(&mut self, number: u8) -> NodeError {
        let (mut node, _) = self.nodes[usize::from(number)].take().unwrap();
        let error = node.wait().await;
        let _ = node.stop().await; // it repeats the error
        error
    }

    pub(crate) fn client(&self, number: u8) -> &HttpClient {
        &self.nodes[usize::from(number)].as_ref().unwrap().1
    }

    /// The proof queue of a node.
    pub(crate) fn queue(&self, number: u8) -> Arc<RocksQueue> {
        self.nodes[usize::from(number)].as_ref().unwrap().0.queue()
    }

    pub(crate) async fn height(&self, number: u8) -> u64 {
        self.client(number).status().await.unwrap().height
    }

    /// What a node does in agreement, and until which height it observes.
    pub(crate) async fn role(&self, number: u8) -> (NodeRole, Option<u64>) {
        let status = self.client(number).status().await.unwrap();
        (status.role, status.observes_until)
    }

    pub(crate) async fn wait_for_height(&self, number: u8, height: u64) {
        for _ in 0..1_200 {
            if self.height(number).await >= height {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let at = self.height(number).await;
        panic!("node {number} stands at {at}, not {height}");
    }

    /// Ids of all blocks up to a height, which every running node shares.
    async fn assert_equal_up_to(&self, height: u64) {
        self.assert_equal(1..=height).await;
    }

    /// The same of these heights.
    pub(crate) async fn assert_equal(&self, heights: std::ops::RangeInclusive<u64>) {
        for at in heights {
            let mut first = None;
            for number in 0..COUNT {
                let Some((_, client)) = &self.nodes[usize::from(number)] else {
                    continue;
                };
                let block = client.block(Some(at)).await.unwrap();
                let first = first.get_or_insert_with(|| block.id.clone());
                assert_eq!(*first, block.id, "height {at}, node {number}");
            }
        }
    }

    /// Files against validators in a node's directory.
    pub(crate) fn evidence(&self, number: u8) -> Vec<Vec<u8>> {
        let dir = self.data_dir(number).join("evidence");
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path());
        files
            .filter(|path| path.extension().is_some_and(|ending| ending == "evidence"))
            .map(|path| std::fs::read(path).unwrap())
            .collect()
    }

    /// Stops all; none of them may have failed before.
    pub(crate) async fn stop(self) {
        for (node, _) in self.nodes.into_iter().flatten() {
            node.stop().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_validators_order_the_same_blocks() {
    let set = Set::start(COUNT).await;
    let mut ids = Vec::new();
    for nonce in 0..8_u8 {
        let signed = sign_for(&set.domain, transfer(1, 2, nonce.into(), 10));
        ids.push(
            set.client(nonce % COUNT)
                .send_transaction(signed)
                .await
                .unwrap(),
        );
        let id = ids.last().unwrap();
        wait_for(set.client(nonce % COUNT), id, Stage::Certified).await;
    }
    let height = set.height(0).await;
    for number in 0..COUNT {
        set.wait_for_height(number, height).await;
        for id in &ids {
            let status = set
                .client(number)
                .transaction_status(id.clone())
                .await
                .unwrap();
            assert_eq!(status.stage, Stage::Certified, "node {number}");
        }
    }
    set.assert_equal_up_to(height).await;
    let seen = set.client(1).validators().await.unwrap();
    let weights = (
        seen.weights.total,
        seen.weights.faulty_max,
        seen.weights.quorum,
    );
    assert_eq!((weights, seen.validators.len()), ((4, 1, 3), 4));
    let own = validator_number(1).address().into();
    let mut entries = 0;
    for seat in &seen.validators {
        assert_eq!(seat.is_this_node, seat.address == own);
        assert_eq!(seat.is_next_proposer, seat.address == seen.next_proposer);
        assert_eq!(seat.share_millionths, 250_000);
        entries += seat.delay.entries;
    }
    // those sent here were; the others may have come in a block first
    assert!((2..=8).contains(&entries), "{seen:?}");
    let status = set.client(1).status().await.unwrap();
    assert!(status.role == NodeRole::Validator && status.peers > 0);
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_four_may_be_away_and_catches_up() {
    let mut set = Set::start(COUNT).await;
    set.wait_for_height(3, 3).await;
    set.stop_one(3).await;
    let before = set.height(0).await;
    set.wait_for_height(0, before + 10).await;
    let seen = set.client(0).validators().await.unwrap();
    let away = validator_number(3).address().into();
    for seat in &seen.validators {
        let is_away = seat.address == away;
        assert!(seat.rounds_lost > 0 || !is_away, "{seen:?}");
        let signed = seat.last_signed_height.unwrap_or(0);
        assert_eq!(signed <= before + 1, is_away, "{seen:?}");
    }
    set.start_one(3).await;
    set.wait_for_height(3, before + 10).await;
    let target = set.height(3).await + 5;
    set.wait_for_height(3, target).await;
    set.assert_equal_up_to(target.min(set.height(0).await))
        .await;
    set.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_of_four_decide_nothing_and_go_on_when_the_others_return() {
    let mut set = Set::start(COUNT).await;
    set.wait_for_height(0, 3).await;
    set.stop_one(2).await;
    set.stop_one(3).await;
    // what was in flight may still be decided, nothing after it
    tokio::time::sleep(Duration::from_millis(500)).await;
    let stuck = set.height(0).await.max(set.height(1).await);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let after = set.height(0).await.max(set.height(1).await);
    assert!(after <= stuck + 1, "decided {after} without a quorum");
    set.start_one(2).await;
    set.start_one(3).await;
    for number in 0..COUNT {
        set.wait_for_height(number, after + 5).await;
    }
    set.assert_equal_up_to(after + 5).await;
    set.stop().await;
}

/// An operator starts a second node with the same key, and the guards of the two know nothing of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_on_two_nodes_becomes_files_that_convict_it_offline() {
    let set = Set::start(COUNT).await;
    set.wait_for_height(0, 3).await;
    let ports = free_ports(2);
    let mut config = config_of(set.dir.path(), 3, (&set.ports, &set.gossip), INTERVAL);
    config.data_dir = set.dir.path().join("twin/db");
    std::fs::create_dir_all(set.dir.path().join("twin")).unwrap();
    (config.network.engine_listen, config.network.gossip_listen) = (ports[0], ports[1]);
    config.network.engine_peers.clone_from(&set.ports);
    config.network.gossip_peers.clone_from(&set.gossip);
    let twin = Node::start(config).await.unwrap();
    let mut files = Vec::new();
    for _ in 0..600 {
        files = set.evidence(0);
        if !files.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let genesis = genesis_of(COUNT);
    let file = files.first().expect("evidence within half a minute");
    let judgement = verifier::evidence::verify_evidence(file, Some(&genesis)).unwrap();
    assert_eq!(judgement.finding.offender, validator_number(3).address());
    // one of four is faulty: the others go on, with the same blocks
    let target = set.height(0).await + 5;
    for number in 0..3 {
        set.wait_for_height(number, target).await;
    }
    twin.stop().await.unwrap();
    set.assert_equal_up_to(target).await;
    set.stop().await;
}
