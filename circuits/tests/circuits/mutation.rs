//! Every used cell of slots that hold every kind of operation is changed; survivors have a reason.

use std::collections::BTreeMap;

use circuits::chunk::{Cell, ChunkShape, SLOT_ROWS, accesses, cell, range_pattern};
use circuits::gadgets::merkle;
use circuits::layout::WIDTH;
use circuits::trace::{At, Trace, at};
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use crate::checker::Checker;
use crate::chunk::every_witness;
use crate::harness::accepts;

/// Cells that may hold anything where the value they serve is not in question.
pub(crate) fn reason(name: Cell) -> Option<&'static str> {
    match name {
        Cell::FeeInverse
        | Cell::OwnerInverse
        | Cell::TokenInverse
        | Cell::Token2Inverse
        | Cell::OpenInverse
        | Cell::NewOwnerInverse
        | Cell::SpaceInverse => Some("inverse of 0: multiplied by 0"),
        Cell::UnknownInverse => Some("read only for an item of unknown type"),
        Cell::FeeCountInverse => Some("read only where a block opens"),
        Cell::NonceInverse => Some("read only for a transaction"),
        Cell::CoreHash => Some("read only for a bid, where the signed message binds it"),
        _ => None,
    }
}

/// Cells without a name that nothing depends on, though an enabled polynomial reads them.
fn structural_reason(place: At, slot: usize) -> Option<&'static str> {
    let local = |name: Cell| cell(name) == place;
    if slot % 2 == 1 && (local(Cell::PartnerBits) || local(Cell::PartnerNoop)) {
        return Some("a second slot has no partner: multiplied by `First`, which is 0");
    }
    let first_old = accesses()[0].row + 2;
    if place.column == 4 && place.row >= first_old {
        let inside = (place.row - accesses()[0].row) % merkle::ROWS;
        if inside >= 2 && inside.is_multiple_of(2) {
            return Some("live flag of a row that is no leaf: multiplied by `Leaf`, which is 0");
        }
    }
    if is_spare_crumb(place) {
        return Some("crumb behind the last group of its row, or the end of a group's last byte");
    }
    None
}

/// Whether a cell of a range row is in no group of the row's pattern.
fn is_spare_crumb(place: At) -> bool {
    let Some(pattern) = range_pattern(place.row) else {
        return false;
    };
    let Some(crumb) = place.column.checked_sub(8) else {
        return false;
    };
    let mut start = 0;
    for crumbs in pattern.groups() {
        if (start..start + crumbs).contains(&crumb) {
            return false;
        }
        start += crumbs.next_multiple_of(4);
    }
    true
}

#[test]
fn every_used_cell_of_every_kind_of_slot_is_constrained() {
    let mut survivors: BTreeMap<String, usize> = BTreeMap::new();
    let mut changed_total = 0;
    for (name, witness) in every_witness() {
        let shape = ChunkShape {
            pairs: witness.pairs.len(),
        };
        let (circuit, _) = shape.prove(&witness).unwrap();
        let checker = Checker::new(&circuit);
        let honest = circuit.trace().unwrap();
        let found: Vec<(usize, Vec<String>)> = (0..2 * witness.pairs.len())
            .into_par_iter()
            .map(|slot| mutate_slot(&checker, honest, &shape, slot))
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
    checker: &Checker,
    honest: &Trace,
    shape: &ChunkShape,
    slot: usize,
) -> (usize, Vec<String>) {
    let random = Fr::from(0x1234_5678_9abc_def1) * Fr::from(0xfeed_beef_0123_4567).square();
    let mut trace = honest.clone();
    let (mut changed, mut survivors) = (0, Vec::new());
    // Tree rows are alike: two rows of four levels, and the leaves.
    let rows = (0..SLOT_ROWS).filter(|offset| *offset <= 80 || offset % 8 <= 1);
    for (offset, column) in rows.flat_map(|offset| (0..WIDTH).map(move |column| (offset, column))) {
        let (place, local) = (
            at(column, shape.slot_row(slot) + offset),
            at(column, offset),
        );
        let named = Cell::ALL.iter().find(|name| cell(**name) == local);
        let excused = named
            .and_then(|name| reason(*name))
            .or(structural_reason(local, slot));
        if excused.is_some() || !checker.is_used(place) {
            continue;
        }
        let value = trace.get(place);
        for other in [value + Fr::one(), Fr::zero(), -value, random] {
            if other == value {
                continue;
            }
            changed += 1;
            trace.set(place, other);
            if !checker.refuses(&trace, place) {
                let cell = named.map_or(format!("{local:?}"), |name| format!("{name:?}"));
                survivors.push(format!("slot {slot}: {cell}"));
            }
        }
        trace.set(place, value);
    }
    (changed, survivors)
}

/// The fast checker and the mock prover agree, here on the named cells of one transfer.
#[test]
fn the_mock_prover_agrees_with_the_checker() {
    let (_, witness) = every_witness().remove(0);
    let shape = ChunkShape { pairs: 1 };
    let (circuit, inputs) = shape.prove(&witness).unwrap();
    let checker = Checker::new(&circuit);
    for name in Cell::ALL.iter().step_by(9) {
        let place = shape.cell(0, *name);
        let mut tampered = circuit.clone();
        let trace = tampered.trace_mut().unwrap();
        trace.set(place, trace.get(place) + Fr::one());
        let refused = checker.refuses(tampered.trace().unwrap(), place);
        assert_eq!(refused, !accepts(shape.k(), &tampered, &inputs), "{name:?}");
    }
}
