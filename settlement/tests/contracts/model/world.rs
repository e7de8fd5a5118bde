//! What the model remembers: the storage of all contracts as plain Rust, and what refuses.
//!
//! Invariant: a refusal is the exact bytes that the contract reverts with. Nothing is read from the chain but what the driver
//! says: who calls, with how much, and at which time. It does not hold gas, events or the validators' stakes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{Panic, SolError};
use ark_bn254::Fr;
use protocol::inbox::InboxItem;
use protocol::public_inputs::PublicInputs;
use protocol::transaction::Domain;
use settlement::bindings::{Reverts, StoredBatch, field, l1_address};
use settlement::deploy::{Deployment, Timing};

/// Modes of the Rollup, as the contract numbers them.
pub(super) const ACTIVE: u8 = 0;
pub(super) const ENFORCED: u8 = 1;
pub(super) const DESERT: u8 = 2;

/// Solidity's panic of checked arithmetic.
pub(super) const OVERFLOW: u64 = 0x11;
/// Solidity's panic of an index out of range.
pub(super) const OUT_OF_RANGE: u64 = 0x32;

/// The bytes of a revert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) Bytes);

pub(super) type Done = Result<(), Refusal>;

pub(super) fn refuse<T>(error: impl SolError) -> Result<T, Refusal> {
    Err(Refusal(error.abi_encode().into()))
}

pub(super) fn panic_of<T>(code: u64) -> Result<T, Refusal> {
    let code = U256::from(code);
    refuse(Panic { code })
}

/// A field element, or the refusal of an integer of p or more.
pub(super) fn canonical(value: U256) -> Result<Fr, Refusal> {
    field("a field element", value).or_else(|_| refuse(Reverts::NotCanonical { value }))
}

/// The leaf count in a counters word.
pub(super) fn leaf_count(counters: U256) -> u64 {
    counters.as_limbs()[0]
}

/// The height in a counters word.
pub(super) fn height(counters: U256) -> u64 {
    counters.as_limbs()[1]
}

/// The inbox count in a counters word.
pub(super) fn inbox_count(counters: U256) -> u64 {
    counters.as_limbs()[2]
}

/// What was deployed, and never changes.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) made: Deployment,
    pub(super) chain_id: u64,
    pub(super) params_hash: [u8; 32],
    pub(super) timing: Timing,
    pub(super) handover_seconds: u64,
    pub(super) delay_seconds: u64,
    pub(super) governor: Address,
    pub(super) fee_base_wei: u128,
    /// Contracts that take no ether.
    pub(super) rejecting: BTreeSet<Address>,
    /// Hundredths that each token keeps of a transfer, by its number; nothing of ether.
    pub(super) token_fee: Vec<u64>,
}

impl Rules {
    pub(super) fn domain(&self, circuit_version: u64) -> Domain {
        let rollup = l1_address(self.made.rollup);
        Domain::new(self.chain_id, rollup, self.params_hash, circuit_version)
    }

    /// Items that may wait: 128 for each proof time in half of the time to Enforced mode, at least 128.
    pub(super) fn queue_max(&self) -> u64 {
        128 * (self.timing.enforced / 2 / self.timing.proof_time).max(1)
    }
}

/// An item of the inbox.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) item: InboxItem,
    pub(super) rolling: B256,
    pub(super) time: u64,
    pub(super) fee: U256,
}

/// A batch as it was committed, last of its number.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub(super) stored: StoredBatch,
    /// What a proof states; its prover is not yet set.
    pub(super) inputs: PublicInputs,
    /// The words of its withdrawals, for claims.
    pub(super) withdrawals: Vec<protocol::words::Word>,
}

/// Everything that the contracts store.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) rules: Arc<Rules>,
    /// Time of the block that executes, in seconds.
    pub(super) now: u64,
    // Rollup
    pub(super) mode: u8,
    pub(super) proven: u64,
    pub(super) committed: u64,
    pub(super) waiting_since: u64,
    pub(super) proven_root: U256,
    pub(super) proven_counters: U256,
    pub(super) committed_root: U256,
    pub(super) committed_counters: U256,
    pub(super) batches: BTreeMap<u64, Arc<Committed>>,
    pub(super) withdrawal_roots: BTreeMap<u64, B256>,
    // Inbox
    pub(super) items: Vec<Waiting>,
    // Bridge and DesertExit
    pub(super) tokens: Vec<Address>,
    pub(super) escrow: BTreeMap<u32, U256>,
    pub(super) fees_held: U256,
    pub(super) fee_credit: BTreeMap<Address, U256>,
    pub(super) claimed: BTreeSet<(u64, U256)>,
    pub(super) exited: BTreeSet<u32>,
    pub(super) refunded: BTreeSet<u64>,
    // ValidatorRegistry: hash of the set, time of the first certificate
    pub(super) epochs: BTreeMap<u64, (B256, u64)>,
    // VerifierRegistry: whether a version is disabled
    pub(super) versions: BTreeMap<u64, bool>,
    // Timelock
    pub(super) paused_until: u64,
    pub(super) ready_at: BTreeMap<B256, u64>,
    /// Base units of a token on an account that is watched.
    pub(super) balances: BTreeMap<(u32, Address), U256>,
}

impl World {
    /// Items that no proven batch has consumed.
    pub(super) fn waiting(&self) -> u64 {
        self.item_count() - inbox_count(self.proven_counters)
    }

    pub(super) fn item_count(&self) -> u64 {
        u64::try_from(self.items.len()).expect("few items")
    }

    pub(super) fn item(&self, number: u64) -> Option<&Waiting> {
        self.items.get(usize::try_from(number).ok()?)
    }

    /// Rolling hash after the first `number` items; `None` if there are not so many.
    pub(super) fn rolling_at(&self, number: u64) -> Option<B256> {
        match number.checked_sub(1) {
            None => Some(B256::ZERO),
            Some(last) => self.item(last).map(|item| item.rolling),
        }
    }

    pub(super) fn balance(&self, token: u32, of: Address) -> U256 {
        let balance = self.balances.get(&(token, of));
        balance.copied().unwrap_or_default()
    }

    /// Moves a token or ether; `false`, and nothing moved, if there is not enough.
    pub(super) fn move_money(
        &mut self,
        token: u32,
        from: Address,
        to: Address,
        amount: U256,
    ) -> bool {
        let Some(rest) = self.balance(token, from).checked_sub(amount) else {
            return false;
        };
        self.balances.insert((token, from), rest);
        let place = usize::try_from(token).expect("few tokens");
        let kept = amount * U256::from(self.rules.token_fee[place]) / U256::from(100);
        let sum = self.balance(token, to) + (amount - kept);
        self.balances.insert((token, to), sum);
        true
    }
}
