//! The node's one database: RocksDB, one write batch per event, synced before anything is told to anybody.
//!
//! `docs/storage.md` describes every column. Everything is Borsh; keys are big-endian so that order is meaning.
//! RocksDB checks a checksum of every block and log record it reads; a failed one, a missing file or a value that
//! does not decode is [`StorageError::Corrupt`], and the node stops rather than answer from it.
//!
//! What this module does not do: repair. A damaged database is moved away and rebuilt from a backup or, once there
//! are peers and a base layer, from them.

mod base_layer;
mod bids;
mod checkpoints;
mod departed;
mod finals;
mod frozen;
mod history;
mod ledger;
mod open;
#[cfg(test)]
mod prefix;
mod promises;
mod queue;
mod rebuilt;
mod record;
mod restart;
mod restored;
mod sets;
mod settled;
mod state;
mod undecided;

use std::path::PathBuf;

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::codec::{from_bytes, to_bytes};
use rocksdb::{
    ColumnFamily, DB, DBIterator, Direction, ErrorKind, IteratorMode, ReadOptions, WriteBatch,
    WriteOptions,
};

pub(crate) use base_layer::{BaseBlock, BaseItem, BaseRecord};
pub(crate) use departed::Departed;
pub(crate) use history::HistoryRecord;
pub(crate) use ledger::AdmissionStep;
pub use open::{Checked, check_database};
#[cfg(test)]
pub(crate) use prefix::write_prefix;
pub(crate) use promises::PromisedRecord;
pub(crate) use rebuilt::RebuiltRecord;
pub(crate) use record::{
    BatchRecord, CheckpointRecord, FinalProofRecord, JobRecord, OpenBatchRecord, PendingRecord,
    ProvenRecord, StoredBlock, TipRecord, TransactionRecord, Undo,
};
pub(crate) use restored::Restored;
pub(crate) use settled::SettledMark;
pub(crate) use state::BlockWrite;

/// Why the database cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Bytes on disk are not what was written, or a file is missing.
    #[error(
        "database {path} is corrupt: {what}; nothing was changed. Move it away, restore a backup, and check the disk"
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// It belongs to another chain.
    #[error(
        "database {path} is of genesis {found}, this node was started with {expected}; name another directory"
    )]
    OtherGenesis {
        /// The database.
        path: PathBuf,
        /// Genesis this node was started with.
        expected: String,
        /// Genesis of the database.
        found: String,
    },
    /// It was written by another version of this program.
    #[error(
        "database {path} has layout {found}, this program reads layout {expected}; use the version that wrote it"
    )]
    OtherSchema {
        /// The database.
        path: PathBuf,
        /// Layout this program reads.
        expected: u32,
        /// Layout of the database.
        found: u32,
    },
    /// Another process has it open.
    #[error("database {path} is in use by another process; stop it first")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A database is to be made where something is already.
    #[error(
        "{path} is not empty: move what is there away, but leave the directory agreement, which knows what was signed"
    )]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system refused: disk full, permissions.
    #[error("database {path} cannot be read or written: {what}; check space and permissions")]
    Unavailable {
        /// The database.
        path: PathBuf,
        /// The system's words.
        what: String,
    },
}

/// A group of keys; `docs/storage.md` says what each holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Meta,
    Leaves,
    Nodes,
    Owners,
    Blocks,
    Undecided,
    Undo,
    Transactions,
    LeafTransactions,
    Mempool,
    Departed,
    Batches,
    BatchEnds,
    Jobs,
    JobOrder,
    Witnesses,
    Proofs,
    Bundles,
    FinalProofs,
    Checkpoints,
    Sets,
    Handovers,
    BaseBlocks,
    BaseItems,
    Settled,
}

impl Column {
    pub(crate) const ALL: [Self; 25] = [
        Self::Meta,
        Self::Leaves,
        Self::Nodes,
        Self::Owners,
        Self::Blocks,
        Self::Undecided,
        Self::Undo,
        Self::Transactions,
        Self::LeafTransactions,
        Self::Mempool,
        Self::Departed,
        Self::Batches,
        Self::BatchEnds,
        Self::Jobs,
        Self::JobOrder,
        Self::Witnesses,
        Self::Proofs,
        Self::Bundles,
        Self::FinalProofs,
        Self::Checkpoints,
        Self::Sets,
        Self::Handovers,
        Self::BaseBlocks,
        Self::BaseItems,
        Self::Settled,
    ];

    /// Whether it only grows, and only questions about the past read it.
    fn is_history(self) -> bool {
        matches!(
            self,
            Self::Blocks
                | Self::Transactions
                | Self::LeafTransactions
                | Self::Batches
                | Self::BatchEnds
                | Self::Jobs
                | Self::JobOrder
                | Self::Bundles
                | Self::FinalProofs
                | Self::Checkpoints
                | Self::Handovers
                | Self::BaseBlocks
                | Self::BaseItems
                | Self::Settled
        )
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Leaves => "leaves",
            Self::Nodes => "nodes",
            Self::Owners => "owners",
            Self::Blocks => "blocks",
            Self::Undecided => "undecided",
            Self::Undo => "undo",
            Self::Transactions => "transactions",
            Self::LeafTransactions => "leaf_transactions",
            Self::Mempool => "mempool",
            Self::Departed => "departed",
            Self::Batches => "batches",
            Self::BatchEnds => "batch_ends",
            Self::Jobs => "jobs",
            Self::JobOrder => "job_order",
            Self::Witnesses => "witnesses",
            Self::Proofs => "proofs",
            Self::Bundles => "bundles",
            Self::FinalProofs => "final_proofs",
            Self::Checkpoints => "checkpoints",
            Self::Sets => "sets",
            Self::Handovers => "handovers",
            Self::BaseBlocks => "base_blocks",
            Self::BaseItems => "base_items",
            Self::Settled => "settled",
        }
    }
}

/// Whether a write waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The write survives a power cut when this returns.
    Synced,
    /// The write survives a crash of the process; a power cut may lose it.
    Buffered,
}

/// The open database.
pub(crate) struct Store {
    db: DB,
    path: PathBuf,
}

impl Store {
    /// The error for bytes that are not what was written.
    pub(crate) fn corrupt(&self, what: impl Into<String>) -> StorageError {
        StorageError::Corrupt {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    fn failed(&self, error: &rocksdb::Error) -> StorageError {
        open::storage_error(&self.path, error)
    }

    fn column(&self, column: Column) -> &ColumnFamily {
        self.db
            .cf_handle(column.name())
            .expect("every column was opened with the database")
    }

    fn get_bytes(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.db
            .get_cf(self.column(column), key)
            .map_err(|error| self.failed(&error))
    }

    fn get<T: BorshDeserialize>(
        &self,
        column: Column,
        key: &[u8],
    ) -> Result<Option<T>, StorageError> {
        self.get_bytes(column, key)?
            .map(|bytes| self.decode(column, &bytes))
            .transpose()
    }

    fn decode<T: BorshDeserialize>(&self, column: Column, bytes: &[u8]) -> Result<T, StorageError> {
        from_bytes(bytes)
            .map_err(|error| self.corrupt(format!("a value in column {}: {error}", column.name())))
    }

    /// Entries of a column from `start` on, in order or in reverse, until `visit` returns false.
    fn scan(
        &self,
        column: Column,
        start: Option<&[u8]>,
        is_reverse: bool,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StorageError>,
    ) -> Result<(), StorageError> {
        let mode = match (start, is_reverse) {
            (Some(start), false) => IteratorMode::From(start, Direction::Forward),
            (Some(start), true) => IteratorMode::From(start, Direction::Reverse),
            (None, false) => IteratorMode::Start,
            (None, true) => IteratorMode::End,
        };
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let entries = self.db.iterator_cf_opt(self.column(column), options, mode);
        self.visit_entries(entries, &mut visit)
    }

    /// Entries in the order of the iterator, until `visit` returns false.
    fn visit_entries<E: From<StorageError>>(
        &self,
        entries: DBIterator<'_>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        for entry in entries {
            let (key, value) = entry.map_err(|error| self.failed(&error))?;
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn put<T: BorshSerialize>(
        &self,
        batch: &mut WriteBatch,
        column: Column,
        key: &[u8],
        value: &T,
    ) {
        batch.put_cf(self.column(column), key, to_bytes(value));
    }

    fn delete(&self, batch: &mut WriteBatch, column: Column, key: &[u8]) {
        batch.delete_cf(self.column(column), key);
    }

    /// Moves everything from the log into tables.
    #[cfg(test)]
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        for column in Column::ALL {
            self.db
                .flush_cf(self.column(column))
                .map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// Writes all of a batch or nothing.
    pub(crate) fn write(
        &self,
        batch: WriteBatch,
        durability: Durability,
    ) -> Result<(), StorageError> {
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        self.db
            .write_opt(batch, &options)
            .map_err(|error| self.failed(&error))
    }
}

fn is_corruption(error: &rocksdb::Error) -> bool {
    // A missing file comes as an IO error that names the file.
    error.kind() == ErrorKind::Corruption || error.to_string().contains("No such file or directory")
}

#[cfg(test)]
mod tests;
