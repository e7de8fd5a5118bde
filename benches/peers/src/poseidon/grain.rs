//! The constants of Poseidon as its paper draws them: from the Grain generator, seeded with the parameters.
//!
//! They are circomlib's, which a test of the hash shows.

use ark_bn254::Fr;
use ark_ff::{BigInteger, Field, PrimeField};

use super::{Constants, FULL_ROUNDS_HALF};

/// Bits of the generator's state.
const STATE: usize = 80;

/// Bits that are thrown away at the start.
const SKIPPED: usize = 160;

/// Bits of a field element.
const FIELD_BITS: usize = 254;

struct Grain {
    state: [bool; STATE],
    /// Where the oldest bit stands.
    start: usize,
}

impl Grain {
    fn new(width: usize, partial: usize) -> Self {
        // Kind of field, of S-box, bits of an element, width, full and partial rounds, each with its own length.
        let parameters = [
            (1, 2),
            (0, 4),
            (FIELD_BITS, 12),
            (width, 12),
            (2 * FULL_ROUNDS_HALF, 10),
            (partial, 10),
            ((1 << 30) - 1, 30),
        ];
        let bits = parameters
            .into_iter()
            .flat_map(|(value, length)| (0..length).rev().map(move |bit| (value >> bit) & 1 == 1));
        let mut state = [false; STATE];
        for (slot, bit) in state.iter_mut().zip(bits) {
            *slot = bit;
        }
        let mut grain = Self { state, start: 0 };
        for _ in 0..SKIPPED {
            grain.step();
        }
        grain
    }

    fn step(&mut self) -> bool {
        let taps = [62, 51, 38, 23, 13, 0].into_iter();
        let bit = taps.fold(false, |bit, tap| {
            bit ^ self.state[(self.start + tap) % STATE]
        });
        self.state[self.start] = bit;
        self.start = (self.start + 1) % STATE;
        bit
    }

    /// Of each pair of bits the second one counts, if the first one is set.
    fn bit(&mut self) -> bool {
        loop {
            let (counts, bit) = (self.step(), self.step());
            if counts {
                return bit;
            }
        }
    }

    fn integer(&mut self) -> <Fr as PrimeField>::BigInt {
        let bits: Vec<bool> = (0..FIELD_BITS).map(|_| self.bit()).collect();
        BigInteger::from_bits_be(&bits)
    }

    /// A uniform element: what is too large is thrown away.
    fn element(&mut self) -> Fr {
        loop {
            if let Some(element) = Fr::from_bigint(self.integer()) {
                return element;
            }
        }
    }

    /// An element for the matrix: what is too large is reduced.
    fn reduced(&mut self) -> Fr {
        Fr::from_le_bytes_mod_order(&self.integer().to_bytes_le())
    }
}

/// Draws the constants of a width with this many partial rounds.
pub(super) fn draw(width: usize, partial: usize) -> Constants {
    let mut grain = Grain::new(width, partial);
    let count = 2 * FULL_ROUNDS_HALF + partial;
    let rounds = (0..count)
        .map(|_| (0..width).map(|_| grain.element()).collect())
        .collect();
    let x: Vec<Fr> = (0..width).map(|_| grain.reduced()).collect();
    let y: Vec<Fr> = (0..width).map(|_| grain.reduced()).collect();
    let entry = |x: &Fr, y: &Fr| (*x + y).inverse().unwrap_or_default();
    let row = |x: &Fr| y.iter().map(|y| entry(x, y)).collect();
    Constants {
        rounds,
        matrix: x.iter().map(row).collect(),
    }
}
