//! Handovers that nodes ask each other for: a node that was away for epochs learns which sets sit now, before it has the
//! blocks.
//!
//! Invariant: a set is believed only if every set since one that is known here has signed for the next. What this module
//! does not do: store what it learns; blocks follow, and their commits store it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use libp2p::PeerId;
use protocol::{
    codec::{from_bytes, to_bytes},
    number::Epoch,
    transaction::Domain,
    validator::ValidatorSet,
};

use super::{
    Relay,
    message::{HANDOVERS_MAX, Links, Question},
};
use crate::network::Gossip;

/// How long an answer may take: it is up to half a megabyte.
const HANDOVERS_TIMEOUT: Duration = Duration::from_secs(2);

impl Relay {
    /// Handovers of `epoch` and those after it, as far as they have ended here and one answer holds them.
    pub(super) async fn handovers(&self, epoch: Epoch) -> Option<Bytes> {
        let store = Arc::clone(&self.shared.store);
        let read = move || {
            let mut links = Vec::new();
            let mut at = epoch;
            while links.len() < HANDOVERS_MAX {
                // the database reports its own failure
                let Some(link) = store.handover(at).ok()? else {
                    break;
                };
                links.push(link);
                at = at.next();
            }
            Some(links)
        };
        let links = tokio::task::spawn_blocking(read).await.ok()??;
        (!links.is_empty()).then(|| Bytes::from(to_bytes(&Links(links))))
    }

    /// The set of an epoch: from disk, or by handovers that the peer shows from the newest set on disk.
    pub(super) async fn set_of(
        &self,
        gossip: &Gossip,
        peer: PeerId,
        epoch: Epoch,
    ) -> Option<ValidatorSet> {
        let store = &self.shared.store;
        // the database reports its own failure
        if let Some(set) = store.validator_set(epoch).ok()? {
            return Some(set);
        }
        let term = self.exchange.executor().decided().term.clone();
        let (mut at, mut set) = (term.epoch, (*term.set).clone());
        // nobody but the chain's own validators can keep this going: every answer must hold
        while at < epoch {
            let question = Bytes::from(to_bytes(&Question::Handovers(at)));
            let answer = gossip
                .request_from(peer, question, HANDOVERS_TIMEOUT)
                .await?;
            let links = from_bytes(&answer).ok()?;
            (at, set) = follow(&self.domain, (at, set), &links, epoch)?;
        }
        (at == epoch).then_some(set)
    }
}

/// The latest set up to that of `epoch` to which the links lead from this one; nothing if they lead nowhere, or one does
/// not hold.
fn follow(
    domain: &Domain,
    (mut at, mut set): (Epoch, ValidatorSet),
    Links(links): &Links,
    epoch: Epoch,
) -> Option<(Epoch, ValidatorSet)> {
    let first = at;
    for link in links {
        if at == epoch {
            break;
        }
        set = link.verify(domain, at, &set).ok()?.clone();
        at = at.next();
    }
    (at > first).then_some((at, set))
}

#[cfg(test)]
mod tests {
    use protocol::testing::{Succession, World, leaf};

    use super::*;

    #[test]
    fn handovers_are_followed_as_far_as_each_set_has_signed_for_the_next() {
        let world = World::new(vec![leaf(0, 0, 1)], 1);
        let Succession { sets, links, .. } = Succession::new(&world, 4);
        let start = || (Epoch(1), sets[1].clone());
        let reach = |links: &[_], epoch| {
            let bytes = to_bytes(&Links(links.to_vec()));
            let links = from_bytes(&bytes).unwrap();
            follow(&world.domain, start(), &links, Epoch(epoch))
        };
        assert_eq!(reach(&links[1..], 3), Some((Epoch(3), sets[3].clone())));
        assert_eq!(
            reach(&links[1..], 9),
            Some((Epoch(4), sets[4].clone())),
            "so far"
        );
        assert_eq!(reach(&[], 3), None, "no progress");
        assert_eq!(reach(&links[2..], 3), None, "a link is missing");
        let mut forged = links[1..].to_vec();
        forged[1].next = sets[1].clone();
        assert_eq!(reach(&forged, 4), None);
        let many = Links(vec![links[0].clone(); HANDOVERS_MAX + 1]);
        assert!(from_bytes::<Links>(&to_bytes(&many)).is_err());
    }
}
