//! Every cell of every kind of block, changed: refused, or on the list of cells that nothing reads.

use std::collections::{BTreeMap, BTreeSet};

use halo2curves::bn256::{Fr, G1Affine};
use rand::Rng;
use snark_verifier::loader::halo2::EccInstructions;

use super::super::block::Block;
use super::super::host::HostCircuit;
use super::super::integer::CHUNK_BITS;
use super::super::layout::{FIRST_ROW, INDEX, INDEX_SHIFTED, WIDTH};
use super::checker::Checker;
use super::{host, random_point, random_scalar, rng};

/// A circuit with every kind of block.
fn circuit() -> HostCircuit {
    let mut rng = rng(1);
    let mut circuit = host(false);
    let mut chip = circuit.chip.clone();
    let manager = circuit.builder.pool(0);
    let scalar = manager.main().load_witness(random_scalar(&mut rng));
    let point = chip.assign_point(manager, random_point(&mut rng));
    let sum = chip.variable_base_msm(manager, &[(&scalar, &point)]);
    let sum = chip.sum_with_const(manager, &[&sum], G1Affine::generator());
    chip.to_instance_limbs(manager, &sum);
    circuit
}

fn kind(before: Option<&Block>, block: &Block) -> &'static str {
    match (block, before) {
        (Block::Load { .. }, _) => "load",
        (Block::Fetch { .. }, _) => "fetch",
        (Block::Add { explicit: None, .. }, _) => "add",
        (Block::Add { .. }, _) => "add explicit",
        (Block::Double { .. }, _) => "double",
        (Block::Finish { .. }, Some(Block::Load { .. })) => "finish load",
        (Block::Finish { .. }, Some(Block::Fetch { .. })) => "finish fetch",
        (Block::Finish { .. }, _) => "finish",
        (Block::Constant { .. }, _) => "constant",
    }
}

/// Cells that nothing reads: chunk cells by number, free cells by row.
fn unread(kind: &str) -> (Vec<usize>, Vec<usize>) {
    match kind {
        "load" => (vec![INDEX], [2, 3, 4, 5, 6, 7, 10].into()),
        "fetch" => ((0..41).chain([87]).collect(), vec![10]),
        "add" | "add explicit" => (vec![70, 71], vec![]),
        "double" => (vec![INDEX, INDEX_SHIFTED, 70, 71], vec![8, 9, 10]),
        "finish fetch" => ((15..48).collect(), (0..6).collect()),
        "constant" => (vec![15, 31], (0..4).collect()),
        _ => ([15].into_iter().chain(42..48).collect(), (0..6).collect()),
    }
}

#[test]
fn every_changed_cell_is_refused_unless_nothing_reads_it() {
    let mut rng = rng(2);
    let circuit = circuit();
    let checker = Checker::new(&circuit);
    let tape = circuit.chip.tape();
    let honest = tape.grid().as_ref().clone();
    assert_eq!(checker.failure(&honest), None);
    let mut kinds = BTreeMap::new();
    let (mut row, mut before) = (FIRST_ROW, None);
    for block in tape.blocks() {
        kinds
            .entry(kind(before, block))
            .or_insert((row, block.rows()));
        row += block.rows();
        before = Some(block);
    }
    assert_eq!(kinds.len(), 9);
    let random = |rng: &mut rand_chacha::ChaCha20Rng| rng.r#gen::<u32>() % (1 << CHUNK_BITS);
    for (kind, (row, rows)) in kinds {
        let mut accepted = (BTreeSet::new(), BTreeSet::new());
        for place in 0..rows * WIDTH {
            let (row, column) = (row + place / WIDTH, place % WIDTH);
            let value = honest.chunks[row][column];
            let next = (value + 1) % (1 << CHUNK_BITS);
            for change in [next, value ^ 1, 0, random(&mut rng)] {
                let mut grid = honest.clone();
                grid.chunks[row][column] = change;
                if change != value && checker.failure_near(&grid, row..row + 1).is_none() {
                    accepted.0.insert(place);
                }
            }
        }
        for offset in 0..rows {
            let value = honest.free[row + offset];
            for change in [value + Fr::one(), -value, random_scalar(&mut rng)] {
                let mut grid = honest.clone();
                grid.free[row + offset] = change;
                let near = row + offset..row + offset + 1;
                if change != value && checker.failure_near(&grid, near).is_none() {
                    accepted.1.insert(offset);
                }
            }
        }
        let (chunks, free) = unread(kind);
        assert_eq!(accepted.0.into_iter().collect::<Vec<_>>(), chunks, "{kind}");
        assert_eq!(accepted.1.into_iter().collect::<Vec<_>>(), free, "{kind}");
    }
}
