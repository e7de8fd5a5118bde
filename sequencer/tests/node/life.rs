//! From a request to a bundle, and across restarts.

use std::time::Duration;

use api::{
    ErrorCode,
    jobs::{JobKind, JobQueue, RemoteQueue, Submitted, WorkerInfo},
    ledger::BatchStage,
    operation::SimulationMember,
    rpc::QuorateClient,
    status::{Notice, Stage, Tier, Topic},
    text::HashText,
};
use jsonrpsee::ws_client::WsClientBuilder;
use protocol::{
    block::BlockHeader,
    certificate::CommitCertificate,
    codec::from_bytes,
    number::{Round, TokenId},
    validator::ValidatorSignature,
};
use verifier::bundle::Bundle;

use crate::setup::{genesis, key, owner, proof_for, sign, start, transfer, wait_for};

const NEVER: Duration = Duration::from_secs(3_600);
const FAST: Duration = Duration::from_millis(50);

/// Proves everything the node asks for, until nothing is left.
async fn work(queue: &RemoteQueue) -> usize {
    let worker = WorkerInfo {
        name: "worker-1".into(),
        memory_mb: 16_384,
        kinds: JobKind::ALL.to_vec(),
    };
    let mut done = 0;
    while let Some(lease) = queue.lease(&worker).await.unwrap() {
        assert!(
            queue
                .heartbeat(lease.job, lease.token, "proving", 50)
                .await
                .unwrap()
                > 0
        );
        let proof = proof_for(&lease);
        let wrong = queue.submit(lease.job, 0, vec![1, 2, 3]).await.unwrap();
        assert_eq!(wrong, Submitted::Rejected);
        let result = queue
            .submit(lease.job, lease.token, proof.clone())
            .await
            .unwrap();
        assert_eq!(result, Submitted::Accepted);
        let again = queue.submit(lease.job, lease.token, proof).await.unwrap();
        assert_eq!(again, Submitted::Duplicate);
        done += 1;
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_climbs_from_request_to_bundle_and_stays_there() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), FAST).await;
    let socket = WsClientBuilder::default()
        .build(format!("ws://{}", node.rpc_address()))
        .await
        .unwrap();
    let payment = transfer(1, 2, 0, 500);
    let simulated = client
        .simulate(vec![SimulationMember {
            transaction: (&payment).into(),
            key: key(1).public().into(),
        }])
        .await
        .unwrap();
    assert!(simulated.is_valid, "{simulated:?}");
    assert_eq!(
        simulated.members[0].message,
        payment.message(&genesis().domain(), false).into()
    );

    let id = client.send_transaction(sign(payment)).await.unwrap();
    let mut notices = socket
        .follow(Topic::Transaction { id: id.clone() })
        .await
        .unwrap();
    let status = wait_for(&client, &id, Stage::Certified).await;
    assert_eq!(status.reached.len(), 2);
    assert!(!status.revertible_by.is_empty());

    // The certificate of the block verifies under the genesis validators.
    let api::status::Evidence::Certificate { height, .. } = status.reached[1].evidence else {
        panic!("{status:?}")
    };
    let block = client.block(Some(height)).await.unwrap();
    let header: BlockHeader = from_bytes(&block.header.parse().unwrap()).unwrap();
    assert_eq!(HashText::from(header.id()), block.id);
    let signatures = block.certificate.signatures.iter();
    let certificate = CommitCertificate {
        height: header.core.height,
        round: Round(block.certificate.round),
        block: header.id(),
        signatures: signatures
            .map(|one| {
                let signature = one.signature.parse().unwrap().try_into().unwrap();
                (
                    one.validator.parse().unwrap(),
                    ValidatorSignature(signature),
                )
            })
            .collect(),
    };
    assert_eq!(
        certificate.verify(&genesis().domain(), &genesis().validators),
        Ok(())
    );
    let proof = client.leaf(2).await.unwrap();
    assert_eq!(proof.verify().unwrap().balance.get(), 1_000_500);

    // The batch seals by age; then every job is proven over the job port.
    let queue = RemoteQueue::new(&format!("http://{}", node.jobs_address())).unwrap();
    for _ in 0..300 {
        if client.status().await.unwrap().batch_sealed == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let not_ready = client.bundle(1).await.unwrap_err();
    assert!(not_ready.to_string().contains("-32130"), "{not_ready}");
    assert_eq!(
        work(&queue).await,
        5,
        "a chunk, the data, a join of one, a close, a finish"
    );
    let status = wait_for(&client, &id, Stage::Proven).await;
    assert_eq!(status.reached.len(), 3);
    let tiers: Vec<_> = status.tiers.iter().map(|tier| tier.tier).collect();
    let all = [
        Tier::Pending,
        Tier::Certified,
        Tier::BatchCertified,
        Tier::Proven,
    ];
    assert_eq!(tiers, all, "the validator signs the batch when it seals");
    let checkpoint = &status.tiers[2];
    assert_eq!(checkpoint.weight_signed, Some(1));
    assert!(checkpoint.since_received_ms >= checkpoint.since_previous_ms);
    assert!(status.tiers.is_sorted_by_key(|tier| tier.since_received_ms));
    assert_eq!(status.revertible_by, status.tiers[3].revertible_by);
    let batch = client.batch(Some(1)).await.unwrap();
    assert_eq!(
        (batch.stage, batch.signed_operations),
        (BatchStage::Proven, 1)
    );
    assert!(batch.opened_ms <= batch.sealed_ms && batch.sealed_ms <= batch.proven_ms);
    assert!(batch.final_proof_ms.is_some() && batch.proven_ms <= batch.final_proof_ms);
    let kinds: Vec<_> = batch.jobs.iter().map(|job| job.kind).collect();
    assert_eq!(kinds, JobKind::ALL);
    let bytes = client.bundle(1).await.unwrap().bytes.parse().unwrap();
    let bundle = Bundle::decode(&bytes).unwrap();
    assert_eq!(bundle.start.root, genesis().state().root());

    let mut stages = Vec::new();
    while let Ok(Some(Ok(Notice::Transaction { status }))) =
        tokio::time::timeout(Duration::from_secs(2), notices.next()).await
    {
        stages.push(status.stage);
        if status.stage == Stage::Proven {
            break;
        }
    }
    assert!(
        stages.is_sorted() && stages.ends_with(&[Stage::Proven]),
        "{stages:?}"
    );
    drop(socket);
    node.stop().await.unwrap();

    let (node, client) = start(dir.path(), FAST).await;
    assert_eq!(
        client.transaction_status(id.clone()).await.unwrap().stage,
        Stage::Proven
    );
    let history = client.transactions_of_leaf(2, None, None).await.unwrap();
    assert_eq!(
        history
            .entries
            .iter()
            .map(|entry| &entry.id)
            .collect::<Vec<_>>(),
        vec![&id]
    );
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_operations_wait_through_a_restart() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), NEVER).await;
    let mut ids = Vec::new();
    for nonce in 0..20 {
        ids.push(
            client
                .send_transaction(sign(transfer(1, 2, nonce, 1)))
                .await
                .unwrap(),
        );
    }
    assert_eq!(client.leaf(1).await.unwrap().leaf.pending_nonce, 20);
    let started = std::time::Instant::now();
    node.stop().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    let (node, client) = start(dir.path(), FAST).await;
    for id in &ids {
        wait_for(&client, id, Stage::Certified).await;
    }
    assert_eq!(client.leaf(2).await.unwrap().leaf.balance.0, "1000020");
    let unseen = client
        .transaction_status(HashText::from([9; 32]))
        .await
        .unwrap();
    assert_eq!(unseen.stage, Stage::UnknownHere);
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_resolve_and_pages_follow_their_cursor() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), FAST).await;
    let address = |number: u8| (key(number).public().into(), owner(number).into());
    let (point, l1_owner) = address(2);
    assert_eq!(
        client.resolve_leaf(point, l1_owner, 0).await.unwrap().index,
        2
    );
    let (point, l1_owner) = address(3);
    let error = client
        .resolve_leaf(point, l1_owner, TokenId(0).0)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&ErrorCode::UnknownLeaf.number().to_string())
    );

    // Two more leaves for the same owner.
    for nonce in 0..2 {
        let action = protocol::transaction::Action::TransferToNew {
            key: key(2).public().into(),
            l1_owner: owner(2),
            amount: protocol::number::Amount::new(5).unwrap(),
        };
        let transaction = protocol::transaction::Transaction {
            action,
            ..transfer(1, 0, nonce, 0)
        };
        let id = client.send_transaction(sign(transaction)).await.unwrap();
        wait_for(&client, &id, Stage::Certified).await;
    }
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let (point, l1_owner) = address(2);
        let page = client
            .leaves_of_owner(point, l1_owner, cursor, Some(1))
            .await
            .unwrap();
        found.extend(page.entries.iter().map(|leaf| leaf.index));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, vec![2, 4, 5]);
    node.stop().await.unwrap();
}
