//! Validators to whom nothing is gossiped: what they must have they ask for, from whoever has it.

use std::collections::BTreeMap;

use api::{ledger::BlockJson, rpc::QuorateClient};
use protocol::number::{Height, LeafIndex, Round};

use crate::{
    bridge::Bridge,
    market::{BID_LEAF, Market, VALIDATORS, genesis, is_sold},
    setup::validator_number,
};

/// First byte of the question for listed submissions.
const LISTED: u8 = 0;
/// First byte of the question for a block by its id.
const BLOCK: u8 = 5;
/// Sold blocks to look at: on a busy machine a payload may come with a lock that was published before the decision.
const SOLD: usize = 10;

async fn start(builders: u8, alone: &[u8]) -> (Market, Bridge) {
    let mut market = Market::new(builders);
    let others = market.gossip_of(|place| !alone.contains(&place));
    let bridge = Bridge::start(&genesis(), &others).await;
    market.isolate(alone, bridge.near);
    for place in 0..VALIDATORS + builders {
        market.launch(place);
    }
    market.serving().await;
    (market, bridge)
}

/// Place of a height's first proposer.
fn proposer(height: u64) -> u8 {
    let set = genesis().validators;
    let address = set.proposer(Height(height), Round(0));
    let mut places = 0..VALIDATORS;
    let is_its = |place: &u8| validator_number(*place).address() == *address;
    places.find(is_its).unwrap()
}

/// What is pending while the first of two proposes, who knows of nothing, is listed when it is the second's turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proposer_asks_for_listed_operations_that_it_has_not() {
    let alone = [proposer(1), proposer(2)];
    assert_ne!(alone[0], alone[1]);
    let (mut market, bridge) = start(0, &alone).await;
    let informed = (0..VALIDATORS)
        .find(|place| !alone.contains(place))
        .unwrap();
    market.paid_at = informed;
    let authors = alone.map(|place| validator_number(place).address().to_string());
    let is_theirs = |block: &BlockJson| authors.contains(&block.author.to_string());
    let block = market
        .pay_until(1, |block| is_theirs(block) && !block.entries.is_empty())
        .await;
    assert!(bridge.asked(LISTED) > 0, "nothing was asked for");
    for place in 0..VALIDATORS {
        market.wait_for(place, block.height).await;
        let held = market.client(place).block(Some(block.height)).await;
        assert_eq!(held.unwrap().id, block.id, "place {place}");
    }
    market.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_to_which_no_payload_was_revealed_has_the_sold_blocks_all_the_same() {
    let alone = VALIDATORS - 1;
    let (mut market, _bridge) = start(1, &[alone]).await;
    let mut sold = BTreeMap::new();
    let mut last = 0;
    for _ in 0..3 {
        let block = market.pay_until(last + 1, is_sold).await;
        last = block.height;
        sold.insert(last, block.id);
    }
    market.wait_for(alone, last).await;
    for (height, id) in sold {
        let held = market.client(alone).block(Some(height)).await;
        assert_eq!(held.unwrap().id, id, "height {height}");
    }
    market.stop().await;
}

/// A proposer votes for what it has sold unseen, so a decision may come before the payload: here it never comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proposer_asks_for_the_block_that_it_sold_if_the_payload_was_revealed_to_others_only() {
    let seller = VALIDATORS - 1;
    let mut market = Market::new(1);
    let others = market.gossip_of(|place| place != seller);
    let leaf = LeafIndex(BID_LEAF + u32::from(seller));
    let paid = (validator_number(seller), leaf);
    let bridge = Bridge::start_for_seller(&genesis(), &others, paid).await;
    market.isolate(&[seller], bridge.near);
    for place in 0..=VALIDATORS {
        market.launch(place);
    }
    market.serving().await;
    let author = validator_number(seller).address().to_string();
    let is_wanted = |block: &BlockJson| is_sold(block) && block.author.to_string() == author;
    let mut last = 0;
    for _ in 0..SOLD {
        let block = market.pay_until(last + 1, is_wanted).await;
        last = block.height;
        market.wait_for(seller, last).await;
        let held = market.client(seller).block(Some(last)).await;
        assert_eq!(held.unwrap().id, block.id, "height {last}");
        if bridge.asked(BLOCK) > 0 {
            break;
        }
    }
    assert!(bridge.asked(BLOCK) > 0, "nothing was asked for");
    market.stop().await;
}
