//! Preconfirmations: a proposer's signed promise that a transaction will stand at a place of its block
//! (`sequencing.md`, rule 12).
//!
//! Two promises of one proposer for one height conflict if they give one place to two transactions, or one transaction
//! two places: no block can keep both, so they are [`crate::evidence::Evidence::DoublePreconfirmation`]. The promise
//! names no round: a proposer whose block lost a round may keep it in a later one of the same height. A proposal of its
//! own block that does not keep it is [`crate::evidence::Evidence::BrokenPreconfirmation`].
//!
//! What this module does not do: promise that the block is decided. If another proposer's is, the promise is void.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    block::{Entry, Payload},
    codec::{abi_word, field_to_be_bytes},
    number::Height,
    transaction::{Domain, TransactionId},
    validator::{ValidatorKey, ValidatorSignature, digest},
};

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Preconfirmation {
    /// Height of the block.
    pub height: Height,
    /// Place among the block's signed operations, from 0; burns are not counted.
    pub place: u32,
    /// What will stand there.
    pub transaction: TransactionId,
}

impl Preconfirmation {
    /// `abi.encode("QUORATE/protocol/preconfirmation/v1", domain, height, place, transaction)`, hashed.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> [u8; 32] {
        let words = [
            field_to_be_bytes(&domain.0),
            abi_word(u128::from(self.height.0)),
            abi_word(u128::from(self.place)),
            self.transaction.0,
        ];
        digest("QUORATE/protocol/preconfirmation/v1", &words)
    }

    /// Signs it.
    #[must_use]
    pub fn sign(self, domain: &Domain, key: &ValidatorKey) -> SignedPreconfirmation {
        SignedPreconfirmation {
            preconfirmation: self,
            proposer: key.address(),
            signature: key.sign(&self.digest(domain)),
        }
    }

    /// Whether the operation stands at its place among the payload's signed ones, burns not counted.
    #[must_use]
    pub fn is_kept_by(&self, payload: &Payload, domain: &Domain) -> bool {
        let Ok(mut left) = usize::try_from(self.place) else {
            return false;
        };
        for entry in &payload.entries {
            let Entry::Submission { submission, .. } = entry else {
                continue;
            };
            let members = submission.members().len();
            if left < members {
                return submission.ids(domain).get(left) == Some(&self.transaction);
            }
            left = left.saturating_sub(members);
        }
        false
    }

    /// Whether no block keeps both promises.
    #[must_use]
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let is_same_place = self.place == other.place;
        let is_same_transaction = self.transaction == other.transaction;
        self.height == other.height && is_same_place != is_same_transaction
    }
}

/// A promise with its signature. Not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedPreconfirmation {
    /// What was promised.
    pub preconfirmation: Preconfirmation,
    /// Who says so.
    pub proposer: L1Address,
    /// Over [`Preconfirmation::digest`].
    pub signature: ValidatorSignature,
}

impl SignedPreconfirmation {
    /// Whether the signature is the proposer's.
    #[must_use]
    pub fn is_authentic(&self, domain: &Domain) -> bool {
        let digest = self.preconfirmation.digest(domain);
        self.signature.is_by(&self.proposer, &digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fr;

    fn promise(height: u64, place: u32, transaction: u8) -> Preconfirmation {
        Preconfirmation {
            height: Height(height),
            place,
            transaction: TransactionId([transaction; 32]),
        }
    }

    #[test]
    fn two_promises_conflict_if_no_block_keeps_both() {
        let base = promise(5, 3, 1);
        assert!(
            base.conflicts_with(&promise(5, 3, 2)),
            "one place, two transactions"
        );
        assert!(
            base.conflicts_with(&promise(5, 4, 1)),
            "one transaction, two places"
        );
        assert!(!base.conflicts_with(&base));
        assert!(!base.conflicts_with(&promise(5, 4, 2)));
        assert!(
            !base.conflicts_with(&promise(6, 3, 2)),
            "its block may have lost"
        );
    }

    #[test]
    fn every_field_is_signed() {
        let domain = Domain(Fr::from(1_u64));
        let key = ValidatorKey::from_bytes(&[5; 32]).unwrap();
        let good = promise(5, 3, 1).sign(&domain, &key);
        assert!(good.is_authentic(&domain));
        assert!(!good.is_authentic(&Domain(Fr::from(2_u64))));
        for other in [promise(6, 3, 1), promise(5, 4, 1), promise(5, 3, 2)] {
            let moved = SignedPreconfirmation {
                preconfirmation: other,
                ..good
            };
            assert!(!moved.is_authentic(&domain), "{other:?}");
        }
    }
}
