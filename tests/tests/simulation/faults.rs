//! Faulty validators of the campaign, among them each behaviour of the published `arc-malachitebft-engine-byzantine`.
//!
//! That crate wraps actors and sockets, so its triggers are written anew here. When one fires depends on seed, height
//! and round alone: a message that is repeated meets the same fate again.

use arc_malachitebft_core_types::{Context as _, NilOrVal, Vote as _, VoteType};
use protocol::{block::BlockId, number::Height};
use sequencer::agreement::{Agreement, EngineVote};

use crate::message::Message;

/// How a faulty validator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misconduct {
    /// Its key runs on two machines that know nothing of each other: two of every message.
    Twins,
    /// It forgets log and guard when it crashes, which it does often: it votes against its own locks.
    Amnesia,
    /// It withholds messages and parts, changes votes, proposes invalid blocks, and signs in others' names.
    Liar,
    /// Its votes never leave.
    DropsVotes,
    /// Its proposals never leave, or its Inits, or both; parts do.
    DropsProposals,
    /// It prevotes for whatever is proposed, whether it has judged it or is locked on another block.
    IgnoresLocks,
    /// It precommits nil instead of any block.
    PrecommitsNil,
    /// It hears no proposals, only their parts.
    DropsInboundProposals,
    /// It sends Inits and payloads to about half of the others.
    PartialParts,
    /// What a scenario makes of it; by itself it is honest, but has no guard.
    Scripted,
}

/// What a random plan chooses from.
pub(crate) const KINDS: [Misconduct; 9] = [
    Misconduct::Twins,
    Misconduct::Amnesia,
    Misconduct::Liar,
    Misconduct::DropsVotes,
    Misconduct::DropsProposals,
    Misconduct::IgnoresLocks,
    Misconduct::PrecommitsNil,
    Misconduct::DropsInboundProposals,
    Misconduct::PartialParts,
];

/// A misconduct, and how often it shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Misconduct,
    pub(crate) seed: u64,
    /// Percent of rounds.
    pub(crate) percent: u64,
}

impl Fault {
    /// Whether it shows at this height and round, in this respect.
    fn fires(&self, height: Height, round: i64, respect: u64) -> bool {
        let round = u64::try_from(round).unwrap_or(0);
        let mut mixed = self.seed ^ (height.0 << 32) ^ (round << 8) ^ respect;
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        (mixed >> 32) % 100 < self.percent
    }

    /// Whether the message does not leave at all, for this receiver.
    pub(crate) fn drops_outgoing(&self, message: &Message, to: usize) -> bool {
        let (_, height, round, _) = message.summary();
        let fires = |respect| self.fires(Height(height), round, respect);
        match (self.kind, message) {
            (Misconduct::DropsVotes, Message::Vote(_)) => fires(0),
            (Misconduct::DropsProposals, Message::Proposal(_)) => fires(1),
            (Misconduct::DropsProposals, Message::Init { .. }) => fires(2),
            (Misconduct::PartialParts, Message::Init { .. } | Message::Payload { .. }) => {
                let half = Self {
                    percent: 50,
                    ..*self
                };
                half.fires(Height(height), 0, 16 + to as u64)
            }
            _ => false,
        }
    }

    /// Whether the message is not heard.
    pub(crate) fn drops_inbound(&self, message: &Message) -> bool {
        let (_, height, round, _) = message.summary();
        matches!(
            (self.kind, message),
            (Misconduct::DropsInboundProposals, Message::Proposal(_))
        ) && self.fires(Height(height), round, 3)
    }

    /// What it signs instead of this vote; `proposed` is the block of the round's Init, if one came.
    pub(crate) fn twist(
        &self,
        agreement: &Agreement,
        vote: EngineVote,
        proposed: Option<BlockId>,
    ) -> EngineVote {
        let (height, round, by) = (vote.height(), vote.round(), *vote.validator_address());
        let fires = || self.fires(height.0, round.as_i64(), 4);
        match (self.kind, vote.vote_type(), vote.value()) {
            (Misconduct::PrecommitsNil, VoteType::Precommit, NilOrVal::Val(_)) if fires() => {
                agreement.new_precommit(height, round, NilOrVal::Nil, by)
            }
            (Misconduct::IgnoresLocks, VoteType::Prevote, NilOrVal::Nil) if fires() => {
                let value = proposed.map_or(NilOrVal::Nil, NilOrVal::Val);
                agreement.new_prevote(height, round, value, by)
            }
            _ => vote,
        }
    }
}
