//! circomlib's Poseidon of width 3, row by row, and hashes of longer inputs as chains of it.
//!
//! The narrow layout knows one permutation only, so longer inputs are absorbed two at a time: the first element of
//! each output is the first of the next input. One link from 0 is circomlib's hash of two, which the tree uses. Other
//! uses start at a number of their own, and each of them has one length.

use std::sync::OnceLock;

use ark_bn254::Fr;
use ark_ff::{Field, Zero};

use crate::poseidon::{self, FULL_ROUNDS_HALF, fifth_power};

/// Elements of the state.
pub const WIDTH: usize = 3;

/// Partial rounds.
pub const PARTIAL_ROUNDS: usize = 57;

/// Pairs of partial rounds; one is left over.
pub const PAIRS: usize = PARTIAL_ROUNDS / 2;

/// Rows of a permutation: the state before each full round, pair and single round, and the result.
pub const ROWS: usize = 2 * FULL_ROUNDS_HALF + PAIRS + 1 + 1;

/// Start of the chain that hashes a leaf.
pub const LEAF: u64 = 1;

/// Start of the chain that hashes a transfer.
pub const MESSAGE: u64 = 2;

/// Start of the chain that makes a signature's challenge.
pub const CHALLENGE: u64 = 3;

/// What a row of a permutation does to get to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// A full round, with this index among all rounds.
    Full(usize),
    /// Two partial rounds, the first with this index.
    Pair(usize),
    /// The partial round that is left over.
    Single(usize),
}

/// The rounds of the rows of a permutation, all but the last.
pub fn rounds() -> impl Iterator<Item = Round> {
    let first = (0..FULL_ROUNDS_HALF).map(Round::Full);
    let pairs = (0..PAIRS).map(|pair| Round::Pair(FULL_ROUNDS_HALF + 2 * pair));
    let single = FULL_ROUNDS_HALF + 2 * PAIRS;
    let last = (0..FULL_ROUNDS_HALF).map(move |round| Round::Full(single + 1 + round));
    first
        .chain(pairs)
        .chain([Round::Single(single)])
        .chain(last)
}

/// Constants of the permutation.
#[derive(Debug)]
pub struct Constants {
    /// Added to the state before each round.
    pub rounds: Vec<[Fr; WIDTH]>,
    /// The linear layer.
    pub matrix: [[Fr; WIDTH]; WIDTH],
    /// Its inverse.
    pub inverse: [[Fr; WIDTH]; WIDTH],
}

/// circomlib's constants.
pub fn constants() -> &'static Constants {
    static CONSTANTS: OnceLock<Constants> = OnceLock::new();
    CONSTANTS.get_or_init(|| {
        let drawn = poseidon::constants(WIDTH);
        let three = |row: &Vec<Fr>| std::array::from_fn(|column| row[column]);
        let matrix = std::array::from_fn(|row| three(&drawn.matrix[row]));
        Constants {
            rounds: drawn.rounds.iter().map(three).collect(),
            matrix,
            inverse: inverse(&matrix),
        }
    })
}

/// The inverse of a matrix that has one, by cofactors.
fn inverse(matrix: &[[Fr; WIDTH]; WIDTH]) -> [[Fr; WIDTH]; WIDTH] {
    let cofactor = |row: usize, column: usize| {
        let at = |i: usize, j: usize| matrix[(row + i) % WIDTH][(column + j) % WIDTH];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    };
    let determinant: Fr = (0..WIDTH).map(|j| matrix[0][j] * cofactor(0, j)).sum();
    let scale = determinant.inverse().unwrap_or_default();
    std::array::from_fn(|i| std::array::from_fn(|j| cofactor(j, i) * scale))
}

/// `matrix` times `state`.
#[must_use]
pub fn mix(matrix: &[[Fr; WIDTH]; WIDTH], state: [Fr; WIDTH]) -> [Fr; WIDTH] {
    std::array::from_fn(|i| (0..WIDTH).map(|j| matrix[i][j] * state[j]).sum())
}

/// The rows of the permutation of `state`: the state, and in the last column the S-box of a partial round.
#[must_use]
pub fn rows(mut state: [Fr; WIDTH]) -> [[Fr; WIDTH + 1]; ROWS] {
    let all = constants();
    let mut rows = [[Fr::zero(); WIDTH + 1]; ROWS];
    let partial = |state: &mut [Fr; WIDTH], round: usize| {
        let mut next: [Fr; WIDTH] = std::array::from_fn(|i| state[i] + all.rounds[round][i]);
        next[0] = fifth_power(next[0]);
        *state = mix(&all.matrix, next);
        next[0]
    };
    for (row, round) in rows.iter_mut().zip(rounds()) {
        row[..WIDTH].copy_from_slice(&state);
        match round {
            Round::Full(index) => {
                let constants = all.rounds[index];
                let next = std::array::from_fn(|i| fifth_power(state[i] + constants[i]));
                state = mix(&all.matrix, next);
            }
            Round::Pair(index) => {
                row[WIDTH] = partial(&mut state, index);
                partial(&mut state, index + 1);
            }
            Round::Single(index) => row[WIDTH] = partial(&mut state, index),
        }
    }
    rows[ROWS - 1][..WIDTH].copy_from_slice(&state);
    rows
}

/// One link: the first element of the permutation of `(before, left, right)`.
#[must_use]
pub fn link(before: Fr, left: Fr, right: Fr) -> Fr {
    rows([before, left, right])[ROWS - 1][0]
}

/// The chain over `inputs` that starts at `start`; an odd input is followed by 0.
#[must_use]
pub fn hash(start: u64, inputs: &[Fr]) -> Fr {
    inputs.chunks(2).fold(Fr::from(start), |before, pair| {
        link(before, pair[0], pair.get(1).copied().unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_link_from_zero_is_circomlibs_hash_of_two() {
        for (left, right) in [(0_u64, 0_u64), (1, 2), (7, 1 << 60)] {
            let (left, right) = (Fr::from(left), Fr::from(right));
            assert_eq!(
                link(Fr::zero(), left, right),
                poseidon::poseidon(&[left, right])
            );
        }
    }

    #[test]
    fn a_permutation_has_thirty_eight_rows_and_sixty_five_rounds() {
        assert_eq!(ROWS, 38);
        assert_eq!(constants().rounds.len(), 65);
        let rounds: Vec<_> = rounds().collect();
        assert_eq!(rounds.len(), ROWS - 1);
        assert_eq!(rounds.last(), Some(&Round::Full(64)));
    }

    #[test]
    fn the_inverse_undoes_the_matrix() {
        let state = [Fr::from(3_u64), Fr::from(5_u64), Fr::from(11_u64)];
        let mixed = mix(&constants().matrix, state);
        assert_eq!(mix(&constants().inverse, mixed), state);
    }
}
