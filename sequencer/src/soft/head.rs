//! The head of the heaviest soft chain: followed, told to the pool and to subscribers, and signed.
//!
//! Invariant: nothing is signed but the head, through the guard, and by who may. What this module does not do: choose the
//! head ([`protocol::soft::SoftTree`] does).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use protocol::{codec::to_bytes, transaction::TransactionId};

use super::{Above, Soft, SoftMessage};
use crate::{events::Event, relay::News};

impl Soft {
    /// Follows the heaviest chain, and tells whoever waits what has changed.
    pub(super) fn refresh(&self, above: &mut Above) {
        let choice = above.tree.choose(&above.set);
        if choice == above.choice {
            return;
        }
        let old = std::mem::replace(&mut above.choice, choice);
        let mut changed: BTreeSet<TransactionId> = BTreeSet::new();
        if old.head != above.choice.head {
            (above.head_since, above.waiting) = (Instant::now(), None);
            let mut places = BTreeMap::new();
            for (hash, _) in above.tree.chain(above.choice.head) {
                let ids = above.applied.get(&hash).into_iter();
                let ids = ids.flat_map(|applied| &applied.ids);
                places.extend(ids.map(|id| (*id, hash)));
            }
            let before = std::mem::replace(&mut above.places, places);
            let moved = before
                .into_iter()
                .filter(|(id, hash)| above.places.get(id) != Some(hash));
            changed.extend(moved.map(|(id, _)| id));
            self.tell_pool(above);
        }
        for (id, hash) in &above.places {
            let weight = old.weights.get(hash).copied().unwrap_or(0);
            if weight != above.weight(hash) {
                changed.insert(*id);
            }
        }
        let number = above
            .choice
            .head
            .and_then(|head| above.tree.number_of(&head));
        ::metrics::gauge!("sequencer_soft_number").set(number.unwrap_or(0) as f64);
        self.announce(changed.into_iter().collect());
    }

    /// The status of these operations has changed.
    pub(super) fn announce(&self, changed: Vec<TransactionId>) {
        if !changed.is_empty() {
            let event = Event::Transactions(Arc::new(changed));
            self.shared.events.send(event);
        }
    }

    /// Marks the entries of the head's chain in the pool, in its order: nothing replaces or evicts them until a height is
    /// decided, this node's own blocks take them first, and whoever drops one says that it was soft.
    pub(super) fn tell_pool(&self, above: &mut Above) {
        let Some(head) = above.choice.head else {
            return;
        };
        let mut pool = self.shared.pool();
        let state = Some((head, pool.version()));
        let tip = self.shared.chain.view().tip;
        if above.told == state || (tip.height, tip.id) != above.tree.base() {
            return;
        }
        let chain = above.tree.chain(Some(head)).into_iter();
        let submissions = chain.flat_map(|(_, node)| &node.proposal.block.submissions);
        let entries = submissions.filter_map(|one| pool.holding(one));
        let sequences: Vec<u64> = entries.map(|entry| entry.sequence).collect();
        pool.tell_soft(&sequences);
        above.told = state;
    }

    /// Signs the head, if this node has signed nothing as high.
    pub(super) fn sign_head(&self, above: &mut Above) {
        let Some((guard, head)) = self.signer(above).zip(above.choice.head) else {
            return;
        };
        let Some(node) = above.tree.get(&head) else {
            return;
        };
        let vote = node.proposal.block.vote();
        let last = guard.last_soft(vote.base_height);
        if !last.is_ok_and(|last| vote.number > last) {
            return;
        }
        let signed = match guard.sign_soft(&vote) {
            Ok(signed) => signed,
            Err(error) => {
                // a failed disk stops the node: agreement asks the same guard
                tracing::debug!(%error, "soft block not signed");
                return;
            }
        };
        let domain = &self.shared.chain.constants.domain;
        if above.tree.vote(signed, domain, &above.set).is_ok() {
            ::metrics::counter!("sequencer_soft_signatures_total").increment(1);
            self.refresh(above);
        }
        let message = to_bytes(&SoftMessage::Vote(signed));
        self.shared.outlet.send(News::Soft(message));
    }
}
