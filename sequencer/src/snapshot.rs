//! Snapshots: one file from which a node goes on without the blocks before it (`docs/snapshots.md` is for operators, ADR
//! 0015 has the reasons).
//!
//! A snapshot stands at the end of a certified batch: every leaf after it, the batch's checkpoint, the last blocks that
//! the vote rule looks back on, and the handovers that lead from genesis to the set that signed. Invariants: nothing in
//! a file is believed but what the sets since genesis have signed; a database is made only after the whole file was
//! judged, whole or not at all, and never in the place of another. What this module does not do: carry bundles, old
//! blocks, or what became of old operations; a node that must answer about those keeps everything.

mod frame;
mod judge;
mod keeper;
mod write;

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    Fr,
    block::BlockId,
    certificate::CertificateError,
    checkpoint::{Checkpoint, CheckpointError},
    genesis::Genesis,
    handover::BrokenChain,
    number::{BatchNumber, Epoch, Height},
    restart::RestartCertificate,
    validator::ValidatorSet,
};

use crate::storage::{StorageError, Store};

pub(crate) use keeper::{SnapshotKeeper, run_snapshots};

/// Ending of a file that is not finished.
const UNFINISHED: &str = "part";

/// Why a snapshot is not made, refused, or not restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The operating system refused.
    #[error("{path} cannot be read or written: {source}; check the path, space and permissions")]
    Files {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It is not written over what is there.
    #[error("{0} exists: choose another name, or move the old file away")]
    Exists(PathBuf),
    /// There is nothing to make one of.
    #[error("no snapshot can be made yet: {0}")]
    NotReady(String),
    /// The bytes are no snapshot, or not what was written.
    #[error("it is damaged: {0}; copy it again")]
    Damaged(String),
    /// It was written by another version of this program.
    #[error("it is a snapshot of format {found}, this program reads format {expected}")]
    Version {
        /// Format of the file.
        found: u32,
        /// Format of this program.
        expected: u32,
    },
    /// It belongs to another chain.
    #[error("it is of genesis {found}, not of {expected}")]
    OtherGenesis {
        /// Genesis of the file.
        found: BlockId,
        /// Genesis of the reader.
        expected: BlockId,
    },
    /// The chain of sets does not lead from genesis to its epoch.
    #[error("its validator sets do not follow from genesis: {0}")]
    Sets(#[from] BrokenChain),
    /// The set of its epoch did not sign the batch.
    #[error("its batch was not certified by the set of its epoch: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The set did not sign the restart that it goes on from.
    #[error("its restart was not signed by the set of genesis: {0}")]
    Restart(CertificateError),
    /// A block was not decided by the set of its epoch.
    #[error("block {height} was not decided by the set of its epoch: {reason}")]
    Certificate {
        /// Height of the block.
        height: Height,
        /// Why.
        reason: CertificateError,
    },
    /// The leaves are not those that were certified.
    #[error("its leaves have the state root {found}, but the set has certified {certified}")]
    Root {
        /// Root that the set signed.
        certified: Fr,
        /// Root of the leaves.
        found: Fr,
    },
    /// Parts of it contradict each other.
    #[error("it contradicts itself: {0}")]
    Inconsistent(String),
    /// The database failed, or cannot be made.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What a snapshot says of itself, once it was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Height at which it stands: a node that begins there gets the blocks above it from others.
    pub height: Height,
    /// Id of that block.
    pub block: BlockId,
    /// State root after it.
    pub root: Fr,
    /// Leaves in the state.
    pub leaf_count: u64,
    /// The batch that ends there.
    pub batch: BatchNumber,
    /// Epoch of the height.
    pub epoch: Epoch,
    /// Height of the first block in it.
    pub blocks_from: Height,
    /// Bytes of the file.
    pub bytes: u64,
    /// Hash of its contents.
    pub contents: [u8; 32],
}

/// What the file begins with.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
struct Head {
    genesis: BlockId,
    /// What the chain goes on from, if that is not genesis.
    restart: Option<RestartCertificate>,
    /// Of the batch that ends where this stands.
    checkpoint: Checkpoint,
    /// The set of the epoch after; the checkpoint names its hash.
    next_set: ValidatorSet,
    /// What the checkpoint has of the counters: leaves, height of the last published block, inbox items.
    leaf_count: u64,
    published_height: Height,
    inbox_count: u64,
}

impl Head {
    fn last_height(&self) -> Height {
        self.checkpoint.commitment.last_height
    }

    /// The first epoch whose set is that of genesis.
    fn first_epoch(&self) -> Epoch {
        first_epoch(self.restart.as_ref())
    }

    /// Height of the first block in the file: as many as the vote rule looks back on.
    fn first_block(&self) -> Height {
        first_block(self.restart.as_ref(), self.last_height())
    }
}

/// Height that a chain begins after.
fn base(restart: Option<&RestartCertificate>) -> u64 {
    restart.map_or(0, |certificate| certificate.restart.last_height.0)
}

fn first_epoch(restart: Option<&RestartCertificate>) -> Epoch {
    Epoch::of(Height(base(restart).saturating_add(1)))
}

fn first_block(restart: Option<&RestartCertificate>, last: Height) -> Height {
    let count = u64::try_from(protocol::history::HISTORY_BLOCKS).unwrap_or(u64::MAX);
    let first = last.0.saturating_add(1).saturating_sub(count);
    Height(first.max(base(restart).saturating_add(1)))
}

fn files(path: &Path) -> impl Fn(std::io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Files {
        path: path.clone(),
        source,
    }
}

/// Makes the snapshot of a data directory that no node runs on, at the end of its newest sealed batch. It is written
/// beside its name, judged as a receiver would, and then given the name.
///
/// # Errors
/// [`SnapshotError`]; nothing is left.
pub fn make_snapshot(
    data_dir: &Path,
    genesis: &Genesis,
    out: &Path,
) -> Result<SnapshotInfo, SnapshotError> {
    if out.exists() {
        return Err(SnapshotError::Exists(out.to_owned()));
    }
    let store = Store::open_existing(data_dir, genesis)?;
    let mut unfinished = out.as_os_str().to_owned();
    unfinished.push(format!(".{UNFINISHED}"));
    let unfinished = PathBuf::from(unfinished);
    write_file(&store, genesis.hash(), &unfinished, |_| {
        let info = check_snapshot(&unfinished, genesis)?;
        std::fs::rename(&unfinished, out).map_err(files(out))?;
        Ok(info)
    })
}

/// Writes a file and gives it to `finish` with the number of its batch; it is removed unless that has moved it away.
fn write_file<T>(
    store: &Store,
    genesis: BlockId,
    unfinished: &Path,
    finish: impl FnOnce(BatchNumber) -> Result<T, SnapshotError>,
) -> Result<T, SnapshotError> {
    let write = || {
        let file = File::create(unfinished).map_err(files(unfinished))?;
        let mut to = BufWriter::new(file);
        let batch = write::write_snapshot(store, genesis, &mut to, unfinished)?;
        to.flush().map_err(files(unfinished))?;
        to.get_ref().sync_all().map_err(files(unfinished))?;
        Ok(batch)
    };
    let finished = write().and_then(finish);
    if finished.is_err() {
        // of no use any more; failing to remove it changes nothing
        let _ = std::fs::remove_file(unfinished);
    }
    finished
}

/// Judges a snapshot under a genesis: all of it, as before a restore.
///
/// # Errors
/// [`SnapshotError`].
pub fn check_snapshot(path: &Path, genesis: &Genesis) -> Result<SnapshotInfo, SnapshotError> {
    judged(path, genesis).map(|judged| judged.info)
}

fn judged(path: &Path, genesis: &Genesis) -> Result<judge::Judged, SnapshotError> {
    let file = File::open(path).map_err(files(path))?;
    judge::judge(&mut BufReader::new(file), path, genesis)
}

/// Makes the database of a node from a snapshot, in a directory that has none. What lies there of `agreement` stays: it
/// knows what was signed.
///
/// # Errors
/// [`SnapshotError`]; no database has been made.
pub fn restore_snapshot(
    path: &Path,
    data_dir: &Path,
    genesis: &Genesis,
) -> Result<SnapshotInfo, SnapshotError> {
    Store::check_restorable(data_dir)?;
    let judged = judged(path, genesis)?;
    Store::make_restored(data_dir, genesis, &judged.restored(crate::chain::now_ms()))?;
    Ok(judged.info)
}

#[cfg(test)]
mod tests;
