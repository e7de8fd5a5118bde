//! The same rules in the narrow layout of zcash's halo2 circuits: four advice columns, everything below each other.
//!
//! A permutation of Poseidon has 38 rows ([`crate::chain`]), a bit of a scalar multiplication one or two, two bits of a
//! range check one cell. [`sheet`] is what a circuit is before halo2 sees it, [`gates`] its constraints,
//! [`transfer`] one transfer's rows, [`proof`] the circuit and its proofs.

pub mod gates;
pub mod proof;
pub mod sheet;
pub mod transfer;
