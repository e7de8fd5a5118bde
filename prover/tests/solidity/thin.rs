//! A circuit of the shape of the final one: halo2-base's vertical gate, a range lookup, constants,
//! copies through every column, one instance column. It means nothing.

use halo2_proofs::circuit::{Cell, Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, Selector, TableColumn,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::case::Toy;

/// Bits of the range table.
const TABLE_BITS: u32 = 5;

/// Rows of one gate.
const GATE_ROWS: usize = 4;

/// What makes one thin circuit differ from another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ThinShape {
    /// log2 of the rows.
    pub(crate) k: u32,
    /// Advice columns with a gate.
    pub(crate) gate_columns: usize,
    /// Declared degree: 4, or 5 with permutation products over three columns.
    pub(crate) degree: usize,
    /// A constant of the circuit.
    pub(crate) constant: u64,
}

/// The circuit with a witness.
#[derive(Clone, Debug)]
pub(crate) struct Thin {
    /// Its shape.
    pub(crate) shape: ThinShape,
    /// Public inputs; any are satisfied.
    pub(crate) inputs: Vec<Fr>,
    /// Decides the rest of the witness.
    pub(crate) seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ThinConfig {
    gates: Vec<(Column<Advice>, Selector)>,
    ranged: Column<Advice>,
    table: TableColumn,
    constants: Column<Fixed>,
    instance: Column<Instance>,
    shape: ThinShape,
}

impl Toy for Thin {
    fn k(&self) -> u32 {
        self.shape.k
    }

    fn inputs(&self) -> Vec<Fr> {
        self.inputs.clone()
    }
}

impl Circuit<Fr> for Thin {
    type Config = ThinConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ThinShape;

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn params(&self) -> ThinShape {
        self.shape
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> ThinConfig {
        Self::configure_with_params(meta, ThinShape::default())
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, shape: ThinShape) -> ThinConfig {
        meta.set_minimum_degree(shape.degree);
        let gates: Vec<_> = (0..shape.gate_columns)
            .map(|_| (meta.advice_column(), meta.selector()))
            .collect();
        let ranged = meta.advice_column();
        let table = meta.lookup_table_column();
        let constants = meta.fixed_column();
        let instance = meta.instance_column();
        for (column, _) in &gates {
            meta.enable_equality(*column);
        }
        meta.enable_equality(ranged);
        meta.enable_equality(constants);
        meta.enable_equality(instance);
        for (column, selector) in &gates {
            meta.create_gate("a + b c = d", |meta| {
                let q = meta.query_selector(*selector);
                let [a, b, c, d] = [0, 1, 2, 3].map(|at| meta.query_advice(*column, Rotation(at)));
                vec![q * (a + b * c - d)]
            });
        }
        meta.lookup("range", |meta| {
            vec![(meta.query_advice(ranged, Rotation::cur()), table)]
        });
        ThinConfig {
            gates,
            ranged,
            table,
            constants,
            instance,
            shape,
        }
    }

    fn synthesize(&self, config: ThinConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_table(
            || "range",
            |mut table| {
                for row in 0..1 << TABLE_BITS {
                    let value = || Value::known(Fr::from(row as u64));
                    table.assign_cell(|| "value", config.table, row, value)?;
                }
                Ok(())
            },
        )?;
        let exposed = layouter.assign_region(
            || "all",
            |mut region| {
                let mut exposed = Vec::new();
                // As many blocks as inputs, dealt out to the columns.
                for (position, input) in self.inputs.iter().enumerate() {
                    let columns = config.gates.len();
                    let row = position / columns * GATE_ROWS;
                    let cell = self.block(&mut region, &config, position, row, *input)?;
                    exposed.push(cell);
                }
                Ok(exposed)
            },
        )?;
        for (row, cell) in exposed.into_iter().enumerate() {
            layouter.constrain_instance(cell, config.instance, row);
        }
        Ok(())
    }
}

impl Thin {
    /// One gate whose first cell is the input, whose second is in range and whose third is a
    /// constant.
    fn block(
        &self,
        region: &mut Region<'_, Fr>,
        config: &ThinConfig,
        position: usize,
        row: usize,
        input: Fr,
    ) -> Result<Cell, Error> {
        let (column, selector) = config.gates[position % config.gates.len()];
        let small = Fr::from((self.seed + position as u64) % (1 << TABLE_BITS));
        let constant = Fr::from(config.shape.constant + position as u64 + 2).square();
        selector.enable(region, row)?;
        let mut put = |at: usize, value: Fr| {
            region
                .assign_advice(column, row + at, Value::known(value))
                .cell()
        };
        let first = put(0, input);
        let (second, third) = (put(1, small), put(2, constant));
        put(3, input + small * constant);
        let ranged = region
            .assign_advice(config.ranged, position, Value::known(small))
            .cell();
        let fixed = region.assign_fixed(config.constants, position, constant);
        region.constrain_equal(ranged, second);
        region.constrain_equal(fixed, third);
        Ok(first)
    }
}
