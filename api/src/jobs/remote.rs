//! The queue of a node in another process.

use std::time::Duration;

use jsonrpsee::{
    core::ClientError,
    http_client::{HttpClient, HttpClientBuilder},
};

use super::{JobId, JobQueue, Lease, ProverClient, QueueStatus, Submitted, WorkerInfo};
use crate::error::{ApiError, ErrorCode};

/// A response holds a chunk's witness in hex.
const RESPONSE_BYTES_MAX: u32 = 64 << 20;
/// Longest a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Client of a node's job interface.
#[derive(Clone, Debug)]
pub struct RemoteQueue {
    client: HttpClient,
}

impl RemoteQueue {
    /// The queue at this URL, for example `http://127.0.0.1:8546`.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`] if the URL cannot be used. Nothing is sent yet.
    pub fn new(url: &str) -> Result<Self, ApiError> {
        HttpClientBuilder::default()
            .request_timeout(REQUEST_TIMEOUT)
            .max_response_size(RESPONSE_BYTES_MAX)
            .build(url)
            .map(|client| Self { client })
            .map_err(api_error)
    }
}

fn api_error(error: ClientError) -> ApiError {
    match error {
        ClientError::Call(object) => ApiError::from_object(&object)
            .unwrap_or_else(|| ApiError::new(ErrorCode::Unavailable, object.to_string())),
        other => ApiError::new(ErrorCode::Unavailable, other.to_string()),
    }
}

impl JobQueue for RemoteQueue {
    async fn lease(&self, worker: &WorkerInfo) -> Result<Option<Lease>, ApiError> {
        let lease = ProverClient::lease(&self.client, worker.clone())
            .await
            .map_err(api_error)?;
        lease.map(|lease| lease.parse()).transpose()
    }

    async fn heartbeat(
        &self,
        job: JobId,
        token: u64,
        phase: &str,
        percent: u8,
    ) -> Result<u64, ApiError> {
        ProverClient::heartbeat(&self.client, job.0.into(), token, phase.to_owned(), percent)
            .await
            .map_err(api_error)
    }

    async fn submit(&self, job: JobId, token: u64, proof: Vec<u8>) -> Result<Submitted, ApiError> {
        let proof = proof.as_slice().into();
        ProverClient::submit(&self.client, job.0.into(), token, proof)
            .await
            .map_err(api_error)
    }

    async fn fail(&self, job: JobId, token: u64, reason: &str) -> Result<(), ApiError> {
        ProverClient::fail(&self.client, job.0.into(), token, reason.to_owned())
            .await
            .map_err(api_error)
    }

    async fn status(&self) -> Result<QueueStatus, ApiError> {
        ProverClient::status(&self.client).await.map_err(api_error)
    }
}
