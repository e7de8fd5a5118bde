//! The third part of the contract: SHPLONK, the accumulator, and the pairing.
//!
//! Source: eprint 2020/081, section 4, in the form of halo2-axiom 0.5.3 `poly/kzg/multiopen/shplonk`;
//! the order of polynomials is that of `plonk/verifier.rs`. Which polynomial is opened where does
//! not depend on the proof, so sets of points are made here, by rows instead of by values.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use ff::Field;
use halo2curves::bn256::Fr;
use verifier::key::Query;
use verifier::points::FirstGroupPoint;

use super::constraints::{power, root};
use super::memory::{Memory, POINT, WORD};
use super::shape::{Shape, size};
use super::text::{
    Text, first_group_point, hex, scalar, second_group_generator, second_group_point,
};

/// Functions of this part. `SUM` is where the sum of commitments lies; a factor lies behind it.
const FUNCTIONS: &str = "\
// 1 / denominator modulo R, as its power R - 2: the precompile of EIP-198.
function inverted(denominator) -> inverse {
    mstore(SUM, 0x20)
    mstore(add(SUM, 0x20), 0x20)
    mstore(add(SUM, 0x40), 0x20)
    mstore(add(SUM, 0x60), denominator)
    mstore(add(SUM, 0x80), sub(R, 2))
    mstore(add(SUM, 0xa0), R)
    if iszero(staticcall(gas(), 0x05, SUM, 0xc0, SUM, 0x20)) { revert(0x00, 0x00) }
    inverse := mload(SUM)
}

// Adds `factor` times the point behind the sum to the sum: the precompiles of EIP-196. Every point
// has been checked, so that they fail for want of gas only, and a verdict of no never means that.
function add_multiple(factor) {
    mstore(add(SUM, 0x80), factor)
    let done := staticcall(gas(), 0x07, add(SUM, 0x40), 0x60, add(SUM, 0x40), 0x40)
    if iszero(and(done, staticcall(gas(), 0x06, SUM, 0x80, SUM, 0x40))) { revert(0x00, 0x00) }
}

// Adds a multiple of a point in memory.
function add_stored(at, factor) {
    mstore(add(SUM, 0x40), mload(at))
    mstore(add(SUM, 0x60), mload(add(at, 0x20)))
    add_multiple(factor)
}

// Adds a multiple of a point of the key.
function add_fixed(x, y, factor) {
    mstore(add(SUM, 0x40), x)
    mstore(add(SUM, 0x60), y)
    add_multiple(factor)
}
";

/// The functions.
pub(super) fn write_functions(text: &mut Text, memory: &Memory) {
    text.lines(&FUNCTIONS.replace("SUM", &hex(memory.sum)));
}

/// Where a commitment comes from.
enum Commitment {
    /// The proof: an address in memory.
    Stored(usize),
    /// The key.
    Fixed(FirstGroupPoint),
    /// The pieces of the quotient.
    Quotient,
}

/// A polynomial and where its values lie, by the row of the point it is opened at.
struct Opened {
    name: String,
    commitment: Commitment,
    values: BTreeMap<i64, usize>,
}

/// Polynomials that are opened at the same points.
struct PointSet {
    rows: BTreeSet<i64>,
    members: Vec<Opened>,
}

/// Writes this part.
pub(super) struct Openings<'a> {
    shape: &'a Shape<'a>,
    memory: &'a Memory,
    sets: Vec<PointSet>,
    /// All rows, in the order of their distances in memory.
    rows: Vec<i64>,
}

impl<'a> Openings<'a> {
    pub(super) fn new(shape: &'a Shape<'a>, memory: &'a Memory) -> Self {
        let mut sets: Vec<PointSet> = Vec::new();
        for opened in Claims::list(shape, memory) {
            let rows: BTreeSet<i64> = opened.values.keys().copied().collect();
            match sets.iter_mut().find(|set| set.rows == rows) {
                Some(set) => set.members.push(opened),
                None => sets.push(PointSet {
                    rows,
                    members: vec![opened],
                }),
            }
        }
        let rows: BTreeSet<i64> = sets.iter().flat_map(|set| &set.rows).copied().collect();
        Self {
            shape,
            memory,
            sets,
            rows: rows.into_iter().collect(),
        }
    }

    /// The address of u - x w^row.
    fn distance(&self, row: i64) -> String {
        let position = self.rows.iter().position(|other| *other == row);
        hex(self.memory.distances + position.unwrap_or_default() * WORD)
    }

    /// u - p for every point p of T, and Z_(T\S_0)(u), which is to be inverted.
    pub(super) fn write_distances(&self, text: &mut Text) {
        let omega = root(self.shape);
        text.lines(
            "
// T, the points something is opened at: x w^i, i the row; u less each of them.",
        );
        text.open("");
        text.lines("let r := R\nlet u := mload(U)\nlet x := mload(X)");
        for row in &self.rows {
            text.line(format!("// Row {row}."));
            text.line(format!(
                "mstore({}, addmod(u, sub(r, mulmod(x, {}, r)), r))",
                self.distance(*row),
                scalar(&power(omega, *row))
            ));
        }
        text.line("// Z_(T\\S_0)(u)");
        if let Some(set) = self.sets.first() {
            self.product(text, self.others(set));
            text.line(format!("mstore({}, product)", hex(self.memory.complement)));
        }
        text.close();
    }

    fn others<'b>(&'b self, set: &'b PointSet) -> impl Iterator<Item = i64> + 'b {
        self.rows
            .iter()
            .copied()
            .filter(|row| !set.rows.contains(row))
    }

    /// Declares `product`, that of the distances of these rows.
    fn product(&self, text: &mut Text, rows: impl Iterator<Item = i64>) {
        text.line("let product := 1");
        for row in rows {
            text.line(format!(
                "product := mulmod(product, mload({}), r)",
                self.distance(row)
            ));
        }
    }

    /// The sum of all commitments but for those of the opening itself, and of all values.
    pub(super) fn write_sum(&self, text: &mut Text) {
        text.lines(
            "
// SHPLONK: F = sum over sets j of v^j Z_(T\\S_j)(u) / Z_(T\\S_0)(u)
//                 times sum over members i of y^i (C_i - r_i(u) G),
// r_i(u) from the values by Lagrange interpolation on S_j. The first factor of all is one.
mstore(VALUES_SUM, 0)
mstore(SET_FACTOR, 1)",
        );
        for (position, set) in self.sets.iter().enumerate() {
            let rows: Vec<String> = set.rows.iter().map(i64::to_string).collect();
            text.line(format!("// Set {position}: rows {}.", rows.join(", ")));
            text.open("");
            text.line("let r := R");
            self.basis(text, set);
            self.set_factor(text, position, set);
            text.line("let y := mload(SHPLONK_Y)");
            let mut first = position == 0;
            for member in &set.members {
                self.member(text, member, first);
                first = false;
            }
            text.close();
        }
    }

    /// The Lagrange basis on the set at u: the product of the other distances over that of the
    /// differences of points, which is x^(size - 1) times a constant.
    fn basis(&self, text: &mut Text, set: &PointSet) {
        if set.rows.len() < 2 {
            return;
        }
        let omega = root(self.shape);
        text.line(format!(
            "let scale := mload({})",
            hex(self.memory.vanishing + WORD)
        ));
        for _ in 2..set.rows.len() {
            text.line(format!(
                "scale := mulmod(scale, mload({}), r)",
                hex(self.memory.vanishing + WORD)
            ));
        }
        for (position, row) in set.rows.iter().enumerate() {
            let others = || set.rows.iter().copied().filter(|other| other != row);
            let here = power(omega, *row);
            let difference: Fr = others().map(|other| here - power(omega, other)).product();
            text.open("");
            self.product(text, others());
            text.line(format!(
                "product := mulmod(product, {}, r)",
                scalar(&difference.invert().unwrap_or(Fr::ZERO))
            ));
            text.line(format!(
                "mstore({}, mulmod(product, scale, r))",
                hex(self.memory.basis + position * WORD)
            ));
            text.close();
        }
    }

    /// Declares `factor`, that of the set.
    fn set_factor(&self, text: &mut Text, position: usize, set: &PointSet) {
        if position == 0 {
            text.line("let factor := 1");
            return;
        }
        text.line("let factor := mulmod(mload(SET_FACTOR), mload(SHPLONK_V), r)");
        text.line("mstore(SET_FACTOR, factor)");
        text.open("");
        self.product(text, self.others(set));
        text.line(format!(
            "factor := mulmod(factor, mulmod(product, mload({}), r), r)",
            hex(self.memory.complement)
        ));
        text.close();
    }

    fn member(&self, text: &mut Text, member: &Opened, first: bool) {
        text.line(format!("// {}", member.name));
        text.open("");
        let mut values = member.values.values().enumerate();
        if member.values.len() == 1 {
            for (_, at) in values {
                text.line(format!("let value := mload({})", hex(*at)));
            }
        } else {
            let term = |position: usize, at: usize| {
                let basis = hex(self.memory.basis + position * WORD);
                format!("mulmod(mload({}), mload({basis}), r)", hex(at))
            };
            if let Some((position, at)) = values.next() {
                text.line(format!("let value := {}", term(position, *at)));
            }
            for (position, at) in values {
                let term = term(position, *at);
                text.line(format!("value := addmod(value, {term}, r)"));
            }
        }
        text.line("mstore(VALUES_SUM, addmod(mload(VALUES_SUM), mulmod(factor, value, r), r))");
        self.commitment(text, &member.commitment, first);
        text.line("factor := mulmod(factor, y, r)");
        text.close();
    }

    fn commitment(&self, text: &mut Text, commitment: &Commitment, first: bool) {
        match commitment {
            Commitment::Stored(at) if first => self.start(text, *at),
            Commitment::Stored(at) => text.line(format!("add_stored({}, factor)", hex(*at))),
            Commitment::Fixed(point) => {
                let [x, y] = first_group_point(point);
                if first {
                    text.line(format!("mstore({}, {x})", hex(self.memory.sum)));
                    text.line(format!("mstore({}, {y})", hex(self.memory.sum + WORD)));
                } else {
                    text.line(format!("add_fixed({x}, {y}, factor)"));
                }
            }
            // h(X) = sum of x^(n i) h_i(X), at x.
            Commitment::Quotient => {
                text.line("let piece := factor");
                for position in 0..self.shape.pieces {
                    let at = self.memory.quotient + position * POINT;
                    if position > 0 {
                        text.line("piece := mulmod(piece, mload(X_POWER), r)");
                    }
                    if first && position == 0 {
                        self.start(text, at);
                    } else {
                        text.line(format!("add_stored({}, piece)", hex(at)));
                    }
                }
            }
        }
    }

    /// The sum becomes a point in memory.
    fn start(&self, text: &mut Text, at: usize) {
        let (sum, y) = (hex(self.memory.sum), hex(self.memory.sum + WORD));
        text.line(format!("mstore({sum}, mload({}))", hex(at)));
        text.line(format!("mstore({y}, mload({}))", hex(at + WORD)));
    }

    /// The opening's own commitments, the accumulator, and the verdict.
    pub(super) fn write_verdict(&self, text: &mut Text) {
        let memory = self.memory;
        let [x, y] = first_group_point(&self.shape.parts.g1);
        text.open("");
        text.lines("let r := R");
        text.line("// The values, then -Z_(S_0)(u) W and u W'.");
        text.line(format!(
            "add_fixed({x}, {y}, addmod(0, sub(r, mload(VALUES_SUM)), r))"
        ));
        if let Some(set) = self.sets.first() {
            self.product(text, set.rows.iter().copied());
        }
        text.line(format!(
            "add_stored({}, addmod(0, sub(r, product), r))",
            hex(memory.w)
        ));
        text.line(format!("add_stored({}, mload(U))", hex(memory.w_prime)));
        text.close();
        text.lines(
            "\
// With A = F + u W' - s W' the opening holds if and only if A is the identity, that is,
// e(F + u W', [1]_2) e(W', -[s]_2) = 1.",
        );
        let accumulator = (self.shape.limbs > 0).then_some(memory.accumulator);
        if let Some(lhs) = accumulator {
            text.lines(
                "\
// The accumulator holds if and only if B = lhs - s rhs is the identity. Both are checked as
// A + f B: f is drawn from a digest of all that A and B are computed from, so unless both are the
// identity there is at most one f of R for which the sum is.",
            );
            text.line(format!("add_stored({}, mload(FOLD))", hex(lhs)));
        }
        let pairs = memory.pairs;
        self.pair(text, pairs, &second_group_generator());
        self.start(text, memory.w_prime);
        if let Some(lhs) = accumulator {
            text.line(format!("add_stored({}, mload(FOLD))", hex(lhs + POINT)));
        }
        self.pair(
            text,
            pairs + 6 * WORD,
            &second_group_point(&-self.shape.parts.s_g2),
        );
        text.lines(&format!(
            "\
// The precompile of EIP-197 answers 1 or 0.
if iszero(staticcall(gas(), 0x08, {}, 0x0180, 0x00, 0x20)) {{ revert(0x00, 0x00) }}
return(0x00, 0x20)",
            hex(pairs)
        ));
    }

    /// The sum and a point of the second group become a pair.
    fn pair(&self, text: &mut Text, at: usize, second: &[String; 4]) {
        let sum = self.memory.sum;
        text.line(format!("mstore({}, mload({}))", hex(at), hex(sum)));
        text.line(format!(
            "mstore({}, mload({}))",
            hex(at + WORD),
            hex(sum + WORD)
        ));
        for (position, word) in second.iter().enumerate() {
            text.line(format!(
                "mstore({}, {word})",
                hex(at + (position + 2) * WORD)
            ));
        }
    }
}

/// Lists all claims in halo2's order, polynomials in the order of their first.
struct Claims<'a> {
    shape: &'a Shape<'a>,
    opened: Vec<Opened>,
}

impl<'a> Claims<'a> {
    fn list(shape: &'a Shape<'a>, memory: &Memory) -> Vec<Opened> {
        let parts = shape.parts;
        let mut claims = Self {
            shape,
            opened: Vec::new(),
        };
        let here = |at: usize| vec![(0, at)];
        claims.columns("advice", &parts.advice_queries, memory.advice_values, |c| {
            Commitment::Stored(memory.advice + c * POINT)
        });
        let last = shape.last_rotation();
        for (position, values) in memory.product_values.iter().enumerate() {
            let mut at = vec![(0, values.here), (1, values.next)];
            at.extend(values.last.map(|value| (last, value)));
            let commitment = Commitment::Stored(memory.products + position * POINT);
            claims.add(format!("permutation product {position}"), commitment, at);
        }
        for (position, values) in memory.lookup_values.iter().enumerate() {
            let product = Commitment::Stored(memory.lookup_products + position * POINT);
            let input = memory.permuted + 2 * position * POINT;
            let table = Commitment::Stored(input + POINT);
            let input = Commitment::Stored(input);
            let name = |what: &str| format!("lookup {position}, {what}");
            let at = vec![(0, values.product), (1, values.product_next)];
            claims.add(name("product"), product, at);
            let at = vec![(0, values.input), (-1, values.input_previous)];
            claims.add(name("permuted input"), input, at);
            claims.add(name("permuted table"), table, here(values.table));
        }
        claims.columns("fixed", &parts.fixed_queries, memory.fixed_values, |c| {
            Commitment::Fixed(parts.fixed_commitments[c])
        });
        for (position, point) in parts.permutation_commitments.iter().enumerate() {
            let at = here(memory.sigma_values + position * WORD);
            let name = format!("permutation column {position}");
            claims.add(name, Commitment::Fixed(*point), at);
        }
        let at = here(memory.quotient_value);
        claims.add("quotient".to_owned(), Commitment::Quotient, at);
        let random = Commitment::Stored(memory.random);
        let at = here(memory.random_value);
        claims.add("random polynomial".to_owned(), random, at);
        claims.opened
    }

    fn add(&mut self, name: String, commitment: Commitment, at: Vec<(i32, usize)>) {
        let row = |(rotation, value)| (self.shape.row(rotation), value);
        let values = at.into_iter().map(row).collect();
        self.opened.push(Opened {
            name,
            commitment,
            values,
        });
    }

    /// The columns of one kind that are opened, in the order of their first query.
    fn columns(
        &mut self,
        kind: &str,
        queries: &[Query],
        values: usize,
        commitment: impl Fn(usize) -> Commitment,
    ) {
        let mut order: Vec<u32> = Vec::new();
        for query in queries {
            if !order.contains(&query.column) {
                order.push(query.column);
            }
        }
        for column in order {
            let at = queries.iter().enumerate();
            let at = at.filter(|(_, query)| query.column == column);
            let at = at.map(|(position, query)| (query.rotation, values + position * WORD));
            let at = at.collect();
            self.add(format!("{kind} {column}"), commitment(size(column)), at);
        }
    }
}
