//! The node's interfaces: JSON-RPC over HTTP and WebSocket with health and metrics on one port, and the proof jobs
//! on another.
//!
//! Everything that comes in is bounded: bodies, batches, connections, subscriptions. A subscriber that cannot keep
//! up gets a notice and is dropped.

mod answers;
mod http;
mod jobs;
mod public;
mod receipt;
mod seen;
mod subscriptions;

use std::{net::SocketAddr, sync::Arc};

use api::{jobs::ProverServer, openrpc, rpc::QuorateServer};
use jsonrpsee::{
    RpcModule,
    server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle},
};

pub(crate) use http::Health;
pub(crate) use public::PublicApi;

use crate::{config::RpcConfig, proving::RocksQueue, rpc::jobs::JobsApi};

/// Bytes of a request to the job interface: a proof in hex, and room for it.
const JOB_BODY_BYTES_MAX: u32 = 1 << 20;
/// Bytes of a response of the job interface: a chunk's witness in hex.
const JOB_RESPONSE_BYTES_MAX: u32 = 64 << 20;
/// Connections of workers.
const JOB_CONNECTIONS_MAX: u32 = 128;

/// A server that accepts requests.
pub(crate) struct Listening {
    pub(crate) handle: ServerHandle,
    pub(crate) address: SocketAddr,
}

/// All methods of the public interface.
pub(crate) fn public_module(api: PublicApi) -> RpcModule<PublicApi> {
    let mut module = api.into_rpc();
    module
        .register_method(openrpc::DISCOVER, |_, _, _| openrpc::document())
        .expect("no method of the trait has this name");
    module
}

/// Serves the public interface.
pub(crate) async fn serve_public(
    config: &RpcConfig,
    api: PublicApi,
    health: Health,
) -> std::io::Result<Listening> {
    let server_config = ServerConfig::builder()
        .max_request_body_size(config.body_bytes_max)
        .max_response_body_size(config.response_bytes_max)
        .max_connections(config.connections_max)
        .max_subscriptions_per_connection(config.subscriptions_max)
        .set_batch_request_config(BatchRequestConfig::Limit(config.batch_max))
        .set_message_buffer_capacity(config.notices_max)
        .enable_ws_ping(PingConfig::new())
        .build();
    let middleware = tower::ServiceBuilder::new().layer(http::HttpLayer::new(health));
    let server = Server::builder()
        .set_config(server_config)
        .set_http_middleware(middleware)
        .build(config.listen)
        .await?;
    let address = server.local_addr()?;
    Ok(Listening {
        handle: server.start(public_module(api)),
        address,
    })
}

/// Serves the proof jobs.
pub(crate) async fn serve_jobs(
    listen: SocketAddr,
    queue: Arc<RocksQueue>,
) -> std::io::Result<Listening> {
    let config = ServerConfig::builder()
        .max_request_body_size(JOB_BODY_BYTES_MAX)
        .max_response_body_size(JOB_RESPONSE_BYTES_MAX)
        .max_connections(JOB_CONNECTIONS_MAX)
        .max_subscriptions_per_connection(0)
        .set_batch_request_config(BatchRequestConfig::Disabled)
        .build();
    let server = Server::builder().set_config(config).build(listen).await?;
    let address = server.local_addr()?;
    Ok(Listening {
        handle: server.start(JobsApi::new(queue).into_rpc()),
        address,
    })
}

#[cfg(test)]
mod tests;
