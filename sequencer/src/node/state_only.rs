//! A node on a database that holds a rebuilt state and no chain: it answers reads and follows the base layer.
//!
//! Invariant: no engine, no gossip and no mempool run, and nothing is signed, so it cannot contradict a chain that goes on
//! elsewhere. What it does not do: become a node of that chain; that begins with another database.

use std::sync::Arc;

use api::status::NodeRole;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Node, NodeError, Opened, listen_error, spawn_servers};
use crate::{
    base_layer::{FinalPart, run_base_layer},
    builder::Exchange,
    chain::now_ms,
    config::NodeConfig,
    executor::Executor,
    rpc::{Health, PublicApi, serve_jobs, serve_public},
    settling::{Settling, run_settling},
    soft::{Soft, SoftRules},
    storage::RebuiltRecord,
};

impl Opened {
    /// Serves the state of the database.
    pub(super) async fn serve_state(
        self,
        config: NodeConfig,
        rebuilt: RebuiltRecord,
    ) -> Result<Node, NodeError> {
        let Self {
            shared,
            queue,
            decided,
            guard,
            ..
        } = self;
        let (health, cancelled) = (Health::default(), CancellationToken::new());
        let (tip_sender, heights) = watch::channel(rebuilt.height);
        let decided = (decided, Arc::clone(&config.sets));
        let mut components = JoinSet::new();
        let mut executor = Executor::new(shared.clone(), decided, tip_sender);
        let mut settling = None;
        if let Some(mut layer) = config.base_layer.clone() {
            layer.poster = None; // there is nothing to post
            let part = Arc::new(FinalPart::load(Arc::clone(&shared.store), &layer)?);
            executor = executor.on_base_layer(Some(Arc::clone(&part)));
            let (following, token) = (layer.clone(), cancelled.clone());
            components.spawn(async move {
                let result = run_base_layer(part, following, token).await;
                ("base layer", result.map_err(NodeError::from))
            });
            let batches = Settling::load(Arc::clone(&shared.store), shared.events.clone())?;
            let (batches, token) = (Arc::new(batches), cancelled.clone());
            settling = Some(Arc::clone(&batches));
            components.spawn(async move {
                let result = run_settling(batches, layer, token).await;
                ("settlement", result.map_err(NodeError::from))
            });
        }
        let standing = &executor.observed.standing;
        standing.take_role(NodeRole::Follower, None);
        let executor = Arc::new(executor);
        let (exchange, _) = Exchange::new(Arc::clone(&executor));
        let soft = Soft::new(executor, None, SoftRules::new(&config));
        let parts = (Arc::clone(&queue), Arc::new(exchange), Arc::new(soft));
        // nobody reads requests: they are refused before
        let (requests, _) = mpsc::channel(1);
        let api = PublicApi::new(&config, shared.clone(), parts, requests)
            .settling(settling)
            .reading(rebuilt);
        let public = serve_public(&config.rpc, api, health.clone())
            .await
            .map_err(listen_error("JSON-RPC", config.rpc.listen))?;
        let jobs = serve_jobs(config.jobs.listen, Arc::clone(&queue))
            .await
            .map_err(listen_error("proof jobs", config.jobs.listen))?;
        spawn_servers(&mut components, [&public.handle, &jobs.handle], &cancelled);
        health.set_ready(true);
        let batch = rebuilt.batch.0;
        tracing::info!(rpc = %public.address, batch, time_ms = now_ms(), "serving a rebuilt state; nothing is ordered here");
        let nowhere = |mut address: std::net::SocketAddr| {
            address.set_port(0);
            address
        };
        Ok(Node {
            components,
            cancelled,
            servers: [public.handle, jobs.handle],
            health,
            rpc_address: public.address,
            jobs_address: jobs.address,
            engine_address: nowhere(config.network.engine_listen),
            gossip_address: nowhere(config.network.gossip_listen),
            heights,
            queue,
            store: Arc::downgrade(&shared.store),
            guard: Arc::downgrade(&guard),
        })
    }
}
