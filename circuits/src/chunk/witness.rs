//! From a native `ChunkWitness` to a trace.
//!
//! Three passes: tree paths and signatures (parallel, they need no state), rules (in order, each slot
//! from the one above), range and hash rows (parallel). Nothing is decided here that the rules do not
//! check: a witness that breaks a rule is reported by the rule's name, and the trace is still built, so
//! that tests can show the circuit refuses it too.

use halo2curves::bn256::Fr;
use protocol::account::Leaf;
use protocol::batch::slot_bits;
use protocol::transition::{Header, Operation};
use protocol::witness::{AccessWitness, ChunkWitness, SlotWitness};
use rayon::prelude::*;

use super::cells::{Cell, STATE, state_after, state_before};
use super::operation::{self, Inputs};
use super::slot::{ACCESSES, HASHES, RANGES, ROWS, SIGNATURE, cell, hashes, ranges};
use super::{ChunkCircuit, ChunkShape, SLOTS, ends, rules};
use crate::convert::to_circuit;
use crate::gadgets::{merkle, poseidon, range, signature};
use crate::layout::Fixed;
use crate::trace::{At, Block, Trace, TraceCircuit, Wiring, at};
use crate::window::WitnessWindow;

/// Why a witness does not satisfy the circuit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// More pairs than the circuit has.
    #[error("the witness has {pairs} pairs, the circuit holds {capacity}")]
    TooManyPairs {
        /// Pairs of the witness.
        pairs: usize,
        /// Pairs of the circuit.
        capacity: usize,
    },
    /// An operation breaks a rule.
    #[error("slot {slot} breaks the rule '{rule}'")]
    Rule {
        /// Slot, from 0.
        slot: usize,
        /// Name of the constraint.
        rule: String,
    },
    /// A signature is not valid.
    #[error("slot {slot}: the signature breaks '{rule}'")]
    Signature {
        /// Slot, from 0.
        slot: usize,
        /// Name of the constraint.
        rule: String,
    },
    /// A value is wider than its field, or a difference is negative.
    #[error("slot {slot}: {value} is out of range")]
    Range {
        /// Slot, from 0.
        slot: usize,
        /// The cell.
        value: String,
    },
    /// Two cells that must be equal are not: a leaf, a root or a digest does not fit.
    #[error("cells {left:?} and {right:?} must be equal and are not")]
    Copy {
        /// First cell.
        left: At,
        /// Second cell.
        right: At,
    },
    /// More of the tree than the circuit can open.
    #[error("the chunk opens {needed} {what} of the tree, the circuit holds {capacity}")]
    Capacity {
        /// Leaves or nodes.
        what: &'static str,
        /// What the chunk opens.
        needed: usize,
        /// What the circuit holds.
        capacity: usize,
    },
    /// The paths do not lead to the stated root.
    #[error("the paths do not lead to the root {}", if *is_after { "after the chunk" } else { "before the chunk" })]
    Root {
        /// The root at the end, not that at the start.
        is_after: bool,
    },
    /// An access finds a leaf that is not what the last access left.
    #[error("slot {slot}: access {access} finds another leaf than was last written")]
    Access {
        /// Slot, from 0.
        slot: usize,
        /// Access of the slot, from 0.
        access: usize,
    },
    /// An access states another leaf behind it than the operation leaves there.
    #[error(
        "slot {slot}: access {access} states another leaf after it than the rules write (multiset of the memory)"
    )]
    Effect {
        /// Slot, from 0.
        slot: usize,
        /// Access of the slot, from 0.
        access: usize,
    },
    /// The public inputs of the witness are not those of the trace.
    #[error("public input {index} of the witness is not what the circuit computes")]
    PublicInput {
        /// Position in the instance.
        index: usize,
    },
}

/// What one slot is filled from.
struct Source<'a> {
    header: Option<&'a Header>,
    slot: &'a SlotWitness,
    /// In a first slot: the second slot's operation.
    partner: Option<&'a Operation>,
}

impl ChunkShape {
    /// The circuit with its witness, and its public inputs.
    ///
    /// # Errors
    /// The first reason why the witness does not satisfy the circuit.
    pub fn prove(&self, witness: &ChunkWitness) -> Result<(ChunkCircuit, [Fr; 3]), WitnessError> {
        let (circuit, inputs, errors) = self.fill(witness)?;
        errors.into_iter().next().map_or(Ok((circuit, inputs)), Err)
    }

    /// As [`ChunkShape::prove`], but builds the trace of a false witness too, and says what is false.
    ///
    /// # Errors
    /// [`WitnessError::TooManyPairs`].
    pub fn fill(
        &self,
        witness: &ChunkWitness,
    ) -> Result<(ChunkCircuit, [Fr; 3], Vec<WitnessError>), WitnessError> {
        if witness.pairs.len() > self.pairs {
            let (pairs, capacity) = (witness.pairs.len(), self.pairs);
            return Err(WitnessError::TooManyPairs { pairs, capacity });
        }
        let idle = SlotWitness {
            operation: Operation::Noop,
            accesses: std::array::from_fn(|_| witness.idle.clone()),
        };
        let sources = self.sources(witness, &idle);
        let domain = to_circuit(witness.domain.0);
        let mut errors = Vec::new();

        // Empty slots at the end are all alike: their paths and idle signature are computed once.
        let used = 2 * witness.pairs.len();
        let mut blocks: Vec<(Block, Result<(), String>)> = sources[..used]
            .par_iter()
            .map(|source| independent(source, domain))
            .collect();
        if used < sources.len() {
            let template = independent(&sources[used], domain);
            blocks.resize(sources.len(), template);
        }

        let mut state = ends::elements(&witness.before);
        for (number, (source, (block, signed))) in sources.iter().zip(&mut blocks).enumerate() {
            if let Err(rule) = signed {
                errors.push(WitnessError::Signature {
                    slot: number,
                    rule: rule.clone(),
                });
            }
            if let Some(rule) = dependent(source, domain, &state, number % 2 == 0, block) {
                errors.push(WitnessError::Rule { slot: number, rule });
            }
            for (i, element) in state.iter_mut().enumerate() {
                *element = block.get(cell(state_after(i)));
            }
        }
        let misfits: Vec<WitnessError> = blocks
            .par_iter_mut()
            .enumerate()
            .filter_map(|(number, (block, _))| derived(number, block))
            .collect();
        errors.extend(misfits);

        let wiring = self.wiring();
        let mut trace = Trace::new(self.rows());
        let (start, before) = ends::assign(&witness.before, domain, true);
        let (end, after) = ends::assign(&witness.after, domain, false);
        trace.place(0, &start);
        trace.place(ends::START_ROWS, &end);
        for (number, (block, _)) in blocks.iter().enumerate() {
            trace.place(self.slot_row(number), block);
        }
        errors.extend(false_copies(&wiring, &trace));
        let inputs = [domain, before, after];
        for (index, input) in witness.public_inputs().into_iter().enumerate() {
            if to_circuit(input) != inputs[index] {
                errors.push(WitnessError::PublicInput { index });
            }
        }
        Ok((TraceCircuit::new(wiring, trace), inputs, errors))
    }

    fn sources<'a>(&self, witness: &'a ChunkWitness, idle: &'a SlotWitness) -> Vec<Source<'a>> {
        let mut sources = Vec::with_capacity(2 * self.pairs);
        for pair in &witness.pairs {
            let [first, second] = &pair.slots;
            let header = pair.header.as_ref();
            sources.push(Source {
                header,
                slot: first,
                partner: Some(&second.operation),
            });
            sources.push(Source {
                header: None,
                slot: second,
                partner: None,
            });
        }
        while sources.len() < 2 * self.pairs {
            let partner = sources.len().is_multiple_of(2).then_some(&idle.operation);
            sources.push(Source {
                header: None,
                slot: idle,
                partner,
            });
        }
        sources
    }
}

/// Tree paths and signature.
fn independent(source: &Source<'_>, domain: Fr) -> (Block, Result<(), String>) {
    let mut block = Block::new(ROWS);
    for (i, access) in source.slot.accesses.iter().enumerate() {
        merkle::assign(&mut block, ACCESSES + i * merkle::ROWS, &path(access));
    }
    let values = operation::signature(&source.slot.operation, domain);
    let verdict = signature::assign(&mut block, SIGNATURE, &values);
    (block, verdict)
}

fn path(access: &AccessWitness) -> merkle::AccessValues {
    merkle::AccessValues {
        old: hashed(access.access.before.as_ref()),
        new: hashed(access.access.after.as_ref()),
        index: access.access.index.0,
        siblings: access.siblings.map(|level| level.map(to_circuit)),
    }
}

/// Inputs of a leaf's hash, and whether it lives; zeros where there is none.
fn hashed(leaf: Option<&Leaf>) -> ([Fr; 4], bool) {
    let inputs = leaf.map_or([Fr::zero(); 4], |leaf| {
        [leaf.key.x, leaf.key.y, leaf.meta(), leaf.holdings()].map(to_circuit)
    });
    (inputs, leaf.is_some())
}

/// The named cells; returns the first rule that is broken.
fn dependent(
    source: &Source<'_>,
    domain: Fr,
    state: &[Fr; STATE],
    is_first: bool,
    block: &mut Block,
) -> Option<String> {
    let [_, _, fee] = super::accesses();
    let root = block.get(fee.roots()[1]);
    let mut inputs = Inputs::default();
    for (i, element) in state.iter().enumerate() {
        inputs.set(state_before(i), *element);
    }
    inputs.set(Cell::RootAfter, root);
    inputs.set(Cell::Domain, domain);
    inputs.leaves(source.slot.accesses.each_ref());
    inputs.header(source.header);
    inputs.operation(&source.slot.operation, domain);
    if let Some(partner) = source.partner {
        inputs.set(
            Cell::PartnerBits,
            crate::convert::from_u128(slot_bits(partner)),
        );
        inputs.flag(Cell::PartnerNoop, matches!(partner, Operation::Noop));
    }
    let first = [(Fixed::First, Fr::one())];
    let mut window = WitnessWindow::new(block, 0, if is_first { &first } else { &[] });
    for (name, value) in inputs.into_values() {
        window.set(name.pos(), value);
    }
    rules::state(&mut window, Cell::pos);
    window.broken()
}

/// Range and hash rows, from the named cells and the signature's.
fn derived(number: usize, block: &mut Block) -> Option<WitnessError> {
    let mut error = None;
    for (i, (pattern, places)) in ranges().into_iter().enumerate() {
        let values: Vec<Fr> = places.iter().map(|place| block.get(*place)).collect();
        if let Err(group) = range::assign(block.row_mut(RANGES + i), pattern, &values) {
            let place = places[group];
            let name = Cell::ALL.iter().find(|name| cell(**name) == place);
            let value = name.map_or_else(|| format!("{place:?}"), |name| format!("{name:?}"));
            error = error.or(Some(WitnessError::Range {
                slot: number,
                value,
            }));
        }
    }
    for (i, (_, inputs, _)) in hashes().into_iter().enumerate() {
        let values: Vec<Fr> = inputs.iter().map(|name| block.get(cell(*name))).collect();
        poseidon::assign(block.row_mut(HASHES + i), &values);
    }
    error
}

fn false_copies(wiring: &Wiring, trace: &Trace) -> Option<WitnessError> {
    wiring.copies.iter().find_map(|(left, right)| {
        (trace.get(*left) != trace.get(*right)).then_some(WitnessError::Copy {
            left: *left,
            right: *right,
        })
    })
}

impl ChunkShape {
    /// Slot and place inside it of an absolute cell: for messages of failing tests.
    #[must_use]
    pub fn locate(&self, place: At) -> (usize, At) {
        let row = place.row.saturating_sub(SLOTS);
        (row / ROWS, at(place.column, row % ROWS))
    }
}
