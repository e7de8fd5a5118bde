//! The rules of one slot, as equations between its named cells (`protocol::transition` is the twin).
//!
//! One gate, `rules`, on the slot's first row; every equation is multiplied by that selector and has
//! degree 9 at most. The submodules state them by subject, in an order in which each cell is computed
//! from earlier ones. Inputs - the cells that the witness supplies - are listed in `witness`.
//!
//! Conventions: `Is..`, `Has..`, `Do..` are boolean. A comparison is a flag and a distance that a range
//! check keeps from being negative on either side, so the flag has one possible value. What an
//! operation does not use is either forced to 0 or multiplied by a flag that is 0.

mod amounts;
mod header;
mod inbox;
mod leaves;
mod signed;
mod words;

pub(super) use words::GROUPS;

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::cells::Cell;
use crate::algebra::{Algebra, sum};
use crate::gadgets::poseidon::schedule;
use crate::layout::{Columns, Fixed};
use crate::window::{GateWindow, Hintable, Pos, Window};

/// Adds the gate.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
    meta.create_gate("rules", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Rules);
        state(&mut window, Cell::pos);
        window.finish()
    });
}

/// States every rule, in order, about cells that stand where `place` says.
pub(crate) fn state<W: Window>(window: &mut W, place: fn(Cell) -> Pos)
where
    W::Value: Hintable,
{
    let mut slot = Slot { window, place };
    slot.kinds();
    slot.header();
    slot.published_amounts();
    slot.stated_key();
    slot.leaves_before();
    slot.comparisons();
    slot.inbox_item();
    slot.balances();
    slot.leaves_after();
    slot.signed_rules();
    slot.messages();
    slot.group();
    slot.counters();
    slot.words();
    slot.absorb();
}

/// The window of one slot's rules.
struct Slot<'w, W: Window> {
    window: &'w mut W,
    place: fn(Cell) -> Pos,
}

impl<W: Window> Slot<'_, W>
where
    W::Value: Hintable,
{
    /// Where a cell stands.
    fn at(&self, cell: Cell) -> Pos {
        (self.place)(cell)
    }

    fn v(&mut self, cell: Cell) -> W::Value {
        self.window.get(self.at(cell))
    }

    fn sum(&mut self, cells: &[Cell]) -> W::Value {
        let terms: Vec<W::Value> = cells.iter().map(|cell| self.v(*cell)).collect();
        sum(terms)
    }

    fn zero(&mut self, name: &str, value: W::Value) {
        self.window.constrain(name, value);
    }

    fn define(&mut self, name: &str, cell: Cell, value: W::Value) {
        self.window.define(name, self.at(cell), value);
    }

    fn booleans(&mut self, cells: &[Cell]) {
        for cell in cells {
            self.window
                .boolean(&format!("{cell:?} is boolean"), self.at(*cell));
        }
    }

    /// `if condition then value = 0`.
    fn when(&mut self, name: &str, condition: W::Value, value: W::Value) {
        self.window.constrain(name, condition * value);
    }

    /// Fills a boolean that later equations pin down, and demands that it is boolean.
    fn decide(&mut self, cell: Cell, decision: Option<bool>) {
        self.window.hint(self.at(cell), |_| {
            Fr::from(u64::from(decision.unwrap_or(false)))
        });
        self.booleans(&[cell]);
    }

    /// `flag = 1` exactly if `difference = 0`.
    fn is_zero(&mut self, name: &str, flag: Cell, inverse: Cell, difference: W::Value) {
        let known = difference.known();
        self.window.hint(self.at(inverse), |_| {
            known.map_or(Fr::zero(), crate::window::invert_or_zero)
        });
        let product = difference.clone() * self.v(inverse);
        self.define(&format!("{name}: inverse"), flag, product.not());
        let flag = self.v(flag);
        self.when(name, flag, difference);
    }

    /// `flag = 1` exactly if `left >= right`; `distance` is range-checked and both sides are smaller.
    fn at_least(
        &mut self,
        name: &str,
        flag: Cell,
        distance: Cell,
        left: W::Value,
        right: W::Value,
    ) {
        let decision = left
            .known()
            .zip(right.known())
            .map(|(left, right)| left >= right);
        self.decide(flag, decision);
        let above = left.clone() - right.clone();
        let below = right - left - W::Value::number(1);
        let value = self.v(flag).select(above, below);
        self.define(name, distance, value);
    }

    /// Fills the hash of other cells; its permutation row constrains it.
    fn hash(&mut self, cell: Cell, inputs: &[Cell]) {
        let place = self.place;
        self.window.hint(place(cell), |known| {
            let values: Vec<Fr> = inputs.iter().map(|input| known(place(*input))).collect();
            schedule(values.len() + 1).run(&values).1
        });
    }

    /// A transaction: any signed operation but the bids.
    fn is_transaction(&mut self) -> W::Value {
        self.sum(&[
            Cell::IsTransfer,
            Cell::IsNew,
            Cell::IsWithdraw,
            Cell::IsChangeKey,
            Cell::IsLock,
        ])
    }

    fn is_bid(&mut self) -> W::Value {
        self.sum(&[Cell::IsBidPay, Cell::IsBidBurn])
    }

    fn is_signed(&mut self) -> W::Value {
        self.is_transaction() + self.is_bid()
    }

    /// Operations that state a key under a signature.
    fn states_key(&mut self) -> W::Value {
        self.sum(&[Cell::IsNew, Cell::IsChangeKey])
    }

    /// A leaf is created.
    fn creates(&mut self) -> W::Value {
        self.sum(&[Cell::IsNew, Cell::DoNew, Cell::DepositCreates])
    }

    /// The type number as published.
    fn kind_number(&mut self) -> W::Value {
        let numbered = [
            (Cell::IsTransfer, 1),
            (Cell::IsNew, 2),
            (Cell::IsWithdraw, 3),
            (Cell::IsChangeKey, 4),
            (Cell::IsLock, 5),
            (Cell::IsBidPay, 6),
            (Cell::IsBidBurn, 7),
            (Cell::IsInbox, 8),
        ];
        let terms: Vec<W::Value> = numbered
            .iter()
            .map(|(cell, number)| self.v(*cell) * Fr::from(*number))
            .collect();
        sum(terms)
    }

    /// Exactly one kind.
    fn kinds(&mut self) {
        let kinds = [
            Cell::IsNoop,
            Cell::IsTransfer,
            Cell::IsNew,
            Cell::IsWithdraw,
            Cell::IsChangeKey,
            Cell::IsLock,
            Cell::IsBidPay,
            Cell::IsBidBurn,
            Cell::IsInbox,
        ];
        self.booleans(&kinds);
        let one = self.sum(&kinds);
        self.zero("one kind", one.not());
    }
}
