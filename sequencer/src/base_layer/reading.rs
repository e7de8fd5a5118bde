//! The base layer as one verdict reads it: disk only, up to the block that was final when the verdict began.
//!
//! A database that fails in the middle must not become a verdict: whoever reads asks [`Reading::failure`] afterwards.

use std::sync::{Mutex, PoisonError};

use protocol::{
    block::L1Origin,
    validity::{BaseLayerView, OriginStatus, QueuedItem},
};

use crate::storage::{StorageError, Store};

/// A view of the final part.
pub(crate) struct Reading<'a> {
    store: &'a Store,
    first_block: u64,
    newest: Option<u64>,
    failure: Mutex<Option<StorageError>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(store: &'a Store, first_block: u64, newest: Option<u64>) -> Self {
        Self {
            store,
            first_block,
            newest,
            failure: Mutex::default(),
        }
    }

    /// Why what was read must not be used.
    pub(crate) fn failure(self) -> Option<StorageError> {
        let failure = self.failure.into_inner();
        failure.unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: StorageError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = Some(error);
    }
}

impl BaseLayerView for Reading<'_> {
    fn status(&self, origin: &L1Origin) -> OriginStatus {
        // what genesis and a restart name, and blocks above them until something is final
        if *origin == L1Origin::default() {
            return OriginStatus::Final;
        }
        if origin.number < self.first_block {
            return OriginStatus::Conflicting;
        }
        if self.newest.is_none_or(|newest| origin.number > newest) {
            return OriginStatus::Unknown;
        }
        match self.store.base_block(origin.number) {
            Ok(Some(block)) if block.hash == origin.hash => OriginStatus::Final,
            Ok(Some(_)) => OriginStatus::Conflicting,
            Ok(None) => {
                let what = format!("final base-layer block {} is missing", origin.number);
                self.fail(self.store.corrupt(what));
                OriginStatus::Unknown
            }
            Err(error) => {
                self.fail(error);
                OriginStatus::Unknown
            }
        }
    }

    fn item(&self, index: u64) -> Option<QueuedItem> {
        match self.store.base_item(index) {
            Ok(item) => item.map(|item| QueuedItem {
                item: item.item,
                enqueued_at: item.enqueued_at,
                due_at: item.due_at.unwrap_or(u64::MAX),
            }),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }
}
