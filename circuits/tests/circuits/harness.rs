//! Mock verdicts and real proofs over a circuit.

use halo2_proofs::dev::MockProver;
use halo2_proofs::plonk::{Circuit, create_proof, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{
    Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer,
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::SeedableRng;

/// Whether the mock prover accepts.
pub(crate) fn accepts<C: Circuit<Fr>>(k: u32, circuit: &C, instance: &[Fr]) -> bool {
    mock(k, circuit, instance).is_ok()
}

/// The mock prover's complaints, shortened.
pub(crate) fn mock<C: Circuit<Fr>>(k: u32, circuit: &C, instance: &[Fr]) -> Result<(), String> {
    let prover = MockProver::run(k, circuit, vec![instance.to_vec()]).expect("the circuit fits");
    prover.verify().map_err(|failures| {
        failures
            .iter()
            .take(5)
            .map(|failure| format!("{failure:?}").chars().take(700).collect::<String>() + "\n")
            .collect()
    })
}

/// Keys, one real proof, and its verdict under the true instance and under a changed one.
pub(crate) fn proves<C: Circuit<Fr>>(k: u32, circuit: C, instance: &[Fr]) -> bool {
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(5);
    let params = ParamsKZG::<Bn256>::setup(k, &mut rng);
    let empty = circuit.without_witnesses();
    let vk = keygen_vk(&params, &empty).expect("verifying key");
    let pk = keygen_pk(&params, vk, &empty).expect("proving key");
    let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(vec![]);
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, _>, _, _, _, _>(
        &params,
        &pk,
        &[circuit],
        &[&[instance]],
        &mut rng,
        &mut transcript,
    )
    .expect("proof");
    let proof = transcript.finalize();
    let verdict = |instance: &[Fr], proof: &[u8]| {
        let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(proof);
        let verifier = params.verifier_params();
        let strategy = SingleStrategy::new(verifier);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, _>, _, _, _>(
            verifier,
            pk.get_vk(),
            strategy,
            &[&[instance]],
            &mut transcript,
        )
        .is_ok()
    };
    let mut changed = proof.clone();
    changed[proof.len() / 2] ^= 1;
    assert!(!verdict(instance, &changed), "a flipped byte must fail");
    verdict(instance, &proof)
}
