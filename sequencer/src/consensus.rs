//! The door to agreement. Behind it stands one proposer whose key certifies each block by itself; the sequencer set
//! takes its place later, and nothing outside this file knows the difference.

use std::time::Duration;

use protocol::{
    block::BlockCore,
    transaction::Domain,
    validator::{BlockCertificate, ValidatorKey},
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Says when to propose, and certifies.
pub(crate) struct Consensus {
    key: ValidatorKey,
    domain: Domain,
    interval: Duration,
    turns: Option<Interval>,
}

impl Consensus {
    pub(crate) fn new(key: ValidatorKey, domain: Domain, interval: Duration) -> Self {
        Self {
            key,
            domain,
            interval,
            turns: None,
        }
    }

    /// Waits for this node's turn: every interval. A late block does not make the next one early.
    pub(crate) async fn next_turn(&mut self) {
        let interval = self.interval;
        let turns = self.turns.get_or_insert_with(|| {
            let mut turns = interval_at(Instant::now() + interval, interval);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            turns
        });
        turns.tick().await;
    }

    /// Who signs as author.
    pub(crate) fn author(&self) -> protocol::account::L1Address {
        self.key.address()
    }

    /// Signs a block: from here on it stands at its height.
    pub(crate) fn certify(&self, core: &BlockCore) -> BlockCertificate {
        self.key.certify(&self.domain, core.height, core.id())
    }
}
