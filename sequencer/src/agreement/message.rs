//! What validators send each other.

use arc_malachitebft_core_types::{self as engine, NilOrVal, Round, SignedExtension, VoteType};
use protocol::{
    block::{BlockHeader, BlockId, Payload},
    codec::to_bytes,
    vote::{Extension, SignedProposal},
};

use super::{
    Agreement,
    seats::{EngineHeight, SeatAddress},
};

/// What is decided: a block, by its id, which covers everything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockValue(pub BlockId);

impl engine::Value for BlockValue {
    type Id = BlockId;

    fn id(&self) -> BlockId {
        self.0
    }
}

/// What a validator adds to its precommit of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteExtension(pub Extension);

impl engine::Extension for VoteExtension {
    fn size_bytes(&self) -> usize {
        to_bytes(&self.0).len()
    }
}

/// A vote, with its extension if it is a precommit of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineVote {
    pub(super) height: EngineHeight,
    pub(super) round: Round,
    pub(super) step: VoteType,
    pub(super) block: NilOrVal<BlockId>,
    pub(super) validator: SeatAddress,
    extension: Option<SignedExtension<Agreement>>,
}

impl EngineVote {
    pub(super) fn new(
        (height, round, step): (EngineHeight, Round, VoteType),
        block: NilOrVal<BlockId>,
        validator: SeatAddress,
    ) -> Self {
        Self {
            height,
            round,
            step,
            block,
            validator,
            extension: None,
        }
    }
}

impl engine::Vote<Agreement> for EngineVote {
    fn height(&self) -> EngineHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &NilOrVal<BlockId> {
        &self.block
    }

    fn take_value(self) -> NilOrVal<BlockId> {
        self.block
    }

    fn vote_type(&self) -> VoteType {
        self.step
    }

    fn validator_address(&self) -> &SeatAddress {
        &self.validator
    }

    fn extension(&self) -> Option<&SignedExtension<Agreement>> {
        self.extension.as_ref()
    }

    fn take_extension(&mut self) -> Option<SignedExtension<Agreement>> {
        self.extension.take()
    }

    fn extend(self, extension: SignedExtension<Agreement>) -> Self {
        Self {
            extension: Some(extension),
            ..self
        }
    }
}

/// A proposer's choice for a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineProposal {
    pub(super) height: EngineHeight,
    pub(super) round: Round,
    pub(super) value: BlockValue,
    pub(super) pol_round: Round,
    pub(super) proposer: SeatAddress,
}

impl engine::Proposal<Agreement> for EngineProposal {
    fn height(&self) -> EngineHeight {
        self.height
    }

    fn round(&self) -> Round {
        self.round
    }

    fn value(&self) -> &BlockValue {
        &self.value
    }

    fn take_value(self) -> BlockValue {
        self.value
    }

    fn pol_round(&self) -> Round {
        self.pol_round
    }

    fn validator_address(&self) -> &SeatAddress {
        &self.proposer
    }
}

/// How a block travels: header first, signed by the proposer of the round; then the payload, from whoever has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The proposer's Init.
    Init {
        /// Its signature over height, round, round of the polka, and the block's id.
        signed: SignedProposal,
        /// The block without its payload.
        header: Box<BlockHeader>,
    },
    /// The payload; the header's payload root names it, so it needs no signature.
    Payload(Box<Payload>),
}

impl engine::ProposalPart<Agreement> for Part {
    fn is_first(&self) -> bool {
        matches!(self, Self::Init { .. })
    }

    fn is_last(&self) -> bool {
        matches!(self, Self::Payload(_))
    }
}
