//! Four processes whose network is split, deaf, mute and slow: what less than two thirds cannot decide waits, what more
//! than two thirds decide goes on, and afterwards all tell one story without a trace of guilt.

use std::time::Duration;

use api::rpc::QuorateClient;

use crate::FOUR;
use crate::payer::Load;
use crate::set::Set;

/// Enough to have something to lose.
const PAYERS: u32 = 2;
/// Votes that are on their way may still decide one block.
const IN_FLIGHT: Duration = Duration::from_secs(1);
/// Several rounds fit, each with a proposal and votes that lead nowhere; nodes in mode `available` would make soft blocks.
const SPLIT: Duration = Duration::from_secs(7);
/// One way between two nodes: as between continents.
const FAR: Duration = Duration::from_millis(100);

/// All nodes get on, hold every payment, and none has signed twice.
async fn end_well(mut set: Set, load: Load) {
    set.advance(3).await;
    load.settle(&mut set).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_halves_decide_nothing_and_go_on_together_slow() {
    let (mut set, links) = Set::start_linked(FOUR, PAYERS);
    let load = Load::start(&set, PAYERS).await;
    set.advance(5).await;
    links.split(&[0, 1]);
    tokio::time::sleep(IN_FLIGHT).await;
    let before = set.heights().await;
    tokio::time::sleep(SPLIT).await;
    assert_eq!(set.heights().await, before, "two of four have decided");
    for client in set.clients() {
        let soft = client.soft_chain().await.expect("an answer");
        assert!(soft.heads.is_empty() && !soft.is_active, "{soft:?}");
    }
    set.compare().await;
    links.heal();
    end_well(set, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_go_on_without_the_one_cut_off_and_it_catches_up_slow() {
    let (mut set, links) = Set::start_linked(FOUR, PAYERS);
    let load = Load::start(&set, PAYERS).await;
    set.advance(5).await;
    links.split(&[2]);
    tokio::time::sleep(IN_FLIGHT).await;
    let alone = set.height(2).await;
    let target = set.highest().await + 6;
    set.reach_on(&[0, 1, 3], target).await;
    assert_eq!(set.height(2).await, alone, "one of four has decided");
    links.heal();
    end_well(set, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_node_and_then_a_mute_one_hold_up_nobody_and_catch_up_slow() {
    let (mut set, links) = Set::start_linked(FOUR, PAYERS);
    let load = Load::start(&set, PAYERS).await;
    set.advance(5).await;
    links.deafen(3);
    tokio::time::sleep(IN_FLIGHT).await;
    let target = set.highest().await + 5;
    set.reach_on(&[0, 1, 2], target).await;
    assert!(set.height(3).await < target, "it has heard nothing");
    links.heal();
    set.advance(3).await;
    links.mute(1);
    tokio::time::sleep(IN_FLIGHT).await;
    let unheard = set.highest().await + 1;
    let target = unheard + 5;
    set.reach_on(&[0, 2, 3], target).await;
    for height in unheard..=target {
        let block = set.client(0).block(Some(height)).await.expect("a block");
        assert_ne!(block.author, set.validator(1), "height {height}");
    }
    links.heal();
    end_well(set, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_go_on_over_slow_lines_slow() {
    let (mut set, links) = Set::start_linked(FOUR, PAYERS);
    let load = Load::start(&set, PAYERS).await;
    links.delay(FAR);
    set.advance(6).await;
    end_well(set, load).await;
}
