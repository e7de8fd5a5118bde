//! Tests of the gadget as a whole: native twins, dishonest provers, real proofs.
//!
//! Most use [`checker`], which evaluates the real gates and the selection on the rows in use; the
//! mock prover and a real proof agree with it in [`proofs`].

mod checker;
mod cost;
mod dishonest;
mod logup;
mod mutation;
mod proofs;
mod sums;

use ff::Field;
use halo2_base::gates::circuit::builder::BaseCircuitBuilder;
use halo2curves::bn256::{Fr, G1, G1Affine};
use halo2curves::group::{Curve, Group};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::host::HostCircuit;
use super::integer::CHUNK_BITS;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn random_point(rng: &mut ChaCha20Rng) -> G1Affine {
    G1::random(rng).to_affine()
}

fn random_scalar(rng: &mut ChaCha20Rng) -> Fr {
    Fr::random(rng)
}

/// An empty host of k = 18.
fn host(witness_gen_only: bool) -> HostCircuit {
    let builder = BaseCircuitBuilder::new(witness_gen_only)
        .use_k(18)
        .use_lookup_bits(CHUNK_BITS)
        .use_instance_columns(1);
    HostCircuit::new(builder)
}
