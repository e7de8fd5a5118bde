//! Forgeries of the signature's constraints, in a slot that holds nothing: nobody asks for its challenge, so the forger chooses
//! c, and with c = 0 he chooses A, R8, v and w too. Each dropped constraint then lets something through that it alone refuses.
//!
//! What is used: `(x, root of a times x)` is off the curve and doubles to a point of order 4; `(-x, y)` and `(x, -y)` are `-P` up
//! to a point of order 2; a table's entry whose bits are never set may be anything.

use circuits::chunk::Cell;
use circuits::convert::{bits, limbs, power_of_two};
use circuits::gadgets::edwards::Point;
use circuits::gadgets::signature::subgroup_order;
use circuits::lanes::layout::{Extra, LADDER, ROWS, place};
use circuits::trace::{At, Trace, at};
use circuits::window::invert_or_zero;
use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use super::evaluator::Broken;
use super::honest::Honest;
use super::wave::Wave;
use crate::signature::small_order;

/// First cell of the steps, first of the windows.
const STEPS: usize = LADDER + 11;
const WINDOWS: usize = STEPS + 32;
const RUNNING: [usize; 2] = [LADDER + 9, LADDER + 10];
const LAST: usize = ROWS - 1;

/// `v` or `u` of a step.
fn bit(row: usize, step: usize, scalar: usize) -> (usize, usize) {
    (row, STEPS + 4 * step + scalar)
}

/// Coordinate of the sum after a step.
fn sum(row: usize, step: usize, coordinate: usize) -> (usize, usize) {
    (row, STEPS + 4 * step + 2 + coordinate)
}

fn w_bit(row: usize, window: usize, i: usize) -> (usize, usize) {
    (row, WINDOWS + 6 * window + i)
}

fn multiple(row: usize, window: usize, coordinate: usize) -> (usize, usize) {
    (row, WINDOWS + 6 * window + 4 + coordinate)
}

/// Cell `part` of table entry 1 to 3.
fn table(row: usize, entry: usize, part: usize) -> (usize, usize) {
    (row, LADDER + 3 * (entry - 1) + part)
}

fn named(name: Extra) -> (usize, usize) {
    let here = place(name);
    (here.rotation as usize, here.column)
}

/// The root of the curve's a.
fn root_of_a() -> Fr {
    Option::from(ff::Field::sqrt(&Fr::from(168_700))).expect("a is a square")
}

/// A signature block under construction: chosen cells, and the rest from the constraints.
#[derive(Clone)]
pub(crate) struct Idle<'a> {
    honest: &'a Honest,
    slot: usize,
    chosen: Vec<((usize, usize), Fr)>,
}

impl<'a> Idle<'a> {
    /// c = 0, v = 1, u = 0, w = 0, R8 = O, the key of the idle signature: everything is satisfied.
    pub(crate) fn new(honest: &'a Honest) -> Self {
        let slot = honest.filled + 2;
        let mut idle = Self {
            honest,
            slot,
            chosen: Vec::new(),
        };
        for row in 0..ROWS {
            for step in 0..8 {
                idle.set(bit(row, step, 0), Fr::zero());
                idle.set(bit(row, step, 1), Fr::zero());
            }
            for window in 0..4 {
                for i in 0..4 {
                    idle.set(w_bit(row, window, i), Fr::zero());
                }
            }
        }
        idle.set(bit(LAST, 7, 0), Fr::one());
        for name in [
            Extra::C0,
            Extra::C1,
            Extra::C2,
            Extra::Challenge,
            Extra::Q0,
            Extra::Q1,
            Extra::Sign,
        ] {
            idle.set(named(name), Fr::zero());
        }
        idle.set(named(Extra::Carry), power_of_two(67));
        idle.commitment(Point::identity());
        idle
    }

    fn set(&mut self, cell: (usize, usize), value: Fr) {
        self.chosen.retain(|(known, _)| *known != cell);
        self.chosen.push((cell, value));
    }

    fn with(&self, cell: (usize, usize), value: Fr) -> Self {
        let mut with = self.clone();
        with.set(cell, value);
        with
    }

    fn commitment(&mut self, point: Point<Fr>) {
        self.set(named(Extra::R8x), point.x);
        self.set(named(Extra::R8y), point.y);
    }

    pub(crate) fn with_commitment(&self, point: Point<Fr>) -> Self {
        let mut with = self.clone();
        with.commitment(point);
        with
    }

    /// With another x of four times the sum.
    pub(crate) fn with_fourfold(&self, x: Fr) -> Self {
        self.with(named(Extra::E4x), x)
    }

    fn with_key(&self, point: Point<Fr>) -> Self {
        let x = place(Cell::SignatureX);
        let y = place(Cell::SignatureY);
        self.with((x.rotation as usize, x.column), point.x)
            .with((y.rotation as usize, y.column), point.y)
    }

    /// c below 2^128.
    fn with_challenge(&self, low: u64, high: u64) -> Self {
        let whole = Fr::from_raw([low, high, 0, 0]);
        self.with(named(Extra::C0), Fr::from(low))
            .with(named(Extra::C1), Fr::from(high))
            .with(named(Extra::Challenge), whole)
    }

    fn at(&self, (row, column): (usize, usize)) -> At {
        at(column, self.honest.shape.slot_row(self.slot) + row)
    }

    /// All cells, in the order of the constraints, with everything that the forger did not choose.
    fn solved(&self) -> Wave<'a> {
        let mut wave = Wave::new(self.honest, &[]);
        for (cell, value) in &self.chosen {
            wave = wave.pin(self.at(*cell), *value);
        }
        let first = self.honest.shape.slot_row(self.slot);
        let solve = |wave: &mut Wave<'a>, gate: &str, row: usize| {
            for constraint in self.honest.gate(gate) {
                wave.solve_ladder(*constraint, first + row);
            }
        };
        solve(&mut wave, "signature", 0);
        for row in 0..ROWS {
            if row > 0 {
                solve(&mut wave, "ladder goes on", row);
            }
            solve(&mut wave, "ladder", row);
        }
        solve(&mut wave, "signature's scalars", LAST);
        wave
    }

    fn value(&self, cell: (usize, usize)) -> Fr {
        self.solved().trace.get(self.at(cell))
    }

    /// The sum at the end.
    fn total(&self) -> Point<Fr> {
        let trace = self.solved().trace;
        let [x, y] = [0, 1].map(|i| trace.get(self.at(multiple(LAST, 3, i))));
        Point { x, y }
    }

    pub(crate) fn run(&self) -> (Trace, Vec<Broken>) {
        self.solved().run()
    }

    /// With the commitment that makes the sum O, if only `constraint` speaks against it.
    fn balanced(&self) -> [Self; 2] {
        let total = self.total();
        [total, total.negated()].map(|point| self.with_commitment(point))
    }

    /// 8A of the key in use.
    fn eight(&self) -> Point<Fr> {
        Point {
            x: self.value(named(Extra::A8x)),
            y: self.value(named(Extra::A8y)),
        }
    }
}

/// Candidates for a constraint of the signature's gates, by its name; none for what is not of these gates.
fn candidates<'a>(honest: &'a Honest, name: &str) -> Vec<Idle<'a>> {
    let base = Idle::new(honest);
    let (gate, rest) = name.split_once(": ").unwrap_or_default();
    let (rule, number) = rest.rsplit_once(" #").unwrap_or_default();
    let number: usize = number.parse().unwrap_or_default();
    let index = number - 1;
    let flipped = |base: &Idle<'a>, cell| base.with(cell, -base.value(cell)).balanced().to_vec();
    // a sum that is not O where the flip happens, above the row in which v is read
    let moving = base.with(w_bit(10, 0, 0), Fr::one());
    let bump = |base: &Idle<'a>, cell| vec![base.with(cell, base.value(cell) + Fr::one())];
    match (gate, rule) {
        ("ladder", "bit of v") => vec![base.with(bit(5, index, 0), Fr::from(2))],
        ("ladder", "bit of u") => fractional_u(&base, index).into_iter().collect(),
        ("ladder", "sum") => flipped(&moving, sum(LAST - 1, 1 + index / 2, index % 2)),
        ("ladder", "bit of w") => {
            let shift = [0, 4, 128, 132][index / 4] + index % 4;
            let point = (0..shift).fold(Point::base(), |point, _| point.double());
            let k = invert_or_zero(root_of_a() * point.x - point.y + Fr::one());
            vec![base.with(w_bit(LAST, index / 4, index % 4), k)]
        }
        ("ladder", "multiple of B8") => flipped(&moving, multiple(LAST - 1, index / 2, index % 2)),
        ("ladder goes on", "table") => {
            // v = 2^8: no entry is used in the last row
            let base = base
                .with(bit(LAST, 7, 0), Fr::zero())
                .with(bit(LAST - 1, 7, 0), Fr::one());
            bump(&base, table(LAST, 1 + index / 3, index % 3))
        }
        ("ladder goes on", "running scalar") => match index {
            0 => bump(&base, (8, RUNNING[0])),
            _ => vec![
                base.with_challenge(5, 0)
                    .with((LAST, RUNNING[1]), Fr::from(5)),
            ],
        },
        ("ladder goes on", "sum") => flipped(&moving, sum(LAST, 0, index)),
        ("signature", "A on the curve") => {
            let x = place(Cell::SignatureX);
            bump(&base, (x.rotation as usize, x.column))
        }
        ("signature", "R8 on the curve") => {
            let x = Fr::from(3);
            let y = root_of_a() * x;
            vec![base.with_commitment(Point { x: -x, y })]
        }
        ("signature", "2A x") => bump(&base, named(Extra::A2x)),
        ("signature", "2A y") => bump(&base, named(Extra::A2y)),
        ("signature", "4A x") => bump(&base, named(Extra::A4x)),
        ("signature", "4A y") => bump(&base, named(Extra::A4y)),
        ("signature", "8A x") => bump(&base, named(Extra::A8x)),
        ("signature", "8A y") => bump(&base, named(Extra::A8y)),
        ("signature", "x(8A) is not 0") => {
            let key = Point {
                x: Fr::zero(),
                y: -Fr::one(),
            };
            vec![base.with_key(key)]
        }
        ("signature", "sign") => vec![base.with(named(Extra::Sign), Fr::from(2))],
        ("signature", "table") if number <= 3 => {
            // v = u = 1: entry 3 alone is used, once
            let both = base.with_challenge(1, 0).with(bit(LAST, 7, 1), Fr::one());
            let eight = both.eight();
            let same = both.with_commitment(eight);
            match number {
                1 => vec![same.with(table(0, 1, 0), eight.x)],
                2 => vec![same.with(table(0, 1, 1), -eight.y)],
                _ => bump(&both.with_commitment(eight.negated()), table(0, 1, 2)),
            }
        }
        ("signature", "table") if number <= 6 => bump(&base, table(0, 2, number - 4)),
        ("signature", "table") => bump(&base, table(0, 3, 2)),
        ("signature", "table x") => bump(&base, table(0, 3, 0)),
        ("signature", "table y") => bump(&base, table(0, 3, 1)),
        ("signature", "scalars are below 2^126") => {
            let (step, scalar) = (index / 2, index % 2);
            let one = base.with(bit(0, step, scalar), Fr::one());
            match scalar {
                0 => vec![one],
                _ => one.with_challenge(0, 1 << (63 - step)).balanced().to_vec(),
            }
        }
        ("signature", "sum starts at O") if index == 0 => {
            // ax^2 + y^2 = 2: the next sum may be anything
            let x = invert_or_zero(root_of_a());
            vec![
                base.with(sum(0, 0, 0), x)
                    .with(sum(0, 1, 0), Fr::zero())
                    .with(sum(0, 1, 1), Fr::one()),
            ]
        }
        ("signature", "sum starts at O") => vec![base.with(sum(0, 0, 1), -Fr::one())],
        ("signature", "running scalar") => match index {
            0 => bump(&base, (0, RUNNING[0])),
            _ => vec![
                base.with_challenge(0, 1 << 56)
                    .with((0, RUNNING[1]), Fr::one()),
            ],
        },
        ("signature's scalars", "v is not 0") => vec![base.with(bit(LAST, 7, 0), Fr::zero())],
        ("signature's scalars", "limbs of c") => vec![base.with(named(Extra::C2), Fr::one())],
        ("signature's scalars", "c is below p") => bump(&base, named(Extra::C2Rest)),
        ("signature's scalars", "u = v c - q l modulo p") => {
            vec![
                base.with(named(Extra::C2), Fr::one())
                    .with(named(Extra::Challenge), power_of_two(128)),
            ]
        }
        ("signature's scalars", "u = v c - q l modulo 2^128") => bump(&base, named(Extra::Carry)),
        ("signature's scalars", "2 sum x") => {
            let points = small_order().into_iter();
            let eighth = points.filter(|point| point.double().y == Fr::zero());
            let bases = eighth.map(|point| base.with_commitment(point));
            bases
                .map(|base| base.with(named(Extra::E2x), -base.value(named(Extra::E2x))))
                .collect()
        }
        ("signature's scalars", "2 sum y") => vec![base.with(named(Extra::E2y), -Fr::one())],
        ("signature's scalars", "4 sum y") => vec![base.with(named(Extra::E4y), -Fr::one())],
        _ => Vec::new(),
    }
}

/// A trace that a constraint of the signature alone refuses, if there is a candidate.
pub(crate) fn forgery(honest: &Honest, constraint: usize) -> Option<(Trace, Vec<Broken>)> {
    let name = &honest.evaluator.names()[constraint];
    candidates(honest, name)
        .into_iter()
        .map(|idle| idle.run())
        .find(|(_, broken)| is_only(broken, constraint))
}

fn is_only(broken: &[Broken], constraint: usize) -> bool {
    !broken.is_empty() && broken.iter().all(|broken| broken.constraint == constraint)
}

/// The cell of `cell = value`, or of `cell * below = above`.
pub(crate) fn output(demand: &Expression<Fr>, row: usize) -> Option<At> {
    let Expression::Sum(left, right) = demand else {
        return None;
    };
    if !matches!(right.as_ref(), Expression::Negated(_)) {
        return None;
    }
    let query = match left.as_ref() {
        Expression::Advice(query) => query,
        Expression::Product(cell, _) => match cell.as_ref() {
            Expression::Advice(query) => query,
            _ => return None,
        },
        _ => return None,
    };
    let row = row.checked_add_signed(query.rotation().0 as isize)?;
    Some(at(query.column_index(), row))
}

/// Multiple of a point by an integer.
fn times(point: &Point<Fr>, scalar: &[u64; 4]) -> Point<Fr> {
    (0..256).rev().fold(Point::identity(), |sum, place| {
        let doubled = sum.double();
        match bits(scalar, place, 1) {
            1 => doubled.add(point),
            _ => doubled,
        }
    })
}

/// `1 / 8` modulo the order of the subgroup.
fn eighth() -> [u64; 4] {
    let order = subgroup_order();
    let factor = (1..8)
        .find(|j| order[0].wrapping_mul(*j) % 8 == 7)
        .expect("the order is odd");
    let (mut product, mut carry) = ([0_u64; 4], 1_u128);
    for (limb, digit) in product.iter_mut().zip(order) {
        let total = u128::from(digit) * u128::from(factor) + carry;
        (*limb, carry) = (total as u64, total >> 64);
    }
    std::array::from_fn(|i| product[i] >> 3 | product.get(i + 1).map_or(0, |next| next << 61))
}

/// A bit of u that is a small integer k above 1, for a key whose 8A makes `O + k (entry - O)` double to a point of order 4.
fn fractional_u<'a>(base: &Idle<'a>, step: usize) -> Option<Idle<'a>> {
    let alpha = root_of_a();
    let (a, d) = (Fr::from(168_700), Fr::from(168_696));
    for k in 2..200_u64 {
        let beta = Fr::from(k - 1) * invert_or_zero(Fr::from(k));
        // 1 + d x^2 y^2 - a x^2 - y^2 with y = alpha x + beta
        let quartic = [
            Fr::one() - beta.square(),
            -(alpha * beta).double(),
            d * beta.square() - a.double(),
            (d * alpha * beta).double(),
            d * a,
        ];
        for x in roots(quartic) {
            let entry = Point {
                x,
                y: alpha * x + beta,
            };
            if times(&entry, &subgroup_order()) != Point::identity() || x == Fr::zero() {
                continue;
            }
            let key = times(&entry.negated(), &eighth());
            let u = k << (7 - step);
            let idle = base
                .with_key(key)
                .with_challenge(u, 0)
                .with(bit(LAST, step, 1), Fr::from(k));
            return Some(idle);
        }
    }
    None
}

/// Product of polynomials below degree 4, modulo a monic quartic.
fn multiply(left: [Fr; 4], right: [Fr; 4], modulus: &[Fr; 4]) -> [Fr; 4] {
    let mut product = [Fr::zero(); 7];
    for (i, a) in left.iter().enumerate() {
        for (j, b) in right.iter().enumerate() {
            product[i + j] += a * b;
        }
    }
    for top in (4..7).rev() {
        let lead = product[top];
        for (i, coefficient) in modulus.iter().enumerate() {
            product[top - 4 + i] -= lead * coefficient;
        }
    }
    [product[0], product[1], product[2], product[3]]
}

fn power(base: [Fr; 4], exponent: &[u64; 4], modulus: &[Fr; 4]) -> [Fr; 4] {
    let one = [Fr::one(), Fr::zero(), Fr::zero(), Fr::zero()];
    (0..256).rev().fold(one, |sum, place| {
        let squared = multiply(sum, sum, modulus);
        match bits(exponent, place, 1) {
            1 => multiply(squared, base, modulus),
            _ => squared,
        }
    })
}

/// Greatest common divisor, monic; lowest coefficient first.
fn divisor(mut left: Vec<Fr>, mut right: Vec<Fr>) -> Vec<Fr> {
    let trim = |polynomial: &mut Vec<Fr>| {
        while polynomial.last() == Some(&Fr::zero()) {
            polynomial.pop();
        }
    };
    trim(&mut left);
    trim(&mut right);
    while let Some(lead) = right.last().copied() {
        while left.len() >= right.len() {
            let factor = left[left.len() - 1] * invert_or_zero(lead);
            let shift = left.len() - right.len();
            for (i, coefficient) in right.iter().enumerate() {
                left[shift + i] -= factor * coefficient;
            }
            trim(&mut left);
        }
        std::mem::swap(&mut left, &mut right);
    }
    let lead = left.last().copied().map_or(Fr::one(), invert_or_zero);
    left.iter().map(|coefficient| coefficient * lead).collect()
}

/// Roots of a quartic in the field.
fn roots(quartic: [Fr; 5]) -> Vec<Fr> {
    let lead = invert_or_zero(quartic[4]);
    let modulus: [Fr; 4] = std::array::from_fn(|i| quartic[i] * lead);
    let monic: Vec<Fr> = modulus.iter().copied().chain([Fr::one()]).collect();
    let below = limbs(-Fr::one()); // p - 1
    let x = [Fr::zero(), Fr::one(), Fr::zero(), Fr::zero()];
    let mut frobenius = power(x, &below, &modulus); // x^(p-1)
    frobenius[0] -= Fr::one();
    let mut found = Vec::new();
    let mut pending = vec![divisor(monic, frobenius.to_vec())];
    let half: [u64; 4] =
        std::array::from_fn(|i| below[i] >> 1 | below.get(i + 1).map_or(0, |next| next << 63));
    let mut shift = 1_u64;
    while let Some(factor) = pending.pop() {
        match factor.len() {
            0 | 1 => {}
            2 => found.push(-factor[0]),
            _ => {
                shift += 1;
                let base = [Fr::from(shift), Fr::one(), Fr::zero(), Fr::zero()];
                let mut split = power(base, &half, &modulus);
                split[0] -= Fr::one();
                let part = divisor(factor.clone(), split.to_vec());
                if part.len() == factor.len() || part.len() <= 1 {
                    pending.push(factor);
                } else {
                    pending.push(quotient(factor, &part));
                    pending.push(part);
                }
            }
        }
        assert!(shift < 200, "a split is found in a few tries");
    }
    found
}

/// `left / right`, exact, both monic.
fn quotient(mut left: Vec<Fr>, right: &[Fr]) -> Vec<Fr> {
    let mut out = vec![Fr::zero(); left.len() - right.len() + 1];
    for place in (0..out.len()).rev() {
        let factor = left[place + right.len() - 1];
        out[place] = factor;
        for (i, coefficient) in right.iter().enumerate() {
            left[place + i] -= factor * coefficient;
        }
    }
    out
}
