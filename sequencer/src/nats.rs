//! The job interface over a NATS server (ADR 0030): the same queue as behind HTTP, which stays in this process.
//!
//! Leases and heartbeats are requests to the queue. The witness of a lease is put into a stream of the server, where the
//! worker fetches it; results come out of another one, where they wait while this node is away.
//!
//! Invariants: a job is never anywhere but in this node's database, so a server that vanishes, or comes back empty,
//! costs leases at most: streams are made again, a missing witness is put there again with the next lease. A result is
//! acknowledged only after its verdict, and a node that dies in between judges it again. Nobody is believed; answers go
//! where the server says a request came from, verdicts under the result's own hash.
//!
//! What it does not do: stop the node. A server that cannot be used is tried again, and said so in the log.

#[cfg(test)]
#[path = "nats/server.rs"]
pub(crate) mod server;
mod streams;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::{
    error::{ApiError, ErrorCode},
    jobs::{
        JobId, JobQueue, WORKER_TEXT_MAX, WorkerInfo,
        nats::{
            Fail, Granted, Heartbeat, LEASE_SUBJECT, NatsConfig, Reply, STATUS_SUBJECT,
            fail_subject, heartbeat_subject,
        },
    },
};
use async_nats::{Client, Message, Subscriber};
use futures::{StreamExt, stream::select_all};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{nats::streams::Streams, proving::RocksQueue};

/// Nodes of one server share its workers: each request for a lease goes to one of them.
const GROUP: &str = "quorate-nodes";
/// Requests that are answered at a time; the others wait in their subscriptions.
const REQUESTS_MAX: usize = 32;
/// Bytes of a request: a description of a worker, or a sign of life.
const REQUEST_BYTES_MAX: usize = 4 << 10;
/// Jobs whose witness is put to the server again, whatever it says that it has.
const SUSPECTS_MAX: usize = 1_024;
/// Time before the server is tried again, at first and at most.
const RETRY_WAIT: Duration = Duration::from_secs(1);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(15);

/// This node behind a NATS server.
struct Door {
    queue: Arc<RocksQueue>,
    /// The node's name in subjects.
    node: String,
    client: Client,
    streams: Streams,
    /// Jobs that were given back: their witness may be damaged on the server.
    suspects: Mutex<BTreeSet<JobId>>,
}

/// Serves the queue until `cancelled`. `node` names this node on the server: 40 hex digits that no other node has.
pub(crate) async fn run_nats(
    queue: Arc<RocksQueue>,
    config: NatsConfig,
    node: String,
    cancelled: CancellationToken,
) {
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = serve(queue, config, node) => {}
    }
}

async fn serve(queue: Arc<RocksQueue>, config: NatsConfig, node: String) {
    let mut wait = RETRY_WAIT;
    loop {
        let opened = Door::open(&queue, &config, &node).await;
        let ended = match opened {
            Ok((door, requests)) => {
                wait = RETRY_WAIT;
                tracing::info!(url = config.url(), node, "proof jobs over NATS");
                let results = Arc::clone(&door);
                tokio::select! {
                    () = answer(door, requests) => "the connection was closed".to_owned(),
                    () = take_results(results) => "no more results".to_owned(),
                }
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            url = config.url(),
            reason = ended,
            "no proof jobs over NATS, trying again"
        );
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_WAIT_MAX);
    }
}

impl Door {
    async fn open(
        queue: &Arc<RocksQueue>,
        config: &NatsConfig,
        node: &str,
    ) -> Result<(Arc<Self>, Vec<Subscriber>), async_nats::Error> {
        let client = config.connect(&format!("quorate node {node}")).await?;
        let shared = GROUP.to_owned();
        let requests = vec![
            client
                .queue_subscribe(LEASE_SUBJECT, shared.clone())
                .await?,
            client.queue_subscribe(STATUS_SUBJECT, shared).await?,
            client.subscribe(heartbeat_subject(node)).await?,
            client.subscribe(fail_subject(node)).await?,
        ];
        let door = Self {
            queue: Arc::clone(queue),
            node: node.to_owned(),
            streams: Streams::new(client.clone(), node),
            client,
            suspects: Mutex::new(BTreeSet::new()),
        };
        Ok((Arc::new(door), requests))
    }

    async fn lease(&self, worker: &WorkerInfo) -> Result<Option<Granted>, ApiError> {
        let Some(lease) = self.queue.lease(worker).await? else {
            return Ok(None);
        };
        let (granted, hash) = Granted::new(&self.node, &lease);
        let is_suspect = self.suspects().remove(&lease.job);
        let put = self.streams.put_witness(&hash, &lease.witness, is_suspect);
        if let Err(error) = put.await {
            // Nobody has it: it must not wait for the end of a lease.
            let reason = format!("no witness over NATS: {error}");
            self.queue.fail(lease.job, lease.token, &reason).await?;
            return Err(ApiError::new(ErrorCode::Unavailable, reason));
        }
        Ok(Some(granted))
    }

    async fn heartbeat(&self, beat: &Heartbeat) -> Result<u64, ApiError> {
        let job = JobId(beat.job.parse()?);
        let answer = self
            .queue
            .heartbeat(job, beat.token, &beat.phase, beat.percent);
        answer.await
    }

    async fn fail(&self, fail: &Fail) -> Result<(), ApiError> {
        let job = JobId(fail.job.parse()?);
        self.queue.fail(job, fail.token, &fail.reason).await?;
        let mut suspects = self.suspects();
        if suspects.len() < SUSPECTS_MAX {
            suspects.insert(job);
        }
        Ok(())
    }

    fn suspects(&self) -> std::sync::MutexGuard<'_, BTreeSet<JobId>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request, if it says where.
    async fn handle(&self, message: Message) {
        let Some(reply) = message.reply.clone() else {
            return;
        };
        let answer = match message.subject.as_str() {
            LEASE_SUBJECT => match read(&message.payload) {
                Ok(worker) => encoded(self.lease(&worker).await),
                Err(error) => encoded::<()>(Err(error)),
            },
            STATUS_SUBJECT => encoded(self.queue.status().await),
            subject if subject == fail_subject(&self.node) => match read(&message.payload) {
                Ok(fail) => encoded(self.fail(&fail).await),
                Err(error) => encoded::<()>(Err(error)),
            },
            _ => match read(&message.payload) {
                Ok(beat) => encoded(self.heartbeat(&beat).await),
                Err(error) => encoded::<()>(Err(error)),
            },
        };
        if let Err(error) = self.client.publish(reply, answer.into()).await {
            tracing::debug!(%error, "an answer over NATS was not sent");
        }
    }
}

/// A request's content.
fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ApiError> {
    let malformed = |why: String| {
        let why: String = why.chars().take(WORKER_TEXT_MAX).collect();
        ApiError::new(ErrorCode::MalformedText, why)
    };
    if payload.len() > REQUEST_BYTES_MAX {
        let (found, most) = (payload.len(), REQUEST_BYTES_MAX);
        return Err(malformed(format!(
            "a request of {found} bytes, at most {most}"
        )));
    }
    serde_json::from_slice(payload).map_err(|error| malformed(error.to_string()))
}

fn encoded<T: Serialize>(answer: Result<T, ApiError>) -> Vec<u8> {
    serde_json::to_vec(&Reply::from(answer)).expect("our own answers have string keys")
}

/// Answers requests until the connection is closed for good.
async fn answer(door: Arc<Door>, requests: Vec<Subscriber>) {
    let mut requests = select_all(requests);
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    // Dropped with this function: nothing of it outlives the node.
    let mut answering = JoinSet::new();
    while let Some(message) = requests.next().await {
        while answering.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let door = Arc::clone(&door);
        answering.spawn(async move {
            door.handle(message).await;
            drop(place);
        });
    }
}

/// Judges results as they come, through every failure of the server.
async fn take_results(door: Arc<Door>) {
    let mut wait = RETRY_WAIT;
    loop {
        let started = tokio::time::Instant::now();
        let Err(error) = door.streams.take_results(&door.queue).await;
        if started.elapsed() > RETRY_WAIT_MAX {
            wait = RETRY_WAIT;
        }
        tracing::warn!(%error, "no results over NATS, trying again");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_WAIT_MAX);
    }
}
