//! Claims of withdrawals of proven batches.
//!
//! The path is made from the batch's withdrawal words, which `BatchCommitted` holds; whether the batch is proven is for the
//! Bridge.

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use protocol::number::BatchNumber;
use protocol::params::WITHDRAWAL_WORDS;
use protocol::withdrawal::{Withdrawal, WithdrawalTree};
use protocol::words::{Word, sequence_bytes};

use super::{BindingError, Bridge};

/// A withdrawal, and the call that has it paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who is paid what.
    pub withdrawal: Withdrawal,
    /// Calldata of `Bridge.claim`.
    pub input: Bytes,
}

/// `Bridge.claim` of withdrawal `index` of a batch with these withdrawal words, by anyone.
///
/// # Errors
/// [`BindingError::NoWithdrawal`], or [`BindingError::Malformed`] for words that no proven batch has.
pub fn claim(batch: BatchNumber, index: u64, withdrawals: &[Word]) -> Result<Claim, BindingError> {
    let missing = || BindingError::NoWithdrawal {
        batch: batch.0,
        index,
    };
    let tree = WithdrawalTree::new(batch, withdrawals)
        .ok_or_else(|| BindingError::malformed("withdrawal words", "their number is odd"))?;
    let path = tree.path(index).ok_or_else(missing)?;
    let place = usize::try_from(index).map_err(|_| missing())?;
    let (pairs, _) = withdrawals.as_chunks::<WITHDRAWAL_WORDS>();
    let words = pairs.get(place).ok_or_else(missing)?;
    let withdrawal = Withdrawal::read(words)
        .ok_or_else(|| BindingError::malformed("withdrawal", "spare bits are set"))?;
    let call = Bridge::claimCall {
        batchNumber: batch.0,
        index: U256::from(index),
        words: sequence_bytes(words).into(),
        path: path.into_iter().map(B256::from).collect(),
    };
    Ok(Claim {
        withdrawal,
        input: call.abi_encode().into(),
    })
}
