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
