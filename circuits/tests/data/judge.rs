//! A verdict on a table that names every broken constraint: the gates evaluated row by row, a product
//! with a zero factor being zero without a look at the other. The mock prover is slower and is
//! compared with it on samples.

use std::collections::BTreeSet;

use circuits::data::layout::Fixed;
use circuits::data::{DataCircuit, DataColumns, DataShape, Table};
use halo2_proofs::dev::{CellValue, MockProver};
use halo2_proofs::plonk::{Circuit, ConstraintSystem, Expression};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

/// The constraints of one capacity.
pub(crate) struct Judge {
    pub(crate) shape: DataShape,
    cs: ConstraintSystem<Fr>,
    columns: DataColumns,
    fixed: Vec<Vec<Fr>>,
}

/// Name of a broken constraint, and its row.
pub(crate) type Complaint = (String, usize);

impl Judge {
    pub(crate) fn new(groups: usize) -> Self {
        let shape = DataShape { groups };
        let mut cs = ConstraintSystem::default();
        let columns = DataCircuit::configure(&mut cs);
        let prover = MockProver::run(shape.k(), &shape.circuit(), vec![vec![]]).expect("it fits");
        let names = [
            Fixed::Block,
            Fixed::Crumb,
            Fixed::FullRound,
            Fixed::PartialRound,
            Fixed::Constant,
            Fixed::Edge,
        ];
        let fixed = names.map(|name| {
            let cells = prover.fixed_values(columns.fixed(name)).iter();
            cells
                .map(|cell| match cell {
                    CellValue::Assigned(value) => *value,
                    _ => Fr::zero(),
                })
                .collect()
        });
        Judge {
            shape,
            cs,
            columns,
            fixed: fixed.to_vec(),
        }
    }

    /// Names of all constraints.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let gates = self.cs.gates().iter();
        gates
            .flat_map(|gate| {
                (0..gate.polynomials().len()).map(|i| gate.constraint_name(i).to_owned())
            })
            .collect()
    }

    /// Every broken constraint.
    pub(crate) fn complaints(&self, table: &Table, instance: &[Fr]) -> BTreeSet<Complaint> {
        let mut out = BTreeSet::new();
        for row in 0..table.rows() {
            if self.fixed.iter().all(|column| column[row] == Fr::zero()) {
                continue;
            }
            let at = Row {
                judge: self,
                table,
                instance,
                row,
            };
            for gate in self.cs.gates() {
                for (i, polynomial) in gate.polynomials().iter().enumerate() {
                    if at.evaluate(polynomial) != Fr::zero() {
                        out.insert((gate.constraint_name(i).to_owned(), row));
                    }
                }
            }
        }
        out
    }

    /// Every broken constraint if the table's own outputs are the public inputs.
    pub(crate) fn inner_complaints(&self, table: &Table) -> BTreeSet<Complaint> {
        self.complaints(table, &table.outputs())
    }

    pub(crate) fn accepts(&self, table: &Table, instance: &[Fr]) -> bool {
        self.complaints(table, instance).is_empty()
    }

    /// The mock prover's verdict.
    pub(crate) fn mock_accepts(&self, table: &Table, instance: &[Fr]) -> bool {
        let circuit = self.shape.with_table(table.clone());
        let prover = MockProver::run(self.shape.k(), &circuit, vec![instance.to_vec()]);
        prover.expect("it fits").verify().is_ok()
    }
}

struct Row<'a> {
    judge: &'a Judge,
    table: &'a Table,
    instance: &'a [Fr],
    row: usize,
}

impl Row<'_> {
    fn cell(&self, column: &[Fr], rotation: Rotation) -> Fr {
        let row = self.row as i64 + i64::from(rotation.0);
        usize::try_from(row)
            .ok()
            .and_then(|row| column.get(row))
            .copied()
            .unwrap_or(Fr::zero())
    }

    fn evaluate(&self, expression: &Expression<Fr>) -> Fr {
        match expression {
            Expression::Constant(value) => *value,
            Expression::Fixed(query) => {
                let position = self
                    .judge
                    .columns
                    .fixed
                    .iter()
                    .position(|column| column.index() == query.column_index())
                    .expect("a known column");
                self.cell(&self.judge.fixed[position], query.rotation())
            }
            Expression::Advice(query) => {
                let position = self
                    .judge
                    .columns
                    .advice
                    .iter()
                    .position(|column| column.index() == query.column_index())
                    .expect("a known column");
                self.cell(&self.table.columns()[position], query.rotation())
            }
            Expression::Instance(query) => self.cell(self.instance, query.rotation()),
            Expression::Negated(inner) => -self.evaluate(inner),
            Expression::Sum(left, right) => self.evaluate(left) + self.evaluate(right),
            Expression::Product(left, right) => {
                let left = self.evaluate(left);
                if left == Fr::zero() {
                    left
                } else {
                    left * self.evaluate(right)
                }
            }
            Expression::Scaled(inner, factor) => self.evaluate(inner) * factor,
            Expression::Selector(_) | Expression::Challenge(_) => {
                panic!("the data circuit has neither selectors nor challenges")
            }
        }
    }
}
