//! The way into the mempool: many requests become one round of signature checks and one synced write.
//!
//! An operation is acknowledged only after its round is on disk. Rounds grow with load: while one is being written
//! the next one fills.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::error::{ApiError, ErrorCode};
use protocol::{
    number::Height,
    signature::{Claim, invalid_claims},
    transaction::{Submission, TransactionId},
};
use rayon::prelude::*;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Admitted, Mempool, Rules};
use crate::{
    chain::{Chain, now_ms},
    events::{Event, Events},
    failpoint,
    relay::{News, Outlet},
    storage::{AdmissionStep, PendingRecord, StorageError, Store, TransactionRecord},
};

/// Requests one round takes at most.
const ROUND_MAX: usize = 512;
/// Claims that one thread checks together.
const CLAIMS_PER_TASK: usize = 64;

/// What became of a submission that breaks no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) ids: Vec<TransactionId>,
    /// Whether it was not pending before.
    pub(crate) is_new: bool,
}

type Reply = Result<Taken, ApiError>;

/// Who sends a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Whoever signed it, over RPC: peers are told.
    Sender,
    /// A peer: the network tells it on.
    Peer,
}

/// A submission on its way in.
pub(crate) struct AdmissionRequest {
    pub(crate) submission: Submission,
    pub(crate) origin: Origin,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What admission works on.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) chain: Arc<Chain>,
    pub(crate) pool: Arc<Mutex<Mempool>>,
    pub(crate) store: Arc<Store>,
    pub(crate) events: Events,
    /// Where what peers should know goes in.
    pub(crate) outlet: Outlet,
}

/// Runs rounds until cancelled.
///
/// # Errors
/// The storage error that ended it.
pub(crate) async fn run_admission(
    admission: Admission,
    mut requests: mpsc::Receiver<AdmissionRequest>,
    cancelled: CancellationToken,
) -> Result<(), StorageError> {
    loop {
        let mut round = Vec::new();
        tokio::select! {
            () = cancelled.cancelled() => {
                admission.chain.set_admitting(false);
                return Ok(());
            }
            count = requests.recv_many(&mut round, ROUND_MAX) => if count == 0 {
                return Ok(());
            },
        }
        admission.chain.set_admitting(true);
        let worker = admission.clone();
        tokio::task::spawn_blocking(move || worker.round(round))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        admission.chain.set_admitting(!requests.is_empty());
    }
}

struct Prepared {
    submission: Submission,
    origin: Origin,
    ids: Vec<TransactionId>,
    reply: oneshot::Sender<Reply>,
}

impl Admission {
    pub(crate) fn pool(&self) -> MutexGuard<'_, Mempool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a round, or tells each sender why not.
    pub(crate) fn round(&self, requests: Vec<AdmissionRequest>) -> Result<(), StorageError> {
        let prepared = self.check_signatures(self.answer_known(requests));
        let (mut steps, mut replies, mut news) = (Vec::new(), Vec::new(), Vec::new());
        let now_ms = now_ms();
        {
            let mut pool = self.pool();
            let view = self.chain.view();
            let rules = Rules {
                constants: &self.chain.constants,
                view: &view,
            };
            for Prepared {
                submission,
                origin,
                ids,
                reply,
            } in prepared
            {
                let admitted = pool.admit(&rules, submission.clone(), ids.clone(), now_ms);
                let record = PendingRecord {
                    submission,
                    received_ms: now_ms,
                };
                let result = admitted.map(|admitted| {
                    let is_new = admitted.sequence.is_some();
                    if is_new && origin == Origin::Sender {
                        news.push(Arc::new(record.submission.clone()));
                    }
                    record_steps(&mut steps, view.tip.height, admitted, record, &ids);
                    Taken { ids, is_new }
                });
                replies.push((reply, result));
            }
            drop(view);
            if !steps.is_empty() {
                failpoint::pass("admission.before_write");
                self.store.write_admission(&steps)?;
                failpoint::pass("admission.after_write");
            }
        }
        let mut changed = Vec::new();
        for step in &steps {
            match step {
                AdmissionStep::Admit { ids, .. } => changed.extend_from_slice(ids),
                AdmissionStep::Remove { records, .. } => {
                    changed.extend(records.iter().map(|(id, _)| *id));
                }
            }
        }
        for submission in news {
            self.outlet.send(News::Submission(submission));
        }
        let accepted = replies.iter().filter(|(_, result)| result.is_ok()).count();
        ::metrics::counter!("sequencer_admissions_total")
            .increment(u64::try_from(accepted).unwrap_or(0));
        for (reply, result) in replies {
            let _ = reply.send(result); // a sender that has gone away will find the operation by its id
        }
        if !changed.is_empty() {
            self.events.send(Event::Transactions(Arc::new(changed)));
        }
        Ok(())
    }

    /// Answers those that are pending already, byte for byte: peers repeat themselves, and signatures are dear.
    fn answer_known(&self, requests: Vec<AdmissionRequest>) -> Vec<AdmissionRequest> {
        let pool = self.pool();
        let (mut unknown, mut known) = (Vec::with_capacity(requests.len()), Vec::new());
        for request in requests {
            match pool.holding(&request.submission) {
                Some(entry) => known.push((request.reply, entry.ids.clone())),
                None => unknown.push(request),
            }
        }
        drop(pool);
        for (reply, ids) in known {
            let is_new = false;
            let _ = reply.send(Ok(Taken { ids, is_new })); // a sender that has gone away knows the id
        }
        unknown
    }

    /// Answers those with a bad signature; returns the others in order.
    fn check_signatures(&self, requests: Vec<AdmissionRequest>) -> Vec<Prepared> {
        let domain = &self.chain.constants.domain;
        let (ids, claims): (Vec<Vec<TransactionId>>, Vec<Vec<Claim>>) = requests
            .par_iter()
            .map(|request| request.submission.ids_and_claims(domain))
            .unzip();
        let claims: Vec<(usize, Claim)> = claims
            .into_iter()
            .enumerate()
            .flat_map(|(place, claims)| claims.into_iter().map(move |claim| (place, claim)))
            .collect();
        let bad: std::collections::BTreeSet<usize> = claims
            .par_chunks(CLAIMS_PER_TASK)
            .flat_map_iter(|chunk| {
                let claims: Vec<_> = chunk.iter().map(|(_, claim)| *claim).collect();
                let bad = invalid_claims(&claims);
                bad.into_iter()
                    .filter_map(|index| chunk.get(index).map(|(place, _)| *place))
            })
            .collect();
        let mut good = Vec::with_capacity(requests.len());
        for ((place, request), ids) in requests.into_iter().enumerate().zip(ids) {
            let AdmissionRequest {
                submission,
                origin,
                reply,
            } = request;
            if bad.contains(&place) {
                let reason =
                    "the signature does not match the message and key under this chain's domain";
                let _ = reply.send(Err(ApiError::new(ErrorCode::InvalidSignature, reason)));
            } else {
                good.push(Prepared {
                    submission,
                    origin,
                    ids,
                    reply,
                });
            }
        }
        good
    }
}

fn record_steps(
    steps: &mut Vec<AdmissionStep>,
    tip: Height,
    admitted: Admitted,
    record: PendingRecord,
    ids: &[TransactionId],
) {
    let gone = [
        (
            admitted.replaced,
            ErrorCode::ReplacementUnderpriced,
            "replaced by an operation with a higher fee",
        ),
        (
            admitted.evicted,
            ErrorCode::MempoolFull,
            "evicted by operations with a higher fee",
        ),
    ];
    for (entries, code, reason) in gone {
        steps.extend(entries.into_iter().map(|entry| AdmissionStep::Remove {
            sequence: entry.sequence,
            tip,
            departed: (entry.name, Arc::clone(&entry.submission)),
            records: failed_records(&entry, record.received_ms, code, reason),
        }));
    }
    if let Some(sequence) = admitted.sequence {
        steps.push(AdmissionStep::Admit {
            sequence,
            record: Box::new(record),
            ids: ids.to_vec(),
        });
    }
}

/// Records of an entry's operations that will not be applied. What senders were told to be soft is reverted.
pub(crate) fn failed_records(
    entry: &super::Entry,
    failed_ms: u64,
    code: ErrorCode,
    reason: &str,
) -> Vec<(TransactionId, TransactionRecord)> {
    let received_ms = entry.received_ms;
    let (code, reason) = match entry.soft {
        Some(_) => (
            ErrorCode::Reverted,
            format!("a soft block held it, the decided blocks do not: {reason}"),
        ),
        None => (code, reason.to_owned()),
    };
    entry
        .ids
        .iter()
        .map(|id| {
            let reason = reason.clone();
            let code = code.number();
            (
                *id,
                TransactionRecord::Failed {
                    received_ms,
                    failed_ms,
                    code,
                    reason,
                },
            )
        })
        .collect()
}
