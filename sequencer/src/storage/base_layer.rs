//! What is final on the base layer: every block since the contracts', and every inbox item.
//!
//! Invariants: blocks and items are written together and only grow, so whatever a verdict has read once it reads for ever; the
//! record says up to where. An item's due block is written with that block. What this module does not do: check any of it
//! ([`crate::base_layer`] does).

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{account::L1Address, block::L1Origin, inbox::InboxItem};
use rocksdb::WriteBatch;

use super::{Column, Durability, StorageError, Store};

const BASE_KEY: &[u8] = b"base_layer";

/// A final block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct BaseBlock {
    pub(crate) number: u64,
    pub(crate) hash: [u8; 32],
    /// Unix seconds.
    pub(crate) time: u64,
}

/// An inbox item that a final block has enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct BaseItem {
    pub(crate) item: InboxItem,
    /// Number of the block that enqueued it.
    pub(crate) enqueued_at: u64,
    /// That block's time, in Unix seconds.
    pub(crate) time: u64,
    /// Number of the first final block at which it is overdue, once there is one.
    pub(crate) due_at: Option<u64>,
}

/// Which contracts are followed, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct BaseRecord {
    pub(crate) chain_id: u64,
    pub(crate) rollup: L1Address,
    pub(crate) inbox: L1Address,
    /// The first block that may be an origin.
    pub(crate) first_block: u64,
    /// Age at which the Rollup lets no batch leave an item out.
    pub(crate) overdue_seconds: u64,
    /// The newest final block that is here; before the first, the one below it.
    pub(crate) newest: BaseBlock,
    /// Items that are here.
    pub(crate) items: u64,
    /// Items that are overdue at the newest block.
    pub(crate) due: u64,
    /// The Inbox's rolling hash after these items.
    pub(crate) rolling: [u8; 32],
}

impl Store {
    /// How far the base layer was followed; `None` if it never was.
    pub(crate) fn base_record(&self) -> Result<Option<BaseRecord>, StorageError> {
        self.get(Column::Meta, BASE_KEY)
    }

    /// Hash and time of the final block of this number.
    pub(crate) fn base_block(&self, number: u64) -> Result<Option<BaseBlock>, StorageError> {
        let found: Option<([u8; 32], u64)> = self.get(Column::BaseBlocks, &number.to_be_bytes())?;
        Ok(found.map(|(hash, time)| BaseBlock { number, hash, time }))
    }

    /// The inbox item of this index, from 0.
    pub(crate) fn base_item(&self, index: u64) -> Result<Option<BaseItem>, StorageError> {
        self.get(Column::BaseItems, &index.to_be_bytes())
    }

    /// Stores final blocks, items by index and the record after them, synced.
    pub(crate) fn write_base<'a>(
        &self,
        blocks: &[BaseBlock],
        items: impl IntoIterator<Item = (&'a u64, &'a BaseItem)>,
        record: &BaseRecord,
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        for block in blocks {
            let (key, value) = (block.number.to_be_bytes(), (block.hash, block.time));
            self.put(&mut batch, Column::BaseBlocks, &key, &value);
        }
        for (index, item) in items {
            self.put(&mut batch, Column::BaseItems, &index.to_be_bytes(), item);
        }
        self.put(&mut batch, Column::Meta, BASE_KEY, record);
        self.write(batch, Durability::Synced)
    }

    /// Time of an origin that a decided block names, in Unix seconds; 0 for none.
    pub(crate) fn origin_time(&self, origin: &L1Origin) -> Result<u64, StorageError> {
        if *origin == L1Origin::default() {
            return Ok(0);
        }
        let block = self.base_block(origin.number)?;
        let block = block.filter(|block| block.hash == origin.hash);
        let number = origin.number;
        block.map(|block| block.time).ok_or_else(|| {
            self.corrupt(format!(
                "base-layer block {number}, which a decided block names, is missing"
            ))
        })
    }
}
