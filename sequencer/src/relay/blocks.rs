//! What nodes ask each other about blocks: a decided block that came without its payload, a bid that must be burned, and
//! where a validator wants bids paid.
//!
//! Invariant: only what this node has judged valid itself is given. What this module does not do: believe an answer; who
//! asked judges it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use libp2p::PeerId;
use protocol::{
    block::{Block, BlockId},
    codec::{from_bytes, to_bytes},
    number::{Height, LeafIndex},
    transaction::{BidHash, SignedBid},
};

use super::{FETCH_TIMEOUT, Relay, message::Question};
use crate::network::Gossip;

/// How long an answer with a block may take: it is up to 4 MiB.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(2);

impl Relay {
    pub(super) fn bid(&self, name: &BidHash) -> Option<Bytes> {
        let bid = self.exchange.executor().reports.bid(name)?;
        Some(Bytes::from(to_bytes(&bid)))
    }

    pub(super) async fn block(&self, height: Height, id: BlockId) -> Option<Bytes> {
        let store = Arc::clone(&self.shared.store);
        let read = move || -> Option<Block> {
            // the database reports its own failure
            let decided = store.block(height).ok()?.map(|stored| stored.block);
            let decided = decided.filter(|block| block.id() == id);
            decided.or_else(|| {
                let undecided = store.undecided(height).ok()?;
                undecided.into_iter().find(|block| block.id() == id)
            })
        };
        let block = tokio::task::spawn_blocking(read).await.ok()??;
        Some(Bytes::from(to_bytes(&block)))
    }

    /// Gets a block from whoever has it; it is not judged yet.
    pub(crate) async fn fetch_block(
        &self,
        gossip: &Gossip,
        (height, id): (Height, BlockId),
    ) -> Option<Block> {
        let question = Bytes::from(to_bytes(&Question::Block(height, id)));
        let answer = gossip.request(question, BLOCK_TIMEOUT).await?;
        let block = from_bytes::<Block>(&answer).ok()?;
        (block.id() == id && block.payload.root() == block.header.core.payload_root)
            .then_some(block)
    }

    /// Gets bids that must be burned, from whoever has reported them.
    pub(crate) async fn fetch_bids(&self, gossip: &Gossip, names: Vec<BidHash>) {
        for name in names {
            let question = Bytes::from(to_bytes(&Question::Bid(name)));
            let Some(answer) = gossip.request(question, FETCH_TIMEOUT).await else {
                continue;
            };
            if let Ok(bid) = from_bytes::<SignedBid>(&answer) {
                let reports = &self.exchange.executor().reports;
                reports.learn(&name, bid, &self.domain);
            }
        }
    }

    /// Where a validator wants bids paid.
    pub(crate) async fn ask_bid_leaf(&self, gossip: &Gossip, peer: PeerId) -> Option<LeafIndex> {
        let question = Bytes::from(to_bytes(&Question::BidLeaf));
        let answer = gossip.request_from(peer, question, FETCH_TIMEOUT).await?;
        from_bytes(&answer).ok()
    }
}
