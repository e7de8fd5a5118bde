//! The proof queue in the node: jobs on disk, leases in memory.
//!
//! Oldest batch first, whatever the circuit. A lease lives as long as its worker heartbeats; after a restart every lease has expired. Every
//! result is verified before it counts, so anybody may hand in anything: a duplicate or late result changes nothing,
//! a false one costs the holder of its lease a strike, and enough strikes suspend a worker for a while. A false
//! result under an unknown token costs nobody anything but the check, and only a few are checked at a time.

mod aggregation;
mod verifying;
mod workers;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use api::{
    error::{ApiError, ErrorCode},
    jobs::{
        Circuit, JobId, JobQueue, Lease, LeasedJob, PROOF_BYTES_MAX, QueueStatus, StatedProof,
        Submitted, WORKER_TEXT_MAX, WorkerInfo,
    },
    ledger::BatchStage,
};
use protocol::number::BatchNumber;
use rand::Rng;
use tokio::sync::{Notify, Semaphore};
use verifier::bundle::{Bundle, ChunkProof};

pub use verifying::{AggregationKeys, PlonkVerifier, ProofVerifier};

use verifying::check_result;

use crate::{
    chain::{ChainConstants, now_ms},
    config::JobsConfig,
    events::{Event, Events},
    failpoint,
    proving::workers::Workers,
    relay::{News, Outlet},
    storage::{BatchRecord, JobRecord, ProvenRecord, StorageError, Store},
};

/// Proofs that are verified at a time.
const VERIFICATIONS_MAX: usize = 2;

/// The order of jobs. The oldest batch is first, so a job waits for those of its own and of older batches, which are
/// finitely many: neither chunks of newer batches nor aggregation of older ones can wait for ever.
type Order = (BatchNumber, Circuit, u32);

struct Held {
    token: u64,
    worker: String,
    until: Instant,
    phase: String,
    percent: u8,
}

struct OpenJob {
    id: [u8; 32],
    record: JobRecord,
    held: Option<Held>,
}

#[derive(Default)]
struct Queue {
    open: BTreeMap<Order, OpenJob>,
    order_of: BTreeMap<[u8; 32], Order>,
    done: u64,
    workers: Workers,
}

impl Queue {
    /// Adds a job; one that is there stays as it is.
    fn add(&mut self, id: [u8; 32], record: JobRecord) {
        if self.order_of.contains_key(&id) {
            return;
        }
        let order = (record.batch, record.circuit, record.index);
        self.order_of.insert(id, order);
        self.open.insert(
            order,
            OpenJob {
                id,
                record,
                held: None,
            },
        );
    }

    fn job(&mut self, id: &[u8; 32]) -> Option<&mut OpenJob> {
        let order = self.order_of.get(id)?;
        self.open.get_mut(order)
    }

    fn remove(&mut self, id: &[u8; 32]) {
        if let Some(order) = self.order_of.remove(id) {
            self.open.remove(&order);
        }
    }
}

/// The queue of this node; [`JobQueue`] is how workers in this process use it.
pub struct RocksQueue {
    store: Arc<Store>,
    config: JobsConfig,
    keys: (Vec<u8>, Vec<u8>),
    constants: ChainConstants,
    verifier: Arc<dyn ProofVerifier>,
    events: Events,
    outlet: Outlet,
    queue: Mutex<Queue>,
    verifications: Semaphore,
    proven_up_to: AtomicU64,
    final_up_to: AtomicU64,
    /// The database failed: the node must stop.
    failure: Mutex<Option<StorageError>>,
    failed: Notify,
}

impl std::fmt::Debug for RocksQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksQueue")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl RocksQueue {
    pub(crate) fn load(
        store: Arc<Store>,
        config: JobsConfig,
        keys: (Vec<u8>, Vec<u8>),
        constants: ChainConstants,
        verifier: Arc<dyn ProofVerifier>,
        events: Events,
        outlet: Outlet,
    ) -> Result<Self, StorageError> {
        let mut queue = Queue::default();
        // batches before the first that is here are nothing that this node could prove or show
        let before = store.history()?.batches_from.0.saturating_sub(1);
        let proven = store.proven_up_to()?.max(before);
        let finals = store.final_up_to()?.max(before);
        let is_aggregating = verifier.is_aggregating();
        let done_up_to = if is_aggregating {
            proven.min(finals)
        } else {
            proven
        };
        let (mut open, done) = store.unproven_jobs(BatchNumber(done_up_to))?;
        open.retain(|(_, job)| is_aggregating || !job.circuit.is_aggregation());
        queue.done = done;
        let mut sealed: Vec<BatchNumber> = Vec::new();
        let newest = store.open_batch()?.number;
        for number in proven.saturating_add(1)..newest.0 {
            let number = BatchNumber(number);
            let batch = store
                .batch(number)?
                .ok_or_else(|| store.corrupt("a batch is missing"))?;
            if batch.proven.is_none() {
                sealed.push(number);
            }
        }
        for (id, record) in open {
            queue.add(id, record);
        }
        let queue = Self {
            store,
            config,
            keys,
            constants,
            verifier,
            events,
            outlet,
            queue: Mutex::new(queue),
            verifications: Semaphore::new(VERIFICATIONS_MAX),
            proven_up_to: AtomicU64::new(proven),
            final_up_to: AtomicU64::new(finals),
            failure: Mutex::new(None),
            failed: Notify::new(),
        };
        for number in sealed {
            queue.finish_batch(number)?;
        }
        queue.advance_proven()?;
        queue.advance_final()?;
        Ok(queue)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a stored job into the queue.
    pub(crate) fn add(&self, id: [u8; 32], record: JobRecord) {
        self.queue().add(id, record);
    }

    /// Waits until the database has failed under a worker's request.
    pub(crate) async fn run_until_failure(&self) -> StorageError {
        loop {
            let failed = self.failed.notified();
            let failure = self
                .failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if let Some(failure) = failure {
                return failure;
            }
            failed.await;
        }
    }

    fn fail_storage(&self, error: StorageError) -> ApiError {
        let reply = ApiError::new(ErrorCode::Internal, "the node's database failed");
        tracing::error!(%error, "proof queue");
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.failed.notify_waiters();
        reply
    }

    /// Newest batch such that it and all before it are proven; 0 if none.
    pub(crate) fn proven_up_to(&self) -> u64 {
        self.proven_up_to.load(Ordering::Relaxed)
    }

    /// Moves on over every batch that is proven.
    fn advance_proven(&self) -> Result<(), StorageError> {
        let before = self.proven_up_to();
        let mut number = before;
        while self
            .store
            .batch(BatchNumber(number + 1))?
            .is_some_and(|batch| batch.proven.is_some())
        {
            number += 1;
        }
        if number > before {
            self.proven_up_to.store(number, Ordering::Relaxed);
            self.store.write_proven_up_to(number)?;
        }
        Ok(())
    }

    /// Jobs waiting and held.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let now = Instant::now();
        let queue = self.queue();
        let is_held = |job: &&OpenJob| job.held.as_ref().is_some_and(|held| held.until > now);
        let held = queue.open.values().filter(is_held).count();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        (count(queue.open.len() - held), count(held))
    }

    /// Worker, phase and percent of a job that is held now.
    pub(crate) fn progress(&self, id: &[u8; 32]) -> Option<(String, String, u8)> {
        let now = Instant::now();
        let mut queue = self.queue();
        let held = queue
            .job(id)?
            .held
            .as_ref()
            .filter(|held| held.until > now)?;
        Some((held.worker.clone(), held.phase.clone(), held.percent))
    }

    fn memory_needed(&self, circuit: Circuit) -> u64 {
        match circuit {
            Circuit::Chunk => self.config.chunk_memory_mb,
            Circuit::Data => self.config.data_memory_mb,
            Circuit::Level(_) => self.config.join_memory_mb,
            Circuit::Top => self.config.close_memory_mb,
            Circuit::Final => self.config.finish_memory_mb,
        }
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.config.lease.as_millis()).unwrap_or(u64::MAX)
    }

    fn take(&self, worker: &WorkerInfo) -> Result<Option<Lease>, ApiError> {
        worker.check()?;
        let now = Instant::now();
        let mut queue = self.queue();
        queue.workers.check_not_suspended(&worker.name, now)?;
        let fits = |job: &OpenJob| {
            let is_free = job.held.as_ref().is_none_or(|held| held.until <= now);
            is_free
                && worker.kinds.contains(&job.record.circuit.kind())
                && worker.memory_mb >= self.memory_needed(job.record.circuit)
        };
        let Some(job) = queue.open.values_mut().find(|job| fits(job)) else {
            return Ok(None);
        };
        if let Some(held) = &job.held {
            tracing::warn!(worker = held.worker, job = %JobId(job.id), "lease expired, job reassigned");
        }
        let missing = || {
            self.store
                .corrupt("the witness of an unproven job is missing")
        };
        let witness = self
            .store
            .witness(&job.id)
            .and_then(|witness| witness.ok_or_else(missing))
            .map_err(|error| self.fail_storage(error))?;
        let token = rand::thread_rng().r#gen();
        job.record.leased_ms = Some(now_ms());
        job.record.attempts = job.record.attempts.saturating_add(1);
        job.record.worker = Some(worker.name.clone());
        self.store
            .write_job_record(&job.id, &job.record)
            .map_err(|error| self.fail_storage(error))?;
        let until = now + self.config.lease;
        let (worker, phase) = (worker.name.clone(), "leased".to_owned());
        job.held = Some(Held {
            token,
            worker: worker.clone(),
            until,
            phase,
            percent: 0,
        });
        let lease = Lease {
            job: JobId(job.id),
            token,
            kind: job.record.circuit.kind(),
            batch: job.record.batch.0,
            index: job.record.index,
            lease_ms: self.lease_ms(),
            witness,
        };
        queue.workers.remember(token, worker);
        Ok(Some(lease))
    }

    fn keep(&self, job: JobId, token: u64, phase: &str, percent: u8) -> Result<u64, ApiError> {
        let mut queue = self.queue();
        let held = self.held(&mut queue, job, token)?;
        held.until = Instant::now() + self.config.lease;
        held.phase = phase.chars().take(WORKER_TEXT_MAX).collect();
        held.percent = percent.min(100);
        Ok(self.lease_ms())
    }

    /// The lease, if the token still holds it: until it goes to another worker it can be revived.
    fn held<'a>(
        &self,
        queue: &'a mut Queue,
        job: JobId,
        token: u64,
    ) -> Result<&'a mut Held, ApiError> {
        match queue.job(&job.0) {
            None => Err(self.not_open(job)),
            Some(open) => open
                .held
                .as_mut()
                .filter(|held| held.token == token)
                .ok_or_else(|| ApiError::new(ErrorCode::LeaseLost, format!("job {job}"))),
        }
    }

    fn not_open(&self, job: JobId) -> ApiError {
        match self.store.job(&job.0) {
            Ok(Some(_)) => ApiError::new(ErrorCode::LeaseLost, format!("job {job} is done")),
            Ok(None) => ApiError::new(ErrorCode::UnknownJob, format!("job {job}")),
            Err(error) => self.fail_storage(error),
        }
    }

    fn give_back(&self, job: JobId, token: u64, reason: &str) -> Result<(), ApiError> {
        let mut queue = self.queue();
        let worker = self.held(&mut queue, job, token)?.worker.clone();
        let reason: String = reason.chars().take(WORKER_TEXT_MAX).collect();
        tracing::warn!(worker, %job, reason, "worker gave a job back");
        if let Some(open) = queue.job(&job.0) {
            open.held = None;
        }
        Ok(())
    }

    /// Verifies a result outside the lock and keeps it if it is the first valid one.
    async fn judge(&self, job: JobId, token: u64, proof: Vec<u8>) -> Result<Submitted, ApiError> {
        if proof.len() > PROOF_BYTES_MAX {
            let reason = format!("{} bytes, at most {PROOF_BYTES_MAX}", proof.len());
            return Err(ApiError::new(ErrorCode::ProofTooLarge, reason));
        }
        let (worker, record) = {
            let mut queue = self.queue();
            let worker = queue.workers.of_token(token);
            if let Some(worker) = &worker {
                queue.workers.check_not_suspended(worker, Instant::now())?;
            }
            match queue.job(&job.0) {
                Some(open) => (worker, open.record.clone()),
                None => {
                    let error = self.not_open(job);
                    return match error.code {
                        ErrorCode::LeaseLost => Ok(Submitted::Duplicate),
                        _ => Err(error),
                    };
                }
            }
        };
        let permit = self.verifications.acquire().await;
        let verifier = Arc::clone(&self.verifier);
        let checked = tokio::task::spawn_blocking(move || {
            let verdict = check_result(&*verifier, &record, &proof);
            (verdict, proof)
        })
        .await;
        drop(permit);
        // A verifier that panics refuses: bytes of a stranger must not stop the node.
        let (verdict, proof) = checked.unwrap_or_else(|error| (Err(error.to_string()), Vec::new()));
        if let Err(reason) = verdict {
            ::metrics::counter!("sequencer_proofs_rejected_total").increment(1);
            tracing::warn!(%job, worker, reason, "proof does not verify");
            let mut queue = self.queue();
            if let Some(worker) = worker {
                queue.workers.strike(&worker, &self.config, Instant::now());
            }
            if let Some(open) = queue.job(&job.0)
                && open.held.as_ref().is_some_and(|held| held.token == token)
            {
                open.held = None;
            }
            return Ok(Submitted::Rejected);
        }
        self.accept(job, worker, &proof)
    }

    fn accept(
        &self,
        job: JobId,
        worker: Option<String>,
        proof: &[u8],
    ) -> Result<Submitted, ApiError> {
        let (batch, circuit) = {
            let mut queue = self.queue();
            let Some(open) = queue.job(&job.0) else {
                return Ok(Submitted::Duplicate); // another valid proof came while this one was verified
            };
            let mut record = open.record.clone();
            record.proven_ms = Some(now_ms());
            record.worker = worker.clone().or(record.worker);
            failpoint::pass("proof.before_write");
            self.write_result(&mut queue, (&job.0, &record), proof)
                .map_err(|error| self.fail_storage(error))?;
            failpoint::pass("proof.after_write");
            queue.remove(&job.0);
            queue.done += 1;
            if let Some(worker) = &worker {
                queue.workers.accepted(worker);
            }
            (record.batch, record.circuit)
        };
        ::metrics::counter!("sequencer_proofs_accepted_total").increment(1);
        tracing::info!(%job, batch = batch.0, worker, "proof accepted");
        let (job, proof) = (job.0, proof.to_vec());
        self.outlet.send(News::Proof { job, proof });
        let gone_on = match circuit {
            Circuit::Chunk | Circuit::Data => self.finish_batch(batch),
            Circuit::Level(_) | Circuit::Top => self.aggregate(batch),
            Circuit::Final => self.advance_final(),
        };
        gone_on.map_err(|error| self.fail_storage(error))?;
        Ok(Submitted::Accepted)
    }

    /// Stores a verified result, each kind where it belongs.
    fn write_result(
        &self,
        queue: &mut Queue,
        (id, job): (&[u8; 32], &JobRecord),
        result: &[u8],
    ) -> Result<(), StorageError> {
        if job.circuit != Circuit::Final {
            return self.store.write_proof(id, job, result);
        }
        let missing = || self.store.corrupt("the batch of a final proof is missing");
        let batch = self.store.batch(job.batch)?.ok_or_else(missing)?;
        let damaged = |error| self.store.corrupt(format!("a verified proof: {error}"));
        let stated = StatedProof::decode(result).map_err(damaged)?;
        self.keep_final(queue, &batch, &stated, Some((id, job)))
            .map(drop)
    }

    /// Sealed batches that lack proofs although they were sealed before a time (milliseconds since 1970).
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn unproven_before(
        &self,
        time_ms: u64,
        count_max: usize,
    ) -> Result<Vec<BatchNumber>, StorageError> {
        let mut found = Vec::new();
        let mut number = BatchNumber(self.proven_up_to() + 1);
        while found.len() < count_max {
            let Some(batch) = self.store.batch(number)? else {
                break;
            };
            if batch.proven.is_none() && batch.sealed_ms < time_ms {
                found.push(number);
            }
            number = BatchNumber(number.0 + 1);
        }
        Ok(found)
    }

    /// Takes the proofs of a peer's bundle, each as from a worker. Returns how many were new.
    ///
    /// # Errors
    /// Why the bundle is of no use.
    pub(crate) async fn take_bundle(
        &self,
        number: BatchNumber,
        bytes: &[u8],
    ) -> Result<usize, String> {
        let bundle = Bundle::decode(bytes).map_err(|error| error.to_string())?;
        let record = self
            .store
            .batch(number)
            .map_err(|error| error.to_string())?;
        let jobs = record.map(|record| record.jobs).unwrap_or_default();
        let chunks = bundle.chunks.into_iter().map(|chunk| chunk.proof);
        let proofs: Vec<Vec<u8>> = chunks.chain([bundle.data_proof]).collect();
        if proofs.len() != jobs.len() {
            return Err(format!("{} proofs for {} jobs", proofs.len(), jobs.len()));
        }
        let mut new = 0;
        for (job, proof) in jobs.into_iter().zip(proofs) {
            match self.judge(JobId(job), 0, proof).await {
                Ok(Submitted::Accepted) => new += 1,
                Ok(Submitted::Duplicate | Submitted::Kept) => {}
                Ok(Submitted::Rejected) => return Err("a proof does not verify".into()),
                Err(error) => return Err(error.reason),
            }
        }
        Ok(new)
    }

    /// Assembles the bundle of a batch that is sealed and has all its proofs, and begins to aggregate it.
    pub(crate) fn finish_batch(&self, number: BatchNumber) -> Result<(), StorageError> {
        self.prove_batch(number)?;
        self.aggregate(number)
    }

    fn prove_batch(&self, number: BatchNumber) -> Result<(), StorageError> {
        let _one_at_a_time = self.queue();
        let Some(mut record) = self.store.batch(number)? else {
            return Ok(());
        };
        if record.proven.is_some() {
            return Ok(());
        }
        let Some(bundle) = self.bundle(&record)? else {
            return Ok(());
        };
        let bytes = bundle.encode();
        let proven = ProvenRecord {
            time_ms: now_ms(),
            bundle_hash: protocol::hash::keccak256(&bytes),
            bundle_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        record.proven = Some(proven);
        self.store.write_bundle(&record, &bytes)?;
        self.advance_proven()?;
        tracing::info!(batch = number.0, bytes = bytes.len(), "batch proven");
        let time_ms = proven.time_ms;
        self.events.send(Event::Batch {
            number,
            stage: BatchStage::Proven,
            time_ms,
        });
        Ok(())
    }

    fn bundle(&self, record: &BatchRecord) -> Result<Option<Bundle>, StorageError> {
        let (mut chunks, mut data_proof) = (Vec::new(), None);
        for id in &record.jobs {
            let job = self
                .store
                .job(id)?
                .ok_or_else(|| self.store.corrupt("a job is missing"))?;
            if job.proven_ms.is_none() {
                return Ok(None);
            }
            let missing = || self.store.corrupt("the proof of a proven job is missing");
            let proof = self.store.proof(id)?.ok_or_else(missing)?;
            match job.after {
                Some(after) => chunks.push(ChunkProof { after, proof }),
                None => data_proof = Some(proof),
            }
        }
        let data_proof = data_proof.ok_or_else(|| self.store.corrupt("a batch has no data job"))?;
        Ok(Some(Bundle {
            chain_id: self.constants.chain_id,
            rollup: self.constants.rollup,
            circuit_version: protocol::params::CIRCUIT_VERSION,
            batch_number: record.number,
            start: record.start,
            words: record.words.clone(),
            chunks,
            data_proof,
            chunk_key: self.keys.0.clone(),
            data_key: self.keys.1.clone(),
        }))
    }

    fn overview(&self) -> QueueStatus {
        let now = Instant::now();
        let queue = self.queue();
        let mut status = QueueStatus {
            done: queue.done,
            workers: queue.workers.overview(now),
            ..QueueStatus::default()
        };
        for job in queue.open.values() {
            match job.held.as_ref().filter(|held| held.until > now) {
                None => status.queued += 1,
                Some(held) => status.leased.push(LeasedJob {
                    id: job.id.into(),
                    kind: job.record.circuit.kind(),
                    batch: job.record.batch.0,
                    index: job.record.index,
                    worker: held.worker.clone(),
                    phase: held.phase.clone(),
                    percent: held.percent,
                    lease_left_ms: u64::try_from((held.until - now).as_millis()).unwrap_or(0),
                }),
            }
        }
        status
    }
}

impl JobQueue for RocksQueue {
    async fn lease(&self, worker: &WorkerInfo) -> Result<Option<Lease>, ApiError> {
        self.take(worker)
    }

    async fn heartbeat(
        &self,
        job: JobId,
        token: u64,
        phase: &str,
        percent: u8,
    ) -> Result<u64, ApiError> {
        self.keep(job, token, phase, percent)
    }

    async fn submit(&self, job: JobId, token: u64, proof: Vec<u8>) -> Result<Submitted, ApiError> {
        self.judge(job, token, proof).await
    }

    async fn fail(&self, job: JobId, token: u64, reason: &str) -> Result<(), ApiError> {
        self.give_back(job, token, reason)
    }

    async fn status(&self) -> Result<QueueStatus, ApiError> {
        Ok(self.overview())
    }
}

#[cfg(test)]
mod doors;
#[cfg(test)]
mod tests;
