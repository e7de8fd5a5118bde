//! A node's queue through a NATS server (ADR 0030): workers and nodes both connect outwards, to one address.
//!
//! The queue itself stays in the node, as it does behind HTTP: what this door adds is that witnesses lie with the server
//! until a worker fetches them, and results until the node has judged them, whoever is away meanwhile.
//!
//! Invariants: nothing that comes from the server is believed: a witness must hash to what its lease names, a node's name
//! that becomes part of a subject is checked, and what is too long is not read. A request is sent only over a
//! connection that stands, so that none waits in a buffer and takes a lease for a worker that has given up.
//!
//! What this module does not do: decide anything about jobs, or serve them (the node does).

mod connection;
mod wire;

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use futures::StreamExt;
use protocol::hash::keccak256;
use serde::{Serialize, de::DeserializeOwned};

pub use connection::{NatsConfig, NatsSeen};
pub use wire::{
    Fail, Granted, Heartbeat, LEASE_SUBJECT, NODE_NAME_LEN, PART_BYTES, PAYLOAD_BYTES_MIN,
    RESULT_BYTES_MAX, RESULTS, Reply, ResultMessage, STATUS_SUBJECT, WITNESS_BYTES_MAX, WITNESSES,
    fail_subject, heartbeat_subject, is_node_name, result_subject, results_config, verdict_subject,
    witness_filter, witness_parts, witness_subject, witnesses_config,
};

use super::{JobId, JobQueue, Lease, PROOF_BYTES_MAX, QueueStatus, Submitted, WorkerInfo};
use crate::error::{ApiError, ErrorCode};

/// Longest an answer of the node or the server may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest a worker waits for the verdict on a result that the server has stored.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(30);
/// Leases whose node is remembered. A worker holds one at a time; a lost one may still be handed in.
const LEASES_MAX: usize = 64;

/// Client of the queues behind a NATS server.
#[derive(Debug)]
pub struct NatsQueue {
    client: async_nats::Client,
    streams: jetstream::Context,
    verdict_timeout: Duration,
    /// Which node each job was leased from, the oldest first.
    nodes: Mutex<VecDeque<(JobId, String)>>,
}

pub(crate) fn unavailable(what: &str, error: impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorCode::Unavailable, format!("{what}: {error}"))
}

impl NatsQueue {
    /// The queues behind this server. Returns at once; a server that cannot be reached yet is tried again and again.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] for a configuration that cannot be used.
    pub async fn connect(config: &NatsConfig) -> Result<Self, ApiError> {
        let client = config.connect("quorate prover").await?;
        Ok(Self {
            streams: jetstream::new(client.clone()),
            client,
            verdict_timeout: VERDICT_TIMEOUT,
            nodes: Mutex::new(VecDeque::new()),
        })
    }

    /// Waits so long for a verdict before a result counts as kept.
    #[must_use]
    pub fn with_verdict_timeout(mut self, timeout: Duration) -> Self {
        self.verdict_timeout = timeout;
        self
    }

    /// The node that a job was leased from.
    fn node_of(&self, job: JobId) -> Result<String, ApiError> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = nodes.iter().rev().find(|(known, _)| *known == job);
        found.map(|(_, node)| node.clone()).ok_or_else(|| {
            let reason = format!("job {job} was not leased by this worker");
            ApiError::new(ErrorCode::UnknownJob, reason)
        })
    }

    fn remember(&self, job: JobId, node: String) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|(known, _)| *known != job);
        nodes.push_back((job, node));
        if nodes.len() > LEASES_MAX {
            nodes.pop_front();
        }
    }

    fn check_connected(&self) -> Result<(), ApiError> {
        match self.client.connection_state() {
            async_nats::connection::State::Connected => Ok(()),
            state => Err(unavailable("the NATS server", state)),
        }
    }

    async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        subject: String,
        question: &Q,
    ) -> Result<A, ApiError> {
        self.check_connected()?;
        let payload = serde_json::to_vec(question).map_err(|error| unavailable("JSON", error))?;
        let request = async_nats::Request::new()
            .payload(payload.into())
            .timeout(Some(REQUEST_TIMEOUT));
        let answer = self.client.send_request(subject, request).await;
        let answer = answer.map_err(|error| unavailable("no node answers over NATS", error))?;
        Reply::decode(&answer.payload)
    }

    /// Fetches a witness, part by part.
    async fn witness(&self, granted: &Granted) -> Result<Vec<u8>, ApiError> {
        let hash = granted.witness.parse()?;
        let length = usize::try_from(granted.witness_bytes).unwrap_or(usize::MAX);
        if length > WITNESS_BYTES_MAX {
            return Err(unavailable("a witness is too long", length));
        }
        let stream = self.streams.get_stream_no_info(WITNESSES).await;
        let stream = stream.map_err(|error| unavailable("no stream of witnesses", error))?;
        let mut witness = Vec::with_capacity(length);
        for part in 0..witness_parts(length) {
            let subject = witness_subject(&hash, part);
            let fetched = tokio::time::timeout(
                REQUEST_TIMEOUT,
                stream.get_last_raw_message_by_subject(&subject),
            );
            let fetched = fetched
                .await
                .map_err(|_| unavailable("a part of a witness", "no answer"))?;
            let message = fetched.map_err(|error| match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => {
                    unavailable("a part of a witness is not there", subject)
                }
                _ => unavailable("a part of a witness", error),
            })?;
            witness.extend_from_slice(&message.payload);
            if witness.len() > length {
                break;
            }
        }
        if witness.len() != length || keccak256(&witness) != hash {
            return Err(unavailable(
                "a witness was damaged on the way",
                &granted.job,
            ));
        }
        Ok(witness)
    }

    async fn fetch(&self, granted: &Granted) -> Result<Lease, ApiError> {
        let witness = self.witness(granted).await?;
        granted.lease(witness)
    }
}

impl JobQueue for NatsQueue {
    async fn lease(&self, worker: &WorkerInfo) -> Result<Option<Lease>, ApiError> {
        let granted: Option<Granted> = self.ask(LEASE_SUBJECT.to_owned(), worker).await?;
        let Some(granted) = granted else {
            return Ok(None);
        };
        if !is_node_name(&granted.node) {
            return Err(unavailable(
                "a lease names no node",
                "its name is malformed",
            ));
        }
        let job = JobId(granted.job.parse()?);
        self.remember(job, granted.node.clone());
        match self.fetch(&granted).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) => {
                // Given back at once, the next lease finds its witness put there again.
                let given_back = self.fail(job, granted.token, &error.reason).await;
                let _ = given_back; // else the lease ends by itself
                Err(error)
            }
        }
    }

    async fn heartbeat(
        &self,
        job: JobId,
        token: u64,
        phase: &str,
        percent: u8,
    ) -> Result<u64, ApiError> {
        let subject = heartbeat_subject(&self.node_of(job)?);
        let heartbeat = Heartbeat {
            job: job.0.into(),
            token,
            phase: phase.to_owned(),
            percent,
        };
        self.ask(subject, &heartbeat).await
    }

    async fn submit(&self, job: JobId, token: u64, proof: Vec<u8>) -> Result<Submitted, ApiError> {
        if proof.len() > PROOF_BYTES_MAX {
            let reason = format!("{} bytes, at most {PROOF_BYTES_MAX}", proof.len());
            return Err(ApiError::new(ErrorCode::ProofTooLarge, reason));
        }
        let node = self.node_of(job)?;
        self.check_connected()?;
        let message = ResultMessage {
            job: job.0,
            token,
            proof,
        }
        .encode();
        // Before the result is sent: a verdict may come at once.
        let verdicts = self.client.subscribe(verdict_subject(&message)).await;
        let mut verdicts = verdicts.map_err(|error| unavailable("no verdict", error))?;
        let stored = tokio::time::timeout(REQUEST_TIMEOUT, async {
            let sent = self
                .streams
                .publish(result_subject(&node), message.into())
                .await?;
            sent.await
        });
        let stored = stored
            .await
            .map_err(|_| unavailable("the result is not stored", "no answer"))?;
        stored.map_err(|error| unavailable("the result is not stored", error))?;
        match tokio::time::timeout(self.verdict_timeout, verdicts.next()).await {
            Ok(Some(verdict)) => Reply::decode(&verdict.payload),
            Ok(None) | Err(_) => Ok(Submitted::Kept),
        }
    }

    async fn fail(&self, job: JobId, token: u64, reason: &str) -> Result<(), ApiError> {
        let subject = fail_subject(&self.node_of(job)?);
        let fail = Fail {
            job: job.0.into(),
            token,
            reason: reason.to_owned(),
        };
        self.ask(subject, &fail).await
    }

    async fn status(&self) -> Result<QueueStatus, ApiError> {
        self.ask(STATUS_SUBJECT.to_owned(), &()).await
    }
}
