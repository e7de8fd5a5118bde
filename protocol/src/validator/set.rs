//! Weighted validator sets: thresholds, rotation of proposers, hash (`sequencing.md`, "The set").
//!
//! All arithmetic is on integers of 128 bits over weights of 64, so no sum overflows.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    codec::abi_word,
    number::{Height, Round},
    validator::{address_word, digest},
};

/// Validators of one set.
pub const VALIDATORS_MAX: usize = 100;

/// Smallest set in which bids are accepted: below it one faulty validator is a third of the seats.
const BIDDING_VALIDATORS_MIN: usize = 4;

/// Weight of a whole set: the agreement engine counts in 64 bits and multiplies by three to compare with two thirds.
pub const TOTAL_WEIGHT_MAX: u64 = u64::MAX / 3;

/// One seat of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Validator {
    /// Address of its secp256k1 key.
    pub address: L1Address,
    /// Stake, in units that the registry chooses; not zero.
    pub weight: u64,
}

/// Why validators form no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// None, or more than [`VALIDATORS_MAX`].
    #[error("a validator set has 1 to {VALIDATORS_MAX} validators, not {0}")]
    Count(usize),
    /// A weight of zero.
    #[error("validator {0} has no weight")]
    NoWeight(L1Address),
    /// Two seats with one address, or not sorted by address.
    #[error("validators must be sorted by address, each once: {0}")]
    Order(L1Address),
    /// More weight than [`TOTAL_WEIGHT_MAX`] together.
    #[error("validators may weigh {TOTAL_WEIGHT_MAX} together, not {0}")]
    TotalWeight(u128),
}

/// Validators in ascending order of their addresses, each once, none without weight.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct ValidatorSet {
    validators: Vec<Validator>,
}

impl BorshDeserialize for ValidatorSet {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let invalid = |error: ValidatorSetError| {
            std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string())
        };
        let count = u32::deserialize_reader(reader)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > VALIDATORS_MAX {
            return Err(invalid(ValidatorSetError::Count(count)));
        }
        let validators = (0..count)
            .map(|_| Validator::deserialize_reader(reader))
            .collect::<std::io::Result<Vec<_>>>()?;
        Self::from_sorted(validators).map_err(invalid)
    }
}

impl ValidatorSet {
    /// The set of these validators, in any order.
    ///
    /// # Errors
    /// [`ValidatorSetError`].
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        validators.sort_unstable();
        Self::from_sorted(validators)
    }

    /// The set of one validator, which certifies alone.
    #[must_use]
    pub fn of_one(address: L1Address) -> Self {
        let validators = vec![Validator { address, weight: 1 }];
        Self { validators }
    }

    fn from_sorted(validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        let count = validators.len();
        if count == 0 || count > VALIDATORS_MAX {
            return Err(ValidatorSetError::Count(count));
        }
        if let Some(idle) = validators.iter().find(|validator| validator.weight == 0) {
            return Err(ValidatorSetError::NoWeight(idle.address));
        }
        for (one, next) in validators.iter().zip(validators.iter().skip(1)) {
            if one.address >= next.address {
                return Err(ValidatorSetError::Order(next.address));
            }
        }
        let set = Self { validators };
        let total = set.total();
        if total > u128::from(TOTAL_WEIGHT_MAX) {
            return Err(ValidatorSetError::TotalWeight(total));
        }
        Ok(set)
    }

    /// The seats, by address.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// Weight of a validator; 0 for a stranger.
    #[must_use]
    pub fn weight_of(&self, address: &L1Address) -> u128 {
        self.validators
            .binary_search_by(|validator| validator.address.cmp(address))
            .ok()
            .and_then(|seat| self.validators.get(seat))
            .map_or(0, |validator| u128::from(validator.weight))
    }

    /// Weight of all together.
    #[must_use]
    pub fn total(&self) -> u128 {
        let weights = self.validators.iter();
        weights.map(|validator| u128::from(validator.weight)).sum()
    }

    /// Whether `weight` is more than two thirds of the total.
    #[must_use]
    pub fn is_quorum(&self, weight: u128) -> bool {
        weight.saturating_mul(3) > self.total().saturating_mul(2)
    }

    /// Whether `weight` is more than a third of the total: at least one honest validator, if less than a third is
    /// faulty.
    #[must_use]
    pub fn is_above_third(&self, weight: u128) -> bool {
        weight.saturating_mul(3) > self.total()
    }

    /// Whether blocks of this set may pay bids: at least four validators, each below a third of the weight. In any
    /// other set the proposer's blind vote could certify a payload that nobody checked (review finding C2).
    #[must_use]
    pub fn may_take_bids(&self) -> bool {
        let total = self.total();
        self.validators.len() >= BIDDING_VALIDATORS_MIN
            && self
                .validators
                .iter()
                .all(|validator| u128::from(validator.weight) * 3 < total)
    }

    /// Who proposes at this height and round.
    ///
    /// The weights are laid side by side on a circle, by address; slot `height + round` points at the fraction
    /// `slot * (sqrt 5 - 1) / 2` of it. Steps by the golden ratio hit every arc as often as its length says, with
    /// the least possible error at every moment, so the rotation needs no memory; and because a step is 0.38 of the
    /// circle, a validator below that weight never has two slots in a row.
    #[must_use]
    pub fn proposer(&self, height: Height, round: Round) -> &L1Address {
        let slot = height.0.wrapping_add(u64::from(round.0));
        let fraction = slot.wrapping_mul(GOLDEN_STEP);
        let point = ((u128::from(fraction) >> 32) * self.total()) >> 32;
        let mut reached = 0;
        let mut last = &L1Address::ZERO;
        for validator in &self.validators {
            reached += u128::from(validator.weight);
            last = &validator.address;
            if point < reached {
                break;
            }
        }
        last
    }

    /// `keccak256(abi.encode("QUORATE/protocol/validator_set/v1", address, weight, address, weight, ..))`.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let words: Vec<[u8; 32]> = self
            .validators
            .iter()
            .flat_map(|validator| {
                [
                    address_word(&validator.address),
                    abi_word(u128::from(validator.weight)),
                ]
            })
            .collect();
        digest("QUORATE/protocol/validator_set/v1", &words)
    }
}

/// `floor(2^64 * (sqrt 5 - 1) / 2)`, made odd so that it visits every fraction.
const GOLDEN_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{from_bytes, to_bytes};

    fn set(weights: &[u64]) -> ValidatorSet {
        let validators = weights
            .iter()
            .zip(1_u8..)
            .map(|(weight, place)| Validator {
                address: L1Address([place; 20]),
                weight: *weight,
            })
            .collect();
        ValidatorSet::new(validators).unwrap()
    }

    #[test]
    fn thresholds_are_strict() {
        let three = set(&[1, 1, 1]);
        assert!(!three.is_quorum(2) && three.is_quorum(3));
        assert!(!three.is_above_third(1) && three.is_above_third(2));
        let four = set(&[1; 4]);
        assert!(!four.is_quorum(2) && four.is_quorum(3));
        assert!(!four.is_above_third(1) && four.is_above_third(2));
        let share = TOTAL_WEIGHT_MAX / 100;
        let large = set(&[share; 100]);
        assert!(large.is_quorum(u128::from(share) * 67));
        assert!(!large.is_quorum(u128::from(share) * 66));
    }

    #[test]
    fn malformed_sets_are_refused() {
        let seat = |place: u8, weight: u64| Validator {
            address: L1Address([place; 20]),
            weight,
        };
        assert_eq!(ValidatorSet::new(vec![]), Err(ValidatorSetError::Count(0)));
        let many = (0..101).map(|place| seat(place, 1)).collect();
        assert_eq!(ValidatorSet::new(many), Err(ValidatorSetError::Count(101)));
        let idle = ValidatorSet::new(vec![seat(1, 0)]);
        assert_eq!(idle, Err(ValidatorSetError::NoWeight(L1Address([1; 20]))));
        let twice = ValidatorSet::new(vec![seat(1, 1), seat(1, 2)]);
        assert_eq!(twice, Err(ValidatorSetError::Order(L1Address([1; 20]))));
        let heavy = ValidatorSet::new(vec![seat(1, TOTAL_WEIGHT_MAX), seat(2, 1)]);
        let total = u128::from(TOTAL_WEIGHT_MAX) + 1;
        assert_eq!(heavy, Err(ValidatorSetError::TotalWeight(total)));
        assert!(ValidatorSet::new(vec![seat(1, TOTAL_WEIGHT_MAX - 1), seat(2, 1)]).is_ok());
        // bytes have one order
        let unsorted = to_bytes(&vec![seat(2, 1), seat(1, 1)]);
        assert!(from_bytes::<ValidatorSet>(&unsorted).is_err());
        let good = set(&[3, 2, 1]);
        assert_eq!(from_bytes::<ValidatorSet>(&to_bytes(&good)), Ok(good));
        assert!(from_bytes::<ValidatorSet>(&u32::MAX.to_le_bytes()).is_err());
    }

    #[test]
    fn bids_need_four_validators_below_a_third() {
        assert!(set(&[1; 4]).may_take_bids());
        assert!(set(&[33, 33, 17, 17]).may_take_bids());
        assert!(!set(&[40, 30, 15, 15]).may_take_bids());
        assert!(!set(&[1; 3]).may_take_bids());
        assert!(!set(&[2, 2, 1, 1]).may_take_bids());
    }

    /// Chi-square against the weights: the statistic of a fair lottery is below 23 in 999 of 1,000 runs with seven
    /// validators; the rotation is far more even than a lottery.
    #[test]
    fn rotation_follows_the_weights() {
        let weights = [5, 1, 9, 2, 30, 30, 23];
        let set = set(&weights);
        let slots = 20_000_u32;
        let mut counts = vec![0_u32; weights.len()];
        for height in 0..u64::from(slots) {
            let proposer = set.proposer(Height(height), Round(0));
            let seat = set.validators().iter().position(|v| v.address == *proposer);
            counts[seat.unwrap()] += 1;
        }
        let chi_square: f64 = counts
            .iter()
            .zip(weights)
            .map(|(count, weight)| {
                let expected = f64::from(slots) * weight as f64 / 100.0;
                (f64::from(*count) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 1.0, "{chi_square}: {counts:?}");
    }

    proptest! {
        #[test]
        fn nobody_below_the_cap_proposes_twice_in_a_row(
            weights in prop::collection::vec(1_u64..1_000, 4..12), height in any::<u64>(), round in 0_u32..1_000,
        ) {
            let set = set(&weights);
            prop_assume!(set.may_take_bids());
            let first = set.proposer(Height(height), Round(round));
            let second = set.proposer(Height(height), Round(round + 1));
            prop_assert_ne!(first, second);
        }

        #[test]
        fn everybody_has_a_turn(weights in prop::collection::vec(1_u64..50, 1..20)) {
            let set = set(&weights);
            let slots = u64::try_from(set.total()).unwrap() * 4;
            let seen: std::collections::BTreeSet<_> =
                (0..slots).map(|slot| *set.proposer(Height(slot), Round(0))).collect();
            prop_assert_eq!(seen.len(), weights.len());
        }
    }
}
