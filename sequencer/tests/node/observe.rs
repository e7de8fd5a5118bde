//! What operators and developers see of the set: status, validators, inclusion delay, metrics.

use std::time::Duration;

use api::{
    rpc::QuorateClient,
    set::SetWeights,
    status::{FinalityMode, NodeRole, Stage, Tier},
};

use crate::{
    bad_input::http,
    setup::{sign, start, transfer, validator_number, wait_for},
};

const FAST: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn status_names_mode_role_weights_and_the_round_of_the_next_height() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), FAST).await;
    let mut status = client.status().await.unwrap();
    for _ in 0..600 {
        if status.height >= 3 && status.round.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        status = client.status().await.unwrap();
    }
    assert_eq!(status.finality, FinalityMode::Halt);
    assert_eq!(
        (status.role, status.observes_until),
        (NodeRole::Validator, None)
    );
    assert_eq!((status.weight_faulty_max, status.weight_quorum), (0, 1));
    assert_eq!((status.round, status.peers), (Some(0), 0));
    assert!(status.since_block_ms < 60_000, "{status:?}");
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_shows_who_proposed_who_signed_and_how_long_a_payment_waited() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), FAST).await;
    let id = client.send_transaction(sign(transfer(1, 2, 0, 5))).await;
    let status = wait_for(&client, &id.unwrap(), Stage::Certified).await;
    // its batch may be certified by now, too
    let [pending, certified, ..] = status.tiers.as_slice() else {
        panic!("{status:?}");
    };
    assert_eq!((pending.tier, pending.weights), (Tier::Pending, None));
    let weights = SetWeights {
        total: 1,
        faulty_max: 0,
        quorum: 1,
    };
    assert_eq!(
        (certified.tier, certified.weights),
        (Tier::Certified, Some(weights))
    );
    assert_eq!(certified.weight_signed, Some(1));
    assert_eq!(certified.since_received_ms, certified.since_previous_ms);
    assert!(certified.time_ms >= pending.time_ms && certified.since_received_ms < 30_000);
    let newest = status.tiers.last().unwrap();
    assert_eq!(status.revertible_by, newest.revertible_by);
    assert!(certified.revertible_by.contains("1 of 1"), "{status:?}");
    assert!(status.revertible_by.contains("1 of 1"), "{status:?}");

    let address = validator_number(0).address();
    let set = client.validators().await.unwrap();
    let [seat] = set.validators.as_slice() else {
        panic!("{set:?}");
    };
    assert_eq!(set.weights, weights);
    assert_eq!(set.next_proposer, address.into());
    assert_eq!((&seat.address, seat.weight), (&address.into(), 1));
    assert_eq!(seat.share_millionths, 1_000_000);
    assert!(seat.is_this_node && seat.is_next_proposer);
    assert!(seat.last_signed_height >= set.first_height && seat.last_signed_height.is_some());
    assert!(seat.blocks > 0 && seat.rounds_lost == 0);
    let delay = seat.delay;
    assert_eq!((delay.entries, delay.left_out), (1, 0));
    assert!(delay.heights.max <= 2, "{delay:?}");
    assert!(delay.milliseconds.max < 30_000 && delay.milliseconds.p50 <= delay.milliseconds.max);

    let inclusion = client.inclusion().await.unwrap();
    assert!(inclusion.builders.is_empty());
    let [author] = inclusion.proposers.as_slice() else {
        panic!("{inclusion:?}");
    };
    assert_eq!((&author.address, author.delay), (&seat.address, seat.delay));
    assert!(inclusion.last_height >= inclusion.first_height);
    let bids = client.bids().await.unwrap();
    assert!(bids.bids.is_empty() && !bids.may_take_bids);

    let (_, metrics) = http(node.rpc_address(), "GET", "/metrics", b"").await;
    for name in ["entries", "milliseconds"] {
        let line = format!("sequencer_inclusion_{name}_total{{proposer=\"{address}\"}}");
        assert!(metrics.contains(&line), "{line} is missing in {metrics}");
    }
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_seen_or_has_failed_says_so_in_one_sentence() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), Duration::from_secs(3_600)).await;
    let unseen = client.transaction_status(api::text::HashText::from([9; 32]));
    let unseen = unseen.await.unwrap();
    assert!(unseen.tiers.is_empty() && unseen.revertible_by.contains("not seen here"));
    // the first block waits for an hour
    let first = sign(transfer(1, 2, 0, 5));
    let id = client.send_transaction(first).await.unwrap();
    let pending = client.transaction_status(id.clone()).await.unwrap();
    assert_eq!(pending.tiers.len(), 1);
    assert!(pending.revertible_by.contains("replaced"), "{pending:?}");
    let mut dearer = transfer(1, 2, 0, 6);
    dearer.fee = protocol::number::Amount::new(5).unwrap();
    client.send_transaction(sign(dearer)).await.unwrap();
    let replaced = client.transaction_status(id).await.unwrap();
    assert_eq!((replaced.stage, replaced.tiers.len()), (Stage::Failed, 1));
    assert!(replaced.revertible_by.contains("sign the operation again"));
    node.stop().await.unwrap();
}
