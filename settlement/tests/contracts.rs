//! The real contracts on the embedded chain, driven through `bindings` and `deploy` with batches that `protocol` made.
//!
//! The verifier is a stand-in that accepts exactly one batch's public inputs, as `protocol` computes them, so a contract that
//! passes on anything else is noticed; it says nothing of proofs. `contracts/settled.rs` has the real verifier and a real proof.

#[path = "contracts/batch.rs"]
mod batch;
#[path = "contracts/exodus.rs"]
mod exodus;
#[path = "contracts/finality.rs"]
mod finality;
#[path = "contracts/model.rs"]
mod model;
#[path = "contracts/outsider.rs"]
mod outsider;
#[path = "contracts/posting.rs"]
mod posting;
#[path = "contracts/rebuilding.rs"]
mod rebuilding;
#[path = "contracts/refused.rs"]
mod refused;
#[path = "contracts/rough.rs"]
mod rough;
#[path = "contracts/settled.rs"]
mod settled;
#[path = "contracts/stage.rs"]
mod stage;

use alloy_primitives::{B256, U256};
use protocol::codec::field_to_be_bytes;
use protocol::handover::Handover;
use protocol::validator::ValidatorKey;
use settlement::bindings::{
    Bridge, CommittedBatch, EnqueuedItem, Events, Inbox, Rollup, ValidatorRegistry, event,
    hand_over, integer, registration_digest,
};
use settlement::deploy::{check_deployment, deploy};
use settlement::{BaseLayer, BlockPlan, NonceAt, Orphans, Reorg};

use batch::prover;
use stage::{Stage, account, pace};

#[tokio::test]
async fn everything_is_deployed_once_and_found_again() {
    let stage = Stage::deployed().await;
    let made = stage.plan.deployment();
    let head = stage.head().await;
    let deployer = account(0).address();
    let nonce = stage.chain.nonce(deployer, NonceAt::Block(head)).await;
    let nonce = nonce.expect("it answers");
    let again = deploy(&stage.chain, &account(0), &stage.plan, &pace()).await;
    assert_eq!(again.expect("all is there"), *made);
    let after = stage.chain.nonce(deployer, NonceAt::Pending).await;
    assert_eq!(after.expect("it answers"), nonce, "nothing was sent");

    let genesis = &stage.batch.world.genesis;
    let domain = Rollup::domainOfCall { circuitVersion: 1 };
    let domain = stage.view(made.rollup, &domain).await;
    assert_eq!(domain, integer(&stage.batch.world.domain.0));
    let root = stage.view(made.rollup, &Rollup::provenRootCall {}).await;
    assert_eq!(root, integer(&genesis.state().root()));
    let epochs = ValidatorRegistry::epochsCall { epoch: 0 };
    let first = stage.view(made.validators, &epochs).await;
    assert_eq!(first.setHash, B256::from(genesis.validators.hash()));
    let escrow = stage
        .view(made.bridge, &Bridge::escrowCall { token: 0 })
        .await;
    assert_eq!(escrow, stage.batch.genesis_wei());
}

#[tokio::test]
async fn an_interrupted_deployment_goes_on_where_it_stopped() {
    let stage = Stage::deployed().await;
    // takes the last transactions off, as a crash of the deployer would leave it
    let plan = Reorg {
        depth: 4,
        blocks: vec![BlockPlan::Empty],
        orphans: Orphans::Forget,
    };
    stage.chain.reorg(&plan).expect("not final");
    let head = stage.head().await;
    let half = check_deployment(&stage.chain, &stage.plan, head).await;
    assert!(half.is_err(), "{half:?}");
    let whole = deploy(&stage.chain, &account(0), &stage.plan, &pace()).await;
    assert_eq!(whole.expect("it goes on"), *stage.plan.deployment());
}

#[tokio::test]
async fn a_batch_is_committed_proven_and_its_withdrawals_are_paid() {
    let stage = Stage::deployed().await;
    let made = *stage.plan.deployment();
    let batch = &stage.batch;

    // items enter as the batch consumes them, and the rolling hash is the protocol's
    let receipts = stage.enqueue_items().await;
    let mut rolling = B256::ZERO;
    for (receipt, item) in receipts.iter().zip(&batch.items) {
        let logs = stage.events::<Events::ItemEnqueued>(receipt).await;
        let entered = EnqueuedItem::read(&logs[0]).expect("five words");
        assert_eq!(entered.item, item.to_item());
        rolling = entered.rolling_hash(rolling);
    }
    let at_two = Inbox::rollingAtCall { number: 2 };
    assert_eq!(stage.view(made.inbox, &at_two).await, rolling);

    // the event of the commit holds the inputs that the circuits prove
    let committed = stage.commit().await;
    assert!(committed.succeeded, "commit");
    let logs = stage.events::<Events::BatchCommitted>(&committed).await;
    let read = CommittedBatch::read(logs[0].clone()).expect("whole words");
    assert_eq!(
        read.public_inputs(prover()).expect("canonical"),
        batch.inputs
    );
    assert_eq!(read.words, batch.finished.words);
    assert_eq!(read.stored, stage.stored(&committed).await);
    let root = field_to_be_bytes(&batch.finished.end.root);
    let root = U256::from_be_bytes(root);
    assert_eq!(
        stage.view(made.rollup, &Rollup::committedRootCall {}).await,
        root
    );
    assert_eq!(
        stage.view(made.rollup, &Rollup::provenCountCall {}).await,
        0
    );

    // proven by the one proof that the verifier takes
    let proven = stage.prove(&committed).await;
    assert!(proven.succeeded, "prove");
    assert_eq!(
        stage.view(made.rollup, &Rollup::provenCountCall {}).await,
        1
    );
    assert_eq!(
        stage.view(made.rollup, &Rollup::provenRootCall {}).await,
        root
    );
    let counters = stage
        .view(made.rollup, &Rollup::provenCountersCall {})
        .await;
    assert_eq!(counters, integer(&batch.finished.end.counters()));
    let earned = Bridge::feeCreditCall { prover: prover() };
    assert!(
        !stage.view(made.bridge, &earned).await.is_zero(),
        "item fees"
    );

    // each withdrawal is paid once
    let mut claimed = None;
    for index in 0..2 {
        let claim = batch.claim(index);
        let owner = settlement::bindings::address(claim.withdrawal.owner);
        let before = stage.balance(owner).await;
        let receipt = stage
            .transact(4, made.bridge, U256::ZERO, &claim.input)
            .await;
        assert!(receipt.succeeded, "claim {index}");
        let paid = stage.balance(owner).await - before;
        assert_eq!(paid, U256::from(claim.withdrawal.amount.get()));
        assert!(!paid.is_zero());
        let again = stage
            .transact(4, made.bridge, U256::ZERO, &claim.input)
            .await;
        assert!(!again.succeeded, "claim {index} again");
        claimed = Some(receipt);
    }
    let claimed = claimed.expect("two claims");

    // what this costs here: the stand-in's proof is empty, the verifier's gas is on top
    let measured = [
        ("deposit", receipts[0].gas_used, 150_525),
        ("forced exit", receipts[1].gas_used, 106_521),
        ("commit", committed.gas_used, 200_345),
        ("prove", proven.gas_used, 124_031),
        ("claim", claimed.gas_used, 81_594),
    ];
    for (name, gas, expected) in measured {
        let limit = expected / 100;
        assert!(
            gas.abs_diff(expected) <= limit,
            "{name}: {gas}, expected {expected}: {measured:?}"
        );
    }
}

#[tokio::test]
async fn a_reorganisation_takes_commit_and_proof_back_and_they_work_again() {
    let stage = Stage::deployed().await;
    let made = *stage.plan.deployment();
    stage.enqueue_items().await;
    let committed = stage.commit().await;
    let proven = stage.prove(&committed).await;
    assert!(committed.succeeded && proven.succeeded);
    let counts = async || {
        let committed = stage
            .view(made.rollup, &Rollup::committedCountCall {})
            .await;
        let proven = stage.view(made.rollup, &Rollup::provenCountCall {}).await;
        (committed, proven)
    };
    assert_eq!(counts().await, (1, 1));

    // another branch without them, one block longer
    let plan = Reorg {
        depth: 2,
        blocks: vec![BlockPlan::Empty; 3],
        orphans: Orphans::Forget,
    };
    stage.chain.reorg(&plan).expect("not final");
    assert_eq!(counts().await, (0, 0));
    let root = stage.view(made.rollup, &Rollup::provenRootCall {}).await;
    assert_eq!(root, integer(&stage.batch.finished.start.root));

    let again = stage.commit().await;
    assert!(again.succeeded, "the same commit");
    assert_ne!(again.block, committed.block);
    // the time of the commit is stored, so the stored fields come from the new event
    let proven = stage.prove(&again).await;
    assert!(proven.succeeded, "the same proof");
    assert_eq!(counts().await, (1, 1));
}

#[tokio::test]
async fn a_validator_registers_with_its_signature() {
    let stage = Stage::deployed().await;
    let registry = stage.plan.deployment().validators;
    let key = ValidatorKey::from_bytes(&[9; 32]).expect("a key");
    let staker = account(5).address();
    let digest = registration_digest(stage.chain.chain_id(), registry, staker, key.address());
    let validator = settlement::bindings::address(key.address());
    let call = ValidatorRegistry::registrationDigestCall { staker, validator };
    assert_eq!(stage.view(registry, &call).await, digest);

    let call = ValidatorRegistry::registerCall {
        validator,
        proof: key.sign(&digest.0).0.to_vec().into(),
    };
    let stake = U256::from(32_000_000_000_u64) * U256::from(1_000_000_000_u64);
    let stranger = stage.call(6, registry, stake, &call).await;
    assert!(!stranger.succeeded, "the signature names the staker");
    let receipt = stage.call(5, registry, stake, &call).await;
    assert!(receipt.succeeded);
    let logs = stage.events::<Events::StakeChanged>(&receipt).await;
    assert_eq!(
        (logs[0].validator, logs[0].stakeGwei),
        (validator, 32_000_000_000)
    );
}

#[tokio::test]
async fn a_handover_names_the_next_set() {
    let stage = Stage::deployed().await;
    let registry = stage.plan.deployment().validators;
    let world = &stage.batch.world;
    let certificate = world.certificate.as_ref().expect("a block was decided");
    let handover = Handover {
        core: stage.batch.block.header.core.clone(),
        bid: stage.batch.block.header.bid,
        certificate: certificate.to_commit(),
        next: world.genesis.validators.clone(),
    };
    let input = hand_over(&handover, &world.genesis.validators).expect("all have seats");
    let receipt = stage.transact(4, registry, U256::ZERO, &input).await;
    assert!(receipt.succeeded);
    let logs = stage.events::<Events::SetNamed>(&receipt).await;
    let named = (logs[0].epoch, logs[0].setHash);
    assert_eq!(named, (1, B256::from(handover.next.hash())));
    // one precommit too few
    let mut few = handover;
    few.certificate.signatures.0.truncate(2);
    let input = hand_over(&few, &world.genesis.validators).expect("all have seats");
    assert!(
        !stage
            .transact(4, registry, U256::ZERO, &input)
            .await
            .succeeded
    );
}

#[tokio::test]
async fn logs_of_others_are_no_events_of_ours() {
    let stage = Stage::deployed().await;
    let receipts = stage.enqueue_items().await;
    let logs = stage.logs(&receipts[0]).await;
    let read = |log| event::<Events::BatchCommitted>(log).expect("well formed");
    assert!(logs.iter().all(|log| read(log).is_none()));
    let items = logs.iter().map(event::<Events::ItemEnqueued>);
    assert_eq!(items.filter(|read| matches!(read, Ok(Some(_)))).count(), 1);
}
