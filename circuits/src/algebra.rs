//! One way to write an equation, used twice: over values when a witness is made, over expressions when
//! a gate is built.

use std::ops::{Add, Mul, Neg, Sub};

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

/// A commutative ring that contains the field's constants.
pub trait Algebra:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Mul<Fr, Output = Self>
    + Neg<Output = Self>
{
    /// A constant.
    fn constant(value: Fr) -> Self;

    /// A small constant.
    #[must_use]
    fn number(value: u64) -> Self {
        Self::constant(Fr::from(value))
    }

    /// `self^2`.
    #[must_use]
    fn squared(&self) -> Self {
        self.clone() * self.clone()
    }

    /// `self^5`.
    #[must_use]
    fn fifth_power(&self) -> Self {
        let square = self.squared();
        square.clone() * square * self.clone()
    }

    /// `1 - self`: negation of a boolean.
    #[must_use]
    fn not(&self) -> Self {
        Self::number(1) - self.clone()
    }

    /// `if self { yes } else { no }` for a boolean.
    #[must_use]
    fn select(&self, yes: Self, no: Self) -> Self {
        self.clone() * (yes - no.clone()) + no
    }
}

impl Algebra for Fr {
    fn constant(value: Fr) -> Self {
        value
    }
}

impl Algebra for Expression<Fr> {
    fn constant(value: Fr) -> Self {
        Expression::Constant(value)
    }
}

/// Sum of terms; 0 for none.
pub fn sum<A: Algebra>(terms: impl IntoIterator<Item = A>) -> A {
    let mut terms = terms.into_iter();
    match terms.next() {
        Some(first) => terms.fold(first, |sum, term| sum + term),
        None => A::number(0),
    }
}

/// `sum_i prod_(j != i) f_j` and `prod f_j`: what the inverses of the factors sum to, as a fraction.
pub fn over_common<A: Algebra>(factors: &[A]) -> (A, A) {
    let mut factors = factors.iter();
    let first = factors.next().cloned().unwrap_or_else(|| A::number(1));
    factors.fold((A::number(1), first), |(above, below), factor| {
        (
            above * factor.clone() + below.clone(),
            below * factor.clone(),
        )
    })
}
