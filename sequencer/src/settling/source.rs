//! The node's database as the poster reads it.

use std::sync::Arc;

use protocol::{
    handover::Handover,
    number::{BatchNumber, Epoch},
    validator::ValidatorSet,
};
use settlement::{
    BatchSource, CertifiedBatch, FinalProof, PostedFlights, PosterError, SourceError,
};

use crate::storage::{StorageError, Store};

/// Batches of this node.
pub(super) struct NodeSource(pub(super) Arc<Store>);

fn failed(error: StorageError) -> SourceError {
    SourceError(Box::new(error))
}

/// The database's error, if that is why a step failed.
pub(super) fn source_failure(error: &PosterError) -> Option<StorageError> {
    match error {
        PosterError::Source(SourceError(error)) => error.downcast_ref::<StorageError>().cloned(),
        _ => None,
    }
}

impl BatchSource for NodeSource {
    fn certified(&self, batch: u64) -> Result<Option<CertifiedBatch>, SourceError> {
        let number = BatchNumber(batch);
        let Some(checkpoint) = self.0.checkpoint(number).map_err(failed)? else {
            return Ok(None);
        };
        let Some(record) = self.0.batch(number).map_err(failed)? else {
            return Ok(None);
        };
        let epoch = checkpoint.commitment.epoch;
        let Some(set) = self.0.validator_set(epoch).map_err(failed)? else {
            return Ok(None);
        };
        Ok(Some(CertifiedBatch {
            checkpoint,
            words: record.words,
            set,
        }))
    }

    fn final_proof(&self, batch: u64) -> Result<Option<FinalProof>, SourceError> {
        let proof = self.0.final_proof(BatchNumber(batch)).map_err(failed)?;
        Ok(proof.map(|proof| FinalProof {
            prover: settlement::bindings::address(proof.inputs.prover_id),
            proof: proof.contract_bytes.into(),
        }))
    }

    fn handover(&self, epoch: u64) -> Result<Option<(Handover, ValidatorSet)>, SourceError> {
        let epoch = Epoch(epoch);
        let Some(handover) = self.0.handover(epoch).map_err(failed)? else {
            return Ok(None);
        };
        let set = self.0.validator_set(epoch).map_err(failed)?;
        Ok(set.map(|set| (handover, set)))
    }

    fn save(&self, flights: &PostedFlights) -> Result<(), SourceError> {
        if self.0.posting().map_err(failed)? == *flights {
            return Ok(());
        }
        self.0.write_posting(flights).map_err(failed)
    }
}
