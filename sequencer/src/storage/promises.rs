//! What this node has promised of its next block: on disk before it is signed, so that a crash does not make it break its word.

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{block::L1Origin, number::Height, transaction::TransactionId};
use rocksdb::WriteBatch;

use super::{Column, Durability, StorageError, Store};

const PROMISED_KEY: &[u8] = b"promised";

/// What was promised of the block at a height.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct PromisedRecord {
    pub(crate) height: Height,
    /// Base-layer block that the block will name: another one's inbox items could take away what was promised.
    pub(crate) origin: L1Origin,
    /// Operation and sequence number in the pool, by place.
    pub(crate) operations: Vec<(TransactionId, u64)>,
}

impl Store {
    /// Stores what is promised, synced.
    pub(crate) fn write_promised(&self, record: &PromisedRecord) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Meta, PROMISED_KEY, record);
        self.write(batch, Durability::Synced)
    }

    /// What was promised at a height, if anything was.
    pub(crate) fn promised(&self, height: Height) -> Result<Option<PromisedRecord>, StorageError> {
        let promised: Option<PromisedRecord> = self.get(Column::Meta, PROMISED_KEY)?;
        Ok(promised.filter(|record| record.height == height))
    }
}
