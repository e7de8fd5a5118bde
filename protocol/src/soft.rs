//! Soft blocks: what reachable validators sign on the newest certified block while no quorum answers (`sequencing.md`,
//! "Modes"; ADR 0014).
//!
//! A soft block orders submissions above its *base*, the certified block that it stands on. It is a label and a hint, and
//! no more: the vote rule, blocks and finality know nothing of it, no weight of signatures makes it final, and it is
//! abandoned when the next height is decided. A validator signs at most one soft block for each number above a base
//! height, with numbers that only rise, so its newest signature is its one opinion; [`SoftTree`] counts opinions.
//!
//! What this module does not do: execute submissions, or know whether a quorum answers.

mod tree;

use borsh::{BorshDeserialize, BorshSerialize};

pub use tree::{SoftChoice, SoftNode, SoftRefusal, SoftTree};

use crate::{
    account::L1Address,
    block::BlockId,
    codec::{abi_word, field_to_be_bytes, to_bytes},
    hash::keccak256,
    number::Height,
    transaction::{Domain, Submission},
    validator::{ValidatorKey, ValidatorSignature, digest},
};

/// Highest number of a soft block above its base: bounds what one outage adds to a signing guard.
pub const SOFT_NUMBER_MAX: u64 = 4_096;

/// Submissions in one soft block: their signatures are checked in a few milliseconds.
pub const SOFT_SUBMISSIONS_MAX: usize = 256;

/// Bytes of one soft block: twice what 256 transfers take, and room for the largest group.
pub const SOFT_BLOCK_BYTES_MAX: usize = 128 << 10;

/// Name of a soft block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct SoftHash(pub [u8; 32]);

impl std::fmt::Display for SoftHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::codec::display_hex(&self.0, f)
    }
}

/// Why a soft block is malformed, whatever it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoftError {
    /// A number of 0, or one above [`SOFT_NUMBER_MAX`].
    #[error("soft blocks have numbers 1 to {SOFT_NUMBER_MAX}, not {0}")]
    Number(u64),
    /// No submission, or more than [`SOFT_SUBMISSIONS_MAX`].
    #[error("a soft block holds 1 to {SOFT_SUBMISSIONS_MAX} submissions, not {0}")]
    Submissions(usize),
    /// A group of a size that no block may hold.
    #[error("submission {0} of a soft block is a group of a wrong size")]
    GroupSize(usize),
    /// More than [`SOFT_BLOCK_BYTES_MAX`].
    #[error("a soft block has at most {SOFT_BLOCK_BYTES_MAX} bytes, not {0}")]
    Bytes(usize),
}

/// An order of submissions above a certified block, by one author.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SoftBlock {
    /// Height of the certified block that its chain stands on.
    pub base_height: Height,
    /// That block.
    pub base: BlockId,
    /// Place above the base: above the parent's; numbers may be left out.
    pub number: u64,
    /// The soft block before; the base's id for the first.
    pub parent: SoftHash,
    /// Who made it.
    pub author: L1Address,
    /// The author's clock, in milliseconds since 1970. Nothing depends on it.
    pub time_ms: u64,
    /// What it orders: all of it applies, in order, to the state after the parent.
    #[borsh(deserialize_with = "bounded_submissions")]
    pub submissions: Vec<Submission>,
}

fn bounded_submissions<R: std::io::Read>(reader: &mut R) -> std::io::Result<Vec<Submission>> {
    let count = u32::deserialize_reader(reader)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > SOFT_SUBMISSIONS_MAX {
        let what = SoftError::Submissions(count).to_string();
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
    }
    (0..count)
        .map(|_| Submission::deserialize_reader(reader))
        .collect()
}

impl SoftBlock {
    /// keccak256("QUORATE/protocol/soft-block/v1" and the encoding).
    #[must_use]
    pub fn hash(&self) -> SoftHash {
        let mut bytes = b"QUORATE/protocol/soft-block/v1".to_vec();
        bytes.extend_from_slice(&to_bytes(self));
        SoftHash(keccak256(&bytes))
    }

    /// Checks every bound; returns the number of bytes.
    ///
    /// # Errors
    /// [`SoftError`].
    pub fn check(&self) -> Result<usize, SoftError> {
        if self.number == 0 || self.number > SOFT_NUMBER_MAX {
            return Err(SoftError::Number(self.number));
        }
        let count = self.submissions.len();
        if count == 0 || count > SOFT_SUBMISSIONS_MAX {
            return Err(SoftError::Submissions(count));
        }
        let mut submissions = self.submissions.iter();
        if let Some(place) = submissions.position(|one| !one.has_valid_size()) {
            return Err(SoftError::GroupSize(place));
        }
        let bytes = to_bytes(self).len();
        if bytes > SOFT_BLOCK_BYTES_MAX {
            return Err(SoftError::Bytes(bytes));
        }
        Ok(bytes)
    }

    /// What a validator signs for it.
    #[must_use]
    pub fn vote(&self) -> SoftVote {
        SoftVote {
            base_height: self.base_height,
            base: self.base,
            number: self.number,
            block: self.hash(),
        }
    }
}

/// A validator's opinion: the chain that ends in this soft block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SoftVote {
    /// Height of the base.
    pub base_height: Height,
    /// The base.
    pub base: BlockId,
    /// The soft block's number.
    pub number: u64,
    /// The soft block.
    pub block: SoftHash,
}

impl SoftVote {
    /// `abi.encode("QUORATE/protocol/soft/v1", domain, base height, base, number, block)`, hashed.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> [u8; 32] {
        let words = [
            field_to_be_bytes(&domain.0),
            abi_word(u128::from(self.base_height.0)),
            self.base.0,
            abi_word(u128::from(self.number)),
            self.block.0,
        ];
        digest("QUORATE/protocol/soft/v1", &words)
    }

    /// Signs it, with a key that no guard watches.
    #[must_use]
    pub fn sign(self, domain: &Domain, key: &ValidatorKey) -> SignedSoftVote {
        SignedSoftVote {
            vote: self,
            validator: key.address(),
            signature: key.sign(&self.digest(domain)),
        }
    }
}

/// An opinion with its signature. Not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedSoftVote {
    /// What is signed.
    pub vote: SoftVote,
    /// Who says so.
    pub validator: L1Address,
    /// Over [`SoftVote::digest`].
    pub signature: ValidatorSignature,
}

impl SignedSoftVote {
    /// Whether the signature is the validator's.
    #[must_use]
    pub fn is_authentic(&self, domain: &Domain) -> bool {
        let digest = self.vote.digest(domain);
        self.signature.is_by(&self.validator, &digest)
    }
}

/// A soft block under its author's vote. Not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SoftProposal {
    /// The block.
    pub block: SoftBlock,
    /// The author's, over the block's vote.
    pub signature: ValidatorSignature,
}

impl SoftProposal {
    /// The author's vote for its block.
    #[must_use]
    pub fn vote(&self) -> SignedSoftVote {
        SignedSoftVote {
            vote: self.block.vote(),
            validator: self.block.author,
            signature: self.signature,
        }
    }
}

#[cfg(test)]
mod tests;
