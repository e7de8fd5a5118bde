//! A circuit with its key, a proof, and the verdicts of the verifier over arkworks.

use halo2_proofs::plonk::{Circuit, ProvingKey, keygen_pk, keygen_vk};
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::ff::PrimeField;
use prover::export::key_description;
use prover::progress::ignore_progress;
use prover::proof::prove_with;
use prover::solidity::{VerifierOptions, final_verifier_source};
use prover::srs::ReferenceString;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use verifier::field::{Scalar, scalar_from_be};
use verifier::{KeyDescription, TranscriptKind, verify_accumulating, verify_plonk};

/// Limbs of an accumulator.
pub(crate) const LIMBS: usize = 12;

/// A word of calldata.
pub(crate) type Word = [u8; 32];

/// A circuit whose witness holds its public inputs.
pub(crate) trait Toy: Circuit<Fr> + Clone {
    /// log2 of the rows.
    fn k(&self) -> u32;
    /// The public inputs, an accumulator's limbs included.
    fn inputs(&self) -> Vec<Fr>;
}

/// What a caller of the contract sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Public inputs behind the accumulator.
    pub(crate) inputs: Vec<Word>,
    /// Limbs of the accumulator, then the proof.
    pub(crate) proof: Vec<u8>,
}

/// Keys of a circuit.
pub(crate) struct Keys {
    pub(crate) string: ReferenceString,
    pub(crate) description: KeyDescription,
    pub(crate) accumulator: bool,
    pub(crate) proving_key: ProvingKey<G1Affine>,
}

impl Keys {
    /// Generates keys under the development string.
    pub(crate) fn new<C: Toy>(circuit: &C, accumulator: bool) -> Self {
        Self::with_transcript(circuit, accumulator, TranscriptKind::Keccak)
    }

    /// The same for another transcript.
    pub(crate) fn with_transcript<C: Toy>(
        circuit: &C,
        accumulator: bool,
        transcript: TranscriptKind,
    ) -> Self {
        let string = ReferenceString::insecure_development(circuit.k()).expect("a string");
        let params = string.params();
        let key = keygen_vk(params, circuit).expect("a key");
        let proving_key = keygen_pk(params, key, circuit).expect("a proving key");
        let lens = [circuit.inputs().len()];
        let key = proving_key.get_vk();
        let description = key_description(key, params, transcript, &lens).expect("a description");
        Self {
            string,
            description,
            accumulator,
            proving_key,
        }
    }

    /// The contract's source.
    pub(crate) fn source(&self, contract: &str) -> String {
        let accumulator = self.accumulator;
        let options = VerifierOptions {
            contract,
            accumulator,
        };
        final_verifier_source(&self.description, options).expect("a source")
    }

    /// Proves the circuit.
    pub(crate) fn claim<C: Toy>(&self, circuit: &C) -> Claim {
        let inputs = circuit.inputs();
        let transcript = self.description.parts().transcript;
        let proof = prove_with(
            transcript,
            self.string.params(),
            &self.proving_key,
            circuit,
            &[&inputs],
            ChaCha20Rng::seed_from_u64(11),
            &ignore_progress,
        )
        .expect("a proof");
        let mut words: Vec<Word> = inputs.iter().map(word).collect();
        let inputs = words.split_off(self.limbs());
        Claim {
            inputs,
            proof: [words.concat(), proof].concat(),
        }
    }

    fn limbs(&self) -> usize {
        if self.accumulator { LIMBS } else { 0 }
    }

    /// The public inputs and the proof behind the limbs, if the words are canonical.
    fn read(&self, claim: &Claim) -> Option<(Vec<Scalar>, Vec<u8>)> {
        let (limbs, proof) = claim.proof.split_at_checked(self.limbs() * 32)?;
        let limbs = limbs.as_chunks::<32>().0;
        let words = limbs.iter().chain(&claim.inputs);
        let inputs: Result<_, _> = words.map(scalar_from_be).collect();
        Some((inputs.ok()?, proof.to_vec()))
    }

    /// The verdict of the verifier over arkworks.
    pub(crate) fn verdict(&self, claim: &Claim) -> bool {
        self.read(claim).is_some_and(|(inputs, proof)| {
            let decide = if self.accumulator {
                verify_accumulating
            } else {
                verify_plonk
            };
            decide(&self.description, &[inputs], &proof).is_ok()
        })
    }

    /// Its verdict on the proof, whatever the accumulator says.
    pub(crate) fn verdict_on_the_proof(&self, claim: &Claim) -> bool {
        self.read(claim).is_some_and(|(inputs, proof)| {
            verify_plonk(&self.description, &[inputs], &proof).is_ok()
        })
    }
}

/// A number as the EVM writes it.
pub(crate) fn word<F: PrimeField<Repr = Word>>(number: &F) -> Word {
    let mut word = number.to_repr();
    word.reverse();
    word
}
