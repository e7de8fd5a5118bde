//! What nodes tell each other about bids: bids on their way to the proposer, and what is revealed after one was taken.
//!
//! On the topic `Bids` a message is the Borsh encoding of a [`BlockHeader`] with its bid: core, bid and the certificate
//! that the bid is for. On `Reveals` it is one [`Part`] in the engine's encoding: the proposer's Init with such a header,
//! or the payload that the header names. Invariants: a bid is told on only after the vote rule's header check and both
//! signatures; an Init only if the proposer of its round signed it, two a round at most; a payload only if an Init has
//! asked for it. What comes before its Init waits, in bounded number and size.
//!
//! What this module does not do: judge payloads, or decide anything.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use arc_malachitebft_app::types::codec::Codec;
use bytes::Bytes;
use protocol::{
    account::LeafKey,
    block::{BlockHeader, BlockId},
    codec::{from_bytes, to_bytes},
    number::{Height, LeafIndex, Round},
    params::BID_FLOOR,
    signature::verify_batch,
    state::LeafView,
    transaction::Domain,
    validity::Refusal,
    vote::{ProposalKind, SignedProposal},
};
use tokio::sync::mpsc;

use super::BidBook;
use crate::{
    agreement::{Part, WireCodec},
    executor::Executor,
    network::{Acceptance, Gossip, Topic},
};

/// Parts on their way to agreement. What finds no place is lost here: the mesh has it.
const INLET_MAX: usize = 32;
/// Inits that the builder of this node has not looked at.
const SOLD_MAX: usize = 64;
/// Rounds of which Inits are told on.
const ROUNDS_MAX: u32 = 16;
/// Inits of one round: two are evidence, more tell nothing new.
const INITS_PER_ROUND: usize = 2;
/// Payloads that wait for their Init.
const ORPHANS_MAX: usize = 8;
/// Bytes of them: the longest message four times.
const ORPHAN_BYTES_MAX: usize = 16 << 20;

/// The proposer has signed a block with a bid: time to reveal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reveal {
    pub(crate) height: Height,
    pub(crate) payload_root: [u8; 32],
    /// Until when revealing is safe; `None`: the time is over.
    pub(crate) until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Known {
    /// Blocks whose Inits are known, by height and round.
    inits: BTreeMap<(Height, Round), Vec<BlockId>>,
    /// Payloads that those blocks name, and whether they have come.
    roots: BTreeMap<[u8; 32], (Height, bool)>,
    orphans: VecDeque<([u8; 32], Bytes)>,
}

impl Known {
    fn forget(&mut self, tip: Height) {
        self.inits.retain(|(height, _), _| *height > tip);
        self.roots.retain(|_, (height, _)| *height > tip);
    }

    fn can_take(&self, signed: &SignedProposal) -> bool {
        let place = (signed.proposal.height, signed.proposal.round);
        let others = self.inits.get(&place);
        others.is_none_or(|others| {
            others.len() < INITS_PER_ROUND && !others.contains(&signed.proposal.block)
        })
    }

    /// Keeps an Init; returns whether it is new, and its payload if that has come before.
    fn take(&mut self, signed: &SignedProposal, header: &BlockHeader) -> (bool, Option<Bytes>) {
        if !self.can_take(signed) {
            return (false, None);
        }
        let proposal = signed.proposal;
        let place = (proposal.height, proposal.round);
        self.inits.entry(place).or_default().push(proposal.block);
        let root = header.core.payload_root;
        let known = self.roots.entry(root).or_insert((proposal.height, false));
        let orphan = self.orphans.iter().position(|(name, _)| *name == root);
        let orphan = orphan.and_then(|place| self.orphans.remove(place));
        known.1 |= orphan.is_some();
        (true, orphan.map(|(_, bytes)| bytes))
    }

    fn keep_orphan(&mut self, root: [u8; 32], bytes: Bytes) {
        if self.orphans.iter().any(|(name, _)| *name == root) {
            return;
        }
        self.orphans.push_back((root, bytes));
        let size = |orphans: &VecDeque<([u8; 32], Bytes)>| -> usize {
            orphans.iter().map(|(_, bytes)| bytes.len()).sum()
        };
        while self.orphans.len() > ORPHANS_MAX || size(&self.orphans) > ORPHAN_BYTES_MAX {
            self.orphans.pop_front();
        }
    }
}

/// Bids and reveals between peers, agreement and this node's builder.
pub(crate) struct Exchange {
    executor: Arc<Executor>,
    book: Mutex<BidBook>,
    known: Mutex<Known>,
    gossip: OnceLock<Gossip>,
    inlet: Mutex<Option<mpsc::Sender<Part>>>,
    sold: mpsc::Sender<Reveal>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    /// The exchange, and what a builder of this node watches.
    pub(crate) fn new(executor: Arc<Executor>) -> (Self, mpsc::Receiver<Reveal>) {
        let (sold, watched) = mpsc::channel(SOLD_MAX);
        let exchange = Self {
            executor,
            book: Mutex::default(),
            known: Mutex::default(),
            gossip: OnceLock::new(),
            inlet: Mutex::default(),
            sold,
        };
        (exchange, watched)
    }

    fn domain(&self) -> &Domain {
        &self.executor.shared.chain.constants.domain
    }

    /// Gossip peers connected; none before the network runs.
    pub(crate) fn peer_count(&self) -> usize {
        self.gossip.get().map_or(0, |gossip| gossip.peers().len())
    }

    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Where to tell; once, as soon as the network runs.
    pub(crate) fn connect(&self, gossip: Gossip) {
        let _ = self.gossip.set(gossip); // a second network does not exist
    }

    /// Parts that peers reveal come out here from now on.
    pub(crate) fn attach(&self) -> mpsc::Receiver<Part> {
        let (sender, parts) = mpsc::channel(INLET_MAX);
        *lock(&self.inlet) = Some(sender);
        parts
    }

    fn publish(&self, topic: Topic, bytes: Bytes) {
        if let Some(gossip) = self.gossip.get()
            && let Err(error) = gossip.publish(topic, bytes)
        {
            tracing::debug!(?topic, %error, "not told");
        }
    }

    fn deliver(&self, part: Part) {
        if let Some(inlet) = lock(&self.inlet).as_ref()
            && inlet.try_send(part).is_err()
        {
            ::metrics::counter!("sequencer_reveals_dropped_total").increment(1);
        }
    }

    /// Judges a message of the topic `Bids`.
    pub(crate) fn take_bid_bytes(&self, bytes: &[u8]) -> Acceptance {
        match from_bytes::<BlockHeader>(bytes) {
            Ok(header) => self.take_bid(header),
            Err(_) => Acceptance::Reject,
        }
    }

    /// Judges a bid, and keeps it if it is the best.
    pub(crate) fn take_bid(&self, header: BlockHeader) -> Acceptance {
        if header.bid.is_none() || header.core.birth_round != Round(0) {
            return Acceptance::Reject;
        }
        self.turn();
        let ahead = header
            .core
            .height
            .0
            .checked_sub(self.executor.tip().height.0);
        match ahead {
            Some(1) => self.judge_bid(header),
            Some(2) => {
                lock(&self.book).hold(header);
                Acceptance::Ignore
            }
            _ => Acceptance::Ignore,
        }
    }

    /// Follows the tip; judges what was held back for the next height.
    fn turn(&self) {
        let tip = self.executor.tip();
        let held = lock(&self.book).turn(&tip);
        for header in held {
            let bytes = Bytes::from(to_bytes(&header));
            if self.judge_bid(header) == Acceptance::Accept {
                self.publish(Topic::Bids, bytes);
            }
        }
    }

    fn judge_bid(&self, header: BlockHeader) -> Acceptance {
        if lock(&self.book).admits(&header).is_err() {
            let is_stale = header.core.parent != self.executor.tip().id;
            let is_next = self.executor.tip().height.0.checked_add(1) == Some(header.core.height.0);
            // one block is decided at a height: who names another as parent is wrong
            return if is_stale && is_next {
                Acceptance::Reject
            } else {
                Acceptance::Ignore
            };
        }
        if !self.is_covered(&header) {
            return Acceptance::Reject;
        }
        match self.executor.judge_header(&header) {
            Ok(Ok(())) => {
                self.executor.observed.offered(&header, self.domain());
                match lock(&self.book).take(header) {
                    Ok(()) => Acceptance::Accept,
                    Err(_) => Acceptance::Ignore,
                }
            }
            Ok(Err(Refusal::Invalid(reason))) => {
                tracing::debug!(%reason, "a bid is refused");
                Acceptance::Reject
            }
            Ok(Err(Refusal::Unknown(_))) | Err(_) => Acceptance::Ignore,
        }
    }

    /// Whether the collateral stands behind the bid and has signed it: what is cheap to see, before the certificate is
    /// looked at. A bid that is overtaken by a block meanwhile is left to the header check.
    fn is_covered(&self, header: &BlockHeader) -> bool {
        let Some(signed) = &header.bid else {
            return false;
        };
        let (chain, bid) = (&self.executor.shared.chain, &signed.bid);
        {
            let view = chain.view();
            if view.tip.id == header.core.parent {
                let is_good = view.leaf(bid.leaf).is_some_and(|leaf| {
                    leaf.key == LeafKey::from(bid.key)
                        && leaf.balance.get() >= bid.value.get().max(BID_FLOOR)
                        && leaf.is_locked(header.core.height)
                });
                if !is_good {
                    return false;
                }
            }
        }
        let domain = &chain.constants.domain;
        signed.is_authentic(domain) && verify_batch(&[bid.claim(domain)])
    }

    /// The best bid for the next height that pays this leaf.
    pub(crate) fn best(&self, leaf: LeafIndex) -> Option<BlockHeader> {
        self.turn();
        let tip = self.executor.tip();
        lock(&self.book).best(tip.id, leaf).cloned()
    }

    /// Tells a bid of this node's own builder, if it is better than what others bid.
    pub(crate) fn bid(&self, header: BlockHeader) -> Acceptance {
        let bytes = Bytes::from(to_bytes(&header));
        let acceptance = self.take_bid(header);
        if acceptance == Acceptance::Accept {
            self.publish(Topic::Bids, bytes);
        }
        acceptance
    }

    /// Judges a message of the topic `Reveals`.
    pub(crate) fn take_reveal_bytes(&self, bytes: Bytes) -> Acceptance {
        match WireCodec.decode(bytes.clone()) {
            Ok(Part::Init { signed, header }) => self.take_init(signed, header),
            Ok(part @ Part::Payload(_)) => self.take_payload(part, bytes),
            Err(_) => Acceptance::Reject,
        }
    }

    fn take_init(&self, signed: SignedProposal, header: Box<BlockHeader>) -> Acceptance {
        let proposal = signed.proposal;
        let is_proper = signed.kind == ProposalKind::Init
            && header.bid.is_some()
            && header.core.height == proposal.height
            && header.id() == proposal.block;
        if !is_proper {
            return Acceptance::Reject;
        }
        let tip = self.executor.tip().height;
        let ahead = proposal.height.0.checked_sub(tip.0);
        if !matches!(ahead, Some(1 | 2)) || proposal.round.0 > ROUNDS_MAX {
            return Acceptance::Ignore;
        }
        if !lock(&self.known).can_take(&signed) {
            return Acceptance::Ignore;
        }
        let Some(set) = self.executor.set_of(proposal.height) else {
            return Acceptance::Ignore;
        };
        let domain = &self.executor.shared.chain.constants.domain;
        let is_proposers = *set.proposer(proposal.height, proposal.round) == signed.proposer;
        if !is_proposers || !signed.is_authentic(domain) {
            return Acceptance::Reject;
        }
        let (is_new, payload) = {
            let mut known = lock(&self.known);
            known.forget(tip);
            known.take(&signed, &header)
        };
        if !is_new {
            return Acceptance::Ignore;
        }
        self.executor.observed.chosen(&header, self.domain());
        self.deliver(Part::Init { signed, header });
        if let Some(bytes) = payload {
            self.publish(Topic::Reveals, bytes);
        }
        Acceptance::Accept
    }

    fn take_payload(&self, part: Part, bytes: Bytes) -> Acceptance {
        let Part::Payload(payload) = &part else {
            return Acceptance::Ignore;
        };
        let root = payload.root();
        self.executor.observed.revealed(&root);
        {
            let mut known = lock(&self.known);
            match known.roots.get_mut(&root) {
                Some((_, true)) => return Acceptance::Ignore,
                Some((_, has_come)) => *has_come = true,
                None => {
                    known.keep_orphan(root, bytes);
                    drop(known);
                    // agreement keeps a few of its own: the Init may have come there
                    self.deliver(part);
                    return Acceptance::Ignore;
                }
            }
        }
        self.deliver(part);
        Acceptance::Accept
    }

    /// Agreement has taken an Init with a bid: peers are told once, and the builder of this node looks whether the bid
    /// is its own.
    pub(crate) fn see_init(
        &self,
        signed: &SignedProposal,
        header: &BlockHeader,
        until: Option<Instant>,
    ) {
        let (is_new, payload) = {
            let mut known = lock(&self.known);
            known.forget(self.executor.tip().height);
            known.take(signed, header)
        };
        if is_new {
            self.executor.observed.chosen(header, self.domain());
            let part = Part::Init {
                signed: *signed,
                header: Box::new(header.clone()),
            };
            if let Ok(bytes) = WireCodec.encode(&part) {
                self.publish(Topic::Reveals, bytes);
            }
        }
        if let Some(bytes) = payload {
            self.publish(Topic::Reveals, bytes);
        }
        let reveal = Reveal {
            height: header.core.height,
            payload_root: header.core.payload_root,
            until,
        };
        let _ = self.sold.try_send(reveal); // full, or there is no builder here
    }

    /// Reveals a payload of this node's own builder, to peers and to this node.
    pub(crate) fn reveal(&self, payload: Box<protocol::block::Payload>) {
        let part = Part::Payload(payload);
        match WireCodec.encode(&part) {
            Ok(bytes) => {
                if let Part::Payload(payload) = &part {
                    self.executor.observed.revealed(&payload.root());
                    let mut known = lock(&self.known);
                    let height = Height(self.executor.tip().height.0.saturating_add(1));
                    known.roots.insert(payload.root(), (height, true));
                }
                self.publish(Topic::Reveals, bytes);
                self.deliver(part);
            }
            Err(error) => tracing::error!(%error, "a payload cannot be revealed"),
        }
    }
}

#[cfg(test)]
mod tests;
