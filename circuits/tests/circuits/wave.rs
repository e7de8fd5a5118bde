//! Turns one changed cell into a forged trace: everything that follows from the change is computed
//! again, so that only the constraint that was dropped speaks against it.
//!
//! A wave runs forward from the changed cells. A broken equation `cell = value` rewrites its cell, a
//! broken copy the other cell, a Poseidon or range row is filled again, and a later tree path takes the
//! nodes that an earlier access has changed as siblings. Where nothing may be rewritten, the wave fails:
//! another constraint refuses the forgery.

use std::collections::{BTreeMap, VecDeque};

use circuits::chunk::{ChunkShape, SLOT_ROWS, accesses, range_pattern};
use circuits::gadgets::merkle::Access;
use circuits::gadgets::poseidon::{self, LIVE, OUT};
use circuits::gadgets::range::{self, Pattern};
use circuits::layout::WIDTH;
use circuits::trace::{At, Block, Trace, at};
use circuits::window::invert_or_zero;
use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use crate::checker::{Checker, Violation, defined};

/// A constraint that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dropped {
    /// A polynomial, in every row.
    Polynomial(usize),
    /// One copy.
    Copy(At, At),
}

/// Why a cell was written: it may be written again for the same reason only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Seed,
    Equation(usize, usize),
    Copy(At),
    Row,
}

/// Cells a wave may touch before it counts as lost.
const STEPS_MAX: usize = 20_000;

/// A forgery in the making. [`Wave::undo`] restores the trace.
pub(crate) struct Wave<'a> {
    checker: &'a Checker,
    trace: &'a mut Trace,
    dropped: Dropped,
    slots: usize,
    causes: BTreeMap<At, Cause>,
    before: Vec<(At, Fr)>,
    queue: VecDeque<At>,
}

impl<'a> Wave<'a> {
    pub(crate) fn new(
        checker: &'a Checker,
        shape: &ChunkShape,
        trace: &'a mut Trace,
        dropped: Dropped,
    ) -> Self {
        Self {
            checker,
            trace,
            dropped,
            slots: 2 * shape.pairs,
            causes: BTreeMap::new(),
            before: Vec::new(),
            queue: VecDeque::new(),
        }
    }

    /// Changes these cells and all that follows. True if the dropped constraint alone is broken then;
    /// public inputs are those that the forged trace claims.
    pub(crate) fn forges(&mut self, seeds: &[(At, Fr)]) -> bool {
        for (cell, value) in seeds {
            if !self.set(*cell, *value, Cause::Seed) {
                return false;
            }
        }
        for _ in 0..STEPS_MAX {
            let Some(cell) = self.queue.pop_front() else {
                return self.only_the_dropped_is_broken();
            };
            if !self.follow(cell) {
                return false;
            }
        }
        false
    }

    /// The trace as it was.
    pub(crate) fn undo(self) {
        for (cell, value) in self.before.into_iter().rev() {
            self.trace.set(cell, value);
        }
    }

    fn only_the_dropped_is_broken(&self) -> bool {
        let inputs = self.checker.exposed(self.trace);
        let broken = self.checker.violations(self.trace, &inputs);
        let is_dropped = |violation: &Violation| match *violation {
            Violation::Polynomial(index, _) => self.is_dropped(index),
            Violation::Copy(left, right) => self.dropped == Dropped::Copy(left, right),
            Violation::Instance(_) => false,
        };
        !broken.is_empty() && broken.iter().all(is_dropped)
    }

    fn is_dropped(&self, polynomial: usize) -> bool {
        self.dropped == Dropped::Polynomial(polynomial)
    }

    fn set(&mut self, cell: At, value: Fr, cause: Cause) -> bool {
        let is_new = cause == Cause::Seed || self.trace.get(cell) != value;
        let done = self.fill(cell, value, cause);
        if done && is_new {
            self.queue.push_back(cell);
        }
        done
    }

    /// As `set`, for cells that nothing outside their row reads.
    fn fill(&mut self, cell: At, value: Fr, cause: Cause) -> bool {
        let old = self.trace.get(cell);
        if old == value && cause != Cause::Seed {
            return true;
        }
        if self.causes.get(&cell).is_some_and(|known| *known != cause) {
            return false;
        }
        self.causes.insert(cell, cause);
        self.before.push((cell, old));
        self.trace.set(cell, value);
        true
    }

    fn follow(&mut self, cell: At) -> bool {
        let checker = self.checker;
        let value = self.trace.get(cell);
        for partner in checker.partners(cell) {
            let is_dropped = [Dropped::Copy(cell, *partner), Dropped::Copy(*partner, cell)]
                .contains(&self.dropped);
            if is_dropped || self.trace.get(*partner) == value {
                continue;
            }
            let done = match self.access_with_old_root(*partner) {
                Some(number) => self.graft(number),
                None => self.set(*partner, value, Cause::Copy(cell)),
            };
            if !done {
                return false;
            }
        }
        let mut hashed = None;
        for (row, index) in checker.enabled(cell) {
            let is_hash = checker.name(index).starts_with("poseidon");
            if is_hash && (hashed == Some(row) || self.is_dropped(index)) {
                continue;
            }
            if is_hash {
                hashed = Some(row);
            } else if self.holds(index, row) {
                continue;
            }
            if !self.repair(index, row) {
                return false;
            }
        }
        true
    }

    fn holds(&self, polynomial: usize, row: usize) -> bool {
        self.is_dropped(polynomial) || self.value(polynomial, row) == Fr::zero()
    }

    fn value(&self, polynomial: usize, row: usize) -> Fr {
        self.checker
            .evaluate_polynomial(polynomial, self.trace, row)
    }

    fn repair(&mut self, polynomial: usize, row: usize) -> bool {
        let name = self.checker.name(polynomial);
        if name.starts_with("poseidon") {
            return self.rehash(polynomial, row);
        }
        if name.starts_with("crumbs") {
            return false;
        }
        let expression = self.checker.expression(polynomial);
        let target = defined(expression, row);
        if name.starts_with("range")
            && target.is_some_and(|target| self.causes.contains_key(&target))
        {
            return self.recrumb(row);
        }
        let products = if name.starts_with("rules") {
            inverses(expression, row)
        } else {
            Vec::new()
        };
        for (factor, inverse) in products {
            let value = invert_or_zero(self.checker.evaluate(factor, self.trace, row));
            if !self.set(inverse, value, Cause::Row) {
                return false;
            }
        }
        let value = self.value(polynomial, row);
        if value == Fr::zero() {
            return true;
        }
        if let Some(target) = target {
            let corrected = self.trace.get(target) - value;
            return self.set(target, corrected, Cause::Equation(polynomial, row));
        }
        let is_gadget = ["level", "signature", "ladder"]
            .iter()
            .any(|gate| name.starts_with(gate));
        is_gadget && self.solve(polynomial, row)
    }

    /// Solves an equation for the last cell in which it is affine and that is still untouched.
    fn solve(&mut self, polynomial: usize, row: usize) -> bool {
        let mut cells = self.checker.cells(polynomial, row);
        cells.sort_by_key(|cell| (cell.row, cell.column));
        let value = self.value(polynomial, row);
        for cell in cells.into_iter().rev() {
            if self.causes.contains_key(&cell) {
                continue;
            }
            let old = self.trace.get(cell);
            self.trace.set(cell, old + Fr::one());
            let slope = self.value(polynomial, row) - value;
            self.trace.set(cell, old + Fr::from(2));
            let again = self.value(polynomial, row) - value;
            self.trace.set(cell, old);
            if slope != Fr::zero() && again == slope.double() {
                let solved = old - value * invert_or_zero(slope);
                return self.set(cell, solved, Cause::Equation(polynomial, row));
            }
        }
        false
    }

    /// Fills a Poseidon row from its inputs; a row with a dropped equation cell by cell, in order.
    fn rehash(&mut self, polynomial: usize, row: usize) -> bool {
        let checker = self.checker;
        let gate = checker.polynomials_of(self.checker.selector(polynomial));
        if gate.iter().any(|index| self.is_dropped(*index)) {
            for index in gate.iter().copied() {
                if self.is_dropped(index) {
                    continue;
                }
                let value = self.value(index, row);
                if value == Fr::zero() {
                    continue;
                }
                let target = defined(self.checker.expression(index), row);
                let target = target.unwrap_or(at(OUT, row)); // with a live flag: hash or 0
                let corrected = self.trace.get(target) - value;
                let done = if target.column == OUT {
                    self.set(target, corrected, Cause::Row)
                } else {
                    self.fill(target, corrected, Cause::Row)
                };
                if !done {
                    return false;
                }
            }
            return true;
        }
        let inputs = match &self.checker.name(polynomial)[..9] {
            "poseidon3" => 2,
            "poseidon5" => 4,
            _ => 5,
        };
        let values: Vec<Fr> = (0..inputs).map(|i| self.trace.get(at(i, row))).collect();
        let mut filled = self.row(row);
        let hash = poseidon::assign(filled.row_mut(0), &values);
        let is_leaf = row >= self.first_slot()
            && accesses().iter().any(|access| {
                let offset = (row - self.first_slot()) % SLOT_ROWS;
                offset == access.row || offset == access.row + 1
            });
        if is_leaf {
            filled.set(at(OUT, 0), hash * self.trace.get(at(LIVE, row)));
        }
        self.write_row(row, &filled)
    }

    /// Fills a range row from its values; false if one does not fit.
    fn recrumb(&mut self, row: usize) -> bool {
        let pattern = match row.checked_sub(self.first_slot()) {
            Some(offset) => range_pattern(offset % SLOT_ROWS),
            None if row < 11 => Some(Pattern::Bytes15And8),
            None => Some(Pattern::Bytes15And4And4),
        };
        let Some(pattern) = pattern else { return false };
        let count = pattern.groups().len();
        let values: Vec<Fr> = (0..count).map(|i| self.trace.get(at(i, row))).collect();
        let mut filled = self.row(row);
        range::assign(filled.row_mut(0), pattern, &values).is_ok() && self.write_row(row, &filled)
    }

    fn row(&self, row: usize) -> Block {
        let mut block = Block::new(1);
        for column in 0..WIDTH {
            block.set(at(column, 0), self.trace.get(at(column, row)));
        }
        block
    }

    fn write_row(&mut self, row: usize, block: &Block) -> bool {
        (0..WIDTH).all(|column| {
            let (cell, value) = (at(column, row), block.get(at(column, 0)));
            if column == OUT {
                self.set(cell, value, Cause::Row)
            } else {
                self.fill(cell, value, Cause::Row)
            }
        })
    }

    fn first_slot(&self) -> usize {
        ChunkShape { pairs: 0 }.rows()
    }

    fn access(&self, number: usize) -> Access {
        let row = self.first_slot() + number / 3 * SLOT_ROWS + accesses()[number % 3].row;
        Access { row }
    }

    fn access_with_old_root(&self, cell: At) -> Option<usize> {
        (0..3 * self.slots).find(|number| self.access(*number).roots()[0] == cell)
    }

    fn node(&self, access: &Access, level: usize) -> u64 {
        // the index cell of a level holds the number of the node below it
        let value = self.trace.get(at(LIVE, access.row + 3 + 2 * level));
        circuits::convert::limbs(value)[0]
    }

    /// The path of an access takes the nodes that earlier accesses have changed.
    fn graft(&mut self, number: usize) -> bool {
        let target = self.access(number);
        for earlier in 0..number {
            let source = self.access(earlier);
            let meets = |level: &usize| {
                let (a, b) = (self.node(&source, *level), self.node(&target, *level));
                a != b && a / 4 == b / 4
            };
            let Some(level) = (0..16).find(meets) else {
                continue; // the same leaf: its own values must fit
            };
            let digit = (self.node(&source, level) % 4) as usize;
            let value = self.trace.get(at(digit, source.row + 3 + 2 * level));
            for side in 0..2 {
                let place = at(digit, target.row + 2 + 2 * level + side);
                // a later access of the same node overrides an earlier one
                if !self.set(place, value, Cause::Copy(target.roots()[0])) {
                    return false;
                }
            }
        }
        true
    }
}

/// Products with a cell that is nothing but an inverse: the other factor, and the cell.
fn inverses(expression: &Expression<Fr>, row: usize) -> Vec<(&Expression<Fr>, At)> {
    match expression {
        Expression::Product(left, right) => {
            if let Expression::Advice(query) = right.as_ref() {
                let rotation = query.rotation().0;
                let is_inverse = INVERSES.iter().any(|name| {
                    let place = name.pos();
                    (place.column, place.rotation) == (query.column_index(), rotation)
                });
                let place = row.checked_add_signed(rotation as isize);
                if let (true, Some(place)) = (is_inverse, place) {
                    return vec![(left, at(query.column_index(), place))];
                }
            }
            [inverses(left, row), inverses(right, row)].concat()
        }
        Expression::Sum(left, right) => [inverses(left, row), inverses(right, row)].concat(),
        Expression::Negated(inner) | Expression::Scaled(inner, _) => inverses(inner, row),
        _ => Vec::new(),
    }
}

const INVERSES: [circuits::chunk::Cell; 10] = {
    use circuits::chunk::Cell;
    [
        Cell::UnknownInverse,
        Cell::FeeCountInverse,
        Cell::FeeInverse,
        Cell::OpenInverse,
        Cell::OwnerInverse,
        Cell::TokenInverse,
        Cell::Token2Inverse,
        Cell::NewOwnerInverse,
        Cell::SpaceInverse,
        Cell::NonceInverse,
    ]
};
