//! Reusable pieces: each a row layout, its gates, its wiring and its native twin.

pub mod edwards;
pub mod foreign;
pub mod merkle;
pub mod poseidon;
pub mod range;
pub mod signature;
pub mod vertical;
