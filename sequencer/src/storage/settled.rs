//! How far batches have come on the base layer, in final blocks; and what this node's poster has on its way.
//!
//! Invariants: batches and the mark up to which they are final are written together, so a restart follows on from there and
//! misses nothing; flights are on disk before anything of them is sent. What this module does not do: read the base layer
//! ([`crate::settling`] does).

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::number::BatchNumber;
use rocksdb::WriteBatch;
use settlement::{PostedFlights, SettledBatch};

use super::{Column, Durability, StorageError, Store};

const MARK_KEY: &[u8] = b"settled";
const POSTING_KEY: &[u8] = b"posting";

/// The final block up to which batches are settled here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct SettledMark {
    pub(crate) number: u64,
    pub(crate) hash: [u8; 32],
    /// Unix seconds.
    pub(crate) time: u64,
    /// Mode of the Rollup after it.
    pub(crate) mode: u8,
    /// Newest batch that a final block has proven; 0 before the first.
    pub(crate) proven: u64,
}

impl Store {
    /// Up to where batches are settled; `None` if the base layer was never followed.
    pub(crate) fn settled_mark(&self) -> Result<Option<SettledMark>, StorageError> {
        self.get(Column::Meta, MARK_KEY)
    }

    /// A batch as final blocks have it.
    pub(crate) fn settled(
        &self,
        number: BatchNumber,
    ) -> Result<Option<SettledBatch>, StorageError> {
        let bytes: Option<Vec<u8>> = self.get(Column::Settled, &number.0.to_be_bytes())?;
        bytes
            .map(|bytes| {
                SettledBatch::from_bytes(&bytes)
                    .map_err(|error| self.corrupt(format!("settled batch {number}: {error}")))
            })
            .transpose()
    }

    /// Stores what has become final, synced; `None` takes a pruned batch away.
    pub(crate) fn write_settled(
        &self,
        batches: &[(u64, Option<SettledBatch>)],
        mark: &SettledMark,
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        for (number, settled) in batches {
            let key = number.to_be_bytes();
            match settled {
                Some(settled) => self.put(&mut batch, Column::Settled, &key, &settled.to_bytes()),
                None => self.delete(&mut batch, Column::Settled, &key),
            }
        }
        self.put(&mut batch, Column::Meta, MARK_KEY, mark);
        self.write(batch, Durability::Synced)
    }

    /// What was on its way to the base layer; nothing at first.
    pub(crate) fn posting(&self) -> Result<PostedFlights, StorageError> {
        let text: Option<String> = self.get(Column::Meta, POSTING_KEY)?;
        let Some(text) = text else {
            return Ok(PostedFlights::default());
        };
        serde_json::from_str(&text)
            .map_err(|error| self.corrupt(format!("transactions on their way: {error}")))
    }

    /// Stores what is on its way, synced.
    pub(crate) fn write_posting(&self, flights: &PostedFlights) -> Result<(), StorageError> {
        let text = serde_json::to_string(flights)
            .map_err(|error| self.corrupt(format!("transactions on their way: {error}")))?;
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Meta, POSTING_KEY, &text);
        self.write(batch, Durability::Synced)
    }
}
