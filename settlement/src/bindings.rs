//! What the contracts are asked and what they say, in the types of `protocol` (ADR 0018, docs/contracts.md).
//!
//! Calldata is made from commitments, certificates, requests and withdrawals; events and reverts are read back. The
//! interfaces stand in `bindings/solidity.rs`, from which alloy makes encoder and decoder.
//!
//! Invariants: what is encoded is what `protocol` signs and hashes, in the same order; bytes of the base layer that are not
//! canonical (field elements of p or more, broken words, spare data) are refused. Nothing here decides what is true: an event
//! is as good as the header under which it was read. Nothing is sent here.

mod batch;
mod inbox;
mod money;
mod seats;
mod solidity;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, SolInterface};
use ark_bn254::Fr;
use protocol::account::L1Address;
use protocol::codec::{field_from_be_bytes, field_to_be_bytes};
use protocol::number::LeafIndex;

use crate::base_layer::{BaseLayer, BaseLayerError, Call, Log};

pub use batch::{CommittedBatch, commit_and_prove, commit_batch, prove_batch, prune, stored_batch};
pub use inbox::{EnqueuedItem, enqueue, item_filter, items, overdue_seconds, rolling_at};
pub use money::{Claim, LeafExit, claim, desert_from, item_refund, leaf_exit};
pub use seats::{hand_over, pack_seats, pack_signers, registration_digest};
pub use solidity::{
    Bridge, Certificate, DesertExit, Events, Header, Inbox, Leaf, Reverts, Rollup, StoredBatch,
    Timing, ValidatorRegistry, Verifier, VerifierRegistry, Words,
};

/// Why something cannot be said to the contracts, or was not understood.
#[derive(Debug, thiserror::Error)]
pub enum BindingError {
    /// The base layer did not answer.
    #[error(transparent)]
    BaseLayer(#[from] BaseLayerError),
    /// An answer or event that is not in the contract's form.
    #[error(
        "{what} is not in the contract's form: {reason}; is this the contract of this version?"
    )]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A signer without a seat in the set that is sent along.
    #[error("signer {0} has no seat in the set; use the set of the certificate's epoch")]
    Stranger(L1Address),
    /// Signers out of order or twice.
    #[error("signer {0} is out of order; signers must ascend by address, each once")]
    Order(L1Address),
    /// Words that are not those that were signed.
    #[error("the {0} words are not those of the commitment; commit the words that were signed")]
    OtherWords(&'static str),
    /// A request that the Inbox has no function for.
    #[error("an item of unknown kind cannot be enqueued")]
    UnknownKind,
    /// A leaf that the state does not have.
    #[error("the state has no leaf {0}")]
    NoLeaf(LeafIndex),
    /// A withdrawal that is not in the batch.
    #[error("batch {batch} has no withdrawal {index}")]
    NoWithdrawal {
        /// The batch.
        batch: u64,
        /// Place of the withdrawal, from 0.
        index: u64,
    },
}

impl BindingError {
    pub(crate) fn malformed(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Malformed {
            what,
            reason: reason.to_string(),
        }
    }
}

/// An address as alloy has it.
#[must_use]
pub fn address(address: L1Address) -> Address {
    Address::from(address.0)
}

/// An address as the protocol has it.
#[must_use]
pub fn l1_address(address: Address) -> L1Address {
    L1Address(address.into_array())
}

/// A field element as the integer that contracts hold.
#[must_use]
pub fn integer(field: &Fr) -> U256 {
    U256::from_be_bytes(field_to_be_bytes(field))
}

/// The field element of a contract's integer.
///
/// # Errors
/// [`BindingError::Malformed`] for p or more.
pub fn field(what: &'static str, integer: U256) -> Result<Fr, BindingError> {
    field_from_be_bytes(&integer.to_be_bytes())
        .map_err(|error| BindingError::malformed(what, error))
}

/// Asks a contract in the state after a block.
///
/// # Errors
/// The base layer's, [`BaseLayerError::Reverted`] among them, or [`BindingError::Malformed`].
pub async fn view<C: SolCall>(
    layer: &dyn BaseLayer,
    block: B256,
    contract: Address,
    call: &C,
) -> Result<C::Return, BindingError> {
    let call = Call {
        from: Address::ZERO,
        to: contract,
        input: Bytes::from(call.abi_encode()),
    };
    let answer = layer.call(block, &call).await?;
    C::abi_decode_returns_validate(&answer)
        .map_err(|error| BindingError::malformed(C::SIGNATURE, error))
}

/// Reads a log as event `E`; `None` if it is another event. Whose log it is is for the caller's filter.
///
/// # Errors
/// [`BindingError::Malformed`].
pub fn event<E: SolEvent>(log: &Log) -> Result<Option<E>, BindingError> {
    if log.inner.topics().first() != Some(&E::SIGNATURE_HASH) {
        return Ok(None);
    }
    E::decode_raw_log_validate(log.inner.topics().iter().copied(), &log.inner.data.data)
        .map(Some)
        .map_err(|error| BindingError::malformed(E::SIGNATURE, error))
}

/// The contract's error in the bytes of a revert; `None` if they are no error of ours.
#[must_use]
pub fn revert(data: &[u8]) -> Option<Reverts::RevertsErrors> {
    Reverts::RevertsErrors::abi_decode_validate(data).ok()
}
