//! The Rollup's storage: what it holds of a batch, and the proof that it does.
//!
//! Slot 0 is `mode | provenCount << 8 | committedCount << 72 | waitingSince << 136`, mode in the lowest byte; slot 5 is the
//! mapping from batch number to the hash of what was stored. A batch above `provenCount` may still be pruned, so only
//! proven ones count. Source: contracts/src/Rollup.sol, Batch.sol.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::TrieAccount;
use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    account::L1Address,
    codec::{abi_word, field_to_be_bytes},
    hash::keccak256,
    number::BatchNumber,
    public_inputs::PublicInputs,
};

use crate::{
    base_layer::{SlotProof, StateProof},
    bundle::BundleError,
};

/// Slot of mode and counts.
const COUNTS_SLOT: u128 = 0;
/// Slot of the mapping of batch hashes.
const BATCH_HASH_SLOT: u128 = 5;

/// How the Rollup takes batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollupMode {
    /// With certificates.
    Active,
    /// From anyone who proves at once.
    Enforced,
    /// No more; everybody exits.
    Desert,
}

/// An account of the base layer with its path, and the two slots with theirs. Nodes are RLP, from the root down.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AccountEvidence {
    /// Transactions sent or contracts created.
    pub nonce: u64,
    /// Wei, big-endian.
    pub balance: [u8; 32],
    /// Root of the account's storage.
    pub storage_root: [u8; 32],
    /// keccak256 of its code.
    pub code_hash: [u8; 32],
    /// From the state root to the account.
    pub nodes: Vec<Vec<u8>>,
    /// What slot 0 holds, big-endian.
    pub counts: [u8; 32],
    /// From the storage root to slot 0.
    pub counts_nodes: Vec<Vec<u8>>,
    /// From the storage root to the batch's slot.
    pub batch_nodes: Vec<Vec<u8>>,
}

/// What slot 0 says, and whose code it is.
pub(super) struct RollupSeen {
    pub(super) proven_count: u64,
    pub(super) mode: RollupMode,
    pub(super) code_hash: B256,
}

/// The slot that holds the hash of a batch.
#[must_use]
pub fn batch_hash_slot(number: BatchNumber) -> [u8; 32] {
    let key = [abi_word(u128::from(number.0)), abi_word(BATCH_HASH_SLOT)];
    keccak256(key.as_flattened())
}

/// `keccak256(abi.encode(StoredBatch))`: all public inputs but the prover's, then what claiming and proving need.
#[must_use]
pub fn stored_batch_hash(
    inputs: &PublicInputs,
    withdrawal_root: [u8; 32],
    commit_time: u64,
    circuit_version: u64,
) -> [u8; 32] {
    let [stated @ .., _prover] = inputs.to_fields();
    let mut words = stated.map(|field| field_to_be_bytes(&field)).to_vec();
    words.extend([
        withdrawal_root,
        abi_word(u128::from(commit_time)),
        abi_word(u128::from(circuit_version)),
    ]);
    keccak256(words.as_flattened())
}

fn to_bytes(nodes: &[Bytes]) -> Vec<Vec<u8>> {
    nodes.iter().map(|node| node.to_vec()).collect()
}

fn from_bytes(nodes: &[Vec<u8>]) -> Vec<Bytes> {
    nodes.iter().cloned().map(Bytes::from).collect()
}

impl AccountEvidence {
    /// The slots to ask a base layer for, in the order of [`Self::new`].
    #[must_use]
    pub fn slots(number: BatchNumber) -> [B256; 2] {
        [abi_word(COUNTS_SLOT), batch_hash_slot(number)].map(B256::from)
    }

    /// From the answer to `eth_getProof` for [`Self::slots`]; none if it is about other slots.
    #[must_use]
    pub fn new(proof: &StateProof, number: BatchNumber) -> Option<Self> {
        let [counts, batch] = proof.slots.as_slice() else {
            return None;
        };
        let account = &proof.account;
        ([counts.slot, batch.slot] == Self::slots(number)).then(|| Self {
            nonce: account.nonce,
            balance: account.balance.to_be_bytes(),
            storage_root: account.storage_root.0,
            code_hash: account.code_hash.0,
            nodes: to_bytes(&proof.nodes),
            counts: counts.value.to_be_bytes(),
            counts_nodes: to_bytes(&counts.nodes),
            batch_nodes: to_bytes(&batch.nodes),
        })
    }

    /// The contract holds this hash for the batch and has it proven, under the state root.
    pub(super) fn verify(
        &self,
        rollup: L1Address,
        number: BatchNumber,
        stored: U256,
        state_root: B256,
    ) -> Result<RollupSeen, BundleError> {
        let invalid = |what: String| BundleError::Invalid(what);
        let [counts_slot, batch_slot] = Self::slots(number);
        let counts = U256::from_be_bytes(self.counts);
        let slot = |slot, value, nodes: &[Vec<u8>]| SlotProof {
            slot,
            value,
            nodes: from_bytes(nodes),
        };
        let proof = StateProof {
            address: Address::from(rollup.0),
            account: TrieAccount {
                nonce: self.nonce,
                balance: U256::from_be_bytes(self.balance),
                storage_root: self.storage_root.into(),
                code_hash: self.code_hash.into(),
            },
            nodes: from_bytes(&self.nodes),
            slots: vec![
                slot(counts_slot, counts, &self.counts_nodes),
                slot(batch_slot, stored, &self.batch_nodes),
            ],
        };
        let proven = proof.verify(state_root);
        proven.map_err(|error| {
            invalid(format!(
                "the base layer's block does not hold this batch: {error}"
            ))
        })?;
        let [low, middle, ..] = counts.into_limbs();
        let proven_count = (low >> 8) | (middle << 56);
        if proven_count < number.0 {
            return Err(invalid(format!(
                "the Rollup counts {proven_count} proven batches, not yet batch {}",
                number.0
            )));
        }
        let mode = match low & 0xff {
            0 => RollupMode::Active,
            1 => RollupMode::Enforced,
            2 => RollupMode::Desert,
            other => return Err(invalid(format!("the Rollup cannot be in mode {other}"))),
        };
        Ok(RollupSeen {
            proven_count,
            mode,
            code_hash: self.code_hash.into(),
        })
    }
}
