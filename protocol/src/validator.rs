//! Validator keys and signatures on secp256k1, so that `ecrecover` can judge them on the base layer (`protocol.md`,
//! "Domain, keys, signatures"), and the weighted sets they form.
//!
//! Every signed message is `keccak256(abi.encode(name, words..))`, its first word the chain's domain: a contract
//! rebuilds the digest from calldata. What this module does not do: say what the messages mean (`vote`, `certificate`).

mod set;

use borsh::{BorshDeserialize, BorshSerialize};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};

pub use set::{TOTAL_WEIGHT_MAX, VALIDATORS_MAX, Validator, ValidatorSet, ValidatorSetError};

use crate::{account::L1Address, codec::abi_encode_tagged, hash::keccak256};

/// r or s is out of range, s is in the upper half, the recovery id is not 0 or 1, or no key can be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed secp256k1 signature")]
pub struct MalformedSignature;

/// A secp256k1 signature: r, s (32 bytes big-endian each, s in the lower half), recovery id 0 or 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct ValidatorSignature(pub [u8; 65]);

impl std::fmt::Debug for ValidatorSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl ValidatorSignature {
    /// Address of the key that signed `digest`. Exactly one encoding per signature is accepted.
    ///
    /// # Errors
    /// [`MalformedSignature`].
    pub fn signer(&self, digest: &[u8; 32]) -> Result<L1Address, MalformedSignature> {
        let (body, recovery) = self.0.split_at(64);
        let signature = Signature::from_slice(body).map_err(|_| MalformedSignature)?;
        let recovery = recovery
            .first()
            .copied()
            .filter(|id| *id < 2)
            .and_then(RecoveryId::from_byte)
            .ok_or(MalformedSignature)?;
        if signature.normalize_s().is_some() {
            return Err(MalformedSignature);
        }
        VerifyingKey::recover_from_prehash(digest, &signature, recovery)
            .map(|key| address_of(&key))
            .map_err(|_| MalformedSignature)
    }

    /// Whether `validator` signed `digest`.
    #[must_use]
    pub fn is_by(&self, validator: &L1Address, digest: &[u8; 32]) -> bool {
        self.signer(digest).as_ref() == Ok(validator)
    }
}

/// A validator's signing key.
#[derive(Clone)]
pub struct ValidatorKey(SigningKey);

impl std::fmt::Debug for ValidatorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ValidatorKey({})", self.address())
    }
}

impl ValidatorKey {
    /// The key of a 32-byte big-endian scalar; `None` if it is 0 or not below the group order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(bytes).ok().map(Self)
    }

    /// Its Ethereum address.
    #[must_use]
    pub fn address(&self) -> L1Address {
        address_of(self.0.verifying_key())
    }

    /// Signs a digest, deterministically (RFC 6979): the same message never gets a second signature.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> ValidatorSignature {
        let (signature, recovery) = self
            .0
            .sign_prehash_recoverable(digest)
            .expect("signing a 32-byte digest with a valid key cannot fail");
        let mut bytes = [0; 65];
        let (head, tail) = bytes.split_at_mut(64);
        head.copy_from_slice(&signature.to_bytes());
        tail.copy_from_slice(&[recovery.to_byte()]);
        ValidatorSignature(bytes)
    }
}

fn address_of(key: &VerifyingKey) -> L1Address {
    let point = key.to_encoded_point(false);
    let digest = keccak256(point.as_bytes().get(1..).unwrap_or(&[]));
    let mut address = [0; 20];
    address.copy_from_slice(digest.split_at(12).1);
    L1Address(address)
}

/// `keccak256(abi.encode(name, words..))`: what validators and builders sign.
#[must_use]
pub(crate) fn digest(name: &str, words: &[[u8; 32]]) -> [u8; 32] {
    keccak256(&abi_encode_tagged(name, words))
}

/// An address as a 32-byte big-endian word.
pub(crate) fn address_word(address: &L1Address) -> [u8; 32] {
    let mut word = [0; 32];
    word.split_at_mut(12).1.copy_from_slice(&address.0);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_ethereums() {
        // Published first account of the "test test ... junk" mnemonic.
        let key = ValidatorKey::from_bytes(
            &hex::decode("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
                .unwrap()
                .try_into()
                .unwrap(),
        )
        .unwrap();
        assert_eq!(
            key.address().to_string(),
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
        );
    }

    #[test]
    fn signature_binds_digest_and_key() {
        let key = ValidatorKey::from_bytes(&[5; 32]).unwrap();
        let message = digest("QUORATE/protocol/test/v1", &[[1; 32]]);
        let good = key.sign(&message);
        assert!(good.is_by(&key.address(), &message));
        assert_eq!(good, key.sign(&message), "signing is deterministic");
        assert!(!good.is_by(&key.address(), &[7; 32]));
        assert!(!good.is_by(&L1Address([7; 20]), &message));
        for byte in 0..65 {
            let mut bad = good;
            bad.0[byte] ^= 1;
            assert!(!bad.is_by(&key.address(), &message), "byte {byte}");
        }
    }

    #[test]
    fn the_second_spelling_of_a_signature_is_refused() {
        let key = ValidatorKey::from_bytes(&[5; 32]).unwrap();
        let good = key.sign(&[9; 32]);
        let body = Signature::from_slice(&good.0[..64]).unwrap();
        let (r, s) = body.split_scalars();
        let high = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        let mut other = good;
        other.0[..64].copy_from_slice(&high.to_bytes());
        other.0[64] ^= 1;
        assert_eq!(other.signer(&[9; 32]), Err(MalformedSignature));
        let mut shifted = good;
        shifted.0[64] += 27;
        assert_eq!(shifted.signer(&[9; 32]), Err(MalformedSignature));
    }
}
