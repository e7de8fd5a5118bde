//! The Keccak-256 sponge of snark-verifier's EVM transcript.
//!
//! The state is a byte string. Scalars and coordinates are appended as big-endian words. A challenge
//! is the digest of the string, read big-endian and reduced modulo r; the unreduced digest becomes
//! the new string. If nothing but a digest is in the string (32 bytes), one byte `0x01` is appended
//! before hashing, so that two challenges in a row differ. Points are never the identity here (the
//! reader refuses it).

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::PrimeField;
use sha3::{Digest, Keccak256};

use crate::field::{FIELD_BYTES, coordinate_to_le, reversed, scalar_to_le};

/// Appended before a challenge that follows a challenge directly.
const CONSECUTIVE_CHALLENGE: u8 = 1;

pub(super) struct Sponge {
    pending: Vec<u8>,
}

impl Sponge {
    pub(super) fn new() -> Self {
        Self {
            pending: Vec::new(),
        }
    }

    pub(super) fn absorb_scalar(&mut self, scalar: &Fr) {
        self.pending.extend(reversed(&scalar_to_le(scalar)));
    }

    pub(super) fn absorb_point(&mut self, point: &G1Affine) {
        for coordinate in point.xy().into_iter().flat_map(|(x, y)| [x, y]) {
            self.pending
                .extend(reversed(&coordinate_to_le(&coordinate)));
        }
    }

    pub(super) fn squeeze(&mut self) -> Fr {
        if self.pending.len() == FIELD_BYTES {
            self.pending.push(CONSECUTIVE_CHALLENGE);
        }
        let digest: [u8; FIELD_BYTES] = Keccak256::digest(&self.pending).into();
        self.pending = digest.to_vec();
        Fr::from_be_bytes_mod_order(&digest)
    }
}
