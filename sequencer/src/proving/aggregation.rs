//! The way from a batch's proofs to its final one: which joins, closings and last proofs are jobs now.
//!
//! Nothing of the tree is remembered: it follows from the batch, and each job from what it proves. So the jobs that can
//! be done are found anew after every result and at every start, and a job that is there already is left alone. Level 0
//! takes each chunk alone; a level above pairs its runs from the first on, and an odd one goes alone to the next, as the
//! prover's own loop does.
//!
//! Invariants: a job is made only of verified proofs; a final proof is kept only if it states what this node knows of
//! the batch; at most [`WINDOW`] batches have jobs. What this module does not do: put a proof on the base layer.

use api::jobs::{
    AggregationWitness, CHUNKS_MAX, Circuit, ClosedEnds, JobId, StatedProof, join_width,
};
use protocol::{
    Fr,
    account::L1Address,
    codec::{field_from_le_bytes, field_to_le_bytes},
    number::BatchNumber,
    public_inputs::PublicInputs,
};
use std::sync::{Arc, atomic::Ordering};
use verifier::bundle::Bundle;

use super::{
    Queue, RocksQueue,
    verifying::{check_stated, rewarded_by},
};
use crate::{
    chain::now_ms,
    events::Event,
    storage::{BatchRecord, FinalProofRecord, JobRecord, StorageError, Store},
};

/// Batches that are aggregated at a time, from the first without a final proof on: what is proven faster than it is
/// aggregated waits without witnesses on disk.
pub(super) const WINDOW: u64 = 16;

/// Consecutive chunks, and their proof once it is there.
struct Run {
    domain: Fr,
    before: Fr,
    after: Fr,
    proof: Option<StatedProof>,
}

impl Run {
    fn statement(&self) -> [Fr; 3] {
        [self.domain, self.before, self.after]
    }
}

/// Jobs of one batch, as they are found.
struct Planner<'a> {
    store: &'a Store,
    queue: &'a mut Queue,
    batch: BatchNumber,
    joins: u32,
}

impl Planner<'_> {
    /// The result of a job, if it is there. If there is no such job, it is made as soon as its witness can be.
    fn result(
        &mut self,
        (circuit, index): (Circuit, u32),
        statement: &[Fr],
        witness: Option<AggregationWitness>,
    ) -> Result<Option<StatedProof>, StorageError> {
        let id = JobId::of_statement(circuit, statement).0;
        if let Some(job) = self.store.job(&id)? {
            if job.proven_ms.is_none() {
                self.queue.add(id, job);
                return Ok(None);
            }
            let missing = || self.store.corrupt("a proof below a final proof is missing");
            let bytes = self.store.proof(&id)?.ok_or_else(missing)?;
            let stated = StatedProof::decode(&bytes);
            let damaged = |error| self.store.corrupt(format!("a joined proof: {error}"));
            return stated.map(Some).map_err(damaged);
        }
        let Some(witness) = witness else {
            return Ok(None);
        };
        let record = JobRecord {
            circuit,
            batch: self.batch,
            index,
            instances: statement.iter().map(field_to_le_bytes).collect(),
            after: None,
            created_ms: now_ms(),
            leased_ms: None,
            proven_ms: None,
            attempts: 0,
            worker: None,
        };
        self.store.write_job(&id, &record, &witness.encode())?;
        self.queue.add(id, record);
        Ok(None)
    }

    /// The run of two neighbours, or of one alone, as of a chunk.
    fn join(&mut self, level: u8, left: &Run, right: Option<&Run>) -> Result<Run, StorageError> {
        let mut run = Run {
            after: right.unwrap_or(left).after,
            proof: None,
            ..*left
        };
        let right = right.map(|right| right.proof.as_ref());
        // nothing yet, while one of the proofs is missing
        let witness = match (&left.proof, right) {
            (None, _) | (_, Some(None)) => None,
            (Some(left), right) => Some(AggregationWitness::Join {
                level,
                left: left.clone(),
                right: right.flatten().cloned(),
            }),
        };
        let place = (Circuit::Level(level), self.joins);
        self.joins = self.joins.saturating_add(1);
        run.proof = self.result(place, &run.statement(), witness)?;
        Ok(run)
    }

    /// The run of all chunks, if it is proven, and its level.
    fn root(&mut self, mut runs: Vec<Run>) -> Result<Option<(u8, StatedProof)>, StorageError> {
        let mut level = 0;
        loop {
            let mut next = Vec::with_capacity(runs.len());
            for pair in runs.chunks(join_width(level.into())) {
                if let Some(left) = pair.first() {
                    next.push(self.join(level, left, pair.get(1))?);
                }
            }
            if next.len() <= 1 {
                let root = next.pop().and_then(|run| run.proof);
                return Ok(root.map(|root| (level, root)));
            }
            (runs, level) = (next, level + 1);
        }
    }

    fn plan(
        &mut self,
        record: &BatchRecord,
        (chunks, data): (Vec<Run>, StatedProof),
        inputs: impl FnOnce() -> PublicInputs,
    ) -> Result<(), StorageError> {
        let Some((level, root)) = self.root(chunks)? else {
            return Ok(());
        };
        let [statement @ .., _rewarded] = inputs().to_fields();
        let ends = ClosedEnds {
            number: record.number,
            start: record.start,
            end: record.end,
        };
        let witness = AggregationWitness::Close {
            level,
            root,
            data,
            ends: Box::new(ends),
        };
        if let Some(top) = self.result((Circuit::Top, 0), &statement, Some(witness))? {
            let witness = AggregationWitness::Finish { top };
            self.result((Circuit::Final, 0), &statement, Some(witness))?;
        }
        Ok(())
    }
}

impl RocksQueue {
    /// Newest batch such that it and all before it have a final proof; 0 if none.
    pub(crate) fn final_up_to(&self) -> u64 {
        self.final_up_to.load(Ordering::Relaxed)
    }

    /// Moves on over every batch that has its final proof, and makes the jobs of those that come into the window.
    pub(super) fn advance_final(&self) -> Result<(), StorageError> {
        if !self.verifier.is_aggregating() {
            return Ok(());
        }
        let before = self.final_up_to();
        let mut number = before;
        while self.store.final_proof(BatchNumber(number + 1))?.is_some() {
            number += 1;
        }
        if number > before {
            self.final_up_to.fetch_max(number, Ordering::Relaxed);
            self.store.write_final_up_to(number)?;
        }
        for next in 1..=WINDOW {
            self.aggregate(BatchNumber(number.saturating_add(next)))?;
        }
        Ok(())
    }

    /// Makes those jobs of a proven batch whose inputs are there.
    pub(super) fn aggregate(&self, number: BatchNumber) -> Result<(), StorageError> {
        let last = self.final_up_to().saturating_add(WINDOW);
        if !self.verifier.is_aggregating() || number.0 > last {
            return Ok(());
        }
        let mut queue = self.queue();
        let Some(record) = self.store.batch(number)? else {
            return Ok(());
        };
        if record.proven.is_none() || self.store.final_proof(number)?.is_some() {
            return Ok(());
        }
        let inputs = self.proven_inputs(&record)?;
        if inputs.0.len() > CHUNKS_MAX {
            let chunks = inputs.0.len();
            tracing::error!(
                batch = number.0,
                chunks,
                "too many chunks for one final proof"
            );
            return Ok(());
        }
        let mut planner = Planner {
            store: &self.store,
            queue: &mut queue,
            batch: number,
            joins: 0,
        };
        planner.plan(&record, inputs, || {
            self.public_inputs(&record, L1Address([0; 20]))
        })
    }

    /// The proofs of a proven batch, with what they state.
    fn proven_inputs(&self, record: &BatchRecord) -> Result<(Vec<Run>, StatedProof), StorageError> {
        let corrupt = |what: &str| {
            let number = record.number;
            self.store
                .corrupt(format!("the bundle of batch {number}: {what}"))
        };
        let bytes = self.store.bundle(record.number)?;
        let bytes = bytes.ok_or_else(|| corrupt("it is missing"))?;
        let bundle = Bundle::decode(&bytes).map_err(|error| corrupt(&error.to_string()))?;
        let Some((data_job, chunk_jobs)) = record.jobs.split_last() else {
            return Err(corrupt("its batch has no jobs"));
        };
        if chunk_jobs.len() != bundle.chunks.len() {
            return Err(corrupt("it has another number of chunks than its batch"));
        }
        let stated = |job: &[u8; 32], proof| {
            let job = self.store.job(job)?;
            let job = job.ok_or_else(|| corrupt("a job of its batch is missing"))?;
            let instance = job.instances.iter().map(field_from_le_bytes);
            let instance = instance.collect::<Result<_, _>>();
            let instance = instance.map_err(|error| corrupt(&error.to_string()))?;
            Ok(StatedProof { instance, proof })
        };
        let mut runs = Vec::with_capacity(chunk_jobs.len());
        for (job, chunk) in chunk_jobs.iter().zip(bundle.chunks) {
            let proof = stated(job, chunk.proof)?;
            let &[domain, before, after] = &proof.instance[..] else {
                return Err(corrupt("a chunk states something else than a run"));
            };
            runs.push(Run {
                domain,
                before,
                after,
                proof: Some(proof),
            });
        }
        Ok((runs, stated(data_job, bundle.data_proof)?))
    }

    /// What the final proof of a batch states if this address is rewarded.
    fn public_inputs(&self, record: &BatchRecord, rewarded: L1Address) -> PublicInputs {
        PublicInputs::new(
            self.constants.domain,
            record.number,
            (&record.start, &record.end),
            &record.words,
            rewarded,
        )
    }

    /// Keeps a verified final proof, if it is the first of its batch; says whether it is.
    pub(super) fn keep_final(
        &self,
        queue: &mut Queue,
        record: &BatchRecord,
        stated: &StatedProof,
        job: Option<(&[u8; 32], &JobRecord)>,
    ) -> Result<bool, StorageError> {
        let number = record.number;
        let Some(rewarded) = rewarded_by(stated) else {
            return Ok(false);
        };
        if self.store.final_proof(number)?.is_some() {
            return Ok(false);
        }
        let inputs = self.public_inputs(record, rewarded);
        let kept = FinalProofRecord::new(now_ms(), inputs, stated);
        for dropped in self.store.write_final_proof(&kept, job)? {
            queue.remove(&dropped);
        }
        ::metrics::counter!("sequencer_final_proofs_total").increment(1);
        tracing::info!(batch = number.0, %rewarded, "final proof of a batch");
        let time_ms = kept.time_ms;
        self.events.send(Event::FinalProof { number, time_ms });
        Ok(true)
    }

    /// Proven batches that have no final proof although they were proven before a time (milliseconds since 1970).
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn without_final_before(
        &self,
        time_ms: u64,
        count_max: usize,
    ) -> Result<Vec<BatchNumber>, StorageError> {
        let mut found = Vec::new();
        if !self.verifier.is_aggregating() {
            return Ok(found);
        }
        let mut number = BatchNumber(self.final_up_to() + 1);
        while found.len() < count_max {
            let Some(batch) = self.store.batch(number)? else {
                break;
            };
            let is_old = batch.proven.is_some_and(|proven| proven.time_ms < time_ms);
            if is_old && self.store.final_proof(number)?.is_none() {
                found.push(number);
            }
            number = BatchNumber(number.0 + 1);
        }
        Ok(found)
    }

    /// Takes a peer's final proof of a sealed batch, whatever has been done of it here. Says whether it was new.
    ///
    /// # Errors
    /// Why it is of no use.
    pub(crate) async fn take_final(
        &self,
        number: BatchNumber,
        bytes: &[u8],
    ) -> Result<bool, String> {
        let stated = StatedProof::decode(bytes).map_err(|error| error.to_string())?;
        let failed = |error: StorageError| error.to_string();
        let record = self.store.batch(number).map_err(failed)?;
        let record = record.ok_or("the batch is not sealed here")?;
        let [statement @ .., _] = self.public_inputs(&record, L1Address([0; 20])).to_fields();
        let statement: Vec<[u8; 32]> = statement.iter().map(field_to_le_bytes).collect();
        let permit = self.verifications.acquire().await;
        let verifier = Arc::clone(&self.verifier);
        let checked = tokio::task::spawn_blocking(move || {
            check_stated(&*verifier, Circuit::Final, &statement, &stated).map(|()| stated)
        })
        .await;
        drop(permit);
        let stated = checked.unwrap_or_else(|error| Err(error.to_string()))?;
        let kept = {
            let mut queue = self.queue();
            self.keep_final(&mut queue, &record, &stated, None)
        };
        let is_new = kept.map_err(|error| self.fail_storage(error).reason)?;
        self.advance_final()
            .map_err(|error| self.fail_storage(error).reason)?;
        Ok(is_new)
    }
}

#[cfg(test)]
mod tests;
