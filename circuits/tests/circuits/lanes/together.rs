//! Constraints that back each other up: none is needed while the others hold, and without all of them a forgery stands.
//! What is signed off in `golden/needed-lanes.txt` is in one of these sets, or has its reason there.

use circuits::chunk::Cell;
use circuits::gadgets::edwards::Point;
use circuits::gadgets::poseidon::LIVE;
use circuits::lanes::tree::ON;
use circuits::trace::{At, at};
use halo2curves::bn256::Fr;

use super::dropped::witnesses;
use super::honest::Honest;
use super::idle::Idle;
use super::refill::leaf_rows;
use super::second::opened;
use super::selectors::{constraint, with_empty_leaf};
use super::wave::Wave;

/// The constraints that a forgery breaks, by name, each once.
fn broken(honest: &Honest, dropped: &[&str], pins: &[(At, Fr)]) -> Vec<String> {
    let dropped: Vec<usize> = dropped
        .iter()
        .map(|name| constraint(honest, name))
        .collect();
    let mut wave = Wave::new(honest, &dropped);
    for (cell, value) in pins {
        wave = wave.pin(*cell, *value);
    }
    let names = honest.evaluator.names();
    let mut broken: Vec<String> = wave
        .run()
        .1
        .iter()
        .map(|broken| names[broken.constraint].clone())
        .collect();
    broken.sort();
    broken.dedup();
    broken
}

#[track_caller]
fn are_needed(honest: &Honest, together: &[&str], pins: &[(At, Fr)]) {
    let mut together = together.to_vec();
    together.sort_unstable();
    assert_eq!(broken(honest, &together, pins), together);
}

fn honest(name: &str) -> &'static Honest {
    let mut all = witnesses().iter();
    all.find(|honest| honest.name.ends_with(name))
        .expect("a witness of this name")
}

#[test]
fn half_opened_leaves_and_nodes_are_refused_by_flags_on_both_sides() {
    let mut base = Honest::of(honest("0 transfers"));
    let node = with_empty_leaf(&mut base);
    let trace = base.trace();
    let leaf = leaf_rows(&base.shape)
        .into_iter()
        .find(|row| trace.get(at(circuits::lanes::tree::PLACE, *row)) == Fr::from(42))
        .unwrap();
    let half = Fr::from(7);
    let flags = [
        "leaf: a pair is in use or not #1",
        "node: a child is opened or not #3",
    ];
    are_needed(
        &base,
        &flags,
        &[(at(ON, leaf), half), (opened(node, 2), half)],
    );
    // neither dead nor alive, before and after: nobody reads it
    let lives = [
        "leaf: old leaf lives or not #1",
        "leaf: new leaf lives or not #1",
    ];
    are_needed(
        &base,
        &lives,
        &[(at(LIVE, leaf), half), (at(LIVE, leaf + 1), half)],
    );

    // the same for the node above, with nothing below it
    let parent = (circuits::lanes::tree::node_row(0, 0)..base.end())
        .find(|row| {
            let number = |row: usize| base.trace().get(at(circuits::lanes::tree::INDEX, row));
            base.trace().get(at(ON, *row)) == Fr::one()
                && (number(*row), number(row + 1)) == (Fr::from(2), Fr::from(2))
        })
        .unwrap();
    let flags = [
        "node: a pair is in use or not #1",
        "node: a child is opened or not #3",
    ];
    let pins = [
        (at(ON, leaf), Fr::zero()),
        (opened(node, 2), Fr::zero()),
        (at(ON, node), half),
        (opened(parent, 2), half),
    ];
    are_needed(&base, &flags, &pins);
}

#[test]
fn a_leaf_cannot_be_made_where_one_lives() {
    let honest = honest("1 signed");
    let slot = (0..honest.filled)
        .find(|slot| honest.trace().get(honest.shape.cell(*slot, Cell::IsNew)) == Fr::one())
        .unwrap();
    let index = honest.trace().get(honest.shape.cell(slot, Cell::Index2));
    let leaf = leaf_rows(&honest.shape)
        .into_iter()
        .find(|row| honest.trace().get(at(circuits::lanes::tree::PLACE, *row)) == index)
        .unwrap();
    let together = [
        "rules: a new leaf takes an empty place #1",
        "rules: Live2After is boolean #1",
        "leaf: new leaf lives or not #1",
    ];
    are_needed(honest, &together, &[(at(LIVE, leaf), Fr::one())]);
}

#[test]
fn half_asked_hashes_are_refused_on_both_sides() {
    let transfers = honest("0 transfers");
    let member = transfers.shape.cell(1, Cell::InGroup);
    let together = [
        "rules: InGroup is boolean #1",
        "answer of 3: an answer counts or not #1",
    ];
    are_needed(transfers, &together, &[(member, Fr::from(2))]);
    let group = honest("group");
    let last = group.shape.cell(1, Cell::IsLast);
    let together = [
        "rules: IsLast is boolean #1",
        "answer of 3: an answer counts or not #1",
    ];
    are_needed(group, &together, &[(last, Fr::from(2))]);
}

#[test]
fn a_sum_that_is_not_of_small_order_is_refused_by_both_coordinates() {
    let transfers = honest("0 transfers");
    let names = transfers.evaluator.names();
    let together = |idle: &Idle<'_>| {
        let broken = idle.run().1;
        let mut broken: Vec<&str> = broken
            .iter()
            .map(|broken| names[broken.constraint].as_str())
            .collect();
        broken.sort_unstable();
        broken
    };
    let base = Idle::new(transfers);
    let any = base.with_commitment(Point::base());
    let ends = [
        "signature's scalars: 8 sum has x = 0 #1",
        "signature's scalars: 8 sum has y = 1 #1",
    ];
    assert_eq!(together(&any), ends);
    let shifted = base.with_fourfold(Fr::one());
    let ends = [
        "signature's scalars: 4 sum x #1",
        "signature's scalars: 8 sum has x = 0 #1",
    ];
    assert_eq!(together(&shifted), ends);
}
