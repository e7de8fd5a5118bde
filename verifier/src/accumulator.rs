//! Accumulators: pairing checks that aggregation has left open, among the public inputs.
//!
//! An aggregation circuit verifies inner proofs up to their pairings. It folds those into one claim
//! `e(lhs, [1]_2) = e(rhs, [s]_2)` and exposes the two points as its first public inputs: lhs.x,
//! lhs.y, rhs.x, rhs.y, each coordinate as three little-endian limbs of 88, 88 and 78 bits. The
//! circuit says nothing about the claim's truth: whoever verifies the circuit's proof has to check
//! it ([`crate::plonk::verify_accumulating`]).
//!
//! Invariants of an [`Accumulator`]: both points are on the curve (the first group has cofactor one)
//! and neither is the identity; it has exactly one form in limbs.
//!
//! What it does not do: it decides no claim, and it makes none.
//!
//! Source: the limbs are snark-verifier 0.2.7's (`LIMBS` 3, `BITS` 88), the claim is the one of its
//! `KzgAs` decider.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, PrimeField};
use thiserror::Error;

use crate::field::{EncodingError, scalar_to_le};
use crate::points::{G1_PAIR_BYTES, g1_from_pair};

/// Bits of the limbs of one coordinate, least significant first. Together they have 254, as many as
/// the modulus.
pub const LIMB_BITS: [u32; 3] = [88, 88, 78];

/// Limbs of an accumulator: of two points with two coordinates each.
pub const LIMB_COUNT: usize = 4 * LIMB_BITS.len();

/// The claim `e(lhs, [1]_2) = e(rhs, [s]_2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accumulator {
    /// Paired with the generator of the second group.
    pub(crate) lhs: G1Affine,
    /// Paired with the secret of the reference string in the second group.
    pub(crate) rhs: G1Affine,
}

impl Accumulator {
    /// Reads an accumulator from the public inputs of a circuit, which start with it.
    ///
    /// # Errors
    /// [`AccumulatorError`], every variant the fault of whoever sent the inputs but
    /// [`AccumulatorError::Missing`], which is that of whoever asked.
    pub fn from_inputs(inputs: &[Fr]) -> Result<Self, AccumulatorError> {
        let missing = AccumulatorError::Missing {
            found: inputs.len(),
        };
        let limbs: &[Fr; LIMB_COUNT] = inputs.first_chunk().ok_or(missing)?;
        let mut bytes = Vec::with_capacity(2 * G1_PAIR_BYTES);
        let bits = LIMB_BITS.iter().cycle();
        for (position, (limb, bits)) in limbs.iter().zip(bits).enumerate() {
            if limb.into_bigint().num_bits() > *bits {
                let bits = *bits;
                return Err(AccumulatorError::InvalidLimb { position, bits });
            }
            // 88 bits are 11 bytes and 78 fit 10, so a coordinate's limbs are its 32 bytes.
            let len = bits.div_ceil(8);
            let limb = scalar_to_le(limb).into_iter();
            bytes.extend(limb.zip(0..len).map(|(byte, _)| byte));
        }
        let [lhs, rhs] = bytes.as_chunks::<G1_PAIR_BYTES>().0 else {
            return Err(missing);
        };
        Ok(Self {
            lhs: point("lhs", lhs)?,
            rhs: point("rhs", rhs)?,
        })
    }
}

fn point(side: &'static str, bytes: &[u8; G1_PAIR_BYTES]) -> Result<G1Affine, AccumulatorError> {
    let invalid = |source| AccumulatorError::InvalidPoint { side, source };
    let point = g1_from_pair(bytes).map_err(invalid)?;
    if point.is_zero() {
        return Err(invalid(EncodingError::Identity));
    }
    Ok(point)
}

/// Why public inputs do not start with an accumulator.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AccumulatorError {
    /// The circuit exposes too few public inputs to expose an accumulator.
    #[error("an accumulator takes the first {LIMB_COUNT} public inputs, there are {found}")]
    Missing {
        /// How many there are.
        found: usize,
    },
    /// A limb is too large.
    #[error("limb {position} of the accumulator has more than {bits} bits")]
    InvalidLimb {
        /// Its position among the public inputs.
        position: usize,
        /// Bits it may have.
        bits: u32,
    },
    /// The limbs are not those of a point.
    #[error("{side} of the accumulator: {source}")]
    InvalidPoint {
        /// Which of the two points.
        side: &'static str,
        /// Why it is refused.
        source: EncodingError,
    },
}

#[cfg(test)]
mod tests;
