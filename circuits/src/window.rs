//! A window over a few rows: the same code states the constraints of a gate and fills its witness.
//!
//! [`Window::define`] gives a cell its value; [`Window::constrain`] demands that an expression is 0;
//! [`Window::hint`] fills a cell that constraints pin down only indirectly (an inverse, a bit). A gate
//! window turns the first two into polynomials and ignores hints; a witness window writes cells and
//! reports the first constraint that fails, so a bad witness is named before any proof is tried.

use halo2_proofs::plonk::{Challenge, Expression, VirtualCells};
use halo2curves::bn256::Fr;

use crate::algebra::Algebra;
use crate::layout::{Columns, Fixed};
use crate::trace::{Block, at};

/// A cell relative to the window's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos {
    /// Rows below the window's row; negative above.
    pub rotation: i32,
    /// Advice column.
    pub column: usize,
}

/// Shorthand for a cell of a window.
#[must_use]
pub const fn pos(rotation: i32, column: usize) -> Pos {
    Pos { rotation, column }
}

/// What gate code needs.
pub trait Window {
    /// Values or expressions.
    type Value: Algebra;

    /// Reads an advice cell.
    fn get(&mut self, cell: Pos) -> Self::Value;

    /// Reads a fixed cell of the window's row.
    fn fixed(&mut self, name: Fixed) -> Self::Value;

    /// Demands `value = 0`.
    fn constrain(&mut self, name: &str, value: Self::Value);

    /// Demands `cell = value`; a witness window writes the cell.
    fn define(&mut self, name: &str, cell: Pos, value: Self::Value);

    /// Fills a cell of the witness; adds no constraint.
    fn hint(&mut self, cell: Pos, value: impl FnOnce(&dyn Fn(Pos) -> Fr) -> Fr);

    /// Demands `left = right`.
    fn equal(&mut self, name: &str, left: Self::Value, right: Self::Value) {
        self.constrain(name, left - right);
    }

    /// Demands that a cell is 0 or 1.
    fn boolean(&mut self, name: &str, cell: Pos) {
        let value = self.get(cell);
        self.constrain(name, value.clone() * value.not());
    }

    /// `flag = 1` if `value` is not 0, else `flag = 0`. Both ways, by an inverse.
    fn nonzero(&mut self, name: &str, flag: Pos, inverse: Pos, value: Self::Value)
    where
        Self::Value: Hintable,
    {
        let known = value.known();
        self.hint(inverse, |_| known.map_or(Fr::zero(), invert_or_zero));
        let product = value.clone() * self.get(inverse);
        self.define(name, flag, product);
        let rest = value * self.get(flag).not();
        self.constrain(name, rest);
    }
}

/// `1 / value`, or 0.
#[must_use]
pub fn invert_or_zero(value: Fr) -> Fr {
    Option::from(value.invert()).unwrap_or(Fr::zero())
}

/// A value that may be known: a witness knows it, an expression does not.
pub trait Hintable {
    /// The value, in a witness.
    fn known(&self) -> Option<Fr>;
}

impl Hintable for Fr {
    fn known(&self) -> Option<Fr> {
        Some(*self)
    }
}

impl Hintable for Expression<Fr> {
    fn known(&self) -> Option<Fr> {
        None
    }
}

/// Challenges under which the constraints of one selector become one polynomial. They must be drawn when every cell that
/// the constraints read is committed; [`fold`] says what is lost.
#[derive(Clone, Copy, Debug)]
pub struct Folding(pub [Challenge; 3]);

impl Folding {
    /// The challenges in a gate.
    pub fn query(&self, meta: &mut VirtualCells<'_, Fr>) -> [Expression<Fr>; 3] {
        self.0.map(|challenge| meta.query_challenge(challenge))
    }
}

/// `sum_i challenge^i values_i`; 0 for no values.
///
/// In place of n demands that are 0 in every row, their sum is 0 in every row. Were one of them not 0 in some row, the sum
/// there would vanish for fewer than n challenges, of p.
pub fn fold<A: Algebra>(challenge: &A, values: impl DoubleEndedIterator<Item = A>) -> A {
    values
        .rev()
        .reduce(|above, value| above * challenge.clone() + value)
        .unwrap_or_else(|| A::number(0))
}

/// Collects the constraints of a gate, which hold where the selector is 1.
pub struct GateWindow<'a, 'm> {
    meta: &'a mut VirtualCells<'m, Fr>,
    columns: &'a Columns,
    selector: Expression<Fr>,
    constraints: Vec<(String, Expression<Fr>)>,
}

impl<'a, 'm> GateWindow<'a, 'm> {
    /// A window whose constraints hold where `selector` is 1.
    pub fn new(meta: &'a mut VirtualCells<'m, Fr>, columns: &'a Columns, selector: Fixed) -> Self {
        let selector = columns.selector(meta, selector);
        GateWindow {
            meta,
            columns,
            selector,
            constraints: Vec::new(),
        }
    }

    /// The named polynomials, each multiplied by the selector.
    #[must_use]
    pub fn finish(self) -> Vec<(String, Expression<Fr>)> {
        let selector = self.selector;
        let constraints = self.constraints.into_iter();
        constraints
            .map(|(name, value)| (name, selector.clone() * value))
            .collect()
    }

    /// One polynomial for all, where there is a folding; else [`Self::finish`].
    #[must_use]
    pub fn finish_folded(self, folding: Option<Folding>) -> Vec<(String, Expression<Fr>)> {
        let Some(folding) = folding else {
            return self.finish();
        };
        let [challenge, ..] = folding.query(self.meta);
        let values = self.constraints.into_iter().map(|(_, value)| value);
        vec![("all".to_owned(), self.selector * fold(&challenge, values))]
    }
}

impl Window for GateWindow<'_, '_> {
    type Value = Expression<Fr>;

    fn get(&mut self, cell: Pos) -> Self::Value {
        self.columns.advice(self.meta, cell.column, cell.rotation)
    }

    fn fixed(&mut self, name: Fixed) -> Self::Value {
        self.columns.selector(self.meta, name)
    }

    fn constrain(&mut self, name: &str, value: Self::Value) {
        self.constraints.push((name.to_owned(), value));
    }

    fn define(&mut self, name: &str, cell: Pos, value: Self::Value) {
        let cell = self.get(cell);
        self.constrain(name, cell - value);
    }

    fn hint(&mut self, _cell: Pos, _value: impl FnOnce(&dyn Fn(Pos) -> Fr) -> Fr) {}
}

/// Writes a witness into a block of rows.
pub struct WitnessWindow<'a> {
    block: &'a mut Block,
    row: usize,
    fixed: &'a [(Fixed, Fr)],
    broken: Option<String>,
}

impl<'a> WitnessWindow<'a> {
    /// A window at `row` of `block`, where the listed fixed cells have these values and others are 0.
    pub fn new(block: &'a mut Block, row: usize, fixed: &'a [(Fixed, Fr)]) -> Self {
        WitnessWindow {
            block,
            row,
            fixed,
            broken: None,
        }
    }

    /// Writes an input cell.
    pub fn set(&mut self, cell: Pos, value: Fr) {
        let row = self.absolute(cell);
        self.block.set(at(cell.column, row), value);
    }

    /// The first constraint that does not hold.
    #[must_use]
    pub fn broken(self) -> Option<String> {
        self.broken
    }

    fn absolute(&self, cell: Pos) -> usize {
        self.row
            .checked_add_signed(cell.rotation as isize)
            .expect("windows stay inside their block")
    }
}

impl Window for WitnessWindow<'_> {
    type Value = Fr;

    fn get(&mut self, cell: Pos) -> Fr {
        self.block.get(at(cell.column, self.absolute(cell)))
    }

    fn fixed(&mut self, name: Fixed) -> Fr {
        self.fixed
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(Fr::zero(), |(_, value)| *value)
    }

    fn constrain(&mut self, name: &str, value: Fr) {
        if value != Fr::zero() && self.broken.is_none() {
            self.broken = Some(name.to_owned());
        }
    }

    fn define(&mut self, _name: &str, cell: Pos, value: Fr) {
        self.set(cell, value);
    }

    fn hint(&mut self, cell: Pos, value: impl FnOnce(&dyn Fn(Pos) -> Fr) -> Fr) {
        let known = value(&|other| self.block.get(at(other.column, self.absolute(other))));
        self.set(cell, known);
    }
}
