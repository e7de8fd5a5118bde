//! Evaluates every constraint of the lanes in every row, one by one, under fixed challenges: the whole verdict on a trace
//! whose products were computed honestly, many times faster than the mock prover.
//!
//! Constraints of one selector are one program, in which what they share is computed once. It runs in the rows in which the
//! selector is not 0; these depend on the shape only.

use std::collections::BTreeMap;

use circuits::lanes::LaneCircuit;
use circuits::lanes::circuit::configure;
use circuits::trace::{At, Trace, Wiring};
use ff::PrimeField;
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use super::checker::challenges;

/// A step of a program; operands are numbers of earlier steps.
#[derive(Clone, Copy)]
enum Node {
    Constant(Fr),
    Fixed(u32, i32),
    Advice(u32, i32),
    Negated(u32),
    Sum(u32, u32),
    Product(u32, u32),
}

/// Expressions with everything they share computed once.
#[derive(Default)]
struct Program {
    nodes: Vec<Node>,
    places: BTreeMap<(u8, u64, u64, [u8; 32]), u32>,
    roots: Vec<u32>,
}

impl Program {
    fn add(&mut self, expression: &Expression<Fr>) {
        let root = self.node(expression);
        self.roots.push(root);
    }

    fn node(&mut self, expression: &Expression<Fr>) -> u32 {
        let cell = |kind: u8, column: usize, rotation: i32| {
            (
                kind,
                column as u64,
                u64::from(rotation.unsigned_abs()) << 1 | u64::from(rotation < 0),
                [0; 32],
            )
        };
        let (key, node) = match expression {
            Expression::Constant(value) => return self.constant(value),
            Expression::Challenge(challenge) => {
                return self.constant(&challenges()[challenge.index()]);
            }
            Expression::Fixed(query) => {
                let (column, rotation) = (query.column_index(), query.rotation().0);
                (
                    cell(1, column, rotation),
                    Node::Fixed(column as u32, rotation),
                )
            }
            Expression::Advice(query) => {
                let (column, rotation) = (query.column_index(), query.rotation().0);
                (
                    cell(2, column, rotation),
                    Node::Advice(column as u32, rotation),
                )
            }
            Expression::Negated(inner) => {
                let inner = self.node(inner);
                ((3, u64::from(inner), 0, [0; 32]), Node::Negated(inner))
            }
            Expression::Sum(left, right) => {
                let (left, right) = (self.node(left), self.node(right));
                (
                    (4, left.into(), right.into(), [0; 32]),
                    Node::Sum(left, right),
                )
            }
            Expression::Product(left, right) => {
                let (left, right) = (self.node(left), self.node(right));
                (
                    (5, left.into(), right.into(), [0; 32]),
                    Node::Product(left, right),
                )
            }
            Expression::Scaled(inner, factor) => {
                let (inner, factor) = (self.node(inner), self.constant(factor));
                (
                    (5, inner.into(), factor.into(), [0; 32]),
                    Node::Product(inner, factor),
                )
            }
            _ => panic!("gates read advice, fixed cells and challenges only"),
        };
        self.place(key, node)
    }

    fn constant(&mut self, value: &Fr) -> u32 {
        self.place((0, 0, 0, value.to_repr()), Node::Constant(*value))
    }

    fn place(&mut self, key: (u8, u64, u64, [u8; 32]), node: Node) -> u32 {
        let next = self.nodes.len() as u32;
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.nodes.push(node);
        }
        place
    }
}

/// Constraints that hold in the same rows.
struct Kind {
    members: Vec<usize>,
    program: Program,
    rows: Vec<usize>,
}

/// A constraint that a trace breaks, by number, and the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Broken {
    pub(crate) constraint: usize,
    pub(crate) row: usize,
}

/// The constraints of a shape.
pub(crate) struct Evaluator {
    names: Vec<String>,
    expressions: Vec<Expression<Fr>>,
    kinds: Vec<Kind>,
    fixed: Vec<Vec<Fr>>,
    instance: Vec<(At, usize)>,
}

impl Evaluator {
    pub(crate) fn new(circuit: &LaneCircuit, rows: usize) -> Self {
        Self::with(circuit.wiring(), rows)
    }

    /// For other wiring than the shape's.
    pub(crate) fn with(wiring: &Wiring, rows: usize) -> Self {
        let mut cs = ConstraintSystem::default();
        let config = configure(&mut cs, false);
        let mut fixed = vec![vec![Fr::zero(); rows]; cs.num_fixed_columns()];
        for (name, row, value) in &wiring.fixed {
            fixed[config.columns.fixed(*name).index()][*row] = *value;
        }
        let (mut names, mut expressions) = (Vec::new(), Vec::new());
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
        for gate in cs.gates() {
            for (i, expression) in gate.polynomials().iter().enumerate() {
                let Expression::Product(selector, demand) = expression else {
                    panic!("a gate has a selector")
                };
                let kind = kinds
                    .entry(format!("{selector:?}"))
                    .or_insert_with(|| Kind {
                        members: Vec::new(),
                        program: Program::default(),
                        rows: (0..rows)
                            .filter(|row| selects(selector, &fixed, *row))
                            .collect(),
                    });
                kind.members.push(names.len());
                kind.program.add(demand);
                let name = format!("{}: {}", gate.name(), gate.constraint_name(i));
                let number = seen.entry(name.clone()).or_default();
                *number += 1;
                names.push(format!("{name} #{number}"));
                expressions.push(demand.as_ref().clone());
            }
        }
        // what most forgeries break comes first: a verdict ends at the first broken constraint
        let mut kinds: Vec<Kind> = kinds.into_values().collect();
        kinds.sort_by_key(|kind| kind.rows.len());
        Self {
            names,
            expressions,
            kinds,
            fixed,
            instance: wiring.instance.clone(),
        }
    }

    /// Every constraint by number: gate, name, and its number among those of that name.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// What a constraint demands to be 0, without its selector.
    pub(crate) fn demand(&self, constraint: usize) -> &Expression<Fr> {
        &self.expressions[constraint]
    }

    /// Rows in which a constraint holds.
    pub(crate) fn rows(&self, constraint: usize) -> &[usize] {
        let kind = self
            .kinds
            .iter()
            .find(|kind| kind.members.contains(&constraint));
        kind.map_or(&[], |kind| &kind.rows)
    }

    /// Everything that a completed trace breaks.
    pub(crate) fn broken(&self, trace: &Trace) -> Vec<Broken> {
        self.scan(trace, |_| true, usize::MAX)
    }

    /// The same, in the rows that `wanted` names.
    pub(crate) fn broken_in(&self, trace: &Trace, wanted: impl Fn(usize) -> bool) -> Vec<Broken> {
        self.scan(trace, wanted, usize::MAX)
    }

    /// Whether a completed trace satisfies every constraint and has these public inputs.
    pub(crate) fn accepts(&self, trace: &Trace, inputs: &[Fr]) -> bool {
        let exposed = |(cell, row): &(At, usize)| inputs.get(*row) == Some(&trace.get(*cell));
        self.instance.iter().all(exposed) && self.scan(trace, |_| true, 1).is_empty()
    }

    fn scan(&self, trace: &Trace, wanted: impl Fn(usize) -> bool, most: usize) -> Vec<Broken> {
        let (mut broken, mut values) = (Vec::new(), Vec::new());
        for kind in &self.kinds {
            for row in kind.rows.iter().copied().filter(|row| wanted(*row)) {
                self.run(&kind.program, trace, row, &mut values);
                for (constraint, root) in kind.members.iter().zip(&kind.program.roots) {
                    if values[*root as usize] != Fr::zero() {
                        let constraint = *constraint;
                        broken.push(Broken { constraint, row });
                        if broken.len() == most {
                            return broken;
                        }
                    }
                }
            }
        }
        broken
    }

    fn run(&self, program: &Program, trace: &Trace, row: usize, values: &mut Vec<Fr>) {
        values.clear();
        for node in &program.nodes {
            let operand = |number: &u32| values[*number as usize];
            let value = match node {
                Node::Constant(value) => *value,
                Node::Fixed(column, rotation) => {
                    read(&self.fixed[*column as usize], row, *rotation)
                }
                Node::Advice(column, rotation) => {
                    read(&trace.columns()[*column as usize], row, *rotation)
                }
                Node::Negated(inner) => -operand(inner),
                Node::Sum(left, right) => operand(left) + operand(right),
                Node::Product(left, right) => operand(left) * operand(right),
            };
            values.push(value);
        }
    }

    /// Value of an expression over a trace, in a row.
    pub(crate) fn evaluate(&self, expression: &Expression<Fr>, trace: &Trace, row: usize) -> Fr {
        let drawn = challenges();
        expression.evaluate(
            &|constant| constant,
            &|_| Fr::zero(),
            &|query| read(&self.fixed[query.column_index()], row, query.rotation().0),
            &|query| {
                read(
                    &trace.columns()[query.column_index()],
                    row,
                    query.rotation().0,
                )
            },
            &|_| Fr::zero(),
            &|challenge| drawn[challenge.index()],
            &|value| -value,
            &|left, right| left + right,
            &|left, right| left * right,
            &|value, factor| value * factor,
        )
    }
}

/// A cell of a column, 0 outside it.
fn read(column: &[Fr], row: usize, rotation: i32) -> Fr {
    let row = row.checked_add_signed(rotation as isize);
    row.and_then(|row| column.get(row))
        .copied()
        .unwrap_or(Fr::zero())
}

fn selects(selector: &Expression<Fr>, fixed: &[Vec<Fr>], row: usize) -> bool {
    let none = |what: &str| -> Fr { panic!("a selector reads no {what}") };
    let value = selector.evaluate(
        &|constant| constant,
        &|_| none("selector"),
        &|query| read(&fixed[query.column_index()], row, query.rotation().0),
        &|_| none("advice"),
        &|_| none("instance"),
        &|_| none("challenge"),
        &|value| -value,
        &|left, right| left + right,
        &|left, right| left * right,
        &|value, factor| value * factor,
    );
    value != Fr::zero()
}
