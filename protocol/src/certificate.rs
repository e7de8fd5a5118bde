//! Certificates: precommits of more than two thirds of the weight for one block (`sequencing.md`, rules 1 and 2).
//!
//! A [`CommitCertificate`] says that a block stands at its height. An [`ExtendedCertificate`] also carries the signers'
//! extensions; the next block embeds one, and reads its clock, inclusion list and reports from it, so that they are
//! part of the value agreed on and not of anybody's view.
//!
//! What this module does not do: know which set signs a height; callers pass it.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    block::BlockId,
    codec::to_bytes,
    hash::keccak256,
    number::{Height, Round},
    transaction::{Domain, ListHash},
    validator::{ValidatorSet, ValidatorSignature},
    vote::{Extension, ExtensionError, Report, Step, Vote},
};

/// Why a certificate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Signers that are not in ascending order, each once.
    #[error("signers must be sorted by address, each once: {0}")]
    Order(L1Address),
    /// A signer that is not in the set.
    #[error("{0} is not in the validator set")]
    Stranger(L1Address),
    /// A signature that is not the signer's.
    #[error("{0} is named below what it did not sign")]
    Signature(L1Address),
    /// An extension whose signature is not the signer's.
    #[error("the extension of {0} has a signature that is not its own")]
    ExtensionSignature(L1Address),
    /// An extension out of bounds.
    #[error("the extension of {signer} is malformed: {reason}")]
    Extension {
        /// Who signed it.
        signer: L1Address,
        /// The bound.
        reason: ExtensionError,
    },
    /// Two thirds of the weight or less.
    #[error("signed by weight {signed} of {total}: more than two thirds are needed")]
    NoQuorum {
        /// Weight of the signers.
        signed: u128,
        /// Weight of the set.
        total: u128,
    },
}

/// One signer of a [`Quorum`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CommitSignature {
    /// Who signed.
    pub validator: L1Address,
    /// Over the digest that all sign.
    pub signature: ValidatorSignature,
}

/// Signatures under one digest, by signer: what certificates of every kind are made of. Not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Quorum(pub Vec<CommitSignature>);

impl std::ops::Deref for Quorum {
    type Target = [CommitSignature];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromIterator<(L1Address, ValidatorSignature)> for Quorum {
    /// In any order; second ones of a signer are left out.
    fn from_iter<I: IntoIterator<Item = (L1Address, ValidatorSignature)>>(signed: I) -> Self {
        let signed = signed
            .into_iter()
            .map(|(validator, signature)| CommitSignature {
                validator,
                signature,
            });
        let mut signatures: Vec<CommitSignature> = signed.collect();
        signatures.sort_by_key(|one| one.validator);
        signatures.dedup_by_key(|one| one.validator);
        Self(signatures)
    }
}

impl Quorum {
    /// Accepts signatures of more than two thirds of `set` under a digest: order and membership first, then weight, then each
    /// signature.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(&self, digest: &[u8; 32], set: &ValidatorSet) -> Result<(), CertificateError> {
        let (mut signed, mut last) = (0, None);
        for CommitSignature { validator, .. } in self.iter() {
            if last.is_some_and(|last| last >= validator) {
                return Err(CertificateError::Order(*validator));
            }
            last = Some(validator);
            let weight = set.weight_of(validator);
            if weight == 0 {
                return Err(CertificateError::Stranger(*validator));
            }
            signed += weight;
        }
        if !set.is_quorum(signed) {
            let total = set.total();
            return Err(CertificateError::NoQuorum { signed, total });
        }
        let mut signatures = self.iter();
        match signatures.find(|one| !one.signature.is_by(&one.validator, digest)) {
            Some(one) => Err(CertificateError::Signature(one.validator)),
            None => Ok(()),
        }
    }

    /// Weight of the signers in `set`.
    #[must_use]
    pub fn weight(&self, set: &ValidatorSet) -> u128 {
        self.iter().map(|one| set.weight_of(&one.validator)).sum()
    }
}

/// More than two thirds of the weight precommitted this block in this round.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CommitCertificate {
    /// Height of the block.
    pub height: Height,
    /// Round in which it was decided.
    pub round: Round,
    /// The block.
    pub block: BlockId,
    /// Signers by address.
    pub signatures: Quorum,
}

fn precommit(height: Height, round: Round, block: BlockId) -> Vote {
    Vote {
        height,
        round,
        step: Step::Precommit,
        block: Some(block),
    }
}

impl CommitCertificate {
    /// Accepts the certificate if more than two thirds of `set` signed it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(&self, domain: &Domain, set: &ValidatorSet) -> Result<(), CertificateError> {
        let digest = precommit(self.height, self.round, self.block).digest(domain);
        self.signatures.verify(&digest, set)
    }
}

/// One signer of an [`ExtendedCertificate`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ExtendedSignature {
    /// Who precommitted.
    pub validator: L1Address,
    /// Over the precommit.
    pub signature: ValidatorSignature,
    /// What it added.
    pub extension: Extension,
    /// Over the extension, bound to height, round and block.
    pub extension_signature: ValidatorSignature,
}

/// A commit certificate with the extension of each signer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ExtendedCertificate {
    /// Height of the block.
    pub height: Height,
    /// Round in which it was decided.
    pub round: Round,
    /// The block.
    pub block: BlockId,
    /// Signers by address.
    pub signatures: Vec<ExtendedSignature>,
}

impl ExtendedCertificate {
    /// Accepts the certificate if more than two thirds of `set` signed it, each with a well-formed extension.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(&self, domain: &Domain, set: &ValidatorSet) -> Result<(), CertificateError> {
        for one in &self.signatures {
            one.extension
                .check()
                .map_err(|reason| CertificateError::Extension {
                    signer: one.validator,
                    reason,
                })?;
        }
        self.to_commit().verify(domain, set)?;
        let forged = self.signatures.iter().find(|one| {
            let digest = one
                .extension
                .digest(domain, self.height, self.round, self.block);
            !one.extension_signature.is_by(&one.validator, &digest)
        });
        match forged {
            Some(one) => Err(CertificateError::ExtensionSignature(one.validator)),
            None => Ok(()),
        }
    }

    /// The certificate without extensions.
    #[must_use]
    pub fn to_commit(&self) -> CommitCertificate {
        // in their order, which is for the verifier to judge
        let signatures = self.signatures.iter().map(|one| CommitSignature {
            validator: one.validator,
            signature: one.signature,
        });
        CommitCertificate {
            height: self.height,
            round: self.round,
            block: self.block,
            signatures: Quorum(signatures.collect()),
        }
    }

    /// keccak256 of the encoding: `certificate hash` of the next block's core.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        keccak256(&to_bytes(self))
    }

    /// E(h): hashes listed by more than a third of the set's weight inside this certificate. What more than two
    /// thirds of the weight list is always among them, whichever quorum the proposer embeds.
    #[must_use]
    pub fn listed(&self, set: &ValidatorSet) -> BTreeSet<ListHash> {
        let mut weights: BTreeMap<&ListHash, u128> = BTreeMap::new();
        for one in &self.signatures {
            let weight = set.weight_of(&one.validator);
            for hash in &one.extension.hashes {
                *weights.entry(hash).or_default() += weight;
            }
        }
        weights
            .into_iter()
            .filter(|(_, weight)| set.is_above_third(*weight))
            .map(|(hash, _)| *hash)
            .collect()
    }

    /// Stake-weighted median of the signers' clocks: the least time that at least half of the signing weight does
    /// not exceed. `None` without signers.
    #[must_use]
    pub fn median_time_ms(&self, set: &ValidatorSet) -> Option<u64> {
        let mut times: Vec<(u64, u128)> = self
            .signatures
            .iter()
            .map(|one| (one.extension.time_ms, set.weight_of(&one.validator)))
            .collect();
        times.sort_unstable();
        let total: u128 = times.iter().map(|(_, weight)| weight).sum();
        let mut reached = 0;
        times.into_iter().find_map(|(time, weight)| {
            reached += weight;
            (reached * 2 >= total).then_some(time)
        })
    }

    /// Reports of the signers, each with who made it.
    pub fn reports(&self) -> impl Iterator<Item = (&L1Address, &Report)> {
        self.signatures.iter().flat_map(|one| {
            let reports = one.extension.reports.iter();
            reports.map(move |report| (&one.validator, report))
        })
    }
}

#[cfg(test)]
mod tests;
