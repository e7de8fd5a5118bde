//! A door in front of EthereumJS: JSON-RPC in, JSON-RPC out, with what that client lacks of execution-apis.
//!
//! It stands between `EthereumClient`, which speaks to nodes that follow the specification, and a client that in
//! these four points does not (release 0.10.5; docs/adr/0027):
//! - it names states by number and tag only: a block hash (EIP-1898) becomes the number of that block, if the
//!   block is on the current chain, and is refused otherwise;
//! - `eth_getBlockReceipts` takes a hash for a number and finds nothing: the same;
//! - `eth_getTransactionByHash` knows no waiting transactions, and forgets none that a reorganisation undid;
//! - the pending nonce counts waiting transactions behind a gap too;
//! - `eth_getProof` leaves out the slots of an account that is not there.
//!
//! Everything else passes as it is, errors too. What it makes up is checked like the rest: a proof under its header,
//! a transaction against its hash. Only for a chain that nobody else moves.

use std::net::SocketAddr;

use alloy_primitives::{Address, B256, U64};
use jsonrpsee::RpcModule;
use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::http_client::HttpClient;
use jsonrpsee::server::{ServerBuilder, ServerHandle};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::{Value, json};

/// What a node says of a block that it does not have.
const SERVER_ERROR: i32 = -32_000;
/// Its own trouble.
const INTERNAL: i32 = -32_603;

/// Requests that pass as they are.
const PASSED: [&str; 6] = [
    "eth_chainId",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_sendRawTransaction",
];

type Answer = Result<Value, ErrorObjectOwned>;

/// Open until it is dropped.
pub(crate) struct Door {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Door {
    pub(crate) async fn open(node: HttpClient) -> Self {
        let mut module = RpcModule::new(node);
        for method in PASSED {
            module
                .register_async_method(method, move |asked, node, _| async move {
                    pass(&node, method, parameters(&asked)).await
                })
                .expect("named once");
        }
        for method in ["eth_call", "eth_getBalance"] {
            module
                .register_async_method(method, move |asked, node, _| async move {
                    at_block(&node, method, parameters(&asked)).await
                })
                .expect("named once");
        }
        let method = "eth_getProof";
        module
            .register_async_method(method, move |asked, node, _| async move {
                let asked = parameters(&asked);
                let answer = at_block(&node, method, asked.clone()).await?;
                Ok::<_, ErrorObjectOwned>(with_absent_slots(answer, &asked))
            })
            .expect("named once");
        module
            .register_async_method("eth_getBlockReceipts", |asked, node, _| async move {
                receipts(&node, parameters(&asked)).await
            })
            .expect("named once");
        module
            .register_async_method("eth_getTransactionCount", |asked, node, _| async move {
                transaction_count(&node, parameters(&asked)).await
            })
            .expect("named once");
        module
            .register_async_method("eth_getTransactionByHash", |asked, node, _| async move {
                transaction(&node, parameters(&asked)).await
            })
            .expect("named once");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = ServerBuilder::default().build(address).await;
        let server = server.expect("a free port");
        Self {
            address: server.local_addr().expect("it listens"),
            handle: server.start(module),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.handle.stop(); // it may have stopped by itself
    }
}

fn parameters(asked: &Params<'_>) -> Vec<Value> {
    asked.parse().expect("our own client sends a list")
}

async fn pass(node: &HttpClient, method: &str, parameters: Vec<Value>) -> Answer {
    let answer: Result<Value, _> = node.request(method, parameters).await;
    answer.map_err(|error| match error {
        Error::Call(refusal) => refusal.into_owned(),
        other => ErrorObjectOwned::owned(INTERNAL, other.to_string(), None::<()>),
    })
}

/// The block that a hash names, if it is on the current chain.
async fn on_chain(node: &HttpClient, hash: &Value) -> Result<Option<Value>, ErrorObjectOwned> {
    let block = pass(node, "eth_getBlockByHash", vec![hash.clone(), json!(false)]).await?;
    let number = block["number"].clone();
    if number.is_null() {
        return Ok(None);
    }
    let there = pass(node, "eth_getBlockByNumber", vec![number, json!(false)]).await?;
    Ok((there["hash"] == block["hash"]).then_some(there))
}

/// A request whose last parameter is a block hash in the form of EIP-1898.
async fn at_block(node: &HttpClient, method: &str, mut asked: Vec<Value>) -> Answer {
    let at = asked.pop().expect("a block");
    let block = on_chain(node, &at["blockHash"]).await?;
    let block = block
        .ok_or_else(|| ErrorObjectOwned::owned(SERVER_ERROR, "header not found", None::<()>))?;
    asked.push(block["number"].clone());
    pass(node, method, asked).await
}

async fn receipts(node: &HttpClient, asked: Vec<Value>) -> Answer {
    let hash = asked.first().cloned().unwrap_or_default();
    match on_chain(node, &hash).await? {
        Some(block) => pass(node, "eth_getBlockReceipts", vec![block["number"].clone()]).await,
        None => Ok(Value::Null),
    }
}

/// Without an account there is no storage, so every slot is zero and the empty trie is its proof.
fn with_absent_slots(mut answer: Value, asked: &[Value]) -> Value {
    let slots = asked.get(1).and_then(Value::as_array);
    if let (Some(slots), Some(true)) = (slots, answer["storageProof"].as_array().map(Vec::is_empty))
    {
        let absent = slots
            .iter()
            .map(|slot| json!({ "key": slot, "value": "0x0", "proof": [] }));
        answer["storageProof"] = absent.collect();
    }
    answer
}

/// All that waits.
async fn waiting(node: &HttpClient) -> Result<Vec<Value>, ErrorObjectOwned> {
    let content = pass(node, "txpool_content", Vec::new()).await?;
    let accounts = content["pending"].as_object().into_iter().flatten();
    let nonces = accounts.filter_map(|(_, nonces)| nonces.as_object());
    Ok(nonces.flatten().map(|(_, waits)| waits.clone()).collect())
}

async fn transaction_count(node: &HttpClient, asked: Vec<Value>) -> Answer {
    let method = "eth_getTransactionCount";
    if asked.get(1) != Some(&json!("pending")) {
        return at_block(node, method, asked).await;
    }
    let sender = asked.first().cloned().unwrap_or_default();
    let mined = pass(node, method, vec![sender.clone(), json!("latest")]).await?;
    let mut next: U64 = read(mined);
    let sender: Address = read(sender);
    let of_sender: Vec<U64> = waiting(node)
        .await?
        .into_iter()
        .filter(|waits| read::<Address>(waits["from"].clone()) == sender)
        .map(|waits| read(waits["nonce"].clone()))
        .collect();
    while of_sender.contains(&next) {
        next += U64::from(1);
    }
    Ok(json!(next))
}

async fn transaction(node: &HttpClient, asked: Vec<Value>) -> Answer {
    let hash: B256 = read(asked.first().cloned().unwrap_or_default());
    let found = pass(node, "eth_getTransactionByHash", asked).await?;
    if !found.is_null() && on_chain(node, &found["blockHash"]).await?.is_some() {
        return Ok(found);
    }
    let mut waiting = waiting(node).await?.into_iter();
    let waits = waiting.find(|waits| read::<B256>(waits["hash"].clone()) == hash);
    Ok(waits.unwrap_or_default())
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the client's form")
}
