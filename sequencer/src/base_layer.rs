//! What this node knows of the base layer's final part, which the vote rule reads: final blocks and the items of the Inbox.
//!
//! `following` moves it along the base layer and `ledger` checks what comes; both end on disk before anything here says so.
//! Invariants: only what is final gets here; it grows, block by block, and nothing in it ever changes; a verdict reads disk and
//! never waits for the network. While the base layer does not answer, or contradicts what was final, ordering goes on without new
//! origins. What this module does not do: post batches, or decide what a block holds.

mod following;
mod ledger;
mod reading;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use protocol::{account::L1Address, block::L1Origin, genesis::Genesis};
use settlement::{BaseLayerError, BlockAt, bindings::l1_address};

use crate::{
    config::BaseLayerConfig,
    storage::{BaseRecord, StorageError, Store},
};

pub(crate) use following::run_base_layer;
pub(crate) use reading::Reading;

/// Final blocks that are not proposed as origins yet: more than a poll brings while one waits.
const SETTLING_MAX: usize = 64;

/// A base layer that cannot be the one of this chain or database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherBaseLayer {
    /// The chain is another.
    #[error(
        "the base layer is chain {found}, genesis is for chain {expected}: name another endpoint"
    )]
    Chain {
        /// Of genesis.
        expected: u64,
        /// Of the base layer.
        found: u64,
    },
    /// The contract is another.
    #[error(
        "the deployment's Rollup is {found}, genesis names {expected}: give the file of this chain's deployment"
    )]
    Rollup {
        /// In genesis.
        expected: String,
        /// In the deployment.
        found: String,
    },
    /// No transaction is in block 0.
    #[error("first block 0 makes no contracts: give the block of the deployment")]
    FirstBlock,
    /// The database has followed something else.
    #[error(
        "the database has followed {what} {found}, configured is {expected}: all nodes of a chain use one deployment file"
    )]
    Followed {
        /// Which value.
        what: &'static str,
        /// In the configuration.
        expected: String,
        /// In the database.
        found: String,
    },
    /// The database has followed one, and none is configured.
    #[error(
        "the database has followed a base layer and none is configured: blocks could not be judged; configure [base_layer]"
    )]
    Missing,
}

/// Where a node stands on the base layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BaseStanding {
    /// Newest block seen.
    pub(crate) latest: Option<u64>,
    /// Newest block called safe.
    pub(crate) safe: Option<u64>,
    /// Newest final block whose items are here.
    pub(crate) finalized: Option<u64>,
    /// Items that final blocks have enqueued.
    pub(crate) items: u64,
    /// Why nothing more is taken from it until an operator acts.
    pub(crate) alarm: Option<String>,
    /// Why the last look failed; it is repeated.
    pub(crate) trouble: Option<String>,
}

/// The base layer's own word on its newest blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseHeads {
    /// The head.
    pub latest: Option<u64>,
    /// The newest that is called safe.
    pub safe: Option<u64>,
    /// The newest that is final.
    pub finalized: Option<u64>,
}

/// Looks at a base layer once, as a node would follow it.
///
/// # Errors
/// The base layer's.
pub async fn look_at(config: &BaseLayerConfig) -> Result<BaseHeads, BaseLayerError> {
    let number = async |at| {
        let header = config.layer.header(at).await?;
        Ok::<_, BaseLayerError>(header.map(|header| header.number))
    };
    Ok(BaseHeads {
        latest: number(BlockAt::Latest).await?,
        safe: number(BlockAt::Safe).await?,
        finalized: number(BlockAt::Finalized).await?,
    })
}

#[derive(Default)]
struct Known {
    standing: BaseStanding,
    /// The newest final block that proposers may name.
    settled: L1Origin,
    /// Newer ones, and since when they are final here.
    settling: VecDeque<(Instant, L1Origin)>,
}

/// The final part of the base layer, as this node has it.
pub(crate) struct FinalPart {
    store: Arc<Store>,
    first_block: u64,
    /// How long a block must have been final here before this node proposes it.
    delay: Duration,
    known: Mutex<Known>,
}

/// Whether a node of this chain, on this database, can be configured so.
///
/// # Errors
/// [`OtherBaseLayer`].
pub(crate) fn check_config(
    config: Option<&BaseLayerConfig>,
    genesis: &Genesis,
    record: Option<&BaseRecord>,
) -> Result<(), OtherBaseLayer> {
    let Some(config) = config else {
        return record.map_or(Ok(()), |_| Err(OtherBaseLayer::Missing));
    };
    let (expected, found) = (genesis.chain_id, config.layer.chain_id());
    if found != expected {
        return Err(OtherBaseLayer::Chain { expected, found });
    }
    let rollup = l1_address(config.deployment.rollup);
    if rollup != genesis.rollup {
        return Err(OtherBaseLayer::Rollup {
            expected: genesis.rollup.to_string(),
            found: rollup.to_string(),
        });
    }
    if config.first_block == 0 {
        return Err(OtherBaseLayer::FirstBlock);
    }
    let Some(record) = record else {
        return Ok(());
    };
    let address = |address: L1Address| address.to_string();
    let inbox = l1_address(config.deployment.inbox);
    let pairs = [
        (
            "first block",
            config.first_block.to_string(),
            record.first_block.to_string(),
        ),
        ("Inbox", address(inbox), address(record.inbox)),
        ("Rollup", address(rollup), address(record.rollup)),
        ("chain", expected.to_string(), record.chain_id.to_string()),
    ];
    let other = pairs.into_iter().find(|(_, ours, theirs)| ours != theirs);
    other.map_or(Ok(()), |(what, expected, found)| {
        Err(OtherBaseLayer::Followed {
            what,
            expected,
            found,
        })
    })
}

impl FinalPart {
    /// What the database has of it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn load(store: Arc<Store>, config: &BaseLayerConfig) -> Result<Self, StorageError> {
        let record = store.base_record()?;
        let part = Self {
            store,
            first_block: config.first_block,
            delay: config.origin_delay,
            known: Mutex::default(),
        };
        if let Some(record) = record {
            part.publish(&record);
            // the others have had the time of a restart to see it
            let mut known = part.known();
            if let Some((_, origin)) = known.settling.pop_back() {
                known.settled = origin;
            }
        }
        Ok(part)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is on disk.
    fn publish(&self, record: &BaseRecord) {
        let newest = record.newest;
        let mut known = self.known();
        known.standing.items = record.items;
        if newest.number < self.first_block {
            return; // the block below the first is no origin
        }
        known.standing.finalized = Some(newest.number);
        if known.settling.len() >= SETTLING_MAX {
            known.settling.pop_back();
        }
        let origin = L1Origin {
            number: newest.number,
            hash: newest.hash,
        };
        known.settling.push_back((Instant::now(), origin));
        ::metrics::gauge!("sequencer_base_layer_final").set(newest.number as f64);
        ::metrics::gauge!("sequencer_base_layer_items").set(record.items as f64);
    }

    fn note(&self, change: impl FnOnce(&mut BaseStanding)) {
        change(&mut self.known().standing);
    }

    /// Where this node stands on the base layer.
    pub(crate) fn standing(&self) -> BaseStanding {
        self.known().standing.clone()
    }

    /// What a block above one with this origin should name: the newest block that peers have had time to see as final, and never
    /// an older one than its parent.
    pub(crate) fn origin_above(&self, parent: &L1Origin) -> L1Origin {
        let mut known = self.known();
        let now = Instant::now();
        while let Some((since, origin)) = known.settling.front().copied()
            && now.duration_since(since) >= self.delay
        {
            known.settled = origin;
            known.settling.pop_front();
        }
        if known.settled.number > parent.number {
            known.settled
        } else {
            *parent
        }
    }

    /// What one verdict reads.
    pub(crate) fn read(&self) -> Reading<'_> {
        let newest = self.known().standing.finalized;
        Reading::new(&self.store, self.first_block, newest)
    }
}

/// Names of the metrics.
pub(crate) fn describe_metrics() {
    ::metrics::describe_gauge!(
        "sequencer_base_layer_latest",
        "newest block of the base layer that was seen"
    );
    ::metrics::describe_gauge!(
        "sequencer_base_layer_final",
        "newest final block of the base layer whose items are stored"
    );
    ::metrics::describe_gauge!(
        "sequencer_base_layer_items",
        "inbox items that final blocks have enqueued"
    );
    ::metrics::describe_gauge!(
        "sequencer_base_layer_alarm",
        "1 if the base layer contradicts what was final, and is not followed any more"
    );
    ::metrics::describe_counter!(
        "sequencer_base_layer_errors_total",
        "looks at the base layer that failed"
    );
}

#[cfg(test)]
pub(crate) mod tests;
