//! All that a validator's key signs, where it is stored, and its digest.

use protocol::{
    block::BlockId,
    codec::{abi_encode_tagged, abi_word, field_to_be_bytes},
    hash::keccak256,
    preconfirmation::Preconfirmation,
    transaction::Domain,
    vote::{Proposal, ProposalKind, Step, Vote},
};

use super::slots::{NumberedKind, RoundKind, Slot};

/// What the guard is asked to sign. Extensions have a question of their own
/// ([`super::SigningGuard::sign_extension`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardRequest {
    /// A prevote or precommit, for a block or for none.
    Vote(Vote),
    /// The engine's proposal, or the Init that opens its parts.
    Proposal(Proposal, ProposalKind),
    /// What is signed once for a number: a batch, a soft block, a restart.
    Numbered {
        /// Which of them.
        kind: NumberedKind,
        /// Batch number, base height of a soft block, or last height before the restart.
        number: u64,
        /// What the number counts on: the root before a batch, the soft block's number; zero where the number says it all.
        subject: [u8; 32],
        /// What is signed: `protocol`'s digest of the whole message. The guard cannot look into it.
        digest: [u8; 32],
    },
}

impl GuardRequest {
    /// The one place for this message.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self {
            Self::Vote(vote) => Slot::Round {
                height: vote.height,
                round: vote.round,
                kind: match vote.step {
                    Step::Prevote => RoundKind::Prevote,
                    Step::Precommit => RoundKind::Precommit,
                },
            },
            Self::Proposal(proposal, kind) => Slot::Round {
                height: proposal.height,
                round: proposal.round,
                kind: match kind {
                    ProposalKind::Proposal => RoundKind::Proposal,
                    ProposalKind::Init => RoundKind::Init,
                },
            },
            Self::Numbered {
                kind,
                number,
                subject,
                ..
            } => Slot::Numbered {
                kind: *kind,
                number: *number,
                subject: *subject,
            },
        }
    }

    pub(super) fn digest(&self, domain: &Domain) -> [u8; 32] {
        match self {
            Self::Vote(vote) => vote.digest(domain),
            Self::Proposal(proposal, kind) => proposal.digest(*kind, domain),
            Self::Numbered { digest, .. } => *digest,
        }
    }

    /// The block that the message names.
    pub(super) fn block(&self) -> Option<BlockId> {
        match self {
            Self::Vote(vote) => vote.block,
            Self::Proposal(proposal, _) => Some(proposal.block),
            Self::Numbered { .. } => None,
        }
    }
}

/// A promise, in the slot of its place.
pub(crate) fn promised_place(promise: &Preconfirmation, domain: &Domain) -> GuardRequest {
    GuardRequest::Numbered {
        kind: NumberedKind::PromisedPlace,
        number: promise.height.0,
        subject: abi_word(u128::from(promise.place)),
        digest: promise.digest(domain),
    }
}

/// `keccak256(abi.encode("QUORATE/sequencer/validator-proof/v1", domain, keccak256(peer id)))`: a validator says from
/// which peer it speaks. Recovery names the validator.
#[must_use]
pub(crate) fn validator_proof_digest(domain: &Domain, peer_id: &[u8]) -> [u8; 32] {
    let words = [field_to_be_bytes(&domain.0), keccak256(peer_id)];
    keccak256(&abi_encode_tagged(
        "QUORATE/sequencer/validator-proof/v1",
        &words,
    ))
}
