//! One memory for all accesses, and one use for every opened value: two running products.
//!
//! Offline memory checking (Blum, Evans, Gemmell, Kannan, Naor, "Checking the correctness of memories"): an access
//! reads what the last one wrote and writes a newer entry. Entries are `(index, time, x, y, meta, holdings, live)`.
//! Opened leaves write their old value at time 0 and read their new one at the end, so
//! `opened + writes = reads + closed` as multisets. An access at time t reads an entry of time below t (its age
//! is bounded by bytes); each index is opened once (`tree`). By induction over the times, each access reads what
//! the last one of its index wrote, and a leaf's new value is what the last access wrote.
//!
//! The tree's pairs make values `(level, index, old, new)` and use them: each opened child, and the root at the ends.
//!
//! A multiset is a product over entries of `1 + on (beta + sum gamma^i entry_i - 1)`, beta and gamma
//! drawn after all the cells are committed. Both products are columns of the second phase:
//!
//! | row of a block | memory | tree |
//! |---|---|---|
//! | 0 | three accesses | stays |
//! | a leaf's new row | the leaf's entries | times the leaf's value |
//! | a node's old row | stays | over its opened children 0 and 1 |
//! | a node's new row | stays | times the node's value, over its opened children 2 and 3 |
//!
//! Both start at 1. At the end the memory's product is 1 and the tree's is the root's entry. Errors of
//! probability: entries have 7 elements, products fewer than 2^19 factors, so below 2^22 / p.

use halo2_proofs::plonk::{Advice, Challenge, Column, ConstraintSystem, Expression, SecondPhase};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use protocol::params::TREE_LEVELS;

use super::layout::{Extra, Named, ROWS, place};
use super::tree::{INDEX, ON, PLACE, WRITTEN, flag};
use crate::algebra::Algebra;
use crate::chunk::Cell;
use crate::gadgets::poseidon::{LIVE, OUT};
use crate::layout::{Columns, Fixed};
use crate::window::{Pos, pos};

/// The columns of the second phase and the challenges they depend on.
#[derive(Clone, Copy, Debug)]
pub struct Products {
    /// The memory's running product.
    pub memory: Column<Advice>,
    /// The tree's running product.
    pub tree: Column<Advice>,
    /// beta, gamma.
    pub challenges: [Challenge; 2],
}

/// The three accesses of an operation: index, time, the four inputs of the leaf's hash and its live
/// flag, before and after.
pub(super) struct AccessCells {
    index: Named,
    pub(super) time: Named,
    pub(super) age: Named,
    before: [Named; 5],
    pub(super) after: [Named; 5],
}

/// The accesses of a block.
pub(super) fn accesses() -> [AccessCells; 3] {
    use Cell::{
        Holdings1, Holdings1After, Holdings2, Holdings2After, Holdings3, Holdings3After, Index1,
        Index2, Index3, Live1, Live2, Live2After, Live3, Meta1, Meta1After, Meta2, Meta2After,
        Meta3, X1, X1After, X2, X2After, Y1, Y1After, Y2, Y2After,
    };
    let rules = |cells: [Cell; 5]| cells.map(Named::Rule);
    let (x3, y3) = (Extra::X3.into(), Extra::Y3.into());
    [
        AccessCells {
            index: Index1.into(),
            time: Extra::Time1.into(),
            age: Extra::Age1.into(),
            before: rules([X1, Y1, Meta1, Holdings1, Live1]),
            after: rules([X1After, Y1After, Meta1After, Holdings1After, Live1]),
        },
        AccessCells {
            index: Index2.into(),
            time: Extra::Time2.into(),
            age: Extra::Age2.into(),
            before: rules([X2, Y2, Meta2, Holdings2, Live2]),
            after: rules([X2After, Y2After, Meta2After, Holdings2After, Live2After]),
        },
        AccessCells {
            index: Index3.into(),
            time: Extra::Time3.into(),
            age: Extra::Age3.into(),
            before: [x3, y3, Meta3.into(), Holdings3.into(), Live3.into()],
            after: [x3, y3, Meta3.into(), Holdings3After.into(), Live3.into()],
        },
    ]
}

/// Reads cells and challenges: expressions in a gate, values in a witness.
pub(super) trait Reader {
    /// Expressions or values.
    type Value: Algebra;
    /// A cell relative to the row.
    fn cell(&mut self, place: Pos) -> Self::Value;
    /// The time of the block's accesses, before the first.
    fn clock(&mut self) -> Self::Value;
    /// Whether the slot is the first of its pair.
    fn first(&mut self) -> Self::Value;
    /// beta, gamma.
    fn challenges(&self) -> [Self::Value; 2];
}

/// `beta + sum gamma^i entry_i`.
pub(super) fn entry<R: Reader>(reader: &R, elements: Vec<R::Value>) -> R::Value {
    let [beta, gamma] = reader.challenges();
    let folded = elements
        .into_iter()
        .rev()
        .reduce(|sum, element| sum * gamma.clone() + element)
        .unwrap_or_else(|| R::Value::number(0));
    folded * gamma + beta
}

/// The entry if `on`, else 1.
pub(super) fn if_on<V: Algebra>(on: V, entry: V) -> V {
    on * (entry - V::number(1)) + V::number(1)
}

/// Factors that a row brings to a product: above and below.
pub(super) type Step<V> = (V, V);

/// Memory, at the first row of a block: writes over reads.
pub(super) fn access_step<R: Reader>(reader: &mut R) -> Step<R::Value> {
    let (mut above, mut below) = (R::Value::number(1), R::Value::number(1));
    let clock = reader.clock();
    for (i, access) in accesses().into_iter().enumerate() {
        let index = reader.cell(place(access.index));
        let time = reader.cell(place(access.time));
        let now = clock.clone() + R::Value::number(i as u64 + 1);
        let mut elements = |time: R::Value, fields: [Named; 5]| {
            let fields = fields.map(|name| reader.cell(place(name)));
            let elements = [index.clone(), time].into_iter().chain(fields);
            elements.collect::<Vec<_>>()
        };
        let (write, read) = (elements(now, access.after), elements(time, access.before));
        above = above * entry(reader, write);
        below = below * entry(reader, read);
    }
    (above, below)
}

/// Memory, at a leaf's new row: the old value over the new one.
pub(super) fn leaf_step<R: Reader>(reader: &mut R) -> Step<R::Value> {
    let on = reader.cell(pos(-1, ON));
    let index = reader.cell(pos(-1, PLACE));
    let written = reader.cell(pos(0, WRITTEN));
    let mut elements = |time: R::Value, row: i32| {
        let fields = [0, 1, 2, 3, LIVE].map(|column| reader.cell(pos(row, column)));
        let elements = [index.clone(), time].into_iter().chain(fields);
        elements.collect::<Vec<_>>()
    };
    let (first, last) = (elements(R::Value::number(0), -1), elements(written, 0));
    let (first, last) = (entry(reader, first), entry(reader, last));
    (if_on(on.clone(), first), if_on(on, last))
}

/// Tree, at a leaf's new row: what it makes.
pub(super) fn made_by_leaf<R: Reader>(reader: &mut R) -> R::Value {
    let elements = vec![
        R::Value::number(0),
        reader.cell(pos(-1, PLACE)),
        reader.cell(pos(-1, OUT)),
        reader.cell(pos(0, OUT)),
    ];
    let on = reader.cell(pos(-1, ON));
    if_on(on, entry(reader, elements))
}

/// Tree, at a node's new row: what it makes.
pub(super) fn made_by_node<R: Reader>(reader: &mut R) -> R::Value {
    let elements = vec![
        reader.cell(pos(0, INDEX)),
        reader.cell(pos(-1, INDEX)),
        reader.cell(pos(-1, OUT)),
        reader.cell(pos(0, OUT)),
    ];
    let on = reader.cell(pos(-1, ON));
    if_on(on, entry(reader, elements))
}

/// Tree: what a node uses as children 0 and 1 (`first`), or 2 and 3. The row is its old one or its new one.
pub(super) fn used_by_node<R: Reader>(reader: &mut R, first: bool) -> R::Value {
    let (children, new) = if first { ([0, 1], 1) } else { ([2, 3], 0) };
    let mut product = R::Value::number(1);
    for j in children {
        let here = |place: Pos| pos(place.rotation + new, place.column);
        let level = reader.cell(here(pos(0, INDEX))) - R::Value::number(1);
        let parent = reader.cell(here(pos(-1, INDEX)));
        let elements = vec![
            level,
            parent * Fr::from(4) + R::Value::number(j as u64),
            reader.cell(here(pos(-1, j))),
            reader.cell(here(pos(0, j))),
        ];
        let opened = reader.cell(here(flag(j)));
        product = product * if_on(opened, entry(reader, elements));
    }
    product
}

/// The root's entry.
fn root_entry<R: Reader>(reader: &R, before: R::Value, after: R::Value) -> R::Value {
    let (level, index) = (R::Value::number(TREE_LEVELS as u64), R::Value::number(0));
    entry(reader, vec![level, index, before, after])
}

/// Cells as expressions.
pub(super) struct GateReader<'a, 'm> {
    pub(super) meta: &'a mut halo2_proofs::plonk::VirtualCells<'m, Fr>,
    pub(super) columns: &'a Columns,
    pub(super) challenges: [Expression<Fr>; 2],
}

impl Reader for GateReader<'_, '_> {
    type Value = Expression<Fr>;

    fn cell(&mut self, place: Pos) -> Self::Value {
        self.columns.advice(self.meta, place.column, place.rotation)
    }

    fn clock(&mut self) -> Self::Value {
        self.columns.selector(self.meta, Fixed::Clock)
    }

    fn first(&mut self) -> Self::Value {
        self.columns.selector(self.meta, Fixed::First)
    }

    fn challenges(&self) -> [Self::Value; 2] {
        self.challenges.clone()
    }
}

/// Allocates both products and adds their gates.
pub(super) fn configure(
    meta: &mut ConstraintSystem<Fr>,
    columns: &Columns,
    challenges: [Challenge; 2],
) -> Products {
    let products = Products {
        memory: meta.advice_column_in(SecondPhase),
        tree: meta.advice_column_in(SecondPhase),
        challenges,
    };
    meta.create_gate("products", |meta| {
        let drawn = challenges.map(|challenge| meta.query_challenge(challenge));
        let [q_slot, q_rules, q_leaf, q_node, q_node_old, q_start, q_end] = [
            Fixed::Poseidon5,
            Fixed::Rules,
            Fixed::LeafPair,
            Fixed::NodePair,
            Fixed::NodeOld,
            Fixed::Start,
            Fixed::End,
        ]
        .map(|name| columns.selector(meta, name));
        let [memory, tree] = [products.memory, products.tree];
        let (m, m_next) = (
            meta.query_advice(memory, Rotation::cur()),
            meta.query_advice(memory, Rotation::next()),
        );
        let (t, t_next) = (
            meta.query_advice(tree, Rotation::cur()),
            meta.query_advice(tree, Rotation::next()),
        );
        // products stand still through the block of the start: its last step leads to the first slot
        let starts = meta.query_advice(memory, Rotation(ROWS as i32));
        let tree_starts = meta.query_advice(tree, Rotation(ROWS as i32));
        let mut reader = GateReader {
            meta,
            columns,
            challenges: drawn,
        };
        let (written, read) = access_step(&mut reader);
        let (opened, closed) = leaf_step(&mut reader);
        let leaf = made_by_leaf(&mut reader);
        let node = made_by_node(&mut reader);
        let (early, late) = (
            used_by_node(&mut reader, true),
            used_by_node(&mut reader, false),
        );
        let root = place(Cell::RootAfter);
        let before = reader.cell(pos(root.rotation - ROWS as i32, root.column));
        let after = reader.cell(root);
        let end = root_entry(&reader, before, after);
        let one = Expression::Constant(Fr::one());
        let memory_stays = q_slot.clone() - q_rules.clone() - q_leaf.clone();
        let tree_stays = q_slot - q_leaf.clone() - q_node.clone() - q_node_old.clone();
        vec![
            (
                "accesses",
                q_rules * (m_next.clone() * read - m.clone() * written),
            ),
            (
                "leaves",
                q_leaf.clone() * (m_next.clone() * closed - m.clone() * opened),
            ),
            ("memory stays", memory_stays * (m_next - m.clone())),
            (
                "a leaf makes its value",
                q_leaf * (t_next.clone() - t.clone() * leaf),
            ),
            (
                "a node uses two children",
                q_node_old * (t_next.clone() * early - t.clone()),
            ),
            (
                "a node uses two children and makes its value",
                q_node * (t_next.clone() * late - t.clone() * node),
            ),
            ("tree stays", tree_stays * (t_next - t.clone())),
            ("memory starts", q_start.clone() * (starts - one.clone())),
            ("tree starts", q_start * (tree_starts - one.clone())),
            ("memory ends", q_end.clone() * (m - one)),
            ("tree ends at the root", q_end * (t - end)),
        ]
    });
    products
}
