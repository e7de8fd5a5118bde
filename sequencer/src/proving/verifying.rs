//! Deciding whether a result counts.
//!
//! Invariant: what a proof states is compared with what this node knows of the batch before the proof is looked at; of
//! an instance only the accumulator, which the verifier decides, and the rewarded address are the worker's to choose.

use api::jobs::{ACCUMULATOR_LIMBS, Circuit, LEVELS, StatedProof, address_of};
use protocol::{
    Fr,
    account::L1Address,
    codec::{field_from_le_bytes, field_to_le_bytes},
};
use verifier::{KeyDescription, KeyError, verify_accumulating, verify_plonk};

use crate::storage::JobRecord;

const _: () = assert!(ACCUMULATOR_LIMBS == verifier::accumulator::LIMB_COUNT);

/// Verifies results of proof jobs.
pub trait ProofVerifier: Send + Sync {
    /// Accepts a proof of these public inputs (32 little-endian bytes each), or says why not. Those of a circuit of
    /// aggregation begin with an accumulator, which is decided as well.
    ///
    /// # Errors
    /// Why the proof does not count.
    fn verify(&self, circuit: Circuit, instance: &[[u8; 32]], proof: &[u8]) -> Result<(), String>;

    /// Whether it decides proofs of aggregation; otherwise the node makes no such jobs.
    fn is_aggregating(&self) -> bool {
        false
    }
}

/// Keys of the circuits of aggregation.
#[derive(Clone, Debug)]
pub struct AggregationKeys {
    levels: Vec<KeyDescription>,
    top: KeyDescription,
    last: KeyDescription,
}

impl AggregationKeys {
    /// Reads encoded descriptions: the levels, lowest first, then the top and the final circuit.
    ///
    /// # Errors
    /// Why one of them is no description.
    pub fn decode(levels: [&[u8]; LEVELS], top: &[u8], last: &[u8]) -> Result<Self, KeyError> {
        let levels = levels.into_iter().map(KeyDescription::decode);
        Ok(Self {
            levels: levels.collect::<Result<_, _>>()?,
            top: KeyDescription::decode(top)?,
            last: KeyDescription::decode(last)?,
        })
    }

    fn of(&self, circuit: Circuit) -> Option<&KeyDescription> {
        match circuit {
            Circuit::Chunk | Circuit::Data => None,
            Circuit::Level(level) => self.levels.get(usize::from(level)),
            Circuit::Top => Some(&self.top),
            Circuit::Final => Some(&self.last),
        }
    }
}

/// The independent verifier under the circuits' keys.
#[derive(Clone, Debug)]
pub struct PlonkVerifier {
    chunk: KeyDescription,
    data: KeyDescription,
    aggregation: Option<AggregationKeys>,
}

impl PlonkVerifier {
    /// Verifies under these keys. With those of aggregation, a node has its batches aggregated.
    #[must_use]
    pub fn new(
        chunk: KeyDescription,
        data: KeyDescription,
        aggregation: Option<AggregationKeys>,
    ) -> Self {
        Self {
            chunk,
            data,
            aggregation,
        }
    }
}

impl ProofVerifier for PlonkVerifier {
    fn verify(&self, circuit: Circuit, instance: &[[u8; 32]], proof: &[u8]) -> Result<(), String> {
        let column: Vec<Fr> = instance
            .iter()
            .map(field_from_le_bytes)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        match circuit {
            Circuit::Chunk => verify_plonk(&self.chunk, &[column], proof),
            Circuit::Data => verify_plonk(&self.data, &[column], proof),
            Circuit::Level(_) | Circuit::Top | Circuit::Final => {
                let keys = self.aggregation.as_ref();
                let key = keys.and_then(|keys| keys.of(circuit));
                let key = key.ok_or_else(|| format!("this node has no key of {circuit:?}"))?;
                verify_accumulating(key, &[column], proof)
            }
        }
        .map_err(|error| error.to_string())
    }

    fn is_aggregating(&self) -> bool {
        self.aggregation.is_some()
    }
}

/// Decides whether these bytes are a result of the job.
pub(super) fn check_result(
    verifier: &dyn ProofVerifier,
    job: &JobRecord,
    result: &[u8],
) -> Result<(), String> {
    if !job.circuit.is_aggregation() {
        return verifier.verify(job.circuit, &job.instances, result);
    }
    let stated = StatedProof::decode(result).map_err(|error| error.to_string())?;
    check_stated(verifier, job.circuit, &job.instances, &stated)
}

/// Decides whether a proof of aggregation states this, behind the accumulator and before who is rewarded.
pub(super) fn check_stated(
    verifier: &dyn ProofVerifier,
    circuit: Circuit,
    statement: &[[u8; 32]],
    stated: &StatedProof,
) -> Result<(), String> {
    let instance: Vec<[u8; 32]> = stated.instance.iter().map(field_to_le_bytes).collect();
    let found = instance.get(ACCUMULATOR_LIMBS..).unwrap_or(&[]);
    let rewarded = usize::from(circuit == Circuit::Final);
    if found.len() != statement.len() + rewarded {
        let (found, expected) = (found.len(), statement.len() + rewarded);
        return Err(format!("it states {found} numbers, expected {expected}"));
    }
    if !found.starts_with(statement) {
        return Err("it states something else than what the batch is".into());
    }
    if circuit == Circuit::Final && rewarded_by(stated).is_none() {
        return Err("who is rewarded is no address, or the zero address".into());
    }
    verifier.verify(circuit, &instance, &stated.proof)
}

/// Who is rewarded for a final proof; nobody if it names the zero address, and such a proof is of no use: the base layer
/// refuses it.
pub(super) fn rewarded_by(stated: &StatedProof) -> Option<L1Address> {
    let named = stated.instance.last().and_then(address_of);
    named.filter(|address| *address != L1Address::ZERO)
}
