//! Preconfirmations over the RPC: asked, signed, kept.

use std::time::Duration;

use api::{rpc::QuorateClient, status::Stage};
use protocol::{
    number::Height,
    preconfirmation::{Preconfirmation, SignedPreconfirmation},
    transaction::TransactionId,
    validator::ValidatorSignature,
};

use crate::setup::{genesis, sign, start, transfer, validator_number, wait_for};

/// Long enough to ask twice between two blocks.
const SLOW: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_promise_over_the_rpc_is_signed_and_kept() {
    let dir = tempfile::TempDir::new().unwrap();
    let (node, client) = start(dir.path(), SLOW).await;
    // the second block follows the first at once, because genesis is old; from there on there is time between two
    let mut heights = node.heights();
    heights
        .wait_for(|height| *height >= Height(2))
        .await
        .unwrap();

    let unknown = client.preconfirm([7; 32].into()).await.unwrap_err();
    assert!(
        unknown.to_string().contains("not preconfirmed"),
        "{unknown}"
    );

    let first = client.send_transaction(sign(transfer(1, 2, 0, 10)));
    let first = first.await.unwrap();
    let second = client.send_transaction(sign(transfer(2, 1, 0, 10)));
    let second = second.await.unwrap();
    let promise = client.preconfirm(second.clone()).await.unwrap();
    let validator = validator_number(0).address();
    assert_eq!(promise.proposer, validator.into());
    let worth = format!("preconfirmed by {validator}, can be broken; it then loses its stake");
    assert_eq!(promise.tier, worth);
    let signed = SignedPreconfirmation {
        preconfirmation: Preconfirmation {
            height: Height(promise.height),
            place: promise.place,
            transaction: TransactionId(promise.id.parse().unwrap()),
        },
        proposer: validator,
        signature: ValidatorSignature(promise.signature.parse().unwrap().try_into().unwrap()),
    };
    assert!(signed.is_authentic(&genesis().domain()));

    wait_for(&client, &second, Stage::Certified).await;
    wait_for(&client, &first, Stage::Certified).await;
    let block = client.block(Some(promise.height)).await.unwrap();
    let entry = serde_json::to_string(&block.entries[0]).unwrap();
    assert!(entry.contains(&second.0), "{entry}");
    node.stop().await.unwrap();
}
