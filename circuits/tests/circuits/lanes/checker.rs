//! Evaluates the gates of the lanes around one cell, both phases included, under fixed challenges.
//!
//! The columns of the second phase are held at their honest values. A cell that enters a product changes the factor of its
//! row, and with it the product's end, whatever a prover writes in between: so the row's own constraint speaks for
//! the end's.

use std::collections::BTreeMap;

use circuits::lanes::LaneCircuit;
use circuits::lanes::circuit::configure;
use circuits::trace::{At, Trace, at};
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use crate::checker::queries;

/// Challenges that nobody chose for a purpose.
pub(crate) fn challenges() -> [Fr; 3] {
    [3_u64, 5, 7].map(|seed| (Fr::from(seed) * -Fr::from(0xfeed_beef)).square().square())
}

struct Polynomial {
    name: String,
    /// Where the constraint holds: an expression over fixed cells.
    selector: Expression<Fr>,
    expression: Expression<Fr>,
}

/// The constraints, indexed by the columns they read.
pub(crate) struct LaneChecker {
    polynomials: Vec<Polynomial>,
    readers: Vec<Vec<(i32, usize)>>,
    fixed: BTreeMap<(usize, usize), Fr>,
    instance: Vec<(At, usize)>,
}

impl LaneChecker {
    pub(crate) fn new(circuit: &LaneCircuit) -> Self {
        let mut cs = ConstraintSystem::default();
        let config = configure(&mut cs, false);
        let mut readers = vec![Vec::new(); cs.num_advice_columns()];
        let mut polynomials = Vec::new();
        for gate in cs.gates() {
            for (i, expression) in gate.polynomials().iter().enumerate() {
                let Expression::Product(selector, _) = expression else {
                    panic!("a gate has a selector")
                };
                assert!(queries(selector).is_empty(), "a selector is fixed");
                for (column, rotation) in queries(expression) {
                    readers[column].push((rotation, polynomials.len()));
                }
                polynomials.push(Polynomial {
                    name: format!("{}: {}", gate.name(), gate.constraint_name(i)),
                    selector: selector.as_ref().clone(),
                    expression: expression.clone(),
                });
            }
        }
        let fixed = circuit.wiring().fixed.iter().map(|(name, row, value)| {
            let column = config.columns.fixed(*name).index();
            ((column, *row), *value)
        });
        Self {
            polynomials,
            readers,
            fixed: fixed.collect(),
            instance: circuit.wiring().instance.clone(),
        }
    }

    /// Constraints that read a cell where they hold.
    fn enabled(&self, cell: At) -> impl Iterator<Item = (usize, &Polynomial)> {
        self.readers[cell.column]
            .iter()
            .filter_map(move |(rotation, index)| {
                let row = cell.row.checked_add_signed(-*rotation as isize)?;
                let polynomial = &self.polynomials[*index];
                let on = self.evaluate(&polynomial.selector, None, row);
                (on != Fr::zero()).then_some((row, polynomial))
            })
    }

    /// Whether any constraint reads the cell.
    pub(crate) fn is_used(&self, cell: At) -> bool {
        self.is_public(cell) || self.enabled(cell).next().is_some()
    }

    fn is_public(&self, cell: At) -> bool {
        self.instance.iter().any(|(public, _)| *public == cell)
    }

    /// The first constraint around the cell that the trace breaks; a changed public cell is one.
    pub(crate) fn broken(&self, trace: &Trace, cell: At) -> Option<&str> {
        if self.is_public(cell) {
            return Some("public input");
        }
        self.enabled(cell)
            .find(|(row, polynomial)| {
                self.evaluate(&polynomial.expression, Some(trace), *row) != Fr::zero()
            })
            .map(|(_, polynomial)| polynomial.name.as_str())
    }

    /// Every broken constraint, by name and row: only for small traces.
    pub(crate) fn violations(&self, trace: &Trace) -> Vec<String> {
        let mut broken = Vec::new();
        for polynomial in &self.polynomials {
            for row in 0..trace.rows() {
                if self.evaluate(&polynomial.selector, None, row) != Fr::zero()
                    && self.evaluate(&polynomial.expression, Some(trace), row) != Fr::zero()
                {
                    broken.push(format!("{} at {row}", polynomial.name));
                }
            }
        }
        broken
    }

    fn evaluate(&self, expression: &Expression<Fr>, trace: Option<&Trace>, row: usize) -> Fr {
        let drawn = challenges();
        let place = |rotation: i32| row.checked_add_signed(rotation as isize);
        expression.evaluate(
            &|constant| constant,
            &|_| Fr::zero(),
            &|query| {
                place(query.rotation().0)
                    .and_then(|row| self.fixed.get(&(query.column_index(), row)).copied())
                    .unwrap_or(Fr::zero())
            },
            &|query| {
                let trace = trace.expect("selectors read no advice");
                place(query.rotation().0)
                    .filter(|row| *row < trace.rows())
                    .map_or(Fr::zero(), |row| trace.get(at(query.column_index(), row)))
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
