//! What one worker proves with: the keys of the two circuits of a batch, and those of aggregation once they are needed.
//!
//! The keys of aggregation take minutes to make and a while to read, so they wait for the first job that asks for them;
//! the worker's loop heartbeats meanwhile, with the phase `keys`. If that fails, the job goes back, and the next one
//! tries again.
//!
//! What it does not do: choose jobs (the kinds that the queue is told do), or compare keys with the verifier's list
//! (whoever says how to load them does).

use std::sync::{Arc, Mutex, PoisonError};

use api::jobs::{AggregationWitness, JobKind, StatedProof};
use circuits::aggregation::{BatchEnds, InnerProof};
use circuits::convert::{to_circuit, to_native};
use protocol::account::L1Address;

use super::{JobError, JobProver};
use crate::aggregate::{AggregateError, Aggregator, FinalProof};
use crate::progress::{Phase, Progress, ProgressSink};

/// Loads what makes the jobs of aggregation.
pub type Load<A> = Box<dyn Fn() -> Result<A, JobError> + Send + Sync>;

/// A prover of chunks and data, unless the worker takes none, and one of aggregation that is loaded when it is needed.
pub struct Provers<P, A> {
    single: Option<P>,
    load: Load<A>,
    loaded: Mutex<Option<Arc<A>>>,
}

impl<P, A> Provers<P, A> {
    /// Proves chunks and data with the one, the rest with what `load` returns.
    pub fn new(single: Option<P>, load: Load<A>) -> Self {
        Self {
            single,
            load,
            loaded: Mutex::new(None),
        }
    }

    fn aggregation(&self, progress: ProgressSink<'_>) -> Result<Arc<A>, JobError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &*loaded {
            return Ok(Arc::clone(loaded));
        }
        progress(Progress {
            phase: Phase::Keys,
            percent: Phase::Keys.percent_at_start(),
        });
        let made = Arc::new((self.load)()?);
        *loaded = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl<P: JobProver, A: JobProver> JobProver for Provers<P, A> {
    fn prove(
        &self,
        kind: JobKind,
        witness: &[u8],
        progress: ProgressSink<'_>,
    ) -> Result<Vec<u8>, JobError> {
        if kind.is_aggregation() {
            return self.aggregation(progress)?.prove(kind, witness, progress);
        }
        let name = kind.name();
        let none = || JobError::Internal(format!("this worker takes no {name} jobs"));
        let single = self.single.as_ref().ok_or_else(none)?;
        single.prove(kind, witness, progress)
    }
}

/// Makes the jobs of aggregation.
pub struct AggregationProver {
    /// Keys of the tree.
    pub aggregator: Aggregator,
    /// Who is rewarded on the base layer for final proofs that are made here.
    pub prover_id: L1Address,
}

fn inner(proof: StatedProof) -> InnerProof {
    InnerProof {
        instance: proof.instance.into_iter().map(to_circuit).collect(),
        proof: proof.proof,
    }
}

impl From<AggregateError> for JobError {
    fn from(error: AggregateError) -> Self {
        match error {
            AggregateError::Statement(_) | AggregateError::InvalidChunks(_) => {
                Self::InvalidWitness(error.to_string())
            }
            AggregateError::Refused { .. } => Self::InvalidProof(error.to_string()),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl JobProver for AggregationProver {
    fn prove(
        &self,
        kind: JobKind,
        witness: &[u8],
        progress: ProgressSink<'_>,
    ) -> Result<Vec<u8>, JobError> {
        let witness = AggregationWitness::decode(kind, witness)
            .map_err(|error| JobError::InvalidWitness(error.to_string()))?;
        let aggregator = &self.aggregator;
        let InnerProof { instance, proof } = match witness {
            AggregationWitness::Join { level, left, right } => {
                aggregator.join(usize::from(level), inner(left), right.map(inner), progress)?
            }
            AggregationWitness::Close {
                level,
                root,
                data,
                ends,
            } => {
                let ends = BatchEnds {
                    number: ends.number,
                    start: ends.start,
                    end: ends.end,
                };
                let (level, root, data) = (usize::from(level), inner(root), inner(data));
                aggregator.close(level, root, data, ends, progress)?
            }
            AggregationWitness::Finish { top } => {
                let made = aggregator.finish(inner(top), self.prover_id, progress)?;
                let FinalProof { instance, proof } = made;
                InnerProof { instance, proof }
            }
        };
        let stated = StatedProof {
            instance: instance.into_iter().map(to_native).collect(),
            proof,
        };
        Ok(stated.encode())
    }
}
