//! What the contracts refuse, by the name of the error.

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use protocol::checkpoint::BatchCommitment;
use protocol::number::{BatchNumber, Epoch};
use protocol::validator::{Validator, ValidatorSet};
use settlement::BaseLayerError;
use settlement::bindings::{
    BindingError, Bridge, Reverts::RevertsErrors, Rollup, claim, commit_batch, prove_batch, revert,
};

use crate::batch::prover;
use crate::stage::Stage;

/// The contract's error for a call, which must not succeed.
pub(crate) async fn refusal(stage: &Stage, to: Address, input: &Bytes) -> RevertsErrors {
    match stage.ask(to, input).await {
        Err(BaseLayerError::Reverted { data }) => revert(&data).expect("an error of ours"),
        other => panic!("it must revert: {other:?}"),
    }
}

/// The error for a commitment that its validators signed although it is changed.
async fn refusal_of_signed(
    stage: &Stage,
    change: impl FnOnce(&mut BatchCommitment),
) -> RevertsErrors {
    let batch = &stage.batch;
    let mut commitment = batch.commitment.clone();
    change(&mut commitment);
    let checkpoint = batch.sign(&commitment, 3);
    let set = &batch.world.genesis.validators;
    let input = commit_batch(&checkpoint, &batch.finished.words, set).expect("all have seats");
    refusal(stage, stage.plan.deployment().rollup, &input).await
}

#[tokio::test]
async fn a_commit_that_is_wrong_is_refused_by_name() {
    let stage = Stage::deployed().await;
    stage.enqueue_items().await;
    let rollup = stage.plan.deployment().rollup;
    let batch = &stage.batch;
    let set = &batch.world.genesis.validators;
    // what is changed below is right
    assert!(stage.ask(rollup, &stage.commit_input()).await.is_ok());

    let few = batch.sign(&batch.commitment, 2);
    let few = commit_batch(&few, &batch.finished.words, set).expect("all have seats");
    let refused = refusal(&stage, rollup, &few).await;
    assert!(
        matches!(&refused, RevertsErrors::NoQuorum(error) if error.signed.to::<u64>() == 2),
        "{refused:?}"
    );

    let mut flipped = Rollup::commitBatchCall::abi_decode(&stage.commit_input()).expect("ours");
    let mut ops = flipped.words.ops.to_vec();
    ops[40] ^= 1;
    flipped.words.ops = ops.into();
    let refused = refusal(&stage, rollup, &flipped.abi_encode().into()).await;
    assert!(
        matches!(&refused, RevertsErrors::WrongSignature(_)),
        "{refused:?}"
    );

    let refused = refusal_of_signed(&stage, |one| one.root_before = one.root_after).await;
    assert!(
        matches!(&refused, RevertsErrors::WrongStart(_)),
        "{refused:?}"
    );

    let refused = refusal_of_signed(&stage, |one| one.epoch = Epoch(1)).await;
    assert!(
        matches!(&refused, RevertsErrors::WrongEpoch(error) if error.epoch == 1),
        "{refused:?}"
    );

    let refused = refusal_of_signed(&stage, |one| one.batch_number = BatchNumber(2)).await;
    assert!(
        matches!(&refused, RevertsErrors::WrongBatchNumber(_)),
        "{refused:?}"
    );

    let refused = refusal_of_signed(&stage, |one| one.circuit_version = 2).await;
    assert!(
        matches!(&refused, RevertsErrors::WrongSignature(_)),
        "another domain: {refused:?}"
    );

    // the same seats with another weight are another set
    let heavier = set
        .validators()
        .iter()
        .map(|seat| Validator { weight: 2, ..*seat });
    let heavier = ValidatorSet::new(heavier.collect()).expect("a set");
    let checkpoint = batch.sign(&batch.commitment, 3);
    let input = commit_batch(&checkpoint, &batch.finished.words, &heavier).expect("seats");
    let refused = refusal(&stage, rollup, &input).await;
    assert!(
        matches!(&refused, RevertsErrors::WrongSet(_)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_item_that_is_not_in_the_inbox_is_refused() {
    let stage = Stage::deployed().await;
    let rollup = stage.plan.deployment().rollup;
    let input = stage.commit_input();
    // nothing was enqueued: the Inbox has no such rolling hash
    let refused = refusal(&stage, rollup, &input).await;
    assert!(
        matches!(&refused, RevertsErrors::InboxMismatch(_)),
        "{refused:?}"
    );
    stage.enqueue_items().await;
    assert!(stage.ask(rollup, &input).await.is_ok());
}

#[tokio::test]
async fn only_the_proven_inputs_are_taken() {
    let stage = Stage::deployed().await;
    let rollup = stage.plan.deployment().rollup;
    stage.enqueue_items().await;
    let committed = stage.commit().await;
    let stored = stage.stored(&committed).await;
    let none = Bytes::new();
    let other = prove_batch(&stored, Address::repeat_byte(0x78), &none);
    let refused = refusal(&stage, rollup, &other).await;
    assert!(
        matches!(&refused, RevertsErrors::ProofRefused(_)),
        "{refused:?}"
    );
    let mut changed = stored.clone();
    changed.rootAfter = changed.rootBefore;
    let refused = refusal(&stage, rollup, &prove_batch(&changed, prover(), &none)).await;
    assert!(
        matches!(&refused, RevertsErrors::UnknownBatch(_)),
        "{refused:?}"
    );
    let right = prove_batch(&stored, prover(), &none);
    assert!(stage.ask(rollup, &right).await.is_ok());
}

#[tokio::test]
async fn a_withdrawal_is_claimed_once_and_only_when_proven() {
    let stage = Stage::deployed().await;
    let bridge = stage.plan.deployment().bridge;
    stage.enqueue_items().await;
    let committed = stage.commit().await;
    let good = stage.batch.claim(0).input;
    let early = refusal(&stage, bridge, &good).await;
    assert!(matches!(&early, RevertsErrors::NotProven(_)), "{early:?}");
    assert!(stage.prove(&committed).await.succeeded);

    let mut moved = Bridge::claimCall::abi_decode(&good).expect("ours");
    moved.path[0] = B256::repeat_byte(1);
    let refused = refusal(&stage, bridge, &moved.abi_encode().into()).await;
    assert!(
        matches!(&refused, RevertsErrors::WrongPath(_)),
        "{refused:?}"
    );

    let paid = stage
        .transact(4, bridge, alloy_primitives::U256::ZERO, &good)
        .await;
    assert!(paid.succeeded);
    let again = refusal(&stage, bridge, &good).await;
    assert!(
        matches!(&again, RevertsErrors::AlreadyClaimed(_)),
        "{again:?}"
    );
}

#[tokio::test]
async fn bindings_refuse_what_the_contract_would() {
    let stage = Stage::deployed().await;
    let batch = &stage.batch;
    let set = &batch.world.genesis.validators;
    let checkpoint = batch.sign(&batch.commitment, 3);
    let mut words = batch.finished.words.clone();
    words.ops[0].0[30] ^= 1;
    let refused = commit_batch(&checkpoint, &words, set);
    assert!(matches!(
        refused,
        Err(BindingError::OtherWords("operation"))
    ));

    let words = &batch.finished.words;
    let alone = ValidatorSet::of_one(set.validators()[0].address);
    let refused = commit_batch(&checkpoint, words, &alone);
    assert!(matches!(refused, Err(BindingError::Stranger(_))));
    let mut twice = checkpoint;
    twice.signatures.0[1] = twice.signatures.0[0];
    let refused = commit_batch(&twice, words, set);
    assert!(matches!(refused, Err(BindingError::Order(_))));

    let missing = claim(BatchNumber(1), 2, &words.withdrawals);
    let is_named = matches!(
        missing,
        Err(BindingError::NoWithdrawal { batch: 1, index: 2 })
    );
    assert!(is_named, "{missing:?}");
}
