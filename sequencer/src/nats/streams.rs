//! What lies with the NATS server: witnesses until they are fetched, results until they are judged.
//!
//! Invariant: everything here can be lost at any moment without a job being lost.

use std::convert::Infallible;
use std::time::Duration;

use api::{
    error::ErrorCode,
    jobs::{
        JobId, JobQueue,
        nats::{
            PART_BYTES, Reply, ResultMessage, WITNESSES, result_subject, results_config,
            verdict_subject, witness_filter, witness_subject, witnesses_config,
        },
    },
};
use async_nats::{
    Client, Error,
    jetstream::{
        self, Context,
        consumer::{AckPolicy, Consumer, pull},
        stream::Stream,
    },
};
use futures::{StreamExt, TryStreamExt};

use crate::proving::RocksQueue;

/// Longest that putting one part may take.
const PUT_TIMEOUT: Duration = Duration::from_secs(10);
/// Results asked for at a time.
const RESULTS_AT_A_TIME: usize = 8;
/// How long the server waits for the first of them before it says that there are none.
const RESULTS_WAIT: Duration = Duration::from_secs(2);
/// A result that was taken and not acknowledged comes again after so long.
const VERDICT_WAIT_MAX: Duration = Duration::from_secs(60);

/// The two streams.
pub(super) struct Streams {
    client: Client,
    context: Context,
    node: String,
}

impl Streams {
    pub(super) fn new(client: Client, node: &str) -> Self {
        Self {
            context: jetstream::new(client.clone()),
            client,
            node: node.to_owned(),
        }
    }

    /// Puts a witness where workers fetch it: the parts that are missing, or all of them.
    pub(super) async fn put_witness(
        &self,
        hash: &[u8; 32],
        witness: &[u8],
        put_all: bool,
    ) -> Result<(), Error> {
        let stream = self.context.get_stream_no_info(WITNESSES).await?;
        let there = match self.parts_there(&stream, hash).await {
            Ok(there) => there,
            Err(_) => {
                // the first time, and after the server has lost its store
                self.context
                    .get_or_create_stream(witnesses_config())
                    .await?;
                Vec::new()
            }
        };
        for (part, bytes) in witness.chunks(PART_BYTES).enumerate() {
            let subject = witness_subject(hash, part);
            if !put_all && there.contains(&subject) {
                continue;
            }
            let put = async {
                let sent = self.context.publish(subject, bytes.to_vec().into()).await?;
                sent.await
            };
            tokio::time::timeout(PUT_TIMEOUT, put).await??;
        }
        Ok(())
    }

    /// Subjects of the parts that the server has.
    async fn parts_there(
        &self,
        stream: &Stream<()>,
        hash: &[u8; 32],
    ) -> Result<Vec<String>, Error> {
        let listed = stream.info_with_subjects(witness_filter(hash)).await?;
        let listed: Vec<(String, usize)> = listed.try_collect().await?;
        Ok(listed.into_iter().map(|(subject, _)| subject).collect())
    }

    /// Judges one result after the other; ends with the first failure of the server or of the node.
    pub(super) async fn take_results(&self, queue: &RocksQueue) -> Result<Infallible, Error> {
        let consumer = self.consumer().await?;
        loop {
            let batch = consumer
                .batch()
                .max_messages(RESULTS_AT_A_TIME)
                .expires(RESULTS_WAIT);
            let mut batch = batch.messages().await?;
            let mut is_answered = false;
            let from = tokio::time::Instant::now();
            while let Some(message) = batch.next().await {
                is_answered = true;
                self.judge(queue, &message?).await?;
            }
            // The client ends a batch in silence long after the server should have: then nobody is there, or knows the consumer.
            if !is_answered && from.elapsed() > RESULTS_WAIT + Duration::from_secs(3) {
                return Err("the server does not answer".into());
            }
        }
    }

    async fn consumer(&self) -> Result<Consumer<pull::Config>, Error> {
        let stream = self.context.get_or_create_stream(results_config()).await?;
        let name = format!("node-{}", self.node);
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: result_subject(&self.node),
            ack_policy: AckPolicy::Explicit,
            ack_wait: VERDICT_WAIT_MAX,
            ..pull::Config::default()
        };
        Ok(stream.get_or_create_consumer(&name, config).await?)
    }

    /// Has the queue judge a result, tells the verdict, and only then lets the server forget the result.
    async fn judge(&self, queue: &RocksQueue, message: &jetstream::Message) -> Result<(), Error> {
        if let Some(result) = ResultMessage::decode(&message.payload) {
            let verdict = queue.submit(JobId(result.job), result.token, result.proof);
            let verdict = verdict.await;
            if verdict
                .as_ref()
                .is_err_and(|error| error.code == ErrorCode::Internal)
            {
                return Err("the node's database failed".into()); // another start of this node judges it
            }
            let told = serde_json::to_vec(&Reply::from(verdict))?;
            let subject = verdict_subject(&message.payload);
            self.client.publish(subject, told.into()).await?;
        } else {
            let bytes = message.payload.len();
            tracing::warn!(bytes, "what came as a result over NATS is none");
        }
        message.ack().await
    }
}
