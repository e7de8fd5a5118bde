//! Writing a snapshot from the database, in the order in which it is judged: what proves comes before what is proven.
//!
//! Leaves are read one by one from one moment of the database, and turned back to the start of the open batch by its undo
//! records. What this module does not do: hash the state; whoever reads the file does.

use std::{io::Write, path::Path};

use protocol::{
    account::Leaf,
    block::BlockId,
    number::{BatchNumber, Epoch, Height},
};

use super::{
    Head, SnapshotError,
    frame::{FrameWriter, Kind},
};
use crate::storage::Store;

/// Leaves of one frame: half a megabyte.
pub(super) const LEAVES_MAX: usize = 4_096;

/// Writes the snapshot at the end of the newest sealed batch, and says which that is.
///
/// # Errors
/// [`SnapshotError::NotReady`] while that batch has no checkpoint, else the database's or the file's failure.
pub(super) fn write_snapshot(
    store: &Store,
    genesis: BlockId,
    to: &mut dyn Write,
    path: &Path,
) -> Result<BatchNumber, SnapshotError> {
    let frozen = store.frozen();
    let open = frozen.open_batch()?;
    let number = BatchNumber(open.number.0.saturating_sub(1));
    let restart = store.restart()?;
    let begin = restart
        .as_ref()
        .map_or(BatchNumber(0), |certificate| certificate.restart.batch);
    if number <= begin {
        let what = format!("no batch has been sealed since the chain began at batch {begin}");
        return Err(SnapshotError::NotReady(what));
    }
    let Some(record) = frozen.checkpoint_record(number)? else {
        let what = format!(
            "batch {number} is sealed and not certified here; more than two thirds of the weight sign it within \
             seconds, so run the node until quorate_status says batch_certified {number}"
        );
        return Err(SnapshotError::NotReady(what));
    };
    let commitment = &record.checkpoint.commitment;
    let last = commitment.last_height;
    let next_set = store.office(Epoch::of(last).next())?;
    let undo = frozen.undo_since(open.first_height)?;
    let leaf_count = match &undo {
        Some(undo) => undo.leaf_count,
        None => frozen.leaf_count()?,
    };
    let head = Head {
        genesis,
        restart,
        checkpoint: record.checkpoint,
        next_set,
        leaf_count,
        published_height: open.published_height,
        inbox_count: open.inbox_count,
    };
    let mut frames = FrameWriter::new(to, path)?;
    frames.write(Kind::Head, &head)?;
    for epoch in head.first_epoch().0..Epoch::of(last).0 {
        let epoch = Epoch(epoch);
        let missing = || store.corrupt(format!("the handover of epoch {epoch} is missing"));
        let link = store.handover(epoch)?.ok_or_else(missing)?;
        frames.write(Kind::Handover, &link)?;
    }
    for height in head.first_block().0..=last.0 {
        frames.write(Kind::Block, &frozen.block(Height(height))?)?;
    }
    let mut leaves: Vec<Leaf> = Vec::with_capacity(LEAVES_MAX);
    frozen.leaves(leaf_count, undo.as_ref(), |leaf| {
        leaves.push(leaf);
        if leaves.len() == LEAVES_MAX {
            frames.write(Kind::Leaves, &leaves)?;
            leaves.clear();
        }
        Ok::<_, SnapshotError>(())
    })?;
    if !leaves.is_empty() {
        frames.write(Kind::Leaves, &leaves)?;
    }
    frames.write(Kind::End, &())?;
    Ok(number)
}
