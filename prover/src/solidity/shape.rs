//! What the generator takes from a key, and which keys it takes.
//!
//! Taken are circuits with one instance column, read in the current row only, and one phase. That
//! is what the final circuit has; everything else would be code nobody needs on chain.

use verifier::key::{KeyParts, Query};
use verifier::{KeyDescription, TranscriptKind};

use super::{SolidityError, VerifierOptions};

/// Limbs of an accumulator among the public inputs, and their bits by position in a coordinate.
pub(super) const LIMB_BITS: [usize; 3] = [88, 88, 78];

/// Coordinates of the two points of an accumulator.
pub(super) const COORDINATES: usize = 4;

/// A key the generator takes, with the numbers that follow from it.
pub(super) struct Shape<'a> {
    pub(super) key: &'a KeyDescription,
    pub(super) parts: &'a KeyParts,
    /// Public inputs that are limbs of the accumulator: none or twelve.
    pub(super) limbs: usize,
    /// Public inputs that follow them, which the caller of the contract knows.
    pub(super) inputs: usize,
    /// Pieces the quotient is committed in: halo2's degree less one.
    pub(super) pieces: usize,
    /// Columns one permutation product covers: halo2's degree less two.
    pub(super) chunk_len: usize,
    /// Number of permutation products.
    pub(super) products: usize,
    /// Rows before the first that Lagrange polynomials are needed of: the blinded ones and the last
    /// row that is not.
    pub(super) rows_before: usize,
}

impl<'a> Shape<'a> {
    pub(super) fn new(
        key: &'a KeyDescription,
        options: &VerifierOptions<'_>,
    ) -> Result<Self, SolidityError> {
        let parts = key.parts();
        if parts.transcript != TranscriptKind::Keccak {
            return Err(SolidityError::InvalidTranscript {
                found: parts.transcript,
            });
        }
        let unsupported = |what| Err(SolidityError::Unsupported { what });
        if !parts.challenge_phases.is_empty() || parts.advice_phases.iter().any(|phase| *phase > 0)
        {
            return unsupported("more than one phase");
        }
        let [instances] = parts.instance_lens.as_slice() else {
            return unsupported("a number of instance columns other than one");
        };
        let here = Query {
            column: 0,
            rotation: 0,
        };
        if parts.instance_queries != [here] {
            return unsupported("public inputs that are read elsewhere than in the current row");
        }
        let limbs = if options.accumulator {
            COORDINATES * LIMB_BITS.len()
        } else {
            0
        };
        let found = size(*instances);
        let inputs = found.saturating_sub(limbs);
        if inputs == 0 {
            let min = limbs + 1;
            return Err(SolidityError::TooFewInputs { min, found });
        }
        let degree = size(parts.degree);
        let chunk_len = degree.saturating_sub(2).max(1);
        Ok(Self {
            key,
            parts,
            limbs,
            inputs,
            pieces: degree.saturating_sub(1),
            chunk_len,
            products: parts.permutation.len().div_ceil(chunk_len),
            rows_before: size(parts.blinding_factors) + 1,
        })
    }

    /// Number of rows of the domain, 2^k.
    pub(super) fn domain(&self) -> i64 {
        1 << self.parts.k
    }

    /// A rotation as a row, counted from the first one: where the evaluation at `x w^rotation` is,
    /// if x stands for the first row.
    pub(super) fn row(&self, rotation: i32) -> i64 {
        i64::from(rotation).rem_euclid(self.domain())
    }

    /// The rotation from the first row back to the last one that is not blinded.
    pub(super) fn last_rotation(&self) -> i32 {
        i32::try_from(self.rows_before).map_or(i32::MIN, |rows| -rows)
    }
}

/// A count or index of the key; every machine that proves has indices of 32 bits or more.
pub(super) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
