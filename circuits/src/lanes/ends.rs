//! The blocks before the first slot and behind the last: the threaded state, opened from its digest D.
//!
//! Both hold the 19 elements of a state where a slot holds its state *after*, so that a slot beside the start threads
//! as beside any other. Their permutations 0 and 1 are `(root, h, counts, counters, block)` and
//! `(first hash, G, acc, members, tag)`, which is D. Gate `ends`: the packings, the tag, phase in 0..4, number of
//! fee leaves in 0..5 (degree 6). At the start every packed element has its width: the bytes of the rows with
//! pattern `Long` bound eight of 64 bits, those of pattern `Wide` four of 32 bits. The end needs none: its elements were
//! computed from the start's. Its root is the prover's, and `memory` compares it with the tree.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use protocol::threaded::{Threaded, tag_state};

use super::bytes::{self, PATTERN_OF_ROW, Pattern};
use super::layout::{CELLS, HASH6, HASH6_STARTS, ROWS, WIDTH, below, rule};
use crate::algebra::Algebra;
use crate::chunk::{STATE, elements, packings, state_after};
use crate::convert::to_circuit;
use crate::layout::{Columns, Fixed};
use crate::trace::{At, Block, at};
use crate::window::{Folding, GateWindow, Pos, Window, WitnessWindow, pos};

/// Elements of 64 bits, by their place in the state.
const WIDE: [usize; 8] = [2, 3, 4, 5, 6, 7, 8, 15];
const PHASE: usize = 9;
const FEES: [usize; 4] = [10, 11, 12, 13];
const FEE_COUNT: usize = 14;

fn element(i: usize) -> Pos {
    rule(state_after(i))
}

fn input(hash: usize, i: usize) -> Pos {
    below(HASH6.input(i), HASH6_STARTS[hash])
}

/// D, from the block's first row.
pub(super) fn digest() -> At {
    let place = below(HASH6.out(), HASH6_STARTS[1]);
    at(place.column, place.rotation as usize)
}

/// The cells whose bytes bound an element at the start, and the element.
fn bounded() -> impl Iterator<Item = (Pos, usize)> {
    let group = |wanted: Pattern, width: usize| {
        let rows = PATTERN_OF_ROW.into_iter().enumerate();
        rows.filter(move |(_, pattern)| *pattern == wanted)
            .flat_map(move |(row, pattern)| {
                let groups = pattern.widths().iter().enumerate();
                groups
                    .filter(move |(_, bits)| **bits == width)
                    .map(move |(group, _)| pos(row as i32, CELLS + group))
            })
    };
    let wide = group(Pattern::Long, 64).zip(WIDE);
    wide.chain(group(Pattern::Wide, 32).zip(FEES))
}

/// Adds the gates.
pub(super) fn configure(
    meta: &mut ConstraintSystem<Fr>,
    columns: &Columns,
    folding: Option<Folding>,
) {
    meta.create_gate("ends", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Ends);
        packed(&mut window);
        window.finish_folded(folding)
    });
    meta.create_gate("start", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Start);
        for (place, i) in bounded() {
            let value = window.get(element(i));
            window.define("width of an element", place, value);
        }
        window.finish_folded(folding)
    });
    meta.create_gate("end", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::End);
        for i in 1..STATE {
            let above = element(i);
            let last = window.get(pos(above.rotation - ROWS as i32, above.column));
            window.define("the end is the last slot's", element(i), last);
        }
        window.finish_folded(folding)
    });
}

fn packed<W: Window>(window: &mut W) {
    let [counts, counters, block] = packings(|i| window.get(element(i)));
    let [root, h, group, accumulator, members] = [0, 1, 16, 17, 18].map(|i| window.get(element(i)));
    window.define("root", input(0, 0), root);
    window.define("h", input(0, 1), h);
    window.define("word counts", input(0, 2), counts);
    window.define("counters", input(0, 3), counters);
    window.define("block", input(0, 4), block);
    let first = window.get(below(HASH6.out(), HASH6_STARTS[0]));
    window.define("first hash", input(1, 0), first);
    window.define("G", input(1, 1), group);
    window.define("running hash", input(1, 2), accumulator);
    window.define("members", input(1, 3), members);
    let tag = W::Value::constant(to_circuit(tag_state()));
    window.define("tag", input(1, 4), tag);
    for (name, i, values) in [("phase", PHASE, 4), ("number of fee leaves", FEE_COUNT, 5)] {
        let value = window.get(element(i));
        let product = (0..values).fold(W::Value::number(1), |product, allowed| {
            product * (value.clone() - W::Value::number(allowed))
        });
        window.constrain(name, product);
    }
}

/// The block of an end, and its digest.
pub(super) fn assign(state: &Threaded, is_start: bool) -> (Block, Fr) {
    let mut block = Block::wide(ROWS, WIDTH);
    let mut set = |place: Pos, value: Fr| {
        block.set(at(place.column, place.rotation as usize), value);
    };
    let elements = elements(state);
    for (i, value) in elements.iter().enumerate() {
        set(element(i), *value);
    }
    if is_start {
        for (place, i) in bounded() {
            set(place, elements[i]);
        }
        // every element of a `Threaded` has its width by its type
        let fits = bytes::assign(&mut block);
        debug_assert_eq!(fits, Ok(()));
    }
    packed(&mut WitnessWindow::new(&mut block, 0, &[]));
    let read = |block: &Block, hash: usize| -> Vec<Fr> {
        (0..5)
            .map(|i| input(hash, i))
            .map(|place| block.get(at(place.column, place.rotation as usize)))
            .collect()
    };
    let inputs = read(&block, 0);
    let first = HASH6.assign(&mut block, HASH6_STARTS[0], &inputs);
    let mut inputs = read(&block, 1);
    inputs[0] = first;
    let digest = HASH6.assign(&mut block, HASH6_STARTS[1], &inputs);
    (block, digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packed_element_is_bounded_once() {
        let mut places: Vec<Pos> = bounded().map(|(place, _)| place).collect();
        assert_eq!(places.len(), WIDE.len() + FEES.len());
        let bounds: Vec<Pos> = places.clone();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), bounds.len());
        // an element that already stands beside its own bytes is bounded there
        for (place, i) in bounded() {
            let own = element(i);
            assert!(own.column < CELLS || !bounds.contains(&own) || own == place);
        }
    }
}
