//! Bids and reveals as peers send them: what is told on, what is nobody's fault, and what is its sender's.

use protocol::{
    block::Payload,
    number::{Amount, LeafIndex},
    vote::Withheld,
};

use super::*;
use crate::{
    builder::rig::{
        BidRig, COLLATERAL, COLLATERAL_VALUE, EXPIRING, FEE_LEAF, PROPOSER_LEAF, genesis,
    },
    fixture::key,
};

use Acceptance::{Accept, Ignore, Reject};

const ONE: LeafIndex = COLLATERAL[0];
const OTHER: LeafIndex = COLLATERAL[1];

fn rig() -> BidRig {
    let mut rig = BidRig::new();
    rig.decide_own(0, None); // so that there is a certificate to embed
    rig.send(3, 100);
    rig
}

fn encode(part: Part) -> Bytes {
    WireCodec.encode(&part).unwrap()
}

#[test]
fn a_better_bid_is_taken_and_a_replay_or_an_equal_one_is_not() {
    let rig = rig();
    let first = rig.bid(ONE, 100);
    assert_eq!(rig.exchange.take_bid(first.clone()), Accept);
    assert_eq!(rig.exchange.take_bid(first.clone()), Ignore, "again");
    assert_eq!(
        rig.exchange.take_bid(rig.bid(OTHER, 100)),
        Ignore,
        "as much"
    );
    assert_eq!(rig.exchange.best(PROPOSER_LEAF), Some(first));
    let better = rig.bid(OTHER, 101);
    assert_eq!(rig.exchange.take_bid_bytes(&to_bytes(&better)), Accept);
    assert_eq!(rig.exchange.best(PROPOSER_LEAF), Some(better));
}

#[test]
fn a_builder_has_four_bids_a_height() {
    let mut rig = rig();
    for value in 1..=4 {
        assert_eq!(rig.exchange.take_bid(rig.bid(ONE, value)), Accept);
    }
    assert_eq!(rig.exchange.take_bid(rig.bid(ONE, 5)), Ignore);
    assert_eq!(rig.exchange.take_bid(rig.bid(OTHER, 5)), Accept);
    rig.decide_own(0, None);
    rig.send(1, 100);
    assert_eq!(rig.exchange.best(PROPOSER_LEAF), None, "of another height");
    assert_eq!(rig.exchange.take_bid(rig.bid(ONE, 5)), Accept);
}

#[test]
fn collateral_must_cover_the_bid_and_stay_locked() {
    let rig = rig();
    let above = rig.bid(ONE, COLLATERAL_VALUE + 1);
    assert_eq!(rig.exchange.take_bid(above), Reject);
    assert_eq!(rig.exchange.take_bid(rig.bid(EXPIRING, 5)), Reject);
    assert_eq!(
        rig.exchange.take_bid(rig.bid(LeafIndex(2), 5)),
        Reject,
        "unlocked"
    );
    assert_eq!(
        rig.exchange.take_bid(rig.bid(ONE, COLLATERAL_VALUE)),
        Accept
    );
}

#[test]
fn both_signatures_must_be_right() {
    let rig = rig();
    let mut forged = rig.bid(ONE, 5);
    forged.bid.as_mut().unwrap().builder.0[0] ^= 1;
    assert_eq!(rig.exchange.take_bid(forged), Reject);
    let mut forged = rig.bid(ONE, 5);
    let signature = key(1).sign(&protocol::Fr::from(1_u64));
    forged.bid.as_mut().unwrap().bid.signature = signature;
    assert_eq!(rig.exchange.take_bid(forged), Reject);
}

/// The builder's name does not cover the collateral's signature: a header without it is the proposer's fault, or a burn
/// would come due that no block can hold.
#[test]
fn a_header_without_the_collaterals_signature_is_refused_and_its_builder_not_reported() {
    let rig = rig();
    let mut header = rig.bid(ONE, 5);
    let signature = key(1).sign(&protocol::Fr::from(1_u64));
    header.bid.as_mut().unwrap().bid.signature = signature;
    let executor = &rig.rig.executor;
    let judged = executor.judge_header(&header).unwrap();
    assert!(matches!(judged, Err(Refusal::Invalid(_))), "{judged:?}");
    executor.charge(&header, Withheld::Missing).unwrap();
    assert!(executor.reports.reports(rig.next()).is_empty());
}

#[test]
fn a_bid_is_for_this_block_of_this_proposer_in_round_0() {
    let rig = rig();
    let offer = rig.offer(ONE);
    type Change = fn(&mut Offer);
    use crate::executor::Offer;
    let changes: [(&str, Change); 6] = [
        ("birth round", |offer| offer.core.birth_round = Round(1)),
        ("parent", |offer| offer.core.parent.0[0] ^= 1),
        ("author", |offer| offer.core.author.0[0] ^= 1),
        ("state", |offer| {
            offer.core.state_root_before += protocol::Fr::from(1_u64)
        }),
        ("certificate", |offer| offer.certificate = None),
        ("certificate of another", |offer| {
            let certificate = offer.certificate.as_mut().unwrap();
            certificate.signatures.pop();
            certificate.signatures.pop();
            offer.core.certificate_hash = certificate.hash();
        }),
    ];
    for (what, change) in changes {
        let mut changed = offer.clone();
        change(&mut changed);
        let header = rig.sign(ONE, &changed);
        assert_eq!(rig.exchange.take_bid(header), Reject, "{what}");
    }
    let mut late = offer.clone();
    late.core.height = Height(1);
    assert_eq!(rig.exchange.take_bid(rig.sign(ONE, &late)), Ignore);
    let mut other_core = rig.bid(ONE, 5);
    other_core.core.payload_root[0] ^= 1;
    assert_eq!(rig.exchange.take_bid(other_core), Reject);
    let mut plain = rig.bid(ONE, 5);
    plain.bid = None;
    assert_eq!(rig.exchange.take_bid(plain), Reject);
    assert_eq!(rig.exchange.take_bid_bytes(&[0xff; 40]), Reject);
}

/// A bid that pays a leaf of its own choice must not keep honest bids away from the proposer.
#[test]
fn bids_are_compared_only_with_those_that_pay_the_same_leaf() {
    let rig = rig();
    let mut astray = rig.offer(ONE);
    astray.core.fee_leaves = protocol::threaded::FeeLeaves::new(&[LeafIndex(3), FEE_LEAF]).unwrap();
    astray.value = Amount::new(1_000_000).unwrap();
    let astray = rig.sign(ONE, &astray);
    assert_eq!(rig.exchange.take_bid(astray), Accept);
    assert_eq!(rig.exchange.best(PROPOSER_LEAF), None);
    let honest = rig.bid(OTHER, 5);
    assert_eq!(rig.exchange.take_bid(honest.clone()), Accept);
    assert_eq!(rig.exchange.best(PROPOSER_LEAF), Some(honest));
}

#[test]
fn a_suspended_builder_is_not_heard() {
    let mut rig = rig();
    let withheld = rig.bid(ONE, 5);
    let bid = withheld.bid.unwrap();
    let report = protocol::vote::Report {
        height: rig.next(),
        bid: bid.hash(&genesis().domain()),
        builder: bid.builder,
        block: withheld.id(),
        fault: Withheld::Missing,
    };
    rig.decide_own(3, Some(report));
    rig.rig
        .executor
        .reports
        .learn(&report.bid, bid, &genesis().domain());
    rig.decide_own(0, None); // embeds the reports
    rig.send(1, 100);
    assert_eq!(rig.exchange.take_bid(rig.bid(ONE, 5)), Reject);
    assert_eq!(rig.exchange.take_bid(rig.bid(OTHER, 5)), Accept);
}

#[test]
fn a_bid_for_the_height_after_the_next_waits_for_its_block() {
    let (behind, mut ahead) = (rig(), rig());
    let mut behind = behind;
    let block = (*ahead.propose().block).clone();
    ahead.decide(block.clone(), 0, None);
    ahead.send(1, 100);
    let early = ahead.bid(ONE, 5);
    assert_eq!(behind.exchange.take_bid(early.clone()), Ignore);
    assert_eq!(behind.exchange.best(PROPOSER_LEAF), None);
    behind.decide(block, 0, None);
    assert_eq!(behind.exchange.best(PROPOSER_LEAF), Some(early));
}

fn payload_of(rig: &BidRig) -> (BlockHeader, Payload) {
    let offer = rig.offer(ONE);
    (rig.sign(ONE, &offer), offer.payload)
}

#[test]
fn a_payload_is_told_on_after_its_init_and_once() {
    let rig = rig();
    let mut parts = rig.exchange.attach();
    let (header, payload) = payload_of(&rig);
    let signed = rig.init(0, &header);
    let init = encode(Part::Init {
        signed,
        header: Box::new(header),
    });
    let reveal = encode(Part::Payload(Box::new(payload)));
    assert_eq!(rig.exchange.take_reveal_bytes(init.clone()), Accept);
    assert_eq!(rig.exchange.take_reveal_bytes(init), Ignore, "again");
    assert_eq!(rig.exchange.take_reveal_bytes(reveal.clone()), Accept);
    assert_eq!(rig.exchange.take_reveal_bytes(reveal), Ignore, "again");
    assert!(matches!(parts.try_recv(), Ok(Part::Init { .. })));
    assert!(matches!(parts.try_recv(), Ok(Part::Payload(_))));
    assert!(parts.try_recv().is_err());
}

#[test]
fn a_payload_that_nobody_asked_for_is_not_told_on() {
    let rig = rig();
    let (header, payload) = payload_of(&rig);
    let root = payload.root();
    let reveal = encode(Part::Payload(Box::new(payload)));
    assert_eq!(rig.exchange.take_reveal_bytes(reveal.clone()), Ignore);
    let (is_new, orphan) = lock(&rig.exchange.known).take(&rig.init(0, &header), &header);
    assert!(is_new, "until its Init comes");
    assert_eq!(orphan, Some(reveal));
    assert!(lock(&rig.exchange.known).roots[&root].1);
    for nonce in 0..20 {
        let inbox = vec![];
        let mut payload = Payload {
            inbox,
            ..Payload::default()
        };
        let word = protocol::words::Word([nonce; 31]);
        payload.inbox.push(protocol::inbox::InboxItem([word; 5]));
        let reveal = encode(Part::Payload(Box::new(payload)));
        assert_eq!(rig.exchange.take_reveal_bytes(reveal), Ignore);
    }
    assert_eq!(lock(&rig.exchange.known).orphans.len(), ORPHANS_MAX);
}

#[test]
fn an_init_is_the_proposers_of_its_round_and_two_a_round_are_told() {
    let rig = rig();
    let header = rig.bid(ONE, 5);
    let part = |signed: SignedProposal, header: &BlockHeader| {
        encode(Part::Init {
            signed,
            header: Box::new(header.clone()),
        })
    };
    let mut stolen = rig.init(0, &header);
    stolen.proposer = rig.proposer(1);
    assert_eq!(
        rig.exchange.take_reveal_bytes(part(stolen, &header)),
        Reject
    );
    let other = rig.bid(ONE, 6);
    let crossed = rig.init(0, &header);
    assert_eq!(
        rig.exchange.take_reveal_bytes(part(crossed, &other)),
        Reject
    );
    let mut plain = header.clone();
    plain.bid = None;
    let signed = rig.init(0, &plain);
    assert_eq!(rig.exchange.take_reveal_bytes(part(signed, &plain)), Reject);
    for (value, expected) in [(5, Accept), (6, Accept), (7, Ignore)] {
        let header = rig.bid(ONE, value);
        let signed = rig.init(0, &header);
        assert_eq!(
            rig.exchange.take_reveal_bytes(part(signed, &header)),
            expected
        );
    }
    assert_eq!(
        rig.exchange
            .take_reveal_bytes(Bytes::from_static(&[1, 5, 9])),
        Reject
    );
}

#[test]
fn the_builder_hears_of_every_init_that_agreement_takes() {
    let mut rig = rig();
    let header = rig.bid(ONE, 5);
    rig.exchange.see_init(&rig.init(0, &header), &header, None);
    let reveal = rig.sold.try_recv().unwrap();
    assert_eq!(reveal.payload_root, header.core.payload_root);
    assert_eq!((reveal.height, reveal.until), (rig.next(), None));
}
