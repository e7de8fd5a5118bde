//! The submitter against the embedded chain: every intent happens once, whatever the network loses or undoes.
//!
//! "Once" is counted in logs of the canonical chain: each intent has call data of its own, which the contract logs.

use alloy_primitives::{U256, bytes};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::base_layer::LogFilter;
use crate::embedded::{BlockPlan, EmbeddedChain, EmbeddedConfig, Finality, Mining, Orphans, Reorg};

/// Blocks from the head to the finalized one.
const DEPTH: u64 = 6;
/// Random schedules.
const SCHEDULES: u64 = 100;
const GWEI: u128 = 1_000_000_000;

/// Creates a contract that logs its call data (see the follower's tests).
const LOGGER: Bytes = bytes!("66365f5f37365fa05f5260076019f3");

fn chain() -> EmbeddedChain {
    EmbeddedChain::start(EmbeddedConfig {
        mining: Mining::ByHand,
        finality: Finality::Depths {
            safe: DEPTH / 2,
            finalized: DEPTH,
        },
        ..EmbeddedConfig::default()
    })
}

fn signer() -> TransactionSigner {
    TransactionSigner::development(0).expect("there are ten")
}

fn resume(chain: &EmbeddedChain, flights: BTreeMap<FlightId, Flight>) -> Submitter {
    let config = SubmitterConfig {
        fee_max_wei: 500 * GWEI,
        patience_blocks: 2,
    };
    Submitter::resume(Arc::new(chain.clone()), signer(), config, flights)
}

/// A call of the logger with this number as call data. The logger is deployed by another account, once.
fn intent(number: u64) -> Intent {
    let deployer = TransactionSigner::development(1).expect("there are ten");
    Intent {
        to: Some(deployer.address().create(0)),
        input: Bytes::from(U256::from(number).to_be_bytes::<32>()),
        value: U256::ZERO,
        gas_limit: 100_000,
    }
}

/// A chain with the logger, deep enough to be final.
async fn chain_with_logger() -> EmbeddedChain {
    let chain = chain();
    let deployer = TransactionSigner::development(1).expect("there are ten");
    let raw = signed(&deployer, 0, TxKind::Create, LOGGER);
    chain.send(&raw).await.expect("taken");
    for _ in 0..=DEPTH {
        chain.mine(&BlockPlan::Pool);
    }
    chain
}

fn signed(by: &TransactionSigner, nonce: u64, to: TxKind, input: Bytes) -> Bytes {
    let signed = by.sign(TxEip1559 {
        chain_id: crate::signer::DEVELOPMENT_CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 100 * GWEI,
        max_priority_fee_per_gas: 50 * GWEI,
        to,
        input,
        ..TxEip1559::default()
    });
    signed.expect("a development chain").raw
}

/// The numbers that were logged on the canonical chain, in order.
async fn happened(chain: &EmbeddedChain) -> Vec<u64> {
    let head = chain.header(BlockAt::Latest).await.expect("answers");
    let mut numbers = Vec::new();
    for height in 0..=head.expect("a head").number {
        let header = chain
            .header(BlockAt::Number(height))
            .await
            .expect("answers");
        let hash = header.expect("canonical").hash();
        let logs = chain
            .logs(hash, &LogFilter::default())
            .await
            .expect("answers");
        numbers.extend(
            logs.iter()
                .map(|log| U256::from_be_slice(&log.inner.data.data).to::<u64>()),
        );
    }
    numbers
}

async fn advance(submitter: &mut Submitter) -> Vec<Progress> {
    submitter.advance().await.expect("the chain answers")
}

/// Mines and advances until nothing is on its way.
async fn land(chain: &EmbeddedChain, submitter: &mut Submitter) {
    for _ in 0..200 {
        if submitter.flights().is_empty() {
            return;
        }
        advance(submitter).await;
        chain.mine(&BlockPlan::Pool);
    }
    panic!("still on their way: {:?}", submitter.flights());
}

#[tokio::test]
async fn lost_transaction_is_sent_again_and_happens_once() {
    let chain = chain_with_logger().await;
    let mut submitter = resume(&chain, BTreeMap::new());
    let flight = submitter.submit(intent(7)).await.expect("taken");
    assert_eq!(advance(&mut submitter).await, []);
    chain.drop_pool();
    chain.mine(&BlockPlan::Pool);
    assert!(happened(&chain).await.is_empty());
    assert_eq!(advance(&mut submitter).await, []);
    chain.mine(&BlockPlan::Pool);
    let progress = advance(&mut submitter).await;
    assert!(
        matches!(progress.as_slice(), [Progress::Included { flight: f, receipt }]
            if *f == flight && receipt.succeeded),
        "{progress:?}"
    );
    assert_eq!(advance(&mut submitter).await, [], "said once");
    for _ in 0..DEPTH {
        chain.mine(&BlockPlan::Pool);
    }
    let progress = advance(&mut submitter).await;
    assert!(matches!(progress.as_slice(), [Progress::Final { .. }]));
    assert!(submitter.flights().is_empty());
    assert_eq!(happened(&chain).await, [7]);
}

#[tokio::test]
async fn waiting_transaction_pays_more_until_it_is_included() {
    let chain = chain_with_logger().await;
    let mut submitter = resume(&chain, BTreeMap::new());
    submitter.submit(intent(1)).await.expect("taken");
    let mut bumps = Vec::new();
    // Above what the first version pays, then above what the second does.
    for base_fee in [100, 100, 190, 190, 190_u64] {
        for progress in advance(&mut submitter).await {
            match progress {
                Progress::Bumped { fee_wei, .. } => bumps.push(fee_wei),
                other => panic!("expected higher fees, got {other:?}"),
            }
        }
        chain.set_base_fee(base_fee * 1_000_000_000);
        chain.mine(&BlockPlan::Pool);
    }
    assert_eq!(bumps.len(), 2);
    assert!(bumps.is_sorted() && bumps.last() >= Some(&(190 * GWEI)));
    land(&chain, &mut submitter).await;
    assert_eq!(happened(&chain).await, [1]);
}

#[tokio::test]
async fn fees_never_rise_above_the_limit() {
    let chain = chain_with_logger().await;
    let mut submitter = resume(&chain, BTreeMap::new());
    submitter.submit(intent(1)).await.expect("taken");
    let mut at_limit = false;
    for _ in 0..80 {
        let progress = advance(&mut submitter).await;
        at_limit |= progress
            .iter()
            .any(|p| matches!(p, Progress::AtFeeLimit { .. }));
        chain.set_base_fee(900_000_000_000);
        chain.mine(&BlockPlan::Pool);
    }
    assert!(at_limit);
    let flight = submitter.flights().values().next().expect("it waits");
    assert!(
        flight
            .versions
            .iter()
            .all(|version| version.fee_wei <= 500 * GWEI)
    );
    let refused = submitter.submit(intent(2)).await;
    assert!(matches!(refused, Err(SubmitterError::AboveFeeLimit { .. })));
    // The spike passes, and what waited is included.
    land(&chain, &mut submitter).await;
    assert_eq!(happened(&chain).await, [1]);
}

#[tokio::test]
async fn reorganised_transaction_is_sent_again() {
    let chain = chain_with_logger().await;
    let mut submitter = resume(&chain, BTreeMap::new());
    submitter.submit(intent(1)).await.expect("taken");
    advance(&mut submitter).await;
    chain.mine(&BlockPlan::Pool);
    assert_eq!(advance(&mut submitter).await.len(), 1, "included");
    let plan = Reorg {
        depth: 1,
        blocks: vec![BlockPlan::Empty],
        orphans: Orphans::Forget,
    };
    chain.reorg(&plan).expect("not final");
    let progress = advance(&mut submitter).await;
    assert_eq!(progress, [Progress::Reverted { flight: 0 }]);
    land(&chain, &mut submitter).await;
    assert_eq!(happened(&chain).await, [1]);
}

#[tokio::test]
async fn nonce_used_by_a_stranger_is_repaired_and_nothing_sticks() {
    let chain = chain_with_logger().await;
    let mut submitter = resume(&chain, BTreeMap::new());
    for number in 1..=3 {
        submitter.submit(intent(number)).await.expect("taken");
    }
    // Another program with the same key is faster with the first nonce.
    let stranger = signed(&signer(), 0, TxKind::Call(signer().address()), Bytes::new());
    chain.send(&stranger).await.expect("taken");
    chain.mine(&BlockPlan::Pool);
    let mut renumbered = Vec::new();
    for _ in 0..DEPTH + 4 {
        for progress in advance(&mut submitter).await {
            if let Progress::Renumbered { flight, nonce } = progress {
                renumbered.push((flight, nonce));
            }
        }
        chain.mine(&BlockPlan::Pool);
    }
    assert_eq!(
        renumbered,
        [(0, 3)],
        "only when the stranger's block was final"
    );
    land(&chain, &mut submitter).await;
    assert_eq!(happened(&chain).await, [2, 3, 1]);
}

#[tokio::test]
async fn crash_between_signing_and_sending_repeats_nothing() {
    let chain = chain_with_logger().await;
    let mut first = resume(&chain, BTreeMap::new());
    first.submit(intent(1)).await.expect("taken");
    let stored = first.flights().clone();
    advance(&mut first).await;
    chain.mine(&BlockPlan::Pool);
    // It has sent, and dies without storing that.
    let mut second = resume(&chain, stored);
    second.submit(intent(2)).await.expect("taken");
    land(&chain, &mut second).await;
    assert_eq!(happened(&chain).await, [1, 2]);
}

#[tokio::test]
async fn flights_are_limited() {
    let chain = chain_with_logger().await;
    let mut submitter = resume(&chain, BTreeMap::new());
    for number in 0..16 {
        submitter.submit(intent(number)).await.expect("taken");
    }
    let refused = submitter.submit(intent(16)).await;
    assert!(matches!(refused, Err(SubmitterError::Full)));
    land(&chain, &mut submitter).await;
    assert_eq!(happened(&chain).await.len(), 16);
}

/// Reorganisations, lost pools, fee spikes, strangers and restarts, in an order from the seed.
async fn schedule(seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let chain = chain_with_logger().await;
    let mut submitter = resume(&chain, BTreeMap::new());
    let mut submitted = 0;
    for _ in 0..30 {
        match rng.gen_range(0..8) {
            0 | 1 => {
                if submitter.submit(intent(submitted)).await.is_ok() {
                    submitted += 1;
                }
            }
            2 => chain.drop_pool(),
            3 => chain.set_base_fee(rng.gen_range(1..300_000_000_000)),
            4 => {
                let depth = rng.gen_range(1..=DEPTH);
                let plan = Reorg {
                    depth,
                    blocks: (0..rng.gen_range(0..depth + 2))
                        .map(|_| BlockPlan::Pool)
                        .collect(),
                    orphans: if rng.r#gen() {
                        Orphans::Return
                    } else {
                        Orphans::Forget
                    },
                };
                // A shorter branch may leave less than that above what is final.
                let _ = chain.reorg(&plan);
            }
            5 => submitter = resume(&chain, submitter.flights().clone()),
            6 if rng.gen_bool(0.3) => {
                let nonce = chain.nonce(signer().address(), NonceAt::Pending).await;
                let nonce = nonce.expect("answers");
                let to = TxKind::Call(signer().address());
                let _ = chain
                    .send(&signed(&signer(), nonce, to, Bytes::new()))
                    .await;
            }
            _ => {
                chain.mine(&BlockPlan::Pool);
            }
        }
        if rng.r#gen() {
            advance(&mut submitter).await;
        }
    }
    land(&chain, &mut submitter).await;
    let mut numbers = happened(&chain).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (0..submitted).collect::<Vec<_>>());
}

#[tokio::test]
async fn random_schedules_make_every_intent_happen_once() {
    for seed in 0..SCHEDULES {
        let done = tokio::spawn(schedule(seed)).await;
        assert!(done.is_ok(), "schedule of seed {seed} failed");
    }
}
