//! Opening, and refusing to open.

use std::path::{Path, PathBuf};

use protocol::{
    block::{BlockId, Tip},
    codec::to_bytes,
    genesis::Genesis,
    number::{BatchNumber, Epoch, Height},
    state::State,
};
use rocksdb::{ColumnFamilyDescriptor, DB, DBRecoveryMode, Options, WriteBatch};

use super::{
    Column, Durability, OpenBatchRecord, StorageError, Store, TipRecord, is_corruption, restored,
};

/// Layout of the database; raised by any change of columns, keys or values.
pub(crate) const SCHEMA: u32 = 6;

pub(super) const SCHEMA_KEY: &[u8] = b"schema";
pub(super) const GENESIS_KEY: &[u8] = b"genesis";
pub(super) const TIP_KEY: &[u8] = b"tip";
pub(super) const OPEN_BATCH_KEY: &[u8] = b"open_batch";
pub(super) const PROVEN_KEY: &[u8] = b"proven_up_to";
pub(super) const FINAL_KEY: &[u8] = b"final_up_to";

/// Entries of a column of history that a start reads: about 0.1 s for the smallest ones.
const HISTORY_ENTRIES_MAX: u64 = 200_000;
/// Bytes of a column of history that a start reads.
const HISTORY_BYTES_MAX: u64 = 64 << 20;

/// File that stands in the directory while a new database is made: what a kill leaves then is finished at the next
/// start, and is not taken for a database that has lost something.
const MAKING: &str = "MAKING";

/// Directories of a node that are not the database's.
pub(crate) const BESIDE: [&str; 3] = ["agreement", "evidence", "snapshots"];

/// What [`check_database`] has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Newest height.
    pub height: u64,
    /// Leaves in the state.
    pub leaf_count: u64,
    /// Entries of all columns.
    pub entries: u64,
}

/// Reads every byte of a database that no node has open, and checks what a node checks at its start.
///
/// # Errors
/// Why a node would refuse it.
pub fn check_database(path: &Path, genesis: &Genesis) -> Result<Checked, StorageError> {
    let store = Store::open_existing(path, genesis)?;
    let entries = store.read_everything()?;
    let (state, tip) = store.load_state(genesis)?;
    store.check_history(tip.height)?;
    Ok(Checked {
        height: tip.height.0,
        leaf_count: state.leaf_count(),
        entries,
    })
}

pub(super) fn storage_error(path: &Path, error: &rocksdb::Error) -> StorageError {
    let (path, what) = (path.to_owned(), error.to_string());
    // RocksDB's words for a lock that is held; that the file cannot be opened is another matter.
    if what.contains("While lock file") || what.contains("lock hold by current process") {
        StorageError::InUse { path }
    } else if is_corruption(error) {
        StorageError::Corrupt { path, what }
    } else {
        StorageError::Unavailable { path, what }
    }
}

/// Whether there is nothing of a database in the directory. What a node keeps beside it does not count: a database is
/// made anew beside the record of what was signed.
pub(super) fn is_empty(path: &Path) -> bool {
    std::fs::read_dir(path).map_or(true, |entries| {
        entries
            .flatten()
            .all(|entry| BESIDE.iter().any(|name| entry.file_name() == *name))
    })
}

/// Whether a database is still to be made in the directory, or to be finished.
pub(super) fn is_unmade(path: &Path) -> bool {
    is_empty(path) || path.join(MAKING).exists()
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_paranoid_checks(true);
    // A torn last record is what a crash leaves; anything else wrong in a log is corruption and refused.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    options.set_max_total_wal_size(256 << 20);
    options.set_keep_log_file_num(4);
    options.set_max_background_jobs(2);
    options
}

impl Store {
    /// Opens the database of this genesis, or makes one where nothing is.
    ///
    /// # Errors
    /// Why it is refused; nothing on disk has changed.
    pub(crate) fn open(path: &Path, genesis: &Genesis) -> Result<Self, StorageError> {
        Self::open_or_make(path, genesis, |store| store.write_genesis(genesis))
    }

    /// Opens the database of this genesis; makes none.
    ///
    /// # Errors
    /// Why it is refused; nothing on disk has changed.
    pub(crate) fn open_existing(path: &Path, genesis: &Genesis) -> Result<Self, StorageError> {
        if is_unmade(path) {
            let what = "there is no database, or it is not finished: a node makes it at its start";
            return Err(StorageError::Unavailable {
                path: path.to_owned(),
                what: what.to_owned(),
            });
        }
        Self::open(path, genesis)
    }

    /// Opens the database of this genesis; `make` writes what a new one begins with, in one batch.
    pub(super) fn open_or_make(
        path: &Path,
        genesis: &Genesis,
        make: impl FnOnce(&Self) -> Result<(), StorageError>,
    ) -> Result<Self, StorageError> {
        let corrupt = |what: &str| StorageError::Corrupt {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let unavailable = |error: std::io::Error| StorageError::Unavailable {
            path: path.to_owned(),
            what: error.to_string(),
        };
        if path.join(restored::RESTORING).exists() {
            return Err(restored::unfinished(path));
        }
        let marker = path.join(MAKING);
        let is_new = is_unmade(path);
        if is_new {
            mark(path, &marker).map_err(unavailable)?;
        } else {
            check_files(path).map_err(|what| corrupt(&what))?;
        }
        let store = Self::open_files(path, is_new)?;
        if is_new && store.read_everything()? == 0 {
            make(&store)?;
        }
        store.check_identity(genesis)?;
        if is_new {
            std::fs::remove_file(&marker).map_err(unavailable)?;
        }
        Ok(store)
    }

    /// Opens the files of a database, or makes empty ones.
    pub(super) fn open_files(path: &Path, is_new: bool) -> Result<Self, StorageError> {
        let mut options = options();
        options.create_if_missing(is_new);
        options.create_missing_column_families(is_new);
        if !is_new {
            let mut found =
                DB::list_cf(&options, path).map_err(|error| storage_error(path, &error))?;
            found.retain(|name| name != "default");
            found.sort();
            let mut expected: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
            expected.sort_unstable();
            if found != expected {
                return Err(StorageError::Corrupt {
                    path: path.to_owned(),
                    what: format!("it has columns {found:?}, expected {expected:?}"),
                });
            }
        }
        let columns = Column::ALL
            .iter()
            .map(|column| ColumnFamilyDescriptor::new(column.name(), self::options()));
        let db = DB::open_cf_descriptors(&options, path, columns)
            .map_err(|error| storage_error(path, &error))?;
        Ok(Self {
            db,
            path: path.to_owned(),
        })
    }

    fn check_identity(&self, genesis: &Genesis) -> Result<(), StorageError> {
        let schema: u32 = self
            .get(Column::Meta, SCHEMA_KEY)?
            .ok_or_else(|| self.corrupt("its layout is not recorded: a log file may be missing"))?;
        if schema != SCHEMA {
            let path = self.path.clone();
            return Err(StorageError::OtherSchema {
                path,
                expected: SCHEMA,
                found: schema,
            });
        }
        let found: BlockId = self
            .get(Column::Meta, GENESIS_KEY)?
            .ok_or_else(|| self.corrupt("its genesis is not recorded"))?;
        let expected = genesis.hash();
        if found != expected {
            return Err(StorageError::OtherGenesis {
                path: self.path.clone(),
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
        Ok(())
    }

    fn write_genesis(&self, genesis: &Genesis) -> Result<(), StorageError> {
        let state = genesis.state();
        let tip = genesis.tip();
        let open = OpenBatchRecord {
            number: BatchNumber(1),
            first_height: protocol::number::Height(1),
            published_height: tip.height,
            inbox_count: tip.inbox_count,
            root: state.root(),
        };
        self.write_start(WriteBatch::default(), genesis, (&state, tip), &open)
    }

    /// Writes what every database begins with, and what is in the batch already.
    pub(super) fn write_start(
        &self,
        mut batch: WriteBatch,
        genesis: &Genesis,
        (state, tip): (&State, Tip),
        open: &OpenBatchRecord,
    ) -> Result<(), StorageError> {
        self.put_whole_state(&mut batch, state);
        let record = TipRecord {
            tip,
            root: state.root(),
            leaf_count: state.leaf_count(),
        };
        self.put(&mut batch, Column::Meta, TIP_KEY, &record);
        self.put(&mut batch, Column::Meta, OPEN_BATCH_KEY, open);
        self.put(&mut batch, Column::Meta, GENESIS_KEY, &genesis.hash());
        // after a restart nobody has the sets between: those of genesis are in office until the next epoch is over
        let first = Height(tip.height.0.saturating_add(1));
        let epoch = Epoch::of(first);
        self.put_validator_set(&mut batch, epoch, &genesis.validators);
        if first > epoch.first_height() {
            self.put_validator_set(&mut batch, epoch.next(), &genesis.validators);
        }
        let meta = self.column(Column::Meta);
        batch.put_cf(meta, SCHEMA_KEY, to_bytes(&SCHEMA));
        self.write(batch, Durability::Synced)
    }

    /// Reads every entry of every column, so that RocksDB checks every checksum.
    pub(crate) fn read_everything(&self) -> Result<u64, StorageError> {
        self.read_columns(u64::MAX, u64::MAX)
    }

    /// What a start reads: everything a node goes on from, and of each column of history the newest entries, so that
    /// a start takes no longer as the chain grows. Older history is checked when somebody asks for it.
    pub(crate) fn read_for_start(&self) -> Result<u64, StorageError> {
        self.read_columns(HISTORY_ENTRIES_MAX, HISTORY_BYTES_MAX)
    }

    /// Reads all columns, those of history from the end up to these limits; returns the number of entries.
    pub(super) fn read_columns(
        &self,
        entries_max: u64,
        bytes_max: u64,
    ) -> Result<u64, StorageError> {
        let mut total = 0;
        for column in Column::ALL {
            let (mut entries, mut bytes) = (0_u64, 0_u64);
            self.scan(column, None, true, |key, value| {
                entries += 1;
                let length = key.len().saturating_add(value.len());
                bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                Ok(!column.is_history() || (entries < entries_max && bytes < bytes_max))
            })?;
            total += entries;
        }
        Ok(total)
    }

    /// Newest batch such that it and all before it were proven when this was written; 0 if none.
    pub(crate) fn proven_up_to(&self) -> Result<u64, StorageError> {
        Ok(self.get(Column::Meta, PROVEN_KEY)?.unwrap_or(0))
    }

    /// Notes it, so that the next start need not look at batches before it. Losing the note is harmless.
    pub(crate) fn write_proven_up_to(&self, number: u64) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Meta, PROVEN_KEY, &number);
        self.write(batch, Durability::Buffered)
    }
}

/// Makes the directory, and the file that says that its database is not finished.
pub(super) fn mark(path: &Path, marker: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    std::fs::File::create(marker)?.sync_all()?;
    std::fs::File::open(path)?.sync_all()
}

/// What RocksDB would take for a new database, or replay without a word, is named here.
fn check_files(path: &Path) -> Result<(), String> {
    let files: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    let with_extension = |wanted: &str| {
        files
            .iter()
            .any(|file| file.extension().is_some_and(|end| end == wanted))
    };
    if !path.join("CURRENT").exists() {
        return Err(
            "the directory holds files but no CURRENT: it is no database, or lost that file".into(),
        );
    }
    if !with_extension("log") {
        return Err("its write-ahead log is missing".into());
    }
    Ok(())
}
