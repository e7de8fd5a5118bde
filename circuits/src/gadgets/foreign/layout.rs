//! Columns of the gadget and the places of cells inside blocks.
//!
//! Chunk cells of a block are numbered row by row, 8 a row; every chunk cell of every row is looked up
//! in the range table, used or not.
//!
//! | X block, chunk cells | what | constrained by |
//! |---|---|---|
//! | 0 .. 15 | slope; in Load: `w = x^2` | identity 1 |
//! | 15 .. 41 | identity 1: 16 chunks of quotient, 5 and 5 of carries | identity 1 |
//! | 41 .. 67 | identity 2, the same | identity 2 |
//! | 67, 68 | m and `2^13 m` (so m < 16) | index, selection |
//! | 69 | b, with `s = 1 - 2 b` | sign |
//! | 70, 71 | unused, free | nothing |
//! | 72 .. 87 | x of the result | identity 2; in Load: curve; in Fetch: selection |
//! | 87 | twice the top chunk of x | top |
//! | 41 .. 56 in Load, Fetch | `e = q - 1 - x` | canonical |
//! | 56 .. 67, 68 .. 72 in Load, Fetch | `e = q - 1 - y` | canonical |
//!
//! | X block, free column, row | what | constrained by |
//! |---|---|---|
//! | 0 .. 4, 4 .. 8 | limbs of x2 and y2 | selection; in Double: equal to the running point |
//! | 0, 1 in Load | x mod r, y mod r | native |
//! | 8 | inverse of `d (d^2 - q^2)`; in Load, Fetch: carry of x | different, canonical |
//! | 9 | sum of digits before; in Load, Fetch: carry of y | digits, copies, canonical |
//! | 10 | sum of digits after | digits, copies |
//!
//! | Y block, chunk cells | what |
//! |---|---|
//! | 0 .. 15 | y |
//! | 16 .. 42 | identity: quotient and carries |
//!
//! Cells 15 and 42 .. 48 of a Y block and its free cells are unused, as are the cells of a kind not
//! named above. A Constant block is x in cells 0 .. 15 and y in cells 16 .. 31; its fixed cells hold
//! x mod 2^136, x / 2^136, and y the same.

use std::ops::Range;

use halo2_proofs::plonk::{Advice, Column, ConstraintSystem, Fixed};
use halo2curves::bn256::Fr;

use super::integer::{NUMBER_CHUNKS, QUOTIENT_CHUNKS};
use super::logup::LogUp;

/// Chunk columns.
pub const WIDTH: usize = 8;
/// Rows of an X block.
pub const X_ROWS: usize = 11;
/// Rows of a Y block.
pub const Y_ROWS: usize = 6;
/// Rows of a Constant block.
pub const CONSTANT_ROWS: usize = 4;
/// Rows before the first block.
pub const FIRST_ROW: usize = 4;
/// Degree of the gates and lookups.
pub const DEGREE: usize = 5;

/// Chunk cells of an identity.
const IDENTITY: usize = 26;

/// Slope of an X block.
pub const SLOPE: Range<usize> = 0..NUMBER_CHUNKS;
/// First identity of an X block.
pub const FIRST: Range<usize> = 15..15 + IDENTITY;
/// Second identity of an X block.
pub const SECOND: Range<usize> = 41..41 + IDENTITY;
/// Index m of an X block.
pub const INDEX: usize = 67;
/// `2^13 m`.
pub const INDEX_SHIFTED: usize = 68;
/// Sign bit of an X block.
pub const SIGN: usize = 69;
/// x of the result of an X block.
pub const RESULT: Range<usize> = 72..72 + NUMBER_CHUNKS;
/// Twice the top chunk of x.
pub const RESULT_TOP: usize = 87;
/// `q - 1 - x`, chunk by chunk.
pub const BELOW_X: [usize; NUMBER_CHUNKS] = places(41, usize::MAX);
/// `q - 1 - y`, chunk by chunk: around the index.
pub const BELOW_Y: [usize; NUMBER_CHUNKS] = places(56, INDEX);
/// y of a Y block.
pub const FINISHED: Range<usize> = 0..NUMBER_CHUNKS;
/// Identity of a Y block.
pub const FINISH: Range<usize> = 16..16 + IDENTITY;
/// The quotient inside an identity's cells.
pub const QUOTIENT: Range<usize> = 0..QUOTIENT_CHUNKS;

/// Row of the inverse, or of the carry of x, in the free column of an X block.
pub const INVERSE: usize = 8;
/// Row of the digits' sum before, or of the carry of y.
pub const BEFORE: usize = 9;
/// Row of the digits' sum after.
pub const AFTER: usize = 10;

/// Bits by which the index is shifted: 17 - 4.
pub const INDEX_SHIFT: usize = 13;

const fn places(start: usize, skipped: usize) -> [usize; NUMBER_CHUNKS] {
    let mut out = [0; NUMBER_CHUNKS];
    let (mut i, mut at) = (0, start);
    while i < NUMBER_CHUNKS {
        if at == skipped {
            at += 1;
        }
        out[i] = at;
        i += 1;
        at += 1;
    }
    out
}

/// Fixed columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FixedName {
    /// First row of an addition after an X block.
    Add,
    /// First row of an addition after a Y block.
    AddExplicit,
    /// First row of a doubling.
    Double,
    /// First row of a load.
    Load,
    /// First row of a fetch.
    Fetch,
    /// First row of a Y block after an addition or a doubling.
    Finish,
    /// Row of y of a constant.
    Constant,
    /// First tag that the block selects from.
    Wanted,
    /// Tag of the point whose y starts at this row.
    Offered,
    /// Halves of the coordinates of a constant.
    Half,
}

impl FixedName {
    /// All of them, in the order of their columns.
    pub const ALL: [FixedName; 10] = [
        FixedName::Add,
        FixedName::AddExplicit,
        FixedName::Double,
        FixedName::Load,
        FixedName::Fetch,
        FixedName::Finish,
        FixedName::Constant,
        FixedName::Wanted,
        FixedName::Offered,
        FixedName::Half,
    ];
}

/// The columns of blocks.
#[derive(Clone, Debug)]
pub struct ForeignColumns {
    /// Chunks: every cell is range-checked.
    pub chunks: [Column<Advice>; WIDTH],
    /// Free cells: copies allowed.
    pub free: Column<Advice>,
    fixed: [Column<Fixed>; 10],
}

/// The gadget's columns.
#[derive(Clone, Debug)]
pub struct ForeignConfig {
    /// Those of blocks.
    pub columns: ForeignColumns,
    /// Those of the lookups.
    pub lookups: LogUp,
}

impl ForeignConfig {
    /// Columns and constraints. `looked_up` are columns of the host whose cells are to be in the range table too.
    ///
    /// Call `meta.set_minimum_degree` first, with [`DEGREE`] or more.
    pub fn configure(meta: &mut ConstraintSystem<Fr>, looked_up: &[Column<Advice>]) -> Self {
        let chunks: [_; WIDTH] = std::array::from_fn(|_| meta.advice_column());
        let free = meta.advice_column();
        meta.enable_equality(free);
        let fixed = std::array::from_fn(|_| meta.fixed_column());
        let columns = ForeignColumns {
            chunks,
            free,
            fixed,
        };
        super::gates::configure(meta, &columns);
        let cells = chunks.iter().chain(looked_up).copied().collect();
        let lookups = LogUp::configure(meta, cells, |meta| super::gates::selection(meta, &columns));
        ForeignConfig { columns, lookups }
    }
}

impl ForeignColumns {
    /// The column of a name.
    #[must_use]
    pub fn fixed(&self, name: FixedName) -> Column<Fixed> {
        self.fixed[name as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_an_x_block_overlap_only_where_the_table_says() {
        let mut seen = [0; X_ROWS * WIDTH];
        let own = [
            SLOPE,
            FIRST,
            SECOND,
            INDEX..INDEX + 1,
            INDEX_SHIFTED..INDEX_SHIFTED + 1,
        ];
        for range in own
            .into_iter()
            .chain([SIGN..SIGN + 1, RESULT, RESULT_TOP..RESULT_TOP + 1])
        {
            range.for_each(|cell| seen[cell] += 1);
        }
        assert!(seen.iter().all(|count| *count <= 1));
        assert_eq!(seen.iter().filter(|count| **count == 0).count(), 2);
        let mut below: Vec<usize> = BELOW_X.into_iter().chain(BELOW_Y).collect();
        below.dedup();
        assert_eq!(below.len(), 30);
        assert!(
            below
                .iter()
                .all(|cell| (41..72).contains(cell) && *cell != INDEX)
        );
        const { assert!(FINISH.end <= Y_ROWS * WIDTH) };
    }
}
