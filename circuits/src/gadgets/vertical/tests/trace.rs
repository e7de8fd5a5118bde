//! The one column that a builder's main thread holds, and every constraint on it.

use std::collections::BTreeMap;

use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2_proofs::plonk::Assigned;
use halo2curves::bn256::Fr;

use crate::convert::limbs;
use crate::gadgets::foreign::integer::CHUNK_BITS;

/// Cells, and what is asked of them.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) values: Vec<Fr>,
    /// Cells of each class: those that are copies of each other.
    pub(super) members: Vec<Vec<usize>>,
    /// Whether a gate begins at a cell.
    pub(super) gates: Vec<bool>,
    constants: BTreeMap<usize, Fr>,
    looked_up: Vec<bool>,
}

fn fits(value: Fr) -> bool {
    let [low, rest @ ..] = limbs(value);
    rest == [0; 3] && low < 1 << CHUNK_BITS
}

impl Trace {
    pub(super) fn new(builder: &mut BaseCircuitBuilder<Fr>) -> Self {
        let lookups = builder.lookup_manager()[0].clone();
        let context = builder.pool(0).main();
        let values: Vec<Fr> = context
            .advice
            .iter()
            .map(|cell| match cell {
                Assigned::Trivial(value) => *value,
                other => panic!("a fraction: {other:?}"),
            })
            .collect();
        let mut gates = context.selector.clone();
        gates.resize(values.len(), false);
        let copies = context.copy_manager.lock().expect("one thread");
        let mut parents: Vec<usize> = (0..values.len()).collect();
        for (left, right) in &copies.advice_equalities {
            let [left, right] = [left, right].map(|cell| root(&mut parents, cell.offset));
            parents[left] = right;
        }
        let mut names = BTreeMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        let mut classes = Vec::new();
        for cell in 0..values.len() {
            let root = root(&mut parents, cell);
            let class = *names.entry(root).or_insert_with(|| {
                members.push(Vec::new());
                members.len() - 1
            });
            members[class].push(cell);
            classes.push(class);
        }
        let constants = copies
            .constant_equalities
            .iter()
            .map(|(value, cell)| (classes[cell.offset], *value))
            .collect();
        let mut looked_up = vec![false; members.len()];
        let cells = lookups.cells_to_lookup.lock().expect("one thread");
        for [cell] in cells.values().flatten() {
            let cell = cell.cell.expect("not only a witness");
            looked_up[classes[cell.offset]] = true;
        }
        drop(cells);
        drop(copies);
        Trace {
            values,
            members,
            gates,
            constants,
            looked_up,
        }
    }

    /// Whether the gate that begins at a cell holds.
    fn gate(&self, at: usize) -> bool {
        let [a, b, c, d] = [0, 1, 2, 3].map(|offset| self.values[at + offset]);
        !self.gates[at] || a + b * c == d
    }

    /// Whether everything asked of a class holds, if its cells are copies of each other.
    pub(super) fn class_holds(&self, class: usize) -> bool {
        let value = self.values[self.members[class][0]];
        let is_constant = self.constants.get(&class).is_none_or(|one| *one == value);
        let is_in_table = !self.looked_up[class] || fits(value);
        let mut cells = self.members[class].iter();
        is_constant
            && is_in_table
            && cells.all(|cell| (cell.saturating_sub(3)..=*cell).all(|at| self.gate_in(at)))
    }

    fn gate_in(&self, at: usize) -> bool {
        at + 3 >= self.values.len() || self.gate(at)
    }

    /// Whether every constraint holds.
    pub(super) fn holds(&self) -> bool {
        let are_equal = |class: &Vec<usize>| {
            let mut cells = class.iter().map(|cell| self.values[*cell]);
            let first = cells.next();
            cells.all(|value| Some(value) == first)
        };
        self.members.iter().all(are_equal)
            && (0..self.members.len()).all(|class| self.class_holds(class))
    }

    /// Gives all cells of a class a value.
    pub(super) fn put(&mut self, class: usize, value: Fr) {
        for cell in &self.members[class] {
            self.values[*cell] = value;
        }
    }
}

fn root(parents: &mut [usize], mut cell: usize) -> usize {
    while parents[cell] != cell {
        parents[cell] = parents[parents[cell]];
        cell = parents[cell];
    }
    cell
}
