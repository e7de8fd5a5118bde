//! Every used cell of the lanes, in slots that hold every kind of operation, is changed; survivors have a reason.

use std::collections::BTreeMap;

use circuits::chunk::Cell;
use circuits::lanes::layout::{BYTES, Extra, Named, ROWS, TREE_SPARE, WIDTH, place};
use circuits::trace::{At, Trace, at};
use circuits::window::pos;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::checker::{LaneChecker, challenges};
use super::shape;
use crate::chunk::every_witness;
use crate::harness::accepts;
use crate::mutation::reason;

/// Cells that nothing depends on, though an enabled constraint reads them.
fn excused(local: At, slot: usize, unasked: &[Named]) -> Option<&'static str> {
    let stands = |name: Named| place(name) == pos(local.row as i32, local.column);
    let name = Named::all().find(|name| stands(*name));
    match name {
        Some(name) if unasked.contains(&name) => {
            Some("a hash that the operation does not need: its flag is 0 wherever it is read")
        }
        Some(Named::Rule(Cell::PartnerBits | Cell::PartnerNoop)) if slot % 2 == 1 => {
            Some("a second slot has no partner: multiplied by `First`, which is 0")
        }
        Some(Named::Rule(cell)) => reason(cell),
        _ => None,
    }
}

/// Cells of pairs that are not in use: their entries are multiplied by `on`, which is 0.
fn is_idle_pair(trace: &Trace, cell: At) -> bool {
    let old = cell.row - cell.row % 2;
    cell.column < TREE_SPARE + 3 && trace.get(at(TREE_SPARE + 2, old)) == Fr::zero()
}

#[test]
fn every_used_cell_of_every_kind_of_slot_in_lanes_is_constrained() {
    let mut survivors: BTreeMap<String, usize> = BTreeMap::new();
    let mut changed_total = 0;
    for (number, (name, witness)) in every_witness().into_iter().enumerate() {
        let shape = shape(&witness);
        let (circuit, _) = shape.prove(&witness).unwrap();
        let checker = LaneChecker::new(&circuit);
        let honest = circuit.complete(challenges()).unwrap();
        if number == 0 {
            assert_eq!(checker.violations(&honest), Vec::<String>::new());
        }
        let found: Vec<(usize, Vec<String>)> = (0..2 * witness.pairs.len())
            .into_par_iter()
            .map(|slot| {
                let unasked = circuit.unasked(slot);
                mutate_slot(&checker, &honest, shape.slot_row(slot), slot, &unasked)
            })
            .collect();
        for (changed, cells) in found {
            changed_total += changed;
            for cell in cells {
                *survivors.entry(format!("{name}: {cell}")).or_default() += 1;
            }
        }
    }
    assert!(changed_total > 100_000, "{changed_total}");
    let shown: Vec<_> = survivors.iter().take(40).collect();
    assert!(
        survivors.is_empty(),
        "{} survivors, among them {shown:?}",
        survivors.len()
    );
}

/// Changes each used cell of a slot in four ways; returns how many changes, and what survived.
fn mutate_slot(
    checker: &LaneChecker,
    honest: &Trace,
    first_row: usize,
    slot: usize,
    unasked: &[Named],
) -> (usize, Vec<String>) {
    let random = Fr::from(0x1234_5678_9abc_def1) * Fr::from(0xfeed_beef_0123_4567).square();
    let mut trace = honest.clone();
    let (mut changed, mut survivors) = (0, Vec::new());
    // the flag that does not ask is the one by which the rules do not read; a challenge is always split into limbs
    let challenge = Named::Extra(Extra::Challenge);
    for name in unasked.iter().filter(|name| **name != challenge) {
        let here = place(*name);
        let cell = at(here.column, first_row + here.rotation as usize);
        let value = trace.get(cell);
        trace.set(cell, value + random);
        assert_eq!(
            checker.broken(&trace, cell),
            None,
            "{name:?} is read but not asked for"
        );
        trace.set(cell, value);
    }
    for (offset, column) in
        (0..ROWS).flat_map(|offset| (0..WIDTH).map(move |column| (offset, column)))
    {
        let (cell, local) = (at(column, first_row + offset), at(column, offset));
        if excused(local, slot, unasked).is_some() || !checker.is_used(cell) {
            continue;
        }
        let value = trace.get(cell);
        for other in [value + Fr::one(), Fr::zero(), -value, random] {
            if other == value {
                continue;
            }
            changed += 1;
            trace.set(cell, other);
            if checker.broken(&trace, cell).is_none() && !is_idle_pair(honest, cell) {
                let stands = |name: &Named| place(*name) == pos(offset as i32, column);
                let name = Named::all().find(stands);
                survivors.push(name.map_or(format!("{local:?}"), |name| format!("{name:?}")));
            }
        }
        trace.set(cell, value);
    }
    (changed, survivors)
}

/// The checker and the mock prover agree, on named cells, bytes and the tree's cells of a transfer.
#[test]
fn the_mock_prover_agrees_with_the_checker_of_the_lanes() {
    let (_, witness) = every_witness().remove(0);
    let shape = shape(&witness);
    let (circuit, inputs) = shape.prove(&witness).unwrap();
    let checker = LaneChecker::new(&circuit);
    let named = Named::all().step_by(23).map(|name| shape.cell(0, name));
    let bytes = (0..3).map(|i| at(BYTES + 7 * i, shape.slot_row(0) + i));
    let tree = (0..4).map(|i| at(3 * i, shape.slot_row(0) + 4 * i));
    let time = [shape.cell(1, Extra::Time1), shape.cell(1, Extra::Time3)];
    for cell in named.chain(bytes).chain(tree).chain(time) {
        let mut tampered = circuit.clone();
        let trace = tampered.trace_mut().unwrap();
        trace.set(cell, trace.get(cell) + Fr::one());
        let mut whole = circuit.complete(challenges()).unwrap();
        whole.set(cell, whole.get(cell) + Fr::one());
        let refused = checker.broken(&whole, cell).is_some();
        assert_eq!(refused, !accepts(shape.k(), &tampered, &inputs), "{cell:?}");
    }
}
