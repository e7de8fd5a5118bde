//! What is kept of what arrives.

use protocol::validator::ValidatorKey;

use super::*;
use crate::fixture::{Rig, domain, seat_key as key, set_of_four as set, sign, transfer};

fn key_of(address: protocol::account::L1Address) -> ValidatorKey {
    (1..=4)
        .map(key)
        .find(|key| key.address() == address)
        .unwrap()
}

/// A block, and its Init by the proposer of a round.
fn opened(round: u32, amount: u128) -> (Init, Box<Payload>) {
    let rig = Rig::new(crate::MempoolConfig::default());
    rig.send_one(sign(transfer(1, 2, 0, amount, 2))).unwrap();
    let block = rig.propose().block;
    let proposal = protocol::vote::Proposal {
        height: Height(1),
        round: Round(round),
        pol_round: None,
        block: block.id(),
    };
    let signer = key_of(*set().proposer(Height(1), Round(round)));
    let signed = proposal.sign(ProposalKind::Init, &domain(), &signer);
    let header = Box::new(block.header.clone());
    (Init { signed, header }, Box::new(block.payload.clone()))
}

#[test]
fn both_halves_make_a_block_in_either_order() {
    for payload_first in [false, true] {
        let (init, payload) = opened(0, 10);
        let id = init.signed.proposal.block;
        let mut parts = Parts::new(domain(), Height(1));
        if payload_first {
            assert_eq!(parts.take_payload(payload.clone()), Arrival::Nothing);
        }
        assert_eq!(parts.take_init(init, &set()), Arrival::Init(Round(0), id));
        if !payload_first {
            let root = payload.root();
            assert_eq!(parts.take_payload(payload), Arrival::Payload(root));
        }
        assert_eq!(parts.block(id).unwrap().id(), id);
    }
}

#[test]
fn an_init_of_anybody_else_is_not_kept() {
    let (init, _) = opened(0, 10);
    let mut forged = Vec::new();
    let proposal = init.signed.proposal;
    let proposer = *set().proposer(Height(1), Round(0));
    let stranger = (1..=4)
        .map(key)
        .find(|key| key.address() != proposer)
        .unwrap();
    let mut stolen = init.clone();
    stolen.signed = proposal.sign(ProposalKind::Init, &domain(), &stranger);
    forged.push(stolen.clone());
    stolen.signed.proposer = proposer;
    forged.push(stolen);
    let mut disguised = init.clone();
    disguised.signed = proposal.sign(ProposalKind::Proposal, &domain(), &key_of(proposer));
    forged.push(disguised);
    let mut other_block = init.clone();
    other_block.header.core.timestamp_ms += 1;
    forged.push(other_block);
    let mut parts = Parts::new(domain(), Height(1));
    for one in forged {
        assert_eq!(parts.take_init(one, &set()), Arrival::Nothing);
    }
    let (far, _) = opened(ROUNDS_AHEAD + 1, 10);
    assert_eq!(parts.take_init(far, &set()), Arrival::Nothing);
    assert_eq!(parts.inits().count(), 0);
}

#[test]
fn a_second_init_is_evidence_and_a_third_is_nothing() {
    let mut parts = Parts::new(domain(), Height(1));
    let (first, _) = opened(0, 10);
    let (second, _) = opened(0, 11);
    let (third, _) = opened(0, 12);
    parts.take_init(first.clone(), &set());
    let pair = Box::new((first.signed, second.signed));
    assert_eq!(
        parts.take_init(second, &set()),
        Arrival::Double(pair.clone())
    );
    let evidence = protocol::evidence::Evidence::DoubleProposal(pair.0, pair.1);
    assert!(evidence.verify(&domain(), &set()).is_ok());
    assert_eq!(parts.take_init(third, &set()), Arrival::Nothing);
    assert_eq!(parts.take_init(first, &set()), Arrival::Nothing, "known");
    assert_eq!(parts.inits().count(), 2);
}

#[test]
fn parts_of_the_next_height_wait_for_it_and_older_ones_are_gone() {
    let (init, payload) = opened(0, 10);
    let id = init.signed.proposal.block;
    let mut parts = Parts::new(domain(), Height(0));
    parts.take_init(init, &set());
    parts.take_payload(payload);
    assert!(parts.block(id).is_none(), "of another height");
    parts.start_height(Height(1));
    assert!(parts.block(id).is_some());
    parts.start_height(Height(2));
    assert!(parts.block(id).is_none());
}

#[test]
fn payloads_that_nobody_asked_for_are_few() {
    let mut parts = Parts::new(domain(), Height(1));
    for amount in 0..3 * ORPHANS_MAX {
        let submission = sign(transfer(1, 2, 0, u128::try_from(amount).unwrap(), 2));
        let payload = Payload {
            excuses: vec![submission],
            ..Payload::default()
        };
        parts.take_payload(Box::new(payload));
    }
    assert_eq!(parts.orphans.len(), ORPHANS_MAX);
}
