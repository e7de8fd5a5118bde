//! Where the set of an epoch comes from, from the blocks on disk.

use protocol::{handover::Handover, number::Epoch};
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
        let Some(stored) = store.block(Epoch(earlier).last_height())? else {
            return Ok(None);
        };
        let header = stored.block.header;
        handovers.push(Handover {
            core: header.core,
            bid: header.bid,
            certificate: stored.certificate.to_commit(),
            next: constants.validators.clone(), // the set of every epoch
        });
    }
    Ok(Some(Lineage {
        genesis: constants.genesis_hash,
        domain: constants.domain,
        validators: constants.validators.clone(),
        handovers,
    }))
}
