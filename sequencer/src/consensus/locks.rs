//! What this node has heard at the present height: prevotes and proposals, to publish a lock with everything that lets
//! others follow it (`sequencing.md`, rule 11), and extensions, because the engine keeps a signer's first only.
//!
//! Invariants: only messages that verify are kept, two a slot at most. What this module does not do: send anything.

use std::collections::{BTreeMap, BTreeSet};

use arc_malachitebft_app::consensus::SignedConsensusMsg;
use arc_malachitebft_core_types::{
    NilOrVal, PolkaCertificate, PolkaSignature, Proposal as _, SignedProposal, SignedVote,
    Vote as _, VoteType,
};
use protocol::{
    account::L1Address,
    block::BlockId,
    codec::to_bytes,
    evidence::Evidence,
    hash::keccak256,
    number::{Height, Round},
    validator::{ValidatorSet, ValidatorSignature},
    vote::extension_digest,
};

use crate::agreement::{Agreement, EngineHeight, SeatAddress};

/// Rounds of which messages are kept: the present one and those around it.
const ROUNDS_MAX: u32 = 64;

type Extended = ([u8; 32], ValidatorSignature);

/// Messages of one height.
pub(super) struct Heard {
    agreement: Agreement,
    height: Height,
    prevotes: BTreeMap<(Round, BlockId), BTreeMap<L1Address, ValidatorSignature>>,
    /// Blocks a validator has prevoted in a round.
    choices: BTreeMap<(Round, L1Address), BTreeSet<BlockId>>,
    proposals: BTreeMap<(Round, BlockId), SignedProposal<Agreement>>,
    extensions: BTreeMap<(Round, BlockId, L1Address), Extended>,
}

impl Heard {
    pub(super) fn new(agreement: Agreement, height: Height) -> Self {
        Self {
            agreement,
            height,
            prevotes: BTreeMap::new(),
            choices: BTreeMap::new(),
            proposals: BTreeMap::new(),
            extensions: BTreeMap::new(),
        }
    }

    pub(super) fn start_height(&mut self, height: Height) {
        *self = Self::new(self.agreement, height);
    }

    /// Takes a message from anybody; returns evidence if it shows two extensions of one precommit.
    pub(super) fn take(
        &mut self,
        message: &SignedConsensusMsg<Agreement>,
        set: &ValidatorSet,
    ) -> Option<Evidence> {
        match message {
            SignedConsensusMsg::Vote(vote) => self.take_vote(vote, set),
            SignedConsensusMsg::Proposal(proposal) => {
                self.take_proposal(proposal, set);
                None
            }
        }
    }

    fn place(&self, height: EngineHeight, round: Option<u32>) -> Option<Round> {
        let round = round.filter(|round| *round < ROUNDS_MAX)?;
        (height.0 == self.height).then_some(Round(round))
    }

    fn take_proposal(&mut self, proposal: &SignedProposal<Agreement>, set: &ValidatorSet) {
        let message = &proposal.message;
        let Some(round) = self.place(message.height(), message.round().as_u32()) else {
            return;
        };
        let proposer = message.validator_address().0;
        let place = (round, message.value().0);
        let is_new = *set.proposer(self.height, round) == proposer
            && !self.proposals.contains_key(&place)
            && self
                .proposals
                .range((round, BlockId([0; 32]))..)
                .take_while(|((at, _), _)| *at == round)
                .count()
                < 2;
        if is_new && self.agreement.is_proposal_by(proposal, &proposer) {
            self.proposals.insert(place, proposal.clone());
        }
    }

    fn take_vote(&mut self, vote: &SignedVote<Agreement>, set: &ValidatorSet) -> Option<Evidence> {
        let message = &vote.message;
        let round = self.place(message.height(), message.round().as_u32())?;
        let NilOrVal::Val(block) = *message.value() else {
            return None;
        };
        let validator = message.validator_address().0;
        if set.weight_of(&validator) == 0 {
            return None;
        }
        match message.vote_type() {
            VoteType::Prevote => {
                let choices = self.choices.entry((round, validator)).or_default();
                let is_new = !choices.contains(&block) && choices.len() < 2;
                if is_new && self.agreement.is_vote_by(vote, &validator) {
                    choices.insert(block);
                    let polka = self.prevotes.entry((round, block)).or_default();
                    polka.insert(validator, vote.signature);
                }
                None
            }
            VoteType::Precommit => {
                let extension = message.extension()?;
                let content = keccak256(&to_bytes(&extension.message.0));
                let second = (content, extension.signature);
                self.take_extension((round, block, validator), second)
            }
        }
    }

    fn take_extension(
        &mut self,
        place: (Round, BlockId, L1Address),
        second: Extended,
    ) -> Option<Evidence> {
        let (round, block, validator) = place;
        let known = self.extensions.get(&place).copied();
        if known.is_some_and(|first| first.0 == second.0) {
            return None;
        }
        let domain = &self.agreement.domain;
        let digest = extension_digest(domain, self.height, round, block, &second.0);
        if !second.1.is_by(&validator, &digest) {
            return None;
        }
        let Some(first) = known else {
            self.extensions.insert(place, second);
            return None;
        };
        Some(Evidence::DoubleExtension {
            height: self.height,
            round,
            block,
            validator,
            first,
            second,
        })
    }

    /// Prevotes of more than two thirds of the weight for a block in a round, if this node has heard so many.
    pub(super) fn polka(
        &self,
        round: Round,
        block: BlockId,
        set: &ValidatorSet,
    ) -> Option<PolkaCertificate<Agreement>> {
        let votes = self.prevotes.get(&(round, block))?;
        let weight = votes.keys().map(|voter| set.weight_of(voter)).sum();
        if !set.is_quorum(weight) {
            return None;
        }
        let signatures = votes
            .iter()
            .map(|(voter, signature)| PolkaSignature::new(SeatAddress(*voter), *signature));
        Some(PolkaCertificate {
            height: EngineHeight(self.height),
            round: arc_malachitebft_core_types::Round::new(round.0),
            value_id: block,
            polka_signatures: signatures.collect(),
        })
    }

    /// The proposer's signed choice.
    pub(super) fn proposal(
        &self,
        round: Round,
        block: BlockId,
    ) -> Option<&SignedProposal<Agreement>> {
        self.proposals.get(&(round, block))
    }
}

#[cfg(test)]
mod tests;
