//! The rules two honest nodes must agree on: types, bytes, hashes, keys, the state tree, the state transition,
//! blocks, batches, published words and the witness that a circuit proves.
//!
//! Pure: no I/O, no clock, no async, no operating-system randomness. Everything here follows
//! `protocol.md` of the design; each module names its section. What this crate does not do: order operations
//! (`sequencer`), constrain them (`circuits`) or believe proofs (`verifier`).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::as_conversions
    )
)]

pub mod account;
pub mod batch;
pub mod block;
pub mod certificate;
pub mod checkpoint;
pub mod chunk;
pub mod codec;
pub mod epoch;
pub mod evidence;
pub mod genesis;
pub mod handover;
pub mod hash;
pub mod history;
pub mod inbox;
pub mod number;
pub mod params;
pub mod preconfirmation;
pub mod public_inputs;
pub mod rebuild;
pub mod restart;
pub mod signature;
pub mod soft;
pub mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod threaded;
pub mod transaction;
pub mod transition;
pub mod tree;
pub mod validator;
pub mod validity;
pub mod vote;
pub mod withdrawal;
pub mod witness;
pub mod words;

pub use ark_bn254::Fr;
