//! Witnesses that a prover might prefer to the honest one.

use ff::Field;
use halo2curves::bn256::{Fq, G1Affine};
use num_bigint::BigInt;

use super::super::cells::{Cells, Number, small};
use super::super::identity::Identity;
use super::super::steps::{Known, Running};
use super::trace::Trace;
use super::{host, random_point, rng};
use crate::gadgets::foreign::curve;
use crate::gadgets::foreign::integer::{
    Form, LIMB_BITS, foreign_modulus, integer_of, number, power,
};

/// Whether constraints that `make` lays out hold.
fn hold(make: impl FnOnce(&mut Cells<'_>)) -> bool {
    let (mut builder, _) = host();
    let range = builder.range_chip();
    let mut cells = Cells {
        context: builder.pool(0).main(),
        range: &range,
    };
    make(&mut cells);
    Trace::new(&mut builder).holds()
}

fn integer(value: Fq) -> BigInt {
    integer_of(value).into()
}

/// Any number below 2^272 as limbs.
fn form(value: &BigInt) -> Form<BigInt> {
    let limb = |limb: usize| (value >> (limb * LIMB_BITS)) & (power(LIMB_BITS) - 1);
    Form::new(std::array::from_fn(limb))
}

#[test]
fn a_point_is_not_added_to_itself_nor_to_its_opposite() {
    let point = random_point(&mut rng(1));
    let known = Known::constant(point);
    let from = Running::Known(Box::new(known));
    let sum_with = |right: G1Affine| {
        hold(|cells| {
            cells.add(&from, &Known::constant(right).addend());
        })
    };
    // slope 0: both identities hold, and only that x must differ speaks against it
    assert!(!sum_with(point));
    assert!(!sum_with(curve::negated(point)));
    assert!(sum_with(random_point(&mut rng(2))));
}

#[test]
fn numbers_differ_unless_they_agree_modulo_q() {
    let x = Fq::from(5);
    let q = BigInt::from(foreign_modulus());
    let differs = |other: &BigInt| {
        hold(|cells| {
            let other = Number::of_form(&form(other));
            let difference = cells.difference(&Number::constant(x).factor, &other.factor);
            cells.differ(&difference);
        })
    };
    assert!(!differs(&BigInt::from(5)));
    assert!(!differs(&(q.clone() + 5)));
    assert!(differs(&(q + 6)));
}

#[test]
fn coordinates_of_q_or_more_are_refused() {
    let q = BigInt::from(foreign_modulus());
    let is_taken = |value: &BigInt| {
        hold(|cells| {
            let coordinate = cells.number(value);
            cells.below_q(&coordinate, value);
        })
    };
    for value in [0, 1] {
        assert!(is_taken(&BigInt::from(value)));
        assert!(!is_taken(&(q.clone() + value)));
    }
    assert!(is_taken(&(q - 1)));
}

#[test]
fn an_x_of_more_than_254_bits_is_refused() {
    let is_taken = |value: &BigInt| {
        hold(|cells| {
            cells.x(value);
        })
    };
    assert!(is_taken(&(power(254) - 1)));
    assert!(!is_taken(&power(254)));
}

#[test]
fn identities_hold_for_multiples_of_q_only() {
    let mut rng = rng(3);
    let [a, b] = [(); 2].map(|()| Fq::random(&mut rng));
    let product = a * b;
    let holds = |end: &BigInt| {
        hold(|cells| {
            let [left, right] = [a, b].map(|value| cells.number(&integer(value)));
            let end_cells = cells.number(end);
            let value = number(a) * number(b) - form(end);
            Identity::default().product(&left, &right.factor).close(
                cells,
                &value,
                &end_cells.factor.sum,
            );
        })
    };
    let right = integer(product);
    assert!(holds(&right));
    assert!(holds(&(right.clone() + BigInt::from(foreign_modulus()))));
    assert!(!holds(&(right + 1)));
    assert!(!holds(&BigInt::from(0)));
}

#[test]
fn a_bit_is_0_or_1() {
    for (value, expected) in [(0, true), (1, true), (2, false), (-1, false)] {
        let taken = hold(|cells| {
            let cell = cells.chain(small(value), &[]);
            cells.bit(cell);
        });
        assert_eq!(taken, expected, "{value}");
    }
}
