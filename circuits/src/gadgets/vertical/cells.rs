//! Chains, looked up limbs, and numbers as sides of products.

use halo2_base::gates::{RangeChip, RangeInstructions};
use halo2_base::{AssignedValue, Context, QuantumCell};
use halo2curves::bn256::{Fq, Fr};
use num_bigint::BigInt;

use crate::gadgets::foreign::integer::{
    CHUNK_BITS, CHUNKS_PER_LIMB, Form, LIMB_BITS, LIMBS, NUMBER_CHUNKS, chunks, number, power,
    residue,
};

/// A cell of halo2-base, or what is to become one.
pub type Cell = QuantumCell<Fr>;

/// Where cells are made.
#[derive(Debug)]
pub struct Cells<'a> {
    /// The column.
    pub context: &'a mut Context<Fr>,
    /// The range table.
    pub range: &'a RangeChip<Fr>,
}

/// `2^bits` as a constant.
pub(super) fn unit(bits: usize) -> Cell {
    Cell::Constant(residue(&power(bits)))
}

/// A small integer as a constant.
pub(super) fn small(value: i64) -> Cell {
    Cell::Constant(residue(&BigInt::from(value)))
}

impl Cells<'_> {
    /// `start + sum left right`, a new cell.
    pub(super) fn chain(&mut self, start: Cell, products: &[(Cell, Cell)]) -> Cell {
        Cell::Existing(self.chained(start, products, None))
    }

    /// Constrains `start + sum left right = end`; `products` must not be empty.
    pub(super) fn close(&mut self, start: Cell, products: &[(Cell, Cell)], end: Cell) {
        self.chained(start, products, Some(end));
    }

    /// `start + sum left right`, a new cell or one that there is: `1 + 3 n` cells for n products.
    pub(super) fn chained(
        &mut self,
        start: Cell,
        products: &[(Cell, Cell)],
        end: Option<Cell>,
    ) -> AssignedValue<Fr> {
        let mut sum = *start.value();
        let mut cells = vec![start];
        for (left, right) in products {
            sum += left.value() * right.value();
            cells.extend([*left, *right, Cell::Witness(sum)]);
        }
        if let (Some(end), Some(last)) = (end, cells.last_mut()) {
            *last = end;
        }
        let gates = (0..products.len()).map(|product| 3 * product as isize);
        self.context.assign_region_last(cells, gates)
    }

    /// A number of chunks, each in the table; and its top chunk. Four make a limb, five a carry.
    pub(super) fn limb(&mut self, chunks: &[u32]) -> (Cell, Cell) {
        let mut values = chunks
            .iter()
            .map(|chunk| Cell::Witness(Fr::from(u64::from(*chunk))));
        let start = values.next().expect("a limb has chunks");
        let products: Vec<_> = (1..)
            .zip(values)
            .map(|(place, chunk)| (chunk, unit(place * CHUNK_BITS)))
            .collect();
        let first = self.context.advice.len();
        let limb = self.chain(start, &products);
        let places = (0..chunks.len()).map(|place| first + (3 * place).saturating_sub(2));
        let mut top = limb;
        for place in places {
            let cell = self.context.get(place as isize);
            self.range.range_check(self.context, cell, CHUNK_BITS);
            top = Cell::Existing(cell);
        }
        (limb, top)
    }

    /// Limbs of 68 bits over chunks.
    pub(super) fn limbs(&mut self, chunks: &[u32]) -> Vec<Cell> {
        let limbs = chunks.chunks(CHUNKS_PER_LIMB);
        limbs.map(|chunks| self.limb(chunks).0).collect()
    }

    /// A number below `2^255`.
    pub(super) fn number(&mut self, value: &BigInt) -> Number {
        let limbs = self.limbs(&chunks(value, NUMBER_CHUNKS));
        self.number_of(limbs)
    }

    /// A coordinate x: below `2^254`.
    pub(super) fn x(&mut self, value: &BigInt) -> Number {
        let chunks = chunks(value, NUMBER_CHUNKS);
        let (low, high) = chunks.split_at(NUMBER_CHUNKS - NUMBER_CHUNKS % CHUNKS_PER_LIMB);
        let mut limbs = self.limbs(low);
        let (limb, top) = self.limb(high);
        limbs.push(limb);
        let twice = self.chained(small(0), &[(top, small(2))], None);
        self.range.range_check(self.context, twice, CHUNK_BITS);
        self.number_of(limbs)
    }

    fn number_of(&mut self, limbs: Vec<Cell>) -> Number {
        let limbs: [Cell; LIMBS] = std::array::from_fn(|limb| limbs[limb]);
        let mut pair = |low: usize| self.chain(limbs[low], &[(limbs[low + 1], unit(LIMB_BITS))]);
        let [low, middle, high] = [0, 1, 2].map(&mut pair);
        let shifted = self.chain(small(0), &[(limbs[0], unit(LIMB_BITS))]);
        let whole = self.chain(low, &[(high, unit(2 * LIMB_BITS))]);
        let factor = Factor {
            shifted,
            middle,
            sum: Summand { whole, low, high },
        };
        Number { limbs, factor }
    }

    /// A difference.
    pub(super) fn difference(&mut self, left: &Factor, right: &Factor) -> Factor {
        left.zip(right, |left, right| self.chain(left, &[(right, small(-1))]))
    }

    /// A small multiple.
    pub(super) fn times(&mut self, factor: &Factor, times: i64) -> Factor {
        factor.zip(factor, |cell, _| {
            self.chain(small(0), &[(cell, small(times))])
        })
    }
}

/// A side of an equation: what three sides of an identity add.
#[derive(Clone, Copy, Debug)]
pub struct Summand {
    /// The integer modulo r.
    pub whole: Cell,
    /// Limbs 0 and 1: `l0 + 2^68 l1`.
    pub low: Cell,
    /// Limbs 2 and 3.
    pub high: Cell,
}

/// The right side of a product, linear in the limbs.
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    /// `2^68 l0`.
    pub shifted: Cell,
    /// `l1 + 2^68 l2`.
    pub middle: Cell,
    /// The other pairs, and the whole.
    pub sum: Summand,
}

impl Factor {
    fn zip(&self, other: &Self, mut join: impl FnMut(Cell, Cell) -> Cell) -> Self {
        Factor {
            shifted: join(self.shifted, other.shifted),
            middle: join(self.middle, other.middle),
            sum: Summand {
                whole: join(self.sum.whole, other.sum.whole),
                low: join(self.sum.low, other.sum.low),
                high: join(self.sum.high, other.sum.high),
            },
        }
    }

    fn constant(form: &Form<BigInt>) -> Self {
        let [a, b, c, d] = &form.columns;
        let base = power(LIMB_BITS);
        let cell = |value: BigInt| Cell::Constant(residue(&value));
        Factor {
            shifted: cell(a * &base),
            middle: cell(b + c * &base),
            sum: Summand {
                whole: cell(form.whole.clone()),
                low: cell(a + b * &base),
                high: cell(c + d * &base),
            },
        }
    }
}

/// A number: as a left side its limbs, as a right side a factor.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// Limbs of 68 bits.
    pub limbs: [Cell; LIMBS],
    /// The right side.
    pub factor: Factor,
}

impl Number {
    /// A coordinate that is a constant of the circuit.
    #[must_use]
    pub fn constant(value: Fq) -> Self {
        Self::of_form(&number(value))
    }

    /// Any integer that is a constant of the circuit, limb by limb.
    pub(super) fn of_form(form: &Form<BigInt>) -> Self {
        Number {
            limbs: std::array::from_fn(|limb| Cell::Constant(residue(&form.columns[limb]))),
            factor: Factor::constant(form),
        }
    }
}
