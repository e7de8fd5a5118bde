//! The columns of the second phase, once their challenges are drawn: running products, and sums of inverses.

use ff::BatchInvert;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::bytes::{ACROSS, TABLE, row_fractions};
use super::layout::{BYTES, COUNTS, HASH3, HASH3_STARTS, HASH6, HASH6_STARTS, ROWS, leaves};
use super::memory::{Reader, access_step, leaf_step, made_by_leaf, made_by_node, used_by_node};
use super::tree::{leaf_row, node_row, nodes};
use super::{LaneShape, pool};
use crate::trace::{Trace, at};
use crate::window::Pos;

/// The columns from the first slot's first row to the end's.
pub(super) struct Running {
    pub(super) memory: Vec<Fr>,
    pub(super) tree: Vec<Fr>,
    pub(super) hashes: Vec<Fr>,
}

/// Cells of a trace as values.
pub(super) struct TraceReader<'a> {
    trace: &'a Trace,
    row: usize,
    clock: Fr,
    first: Fr,
    challenges: [Fr; 2],
}

/// A reader at the first row of a slot's block.
pub(super) fn reader<'a>(
    shape: &LaneShape,
    trace: &'a Trace,
    slot: usize,
    challenges: [Fr; 2],
) -> TraceReader<'a> {
    TraceReader {
        trace,
        row: shape.slot_row(slot),
        clock: Fr::from(3 * slot as u64),
        first: Fr::from(u64::from(slot.is_multiple_of(2))),
        challenges,
    }
}

impl Reader for TraceReader<'_> {
    type Value = Fr;

    fn cell(&mut self, place: Pos) -> Fr {
        let row = self.row.wrapping_add_signed(place.rotation as isize);
        self.trace.get(at(place.column, row))
    }

    fn clock(&mut self) -> Fr {
        self.clock
    }

    fn first(&mut self) -> Fr {
        self.first
    }

    fn challenges(&self) -> [Fr; 2] {
        self.challenges
    }
}

/// What each row of a block brings: memory above and below, tree above and below, hashes above and below.
fn steps(reader: &mut TraceReader<'_>, slot: usize) -> [[Fr; 6]; ROWS] {
    let first = reader.row;
    let mut steps = [[Fr::one(); 6]; ROWS];
    let (above, below) = access_step(reader);
    (steps[0][0], steps[0][1]) = (above, below);
    for (step, row) in steps.iter_mut().enumerate().take(pool::STEPS) {
        row[5] = pool::asked(reader, step);
    }
    for (spread, starts, step) in [
        (HASH6, &HASH6_STARTS[..], pool::STEP6),
        (HASH3, &HASH3_STARTS[..], pool::STEP3),
    ] {
        for start in starts {
            reader.row = first + start;
            steps[start + step][4] = pool::answered(reader, spread);
        }
    }
    for i in 0..leaves(slot) {
        let row = leaf_row(i) + 1;
        reader.row = first + row;
        let (above, below) = leaf_step(reader);
        (steps[row][0], steps[row][1]) = (above, below);
        steps[row][2] = made_by_leaf(reader);
    }
    for i in 0..nodes(slot) {
        let row = node_row(slot, i);
        reader.row = first + row;
        steps[row][3] = used_by_node(reader, true);
        reader.row += 1;
        steps[row + 1][2] = made_by_node(reader);
        steps[row + 1][3] = used_by_node(reader, false);
    }
    steps
}

/// The running products.
pub(super) fn running(shape: &LaneShape, trace: &Trace, challenges: [Fr; 2]) -> Running {
    let steps: Vec<[[Fr; 6]; ROWS]> = (0..2 * shape.pairs)
        .into_par_iter()
        .map(|slot| steps(&mut reader(shape, trace, slot, challenges), slot))
        .collect();
    let product = |above: usize, below: usize| {
        let mut inverses: Vec<Fr> = steps.iter().flatten().map(|step| step[below]).collect();
        // a factor of 0 has no inverse and stays: no product satisfies its row
        inverses.par_chunks_mut(1 << 12).for_each(|chunk| {
            chunk.batch_invert();
        });
        let mut value = Fr::one();
        let mut out = vec![value];
        for (step, inverse) in steps.iter().flatten().zip(inverses) {
            value *= step[above] * inverse;
            out.push(value);
        }
        out
    };
    Running {
        memory: product(0, 1),
        tree: product(2, 3),
        hashes: product(4, 5),
    }
}

/// Sums of inverses of the bytes, column by column from the first row to the last with bytes, and the
/// running difference, one row longer.
pub(super) fn inverses(shape: &LaneShape, trace: &Trace, x: Fr) -> (Vec<Vec<Fr>>, Vec<Fr>) {
    let rows: Vec<Vec<Fr>> = (0..shape.slot_row(2 * shape.pairs))
        .into_par_iter()
        .map(|row| {
            let bytes: Vec<Fr> = (0..ACROSS).map(|i| trace.get(at(BYTES + i, row))).collect();
            let table = Fr::from(table(row));
            let fractions = row_fractions(&bytes, trace.get(at(COUNTS, row)), table, x);
            let (above, mut below): (Vec<Fr>, Vec<Fr>) = fractions.into_iter().unzip();
            below.batch_invert();
            above.iter().zip(below).map(|(a, b)| a * b).collect()
        })
        .collect();
    let parts = rows.first().map_or(0, Vec::len) - 1;
    let columns = (0..parts)
        .map(|part| rows.iter().map(|row| row[part]).collect())
        .collect();
    let mut running = vec![Fr::zero()];
    let mut value = Fr::zero();
    for row in &rows {
        value += row.iter().sum::<Fr>();
        running.push(value);
    }
    (columns, running)
}

/// The table's byte in a row.
pub(super) fn table(row: usize) -> u64 {
    if row < TABLE { row as u64 } else { 0 }
}
