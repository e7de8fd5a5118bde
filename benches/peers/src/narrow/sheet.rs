//! Rows of a narrow circuit: values, which gate each row starts, constants, copies, public cells.
//!
//! Everything but the values follows from the number of transfers, so one code makes keys and witnesses.

use ark_bn254::Fr;
use ark_ff::Zero;
use halo2curves::bn256;

use super::gates::Kind;
use crate::field::to_halo2;

/// Advice columns.
pub const WIDTH: usize = 4;

/// Fixed columns with constants of rows.
pub const FIXED: usize = 6;

/// A place: column and row.
pub type Place = (usize, usize);

/// A value and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Fr,
}

/// A circuit's rows.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// Values of the advice columns.
    pub advice: [Vec<bn256::Fr>; WIDTH],
    /// Rows at which a gate is on.
    pub gates: Vec<(Kind, usize)>,
    /// Constants, by column and row of the fixed columns.
    pub fixed: Vec<(Place, bn256::Fr)>,
    /// Equal cells.
    pub copies: Vec<(Place, Place)>,
    /// Cells that are public, in order.
    pub public: Vec<Place>,
}

impl Sheet {
    /// Rows so far.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.advice[0].len()
    }

    /// Appends a row and gives its cells.
    pub fn row(&mut self, values: [Fr; WIDTH]) -> [Cell; WIDTH] {
        let row = self.rows();
        for (column, value) in self.advice.iter_mut().zip(&values) {
            column.push(to_halo2(value));
        }
        std::array::from_fn(|column| Cell {
            place: (column, row),
            value: values[column],
        })
    }

    /// Appends a row of copies, 0 and free where there is none.
    pub fn copied(&mut self, cells: [Option<Cell>; WIDTH]) -> [Cell; WIDTH] {
        let values = cells.map(|cell| cell.map_or(Fr::zero(), |cell| cell.value));
        let row = self.row(values);
        for (from, to) in cells.iter().zip(&row) {
            if let Some(from) = from {
                self.copy(from, to);
            }
        }
        row
    }

    /// Two cells are equal.
    pub fn copy(&mut self, left: &Cell, right: &Cell) {
        self.copies.push((left.place, right.place));
    }

    /// A gate is on at the row of this cell.
    pub fn gate(&mut self, kind: Kind, at: &Cell) {
        self.gates.push((kind, at.place.1));
    }

    /// A constant at the row of this cell.
    pub fn constant(&mut self, column: usize, at: &Cell, value: &Fr) {
        self.fixed.push(((column, at.place.1), to_halo2(value)));
    }

    /// The next public input is this cell.
    pub fn publish(&mut self, cell: &Cell) {
        self.public.push(cell.place);
    }
}
