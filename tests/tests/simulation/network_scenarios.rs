//! What the campaign draws at random, once each on purpose: partitions, partial payloads, epochs, slow lists, inbox
//! items, and every trigger of a faulty validator.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{
    certificate::CertificateError,
    number::{Epoch, Height},
    params::EPOCH_HEIGHTS,
};

use crate::{
    chain::Chain,
    faults::{KINDS, Misconduct},
    layer::BASE_BLOCK_MS,
    plan::{Partition, Plan, Reveal},
    run::Report,
    scenarios::{assert_sound, highest_round, play, proposer, seat_of},
};

/// Two halves of four from 200 ms on.
fn split(seed: u64, until: u64) -> Plan {
    Plan {
        partitions: vec![Partition {
            from: 200,
            until,
            inside: BTreeSet::from([0, 1]),
        }],
        calm_at: until,
        delay_ms: 10,
        heights: 4,
        ..Plan::calm(seed)
    }
}

#[test]
fn two_halves_decide_nothing_and_four_rounds_after_healing_there_is_a_block() {
    for seed in 0..20 {
        let until = 1_000 + 250 * seed;
        let report = play(split(seed, until));
        assert_sound(&report);
        // what was on its way at 200 ms may still arrive
        let apart = report.decided_at.values();
        let apart: Vec<_> = apart.filter(|at| (300..until).contains(*at)).collect();
        assert!(apart.is_empty(), "decided by a half: {apart:?}");
        let (height, round) = report.at_calm.unwrap();
        let rounds = report.rounds[&height] - round;
        assert!(rounds <= 4, "seed {seed}: {rounds} rounds after healing");
    }
}

/// One validator runs on both sides of the partition: the side with three quarters of the weight goes on, alone.
#[test]
fn an_equivocator_on_both_sides_lets_one_side_decide_and_no_second_block() {
    let report = play(Plan {
        faulty: BTreeMap::from([(1, Misconduct::Twins)]),
        ..split(40, 3_000)
    });
    assert_sound(&report);
    let apart = report.decided_at.values();
    let apart = apart.filter(|at| (300..3_000).contains(*at)).count();
    assert!(apart > 0, "three of four must decide");
    assert_eq!(report.guilty_weight, 1);
}

#[test]
fn a_proposer_that_sends_parts_to_some_costs_rounds_and_nothing_else() {
    let report = play(Plan {
        faulty: BTreeMap::from([(proposer(1, 0), Misconduct::PartialParts)]),
        heights: 40,
        ..Plan::calm(21)
    });
    assert_sound(&report);
    let highest = highest_round(&report);
    assert!((1..=2).contains(&highest), "{highest}");
    assert!(report.reports.is_empty(), "there is no builder to blame");
}

/// A builder's payload to two nodes only, whichever they are, in half of the heights.
#[test]
fn a_builder_that_reveals_to_some_costs_one_round_each_time() {
    let report = play(Plan {
        bids: 100,
        reveals: vec![Reveal::Partial, Reveal::InTime],
        heights: 40,
        ..Plan::calm(22)
    });
    assert_sound(&report);
    assert_eq!(highest_round(&report), 1);
    assert!(report.burns > 0);
}

/// Seat 0 leaves and seat 4 joins after three heights.
fn changing() -> Plan {
    Plan {
        weights: vec![1, 1, 1, 1, 0],
        next_weights: Some(vec![0, 1, 1, 1, 1]),
        start: EPOCH_HEIGHTS - 3,
        heights: 30,
        ..Plan::calm(23)
    }
}

/// Follows the chain as a stranger does that knows the first set only.
fn follow(plan: &Plan, report: &Report) {
    let genesis = Chain::new(plan);
    let (old, new) = (genesis.sets.of_epoch(0), genesis.sets.of_epoch(1));
    let (leaver, joiner) = (
        genesis.world.validators[0].address(),
        genesis.world.validators[4].address(),
    );
    let mut set = old;
    let (mut strangers, mut proposed) = (0, 0);
    let decided = report.chains[0].iter().zip(&report.certificates);
    for (block, certificate) in decided {
        let core = &block.header.core;
        assert_eq!(certificate.block, block.id());
        assert_eq!(certificate.verify(&genesis.world.domain, set), Ok(()));
        if core.epoch == Epoch(0) {
            assert_eq!(core.next_set_hash, new.hash());
        } else {
            assert_ne!(core.author, leaver);
            proposed += usize::from(core.author == joiner);
            let refused = certificate.verify(&genesis.world.domain, old);
            strangers += usize::from(refused == Err(CertificateError::Stranger(joiner)));
        }
        if core.height == Height(EPOCH_HEIGHTS) {
            assert_eq!(core.next_set_hash, new.hash());
            set = new;
        }
    }
    assert_eq!(set, new, "the run must cross the epoch");
    assert!(proposed > 0, "the joiner proposes");
    assert!(strangers > 0, "the old set does not accept the joiner");
}

#[test]
fn certificates_of_both_sets_chain_across_an_epoch() {
    let plan = changing();
    let report = play(plan.clone());
    assert_sound(&report);
    assert_eq!(report.chains.len(), 5, "who is not in the set follows");
    assert_eq!(highest_round(&report), 0);
    follow(&plan, &report);
}

#[test]
fn an_epoch_ends_among_bids_and_with_an_equivocator() {
    let plan = Plan {
        faulty: BTreeMap::from([(2, Misconduct::Twins)]),
        bids: 100,
        reveals: vec![Reveal::InTime, Reveal::Partial],
        ..changing()
    };
    let report = play(plan.clone());
    assert_sound(&report);
    follow(&plan, &report);
    let guilty = report.guilty.iter();
    let chain = Chain::new(&plan);
    let guilty: Vec<usize> = guilty.map(|one| seat_of(&chain, one)).collect();
    assert_eq!(guilty, [2]);
}

/// Transactions take up to two seconds to some nodes, and the bytes of listed ones up to 400 ms to a proposer, which
/// has 120: it is too late, and the next one fetches in time or holds them.
#[test]
fn slow_bytes_of_listed_transactions_cost_rounds_and_every_one_gets_in() {
    let report = play(Plan {
        submissions: 16,
        gossip_ms: 2_000,
        fetch_ms: 400,
        delay_ms: 10,
        calm_at: 4_000,
        heights: 10,
        ..Plan::calm(24)
    });
    // the referee compares each block with what its parent's certificate and all honest validators listed
    assert_sound(&report);
    let counts = report.counts;
    assert!(counts.missed_fetches > 0 && counts.fetches > counts.missed_fetches);
    assert!(highest_round(&report) >= 1);
    let entries = report.chains[0]
        .iter()
        .flat_map(|block| &block.payload.entries);
    assert_eq!(entries.count(), 16);
}

/// Nodes learn of a base-layer block up to 400 ms apart: who does not know it yet says nothing, and votes when it does.
#[test]
fn inbox_items_get_in_under_differing_views_and_overdue_ones_at_once() {
    let inbox = vec![(1, 1), (1, 3), (4, 4), (6, 9)];
    let report = play(Plan {
        inbox: inbox.clone(),
        base_lag_ms: 400,
        calm_at: 2_000,
        delay_ms: 10,
        heights: 20,
        ..Plan::calm(25)
    });
    // the referee refuses a block without an item that is due at its origin
    assert_sound(&report);
    assert!(report.counts.late_answers > 0, "nobody had to wait");
    let mut consumed_at = Vec::new();
    for block in &report.chains[0] {
        let origin = block.header.core.l1_origin.number;
        consumed_at.extend(block.payload.inbox.iter().map(|_| origin));
    }
    assert_eq!(consumed_at.len(), inbox.len());
    for ((enqueued_at, _), origin) in inbox.iter().zip(&consumed_at) {
        assert!(origin >= enqueued_at);
    }
    let last = report.chains[0].last().unwrap();
    assert!(last.header.core.l1_origin.number * BASE_BLOCK_MS >= 2_000 - 2 * BASE_BLOCK_MS);
}

/// Each kind in every round, beside a builder that is often late, so that rounds fail and locks matter.
#[test]
fn each_kind_of_fault_shows_and_does_no_harm() {
    let plan = |kind: Option<Misconduct>| Plan {
        faulty: kind.into_iter().map(|kind| (1, kind)).collect(),
        bids: 100,
        reveals: vec![Reveal::InTime, Reveal::Late, Reveal::Partial],
        heights: 30,
        ..Plan::calm(26)
    };
    let honest = play(plan(None));
    assert_sound(&honest);
    for kind in KINDS {
        let report = play(plan(Some(kind)));
        assert_sound(&report);
        assert_ne!(report.hash, honest.hash, "{kind:?} changes nothing");
    }
}
