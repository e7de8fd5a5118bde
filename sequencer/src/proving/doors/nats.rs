//! What only the way over NATS can get wrong: a server that vanishes, comes back empty or is no JetStream, a node that is
//! away, several nodes on one server, and whatever a stranger may publish there.

use std::collections::BTreeSet;

use api::jobs::nats::{
    LEASE_SUBJECT, PART_BYTES, RESULTS, ResultMessage, STATUS_SUBJECT, fail_subject,
    heartbeat_subject, result_subject, witness_subject,
};
use protocol::hash::keccak256;

use super::*;

/// Longest wait for what takes a second or two when nothing else runs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries again and again until `attempt` gives something.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut attempt: impl FnMut() -> F) -> T {
    let from = tokio::time::Instant::now();
    loop {
        if let Some(done) = attempt().await {
            return done;
        }
        assert!(from.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(BEAT).await;
    }
}

/// Leases through failures.
async fn lease_in_the_end(queue: &NatsQueue, name: &str) -> Lease {
    until("a lease", || async {
        queue.lease(&info(name)).await.ok().flatten()
    })
    .await
}

/// Submits through failures, as the worker's loop does.
async fn submit_in_the_end(queue: &NatsQueue, lease: &Lease) -> Submitted {
    until("a verdict", || async {
        let proof = proof_for(lease);
        queue.submit(lease.job, lease.token, proof).await.ok()
    })
    .await
}

async fn is_done(queue: &Arc<RocksQueue>, jobs: u64) -> Option<()> {
    (queue.status().await.unwrap().done == jobs).then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanishes_and_returns_costs_nobody_anything() {
    let rig = sealed(1, LONG);
    let mut door = Nats::open(&rig.queue).await;
    let queue = door.worker().await;
    let held = lease(&queue, "one").await;
    door.server.kill();
    let lost = until("a failed request", || async { queue.status().await.err() }).await;
    assert_eq!(lost.code, ErrorCode::Unavailable);
    assert_eq!(rig.queue.status().await.unwrap().leased.len(), 1);
    door.server.start_again();
    let left = until("a heartbeat", || async {
        queue
            .heartbeat(held.job, held.token, "commit", 9)
            .await
            .ok()
    })
    .await;
    assert_eq!(Duration::from_millis(left), LONG);
    assert_eq!(submit_in_the_end(&queue, &held).await, Submitted::Accepted);
    let data = lease_in_the_end(&queue, "one").await;
    assert_eq!(submit_in_the_end(&queue, &data).await, Submitted::Accepted);
    assert_eq!(rig.queue.proven_up_to(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_lost_its_store_gets_what_is_missing_again() {
    let rig = sealed(2, SHORT);
    let mut door = Nats::open(&rig.queue).await;
    let queue = door.worker().await;
    let held = lease(&queue, "one").await;
    door.server.start_empty();
    // its result is stored in a stream that has to be made again
    let submitted = submit_in_the_end(&queue, &held).await;
    assert!(matches!(
        submitted,
        Submitted::Accepted | Submitted::Duplicate
    ));
    let next = lease_in_the_end(&queue, "one").await;
    assert_ne!(next.job, held.job);
    // once more, with a job whose witness lay there
    door.server.start_empty();
    let again = until("the same job", || async {
        let leased = queue.lease(&info("two")).await.ok().flatten()?;
        (leased.job == next.job).then_some(leased)
    })
    .await;
    assert_eq!(again.witness, next.witness);
    let from = tokio::time::Instant::now();
    while rig.queue.proven_up_to() < 2 {
        if let Ok(Some(leased)) = queue.lease(&info("three")).await {
            let submitted = submit_in_the_end(&queue, &leased).await;
            assert!(matches!(
                submitted,
                Submitted::Accepted | Submitted::Duplicate
            ));
        }
        assert!(from.elapsed() < PATIENCE, "no job may be lost");
        tokio::time::sleep(BEAT).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_waits_for_a_node_that_is_away_and_needs_no_worker_then() {
    let rig = sealed(1, LONG);
    let door = Nats::open(&rig.queue).await;
    let queue = door.worker().await.with_verdict_timeout(2 * BEAT);
    let held = lease(&queue, "one").await;
    door.node.cancel();
    until("a node that is gone", || async {
        queue.status().await.err()
    })
    .await;
    let kept = queue.submit(held.job, held.token, proof_for(&held)).await;
    assert_eq!(kept, Ok(Submitted::Kept));
    let bogus = queue.submit(held.job, held.token, vec![1; 32]).await;
    assert_eq!(bogus, Ok(Submitted::Kept));
    drop(queue);
    assert_eq!(rig.queue.status().await.unwrap().done, 0);
    let back = node_behind(&door.server, &rig.queue, 1);
    until("an accepted result", || is_done(&rig.queue, 1)).await;
    // what was judged is gone from the server
    let context = async_nats::jetstream::new(async_nats::connect(&door.server.url).await.unwrap());
    until("an empty stream", || async {
        let stream = context.get_stream(RESULTS).await.ok()?;
        (stream.cached_info().state.messages == 0).then_some(())
    })
    .await;
    back.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_messages_are_answered_or_ignored_and_stop_nobody() {
    let rig = sealed(1, LONG);
    let door = Nats::open(&rig.queue).await;
    let queue = door.worker().await;
    let client = async_nats::connect(&door.server.url).await.unwrap();
    let context = async_nats::jetstream::new(client.clone());
    let node = hex::encode([1; 20]);
    let held = lease(&queue, "one").await;
    let honest = ResultMessage {
        job: held.job.0,
        token: held.token,
        proof: vec![7; 500],
    }
    .encode();
    let rubbish = [
        Vec::new(),
        b"{}".to_vec(),
        vec![0xff; 900_000],
        br#"{"name":"x","memory_mb":-1,"kinds":[]}"#.to_vec(),
        honest[..honest.len() - 1].to_vec(),
        [&honest[..], b"x"].concat(),
    ];
    for bytes in &rubbish {
        for subject in [
            LEASE_SUBJECT.to_owned(),
            heartbeat_subject(&node),
            fail_subject(&node),
        ] {
            let answer = client.request(subject.clone(), bytes.clone().into()).await;
            let answer = String::from_utf8_lossy(&answer.unwrap().payload).into_owned();
            assert!(answer.contains("refused"), "{subject}: {answer}");
            client.publish(subject, bytes.clone().into()).await.unwrap(); // nobody to answer
        }
        let _ = client.publish(STATUS_SUBJECT, bytes.clone().into()).await;
        // a stream refuses what is too long for it
        let stored = context
            .publish(result_subject(&node), bytes.clone().into())
            .await;
        let stored = stored.unwrap().await;
        assert_eq!(
            stored.is_ok(),
            bytes.len() < 70_000,
            "{} bytes",
            bytes.len()
        );
    }
    // the lease, the queue and the results behind the rubbish are as they were
    assert!(
        queue
            .heartbeat(held.job, held.token, "commit", 3)
            .await
            .is_ok()
    );
    assert_eq!(worker_status(&queue, "one").await.strikes, 0);
    assert_eq!(submit_in_the_end(&queue, &held).await, Submitted::Accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_or_missing_part_of_a_witness_is_noticed_and_put_right() {
    let rig = sealed(1, LONG);
    let door = Nats::open(&rig.queue).await;
    let queue = door.worker().await;
    let held = lease(&queue, "one").await;
    queue
        .fail(held.job, held.token, "to be leased again")
        .await
        .unwrap();
    let context = async_nats::jetstream::new(async_nats::connect(&door.server.url).await.unwrap());
    let subject = witness_subject(&keccak256(&held.witness), 0);
    let mut forged = held.witness.clone();
    forged[0] ^= 1;
    for bytes in [forged, held.witness[1..].to_vec(), vec![0; PART_BYTES]] {
        // the first lease after a job was given back has all parts put there again: forge behind it
        let honest = lease_in_the_end(&queue, "one").await;
        assert_eq!((honest.job, &honest.witness), (held.job, &held.witness));
        let given_back = rig.queue.fail(honest.job, honest.token, "in this process");
        given_back.await.unwrap();
        let stored = context
            .publish(subject.clone(), bytes.into())
            .await
            .unwrap();
        stored.await.unwrap();
        let refused = queue.lease(&info("one")).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unavailable, "{refused}");
        assert!(
            rig.queue.status().await.unwrap().leased.is_empty(),
            "given back at once"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_witness_travels_in_parts() {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let mut rig = Rig::open(dir, MempoolConfig::default(), JobsConfig::default()).unwrap();
    for nonce in 0..200 {
        rig.send_one(sign(transfer(1, 2, nonce, 1, 0))).unwrap();
        if nonce % 50 == 49 {
            rig.block();
        }
    }
    let _batcher = rig.batcher();
    let door = Nats::open(&rig.queue).await;
    let queue = door.worker().await;
    let held = lease(&queue, "one").await;
    assert!(
        held.witness.len() > 2 * PART_BYTES,
        "{} bytes",
        held.witness.len()
    );
    let submitted = queue.submit(held.job, held.token, proof_for(&held)).await;
    assert_eq!(submitted, Ok(Submitted::Accepted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_jetstream_holds_no_lease() {
    let rig = sealed(1, LONG);
    let server = NatsServer::start_with(&[]);
    let node = node_behind(&server, &rig.queue, 1);
    let queue = worker_of(&server).await;
    let refused = queue.lease(&info("one")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(refused.reason.contains("no witness over NATS"), "{refused}");
    assert!(rig.queue.status().await.unwrap().leased.is_empty());
    assert!(
        NatsConfig::new(&server.url, None)
            .unwrap()
            .look()
            .await
            .is_err()
    );
    node.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_finds_what_a_server_lacks() {
    let server = NatsServer::start();
    let config = NatsConfig::new(&server.url, None).unwrap();
    let seen = config.look().await.unwrap();
    assert!(seen.version.starts_with("2."), "{seen:?}");
    assert!(seen.payload_bytes_max >= 1 << 20);
    drop(server);
    assert_eq!(
        config.look().await.unwrap_err().code,
        ErrorCode::Unavailable
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_one_server_share_its_workers() {
    let (first, second) = (sealed(1, LONG), sealed(1, LONG));
    let server = NatsServer::start();
    let nodes = [
        node_behind(&server, &first.queue, 1),
        node_behind(&server, &second.queue, 2),
    ];
    let queue = worker_of(&server).await;
    let mut batches = BTreeSet::new();
    let from = tokio::time::Instant::now();
    while is_done(&first.queue, 2).await.is_none() || is_done(&second.queue, 2).await.is_none() {
        if let Ok(Some(leased)) = queue.lease(&info("one")).await {
            assert!(
                queue
                    .heartbeat(leased.job, leased.token, "commit", 1)
                    .await
                    .is_ok()
            );
            assert_eq!(
                submit_in_the_end(&queue, &leased).await,
                Submitted::Accepted
            );
            batches.insert(leased.batch);
        }
        assert!(from.elapsed() < PATIENCE, "a node is never asked");
        tokio::time::sleep(BEAT / 10).await;
    }
    assert_eq!(batches.len(), 1, "both nodes have the same batch");
    nodes.iter().for_each(CancellationToken::cancel);
}
