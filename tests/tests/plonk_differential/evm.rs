//! The Keccak transcript for halo2's prover and verifier.
//!
//! It is snark-verifier 0.2.7's `EvmTranscript` over the `NativeLoader`, written again: that one is
//! behind a feature that brings 85 packages into the lock file. The golden values of the test below
//! were printed by the original; `verifier`'s own test has the same.
//!
//! Unlike the independent verifier this side takes the identity, as the original does natively.

use std::io::{self, Read, Write};

use halo2_proofs::halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptRead, TranscriptWrite};
use halo2curves::CurveAffine;
use halo2curves::ff::{FromUniformBytes, PrimeField};
use protocol::hash::keccak256;

/// A transcript over a proof that is read or written.
pub(crate) struct EvmTranscript<S> {
    stream: S,
    pending: Vec<u8>,
}

impl<S> EvmTranscript<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            pending: Vec::new(),
        }
    }

    pub(crate) fn finalize(self) -> S {
        self.stream
    }
}

/// A digest, reduced modulo r.
pub(crate) struct EvmChallenge(Fr);

impl EncodedChallenge<G1Affine> for EvmChallenge {
    type Input = [u8; 32];

    fn new(digest: &[u8; 32]) -> Self {
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

/// A number as the EVM writes it.
fn word<F: PrimeField<Repr = [u8; 32]>>(number: F) -> [u8; 32] {
    let mut word = number.to_repr();
    word.reverse();
    word
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<S> Transcript<G1Affine, EvmChallenge> for EvmTranscript<S> {
    fn squeeze_challenge(&mut self) -> EvmChallenge {
        if self.pending.len() == 32 {
            self.pending.push(1);
        }
        let digest = keccak256(&self.pending);
        self.pending = digest.to_vec();
        EvmChallenge::new(&digest)
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.pending.extend(word(point.x));
        self.pending.extend(word(point.y));
        Ok(())
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.pending.extend(word(scalar));
        Ok(())
    }
}

impl<S: Read> EvmTranscript<S> {
    fn read_number<F: PrimeField<Repr = [u8; 32]>>(&mut self) -> io::Result<F> {
        let mut bytes = [0; 32];
        self.stream.read_exact(&mut bytes)?;
        bytes.reverse();
        Option::from(F::from_repr(bytes)).ok_or_else(|| invalid("number above the modulus"))
    }
}

impl<S: Read> TranscriptRead<G1Affine, EvmChallenge> for EvmTranscript<S> {
    fn read_point(&mut self) -> io::Result<G1Affine> {
        let (x, y) = (self.read_number::<Fq>()?, self.read_number::<Fq>()?);
        let point = Option::from(G1Affine::from_xy(x, y)).ok_or_else(|| invalid("no point"))?;
        self.common_point(point)?;
        Ok(point)
    }

    fn read_scalar(&mut self) -> io::Result<Fr> {
        let scalar = self.read_number()?;
        self.common_scalar(scalar)?;
        Ok(scalar)
    }
}

impl<S: Write> TranscriptWrite<G1Affine, EvmChallenge> for EvmTranscript<S> {
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.common_point(point)?;
        self.stream.write_all(&word(point.x))?;
        self.stream.write_all(&word(point.y))
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.common_scalar(scalar)?;
        self.stream.write_all(&word(scalar))
    }
}

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
fn the_keccak_transcript_is_snark_verifiers() {
    use halo2curves::group::Curve;

    let point = (G1Affine::generator() * Fr::from(5)).to_affine();
    let mut transcript = EvmTranscript::new(Vec::new());
    let mut challenges = Vec::new();
    let mut draw = |transcript: &mut EvmTranscript<Vec<u8>>| {
        challenges.push(format!("{:?}", transcript.squeeze_challenge().get_scalar()));
    };
    transcript.common_scalar(Fr::from(7)).expect("memory");
    draw(&mut transcript);
    draw(&mut transcript);
    transcript.write_point(point).expect("memory");
    transcript.write_scalar(-Fr::from(3)).expect("memory");
    draw(&mut transcript);
    transcript.write_point(-point).expect("memory");
    transcript.write_scalar(Fr::from(1)).expect("memory");
    transcript.write_scalar(Fr::from(2)).expect("memory");
    for _ in 0..3 {
        draw(&mut transcript);
    }
    assert_eq!(challenges, GOLDEN);

    let written = transcript.finalize();
    let mut reader = EvmTranscript::new(written.as_slice());
    assert_eq!(reader.read_point().expect("as written"), point);
    assert_eq!(reader.read_scalar().expect("as written"), -Fr::from(3));
    assert_eq!(reader.read_point().expect("as written"), -point);
}
