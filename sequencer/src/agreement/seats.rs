//! Heights, addresses and validator sets.

use std::fmt;

use arc_malachitebft_core_types as engine;
use protocol::{
    account::L1Address,
    number::{Height, Round},
    validator::ValidatorSet,
};

use super::Agreement;

/// A height; genesis is 0, the first block 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineHeight(pub Height);

impl fmt::Display for EngineHeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl engine::Height for EngineHeight {
    const ZERO: Self = Self(Height(0));
    const INITIAL: Self = Self(Height(1));

    fn increment_by(&self, n: u64) -> Self {
        Self(Height(self.0.0.saturating_add(n)))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.0.checked_sub(n).map(|height| Self(Height(height)))
    }

    fn as_u64(&self) -> u64 {
        self.0.0
    }
}

/// A validator's address: the only name of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeatAddress(pub L1Address);

impl fmt::Display for SeatAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl engine::Address for SeatAddress {}

/// A validator of a set. Its public key is its address: signatures are recoverable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    address: SeatAddress,
    weight: u64,
}

impl engine::Validator<Agreement> for Seat {
    fn address(&self) -> &SeatAddress {
        &self.address
    }

    fn public_key(&self) -> &L1Address {
        &self.address.0
    }

    fn voting_power(&self) -> engine::VotingPower {
        self.weight
    }
}

/// A validator set, with its seats laid out for the engine, in the order of their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    set: ValidatorSet,
    seats: Vec<Seat>,
    total: u64,
}

impl From<ValidatorSet> for Seats {
    fn from(set: ValidatorSet) -> Self {
        let seats = set.validators().iter().map(|validator| Seat {
            address: SeatAddress(validator.address),
            weight: validator.weight,
        });
        let seats = seats.collect();
        // a set refuses more than TOTAL_WEIGHT_MAX, which is less
        let total = u64::try_from(set.total()).unwrap_or(u64::MAX);
        Self { set, seats, total }
    }
}

impl Seats {
    /// The set as `protocol` knows it.
    #[must_use]
    pub fn set(&self) -> &ValidatorSet {
        &self.set
    }

    pub(super) fn proposer(&self, height: Height, round: Round) -> &Seat {
        let address = self.set.proposer(height, round);
        self.find(address)
            .expect("the rotation names a member of the set")
    }

    fn find(&self, address: &L1Address) -> Option<&Seat> {
        self.seats
            .binary_search_by(|seat| seat.address.0.cmp(address))
            .ok()
            .and_then(|place| self.seats.get(place))
    }
}

impl engine::ValidatorSet<Agreement> for Seats {
    fn count(&self) -> usize {
        self.seats.len()
    }

    fn total_voting_power(&self) -> engine::VotingPower {
        self.total
    }

    fn get_by_address(&self, address: &SeatAddress) -> Option<&Seat> {
        self.find(&address.0)
    }

    fn get_by_index(&self, index: usize) -> Option<&Seat> {
        self.seats.get(index)
    }
}
