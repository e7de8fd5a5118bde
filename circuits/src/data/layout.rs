//! Columns and rows of the data circuit.
//!
//! A group takes a *block* of [`BLOCK_ROWS`] rows. Blocks stand in **reverse** order: the last group
//! is on top, so that the final state lies in rows 0 to 5, beside the public inputs; the initial state
//! lies in the [`TAIL_ROWS`] rows under the first group's block. No copy constraint is needed.
//!
//! Four *place* columns, one for each place of the group:
//!
//! | row of the block | cell | constrained by |
//! |---|---|---|
//! | 0 | tag | `place tag`: 0, 1, 2 or 3 |
//! | r in 1..=124 | the top 2 + 2r bits of t | `crumb`: 4 times the cell above, plus 0, 1, 2 or 3 |
//! | 124 | t, as absorbed | the above, and the hash |
//!
//! so the column proves t < 2^250 with the tag on top, and `word = t - tag * 2^248`.
//!
//! One *chain* column:
//!
//! | row of the block | cell | constrained by |
//! |---|---|---|
//! | 0 to 5 | h, z, three y, counts *after* the group | `h`, `z`, `y`, `counts` from the state 125 rows below; in the top block also `public input` |
//! | 6 | enabled: the group holds a word | `enabled`, `disabled group is empty`, `never rises` |
//! | 7 | inverse of 12 minus the sum of tags, or 0 | `enabled`, `inverse of nothing` |
//! | 8 to 16 | three y after places 0, 1 and 2 | `y` |
//! | 17 to 118 | the S-box inputs of `Poseidon(h, t1, t2, t3, t4)` | `s-box input`, `full round`, `partial round` |
//! | 119 | the hash | `hash` |
//! | 120 to 124 | nothing | nothing: no gate reads them |
//!
//! The tail: cells 0 and 2 to 6 are the constants `IV_DATA, 0, 0, 0, 0, 1`, cell 1 is z, free there and
//! carried unchanged to the public input; nothing reads the place columns. Public inputs are rows 0
//! to 5 of the instance column, read where they stand.
//!
//! Fixed columns: see [`Fixed`]. The cost: 125 rows a group, so 1,021 groups take k = 17.

use halo2_proofs::plonk::{Advice, Column, ConstraintSystem, Fixed as FixedColumn, Instance};
use halo2curves::bn256::Fr;

/// Degree of the gates; the quotient has one piece less.
pub const DEGREE: usize = 6;
/// Places of a group: one column each.
pub const PLACES: usize = 4;
/// Sequences of words: ops, withdrawals, inbox.
pub const SEQUENCES: usize = 3;
/// The tag of a place without a word.
pub const PADDING: usize = 3;
/// Column of everything that is not a place.
pub const CHAIN: usize = PLACES;
/// Advice columns.
pub const ADVICE: usize = PLACES + 1;
/// Rows of a group.
pub const BLOCK_ROWS: usize = TAGGED + 1;
/// Rows of the initial state, below the first group.
pub const TAIL_ROWS: usize = ENABLED + 1;
/// Rows at the end of the domain that halo2 keeps for blinding; a test compares it.
pub const BLINDED_ROWS: usize = 64;

/// Row of a place column: the whole tagged word.
pub const TAGGED: usize = 124;

/// Row of the chain column: accumulator after the group.
pub const H: usize = 0;
/// Row of the chain column: point of evaluation.
pub const Z: usize = 1;
/// First of three rows of the chain column: evaluations after the group.
pub const Y: usize = 2;
/// Row of the chain column: packed word counts after the group.
pub const COUNTS: usize = 5;
/// Row of the chain column: whether the group is absorbed.
pub const ENABLED: usize = 6;
/// Row of the chain column: witness that the group holds a word.
pub const INVERSE: usize = 7;
/// First of nine rows of the chain column: evaluations within the group, place by place.
pub const PARTIAL_Y: usize = 8;
/// First row of the chain column with an S-box input.
pub const HASH: usize = PARTIAL_Y + SEQUENCES * (PLACES - 1);
/// Row of the chain column: the hash.
pub const HASH_OUT: usize = 119;

/// Names of the fixed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Fixed {
    /// First row of a block.
    Block,
    /// Rows 0 to 123 of a block: the place cells below continue the ones here by a crumb.
    Crumb,
    /// Chain row that begins the six S-box inputs of a full round; the next six follow.
    FullRound,
    /// Chain row of an S-box input of a partial round, six rounds before the one it defines.
    PartialRound,
    /// Round constants, and the constants of the initial state.
    Constant,
    /// 1: the chain cell is a public input. 2: it is the constant beside it.
    Edge,
}

/// Fixed columns.
pub const FIXED: usize = 6;

/// The columns of the data circuit.
#[derive(Clone, Debug)]
pub struct DataColumns {
    /// Four place columns, then the chain column.
    pub advice: [Column<Advice>; ADVICE],
    /// Fixed columns, in the order of [`Fixed`].
    pub fixed: [Column<FixedColumn>; FIXED],
    /// The public inputs.
    pub instance: Column<Instance>,
}

impl DataColumns {
    /// Allocates the columns; none takes part in a permutation.
    pub fn configure(meta: &mut ConstraintSystem<Fr>) -> Self {
        DataColumns {
            advice: std::array::from_fn(|_| meta.advice_column()),
            fixed: std::array::from_fn(|_| meta.fixed_column()),
            instance: meta.instance_column(),
        }
    }

    /// A fixed column by name.
    #[must_use]
    pub fn fixed(&self, name: Fixed) -> Column<FixedColumn> {
        self.fixed[name as usize]
    }
}

/// Rows used by a circuit of this capacity.
#[must_use]
pub fn rows(capacity: usize) -> usize {
    capacity * BLOCK_ROWS + TAIL_ROWS
}

/// First row of the block of group `group`, the first group being 0.
#[must_use]
pub fn block_start(capacity: usize, group: usize) -> usize {
    (capacity - 1 - group) * BLOCK_ROWS
}
