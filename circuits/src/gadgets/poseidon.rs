//! Poseidon (circomlib parameters): one permutation in one row.
//!
//! Layout of a row, for t elements of state (t - 1 inputs):
//!
//! | columns | cells | constrained by |
//! |---|---|---|
//! | `0 .. t-1` | inputs | whoever wires them; the capacity element is the constant 0 |
//! | `OUT` | the hash | `out`: linear in the fifth powers of the last full round |
//! | `INTERNAL ..` | S-box inputs in the order of [`Schedule`] | one constraint per cell |
//!
//! Every constraint is `selector * (cell - next(earlier cells))` of degree 6. Round constants and
//! matrices are baked into the gate. In rows of width 5 that also have [`Fixed::Leaf`], the hash is
//! multiplied by the cell [`LIVE`], so that a dead leaf is the field element 0 (degree 8).

mod folded;
mod linear;
mod schedule;

use std::sync::OnceLock;

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

pub use schedule::Schedule;

use crate::algebra::Algebra;
use crate::layout::{Columns, Fixed};
use crate::trace::{Block, at};
use crate::window::{Folding, GateWindow, Pos, Window, pos};

/// Column of the hash.
pub const OUT: usize = 5;

/// First column of the internal cells.
pub const INTERNAL: usize = 6;

/// Column of the flag that turns a leaf's hash into 0, in rows of kind `Leaf`; free in width 5.
pub const LIVE: usize = 4;

/// The schedule of one of the widths used in circuits: 3, 5 or 6.
///
/// # Panics
/// For any other width.
#[must_use]
pub fn schedule(width: usize) -> &'static Schedule {
    static SCHEDULES: [OnceLock<Schedule>; 3] = [const { OnceLock::new() }; 3];
    let slot = match width {
        3 => 0,
        5 => 1,
        6 => 2,
        _ => panic!("circuits hash 2, 4 or 5 inputs, not {}", width - 1),
    };
    SCHEDULES[slot].get_or_init(|| Schedule::derive(width))
}

/// Column of cell `index` of a schedule with `inputs` inputs.
fn column(inputs: usize, index: usize) -> usize {
    if index < inputs {
        index
    } else {
        INTERNAL + index - inputs
    }
}

/// Adds the gate for one width.
pub fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns, width: usize) {
    let (name, selector) = match width {
        3 => ("poseidon3", Fixed::Poseidon3),
        5 => ("poseidon5", Fixed::Poseidon5),
        _ => ("poseidon6", Fixed::Poseidon6),
    };
    let schedule = schedule(width);
    let inputs = schedule.inputs();
    meta.create_gate(name, |meta| {
        let q = columns.selector(meta, selector);
        let cells: Vec<_> = (0..schedule.cells())
            .map(|index| columns.advice(meta, column(inputs, index), 0))
            .collect();
        let cell = |index: usize| cells[index].clone();
        let mut constraints: Vec<(String, Expression<Fr>)> = (inputs..schedule.cells())
            .map(|index| {
                let expected: Expression<Fr> = schedule.next(index, &cell);
                (
                    format!("s-box input {index}"),
                    q.clone() * (cell(index) - expected),
                )
            })
            .collect();
        let out = columns.advice(meta, OUT, 0);
        let hash: Expression<Fr> = schedule.output(&cell);
        let expected = if width == 5 {
            // 1 in ordinary rows, the flag in leaf rows
            let is_leaf = columns.selector(meta, Fixed::Leaf);
            let live = columns.advice(meta, LIVE, 0);
            (Expression::Constant(Fr::one()) - is_leaf * (Expression::Constant(Fr::one()) - live))
                * hash
        } else {
            hash
        };
        constraints.push(("out".to_owned(), q * (out - expected)));
        constraints
    });
}

/// Adds the gate for five elements as one polynomial: what rows with [`Fixed::Poseidon5`], and those of them with
/// [`Fixed::Leaf`], hold is the same as by [`configure`].
pub fn configure_folded(meta: &mut ConstraintSystem<Fr>, columns: &Columns, folding: Folding) {
    let schedule = schedule(5);
    meta.create_gate("poseidon5", |meta| {
        let drawn = folding.query(meta);
        let q = columns.selector(meta, Fixed::Poseidon5);
        let cells: Vec<_> = (0..schedule.cells())
            .map(|index| columns.advice(meta, column(4, index), 0))
            .collect();
        let is_leaf = columns.selector(meta, Fixed::Leaf);
        let live = columns.advice(meta, LIVE, 0);
        let out = columns.advice(meta, OUT, 0);
        let cell = |index: usize| cells[index].clone();
        let hash: Expression<Fr> = schedule.output(&cell);
        let expected = (is_leaf * live.not()).not() * hash;
        vec![(
            "all",
            q * with_output(schedule, &cell, out - expected, &drawn),
        )]
    });
}

/// All equations of a permutation and that of its output, in one.
fn with_output(
    schedule: &Schedule,
    cell: &dyn Fn(usize) -> Expression<Fr>,
    output: Expression<Fr>,
    challenges: &[Expression<Fr>; 3],
) -> Expression<Fr> {
    let [_, sigma, _] = challenges;
    output + schedule.folded(cell, challenges) * sigma.clone()
}

/// Fills one row with the permutation of `inputs` and returns the hash.
///
/// # Panics
/// If the number of inputs is not 2, 4 or 5.
pub fn assign(row: &mut [Fr], inputs: &[Fr]) -> Fr {
    let (cells, hash) = schedule(inputs.len() + 1).run(inputs);
    for (index, value) in cells.iter().enumerate() {
        row[column(inputs.len(), index)] = *value;
    }
    row[OUT] = hash;
    hash
}

/// A permutation spread over a few rows: cell i of the schedule stands `i / across` rows below the first
/// and `i % across` columns right of `first`; the hash follows the last cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Elements of the state: 3, 5 or 6.
    pub width: usize,
    /// First column.
    pub first: usize,
    /// Columns.
    pub across: usize,
}

impl Spread {
    fn place(&self, index: usize) -> Pos {
        pos(
            (index / self.across) as i32,
            self.first + index % self.across,
        )
    }

    /// Input `index`, from 0.
    #[must_use]
    pub fn input(&self, index: usize) -> Pos {
        self.place(index)
    }

    /// The hash.
    #[must_use]
    pub fn out(&self) -> Pos {
        self.place(schedule(self.width).cells())
    }

    /// The cell behind the hash, which is its caller's.
    #[must_use]
    pub fn spare(&self) -> Pos {
        self.place(schedule(self.width).cells() + 1)
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        (schedule(self.width).cells() + 1).div_ceil(self.across)
    }

    /// Adds the gate: where `selector` is 1, a permutation starts.
    pub fn configure(
        &self,
        meta: &mut ConstraintSystem<Fr>,
        columns: &Columns,
        selector: Fixed,
        folding: Option<Folding>,
    ) {
        let schedule = schedule(self.width);
        meta.create_gate(format!("poseidon{} spread", self.width), |meta| {
            let drawn = folding.map(|folding| folding.query(meta));
            let mut window = GateWindow::new(meta, columns, selector);
            let cells: Vec<_> = (0..schedule.cells())
                .map(|index| window.get(self.place(index)))
                .collect();
            let cell = |index: usize| cells[index].clone();
            if let Some(drawn) = drawn {
                let output = window.get(self.out()) - schedule.output(&cell);
                window.constrain("all", with_output(schedule, &cell, output, &drawn));
                return window.finish();
            }
            for index in schedule.inputs()..schedule.cells() {
                let expected: Expression<Fr> = schedule.next(index, &cell);
                let name = format!("s-box input {index}");
                window.define(&name, self.place(index), expected);
            }
            let hash: Expression<Fr> = schedule.output(&cell);
            window.define("out", self.out(), hash);
            window.finish()
        });
    }

    /// The cells of the permutation of `inputs`, from its first row, and the hash, which is the last of them.
    #[must_use]
    pub fn cells(&self, inputs: &[Fr]) -> (Vec<(Pos, Fr)>, Fr) {
        let (cells, hash) = schedule(self.width).run(inputs);
        let whole = cells.into_iter().chain(std::iter::once(hash)).enumerate();
        let placed = whole.map(|(index, value)| (self.place(index), value));
        (placed.collect(), hash)
    }

    /// Fills the rows from `row` of `block` on with the permutation of `inputs`; returns the hash.
    pub fn assign(&self, block: &mut Block, row: usize, inputs: &[Fr]) -> Fr {
        let (cells, hash) = self.cells(inputs);
        for (place, value) in cells {
            block.set(at(place.column, row + place.rotation as usize), value);
        }
        hash
    }
}
