//! The Poseidon sponge of snark-verifier's inner-proof transcript.
//!
//! The permutation is the textbook one (Poseidon paper, eprint 2019/458, section 2): width 3, S-box
//! x^5, 8 full and 57 partial rounds, with the round constants and matrix the paper's generator
//! gives for BN254, which are circomlib's and come from `light-poseidon`. snark-verifier evaluates
//! the same function in its optimised form.
//!
//! The sponge, after section 4.2 of the paper (variable input length):
//!
//! * the capacity lane, first of the state, starts as 2^64, the two rate lanes as 0;
//! * a challenge takes everything absorbed since the last one, adds it two by two into the rate
//!   lanes with a permutation after each pair, pads with a single 1 (in a permutation of its own if
//!   the input fills its last pair, or is empty), and is the second lane of the state;
//! * a point is absorbed as x then y, each mapped from the base field into the scalar field by
//!   reduction; the identity as 0 and 0.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use light_poseidon::parameters::bn254_x5::get_poseidon_parameters;

use crate::field::coordinate_to_le;
use crate::plonk::PlonkError;

const WIDTH: usize = 3;
const RATE: usize = 2;
const FULL_ROUNDS: usize = 8;
const PARTIAL_ROUNDS: usize = 57;
const ALPHA: u64 = 5;

/// Initial value of the capacity lane, 2^64 + (o - 1) for o = 1 outputs.
const CAPACITY: u128 = 1 << 64;

pub(super) struct Sponge {
    round_constants: Vec<[Fr; WIDTH]>,
    matrix: [[Fr; WIDTH]; WIDTH],
    state: [Fr; WIDTH],
    pending: Vec<Fr>,
}

impl Sponge {
    pub(super) fn new() -> Result<Self, PlonkError> {
        const WHAT: &str = "the Poseidon constants of the linked light-poseidon";
        let broken = || PlonkError::Internal { what: WHAT };
        // The library counts the width in a u8.
        let parameters = get_poseidon_parameters::<Fr>(3).map_err(|_| broken())?;
        if parameters.width != WIDTH
            || parameters.alpha != ALPHA
            || parameters.full_rounds != FULL_ROUNDS
            || parameters.partial_rounds != PARTIAL_ROUNDS
        {
            return Err(broken());
        }
        let (round_constants, rest) = parameters.ark.as_chunks::<WIDTH>();
        if round_constants.len() != FULL_ROUNDS + PARTIAL_ROUNDS || !rest.is_empty() {
            return Err(broken());
        }
        let mut matrix = [[Fr::ZERO; WIDTH]; WIDTH];
        for (row, given) in matrix.iter_mut().zip(&parameters.mds) {
            *row = given.as_slice().try_into().map_err(|_| broken())?;
        }
        Ok(Self {
            round_constants: round_constants.to_vec(),
            matrix,
            state: [Fr::from(CAPACITY), Fr::ZERO, Fr::ZERO],
            pending: Vec::new(),
        })
    }

    pub(super) fn absorb_scalar(&mut self, scalar: &Fr) {
        self.pending.push(*scalar);
    }

    pub(super) fn absorb_point(&mut self, point: &G1Affine) {
        let (x, y) = point.xy().unwrap_or_default();
        for coordinate in [x, y] {
            self.pending
                .push(Fr::from_le_bytes_mod_order(&coordinate_to_le(&coordinate)));
        }
    }

    pub(super) fn squeeze(&mut self) -> Fr {
        let pending = core::mem::take(&mut self.pending);
        let (pairs, rest) = pending.as_chunks::<RATE>();
        for pair in pairs {
            self.absorb_block(*pair);
        }
        self.absorb_block(match rest {
            [last, ..] => [*last, Fr::ONE],
            [] => [Fr::ONE, Fr::ZERO],
        });
        let [_, output, _] = self.state;
        output
    }

    fn absorb_block(&mut self, block: [Fr; RATE]) {
        let [_, rate @ ..] = &mut self.state;
        for (lane, input) in rate.iter_mut().zip(block) {
            *lane += input;
        }
        self.permute();
    }

    fn permute(&mut self) {
        let first_partial = FULL_ROUNDS / 2;
        let partial = first_partial..first_partial + PARTIAL_ROUNDS;
        for (round, constants) in self.round_constants.iter().enumerate() {
            for (lane, constant) in self.state.iter_mut().zip(constants) {
                *lane += constant;
            }
            let boxes = if partial.contains(&round) { 1 } else { WIDTH };
            for lane in self.state.iter_mut().take(boxes) {
                *lane = lane.square().square() * *lane;
            }
            let state = self.state;
            self.state = self.matrix.map(|row| Fr::sum_of_products(&row, &state));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// circomlib's Poseidon of (1, 2): capacity 0, output the first lane.
    #[test]
    fn the_permutation_is_circomlibs() {
        let mut sponge = Sponge::new().unwrap();
        sponge.state = [Fr::ZERO, Fr::from(1_u64), Fr::from(2_u64)];
        sponge.permute();
        let expected =
            "7853200120776062878684798364095072458815029376092732009249414926327459813530";
        assert_eq!(sponge.state[0].to_string(), expected);
    }

    #[test]
    fn consecutive_challenges_differ_and_depend_on_every_input() {
        let draw = |inputs: &[u64]| {
            let mut sponge = Sponge::new().unwrap();
            for input in inputs {
                sponge.absorb_scalar(&Fr::from(*input));
            }
            (sponge.squeeze(), sponge.squeeze())
        };
        let samples = [
            draw(&[]),
            draw(&[1]),
            draw(&[1, 0]),
            draw(&[1, 1]),
            draw(&[1, 1, 0]),
        ];
        for (i, (first, second)) in samples.iter().enumerate() {
            assert_ne!(first, second);
            for (other, _) in &samples[..i] {
                assert_ne!(first, other);
            }
        }
    }
}
