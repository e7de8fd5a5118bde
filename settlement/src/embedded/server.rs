//! The embedded chain over JSON-RPC, so that several processes share one. FOR DEVELOPMENT AND TESTS ONLY.
//!
//! It answers the requests of [`crate::EthereumClient`] and the few more that a person with a wallet or `cast` begins
//! with, in the words of go-ethereum, and makes a block every so often on the wall clock. Blocks can be
//! named by hash, by number or by tag. The driver's requests `evm_mine` and `evm_increaseTime` have the
//! names that other development chains gave them.
//!
//! Invariants: requests and answers are bounded; nothing that a request holds can end the process; the chain
//! ends with the process, since nothing of it is on disk. No `eth_getLogs`, filters, subscriptions or
//! estimates: whoever wants logs reads receipts, as the client does.
//!
//! Source: execution-apis (eth namespace), EIP-1186, EIP-1898.

mod forms;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use jsonrpsee::RpcModule;
use jsonrpsee::server::{ServerBuilder, ServerConfig, ServerHandle};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde_json::{Value, json};

use crate::base_layer::SLOTS_MAX;
use crate::base_layer::{BaseLayerError, BlockAt};
use crate::embedded::chain::Chain;
use crate::embedded::{BlockPlan, EmbeddedChain, TIP_WEI};
use crate::signer::DEVELOPMENT_CHAIN_ID;

/// Bytes of one request: a transaction of 128 KiB in hex, with room.
const REQUEST_BYTES_MAX: u32 = 1024 * 1024;
/// Bytes of one answer: receipts of a full block.
const ANSWER_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// Connections at once: a devnet has a dozen processes.
const CONNECTIONS_MAX: u32 = 128;
/// Seconds that the clock can be moved by one request: a year.
const ADVANCE_SECONDS_MAX: u64 = 366 * 24 * 3_600;

/// Parameters that are not of their form.
const INVALID_PARAMETERS: i32 = -32_602;
/// What a node cannot serve.
const SERVER_ERROR: i32 = -32_000;
/// A contract refused.
const REVERTED: i32 = 3;

/// A served chain; it answers until this is dropped.
#[derive(Debug)]
pub struct EmbeddedServer {
    address: SocketAddr,
    handle: ServerHandle,
    clock: Option<tokio::task::JoinHandle<()>>,
}

impl EmbeddedServer {
    /// Serves `chain` at `address` (port 0: any) and, with `block_time`, makes a block of the pool so often.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(
        chain: EmbeddedChain,
        address: SocketAddr,
        block_time: Option<Duration>,
    ) -> std::io::Result<Self> {
        let config = ServerConfig::builder()
            .max_request_body_size(REQUEST_BYTES_MAX)
            .max_response_body_size(ANSWER_BYTES_MAX)
            .max_connections(CONNECTIONS_MAX)
            .http_only()
            .build();
        let server = ServerBuilder::with_config(config).build(address).await?;
        let address = server.local_addr()?;
        let clock = block_time.map(|period| tokio::spawn(tick(chain.clone(), period)));
        let handle = server.start(methods(chain));
        Ok(Self {
            address,
            handle,
            clock,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when it has stopped.
    pub async fn stopped(&self) {
        self.handle.clone().stopped().await;
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        let _ = self.handle.stop(); // it may have stopped by itself
        if let Some(clock) = &self.clock {
            clock.abort();
        }
    }
}

/// Makes blocks on the wall clock.
async fn tick(chain: EmbeddedChain, period: Duration) {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        chain.set_time(now.map_or(0, |since| since.as_secs()));
        let chain = chain.clone();
        // Tries are built anew from their leaves, which takes a while on a large state.
        let mined = tokio::task::spawn_blocking(move || chain.mine(&BlockPlan::Pool));
        if let Err(error) = mined.await {
            tracing::error!(%error, "the embedded chain made no block and has stopped");
            return;
        }
    }
}

type Answer = Result<Value, ErrorObjectOwned>;

fn error(code: i32, words: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, words, None::<()>)
}

fn refused(failure: BaseLayerError) -> ErrorObjectOwned {
    match failure {
        BaseLayerError::Reverted { data } => {
            ErrorObjectOwned::owned(REVERTED, "execution reverted", Some(data))
        }
        BaseLayerError::UnknownBlock { .. } => error(SERVER_ERROR, "header not found"),
        other => error(SERVER_ERROR, other.to_string()),
    }
}

/// What a request asks for, in its order; what is missing at the end is null.
struct Asked(Vec<Value>);

impl Asked {
    fn parse(parameters: &Params<'_>) -> Result<Self, ErrorObjectOwned> {
        let asked: Option<Vec<Value>> = parameters.parse()?;
        Ok(Self(asked.unwrap_or_default()))
    }

    fn get<T: serde::de::DeserializeOwned>(&mut self, place: usize) -> Result<T, ErrorObjectOwned> {
        let value = self.0.get_mut(place).map(Value::take);
        serde_json::from_value(value.unwrap_or_default())
            .map_err(|reason| error(INVALID_PARAMETERS, format!("parameter {place}: {reason}")))
    }

    /// The block a request names: `{"blockHash": ..}`, `{"blockNumber": ..}`, a number or a tag; the head if none.
    fn block(&mut self, place: usize) -> Result<BlockAt, ErrorObjectOwned> {
        let value: Value = self.get(place)?;
        forms::block_at(&value)
            .ok_or_else(|| error(INVALID_PARAMETERS, format!("parameter {place}: no block")))
    }
}

/// The hash of the block that a request names.
fn hash_at(chain: &Chain, at: BlockAt) -> Result<B256, ErrorObjectOwned> {
    let header = chain.header(at);
    header
        .map(|header| header.hash())
        .ok_or_else(|| refused(BaseLayerError::UnknownBlock { at }))
}

fn methods(chain: EmbeddedChain) -> RpcModule<EmbeddedChain> {
    let mut module = RpcModule::new(chain);
    for (name, answer) in METHODS {
        let registered = module.register_method(name, move |parameters, chain, _| {
            answer(&mut Asked::parse(&parameters)?, chain)
        });
        registered.expect("the names of METHODS differ");
    }
    module
}

type Method = fn(&mut Asked, &EmbeddedChain) -> Answer;

const METHODS: [(&str, Method); 19] = [
    ("eth_chainId", |_, _| {
        Ok(json!(U64::from(DEVELOPMENT_CHAIN_ID)))
    }),
    ("net_version", |_, _| {
        Ok(json!(DEVELOPMENT_CHAIN_ID.to_string()))
    }),
    ("web3_clientVersion", |_, _| {
        Ok(json!(concat!(
            "quorate-embedded/",
            env!("CARGO_PKG_VERSION")
        )))
    }),
    ("eth_blockNumber", |_, chain| {
        Ok(json!(U64::from(chain.lock().head().number)))
    }),
    ("eth_getBlockByNumber", block),
    ("eth_getBlockByHash", |asked, chain| {
        let at = BlockAt::Hash(asked.get(0)?);
        let chain = chain.lock();
        Ok(chain
            .header(at)
            .map_or(Value::Null, |header| forms::block(&chain, header)))
    }),
    ("eth_getBlockReceipts", |asked, chain| {
        let at = asked.block(0)?;
        let chain = chain.lock();
        Ok(chain
            .header(at)
            .map_or(Value::Null, |header| forms::receipts(&chain, header)))
    }),
    ("eth_call", call),
    ("eth_sendRawTransaction", send),
    ("eth_getTransactionByHash", |asked, chain| {
        Ok(forms::transaction(&chain.lock(), asked.get(0)?))
    }),
    ("eth_getTransactionReceipt", |asked, chain| {
        Ok(forms::receipt(&chain.lock(), asked.get(0)?))
    }),
    ("eth_getTransactionCount", transaction_count),
    ("eth_getBalance", |asked, chain| {
        let (address, at) = (asked.get(0)?, asked.block(1)?);
        let chain = chain.lock();
        let balance = chain.balance(address, hash_at(&chain, at)?);
        Ok(json!(balance.map_err(refused)?))
    }),
    ("eth_getCode", |asked, chain| {
        let (address, at) = (asked.get(0)?, asked.block(1)?);
        let chain = chain.lock();
        let code = chain.code(address, hash_at(&chain, at)?);
        Ok(json!(code.map_err(refused)?))
    }),
    ("eth_gasPrice", |_, chain| {
        Ok(json!(U128::from(
            u128::from(chain.lock().next_base_fee()) + TIP_WEI
        )))
    }),
    ("eth_maxPriorityFeePerGas", |_, _| {
        Ok(json!(U128::from(TIP_WEI)))
    }),
    ("eth_getProof", proof),
    ("evm_mine", |_, chain| {
        chain.mine(&BlockPlan::Pool);
        Ok(json!("0x0"))
    }),
    ("evm_increaseTime", |asked, chain| {
        let seconds: u64 = asked.get(0)?;
        if seconds > ADVANCE_SECONDS_MAX {
            let words = format!("{seconds} seconds, at most {ADVANCE_SECONDS_MAX}");
            return Err(error(INVALID_PARAMETERS, words));
        }
        chain.advance_time(seconds);
        Ok(json!(seconds))
    }),
];

fn block(asked: &mut Asked, chain: &EmbeddedChain) -> Answer {
    let at = asked.block(0)?;
    let chain = chain.lock();
    Ok(chain
        .header(at)
        .map_or(Value::Null, |header| forms::block(&chain, header)))
}

fn call(asked: &mut Asked, chain: &EmbeddedChain) -> Answer {
    let (request, at) = (asked.get::<forms::CallForm>(0)?, asked.block(1)?);
    let chain = chain.lock();
    let answer = chain.call(hash_at(&chain, at)?, &request.into());
    Ok(json!(answer.map_err(refused)?))
}

fn send(asked: &mut Asked, chain: &EmbeddedChain) -> Answer {
    let raw: Bytes = asked.get(0)?;
    let sent = chain.lock().send(&raw);
    sent.map(|hash| json!(hash))
        .map_err(|reason| error(SERVER_ERROR, forms::rejection(&reason)))
}

fn transaction_count(asked: &mut Asked, chain: &EmbeddedChain) -> Answer {
    let address: Address = asked.get(0)?;
    let is_pending = asked.0.get(1).is_some_and(|at| at == "pending");
    let chain_at = chain.lock();
    if is_pending {
        return Ok(json!(U64::from(chain_at.pending_nonce(address))));
    }
    let hash = hash_at(&chain_at, asked.block(1)?)?;
    let count = chain_at.account_nonce(address, hash).map_err(refused)?;
    Ok(json!(U64::from(count)))
}

fn proof(asked: &mut Asked, chain: &EmbeddedChain) -> Answer {
    let (address, slots, at): (Address, Vec<U256>, _) =
        (asked.get(0)?, asked.get(1)?, asked.block(2)?);
    if slots.len() > SLOTS_MAX {
        let words = format!("{} slots, at most {SLOTS_MAX}", slots.len());
        return Err(error(INVALID_PARAMETERS, words));
    }
    let slots: Vec<B256> = slots.into_iter().map(B256::from).collect();
    let chain = chain.lock();
    let proof = chain
        .prove(hash_at(&chain, at)?, address, &slots)
        .map_err(refused)?;
    Ok(forms::proof(proof))
}
