//! The poster in bad weather: spikes of the base fee, lost pools, lost and repeated answers, lies, restarts, and
//! reorganisations of 1 to 64 blocks, in an order from a seed.
//!
//! In the end, when the weather is calm, every batch is committed once and proven once on the canonical chain, that is final,
//! and no nonce waits. Batches are of random words, and the verifier takes the hash of the right public inputs as a proof.

#[path = "rough/layer.rs"]
mod layer;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ark_bn254::Fr;
use protocol::checkpoint::BatchCommitment;
use protocol::handover::Handover;
use protocol::number::{BatchNumber, Height};
use protocol::public_inputs::PublicInputs;
use protocol::threaded::Threaded;
use protocol::validator::ValidatorSet;
use protocol::words::{Word, WordCounts, Words};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use settlement::bindings::{Events, Rollup, event, l1_address};
use settlement::deploy::VerifierCode;
use settlement::{
    BaseLayer, BatchSource, BlockAt, BlockMark, BlockPlan, CertifiedBatch, FinalProof, Follower,
    FollowerError, Ladder, LadderStep, LogFilter, NonceAt, Orphans, PostedFlights, Poster,
    PosterError, Reorg, SettledBatch, SourceError, SubmitterConfig, SubmitterError,
};

use crate::batch::{Batch, account, prover};
use crate::model::actors::verifier_code;
use crate::model::rollup::proof_of;
use crate::stage::Stage;
use layer::Rough;

/// Random schedules, and steps of each in bad weather.
const SCHEDULES: u64 = 24;
const STEPS: usize = 50;
/// Batches that are there to be posted.
const BATCHES: u64 = 3;
/// Deepest reorganisation: as deep as what is not final.
const DEPTH_MAX: u64 = 64;
/// Steps in calm weather at most.
const CALM_STEPS: usize = 400;
/// Questions of a thousand that go wrong in bad weather.
const FAULTY: u32 = 60;
/// The development account that posts.
const POSTER: usize = 5;
const GWEI: u64 = 1_000_000_000;

/// What a node has on disk.
#[derive(Default)]
struct Disk {
    flights: PostedFlights,
    /// What became final, and up to where.
    settled: BTreeMap<u64, SettledBatch>,
    mark: Option<BlockMark>,
    mode: u8,
}

/// The batches, and the disk.
#[derive(Clone)]
struct Source {
    batches: Arc<Vec<(CertifiedBatch, FinalProof)>>,
    disk: Arc<Mutex<Disk>>,
}

impl Source {
    fn batch(&self, number: u64) -> Option<&(CertifiedBatch, FinalProof)> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.batches.get(place)
    }
}

impl BatchSource for Source {
    fn certified(&self, batch: u64) -> Result<Option<CertifiedBatch>, SourceError> {
        Ok(self.batch(batch).map(|(certified, _)| certified.clone()))
    }

    fn final_proof(&self, batch: u64) -> Result<Option<FinalProof>, SourceError> {
        Ok(self.batch(batch).map(|(_, proof)| proof.clone()))
    }

    fn handover(&self, _: u64) -> Result<Option<(Handover, ValidatorSet)>, SourceError> {
        Ok(None)
    }

    fn save(&self, flights: &PostedFlights) -> Result<(), SourceError> {
        self.disk.lock().expect("no panic").flights = flights.clone();
        Ok(())
    }
}

/// Batches of random words, each on top of the one before.
fn batches(stage: &Stage, rng: &mut ChaCha8Rng) -> Vec<(CertifiedBatch, FinalProof)> {
    let world = &stage.batch.world;
    let state = world.genesis.state();
    let mut start = Threaded::batch_start(state.root(), state.leaf_count(), Height(0), 0);
    let mut made = Vec::new();
    for number in 1..=BATCHES {
        let ops: Vec<Word> = (0..rng.gen_range(1..9))
            .map(|_| Word(std::array::from_fn(|_| rng.r#gen())))
            .collect();
        let end = Threaded {
            root: Fr::from(rng.r#gen::<u64>()),
            h: Fr::from(rng.r#gen::<u64>()),
            counts: WordCounts {
                ops: u64::try_from(ops.len()).expect("few"),
                signed_operations: 2,
                ..WordCounts::default()
            },
            height: Height(10 * number),
            ..start
        };
        let words = Words {
            ops,
            ..Words::default()
        };
        let (ends, number) = ((&start, &end), BatchNumber(number));
        let header = &stage.batch.block.header;
        let mut commitment = BatchCommitment::new(number, ends, &words, header, 1_700_000_000);
        commitment.last_height = end.height;
        let by = l1_address(prover());
        let inputs = PublicInputs::new(world.domain, number, ends, &words, by);
        let certified = CertifiedBatch {
            checkpoint: stage.batch.sign(&commitment, 3),
            words,
            set: world.genesis.validators.clone(),
        };
        let proof = FinalProof {
            prover: prover(),
            proof: proof_of(&inputs, prover()).to_vec().into(),
        };
        made.push((certified, proof));
        start = Threaded::batch_start(end.root, end.leaf_count, end.height, 0);
    }
    made
}

/// A node's posting side, since its last start.
struct Node {
    follower: Follower,
    ladder: Ladder,
    poster: Poster<Source>,
}

impl Node {
    fn start(stage: &Stage, layer: &Rough, source: &Source) -> Self {
        let shared: Arc<dyn BaseLayer> = Arc::new(layer.clone());
        let deployment = *stage.plan.deployment();
        let filter = LogFilter {
            addresses: vec![deployment.rollup],
            ..LogFilter::default()
        };
        let config = SubmitterConfig {
            fee_max_wei: 1_000 * u128::from(GWEI),
            patience_blocks: 3,
        };
        let disk = source.disk.lock().expect("no panic");
        let mark = disk.mark.expect("the drill wrote the first");
        let signer = (account(POSTER), config);
        let flights = disk.flights.clone();
        Self {
            follower: Follower::new(Arc::clone(&shared), filter, mark, []),
            ladder: Ladder::new(disk.settled.clone(), disk.mode),
            poster: Poster::resume(shared, deployment, signer, source.clone(), flights),
        }
    }

    /// Follows as far as the line lets it, then posts if it has come to the head it saw.
    async fn step(&mut self) {
        loop {
            match self.follower.next().await {
                Ok(Some(event)) => {
                    let step = self.ladder.take(&event).expect("the Rollup's events");
                    self.store(step);
                }
                Ok(None) => break,
                Err(error @ FollowerError::FinalizedReplaced { .. }) => panic!("{error}"),
                Err(_) => return, // again at the next step
            }
        }
        let top = self.follower.top().hash;
        match self.poster.step(top, &self.ladder).await {
            Ok(_)
            | Err(
                PosterError::Binding(_)
                | PosterError::Submitter(
                    SubmitterError::BaseLayer(_) | SubmitterError::AboveFeeLimit { .. },
                ),
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn store(&self, step: LadderStep) {
        let LadderStep::Final {
            mark,
            batches,
            mode,
        } = step
        else {
            return;
        };
        let mut disk = self.poster.source().disk.lock().expect("no panic");
        (disk.mark, disk.mode) = (Some(mark), mode);
        for (number, batch) in batches {
            match batch {
                Some(batch) => disk.settled.insert(number, batch),
                None => disk.settled.remove(&number),
            };
        }
    }
}

/// One thing that happens on the chain.
fn weather(stage: &Stage, rng: &mut ChaCha8Rng) {
    let chain = &stage.chain;
    match rng.gen_range(0..12) {
        0 | 1 => chain.set_base_fee(rng.gen_range(1..400) * GWEI),
        2 => chain.drop_pool(),
        3 | 4 => {
            let depth = if rng.gen_bool(0.5) {
                rng.gen_range(1..=6)
            } else {
                rng.gen_range(1..=DEPTH_MAX)
            };
            let plan = |rng: &mut ChaCha8Rng| match rng.r#gen() {
                true => BlockPlan::Pool,
                false => BlockPlan::Empty,
            };
            let blocks = (0..rng.gen_range(0..depth + 3))
                .map(|_| plan(rng))
                .collect();
            let orphans = if rng.r#gen() {
                Orphans::Return
            } else {
                Orphans::Forget
            };
            // what goes below the finalized block is refused and changes nothing
            let _ = chain.reorg(&Reorg {
                depth,
                blocks,
                orphans,
            });
        }
        _ => {
            for _ in 0..rng.gen_range(1..6) {
                chain.mine(&BlockPlan::Pool);
            }
        }
    }
}

async fn marked(stage: &Stage, at: BlockAt) -> BlockMark {
    let header = stage.chain.header(at).await;
    BlockMark::from(&header.expect("it answers").expect("there is one"))
}

/// How often each batch was committed and proven on the canonical chain.
async fn happened(stage: &Stage) -> BTreeMap<(&'static str, u64), u64> {
    let mut times = BTreeMap::new();
    let head = marked(stage, BlockAt::Latest).await.number;
    for number in 0..=head {
        let block = marked(stage, BlockAt::Number(number)).await.hash;
        let logs = stage.chain.logs(block, &LogFilter::default()).await;
        for log in logs.expect("it answers") {
            if let Some(read) = event::<Events::BatchCommitted>(&log).expect("well formed") {
                *times.entry(("committed", read.batchNumber)).or_default() += 1;
            }
            if let Some(read) = event::<Events::BatchProven>(&log).expect("well formed") {
                *times.entry(("proven", read.batchNumber)).or_default() += 1;
            }
        }
    }
    times
}

/// Everything of one seed; how many questions went wrong.
async fn schedule(seed: u64) -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let code = |_: &Batch| VerifierCode::Runtime(verifier_code());
    let stage = Stage::with_verifier(code).await;
    // reorganisations leave the deployment alone
    for _ in 0..DEPTH_MAX {
        stage.chain.mine(&BlockPlan::Empty);
    }
    let layer = Rough::new(stage.chain.clone(), ChaCha8Rng::seed_from_u64(!seed));
    let source = Source {
        batches: Arc::new(batches(&stage, &mut rng)),
        disk: Arc::default(),
    };
    let first = marked(&stage, BlockAt::Finalized).await;
    source.disk.lock().expect("no panic").mark = Some(first);
    let mut node = Node::start(&stage, &layer, &source);
    layer.set_faulty(FAULTY);
    for _ in 0..STEPS {
        weather(&stage, &mut rng);
        if rng.gen_bool(0.1) {
            node = Node::start(&stage, &layer, &source);
        }
        node.step().await;
    }
    layer.set_faulty(0);
    let is_done = || {
        let disk = source.disk.lock().expect("no panic");
        let is_final = |number: u64| {
            let settled = disk.settled.get(&number);
            settled.is_some_and(|one| one.proven.is_some())
        };
        (1..=BATCHES).all(is_final) && disk.flights.flights.is_empty()
    };
    for _ in 0..CALM_STEPS {
        if is_done() {
            break;
        }
        node.step().await;
        stage.chain.mine(&BlockPlan::Pool);
    }
    let flights = source.disk.lock().expect("no panic").flights.clone();
    assert!(is_done(), "still on their way: {flights:?}");
    let rollup = stage.plan.deployment().rollup;
    let proven = stage.view(rollup, &Rollup::provenCountCall {}).await;
    assert_eq!(proven, BATCHES);
    let times = happened(&stage).await;
    let once = (1..=BATCHES).flat_map(|number| [("committed", number), ("proven", number)]);
    assert_eq!(times, once.map(|what| (what, 1)).collect());
    // nothing of the account waits, and nothing could be stuck behind a gap
    let address = account(POSTER).address();
    let at_head = NonceAt::Block(stage.head().await);
    let used = stage
        .chain
        .nonce(address, at_head)
        .await
        .expect("it answers");
    let pending = stage.chain.nonce(address, NonceAt::Pending).await;
    assert_eq!(pending.expect("it answers"), used);
    assert!(used >= 2 * BATCHES);
    layer.faults()
}

#[tokio::test]
async fn in_bad_weather_every_batch_is_committed_and_proven_once_and_no_nonce_sticks() {
    let seeds = match std::env::var("QUORATE_ROUGH_SEED") {
        Ok(text) => {
            let seed: u64 = text.parse().expect("QUORATE_ROUGH_SEED is a number");
            seed..seed + 1
        }
        Err(_) => {
            let is_soak = std::env::var("QUORATE_SOAK").is_ok_and(|value| value == "1");
            0..SCHEDULES * if is_soak { 50 } else { 1 }
        }
    };
    let mut faults = 0;
    for seed in seeds {
        let done = tokio::spawn(schedule(seed)).await;
        assert!(
            done.is_ok(),
            "seed {seed} failed, its reason is above; again: QUORATE_ROUGH_SEED={seed}"
        );
        faults += done.unwrap_or_default();
    }
    assert!(faults > 0, "the line was never bad");
}
