//! The one place where field elements cross between arkworks (`protocol`) and halo2curves (circuits).
//!
//! Both libraries represent the BN254 scalar field; only the Rust types differ. Values cross as
//! canonical integers in four 64-bit limbs, least significant first, so no conversion can reduce.

use ark_ff::PrimeField as ArkPrimeField;
use ff::PrimeField;
use halo2curves::bn256::Fr;

/// The scalar field element as arkworks sees it.
pub type NativeField = ark_bn254::Fr;

/// Converts a native (arkworks) element into a circuit element.
#[must_use]
pub fn to_circuit(value: NativeField) -> Fr {
    Fr::from_raw(value.into_bigint().0)
}

/// Converts a circuit element into a native (arkworks) element.
#[must_use]
pub fn to_native(value: Fr) -> NativeField {
    NativeField::new(ark_ff::BigInt::new(limbs(value)))
}

/// The canonical integer of an element in four 64-bit limbs, least significant first.
#[must_use]
pub fn limbs(value: Fr) -> [u64; 4] {
    let repr = value.to_repr();
    let mut out = [0u64; 4];
    for (limb, chunk) in out.iter_mut().zip(repr.as_ref().chunks_exact(8)) {
        *limb = chunk
            .iter()
            .rev()
            .fold(0, |acc, byte| (acc << 8) | u64::from(*byte));
    }
    out
}

/// The element whose canonical integer is `value`.
#[must_use]
pub fn from_u128(value: u128) -> Fr {
    Fr::from_raw([value as u64, (value >> 64) as u64, 0, 0])
}

/// `2^exponent` as a field element.
#[must_use]
pub fn power_of_two(exponent: u32) -> Fr {
    let mut out = Fr::one();
    for _ in 0..exponent {
        out = out.double();
    }
    out
}

/// `count` bits (at most 64) of the canonical integer of `value`, starting at bit `start`.
#[must_use]
pub fn bits(value: &[u64; 4], start: usize, count: usize) -> u64 {
    let mut out = 0;
    for offset in 0..count {
        let at = start + offset;
        let bit = if at < 256 {
            (value[at / 64] >> (at % 64)) & 1
        } else {
            0
        };
        out |= bit << offset;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_round_trips_at_the_boundaries() {
        let minus_one = -Fr::one();
        for value in [
            Fr::zero(),
            Fr::one(),
            minus_one,
            power_of_two(120),
            power_of_two(253),
        ] {
            assert_eq!(to_circuit(to_native(value)), value);
        }
        assert_eq!(to_native(minus_one), -NativeField::from(1u64));
        assert_eq!(limbs(power_of_two(64)), [0, 1, 0, 0]);
        assert_eq!(bits(&limbs(from_u128(0b1011 << 62)), 61, 6), 0b10110);
    }
}
