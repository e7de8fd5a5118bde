//! The two ends of a chunk: a threaded state, opened from its digest D (`protocol::threaded`).
//!
//! Rows of an end:
//!
//! | row | kind | cells |
//! |---|---|---|
//! | 0 | `Ends` | the 19 elements of the state in `0..19`, then domain, counts, counters, block, tag |
//! | 1 | `Poseidon6` | (root, h, counts, counters, block) |
//! | 2 | `Poseidon6` | (first hash, G, acc, members, tag): D |
//! | 3 .. 13 | range rows | at the start only: every packed element has its width |
//!
//! Gate `ends`: the three packings, the tag, phase in 0..4 and number of fee leaves in 0..5 (degree 6).
//! The end needs no range checks: its elements were computed from the start's.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use protocol::threaded::{Threaded, tag_state};

use super::cells::STATE;
use crate::algebra::{Algebra, sum};
use crate::convert::{power_of_two, to_circuit};
use crate::gadgets::poseidon::{self, OUT};
use crate::gadgets::range::{self, Pattern};
use crate::layout::{Columns, Fixed};
use crate::trace::{At, Block, Wiring, at};
use crate::window::{GateWindow, Window, WitnessWindow, pos};

/// Rows of the start.
pub(super) const START_ROWS: usize = 13;
/// Rows of the end.
pub(super) const END_ROWS: usize = 3;

/// Column of the domain; constrained by the instance and by copies, at the start only.
pub(super) const DOMAIN: usize = STATE;
const COUNTS: usize = STATE + 1;
const COUNTERS: usize = STATE + 2;
const BLOCK: usize = STATE + 3;
const TAG: usize = STATE + 4;

/// Elements of the state by their place in `cells`, that need a range check at the start.
const WIDE: [usize; 8] = [2, 3, 4, 5, 6, 7, 8, 15];
const PHASE: usize = 9;
const FEES: [usize; 4] = [10, 11, 12, 13];
const FEE_COUNT: usize = 14;

/// The elements of a threaded state, in the order of `cells`.
pub(crate) fn elements(state: &Threaded) -> [Fr; STATE] {
    let fees = state
        .fee_leaves
        .places()
        .map(|leaf| Fr::from(u64::from(leaf.0)));
    [
        to_circuit(state.root),
        to_circuit(state.h),
        Fr::from(state.counts.ops),
        Fr::from(state.counts.withdrawals),
        Fr::from(state.counts.inbox),
        Fr::from(state.counts.signed_operations),
        Fr::from(state.leaf_count),
        Fr::from(state.inbox_count),
        Fr::from(state.height.0),
        Fr::from(u64::from(state.phase.number())),
        fees[0],
        fees[1],
        fees[2],
        fees[3],
        Fr::from(u64::from(state.fee_leaves.count())),
        Fr::from(state.last_bid_height.0),
        to_circuit(state.group.hash),
        to_circuit(state.group.accumulator),
        Fr::from(state.group.members),
    ]
}

/// Adds the gate.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
    meta.create_gate("ends", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Ends);
        packed(&mut window);
        window.finish()
    });
}

/// Counts, counters and block: the elements of a state as its digest packs them.
pub(crate) fn packings<V: Algebra>(mut element: impl FnMut(usize) -> V) -> [V; 3] {
    let mut pack = |fields: &[(usize, u32)]| {
        sum(fields
            .iter()
            .map(|(i, shift)| element(*i) * power_of_two(*shift))
            .collect::<Vec<_>>())
    };
    let counts = pack(&[(2, 0), (3, 64), (4, 128), (5, 192)]);
    let counters = pack(&[(6, 0), (8, 64), (7, 128)]);
    let block = pack(&[
        (FEES[0], 0),
        (FEES[1], 32),
        (FEES[2], 64),
        (FEES[3], 96),
        (FEE_COUNT, 128),
        (PHASE, 131),
        (15, 133),
    ]);
    [counts, counters, block]
}

fn packed<W: Window>(window: &mut W) {
    let [counts, counters, block] = packings(|column| window.get(pos(0, column)));
    window.define("word counts", pos(0, COUNTS), counts);
    window.define("counters", pos(0, COUNTERS), counters);
    window.define("block", pos(0, BLOCK), block);
    window.define(
        "tag",
        pos(0, TAG),
        W::Value::constant(to_circuit(tag_state())),
    );
    for (name, column, values) in [("phase", PHASE, 4), ("number of fee leaves", FEE_COUNT, 5)] {
        let value = window.get(pos(0, column));
        let product = (0..values).fold(W::Value::number(1), |product, allowed| {
            product * (value.clone() - W::Value::number(allowed))
        });
        window.constrain(name, product);
    }
}

/// Element `i` of the state at an end that starts at `row`.
pub(super) fn element(row: usize, i: usize) -> At {
    at(i, row)
}

/// The digest D.
pub(super) fn digest(row: usize) -> At {
    at(OUT, row + 2)
}

/// Range rows of the start: pattern, then the elements of its groups (`None`: unused).
fn ranges() -> Vec<(Pattern, Vec<Option<usize>>)> {
    let wide = WIDE.map(|element| (Pattern::Bytes15And8, vec![None, Some(element)]));
    let fees = [[FEES[0], FEES[1]], [FEES[2], FEES[3]]]
        .map(|[a, b]| (Pattern::Bytes15And4And4, vec![None, Some(a), Some(b)]));
    wide.into_iter().chain(fees).collect()
}

/// Switches an end on at `row`.
pub(super) fn wire(wiring: &mut Wiring, row: usize, is_start: bool) {
    wiring.enable(Fixed::Ends, row);
    wiring.enable(Fixed::Poseidon6, row + 1);
    wiring.enable(Fixed::Poseidon6, row + 2);
    for (input, column) in [0, 1, COUNTS, COUNTERS, BLOCK].into_iter().enumerate() {
        wiring.copy(at(column, row), at(input, row + 1));
    }
    wiring.copy(at(OUT, row + 1), at(0, row + 2));
    for (input, column) in [16, 17, 18, TAG].into_iter().enumerate() {
        wiring.copy(at(column, row), at(input + 1, row + 2));
    }
    if is_start {
        for (i, (pattern, elements)) in ranges().into_iter().enumerate() {
            let range = row + END_ROWS + i;
            wiring.enable(Fixed::Crumbs, range);
            wiring.enable(pattern.selector(), range);
            for (group, element) in elements.into_iter().enumerate() {
                if let Some(element) = element {
                    wiring.copy(at(element, row), at(group, range));
                }
            }
        }
    }
}

/// The rows of an end, and its digest.
pub(super) fn assign(state: &Threaded, domain: Fr, is_start: bool) -> (Block, Fr) {
    let mut block = Block::new(if is_start { START_ROWS } else { END_ROWS });
    let elements = elements(state);
    block.row_mut(0)[..STATE].copy_from_slice(&elements);
    if is_start {
        block.row_mut(0)[DOMAIN] = domain;
    }
    packed(&mut WitnessWindow::new(&mut block, 0, &[]));
    let head = block.row_mut(0).to_vec();
    let inputs = [head[0], head[1], head[COUNTS], head[COUNTERS], head[BLOCK]];
    let first = poseidon::assign(block.row_mut(1), &inputs);
    let inputs = [first, head[16], head[17], head[18], head[TAG]];
    let digest = poseidon::assign(block.row_mut(2), &inputs);
    if is_start {
        for (i, (pattern, places)) in ranges().into_iter().enumerate() {
            let values: Vec<Fr> = places
                .iter()
                .map(|place| place.map_or(Fr::zero(), |element| elements[element]))
                .collect();
            // every element of a `Threaded` has its width by its type
            let fits = range::assign(block.row_mut(END_ROWS + i), pattern, &values);
            debug_assert_eq!(fits, Ok(()));
        }
    }
    (block, digest)
}
