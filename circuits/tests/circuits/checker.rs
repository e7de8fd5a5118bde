//! Re-evaluates only what touches a cell: fast enough to mutate every cell of a slot.

use std::collections::BTreeMap;

use circuits::layout::{Columns, WIDTH};
use circuits::trace::{At, GateSet, Trace, TraceCircuit, at};
use ff::PrimeField;
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

/// A polynomial, its name, its selector's column, and what it demands to be 0.
struct Polynomial {
    name: String,
    selector: usize,
    expression: Expression<Fr>,
}

/// One constraint that a trace breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Violation {
    /// A polynomial, by number, at a row.
    Polynomial(usize, usize),
    /// Two cells that must be equal.
    Copy(At, At),
    /// A public input.
    Instance(usize),
}

/// Rows of one kind.
#[derive(Default)]
struct Kind {
    polynomials: Vec<usize>,
    program: Program,
    rows: Vec<usize>,
}

/// A step of a program; numbers of other steps are those of earlier ones.
enum Node {
    Constant(Fr),
    Fixed(usize),
    Advice(usize, i32),
    Negated(usize),
    Sum(usize, usize),
    Product(usize, usize),
}

/// The polynomials of a kind with everything they share computed once: whole rows are evaluated often.
#[derive(Default)]
struct Program {
    nodes: Vec<Node>,
    places: BTreeMap<(u8, usize, usize, [u8; 32]), usize>,
    roots: Vec<usize>,
}

impl Program {
    fn add(&mut self, expression: &Expression<Fr>) {
        let root = self.node(expression);
        self.roots.push(root);
    }

    fn node(&mut self, expression: &Expression<Fr>) -> usize {
        let (key, node) = match expression {
            Expression::Constant(value) => return self.constant(value),
            Expression::Fixed(query) => {
                let column = query.column_index();
                ((1, column, 0, [0; 32]), Node::Fixed(column))
            }
            Expression::Advice(query) => {
                let (column, rotation) = (query.column_index(), query.rotation().0);
                let key = (2, column, (rotation + 1_000) as usize, [0; 32]);
                (key, Node::Advice(column, rotation))
            }
            Expression::Negated(inner) => {
                let inner = self.node(inner);
                ((3, inner, 0, [0; 32]), Node::Negated(inner))
            }
            Expression::Sum(left, right) => {
                let (left, right) = (self.node(left), self.node(right));
                ((4, left, right, [0; 32]), Node::Sum(left, right))
            }
            Expression::Product(left, right) => {
                let (left, right) = (self.node(left), self.node(right));
                ((5, left, right, [0; 32]), Node::Product(left, right))
            }
            Expression::Scaled(inner, factor) => {
                let (inner, factor) = (self.node(inner), self.constant(factor));
                ((5, inner, factor, [0; 32]), Node::Product(inner, factor))
            }
            _ => panic!("gates read advice and fixed cells only"),
        };
        self.place(key, node)
    }

    fn constant(&mut self, value: &Fr) -> usize {
        self.place((0, 0, 0, value.to_repr()), Node::Constant(*value))
    }

    fn place(&mut self, key: (u8, usize, usize, [u8; 32]), node: Node) -> usize {
        let next = self.nodes.len();
        let place = *self.places.entry(key).or_insert(next);
        if place == next {
            self.nodes.push(node);
        }
        place
    }

    fn run(&self, values: &mut Vec<Fr>, value: impl Fn(&Node, &[Fr]) -> Fr) {
        values.clear();
        for node in &self.nodes {
            let next = value(node, values);
            values.push(next);
        }
    }
}

/// The constraints of a circuit, indexed by the columns they read.
pub(crate) struct Checker {
    polynomials: Vec<Polynomial>,
    /// For each advice column: (rotation, polynomial).
    readers: Vec<Vec<(i32, usize)>>,
    fixed: BTreeMap<(usize, usize), Fr>,
    /// For each selector: its polynomials, and the rows that enable them.
    kinds: BTreeMap<usize, Kind>,
    copies: BTreeMap<At, Vec<At>>,
    pairs: Vec<(At, At)>,
    instance: Vec<(At, usize)>,
}

impl Checker {
    pub(crate) fn new<G: GateSet>(circuit: &TraceCircuit<G>) -> Self {
        let mut cs = ConstraintSystem::default();
        let columns: Columns = TraceCircuit::<G>::configure(&mut cs);
        let mut polynomials = Vec::new();
        let mut readers = vec![Vec::new(); WIDTH];
        let mut kinds: BTreeMap<usize, Kind> = BTreeMap::new();
        let named = cs.gates().iter().flat_map(|gate| {
            let name = |i| format!("{}: {}", gate.name(), gate.constraint_name(i));
            gate.polynomials()
                .iter()
                .enumerate()
                .map(move |(i, expression)| (name(i), expression))
        });
        for (name, expression) in named {
            let Expression::Product(left, _) = expression else {
                panic!("a gate has a selector")
            };
            let Expression::Fixed(query) = left.as_ref() else {
                panic!("a selector is fixed")
            };
            let selector = query.column_index();
            for (column, rotation) in queries(expression) {
                readers[column].push((rotation, polynomials.len()));
            }
            let kind = kinds.entry(selector).or_default();
            kind.polynomials.push(polynomials.len());
            kind.program.add(expression);
            polynomials.push(Polynomial {
                name,
                selector,
                expression: expression.clone(),
            });
        }
        let wiring = circuit.wiring();
        for (name, row, _) in &wiring.fixed {
            if let Some(kind) = kinds.get_mut(&columns.fixed(*name).index()) {
                kind.rows.push(*row);
            }
        }
        let fixed = wiring
            .fixed
            .iter()
            .map(|(name, row, value)| ((columns.fixed(*name).index(), *row), *value))
            .collect();
        let mut copies: BTreeMap<At, Vec<At>> = BTreeMap::new();
        for (left, right) in &wiring.copies {
            copies.entry(*left).or_default().push(*right);
            copies.entry(*right).or_default().push(*left);
        }
        Self {
            polynomials,
            readers,
            fixed,
            kinds,
            copies,
            pairs: wiring.copies.clone(),
            instance: wiring.instance.clone(),
        }
    }

    /// Every constraint that the trace breaks: all polynomials in all rows that enable them, all copies,
    /// all public inputs.
    pub(crate) fn violations(&self, trace: &Trace, instance: &[Fr]) -> Vec<Violation> {
        let mut broken = Vec::new();
        let mut values = Vec::new();
        for kind in self.kinds.values() {
            for row in &kind.rows {
                kind.program.run(&mut values, |node, values| {
                    self.value(node, values, trace, *row)
                });
                let roots = kind.polynomials.iter().zip(&kind.program.roots);
                let nonzero = roots.filter(|(_, root)| values[**root] != Fr::zero());
                broken.extend(nonzero.map(|(index, _)| Violation::Polynomial(*index, *row)));
            }
        }
        broken.extend(self.unequal(trace, instance));
        broken
    }

    fn value(&self, node: &Node, values: &[Fr], trace: &Trace, row: usize) -> Fr {
        match node {
            Node::Constant(value) => *value,
            Node::Fixed(column) => {
                let value = self.fixed.get(&(*column, row));
                value.copied().unwrap_or(Fr::zero())
            }
            Node::Advice(column, rotation) => {
                let row = row.checked_add_signed(*rotation as isize);
                row.filter(|row| *row < trace.rows())
                    .map_or(Fr::zero(), |row| trace.get(at(*column, row)))
            }
            Node::Negated(inner) => -values[*inner],
            Node::Sum(left, right) => values[*left] + values[*right],
            Node::Product(left, right) => values[*left] * values[*right],
        }
    }

    /// Copies and public inputs that do not hold.
    pub(crate) fn unequal(&self, trace: &Trace, instance: &[Fr]) -> Vec<Violation> {
        let unequal = |(left, right): &&(At, At)| trace.get(*left) != trace.get(*right);
        let copies = self.pairs.iter().filter(unequal);
        let mut broken: Vec<_> = copies
            .map(|(left, right)| Violation::Copy(*left, *right))
            .collect();
        let exposed = self.instance.iter();
        let wrong = exposed.filter(|(cell, row)| instance.get(*row) != Some(&trace.get(*cell)));
        broken.extend(wrong.map(|(_, row)| Violation::Instance(*row)));
        broken
    }

    /// Number of polynomials.
    pub(crate) fn polynomials(&self) -> usize {
        self.polynomials.len()
    }

    /// A polynomial's selector column.
    pub(crate) fn selector(&self, polynomial: usize) -> usize {
        self.polynomials[polynomial].selector
    }

    /// Polynomials that a selector switches on, in order.
    pub(crate) fn polynomials_of(&self, selector: usize) -> &[usize] {
        &self.kinds[&selector].polynomials
    }

    /// Rows in which a polynomial holds.
    pub(crate) fn rows(&self, polynomial: usize) -> &[usize] {
        &self.kinds[&self.selector(polynomial)].rows
    }

    /// All copies.
    pub(crate) fn copies(&self) -> &[(At, At)] {
        &self.pairs
    }

    /// Cells that are copies of a cell.
    pub(crate) fn partners(&self, cell: At) -> &[At] {
        self.copies.get(&cell).map_or(&[], Vec::as_slice)
    }

    /// The public inputs that a trace claims.
    pub(crate) fn exposed(&self, trace: &Trace) -> Vec<Fr> {
        let mut inputs = vec![Fr::zero(); self.instance.len()];
        for (cell, row) in &self.instance {
            inputs[*row] = trace.get(*cell);
        }
        inputs
    }

    /// What a polynomial demands to be 0.
    pub(crate) fn expression(&self, polynomial: usize) -> &Expression<Fr> {
        &self.polynomials[polynomial].expression
    }

    /// Value of a polynomial in a row.
    pub(crate) fn evaluate_polynomial(&self, polynomial: usize, trace: &Trace, row: usize) -> Fr {
        self.evaluate(self.expression(polynomial), trace, row)
    }

    /// Cells that a polynomial reads in a row; of `cell = value` the cell comes first.
    pub(crate) fn cells(&self, polynomial: usize, row: usize) -> Vec<At> {
        let expression = self.expression(polynomial);
        let target = defined(expression, row);
        let read = queries(expression)
            .into_iter()
            .filter_map(|(column, rotation)| {
                let row = row.checked_add_signed(rotation as isize)?;
                Some(at(column, row))
            });
        let others = read.filter(|cell| Some(*cell) != target);
        target.into_iter().chain(others).collect()
    }

    /// A polynomial's gate and name.
    pub(crate) fn name(&self, polynomial: usize) -> &str {
        &self.polynomials[polynomial].name
    }

    /// Whether any enabled constraint or copy reads the cell.
    pub(crate) fn is_used(&self, cell: At) -> bool {
        self.copies.contains_key(&cell) || self.enabled(cell).next().is_some()
    }

    /// Whether a constraint or copy that reads the cell fails.
    pub(crate) fn refuses(&self, trace: &Trace, cell: At) -> bool {
        let copied = self.copies.get(&cell).into_iter().flatten();
        copied
            .clone()
            .any(|other| trace.get(*other) != trace.get(cell))
            || self.enabled(cell).any(|(row, index)| {
                self.evaluate(&self.polynomials[index].expression, trace, row) != Fr::zero()
            })
    }

    /// Polynomials that read a cell: row and number.
    pub(crate) fn enabled(&self, cell: At) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.readers[cell.column]
            .iter()
            .filter_map(move |(rotation, index)| {
                let row = cell.row.checked_add_signed(-*rotation as isize)?;
                self.fixed
                    .contains_key(&(self.polynomials[*index].selector, row))
                    .then_some((row, *index))
            })
    }

    /// Value of an expression in a row.
    pub(crate) fn evaluate(&self, expression: &Expression<Fr>, trace: &Trace, row: usize) -> Fr {
        expression.evaluate(
            &|constant| constant,
            &|_| Fr::zero(),
            &|query| {
                let place = (query.column_index(), row);
                self.fixed.get(&place).copied().unwrap_or(Fr::zero())
            },
            &|query| {
                let row = row.checked_add_signed(query.rotation().0 as isize);
                row.filter(|row| *row < trace.rows())
                    .map_or(Fr::zero(), |row| trace.get(at(query.column_index(), row)))
            },
            &|_| Fr::zero(),
            &|_| Fr::zero(),
            &|value| -value,
            &|left, right| left + right,
            &|left, right| left * right,
            &|value, factor| value * factor,
        )
    }
}

/// The cell of `selector * (cell - value)`.
pub(crate) fn defined(expression: &Expression<Fr>, row: usize) -> Option<At> {
    let Expression::Product(_, difference) = expression else {
        return None;
    };
    let Expression::Sum(left, right) = difference.as_ref() else {
        return None;
    };
    match (left.as_ref(), right.as_ref()) {
        (Expression::Advice(query), Expression::Negated(_)) => {
            let row = row.checked_add_signed(query.rotation().0 as isize)?;
            Some(at(query.column_index(), row))
        }
        _ => None,
    }
}

/// Advice cells an expression reads: (column, rotation), each once.
pub(crate) fn queries(expression: &Expression<Fr>) -> Vec<(usize, i32)> {
    let join = |mut left: Vec<(usize, i32)>, right: Vec<(usize, i32)>| {
        left.extend(right);
        left.sort_unstable();
        left.dedup();
        left
    };
    expression.evaluate(
        &|_| Vec::new(),
        &|_| Vec::new(),
        &|_| Vec::new(),
        &|query| vec![(query.column_index(), query.rotation().0)],
        &|_| Vec::new(),
        &|_| Vec::new(),
        &|value| value,
        &join,
        &join,
        &|value, _| value,
    )
}
