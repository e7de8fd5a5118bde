//! Forgetting old blocks, if the operator wants it: the newest [`StorageConfig::keep_blocks`] stay, and what is still needed.
//!
//! Needed are the blocks of the open batch and the last ones before it (a snapshot carries them), those of sealed batches
//! that lack a proof or a checkpoint, and those that the vote rule looks back on. What became of an operation, sealed
//! batches, bundles and checkpoints are kept: receipts and verifiers read them, and a restart is made of bundles.
//! Invariant: what is pruned is never read again by this node. What this module does not do: give space back at once; the
//! database does when it compacts.
//!
//! [`StorageConfig::keep_blocks`]: crate::config::StorageConfig

use std::{sync::Arc, time::Duration};

use protocol::{
    history::HISTORY_BLOCKS,
    number::{BatchNumber, Height},
};
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoints,
    proving::RocksQueue,
    storage::{StorageError, Store},
};

/// How often old blocks are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Blocks forgotten in one write.
const STEP_BLOCKS: u64 = 4_096;
/// Blocks that may be more than are kept, at most: each write leaves a mark in the database until it compacts.
const STRIDE_MAX: u64 = 256;
/// The part of what is kept that may be more.
const STRIDE_PART: u64 = 16;

/// Forgets blocks.
pub(crate) struct Pruner {
    pub(crate) store: Arc<Store>,
    pub(crate) queue: Arc<RocksQueue>,
    /// Blocks that stay.
    pub(crate) keep: u64,
}

/// Forgets old blocks until cancelled.
///
/// # Errors
/// The storage error that ended it.
pub(crate) async fn run_pruning(
    pruner: Arc<Pruner>,
    mut tip: tokio::sync::watch::Receiver<Height>,
    cancelled: CancellationToken,
) -> Result<(), StorageError> {
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let (worker, height) = (Arc::clone(&pruner), *tip.borrow_and_update());
        let is_stopped = cancelled.clone();
        let pruned = tokio::task::spawn_blocking(move || {
            worker.prune(height, &|| is_stopped.is_cancelled())
        });
        pruned
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    }
}

impl Pruner {
    /// Forgets what is too old when the newest block is at `tip`, in steps, unless told to stop.
    fn prune(&self, tip: Height, is_stopped: &dyn Fn() -> bool) -> Result<(), StorageError> {
        let stride = (self.keep / STRIDE_PART).clamp(1, STRIDE_MAX);
        let target = self.needed_from(tip)?;
        let mut from = self.store.first_height()?;
        if target.0.saturating_sub(from.0) < stride {
            return Ok(());
        }
        while from < target && !is_stopped() {
            let to = Height(from.0.saturating_add(STEP_BLOCKS)).min(target);
            self.store.prune_blocks(to)?;
            from = to;
        }
        ::metrics::gauge!("sequencer_blocks_from").set(from.0 as f64);
        tracing::debug!(blocks_from = from.0, "old blocks forgotten");
        Ok(())
    }

    /// The lowest height that must stay.
    fn needed_from(&self, tip: Height) -> Result<Height, StorageError> {
        let looked_back = u64::try_from(HISTORY_BLOCKS).unwrap_or(u64::MAX);
        let keep = self.keep.max(looked_back);
        let mut lowest = tip.0.saturating_add(1).saturating_sub(keep);
        let open = self.store.open_batch()?;
        lowest = lowest.min(open.first_height.0.saturating_sub(looked_back));
        let unproven = BatchNumber(self.queue.proven_up_to().saturating_add(1));
        if let Some(batch) = self.store.batch(unproven)? {
            lowest = lowest.min(batch.first_height.0);
        }
        let open_max = u64::try_from(checkpoints::OPEN_MAX).unwrap_or(u64::MAX);
        for number in open.number.0.saturating_sub(open_max)..open.number.0 {
            let number = BatchNumber(number);
            if self.store.checkpoint(number)?.is_some() {
                continue;
            }
            if let Some(batch) = self.store.batch(number)? {
                lowest = lowest.min(batch.last_height.0);
            }
        }
        Ok(Height(lowest))
    }
}

#[cfg(test)]
mod tests;
