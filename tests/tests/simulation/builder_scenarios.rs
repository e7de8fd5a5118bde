//! Findings H1, H2 and H3 of the review of the first draft: who is blamed when a builder's payload does not count.
//!
//! Each is played under the draft's rule, where it fails, and under ours. The draft's rule is a switch of the scenario:
//! a bid that covers no certificate (H1), reports of whatever is missing at the timeout (H2), and for H3 the charge
//! itself, which is counted from what the chain embeds.

use std::collections::{BTreeMap, BTreeSet};

use arc_malachitebft_core_types::{Vote as _, VoteType};
use protocol::{
    block::Entry,
    number::Height,
    vote::{Report as Withholding, Withheld},
};

use crate::{
    chain::{CLIENTS, Chain},
    faults::Misconduct,
    message::Message,
    plan::Plan,
    run::{Envelope, Fate, Report, Simulation},
    scenarios::{assert_sound, play, proposer, seat_of},
};

/// The seats beside this one.
fn others(seat: usize) -> [usize; 3] {
    let mut seats = (0..4).filter(|other| *other != seat);
    [(); 3].map(|()| seats.next().unwrap())
}

fn burns(report: &Report) -> usize {
    let entries = report.chains[0].iter();
    let entries = entries.flat_map(|block| &block.payload.entries);
    entries
        .filter(|entry| matches!(entry, Entry::BidBurn(_)))
        .count()
}

/// Height 2 is proposed by a validator that takes an honest builder's bid, and swaps the certificate for one with a
/// second extension of its own, so that a transaction must be in the block of which the builder has never heard.
fn with_a_swapped_certificate(is_bid_bound: bool) -> Report {
    let griefer = proposer(2, 0);
    let [lister, late, _] = others(griefer);
    let plan = Plan {
        faulty: BTreeMap::from([(griefer, Misconduct::Scripted)]),
        bids: 100,
        bids_end: 2,
        submissions: 0,
        heights: 8,
        ..Plan::calm(11)
    };
    let mut simulation = Simulation::new(plan, false).with_rule(move |envelope: &Envelope<'_>| {
        let is_hidden = match envelope.message {
            Message::Submission(_) => true,
            // so that the lister's extension is in the certificate
            Message::Vote(vote) => {
                vote.height().0 == Height(1)
                    && vote.vote_type() == VoteType::Precommit
                    && (envelope.from, envelope.to) == (late, griefer)
            }
            _ => false,
        };
        match is_hidden {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    });
    for node in &mut simulation.nodes {
        node.craft.empty = true;
    }
    let pool = &mut simulation.nodes[lister].host.disk.pool;
    pool.insert(0, Height(0));
    simulation.nodes[griefer].craft.swap = Some((CLIENTS[0].hash, is_bid_bound));
    let report = simulation.run();
    assert_sound(&report);
    assert!(report.rounds[&Height(2)] >= 1, "the block must be refused");
    assert!(report.chains[0][1].header.bid.is_none());
    let guilty: Vec<usize> = report
        .guilty
        .iter()
        .map(|one| seat_of(&Chain::new(&Plan::calm(0)), one))
        .collect();
    assert_eq!(guilty, [griefer], "two extensions of one precommit");
    report
}

/// Finding H1.
#[test]
fn a_swapped_certificate_is_the_proposers_fault_and_was_the_builders_in_the_draft() {
    let draft = with_a_swapped_certificate(false);
    let griefer = proposer(2, 0);
    let (report, reporters) = draft.reports.iter().next().expect("a report");
    assert_eq!(
        (report.height, report.fault),
        (Height(2), Withheld::Invalid)
    );
    let honest = BTreeSet::from(others(griefer));
    assert!(reporters.is_superset(&honest), "{reporters:?}");
    assert_eq!(burns(&draft), 1, "an honest builder loses its bid");
    // the bid binds the certificate: the header is refused, and what the payload holds is never asked
    let ours = with_a_swapped_certificate(true);
    assert!(ours.reports.is_empty(), "{:?}", ours.reports);
    assert_eq!(burns(&ours), 0);
}

/// Height 1 is proposed by a validator whose Init reaches the others just before the timeout, and the builder after it
/// may reveal.
fn with_a_late_init(draft_reports: bool) -> Report {
    let late = proposer(1, 0);
    let plan = Plan {
        faulty: BTreeMap::from([(late, Misconduct::Scripted)]),
        bids: 100,
        bids_end: 1,
        builder_link_ms: 110,
        draft_reports,
        heights: 8,
        ..Plan::calm(12)
    };
    let simulation = Simulation::new(plan, false).with_rule(move |envelope: &Envelope<'_>| {
        match envelope.message {
            Message::Init { signed, .. }
                if signed.proposal.height == Height(1) && envelope.from == late =>
            {
                Fate::After(95)
            }
            _ => Fate::Usual,
        }
    });
    let report = simulation.run();
    assert_sound(&report);
    assert!(report.rounds[&Height(1)] >= 1);
    report
}

/// Finding H2.
#[test]
fn a_late_init_blames_nobody_and_blamed_the_builder_in_the_draft() {
    let draft = with_a_late_init(true);
    let reporters: Vec<_> = draft.reports.values().collect();
    assert_eq!(reporters, [&BTreeSet::from(others(proposer(1, 0)))]);
    assert_eq!(burns(&draft), 1, "an honest builder loses its bid");
    let ours = with_a_late_init(false);
    assert!(ours.reports.is_empty(), "{:?}", ours.reports);
    assert_eq!(burns(&ours), 0);
}

/// Finding H3: a builder alone reveals to two of four, the proposer among them, so that there is no polka and only two
/// can report. No certificate holds the reports of both: the draft, which asks for more than two thirds in one, never
/// charges. Ours adds them up, and burns once.
#[test]
fn a_partial_reveal_is_charged_over_several_heights_and_once() {
    let first = proposer(1, 0);
    let [paid, one, other] = others(first);
    let plan = Plan {
        bids: 100,
        bids_end: 1,
        heights: 30,
        ..Plan::calm(13)
    };
    let simulation = Simulation::new(plan, false).with_rule(move |envelope: &Envelope<'_>| {
        let (from, to) = (envelope.from, envelope.to);
        let is_hidden = match envelope.message {
            Message::Payload { height, .. } => {
                height.0 == 1 && from == to && to != first && to != paid
            }
            Message::Vote(vote) if vote.vote_type() == VoteType::Precommit => {
                // up to height 4 the certificates hold one reporter's votes, then the other's
                let (silent, heard) = match vote.height().0.0 {
                    ..=4 => (one, other),
                    _ => (other, one),
                };
                from == silent || (from, to) == (heard, silent)
            }
            _ => false,
        };
        match is_hidden {
            true => Fate::Lost,
            false => Fate::Usual,
        }
    });
    let report = simulation.run();
    assert_sound(&report);
    assert!(report.chains[0][0].header.bid.is_none(), "no polka");
    let (withheld, reporters) = report.reports.iter().next().expect("a report");
    assert_eq!(*reporters, BTreeSet::from([one, other]));
    let counts = report.chains[0].iter().map(|block| {
        let certificate = block.header.certificate.iter();
        let reports = certificate.flat_map(|certificate| certificate.reports());
        reports.filter(|(_, report)| *report == withheld).count()
    });
    assert_eq!(counts.max(), Some(1), "the draft would need three");
    assert_eq!(burns(&report), 1);
}

/// Finding H3 (d): what is decided is paid, never burned, also if more than a third report it.
#[test]
fn a_decided_bid_is_not_burned_whoever_reports_it() {
    let first = proposer(1, 0);
    let [one, other, _] = others(first);
    let plan = Plan {
        faulty: BTreeMap::from([(one, Misconduct::Scripted), (other, Misconduct::Scripted)]),
        bids: 100,
        bids_end: 1,
        heights: 20,
        ..Plan::calm(14)
    };
    let mut simulation = Simulation::new(plan.clone(), false);
    for slanderer in [one, other] {
        simulation.nodes[slanderer].craft.slanders = true;
    }
    let report = simulation.run();
    assert_sound(&report);
    let paid = &report.chains[0][0].header;
    assert!(paid.bid.is_some());
    let (slander, reporters): (&Withholding, _) = report.reports.iter().next().unwrap();
    assert_eq!(slander.block, paid.id());
    assert_eq!(*reporters, BTreeSet::from([one, other]));
    assert_eq!(burns(&report), 0);
    // without the slanderers nobody reports anything
    assert!(play(plan).reports.is_empty());
}
