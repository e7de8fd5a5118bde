//! A sold block pays its proposer exactly, a withheld bid burns once.

use protocol::{block::Entry, validity::Verdict};

use super::*;
use crate::{
    builder::rig::{BidRig, COLLATERAL, COLLATERAL_VALUE, FEE_LEAF, PROPOSER_LEAF, genesis},
    storage::StoredBlock,
};

const LEAF: LeafIndex = COLLATERAL[0];
/// A fee of 100, without the tenth that is burned.
const NET: u128 = 90;

fn rig() -> BidRig {
    let mut rig = BidRig::new();
    rig.decide_own(0, None);
    rig
}

#[test]
fn a_sold_block_pays_the_proposer_the_bid_and_the_builder_the_fees() {
    let mut rig = rig();
    rig.send(4, 100);
    let balance = |rig: &BidRig, leaf: LeafIndex| rig.rig.balance(leaf.0);
    let before = [PROPOSER_LEAF, FEE_LEAF, LEAF].map(|leaf| balance(&rig, leaf));
    let offer = rig.offer(LEAF);
    let value = 4 * NET * 90 / 100;
    assert_eq!(offer.value.get(), value);
    let block = Block {
        header: rig.sign(LEAF, &offer),
        payload: offer.payload,
    };
    assert_eq!(block.operation_count(), 5);
    rig.decide(block, 0, None);
    assert_eq!(balance(&rig, PROPOSER_LEAF), before[0] + value);
    assert_eq!(balance(&rig, FEE_LEAF), before[1] + 4 * NET);
    assert_eq!(balance(&rig, LEAF), before[2] - value);
    assert_eq!(rig.rig.shared().pool().len(), 0);
}

/// The builder puts the best payer first; the proposer's own block is first come, first served.
#[test]
fn a_builder_orders_by_fee_within_the_order_of_each_leaf() {
    let rig = rig();
    let domain = genesis().domain();
    let send = |from: u8, nonce: u64, fee: u128| {
        let transaction = crate::fixture::transfer(from, 3, nonce, 10, fee);
        let key = crate::fixture::key(from);
        let signature = key.sign(&transaction.message(&domain, false));
        let signed = protocol::transaction::SignedTransaction {
            transaction,
            key: key.public(),
            signature,
        };
        let submission = protocol::transaction::Submission::Single(signed);
        rig.rig.send_one(submission).unwrap();
    };
    for (from, nonce, fee) in [(1, 0, 10), (1, 1, 200), (2, 0, 100)] {
        send(from, nonce, fee);
    }
    let fees = |payload: &Payload| -> Vec<u128> {
        let entries = payload.entries.iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Submission { submission, .. } => {
                    Some(submission.members()[0].transaction.fee.get())
                }
                Entry::BidBurn(_) => None,
            })
            .collect()
    };
    assert_eq!(fees(&rig.offer(LEAF).payload), vec![100, 10, 200]);
    let order = OfferOrder {
        strategy: BuilderStrategy::FirstCome,
        ..rig.order(LEAF)
    };
    let offer = rig.rig.executor.offer(&order).unwrap().unwrap();
    assert_eq!(fees(&offer.payload), vec![10, 200, 100]);
    assert_eq!(fees(&rig.propose().block.payload), vec![10, 200, 100]);
}

#[test]
fn nothing_is_offered_without_fees() {
    let rig = rig();
    assert!(rig.rig.executor.offer(&rig.order(LEAF)).unwrap().is_none());
    rig.send(1, 0);
    assert!(rig.rig.executor.offer(&rig.order(LEAF)).unwrap().is_none());
}

#[test]
fn the_proposers_own_income_is_what_its_fee_leaf_gets() {
    let rig = rig();
    rig.send(4, 100);
    let (local, executor) = (rig.propose(), &rig.rig.executor);
    assert_eq!(executor.local_income(&local.block, PROPOSER_LEAF), 4 * NET);
    assert_eq!(executor.local_income(&local.block, FEE_LEAF), 0);
}

/// The header that was sold, and a report of it that `reporters` of four make while another block is decided.
fn withheld(rig: &mut BidRig, reporters: usize) -> (BlockHeader, Report) {
    rig.send(4, 100);
    let offer = rig.offer(LEAF);
    let header = rig.sign(LEAF, &offer);
    rig.rig.executor.charge(&header, Withheld::Missing).unwrap();
    let reports = rig.rig.executor.reports.reports(rig.next());
    assert_eq!(reports.len(), 1);
    rig.decide_own(reporters, Some(reports[0]));
    (header, reports[0])
}

fn burns(block: &Block) -> usize {
    let entries = block.payload.entries.iter();
    entries
        .filter(|entry| matches!(entry, Entry::BidBurn(_)))
        .count()
}

#[test]
fn a_withheld_bid_burns_exactly_once() {
    let mut rig = rig();
    withheld(&mut rig, 2);
    rig.decide_own(0, None); // embeds the reports
    let block = (*rig.propose().block).clone();
    assert_eq!(burns(&block), 1);
    let mut without = block.clone();
    without.payload.entries.clear();
    assert!(!rig.rig.executor.judge(&without).unwrap().is_valid());
    rig.decide(block, 0, None);
    let floor = protocol::params::BID_FLOOR;
    assert_eq!(rig.rig.balance(LEAF.0), COLLATERAL_VALUE - floor);
    for _ in 0..18 {
        assert_eq!(burns(&rig.propose().block), 0);
        rig.decide_own(0, None);
    }
    assert_eq!(rig.rig.balance(LEAF.0), COLLATERAL_VALUE - floor);
}

#[test]
fn a_builder_holds_due_burns_too() {
    let mut rig = rig();
    withheld(&mut rig, 2);
    rig.decide_own(0, None);
    rig.send(1, 100);
    let other = COLLATERAL[1];
    let offer = rig.offer(other);
    let block = Block {
        header: rig.sign(other, &offer),
        payload: offer.payload,
    };
    assert_eq!(burns(&block), 1);
    assert!(rig.rig.executor.judge(&block).unwrap().is_valid());
}

#[test]
fn one_report_of_four_burns_nothing() {
    let mut rig = rig();
    withheld(&mut rig, 1);
    rig.decide_own(0, None);
    assert_eq!(burns(&rig.propose().block), 0);
}

#[test]
fn a_proposer_without_the_bid_does_not_propose_until_it_has_it() {
    let mut rig = rig();
    let (header, report) = withheld(&mut rig, 2);
    rig.decide_own(0, None);
    let executor = rig.rig.executor.clone();
    executor.reports.restore(Vec::new()); // another node, which reported nothing
    let (height, author) = (rig.next(), rig.proposer(0));
    let refused = executor.propose(height, Round(0), author);
    assert!(
        matches!(&refused, Err(ProposeError::Unburnable(names)) if *names == vec![report.bid]),
        "{refused:?}"
    );
    executor
        .reports
        .learn(&report.bid, header.bid.unwrap(), &genesis().domain());
    assert_eq!(burns(&rig.propose().block), 1);
}

#[test]
fn an_invalid_payload_is_charged_only_if_it_is_the_builders() {
    let rig = rig();
    rig.send(2, 100);
    let mut offer = rig.offer(LEAF);
    offer.payload.entries.pop();
    let foreign = Block {
        header: rig.sign(LEAF, &offer),
        payload: offer.payload.clone(),
    };
    let executor = &rig.rig.executor;
    assert!(matches!(
        executor.judge(&foreign).unwrap(),
        Verdict::Invalid(_)
    ));
    executor.charge_invalid(&foreign).unwrap();
    assert!(executor.reports.reports(rig.next()).is_empty(), "anybody's");
    offer.core.payload_root = offer.payload.root();
    let own = Block {
        header: rig.sign(LEAF, &offer),
        payload: offer.payload,
    };
    assert!(matches!(executor.judge(&own).unwrap(), Verdict::Invalid(_)));
    executor.charge_invalid(&own).unwrap();
    let reports = executor.reports.reports(rig.next());
    assert_eq!(reports[0].fault, Withheld::Invalid);
    let kept = rig.rig.shared().store.charges().unwrap();
    assert_eq!(kept[0].report, reports[0], "on disk");
}

#[test]
fn the_header_that_was_sold_is_found_after_a_crash() {
    let rig = rig();
    rig.send(2, 100);
    let header = rig.sign(LEAF, &rig.offer(LEAF));
    let store = &rig.rig.shared().store;
    store.write_sold(&header).unwrap();
    assert_eq!(store.sold(rig.next()).unwrap(), Some(header));
    assert_eq!(store.sold(Height(1)).unwrap(), None);
    let stored: Option<StoredBlock> = store.block(rig.next()).unwrap();
    assert!(stored.is_none());
}
