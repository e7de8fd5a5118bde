//! Where the set of an epoch comes from, from what is on disk: each epoch's last block, what decided it, and the set
//! that its header names.

use protocol::number::Epoch;
use verifier::lineage::Lineage;

use crate::{
    chain::ChainConstants,
    storage::{StorageError, Store},
};

/// The handovers up to an epoch; `None` if an epoch before it has not ended here.
///
/// # Errors
/// The database's.
pub(crate) fn lineage(
    store: &Store,
    constants: &ChainConstants,
    epoch: Epoch,
) -> Result<Option<Lineage>, StorageError> {
    let mut handovers = Vec::new();
    for earlier in 0..epoch.0 {
        let Some(link) = store.handover(Epoch(earlier))? else {
            return Ok(None);
        };
        handovers.push(link);
    }
    Ok(Some(Lineage {
        genesis: constants.genesis_hash,
        domain: constants.domain,
        validators: constants.validators.clone(),
        handovers,
    }))
}
