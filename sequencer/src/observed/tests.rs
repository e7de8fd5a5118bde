//! The window and the log of bids, fed by blocks of a small chain.

use bytes::Bytes;
use protocol::{
    number::{Amount, LeafIndex, Round},
    params::BATCH_ABSORPTIONS_MAX,
    vote::{Report, Withheld},
};

use super::*;
use crate::{
    builder::rig::{BidRig, COLLATERAL, builder, genesis},
    chain::now_ms,
    config::MempoolConfig,
    executor::Judged,
    fixture::{Rig, certify, domain, set_of_four, sign, transfer, validator},
    network::Acceptance,
};

const ONE: LeafIndex = COLLATERAL[0];
const TWO: LeafIndex = COLLATERAL[1];

fn rig() -> Rig {
    Rig::new(MempoolConfig::default())
}

fn delay(rig: &Rig) -> api::set::InclusionDelay {
    let summary = rig.executor.observed.summary();
    summary.proposers[&validator().address()].delay.to_json()
}

/// Where the validator of one signed last.
fn signed(summary: &Summary) -> Option<Height> {
    summary.last_signed.get(&validator().address()).copied()
}

/// An empty block of another node, committed here.
fn leave_out(here: &Rig, there: &Rig) {
    let judged: Judged = there.propose();
    assert_eq!(judged.block.operation_count(), 0);
    there.commit(judged.clone());
    here.commit(judged);
}

#[test]
fn waiting_is_measured_in_heights_and_milliseconds_from_the_height_that_was_open() {
    let mut rig = rig();
    rig.now_ms = now_ms();
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    rig.block_after(60_000);
    let at_once = delay(&rig);
    assert_eq!((at_once.entries, at_once.heights.max), (1, 0));
    assert!(
        (30_000..=60_000).contains(&at_once.milliseconds.max),
        "{at_once:?}"
    );
    let without = rig.propose();
    rig.send_one(sign(transfer(1, 2, 1, 10, 2))).unwrap();
    rig.commit(without);
    rig.block();
    let later = delay(&rig);
    assert_eq!(
        (later.entries, later.heights.max, later.heights.sum),
        (2, 1, 1)
    );
    assert_eq!((later.heights.p50, later.heights.p90), (0, 1));
    assert_eq!(later.left_out, 0, "nobody could have listed it");
    let summary = rig.executor.observed.summary();
    assert_eq!(summary.proposers[&validator().address()].blocks, 3);
    assert!(summary.builders.is_empty());
    assert_eq!(signed(&summary), Some(Height(3)));
}

#[test]
fn an_entry_that_a_start_has_brought_back_is_not_measured() {
    let rig = rig();
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    let dir = std::sync::Arc::clone(&rig.dir);
    drop(rig);
    let mut rig = Rig::open(dir, MempoolConfig::default(), Default::default()).unwrap();
    rig.block();
    assert_eq!(delay(&rig).entries, 0);
    assert_eq!(rig.shared().pool().len(), 0, "it was ordered");
}

#[test]
fn a_block_that_could_have_held_what_was_listable_before_it_left_it_out() {
    let (here, there) = (rig(), rig());
    here.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    here.send_one(sign(transfer(1, 2, 1, 10, 2))).unwrap();
    here.send_one(sign(transfer(2, 3, 7, 10, 2))).unwrap(); // a gap: it does not apply
    for expected in [0, 0, 1, 2] {
        leave_out(&here, &there);
        assert_eq!(
            delay(&here).left_out,
            expected,
            "the first of two, once a block"
        );
    }
    let judged = here.propose();
    here.commit(judged);
    let taken = delay(&here);
    assert_eq!(
        (taken.left_out, taken.entries, taken.heights.max),
        (2, 2, 4)
    );
}

#[test]
fn a_full_block_leaves_nothing_out() {
    let (here, there) = (rig(), rig());
    here.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    for _ in 0..3 {
        leave_out(&here, &there);
    }
    let mut block = (*there.propose().block).clone();
    block.header.core.height = Height(3);
    let count = |block: &Block| {
        let shared = here.shared();
        let (pool, view) = (shared.pool(), shared.chain.view());
        left_out(&shared.chain.constants, &view, &pool, block)
    };
    assert_eq!(count(&block), 1);
    block.header.core.usage.absorptions = BATCH_ABSORPTIONS_MAX;
    assert_eq!(count(&block), 0);
    block.header.core.usage = Default::default();
    block.header.core.usage.operations = 2_048;
    assert_eq!(count(&block), 0);
}

/// Blocks that nobody built: only what the window reads is right.
struct Script {
    block: Block,
    certificate: ExtendedCertificate,
    set: ValidatorSet,
}

impl Script {
    fn new() -> Self {
        let block = (*rig().propose().block).clone();
        Self {
            certificate: certify(&block, &validator(), 0),
            block,
            set: set_of_four(),
        }
    }

    fn commit(&mut self, observed: &Observed, height: u64, round: u32, now_ms: u64) {
        self.block.header.core.height = Height(height);
        self.certificate.height = Height(height);
        self.certificate.round = Round(round);
        let waited = vec![Waited {
            heights: 1,
            milliseconds: 10,
        }];
        observed.commit(&Committed {
            block: &self.block,
            certificate: &self.certificate,
            set: &self.set,
            domain: &domain(),
            waited,
            left_out: 1,
            now_ms,
        });
    }
}

#[test]
fn the_window_holds_the_newest_heights_only() {
    let (observed, mut script) = (Observed::new(Height(0)), Script::new());
    script.block.header.core.timestamp_ms = 1_000;
    let max = u64::try_from(WINDOW_HEIGHTS_MAX).unwrap();
    let author = script.block.header.core.author;
    script.commit(&observed, 1, 40, 1_000);
    script.certificate.signatures.clear();
    assert_eq!(
        observed.summary().rounds_lost.values().sum::<u64>(),
        32,
        "bounded"
    );
    for height in 2..=max {
        script.commit(&observed, height, 0, 1_000);
    }
    assert_eq!(signed(&observed.summary()), Some(Height(1)));
    script.commit(&observed, max + 1, 0, 1_000);
    let summary = observed.summary();
    assert_eq!(summary.first_height, Some(Height(2)));
    assert_eq!(summary.last_height, Some(Height(max + 1)));
    let authored = &summary.proposers[&author];
    assert_eq!(
        (authored.blocks, authored.delay.to_json().entries),
        (max, max)
    );
    assert!(summary.rounds_lost.is_empty(), "forgotten with its height");
    assert_eq!(signed(&summary), None);
}

#[test]
fn a_round_is_lost_by_whoever_was_to_propose_in_it() {
    let (observed, mut script) = (Observed::new(Height(0)), Script::new());
    script.commit(&observed, 5, 2, 0);
    let set = set_of_four();
    let mut expected = std::collections::BTreeMap::new();
    for round in [0, 1] {
        *expected
            .entry(*set.proposer(Height(5), Round(round)))
            .or_default() += 1_u64;
    }
    assert_eq!(observed.summary().rounds_lost, expected);
}

#[test]
fn a_block_decided_while_this_node_was_away_is_not_measured() {
    let (observed, mut script) = (Observed::new(Height(0)), Script::new());
    let author = script.block.header.core.author;
    let entries = |observed: &Observed| {
        let summary = observed.summary();
        summary.proposers[&author].delay.to_json().entries
    };
    script.block.header.core.timestamp_ms = 50_000;
    script.commit(&observed, 1, 0, 100_000); // nothing is known of the time before
    assert_eq!(entries(&observed), 1);
    script.block.header.core.timestamp_ms = 60_000;
    script.commit(&observed, 2, 0, 100_100);
    assert_eq!(entries(&observed), 1, "older than the last commit by far");
    script.block.header.core.timestamp_ms = 95_000;
    script.commit(&observed, 3, 0, 100_200);
    assert_eq!(entries(&observed), 2);
}

#[test]
fn metrics_name_a_bounded_number_of_addresses() {
    let mut known = BTreeSet::new();
    for number in 0..10 {
        let address = L1Address([number; 20]);
        let label = name(&mut known, 3, &address);
        assert_eq!(label == OTHER, number >= 3, "{number}");
    }
    assert_eq!(
        name(&mut known, 3, &L1Address([1; 20])),
        L1Address([1; 20]).to_string()
    );
    assert_eq!(known.len(), 3);
}

fn bid_rig() -> BidRig {
    let mut rig = BidRig::new();
    rig.decide_own(0, None);
    rig.send(4, 100);
    rig
}

fn seen(rig: &BidRig, header: &BlockHeader) -> bids::Seen {
    let log = rig.rig.executor.observed.bids().into_iter();
    let mut found = log.filter(|(_, id, _)| *id == header.id());
    found.next().expect("the bid was seen").2
}

#[test]
fn a_bid_is_followed_from_offer_to_payment() {
    let mut rig = bid_rig();
    let loser = rig.bid(ONE, 100);
    assert_eq!(rig.exchange.take_bid(loser.clone()), Acceptance::Accept);
    let offer = rig.offer(TWO);
    let header = rig.sign(TWO, &offer);
    assert_eq!(rig.exchange.take_bid(header.clone()), Acceptance::Accept);
    let flags = |rig: &BidRig, header| {
        let seen = seen(rig, header);
        (seen.is_chosen, seen.is_revealed, seen.is_decided)
    };
    assert_eq!(flags(&rig, &header), (false, false, false));
    rig.exchange.see_init(&rig.init(0, &header), &header, None);
    assert_eq!(flags(&rig, &header), (true, false, false));
    rig.exchange.reveal(Box::new(offer.payload.clone()));
    assert_eq!(flags(&rig, &header), (true, true, false));
    let payload = offer.payload;
    rig.decide(
        Block {
            header: header.clone(),
            payload,
        },
        0,
        None,
    );
    assert_eq!(flags(&rig, &header), (true, true, true));
    let (is_chosen, _, is_decided) = flags(&rig, &loser); // its payload is the same and so was revealed
    assert!(!is_chosen && !is_decided);
    let paid = seen(&rig, &header);
    assert_eq!(paid.builder, builder(TWO).key.address());
    assert_eq!((paid.leaf, paid.value), (TWO, offer.value));
    let summary = rig.rig.executor.observed.summary();
    let sold = &summary.builders[&paid.builder];
    assert_eq!((sold.blocks, sold.delay.to_json().entries), (1, 4));
}

#[test]
fn a_withheld_bid_shows_its_reporters_and_where_it_burned() {
    let mut rig = bid_rig();
    let header = rig.bid(ONE, 5);
    assert_eq!(rig.exchange.take_bid(header.clone()), Acceptance::Accept);
    rig.exchange.see_init(&rig.init(0, &header), &header, None);
    let executor = std::sync::Arc::clone(&rig.rig.executor);
    executor.charge(&header, Withheld::Missing).unwrap();
    let report: Report = executor.reports.reports(rig.next())[0];
    rig.decide_own(3, Some(report));
    assert_eq!(seen(&rig, &header).reporters.len(), 0, "not embedded yet");
    rig.decide_own(0, None);
    let reported = seen(&rig, &header);
    assert_eq!(reported.reporters.values().sum::<u128>(), 3);
    assert!(reported.is_chosen && !reported.is_revealed && !reported.is_decided);
    assert_eq!(reported.burned_at, None);
    let burns_at = rig.next();
    rig.decide_own(0, None);
    assert_eq!(seen(&rig, &header).burned_at, Some(burns_at));
}

#[test]
fn bids_are_forgotten_and_a_flood_of_them_is_bounded() {
    let (rig, mut script) = (bid_rig(), Script::new());
    let observed = Observed::new(Height(1));
    let header = rig.bid(ONE, 5);
    let mut many = header.clone();
    for root in 0..200_u8 {
        many.core.payload_root = [root; 32];
        observed.offered(&many, &domain());
    }
    assert_eq!(observed.bids().len(), 64);
    observed.chosen(&header, &domain());
    assert_eq!(observed.bids().len(), 65, "a chosen one has room");
    let mut far = header;
    far.core.height = Height(4);
    observed.offered(&far, &domain());
    assert_eq!(observed.bids().len(), 65, "too far ahead");
    script.commit(&observed, 2 + BID_HEIGHTS_MAX - 1, 0, 0);
    assert_eq!(observed.bids().len(), 65);
    script.commit(&observed, 2 + BID_HEIGHTS_MAX, 0, 0);
    assert_eq!(observed.bids().len(), 0);
    for root in 0..200_u8 {
        observed.revealed(&[root; 32]);
    }
    far.core.height = Height(2);
    observed.chosen(&far, &domain());
    assert_eq!(observed.bids().len(), 0, "too old");
}

/// A payload that is here before the Init that asks for it counts as revealed.
#[test]
fn a_payload_may_come_before_its_init() {
    let rig = bid_rig();
    let offer = rig.offer(ONE);
    let header = rig.sign(ONE, &offer);
    let part = crate::agreement::Part::Payload(Box::new(offer.payload));
    use arc_malachitebft_app::types::codec::Codec;
    let bytes: Bytes = crate::agreement::WireCodec.encode(&part).unwrap();
    assert_eq!(rig.exchange.take_reveal_bytes(bytes), Acceptance::Ignore);
    rig.exchange.see_init(&rig.init(0, &header), &header, None);
    let early = seen(&rig, &header);
    assert!(early.is_chosen && early.is_revealed);
    assert_eq!(early.value, Amount::new(offer.value.get()).unwrap());
    assert_eq!(early.name, header.bid.unwrap().hash(&genesis().domain()));
}
