//! The scalar field of BN254 in its two libraries, and Baby Jubjub's addition in affine coordinates.
//!
//! arkworks' type is the native one; [`to_halo2`] carries values over as canonical integers, so nothing is reduced
//! twice. The curve's law is complete: for points on the curve no denominator is 0.

use ark_bn254::Fr;
use ark_ec::{AffineRepr, twisted_edwards::TECurveConfig};
use ark_ff::{Field, One, PrimeField, Zero};
use halo2curves::bn256;
use taceo_ark_babyjubjub::{EdwardsAffine, EdwardsConfig};

/// The curve's coefficient of x^2.
pub const COEFF_A: Fr = EdwardsConfig::COEFF_A;

/// The curve's coefficient of x^2 y^2.
pub const COEFF_D: Fr = EdwardsConfig::COEFF_D;

/// A point as its coordinates.
pub type Point = [Fr; 2];

/// The neutral point.
#[must_use]
pub fn neutral() -> Point {
    [Fr::zero(), Fr::one()]
}

/// circomlib's base point B8.
#[must_use]
pub fn base() -> Point {
    let base = EdwardsAffine::generator();
    [base.x, base.y]
}

/// The sum of two points of the curve.
#[must_use]
pub fn add(left: Point, right: Point) -> Point {
    let ([x1, y1], [x2, y2]) = (left, right);
    let cross = COEFF_D * x1 * x2 * y1 * y2;
    let (plus, minus) = (Fr::one() + cross, Fr::one() - cross);
    let inverse = (plus * minus).inverse().unwrap_or_default();
    [
        (x1 * y2 + y1 * x2) * minus * inverse,
        (y1 * y2 - COEFF_A * x1 * x2) * plus * inverse,
    ]
}

/// The lowest `count` bits of the canonical integer, least significant first.
#[must_use]
pub fn bits(value: &Fr, count: usize) -> Vec<bool> {
    let limbs = value.into_bigint().0;
    (0..count)
        .map(|bit| {
            limbs
                .get(bit / 64)
                .is_some_and(|limb| (limb >> (bit % 64)) & 1 == 1)
        })
        .collect()
}

/// `2^exponent`.
#[must_use]
pub fn power_of_two(exponent: usize) -> Fr {
    (0..exponent).fold(Fr::one(), |power, _| power + power)
}

/// The same element as halo2 sees it.
#[must_use]
pub fn to_halo2(value: &Fr) -> bn256::Fr {
    bn256::Fr::from_raw(value.into_bigint().0)
}

/// The canonical integer in decimal.
#[must_use]
pub fn decimal(value: &Fr) -> String {
    value.into_bigint().to_string()
}

#[cfg(test)]
mod tests {
    use ark_ec::CurveGroup;

    use super::*;

    #[test]
    fn addition_is_the_one_of_the_curve_library() {
        let generator = EdwardsAffine::generator();
        let (mut sum, mut expected) = (neutral(), EdwardsAffine::zero());
        for _ in 0..9 {
            assert_eq!(sum, [expected.x, expected.y]);
            sum = add(sum, base());
            expected = (expected + generator).into_affine();
        }
    }

    #[test]
    fn numbers_survive_their_other_forms() {
        let largest = -Fr::one();
        let back: Fr = bits(&largest, 254)
            .iter()
            .rev()
            .fold(Fr::zero(), |sum, bit| sum + sum + Fr::from(*bit));
        assert_eq!(back, largest);
        assert_eq!(power_of_two(64), Fr::from(u64::MAX) + Fr::one());
        assert_eq!(to_halo2(&largest), -bn256::Fr::one());
        assert_eq!(decimal(&Fr::zero()), "0");
        assert_eq!(decimal(&Fr::from(120_u64)), "120");
    }
}
