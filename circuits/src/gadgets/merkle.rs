//! One access to the 4-ary state tree: the old and the new leaf, and the path that proves both.
//!
//! Rows of an access (34):
//!
//! | row | kind | cells |
//! |---|---|---|
//! | 0 | `Poseidon5`, `Leaf` | old leaf: x, y, meta, holdings in `0..4`, its live flag in [`LIVE`], hash or 0 in `OUT` |
//! | 1 | `Poseidon5`, `Leaf` | new leaf |
//! | 2 + 2i | `Poseidon5` | old children of level i in `0..4`, parent in `OUT` |
//! | 3 + 2i | `Poseidon5`, `Level`, `Inner` below the top | new children, parent; digit bits, index so far |
//!
//! Gate `level`, at the second row of each level, with d = b0 + 2 b1 and e_j the indicator of d = j:
//!
//! | constraint | equation | degree |
//! |---|---|---|
//! | bits | `b (1 - b) = 0` | 3 |
//! | old path | `e_j (old_j - previous old OUT) = 0` | 4 |
//! | new path | `e_j (new_j - previous new OUT) = 0` | 4 |
//! | siblings | `(1 - e_j) (old_j - new_j) = 0` | 4 |
//! | index | `index = d + 4 (index of the level above, 0 at the top)` | 3 |
//!
//! The index is below 2^32 by construction. Live flags are boolean where the rules say so.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use protocol::params::TREE_LEVELS;

use super::poseidon::{LIVE, OUT, assign as hash};
use crate::algebra::Algebra;
use crate::layout::{Columns, Fixed};
use crate::trace::{At, Block, Wiring, at};
use crate::window::{GateWindow, Pos, Window, pos};

/// Rows of one access.
pub const ROWS: usize = 2 + 2 * TREE_LEVELS;
/// Column of the index in the second row of a level.
const INDEX: usize = LIVE;
/// Columns of the digit's bits.
const BITS: [usize; 2] = [101, 102];

/// Where an access starts.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Its first row.
    pub row: usize,
}

impl Access {
    /// Input `i` (x, y, meta, holdings) of the old leaf.
    #[must_use]
    pub fn before(&self, i: usize) -> At {
        at(i, self.row)
    }

    /// Input `i` (x, y, meta, holdings) of the new leaf.
    #[must_use]
    pub fn after(&self, i: usize) -> At {
        at(i, self.row + 1)
    }

    /// Live flags, old and new.
    #[must_use]
    pub fn live(&self) -> [At; 2] {
        [at(LIVE, self.row), at(LIVE, self.row + 1)]
    }

    /// Place in the tree.
    #[must_use]
    pub fn index(&self) -> At {
        at(INDEX, self.row + 3)
    }

    /// Roots, before and after.
    #[must_use]
    pub fn roots(&self) -> [At; 2] {
        [at(OUT, self.row + ROWS - 2), at(OUT, self.row + ROWS - 1)]
    }

    /// Switches the rows' gates on.
    pub fn wire(&self, wiring: &mut Wiring) {
        for row in self.row..self.row + ROWS {
            wiring.enable(Fixed::Poseidon5, row);
        }
        wiring.enable(Fixed::Leaf, self.row);
        wiring.enable(Fixed::Leaf, self.row + 1);
        for level in 0..TREE_LEVELS {
            wiring.enable(Fixed::Level, self.row + 3 + 2 * level);
            if level + 1 < TREE_LEVELS {
                wiring.enable(Fixed::Inner, self.row + 3 + 2 * level);
            }
        }
    }
}

/// Adds the gate `level`.
pub fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
    meta.create_gate("level", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Level);
        level(&mut window);
        window.finish()
    });
}

fn level<W: Window>(window: &mut W) {
    let bit_cells = BITS.map(|column| pos(0, column));
    for cell in bit_cells {
        window.boolean("bit", cell);
    }
    let [b0, b1] = bit_cells.map(|cell| window.get(cell));
    let indicator = |j: usize| {
        let low = if j & 1 == 1 { b0.clone() } else { b0.not() };
        let high = if j & 2 == 2 { b1.clone() } else { b1.not() };
        low * high
    };
    let [old_below, new_below] = [pos(-3, OUT), pos(-2, OUT)].map(|cell| window.get(cell));
    for j in 0..4 {
        let (old, new) = (window.get(pos(-1, j)), window.get(pos(0, j)));
        window.constrain("old path", indicator(j) * (old.clone() - old_below.clone()));
        window.constrain("new path", indicator(j) * (new.clone() - new_below.clone()));
        window.constrain("siblings", indicator(j).not() * (old - new));
    }
    let inner = window.fixed(Fixed::Inner);
    let above: Pos = pos(2, INDEX);
    let rest = inner * window.get(above) * Fr::from(4);
    window.define("index", pos(0, INDEX), b0 + b1 * Fr::from(2) + rest);
}

/// The values of one access.
#[derive(Clone, Debug)]
pub struct AccessValues {
    /// x, y, meta, holdings of the old leaf, and whether it lives.
    pub old: ([Fr; 4], bool),
    /// The same of the new leaf.
    pub new: ([Fr; 4], bool),
    /// Place in the tree.
    pub index: u32,
    /// Siblings, leaves first.
    pub siblings: [[Fr; 3]; TREE_LEVELS],
}

/// Fills the rows from `row` of `block` on and returns the roots before and after.
pub fn assign(block: &mut Block, row: usize, values: &AccessValues) -> [Fr; 2] {
    let mut nodes = [Fr::zero(); 2];
    for (side, (leaf, live)) in [&values.old, &values.new].into_iter().enumerate() {
        let line = block.row_mut(row + side);
        let digest = hash(line, leaf);
        nodes[side] = if *live { digest } else { Fr::zero() };
        line[OUT] = nodes[side];
        line[LIVE] = Fr::from(u64::from(*live));
    }
    for (level, siblings) in values.siblings.iter().enumerate() {
        let rest = values.index >> (2 * level);
        let digit = (rest & 3) as usize;
        for (side, node) in nodes.iter_mut().enumerate() {
            let line = block.row_mut(row + 2 + 2 * level + side);
            let mut others = siblings.iter();
            let children: [Fr; 4] = std::array::from_fn(|j| {
                if j == digit {
                    *node
                } else {
                    others.next().copied().unwrap_or(Fr::zero())
                }
            });
            *node = hash(line, &children);
            if side == 1 {
                line[BITS[0]] = Fr::from((digit & 1) as u64);
                line[BITS[1]] = Fr::from((digit >> 1) as u64);
                line[INDEX] = Fr::from(u64::from(rest));
            }
        }
    }
    nodes
}
