//! Evidence: two signed messages that one honest validator cannot both have signed (`sequencing.md`, rule 12).
//!
//! Signatures alone decide, so a contract can judge the same pair. A lock challenge is weaker: voting against one's
//! own lock is right if prevotes of more than two thirds of the weight (a *polka*) freed it in between, so whoever did
//! it shows that polka or is guilty.
//!
//! What this module does not do: punish.

mod promise;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    block::BlockId,
    checkpoint::SignedCommitment,
    number::{Height, Round},
    preconfirmation::SignedPreconfirmation,
    transaction::Domain,
    validator::{ValidatorSet, ValidatorSignature},
    vote::{SignedProposal, SignedVote, Step, extension_digest},
};

pub use promise::{BrokenPreconfirmation, is_own};

/// Two signed messages that accuse their signer.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Evidence {
    /// Two votes in one step of one round.
    DoubleVote(SignedVote, SignedVote),
    /// Two proposals, or two Inits, for one round.
    DoubleProposal(SignedProposal, SignedProposal),
    /// Two extensions of one precommit.
    DoubleExtension {
        /// Height of the precommit.
        height: Height,
        /// Its round.
        round: Round,
        /// Its block.
        block: BlockId,
        /// Who signed both.
        validator: L1Address,
        /// keccak256 of one extension's encoding, and its signature.
        first: ([u8; 32], ValidatorSignature),
        /// The other.
        second: ([u8; 32], ValidatorSignature),
    },
    /// A precommit of one block, and a prevote of another in a later round: an answer may clear it.
    LockChallenge {
        /// The lock.
        precommit: SignedVote,
        /// The vote against it.
        prevote: SignedVote,
    },
    /// Two commitments to one batch from one root.
    DoubleCheckpoint(Box<SignedCommitment>, Box<SignedCommitment>),
    /// Two promises for one height that no block keeps together.
    DoublePreconfirmation(SignedPreconfirmation, SignedPreconfirmation),
    /// A promise, and a proposal of its maker's own block that does not keep it.
    BrokenPreconfirmation(Box<BrokenPreconfirmation>),
}

/// What a validator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Offence {
    /// Two votes in one step.
    DoubleVote,
    /// Two proposals or Inits for one round.
    DoubleProposal,
    /// Two extensions of one precommit.
    DoubleExtension,
    /// A vote against its own lock, as long as no polka answers the challenge.
    BrokenLock,
    /// Two commitments to one batch from one root.
    DoubleCheckpoint,
    /// Two promises that no block keeps together.
    DoublePreconfirmation,
    /// A promise that its maker's own block does not keep.
    BrokenPreconfirmation,
}

impl std::fmt::Display for Offence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DoubleVote => "double vote",
            Self::DoubleProposal => "double proposal",
            Self::DoubleExtension => "double extension",
            Self::BrokenLock => "broken lock",
            Self::DoubleCheckpoint => "double checkpoint",
            Self::DoublePreconfirmation => "double preconfirmation",
            Self::BrokenPreconfirmation => "broken preconfirmation",
        })
    }
}

/// Who did what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The validator.
    pub offender: L1Address,
    /// The offence.
    pub offence: Offence,
    /// Where.
    pub height: Height,
}

/// Why evidence shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The two messages have different signers, places or kinds.
    #[error("the two messages do not belong together: {0}")]
    Unrelated(&'static str),
    /// The two messages are the same: an honest validator may repeat itself.
    #[error("the two messages say the same")]
    Same,
    /// A signature is not the accused's: somebody else may have made it up.
    #[error("a signature is not that of {0}")]
    Signature(L1Address),
    /// The accused is not in the validator set of that height.
    #[error("{0} is not in the validator set")]
    Stranger(L1Address),
}

impl Evidence {
    /// The messages' common height; the lower one of two commitments, whose last blocks may differ.
    #[must_use]
    pub fn height(&self) -> Height {
        match self {
            Self::DoubleVote(first, _) => first.vote.height,
            Self::DoubleProposal(first, _) => first.proposal.height,
            Self::DoubleExtension { height, .. } => *height,
            Self::LockChallenge { precommit, .. } => precommit.vote.height,
            Self::DoubleCheckpoint(first, second) => {
                let heights = (
                    &first.commitment.last_height,
                    &second.commitment.last_height,
                );
                *heights.0.min(heights.1)
            }
            Self::DoublePreconfirmation(first, _) => first.preconfirmation.height,
            Self::BrokenPreconfirmation(broken) => broken.promise.preconfirmation.height,
        }
    }

    /// Judges the pair under the validator set of its height.
    ///
    /// # Errors
    /// [`EvidenceError`]: it shows nothing.
    pub fn verify(&self, domain: &Domain, set: &ValidatorSet) -> Result<Finding, EvidenceError> {
        let (offender, offence) = match self {
            Self::DoubleVote(first, second) => {
                double_vote(first, second)?;
                check_votes(domain, [first, second])?;
                (first.validator, Offence::DoubleVote)
            }
            Self::DoubleProposal(first, second) => {
                double_proposal(first, second)?;
                for one in [first, second] {
                    if !one.is_authentic(domain) {
                        return Err(EvidenceError::Signature(one.proposer));
                    }
                }
                (first.proposer, Offence::DoubleProposal)
            }
            Self::DoubleExtension {
                height,
                round,
                block,
                validator,
                first,
                second,
            } => {
                if first.0 == second.0 {
                    return Err(EvidenceError::Same);
                }
                for (content, signature) in [first, second] {
                    let digest = extension_digest(domain, *height, *round, *block, content);
                    if !signature.is_by(validator, &digest) {
                        return Err(EvidenceError::Signature(*validator));
                    }
                }
                (*validator, Offence::DoubleExtension)
            }
            Self::LockChallenge { precommit, prevote } => {
                broken_lock(precommit, prevote)?;
                check_votes(domain, [precommit, prevote])?;
                (precommit.validator, Offence::BrokenLock)
            }
            Self::DoubleCheckpoint(first, second) => {
                double_checkpoint(first, second)?;
                for one in [first, second] {
                    if !one.is_authentic(domain) {
                        return Err(EvidenceError::Signature(one.validator));
                    }
                }
                (first.validator, Offence::DoubleCheckpoint)
            }
            Self::DoublePreconfirmation(first, second) => {
                double_preconfirmation(first, second)?;
                for one in [first, second] {
                    if !one.is_authentic(domain) {
                        return Err(EvidenceError::Signature(one.proposer));
                    }
                }
                (first.proposer, Offence::DoublePreconfirmation)
            }
            Self::BrokenPreconfirmation(broken) => {
                let offender = broken.promise.proposer;
                // signatures first: reading a payload costs more
                let is_signed = broken.promise.is_authentic(domain)
                    && broken.proposal.proposer == offender
                    && broken.proposal.is_authentic(domain);
                if !is_signed {
                    return Err(EvidenceError::Signature(offender));
                }
                broken.check(domain)?;
                (offender, Offence::BrokenPreconfirmation)
            }
        };
        if set.weight_of(&offender) == 0 {
            return Err(EvidenceError::Stranger(offender));
        }
        Ok(Finding {
            offender,
            offence,
            height: self.height(),
        })
    }

    /// Whether a polka answers this challenge: prevotes of more than two thirds of the weight for the block of the
    /// later prevote, in one round from the lock's on and before the prevote's.
    ///
    /// Only a [`Evidence::LockChallenge`] can be answered.
    #[must_use]
    pub fn is_answered_by(
        &self,
        polka: &[SignedVote],
        domain: &Domain,
        set: &ValidatorSet,
    ) -> bool {
        let Self::LockChallenge { precommit, prevote } = self else {
            return false;
        };
        let (Some(first), rounds) = (polka.first(), precommit.vote.round..prevote.vote.round)
        else {
            return false;
        };
        let mut signers = std::collections::BTreeSet::new();
        let fits = polka.iter().all(|one| {
            one.vote == first.vote
                && one.vote.height == prevote.vote.height
                && one.vote.step == Step::Prevote
                && one.vote.block == prevote.vote.block
                && rounds.contains(&one.vote.round)
                && signers.insert(one.validator)
                && one.is_authentic(domain)
        });
        let weight = signers.iter().map(|signer| set.weight_of(signer)).sum();
        fits && set.is_quorum(weight)
    }
}

fn check_votes(domain: &Domain, votes: [&SignedVote; 2]) -> Result<(), EvidenceError> {
    match votes.iter().find(|vote| !vote.is_authentic(domain)) {
        Some(vote) => Err(EvidenceError::Signature(vote.validator)),
        None => Ok(()),
    }
}

fn double_vote(first: &SignedVote, second: &SignedVote) -> Result<(), EvidenceError> {
    let (one, other) = (first.vote, second.vote);
    if first.validator != second.validator {
        return Err(EvidenceError::Unrelated("signers"));
    }
    if (one.height, one.round, one.step) != (other.height, other.round, other.step) {
        return Err(EvidenceError::Unrelated("height, round or step"));
    }
    if one.block == other.block {
        return Err(EvidenceError::Same);
    }
    Ok(())
}

fn double_proposal(first: &SignedProposal, second: &SignedProposal) -> Result<(), EvidenceError> {
    let (one, other) = (first.proposal, second.proposal);
    if first.proposer != second.proposer {
        return Err(EvidenceError::Unrelated("signers"));
    }
    if (one.height, one.round) != (other.height, other.round) {
        return Err(EvidenceError::Unrelated("height or round"));
    }
    // A proposal and an Init of one block differ in kind only; of two blocks they are two choices.
    let says_the_same = one.block == other.block && one.pol_round == other.pol_round;
    if says_the_same {
        return Err(EvidenceError::Same);
    }
    Ok(())
}

fn double_checkpoint(
    first: &SignedCommitment,
    second: &SignedCommitment,
) -> Result<(), EvidenceError> {
    let (one, other) = (&first.commitment, &second.commitment);
    if first.validator != second.validator {
        return Err(EvidenceError::Unrelated("signers"));
    }
    if (one.batch_number, one.root_before) != (other.batch_number, other.root_before) {
        return Err(EvidenceError::Unrelated("batch number or root before"));
    }
    if one == other {
        return Err(EvidenceError::Same);
    }
    Ok(())
}

fn double_preconfirmation(
    first: &SignedPreconfirmation,
    second: &SignedPreconfirmation,
) -> Result<(), EvidenceError> {
    let (one, other) = (&first.preconfirmation, &second.preconfirmation);
    if first.proposer != second.proposer {
        return Err(EvidenceError::Unrelated("signers"));
    }
    if one == other {
        return Err(EvidenceError::Same);
    }
    if !one.conflicts_with(other) {
        return Err(EvidenceError::Unrelated(
            "one height, and either the place or the transaction, must be equal",
        ));
    }
    Ok(())
}

fn broken_lock(precommit: &SignedVote, prevote: &SignedVote) -> Result<(), EvidenceError> {
    let (lock, against) = (precommit.vote, prevote.vote);
    if precommit.validator != prevote.validator {
        return Err(EvidenceError::Unrelated("signers"));
    }
    if lock.height != against.height
        || lock.step != Step::Precommit
        || against.step != Step::Prevote
        || against.round <= lock.round
    {
        return Err(EvidenceError::Unrelated(
            "a precommit and a prevote of a later round of one height are needed",
        ));
    }
    match (lock.block, against.block) {
        (Some(locked), Some(other)) if locked != other => Ok(()),
        (Some(_), Some(_)) => Err(EvidenceError::Same),
        // prevoting nil, or after precommitting nil, breaks no lock
        _ => Err(EvidenceError::Unrelated("both votes must name a block")),
    }
}

#[cfg(test)]
mod tests;
