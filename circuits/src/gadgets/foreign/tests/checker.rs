//! The gadget's constraints evaluated on the rows in use.
//!
//! Gates, the selection and the links among the gadget's cells, constants and host cells; chunk
//! cells are in range by their construction as masked integers unless a test says otherwise.
//! Rows outside the grid are zeros. It does not check halo2-base's own constraints, nor the sums of the lookups, which
//! [`super::logup`] tests: it asks what they show.

use std::collections::BTreeSet;

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use super::super::block::Grid;
use super::super::gates::selection;
use super::super::host::HostCircuit;
use super::super::integer::CHUNK_BITS;
use super::super::layout::{DEGREE, FixedName, ForeignColumns, ForeignConfig, X_ROWS};
use super::super::logup::{GATE as LOOKUPS, Selection};
use super::super::tape::TYPE_ID;

/// Name of a gate that is there to query the tuples of a selection.
const PROBE: &str = "probe";

/// Constraints and where they stand.
pub(super) struct Checker {
    meta: ConstraintSystem<Fr>,
    config: ForeignColumns,
    selection: Selection<Expression<Fr>>,
    fixed: Vec<Vec<Fr>>,
    links: Vec<(Side, Side)>,
}

#[derive(Clone, Copy)]
enum Side {
    Row(usize),
    Value(Fr),
}

impl Checker {
    /// The constraints of a circuit's tape.
    pub(super) fn new(circuit: &HostCircuit) -> Self {
        Checker::of(circuit, &circuit.chip.tape().grid())
    }

    /// The same with the fixed cells of another grid.
    pub(super) fn of(circuit: &HostCircuit, grid: &Grid) -> Self {
        let mut meta = ConstraintSystem::default();
        meta.set_minimum_degree(DEGREE);
        let config = ForeignConfig::configure(&mut meta, &[]).columns;
        let mut found = None;
        meta.create_gate(PROBE, |meta| {
            let selection = selection(meta, &config);
            let selects = selection.selects.clone();
            found = Some(selection);
            vec![selects]
        });
        let selection = found.expect("gates are made at once");
        let mut fixed = vec![vec![Fr::zero(); grid.rows()]; meta.num_fixed_columns()];
        for (name, row, value) in &grid.fixed {
            fixed[config.fixed(*name).index()][*row] = *value;
        }
        let core = circuit.builder.core();
        let copies = core.copy_manager.lock().expect("no thread failed");
        let side = |cell: &halo2_base::ContextCell| {
            if cell.type_id == TYPE_ID {
                Side::Row(cell.offset)
            } else {
                let thread = &core.phase_manager[0].threads[cell.context_id];
                Side::Value(thread.advice[cell.offset].evaluate())
            }
        };
        let equal = copies.advice_equalities.iter();
        let mut links: Vec<_> = equal.map(|(a, b)| (side(a), side(b))).collect();
        let constant = copies.constant_equalities.iter();
        links.extend(constant.map(|(value, cell)| (Side::Value(*value), side(cell))));
        links.retain(|link| !matches!(link, (Side::Value(_), Side::Value(_))));
        drop(copies);
        Checker {
            meta,
            config,
            selection,
            fixed,
            links,
        }
    }

    /// The name of the first constraint that a grid breaks.
    pub(super) fn failure(&self, grid: &Grid) -> Option<String> {
        self.failure_near(grid, 0..grid.rows())
    }

    /// The same, of constraints that read a row of a range.
    pub(super) fn failure_near(&self, grid: &Grid, rows: std::ops::Range<usize>) -> Option<String> {
        let near = rows.start.saturating_sub(2 * X_ROWS)..(rows.end + X_ROWS).min(grid.rows());
        let range = grid.chunks[rows].iter().flatten();
        if range.into_iter().any(|chunk| *chunk >= 1 << CHUNK_BITS) {
            return Some("range".into());
        }
        let gates = near.clone().filter(|row| self.is_anchor(*row));
        for row in gates {
            let gates = self.meta.gates().iter();
            for gate in gates.filter(|gate| ![LOOKUPS, PROBE].contains(&gate.name())) {
                for (index, poly) in gate.polynomials().iter().enumerate() {
                    if self.value(grid, poly, row) != Fr::zero() {
                        return Some(gate.constraint_name(index).to_string());
                    }
                }
            }
        }
        self.broken_link(grid)
            .or_else(|| self.broken_selection(grid, near))
    }

    fn is_anchor(&self, row: usize) -> bool {
        let set = |name: FixedName, row: usize| {
            self.fixed[self.config.fixed(name).index()][row] != Fr::zero()
        };
        let after_load = row.checked_sub(X_ROWS);
        let own = [
            FixedName::Add,
            FixedName::AddExplicit,
            FixedName::Double,
            FixedName::Load,
            FixedName::Fetch,
            FixedName::Finish,
            FixedName::Constant,
        ];
        own.into_iter().any(|name| set(name, row))
            || after_load.is_some_and(|row| set(FixedName::Load, row))
    }

    fn broken_link(&self, grid: &Grid) -> Option<String> {
        let value = |side: &Side| match side {
            Side::Row(row) => grid.free[*row],
            Side::Value(value) => *value,
        };
        let mut links = self.links.iter();
        links
            .any(|(a, b)| value(a) != value(b))
            .then(|| "link".to_string())
    }

    /// Selections of rows in a range, or of any row that wants a point of the range.
    fn broken_selection(&self, grid: &Grid, near: std::ops::Range<usize>) -> Option<String> {
        let tuple = |polys: &[Expression<Fr>], row: usize| -> Vec<[u8; 32]> {
            let values = polys.iter().map(|poly| self.value(grid, poly, row));
            values.map(|value| value.to_bytes()).collect()
        };
        let column = |name| &self.fixed[self.config.fixed(name).index()];
        let [wanted, offered] = [FixedName::Wanted, FixedName::Offered].map(column);
        let touched: BTreeSet<[u8; 32]> = near.clone().map(|row| offered[row].to_bytes()).collect();
        let table: BTreeSet<_> = (0..grid.rows())
            .filter(|row| offered[*row] != Fr::zero())
            .map(|row| tuple(&self.selection.offered, row))
            .collect();
        (0..grid.rows())
            .filter(|row| wanted[*row] != Fr::zero())
            .map(|row| (row, tuple(&self.selection.wanted, row)))
            .filter(|(row, tuple)| near.contains(row) || touched.contains(&tuple[0]))
            .any(|(_, tuple)| !table.contains(&tuple))
            .then(|| "selection".to_string())
    }

    fn value(&self, grid: &Grid, poly: &Expression<Fr>, row: usize) -> Fr {
        let at = |rotation: i32| row.checked_add_signed(rotation as isize);
        poly.evaluate(
            &|value| value,
            &|_| unreachable!("the gadget has no selectors"),
            &|query| {
                let column = &self.fixed[query.column_index()];
                at(query.rotation().0)
                    .and_then(|row| column.get(row).copied())
                    .unwrap_or_default()
            },
            &|query| {
                let Some(row) = at(query.rotation().0) else {
                    return Fr::zero();
                };
                let index = query.column_index();
                let mut chunks = self.config.chunks.iter();
                let chunk = chunks.position(|column| column.index() == index);
                match chunk {
                    Some(column) => grid
                        .chunks
                        .get(row)
                        .map_or(Fr::zero(), |cells| Fr::from(u64::from(cells[column]))),
                    None => grid.free.get(row).copied().unwrap_or_default(),
                }
            },
            &|_| unreachable!("the gadget has no instance"),
            &|_| unreachable!("only the lookups have challenges"),
            &|value| -value,
            &|a, b| a + b,
            &|a, b| a * b,
            &|a, factor| a * factor,
        )
    }
}
