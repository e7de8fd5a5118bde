//! Proofs that show nothing but have the right form: what keys are made from.
//!
//! The layout of an aggregation circuit depends on the shape of the inner proofs only. Keys must not depend on any real
//! proof, so they are generated from points and numbers drawn from a fixed seed.

use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::ff::Field;
use halo2curves::group::Curve;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use snark_verifier::cost::CostEstimation;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::halo2::PoseidonTranscript;
use snark_verifier::util::transcript::TranscriptWrite;
use snark_verifier::verifier::plonk::PlonkProof;

use super::accumulator::{ACCUMULATOR_LIMBS, Scheme, limbs_of};
use super::{InnerProof, Protocol};

/// A proof of the protocol's form. No verifier takes it.
///
/// # Panics
/// Never: writing to memory does not fail.
#[must_use]
pub fn dummy_proof(key: &Protocol) -> InnerProof {
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let point = |rng: &mut ChaCha20Rng| (G1Affine::generator() * Fr::random(rng)).to_affine();
    let mut transcript =
        PoseidonTranscript::<G1Affine, NativeLoader, _, 3, 2, 8, 57>::new::<0>(Vec::new());
    let commitments = key.num_witness.iter().sum::<usize>() + key.quotient.num_chunk();
    let queries = PlonkProof::<G1Affine, NativeLoader, Scheme>::empty_queries(key);
    let openings = <Scheme as CostEstimation<G1Affine>>::estimate_cost(&queries).num_commitment;
    for _ in 0..commitments {
        transcript
            .write_ec_point(point(&mut rng))
            .expect("memory takes it");
    }
    for _ in 0..key.evaluations.len() {
        transcript
            .write_scalar(Fr::random(&mut rng))
            .expect("memory takes it");
    }
    for _ in 0..openings {
        transcript
            .write_ec_point(point(&mut rng))
            .expect("memory takes it");
    }
    let public_inputs = key.num_instance.iter().sum::<usize>();
    let mut instance: Vec<Fr> = (0..public_inputs).map(|_| Fr::random(&mut rng)).collect();
    if !key.accumulator_indices.is_empty() {
        let limbs = limbs_of(&point(&mut rng), &point(&mut rng));
        instance[..ACCUMULATOR_LIMBS].copy_from_slice(&limbs);
    }
    InnerProof {
        instance,
        proof: transcript.finalize(),
    }
}
