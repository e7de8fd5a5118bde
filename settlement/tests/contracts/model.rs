//! The contracts' bytecode against a model in Rust, on the same random stream of calls.
//!
//! Commits good and bad, proofs, prunes, deposits, forced operations, claims, deadlines, pauses, Enforced mode, Desert and its
//! exits, time and reorganisations: after every step success, or the exact bytes of the revert, are the same, and so is the
//! storage. The model knows `protocol` and not the Solidity; gas, events and stakes are not its matter, and a proof is a
//! hash of the right public inputs. `make test` plays a sample, `QUORATE_SOAK=1` a hundred times as much, and
//! `QUORATE_MODEL_SEED=n` one seed again.

#[path = "model/actors.rs"]
pub(crate) mod actors;
#[path = "model/batches.rs"]
mod batches;
#[path = "model/calls.rs"]
pub(crate) mod calls;
#[path = "model/certificate.rs"]
mod certificate;
#[path = "model/deadlines.rs"]
mod deadlines;
#[path = "model/equal.rs"]
mod equal;
#[path = "model/money.rs"]
mod money;
#[path = "model/rollup.rs"]
pub(crate) mod rollup;
#[path = "model/start.rs"]
mod start;
#[path = "model/stream.rs"]
mod stream;
#[path = "model/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::{Address, Bytes, U256};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use settlement::bindings::{Bridge, revert};
use settlement::deploy::{Timing, VerifierCode};
use settlement::{BaseLayer, BlockAt, BlockPlan, Orphans, Reorg};

use crate::batch::Batch;
use crate::stage::{Stage, account};
use calls::Token;
use start::{first_world, sets, states};
use stream::{Cast, DEPTH_MAX, Step, draw};
use world::{DESERT, ENFORCED, Rules, World};

/// Streams in a sample, and steps of each.
const SEEDS: u64 = 10;
const STEPS: usize = 300;
/// From here on a stream wants to reach Desert.
const LATE: usize = 220;
/// Of so many streams one floods the inbox.
const FLOOD_EVERY: u64 = 5;
/// Steps between comparisons of everything.
const WHOLE_EVERY: usize = 40;
/// Different outcomes, by call and error, that a sample reaches at least: a stream that became tame is noticed.
const OUTCOMES_MIN: usize = 60;
/// What a sample must have done: a stream that never gets so far says nothing of it.
const MUST_HAPPEN: [&str; 19] = [
    "Enforced",
    "Desert",
    "reorganisation",
    "Rollup.commitBatch done",
    "Rollup.proveBatch done",
    "Rollup.commitAndProve done",
    "Rollup.prune done",
    "Rollup.triggerEnforced done",
    "Rollup.triggerDesert done",
    "Inbox.deposit done",
    "Inbox.forceExit done",
    "Inbox.forceTransferToNew done",
    "Bridge.claim done",
    "Bridge.claimFees done",
    "Bridge.fund done",
    "Desert.exit done",
    "Desert.refund done",
    "Timelock.pause done",
    "Timelock.unpause done",
];
/// The account that makes the actors, so that the governor's address is known before the Timelock's.
const MAKER: usize = 9;
/// Contracts that call.
const ACTORS: u64 = 4;

/// A chain, the model beside it, and the model after each of the last blocks.
struct Play {
    stage: Stage,
    cast: Cast,
    world: World,
    past: VecDeque<(u64, World)>,
    rng: ChaCha8Rng,
    outcomes: BTreeMap<String, u64>,
}

async fn head(stage: &Stage) -> alloy_consensus::Sealed<alloy_consensus::Header> {
    let head = stage.chain.header(BlockAt::Latest).await;
    head.expect("it answers").expect("there is a head")
}

impl Play {
    async fn start(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let maker = account(MAKER).address();
        let actors: Vec<Address> = (0..ACTORS).map(|nonce| maker.create(nonce)).collect();
        let governor = actors[0];
        let timing = Timing {
            overdue: 900,
            enforced: 7_200,
            proof_window: 3_600,
            proof_time: 3_600,
            desert: 280_000,
        };
        let code = |_: &_| VerifierCode::Runtime(actors::verifier_code());
        let mut rules = None;
        let stage = Stage::with_config(Batch::new, code, |config| {
            config.governor = governor;
            config.timing = timing;
            config.handover_seconds = 3_600;
            rules = Some((
                config.delay_seconds,
                config.handover_seconds,
                config.fee_base_wei,
            ));
        })
        .await;
        let (delay_seconds, handover_seconds, fee_base_wei) = rules.expect("it was called");
        let made = *stage.plan.deployment();
        for (from, actor) in (1..).zip(&actors) {
            assert_eq!(stage.create(MAKER, &actors::actor_code()).await, *actor);
            let ether = U256::from(2_000) * U256::from(10).pow(U256::from(18));
            let funded = stage.transact(from, *actor, ether, &Bytes::new()).await;
            assert!(funded.succeeded);
        }
        // the second keeps one hundredth of each transfer
        let mut tokens = vec![Address::ZERO];
        for fee in [0, 1] {
            let token = stage.create(MAKER, &actors::token_code(fee)).await;
            let registered = Bridge::registerTokenCall { token };
            assert!(
                stage
                    .call(MAKER, made.bridge, U256::ZERO, &registered)
                    .await
                    .succeeded
            );
            for to in &actors {
                let amount = U256::from(1) << (actors::SUPPLY_BITS - 3);
                let call = Token::transferCall { to: *to, amount };
                assert!(stage.call(MAKER, token, U256::ZERO, &call).await.succeeded);
            }
            tokens.push(token);
        }
        let strangers = [0x61, 0x62, 0x63].map(Address::repeat_byte);
        let people: Vec<Address> = actors
            .iter()
            .copied()
            .chain([tokens[1]])
            .chain(strangers)
            .collect();
        let chain_world = &stage.batch.world;
        let genesis = &chain_world.genesis;
        let cast = Cast {
            keys: chain_world.validators.clone(),
            sets: sets(&chain_world.validators),
            states: states(&mut rng, &people, genesis.state()),
            actors,
            people,
            flood_until: if seed.is_multiple_of(FLOOD_EVERY) {
                LATE
            } else {
                0
            },
        };
        // reorganisations leave alone what was made until here
        for _ in 0..DEPTH_MAX {
            stage.chain.mine(&BlockPlan::Empty);
        }
        let rules = Rules {
            made,
            chain_id: stage.chain.chain_id(),
            params_hash: genesis.params_hash(),
            timing,
            handover_seconds,
            delay_seconds,
            governor,
            fee_base_wei,
            rejecting: BTreeSet::from([tokens[1]]),
            token_fee: vec![0, 0, 1],
        };
        let world = first_world(&stage, &cast, rules, tokens).await;
        let at = head(&stage).await.number;
        // nothing happened in the empty blocks
        let past = (at - DEPTH_MAX..=at).map(|number| (number, world.clone()));
        let mut play = Self {
            past: past.collect(),
            stage,
            cast,
            world,
            rng,
            outcomes: BTreeMap::new(),
        };
        play.compare(true, "the start").await;
        play
    }

    async fn compare(&mut self, is_whole: bool, after: &str) {
        let differing = equal::differences(&self.stage, &self.cast, &self.world, is_whole).await;
        assert!(differing.is_empty(), "after {after}: {differing:#?}");
    }

    /// Remembers the model as it is after the chain's head.
    async fn remember(&mut self) {
        self.past
            .push_back((head(&self.stage).await.number, self.world.clone()));
        while self.past.len() > 2 * usize::try_from(DEPTH_MAX).expect("few") {
            self.past.pop_front();
        }
    }

    async fn step(&mut self, number: usize) -> String {
        let step = draw(&mut self.rng, &self.cast, &self.world, (number, LATE));
        match step {
            Step::Call(actor, value, call) => {
                let target = call.target(&self.world);
                let input = call.input();
                let actor = self.cast.actors[actor];
                let (_, done) = actors::act(&self.stage, actor, (target, value, &input)).await;
                self.world.now = head(&self.stage).await.timestamp;
                let expected = call.play(&mut self.world, actor, value);
                let told = |done: &world::Done| match done {
                    Ok(()) => "it succeeds".to_owned(),
                    Err(world::Refusal(data)) => {
                        revert(data).map_or_else(|| data.to_string(), |error| format!("{error:?}"))
                    }
                };
                assert_eq!(
                    done,
                    expected,
                    "{call:?}: the contract says {}, the model {}",
                    told(&done),
                    told(&expected)
                );
                let outcome = match &done {
                    Ok(()) => "done".to_owned(),
                    Err(world::Refusal(data)) => Bytes::copy_from_slice(&data[..4]).to_string(),
                };
                let name = format!("{} {outcome}", variant(&call));
                *self.outcomes.entry(name).or_default() += 1;
                self.remember().await;
                variant(&call)
            }
            Step::Wait(seconds) => {
                self.stage.chain.advance_time(seconds);
                self.world.now = self.stage.chain.mine(&BlockPlan::Empty).timestamp;
                self.remember().await;
                format!("{seconds} s")
            }
            Step::Reorg(depth, blocks) => {
                self.reorg(depth, blocks).await;
                format!("a reorganisation of {depth}")
            }
        }
    }

    async fn reorg(&mut self, depth: u64, blocks: usize) {
        let finalized = self.stage.chain.header(BlockAt::Finalized).await;
        let finalized = finalized.expect("it answers").expect("there is one").number;
        let kept = head(&self.stage).await.number - depth;
        let plan = Reorg {
            depth,
            blocks: vec![BlockPlan::Empty; blocks],
            orphans: Orphans::Forget,
        };
        let done = self.stage.chain.reorg(&plan);
        assert_eq!(done.is_ok(), kept >= finalized, "{done:?}");
        if done.is_err() {
            return;
        }
        self.past.retain(|(number, _)| *number <= kept);
        let (number, world) = self.past.back().expect("the last 64 are kept").clone();
        assert_eq!(number, kept);
        self.world = world;
        for number in (kept + 1..).take(blocks) {
            self.past.push_back((number, self.world.clone()));
        }
        self.world.now = head(&self.stage).await.timestamp;
        *self
            .outcomes
            .entry("reorganisation".to_owned())
            .or_default() += 1;
    }

    /// A whole stream.
    async fn run(mut self) -> BTreeMap<String, u64> {
        let mut modes = BTreeSet::new();
        for number in 0..STEPS {
            let after = self.step(number).await;
            let is_whole = number % WHOLE_EVERY == 0 || number + 1 == STEPS;
            self.compare(is_whole, &format!("step {number}, {after}"))
                .await;
            modes.insert(self.world.mode);
        }
        for (mode, name) in [(ENFORCED, "Enforced"), (DESERT, "Desert")] {
            if modes.contains(&mode) {
                *self.outcomes.entry(name.to_owned()).or_default() += 1;
            }
        }
        self.outcomes
    }
}

/// `Rollup.commitBatch` and the like.
fn variant(call: &calls::ContractCall) -> String {
    let text = format!("{call:?}");
    let mut names = text.split(['(', ' ']);
    let (contract, function) = (names.next(), names.next());
    format!("{}.{}", contract.unwrap_or(""), function.unwrap_or(""))
}

/// Seeds to play: one that is asked for, or a sample, or a hundred times as many.
fn seeds() -> std::ops::Range<u64> {
    if let Ok(text) = std::env::var("QUORATE_MODEL_SEED") {
        let seed: u64 = text.parse().expect("QUORATE_MODEL_SEED is a number");
        return seed..seed + 1;
    }
    let is_soak = std::env::var("QUORATE_SOAK").is_ok_and(|value| value == "1");
    0..SEEDS * if is_soak { 100 } else { 1 }
}

async fn play(seed: u64) -> BTreeMap<String, u64> {
    Box::pin(Play::start(seed)).await.run().await
}

#[tokio::test]
async fn contracts_and_model_agree_on_every_step_of_random_streams() {
    let seeds = seeds();
    let is_one = seeds.end - seeds.start == 1;
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds {
        let played = tokio::spawn(Box::pin(play(seed))).await;
        assert!(
            played.is_ok(),
            "seed {seed} failed, its reason is above; again: QUORATE_MODEL_SEED={seed}"
        );
        for (outcome, count) in played.into_iter().flatten() {
            *outcomes.entry(outcome).or_default() += count;
        }
    }
    for what in MUST_HAPPEN {
        assert!(
            is_one || outcomes.contains_key(what),
            "never: {what}: {outcomes:#?}"
        );
    }
    assert!(
        is_one || outcomes.len() >= OUTCOMES_MIN,
        "only {}: {outcomes:#?}",
        outcomes.len()
    );
}
