//! How fast our peers prove a rollup transfer on this machine.
//!
//! Two peers prove chains of the same transfers ([`workload`]): a circom circuit under Groth16 ([`circom`]), and the
//! same rules in the narrow four-column layout that zcash's halo2 circuits use ([`narrow`]). Both witnesses hold, and
//! every proof that is timed is verified.
//!
//! What this crate does not do: measure our own circuit (`benches` does, in the same run of `make bench`), or keep
//! secrets. Setups draw their toxic waste in process and forget it; nothing here may be used to prove anything to anybody.

pub mod chain;
pub mod circom;
pub mod field;
pub mod narrow;
pub mod poseidon;
pub mod report;
pub mod tree;
pub mod workload;

/// Levels of the binary tree of accounts.
pub const LEVELS: usize = 24;
