//! What this node has promised of its next block: on disk before it is signed, so that a crash does not make it break its word.

use protocol::{number::Height, transaction::TransactionId};
use rocksdb::WriteBatch;

use super::{Column, Durability, StorageError, Store};

const PROMISED_KEY: &[u8] = b"promised";

impl Store {
    /// Stores operations and their sequence numbers in the pool, by place, synced.
    pub(crate) fn write_promised(
        &self,
        height: Height,
        operations: &Vec<(TransactionId, u64)>,
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put(
            &mut batch,
            Column::Meta,
            PROMISED_KEY,
            &(height, operations),
        );
        self.write(batch, Durability::Synced)
    }

    /// What was promised at a height.
    pub(crate) fn promised(
        &self,
        height: Height,
    ) -> Result<Vec<(TransactionId, u64)>, StorageError> {
        let promised: Option<(Height, Vec<(TransactionId, u64)>)> =
            self.get(Column::Meta, PROMISED_KEY)?;
        Ok(promised
            .filter(|(at, _)| *at == height)
            .map(|(_, operations)| operations)
            .unwrap_or_default())
    }
}
