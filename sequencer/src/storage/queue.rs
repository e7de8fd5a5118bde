//! Batches, jobs, proofs and bundles on disk.

use api::jobs::Circuit;
use protocol::number::{BatchNumber, Height};
use rocksdb::WriteBatch;

use super::{
    BatchRecord, Column, Durability, JobRecord, OpenBatchRecord, StorageError, Store, open,
};

/// Batch, circuit, position.
pub(super) fn order_key(record: &JobRecord) -> Vec<u8> {
    let mut key = record.batch.0.to_be_bytes().to_vec();
    key.push(match record.circuit {
        Circuit::Chunk => 0,
        Circuit::Data => 1,
        Circuit::Level(level) => level.saturating_add(2),
        Circuit::Top => 0xfe,
        Circuit::Final => 0xff,
    });
    key.extend_from_slice(&record.index.to_be_bytes());
    key
}

/// A job under its id.
type IdentifiedJob = ([u8; 32], JobRecord);

impl Store {
    fn put_job(&self, batch: &mut WriteBatch, id: &[u8; 32], record: &JobRecord, witness: &[u8]) {
        self.put(batch, Column::Jobs, id, record);
        self.put(batch, Column::JobOrder, &order_key(record), id);
        batch.put_cf(self.column(Column::Witnesses), id, witness);
    }

    /// Stores a new job.
    pub(crate) fn write_job(
        &self,
        id: &[u8; 32],
        record: &JobRecord,
        witness: &[u8],
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put_job(&mut batch, id, record, witness);
        self.write(batch, Durability::Synced)
    }

    /// Seals a batch: its record, its last jobs, and where the next one starts.
    pub(crate) fn write_seal(
        &self,
        record: &BatchRecord,
        jobs: &[([u8; 32], JobRecord, Vec<u8>)],
        next: &OpenBatchRecord,
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        for (id, job, witness) in jobs {
            self.put_job(&mut batch, id, job, witness);
        }
        let number = record.number.0.to_be_bytes();
        self.put(&mut batch, Column::Batches, &number, record);
        let last = record.last_height.0.to_be_bytes();
        self.put(&mut batch, Column::BatchEnds, &last, &record.number);
        self.put(&mut batch, Column::Meta, open::OPEN_BATCH_KEY, next);
        self.delete_undo_below(&mut batch, next.first_height)?;
        self.write(batch, Durability::Synced)
    }

    /// A job.
    pub(crate) fn job(&self, id: &[u8; 32]) -> Result<Option<JobRecord>, StorageError> {
        self.get(Column::Jobs, id)
    }

    /// All jobs of a batch, in the order of the work.
    pub(crate) fn jobs_of_batch(
        &self,
        number: BatchNumber,
    ) -> Result<Vec<([u8; 32], JobRecord)>, StorageError> {
        let prefix = number.0.to_be_bytes();
        let mut ids: Vec<[u8; 32]> = Vec::new();
        self.scan(Column::JobOrder, Some(&prefix), false, |key, value| {
            let is_ours = key.starts_with(&prefix);
            if is_ours {
                ids.push(self.decode(Column::JobOrder, value)?);
            }
            Ok(is_ours)
        })?;
        ids.into_iter()
            .map(|id| {
                let job = self
                    .job(&id)?
                    .ok_or_else(|| self.corrupt("a job is missing"))?;
                Ok((id, job))
            })
            .collect()
    }

    /// All jobs without a proof, oldest first; and how many have one. No job of a batch up to `done_up_to` is without.
    pub(crate) fn unproven_jobs(
        &self,
        done_up_to: BatchNumber,
    ) -> Result<(Vec<IdentifiedJob>, u64), StorageError> {
        let (mut open, mut done) = (Vec::new(), 0);
        let first_open = done_up_to.0.saturating_add(1).to_be_bytes();
        self.scan(Column::JobOrder, None, false, |key, value| {
            if *key < first_open[..] {
                done += 1;
                return Ok(true);
            }
            let id: [u8; 32] = self.decode(Column::JobOrder, value)?;
            let job = self
                .job(&id)?
                .ok_or_else(|| self.corrupt("a job is missing"))?;
            match job.proven_ms {
                None => open.push((id, job)),
                Some(_) => done += 1,
            }
            Ok(true)
        })?;
        Ok((open, done))
    }

    /// Witness bytes of a job that is not proven.
    pub(crate) fn witness(&self, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StorageError> {
        self.get_bytes(Column::Witnesses, id)
    }

    /// Updates a job's record; losing the update in a power cut is harmless.
    pub(crate) fn write_job_record(
        &self,
        id: &[u8; 32],
        record: &JobRecord,
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Jobs, id, record);
        self.write(batch, Durability::Buffered)
    }

    /// Stores a verified proof and forgets the witness.
    pub(crate) fn write_proof(
        &self,
        id: &[u8; 32],
        record: &JobRecord,
        proof: &[u8],
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        self.put(&mut batch, Column::Jobs, id, record);
        batch.put_cf(self.column(Column::Proofs), id, proof);
        self.delete(&mut batch, Column::Witnesses, id);
        self.write(batch, Durability::Synced)
    }

    /// A verified proof.
    pub(crate) fn proof(&self, id: &[u8; 32]) -> Result<Option<Vec<u8>>, StorageError> {
        self.get_bytes(Column::Proofs, id)
    }

    /// Stores a batch's bundle; its single proofs are in it and are forgotten.
    pub(crate) fn write_bundle(
        &self,
        record: &BatchRecord,
        bundle: &[u8],
    ) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        let number = record.number.0.to_be_bytes();
        self.put(&mut batch, Column::Batches, &number, record);
        batch.put_cf(self.column(Column::Bundles), number, bundle);
        for id in &record.jobs {
            self.delete(&mut batch, Column::Proofs, id);
        }
        self.write(batch, Durability::Synced)
    }

    /// A sealed batch.
    pub(crate) fn batch(&self, number: BatchNumber) -> Result<Option<BatchRecord>, StorageError> {
        self.get(Column::Batches, &number.0.to_be_bytes())
    }

    /// The bundle of a proven batch.
    pub(crate) fn bundle(&self, number: BatchNumber) -> Result<Option<Vec<u8>>, StorageError> {
        self.get_bytes(Column::Bundles, &number.0.to_be_bytes())
    }

    /// The sealed batch that a block belongs to.
    pub(crate) fn batch_of_block(
        &self,
        height: Height,
    ) -> Result<Option<BatchNumber>, StorageError> {
        let mut found = None;
        self.scan(
            Column::BatchEnds,
            Some(&height.0.to_be_bytes()),
            false,
            |_, value| {
                found = Some(self.decode(Column::BatchEnds, value)?);
                Ok(false)
            },
        )?;
        Ok(found)
    }
}
