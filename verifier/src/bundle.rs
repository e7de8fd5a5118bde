//! The batch bundle: one file that an auditor verifies with no node, no network and no reference string.
//!
//! Its outside is [`crate::container`]'s, with the magic "QRBUNDLE". The body holds the words a batch published, the
//! threaded state between its chunks, one proof per chunk and one over the data, and descriptions of the two keys. It
//! is believed only as far as it matches what the reader already trusts: the digests of the keys (which cover
//! `[s]_2`) and the hash of the parameters come from [`crate::golden`] or from the reader's genesis, never from the
//! file.
//!
//! What is proven: these words, executed under the protocol's rules from `root_before`, lead to `root_after`
//! (`protocol.md`, "Public inputs"). What is not: that the base layer committed to them, or that the state before
//! is the chain's; a bundle of batch 1 is compared with genesis when the reader has it.

use ark_bn254::Fr;
use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    account::L1Address,
    genesis::{DEVELOPMENT_CHAIN_IDS, Genesis},
    number::BatchNumber,
    params::{CIRCUIT_VERSION, params_hash},
    public_inputs::data_challenge,
    threaded::Threaded,
    transaction::Domain,
    words::{WordCounts, Words, evaluate},
};

use crate::{
    container::{Container, FileError},
    golden::{CircuitName, GoldenKey},
    key::KeyDescription,
    plonk::{PlonkError, verify_plonk},
};

/// First bytes of every bundle.
pub const MAGIC: [u8; 8] = *b"QRBUNDLE";
/// Version of the layout.
pub const FORMAT_VERSION: u32 = 1;
/// Largest bundle that is read, in bytes: several times the largest honest one.
pub const BUNDLE_BYTES_MAX: usize = 64 << 20;

/// The container of bundles.
pub const BUNDLE: Container = Container {
    magic: MAGIC,
    version: FORMAT_VERSION,
    bytes_max: BUNDLE_BYTES_MAX,
    noun: "bundle",
};

/// One chunk: the threaded state it ends in, and its proof.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkProof {
    /// State after the chunk; its digest is a public input of this proof and of the next.
    pub after: Threaded,
    /// SHPLONK proof under the Poseidon transcript.
    pub proof: Vec<u8>,
}

/// What a bundle holds. Nothing of it is believed before [`Bundle::verify`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Bundle {
    /// Chain id the batch belongs to.
    pub chain_id: u64,
    /// Address of the Rollup contract.
    pub rollup: L1Address,
    /// Version of the circuits.
    pub circuit_version: u64,
    /// Position of the batch.
    pub batch_number: BatchNumber,
    /// Threaded state before the first chunk.
    pub start: Threaded,
    /// What the batch published.
    pub words: Words,
    /// Chunks in order, at least one.
    pub chunks: Vec<ChunkProof>,
    /// Proof of the data circuit.
    pub data_proof: Vec<u8>,
    /// Encoded description of the chunk circuit's key.
    pub chunk_key: Vec<u8>,
    /// Encoded description of the data circuit's key.
    pub data_key: Vec<u8>,
}

/// What the reader trusts beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// Accepted keys; [`crate::golden::keys`] for the binary's own list.
    pub keys: &'a [GoldenKey],
    /// The reader's genesis: fixes the domain, and for batch 1 the state before.
    pub genesis: Option<&'a Genesis>,
    /// Whether a development reference string is tolerated, on a development chain.
    pub development: bool,
}

impl Trust<'_> {
    /// Tolerates a development reference string on this chain, or says why not.
    pub(crate) fn check_development(&self, chain_id: u64) -> Result<(), BundleError> {
        let is_development_chain = DEVELOPMENT_CHAIN_IDS.contains(&chain_id)
            && self.genesis.is_none_or(Genesis::is_development);
        if !is_development_chain {
            return Err(BundleError::Insecure("refused outside a development chain"));
        }
        if !self.development {
            return Err(BundleError::Insecure(
                "pass --dev to accept it on a development chain",
            ));
        }
        Ok(())
    }

    /// Where the reader's genesis starts a batch, if it is the first and the reader has a genesis.
    pub(crate) fn genesis_start(&self, batch: BatchNumber) -> Option<Threaded> {
        let genesis = self.genesis.filter(|_| batch == BatchNumber(1))?;
        let (state, tip) = (genesis.state(), genesis.tip());
        Some(Threaded::batch_start(
            state.root(),
            state.leaf_count(),
            tip.height,
            tip.inbox_count,
        ))
    }

    /// The domain of the reader's genesis, or of the chain id, contract and circuit version that a file names, under the
    /// golden parameters.
    pub(crate) fn domain(
        &self,
        (chain_id, rollup, circuit_version): (u64, L1Address, u64),
        reference_string: &str,
    ) -> Result<Domain, BundleError> {
        let Some(genesis) = self.genesis else {
            let hash = params_hash(reference_string);
            return Ok(Domain::new(chain_id, rollup, hash, circuit_version));
        };
        if (genesis.chain_id, genesis.rollup) != (chain_id, rollup) {
            return Err(BundleError::Invalid(
                "the batch belongs to another chain or contract than genesis".to_owned(),
            ));
        }
        if genesis.reference_string != reference_string {
            return Err(BundleError::Invalid(
                "the keys' reference string is not the one genesis names".to_owned(),
            ));
        }
        Ok(genesis.domain())
    }
}

/// Why a bundle is not accepted, grouped by exit code of `quorate verify`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes are not a bundle, or were damaged. Exit code 4.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// Another format or circuit version. Exit code 5.
    #[error("incompatible version: {0}")]
    Version(String),
    /// A well-formed bundle whose statement is not proven. Exit code 1.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Proven only relative to a reference string whose secret is public. Exit code 1.
    #[error("INSECURE development reference string: anybody can forge these proofs; {0}")]
    Insecure(&'static str),
}

impl From<FileError> for BundleError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Corrupt(what) => Self::Corrupt(what),
            FileError::Version(what) => Self::Version(what),
            FileError::Invalid(what) => Self::Invalid(what),
        }
    }
}

impl BundleError {
    /// Exit code of `quorate verify`.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid(_) | Self::Insecure(_) => 1,
            Self::Corrupt(_) => 4,
            Self::Version(_) => 5,
        }
    }
}

/// What was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBatch {
    /// Chain id that the domain binds.
    pub chain_id: u64,
    /// Rollup contract that the domain binds.
    pub rollup: L1Address,
    /// Domain of the chain.
    pub domain: Domain,
    /// Position of the batch.
    pub batch_number: BatchNumber,
    /// Threaded state before.
    pub start: Threaded,
    /// Threaded state after.
    pub end: Threaded,
    /// Number of chunk proofs.
    pub chunks: usize,
    /// Bytes of all proofs.
    pub proof_bytes: usize,
    /// Bytes of all words.
    pub published_bytes: usize,
    /// Whether a development reference string was tolerated.
    pub is_insecure: bool,
    /// Whether the state before was compared with the reader's genesis.
    pub is_anchored_in_genesis: bool,
}

impl Bundle {
    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        BUNDLE.encode(self)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] or [`BundleError::Version`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        Ok(BUNDLE.decode(bytes)?)
    }

    /// Accepts the batch, or says why not.
    ///
    /// # Errors
    /// [`BundleError::Version`], [`BundleError::Insecure`], [`BundleError::Corrupt`] for an undecodable key, else
    /// [`BundleError::Invalid`].
    pub fn verify(&self, trust: &Trust<'_>) -> Result<VerifiedBatch, BundleError> {
        let invalid = |what: &str| BundleError::Invalid(what.to_owned());
        if self.circuit_version != CIRCUIT_VERSION {
            return Err(BundleError::Version(format!(
                "circuits {}, this program knows {CIRCUIT_VERSION}",
                self.circuit_version
            )));
        }
        let (chunk_key, chunk_golden) =
            accepted_key(&self.chunk_key, CircuitName::Chunk, trust.keys)?;
        let (data_key, data_golden) = accepted_key(&self.data_key, CircuitName::Data, trust.keys)?;
        if chunk_golden.reference_string != data_golden.reference_string {
            return Err(invalid(
                "the two keys belong to different reference strings",
            ));
        }
        let is_insecure = chunk_golden.is_insecure || data_golden.is_insecure;
        if is_insecure {
            trust.check_development(self.chain_id)?;
        }
        let chain = (self.chain_id, self.rollup, self.circuit_version);
        let domain = trust.domain(chain, &chunk_golden.reference_string)?;
        let end = self.check_ends()?;
        let is_anchored_in_genesis = self.check_genesis(trust)?;

        let mut before = self.start.digest();
        for (place, chunk) in self.chunks.iter().enumerate() {
            let after = chunk.after.digest();
            verify_plonk(&chunk_key, &[vec![domain.0, before, after]], &chunk.proof)
                .map_err(|error| refused(&format!("chunk {place}"), &error))?;
            before = after;
        }
        let instance = self.data_instance(&domain, &end)?;
        verify_plonk(&data_key, &[instance], &self.data_proof)
            .map_err(|error| refused("data", &error))?;
        let proof_bytes = self
            .chunks
            .iter()
            .map(|chunk| chunk.proof.len())
            .sum::<usize>()
            + self.data_proof.len();
        Ok(VerifiedBatch {
            chain_id: self.chain_id,
            rollup: self.rollup,
            domain,
            batch_number: self.batch_number,
            start: self.start,
            end,
            chunks: self.chunks.len(),
            proof_bytes,
            published_bytes: self.words.len_bytes(),
            is_insecure,
            is_anchored_in_genesis,
        })
    }

    /// The fixed ends of a batch (what the top circuit will fix once proofs are aggregated).
    fn check_ends(&self) -> Result<Threaded, BundleError> {
        let invalid = |what: &str| Err(BundleError::Invalid(what.to_owned()));
        let Some(last) = self.chunks.last() else {
            return invalid("it holds no chunk proof");
        };
        if !self.start.is_batch_start() {
            return invalid("the first chunk does not start as a batch must");
        }
        if !last.after.is_batch_end() {
            return invalid("a group or a promised bid is open at the end");
        }
        // The digest packs four counts of 64 bits into one field element of 254, so numbers of the same residue would
        // be a second spelling of a state. The end's counts are those of the words; no other spelling stays below them.
        let end = last.after.counts;
        let is_within = |counts: &WordCounts| {
            counts.ops <= end.ops
                && counts.withdrawals <= end.withdrawals
                && counts.inbox <= end.inbox
                && counts.signed_operations <= end.signed_operations
        };
        if !self
            .chunks
            .iter()
            .all(|chunk| is_within(&chunk.after.counts))
        {
            return invalid("a chunk counts more than the batch");
        }
        Ok(last.after)
    }

    fn check_genesis(&self, trust: &Trust<'_>) -> Result<bool, BundleError> {
        match trust.genesis_start(self.batch_number) {
            None => Ok(false),
            Some(start) if start == self.start => Ok(true),
            Some(_) => Err(other_start()),
        }
    }

    /// Recomputes z and the three evaluations from the words; h comes from the last chunk's digest.
    fn data_instance(&self, domain: &Domain, end: &Threaded) -> Result<Vec<Fr>, BundleError> {
        let words = &self.words;
        let length =
            |sequence: &[protocol::words::Word]| u64::try_from(sequence.len()).unwrap_or(u64::MAX);
        let counts = WordCounts {
            ops: length(&words.ops),
            withdrawals: length(&words.withdrawals),
            inbox: length(&words.inbox),
            signed_operations: end.counts.signed_operations,
        };
        if counts != end.counts {
            return Err(BundleError::Invalid(
                "the number of words differs from the proven count".to_owned(),
            ));
        }
        let z = data_challenge(domain, self.batch_number, &end.h, &counts, words);
        Ok(vec![
            end.h,
            z,
            evaluate(&words.ops, &z),
            evaluate(&words.withdrawals, &z),
            evaluate(&words.inbox, &z),
            WordCounts {
                signed_operations: 0,
                ..counts
            }
            .to_field(),
        ])
    }
}

/// Batch 1 begins elsewhere.
pub(crate) fn other_start() -> BundleError {
    BundleError::Invalid("batch 1 does not start from the state of genesis".to_owned())
}

fn refused(what: &str, error: &PlonkError) -> BundleError {
    BundleError::Invalid(format!("the {what} proof is refused: {error}"))
}

/// Decodes a key and looks its digest up among the accepted ones.
fn accepted_key<'a>(
    bytes: &[u8],
    circuit: CircuitName,
    keys: &'a [GoldenKey],
) -> Result<(KeyDescription, &'a GoldenKey), BundleError> {
    let key = KeyDescription::decode(bytes)
        .map_err(|error| BundleError::Corrupt(format!("{circuit} key: {error}")))?;
    let digest = key.digest();
    let golden = keys
        .iter()
        .find(|golden| golden.circuit == circuit && golden.digest == digest)
        .ok_or_else(|| {
            BundleError::Invalid(format!("the {circuit} key is not one this program accepts"))
        })?;
    Ok((key, golden))
}

#[cfg(test)]
mod tests {
    use protocol::number::Height;

    use super::*;

    fn bundle() -> Bundle {
        let start = Threaded::batch_start(Fr::from(1_u64), 1, Height(0), 0);
        Bundle {
            chain_id: 31_337,
            rollup: L1Address([1; 20]),
            circuit_version: CIRCUIT_VERSION,
            batch_number: BatchNumber(1),
            start,
            words: Words::default(),
            chunks: vec![ChunkProof {
                after: start,
                proof: vec![1; 40],
            }],
            data_proof: vec![2; 40],
            chunk_key: vec![3; 40],
            data_key: vec![4; 40],
        }
    }

    #[test]
    fn bundles_round_trip_and_every_flipped_byte_is_seen() {
        let bytes = bundle().encode();
        assert_eq!(Bundle::decode(&bytes), Ok(bundle()));
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            let error = Bundle::decode(&damaged).unwrap_err();
            let expected = if (8..12).contains(&place) { 5 } else { 4 };
            assert_eq!(error.exit_code(), expected, "byte {place}");
        }
        for length in 0..bytes.len() {
            assert!(Bundle::decode(&bytes[..length]).is_err());
        }
        assert!(Bundle::decode(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn unknown_key_and_circuit_version_are_refused() {
        let trust = Trust {
            keys: &[],
            genesis: None,
            development: true,
        };
        assert_eq!(
            bundle().verify(&trust).unwrap_err().exit_code(),
            4,
            "the key does not decode"
        );
        let other = Bundle {
            circuit_version: CIRCUIT_VERSION + 1,
            ..bundle()
        };
        assert_eq!(other.verify(&trust).unwrap_err().exit_code(), 5);
    }
}
