//! How far back a database goes: it may begin at a restart or at a snapshot, and lose old blocks by pruning.
//!
//! Invariants: every block from [`HistoryRecord::blocks_from`] to the newest is there, and none below; of an epoch whose
//! last block is not, the handover is kept in its place, so that validator sets can be proven from genesis for ever.
//! What this module does not do: decide how much is kept ([`crate::pruning`]).

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    handover::Handover,
    number::{BatchNumber, Epoch, Height},
};
use rocksdb::WriteBatch;

use super::{Column, Durability, StorageError, Store};

const HISTORY_KEY: &[u8] = b"history";

/// Where what this database knows begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct HistoryRecord {
    /// Height of the first block that is here.
    pub(crate) blocks_from: Height,
    /// Height from which on operations are recorded.
    pub(crate) operations_from: Height,
    /// The first batch that is here.
    pub(crate) batches_from: BatchNumber,
}

impl Store {
    pub(super) fn put_history(&self, batch: &mut WriteBatch, history: &HistoryRecord) {
        self.put(batch, Column::Meta, HISTORY_KEY, history);
    }

    /// Where what this database knows begins.
    pub(crate) fn history(&self) -> Result<HistoryRecord, StorageError> {
        if let Some(history) = self.get(Column::Meta, HISTORY_KEY)? {
            return Ok(history);
        }
        let restart = self.restart()?.map(|certificate| certificate.restart);
        let (height, number) =
            restart.map_or((0, 0), |restart| (restart.last_height.0, restart.batch.0));
        let first = Height(height.saturating_add(1));
        Ok(HistoryRecord {
            blocks_from: first,
            operations_from: first,
            batches_from: BatchNumber(number.saturating_add(1)),
        })
    }

    /// Height of the first block that is here, or will be.
    pub(crate) fn first_height(&self) -> Result<Height, StorageError> {
        Ok(self.history()?.blocks_from)
    }

    /// The first epoch whose set the chain's genesis fixes: 0, or that of the first block after a restart.
    pub(crate) fn first_epoch(&self) -> Result<Epoch, StorageError> {
        let restart = self.restart()?;
        Ok(restart.map_or(Epoch(0), |certificate| {
            Epoch::of(Height(certificate.restart.last_height.0.saturating_add(1)))
        }))
    }

    pub(super) fn put_handover(&self, batch: &mut WriteBatch, epoch: Epoch, link: &Handover) {
        self.put(batch, Column::Handovers, &epoch.0.to_be_bytes(), link);
    }

    /// The proof of the set after an epoch; `None` if the epoch has not ended here, or ended before a restart.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn handover(&self, epoch: Epoch) -> Result<Option<Handover>, StorageError> {
        // the block first: while it is being pruned one of the two is there
        let Some(stored) = self.block(epoch.last_height())? else {
            return self.get(Column::Handovers, &epoch.0.to_be_bytes());
        };
        let header = stored.block.header;
        Ok(Some(Handover {
            core: header.core,
            bid: header.bid,
            certificate: stored.certificate.to_commit(),
            next: self.office(epoch.next())?,
        }))
    }

    /// Forgets the blocks below `to`, all at once; what a crash takes back is forgotten again.
    pub(crate) fn prune_blocks(&self, to: Height) -> Result<(), StorageError> {
        let history = self.history()?;
        let from = history.blocks_from;
        if to <= from {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        let mut epoch = Epoch::of(from);
        while epoch.last_height() < to {
            let missing =
                || self.corrupt(format!("the block at the end of epoch {epoch} is missing"));
            let link = self.handover(epoch)?.ok_or_else(missing)?;
            self.put_handover(&mut batch, epoch, &link);
            epoch = epoch.next();
        }
        let (start, end) = (from.0.to_be_bytes(), to.0.to_be_bytes());
        batch.delete_range_cf(self.column(Column::Blocks), &start[..], &end[..]);
        let kept = HistoryRecord {
            blocks_from: to,
            ..history
        };
        self.put_history(&mut batch, &kept);
        self.write(batch, Durability::Buffered)
    }

    /// Checks that no block and no handover is missing, up to the newest block at `tip`.
    pub(super) fn check_history(&self, tip: Height) -> Result<(), StorageError> {
        let mut next = self.first_height()?;
        for epoch in self.first_epoch()?.0..Epoch::of(next).0 {
            let epoch = Epoch(epoch);
            let missing = || self.corrupt(format!("the handover of epoch {epoch} is missing"));
            self.handover(epoch)?.ok_or_else(missing)?;
        }
        self.scan(Column::Blocks, None, false, |key, _| {
            if *key != next.0.to_be_bytes() {
                return Err(self.corrupt(format!("block {next} is missing")));
            }
            next = Height(next.0.saturating_add(1));
            Ok(true)
        })?;
        if next.0 == tip.0.saturating_add(1) {
            Ok(())
        } else {
            let what = format!("its blocks end before {next}, its newest one is {tip}");
            Err(self.corrupt(what))
        }
    }
}

#[cfg(test)]
impl Store {
    /// Loses a block, as no write of this program does.
    pub(crate) fn lose_block(&self, height: Height) {
        let mut batch = WriteBatch::default();
        self.delete(&mut batch, Column::Blocks, &height.0.to_be_bytes());
        self.write(batch, Durability::Synced).unwrap();
    }
}
