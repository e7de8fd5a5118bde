//! A devnet with two builders, one for each strategy: validators sell them blocks while payments flow, a builder's death
//! leaves the trade to the other, and the death of everything at once loses nothing acknowledged.

use std::time::{Duration, Instant};

use api::rpc::QuorateClient;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use nix::sys::signal::{Signal, kill};
use protocol::transaction::Domain;

use crate::devnet::Devnet;
use crate::payer::Load;
use crate::set::PATIENCE;

const VALIDATORS: usize = 4;
const ACCOUNTS: u32 = 4;
/// What each payment pays: a share of it is worth a bid.
const FEE: u128 = 1_000_000;
/// Collateral of the builders, highest fee first and first come: after the fee leaf, accounts and validators' leaves
/// come two leaves for each.
const COLLATERAL: [u32; 2] = [9, 11];
/// An answer takes less, unless the process is gone.
const ANSWER_MAX: Duration = Duration::from_secs(5);

fn clients(devnet: &Devnet) -> Vec<HttpClient> {
    let client = |number| {
        let builder = HttpClientBuilder::default().request_timeout(ANSWER_MAX);
        builder.build(devnet.rpc(number)).expect("a client")
    };
    (0..VALIDATORS).map(client).collect()
}

async fn height(client: &HttpClient) -> u64 {
    client.status().await.expect("a status").height
}

/// Waits until a block above this height is sold to the builder whose collateral lies in this leaf. A proposer sells when
/// it has heard of a bid before its turn begins, which is rare where a core is shared by many nodes.
async fn sold_to(leaf: u32, client: &HttpClient, mut from: u64) {
    let until = Instant::now() + 2 * PATIENCE;
    let mut is_sold = false;
    while !is_sold {
        assert!(
            Instant::now() < until,
            "no block up to {from} is sold to {leaf}"
        );
        if height(client).await <= from {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        from += 1;
        let block = client.block(Some(from)).await.expect("a block");
        is_sold = block.bid.is_some_and(|bid| bid.leaf == leaf);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builders_of_both_strategies_buy_blocks_and_no_death_loses_a_payment_slow() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("chain");
    let words = [
        ["--validators", "4"],
        ["--builders", "2"],
        ["--data", data.to_str().expect("UTF-8")],
    ];
    let words = words.as_flattened();
    let devnet = Devnet::start(words);
    let nodes = clients(&devnet);
    let info = nodes[0].chain().await.expect("the chain");
    let domain = Domain(info.domain.parse().expect("a field element"));
    let load = Load::start_on(&nodes, domain, ACCOUNTS, FEE);
    // Who gives more of the fees away buys, if he runs.
    sold_to(COLLATERAL[0], &nodes[0], 0).await;
    let [highest_fee] = devnet.children("highest-fee")[..] else {
        panic!("{:?}", devnet.children(""));
    };
    kill(highest_fee, Signal::SIGKILL).expect("it runs");
    sold_to(COLLATERAL[1], &nodes[0], height(&nodes[0]).await).await;
    let books = load.stop().await;
    let children = devnet.children("");
    kill(devnet.pid(), Signal::SIGKILL).expect("it runs");
    // Nodes and builders end with it, and only then their databases can be opened again.
    let until = Instant::now() + PATIENCE;
    for child in children {
        while std::path::Path::new(&format!("/proc/{child}/exe")).exists() {
            assert!(
                Instant::now() < until,
                "process {child} outlives its devnet"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    for number in 0..VALIDATORS {
        assert!(Devnet::is_silent(&devnet.rpc(number)), "node {number}");
    }
    drop(devnet);

    let mut devnet = Devnet::start(words);
    let nodes = clients(&devnet);
    let last = books.check(&nodes).await;
    let mut known = None;
    for node in &nodes {
        let block = node.block(Some(last)).await.expect("a block").id;
        assert_eq!(*known.get_or_insert_with(|| block.clone()), block);
    }
    kill(devnet.pid(), Signal::SIGTERM).expect("it runs");
    let (code, text) = devnet.ended();
    assert_eq!(code, Some(0), "{text}");
}
