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
    validator::{ValidatorKey, ValidatorSet},
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

/// Scalar of the development validator's key.
pub(crate) fn validator_scalar() -> [u8; 32] {
    keccak256(b"QUORATE/cli/devnet/validator/v1")
}

/// The development validator's key.
pub(crate) fn validator() -> ValidatorKey {
    ValidatorKey::from_bytes(&validator_scalar()).expect("this hash is below the group order")
}

/// A development genesis: leaf 0 collects fees in token 0, the funded keys follow, then `more`.
pub(crate) fn genesis(
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
        validators: ValidatorSet::of_one(validator().address()),
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
        let genesis = genesis(3, [], 5);
        assert_eq!(genesis.check(), Ok(()));
        assert!(genesis.is_development());
        assert_eq!(genesis.leaves.len(), 4);
        assert_eq!(genesis.leaves[1].key, account(0).secret.public().into());
        assert_eq!(genesis.hash(), super::genesis(3, [], 5).hash());
    }
}
