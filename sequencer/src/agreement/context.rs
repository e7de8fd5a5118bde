//! The engine's context.

use arc_malachitebft_core_types::{Context, LinearTimeouts, NilOrVal, Round, VoteType};
use protocol::{block::BlockId, transaction::Domain};

use super::{
    conversion::to_protocol_round,
    message::{BlockValue, EngineProposal, EngineVote, Part, VoteExtension},
    seats::{EngineHeight, Seat, SeatAddress, Seats},
    signing::Secp256k1,
};

/// Our types for the engine, and the chain that all signatures are bound to.
#[derive(Clone, Copy, Debug)]
pub struct Agreement {
    /// Domain of every digest.
    pub domain: Domain,
}

impl Context for Agreement {
    type Address = SeatAddress;
    type Height = EngineHeight;
    type ProposalPart = Part;
    type Proposal = EngineProposal;
    type Validator = Seat;
    type ValidatorSet = Seats;
    type Timeouts = LinearTimeouts;
    type Value = BlockValue;
    type Vote = EngineVote;
    type Extension = VoteExtension;
    type SigningScheme = Secp256k1;

    fn select_proposer<'a>(
        &self,
        validator_set: &'a Seats,
        height: EngineHeight,
        round: Round,
    ) -> &'a Seat {
        // Nil comes before round 0: nobody proposes in it, and the engine asks for defined rounds only
        let round = to_protocol_round(round).unwrap_or_default();
        validator_set.proposer(height.0, round)
    }

    fn new_proposal(
        &self,
        height: EngineHeight,
        round: Round,
        value: BlockValue,
        pol_round: Round,
        address: SeatAddress,
    ) -> EngineProposal {
        EngineProposal {
            height,
            round,
            value,
            pol_round,
            proposer: address,
        }
    }

    fn new_prevote(
        &self,
        height: EngineHeight,
        round: Round,
        value_id: NilOrVal<BlockId>,
        address: SeatAddress,
    ) -> EngineVote {
        EngineVote::new((height, round, VoteType::Prevote), value_id, address)
    }

    fn new_precommit(
        &self,
        height: EngineHeight,
        round: Round,
        value_id: NilOrVal<BlockId>,
        address: SeatAddress,
    ) -> EngineVote {
        EngineVote::new((height, round, VoteType::Precommit), value_id, address)
    }
}
