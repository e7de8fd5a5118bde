//! halo2's own verifier as the other opinion: on any key, and on the project's two circuits.
//!
//! Keys of the circuits come from the same cache as the node's (`QUORATE_CACHE`, else
//! `~/.cache/quorate`), where they are found by the circuit's digest: a changed circuit never meets
//! an old key. Shapes, sizes and numbers of public inputs are the circuits', none is repeated here.

use std::cell::RefCell;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use circuits::data::DataShape;
use circuits::instance;
use circuits::lanes::LaneShape;
use halo2_proofs::halo2curves::bn256::{Bn256, Fr, G1Affine};
use halo2_proofs::plonk::{Circuit, VerifyingKey, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{EncodedChallenge, TranscriptRead};
use prover::export::key_description;
use prover::keys::KeyCache;
use prover::srs::{ReferenceString, StringCache};
use snark_verifier::loader::native::NativeLoader;
use snark_verifier::system::halo2::transcript::halo2::PoseidonTranscript;
use verifier::golden::CircuitName;
use verifier::{KeyDescription, PlonkError, TranscriptKind, verify_plonk};

/// The transcript the project's inner proofs use.
pub type Poseidon<S> = PoseidonTranscript<G1Affine, NativeLoader, S, 3, 2, 8, 57>;

/// Columns of halo2curves' scalars as arkworks', by their canonical bytes.
///
/// # Panics
/// Never: halo2curves writes canonical bytes.
#[must_use]
pub fn to_ark(instances: &[Vec<Fr>]) -> Vec<Vec<ark_bn254::Fr>> {
    let scalar =
        |scalar: &Fr| verifier::field::scalar_from_le(&scalar.to_bytes()).expect("canonical bytes");
    let columns = instances.iter();
    columns
        .map(|column| column.iter().map(scalar).collect())
        .collect()
}

/// halo2's verdict on what a transcript reads; a panic counts as a refusal, and bytes that the
/// transcript has left are not looked at.
pub fn accepts<E: EncodedChallenge<G1Affine>>(
    params: &ParamsKZG<Bn256>,
    key: &VerifyingKey<G1Affine>,
    instances: &[Vec<Fr>],
    transcript: &mut impl TranscriptRead<G1Affine, E>,
) -> bool {
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let verdict = catch_unwind(AssertUnwindSafe(|| {
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, E, _, _>(
            params,
            key,
            SingleStrategy::new(params),
            &[&columns],
            transcript,
        )
        .is_ok()
    }));
    verdict.unwrap_or(false)
}

/// [`accepts`] on the bytes of a proof under the Poseidon transcript.
///
/// Making the constants of a transcript takes longer than verifying a small proof: each thread keeps
/// those it has made. One is taken out while it is in use, and dropped if halo2 panics.
#[must_use]
pub fn accepts_with_poseidon(
    params: &ParamsKZG<Bn256>,
    key: &VerifyingKey<G1Affine>,
    instances: &[Vec<Fr>],
    proof: &[u8],
) -> bool {
    thread_local! {
        static SPARE: RefCell<Vec<Poseidon<Cursor<Vec<u8>>>>> = const { RefCell::new(Vec::new()) };
    }
    let mut transcript = SPARE
        .with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| Poseidon::new::<0>(Cursor::new(Vec::new())));
    transcript.new_stream(Cursor::new(proof.to_vec()));
    let verdict = accepts(params, key, instances, &mut transcript);
    SPARE.with_borrow_mut(|spare| spare.push(transcript));
    verdict
}

/// Where strings and keys are kept.
///
/// # Panics
/// Without a home directory.
#[must_use]
pub fn cache() -> PathBuf {
    let home = || {
        let home = std::env::home_dir().expect("a home directory");
        home.join(".cache/quorate")
    };
    std::env::var_os("QUORATE_CACHE").map_or_else(home, PathBuf::from)
}

/// One of the project's circuits under the development string, as both verifiers see it.
pub struct RealCircuit {
    /// The description the independent verifier works with.
    pub key: KeyDescription,
    string: ReferenceString,
    halo2_key: VerifyingKey<G1Affine>,
}

impl RealCircuit {
    /// Loads the key from the cache, or makes it.
    #[must_use]
    pub fn load(kind: CircuitName) -> Self {
        match kind {
            CircuitName::Chunk => {
                let shape = LaneShape::protocol();
                let (k, circuit) = (shape.k(), shape.circuit());
                Self::of("chunk", k, &circuit, instance::chunk::LEN)
            }
            CircuitName::Data => {
                let shape = DataShape::protocol();
                let (k, circuit) = (shape.k(), shape.circuit());
                Self::of("data", k, &circuit, instance::data::LEN)
            }
        }
    }

    fn of<C: Circuit<Fr>>(name: &str, k: u32, circuit: &C, public_inputs: usize) -> Self {
        let string = StringCache::new(cache()).insecure_development(k);
        let string = string.expect("the development string");
        let keys = KeyCache::new(cache()).load_or_generate(name, &string, circuit);
        let halo2_key = keys.expect("keys of the circuit").pk.get_vk().clone();
        let (params, poseidon) = (string.params(), TranscriptKind::Poseidon);
        let key = key_description(&halo2_key, params, poseidon, &[public_inputs]);
        let key = key.expect("the circuit's key can be described");
        Self {
            key,
            string,
            halo2_key,
        }
    }

    /// The independent verifier's verdict.
    ///
    /// # Errors
    /// Why it refuses.
    pub fn our_verdict(&self, instances: &[Vec<Fr>], proof: &[u8]) -> Result<(), PlonkError> {
        verify_plonk(&self.key, &to_ark(instances), proof)
    }

    /// halo2's verdict.
    #[must_use]
    pub fn halo2_verdict(&self, instances: &[Vec<Fr>], proof: &[u8]) -> bool {
        accepts_with_poseidon(self.string.params(), &self.halo2_key, instances, proof)
    }
}
