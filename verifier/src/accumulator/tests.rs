//! Accumulators as limbs: one form each, and nothing else is one.

use ark_bn254::{Fq, Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, BigInteger, Field, PrimeField};

use super::{Accumulator, AccumulatorError, LIMB_BITS, LIMB_COUNT};
use crate::field::EncodingError;

/// The limbs of a number, computed by division.
fn limbs(number: BigInt<4>) -> Vec<Fr> {
    let mut rest = number;
    let mut limbs = Vec::new();
    for bits in LIMB_BITS {
        let above = rest >> bits;
        let mut limb = rest;
        assert!(!limb.sub_with_borrow(&(above << bits)));
        limbs.push(Fr::from_bigint(limb).unwrap());
        rest = above;
    }
    assert!(rest.is_zero());
    limbs
}

fn limbs_of(coordinates: [BigInt<4>; 4]) -> Vec<Fr> {
    coordinates.into_iter().flat_map(limbs).collect()
}

fn power_of_two(exponent: u32) -> Fr {
    Fr::from(2_u64).pow([u64::from(exponent)])
}

fn multiple(factor: u64) -> G1Affine {
    (G1Affine::generator() * Fr::from(factor)).into_affine()
}

fn coordinates(lhs: G1Affine, rhs: G1Affine) -> [BigInt<4>; 4] {
    [lhs.x, lhs.y, rhs.x, rhs.y].map(Fq::into_bigint)
}

#[test]
fn limbs_of_points_give_the_points() {
    for factor in 1..20 {
        let (lhs, rhs) = (multiple(factor), multiple(factor * factor + 5));
        let mut inputs = limbs_of(coordinates(lhs, rhs));
        assert_eq!(inputs.len(), LIMB_COUNT);
        inputs.push(Fr::from(7_u64));
        assert_eq!(
            Accumulator::from_inputs(&inputs),
            Ok(Accumulator { lhs, rhs })
        );
    }
}

#[test]
fn a_limb_above_its_bits_is_refused_and_so_is_a_carried_one() {
    let honest = limbs_of(coordinates(multiple(3), multiple(4)));
    for position in 0..LIMB_COUNT {
        let bits = LIMB_BITS[position % 3];
        let refusal = Err(AccumulatorError::InvalidLimb { position, bits });
        let mut inputs = honest.clone();
        inputs[position] += power_of_two(bits);
        assert_eq!(Accumulator::from_inputs(&inputs), refusal);
        inputs[position] = -Fr::from(1_u64);
        assert_eq!(Accumulator::from_inputs(&inputs), refusal);
        // The same number with a carry not done.
        if position % 3 < 2 {
            let mut inputs = honest.clone();
            inputs[position] += power_of_two(bits);
            inputs[position + 1] -= Fr::from(1_u64);
            assert_eq!(Accumulator::from_inputs(&inputs), refusal);
        }
    }
}

#[test]
fn a_coordinate_raised_by_the_modulus_is_refused() {
    let mut raised = 0;
    for factor in 1..10 {
        let point = multiple(factor);
        for at in 0..4 {
            let mut numbers = coordinates(point, point);
            assert!(!numbers[at].add_with_carry(&Fq::MODULUS));
            // 2 q has 255 bits, the limbs have 254: some sums fit.
            if numbers[at].num_bits() <= LIMB_BITS.iter().sum() {
                let read = Accumulator::from_inputs(&limbs_of(numbers));
                let side = if at < 2 { "lhs" } else { "rhs" };
                let source = EncodingError::NonCanonical;
                let refusal = AccumulatorError::InvalidPoint { side, source };
                assert_eq!(read, Err(refusal));
                raised += 1;
            }
        }
    }
    assert!(raised > 4, "{raised}");
}

#[test]
fn the_identity_and_points_off_the_curve_are_refused() {
    let (zero, point) = (BigInt::zero(), multiple(9));
    let [x, y, ..] = coordinates(point, point);
    let refusal = |side, source| Err(AccumulatorError::InvalidPoint { side, source });
    for (numbers, side) in [
        ([zero, zero, x, y], "lhs"),
        ([x, y, zero, zero], "rhs"),
        ([zero; 4], "lhs"),
    ] {
        let read = Accumulator::from_inputs(&limbs_of(numbers));
        assert_eq!(read, refusal(side, EncodingError::Identity));
    }
    let read = Accumulator::from_inputs(&limbs_of([x, x, x, y]));
    assert_eq!(read, refusal("lhs", EncodingError::NotOnCurve));
}

#[test]
fn too_few_inputs_hold_no_accumulator() {
    let inputs = vec![Fr::ZERO; LIMB_COUNT - 1];
    let found = inputs.len();
    assert_eq!(
        Accumulator::from_inputs(&inputs),
        Err(AccumulatorError::Missing { found })
    );
}
