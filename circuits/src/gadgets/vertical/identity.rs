//! `E = 0 mod q` for a polynomial of degree 2 in numbers, by a quotient and two carries.
//!
//! `E - k q = 0` modulo r is one chain, and modulo `2^272` two: columns 0 and 1 of the limb products, and columns 2 and 3. The
//! bounds are those of [`crate::gadgets::foreign`]. The quotient is k plus `2^271`, carries are carries plus `2^84`.

use std::sync::LazyLock;

use halo2curves::bn256::Fr;
use num_bigint::BigInt;

use super::cells::{Cell, Cells, Factor, Number, Summand, small};
use crate::gadgets::foreign::integer::{
    CARRY_CHUNKS, CHUNK_BITS, Form, LIMB_BITS, QUOTIENT_CHUNKS, foreign_modulus, power,
    quotient_chunks, residue,
};

/// `-q` as a right side.
static MINUS_Q: LazyLock<Number> = LazyLock::new(|| {
    let q = BigInt::from(foreign_modulus());
    let zero = Form::integer(&BigInt::from(0));
    Number::of_form(&(zero - Form::integer(&q)))
});

/// What a carry is shifted by.
fn carry_offset() -> BigInt {
    power(CARRY_CHUNKS * CHUNK_BITS - 1)
}

/// E, as the products of its three sides: the whole, columns 0 and 1, columns 2 and 3.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    whole: Vec<(Cell, Cell)>,
    low: Vec<(Cell, Cell)>,
    high: Vec<(Cell, Cell)>,
}

impl Identity {
    /// Adds a product.
    #[must_use]
    pub fn product(mut self, left: &Number, right: &Factor) -> Self {
        let whole = left.factor.sum.whole;
        self.whole.push((whole, right.sum.whole));
        self.columns(&left.limbs, right);
        self
    }

    /// Columns of a product.
    fn columns(&mut self, left: &[Cell; 4], right: &Factor) {
        let [a, b, c, d] = *left;
        let Summand { low, high, .. } = right.sum;
        self.low.extend([(a, low), (b, right.shifted)]);
        self.high
            .extend([(a, high), (b, right.middle), (c, low), (d, right.shifted)]);
    }

    /// Adds a number.
    #[must_use]
    pub fn plus(self, summand: &Summand) -> Self {
        self.summand(summand, 1)
    }

    /// Takes a number away.
    #[must_use]
    pub fn less(self, summand: &Summand) -> Self {
        self.summand(summand, -1)
    }

    fn summand(mut self, summand: &Summand, times: i64) -> Self {
        self.whole.push((summand.whole, small(times)));
        self.low.push((summand.low, small(times)));
        self.high.push((summand.high, small(times)));
        self
    }

    /// Constrains E to equal `end` modulo q. `difference` is E less `end` by value: the witness is made from it.
    pub fn close(mut self, cells: &mut Cells<'_>, difference: &Form<BigInt>, end: &Summand) {
        let chunks = quotient_chunks(difference);
        let (quotient, carries) = chunks.split_at(QUOTIENT_CHUNKS);
        let quotient = cells.limbs(quotient);
        let quotient: [Cell; 4] = std::array::from_fn(|limb| quotient[limb]);
        let mut carry = carries
            .chunks(CARRY_CHUNKS)
            .map(|chunks| cells.limb(chunks).0);
        let [first, second] = [(); 2].map(|()| carry.next().expect("two carries"));
        drop(carry);

        let minus_q = &*MINUS_Q;
        let q: Fr = residue(&BigInt::from(foreign_modulus()));
        for (place, limb) in quotient.iter().enumerate() {
            let shifted = -q * residue(&power(place * LIMB_BITS));
            self.whole.push((*limb, Cell::Constant(shifted)));
        }
        self.columns(&quotient, &minus_q.factor);
        let next = residue(&power(2 * LIMB_BITS));
        self.low.push((first, Cell::Constant(-next)));
        self.high.push((first, small(1)));
        self.high.push((second, Cell::Constant(-next)));

        // what quotient and carries are shifted by
        let top = residue(&power(QUOTIENT_CHUNKS * CHUNK_BITS - 1));
        let limb_top = residue(&power(LIMB_BITS - 1));
        let offset = residue(&carry_offset());
        let lowest_q = -*minus_q.factor.shifted.value();
        let starts = [
            top * q,
            offset * next,
            limb_top * lowest_q - offset + offset * next,
        ];
        let sides = [
            (&self.whole, end.whole),
            (&self.low, end.low),
            (&self.high, end.high),
        ];
        for (start, (products, end)) in starts.into_iter().zip(sides) {
            cells.close(Cell::Constant(start), products, end);
        }
    }
}

impl Cells<'_> {
    /// Constrains a coordinate to be below q: `value + e = q - 1` modulo r and modulo `2^68`, e a number.
    pub(super) fn below_q(&mut self, coordinate: &Number, value: &BigInt) {
        let most: BigInt = BigInt::from(foreign_modulus()) - 1;
        let rest: BigInt = most.clone() - value.clone();
        let rest_cells = self.number(&rest);
        let low = power(LIMB_BITS);
        let sum: BigInt = value % low.clone() + rest % low.clone();
        let most_low: BigInt = most.clone() % low.clone();
        let carry = Cell::Witness(residue(&((sum - most_low.clone()) / low)));
        let carry = self.chain(carry, &[]);
        self.bit(carry);
        let whole = rest_cells.factor.sum.whole;
        self.close(
            coordinate.factor.sum.whole,
            &[(whole, small(1))],
            Cell::Constant(residue(&most)),
        );
        let minus_base = Cell::Constant(-residue(&power(LIMB_BITS)));
        self.close(
            coordinate.limbs[0],
            &[(rest_cells.limbs[0], small(1)), (carry, minus_base)],
            Cell::Constant(residue(&most_low)),
        );
    }

    /// Constrains a cell to be 0 or 1.
    pub(super) fn bit(&mut self, cell: Cell) {
        self.close(small(0), &[(cell, cell)], cell);
    }

    /// Constrains two x coordinates to differ modulo q: `d (d^2 - q^2)` has an inverse modulo r.
    pub(super) fn differ(&mut self, difference: &Factor) {
        let d = difference.sum.whole;
        let q: Fr = residue(&BigInt::from(foreign_modulus()));
        let inner = self.chain(Cell::Constant(-q.square()), &[(d, d)]);
        let product = self.chain(small(0), &[(inner, d)]);
        let inverse = Cell::Witness(crate::window::invert_or_zero(*product.value()));
        self.close(small(0), &[(product, inverse)], small(1));
    }
}
