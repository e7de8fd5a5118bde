//! From the proofs of a batch to the one proof that the base layer verifies (`circuits::aggregation`, ADR 0017).
//!
//! [`Aggregator::load`] makes or loads the keys of every circuit of the tree, each from the key below it, and keeps what
//! is small: how proofs of it are verified inside and outside. Proving keys are read when a proof is made and dropped
//! behind it, since one takes a gigabyte.
//!
//! Invariants: a proof leaves only after the independent verifier has accepted it, accumulator included; the keys of
//! levels do not depend on any real proof. What it does not do: it does not believe inner proofs beforehand (a false one
//! yields an aggregation that the verifier refuses here), and it does not decide who is rewarded.

use std::path::{Path, PathBuf};

use api::jobs::{CHUNKS_MAX, join_width};
use circuits::aggregation::{
    ACCUMULATOR_LIMBS, Aggregation, AggregationError, AggregationShape, BatchEnds, Built, Final,
    InnerProof, Lone, Node, Protocol, Statement, ThinCircuit, Top, WideCircuit, dummy_proof,
    inner_protocol,
};
use circuits::convert::{to_circuit, to_native};
use circuits::instance;
use halo2curves::bn256::Fr;
use protocol::account::L1Address;
use protocol::number::{BatchNumber, Height};
use protocol::threaded::Threaded;
use protocol::words::WordCounts;
use rand::rngs::OsRng;
use verifier::{KeyDescription, TranscriptKind, verify_accumulating};

use crate::export::{ExportError, key_description};
use crate::keys::{KeyCache, KeyError, Keys};
use crate::progress::{Phase, Progress, ProgressSink};
use crate::proof::{self, ProofError};
use crate::srs::{ReferenceString, SrsError, StringCache, StringKind};

/// Levels of the tree.
pub const LEVELS: usize = api::jobs::LEVELS;
const _: () = assert!(ACCUMULATOR_LIMBS == api::jobs::ACCUMULATOR_LIMBS);
/// Shape of every level: one chunk proof fills its rows (261,430 of 262,117).
const LEVEL_SHAPE: AggregationShape = AggregationShape::new(18, 8);
/// Shape of the top.
const TOP_SHAPE: AggregationShape = AggregationShape::new(18, 4);
/// Shape of the final circuit: few columns, many rows.
pub const FINAL_SHAPE: AggregationShape = AggregationShape::new(20, 4);

/// Why there is no final proof.
#[derive(Debug, thiserror::Error)]
pub enum AggregateError {
    /// There is no usable reference string.
    #[error(transparent)]
    String(#[from] SrsError),
    /// There are no keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The keys cannot be described: a mistake of ours.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The proofs do not fit together.
    #[error(transparent)]
    Statement(#[from] AggregationError),
    /// halo2 made no proof.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The independent verifier refuses what was made: an inner proof is false.
    #[error("the proof of {stage} does not hold: {reason}; verify the inner proofs one by one")]
    Refused {
        /// Which circuit.
        stage: &'static str,
        /// The verifier's word.
        reason: String,
    },
    /// Strings are made by ceremonies or for development.
    #[error("proofs are aggregated under a ceremony's or the development string, not an {0} one")]
    InvalidKind(StringKind),
    /// More or fewer chunks than a tree has places for.
    #[error("a batch has 1 to {max} chunks, this one has {0}", max = CHUNKS_MAX)]
    InvalidChunks(usize),
    /// A join that the tree does not have.
    #[error("a join of {runs} at level {level}: level 0 takes one chunk, levels 1 to {max} two runs", max = LEVELS - 1)]
    InvalidJoin {
        /// Its level.
        level: usize,
        /// Runs that it would take.
        runs: usize,
    },
}

/// One circuit of the tree.
struct Stage {
    name: &'static str,
    shape: AggregationShape,
    /// Finds its proving key.
    circuit_digest: [u8; 32],
    /// How the next circuit verifies its proofs.
    protocol: Protocol,
    /// How the independent verifier does.
    key: KeyDescription,
}

/// Names of the levels' circuits, for key files and messages.
const LEVEL_NAMES: [&str; LEVELS] = ["level-0", "level-1", "level-2", "level-3"];

/// What a batch is proven by.
#[derive(Clone, Debug)]
pub struct BatchProofs {
    /// Proofs of its chunks, in order.
    pub chunks: Vec<InnerProof>,
    /// Proof of its data.
    pub data: InnerProof,
    /// The states it leads from and to.
    pub ends: BatchEnds,
}

/// What the base layer verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalProof {
    /// Limbs of the accumulator, then the thirteen public inputs (`protocol::public_inputs::PublicInputs`).
    pub instance: Vec<Fr>,
    /// SHPLONK proof under the Keccak transcript.
    pub proof: Vec<u8>,
}

impl FinalProof {
    /// The `proof` argument of the contract: the limbs as 32-byte big-endian words, then the proof.
    #[must_use]
    pub fn to_contract_bytes(&self) -> Vec<u8> {
        let limbs = self.instance.iter().take(ACCUMULATOR_LIMBS);
        let words = limbs.flat_map(|limb| {
            let mut bytes = limb.to_bytes();
            bytes.reverse();
            bytes
        });
        words.chain(self.proof.iter().copied()).collect()
    }
}

/// Keys of the whole tree.
pub struct Aggregator {
    cache: KeyCache,
    strings: Strings,
    chunk: Protocol,
    data: Protocol,
    levels: Vec<Stage>,
    top: Stage,
    last: Stage,
}

/// Where reference strings come from.
struct Strings {
    cache: StringCache,
    kind: StringKind,
}

impl Strings {
    fn get(&self, k: u32) -> Result<ReferenceString, AggregateError> {
        match self.kind {
            StringKind::InsecureDevelopment => Ok(self.cache.insecure_development(k)?),
            StringKind::PerpetualPowersOfTau => Ok(self.cache.ceremony(k)?),
            StringKind::Unattested => Err(AggregateError::InvalidKind(self.kind)),
        }
    }
}

/// Makes stages, lowest first.
struct Loader<'a> {
    cache: &'a KeyCache,
    strings: &'a Strings,
}

impl Loader<'_> {
    /// The keys of the circuit of a statement; the proofs in the statement only have the right form.
    fn stage<C: Aggregation>(
        &self,
        name: &'static str,
        shape: AggregationShape,
        transcript: TranscriptKind,
        statement: &impl Statement,
    ) -> Result<Stage, AggregateError> {
        let built: Built<C> = C::build_unchecked(shape, statement)?;
        tracing::debug!(name, needed = ?built.needed, "aggregation circuit laid out");
        let string = self.strings.get(shape.k)?;
        let Keys {
            pk, circuit_digest, ..
        } = self.cache.load_or_generate(name, &string, &built.circuit)?;
        let public_inputs = built.instance.len();
        let key = key_description(pk.get_vk(), string.params(), transcript, &[public_inputs])?;
        let protocol = inner_protocol(string.params(), pk.get_vk(), public_inputs, true);
        Ok(Stage {
            name,
            shape,
            circuit_digest,
            protocol,
            key,
        })
    }
}

impl Aggregator {
    /// Loads the keys of every circuit from `directory`, making and storing what is missing: minutes the first time.
    ///
    /// `chunk` and `data` say how proofs of the two inner circuits are verified
    /// ([`crate::Prover::inner_protocol`]).
    ///
    /// # Errors
    /// [`AggregateError`].
    pub fn load(
        directory: &Path,
        kind: StringKind,
        (chunk, data): (Protocol, Protocol),
    ) -> Result<Self, AggregateError> {
        let directory: PathBuf = directory.into();
        let cache = KeyCache::new(&directory);
        let strings = Strings {
            cache: StringCache::new(&directory),
            kind,
        };
        let loader = Loader {
            cache: &cache,
            strings: &strings,
        };
        let mut levels: Vec<Stage> = Vec::with_capacity(LEVELS);
        for name in LEVEL_NAMES {
            let (shape, transcript) = (LEVEL_SHAPE, TranscriptKind::Poseidon);
            let stage = if let Some(Stage { protocol: key, .. }) = levels.last() {
                let statement = Node {
                    key,
                    left: dummy_proof(key),
                    right: None,
                };
                loader.stage::<WideCircuit>(name, shape, transcript, &statement)
            } else {
                let statement = Lone {
                    key: &chunk,
                    chunk: dummy_proof(&chunk),
                };
                loader.stage::<WideCircuit>(name, shape, transcript, &statement)
            };
            levels.push(stage?);
        }
        let roots: Vec<Protocol> = levels.iter().map(|level| level.protocol.clone()).collect();
        let statement = dummy_batch(&roots, &data);
        let transcript = TranscriptKind::Poseidon;
        let top = loader.stage::<WideCircuit>("top", TOP_SHAPE, transcript, &statement)?;
        let statement = Final {
            key: &top.protocol,
            top: dummy_proof(&top.protocol),
            prover_id: L1Address([0; 20]),
        };
        let transcript = TranscriptKind::Keccak;
        let last = loader.stage::<ThinCircuit>("final", FINAL_SHAPE, transcript, &statement)?;
        Ok(Self {
            cache,
            strings,
            chunk,
            data,
            levels,
            top,
            last,
        })
    }

    /// The key that the base layer verifies final proofs with.
    #[must_use]
    pub fn final_key(&self) -> &KeyDescription {
        &self.last.key
    }

    /// Every circuit's name and the description of its key: the levels, lowest first, the top, the final one.
    pub fn keys(&self) -> impl Iterator<Item = (&'static str, &KeyDescription)> {
        let stages = self.levels.iter().chain([&self.top, &self.last]);
        stages.map(|stage| (stage.name, &stage.key))
    }

    /// Joins two neighbours on a level, or takes one alone to it; level 0 takes a chunk's proof, alone.
    ///
    /// # Errors
    /// [`AggregateError`].
    pub fn join(
        &self,
        level: usize,
        left: InnerProof,
        right: Option<InnerProof>,
        progress: ProgressSink<'_>,
    ) -> Result<InnerProof, AggregateError> {
        let runs = 1 + usize::from(right.is_some());
        let invalid = AggregateError::InvalidJoin { level, runs };
        let Some(stage) = self.levels.get(level) else {
            return Err(invalid);
        };
        match (
            level
                .checked_sub(1)
                .and_then(|below| self.levels.get(below)),
            right,
        ) {
            (Some(Stage { protocol: key, .. }), right) => {
                let node = Node { key, left, right };
                self.prove::<WideCircuit>(stage, &node, progress)
            }
            (None, None) => {
                let (key, chunk) = (&self.chunk, left);
                self.prove::<WideCircuit>(stage, &Lone { key, chunk }, progress)
            }
            (None, Some(_)) => Err(invalid),
        }
    }

    /// Makes a batch of a root and the data.
    ///
    /// # Errors
    /// [`AggregateError`].
    pub fn close(
        &self,
        level: usize,
        root: InnerProof,
        data: InnerProof,
        ends: BatchEnds,
        progress: ProgressSink<'_>,
    ) -> Result<InnerProof, AggregateError> {
        let roots: Vec<Protocol> = self
            .levels
            .iter()
            .map(|level| level.protocol.clone())
            .collect();
        let top = Top {
            root_keys: &roots,
            root_kind: level,
            root,
            data_key: &self.data,
            data,
            ends,
        };
        self.prove::<WideCircuit>(&self.top, &top, progress)
    }

    /// Makes the final proof of a batch.
    ///
    /// # Errors
    /// [`AggregateError`].
    pub fn finish(
        &self,
        top: InnerProof,
        prover_id: L1Address,
        progress: ProgressSink<'_>,
    ) -> Result<FinalProof, AggregateError> {
        let statement = Final {
            key: &self.top.protocol,
            top,
            prover_id,
        };
        let InnerProof { instance, proof } =
            self.prove::<ThinCircuit>(&self.last, &statement, progress)?;
        Ok(FinalProof { instance, proof })
    }

    /// All of it, one proof after the other. `progress` hears of each proof from 0 to 100.
    ///
    /// # Errors
    /// [`AggregateError`].
    pub fn aggregate(
        &self,
        batch: BatchProofs,
        prover_id: L1Address,
        progress: ProgressSink<'_>,
    ) -> Result<FinalProof, AggregateError> {
        let BatchProofs { chunks, data, ends } = batch;
        if chunks.is_empty() || chunks.len() > CHUNKS_MAX {
            return Err(AggregateError::InvalidChunks(chunks.len()));
        }
        let (mut runs, mut level) = (chunks, 0);
        let root = loop {
            let mut next = Vec::with_capacity(runs.len());
            let mut below = runs.into_iter();
            while let Some(left) = below.next() {
                let is_lone = join_width(level) == 1;
                let right = if is_lone { None } else { below.next() };
                next.push(self.join(level, left, right, progress)?);
            }
            match <[InnerProof; 1]>::try_from(next) {
                Ok([root]) => break root,
                Err(several) => runs = several,
            }
            level += 1;
        };
        let top = self.close(level, root, data, ends, progress)?;
        self.finish(top, prover_id, progress)
    }

    fn prove<C: Aggregation>(
        &self,
        stage: &Stage,
        statement: &impl Statement,
        progress: ProgressSink<'_>,
    ) -> Result<InnerProof, AggregateError> {
        progress(Progress {
            phase: Phase::Keys,
            percent: Phase::Keys.percent_at_start(),
        });
        let string = self.strings.get(stage.shape.k)?;
        let (name, shape, digest) = (stage.name, stage.shape, stage.circuit_digest);
        // reading a key and laying a circuit out take one core each
        let (stored, built) = std::thread::scope(|scope| {
            let load = || self.cache.load::<C>(name, &string, digest, shape.params());
            let stored = scope.spawn(load);
            let built = C::build(shape, statement);
            (stored.join(), built)
        });
        let Built {
            circuit, instance, ..
        } = built?;
        let pk = match stored {
            Ok(Ok(pk)) => pk,
            Ok(Err(_)) => self.cache.load_or_generate(name, &string, &circuit)?.pk,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let transcript = stage.key.parts().transcript;
        let (params, columns) = (string.params(), [&instance[..]]);
        let proof =
            proof::prove_with(transcript, params, &pk, &circuit, &columns, OsRng, progress)?;
        let native = instance.iter().copied().map(to_native).collect();
        verify_accumulating(&stage.key, &[native], &proof).map_err(|error| {
            AggregateError::Refused {
                stage: stage.name,
                reason: error.to_string(),
            }
        })?;
        progress(Progress {
            phase: Phase::Verifying,
            percent: 100,
        });
        Ok(InnerProof { instance, proof })
    }
}

/// A batch whose proofs only have the right form.
fn dummy_batch<'a>(roots: &'a [Protocol], data_key: &'a Protocol) -> Top<'a> {
    let start = Threaded::batch_start(protocol::Fr::from(0_u64), 0, Height(0), 0);
    let ends = BatchEnds {
        number: BatchNumber(0),
        start,
        end: start,
    };
    let mut root = dummy_proof(&roots[0]);
    let digest = to_circuit(start.digest());
    root.instance[ACCUMULATOR_LIMBS + instance::chunk::DIGEST_BEFORE] = digest;
    root.instance[ACCUMULATOR_LIMBS + instance::chunk::DIGEST_AFTER] = digest;
    let mut data = dummy_proof(data_key);
    data.instance[instance::data::H] = to_circuit(start.h);
    data.instance[instance::data::WORD_COUNTS] = to_circuit(WordCounts::default().to_field());
    Top {
        root_keys: roots,
        root_kind: 0,
        root,
        data_key,
        data,
        ends,
    }
}
