//! Bids of recent heights, and what became of them.
//!
//! Invariants: [`BID_HEIGHTS_MAX`] heights, [`BIDS_PER_HEIGHT`] offers at each and as many that were chosen; reporters are
//! members of a set. A bid is known by its block, whose id covers it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{
    account::L1Address,
    block::{BlockHeader, BlockId, Entry},
    number::{Amount, Height, LeafIndex},
    transaction::{BidHash, Domain, SignedBid},
};

use super::Committed;

/// Heights remembered: longer than a withheld bid can be reported and burned, which takes 17.
pub(crate) const BID_HEIGHTS_MAX: u64 = 64;
/// Offers remembered of one height: four of sixteen builders.
const BIDS_PER_HEIGHT: usize = 64;

/// One bid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: BidHash,
    pub(crate) builder: L1Address,
    pub(crate) leaf: LeafIndex,
    pub(crate) value: Amount,
    payload_root: [u8; 32],
    pub(crate) is_chosen: bool,
    pub(crate) is_revealed: bool,
    pub(crate) is_decided: bool,
    /// Members of the set who report it, and their weight.
    pub(crate) reporters: BTreeMap<L1Address, u128>,
    pub(crate) burned_at: Option<Height>,
}

/// Bids by height and block.
#[derive(Debug)]
pub(crate) struct BidLog {
    newest: Height,
    seen: BTreeMap<(Height, BlockId), Seen>,
    /// Payloads that came before the Init that asks for them.
    early: BTreeSet<[u8; 32]>,
}

impl BidLog {
    pub(super) fn new(newest: Height) -> Self {
        Self {
            newest,
            seen: BTreeMap::new(),
            early: BTreeSet::new(),
        }
    }

    /// Room for a bid of this height; nothing if there is none, or the height is not a recent one.
    fn entry(
        &mut self,
        header: &BlockHeader,
        domain: &Domain,
        is_chosen: bool,
    ) -> Option<&mut Seen> {
        let signed: &SignedBid = header.bid.as_ref()?;
        let (height, id) = (header.core.height, header.id());
        let oldest = self.newest.0.saturating_sub(BID_HEIGHTS_MAX);
        // a node hears of the height after the next at most
        let is_recent = height.0 > oldest && height.0 <= self.newest.0.saturating_add(2);
        let all = (height, BlockId([0; 32]))..=(height, BlockId([0xff; 32]));
        let count = self.seen.range(all).count();
        let max = if is_chosen {
            2 * BIDS_PER_HEIGHT
        } else {
            BIDS_PER_HEIGHT
        };
        let is_known = self.seen.contains_key(&(height, id));
        if !is_known && (!is_recent || count >= max) {
            return None;
        }
        Some(self.seen.entry((height, id)).or_insert_with(|| Seen {
            name: signed.hash(domain),
            builder: signed.builder,
            leaf: signed.bid.leaf,
            value: signed.bid.value,
            payload_root: header.core.payload_root,
            is_chosen: false,
            is_revealed: false,
            is_decided: false,
            reporters: BTreeMap::new(),
            burned_at: None,
        }))
    }

    pub(super) fn offer(&mut self, header: &BlockHeader, domain: &Domain) {
        self.entry(header, domain, false);
    }

    pub(super) fn choose(&mut self, header: &BlockHeader, domain: &Domain) {
        let has_come = self.early.contains(&header.core.payload_root);
        if let Some(seen) = self.entry(header, domain, true) {
            seen.is_chosen = true;
            seen.is_revealed |= has_come;
        }
    }

    pub(super) fn reveal(&mut self, payload_root: &[u8; 32]) {
        let mut is_known = false;
        for seen in self.seen.values_mut() {
            if seen.payload_root == *payload_root {
                (seen.is_revealed, is_known) = (true, true);
            }
        }
        if !is_known && self.early.len() < BIDS_PER_HEIGHT {
            self.early.insert(*payload_root);
        }
    }

    pub(super) fn commit(&mut self, committed: &Committed<'_>) {
        let (header, set) = (&committed.block.header, committed.set);
        self.newest = header.core.height;
        self.early.clear();
        if let Some(seen) = self.entry(header, committed.domain, true) {
            (seen.is_chosen, seen.is_revealed, seen.is_decided) = (true, true, true);
        }
        let reports = header.certificate.iter().flat_map(|one| one.reports());
        for (reporter, report) in reports {
            let weight = set.weight_of(reporter);
            if let Some(seen) = self.seen.get_mut(&(report.height, report.block))
                && weight > 0
            {
                seen.reporters.insert(*reporter, weight);
            }
        }
        for entry in &committed.block.payload.entries {
            if let Entry::BidBurn(signed) = entry {
                let name = signed.hash(committed.domain);
                let burned = self.seen.values_mut().filter(|seen| seen.name == name);
                burned.for_each(|seen| seen.burned_at = Some(header.core.height));
            }
        }
        let oldest = self.newest.0.saturating_sub(BID_HEIGHTS_MAX);
        self.seen.retain(|(height, _), _| height.0 > oldest);
    }

    /// Bids with their heights and blocks, ascending.
    pub(super) fn seen(&self) -> impl Iterator<Item = (Height, BlockId, Seen)> {
        let all = self.seen.iter();
        all.map(|((height, block), seen)| (*height, *block, seen.clone()))
    }
}
