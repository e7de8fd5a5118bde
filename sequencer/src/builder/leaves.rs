//! Where validators want bids paid: each says so itself, over a connection on which it has proven its key.
//!
//! What this module does not do: believe what one says of another.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use protocol::{account::L1Address, number::LeafIndex};
use tokio_util::sync::CancellationToken;

use crate::{network::Gossip, relay::Relay};

/// How often validators are asked.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

/// Leaves of validators, as they said last.
#[derive(Debug, Default)]
pub(crate) struct Leaves(Mutex<BTreeMap<L1Address, LeafIndex>>);

impl Leaves {
    /// Where a validator wants to be paid; `None` if it takes no bids, or is not connected.
    pub(crate) fn of(&self, validator: &L1Address) -> Option<LeafIndex> {
        let leaves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leaves.get(validator).copied()
    }

    fn set(&self, leaves: BTreeMap<L1Address, LeafIndex>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = leaves;
    }
}

/// Asks the connected validators until cancelled.
pub(crate) async fn run_leaves(
    leaves: Arc<Leaves>,
    relay: Arc<Relay>,
    gossip: Gossip,
    cancelled: CancellationToken,
) {
    loop {
        let mut known = BTreeMap::new();
        for peer in gossip.peers().into_iter().filter(|peer| peer.ready) {
            let Some(validator) = peer.validator.map(L1Address) else {
                continue;
            };
            if let Some(leaf) = relay.ask_bid_leaf(&gossip, peer.peer).await {
                known.insert(validator, leaf);
            }
        }
        leaves.set(known);
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = tokio::time::sleep(ASK_INTERVAL) => {}
        }
    }
}
