//! Everything that a rollup has written on its base layer, from the contracts' first block on, in order.
//!
//! It reads one chain of blocks, each the parent of the next, up to a block that the caller names: what is passed on is what
//! that block's past holds, whatever the chain does meanwhile. Invariants: logs are those that the headers commit to (the
//! base layer's client checks that); a batch's words are whole. It keeps nothing in memory but the block that it reads.
//!
//! Who has genesis and these events has the rollup: `protocol::rebuild` makes every leaf of them.

use alloy_primitives::{Address, B256};

use crate::base_layer::{BaseLayer, BaseLayerError, BlockAt, Log, LogFilter};
use crate::bindings::{BindingError, CommittedBatch, EnqueuedItem, Events, event};
use crate::deploy::DeploymentFile;

/// What the contracts wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettledEvent {
    /// An item entered the Inbox.
    Enqueued(EnqueuedItem),
    /// A batch was committed.
    Committed(Box<CommittedBatch>),
    /// A batch was proven.
    Proven {
        /// Its number.
        batch: u64,
        /// Who is paid.
        prover: Address,
        /// The transaction that proved it.
        transaction: B256,
    },
    /// Batches above this one are void.
    Pruned {
        /// The last that stands.
        above: u64,
    },
}

impl SettledEvent {
    fn read(log: &Log) -> Result<Option<Self>, BindingError> {
        if let Some(read) = event::<Events::ItemEnqueued>(log)? {
            return Ok(Some(Self::Enqueued(EnqueuedItem::read(&read)?)));
        }
        if let Some(read) = event::<Events::BatchCommitted>(log)? {
            return Ok(Some(Self::Committed(Box::new(CommittedBatch::read(read)?))));
        }
        if let Some(read) = event::<Events::BatchProven>(log)? {
            return Ok(Some(Self::Proven {
                batch: read.batchNumber,
                prover: read.prover,
                transaction: log.transaction,
            }));
        }
        let read = event::<Events::BatchesPruned>(log)?;
        Ok(read.map(|read| Self::Pruned {
            above: read.batchNumber,
        }))
    }
}

/// Passes on every event up to block `last`, in order, and returns that block's number.
///
/// # Errors
/// The base layer's, a malformed event, what `take` says, or [`BaseLayerError::UnknownBlock`] if the chain was reorganised
/// below `last` while it was read: read again then.
pub async fn read_history(
    layer: &dyn BaseLayer,
    file: &DeploymentFile,
    last: B256,
    take: &mut (dyn FnMut(SettledEvent) -> Result<(), BindingError> + Send),
) -> Result<u64, BindingError> {
    let filter = LogFilter {
        addresses: vec![file.rollup, file.inbox],
        ..LogFilter::default()
    };
    let end = header(layer, BlockAt::Hash(last)).await?.number;
    let mut parent: Option<B256> = None;
    for number in file.first_block..=end {
        let at = BlockAt::Number(number);
        let block = header(layer, at).await?;
        let is_end_other = number == end && block.hash() != last;
        if is_end_other || parent.is_some_and(|parent| parent != block.parent_hash) {
            return Err(BaseLayerError::UnknownBlock {
                at: BlockAt::Hash(last),
            }
            .into());
        }
        parent = Some(block.hash());
        for log in layer.logs(block.hash(), &filter).await? {
            if let Some(event) = SettledEvent::read(&log)? {
                take(event)?;
            }
        }
    }
    Ok(end)
}

async fn header(
    layer: &dyn BaseLayer,
    at: BlockAt,
) -> Result<alloy_consensus::Sealed<alloy_consensus::Header>, BaseLayerError> {
    let header = layer.header(at).await?;
    header.ok_or(BaseLayerError::UnknownBlock { at })
}
