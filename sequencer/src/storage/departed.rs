//! Submissions that left the mempool without being ordered: replaced, evicted, overtaken, expired. A validator may have
//! listed one in a vote, and then the next block must hold it, or its bytes as an excuse, so it serves them for
//! [`SERVED_HEIGHTS`] heights more (`sequencing.md`, rule 1), over restarts too.

use protocol::{
    number::Height,
    transaction::{ListHash, Submission},
};
use rocksdb::WriteBatch;

use super::{Column, Durability, StorageError, Store};

/// How long the bytes are served; a list demands them at the next two heights.
const SERVED_HEIGHTS: u64 = 16;

/// A submission that is gone, under its name in lists.
pub(crate) type Departed = (ListHash, std::sync::Arc<Submission>);

fn key(height: Height, name: &ListHash) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&height.0.to_be_bytes());
    key[8..].copy_from_slice(&name.0);
    key
}

impl Store {
    /// Keeps a submission that has left the pool while the newest block was at `tip`.
    pub(super) fn put_departed(
        &self,
        batch: &mut WriteBatch,
        tip: Height,
        (name, submission): &Departed,
    ) {
        self.put(batch, Column::Departed, &key(tip, name), &**submission);
    }

    /// Keeps what a list demands and the pool does not take; not synced: whoever served it still does.
    pub(crate) fn write_departed(
        &self,
        tip: Height,
        departed: &[Departed],
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        for one in departed {
            self.put_departed(&mut batch, tip, one);
        }
        self.write(batch, Durability::Buffered)
    }

    /// The submission of this name, if it left the pool within the heights that are served below `tip`.
    pub(crate) fn departed(
        &self,
        tip: Height,
        name: &ListHash,
    ) -> Result<Option<Submission>, StorageError> {
        for height in (tip.0.saturating_sub(SERVED_HEIGHTS)..=tip.0).rev() {
            let found = self.get(Column::Departed, &key(Height(height), name))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Forgets what no list can demand any more.
    pub(super) fn delete_departed(&self, batch: &mut WriteBatch, tip: Height) {
        let end = tip.0.saturating_sub(SERVED_HEIGHTS).to_be_bytes();
        batch.delete_range_cf(self.column(Column::Departed), &[0_u8; 8][..], &end[..]);
    }
}
