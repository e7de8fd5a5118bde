//! The database as it was at one moment, while a node goes on writing: what a snapshot is made from.
//!
//! Invariant: everything read here is of the same moment, that of the last synced write before it was taken. What this
//! module does not do: keep that moment for long; old versions stay on disk as long as it lives.

use borsh::BorshDeserialize;
use protocol::{
    account::Leaf,
    number::{BatchNumber, Height},
};
use rocksdb::{Direction, IteratorMode, ReadOptions, Snapshot};

use super::{
    CheckpointRecord, Column, OpenBatchRecord, StorageError, Store, StoredBlock, TipRecord, Undo,
    open,
};

/// One moment of a database.
pub(crate) struct Frozen<'a> {
    store: &'a Store,
    at: Snapshot<'a>,
}

impl Store {
    /// The database as it is now.
    pub(crate) fn frozen(&self) -> Frozen<'_> {
        Frozen {
            store: self,
            at: self.db.snapshot(),
        }
    }
}

impl Frozen<'_> {
    fn get<T: BorshDeserialize>(
        &self,
        column: Column,
        key: &[u8],
    ) -> Result<Option<T>, StorageError> {
        let found = self.at.get_cf(self.store.column(column), key);
        let found = found.map_err(|error| self.store.failed(&error))?;
        found
            .map(|bytes| self.store.decode(column, &bytes))
            .transpose()
    }

    fn scan<E: From<StorageError>>(
        &self,
        column: Column,
        start: Option<&[u8]>,
        visit: impl FnMut(&[u8], &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mode = start.map_or(IteratorMode::Start, |start| {
            IteratorMode::From(start, Direction::Forward)
        });
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let column = self.store.column(column);
        let entries = self.at.iterator_cf_opt(column, options, mode);
        self.store.visit_entries(entries, visit)
    }

    /// Where the batcher stands.
    pub(crate) fn open_batch(&self) -> Result<OpenBatchRecord, StorageError> {
        self.get(Column::Meta, open::OPEN_BATCH_KEY)?
            .ok_or_else(|| self.store.corrupt("its open batch is not recorded"))
    }

    /// The checkpoint of a batch, and when this node had it.
    pub(crate) fn checkpoint_record(
        &self,
        number: BatchNumber,
    ) -> Result<Option<CheckpointRecord>, StorageError> {
        self.get(Column::Checkpoints, &number.0.to_be_bytes())
    }

    /// A certified block that must be there.
    pub(crate) fn block(&self, height: Height) -> Result<StoredBlock, StorageError> {
        self.get(Column::Blocks, &height.0.to_be_bytes())?
            .ok_or_else(|| self.store.corrupt(format!("block {height} is missing")))
    }

    /// What takes the newest state back to that before block `first`; `None` if nothing has changed since.
    pub(crate) fn undo_since(&self, first: Height) -> Result<Option<Undo>, StorageError> {
        let mut oldest: Option<Undo> = None;
        let start = first.0.to_be_bytes();
        self.scan(Column::Undo, Some(&start), |_, value| {
            let undo: Undo = self.store.decode(Column::Undo, value)?;
            match &mut oldest {
                None => oldest = Some(undo),
                Some(oldest) => {
                    for (index, leaf) in undo.earlier {
                        oldest.earlier.entry(index).or_insert(leaf);
                    }
                }
            }
            Ok::<_, StorageError>(true)
        })?;
        if let Some(undo) = &mut oldest {
            let count = undo.leaf_count;
            undo.earlier.retain(|index, _| u64::from(index.0) < count);
        }
        Ok(oldest)
    }

    /// Number of leaves after the newest block.
    pub(crate) fn leaf_count(&self) -> Result<u64, StorageError> {
        let record: Option<TipRecord> = self.get(Column::Meta, open::TIP_KEY)?;
        let missing = || self.store.corrupt("its tip is not recorded");
        Ok(record.ok_or_else(missing)?.leaf_count)
    }

    /// The first `count` leaves in order, with these earlier values; reads them one by one.
    pub(crate) fn leaves<E: From<StorageError>>(
        &self,
        count: u64,
        undo: Option<&Undo>,
        mut visit: impl FnMut(Leaf) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = 0_u32;
        if count > 0 {
            self.scan(Column::Leaves, None, |key, value| {
                let missing = || self.store.corrupt(format!("leaf {next} is missing"));
                let leaf = value.get(32..).filter(|_| *key == next.to_be_bytes());
                let leaf = leaf.ok_or_else(missing)?;
                let index = protocol::number::LeafIndex(next);
                let earlier = undo.and_then(|undo| undo.earlier.get(&index));
                let leaf = match earlier {
                    Some(earlier) => *earlier,
                    None => self.store.decode(Column::Leaves, leaf)?,
                };
                visit(leaf)?;
                next = next.saturating_add(1);
                Ok::<_, E>(u64::from(next) < count)
            })?;
        }
        if u64::from(next) == count {
            Ok(())
        } else {
            let what = format!("{next} leaves are there, not {count}");
            Err(self.store.corrupt(what).into())
        }
    }
}
