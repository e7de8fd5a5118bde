//! Nodes of a set in this process.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use api::{jobs::Circuit, operation::SignedTransactionJson, rpc::QuorateClient, status::Stage};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use protocol::{
    account::{L1Address, Leaf},
    genesis::Genesis,
    hash::keccak256,
    number::{Amount, Height, LeafIndex, Nonce, TokenId},
    signature::SecretKey,
    threaded::FeeLeaves,
    transaction::{Action, SignedTransaction, Transaction},
    validator::{Validator, ValidatorKey, ValidatorSet},
};
use rayon::prelude::*;
use sequencer::{Node, NodeConfig, ProofVerifier};
use tempfile::TempDir;

use super::delay::line;

const CHAIN_ID: u64 = 31_337;
/// Leaves that send.
const SENDERS: u32 = 1_024;
/// Requests under way. A lane's operations are of a few senders, whose nonces it keeps in order.
const UNDER_WAY: usize = 64;

struct NoProofs;

impl ProofVerifier for NoProofs {
    fn verify(&self, _: Circuit, _: &[[u8; 32]], _: &[u8]) -> Result<(), String> {
        Err("this node takes no proofs".into())
    }
}

pub(super) fn validator(number: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[number + 1; 32]).expect("a scalar in range")
}

pub(super) fn validators(count: u8) -> ValidatorSet {
    let validators = (0..count).map(|number| Validator {
        address: validator(number).address(),
        weight: 1,
    });
    ValidatorSet::new(validators.collect()).expect("distinct validators")
}

fn secret(sender: u32) -> SecretKey {
    SecretKey::from_seed(&keccak256(&sender.to_be_bytes()))
}

fn amount(value: u128) -> Amount {
    Amount::new(value).expect("benchmark amounts are below 2^120")
}

fn genesis(count: u8) -> Genesis {
    let leaf = |sender| {
        let owner = L1Address([7; 20]);
        let key = secret(sender).public();
        Leaf::new(key.into(), owner, TokenId(0), amount(1 << 80))
    };
    Genesis {
        chain_id: CHAIN_ID,
        rollup: L1Address([0xee; 20]),
        reference_string: "bench".into(),
        validators: validators(count),
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).expect("one fee leaf"),
        timestamp_ms: 1_000,
        leaves: (0..SENDERS).into_par_iter().map(leaf).collect(),
    }
}

/// Transfers for a set of this size, in an order in which every sender's nonces rise.
pub(super) fn signed(count: u8, operations: usize) -> Vec<SignedTransactionJson> {
    let domain = genesis(count).domain();
    let senders = usize::try_from(SENDERS).expect("few senders");
    let index = |place: usize| LeafIndex(u32::try_from(place).expect("few senders"));
    (0..operations)
        .into_par_iter()
        .map(|place| {
            let transaction = Transaction {
                from: index(place % senders),
                nonce: Nonce(u64::try_from(place / senders).expect("small")),
                valid_until: Height(1 << 30),
                fee: amount(10),
                action: Action::Transfer {
                    to: index((place * 7 + 1) % senders),
                    amount: amount(1_000),
                },
            };
            let key = secret(index(place % senders).0);
            let signed = SignedTransaction {
                transaction,
                key: key.public(),
                signature: key.sign(&transaction.message(&domain, false)),
            };
            SignedTransactionJson::new(CHAIN_ID, &signed)
        })
        .collect()
}

pub(super) fn free_ports(count: u8) -> Vec<SocketAddr> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
    listeners.iter().map(address).collect()
}

pub(super) fn others(ports: &[SocketAddr], own: u8) -> Vec<SocketAddr> {
    let own = ports[usize::from(own)];
    ports.iter().filter(|port| **port != own).copied().collect()
}

/// A directory on a disk: the system's temporary one may be memory.
pub(super) fn directory() -> TempDir {
    std::fs::create_dir_all("target").expect("the checkout is writable");
    tempfile::tempdir_in("target").expect("the checkout is writable")
}

/// Running nodes.
pub(super) struct Set {
    directory: TempDir,
    genesis: Genesis,
    engine: Vec<SocketAddr>,
    gossip: Vec<SocketAddr>,
    interval: Duration,
    /// Where each node calls each other one, if lines are slow: engine and gossip.
    lines: Option<Vec<Vec<[SocketAddr; 2]>>>,
    nodes: Vec<Option<(Node, HttpClient)>>,
}

impl Set {
    /// Starts a set.
    pub(super) async fn start(count: u8, interval: Duration) -> Self {
        Self::start_apart(count, interval, None).await
    }

    /// Starts a set whose nodes are this far from each other: what one sends arrives so much later.
    pub(super) async fn start_apart(
        count: u8,
        interval: Duration,
        delay: Option<Duration>,
    ) -> Self {
        let mut engine = free_ports(2 * count);
        let gossip = engine.split_off(usize::from(count));
        let mut set = Self {
            directory: directory(),
            genesis: genesis(count),
            engine,
            gossip,
            interval,
            lines: None,
            nodes: (0..count).map(|_| None).collect(),
        };
        if let Some(delay) = delay {
            set.lines = Some(set.draw_lines(delay).await);
        }
        let launched: Vec<_> = (0..count).map(|number| set.launch(number)).collect();
        for (place, launched) in set.nodes.iter_mut().zip(launched) {
            *place = Some(launched.await.expect("a node starts"));
        }
        set
    }

    async fn draw_lines(&self, delay: Duration) -> Vec<Vec<[SocketAddr; 2]>> {
        let mut lines = Vec::new();
        for _ in &self.nodes {
            let mut from_one = Vec::new();
            for (engine, gossip) in self.engine.iter().zip(&self.gossip) {
                from_one.push([line(*engine, delay).await, line(*gossip, delay).await]);
            }
            lines.push(from_one);
        }
        lines
    }

    fn config(&self, number: u8) -> NodeConfig {
        let place = usize::from(number);
        let data = self.directory.path().join(format!("node-{number}"));
        std::fs::create_dir_all(&data).expect("the checkout is writable");
        let keys = (vec![1], vec![2]);
        let (genesis, key) = (self.genesis.clone(), validator(number));
        let mut config = NodeConfig::new(genesis, data.join("db"), key, keys, Arc::new(NoProofs));
        config.block_interval = self.interval;
        config.rpc.listen.set_port(0);
        config.jobs.listen.set_port(0);
        config.network.engine_listen = self.engine[place];
        config.network.engine_peers = others(&self.engine, number);
        config.network.gossip_listen = self.gossip[place];
        config.network.gossip_peers = others(&self.gossip, number);
        if let Some(lines) = &self.lines {
            let others = lines[place].iter().enumerate();
            let others: Vec<_> = others.filter(|(other, _)| *other != place).collect();
            config.network.engine_peers = others.iter().map(|(_, line)| line[0]).collect();
            config.network.gossip_peers = others.iter().map(|(_, line)| line[1]).collect();
        }
        config
    }

    fn launch(&self, number: u8) -> tokio::task::JoinHandle<(Node, HttpClient)> {
        let config = self.config(number);
        tokio::spawn(async move {
            let node = Node::start(config).await.expect("a node starts");
            let url = format!("http://{}", node.rpc_address());
            let client = HttpClientBuilder::default().build(url).expect("a client");
            (node, client)
        })
    }

    pub(super) async fn start_one(&mut self, number: u8) {
        let started = self.launch(number).await.expect("a node starts");
        self.nodes[usize::from(number)] = Some(started);
    }

    pub(super) async fn stop_one(&mut self, number: u8) {
        let (node, _) = self.nodes[usize::from(number)].take().expect("it runs");
        node.stop().await.expect("it stops");
    }

    pub(super) async fn stop(self) {
        for (node, _) in self.nodes.into_iter().flatten() {
            node.stop().await.expect("it stops");
        }
    }

    fn running(&self, number: u8) -> &(Node, HttpClient) {
        self.nodes[usize::from(number)].as_ref().expect("it runs")
    }

    fn client(&self, number: u8) -> HttpClient {
        self.running(number).1.clone()
    }

    /// Newest height of a node.
    pub(super) fn height(&self, number: u8) -> u64 {
        self.running(number).0.heights().borrow().0
    }

    pub(super) async fn reach(&self, number: u8, height: u64) {
        let mut heights = self.running(number).0.heights();
        heights
            .wait_for(|at| at.0 >= height)
            .await
            .expect("the node runs");
    }

    /// Milliseconds between the next commits of a node.
    pub(super) async fn commit_times(&self, number: u8, count: u64) -> Vec<f64> {
        let mut heights = self.running(number).0.heights();
        heights.borrow_and_update();
        let mut last: Option<(Instant, u64)> = None;
        let mut times = Vec::new();
        while u64::try_from(times.len()).unwrap_or(u64::MAX) < count {
            heights.changed().await.expect("the node runs");
            let (now, at) = (Instant::now(), heights.borrow_and_update().0);
            if let Some((then, before)) = last {
                let blocks = at.saturating_sub(before).max(1);
                let ms = now.duration_since(then).as_secs_f64() * 1_000.0 / blocks as f64;
                times.extend((0..blocks).map(|_| ms));
            }
            last = Some((now, at));
        }
        times
    }

    /// Sends operations to all nodes in turn, [`UNDER_WAY`] at a time; returns when every one is acknowledged.
    pub(super) async fn send(&self, operations: &[SignedTransactionJson]) {
        let count = self.nodes.len();
        let lanes = (0..UNDER_WAY).map(|lane| {
            let mine = operations.iter().skip(lane).step_by(UNDER_WAY);
            let mine: Vec<SignedTransactionJson> = mine.cloned().collect();
            let client = self.client(u8::try_from(lane % count).expect("few nodes"));
            tokio::spawn(async move {
                for operation in mine {
                    client
                        .send_transaction(operation)
                        .await
                        .expect("the node takes the operation");
                }
            })
        });
        for lane in lanes.collect::<Vec<_>>() {
            lane.await.expect("a lane does not panic");
        }
    }

    /// Milliseconds from sending an operation to its acknowledgement, and to its certificate as the same node tells it.
    pub(super) async fn tier_ms(&self, operation: &SignedTransactionJson) -> (f64, f64) {
        let client = self.client(0);
        let sent = Instant::now();
        let id = client
            .send_transaction(operation.clone())
            .await
            .expect("the node takes the operation");
        let accepted = sent.elapsed();
        loop {
            let status = client.transaction_status(id.clone()).await;
            if status.expect("a status").stage >= Stage::Certified {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        (ms(accepted), ms(sent.elapsed()))
    }

    /// Operations in a block.
    pub(super) async fn block_operations(&self, height: u64) -> usize {
        let block = self.client(0).block(Some(height)).await.expect("a block");
        block.entries.len()
    }

    /// Seconds from the first request until all operations are ordered on every node.
    pub(super) async fn seconds_to_order(&self, operations: &[SignedTransactionJson]) -> f64 {
        let count = self.nodes.len();
        let started = Instant::now();
        self.send(operations).await;
        for number in 0..count {
            let client = self.client(u8::try_from(number).expect("few nodes"));
            while client.status().await.expect("a status").mempool_operations > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        started.elapsed().as_secs_f64()
    }
}
