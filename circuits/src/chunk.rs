//! The chunk circuit: a run of slot pairs between two threaded states.
//!
//! Public inputs (one instance column): `domain, D_before, D_after`.
//!
//! Rows: the start of the threaded state, its end, then the slots of every pair. Each slot's state
//! before is copied from the slot above; the accumulator and the counts pass through the same cells.
//! The circuit proves that `protocol::witness::ChunkWitness` describes valid operations; what it does
//! not prove: the ends of a batch (the verifier of a batch fixes them), the polynomials over the words
//! (`data`), nor that a chunk ends where it should (empty pairs change nothing).

mod cells;
mod ends;
pub(crate) mod operation;
pub(crate) mod rules;
mod slot;
mod witness;

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

pub use cells::Cell;
pub use slot::{ROWS as SLOT_ROWS, accesses, cell, range_pattern, signature};
pub use witness::WitnessError;

pub(crate) use cells::{STATE, state_after, state_before};
pub(crate) use ends::{elements, packings};

use crate::gadgets::range::Pattern;
use crate::gadgets::{merkle, poseidon, range, signature as signatures};
use crate::instance::chunk as instance;
use crate::layout::{Columns, Fixed};
use crate::trace::{At, GateSet, TraceCircuit, Wiring, at};

/// Row of the first slot.
const SLOTS: usize = ends::START_ROWS + ends::END_ROWS;
/// Rows at the end of the domain that halo2 keeps for blinding; a test compares it.
pub const BLINDED_ROWS: usize = 12;

/// The gates of the chunk circuit.
#[derive(Clone, Debug, Default)]
pub struct ChunkGates;

impl GateSet for ChunkGates {
    const FIXED: &'static [Fixed] = &[
        Fixed::Poseidon3,
        Fixed::Poseidon5,
        Fixed::Poseidon6,
        Fixed::Leaf,
        Fixed::Level,
        Fixed::Inner,
        Fixed::Crumbs,
        Fixed::Range20And5,
        Fixed::Range15And8,
        Fixed::Range15And4And4,
        Fixed::Range16And8,
        Fixed::RangeSpare,
        Fixed::RangeSmall,
        Fixed::SignatureHead,
        Fixed::Ladder,
        Fixed::SignatureTail,
        Fixed::Rules,
        Fixed::First,
        Fixed::Ends,
    ];

    fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
        for width in [3, 5, 6] {
            poseidon::configure(meta, columns, width);
        }
        merkle::configure(meta, columns);
        range::configure(meta, columns, &Pattern::CHUNK);
        signatures::configure(meta, columns);
        rules::configure(meta, columns);
        ends::configure(meta, columns);
    }
}

/// The chunk circuit.
pub type ChunkCircuit = TraceCircuit<ChunkGates>;

/// Sizes of a chunk circuit. Every capacity is a circuit of its own, with its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkShape {
    /// Slot pairs.
    pub pairs: usize,
}

impl ChunkShape {
    /// The largest shape of 2^15 rows.
    pub const FULLEST: Self = ChunkShape { pairs: 98 };

    /// Rows in use.
    #[must_use]
    pub fn rows(&self) -> usize {
        SLOTS + 2 * self.pairs * SLOT_ROWS
    }

    /// log2 of the rows of the circuit.
    #[must_use]
    pub fn k(&self) -> u32 {
        (self.rows() + BLINDED_ROWS)
            .next_power_of_two()
            .trailing_zeros()
    }

    /// First row of a slot; slot `2 i` is the first of pair i.
    #[must_use]
    pub fn slot_row(&self, slot: usize) -> usize {
        SLOTS + slot * SLOT_ROWS
    }

    /// A rules cell of a slot.
    #[must_use]
    pub fn cell(&self, slot: usize, name: Cell) -> At {
        let place = cell(name);
        at(place.column, place.row + self.slot_row(slot))
    }

    /// The circuit without a witness: what keys are made from.
    #[must_use]
    pub fn circuit(&self) -> ChunkCircuit {
        TraceCircuit::without_trace(self.wiring())
    }

    /// Selectors, copies and instance cells.
    #[must_use]
    pub fn wiring(&self) -> Wiring {
        let mut wiring = Wiring::default();
        let (start, end) = (0, ends::START_ROWS);
        ends::wire(&mut wiring, start, true);
        ends::wire(&mut wiring, end, false);
        wiring.expose(at(ends::DOMAIN, start), instance::DOMAIN);
        wiring.expose(ends::digest(start), instance::DIGEST_BEFORE);
        wiring.expose(ends::digest(end), instance::DIGEST_AFTER);
        let slots = 2 * self.pairs;
        for number in 0..slots {
            let is_first = number % 2 == 0;
            slot::wire(&mut wiring, self.slot_row(number), is_first);
            wiring.copy(at(ends::DOMAIN, start), self.cell(number, Cell::Domain));
            for i in 0..STATE {
                let before = match number {
                    0 => ends::element(start, i),
                    _ => self.cell(number - 1, state_after(i)),
                };
                wiring.copy(before, self.cell(number, state_before(i)));
            }
            if is_first {
                let partner = number + 1;
                for (own, theirs) in [
                    (Cell::PartnerBits, Cell::SlotBits),
                    (Cell::PartnerNoop, Cell::IsNoop),
                ] {
                    wiring.copy(self.cell(number, own), self.cell(partner, theirs));
                }
            }
        }
        for i in 0..STATE {
            let last = match slots {
                0 => ends::element(start, i),
                _ => self.cell(slots - 1, state_after(i)),
            };
            wiring.copy(last, ends::element(end, i));
        }
        wiring
    }
}
