//! The chunk circuit in lanes: the same statement as [`crate::chunk`], proven several times faster.
//!
//! Public inputs (one instance column): `domain, D_before, D_after`. The rules are those of [`crate::chunk`], word for word;
//! what differs is how they are reached:
//!
//! - [`layout`]: a block of sixteen rows for each slot, in which every lane of columns is used in every row, and cells
//!   are read where they stand instead of being copied;
//! - [`tree`] and [`memory`]: the state tree is opened once for the whole chunk, and accesses share a memory;
//! - [`ladder`]: signatures with scalars of half the length;
//! - [`bytes`]: ranges by bytes, all of them shown to be bytes at once.
//!
//! A chunk has as many leaves and nodes to open, and as many hashes (`pool`), as its blocks have room for, whichever
//! slots use them.

pub mod bytes;
pub mod circuit;
mod ends;
pub mod ladder;
pub mod layout;
pub mod memory;
pub mod opening;
mod pool;
mod products;
mod slot;
pub mod tree;
mod witness;

pub use circuit::LaneCircuit;

use protocol::chunk::ChunkSize;
use protocol::params::CHUNK_PAIRS;

use crate::trace::{At, Trace, at};
use layout::{HASH3_STARTS, HASH6_STARTS, Named, PAIRS, ROWS, leaves_before, place};

/// Rows at the end of the domain that halo2 keeps for blinding; a test compares it.
pub const BLINDED_ROWS: usize = 40;

/// Sizes of a chunk circuit in lanes. Every capacity is a circuit of its own, with its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneShape {
    /// Slot pairs; at least eight, so that the table of bytes has its rows.
    pub pairs: usize,
}

impl LaneShape {
    /// The shape that the protocol prescribes.
    #[must_use]
    pub fn protocol() -> Self {
        LaneShape { pairs: CHUNK_PAIRS }
    }

    /// What a chunk may need: where a batch is cut.
    #[must_use]
    pub fn size(&self) -> ChunkSize {
        let hashes = |starts: &[usize]| 2 * self.pairs * starts.len();
        ChunkSize {
            pairs: self.pairs,
            leaves: self.leaves(),
            nodes: self.nodes(),
            wide_hashes: hashes(&HASH6_STARTS),
            short_hashes: hashes(&HASH3_STARTS),
        }
    }

    /// The most pairs that fit `2^k` rows.
    #[must_use]
    pub fn fullest(k: u32) -> Self {
        let blocks = ((1_usize << k) - BLINDED_ROWS) / ROWS;
        LaneShape {
            pairs: blocks.saturating_sub(2) / 2,
        }
    }

    /// Rows in use: a block for each end and each slot.
    #[must_use]
    pub fn rows(&self) -> usize {
        (2 * self.pairs + 2) * ROWS
    }

    /// log2 of the rows of the circuit.
    #[must_use]
    pub fn k(&self) -> u32 {
        (self.rows() + BLINDED_ROWS)
            .next_power_of_two()
            .trailing_zeros()
    }

    /// Leaves that a chunk may open.
    #[must_use]
    pub fn leaves(&self) -> usize {
        leaves_before(2 * self.pairs)
    }

    /// Inner nodes that a chunk may open.
    #[must_use]
    pub fn nodes(&self) -> usize {
        2 * self.pairs * PAIRS - self.leaves()
    }

    /// Hashes that the slots of a trace ask for: of six elements, of three. `protocol::chunk` counts them before there is a
    /// trace.
    #[must_use]
    pub fn hashes_asked(&self, trace: &Trace) -> [usize; 2] {
        pool::asked_inputs(self, trace).map(|asked| asked.len())
    }

    /// First row of a slot; slot `2 i` is the first of pair i.
    #[must_use]
    pub fn slot_row(&self, slot: usize) -> usize {
        (slot + 1) * ROWS
    }

    /// A cell with a name.
    #[must_use]
    pub fn cell(&self, slot: usize, name: impl Into<Named>) -> At {
        let place = place(name);
        at(place.column, self.slot_row(slot) + place.rotation as usize)
    }
}
