//! Gates and fixed cells of the data circuit. No constraint exceeds degree 6, selector included.
//!
//! | gate | switched on by | constraints | degree |
//! |---|---|---|---|
//! | `edge` | `Edge` 1 or 2 | chain cell = public input, or = constant | 3 |
//! | `crumb` | `Crumb` | cell below - 4 cell is a crumb, four columns | 5 |
//! | `full round` | `FullRound` | six S-box inputs from the six before | 6 |
//! | `partial round` | `PartialRound` | one S-box input from the six before | 6 |
//! | `block` | `Block` | once a group: tags, flags, sums, first and last rounds | 6 |
//!
//! The 3 and 2 full rounds within a half and the partial rounds 7 to 60 differ only in their constant,
//! which is a fixed cell; the other rounds (entering from inputs, entering and leaving the partial
//! rounds) have constants baked in.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use protocol::words::iv_data;

use super::equations::{AFTER_PARTIAL, Block, FIRST_PARTIAL, INPUTS, crumb, hash_row, y_row};
use super::layout::{
    BLOCK_ROWS, CHAIN, COUNTS, DataColumns, ENABLED, Fixed, H, HASH_OUT, PLACES, SEQUENCES, TAGGED,
    Y, Z, block_start,
};
use crate::convert::to_circuit;
use crate::gadgets::poseidon;
use crate::instance::data as instance;

/// Elements of the permutation's state.
const WIDTH: usize = INPUTS + 1;
/// A full round whose constants are fixed cells, as a pattern for all: schedule index it reads.
const FULL_PATTERN: usize = INPUTS;
/// A partial round whose constant is a fixed cell, as a pattern for all: first index it reads.
const PARTIAL_PATTERN: usize = FIRST_PARTIAL;

/// Adds all gates.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, columns: &DataColumns) {
    edge(meta, columns);
    crumbs(meta, columns);
    full_round(meta, columns);
    partial_round(meta, columns);
    block(meta, columns);
}

fn rotation(rows: usize) -> Rotation {
    Rotation(i32::try_from(rows).expect("rotations are shorter than two blocks"))
}

fn edge(meta: &mut ConstraintSystem<Fr>, columns: &DataColumns) {
    meta.create_gate("edge", |meta| {
        let edge = meta.query_fixed(columns.fixed(Fixed::Edge), Rotation::cur());
        let constant = meta.query_fixed(columns.fixed(Fixed::Constant), Rotation::cur());
        let public = meta.query_instance(columns.instance, Rotation::cur());
        let cell = meta.query_advice(columns.advice[CHAIN], Rotation::cur());
        let number = |value: u64| Expression::Constant(Fr::from(value));
        let is_public = edge.clone() * (number(2) - edge.clone());
        let is_constant = edge.clone() * (edge - number(1));
        [
            ("public input", is_public * (cell.clone() - public)),
            ("initial state", is_constant * (cell - constant)),
        ]
    });
}

fn crumbs(meta: &mut ConstraintSystem<Fr>, columns: &DataColumns) {
    meta.create_gate("crumb", |meta| {
        let selector = meta.query_fixed(columns.fixed(Fixed::Crumb), Rotation::cur());
        let constraints: Vec<_> = (0..PLACES)
            .map(|place| {
                let above = meta.query_advice(columns.advice[place], Rotation::cur());
                let below = meta.query_advice(columns.advice[place], Rotation::next());
                let difference = below - above * Fr::from(4);
                (
                    format!("place {place} crumb"),
                    selector.clone() * crumb(&difference),
                )
            })
            .collect();
        constraints
    });
}

/// What schedule cell `index` is when all cells it reads are 0: its round constant.
fn constant_of(index: usize) -> Fr {
    poseidon::schedule(WIDTH).next(index, &|_| Fr::zero())
}

fn full_round(meta: &mut ConstraintSystem<Fr>, columns: &DataColumns) {
    meta.create_gate("full round", |meta| {
        let selector = meta.query_fixed(columns.fixed(Fixed::FullRound), Rotation::cur());
        let cells: Vec<_> = (0..2 * WIDTH)
            .map(|row| meta.query_advice(columns.advice[CHAIN], rotation(row)))
            .collect();
        let constraints: Vec<_> = (0..WIDTH)
            .map(|lane| {
                let constant = meta.query_fixed(columns.fixed(Fixed::Constant), rotation(lane));
                let index = FULL_PATTERN + WIDTH + lane;
                let baked: Expression<Fr> = poseidon::schedule(WIDTH)
                    .next(index, &|index| cells[index - FULL_PATTERN].clone());
                let next = baked - Expression::Constant(constant_of(index)) + constant;
                let cell = cells[WIDTH + lane].clone();
                (
                    format!("full round lane {lane}"),
                    selector.clone() * (cell - next),
                )
            })
            .collect();
        constraints
    });
}

fn partial_round(meta: &mut ConstraintSystem<Fr>, columns: &DataColumns) {
    meta.create_gate("partial round", |meta| {
        let selector = meta.query_fixed(columns.fixed(Fixed::PartialRound), Rotation::cur());
        let constant = meta.query_fixed(columns.fixed(Fixed::Constant), Rotation::cur());
        let cells: Vec<_> = (0..=WIDTH)
            .map(|row| meta.query_advice(columns.advice[CHAIN], rotation(row)))
            .collect();
        let index = PARTIAL_PATTERN + WIDTH;
        let baked: Expression<Fr> =
            poseidon::schedule(WIDTH).next(index, &|index| cells[index - PARTIAL_PATTERN].clone());
        let next = baked - Expression::Constant(constant_of(index)) + constant;
        [("partial round", selector * (cells[WIDTH].clone() - next))]
    });
}

/// Schedule cells whose equation is baked into the `block` gate.
fn baked_cells() -> impl Iterator<Item = usize> {
    (INPUTS..INPUTS + WIDTH)
        .chain(FIRST_PARTIAL..FIRST_PARTIAL + WIDTH)
        .chain(AFTER_PARTIAL..AFTER_PARTIAL + WIDTH)
}

fn block(meta: &mut ConstraintSystem<Fr>, columns: &DataColumns) {
    meta.create_gate("block", |meta| {
        let selector = meta.query_fixed(columns.fixed(Fixed::Block), Rotation::cur());
        let meta = std::cell::RefCell::new(meta);
        let query = |column: usize, row: usize| {
            meta.borrow_mut()
                .query_advice(columns.advice[column], rotation(row))
        };
        let chain = |row: usize| query(CHAIN, row);
        let block: Block<'_, Expression<Fr>> = Block {
            place: &query,
            chain: &chain,
        };
        let mut constraints: Vec<(String, Expression<Fr>)> = block.rules();
        let mut define = |name: String, row: usize, value: Expression<Fr>| {
            constraints.push((name, chain(row) - value));
        };
        for index in baked_cells() {
            define(
                format!("s-box input {index}"),
                hash_row(index),
                block.s_box_input(index),
            );
        }
        define("hash".to_owned(), HASH_OUT, block.hash());
        define("h".to_owned(), H, block.h());
        define("z".to_owned(), Z, block.z());
        for place in 0..PLACES {
            for sequence in 0..SEQUENCES {
                let name = format!("place {place} y {sequence}");
                define(name, y_row(place, sequence), block.y(place, sequence));
            }
        }
        define("counts".to_owned(), COUNTS, block.counts());
        define("enabled".to_owned(), ENABLED, block.enabled());
        let gated: Vec<_> = constraints
            .into_iter()
            .map(|(name, value)| (name, selector.clone() * value))
            .collect();
        gated
    });
}

/// All fixed cells that are not 0.
pub(super) fn fixed_cells(capacity: usize) -> Vec<(Fixed, usize, Fr)> {
    let mut pattern = vec![(Fixed::Block, 0, Fr::one())];
    pattern.extend((0..TAGGED).map(|row| (Fixed::Crumb, row, Fr::one())));
    let full_rounds = (1..3)
        .map(|round| INPUTS + WIDTH * round)
        .chain((1..4).map(|round| AFTER_PARTIAL + WIDTH * round));
    for index in full_rounds {
        let row = hash_row(index - WIDTH);
        pattern.push((Fixed::FullRound, row, Fr::one()));
        for lane in 0..WIDTH {
            pattern.push((Fixed::Constant, row + lane, constant_of(index + lane)));
        }
    }
    for index in FIRST_PARTIAL + WIDTH..AFTER_PARTIAL {
        let row = hash_row(index - WIDTH);
        pattern.push((Fixed::PartialRound, row, Fr::one()));
        pattern.push((Fixed::Constant, row, constant_of(index)));
    }

    let mut cells = Vec::with_capacity(capacity * pattern.len() + 2 * BLOCK_ROWS);
    for group in 0..capacity {
        let start = block_start(capacity, group);
        cells.extend(
            pattern
                .iter()
                .map(|(name, row, value)| (*name, start + row, *value)),
        );
    }
    cells.extend((0..instance::LEN).map(|row| (Fixed::Edge, row, Fr::one())));
    let tail = capacity * BLOCK_ROWS;
    let zeros = (Y..Y + SEQUENCES)
        .chain([COUNTS])
        .map(|row| (row, Fr::zero()));
    let initial = [(H, to_circuit(iv_data())), (ENABLED, Fr::one())];
    for (row, value) in zeros.chain(initial) {
        cells.push((Fixed::Edge, tail + row, Fr::from(2)));
        cells.push((Fixed::Constant, tail + row, value));
    }
    cells
}
