//! Deterministic simulation: the engine's core with our context, vote rule, certificates and evidence, on a virtual
//! clock and a network that loses, delays, doubles and reorders, among faulty validators.
//!
//! A run is a function of its seed. What is real: the engine, all signatures, `protocol::validity`, certificates,
//! evidence. What is simulated: clock, network, disk, clients, builder, base layer. A failing seed is shown with
//! `make sim SEED=n`.
#![expect(
    clippy::print_stdout,
    reason = "the campaign tells its size, and make sim shows the trace of one seed"
)]

#[path = "simulation/chain.rs"]
mod chain;
#[path = "simulation/host.rs"]
mod host;
#[path = "simulation/message.rs"]
mod message;
#[path = "simulation/node.rs"]
mod node;
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

#[test]
fn every_seed_keeps_the_invariants_and_repeats() {
    let began = Instant::now();
    let count = if soak(1) > 1 { 10 * SEEDS } else { SEEDS };
    let seeds: Vec<u64> = (0..count).collect();
    let (events, blocks) = (AtomicU64::new(0), AtomicU64::new(0));
    let (burns, guilty, refusals) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    check_all(&seeds, |seed| {
        let first = play(*seed, false);
        let faults = faults(&first);
        if !faults.is_empty() {
            return Err(format!("make sim SEED={seed}: {}", faults.join("; ")));
        }
        if play(*seed, false).hash != first.hash {
            return Err(format!("make sim SEED={seed}: two runs differ"));
        }
        let longest = first.chains.iter().map(Vec::len).max().unwrap_or(0);
        events.fetch_add(first.events, Ordering::Relaxed);
        blocks.fetch_add(longest as u64, Ordering::Relaxed);
        burns.fetch_add(first.burns as u64, Ordering::Relaxed);
        guilty.fetch_add(first.guilty.len() as u64, Ordering::Relaxed);
        refusals.fetch_add(first.refusals as u64, Ordering::Relaxed);
        Ok(())
    });
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} seeds twice in {seconds:.1} s, {:.1} seeds/s: {events:?} events, {blocks:?} blocks, {burns:?} with burns, \
         {guilty:?} validators convicted, {refusals:?} signatures refused by guards",
        seeds.len(),
        seeds.len() as f64 / seconds,
    );
    assert!(
        burns.into_inner() > 0,
        "no bid was ever burned: the campaign has lost its teeth"
    );
    assert!(guilty.into_inner() > 0, "nobody was ever convicted");
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
