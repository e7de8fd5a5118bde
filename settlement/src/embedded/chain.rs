//! The embedded chain itself: its blocks, how they are made, and how they are unmade.
//!
//! Invariants:
//! - Every header is real: its roots are those of the transactions, receipts and state of its block, and
//!   its hash is Keccak of its RLP. Two blocks of one height differ in `prev_randao`, so a branch always
//!   has new hashes.
//! - `finalized` and the blocks below it never change; `finalized <= safe <= head`.
//! - What is observable (blocks, receipts, state, places) is changed by `append` and `truncate` alone.
//!
//! Single threaded and without a clock: `embedded.rs` locks it, the driver says what time it is. Withdrawals,
//! blobs and beacon roots are empty in every header.
//!
//! Source: EIP-1559 (base fee), EIP-3675 (headers after the merge), EIP-4399 (`prev_randao`).

mod building;

use std::collections::BTreeMap;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, Sealable, Sealed};
use alloy_eips::eip1559::BaseFeeParams;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::EMPTY_ROOT_HASH;

use crate::base_layer::{BaseLayerError, BlockAt, Call, Log, LogFilter, Receipt, Rejection};
use crate::embedded::execute::{self, View};
use crate::embedded::pool::{Pool, Pooled};
use crate::embedded::state::State;
use crate::embedded::{BlockPlan, ChainError, EmbeddedConfig, Finality, Mining, Orphans, Reorg};
use crate::signer::DEVELOPMENT_CHAIN_ID;
use verifier::base_layer::StateProof;

/// Wei per gas that the first block burns: one gwei, as on other development chains.
const FIRST_BASE_FEE_WEI: u64 = 1_000_000_000;

/// A transaction in its block, with what it did.
struct Included {
    transaction: Pooled,
    receipt: Receipt,
    logs: Vec<alloy_primitives::Log>,
}

/// A transaction of a block, what became of it, and its logs.
pub(super) type Content<'a> = (&'a Pooled, &'a Receipt, &'a [alloy_primitives::Log]);

/// A block with everything that can be asked about it.
struct Block {
    header: Sealed<Header>,
    included: Vec<Included>,
}

/// The chain, its state and its pool.
pub(super) struct Chain {
    config: EmbeddedConfig,
    state: State,
    blocks: Vec<Block>,
    /// Hashes of `blocks`, by height.
    hashes: Vec<B256>,
    heights: BTreeMap<B256, u64>,
    /// Height and index of every transaction in a block.
    places: BTreeMap<B256, (u64, usize)>,
    pool: Pool,
    safe: u64,
    finalized: u64,
    /// Reorganisations so far; enters every header.
    branch: u64,
    /// The next block is not older than this (Unix seconds).
    not_before: u64,
    /// Base fee of the next block, instead of the rule's.
    base_fee_wei: Option<u64>,
}

impl Chain {
    /// A chain with its genesis block.
    pub(super) fn new(config: EmbeddedConfig) -> Self {
        let mut state = State::default();
        for (address, balance) in &config.funded {
            state.fund(*address, *balance);
        }
        let header = Header {
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            state_root: state.seal(0),
            gas_limit: config.block_gas,
            timestamp: config.genesis_time,
            base_fee_per_gas: Some(FIRST_BASE_FEE_WEI),
            ..empty_header()
        };
        let mut chain = Self {
            config,
            state,
            blocks: Vec::new(),
            hashes: Vec::new(),
            heights: BTreeMap::new(),
            places: BTreeMap::new(),
            pool: Pool::default(),
            safe: 0,
            finalized: 0,
            branch: 0,
            not_before: 0,
            base_fee_wei: None,
        };
        chain.append(Block {
            header: header.seal_slow(),
            included: Vec::new(),
        });
        chain
    }

    // --- what can be asked ---

    pub(super) fn head(&self) -> &Sealed<Header> {
        let last = self.blocks.last().map(|block| &block.header);
        last.expect("genesis is appended when the chain is made and never truncated")
    }

    pub(super) fn header(&self, at: BlockAt) -> Option<&Sealed<Header>> {
        let height = match at {
            BlockAt::Latest => return Some(self.head()),
            BlockAt::Safe => self.safe,
            BlockAt::Finalized => self.finalized,
            BlockAt::Number(height) => height,
            BlockAt::Hash(hash) => *self.heights.get(&hash)?,
        };
        self.block(height).map(|block| &block.header)
    }

    pub(super) fn logs(&self, hash: B256, filter: &LogFilter) -> Result<Vec<Log>, BaseLayerError> {
        let block = self.block_by_hash(hash)?;
        let all = block.included.iter().flat_map(|included| {
            let logs = included.logs.iter();
            logs.map(move |log| (&included.receipt, log))
        });
        let placed = (0..).zip(all).map(|(log_index, (receipt, log))| Log {
            inner: log.clone(),
            block: hash,
            block_number: receipt.block_number,
            transaction: receipt.transaction,
            transaction_index: receipt.transaction_index,
            log_index,
        });
        Ok(placed.filter(|log| filter.accepts(&log.inner)).collect())
    }

    /// Transactions of a block in their order, with what they did.
    pub(super) fn contents(&self, hash: B256) -> Result<Vec<Content<'_>>, BaseLayerError> {
        let included = self.block_by_hash(hash)?.included.iter();
        let parts = included.map(|one| (&one.transaction, &one.receipt, &one.logs[..]));
        Ok(parts.collect())
    }

    pub(super) fn code(&self, address: Address, hash: B256) -> Result<Bytes, BaseLayerError> {
        let height = self.block_by_hash(hash)?.header.number;
        let account = self.state.account(address, height);
        let code = account.map(|account| self.state.code(account.code_hash));
        Ok(code.map(|code| code.original_bytes()).unwrap_or_default())
    }

    pub(super) fn call(&self, hash: B256, call: &Call) -> Result<Bytes, BaseLayerError> {
        let header = &self.block_by_hash(hash)?.header;
        let block = execute::environment(header);
        execute::call(self.view(header.number), rules(), block, call)
    }

    pub(super) fn included(&self, hash: B256) -> Option<(&Pooled, &Receipt)> {
        let (height, index) = self.places.get(&hash)?;
        let included = self.block(*height)?.included.get(*index)?;
        Some((&included.transaction, &included.receipt))
    }

    pub(super) fn waiting(&self, hash: B256) -> Option<&Pooled> {
        self.pool.find(hash)
    }

    pub(super) fn account_nonce(
        &self,
        address: Address,
        hash: B256,
    ) -> Result<u64, BaseLayerError> {
        let height = self.block_by_hash(hash)?.header.number;
        Ok(self.nonce(address, height))
    }

    pub(super) fn pending_nonce(&self, address: Address) -> u64 {
        let next = self.nonce(address, self.head().number);
        self.pool.next_nonce(address, next)
    }

    pub(super) fn balance(&self, address: Address, hash: B256) -> Result<U256, BaseLayerError> {
        let height = self.block_by_hash(hash)?.header.number;
        Ok(self.balance_at(address, height))
    }

    pub(super) fn prove(
        &self,
        hash: B256,
        address: Address,
        slots: &[B256],
    ) -> Result<StateProof, BaseLayerError> {
        let height = self.block_by_hash(hash)?.header.number;
        Ok(self.state.prove(height, address, slots))
    }

    /// Wei per gas that the next block burns.
    pub(super) fn next_base_fee(&self) -> u64 {
        let rule = self.head().next_block_base_fee(BaseFeeParams::ethereum());
        self.base_fee_wei.or(rule).unwrap_or(FIRST_BASE_FEE_WEI)
    }

    // --- what a user does ---

    /// Takes a transaction; mines it at once if the chain does that and its turn has come.
    pub(super) fn send(&mut self, raw: &Bytes) -> Result<B256, Rejection> {
        let transaction = Pooled::decode(raw, DEVELOPMENT_CHAIN_ID, self.config.block_gas)?;
        let hash = transaction.hash();
        if self.places.contains_key(&hash) || self.pool.find(hash).is_some() {
            return Ok(hash);
        }
        self.admit(transaction)?;
        if self.config.mining == Mining::EverySend && self.has_ready() {
            self.mine(&BlockPlan::Pool);
        }
        Ok(hash)
    }

    // --- what the driver does ---

    /// Makes a block on the head; returns transactions of the plan that could not stand in it.
    pub(super) fn mine(&mut self, plan: &BlockPlan) -> Vec<B256> {
        let mut draft = self.draft();
        let mut left_out = Vec::new();
        match plan {
            BlockPlan::Empty => {}
            BlockPlan::Pool => self.fill(&mut draft),
            BlockPlan::Of(transactions) => {
                for raw in transactions {
                    if let Err(hash) = self.include_raw(&mut draft, raw) {
                        left_out.push(hash);
                    }
                }
            }
        }
        self.seal(draft);
        left_out
    }

    pub(super) fn set_time(&mut self, unix_seconds: u64) {
        self.not_before = unix_seconds;
    }

    pub(super) fn advance_time(&mut self, seconds: u64) {
        self.not_before = self.next_timestamp().saturating_add(seconds);
    }

    pub(super) fn set_base_fee(&mut self, wei: u64) {
        self.base_fee_wei = Some(wei);
    }

    pub(super) fn drop_pool(&mut self) {
        self.pool.clear();
    }

    /// Moves the pointers by hand.
    pub(super) fn set_final(&mut self, safe: u64, finalized: u64) -> Result<(), ChainError> {
        let head = self.head().number;
        if finalized < self.finalized {
            return Err(ChainError::FinalityMovesBack {
                finalized: self.finalized,
                asked: finalized,
            });
        }
        if finalized > safe || safe > head {
            return Err(ChainError::PointerOrder {
                finalized,
                safe,
                head,
            });
        }
        self.safe = safe;
        self.finalized = finalized;
        Ok(())
    }

    /// Takes blocks off the head and puts others there.
    pub(super) fn reorg(&mut self, plan: &Reorg) -> Result<Vec<B256>, ChainError> {
        let head = self.head().number;
        let kept = head
            .checked_sub(plan.depth)
            .filter(|kept| *kept >= self.finalized);
        let kept = kept.ok_or(ChainError::BelowFinalized {
            depth: plan.depth,
            head,
            finalized: self.finalized,
        })?;
        let orphans = self.truncate(kept);
        self.branch += 1;
        if plan.orphans == Orphans::Return {
            for transaction in orphans {
                let hash = transaction.hash();
                if let Err(error) = self.admit(transaction) {
                    tracing::debug!(tx = %hash, %error, "orphaned transaction is not kept");
                }
            }
        }
        let left_out = plan.blocks.iter().flat_map(|block| self.mine(block));
        let left_out = left_out.collect();
        self.move_pointers();
        Ok(left_out)
    }

    // --- parts ---

    fn block(&self, height: u64) -> Option<&Block> {
        self.blocks.get(usize::try_from(height).ok()?)
    }

    fn block_by_hash(&self, hash: B256) -> Result<&Block, BaseLayerError> {
        let height = self.heights.get(&hash);
        let block = height.and_then(|height| self.block(*height));
        block.ok_or(BaseLayerError::UnknownBlock {
            at: BlockAt::Hash(hash),
        })
    }

    fn view(&self, height: u64) -> View<'_> {
        View {
            state: &self.state,
            height,
            hashes: &self.hashes,
        }
    }

    fn nonce(&self, address: Address, height: u64) -> u64 {
        let account = self.state.account(address, height);
        account.map_or(0, |account| account.nonce)
    }

    fn balance_at(&self, address: Address, height: u64) -> U256 {
        let account = self.state.account(address, height);
        account.map_or(U256::ZERO, |account| account.balance)
    }

    fn admit(&mut self, transaction: Pooled) -> Result<(), Rejection> {
        let head = self.head().number;
        let next = self.nonce(transaction.sender, head);
        let balance = self.balance_at(transaction.sender, head);
        self.pool.insert(transaction, next, balance)
    }

    fn append(&mut self, block: Block) {
        let height = block.header.number;
        self.hashes.push(block.header.hash());
        self.heights.insert(block.header.hash(), height);
        for (index, item) in block.included.iter().enumerate() {
            self.places
                .insert(item.receipt.transaction, (height, index));
        }
        self.blocks.push(block);
    }

    /// Forgets every block above a height; returns their transactions in order.
    fn truncate(&mut self, height: u64) -> Vec<Pooled> {
        let keep = usize::try_from(height)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let dropped = self.blocks.split_off(keep.min(self.blocks.len()));
        self.hashes.truncate(keep);
        for block in &dropped {
            self.heights.remove(&block.header.hash());
            for item in &block.included {
                self.places.remove(&item.receipt.transaction);
            }
        }
        self.state.truncate(height);
        // A safe block may be reorganised; that is the difference between safe and finalized.
        self.safe = self.safe.min(height);
        let included = dropped.into_iter().flat_map(|block| block.included);
        included.map(|item| item.transaction).collect()
    }

    fn move_pointers(&mut self) {
        let head = self.head().number;
        if let Finality::Depths { safe, finalized } = self.config.finality {
            self.finalized = self.finalized.max(head.saturating_sub(finalized));
            self.safe = self.finalized.max(head.saturating_sub(safe));
        }
    }
}

fn rules() -> revm::context::CfgEnv {
    execute::rules(DEVELOPMENT_CHAIN_ID)
}

/// A header of the current fork with nothing in it.
fn empty_header() -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        withdrawals_root: Some(EMPTY_ROOT_HASH),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
