//! What goes wrong in one run: drawn from a seed, or written down by a scenario.

use std::collections::{BTreeMap, BTreeSet};

use protocol::testing::generator;
use rand::{Rng, seq::SliceRandom};

use crate::chain::BASE_BLOCK_MS;

/// How a faulty validator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misconduct {
    /// Its key runs on two machines that know nothing of each other: two of every message.
    Twins,
    /// It forgets log and guard when it crashes, which it does often: it votes against its own locks.
    Amnesia,
    /// It withholds messages and parts, changes votes, proposes invalid blocks, and signs in others' names.
    Liar,
}

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
    pub(crate) weights: Vec<u64>,
    pub(crate) faulty: BTreeMap<usize, Misconduct>,
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
    /// Clients' transactions.
    pub(crate) submissions: usize,
    /// Rule 11: locks are published from round 0.
    pub(crate) publishes_locks: bool,
    /// How much later than it is final a node may learn of a block of the base layer, at most.
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
            faulty: BTreeMap::new(),
            calm_at: 0,
            delay_ms: CALM_MS,
            lost: 0,
            doubled: 0,
            partitions: Vec::new(),
            outages: Vec::new(),
            bids: 0,
            reveals: vec![Reveal::InTime],
            submissions: 8,
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
        let weights = match rng.gen_range(0..8) {
            0 => vec![33, 33, 17, 17],
            1 => vec![1; 5],
            2 => vec![40, 30, 15, 15], // too heavy for bids
            _ => vec![1; 4],
        };
        let count = weights.len();
        let total: u64 = weights.iter().sum();
        let light: Vec<usize> = (0..count)
            .filter(|seat| weights[*seat] * 3 < total)
            .collect();
        let mut faulty = BTreeMap::new();
        let kinds = [Misconduct::Twins, Misconduct::Amnesia, Misconduct::Liar];
        if rng.gen_range(0..4) > 0
            && let Some(seat) = light.choose(&mut rng)
            && let Some(kind) = kinds.choose(&mut rng)
        {
            faulty.insert(*seat, *kind);
        }
        let calm_at = rng.gen_range(300..900);
        let cuts = rng.gen_range(0..2);
        let partitions = (0..cuts).map(|_| {
            let from = rng.gen_range(0..calm_at);
            let inside = (0..count).filter(|_| rng.r#gen::<bool>()).collect();
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
        Self {
            weights,
            faulty,
            calm_at,
            delay_ms: rng.gen_range(5..120),
            lost: rng.gen_range(0..30),
            doubled: rng.gen_range(0..30),
            partitions,
            outages,
            bids: [0, 30, 100][rng.gen_range(0..3)],
            reveals,
            submissions: rng.gen_range(0..16),
            base_lag_ms: rng.gen_range(1..BASE_BLOCK_MS),
            heights: 3,
            ..Self::calm(seed)
        }
    }
}
