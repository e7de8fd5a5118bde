//! Snapshots that a running node writes by itself: one every so many batches, of which the newest are kept.
//!
//! A file is read from one moment of the database while blocks go on; a full disk costs the file, not the node. What this
//! module does not do: judge what it has written (`quorate snapshot check` does), or delete files with other names.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use protocol::{block::BlockId, number::BatchNumber};
use tokio_util::sync::CancellationToken;

use super::{SnapshotError, UNFINISHED, files, write_file};
use crate::{
    config::SnapshotConfig,
    storage::{StorageError, Store},
};

/// How often it is asked whether a batch has been certified.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a failure to write is waited over.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// Parts of a file's name.
const NAME: (&str, &str) = ("batch-", ".snapshot");

/// Writes snapshots.
pub(crate) struct SnapshotKeeper {
    pub(crate) store: Arc<Store>,
    pub(crate) genesis: BlockId,
    pub(crate) config: SnapshotConfig,
}

/// Writes what is due until cancelled.
///
/// # Errors
/// The storage error that ended it.
pub(crate) async fn run_snapshots(
    keeper: Arc<SnapshotKeeper>,
    cancelled: CancellationToken,
) -> Result<(), StorageError> {
    let mut pause = LOOK_INTERVAL;
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        let worker = Arc::clone(&keeper);
        let written = tokio::task::spawn_blocking(move || worker.write_due()).await;
        pause = match written.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        {
            Ok(()) | Err(SnapshotError::NotReady(_)) => LOOK_INTERVAL,
            Err(SnapshotError::Storage(error)) => return Err(error),
            Err(error) => {
                tracing::error!(%error, "no snapshot was written");
                RETRY_INTERVAL
            }
        };
    }
}

impl SnapshotKeeper {
    fn path(&self, number: BatchNumber) -> PathBuf {
        let name = format!("{}{:010}{}", NAME.0, number.0, NAME.1);
        self.config.directory.join(name)
    }

    /// Numbers of the batches that there are files of, ascending.
    fn written(&self) -> std::io::Result<Vec<BatchNumber>> {
        if !self.config.directory.exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.config.directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| {
                name.strip_prefix(NAME.0)?
                    .strip_suffix(NAME.1)?
                    .parse()
                    .ok()
            });
            found.extend(number.map(BatchNumber));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Writes the snapshot of the newest sealed batch, if enough batches have passed since the last one.
    fn write_due(&self) -> Result<(), SnapshotError> {
        let failed = files(&self.config.directory);
        let newest = BatchNumber(self.store.open_batch()?.number.0.saturating_sub(1));
        let last = self.written().map_err(&failed)?.pop();
        let due = last.map_or(1, |last| {
            last.0.saturating_add(self.config.every_batches.max(1))
        });
        if newest.0 < due {
            return Ok(());
        }
        fs::create_dir_all(&self.config.directory).map_err(&failed)?;
        let unfinished = self.config.directory.join(format!("next.{UNFINISHED}"));
        let path = write_file(&self.store, self.genesis, &unfinished, |number| {
            let path = self.path(number);
            fs::rename(&unfinished, &path).map_err(files(&path))?;
            Ok(path)
        })?;
        tracing::info!(file = %path.display(), "snapshot written");
        let written = self.written().map_err(&failed)?;
        let old = written.len().saturating_sub(self.config.keep.max(1));
        for number in written.into_iter().take(old) {
            let path = self.path(number);
            fs::remove_file(&path).map_err(files(&path))?;
        }
        Ok(())
    }
}
