//! `BaseLayer`: what the rest of the node may ask of the chain on which it settles.
//!
//! Invariants of every implementation, held by `tests/conformance.rs`:
//! - State, logs and calls are asked for by block *hash*. A number means another block after a
//!   reorganisation, so it is good for finding a block and for nothing else.
//! - A header is returned with the hash of its own bytes, never with one that somebody claims.
//! - `send` is idempotent: the same bytes twice are one transaction, and both calls return its hash.
//! - An error says who must act ([`BaseLayerError::culprit`]): time, another node, or this program.
//!
//! It does not say what is final for the rollup, follows nothing, signs nothing and never retries; that is
//! `follower.rs`, `signer.rs` and `submitter.rs`.
//!
//! Source: design "Settlement", "One trait, three base layers"; EIP-1898 (state by block hash), EIP-1186
//! (storage proofs).

mod error;

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use verifier::base_layer::StateProof;

pub use error::{BaseLayerError, Contradiction, Culprit, Rejection};

/// Slots of one proof at most: a request of ours asks for a handful, and each costs a path of nodes.
pub(crate) const SLOTS_MAX: usize = 256;

/// How to find a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockAt {
    /// The head, as the node sees it now.
    Latest,
    /// The newest block that is unlikely to be reorganised.
    Safe,
    /// The newest block that the base layer's consensus has finalized.
    Finalized,
    /// The block of this height on the chain of the current head.
    Number(u64),
    /// The block with this hash; it may have left the chain.
    Hash(B256),
}

/// Which logs of a block are wanted. An empty list accepts everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Contracts of which any may have written the log.
    pub addresses: Vec<Address>,
    /// Hashes of event signatures, of which any may be the log's first topic.
    pub events: Vec<B256>,
}

impl LogFilter {
    /// Is this log wanted?
    #[must_use]
    pub fn accepts(&self, log: &alloy_primitives::Log) -> bool {
        let event = |wanted: &B256| log.topics().first() == Some(wanted);
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && (self.events.is_empty() || self.events.iter().any(event))
    }

    /// May a block with this filter of its logs hold a wanted one? `false` is certain.
    #[must_use]
    pub fn may_match(&self, bloom: &alloy_primitives::Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(alloy_primitives::BloomInput::Raw(bytes));
        (self.addresses.is_empty() || self.addresses.iter().any(|a| has(a.as_slice())))
            && (self.events.is_empty() || self.events.iter().any(|e| has(e.as_slice())))
    }
}

/// A log where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Contract, topics and data.
    pub inner: alloy_primitives::Log,
    /// Hash of the block.
    pub block: B256,
    /// Height of the block.
    pub block_number: u64,
    /// The transaction that wrote it.
    pub transaction: B256,
    /// That transaction's place in the block, from 0.
    pub transaction_index: u64,
    /// The log's place in the block, from 0.
    pub log_index: u64,
}

/// A read-only call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Who calls; zero where it does not matter.
    pub from: Address,
    /// The contract.
    pub to: Address,
    /// Selector and arguments.
    pub input: Bytes,
}

/// What became of a transaction that stands in a block of the current chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transaction.
    pub transaction: B256,
    /// Hash of its block.
    pub block: B256,
    /// Height of its block.
    pub block_number: u64,
    /// Its place in the block, from 0.
    pub transaction_index: u64,
    /// Did it do what it was sent for? `false`: it was paid for and changed nothing.
    pub succeeded: bool,
    /// Gas it was charged for.
    pub gas_used: u64,
    /// Wei per gas it paid, tip included.
    pub gas_price_wei: u128,
    /// The contract it created.
    pub created: Option<Address>,
}

/// A transaction as the chain or the pool has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its hash.
    pub hash: B256,
    /// Who signed it.
    pub from: Address,
    /// Its nonce.
    pub nonce: u64,
    /// The contract it calls; none when it creates one.
    pub to: Option<Address>,
    /// Its call data.
    pub input: Bytes,
    /// Hash of the block it stands in; none while it waits.
    pub block: Option<B256>,
}

/// Where to count an account's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceAt {
    /// After this block.
    Block(B256),
    /// After everything that this node knows and that could follow on the head without a gap.
    Pending,
}

/// What inclusion costs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Wei per gas that the next block burns.
    pub base_fee_wei: u128,
    /// Wei per gas that has lately been enough for the block's builder.
    pub tip_wei: u128,
}

/// The chain on which the rollup settles.
#[async_trait]
pub trait BaseLayer: Send + Sync {
    /// The chain's number (EIP-155), checked when the implementation was made.
    fn chain_id(&self) -> u64;

    /// A header with its hash; `None` when there is no such block (yet, or any more).
    async fn header(&self, at: BlockAt) -> Result<Option<Sealed<Header>>, BaseLayerError>;

    /// The wanted logs of one block, all of them, in their order.
    async fn logs(&self, block: B256, filter: &LogFilter) -> Result<Vec<Log>, BaseLayerError>;

    /// What a contract answers in the state after a block.
    ///
    /// # Errors
    /// [`BaseLayerError::Reverted`] with the contract's own bytes when it refuses.
    async fn call(&self, block: B256, call: &Call) -> Result<Bytes, BaseLayerError>;

    /// Hands over a signed transaction (EIP-2718 bytes) and returns its hash. That is no promise of
    /// inclusion.
    async fn send(&self, raw: &Bytes) -> Result<B256, BaseLayerError>;

    /// A transaction that is in a block of the current chain or waits in this node's pool.
    async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, BaseLayerError>;

    /// The receipt of a transaction that is in a block of the current chain.
    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, BaseLayerError>;

    /// The nonce of an account's next transaction.
    async fn nonce(&self, address: Address, at: NonceAt) -> Result<u64, BaseLayerError>;

    /// Wei that an account owns after a block.
    async fn balance(&self, address: Address, block: B256) -> Result<U256, BaseLayerError>;

    /// What inclusion costs now.
    async fn fees(&self) -> Result<Fees, BaseLayerError>;

    /// An account and slots of its storage after a block, with the proof under that block's state root.
    /// The proof has been checked.
    async fn proof(
        &self,
        block: B256,
        address: Address,
        slots: &[B256],
    ) -> Result<StateProof, BaseLayerError>;
}
