//! `quorate_sendTransaction` on one node over its public JSON-RPC: accepted means signature checked and on disk.
//!
//! The node runs in this process on a runtime of its own and does all it always does meanwhile: it makes a block every
//! 200 ms, executes it, stores it and writes chunk witnesses. The load comes from a thread of the same process that
//! only copies prepared bytes to sockets and reads answers, so it shares the cores with the node. Operations are
//! signed beforehand, each is sent once, and an answer that is not an id ends the measurement.
//!
//! * Closed loop: every connection sends its next request when the last one was answered.
//! * Open loop: requests fall due at a fixed rate whether or not the node keeps up, and latency counts from when a
//!   request was due. This is the p99 that a client sees.

mod load;

use std::{path::Path, sync::Arc, time::Duration};

use api::{jobs::Circuit, operation::SignedTransactionJson};
use protocol::{
    account::{L1Address, Leaf},
    genesis::Genesis,
    hash::keccak256,
    number::{Amount, Height, LeafIndex, Nonce, TokenId},
    signature::SecretKey,
    threaded::FeeLeaves,
    transaction::{Action, SignedTransaction, Transaction},
    validator::{ValidatorKey, ValidatorSet},
};
use rayon::prelude::*;
use sequencer::{Node, NodeConfig, ProofVerifier};

use crate::report::{Row, median};
use load::{Load, Measured, Pace, Transport};

/// Leaves that send. Each sends in turn, so nonces rise evenly.
const SENDERS: u32 = 4_096;
/// Operations signed beforehand: more than the node accepts while it is measured.
const OPERATIONS: usize = 80_000;
/// Connections of a closed loop.
const CONNECTIONS: usize = 64;
/// Connections that an open loop may use.
const OPEN_CONNECTIONS: usize = 192;
/// Rates of the open loop, per second: half the target, and the target.
const OPEN_RATES: [u32; 2] = [2_500, 5_000];
/// Time before measuring.
const WARM_UP: Duration = Duration::from_secs(2);
/// One measurement.
const WINDOW: Duration = Duration::from_secs(4);
/// Measurements of one load; the median counts.
const WINDOWS: usize = 3;
const CHAIN_ID: u64 = 31_337;

/// Proofs are not what is measured; none is submitted.
struct NoProofs;

impl ProofVerifier for NoProofs {
    fn verify(&self, _: Circuit, _: &[[u8; 32]], _: &[u8]) -> Result<(), String> {
        Err("this node takes no proofs".into())
    }
}

fn validator() -> ValidatorKey {
    ValidatorKey::from_bytes(&[7; 32]).expect("a scalar in range")
}

fn amount(value: u128) -> Amount {
    Amount::new(value).expect("benchmark amounts are below 2^120")
}

fn secret(sender: u32) -> SecretKey {
    SecretKey::from_seed(&keccak256(&sender.to_be_bytes()))
}

fn genesis(keys: &[SecretKey]) -> Genesis {
    let leaf = |key: &SecretKey| {
        let owner = L1Address([7; 20]);
        Leaf::new(key.public().into(), owner, TokenId(0), amount(1 << 80))
    };
    Genesis {
        chain_id: CHAIN_ID,
        rollup: L1Address([0xee; 20]),
        reference_string: "bench".into(),
        validators: ValidatorSet::of_one(validator().address()),
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).expect("one fee leaf"),
        timestamp_ms: 1_000,
        leaves: keys.iter().map(leaf).collect(),
    }
}

/// JSON-RPC requests, in an order in which every sender's nonces rise.
fn requests(keys: &[SecretKey], genesis: &Genesis) -> Vec<Vec<u8>> {
    let domain = genesis.domain();
    let count = keys.len();
    (0..OPERATIONS)
        .into_par_iter()
        .map(|place| {
            let (from, to) = (place % count, (place * 7 + 1) % count);
            let index = |place: usize| LeafIndex(u32::try_from(place).expect("few senders"));
            let transaction = Transaction {
                from: index(from),
                nonce: Nonce(u64::try_from(place / count).expect("small")),
                valid_until: Height(1 << 30),
                fee: amount(10),
                action: Action::Transfer {
                    to: index(to),
                    amount: amount(1_000),
                },
            };
            let signed = SignedTransaction {
                transaction,
                key: keys[from].public(),
                signature: keys[from].sign(&transaction.message(&domain, false)),
            };
            let request = serde_json::json!({
                "jsonrpc": "2.0",
                "id": place,
                "method": "quorate_sendTransaction",
                "params": [SignedTransactionJson::new(CHAIN_ID, &signed)],
            });
            serde_json::to_vec(&request).expect("no map keys but strings")
        })
        .collect()
}

fn config(genesis: &Genesis, directory: &Path) -> NodeConfig {
    let keys = (vec![1], vec![2]);
    let directory = directory.join("db");
    let mut config = NodeConfig::new(
        genesis.clone(),
        directory,
        validator(),
        keys,
        Arc::new(NoProofs),
    );
    config.rpc.listen.set_port(0);
    config.jobs.listen.set_port(0);
    // The pool must not fill: what is measured is admission, not refusal.
    config.mempool.entries_max = OPERATIONS;
    config.mempool.bytes_max = 1 << 30;
    config
}

/// Runs a fresh node under a load.
fn measure(genesis: &Genesis, requests: &Arc<Vec<Vec<u8>>>, load: Load) -> Measured {
    // Not the system's temporary directory, which may be memory: a synced write must reach a disk.
    std::fs::create_dir_all("target").expect("the checkout is writable");
    let directory = tempfile::tempdir_in("target").expect("the checkout is writable");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let config = config(genesis, directory.path());
    let node = runtime
        .block_on(Node::start(config))
        .expect("a fresh node starts");
    let measured = load.run(node.rpc_address(), Arc::clone(requests));
    runtime.block_on(node.stop()).expect("the node stops");
    measured
}

fn rows_of(name: &str, measured: &Measured) -> Vec<Row> {
    let of = |value: fn(&load::Window) -> f64| median(measured.windows.iter().map(value).collect());
    vec![
        Row::alone(
            &format!("rpc_{name}_accepted"),
            "per second",
            of(|window| window.per_second),
        ),
        Row::alone(&format!("rpc_{name}_p50"), "ms", of(|window| window.p50_ms)),
        Row::alone(&format!("rpc_{name}_p99"), "ms", of(|window| window.p99_ms)),
    ]
}

/// All rows of this file.
#[must_use]
pub(crate) fn rows() -> Vec<Row> {
    let keys: Vec<SecretKey> = (0..SENDERS).into_par_iter().map(secret).collect();
    let genesis = genesis(&keys);
    let requests = Arc::new(requests(&keys, &genesis));
    let run = |transport, connections, pace| {
        let load = Load {
            transport,
            connections,
            pace,
            warm_up: WARM_UP,
            window: WINDOW,
            windows: WINDOWS,
        };
        measure(&genesis, &requests, load)
    };
    let http = run(Transport::Http, CONNECTIONS, Pace::Closed);
    let mut rows = rows_of("http_closed", &http);
    let websocket = run(Transport::WebSocket, CONNECTIONS, Pace::Closed);
    rows.extend(rows_of("websocket_closed", &websocket));
    for rate in OPEN_RATES {
        let open = run(Transport::Http, OPEN_CONNECTIONS, Pace::Open(rate));
        rows.extend(rows_of(&format!("http_open_{rate}"), &open));
    }
    rows
}
