//! Valid blocks of the height being agreed on. A vote may stand on one of them, so each is on disk before the engine
//! is answered (`sequencing.md`, rule 7), and a restart finds it again.

use protocol::{
    block::{Block, BlockId},
    number::Height,
};
use rocksdb::WriteBatch;

use super::{Column, Durability, StorageError, Store};

fn key(height: Height, id: &BlockId) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&height.0.to_be_bytes());
    key[8..].copy_from_slice(&id.0);
    key
}

impl Store {
    /// Stores a valid block, synced.
    pub(crate) fn write_undecided(&self, block: &Block) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        let key = key(block.header.core.height, &block.id());
        self.put(&mut batch, Column::Undecided, &key, block);
        self.write(batch, Durability::Synced)
    }

    /// The valid blocks of a height that no block has been decided at.
    pub(crate) fn undecided(&self, height: Height) -> Result<Vec<Block>, StorageError> {
        let mut blocks = Vec::new();
        let start = height.0.to_be_bytes();
        self.scan(Column::Undecided, Some(&start), false, |key, value| {
            if !key.starts_with(&start) {
                return Ok(false);
            }
            blocks.push(self.decode(Column::Undecided, value)?);
            Ok(true)
        })?;
        Ok(blocks)
    }

    /// Forgets those of decided heights, up to this one.
    pub(super) fn delete_undecided(&self, batch: &mut WriteBatch, decided: Height) {
        let end = decided.0.saturating_add(1).to_be_bytes();
        batch.delete_range_cf(self.column(Column::Undecided), &[0_u8; 8][..], &end[..]);
    }
}
