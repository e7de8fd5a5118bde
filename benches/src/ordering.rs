//! Ordering by a set: block time, operations per second, what a silent proposer costs, and how fast a node is back.
//!
//! All nodes run in this process and share the machine's cores and disk, each with a database, guard, log and ports of its
//! own; messages cross loopback. The peer is the same engine with the same context, keys, extensions and log, whose
//! application answers at once and keeps nothing: what is between the two is ours.

mod bare;
mod delay;
mod set;

use std::time::{Duration, Instant};

use crate::report::{Row, median};
use set::Set;

/// Blocks of one measurement.
const BLOCKS: u64 = 60;
/// Blocks before measuring.
const WARM_UP: u64 = 10;
/// Operations ordered in one measurement.
const OPERATIONS: usize = 8_000;
/// Block interval in which a pool is filled.
const FILLING: Duration = Duration::from_secs(4);
/// Blocks of each size.
const SIZED_BLOCKS: usize = 5;
/// Blocks of each size at most, with those that hold less than was sent.
const SIZED_BLOCKS_MAX: usize = 10;
/// Transfers (220 bytes) of 64 and 256 KiB, and the most that a block takes.
const PAYLOADS: [(&str, usize); 3] = [("64KiB", 298), ("256KiB", 1_192), ("440KiB", 2_048)];
/// Operations followed through the tiers.
const TIER_OPERATIONS: usize = 30;
/// As fast as the set can.
const AT_ONCE: Duration = Duration::from_millis(1);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Milliseconds between the blocks of a set, as its first node commits them; its nodes are `delay` apart.
fn block_ms(count: u8, delay: Option<Duration>) -> Vec<f64> {
    runtime().block_on(async {
        let set = Set::start_apart(count, AT_ONCE, delay).await;
        set.reach(0, WARM_UP).await;
        let times = set.commit_times(0, BLOCKS).await;
        set.stop().await;
        times
    })
}

/// Operations ordered per second, sent to all nodes in turn, each operation checked, executed and stored by
/// every node.
fn ordered_per_second(count: u8) -> f64 {
    let requests = set::signed(count, OPERATIONS);
    runtime().block_on(async {
        let set = Set::start(count, Duration::from_millis(200)).await;
        let seconds = set.seconds_to_order(&requests).await;
        set.stop().await;
        OPERATIONS as f64 / seconds
    })
}

/// What one silent proposer of four costs: the time of a height whose first round nobody proposes in, less that of others.
fn nil_round_ms() -> f64 {
    runtime().block_on(async {
        let mut set = Set::start(4, AT_ONCE).await;
        set.reach(0, WARM_UP).await;
        set.stop_one(3).await;
        let at = set.height(0);
        set.reach(0, at + 2).await;
        let mut times = set.commit_times(0, BLOCKS / 2).await;
        set.stop().await;
        times.sort_by(f64::total_cmp);
        // one height in four waits for the silent one: the upper end against the middle
        let slow = times[times.len() * 9 / 10];
        slow - median(times)
    })
}

/// Seconds from a node's start, with its data, until it has caught up and votes.
fn recover_seconds() -> f64 {
    runtime().block_on(async {
        let mut set = Set::start(4, Duration::from_millis(50)).await;
        set.reach(0, WARM_UP).await;
        set.stop_one(3).await;
        let at = set.height(0);
        set.reach(0, at + 20).await;
        let started = Instant::now();
        set.start_one(3).await;
        let target = set.height(0);
        set.reach(3, target).await;
        let seconds = started.elapsed().as_secs_f64();
        set.stop().await;
        seconds
    })
}

/// Block time of four nodes beside the bare engine.
#[must_use]
pub(crate) fn pace_rows() -> Vec<Row> {
    vec![pace("block_ms_p50_n4_vs_bare_engine", 4)]
}

/// The same for larger sets.
#[must_use]
pub(crate) fn size_rows() -> Vec<Row> {
    vec![pace("block_ms_p50_n7", 7), pace("block_ms_p50_n16", 16)]
}

fn pace(name: &str, count: u8) -> Row {
    let bare = median(runtime().block_on(bare::block_ms(count, WARM_UP, BLOCKS)));
    Row::beside(
        name,
        "ms",
        median(block_ms(count, None)),
        bare,
        "bare engine",
    )
}

/// Block time over slow lines.
#[must_use]
pub(crate) fn delay_rows() -> Vec<Row> {
    let row = |delay: u64| {
        let ours = median(block_ms(4, Some(Duration::from_millis(delay))));
        let name = format!("block_ms_p50_n4_delay_{delay}ms");
        let least = 3.0 * delay as f64;
        Row::beside(&name, "ms", ours, least, "three message delays")
    };
    [5, 25, 50, 100].map(row).into()
}

/// Milliseconds that a block of so many operations takes four nodes beyond what an empty one takes them: what it costs to
/// build, stream, judge, write, vote on and commit. `None` if no block held what was sent.
fn ms_beyond_empty(operations: usize) -> Option<f64> {
    runtime().block_on(async {
        let set = Set::start(4, FILLING).await;
        set.reach(0, 2).await;
        // a height starts one interval after the one before: what a commit comes late by is its block's time, less the last one's
        let interval = FILLING.as_secs_f64() * 1_000.0;
        let (mut sized, mut empty) = (Vec::new(), Vec::new());
        let all = set::signed(4, operations * SIZED_BLOCKS_MAX);
        let began = Instant::now();
        let mut last = 0.0;
        for mine in all.chunks(operations) {
            let mut late = [0.0; 2];
            let mut is_whole = last > 0.0;
            for (late, mine) in late.iter_mut().zip([None, Some(mine)]) {
                if let Some(mine) = mine {
                    set.send(mine).await;
                }
                let next = set.height(0) + 1;
                set.reach(0, next).await;
                let at = began.elapsed().as_secs_f64() * 1_000.0;
                // gossip brings a few to the proposer too late; where it is more than a hundredth, this pair does not count
                let inside = set.block_operations(next).await;
                let wanted = mine.map_or(0, <[_]>::len);
                is_whole &= inside.abs_diff(wanted) * 100 <= operations;
                *late = at - last - interval;
                last = at;
            }
            if is_whole {
                empty.push(late[0]);
                sized.push(late[1]);
            }
            if sized.len() == SIZED_BLOCKS {
                break;
            }
        }
        set.stop().await;
        // a sized block comes late by what the empty one after it comes early by
        (!sized.is_empty()).then(|| (median(sized) - median(empty)) / 2.0)
    })
}

/// Block time by payload.
#[must_use]
pub(crate) fn payload_rows() -> Vec<Row> {
    let row = |(size, operations)| {
        let name = format!("block_ms_beyond_empty_n4_{size}");
        ms_beyond_empty(operations).map(|ms| Row::alone(&name, "ms", ms))
    };
    PAYLOADS.into_iter().filter_map(row).collect()
}

/// What a sender waits for each tier, over slow lines.
#[must_use]
pub(crate) fn tier_rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for delay in [5, 25, 50, 100] {
        let (accepted, certified): (Vec<f64>, Vec<f64>) = runtime().block_on(async {
            let set = Set::start_apart(4, AT_ONCE, Some(Duration::from_millis(delay))).await;
            set.reach(0, WARM_UP).await;
            let mut times = Vec::new();
            for operation in set::signed(4, TIER_OPERATIONS) {
                times.push(set.tier_ms(&operation).await);
            }
            set.stop().await;
            times.into_iter().unzip()
        });
        let name = |tier| format!("{tier}_ms_p50_n4_delay_{delay}ms");
        rows.push(Row::alone(&name("accepted"), "ms", median(accepted)));
        let (least, peer) = (3.0 * delay as f64, "three message delays");
        rows.push(Row::beside(
            &name("certified"),
            "ms",
            median(certified),
            least,
            peer,
        ));
    }
    rows
}

/// Operations ordered per second.
#[must_use]
pub(crate) fn rate_rows() -> Vec<Row> {
    let row = |count| {
        let name = format!("ordered_per_second_n{count}");
        Row::alone(&name, "per second", ordered_per_second(count))
    };
    [1, 4].map(row).into()
}

/// What faults cost.
#[must_use]
pub(crate) fn fault_rows() -> Vec<Row> {
    vec![
        Row::alone("nil_round_ms", "ms", nil_round_ms()),
        Row::alone("recover_seconds", "s", recover_seconds()),
    ]
}
