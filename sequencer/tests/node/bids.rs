//! Builders and validators in one process: sold blocks, builders that withhold, and builders that are gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use api::{
    ledger::{BlockJson, EntryJson},
    rpc::QuorateClient,
    set::AuthorInclusion,
    status::NodeRole,
    text::HashText,
};
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use protocol::{
    account::Leaf,
    genesis::Genesis,
    number::{Amount, Height, LeafIndex, Round, TokenId},
    params::{BID_FLOOR, EPOCH_HEIGHTS},
    transaction::Domain,
    validator::ValidatorKey,
};
use sequencer::{BuilderConfig, BuilderStrategy, Node, NodeConfig};
use tempfile::TempDir;

use crate::{
    set::{free_ports, others},
    setup::{config, genesis_of, key, owner, sign_for, transfer, validator_number},
};

#[path = "thief.rs"]
mod thief;

use thief::{Mode, Thief};

const VALIDATORS: u8 = 4;
const INTERVAL: Duration = Duration::from_millis(300);
/// Where validator 0 wants bids paid; the others follow.
const BID_LEAF: u32 = 4;
/// Collateral of builders 0 and 1, and of the thief.
const COLLATERAL: [u32; 3] = [8, 9, 10];
/// Where builders 0 and 1 collect fees.
const FEE_LEAF: [u32; 2] = [11, 12];
const COLLATERAL_VALUE: u128 = 5_000_000_000;
const FEE: u128 = 1_000;

fn genesis() -> Genesis {
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

fn builder_key(number: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[0xb0 + number; 32]).unwrap()
}

/// Four validators and some builders; places 0 to 3 are the validators'.
struct Market {
    dir: TempDir,
    engine: Vec<SocketAddr>,
    gossip: Vec<SocketAddr>,
    nodes: BTreeMap<u8, (Node, HttpClient)>,
    domain: Domain,
    nonces: [u64; 3],
}

impl Market {
    async fn start(builders: u8) -> Self {
        let count = VALIDATORS + builders;
        let mut engine = free_ports(2 * count);
        let gossip = engine.split_off(count.into());
        let mut market = Self {
            dir: TempDir::new().unwrap(),
            engine,
            gossip,
            nodes: BTreeMap::new(),
            domain: genesis().domain(),
            nonces: [0; 3],
        };
        let launched: Vec<_> = (0..count)
            .map(|place| tokio::spawn(Node::start(market.config(place))))
            .collect();
        for (place, launched) in (0..).zip(launched) {
            let node = launched.await.unwrap().unwrap();
            let url = format!("http://{}", node.rpc_address());
            let client = HttpClientBuilder::default().build(url).unwrap();
            market.nodes.insert(place, (node, client));
        }
        market
    }

    fn config(&self, place: u8) -> NodeConfig {
        let mut config = config(&self.dir.path().join(format!("node-{place}")), INTERVAL);
        std::fs::create_dir_all(config.data_dir.parent().unwrap()).unwrap();
        config.genesis = genesis();
        let own = usize::from(place);
        config.network.engine_listen = self.engine[own];
        config.network.engine_peers = others(&self.engine, self.engine[own]);
        config.network.gossip_listen = self.gossip[own];
        config.network.gossip_peers = others(&self.gossip, self.gossip[own]);
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

    fn client(&self, place: u8) -> &HttpClient {
        &self.nodes[&place].1
    }

    async fn height(&self) -> u64 {
        self.client(0).status().await.unwrap().height
    }

    async fn block(&self, height: u64) -> BlockJson {
        self.client(0).block(Some(height)).await.unwrap()
    }

    /// Sends one operation with a fee.
    async fn pay(&mut self) {
        let mut transaction = transfer(1, 2, self.nonces[1], 1);
        transaction.fee = Amount::new(FEE).unwrap();
        self.nonces[1] += 1;
        let signed = sign_for(&self.domain, transaction);
        self.client(0).send_transaction(signed).await.unwrap();
    }

    /// Pays until a block fulfils the condition, and returns it; looks at every block from `from` on.
    async fn pay_until(
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
            tokio::time::sleep(Duration::from_millis(60)).await;
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

    async fn balance(&self, place: u8, leaf: u32) -> u128 {
        let proof = self.client(place).leaf(leaf).await.unwrap();
        proof.verify().unwrap().balance.get()
    }

    /// Waits until a node has a height.
    async fn wait_for(&self, place: u8, height: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.client(place).status().await.unwrap().height < height {
            assert!(
                Instant::now() < deadline,
                "node {place} never reaches {height}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the builder of a bid is suspended: its reports are embedded over some heights.
    async fn wait_for_suspension(&self, name: HashText) {
        let deadline = Instant::now() + Duration::from_secs(10);
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

    async fn stop(self) {
        for (node, _) in self.nodes.into_values() {
            node.stop().await.unwrap();
        }
    }
}

fn is_sold(block: &BlockJson) -> bool {
    block.bid.is_some()
}

fn burns(block: &BlockJson) -> usize {
    let entries = block.entries.iter();
    entries
        .filter(|entry| matches!(entry, EntryJson::BidBurn { .. }))
        .count()
}

fn proposer(height: u64, round: u32) -> String {
    let set = genesis().validators;
    set.proposer(Height(height), Round(round)).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn blocks_are_sold_to_the_better_builder_and_paid_exactly() {
    let mut market = Market::start(2).await;
    let mut last = 0;
    for _ in 0..6 {
        last = market.pay_until(last + 1, is_sold).await.height;
    }
    // every node, builders included, has the same blocks
    for place in 0..VALIDATORS + 2 {
        market.wait_for(place, last).await;
        let block = market.client(place).block(Some(last)).await.unwrap();
        assert_eq!(block.id, market.block(last).await.id, "node {place}");
    }
    // nothing pays any more: what was sold up to here is all that was sold, once the pool is empty
    let mut quiet = 0;
    let mut end = last;
    while quiet < 3 {
        end += 1;
        market.wait_for(0, end).await;
        quiet = if is_sold(&market.block(end).await) {
            0
        } else {
            quiet + 1
        };
    }
    let (mut paid, mut sold) = (BTreeMap::new(), BTreeMap::new());
    for height in 1..=end {
        let block = market.block(height).await;
        let Some(bid) = &block.bid else { continue };
        let value = bid.value.parse().unwrap().get();
        let author = block.author.to_string();
        let mut validators = (0..VALIDATORS).map(validator_number);
        let place = validators.position(|key| key.address().to_string() == author);
        let leaf = BID_LEAF + u32::try_from(place.unwrap()).unwrap();
        assert_eq!(block.fee_leaves[0], leaf, "the proposer's own leaf");
        *paid.entry(leaf).or_insert(0) += value;
        *sold.entry(bid.leaf).or_insert(0) += value;
    }
    for leaf in BID_LEAF..BID_LEAF + u32::from(VALIDATORS) {
        let expected = paid.get(&leaf).copied().unwrap_or(0);
        assert_eq!(market.balance(0, leaf).await, expected, "leaf {leaf}");
    }
    for leaf in COLLATERAL {
        let spent = sold.get(&leaf).copied().unwrap_or(0);
        assert_eq!(market.balance(0, leaf).await, COLLATERAL_VALUE - spent);
    }
    let richer = sold.get(&COLLATERAL[1]).copied().unwrap_or(0);
    assert!(richer > 0, "who offers 90 % sells: {sold:?}");
    assert_seen(&market).await;
    let income = market.balance(0, FEE_LEAF[1]).await;
    assert!(income > richer, "and keeps the rest: {income} of {richer}");
    market.stop().await;
}

/// Bids, what was sold, and how long it waited, as a validator and as a follower have seen it.
async fn assert_seen(market: &Market) {
    for place in [0, VALIDATORS] {
        let seen = market.client(place).bids().await.unwrap();
        assert!(seen.may_take_bids);
        let names: BTreeSet<_> = seen.bids.iter().map(|bid| bid.builder.clone()).collect();
        let known = [0, 1].map(|number| builder_key(number).address().into());
        assert!(names.is_subset(&BTreeSet::from(known)), "node {place}");
        let sold: Vec<_> = seen.bids.iter().filter(|bid| bid.is_decided).collect();
        assert!(!sold.is_empty());
        for bid in &sold {
            let block = market.block(bid.height).await;
            assert_eq!(block.id, bid.block, "node {place}");
            assert_eq!(block.bid.map(|bid| bid.value), Some(bid.value.clone()));
            assert!(bid.is_chosen && bid.is_revealed && bid.burned_at.is_none());
        }
        let inclusion = market.client(place).inclusion().await.unwrap();
        let entries = |all: &[AuthorInclusion]| -> u64 {
            all.iter().map(|author| author.delay.entries).sum()
        };
        assert!(entries(&inclusion.builders) > 0);
        assert!(entries(&inclusion.proposers) >= entries(&inclusion.builders));
    }
    let status = market.client(VALIDATORS).status().await.unwrap();
    assert_eq!(status.role, NodeRole::Follower);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_builder_that_withholds_costs_one_round_burns_once_and_is_suspended() {
    misbehave(Mode::Withhold).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_builder_that_reveals_an_invalid_payload_burns_once_and_is_suspended() {
    misbehave(Mode::Invalid).await;
}

async fn misbehave(mode: Mode) {
    let mut market = Market::start(1).await;
    let thief = Thief::start(&market.gossip, &genesis(), COLLATERAL[2]).await;
    market.pay_until(1, is_sold).await;
    thief.set(mode);
    let from = market.height().await;
    let burned = market.pay_until(from, |block| burns(block) > 0).await;
    assert_eq!(burns(&burned), 1);
    let stolen = thief.taken.load(Ordering::Relaxed);
    assert!(
        stolen > 0 && burned.height <= stolen + 17,
        "{stolen}, {}",
        burned.height
    );
    // the next proposer's block stands there, in the next round, and is not sold
    let block = market.block(stolen).await;
    assert_eq!(block.certificate.round, 1, "one round");
    assert_eq!(block.author.to_string(), proposer(stolen, 1));
    assert!(block.bid.is_none());
    assert_eq!(
        market.balance(0, COLLATERAL[2]).await,
        COLLATERAL_VALUE - BID_FLOOR
    );
    let seen = market.client(0).bids().await.unwrap();
    let mut charged = seen.bids.iter().filter(|bid| bid.burned_at.is_some());
    let charged = charged.next().expect("the burned bid was seen");
    assert_eq!((charged.height, charged.leaf), (stolen, COLLATERAL[2]));
    assert_eq!(charged.burned_at, Some(burned.height));
    assert!(charged.is_chosen && !charged.is_decided);
    assert!(charged.reporters >= 2 && charged.weight_reported >= 2);
    market.wait_for_suspension(charged.bid.clone()).await;
    let bids = thief.bids.load(Ordering::Relaxed);
    thief.set(mode);
    // it goes on bidding in vain, and honest blocks are sold again
    let sold = market.pay_until(burned.height + 1, is_sold).await;
    let end = sold.height + 4;
    market.pay_until(end, |block| block.height >= end).await;
    for height in burned.height + 1..=end {
        let block = market.block(height).await;
        assert_eq!(burns(&block), 0, "height {height}");
        assert!(block.bid.is_none_or(|bid| bid.leaf == COLLATERAL[0]));
    }
    assert!(
        thief.bids.load(Ordering::Relaxed) > bids,
        "it did bid again"
    );
    assert_eq!(
        market.balance(0, COLLATERAL[2]).await,
        COLLATERAL_VALUE - BID_FLOOR
    );
    thief.stop();
    market.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_its_builder_the_chain_goes_on_with_local_blocks() {
    let mut market = Market::start(1).await;
    market.pay_until(1, is_sold).await;
    let (builder, _) = market.nodes.remove(&VALIDATORS).unwrap();
    builder.stop().await.unwrap();
    // what it had sold when it was stopped may cost a round
    let first = market.height().await + 2;
    market.pay_until(first, |block| block.height >= first).await;
    let end = first + 8;
    market.pay_until(end, |block| block.height >= end).await;
    for height in first..=end {
        let block = market.block(height).await;
        assert!(block.bid.is_none(), "height {height}");
        assert_eq!(block.certificate.round, 0, "height {height} lost a round");
    }
    market.stop().await;
}
