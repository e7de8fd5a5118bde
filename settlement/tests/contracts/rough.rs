//! The poster in bad weather: spikes of the base fee, lost pools, lost and repeated answers, lies, restarts, and
//! reorganisations of 1 to 64 blocks, in an order from a seed.
//!
//! In the end, when the weather is calm, every batch is committed once and proven once on the canonical chain, that is final,
//! and no nonce waits. Batches are of random words, and the verifier takes the hash of the right public inputs as a proof.

#[path = "rough/layer.rs"]
mod layer;
#[path = "rough/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use settlement::bindings::{Events, Rollup, event};
use settlement::deploy::VerifierCode;
use settlement::{
    BaseLayer, BlockAt, BlockMark, BlockPlan, Follower, FollowerError, Ladder, LadderStep,
    LogFilter, NonceAt, Orphans, Posted, Poster, PosterError, Progress, Reorg, SubmitterConfig,
    SubmitterError,
};

use crate::batch::{Batch, account};
use crate::model::actors::verifier_code;
use crate::stage::Stage;
use layer::Rough;
use source::{Source, batches};

/// Random schedules, and steps of each in bad weather.
const SCHEDULES: u64 = 100;
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

/// What went wrong, to know that something did.
#[derive(Clone, Copy, Debug, Default)]
struct Troubles {
    /// Questions that the line spoiled.
    faults: u64,
    /// Steps that the poster could not end.
    failed: u64,
    /// Fees that were raised.
    bumped: u64,
    /// Transactions whose block left the chain.
    reverted: u64,
    /// Times that the chain had fewer batches than before.
    taken_back: u64,
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
    async fn step(&mut self, troubles: &mut Troubles) {
        loop {
            match self.follower.next().await {
                Ok(Some(event)) => {
                    let step = self.ladder.take(&event).expect("the Rollup's events");
                    self.store(step);
                }
                Ok(None) => break,
                Err(error @ FollowerError::FinalizedReplaced { .. }) => panic!("{error}"),
                Err(_) => {
                    troubles.failed += 1; // again at the next step
                    return;
                }
            }
        }
        let top = self.follower.top().hash;
        match self.poster.step(top, &self.ladder).await {
            Ok(done) => {
                for one in done {
                    match one {
                        Posted::Progress(_, Progress::Bumped { .. }) => troubles.bumped += 1,
                        Posted::Progress(_, Progress::Reverted { .. }) => troubles.reverted += 1,
                        _ => {}
                    }
                }
            }
            Err(
                PosterError::Binding(_)
                | PosterError::Submitter(
                    SubmitterError::BaseLayer(_) | SubmitterError::AboveFeeLimit { .. },
                ),
            ) => troubles.failed += 1,
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

async fn committed(stage: &Stage) -> u64 {
    let rollup = stage.plan.deployment().rollup;
    stage.view(rollup, &Rollup::committedCountCall {}).await
}

/// Everything of one seed.
async fn schedule(seed: u64) -> Troubles {
    let mut troubles = Troubles::default();
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
        let before = committed(&stage).await;
        weather(&stage, &mut rng);
        troubles.taken_back += u64::from(committed(&stage).await < before);
        if rng.gen_bool(0.1) {
            node = Node::start(&stage, &layer, &source);
        }
        node.step(&mut troubles).await;
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
        node.step(&mut troubles).await;
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
    troubles.faults = layer.faults();
    troubles
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
            0..SCHEDULES * if is_soak { 10 } else { 1 }
        }
    };
    let is_one = seeds.end - seeds.start == 1;
    let mut all = Troubles::default();
    for seed in seeds {
        let done = tokio::spawn(Box::pin(schedule(seed))).await;
        assert!(
            done.is_ok(),
            "seed {seed} failed, its reason is above; again: QUORATE_ROUGH_SEED={seed}"
        );
        let one = done.unwrap_or_default();
        all.faults += one.faults;
        all.failed += one.failed;
        all.bumped += one.bumped;
        all.reverted += one.reverted;
        all.taken_back += one.taken_back;
    }
    let met = [
        all.faults,
        all.failed,
        all.bumped,
        all.reverted,
        all.taken_back,
    ];
    assert!(is_one || !met.contains(&0), "the weather was fair: {all:?}");
}
