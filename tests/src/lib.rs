//! Proving ground: what several tests of the workspace share.
//!
//! The tests themselves are in `tests/`. Nothing here runs in production, and no other crate depends
//! on this one.

pub mod golden;
pub mod halo2;
pub mod keccak;
pub mod mutation;
pub mod parallel;
