//! Builders who withheld: what this node reports in its precommits, and the bids that burns need (rule 8).
//!
//! Invariants: a report stands for a header that passed every check, so its bid can be burned; at most
//! [`CHARGES_MAX`] charges and [`LEARNED_MAX`] foreign bids are kept. What this module does not do: count reports of
//! others (`protocol::history`).

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    number::Height,
    params::{BID_BURN_HEIGHTS_MAX, REPORTS_MAX},
    transaction::{BidHash, Domain, SignedBid},
    vote::Report,
};

/// Charges kept: what fits the extensions of all heights in which they count.
const CHARGES_MAX: usize = REPORTS_MAX * 16;
/// Bids of others' reports that are kept for the next burns.
const LEARNED_MAX: usize = 64;
/// Heights from the bid's on at which it is reported: h to h + 15.
const REPORT_HEIGHTS: u64 = BID_BURN_HEIGHTS_MAX - 1;

/// A report with the bid it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Charge {
    pub(crate) report: Report,
    pub(crate) bid: SignedBid,
}

#[derive(Debug, Default)]
struct Kept {
    charges: Vec<Charge>,
    learned: BTreeMap<(Height, BidHash), SignedBid>,
}

/// Charges and bids of this node.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<Kept>);

impl Reports {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back what was on disk.
    pub(crate) fn restore(&self, charges: Vec<Charge>) {
        self.kept().charges = charges;
    }

    /// Adds a charge and forgets those that count no more; returns all if that changed something, to be stored before
    /// it is told. The first fault of a block stands.
    pub(crate) fn add(&self, charge: Charge) -> Option<Vec<Charge>> {
        let mut kept = self.kept();
        let report = charge.report;
        let is_known =
            |one: &Charge| one.report.bid == report.bid && one.report.block == report.block;
        if kept.charges.iter().any(is_known) {
            return None;
        }
        let since = report.height.0.saturating_sub(BID_BURN_HEIGHTS_MAX);
        kept.charges.retain(|one| one.report.height.0 >= since);
        if kept.charges.len() >= CHARGES_MAX {
            kept.charges.remove(0);
        }
        kept.charges.push(charge);
        Some(kept.charges.clone())
    }

    /// What a precommit at `height` reports: the newest that count there, ascending.
    pub(crate) fn reports(&self, height: Height) -> Vec<Report> {
        let kept = self.kept();
        let counts = |report: &Report| {
            let age = height.0.checked_sub(report.height.0);
            age.is_some_and(|age| age < REPORT_HEIGHTS)
        };
        let live = kept.charges.iter().rev().map(|charge| charge.report);
        let mut reports: Vec<Report> = live.filter(counts).take(REPORTS_MAX).collect();
        reports.sort_unstable();
        reports
    }

    /// The bid of this name, if it is here.
    pub(crate) fn bid(&self, name: &BidHash) -> Option<SignedBid> {
        let kept = self.kept();
        let charged = kept.charges.iter().find(|one| one.report.bid == *name);
        let learned = || kept.learned.iter().find(|((_, bid), _)| bid == name);
        charged
            .map(|charge| charge.bid)
            .or_else(|| learned().map(|(_, bid)| *bid))
    }

    /// Keeps a bid that others have reported, if it is the one of this name and both signatures are right.
    pub(crate) fn learn(&self, name: &BidHash, bid: SignedBid, domain: &Domain) {
        let is_it = bid.hash(domain) == *name
            && bid.is_authentic(domain)
            && protocol::signature::verify_batch(&[bid.bid.claim(domain)]);
        if is_it {
            let mut kept = self.kept();
            kept.learned.insert((bid.bid.height, *name), bid);
            while kept.learned.len() > LEARNED_MAX {
                kept.learned.pop_first();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{block::BlockId, number::Amount, vote::Withheld};

    use super::*;
    use crate::fixture::{bid_of, domain};

    fn charge(height: u64, block: u8, fault: Withheld) -> Charge {
        let bid = bid_of(Height(height), Amount::new(5).unwrap());
        Charge {
            report: Report {
                height: Height(height),
                bid: bid.hash(&domain()),
                builder: bid.builder,
                block: BlockId([block; 32]),
                fault,
            },
            bid,
        }
    }

    #[test]
    fn a_charge_is_reported_for_sixteen_heights_and_its_bid_served_for_the_burn() {
        let reports = Reports::default();
        let charge = charge(20, 1, Withheld::Missing);
        assert_eq!(reports.add(charge), Some(vec![charge]));
        assert_eq!(reports.add(charge), None, "once");
        for height in [20, 35] {
            assert_eq!(reports.reports(Height(height)), vec![charge.report]);
        }
        for height in [19, 36] {
            assert!(reports.reports(Height(height)).is_empty());
        }
        assert_eq!(reports.bid(&charge.report.bid), Some(charge.bid));
        assert_eq!(reports.bid(&BidHash([0; 32])), None);
    }

    #[test]
    fn the_first_fault_of_a_block_stands() {
        let reports = Reports::default();
        assert!(reports.add(charge(20, 1, Withheld::Missing)).is_some());
        assert!(reports.add(charge(20, 1, Withheld::Invalid)).is_none());
        assert_eq!(reports.reports(Height(20))[0].fault, Withheld::Missing);
    }

    #[test]
    fn an_extension_takes_the_newest_eight_in_order() {
        let reports = Reports::default();
        for height in 20..32 {
            reports.add(charge(height, 1, Withheld::Missing));
        }
        let listed = reports.reports(Height(32));
        let heights: Vec<u64> = listed.iter().map(|report| report.height.0).collect();
        assert_eq!(heights, (24..32).collect::<Vec<_>>());
        let extension = protocol::vote::Extension {
            reports: listed,
            ..Default::default()
        };
        assert_eq!(extension.check(), Ok(()));
    }

    #[test]
    fn only_the_bid_asked_for_with_both_signatures_is_learned() {
        let reports = Reports::default();
        let good = charge(20, 1, Withheld::Missing);
        let name = good.report.bid;
        reports.learn(&BidHash([1; 32]), good.bid, &domain());
        assert_eq!(reports.bid(&BidHash([1; 32])), None);
        let mut forged = good.bid;
        forged.bid.signature = crate::fixture::key(1).sign(&protocol::Fr::from(1_u64));
        assert_eq!(
            forged.hash(&domain()),
            name,
            "a name covers no collateral signature"
        );
        reports.learn(&name, forged, &domain());
        assert_eq!(reports.bid(&name), None);
        reports.learn(&name, good.bid, &domain());
        assert_eq!(reports.bid(&name), Some(good.bid));
    }
}
