//! A node's database from what a base layer has proven, when nothing else is left (ADR 0026).
//!
//! The state after a batch comes back whole; the blocks that led there do not, since batches publish what was done and not who
//! decided it. So a database either holds the state alone and its node serves it ([`make_rebuilt`]), or it begins at a restart
//! certificate and the chain goes on ([`crate::make_restarted`] with [`RestartPoint`] of the same state). What this module does
//! not do: read the base layer (`settlement::rebuild` does), or sign.

use std::path::Path;

use protocol::{genesis::Genesis, number::BatchNumber};
use settlement::rebuild::RebuiltChain;

use crate::{
    failpoint,
    restart::RestartPoint,
    storage::{StorageError, Store},
};

/// Why no database is made of a rebuilt state.
#[derive(Debug, thiserror::Error)]
pub enum NotRebuilt {
    /// The state is that of genesis.
    #[error("no batch is proven yet: the state is that of genesis, and nothing is to be rebuilt")]
    NothingProven,
    /// The database cannot be made.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whether a database may be made in this directory, before the time is spent to make what goes into it.
///
/// # Errors
/// [`StorageError::Occupied`] where one is already.
pub fn check_unmade(data_dir: &Path) -> Result<(), StorageError> {
    Store::check_unmade(data_dir)
}

/// Makes the database of a node that serves this state and orders nothing.
///
/// # Errors
/// [`NotRebuilt`]; no database has been made.
pub fn make_rebuilt(
    data_dir: &Path,
    genesis: &Genesis,
    chain: RebuiltChain,
) -> Result<(), NotRebuilt> {
    failpoint::arm(genesis.is_development());
    let block = chain.block;
    let point = RestartPoint::from(chain);
    let end = point.end();
    if end.batch == BatchNumber(0) {
        return Err(NotRebuilt::NothingProven);
    }
    Store::make_rebuilt(data_dir, genesis, &end, block)?;
    Ok(())
}

#[cfg(test)]
mod tests;
