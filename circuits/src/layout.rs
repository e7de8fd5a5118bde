//! Columns of the chunk circuit, and who lives where in a row. The data circuit has its own
//! (`data::layout`).
//!
//! Every row is `WIDTH` advice cells wide and belongs to one *kind*, switched on by a fixed column.
//! The widest kind decides `WIDTH`: one Poseidon permutation of six elements in a single row.
//!
//! Deviations: `design/proving.md` speaks of about 42 columns and three rows per permutation. Every gate
//! is evaluated on every row of the 8n domain, so the fewest rows win while a chunk is not aggregated:
//! one row per permutation halves that work (`research/proving.md`: 1,421 against 751 hashes per second
//! for 84 against 21 columns). Aggregation will pay per column and may split rows again.

use halo2_proofs::circuit::Cell;
use halo2_proofs::plonk::{
    Advice, Column, ConstraintSystem, Expression, Fixed as FixedColumn, Instance, VirtualCells,
};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use crate::trace::At;

/// Advice columns.
pub const WIDTH: usize = 108;

/// Highest degree of any gate, selector included. Up to 9 the quotient lives in the 8n domain.
pub const DEGREE: usize = 9;

/// Advice columns `0..EQUALITY` take part in copy constraints, besides the instance column.
pub const EQUALITY: usize = 27;

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Names of the fixed columns.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(usize)]
        pub enum Fixed {
            $($(#[$doc])* $name,)*
        }

        /// Number of fixed columns.
        pub const FIXED: usize = [$(Fixed::$name),*].len();
    };
}

fixed! {
    /// Row holds a Poseidon permutation of 3 elements.
    Poseidon3,
    /// Row holds a Poseidon permutation of 5 elements.
    Poseidon5,
    /// Row holds a Poseidon permutation of 6 elements.
    Poseidon6,
    /// A `Poseidon5` row that hashes a leaf, whose hash is 0 unless it lives.
    Leaf,
    /// Second row (new values) of a tree level.
    Level,
    /// With `Level`: not the topmost level.
    Inner,
    /// Any range row: all its crumbs are 0 to 3.
    Crumbs,
    /// Range row of 20 and 5 bytes.
    Range20And5,
    /// Range row of 15 and 8 bytes.
    Range15And8,
    /// Range row of 15, 4 and 4 bytes.
    Range15And4And4,
    /// Range row of 16 and 8 bytes.
    Range16And8,
    /// Range row of 88, 76 and 28 bits.
    RangeSpare,
    /// Range row of the small fields.
    RangeSmall,
    /// First row of a signature.
    SignatureHead,
    /// A row of ladder steps.
    Ladder,
    /// Last row of a signature.
    SignatureTail,
    /// First row of a slot's rules.
    Rules,
    /// With `Rules`: first slot of its pair.
    First,
    /// Digest of a threaded state.
    Ends,
    /// New row of an opened leaf.
    LeafPair,
    /// New row of an opened node.
    NodePair,
    /// Old row of an opened node.
    NodeOld,
    /// Ladder row that continues the one above.
    LadderNext,
    /// Last row of a ladder.
    LadderEnd,
    /// Row of bytes.
    Bytes,
    /// Bytes of 160, 120, 40 and 32 bits.
    BytesWide,
    /// Bytes of 120, thrice 64, and 32 bits.
    BytesLong,
    /// Bytes of twice 128, 66 and 16 bits.
    BytesKey,
    /// Bytes of twice 126, and 68 bits.
    BytesChallenge,
    /// Bytes of twice 120, 40, 28 and twice 6 bits.
    BytesMiddle,
    /// Bytes of small fields, spare bits and ages.
    BytesSmall,
    /// The bytes 0 to 255.
    Table,
    /// Time of a slot's accesses.
    Clock,
    /// Block before the first slot.
    Start,
    /// Block behind the last slot.
    End,
}

/// The columns of a circuit.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Advice columns, `WIDTH` of them.
    pub advice: Vec<Column<Advice>>,
    /// Fixed columns, in the order of [`Fixed`]; `None` where the circuit has no use for one.
    pub fixed: Vec<Option<Column<FixedColumn>>>,
    /// The public inputs.
    pub instance: Column<Instance>,
}

impl Columns {
    /// Allocates the columns; of the fixed ones only those in `used`.
    pub fn configure(meta: &mut ConstraintSystem<Fr>, used: &[Fixed]) -> Self {
        let copied: Vec<usize> = (0..EQUALITY).collect();
        Self::wide(meta, used, WIDTH, &copied)
    }

    /// Allocates `width` advice columns, of which those in `copied` take part in copy constraints.
    pub fn wide(
        meta: &mut ConstraintSystem<Fr>,
        used: &[Fixed],
        width: usize,
        copied: &[usize],
    ) -> Self {
        let advice: Vec<_> = (0..width).map(|_| meta.advice_column()).collect();
        let mut fixed = vec![None; FIXED];
        for name in used {
            fixed[*name as usize] = Some(meta.fixed_column());
        }
        let instance = meta.instance_column();
        meta.enable_equality(instance);
        for column in copied {
            meta.enable_equality(advice[*column]);
        }
        Columns {
            advice,
            fixed,
            instance,
        }
    }

    /// A fixed column by name.
    ///
    /// # Panics
    /// If the circuit does not have it: gates, wiring and the list of used columns belong together.
    #[must_use]
    pub fn fixed(&self, name: Fixed) -> Column<FixedColumn> {
        self.fixed[name as usize].expect("the circuit lists every fixed column that it uses")
    }

    /// The halo2 cell of an advice cell.
    #[must_use]
    pub fn cell(&self, cell: At) -> Cell {
        Cell {
            row_offset: cell.row,
            column: self.advice[cell.column].into(),
        }
    }

    /// Queries advice column `column` at `rotation`.
    pub fn advice(
        &self,
        meta: &mut VirtualCells<'_, Fr>,
        column: usize,
        rotation: i32,
    ) -> Expression<Fr> {
        meta.query_advice(self.advice[column], Rotation(rotation))
    }

    /// Queries a fixed column in the current row.
    pub fn selector(&self, meta: &mut VirtualCells<'_, Fr>, name: Fixed) -> Expression<Fr> {
        meta.query_fixed(self.fixed(name), Rotation::cur())
    }
}
