//! The walkaway: no validator signs any more, and an outsider serves the inbox from what the base layer holds.
//!
//! The verifier takes the inputs of exactly the batch that must come out; `quorate outsider` makes its proof.

use alloy_primitives::{Bytes, U256};
use protocol::number::{Height, LeafIndex};
use protocol::state::LeafView;
use settlement::BlockPlan;
use settlement::bindings::{Bridge, EnqueuedItem, Rollup, claim, integer};
use settlement::deploy::{DeploymentFile, VerifierCode};
use settlement::outsider::{OutsiderBatch, inbox_batch};
use settlement::rebuild::{RebuiltChain, rebuild};

use crate::batch::{Batch, account, prover};
use crate::stage::{Stage, stand_in};

/// The development account of the outsider.
const OUTSIDER: usize = 8;
/// More than half a day without a batch.
const TWO_DAYS: u64 = 2 * 24 * 3_600;

/// What an outsider would make of genesis and the batch's items.
fn expected(batch: &Batch) -> OutsiderBatch {
    let items = (0..).zip(&batch.items).map(|(number, item)| EnqueuedItem {
        number,
        owner: item.owner,
        item: item.to_item(),
        time: 0,
        fee_wei: U256::ZERO,
    });
    let chain = RebuiltChain {
        state: batch.world.genesis.state(),
        height: Height(0),
        inbox_count: 0,
        batches: 0,
        operations: 0,
        published_bytes: 0,
        waiting: items.collect(),
        block: 0,
    };
    let made = inbox_batch(&chain, batch.world.domain).expect("items are provable");
    made.expect("two wait")
}

#[tokio::test]
async fn when_every_operator_is_gone_an_outsider_executes_what_was_forced() {
    let stage = Stage::with_verifier(|batch| {
        VerifierCode::Runtime(stand_in(&expected(batch).public_inputs(prover())))
    })
    .await;
    let made = *stage.plan.deployment();
    stage.enqueue_items().await;
    // nobody commits anything for two days
    stage.chain.advance_time(TWO_DAYS);
    stage.chain.mine(&BlockPlan::Empty);
    let opened = stage.call(
        OUTSIDER,
        made.rollup,
        U256::ZERO,
        &Rollup::triggerEnforcedCall {},
    );
    assert!(opened.await.succeeded, "what waits has waited too long");

    let file = DeploymentFile::new(31_337, 1, &made);
    let genesis = &stage.batch.world.genesis;
    let chain = rebuild(&stage.chain, &file, genesis, stage.head().await).await;
    let chain = chain.expect("genesis and two items");
    let batch = inbox_batch(&chain, genesis.domain()).expect("items are provable");
    let batch = batch.expect("two wait");
    assert_eq!(batch.words, expected(&stage.batch).words);
    let input = batch.commit_and_prove(prover(), &Bytes::new());
    let settled = stage
        .transact(OUTSIDER, made.rollup, U256::ZERO, &input)
        .await;
    assert!(settled.succeeded, "without a signature of anybody");
    let root = stage.view(made.rollup, &Rollup::provenRootCall {}).await;
    assert_eq!(root, integer(&batch.end.root));
    assert_eq!(
        stage.view(made.rollup, &Rollup::modeCall {}).await,
        0,
        "nothing waits any more"
    );

    // the forced exit is paid, and the state can be rebuilt from what the outsider published
    let owner = account(2).address();
    let before = stage.balance(owner).await;
    let paid = claim(batch.number, 0, &batch.words.withdrawals).expect("the exit");
    let receipt = stage
        .transact(OUTSIDER, made.bridge, U256::ZERO, &paid.input)
        .await;
    assert!(receipt.succeeded);
    let wei = U256::from(paid.withdrawal.amount.get());
    assert_eq!(stage.balance(owner).await - before, wei);
    let again = rebuild(&stage.chain, &file, genesis, stage.head().await).await;
    let again = again.expect("one batch");
    assert_eq!((again.batches, again.waiting.len()), (1, 0));
    let left = again.state.leaf(LeafIndex(3)).expect("the leaf that left");
    assert_eq!(left.balance.get(), 0);
    assert!(
        inbox_batch(&again, genesis.domain())
            .expect("nothing")
            .is_none()
    );
    let earned = Bridge::feeCreditCall { prover: prover() };
    assert!(
        !stage.view(made.bridge, &earned).await.is_zero(),
        "who serves is paid"
    );
}

#[tokio::test]
async fn while_operators_serve_an_outsiders_batch_is_refused() {
    let stage = Stage::with_verifier(|batch| {
        VerifierCode::Runtime(stand_in(&expected(batch).public_inputs(prover())))
    })
    .await;
    stage.enqueue_items().await;
    let batch = expected(&stage.batch);
    let input = batch.commit_and_prove(prover(), &Bytes::new());
    let rollup = stage.plan.deployment().rollup;
    let receipt = stage.transact(OUTSIDER, rollup, U256::ZERO, &input).await;
    assert!(!receipt.succeeded);
}
