//! A signature of Baby Jubjub by half-length scalars: `8 (w B8 - v R8 - u (8A)) = O`.
//!
//! **Statement.** For c the challenge as an integer below p and l the order of the prime subgroup, the prover
//! supplies v in `[1, 2^126)`, u = s |u| with `|u| < 2^126`, and a quotient `0 <= q < 2^130` with
//! `u = v c - q l` over the integers; and any w. Then some S signs: v is invertible modulo l, and with
//! `S = w / v mod l` the equation is v times `8 (S B8 - R8 - c (8A)) = O`, which is what
//! `protocol::signature` asks of S. Where S is known, `w = v S mod l`. Such v and u exist for every c (half
//! of Euclid's algorithm on l and c: [`split`]), so the circuit accepts exactly the messages that have a signature
//! with this R8; which S stands on paper is not its business, nobody publishes one.
//!
//! **Rows.** Sixteen rows of eight steps, from the top bit. In the ladder's columns:
//!
//! | offset | cells |
//! |---|---|
//! | 0 .. 9 | x, y, x y of `-R8`, of `-s 8A`, of their sum; the same in every row |
//! | 9, 10 | v and abs(u) as far as read |
//! | 11 .. 43 | eight steps of {bit of v, bit of abs(u), x, y} |
//! | 43 .. 67 | four windows of {four bits of w, x, y} |
//!
//! A step doubles and adds in one go: with `(x, y)` the sum so far and T the chosen point,
//! `N1 = 2xy, D1 = a x^2 + y^2, N2 = y^2 - a x^2, D2 = 2 - D1`, the new sum is
//! `(N1 D2 Ty + N2 D1 Tx) / (D1 D2 + d N1 N2 Tx Ty)`, `(N2 D1 Ty - a N1 D2 Tx) / (D1 D2 - d N1 N2 Tx Ty)`.
//! T and its product are multilinear in the two bits (degree 3), so a step has degree 9 with its selector.
//! Denominators are not 0 on the curve. After its steps a row adds multiples of `B8, 2^4 B8, 2^128 B8, 2^132 B8`, so that
//! sixteen bits of w enter at their weight. The first two steps read no bit: v and abs(u) are below 2^126.
//!
//! **The identity over the integers.** `E = v c - q l - u` has `|E| < 2^381 < 2^128 p`, and vanishes modulo p and modulo
//! 2^128: both are checked, the second in limbs of 64 bits with a carry in `[-2^67, 2^67)`.
//! `c = C0 + 2^64 C1 + 2^128 C2` with `C2 < floor(p / 2^128)`, hence c below p. A challenge with
//! `C2 = floor(p / 2^128)` cannot be proven; one in 2^125 has that, and nobody can choose it.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::layout::{Extra, LADDER, Named, ROWS, place};
use crate::algebra::{Algebra, sum};
use crate::chunk::Cell;
use crate::convert::{bits, limbs, power_of_two};
use crate::gadgets::edwards;
use crate::gadgets::poseidon::schedule;
use crate::gadgets::signature::{SignatureValues, subgroup_order};
use crate::layout::{Columns, Fixed};
use crate::trace::{At, Block, at};
use crate::window::{Folding, GateWindow, Hintable, Pos, Window, WitnessWindow, pos};

mod scalars;
mod step;

pub use scalars::{Split, split};

/// Steps of a row.
const STEPS: usize = 8;
/// Cells of a step.
const STEP_CELLS: usize = 4;
/// Windows of a row.
const WINDOWS: usize = 4;
/// Bits of a window.
const WINDOW_BITS: usize = 4;
/// Running v and abs(u).
const RUNNING: [usize; 2] = [LADDER + 9, LADDER + 10];
const FIRST_STEP: usize = LADDER + 11;
const FIRST_WINDOW: usize = FIRST_STEP + STEPS * STEP_CELLS;
const WINDOW_CELLS: usize = WINDOW_BITS + 2;
/// x and y of the row's result.
const RESULT: [usize; 2] = [
    FIRST_WINDOW + WINDOWS * WINDOW_CELLS - 2,
    FIRST_WINDOW + WINDOWS * WINDOW_CELLS - 1,
];
/// The carry is this much larger than it stands for.
const CARRY_SHIFT: u32 = 67;

/// The places of the windows of a row in w, from the lowest bit that the row reads.
const WINDOW_SHIFTS: [usize; WINDOWS] = [0, 4, 128, 132];

/// Columns of x, y, x y of table entry `i` (1 to 3).
fn table(i: usize) -> [usize; 3] {
    [0, 1, 2].map(|part| LADDER + 3 * (i - 1) + part)
}

/// Adds the gates.
pub(super) fn configure(
    meta: &mut ConstraintSystem<Fr>,
    columns: &Columns,
    folding: Option<Folding>,
) {
    meta.create_gate("ladder", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Poseidon5);
        rows(&mut window);
        window.finish_folded(folding)
    });
    meta.create_gate("ladder goes on", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::LadderNext);
        goes_on(&mut window);
        window.finish_folded(folding)
    });
    meta.create_gate("signature", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Rules);
        ends(&mut window);
        window.finish_folded(folding)
    });
    meta.create_gate("signature's scalars", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::LadderEnd);
        tail(&mut window);
        window.finish_folded(folding)
    });
}

fn step_cell(step: usize, i: usize) -> Pos {
    pos(0, FIRST_STEP + STEP_CELLS * step + i)
}

fn table_entries<W: Window>(window: &mut W) -> [[W::Value; 3]; 3] {
    [1, 2, 3].map(|i| table(i).map(|column| window.get(pos(0, column))))
}

/// What holds in every row: steps after the first, and the windows.
fn rows<W: Window>(window: &mut W)
where
    W::Value: Hintable,
{
    let entries = table_entries(window);
    for step in 0..STEPS {
        window.boolean("bit of v", step_cell(step, 0));
        window.boolean("bit of u", step_cell(step, 1));
    }
    let mut last = edwards::point(window, [step_cell(0, 2), step_cell(0, 3)]);
    for step in 1..STEPS {
        last = step::double_and_add(window, &entries, &last, step);
    }
    for index in 0..WINDOWS {
        last = step::add_window(window, index, &last);
    }
}

/// What leads from the row above: the table, the running scalars, the first step.
fn goes_on<W: Window>(window: &mut W)
where
    W::Value: Hintable,
{
    for column in [1, 2, 3].map(table).into_iter().flatten() {
        let above = window.get(pos(-1, column));
        window.define("table", pos(0, column), above);
    }
    for (i, column) in RUNNING.into_iter().enumerate() {
        let above = window.get(pos(-1, column));
        let read = read_bits(window, i);
        let value = above * power_of_two(STEPS as u32) + read;
        window.define("running scalar", pos(0, column), value);
    }
    let entries = table_entries(window);
    let last = edwards::point(window, RESULT.map(|column| pos(-1, column)));
    step::double_and_add(window, &entries, &last, 0);
}

fn read_bits<W: Window>(window: &mut W, i: usize) -> W::Value {
    let terms: Vec<W::Value> = (0..STEPS)
        .map(|step| window.get(step_cell(step, i)) * power_of_two((STEPS - 1 - step) as u32))
        .collect();
    sum(terms)
}

/// `2^64 high + low` of the order l, and the part of p above 2^128.
fn constants() -> ([Fr; 2], Fr) {
    let order = subgroup_order();
    let below = limbs(-Fr::one());
    let high = Fr::from_raw([below[2], below[3], 0, 0]);
    ([Fr::from(order[0]), Fr::from(order[1])], high)
}

/// The table, the first row, the scalars and the sum: on the first row of the block.
fn ends<W: Window>(window: &mut W)
where
    W::Value: Hintable,
{
    heads(window);
    // the first two steps read nothing
    for step in 0..2 {
        for i in 0..2 {
            let bit = window.get(step_cell(step, i));
            window.constrain("scalars are below 2^126", bit);
        }
    }
    window.define("sum starts at O", step_cell(0, 2), W::Value::number(0));
    window.define("sum starts at O", step_cell(0, 3), W::Value::number(1));
    for (i, column) in RUNNING.into_iter().enumerate() {
        let read = read_bits(window, i);
        window.define("running scalar", pos(0, column), read);
    }
}

fn cells(x: impl Into<Named>, y: impl Into<Named>) -> [Pos; 2] {
    [place(x), place(y)]
}

/// Points on the curve, 8A, and the table.
fn heads<W: Window>(window: &mut W)
where
    W::Value: Hintable,
{
    let key = edwards::point(window, cells(Cell::SignatureX, Cell::SignatureY));
    let commitment = edwards::point(window, cells(Extra::R8x, Extra::R8y));
    edwards::constrain_on_curve(window, "A on the curve", &key);
    edwards::constrain_on_curve(window, "R8 on the curve", &commitment);
    let twice = edwards::double(window, "2A", &key, cells(Extra::A2x, Extra::A2y));
    let four = edwards::double(window, "4A", &twice, cells(Extra::A4x, Extra::A4y));
    let eight = edwards::double(window, "8A", &four, cells(Extra::A8x, Extra::A8y));
    let x = eight.x.known();
    window.hint(place(Extra::A8Inverse), |_| {
        x.map_or(Fr::zero(), crate::window::invert_or_zero)
    });
    let product = eight.x.clone() * window.get(place(Extra::A8Inverse));
    window.equal("x(8A) is not 0", product, W::Value::number(1));
    window.boolean("sign", place(Extra::Sign));
    let sign = window.get(place(Extra::Sign));
    let first = [
        -commitment.x.clone(),
        commitment.y.clone(),
        -(commitment.x * commitment.y),
    ];
    // u = -|u| where the sign is 1
    let x = eight.x * (sign * Fr::from(2) - W::Value::number(1));
    let second = [x.clone(), eight.y.clone(), x * eight.y];
    for (i, values) in [(1, first), (2, second)] {
        for (column, value) in table(i).into_iter().zip(values) {
            window.define("table", pos(0, column), value);
        }
    }
    let [left, right] = [1, 2].map(|i| {
        let [x, y, _] = table(i);
        edwards::point(window, [pos(0, x), pos(0, y)])
    });
    let [x, y, product] = table(3);
    let both = edwards::add(window, "table", &left, &right, [pos(0, x), pos(0, y)]);
    window.define("table", pos(0, product), both.x * both.y);
}

/// The scalars and the sum, on the last row of the ladder: named cells stand `ROWS - 1` rows higher than their places say.
fn tail<W: Window>(window: &mut W)
where
    W::Value: Hintable,
{
    let at = |name: Extra| {
        let place = place(name);
        pos(place.rotation - (ROWS as i32 - 1), place.column)
    };
    let v = |window: &mut W, name: Extra| window.get(at(name));
    let low = |window: &mut W, i: usize| {
        let whole = window.get(pos(0, RUNNING[i]));
        let high = window.get(pos(-(ROWS as i32) / 2, RUNNING[i]));
        [whole.clone() - high.clone() * power_of_two(64), high, whole]
    };
    let [v0, v1, whole_v] = low(window, 0);
    let [u0, u1, whole_u] = low(window, 1);
    let known = whole_v.known();
    window.hint(at(Extra::VInverse), |_| {
        known.map_or(Fr::zero(), crate::window::invert_or_zero)
    });
    let inverse = v(window, Extra::VInverse);
    window.equal("v is not 0", whole_v.clone() * inverse, W::Value::number(1));
    let sign = W::Value::number(1) - v(window, Extra::Sign) * Fr::from(2);
    let (c, c0, c1, c2) = (
        v(window, Extra::Challenge),
        v(window, Extra::C0),
        v(window, Extra::C1),
        v(window, Extra::C2),
    );
    let whole = c0.clone() + c1.clone() * power_of_two(64) + c2.clone() * power_of_two(128);
    window.equal("limbs of c", c.clone(), whole);
    let ([l0, l1], p_high) = constants();
    let rest = W::Value::constant(p_high - Fr::one()) - c2;
    window.define("c is below p", at(Extra::C2Rest), rest);
    let (q0, q1) = (v(window, Extra::Q0), v(window, Extra::Q1));
    let order = Fr::from_raw(subgroup_order());
    let quotient = (q0.clone() + q1.clone() * power_of_two(64)) * order;
    window.equal(
        "u = v c - q l modulo p",
        whole_v * c - quotient,
        sign.clone() * whole_u,
    );
    let bottom = v0.clone() * c0.clone() - q0.clone() * l0 - sign.clone() * u0;
    let middle = v0 * c1 + v1 * c0 - q0 * l1 - q1 * l0 - sign * u1;
    let carry = v(window, Extra::Carry) - W::Value::constant(power_of_two(CARRY_SHIFT));
    window.equal(
        "u = v c - q l modulo 2^128",
        bottom + middle * power_of_two(64),
        carry * power_of_two(128),
    );
    let total = edwards::point(window, RESULT.map(|column| pos(0, column)));
    let cell = |x, y| [at(x), at(y)];
    let twice = edwards::double(window, "2 sum", &total, cell(Extra::E2x, Extra::E2y));
    let four = edwards::double(window, "4 sum", &twice, cell(Extra::E4x, Extra::E4y));
    window.constrain("8 sum has x = 0", four.x * four.y.clone());
    window.equal("8 sum has y = 1", four.y.squared(), W::Value::number(1));
}

/// Fills the signature of a block: its cells, its challenge and its ladder, with scalars that [`split`] makes or a
/// test invents.
///
/// # Errors
/// The first constraint that does not hold: the signature is not valid, or the scalars are not its.
pub fn assign(
    block: &mut Block,
    values: &SignatureValues,
    scalars: impl FnOnce(Fr) -> Split,
) -> Result<(), String> {
    let inputs = [
        values.commitment.x,
        values.commitment.y,
        values.key.x,
        values.key.y,
        values.message,
    ];
    let names: [Named; 5] = [
        Extra::R8x.into(),
        Extra::R8y.into(),
        Cell::SignatureX.into(),
        Cell::SignatureY.into(),
        Cell::SignatureMessage.into(),
    ];
    for (name, value) in names.into_iter().zip(inputs) {
        block.set(here(name), value);
    }
    let (_, hash) = schedule(6).run(&inputs);
    block.set(here(Extra::Challenge), hash);
    let split = scalars(hash);
    let challenge = limbs(hash);
    let low = |limbs: &[u64; 4]| Fr::from(limbs[0]);
    let high = |limbs: &[u64; 4]| Fr::from_raw([limbs[1], limbs[2], limbs[3], 0]);
    for (name, value) in [
        (Extra::C0, Fr::from(challenge[0])),
        (Extra::C1, Fr::from(challenge[1])),
        (Extra::C2, Fr::from_raw([challenge[2], challenge[3], 0, 0])),
        (Extra::Q0, low(&split.q)),
        (Extra::Q1, high(&split.q)),
        (Extra::Carry, Fr::from_raw(split.carry)),
        (Extra::Sign, Fr::from(u64::from(split.is_negative))),
    ] {
        block.set(here(name), value);
    }
    for row in 0..ROWS {
        for step in 0..STEPS {
            let place = STEPS * (ROWS - row) - 1 - step;
            for (i, scalar) in [split.v, split.u].iter().enumerate() {
                let cell = step_cell(step, i);
                block.set(at(cell.column, row), Fr::from(bits(scalar, place, 1)));
            }
        }
        for (index, shift) in WINDOW_SHIFTS.into_iter().enumerate() {
            for i in 0..WINDOW_BITS {
                let cell = step::window_bit(index, i);
                let place = STEPS * (ROWS - 1 - row) + shift + i;
                block.set(at(cell.column, row), Fr::from(bits(&split.w, place, 1)));
            }
        }
    }
    let mut broken = fill(block, 0, ends);
    for row in 0..ROWS {
        if row > 0 {
            broken = broken.or(fill(block, row, goes_on));
        }
        broken = broken.or(fill(block, row, rows));
    }
    broken = broken.or(fill(block, ROWS - 1, tail));
    broken.map_or(Ok(()), Err)
}

fn here(name: impl Into<Named>) -> At {
    let place = place(name);
    at(place.column, place.rotation as usize)
}

/// Lets a gate fill its cells; returns the first constraint that does not hold.
fn fill<'a>(
    block: &'a mut Block,
    row: usize,
    gate: impl FnOnce(&mut WitnessWindow<'a>),
) -> Option<String> {
    let mut window = WitnessWindow::new(block, row, &[]);
    gate(&mut window);
    window.broken()
}
