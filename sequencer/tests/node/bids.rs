//! Builders and validators in one process: sold blocks, builders that withhold, and builders that are gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use api::{rpc::QuorateClient, set::AuthorInclusion, status::NodeRole};
use protocol::{
    number::{Height, Round},
    params::BID_FLOOR,
};

use crate::{
    market::{
        BID_LEAF, COLLATERAL, COLLATERAL_VALUE, FEE_LEAF, Market, VALIDATORS, builder_key, burns,
        genesis, is_sold,
    },
    setup::validator_number,
    thief::{Mode, Thief},
};

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
    let thief = Thief::start(&market.gossip_of(|_| true), &genesis(), COLLATERAL[2]).await;
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
    market.stop_one(VALIDATORS).await;
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
