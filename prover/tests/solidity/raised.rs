//! A prover that writes one number of its proof in a second form: a scalar plus r, or a coordinate
//! plus q. Its transcript has absorbed what it wrote, so that everything follows from it and nothing
//! but the form is wrong. A verifier that reduces accepts such a proof.

use std::io;

use halo2_proofs::plonk::create_proof;
use halo2_proofs::poly::kzg::commitment::KZGCommitmentScheme;
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fq, Fr, G1Affine};
use halo2curves::ff::{FromUniformBytes, PrimeField};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha3::{Digest, Keccak256};

use super::case::{Claim, Keys, LIMBS, Toy, Word, word};
use super::mutation::{modulus, sum};

/// Writes as the Keccak transcript does, but for one word.
struct Raised {
    /// All words the transcript absorbs, from the key's digest on, without those of digests.
    words: Vec<u8>,
    pending: Vec<u8>,
    /// Which word is written in its second form.
    at: usize,
    /// Whether it was: not every number plus its modulus fits a word.
    done: bool,
}

struct Challenge(Fr);

impl EncodedChallenge<G1Affine> for Challenge {
    type Input = Word;

    fn new(digest: &Word) -> Self {
        let mut wide = [0; 64];
        for (byte, digit) in wide.iter_mut().zip(digest.iter().rev()) {
            *byte = *digit;
        }
        Self(Fr::from_uniform_bytes(&wide))
    }

    fn get_scalar(&self) -> Fr {
        self.0
    }
}

impl Raised {
    fn absorb<F: PrimeField<Repr = Word>>(&mut self, number: &F) {
        let mut bytes = word(number);
        if self.words.len() == self.at * 32
            && let Some(raised) = sum(&bytes, &modulus::<F>())
        {
            bytes = raised;
            self.done = true;
        }
        self.words.extend(bytes);
        self.pending.extend(bytes);
    }
}

impl Transcript<G1Affine, Challenge> for Raised {
    fn squeeze_challenge(&mut self) -> Challenge {
        if self.pending.len() == 32 {
            self.pending.push(1);
        }
        let digest: Word = Keccak256::digest(&self.pending).into();
        self.pending = digest.to_vec();
        Challenge::new(&digest)
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.absorb::<Fq>(&point.x);
        self.absorb::<Fq>(&point.y);
        Ok(())
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.absorb::<Fr>(&scalar);
        Ok(())
    }
}

impl TranscriptWrite<G1Affine, Challenge> for Raised {
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.common_point(point)
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.common_scalar(scalar)
    }
}

/// A claim whose word `at`, counted from the key's digest, is in its second form. `None` if that does
/// not fit a word.
pub(crate) fn claim<C: Toy>(keys: &Keys, circuit: &C, at: usize) -> Option<Claim> {
    let inputs = circuit.inputs();
    let mut transcript = Raised {
        words: Vec::new(),
        pending: Vec::new(),
        at,
        done: false,
    };
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, Challenge, _, _, _>(
        keys.string.params(),
        &keys.proving_key,
        std::slice::from_ref(circuit),
        &[&[&inputs]],
        ChaCha20Rng::seed_from_u64(12),
        &mut transcript,
    )
    .expect("a proof");
    transcript.done.then(|| {
        let words = transcript.words.as_chunks::<32>().0;
        // The key's digest is not sent.
        let (limbs, rest) = words[1..].split_at(LIMBS);
        let (inputs, proof) = rest.split_at(inputs.len() - LIMBS);
        Claim {
            inputs: inputs.to_vec(),
            proof: [limbs.concat(), proof.concat()].concat(),
        }
    })
}
