//! What a wave does behind the rules: signatures, the tree up to its roots, both ends, hashes on demand, bytes.

use std::collections::BTreeMap;

use circuits::chunk::Cell;
use circuits::convert::limbs;
use circuits::gadgets::edwards::Point;
use circuits::gadgets::poseidon::{self, LIVE, OUT, Spread, schedule};
use circuits::gadgets::signature::SignatureValues;
use circuits::lanes::layout::{
    BYTES, COUNTS, Extra, HASH3, HASH3_STARTS, HASH6, HASH6_STARTS, LADDER, LADDER_COLUMNS, Named,
    ROWS, WIDTH, leaves, place,
};
use circuits::lanes::tree::{INDEX, ON, PLACE, WRITTEN, flag, leaf_row, node_row, nodes};
use circuits::lanes::{LaneShape, bytes, ladder};
use circuits::trace::{At, Block, Trace, at};
use halo2curves::bn256::Fr;
use protocol::signature::SecretKey;

use super::honest::calls;
use super::wave::{Poison, Wave};
use crate::ledger::secret;

impl Wave<'_> {
    /// Signs again where key or message changed.
    pub(super) fn sign(&mut self) {
        for slot in self.touched.clone() {
            let [x, y, message] = [Cell::SignatureX, Cell::SignatureY, Cell::SignatureMessage]
                .map(|name| self.get(slot, name));
            let before = [Cell::SignatureX, Cell::SignatureY, Cell::SignatureMessage]
                .map(|name| self.honest.trace().get(self.cell(slot, name)));
            let is_forged = self.pinned.iter().any(|cell| {
                cell.row / ROWS == slot + 1
                    && (LADDER..LADDER + LADDER_COLUMNS).contains(&cell.column)
            });
            if [x, y, message] == before || is_forged {
                continue;
            }
            let Some(values) = signature(Point { x, y }, message) else {
                continue;
            };
            let mut block = Block::wide(ROWS, WIDTH);
            let _ = ladder::assign(&mut block, &values, |c| ladder::split(c, values.response));
            self.ladder(slot, &block);
        }
    }

    /// Takes ladder and signature cells from a block.
    pub(super) fn ladder(&mut self, slot: usize, block: &Block) {
        let first = self.honest.shape.slot_row(slot);
        for row in 0..ROWS {
            for column in LADDER..LADDER + LADDER_COLUMNS {
                self.set(at(column, first + row), block.get(at(column, row)));
            }
        }
        let cells = Extra::ALL[..=Extra::E4y as usize].iter();
        for name in cells.copied().map(Named::Extra) {
            let here = place(name);
            let value = block.get(at(here.column, here.rotation as usize));
            self.put(slot, name, value);
        }
    }

    /// Opened leaves as they were last written, and all nodes above them.
    pub(super) fn tree(&mut self) {
        let memory = {
            let mut memory = self.memory();
            for slot in 0..2 * self.honest.shape.pairs {
                self.writes(slot, &mut memory);
            }
            memory
        };
        let mut made: BTreeMap<(u64, u64), [Fr; 2]> = BTreeMap::new();
        for row in self.leaf_rows() {
            if self.trace.get(at(ON, row)) != Fr::one() {
                continue;
            }
            let index = limbs(self.trace.get(at(PLACE, row)))[0];
            if let Some((fields, written)) = memory.get(&index) {
                for (column, value) in [0, 1, 2, 3, LIVE].into_iter().zip(fields) {
                    self.set(at(column, row + 1), *value);
                }
                self.set(at(WRITTEN, row + 1), Fr::from(*written));
            }
            made.insert(
                (0, index),
                [0, 1].map(|side| self.permute(row + side, true)),
            );
        }
        let mut rows: Vec<(u64, u64, usize)> = node_rows(&self.honest.shape)
            .into_iter()
            .filter(|row| self.trace.get(at(ON, *row)) == Fr::one())
            .map(|row| {
                let number = |cell: At| limbs(self.trace.get(cell))[0];
                (number(at(INDEX, row + 1)), number(at(INDEX, row)), row)
            })
            .collect();
        rows.sort_unstable();
        for (level, index, row) in rows {
            for j in 0..4 {
                let place = flag(j);
                let opened = at(
                    place.column,
                    (row + 1).wrapping_add_signed(place.rotation as isize),
                );
                if self.trace.get(opened) != Fr::one() {
                    continue;
                }
                let child = made
                    .get(&(level.wrapping_sub(1), 4 * index + j as u64))
                    .copied();
                for (side, value) in child.into_iter().flatten().enumerate() {
                    self.set(at(j, row + side), value);
                }
            }
            made.insert(
                (level, index),
                [0, 1].map(|side| self.permute(row + side, false)),
            );
        }
        if let Some(roots) = made.get(&(16, 0)).copied() {
            let root = place(Cell::RootAfter);
            for (row, value) in [0, self.honest.end()].into_iter().zip(roots) {
                self.set(at(root.column, row + root.rotation as usize), value);
            }
        }
    }

    /// Fills a row of the tree from its inputs; returns its value.
    pub(super) fn permute(&mut self, row: usize, is_leaf: bool) -> Fr {
        let inputs: Vec<Fr> = (0..4)
            .map(|column| self.trace.get(at(column, row)))
            .collect();
        let (cells, mut hash) = match self.poison {
            Some(Poison::Tree {
                row: poisoned,
                index,
            }) if poisoned == row => false_permutation(&inputs, index),
            _ => schedule(5).run(&inputs),
        };
        for (index, value) in cells.iter().enumerate().skip(4) {
            self.set(at(poseidon::INTERNAL + index - 4, row), *value);
        }
        if is_leaf {
            hash *= self.trace.get(at(LIVE, row));
        }
        self.set(at(OUT, row), hash);
        self.trace.get(at(OUT, row))
    }

    /// The block of an end: what is threaded to it, packings, digest.
    pub(super) fn end_block(&mut self, row: usize) {
        let honest = self.honest;
        let gate = if row == 0 { "start" } else { "end" };
        for constraint in honest.gate(gate) {
            self.define(*constraint, row);
        }
        let packings = honest.gate("ends");
        for start in &HASH6_STARTS[..2] {
            for constraint in packings {
                self.define(*constraint, row);
            }
            let first = row + start;
            let inputs: Vec<Fr> = (0..5)
                .map(|i| HASH6.input(i))
                .map(|place| {
                    self.trace
                        .get(at(place.column, first + place.rotation as usize))
                })
                .collect();
            let (cells, digest) = schedule(6).run(&inputs);
            self.spread(HASH6, first, cells, digest);
        }
    }

    pub(super) fn spread(&mut self, spread: Spread, first: usize, cells: Vec<Fr>, hash: Fr) {
        let inputs = spread.width - 1;
        for (index, value) in cells.into_iter().chain([hash]).enumerate() {
            let cell = at(
                spread.first + index % spread.across,
                first + index / spread.across,
            );
            if index >= inputs || self.trace.get(cell) != value {
                self.set(cell, value);
            }
        }
    }

    /// Answers what the slots ask, in their order.
    pub(super) fn answers(&mut self) {
        let mut asked: [Vec<(Vec<Fr>, Fr, Fr)>; 2] = Default::default();
        for slot in 0..2 * self.honest.shape.pairs {
            for (call, (inputs, hash, flags)) in calls().into_iter().enumerate() {
                let on: Fr = flags.iter().map(|flag| self.get(slot, *flag)).sum();
                let is_active = slot % 2 == 0 && self.get(slot, Cell::IsNoop) == Fr::zero();
                if on == Fr::zero() && !(flags.is_empty() && is_active) {
                    continue;
                }
                let values: Vec<Fr> = inputs.iter().map(|name| self.get(slot, *name)).collect();
                let (cells, value) = self.permutation(slot, call, &values);
                if call == 2 {
                    self.put(slot, hash, value);
                }
                let on = if flags.is_empty() { Fr::one() } else { on };
                asked[usize::from(values.len() == 2)].push((cells, value, on));
            }
        }
        for ((spread, starts), asked) in [(HASH6, &HASH6_STARTS[..]), (HASH3, &HASH3_STARTS[..])]
            .into_iter()
            .zip(asked)
        {
            let capacity = 2 * self.honest.shape.pairs * starts.len();
            let idle = schedule(spread.width).run(&vec![Fr::zero(); spread.width - 1]);
            for number in 0..capacity {
                let row = self.honest.shape.slot_row(number / starts.len())
                    + starts[number % starts.len()];
                let (cells, hash, on) = match asked.get(number) {
                    Some((cells, hash, on)) => (cells.clone(), *hash, *on),
                    None => (idle.0.clone(), idle.1, Fr::zero()),
                };
                self.spread(spread, row, cells, hash);
                let flag = spread.spare();
                self.set(at(flag.column, row + flag.rotation as usize), on);
            }
        }
    }

    /// Bytes of all blocks that have any, and how often each occurs.
    pub(super) fn bytes(&mut self) {
        for first in (0..self.honest.end()).step_by(ROWS) {
            let mut block = Block::wide(ROWS, WIDTH);
            for row in 0..ROWS {
                for column in COUNTS + 1..WIDTH {
                    block.set(at(column, row), self.trace.get(at(column, first + row)));
                }
            }
            let _ = bytes::assign(&mut block); // what does not fit is seen as its bytes
            for row in 0..ROWS {
                for column in BYTES..COUNTS {
                    self.set(at(column, first + row), block.get(at(column, row)));
                }
            }
        }
        count(&mut self.trace, self.honest.end());
    }
}

/// Counts the bytes of the rows below `rows`.
pub(crate) fn count(trace: &mut Trace, rows: usize) {
    let mut counts = [0_u64; bytes::TABLE];
    for column in BYTES..BYTES + bytes::ACROSS {
        for row in 0..rows {
            let value = limbs(trace.get(at(column, row)));
            let is_byte = value[1..] == [0; 3] && value[0] < bytes::TABLE as u64;
            if is_byte {
                counts[value[0] as usize] += 1;
            }
        }
    }
    for (row, count) in counts.into_iter().enumerate() {
        trace.set(at(COUNTS, row), Fr::from(count));
    }
}

/// First rows of the places for leaves.
pub(crate) fn leaf_rows(shape: &LaneShape) -> Vec<usize> {
    (0..2 * shape.pairs)
        .flat_map(|slot| (0..leaves(slot)).map(move |i| (slot, i)))
        .map(|(slot, i)| shape.slot_row(slot) + leaf_row(i))
        .collect()
}

/// First rows of the places for nodes.
pub(crate) fn node_rows(shape: &LaneShape) -> Vec<usize> {
    (0..2 * shape.pairs)
        .flat_map(|slot| (0..nodes(slot)).map(move |i| (slot, i)))
        .map(|(slot, i)| shape.slot_row(slot) + node_row(slot, i))
        .collect()
}

/// A permutation whose cell `index` is one too large, and everything after it computed from that.
pub(crate) fn false_permutation(inputs: &[Fr], index: usize) -> (Vec<Fr>, Fr) {
    let schedule = schedule(inputs.len() + 1);
    let mut cells = inputs.to_vec();
    for number in inputs.len()..schedule.cells() {
        let known = cells.clone();
        let error = Fr::from(u64::from(number == index));
        cells.push(schedule.next::<Fr>(number, &|i| known[i]) + error);
    }
    let error = Fr::from(u64::from(schedule.cells() == index));
    let hash = schedule.output::<Fr>(&|i| cells[i]) + error;
    (cells, hash)
}

/// A signature by a key of the ledger.
fn signature(key: Point<Fr>, message: Fr) -> Option<SignatureValues> {
    use circuits::convert::{to_circuit, to_native};
    let owner: SecretKey = (0..6).map(secret).find(|secret| {
        let point = secret.public().point();
        (to_circuit(point.x()), to_circuit(point.y())) == (key.x, key.y)
    })?;
    let signed = owner.sign(&to_native(message));
    let mut response = [0; 4];
    for (limb, chunk) in response.iter_mut().zip(signed.s().chunks_exact(8)) {
        *limb = u64::from_le_bytes(chunk.try_into().ok()?);
    }
    let r8 = signed.r8();
    Some(SignatureValues {
        key,
        commitment: Point {
            x: to_circuit(r8.x()),
            y: to_circuit(r8.y()),
        },
        response: Fr::from_raw(response),
        message,
    })
}
