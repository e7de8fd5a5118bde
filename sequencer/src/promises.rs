//! Preconfirmations: the next proposer signs that an operation will stand at a place of its block (`sequencing.md`, rule 12).
//!
//! What is promised is the executor's to keep ([`crate::executor`]); here it is signed, through the guard. A promise can be
//! broken; two that conflict, and a block of its maker's own that does not keep it, are evidence: every node watches for it
//! with what it has [`heard`]. What this module does not do: see blocks.

mod heard;

use std::sync::Arc;

use api::{ApiError, ErrorCode};
use protocol::{preconfirmation::SignedPreconfirmation, transaction::TransactionId};

use crate::{
    executor::Executor,
    guard::{GuardError, SigningGuard},
    relay::News,
};

pub(crate) use heard::{Heard, Hearing};

/// Makes promises.
#[derive(Clone)]
pub(crate) struct Promises {
    executor: Arc<Executor>,
    guard: Arc<SigningGuard>,
}

impl Promises {
    pub(crate) fn new(executor: Arc<Executor>, guard: Arc<SigningGuard>) -> Self {
        Self { executor, guard }
    }

    /// Promises that a pending operation will stand in this node's next block, and tells everybody. Waits for the disk.
    ///
    /// # Errors
    /// Why nothing is promised.
    pub(crate) fn preconfirm(&self, id: TransactionId) -> Result<SignedPreconfirmation, ApiError> {
        let proposer = self.guard.address();
        let preconfirmation = self.executor.promise(proposer, id)?;
        let signature = self
            .guard
            .sign_promise(&preconfirmation)
            .map_err(|error| match error {
                GuardError::Conflict { .. } | GuardError::Below { .. } => {
                    let reason = format!("the signing guard refuses: {error}");
                    ApiError::new(ErrorCode::NotPreconfirmed, reason)
                }
                _ => {
                    // agreement asks the same guard and stops the node
                    tracing::error!(%error, "promise not signed");
                    ApiError::new(ErrorCode::Internal, "the signing guard failed")
                }
            })?;
        let signed = SignedPreconfirmation {
            preconfirmation,
            proposer,
            signature,
        };
        if self.executor.hear(signed) == Hearing::New {
            self.executor.shared.outlet.send(News::Promise(signed));
        }
        Ok(signed)
    }
}

#[cfg(test)]
mod tests;
