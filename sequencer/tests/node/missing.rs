//! Validators to whom nothing is gossiped: what they must have they ask for, from whoever has it.

use std::{collections::BTreeMap, time::Duration};

use api::{ledger::BlockJson, rpc::QuorateClient};
use protocol::{
    number::{Height, LeafIndex, Round},
    validator::ValidatorSet,
};

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

async fn start(market: &mut Market, alone: &[u8]) -> Bridge {
    let others = market.gossip_of(|place| !alone.contains(&place));
    let bridge = Bridge::start(&market.genesis, &others).await;
    market.isolate(alone, bridge.near);
    market.launch_all().await;
    bridge
}

/// The set in which no two thirds are without both validators of weight two, and the places of the other two: one of
/// them proposes right after the other every few seconds.
fn two_light() -> (ValidatorSet, [u8; 2]) {
    let mut validators = genesis().validators.validators().to_vec();
    let light = [0, 2].map(|position: usize| {
        let address = validators[position].address;
        let mut places = 0..VALIDATORS;
        let is_its = |place: &u8| validator_number(*place).address() == address;
        places.find(is_its).unwrap()
    });
    validators[1].weight = 2;
    validators[3].weight = 2;
    (ValidatorSet::new(validators).unwrap(), light)
}

/// What comes while the block before is voted on is listed under the block of the first of two, who knows of nothing, and
/// demanded of the second. Both heavy validators list it, and every certificate holds both.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proposer_asks_for_listed_operations_that_it_has_not() {
    let (set, alone) = two_light();
    let authors = alone.map(|place| validator_number(place).address());
    let is_in_a_row = |height: &u64| {
        let at = |height| *set.proposer(Height(height), Round(0));
        [at(*height), at(height + 1)].map(|by| authors.contains(&by)) == [true, true]
    };
    assert!((1..40).filter(is_in_a_row).count() > 1, "{set:?}");

    let mut market = Market::new(0);
    market.genesis.validators = set;
    market.pause = Duration::from_millis(3);
    let bridge = start(&mut market, &alone).await;
    let mut informed = (0..VALIDATORS).filter(|place| !alone.contains(place));
    market.paid_at = informed.next().unwrap();
    let authors = authors.map(|address| address.to_string());
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
    let mut market = Market::new(1);
    let _bridge = start(&mut market, &[alone]).await;
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
    market.launch_all().await;
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
