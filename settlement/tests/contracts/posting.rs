//! The poster on the real contracts: it commits and proves what its source has, once, through restarts, reorganisations and
//! strangers who are faster; the ladder says the same as the contracts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use alloy_primitives::{Bytes, U256};
use protocol::handover::Handover;
use protocol::validator::ValidatorSet;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use settlement::bindings::Rollup;
use settlement::{
    BaseLayer, BatchSource, BlockAt, BlockMark, BlockPlan, CertifiedBatch, Duty, FinalProof,
    Follower, Ladder, LadderStep, LogFilter, NonceAt, Orphans, Posted, PostedFlights, Poster,
    Reorg, SettledBatch, SourceError, SubmitterConfig,
};

use crate::batch::{account, prover};
use crate::stage::Stage;

/// The development account that posts.
const POSTER: usize = 5;

/// What there is to post, and what was saved.
#[derive(Clone)]
struct Source {
    certified: Option<CertifiedBatch>,
    proof: Option<FinalProof>,
    saved: Arc<Mutex<PostedFlights>>,
}

impl BatchSource for Source {
    fn certified(&self, batch: u64) -> Result<Option<CertifiedBatch>, SourceError> {
        Ok(self.certified.clone().filter(|_| batch == 1))
    }

    fn final_proof(&self, batch: u64) -> Result<Option<FinalProof>, SourceError> {
        Ok(self.proof.clone().filter(|_| batch == 1))
    }

    fn handover(&self, _: u64) -> Result<Option<(Handover, ValidatorSet)>, SourceError> {
        Ok(None)
    }

    fn save(&self, flights: &PostedFlights) -> Result<(), SourceError> {
        // through text and back, as a store would
        let text = serde_json::to_string(flights).expect("it has a JSON form");
        let back: PostedFlights = serde_json::from_str(&text).expect("and comes back");
        assert_eq!(&back, flights);
        *self.saved.lock().expect("no panic") = back;
        Ok(())
    }
}

/// A node's posting side.
struct Node {
    follower: Follower,
    ladder: Ladder,
    poster: Poster<Source>,
    /// What became final, as a store has it.
    stored: BTreeMap<u64, SettledBatch>,
}

impl Node {
    async fn start(stage: &Stage, source: Source) -> Self {
        let layer: Arc<dyn BaseLayer> = Arc::new(stage.chain.clone());
        let genesis = stage.chain.header(BlockAt::Finalized).await;
        let mark = BlockMark::from(&genesis.expect("answers").expect("genesis"));
        let deployment = *stage.plan.deployment();
        let filter = LogFilter {
            addresses: vec![deployment.rollup],
            ..LogFilter::default()
        };
        let config = SubmitterConfig {
            fee_max_wei: 1_000_000_000_000,
            patience_blocks: 3,
        };
        let saved = source.saved.lock().expect("no panic").clone();
        let key = account(POSTER);
        Self {
            follower: Follower::new(Arc::clone(&layer), filter, mark, []),
            ladder: Ladder::new(BTreeMap::new(), 0),
            poster: Poster::resume(layer, deployment, (key, config), source, saved),
            stored: BTreeMap::new(),
        }
    }

    /// Follows to the head, then posts.
    async fn step(&mut self) -> Vec<Posted> {
        while let Some(event) = self.follower.next().await.expect("it answers") {
            let step = self.ladder.take(&event).expect("the Rollup's events");
            if let LadderStep::Final { batches, .. } = step {
                for (number, batch) in batches {
                    match batch {
                        Some(batch) => {
                            let bytes = batch.to_bytes();
                            assert_eq!(SettledBatch::from_bytes(&bytes).expect("ours"), batch);
                            self.stored.insert(number, batch)
                        }
                        None => self.stored.remove(&number),
                    };
                }
            }
        }
        let top = self.follower.top().hash;
        let done = self.poster.step(top, &self.ladder).await;
        done.expect("the chain answers")
    }
}

fn source(stage: &Stage) -> Source {
    let batch = &stage.batch;
    Source {
        certified: Some(CertifiedBatch {
            checkpoint: batch.sign(&batch.commitment, 3),
            words: batch.finished.words.clone(),
            set: batch.world.genesis.validators.clone(),
        }),
        proof: Some(FinalProof {
            prover: prover(),
            proof: Bytes::new(),
        }),
        saved: Arc::default(),
    }
}

async fn counts(stage: &Stage) -> (u64, u64) {
    let rollup = stage.plan.deployment().rollup;
    let committed = stage.view(rollup, &Rollup::committedCountCall {}).await;
    (
        committed,
        stage.view(rollup, &Rollup::provenCountCall {}).await,
    )
}

/// Transactions that the poster's account has had included.
async fn sent(stage: &Stage) -> u64 {
    let head = stage.head().await;
    let nonce = stage
        .chain
        .nonce(account(POSTER).address(), NonceAt::Block(head));
    nonce.await.expect("it answers")
}

fn begun(done: &[Posted]) -> Vec<Duty> {
    let begun = done.iter().filter_map(|one| match one {
        Posted::Begun(duty) => Some(*duty),
        _ => None,
    });
    begun.collect()
}

#[tokio::test]
async fn a_batch_is_committed_proven_and_final_with_two_transactions() {
    let stage = Stage::deployed().await;
    stage.enqueue_items().await;
    let mut node = Node::start(&stage, source(&stage)).await;
    assert_eq!(begun(&node.step().await), [Duty::Commit(1)]);
    assert_eq!(counts(&stage).await, (1, 0));
    assert_eq!(begun(&node.step().await), [Duty::Prove(1)]);
    assert_eq!(counts(&stage).await, (1, 1));
    assert_eq!(begun(&node.step().await), []);
    assert!(node.stored.is_empty(), "nothing is final yet");
    for _ in 0..70 {
        stage.chain.mine(&BlockPlan::Pool);
    }
    node.step().await;
    let (place, by) = node.stored[&1].proven.expect("it is proven");
    assert_eq!(by, prover());
    let header = stage.chain.header(BlockAt::Number(place.number)).await;
    assert_eq!(
        header.expect("answers").expect("a block").hash(),
        place.block
    );
    assert_eq!(sent(&stage).await, 2);
    let saved = node.poster_saved();
    assert!(saved.flights.is_empty() && saved.duties.is_empty());
}

impl Node {
    fn poster_saved(&self) -> PostedFlights {
        self.poster.source().saved.lock().expect("no panic").clone()
    }
}

#[tokio::test]
async fn a_restart_between_sending_and_inclusion_sends_nothing_twice() {
    let stage = Stage::deployed().await;
    stage.enqueue_items().await;
    let source = source(&stage);
    for _ in 0..4 {
        // every step is that of a process that has just started
        let mut node = Node::start(&stage, source.clone()).await;
        node.step().await;
    }
    assert_eq!(counts(&stage).await, (1, 1));
    assert_eq!(sent(&stage).await, 2);
}

#[tokio::test]
async fn what_a_stranger_posted_is_not_posted_again() {
    let stage = Stage::deployed().await;
    stage.enqueue_items().await;
    let committed = stage.commit().await;
    let mut node = Node::start(&stage, source(&stage)).await;
    assert_eq!(begun(&node.step().await), [Duty::Prove(1)]);
    assert!(committed.succeeded);
    assert_eq!(counts(&stage).await, (1, 1));
    assert_eq!(sent(&stage).await, 1);
}

#[tokio::test]
async fn a_batch_that_the_contracts_refuse_is_named_and_costs_nothing() {
    let stage = Stage::deployed().await;
    // its inbox items were never enqueued
    let mut node = Node::start(&stage, source(&stage)).await;
    let done = node.step().await;
    assert!(
        matches!(&done[..], [Posted::Refused(Duty::Commit(1), reason)] if reason.contains("Inbox")),
        "{done:?}"
    );
    assert_eq!(sent(&stage).await, 0);
    stage.enqueue_items().await;
    assert_eq!(begun(&node.step().await), [Duty::Commit(1)]);
}

#[tokio::test]
async fn reorganisations_of_any_depth_take_back_and_bring_back() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let stage = Stage::deployed().await;
        stage.enqueue_items().await;
        // what comes before is not the matter here: it stays
        for _ in 0..64 {
            stage.chain.mine(&BlockPlan::Empty);
        }
        let source = source(&stage);
        let mut node = Node::start(&stage, source.clone()).await;
        for _ in 0..rng.gen_range(4..12) {
            if rng.gen_bool(0.3) {
                node = Node::start(&stage, source.clone()).await;
            }
            node.step().await;
            let depth = rng.gen_range(1..=8);
            let orphans = if rng.gen_bool(0.5) {
                Orphans::Forget
            } else {
                Orphans::Return
            };
            let blocks = (0..rng.gen_range(0..10))
                .map(|_| BlockPlan::Empty)
                .collect();
            // a depth that goes below the finalized block is refused and changes nothing
            let _ = stage.chain.reorg(&Reorg {
                depth,
                blocks,
                orphans,
            });
        }
        for _ in 0..80 {
            node.step().await;
            stage.chain.mine(&BlockPlan::Pool);
        }
        assert_eq!(counts(&stage).await, (1, 1), "seed {seed}");
        let proven = node.stored.get(&1).and_then(|batch| batch.proven);
        assert!(proven.is_some(), "seed {seed}");
        assert!(node.poster_saved().flights.is_empty(), "seed {seed}");
        let wei = stage.balance(stage.plan.deployment().bridge).await;
        assert!(wei > U256::ZERO);
    }
}
