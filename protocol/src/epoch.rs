//! Epochs: which heights they span, and who is in the set of the next one (`sequencing.md`, "The set").
//!
//! Epoch e is [`EPOCH_HEIGHTS`] heights. The set of e + 1 is fixed in e: every header of e names its hash
//! (`next set hash`), so it is decided by the set of e like anything else in a block. [`next_set`] is a pure function
//! of the current set and of a [`Registry`], the stakes on the base layer at a decided block of it; two nodes that
//! read the same registry name the same set.
//!
//! Invariants: at most [`JOINS_PER_EPOCH`] validators enter at once; at most [`VALIDATORS_MAX`] sit; in a set of four
//! or more nobody weighs one third. What this module does not do: read the registry, or punish (a convict leaves by
//! losing its stake).

use std::collections::BTreeMap;

use crate::{
    account::L1Address,
    number::{Epoch, Height},
    params::EPOCH_HEIGHTS,
    validator::{TOTAL_WEIGHT_MAX, VALIDATORS_MAX, Validator, ValidatorSet},
};

/// Validators that may enter with one epoch: whoever brings a third of the stake at once cannot take a third of the
/// seats of a large set before everybody had epochs to see it coming and leave.
pub const JOINS_PER_EPOCH: usize = 4;

/// Stake above which more adds no weight: [`VALIDATORS_MAX`] of it are a set that [`TOTAL_WEIGHT_MAX`] allows, so that
/// no registry can make the next set impossible.
pub const STAKE_MAX: u64 = TOTAL_WEIGHT_MAX / 100;

/// Smallest set in which everybody can weigh less than one third.
const CAPPED_VALIDATORS_MIN: usize = 4;

impl Epoch {
    /// First height of the epoch; of epoch 0 the first block, not genesis.
    #[must_use]
    pub fn first_height(self) -> Height {
        Height(self.0.saturating_mul(EPOCH_HEIGHTS).saturating_add(1))
    }

    /// Last height of the epoch.
    #[must_use]
    pub fn last_height(self) -> Height {
        Height(self.0.saturating_add(1).saturating_mul(EPOCH_HEIGHTS))
    }

    /// The epoch after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What the registry says of one validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stake {
    /// Its own and delegated stake, in units that the registry chooses. Nothing staked is nobody.
    pub stake: u64,
    /// When it applied, in the base layer's time: the queue's order.
    pub applied_at: u64,
}

/// Who stakes, by address: what the contract holds at one block of the base layer. Who wants to leave is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    entries: BTreeMap<L1Address, Stake>,
}

impl Registry {
    /// Enters or changes a validator.
    pub fn put(&mut self, address: L1Address, stake: Stake) {
        self.entries.insert(address, stake);
    }

    /// Takes a validator out.
    pub fn remove(&mut self, address: &L1Address) {
        self.entries.remove(address);
    }

    /// The up to `count` validators with the most stake; equal stakes by time of application, then address.
    fn top(&self, count: usize, is_eligible: impl Fn(&L1Address) -> bool) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = self
            .entries
            .iter()
            .filter(|(address, entry)| entry.stake > 0 && is_eligible(address))
            .map(|(address, entry)| Candidate {
                address: *address,
                stake: entry.stake.min(STAKE_MAX),
                applied_at: entry.applied_at,
            })
            .collect();
        all.sort_by_key(|one| (std::cmp::Reverse(one.stake), one.applied_at, one.address));
        all.truncate(count);
        all
    }
}

#[derive(Clone, Copy)]
struct Candidate {
    address: L1Address,
    stake: u64,
    applied_at: u64,
}

/// The set of the next epoch, given that of this one.
///
/// Members who still stake stay. Of the others, those among the [`VALIDATORS_MAX`] largest stakes of the registry wait
/// in the order in which they applied, and the first [`JOINS_PER_EPOCH`] enter; who is too small to sit keeps nobody
/// waiting. Of all these the [`VALIDATORS_MAX`] largest sit, and weights are capped below one third. A registry in
/// which nobody stakes leaves the set as it is: a chain without validators could never have them again.
#[must_use]
pub fn next_set(current: &ValidatorSet, registry: &Registry) -> ValidatorSet {
    let is_member = |address: &L1Address| current.weight_of(address) > 0;
    let mut queue = registry.top(VALIDATORS_MAX, |_| true);
    queue.retain(|one| !is_member(&one.address));
    queue.sort_by_key(|one| (one.applied_at, one.address));
    let joining: Vec<L1Address> = queue
        .iter()
        .take(JOINS_PER_EPOCH)
        .map(|one| one.address)
        .collect();
    let seated = registry.top(VALIDATORS_MAX, |address| {
        is_member(address) || joining.contains(address)
    });
    let cap = weight_cap(&seated);
    let validators = seated.iter().map(|one| Validator {
        address: one.address,
        weight: one.stake.min(cap),
    });
    // Only an empty registry fails: the candidates are distinct, have stake, and are bounded in number and sum.
    ValidatorSet::new(validators.collect()).unwrap_or_else(|_| current.clone())
}

/// The largest weight c so that three times c is below the sum of all stakes cut to c; no cap where none exists.
///
/// `sum(min(stake, c)) - 3 c` is concave in c, and positive at c = 1 with four validators or more, so the values
/// that fit are 1 to some largest one, which bisection finds.
fn weight_cap(seated: &[Candidate]) -> u64 {
    if seated.len() < CAPPED_VALIDATORS_MIN {
        return STAKE_MAX;
    }
    let fits = |cap: u64| {
        let total: u128 = seated
            .iter()
            .map(|one| u128::from(one.stake.min(cap)))
            .sum();
        u128::from(cap) * 3 < total
    };
    let heaviest = seated.iter().map(|one| one.stake).max().unwrap_or(1);
    if fits(heaviest) {
        return heaviest;
    }
    let (mut low, mut high) = (1, heaviest); // low fits, high does not
    while high - low > 1 {
        let middle = low + (high - low) / 2; // rounds down, strictly between
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests;
