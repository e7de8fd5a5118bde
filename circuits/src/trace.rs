//! The two halves of a circuit: `Wiring`, which depends on capacity only, and `Trace`, the witness.
//!
//! Rows are absolute: halo2-axiom places every region at row 0, and this crate relies on nothing
//! else. A proving key depends on the gates and on `Wiring`; a proof on `Trace` besides. Because a
//! trace is a plain table of cells, a test can change any cell and ask whether the constraints
//! notice.
//!
//! What it does not do: it decides no layout (see `layout`) and computes no value.

use std::marker::PhantomData;

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Error};
use halo2curves::bn256::Fr;

use crate::layout::{Columns, Fixed, WIDTH};

/// An advice cell: column, then absolute row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Advice column, below `WIDTH`.
    pub column: usize,
    /// Absolute row.
    pub row: usize,
}

/// Shorthand for an advice cell.
#[must_use]
pub fn at(column: usize, row: usize) -> At {
    At { column, row }
}

/// Everything about a circuit that does not depend on the witness, besides its gates.
#[derive(Clone, Debug, Default)]
pub struct Wiring {
    /// Values of fixed cells; every other fixed cell is 0.
    pub fixed: Vec<(Fixed, usize, Fr)>,
    /// Pairs of advice cells that must be equal. Both columns are equality-enabled.
    pub copies: Vec<(At, At)>,
    /// Advice cells that must equal an instance row.
    pub instance: Vec<(At, usize)>,
}

impl Wiring {
    /// Switches a selector on at `row`.
    pub fn enable(&mut self, selector: Fixed, row: usize) {
        self.set(selector, row, Fr::one());
    }

    /// Sets a fixed cell.
    pub fn set(&mut self, column: Fixed, row: usize, value: Fr) {
        self.fixed.push((column, row, value));
    }

    /// Demands that two advice cells are equal.
    pub fn copy(&mut self, left: At, right: At) {
        self.copies.push((left, right));
    }

    /// Demands that an advice cell equals an instance row.
    pub fn expose(&mut self, cell: At, instance_row: usize) {
        self.instance.push((cell, instance_row));
    }
}

/// The witness: `WIDTH` columns of `rows` cells; cells never set are 0.
#[derive(Clone, Debug)]
pub struct Trace {
    columns: Vec<Vec<Fr>>,
    rows: usize,
}

impl Trace {
    /// A table of zeros.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self::wide(rows, WIDTH)
    }

    /// A table of `width` columns of zeros.
    #[must_use]
    pub fn wide(rows: usize, width: usize) -> Self {
        Trace {
            columns: vec![vec![Fr::zero(); rows]; width],
            rows,
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Reads a cell.
    ///
    /// # Panics
    /// If the cell lies outside the table.
    #[must_use]
    pub fn get(&self, cell: At) -> Fr {
        self.columns[cell.column][cell.row]
    }

    /// Writes a cell.
    ///
    /// # Panics
    /// If the cell lies outside the table.
    pub fn set(&mut self, cell: At, value: Fr) {
        self.columns[cell.column][cell.row] = value;
    }

    /// Copies a block of rows computed apart (`block[row][column]`) to `first_row`.
    pub fn place(&mut self, first_row: usize, block: &Block) {
        for (offset, row) in block.rows().enumerate() {
            for (column, value) in row.iter().enumerate() {
                self.columns[column][first_row + offset] = *value;
            }
        }
    }

    /// The columns, as halo2 wants them.
    #[must_use]
    pub fn columns(&self) -> &[Vec<Fr>] {
        &self.columns
    }
}

/// A run of rows that one thread fills on its own; row-major.
#[derive(Clone, Debug)]
pub struct Block {
    width: usize,
    cells: Vec<Fr>,
}

impl Block {
    /// `rows` rows of `WIDTH` zeros.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self::wide(rows, WIDTH)
    }

    /// `rows` rows of `width` zeros.
    #[must_use]
    pub fn wide(rows: usize, width: usize) -> Self {
        Block {
            width,
            cells: vec![Fr::zero(); rows * width],
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len() / self.width
    }

    /// True when the block has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Reads a cell; `cell.row` counts from the block's start.
    #[must_use]
    pub fn get(&self, cell: At) -> Fr {
        self.cells[cell.row * self.width + cell.column]
    }

    /// Writes a cell; `cell.row` counts from the block's start.
    pub fn set(&mut self, cell: At, value: Fr) {
        self.cells[cell.row * self.width + cell.column] = value;
    }

    /// One row.
    pub fn row_mut(&mut self, row: usize) -> &mut [Fr] {
        &mut self.cells[row * self.width..(row + 1) * self.width]
    }

    /// The rows, first to last.
    pub fn rows(&self) -> impl Iterator<Item = &[Fr]> {
        self.cells.chunks_exact(self.width)
    }
}

/// A set of gates: what `configure` adds to the constraint system.
pub trait GateSet: Clone + Default + Send + Sync + 'static {
    /// The fixed columns that the gates and the wiring use.
    const FIXED: &'static [Fixed];

    /// Adds the gates over `columns`.
    fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns);
}

/// A halo2 circuit made of gates, wiring and, when proving, a trace.
#[derive(Clone, Debug)]
pub struct TraceCircuit<G> {
    wiring: Wiring,
    trace: Option<Trace>,
    gates: PhantomData<G>,
}

impl<G: GateSet> TraceCircuit<G> {
    /// The circuit for key generation.
    #[must_use]
    pub fn without_trace(wiring: Wiring) -> Self {
        TraceCircuit {
            wiring,
            trace: None,
            gates: PhantomData,
        }
    }

    /// The circuit with its witness.
    #[must_use]
    pub fn new(wiring: Wiring, trace: Trace) -> Self {
        TraceCircuit {
            wiring,
            trace: Some(trace),
            gates: PhantomData,
        }
    }

    /// The witness, when there is one.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// The witness, for tests that change a cell and expect a refusal.
    pub fn trace_mut(&mut self) -> Option<&mut Trace> {
        self.trace.as_mut()
    }

    /// The wiring.
    #[must_use]
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// The wiring, for tests that drop a selector or a copy and expect a negative test to notice.
    pub fn wiring_mut(&mut self) -> &mut Wiring {
        &mut self.wiring
    }
}

impl<G: GateSet> Circuit<Fr> for TraceCircuit<G> {
    type Config = Columns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn params(&self) -> Self::Params {}

    fn without_witnesses(&self) -> Self {
        Self::without_trace(self.wiring.clone())
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Columns {
        // First line of every configure: halo2-axiom caps the degree at 5 unless told.
        meta.set_minimum_degree(crate::layout::DEGREE);
        let columns = Columns::configure(meta, G::FIXED);
        G::configure(meta, &columns);
        columns
    }

    fn synthesize(&self, config: Columns, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "trace",
            |mut region| {
                for (column, row, value) in &self.wiring.fixed {
                    region.assign_fixed(config.fixed(*column), *row, *value);
                }
                if let Some(trace) = &self.trace {
                    for (column, cells) in config.advice.iter().zip(trace.columns()) {
                        for (row, value) in cells.iter().enumerate() {
                            region.assign_advice(*column, row, Value::known(*value));
                        }
                    }
                }
                for (left, right) in &self.wiring.copies {
                    region.constrain_equal(config.cell(*left), config.cell(*right));
                }
                Ok(())
            },
        )?;
        for (cell, row) in &self.wiring.instance {
            layouter.constrain_instance(config.cell(*cell), config.instance, *row);
        }
        Ok(())
    }
}
