//! Re-evaluates only what touches a cell: fast enough to mutate every cell of a slot.

use std::collections::BTreeMap;

use circuits::layout::{Columns, WIDTH};
use circuits::trace::{At, GateSet, Trace, TraceCircuit, at};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

/// A polynomial, its selector's column, and the cells it reads.
struct Polynomial {
    selector: usize,
    expression: Expression<Fr>,
}

/// The constraints of a circuit, indexed by the columns they read.
pub(crate) struct Checker {
    polynomials: Vec<Polynomial>,
    /// For each advice column: (rotation, polynomial).
    readers: Vec<Vec<(i32, usize)>>,
    fixed: BTreeMap<(usize, usize), Fr>,
    copies: BTreeMap<At, Vec<At>>,
}

impl Checker {
    pub(crate) fn new<G: GateSet>(circuit: &TraceCircuit<G>) -> Self {
        let mut cs = ConstraintSystem::default();
        let columns: Columns = TraceCircuit::<G>::configure(&mut cs);
        let mut polynomials = Vec::new();
        let mut readers = vec![Vec::new(); WIDTH];
        for expression in cs.gates().iter().flat_map(|gate| gate.polynomials()) {
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
            polynomials.push(Polynomial {
                selector,
                expression: expression.clone(),
            });
        }
        let wiring = circuit.wiring();
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
            copies,
        }
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

    fn enabled(&self, cell: At) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.readers[cell.column]
            .iter()
            .filter_map(move |(rotation, index)| {
                let row = cell.row.checked_add_signed(-*rotation as isize)?;
                self.fixed
                    .contains_key(&(self.polynomials[*index].selector, row))
                    .then_some((row, *index))
            })
    }

    fn evaluate(&self, expression: &Expression<Fr>, trace: &Trace, row: usize) -> Fr {
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

/// Advice cells an expression reads: (column, rotation), each once.
fn queries(expression: &Expression<Fr>) -> Vec<(usize, i32)> {
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
