//! Validator sets of past epochs, of the present one and of the next.

use protocol::{number::Epoch, validator::ValidatorSet};
use rocksdb::WriteBatch;

use super::{Column, StorageError, Store};

impl Store {
    pub(super) fn put_validator_set(
        &self,
        batch: &mut WriteBatch,
        epoch: Epoch,
        set: &ValidatorSet,
    ) {
        self.put(batch, Column::Sets, &epoch.0.to_be_bytes(), set);
    }

    /// Takes the place of an epoch's set.
    #[cfg(test)]
    pub(crate) fn write_validator_set(
        &self,
        epoch: Epoch,
        set: &ValidatorSet,
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put_validator_set(&mut batch, epoch, set);
        self.write(batch, super::Durability::Synced)
    }

    /// The set of an epoch, if a committed header names it: of every epoch up to that after the newest block's.
    pub(crate) fn validator_set(&self, epoch: Epoch) -> Result<Option<ValidatorSet>, StorageError> {
        self.get(Column::Sets, &epoch.0.to_be_bytes())
    }

    /// The set of an epoch that has begun here, or begins with the next block.
    pub(crate) fn office(&self, epoch: Epoch) -> Result<ValidatorSet, StorageError> {
        let missing = || self.corrupt(format!("the validator set of epoch {epoch} is missing"));
        self.validator_set(epoch)?.ok_or_else(missing)
    }
}
