//! halo2's side: real keys, real proofs, and halo2's own verdict on any bytes.

use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_proofs::plonk::{ProvingKey, VerifyingKey, create_proof, keygen_pk, keygen_vk_custom};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptWrite};
use prover::export::key_description;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tests::halo2::{Poseidon, accepts, accepts_with_poseidon, to_ark};
use verifier::{KeyDescription, PlonkError, TranscriptKind, verify_plonk};

use super::circuits::Toy;
use super::evm::EvmTranscript;

type Scheme = KZGCommitmentScheme<Bn256>;

/// An honest proof, its key in both forms and its public inputs.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) params: ParamsKZG<Bn256>,
    pub(crate) halo2_key: VerifyingKey<G1Affine>,
    pub(crate) key: KeyDescription,
    pub(crate) instances: Vec<Vec<Fr>>,
    pub(crate) proof: Vec<u8>,
}

/// A reference string with a seeded, hence public, secret.
pub(crate) fn reference_string(k: u32, seed: u64) -> ParamsKZG<Bn256> {
    ParamsKZG::setup(k, ChaCha20Rng::seed_from_u64(seed))
}

impl Case {
    /// Generates keys and a proof for the circuit.
    pub(crate) fn new<C: Toy + Clone>(circuit: &C, kind: TranscriptKind, compress: bool) -> Self {
        Self::with_string(circuit, kind, compress, &reference_string(C::K, 7))
    }

    /// The same with a given reference string.
    pub(crate) fn with_string<C: Toy + Clone>(
        circuit: &C,
        kind: TranscriptKind,
        compress: bool,
        params: &ParamsKZG<Bn256>,
    ) -> Self {
        let halo2_key = keygen_vk_custom(params, circuit, compress).expect("a key");
        let proving_key = keygen_pk(params, halo2_key.clone(), circuit).expect("a proving key");
        let instances = circuit.instances();
        let lens: Vec<usize> = instances.iter().map(Vec::len).collect();
        let key = key_description(&halo2_key, params, kind, &lens).expect("a description");
        let proof = match kind {
            TranscriptKind::Poseidon => {
                let mut transcript = Poseidon::<Vec<u8>>::new::<0>(Vec::new());
                prove(params, &proving_key, circuit, &instances, &mut transcript);
                transcript.finalize()
            }
            TranscriptKind::Keccak => {
                let mut transcript = EvmTranscript::new(Vec::new());
                prove(params, &proving_key, circuit, &instances, &mut transcript);
                transcript.finalize()
            }
        };
        let circuit_name = std::any::type_name::<C>()
            .rsplit("::")
            .next()
            .unwrap_or_default();
        let name = format!("{circuit_name}, {kind:?}");
        Self {
            name,
            params: params.clone(),
            halo2_key,
            key,
            instances,
            proof,
        }
    }

    /// The verdict of the independent verifier under this key.
    pub(crate) fn our_verdict(
        &self,
        instances: &[Vec<Fr>],
        proof: &[u8],
    ) -> Result<(), PlonkError> {
        verify_plonk(&self.key, &to_ark(instances), proof)
    }

    /// halo2's verdict under this key; a panic counts as a refusal.
    pub(crate) fn halo2_verdict(&self, instances: &[Vec<Fr>], proof: &[u8]) -> bool {
        match self.key.parts().transcript {
            TranscriptKind::Poseidon => {
                accepts_with_poseidon(&self.params, &self.halo2_key, instances, proof)
            }
            TranscriptKind::Keccak => {
                let mut transcript = EvmTranscript::new(proof);
                accepts(&self.params, &self.halo2_key, instances, &mut transcript)
            }
        }
    }
}

fn prove<C: Toy + Clone, E: EncodedChallenge<G1Affine>>(
    params: &ParamsKZG<Bn256>,
    key: &ProvingKey<G1Affine>,
    circuit: &C,
    instances: &[Vec<Fr>],
    transcript: &mut impl TranscriptWrite<G1Affine, E>,
) {
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    create_proof::<Scheme, ProverSHPLONK<'_, Bn256>, E, _, _, C>(
        params,
        key,
        std::slice::from_ref(circuit),
        &[&columns],
        ChaCha20Rng::seed_from_u64(11),
        transcript,
    )
    .expect("a proof of a satisfied circuit");
}
