//! A signature of Baby Jubjub, textbook: `8 (S B8 - R8 - c (8A)) = O`, c the Poseidon challenge.
//!
//! One joint double-and-add over {O, B8, -8A, B8 - 8A} for `Q = S B8 - c (8A)`, then `8 (Q - R8) = O`.
//! c is used as an integer below p, not reduced mod l.
//!
//! Rows:
//!
//! | row | kind | cells |
//! |---|---|---|
//! | 0 | `SignatureHead` | running scalars 0, table `-8A`, `B8 - 8A`, A, 2A, 4A, R8, inverse; start O |
//! | 1 .. 20 | `Ladder` | running scalars, the table again, 14 steps of {s, c, s c, doubled, sum} |
//! | 20 | `SignatureTail` | R8, Q - R8, its doubles; canonical parts of S and c |
//! | 21 | `Poseidon6` | challenge of (R8x, R8y, Ax, Ay, M) |
//!
//! Constraints:
//!
//! | gate | constraint | degree |
//! |---|---|---|
//! | head | A and R8 on the curve; 2A, 4A, 8A by doubling; `x(8A) inverse = 1`; `B8 - 8A` by addition | 6 |
//! | ladder | bits boolean; `sc = s c`; table as above; scalars `n <- 2^14 n + bits` | 3 |
//! | ladder | `doubled = 2 sum'`; `sum = doubled + T`, T linear in s, c, sc | 8 |
//! | tail | `E = Q - R8`, 2E, 4E; `x y = 0`, `y^2 = 1` for 4E, so 8E = O | 6 |
//! | tail | canonical: see below | 2 |
//!
//! **Canonical scalars.** c < p and S < l are proven by the complement: with `n = hi 2^112 + lo`, hi the
//! running scalar after 11 ladder rows, and m = p - 1 or l - 1: `lo' = m_lo + carry 2^112 - lo` and
//! `hi' = m_hi - carry - hi` are range-checked by the caller (120 and 160 bits). Over the integers
//! `n + n' = m`, so `n <= m`; nothing wraps because every part is below 2^161.
//!
//! Copies inside the gadget: R8 and A between head, tail and challenge; the challenge's hash to c; hi.
//! The caller links A and M, and range-checks [`Signature::ranges`]. The gadget always holds a valid
//! signature; where none is due, the caller assigns [`idle_signature`] and links nothing.

use ff::{Field, PrimeField};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use super::edwards::{self, Point};
use super::poseidon::{self, OUT};
use crate::algebra::{Algebra, sum};
use crate::convert::{bits, from_u128, limbs, power_of_two};
use crate::layout::{Columns, Fixed};
use crate::trace::{At, Block, Wiring, at};
use crate::window::{GateWindow, Hintable, Pos, Window, WitnessWindow, pos};

/// Steps of one ladder row.
const STEPS: usize = 14;
/// Ladder rows: 266 steps, of which 254 can be other than 0.
const LADDER_ROWS: usize = 19;
/// Ladder rows below the split of a scalar: 112 bits.
const LOW_ROWS: usize = 8;
/// Bits below the split of a scalar.
const LOW_BITS: u32 = (LOW_ROWS * STEPS) as u32;
/// Row of the tail.
const TAIL: usize = LADDER_ROWS + 1;
/// Row of the challenge.
const CHALLENGE: usize = TAIL + 1;
/// Rows of one signature.
pub const ROWS: usize = CHALLENGE + 1;

/// Columns of the running scalars S and c in head and ladder rows.
const SCALARS: [usize; 2] = [0, 1];
/// Columns of `-8A` and `B8 - 8A` in head and ladder rows.
const TABLE: [usize; 4] = [2, 3, 4, 5];
/// First column of the steps.
const FIRST_STEP: usize = 6;
/// Cells of one step.
const STEP_CELLS: usize = 7;
/// Columns of the last sum of a ladder row, and of the start in the head.
const LAST_SUM: [usize; 2] = [102, 103];

const HEAD_A: [usize; 2] = [6, 7];
const HEAD_2A: [usize; 2] = [8, 9];
const HEAD_4A: [usize; 2] = [10, 11];
const HEAD_R8: [usize; 2] = [12, 13];
const HEAD_INVERSE: usize = 14;

const TAIL_R8: [usize; 2] = [0, 1];
const TAIL_E: [[usize; 2]; 3] = [[2, 3], [4, 5], [6, 7]];
/// Columns of a scalar's canonical parts in the tail: n, hi, carry, lo', hi'.
const TAIL_SCALARS: [[usize; 5]; 2] = [[8, 9, 10, 11, 12], [13, 14, 15, 16, 17]];

/// The order l of the prime subgroup, in four 64-bit limbs.
#[must_use]
pub fn subgroup_order() -> [u64; 4] {
    let order = "2736030358979909402780800718157159386076813972158567259200215660948447373041";
    limbs(Fr::from_str_vartime(order).expect("l is below p"))
}

/// Largest canonical values of S and c.
fn maxima() -> [[u64; 4]; 2] {
    let mut order = subgroup_order();
    order[0] -= 1; // l is odd
    [order, limbs(-Fr::one())]
}

/// `(lo, hi)` of an integer, split at 112 bits.
fn split(integer: &[u64; 4]) -> (Fr, Fr) {
    let low = u128::from(bits(integer, 0, 64)) | u128::from(bits(integer, 64, 48)) << 64;
    let raw = [
        bits(integer, 112, 64),
        bits(integer, 176, 64),
        bits(integer, 240, 16),
        0,
    ];
    (from_u128(low), Fr::from_raw(raw))
}

/// Where a signature starts.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Its first row.
    pub row: usize,
}

impl Signature {
    /// Cells of A (x, y), in the challenge row.
    #[must_use]
    pub fn key(&self) -> [At; 2] {
        [at(2, self.row + CHALLENGE), at(3, self.row + CHALLENGE)]
    }

    /// Cell of the message.
    #[must_use]
    pub fn message(&self) -> At {
        at(4, self.row + CHALLENGE)
    }

    /// Cells the caller must range-check: lo' of S and c to 120 bits, hi' of S and c to 160 bits.
    #[must_use]
    pub fn ranges(&self) -> ([At; 2], [At; 2]) {
        let part = |part: usize| TAIL_SCALARS.map(|columns| at(columns[part], self.row + TAIL));
        (part(3), part(4))
    }

    /// Switches the gates on and adds the gadget's own copies.
    pub fn wire(&self, wiring: &mut Wiring) {
        let (head, tail, challenge) = (self.row, self.row + TAIL, self.row + CHALLENGE);
        wiring.enable(Fixed::SignatureHead, head);
        for row in 1..=LADDER_ROWS {
            wiring.enable(Fixed::Ladder, head + row);
        }
        wiring.enable(Fixed::SignatureTail, tail);
        wiring.enable(Fixed::Poseidon6, challenge);
        for i in 0..2 {
            wiring.copy(at(HEAD_R8[i], head), at(i, challenge));
            wiring.copy(at(HEAD_R8[i], head), at(TAIL_R8[i], tail));
            wiring.copy(at(HEAD_A[i], head), at(2 + i, challenge));
            let high = at(SCALARS[i], head + LADDER_ROWS - LOW_ROWS);
            wiring.copy(high, at(TAIL_SCALARS[i][1], tail));
        }
        wiring.copy(at(OUT, challenge), at(TAIL_SCALARS[1][0], tail));
    }
}

/// Adds the gates.
pub fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
    meta.create_gate("signature head", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::SignatureHead);
        head(&mut window);
        window.finish()
    });
    meta.create_gate("ladder", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::Ladder);
        ladder(&mut window);
        window.finish()
    });
    meta.create_gate("signature tail", |meta| {
        let mut window = GateWindow::new(meta, columns, Fixed::SignatureTail);
        tail(&mut window);
        window.finish()
    });
}

fn cells(columns: [usize; 2]) -> [Pos; 2] {
    columns.map(|column| pos(0, column))
}

fn constant<V: Algebra>(point: &Point<Fr>) -> Point<V> {
    Point {
        x: V::constant(point.x),
        y: V::constant(point.y),
    }
}

fn head<W: Window>(window: &mut W)
where
    W::Value: Hintable,
{
    let key = edwards::point(window, cells(HEAD_A));
    let commitment = edwards::point(window, cells(HEAD_R8));
    edwards::constrain_on_curve(window, "A on the curve", &key);
    edwards::constrain_on_curve(window, "R8 on the curve", &commitment);
    let twice = edwards::double(window, "2A", &key, cells(HEAD_2A));
    let four = edwards::double(window, "4A", &twice, cells(HEAD_4A));
    let negative = [pos(0, TABLE[0]), pos(0, TABLE[1])];
    if let (Some(x), Some(y)) = (four.x.known(), four.y.known()) {
        let eight = Point { x, y }.double().negated();
        window.hint(negative[0], |_| eight.x);
        window.hint(negative[1], |_| eight.y);
    }
    let negative = edwards::point(window, negative);
    let eight = Point {
        x: -negative.x.clone(),
        y: negative.y.clone(),
    };
    edwards::constrain_double(window, "8A", &four, eight);
    let x = negative.x.known();
    window.hint(pos(0, HEAD_INVERSE), |_| {
        x.map_or(Fr::zero(), crate::window::invert_or_zero)
    });
    let product = negative.x.clone() * window.get(pos(0, HEAD_INVERSE));
    window.equal("x(8A) is not 0", product, W::Value::number(1));
    let base = constant(&Point::base());
    edwards::add(
        window,
        "B8 - 8A",
        &negative,
        &base,
        [pos(0, TABLE[2]), pos(0, TABLE[3])],
    );
    for column in SCALARS {
        window.define("scalars start at 0", pos(0, column), W::Value::number(0));
    }
    window.define("sum starts at O", pos(0, LAST_SUM[0]), W::Value::number(0));
    window.define("sum starts at O", pos(0, LAST_SUM[1]), W::Value::number(1));
}

fn ladder<W: Window>(window: &mut W)
where
    W::Value: Hintable,
{
    let base: Point<W::Value> = constant(&Point::base());
    let table: Vec<W::Value> = TABLE
        .iter()
        .map(|column| {
            let above = window.get(pos(-1, *column));
            window.define("table", pos(0, *column), above.clone());
            window.get(pos(0, *column))
        })
        .collect();
    let negative = Point {
        x: table[0].clone(),
        y: table[1].clone(),
    };
    let both = Point {
        x: table[2].clone(),
        y: table[3].clone(),
    };
    let one = W::Value::number(1);
    let mut running = SCALARS.map(|column| window.get(pos(-1, column)));
    let mut digits: [Vec<W::Value>; 2] = [Vec::new(), Vec::new()];
    let mut last = edwards::point(window, LAST_SUM.map(|column| pos(-1, column)));
    for step in 0..STEPS {
        let cell = |i: usize| pos(0, FIRST_STEP + STEP_CELLS * step + i);
        window.boolean("bit of S", cell(0));
        window.boolean("bit of c", cell(1));
        let (s, c) = (window.get(cell(0)), window.get(cell(1)));
        window.define("both bits", cell(2), s.clone() * c.clone());
        let sc = window.get(cell(2));
        let weight = power_of_two((STEPS - 1 - step) as u32);
        digits[0].push(s.clone() * weight);
        digits[1].push(c.clone() * weight);
        let (only_s, only_c) = (s - sc.clone(), c - sc.clone());
        let term = Point {
            x: only_s.clone() * base.x.clone()
                + only_c.clone() * negative.x.clone()
                + sc.clone() * both.x.clone(),
            y: one.clone()
                + only_s * (base.y.clone() - one.clone())
                + only_c * (negative.y.clone() - one.clone())
                + sc * (both.y.clone() - one.clone()),
        };
        let doubled = edwards::double(window, "doubled", &last, [cell(3), cell(4)]);
        last = edwards::add(window, "sum", &doubled, &term, [cell(5), cell(6)]);
    }
    for (i, digits) in digits.into_iter().enumerate() {
        running[i] = running[i].clone() * power_of_two(STEPS as u32) + sum(digits);
        window.define("running scalar", pos(0, SCALARS[i]), running[i].clone());
    }
}

fn tail<W: Window>(window: &mut W)
where
    W::Value: Hintable,
{
    let commitment = edwards::point(window, cells(TAIL_R8));
    let negative = Point {
        x: -commitment.x,
        y: commitment.y,
    };
    let sum = edwards::point(window, LAST_SUM.map(|column| pos(-1, column)));
    let error = edwards::add(window, "Q - R8", &sum, &negative, cells(TAIL_E[0]));
    let twice = edwards::double(window, "2 (Q - R8)", &error, cells(TAIL_E[1]));
    let four = edwards::double(window, "4 (Q - R8)", &twice, cells(TAIL_E[2]));
    window.constrain("8 (Q - R8) has x = 0", four.x * four.y.clone());
    window.equal(
        "8 (Q - R8) has y = 1",
        four.y.squared(),
        W::Value::number(1),
    );
    for (i, maximum) in maxima().iter().enumerate() {
        let [n, high, carry, low_rest, high_rest] = TAIL_SCALARS[i].map(|column| pos(0, column));
        let running = window.get(pos(-1, SCALARS[i]));
        window.define("whole scalar", n, running);
        window.boolean("carry", carry);
        let (max_low, max_high) = split(maximum);
        let (n, high, carry) = (window.get(n), window.get(high), window.get(carry));
        let low = n - high.clone() * power_of_two(LOW_BITS);
        let borrowed = W::Value::constant(max_low) + carry.clone() * power_of_two(LOW_BITS);
        window.define("low complement", low_rest, borrowed - low);
        window.define(
            "high complement",
            high_rest,
            W::Value::constant(max_high) - carry - high,
        );
    }
}

/// What a signature row block holds.
#[derive(Clone, Copy, Debug)]
pub struct SignatureValues {
    /// The key A.
    pub key: Point<Fr>,
    /// The commitment R8.
    pub commitment: Point<Fr>,
    /// The response S.
    pub response: Fr,
    /// The message M.
    pub message: Fr,
}

/// Fills the rows from `row` of `block` on.
///
/// # Errors
/// The first constraint that does not hold: the signature is not valid.
pub fn assign(block: &mut Block, row: usize, values: &SignatureValues) -> Result<(), String> {
    let inputs = [
        values.commitment.x,
        values.commitment.y,
        values.key.x,
        values.key.y,
        values.message,
    ];
    let challenge = poseidon::assign(block.row_mut(row + CHALLENGE), &inputs);
    let scalars = [limbs(values.response), limbs(challenge)];

    let mut window = WitnessWindow::new(block, row, &[]);
    window.set(pos(0, HEAD_A[0]), values.key.x);
    window.set(pos(0, HEAD_A[1]), values.key.y);
    window.set(pos(0, HEAD_R8[0]), values.commitment.x);
    window.set(pos(0, HEAD_R8[1]), values.commitment.y);
    head(&mut window);
    let mut broken = window.broken();

    for ladder_row in 0..LADDER_ROWS {
        let mut window = WitnessWindow::new(block, row + 1 + ladder_row, &[]);
        for step in 0..STEPS {
            let place = STEPS * (LADDER_ROWS - ladder_row) - 1 - step;
            for (i, scalar) in scalars.iter().enumerate() {
                let bit = Fr::from(bits(scalar, place, 1));
                window.set(pos(0, FIRST_STEP + STEP_CELLS * step + i), bit);
            }
        }
        ladder(&mut window);
        broken = broken.or(window.broken());
    }

    let highs = SCALARS.map(|column| block.get(at(column, row + LADDER_ROWS - LOW_ROWS)));
    let mut window = WitnessWindow::new(block, row + TAIL, &[]);
    for (i, (scalar, maximum)) in scalars.iter().zip(maxima()).enumerate() {
        let (low, max_low) = (split(scalar).0, split(&maximum).0);
        window.set(
            pos(0, TAIL_R8[i]),
            if i == 0 {
                values.commitment.x
            } else {
                values.commitment.y
            },
        );
        window.set(pos(0, TAIL_SCALARS[i][1]), highs[i]);
        window.set(
            pos(0, TAIL_SCALARS[i][2]),
            Fr::from(u64::from(low > max_low)),
        );
    }
    tail(&mut window);
    broken.or(window.broken()).map_or(Ok(()), Err)
}

/// A valid signature of the message 0 by a key that owns nothing: fills the gadget where no operation
/// is signed.
#[must_use]
pub fn idle_signature() -> &'static SignatureValues {
    static VALUES: std::sync::OnceLock<SignatureValues> = std::sync::OnceLock::new();
    VALUES.get_or_init(|| {
        // A = B8 and r = 1: R8 = B8, S = 1 + 8 c mod l.
        let base = Point::base();
        let inputs = [base.x, base.y, base.x, base.y, Fr::zero()];
        let challenge = limbs(poseidon::schedule(6).run(&inputs).1);
        let mut response = Fr::zero();
        let order = Fr::from_raw(subgroup_order());
        // 8 c + 1 mod l by double-and-subtract: every value stays below 2 l < p.
        for bit in (0..257).rev() {
            let digit = match bit {
                0 => 1,
                3.. => bits(&challenge, bit - 3, 1),
                _ => 0,
            };
            response = response.double() + Fr::from(digit);
            if response >= order {
                response -= order;
            }
        }
        SignatureValues {
            key: base,
            commitment: base,
            response,
            message: Fr::ZERO,
        }
    })
}
