//! The section `[storage]`: what a node keeps of the past, and the snapshots that it writes by itself.

use std::path::{Path, PathBuf};

use sequencer::{SnapshotConfig, StorageConfig};
use serde::{Deserialize, Serialize};

use crate::exit::{CliError, Exit};

/// Fewest blocks that can be asked for: a node that was away for a minute must find what it missed.
const KEEP_BLOCKS_MIN: u64 = 300;

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StorageSettings {
    /// Newest blocks that stay; all without a number.
    pub(crate) keep_blocks: Option<u64>,
    /// Batches from one snapshot to the next; none are written without a number.
    pub(crate) snapshot_every_batches: Option<u64>,
    /// Newest snapshots that stay.
    pub(crate) snapshots_kept: usize,
    /// Directory of snapshots; `snapshots` in the data directory without one.
    pub(crate) snapshots: Option<PathBuf>,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            keep_blocks: None,
            snapshot_every_batches: None,
            snapshots_kept: 3,
            snapshots: None,
        }
    }
}

fn too_small(key: &str, found: u64, least: u64) -> CliError {
    let what = format!("storage.{key} = {found} is too small");
    let todo = format!("give at least {least}, or leave it out");
    CliError::new(Exit::Usage, what, format!("the least is {least}"), todo)
}

impl StorageSettings {
    /// What a node on this data directory keeps.
    ///
    /// # Errors
    /// `Usage` for numbers that are too small.
    pub(crate) fn parse(&self, data: &Path) -> Result<StorageConfig, CliError> {
        if let Some(keep) = self.keep_blocks.filter(|keep| *keep < KEEP_BLOCKS_MIN) {
            return Err(too_small("keep_blocks", keep, KEEP_BLOCKS_MIN));
        }
        if self.snapshot_every_batches == Some(0) {
            return Err(too_small("snapshot_every_batches", 0, 1));
        }
        if self.snapshots_kept == 0 {
            return Err(too_small("snapshots_kept", 0, 1));
        }
        let directory = self.snapshots.clone();
        let directory = directory.unwrap_or_else(|| data.join("snapshots"));
        Ok(StorageConfig {
            keep_blocks: self.keep_blocks,
            snapshots: self
                .snapshot_every_batches
                .map(|every_batches| SnapshotConfig {
                    directory,
                    every_batches,
                    keep: self.snapshots_kept,
                }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_forgotten_by_default_and_small_numbers_are_refused() {
        let data = Path::new("data");
        let parsed = StorageSettings::default().parse(data);
        assert_eq!(parsed, Ok(StorageConfig::default()));
        let wanted = StorageSettings {
            keep_blocks: Some(KEEP_BLOCKS_MIN),
            snapshot_every_batches: Some(1),
            ..StorageSettings::default()
        };
        let parsed = wanted.parse(data).expect("it is usable");
        let snapshots = parsed.snapshots.expect("they are wanted");
        assert_eq!(snapshots.directory, data.join("snapshots"));
        let wrong = [
            StorageSettings {
                keep_blocks: Some(KEEP_BLOCKS_MIN - 1),
                ..wanted.clone()
            },
            StorageSettings {
                snapshot_every_batches: Some(0),
                ..wanted.clone()
            },
            StorageSettings {
                snapshots_kept: 0,
                ..wanted
            },
        ];
        for settings in wrong {
            let error = settings.parse(data).expect_err("it is too small");
            assert_eq!(error.exit, Exit::Usage);
        }
    }
}
