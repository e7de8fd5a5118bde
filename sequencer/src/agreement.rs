//! Agreement: our protocol's types as the Malachite engine counts them.
//!
//! [`Agreement`] is the engine's `Context`. A vote, a proposal or an extension is signed over `protocol`'s digest,
//! which a contract can rebuild; a validator's public key is its address, and a signature is checked by recovering it.
//! A proposal carries a block's id only: blocks travel beside it as parts, and what they are worth is the vote rule's
//! business (`protocol::validity`).
//!
//! [`WireCodec`] is their bytes, [`GuardedSigner`] and [`RecoveringVerifier`] are the engine's keys. What is signed passes
//! [`crate::guard`] first.
//!
//! What this module does not do: run the engine, or keep its log.

mod certificate;
mod codec;
mod context;
mod conversion;
mod message;
mod seats;
mod signer;
mod signing;
#[cfg(test)]
mod tests;

pub use codec::{WireCodec, WireError};
pub use context::Agreement;
pub use message::{BlockValue, EngineProposal, EngineVote, Part, VoteExtension};
pub use seats::{EngineHeight, Seat, SeatAddress, Seats};
pub use signer::{GuardedSigner, RecoveringVerifier, SignerError};
pub use signing::{MalformedBytes, Secp256k1};
