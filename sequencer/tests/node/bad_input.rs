//! Bad input, and what it gets: a typed error with reason and hint, the node unharmed.

use std::time::Duration;

use api::{
    ApiError, ErrorCode, operation::SignedTransactionJson, rpc::QuorateClient, status::Stage,
};
use jsonrpsee::core::ClientError;
use protocol::number::{Amount, Height};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::setup::{sign, start, transfer, wait_for};

const FAST: Duration = Duration::from_millis(50);

/// Sends raw bytes as one HTTP request; returns status line and body.
pub(crate) async fn http(
    address: std::net::SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(body).await; // the server may refuse before it has read everything
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (
        head.lines().next().unwrap_or("").to_owned(),
        body.to_owned(),
    )
}

fn code(error: &ClientError) -> ErrorCode {
    let ClientError::Call(object) = error else {
        panic!("{error:?}")
    };
    let api = ApiError::from_object(object).unwrap_or_else(|| panic!("{object:?}"));
    assert!(!api.reason.is_empty() && !api.details().hint.is_empty());
    api.code
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_operation_has_its_code_and_the_node_goes_on() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), FAST).await;
    let good = sign(transfer(1, 2, 0, 1));
    let id = client.send_transaction(good.clone()).await.unwrap();
    wait_for(&client, &id, Stage::Certified).await;

    let next = sign(transfer(1, 2, 1, 1));
    let with = |change: &dyn Fn(&mut SignedTransactionJson)| {
        let mut bad = next.clone();
        change(&mut bad);
        bad
    };
    let hex = |digits: &str| api::text::FieldText(format!("0x{digits:0>64}"));
    let modulus = "30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
    let mut expired = transfer(1, 2, 1, 1);
    expired.valid_until = Height(0);
    let mut fee = transfer(1, 2, 1, 1);
    fee.fee = Amount::new(257).unwrap();
    let cases = [
        (
            "chain",
            with(&|bad| bad.chain_id = 1),
            ErrorCode::WrongChain,
        ),
        (
            "key off the curve",
            with(&|bad| bad.key.x = hex("1")),
            ErrorCode::InvalidPoint,
        ),
        (
            "small order",
            with(&|bad| (bad.key.x, bad.key.y) = (hex("0"), hex("1"))),
            ErrorCode::SmallOrderKey,
        ),
        (
            "field of p",
            with(&|bad| bad.key.x = hex(modulus)),
            ErrorCode::NonCanonicalField,
        ),
        (
            "S of p",
            with(&|bad| bad.signature.s = hex(modulus)),
            ErrorCode::NonCanonicalField,
        ),
        (
            "hex",
            with(&|bad| bad.key.x.0 = "0xZZ".into()),
            ErrorCode::MalformedText,
        ),
        (
            "amount text",
            with(&|bad| bad.transaction.fee.0 = "1e3".into()),
            ErrorCode::MalformedText,
        ),
        (
            "amount of 2^120",
            with(&|bad| bad.transaction.fee.0 = (1_u128 << 120).to_string()),
            ErrorCode::AmountOutOfRange,
        ),
        (
            "signature",
            with(&|bad| bad.transaction.nonce = 2),
            ErrorCode::InvalidSignature,
        ),
        ("replay", good, ErrorCode::NonceUsed),
        ("gap", sign(transfer(1, 2, 1_000, 1)), ErrorCode::NonceGap),
        (
            "balance",
            sign(transfer(1, 2, 1, 5_000_000)),
            ErrorCode::InsufficientBalance,
        ),
        (
            "amount float",
            sign(transfer(1, 2, 1, (1 << 30) + 1)),
            ErrorCode::AmountNotFloat,
        ),
        ("fee float", sign(fee), ErrorCode::FeeNotFloat),
        ("token", sign(transfer(1, 3, 1, 1)), ErrorCode::UnknownToken),
        ("leaf", sign(transfer(1, 77, 1, 1)), ErrorCode::UnknownLeaf),
        ("expiry", sign(expired), ErrorCode::Expired),
    ];
    for (what, transaction, expected) in cases {
        let error = client.send_transaction(transaction).await.unwrap_err();
        assert_eq!(code(&error), expected, "{what}");
    }
    let group = client
        .send_atomic_group(vec![next.clone()])
        .await
        .unwrap_err();
    assert_eq!(code(&group), ErrorCode::GroupSize);
    assert_eq!(
        code(&client.leaf(99).await.unwrap_err()),
        ErrorCode::UnknownLeaf
    );
    assert_eq!(
        code(&client.block(Some(1 << 60)).await.unwrap_err()),
        ErrorCode::UnknownBlock
    );
    assert_eq!(
        code(&client.batch(Some(99)).await.unwrap_err()),
        ErrorCode::UnknownBatch
    );
    assert_eq!(
        code(&client.bundle(0).await.unwrap_err()),
        ErrorCode::UnknownBatch
    );
    let page = client
        .transactions_of_leaf(1, Some("nonsense".into()), None)
        .await
        .unwrap_err();
    assert_eq!(code(&page), ErrorCode::InvalidPage);
    let id = client.send_transaction(next).await.unwrap();
    wait_for(&client, &id, Stage::Certified).await;
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_answered_with_reason_and_hint() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), FAST).await;
    let address = node.rpc_address();
    let call = |method: &str, params: Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
    };
    let mut surprise = serde_json::to_value(sign(transfer(1, 2, 0, 1))).unwrap();
    surprise["surprise"] = json!(1);
    let one = json!({"jsonrpc": "2.0", "id": 1, "method": "quorate_status", "params": []});
    let cases = [
        (b"{\"jsonrpc\": ".to_vec(), -32700),
        (b"\xff\xfe\x00".to_vec(), -32700),
        (call("quorate_nothing", json!([])).into_bytes(), -32601),
        (call("quorate_leaf", json!(["one"])).into_bytes(), -32602),
        (
            call("quorate_sendTransaction", json!([surprise])).into_bytes(),
            -32602,
        ),
        (
            json!(vec![one.clone(); 101]).to_string().into_bytes(),
            -32010,
        ),
    ];
    for (body, expected) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let (_, answer) = http(address, "POST", "/", &body).await;
        let json = answer
            .find('{')
            .map_or("", |start| &answer[start..=answer.rfind('}').unwrap()]);
        let error = &serde_json::from_str::<Value>(json)
            .unwrap_or_else(|_| panic!("{shown}: {answer}"))["error"];
        assert_eq!(error["code"], expected, "{shown}: {answer}");
        for field in ["reason", "hint", "docs"] {
            assert!(
                error["data"][field]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{shown}: {answer}"
            );
        }
    }
    let (status, _) = http(address, "POST", "/", &vec![b' '; 2 << 20]).await;
    assert!(status.contains("413"), "{status}");
    let by_name = call("quorate_leaf", json!({"index": 1}));
    let (_, answer) = http(address, "POST", "/", by_name.as_bytes()).await;
    assert!(answer.contains("siblings"), "{answer}");
    assert!(client.status().await.is_ok());
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_served_on_the_same_port() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), FAST).await;
    let id = client
        .send_transaction(sign(transfer(1, 2, 0, 1)))
        .await
        .unwrap();
    wait_for(&client, &id, Stage::Certified).await;
    let address = node.rpc_address();
    for (path, expected) in [
        ("/livez", "live"),
        ("/readyz", "ready"),
        ("/version", "0.1.0"),
    ] {
        let (status, body) = http(address, "GET", path, b"").await;
        assert!(
            status.contains("200") && body.contains(expected),
            "{path}: {status} {body}"
        );
    }
    let (_, metrics) = http(address, "GET", "/metrics", b"").await;
    for name in [
        "sequencer_height",
        "sequencer_operations_total",
        "sequencer_admissions_total",
    ] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_on_the_same_database_or_with_another_key_is_refused() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, _client) = start(dir.path(), FAST).await;
    let again = sequencer::Node::start(crate::setup::config(dir.path(), FAST)).await;
    assert!(again.unwrap_err().to_string().contains("in use"));
    let mut other = crate::setup::config(&dir.path().join("other"), FAST);
    other.validator_key = protocol::validator::ValidatorKey::from_bytes(&[8; 32]).unwrap();
    let refused = sequencer::Node::start(other).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("genesis names validator")
    );
    node.stop().await.unwrap();
}
