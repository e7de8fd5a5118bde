//! What a forger may choose, besides what the dropped constraint reads: one cell, another state at the start, other leaves, flags that
//! are none, and what a rule by its name calls for.

use std::collections::BTreeSet;

use circuits::chunk::Cell;
use circuits::convert::{limbs, power_of_two};
use circuits::gadgets::poseidon::LIVE;
use circuits::lanes::layout::place;
use circuits::lanes::tree::{ON, PLACE};
use circuits::trace::{At, at};
use ff::PrimeField;
use halo2curves::bn256::Fr;
use protocol::params::LOCK_HEIGHTS_MAX;

use super::honest::Honest;
use super::refill::leaf_rows;
use crate::checker::queries;

/// Cells that the forger chooses.
pub(super) type Pins = Vec<(At, Fr)>;

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
pub(super) fn one_cell<'a>(
    honest: &'a Honest,
    constraint: usize,
) -> impl Iterator<Item = Pins> + 'a {
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
pub(super) fn start(i: usize) -> At {
    let here = place(Cell::ALL[19 + i]);
    at(here.column, here.rotation as usize)
}

/// Another state at the start: the digest before is the forger's claim.
pub(super) fn other_start(honest: &Honest) -> impl Iterator<Item = Pins> + '_ {
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
pub(super) fn other_leaves(honest: &Honest) -> Vec<Pins> {
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
pub(super) fn flags(honest: &Honest, forged: Cell) -> Vec<Pins> {
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

/// `count` bits of a number, as a number.
fn bits_of(value: Fr, first: usize, count: usize) -> Fr {
    let words = limbs(value);
    let bit = |place: usize| words[place / 64] >> (place % 64) & 1;
    let bits = (0..count).rev();
    bits.fold(Fr::zero(), |sum, i| sum.double() + Fr::from(bit(first + i)))
}

/// A coordinate in the parts of a stated key: 120 bits, 128 bits, 6 bits.
fn parts(value: Fr) -> [Fr; 3] {
    [(0, 120), (120, 128), (248, 6)].map(|(first, count)| bits_of(value, first, count))
}

/// p in these parts, and all above the first.
fn modulus() -> ([Fr; 3], Fr) {
    let below = -Fr::one();
    let [low, middle, top] = parts(below);
    ([low + Fr::one(), middle, top], bits_of(below, 120, 134))
}

/// Choices of several cells that a rule calls for, in any slot.
pub(super) fn by_name(honest: &Honest, rule: &str) -> Vec<Pins> {
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
            "IsLocked is boolean" => doubt(&mut choose, honest, slot, (IsLocked, LockDistance)),
            "AboveFloor is boolean" => {
                doubt(&mut choose, honest, slot, (AboveFloor, FloorDistance))
            }
            "IsEnough is boolean" => doubt(&mut choose, honest, slot, (IsEnough, EnoughDistance)),
            "HasRoom is boolean" => doubt(&mut choose, honest, slot, (HasRoom, RoomDistance)),
            "same owner" => choose(&[(OwnerInverse, Fr::zero())]),
            "same token" => choose(&[(TokenInverse, Fr::zero())]),
            "recipient's token" => choose(&[(Token2Inverse, Fr::zero())]),
            "stated owner is not 0" => choose(&[(NewOwnerInverse, Fr::zero())]),
            "tree is not full" => choose(&[(SpaceInverse, Fr::zero())]),
            "a group has two members" => choose(&[(InGroup, one), (IsLast, one)]),
            "a group is open" => choose(&[(OpenInverse, Fr::zero())]),
            "last of a group only" => choose(&[(IsLast, one)]),
            "Selector0 is boolean" => choose(&[(Selector0, number(2)), (Index3, one)]),
            "Selector1 is boolean" => {
                let half: Fr = Option::from(number(2).invert()).expect("2 is not 0");
                choose(&[(Selector1, half), (Index3, number(2))]);
            }
            "IsNoop is boolean" => {
                let height = honest.trace().get(honest.shape.cell(slot, HeightAfter));
                let kinds = [(IsNoop, -one), (IsTransfer, one), (IsInbox, one)];
                let valid = [(ValidUntil, height + number(5))];
                choose(&with_nothing(&[&kinds[..], &valid].concat()));
            }
            "IsNew is boolean" => {
                for owner in [Fr::from(0x1234), Fr::from(0x5678)] {
                    let kinds = [(IsNew, -one), (IsChangeKey, one), (NewOwner, owner)];
                    choose(&with_nothing(&kinds));
                }
            }
            "IsChangeKey is boolean" => {
                // a Lock that makes a leaf, too; the sender's key stays if it is the stated one
                let value = |name: Cell| honest.trace().get(honest.shape.cell(slot, name));
                let [x, y] = [X1, Y1].map(|name| parts(value(name)));
                let key = [XLow, XMiddle, XHigh].into_iter().zip(x);
                let key = key.chain([YLow, YMiddle, YHigh].into_iter().zip(y));
                let kinds = [(IsChangeKey, -one), (IsNew, one), (IsLock, one)];
                let until = (Until, value(Lock1) + one); // not locked at any height after
                let all: Vec<_> = kinds.into_iter().chain([until]).chain(key).collect();
                choose(&all);
            }
            "IsWithdraw is boolean" => {
                let amount = honest.trace().get(honest.shape.cell(slot, Amount));
                choose(&[
                    (IsWithdraw, -one),
                    (IsTransfer, one),
                    (Mantissa, amount),
                    (Power, one),
                ]);
            }
            _ => {}
        }
    }
    if rule == "IsLock is boolean" {
        all.extend((0..honest.filled + 2).flat_map(|slot| negative_lock(honest, slot)));
    }
    if rule == "a locked leaf pays no fee" {
        let locked = other_leaves(honest).into_iter();
        let locked: Vec<Pins> = locked.filter(|pins| pins[0].0.column == 3).collect();
        for slot in 0..honest.filled {
            let fee = (honest.shape.cell(slot, FeeMantissa), Fr::one());
            all.extend(locked.iter().map(|pins| vec![pins[0], fee]));
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

/// Choices, and no amount.
fn with_nothing(choices: &[(Cell, Fr)]) -> Vec<(Cell, Fr)> {
    let nothing = [Cell::Amount, Cell::Mantissa].into_iter().chain(EXPONENT);
    let nothing = nothing.map(|name| (name, Fr::zero()));
    choices.iter().copied().chain(nothing).collect()
}

/// A BidBurn without a signature, with a Lock that is taken back: what the Lock says of heights holds backwards, for a leaf
/// that is locked for longer than anybody may, and a nonce is taken back.
fn negative_lock(honest: &Honest, slot: usize) -> Vec<Pins> {
    use Cell::*;
    let cell = |name: Cell| honest.shape.cell(slot, name);
    let value = |name: Cell| honest.trace().get(cell(name));
    let height = value(HeightAfter);
    let beyond = height + Fr::from(LOCK_HEIGHTS_MAX);
    let rows = leaf_rows(&honest.shape).into_iter();
    let rows = rows.filter(|row| {
        honest.trace().get(at(ON, *row)) == Fr::one()
            && honest.trace().get(at(PLACE, *row)) == value(Index1)
    });
    rows.map(|row| {
        let holdings = at(3, row);
        let locked = honest.trace().get(holdings) + (beyond + Fr::from(5)) * power_of_two(120);
        let kinds = [
            (IsLock, -Fr::one()),
            (IsBidBurn, Fr::one()),
            (IsNoop, Fr::one()),
            (Until, beyond + Fr::from(2)),
            (BidHeight, height),
        ];
        let kinds = kinds.map(|(name, value)| (cell(name), value));
        let mut pins = kinds.to_vec();
        let meta = at(2, row);
        let used = honest.trace().get(meta) + power_of_two(192);
        pins.extend([(holdings, locked), (meta, used)]);
        pins
    })
    .collect()
}

/// A flag of a comparison between yes and no, at which the distance is 5.
fn doubt(
    choose: &mut impl FnMut(&[(Cell, Fr)]),
    honest: &Honest,
    slot: usize,
    (flag, distance): (Cell, Cell),
) {
    let value = |name: Cell| honest.trace().get(honest.shape.cell(slot, name));
    let is_above = value(flag) == Fr::one();
    let below = -value(distance) - Fr::one();
    let above = if is_above { value(distance) } else { below };
    let slope: Option<Fr> = (above.double() + Fr::one()).invert().into();
    if let Some(slope) = slope {
        choose(&[(flag, (above + Fr::from(6)) * slope)]);
    }
}

/// Rules whose forgeries begin in the state: leaves and what is threaded.
pub(super) const ABOUT_STATE: [&str; 17] = [
    "a block has a fee leaf",
    "a locked leaf only locks",
    "a locked leaf pays no fee",
    "a new leaf takes the next place",
    "a promised bid comes before the next block",
    "a promised bid comes first",
    "an open group goes on",
    "fee leaf has the token",
    "fee leaf lives",
    "inbox items before signed operations",
    "no group is open when a block opens",
    "recipient has the token",
    "recipient lives",
    "sender lives",
    "signed operations in an open block",
    "the sender's key signs: x",
    "the sender's key signs: y",
];
