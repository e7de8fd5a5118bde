//! `EmbeddedChain`: a development chain in this process, on revm. FOR DEVELOPMENT AND TESTS ONLY.
//!
//! It runs the real contracts under the rules of Osaka, with real headers and tries, so a storage proof or
//! a receipt of it is checked as one of mainnet is. One handle is what a node uses ([`BaseLayer`]), and what
//! a driver steers: mining, time, base fee, finality, reorganisations. Cloning gives another handle to the
//! same chain.
//!
//! Invariants: `finalized` never moves back and nothing below it changes, whatever the driver asks. Chain id
//! 31337 and the ten public keys mean that nothing here has value. Nothing is on disk.
//!
//! It has no consensus, no clock of its own and no blobs. It takes EIP-1559 transactions and no others. Other
//! processes reach it through [`EmbeddedServer`]. Why by hand and not anvil: docs/adr/0019.

mod chain;
mod execute;
mod pool;
mod server;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;

use crate::base_layer::SLOTS_MAX;
use crate::base_layer::{
    BaseLayer, BaseLayerError, BlockAt, Call, Fees, Log, LogFilter, NonceAt, Receipt, Transaction,
};
use crate::signer::{DEVELOPMENT_CHAIN_ID, TransactionSigner};
use chain::Chain;
pub(crate) use execute::{TRANSACTION_GAS_MAX, rules};
use pool::Pooled;
pub use server::EmbeddedServer;
use verifier::base_layer::StateProof;

/// Wei per gas that the embedded chain proposes as a tip: one gwei.
const TIP_WEI: u128 = 1_000_000_000;
/// Wei of each development account: 10,000 ether.
const DEVELOPMENT_ETHER: u64 = 10_000;

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mining {
    /// Whenever a transaction comes whose turn it is.
    EverySend,
    /// When the driver says so.
    ByHand,
}

/// What moves the pointers `safe` and `finalized`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// They follow the head at these distances, in blocks.
    Depths {
        /// Of the safe block.
        safe: u64,
        /// Of the finalized block; it never moves back.
        finalized: u64,
    },
    /// The driver ([`EmbeddedChain::set_final`]).
    ByHand,
}

/// How the chain starts and behaves.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Unix seconds of the genesis block.
    pub genesis_time: u64,
    /// Seconds from a block to the next, unless the driver sets the time.
    pub block_seconds: u64,
    /// Gas of one block.
    pub block_gas: u64,
    /// When blocks are made.
    pub mining: Mining,
    /// What moves `safe` and `finalized`.
    pub finality: Finality,
    /// Accounts of the genesis state, with wei.
    pub funded: Vec<(Address, U256)>,
}

impl Default for EmbeddedConfig {
    /// Mines at once, two blocks to safe and four to final; the ten development accounts have 10,000 ether.
    fn default() -> Self {
        let ether = U256::from(DEVELOPMENT_ETHER) * U256::from(10).pow(U256::from(18));
        let signers = (0..).map_while(TransactionSigner::development);
        Self {
            genesis_time: 1_700_000_000,
            block_seconds: 12,
            block_gas: 60_000_000,
            mining: Mining::EverySend,
            finality: Finality::Depths {
                safe: 2,
                finalized: 4,
            },
            funded: signers.map(|signer| (signer.address(), ether)).collect(),
        }
    }
}

/// What goes into a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockPlan {
    /// Nothing.
    Empty,
    /// The best of the pool.
    Pool,
    /// These transactions in this order (EIP-2718 bytes).
    Of(Vec<Bytes>),
}

/// What becomes of transactions whose block is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// They wait in the pool again.
    Return,
    /// The network has forgotten them.
    Forget,
}

/// Another branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reorg {
    /// Blocks that are taken off the head.
    pub depth: u64,
    /// Blocks that are put there instead; fewer, as many or more.
    pub blocks: Vec<BlockPlan>,
    /// What becomes of the transactions of the old branch.
    pub orphans: Orphans,
}

/// What a driver may not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A reorganisation of finalized blocks.
    #[error("reorganisation of {depth} blocks from {head} goes below finalized block {finalized}")]
    BelowFinalized {
        /// Blocks to take off.
        depth: u64,
        /// Height of the head.
        head: u64,
        /// Height of the finalized block.
        finalized: u64,
    },
    /// A finalized block that would not be any more.
    #[error("finalized block is {finalized} and cannot go back to {asked}")]
    FinalityMovesBack {
        /// Where it is.
        finalized: u64,
        /// Where it should go.
        asked: u64,
    },
    /// Pointers out of order.
    #[error("finalized {finalized}, safe {safe} and head {head} must ascend")]
    PointerOrder {
        /// Asked for.
        finalized: u64,
        /// Asked for.
        safe: u64,
        /// The head.
        head: u64,
    },
}

/// A handle to an embedded chain.
#[derive(Clone)]
pub struct EmbeddedChain {
    chain: Arc<Mutex<Chain>>,
}

impl EmbeddedChain {
    /// Starts a chain at its genesis block.
    #[must_use]
    pub fn start(config: EmbeddedConfig) -> Self {
        tracing::warn!(
            chain_id = DEVELOPMENT_CHAIN_ID,
            "embedded development chain: its keys are public and its ether is worth nothing"
        );
        Self {
            chain: Arc::new(Mutex::new(Chain::new(config))),
        }
    }

    /// Makes a block on the head and returns its header.
    pub fn mine(&self, plan: &BlockPlan) -> Sealed<Header> {
        let mut chain = self.lock();
        chain.mine(plan);
        chain.head().clone()
    }

    /// Takes `depth` blocks off the head and puts others there. Returns the hashes of planned transactions
    /// that could not stand in their block.
    ///
    /// # Errors
    /// [`ChainError::BelowFinalized`]; nothing has changed then.
    pub fn reorg(&self, plan: &Reorg) -> Result<Vec<B256>, ChainError> {
        self.lock().reorg(plan)
    }

    /// Moves `safe` and `finalized` to these heights.
    ///
    /// # Errors
    /// [`ChainError::FinalityMovesBack`] or [`ChainError::PointerOrder`]; nothing has changed then.
    pub fn set_final(&self, safe: u64, finalized: u64) -> Result<(), ChainError> {
        self.lock().set_final(safe, finalized)
    }

    /// Blocks from now on are not older than this (Unix seconds).
    pub fn set_time(&self, unix_seconds: u64) {
        self.lock().set_time(unix_seconds);
    }

    /// The next block comes this much later than it would.
    pub fn advance_time(&self, seconds: u64) {
        self.lock().advance_time(seconds);
    }

    /// The next block burns this much, whatever EIP-1559 says; later ones follow from it.
    pub fn set_base_fee(&self, wei: u64) {
        self.lock().set_base_fee(wei);
    }

    /// Forgets all transactions that wait, as a network does when fees have risen above them.
    pub fn drop_pool(&self) {
        self.lock().drop_pool();
    }

    /// The code at an address after a block.
    ///
    /// # Errors
    /// [`BaseLayerError::UnknownBlock`].
    pub fn code(&self, address: Address, block: B256) -> Result<Bytes, BaseLayerError> {
        self.lock().code(address, block)
    }

    fn lock(&self) -> MutexGuard<'_, Chain> {
        let chain = self.chain.lock();
        chain.expect("a panic while the chain is locked ends the process")
    }
}

impl std::fmt::Debug for EmbeddedChain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = self.lock().head().hash();
        write!(formatter, "EmbeddedChain(head {head})")
    }
}

fn transaction(pooled: &Pooled, block: Option<B256>) -> Transaction {
    let content = pooled.signed.tx();
    Transaction {
        hash: pooled.hash(),
        from: pooled.sender,
        nonce: content.nonce,
        to: content.to.to().copied(),
        input: content.input.clone(),
        block,
    }
}

#[async_trait]
impl BaseLayer for EmbeddedChain {
    fn chain_id(&self) -> u64 {
        DEVELOPMENT_CHAIN_ID
    }

    async fn header(&self, at: BlockAt) -> Result<Option<Sealed<Header>>, BaseLayerError> {
        Ok(self.lock().header(at).cloned())
    }

    async fn logs(&self, block: B256, filter: &LogFilter) -> Result<Vec<Log>, BaseLayerError> {
        self.lock().logs(block, filter)
    }

    async fn call(&self, block: B256, call: &Call) -> Result<Bytes, BaseLayerError> {
        self.lock().call(block, call)
    }

    async fn send(&self, raw: &Bytes) -> Result<B256, BaseLayerError> {
        Ok(self.lock().send(raw)?)
    }

    async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, BaseLayerError> {
        let chain = self.lock();
        let included = chain.included(hash);
        let included = included.map(|(pooled, receipt)| transaction(pooled, Some(receipt.block)));
        let waiting = || chain.waiting(hash).map(|pooled| transaction(pooled, None));
        Ok(included.or_else(waiting))
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, BaseLayerError> {
        let chain = self.lock();
        Ok(chain.included(hash).map(|(_, receipt)| receipt.clone()))
    }

    async fn nonce(&self, address: Address, at: NonceAt) -> Result<u64, BaseLayerError> {
        let chain = self.lock();
        match at {
            NonceAt::Block(hash) => chain.account_nonce(address, hash),
            NonceAt::Pending => Ok(chain.pending_nonce(address)),
        }
    }

    async fn balance(&self, address: Address, block: B256) -> Result<U256, BaseLayerError> {
        self.lock().balance(address, block)
    }

    async fn fees(&self) -> Result<Fees, BaseLayerError> {
        Ok(Fees {
            base_fee_wei: u128::from(self.lock().next_base_fee()),
            tip_wei: TIP_WEI,
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
        self.lock().prove(block, address, slots)
    }
}
