//! The attacks on the first draft of the design, one by one (`sequencing-review.md`), and plain endurance.

use std::{cell::Cell, collections::BTreeMap};

use arc_malachitebft_core_types::{NilOrVal, Vote as _, VoteType};
use protocol::{
    account::L1Address,
    block::Block,
    number::{Height, Round},
};

use crate::{
    chain::{CLIENTS, Chain},
    faults,
    faults::Misconduct,
    message::Message,
    plan::{Outage, Plan, Reveal},
    run::{Envelope, Fate, Report, Simulation},
};

pub(crate) fn play(plan: Plan) -> Report {
    Simulation::new(plan, false).run()
}

pub(crate) fn assert_sound(report: &Report) {
    let faults = faults(report);
    assert!(faults.is_empty(), "{}", faults.join("; "));
}

/// Seat that proposes at this height and round, among four equal validators.
pub(crate) fn proposer(height: u64, round: u32) -> usize {
    let chain = Chain::new(&Plan::calm(0));
    let address = *chain.set().proposer(Height(height), Round(round));
    seat_of(&chain, &address)
}

pub(crate) fn seat_of(chain: &Chain, address: &L1Address) -> usize {
    let seats = chain.set().validators().iter();
    let mut places = seats
        .enumerate()
        .filter(|(_, seat)| seat.address == *address);
    places.next().expect("a member").0
}

pub(crate) fn highest_round(report: &Report) -> i64 {
    report.rounds.values().copied().max().unwrap_or(0)
}

#[test]
fn a_calm_network_decides_every_height_in_round_0() {
    let report = play(Plan {
        heights: 30,
        ..Plan::calm(1)
    });
    assert_sound(&report);
    assert_eq!(highest_round(&report), 0);
    assert_eq!(report.guilty_weight, 0);
}

/// Endurance: one key on two machines that know nothing of each other, for a thousand heights.
#[test]
fn a_thousand_heights_with_one_equivocator_are_the_same_everywhere() {
    let report = play(Plan {
        faulty: BTreeMap::from([(2, Misconduct::Twins)]),
        heights: 1_000,
        end_at: 2_000_000,
        submissions: 24,
        ..Plan::calm(2)
    });
    assert_sound(&report);
    assert_eq!(report.chains.len(), 3);
    for height in 0..1_000 {
        let blocks: Vec<&Block> = report.chains.iter().map(|chain| &chain[height]).collect();
        assert!(blocks.iter().all(|block| *block == blocks[0]));
    }
    assert_eq!(
        report.guilty_weight, 1,
        "the equivocator is convicted, and nobody else"
    );
}

/// Half of the weight signs everything twice and keeps the two honest nodes apart.
#[test]
fn two_equivocators_of_four_split_the_chain_and_are_named() {
    let plan = Plan {
        faulty: BTreeMap::from([(0, Misconduct::Twins), (1, Misconduct::Twins)]),
        heights: 20,
        end_at: 20_000,
        ..Plan::calm(3)
    };
    // nodes 4 and 5 are the second machines of seats 0 and 1
    let side = |node: usize| matches!(node, 3..=5);
    let simulation = Simulation::new(plan, false).with_rule(move |envelope: &Envelope<'_>| {
        if side(envelope.from) == side(envelope.to) {
            Fate::Usual
        } else {
            Fate::Lost
        }
    });
    let report = simulation.run();
    let is_split = report
        .violations
        .iter()
        .any(|violation| violation.contains("both decided"));
    assert!(is_split || !report.is_live, "{:?}", report.violations);
    assert!(report.guilty_weight * 3 >= 4, "at least a third is named");
    let chain = Chain::new(&Plan::calm(0));
    let seats: Vec<usize> = report
        .guilty
        .iter()
        .map(|one| seat_of(&chain, one))
        .collect();
    assert!(
        seats.iter().all(|seat| *seat < 2),
        "only the guilty: {seats:?}"
    );
}

/// Finding C1: a value with a bid, locked in round 0 by two of four, is proposed again in a later round. The first
/// draft made its bid void there, and the chain stood still for ever.
#[test]
fn a_bid_locked_in_round_0_is_decided_in_a_later_round() {
    let first = proposer(1, 0);
    let others: Vec<usize> = (0..4).filter(|seat| *seat != first).collect();
    let (unpaid, witness, locker) = (others[0], others[1], others[2]);
    let plan = Plan {
        bids: 100,
        publishes_locks: false,
        heights: 3,
        ..Plan::calm(4)
    };
    let simulation = Simulation::new(plan, false).with_rule(move |envelope: &Envelope<'_>| {
        let is_hidden = match envelope.message {
            Message::Payload { height, .. } => {
                height.0 == 1 && envelope.now < 200 && envelope.to == unpaid
            }
            Message::Vote(vote) => {
                vote.height().0.0 == 1
                    && vote.round().as_i64() == 0
                    && vote.vote_type() == VoteType::Prevote
                    && envelope.from == locker
                    && (envelope.to == unpaid || envelope.to == witness)
            }
            _ => false,
        };
        if is_hidden {
            return Fate::Lost;
        }
        Fate::Usual
    });
    let report = simulation.run();
    assert_sound(&report);
    assert!(report.rounds[&Height(1)] >= 1, "round 0 must fail");
    let block = &report.chains[0][0];
    assert!(
        block.header.bid.is_some(),
        "the locked value, with its bid, is decided"
    );
    assert_eq!(block.header.core.birth_round, Round(0));
}

/// Finding C2: where one validator is a third, its blind vote could certify what nobody checked: no bids there.
#[test]
fn a_heavy_validator_means_no_bids() {
    let bids = |weights: Vec<u64>| {
        let report = play(Plan {
            weights,
            bids: 100,
            heights: 8,
            ..Plan::calm(5)
        });
        assert_sound(&report);
        let blocks = report.chains[0].iter();
        blocks.filter(|block| block.header.bid.is_some()).count()
    };
    assert_eq!(bids(vec![40, 30, 15, 15]), 0);
    assert!(bids(vec![33, 33, 17, 17]) >= 8);
}

/// Finding H4: a faulty validator shows its prevote to one node only, which alone locks. Rounds until height 1 is
/// decided.
fn rounds_with_hidden_lock(publishes_locks: bool) -> (i64, i64) {
    let first = proposer(1, 0);
    let turn = |seat: usize| (1..12).find(|round| proposer(1, *round) == seat).unwrap();
    let hidden = (0..4).max_by_key(|seat| turn(*seat)).unwrap();
    let faulty = (0..4)
        .find(|seat| *seat != hidden && *seat != first)
        .unwrap();
    let rest: Vec<usize> = (0..4)
        .filter(|seat| ![hidden, faulty, first].contains(seat))
        .collect();
    let unpaid = rest[0]; // has not seen the payload
    let plan = Plan {
        heights: 1,
        publishes_locks,
        ..Plan::calm(6)
    };
    let is_first_payload = Cell::new(true);
    let simulation = Simulation::new(plan, false).with_rule(move |envelope: &Envelope<'_>| {
        if envelope.from == faulty && envelope.to != faulty {
            let shows = match envelope.message {
                Message::Vote(vote) => {
                    vote.height().0.0 == 1
                        && vote.round().as_i64() == 0
                        && vote.vote_type() == VoteType::Prevote
                        && matches!(vote.value(), NilOrVal::Val(_))
                        && envelope.to == hidden
                }
                _ => false,
            };
            return if shows { Fate::Usual } else { Fate::Lost };
        }
        if let Message::Payload { .. } = envelope.message
            && envelope.to == unpaid
            && is_first_payload.replace(false)
        {
            return Fate::Lost;
        }
        Fate::Usual
    });
    let report = simulation.run();
    assert_sound(&report);
    (report.rounds[&Height(1)], i64::from(turn(hidden)))
}

#[test]
fn a_hidden_lock_costs_two_rounds_at_most_when_locks_are_published() {
    let (without, turn) = rounds_with_hidden_lock(false);
    let (with, _) = rounds_with_hidden_lock(true);
    assert_eq!(
        without, turn,
        "nothing moves before the locked node proposes"
    );
    assert!(with <= 2 && with < without, "{with} against {without}");
}

/// Finding H5: a node whose view of the base layer lags does not answer, and the others wait for it: then it votes.
#[test]
fn a_lagging_view_of_the_base_layer_delays_and_decides() {
    let plan = Plan {
        blind: Some((1, 1_500)),
        outages: vec![Outage {
            node: 3,
            at: 100,
            back: 2_500,
            is_torn: false,
        }],
        calm_at: 2_600,
        heights: 4,
        ..Plan::calm(7)
    };
    let report = play(plan);
    assert_sound(&report);
    // node 3 is down from 100 to 2,500 ms, so a block that names the base layer needs the vote of node 1
    let named = report.chains[0]
        .iter()
        .filter(|block| block.header.core.l1_origin.number > 0);
    let times: Vec<u64> = named
        .map(|block| report.decided_at[&block.header.core.height])
        .collect();
    assert!(times.iter().all(|time| *time >= 1_500), "{times:?}");
    assert!(
        times.iter().any(|time| *time < 2_500),
        "an unknown block became valid when the view caught up: {times:?}"
    );
}

/// Finding H6: what all list is in the next block, even if proposers choose nothing themselves.
#[test]
fn lists_alone_bring_every_transaction_in() {
    let mut simulation = Simulation::new(
        Plan {
            heights: 40,
            submissions: 16,
            ..Plan::calm(8)
        },
        false,
    );
    for node in &mut simulation.nodes {
        node.craft.empty = true;
    }
    let report = simulation.run();
    assert_sound(&report);
    let entries = report.chains[0]
        .iter()
        .flat_map(|block| &block.payload.entries);
    assert_eq!(entries.count(), 16);
    assert!(CLIENTS.len() > 16);
}

/// Rule 8: a builder that never reveals costs each of its heights one round, is burned, and then suspended.
#[test]
fn a_withholding_builder_is_burned_and_suspended() {
    let report = play(Plan {
        bids: 100,
        reveals: vec![Reveal::Never],
        heights: 12,
        ..Plan::calm(9)
    });
    assert_sound(&report);
    assert!(report.burns > 0, "no bid was burned");
    assert!(highest_round(&report) <= 2, "{:?}", report.rounds);
    let late = report
        .rounds
        .range(Height(6)..)
        .filter(|(_, round)| **round > 0);
    assert_eq!(
        late.count(),
        0,
        "a suspended builder costs no rounds: {:?}",
        report.rounds
    );
    let sold = report.chains[0]
        .iter()
        .filter(|block| block.header.bid.is_some());
    assert_eq!(sold.count(), 0);
}

/// A payload that does not execute: nil, burned, and never decided.
#[test]
fn a_builder_with_invalid_payloads_is_burned() {
    let report = play(Plan {
        bids: 100,
        reveals: vec![Reveal::Invalid],
        heights: 12,
        ..Plan::calm(10)
    });
    assert_sound(&report);
    assert!(report.burns > 0);
    assert!(
        report.chains[0]
            .iter()
            .all(|block| block.header.bid.is_none())
    );
}

/// The referee bites: a node that loses log and guard signs twice, and that is seen.
#[test]
fn without_log_and_guard_a_restarted_node_signs_twice() {
    let caught = (0..20).any(|seed| {
        let plan = Plan {
            faulty: BTreeMap::from([(1, Misconduct::Amnesia)]),
            calm_at: 600,
            ..Plan::calm(seed)
        };
        let mut simulation = Simulation::new(plan, false);
        simulation.call_honest(1);
        let violations = simulation.run().violations;
        violations
            .iter()
            .any(|one| one.contains("signed two messages"))
    });
    assert!(caught);
}
