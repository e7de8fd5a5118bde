//! `EthereumClient`: an Ethereum node over JSON-RPC, believed only where hashes show it to be right.
//!
//! What is checked of every answer, so that a lying node can withhold and no more:
//! - a header hashes to the hash it comes with, and is the one that was asked for;
//! - logs come from the block's receipts, all of them, whose root the header commits to: none can be added,
//!   changed or left out. A block whose bloom filter excludes the wanted logs is not asked for them;
//! - a storage proof holds under the header's state root;
//! - a transaction's bytes hash to its hash, so its call data is what was signed.
//!
//! Not checked, because one node cannot show it: which block is the head, safe or finalized, what a call returns,
//! and what a receipt says. Whoever needs certainty reads logs or proofs, under a header that consensus has
//! finalized. Nothing is retried here and nothing is remembered between requests.
//!
//! Source: execution-apis (eth namespace), EIP-1186, EIP-1898. Why not alloy's provider: docs/adr/0019.

mod answers;
mod failures;

use std::time::Duration;

use alloy_consensus::{Header, Sealed};
use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::{Address, B256, Bytes, U64, U128, U256, keccak256};
use async_trait::async_trait;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::base_layer::SLOTS_MAX;
use crate::base_layer::{
    BaseLayer, BaseLayerError, BlockAt, Call, Contradiction, Fees, Log, LogFilter, NonceAt,
    Receipt, Transaction,
};
use verifier::base_layer::StateProof;

/// Bytes of one answer: the receipts of the fullest blocks of mainnet are some 3 MB.
const ANSWER_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// Bytes of one request: the largest is a transaction, in hex.
const REQUEST_BYTES_MAX: u32 = 2 * 1024 * 1024;
/// Requests at once, so that one follower does not run into the provider's limit by itself.
const CONCURRENT_MAX: usize = 16;

/// Where the node is and how long it may take.
#[derive(Clone, Debug)]
pub struct EthereumConfig {
    /// `http://` or `https://`.
    pub url: String,
    /// The chain that the node must follow (EIP-155).
    pub chain_id: u64,
    /// How long one request may take.
    pub timeout: Duration,
}

/// A client of one Ethereum node.
pub struct EthereumClient {
    rpc: HttpClient,
    chain_id: u64,
    timeout: Duration,
    /// Set once the node has said that it follows the configured chain: nothing else is asked before.
    checked: OnceCell<()>,
}

impl std::fmt::Debug for EthereumClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a key.
        write!(formatter, "EthereumClient(chain {})", self.chain_id)
    }
}

impl EthereumClient {
    /// Connects and checks that the node follows the configured chain.
    ///
    /// # Errors
    /// [`BaseLayerError::WrongChain`], or why the node did not answer.
    pub async fn connect(config: &EthereumConfig) -> Result<Self, BaseLayerError> {
        let client = Self::deferred(config)?;
        client.check_chain().await?;
        Ok(client)
    }

    /// A client of a node that may be down now: its chain is checked before its first answer is used.
    ///
    /// # Errors
    /// A URL that cannot be used.
    pub fn deferred(config: &EthereumConfig) -> Result<Self, BaseLayerError> {
        let rpc = HttpClientBuilder::default()
            .max_request_size(REQUEST_BYTES_MAX)
            .max_response_size(ANSWER_BYTES_MAX)
            .max_concurrent_requests(CONCURRENT_MAX)
            .request_timeout(config.timeout)
            .build(&config.url)
            .map_err(|error| BaseLayerError::Unsupported {
                request: "connect",
                reason: error.to_string(),
            })?;
        Ok(Self {
            rpc,
            chain_id: config.chain_id,
            timeout: config.timeout,
            checked: OnceCell::new(),
        })
    }

    async fn check_chain(&self) -> Result<(), BaseLayerError> {
        let check = async || {
            let found: U64 = self.request("eth_chainId", Vec::new()).await?;
            let (expected, found) = (self.chain_id, found.to::<u64>());
            if found == expected {
                Ok(())
            } else {
                Err(BaseLayerError::WrongChain { expected, found })
            }
        };
        self.checked.get_or_try_init(check).await.copied()
    }

    /// One request to a node that follows the configured chain.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: Vec<Value>,
    ) -> Result<T, BaseLayerError> {
        self.check_chain().await?;
        self.request(method, parameters).await
    }

    /// One request. Every failure of transport, protocol or form comes out typed.
    async fn request<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: Vec<Value>,
    ) -> Result<T, BaseLayerError> {
        let answer: Result<T, _> = self.rpc.request(method, parameters).await;
        answer.map_err(|error| failures::classify(method, self.timeout, error))
    }

    /// One request about the state after a block. A node says in its own words that it does not have the
    /// block, so a refusal is followed by the question whether it has.
    async fn ask_at<T: DeserializeOwned>(
        &self,
        block: B256,
        method: &'static str,
        mut parameters: Vec<Value>,
    ) -> Result<T, BaseLayerError> {
        parameters.push(json!({ "blockHash": block }));
        match self.ask(method, parameters).await {
            Err(error @ BaseLayerError::Unsupported { .. }) => {
                self.must_have(block).await?;
                Err(error)
            }
            other => other,
        }
    }

    async fn must_have(&self, block: B256) -> Result<Sealed<Header>, BaseLayerError> {
        let at = BlockAt::Hash(block);
        let header = self.header(at).await?;
        header.ok_or(BaseLayerError::UnknownBlock { at })
    }
}

#[async_trait]
impl BaseLayer for EthereumClient {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    async fn header(&self, at: BlockAt) -> Result<Option<Sealed<Header>>, BaseLayerError> {
        let (method, which) = match at {
            BlockAt::Latest => ("eth_getBlockByNumber", json!("latest")),
            BlockAt::Safe => ("eth_getBlockByNumber", json!("safe")),
            BlockAt::Finalized => ("eth_getBlockByNumber", json!("finalized")),
            BlockAt::Number(number) => ("eth_getBlockByNumber", json!(U64::from(number))),
            BlockAt::Hash(hash) => ("eth_getBlockByHash", json!(hash)),
        };
        let answer = self.ask(method, vec![which, json!(false)]).await;
        match answer {
            Ok(block) => answers::header(at, block),
            // A young chain has no safe or finalized block, and some nodes say so by an error.
            Err(BaseLayerError::Unsupported { reason, .. })
                if matches!(at, BlockAt::Safe | BlockAt::Finalized)
                    && failures::says_not_found(&reason) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn logs(&self, block: B256, filter: &LogFilter) -> Result<Vec<Log>, BaseLayerError> {
        let header = self.must_have(block).await?;
        if !filter.may_match(&header.logs_bloom) {
            return Ok(Vec::new());
        }
        let receipts = self.ask("eth_getBlockReceipts", vec![json!(block)]).await?;
        answers::logs(&header, receipts, filter)
    }

    async fn call(&self, block: B256, call: &Call) -> Result<Bytes, BaseLayerError> {
        let request = json!({ "from": call.from, "to": call.to, "input": call.input });
        self.ask_at(block, "eth_call", vec![request]).await
    }

    async fn send(&self, raw: &Bytes) -> Result<B256, BaseLayerError> {
        let hash = keccak256(raw);
        let method = "eth_sendRawTransaction";
        match self.ask::<B256>(method, vec![json!(raw)]).await {
            Ok(found) if found == hash => Ok(hash),
            Ok(found) => Err(Contradiction::OtherTransaction { asked: hash, found }.into()),
            Err(BaseLayerError::Unsupported { reason, .. }) => {
                // The second sending of what the node has is refused in words that differ by node.
                if self.transaction(hash).await?.is_some() {
                    return Ok(hash);
                }
                Err(failures::rejection(reason).into())
            }
            Err(error) => Err(error),
        }
    }

    async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, BaseLayerError> {
        let answer = self
            .ask("eth_getTransactionByHash", vec![json!(hash)])
            .await?;
        answers::transaction(hash, answer)
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, BaseLayerError> {
        let answer = self
            .ask("eth_getTransactionReceipt", vec![json!(hash)])
            .await?;
        answers::receipt(hash, answer)
    }

    async fn nonce(&self, address: Address, at: NonceAt) -> Result<u64, BaseLayerError> {
        let method = "eth_getTransactionCount";
        let count: U64 = match at {
            NonceAt::Pending => {
                self.ask(method, vec![json!(address), json!("pending")])
                    .await?
            }
            NonceAt::Block(hash) => self.ask_at(hash, method, vec![json!(address)]).await?,
        };
        Ok(count.to())
    }

    async fn balance(&self, address: Address, block: B256) -> Result<U256, BaseLayerError> {
        self.ask_at(block, "eth_getBalance", vec![json!(address)])
            .await
    }

    async fn fees(&self) -> Result<Fees, BaseLayerError> {
        let at = BlockAt::Latest;
        let head = self.header(at).await?;
        let head = head.ok_or(BaseLayerError::UnknownBlock { at })?;
        let base_fee = head.next_block_base_fee(BaseFeeParams::ethereum());
        let base_fee = base_fee.ok_or_else(|| BaseLayerError::Unsupported {
            request: "fees",
            reason: format!("block {} has no base fee (EIP-1559)", head.number),
        })?;
        let tip: U128 = self.ask("eth_maxPriorityFeePerGas", Vec::new()).await?;
        Ok(Fees {
            base_fee_wei: u128::from(base_fee),
            tip_wei: tip.to(),
        })
    }

    async fn proof(
        &self,
        block: B256,
        address: Address,
        slots: &[B256],
    ) -> Result<StateProof, BaseLayerError> {
        if slots.len() > SLOTS_MAX {
            return Err(BaseLayerError::Unsupported {
                request: "proof",
                reason: format!("{} slots, at most {SLOTS_MAX}", slots.len()),
            });
        }
        let header = self.must_have(block).await?;
        let request = vec![json!(address), json!(slots)];
        let answer = self.ask_at(block, "eth_getProof", request).await?;
        answers::proof(&header, address, slots, answer)
    }
}
