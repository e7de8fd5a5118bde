//! A circuit with what the final one lacks but the generator takes: openings at other rotations, a
//! deep gate of degree 6 with shared subexpressions, public inputs in a gate, an empty fixed column,
//! a lookup of pairs of expressions, columns without copies. It means nothing.

use ff::Field;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Expression, Fixed};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::case::Toy;

/// Row of the gate.
const ROW: usize = 4;

/// A constant of the gate.
const FACTOR: u64 = 25;

/// Rows of the list that pairs are looked up in.
const LIST: std::ops::Range<usize> = 1..9;

/// The circuit with a witness.
#[derive(Clone, Debug)]
pub(crate) struct Odd {
    /// Whether there is a lookup: without one, no challenge separates theta from beta.
    pub(crate) lookup: bool,
    /// Decides the witness.
    pub(crate) seed: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct OddConfig {
    /// Two of the gate, two looked up, two that hold the list.
    advice: [Column<Advice>; 6],
    enabled: Column<Fixed>,
    factor: Column<Fixed>,
    lookup: bool,
}

/// The gate's left side: (((a + b)^2 + 7)(a + b) - (a - 3)^2)(a + b).
fn left<T>(a: T, b: T, seven: T, three: T) -> T
where
    T: Clone + std::ops::Add<Output = T> + std::ops::Sub<Output = T> + std::ops::Mul<Output = T>,
{
    let sum = a.clone() + b;
    let less = a - three;
    ((sum.clone() * sum.clone() + seven) * sum.clone() - less.clone() * less) * sum
}

impl Odd {
    fn values(&self) -> [Fr; 3] {
        let [a, b] = [0, 1].map(|i| Fr::from(self.seed + 3 + i).square());
        [a, b, Fr::from(FACTOR)]
    }
}

impl Toy for Odd {
    fn k(&self) -> u32 {
        5
    }

    /// In the gate's row is the value that makes it hold.
    fn inputs(&self) -> Vec<Fr> {
        let [a, b, f] = self.values();
        let value = left(a, b, Fr::from(7), Fr::from(3)) + f * a;
        let mut inputs: Vec<Fr> = (0..ROW as u64).map(Fr::from).collect();
        inputs.push(value);
        inputs
    }
}

impl Circuit<Fr> for Odd {
    type Config = OddConfig;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = bool;

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn params(&self) -> bool {
        self.lookup
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> OddConfig {
        Self::configure_with_params(meta, true)
    }

    fn configure_with_params(meta: &mut ConstraintSystem<Fr>, lookup: bool) -> OddConfig {
        // 1 (enabled) + 4 (left side), and 2 + 3 + 1 of the lookup.
        meta.set_minimum_degree(if lookup { 6 } else { 5 });
        let advice = [(); 6].map(|()| meta.advice_column());
        let (enabled, factor, empty) = (
            meta.fixed_column(),
            meta.fixed_column(),
            meta.fixed_column(),
        );
        let instance = meta.instance_column();
        meta.enable_equality(advice[0]);
        meta.enable_equality(advice[5]);
        meta.create_gate("deep", |meta| {
            let q = meta.query_fixed(enabled, Rotation::cur());
            let e = meta.query_fixed(empty, Rotation(2));
            let f = meta.query_fixed(factor, Rotation::prev());
            let a = meta.query_advice(advice[0], Rotation(-2));
            let b = meta.query_advice(advice[1], Rotation(5));
            let value = meta.query_instance(instance, Rotation::cur());
            let constant = |number| Expression::Constant(Fr::from(number));
            let left = left(a.clone(), b, constant(7), constant(3));
            let difference = value - left - f * a;
            vec![q.clone() * difference.clone() + e.clone(), e * difference]
        });
        if lookup {
            meta.lookup_any("pairs", |meta| {
                let q = meta.query_fixed(enabled, Rotation::cur());
                let a = meta.query_advice(advice[2], Rotation::cur());
                let b = meta.query_advice(advice[3], Rotation::prev());
                let first = meta.query_advice(advice[4], Rotation::next());
                let second = meta.query_advice(advice[5], Rotation::next());
                vec![(q.clone() * a.square(), first), (q * b, second)]
            });
        }
        OddConfig {
            advice,
            enabled,
            factor,
            lookup,
        }
    }

    fn synthesize(&self, config: OddConfig, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let [a, b, f] = self.values();
        layouter.assign_region(
            || "all",
            |mut region| {
                region.assign_fixed(config.enabled, ROW, Fr::ONE);
                region.assign_fixed(config.factor, ROW - 1, Fr::from(FACTOR));
                let mut put = |column: usize, row: usize, value: Fr| {
                    region
                        .assign_advice(config.advice[column], row, Value::known(value))
                        .cell()
                };
                put(0, ROW - 2, a);
                put(1, ROW + 5, b);
                let mut last = None;
                if config.lookup {
                    for row in LIST {
                        let number = Fr::from(row as u64);
                        put(4, row, (number + a).square());
                        last = Some((put(5, row, number * b), number * b));
                    }
                    let number = Fr::from(3);
                    put(2, ROW, number + a);
                    put(3, ROW - 1, number * b);
                } else {
                    last = Some((put(5, 1, f), f));
                }
                if let Some((cell, value)) = last {
                    let copy = put(0, 20, value);
                    region.constrain_equal(cell, copy);
                }
                Ok(())
            },
        )
    }
}
