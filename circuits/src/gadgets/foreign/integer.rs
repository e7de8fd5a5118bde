//! Integers in chunks and limbs, and the witness of an identity modulo q.
//!
//! Equations are written once over a [`Ring`]: expressions make gates, big integers make quotients and
//! carries. A [`Form`] is an integer known in two ways, as the columns of its limb products below
//! `2^272` and as a whole; over expressions the whole is known modulo r only.
//!
//! What it does not do: name cells.

use std::ops::{Add, Mul, Sub};

use ff::PrimeField;
use halo2_proofs::plonk::Expression;
use halo2curves::bn256::{Fq, Fr};
use num_bigint::{BigInt, BigUint, Sign};

/// Bits of a chunk: the range table has `2^17` rows, so circuits have k of 18 or more.
pub const CHUNK_BITS: usize = 17;
/// Chunks of a limb.
pub const CHUNKS_PER_LIMB: usize = 4;
/// Bits of a limb.
pub const LIMB_BITS: usize = CHUNK_BITS * CHUNKS_PER_LIMB;
/// Limbs of a number.
pub const LIMBS: usize = 4;
/// Chunks of a number: 255 bits.
pub const NUMBER_CHUNKS: usize = 15;
/// Chunks of a quotient: 272 bits, half of them for the sign.
pub const QUOTIENT_CHUNKS: usize = 16;
/// Chunks of a carry: 85 bits, half of them for the sign.
pub const CARRY_CHUNKS: usize = 5;
/// Carries of an identity.
pub const CARRIES: usize = 2;

/// A commutative ring with integers in it.
pub trait Ring: Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    /// The image of an integer.
    fn integer(value: &BigInt) -> Self;
}

impl Ring for BigInt {
    fn integer(value: &BigInt) -> Self {
        value.clone()
    }
}

impl Ring for Expression<Fr> {
    fn integer(value: &BigInt) -> Self {
        Expression::Constant(residue(value))
    }
}

/// The integer 2^bits.
#[must_use]
pub fn power(bits: usize) -> BigInt {
    BigInt::from(1) << bits
}

/// The prime q of the coordinates' field.
#[must_use]
pub fn foreign_modulus() -> BigUint {
    integer_of(-Fq::one()) + 1u8
}

/// The prime r of the circuit's field.
#[must_use]
pub fn native_modulus() -> BigUint {
    BigUint::from_bytes_le((-Fr::one()).to_repr().as_ref()) + 1u8
}

/// The canonical integer of a coordinate.
#[must_use]
pub fn integer_of(value: Fq) -> BigUint {
    BigUint::from_bytes_le(value.to_repr().as_ref())
}

/// An integer modulo r.
#[must_use]
pub fn residue(value: &BigInt) -> Fr {
    let r = BigInt::from(native_modulus());
    let positive = ((value % &r) + &r) % &r;
    let mut words = positive.iter_u64_digits();
    Fr::from_raw(std::array::from_fn(|_| words.next().unwrap_or(0)))
}

/// `count` chunks of a non-negative integer, least significant first; what does not fit is dropped, and
/// a negative integer gives zeros (no constraint accepts either).
#[must_use]
pub fn chunks(value: &BigInt, count: usize) -> Vec<u32> {
    if value.sign() == Sign::Minus {
        return vec![0; count];
    }
    let words: Vec<u64> = value.iter_u64_digits().collect();
    let word = |index: usize| u128::from(words.get(index).copied().unwrap_or(0));
    (0..count)
        .map(|chunk| {
            let at = chunk * CHUNK_BITS;
            let pair = word(at / 64) | (word(at / 64 + 1) << 64);
            ((pair >> (at % 64)) as u32) & ((1 << CHUNK_BITS) - 1)
        })
        .collect()
}

/// The four limbs of a canonical coordinate.
#[must_use]
pub fn limbs_of(value: Fq) -> [BigInt; LIMBS] {
    let whole = BigInt::from(integer_of(value));
    std::array::from_fn(|limb| (&whole >> (limb * LIMB_BITS)) & (power(LIMB_BITS) - 1))
}

/// An integer as the columns of its limbs and as a whole.
#[derive(Clone, Debug)]
pub struct Form<V> {
    /// Column i counts `2^(68 i)`; columns from 4 on are dropped.
    pub columns: [V; LIMBS],
    /// The integer.
    pub whole: V,
}

impl<V: Ring> Form<V> {
    /// A number from its limbs.
    #[must_use]
    pub fn new(columns: [V; LIMBS]) -> Self {
        let base = V::integer(&power(LIMB_BITS));
        let [a, b, c, d] = columns.clone();
        let whole = a + (b + (c + d * base.clone()) * base.clone()) * base;
        Form { columns, whole }
    }

    /// A constant.
    #[must_use]
    pub fn integer(value: &BigInt) -> Self {
        let limb = |i: usize| (value >> (i * LIMB_BITS)) & (power(LIMB_BITS) - 1);
        Form {
            columns: std::array::from_fn(|i| V::integer(&limb(i))),
            whole: V::integer(value),
        }
    }

    /// Every part times a factor.
    #[must_use]
    pub fn scaled(self, factor: &V) -> Self {
        Form {
            columns: self.columns.map(|column| column * factor.clone()),
            whole: self.whole * factor.clone(),
        }
    }

    /// A small multiple.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        self.scaled(&V::integer(&BigInt::from(factor)))
    }

    /// The three sides that an identity compares: the whole, columns 0 and 1, columns 2 and 3.
    #[must_use]
    pub fn sides(&self) -> [V; 3] {
        let base = V::integer(&power(LIMB_BITS));
        let [a, b, c, d] = self.columns.clone();
        [self.whole.clone(), a + b * base.clone(), c + d * base]
    }
}

impl<V: Ring> Add for Form<V> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let mut rest = other.columns.into_iter();
        Form {
            columns: self.columns.map(|column| match rest.next() {
                Some(term) => column + term,
                None => column,
            }),
            whole: self.whole + other.whole,
        }
    }
}

impl<V: Ring> Sub for Form<V> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let mut rest = other.columns.into_iter();
        Form {
            columns: self.columns.map(|column| match rest.next() {
                Some(term) => column - term,
                None => column,
            }),
            whole: self.whole - other.whole,
        }
    }
}

impl<V: Ring> Mul for Form<V> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Form {
            columns: std::array::from_fn(|i| convolution(&self.columns, &other.columns, i)),
            whole: self.whole.clone() * other.whole.clone(),
        }
    }
}

/// Column `i` of a product of limbs.
fn convolution<V: Ring>(left: &[V; LIMBS], right: &[V; LIMBS], i: usize) -> V {
    let first = left[0].clone() * right[i].clone();
    (1..=i).fold(first, |sum, j| sum + left[j].clone() * right[i - j].clone())
}

/// A coordinate in limbs.
#[must_use]
pub fn number(value: Fq) -> Form<BigInt> {
    Form::new(limbs_of(value))
}

/// The sides of `k q`, with the carries: equal to the sides of E exactly if `E = k q`.
///
/// `quotient` is k plus `2^271` in limbs, `carries` are carries plus `2^84`.
#[must_use]
pub fn quotient_sides<V: Ring>(quotient: [V; LIMBS], carries: [V; CARRIES]) -> [V; 3] {
    let [a, b, c, d] = quotient;
    let top = V::integer(&power(LIMB_BITS - 1));
    let k = Form::new([a, b, c, d - top]);
    let offset = V::integer(&power(CARRY_CHUNKS * CHUNK_BITS - 1));
    let [first, second] = carries.map(|carry| carry - offset.clone());
    let next = V::integer(&power(2 * LIMB_BITS));
    let [whole, low, high] = (k * Form::integer(&BigInt::from(foreign_modulus()))).sides();
    [
        whole,
        low + first.clone() * next.clone(),
        high - first + second * next,
    ]
}

/// The witness of an identity: chunks of the quotient, then of both carries.
///
/// If E is no multiple of q, or not in range, the chunks satisfy nothing.
#[must_use]
pub fn quotient_chunks(value: &Form<BigInt>) -> Vec<u32> {
    let q = BigInt::from(foreign_modulus());
    let k = &value.whole / &q;
    let shifted = &k + power(QUOTIENT_CHUNKS * CHUNK_BITS - 1);
    let limb = |i: usize| {
        let low = &shifted >> (i * LIMB_BITS);
        if i + 1 < LIMBS {
            low & (power(LIMB_BITS) - 1)
        } else {
            low
        }
    };
    let zero = power(CARRY_CHUNKS * CHUNK_BITS - 1);
    let [_, low, high] = value.sides();
    let [_, low_k, high_k] =
        quotient_sides(std::array::from_fn(limb), [zero.clone(), zero.clone()]);
    let first = (low - low_k) >> (2 * LIMB_BITS);
    let second = (high - high_k + &first) >> (2 * LIMB_BITS);
    let mut out = chunks(&shifted, QUOTIENT_CHUNKS);
    out.extend(chunks(&(first + &zero), CARRY_CHUNKS));
    out.extend(chunks(&(second + &zero), CARRY_CHUNKS));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the module of the gadget claims about sizes.
    #[test]
    fn no_identity_can_wrap_and_every_true_one_has_a_witness() {
        let (q, r) = (
            BigInt::from(foreign_modulus()),
            BigInt::from(native_modulus()),
        );
        let (number, x) = (power(255), power(254));
        // numbers are below 2^255, x coordinates below 2^254, signed sums add up in size
        let sizes = [
            // slope (x2 - x1) - s y2 + slope' (x2' - x1) - s' y2'
            2 * &number * &x + 2 * &number,
            // slope (x2 - x1) - s y2 + y1
            &number * &x + 2 * &number,
            // 2 y slope - 3 x^2
            2 * &number * &number + 3 * &x * &x,
            // slope^2 - x1 - x2 - x3
            &number * &number + 3 * &x,
            // x^2 - w
            &x * &x + &number,
            // y^2 - w x - 3
            &number * &number + &number * &x + 3,
        ];
        for size in &sizes {
            assert!(size < &power(512));
            assert!(size + power(271) * &q < &r * power(272));
            assert!(size / &q < power(271), "its quotient is in range");
        }
        // products of limbs in a column: 8 and 12 of the doubling, 4 of k q; and a few limbs
        let limb: BigInt = power(LIMB_BITS);
        let column: BigInt = (8 + 12 + 4) * &limb * &limb + 8 * &limb;
        assert!(column < power(141));
        let high: BigInt = &column * &limb;
        let pair: BigInt = &column + &high;
        let carry: BigInt = (&pair >> (2 * LIMB_BITS)) + 1;
        assert!(carry < power(75));
        let carries: BigInt = power(CARRY_CHUNKS * CHUNK_BITS - 1);
        assert!(carry < carries);
        assert!(&pair + &carries + &carries * power(2 * LIMB_BITS) < r);
        // two numbers below 2^254 that agree modulo q differ by 0, q or -q
        assert!(x < 2 * &q && q < x);
        // a sum of two numbers below 2^255 is less than 6 r from q - 1
        assert!(2 * &number < 6 * &r);
    }

    #[test]
    fn identity_closes_for_multiples_of_q_only() {
        let q = BigInt::from(foreign_modulus());
        let of = |value: i64| -> Form<BigInt> {
            let k = BigInt::from(value) * power(200);
            Form::integer(&q) * Form::integer(&power(0)) + Form::integer(&(k * &q))
        };
        for value in [0, 1, 77] {
            let form = of(value);
            let cells = quotient_chunks(&form);
            assert!(closes(&form, &cells), "{value}");
            let off = form + Form::integer(&BigInt::from(1));
            assert!(!closes(&off, &quotient_chunks(&off)));
        }
    }

    fn closes(form: &Form<BigInt>, cells: &[u32]) -> bool {
        let number = |range: std::ops::Range<usize>| {
            cells[range]
                .iter()
                .rev()
                .fold(BigInt::from(0), |sum, chunk| (sum << CHUNK_BITS) + chunk)
        };
        let sides = quotient_sides(
            std::array::from_fn(|limb| number(limb * 4..limb * 4 + 4)),
            [number(16..21), number(21..26)],
        );
        form.sides() == sides
    }
}
