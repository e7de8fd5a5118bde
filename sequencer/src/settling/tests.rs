//! Batches of a node's database on the real contracts, with a verifier that takes every proof: committed, proven, final,
//! through restarts, reorganisations and a base layer that is away. Proofs themselves are the matter of `tests` and `settlement`.

use alloy_primitives::U256;
use protocol::{account::L1Address, public_inputs::PublicInputs};
use settlement::{BlockPlan, Orphans, Reorg, bindings::Rollup, bindings::view};

use super::*;
use crate::{
    base_layer::tests::stage::{Fault, Stage, Wire, account},
    config::MempoolConfig,
    fixture::{Rig, genesis, sign, transfer, validator},
    storage::FinalProofRecord,
};

/// The development account that posts.
const POSTER: usize = 6;

/// A rig whose first batch is sealed and certified.
fn certified() -> Rig {
    let mut rig = Rig::new(MempoolConfig::default());
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    rig.block();
    rig.seal(1);
    rig.certify_batch(1, &[validator()]);
    rig
}

/// Stores a final proof of batch 1, whose bytes say nothing.
fn prove(rig: &Rig) {
    let store = &rig.shared().store;
    let record = store.batch(BatchNumber(1)).unwrap().unwrap();
    let ends = (&record.start, &record.end);
    let (domain, prover) = (rig.shared().chain.constants.domain, L1Address([9; 20]));
    let inputs = PublicInputs::new(domain, record.number, ends, &record.words, prover);
    let proof = FinalProofRecord {
        time_ms: 1,
        inputs,
        contract_bytes: vec![1; 400],
    };
    store.write_final_proof(&proof, None).unwrap();
}

/// The settling side of a node that has just started.
struct Side {
    settling: Arc<Settling>,
    config: BaseLayerConfig,
    follower: Option<Follower>,
    poster: Option<Poster<NodeSource>>,
}

impl Side {
    fn start(rig: &Rig, stage: &Stage, wire: &Arc<Wire>, is_posting: bool) -> Self {
        let (store, events) = (&rig.shared().store, rig.shared().events.clone());
        let layer = Arc::clone(wire) as Arc<dyn BaseLayer>;
        let mut config = BaseLayerConfig::new(layer, stage.deployment, 1);
        config.poster = is_posting.then(|| PosterConfig {
            fee_max_wei: 1_000_000_000_000,
            ..PosterConfig::new(account(POSTER))
        });
        let terms = config.poster.as_ref();
        Self {
            settling: Arc::new(Settling::load(Arc::clone(store), events).unwrap()),
            follower: None,
            poster: terms.map(|terms| poster(&config, terms, store).unwrap()),
            config,
        }
    }

    async fn try_step(&mut self) -> Result<(), StepError> {
        let Self {
            settling,
            config,
            follower,
            poster,
        } = self;
        step(settling, config, follower, poster).await
    }

    async fn step(&mut self) {
        self.try_step().await.unwrap();
    }

    fn standing(&self) -> Option<OnBaseLayer> {
        self.settling.standing(BatchNumber(1)).unwrap()
    }
}

async fn counts(stage: &Stage) -> (u64, u64) {
    let (head, rollup) = (stage.head().await.hash(), stage.deployment.rollup);
    let committed = view(&stage.chain, head, rollup, &Rollup::committedCountCall {});
    let committed = committed.await.unwrap();
    let proven = view(&stage.chain, head, rollup, &Rollup::provenCountCall {});
    (committed, proven.await.unwrap())
}

#[tokio::test]
async fn a_certified_batch_is_committed_and_after_its_proof_finalized() {
    let rig = certified();
    let stage = Stage::deployed(&genesis()).await;
    let wire = Wire::new(&stage.chain);
    let mut side = Side::start(&rig, &stage, &wire, true);
    let mut watcher = Side::start(&rig, &stage, &wire, false);
    side.step().await;
    assert_eq!(counts(&stage).await, (1, 0));
    side.step().await;
    let standing = side.standing().unwrap();
    assert_eq!((standing.proven, standing.final_proof()), (None, None));
    prove(&rig);
    side.step().await;
    assert_eq!(counts(&stage).await, (1, 1));
    watcher.step().await;
    let standing = watcher.standing().unwrap();
    assert!(standing.proven.is_some() && standing.final_proof().is_none());
    stage.finalize().await;
    side.step().await;
    let standing = side.standing().unwrap();
    assert!(standing.final_proof().is_some());
    // what is final is on disk
    let again = Side::start(&rig, &stage, &wire, false);
    assert_eq!(again.standing(), Some(standing));
    assert!(rig.shared().store.posting().unwrap().flights.is_empty());
}

#[tokio::test]
async fn a_proof_that_left_the_chain_is_posted_again_also_after_a_restart() {
    let rig = certified();
    let stage = Stage::deployed(&genesis()).await;
    let wire = Wire::new(&stage.chain);
    let mut side = Side::start(&rig, &stage, &wire, true);
    prove(&rig);
    side.step().await;
    side.step().await;
    assert_eq!(counts(&stage).await, (1, 1));
    stage
        .chain
        .reorg(&Reorg {
            depth: 2,
            blocks: vec![BlockPlan::Empty; 3],
            orphans: Orphans::Forget,
        })
        .unwrap();
    assert_eq!(counts(&stage).await, (0, 0));
    let mut side = Side::start(&rig, &stage, &wire, true);
    assert_eq!(side.standing(), None, "nothing was final");
    for _ in 0..4 {
        side.step().await;
    }
    assert_eq!(counts(&stage).await, (1, 1));
    let nonce = settlement::NonceAt::Block(stage.head().await.hash());
    let sent = stage.chain.nonce(account(POSTER).address(), nonce).await;
    // the same commit; the old proof names the time of the old commit and is refused, so a third transaction proves
    assert_eq!(sent.unwrap(), 3);
}

#[tokio::test]
async fn a_base_layer_that_is_away_delays_and_changes_nothing() {
    let rig = certified();
    let stage = Stage::deployed(&genesis()).await;
    let wire = Wire::new(&stage.chain);
    let mut side = Side::start(&rig, &stage, &wire, true);
    wire.set(Fault::Down);
    for _ in 0..3 {
        assert!(matches!(side.try_step().await, Err(StepError::Follower(_))));
    }
    wire.set(Fault::None);
    side.step().await;
    assert_eq!(counts(&stage).await, (1, 0));
    wire.set(Fault::Down);
    prove(&rig);
    assert!(side.try_step().await.is_err());
    wire.set(Fault::None);
    side.step().await;
    side.step().await;
    assert_eq!(counts(&stage).await, (1, 1));
    let head = stage.head().await.hash();
    let wei = stage.chain.balance(account(POSTER).address(), head).await;
    assert!(
        wei.unwrap() < U256::from(10).pow(U256::from(22)),
        "it has paid"
    );
}
