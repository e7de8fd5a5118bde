//! Telling: what is new here, and from time to time what is still pending.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use protocol::{
    checkpoint::SignedCommitment, codec::to_bytes, preconfirmation::SignedPreconfirmation,
    transaction::Submission,
};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    Relay,
    message::{Proven, Question, SUBMISSIONS_MAX, Statement, Told},
};
use crate::network::{Gossip, Topic};

/// News that wait to be told. What finds no place is told with the pending ones later.
const NEWS_MAX: usize = 8_192;
/// How often pending submissions are told again.
const REPEAT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a submission is pending before it is told again, in milliseconds.
const REPEAT_AFTER_MS: u64 = 5_000;
/// How long a sealed batch may lack proofs before its bundle is asked for, in milliseconds.
const BUNDLE_AFTER_MS: u64 = 10_000;
/// Bundles asked for at a time, and final proofs.
const BUNDLES_MAX: usize = 4;
/// How long an answer with one may take.
const BUNDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Something that peers should know.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A sender gave it to this node; it is on disk.
    Submission(Arc<Submission>),
    /// A worker gave it to this node; it verifies.
    Proof { job: [u8; 32], proof: Vec<u8> },
    /// A file against a validator.
    Evidence(Vec<u8>),
    /// This validator's signature under a sealed batch.
    Commitment(Box<SignedCommitment>),
    /// This validator's promise about its next block.
    Promise(SignedPreconfirmation),
    /// A soft block of this validator, or its signature under one.
    Soft(Vec<u8>),
}

/// Where news go in; never waits.
#[derive(Clone, Debug)]
pub(crate) struct Outlet(mpsc::Sender<News>);

impl Outlet {
    /// An outlet, and where the news come out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<News>) {
        let (sender, receiver) = mpsc::channel(NEWS_MAX);
        (Self(sender), receiver)
    }

    pub(crate) fn send(&self, news: News) {
        if self.0.try_send(news).is_err() {
            ::metrics::counter!("sequencer_news_dropped_total").increment(1);
        }
    }
}

fn publish(gossip: &Gossip, topic: Topic, bytes: Vec<u8>) {
    if let Err(error) = gossip.publish(topic, Bytes::from(bytes)) {
        tracing::debug!(?topic, %error, "not told");
    }
}

fn state(gossip: &Gossip, statement: &Statement) {
    publish(gossip, Topic::Checkpoints, to_bytes(statement));
}

/// Tells news until cancelled.
pub(crate) async fn run_tell(
    relay: Arc<Relay>,
    gossip: Gossip,
    mut news: mpsc::Receiver<News>,
    cancelled: CancellationToken,
) {
    let mut repeat = tokio::time::interval(REPEAT_INTERVAL);
    repeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return,
            count = news.recv_many(&mut batch, SUBMISSIONS_MAX) => if count == 0 {
                return;
            },
            _ = repeat.tick() => {
                let pending = relay.pending();
                if !pending.is_empty() {
                    publish(&gossip, Topic::Submissions, to_bytes(&Told(pending)));
                }
                relay.ask_for_bundles(&gossip).await;
                relay.ask_for_finals(&gossip).await;
            }
        }
        let mut submissions = Vec::new();
        for news in batch.drain(..) {
            match news {
                News::Submission(submission) => submissions.push(Arc::unwrap_or_clone(submission)),
                News::Proof { job, proof } => {
                    publish(&gossip, Topic::Proofs, to_bytes(&Proven { job, proof }));
                }
                News::Evidence(file) => publish(&gossip, Topic::Evidence, file),
                News::Commitment(signed) => state(&gossip, &Statement::Commitment(signed)),
                News::Promise(signed) => state(&gossip, &Statement::Promise(signed)),
                News::Soft(message) => publish(&gossip, Topic::Soft, message),
            }
        }
        if !submissions.is_empty() {
            publish(&gossip, Topic::Submissions, to_bytes(&Told(submissions)));
        }
    }
}

impl Relay {
    /// The oldest submissions that have been pending for a while.
    fn pending(&self) -> Vec<Submission> {
        let before = crate::chain::now_ms().saturating_sub(REPEAT_AFTER_MS);
        let pool = self.shared.pool();
        pool.received_before(before)
            .take(SUBMISSIONS_MAX)
            .map(|entry| (*entry.submission).clone())
            .collect()
    }

    /// Asks for the proofs of batches that others have finished.
    async fn ask_for_bundles(&self, gossip: &Gossip) {
        let before = crate::chain::now_ms().saturating_sub(BUNDLE_AFTER_MS);
        let queue = Arc::clone(&self.queue);
        let late = move || queue.unproven_before(before, BUNDLES_MAX);
        let Ok(Ok(late)) = tokio::task::spawn_blocking(late).await else {
            return; // the queue reports its own failure
        };
        for number in late {
            let question = Bytes::from(to_bytes(&Question::Bundle(number.0)));
            let Some(bundle) = gossip.request(question, BUNDLE_TIMEOUT).await else {
                return;
            };
            if let Err(reason) = self.queue.take_bundle(number, &bundle).await {
                tracing::debug!(batch = number.0, reason, "a peer's bundle is of no use");
            }
        }
    }

    /// Asks for the final proofs of batches that others may have.
    async fn ask_for_finals(&self, gossip: &Gossip) {
        let before = crate::chain::now_ms().saturating_sub(BUNDLE_AFTER_MS);
        let queue = Arc::clone(&self.queue);
        let late = move || queue.without_final_before(before, BUNDLES_MAX);
        let Ok(Ok(late)) = tokio::task::spawn_blocking(late).await else {
            return; // the queue reports its own failure
        };
        for number in late {
            let question = Bytes::from(to_bytes(&Question::Final(number.0)));
            let Some(proof) = gossip.request(question, BUNDLE_TIMEOUT).await else {
                return;
            };
            if let Err(reason) = self.queue.take_final(number, &proof).await {
                tracing::debug!(
                    batch = number.0,
                    reason,
                    "a peer's final proof is of no use"
                );
            }
        }
    }
}
