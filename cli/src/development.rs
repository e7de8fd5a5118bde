//! The development chain: keys that everybody knows, and the genesis that funds them.
//!
//! Everything here is public by construction and permitted on development chain ids only.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::{
    account::{L1Address, Leaf},
    genesis::Genesis,
    hash::keccak256,
    number::{Amount, Height, LeafIndex, TokenId},
    params::LOCK_HEIGHTS_MAX,
    signature::SecretKey,
    threaded::FeeLeaves,
    validator::{Validator, ValidatorKey, ValidatorSet},
};
use settlement::TransactionSigner;
use settlement::bindings::l1_address;
use settlement::deploy::Deployment;

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
/// Most builders of a devnet.
pub(crate) const BUILDERS_MAX: u32 = 8;
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
    let key = key_of(&format!("QUORATE/cli/devnet/account/{index}/v1"));
    let signer = usize::try_from(index)
        .ok()
        .and_then(TransactionSigner::development);
    match signer {
        Some(signer) => DevelopmentKey {
            l1_owner: l1_address(signer.address()),
            ..key
        },
        None => key,
    }
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

/// The Rollup that the first development key of the base layer deploys there before it does anything else.
pub(crate) fn rollup() -> L1Address {
    let deployer = TransactionSigner::development(0).expect("there are ten keys");
    l1_address(Deployment::foretold(deployer.address(), 0).rollup)
}

/// Who is rewarded for the final proofs of a devnet: the base layer's development account 8.
pub(crate) fn prover_id() -> L1Address {
    let signer = TransactionSigner::development(8).expect("there are ten keys");
    l1_address(signer.address())
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
    Genesis {
        chain_id: CHAIN_ID,
        rollup: rollup(),
        reference_string: REFERENCE_STRING.to_owned(),
        validators,
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).expect("one leaf"),
        timestamp_ms,
        leaves: std::iter::once(fee).chain(funded).chain(more).collect(),
    }
}

/// Leaves that a market of builders needs, by their place in a genesis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Market {
    /// Where each validator is paid for its blocks.
    pub(crate) bid_leaves: Vec<LeafIndex>,
    /// Collateral and fee leaf of each builder.
    pub(crate) builders: Vec<(LeafIndex, LeafIndex)>,
}

/// Key of the leaf where the `index`-th validator is paid for its blocks.
fn bid_key(index: u32) -> DevelopmentKey {
    key_of(&format!("QUORATE/cli/devnet/bids/{index}/v1"))
}

/// Key of the `index`-th builder's collateral; the builder's own key is the hash that it is expanded from.
pub(crate) fn collateral_key(index: u32) -> DevelopmentKey {
    key_of(&format!("QUORATE/cli/devnet/collateral/{index}/v1"))
}

/// Key of the leaf that collects the `index`-th builder's fees.
fn builder_fees_key(index: u32) -> DevelopmentKey {
    key_of(&format!("QUORATE/cli/devnet/builder-fees/{index}/v1"))
}

/// Scalar of the `index`-th builder's key: keccak256("QUORATE/cli/devnet/builder/INDEX/v1").
pub(crate) fn builder_scalar(index: u32) -> [u8; 32] {
    keccak256(format!("QUORATE/cli/devnet/builder/{index}/v1").as_bytes())
}

/// The leaves of a market: nothing without builders.
pub(crate) fn market_leaves(validators: u32, builders: u32) -> Vec<Leaf> {
    let leaf = |key: DevelopmentKey, balance| {
        let balance = Amount::new(balance).expect("below 2^120");
        Leaf::new(
            key.secret.public().into(),
            key.l1_owner,
            TokenId(0),
            balance,
        )
    };
    let validators = if builders == 0 { 0 } else { validators };
    let paid = (0..validators).map(|index| leaf(bid_key(index), 0));
    let builders = (0..builders).flat_map(|index| {
        let collateral = Leaf {
            // bids need it for two epochs more
            lock_until: Height(LOCK_HEIGHTS_MAX),
            ..leaf(collateral_key(index), FUNDING)
        };
        [collateral, leaf(builder_fees_key(index), 0)]
    });
    paid.chain(builders).collect()
}

/// Finds the market's leaves in a genesis that was made here.
pub(crate) fn market(genesis: &Genesis) -> Market {
    let find = |key: DevelopmentKey| {
        let key = key.secret.public().into();
        let place = genesis.leaves.iter().position(|leaf| leaf.key == key)?;
        u32::try_from(place).ok().map(LeafIndex)
    };
    let mut market = Market::default();
    for index in 0..VALIDATORS_MAX {
        let Some(leaf) = find(bid_key(index)) else {
            break;
        };
        market.bid_leaves.push(leaf);
    }
    for index in 0..BUILDERS_MAX {
        let leaves = find(collateral_key(index)).zip(find(builder_fees_key(index)));
        let Some(leaves) = leaves else {
            break;
        };
        market.builders.push(leaves);
    }
    market
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
    fn a_market_is_found_in_its_genesis_and_nowhere_else() {
        let genesis = genesis(validators(4), 3, market_leaves(4, 2), 5);
        assert_eq!(genesis.check(), Ok(()));
        let market = super::market(&genesis);
        let index = |place| LeafIndex(place);
        assert_eq!(market.bid_leaves, [4, 5, 6, 7].map(index));
        let builders = [(8, 9), (10, 11)].map(|(one, other)| (index(one), index(other)));
        assert_eq!(market.builders, builders);
        assert_eq!(genesis.leaves[8].lock_until, Height(LOCK_HEIGHTS_MAX));
        let none = super::genesis(validators(4), 3, market_leaves(4, 0), 5);
        assert_eq!(super::market(&none), Market::default());
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
