//! Poseidon over BN254 with circomlib's parameters, and Keccak-256.
//!
//! The constants are light-poseidon's (circomlib's published ones). The permutation is our own arrangement of the
//! same function, because it is the node's hottest loop: partial rounds in sparse form (Poseidon paper, eprint
//! 2019/458, appendix B) cost `2(t-1) + 4` multiplications instead of `t^2 + 3`. A test compares it with
//! light-poseidon on random input for every width, and with circomlib's published vectors.
//!
//! Derivation. Write the linear layer as `[[m, v], [w, N]]`, the state as `(u, U)`, the constants of partial round
//! i as `(c_i, C_i)`. With `U_i = N^i (z_i + k_i)`, k the constant part, a partial round is
//! `y = (u_i + c_i)^5`, `u_{i+1} = m y + b_i . z_i + e_i`, `z_{i+1} = z_i + a_i y`, where `a_i = N^{-(i+1)} w`,
//! `b_i = v N^i`, `k_{i+1} = k_i + N^{-i} C_i` and `e_i = v . (N^i k_i + C_i)`.

use std::sync::OnceLock;

use ark_bn254::Fr;
use ark_ff::{Field, One, PrimeField, Zero};
use light_poseidon::parameters::bn254_x5::get_poseidon_parameters;
use sha3::{Digest, Keccak256};

use crate::codec::field_from_be_bytes_mod_order;

/// Most inputs of one hash (width 7).
pub const POSEIDON_INPUTS_MAX: usize = 6;

/// Keccak-256 of `bytes`.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// Keccak-256 of `bytes` as a big-endian integer, reduced mod p: how the contracts make field elements.
#[must_use]
pub fn keccak256_mod_p(bytes: &[u8]) -> Fr {
    field_from_be_bytes_mod_order(&keccak256(bytes))
}

/// circomlib's Poseidon of 1 to 6 inputs.
///
/// # Panics
/// If `N` is 0 or above 6: the number of inputs is fixed where the call is written.
#[must_use]
pub fn poseidon<const N: usize>(inputs: [Fr; N]) -> Fr {
    assert!(
        N >= 1 && N <= POSEIDON_INPUTS_MAX,
        "Poseidon takes 1 to 6 inputs"
    );
    match N {
        1 => permute_output::<2>(&inputs),
        2 => permute_output::<3>(&inputs),
        3 => permute_output::<4>(&inputs),
        4 => permute_output::<5>(&inputs),
        5 => permute_output::<6>(&inputs),
        _ => permute_output::<7>(&inputs),
    }
}

type Matrix<const T: usize> = [[Fr; T]; T];

/// One partial round in sparse form.
struct PartialRound<const T: usize> {
    /// Constant added before the S-box.
    constant: Fr,
    /// `z += y * lane_step`; index 0 is unused.
    lane_step: [Fr; T],
    /// Next `u` = `m y + lanes . lane_weight + ...`; index 0 is unused.
    lane_weight: [Fr; T],
}

struct Schedule<const T: usize> {
    first: Vec<[Fr; T]>,
    partial: Vec<PartialRound<T>>,
    /// `m`, the corner of the linear layer.
    corner: Fr,
    /// After the partial rounds: `u += exit_constant`, `U = exit_matrix z + exit_lanes`.
    exit_constant: Fr,
    exit_matrix: Matrix<T>,
    exit_lanes: [Fr; T],
    last: Vec<[Fr; T]>,
    matrix: Matrix<T>,
}

fn schedule<const T: usize>() -> &'static Schedule<T> {
    static WIDTHS: [OnceLock<Box<dyn std::any::Any + Send + Sync>>; 8] =
        [const { OnceLock::new() }; 8];
    WIDTHS
        .get(T)
        .map(|cell| cell.get_or_init(|| Box::new(Schedule::<T>::derive())))
        .and_then(|schedule| schedule.downcast_ref())
        .expect("widths 2 to 7 have a cell each, filled with its own type")
}

/// Rows and columns 1.. of a matrix are the block N of the module documentation; index 0 is ignored.
#[expect(
    clippy::indexing_slicing,
    reason = "indices range over the array's own length T"
)]
mod block {
    use super::{Field, Fr, Matrix, One, Zero};

    pub(super) fn identity<const T: usize>() -> Matrix<T> {
        let mut matrix = [[Fr::zero(); T]; T];
        for (i, row) in matrix.iter_mut().enumerate() {
            row[i] = Fr::one();
        }
        matrix
    }

    /// `a * x` over the block.
    pub(super) fn apply<const T: usize>(a: &Matrix<T>, x: &[Fr; T]) -> [Fr; T] {
        let mut out = [Fr::zero(); T];
        for i in 1..T {
            out[i] = (1..T).map(|j| a[i][j] * x[j]).sum();
        }
        out
    }

    /// `x * a` over the block.
    pub(super) fn apply_left<const T: usize>(x: &[Fr; T], a: &Matrix<T>) -> [Fr; T] {
        let mut out = [Fr::zero(); T];
        for j in 1..T {
            out[j] = (1..T).map(|i| x[i] * a[i][j]).sum();
        }
        out
    }

    pub(super) fn multiply<const T: usize>(a: &Matrix<T>, b: &Matrix<T>) -> Matrix<T> {
        let mut out = [[Fr::zero(); T]; T];
        for i in 1..T {
            for j in 1..T {
                out[i][j] = (1..T).map(|k| a[i][k] * b[k][j]).sum();
            }
        }
        out
    }

    /// Gauss-Jordan. Every square block of an MDS matrix is invertible.
    pub(super) fn invert<const T: usize>(a: &Matrix<T>) -> Matrix<T> {
        let (mut a, mut inverse) = (*a, identity::<T>());
        for column in 1..T {
            let pivot = (column..T)
                .find(|&row| !a[row][column].is_zero())
                .expect("a block of an MDS matrix is invertible");
            a.swap(column, pivot);
            inverse.swap(column, pivot);
            let scale = a[column][column].inverse().expect("the pivot is not zero");
            for j in 1..T {
                a[column][j] *= scale;
                inverse[column][j] *= scale;
            }
            for row in (1..T).filter(|&row| row != column) {
                let factor = a[row][column];
                for j in 1..T {
                    let (x, y) = (a[column][j], inverse[column][j]);
                    a[row][j] -= factor * x;
                    inverse[row][j] -= factor * y;
                }
            }
        }
        inverse
    }

    pub(super) fn dot<const T: usize>(x: &[Fr; T], y: &[Fr; T]) -> Fr {
        (1..T).map(|i| x[i] * y[i]).sum()
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "indices range over T and over the published round counts"
)]
impl<const T: usize> Schedule<T> {
    fn derive() -> Self {
        let width = u8::try_from(T).expect("widths are at most 7");
        let published =
            get_poseidon_parameters::<Fr>(width).expect("circomlib publishes widths 2 to 13");
        let half = published.full_rounds / 2;
        let partial_rounds = published.partial_rounds;
        let constants: Vec<[Fr; T]> = published
            .ark
            .chunks_exact(T)
            .map(|row| std::array::from_fn(|i| row[i]))
            .collect();
        let matrix: Matrix<T> =
            std::array::from_fn(|i| std::array::from_fn(|j| published.mds[i][j]));
        let (v, w): ([Fr; T], [Fr; T]) = (matrix[0], std::array::from_fn(|i| matrix[i][0]));
        let inverse = block::invert(&matrix);

        let mut power = block::identity::<T>(); // N^i
        let mut inverse_power = block::identity::<T>(); // N^-i
        let mut k = [Fr::zero(); T];
        let mut entering = Fr::zero(); // constant part of u before round i
        let mut partial = Vec::with_capacity(partial_rounds);
        for i in 0..partial_rounds {
            let c = &constants[half + i];
            let mut lanes = block::apply(&power, &k); // N^i k_i + C_i
            let pulled = block::apply(&inverse_power, c);
            for j in 1..T {
                lanes[j] += c[j];
                k[j] += pulled[j];
            }
            let constant = entering + c[0];
            entering = block::dot(&v, &lanes);
            let lane_weight = block::apply_left(&v, &power);
            power = block::multiply(&power, &matrix);
            inverse_power = block::multiply(&inverse_power, &inverse);
            partial.push(PartialRound {
                constant,
                lane_step: block::apply(&inverse_power, &w),
                lane_weight,
            });
        }
        Self {
            first: constants[..half].to_vec(),
            partial,
            corner: matrix[0][0],
            exit_constant: entering,
            exit_lanes: block::apply(&power, &k),
            exit_matrix: power,
            last: constants[half + partial_rounds..].to_vec(),
            matrix,
        }
    }

    fn full_round(&self, state: &mut [Fr; T], constants: &[Fr; T]) {
        let sboxed: [Fr; T] = std::array::from_fn(|i| fifth_power(state[i] + constants[i]));
        for (cell, row) in state.iter_mut().zip(&self.matrix) {
            *cell = Fr::sum_of_products(row, &sboxed);
        }
    }
}

fn fifth_power(x: Fr) -> Fr {
    let square = x.square();
    square.square() * x
}

/// First element of the permutation of `(0, inputs)`.
#[expect(
    clippy::indexing_slicing,
    reason = "indices range over T; inputs has T - 1 elements by the caller's match"
)]
fn permute_output<const T: usize>(inputs: &[Fr]) -> Fr {
    let schedule = schedule::<T>();
    let mut state = [Fr::zero(); T];
    state[1..].copy_from_slice(inputs);
    for constants in &schedule.first {
        schedule.full_round(&mut state, constants);
    }
    for round in &schedule.partial {
        let y = fifth_power(state[0] + round.constant);
        let mut next = schedule.corner * y;
        let lanes = state
            .iter_mut()
            .zip(&round.lane_weight)
            .zip(&round.lane_step);
        for ((lane, weight), step) in lanes.skip(1) {
            next += *weight * *lane;
            *lane += *step * y;
        }
        state[0] = next;
    }
    let lanes = block::apply(&schedule.exit_matrix, &state);
    state[0] += schedule.exit_constant;
    for j in 1..T {
        state[j] = lanes[j] + schedule.exit_lanes[j];
    }
    for constants in &schedule.last {
        schedule.full_round(&mut state, constants);
    }
    state[0]
}

/// ASCII tag as a field element (big-endian integer of the bytes): domain constants of Poseidon inputs.
#[must_use]
pub fn tag(name: &str) -> Fr {
    Fr::from_be_bytes_mod_order(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use ark_ff::UniformRand;
    use light_poseidon::{Poseidon, PoseidonHasher};

    use super::*;

    fn compare<const N: usize>() {
        let mut rng = ark_std_rng();
        let mut reference = Poseidon::<Fr>::new_circom(N).unwrap();
        let mut cases: Vec<[Fr; N]> = (0..20)
            .map(|_| std::array::from_fn(|_| Fr::rand(&mut rng)))
            .collect();
        cases.push([Fr::zero(); N]);
        cases.push([-Fr::one(); N]);
        for inputs in cases {
            assert_eq!(poseidon(inputs), reference.hash(&inputs).unwrap());
        }
    }

    fn ark_std_rng() -> impl rand::Rng {
        <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(7)
    }

    #[test]
    fn sparse_form_equals_light_poseidon() {
        compare::<1>();
        compare::<2>();
        compare::<3>();
        compare::<4>();
        compare::<5>();
        compare::<6>();
    }

    #[test]
    fn keccak_of_nothing_is_the_known_value() {
        assert_eq!(
            hex::encode(keccak256(b"")),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
    }
}
