//! Between the engine's messages and `protocol`'s. All conversions are here.
//!
//! The engine has a round before the first, `Nil`: `protocol` has none, so whatever stands in it has no counterpart.

use arc_malachitebft_core_types::{self as engine, NilOrVal, VoteExtensions, VoteType};
use protocol::{
    certificate::{CommitCertificate, ExtendedCertificate, ExtendedSignature},
    number::Round,
    vote::{Proposal, ProposalKind, SignedProposal, SignedVote, Step, Vote},
};

use super::{
    Agreement,
    message::{BlockValue, EngineProposal, EngineVote, VoteExtension},
    seats::{EngineHeight, SeatAddress},
};

/// The round, unless it is nil.
pub(super) fn to_protocol_round(round: engine::Round) -> Option<Round> {
    round.as_u32().map(Round)
}

pub(super) fn to_engine_round(round: Option<Round>) -> engine::Round {
    round.map_or(engine::Round::Nil, |round| engine::Round::new(round.0))
}

pub(super) fn to_protocol_vote(vote: &EngineVote) -> Option<Vote> {
    Some(Vote {
        height: vote.height.0,
        round: to_protocol_round(vote.round)?,
        step: match vote.step {
            VoteType::Prevote => Step::Prevote,
            VoteType::Precommit => Step::Precommit,
        },
        block: match vote.block {
            NilOrVal::Nil => None,
            NilOrVal::Val(block) => Some(block),
        },
    })
}

pub(super) fn to_protocol_proposal(proposal: &EngineProposal) -> Option<Proposal> {
    Some(Proposal {
        height: proposal.height.0,
        round: to_protocol_round(proposal.round)?,
        pol_round: to_protocol_round(proposal.pol_round),
        block: proposal.value.0,
    })
}

impl Agreement {
    /// The vote without its extension, as evidence and certificates carry it. `None` in the nil round.
    #[must_use]
    pub fn to_protocol_vote(vote: &engine::SignedVote<Self>) -> Option<SignedVote> {
        Some(SignedVote {
            vote: to_protocol_vote(&vote.message)?,
            validator: vote.message.validator.0,
            signature: vote.signature,
        })
    }

    /// The vote as the engine takes it, without extension.
    #[must_use]
    pub fn to_engine_vote(signed: &SignedVote) -> engine::SignedVote<Self> {
        let step = match signed.vote.step {
            Step::Prevote => VoteType::Prevote,
            Step::Precommit => VoteType::Precommit,
        };
        let place = (
            EngineHeight(signed.vote.height),
            to_engine_round(Some(signed.vote.round)),
            step,
        );
        let block = signed.vote.block.map_or(NilOrVal::Nil, NilOrVal::Val);
        let vote = EngineVote::new(place, block, SeatAddress(signed.validator));
        engine::SignedVote::new(vote, signed.signature)
    }

    /// The proposal as evidence carries it. `None` in the nil round.
    #[must_use]
    pub fn to_protocol_proposal(proposal: &engine::SignedProposal<Self>) -> Option<SignedProposal> {
        Some(SignedProposal {
            proposal: to_protocol_proposal(&proposal.message)?,
            kind: ProposalKind::Proposal,
            proposer: proposal.message.proposer.0,
            signature: proposal.signature,
        })
    }

    /// The proposal as the engine takes it. `None` for an Init, which is not the engine's.
    #[must_use]
    pub fn to_engine_proposal(signed: &SignedProposal) -> Option<engine::SignedProposal<Self>> {
        if signed.kind != ProposalKind::Proposal {
            return None;
        }
        let proposal = EngineProposal {
            height: EngineHeight(signed.proposal.height),
            round: to_engine_round(Some(signed.proposal.round)),
            value: BlockValue(signed.proposal.block),
            pol_round: to_engine_round(signed.proposal.pol_round),
            proposer: SeatAddress(signed.proposer),
        };
        Some(engine::SignedProposal::new(proposal, signed.signature))
    }

    /// The certificate of a decision with its extensions, signers by address. Signers without an extension are left
    /// out; under the policy `Required` there are none. `None` in the nil round.
    #[must_use]
    pub fn to_protocol_certificate(
        certificate: &engine::CommitCertificate<Self>,
        extensions: &VoteExtensions<Self>,
    ) -> Option<ExtendedCertificate> {
        let signatures = certificate.commit_signatures.iter().filter_map(|one| {
            let (_, extension) = extensions
                .extensions
                .iter()
                .find(|(address, _)| *address == one.address)?;
            Some(ExtendedSignature {
                validator: one.address.0,
                signature: one.signature,
                extension: extension.message.0.clone(),
                extension_signature: extension.signature,
            })
        });
        let mut signatures: Vec<ExtendedSignature> = signatures.collect();
        signatures.sort_by_key(|one| one.validator);
        signatures.dedup_by_key(|one| one.validator);
        Some(ExtendedCertificate {
            height: certificate.height.0,
            round: to_protocol_round(certificate.round)?,
            block: certificate.value_id,
            signatures,
        })
    }

    /// The certificate without extensions. `None` in the nil round.
    #[must_use]
    pub fn to_protocol_commit(
        certificate: &engine::CommitCertificate<Self>,
    ) -> Option<CommitCertificate> {
        let signatures = certificate.commit_signatures.iter();
        let signatures = signatures.map(|one| (one.address.0, one.signature));
        Some(CommitCertificate {
            height: certificate.height.0,
            round: to_protocol_round(certificate.round)?,
            block: certificate.value_id,
            signatures: signatures.collect(),
        })
    }

    /// The certificate as the engine's synchronisation takes it.
    #[must_use]
    pub fn to_engine_certificate(
        certificate: &ExtendedCertificate,
    ) -> engine::ExtendedCommitCertificate<Self> {
        let signatures = certificate.signatures.iter().map(|one| {
            let extension = VoteExtension(one.extension.clone());
            let extension = engine::SignedExtension::new(extension, one.extension_signature);
            engine::ExtendedCommitSignature::new(
                SeatAddress(one.validator),
                one.signature,
                Some(extension),
            )
        });
        engine::ExtendedCommitCertificate {
            height: EngineHeight(certificate.height),
            round: to_engine_round(Some(certificate.round)),
            value_id: certificate.block,
            commit_signatures: signatures.collect(),
        }
    }
}
