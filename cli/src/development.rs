//! The development chain: keys that everybody knows, and the genesis that funds them.
//!
//! Everything here is public by construction and permitted on development chain ids only.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::{
    account::{L1Address, Leaf},
    genesis::Genesis,
    hash::keccak256,
    number::{Amount, LeafIndex, TokenId},
    signature::SecretKey,
    threaded::FeeLeaves,
    validator::{Validator, ValidatorKey, ValidatorSet},
};

/// Chain id of the development chain (anvil's).
pub(crate) const CHAIN_ID: u64 = 31_337;
/// Name of the reference string, as the list of accepted keys has it.
pub(crate) const REFERENCE_STRING: &str = "insecure-development";
/// What each funded key holds, in base units of token 0: a million coins of 18 decimals.
pub(crate) const FUNDING: u128 = 1_000_000 * 1_000_000_000_000_000_000;
/// Funded keys unless the user says otherwise.
pub(crate) const ACCOUNTS: u32 = 10;
/// Most funded keys.
pub(crate) const ACCOUNTS_MAX: u32 = 1_000;
/// Most development validators: the protocol's limit of one set.
pub(crate) const VALIDATORS_MAX: u32 = 100;

/// A key that everybody knows.
pub(crate) struct DevelopmentKey {
    /// What the key is expanded from.
    pub(crate) seed: [u8; 32],
    /// The key.
    pub(crate) secret: SecretKey,
    /// Owner of its leaves on the base layer.
    pub(crate) l1_owner: L1Address,
}

/// A key from a text, which is what its owner publishes.
pub(crate) fn key_of(text: &str) -> DevelopmentKey {
    let seed = keccak256(text.as_bytes());
    let digest = keccak256(format!("{text}/l1-owner").as_bytes());
    let mut owner = [0; 20];
    owner.copy_from_slice(&digest[12..]);
    DevelopmentKey {
        seed,
        secret: SecretKey::from_seed(&seed),
        l1_owner: L1Address(owner),
    }
}

/// The `index`-th funded key of a devnet: seed = keccak256("QUORATE/cli/devnet/account/INDEX/v1").
pub(crate) fn account(index: u32) -> DevelopmentKey {
    key_of(&format!("QUORATE/cli/devnet/account/{index}/v1"))
}

/// Scalar of the `index`-th validator's key, which everybody knows: keccak256("QUORATE/cli/devnet/validator/INDEX/v1").
pub(crate) fn validator_scalar(index: u32) -> [u8; 32] {
    keccak256(format!("QUORATE/cli/devnet/validator/{index}/v1").as_bytes())
}

/// The `index`-th validator's key, of less than [`VALIDATORS_MAX`].
pub(crate) fn validator(index: u32) -> ValidatorKey {
    ValidatorKey::from_bytes(&validator_scalar(index))
        .expect("these hashes are below the group order: a test makes every key")
}

/// The first `count` development validators, of equal weight; 1 to [`VALIDATORS_MAX`].
pub(crate) fn validators(count: u32) -> ValidatorSet {
    let seats = (0..count).map(|index| Validator {
        address: validator(index).address(),
        weight: 1,
    });
    ValidatorSet::new(seats.collect()).expect("callers keep to the limit, and the keys differ")
}

/// A development genesis: leaf 0 collects fees in token 0, the funded keys follow, then `more`.
pub(crate) fn genesis(
    validators: ValidatorSet,
    accounts: u32,
    more: impl IntoIterator<Item = Leaf>,
    timestamp_ms: u64,
) -> Genesis {
    let leaf = |key: &DevelopmentKey, balance| {
        let balance = Amount::new(balance).expect("below 2^120");
        Leaf::new(
            key.secret.public().into(),
            key.l1_owner,
            TokenId(0),
            balance,
        )
    };
    let fee = leaf(&key_of("QUORATE/cli/devnet/fees/v1"), 0);
    let funded = (0..accounts).map(|index| leaf(&account(index), FUNDING));
    let digest = keccak256(b"QUORATE/cli/devnet/rollup/v1");
    let mut rollup = [0; 20];
    rollup.copy_from_slice(&digest[12..]);
    Genesis {
        chain_id: CHAIN_ID,
        rollup: L1Address(rollup),
        reference_string: REFERENCE_STRING.to_owned(),
        validators,
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).expect("one leaf"),
        timestamp_ms,
        leaves: std::iter::once(fee).chain(funded).chain(more).collect(),
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_genesis_is_sound_and_marked() {
        let genesis = genesis(validators(1), 3, [], 5);
        assert_eq!(genesis.check(), Ok(()));
        assert!(genesis.is_development());
        assert_eq!(genesis.leaves.len(), 4);
        assert_eq!(genesis.leaves[1].key, account(0).secret.public().into());
        assert_eq!(
            genesis.hash(),
            super::genesis(validators(1), 3, [], 5).hash()
        );
        assert_ne!(
            genesis.hash(),
            super::genesis(validators(2), 3, [], 5).hash()
        );
    }

    #[test]
    fn as_many_development_validators_as_a_set_holds_have_keys() {
        let count = usize::try_from(VALIDATORS_MAX).expect("small");
        assert_eq!(count, protocol::validator::VALIDATORS_MAX);
        let set = validators(VALIDATORS_MAX);
        assert_eq!(set.validators().len(), count);
        // The published rule, written out once more.
        let scalar = keccak256(b"QUORATE/cli/devnet/validator/99/v1");
        let last = ValidatorKey::from_bytes(&scalar).expect("a key");
        assert_eq!(set.weight_of(&last.address()), 1);
    }
}
