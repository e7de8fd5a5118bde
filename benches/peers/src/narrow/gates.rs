//! The gates of the narrow layout.
//!
//! A gate's constraints reach from its row to the next one, the ladder's to the one after that. Rows are described
//! where they are made, in [`super::transfer`]. Round constants and weights stand in fixed columns, as zcash has them.

use ark_bn254::Fr;
use ark_ff::One;
use halo2_proofs::{
    plonk::{
        Advice, Column, ConstraintSystem, Expression, Fixed, Instance, Selector, VirtualCells,
    },
    poly::Rotation,
};
use halo2curves::bn256;

use super::sheet::{FIXED, WIDTH};
use crate::{
    chain,
    field::{COEFF_A, COEFF_D, power_of_two, to_halo2},
};

/// Highest degree of a constraint, selector included: the ladder's addition.
pub const DEGREE: usize = 7;

/// Bits of the lower part of a challenge, where its comparison with the prime is cut.
pub const LOW_BITS: usize = 127;

/// What a row starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Four cells equal four constants.
    Constants,
    /// A full round of Poseidon.
    Full,
    /// Two partial rounds.
    Pair,
    /// One partial round.
    Single,
    /// Node and sibling take their sides in the permutation below.
    Swap,
    /// One bit of a multiple of any point: a doubling and an addition.
    Ladder,
    /// One bit of a multiple of the base point.
    Base,
    /// An addition.
    Add,
    /// A point is on the curve.
    Curve,
    /// A number is not 0.
    Unequal,
    /// Two bits of four numbers.
    Range,
    /// A challenge is the smallest integer of its class.
    Canonical,
    /// What a transfer does with balances, nonce and fees.
    Rules,
}

/// All kinds, in order.
pub const KINDS: [Kind; 13] = [
    Kind::Constants,
    Kind::Full,
    Kind::Pair,
    Kind::Single,
    Kind::Swap,
    Kind::Ladder,
    Kind::Base,
    Kind::Add,
    Kind::Curve,
    Kind::Unequal,
    Kind::Range,
    Kind::Canonical,
    Kind::Rules,
];

/// The columns of a circuit.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Values.
    pub advice: [Column<Advice>; WIDTH],
    /// Constants.
    pub fixed: [Column<Fixed>; FIXED],
    /// One selector for each of [`KINDS`].
    pub selectors: [Selector; KINDS.len()],
    /// Public inputs.
    pub instance: Column<Instance>,
}

type E = Expression<bn256::Fr>;

/// The cells that a gate sees.
struct View<'a, 'b> {
    columns: &'a Columns,
    meta: &'a mut VirtualCells<'b, bn256::Fr>,
}

impl View<'_, '_> {
    /// An advice cell, `down` rows below.
    fn cell(&mut self, column: usize, down: i32) -> E {
        let column = self.columns.advice[column];
        self.meta.query_advice(column, Rotation(down))
    }

    fn row<const N: usize>(&mut self, down: i32) -> [E; N] {
        std::array::from_fn(|column| self.cell(column, down))
    }

    fn fixed(&mut self, column: usize) -> E {
        let column = self.columns.fixed[column];
        self.meta.query_fixed(column, Rotation::cur())
    }
}

/// A constant.
fn number(value: Fr) -> E {
    Expression::Constant(to_halo2(&value))
}

fn one() -> E {
    number(Fr::one())
}

fn fifth_power(value: E) -> E {
    value.clone().square().square() * value
}

fn boolean(bit: &E) -> E {
    bit.clone() * (bit.clone() - one())
}

/// A row of a matrix times a state.
fn weighted(row: &[Fr; chain::WIDTH], state: &[E]) -> E {
    let mut terms = row
        .iter()
        .zip(state)
        .map(|(f, cell)| cell.clone() * to_halo2(f));
    let first = terms.next().unwrap_or_else(|| number(Fr::default()));
    terms.fold(first, |sum, term| sum + term)
}

/// `sum = left + right`, where `product` is the product of the coordinates of `right`, which may be of lower degree.
fn addition(sum: [E; 2], left: [E; 2], right: [E; 2], product: E) -> [E; 2] {
    let ([x, y], [x1, y1], [x2, y2]) = (sum, left, right);
    let cross = x1.clone() * y1.clone() * product * to_halo2(&COEFF_D);
    [
        x * (one() + cross.clone()) - (x1.clone() * y2.clone() + y1.clone() * x2.clone()),
        y * (one() - cross) - (y1 * y2 - x1 * x2 * to_halo2(&COEFF_A)),
    ]
}

/// A point if a bit is set, else the neutral one, and the product of its coordinates.
fn chosen(bit: &E, [x, y]: [E; 2], product: E) -> ([E; 2], E) {
    let point = [bit.clone() * x, one() + bit.clone() * (y - one())];
    (point, bit.clone() * product)
}

/// Creates columns and gates.
///
/// The first line tells halo2-axiom the degree: left alone it takes no more than 5, and proofs fail.
pub fn configure(meta: &mut ConstraintSystem<bn256::Fr>) -> Columns {
    meta.set_minimum_degree(DEGREE);
    let columns = Columns {
        advice: std::array::from_fn(|_| meta.advice_column()),
        fixed: std::array::from_fn(|_| meta.fixed_column()),
        selectors: std::array::from_fn(|_| meta.selector()),
        instance: meta.instance_column(),
    };
    meta.enable_equality(columns.instance);
    for column in columns.advice {
        meta.enable_equality(column);
    }
    for (kind, selector) in KINDS.iter().zip(columns.selectors) {
        let name: &'static str = (*kind).into();
        meta.create_gate(name, |meta| {
            let on = meta.query_selector(selector);
            let mut view = View {
                columns: &columns,
                meta,
            };
            let constraints = constraints(*kind, &mut view).into_iter();
            constraints
                .map(|constraint| on.clone() * constraint)
                .collect::<Vec<_>>()
        });
    }
    columns
}

fn constraints(kind: Kind, view: &mut View<'_, '_>) -> Vec<E> {
    match kind {
        Kind::Constants => {
            let cells: [E; WIDTH] = view.row(0);
            let cells = cells.into_iter().enumerate();
            cells
                .map(|(column, cell)| cell - view.fixed(column))
                .collect()
        }
        Kind::Full | Kind::Pair | Kind::Single => round(kind, view),
        Kind::Swap => swap(view),
        Kind::Ladder => ladder(view),
        Kind::Base => base(view),
        Kind::Add => {
            let [x1, y1, x2, y2]: [E; WIDTH] = view.row(0);
            let product = x2.clone() * y2.clone();
            addition(view.row(1), [x1, y1], [x2, y2], product).to_vec()
        }
        Kind::Curve => {
            let [x, y]: [E; 2] = view.row(0);
            let (xx, yy) = (x.square(), y.square());
            let right = one() + xx.clone() * yy.clone() * to_halo2(&COEFF_D);
            vec![xx * to_halo2(&COEFF_A) + yy - right]
        }
        Kind::Unequal => {
            let [value, inverse]: [E; 2] = view.row(0);
            vec![value * inverse - one()]
        }
        Kind::Range => {
            let (above, below): ([E; WIDTH], [E; WIDTH]) = (view.row(0), view.row(1));
            let pairs = above.into_iter().zip(below);
            pairs
                .map(|(above, below)| {
                    let digit = above - below * to_halo2(&4_u64.into());
                    let others = (1..4_u64).map(|other| digit.clone() - number(other.into()));
                    others.fold(digit.clone(), |product, factor| product * factor)
                })
                .collect()
        }
        Kind::Canonical => canonical(view),
        Kind::Rules => rules(view),
    }
}

/// `[s0, s1, s2, p]` to `[s0', s1', s2', _]`; p is the S-box of a partial round.
fn round(kind: Kind, view: &mut View<'_, '_>) -> Vec<E> {
    let all = chain::constants();
    let next: [E; chain::WIDTH] = view.row(1);
    let state: [E; chain::WIDTH] = view.row(0);
    let mut added: Vec<E> = Vec::new();
    for (column, cell) in state.into_iter().enumerate() {
        added.push(cell + view.fixed(column));
    }
    if kind == Kind::Full {
        let powers: Vec<E> = added.into_iter().map(fifth_power).collect();
        let rows = all.matrix.iter().zip(next);
        return rows
            .map(|(row, next)| next - weighted(row, &powers))
            .collect();
    }
    let partial = view.cell(chain::WIDTH, 0);
    let mut constraints = vec![partial.clone() - fifth_power(added[0].clone())];
    added[0] = partial;
    let rows = all.matrix.iter().zip(&next);
    if kind == Kind::Single {
        constraints.extend(rows.map(|(row, next)| next.clone() - weighted(row, &added)));
        return constraints;
    }
    for (column, (row, back)) in all.matrix.iter().zip(&all.inverse).enumerate() {
        let middle = weighted(row, &added) + view.fixed(chain::WIDTH + column);
        let middle = if column == 0 {
            fifth_power(middle)
        } else {
            middle
        };
        constraints.push(middle - weighted(back, &next));
    }
    constraints
}

/// `[node, sibling, bit, index]` to `[_, left, right, index + weight bit]`.
fn swap(view: &mut View<'_, '_>) -> Vec<E> {
    let [node, sibling, bit, before]: [E; WIDTH] = view.row(0);
    let [_, left, right, after]: [E; WIDTH] = view.row(1);
    let weight = view.fixed(0);
    vec![
        boolean(&bit),
        left.clone() - node.clone() - bit.clone() * (sibling.clone() - node.clone()),
        left + right - node - sibling,
        after - before - bit * weight,
    ]
}

/// `[x, y, z, bit]`, `[doubled x, doubled y, px, py]` to `[x', y', 2 z + bit, _]`.
fn ladder(view: &mut View<'_, '_>) -> Vec<E> {
    let [x, y, number, bit]: [E; WIDTH] = view.row(0);
    let [double_x, double_y, px, py]: [E; WIDTH] = view.row(1);
    let [next_x, next_y, next_number]: [E; 3] = view.row(2);
    let sum = [x.clone(), y.clone()];
    let doubled = [double_x, double_y];
    let (point, product) = chosen(&bit, [px.clone(), py.clone()], px * py);
    let mut constraints = vec![
        boolean(&bit),
        next_number - number * to_halo2(&2_u64.into()) - bit,
    ];
    constraints.extend(addition(doubled.clone(), sum.clone(), sum, x * y));
    constraints.extend(addition([next_x, next_y], doubled, point, product));
    constraints
}

/// `[x, y, bit, z]` to `[x', y', _, z + weight bit]`; the multiple of the base point, the product of its coordinates
/// and the weight are constants.
fn base(view: &mut View<'_, '_>) -> Vec<E> {
    let [x, y, bit, number]: [E; WIDTH] = view.row(0);
    let [next_x, next_y, _, next_number]: [E; WIDTH] = view.row(1);
    let [px, py, product, weight]: [E; 4] = std::array::from_fn(|column| view.fixed(column));
    let (point, product) = chosen(&bit, [px, py], product);
    let mut constraints = vec![boolean(&bit), next_number - number - bit * weight];
    constraints.extend(addition([next_x, next_y], [x, y], point, product));
    constraints
}

/// The prime less 1, cut after [`LOW_BITS`].
#[must_use]
pub fn largest() -> [Fr; 2] {
    let bits = crate::field::bits(&-Fr::one(), 254);
    let join = |bits: &[bool]| {
        let bits = bits.iter().rev();
        bits.fold(Fr::default(), |sum, bit| sum + sum + Fr::from(*bit))
    };
    [join(&bits[..LOW_BITS]), join(&bits[LOW_BITS..])]
}

/// `[c, high, borrow, _]` to `[high rest, low rest, _, _]`: the rests of `largest - c`, which are in range elsewhere.
fn canonical(view: &mut View<'_, '_>) -> Vec<E> {
    let [challenge, high, borrow]: [E; 3] = view.row(0);
    let [high_rest, low_rest]: [E; 2] = view.row(1);
    let [low_largest, high_largest] = largest();
    let shift = to_halo2(&power_of_two(LOW_BITS));
    let low = challenge - high.clone() * shift;
    vec![
        boolean(&borrow),
        high_rest + high + borrow.clone() - number(high_largest),
        low_rest + low - borrow * shift - number(low_largest),
    ]
}

/// `[balance, amount, fee, rest]`, `[balance, sum, nonce, next nonce]`, `[s, l - 1 - s, fees before, fees after]`.
fn rules(view: &mut View<'_, '_>) -> Vec<E> {
    let [from, amount, fee, rest]: [E; WIDTH] = view.row(0);
    let [to, sum, nonce, next_nonce]: [E; WIDTH] = view.row(1);
    let [s, s_rest, before, after]: [E; WIDTH] = view.row(2);
    vec![
        rest + amount.clone() + fee.clone() - from,
        sum - to - amount,
        next_nonce - nonce - one(),
        s + s_rest - number(super::transfer::scalar_largest()),
        after - before - fee,
    ]
}

impl From<Kind> for &'static str {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Constants => "constants",
            Kind::Full => "full round",
            Kind::Pair => "two partial rounds",
            Kind::Single => "partial round",
            Kind::Swap => "swap",
            Kind::Ladder => "ladder",
            Kind::Base => "base",
            Kind::Add => "addition",
            Kind::Curve => "curve",
            Kind::Unequal => "not zero",
            Kind::Range => "range",
            Kind::Canonical => "canonical",
            Kind::Rules => "rules",
        }
    }
}
