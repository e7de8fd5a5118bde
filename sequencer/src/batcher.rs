//! Cuts certified blocks into proof jobs: follows the chain block by block, hands out a chunk as soon as it is full
//! and seals batches by the rule of `protocol::batch`.
//!
//! It runs behind the chain with a state of its own. After a restart it goes back to the start of the open batch and
//! makes the same jobs again; those that exist are left alone, since a job's name is its content.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::{
    jobs::{Circuit, JobId},
    ledger::BatchStage,
};
use protocol::{
    Fr,
    batch::{OpenBatch, Usage, pairs_of_block},
    chunk::ChunkSize,
    codec::{field_to_le_bytes, to_bytes},
    number::{BatchNumber, Height},
    public_inputs::data_challenge,
    state::State,
    threaded::Threaded,
    transition::InvalidOperation,
    witness::{BatchTrace, ChunkWitness, DataWitness},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    chain::{Chain, OpenProgress, now_ms},
    events::{Event, Events},
    failpoint,
    proving::RocksQueue,
    storage::{BatchRecord, JobRecord, OpenBatchRecord, StorageError, Store, StoredBlock},
};

/// Why the batcher stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatcherError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A certified block does not execute: the database or this program is wrong.
    #[error("certified block {height} does not execute again: {reason}; stop and report this")]
    Execution {
        /// Height of the block.
        height: Height,
        /// The rule it breaks.
        reason: InvalidOperation,
    },
}

/// How many times as long as it works the batcher rests while senders wait. A pair costs it tens of hashes, more than
/// admission does, and a prover takes a thousand times longer than that: witnesses are the last to hurry.
const REST_FACTOR: u32 = 15;
/// Longest rest: a pair takes milliseconds. One that took longer was not at work, its process stood still; resting many times as
/// long, it would hear nothing of a stop.
const REST_MAX: Duration = Duration::from_millis(50);

/// A job that is about to be stored.
type NewJob = ([u8; 32], JobRecord, Vec<u8>);

/// Follows the chain.
pub(crate) struct Batcher {
    chain: Arc<Chain>,
    store: Arc<Store>,
    queue: Arc<RocksQueue>,
    events: Events,
    chunk: ChunkSize,
    open: OpenBatchRecord,
    usage: OpenBatch,
    trace: BatchTrace,
    jobs: Vec<[u8; 32]>,
    next: Height,
}

impl Batcher {
    /// Starts at the open batch; `state` is the state after the newest block, and batches are cut into chunks of this size.
    pub(crate) fn new(
        chain: Arc<Chain>,
        store: Arc<Store>,
        queue: Arc<RocksQueue>,
        events: Events,
        (state, chunk): (State, ChunkSize),
    ) -> Result<Self, StorageError> {
        let open = store.open_batch()?;
        let state = store.state_before(state, open.first_height)?;
        if state.root() != open.root {
            let number = open.number;
            return Err(store.corrupt(format!(
                "the state before batch {number} cannot be restored"
            )));
        }
        let domain = chain.constants.domain;
        let (height, inbox_count) = (open.published_height, open.inbox_count);
        let trace = BatchTrace::with_chunks(chunk, domain, state, height, inbox_count);
        Ok(Self {
            chain,
            store,
            queue,
            events,
            chunk,
            open,
            usage: OpenBatch::default(),
            trace,
            jobs: Vec::new(),
            next: open.first_height,
        })
    }

    /// Follows the chain until cancelled; blocks the thread.
    pub(crate) fn run(
        &mut self,
        tip: &mut watch::Receiver<Height>,
        runtime: &tokio::runtime::Handle,
        cancelled: &CancellationToken,
    ) -> Result<(), BatcherError> {
        loop {
            let height = *tip.borrow_and_update();
            self.follow(height, &|| cancelled.is_cancelled())?;
            let is_over = runtime.block_on(async {
                tokio::select! {
                    () = cancelled.cancelled() => true,
                    changed = tip.changed() => changed.is_err(),
                }
            });
            if is_over {
                return Ok(());
            }
        }
    }

    /// Takes every block up to `height`, unless told to stop.
    pub(crate) fn follow(
        &mut self,
        height: Height,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<(), BatcherError> {
        while self.next <= height && !is_stopped() {
            let missing = || {
                self.store
                    .corrupt(format!("block {} is missing", self.next))
            };
            let stored = self.store.block(self.next)?.ok_or_else(missing)?;
            self.take(&stored, is_stopped)?;
        }
        Ok(())
    }

    /// Takes one block. A large one takes seconds, so it is given up when told to stop; what stands in memory of it
    /// must not be used then, and the next start takes it from its beginning.
    fn take(
        &mut self,
        stored: &StoredBlock,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<(), BatcherError> {
        let domain = self.chain.constants.domain;
        let core = &stored.block.header.core;
        let usage = Usage::of(&stored.block.operations(&domain));
        if self.usage.seals_before(&usage, core.timestamp_ms) {
            self.seal(Height(core.height.0.saturating_sub(1)))?;
        }
        self.usage.take(&usage, core.timestamp_ms);
        let previous = (
            self.trace.threaded().height,
            self.trace.threaded().fee_leaves,
        );
        for pair in pairs_of_block(&stored.block, previous, &domain) {
            if is_stopped() {
                return Ok(());
            }
            let started = Instant::now();
            let chunk = self
                .trace
                .push(&pair)
                .map_err(|reason| BatcherError::Execution {
                    height: core.height,
                    reason,
                })?;
            if let Some(chunk) = chunk {
                let (id, record, witness) = self.chunk_job(&chunk);
                if self.store.job(&id)?.is_none() {
                    self.store.write_job(&id, &record, &witness)?;
                    self.queue.add(id, record);
                }
            }
            if self.chain.is_admitting() {
                std::thread::sleep(rest(started.elapsed()));
            }
        }
        self.next = Height(core.height.0 + 1);
        let bytes = self.trace.words().len_bytes();
        self.chain.set_open_progress(OpenProgress {
            signed_operations: self.trace.threaded().counts.signed_operations,
            published_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            opened_ms: self.usage.first_timestamp_ms,
        });
        Ok(())
    }

    fn chunk_job(&mut self, chunk: &ChunkWitness) -> NewJob {
        let index = u32::try_from(self.jobs.len()).unwrap_or(u32::MAX);
        let inputs = chunk.public_inputs();
        let job = new_job(
            (Circuit::Chunk, self.open.number, index),
            &inputs,
            Some(chunk.after),
            to_bytes(chunk),
        );
        self.jobs.push(job.0);
        job
    }

    /// Seals the open batch after block `last`.
    fn seal(&mut self, last: Height) -> Result<(), BatcherError> {
        let domain = self.chain.constants.domain;
        let empty = BatchTrace::new(domain, State::default(), Height(0), 0);
        let finished = std::mem::replace(&mut self.trace, empty).finish();
        let mut jobs: Vec<NewJob> = Vec::new();
        if let Some(chunk) = &finished.chunk {
            jobs.push(self.chunk_job(chunk));
        }
        let end = finished.end;
        let number = self.open.number;
        let z = data_challenge(&domain, number, &end.h, &end.counts, &finished.words);
        let data = DataWitness {
            groups: finished.groups,
            z,
        };
        let place = (Circuit::Data, number, 0);
        let data_job = new_job(place, &data.public_inputs(), None, to_bytes(&data));
        self.jobs.push(data_job.0);
        jobs.push(data_job);
        let known: Vec<bool> = jobs
            .iter()
            .map(|(id, _, _)| self.store.job(id).map(|job| job.is_some()))
            .collect::<Result<_, _>>()?;
        let mut known = known.into_iter();
        jobs.retain(|_| !known.next().unwrap_or(false));
        let record = BatchRecord {
            number,
            first_height: self.open.first_height,
            last_height: last,
            start: finished.start,
            end,
            words: finished.words,
            jobs: std::mem::take(&mut self.jobs),
            opened_ms: self.usage.first_timestamp_ms.unwrap_or(0),
            sealed_ms: now_ms(),
            proven: None,
        };
        let next = OpenBatchRecord {
            number: BatchNumber(number.0 + 1),
            first_height: Height(last.0 + 1),
            published_height: end.height,
            inbox_count: end.inbox_count,
            root: end.root,
        };
        failpoint::pass("batch.before_seal");
        self.store.write_seal(&record, &jobs, &next)?;
        failpoint::pass("batch.after_seal");
        tracing::info!(batch = number.0, jobs = record.jobs.len(), "batch sealed");
        for (id, job, _) in jobs {
            self.queue.add(id, job);
        }
        let time_ms = record.sealed_ms;
        self.events.send(Event::Batch {
            number,
            stage: BatchStage::Sealed,
            time_ms,
        });
        self.queue.finish_batch(number)?;
        let (chunk, state) = (self.chunk, finished.state);
        self.trace = BatchTrace::with_chunks(chunk, domain, state, end.height, end.inbox_count);
        self.usage = OpenBatch::default();
        self.open = next;
        Ok(())
    }
}

/// How long to rest after this much work.
fn rest(worked: Duration) -> Duration {
    worked.saturating_mul(REST_FACTOR).min(REST_MAX)
}

fn new_job(
    (circuit, batch, index): (Circuit, BatchNumber, u32),
    inputs: &[Fr],
    after: Option<Threaded>,
    witness: Vec<u8>,
) -> NewJob {
    let record = JobRecord {
        circuit,
        batch,
        index,
        instances: inputs.iter().map(field_to_le_bytes).collect(),
        after,
        created_ms: now_ms(),
        leased_ms: None,
        proven_ms: None,
        attempts: 0,
        worker: None,
    };
    (JobId::new(circuit.kind(), &witness).0, record, witness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stood_still_rests_no_longer_than_one_at_work() {
        let pair = Duration::from_millis(2);
        assert_eq!(rest(pair), pair * REST_FACTOR);
        assert_eq!(rest(Duration::from_secs(2)), REST_MAX);
        assert_eq!(rest(Duration::MAX), REST_MAX);
    }
}
