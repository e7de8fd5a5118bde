//! The transcript of the final proof: Keccak-256 over words as the EVM has them, as the contract
//! reads it.
//!
//! It is the writing half of snark-verifier 0.2.7's `EvmTranscript` over its `NativeLoader`, written
//! again since that one is behind a feature that brings 85 packages. The reading half is
//! `verifier::transcript`; the golden values below and there were printed by the original.
//!
//! Invariant: no point is the identity. Readers refuse it, so writing it is an error at once: a
//! circuit that declares more degree than it has would otherwise make proofs nobody accepts.

use std::io;

use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::ff::{FromUniformBytes, PrimeField};
use halo2curves::group::prime::PrimeCurveAffine;
use sha3::{Digest, Keccak256};

/// Hashed with a digest that nothing follows, so that two challenges in a row differ.
const CONSECUTIVE_CHALLENGE: u8 = 1;

/// Length of a word.
const WORD_BYTES: usize = 32;

/// A proof being written.
#[derive(Debug, Default)]
pub(crate) struct Keccak {
    proof: Vec<u8>,
    pending: Vec<u8>,
}

impl Keccak {
    /// The proof.
    pub(crate) fn finalize(self) -> Vec<u8> {
        self.proof
    }
}

/// A digest, reduced modulo r.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeccakChallenge(Fr);

impl EncodedChallenge<G1Affine> for KeccakChallenge {
    type Input = [u8; WORD_BYTES];

    fn new(digest: &[u8; WORD_BYTES]) -> Self {
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

fn word<F: PrimeField<Repr = [u8; WORD_BYTES]>>(number: F) -> [u8; WORD_BYTES] {
    let mut word = number.to_repr();
    word.reverse();
    word
}

fn words(point: G1Affine) -> io::Result<[u8; 2 * WORD_BYTES]> {
    if bool::from(point.is_identity()) {
        let kind = io::ErrorKind::InvalidData;
        let message = "a commitment is the identity, which contracts refuse: \
                       declare the circuit's true degree";
        return Err(io::Error::new(kind, message));
    }
    let mut words = [0; 2 * WORD_BYTES];
    let (x, y) = words.split_at_mut(WORD_BYTES);
    x.copy_from_slice(&word(point.x));
    y.copy_from_slice(&word(point.y));
    Ok(words)
}

impl Transcript<G1Affine, KeccakChallenge> for Keccak {
    fn squeeze_challenge(&mut self) -> KeccakChallenge {
        if self.pending.len() == WORD_BYTES {
            self.pending.push(CONSECUTIVE_CHALLENGE);
        }
        let digest: [u8; WORD_BYTES] = Keccak256::digest(&self.pending).into();
        self.pending = digest.to_vec();
        KeccakChallenge::new(&digest)
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.pending.extend(words(point)?);
        Ok(())
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.pending.extend(word(scalar));
        Ok(())
    }
}

impl TranscriptWrite<G1Affine, KeccakChallenge> for Keccak {
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.common_point(point)?;
        self.proof.extend(words(point)?);
        Ok(())
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.common_scalar(scalar)?;
        self.proof.extend(word(scalar));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptWrite};
    use halo2curves::bn256::{Fr, G1Affine};
    use halo2curves::group::Curve;
    use halo2curves::group::prime::PrimeCurveAffine;

    use super::Keccak;

    /// Challenges snark-verifier 0.2.7's `EvmTranscript` gave for the calls below.
    const GOLDEN: [&str; 6] = [
        "0x2a3f92cc60e387e8839433c297b16373a8cb2d8e5b1970a1a817521b5e3a13ca",
        "0x3039f28f6853e30de98d3eb4486bebad2efc13c15527c893b197b270206e7dcf",
        "0x1eb280f248121f33d9d31dc2e8895f49c56cc9bd7c4bcabae9c7be428d64f72e",
        "0x030ae200b277900403a221cf4ee8b7fadf778b8aa982f4490d046b9da9a05e2e",
        "0x1cedd87d51c4f4f998deff904ba18baab86b7241a8212ca52fd471b90fcf84e1",
        "0x2af1cbfb83097513cbd9e86db74fa0c430833b655095a49d878c11bb02af548b",
    ];

    #[test]
    fn challenges_are_snark_verifiers() {
        let point = (G1Affine::generator() * Fr::from(5)).to_affine();
        let mut transcript = Keccak::default();
        let mut challenges = Vec::new();
        let mut draw = |transcript: &mut Keccak| {
            challenges.push(format!("{:?}", transcript.squeeze_challenge().get_scalar()));
        };
        transcript.common_scalar(Fr::from(7)).unwrap();
        draw(&mut transcript);
        draw(&mut transcript);
        transcript.write_point(point).unwrap();
        transcript.write_scalar(-Fr::from(3)).unwrap();
        draw(&mut transcript);
        transcript.write_point(-point).unwrap();
        transcript.write_scalar(Fr::from(1)).unwrap();
        transcript.write_scalar(Fr::from(2)).unwrap();
        for _ in 0..3 {
            draw(&mut transcript);
        }
        assert_eq!(challenges, GOLDEN);
        assert_eq!(transcript.finalize().len(), 2 * 64 + 3 * 32);
    }

    #[test]
    fn the_identity_is_not_written() {
        let mut transcript = Keccak::default();
        assert!(transcript.write_point(G1Affine::identity()).is_err());
        assert!(transcript.finalize().is_empty());
    }
}
