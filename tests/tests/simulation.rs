//! Deterministic simulation: the engine's core with our context, vote rule, certificates and evidence, on a virtual
//! clock and a network that loses, delays, doubles, reorders and splits, among faulty validators.
//!
//! A run is a function of its seed. What is real: the engine, all signatures, `protocol::validity`, certificates,
//! evidence. What is simulated: clock, network, disk, clients, builder, base layer. A failing seed is shown with
//! `make sim SEED=n`, and kept in `simulation/failing-seeds.txt`, which every run plays first.
//!
//! The campaign draws from each seed: weights, one faulty validator, delays, losses, doubles, partitions (often in two
//! halves), outages with torn logs, bids and how builders reveal, transactions whose gossip is slow and whose listed
//! bytes must be fetched, inbox items of a base layer that every node sees later than others, and in one of eight
//! seeds an epoch that ends within the run, with one validator leaving and one joining.
//!
//! | trigger of `arc-malachitebft-engine-byzantine` | fault kind here (`simulation/faults.rs`) |
//! |---|---|
//! | `equivocate_votes` | `Twins`: both votes to everybody; `Liar`: another vote for each receiver |
//! | `equivocate_proposals` | `Twins`: two proposals, with their Inits and payloads, which the crate leaves out |
//! | `drop_votes` | `DropsVotes`, repeated votes too |
//! | `drop_proposals` | `DropsProposals`, of proposals and Inits any one or both |
//! | `ignore_locks` (amnesia) | `IgnoresLocks`: its nil prevotes become prevotes for what is proposed; `Amnesia`: log and guard are lost |
//! | `force_precommit_nil` | `PrecommitsNil` |
//! | `drop_inbound_proposals` | `DropsInboundProposals` |
//!
//! Ours beside them: `PartialParts` (Inits and payloads to half of the nodes), and a `Liar`'s invalid blocks and forged
//! names. Triggers fire in all rounds or in 30 of 100, by seed, height and round.
//!
//! | scenario (findings of the review of the first draft) | file |
//! |---|---|
//! | C1, C2, H4, H5, H6, endurance, two equivocators of four, a builder that withholds or sends rubbish | `scenarios.rs` |
//! | H1 swapped certificate, H2 late Init, H3 partial reveal: the draft fails, ours holds | `builder_scenarios.rs` |
//! | two halves and healing, partial payloads, epochs, slow lists, overdue inbox items, each trigger | `network_scenarios.rs` |
#![expect(
    clippy::print_stdout,
    reason = "the campaign tells its size, and make sim shows the trace of one seed"
)]

#[path = "simulation/builder_scenarios.rs"]
mod builder_scenarios;
#[path = "simulation/chain.rs"]
mod chain;
#[path = "simulation/faults.rs"]
mod faults;
#[path = "simulation/host.rs"]
mod host;
#[path = "simulation/kept.rs"]
mod kept;
#[path = "simulation/layer.rs"]
mod layer;
#[path = "simulation/message.rs"]
mod message;
#[path = "simulation/network_scenarios.rs"]
mod network_scenarios;
#[path = "simulation/node.rs"]
mod node;
#[path = "simulation/parts.rs"]
mod parts;
#[path = "simulation/plan.rs"]
mod plan;
#[path = "simulation/referee.rs"]
mod referee;
#[path = "simulation/run.rs"]
mod run;
#[path = "simulation/scenarios.rs"]
mod scenarios;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use protocol::testing::soak;
use tests::parallel::check_all;

use crate::{
    plan::Plan,
    run::{Report, Simulation},
};

/// Seeds of an ordinary run; a soak run has ten times as many.
const SEEDS: u64 = 2_000;
/// Environment variable by which `make sim` names its seed.
const SEED_VARIABLE: &str = "QUORATE_SIM_SEED";

fn play(seed: u64, is_printed: bool) -> Report {
    Simulation::new(Plan::random(seed), is_printed).run()
}

fn faults(report: &Report) -> Vec<String> {
    let mut faults = report.violations.clone();
    if faults.is_empty() && !report.is_live {
        faults.push("the honest nodes do not get on".to_owned());
    }
    faults
}

/// What a campaign adds up.
#[derive(Default)]
struct Sums {
    events: AtomicU64,
    blocks: AtomicU64,
    burns: AtomicU64,
    guilty: AtomicU64,
    refusals: AtomicU64,
    late_answers: AtomicU64,
    fetches: AtomicU64,
    missed_fetches: AtomicU64,
    inbox_items: AtomicU64,
}

impl Sums {
    fn add(&self, report: &Report) {
        let longest = report.chains.iter().max_by_key(|chain| chain.len());
        let blocks = longest.into_iter().flatten();
        let items: usize = blocks.clone().map(|block| block.payload.inbox.len()).sum();
        for (sum, count) in [
            (&self.events, report.events),
            (&self.blocks, blocks.count() as u64),
            (&self.burns, report.burns as u64),
            (&self.guilty, report.guilty.len() as u64),
            (&self.refusals, report.refusals as u64),
            (&self.late_answers, report.counts.late_answers),
            (&self.fetches, report.counts.fetches),
            (&self.missed_fetches, report.counts.missed_fetches),
            (&self.inbox_items, items as u64),
        ] {
            sum.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// Plays these seeds twice each; the failing ones are kept.
fn campaign(seeds: &[u64]) -> Sums {
    let sums = Sums::default();
    check_all(seeds, |seed| {
        let first = play(*seed, false);
        let mut faults = faults(&first);
        if faults.is_empty() && play(*seed, false).hash != first.hash {
            faults.push("two runs differ".to_owned());
        }
        if faults.is_empty() {
            sums.add(&first);
            return Ok(());
        }
        let reason = faults.join("; ");
        kept::keep(&kept::path(), *seed, &reason);
        Err(format!("make sim SEED={seed}: {reason}"))
    });
    sums
}

#[test]
fn every_seed_keeps_the_invariants_and_repeats() {
    campaign(&kept::seeds(&kept::path()));
    let began = Instant::now();
    let count = if soak(1) > 1 { 10 * SEEDS } else { SEEDS };
    let seeds: Vec<u64> = (0..count).collect();
    let sums = campaign(&seeds);
    let seconds = began.elapsed().as_secs_f64();
    let Sums {
        events,
        blocks,
        burns,
        guilty,
        refusals,
        late_answers,
        fetches,
        missed_fetches,
        inbox_items,
    } = sums;
    println!(
        "{count} seeds twice in {seconds:.1} s, {:.1} seeds/s: {events:?} events, {blocks:?} blocks, {burns:?} with \
         burns, {guilty:?} validators convicted, {refusals:?} signatures refused by guards, {late_answers:?} blocks \
         unknown at first, {fetches:?} proposals that fetched bytes, {missed_fetches:?} too late, {inbox_items:?} \
         inbox items",
        count as f64 / seconds,
    );
    // a campaign that does not reach its corners has lost its teeth
    for (what, sum) in [
        ("bid was burned", burns),
        ("validator was convicted", guilty),
        ("block was unknown at first", late_answers),
        ("bytes were fetched", fetches),
        ("bytes came too late", missed_fetches),
        ("inbox item was consumed", inbox_items),
    ] {
        assert!(sum.into_inner() > 0, "no {what}");
    }
}

/// `make sim SEED=n`. Without a seed it plays the first one.
#[test]
fn one_seed_with_its_trace() {
    let named = std::env::var(SEED_VARIABLE).ok();
    let seed = named.as_ref().map_or(0, |seed| seed.parse().unwrap());
    if named.is_some() {
        println!("{:#?}", Plan::random(seed));
    }
    let report = play(seed, named.is_some());
    let faults = faults(&report);
    assert!(
        faults.is_empty(),
        "make sim SEED={seed}: {}",
        faults.join("; ")
    );
    assert_ne!(
        play(seed + 1, false).hash,
        report.hash,
        "the trace does not depend on the seed"
    );
}
