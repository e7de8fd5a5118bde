//! Checkpoints: every validator signs what a sealed batch says of itself; signatures of more than two thirds of the weight are
//! a certificate that `quorate verify checkpoint` judges with no node (`sequencing.md`, rule 14).
//!
//! Ordering never waits for it: a node that cannot sign or hears nobody goes on. Invariants: a batch is signed once, through
//! the guard; only signatures that verify under the set of the batch's epoch are kept, one a validator and batch, for a bounded number of batches; two
//! different commitments of one validator become evidence. What this module does not do: seal batches.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{
    account::L1Address,
    checkpoint::{BatchCommitment, Checkpoint, SignedCommitment},
    codec::field_to_be_bytes,
    evidence::Evidence,
    number::{BatchNumber, Epoch},
};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::{
    chain::{ChainConstants, now_ms},
    events::{Event, Events},
    evidence::{EvidenceBook, Recorded},
    guard::{GuardError, GuardRequest, NumberedKind, SigningGuard},
    relay::{News, Outlet},
    storage::{BatchRecord, CheckpointRecord, StorageError, Store},
};

/// Batches that wait for signatures: the guard remembers as many.
pub(crate) const OPEN_MAX: usize = 32;
/// Batches ahead of the newest one sealed here of which signatures are kept.
const AHEAD_MAX: u64 = 8;
/// How often own signatures are told again while a checkpoint is missing.
const REPEAT_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// Kept.
    New,
    /// Known, or of a batch that is done, too old or too new.
    Known,
    /// Not a validator's signature.
    Invalid,
}

/// Signatures under one batch.
#[derive(Default)]
struct Open {
    /// What this node says of the batch, once it has sealed it.
    own: Option<BatchCommitment>,
    signed: BTreeMap<L1Address, SignedCommitment>,
}

/// Makes checkpoints.
pub(crate) struct Checkpoints {
    store: Arc<Store>,
    constants: ChainConstants,
    guard: Arc<SigningGuard>,
    evidence: Arc<EvidenceBook>,
    outlet: Outlet,
    open: Mutex<BTreeMap<BatchNumber, Open>>,
}

/// Signs what is sealed until cancelled.
///
/// # Errors
/// The storage error that ended it.
pub(crate) async fn run_checkpoints(
    checkpoints: Arc<Checkpoints>,
    events: Events,
    cancelled: CancellationToken,
) -> Result<(), StorageError> {
    let mut listening = events.listen();
    let mut repeat = tokio::time::interval(REPEAT_INTERVAL);
    repeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let worker = Arc::clone(&checkpoints);
        tokio::task::spawn_blocking(move || worker.sign_sealed())
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        loop {
            tokio::select! {
                () = cancelled.cancelled() => return Ok(()),
                _ = repeat.tick() => checkpoints.tell_again(),
                event = listening.recv() => match event {
                    Ok(Event::Batch { .. }) | Err(RecvError::Lagged(_)) => break,
                    Ok(_) => {}
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }
}

impl Checkpoints {
    pub(crate) fn new(
        store: Arc<Store>,
        constants: ChainConstants,
        guard: Arc<SigningGuard>,
        evidence: Arc<EvidenceBook>,
        outlet: Outlet,
    ) -> Self {
        Self {
            store,
            constants,
            guard,
            evidence,
            outlet,
            open: Mutex::default(),
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<BatchNumber, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs the sealed batches that have no checkpoint, the newest [`OPEN_MAX`] at most.
    fn sign_sealed(&self) -> Result<(), StorageError> {
        let next = self.store.open_batch()?.number;
        let count = u64::try_from(OPEN_MAX).unwrap_or(u64::MAX);
        for number in next.0.saturating_sub(count).max(1)..next.0 {
            let number = BatchNumber(number);
            let is_signed = self
                .open()
                .get(&number)
                .is_some_and(|open| open.own.is_some());
            if is_signed || self.store.checkpoint(number)?.is_some() {
                continue;
            }
            if let Some(record) = self.store.batch(number)? {
                self.sign(&record)?;
            }
        }
        Ok(())
    }

    fn commitment(&self, record: &BatchRecord) -> Result<BatchCommitment, StorageError> {
        let last = self.store.block(record.last_height)?.ok_or_else(|| {
            let what = format!("block {} is missing", record.last_height);
            self.store.corrupt(what)
        })?;
        let ends = (&record.start, &record.end);
        let header = &last.block.header;
        Ok(BatchCommitment::new(
            record.number,
            ends,
            &record.words,
            header,
            self.store.origin_time(&header.core.l1_origin)?,
        ))
    }

    fn sign(&self, record: &BatchRecord) -> Result<(), StorageError> {
        let commitment = self.commitment(record)?;
        let domain = &self.constants.domain;
        let request = GuardRequest::Numbered {
            kind: NumberedKind::Batch,
            number: record.number.0,
            subject: field_to_be_bytes(&commitment.root_before),
            digest: commitment.digest(domain),
        };
        self.open().entry(record.number).or_default().own = Some(commitment.clone());
        let validator = self.guard.address();
        // an epoch of a block that is here has begun
        let set = self.store.office(commitment.epoch)?;
        if set.weight_of(&validator) > 0 {
            match self.guard.sign(&request) {
                Ok(signature) => {
                    let signed = SignedCommitment {
                        commitment,
                        validator,
                        signature,
                    };
                    let news = News::Commitment(Box::new(signed.clone()));
                    self.outlet.send(news);
                    self.take(signed)?;
                }
                Err(error @ (GuardError::Conflict { .. } | GuardError::Below { .. })) => {
                    tracing::warn!(%error, batch = record.number.0, "batch not signed");
                }
                // agreement asks the same guard and stops the node
                Err(error) => tracing::error!(%error, batch = record.number.0, "batch not signed"),
            }
        }
        self.assemble(record.number)
    }

    /// Takes a signature from anybody.
    ///
    /// # Errors
    /// The storage error while a checkpoint is stored.
    pub(crate) fn take(&self, signed: SignedCommitment) -> Result<Signed, StorageError> {
        let (number, validator) = (signed.commitment.batch_number, signed.validator);
        let next = self.store.open_batch()?;
        let epoch = signed.commitment.epoch;
        let is_near = number.0 < next.number.0.saturating_add(AHEAD_MAX);
        let is_done = self.store.checkpoint(number)?.is_some();
        let Some(set) = self.store.validator_set(epoch)? else {
            return Ok(Signed::Known); // this node is behind by an epoch: it will be told again
        };
        if set.weight_of(&validator) == 0 {
            return Ok(Signed::Invalid);
        }
        let (known, is_of_set) = {
            let open = self.open();
            let one = open.get(&number);
            let known = one.and_then(|open| open.signed.get(&validator).cloned());
            // sets that left long ago must not fill the table
            let own = one.and_then(|open| open.own.as_ref());
            let first = Epoch::of(next.first_height);
            let is_of_set = own.map_or(epoch >= first, |own| own.epoch == epoch);
            (known, is_of_set)
        };
        let is_new = known.is_none() && !is_done && is_of_set;
        if known.as_ref() == Some(&signed) || !is_near || !(is_new || known.is_some()) {
            return Ok(Signed::Known);
        }
        if !signed.is_authentic(&self.constants.domain) {
            return Ok(Signed::Invalid);
        }
        if let Some(known) = known {
            if known.commitment == signed.commitment {
                return Ok(Signed::Known); // another spelling of the same
            }
            let evidence = Evidence::DoubleCheckpoint(Box::new(known), Box::new(signed));
            let recorded = self.evidence.record(evidence)?;
            return Ok(match recorded {
                Recorded::New => Signed::New,
                Recorded::Known | Recorded::Early | Recorded::Nothing => Signed::Known,
            });
        }
        {
            let mut open = self.open();
            open.entry(number)
                .or_default()
                .signed
                .insert(validator, signed);
            while open.len() > OPEN_MAX {
                open.pop_first();
            }
        }
        self.assemble(number)?;
        Ok(Signed::New)
    }

    /// Stores the checkpoint of a batch if enough weight has signed what this node says of it.
    fn assemble(&self, number: BatchNumber) -> Result<(), StorageError> {
        let checkpoint = {
            let open = self.open();
            let Some(one) = open.get(&number) else {
                return Ok(());
            };
            let Some(own) = &one.own else {
                return Ok(());
            };
            Checkpoint::assemble(own.clone(), one.signed.values())
        };
        let set = &self.store.office(checkpoint.commitment.epoch)?;
        if !set.is_quorum(checkpoint.signatures.weight(set))
            || self.store.checkpoint(number)?.is_some()
        {
            return Ok(());
        }
        let signers = checkpoint.signatures.len();
        self.store.write_checkpoint(&CheckpointRecord {
            time_ms: now_ms(),
            checkpoint,
        })?;
        ::metrics::gauge!("sequencer_checkpoint_batch").set(number.0 as f64);
        tracing::info!(batch = number.0, signers, "batch certified");
        Ok(())
    }

    /// Own signatures under batches without a checkpoint.
    fn tell_again(&self) {
        let own = self.guard.address();
        let done = |number: &BatchNumber| {
            // a failing database ends the node elsewhere
            self.store
                .checkpoint(*number)
                .is_ok_and(|one| one.is_some())
        };
        let missing: Vec<SignedCommitment> = self
            .open()
            .iter()
            .filter(|(number, _)| !done(number))
            .filter_map(|(_, open)| open.signed.get(&own).cloned())
            .collect();
        for signed in missing {
            self.outlet.send(News::Commitment(Box::new(signed)));
        }
    }
}

#[cfg(test)]
mod tests;
