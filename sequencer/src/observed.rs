//! What this node has seen of the set since it started: how long submissions waited for whom, what became of bids, and what
//! the node itself does in agreement. For operators; no rule and no signature depends on it.
//!
//! Fed from committed blocks by one call, [`Observed::commit`], and from bids as they pass. Invariants: memory is bounded by
//! heights and by bids a height; the locks in here are taken last and nothing else is taken while one is held. What this
//! module does not do: remember across restarts, or judge anybody: a peer may have heard things at other times.

mod bids;
mod left_out;
mod spread;
mod standing;
mod window;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{
    account::L1Address,
    block::{Block, BlockHeader, BlockId},
    certificate::ExtendedCertificate,
    number::Height,
    transaction::Domain,
    validator::ValidatorSet,
};

use bids::BidLog;
use window::Window;

pub(crate) use bids::{BID_HEIGHTS_MAX, Seen};
pub(crate) use left_out::left_out;
pub(crate) use standing::Standing;
pub(crate) use window::{Authored, Summary, WINDOW_HEIGHTS_MAX, Waited};

/// Validators with a name in metrics: two full sets. Others share one.
const PROPOSER_NAMES_MAX: usize = 200;
/// Builders with a name in metrics: a key costs a builder nothing. Others share one.
const BUILDER_NAMES_MAX: usize = 32;
/// The shared name.
const OTHER: &str = "other";

/// Names this module's metrics for whoever reads them.
pub(crate) fn describe_metrics() {
    ::metrics::describe_counter!(
        "sequencer_inclusion_entries_total",
        "submissions held here that a block took, by proposer or builder"
    );
    ::metrics::describe_counter!(
        "sequencer_inclusion_heights_total",
        "heights that they waited, by proposer or builder"
    );
    ::metrics::describe_counter!(
        "sequencer_inclusion_milliseconds_total",
        "milliseconds that they waited, by proposer or builder"
    );
    ::metrics::describe_counter!(
        "sequencer_left_out_total",
        "submissions that a block left out though it could have held them, by proposer or builder"
    );
    ::metrics::describe_counter!(
        "sequencer_rounds_lost_total",
        "rounds in which this proposer's turn decided nothing"
    );
}

/// A block that was just committed.
pub(crate) struct Committed<'a> {
    pub(crate) block: &'a Block,
    pub(crate) certificate: &'a ExtendedCertificate,
    /// The set that certified it.
    pub(crate) set: &'a ValidatorSet,
    pub(crate) domain: &'a Domain,
    /// Submissions of it that stood in the pool.
    pub(crate) waited: Vec<Waited>,
    /// Submissions that still stand there without need.
    pub(crate) left_out: u64,
    pub(crate) now_ms: u64,
}

/// Addresses that have a name of their own in metrics.
#[derive(Debug, Default)]
struct Names {
    proposers: BTreeSet<L1Address>,
    builders: BTreeSet<L1Address>,
}

fn name(known: &mut BTreeSet<L1Address>, max: usize, address: &L1Address) -> String {
    if known.len() < max {
        known.insert(*address);
    }
    if known.contains(address) {
        address.to_string()
    } else {
        OTHER.to_owned()
    }
}

/// Everything seen.
#[derive(Debug)]
pub(crate) struct Observed {
    window: Mutex<Window>,
    bids: Mutex<BidLog>,
    names: Mutex<Names>,
    /// What this node does in agreement.
    pub(crate) standing: Standing,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observed {
    /// Nothing seen yet; the newest block is at `tip`.
    pub(crate) fn new(tip: Height) -> Self {
        Self {
            window: Mutex::default(),
            bids: Mutex::new(BidLog::new(tip)),
            names: Mutex::default(),
            standing: Standing::default(),
        }
    }

    /// A block was committed.
    pub(crate) fn commit(&self, committed: &Committed<'_>) {
        let is_followed = lock(&self.window).commit(committed);
        lock(&self.bids).commit(committed);
        self.count(committed, is_followed);
    }

    /// The window of recent heights, added up.
    pub(crate) fn summary(&self) -> Arc<Summary> {
        lock(&self.window).summary()
    }

    /// Bids of recent heights, ascending by height and block.
    pub(crate) fn bids(&self) -> Vec<(Height, BlockId, Seen)> {
        lock(&self.bids).seen().collect()
    }

    /// A valid bid was taken.
    pub(crate) fn offered(&self, header: &BlockHeader, domain: &Domain) {
        lock(&self.bids).offer(header, domain);
    }

    /// A proposer has signed the block of a bid.
    pub(crate) fn chosen(&self, header: &BlockHeader, domain: &Domain) {
        lock(&self.bids).choose(header, domain);
    }

    /// A payload has come.
    pub(crate) fn revealed(&self, payload_root: &[u8; 32]) {
        lock(&self.bids).reveal(payload_root);
    }

    fn count(&self, committed: &Committed<'_>, is_followed: bool) {
        let (header, mut names) = (&committed.block.header, lock(&self.names));
        let proposer = name(
            &mut names.proposers,
            PROPOSER_NAMES_MAX,
            &header.core.author,
        );
        for idle in window::rounds_lost(committed) {
            let label = name(&mut names.proposers, PROPOSER_NAMES_MAX, &idle);
            ::metrics::counter!("sequencer_rounds_lost_total", "proposer" => label).increment(1);
        }
        if !is_followed {
            return;
        }
        let bid = header.bid.as_ref();
        let builder = bid.map(|bid| name(&mut names.builders, BUILDER_NAMES_MAX, &bid.builder));
        let waited = &committed.waited;
        let sum = |part: fn(&Waited) -> u64| waited.iter().map(part).fold(0, u64::saturating_add);
        let counts = [
            (
                "sequencer_inclusion_entries_total",
                u64::try_from(waited.len()).unwrap_or(u64::MAX),
            ),
            (
                "sequencer_inclusion_heights_total",
                sum(|waited| waited.heights),
            ),
            (
                "sequencer_inclusion_milliseconds_total",
                sum(|waited| waited.milliseconds),
            ),
            ("sequencer_left_out_total", committed.left_out),
        ];
        let who = [("proposer", Some(proposer)), ("builder", builder)];
        for (metric, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            for (role, label) in &who {
                if let Some(label) = label {
                    ::metrics::counter!(metric, *role => label.clone()).increment(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
