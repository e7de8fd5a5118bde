//! Scalars and coordinates as 32 bytes, canonical or refused.
//!
//! A field element has exactly one encoding: its least non-negative representative, 32 bytes,
//! little-endian unless the name says otherwise. Values at or above the modulus are refused and
//! never reduced: a verifier that reduces would accept `v + r` where a contract stores and compares
//! bytes, and two strings would then stand for one statement.
//!
//! The one deliberate reduction of the crate is in the transcripts, where a coordinate or a digest
//! is mapped into the scalar field; nothing is decoded from its result.

use ark_bn254::{Fq, Fr};
use ark_ff::{BigInt, PrimeField};
use thiserror::Error;

/// The scalar field of BN254, over which circuits and their public inputs are.
pub type Scalar = Fr;

/// Length of every encoded field element.
pub const FIELD_BYTES: usize = 32;

/// Why some bytes are not a field element or a point of the kind asked for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EncodingError {
    /// The number is at or above the modulus of its field.
    #[error("field element is not below the modulus; encode the least representative")]
    NonCanonical,
    /// No point of the curve has these coordinates.
    #[error("point is not on the curve")]
    NotOnCurve,
    /// The point is on the curve of the second group but outside the subgroup of prime order.
    #[error("point is not in the subgroup of prime order")]
    NotInSubgroup,
    /// A flag bit is set that the one canonical encoding of this point leaves clear.
    #[error("point encoding sets a flag its canonical form leaves clear")]
    StrayFlag,
    /// The identity stands where its encoding does not permit it.
    #[error("point is the identity, which is not permitted here")]
    Identity,
}

/// Reads a scalar from 32 little-endian bytes.
///
/// # Errors
/// [`EncodingError::NonCanonical`] at or above the modulus.
pub fn scalar_from_le(bytes: &[u8; FIELD_BYTES]) -> Result<Fr, EncodingError> {
    from_le(bytes)
}

/// Reads a scalar from 32 big-endian bytes, as the EVM writes words.
///
/// # Errors
/// [`EncodingError::NonCanonical`] at or above the modulus.
pub fn scalar_from_be(bytes: &[u8; FIELD_BYTES]) -> Result<Fr, EncodingError> {
    from_le(&reversed(bytes))
}

/// The 32 little-endian bytes of a scalar.
#[must_use]
pub fn scalar_to_le(scalar: &Fr) -> [u8; FIELD_BYTES] {
    to_le(scalar)
}

/// Reads a coordinate from 32 little-endian bytes.
///
/// # Errors
/// [`EncodingError::NonCanonical`] at or above the modulus.
pub fn coordinate_from_le(bytes: &[u8; FIELD_BYTES]) -> Result<Fq, EncodingError> {
    from_le(bytes)
}

/// The 32 little-endian bytes of a coordinate.
#[must_use]
pub fn coordinate_to_le(coordinate: &Fq) -> [u8; FIELD_BYTES] {
    to_le(coordinate)
}

/// The same bytes in the other order.
pub(crate) fn reversed(bytes: &[u8; FIELD_BYTES]) -> [u8; FIELD_BYTES] {
    let mut turned = *bytes;
    turned.reverse();
    turned
}

fn from_le<F: PrimeField<BigInt = BigInt<4>>>(
    bytes: &[u8; FIELD_BYTES],
) -> Result<F, EncodingError> {
    let (words, _) = bytes.as_chunks::<8>();
    let mut limbs = [0_u64; 4];
    for (limb, word) in limbs.iter_mut().zip(words) {
        *limb = u64::from_le_bytes(*word);
    }
    F::from_bigint(BigInt::new(limbs)).ok_or(EncodingError::NonCanonical)
}

fn to_le<F: PrimeField<BigInt = BigInt<4>>>(value: &F) -> [u8; FIELD_BYTES] {
    let mut bytes = [0_u8; FIELD_BYTES];
    let (words, _) = bytes.as_chunks_mut::<8>();
    for (word, limb) in words.iter_mut().zip(value.into_bigint().0) {
        *word = limb.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use ark_ff::{BigInteger, One, Zero};

    use super::*;

    fn modulus_le<F: PrimeField>() -> [u8; FIELD_BYTES] {
        F::MODULUS.to_bytes_le().try_into().unwrap()
    }

    #[test]
    fn boundary_values_round_trip() {
        for value in [Fr::zero(), Fr::one(), -Fr::one(), Fr::from(u64::MAX)] {
            assert_eq!(scalar_from_le(&scalar_to_le(&value)), Ok(value));
            assert_eq!(scalar_from_be(&reversed(&scalar_to_le(&value))), Ok(value));
        }
        for value in [Fq::zero(), Fq::one(), -Fq::one()] {
            assert_eq!(coordinate_from_le(&coordinate_to_le(&value)), Ok(value));
        }
    }

    #[test]
    fn the_modulus_and_above_are_refused() {
        assert_eq!(
            scalar_from_le(&modulus_le::<Fr>()),
            Err(EncodingError::NonCanonical)
        );
        assert_eq!(
            scalar_from_be(&reversed(&modulus_le::<Fr>())),
            Err(EncodingError::NonCanonical)
        );
        assert_eq!(
            coordinate_from_le(&modulus_le::<Fq>()),
            Err(EncodingError::NonCanonical)
        );
        assert_eq!(
            scalar_from_le(&[0xff; 32]),
            Err(EncodingError::NonCanonical)
        );
    }

    #[test]
    fn a_coordinate_may_exceed_the_scalar_modulus() {
        // q > r: the two fields must not be mixed up.
        let between = modulus_le::<Fr>();
        assert!(coordinate_from_le(&between).is_ok());
    }
}
