//! Soft blocks and votes on their way between peers and [`crate::soft`]; what this node did not know of goes into the pool.

use std::sync::Arc;

use bytes::Bytes;
use protocol::{block::BlockId, codec::to_bytes, soft::SoftHash};

use super::{Relay, message::Question};
use crate::{network::Acceptance, soft::SoftMessage};

impl Relay {
    /// Judges a soft block or vote, and admits the submissions that came with it: they are pending like any other.
    pub(crate) async fn take_soft(&self, message: SoftMessage) -> Acceptance {
        let soft = Arc::clone(&self.soft);
        let judged = tokio::task::spawn_blocking(move || soft.take(message)).await;
        let (acceptance, unknown) = judged.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => (Acceptance::Ignore, Vec::new()), // the program ends
        });
        if !unknown.is_empty() {
            self.admit(unknown).await; // the pool may hold another operation in the place of one
        }
        acceptance
    }

    /// Asks for soft blocks on this block, beyond the chains that end in these.
    pub(crate) fn soft_question((base, known): (BlockId, Vec<SoftHash>)) -> Vec<u8> {
        to_bytes(&Question::Soft(base, known))
    }

    pub(super) async fn soft_blocks(&self, base: BlockId, known: Vec<SoftHash>) -> Option<Bytes> {
        let soft = Arc::clone(&self.soft);
        let answer = tokio::task::spawn_blocking(move || soft.answer(&base, &known)).await;
        answer
            .ok()
            .flatten()
            .map(|news| Bytes::from(to_bytes(&news)))
    }
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;
    use protocol::soft::{SoftBlock, SoftProposal};

    use super::*;
    use crate::{
        builder::rig::BidRig,
        fixture::{domain, seat_key, sign, transfer},
        network::{GossipHandler, Topic},
        relay::blocks::tests::relay_of,
    };

    #[tokio::test]
    async fn garbage_and_forgeries_are_the_senders_fault_and_a_halted_node_answers_nothing() {
        let rig = BidRig::new();
        let relay = relay_of(&rig, None);
        let peer = PeerId::random();
        let tip = rig.rig.shared().chain.view().tip;
        let judge = |bytes: Vec<u8>| relay.judge(Topic::Soft, peer, Bytes::from(bytes));
        for garbage in [vec![], vec![0xa5; 3_000], vec![0xff; 64]] {
            assert_eq!(judge(garbage).await, Acceptance::Reject);
        }
        let block = SoftBlock {
            base_height: tip.height,
            base: tip.id,
            number: 1,
            parent: SoftHash(tip.id.0),
            author: seat_key(9).address(),
            time_ms: 1,
            submissions: vec![sign(transfer(1, 2, 0, 10, 0))],
        };
        let signature = block.vote().sign(&domain(), &seat_key(9)).signature;
        let stranger = SoftMessage::Proposal(SoftProposal { block, signature });
        assert_eq!(judge(to_bytes(&stranger)).await, Acceptance::Reject);
        let question = Relay::soft_question((tip.id, Vec::new()));
        assert_eq!(relay.serve(peer, Bytes::from(question)).await, None);
    }
}
