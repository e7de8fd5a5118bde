//! Final proofs on disk, and what becomes of the work that led to them.
//!
//! Invariant: once a batch has its final proof, nothing of its aggregation is left but the records of jobs that were
//! done. What this module does not do: decide whether a proof is one.

use protocol::number::BatchNumber;
use rocksdb::WriteBatch;

use super::{
    Column, Durability, FinalProofRecord, JobRecord, StorageError, Store, open, queue::order_key,
};

impl Store {
    /// The final proof of a batch: verified, and ready for the base layer.
    pub(crate) fn final_proof(
        &self,
        number: BatchNumber,
    ) -> Result<Option<FinalProofRecord>, StorageError> {
        self.get(Column::FinalProofs, &number.0.to_be_bytes())
    }

    /// Stores the final proof of a batch, with the job that it came from if this node had made one. Proofs and witnesses
    /// on the way to it are forgotten, and so are its jobs that nobody has done. Returns the ids of the latter.
    pub(crate) fn write_final_proof(
        &self,
        record: &FinalProofRecord,
        job: Option<(&[u8; 32], &JobRecord)>,
    ) -> Result<Vec<[u8; 32]>, StorageError> {
        let mut batch = WriteBatch::default();
        let number = record.inputs.batch_number;
        let mut dropped = Vec::new();
        for (id, known) in self.jobs_of_batch(number)? {
            if !known.circuit.is_aggregation() {
                continue;
            }
            self.delete(&mut batch, Column::Proofs, &id);
            self.delete(&mut batch, Column::Witnesses, &id);
            if known.proven_ms.is_none() && job.is_none_or(|(done, _)| *done != id) {
                self.delete(&mut batch, Column::Jobs, &id);
                self.delete(&mut batch, Column::JobOrder, &order_key(&known));
                dropped.push(id);
            }
        }
        if let Some((id, done)) = job {
            self.put(&mut batch, Column::Jobs, id, done);
        }
        let key = number.0.to_be_bytes();
        self.put(&mut batch, Column::FinalProofs, &key, record);
        self.write(batch, Durability::Synced)?;
        Ok(dropped)
    }

    /// Newest batch such that it and all before it had a final proof when this was written; 0 if none.
    pub(crate) fn final_up_to(&self) -> Result<u64, StorageError> {
        Ok(self.get(Column::Meta, open::FINAL_KEY)?.unwrap_or(0))
    }

    /// Notes it, so that the next start need not look at batches before it. Losing the note is harmless.
    pub(crate) fn write_final_up_to(&self, number: u64) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Meta, open::FINAL_KEY, &number);
        self.write(batch, Durability::Buffered)
    }
}
