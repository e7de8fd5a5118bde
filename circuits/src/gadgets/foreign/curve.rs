//! G1 outside the circuit, on affine coordinates, and the point where sums start.
//!
//! Functions are total: a point that is not on the curve, or an exceptional addition, gives some value,
//! which the constraints refuse. The identity is (0, 0).
//!
//! What it does not do: constant time; everything here is public.

use ff::{Field, PrimeField};
use halo2curves::bn256::{Fq, Fr, G1Affine};
use num_bigint::BigUint;

use super::integer::native_modulus;

/// Digits of a scalar: 51 of 5 bits hold 255 bits, and a scalar or its negative is below 2^254.
pub const WINDOWS: usize = 51;
/// Bits of a digit.
pub const WINDOW_BITS: usize = 5;
/// Odd multiples of a point that digits choose from.
pub const ODD_MULTIPLES: usize = 1 << (WINDOW_BITS - 1);

/// Text that [`start`] comes from: a number in base 256, first letter highest.
pub const START_TEXT: &[u8; 24] = b"QUORATE foreign start v1";

/// The point where sums start: the first x from [`START_TEXT`] on that is on the curve, and its even y.
///
/// Nobody knows its logarithm to the base of a reference string. Honest sums need that in order not to meet an
/// exceptional addition; soundness does not.
///
/// # Panics
/// Never: every second x is on the curve.
#[must_use]
pub fn start() -> G1Affine {
    let base = START_TEXT.iter().fold(Fq::zero(), |sum, letter| {
        sum * Fq::from(256) + Fq::from(u64::from(*letter))
    });
    (0..256)
        .find_map(|step| {
            let x = base + Fq::from(step);
            let root = Option::<Fq>::from((x.square() * x + Fq::from(3)).sqrt())?;
            let y = if bool::from(root.is_odd()) {
                -root
            } else {
                root
            };
            Some(G1Affine { x, y })
        })
        .expect("256 values in a row off the curve have probability 2^-256")
}

/// A signed odd digit: `2 index + 1` or its negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// m, below 16.
    pub index: u32,
    /// Whether the sign is -1.
    pub negative: bool,
}

impl Digit {
    /// The digit 1.
    pub const ONE: Digit = Digit {
        index: 0,
        negative: false,
    };

    /// The digit in the field.
    #[must_use]
    pub fn value(self) -> Fr {
        let size = Fr::from(u64::from(2 * self.index + 1));
        if self.negative { -size } else { size }
    }
}

/// Digits of a scalar, lowest first: `sum digit_w 32^w = scalar mod r`.
#[must_use]
pub fn digits(scalar: Fr) -> [Digit; WINDOWS] {
    let digits = odd_digits(scalar, WINDOWS, WINDOW_BITS);
    std::array::from_fn(|window| digits[window])
}

/// `windows` digits of `bits` each, lowest first: `sum digit_w 2^(bits w) = scalar mod r`. There must be 255 bits in all.
#[must_use]
pub fn odd_digits(scalar: Fr, windows: usize, bits: usize) -> Vec<Digit> {
    let value = BigUint::from_bytes_le(scalar.to_repr().as_ref());
    // v is s if that is odd and s - r if not, and u = (v + 2^(bits windows) - 1) / 2
    let middle: BigUint = BigUint::from(1u8) << (windows * bits - 1);
    let unsigned: BigUint = if value.bit(0) {
        middle + (value >> 1)
    } else {
        middle - ((native_modulus() - value + 1u8) >> 1)
    };
    let half: u32 = 1 << (bits - 1);
    let digit = |window: usize| {
        let bit = |i: usize| u32::from(unsigned.bit((window * bits + i) as u64)) << i;
        // 2 digit - (2^bits - 1)
        let digit: u32 = (0..bits).map(bit).sum();
        if digit >= half {
            Digit {
                index: digit - half,
                negative: false,
            }
        } else {
            Digit {
                index: half - 1 - digit,
                negative: true,
            }
        }
    };
    (0..windows).map(digit).collect()
}

fn inverse(value: Fq) -> Fq {
    Option::from(value.invert()).unwrap_or(Fq::zero())
}

/// Slope and sum of two points with different x.
#[must_use]
pub fn add(left: G1Affine, right: G1Affine) -> (Fq, G1Affine) {
    let slope = (right.y - left.y) * inverse(right.x - left.x);
    (slope, meet(slope, left, right))
}

/// Slope and double of a point.
#[must_use]
pub fn double(point: G1Affine) -> (Fq, G1Affine) {
    let slope = point.x.square() * Fq::from(3) * inverse(point.y.double());
    (slope, meet(slope, point, point))
}

/// `-point`.
#[must_use]
pub fn negated(point: G1Affine) -> G1Affine {
    G1Affine {
        x: point.x,
        y: -point.y,
    }
}

fn meet(slope: Fq, left: G1Affine, right: G1Affine) -> G1Affine {
    let x = slope.square() - left.x - right.x;
    G1Affine {
        x,
        y: slope * (right.x - x) - right.y,
    }
}

/// The odd multiples 1, 3, .. 31 of a point.
#[must_use]
pub fn odd_multiples(point: G1Affine) -> [G1Affine; ODD_MULTIPLES] {
    let (_, twice) = double(point);
    let mut out = [point; ODD_MULTIPLES];
    for i in 1..ODD_MULTIPLES {
        out[i] = add(out[i - 1], twice).1;
    }
    out
}

#[cfg(test)]
mod tests {
    use halo2curves::group::Curve;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn digits_sum_to_the_scalar_modulo_r() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let powers = (0..254).map(|bit| Fr::from(2).pow_vartime([bit]));
        let edges = [Fr::zero(), Fr::one(), -Fr::one(), -Fr::from(2)];
        let random = std::iter::repeat_with(|| Fr::random(&mut rng)).take(100);
        for scalar in powers.chain(edges).chain(random.collect::<Vec<_>>()) {
            let sum = digits(scalar)
                .into_iter()
                .rev()
                .fold(Fr::zero(), |sum, digit| sum * Fr::from(32) + digit.value());
            assert_eq!(sum, scalar);
        }
    }

    #[test]
    fn affine_formulas_agree_with_the_library() {
        let start = start();
        assert!(bool::from(halo2curves::CurveAffine::is_on_curve(&start)));
        assert_eq!(double(start).1, (start + start).to_affine());
        let multiples = odd_multiples(start);
        for (i, multiple) in multiples.iter().enumerate() {
            let factor = Fr::from(2 * i as u64 + 1);
            assert_eq!(*multiple, (start * factor).to_affine());
        }
        assert_eq!(negated(start), -start);
        // total: no panic without a slope
        let nowhere = add(start, start).1;
        assert!(!bool::from(halo2curves::CurveAffine::is_on_curve(&nowhere)));
    }
}
