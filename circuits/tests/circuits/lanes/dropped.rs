//! Each constraint of the lanes is dropped in turn: a forged trace exists that it alone refuses, or a reason why none can.
//!
//! `golden/needed-lanes.txt` has a line for every constraint, how it was shown to be needed and, where a search found it, the
//! forger's choice: which cells of which witness. Each is forged again; `UPDATE_GOLDEN=1` searches for those that have no line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::OnceLock;

use circuits::chunk::Cell;
use circuits::trace::{At, at};
use ff::PrimeField;
use halo2curves::bn256::Fr;
use protocol::account::LeafKey;
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{LeafIndex, TokenId};
use protocol::threaded::{FeeLeaves, Phase};
use protocol::transition::Operation;
use protocol::witness::ChunkWitness;
use rayon::prelude::*;

use super::choices::{ABOUT_STATE, Pins, by_name, flags, one_cell, other_leaves, other_start};
use super::evaluator::Broken;
use super::honest::Honest;
use super::wave::Wave;
use super::{idle, second};
use crate::chunk::every_witness;
use crate::forger::{Forger, Forgery};
use crate::forgeries;
use crate::ledger::{Ledger, amount, item, owner};

/// What the search found and what is signed off: `constraint | how | ...`.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/needed-lanes.txt");
/// Constraints that no forgery needs, each with its reason in the golden file.
const SIGNED_OFF_MAX: usize = 26;
/// Seconds that a search for one constraint may take.
const SECONDS_MAX: u64 = 60;

/// Witnesses besides those of the suite: no operation, chunks that begin inside a block, a group that ends a chunk.
fn more() -> Vec<(&'static str, ChunkWitness)> {
    let mut ledger = Ledger::new();
    let slots = [ledger.transfer(0, 1, 1_000), ledger.transfer(1, 2, 999)];
    ledger.push(Ledger::header(&[3], 1, false), slots);
    ledger.trace.cut();
    let slots = [ledger.transfer(0, 1, 1_000), ledger.transfer(2, 1, 999)];
    ledger.push(None, slots);
    let continued = ledger.finish();

    let deposit = |to: u32| {
        item(InboxRequest {
            kind: Some(InboxKind::Deposit),
            from: LeafIndex(0),
            to: LeafIndex(to),
            token: TokenId(0),
            amount: amount(500),
            owner: owner(0),
            l1_owner: owner(to),
            key: LeafKey::NULL,
        })
    };
    let mut ledger = Ledger::new();
    ledger.push(Ledger::header(&[3], 1, false), [deposit(1), deposit(2)]);
    ledger.trace.cut();
    ledger.push(None, [deposit(1), deposit(2)]);
    let items = ledger.finish();

    let mut ledger = Ledger::new();
    let group = ledger.group(&[(0, 1, 50), (2, 0, 60)]);
    ledger.push(Ledger::header(&[3], 1, false), [group[0], group[1]]);
    let group = ledger.finish();

    let mut lone = Forger::new(false).starting_with(|threaded| {
        threaded.fee_leaves = FeeLeaves::new(&[LeafIndex(3)]).expect("one leaf");
        threaded.phase = Phase::Signed;
    });
    let transfer = Ledger::new().transfer(1, 2, 1_000);
    lone.pair(
        None,
        None,
        [Forgery::honest(Operation::Noop), Forgery::honest(transfer)],
    );
    vec![
        ("no operation", Forger::new(false).finish()),
        ("continued", continued),
        ("continued items", items),
        ("group", group),
        ("lone second", lone.finish()),
    ]
}

/// All witnesses: first those whose traces satisfy everything.
pub(super) fn witnesses() -> &'static [Honest] {
    static ALL: OnceLock<Vec<Honest>> = OnceLock::new();
    ALL.get_or_init(fill)
}

fn fill() -> Vec<Honest> {
    let forged = forgeries::cases().into_iter();
    let forged = forged.map(|(name, _, witness)| (name, witness));
    let all: Vec<_> = every_witness()
        .into_iter()
        .chain(more())
        .chain(forged)
        .collect();
    all.par_iter()
        .enumerate()
        .map(|(number, (name, witness))| Honest::new(&format!("{number} {name}"), witness))
        .collect()
}

/// Witnesses whose traces satisfy everything; behind them are the forger's.
fn honest_count() -> usize {
    every_witness().len() + more().len() - 1
}

fn is_only(broken: &[Broken], constraints: &[usize]) -> bool {
    !broken.is_empty()
        && broken
            .iter()
            .all(|broken| constraints.contains(&broken.constraint))
}

fn forges(honest: &Honest, dropped: &[usize], pins: &[(At, Fr)]) -> bool {
    if pins.is_empty() {
        // a forger's witness is false where nothing was changed, and nothing follows from what is dropped
        let (trace, _) = Wave::new(honest, &[]).run();
        return is_only(&honest.broken_anywhere(trace), dropped);
    }
    let mut wave = Wave::new(honest, dropped);
    for (cell, value) in pins {
        wave = wave.pin(*cell, *value);
    }
    is_only(&wave.run().1, dropped)
}

/// How a constraint was shown to be needed.
enum How {
    /// `idle` or `second` knows.
    Known,
    /// Cells of a witness, by number.
    Pins(usize, Pins),
}

/// Constraints that are all that refuses a forger's witness.
fn refused_alone(all: &[Honest]) -> &'static BTreeMap<usize, usize> {
    static ALONE: OnceLock<BTreeMap<usize, usize>> = OnceLock::new();
    ALONE.get_or_init(|| {
        let forged = all.iter().enumerate().skip(honest_count());
        let alone = forged.filter_map(|(number, honest)| {
            let broken = honest.broken_anywhere(Wave::new(honest, &[]).run().0);
            let constraint = broken.first()?.constraint;
            is_only(&broken, &[constraint]).then_some((constraint, number))
        });
        alone.collect()
    })
}

fn search(all: &[Honest], constraint: usize) -> Option<How> {
    let name = &all[0].evaluator.names()[constraint];
    if idle::forgery(&all[0], constraint).is_some() || second::forgery(all, constraint).is_some() {
        return Some(How::Known);
    }
    let gate = name.split(": ").next().unwrap_or_default();
    if !["rules", "slot", "ends", "start", "end"].contains(&gate) {
        return None;
    }
    let dropped = [constraint];
    let is_forged = |number: usize, pins: Pins| {
        forges(&all[number], &dropped, &pins).then_some(How::Pins(number, pins))
    };
    let honest = honest_count();
    let rule = name
        .trim_start_matches("rules: ")
        .split(" #")
        .next()
        .unwrap_or_default();
    let forged = Cell::ALL
        .iter()
        .find(|cell| rule == format!("{cell:?} is boolean"));
    if let Some(number) = refused_alone(all).get(&constraint) {
        return Some(How::Pins(*number, Vec::new()));
    }
    let started = std::time::Instant::now();
    let order = match (ABOUT_STATE.contains(&rule), forged.is_some()) {
        (true, _) => [0, 3, 4, 1, 2],
        (_, true) => [0, 2, 1, 3, 4],
        _ => [0, 1, 2, 3, 4],
    };
    let mut tried = order.into_iter().flat_map(|kind| {
        (0..honest).flat_map(move |number| {
            let own = &all[number];
            let candidates: Box<dyn Iterator<Item = Pins>> = match kind {
                0 => Box::new(by_name(own, rule).into_iter()),
                1 => Box::new(one_cell(own, constraint)),
                2 => Box::new(
                    forged
                        .map_or(Vec::new(), |cell| flags(own, *cell))
                        .into_iter(),
                ),
                3 => Box::new(other_start(own)),
                _ => Box::new(other_leaves(own).into_iter()),
            };
            candidates.map(move |pins| (number, pins))
        })
    });
    let mut in_time = tried
        .by_ref()
        .take_while(|_| started.elapsed().as_secs() < SECONDS_MAX);
    in_time.find_map(|(number, pins)| is_forged(number, pins))
}

fn text(all: &[Honest], how: &How) -> String {
    match how {
        How::Known => "forged".to_owned(),
        How::Pins(number, pins) => {
            let mut text = format!("forged | {} |", all[*number].name);
            for (cell, value) in pins {
                let digits: String = value
                    .to_repr()
                    .iter()
                    .rev()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                let digits = digits.trim_start_matches('0');
                let _ = write!(text, " {},{}=0x{digits}", cell.row, cell.column);
            }
            text
        }
    }
}

fn parse_pins(text: &str) -> Pins {
    let number = |text: &str| text.parse::<usize>().expect("a number");
    text.split_whitespace()
        .map(|pin| {
            let (cell, value) = pin.split_once("=0x").expect("row,column=0x..");
            let (row, column) = cell.split_once(',').expect("row,column");
            let nibbles = value.chars().map(|digit| digit.to_digit(16).expect("hex"));
            let value = nibbles.fold(Fr::zero(), |sum, digit| {
                sum * Fr::from(16) + Fr::from(u64::from(digit))
            });
            (at(number(column), number(row)), value)
        })
        .collect()
}

pub(super) fn golden() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(" | "));
    lines
        .map(|(name, how)| (name.to_owned(), how.to_owned()))
        .collect()
}

/// Whether what a line says is so.
pub(super) fn holds(all: &[Honest], constraint: usize, how: &str) -> bool {
    let mut parts = how.split(" | ");
    match (parts.next(), parts.next(), parts.next()) {
        (Some("forged"), None, None) => {
            idle::forgery(&all[0], constraint).is_some()
                || second::forgery(all, constraint).is_some()
        }
        (Some("forged" | "forged |"), Some(witness), pins) => {
            let witness = witness.trim_end_matches(" |");
            let honest = all.iter().find(|honest| honest.name == witness);
            let pins = parse_pins(pins.unwrap_or_default());
            honest.is_some_and(|honest| forges(honest, &[constraint], &pins))
        }
        (Some("signed off"), Some(reason), None) => reason.len() > 20,
        _ => false,
    }
}

#[test]
fn every_constraint_of_the_lanes_is_needed_or_signed_off() {
    let all = witnesses();
    let honest = honest_count();
    for honest in &all[..honest] {
        assert_eq!(
            honest.broken(honest.trace().clone()),
            vec![],
            "{}",
            honest.name
        );
    }
    let names = all[0].evaluator.names();
    let mut lines = golden();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        lines.retain(|name, how| names.contains(name) && how != "none");
        let missing: Vec<usize> = (0..names.len())
            .filter(|number| !lines.contains_key(&names[*number]))
            .collect();
        for some in missing.chunks(32) {
            let found = some
                .par_iter()
                .map(|number| (names[*number].clone(), search(all, *number)));
            for (name, how) in found.collect::<Vec<_>>() {
                let how = how.map_or("none".to_owned(), |how| text(all, &how));
                lines.insert(name, how);
            }
            let text: String = lines
                .iter()
                .map(|(name, how)| format!("{name} | {how}\n"))
                .collect();
            std::fs::write(GOLDEN, text).expect("the golden file can be written");
        }
    }
    let listed: BTreeSet<&str> = lines.keys().map(String::as_str).collect();
    let existing: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(
        existing.difference(&listed).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    assert_eq!(
        listed.difference(&existing).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    let count = |kind: &str| lines.values().filter(|how| how.starts_with(kind)).count();
    let signed_off = count("signed off");
    assert!(signed_off <= SIGNED_OFF_MAX, "{signed_off}");
    assert_eq!(count("forged") + signed_off, lines.len());
    let unshown: Vec<&String> = names
        .par_iter()
        .enumerate()
        .filter(|(number, name)| !holds(all, *number, &lines[*name]))
        .map(|(_, name)| name)
        .collect();
    assert_eq!(unshown, Vec::<&String>::new(), "no forgery needs these");
}
