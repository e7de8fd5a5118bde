//! Forgeries of what the lanes do once for all slots: running products, bytes, permutations, and pairs of the tree.
//!
//! A product that ends wrong may be put right in any row whose constraint is dropped; so each constraint of a product
//! refuses, alone, a trace of the first phase that only the product's end refused.

use circuits::chunk::Cell;
use circuits::convert::limbs;
use circuits::gadgets::poseidon::{self, LIVE, OUT, schedule};
use circuits::lanes::bytes::{ACROSS, PATTERN_OF_ROW, Pattern};
use circuits::lanes::layout::{BYTES, ROWS, WIDTH};
use circuits::lanes::tree::{INDEX, ON, PLACE, flag};
use circuits::trace::{At, Trace, at};
use circuits::window::invert_or_zero;
use halo2curves::bn256::Fr;

use super::evaluator::Broken;
use super::honest::Honest;
use super::refill::{count, leaf_rows, node_rows};
use super::wave::{Poison, Wave};

/// Columns of the second phase.
const MEMORY: usize = WIDTH;
const TREE: usize = WIDTH + 1;
const HASHES: usize = WIDTH + 2;
const PARTS: usize = WIDTH + 3;
const RUNNING: usize = PARTS + ACROSS / 7;

/// A whole trace that the constraint alone refuses, if this module knows one.
pub(crate) fn forgery(all: &[Honest], constraint: usize) -> Option<(usize, Trace, Vec<Broken>)> {
    let name = all[0].evaluator.names()[constraint].clone();
    let (gate, rest) = name.split_once(": ")?;
    let (rule, number) = rest.rsplit_once(" #")?;
    let index = number.parse::<usize>().ok()?.checked_sub(1)?;
    let transfers = &all[0];
    let traces: Vec<(usize, Trace)> = match gate {
        "products"
            if rule.contains("tree") || rule.contains("value") || rule.contains("children") =>
        {
            vec![(
                0,
                product(transfers, constraint, TREE, dangling_leaf(transfers)),
            )]
        }
        "products" => vec![(
            0,
            product(transfers, constraint, MEMORY, late_closing(transfers)),
        )],
        "hashes on demand" => vec![(
            0,
            product(transfers, constraint, HASHES, false_hash(transfers)),
        )],
        "every byte is one" => vec![(0, sums(transfers, rule, index))],
        "poseidon5" => poisons(transfers, rule, 4)
            .map(|index| {
                let row = leaf_rows(&transfers.shape)[0] + 1;
                poisoned(transfers, Poison::Tree { row, index })
            })
            .map(|trace| (0, trace))
            .collect(),
        "poseidon6 spread" => poisons(transfers, rule, 5)
            .map(|index| {
                (
                    0,
                    poisoned(
                        transfers,
                        Poison::Call {
                            slot: 0,
                            call: 0,
                            index,
                        },
                    ),
                )
            })
            .collect(),
        "poseidon3 spread" => poisons(transfers, rule, 2)
            .flat_map(|index| stated_key(all).map(move |(number, slot)| (number, slot, index)))
            .map(|(number, slot, index)| {
                (
                    number,
                    poisoned(
                        &all[number],
                        Poison::Call {
                            slot,
                            call: 5,
                            index,
                        },
                    ),
                )
            })
            .collect(),
        "node" => all
            .iter()
            .enumerate()
            .find_map(|(number, honest)| Some((number, pair(honest, rule, index)?)))
            .into_iter()
            .collect(),
        _ if gate.starts_with("bytes ") => pattern(transfers, gate, rule, index)
            .into_iter()
            .map(|trace| (0, trace))
            .collect(),
        _ => Vec::new(),
    };
    traces.into_iter().find_map(|(number, trace)| {
        let broken = all[number].evaluator.broken(&trace);
        let is_only =
            !broken.is_empty() && broken.iter().all(|broken| broken.constraint == constraint);
        is_only.then_some((number, trace, broken))
    })
}

/// The cell of a permutation that a constraint is about.
fn poisons(_: &Honest, rule: &str, inputs: usize) -> std::option::IntoIter<usize> {
    let cells = schedule(inputs + 1).cells();
    let number = match rule.strip_prefix("s-box input ") {
        Some(number) => number.parse().ok(),
        None => Some(cells),
    };
    number.into_iter()
}

fn poisoned(honest: &Honest, poison: Poison) -> Trace {
    let (trace, _) = Wave::new(honest, &[]).poisoned(poison).run();
    honest.complete(trace)
}

/// A slot whose operation states a key.
fn stated_key(all: &[Honest]) -> Option<(usize, usize)> {
    all.iter().enumerate().find_map(|(number, honest)| {
        let states = |slot: &usize| {
            let flags = [Cell::IsNew, Cell::IsChangeKey];
            flags
                .iter()
                .any(|flag| honest.trace().get(honest.shape.cell(*slot, *flag)) == Fr::one())
        };
        (0..honest.filled).find(states).map(|slot| (number, slot))
    })
}

/// A leaf that says it was written last at another time.
fn late_closing(honest: &Honest) -> Trace {
    let mut trace = honest.trace().clone();
    let written = at(
        circuits::lanes::tree::WRITTEN,
        leaf_rows(&honest.shape)[0] + 1,
    );
    trace.set(written, trace.get(written) + Fr::one());
    trace
}

/// An opened leaf that no node uses.
fn dangling_leaf(honest: &Honest) -> Trace {
    let mut trace = honest.trace().clone();
    let row = *leaf_rows(&honest.shape).last().expect("there are leaves");
    rich_leaf(&mut trace, row, 0x0123_4567);
    trace
}

/// Opens a living leaf that no slot reads.
fn rich_leaf(trace: &mut Trace, row: usize, index: u64) {
    trace.set(at(ON, row), Fr::one());
    trace.set(at(PLACE, row), Fr::from(index));
    for side in 0..2 {
        for (column, value) in [7_u64, 11, 13, 1 << 60].into_iter().enumerate() {
            trace.set(at(column, row + side), Fr::from(value));
        }
        trace.set(at(LIVE, row + side), Fr::one());
        permute(trace, row + side);
    }
}

/// Fills a row of the tree from its inputs.
pub(crate) fn permute(trace: &mut Trace, row: usize) {
    let inputs: Vec<Fr> = (0..4).map(|column| trace.get(at(column, row))).collect();
    let (cells, hash) = schedule(5).run(&inputs);
    for (index, value) in cells.into_iter().enumerate().skip(4) {
        trace.set(at(poseidon::INTERNAL + index - 4, row), value);
    }
    trace.set(at(OUT, row), hash);
}

/// A false accumulator that follows from everything but its permutation.
fn false_hash(honest: &Honest) -> Trace {
    let cell = honest.shape.cell(0, Cell::Hash0);
    let value = honest.trace().get(cell) + Fr::one();
    Wave::new(honest, &[]).pin(cell, value).run().0
}

/// Completes a trace whose product ends wrong, and puts the product right where the constraint would have to notice.
fn product(honest: &Honest, constraint: usize, column: usize, trace: Trace) -> Trace {
    let mut whole = honest.complete(trace);
    let (start, end) = (honest.shape.slot_row(0), honest.end());
    let name = &honest.evaluator.names()[constraint];
    if name.contains(" end") {
        return whole;
    }
    let honest_whole = honest.complete(honest.trace().clone());
    let error = whole.get(at(column, end)) * invert_or_zero(honest_whole.get(at(column, end)));
    let first = if name.contains("start") {
        start
    } else {
        let rows = honest.evaluator.rows(constraint).iter();
        let row = rows.copied().find(|row| *row >= start).unwrap_or(start);
        row + first_step(name)
    };
    for row in first..=end {
        let value = whole.get(at(column, row)) * invert_or_zero(error);
        whole.set(at(column, row), value);
    }
    whole
}

/// Rows from a constraint's row to the product that it moves.
fn first_step(name: &str) -> usize {
    match name {
        "hashes on demand: asked #2" => 2,
        "hashes on demand: asked #3" => 3,
        "hashes on demand: answered #1" => 4,
        "hashes on demand: answered #2" => 5,
        _ => 1,
    }
}

/// Two neighbouring bytes of one group that are none, in a part of the sums; or anything else that the sums refuse.
fn sums(honest: &Honest, rule: &str, index: usize) -> Trace {
    let row = honest.shape.slot_row(0);
    assert_eq!(PATTERN_OF_ROW[0], Pattern::Wide);
    // 15, 20, 5 and 4 bytes
    let first = match (rule, index) {
        ("sum of seven inverses", part) => 7 * part + 1,
        _ => ACROSS - 2,
    };
    let mut trace = honest.trace().clone();
    let (low, high) = (at(BYTES + first, row), at(BYTES + first + 1, row));
    trace.set(low, trace.get(low) + Fr::from(256));
    trace.set(high, trace.get(high) - Fr::one());
    count(&mut trace, honest.end());
    let mut whole = honest.complete(trace);
    let end = honest.end();
    match rule {
        "sum of seven inverses" => {
            let error = lower(&mut whole, row + 1, end);
            let part = at(PARTS + index, row);
            whole.set(part, whole.get(part) - error);
        }
        "running difference" => {
            lower(&mut whole, row + 1, end);
        }
        "difference starts at 0" => {
            lower(&mut whole, 0, end);
        }
        _ => {}
    }
    whole
}

/// Takes what the running difference ends with from a row on; returns it.
pub(crate) fn lower(whole: &mut Trace, from: usize, end: usize) -> Fr {
    let error = whole.get(at(RUNNING, end));
    for row in from..=end {
        let cell = at(RUNNING, row);
        whole.set(cell, whole.get(cell) - error);
    }
    error
}

/// First byte, whole bytes and bits of each group of a pattern.
fn groups(pattern: Pattern) -> Vec<(usize, usize, usize)> {
    let mut next = 0;
    let widths = pattern.widths().iter();
    widths
        .map(|width| {
            let (first, count) = (next, width.div_ceil(8));
            next += count + usize::from(width % 8 != 0);
            (first, count, *width)
        })
        .collect()
}

/// Other bytes beside a value, or another byte beside the top one.
fn pattern(honest: &Honest, gate: &str, rule: &str, index: usize) -> Option<Trace> {
    let row = (0..ROWS).find(|row| format!("bytes {:?}", PATTERN_OF_ROW[*row]) == gate)?;
    let first = honest.shape.slot_row(0) + row;
    let groups = groups(PATTERN_OF_ROW[row]);
    let mut trace = honest.trace().clone();
    let mut change = |byte: usize, by: u64, below: u64| {
        let cell = at(BYTES + byte, first);
        let value = (limbs(trace.get(cell))[0] + by) % below;
        trace.set(cell, Fr::from(value));
        value
    };
    if rule == "top byte shifted" {
        let (start, count, _) = *groups
            .iter()
            .filter(|(_, _, width)| width % 8 != 0)
            .nth(index)?;
        change(start + count, 1, 256);
    } else {
        let (start, count, width) = *groups.get(index)?;
        let bits = width - 8 * (count - 1);
        let value = match count {
            1 => change(start, 1, 1 << bits),
            _ => change(start, 1, 256),
        };
        if count == 1 && width % 8 != 0 {
            trace.set(at(BYTES + start + 1, first), Fr::from(value << (8 - width)));
        }
    }
    count(&mut trace, honest.end());
    Some(honest.complete(trace))
}

/// A node in use whose child j is not opened: its old row.
pub(crate) fn used(honest: &Honest, j: usize) -> Option<usize> {
    let trace = honest.trace();
    let rows = node_rows(&honest.shape).into_iter();
    let mut rows = rows.filter(|row| trace.get(at(ON, *row)) == Fr::one());
    rows.find(|row| trace.get(opened(*row, j)) == Fr::zero())
}

/// The flag of a child.
pub(crate) fn opened(row: usize, j: usize) -> At {
    let place = flag(j);
    at(
        place.column,
        (row + 1).wrapping_add_signed(place.rotation as isize),
    )
}

/// Pairs of the tree: a changed child that nobody opened; a leaf that hangs on a node in no use.
fn pair(honest: &Honest, rule: &str, j: usize) -> Option<Trace> {
    match rule {
        "other children stay" => {
            let child = at(j, used(honest, j)? + 1);
            let value = honest.trace().get(child) + Fr::one();
            let (trace, _) = Wave::new(honest, &[]).pin(child, value).run();
            Some(honest.complete(trace))
        }
        "children of unused pairs are not opened" => {
            let mut trace = honest.trace().clone();
            let mut rows = node_rows(&honest.shape).into_iter();
            let row = rows.find(|row| trace.get(at(ON, *row)) == Fr::zero())?;
            let leaf = *leaf_rows(&honest.shape).last()?;
            rich_leaf(&mut trace, leaf, 4 * 0x4321 + j as u64);
            trace.set(at(INDEX, row), Fr::from(0x4321));
            trace.set(at(INDEX, row + 1), Fr::one());
            trace.set(opened(row, j), Fr::one());
            for side in 0..2 {
                let value = trace.get(at(OUT, leaf + side));
                trace.set(at(j, row + side), value);
                permute(&mut trace, row + side);
            }
            Some(honest.complete(trace))
        }
        _ => None,
    }
}
