//! A key that signs base-layer transactions (EIP-1559), and the ten keys of development chains.
//!
//! Invariants: the key is never printed and is wiped when dropped; the development keys are published
//! everywhere, so whatever they own on a real chain is lost: they sign for chain 31337 only.
//!
//! Does not choose nonces or fees (`submitter.rs`) and does not read keys from disk (`cli`).

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, b256};
use k256::ecdsa::SigningKey;
use serde::{Deserialize, Serialize};

/// The chain id by which every Ethereum tool means "development".
pub const DEVELOPMENT_CHAIN_ID: u64 = 31_337;

/// The keys that anvil and hardhat fund, from the mnemonic "test test .. junk". Not secret.
const DEVELOPMENT_KEYS: [B256; 10] = [
    b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    b256!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    b256!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    b256!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    b256!("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    b256!("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    b256!("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    b256!("4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    b256!("dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
    b256!("2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
];

/// Why a key cannot be made or does not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The bytes are zero or not below the curve's order.
    #[error("32 bytes are no secp256k1 key: zero, or not below the order")]
    InvalidKey,
    /// A development key outside the development chain.
    #[error("development key of {address} does not sign for chain {chain_id}, only for 31337")]
    DevelopmentKey {
        /// The key's address.
        address: Address,
        /// The transaction's chain.
        chain_id: u64,
    },
    /// The curve library refused, which a valid key does not let it do.
    #[error("signing failed: {reason}")]
    Internal {
        /// What the library says.
        reason: String,
    },
}

/// A signed transaction as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTransaction {
    /// What the chain calls it.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
}

/// A key for base-layer transactions.
#[derive(Clone)]
pub struct TransactionSigner {
    key: SigningKey,
    address: Address,
}

impl std::fmt::Debug for TransactionSigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TransactionSigner({})", self.address)
    }
}

impl TransactionSigner {
    /// From 32 secret bytes, big endian.
    ///
    /// # Errors
    /// [`SignerError::InvalidKey`].
    pub fn from_bytes(secret: &B256) -> Result<Self, SignerError> {
        let key = SigningKey::from_slice(secret.as_slice()).map_err(|_| SignerError::InvalidKey)?;
        let address = Address::from_private_key(&key);
        Ok(Self { key, address })
    }

    /// The key of the development account with this index, from 0 to 9. DEVELOPMENT ONLY: all ten are
    /// public, and sign for chain 31337 only.
    #[must_use]
    pub fn development(index: usize) -> Option<Self> {
        Self::from_bytes(DEVELOPMENT_KEYS.get(index)?).ok()
    }

    /// How many development accounts there are.
    #[must_use]
    pub fn development_count() -> usize {
        DEVELOPMENT_KEYS.len()
    }

    /// Whose transactions these are.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs; the signature is deterministic (RFC 6979), so the same content has the same hash.
    ///
    /// # Errors
    /// [`SignerError::DevelopmentKey`] for a real chain.
    pub fn sign(&self, transaction: TxEip1559) -> Result<SignedTransaction, SignerError> {
        let bytes = B256::from_slice(&self.key.to_bytes());
        if transaction.chain_id != DEVELOPMENT_CHAIN_ID && DEVELOPMENT_KEYS.contains(&bytes) {
            return Err(SignerError::DevelopmentKey {
                address: self.address,
                chain_id: transaction.chain_id,
            });
        }
        let digest = transaction.signature_hash();
        let (signature, recovery) = self
            .key
            .sign_prehash_recoverable(digest.as_slice())
            .map_err(|error| SignerError::Internal {
                reason: error.to_string(),
            })?;
        let signed = transaction.into_signed(Signature::from((signature, recovery)));
        Ok(SignedTransaction {
            hash: *signed.hash(),
            raw: Bytes::from(signed.encoded_2718()),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    #[test]
    fn development_keys_have_the_addresses_everybody_knows() {
        let of = |index| TransactionSigner::development(index).map(|signer| signer.address());
        assert_eq!(
            of(0),
            Some(address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"))
        );
        assert_eq!(
            of(9),
            Some(address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"))
        );
        assert_eq!(of(10), None);
    }

    #[test]
    fn development_key_does_not_sign_for_a_real_chain() {
        let signer = TransactionSigner::development(0).expect("there are ten");
        let on = |chain_id| TxEip1559 {
            chain_id,
            ..TxEip1559::default()
        };
        assert!(matches!(
            signer.sign(on(1)),
            Err(SignerError::DevelopmentKey { chain_id: 1, .. })
        ));
        assert!(signer.sign(on(DEVELOPMENT_CHAIN_ID)).is_ok());
    }

    #[test]
    fn a_key_is_not_printed() {
        let signer = TransactionSigner::development(0).expect("there are ten");
        assert!(!format!("{signer:?}").contains("ac0974"));
    }

    #[test]
    fn zero_is_no_key() {
        assert!(matches!(
            TransactionSigner::from_bytes(&B256::ZERO),
            Err(SignerError::InvalidKey)
        ));
    }
}
