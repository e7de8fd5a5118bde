//! halo2's side: real keys, real proofs, and halo2's own verdict on any bytes.

use std::cell::RefCell;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_proofs::plonk::{
    ProvingKey, VerifyingKey, create_proof, keygen_pk, keygen_vk_custom, verify_proof,
};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptRead, TranscriptWrite};
use prover::export::key_description;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::halo2::PoseidonTranscript;
use verifier::{KeyDescription, PlonkError, TranscriptKind, verify_plonk};

use super::circuits::Toy;
use super::evm::EvmTranscript;

type Scheme = KZGCommitmentScheme<Bn256>;

/// The transcript the project's inner proofs use.
type Poseidon<S> = PoseidonTranscript<G1Affine, NativeLoader, S, 3, 2, 8, 57>;

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
        let instances: Vec<Vec<_>> = instances
            .iter()
            .map(|column| column.iter().map(to_ark).collect())
            .collect();
        verify_plonk(&self.key, &instances, proof)
    }

    /// halo2's verdict under this key; a panic counts as a refusal.
    pub(crate) fn halo2_verdict(&self, instances: &[Vec<Fr>], proof: &[u8]) -> bool {
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        catch_unwind(AssertUnwindSafe(|| match self.key.parts().transcript {
            TranscriptKind::Poseidon => with_poseidon(proof, |transcript| {
                verify(&self.params, &self.halo2_key, &columns, transcript)
            }),
            TranscriptKind::Keccak => {
                let mut transcript = EvmTranscript::new(proof);
                verify(&self.params, &self.halo2_key, &columns, &mut transcript)
            }
        }))
        .unwrap_or(false)
    }
}

/// A scalar of halo2curves as one of arkworks, by its canonical bytes.
pub(crate) fn to_ark(scalar: &Fr) -> ark_bn254::Fr {
    verifier::field::scalar_from_le(&scalar.to_bytes()).expect("canonical bytes")
}

/// Making the constants of a Poseidon transcript takes longer than verifying a small proof: one
/// transcript a thread is made and reset for each use.
fn with_poseidon<R>(proof: &[u8], use_it: impl FnOnce(&mut Poseidon<Cursor<Vec<u8>>>) -> R) -> R {
    thread_local! {
        static TRANSCRIPT: RefCell<Poseidon<Cursor<Vec<u8>>>> =
            RefCell::new(Poseidon::<Cursor<Vec<u8>>>::new::<0>(Cursor::new(Vec::new())));
    }
    TRANSCRIPT.with_borrow_mut(|transcript| {
        transcript.new_stream(Cursor::new(proof.to_vec()));
        use_it(transcript)
    })
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

fn verify<E: EncodedChallenge<G1Affine>>(
    params: &ParamsKZG<Bn256>,
    key: &VerifyingKey<G1Affine>,
    columns: &[&[Fr]],
    transcript: &mut impl TranscriptRead<G1Affine, E>,
) -> bool {
    let strategy = SingleStrategy::new(params);
    verify_proof::<Scheme, VerifierSHPLONK<'_, Bn256>, E, _, _>(
        params,
        key,
        strategy,
        &[columns],
        transcript,
    )
    .is_ok()
}
