//! The tape: which blocks follow each other, which points have tags, which free cells are linked.
//!
//! Invariants: an Add or Double stands right behind the running point it takes; every tag is offered
//! once; the blocks, tags and links depend on the calls and on constants, never on witnesses.
//!
//! Links are queued in halo2-base's copy manager under [`TYPE_ID`]; [`Tape::assign`] tells it where
//! the cells are, so it must run before the copy manager does. In a context that only makes witnesses
//! nothing is linked.
//!
//! What it does not do: know scalars or sums of sums (that is [`super::chip`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use halo2_base::gates::flex_gate::threads::SinglePhaseCoreManager;
use halo2_base::virtual_region::copy_constraints::SharedCopyConstraintManager;
use halo2_base::{AssignedValue, ContextCell};
use halo2_proofs::circuit::{Region, Value};
use halo2_proofs::plonk::Assigned;
use halo2curves::bn256::{Fq, Fr, G1Affine};

use super::block::{Block, Grid, Line, signed};
use super::chip::Points;
use super::curve::{
    self, Digit, ODD_MULTIPLES, WINDOW_BITS, WINDOWS, digits, negated, odd_multiples, start,
};
use super::integer::{LIMBS, integer_of, limbs_of, residue};
use super::layout::{AFTER, BEFORE, FIRST_ROW, ForeignColumns};

/// Name of the gadget's cells in halo2-base's copy manager.
pub const TYPE_ID: &str = "quorate-circuits:foreign";
/// Tags of a point: 16 odd multiples, its double, and spare ones.
const TAGS: u64 = 32;

/// halo2-base's context.
pub type Manager = SinglePhaseCoreManager<Fr>;
/// A point of the tape.
pub type PointId = usize;

#[derive(Clone, Debug)]
struct Entry {
    point: G1Affine,
    constant: bool,
    has_table: bool,
    native: Option<[AssignedValue<Fr>; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    point: G1Affine,
    explicit: bool,
}

/// Operations in the order of their rows.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    blocks: Vec<Block>,
    rows: usize,
    points: Vec<Entry>,
    constants: BTreeMap<[num_bigint::BigUint; 2], PointId>,
    running: Option<Running>,
    linked: BTreeSet<usize>,
    /// Laid out once for both phases.
    grid: OnceLock<Arc<Grid>>,
}

impl Tape {
    /// An empty tape.
    #[must_use]
    pub fn new() -> Self {
        Tape {
            rows: FIRST_ROW,
            ..Tape::default()
        }
    }

    /// Rows in use.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The blocks, in the order of their rows.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Assigns the cells of all blocks and tells the copy manager where linked cells are.
    pub fn assign(
        &self,
        config: &ForeignColumns,
        region: &mut Region<'_, Fr>,
        copies: Option<&SharedCopyConstraintManager<Fr>>,
    ) {
        let grid = self.grid();
        for (name, row, value) in &grid.fixed {
            region.assign_fixed(config.fixed(*name), *row, *value);
        }
        for (row, cells) in grid.chunks.iter().enumerate() {
            for (column, value) in config.chunks.iter().zip(cells) {
                let value = Value::known(Fr::from(u64::from(*value)));
                region.assign_advice(*column, row, value);
            }
        }
        for (row, value) in grid.free.iter().enumerate() {
            let cell = region.assign_advice(config.free, row, Value::known(*value));
            if let (true, Some(copies)) = (self.linked.contains(&row), copies) {
                let mut copies = copies.lock().unwrap_or_else(|poison| poison.into_inner());
                copies.assigned_advices.insert(place(row), cell.cell());
            }
        }
    }

    /// Every cell.
    #[must_use]
    pub fn grid(&self) -> Arc<Grid> {
        let grid = self.grid.get_or_init(|| Arc::new(Grid::new(&self.blocks)));
        Arc::clone(grid)
    }

    fn enter(&mut self, point: G1Affine, constant: bool) -> PointId {
        self.points.push(Entry {
            point,
            constant,
            has_table: false,
            native: None,
        });
        self.points.len() - 1
    }

    fn push(&mut self, block: Block) -> usize {
        self.grid.take();
        let row = self.rows;
        self.rows += block.rows();
        self.blocks.push(block);
        row
    }

    fn push_constant(&mut self, point: G1Affine, offered: u64) {
        self.push(Block::Constant { point, offered });
        self.running = None;
    }

    fn running(&self) -> Running {
        self.running
            .expect("operations fetch a point before they use it")
    }

    fn set_running(&mut self, point: G1Affine, explicit: bool) {
        self.running = Some(Running { point, explicit });
    }

    fn finish(&mut self, offered: Option<u64>) {
        let point = self.running().point;
        self.push(Block::Finish {
            y: point.y,
            offered,
        });
        self.set_running(point, true);
    }

    fn double(&mut self) {
        let point = self.running().point;
        let (slope, twice) = curve::double(point);
        self.push(Block::Double {
            line: line(slope, point, point, false, twice.x),
        });
        self.set_running(twice, false);
    }

    /// Adds `digit` times a point whose chosen multiple is `multiple`. Returns the block's row.
    fn add(&mut self, wanted: u64, multiple: G1Affine, digit: Digit, before: Fr) -> usize {
        let running = self.running();
        let (slope, sum) = curve::add(running.point, signed(multiple, digit.negative));
        let row = self.push(Block::Add {
            explicit: running.explicit.then_some(running.point),
            wanted,
            digit,
            before,
            line: line(slope, running.point, multiple, digit.negative, sum.x),
        });
        self.set_running(sum, false);
        row
    }

    /// Adds the point of a tag: the digits' sum goes from 0 to 1, so the digit is 1.
    fn add_once(&mut self, context: &Manager, wanted: u64, point: G1Affine) {
        let row = self.add(wanted, point, Digit::ONE, Fr::zero());
        self.pin(context, row + BEFORE, Fr::zero());
        self.pin(context, row + AFTER, Fr::one());
    }

    /// Makes sure that a point offers its multiples.
    fn prepare(&mut self, context: &mut Manager, id: PointId) {
        if self.points[id].has_table {
            return;
        }
        if self.points[id].constant {
            let multiples = odd_multiples(self.points[id].point);
            for (index, multiple) in multiples.into_iter().enumerate().skip(1) {
                self.push_constant(multiple, tag(id, index));
            }
            self.points[id].has_table = true;
        } else {
            self.fetch(context, id);
            self.push_table(context, id);
        }
    }

    /// The double and the odd multiples of the running point.
    fn push_table(&mut self, context: &Manager, id: PointId) {
        self.double();
        let twice = self.running().point;
        let twice_tag = tag(id, ODD_MULTIPLES);
        self.finish(Some(twice_tag));
        for index in 1..ODD_MULTIPLES {
            if index == 1 {
                // the double is running: add the point itself
                self.add_once(context, tag(id, 0), self.points[id].point);
            } else {
                self.add_once(context, twice_tag, twice);
            }
            self.finish(Some(tag(id, index)));
        }
        self.points[id].has_table = true;
    }

    fn windows(&mut self, context: &Manager, scaled: &[(AssignedValue<Fr>, PointId)]) {
        let tables: Vec<_> = scaled
            .iter()
            .map(|(scalar, id)| {
                let multiples = odd_multiples(self.points[*id].point);
                (digits(*scalar.value()), multiples, tag(*id, 0))
            })
            .collect();
        // the digits' sums so far, and the rows that hold them
        let mut sums: Vec<Option<(Fr, usize)>> = vec![None; scaled.len()];
        for window in (0..WINDOWS).rev() {
            if window + 1 < WINDOWS {
                for _ in 0..WINDOW_BITS {
                    self.finish(None);
                    self.double();
                }
            }
            for ((digits, multiples, wanted), sum) in tables.iter().zip(&mut sums) {
                let digit = digits[window];
                let before = sum.map_or(Fr::zero(), |(value, _)| value);
                let multiple = multiples[digit.index as usize];
                let row = self.add(*wanted, multiple, digit, before);
                match sum {
                    Some((_, after)) => self.link(context, *after, row + BEFORE),
                    None => self.pin(context, row + BEFORE, Fr::zero()),
                }
                let value = before * Fr::from(32) + digit.value();
                *sum = Some((value, row + AFTER));
            }
        }
        for ((scalar, _), sum) in scaled.iter().zip(sums) {
            if let (Some(cell), Some((_, row)), false) =
                (scalar.cell, sum, context.witness_gen_only())
            {
                self.linked.insert(row);
                copies(context, |copies| {
                    copies.advice_equalities.push((place(row), cell));
                });
            }
        }
    }

    fn cell(&mut self, context: &Manager, row: usize, value: Fr) -> AssignedValue<Fr> {
        self.linked.insert(row);
        AssignedValue {
            value: Assigned::Trivial(value),
            cell: (!context.witness_gen_only()).then(|| place(row)),
        }
    }

    fn link(&mut self, context: &Manager, left: usize, right: usize) {
        self.linked.extend([left, right]);
        copies(context, |copies| {
            copies.advice_equalities.push((place(left), place(right)));
        });
    }

    fn pin(&mut self, context: &Manager, row: usize, value: Fr) {
        self.linked.insert(row);
        copies(context, |copies| {
            copies.constant_equalities.push((value, place(row)));
        });
    }
}

impl Points for Tape {
    fn value(&self, id: PointId) -> G1Affine {
        self.points[id].point
    }

    fn is_constant(&self, id: PointId) -> bool {
        self.points[id].constant
    }

    fn native(&self, id: PointId) -> Option<[AssignedValue<Fr>; 2]> {
        self.points[id].native
    }

    fn set_native(&mut self, id: PointId, cells: [AssignedValue<Fr>; 2]) {
        self.points[id].native = Some(cells);
    }

    fn constant(&mut self, point: G1Affine) -> PointId {
        let key = [integer_of(point.x), integer_of(point.y)];
        if let Some(id) = self.constants.get(&key) {
            return *id;
        }
        let id = self.enter(point, true);
        self.constants.insert(key, id);
        self.push_constant(point, tag(id, 0));
        id
    }

    fn load(&mut self, context: &mut Manager, point: G1Affine) -> PointId {
        let id = self.enter(point, false);
        let row = self.push(Block::Load { point });
        let native = [point.x, point.y].map(|coordinate| residue(&integer_of(coordinate).into()));
        self.points[id].native = Some([
            self.cell(context, row, native[0]),
            self.cell(context, row + 1, native[1]),
        ]);
        self.set_running(point, false);
        self.finish(Some(tag(id, 0)));
        self.push_table(context, id);
        id
    }

    fn fetch(&mut self, context: &mut Manager, id: PointId) -> [AssignedValue<Fr>; 2 * LIMBS] {
        let point = self.points[id].point;
        let row = self.push(Block::Fetch {
            point,
            wanted: tag(id, 0),
        });
        self.set_running(point, false);
        self.finish(None);
        let limbs = [limbs_of(point.x), limbs_of(point.y)].concat();
        std::array::from_fn(|limb| self.cell(context, row + limb, residue(&limbs[limb])))
    }

    fn sum(
        &mut self,
        context: &mut Manager,
        scaled: &[(AssignedValue<Fr>, PointId)],
        plain: &[PointId],
    ) -> PointId {
        let first = start();
        let first_id = self.constant(first);
        let correction = if scaled.is_empty() {
            first
        } else {
            (0..(WINDOWS - 1) * WINDOW_BITS).fold(first, |point, _| curve::double(point).1)
        };
        let correction = self.constant(negated(correction));
        for (_, id) in scaled {
            self.prepare(context, *id);
        }
        self.fetch(context, first_id);
        if !scaled.is_empty() {
            self.windows(context, scaled);
        }
        for id in plain.iter().chain([&correction]) {
            self.add_once(context, tag(*id, 0), self.points[*id].point);
        }
        let id = self.enter(self.running().point, false);
        self.finish(Some(tag(id, 0)));
        id
    }
}

/// Changes the copy manager, unless the context only makes witnesses.
fn copies(
    context: &Manager,
    change: impl FnOnce(&mut halo2_base::virtual_region::copy_constraints::CopyConstraintManager<Fr>),
) {
    if !context.witness_gen_only() {
        let mut copies = context
            .copy_manager
            .lock()
            .unwrap_or_else(|poison| poison.into_inner());
        change(&mut copies);
    }
}

fn place(row: usize) -> ContextCell {
    ContextCell::new(TYPE_ID, 0, row)
}

/// Tag of an odd multiple, or of the double at index 16. Never 0.
fn tag(id: PointId, index: usize) -> u64 {
    id as u64 * TAGS + index as u64 + 1
}

fn line(slope: Fq, from: G1Affine, right: G1Affine, negative: bool, x: Fq) -> Line {
    Line {
        slope,
        from_x: from.x,
        right,
        negative,
        x,
    }
}
