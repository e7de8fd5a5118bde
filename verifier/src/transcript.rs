//! Fiat-Shamir transcripts: the verifier's side of two of them, equal byte for byte to the
//! `NativeLoader` transcripts of `snark-verifier` 0.2.7 that the prover writes with.
//!
//! | kind | used for | scalar in a proof | point in a proof | sponge |
//! |---|---|---|---|---|
//! | [`TranscriptKind::Poseidon`] | inner proofs (chunk, data, aggregation) | 32 bytes, little-endian | 32 bytes, halo2 compressed, identity permitted | `poseidon` |
//! | [`TranscriptKind::Keccak`] | the final proof, read by the base layer | 32 bytes, big-endian | 64 bytes, two big-endian words, identity refused | `keccak` |
//!
//! `Keccak` is snark-verifier's *EVM* transcript, not halo2's own `Keccak256Read`: the contract that
//! reads the final proof is generated from, or written against, the former.
//!
//! Whatever is read is absorbed. Absorbing alone (`Transcript::absorb_scalar`) is for what both
//! sides know already: the key's digest and the public inputs.

mod keccak;
mod poseidon;

use ark_bn254::{Fr, G1Affine};

use crate::field::{FIELD_BYTES, scalar_from_be, scalar_from_le};
use crate::plonk::PlonkError;
use crate::points::{g1_from_compressed, g1_from_words};

/// Which transcript, and with it which encoding of points and scalars, a proof uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TranscriptKind {
    /// Poseidon over the scalar field, width 3, rate 2, 8 full and 57 partial rounds.
    Poseidon,
    /// Keccak-256 over big-endian words, as snark-verifier's EVM transcript.
    Keccak,
}

impl TranscriptKind {
    /// Length of one scalar in a proof.
    #[must_use]
    pub const fn scalar_bytes(self) -> usize {
        FIELD_BYTES
    }

    /// Length of one point in a proof.
    #[must_use]
    pub const fn point_bytes(self) -> usize {
        match self {
            Self::Poseidon => FIELD_BYTES,
            Self::Keccak => 64,
        }
    }
}

enum Sponge {
    Poseidon(Box<poseidon::Sponge>),
    Keccak(keccak::Sponge),
}

/// Reads one proof from front to back and draws the challenges its prover had to use.
pub(crate) struct Transcript<'a> {
    sponge: Sponge,
    proof: &'a [u8],
    offset: usize,
}

impl<'a> Transcript<'a> {
    /// A transcript that has absorbed nothing yet.
    pub(crate) fn new(kind: TranscriptKind, proof: &'a [u8]) -> Result<Self, PlonkError> {
        let sponge = match kind {
            TranscriptKind::Poseidon => Sponge::Poseidon(Box::new(poseidon::Sponge::new()?)),
            TranscriptKind::Keccak => Sponge::Keccak(keccak::Sponge::new()),
        };
        Ok(Self {
            sponge,
            proof,
            offset: 0,
        })
    }

    /// Absorbs a scalar both sides know.
    pub(crate) fn absorb_scalar(&mut self, scalar: &Fr) {
        match &mut self.sponge {
            Sponge::Poseidon(sponge) => sponge.absorb_scalar(scalar),
            Sponge::Keccak(sponge) => sponge.absorb_scalar(scalar),
        }
    }

    /// Reads and absorbs the next scalar of the proof.
    pub(crate) fn read_scalar(&mut self) -> Result<Fr, PlonkError> {
        let offset = self.offset;
        let bytes = self.take()?;
        let scalar = match &self.sponge {
            Sponge::Poseidon(_) => scalar_from_le(bytes),
            Sponge::Keccak(_) => scalar_from_be(bytes),
        }
        .map_err(|source| PlonkError::InvalidScalar { offset, source })?;
        self.absorb_scalar(&scalar);
        Ok(scalar)
    }

    /// Reads and absorbs the next `count` scalars of the proof.
    pub(crate) fn read_scalars(&mut self, count: usize) -> Result<Vec<Fr>, PlonkError> {
        (0..count).map(|_| self.read_scalar()).collect()
    }

    /// Reads and absorbs the next point of the proof.
    pub(crate) fn read_point(&mut self) -> Result<G1Affine, PlonkError> {
        let offset = self.offset;
        let first = self.take()?;
        let point = match &self.sponge {
            Sponge::Poseidon(_) => g1_from_compressed(first),
            Sponge::Keccak(_) => {
                let second = self.take()?;
                g1_from_words(first, second)
            }
        }
        .map_err(|source| PlonkError::InvalidPoint { offset, source })?;
        match &mut self.sponge {
            Sponge::Poseidon(sponge) => sponge.absorb_point(&point),
            Sponge::Keccak(sponge) => sponge.absorb_point(&point),
        }
        Ok(point)
    }

    /// Reads and absorbs the next `count` points of the proof.
    pub(crate) fn read_points(&mut self, count: usize) -> Result<Vec<G1Affine>, PlonkError> {
        (0..count).map(|_| self.read_point()).collect()
    }

    /// Draws the next challenge.
    pub(crate) fn challenge(&mut self) -> Fr {
        match &mut self.sponge {
            Sponge::Poseidon(sponge) => sponge.squeeze(),
            Sponge::Keccak(sponge) => sponge.squeeze(),
        }
    }

    /// Checks that the whole proof has been read.
    pub(crate) fn finish(&self) -> Result<(), PlonkError> {
        if self.offset == self.proof.len() {
            Ok(())
        } else {
            Err(PlonkError::InvalidLength {
                expected: self.offset,
                found: self.proof.len(),
            })
        }
    }

    fn take(&mut self) -> Result<&'a [u8; FIELD_BYTES], PlonkError> {
        let bytes = self
            .proof
            .get(self.offset..)
            .and_then(|rest| rest.first_chunk::<FIELD_BYTES>())
            .ok_or(PlonkError::InvalidLength {
                expected: self.offset.saturating_add(FIELD_BYTES),
                found: self.proof.len(),
            })?;
        self.offset = self.offset.saturating_add(FIELD_BYTES);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
