//! Where the set of an epoch comes from, from the blocks on disk: each epoch's last block, what decided it, and the set
//! that its header names.

use protocol::{handover::Handover, number::Epoch};
use verifier::lineage::Lineage;

use crate::{
    chain::ChainConstants,
    storage::{StorageError, Store},
};

/// The proof of the set after an epoch; `None` if the epoch has not ended here.
///
/// # Errors
/// The database's.
pub(crate) fn handover(store: &Store, epoch: Epoch) -> Result<Option<Handover>, StorageError> {
    let Some(stored) = store.block(epoch.last_height())? else {
        return Ok(None);
    };
    let header = stored.block.header;
    Ok(Some(Handover {
        core: header.core,
        bid: header.bid,
        certificate: stored.certificate.to_commit(),
        next: store.office(epoch.next())?,
    }))
}

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
        let Some(link) = handover(store, Epoch(earlier))? else {
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
