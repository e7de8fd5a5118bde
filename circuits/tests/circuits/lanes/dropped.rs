//! Each constraint of the lanes is dropped in turn: a forged trace exists that it alone refuses, or a reason why none can.
//!
//! `golden/needed-lanes.txt` has a line for every constraint, how it was shown to be needed and, where a search found it, the
//! forger's choice: which cells of which witness. `make test` forges a share of them again, `make soak` all.
//! `UPDATE_GOLDEN=1` searches for those that have no line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::OnceLock;

use circuits::chunk::Cell;
use circuits::convert::{limbs, power_of_two};
use circuits::gadgets::poseidon::LIVE;
use circuits::lanes::layout::place;
use circuits::lanes::tree::ON;
use circuits::trace::{At, at};
use ff::PrimeField;
use halo2curves::bn256::Fr;
use protocol::account::LeafKey;
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{LeafIndex, TokenId};
use protocol::testing::soak;
use protocol::threaded::{FeeLeaves, Phase};
use protocol::transition::Operation;
use protocol::witness::ChunkWitness;
use rayon::prelude::*;

use super::evaluator::Broken;
use super::wave::{Honest, Wave, leaf_rows};
use super::{idle, second};
use crate::checker::queries;
use crate::chunk::every_witness;
use crate::forger::{Forger, Forgery};
use crate::forgeries;
use crate::ledger::{Ledger, amount, item, owner};

/// What the search found and what is signed off: `constraint | how | ...`.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/needed-lanes.txt");
/// `make test` forges against one constraint in so many.
const SAMPLED: usize = 8;
/// Constraints that no forgery needs, each with its reason in the golden file.
const SIGNED_OFF_MAX: usize = 30;

/// Constraints for which neither a forgery nor a proof that others imply them was found.
const OPEN_MAX: usize = 20;
/// Seconds that a search for one constraint may take.
const SECONDS_MAX: u64 = 30;

/// Cells that the forger chooses.
type Pins = Vec<(At, Fr)>;

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
    let wave = pins
        .iter()
        .fold(Wave::new(honest, dropped), |wave, (cell, value)| {
            wave.pin(*cell, *value)
        });
    is_only(&wave.run().1, dropped)
}

/// Other values of a cell.
fn changes(value: Fr) -> Vec<Fr> {
    let random = Fr::from(0x1234_5678_9abc_def1) * Fr::from(0xfeed_beef_0123_4567).square();
    let one = Fr::one();
    let half: Fr = Option::from(Fr::from(2).invert()).expect("2 is not 0");
    let mut all = vec![
        value + one,
        value - one,
        one - value,
        half,
        Fr::zero(),
        -value,
        Fr::from(3),
        random,
    ];
    let mut known = BTreeSet::from([value.to_repr()]);
    all.retain(|other| known.insert(other.to_repr()));
    all
}

/// One cell that the constraint reads.
fn one_cell<'a>(honest: &'a Honest, constraint: usize) -> impl Iterator<Item = Pins> + 'a {
    let filled = honest.shape.slot_row(honest.filled + 2);
    let rows = honest.evaluator.rows(constraint).iter().copied();
    let rows: Vec<usize> = rows
        .filter(|row| *row < filled || *row >= honest.end())
        .collect();
    rows.into_iter().rev().flat_map(move |row| {
        queries(honest.evaluator.demand(constraint))
            .into_iter()
            .map(move |(column, rotation)| at(column, row.wrapping_add_signed(rotation as isize)))
            .flat_map(|cell| {
                changes(honest.trace().get(cell))
                    .into_iter()
                    .map(move |value| vec![(cell, value)])
            })
    })
}

/// A cell of the state at the start.
fn start(i: usize) -> At {
    let here = place(Cell::ALL[19 + i]);
    at(here.column, here.rotation as usize)
}

/// Another state at the start: the digest before is the forger's claim.
fn other_start(honest: &Honest) -> impl Iterator<Item = Pins> + '_ {
    (1..19).flat_map(|i| {
        let cell = start(i);
        let old = honest.trace().get(cell);
        let small = (0..5_u64)
            .map(Fr::from)
            .chain([Fr::from(7), old + Fr::from(2)]);
        let values: Vec<Fr> = small
            .chain(changes(old))
            .filter(|value| *value != old)
            .collect();
        values.into_iter().map(move |value| vec![(cell, value)])
    })
}

/// Other leaves in the tree: dead, locked, with another key, owner, token or nonce.
fn other_leaves(honest: &Honest) -> Vec<Pins> {
    let trace = honest.trace();
    let rows = leaf_rows(&honest.shape).into_iter();
    let used = rows.filter(|row| trace.get(at(ON, *row)) == Fr::one());
    used.flat_map(|row| {
        let mut pins = vec![vec![(at(LIVE, row), Fr::zero())]];
        for column in 0..4 {
            let cell = at(column, row);
            let old = trace.get(cell);
            let far: Fr = power_of_two(120);
            let values = match column {
                0 | 1 => vec![-old, old + Fr::one()],
                2 => vec![
                    old + power_of_two(160),
                    old + power_of_two(192),
                    old + Fr::one(),
                ],
                _ => vec![
                    old + far * power_of_two(60),
                    old + far * Fr::from(101),
                    old + far * Fr::from(102),
                    old + far * Fr::from(104),
                    old + Fr::one(),
                ],
            };
            pins.extend(values.into_iter().map(|value| vec![(cell, value)]));
        }
        pins
    })
    .collect()
}

/// Flags of which one is 1, and one that is forged: it is 1 less the others.
const ONE_OF: [&[Cell]; 4] = [
    &[
        Cell::IsNoop,
        Cell::IsTransfer,
        Cell::IsNew,
        Cell::IsWithdraw,
        Cell::IsChangeKey,
        Cell::IsLock,
        Cell::IsBidPay,
        Cell::IsBidBurn,
        Cell::IsInbox,
    ],
    &[
        Cell::IsDeposit,
        Cell::IsForcedTransfer,
        Cell::IsForcedNew,
        Cell::IsForcedWithdraw,
        Cell::IsForcedChangeKey,
        Cell::IsForcedExit,
        Cell::IsUnknown,
    ],
    &[
        Cell::Stated0,
        Cell::Stated1,
        Cell::Stated2,
        Cell::Stated3,
        Cell::Stated4,
    ],
    &[
        Cell::PhaseNone,
        Cell::PhaseInbox,
        Cell::PhaseSigned,
        Cell::PhaseBid,
    ],
];

/// Bits of the amount's exponent.
const EXPONENT: [Cell; 5] = [
    Cell::Exponent0,
    Cell::Exponent1,
    Cell::Exponent2,
    Cell::Exponent3,
    Cell::Exponent4,
];

/// Flags set so that their sum stays, one of them to what is no boolean.
fn flags(honest: &Honest, forged: Cell) -> Vec<Pins> {
    let Some(group) = ONE_OF.iter().find(|group| group.contains(&forged)) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for slot in 0..honest.filled + 2 {
        let cell = |name: Cell| honest.shape.cell(slot, name);
        let total: Fr = group
            .iter()
            .map(|name| honest.trace().get(cell(*name)))
            .sum();
        for choice in 0_usize..1 << group.len() {
            let is_on = |i: usize| choice >> i & 1 == 1;
            let on = Fr::from(u64::from(choice.count_ones()));
            let rest = total - on;
            let is_candidate = choice.count_ones() <= 3
                && group
                    .iter()
                    .enumerate()
                    .all(|(i, name)| *name != forged || !is_on(i))
                && rest * (Fr::one() - rest) != Fr::zero();
            if is_candidate {
                let pins = group.iter().enumerate().map(|(i, name)| {
                    let value = if *name == forged {
                        rest
                    } else {
                        Fr::from(u64::from(is_on(i)))
                    };
                    (cell(*name), value)
                });
                let mut pins: Pins = pins.collect();
                if group.contains(&Cell::PhaseNone) && honest.filled == 0 {
                    let numbered = pins.iter().zip(0_u64..);
                    let now = numbered
                        .map(|((_, value), number)| *value * Fr::from(number))
                        .sum();
                    pins.push((start(9), now));
                }
                // of nothing: amounts say what the kind is, too
                let nothing = [Cell::Amount, Cell::Mantissa].into_iter().chain(EXPONENT);
                let nothing = nothing.map(|name| (cell(name), Fr::zero()));
                all.push(pins.iter().copied().chain(nothing).collect());
                all.push(pins);
            }
        }
    }
    all
}

/// p in the parts of a stated key: 120 bits, 128 bits, 6 bits; and all above the first.
fn modulus() -> ([Fr; 3], Fr) {
    let below = limbs(-Fr::one());
    let part = |first: usize, count: usize| {
        let bit = |place: usize| below[place / 64] >> (place % 64) & 1;
        (0..count)
            .rev()
            .fold(Fr::zero(), |sum, i| sum.double() + Fr::from(bit(first + i)))
    };
    (
        [part(0, 120) + Fr::one(), part(120, 128), part(248, 6)],
        part(120, 134),
    )
}

/// Choices of several cells that a rule calls for, in any slot.
fn by_name(honest: &Honest, rule: &str) -> Vec<Pins> {
    use Cell::*;
    let number = |value: u64| Fr::from(value);
    let mut all: Vec<Pins> = Vec::new();
    for slot in 0..honest.filled + 2 {
        let mut choose = |cells: &[(Cell, Fr)]| {
            all.push(
                cells
                    .iter()
                    .map(|(name, value)| (honest.shape.cell(slot, *name), *value))
                    .collect(),
            );
        };
        let one = Fr::one();
        let ([p_low, p_middle, p_top], p_high) = modulus();
        match rule {
            "Header is boolean" => {
                choose(&[(Header, number(2)), (Stated0, one), (Delta, number(2))])
            }
            "a block opens with a pair" | "a block that opens is not empty" => {
                choose(&[(Header, one), (Stated0, one), (Delta, one)]);
            }
            "phase" => {
                for (on, off) in [
                    (PhaseSigned, PhaseInbox),
                    (PhaseInbox, PhaseSigned),
                    (PhaseInbox, PhaseNone),
                ] {
                    choose(&[(on, one), (off, Fr::zero())]);
                }
            }
            "fee is 0" => choose(&[(FeeInverse, Fr::zero())]),
            "a new leaf has an owner" => choose(&[(NewOwner, Fr::zero())]),
            "a BidPay where one is promised" => choose(&[(HeaderBid, Fr::zero())]),
            "XCarry is boolean" | "YCarry is boolean" => {
                let carry = if rule.starts_with('X') {
                    XCarry
                } else {
                    YCarry
                };
                for b in [Fr::zero(), one, -one] {
                    choose(&[(carry, b - p_high)]);
                }
            }
            "stated x is below p" => choose(&[
                (XLow, p_low),
                (XMiddle, p_middle),
                (XHigh, p_top),
                (XCanonical, Fr::zero()),
                (XCarry, Fr::zero()),
            ]),
            "stated y is below p" => choose(&[
                (YLow, p_low),
                (YMiddle, p_middle),
                (YHigh, p_top),
                (YCanonical, Fr::zero()),
                (YCarry, Fr::zero()),
            ]),
            "a group is open" => choose(&[(OpenInverse, Fr::zero())]),
            "last of a group only" => choose(&[(IsLast, one)]),
            "Selector0 is boolean" => choose(&[(Selector0, number(2)), (Index3, one)]),
            "Selector1 is boolean" => {
                let half: Fr = Option::from(number(2).invert()).expect("2 is not 0");
                choose(&[(Selector1, half), (Index3, number(2))]);
            }
            _ => {}
        }
    }
    let before: Pins = match rule {
        "a group is open" | "last of a group only" => vec![(start(18), Fr::one())],
        "Selector0 is boolean" => vec![
            (start(10), number(3)),
            (start(11), number(2)),
            (start(14), number(4)),
        ],
        "Selector1 is boolean" => vec![
            (start(10), number(3)),
            (start(12), Fr::one()),
            (start(14), number(4)),
        ],
        _ => Vec::new(),
    };
    for pins in &mut all {
        pins.extend(before.iter().copied());
    }
    all
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
            let broken = Wave::new(honest, &[]).run().1;
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
    let mut tried = (0..5).flat_map(|kind| {
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
        (Some("signed off" | "open"), Some(reason), None) => reason.len() > 20,
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
    let (signed_off, open) = (count("signed off"), count("open"));
    assert!(signed_off <= SIGNED_OFF_MAX, "{signed_off}");
    assert!(open <= OPEN_MAX, "{open}");
    let sampled = if soak(1) > 1 { 1 } else { SAMPLED };
    let unshown: Vec<&String> = names
        .par_iter()
        .enumerate()
        .filter(|(number, name)| number % sampled == 0 && !holds(all, *number, &lines[*name]))
        .map(|(_, name)| name)
        .collect();
    assert_eq!(unshown, Vec::<&String>::new(), "no forgery needs these");
}
