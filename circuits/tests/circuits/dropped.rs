//! Each constraint is dropped in turn: a forged trace must exist that it alone refuses.
//!
//! What has one is listed in `golden/needed.txt`. What has none there, and why:
//!
//! - curve equations of the signature: a forged point must still end in 8 (Q - R8) = O, which no forward
//!   step finds (`signature` tampers with their cells);
//! - paths of the tree and the leaves copied into them: the wave does not choose a digit (`merkle` and
//!   `forgeries` tamper with paths and leaves);
//! - most booleans: their sums and products with others have to be forged together;
//! - rules at the end of the list, and selectors: not tried yet.

use std::collections::{BTreeMap, BTreeSet};

use circuits::chunk::{ChunkShape, SLOT_ROWS};
use circuits::trace::{At, Trace, at};
use halo2curves::bn256::Fr;
use protocol::testing::soak;
use protocol::witness::ChunkWitness;
use rayon::prelude::*;

use crate::checker::Checker;
use crate::chunk::every_witness;
use crate::wave::{Dropped, Wave};

/// An honest trace to start from.
struct Honest {
    shape: ChunkShape,
    checker: Checker,
    trace: Trace,
}

impl Honest {
    fn new(witness: &ChunkWitness) -> Self {
        let shape = ChunkShape {
            pairs: witness.pairs.len(),
        };
        let (circuit, _) = shape.prove(witness).unwrap();
        Self {
            shape,
            checker: Checker::new(&circuit),
            trace: circuit.trace().unwrap().clone(),
        }
    }
}

fn honest() -> Vec<Honest> {
    let all: Vec<_> = every_witness();
    all.par_iter()
        .map(|(_, witness)| Honest::new(witness))
        .collect()
}

/// Other values of a cell.
fn changes(value: Fr) -> [Fr; 4] {
    let random = Fr::from(0x1234_5678_9abc_def1) * Fr::from(0xfeed_beef_0123_4567).square();
    let one = Fr::one();
    [value + one, value - one, one - value, random]
}

fn forges(honest: &Honest, trace: &mut Trace, dropped: Dropped, seeds: &[(At, Fr)]) -> bool {
    let mut wave = Wave::new(&honest.checker, &honest.shape, trace, dropped);
    let forged = wave.forges(seeds);
    wave.undo();
    forged
}

/// Whether a change of one of these cells can be made good, but for what is dropped.
fn is_needed(honest: &Honest, trace: &mut Trace, dropped: Dropped, cells: &[At]) -> bool {
    cells.iter().any(|cell| {
        let value = trace.get(*cell);
        changes(value)
            .into_iter()
            .filter(|other| *other != value)
            .any(|other| forges(honest, trace, dropped, &[(*cell, other)]))
    })
}

/// A crumb out of range that its neighbour makes good, in the rows of a slot.
fn crumb_is_needed(honest: &Honest, trace: &mut Trace, polynomial: usize, cell: At) -> bool {
    let dropped = Dropped::Polynomial(polynomial);
    let (value, four) = (trace.get(cell), Fr::from(4));
    if forges(honest, trace, dropped, &[(cell, value + four)]) {
        return true; // a crumb of no group
    }
    let quarter = Option::<Fr>::from(ff::Field::invert(&four)).unwrap();
    let mut neighbours = Vec::new();
    if cell.column + 1 < circuits::layout::WIDTH {
        let next = at(cell.column + 1, cell.row);
        neighbours.push([(cell, value - four), (next, trace.get(next) + Fr::one())]);
        neighbours.push([(cell, value + four), (next, trace.get(next) - Fr::one())]);
    }
    let last = at(cell.column - 1, cell.row);
    neighbours.push([(cell, value + quarter), (last, trace.get(last) - Fr::one())]);
    neighbours.push([(cell, value - quarter), (last, trace.get(last) + Fr::one())]);
    neighbours
        .iter()
        .any(|seeds| forges(honest, trace, dropped, seeds))
}

/// Slots to try for a rule, and rows to try for another polynomial, last first: what comes after has to
/// be forged too. And how many of the cells that it reads.
const RULES_TRIED: usize = 8;
const ROWS_TRIED: usize = 2;
const CELLS_TRIED: usize = 6;
/// Places to try for a copy or a selector, last first.
const MEMBERS_TRIED: usize = 12;

fn polynomial_is_needed(all: &[Honest], polynomial: usize) -> bool {
    let dropped = Dropped::Polynomial(polynomial);
    let name = all[0].checker.name(polynomial);
    // a wave through a signature is long and alike for all: one witness is enough
    let is_curve = name.starts_with("signature") || name.starts_with("ladder");
    let witnesses = if is_curve { 1 } else { all.len() };
    all[..witnesses].iter().any(|honest| {
        let mut trace = honest.trace.clone();
        let rows = honest.checker.rows(polynomial);
        let is_crumb = honest.checker.name(polynomial).starts_with("crumbs");
        let tried = match honest.checker.name(polynomial) {
            name if name.starts_with("crumbs") => rows.len(),
            name if name.starts_with("rules") => RULES_TRIED,
            _ => ROWS_TRIED,
        };
        rows.iter().rev().take(tried).any(|row| {
            let cells = honest.checker.cells(polynomial, *row);
            if is_crumb {
                return crumb_is_needed(honest, &mut trace, polynomial, cells[0]);
            }
            let cells = &cells[..cells.len().min(CELLS_TRIED)];
            is_needed(honest, &mut trace, dropped, cells)
        })
    })
}

/// Constraints with a forgery, one a line: `kind | name`. The module says why others have none.
const NEEDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/needed.txt");

/// `make test` tries one constraint in so many, soak each.
const SAMPLED: usize = 6;

/// Forges against each listed constraint. With `QUORATE_SHOW` set, tries all and prints every verdict:
/// what the list is made from.
#[expect(clippy::print_stdout, reason = "verdicts are printed when asked for")]
fn try_all<T: Sync>(kind: &str, candidates: &[(String, T)], forged: impl Fn(&T) -> bool + Sync) {
    let list = std::fs::read_to_string(NEEDED).unwrap();
    let listed: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.split_once(" | "))
        .filter(|(listed, _)| *listed == kind)
        .map(|(_, name)| name)
        .collect();
    for name in &listed {
        let is_known = candidates.iter().any(|(known, _)| known == name);
        assert!(is_known, "{kind} '{name}' is listed and does not exist");
    }
    assert!(listed.len() > 200, "{}", listed.len());
    let shows = std::env::var_os("QUORATE_SHOW").is_some();
    let sampled = if soak(1) > 1 { 1 } else { SAMPLED };
    let unshown: Vec<&String> = candidates
        .par_iter()
        .enumerate()
        .filter(|(number, (name, _))| {
            shows || (number % sampled == 0 && listed.contains(name.as_str()))
        })
        .filter(|(_, (name, candidate))| {
            let shown = forged(candidate);
            if shows {
                println!("{kind} | {name} | shown: {shown}");
            }
            !shown && listed.contains(name.as_str())
        })
        .map(|(_, (name, _))| name)
        .collect();
    assert_eq!(unshown, Vec::<&String>::new(), "no forgery needs these");
}

#[test]
fn every_polynomial_is_needed_by_a_forgery() {
    let all = honest();
    let checker = &all[0].checker;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let candidates: Vec<(String, usize)> = (0..checker.polynomials())
        .map(|polynomial| {
            let name = checker.name(polynomial);
            let number = seen.entry(name).or_default();
            *number += 1;
            (format!("{name} #{number}"), polynomial)
        })
        .collect();
    try_all("polynomial", &candidates, |polynomial| {
        polynomial_is_needed(&all, *polynomial)
    });
}

/// A copy between two cells, and the honest trace it stands in.
type Copy = (usize, (At, At));

/// A copy's place, counted from its slots' first rows; parity and neighbourhood of slots, or an end.
fn class(shape: &ChunkShape, (left, right): (At, At)) -> String {
    let first = shape.slot_row(0);
    let local = |cell: At| match cell.row.checked_sub(first) {
        None => format!("end {cell:?}"),
        Some(row) => format!("slot {:?}", at(cell.column, row % SLOT_ROWS)),
    };
    let slot = |cell: At| cell.row.max(first) - first;
    let same = slot(left) / SLOT_ROWS == slot(right) / SLOT_ROWS;
    let (left, right) = (local(left), local(right));
    format!("{left} = {right}, one slot: {same}")
}

#[test]
fn every_copy_is_needed_by_a_forgery() {
    let all = honest();
    let mut classes: BTreeMap<String, Vec<Copy>> = BTreeMap::new();
    for (number, honest) in all.iter().enumerate() {
        for copy in honest.checker.copies().iter().rev() {
            let members = classes.entry(class(&honest.shape, *copy)).or_default();
            members.push((number, *copy));
        }
    }
    let candidates: Vec<_> = classes.into_iter().collect();
    try_all("copy", &candidates, |members| {
        members
            .iter()
            .take(MEMBERS_TRIED)
            .any(|(number, (left, right))| {
                let mut trace = all[*number].trace.clone();
                let dropped = Dropped::Copy(*left, *right);
                is_needed(&all[*number], &mut trace, dropped, &[*right, *left])
            })
    });
}
