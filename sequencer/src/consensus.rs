//! The door to agreement. Behind it stands one proposer whose key is the whole validator set; the BFT engine takes its
//! place later, and nothing outside this file knows the difference.
//!
//! What it makes is what the vote rule demands: each block embeds the certificate of its parent, and its time is that
//! certificate's median. What it does not do: remember what it signed before a crash.

use std::time::Duration;

use protocol::{
    account::L1Address,
    block::{Block, Tip},
    certificate::{ExtendedCertificate, ExtendedSignature},
    history::History,
    number::{Height, Round},
    transaction::Domain,
    validator::{ValidatorKey, ValidatorSet},
    vote::{Extension, Step, Vote},
};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::storage::StoredBlock;

/// Says when to propose, on what, and certifies.
pub(crate) struct Consensus {
    key: ValidatorKey,
    domain: Domain,
    set: ValidatorSet,
    interval: Duration,
    turns: Option<Interval>,
    history: History,
    certificate: Option<ExtendedCertificate>,
}

impl Consensus {
    /// Goes on after the `recent` blocks, the last [`protocol::history::HISTORY_BLOCKS`] in order.
    pub(crate) fn new(
        key: ValidatorKey,
        domain: Domain,
        set: ValidatorSet,
        interval: Duration,
        recent: Vec<StoredBlock>,
    ) -> Self {
        let mut history = History::default();
        for stored in &recent {
            history.push(&stored.block, &set, &domain);
        }
        Self {
            key,
            domain,
            set,
            interval,
            turns: None,
            history,
            certificate: recent.into_iter().last().map(|stored| stored.certificate),
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
    pub(crate) fn author(&self) -> L1Address {
        self.key.address()
    }

    /// Set of every height.
    pub(crate) fn set(&self) -> &ValidatorSet {
        &self.set
    }

    /// Certificate of the newest block, which the next one embeds.
    pub(crate) fn parent_certificate(&self) -> Option<&ExtendedCertificate> {
        self.certificate.as_ref()
    }

    /// Time of the next block: the signers' median, at least one millisecond after its parent.
    pub(crate) fn timestamp_ms(&self, tip: &Tip) -> u64 {
        let median = self
            .certificate
            .as_ref()
            .and_then(|certificate| certificate.median_time_ms(&self.set));
        median.unwrap_or(0).max(tip.timestamp_ms.saturating_add(1))
    }

    /// The last blocks, as the vote rule needs them.
    #[cfg(test)]
    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Signs a block: from here on it stands at its height.
    pub(crate) fn certify(&mut self, block: &Block, now_ms: u64) -> ExtendedCertificate {
        let (height, id): (Height, _) = (block.header.core.height, block.id());
        let round = block.header.core.birth_round;
        let vote = Vote {
            height,
            round,
            step: Step::Precommit,
            block: Some(id),
        };
        let extension = Extension {
            time_ms: now_ms,
            ..Extension::default()
        };
        let digest = extension.digest(&self.domain, height, round, id);
        let certificate = ExtendedCertificate {
            height,
            round,
            block: id,
            signatures: vec![ExtendedSignature {
                validator: self.key.address(),
                signature: self.key.sign(&vote.digest(&self.domain)),
                extension_signature: self.key.sign(&digest),
                extension,
            }],
        };
        self.history.push(block, &self.set, &self.domain);
        self.certificate = Some(certificate.clone());
        certificate
    }
}

/// Round in which the only proposer proposes.
pub(crate) const ONLY_ROUND: Round = Round(0);

#[cfg(test)]
mod tests {
    use protocol::validity::{DecidedPrefix, NoBaseLayer, verdict};

    use crate::{
        config::MempoolConfig,
        fixture::{Rig, sign, transfer},
    };

    /// What this door makes is what the vote rule accepts, also after a restart.
    #[test]
    fn every_block_is_valid_under_the_vote_rule() {
        let mut rig = Rig::new(MempoolConfig::default());
        for nonce in 0..5 {
            if nonce == 3 {
                let dir = std::sync::Arc::clone(&rig.dir);
                drop(rig);
                rig = Rig::open(dir, MempoolConfig::default(), Default::default()).unwrap();
            }
            rig.send_one(sign(transfer(1, 2, nonce, 10, 2))).unwrap();
            let chain = std::sync::Arc::clone(&rig.shared().chain);
            let (state, tip) = (chain.state().state.clone(), chain.view().tip);
            let history = rig.consensus.history().clone();
            rig.block();
            let height = rig.shared().chain.view().tip.height;
            let stored = rig.shared().store.block(height).unwrap().unwrap();
            assert_eq!(stored.block.operation_count(), 1);
            let set = rig.consensus.set();
            let prefix = DecidedPrefix {
                chain_id: chain.constants.chain_id,
                domain: &chain.constants.domain,
                state: &state,
                tip: &tip,
                set,
                next_set_hash: set.hash(),
                history: &history,
                base_layer: &NoBaseLayer,
            };
            let verdict = verdict(&stored.block, &prefix);
            assert!(verdict.is_valid(), "{verdict:?}");
            assert_eq!(
                stored.certificate.verify(prefix.domain, set),
                Ok(()),
                "the certificate is of the set"
            );
        }
    }
}
