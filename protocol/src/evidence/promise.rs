//! A promise that its maker's own block does not keep.
//!
//! Framing is not possible: the block is one that the accused has signed as its own new proposal, so what others propose
//! in its name, or what it must propose again because it had a polka, accuses nobody.

use borsh::{BorshDeserialize, BorshSerialize};

use super::EvidenceError;
use crate::{
    block::{BlockCore, Payload},
    preconfirmation::SignedPreconfirmation,
    transaction::{Domain, SignedBid},
    vote::SignedProposal,
};

/// A promise, and a block of its maker that holds something else in its place, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BrokenPreconfirmation {
    /// What was promised.
    pub promise: SignedPreconfirmation,
    /// The maker's proposal or Init of its own block at that height.
    pub proposal: SignedProposal,
    /// Core of the block.
    pub core: BlockCore,
    /// Its bid, which its id covers too.
    pub bid: Option<SignedBid>,
    /// Its payload.
    pub payload: Payload,
}

/// Whether the signer proposes a new block of its own: only such a block can break its promise.
#[must_use]
pub fn is_own(proposal: &SignedProposal, core: &BlockCore) -> bool {
    proposal.proposal.pol_round.is_none()
        && core.author == proposal.proposer
        && core.birth_round == proposal.proposal.round
}

impl BrokenPreconfirmation {
    /// Whether the block breaks the promise; signatures are not looked at.
    pub(super) fn check(&self, domain: &Domain) -> Result<(), EvidenceError> {
        let (promise, proposal) = (&self.promise.preconfirmation, &self.proposal.proposal);
        if self.promise.proposer != self.proposal.proposer {
            return Err(EvidenceError::Unrelated("signers"));
        }
        if promise.height != proposal.height || promise.height != self.core.height {
            return Err(EvidenceError::Unrelated("heights"));
        }
        if !is_own(&self.proposal, &self.core) {
            return Err(EvidenceError::Unrelated(
                "the block must be the signer's own, proposed for the first time",
            ));
        }
        if proposal.block != self.core.block_id(self.bid.as_ref()) {
            return Err(EvidenceError::Unrelated("block and proposal"));
        }
        if self.core.payload_root != self.payload.root() {
            return Err(EvidenceError::Unrelated("payload and block"));
        }
        if promise.is_kept_by(&self.payload, domain) {
            return Err(EvidenceError::Same);
        }
        Ok(())
    }
}
