//! Points, their tables of multiples, and sums: the [`Points`] of a thin circuit.

use std::collections::BTreeMap;

use halo2_base::AssignedValue;
use halo2_base::gates::{RangeChip, RangeInstructions};
use halo2curves::bn256::{Fr, G1Affine};
use num_bigint::BigUint;

use super::cells::{Cell, Cells, Factor, Summand, small, unit};
use super::steps::{Addend, Known, Running};
use crate::gadgets::foreign::chip::Points;
use crate::gadgets::foreign::curve::{self, Digit, negated, odd_digits, odd_multiples, start};
use crate::gadgets::foreign::integer::{CHUNK_BITS, LIMB_BITS, LIMBS, integer_of};
use crate::gadgets::foreign::tape::{Manager, PointId};

/// Bits of a digit.
pub const WINDOW_BITS: usize = 4;
/// Digits of a scalar: an odd number below `2^254` or its negative.
pub const WINDOWS: usize = 64;
/// Odd multiples that a digit chooses from.
const MULTIPLES: usize = 1 << (WINDOW_BITS - 1);
/// Cells of a point that are selected: four of x, two of y.
const SELECTED: usize = 6;

/// A point with what is known of it.
#[derive(Clone, Debug)]
struct Entry {
    known: Known,
    is_constant: bool,
    /// Whether its coordinates are known to be below q.
    is_canonical: bool,
    native: Option<[AssignedValue<Fr>; 2]>,
    table: Option<Table>,
}

/// The odd multiples 1, 3, .. 15 of a point.
#[derive(Clone, Debug)]
struct Table {
    values: [G1Affine; MULTIPLES],
    /// For each selected cell the polynomial in the bits of the index that runs through the multiples: the coefficient at
    /// place S belongs to the product of the bits in S.
    polynomials: [[Cell; MULTIPLES]; SELECTED],
}

/// Points of a circuit in halo2-base's columns alone.
#[derive(Clone, Debug)]
pub struct VerticalPoints {
    range: RangeChip<Fr>,
    points: Vec<Entry>,
    constants: BTreeMap<[BigUint; 2], PointId>,
}

impl VerticalPoints {
    /// No points yet.
    ///
    /// # Panics
    /// If the range table is not that of chunks.
    #[must_use]
    pub fn new(range: RangeChip<Fr>) -> Self {
        assert_eq!(range.lookup_bits(), CHUNK_BITS, "chunks are looked up");
        VerticalPoints {
            range,
            points: Vec::new(),
            constants: BTreeMap::new(),
        }
    }

    fn enter(&mut self, known: Known, is_constant: bool, is_canonical: bool) -> PointId {
        self.points.push(Entry {
            known,
            is_constant,
            is_canonical,
            native: None,
            table: None,
        });
        self.points.len() - 1
    }

    fn table(&mut self, context: &mut Manager, id: PointId) -> Table {
        let range = self.range.clone();
        let entry = &mut self.points[id];
        let (known, is_constant) = (entry.known, entry.is_constant);
        entry
            .table
            .get_or_insert_with(|| {
                let mut cells = Cells {
                    context: context.main(),
                    range: &range,
                };
                Table::new(&mut cells, &known, is_constant)
            })
            .clone()
    }
}

impl Table {
    fn new(cells: &mut Cells<'_>, known: &Known, is_constant: bool) -> Self {
        let all = odd_multiples(known.point);
        let values: [G1Affine; MULTIPLES] = std::array::from_fn(|index| all[index]);
        let multiples: Vec<Known> = if is_constant {
            values.map(Known::constant).to_vec()
        } else {
            let twice = cells.double(known);
            let twice = cells.finish(&twice).addend();
            let mut out = vec![*known];
            for _ in 1..MULTIPLES {
                let last = out.last().copied().unwrap_or(*known);
                let sum = cells.add(&Running::Known(Box::new(last)), &twice);
                out.push(cells.finish(&sum));
            }
            out
        };
        let polynomials = std::array::from_fn(|place| {
            let mut polynomial: [Cell; MULTIPLES] =
                std::array::from_fn(|index| selected(&multiples[index])[place]);
            for bit in 0..WINDOW_BITS - 1 {
                for index in (0..MULTIPLES).filter(|index| index >> bit & 1 == 1) {
                    let without = polynomial[index - (1 << bit)];
                    polynomial[index] = match (polynomial[index], without) {
                        (Cell::Constant(a), Cell::Constant(b)) => Cell::Constant(a - b),
                        (with, without) => cells.chain(with, &[(without, small(-1))]),
                    };
                }
            }
            polynomial
        });
        Table {
            values,
            polynomials,
        }
    }
}

/// The cells of a point that its other cells follow from.
fn selected(known: &Known) -> [Cell; SELECTED] {
    let (x, y) = (&known.x.factor, &known.y.factor);
    [
        x.shifted, x.middle, x.sum.low, x.sum.high, y.sum.low, y.sum.high,
    ]
}

impl Cells<'_> {
    /// The multiple that a digit chooses, and `16 before + digit`.
    fn choose(
        &mut self,
        table: &Table,
        digit: Digit,
        before: Option<AssignedValue<Fr>>,
    ) -> (Addend, AssignedValue<Fr>) {
        let bits: [Cell; WINDOW_BITS - 1] =
            std::array::from_fn(|bit| Cell::Witness(Fr::from(u64::from(digit.index >> bit & 1))));
        let bits = bits.map(|bit| self.chain(bit, &[]));
        let negative = self.chain(Cell::Witness(Fr::from(u64::from(digit.negative))), &[]);
        for bit in bits.iter().chain([&negative]) {
            self.bit(*bit);
        }
        let sign = self.chain(small(1), &[(negative, small(-2))]);
        let doubled: Vec<_> = (1..)
            .zip(bits)
            .map(|(place, bit)| (bit, unit(place)))
            .collect();
        let size = self.chain(small(1), &doubled);
        let mut sum = vec![(sign, size)];
        sum.extend(before.map(|before| (Cell::Existing(before), unit(WINDOW_BITS))));
        let after = self.chained(small(0), &sum, None);

        // products of bits: place S holds that of the bits in S
        let mut products = vec![small(1)];
        for bit in bits {
            for place in 0..products.len() {
                let product = match place {
                    0 => bit,
                    _ => self.chain(small(0), &[(products[place], bit)]),
                };
                products.push(product);
            }
        }
        let [shifted, middle, low, high, y_low, y_high] = table.polynomials.map(|polynomial| {
            let terms = products.iter().copied().zip(polynomial);
            let terms: Vec<_> = terms.skip(1).collect();
            self.chain(polynomial[0], &terms)
        });
        let [y_low, y_high] = [y_low, y_high].map(|half| self.chain(small(0), &[(half, sign)]));
        let mut summand = |low, high| Summand {
            whole: self.chain(low, &[(high, unit(2 * LIMB_BITS))]),
            low,
            high,
        };
        let (x, y) = (summand(low, high), summand(y_low, y_high));
        let addend = Addend {
            point: table.values[digit.index as usize],
            negative: digit.negative,
            x: Factor {
                shifted,
                middle,
                sum: x,
            },
            y,
        };
        (addend, after)
    }

    /// Adds `sum scalar point` to the running point.
    fn windows(&mut self, mut running: Running, scaled: &[(AssignedValue<Fr>, Table)]) -> Running {
        let digits: Vec<Vec<Digit>> = scaled
            .iter()
            .map(|(scalar, _)| odd_digits(*scalar.value(), WINDOWS, WINDOW_BITS))
            .collect();
        let mut sums: Vec<Option<AssignedValue<Fr>>> = vec![None; scaled.len()];
        for window in (0..WINDOWS).rev() {
            if window + 1 < WINDOWS {
                for _ in 0..WINDOW_BITS {
                    let known = self.finish(&running);
                    running = self.double(&known);
                }
            }
            for (((_, table), digits), sum) in scaled.iter().zip(&digits).zip(&mut sums) {
                let (addend, after) = self.choose(table, digits[window], *sum);
                running = self.add(&running, &addend);
                *sum = Some(after);
            }
        }
        for ((scalar, _), sum) in scaled.iter().zip(sums) {
            let sum = sum.expect("there are windows");
            self.context.constrain_equal(scalar, &sum);
        }
        running
    }
}

impl Points for VerticalPoints {
    fn value(&self, id: PointId) -> G1Affine {
        self.points[id].known.point
    }

    fn is_constant(&self, id: PointId) -> bool {
        self.points[id].is_constant
    }

    fn native(&self, id: PointId) -> Option<[AssignedValue<Fr>; 2]> {
        self.points[id].native
    }

    fn set_native(&mut self, id: PointId, cells: [AssignedValue<Fr>; 2]) {
        self.points[id].native = Some(cells);
    }

    fn constant(&mut self, point: G1Affine) -> PointId {
        let key = [integer_of(point.x), integer_of(point.y)];
        if let Some(id) = self.constants.get(&key) {
            return *id;
        }
        let id = self.enter(Known::constant(point), true, true);
        self.constants.insert(key, id);
        id
    }

    fn load(&mut self, context: &mut Manager, point: G1Affine) -> PointId {
        let range = self.range.clone();
        let mut cells = Cells {
            context: context.main(),
            range: &range,
        };
        let known = cells.load(point);
        let id = self.enter(known, false, true);
        let wholes = [known.x, known.y].map(|number| number.factor.sum.whole);
        if let [Cell::Existing(x), Cell::Existing(y)] = wholes {
            self.set_native(id, [x, y]);
        }
        id
    }

    fn fetch(&mut self, context: &mut Manager, id: PointId) -> [AssignedValue<Fr>; 2 * LIMBS] {
        let range = self.range.clone();
        let mut cells = Cells {
            context: context.main(),
            range: &range,
        };
        let entry = &mut self.points[id];
        if !entry.is_canonical {
            cells.canonical(&entry.known);
            entry.is_canonical = true;
        }
        let limbs = [entry.known.x.limbs, entry.known.y.limbs].concat();
        std::array::from_fn(|limb| match limbs[limb] {
            Cell::Existing(cell) => cell,
            constant => context.main().load_constant(*constant.value()),
        })
    }

    fn sum(
        &mut self,
        context: &mut Manager,
        scaled: &[(AssignedValue<Fr>, PointId)],
        plain: &[PointId],
    ) -> PointId {
        let scaled: Vec<(AssignedValue<Fr>, Table)> = scaled
            .iter()
            .map(|(scalar, id)| (*scalar, self.table(context, *id)))
            .collect();
        let range = self.range.clone();
        let mut cells = Cells {
            context: context.main(),
            range: &range,
        };
        let mut running = Running::Known(Box::new(Known::constant(start())));
        let mut started = start();
        if !scaled.is_empty() {
            running = cells.windows(running, &scaled);
            let doublings = (WINDOWS - 1) * WINDOW_BITS;
            started = (0..doublings).fold(started, |point, _| curve::double(point).1);
        }
        for id in plain {
            running = cells.add(&running, &self.points[*id].known.addend());
        }
        let correction = Known::constant(negated(started)).addend();
        running = cells.add(&running, &correction);
        let known = cells.finish(&running);
        self.enter(known, false, false)
    }
}
