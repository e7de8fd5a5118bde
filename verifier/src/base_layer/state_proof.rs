//! An account and slots of its storage under a state root (the answer of `eth_getProof`), and its check.
//!
//! Invariant: what `verify` accepts follows from the root alone; absent accounts and empty slots are proven
//! absent. No knowledge of who made the proof, and no belief in the root: that is for whoever calls.
//!
//! Source: EIP-1186; yellow paper, appendix D.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};

/// One slot with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotProof {
    /// The slot, big endian.
    pub slot: B256,
    /// What it holds; zero when it is absent.
    pub value: U256,
    /// RLP nodes from the account's storage root to the slot.
    pub nodes: Vec<Bytes>,
}

/// An account with its path, and slots with theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    /// Whose account.
    pub address: Address,
    /// What the state holds of it; the empty account when it is absent.
    pub account: TrieAccount,
    /// RLP nodes from the state root to the account.
    pub nodes: Vec<Bytes>,
    /// The slots, in the order they were asked for.
    pub slots: Vec<SlotProof>,
}

/// Where a proof breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The path to the account.
    #[error("account {address} is not proven under state root {state_root}: {reason}")]
    Account {
        /// Whose account.
        address: Address,
        /// The root.
        state_root: B256,
        /// What the trie's check says.
        reason: String,
    },
    /// The path to a slot.
    #[error("slot {slot} is not proven under storage root {storage_root}: {reason}")]
    Slot {
        /// The slot.
        slot: B256,
        /// The account's storage root.
        storage_root: B256,
        /// What the trie's check says.
        reason: String,
    },
}

/// The account of an address that nobody has touched.
#[must_use]
pub fn absent_account() -> TrieAccount {
    TrieAccount {
        nonce: 0,
        balance: U256::ZERO,
        storage_root: EMPTY_ROOT_HASH,
        code_hash: KECCAK256_EMPTY,
    }
}

impl StateProof {
    /// Does all of it follow from the state root?
    ///
    /// # Errors
    /// The first path that does not hold.
    pub fn verify(&self, state_root: B256) -> Result<(), ProofError> {
        // Since EIP-161 no empty account is in the state, so the empty one is an absent one.
        let present = self.account != absent_account();
        let value = present.then(|| alloy_rlp::encode(self.account));
        let key = Nibbles::unpack(keccak256(self.address));
        verify_proof(state_root, key, value, &self.nodes).map_err(|error| ProofError::Account {
            address: self.address,
            state_root,
            reason: error.to_string(),
        })?;
        let storage_root = self.account.storage_root;
        self.slots
            .iter()
            .try_for_each(|slot| slot.verify(storage_root))
    }
}

impl SlotProof {
    /// Does the slot's value follow from the account's storage root?
    ///
    /// # Errors
    /// [`ProofError::Slot`] when it does not.
    pub fn verify(&self, storage_root: B256) -> Result<(), ProofError> {
        let value = (!self.value.is_zero()).then(|| alloy_rlp::encode(self.value));
        let key = Nibbles::unpack(keccak256(self.slot));
        verify_proof(storage_root, key, value, &self.nodes).map_err(|error| ProofError::Slot {
            slot: self.slot,
            storage_root,
            reason: error.to_string(),
        })
    }
}
