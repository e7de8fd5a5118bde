//! Operations and the mempool on disk.

use protocol::{
    number::{Height, LeafIndex},
    transaction::TransactionId,
};
use rocksdb::WriteBatch;

use super::{
    Column, Departed, Durability, PendingRecord, StorageError, Store, TransactionRecord,
    state::mention_key,
};

/// One step of an admission round.
pub(crate) enum AdmissionStep {
    /// A new entry under its sequence number.
    Admit {
        sequence: u64,
        record: Box<PendingRecord>,
        ids: Vec<TransactionId>,
    },
    /// An entry that is gone since the newest block was at `tip`, and what became of its operations.
    Remove {
        sequence: u64,
        tip: Height,
        departed: Departed,
        records: Vec<(TransactionId, TransactionRecord)>,
    },
}

impl Store {
    /// Stores an admission round, synced: afterwards its operations are acknowledged. Steps apply in order.
    pub(crate) fn write_admission(&self, steps: &[AdmissionStep]) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        for step in steps {
            match step {
                AdmissionStep::Admit {
                    sequence,
                    record,
                    ids,
                } => {
                    self.put(&mut batch, Column::Mempool, &sequence.to_be_bytes(), record);
                    let received_ms = record.received_ms;
                    let pending = TransactionRecord::Pending {
                        sequence: *sequence,
                        received_ms,
                    };
                    for id in ids {
                        self.put(&mut batch, Column::Transactions, &id.0, &pending);
                    }
                }
                AdmissionStep::Remove {
                    sequence,
                    tip,
                    departed,
                    records,
                } => {
                    self.put_departed(&mut batch, *tip, departed);
                    self.delete(&mut batch, Column::Mempool, &sequence.to_be_bytes());
                    for (id, record) in records {
                        self.put(&mut batch, Column::Transactions, &id.0, record);
                    }
                }
            }
        }
        self.write(batch, Durability::Synced)
    }

    /// All pending entries, oldest first.
    pub(crate) fn pending(&self) -> Result<Vec<(u64, PendingRecord)>, StorageError> {
        let mut entries = Vec::new();
        self.scan(Column::Mempool, None, false, |key, value| {
            let sequence =
                <[u8; 8]>::try_from(key).map_err(|_| self.corrupt("a key in column mempool"))?;
            entries.push((
                u64::from_be_bytes(sequence),
                self.decode(Column::Mempool, value)?,
            ));
            Ok(true)
        })?;
        Ok(entries)
    }

    /// What became of an operation, if this node has seen it.
    pub(crate) fn transaction(
        &self,
        id: &TransactionId,
    ) -> Result<Option<TransactionRecord>, StorageError> {
        self.get(Column::Transactions, &id.0)
    }

    /// Operations that named a leaf, newest first, below the cursor (height, place).
    pub(crate) fn transactions_of_leaf(
        &self,
        leaf: LeafIndex,
        below: Option<(Height, u32)>,
        limit: usize,
    ) -> Result<Vec<(Height, u32, TransactionId)>, StorageError> {
        let (height, place) = below.unwrap_or((Height(u64::MAX), u32::MAX));
        let start = mention_key(leaf, height, place);
        let mut found = Vec::new();
        self.scan(
            Column::LeafTransactions,
            Some(&start),
            true,
            |key, value| {
                let Some(rest) = key.strip_prefix(leaf.0.to_be_bytes().as_slice()) else {
                    return Ok(false);
                };
                if *key == start[..] {
                    return Ok(true); // the cursor itself was on the page before
                }
                let (height, place) = rest
                    .split_first_chunk::<8>()
                    .and_then(|(height, place)| Some((height, <[u8; 4]>::try_from(place).ok()?)))
                    .ok_or_else(|| self.corrupt("a key in column leaf_transactions"))?;
                let height = Height(u64::from_be_bytes(*height));
                let id = self.decode(Column::LeafTransactions, value)?;
                found.push((height, u32::from_be_bytes(place), id));
                Ok(found.len() < limit)
            },
        )?;
        Ok(found)
    }
}
