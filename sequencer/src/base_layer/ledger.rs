//! Final blocks and their items on the way to disk: what is checked of them, and when an item is due.
//!
//! An item is overdue at the first final block whose time is more than the Rollup's `overdue` seconds after the item's: the rule
//! by which the Rollup refuses a batch, in whose header stands the time of the batch's last origin. So it follows from final
//! blocks alone, and a chain of blocks that the vote rule lets pass makes no batch that the contract refuses.
//!
//! Invariants: blocks follow each other by number and time; items by number from 0, with the time of their block and its rolling hash;
//! what is refused has changed nothing. What this module does not do: follow hashes (the follower does).

use std::collections::BTreeMap;

use settlement::{
    BlockMark,
    bindings::{BindingError, EnqueuedItem},
};

use crate::storage::{BaseBlock, BaseItem, BaseRecord, StorageError, Store};

/// Why a final block is not taken: the base layer is not what this node was told it is, or contradicts itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadFinal {
    /// Number or time.
    #[error("final block {number} of {time} s does not follow block {before} of {before_time} s")]
    Block {
        number: u64,
        time: u64,
        before: u64,
        before_time: u64,
    },
    /// An item is missing, or came twice.
    #[error(
        "inbox item {found} stands where item {expected} should; does the deployment file name the block that made the \
         Inbox, or an earlier one?"
    )]
    Order { found: u64, expected: u64 },
    /// The event contradicts its block or its words.
    #[error("inbox item {number} contradicts itself or its block {block}")]
    Item { number: u64, block: u64 },
    /// The contract has other items.
    #[error(
        "the Inbox's rolling hash after {count} items is {theirs}, that of its events is {ours}"
    )]
    Rolling {
        count: u64,
        theirs: String,
        ours: String,
    },
    /// An event that is not of this contract.
    #[error("an event of the Inbox cannot be read: {0}")]
    Event(BindingError),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What goes to disk together.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) blocks: Vec<BaseBlock>,
    pub(super) items: BTreeMap<u64, BaseItem>,
}

/// Takes final blocks in order.
pub(super) struct Ledger {
    /// As it is after everything that was taken.
    record: BaseRecord,
    taken: Taken,
}

impl Ledger {
    pub(super) fn new(record: BaseRecord) -> Self {
        Self {
            record,
            taken: Taken::default(),
        }
    }

    pub(super) fn record(&self) -> &BaseRecord {
        &self.record
    }

    /// What was taken and is not on disk.
    pub(super) fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Hands over what is not on disk, with the record after it.
    pub(super) fn hand_over(&mut self) -> (Taken, BaseRecord) {
        (std::mem::take(&mut self.taken), self.record)
    }

    /// Takes the next final block with all of its items.
    ///
    /// # Errors
    /// [`BadFinal`]; nothing has changed.
    pub(super) fn take(
        &mut self,
        store: &Store,
        block: &BlockMark,
        found: &[EnqueuedItem],
    ) -> Result<(), BadFinal> {
        let mut record = self.record;
        let before = record.newest;
        if before.number.checked_add(1) != Some(block.number) || block.timestamp <= before.time {
            return Err(BadFinal::Block {
                number: block.number,
                time: block.timestamp,
                before: before.number,
                before_time: before.time,
            });
        }
        record.newest = BaseBlock {
            number: block.number,
            hash: block.hash.0,
            time: block.timestamp,
        };
        let mut items: Vec<(u64, BaseItem)> = Vec::new();
        for item in found {
            let (found, expected) = (item.number, record.items);
            if found != expected {
                return Err(BadFinal::Order { found, expected });
            }
            if item.time != block.timestamp || item.item.request().owner != item.owner {
                let (number, block) = (item.number, block.number);
                return Err(BadFinal::Item { number, block });
            }
            record.rolling = item.item.rolling_hash(&record.rolling);
            record.items = record.items.saturating_add(1);
            let item = BaseItem {
                item: item.item,
                enqueued_at: block.number,
                time: block.timestamp,
                due_at: None,
            };
            items.push((found, item));
        }
        self.find_due(store, &mut record, &mut items)?;
        self.taken.blocks.push(record.newest);
        self.taken.items.extend(items);
        self.record = record;
        Ok(())
    }

    /// Notes the newest block in the items that are overdue since it.
    fn find_due(
        &self,
        store: &Store,
        record: &mut BaseRecord,
        items: &mut Vec<(u64, BaseItem)>,
    ) -> Result<(), BadFinal> {
        // those of this very block are as old as it is
        while record.due < self.record.items {
            let known = self.taken.items.get(&record.due).copied();
            let item = match known {
                Some(item) => item,
                None => store.base_item(record.due)?.ok_or_else(|| {
                    store.corrupt(format!("inbox item {} is missing", record.due))
                })?,
            };
            if item.time.saturating_add(record.overdue_seconds) >= record.newest.time {
                break;
            }
            let due_at = Some(record.newest.number);
            items.push((record.due, BaseItem { due_at, ..item }));
            record.due = record.due.saturating_add(1);
        }
        Ok(())
    }
}
