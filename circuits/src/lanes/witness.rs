//! From a native `ChunkWitness` to a trace in lanes.
//!
//! First the opening of the tree and each slot's signature (parallel), then the rules (in order, each slot from the one
//! above), then bytes and the tree's rows (parallel), last the hashes that were asked for and how often each byte occurs. As in `chunk::witness`, a witness that breaks a rule
//! is reported by the rule's name and its trace is still built, so that tests can show the circuit refuses it.

use halo2curves::bn256::Fr;
use protocol::batch::slot_bits;
use protocol::transition::{Header, Operation};
use protocol::witness::{AccessWitness, ChunkWitness};
use rayon::prelude::*;

use super::layout::{
    BYTES, COUNTS, Extra, Named, PAIRS, ROWS, WIDTH, leaves, leaves_before, place, rule,
};
use super::opening::Opening;
use super::products::table;
use super::{LaneCircuit, LaneShape, bytes, ends, ladder, memory, opening, pool, tree};
use crate::chunk::operation::{self, Inputs};
use crate::chunk::{Cell, STATE, WitnessError, elements, rules, state_after, state_before};
use crate::convert::{from_u128, limbs, to_circuit};
use crate::layout::Fixed;
use crate::trace::{At, Block, Trace, at};
use crate::window::{Pos, WitnessWindow};

/// Blocks filled at a time: bounds what is held besides the trace.
const AT_A_TIME: usize = 256;

/// What one slot is filled from.
#[derive(Clone, Copy)]
struct Source<'a> {
    header: Option<&'a Header>,
    operation: &'a Operation,
    accesses: [&'a AccessWitness; 3],
    /// In a first slot: the second slot's operation.
    partner: Option<&'a Operation>,
}

fn here(place: Pos) -> At {
    at(place.column, place.rotation as usize)
}

fn cell(name: impl Into<Named>) -> At {
    here(place(name))
}

impl LaneShape {
    /// The circuit with its witness, and its public inputs.
    ///
    /// # Errors
    /// The first reason why the witness does not satisfy the circuit.
    pub fn prove(&self, witness: &ChunkWitness) -> Result<(LaneCircuit, [Fr; 3]), WitnessError> {
        let (circuit, inputs, errors) = self.fill(witness)?;
        errors.into_iter().next().map_or(Ok((circuit, inputs)), Err)
    }

    /// As [`LaneShape::prove`], but builds the trace of a false witness too, and says what is false.
    ///
    /// # Errors
    /// [`WitnessError::TooManyPairs`], [`WitnessError::Capacity`].
    pub fn fill(
        &self,
        witness: &ChunkWitness,
    ) -> Result<(LaneCircuit, [Fr; 3], Vec<WitnessError>), WitnessError> {
        if witness.pairs.len() > self.pairs {
            let (pairs, capacity) = (witness.pairs.len(), self.pairs);
            return Err(WitnessError::TooManyPairs { pairs, capacity });
        }
        let sources = self.sources(witness);
        let opening = Opening::new(sources.iter().flat_map(|source| source.accesses));
        for (what, needed, capacity) in [
            ("leaves", opening.leaves.len(), self.leaves()),
            ("nodes", opening.nodes.len(), self.nodes()),
        ] {
            if needed > capacity {
                return Err(WitnessError::Capacity {
                    what,
                    needed,
                    capacity,
                });
            }
        }
        let mut errors = Vec::new();
        for (side, (found, stated)) in opening
            .roots
            .iter()
            .zip([witness.before.root, witness.after.root])
            .enumerate()
        {
            if *found != to_circuit(stated) {
                errors.push(WitnessError::Root {
                    is_after: side == 1,
                });
            }
        }
        errors.extend(opening.misfits.iter().map(|number| WitnessError::Access {
            slot: number / 3,
            access: number % 3,
        }));

        let domain = to_circuit(witness.domain.0);
        let mut trace = Trace::wide(self.rows(), WIDTH);
        let (start, before) = ends::assign(&witness.before, true);
        let (end, after) = ends::assign(&witness.after, false);
        trace.place(0, &start);
        trace.place(self.slot_row(sources.len()), &end);
        let mut state = elements(&witness.before);
        for (group, sources) in sources.chunks(AT_A_TIME).enumerate() {
            let first = group * AT_A_TIME;
            let mut blocks: Vec<(Block, Result<(), String>)> = sources
                .par_iter()
                .map(|source| independent(source, domain))
                .collect();
            for (offset, (source, (block, signed))) in sources.iter().zip(&mut blocks).enumerate() {
                let slot = first + offset;
                if let Err(rule) = signed {
                    errors.push(WitnessError::Signature {
                        slot,
                        rule: rule.clone(),
                    });
                }
                let times = &opening.times[3 * slot..3 * slot + 3];
                if let Some(rule) = dependent(source, domain, &state, slot, times, block) {
                    errors.push(WitnessError::Rule { slot, rule });
                }
                let effects = false_effects(source, block);
                errors.extend(effects.map(|access| WitnessError::Effect { slot, access }));
                for (i, element) in state.iter_mut().enumerate() {
                    *element = block.get(cell(state_after(i)));
                }
            }
            let misfits: Vec<WitnessError> = blocks
                .par_iter_mut()
                .enumerate()
                .filter_map(|(offset, (block, _))| {
                    let slot = first + offset;
                    derived(block, &opening, slot)
                        .err()
                        .map(|value| WitnessError::Range { slot, value })
                })
                .collect();
            errors.extend(misfits);
            for (offset, (block, _)) in blocks.iter().enumerate() {
                trace.place(self.slot_row(first + offset), block);
            }
        }
        pool::fill(self, &mut trace)?;
        count_bytes(&mut trace, self.slot_row(sources.len()));
        let stated = elements(&witness.after);
        if let Some(i) = (1..STATE).find(|i| state[*i] != stated[*i]) {
            let end = self.slot_row(sources.len());
            let place = cell(state_after(i));
            errors.push(WitnessError::Copy {
                left: self.cell(sources.len() - 1, state_after(i)),
                right: at(place.column, place.row + end),
            });
        }
        let inputs = [domain, before, after];
        for (index, input) in witness.public_inputs().into_iter().enumerate() {
            if to_circuit(input) != inputs[index] {
                errors.push(WitnessError::PublicInput { index });
            }
        }
        Ok((self.with(trace), inputs, errors))
    }

    fn sources<'a>(&self, witness: &'a ChunkWitness) -> Vec<Source<'a>> {
        const NOTHING: &Operation = &Operation::Noop;
        let mut sources = Vec::with_capacity(2 * self.pairs);
        for pair in &witness.pairs {
            let [first, second] = &pair.slots;
            sources.push(Source {
                header: pair.header.as_ref(),
                operation: &first.operation,
                accesses: first.accesses.each_ref(),
                partner: Some(&second.operation),
            });
            sources.push(Source {
                header: None,
                operation: &second.operation,
                accesses: second.accesses.each_ref(),
                partner: None,
            });
        }
        while sources.len() < 2 * self.pairs {
            sources.push(Source {
                header: None,
                operation: NOTHING,
                accesses: [&witness.idle; 3],
                partner: sources.len().is_multiple_of(2).then_some(NOTHING),
            });
        }
        sources
    }
}

/// The signature.
fn independent(source: &Source<'_>, domain: Fr) -> (Block, Result<(), String>) {
    let mut block = Block::wide(ROWS, WIDTH);
    let values = operation::signature(source.operation, domain);
    let verdict = ladder::assign(&mut block, &values, |challenge| {
        ladder::split(challenge, values.response)
    });
    (block, verdict)
}

/// The named cells; returns the first rule that is broken.
fn dependent(
    source: &Source<'_>,
    domain: Fr,
    state: &[Fr; STATE],
    slot: usize,
    times: &[u64],
    block: &mut Block,
) -> Option<String> {
    let mut inputs = Inputs::default();
    for (i, element) in state.iter().enumerate() {
        inputs.set(state_before(i), *element);
    }
    inputs.set(Cell::RootAfter, state[0]);
    inputs.set(Cell::Domain, domain);
    inputs.leaves(source.accesses);
    inputs.header(source.header);
    inputs.operation(source.operation, domain);
    if let Some(partner) = source.partner {
        inputs.set(Cell::PartnerBits, from_u128(slot_bits(partner)));
        inputs.flag(Cell::PartnerNoop, matches!(partner, Operation::Noop));
    }
    let first = [(Fixed::First, Fr::one())];
    let is_first = source.partner.is_some();
    let mut window = WitnessWindow::new(block, 0, if is_first { &first } else { &[] });
    for (name, value) in inputs.into_values() {
        window.set(rule(name), value);
    }
    rules::state(&mut window, rule);
    let broken = window.broken();
    let [_, _, fee] = source.accesses;
    if let Some(leaf) = &fee.access.before {
        block.set(cell(Extra::X3), to_circuit(leaf.key.x));
        block.set(cell(Extra::Y3), to_circuit(leaf.key.y));
    }
    let names = [
        (Extra::Time1, Extra::Age1),
        (Extra::Time2, Extra::Age2),
        (Extra::Time3, Extra::Age3),
    ];
    for (i, ((time, age), written)) in names.into_iter().zip(times).enumerate() {
        let now = 3 * slot as u64 + i as u64;
        block.set(cell(time), Fr::from(*written));
        block.set(cell(age), Fr::from(now) - Fr::from(*written));
    }
    broken
}

/// The accesses whose stated leaf after them is not what the rules write, cell by cell as the memory compares them.
fn false_effects<'a>(source: &'a Source<'_>, block: &'a Block) -> impl Iterator<Item = usize> + 'a {
    let accesses = memory::accesses().into_iter().zip(source.accesses);
    accesses
        .enumerate()
        .filter(|(_, (cells, witness))| {
            let (fields, live) = opening::inputs(witness.access.after.as_ref());
            let stated = fields.into_iter().chain([Fr::from(u64::from(live))]);
            let written = cells.after.iter().map(|name| block.get(cell(*name)));
            !stated.eq(written)
        })
        .map(|(access, _)| access)
}

/// Bytes, and the block's share of the tree.
///
/// # Errors
/// The first cell that is out of its range.
fn derived(block: &mut Block, opening: &Opening, slot: usize) -> Result<(), String> {
    let fits = bytes::assign(block);
    let (first, count) = (leaves_before(slot), leaves(slot));
    let share = |len: usize, first: usize, count: usize| first.min(len)..(first + count).min(len);
    tree::assign(
        block,
        slot,
        &opening.leaves[share(opening.leaves.len(), first, count)],
        &opening.nodes[share(opening.nodes.len(), PAIRS * slot - first, PAIRS - count)],
    );
    fits
}

/// Counts the bytes of the rows below `rows`.
fn count_bytes(trace: &mut Trace, rows: usize) {
    let mut counts = [0_u64; bytes::TABLE];
    for column in BYTES..BYTES + bytes::ACROSS {
        for row in 0..rows {
            let byte = limbs(trace.get(at(column, row)))[0] as usize;
            if let Some(count) = counts.get_mut(byte) {
                *count += 1;
            }
        }
    }
    for (row, count) in counts.into_iter().enumerate().take(rows) {
        debug_assert_eq!(table(row), row as u64);
        trace.set(at(COUNTS, row), Fr::from(count));
    }
}
