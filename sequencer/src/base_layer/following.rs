//! The component that moves the final part along the base layer.
//!
//! Steps of [`settlement::Follower`] keep a stack of block marks, from which a reorganisation takes what is not final; when blocks become final
//! their items are read, checked and written. Nothing of a block that is not final is kept but its mark and whether it has items.
//! Invariants: what is published is on disk; an error is repeated with growing pauses; what cannot be right stops the following for
//! good, with an alarm, and never the node. What this module does not do: choose among several base-layer nodes.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use settlement::{
    BaseLayer, BlockAt, BlockMark, FollowEvent, Follower, FollowerError,
    bindings::{item_filter, items, l1_address, overdue_seconds, rolling_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    FinalPart,
    ledger::{BadFinal, Ledger},
};
use crate::{
    config::BaseLayerConfig,
    storage::{BaseBlock, BaseRecord, StorageError},
};

/// Final blocks of one write.
const BLOCKS_PER_WRITE: usize = 128;
/// Items after which a write is not made larger.
const ITEMS_PER_WRITE: usize = 2_048;
/// Longest pause between two looks at a base layer that does not answer.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Longest that one look may take, whatever the client's own limits are.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a step did not succeed.
enum StepError {
    /// Time may heal it.
    Retry(String),
    /// It will not become right.
    Halt(String),
    /// The node must stop.
    Storage(StorageError),
}

impl From<StorageError> for StepError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<FollowerError> for StepError {
    fn from(error: FollowerError) -> Self {
        match error {
            FollowerError::FinalizedReplaced { .. } => Self::Halt(error.to_string()),
            FollowerError::BaseLayer(_)
            | FollowerError::Moved { .. }
            | FollowerError::Behind { .. }
            | FollowerError::FinalityStalled { .. } => Self::Retry(error.to_string()),
        }
    }
}

impl From<BadFinal> for StepError {
    fn from(error: BadFinal) -> Self {
        match error {
            BadFinal::Storage(error) => Self::Storage(error),
            error => Self::Halt(format!("ALARM: {error}; nothing more is taken from it")),
        }
    }
}

fn retry(error: impl std::fmt::Display) -> StepError {
    StepError::Retry(error.to_string())
}

/// A block above the newest final one on disk.
struct Mark {
    block: BlockMark,
    has_items: bool,
}

/// Where the following stands.
struct Following {
    follower: Follower,
    /// Ascending.
    marks: VecDeque<Mark>,
    /// Marks up to this number are final.
    finalized: u64,
    ledger: Ledger,
}

/// Follows the base layer until cancelled.
///
/// # Errors
/// The storage error that ended it.
pub(crate) async fn run_base_layer(
    part: Arc<FinalPart>,
    config: BaseLayerConfig,
    cancelled: CancellationToken,
) -> Result<(), StorageError> {
    let mut following = None;
    let mut pause = config.poll;
    loop {
        let step = tokio::select! {
            () = cancelled.cancelled() => return Ok(()),
            step = step(&part, &config, &mut following) => step,
        };
        match step {
            Ok(is_more) => {
                part.note(|standing| standing.trouble = None);
                pause = config.poll;
                if is_more {
                    tokio::task::yield_now().await;
                    continue;
                }
            }
            Err(StepError::Retry(reason)) => {
                tracing::debug!(%reason, "base layer not followed");
                ::metrics::counter!("sequencer_base_layer_errors_total").increment(1);
                part.note(|standing| standing.trouble = Some(reason));
                pause = pause.saturating_mul(2).min(PAUSE_MAX.max(config.poll));
            }
            Err(StepError::Halt(alarm)) => {
                tracing::error!(%alarm, "base layer not followed any more; ordering goes on without new origins");
                ::metrics::gauge!("sequencer_base_layer_alarm").set(1.0);
                part.note(|standing| standing.alarm = Some(alarm));
                cancelled.cancelled().await;
                return Ok(());
            }
            Err(StepError::Storage(error)) => return Err(error),
        }
        tokio::select! {
            () = cancelled.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Waits for an answer, but not for ever.
async fn answered<T>(answer: impl Future<Output = T>) -> Result<T, StepError> {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
    answer.map_err(|_| retry("base layer did not answer in time; try again"))
}

/// One step; false if there is nothing new.
async fn step(
    part: &Arc<FinalPart>,
    config: &BaseLayerConfig,
    following: &mut Option<Following>,
) -> Result<bool, StepError> {
    let Some(at) = following else {
        *following = Some(begin(part, config).await?);
        return Ok(true);
    };
    if is_final(at.marks.front(), at.finalized) || !at.ledger.taken().blocks.is_empty() {
        settle(part, config, at).await?;
        return Ok(true);
    }
    let Some(event) = answered(at.follower.next()).await?? else {
        return Ok(false);
    };
    match event {
        FollowEvent::Applied { block, logs } => at.marks.push_back(Mark {
            block,
            has_items: !logs.is_empty(),
        }),
        FollowEvent::Undone { .. } => {
            at.marks.pop_back();
        }
        FollowEvent::Safe { block } => part.note(|standing| standing.safe = Some(block.number)),
        FollowEvent::Finalized { block } => at.finalized = block.number,
    }
    let (latest, finalized) = (at.follower.top().number, at.follower.finalized().number);
    ::metrics::gauge!("sequencer_base_layer_latest").set(latest as f64);
    part.note(|standing| {
        standing.latest = Some(latest);
        // what is final is safe, and what was undone is not
        let safe = standing.safe.unwrap_or(0);
        standing.safe = Some(safe.max(finalized).min(latest));
    });
    Ok(true)
}

fn is_final(mark: Option<&Mark>, finalized: u64) -> bool {
    mark.is_some_and(|mark| mark.block.number <= finalized)
}

/// Goes on where the database stands.
async fn begin(part: &FinalPart, config: &BaseLayerConfig) -> Result<Following, StepError> {
    let record = match part.store.base_record()? {
        Some(record) => record,
        None => first_record(config).await?,
    };
    let newest = BlockMark {
        number: record.newest.number,
        hash: record.newest.hash.into(),
        timestamp: record.newest.time,
    };
    let filter = item_filter(config.deployment.inbox);
    Ok(Following {
        follower: Follower::new(Arc::clone(&config.layer), filter, newest, []),
        marks: VecDeque::new(),
        finalized: newest.number,
        ledger: Ledger::new(record),
    })
}

/// The record before the first block.
async fn first_record(config: &BaseLayerConfig) -> Result<BaseRecord, StepError> {
    let layer: &dyn BaseLayer = &*config.layer;
    let first_block = config.first_block;
    let head = answered(layer.header(BlockAt::Finalized)).await?;
    let head = head.map_err(retry)?;
    let head = head
        .filter(|head| head.number >= first_block)
        .ok_or_else(|| retry(format!("base-layer block {first_block} is not final yet")))?;
    let below = BlockAt::Number(first_block.saturating_sub(1));
    let below = answered(layer.header(below)).await?.map_err(retry)?;
    let below = below.ok_or_else(|| retry("the block below the first is missing"))?;
    let rollup = config.deployment.rollup;
    let overdue = answered(overdue_seconds(layer, head.hash(), rollup)).await?;
    Ok(BaseRecord {
        chain_id: layer.chain_id(),
        rollup: l1_address(rollup),
        inbox: l1_address(config.deployment.inbox),
        first_block,
        overdue_seconds: overdue.map_err(retry)?,
        newest: BaseBlock {
            number: below.number,
            hash: below.hash().0,
            time: below.timestamp,
        },
        items: 0,
        due: 0,
        rolling: [0; 32],
    })
}

/// Takes blocks that have become final, as many as one write holds.
async fn settle(
    part: &Arc<FinalPart>,
    config: &BaseLayerConfig,
    at: &mut Following,
) -> Result<(), StepError> {
    let items_before = part.standing().items;
    let filter = item_filter(config.deployment.inbox);
    while is_final(at.marks.front(), at.finalized)
        && at.ledger.taken().blocks.len() < BLOCKS_PER_WRITE
        && at.ledger.taken().items.len() < ITEMS_PER_WRITE
    {
        let Some(mark) = at.marks.front() else { break };
        let found = if mark.has_items {
            let logs = answered(config.layer.logs(mark.block.hash, &filter)).await?;
            items(&logs.map_err(retry)?).map_err(BadFinal::Event)?
        } else {
            Vec::new()
        };
        at.ledger.take(&part.store, &mark.block, &found)?;
        at.marks.pop_front();
    }
    if at.ledger.record().items > items_before {
        check_rolling(config, at.ledger.record()).await?;
    }
    let store = Arc::clone(&part.store);
    let (taken, record) = at.ledger.hand_over();
    tokio::task::spawn_blocking(move || store.write_base(&taken.blocks, &taken.items, &record))
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    part.publish(&record);
    Ok(())
}

/// Compares the contract's own hash over its items. A node that has no state of old blocks any more cannot say it, and the events were
/// read under the blocks' hashes: only another answer counts.
async fn check_rolling(config: &BaseLayerConfig, record: &BaseRecord) -> Result<(), StepError> {
    let (block, inbox) = (record.newest.hash.into(), config.deployment.inbox);
    match answered(rolling_at(&*config.layer, block, inbox, record.items)).await? {
        Ok(theirs) if theirs.0 == record.rolling => Ok(()),
        Ok(theirs) => Err(BadFinal::Rolling {
            count: record.items,
            theirs: theirs.to_string(),
            ours: hex::encode(record.rolling),
        }
        .into()),
        Err(error) => {
            tracing::debug!(%error, "the Inbox's rolling hash was not compared");
            Ok(())
        }
    }
}
