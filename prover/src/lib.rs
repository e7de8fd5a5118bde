//! From circuits to proofs: reference strings, keys, proving.
//!
//! Entry points: [`srs::ReferenceString`] (ceremony files, development string, cache),
//! [`keys::KeyCache`] (proving and verifying keys), [`proof::prove`] and [`proof::verify`] (SHPLONK
//! under the Poseidon transcript).
//!
//! Invariants: nothing from a file is used before it was checked; a string whose secret somebody
//! may know is never silently accepted ([`srs::ReferenceString::check_allowed`]).
//!
//! What it does not do: it does not decide whether a proof of somebody else is believed; that is
//! the `verifier` crate's work, which shares no code with this one.

pub mod aggregate;
pub mod export;
pub mod keys;
pub mod progress;
pub mod proof;
mod prover;
pub mod sealed;
pub mod solidity;
pub mod srs;
mod transcript;
pub mod worker;

pub use prover::{Prover, ProverError};
