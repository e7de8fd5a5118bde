//! Coordinates in an instance: three limbs of 88 bits, lowest first, of the canonical integer.
//!
//! This is snark-verifier's `LimbsEncoding<3, 88>`. Splitting uses halo2-base's range gates: limbs of 68
//! bits `l0 .. l3` become
//!
//! | limb | parts, lowest first | bits |
//! |---|---|---|
//! | a0 | l0, 20 bits of l1 | 88 |
//! | a1 | 48 bits of l1, 40 bits of l2 | 88 |
//! | a2 | 28 bits of l2, l3 | 79 |
//!
//! What it does not do: check that l0 .. l3 are limbs of an integer below q; they come from a Fetch block, which does.

use halo2_base::QuantumCell::{Constant, Existing};
use halo2_base::gates::{GateInstructions, RangeChip, RangeInstructions};
use halo2_base::{AssignedValue, Context};
use halo2curves::CurveAffine;
use halo2curves::bn256::{Fq, Fr, G1Affine};
use num_bigint::BigInt;

use super::integer::{LIMB_BITS, foreign_modulus, power, residue};
use crate::convert::limbs as words;

/// Limbs of a coordinate in an instance.
pub const INSTANCE_LIMBS: usize = 3;
/// Bits of such a limb.
pub const INSTANCE_LIMB_BITS: usize = 88;

/// The limbs of an instance from the four limbs of a canonical coordinate.
///
/// # Panics
/// If there are not four limbs.
pub fn split(
    range: &RangeChip<Fr>,
    context: &mut Context<Fr>,
    limbs: &[AssignedValue<Fr>],
) -> [AssignedValue<Fr>; INSTANCE_LIMBS] {
    let [first, second, third, fourth] = *limbs else {
        panic!("a coordinate has four limbs");
    };
    let second = cut(range, context, second, 20);
    let third = cut(range, context, third, 40);
    [
        join(range, context, first, second[0], LIMB_BITS),
        join(range, context, second[1], third[0], 48),
        join(range, context, third[1], fourth, 28),
    ]
}

/// `value = low + 2^bits high`, low below `2^bits`, value below `2^68`.
fn cut(
    range: &RangeChip<Fr>,
    context: &mut Context<Fr>,
    value: AssignedValue<Fr>,
    bits: usize,
) -> [AssignedValue<Fr>; 2] {
    let [a, b, ..] = words(*value.value());
    let whole = u128::from(a) | (u128::from(b) << 64);
    let parts = [whole & ((1 << bits) - 1), whole >> bits];
    let [low, high] = parts.map(|part| context.load_witness(crate::convert::from_u128(part)));
    range.range_check(context, low, bits);
    range.range_check(context, high, LIMB_BITS - bits);
    let sum = join(range, context, low, high, bits);
    context.constrain_equal(&sum, &value);
    [low, high]
}

/// `low + 2^bits high`.
fn join(
    range: &RangeChip<Fr>,
    context: &mut Context<Fr>,
    low: AssignedValue<Fr>,
    high: AssignedValue<Fr>,
    bits: usize,
) -> AssignedValue<Fr> {
    let base = Constant(residue(&power(bits)));
    range
        .gate
        .mul_add(context, Existing(high), base, Existing(low))
}

/// The point of six limbs; the identity, which no constraint accepts, if there is none.
#[must_use]
pub fn point_of_limbs(limbs: &[Fr; 2 * INSTANCE_LIMBS]) -> G1Affine {
    let coordinate = |limbs: &[Fr]| -> Option<Fq> {
        let integer = limbs.iter().rev().fold(BigInt::from(0), |sum, limb| {
            let digits = words(*limb).map(|word| (word & u64::from(u32::MAX), word >> 32));
            let limb = digits
                .iter()
                .rev()
                .fold(BigInt::from(0), |sum, (low, high)| {
                    (((sum << 32) + high) << 32) + low
                });
            (sum << INSTANCE_LIMB_BITS) + limb
        });
        if integer >= BigInt::from(foreign_modulus()) {
            return None;
        }
        let mut words = integer.iter_u64_digits();
        Some(Fq::from_raw(std::array::from_fn(|_| {
            words.next().unwrap_or(0)
        })))
    };
    let (x, y) = limbs.split_at(INSTANCE_LIMBS);
    coordinate(x)
        .zip(coordinate(y))
        .and_then(|(x, y)| Option::from(G1Affine::from_xy(x, y)))
        .unwrap_or_default()
}
