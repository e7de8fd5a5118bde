//! Both lookups of the gadget, by one sum of fractions (Haboeck, "Multivariate lookups based on logarithmic derivatives").
//!
//! That every chunk cell, and every cell that the host looks up, is below `2^17`: `sum 1 / (x - cell) = sum count_t / (x - t)`
//! over all cells and all t of the table. That every selected point is offered under its tag:
//! `sum 1 / (x - wanted) = sum chosen / (x - offered)`, where a tag and its eight limbs become one value
//! `sum theta^i value_i`. The first difference plus alpha times the second runs down one column and is 0 at both ends.
//! x, theta and alpha are drawn when all cells and both counts are committed.
//!
//! | constraint | degree |
//! |---|---|
//! | `part prod (x - cell_j) = sum_i prod_(j != i) (x - cell_j)`, three cells | 5 |
//! | `(next - running - sum parts) (x - t)(x - wanted)(x - offered) = alpha (selects (x - t)(x - offered) - chosen (x - t)(x - wanted)) - count (x - wanted)(x - offered)` | 5 |
//! | the running difference is 0 at the first row and behind the last | 2 |
//!
//! *Soundness.* Fewer than 2^24 fractions enter, so a false equation holds at x with probability below 2^25 / r, two different
//! tuples meet at theta below 2^43 / r, and two false sums cancel for one alpha. Counts cannot wrap modulo r.
//!
//! Halo2's own lookups would take three columns for each column looked up and sort each; these take six columns in all, which
//! is what the proof costs and what the next circuit verifies.

use std::collections::BTreeMap;

use ff::BatchInvert;
use halo2_proofs::circuit::{Region, Value};
use halo2_proofs::plonk::{
    Advice, Challenge, Column, ConstraintSystem, Expression, FirstPhase, Fixed, SecondPhase,
    VirtualCells,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::block::Grid;
use super::layout::{FixedName, WIDTH};
use crate::algebra::{over_common, sum};
use crate::window::{fold, invert_or_zero};

/// Name of the gate.
pub const GATE: &str = "foreign lookups";
/// Cells whose inverses one column sums up.
const PART: usize = 3;

/// A selection at a row: a tuple that is wanted where `selects` is 1, and the tuple that the row offers.
pub struct Selection<V> {
    /// Whether the row wants a point.
    pub selects: V,
    /// Tag and limbs that it wants.
    pub wanted: Vec<V>,
    /// Tag and limbs that it offers.
    pub offered: Vec<V>,
}

/// The columns of the sums.
#[derive(Clone, Debug)]
pub struct LogUp {
    cells: Vec<Column<Advice>>,
    counts: Column<Advice>,
    chosen: Column<Advice>,
    parts: Vec<Column<Advice>>,
    running: Column<Advice>,
    table: Column<Fixed>,
    active: Column<Fixed>,
    ends: Column<Fixed>,
    challenges: [Challenge; 3],
}

/// The challenges, once drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    /// Where the fractions are evaluated.
    pub x: Fr,
    /// Makes one value of a tuple.
    pub theta: Fr,
    /// Keeps the two sums apart.
    pub alpha: Fr,
}

/// What is looked up, and how often each entry of the tables is met.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Rows that take part; the row behind them holds the last sum.
    pub rows: usize,
    /// Cells in the range table, column by column; rows beyond a column's end hold 0.
    pub columns: Vec<Vec<u32>>,
    /// Rows that select, and the tuple of each.
    pub wanted: Vec<(usize, Vec<Fr>)>,
    /// Rows that offer, the tuple of each, and how many rows select it.
    pub offered: Vec<(usize, Vec<Fr>, u64)>,
}

/// Columns of the second phase, as values.
#[derive(Clone, Debug)]
pub struct Sums {
    /// The parts, column by column, [`Looked::rows`] each.
    pub parts: Vec<Vec<Fr>>,
    /// The running difference, one row more.
    pub running: Vec<Fr>,
}

impl Looked {
    /// The lookups of a grid, and of columns of the host beside it.
    #[must_use]
    pub fn of(grid: &Grid, host: Vec<Vec<u32>>, rows: usize) -> Self {
        let chunks = (0..WIDTH).map(|i| grid.chunks.iter().map(|row| row[i]).collect());
        let fixed = |name| grid.fixed.iter().filter(move |(own, ..)| *own == name);
        let mut offered: Vec<(usize, Vec<Fr>, u64)> = fixed(FixedName::Offered)
            .map(|(_, row, tag)| (*row, grid.offered(*row, *tag), 0))
            .collect();
        let places = offered.iter().enumerate();
        let places: BTreeMap<_, _> = places
            .map(|(place, (_, tuple, _))| (tuple_bytes(tuple), place))
            .collect();
        let wanted: Vec<(usize, Vec<Fr>)> = fixed(FixedName::Wanted)
            .map(|(_, row, tag)| (*row, grid.wanted(*row, *tag)))
            .collect();
        for (_, tuple) in &wanted {
            // what nobody offers is counted nowhere, so that nothing closes
            if let Some(place) = places.get(&tuple_bytes(tuple)) {
                offered[*place].2 += 1;
            }
        }
        Looked {
            rows,
            columns: chunks.chain(host).collect(),
            wanted,
            offered,
        }
    }

    /// How often each entry of the range table is met. Cells beyond the table are not counted, so that nothing closes.
    #[must_use]
    pub fn counts(&self, entries: usize) -> Vec<u64> {
        let mut counts = vec![0; entries];
        for column in &self.columns {
            for cell in column {
                if let Some(count) = counts.get_mut(*cell as usize) {
                    *count += 1;
                }
            }
            counts[0] += self.rows.saturating_sub(column.len()) as u64;
        }
        counts
    }

    /// The sums at drawn challenges.
    #[must_use]
    pub fn sums(&self, entries: usize, drawn: &Drawn) -> Sums {
        let mut inverses: Vec<Fr> = (0..entries as u64).map(|t| drawn.x - Fr::from(t)).collect();
        inverses.par_chunks_mut(1 << 12).for_each(|chunk| {
            chunk.batch_invert();
        });
        let inverse = |cell: u32| match inverses.get(cell as usize) {
            Some(known) => *known,
            None => invert_or_zero(drawn.x - Fr::from(u64::from(cell))),
        };
        let parts: Vec<Vec<Fr>> = self
            .columns
            .chunks(PART)
            .map(|columns| {
                let cell = |column: &Vec<u32>, row| inverse(column.get(row).copied().unwrap_or(0));
                let rows = (0..self.rows).into_par_iter();
                rows.map(|row| sum(columns.iter().map(|column| cell(column, row))))
                    .collect()
            })
            .collect();
        let mut steps = vec![Fr::zero(); self.rows];
        for part in &parts {
            steps
                .iter_mut()
                .zip(part)
                .for_each(|(step, part)| *step += part);
        }
        let table = self.counts(entries).into_iter().zip(&inverses);
        for (step, (count, inverse)) in steps.iter_mut().zip(table) {
            *step -= Fr::from(count) * inverse;
        }
        let fraction = |tuple: &[Fr]| {
            let value = fold(&drawn.theta, tuple.iter().copied());
            drawn.alpha * invert_or_zero(drawn.x - value)
        };
        for (row, tuple) in &self.wanted {
            steps[*row] += fraction(tuple);
        }
        for (row, tuple, times) in &self.offered {
            steps[*row] -= fraction(tuple) * Fr::from(*times);
        }
        let mut running = vec![Fr::zero()];
        running.extend(steps.iter().scan(Fr::zero(), |value, step| {
            *value += step;
            Some(*value)
        }));
        Sums { parts, running }
    }
}

fn tuple_bytes(tuple: &[Fr]) -> Vec<[u8; 32]> {
    tuple.iter().map(Fr::to_bytes).collect()
}

impl LogUp {
    /// Allocates the columns and adds the constraints. `selection` is queried at every row.
    pub(super) fn configure(
        meta: &mut ConstraintSystem<Fr>,
        cells: Vec<Column<Advice>>,
        selection: impl FnOnce(&mut VirtualCells<'_, Fr>) -> Selection<Expression<Fr>>,
    ) -> Self {
        let (counts, chosen) = (meta.advice_column(), meta.advice_column());
        let [table, active, ends] = [(); 3].map(|()| meta.fixed_column());
        let challenges = [(); 3].map(|()| meta.challenge_usable_after(FirstPhase));
        let parts = cells.chunks(PART);
        let parts = parts.map(|_| meta.advice_column_in(SecondPhase)).collect();
        let running = meta.advice_column_in(SecondPhase);
        let config = LogUp {
            cells,
            counts,
            chosen,
            parts,
            running,
            table,
            active,
            ends,
            challenges,
        };
        meta.create_gate(GATE, |meta| {
            let selection = selection(meta);
            config.constraints(meta, selection)
        });
        config
    }

    fn constraints(
        &self,
        meta: &mut VirtualCells<'_, Fr>,
        selection: Selection<Expression<Fr>>,
    ) -> Vec<(&'static str, Expression<Fr>)> {
        let [x, theta, alpha] = self.challenges.map(|one| meta.query_challenge(one));
        let [table, active, ends] =
            [self.table, self.active, self.ends].map(|one| meta.query_fixed(one, Rotation::cur()));
        let mut out = Vec::new();
        let mut parts = Vec::new();
        for (column, cells) in self.parts.iter().zip(self.cells.chunks(PART)) {
            let factors: Vec<_> = cells
                .iter()
                .map(|cell| x.clone() - meta.query_advice(*cell, Rotation::cur()))
                .collect();
            let part = meta.query_advice(*column, Rotation::cur());
            let (above, below) = over_common(&factors);
            out.push((
                "sum of inverses",
                active.clone() * (part.clone() * below - above),
            ));
            parts.push(part);
        }
        let running = meta.query_advice(self.running, Rotation::cur());
        let next = meta.query_advice(self.running, Rotation::next());
        let [counts, chosen] =
            [self.counts, self.chosen].map(|one| meta.query_advice(one, Rotation::cur()));
        let entry = x.clone() - table;
        let wanted = x.clone() - fold(&theta, selection.wanted.into_iter());
        let offered = x - fold(&theta, selection.offered.into_iter());
        let step = next - running.clone() - sum(parts);
        let selected = selection.selects * offered.clone() - chosen * wanted.clone();
        let both = wanted * offered;
        let difference = (step * entry.clone() + counts) * both - alpha * selected * entry;
        out.push(("running difference", active * difference));
        out.push(("difference is 0 at its ends", ends * running));
        out
    }

    /// The challenges, if they are drawn.
    #[must_use]
    pub fn drawn(&self, challenge: impl Fn(Challenge) -> Value<Fr>) -> Option<Drawn> {
        let mut known = Vec::new();
        for one in self.challenges {
            challenge(one).map(|value| known.push(value));
        }
        let [x, theta, alpha] = known.try_into().ok()?;
        Some(Drawn { x, theta, alpha })
    }

    /// Fixed cells and the counts.
    pub fn assign(&self, region: &mut Region<'_, Fr>, entries: usize, looked: &Looked) {
        for row in 0..looked.rows {
            region.assign_fixed(self.active, row, Fr::one());
        }
        for row in [0, looked.rows] {
            region.assign_fixed(self.ends, row, Fr::one());
        }
        for (entry, count) in looked.counts(entries).into_iter().enumerate() {
            let value = Fr::from(entry as u64);
            region.assign_fixed(self.table, entry, value);
            region.assign_advice(self.counts, entry, Value::known(Fr::from(count)));
        }
        for (row, _, times) in &looked.offered {
            region.assign_advice(self.chosen, *row, Value::known(Fr::from(*times)));
        }
    }

    /// The columns of the second phase.
    pub fn assign_sums(&self, region: &mut Region<'_, Fr>, sums: &Sums) {
        let columns = self.parts.iter().zip(&sums.parts);
        for (column, values) in columns.chain([(&self.running, &sums.running)]) {
            for (row, value) in values.iter().enumerate() {
                region.assign_advice(*column, row, Value::known(*value));
            }
        }
    }
}
