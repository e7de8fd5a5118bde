//! Numbers counted in buckets: sum, maximum and quantiles in little memory.
//!
//! Small numbers have a bucket each, greater ones share it with what differs by less than a quarter, so there are at most 252
//! buckets whatever is counted. What this file does not do: forget; a window adds and drops whole spreads.

use std::collections::BTreeMap;

/// Numbers below this have a bucket of their own.
const EXACT: u64 = 8;
/// Buckets of each power of two, as bits.
const BUCKET_BITS: u32 = 2;

/// How many numbers fell into which bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread {
    count: u64,
    sum: u64,
    max: u64,
    buckets: BTreeMap<u8, u64>,
}

fn bucket(number: u64) -> u8 {
    if number < EXACT {
        return u8::try_from(number).unwrap_or(u8::MAX);
    }
    let power = number.ilog2();
    let within = (number >> (power - BUCKET_BITS)) & ((1 << BUCKET_BITS) - 1);
    let place = EXACT + (u64::from(power - EXACT.ilog2()) << BUCKET_BITS) + within;
    u8::try_from(place).unwrap_or(u8::MAX)
}

/// The greatest number of a bucket.
fn bound(bucket: u8) -> u64 {
    let bucket = u64::from(bucket);
    let Some(above) = bucket.checked_sub(EXACT) else {
        return bucket;
    };
    let (steps, within) = (above >> BUCKET_BITS, above & ((1 << BUCKET_BITS) - 1));
    let power = u128::from(steps) + u128::from(EXACT.ilog2());
    let least = (1_u128 << power) + (u128::from(within) << (power - u128::from(BUCKET_BITS)));
    let next = least + (1_u128 << (power - u128::from(BUCKET_BITS)));
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

impl Spread {
    pub(super) fn add(&mut self, number: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(number);
        self.max = self.max.max(number);
        *self.buckets.entry(bucket(number)).or_default() += 1;
    }

    pub(super) fn join(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// At least `percent` of the numbers are at most this.
    fn quantile(&self, percent: u64) -> u64 {
        let needed = self.count.saturating_mul(percent).div_ceil(100);
        let mut reached = 0_u64;
        for (bucket, count) in &self.buckets {
            reached = reached.saturating_add(*count);
            if reached >= needed {
                return bound(*bucket).min(self.max);
            }
        }
        self.max
    }

    pub(super) fn to_json(&self) -> api::set::Spread {
        api::set::Spread {
            sum: self.sum,
            max: self.max,
            p50: self.quantile(50),
            p90: self.quantile(90),
            p99: self.quantile(99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend_without_gaps_and_bound_what_they_hold_by_a_quarter() {
        let mut last = None;
        for bucket in 0..=251_u8 {
            let greatest = bound(bucket);
            assert_eq!(super::bucket(greatest), bucket, "{greatest}");
            if let Some(next) = greatest.checked_add(1) {
                assert_eq!(super::bucket(next), bucket + 1, "{next}");
            }
            assert!(last.is_none_or(|last| last < greatest));
            last = Some(greatest);
        }
        assert_eq!(last, Some(u64::MAX), "everything has a bucket");
        for number in [0, 7, 8, 9, 100, 1_000, 123_456, 1 << 40] {
            let greatest = bound(super::bucket(number));
            assert!(greatest >= number && greatest <= number + number / 4);
        }
    }

    #[test]
    fn quantiles_are_upper_bounds_and_never_above_the_maximum() {
        let mut spread = Spread::default();
        assert_eq!(spread.to_json(), api::set::Spread::default());
        for number in 1..=100 {
            spread.add(number);
        }
        let json = spread.to_json();
        assert_eq!((json.sum, json.max), (5_050, 100));
        assert!((50..=62).contains(&json.p50), "{json:?}");
        assert!((90..=100).contains(&json.p90), "{json:?}");
        assert!((99..=100).contains(&json.p99), "{json:?}");
    }

    #[test]
    fn two_spreads_joined_are_one_that_counted_everything() {
        let (mut one, mut other, mut all) = <(Spread, Spread, Spread)>::default();
        for number in 0..500_u64 {
            let number = number * number;
            if number % 3 == 0 {
                &mut one
            } else {
                &mut other
            }
            .add(number);
            all.add(number);
        }
        one.join(&other);
        assert_eq!(one, all);
    }
}
