//! Random chunks and random refusals, in lanes: what native execution says, the constraints say.
//!
//! Valid: blocks of every kind of operation, cut anywhere (`crate::random`); the public inputs are the naive circuit's too.
//! Refused: transactions that break a rule, and operations whose effects were changed, both by a forger who keeps roots,
//! words and digests consistent. Every constraint is evaluated in every row, and what is refused is named; the mock prover
//! sees a thousand operations of either side too, in a soak more of them as samples.

use std::sync::OnceLock;

use circuits::chunk::ChunkShape;
use circuits::convert::to_circuit;
use circuits::lanes::{LaneCircuit, LaneShape};
use halo2curves::bn256::Fr;
use protocol::account::Leaf;
use protocol::number::{Amount, Nonce, TokenId};
use protocol::testing::{generator, soak};
use protocol::threaded::Threaded;
use protocol::transition::{Executed, Operation};
use protocol::witness::ChunkWitness;
use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use rayon::prelude::*;

use super::checker::challenges;
use super::evaluator::Evaluator;
use crate::forger::Forgery;
use crate::harness::accepts;
use crate::random::{BREAKABLE, KINDS, Opened, Seen, all_seen, drawn, note, traced};

/// The smallest circuit in lanes.
const SHAPE: LaneShape = LaneShape { pairs: 8 };

/// Operations of either side that the campaign tries.
fn operations() -> usize {
    if soak(1) > 1 { 500_000 } else { 1_000 }
}

/// Operations of either side that the mock prover must have seen.
const MOCKED: usize = 1_000;
/// One trace in so many is shown to the mock prover.
fn sampled() -> usize {
    if soak(1) > 1 { 60 } else { 1 }
}
/// Seeds tried at a time.
const AT_A_TIME: u64 = 24;

fn evaluator() -> &'static Evaluator {
    static ONE: OnceLock<Evaluator> = OnceLock::new();
    ONE.get_or_init(|| Evaluator::new(&SHAPE.circuit(), SHAPE.rows()))
}

/// The verdict of the constraints on a trace.
fn satisfied(circuit: &LaneCircuit, inputs: &[Fr; 3]) -> bool {
    let whole = circuit.complete(challenges()).expect("it has a trace");
    evaluator().accepts(&whole, inputs)
}

/// The mock prover's verdict on a trace, if it is a sample, is the evaluator's; whether it was one.
fn is_agreed(number: usize, circuit: &LaneCircuit, inputs: &[Fr; 3], verdict: bool) -> bool {
    let is_sample = number.is_multiple_of(sampled());
    if is_sample {
        assert_eq!(accepts(SHAPE.k(), circuit, inputs), verdict);
    }
    is_sample
}

/// Chunks of what one seed gives, as long as the lanes have room for.
fn valid(seed: u64) -> Result<(usize, usize, Seen), String> {
    let rng = &mut generator(seed ^ 0x1a9e_5000);
    let traced = traced(rng);
    let mut seen = Seen::new();
    let (mut start, mut mocked, mut number) = (0, 0, seed as usize);
    while start < traced.pairs() {
        let most = rng.gen_range(1..=SHAPE.pairs).min(traced.pairs() - start);
        let (witness, circuit, inputs) = (1..=most)
            .rev()
            .find_map(|len| {
                let witness = traced.chunk(start, len);
                let (circuit, inputs) = SHAPE.prove(&witness).ok()?;
                Some((witness, circuit, inputs))
            })
            .ok_or_else(|| format!("seed {seed}, pair {start}: not even one pair"))?;
        let len = witness.pairs.len();
        if inputs != witness.public_inputs().map(to_circuit) {
            return Err(format!("seed {seed}, pair {start}: other public inputs"));
        }
        let naive = ChunkShape { pairs: len };
        let oracle = naive.prove(&witness).map_err(|error| error.to_string())?;
        if oracle.1 != inputs {
            return Err(format!(
                "seed {seed}, pair {start}: not the naive circuit's inputs"
            ));
        }
        if !satisfied(&circuit, &inputs) {
            return Err(format!("seed {seed}, pair {start}: refused"));
        }
        mocked += 2 * len * usize::from(is_agreed(number, &circuit, &inputs, true));
        note(&mut seen, &witness, SHAPE.pairs);
        (start, number) = (start + len, number + 1);
    }
    Ok((2 * traced.pairs(), mocked, seen))
}

#[test]
fn random_chunks_satisfy_every_constraint_of_the_lanes() {
    let (mut total, mut mocked, mut seen, mut seed) = (0, 0, Seen::new(), 0);
    while total < operations() {
        let results: Vec<_> = (seed..seed + AT_A_TIME)
            .into_par_iter()
            .map(valid)
            .collect();
        seed += AT_A_TIME;
        for result in results {
            let (done, some_mocked, some) = result.unwrap();
            (total, mocked) = (total + done, mocked + some_mocked);
            for (name, count) in some {
                *seen.entry(name).or_default() += count;
            }
        }
    }
    assert!(
        mocked >= MOCKED,
        "{mocked} operations before the mock prover"
    );
    all_seen(&seen);
}

/// One change of an operation's effects.
#[derive(Clone, Copy, Debug)]
enum Change {
    Balance(usize, bool),
    Nonce(usize),
    Lock(usize),
    Token(usize),
    Owner(usize),
    Key(usize),
    Accumulator,
    Leaves,
    Items,
    Height,
    Signed,
    Words,
    LastBid,
    GroupMembers,
}

impl Change {
    fn random(rng: &mut StdRng, executed: &Executed) -> Self {
        let written: Vec<usize> = (0..3)
            .filter(|i| executed.accesses[*i].after.is_some())
            .collect();
        let access = written.choose(rng).copied();
        match (rng.gen_range(0..15), access) {
            (0 | 1, Some(i)) => Change::Balance(i, rng.r#gen()),
            (2, Some(i)) => Change::Nonce(i),
            (3, Some(i)) => Change::Lock(i),
            (4, Some(i)) => Change::Token(i),
            (5, Some(i)) => Change::Owner(i),
            (6, Some(i)) => Change::Key(i),
            (7, _) => Change::Accumulator,
            (8, _) => Change::Leaves,
            (9, _) => Change::Items,
            (10, _) => Change::Height,
            (11, _) => Change::Signed,
            (12, _) => Change::Words,
            (13, _) => Change::LastBid,
            _ => Change::GroupMembers,
        }
    }

    fn leaf(self) -> Option<usize> {
        match self {
            Change::Balance(i, _)
            | Change::Nonce(i)
            | Change::Lock(i)
            | Change::Token(i)
            | Change::Owner(i)
            | Change::Key(i) => Some(i),
            _ => None,
        }
    }

    fn apply(self, done: &mut Executed, threaded: &mut Threaded) {
        if let Some(leaf) = self.leaf().and_then(|i| done.accesses[i].after.as_mut()) {
            self.apply_to(leaf);
        }
        match self {
            Change::Accumulator => threaded.h += protocol::Fr::from(1_u64),
            Change::Leaves => threaded.leaf_count += 1,
            Change::Items => threaded.inbox_count += 1,
            Change::Height => threaded.height.0 += 1,
            Change::Signed => threaded.counts.signed_operations ^= 1,
            Change::Words => threaded.counts.ops += 1,
            Change::LastBid => threaded.last_bid_height.0 += 1,
            Change::GroupMembers => threaded.group.members += 1,
            _ => {}
        }
    }

    fn apply_to(self, leaf: &mut Leaf) {
        match self {
            Change::Balance(_, up) => {
                let balance = leaf.balance.get();
                let changed = if up || balance == 0 {
                    balance + 1
                } else {
                    balance - 1
                };
                leaf.balance = Amount::new(changed).unwrap_or(Amount::ZERO);
            }
            Change::Nonce(_) => leaf.nonce = Nonce(leaf.nonce.0 ^ 1),
            Change::Lock(_) => leaf.lock_until.0 ^= 1,
            Change::Token(_) => leaf.token = TokenId(leaf.token.0 ^ 1),
            Change::Owner(_) => leaf.l1_owner.0[0] ^= 1,
            Change::Key(_) => leaf.key.x += protocol::Fr::from(1_u64),
            _ => {}
        }
    }
}

/// A valid operation of any kind - nothing, a transaction, a burned bid, an inbox item - whose effects are changed.
fn bent(seed: u64) -> Option<(String, ChunkWitness)> {
    let rng = &mut generator(seed ^ 0xbe27_0000);
    let opened = Opened::new(rng);
    let drafter = opened.drafter();
    let operation = match rng.gen_range(0..8) {
        0 => Operation::BidBurn(drafter.burnable_bid(rng)?),
        1..=3 => Operation::Inbox(drafter.item(rng)),
        _ => {
            let kind = *KINDS.choose(rng)?;
            drafter.operation(&drafter.transaction(rng, kind)?)
        }
    };
    let executed = opened.execute(&operation).ok()?;
    let change = Change::random(rng, &executed);
    let header = Some(opened.header.clone());
    let mut honest = opened.forger();
    let slots = [operation, Operation::Noop].map(Forgery::honest);
    honest.pair(header.clone(), header.clone(), slots);
    let mut forger = opened.forger();
    let slot = Forgery::tweak(operation, move |done, threaded| {
        change.apply(done, threaded);
    });
    let slots = [slot, Forgery::honest(Operation::Noop)];
    forger.pair(header.clone(), header, slots);
    let name = format!("{change:?}");
    let name = name.split('(').next().unwrap_or_default().to_owned();
    let witness = forger.finish();
    // a later access to the same leaf may have written over the change: what is claimed is true then
    let is_false = witness.public_inputs() != honest.finish().public_inputs();
    is_false.then_some((name, witness))
}

/// What the constraints must say of a forger's witness, and what it is about.
fn forged(seed: u64) -> Option<(Option<String>, ChunkWitness)> {
    if seed.is_multiple_of(2) {
        let drawn = drawn(seed)?;
        Some((drawn.refused, drawn.witness))
    } else {
        let (name, witness) = bent(seed)?;
        Some((Some(name), witness))
    }
}

#[test]
fn random_forgeries_get_the_native_verdict_in_lanes() {
    let (mut refused, mut mocked, mut seen, mut seed) = (0, 0, Seen::new(), 0);
    while refused < operations() {
        let results: Vec<_> = (seed..seed + 4 * AT_A_TIME)
            .into_par_iter()
            .filter_map(|seed| {
                let (rule, witness) = forged(seed)?;
                let (circuit, inputs, errors) = SHAPE.fill(&witness).expect("there is room");
                let verdict = satisfied(&circuit, &inputs);
                assert_eq!(verdict, rule.is_none(), "seed {seed}: {rule:?} {errors:?}");
                assert_eq!(
                    errors.is_empty(),
                    verdict,
                    "seed {seed}: {rule:?} {errors:?}"
                );
                let is_mocked = is_agreed(seed as usize, &circuit, &inputs, verdict);
                Some((rule.unwrap_or_else(|| "valid".to_owned()), is_mocked))
            })
            .collect();
        seed += 4 * AT_A_TIME;
        for (rule, is_mocked) in results {
            refused += usize::from(rule != "valid");
            mocked += usize::from(rule != "valid" && is_mocked);
            *seen.entry(rule).or_default() += 1;
        }
    }
    assert!(
        mocked >= MOCKED,
        "{mocked} operations before the mock prover"
    );
    let bent = [
        "valid",
        "Balance",
        "Nonce",
        "Lock",
        "Token",
        "Owner",
        "Key",
        "Accumulator",
        "Leaves",
        "Items",
        "Height",
        "Signed",
        "Words",
        "LastBid",
        "GroupMembers",
    ];
    for rule in BREAKABLE.into_iter().chain(bent) {
        assert!(seen.contains_key(rule), "no '{rule}' in {seen:?}");
    }
}
