//! Inits and payloads of the height being agreed on and of the next one, as they arrive: parts of a block come in any
//! order, from anybody.
//!
//! Invariants: an Init is kept only if the proposer of its round signed it, at most [`INITS_PER_ROUND`] a round (two are
//! evidence, more tell nothing new) and [`INITS_MAX`] a height; payloads are kept by their root, a bounded number and
//! size of those that no Init has asked for yet. What this module does not do: judge blocks, or speak to the engine.

use std::collections::{BTreeMap, VecDeque};

use protocol::{
    block::{Block, BlockHeader, BlockId, Payload},
    codec::to_bytes,
    number::{Height, Round},
    transaction::Domain,
    validator::ValidatorSet,
    vote::{ProposalKind, SignedProposal},
};

/// Inits that are kept for one round.
const INITS_PER_ROUND: usize = 2;
/// Inits that are kept for one height: a header is up to 0.4 MB with a hundred signers.
const INITS_MAX: usize = 32;
/// Rounds ahead of the present one of which Inits are kept.
const ROUNDS_AHEAD: u32 = 16;
/// Payloads kept that no Init names.
const ORPHANS_MAX: usize = 8;
/// Bytes of them.
const ORPHAN_BYTES_MAX: usize = 32 << 20;

/// A proposer's signed opening of a block's parts.
#[derive(Clone, Debug)]
pub(super) struct Init {
    pub(super) signed: SignedProposal,
    pub(super) header: Box<BlockHeader>,
}

/// What an arriving part has led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing new.
    Nothing,
    /// An Init was kept.
    Init(Round, BlockId),
    /// A payload was kept.
    Payload([u8; 32]),
    /// Two different Inits for one round: evidence against their proposer.
    Double(Box<(SignedProposal, SignedProposal)>),
}

/// The parts of one height.
#[derive(Debug, Default)]
struct Book {
    inits: BTreeMap<(Round, BlockId), Init>,
    payloads: BTreeMap<[u8; 32], Box<Payload>>,
}

/// The parts of two heights.
#[derive(Debug)]
pub(super) struct Parts {
    domain: Domain,
    height: Height,
    round: Round,
    now: Book,
    next: Book,
    /// Payloads that no Init names yet, oldest first, with their sizes.
    orphans: VecDeque<([u8; 32], Box<Payload>, usize)>,
}

impl Parts {
    pub(super) fn new(domain: Domain, height: Height) -> Self {
        Self {
            domain,
            height,
            round: Round(0),
            now: Book::default(),
            next: Book::default(),
            orphans: VecDeque::new(),
        }
    }

    /// The height being agreed on.
    pub(super) fn height(&self) -> Height {
        self.height
    }

    pub(super) fn round(&self) -> Round {
        self.round
    }

    pub(super) fn start_round(&mut self, round: Round) {
        self.round = round;
    }

    /// Turns to a later height.
    pub(super) fn start_height(&mut self, height: Height) {
        let next = std::mem::take(&mut self.next);
        let follows = self.height.0.checked_add(1) == Some(height.0);
        self.now = if follows { next } else { Book::default() };
        self.height = height;
        self.round = Round(0);
    }

    fn book(&mut self, height: Height) -> Option<&mut Book> {
        if height == self.height {
            Some(&mut self.now)
        } else if self.height.0.checked_add(1) == Some(height.0) {
            Some(&mut self.next)
        } else {
            None
        }
    }

    /// Takes an Init that came from anywhere. `set` is that of the height it is for.
    pub(super) fn take_init(&mut self, init: Init, set: &ValidatorSet) -> Arrival {
        let proposal = init.signed.proposal;
        let newest = if proposal.height == self.height {
            self.round.0.saturating_add(ROUNDS_AHEAD)
        } else {
            ROUNDS_AHEAD
        };
        let is_proper = init.signed.kind == ProposalKind::Init
            && proposal.round.0 <= newest
            && init.header.core.height == proposal.height
            && *set.proposer(proposal.height, proposal.round) == init.signed.proposer
            && init.header.id() == proposal.block;
        let domain = self.domain;
        let Some(book) = self.book(proposal.height).filter(|_| is_proper) else {
            return Arrival::Nothing;
        };
        let place = (proposal.round, proposal.block);
        let same_round = (proposal.round, BlockId([0; 32]))..=(proposal.round, BlockId([0xff; 32]));
        let rivals: Vec<SignedProposal> = book
            .inits
            .range(same_round)
            .map(|(_, init)| init.signed)
            .collect();
        let is_known = book.inits.contains_key(&place);
        if is_known || rivals.len() >= INITS_PER_ROUND || book.inits.len() >= INITS_MAX {
            return Arrival::Nothing;
        }
        if !init.signed.is_authentic(&domain) {
            return Arrival::Nothing;
        }
        let signed = init.signed;
        self.keep(init);
        match rivals.first() {
            Some(rival) => Arrival::Double(Box::new((*rival, signed))),
            None => Arrival::Init(place.0, place.1),
        }
    }

    /// Keeps an Init that needs no check: this node's own.
    pub(super) fn keep(&mut self, init: Init) {
        let proposal = init.signed.proposal;
        let root = init.header.core.payload_root;
        let orphan = self.orphans.iter().position(|(name, ..)| *name == root);
        let orphan = orphan.and_then(|place| self.orphans.remove(place));
        if let Some(book) = self.book(proposal.height) {
            if let Some((_, payload, _)) = orphan {
                book.payloads.insert(root, payload);
            }
            book.inits.insert((proposal.round, proposal.block), init);
        }
    }

    /// Takes a payload.
    pub(super) fn take_payload(&mut self, payload: Box<Payload>) -> Arrival {
        let bytes = to_bytes(&*payload);
        let root = protocol::hash::keccak256(&bytes);
        for book in [&mut self.now, &mut self.next] {
            if book.payloads.contains_key(&root) {
                return Arrival::Nothing;
            }
            let mut inits = book.inits.values();
            if inits.any(|init| init.header.core.payload_root == root) {
                book.payloads.insert(root, payload);
                return Arrival::Payload(root);
            }
        }
        if self.orphans.iter().all(|(name, ..)| *name != root) {
            self.orphans.push_back((root, payload, bytes.len()));
        }
        let size = |orphans: &VecDeque<([u8; 32], Box<Payload>, usize)>| -> usize {
            orphans.iter().map(|(_, _, size)| size).sum()
        };
        while self.orphans.len() > ORPHANS_MAX || size(&self.orphans) > ORPHAN_BYTES_MAX {
            self.orphans.pop_front();
        }
        Arrival::Nothing
    }

    /// Inits of the present height, by round.
    pub(super) fn inits(&self) -> impl Iterator<Item = &Init> {
        self.now.inits.values()
    }

    /// Inits of one block at the present height, by round.
    pub(super) fn inits_of(&self, id: BlockId) -> impl Iterator<Item = &Init> {
        self.inits()
            .filter(move |init| init.signed.proposal.block == id)
    }

    /// The whole block, if both halves are here.
    pub(super) fn block(&self, id: BlockId) -> Option<Block> {
        let header = &self.inits_of(id).next()?.header;
        let payload = self.now.payloads.get(&header.core.payload_root)?;
        Some(Block {
            header: (**header).clone(),
            payload: (**payload).clone(),
        })
    }
}

#[cfg(test)]
mod tests;
