//! The witness of the data circuit: a table of cells.
//!
//! Cells are filled in an order in which each reads only earlier ones, and every value passes through
//! a hook before it is written. The hook of an honest prover changes nothing; a test's hook changes
//! one cell and gets a table in which everything after it is consistent with the change, so that only
//! the constraint on that cell stands between the change and acceptance.

use halo2curves::bn256::Fr;
use protocol::witness::DataWitness;
use protocol::words::{Group, iv_data, tagged};

use super::equations::{AFTER_PARTIAL, Block, INPUTS, hash_row, y_row};
use super::layout::{
    ADVICE, BLOCK_ROWS, CHAIN, COUNTS, ENABLED, H, HASH_OUT, INVERSE, PLACES, SEQUENCES, TAGGED, Y,
    Z, block_start,
};
use super::{DataError, DataShape};
use crate::convert::{bits, limbs, to_circuit};
use crate::instance::data as instance;
use crate::trace::{At, at};

/// Schedule cells, inputs included.
const HASH_CELLS: usize = AFTER_PARTIAL + 4 * (INPUTS + 1);

/// All advice cells of a data circuit; cells never set are 0.
#[derive(Clone, Debug)]
pub struct Table {
    columns: [Vec<Fr>; ADVICE],
}

impl Table {
    /// The honest table of a witness.
    ///
    /// # Errors
    /// [`DataError::TooManyGroups`].
    ///
    /// # Panics
    /// If the shape holds no group.
    pub fn assign(shape: DataShape, witness: &DataWitness) -> Result<Self, DataError> {
        Self::assign_with(shape, witness, |_, value| value)
    }

    /// A table whose every value passed through `hook`, which may lie.
    ///
    /// # Errors
    /// [`DataError::TooManyGroups`].
    ///
    /// # Panics
    /// If the shape holds no group.
    pub fn assign_with(
        shape: DataShape,
        witness: &DataWitness,
        hook: impl FnMut(At, Fr) -> Fr,
    ) -> Result<Self, DataError> {
        let capacity = shape.groups;
        assert!(capacity > 0, "a data circuit holds at least one group");
        // The protocol absorbs no group without a word.
        let groups: Vec<&Group> = witness
            .groups
            .iter()
            .filter(|group| group.iter().any(Option::is_some))
            .collect();
        if groups.len() > capacity {
            return Err(DataError::TooManyGroups {
                groups: groups.len(),
                capacity,
            });
        }
        let columns = std::array::from_fn(|_| vec![Fr::zero(); shape.rows()]);
        let mut filler = Filler {
            table: Table { columns },
            hook,
        };
        filler.tail(capacity * BLOCK_ROWS, to_circuit(witness.z));
        for index in 0..capacity {
            let group = groups.get(index).copied().unwrap_or(&[None; PLACES]);
            filler.block(block_start(capacity, index), group);
        }
        Ok(filler.table)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns[CHAIN].len()
    }

    /// Reads a cell.
    ///
    /// # Panics
    /// If the cell lies outside the table.
    #[must_use]
    pub fn get(&self, cell: At) -> Fr {
        self.columns[cell.column][cell.row]
    }

    /// Writes a cell.
    ///
    /// # Panics
    /// If the cell lies outside the table.
    pub fn set(&mut self, cell: At, value: Fr) {
        self.columns[cell.column][cell.row] = value;
    }

    /// What the table claims as public inputs: the final state, in its first rows.
    #[must_use]
    pub fn outputs(&self) -> [Fr; instance::LEN] {
        std::array::from_fn(|row| self.get(at(CHAIN, row)))
    }

    /// The columns, as halo2 wants them.
    #[must_use]
    pub fn columns(&self) -> &[Vec<Fr>; ADVICE] {
        &self.columns
    }
}

struct Filler<F> {
    table: Table,
    hook: F,
}

impl<F: FnMut(At, Fr) -> Fr> Filler<F> {
    fn put(&mut self, column: usize, row: usize, value: Fr) {
        let cell = at(column, row);
        let value = (self.hook)(cell, value);
        self.table.set(cell, value);
    }

    fn tail(&mut self, row: usize, z: Fr) {
        self.put(CHAIN, row + H, to_circuit(iv_data()));
        self.put(CHAIN, row + Z, z);
        for zero in (Y..Y + SEQUENCES).chain([COUNTS]) {
            self.put(CHAIN, row + zero, Fr::zero());
        }
        self.put(CHAIN, row + ENABLED, Fr::one());
    }

    fn block(&mut self, start: usize, group: &Group) {
        for (place, content) in group.iter().enumerate() {
            self.place(start, place, limbs(to_circuit(tagged(content))));
        }

        let presence = self.evaluate(start, |block| block.presence());
        let inverse = Option::from(presence.invert()).unwrap_or(Fr::zero());
        self.put(CHAIN, start + INVERSE, inverse);
        self.define(start, ENABLED, |block| block.enabled());
        for index in INPUTS..HASH_CELLS {
            self.define(start, hash_row(index), |block| block.s_box_input(index));
        }
        self.define(start, HASH_OUT, |block| block.hash());
        self.define(start, H, |block| block.h());
        self.define(start, Z, |block| block.z());
        for place in 0..PLACES {
            for sequence in 0..SEQUENCES {
                self.define(start, y_row(place, sequence), |block| {
                    block.y(place, sequence)
                });
            }
        }
        self.define(start, COUNTS, |block| block.counts());
    }

    /// The prefixes of a tagged word, two bits longer in each row.
    fn place(&mut self, start: usize, place: usize, tagged: [u64; 4]) {
        self.put(place, start, Fr::from(bits(&tagged, 2 * TAGGED, 2)));
        for row in 1..=TAGGED {
            let above = self.table.get(at(place, start + row - 1));
            let crumb = Fr::from(bits(&tagged, 2 * (TAGGED - row), 2));
            self.put(place, start + row, above * Fr::from(4) + crumb);
        }
    }

    fn define(&mut self, start: usize, row: usize, value: impl FnOnce(&Block<'_, Fr>) -> Fr) {
        let value = self.evaluate(start, value);
        self.put(CHAIN, start + row, value);
    }

    fn evaluate(&self, start: usize, value: impl FnOnce(&Block<'_, Fr>) -> Fr) -> Fr {
        let read = |column: usize, row: usize| self.table.get(at(column, start + row));
        value(&Block {
            place: &read,
            chain: &|row| read(CHAIN, row),
        })
    }
}
