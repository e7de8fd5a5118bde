//! `quorate snapshot` from outside, on the data of a real node: made, checked, restored, and refused with the right exit code.

#[path = "support/node.rs"]
#[expect(dead_code, reason = "the rest of it is for other tests")]
mod node;

use std::path::Path;
use std::time::{Duration, Instant};

use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use jsonrpsee::http_client::HttpClient;
use protocol::number::{Amount, Height, LeafIndex, Nonce};
use protocol::transaction::{Action, Domain, SignedTransaction, Transaction};
use serde_json::Value;

use crate::node::{Chain, funded_key, quorate};

/// Chain id of development chains.
const CHAIN_ID: u64 = 31_337;
/// A batch seals ten seconds after its first operation.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `quorate snapshot` and checks the exit code; what it said on stdout and stderr.
fn snapshot(code: i32, words: &[&str], paths: &[(&str, &Path)]) -> (String, String) {
    let mut command = quorate();
    command.arg("snapshot").args(words).arg("--json");
    for (flag, path) in paths {
        if !flag.is_empty() {
            command.arg(flag);
        }
        command.arg(path);
    }
    let output = command.output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said.1);
    said
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON object on stdout")
}

async fn pay(client: &HttpClient, nonce: u64) {
    let info = client.chain().await.expect("the chain");
    let domain = Domain(info.domain.parse().expect("a field element"));
    let key = funded_key(0);
    let amount = Amount::new(7).expect("an amount");
    let transaction = Transaction {
        from: LeafIndex(1), // leaf 0 collects fees
        nonce: Nonce(nonce),
        valid_until: Height(1 << 40),
        fee: Amount::ZERO,
        action: Action::Transfer {
            to: LeafIndex(2),
            amount,
        },
    };
    let signed = SignedTransaction {
        transaction,
        key: key.public(),
        signature: key.sign(&transaction.message(&domain, false)),
    };
    let signed = SignedTransactionJson::new(CHAIN_ID, &signed);
    client.send_transaction(signed).await.expect("it is taken");
}

/// A chain whose first batch is certified, stopped; and the root that its node had.
async fn certified() -> Chain {
    let chain = Chain::new(2, &[("block_interval_ms", 50)]);
    let node = chain.start();
    let client = node.client();
    pay(&client, 0).await;
    let until = Instant::now() + PATIENCE;
    loop {
        let status = client.status().await.expect("a status");
        if status.batch_certified == 1 {
            break;
        }
        assert!(Instant::now() < until, "{status:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::task::spawn_blocking(move || node.stop())
        .await
        .expect("a stop");
    chain
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_started_from_a_snapshot_and_wrong_input_is_refused() {
    let chain = certified().await;
    let (genesis, data) = (chain.path("genesis.json"), chain.path("data"));
    let file = chain.path("chain.snapshot");
    let trusted = ("--genesis", genesis.as_path());
    let make = [trusted, ("--data", &data), ("--out", &file)];
    let (made, _) = snapshot(0, &["make"], &make);
    let made = json(&made);
    assert_eq!(made["batch"], 1);
    let (_, again) = snapshot(2, &["make"], &make);
    assert!(again.contains("never overwritten"), "{again}");

    let (checked, _) = snapshot(0, &["check"], &[("", &file), trusted]);
    let checked = json(&checked);
    for field in ["height", "block", "root", "contents", "leaf_count", "bytes"] {
        assert_eq!(made[field], checked[field], "{field}");
    }
    // a genesis that differs in one account
    let other = Chain::new(3, &[]);
    let stranger = other.path("genesis.json");
    let wrong = [("", file.as_path()), ("--genesis", stranger.as_path())];
    let (_, refused) = snapshot(1, &["check"], &wrong);
    assert!(refused.contains("it is of genesis"), "{refused}");
    let mut bytes = std::fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = chain.path("damaged");
    std::fs::write(&damaged, &bytes).expect("write");
    let fresh = chain.path("fresh");
    let restore = |file| [("", file), trusted, ("--data", fresh.as_path())];
    let (_, refused) = snapshot(4, &["restore"], &restore(damaged.as_path()));
    assert!(refused.contains("damaged"), "{refused}");
    assert!(!fresh.exists(), "nothing was written");
    let absent = chain.path("absent");
    snapshot(2, &["check"], &[("", &absent), trusted]);
    snapshot(2, &["restore"], &[("", &file), trusted, ("--data", &data)]);
    snapshot(
        3,
        &["make"],
        &[trusted, ("--data", &absent), ("--out", &absent)],
    );

    snapshot(0, &["restore"], &restore(file.as_path()));
    std::fs::rename(&data, chain.path("before")).expect("the old database moves away");
    std::fs::rename(&fresh, &data).expect("the new one takes its place");
    let node = chain.start();
    let status = node.client().status().await.expect("a status");
    assert_eq!(made["root"], serde_json::json!(status.root));
    assert_eq!((status.batch_certified, status.batch_open), (1, 2));
    assert_eq!(status.batch_proven, 0, "it has seen no proof");
    assert_eq!(made["blocks_from"], status.blocks_from);
    let old = node
        .client()
        .block(Some(1))
        .await
        .expect_err("it is not there");
    assert!(old.to_string().contains("pruned here"), "{old}");
    tokio::task::spawn_blocking(move || node.stop())
        .await
        .expect("a stop");
}
