//! The embedded chain's accounts, each value with its history by height, and their Merkle-Patricia tries.
//!
//! Invariants:
//! - `at(height)` reads what the state was after that block; writes go to the newest height only.
//! - `truncate(height)` undoes everything above, exactly: that is what a reorganisation is.
//! - Roots and proofs are computed from the same leaves by the same walk, so a proof holds by construction.
//!
//! A trie is built anew over the leaves of what changed, in order; nothing is cached. With 10,000 slots in
//! one contract that is some 10 ms a block, which is enough for development. It keeps all history and
//! never forgets: in-process callers only, no stranger can grow it.
//!
//! Source: yellow paper, section 4.1 and appendix D; EIP-161 (no empty accounts), EIP-6780 (only what was
//! created in the same transaction is destroyed).

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount};
use revm::bytecode::Bytecode;
use revm::state::{AccountInfo, EvmState};

use verifier::base_layer::{SlotProof, StateProof, absent_account};

/// A value with the heights at which it changed, ascending.
#[derive(Debug)]
struct Versioned<T> {
    entries: Vec<(u64, T)>,
}

impl<T> Default for Versioned<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T> Versioned<T> {
    fn at(&self, height: u64) -> Option<&T> {
        let after = self.entries.partition_point(|(from, _)| *from <= height);
        let newest = after.checked_sub(1)?;
        self.entries.get(newest).map(|(_, value)| value)
    }

    fn set(&mut self, height: u64, value: T) {
        match self.entries.last_mut() {
            Some((from, last)) if *from == height => *last = value,
            _ => self.entries.push((height, value)),
        }
    }

    fn truncate(&mut self, height: u64) {
        let keep = self.entries.partition_point(|(from, _)| *from <= height);
        self.entries.truncate(keep);
    }
}

/// One slot under the hash of its key.
#[derive(Debug, Default)]
struct Slot {
    value: Versioned<U256>,
}

/// One address under its hash.
#[derive(Debug, Default)]
struct Account {
    /// `None`: not in the state.
    leaf: Versioned<Option<TrieAccount>>,
    storage: BTreeMap<B256, Slot>,
}

impl Account {
    fn leaf_at(&self, height: u64) -> Option<&TrieAccount> {
        self.leaf.at(height).and_then(Option::as_ref)
    }

    fn slots_at(&self, height: u64) -> impl Iterator<Item = (B256, Vec<u8>)> {
        self.storage.iter().filter_map(move |(key, slot)| {
            let value = slot.value.at(height).filter(|value| !value.is_zero())?;
            Some((*key, alloy_rlp::encode(value)))
        })
    }
}

/// All accounts at all heights.
#[derive(Debug, Default)]
pub(super) struct State {
    accounts: BTreeMap<B256, Account>,
    codes: BTreeMap<B256, Bytecode>,
    /// Accounts whose storage changed since the last root.
    changed: BTreeSet<B256>,
}

impl State {
    /// The account after a block, without its code.
    pub(super) fn account(&self, address: Address, height: u64) -> Option<TrieAccount> {
        self.accounts
            .get(&keccak256(address))?
            .leaf_at(height)
            .copied()
    }

    /// The account as the EVM reads it.
    pub(super) fn info(&self, address: Address, height: u64) -> Option<AccountInfo> {
        let leaf = self.account(address, height)?;
        Some(AccountInfo {
            balance: leaf.balance,
            nonce: leaf.nonce,
            code_hash: leaf.code_hash,
            ..AccountInfo::default().without_code()
        })
    }

    /// Code by its hash; empty for a hash that no account has.
    pub(super) fn code(&self, hash: B256) -> Bytecode {
        self.codes.get(&hash).cloned().unwrap_or_default()
    }

    /// A slot after a block.
    pub(super) fn slot(&self, address: Address, slot: U256, height: u64) -> U256 {
        let key = keccak256(slot.to_be_bytes::<32>());
        self.accounts
            .get(&keccak256(address))
            .and_then(|account| account.storage.get(&key))
            .and_then(|slot| slot.value.at(height))
            .copied()
            .unwrap_or_default()
    }

    /// Gives an account its first balance.
    pub(super) fn fund(&mut self, address: Address, balance: U256) {
        let leaf = TrieAccount {
            balance,
            ..absent_account()
        };
        let account = self.accounts.entry(keccak256(address)).or_default();
        account.leaf.set(0, Some(leaf));
    }

    /// Writes what a transaction changed, as part of the block of this height.
    pub(super) fn commit(&mut self, height: u64, changes: EvmState) {
        for (address, change) in changes
            .into_iter()
            .filter(|(_, change)| change.is_touched())
        {
            let key = keccak256(address);
            let account = self.accounts.entry(key).or_default();
            // Destroyed means created by the same transaction: nothing of it was ever in the state.
            if change.is_selfdestructed() || change.is_empty() {
                account.leaf.set(height, None);
                continue;
            }
            let storage_root = account
                .leaf_at(height)
                .map_or(EMPTY_ROOT_HASH, |leaf| leaf.storage_root);
            if let Some(code) = change.info.code
                && change.info.code_hash != KECCAK256_EMPTY
            {
                self.codes.entry(change.info.code_hash).or_insert(code);
            }
            let leaf = TrieAccount {
                nonce: change.info.nonce,
                balance: change.info.balance,
                storage_root,
                code_hash: change.info.code_hash,
            };
            account.leaf.set(height, Some(leaf));
            for (slot, value) in change.storage {
                if value.is_changed() {
                    let slot = account
                        .storage
                        .entry(keccak256(slot.to_be_bytes::<32>()))
                        .or_default();
                    slot.value.set(height, value.present_value);
                    self.changed.insert(key);
                }
            }
        }
    }

    /// The state root after the block of this height, which becomes final for it.
    pub(super) fn seal(&mut self, height: u64) -> B256 {
        for key in std::mem::take(&mut self.changed) {
            let Some(account) = self.accounts.get_mut(&key) else {
                continue;
            };
            let Some(leaf) = account.leaf_at(height).copied() else {
                continue;
            };
            let storage_root = trie(account.slots_at(height), None).root();
            account.leaf.set(
                height,
                Some(TrieAccount {
                    storage_root,
                    ..leaf
                }),
            );
        }
        trie(self.leaves_at(height), None).root()
    }

    /// Forgets everything above a height.
    pub(super) fn truncate(&mut self, height: u64) {
        self.changed.clear();
        self.accounts.retain(|_, account| {
            account.leaf.truncate(height);
            account.storage.retain(|_, slot| {
                slot.value.truncate(height);
                !slot.value.entries.is_empty()
            });
            !account.leaf.entries.is_empty()
        });
    }

    /// An account and slots of it, with their paths under the state root of a sealed height.
    pub(super) fn prove(&self, height: u64, address: Address, slots: &[B256]) -> StateProof {
        let key = keccak256(address);
        let nodes = path(self.leaves_at(height), key);
        let account = self.accounts.get(&key);
        let leaf = account.and_then(|account| account.leaf_at(height)).copied();
        let prove_slot = |slot: &B256| {
            let key = keccak256(slot);
            let stored = account.filter(|_| leaf.is_some());
            SlotProof {
                slot: *slot,
                value: stored
                    .and_then(|account| account.storage.get(&key)?.value.at(height).copied())
                    .unwrap_or_default(),
                nodes: stored.map_or_else(Vec::new, |account| path(account.slots_at(height), key)),
            }
        };
        StateProof {
            address,
            account: leaf.unwrap_or_else(absent_account),
            nodes,
            slots: slots.iter().map(prove_slot).collect(),
        }
    }

    fn leaves_at(&self, height: u64) -> impl Iterator<Item = (B256, Vec<u8>)> {
        self.accounts.iter().filter_map(move |(key, account)| {
            Some((*key, alloy_rlp::encode(account.leaf_at(height)?)))
        })
    }
}

/// A trie over leaves in the order of their keys, and the nodes on the way to one of them.
fn trie(leaves: impl Iterator<Item = (B256, Vec<u8>)>, target: Option<B256>) -> HashBuilder {
    let targets = target.into_iter().map(Nibbles::unpack).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets));
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), &value);
    }
    builder
}

fn path(leaves: impl Iterator<Item = (B256, Vec<u8>)>, key: B256) -> Vec<Bytes> {
    let mut leaves = leaves.peekable();
    if leaves.peek().is_none() {
        return Vec::new();
    }
    let mut builder = trie(leaves, Some(key));
    builder.root();
    let nodes = builder.take_proof_nodes();
    let sorted = nodes.into_nodes_sorted();
    sorted.into_iter().map(|(_, node)| node).collect()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    #[test]
    fn values_are_read_at_every_height_and_undone() {
        let mut value = Versioned::default();
        value.set(2, 'a');
        value.set(5, 'b');
        value.set(5, 'c');
        assert_eq!(value.at(1), None);
        assert_eq!(value.at(2), Some(&'a'));
        assert_eq!(value.at(4), Some(&'a'));
        assert_eq!(value.at(9), Some(&'c'));
        value.truncate(4);
        assert_eq!(value.at(9), Some(&'a'));
        value.truncate(1);
        assert_eq!(value.at(9), None);
    }

    #[test]
    fn every_account_and_every_absence_is_proven_under_the_root() {
        let mut state = State::default();
        for byte in 1..=40 {
            state.fund(Address::repeat_byte(byte), U256::from(byte));
        }
        let root = state.seal(0);
        for byte in 0..=60 {
            let proof = state.prove(0, Address::repeat_byte(byte), &[B256::ZERO]);
            assert_eq!(proof.account.balance.is_zero(), byte == 0 || byte > 40);
            proof.verify(root).expect("a proof of ours holds");
            assert!(proof.verify(B256::repeat_byte(1)).is_err());
        }
    }

    #[test]
    fn root_of_a_funded_account_is_that_of_the_library() {
        let mut state = State::default();
        let funded = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        state.fund(funded, U256::from(7));
        let leaf = TrieAccount {
            balance: U256::from(7),
            ..absent_account()
        };
        let expected = alloy_trie::root::state_root_unhashed([(funded, leaf)]);
        assert_eq!(state.seal(0), expected);
    }
}
