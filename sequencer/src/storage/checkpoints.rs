//! Certificates over sealed batches.

use protocol::{checkpoint::Checkpoint, number::BatchNumber};
use rocksdb::WriteBatch;

use super::{CheckpointRecord, Column, Durability, StorageError, Store};

impl Store {
    /// Stores the checkpoint of a batch, synced.
    pub(crate) fn write_checkpoint(&self, record: &CheckpointRecord) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        let number = record.checkpoint.commitment.batch_number;
        let key = number.0.to_be_bytes();
        self.put(&mut batch, Column::Checkpoints, &key, record);
        self.write(batch, Durability::Synced)
    }

    /// The checkpoint of a batch.
    pub(crate) fn checkpoint(
        &self,
        number: BatchNumber,
    ) -> Result<Option<Checkpoint>, StorageError> {
        let record = self.checkpoint_record(number)?;
        Ok(record.map(|record| record.checkpoint))
    }

    /// The checkpoint of a batch, and when this node had it.
    pub(crate) fn checkpoint_record(
        &self,
        number: BatchNumber,
    ) -> Result<Option<CheckpointRecord>, StorageError> {
        self.get(Column::Checkpoints, &number.0.to_be_bytes())
    }

    /// Number of the newest batch that has one; 0 if none has.
    pub(crate) fn newest_checkpoint(&self) -> Result<u64, StorageError> {
        let mut newest = 0;
        self.scan(Column::Checkpoints, None, true, |key, _| {
            let number = <[u8; 8]>::try_from(key);
            newest = number
                .map(u64::from_be_bytes)
                .map_err(|_| self.corrupt("a key in column checkpoints"))?;
            Ok(false)
        })?;
        Ok(newest)
    }
}
