//! The best bids for the next height.
//!
//! Invariants: only bids for the block above the newest one are kept, and every one of them has passed the header check
//! of the vote rule on it; a builder gets at most [`BIDS_PER_BUILDER`] of them in, each better than the best so far.
//! Bids are compared only with those that pay the same leaf: who pays a stranger's leaf must not keep the others away
//! from the proposer. A few bids for the height after that are held back unjudged, for a node that is a moment behind.
//!
//! What this module does not do: judge a bid ([`super::Exchange`] does).

use std::collections::BTreeMap;

use protocol::{
    account::L1Address,
    block::{BlockHeader, BlockId, Tip},
    number::{Height, LeafIndex},
};

/// Bids of one builder at one height: enough to answer a rival, too few to flood.
const BIDS_PER_BUILDER: u8 = 4;
/// Builders heard at one height; each has collateral locked.
const BUILDERS_MAX: usize = 256;
/// Leaves for which a best bid is kept: the proposer's, and some that nobody asked for. A header is up to 0.4 MB.
const LEAVES_MAX: usize = 16;
/// Bids held back for the height after the next.
const HELD_MAX: usize = 4;

/// Why a bid is not wanted; nobody's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwanted {
    /// Another block is the newest one.
    #[error("another block is the newest one")]
    Stale,
    /// The best bid is worth as much.
    #[error("it does not beat the best bid")]
    NotBetter,
    /// Its builder has made as many as it may.
    #[error("its builder has made {BIDS_PER_BUILDER} bids at this height")]
    TooMany,
}

/// Bids for the next height.
#[derive(Debug, Default)]
pub(crate) struct BidBook {
    parent: BlockId,
    counts: BTreeMap<L1Address, u8>,
    best: BTreeMap<LeafIndex, BlockHeader>,
    held: Vec<BlockHeader>,
}

fn paid_leaf(header: &BlockHeader) -> Option<LeafIndex> {
    header.core.fee_leaves.get(0)
}

fn value(header: &BlockHeader) -> u128 {
    header.bid.map_or(0, |signed| signed.bid.value.get())
}

impl BidBook {
    /// Turns to the height above `tip`; returns what was held back for it.
    pub(crate) fn turn(&mut self, tip: &Tip) -> Vec<BlockHeader> {
        if self.parent == tip.id {
            return Vec::new();
        }
        self.parent = tip.id;
        self.counts.clear();
        self.best.clear();
        let next = Height(tip.height.0.saturating_add(1));
        let held = std::mem::take(&mut self.held);
        held.into_iter()
            .filter(|header| header.core.height == next)
            .collect()
    }

    /// Holds a bid back until its height is the next one.
    pub(crate) fn hold(&mut self, header: BlockHeader) {
        if self.held.len() < HELD_MAX {
            self.held.push(header);
        }
    }

    /// Whether a bid would be taken, if it is valid.
    ///
    /// # Errors
    /// [`Unwanted`].
    pub(crate) fn admits(&self, header: &BlockHeader) -> Result<(), Unwanted> {
        let (Some(signed), Some(leaf)) = (header.bid, paid_leaf(header)) else {
            return Err(Unwanted::NotBetter);
        };
        if header.core.parent != self.parent {
            return Err(Unwanted::Stale);
        }
        let best = self.best.get(&leaf).map_or(0, value);
        if value(header) <= best {
            return Err(Unwanted::NotBetter);
        }
        let count = self.counts.get(&signed.builder);
        let has_room = self.best.contains_key(&leaf) || self.best.len() < LEAVES_MAX;
        match count {
            Some(count) if *count >= BIDS_PER_BUILDER => Err(Unwanted::TooMany),
            None if self.counts.len() >= BUILDERS_MAX => Err(Unwanted::TooMany),
            _ if !has_room => Err(Unwanted::TooMany),
            _ => Ok(()),
        }
    }

    /// Takes a valid bid.
    ///
    /// # Errors
    /// [`Unwanted`].
    pub(crate) fn take(&mut self, header: BlockHeader) -> Result<(), Unwanted> {
        self.admits(&header)?;
        if let (Some(signed), Some(leaf)) = (header.bid, paid_leaf(&header)) {
            *self.counts.entry(signed.builder).or_default() += 1;
            self.best.insert(leaf, header);
        }
        Ok(())
    }

    /// The best bid that pays this leaf, on top of this block.
    pub(crate) fn best(&self, parent: BlockId, leaf: LeafIndex) -> Option<&BlockHeader> {
        (self.parent == parent)
            .then(|| self.best.get(&leaf))
            .flatten()
    }
}
