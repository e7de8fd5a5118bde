//! What a row of the lanes costs: columns, queries, and field operations of every gate, as halo2 evaluates them (a
//! subexpression that occurs twice is computed once). Golden, so that a change shows in review.
//!
//! `UPDATE_GOLDEN=1` rewrites the file.

use std::collections::BTreeMap;

use circuits::lanes::{LaneCircuit, LaneShape};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/lanes.json");

/// Numbers of the subexpressions seen so far, and what they took.
#[derive(Default)]
struct Evaluator {
    known: BTreeMap<String, usize>,
    multiplications: usize,
    additions: usize,
}

impl Evaluator {
    /// The number of a subexpression, and whether it is new.
    fn number(&mut self, text: String) -> (usize, bool) {
        let next = self.known.len();
        let number = *self.known.entry(text).or_insert(next);
        (number, number == next)
    }

    fn operation(&mut self, sign: char, left: usize, right: usize) -> usize {
        let (left, right) = (left.min(right), left.max(right));
        let (number, is_new) = self.number(format!("{left}{sign}{right}"));
        if is_new {
            match sign {
                '*' => self.multiplications += 1,
                _ => self.additions += 1,
            }
        }
        number
    }

    fn visit(&mut self, expression: &Expression<Fr>) -> usize {
        match expression {
            Expression::Negated(a) => {
                let a = self.visit(a);
                self.number(format!("-{a}")).0 // joined with the sum it stands in
            }
            Expression::Sum(a, b) => {
                let (a, b) = (self.visit(a), self.visit(b));
                self.operation('+', a, b)
            }
            Expression::Product(a, b) => {
                let (a, b) = (self.visit(a), self.visit(b));
                self.operation('*', a, b)
            }
            Expression::Scaled(a, factor) => {
                let a = self.visit(a);
                let (factor, _) = self.number(format!("{factor:?}"));
                self.operation('*', a, factor)
            }
            leaf => self.number(format!("{leaf:?}")).0,
        }
    }
}

#[test]
fn cost_of_a_row_of_the_lanes_is_the_golden_one() {
    let mut meta = ConstraintSystem::<Fr>::default();
    LaneCircuit::configure(&mut meta);
    let mut gates = BTreeMap::new();
    let mut whole = Evaluator::default();
    for gate in meta.gates() {
        let (mut alone, degree) = (
            Evaluator::default(),
            gate.polynomials().iter().map(Expression::degree).max(),
        );
        for polynomial in gate.polynomials() {
            alone.visit(polynomial);
            whole.visit(polynomial);
        }
        let cost = serde_json::json!({
            "polynomials": gate.polynomials().len(),
            "multiplications": alone.multiplications,
            "additions": alone.additions,
            "degree": degree,
        });
        gates.insert(gate.name().to_owned(), cost);
    }
    let polynomials: usize = meta
        .gates()
        .iter()
        .map(|gate| gate.polynomials().len())
        .sum();
    let fullest = LaneShape::fullest(15);
    let cost = serde_json::json!({
        "advice_columns": meta.num_advice_columns(),
        "advice_columns_second_phase": meta.advice_column_phase().iter().filter(|phase| **phase == 1).count(),
        "fixed_columns": meta.num_fixed_columns(),
        "equality_columns": meta.permutation().get_columns().len(),
        "advice_queries": meta.advice_queries().len(),
        "degree": meta.degree(),
        "polynomials": polynomials,
        "multiplications": whole.multiplications,
        "additions": whole.additions,
        "gates": gates,
        "slots_in_32768_rows": 2 * fullest.pairs,
        "leaves_in_32768_rows": fullest.leaves(),
        "nodes_in_32768_rows": fullest.nodes(),
    });
    let text = serde_json::to_string_pretty(&cost).expect("numbers and strings") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert_eq!(
        text, golden,
        "run with UPDATE_GOLDEN=1 if the change is meant"
    );
}
