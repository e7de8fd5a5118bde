//! What nodes send each other in the simulation.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use arc_malachitebft_core_types::{
    NilOrVal, PolkaCertificate, Proposal as _, RoundCertificate,
    SignedProposal as EngineSignedProposal, SignedVote as EngineSignedVote, Vote as _, VoteType,
};
use protocol::{
    block::{Block, BlockHeader, Payload},
    certificate::ExtendedCertificate,
    number::Height,
    vote::SignedProposal,
};
use sequencer::agreement::Agreement;

/// One message.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Vote(EngineSignedVote<Agreement>),
    Proposal(EngineSignedProposal<Agreement>),
    Polka(PolkaCertificate<Agreement>),
    Round(RoundCertificate<Agreement>),
    Init {
        signed: SignedProposal,
        header: Box<BlockHeader>,
    },
    Payload {
        height: Height,
        payload: Box<Payload>,
    },
    /// A client's transaction, by its number.
    Submission(usize),
    /// A proposer asks for the bytes of a listed transaction.
    Want(usize),
    /// Height of the sender's tip.
    Status(Height),
    /// A decided block with what proves it.
    Decided(Box<(Block, ExtendedCertificate)>),
}

impl Message {
    /// What the trace says of it: kind, height, round, first bytes of the block.
    pub(crate) fn summary(&self) -> (&'static str, u64, i64, u64) {
        let short = |id: &[u8; 32]| u64::from_be_bytes(id[..8].try_into().unwrap());
        let of_vote = |vote: &EngineSignedVote<Agreement>| match vote.value() {
            NilOrVal::Nil => 0,
            NilOrVal::Val(id) => short(&id.0),
        };
        match self {
            Self::Vote(vote) => {
                let kind = match vote.vote_type() {
                    VoteType::Prevote => "prevote",
                    VoteType::Precommit => "precommit",
                };
                let height = vote.height().0.0;
                (kind, height, vote.round().as_i64(), of_vote(vote))
            }
            Self::Proposal(one) => {
                let id = short(&one.value().0.0);
                ("proposal", one.height().0.0, one.round().as_i64(), id)
            }
            Self::Polka(one) => {
                let id = short(&one.value_id.0);
                ("polka", one.height.0.0, one.round.as_i64(), id)
            }
            Self::Round(one) => ("round", one.height.0.0, one.round.as_i64(), 0),
            Self::Init { signed, .. } => {
                let proposal = &signed.proposal;
                let id = short(&proposal.block.0);
                ("init", proposal.height.0, i64::from(proposal.round.0), id)
            }
            Self::Payload { height, payload } => ("payload", height.0, 0, short(&payload.root())),
            Self::Submission(place) => ("submission", 0, 0, *place as u64),
            Self::Want(place) => ("want", 0, 0, *place as u64),
            Self::Status(height) => ("status", height.0, 0, 0),
            Self::Decided(one) => {
                let height = one.1.height.0;
                (
                    "decided",
                    height,
                    i64::from(one.1.round.0),
                    short(&one.1.block.0),
                )
            }
        }
    }
}

/// Running hash of everything that happened.
pub(crate) struct Trace {
    hasher: DefaultHasher,
    is_printed: bool,
}

impl Trace {
    pub(crate) fn new(is_printed: bool) -> Self {
        Self {
            hasher: DefaultHasher::new(),
            is_printed,
        }
    }

    pub(crate) fn note(
        &mut self,
        at: u64,
        (from, to): (usize, usize),
        (kind, height, round, id): (&str, u64, i64, u64),
    ) {
        self.hasher.write_u64(at);
        self.hasher.write_usize(from);
        self.hasher.write_usize(to);
        self.hasher.write(kind.as_bytes());
        self.hasher.write_u64(height);
        self.hasher.write_i64(round);
        self.hasher.write_u64(id);
        if self.is_printed {
            println!("{at:>7} ms  {from} -> {to}  {kind:<10} h{height} r{round} {id:016x}");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}
