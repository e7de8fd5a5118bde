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

#[cfg(test)]
pub(super) mod tests {
    use protocol::vote::Withheld;
    use tokio::sync::mpsc;

    use super::*;
    use crate::builder::{
        Exchange,
        rig::{BidRig, COLLATERAL, PROPOSER_LEAF},
    };
    use crate::{
        checkpoints::Checkpoints, config::Mode, evidence::EvidenceBook, fixture::soft_rules,
        guard::SigningGuard, network::GossipHandler, soft::Soft,
    };

    pub(in crate::relay) fn relay_of(rig: &BidRig, leaf: Option<LeafIndex>) -> Relay {
        let (exchange, _) = Exchange::new(Arc::clone(&rig.rig.executor));
        let (requests, _) = mpsc::channel(1);
        let shared = rig.rig.shared().clone();
        let (queue, store) = (Arc::clone(&rig.rig.queue), Arc::clone(&shared.store));
        let (constants, outlet) = (shared.chain.constants.clone(), shared.outlet.clone());
        let dir = rig.rig.dir.path().join(format!("relay-{}", leaf.is_some()));
        std::fs::create_dir_all(&dir).unwrap();
        let key = crate::fixture::validator();
        let guard = SigningGuard::open(&dir.join("guard"), key, constants.domain).unwrap();
        let evidence = EvidenceBook::open(
            dir.join("evidence"),
            Arc::clone(&store),
            constants.clone(),
            outlet.clone(),
        );
        let evidence = Arc::new(evidence.unwrap());
        let checkpoints = Checkpoints::new(
            store,
            constants,
            Arc::new(guard),
            Arc::clone(&evidence),
            outlet,
        );
        let books = (evidence, Arc::new(checkpoints));
        let exchange = (Arc::new(exchange), leaf);
        let executor = Arc::clone(&rig.rig.executor);
        let soft = Arc::new(Soft::new(executor, None, soft_rules(Mode::Halt)));
        Relay::new(shared, queue, requests, books, 0, exchange, soft)
    }

    async fn ask(relay: &Relay, question: Question) -> Option<Bytes> {
        relay
            .serve(PeerId::random(), to_bytes(&question).into())
            .await
    }

    #[tokio::test]
    async fn a_block_is_given_by_its_id_decided_or_not() {
        let mut rig = BidRig::new();
        rig.send(1, 100);
        let judged = rig.propose();
        let block = (*judged.block).clone();
        let (height, id) = (rig.next(), block.id());
        let relay = relay_of(&rig, None);
        assert_eq!(ask(&relay, Question::Block(height, id)).await, None);
        rig.rig.shared().store.write_undecided(&block).unwrap();
        let bytes = Some(Bytes::from(to_bytes(&block)));
        assert_eq!(ask(&relay, Question::Block(height, id)).await, bytes);
        rig.decide(block, 0, None);
        assert_eq!(ask(&relay, Question::Block(height, id)).await, bytes);
        let other = BlockId([7; 32]);
        assert_eq!(ask(&relay, Question::Block(height, other)).await, None);
    }

    #[tokio::test]
    async fn a_reported_bid_is_given_by_its_name() {
        let mut rig = BidRig::new();
        rig.decide_own(0, None);
        rig.send(1, 100);
        let header = rig.bid(COLLATERAL[0], 5);
        let relay = relay_of(&rig, None);
        let bid = header.bid.unwrap();
        let name = bid.hash(&relay.domain);
        assert_eq!(ask(&relay, Question::Bid(name)).await, None);
        rig.rig.executor.charge(&header, Withheld::Missing).unwrap();
        let bytes = Some(Bytes::from(to_bytes(&bid)));
        assert_eq!(ask(&relay, Question::Bid(name)).await, bytes);
    }

    #[tokio::test]
    async fn a_validator_says_where_it_wants_bids_paid() {
        let rig = BidRig::new();
        let silent = relay_of(&rig, None);
        assert_eq!(ask(&silent, Question::BidLeaf).await, None);
        let relay = relay_of(&rig, Some(PROPOSER_LEAF));
        let bytes = ask(&relay, Question::BidLeaf).await.unwrap();
        assert_eq!(from_bytes(&bytes), Ok(PROPOSER_LEAF));
    }
}
