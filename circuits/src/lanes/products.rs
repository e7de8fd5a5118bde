//! The running products of a trace, once their challenges are drawn.

use ff::BatchInvert;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::LaneShape;
use super::layout::{LEAVES, NODES, ROWS};
use super::memory::{
    Reader, access_step, leaf_step, made_by_leaf, made_by_node, used_by_node,
};
use super::tree::{leaf_row, node_row};
use crate::trace::{Trace, at};
use crate::window::Pos;

/// Both columns from the first slot's first row to the end's.
pub(super) struct Running {
    pub(super) memory: Vec<Fr>,
    pub(super) tree: Vec<Fr>,
}

struct TraceReader<'a> {
    trace: &'a Trace,
    row: usize,
    clock: Fr,
    challenges: [Fr; 2],
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

    fn challenges(&self) -> [Fr; 2] {
        self.challenges
    }
}

/// What each row of a block brings: memory above and below, tree above and below.
fn steps(reader: &mut TraceReader<'_>) -> [[Fr; 4]; ROWS] {
    let first = reader.row;
    let mut steps = [[Fr::one(); 4]; ROWS];
    let (above, below) = access_step(reader);
    (steps[0][0], steps[0][1]) = (above, below);
    for i in 0..LEAVES {
        let row = leaf_row(i) + 1;
        reader.row = first + row;
        let (above, below) = leaf_step(reader);
        steps[row] = [above, below, made_by_leaf(reader), Fr::one()];
    }
    for i in 0..NODES {
        let row = node_row(i);
        reader.row = first + row;
        steps[row][3] = used_by_node(reader, true);
        reader.row += 1;
        steps[row + 1][2] = made_by_node(reader);
        steps[row + 1][3] = used_by_node(reader, false);
    }
    steps
}

/// Both running products.
pub(super) fn running(shape: &LaneShape, trace: &Trace, challenges: [Fr; 2]) -> Running {
    let steps: Vec<[[Fr; 4]; ROWS]> = (0..2 * shape.pairs)
        .into_par_iter()
        .map(|slot| {
            steps(&mut TraceReader {
                trace,
                row: shape.slot_row(slot),
                clock: Fr::from(3 * slot as u64),
                challenges,
            })
        })
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
    }
}
