//! Stakes in the state of the chain itself: each validator names a leaf, and what is locked there is its stake.
//!
//! A balance counts for an epoch only if the leaf is locked until the epoch's last height, so that nobody votes with
//! what it could spend meanwhile. Nothing here is slashed: who is convicted stays until operators change the file. What
//! this module does not do: take who is not named in.

use std::collections::BTreeMap;

use protocol::{
    account::L1Address,
    epoch::{Registry, Stake},
    number::{Epoch, LeafIndex, TokenId},
    state::LeafView,
};

use super::SetSource;

/// Where a validator's stake lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) leaf: LeafIndex,
    pub(super) applied_at: u64,
}

/// Validators whose stakes are balances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeafStakes {
    token: TokenId,
    /// Base units that weigh one; not 0.
    unit: u128,
    named: BTreeMap<L1Address, Named>,
}

impl LeafStakes {
    pub(super) fn new(token: TokenId, unit: u128, named: BTreeMap<L1Address, Named>) -> Self {
        Self { token, unit, named }
    }
}

impl SetSource for LeafStakes {
    fn registry(&self, epoch: Epoch, state: &dyn LeafView) -> Registry {
        let mut registry = Registry::default();
        for (validator, named) in &self.named {
            let leaf = state
                .leaf(named.leaf)
                .filter(|leaf| leaf.token == self.token && leaf.is_locked(epoch.last_height()));
            let balance = leaf.map_or(0, |leaf| leaf.balance.get());
            let stake = balance.checked_div(self.unit).unwrap_or(0);
            let entry = Stake {
                stake: u64::try_from(stake).unwrap_or(u64::MAX),
                applied_at: named.applied_at,
            };
            registry.put(*validator, entry);
        }
        registry
    }

    fn fixed(&self, _: Epoch) -> Option<Registry> {
        None
    }

    fn names(&self, validator: &L1Address) -> bool {
        self.named.contains_key(validator)
    }
}

#[cfg(test)]
mod tests;
