//! A database that holds a state which the base layer has proven, and no chain above it: no block, no validator's word.
//!
//! Written whole, where no database is. What the newest block was is not known, so nothing is ever decided on it: a node
//! serves the state. What this module does not do: rebuild the state (`settlement::rebuild` does).

use std::path::Path;

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    block::{BlockId, L1Origin, Tip},
    genesis::Genesis,
    number::{BatchNumber, Height},
    restart::BatchEnd,
};
use rocksdb::WriteBatch;

use super::{Column, HistoryRecord, OpenBatchRecord, StorageError, Store, open};
use crate::failpoint;

const REBUILT_KEY: &[u8] = b"rebuilt";

/// Where the state of such a database comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct RebuiltRecord {
    /// The batch after which it is.
    pub(crate) batch: BatchNumber,
    /// Height of the last published block.
    pub(crate) height: Height,
    pub(crate) inbox_count: u64,
    /// Block of the base layer up to which was read.
    pub(crate) base_layer_block: u64,
}

impl RebuiltRecord {
    /// Where the state stands: height and items are published, the rest of the block is not.
    fn tip(&self, genesis: &Genesis) -> Tip {
        Tip {
            height: self.height,
            id: BlockId::default(),
            timestamp_ms: genesis.timestamp_ms,
            inbox_count: self.inbox_count,
            l1_origin: L1Origin::default(),
        }
    }
}

impl Store {
    /// Whether a database may be made in this directory.
    ///
    /// # Errors
    /// [`StorageError::Occupied`] where one is already.
    pub(crate) fn check_unmade(path: &Path) -> Result<(), StorageError> {
        if open::is_unmade(path) {
            return Ok(());
        }
        Err(StorageError::Occupied {
            path: path.to_owned(),
        })
    }

    /// Makes the database that holds the state after `end`. A run of this that was killed is finished.
    ///
    /// # Errors
    /// [`StorageError::Occupied`] where a database is already, else why it cannot be written.
    pub(crate) fn make_rebuilt(
        path: &Path,
        genesis: &Genesis,
        end: &BatchEnd<'_>,
        base_layer_block: u64,
    ) -> Result<(), StorageError> {
        Self::check_unmade(path)?;
        let record = RebuiltRecord {
            batch: end.batch,
            height: end.published_height,
            inbox_count: end.inbox_count,
            base_layer_block,
        };
        let store = Self::open_or_make(path, genesis, |store| {
            failpoint::pass("rebuild.before_write");
            store.write_rebuilt(genesis, end, &record)?;
            failpoint::pass("rebuild.after_write");
            Ok(())
        })?;
        // what a killed run has left is whole, and may be of an earlier batch
        store.rebuilt()?.map(drop).ok_or(StorageError::Occupied {
            path: path.to_owned(),
        })
    }

    fn write_rebuilt(
        &self,
        genesis: &Genesis,
        end: &BatchEnd<'_>,
        record: &RebuiltRecord,
    ) -> Result<(), StorageError> {
        let next = Height(end.published_height.0.saturating_add(1));
        let open = OpenBatchRecord {
            number: BatchNumber(end.batch.0.saturating_add(1)),
            first_height: next,
            published_height: end.published_height,
            inbox_count: end.inbox_count,
            root: end.state.root(),
        };
        let history = HistoryRecord {
            blocks_from: next,
            operations_from: next,
            batches_from: open.number,
        };
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Meta, REBUILT_KEY, record);
        self.put(&mut batch, Column::Meta, open::PROVEN_KEY, &end.batch.0);
        self.put_history(&mut batch, &history);
        self.write_start(batch, genesis, (end.state, record.tip(genesis)), &open)
    }

    /// Where the state comes from, if this database holds no chain.
    pub(crate) fn rebuilt(&self) -> Result<Option<RebuiltRecord>, StorageError> {
        self.get(Column::Meta, REBUILT_KEY)
    }

    /// Checks the tip of a database that holds no chain; false if it holds one.
    pub(super) fn check_rebuilt(&self, tip: &Tip, genesis: &Genesis) -> Result<bool, StorageError> {
        match self.rebuilt()? {
            None => Ok(false),
            Some(record) if *tip == record.tip(genesis) => Ok(true),
            Some(_) => Err(self.corrupt("its tip is not that of its rebuilt state")),
        }
    }
}
