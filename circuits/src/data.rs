//! The data circuit: what a batch publishes is what its chunks absorbed (`protocol.md`, "Data words").
//!
//! **Statement.** Of the public inputs `h, z, y_ops, y_withdrawals, y_inbox, counts`, with
//! `counts = n_ops + 2^64 n_withdrawals + 2^128 n_inbox`, the prover knows at most `groups` groups
//! of four places, none of them empty, such that h is the accumulator over them from `IV_DATA`, each
//! y is the Horner evaluation at z of one sequence's words in order, first word highest, and the
//! counts are the lengths of the sequences. The native twin is
//! `protocol::witness::DataWitness::public_inputs`.
//!
//! **Why the range is proven here.** h binds the absorbed elements `t = word + tag * 2^248`, not how
//! they are split. Were only the tag's size checked, a prover who already knows z could read a place
//! of tag 1 as `word + 2^248` of tag 0, and search among the 4^4096 readings of a batch for one that
//! meets three wanted values of y: nothing that is evaluated may be set after z. Here every place is
//! proven to be an integer below 2^250 whose top two bits are the tag, and 2^250 < p, so t alone
//! decides tag and word. Chunk circuits prove the same bound of what they absorb; this circuit
//! does not lean on it.
//!
//! **Empty groups.** A group of four paddings is absorbed by nobody: a group is enabled exactly if it
//! holds a word (both directions are constrained), and the groups after the last enabled one are
//! empty, so a witness is unique up to cells that nothing reads. Accepting absorbed empty groups would
//! be harmless, since no chunk ends in such an h, but then the native twin would be another function.
//!
//! **Shape.** This circuit is verified inside the aggregation, where a commitment costs as much as a
//! tenth of its own proof, so it has its own columns and is as narrow as it gets: 5 advice and 6
//! fixed columns, no permutation, no lookup, degree 6 (see [`layout`]). In the 108 columns of the
//! chunk circuit it would need 157 commitments instead of 19 (ADR 0004 has the price of that).
//!
//! What it does not do: it does not know the domain, the batch or signed operations (the top circuit
//! joins h and the counts to the last chunk), and it does not derive z, which only the contract does.

mod equations;
mod gates;
pub mod layout;
mod table;

use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Error};
use halo2curves::bn256::Fr;
use protocol::params::BATCH_ABSORPTIONS_MAX;
use protocol::witness::DataWitness;
use thiserror::Error as ThisError;

pub use layout::DataColumns;
pub use table::Table;

use crate::convert::to_circuit;
use crate::instance::data as instance;

/// Why a witness cannot be laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum DataError {
    /// The batch absorbed more than the circuit holds: it was not sealed by the protocol's rule.
    #[error(
        "the batch absorbed {groups} groups of words and the data circuit holds {capacity}; \
         seal batches at BATCH_ABSORPTIONS_MAX"
    )]
    TooManyGroups {
        /// Groups with at least one word.
        groups: usize,
        /// Groups the circuit holds.
        capacity: usize,
    },
    /// The native evaluation disagrees: an error of this crate.
    #[error("public input {index} of the witness is not what the data circuit computes; report it")]
    PublicInput {
        /// Position in the instance.
        index: usize,
    },
}

/// Size of a data circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShape {
    /// Groups of four places it holds, at least one.
    pub groups: usize,
}

impl DataShape {
    /// The shape that the protocol prescribes: k = 17.
    #[must_use]
    pub fn protocol() -> Self {
        let groups = usize::try_from(BATCH_ABSORPTIONS_MAX).expect("a capacity fits memory");
        DataShape { groups }
    }

    /// Rows in use.
    #[must_use]
    pub fn rows(&self) -> usize {
        layout::rows(self.groups)
    }

    /// log2 of the rows of the circuit.
    #[must_use]
    pub fn k(&self) -> u32 {
        (self.rows() + layout::BLINDED_ROWS)
            .next_power_of_two()
            .trailing_zeros()
    }

    /// The circuit without a witness: what keys are made from.
    ///
    /// # Panics
    /// If the shape holds no group.
    #[must_use]
    pub fn circuit(&self) -> DataCircuit {
        assert!(self.groups > 0, "a data circuit holds at least one group");
        DataCircuit {
            shape: *self,
            table: None,
        }
    }

    /// The circuit with its witness, and its public inputs.
    ///
    /// # Errors
    /// [`DataError`].
    ///
    /// # Panics
    /// If the shape holds no group.
    pub fn prove(
        &self,
        witness: &DataWitness,
    ) -> Result<(DataCircuit, [Fr; instance::LEN]), DataError> {
        let table = Table::assign(*self, witness)?;
        let public = witness.public_inputs().map(to_circuit);
        match (0..instance::LEN).find(|index| table.outputs()[*index] != public[*index]) {
            Some(index) => Err(DataError::PublicInput { index }),
            None => Ok((self.with_table(table), public)),
        }
    }

    /// The circuit with any table, honest or not.
    ///
    /// # Panics
    /// If the shape holds no group or the table is of another shape.
    #[must_use]
    pub fn with_table(&self, table: Table) -> DataCircuit {
        assert_eq!(table.rows(), self.rows(), "the table is of this shape");
        DataCircuit {
            table: Some(table),
            ..self.circuit()
        }
    }
}

/// The circuit; with a table when proving.
#[derive(Clone, Debug)]
pub struct DataCircuit {
    shape: DataShape,
    table: Option<Table>,
}

impl Circuit<Fr> for DataCircuit {
    type Config = DataColumns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn params(&self) -> Self::Params {}

    fn without_witnesses(&self) -> Self {
        self.shape.circuit()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> DataColumns {
        // First line of every configure: halo2-axiom caps the degree at 5 unless told.
        meta.set_minimum_degree(layout::DEGREE);
        let columns = DataColumns::configure(meta);
        gates::configure(meta, &columns);
        columns
    }

    fn synthesize(
        &self,
        config: DataColumns,
        mut layouter: impl Layouter<Fr>,
    ) -> Result<(), Error> {
        layouter.assign_region(
            || "data",
            |mut region| {
                for (name, row, value) in gates::fixed_cells(self.shape.groups) {
                    region.assign_fixed(config.fixed(name), row, value);
                }
                if let Some(table) = &self.table {
                    for (column, cells) in config.advice.iter().zip(table.columns()) {
                        for (row, value) in cells.iter().enumerate() {
                            region.assign_advice(*column, row, Value::known(*value));
                        }
                    }
                }
                Ok(())
            },
        )
    }
}
