//! Transactions that wait for a block of the embedded chain.
//!
//! Invariants: one transaction per sender and nonce; it is replaced only by one that raises both fees by a
//! tenth; what waits behind a gap stays until the gap is filled; every bound is named. What can never
//! stand in a block is refused here, with the reason, and not later in silence.
//!
//! It does not execute anything and does not know the head: nonce and balance come as arguments.
//!
//! Source: the pool rules of go-ethereum that a submitter meets on the real network; EIP-170, EIP-3860,
//! EIP-7623, EIP-7825.

use std::collections::BTreeMap;

use alloy_consensus::{Signed, TxEip1559, TxEnvelope};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};

use crate::base_layer::Rejection;
use crate::embedded::execute;

/// Bytes of one transaction; go-ethereum's pool takes no more, so more would work here and nowhere else.
pub(super) const TRANSACTION_BYTES_MAX: usize = 131_072;
/// How far after the account's next nonce a transaction may be.
const NONCE_GAP_MAX: u64 = 64;
/// Transactions that wait, of all accounts: far above what one rollup sends between two blocks.
const POOL_MAX: usize = 4_096;
/// A replacement raises both fees by this many percent at least.
const REPLACEMENT_PERCENT: u128 = 10;
/// Bytes of the code that creates a contract (EIP-3860).
const INIT_CODE_BYTES_MAX: usize = 49_152;

/// A transaction with its signer, which decoding has recovered.
#[derive(Clone, Debug)]
pub(super) struct Pooled {
    pub(super) signed: Signed<TxEip1559>,
    pub(super) sender: Address,
    /// Position in the order of arrival, which breaks ties between fees.
    arrival: u64,
}

impl Pooled {
    /// Reads and checks what depends on the transaction and the chain's rules alone.
    pub(super) fn decode(raw: &Bytes, chain_id: u64, block_gas: u64) -> Result<Self, Rejection> {
        let malformed = |reason: String| Rejection::Malformed { reason };
        if raw.len() > TRANSACTION_BYTES_MAX {
            return Err(Rejection::Rules {
                reason: format!("{} bytes, at most {TRANSACTION_BYTES_MAX}", raw.len()),
            });
        }
        let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|e| malformed(e.to_string()))?;
        let TxEnvelope::Eip1559(signed) = envelope else {
            return Err(malformed(format!(
                "type {:?}; the embedded chain takes EIP-1559",
                envelope.tx_type()
            )));
        };
        let sender = signed
            .recover_signer()
            .map_err(|e| malformed(e.to_string()))?;
        check_rules(signed.tx(), chain_id, block_gas)?;
        Ok(Self {
            signed,
            sender,
            arrival: 0,
        })
    }

    pub(super) fn hash(&self) -> B256 {
        *self.signed.hash()
    }

    pub(super) fn nonce(&self) -> u64 {
        self.signed.tx().nonce
    }

    /// Wei per gas for the block's builder, if the transaction pays the base fee.
    pub(super) fn tip(&self, base_fee: u64) -> Option<u128> {
        let content = self.signed.tx();
        let left = content.max_fee_per_gas.checked_sub(u128::from(base_fee))?;
        Some(left.min(content.max_priority_fee_per_gas))
    }
}

fn check_rules(content: &TxEip1559, chain_id: u64, block_gas: u64) -> Result<(), Rejection> {
    let rule = |reason: String| Err(Rejection::Rules { reason });
    if content.chain_id != chain_id {
        return Err(Rejection::OtherChain {
            expected: chain_id,
            found: Some(content.chain_id),
        });
    }
    let gas_max = execute::TRANSACTION_GAS_MAX.min(block_gas);
    if content.gas_limit > gas_max {
        return rule(format!(
            "gas limit {}, at most {gas_max}",
            content.gas_limit
        ));
    }
    let intrinsic = execute::intrinsic_gas(content);
    if content.gas_limit < intrinsic {
        return rule(format!(
            "gas limit {}, its bytes alone cost {intrinsic}",
            content.gas_limit
        ));
    }
    if content.max_priority_fee_per_gas > content.max_fee_per_gas {
        return rule(format!(
            "tip {} above the fee limit {}",
            content.max_priority_fee_per_gas, content.max_fee_per_gas
        ));
    }
    if content.to.is_create() && content.input.len() > INIT_CODE_BYTES_MAX {
        return rule(format!(
            "{} bytes of creating code, at most {INIT_CODE_BYTES_MAX}",
            content.input.len()
        ));
    }
    Ok(())
}

/// What waits, by sender and nonce.
#[derive(Debug, Default)]
pub(super) struct Pool {
    senders: BTreeMap<Address, BTreeMap<u64, Pooled>>,
    arrivals: u64,
}

impl Pool {
    /// Takes a transaction of an account with this next nonce and balance.
    pub(super) fn insert(
        &mut self,
        mut transaction: Pooled,
        next: u64,
        balance: U256,
    ) -> Result<(), Rejection> {
        let nonce = transaction.nonce();
        if nonce < next {
            return Err(Rejection::NonceTooLow {
                reason: format!("{nonce}, the account's next is {next}"),
            });
        }
        if nonce - next > NONCE_GAP_MAX {
            return Err(Rejection::NonceTooHigh {
                nonce,
                next,
                limit: NONCE_GAP_MAX,
            });
        }
        let content = transaction.signed.tx();
        let gas = U256::from(content.gas_limit) * U256::from(content.max_fee_per_gas);
        let cost = gas.saturating_add(content.value);
        if cost > balance {
            return Err(Rejection::InsufficientFunds {
                reason: format!("costs up to {cost} wei, the account has {balance}"),
            });
        }
        match self.get(transaction.sender, nonce) {
            Some(old) => check_replacement(old.signed.tx(), content)?,
            None if self.len() >= POOL_MAX => return Err(Rejection::PoolFull { limit: POOL_MAX }),
            None => {}
        }
        self.arrivals += 1;
        transaction.arrival = self.arrivals;
        let of_sender = self.senders.entry(transaction.sender).or_default();
        of_sender.insert(nonce, transaction);
        Ok(())
    }

    /// The best transaction that could come next: highest tip, then longest wait. `next` says each account's
    /// next nonce, `gas` how much is left in the block.
    pub(super) fn best(
        &self,
        base_fee: u64,
        gas: u64,
        next: impl Fn(Address) -> u64,
    ) -> Option<&Pooled> {
        let ready = self.senders.iter().filter_map(|(sender, of_sender)| {
            let transaction = of_sender.get(&next(*sender))?;
            (transaction.signed.tx().gas_limit <= gas).then_some(transaction)
        });
        let paying = ready.filter_map(|t| Some((t.tip(base_fee)?, t)));
        paying
            .max_by_key(|(tip, t)| (*tip, std::cmp::Reverse(t.arrival)))
            .map(|(_, transaction)| transaction)
    }

    /// Forgets a transaction that is in a block, or can never be.
    pub(super) fn remove(&mut self, sender: Address, nonce: u64) {
        if let Some(of_sender) = self.senders.get_mut(&sender) {
            of_sender.remove(&nonce);
        }
        self.senders.retain(|_, of_sender| !of_sender.is_empty());
    }

    /// Forgets what can never come, because its nonce is used.
    pub(super) fn prune(&mut self, next: impl Fn(Address) -> u64) {
        self.senders.retain(|sender, of_sender| {
            *of_sender = of_sender.split_off(&next(*sender));
            !of_sender.is_empty()
        });
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.senders.clear();
    }

    /// The transaction with this hash.
    pub(super) fn find(&self, hash: B256) -> Option<&Pooled> {
        let mut all = self.senders.values().flat_map(BTreeMap::values);
        all.find(|transaction| transaction.hash() == hash)
    }

    /// The account's next nonce after everything that waits without a gap.
    pub(super) fn next_nonce(&self, sender: Address, next: u64) -> u64 {
        let Some(of_sender) = self.senders.get(&sender) else {
            return next;
        };
        let gap = (next..).find(|nonce| !of_sender.contains_key(nonce));
        gap.unwrap_or(next)
    }

    pub(super) fn len(&self) -> usize {
        self.senders.values().map(BTreeMap::len).sum()
    }

    fn get(&self, sender: Address, nonce: u64) -> Option<&Pooled> {
        self.senders.get(&sender)?.get(&nonce)
    }
}

fn check_replacement(old: &TxEip1559, new: &TxEip1559) -> Result<(), Rejection> {
    // Rounded up, as everywhere: a tenth more of 1 wei is 2 wei.
    let raised = |fee: u128| fee.saturating_mul(100 + REPLACEMENT_PERCENT).div_ceil(100);
    let (fee, tip) = (
        raised(old.max_fee_per_gas),
        raised(old.max_priority_fee_per_gas),
    );
    if new.max_fee_per_gas < fee || new.max_priority_fee_per_gas < tip {
        return Err(Rejection::ReplacementUnderpriced {
            reason: format!(
                "fee limit {} and tip {}, needed are {fee} and {tip} wei per gas",
                new.max_fee_per_gas, new.max_priority_fee_per_gas
            ),
        });
    }
    Ok(())
}
