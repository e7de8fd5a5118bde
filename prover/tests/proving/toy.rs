//! A small circuit with one of everything a key depends on, each part of it adjustable.

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Circuit, Column, ConstraintSystem, Error, Fixed, Instance, Selector,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

/// Proves `y = sum over rows of (f x_i^5 + constant)` for secret `x_i`; `y` is the public input.
#[derive(Clone)]
pub(crate) struct Toy {
    /// One secret per row; `None` without a witness.
    pub(crate) secrets: Vec<Option<Fr>>,
    /// Value of the fixed column.
    pub(crate) factor: Fr,
    /// Row whose copy constraint is left out.
    pub(crate) omitted_copy: Option<usize>,
    /// What `configure` depends on.
    pub(crate) shape: Shape,
}

/// Parameters of the constraint system.
#[derive(Clone, Copy, Default)]
pub(crate) struct Shape {
    /// Constant inside the gate.
    pub(crate) constant: u64,
    /// Advice columns that nothing uses.
    pub(crate) idle_columns: usize,
}

#[derive(Clone)]
pub(crate) struct ToyConfig {
    x: Column<Advice>,
    before: Column<Advice>,
    after: Column<Advice>,
    factor: Column<Fixed>,
    selector: Selector,
    output: Column<Instance>,
}

impl Toy {
    /// Secrets `3, 4, 5, ..`, factor 7.
    pub(crate) fn new(rows: usize) -> Self {
        let secrets = (0..rows)
            .map(|row| Some(Fr::from(row as u64 + 3)))
            .collect();
        Self {
            secrets,
            factor: Fr::from(7),
            omitted_copy: None,
            shape: Shape::default(),
        }
    }

    fn step(&self, before: Fr, x: Fr) -> Fr {
        before + self.factor * x.square().square() * x + Fr::from(self.shape.constant)
    }

    /// The honest public input.
    pub(crate) fn output(&self) -> Fr {
        self.secrets
            .iter()
            .flatten()
            .fold(Fr::zero(), |sum, x| self.step(sum, *x))
    }
}

impl Circuit<Fr> for Toy {
    type Config = ToyConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Shape;

    fn without_witnesses(&self) -> Self {
        Self {
            secrets: vec![None; self.secrets.len()],
            ..self.clone()
        }
    }

    fn params(&self) -> Shape {
        self.shape
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, shape: Shape) -> ToyConfig {
        // q * f * x^5
        meta.set_minimum_degree(7);
        let [x, before, after] = [(); 3].map(|()| meta.advice_column());
        for _ in 0..shape.idle_columns {
            let idle = meta.advice_column();
            meta.enable_equality(idle);
        }
        let factor = meta.fixed_column();
        let output = meta.instance_column();
        let selector = meta.selector();
        for column in [before, after] {
            meta.enable_equality(column);
        }
        meta.enable_equality(output);
        meta.create_gate("step", |cells| {
            let constant = halo2_proofs::plonk::Expression::Constant(Fr::from(shape.constant));
            let query =
                |column: Column<Advice>, cells: &mut halo2_proofs::plonk::VirtualCells<'_, Fr>| {
                    cells.query_advice(column, Rotation::cur())
                };
            let (x, before, after) = (query(x, cells), query(before, cells), query(after, cells));
            let factor = cells.query_fixed(factor, Rotation::cur());
            let selector = cells.query_selector(selector);
            let x2 = x.clone() * x.clone();
            let power = x2.clone() * x2 * x;
            vec![selector * (before + factor * power + constant - after)]
        });
        ToyConfig {
            x,
            before,
            after,
            factor,
            selector,
            output,
        }
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> ToyConfig {
        unreachable!("halo2 configures with parameters")
    }

    fn synthesize(&self, config: ToyConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let last = layouter.assign_region(
            || "steps",
            |mut region| {
                let value = |v: Option<Fr>| v.map_or_else(Value::unknown, Value::known);
                let mut sum = self
                    .secrets
                    .iter()
                    .all(Option::is_some)
                    .then_some(Fr::zero());
                let mut previous = None;
                for (row, secret) in self.secrets.iter().enumerate() {
                    config.selector.enable(&mut region, row)?;
                    region.assign_fixed(config.factor, row, self.factor);
                    region.assign_advice(config.x, row, value(*secret));
                    let before = region.assign_advice(config.before, row, value(sum)).cell();
                    sum = sum.zip(*secret).map(|(sum, x)| self.step(sum, x));
                    let after = region.assign_advice(config.after, row, value(sum)).cell();
                    if let Some(previous) = previous.filter(|_| self.omitted_copy != Some(row)) {
                        region.constrain_equal(before, previous);
                    }
                    previous = Some(after);
                }
                previous.ok_or(Error::Synthesis)
            },
        )?;
        layouter.constrain_instance(last, config.output, 0);
        Ok(())
    }
}
