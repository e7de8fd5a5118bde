//! What has just happened, for subscriptions.

use std::sync::Arc;

use api::ledger::BatchStage;
use protocol::{
    block::BlockId,
    number::{BatchNumber, Height},
    transaction::TransactionId,
};
use tokio::sync::broadcast;

/// Events a slow subscriber may fall behind before it is dropped with a notice.
const EVENTS_MAX: usize = 4_096;

/// Something a subscriber may care about; it is on disk already.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Transactions(Arc<Vec<TransactionId>>),
    Block {
        height: Height,
        id: BlockId,
        timestamp_ms: u64,
        operations: u32,
    },
    Batch {
        number: BatchNumber,
        stage: BatchStage,
        time_ms: u64,
    },
    /// A batch stands elsewhere on the base layer than before.
    Settled,
    /// The proof of a batch that the base layer verifies is here.
    FinalProof {
        number: BatchNumber,
        time_ms: u64,
    },
}

/// Sends events to whoever listens.
#[derive(Clone)]
pub(crate) struct Events(broadcast::Sender<Event>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(EVENTS_MAX).0)
    }

    /// Nobody listening is fine.
    pub(crate) fn send(&self, event: Event) {
        let _ = self.0.send(event);
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
