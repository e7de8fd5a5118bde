//! The short scalars of a signature: half of Euclid's algorithm, and w.

use halo2curves::bn256::Fr;
use num_bigint::{BigInt, Sign};

use super::CARRY_SHIFT;
use crate::convert::limbs;
use crate::gadgets::signature::subgroup_order;

/// What the prover supplies for a challenge c and a response S.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// v, at least 1 and below 2^126.
    pub v: [u64; 4],
    /// The absolute value of u, below 2^126.
    pub u: [u64; 4],
    /// Whether u is negative.
    pub is_negative: bool,
    /// q, below 2^130.
    pub q: [u64; 4],
    /// The carry of the identity modulo 2^128, plus 2^67.
    pub carry: [u64; 4],
    /// `v S mod l`.
    pub w: [u64; 4],
}

fn big(limbs: &[u64; 4]) -> BigInt {
    let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    BigInt::from_bytes_le(Sign::Plus, &bytes)
}

/// The limbs of a number that is not negative and below 2^256.
fn small(value: &BigInt) -> [u64; 4] {
    let mut out = [0; 4];
    let digits = value.magnitude().to_u64_digits();
    for (limb, digit) in out.iter_mut().zip(digits) {
        *limb = digit;
    }
    out
}

/// v, u, q, the carry and w for a challenge and a response.
///
/// With `r_0 = l, r_1 = c mod l` and the usual `r_i = t_i c mod l`, take the first `r_i` below the root of l:
/// `|t_i| <= l / r_(i-1) <= sqrt(l) < 2^125.4`. The carry is what the circuit's bound says.
#[must_use]
pub fn split(challenge: Fr, response: Fr) -> Split {
    let order = big(&subgroup_order());
    let c = big(&limbs(challenge));
    let mut remainders = [order.clone(), &c % &order];
    let mut factors = [BigInt::ZERO, BigInt::from(1)];
    while &remainders[1] * &remainders[1] >= order {
        let quotient = &remainders[0] / &remainders[1];
        let remainder = &remainders[0] - &quotient * &remainders[1];
        let factor = &factors[0] - &quotient * &factors[1];
        let [_, last] = remainders;
        remainders = [last, remainder];
        let [_, last] = factors;
        factors = [last, factor];
    }
    let [_, remainder] = remainders;
    let [_, factor] = factors;
    let is_negative = factor.sign() == Sign::Minus;
    let v = BigInt::from(factor.magnitude().clone());
    let signed = if is_negative {
        -remainder.clone()
    } else {
        remainder.clone()
    };
    let q = (&v * &c - &signed) / &order;
    let carry = carry(&v, &c, &q, &remainder, is_negative, &order);
    let w = &v * big(&limbs(response)) % &order;
    Split {
        v: small(&v),
        u: small(&remainder),
        is_negative: is_negative && remainder != BigInt::ZERO,
        q: small(&q),
        carry: small(&(carry + (BigInt::from(1) << CARRY_SHIFT))),
        w: small(&w),
    }
}

/// What is left of the identity's low limbs above 2^128.
fn carry(
    v: &BigInt,
    c: &BigInt,
    q: &BigInt,
    u: &BigInt,
    is_negative: bool,
    order: &BigInt,
) -> BigInt {
    let mask = BigInt::from(u64::MAX);
    let low = |value: &BigInt| value & &mask;
    let second = |value: &BigInt| (value >> 64) & &mask;
    let sign = BigInt::from(if is_negative { -1 } else { 1 });
    let (u_high, q_high, v_high) = (u >> 64, q >> 64, v >> 64);
    let bottom = low(v) * low(c) - low(q) * low(order) - &sign * low(u);
    let middle = low(v) * second(c) + v_high * low(c)
        - low(q) * second(order)
        - q_high * low(order)
        - sign * u_high;
    (bottom + (middle << 64)) >> 128
}

#[cfg(test)]
mod tests {
    use ff::Field;
    use rand::SeedableRng;

    use super::*;
    use crate::convert::power_of_two;

    fn bound(value: &[u64; 4], bits: u64) -> bool {
        big(value).bits() <= bits
    }

    #[test]
    fn every_challenge_has_short_scalars() {
        let mut random = rand_chacha::ChaCha20Rng::seed_from_u64(7);
        let order = Fr::from_raw(subgroup_order());
        let mut challenges = vec![
            Fr::zero(),
            Fr::one(),
            -Fr::one(),
            order,
            order - Fr::one(),
            order + Fr::one(),
            order.double(),
            power_of_two(125),
            power_of_two(126),
            power_of_two(253),
        ];
        challenges.extend((0..2_000).map(|_| Fr::random(&mut random)));
        let l = big(&subgroup_order());
        for c in challenges {
            let response = Fr::from(3);
            let split = split(c, response);
            assert!(bound(&split.v, 126) && bound(&split.u, 126));
            assert!(bound(&split.q, 130) && bound(&split.carry, 68));
            let v = big(&split.v);
            assert!(v > BigInt::ZERO);
            let u = if split.is_negative {
                -big(&split.u)
            } else {
                big(&split.u)
            };
            assert_eq!(u, &v * big(&limbs(c)) - big(&split.q) * &l);
            assert_eq!(big(&split.w), v * 3 % &l);
        }
    }
}
