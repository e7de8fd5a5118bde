//! How the embedded chain makes a block: what goes in, what it does, and the header over it.
//!
//! Invariants: what is included has been executed on the state that the block's own earlier transactions left; gas never
//! exceeds the block's; the header is sealed once, over everything. Nothing is visible before `seal`.
//!
//! It decides nothing about branches or finality.

use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy_consensus::{Header, ReceiptEnvelope, ReceiptWithBloom, Sealable, TxEnvelope};
use alloy_primitives::{Address, B256, Bloom, Bytes, keccak256};
use revm::context::result::ExecutionResult;

use super::{Block, Chain, Included, empty_header, rules};
use crate::base_layer::Receipt;
use crate::embedded::execute;
use crate::embedded::pool::Pooled;
use crate::signer::DEVELOPMENT_CHAIN_ID;

/// A block that is being filled.
pub(super) struct Draft {
    header: Header,
    included: Vec<Included>,
    receipts: Vec<ReceiptEnvelope>,
}

impl Chain {
    pub(super) fn has_ready(&self) -> bool {
        let head = self.head().number;
        let next = |sender| self.nonce(sender, head);
        let fee = self.next_base_fee();
        self.pool.best(fee, self.config.block_gas, next).is_some()
    }

    pub(super) fn next_timestamp(&self) -> u64 {
        let spaced = self.head().timestamp + self.config.block_seconds;
        spaced.max(self.not_before)
    }

    pub(super) fn draft(&mut self) -> Draft {
        let parent = self.head();
        let number = parent.number + 1;
        let seed = [parent.hash().as_slice(), &self.branch.to_be_bytes()].concat();
        let header = Header {
            parent_hash: parent.hash(),
            number,
            gas_limit: self.config.block_gas,
            timestamp: self.next_timestamp(),
            mix_hash: keccak256(seed),
            base_fee_per_gas: Some(self.next_base_fee()),
            ..empty_header()
        };
        self.base_fee_wei = None;
        Draft {
            header,
            included: Vec::new(),
            receipts: Vec::new(),
        }
    }

    /// Takes the best of the pool until nothing fits.
    pub(super) fn fill(&mut self, draft: &mut Draft) {
        let height = draft.header.number;
        let fee = draft.header.base_fee_per_gas.unwrap_or_default();
        loop {
            let left = draft.header.gas_limit - draft.header.gas_used;
            let next = |sender| self.nonce(sender, height);
            let Some(best) = self.pool.best(fee, left, next).cloned() else {
                return;
            };
            let (sender, nonce) = (best.sender, best.nonce());
            if let Err(error) = self.include(draft, best) {
                tracing::debug!(%sender, nonce, %error, "transaction can not be executed, dropped");
            }
            self.pool.remove(sender, nonce);
        }
    }

    /// The hash of the transaction comes back if it cannot stand in the block.
    pub(super) fn include_raw(&mut self, draft: &mut Draft, raw: &Bytes) -> Result<(), B256> {
        let transaction = Pooled::decode(raw, DEVELOPMENT_CHAIN_ID, self.config.block_gas);
        let transaction = transaction.map_err(|_| keccak256(raw))?;
        let hash = transaction.hash();
        let (sender, nonce) = (transaction.sender, transaction.nonce());
        self.include(draft, transaction).map_err(|_| hash)?;
        self.pool.remove(sender, nonce);
        Ok(())
    }

    fn include(&mut self, draft: &mut Draft, transaction: Pooled) -> Result<(), String> {
        let header = &mut draft.header;
        if transaction.signed.tx().gas_limit > header.gas_limit - header.gas_used {
            return Err("block has not that much gas left".to_owned());
        }
        let block = execute::environment(header);
        let done = execute::transact(self.view(header.number), rules(), block, &transaction);
        let done = done.map_err(|invalid| invalid.to_string())?;
        self.state.commit(header.number, done.state);

        let gas_used = done.result.tx_gas_used();
        header.gas_used += gas_used;
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let tip = transaction.tip(base_fee).unwrap_or_default();
        let created = created_address(&transaction, &done.result);
        let succeeded = done.result.is_success();
        let logs = done.result.into_logs();
        let logs = if succeeded { logs } else { Vec::new() };
        let consensus = alloy_consensus::Receipt {
            status: succeeded.into(),
            cumulative_gas_used: header.gas_used,
            logs: logs.clone(),
        };
        let bloomed: ReceiptWithBloom<_> = consensus.with_bloom();
        draft.receipts.push(ReceiptEnvelope::Eip1559(bloomed));
        let receipt = Receipt {
            transaction: transaction.hash(),
            block: B256::ZERO,
            block_number: header.number,
            transaction_index: u64::try_from(draft.included.len()).unwrap_or(u64::MAX),
            succeeded,
            gas_used,
            gas_price_wei: u128::from(base_fee) + tip,
            created,
        };
        draft.included.push(Included {
            transaction,
            receipt,
            logs,
        });
        Ok(())
    }

    pub(super) fn seal(&mut self, draft: Draft) {
        let Draft {
            mut header,
            mut included,
            receipts,
        } = draft;
        let envelopes = included.iter().map(|i| i.transaction.signed.clone());
        let envelopes: Vec<TxEnvelope> = envelopes.map(TxEnvelope::Eip1559).collect();
        header.transactions_root = calculate_transaction_root(&envelopes);
        header.receipts_root = calculate_receipt_root(&receipts);
        let empty = Bloom::default();
        header.logs_bloom = receipts.iter().fold(empty, |all, r| all | *r.logs_bloom());
        header.state_root = self.state.seal(header.number);
        let header = header.seal_slow();
        for item in &mut included {
            item.receipt.block = header.hash();
        }
        self.append(Block { header, included });
        let head = self.head().number;
        let (state, pool) = (&self.state, &mut self.pool);
        pool.prune(|sender| state.account(sender, head).map_or(0, |a| a.nonce));
        self.move_pointers();
    }
}

fn created_address(transaction: &Pooled, result: &ExecutionResult) -> Option<Address> {
    let create = transaction.signed.tx().to.is_create() && result.is_success();
    create.then(|| transaction.sender.create(transaction.nonce()))
}
