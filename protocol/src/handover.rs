//! Handovers: the set of one epoch, proven under the set of the epoch before, with no node and no base layer
//! (`sequencing.md`, "The set").
//!
//! A [`Handover`] is a decided block of epoch e, as far as its id covers it, the votes of more than two thirds of the
//! set of e for that id, and the set of e + 1, whose hash the block's core names. From the set of genesis a chain of
//! them, one for each epoch in order, leads to any later set.
//!
//! What this module does not do: guard against keys of a set that left long ago. Whoever buys more than two thirds of
//! an old set's keys can sign another chain of sets from there on (a long-range attack), so a reader who has seen a
//! later set compares.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    block::BlockCore,
    certificate::{CertificateError, CommitCertificate},
    number::{Epoch, Height},
    transaction::{Domain, SignedBid},
    validator::ValidatorSet,
};

/// Proof of the next epoch's set under this epoch's.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Handover {
    /// A decided block of the epoch; it names the hash of `next`.
    pub core: BlockCore,
    /// Its bid, which its id covers too.
    pub bid: Option<SignedBid>,
    /// What decided it.
    pub certificate: CommitCertificate,
    /// The set of the next epoch.
    pub next: ValidatorSet,
}

/// Why a handover proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// Another epoch's block: a link is missing, or the links are out of order.
    #[error("a block of this epoch is needed, not block {height} of epoch {found}")]
    Epoch {
        /// Height of the block.
        height: Height,
        /// Epoch of the block.
        found: Epoch,
    },
    /// The certificate is not about this block.
    #[error("the certificate is about another block")]
    Block,
    /// The set is not the one that the block names.
    #[error("the next set is not the one that the block names")]
    Set,
    /// The set of the epoch did not decide the block.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Which link of a chain of handovers is broken, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handover of epoch {epoch} is refused: {reason}")]
pub struct BrokenChain {
    /// Epoch whose set should have signed.
    pub epoch: Epoch,
    /// What is wrong.
    pub reason: HandoverError,
}

impl Handover {
    /// The set after `epoch`, if this is its proof under `set`, the set of `epoch`.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub fn verify(
        &self,
        domain: &Domain,
        epoch: Epoch,
        set: &ValidatorSet,
    ) -> Result<&ValidatorSet, HandoverError> {
        let height = self.core.height;
        let found = Epoch::of(height);
        if found != epoch || self.core.epoch != epoch {
            return Err(HandoverError::Epoch { height, found });
        }
        let id = self.core.block_id(self.bid.as_ref());
        if (self.certificate.height, self.certificate.block) != (height, id) {
            return Err(HandoverError::Block);
        }
        if self.next.hash() != self.core.next_set_hash {
            return Err(HandoverError::Set);
        }
        self.certificate.verify(domain, set)?;
        Ok(&self.next)
    }
}

/// The set after the last link, from the set of epoch 0: that of epoch `links.len()`.
///
/// # Errors
/// [`BrokenChain`] with the first link that does not hold.
pub fn verify_chain<'a>(
    domain: &Domain,
    genesis: &'a ValidatorSet,
    links: &'a [Handover],
) -> Result<&'a ValidatorSet, BrokenChain> {
    let mut set = genesis;
    for (number, link) in (0..).zip(links) {
        let epoch = Epoch(number);
        set = link
            .verify(domain, epoch, set)
            .map_err(|reason| BrokenChain { epoch, reason })?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests;
