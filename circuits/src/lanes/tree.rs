//! The state tree, opened once for a whole chunk: each opened node once, its old value beside its new one.
//!
//! | rows of a block | what | cells |
//! |---|---|---|
//! | from 0 on | leaves, old row then new row | inputs of the leaf in `0..4`, live flag in [`LIVE`], value in `OUT`; spare: [`PLACE`] and [`ON`] in the old row, [`WRITTEN`] in the new one |
//! | the others | nodes, old row then new row | children in `0..4`, parent in `OUT`; index in `LIVE` of the old row, level in that of the new one; spare: [`FLAGS`] and [`ON`] |
//!
//! A child is either *opened*, and then what another pair of rows made (`memory` joins them: every value made is used once,
//! by the parent of that level and index), or one witness in both rows:
//!
//! | gate | constraint | degree |
//! |---|---|---|
//! | node | `on`, four flags boolean; a flag only where `on` | 3 |
//! | node | `(1 - flag_j) (old_j - new_j) = 0` | 3 |
//! | leaf | `on` and both live flags boolean | 3 |
//!
//! **Why each leaf is opened once, at its own depth.** Take a pair whose value is used. Its user is `on`, sits one level
//! higher, and is used in turn; only the ends use a value without making one, at level 16 and index 0. Levels rise by
//! one, there are fewer rows than p, so a leaf lies sixteen levels below the root and its index is the
//! integer that the sixteen digits spell: below 2^32. Two pairs of one level and index would need two parents of
//! one level and index, and so on up to two roots. A cycle of pairs, used by no end, would be a cycle of Poseidon.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::layout::{self, PAIRS, TREE_SPARE};
use crate::algebra::Algebra;
use crate::gadgets::poseidon::{self, LIVE, OUT};
use crate::layout::{Columns, Fixed};
use crate::trace::{Block, at};
use crate::window::{Folding, GateWindow, Pos, Window, pos};

/// Column of a leaf's index, in its old row.
pub const PLACE: usize = TREE_SPARE;
/// Column of "this pair is in use", in the old row.
pub const ON: usize = TREE_SPARE + 2;
/// Column of the time of a leaf's last write, in its new row.
pub const WRITTEN: usize = TREE_SPARE;
/// Columns of the flags of children 0 and 1 (old row), 2 and 3 (new row).
pub const FLAGS: [usize; 2] = [TREE_SPARE, TREE_SPARE + 1];
/// Column of a node's index (old row) and level (new row).
pub const INDEX: usize = LIVE;

/// First row of leaf `i` of a block.
#[must_use]
pub fn leaf_row(i: usize) -> usize {
    2 * i
}

/// First row of node `i` of the block of a slot.
#[must_use]
pub fn node_row(slot: usize, i: usize) -> usize {
    2 * (layout::leaves(slot) + i)
}

/// Nodes that the block of a slot may open.
#[must_use]
pub fn nodes(slot: usize) -> usize {
    PAIRS - layout::leaves(slot)
}

/// Flag of child `j`, from a node's new row.
#[must_use]
pub fn flag(j: usize) -> Pos {
    pos(if j < 2 { -1 } else { 0 }, FLAGS[j % 2])
}

/// Adds the gates; the permutations themselves are `poseidon`'s.
pub(super) fn configure(
    meta: &mut ConstraintSystem<Fr>,
    columns: &Columns,
    folding: Option<Folding>,
) {
    match folding {
        Some(folding) => poseidon::configure_folded(meta, columns, folding),
        None => poseidon::configure(meta, columns, 5),
    }
    meta.create_gate("leaf", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::LeafPair);
        window.boolean("a pair is in use or not", pos(-1, ON));
        window.boolean("old leaf lives or not", pos(-1, LIVE));
        window.boolean("new leaf lives or not", pos(0, LIVE));
        window.finish_folded(folding)
    });
    meta.create_gate("node", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::NodePair);
        node(&mut window);
        window.finish_folded(folding)
    });
}

fn node<W: Window>(window: &mut W) {
    window.boolean("a pair is in use or not", pos(-1, ON));
    let on = window.get(pos(-1, ON));
    for j in 0..4 {
        window.boolean("a child is opened or not", flag(j));
        let opened = window.get(flag(j));
        window.constrain(
            "children of unused pairs are not opened",
            opened.clone() * on.not(),
        );
        let change = window.get(pos(-1, j)) - window.get(pos(0, j));
        window.constrain("other children stay", opened.not() * change);
    }
}

/// A leaf, before and after the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafPair {
    /// Its index.
    pub index: u64,
    /// Inputs of its hash and whether it lives, before.
    pub before: ([Fr; 4], bool),
    /// The same after.
    pub after: ([Fr; 4], bool),
    /// When it was last written.
    pub written: u64,
}

/// An inner node, before and after the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePair {
    /// Level above the leaves, 1 to 16.
    pub level: u64,
    /// Index among the nodes of its level.
    pub index: u64,
    /// Children before.
    pub before: [Fr; 4],
    /// Children after.
    pub after: [Fr; 4],
    /// Which children are opened.
    pub opened: [bool; 4],
}

fn number(value: u64) -> Fr {
    Fr::from(value)
}

fn hash(row: &mut [Fr], inputs: &[Fr; 4]) {
    use std::sync::OnceLock;
    static EMPTY: OnceLock<Vec<Fr>> = OnceLock::new();
    if inputs.iter().all(|input| *input == Fr::zero()) {
        // most permutations of a short chunk
        let empty = EMPTY.get_or_init(|| {
            let mut row = vec![Fr::zero(); TREE_SPARE];
            poseidon::assign(&mut row, &[Fr::zero(); 4]);
            row
        });
        row[..TREE_SPARE].copy_from_slice(empty);
    } else {
        poseidon::assign(row, inputs);
    }
}

/// Fills the lane of a slot's block.
pub(super) fn assign(block: &mut Block, slot: usize, leaves: &[LeafPair], nodes: &[NodePair]) {
    for i in 0..layout::leaves(slot) {
        let row = leaf_row(i);
        let leaf = leaves.get(i);
        let sides = leaf.map_or([([Fr::zero(); 4], false); 2], |leaf| {
            [leaf.before, leaf.after]
        });
        for (side, (inputs, live)) in sides.into_iter().enumerate() {
            let line = block.row_mut(row + side);
            hash(line, &inputs);
            line[LIVE] = number(u64::from(live));
            if !live {
                line[OUT] = Fr::zero();
            }
        }
        if let Some(leaf) = leaf {
            block.set(at(PLACE, row), number(leaf.index));
            block.set(at(ON, row), Fr::one());
            block.set(at(WRITTEN, row + 1), number(leaf.written));
        }
    }
    for i in 0..self::nodes(slot) {
        let row = node_row(slot, i);
        let node = nodes.get(i);
        let sides = node.map_or([[Fr::zero(); 4]; 2], |node| [node.before, node.after]);
        for (side, children) in sides.iter().enumerate() {
            hash(block.row_mut(row + side), children);
        }
        if let Some(node) = node {
            block.set(at(INDEX, row), number(node.index));
            block.set(at(INDEX, row + 1), number(node.level));
            block.set(at(ON, row), Fr::one());
            for (j, opened) in node.opened.into_iter().enumerate() {
                let place = flag(j);
                let side = usize::from(place.rotation == 0);
                let value = number(u64::from(opened));
                block.set(at(place.column, row + side), value);
            }
        }
    }
}
