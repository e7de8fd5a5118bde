//! The reading half of the final proof's transcript, for halo2's own verifier: Keccak-256 over words as the EVM has them.
//!
//! The writing half is `prover::transcript`, the reading half of our own verifier is `verifier::transcript`; this one shares no
//! code with either. Points are two big-endian words, never the identity; scalars one word below r.

use std::io;

use alloy_primitives::keccak256;
use halo2_proofs::halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptRead};
use halo2curves::CurveAffine;
use halo2curves::ff::{FromUniformBytes, PrimeField};
use halo2curves::group::prime::PrimeCurveAffine;

const WORD: usize = 32;

/// A proof being read.
pub struct KeccakReader<'a> {
    rest: &'a [u8],
    pending: Vec<u8>,
}

/// A digest, reduced modulo r.
#[derive(Clone, Copy, Debug)]
pub struct Digested(Fr);

impl EncodedChallenge<G1Affine> for Digested {
    type Input = [u8; WORD];

    fn new(digest: &[u8; WORD]) -> Self {
        let mut wide = [0; 2 * WORD];
        wide[..WORD].copy_from_slice(digest);
        wide[..WORD].reverse();
        Self(Fr::from_uniform_bytes(&wide))
    }

    fn get_scalar(&self) -> Fr {
        self.0
    }
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// A number below the modulus from a big-endian word.
fn number<F: PrimeField<Repr = [u8; WORD]>>(mut word: [u8; WORD]) -> io::Result<F> {
    word.reverse();
    Option::from(F::from_repr(word)).ok_or_else(|| refused("a number of the modulus or more"))
}

fn word<F: PrimeField<Repr = [u8; WORD]>>(number: F) -> [u8; WORD] {
    let mut word = number.to_repr();
    word.reverse();
    word
}

impl<'a> KeccakReader<'a> {
    /// Reads these bytes.
    #[must_use]
    pub fn new(proof: &'a [u8]) -> Self {
        Self {
            rest: proof,
            pending: Vec::new(),
        }
    }

    /// Whether all bytes were read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn word(&mut self) -> io::Result<[u8; WORD]> {
        let (word, rest) = self
            .rest
            .split_first_chunk::<WORD>()
            .ok_or_else(|| refused("the proof is cut off"))?;
        self.rest = rest;
        Ok(*word)
    }
}

impl Transcript<G1Affine, Digested> for KeccakReader<'_> {
    fn squeeze_challenge(&mut self) -> Digested {
        if self.pending.len() == WORD {
            self.pending.push(1); // two challenges in a row differ
        }
        let digest = keccak256(&self.pending);
        self.pending = digest.to_vec();
        Digested::new(&digest)
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        if bool::from(point.is_identity()) {
            return Err(refused("the identity"));
        }
        self.pending.extend(word(point.x));
        self.pending.extend(word(point.y));
        Ok(())
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.pending.extend(word(scalar));
        Ok(())
    }
}

impl TranscriptRead<G1Affine, Digested> for KeccakReader<'_> {
    fn read_point(&mut self) -> io::Result<G1Affine> {
        let (x, y): (Fq, Fq) = (number(self.word()?)?, number(self.word()?)?);
        let point = Option::from(G1Affine::from_xy(x, y));
        let point: G1Affine = point.ok_or_else(|| refused("a point that is not on the curve"))?;
        self.common_point(point)?;
        Ok(point)
    }

    fn read_scalar(&mut self) -> io::Result<Fr> {
        let scalar = number(self.word()?)?;
        self.common_scalar(scalar)?;
        Ok(scalar)
    }
}
