//! Constraints of the gadget, but for its lookups ([`super::logup`]), whose tuples stand here.
//!
//! X gates stand at the first row of an X block, Y gates at the first row of a Y block (and at row 2 of a
//! Constant block, where y starts). Rows `-11 .. 0` of a gate are the block before it if that is
//! an X block; after a Y block, x is in rows -8, -7 and y in rows -6, -5.
//!
//! | gate | constraints | degree |
//! |---|---|---|
//! | identity 1 | the slope; in Load `w = x^2` | 3 |
//! | identity 2 | x of the result | 3 |
//! | finish | y of the result; after Load the curve | 3 |
//! | different | `d (d^2 - q^2) inverse = 1` | 5 |
//! | digits | `b` is a bit, `m < 16`, `after = 32 before + (1 - 2 b) (2 m + 1)` | 3 |
//! | running point | Double: x2, y2 are the running point and b = 0; Fetch: x3, y3 are the selected point and m = 0 | 2 |
//! | top, native, canonical, constant | see [`super::layout`] | 3 |
//! | selection (lookup) | `(wanted + m, x2, y2)` is offered | 5 |
//! | range (lookup) | every chunk cell, and every cell that the host looks up, is below `2^17` | 5 |
//!
//! What it does not do: fix which blocks follow each other; the tape does, in fixed columns.

use halo2_proofs::plonk::{ConstraintSystem, Expression, VirtualCells};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use num_bigint::BigInt;

use super::equations::{Step, curve, square};
use super::integer::{
    CARRY_CHUNKS, CHUNK_BITS, CHUNKS_PER_LIMB, Form, LIMB_BITS, LIMBS, QUOTIENT_CHUNKS, Ring,
    foreign_modulus, power, quotient_sides,
};
use super::layout::{
    AFTER, BEFORE, BELOW_X, BELOW_Y, FINISH, FINISHED, FIRST, FixedName, ForeignColumns, INDEX,
    INDEX_SHIFT, INDEX_SHIFTED, INVERSE, RESULT, RESULT_TOP, SECOND, SIGN, SLOPE, WIDTH, X_ROWS,
    Y_ROWS,
};
use super::logup::Selection;

type Poly = Expression<Fr>;

/// Row of the X block's first row as a Y gate sees it.
const X_BEFORE: i32 = -(X_ROWS as i32);
/// First row of y, as a gate after a Y block sees it.
const Y_BEFORE: i32 = -(Y_ROWS as i32);
/// First row of x, as a gate after a Y block sees it.
const EXPLICIT_X: i32 = Y_BEFORE - 2;

/// Queries relative to a gate's row.
struct Cells<'m, 'a> {
    meta: &'m mut VirtualCells<'a, Fr>,
    config: &'m ForeignColumns,
}

impl Cells<'_, '_> {
    fn fixed(&mut self, name: FixedName, row: i32) -> Poly {
        self.meta
            .query_fixed(self.config.fixed(name), Rotation(row))
    }

    fn free(&mut self, row: i32) -> Poly {
        self.meta.query_advice(self.config.free, Rotation(row))
    }

    /// Chunk cell `place` of a block that starts at `row`.
    fn chunk(&mut self, row: i32, place: usize) -> Poly {
        let at = row + (place / WIDTH) as i32;
        self.meta
            .query_advice(self.config.chunks[place % WIDTH], Rotation(at))
    }

    /// `sum 2^(17 i) chunk_i`.
    fn sum(&mut self, row: i32, places: &[usize]) -> Poly {
        let base = number(1 << CHUNK_BITS);
        let mut cells = places.iter().rev();
        let first = match cells.next() {
            Some(place) => self.chunk(row, *place),
            None => number(0),
        };
        cells.fold(first, |sum, place| {
            sum * base.clone() + self.chunk(row, *place)
        })
    }

    fn limbs(&mut self, row: i32, places: &[usize]) -> [Poly; LIMBS] {
        let mut groups = places.chunks(CHUNKS_PER_LIMB);
        std::array::from_fn(|_| self.sum(row, groups.next().unwrap_or(&[])))
    }

    fn places(&mut self, row: i32, places: impl IntoIterator<Item = usize>) -> Form<Poly> {
        let places: Vec<usize> = places.into_iter().collect();
        Form::new(self.limbs(row, &places))
    }

    /// Four limbs in the free column.
    fn free_limbs(&mut self, row: i32) -> [Poly; LIMBS] {
        std::array::from_fn(|limb| self.free(row + limb as i32))
    }

    /// The step of the X block that starts at `row`.
    fn step(&mut self, row: i32) -> Step<Poly> {
        Step {
            slope: self.places(row, SLOPE),
            x: Form::new(self.free_limbs(row)),
            y: Form::new(self.free_limbs(row + LIMBS as i32)),
            sign: number(1) - self.chunk(row, SIGN) * number(2),
            result: self.places(row, RESULT),
        }
    }

    /// The sides of `k q` of the identity whose cells are `places`.
    fn quotient(&mut self, row: i32, places: std::ops::Range<usize>) -> [Poly; 3] {
        let places: Vec<usize> = places.collect();
        let (quotient, carries) = places.split_at(QUOTIENT_CHUNKS);
        let (first, second) = carries.split_at(CARRY_CHUNKS);
        let quotient = self.limbs(row, quotient);
        let carries = [self.sum(row, first), self.sum(row, second)];
        quotient_sides(quotient, carries)
    }
}

fn number(value: u64) -> Poly {
    Poly::integer(&BigInt::from(value))
}

/// `sum selector_i (E_i) - (sum selector_i) k q = 0`, side by side.
fn identity(
    name: &str,
    kinds: Vec<(Poly, Form<Poly>)>,
    quotient: [Poly; 3],
) -> Vec<(String, Poly)> {
    let selected = kinds
        .iter()
        .fold(number(0), |sum, (selector, _)| sum + selector.clone());
    let sides = kinds.iter().fold(
        [number(0), number(0), number(0)],
        |sums, (selector, form)| {
            let mut sides = form.sides().into_iter();
            sums.map(|sum| match sides.next() {
                Some(side) => sum + selector.clone() * side,
                None => sum,
            })
        },
    );
    sides
        .into_iter()
        .zip(quotient)
        .zip(["modulo r", "low columns", "high columns"])
        .map(|((side, target), part)| (format!("{name} {part}"), side - selected.clone() * target))
        .collect()
}

/// Adds the gates.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &ForeignColumns) {
    meta.create_gate("foreign X", |meta| x_gates(&mut Cells { meta, config }));
    meta.create_gate("foreign Y", |meta| y_gates(&mut Cells { meta, config }));
    meta.create_gate("foreign constant", |meta| {
        constant_gate(&mut Cells { meta, config })
    });
}

/// Selectors of the kinds of X blocks.
struct Kinds {
    add: Poly,
    add_explicit: Poly,
    double: Poly,
    load: Poly,
    fetch: Poly,
}

impl Kinds {
    fn query(cells: &mut Cells<'_, '_>) -> Self {
        Kinds {
            add: cells.fixed(FixedName::Add, 0),
            add_explicit: cells.fixed(FixedName::AddExplicit, 0),
            double: cells.fixed(FixedName::Double, 0),
            load: cells.fixed(FixedName::Load, 0),
            fetch: cells.fixed(FixedName::Fetch, 0),
        }
    }

    fn adds(&self) -> Poly {
        self.add.clone() + self.add_explicit.clone()
    }
}

fn x_gates(cells: &mut Cells<'_, '_>) -> Vec<(String, Poly)> {
    let kinds = Kinds::query(cells);
    let step = cells.step(0);
    let mut out = x_identities(cells, &kinds, &step);
    out.extend(digits(cells, &kinds));
    out.extend(running_point(cells, &kinds, &step));
    out.extend(canonical(cells, &kinds, &step));
    let computed = kinds.adds() + kinds.double.clone() + kinds.load.clone();
    let top = cells.chunk(0, RESULT.end - 1) * number(2);
    let doubled = cells.chunk(0, RESULT_TOP);
    out.push(("x is below 2^254".into(), computed * (doubled - top)));
    out
}

fn x_identities(
    cells: &mut Cells<'_, '_>,
    kinds: &Kinds,
    step: &Step<Poly>,
) -> Vec<(String, Poly)> {
    let before = cells.step(X_BEFORE);
    let explicit_x = cells.places(EXPLICIT_X, 0..SLOPE.end);
    let explicit_y = cells.places(Y_BEFORE, FINISHED);

    let slope = vec![
        (
            kinds.add.clone(),
            step.slope_of_addition(&before.result, before.result_y()),
        ),
        (
            kinds.add_explicit.clone(),
            step.slope_of_addition(&explicit_x, explicit_y),
        ),
        (kinds.double.clone(), step.slope_of_doubling()),
        (
            kinds.load.clone(),
            square(&step.result) - step.slope.clone(),
        ),
    ];
    let mut out = identity("slope", slope, cells.quotient(0, FIRST));

    let result = step.result_x();
    let abscissa = vec![
        (kinds.add.clone(), result.clone() - before.result.clone()),
        (
            kinds.add_explicit.clone(),
            result.clone() - explicit_x.clone(),
        ),
        (kinds.double.clone(), result - step.x.clone()),
    ];
    out.extend(identity("x", abscissa, cells.quotient(0, SECOND)));

    let inverse = cells.free(INVERSE as i32);
    let modulus = Poly::integer(&BigInt::from(foreign_modulus()));
    for (selector, x) in [
        (&kinds.add, before.result),
        (&kinds.add_explicit, explicit_x),
    ] {
        let d = x.whole - step.x.whole.clone();
        let square = d.clone() * d.clone() - modulus.clone() * modulus.clone();
        let different = d * square * inverse.clone() - number(1);
        out.push(("different".into(), selector.clone() * different));
    }
    out
}

fn digits(cells: &mut Cells<'_, '_>, kinds: &Kinds) -> Vec<(String, Poly)> {
    let [index, shifted, bit] = [INDEX, INDEX_SHIFTED, SIGN].map(|place| cells.chunk(0, place));
    let before = cells.free(BEFORE as i32);
    let after = cells.free(AFTER as i32);
    let sign = number(1) - bit.clone() * number(2);
    let digit = sign * (index.clone() * number(2) + number(1));
    let equations = [
        ("sign is a bit", bit.clone() * (bit - number(1))),
        (
            "index is below 16",
            shifted - index * number(1 << INDEX_SHIFT),
        ),
        ("digits", after - before * number(32) - digit),
    ];
    equations
        .into_iter()
        .map(|(name, equation)| (name.to_string(), kinds.adds() * equation))
        .collect()
}

fn running_point(
    cells: &mut Cells<'_, '_>,
    kinds: &Kinds,
    step: &Step<Poly>,
) -> Vec<(String, Poly)> {
    let mut out = vec![
        (
            "a doubling has no sign".to_string(),
            kinds.double.clone() * cells.chunk(0, SIGN),
        ),
        (
            "a fetch has no index".to_string(),
            kinds.fetch.clone() * cells.chunk(0, INDEX),
        ),
    ];
    let x = cells.places(EXPLICIT_X, 0..SLOPE.end);
    let y = cells.places(Y_BEFORE, FINISHED);
    let fetched_y = cells.places(X_ROWS as i32, FINISHED);
    for limb in 0..LIMBS {
        let (own_x, own_y) = (step.x.columns[limb].clone(), step.y.columns[limb].clone());
        let pairs = [
            ("doubled x", &kinds.double, own_x.clone(), &x),
            ("doubled y", &kinds.double, own_y.clone(), &y),
            ("fetched x", &kinds.fetch, own_x, &step.result),
            ("fetched y", &kinds.fetch, own_y, &fetched_y),
        ];
        for (name, selector, own, other) in pairs {
            let difference = own - other.columns[limb].clone();
            out.push((format!("{name} {limb}"), selector.clone() * difference));
        }
    }
    out
}

/// Load and Fetch: coordinates below q; Load: their copies modulo r.
fn canonical(cells: &mut Cells<'_, '_>, kinds: &Kinds, step: &Step<Poly>) -> Vec<(String, Poly)> {
    let most = Form::integer(&(BigInt::from(foreign_modulus()) - 1));
    let y = cells.places(X_ROWS as i32, FINISHED);
    let below = [
        ("x", step.result.clone(), BELOW_X, INVERSE, 0),
        ("y", y, BELOW_Y, BEFORE, 1),
    ];
    let selector = kinds.load.clone() + kinds.fetch.clone();
    let mut out = Vec::new();
    for (name, value, places, carry, native) in below {
        let carry = cells.free(carry as i32);
        let native = cells.free(native) - value.whole.clone();
        let rest = value + cells.places(0, places) - most.clone();
        let low = rest.columns[0].clone() - carry.clone() * Poly::integer(&power(LIMB_BITS));
        let bit = carry.clone() * (carry - number(1));
        for (part, equation) in [("modulo r", rest.whole), ("low limb", low), ("carry", bit)] {
            let label = format!("{name} is below q: {part}");
            out.push((label, selector.clone() * equation));
        }
        out.push((format!("native {name}"), kinds.load.clone() * native));
    }
    out
}

fn y_gates(cells: &mut Cells<'_, '_>) -> Vec<(String, Poly)> {
    let finish = cells.fixed(FixedName::Finish, 0);
    let load = cells.fixed(FixedName::Load, X_BEFORE);
    let step = cells.step(X_BEFORE);
    let y = cells.places(0, FINISHED);
    let kinds = vec![
        (finish, step.result_y() - y.clone()),
        (load, curve(&step.result, &step.slope, &y)),
    ];
    identity("y", kinds, cells.quotient(0, FINISH))
}

fn constant_gate(cells: &mut Cells<'_, '_>) -> Vec<(String, Poly)> {
    let selector = cells.fixed(FixedName::Constant, 0);
    let base = Poly::integer(&power(LIMB_BITS));
    let mut out = Vec::new();
    for (name, row) in [("x", -2), ("y", 0)] {
        let [a, b, c, d] = cells.places(row, FINISHED).columns;
        for (half, value) in [a + b * base.clone(), c + d * base.clone()]
            .into_iter()
            .enumerate()
        {
            let fixed = cells.fixed(FixedName::Half, row + half as i32);
            out.push((
                format!("constant {name} {half}"),
                selector.clone() * (value - fixed),
            ));
        }
    }
    out
}

/// What a row wants and what it offers: a tag, and limbs of x and y.
pub(super) fn selection(
    meta: &mut VirtualCells<'_, Fr>,
    config: &ForeignColumns,
) -> Selection<Poly> {
    let cells = &mut Cells { meta, config };
    let kinds = Kinds::query(cells);
    let selects = kinds.adds() + kinds.fetch;
    // m is 0 in a Fetch, and where nothing is selected no tuple counts
    let mut wanted = vec![cells.fixed(FixedName::Wanted, 0) + cells.chunk(0, INDEX)];
    let mut offered = vec![cells.fixed(FixedName::Offered, 0)];
    for (own, other) in [(0, -2), (LIMBS as i32, 0)] {
        wanted.extend(cells.free_limbs(own));
        offered.extend(cells.places(other, FINISHED).columns);
    }
    Selection {
        selects,
        wanted,
        offered,
    }
}
