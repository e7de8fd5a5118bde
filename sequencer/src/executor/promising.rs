//! Promises about this node's own next block, before it is built: which operations will stand at its first places.
//!
//! A promise is for the height above the newest block and only until this node's block of it is built: the state does not
//! move meanwhile, nor the base-layer block that the first promise was made under, so what applies now applies then. Invariants: what was promised is on disk before it is signed, stands
//! first in every block that this node builds at that height, in the order of its places, and nothing replaces or
//! evicts it until the height is decided; after a start nothing is promised at the open height, since its block may be
//! built. What this module does not do: sign ([`crate::promises`] does), or promise that the block is decided.

use std::{
    cmp::Ordering,
    collections::BTreeSet,
    sync::{MutexGuard, PoisonError},
};

use api::{ApiError, ErrorCode};
use protocol::{
    account::L1Address,
    block::L1Origin,
    number::{Height, Round},
    preconfirmation::Preconfirmation,
    transaction::TransactionId,
};

use super::{
    Executor, NoPrefix,
    filling::{Terms, fill},
    propose::burns,
};
use crate::{
    mempool::Entry,
    storage::{PromisedRecord, StorageError, TransactionRecord},
};

/// Promises for one height: they go before an inclusion list and are two records each in the guard's log.
pub(crate) const PROMISES_MAX: usize = 16;

/// What this node has promised for one height.
#[derive(Clone, Debug)]
pub(crate) struct Promised {
    record: PromisedRecord,
    /// A block of this height is being built, or was: nothing more is promised.
    is_closed: bool,
}

impl Promised {
    /// Nothing yet, and whatever is promised is for a block with this origin.
    fn nothing(height: Height, origin: L1Origin, is_closed: bool) -> Self {
        Self {
            record: PromisedRecord {
                height,
                origin,
                operations: Vec::new(),
            },
            is_closed,
        }
    }
}

impl Default for Promised {
    fn default() -> Self {
        Self::nothing(Height(0), L1Origin::default(), false)
    }
}

fn refused(reason: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::NotPreconfirmed, reason.into())
}

fn internal(error: &StorageError) -> ApiError {
    tracing::error!(%error, "promise not made");
    ApiError::new(ErrorCode::Internal, "the node's database failed")
}

impl Executor {
    /// Taken before the chain's and the pool's locks.
    fn promised(&self) -> MutexGuard<'_, Promised> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with what was promised before the node was stopped.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn restore_promises(&self) -> Result<(), StorageError> {
        let height = Height(self.tip().height.0.saturating_add(1));
        let mut promised = Promised::nothing(height, L1Origin::default(), true);
        if let Some(record) = self.shared.store.promised(height)? {
            let sequences = record.operations.iter().map(|(_, sequence)| *sequence);
            self.shared.pool().mark(sequences);
            promised.record = record;
        }
        *self.promised() = promised;
        Ok(())
    }

    /// Sequence numbers of what a block at `height` must begin with, and its origin if there are any; from now on nothing more is
    /// promised for it.
    pub(super) fn close_promises(&self, height: Height) -> (Vec<u64>, Option<L1Origin>) {
        let mut promised = self.promised();
        match height.cmp(&promised.record.height) {
            Ordering::Less => (Vec::new(), None), // no such block can be proposed any more
            Ordering::Equal => {
                promised.is_closed = true;
                let record = &promised.record;
                let operations = record.operations.iter();
                let sequences: Vec<u64> = operations.map(|(_, sequence)| *sequence).collect();
                let origin = (!sequences.is_empty()).then_some(record.origin);
                (sequences, origin)
            }
            Ordering::Greater => {
                *promised = Promised::nothing(height, L1Origin::default(), true);
                (Vec::new(), None)
            }
        }
    }

    /// Whether anything is promised at a height: such a block is not sold.
    pub(crate) fn has_promised(&self, height: Height) -> bool {
        let promised = self.promised();
        promised.record.height == height && !promised.record.operations.is_empty()
    }

    /// Promises `own`'s next block a pending operation, or says again what was promised of it.
    ///
    /// # Errors
    /// [`ErrorCode::NotPreconfirmed`] with the reason, or [`ErrorCode::Internal`].
    pub(crate) fn promise(
        &self,
        own: L1Address,
        id: TransactionId,
    ) -> Result<Preconfirmation, ApiError> {
        let mut promised = self.promised();
        let tip = self.tip();
        let height = Height(tip.height.0.saturating_add(1));
        let decided = self.decided();
        let next = *decided.term.set.proposer(height, Round(0));
        if next != own {
            return Err(refused(format!(
                "this node is {own}, the next proposer (height {height}) is {next}"
            )));
        }
        if promised.record.height != height {
            *promised = Promised::nothing(height, self.origin_above(&tip), false);
        }
        let at = |place: usize| Preconfirmation {
            height,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            transaction: id,
        };
        let mut known = promised.record.operations.iter();
        if let Some(place) = known.position(|(operation, _)| *operation == id) {
            return Ok(at(place));
        }
        if promised.is_closed {
            return Err(refused(format!(
                "this node's block of height {height} is built, or was before a restart"
            )));
        }
        let place = promised.record.operations.len();
        if place >= PROMISES_MAX {
            return Err(refused(format!(
                "{PROMISES_MAX} operations are promised at height {height} already"
            )));
        }
        let entry = self.promisable(&id)?;
        let mut record = promised.record.clone();
        record.operations.push((id, entry.sequence));
        self.check_promises(&record)?;
        let store = &self.shared.store;
        store
            .write_promised(&record)
            .map_err(|error| internal(&error))?;
        promised.record = record;
        Ok(at(place))
    }

    /// The pending entry that consists of this operation alone. Nothing replaces or evicts it from here on, also if it is
    /// not promised after all, until the height is decided.
    fn promisable(&self, id: &TransactionId) -> Result<Entry, ApiError> {
        let record = self.shared.store.transaction(id);
        let sequence = match record.map_err(|error| internal(&error))? {
            Some(TransactionRecord::Pending { sequence, .. }) => Some(sequence),
            _ => None,
        };
        let mut pool = self.shared.pool();
        let entry = sequence
            .and_then(|sequence| pool.get(sequence))
            .ok_or_else(|| {
                refused("the operation is not pending at this node: send it here first")
            })?;
        if entry.ids.as_slice() != [*id] {
            return Err(refused("members of an atomic group are not promised"));
        }
        pool.mark([entry.sequence]);
        Ok(entry)
    }

    /// Whether a block that begins with these operations can be built.
    fn check_promises(&self, record: &PromisedRecord) -> Result<(), ApiError> {
        let (height, operations) = (record.height, &record.operations);
        let flight: Vec<Entry> = {
            let pool = self.shared.pool();
            let sequences = operations.iter();
            sequences
                .filter_map(|(_, sequence)| pool.get(*sequence))
                .collect()
        };
        let gone = || refused("an operation is not pending any more");
        if flight.len() != operations.len() {
            return Err(gone());
        }
        let filled = self.on_prefix(height, |prefix| {
            let burns = burns(self, prefix, height).map_err(|missing| {
                let count = missing.len();
                refused(format!(
                    "{count} withheld bids that the block must burn are not here"
                ))
            })?;
            let terms = Terms {
                origin: record.origin,
                fee_leaves: self.shared.chain.constants.fee_leaves,
                payment: None,
                burns: &burns,
                listed: &BTreeSet::new(),
            };
            let filled =
                fill(prefix, &terms, &flight).map_err(|reason| refused(reason.to_string()))?;
            // an entry with a nonce gap is left out without a word
            let is_whole = filled.payload.entries.len() == burns.len() + flight.len();
            Ok((is_whole, filled.failed))
        });
        let (is_whole, failed) = filled.map_err(|error| match error {
            NoPrefix::Stale(_) => refused(
                "a block was decided meanwhile: ask again, the next proposer may be another",
            ),
            NoPrefix::Storage(error) => internal(&error),
        })??;
        if is_whole {
            return Ok(());
        }
        let reason = failed.last().map_or_else(
            || "its nonce is not the next one, or the block is full".to_owned(),
            |(_, error)| error.reason.clone(),
        );
        Err(refused(format!(
            "it does not apply at height {height}: {reason}"
        )))
    }
}
