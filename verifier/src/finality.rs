//! The finality bundle: one file that shows offline what the base layer holds of a batch, and what is in the batch.
//!
//! Its outside is [`crate::container`]'s, with the magic "QRFINAL1". The body holds the public inputs of the batch's final
//! proof, that proof as the contract took it, the words, a header of the base layer, and the Rollup's account and two of its
//! slots under that header's state root. The reader brings what is believed beforehand: the accepted keys and the genesis
//! ([`Trust`]), and the hash of a base-layer block.
//!
//! What is proven: the words follow from a valid execution from `root_before` to `root_after` (the SNARK); the Rollup at this
//! address stores the hash of exactly this batch and counts it among its proven ones (the storage proof, under the header);
//! and, if a slot is named, what the operation there does. What is not: that the block is final, and that the code at the
//! address is the Rollup's.
//!
//! Source: `settlement.md`, "Finality is believed only when the base layer's consensus says so"; slots: docs/contracts.md.

mod storage;

use alloy_primitives::{B256, U256};
use ark_bn254::Fr;
use ark_ff::PrimeField;
use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    account::L1Address,
    codec::field_from_be_bytes,
    params::CIRCUIT_VERSION,
    public_inputs::{PublicInputs, data_challenge},
    rebuild::{PublishedOperation, published_at},
    withdrawal::WithdrawalTree,
    words::{WordCounts, Words, evaluate},
};

use crate::{
    accumulator::LIMB_COUNT,
    base_layer::BlockHeader,
    bundle::{BundleError, Trust, other_start},
    container::Container,
    golden,
    key::KeyDescription,
    plonk::verify_accumulating,
};

pub use storage::{AccountEvidence, RollupMode, batch_hash_slot, stored_batch_hash};

/// First bytes of every finality bundle.
pub const MAGIC: [u8; 8] = *b"QRFINAL1";
/// Version of the layout.
pub const FORMAT_VERSION: u32 = 1;
/// Largest file that is read, in bytes: words fit a transaction of the base layer, and a storage proof is a few KiB.
pub const FINALITY_BYTES_MAX: usize = 4 << 20;
/// Bytes of a limb as the contract takes it.
const WORD: usize = 32;

/// The container of finality bundles.
pub const FINALITY: Container = Container {
    magic: MAGIC,
    version: FORMAT_VERSION,
    bytes_max: FINALITY_BYTES_MAX,
    noun: "finality bundle",
};

/// What a finality bundle holds. Nothing of it is believed before [`FinalityBundle::verify`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FinalityBundle {
    /// Chain id the batch belongs to.
    pub chain_id: u64,
    /// Address of the Rollup contract.
    pub rollup: L1Address,
    /// Version of the circuits.
    pub circuit_version: u64,
    /// Name of the reference string, as genesis names it.
    pub reference_string: String,
    /// What the final proof states.
    pub inputs: PublicInputs,
    /// What the batch published.
    pub words: Words,
    /// Time of the base layer at which the batch was committed, in Unix seconds.
    pub commit_time: u64,
    /// The final proof as the contract took it: the limbs of the accumulator, 32 bytes big-endian each, then the proof.
    pub proof: Vec<u8>,
    /// RLP of a header of the base layer.
    pub header: Vec<u8>,
    /// The Rollup under that header's state root.
    pub account: AccountEvidence,
    /// The slot of an operation that the file is about, counted from 0, two to a pair.
    pub slot: Option<u64>,
}

/// What a valid finality bundle shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedFinality {
    /// What was proven and stored.
    pub inputs: PublicInputs,
    /// Counts of words and signed operations.
    pub counts: WordCounts,
    /// Digest of the final circuit's key description.
    pub key_digest: [u8; 32],
    /// Whether the key's reference string has a public secret.
    pub is_insecure: bool,
    /// Whether the batch starts from the reader's genesis.
    pub is_anchored_in_genesis: bool,
    /// The block under which the Rollup was looked at.
    pub block: BlockHeader,
    /// Whether its hash is the one that the reader trusts.
    pub is_block_trusted: bool,
    /// Batches that the Rollup counts as proven there.
    pub proven_count: u64,
    /// Mode of the Rollup there.
    pub mode: RollupMode,
    /// Hash of the code at the Rollup's address.
    pub code_hash: B256,
    /// The slot that the file is about, and what the operation there does.
    pub operation: Option<(u64, PublishedOperation)>,
}

impl FinalityBundle {
    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        FINALITY.encode(self)
    }

    /// Reads a file; decodes only.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] or [`BundleError::Version`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        Ok(FINALITY.decode(bytes)?)
    }

    /// Accepts the batch, or says why not. `trusted_block` is the hash of the base-layer block that the reader trusts;
    /// without one the header is only read.
    ///
    /// # Errors
    /// [`BundleError::Version`], [`BundleError::Insecure`], [`BundleError::Corrupt`] for bytes that are no header, else
    /// [`BundleError::Invalid`].
    pub fn verify(
        &self,
        trust: &Trust<'_>,
        trusted_block: Option<B256>,
    ) -> Result<VerifiedFinality, BundleError> {
        if self.circuit_version != CIRCUIT_VERSION {
            return Err(BundleError::Version(format!(
                "circuits {}, this program knows {CIRCUIT_VERSION}",
                self.circuit_version
            )));
        }
        let (key, is_insecure) = self.key(trust)?;
        if is_insecure {
            trust.check_development(self.chain_id)?;
        }
        let chain = (self.chain_id, self.rollup, self.circuit_version);
        let domain = trust.domain(chain, &self.reference_string)?;
        if domain != self.inputs.domain {
            return Err(invalid("its public inputs are of another chain"));
        }
        let counts = self.check_words()?;
        self.check_proof(&key)?;
        let is_anchored_in_genesis = self.check_genesis(trust)?;

        let block = BlockHeader::decode(&self.header)
            .map_err(|error| BundleError::Corrupt(error.to_string()))?;
        if let Some(trusted) = trusted_block.filter(|trusted| *trusted != block.hash) {
            return Err(BundleError::Invalid(format!(
                "its header is that of block {} with the hash {}, not of the trusted block {trusted}",
                block.number, block.hash
            )));
        }
        let stored = self.stored_hash()?;
        let number = self.inputs.batch_number;
        let rollup = self
            .account
            .verify(self.rollup, number, stored, block.state_root)?;
        let operation = match self.slot {
            None => None,
            Some(slot) => {
                let found = published_at(&self.words, slot);
                Some((
                    slot,
                    found.map_err(|error| BundleError::Invalid(error.to_string()))?,
                ))
            }
        };
        Ok(VerifiedFinality {
            inputs: self.inputs,
            counts,
            key_digest: key.digest(),
            is_insecure,
            is_anchored_in_genesis,
            block,
            is_block_trusted: trusted_block.is_some(),
            proven_count: rollup.proven_count,
            mode: rollup.mode,
            code_hash: rollup.code_hash,
            operation,
        })
    }

    /// The compiled-in key of the final circuit under the named string, and whether that string is insecure.
    fn key(&self, trust: &Trust<'_>) -> Result<(KeyDescription, bool), BundleError> {
        let name = &self.reference_string;
        let unknown = || {
            BundleError::Invalid(format!(
                "this program has no final key for the reference string {name:?}"
            ))
        };
        let mut known = trust.keys.iter();
        let golden = known
            .find(|key| key.reference_string == *name)
            .ok_or_else(unknown)?;
        let [.., last] = golden::aggregation(name).ok_or_else(unknown)?;
        let key = KeyDescription::decode(last)
            .map_err(|error| BundleError::Corrupt(format!("final key: {error}")))?;
        Ok((key, golden.is_insecure))
    }

    /// The words are those of the inputs: counts, challenge and evaluations.
    fn check_words(&self) -> Result<WordCounts, BundleError> {
        let (inputs, words) = (&self.inputs, &self.words);
        let length =
            |sequence: &[protocol::words::Word]| u64::try_from(sequence.len()).unwrap_or(u64::MAX);
        let [_, _, _, signed_operations] = inputs.word_counts.into_bigint().0;
        let counts = WordCounts {
            ops: length(&words.ops),
            withdrawals: length(&words.withdrawals),
            inbox: length(&words.inbox),
            signed_operations,
        };
        if counts.to_field() != inputs.word_counts {
            return Err(invalid("the number of words differs from the proven count"));
        }
        let z = data_challenge(
            &inputs.domain,
            inputs.batch_number,
            &inputs.h,
            &counts,
            words,
        );
        let evaluations =
            [&words.ops, &words.withdrawals, &words.inbox].map(|sequence| evaluate(sequence, &z));
        let stated = [inputs.y_ops, inputs.y_withdrawals, inputs.y_inbox];
        if (z, evaluations) == (inputs.z, stated) {
            Ok(counts)
        } else {
            Err(invalid("the words are not those that the proof speaks of"))
        }
    }

    fn check_proof(&self, key: &KeyDescription) -> Result<(), BundleError> {
        let short = || invalid("the proof is cut off");
        let (limbs, proof) = self
            .proof
            .split_at_checked(LIMB_COUNT * WORD)
            .ok_or_else(short)?;
        let (limbs, _) = limbs.as_chunks::<WORD>();
        let limbs = limbs.iter().map(field_from_be_bytes);
        let limbs: Vec<Fr> = limbs
            .collect::<Result<_, _>>()
            .map_err(|error| BundleError::Invalid(format!("the accumulator: {error}")))?;
        let instance = [limbs.as_slice(), &self.inputs.to_fields()].concat();
        verify_accumulating(key, &[instance], proof)
            .map_err(|error| BundleError::Invalid(format!("the final proof is refused: {error}")))
    }

    fn check_genesis(&self, trust: &Trust<'_>) -> Result<bool, BundleError> {
        let Some(start) = trust.genesis_start(self.inputs.batch_number) else {
            return Ok(false);
        };
        let stated = (self.inputs.root_before, self.inputs.counters_before);
        if stated == (start.root, start.counters()) {
            Ok(true)
        } else {
            Err(other_start())
        }
    }

    /// What the Rollup must hold for this batch.
    fn stored_hash(&self) -> Result<U256, BundleError> {
        let tree = WithdrawalTree::new(self.inputs.batch_number, &self.words.withdrawals);
        let tree = tree.ok_or_else(|| invalid("the number of withdrawal words is odd"))?;
        let hash = stored_batch_hash(
            &self.inputs,
            tree.root(),
            self.commit_time,
            self.circuit_version,
        );
        Ok(U256::from_be_bytes(hash))
    }
}

fn invalid(what: &str) -> BundleError {
    BundleError::Invalid(what.to_owned())
}
