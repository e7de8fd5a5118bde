//! Restarts: where the set goes on when nobody has the chain's history any more, or when a batch was proven that the
//! chain never certified (`sequencing.md`, "Recovery").
//!
//! A [`Restart`] names the end of a batch, which everybody rebuilds from genesis and published words, and a last height
//! that is at or above every height that any of its signers has signed in. Everything ordered after that batch is
//! void; heights up to the last one are never used again, so no vote on the old chain and none on the new one contradict
//! each other. A [`RestartCertificate`], signed by more than two thirds of the weight, takes the place of the parent's
//! certificate in the block at the next height.
//!
//! What this module does not do: know what anybody has signed (the signing guard does), or rebuild the state.

use ark_bn254::Fr;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    block::{BlockId, L1Origin, Tip},
    certificate::{CertificateError, Quorum},
    codec::{abi_word, borsh_field, field_to_be_bytes, to_bytes},
    hash::keccak256,
    number::{BatchNumber, Height},
    state::State,
    threaded::Threaded,
    transaction::Domain,
    validator::{ValidatorKey, ValidatorSet, ValidatorSignature, digest},
};

/// Where the chain goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Restart {
    /// The last batch that stands; 0 if none does, and the chain goes on from genesis.
    pub batch: BatchNumber,
    /// State root after it.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub root: Fr,
    /// `leaf_count | height << 64 | inbox_count << 128` after it; the height is that of the last published block.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub counters: Fr,
    /// Height that the next block stands on: at or above every height that a signer has signed in.
    pub last_height: Height,
    /// What the next block names as its parent: the block at that height, or, if nobody knows it, what the signers agree on.
    pub last_block: BlockId,
}

/// The end of a batch, rebuilt: state, height of the last published block, and inbox items consumed.
#[derive(Clone, Copy, Debug)]
pub struct BatchEnd<'a> {
    /// The batch; 0 is genesis.
    pub batch: BatchNumber,
    /// State after it.
    pub state: &'a State,
    /// Height of the last published block.
    pub published_height: Height,
    /// Inbox items consumed so far.
    pub inbox_count: u64,
}

impl BatchEnd<'_> {
    fn counters(&self) -> Fr {
        Threaded::batch_start(
            self.state.root(),
            self.state.leaf_count(),
            self.published_height,
            self.inbox_count,
        )
        .counters()
    }
}

impl Restart {
    /// The restart from this end of a batch.
    #[must_use]
    pub fn new(end: &BatchEnd<'_>, last_height: Height, last_block: BlockId) -> Self {
        Self {
            batch: end.batch,
            root: end.state.root(),
            counters: end.counters(),
            last_height,
            last_block,
        }
    }

    /// Whether the chain can go on from this end of a batch.
    ///
    /// # Errors
    /// [`RestartError`].
    pub fn check(&self, end: &BatchEnd<'_>) -> Result<(), RestartError> {
        let is_its =
            (self.batch, self.root, self.counters) == (end.batch, end.state.root(), end.counters());
        if !is_its {
            return Err(RestartError::OtherEnd {
                named: self.batch,
                found: end.batch,
            });
        }
        // the least height that a chain can have come to, and room for one more
        let least = Height(end.published_height.0.max(1));
        if self.last_height < least || self.last_height.0 == u64::MAX {
            return Err(RestartError::LastHeight {
                named: self.last_height,
                least,
            });
        }
        Ok(())
    }

    /// Where execution stands before the next block. Nobody knows the time of the last block: it is that of genesis, and the
    /// clock is right again with the first certificate.
    #[must_use]
    pub fn tip(&self, inbox_count: u64, genesis_ms: u64) -> Tip {
        Tip {
            height: self.last_height,
            id: self.last_block,
            timestamp_ms: genesis_ms,
            inbox_count,
            l1_origin: L1Origin::default(),
        }
    }

    /// `abi.encode("QUORATE/protocol/restart/v1", domain, the fields in order)`, hashed.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> [u8; 32] {
        let words = [
            field_to_be_bytes(&domain.0),
            abi_word(u128::from(self.batch.0)),
            field_to_be_bytes(&self.root),
            field_to_be_bytes(&self.counters),
            abi_word(u128::from(self.last_height.0)),
            self.last_block.0,
        ];
        digest("QUORATE/protocol/restart/v1", &words)
    }

    /// Signs it.
    #[must_use]
    pub fn sign(self, domain: &Domain, key: &ValidatorKey) -> SignedRestart {
        SignedRestart {
            restart: self,
            validator: key.address(),
            signature: key.sign(&self.digest(domain)),
        }
    }
}

/// Why a chain does not go on from a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// The state at hand is not the one that was signed.
    #[error(
        "it goes on from batch {named}, with another batch, root or counters than those of batch {found} here: \
         give exactly the bundles 1 to {named}"
    )]
    OtherEnd {
        /// Batch that the restart names.
        named: BatchNumber,
        /// Batch that was rebuilt.
        found: BatchNumber,
    },
    /// A last height that the chain has passed.
    #[error("its last height {named} must be at least {least}, and leave room above")]
    LastHeight {
        /// Height that the restart names.
        named: Height,
        /// Least height.
        least: Height,
    },
}

/// A restart with one validator's signature. Not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRestart {
    /// What was signed.
    pub restart: Restart,
    /// Who says so.
    pub validator: L1Address,
    /// Over [`Restart::digest`].
    pub signature: ValidatorSignature,
}

impl SignedRestart {
    /// Whether the signature is the validator's.
    #[must_use]
    pub fn is_authentic(&self, domain: &Domain) -> bool {
        self.signature
            .is_by(&self.validator, &self.restart.digest(domain))
    }
}

/// More than two thirds of the weight signed this restart.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RestartCertificate {
    /// What was signed.
    pub restart: Restart,
    /// Signers by address.
    pub signatures: Quorum,
}

impl RestartCertificate {
    /// The certificate of these signatures, in any order; those on another restart and second ones of a signer are left
    /// out. Not yet checked.
    #[must_use]
    pub fn assemble<'a>(
        restart: Restart,
        signed: impl IntoIterator<Item = &'a SignedRestart>,
    ) -> Self {
        let signed = signed.into_iter().filter(|one| one.restart == restart);
        Self {
            signatures: signed.map(|one| (one.validator, one.signature)).collect(),
            restart,
        }
    }

    /// Accepts the certificate if more than two thirds of `set`, the set of the next height, signed it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(&self, domain: &Domain, set: &ValidatorSet) -> Result<(), CertificateError> {
        self.signatures.verify(&self.restart.digest(domain), set)
    }

    /// keccak256("QUORATE/protocol/restart-certificate/v1" and the encoding): `certificate hash` of the next block's
    /// core. The name keeps it apart from the hash of a parent's certificate.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut bytes = b"QUORATE/protocol/restart-certificate/v1".to_vec();
        bytes.extend_from_slice(&to_bytes(self));
        keccak256(&bytes)
    }
}

#[cfg(test)]
mod tests;
