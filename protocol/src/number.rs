//! Newtypes for every number the protocol names, and the decimal floats of published amounts
//! (`protocol.md`, "Amounts").

use borsh::{BorshDeserialize, BorshSerialize};

use crate::params::{BALANCE_LIMIT, EPOCH_HEIGHTS};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
        )]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// Position of a leaf in the state tree, handed out in order and never reused.
    LeafIndex(u32)
);
number!(
    /// A token registered on the base layer; 0 is its native coin.
    TokenId(u32)
);
number!(
    /// Count of signed operations of one leaf; 40 bits.
    Nonce(u64)
);
number!(
    /// Position of a block in the chain; genesis is 0.
    Height(u64)
);
number!(
    /// One attempt to decide a height, from 0.
    Round(u32)
);
number!(
    /// Interval of heights with one validator set, from 0.
    Epoch(u64)
);
number!(
    /// Position of a batch; the first is 1.
    BatchNumber(u64)
);
number!(
    /// Position of a chunk inside its batch, from 0.
    ChunkIndex(u32)
);

impl Epoch {
    /// The epoch of a height: heights 1 to `EPOCH_HEIGHTS` are epoch 0; genesis belongs to it too.
    #[must_use]
    pub fn of(height: Height) -> Self {
        Self(height.0.saturating_sub(1) / EPOCH_HEIGHTS)
    }
}

/// An exact amount below 2^120 in base units of its token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct Amount(u128);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// The amount, if it is below 2^120.
    #[must_use]
    pub fn new(value: u128) -> Option<Self> {
        (value < BALANCE_LIMIT).then_some(Self(value))
    }

    /// The integer.
    #[must_use]
    pub fn get(self) -> u128 {
        self.0
    }

    /// Sum, if it is below 2^120.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::new)
    }

    /// Difference, if it is not negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl BorshDeserialize for Amount {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        Self::new(u128::deserialize_reader(reader)?).ok_or_else(|| {
            std::io::Error::new(std::io::ErrorKind::InvalidData, "amount of 2^120 or more")
        })
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A decimal float: `mantissa * 10^exponent`, the exponent in the low 5 bits.
///
/// The encoder uses the smallest exponent that holds the amount; decoders take any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Float<const MANTISSA_BITS: u32>;

/// Bits of a float's exponent.
pub const FLOAT_EXPONENT_BITS: u32 = 5;
/// Bits of a published amount's mantissa.
pub const AMOUNT_MANTISSA_BITS: u32 = 30;
/// Bits of a published fee's mantissa.
pub const FEE_MANTISSA_BITS: u32 = 8;

impl<const MANTISSA_BITS: u32> Float<MANTISSA_BITS> {
    fn encode(amount: Amount) -> Option<u64> {
        let mut mantissa = amount.get();
        for exponent in 0..(1_u64 << FLOAT_EXPONENT_BITS) {
            if mantissa < (1 << MANTISSA_BITS) {
                return u64::try_from(mantissa)
                    .ok()
                    .map(|mantissa| exponent | (mantissa << FLOAT_EXPONENT_BITS));
            }
            if !mantissa.is_multiple_of(10) {
                return None;
            }
            mantissa /= 10; // exact: the remainder is 0
        }
        None
    }

    fn decode(bits: u64) -> Option<Amount> {
        if bits >> (MANTISSA_BITS + FLOAT_EXPONENT_BITS) != 0 {
            return None;
        }
        let exponent = u32::try_from(bits & 31).ok()?;
        let mantissa = u128::from(bits >> FLOAT_EXPONENT_BITS);
        if mantissa == 0 {
            return Some(Amount::ZERO);
        }
        10_u128
            .checked_pow(exponent)?
            .checked_mul(mantissa)
            .and_then(Amount::new)
    }

    /// Rounds down to the nearest amount a float holds.
    fn floor(amount: Amount) -> Amount {
        let mut scale = 1_u128;
        let mut mantissa = amount.get();
        while mantissa >= (1 << MANTISSA_BITS) {
            mantissa /= 10; // rounds down, as documented
            scale = scale.saturating_mul(10);
        }
        Amount(mantissa.saturating_mul(scale))
    }
}

/// 35-bit float of `amount` with the smallest exponent; `None` if no float holds it.
#[must_use]
pub fn encode_amount(amount: Amount) -> Option<u64> {
    Float::<AMOUNT_MANTISSA_BITS>::encode(amount)
}

/// Amount of a 35-bit float; `None` if more than 35 bits are set or the amount is 2^120 or more.
#[must_use]
pub fn decode_amount(bits: u64) -> Option<Amount> {
    Float::<AMOUNT_MANTISSA_BITS>::decode(bits)
}

/// The largest amount at most `amount` that a 35-bit float holds.
#[must_use]
pub fn floor_amount(amount: Amount) -> Amount {
    Float::<AMOUNT_MANTISSA_BITS>::floor(amount)
}

/// 13-bit float of `fee` with the smallest exponent; `None` if no float holds it.
#[must_use]
pub fn encode_fee(fee: Amount) -> Option<u64> {
    Float::<FEE_MANTISSA_BITS>::encode(fee)
}

/// Fee of a 13-bit float; `None` if more than 13 bits are set.
#[must_use]
pub fn decode_fee(bits: u64) -> Option<Amount> {
    Float::<FEE_MANTISSA_BITS>::decode(bits)
}

/// The largest fee at most `fee` that a 13-bit float holds.
#[must_use]
pub fn floor_fee(fee: Amount) -> Amount {
    Float::<FEE_MANTISSA_BITS>::floor(fee)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn floats_round_trip(mantissa in 0_u128..1 << 30, exponent in 0_u32..27) {
            let amount = Amount::new(mantissa * 10_u128.pow(exponent)).unwrap();
            let bits = encode_amount(amount).unwrap();
            prop_assert_eq!(decode_amount(bits), Some(amount));
            prop_assert_eq!(floor_amount(amount), amount);
        }

        #[test]
        fn floor_is_below_and_within_one_part_in_ten_to_the_eight(value in 1_u128..BALANCE_LIMIT) {
            let amount = Amount::new(value).unwrap();
            let floor = floor_amount(amount);
            prop_assert!(floor <= amount);
            prop_assert!(encode_amount(floor).is_some());
            prop_assert!(amount.get() - floor.get() <= amount.get() / 100_000_000);
        }

        #[test]
        fn decoding_never_panics(bits: u64) {
            let _ = (decode_amount(bits), decode_fee(bits));
        }
    }

    #[test]
    fn boundaries() {
        assert_eq!(
            encode_amount(Amount::new((1 << 30) - 1).unwrap()),
            Some(((1 << 30) - 1) << 5)
        );
        assert_eq!(encode_amount(Amount::new((1 << 30) + 1).unwrap()), None);
        assert_eq!(decode_amount(((1 << 30) - 1) << 5 | 31), None, "133 bits");
        assert_eq!(decode_amount(1 << 35), None);
        assert_eq!(
            decode_fee((255 << 5) | 31).map(Amount::get),
            Some(255 * 10_u128.pow(31))
        );
        assert_eq!(Amount::new(BALANCE_LIMIT), None);
    }
}
