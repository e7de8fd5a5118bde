//! Toy circuits, each covering a part of the proving system the real ones use or may come to use.
//!
//! None of them means anything. `set_minimum_degree` with the true degree comes first in each
//! `configure`: halo2-axiom otherwise caps the degree at 5 and honest proofs fail to verify.

use halo2_proofs::circuit::{Cell, Layouter, Region, SimpleFloorPlanner, Value};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed,
    Instance, SecondPhase, Selector, TableColumn,
};
use halo2_proofs::poly::Rotation;
use halo2curves::ff::Field;

/// A circuit with the public inputs its witness satisfies.
pub(crate) trait Toy: Circuit<Fr> {
    /// log2 of the rows.
    const K: u32;
    /// One list of public inputs for each instance column.
    fn instances(&self) -> Vec<Vec<Fr>>;
}

fn put(region: &mut Region<'_, Fr>, column: Column<Advice>, row: usize, value: Fr) -> Cell {
    region
        .assign_advice(column, row, Value::known(value))
        .cell()
}

/// Gates of degree 9 with rotations from -2 to 3, copy constraints over 15 columns of all three
/// kinds (three product polynomials), two instance columns queried at rotations, plain fixed
/// columns, one of them empty (its commitment is the identity), simple and complex selectors.
#[derive(Clone, Debug)]
pub(crate) struct Tall {
    /// Decides the witness and the public inputs.
    pub(crate) seed: u64,
    /// A constant of the circuit: another value is another circuit of the same shape.
    pub(crate) constant: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct TallConfig {
    advice: Vec<Column<Advice>>,
    instance: [Column<Instance>; 2],
    enabled: Column<Fixed>,
    factor: Column<Fixed>,
    power: Selector,
    window: Selector,
    constant: Fr,
}

/// Rows the gates of [`Tall`] are enabled in: of the power gate, the step gate and the window gate.
const TALL_ROWS: [usize; 3] = [0, 5, 9];

impl Tall {
    fn values(&self) -> [Fr; 4] {
        [0, 1, 2, 3].map(|i| Fr::from(self.seed + 3 + i).square())
    }
}

impl Toy for Tall {
    const K: u32 = 5;

    fn instances(&self) -> Vec<Vec<Fr>> {
        let [a, b, c, d] = self.values();
        let eighth = a.pow([8]) + Fr::from(self.constant);
        vec![vec![eighth, b, c], vec![d, b * c + d]]
    }
}

impl Circuit<Fr> for Tall {
    type Config = TallConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = u64;

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn params(&self) -> u64 {
        self.constant
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> TallConfig {
        Self::configure_with_params(meta, 0)
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, constant: u64) -> TallConfig {
        meta.set_minimum_degree(9);
        let advice: Vec<_> = (0..12).map(|_| meta.advice_column()).collect();
        let instance = [meta.instance_column(), meta.instance_column()];
        let (enabled, factor, empty) = (
            meta.fixed_column(),
            meta.fixed_column(),
            meta.fixed_column(),
        );
        let (power, window) = (meta.selector(), meta.complex_selector());
        for column in &advice {
            meta.enable_equality(*column);
        }
        meta.enable_equality(instance[0]);
        meta.enable_equality(factor);
        meta.enable_equality(instance[1]);
        let constant = Fr::from(constant);

        meta.create_gate("power", |meta| {
            let s = meta.query_selector(power);
            let a = meta.query_advice(advice[0], Rotation::cur());
            let b = meta.query_advice(advice[1], Rotation::cur());
            let eighth = a.square().square().square();
            vec![s * (b - eighth - Expression::Constant(constant))]
        });
        meta.create_gate("step", |meta| {
            let q = meta.query_fixed(enabled, Rotation::cur());
            let f = meta.query_fixed(factor, Rotation::prev());
            let e = meta.query_fixed(empty, Rotation::cur());
            let before = meta.query_advice(advice[1], Rotation::prev());
            let here = meta.query_advice(advice[2], Rotation::cur());
            let next = meta.query_advice(advice[2], Rotation::next());
            let d = meta.query_instance(instance[1], Rotation(-5));
            let last = meta.query_instance(instance[1], Rotation(-4));
            vec![
                q.clone() * (next - here * f - before) + e,
                // Rows 0 and 1 of the second instance column, seen from row 5.
                q * (last - d.clone() * Fr::from(2) + d - meta.query_any(advice[3], Rotation(3))),
            ]
        });
        meta.create_gate("window", |meta| {
            let s = meta.query_selector(window);
            let a = meta.query_advice(advice[4], Rotation(3));
            let b = meta.query_advice(advice[4], Rotation(-2));
            let c = meta.query_advice(advice[11], Rotation::cur());
            vec![
                ("product", s.clone() * (a - b * c.clone())),
                ("not", (s.clone() - s) * c),
            ]
        });
        TallConfig {
            advice,
            instance,
            enabled,
            factor,
            power,
            window,
            constant,
        }
    }

    fn synthesize(&self, config: TallConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let [a, b, c, d] = self.values();
        let eighth = a.pow([8]) + config.constant;
        let cells = layouter.assign_region(
            || "all",
            |mut region| {
                let [power, step, window] = TALL_ROWS;
                config.power.enable(&mut region, power)?;
                put(&mut region, config.advice[0], power, a);
                let result = put(&mut region, config.advice[1], power, eighth);

                region.assign_fixed(config.enabled, step, Fr::ONE);
                let factor = region.assign_fixed(config.factor, step - 1, c);
                let before = put(&mut region, config.advice[1], step - 1, d);
                put(&mut region, config.advice[2], step, b);
                put(&mut region, config.advice[2], step + 1, b * c + d);
                // last - d in row step + 3.
                put(&mut region, config.advice[3], step + 3, b * c);

                config.window.enable(&mut region, window)?;
                put(&mut region, config.advice[4], window + 3, b * c);
                let left = put(&mut region, config.advice[4], window - 2, b);
                let right = put(&mut region, config.advice[11], window, c);
                region.constrain_equal(factor, right);

                // A ring of copies through every column.
                let mut ring = right;
                for column in &config.advice {
                    let copy = put(&mut region, *column, 15, c);
                    region.constrain_equal(ring, copy);
                    ring = copy;
                }
                Ok([result, left, right, before])
            },
        )?;
        let [result, left, right, before] = cells;
        layouter.constrain_instance(result, config.instance[0], 0);
        layouter.constrain_instance(left, config.instance[0], 1);
        layouter.constrain_instance(right, config.instance[0], 2);
        layouter.constrain_instance(before, config.instance[1], 0);
        Ok(())
    }
}

/// Two lookups: one column into a table column, and a pair of expressions, one of degree 3, into a
/// pair of advice columns shifted by a row.
#[derive(Clone, Debug)]
pub(crate) struct Lookups {
    /// Decides the witness and the public input.
    pub(crate) seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct LookupsConfig {
    value: Column<Advice>,
    pair: [Column<Advice>; 2],
    list: [Column<Advice>; 2],
    instance: Column<Instance>,
    table: TableColumn,
    enabled: Selector,
}

impl Toy for Lookups {
    const K: u32 = 5;

    fn instances(&self) -> Vec<Vec<Fr>> {
        vec![vec![Fr::from(self.seed % 8)]]
    }
}

impl Circuit<Fr> for Lookups {
    type Config = LookupsConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> LookupsConfig {
        // 2 + 3 (inputs) + 1 (table).
        meta.set_minimum_degree(6);
        let value = meta.advice_column();
        let pair = [meta.advice_column(), meta.advice_column()];
        let list = [meta.advice_column(), meta.advice_column()];
        let instance = meta.instance_column();
        let table = meta.lookup_table_column();
        let enabled = meta.complex_selector();
        meta.enable_equality(value);
        meta.enable_equality(instance);

        meta.lookup("three bits", |meta| {
            vec![(meta.query_advice(value, Rotation::cur()), table)]
        });
        meta.lookup_any("pairs", |meta| {
            let s = meta.query_selector(enabled);
            let a = meta.query_advice(pair[0], Rotation::cur());
            let b = meta.query_advice(pair[1], Rotation::prev());
            let left = meta.query_advice(list[0], Rotation::next());
            let right = meta.query_advice(list[1], Rotation::next());
            // Row 0 of the table is (0, 0) one row on: disabled rows look that up.
            vec![(s.clone() * a.square(), left), (s * b, right)]
        });
        LookupsConfig {
            value,
            pair,
            list,
            instance,
            table,
            enabled,
        }
    }

    fn synthesize(
        &self,
        config: LookupsConfig,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        layouter.assign_table(
            || "three bits",
            |mut table| {
                for row in 0..8 {
                    let value = || Value::known(Fr::from(row as u64));
                    table.assign_cell(|| "value", config.table, row, value)?;
                }
                Ok(())
            },
        )?;
        let first = layouter.assign_region(
            || "all",
            |mut region| {
                let first = put(&mut region, config.value, 0, Fr::from(self.seed % 8));
                for row in 1..8 {
                    put(
                        &mut region,
                        config.value,
                        row,
                        Fr::from((self.seed + row as u64) % 8),
                    );
                }
                for row in 2..12 {
                    let (a, b) = (Fr::from(self.seed + row as u64), Fr::from(3 * row as u64));
                    put(&mut region, config.list[0], row, a.square());
                    put(&mut region, config.list[1], row, b);
                    let user = 15 - row;
                    config.enabled.enable(&mut region, user)?;
                    put(&mut region, config.pair[0], user, a);
                    put(&mut region, config.pair[1], user - 1, b);
                }
                Ok(first)
            },
        )?;
        layouter.constrain_instance(first, config.instance, 0);
        Ok(())
    }
}

/// A column of the second phase compresses two of the first with a challenge drawn in between.
#[derive(Clone, Debug)]
pub(crate) struct Phases {
    /// Decides the witness and the public input.
    pub(crate) seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct PhasesConfig {
    first: [Column<Advice>; 2],
    second: Column<Advice>,
    instance: Column<Instance>,
    challenge: Challenge,
    enabled: Selector,
}

impl Toy for Phases {
    const K: u32 = 4;

    fn instances(&self) -> Vec<Vec<Fr>> {
        vec![vec![Fr::from(self.seed)]]
    }
}

impl Circuit<Fr> for Phases {
    type Config = PhasesConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> PhasesConfig {
        meta.set_minimum_degree(3);
        let a = meta.advice_column_in(FirstPhase);
        let second_only = meta.advice_column_in(SecondPhase);
        let b = meta.advice_column_in(FirstPhase);
        let challenge = meta.challenge_usable_after(FirstPhase);
        let instance = meta.instance_column();
        let enabled = meta.selector();
        meta.enable_equality(a);
        meta.enable_equality(instance);
        meta.create_gate("compress", |meta| {
            let s = meta.query_selector(enabled);
            let r = meta.query_challenge(challenge);
            let left = meta.query_advice(a, Rotation::cur());
            let right = meta.query_advice(b, Rotation::next());
            let sum = meta.query_advice(second_only, Rotation::cur());
            vec![s * (sum - left - right * r)]
        });
        PhasesConfig {
            first: [a, b],
            second: second_only,
            instance,
            challenge,
            enabled,
        }
    }

    fn synthesize(
        &self,
        config: PhasesConfig,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        let (left, right) = (Fr::from(self.seed), Fr::from(self.seed + 41));
        let first = layouter.assign_region(
            || "all",
            |mut region| {
                config.enabled.enable(&mut region, 1)?;
                let first = put(&mut region, config.first[0], 1, left);
                put(&mut region, config.first[1], 2, right);
                region.next_phase();
                let sum = region
                    .get_challenge(config.challenge)
                    .map(|r| left + right * r);
                region.assign_advice(config.second, 1, sum);
                Ok(first)
            },
        )?;
        layouter.constrain_instance(first, config.instance, 0);
        Ok(())
    }
}

/// No copy constraints, no public inputs, and a declared degree far above the true one, so that the
/// higher pieces of the quotient are zero and their commitments the identity.
#[derive(Clone, Debug)]
pub(crate) struct Bare {
    /// Decides the witness.
    pub(crate) seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct BareConfig {
    advice: Column<Advice>,
    enabled: Selector,
}

impl Toy for Bare {
    const K: u32 = 4;

    fn instances(&self) -> Vec<Vec<Fr>> {
        Vec::new()
    }
}

impl Circuit<Fr> for Bare {
    type Config = BareConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> BareConfig {
        meta.set_minimum_degree(9);
        let (advice, enabled) = (meta.advice_column(), meta.selector());
        meta.create_gate("square", |meta| {
            let s = meta.query_selector(enabled);
            let here = meta.query_advice(advice, Rotation::cur());
            let next = meta.query_advice(advice, Rotation::next());
            vec![s * (next - here.square())]
        });
        BareConfig { advice, enabled }
    }

    fn synthesize(&self, config: BareConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "all",
            |mut region| {
                let mut value = Fr::from(self.seed);
                put(&mut region, config.advice, 0, value);
                for row in 0..6 {
                    config.enabled.enable(&mut region, row)?;
                    value = value.square();
                    put(&mut region, config.advice, row + 1, value);
                }
                Ok(())
            },
        )
    }
}

/// As many columns, openings and copy columns as the chunk circuit has, about.
#[derive(Clone, Debug)]
pub(crate) struct Wide {
    /// Decides the witness and the public input.
    pub(crate) seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct WideConfig {
    advice: Vec<Column<Advice>>,
    instance: Column<Instance>,
    enabled: Selector,
}

/// Each cell of a row from the row before: the fifth power of a weighted sum of four neighbours.
fn wide_sum<T>(row: &[T], at: usize) -> T
where
    T: Clone + std::ops::Add<Output = T> + std::ops::Mul<Fr, Output = T>,
{
    let cell = |step: usize| row[(at + step) % row.len()].clone() * Fr::from(2 * step as u64 + 1);
    cell(0) + cell(1) + cell(7) + cell(20)
}

impl Toy for Wide {
    const K: u32 = 5;

    fn instances(&self) -> Vec<Vec<Fr>> {
        vec![vec![Fr::from(self.seed)]]
    }
}

impl Circuit<Fr> for Wide {
    type Config = WideConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> WideConfig {
        meta.set_minimum_degree(9);
        let advice: Vec<_> = (0..45).map(|_| meta.advice_column()).collect();
        let (instance, enabled) = (meta.instance_column(), meta.selector());
        for column in advice.iter().take(20) {
            meta.enable_equality(*column);
        }
        meta.enable_equality(instance);
        meta.create_gate("mix", |meta| {
            let s = meta.query_selector(enabled);
            let row: Vec<_> = advice
                .iter()
                .map(|c| meta.query_advice(*c, Rotation::cur()))
                .collect();
            let mut constraints = Vec::new();
            for (at, column) in advice.iter().enumerate() {
                let sum = wide_sum(&row, at);
                let fifth = sum.clone().square().square() * sum;
                let next = meta.query_advice(*column, Rotation::next());
                constraints.push(s.clone() * (next - fifth));
            }
            constraints
        });
        WideConfig {
            advice,
            instance,
            enabled,
        }
    }

    fn synthesize(&self, config: WideConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let first = layouter.assign_region(
            || "all",
            |mut region| {
                let mut values: Vec<Fr> = (0..config.advice.len())
                    .map(|i| Fr::from(self.seed + i as u64))
                    .collect();
                let mut first = None;
                for row in 0..10 {
                    for (column, value) in config.advice.iter().zip(&values) {
                        let cell = put(&mut region, *column, row, *value);
                        first.get_or_insert(cell);
                    }
                    if row < 9 {
                        config.enabled.enable(&mut region, row)?;
                    }
                    values = (0..values.len())
                        .map(|at| wide_sum(&values, at).pow([5]))
                        .collect();
                }
                Ok(first)
            },
        )?;
        layouter.constrain_instance(first.ok_or(Error::Synthesis)?, config.instance, 0);
        Ok(())
    }
}

/// A gate of degree 7 in a circuit that does not declare it.
#[derive(Clone, Debug)]
pub(crate) struct Undeclared;

impl Circuit<Fr> for Undeclared {
    type Config = BareConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> BareConfig {
        let (advice, enabled) = (meta.advice_column(), meta.selector());
        meta.create_gate("sixth power", |meta| {
            let s = meta.query_selector(enabled);
            let a = meta.query_advice(advice, Rotation::cur());
            vec![s * a.clone().square() * a.square().square()]
        });
        BareConfig { advice, enabled }
    }

    fn synthesize(&self, config: BareConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "all",
            |mut region| {
                put(&mut region, config.advice, 0, Fr::ZERO);
                config.enabled.enable(&mut region, 0)
            },
        )
    }
}
