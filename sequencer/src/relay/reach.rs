//! Whether this node can catch up at all: peers that prune have no block below some height, and the engine asks nobody for
//! what nobody has. Without a word it would wait for ever.
//!
//! Invariant: what peers claim here decides nothing; it is said to the operator, and taken back when a block comes. What
//! this module does not do: get blocks (the engine's value sync), or snapshots (operators do).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use libp2p::PeerId;
use protocol::{
    codec::{from_bytes, to_bytes},
    number::Height,
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{FETCH_TIMEOUT, Relay, message::Question};
use crate::network::Gossip;

/// How often a node that gets no block asks whether anybody has the next one.
const ASK_INTERVAL: Duration = Duration::from_secs(3);
/// Asked times between two lines of the log about the same.
const SAY_EVERY: u32 = 20;
/// Peers asked at a time: more than any node needs to catch up from.
const PEERS_MAX: usize = 16;

/// Watches until cancelled.
pub(crate) async fn run_reach(relay: Arc<Relay>, gossip: Gossip, cancelled: CancellationToken) {
    let mut ticks = tokio::time::interval(ASK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut said) = (None, 0_u32);
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let tip = relay.shared.chain.view().tip.height;
        let is_still = last.replace(tip) == Some(tip);
        let kept = if is_still {
            relay.kept_from(&gossip, tip).await
        } else {
            None
        };
        relay
            .exchange
            .executor()
            .observed
            .standing
            .set_peers_keep_from(kept);
        let Some(kept) = kept else {
            said = 0;
            continue;
        };
        if said.is_multiple_of(SAY_EVERY) {
            let needed = tip.0.saturating_add(1);
            tracing::error!(
                needed,
                kept = kept.0,
                "this node cannot catch up: peers keep history only from height {kept}; start from a snapshot: quorate \
                 snapshot restore (docs/snapshots.md), or name an archive node among the peers"
            );
        }
        said = said.wrapping_add(1);
    }
}

impl Relay {
    pub(super) async fn first_height(&self) -> Option<Bytes> {
        let store = Arc::clone(&self.shared.store);
        let read = move || store.first_height();
        // the database reports its own failure
        let first = tokio::task::spawn_blocking(read).await.ok()?.ok()?;
        Some(Bytes::from(to_bytes(&first)))
    }

    /// The lowest height that peers have, if no peer that answers has the next one.
    async fn kept_from(&self, gossip: &Gossip, tip: Height) -> Option<Height> {
        let ready = gossip.peers().into_iter().filter(|peer| peer.ready);
        let peers: Vec<PeerId> = ready.map(|peer| peer.peer).take(PEERS_MAX).collect();
        let mut lowest: Option<Height> = None;
        for peer in peers {
            let question = Bytes::from(to_bytes(&Question::First));
            let Some(answer) = gossip.request_from(peer, question, FETCH_TIMEOUT).await else {
                continue;
            };
            let Ok(first) = from_bytes::<Height>(&answer) else {
                continue;
            };
            lowest = Some(lowest.map_or(first, |lowest| lowest.min(first)));
        }
        lowest.filter(|lowest| lowest.0 > tip.0.saturating_add(1))
    }
}
