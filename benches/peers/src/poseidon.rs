//! circomlib's Poseidon of two, four and five inputs.
//!
//! The node has a faster one, `protocol::hash::poseidon`; it is generic over the number of inputs, so every crate that
//! calls it compiles its tables again, two minutes of work for a bench. This one is slow and small.

mod grain;

use std::sync::OnceLock;

use ark_bn254::Fr;
use ark_ff::Zero;

/// Full rounds before the partial ones, and as many after them.
pub const FULL_ROUNDS_HALF: usize = 4;

/// Constants of a permutation.
#[derive(Clone, Debug)]
pub struct Constants {
    /// Added to the state before each round.
    pub rounds: Vec<Vec<Fr>>,
    /// The linear layer, by rows.
    pub matrix: Vec<Vec<Fr>>,
}

/// Partial rounds of the widths that are used here.
///
/// # Panics
/// For any other width.
#[must_use]
pub fn partial_rounds(width: usize) -> usize {
    match width {
        3 => 57,
        5 | 6 => 60,
        _ => panic!("two, four or five elements are hashed, not {}", width - 1),
    }
}

/// The constants of a width.
///
/// # Panics
/// As [`partial_rounds`].
pub fn constants(width: usize) -> &'static Constants {
    static CONSTANTS: [OnceLock<Constants>; 7] = [const { OnceLock::new() }; 7];
    let partial = partial_rounds(width);
    CONSTANTS[width].get_or_init(|| grain::draw(width, partial))
}

/// The fifth power: the S-box.
#[must_use]
pub fn fifth_power(value: Fr) -> Fr {
    let square = value * value;
    square * square * value
}

/// The first element of the permutation of `(0, inputs)`.
///
/// # Panics
/// Unless there are two, four or five inputs.
#[must_use]
pub fn poseidon(inputs: &[Fr]) -> Fr {
    let width = inputs.len() + 1;
    let all = constants(width);
    let mut state = vec![Fr::zero()];
    state.extend(inputs);
    let last = all.rounds.len() - FULL_ROUNDS_HALF;
    for (round, constants) in all.rounds.iter().enumerate() {
        let boxes = if (FULL_ROUNDS_HALF..last).contains(&round) {
            1
        } else {
            width
        };
        for (index, (cell, constant)) in state.iter_mut().zip(constants).enumerate() {
            *cell += constant;
            if index < boxes {
                *cell = fifth_power(*cell);
            }
        }
        let mixed = all.matrix.iter().map(|row| {
            let terms = row.iter().zip(&state);
            terms.map(|(weight, cell)| *weight * cell).sum()
        });
        state = mixed.collect();
    }
    state[0]
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    /// circomlib's published values (`tests/vectors/circomlib.json`); five inputs are compared by the signatures that
    /// the node accepts, in `workload`.
    #[test]
    fn published_values_are_met() {
        let numbers = [1_u64, 2, 3, 4].map(Fr::from);
        for (inputs, hash) in [
            (
                &numbers[..2],
                "7853200120776062878684798364095072458815029376092732009249414926327459813530",
            ),
            (
                &numbers[..],
                "18821383157269793795438455681495246036402687001665670618754263018637548127333",
            ),
        ] {
            assert_eq!(poseidon(inputs), Fr::from_str(hash).unwrap());
        }
    }
}
