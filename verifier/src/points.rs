//! Points of BN254 as bytes, canonical or refused.
//!
//! Three encodings occur, and arkworks' own serialisation is none of them:
//!
//! * **halo2 compressed** (32 bytes), in proofs with the Poseidon transcript: x little-endian; of
//!   the two bits that x leaves free at the top of the last byte, the higher marks the identity and
//!   the lower is the parity of y. The identity is 31 zero bytes and `0x80`. halo2curves ignores
//!   the identity flag when x is not zero, and the parity flag when it decodes the identity; both
//!   give one point several encodings and are refused here.
//! * **word pairs** (64 bytes), in proofs with the Keccak transcript: x then y, big-endian, as the
//!   EVM precompiles read them. The identity, which they write as two zeros, is refused, as the
//!   generated contracts refuse it.
//! * **pairs** (64 bytes, 128 in the second group), in key descriptions: x then y, little-endian,
//!   the coordinates of the quadratic extension as c0 then c1; the identity is all zeros.

use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, Field, PrimeField, Zero};

use crate::field::{EncodingError, FIELD_BYTES, coordinate_from_le, coordinate_to_le, reversed};

/// A point of the first group, in affine form.
pub type FirstGroupPoint = G1Affine;

/// A point of the second group, in affine form.
pub type SecondGroupPoint = G2Affine;

/// Length of a point of the first group written as a pair of coordinates.
pub const G1_PAIR_BYTES: usize = 64;

/// Length of a point of the second group written as a pair of coordinates.
pub const G2_PAIR_BYTES: usize = 128;

/// Set for the identity, in the last byte of halo2's compressed form.
const IDENTITY_FLAG: u8 = 0b1000_0000;

/// Set for an odd y, in the last byte of halo2's compressed form.
const ODD_FLAG: u8 = 0b0100_0000;

/// The constant of the curve equation y^2 = x^3 + 3.
const CURVE_CONSTANT: u64 = 3;

/// Reads a point in halo2's compressed form; the identity is permitted.
///
/// # Errors
/// [`EncodingError::NonCanonical`] if x is not below the modulus, [`EncodingError::NotOnCurve`] if
/// no point has this x, [`EncodingError::StrayFlag`] for every second spelling of a point.
pub fn g1_from_compressed(bytes: &[u8; FIELD_BYTES]) -> Result<G1Affine, EncodingError> {
    let mut x_bytes = *bytes;
    let [.., last] = &mut x_bytes;
    let flags = *last & (IDENTITY_FLAG | ODD_FLAG);
    *last &= !(IDENTITY_FLAG | ODD_FLAG);
    let x = coordinate_from_le(&x_bytes)?;

    if flags & IDENTITY_FLAG != 0 {
        return if x.is_zero() && flags == IDENTITY_FLAG {
            Ok(G1Affine::identity())
        } else {
            Err(EncodingError::StrayFlag)
        };
    }
    let y = curve_rhs(x).sqrt().ok_or(EncodingError::NotOnCurve)?;
    let wants_odd = flags & ODD_FLAG != 0;
    // y is never zero: the group has odd order, hence no point of order two.
    let y = if y.into_bigint().is_odd() == wants_odd {
        y
    } else {
        -y
    };
    Ok(G1Affine::new_unchecked(x, y))
}

/// Reads a point from two big-endian words; the identity is refused.
///
/// # Errors
/// [`EncodingError::NonCanonical`], [`EncodingError::Identity`] or [`EncodingError::NotOnCurve`].
pub fn g1_from_words(
    x: &[u8; FIELD_BYTES],
    y: &[u8; FIELD_BYTES],
) -> Result<G1Affine, EncodingError> {
    let point = g1_from_coordinates(&reversed(x), &reversed(y))?;
    if point.is_zero() {
        return Err(EncodingError::Identity);
    }
    Ok(point)
}

/// Reads a point from a little-endian pair; the identity is permitted.
///
/// # Errors
/// [`EncodingError::NonCanonical`] or [`EncodingError::NotOnCurve`].
pub fn g1_from_pair(bytes: &[u8; G1_PAIR_BYTES]) -> Result<G1Affine, EncodingError> {
    match bytes.as_chunks::<FIELD_BYTES>().0 {
        [x, y] => g1_from_coordinates(x, y),
        _ => Err(EncodingError::NotOnCurve),
    }
}

/// Writes a point as a little-endian pair.
#[must_use]
pub fn g1_to_pair(point: &G1Affine) -> [u8; G1_PAIR_BYTES] {
    let mut bytes = [0_u8; G1_PAIR_BYTES];
    let coordinates = point.xy().into_iter().flat_map(|(x, y)| [x, y]);
    let (parts, _) = bytes.as_chunks_mut::<FIELD_BYTES>();
    for (part, coordinate) in parts.iter_mut().zip(coordinates) {
        *part = coordinate_to_le(&coordinate);
    }
    bytes
}

/// Reads a point of the second group from a little-endian pair; it must be in the subgroup of prime
/// order and not the identity.
///
/// # Errors
/// [`EncodingError::NonCanonical`], [`EncodingError::Identity`], [`EncodingError::NotOnCurve`] or
/// [`EncodingError::NotInSubgroup`].
pub fn g2_from_pair(bytes: &[u8; G2_PAIR_BYTES]) -> Result<G2Affine, EncodingError> {
    let [x0, x1, y0, y1] = bytes.as_chunks::<FIELD_BYTES>().0 else {
        return Err(EncodingError::NotOnCurve);
    };
    let x = Fq2::new(coordinate_from_le(x0)?, coordinate_from_le(x1)?);
    let y = Fq2::new(coordinate_from_le(y0)?, coordinate_from_le(y1)?);
    if x.is_zero() && y.is_zero() {
        return Err(EncodingError::Identity);
    }
    let point = G2Affine::new_unchecked(x, y);
    check_g2(&point)?;
    Ok(point)
}

/// Writes a point of the second group as a little-endian pair.
#[must_use]
pub fn g2_to_pair(point: &G2Affine) -> [u8; G2_PAIR_BYTES] {
    let mut bytes = [0_u8; G2_PAIR_BYTES];
    let coordinates = point
        .xy()
        .into_iter()
        .flat_map(|(x, y)| [x.c0, x.c1, y.c0, y.c1]);
    let (parts, _) = bytes.as_chunks_mut::<FIELD_BYTES>();
    for (part, coordinate) in parts.iter_mut().zip(coordinates) {
        *part = coordinate_to_le(&coordinate);
    }
    bytes
}

/// Checks a point of the second group that somebody else decoded.
pub(crate) fn check_g2(point: &G2Affine) -> Result<(), EncodingError> {
    if point.is_zero() {
        return Err(EncodingError::Identity);
    }
    if !point.is_on_curve() {
        return Err(EncodingError::NotOnCurve);
    }
    if !point.is_in_correct_subgroup_assuming_on_curve() {
        return Err(EncodingError::NotInSubgroup);
    }
    Ok(())
}

fn g1_from_coordinates(
    x: &[u8; FIELD_BYTES],
    y: &[u8; FIELD_BYTES],
) -> Result<G1Affine, EncodingError> {
    let x = coordinate_from_le(x)?;
    let y = coordinate_from_le(y)?;
    if x.is_zero() && y.is_zero() {
        return Ok(G1Affine::identity());
    }
    if y.square() != curve_rhs(x) {
        return Err(EncodingError::NotOnCurve);
    }
    // The first group has cofactor one: on the curve is in the group.
    Ok(G1Affine::new_unchecked(x, y))
}

fn curve_rhs(x: Fq) -> Fq {
    x.square() * x + Fq::from(CURVE_CONSTANT)
}

#[cfg(test)]
mod tests;
