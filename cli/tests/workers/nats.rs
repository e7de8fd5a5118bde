//! A real batch over NATS: a worker is killed while it proves, and the server comes back empty while the next one does.

use crate::node::{Chain, Node, Process};
use crate::server::NatsServer;
use crate::{
    BatchStage, JobKind, LEASE_MS, PATIENCE, PROVEN_MAX, Worker, is_at_work, job, pay, wait_for,
};

/// A node that serves its jobs there, too.
fn start(chain: &Chain, server: &NatsServer) -> Node {
    let mut command = chain.command();
    command.args(["--nats", &server.url]);
    let served = Process::spawn(&mut command, chain.path("log")).serving();
    served
        .unwrap_or_else(|| panic!("no start: {}", chain.log()))
        .0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_proven_over_nats_through_a_killed_worker_and_a_lost_store_slow() {
    let mut server = NatsServer::start();
    let chain = Chain::new(1, &[("lease_ms", LEASE_MS)]);
    let node = start(&chain, &server);
    let client = node.client();
    pay(&client).await;
    let is_sealed = |batch: &api::ledger::BatchJson| batch.stage == BatchStage::Sealed;
    wait_for(&client, "sealed", PATIENCE, is_sealed).await;
    let worker = |name| Worker::spawn(name, ["--nats", &server.url], &[]);
    let killed = worker("one");
    wait_for(&client, "at work", PROVEN_MAX, |batch| {
        is_at_work(&job(batch, JobKind::Chunk), &["one"])
    })
    .await;
    killed.kill();
    let next = worker("two");
    wait_for(&client, "taken over", PROVEN_MAX, |batch| {
        is_at_work(&job(batch, JobKind::Chunk), &["two"])
    })
    .await;
    server.start_empty();
    let proven = wait_for(&client, "proven", PROVEN_MAX, |batch| {
        batch.stage == BatchStage::Proven
    })
    .await;
    let chunk = job(&proven, JobKind::Chunk);
    assert_eq!((chunk.worker.as_deref(), chunk.attempts), (Some("two"), 2));
    let report = next.stop();
    assert_eq!(
        (&report["accepted"], &report["failed"]),
        (&2.into(), &0.into())
    );
    node.stop();
}
