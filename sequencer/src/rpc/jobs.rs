//! The job interface: JSON in front of the queue.

use std::sync::Arc;

use api::{
    jobs::{
        JobId, JobQueue, LeaseJson, PROOF_BYTES_MAX, ProverServer, QueueStatus, Submitted,
        WorkerInfo,
    },
    text::{BytesText, HashText},
};
use jsonrpsee::core::{RpcResult, async_trait};

use crate::proving::RocksQueue;

pub(super) struct JobsApi {
    queue: Arc<RocksQueue>,
}

impl JobsApi {
    pub(super) fn new(queue: Arc<RocksQueue>) -> Self {
        Self { queue }
    }
}

#[async_trait]
impl ProverServer for JobsApi {
    async fn lease(&self, worker: WorkerInfo) -> RpcResult<Option<LeaseJson>> {
        Ok(self.queue.lease(&worker).await?.map(LeaseJson::from))
    }

    async fn heartbeat(
        &self,
        job: HashText,
        token: u64,
        phase: String,
        percent: u8,
    ) -> RpcResult<u64> {
        Ok(self
            .queue
            .heartbeat(JobId(job.parse()?), token, &phase, percent)
            .await?)
    }

    async fn submit(&self, job: HashText, token: u64, proof: BytesText) -> RpcResult<Submitted> {
        let job = JobId(job.parse()?);
        // Two digits a byte and the prefix: refuse before decoding.
        let proof = if proof.0.len() > 2 * PROOF_BYTES_MAX + 2 {
            vec![0; PROOF_BYTES_MAX + 1]
        } else {
            proof.parse()?
        };
        Ok(self.queue.submit(job, token, proof).await?)
    }

    async fn fail(&self, job: HashText, token: u64, reason: String) -> RpcResult<()> {
        Ok(self.queue.fail(JobId(job.parse()?), token, &reason).await?)
    }

    async fn status(&self) -> RpcResult<QueueStatus> {
        Ok(self.queue.status().await?)
    }
}
