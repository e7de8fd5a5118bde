//! What nodes tell each other beside votes: submissions on their way to a proposer, bytes of listed ones, proofs.
//!
//! A submission that a sender gave to this node is told to all, in batches; one that a peer told is admitted by the same
//! rules and on disk before it is told on. What is pending is told again from time to time, for whoever was away. A
//! proof counts here as from any worker: when it verifies. Invariants: nothing is told on that this node has not
//! admitted or verified; every answer and every message has a limit. What this module does not do: move bytes
//! (`network`), or decide what is valid.

mod blocks;
mod handovers;
mod message;
mod progress;
mod reach;
mod soft;
mod tell;

use std::sync::Arc;

use api::{
    error::ErrorCode,
    jobs::{JobId, JobQueue, Submitted},
};
use async_trait::async_trait;
use bytes::Bytes;
use libp2p::PeerId;
use protocol::{
    checkpoint::SignedCommitment,
    codec::{from_bytes, to_bytes},
    evidence::Evidence,
    number::{BatchNumber, LeafIndex},
    preconfirmation::SignedPreconfirmation,
    signature::invalid_claims,
    transaction::{Domain, ListHash, Submission},
    validator::ValidatorSignature,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    builder::Exchange,
    checkpoints::{Checkpoints, Signed},
    evidence::{EvidenceBook, Recorded},
    guard::validator_proof_digest,
    mempool::{Admission, AdmissionRequest, Origin},
    network::{Acceptance, Gossip, GossipHandler, Topic},
    promises::Hearing,
    proving::RocksQueue,
    soft::{Soft, SoftMessage},
    storage::{Departed, StorageError},
};

use message::{Proven, Question, SUBMISSIONS_MAX, Statement, Told};
pub(crate) use progress::Progress;
pub(crate) use reach::run_reach;
pub(crate) use tell::{News, Outlet, run_tell};

/// Bytes of an answer to a question about listed submissions.
const LISTED_BYTES_MAX: usize = 1 << 20;
/// How long a node waits for the bytes of listed submissions before it asks again.
const FETCH_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(500);

/// Judges and serves what peers send.
pub(crate) struct Relay {
    shared: Admission,
    queue: Arc<RocksQueue>,
    requests: mpsc::Sender<AdmissionRequest>,
    evidence: Arc<EvidenceBook>,
    checkpoints: Arc<Checkpoints>,
    domain: Domain,
    /// Peers that are configured.
    peers: usize,
    exchange: Arc<Exchange>,
    /// Where this validator wants bids paid.
    bid_leaf: Option<LeafIndex>,
    soft: Arc<Soft>,
}

impl Relay {
    pub(crate) fn new(
        shared: Admission,
        queue: Arc<RocksQueue>,
        requests: mpsc::Sender<AdmissionRequest>,
        (evidence, checkpoints): (Arc<EvidenceBook>, Arc<Checkpoints>),
        peers: usize,
        (exchange, bid_leaf): (Arc<Exchange>, Option<LeafIndex>),
        soft: Arc<Soft>,
    ) -> Self {
        Self {
            peers,
            exchange,
            bid_leaf,
            soft,
            domain: shared.chain.constants.domain,
            shared,
            queue,
            requests,
            evidence,
            checkpoints,
        }
    }

    /// Admits what a peer tells. A bad signature is its fault: an honest node has checked it.
    async fn admit(&self, submissions: Vec<Submission>) -> Acceptance {
        let mut answers = Vec::with_capacity(submissions.len());
        for submission in submissions {
            let (reply, answer) = oneshot::channel();
            let origin = Origin::Peer;
            let request = AdmissionRequest {
                submission,
                origin,
                reply,
            };
            if self.requests.try_send(request).is_ok() {
                answers.push(answer);
            }
        }
        let mut is_new = false;
        for answer in answers {
            match answer.await {
                Ok(Ok(taken)) => is_new |= taken.is_new,
                Ok(Err(error)) if error.code == ErrorCode::InvalidSignature => {
                    return Acceptance::Reject;
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
        if is_new {
            Acceptance::Accept
        } else {
            Acceptance::Ignore
        }
    }

    async fn take_proof(&self, proven: Proven) -> Acceptance {
        let result = self.queue.submit(JobId(proven.job), 0, proven.proof).await;
        match result {
            Ok(Submitted::Accepted) => Acceptance::Accept,
            Ok(Submitted::Rejected) => Acceptance::Reject,
            // a job this node has not made yet, or has done
            Ok(Submitted::Duplicate | Submitted::Kept) | Err(_) => Acceptance::Ignore,
        }
    }

    async fn take_evidence(&self, bytes: Bytes) -> Acceptance {
        let book = Arc::clone(&self.evidence);
        match tokio::task::spawn_blocking(move || book.take(&bytes)).await {
            Ok(Recorded::New) => Acceptance::Accept,
            Ok(Recorded::Known | Recorded::Early) | Err(_) => Acceptance::Ignore,
            Ok(Recorded::Nothing) => Acceptance::Reject,
        }
    }

    async fn take_commitment(&self, signed: SignedCommitment) -> Acceptance {
        let checkpoints = Arc::clone(&self.checkpoints);
        match tokio::task::spawn_blocking(move || checkpoints.take(signed)).await {
            Ok(Ok(Signed::New)) => Acceptance::Accept,
            Ok(Ok(Signed::Invalid)) => Acceptance::Reject,
            Ok(Ok(Signed::Known) | Err(_)) | Err(_) => Acceptance::Ignore,
        }
    }

    async fn take_promise(&self, signed: SignedPreconfirmation) -> Acceptance {
        let (exchange, book) = (Arc::clone(&self.exchange), Arc::clone(&self.evidence));
        apart(move || match exchange.executor().hear(signed) {
            Hearing::New => Acceptance::Accept,
            Hearing::Known | Hearing::Elsewhere => Acceptance::Ignore,
            Hearing::Forged => Acceptance::Reject,
            Hearing::Contradiction(pair) => {
                let evidence = Evidence::DoublePreconfirmation(pair.0, pair.1);
                // a failing database ends the node elsewhere
                let _ = book.record(evidence);
                Acceptance::Accept
            }
        })
        .await
    }

    /// The bytes of what votes of this node may have listed.
    fn listed(&self, names: &[ListHash]) -> Vec<Submission> {
        let pool = self.shared.pool();
        let tip = self.shared.chain.view().tip.height;
        let mut bytes = 0;
        let mut found = Vec::new();
        for name in names {
            let here = pool.named(name).map(|entry| (*entry.submission).clone());
            let kept = || self.shared.store.departed(tip, name).ok().flatten();
            let Some(submission) = here.or_else(kept) else {
                continue;
            };
            bytes += to_bytes(&submission).len();
            if bytes > LISTED_BYTES_MAX {
                break;
            }
            found.push(submission);
        }
        found
    }

    /// Gets submissions that are listed and not here, from whoever has them: into the pool, or, where it takes them no
    /// more, beside it.
    pub(crate) async fn fetch(&self, gossip: &Gossip, names: Vec<ListHash>) {
        for names in names.chunks(SUBMISSIONS_MAX) {
            let question = Bytes::from(to_bytes(&Question::Listed(names.to_vec())));
            let Some(answer) = gossip.request(question, FETCH_TIMEOUT).await else {
                continue;
            };
            let Ok(Told(submissions)) = from_bytes::<Told>(&answer) else {
                continue;
            };
            self.admit(submissions.clone()).await;
            if let Err(error) = self.keep(names, submissions) {
                tracing::error!(%error, "listed submissions are not kept");
            }
        }
    }

    /// Keeps what was asked for, is signed, and is not in the pool.
    fn keep(&self, names: &[ListHash], submissions: Vec<Submission>) -> Result<(), StorageError> {
        let named = submissions.into_iter().filter(Submission::has_valid_size);
        let named = named.map(|one| (one.list_hash(&self.domain), one));
        let departed: Vec<Departed> = named
            .filter(|(name, _)| names.contains(name) && self.shared.pool().named(name).is_none())
            .filter(|(_, one)| invalid_claims(&one.claims(&self.domain)).is_empty())
            .map(|(name, one)| (name, Arc::new(one)))
            .collect();
        if departed.is_empty() {
            return Ok(());
        }
        let tip = self.shared.chain.view().tip.height;
        self.shared.store.write_departed(tip, &departed)
    }
}

/// Judges where it may wait for the state.
async fn apart(judge: impl FnOnce() -> Acceptance + Send + 'static) -> Acceptance {
    let judged = tokio::task::spawn_blocking(judge).await;
    judged.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Acceptance::Ignore, // the program ends
    })
}

#[async_trait]
impl GossipHandler for Relay {
    async fn judge(&self, topic: Topic, _: PeerId, bytes: Bytes) -> Acceptance {
        match topic {
            Topic::Submissions => match from_bytes::<Told>(&bytes) {
                Ok(Told(submissions)) => self.admit(submissions).await,
                Err(_) => Acceptance::Reject,
            },
            Topic::Proofs => match from_bytes::<Proven>(&bytes) {
                Ok(proven) => self.take_proof(proven).await,
                Err(_) => Acceptance::Reject,
            },
            Topic::Bids => {
                let exchange = Arc::clone(&self.exchange);
                apart(move || exchange.take_bid_bytes(&bytes)).await
            }
            Topic::Reveals => {
                let exchange = Arc::clone(&self.exchange);
                apart(move || exchange.take_reveal_bytes(bytes)).await
            }
            Topic::Evidence => self.take_evidence(bytes).await,
            Topic::Checkpoints => match from_bytes::<Statement>(&bytes) {
                Ok(Statement::Commitment(signed)) => self.take_commitment(*signed).await,
                Ok(Statement::Promise(signed)) => self.take_promise(signed).await,
                Err(_) => Acceptance::Reject,
            },
            Topic::Soft => match from_bytes::<SoftMessage>(&bytes) {
                Ok(message) => self.take_soft(message).await,
                Err(_) => Acceptance::Reject,
            },
        }
    }

    async fn serve(&self, _: PeerId, request: Bytes) -> Option<Bytes> {
        match from_bytes::<Question>(&request).ok()? {
            Question::Listed(names) => {
                let found = self.listed(&names);
                (!found.is_empty()).then(|| Bytes::from(to_bytes(&Told(found))))
            }
            Question::Bundle(number) => {
                let store = Arc::clone(&self.shared.store);
                let read = move || store.bundle(BatchNumber(number));
                let bundle = tokio::task::spawn_blocking(read).await.ok()?;
                bundle.ok().flatten().map(Bytes::from)
            }
            Question::BidLeaf => self.bid_leaf.map(|leaf| Bytes::from(to_bytes(&leaf))),
            Question::Bid(name) => self.bid(&name),
            Question::Block(height, id) => self.block(height, id).await,
            Question::Handovers(epoch) => self.handovers(epoch).await,
            Question::Tip => self.tip().await,
            Question::Signed(validator) => self.signed(&validator),
            Question::Soft(base, known) => self.soft_blocks(base, known).await,
            Question::First => self.first_height().await,
            Question::Final(number) => {
                let store = Arc::clone(&self.shared.store);
                let read = move || store.final_proof(BatchNumber(number));
                let found = tokio::task::spawn_blocking(read).await.ok()?;
                let stated = found.ok().flatten()?.stated()?;
                Some(Bytes::from(stated.encode()))
            }
        }
    }

    fn is_validator_proof(&self, peer: PeerId, proof: &[u8]) -> Option<[u8; 20]> {
        let signature = ValidatorSignature(proof.try_into().ok()?);
        let digest = validator_proof_digest(&self.domain, &peer.to_bytes());
        let signer = signature.signer(&digest).ok()?;
        let executor = self.exchange.executor();
        executor.may_be_validator(&signer).then_some(signer.0)
    }
}
