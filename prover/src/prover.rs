//! The prover of a worker: the keys of both circuits, and witness bytes in, proof bytes out.
//!
//! Invariants: a proof leaves only after the independent verifier accepted it under the exported description of this
//! prover's own key; a witness is decoded strictly and checked against the circuit's rules before halo2 sees it.
//!
//! What it does not do: it does not decide whether its reference string may be used
//! ([`crate::srs::ReferenceString::check_allowed`] does, and callers must ask), and it does not compare its keys with
//! the verifier's list.

use std::path::Path;

use api::jobs::JobKind;
use circuits::aggregation::{Protocol, inner_protocol};
use circuits::convert::to_native;
use circuits::data::DataShape;
use circuits::instance;
use circuits::lanes::LaneShape;
use halo2_proofs::plonk::Circuit;
use halo2curves::bn256::Fr;
use protocol::codec::from_bytes;
use protocol::witness::{ChunkWitness, DataWitness};
use rand::rngs::OsRng;
use verifier::golden::CircuitName;
use verifier::{KeyDescription, TranscriptKind, verify_plonk};

use crate::export::{ExportError, key_description};
use crate::keys::{KeyCache, KeyError, KeyOrigin, Keys};
use crate::progress::{Phase, Progress, ProgressSink};
use crate::proof;
use crate::srs::{ReferenceString, SrsError, StringCache, StringKind};
use crate::worker::{JobError, JobProver};

/// Why a prover cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    /// There is no usable reference string.
    #[error(transparent)]
    String(#[from] SrsError),
    /// There are no keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The keys cannot be described: a mistake of ours.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Strings are made by ceremonies or for development; this kind is neither.
    #[error(
        "a prover works with a ceremony's string or the development string, not with an {0} one"
    )]
    InvalidKind(StringKind),
}

/// One circuit, ready to prove.
struct Ready {
    string: ReferenceString,
    keys: Keys,
    description: KeyDescription,
}

/// Keys of both circuits.
pub struct Prover {
    chunk_shape: LaneShape,
    chunk: Ready,
    data_shape: DataShape,
    data: Ready,
}

impl Prover {
    /// Loads strings and keys from `directory`, making and storing what is missing.
    ///
    /// The development string is made anew at will; a ceremony's string must have been imported.
    ///
    /// # Errors
    /// [`ProverError`].
    pub fn load(directory: &Path, kind: StringKind) -> Result<Self, ProverError> {
        let chunk_shape = LaneShape::protocol();
        let (k, circuit) = (chunk_shape.k(), chunk_shape.circuit());
        let chunk = Ready::load(directory, kind, "chunk", k, &circuit, instance::chunk::LEN)?;
        let data_shape = DataShape::protocol();
        let (k, circuit) = (data_shape.k(), data_shape.circuit());
        let data = Ready::load(directory, kind, "data", k, &circuit, instance::data::LEN)?;
        Ok(Self {
            chunk_shape,
            chunk,
            data_shape,
            data,
        })
    }

    /// What a verifier needs to know of a circuit's key.
    #[must_use]
    pub fn description(&self, circuit: CircuitName) -> &KeyDescription {
        match circuit {
            CircuitName::Chunk => &self.chunk.description,
            CircuitName::Data => &self.data.description,
        }
    }

    /// How aggregation verifies proofs of a circuit.
    #[must_use]
    pub fn inner_protocol(&self, circuit: CircuitName) -> Protocol {
        let (ready, public_inputs) = match circuit {
            CircuitName::Chunk => (&self.chunk, instance::chunk::LEN),
            CircuitName::Data => (&self.data, instance::data::LEN),
        };
        let key = ready.keys.pk.get_vk();
        inner_protocol(ready.string.params(), key, public_inputs, false)
    }

    /// Whether both verifying keys came from the cache.
    #[must_use]
    pub fn is_from_cache(&self) -> bool {
        [&self.chunk, &self.data]
            .iter()
            .all(|ready| ready.keys.origin == KeyOrigin::Cache)
    }
}

impl Ready {
    fn load<C: Circuit<Fr>>(
        directory: &Path,
        kind: StringKind,
        name: &str,
        k: u32,
        circuit: &C,
        public_inputs: usize,
    ) -> Result<Self, ProverError> {
        let strings = StringCache::new(directory);
        let string = match kind {
            StringKind::InsecureDevelopment => strings.insecure_development(k)?,
            StringKind::PerpetualPowersOfTau => strings.ceremony(k)?,
            StringKind::Unattested => return Err(ProverError::InvalidKind(kind)),
        };
        let keys = KeyCache::new(directory).load_or_generate(name, &string, circuit)?;
        let description = key_description(
            keys.pk.get_vk(),
            string.params(),
            TranscriptKind::Poseidon,
            &[public_inputs],
        )?;
        Ok(Self {
            string,
            keys,
            description,
        })
    }

    fn prove<C: Circuit<Fr>>(
        &self,
        circuit: &C,
        instance: &[Fr],
        progress: ProgressSink<'_>,
    ) -> Result<Vec<u8>, JobError> {
        let params = self.string.params();
        let proof = proof::prove(params, &self.keys.pk, circuit, &[instance], OsRng, progress)
            .map_err(|error| JobError::Internal(error.to_string()))?;
        progress(Progress {
            phase: Phase::Verifying,
            percent: Phase::Verifying.percent_at_start(),
        });
        let native = instance.iter().copied().map(to_native).collect();
        verify_plonk(&self.description, &[native], &proof)
            .map_err(|error| JobError::InvalidProof(error.to_string()))?;
        progress(Progress {
            phase: Phase::Verifying,
            percent: 100,
        });
        Ok(proof)
    }
}

impl JobProver for Prover {
    fn prove(
        &self,
        kind: JobKind,
        witness: &[u8],
        progress: ProgressSink<'_>,
    ) -> Result<Vec<u8>, JobError> {
        let invalid = |error: String| JobError::InvalidWitness(error);
        progress(Progress {
            phase: Phase::Witness,
            percent: 0,
        });
        match kind {
            JobKind::Chunk => {
                let witness: ChunkWitness =
                    from_bytes(witness).map_err(|error| invalid(error.to_string()))?;
                let (circuit, instance) = self
                    .chunk_shape
                    .prove(&witness)
                    .map_err(|error| invalid(error.to_string()))?;
                self.chunk.prove(&circuit, &instance, progress)
            }
            JobKind::Data => {
                let witness: DataWitness =
                    from_bytes(witness).map_err(|error| invalid(error.to_string()))?;
                let (circuit, instance) = self
                    .data_shape
                    .prove(&witness)
                    .map_err(|error| invalid(error.to_string()))?;
                self.data.prove(&circuit, &instance, progress)
            }
            JobKind::Join | JobKind::Close | JobKind::Finish => {
                let name = kind.name();
                Err(invalid(format!("this prover has no keys for a {name}")))
            }
        }
    }
}
