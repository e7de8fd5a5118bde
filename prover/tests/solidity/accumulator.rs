//! Accumulators as limbs, true ones and others, computed over halo2curves.

use halo2_proofs::poly::commitment::ParamsProver;
use halo2curves::bn256::{Fq, Fr, G1, G1Affine};
use halo2curves::ff::PrimeField;
use halo2curves::group::Curve;
use prover::srs::ReferenceString;

/// Bits of the limbs of a coordinate.
const LIMB_BITS: [usize; 3] = [88, 88, 78];

/// The points of the claim e(lhs, [1]_2) = e(rhs, [s]_2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accumulator {
    pub(crate) lhs: G1Affine,
    pub(crate) rhs: G1Affine,
}

/// A claim that holds under the string: rhs a combination of its powers, lhs the same one power on.
pub(crate) fn true_claim(string: &ReferenceString, seed: u64) -> Accumulator {
    let powers = string.params().get_g();
    let sum = |from: usize| -> G1Affine {
        let terms = (0..4).map(|at| powers[from + at] * Fr::from(seed + 5 * at as u64 + 1));
        terms.sum::<G1>().to_affine()
    };
    Accumulator {
        lhs: sum(1),
        rhs: sum(0),
    }
}

/// The limbs of coordinates: lhs.x, lhs.y, rhs.x, rhs.y.
pub(crate) fn limbs_of(coordinates: [Number; 4]) -> Vec<Fr> {
    coordinates
        .into_iter()
        .flat_map(|number| number.limbs())
        .collect()
}

impl Accumulator {
    pub(crate) fn coordinates(&self) -> [Number; 4] {
        [self.lhs.x, self.lhs.y, self.rhs.x, self.rhs.y].map(Number::from)
    }

    pub(crate) fn limbs(&self) -> Vec<Fr> {
        limbs_of(self.coordinates())
    }
}

/// A number of 256 bits, as bits, least significant first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number([bool; 256]);

impl From<Fq> for Number {
    fn from(coordinate: Fq) -> Self {
        let bytes = coordinate.to_repr();
        Self(std::array::from_fn(|at| bytes[at / 8] >> (at % 8) & 1 == 1))
    }
}

impl Number {
    /// Zero.
    pub(crate) const ZERO: Self = Self([false; 256]);

    /// The number plus q, if the limbs can hold it.
    pub(crate) fn raised(&self) -> Option<Self> {
        // q is one more than the representative of minus one.
        let modulus = Self::from(-Fq::from(1));
        let mut carry = true;
        let sum = std::array::from_fn(|at| {
            let (a, b) = (self.0[at], modulus.0[at]);
            let bit = a ^ b ^ carry;
            carry = (a && b) || (carry && (a || b));
            bit
        });
        let bits: usize = LIMB_BITS.iter().sum();
        sum[bits..]
            .iter()
            .all(|bit: &bool| !bit)
            .then_some(Self(sum))
    }

    fn limbs(&self) -> Vec<Fr> {
        let mut at = 0;
        let mut limbs = Vec::new();
        for bits in LIMB_BITS {
            let limb = self.0[at..at + bits].iter().rev();
            limbs.push(limb.fold(Fr::from(0), |sum, bit| {
                sum + sum + Fr::from(u64::from(*bit))
            }));
            at += bits;
        }
        limbs
    }
}
