//! From a key description to a Solidity contract that decides proofs of its circuit.
//!
//! The contract takes SHPLONK proofs with the Keccak transcript and gives the verdicts of
//! `verifier::verify_plonk`, or of `verifier::verify_accumulating` if the circuit exposes an
//! accumulator, which it then folds into its own pairing. It answers true or false and reverts only
//! if the call is no encoding of its arguments or gas runs out. It refuses any scalar at or above
//! r, any coordinate at or above q, points off the curve, the identity, and every other length of
//! the call; it never reduces.
//!
//! ```text
//! contract NAME {
//!     function verify(uint256[N] calldata inputs, bytes calldata proof) external view returns (bool);
//! }
//! ```
//!
//! `inputs` are the public inputs behind the accumulator; `proof` is the accumulator's twelve limbs
//! as words, if there is one, and then the proof.
//!
//! Invariants: the text depends on nothing but the description and the options; the code has no
//! branch on data but loops of fixed length and refusals.
//!
//! What it does not do: it does not say that a circuit means anything or that `[s]_2` comes from a
//! ceremony, and it compiles nothing: `scripts/solidity-verifier` does, under [`compiler_settings`].
//!
//! Parts: `shape` (which keys are taken), `memory` (the map), `reading` (bytes to challenges),
//! `constraints` (h(x)), `openings` (SHPLONK and pairing), `text`; `golden` is what is committed. Why it is generated and not
//! snark-verifier's: ADR 0020.

mod constraints;
mod golden;
mod memory;
mod openings;
mod reading;
mod shape;
mod text;

use thiserror::Error;
use verifier::{KeyDescription, TranscriptKind};

use constraints::{Constraints, write_domain};
pub use golden::{GoldenVerifierError, final_key_digest, final_verifier_code};
use memory::Memory;
use openings::Openings;
use shape::Shape;
use text::Text;

/// Version of the compiler the contract is for; the text allows no other.
pub const COMPILER_VERSION: &str = "0.8.37";

/// What is left open by a key description.
#[derive(Clone, Copy, Debug)]
pub struct VerifierOptions<'a> {
    /// Name of the contract.
    pub contract: &'a str,
    /// Whether the first twelve public inputs are an accumulator.
    pub accumulator: bool,
}

impl Default for VerifierOptions<'_> {
    /// The verifier of final proofs.
    fn default() -> Self {
        Self {
            contract: "FinalVerifier",
            accumulator: true,
        }
    }
}

/// Why there is no contract for a key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SolidityError {
    /// The key's proofs are not for contracts.
    #[error("contracts read the Keccak transcript; describe the key with it, not with {found:?}")]
    InvalidTranscript {
        /// The key's transcript.
        found: TranscriptKind,
    },
    /// The circuit uses something the contract has no code for.
    #[error("the generator has no code for {what}; a final circuit does without")]
    Unsupported {
        /// What it uses.
        what: &'static str,
    },
    /// The circuit binds nothing the caller knows.
    #[error("the circuit has {found} public inputs, the contract needs {min} or more")]
    TooFewInputs {
        /// The least that makes sense.
        min: usize,
        /// What there is.
        found: usize,
    },
    /// The contract cannot have this name.
    #[error("a contract cannot be called {name:?}; use a letter, then letters and digits")]
    InvalidName {
        /// The name.
        name: String,
    },
}

/// The settings the contract is compiled with, as solc's standard JSON takes them.
///
/// They keep the text and the bytecode in a relation that can be read: the older code generator,
/// which compiles assembly as it stands, its optimizer for what only it can remove, and no hash of
/// the source in the code.
#[must_use]
pub fn compiler_settings() -> serde_json::Value {
    serde_json::json!({
        "evmVersion": "prague",
        "viaIR": false,
        "optimizer": { "enabled": true, "runs": 1_000 },
        "metadata": { "appendCBOR": false, "bytecodeHash": "none" },
        "outputSelection": { "*": { "*": ["abi", "evm.deployedBytecode.object", "evm.bytecode.object"] } }
    })
}

/// The contract's source.
///
/// # Errors
/// Any variant of [`SolidityError`].
pub fn final_verifier_source(
    description: &KeyDescription,
    options: VerifierOptions<'_>,
) -> Result<String, SolidityError> {
    check_name(options.contract)?;
    let shape = Shape::new(description, &options)?;
    let memory = Memory::new(&shape);
    let openings = Openings::new(&shape, &memory);
    let mut text = Text::default();
    write_head(&mut text, &shape, &options);
    text.open(&format!("contract {}", options.contract));
    write_constants(&mut text, &shape, &memory);
    write_signature(&mut text, &shape);
    text.open("assembly");
    reading::write_functions(&mut text, &shape);
    text.line("");
    openings::write_functions(&mut text, &memory);
    text.line("");
    reading::write(&mut text, &shape, &memory);
    openings.write_distances(&mut text);
    write_domain(&mut text, &shape, &memory);
    Constraints::new(&shape, &memory).write(&mut text);
    openings.write_sum(&mut text);
    openings.write_verdict(&mut text);
    for _ in 0..3 {
        text.close();
    }
    Ok(text.finish())
}

fn check_name(name: &str) -> Result<(), SolidityError> {
    let good = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|other| other.is_ascii_alphanumeric());
    if good {
        Ok(())
    } else {
        let name = name.to_owned();
        Err(SolidityError::InvalidName { name })
    }
}

fn write_head(text: &mut Text, shape: &Shape<'_>, options: &VerifierOptions<'_>) {
    let accumulator = if options.accumulator {
        "\
/// The proof starts with the twelve limbs of an accumulator, the circuit's first public inputs, whose
/// claim is decided together with the proof.
"
    } else {
        ""
    };
    text.lines(&format!(
        "\
// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity {COMPILER_VERSION};

/// @title Decides proofs of one halo2 circuit: KZG on BN254, SHPLONK, Keccak transcript.
/// @notice Answers true if `proof` shows that `inputs` satisfy the circuit, else false.
/// @dev Written by quorate's prover::solidity; do not edit.
/// Digest of the key description: 0x{}.
{accumulator}/// Memory below holds the proof as it is hashed, so commitments and evaluations have fixed addresses;
/// the assembly never returns to Solidity and leaves the compiler's own memory alone until then.",
        hex::encode(shape.key.digest())
    ));
}

fn write_constants(text: &mut Text, shape: &Shape<'_>, memory: &Memory) {
    text.lines(
        "\
// Order of the group, modulus of the scalars.
uint256 private constant R = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
// Modulus of the coordinates.
uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

// Addresses of challenges and intermediate values.",
    );
    let mut names = memory.names.clone();
    names.retain(|(name, _)| shape.limbs > 0 || *name != "FOLD");
    for (name, at) in &names {
        text.line(format!(
            "uint256 private constant {name} = {};",
            text::hex(*at)
        ));
    }
    text.line("");
}

fn write_signature(text: &mut Text, shape: &Shape<'_>) {
    text.open(&format!(
        "function verify(uint256[{}] calldata inputs, bytes calldata proof) external view returns (bool)",
        shape.inputs
    ));
}
