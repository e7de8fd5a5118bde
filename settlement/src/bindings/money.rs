//! Ways out: claims of withdrawals of proven batches, and in Desert exits of leaves and refunds of items.
//!
//! Paths are made from what everybody can rebuild: a batch's withdrawal words, which `BatchCommitted` holds, and the state after
//! the last proven batch. Whether the batch is proven, the mode is Desert or the state is that one is for the contracts.

use alloy_primitives::{Address, B256, Bytes, U256, Uint};
use alloy_sol_types::SolCall;
use protocol::inbox::InboxItem;
use protocol::number::{BatchNumber, LeafIndex};
use protocol::params::WITHDRAWAL_WORDS;
use protocol::state::{LeafView, State};
use protocol::withdrawal::{Withdrawal, WithdrawalTree};
use protocol::words::{Word, sequence_bytes};

use super::{BindingError, Bridge, DesertExit, Inbox, Leaf, Rollup, address, integer, view};
use crate::base_layer::BaseLayer;

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

/// A leaf of the last proven state, and the call that has it paid in Desert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafExit {
    /// Who is paid what.
    pub leaf: protocol::account::Leaf,
    /// Calldata of `DesertExit.exit`.
    pub input: Bytes,
}

/// `DesertExit.exit` of a leaf of this state, by anyone.
///
/// # Errors
/// [`BindingError::NoLeaf`], or [`BindingError::Malformed`] for a nonce that no proven state has.
pub fn leaf_exit(state: &State, index: LeafIndex) -> Result<LeafExit, BindingError> {
    let leaf = state.leaf(index).ok_or(BindingError::NoLeaf(index))?;
    let call = DesertExit::exitCall {
        index: index.0,
        leaf: Leaf {
            keyX: integer(&leaf.key.x),
            keyY: integer(&leaf.key.y),
            l1Owner: address(leaf.l1_owner),
            token: leaf.token.0,
            nonce: Uint::try_from(leaf.nonce.0)
                .map_err(|error| BindingError::malformed("nonce of a leaf", error))?,
            balance: Uint::try_from(leaf.balance.get())
                .map_err(|error| BindingError::malformed("balance of a leaf", error))?,
            lockUntil: leaf.lock_until.0,
        },
        siblings: state
            .siblings(index)
            .map(|level| level.map(|node| integer(&node))),
    };
    Ok(LeafExit {
        leaf,
        input: call.abi_encode().into(),
    })
}

/// `DesertExit.refund` of an item that no proven batch consumed, by anyone.
#[must_use]
pub fn item_refund(number: u64, item: &InboxItem) -> Bytes {
    let words = sequence_bytes(&item.0).into();
    DesertExit::refundCall { number, words }.abi_encode().into()
}

/// From when on, in Unix seconds, anybody may open Desert if nothing is proven until then; `None` if nothing waits. It is the
/// node's word.
///
/// # Errors
/// [`BindingError`].
pub async fn desert_from(
    layer: &dyn BaseLayer,
    block: B256,
    rollup: Address,
    inbox: Address,
) -> Result<Option<u64>, BindingError> {
    let timing = view(layer, block, rollup, &Rollup::timingCall {}).await?;
    let batches = view(layer, block, rollup, &Rollup::waitingSinceCall {}).await?;
    let number = view(layer, block, rollup, &Rollup::provenInboxCountCall {}).await?;
    let count = view(layer, block, inbox, &Inbox::countCall {}).await?;
    let item = if number < count {
        Some(view(layer, block, inbox, &Inbox::timeOfCall { number }).await?)
    } else {
        None
    };
    // 0 says that no batch waits
    let oldest = Some(batches).filter(|since| *since != 0);
    let oldest = oldest.into_iter().chain(item).min();
    Ok(oldest.map(|since| since.saturating_add(timing.desert).saturating_add(1)))
}
