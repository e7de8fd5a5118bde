//! The second part of the contract: the constraints at x, and the value h(x) they give.
//!
//! halo2-axiom 0.5.3 `plonk/verifier.rs` (gates), `plonk/permutation/verifier.rs`,
//! `plonk/lookup/verifier.rs`, `plonk/vanishing/verifier.rs`; the order of the terms is theirs.
//!
//! Values in memory are below R, but for negated nodes, which may be R itself: they only go into
//! `addmod` and `mulmod`, which reduce, and `sub(r, R)` does not wrap.

use std::fmt::Write;

use halo2_proofs::arithmetic::Field;
use halo2curves::bn256::Fr;
use halo2curves::ff::PrimeField;
use verifier::key::{ColumnKind, Node, NodeIndex, PermutationColumn, Query};

use super::memory::{LookupAddresses, Memory, WORD};
use super::shape::{Shape, size};
use super::text::{Text, hex, key_scalar, scalar};

/// Operations within one another before a node gets its own word. Each holds two words of the stack,
/// of which 16 are in reach.
const NESTING_MAX: usize = 4;

/// Lagrange polynomials and the evaluation of the public inputs, with every inversion of the
/// contract.
pub(super) fn write_domain(text: &mut Text, shape: &Shape<'_>, memory: &Memory) {
    let omega = root(shape);
    let first = power(omega, shape.row(shape.last_rotation()));
    let rows_inverse = Fr::from(2)
        .pow([u64::from(shape.parts.k)])
        .invert()
        .unwrap_or(Fr::ZERO);
    let Memory {
        rows,
        vanishing,
        complement,
        inverted_end,
        inputs,
        limbs,
        ..
    } = *memory;
    let first_row = rows + shape.rows_before * WORD;
    let product_offset = inverted_end - rows;
    let values = if shape.limbs > 0 { limbs } else { inputs };
    text.lines(&format!(
        "
// The numbers to invert: x - w^i for the rows i from -(blinded + 1) to the last public input, x^n - 1
// and x; behind them is already Z_(T\\S_0)(u).
{{
    let r := R
    let x := mload(X)
    let row := {first}
    for {{ let at := {rows} }} lt(at, {vanishing}) {{ at := add(at, 0x20) }} {{
        mstore(at, addmod(x, sub(r, row), r))
        row := mulmod(row, {omega}, r)
    }}
    let xn := x
    for {{ let i := 0 }} lt(i, {k}) {{ i := add(i, 1) }} {{ xn := mulmod(xn, xn, r) }}
    mstore(X_POWER, xn)
    mstore({vanishing}, addmod(xn, sub(r, 1), r))
    mstore({x}, x)
    // One inversion for all: running products, the inverse of the last, and back.
    let product := 1
    for {{ let at := {rows} }} lt(at, {end}) {{ at := add(at, 0x20) }} {{
        mstore(add(at, {product_offset}), product)
        product := mulmod(product, mload(at), r)
    }}
    // Challenges that make one of them zero are refused.
    if iszero(product) {{ refuse() }}
    let inverse := inverted(product)
    for {{ let at := {last} }} gt(at, {before}) {{ at := sub(at, 0x20) }} {{
        let denominator := mload(at)
        mstore(at, mulmod(inverse, mload(add(at, {product_offset})), r))
        inverse := mulmod(inverse, denominator, r)
    }}
    // l_i(x) = w^i (x^n - 1) / (n (x - w^i))
    let factor := mulmod(mulmod(addmod(xn, sub(r, 1), r), {rows_inverse}, r), {first}, r)
    for {{ let at := {rows} }} lt(at, {vanishing}) {{ at := add(at, 0x20) }} {{
        mstore(at, mulmod(factor, mload(at), r))
        factor := mulmod(factor, {omega}, r)
    }}
}}
{{
    // l_0, l_last, and 1 - (l_last + l_blind), which is one in the rows before the last.
    let r := R
    mstore(L_LAST, mload({rows}))
    mstore(L_FIRST, mload({first_row}))
    let ending := 0
    for {{ let at := {rows} }} lt(at, {first_row}) {{ at := add(at, 0x20) }} {{
        ending := addmod(ending, mload(at), r)
    }}
    mstore(L_ACTIVE, addmod(1, sub(r, ending), r))
    // The public inputs as a polynomial, at x: sum of v_i l_i(x).
    let sum := 0
    let value := {values}
    for {{ let at := {first_row} }} lt(at, {vanishing}) {{ at := add(at, 0x20) }} {{
        sum := addmod(sum, mulmod(mload(value), mload(at), r), r)
        value := add(value, 0x20)
    }}
    mstore(INSTANCE, sum)
}}",
        first = scalar(&first),
        rows = hex(rows),
        vanishing = hex(vanishing),
        omega = scalar(&omega),
        k = shape.parts.k,
        x = hex(vanishing + WORD),
        end = hex(inverted_end),
        product_offset = hex(product_offset),
        last = hex(complement),
        before = hex(rows - WORD),
        rows_inverse = scalar(&rows_inverse),
        first_row = hex(first_row),
        values = hex(values),
    ));
}

/// w, the generator of the domain halo2curves uses.
pub(super) fn root(shape: &Shape<'_>) -> Fr {
    (shape.parts.k..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square())
}

/// A power with an exponent that is not negative.
pub(super) fn power(base: Fr, exponent: i64) -> Fr {
    base.pow([exponent.unsigned_abs()])
}

/// Writes the constraints.
pub(super) struct Constraints<'a> {
    shape: &'a Shape<'a>,
    memory: &'a Memory,
    /// How often each node is used.
    uses: Vec<usize>,
    /// What stands for each node: an expression, or the address it has been stored at.
    values: Vec<Value>,
    stored: usize,
}

#[derive(Clone)]
struct Value {
    expression: String,
    nesting: usize,
}

impl<'a> Constraints<'a> {
    pub(super) fn new(shape: &'a Shape<'a>, memory: &'a Memory) -> Self {
        let parts = shape.parts;
        let mut uses = vec![0; parts.nodes.len()];
        let lookups = parts
            .lookups
            .iter()
            .flat_map(|lookup| lookup.inputs.iter().chain(&lookup.tables));
        let operands = parts.nodes.iter().flat_map(|node| match *node {
            Node::Negated(a) => vec![a],
            Node::Sum(a, b) | Node::Product(a, b) => vec![a, b],
            _ => Vec::new(),
        });
        for node in operands.chain(parts.gates.iter().chain(lookups).copied()) {
            uses[size(node)] += 1;
        }
        Self {
            shape,
            memory,
            uses,
            values: Vec::new(),
            stored: 0,
        }
    }

    /// Writes everything up to h(x).
    pub(super) fn write(mut self, text: &mut Text) {
        text.lines(
            "
// The constraints at x, folded with y: the numerator of h(x).",
        );
        text.open("");
        text.lines("let r := R\nlet y := mload(Y)\nlet numerator := 0");
        self.gates(text);
        self.permutation(text);
        for (position, lookup) in self.memory.lookup_values.iter().enumerate() {
            self.lookup(text, position, lookup);
        }
        text.lines(&format!(
            "\
// h(x) = numerator / (x^n - 1)
mstore({}, mulmod(numerator, mload({}), r))",
            hex(self.memory.quotient_value),
            hex(self.memory.vanishing)
        ));
        text.close();
    }

    /// All nodes in order, then the constraints in theirs.
    fn gates(&mut self, text: &mut Text) {
        let parts = self.shape.parts;
        text.line("// Gates.");
        for (position, node) in parts.nodes.iter().enumerate() {
            let mut value = self.node(node);
            let shared = value.nesting > 0 && self.uses[position] > 1;
            if shared || value.nesting > NESTING_MAX {
                let at = hex(self.memory.nodes + self.stored * WORD);
                self.stored += 1;
                text.line(format!("mstore({at}, {})", value.expression));
                value = Value {
                    expression: format!("mload({at})"),
                    nesting: 0,
                };
            }
            self.values.push(value);
        }
        for gate in &parts.gates {
            fold(text, &self.value(*gate).expression);
        }
    }

    fn value(&self, node: NodeIndex) -> &Value {
        &self.values[size(node)]
    }

    fn node(&self, node: &Node) -> Value {
        let load = |address: usize| Value {
            expression: format!("mload({})", hex(address)),
            nesting: 0,
        };
        let operation = |name: &str, a: NodeIndex, b: NodeIndex| {
            let (a, b) = (self.value(a), self.value(b));
            Value {
                expression: format!("{name}({}, {}, r)", a.expression, b.expression),
                nesting: a.nesting.max(b.nesting) + 1,
            }
        };
        match node {
            Node::Constant(value) => Value {
                expression: key_scalar(value),
                nesting: 0,
            },
            Node::Fixed(query) => load(self.memory.fixed_values + size(*query) * WORD),
            Node::Advice(query) => load(self.memory.advice_values + size(*query) * WORD),
            // One instance query and no challenges: `Shape::new`.
            Node::Instance(_) | Node::Challenge(_) => Value {
                expression: "mload(INSTANCE)".to_owned(),
                nesting: 0,
            },
            Node::Negated(a) => {
                let a = self.value(*a);
                Value {
                    expression: format!("sub(r, {})", a.expression),
                    nesting: a.nesting + 1,
                }
            }
            Node::Sum(a, b) => operation("addmod", *a, *b),
            Node::Product(a, b) => operation("mulmod", *a, *b),
        }
    }

    fn permutation(&self, text: &mut Text) {
        let products = &self.memory.product_values;
        let (Some(first), Some(last)) = (products.first(), products.last()) else {
            return;
        };
        text.line("// Permutation: l_0 (1 - z_0), l_last (z^2 - z) of the last product,");
        text.line("// l_0 (z_i - z_(i-1)(w^last x)) of the others.");
        fold(
            text,
            &format!(
                "mulmod(mload(L_FIRST), addmod(1, sub(r, mload({})), r), r)",
                hex(first.here)
            ),
        );
        fold(text, &boolean(last.here));
        for (before, product) in products.iter().zip(products.iter().skip(1)) {
            if let Some(last) = before.last {
                let (here, last) = (hex(product.here), hex(last));
                fold(
                    text,
                    &format!(
                        "mulmod(mload(L_FIRST), addmod(mload({here}), sub(r, mload({last})), r), r)"
                    ),
                );
            }
        }
        text.line("// (1 - (l_last + l_blind)) (z_i(w x) prod (p + beta sigma + gamma)");
        text.line("//                           - z_i(x) prod (p + beta delta^j x + gamma))");
        text.open("");
        text.line("let label := mulmod(mload(BETA), mload(X), r)");
        let mut sigma = self.memory.sigma_values;
        let chunks = self.shape.parts.permutation.chunks(self.shape.chunk_len);
        for (product, columns) in products.iter().zip(chunks) {
            text.open("");
            text.line(format!("let left := mload({})", hex(product.next)));
            text.line(format!("let right := mload({})", hex(product.here)));
            for column in columns {
                self.permutation_column(text, column, sigma);
                sigma += WORD;
            }
            fold(
                text,
                "mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r)",
            );
            text.close();
        }
        text.close();
    }

    fn permutation_column(&self, text: &mut Text, column: &PermutationColumn, sigma: usize) {
        let here = Query {
            column: column.column,
            rotation: 0,
        };
        let position = |queries: &[Query]| queries.iter().position(|query| *query == here);
        let (parts, memory) = (self.shape.parts, self.memory);
        // A checked key has the query.
        let value = match column.kind {
            ColumnKind::Advice => position(&parts.advice_queries)
                .map(|position| hex(memory.advice_values + position * WORD)),
            ColumnKind::Fixed => position(&parts.fixed_queries)
                .map(|position| hex(memory.fixed_values + position * WORD)),
            ColumnKind::Instance => None,
        };
        let value = value.unwrap_or_else(|| "INSTANCE".to_owned());
        let (kind, index, sigma) = (column.kind, column.column, hex(sigma));
        text.open("");
        text.lines(&format!(
            "\
// {kind:?} {index}
let p := addmod(mload({value}), mload(GAMMA), r)
left := mulmod(left, addmod(p, mulmod(mload(BETA), mload({sigma}), r), r), r)
right := mulmod(right, addmod(p, label, r), r)
label := mulmod(label, {}, r)",
            scalar(&Fr::DELTA)
        ));
        text.close();
    }

    fn lookup(&self, text: &mut Text, position: usize, values: &LookupAddresses) {
        let lookup = &self.shape.parts.lookups[position];
        let product = hex(values.product);
        let (input, table) = (hex(values.input), hex(values.table));
        text.line(format!(
            "// Lookup {position}: l_0 (1 - z), l_last (z^2 - z),"
        ));
        fold(
            text,
            &format!("mulmod(mload(L_FIRST), addmod(1, sub(r, mload({product})), r), r)"),
        );
        fold(text, &boolean(values.product));
        text.line("// (1 - (l_last + l_blind)) (z(w x) (A' + beta) (S' + gamma)");
        text.line("//                           - z(x) (A + beta) (S + gamma)),");
        text.open("");
        text.line("let compressed := 0");
        let theta = self.compress(&lookup.inputs);
        text.lines(&theta);
        text.line(format!(
            "let right := mulmod(mload({product}), addmod(compressed, mload(BETA), r), r)"
        ));
        text.line("compressed := 0");
        text.lines(&self.compress(&lookup.tables));
        text.line("right := mulmod(right, addmod(compressed, mload(GAMMA), r), r)");
        text.line(format!(
            "let left := mulmod(mload({}), addmod(mload({input}), mload(BETA), r), r)",
            hex(values.product_next)
        ));
        text.line(format!(
            "left := mulmod(left, addmod(mload({table}), mload(GAMMA), r), r)"
        ));
        fold(
            text,
            "mulmod(mload(L_ACTIVE), addmod(left, sub(r, right), r), r)",
        );
        text.close();
        text.line("// l_0 (A' - S'), (1 - (l_last + l_blind)) (A' - S') (A' - A'(w^-1 x))");
        text.open("");
        text.line(format!(
            "let difference := addmod(mload({input}), sub(r, mload({table})), r)"
        ));
        fold(text, "mulmod(mload(L_FIRST), difference, r)");
        text.line(format!(
            "difference := mulmod(difference, addmod(mload({input}), sub(r, mload({})), r), r)",
            hex(values.input_previous)
        ));
        fold(text, "mulmod(mload(L_ACTIVE), difference, r)");
        text.close();
    }

    /// Folds a tuple with theta, the first entry getting its highest power.
    fn compress(&self, tuple: &[NodeIndex]) -> String {
        let mut lines = String::new();
        for node in tuple {
            let value = &self.value(*node).expression;
            let folded = "mulmod(compressed, mload(THETA), r)";
            // Writing to a string does not fail.
            let _ = writeln!(lines, "compressed := addmod({folded}, {value}, r)");
        }
        lines
    }
}

/// l_last (z^2 - z): the product ends at one, or at zero.
fn boolean(product: usize) -> String {
    let z = format!("mload({})", hex(product));
    format!("mulmod(mload(L_LAST), addmod(mulmod({z}, {z}, r), sub(r, {z}), r), r)")
}

/// Takes the next constraint in; the first gets the highest power of y.
fn fold(text: &mut Text, term: &str) {
    text.line(format!(
        "numerator := addmod(mulmod(numerator, y, r), {term}, r)"
    ));
}
