//! Recent heights: who proposed, who missed, who signed, and how long submissions had waited.
//!
//! Invariant: at most [`WINDOW_HEIGHTS_MAX`] heights, each with at most [`ROUNDS_LOST_MAX`] missed rounds; validators are
//! remembered while they have signed within the window.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use protocol::{
    account::L1Address,
    number::{Height, Round},
};

use super::{Committed, spread::Spread};

/// Heights remembered: half an hour of blocks of a second, and a few megabytes at most.
pub(crate) const WINDOW_HEIGHTS_MAX: usize = 2_048;
/// Missed rounds remembered of one height: later ones are the network's fault.
const ROUNDS_LOST_MAX: u32 = 32;
/// A block that is so much older than this node's last commit was decided while this node was behind: nobody waited for
/// it here. More than clocks differ and agreement takes.
const BEHIND_MS: u64 = 10_000;

/// How long one submission stood in the pool before a block held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waited {
    pub(crate) heights: u64,
    pub(crate) milliseconds: u64,
}

/// What waited for one author's blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delay {
    heights: Spread,
    milliseconds: Spread,
    left_out: u64,
}

impl Delay {
    fn join(&mut self, other: &Self) {
        self.heights.join(&other.heights);
        self.milliseconds.join(&other.milliseconds);
        self.left_out = self.left_out.saturating_add(other.left_out);
    }

    pub(crate) fn to_json(&self) -> api::set::InclusionDelay {
        api::set::InclusionDelay {
            entries: self.heights.count(),
            heights: self.heights.to_json(),
            milliseconds: self.milliseconds.to_json(),
            left_out: self.left_out,
        }
    }
}

/// Blocks of one author, and what waited for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authored {
    pub(crate) blocks: u64,
    pub(crate) delay: Delay,
}

#[derive(Debug)]
struct Decided {
    height: Height,
    author: L1Address,
    builder: Option<L1Address>,
    lost: Vec<L1Address>,
    delay: Delay,
}

/// Proposers of the rounds before the one in which a block was decided.
pub(super) fn rounds_lost(committed: &Committed<'_>) -> impl Iterator<Item = L1Address> {
    let (certificate, set) = (committed.certificate, committed.set);
    let rounds = 0..certificate.round.0.min(ROUNDS_LOST_MAX);
    rounds.map(move |round| *set.proposer(certificate.height, Round(round)))
}

/// The window added up.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) first_height: Option<Height>,
    pub(crate) last_height: Option<Height>,
    /// Last heights whose certificates have these validators' signatures.
    pub(crate) last_signed: BTreeMap<L1Address, Height>,
    /// Rounds in which these validators were to propose and nothing was decided.
    pub(crate) rounds_lost: BTreeMap<L1Address, u64>,
    /// Blocks by who proposed them first.
    pub(crate) proposers: BTreeMap<L1Address, Authored>,
    /// Sold blocks by who built them.
    pub(crate) builders: BTreeMap<L1Address, Authored>,
}

/// Recent heights, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Window {
    decided: VecDeque<Decided>,
    signed: BTreeMap<L1Address, Height>,
    committed_ms: Option<u64>,
    summary: Option<Arc<Summary>>,
}

impl Window {
    /// Adds a height; returns whether this node was there when it was agreed on, so that what waited here waited for it.
    pub(super) fn commit(&mut self, committed: &Committed<'_>) -> bool {
        let core = &committed.block.header.core;
        let is_followed = self
            .committed_ms
            .is_none_or(|committed_ms| core.timestamp_ms.saturating_add(BEHIND_MS) >= committed_ms);
        self.committed_ms = Some(committed.now_ms);
        let mut delay = Delay::default();
        if is_followed {
            delay.left_out = committed.left_out;
            for waited in &committed.waited {
                delay.heights.add(waited.heights);
                delay.milliseconds.add(waited.milliseconds);
            }
        }
        self.decided.push_back(Decided {
            height: core.height,
            author: core.author,
            builder: committed.block.header.bid.map(|bid| bid.builder),
            lost: rounds_lost(committed).collect(),
            delay,
        });
        while self.decided.len() > WINDOW_HEIGHTS_MAX {
            self.decided.pop_front();
        }
        for one in &committed.certificate.signatures {
            self.signed.insert(one.validator, core.height);
        }
        if let Some(first) = self.decided.front().map(|decided| decided.height) {
            self.signed.retain(|_, height| *height >= first);
        }
        self.summary = None;
        is_followed
    }

    fn by(&self, who: impl Fn(&Decided) -> Option<L1Address>) -> BTreeMap<L1Address, Authored> {
        let mut authors: BTreeMap<L1Address, Authored> = BTreeMap::new();
        for decided in &self.decided {
            if let Some(address) = who(decided) {
                let authored = authors.entry(address).or_default();
                authored.blocks += 1;
                authored.delay.join(&decided.delay);
            }
        }
        authors
    }

    /// The whole window, added up once a height: whoever asks again and again must not keep commits waiting.
    pub(crate) fn summary(&mut self) -> Arc<Summary> {
        if let Some(summary) = &self.summary {
            return Arc::clone(summary);
        }
        let mut rounds_lost = BTreeMap::new();
        for validator in self.decided.iter().flat_map(|decided| &decided.lost) {
            *rounds_lost.entry(*validator).or_default() += 1;
        }
        let summary = Arc::new(Summary {
            first_height: self.decided.front().map(|decided| decided.height),
            last_height: self.decided.back().map(|decided| decided.height),
            last_signed: self.signed.clone(),
            rounds_lost,
            proposers: self.by(|decided| Some(decided.author)),
            builders: self.by(|decided| decided.builder),
        });
        self.summary = Some(Arc::clone(&summary));
        summary
    }
}
