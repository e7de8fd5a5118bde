//! The halo2 circuit: gates, wiring that depends on capacity only, and a trace whose products wait for their challenges.

use halo2_proofs::circuit::{Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Circuit, Column, ConstraintSystem, Error};
use halo2curves::bn256::Fr;

use super::layout::{HASH3, HASH3_STARTS, HASH6, HASH6_STARTS, ROWS, WIDTH, rule};
use super::memory::{self, Products};
use super::tree::{leaf_row, node_row};
use super::{LaneShape, digits, ends, ladder, products, slot, tree};
use crate::chunk::Cell;
use crate::instance::chunk as instance;
use crate::layout::{Columns, Fixed};
use crate::trace::{Trace, Wiring, at};

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
    Fixed::Digits,
    Fixed::DigitsWide,
    Fixed::DigitsLong,
    Fixed::DigitsKey,
    Fixed::DigitsChallenge,
    Fixed::DigitsSmall,
    Fixed::DigitsSpare,
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
    /// Of the second.
    pub products: Products,
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
            for i in 0..super::layout::LEAVES {
                let leaf = row + leaf_row(i);
                wiring.enable(Fixed::Leaf, leaf);
                wiring.enable(Fixed::Leaf, leaf + 1);
                wiring.enable(Fixed::LeafPair, leaf + 1);
            }
            for i in 0..super::layout::NODES {
                wiring.enable(Fixed::NodeOld, row + node_row(i));
                wiring.enable(Fixed::NodePair, row + node_row(i) + 1);
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
            wiring.enable(Fixed::Digits, row);
            let pattern = digits::PATTERN_OF_ROW[row % ROWS];
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

    fn assign(
        &self,
        config: &LaneColumns,
        region: &mut Region<'_, Fr>,
        drawn: Option<[Fr; 2]>,
    ) {
        let Some(trace) = &self.trace else { return };
        let Some(challenges) = drawn else {
            for (column, cells) in config.columns.advice.iter().zip(trace.columns()) {
                for (row, value) in cells.iter().enumerate() {
                    region.assign_advice(*column, row, Value::known(*value));
                }
            }
            return;
        };
        let values = products::running(&self.shape, trace, challenges);
        let mut fill = |column: Column<_>, values: &[Fr]| {
            for (offset, value) in values.iter().enumerate() {
                let row = self.shape.slot_row(0) + offset;
                region.assign_advice(column, row, Value::known(*value));
            }
        };
        fill(config.products.memory, &values.memory);
        fill(config.products.tree, &values.tree);
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
        // First line of every configure: halo2-axiom caps the degree at 5 unless told.
        meta.set_minimum_degree(DEGREE);
        let public = [rule(Cell::Domain).column, ends::digest().column];
        let columns = Columns::wide(meta, FIXED, WIDTH, &public);
        tree::configure(meta, &columns);
        ladder::configure(meta, &columns);
        HASH6.configure(meta, &columns, Fixed::Poseidon6);
        HASH3.configure(meta, &columns, Fixed::Poseidon3);
        digits::configure(meta, &columns);
        slot::configure(meta, &columns);
        ends::configure(meta, &columns);
        let products = memory::configure(meta, &columns);
        LaneColumns { columns, products }
    }

    fn synthesize(
        &self,
        config: LaneColumns,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let mut drawn = [None; 2];
        for (slot, challenge) in drawn.iter_mut().zip(config.products.challenges) {
            layouter.get_challenge(challenge).map(|value| *slot = Some(value));
        }
        let drawn = drawn[0].zip(drawn[1]).map(|(beta, gamma)| [beta, gamma]);
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
            layouter.constrain_instance(
                config.columns.cell(*cell),
                config.columns.instance,
                *row,
            );
        }
        Ok(())
    }
}
