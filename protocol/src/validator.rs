//! Validator keys and block certificates on secp256k1, so that `ecrecover` can judge them on the base layer
//! (`protocol.md`, "Domain, keys, signatures"). One key certifies here; sets and weights come with the sequencer
//! set.

use borsh::{BorshDeserialize, BorshSerialize};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};

use crate::{
    account::L1Address,
    block::BlockId,
    codec::{abi_encode_tagged, abi_word, field_to_be_bytes},
    hash::keccak256,
    number::Height,
    transaction::Domain,
};

/// Why a certificate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// r or s is out of range, s is in the upper half, or no key can be recovered.
    #[error("malformed secp256k1 signature")]
    Malformed,
    /// Signed by another key.
    #[error("signed by {actual}, expected {expected}")]
    WrongSigner {
        /// Address of the validator.
        expected: L1Address,
        /// Address recovered.
        actual: L1Address,
    },
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

    /// Certifies a block.
    #[must_use]
    pub fn certify(&self, domain: &Domain, height: Height, block: BlockId) -> BlockCertificate {
        let digest = certificate_digest(domain, height, block);
        let (signature, recovery) = self
            .0
            .sign_prehash_recoverable(&digest)
            .expect("signing a 32-byte digest with a valid key cannot fail");
        let mut bytes = [0; 65];
        let (head, tail) = bytes.split_at_mut(64);
        head.copy_from_slice(&signature.to_bytes());
        tail.copy_from_slice(&[recovery.to_byte()]);
        BlockCertificate {
            height,
            block,
            signature: bytes,
        }
    }
}

fn address_of(key: &VerifyingKey) -> L1Address {
    let point = key.to_encoded_point(false);
    let digest = keccak256(point.as_bytes().get(1..).unwrap_or(&[]));
    let mut address = [0; 20];
    address.copy_from_slice(digest.split_at(12).1);
    L1Address(address)
}

fn certificate_digest(domain: &Domain, height: Height, block: BlockId) -> [u8; 32] {
    let words = [
        field_to_be_bytes(&domain.0),
        abi_word(u128::from(height.0)),
        block.0,
    ];
    keccak256(&abi_encode_tagged(
        "QUORATE/protocol/certificate/v1",
        &words,
    ))
}

/// A validator's statement that this block stands at this height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockCertificate {
    /// Height of the block.
    pub height: Height,
    /// The block.
    pub block: BlockId,
    /// r, s (32 bytes big-endian each, s in the lower half), recovery id 0 or 1.
    pub signature: [u8; 65],
}

impl BlockCertificate {
    /// Accepts the certificate if `validator` signed it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify(&self, domain: &Domain, validator: &L1Address) -> Result<(), CertificateError> {
        let (body, recovery) = self.signature.split_at(64);
        let signature = Signature::from_slice(body).map_err(|_| CertificateError::Malformed)?;
        let recovery = recovery
            .first()
            .copied()
            .filter(|id| *id < 2)
            .and_then(RecoveryId::from_byte)
            .ok_or(CertificateError::Malformed)?;
        if signature.normalize_s().is_some() {
            return Err(CertificateError::Malformed);
        }
        let digest = certificate_digest(domain, self.height, self.block);
        let key = VerifyingKey::recover_from_prehash(&digest, &signature, recovery)
            .map_err(|_| CertificateError::Malformed)?;
        let actual = address_of(&key);
        if actual == *validator {
            Ok(())
        } else {
            Err(CertificateError::WrongSigner {
                expected: *validator,
                actual,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fr;

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
    fn certificate_binds_domain_height_and_block() {
        let key = ValidatorKey::from_bytes(&[5; 32]).unwrap();
        let domain = Domain(Fr::from(1_u64));
        let good = key.certify(&domain, Height(3), BlockId([4; 32]));
        assert_eq!(good.verify(&domain, &key.address()), Ok(()));
        assert!(
            good.verify(&Domain(Fr::from(2_u64)), &key.address())
                .is_err()
        );
        assert!(
            BlockCertificate {
                height: Height(4),
                ..good
            }
            .verify(&domain, &key.address())
            .is_err()
        );
        assert!(
            BlockCertificate {
                block: BlockId([5; 32]),
                ..good
            }
            .verify(&domain, &key.address())
            .is_err()
        );
        for byte in 0..65 {
            let mut bad = good;
            bad.signature[byte] ^= 1;
            assert!(bad.verify(&domain, &key.address()).is_err(), "byte {byte}");
        }
    }
}
