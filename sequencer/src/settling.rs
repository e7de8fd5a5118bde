//! Batches on the base layer: follows the Rollup's events, says how far each batch has come, and, if this node has a key for
//! it, commits and proves batches and hands epochs over.
//!
//! Any number of nodes may post: the contracts take each batch once, and whoever is second sees it before it pays. Invariants:
//! what is stored is final; what is shown and not final is made again after a restart; transactions on their way are on disk
//! before they are sent. Ordering and proving never wait for it, and its failures are repeated, not fatal; only the database's
//! end the node. What this module does not do: decide what a batch holds, or believe a proof.

mod source;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::number::BatchNumber;
use settlement::{
    BaseLayer, BlockAt, BlockMark, Follower, FollowerError, Ladder, LadderStep, LogFilter, Place,
    Posted, Poster, PosterError, SettledBatch, SubmitterConfig, TransactionSigner,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{BaseLayerConfig, PosterConfig},
    events::{Event, Events},
    storage::{SettledMark, StorageError, Store},
};

use source::{NodeSource, source_failure};

/// Longest pause between two looks at a base layer that does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Longest that one step may take, whatever the client's own limits are.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);

/// Where a batch stands on the base layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnBaseLayer {
    /// Where it was committed.
    pub(crate) committed: Place,
    /// Where it was proven.
    pub(crate) proven: Option<Place>,
    /// Number of the newest final block.
    pub(crate) finalized: u64,
}

impl OnBaseLayer {
    /// Whether a final block has proven it.
    pub(crate) fn final_proof(&self) -> Option<Place> {
        self.proven.filter(|place| place.number <= self.finalized)
    }
}

/// The batches of this chain on its base layer, as this node has seen them.
pub(crate) struct Settling {
    store: Arc<Store>,
    events: Events,
    known: Mutex<Known>,
}

struct Known {
    ladder: Ladder,
    mark: SettledMark,
}

/// Why a step did not succeed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Follower(#[from] FollowerError),
    #[error(transparent)]
    Binding(#[from] settlement::bindings::BindingError),
    #[error(transparent)]
    Poster(Box<PosterError>),
    #[error("block {0} is not final yet")]
    Early(u64),
    #[error("no answer within {} s", STEP_TIMEOUT.as_secs())]
    TimedOut,
    #[error(transparent)]
    Storage(StorageError),
}

impl From<StorageError> for StepError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<PosterError> for StepError {
    fn from(error: PosterError) -> Self {
        match source_failure(&error) {
            Some(failure) => Self::Storage(failure),
            None => Self::Poster(Box::new(error)),
        }
    }
}

impl Settling {
    /// What the database has of it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn load(store: Arc<Store>, events: Events) -> Result<Self, StorageError> {
        let mark = store.settled_mark()?.unwrap_or(SettledMark {
            number: 0,
            hash: [0; 32],
            time: 0,
            mode: 0,
            proven: 0,
        });
        // from the newest proven one, where the next begins, to the newest committed one
        let mut batches = BTreeMap::new();
        for number in mark.proven.max(1).. {
            let Some(batch) = store.settled(BatchNumber(number))? else {
                break;
            };
            batches.insert(number, batch);
        }
        let ladder = Ladder::new(batches, mark.mode);
        Ok(Self {
            store,
            events,
            known: Mutex::new(Known { ladder, mark }),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a batch stands; `None` if it is not committed.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn standing(
        &self,
        number: BatchNumber,
    ) -> Result<Option<OnBaseLayer>, StorageError> {
        let known = self.known();
        let finalized = known.mark.number;
        let batch = match known.ladder.batch(number.0) {
            Some(batch) => Some(batch.clone()),
            None if number.0 < known.mark.proven => self.store.settled(number)?,
            None => None,
        };
        Ok(batch.map(
            |SettledBatch {
                 committed, proven, ..
             }| OnBaseLayer {
                committed,
                proven: proven.map(|(place, _)| place),
                finalized,
            },
        ))
    }

    fn take(&self, event: &settlement::FollowEvent) -> Result<(), StepError> {
        let mut known = self.known();
        match known.ladder.take(event)? {
            LadderStep::None => {}
            LadderStep::Changed(batches) => {
                tracing::info!(?batches, "batches changed on the base layer");
                self.events.send(Event::Settled);
            }
            LadderStep::Final {
                mark,
                batches,
                mode,
            } => {
                let proven = batches
                    .iter()
                    .rev()
                    .find(|(_, batch)| batch.as_ref().is_some_and(|batch| batch.proven.is_some()));
                let mark = SettledMark {
                    number: mark.number,
                    hash: mark.hash.0,
                    time: mark.timestamp,
                    mode,
                    proven: proven.map_or(known.mark.proven, |(number, _)| *number),
                };
                // A write for every final block would be many, and a restart follows from any of them.
                if !batches.is_empty()
                    || mode != known.mark.mode
                    || mark.number > known.mark.number + 64
                {
                    self.store.write_settled(&batches, &mark)?;
                }
                known.mark = mark;
                if !batches.is_empty() {
                    self.events.send(Event::Settled);
                }
            }
        }
        Ok(())
    }
}

/// Who posts, and on what terms.
fn poster(
    config: &BaseLayerConfig,
    poster: &PosterConfig,
    store: &Arc<Store>,
) -> Result<Poster<NodeSource>, StorageError> {
    let stored = store.posting()?;
    let submitter = SubmitterConfig {
        fee_max_wei: poster.fee_max_wei,
        patience_blocks: poster.patience_blocks,
    };
    let signer: TransactionSigner = poster.key.clone();
    let source = NodeSource(Arc::clone(store));
    let layer = Arc::clone(&config.layer);
    Ok(Poster::resume(
        layer,
        config.deployment,
        (signer, submitter),
        source,
        stored,
    ))
}

/// The mark below the first block, or where the database stands.
async fn begin(settling: &Settling, config: &BaseLayerConfig) -> Result<Follower, StepError> {
    let layer: &dyn BaseLayer = &*config.layer;
    let mark = settling.known().mark;
    let mark = if mark.number > 0 {
        BlockMark {
            number: mark.number,
            hash: mark.hash.into(),
            timestamp: mark.time,
        }
    } else {
        let below = config.first_block.saturating_sub(1);
        let header = async |at| layer.header(at).await.map_err(FollowerError::from);
        let head = header(BlockAt::Finalized).await?;
        let found = header(BlockAt::Number(below)).await?;
        match (head, found) {
            (Some(head), Some(found)) if head.number >= below => BlockMark::from(&found),
            _ => return Err(StepError::Early(below)),
        }
    };
    let filter = LogFilter {
        addresses: vec![config.deployment.rollup],
        ..LogFilter::default()
    };
    Ok(Follower::new(Arc::clone(&config.layer), filter, mark, []))
}

fn told(done: Vec<Posted>) {
    for one in done {
        match one {
            Posted::Begun(duty) => tracing::info!(?duty, "posting to the base layer"),
            Posted::Refused(duty, reason) => {
                tracing::warn!(
                    ?duty,
                    reason,
                    "the contracts refuse this now; it is tried again"
                );
            }
            Posted::Progress(duty, progress) => {
                tracing::info!(?duty, ?progress, "transaction to the base layer");
            }
        }
    }
}

/// Follows and posts until cancelled.
///
/// # Errors
/// The storage error that ended it.
pub(crate) async fn run_settling(
    settling: Arc<Settling>,
    config: BaseLayerConfig,
    cancelled: CancellationToken,
) -> Result<(), StorageError> {
    let mut poster = match &config.poster {
        Some(terms) => Some(poster(&config, terms, &settling.store)?),
        None => None,
    };
    let mut follower = None;
    let mut pause = config.poll;
    loop {
        let step = tokio::time::timeout(
            STEP_TIMEOUT,
            step(&settling, &config, &mut follower, &mut poster),
        );
        let step = tokio::select! {
            () = cancelled.cancelled() => return Ok(()),
            step = step => step.unwrap_or(Err(StepError::TimedOut)),
        };
        match step {
            Ok(()) => pause = config.poll,
            Err(StepError::Storage(error)) => return Err(error),
            Err(error) => {
                ::metrics::counter!("sequencer_settling_errors_total").increment(1);
                tracing::warn!(%error, "settlement is tried again");
                pause = pause.saturating_mul(2).min(PAUSE_MAX.max(config.poll));
            }
        }
        tokio::select! {
            () = cancelled.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn step(
    settling: &Settling,
    config: &BaseLayerConfig,
    follower: &mut Option<Follower>,
    poster: &mut Option<Poster<NodeSource>>,
) -> Result<(), StepError> {
    let follower = match follower {
        Some(follower) => follower,
        none => none.insert(begin(settling, config).await?),
    };
    while let Some(event) = follower.next().await? {
        settling.take(&event)?;
    }
    let Some(poster) = poster else {
        return Ok(());
    };
    let top = follower.top().hash;
    // A copy: a step asks the base layer many things, and nobody may wait for that.
    let ladder = settling.known().ladder.clone();
    told(poster.step(top, &ladder).await?);
    Ok(())
}

/// Names of the metrics.
pub(crate) fn describe_metrics() {
    ::metrics::describe_counter!(
        "sequencer_settling_errors_total",
        "steps of settlement that failed and are repeated"
    );
}

#[cfg(test)]
mod tests;
