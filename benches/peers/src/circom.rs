//! The circom way: a circuit compiled by circom, its witness made by circom's calculator, a Groth16 proof.
//!
//! `make` compiles `circom/transfer.circom` for a number of transfers into `build/`. From there on everything is done
//! here: inputs ([`inputs`]), the constraints and the witness as circom wrote them ([`r1cs`], [`witness`]), setup,
//! proofs and their verification ([`groth16`]).

pub mod binary;
pub mod groth16;
pub mod inputs;
pub mod r1cs;
pub mod witness;

pub use binary::FormatError;
pub use r1cs::R1cs;
