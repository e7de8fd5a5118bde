//! A database that begins at a snapshot: the state after a certified batch, the last blocks before it, and the proofs of
//! the validator sets since genesis.
//!
//! Whole or not at all: while it is written the file `RESTORING` stands beside it, which no node starts over, and the
//! layout and the tip are written last. A run that was killed is begun again. What beside the database belongs to the
//! node (`agreement`, `evidence`) is never touched. What this module does not do: judge the snapshot
//! ([`crate::snapshot`] does).

use std::path::Path;

use protocol::{
    block::Tip,
    checkpoint::Checkpoint,
    codec::to_bytes,
    genesis::Genesis,
    handover::Handover,
    number::{BatchNumber, Epoch, Height},
    restart::RestartCertificate,
    state::State,
    validator::ValidatorSet,
};
use rocksdb::WriteBatch;

use super::{
    CheckpointRecord, Column, Durability, HistoryRecord, OpenBatchRecord, StorageError, Store,
    StoredBlock, TipRecord, open, restart, state::state_entries,
};

/// File that stands in the directory while a database is made from a snapshot.
pub(super) const RESTORING: &str = "RESTORING";

/// Bytes of one write: what is in memory beside the state.
const WRITE_BYTES: usize = 8 << 20;

/// What a database is made of. It was judged before.
pub(crate) struct Restored<'a> {
    /// State after the batch.
    pub(crate) state: &'a State,
    pub(crate) tip: Tip,
    /// The batch after it.
    pub(crate) open: OpenBatchRecord,
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) restart: Option<&'a RestartCertificate>,
    /// The last blocks up to the tip, oldest first.
    pub(crate) blocks: &'a [StoredBlock],
    /// The set of the first epoch that genesis fixes.
    pub(crate) first_epoch: Epoch,
    /// Handovers since that epoch, up to the tip's.
    pub(crate) handovers: &'a [Handover],
    /// The set of the epoch after the tip's.
    pub(crate) next_set: &'a ValidatorSet,
    pub(crate) now_ms: u64,
}

/// Why no node opens a directory with an unfinished restore.
pub(super) fn unfinished(path: &Path) -> StorageError {
    StorageError::Unavailable {
        path: path.to_owned(),
        what: "a restore from a snapshot was interrupted here: run quorate snapshot restore again"
            .to_owned(),
    }
}

impl Store {
    /// Whether a database may be made from a snapshot in this directory.
    ///
    /// # Errors
    /// [`StorageError::Occupied`] where something is already.
    pub(crate) fn check_restorable(path: &Path) -> Result<(), StorageError> {
        if path.join(RESTORING).exists() || open::is_empty(path) {
            Ok(())
        } else {
            Err(StorageError::Occupied {
                path: path.to_owned(),
            })
        }
    }

    /// Makes the database that begins at a snapshot, where none is.
    ///
    /// # Errors
    /// [`StorageError::Occupied`] where something is already, else why it cannot be written.
    pub(crate) fn make_restored(
        path: &Path,
        genesis: &Genesis,
        restored: &Restored<'_>,
    ) -> Result<(), StorageError> {
        let unavailable = |error: std::io::Error| StorageError::Unavailable {
            path: path.to_owned(),
            what: error.to_string(),
        };
        Self::check_restorable(path)?;
        let marker = path.join(RESTORING);
        if marker.exists() {
            clear(path).map_err(unavailable)?;
        }
        open::mark(path, &marker).map_err(unavailable)?;
        let store = Self::open_files(path, true)?;
        store.write_restored(genesis, restored)?;
        drop(store);
        std::fs::remove_file(&marker)
            .and_then(|()| std::fs::File::open(path)?.sync_all())
            .map_err(unavailable)
    }

    fn write_restored(
        &self,
        genesis: &Genesis,
        restored: &Restored<'_>,
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        let write_full = |batch: &mut WriteBatch| {
            if batch.size_in_bytes() < WRITE_BYTES {
                return Ok(());
            }
            self.write(std::mem::take(batch), Durability::Synced)
        };
        for (column, key, value) in state_entries(restored.state) {
            batch.put_cf(self.column(column), key, value);
            write_full(&mut batch)?;
        }
        self.put_validator_set(&mut batch, restored.first_epoch, &genesis.validators);
        let mut epoch = restored.first_epoch;
        for link in restored.handovers {
            self.put_handover(&mut batch, epoch, link);
            epoch = epoch.next();
            self.put_validator_set(&mut batch, epoch, &link.next);
            write_full(&mut batch)?;
        }
        self.put_validator_set(&mut batch, epoch.next(), restored.next_set);
        for stored in restored.blocks {
            let key = stored.block.header.core.height.0.to_be_bytes();
            self.put(&mut batch, Column::Blocks, &key, stored);
            write_full(&mut batch)?;
        }
        self.put_beginning(&mut batch, genesis, restored);
        self.write(batch, Durability::Synced)
    }

    /// What makes it a database: written with the last of everything else.
    fn put_beginning(&self, batch: &mut WriteBatch, genesis: &Genesis, restored: &Restored<'_>) {
        let (tip, state, open) = (restored.tip, restored.state, &restored.open);
        let number = BatchNumber(open.number.0.saturating_sub(1));
        let record = CheckpointRecord {
            time_ms: restored.now_ms,
            checkpoint: restored.checkpoint.clone(),
        };
        let key = number.0.to_be_bytes();
        self.put(batch, Column::Checkpoints, &key, &record);
        // blocks before the first batch that is here are not taken for its own
        let last = tip.height.0.to_be_bytes();
        self.put(batch, Column::BatchEnds, &last, &number);
        if let Some(certificate) = restored.restart {
            self.put(batch, Column::Meta, restart::RESTART_KEY, certificate);
        }
        let first = restored.blocks.first();
        let blocks_from = first.map_or(tip.height, |stored| stored.block.header.core.height);
        let history = HistoryRecord {
            blocks_from,
            operations_from: Height(tip.height.0.saturating_add(1)),
            batches_from: open.number,
        };
        self.put_history(batch, &history);
        let record = TipRecord {
            tip,
            root: state.root(),
            leaf_count: state.leaf_count(),
        };
        self.put(batch, Column::Meta, open::TIP_KEY, &record);
        self.put(batch, Column::Meta, open::OPEN_BATCH_KEY, open);
        self.put(batch, Column::Meta, open::GENESIS_KEY, &genesis.hash());
        let meta = self.column(Column::Meta);
        batch.put_cf(meta, open::SCHEMA_KEY, to_bytes(&open::SCHEMA));
    }
}

/// Removes what an interrupted restore has left.
fn clear(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_kept = name == RESTORING || open::BESIDE.iter().any(|kept| name == *kept);
        if is_kept {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
