//! A validator to whom nothing is gossiped: what it must have it asks for, from whoever has it.

use std::collections::BTreeMap;

use api::{ledger::BlockJson, rpc::QuorateClient};

use crate::{
    bridge::Bridge,
    market::{Market, VALIDATORS, genesis, is_sold},
    setup::validator_number,
};

/// First byte of the question for listed submissions.
const LISTED: u8 = 0;
/// First byte of the question for a block.
const BLOCK: u8 = 5;
/// The validator with the bridge.
const ALONE: u8 = 3;

async fn start(builders: u8) -> (Market, Bridge) {
    let mut market = Market::new(builders);
    let others = market.gossip_of(|place| place != ALONE);
    let bridge = Bridge::start(&genesis(), &others).await;
    market.isolate(ALONE, bridge.near);
    for place in 0..VALIDATORS + builders {
        market.launch(place);
    }
    market.serving().await;
    (market, bridge)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proposer_asks_for_listed_operations_that_it_has_not() {
    let (mut market, bridge) = start(0).await;
    let author = validator_number(ALONE).address().to_string();
    let is_its = |block: &BlockJson| block.author.to_string() == author;
    let block = market
        .pay_until(1, |block| is_its(block) && !block.entries.is_empty())
        .await;
    assert!(bridge.answered(LISTED) > 0, "nothing was asked for");
    // It has them from nowhere else, and the others agree.
    let held = market.client(ALONE).block(Some(block.height)).await;
    assert_eq!(held.unwrap().id, block.id);
    market.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_asks_for_the_decided_block_whose_payload_it_has_not() {
    let (mut market, bridge) = start(1).await;
    let mut sold = BTreeMap::new();
    let mut last = 0;
    for _ in 0..3 {
        let block = market.pay_until(last + 1, is_sold).await;
        last = block.height;
        sold.insert(last, block.id);
    }
    market.wait_for(ALONE, last).await;
    for (height, id) in sold {
        let held = market.client(ALONE).block(Some(height)).await;
        assert_eq!(held.unwrap().id, id, "height {height}");
    }
    assert!(bridge.answered(BLOCK) > 0, "nothing was asked for");
    market.stop().await;
}
