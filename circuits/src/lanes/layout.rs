//! Where everything stands: blocks of rows, lanes of columns, and the place of every named cell.
//!
//! A block is [`ROWS`] rows, one operation. Lanes stand side by side, each full in every row, so that no gate is
//! evaluated on rows that do not use it more than the block's shape demands:
//!
//! | lane | columns | what a block holds in it |
//! |---|---|---|
//! | tree | `0 ..` | [`leaves`] pairs of leaves, then pairs of nodes, one permutation a row |
//! | ladder | [`LADDER`] `..` | the signature's double-and-add, eight steps a row |
//! | hash 6 | [`HASH6`] | three permutations of six elements, five rows each, for whichever slots ask for them (`lanes::pool`) |
//! | hash 3 | [`HASH3`] | one permutation of three elements, in fourteen rows, likewise |
//! | bytes | [`BYTES`] `..` | 44 bytes a row: ranges |
//! | cells | [`CELLS`] `..` | the cells with names |
//!
//! [`place`] puts a cell with a name beside the bytes that bound it, which needs no copy, or where there is room.

use std::sync::OnceLock;

use crate::chunk::Cell;
use crate::gadgets::poseidon::Spread;
use crate::window::{Pos, pos};

use super::bytes::{self, PATTERN_OF_ROW};

/// Rows of a block.
pub const ROWS: usize = 16;
/// Pairs of rows in the tree's lane of a block.
pub const PAIRS: usize = ROWS / 2;

/// Leaves that the block of a slot may open; its other pairs are nodes. Two and one in turn: a payment of the workload
/// touches 1.7 leaves and needs 4.4 nodes for each.
#[must_use]
pub const fn leaves(slot: usize) -> usize {
    if slot % 2 == 1 { 1 } else { 2 }
}

/// Leaves that the blocks of the slots below `slot` may open.
#[must_use]
pub const fn leaves_before(slot: usize) -> usize {
    2 * slot - slot / 2
}

/// First spare column of the tree's lane; there are three.
pub const TREE_SPARE: usize = 101;
/// First column of the ladder.
pub const LADDER: usize = 104;
/// Columns of the ladder.
pub const LADDER_COLUMNS: usize = 67;
/// Permutations of six elements.
pub const HASH6: Spread = Spread {
    width: 6,
    first: LADDER + LADDER_COLUMNS,
    across: 22,
};
/// Rows at which they start.
pub const HASH6_STARTS: [usize; 3] = [0, 5, 10];
/// Permutations of three elements.
pub const HASH3: Spread = Spread {
    width: 3,
    first: HASH6.first + HASH6.across,
    across: 6,
};
/// Rows at which they start.
pub const HASH3_STARTS: [usize; 1] = [0];
/// First byte.
pub const BYTES: usize = HASH3.first + HASH3.across;
/// How often each byte of the table occurs.
pub const COUNTS: usize = BYTES + bytes::ACROSS;
/// First column of cells with names.
pub const CELLS: usize = COUNTS + 1;
/// Columns of cells with names.
pub const CELL_COLUMNS: usize = 18;
/// Advice columns of the first phase.
pub const WIDTH: usize = CELLS + CELL_COLUMNS;

macro_rules! extra {
    ($($name:ident $doc:literal,)*) => {
        /// A cell with a name besides those of the rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum Extra {
            $(#[doc = $doc] $name,)*
        }

        impl Extra {
            /// Every one, in order.
            pub const ALL: &'static [Extra] = &[$(Extra::$name,)*];
        }
    };
}

extra! {
    R8x "x of the signature's commitment.",
    R8y "y of the signature's commitment.",
    Challenge "c: the hash of commitment, key and message.",
    C0 "Bits 0 to 63 of c.",
    C1 "Bits 64 to 127 of c.",
    C2 "Bits 128 to 253 of c.",
    C2Rest "How far C2 stays below that of p, less one; 126 bits.",
    Q0 "Bits 0 to 63 of the quotient q.",
    Q1 "Bits 64 to 129 of the quotient q.",
    Carry "Carry of the identity modulo 2^128, plus 2^67; 68 bits.",
    Sign "1 if u is negative.",
    VInverse "Inverse of v.",
    A2x "x of 2A.",
    A2y "y of 2A.",
    A4x "x of 4A.",
    A4y "y of 4A.",
    A8x "x of 8A.",
    A8y "y of 8A.",
    A8Inverse "Inverse of x of 8A.",
    E2x "x of twice the ladder's sum.",
    E2y "y of twice the ladder's sum.",
    E4x "x of four times the ladder's sum.",
    E4y "y of four times the ladder's sum.",
    X3 "Key x of the fee leaf.",
    Y3 "Key y of the fee leaf.",
    Time1 "When the sender's leaf was last written.",
    Time2 "When the recipient's leaf was last written.",
    Time3 "When the fee leaf was last written.",
    Age1 "Writes since then, less one; 16 bits.",
    Age2 "Writes since then, less one; 16 bits.",
    Age3 "Writes since then, less one; 16 bits.",
}

/// A cell with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// One of the rules.
    Rule(Cell),
    /// Any other.
    Extra(Extra),
}

impl From<Cell> for Named {
    fn from(cell: Cell) -> Self {
        Named::Rule(cell)
    }
}

impl From<Extra> for Named {
    fn from(cell: Extra) -> Self {
        Named::Extra(cell)
    }
}

impl Named {
    fn index(self) -> usize {
        match self {
            Named::Rule(cell) => cell as usize,
            Named::Extra(cell) => Cell::ALL.len() + cell as usize,
        }
    }

    /// Every cell with a name.
    pub fn all() -> impl Iterator<Item = Named> {
        let rules = Cell::ALL.iter().copied().map(Named::Rule);
        rules.chain(Extra::ALL.iter().copied().map(Named::Extra))
    }
}

/// A place `rows` rows further down.
#[must_use]
pub fn below(place: Pos, rows: usize) -> Pos {
    pos(place.rotation + rows as i32, place.column)
}

/// Where a cell with a name stands, from the block's first row.
#[must_use]
pub fn place(name: impl Into<Named>) -> Pos {
    places()[name.into().index()]
}

/// [`place`] of a cell of the rules, as the rules want it.
#[must_use]
pub fn rule(cell: Cell) -> Pos {
    place(cell)
}

fn places() -> &'static [Pos] {
    static PLACES: OnceLock<Vec<Pos>> = OnceLock::new();
    PLACES.get_or_init(assign_places)
}

fn assign_places() -> Vec<Pos> {
    let mut places: Vec<Option<Pos>> = vec![None; Cell::ALL.len() + Extra::ALL.len()];
    let mut put = |name: Named, place: Pos| {
        let slot = &mut places[name.index()];
        *slot = slot.or(Some(place));
    };
    let mut taken = [[false; CELL_COLUMNS]; ROWS];
    for (row, cells) in bytes::values().into_iter().enumerate() {
        for (group, name) in cells.into_iter().enumerate() {
            taken[row][group] = true;
            if let Some(name) = name {
                put(name, pos(row as i32, CELLS + group));
            }
        }
        assert!(PATTERN_OF_ROW[row].widths().len() <= CELL_COLUMNS);
    }
    let mut free = (0..ROWS)
        .flat_map(|row| (0..CELL_COLUMNS).map(move |column| (row, column)))
        .filter(|(row, column)| !taken[*row][*column]);
    places
        .into_iter()
        .map(|known| {
            known.unwrap_or_else(|| {
                let (row, column) = free.next().expect("the lane has room for every cell");
                pos(row as i32, CELLS + column)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_names_share_a_place() {
        let places: BTreeSet<Pos> = Named::all().map(place).collect();
        assert_eq!(places.len(), Named::all().count());
    }

    #[test]
    fn lanes_do_not_overlap_and_fit_their_rows() {
        assert_eq!(HASH6.rows() * HASH6_STARTS.len(), 15);
        assert_eq!(HASH3.rows() * HASH3_STARTS.len(), 14);
        for hash in [HASH6, HASH3] {
            assert_eq!(
                hash.spare().rotation as usize,
                hash.rows() - 1,
                "room for a flag"
            );
        }
        let counted: usize = (0..13).map(leaves).sum();
        assert_eq!(counted, leaves_before(13));
        let free = CELL_COLUMNS * ROWS - places().iter().filter(|p| p.column >= CELLS).count();
        assert!(free < 2 * ROWS, "{free} cells are unused: narrow the lane");
    }
}
