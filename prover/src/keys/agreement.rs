//! Does a verifying key belong to these columns under this string? One commitment instead of one
//! per column.
//!
//! With random weights `r_j`, the commitment to `sum r_j column_j` must equal `sum r_j C_j` over
//! the key's fixed and permutation commitments. If any commitment differs from its column's, the
//! two differ but for probability 1/r.

use ff::Field;
use halo2_proofs::plonk::ProvingKey;
use halo2_proofs::poly::commitment::{Blind, Params};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1, G1Affine};
use halo2curves::group::Group;
use rand::rngs::OsRng;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

/// Rows combined at a time.
const RUN: usize = 1 << 10;

/// Whether every fixed and permutation commitment of the key is that of the proving key's column.
pub(super) fn holds(pk: &ProvingKey<G1Affine>, params: &ParamsKZG<Bn256>) -> bool {
    let vk = pk.get_vk();
    let fixed = pk.fixed_values();
    let permuted = pk.permutation().permutations();
    let (fixed_points, permuted_points) = (vk.fixed_commitments(), vk.permutation().commitments());
    if fixed.len() != fixed_points.len() || permuted.len() != permuted_points.len() {
        return false;
    }
    let columns: Vec<&[Fr]> = fixed
        .iter()
        .chain(permuted)
        .map(|column| &column[..])
        .collect();
    let weights: Vec<Fr> = columns.iter().map(|_| Fr::random(OsRng)).collect();
    let mut combined = vk.get_domain().empty_lagrange();
    combined
        .par_chunks_mut(RUN)
        .enumerate()
        .for_each(|(run, rows)| {
            for (column, weight) in columns.iter().zip(&weights) {
                for (row, cell) in rows.iter_mut().zip(&column[run * RUN..]) {
                    *row += *cell * weight;
                }
            }
        });
    let points = fixed_points.iter().chain(permuted_points);
    let expected = points
        .zip(&weights)
        .fold(G1::identity(), |sum, (point, weight)| sum + *point * weight);
    params.commit_lagrange(&combined, Blind::default()) == expected
}
