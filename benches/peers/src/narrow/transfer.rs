//! The rows of one transfer, top down: numbers, signature, leaves and paths.

use ark_bn254::Fr;
use ark_ff::{Field, One, PrimeField, Zero};
use taceo_ark_babyjubjub::Fr as Scalar;

use super::{
    gates::{Kind, LOW_BITS, largest},
    sheet::{Cell, Sheet, WIDTH},
};
use crate::{
    chain::{self, CHALLENGE, LEAF, MESSAGE, Round},
    field::{self, Point, power_of_two},
    tree::Siblings,
    workload::{Account, Transfer, Workload},
};

/// Bits of a challenge.
const CHALLENGE_BITS: usize = 254;

/// Bits of a signature's response: the subgroup's order is below 2^252, circomlib takes 253.
const RESPONSE_BITS: usize = 253;

/// Digits of two bits of what must not be negative: up to 2^252, a sixth of the prime.
const REST_DIGITS: usize = 126;

/// Digits of two bits of a balance or an amount.
const AMOUNT_DIGITS: usize = 32;

/// Digits of two bits of a nonce.
const NONCE_DIGITS: usize = 16;

/// The subgroup's order less 1.
#[must_use]
pub fn scalar_largest() -> Fr {
    Fr::from_bigint(Scalar::MODULUS).unwrap_or_default() - Fr::one()
}

/// The numbers that rows start from: 0, 1, 2 and 3, which are the starts of chains as well.
struct Numbers([Cell; WIDTH]);

impl Numbers {
    fn put(sheet: &mut Sheet) -> Self {
        let row = sheet.row([0_u64, 1, 2, 3].map(Fr::from));
        sheet.gate(Kind::Constants, &row[0]);
        for (column, cell) in row.iter().enumerate() {
            sheet.constant(column, cell, &cell.value);
        }
        Self(row)
    }

    fn zero(&self) -> Cell {
        self.0[0]
    }

    fn neutral(&self) -> [Cell; 2] {
        [self.0[0], self.0[1]]
    }

    fn start(&self, start: u64) -> Cell {
        self.0[start as usize]
    }
}

/// The rows of a permutation; the first state is the caller's to bind. `extra` stands beside it.
fn permutation(sheet: &mut Sheet, state: [Fr; chain::WIDTH], extra: Fr) -> ([Cell; WIDTH], Cell) {
    let all = chain::constants();
    let mut rows = chain::rows(state);
    rows[0][chain::WIDTH] = extra;
    let first = sheet.row(rows[0]);
    let mut last = first;
    for (round, row) in chain::rounds().zip(&rows[1..]) {
        let (kind, index, count) = match round {
            Round::Full(index) => (Kind::Full, index, 1),
            Round::Pair(index) => (Kind::Pair, index, 2),
            Round::Single(index) => (Kind::Single, index, 1),
        };
        sheet.gate(kind, &last[0]);
        let constants = all.rounds[index..index + count].as_flattened();
        for (column, value) in constants.iter().enumerate() {
            sheet.constant(column, &last[0], value);
        }
        last = sheet.row(*row);
    }
    (first, last[0])
}

/// A chain over cells.
fn hash(sheet: &mut Sheet, numbers: &Numbers, start: u64, inputs: &[Cell]) -> Cell {
    let mut before = numbers.start(start);
    for pair in inputs.chunks(2) {
        let inputs = [
            before,
            pair[0],
            pair.get(1).copied().unwrap_or(numbers.zero()),
        ];
        let state = inputs.map(|cell| cell.value);
        let (first, out) = permutation(sheet, state, Fr::zero());
        for (from, to) in inputs.iter().zip(&first) {
            sheet.copy(from, to);
        }
        before = out;
    }
    before
}

/// What two walks over one path end with.
struct Climbed {
    old_root: Cell,
    new_root: Cell,
    index: Cell,
}

/// Walks from two values of a leaf to the roots, by the same bits and siblings.
fn climb(
    sheet: &mut Sheet,
    numbers: &Numbers,
    leaves: [Cell; 2],
    index: u32,
    siblings: &Siblings,
) -> Climbed {
    let mut nodes = leaves;
    let mut index_so_far = numbers.zero();
    for (level, sibling) in siblings.iter().enumerate() {
        let weight = power_of_two(level);
        let bit = Fr::from(index >> level & 1);
        let mut path: Option<[Cell; WIDTH]> = None;
        for node in &mut nodes {
            // The second walk's index is nobody's; it starts from 0 at each level.
            let index_before = if path.is_none() {
                index_so_far
            } else {
                numbers.zero()
            };
            let row = sheet.row([node.value, *sibling, bit, index_before.value]);
            sheet.gate(Kind::Swap, &row[0]);
            sheet.constant(0, &row[0], &weight);
            sheet.copy(node, &row[0]);
            sheet.copy(&index_before, &row[3]);
            if let Some(first) = &path {
                sheet.copy(&first[1], &row[1]);
                sheet.copy(&first[2], &row[2]);
            }
            let (left, right) = if bit.is_zero() {
                (node.value, *sibling)
            } else {
                (*sibling, node.value)
            };
            let index_after = index_before.value + bit * weight;
            let (first, out) = permutation(sheet, [Fr::zero(), left, right], index_after);
            sheet.copy(&numbers.zero(), &first[0]);
            *node = out;
            if path.is_none() {
                index_so_far = first[chain::WIDTH];
                path = Some(row);
            }
        }
    }
    Climbed {
        old_root: nodes[0],
        new_root: nodes[1],
        index: index_so_far,
    }
}

/// Up to four cells are below `4^digits`.
fn ranges(sheet: &mut Sheet, numbers: &Numbers, cells: [Option<Cell>; WIDTH], digits: usize) {
    let lanes = cells.map(|cell| cell.map(|cell| field::bits(&cell.value, 2 * digits)));
    let mut row = sheet.copied(cells);
    for digit in 1..=digits {
        sheet.gate(Kind::Range, &row[0]);
        row = sheet.row(std::array::from_fn(|lane| {
            let rest = lanes[lane]
                .as_ref()
                .map_or(&[][..], |bits| &bits[2 * digit..]);
            let bits = rest.iter().rev();
            bits.fold(Fr::zero(), |sum, bit| sum + sum + Fr::from(*bit))
        }));
    }
    for cell in &row {
        sheet.copy(&numbers.zero(), cell);
    }
}

fn point(cells: &[Cell]) -> Point {
    [cells[0].value, cells[1].value]
}

/// A scalar times a point; gives the product, the scalar and its bits above [`LOW_BITS`].
fn ladder(
    sheet: &mut Sheet,
    numbers: &Numbers,
    base: &[Cell; 2],
    scalar: &Fr,
) -> ([Cell; 2], Cell, Cell) {
    let [zero, one] = numbers.neutral();
    let bits = field::bits(scalar, CHALLENGE_BITS);
    let mut sum = field::neutral();
    let mut number = Fr::zero();
    let mut high = zero;
    for (step, bit) in bits.iter().rev().enumerate() {
        let row = sheet.row([sum[0], sum[1], number, Fr::from(*bit)]);
        sheet.gate(Kind::Ladder, &row[0]);
        if step == 0 {
            sheet.copy(&zero, &row[0]);
            sheet.copy(&one, &row[1]);
            sheet.copy(&zero, &row[2]);
        }
        if step == CHALLENGE_BITS - LOW_BITS {
            high = row[2];
        }
        let doubled = field::add(sum, sum);
        let below = sheet.row([doubled[0], doubled[1], base[0].value, base[1].value]);
        sheet.copy(&base[0], &below[2]);
        sheet.copy(&base[1], &below[3]);
        sum = if *bit {
            field::add(doubled, point(base))
        } else {
            doubled
        };
        number = number + number + Fr::from(*bit);
    }
    let [x, y, number, _] = sheet.row([sum[0], sum[1], number, Fr::zero()]);
    ([x, y], number, high)
}

/// A scalar times the base point; gives the product and the scalar.
fn base_multiple(sheet: &mut Sheet, numbers: &Numbers, scalar: &Fr) -> ([Cell; 2], Cell) {
    let [zero, one] = numbers.neutral();
    let mut sum = field::neutral();
    let mut number = Fr::zero();
    let mut multiple = field::base();
    for (step, bit) in field::bits(scalar, RESPONSE_BITS).into_iter().enumerate() {
        let weight = power_of_two(step);
        let row = sheet.row([sum[0], sum[1], Fr::from(bit), number]);
        sheet.gate(Kind::Base, &row[0]);
        let [x, y] = multiple;
        for (column, value) in [x, y, x * y, weight].iter().enumerate() {
            sheet.constant(column, &row[0], value);
        }
        if step == 0 {
            sheet.copy(&zero, &row[0]);
            sheet.copy(&one, &row[1]);
            sheet.copy(&zero, &row[3]);
        }
        if bit {
            sum = field::add(sum, multiple);
            number += weight;
        }
        multiple = field::add(multiple, multiple);
    }
    let [x, y, _, number] = sheet.row([sum[0], sum[1], Fr::zero(), number]);
    ([x, y], number)
}

/// A point on the curve.
fn curve_point(sheet: &mut Sheet, value: &Point) -> [Cell; 2] {
    let [x, y, _, _] = sheet.row([value[0], value[1], Fr::zero(), Fr::zero()]);
    sheet.gate(Kind::Curve, &x);
    [x, y]
}

/// Eight times a point, which is not of small order.
fn eightfold(sheet: &mut Sheet, of: &[Cell; 2]) -> [Cell; 2] {
    let [x, y] = (0..3).fold(*of, |double, _| sum(sheet, &double, &double));
    let inverse = x.value.inverse().unwrap_or_default();
    let row = sheet.row([x.value, inverse, Fr::zero(), Fr::zero()]);
    sheet.gate(Kind::Unequal, &row[0]);
    sheet.copy(&x, &row[0]);
    [x, y]
}

/// The sum of two points.
fn sum(sheet: &mut Sheet, left: &[Cell; 2], right: &[Cell; 2]) -> [Cell; 2] {
    let row = sheet.copied([left[0], left[1], right[0], right[1]].map(Some));
    sheet.gate(Kind::Add, &row[0]);
    let [x, y] = field::add(point(left), point(right));
    let [x, y, _, _] = sheet.row([x, y, Fr::zero(), Fr::zero()]);
    [x, y]
}

/// The smallest integer of a challenge's class; gives the rests that must be in range.
fn canonical(sheet: &mut Sheet, challenge: &Cell, high: &Cell) -> [Cell; 2] {
    let [low_largest, high_largest] = largest();
    let low = challenge.value - high.value * power_of_two(LOW_BITS);
    let borrow = Fr::from(low > low_largest);
    let above = sheet.row([challenge.value, high.value, borrow, Fr::zero()]);
    sheet.gate(Kind::Canonical, &above[0]);
    sheet.copy(challenge, &above[0]);
    sheet.copy(high, &above[1]);
    let high_rest = high_largest - high.value - borrow;
    let low_rest = low_largest - low + borrow * power_of_two(LOW_BITS);
    let [high_rest, low_rest, _, _] = sheet.row([high_rest, low_rest, Fr::zero(), Fr::zero()]);
    [high_rest, low_rest]
}

/// The rows of one transfer, from a root and the fees so far to the next ones.
fn transfer(
    sheet: &mut Sheet,
    numbers: &Numbers,
    step: &Transfer,
    root: Cell,
    fees: Cell,
) -> (Cell, Cell) {
    // Numbers.
    let [from_balance, amount, fee, to_balance] = [
        step.sender.balance,
        step.amount,
        step.fee,
        step.recipient.balance,
    ]
    .map(Fr::from);
    let nonce = Fr::from(step.sender.nonce);
    let s = step.signature.s;
    let rest = from_balance - amount - fee;
    let [from_balance, amount, fee, rest] = sheet.row([from_balance, amount, fee, rest]);
    sheet.gate(Kind::Rules, &from_balance);
    let total = to_balance + amount.value;
    let [to_balance, total, nonce, next_nonce] =
        sheet.row([to_balance, total, nonce, nonce + Fr::one()]);
    let after = fees.value + fee.value;
    let [s, s_rest, before, after] = sheet.row([s, scalar_largest() - s, fees.value, after]);
    sheet.copy(&fees, &before);
    let amounts = [amount, fee, rest, total].map(Some);
    ranges(sheet, numbers, amounts, AMOUNT_DIGITS);
    ranges(
        sheet,
        numbers,
        [Some(next_nonce), None, None, None],
        NONCE_DIGITS,
    );

    // Leaves and paths, which give the places that are signed.
    let key = curve_point(sheet, &step.sender.key);
    let Account {
        key: to_key,
        nonce: to_nonce,
        ..
    } = step.recipient;
    let [to_x, to_y, to_nonce, _] =
        sheet.row([to_key[0], to_key[1], Fr::from(to_nonce), Fr::zero()]);
    let leaf = |sheet: &mut Sheet, inputs: [Cell; 4]| hash(sheet, numbers, LEAF, &inputs);
    let from_leaves = [
        leaf(sheet, [key[0], key[1], from_balance, nonce]),
        leaf(sheet, [key[0], key[1], rest, next_nonce]),
    ];
    let to_leaves = [
        leaf(sheet, [to_x, to_y, to_balance, to_nonce]),
        leaf(sheet, [to_x, to_y, total, to_nonce]),
    ];
    let sender = climb(sheet, numbers, from_leaves, step.from, &step.from_siblings);
    let recipient = climb(sheet, numbers, to_leaves, step.to, &step.to_siblings);
    sheet.copy(&root, &sender.old_root);
    sheet.copy(&sender.new_root, &recipient.old_root);

    // The signature: s B8 = r8 + c (8 key).
    let signed = [sender.index, recipient.index, amount, fee, nonce];
    let message = hash(sheet, numbers, MESSAGE, &signed);
    let r8 = curve_point(sheet, &step.signature.r8);
    let drawn = [r8[0], r8[1], key[0], key[1], message];
    let challenge = hash(sheet, numbers, CHALLENGE, &drawn);
    let eight = eightfold(sheet, &key);
    let (multiple, number, high) = ladder(sheet, numbers, &eight, &challenge.value);
    sheet.copy(&challenge, &number);
    let [high_rest, low_rest] = canonical(sheet, &challenge, &high);
    let rests = [Some(s_rest), Some(high_rest), Some(low_rest), None];
    ranges(sheet, numbers, rests, REST_DIGITS);
    let (left, response) = base_multiple(sheet, numbers, &s.value);
    sheet.copy(&s, &response);
    let right = sum(sheet, &r8, &multiple);
    sheet.copy(&left[0], &right[0]);
    sheet.copy(&left[1], &right[1]);
    (recipient.new_root, after)
}

/// The rows of a chain of transfers. Public: the roots around it and the sum of the fees.
#[must_use]
pub fn sheet(workload: &Workload) -> Sheet {
    let mut sheet = Sheet::default();
    let numbers = Numbers::put(&mut sheet);
    let [start, _, _, _] = sheet.row([workload.old_root, Fr::zero(), Fr::zero(), Fr::zero()]);
    let (mut root, mut fees) = (start, numbers.zero());
    for step in &workload.transfers {
        (root, fees) = transfer(&mut sheet, &numbers, step, root, fees);
    }
    for cell in [start, root, fees] {
        sheet.publish(&cell);
    }
    sheet
}
