//! What a node must not forget about builders' bids: the header it has sold its turn for, and what it has to report.

use protocol::{block::BlockHeader, number::Height};
use rocksdb::WriteBatch;

use super::{Column, Durability, StorageError, Store};
use crate::builder::Charge;

const SOLD_KEY: &[u8] = b"sold";
const CHARGES_KEY: &[u8] = b"charges";

impl Store {
    /// Stores the header that this node is about to propose without its payload, synced: after a crash it proposes the
    /// same again.
    pub(crate) fn write_sold(&self, header: &BlockHeader) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Meta, SOLD_KEY, header);
        self.write(batch, Durability::Synced)
    }

    /// The header this node has proposed unseen at a height.
    pub(crate) fn sold(&self, height: Height) -> Result<Option<BlockHeader>, StorageError> {
        let sold: Option<BlockHeader> = self.get(Column::Meta, SOLD_KEY)?;
        Ok(sold.filter(|header| header.core.height == height))
    }

    /// Stores what this node reports, synced: a report counts only if it is repeated.
    pub(crate) fn write_charges(&self, charges: &Vec<Charge>) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Meta, CHARGES_KEY, charges);
        self.write(batch, Durability::Synced)
    }

    /// What this node reported before it was stopped.
    pub(crate) fn charges(&self) -> Result<Vec<Charge>, StorageError> {
        Ok(self.get(Column::Meta, CHARGES_KEY)?.unwrap_or_default())
    }
}
