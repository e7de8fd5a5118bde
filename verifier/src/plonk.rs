//! Decides halo2 proofs: PLONKish arithmetisation, KZG commitments on BN254, SHPLONK openings.
//!
//! The protocol is the one of the halo2 book, "Proving system" chapters, as halo2-axiom 0.5.3
//! implements it for KZG; where the two differ the code is followed and the difference noted. In
//! the book's order:
//!
//! 1. *Committing to the circuit assignments*: the key's digest and the public inputs are absorbed,
//!    advice commitments read phase by phase (`messages`).
//! 2. *Lookup argument*, *permutation argument*: theta, beta and gamma are drawn, the permuted and
//!    product polynomials read.
//! 3. *Vanishing argument*: y is drawn, the pieces of the quotient h read, x drawn, all
//!    evaluations at x read; the constraints, folded with y, must equal h(x) (x^n - 1)
//!    (`identities`).
//! 4. *Multipoint opening argument*: halo2's KZG backend uses SHPLONK instead of the book's
//!    argument (`crate::shplonk`); what has to be opened where is listed in `openings`.
//!
//! # Deviations from halo2-axiom's verifier
//!
//! This verifier is stricter in five places and equal in all others:
//!
//! * bytes after the end of a proof are refused (halo2 does not look);
//! * a point has one encoding (halo2 ignores the identity flag on a point with x other than zero
//!   and the parity flag on the identity);
//! * the Keccak transcript refuses the identity, as the contracts do;
//! * the number of public inputs in each column is part of the key (halo2 takes any number, and
//!   panics on more than the domain holds);
//! * challenges that make a denominator zero are an error (halo2 panics).
//!
//! Instance columns are not committed to: the verifier evaluates them itself from the values, which
//! the transcript has absorbed (`QUERY_INSTANCE` is false for KZG).

mod domain;
mod identities;
mod messages;
mod openings;

use ark_bn254::Fr;
use thiserror::Error;

use crate::accumulator::{Accumulator, AccumulatorError};
use crate::field::EncodingError;
use crate::key::{KeyDescription, index};
use crate::shplonk;
use crate::transcript::Transcript;
use domain::Domain;
pub(crate) use domain::powers;
use messages::{Commitments, Evaluations};
#[cfg(test)]
pub(crate) use openings::Claim;
pub(crate) use openings::Openings;

/// Decides whether `proof` shows that `instances` satisfy the circuit of `key`.
///
/// `instances` has one list of public inputs for each instance column. If the circuit exposes an
/// accumulator, this is not the function to ask: it takes the accumulator for numbers.
///
/// # Errors
/// Says why the proof is refused. Except for [`PlonkError::Internal`], which is a bug of this crate,
/// every variant is the fault of whoever sent the proof or the public inputs.
pub fn verify_plonk(
    key: &KeyDescription,
    instances: &[Vec<Fr>],
    proof: &[u8],
) -> Result<(), PlonkError> {
    verify(key, instances, proof, None)
}

/// Decides as [`verify_plonk`], for a circuit whose first public inputs are an [`Accumulator`], and
/// decides the accumulator's claim as well.
///
/// Both are one pairing check: with f a challenge drawn after the whole proof has been absorbed,
/// the accumulator's points times f are added to the opening's. The opening says A = O and the
/// accumulator B = O for A = F + u W' - s W' and B = lhs - s rhs; the sum says A + f B = O. The
/// transcript has absorbed all that A and B are computed from, so unless both are O there is one f
/// at most, among 2^254, for which the sum is.
///
/// # Errors
/// As [`verify_plonk`], and [`PlonkError::InvalidAccumulator`].
pub fn verify_accumulating(
    key: &KeyDescription,
    instances: &[Vec<Fr>],
    proof: &[u8],
) -> Result<(), PlonkError> {
    let inputs = instances.first().map_or(&[][..], Vec::as_slice);
    let accumulator = Accumulator::from_inputs(inputs)?;
    verify(key, instances, proof, Some(&accumulator))
}

fn verify(
    key: &KeyDescription,
    instances: &[Vec<Fr>],
    proof: &[u8],
    accumulator: Option<&Accumulator>,
) -> Result<(), PlonkError> {
    let parts = key.parts();
    check_instances(&parts.instance_lens, instances)?;
    let expected = key.proof_bytes();
    if proof.len() != expected {
        return Err(PlonkError::InvalidLength {
            expected,
            found: proof.len(),
        });
    }

    let mut transcript = Transcript::new(parts.transcript, proof)?;
    transcript.absorb_scalar(&parts.transcript_repr);
    for value in instances.iter().flatten() {
        transcript.absorb_scalar(value);
    }
    let commitments = Commitments::read(parts, &mut transcript)?;

    let domain = Domain::new(parts);
    let point = domain
        .at(commitments.x)
        .ok_or(PlonkError::DegenerateChallenge)?;
    let instance_evaluations = point.instance_evaluations(parts, instances)?;
    let evaluations = Evaluations::read(parts, &mut transcript)?;

    let quotient = identities::quotient_evaluation(
        parts,
        &point,
        &commitments,
        &evaluations,
        &instance_evaluations,
    )?;
    let openings = openings::list(parts, &point, &commitments, &evaluations, quotient)?;
    shplonk::verify(&mut transcript, &openings, parts, accumulator)
}

fn check_instances(lens: &[u32], instances: &[Vec<Fr>]) -> Result<(), PlonkError> {
    if instances.len() != lens.len() {
        let (expected, found) = (lens.len(), instances.len());
        return Err(PlonkError::InvalidInstanceColumns { expected, found });
    }
    for (column, (len, values)) in lens.iter().zip(instances).enumerate() {
        let (expected, found) = (index(*len), values.len());
        if expected != found {
            return Err(PlonkError::InvalidInstanceCount {
                column,
                expected,
                found,
            });
        }
    }
    Ok(())
}

/// Why a proof is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlonkError {
    /// The public inputs have another number of columns than the circuit.
    #[error("the circuit has {expected} instance columns, {found} were given")]
    InvalidInstanceColumns {
        /// Columns of the circuit.
        expected: usize,
        /// Columns given.
        found: usize,
    },
    /// A column of public inputs has another length than the key pins.
    #[error("instance column {column} takes {expected} public inputs, {found} were given")]
    InvalidInstanceCount {
        /// Which column.
        column: usize,
        /// Length pinned in the key.
        expected: usize,
        /// Length given.
        found: usize,
    },
    /// The proof is longer or shorter than every proof of this circuit.
    #[error("a proof of this circuit has {expected} bytes, this one {found}")]
    InvalidLength {
        /// Length of every proof of this circuit.
        expected: usize,
        /// Length of this one.
        found: usize,
    },
    /// A scalar of the proof is not canonical.
    #[error("scalar at byte {offset} of the proof: {source}")]
    InvalidScalar {
        /// Where it starts.
        offset: usize,
        /// Why it is refused.
        source: EncodingError,
    },
    /// A point of the proof is not canonical, not on the curve, or the identity where refused.
    #[error("point at byte {offset} of the proof: {source}")]
    InvalidPoint {
        /// Where it starts.
        offset: usize,
        /// Why it is refused.
        source: EncodingError,
    },
    /// The public inputs do not start with an accumulator.
    #[error(transparent)]
    InvalidAccumulator(#[from] AccumulatorError),
    /// A challenge came out where a denominator is zero. It does not happen by chance.
    #[error("a challenge of the transcript falls on a point the protocol excludes")]
    DegenerateChallenge,
    /// One polynomial is opened at one point to two values.
    #[error("one commitment is opened at one point to two different values")]
    ConflictingOpenings,
    /// The openings do not hold: the proof is false, or belongs to other inputs or another circuit.
    #[error("the proof does not hold for this circuit and these public inputs")]
    Refused,
    /// Something a checked key excludes happened: a bug in this crate.
    #[error("internal error in {what}; please report it")]
    Internal {
        /// What was inconsistent.
        what: &'static str,
    },
}

/// The entry of a list at a position the key's checks have bounded.
fn entry<T: Copy>(list: &[T], position: usize, what: &'static str) -> Result<T, PlonkError> {
    list.get(position)
        .copied()
        .ok_or(PlonkError::Internal { what })
}
