//! What this node sends by itself: the parts of blocks, and locks with everything that lets others follow them.

use arc_malachitebft_app::{
    consensus::SignedConsensusMsg,
    engine::{
        network::NetworkMsg,
        util::streaming::{StreamContent, StreamId, StreamMessage},
    },
};
use bytes::Bytes;
use protocol::block::{BlockId, Payload};

use super::{App, Init, Judgement, Lock};
use crate::agreement::{Agreement, Part};

/// Sequence of the Init in a stream of parts.
const INIT: u64 = 0;
/// Sequence of the payload.
const PAYLOAD: u64 = 1;

impl App {
    /// Sends an Init and, if it is known, its payload. Each sending has a name of its own: the network forwards no message twice, and a
    /// proposal that was lost must come again.
    pub(super) fn publish_parts(&mut self, init: &Init, payload: Option<&Payload>) {
        self.streams += 1;
        let mut name = self.address.0.to_vec();
        name.extend_from_slice(&crate::chain::now_ms().to_be_bytes());
        name.extend_from_slice(&self.streams.to_be_bytes());
        let stream = StreamId::new(Bytes::from(name));
        let opening = Part::Init {
            signed: init.signed,
            header: init.header.clone(),
        };
        let payload = payload.map(|payload| (PAYLOAD, Part::Payload(Box::new(payload.clone()))));
        for (sequence, part) in std::iter::once((INIT, opening)).chain(payload) {
            let content = StreamContent::Data(part);
            let message = StreamMessage::new(stream.clone(), sequence, content);
            let _ = self.network.cast(NetworkMsg::PublishProposalPart(message)); // the engine is stopping
        }
    }

    /// The payload of a block, if it is here: a builder's may not be.
    pub(super) fn payload_of(&self, id: BlockId) -> Option<Payload> {
        match self.judged.get(&id) {
            Some(Judgement::Valid(judged)) => Some(judged.block.payload.clone()),
            _ => self.parts.block(id).map(|block| block.payload),
        }
    }

    /// Publishes a lock that has led to no decision: proposal, polka, and the block's parts (rule 11, from round 0).
    pub(super) fn publish_lock(&mut self, lock: &Lock) {
        let set = self.set();
        let Some(polka) = self.heard.polka(lock.round, lock.block, &set) else {
            return;
        };
        tracing::debug!(
            height = self.height().0,
            round = lock.round.0,
            "lock published"
        );
        if let Some(proposal) = self.heard.proposal(lock.round, lock.block) {
            let message = SignedConsensusMsg::<Agreement>::Proposal(proposal.clone());
            let _ = self.network.cast(NetworkMsg::PublishConsensusMsg(message));
        }
        let message = arc_malachitebft_app::consensus::LivenessMsg::PolkaCertificate(polka);
        let _ = self.network.cast(NetworkMsg::PublishLivenessMsg(message));
        let init = self.parts.inits_of(lock.block).next().cloned();
        let payload = self.payload_of(lock.block);
        if let Some(init) = init {
            self.publish_parts(&init, payload.as_ref());
        }
    }
}
