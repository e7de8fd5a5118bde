//! What goes wrong in one run: drawn from a seed, or written down by a scenario.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{params::EPOCH_HEIGHTS, testing::generator};
use rand::{Rng, seq::SliceRandom};

use crate::{
    faults::{KINDS, Misconduct},
    layer::BASE_BLOCK_MS,
};

/// A time in which some nodes hear only each other.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) inside: BTreeSet<usize>,
}

/// A node goes down and comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    pub(crate) node: usize,
    pub(crate) at: u64,
    pub(crate) back: u64,
    /// Whether the last input's log entries are lost, in part, with the messages it caused.
    pub(crate) is_torn: bool,
}

/// What the builder does with the payload of a bid that a proposer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reveal {
    #[default]
    InTime,
    Late,
    Never,
    /// To f + 1 nodes.
    Partial,
    /// In time, and it does not execute.
    Invalid,
}

/// Everything about a run that is not drawn on the way.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Weight of each seat in the first epoch; 0 is not in the set.
    pub(crate) weights: Vec<u64>,
    /// Weights in the epochs after it, if they are others.
    pub(crate) next_weights: Option<Vec<u64>>,
    /// Height that the chain stands on when the run begins.
    pub(crate) start: u64,
    pub(crate) faulty: BTreeMap<usize, Misconduct>,
    /// Percent of rounds in which a fault of the triggered kinds shows.
    pub(crate) trigger_percent: u64,
    /// Faults of network and nodes end here, in milliseconds.
    pub(crate) calm_at: u64,
    /// Longest delay before; after it is [`CALM_MS`].
    pub(crate) delay_ms: u64,
    /// Percent of messages that are lost at first, and retransmitted later.
    pub(crate) lost: u32,
    /// Percent of messages that come twice.
    pub(crate) doubled: u32,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) outages: Vec<Outage>,
    /// Percent of round-0 proposals that take a bid.
    pub(crate) bids: u32,
    pub(crate) reveals: Vec<Reveal>,
    /// Last height whose proposer takes bids.
    pub(crate) bids_end: u64,
    /// How long a proposer's Init takes to the builder, in milliseconds.
    pub(crate) builder_link_ms: u64,
    /// The first draft's rule of reports: missing at the propose timeout, whenever the Init came (finding H2).
    pub(crate) draft_reports: bool,
    /// Clients' transactions.
    pub(crate) submissions: usize,
    /// How long gossip of a transaction takes at most, to each node, beside its messages' own delays.
    pub(crate) gossip_ms: u64,
    /// How long the bytes of a listed transaction take at most when a proposer asks for them, before the calm.
    pub(crate) fetch_ms: u64,
    /// Blocks of the base layer that enqueue inbox items, and from which on blocks must hold them.
    pub(crate) inbox: Vec<(u64, u64)>,
    /// Rule 11: locks are published from round 0.
    pub(crate) publishes_locks: bool,
    /// How much later than it is final a node may learn of a block of the base layer, at most; in the calm, less
    /// than the time from one to the next.
    pub(crate) base_lag_ms: u64,
    /// A node that sees nothing of the base layer until then.
    pub(crate) blind: Option<(usize, u64)>,
    /// Heights that all honest nodes must decide after the faults.
    pub(crate) heights: u64,
    /// A whole run in milliseconds, at most.
    pub(crate) end_at: u64,
}

/// Longest delay once the network is calm.
pub(crate) const CALM_MS: u64 = 10;

impl Plan {
    /// Four equal validators, a calm network, no bids.
    pub(crate) fn calm(seed: u64) -> Self {
        Self {
            seed,
            weights: vec![1; 4],
            next_weights: None,
            start: 0,
            faulty: BTreeMap::new(),
            trigger_percent: 100,
            calm_at: 0,
            delay_ms: CALM_MS,
            lost: 0,
            doubled: 0,
            partitions: Vec::new(),
            outages: Vec::new(),
            bids: 0,
            reveals: vec![Reveal::InTime],
            bids_end: u64::MAX,
            builder_link_ms: 0,
            draft_reports: false,
            submissions: 8,
            gossip_ms: 0,
            fetch_ms: 0,
            inbox: Vec::new(),
            publishes_locks: true,
            base_lag_ms: CALM_MS,
            blind: None,
            heights: 4,
            end_at: 60_000,
        }
    }

    /// The campaign's plan of this seed: any mix of faults, by at most a third of the weight.
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = generator(seed);
        let (mut weights, mut next_weights, mut start) = (vec![1; 4], None, 0);
        match rng.gen_range(0..8) {
            0 => weights = vec![33, 33, 17, 17],
            1 => weights = vec![1; 5],
            2 => weights = vec![40, 30, 15, 15], // too heavy for bids
            3 => {
                // seat 0 leaves and seat 4 joins within the run's first heights
                weights = vec![1, 1, 1, 1, 0];
                next_weights = Some(vec![0, 1, 1, 1, 1]);
                start = EPOCH_HEIGHTS - rng.gen_range(1..4);
            }
            _ => {}
        }
        let count = weights.len();
        let total: u64 = weights.iter().sum();
        let light: Vec<usize> = (0..count)
            .filter(|seat| weights[*seat] * 3 < total)
            .collect();
        let mut faulty = BTreeMap::new();
        if rng.gen_range(0..4) > 0
            && let Some(seat) = light.choose(&mut rng)
            && let Some(kind) = KINDS.choose(&mut rng)
        {
            faulty.insert(*seat, *kind);
        }
        let calm_at = rng.gen_range(300..900);
        let cuts = rng.gen_range(0..2);
        let partitions = (0..cuts).map(|_| {
            let from = rng.gen_range(0..calm_at);
            let mut seats: Vec<usize> = (0..count).collect();
            seats.shuffle(&mut rng);
            let half = count / 2;
            seats.truncate(if rng.r#gen() {
                half
            } else {
                rng.gen_range(1..count)
            });
            let inside = seats.into_iter().collect();
            Partition {
                from,
                until: rng.gen_range(from..=calm_at),
                inside,
            }
        });
        let partitions: Vec<Partition> = partitions.collect();
        let crashes = rng.gen_range(0..3);
        let outages = (0..crashes).map(|_| {
            let at = rng.gen_range(0..calm_at);
            Outage {
                node: rng.gen_range(0..count),
                at,
                back: rng.gen_range(at..=calm_at),
                is_torn: rng.r#gen(),
            }
        });
        let outages: Vec<Outage> = outages.collect();
        let all = [
            Reveal::InTime,
            Reveal::Late,
            Reveal::Never,
            Reveal::Partial,
            Reveal::Invalid,
        ];
        let reveals: Vec<Reveal> = (0..3)
            .filter_map(|_| all.choose(&mut rng).copied())
            .collect();
        let (mut enqueued_at, patience) = (0, rng.gen_range(0..4));
        let inbox = (0..rng.gen_range(0..6)).map(|_| {
            enqueued_at += rng.gen_range(0..3);
            (enqueued_at.max(1), enqueued_at.max(1) + patience)
        });
        let inbox = inbox.collect();
        let is_slow = rng.gen_range(0..3) == 0;
        let bids = [0, 30, 100][rng.gen_range(0..3)];
        Self {
            weights,
            next_weights,
            start,
            faulty,
            trigger_percent: [30, 100][rng.gen_range(0..2)],
            gossip_ms: if is_slow {
                rng.gen_range(200..1_500)
            } else {
                0
            },
            fetch_ms: if is_slow { rng.gen_range(1..400) } else { 0 },
            inbox,
            calm_at,
            delay_ms: rng.gen_range(5..120),
            lost: rng.gen_range(0..30),
            doubled: rng.gen_range(0..30),
            partitions,
            outages,
            bids,
            reveals,
            submissions: rng.gen_range(0..16),
            base_lag_ms: rng.gen_range(1..3 * BASE_BLOCK_MS),
            heights: 3,
            ..Self::calm(seed)
        }
    }
}
