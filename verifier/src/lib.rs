//! Decides whether to believe.
//!
//! This crate is the second, independent implementation of everything a Quorate node or an offline
//! reader has to check. It is written over `ark-bn254` and shares no code with the prover, so that
//! a mistake in one of the two is not a mistake in both.
//!
//! What stands here today is the proof core, and the files that `quorate verify` judges offline ([`bundle`],
//! [`evidence`], [`checkpoint`], [`finality`]):
//!
//! * [`KeyDescription`]: a halo2 verifying key as plain, versioned, canonical bytes. It names the
//!   circuit, the transcript and the reference string (through `[s]_2`), so that checking a proof
//!   needs neither halo2 nor a file of curve points.
//! * [`verify_plonk`]: decides one proof against one key; [`verify_accumulating`] decides one whose
//!   public inputs start with an [`accumulator`], together with the accumulator.
//! * [`base_layer`]: what an account of the base layer holds under a block that the reader trusts by its hash.
//!
//! Invariants: no untrusted byte makes this crate panic, allocate without bound or reduce a number
//! modulo a field; two different byte strings never decode to the same key, point or scalar.
//!
//! What it does not do: it creates no proofs, opens no sockets, starts no threads, reads no files
//! and has no clock.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::as_conversions
    )
)]

pub mod accumulator;
pub mod base_layer;
pub mod bundle;
pub mod checkpoint;
pub mod container;
pub mod evidence;
pub mod field;
pub mod finality;
pub mod golden;
pub mod key;
pub mod lineage;
pub mod plonk;
pub mod points;
mod shplonk;
pub mod transcript;

pub use field::EncodingError;
pub use key::{KeyDescription, KeyError, KeyParts};
pub use plonk::{PlonkError, verify_accumulating, verify_plonk};
pub use transcript::TranscriptKind;
