//! Four processes in mode `available`, split in halves: each half tells its senders `soft`, neither decides, and one chain
//! goes on afterwards in which every soft payment is ordered, or failed as reverted.

use std::time::{Duration, Instant};

use api::error::ErrorCode;
use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use api::status::{FinalityMode, Stage, Tier, TransactionStatus};
use api::text::HashText;
use protocol::number::{Amount, Height, LeafIndex, Nonce};
use protocol::transaction::{Action, Domain, SignedTransaction, Transaction};

use crate::node::funded_key;
use crate::payer::CHAIN_ID;
use crate::set::{PATIENCE, Set};
use crate::{ACCOUNTS, FOUR};

/// Votes that are on their way may still decide one block.
const IN_FLIGHT: Duration = Duration::from_secs(1);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(100);

/// A payment by a funded leaf to the last one, with its first nonce.
fn payment(domain: &Domain, leaf: u32, amount: u128) -> SignedTransactionJson {
    let secret = funded_key(leaf - 1);
    let transaction = Transaction {
        from: LeafIndex(leaf),
        nonce: Nonce(0),
        valid_until: Height(1 << 40),
        fee: Amount::ZERO,
        action: Action::Transfer {
            to: LeafIndex(ACCOUNTS),
            amount: Amount::new(amount).expect("a small amount"),
        },
    };
    let message = transaction.message(domain, false);
    let signed = SignedTransaction {
        transaction,
        key: secret.public(),
        signature: secret.sign(&message),
    };
    SignedTransactionJson::new(CHAIN_ID, &signed)
}

async fn send(set: &Set, node: usize, domain: &Domain, leaf: u32, amount: u128) -> HashText {
    let signed = payment(domain, leaf, amount);
    let sent = set.client(node).send_transaction(signed).await;
    sent.expect("an acknowledgement")
}

async fn status(set: &Set, node: usize, id: &HashText) -> TransactionStatus {
    let status = set.client(node).transaction_status(id.clone()).await;
    status.expect("a status")
}

/// Waits until a node says something of an operation.
async fn until(
    set: &Set,
    node: usize,
    id: &HashText,
    is_it: impl Fn(&TransactionStatus) -> bool,
) -> TransactionStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        let status = status(set, node, id).await;
        if is_it(&status) {
            return status;
        }
        assert!(Instant::now() < until, "node {node} says {status:?}");
        tokio::time::sleep(POLL).await;
    }
}

/// Signed by all of a half.
fn is_soft(status: &TransactionStatus) -> bool {
    let tier = status.tiers.iter().find(|tier| tier.tier == Tier::Soft);
    status.stage == Stage::Soft && tier.is_some_and(|tier| tier.weight_signed == Some(2))
}

fn is_settled(status: &TransactionStatus) -> bool {
    matches!(status.stage, Stage::Certified | Stage::Failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_halves_have_a_soft_chain_each_and_one_final_chain_after_healing_slow() {
    let (mut set, links) = Set::start_available(FOUR, ACCOUNTS);
    set.advance(3).await;
    let domain = set.domain().await;
    links.split(&[0, 1]);
    tokio::time::sleep(IN_FLIGHT).await;
    let before = set.heights().await;
    // leaf 1 pays on both sides with one nonce: only one of the two can ever be final
    let left = send(&set, 0, &domain, 1, 10).await;
    let right = send(&set, 2, &domain, 1, 20).await;
    let only_left = send(&set, 1, &domain, 2, 30).await;
    let only_right = send(&set, 3, &domain, 3, 40).await;

    let halves = [
        ([0, 1], [&left, &only_left]),
        ([2, 3], [&right, &only_right]),
    ];
    for (nodes, ids) in &halves {
        for node in *nodes {
            for id in *ids {
                let soft = until(&set, node, id, is_soft).await;
                let sentence = soft.revertible_by;
                assert!(sentence.contains("signed by 2 of 4"), "{sentence}");
                assert!(sentence.contains("can be reverted"), "{sentence}");
            }
        }
    }
    for (node, id) in [(0, &right), (1, &only_right), (2, &left), (3, &only_left)] {
        let elsewhere = status(&set, node, id).await;
        assert_eq!(elsewhere.stage, Stage::UnknownHere, "node {node}");
    }
    let mut heads = Vec::new();
    for (node, base) in before.iter().enumerate() {
        let chain = set.client(node).soft_chain().await.expect("a chain");
        assert!(chain.is_active && chain.mode == FinalityMode::Available);
        assert_eq!((chain.base_height, chain.weight_total), (*base, 4));
        let head = chain
            .heads
            .iter()
            .find(|one| Some(&one.block) == chain.head.as_ref());
        let head = head.expect("a head");
        assert_eq!((head.operations, head.weight_rooted), (2, 2), "{chain:?}");
        heads.push(head.block.clone());
    }
    assert!(heads[0] == heads[1] && heads[2] == heads[3], "{heads:?}");
    assert_ne!(heads[0], heads[2], "two halves, two chains");
    // a new life learns its half's chain, and signs nothing that contradicts it: its weight would be gone
    set.kill(1);
    set.start_one(1);
    for (node, id) in [(1, &left), (1, &only_left), (0, &left)] {
        until(&set, node, id, is_soft).await;
    }
    let again = set.client(1).soft_chain().await.expect("a chain");
    assert_eq!(again.head.as_ref(), Some(&heads[0]), "{again:?}");
    assert_eq!(set.heights().await, before, "two of four have decided");
    set.compare().await;

    links.heal();
    set.advance(3).await;
    let mut reverted = Vec::new();
    for (nodes, ids) in &halves {
        for node in *nodes {
            for id in *ids {
                let settled = until(&set, node, id, is_settled).await;
                if let Some(failure) = &settled.failure {
                    let verdict = &failure.verdict;
                    assert_eq!(verdict.code, ErrorCode::Reverted.number(), "{verdict:?}");
                    reverted.push((node, (*id).clone()));
                }
            }
        }
    }
    // one of the pair, as both nodes say that had told it soft
    let lost = &reverted.first().expect("a contradiction").1;
    assert!(*lost == left || *lost == right);
    assert!(reverted.len() == 2 && reverted.iter().all(|(_, id)| id == lost));
    let won = if *lost == left { &right } else { &left };
    let last = set.highest().await;
    for node in 0..FOUR {
        for id in [won, &only_left, &only_right] {
            let settled = until(&set, node, id, is_settled).await;
            assert_eq!(settled.stage, Stage::Certified, "node {node}");
        }
        let paid = set.client(node).leaf(1).await.expect("a leaf");
        assert_eq!(paid.leaf.nonce, 1, "node {node}");
    }
    set.reach(last).await;
    set.stop_all();
    assert_eq!(set.evidence().len(), 0);
}
