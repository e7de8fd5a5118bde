//! Nodes that lie, stall, refuse or talk nonsense: what `EthereumClient` makes of each.
//!
//! Every lie starts from an honest answer (blocks and proofs of the embedded chain, receipts with their real root) and
//! changes one thing; the honest answer is shown to be believed. The node is a few lines of HTTP on a local
//! port. That the client works with a real node is `conformance.rs`.

#[path = "lying_node/node.rs"]
mod node;

use std::time::Duration;

use alloy_consensus::proofs::calculate_receipt_root;
use alloy_consensus::{Header, ReceiptEnvelope, Sealable, Sealed, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use serde_json::{Value, json};
use settlement::{
    BaseLayer, BaseLayerError, BlockAt, BlockPlan, Call, Contradiction, Culprit,
    DEVELOPMENT_CHAIN_ID, EmbeddedChain, EmbeddedConfig, EthereumClient, EthereumConfig, LogFilter,
    Rejection, TransactionSigner,
};

use node::{Answer, Node};

/// How long the client waits for nodes that stall.
const TIMEOUT: Duration = Duration::from_millis(500);

async fn connect(url: &str) -> Result<EthereumClient, BaseLayerError> {
    let config = EthereumConfig {
        url: url.to_owned(),
        chain_id: DEVELOPMENT_CHAIN_ID,
        timeout: TIMEOUT,
    };
    EthereumClient::connect(&config).await
}

/// A client of a node that gives these answers; the node lives as long as it is held.
async fn client(
    answers: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
) -> (EthereumClient, Node) {
    let node = Node::start(move |method, parameters| match method {
        "eth_chainId" => Answer::Result(json!("0x7a69")),
        _ => answers(method, parameters),
    })
    .await;
    (connect(node.url()).await.expect("the right chain"), node)
}

/// A client of a node that gives one answer to everything.
async fn always(answer: Answer) -> (EthereumClient, Node) {
    client(move |_, _| answer.clone()).await
}

fn block_json(header: &Sealed<Header>) -> Value {
    let mut json = serde_json::to_value(header.inner()).expect("headers have a JSON form");
    json["hash"] = json!(header.hash());
    json["transactions"] = json!([]);
    json["uncles"] = json!([]);
    json
}

/// A header of the embedded chain.
async fn some_header() -> Sealed<Header> {
    EmbeddedChain::start(EmbeddedConfig::default()).mine(&BlockPlan::Empty)
}

fn logger() -> Address {
    Address::repeat_byte(0x11)
}

/// A block with two receipts of one log each, and its receipts in JSON.
async fn block_with_logs() -> (Sealed<Header>, Vec<Value>) {
    let log = |byte| {
        let topics = vec![B256::repeat_byte(byte)];
        let data = Bytes::from(vec![byte; 5]);
        alloy_primitives::Log::new(logger(), topics, data).expect("one topic")
    };
    let receipt = |number: u8| {
        let receipt = alloy_consensus::Receipt {
            status: true.into(),
            cumulative_gas_used: 30_000 * u64::from(number),
            logs: vec![log(number)],
        };
        ReceiptEnvelope::Eip1559(receipt.with_bloom())
    };
    let receipts = [receipt(1), receipt(2)];
    let mut header = some_header().await.into_inner();
    header.receipts_root = calculate_receipt_root(&receipts);
    header.logs_bloom = *receipts[0].logs_bloom() | *receipts[1].logs_bloom();
    let header = header.seal_slow();
    let json = (1_u8..).zip(&receipts).map(|(number, receipt)| {
        let mut json = serde_json::to_value(receipt).expect("receipts have a JSON form");
        let place = json!({
            "transactionHash": B256::repeat_byte(number), "transactionIndex": format!("{:#x}", number - 1),
            "blockHash": header.hash(), "blockNumber": "0x1", "gasUsed": "0x7530",
            "effectiveGasPrice": "0x1", "from": logger(), "to": logger(), "contractAddress": null,
        });
        for (key, value) in place.as_object().expect("an object") {
            json[key] = value.clone();
        }
        let log = json["logs"][0].as_object_mut().expect("a log");
        for (key, value) in [
            ("blockHash", json!(header.hash())),
            ("blockNumber", json!("0x1")),
            ("transactionHash", json!(B256::repeat_byte(number))),
            ("transactionIndex", json!("0x0")),
            ("logIndex", json!("0x0")),
            ("removed", json!(false)),
        ] {
            log.insert(key.to_owned(), value);
        }
        json
    });
    let json = json.collect();
    (header, json)
}

/// What the client says to these receipts of that block.
async fn logs_of(
    header: &Sealed<Header>,
    receipts: Vec<Value>,
) -> Result<Vec<settlement::Log>, BaseLayerError> {
    let block = block_json(header);
    let (client, _node) = client(move |method, _| match method {
        "eth_getBlockByHash" => Answer::Result(block.clone()),
        "eth_getBlockReceipts" => Answer::Result(json!(receipts)),
        other => panic!("{other} is not asked for"),
    })
    .await;
    let filter = LogFilter {
        addresses: vec![logger()],
        events: Vec::new(),
    };
    client.logs(header.hash(), &filter).await
}

fn is_lie<T: std::fmt::Debug>(answer: Result<T, BaseLayerError>) -> Contradiction {
    match answer {
        Err(error @ BaseLayerError::Contradiction(_)) => {
            assert_eq!(error.culprit(), Culprit::Node);
            let BaseLayerError::Contradiction(lie) = error else {
                unreachable!("matched above");
            };
            lie
        }
        other => panic!("expected a contradiction, got {other:?}"),
    }
}

#[tokio::test]
async fn header_that_does_not_hash_to_its_hash_is_refused() {
    let header = some_header().await;
    let honest = block_json(&header);
    let (client, _node) = always(Answer::Result(honest.clone())).await;
    let believed = client.header(BlockAt::Latest).await.expect("honest");
    assert_eq!(believed, Some(header));
    for (field, value) in [
        ("stateRoot", json!(B256::repeat_byte(1))),
        ("receiptsRoot", json!(B256::repeat_byte(1))),
        ("timestamp", json!("0x1")),
        ("number", json!("0x2")),
        ("hash", json!(B256::repeat_byte(1))),
    ] {
        let mut lie = honest.clone();
        lie[field] = value;
        let (client, _node) = always(Answer::Result(lie)).await;
        let lie = is_lie(client.header(BlockAt::Latest).await);
        assert!(matches!(lie, Contradiction::HeaderHash { .. }), "{field}");
    }
}

#[tokio::test]
async fn another_block_than_asked_for_is_refused() {
    let header = some_header().await;
    let (client, _node) = always(Answer::Result(block_json(&header))).await;
    assert!(client.header(BlockAt::Number(1)).await.is_ok());
    for at in [BlockAt::Number(2), BlockAt::Hash(B256::repeat_byte(1))] {
        let lie = is_lie(client.header(at).await);
        assert!(matches!(lie, Contradiction::OtherBlock { .. }));
    }
}

#[tokio::test]
async fn logs_come_with_all_receipts_of_their_block_or_not_at_all() {
    let (header, honest) = block_with_logs().await;
    let logs = logs_of(&header, honest.clone()).await.expect("honest");
    assert_eq!(logs.len(), 2);
    assert_eq!((logs[1].log_index, logs[1].transaction_index), (1, 1));

    let mut changed = honest.clone();
    changed[0]["logs"][0]["data"] = json!("0x99");
    let mut moved = honest.clone();
    moved[1]["logs"][0]["address"] = json!(Address::repeat_byte(0x22));
    let mut failed = honest.clone();
    failed[0]["status"] = json!("0x0");
    let missing = vec![honest[0].clone()];
    let swapped = vec![honest[1].clone(), honest[0].clone()];
    let twice = vec![honest[0].clone(), honest[0].clone(), honest[1].clone()];
    let mut silent = honest.clone();
    silent[1]["logs"] = json!([]);
    for lie in [
        changed,
        moved,
        failed,
        missing,
        swapped,
        twice,
        silent,
        Vec::new(),
    ] {
        let lie = is_lie(logs_of(&header, lie).await);
        assert!(matches!(lie, Contradiction::ReceiptsRoot { .. }), "{lie}");
    }
    let mut elsewhere = honest.clone();
    elsewhere[0]["blockHash"] = json!(B256::repeat_byte(9));
    let lie = is_lie(logs_of(&header, elsewhere).await);
    assert!(matches!(lie, Contradiction::OtherPlace { .. }));
}

#[tokio::test]
async fn block_whose_filter_excludes_the_logs_is_not_asked_for_them() {
    let header = some_header().await;
    let logs = logs_of(&header, vec![json!("nobody reads this")]).await;
    assert!(logs.expect("the bloom filter is empty").is_empty());
}

#[tokio::test]
async fn storage_proof_that_does_not_hold_is_refused() {
    let chain = EmbeddedChain::start(EmbeddedConfig::default());
    let header = chain.mine(&BlockPlan::Empty);
    let account = TransactionSigner::development(0)
        .expect("there are ten")
        .address();
    let proof = chain.proof(header.hash(), account, &[B256::ZERO]).await;
    let proof = proof.expect("answers");
    let honest = json!({
        "address": account, "balance": proof.account.balance, "codeHash": proof.account.code_hash,
        "nonce": "0x0", "storageHash": proof.account.storage_root, "accountProof": proof.nodes,
        "storageProof": [{ "key": B256::ZERO, "value": "0x0", "proof": [] }],
    });
    let ask = async |answer: Value| {
        let block = block_json(&header);
        let (client, _node) = client(move |method, _| {
            Answer::Result(match method {
                "eth_getProof" => answer.clone(),
                _ => block.clone(),
            })
        })
        .await;
        client.proof(header.hash(), account, &[B256::ZERO]).await
    };
    assert_eq!(ask(honest.clone()).await.expect("honest"), proof);
    for (field, value) in [
        ("balance", json!("0x1")),
        ("nonce", json!("0x1")),
        ("storageHash", json!(B256::repeat_byte(1))),
        ("accountProof", json!([])),
    ] {
        let mut lie = honest.clone();
        lie[field] = value;
        let lie = is_lie(ask(lie).await);
        assert!(matches!(lie, Contradiction::Proof { .. }), "{field}");
    }
    let mut value = honest.clone();
    value["storageProof"][0]["value"] = json!("0x1");
    assert!(matches!(
        is_lie(ask(value).await),
        Contradiction::Proof { .. }
    ));
    let mut slot = honest;
    slot["storageProof"][0]["key"] = json!(B256::repeat_byte(1));
    assert!(matches!(
        is_lie(ask(slot).await),
        Contradiction::Malformed { .. }
    ));
}

fn signed() -> settlement::SignedTransaction {
    let signer = TransactionSigner::development(0).expect("there are ten");
    let signed = signer.sign(TxEip1559 {
        chain_id: DEVELOPMENT_CHAIN_ID,
        gas_limit: 100_000,
        max_fee_per_gas: 10,
        to: TxKind::Call(logger()),
        input: Bytes::from_static(b"words"),
        ..TxEip1559::default()
    });
    signed.expect("a development chain")
}

/// `signed()` as nodes show it.
fn transaction_json() -> Value {
    use alloy_consensus::TxEnvelope;
    use alloy_eips::Decodable2718;
    let envelope = TxEnvelope::decode_2718_exact(&signed().raw).expect("it is one");
    let mut json = serde_json::to_value(&envelope).expect("transactions have a JSON form");
    let from = TransactionSigner::development(0)
        .expect("there are ten")
        .address();
    json["from"] = json!(from);
    json["blockHash"] = Value::Null;
    json["blockNumber"] = Value::Null;
    json["transactionIndex"] = Value::Null;
    json
}

#[tokio::test]
async fn transaction_whose_bytes_are_not_what_was_signed_is_refused() {
    let hash = signed().hash;
    let (client, _node) = always(Answer::Result(transaction_json())).await;
    let honest = client.transaction(hash).await.expect("honest");
    assert_eq!(
        honest.expect("it is there").input,
        Bytes::from_static(b"words")
    );
    for (field, value) in [("input", json!("0x00")), ("nonce", json!("0x1"))] {
        let mut lie = transaction_json();
        lie[field] = value;
        let (client, _node) = always(Answer::Result(lie)).await;
        let lie = is_lie(client.transaction(hash).await);
        assert!(
            matches!(lie, Contradiction::OtherTransaction { .. }),
            "{field}"
        );
    }
}

#[tokio::test]
async fn sending_is_idempotent_whatever_words_the_node_has_for_it() {
    let sent = signed();
    let refusing = async |words: &'static str, known: bool| {
        let (client, _node) = client(move |method, _| match (method, known) {
            ("eth_sendRawTransaction", _) => Answer::Error(-32_000, words),
            (_, true) => Answer::Result(transaction_json()),
            (_, false) => Answer::Result(Value::Null),
        })
        .await;
        client.send(&sent.raw).await
    };
    for words in ["already known", "ALREADY_EXISTS", "nonce too low"] {
        let hash = refusing(words, true).await.expect("the node has it");
        assert_eq!(hash, sent.hash);
    }
    let rejected = async |words| match refusing(words, false).await {
        Err(BaseLayerError::Rejected(rejection)) => rejection,
        other => panic!("expected a rejection, got {other:?}"),
    };
    let low = rejected("nonce too low: next nonce 5, tx nonce 0").await;
    assert!(matches!(low, Rejection::NonceTooLow { .. }));
    let cheap = rejected("replacement transaction underpriced").await;
    assert!(matches!(cheap, Rejection::ReplacementUnderpriced { .. }));
    let poor = rejected("insufficient funds for gas * price + value").await;
    assert!(matches!(poor, Rejection::InsufficientFunds { .. }));

    let (client, _node) = always(Answer::Result(json!(B256::repeat_byte(1)))).await;
    let lie = is_lie(client.send(&sent.raw).await);
    assert!(matches!(lie, Contradiction::OtherTransaction { .. }));
}

#[tokio::test]
async fn node_of_another_chain_is_not_connected_to() {
    let node = Node::start(|_, _| Answer::Result(json!("0x1"))).await;
    let refused = connect(node.url()).await.expect_err("mainnet");
    assert!(matches!(
        refused,
        BaseLayerError::WrongChain {
            expected: DEVELOPMENT_CHAIN_ID,
            found: 1
        }
    ));
    assert_eq!(refused.culprit(), Culprit::Caller);
}

#[tokio::test]
async fn failures_say_whose_turn_it_is() {
    let of = async |answer| {
        let (client, _node) = always(answer).await;
        let failed = client.header(BlockAt::Latest).await;
        failed.expect_err("a failure")
    };
    let time = [
        of(Answer::Status(429)).await,
        of(Answer::Error(-32_005, "limit exceeded")).await,
        of(Answer::Error(429, "too many requests")).await,
    ];
    for error in time {
        assert!(
            matches!(error, BaseLayerError::RateLimited { .. }),
            "{error}"
        );
        assert_eq!(error.culprit(), Culprit::Time);
    }
    for answer in [
        Answer::Status(503),
        Answer::Status(502),
        Answer::Error(-32_603, "internal error"),
        // No JSON at all: a proxy speaks in the node's place.
        Answer::Text("<html>welcome</html>"),
    ] {
        let error = of(answer).await;
        assert!(
            matches!(error, BaseLayerError::Unavailable { .. }),
            "{error}"
        );
        assert_eq!(error.culprit(), Culprit::Time);
    }
    let stalled = of(Answer::Stall).await;
    assert!(matches!(
        stalled,
        BaseLayerError::TimedOut {
            timeout_ms: 500,
            ..
        }
    ));
    assert_eq!(stalled.culprit(), Culprit::Time);
    for nonsense in [
        Answer::Result(json!({ "number": "0x1" })),
        Answer::Result(json!("0x1")),
        Answer::Result(json!([[[[[]]]]])),
    ] {
        let lie = is_lie(Err::<(), _>(of(nonsense).await));
        assert!(matches!(lie, Contradiction::Malformed { .. }), "{lie}");
    }
    let forbidden = of(Answer::Status(401)).await;
    assert_eq!(forbidden.culprit(), Culprit::Caller);
    let unknown = of(Answer::Error(-32_601, "method not found")).await;
    assert_eq!(unknown.culprit(), Culprit::Caller);
}

#[tokio::test]
async fn nobody_at_the_address_is_a_matter_of_time() {
    let node = Node::start(|_, _| Answer::Status(500)).await;
    let url = node.url().to_owned();
    drop(node);
    let nobody = connect(&url).await.expect_err("nobody listens");
    assert_eq!(nobody.culprit(), Culprit::Time);
}

#[tokio::test]
async fn young_chain_has_no_final_block() {
    let (client, _node) = always(Answer::Error(-32_000, "finalized block not found")).await;
    let none = client.header(BlockAt::Finalized).await;
    assert_eq!(none.expect("that is an answer"), None);
    assert!(client.header(BlockAt::Latest).await.is_err());
}

#[tokio::test]
async fn revert_data_is_the_contracts() {
    let header = some_header().await;
    let ask = async |data: Value| {
        let (client, _node) = always(Answer::ErrorWithData(3, "execution reverted", data)).await;
        client.call(header.hash(), &Call::default()).await
    };
    match ask(json!("0x1234")).await {
        Err(BaseLayerError::Reverted { data }) => {
            assert_eq!(data, U256::from(0x1234).to_be_bytes_trimmed_vec())
        }
        other => panic!("expected a revert, got {other:?}"),
    }
    let lie = is_lie(ask(json!("not hex")).await);
    assert!(matches!(lie, Contradiction::Malformed { .. }));
}
