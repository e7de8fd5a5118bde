//! Sets of validators as real processes, while payments flow and processes die: one story of blocks, and nothing lost
//! that was acknowledged.
//!
//! Tests of a single node are quick; those of four take half a minute each.

#[path = "set/clocks.rs"]
mod clocks;
#[path = "set/devnet.rs"]
mod devnet;
#[path = "set/floods.rs"]
mod floods;
#[path = "set/full_disk.rs"]
mod full_disk;
#[path = "set/heckler.rs"]
mod heckler;
#[path = "support/links.rs"]
mod links;
#[path = "set/market.rs"]
mod market;
#[path = "support/node.rs"]
#[expect(dead_code, reason = "tests of a single node use the rest")]
mod node;
#[path = "set/partitions.rs"]
mod partitions;
#[path = "set/payer.rs"]
mod payer;
#[path = "../../sequencer/src/sets/tests/ports.rs"]
mod ports;
#[path = "support/set.rs"]
mod set;
#[path = "set/soft.rs"]
mod soft;
#[path = "set/twins.rs"]
mod twins;

use std::time::Duration;

use crate::payer::Load;
use crate::set::Set;

/// Payers, one for each funded leaf.
const ACCOUNTS: u32 = 4;
/// Validators of a set that stands one fault.
const FOUR: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_one_keeps_its_blocks_and_payments_over_kills() {
    kills_of_all(1, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_one_that_stood_still_goes_on() {
    let mut set = Set::start(1, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(3).await;
    set.pause(0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    set.resume(0);
    set.advance(3).await;
    load.settle(&mut set).await;
    set.stop_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn four_nodes_order_the_same_blocks_slow() {
    let mut set = Set::start(FOUR, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(30).await;
    let payments = load.settle(&mut set).await;
    assert!(payments > 100, "{payments} payments in 30 blocks");
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_go_on_without_a_killed_node_and_it_catches_up_slow() {
    let mut set = Set::start(FOUR, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(5).await;
    set.kill(3);
    set.advance(10).await;
    set.start_one(3);
    set.advance(5).await;
    load.settle(&mut set).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_empty_directory_catches_up_slow() {
    let mut set = Set::start(FOUR, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(10).await;
    // What only this node holds would be lost with its directory: nobody pays when it goes.
    load.settle(&mut set).await;
    set.kill(2);
    set.wipe(2);
    set.advance(5).await;
    set.start_one(2);
    set.advance(10).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_all_nodes_lose_nothing_acknowledged_slow() {
    kills_of_all(FOUR, 5).await;
}

/// Kills every node at once, again and again, while payments flow.
async fn kills_of_all(count: usize, kills: u32) {
    let mut set = Set::start(count, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    for kill in 0..kills {
        set.advance(2).await;
        // Not always at the same place between two blocks.
        tokio::time::sleep(Duration::from_millis(u64::from(kill) * 37)).await;
        set.compare().await;
        set.kill_all();
        set.start_all();
    }
    set.advance(2).await;
    load.settle(&mut set).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_for_five_seconds_catches_up_slow() {
    let mut set = Set::start(FOUR, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(5).await;
    set.pause(1);
    let before = set.highest().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(set.highest().await > before, "three of four do not go on");
    set.resume(1);
    set.advance(5).await;
    load.settle(&mut set).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decided_without_two_thirds_slow() {
    let mut set = Set::start(FOUR, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(5).await;
    set.pause(0);
    set.pause(1);
    // Votes that are on their way may still decide one block.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = set.highest().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(set.highest().await, before, "two of four have decided");
    set.compare().await;
    set.resume(0);
    set.resume(1);
    set.advance(5).await;
    load.settle(&mut set).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_restored_from_an_old_copy_catches_up_and_signs_nothing_twice_slow() {
    let mut set = Set::start(FOUR, ACCOUNTS);
    let load = Load::start(&set, ACCOUNTS).await;
    set.advance(5).await;
    set.kill(3);
    let copy = set.back_up(3);
    set.start_one(3);
    set.advance(10).await;
    // What only this node has acknowledged since the copy would be lost with it.
    load.settle(&mut set).await;
    set.kill(3);
    set.restore(3, &copy);
    set.start_one(3);
    set.advance(10).await;
    set.stop_all();
    // A second signature for a place it had signed before would be evidence on some other node.
    assert_eq!(set.evidence().len(), 0);
}
