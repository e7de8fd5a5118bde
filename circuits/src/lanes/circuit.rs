//! The halo2 circuit: gates, wiring that depends on capacity only, and a trace whose products wait for their challenges.

use halo2_proofs::circuit::{Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, FirstPhase};
use halo2curves::bn256::Fr;

use super::bytes::{self, Inverses};
use super::layout::{self, HASH3, HASH3_STARTS, HASH6, HASH6_STARTS, Named, ROWS, WIDTH, rule};
use super::memory::{self, Products};
use super::tree::{leaf_row, node_row};
use super::{LaneShape, ends, ladder, pool, products, slot, tree};
use crate::chunk::Cell;
use crate::instance::chunk as instance;
use crate::layout::{Columns, Fixed};
use crate::trace::{Trace, Wiring, at};
use crate::window::Folding;

/// Highest degree of any gate, selector included.
pub const DEGREE: usize = 9;

/// The fixed columns.
pub const FIXED: &[Fixed] = &[
    Fixed::Poseidon5,
    Fixed::Leaf,
    Fixed::LeafPair,
    Fixed::NodePair,
    Fixed::NodeOld,
    Fixed::LadderNext,
    Fixed::LadderEnd,
    Fixed::Poseidon6,
    Fixed::Poseidon3,
    Fixed::Bytes,
    Fixed::BytesWide,
    Fixed::BytesLong,
    Fixed::BytesKey,
    Fixed::BytesChallenge,
    Fixed::BytesMiddle,
    Fixed::BytesSmall,
    Fixed::Table,
    Fixed::Rules,
    Fixed::First,
    Fixed::Clock,
    Fixed::Ends,
    Fixed::Start,
    Fixed::End,
];

/// Columns of both phases.
#[derive(Clone, Debug)]
pub struct LaneColumns {
    /// Of the first phase, fixed and public ones.
    pub columns: Columns,
    /// Of the second: products.
    pub products: Products,
    /// Of the second: the product of hashes asked and answered.
    pub hashes: Column<Advice>,
    /// Of the second: sums of inverses.
    pub inverses: Inverses,
}

/// The chunk circuit in lanes.
#[derive(Clone, Debug)]
pub struct LaneCircuit {
    shape: LaneShape,
    wiring: Wiring,
    trace: Option<Trace>,
}

impl LaneShape {
    /// The circuit without a witness: what keys are made from.
    #[must_use]
    pub fn circuit(&self) -> LaneCircuit {
        LaneCircuit {
            shape: *self,
            wiring: self.wiring(),
            trace: None,
        }
    }

    /// The circuit with its witness.
    pub(super) fn with(&self, trace: Trace) -> LaneCircuit {
        LaneCircuit {
            trace: Some(trace),
            ..self.circuit()
        }
    }

    /// Fixed cells and public cells; there are no copies.
    #[must_use]
    pub fn wiring(&self) -> Wiring {
        let mut wiring = Wiring::default();
        let (start, end) = (0, self.slot_row(2 * self.pairs));
        for (row, own) in [(start, Fixed::Start), (end, Fixed::End)] {
            wiring.enable(own, row);
            wiring.enable(Fixed::Ends, row);
            for hash in &HASH6_STARTS[..2] {
                wiring.enable(Fixed::Poseidon6, row + hash);
            }
        }
        for slot in 0..2 * self.pairs {
            let row = self.slot_row(slot);
            wiring.enable(Fixed::Rules, row);
            if slot % 2 == 0 {
                wiring.enable(Fixed::First, row);
            }
            wiring.set(Fixed::Clock, row, Fr::from(3 * slot as u64));
            for i in 0..layout::leaves(slot) {
                let leaf = row + leaf_row(i);
                wiring.enable(Fixed::Leaf, leaf);
                wiring.enable(Fixed::Leaf, leaf + 1);
                wiring.enable(Fixed::LeafPair, leaf + 1);
            }
            for i in 0..tree::nodes(slot) {
                wiring.enable(Fixed::NodeOld, row + node_row(slot, i));
                wiring.enable(Fixed::NodePair, row + node_row(slot, i) + 1);
            }
            for hash in HASH6_STARTS {
                wiring.enable(Fixed::Poseidon6, row + hash);
            }
            for hash in HASH3_STARTS {
                wiring.enable(Fixed::Poseidon3, row + hash);
            }
            for offset in 0..ROWS {
                wiring.enable(Fixed::Poseidon5, row + offset);
                if offset > 0 {
                    wiring.enable(Fixed::LadderNext, row + offset);
                }
            }
            wiring.enable(Fixed::LadderEnd, row + ROWS - 1);
        }
        for row in 0..end {
            wiring.enable(Fixed::Bytes, row);
            wiring.set(Fixed::Table, row, Fr::from(products::table(row)));
            let pattern = bytes::PATTERN_OF_ROW[row % ROWS];
            wiring.enable(pattern.selector(), row);
        }
        let domain = rule(Cell::Domain);
        let domain_row = self.slot_row(0) + domain.rotation as usize;
        let digest = ends::digest();
        wiring.expose(at(domain.column, domain_row), instance::DOMAIN);
        wiring.expose(digest, instance::DIGEST_BEFORE);
        wiring.expose(at(digest.column, digest.row + end), instance::DIGEST_AFTER);
        wiring
    }
}

impl LaneCircuit {
    /// The witness, when there is one.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// The witness, for tests that change a cell and expect a refusal.
    pub fn trace_mut(&mut self) -> Option<&mut Trace> {
        self.trace.as_mut()
    }

    /// The wiring, for tests that drop a selector and expect a negative test to notice.
    pub fn wiring_mut(&mut self) -> &mut Wiring {
        &mut self.wiring
    }

    fn assign(&self, config: &LaneColumns, region: &mut Region<'_, Fr>, drawn: Option<[Fr; 3]>) {
        let Some(trace) = &self.trace else { return };
        let Some([beta, gamma, x]) = drawn else {
            for (column, cells) in config.columns.advice.iter().zip(trace.columns()) {
                for (row, value) in cells.iter().enumerate() {
                    region.assign_advice(*column, row, Value::known(*value));
                }
            }
            return;
        };
        let values = products::running(&self.shape, trace, [beta, gamma]);
        let (parts, difference) = products::inverses(&self.shape, trace, x);
        let mut fill = |column: Column<_>, first: usize, values: &[Fr]| {
            for (offset, value) in values.iter().enumerate() {
                region.assign_advice(column, first + offset, Value::known(*value));
            }
        };
        let slots = self.shape.slot_row(0);
        fill(config.products.memory, slots, &values.memory);
        fill(config.products.tree, slots, &values.tree);
        fill(config.hashes, slots, &values.hashes);
        for (column, values) in config.inverses.parts.iter().zip(&parts) {
            fill(*column, 0, values);
        }
        fill(config.inverses.running, 0, &difference);
    }
}

/// Allocates the columns and adds the gates: those about the first phase's cells as one polynomial for each selector, or,
/// for tests that want to name or drop a constraint, one by one.
pub fn configure(meta: &mut ConstraintSystem<Fr>, is_folded: bool) -> LaneColumns {
    // First line of every configure: halo2-axiom caps the degree at 5 unless told.
    meta.set_minimum_degree(DEGREE);
    let public = [rule(Cell::Domain).column, ends::digest().column];
    let columns = Columns::wide(meta, FIXED, WIDTH, &public);
    let challenges = [(); 3].map(|()| meta.challenge_usable_after(FirstPhase));
    let [beta, gamma, x] = challenges;
    let folding = is_folded.then_some(Folding(challenges));
    tree::configure(meta, &columns, folding);
    ladder::configure(meta, &columns, folding);
    HASH6.configure(meta, &columns, Fixed::Poseidon6, folding);
    HASH3.configure(meta, &columns, Fixed::Poseidon3, folding);
    slot::configure(meta, &columns, folding);
    ends::configure(meta, &columns, folding);
    let products = memory::configure(meta, &columns, [beta, gamma]);
    let hashes = pool::configure(meta, &columns, [beta, gamma], folding);
    let inverses = bytes::configure(meta, &columns, x, folding);
    LaneColumns {
        columns,
        products,
        hashes,
        inverses,
    }
}

impl Circuit<Fr> for LaneCircuit {
    type Config = LaneColumns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn params(&self) -> Self::Params {}

    fn without_witnesses(&self) -> Self {
        self.shape.circuit()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> LaneColumns {
        configure(meta, true)
    }

    fn synthesize(
        &self,
        config: LaneColumns,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let [beta, gamma] = config.products.challenges;
        let mut drawn = Vec::new();
        for challenge in [beta, gamma, config.inverses.challenge] {
            layouter
                .get_challenge(challenge)
                .map(|value| drawn.push(value));
        }
        let drawn = <[Fr; 3]>::try_from(drawn).ok();
        layouter.assign_region(
            || "trace",
            |mut region| {
                for (column, row, value) in &self.wiring.fixed {
                    region.assign_fixed(config.columns.fixed(*column), *row, *value);
                }
                self.assign(&config, &mut region, drawn);
                Ok(())
            },
        )?;
        for (cell, row) in &self.wiring.instance {
            layouter.constrain_instance(config.columns.cell(*cell), config.columns.instance, *row);
        }
        Ok(())
    }
}

impl LaneCircuit {
    /// Both phases' columns in the order of the constraint system, for given challenges (beta, gamma, x): for tests that
    /// evaluate the gates themselves.
    #[must_use]
    pub fn complete(&self, [beta, gamma, x]: [Fr; 3]) -> Option<Trace> {
        let trace = self.trace.as_ref()?;
        let values = products::running(&self.shape, trace, [beta, gamma]);
        let (parts, difference) = products::inverses(&self.shape, trace, x);
        let slots = self.shape.slot_row(0);
        let mut whole = Trace::wide(trace.rows(), WIDTH + 4 + parts.len());
        for (column, cells) in trace.columns().iter().enumerate() {
            for (row, value) in cells.iter().enumerate() {
                whole.set(at(column, row), *value);
            }
        }
        let products = [values.memory, values.tree, values.hashes];
        let second = products
            .into_iter()
            .map(|values| (slots, values))
            .chain(parts.into_iter().map(|part| (0, part)))
            .chain([(0, difference)]);
        for (offset, (first, values)) in second.enumerate() {
            for (row, value) in values.into_iter().enumerate() {
                whole.set(at(WIDTH + offset, first + row), value);
            }
        }
        Some(whole)
    }

    /// Cells of a slot that belong to a hash it did not ask for: any value will do, for tests that change cells.
    #[must_use]
    pub fn unasked(&self, slot: usize) -> Vec<Named> {
        let Some(trace) = &self.trace else {
            return Vec::new();
        };
        let mut reader = products::reader(&self.shape, trace, slot, [Fr::zero(); 2]);
        let hashes = pool::hashes(&mut reader).into_iter();
        hashes
            .filter(|(_, flag)| *flag == Fr::zero())
            .map(|(name, _)| name)
            .collect()
    }

    /// The wiring.
    #[must_use]
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }
}
