//! Builders and validators in one process, and a payer: what the tests of sold blocks are made of.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use api::{
    error::{ApiError, ErrorCode},
    ledger::{BlockJson, EntryJson},
    rpc::QuorateClient,
    text::HashText,
};
use jsonrpsee::core::ClientError;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use protocol::{
    account::Leaf,
    genesis::Genesis,
    number::{Amount, Height, LeafIndex, TokenId},
    params::EPOCH_HEIGHTS,
    transaction::Domain,
    validator::ValidatorKey,
};
use sequencer::{BuilderConfig, BuilderStrategy, Node, NodeConfig};
use tempfile::TempDir;

use crate::{
    ports::free_ports,
    set::others,
    setup::{config, genesis_of, key, owner, show_logs, sign_for, transfer, validator_number},
};

/// Validators; their places come before the builders'.
pub(crate) const VALIDATORS: u8 = 4;
const INTERVAL: Duration = Duration::from_millis(300);
/// Where validator 0 wants bids paid; the others follow.
pub(crate) const BID_LEAF: u32 = 4;
/// Collateral of builders 0 and 1, and of the thief.
pub(crate) const COLLATERAL: [u32; 3] = [8, 9, 10];
/// Where builders 0 and 1 collect fees.
pub(crate) const FEE_LEAF: [u32; 2] = [11, 12];
pub(crate) const COLLATERAL_VALUE: u128 = 5_000_000_000;
const FEE: u128 = 1_000;

pub(crate) fn genesis() -> Genesis {
    let mut genesis = genesis_of(VALIDATORS);
    let first = genesis.leaves.len();
    for number in u8::try_from(first).unwrap()..13 {
        let is_collateral = COLLATERAL.contains(&number.into());
        let (balance, lock) = match is_collateral {
            true => (COLLATERAL_VALUE, 4 * EPOCH_HEIGHTS),
            false => (0, 0),
        };
        let balance = Amount::new(balance).unwrap();
        let public = key(number).public().into();
        genesis.leaves.push(Leaf {
            lock_until: Height(lock),
            ..Leaf::new(public, owner(number), TokenId(0), balance)
        });
    }
    genesis
}

pub(crate) fn builder_key(number: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[0xb0 + number; 32]).unwrap()
}

type Launched = tokio::task::JoinHandle<Result<Node, sequencer::NodeError>>;

/// Four validators and some builders; places 0 to 3 are the validators'.
pub(crate) struct Market {
    dir: TempDir,
    engine: Vec<SocketAddr>,
    gossip: Vec<SocketAddr>,
    launched: BTreeMap<u8, Launched>,
    nodes: BTreeMap<u8, (Node, HttpClient)>,
    /// Places that gossip with nobody but who is at this address.
    isolated: Option<(Vec<u8>, SocketAddr)>,
    /// Where the payer sends.
    pub(crate) paid_at: u8,
    /// How long a proposal is waited for, if not as usual.
    pub(crate) propose: Option<Duration>,
    /// How long the payer waits between payments.
    pub(crate) pause: Duration,
    pub(crate) genesis: Genesis,
    domain: Domain,
    nonces: [u64; 3],
}

impl Market {
    /// A market in which nobody runs yet.
    pub(crate) fn new(builders: u8) -> Self {
        show_logs();
        let count = VALIDATORS + builders;
        let mut engine = free_ports(usize::from(2 * count));
        let gossip = engine.split_off(count.into());
        Self {
            dir: TempDir::new().unwrap(),
            engine,
            gossip,
            launched: BTreeMap::new(),
            nodes: BTreeMap::new(),
            isolated: None,
            paid_at: 0,
            propose: None,
            pause: Duration::from_millis(60),
            genesis: genesis(),
            domain: genesis().domain(),
            nonces: [0; 3],
        }
    }

    pub(crate) async fn start(builders: u8) -> Self {
        let mut market = Self::new(builders);
        market.launch_all().await;
        market
    }

    /// Starts every node, and waits for all.
    pub(crate) async fn launch_all(&mut self) {
        for (place, _) in (0..).zip(self.gossip.clone()) {
            self.launch(place);
        }
        self.serving().await;
    }

    /// Where those places gossip that are wanted.
    pub(crate) fn gossip_of(&self, is_wanted: impl Fn(u8) -> bool) -> Vec<SocketAddr> {
        let places = (0..).zip(&self.gossip);
        let wanted = places.filter(|(place, _)| is_wanted(*place));
        wanted.map(|(_, address)| *address).collect()
    }

    /// From their next start, these places gossip with nobody but who is at this address.
    pub(crate) fn isolate(&mut self, places: &[u8], neighbour: SocketAddr) {
        self.isolated = Some((places.to_vec(), neighbour));
    }

    /// Begins to start a node. All at once: a node waits for its peers' word before it votes.
    pub(crate) fn launch(&mut self, place: u8) {
        let launched = tokio::spawn(Node::start(self.config(place)));
        self.launched.insert(place, launched);
    }

    /// Waits for all that were launched.
    pub(crate) async fn serving(&mut self) {
        for (place, launched) in std::mem::take(&mut self.launched) {
            let node = launched.await.unwrap().unwrap();
            let url = format!("http://{}", node.rpc_address());
            let client = HttpClientBuilder::default().build(url).unwrap();
            self.nodes.insert(place, (node, client));
        }
    }

    pub(crate) async fn stop_one(&mut self, place: u8) {
        let (node, _) = self.nodes.remove(&place).unwrap();
        node.stop().await.unwrap();
    }

    /// Files of evidence that a node holds.
    pub(crate) fn evidence(&self, place: u8) -> usize {
        let dir = self.config(place).data_dir.join("evidence");
        std::fs::read_dir(dir).map_or(0, Iterator::count)
    }

    fn config(&self, place: u8) -> NodeConfig {
        let mut config = config(&self.dir.path().join(format!("node-{place}")), INTERVAL);
        std::fs::create_dir_all(config.data_dir.parent().unwrap()).unwrap();
        config.genesis = self.genesis.clone();
        let own = usize::from(place);
        config.network.engine_listen = self.engine[own];
        config.network.engine_peers = others(&self.engine, self.engine[own]);
        config.network.gossip_listen = self.gossip[own];
        config.network.gossip_peers = match &self.isolated {
            Some((alone, neighbour)) if alone.contains(&place) => vec![*neighbour],
            Some((alone, _)) => self.gossip_of(|other| !alone.contains(&other) && other != place),
            None => others(&self.gossip, self.gossip[own]),
        };
        if let Some(propose) = self.propose {
            config.network.timeouts.propose = propose;
        }
        if let Some(number) = place.checked_sub(VALIDATORS) {
            let collateral = COLLATERAL[usize::from(number)];
            config.validator_key = builder_key(number);
            config.is_follower = true;
            config.builder = Some(BuilderConfig {
                key: builder_key(number),
                collateral_leaf: LeafIndex(collateral),
                collateral_key: key(u8::try_from(collateral).unwrap()),
                fee_leaf: LeafIndex(FEE_LEAF[usize::from(number)]),
                strategy: BuilderStrategy::HighestFee,
                share_percent: 80 + 10 * number,
            });
        } else {
            config.validator_key = validator_number(place);
            config.bid_leaf = Some(LeafIndex(BID_LEAF + u32::from(place)));
        }
        config
    }

    pub(crate) fn client(&self, place: u8) -> &HttpClient {
        &self.nodes[&place].1
    }

    pub(crate) async fn height(&self) -> u64 {
        self.height_of(0).await
    }

    pub(crate) async fn height_of(&self, place: u8) -> u64 {
        self.client(place).status().await.unwrap().height
    }

    pub(crate) async fn block(&self, height: u64) -> BlockJson {
        self.client(0).block(Some(height)).await.unwrap()
    }

    /// Sends one operation with a fee, unless too many wait already: blocks may stand still for a while.
    pub(crate) async fn pay(&mut self) {
        let mut transaction = transfer(1, 2, self.nonces[1], 1);
        transaction.fee = Amount::new(FEE).unwrap();
        let signed = sign_for(&self.domain, transaction);
        match self.client(self.paid_at).send_transaction(signed).await {
            Ok(_) => self.nonces[1] += 1,
            Err(ClientError::Call(refusal)) => {
                let code = ApiError::from_object(&refusal).map(|error| error.code);
                assert_eq!(code, Some(ErrorCode::NonceGap), "{refusal:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Pays until a block fulfils the condition, and returns it; looks at every block from `from` on.
    pub(crate) async fn pay_until(
        &mut self,
        mut from: u64,
        is_wanted: impl Fn(&BlockJson) -> bool,
    ) -> BlockJson {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            self.pay().await;
            while from <= self.height().await {
                let block = self.block(from).await;
                if is_wanted(&block) {
                    return block;
                }
                from += 1;
            }
            tokio::time::sleep(self.pause).await;
        }
        let mut story = Vec::new();
        for height in 1..from {
            let block = self.block(height).await;
            let bid = block.bid.as_ref().map(|bid| (bid.leaf, bid.value.clone()));
            let (entries, burns) = (block.entries.len(), burns(&block));
            story.push((height, block.certificate.round, bid, entries, burns));
        }
        panic!("no such block up to {from}: {story:?}");
    }

    pub(crate) async fn balance(&self, place: u8, leaf: u32) -> u128 {
        let proof = self.client(place).leaf(leaf).await.unwrap();
        proof.verify().unwrap().balance.get()
    }

    /// Waits until a node has a height.
    pub(crate) async fn wait_for(&self, place: u8, height: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.height_of(place).await < height {
            assert!(
                Instant::now() < deadline,
                "node {place} never reaches {height}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the builder of a bid is suspended: its reports are embedded over some heights.
    pub(crate) async fn wait_for_suspension(&self, name: HashText) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.client(0).bids().await.unwrap();
            let found = seen.bids.iter().find(|bid| bid.bid == name).unwrap();
            if found.is_suspended {
                return;
            }
            assert!(Instant::now() < deadline, "never suspended: {found:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn stop(self) {
        for (node, _) in self.nodes.into_values() {
            node.stop().await.unwrap();
        }
    }
}

pub(crate) fn is_sold(block: &BlockJson) -> bool {
    block.bid.is_some()
}

pub(crate) fn burns(block: &BlockJson) -> usize {
    let entries = block.entries.iter();
    entries
        .filter(|entry| matches!(entry, EntryJson::BidBurn { .. }))
        .count()
}
