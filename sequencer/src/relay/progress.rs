//! What a starting node asks: how far the chain is, and what its own key has signed last. The answers are proofs: a certificate,
//! and a message with that key's signature.
//!
//! Invariant: nothing is believed that is not signed by a set of the chain, or by the key that asks. What this module does not
//! do: decide what the node does then (`consensus`).

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use libp2p::PeerId;
use protocol::{
    account::L1Address,
    certificate::ExtendedCertificate,
    codec::{from_bytes, to_bytes},
    number::{Epoch, Height},
    transaction::Domain,
};

use super::{FETCH_TIMEOUT, Relay, message::Question};
use crate::{network::Gossip, sightings::Sighting};

/// How long a starting node waits for its peers.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks at which peers are there.
const PROGRESS_PAUSE: Duration = Duration::from_millis(50);

/// What peers have shown.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Highest height with a certificate; 0 if none answers in time.
    pub(crate) certified: Height,
    /// Messages of the asking key: at most one of each peer.
    pub(crate) signed: Vec<Sighting>,
}

impl Relay {
    /// The certificate of the newest block here.
    pub(super) async fn tip(&self) -> Option<Bytes> {
        let tip = self.shared.chain.view().tip.height;
        let store = std::sync::Arc::clone(&self.shared.store);
        let read = move || store.block(tip);
        let stored = tokio::task::spawn_blocking(read).await.ok()?.ok()??;
        Some(Bytes::from(to_bytes(&stored.certificate)))
    }

    /// The newest message here that a validator has signed.
    pub(super) fn signed(&self, validator: &L1Address) -> Option<Bytes> {
        let sightings = &self.exchange.executor().sightings;
        let newest = sightings.of(validator, &self.domain)?;
        Some(Bytes::from(to_bytes(&newest)))
    }

    /// Asks every peer, as they come, until all that are configured have answered or the time is over.
    pub(crate) async fn progress(&self, gossip: &Gossip, own: &L1Address) -> Progress {
        let mut progress = Progress::default();
        let deadline = tokio::time::Instant::now() + PROGRESS_TIMEOUT;
        let mut asked = BTreeSet::new();
        while tokio::time::Instant::now() < deadline && asked.len() < self.peers {
            let ready = gossip.peers().into_iter().filter(|peer| peer.ready);
            let new: Vec<PeerId> = ready
                .map(|peer| peer.peer)
                .filter(|peer| !asked.contains(peer))
                .collect();
            for peer in new {
                asked.insert(peer);
                self.ask_certified(gossip, peer, &mut progress.certified)
                    .await;
                let question = Bytes::from(to_bytes(&Question::Signed(*own)));
                let answer = gossip.request_from(peer, question, FETCH_TIMEOUT).await;
                let sighting = answer.and_then(|bytes| own_sighting(&bytes, own, &self.domain));
                progress.signed.extend(sighting);
            }
            tokio::time::sleep(PROGRESS_PAUSE).await;
        }
        progress
    }

    /// Raises a height to that of a peer's newest block, if its certificate is one.
    async fn ask_certified(&self, gossip: &Gossip, peer: PeerId, highest: &mut Height) {
        let question = Bytes::from(to_bytes(&Question::Tip));
        let answer = gossip.request_from(peer, question, FETCH_TIMEOUT).await;
        let certificate = answer.and_then(|bytes| from_bytes::<ExtendedCertificate>(&bytes).ok());
        let Some(certificate) = certificate.filter(|one| one.height > *highest) else {
            return;
        };
        let epoch = Epoch::of(certificate.height);
        let set = self.set_of(gossip, peer, epoch).await;
        if set.is_some_and(|set| certificate.verify(&self.domain, &set).is_ok()) {
            *highest = certificate.height;
        }
    }
}

/// A message that this key has signed; anything else is nobody's proof of anything.
fn own_sighting(bytes: &[u8], own: &L1Address, domain: &Domain) -> Option<Sighting> {
    let sighting = from_bytes::<Sighting>(bytes).ok()?;
    (sighting.signer() == *own && sighting.is_authentic(domain)).then_some(sighting)
}

#[cfg(test)]
mod tests {
    use protocol::{
        number::Round,
        vote::{SignedVote, Step, Vote},
    };

    use super::*;
    use crate::fixture::{domain, seat_key};

    #[test]
    fn only_a_message_of_the_asking_key_silences_it() {
        let own = seat_key(1).address();
        let vote = Vote {
            height: Height(1_000),
            round: Round(0),
            step: Step::Prevote,
            block: None,
        };
        let read = |signed| own_sighting(&to_bytes(&Sighting::Vote(signed)), &own, &domain());
        let good = vote.sign(&domain(), &seat_key(1));
        assert_eq!(read(good), Some(Sighting::Vote(good)));
        assert_eq!(read(vote.sign(&domain(), &seat_key(2))), None);
        let renamed = SignedVote {
            validator: own,
            ..vote.sign(&domain(), &seat_key(2))
        };
        assert_eq!(read(renamed), None);
        assert_eq!(own_sighting(&[0xff; 200], &own, &domain()), None);
    }
}
