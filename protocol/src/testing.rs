//! Builders for tests and benches (feature `testing`): keys, leaves, worlds, operations, blocks and batches, valid
//! and invalid, all deterministic from the generator that is passed in.
//!
//! Everything takes a plain `rand` 0.8 generator; a property test draws a seed and calls [`generator`]. Builders
//! sign for real and hold no shortcut through the rules: what [`World::random_block`] returns is applied by
//! [`crate::block::apply_block`] like any other block. What this module does not do: decide what is valid.

mod draft;
mod succession;
mod world;

use ark_bn254::Fr;
use ark_ff::UniformRand;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;

pub use draft::{Draft, Drafter, random_item};
pub use succession::Succession;
pub use world::{BlockShape, TracedBatch, World, trace_batch, trace_in_chunks};

use crate::{
    account::{L1Address, Leaf, LeafKey},
    codec::field_to_le_bytes,
    number::{Amount, LeafIndex, TokenId},
    params::BALANCE_LIMIT,
    signature::SecretKey,
    transition::{Access, Executed},
};

/// The generator of a seed.
#[must_use]
pub fn generator(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// How often a random campaign repeats: `cases`, or 50 times as many if the build's environment says
/// `QUORATE_SOAK=1` (read when compiling, because this crate does no I/O; cargo rebuilds when it changes).
#[must_use]
pub fn soak(cases: u64) -> u64 {
    let is_soak = option_env!("QUORATE_SOAK") == Some("1");
    cases.saturating_mul(if is_soak { 50 } else { 1 })
}

/// Signing keys by number, and by the key field of a leaf.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: Vec<SecretKey>,
    places: BTreeMap<[u8; 64], usize>,
}

impl Keyring {
    /// Keys 0 to `count - 1`; key n is always the same.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let keys: Vec<SecretKey> = (0_u64..).take(count).map(secret_key).collect();
        let places = keys
            .iter()
            .enumerate()
            .map(|(place, key)| (key_bytes(&key.public().into()), place))
            .collect();
        Self { keys, places }
    }

    /// All keys, by number.
    #[must_use]
    pub fn keys(&self) -> &[SecretKey] {
        &self.keys
    }

    /// Key `number`, counted round.
    ///
    /// # Panics
    /// If the ring is empty.
    #[must_use]
    pub fn key(&self, number: usize) -> &SecretKey {
        self.keys
            .get(number.checked_rem(self.keys.len()).unwrap_or(0))
            .expect("the caller made a ring with keys")
    }

    /// The signing key of a leaf's key, if it is on the ring.
    #[must_use]
    pub fn find(&self, key: &LeafKey) -> Option<&SecretKey> {
        self.places
            .get(&key_bytes(key))
            .and_then(|place| self.keys.get(*place))
    }
}

fn key_bytes(key: &LeafKey) -> [u8; 64] {
    let mut bytes = [0; 64];
    let (x, y) = bytes.split_at_mut(32);
    x.copy_from_slice(&field_to_le_bytes(&key.x));
    y.copy_from_slice(&field_to_le_bytes(&key.y));
    bytes
}

/// Signing key `number`: its seed is the number, little-endian.
#[must_use]
pub fn secret_key(number: u64) -> SecretKey {
    let mut seed = [0xa5; 32];
    let (head, _) = seed.split_at_mut(8);
    head.copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed)
}

/// Base-layer account `number`; never zero.
#[must_use]
pub fn l1_owner(number: u64) -> L1Address {
    let mut address = [0x11; 20];
    let (_, tail) = address.split_at_mut(12);
    tail.copy_from_slice(&number.to_be_bytes());
    L1Address(address)
}

/// A live leaf of key `number` and its owner.
///
/// # Panics
/// If the balance is 2^120 or more.
#[must_use]
pub fn leaf(number: u64, token: u32, balance: u128) -> Leaf {
    Leaf::new(
        secret_key(number).public().into(),
        l1_owner(number),
        TokenId(token),
        amount(balance),
    )
}

/// The amount `value`.
///
/// # Panics
/// If it is 2^120 or more.
#[must_use]
pub fn amount(value: u128) -> Amount {
    Amount::new(value).expect("the caller names an amount below 2^120")
}

/// A key field: usually one of the ring, sometimes null, sometimes a pair that can never sign.
pub fn random_leaf_key(rng: &mut impl Rng, keyring: &Keyring) -> LeafKey {
    match rng.gen_range(0..8) {
        0 => LeafKey::NULL,
        1 => LeafKey {
            x: Fr::rand(rng),
            y: Fr::rand(rng),
        },
        _ => keyring.key(rng.r#gen()).public().into(),
    }
}

/// An amount of any size, boundaries included.
pub fn random_amount(rng: &mut impl Rng) -> Amount {
    let value = match rng.gen_range(0..8) {
        0 => 0,
        1 => BALANCE_LIMIT - 1,
        _ => rng.r#gen::<u128>() >> rng.gen_range(8..128),
    };
    Amount::new(value).unwrap_or(Amount::ZERO)
}

/// What an operation did to money: sums over the distinct leaves it opened, before and after.
///
/// Checks on the way that each access sees what the one before it left behind.
///
/// # Panics
/// If an access does not.
#[must_use]
pub fn balances_opened(executed: &Executed) -> (u128, u128) {
    let mut first: BTreeMap<LeafIndex, Access> = BTreeMap::new();
    for access in executed.accesses {
        first
            .entry(access.index)
            .and_modify(|seen| {
                assert_eq!(seen.after, access.before, "accesses see earlier writes");
                seen.after = access.after;
            })
            .or_insert(access);
    }
    let held = |leaf: Option<Leaf>| leaf.map_or(0, |leaf| leaf.balance.get());
    first.values().fold((0, 0), |(before, after), access| {
        (before + held(access.before), after + held(access.after))
    })
}
