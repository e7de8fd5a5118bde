//! What the submitter speaks of: intents, flights and their versions, progress and errors.
//!
//! Values only; `submitter.rs` says what happens to them.

use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};

use crate::base_layer::{BaseLayerError, Receipt};
use crate::signer::{SignedTransaction, SignerError};

/// Flights at once: public pools keep 16 executable transactions of an account for certain (go-ethereum).
pub(super) const FLIGHTS_MAX: usize = 16;

/// A call that must happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The contract; none creates one.
    pub to: Option<Address>,
    /// Selector and arguments.
    pub input: Bytes,
    /// Wei that go with it.
    pub value: U256,
    /// Gas at most.
    pub gas_limit: u64,
}

/// One signed form of a flight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Hash and bytes.
    pub signed: SignedTransaction,
    /// Wei per gas at most.
    pub fee_wei: u128,
    /// Wei per gas of it for the block's builder, at most.
    pub tip_wei: u128,
    /// Height of the head when it was signed.
    pub signed_at: u64,
}

/// An intent on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// What must happen.
    pub intent: Intent,
    /// The nonce of all versions.
    pub nonce: u64,
    /// Everything that was signed for it, in order; the last pays most.
    pub versions: Vec<Version>,
    /// Where it was last seen in a block.
    pub included: Option<Receipt>,
}

/// How an intent is named from its submission on; counted by the submitter.
pub type FlightId = u64;

/// What `advance` saw or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A version stands in a block; it may leave again. Look at `succeeded`.
    Included {
        /// The flight.
        flight: FlightId,
        /// Where.
        receipt: Receipt,
    },
    /// The block with it has left the chain; it was sent again.
    Reverted {
        /// The flight.
        flight: FlightId,
    },
    /// The block with it is final; the flight is over.
    Final {
        /// The flight.
        flight: FlightId,
        /// Where.
        receipt: Receipt,
    },
    /// It waited too long; a version with higher fees was sent.
    Bumped {
        /// The flight.
        flight: FlightId,
        /// Wei per gas at most, now.
        fee_wei: u128,
    },
    /// It waits, and the fee limit forbids to raise its fees.
    AtFeeLimit {
        /// The flight.
        flight: FlightId,
        /// Wei per gas at most, now.
        fee_wei: u128,
    },
    /// Its nonce was used by a stranger's transaction with this key; it has another nonce now.
    Renumbered {
        /// The flight.
        flight: FlightId,
        /// The new nonce.
        nonce: u64,
    },
}

impl Progress {
    /// The flight that it is about.
    #[must_use]
    pub fn flight(&self) -> FlightId {
        match self {
            Self::Included { flight, .. }
            | Self::Reverted { flight }
            | Self::Final { flight, .. }
            | Self::Bumped { flight, .. }
            | Self::AtFeeLimit { flight, .. }
            | Self::Renumbered { flight, .. } => *flight,
        }
    }
}

/// Limits of a submitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitterConfig {
    /// Wei per gas that are never exceeded.
    pub fee_max_wei: u128,
    /// Blocks that a version waits before its fees are raised.
    pub patience_blocks: u64,
}

/// Why nothing was submitted or no progress made.
#[derive(Debug, thiserror::Error)]
pub enum SubmitterError {
    /// The base layer did not answer, or refused; its error says whose turn it is.
    #[error(transparent)]
    BaseLayer(#[from] BaseLayerError),
    /// The key does not sign for this chain.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Too many flights.
    #[error("{FLIGHTS_MAX} flights are on their way; advance until one is final")]
    Full,
    /// The cheapest inclusion now costs more than the limit.
    #[error(
        "inclusion costs {needed_wei} wei per gas now, the limit is {limit_wei}; wait or raise it"
    )]
    AboveFeeLimit {
        /// Base fee and tip now.
        needed_wei: u128,
        /// The limit.
        limit_wei: u128,
    },
}
