//! Each fixed column is switched off in one row in which it is not 0: a trace is accepted then that is refused with it on.

use circuits::chunk::Cell;
use circuits::gadgets::poseidon::{INTERNAL, LIVE, OUT, schedule};
use circuits::lanes::circuit::FIXED;
use circuits::lanes::layout::{
    BYTES, COUNTS, HASH3, HASH3_STARTS, HASH6, HASH6_STARTS, WIDTH, place,
};
use circuits::lanes::tree::{INDEX, ON, PLACE, WRITTEN};
use circuits::layout::Fixed;
use circuits::trace::{At, Trace, at};
use circuits::window::invert_or_zero;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::evaluator::Evaluator;
use super::honest::Honest;
use super::refill::{count, leaf_rows, node_rows};
use super::second::{opened, permute};
use super::wave::Wave;
use super::{idle, second};
use crate::chunk::every_witness;

/// A whole trace, and the row in which the column is switched off.
type Forged = (Trace, usize);

pub(super) fn constraint(honest: &Honest, name: &str) -> usize {
    let names = honest.evaluator.names();
    names
        .iter()
        .position(|known| known == name)
        .expect("a constraint of this name")
}

/// The forgery that a constraint alone refuses.
fn against(all: &[Honest], name: &str) -> Forged {
    let number = constraint(&all[0], name);
    let idle =
        idle::forgery(&all[0], number).map(|(trace, broken)| (all[0].complete(trace), broken));
    let (whole, broken) = idle
        .or_else(|| second::forgery(&all[..1], number).map(|(_, trace, broken)| (trace, broken)))
        .expect("a forgery is known");
    (whole, broken[0].row)
}

/// One cell changed, and what follows.
fn wave(honest: &Honest, cell: At, row: usize) -> Forged {
    let value = honest.trace().get(cell) + Fr::one();
    let (trace, _) = Wave::new(honest, &[]).pin(cell, value).run();
    (honest.complete(trace), row)
}

/// One cell changed that nothing else depends on.
fn alone(honest: &Honest, cell: At, row: usize) -> Forged {
    let mut trace = honest.trace().clone();
    trace.set(cell, trace.get(cell) + Fr::one());
    (honest.complete(trace), row)
}

/// Puts a product right behind a row.
fn settle(honest: &Honest, whole: &mut Trace, column: usize, end: &str, row: usize) {
    let last = honest.end();
    let demand = honest.evaluator.demand(constraint(honest, end));
    let actual = whole.get(at(column, last));
    let wanted = actual - honest.evaluator.evaluate(demand, whole, last);
    let factor = wanted * invert_or_zero(actual);
    for row in row + 1..=last {
        whole.set(at(column, row), whole.get(at(column, row)) * factor);
    }
}

fn forged(all: &[Honest], column: Fixed) -> Forged {
    let honest = &all[0];
    let (shape, end) = (&honest.shape, honest.end());
    let trace = honest.trace();
    let is_on = |row: &usize| trace.get(at(ON, *row)) == Fr::one();
    let idle_leaf = leaf_rows(shape)
        .into_iter()
        .find(|row| !is_on(row))
        .expect("leaves in no use");
    let idle_node = node_rows(shape)
        .into_iter()
        .find(|row| !is_on(row))
        .expect("nodes in no use");
    let idle_slot = 2 * shape.pairs - 2;
    match column {
        // an error in a permutation of a pair that nobody uses
        Fixed::Poseidon5 => alone(honest, at(INTERNAL, idle_node), idle_node),
        Fixed::Poseidon6 | Fixed::Poseidon3 => {
            let (spread, starts) = if column == Fixed::Poseidon6 {
                (HASH6, &HASH6_STARTS[..])
            } else {
                (HASH3, &HASH3_STARTS[..])
            };
            let row = shape.slot_row(idle_slot) + starts[0];
            let place = spread.input(spread.width - 1); // the first cell behind the inputs
            alone(honest, at(place.column, row + place.rotation as usize), row)
        }
        // a dead leaf with the value of a living one
        Fixed::Leaf => {
            let mut trace = trace.clone();
            let inputs = [Fr::zero(); 4];
            trace.set(at(OUT, idle_leaf), schedule(5).run(&inputs).1);
            (honest.complete(trace), idle_leaf)
        }
        // neither dead nor alive
        Fixed::LeafPair => {
            let mut trace = trace.clone();
            trace.set(at(LIVE, idle_leaf), Fr::from(2));
            trace.set(
                at(OUT, idle_leaf),
                schedule(5).run(&[Fr::zero(); 4]).1.double(),
            );
            (honest.complete(trace), idle_leaf + 1)
        }
        // a child that nobody opened changes
        Fixed::NodePair => {
            let mut trace = trace.clone();
            trace.set(at(1, idle_node + 1), Fr::one());
            permute(&mut trace, idle_node + 1);
            (honest.complete(trace), idle_node + 1)
        }
        Fixed::NodeOld => unopened(&all[1]),
        Fixed::LadderNext => against(all, "ladder goes on: table #1"),
        Fixed::LadderEnd => against(all, "signature's scalars: c is below p #1"),
        Fixed::Bytes => against(all, "every byte is one: sum of seven inverses #1"),
        Fixed::BytesWide => against(all, "bytes Wide: value of bytes #1"),
        Fixed::BytesLong => against(all, "bytes Long: value of bytes #1"),
        Fixed::BytesKey => against(all, "bytes Key: value of bytes #1"),
        Fixed::BytesChallenge => against(all, "bytes Challenge: value of bytes #1"),
        Fixed::BytesMiddle => against(all, "bytes Middle: value of bytes #1"),
        Fixed::BytesSmall => against(all, "bytes Small: value of bytes #1"),
        // a 0 is counted where another byte should stand
        Fixed::Table => {
            let row = (1..256)
                .find(|row| trace.get(at(COUNTS, *row)) == Fr::zero())
                .expect("a byte that does not occur");
            let mut trace = trace.clone();
            trace.set(at(COUNTS, row), Fr::one());
            trace.set(at(COUNTS, 0), trace.get(at(COUNTS, 0)) - Fr::one());
            let mut whole = honest.complete(trace);
            second::lower(&mut whole, row + 1, end);
            (whole, row)
        }
        // the last slot does anything: here its rules do not hold, and its reads do not count
        Fixed::Rules => {
            let slot = 2 * shape.pairs - 1;
            let row = shape.slot_row(slot);
            let mut trace = trace.clone();
            let power = shape.cell(slot, Cell::Power);
            trace.set(power, trace.get(power) + Fr::one());
            let leaf = leaf_rows(shape)
                .into_iter()
                .find(|row| trace.get(at(WRITTEN, row + 1)) == Fr::from(3 * slot as u64 + 3))
                .expect("the last slot reads a leaf");
            trace.set(at(WRITTEN, leaf + 1), Fr::from(3 * slot as u64));
            let mut whole = honest.complete(trace);
            settle(honest, &mut whole, WIDTH, "products: memory ends #1", row);
            (whole, row)
        }
        Fixed::First => {
            let cell = shape.cell(idle_slot, Cell::PartnerBits);
            alone(honest, cell, shape.slot_row(idle_slot))
        }
        // a slot that reads as if no time had passed
        Fixed::Clock => clock(&all[1]),
        Fixed::Ends => {
            let place = HASH6.input(1);
            wave(honest, at(place.column, end + place.rotation as usize), end)
        }
        // widths of the state at the start; its domain is the first slot's then
        Fixed::Start => {
            let domain = place(Cell::Domain);
            let element = place(Cell::LeafCountAfter);
            let cell = at(domain.column, domain.rotation as usize);
            let value = trace.get(shape.cell(0, Cell::Domain));
            let element = at(element.column, element.rotation as usize);
            let wide = trace.get(element) + circuits::convert::power_of_two(70);
            start(honest, cell, value, element, wide)
        }
        Fixed::End => {
            let element = place(Cell::LeafCountAfter);
            wave(
                honest,
                at(element.column, end + element.rotation as usize),
                end,
            )
        }
        _ => panic!("{column:?} is no column of the lanes"),
    }
}

/// A state at the start with an element wider than its place.
fn start(honest: &Honest, domain: At, value: Fr, element: At, wide: Fr) -> Forged {
    let wave = Wave::new(honest, &[]).pin(domain, value).pin(element, wide);
    let (mut trace, _) = wave.run();
    // beside the bytes stands what fits them
    let gate = honest.gate("start");
    for number in gate {
        let cell =
            idle::output(honest.evaluator.demand(*number), 0).expect("an element's other place");
        if trace.get(cell) == wide {
            trace.set(cell, honest.trace().get(cell));
        }
    }
    for column in BYTES..COUNTS {
        for row in 0..16 {
            trace.set(at(column, row), honest.trace().get(at(column, row)));
        }
    }
    count(&mut trace, honest.end());
    (honest.complete(trace), 0)
}

/// The second slot's clock is 0: its accesses are as old as those of the first.
fn clock(honest: &Honest) -> Forged {
    let names = honest.evaluator.names();
    let ages = honest.gate("slot").iter().copied();
    let ages: Vec<usize> = ages
        .filter(|number| names[*number].contains("age"))
        .collect();
    let (trace, _) = Wave::new(honest, &ages).stopped(1).run();
    let (mut whole, row) = (honest.complete(trace), honest.shape.slot_row(1));
    settle(honest, &mut whole, WIDTH, "products: memory ends #1", row);
    (whole, row)
}

/// The circuit with one more leaf, dead and untouched, in its empty part; and the old row of its parent.
pub(super) fn with_empty_leaf(honest: &mut Honest) -> usize {
    let shape = honest.shape;
    let trace = honest.circuit.trace_mut().expect("it has a trace");
    let is_off = |trace: &Trace, row: &usize| trace.get(at(ON, *row)) == Fr::zero();
    let leaf = leaf_rows(&shape)
        .into_iter()
        .find(|row| is_off(trace, row))
        .expect("leaves in no use");
    let nodes: Vec<usize> = node_rows(&shape)
        .into_iter()
        .filter(|row| is_off(trace, row))
        .take(2)
        .collect();
    let is_third = |row: &usize| {
        trace.get(at(INDEX, *row)) == Fr::zero()
            && trace.get(at(INDEX, row + 1)) == Fr::from(3)
            && trace.get(at(ON, *row)) == Fr::one()
    };
    let third = node_rows(&shape)
        .into_iter()
        .find(is_third)
        .expect("the path of leaf 0");
    // leaf 42 is child 2 of node 10 of level 1, that of node 2 of level 2, that of node 0 of level 3
    trace.set(at(ON, leaf), Fr::one());
    trace.set(at(PLACE, leaf), Fr::from(42));
    let mut empty = Fr::zero();
    for (level, (index, row)) in [10_u64, 2]
        .into_iter()
        .zip(nodes.iter().copied())
        .enumerate()
    {
        trace.set(at(ON, row), Fr::one());
        trace.set(at(INDEX, row), Fr::from(index));
        trace.set(at(INDEX, row + 1), Fr::from(level as u64 + 1));
        trace.set(opened(row, 2), Fr::one());
        for side in 0..2 {
            for j in 0..4 {
                trace.set(at(j, row + side), empty);
            }
            permute(trace, row + side);
        }
        empty = trace.get(at(OUT, row));
    }
    assert_eq!(trace.get(at(2, third)), empty);
    trace.set(opened(third, 2), Fr::one());
    nodes[0]
}

/// A node whose first children are not counted: one that nothing opened changes.
fn unopened(all: &Honest) -> Forged {
    let mut honest = Honest::of(all);
    let row = with_empty_leaf(&mut honest);
    assert_eq!(honest.broken(honest.trace().clone()), vec![]);
    let wave = Wave::new(&honest, &[])
        .pin(opened(row, 1), Fr::one())
        .pin(at(1, row + 1), Fr::from(5));
    let (trace, _) = wave.run();
    let mut whole = honest.complete(trace);
    settle(
        &honest,
        &mut whole,
        WIDTH + 1,
        "products: tree ends at the root #1",
        row,
    );
    (whole, row)
}

#[test]
fn every_selector_is_needed_in_some_row() {
    let all: Vec<Honest> = every_witness()
        .into_iter()
        .take(4)
        .map(|(name, witness)| Honest::new(name, &witness))
        .collect();
    let shown: Vec<(Fixed, bool, Vec<String>)> = FIXED
        .par_iter()
        .map(|column| {
            let (whole, row) = forged(&all, *column);
            let honest = match column {
                Fixed::Clock | Fixed::NodeOld => &all[1],
                _ => &all[0],
            };
            let refused = !honest.evaluator.broken(&whole).is_empty();
            let mut wiring = honest.circuit.wiring().clone();
            let before = wiring.fixed.len();
            wiring
                .fixed
                .retain(|(name, place, _)| (*name, *place) != (*column, row));
            assert_eq!(
                wiring.fixed.len() + 1,
                before,
                "{column:?} is on in row {row}"
            );
            let without = Evaluator::with(&wiring, honest.shape.rows());
            let names = without.broken(&whole).into_iter();
            let names = names
                .map(|broken| format!("{} at {}", without.names()[broken.constraint], broken.row));
            (*column, refused, names.collect())
        })
        .collect();
    let bad: Vec<_> = shown
        .iter()
        .filter(|(_, refused, rest)| !*refused || !rest.is_empty())
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
