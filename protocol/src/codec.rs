//! Canonical bytes: field elements, points, and the Borsh glue around them.
//!
//! A field element is 32 bytes little-endian and below p; a larger integer is refused, never reduced
//! (`protocol.md`, "Domain, keys, signatures"; review finding H9). Structures use Borsh: little-endian integers,
//! `u32` lengths, no padding, no trailing bytes ([`from_bytes`]).

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField};
use borsh::{BorshDeserialize, BorshSerialize};

/// Why bytes are not an encoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field element of p or more.
    #[error("field element is not canonical: it must be below the BN254 scalar modulus")]
    NonCanonicalField,
    /// Borsh refused the bytes: short, trailing, or a value out of range.
    #[error("malformed bytes: {0}")]
    Malformed(String),
}

/// 32 bytes, little-endian.
#[must_use]
pub fn field_to_le_bytes(value: &Fr) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (target, limb) in bytes.chunks_exact_mut(8).zip(value.into_bigint().0) {
        target.copy_from_slice(&limb.to_le_bytes());
    }
    bytes
}

/// 32 bytes, big-endian: the form of contracts.
#[must_use]
pub fn field_to_be_bytes(value: &Fr) -> [u8; 32] {
    let mut bytes = field_to_le_bytes(value);
    bytes.reverse();
    bytes
}

/// Field element of 32 little-endian bytes.
///
/// # Errors
/// [`DecodeError::NonCanonicalField`] if the integer is p or more.
pub fn field_from_le_bytes(bytes: &[u8; 32]) -> Result<Fr, DecodeError> {
    integer_to_field(integer_from_le_bytes(bytes)).ok_or(DecodeError::NonCanonicalField)
}

/// Field element of 32 big-endian bytes.
///
/// # Errors
/// [`DecodeError::NonCanonicalField`] if the integer is p or more.
pub fn field_from_be_bytes(bytes: &[u8; 32]) -> Result<Fr, DecodeError> {
    let mut le = *bytes;
    le.reverse();
    field_from_le_bytes(&le)
}

/// The integer of 32 big-endian bytes mod p. Only for hashes that the protocol defines as reduced.
#[must_use]
pub fn field_from_be_bytes_mod_order(bytes: &[u8; 32]) -> Fr {
    Fr::from_be_bytes_mod_order(bytes)
}

/// 256-bit integer of little-endian bytes.
pub fn integer_from_le_bytes(bytes: &[u8; 32]) -> BigInt<4> {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = chunk
            .iter()
            .rev()
            .fold(0, |value: u64, byte| (value << 8) | u64::from(*byte));
    }
    BigInt::new(limbs)
}

/// Field element of an integer below p, else `None`.
#[must_use]
pub fn integer_to_field(integer: BigInt<4>) -> Option<Fr> {
    Fr::from_bigint(integer)
}

/// The lowest `bits` bits of `value`, and the rest shifted down: the split of a 254-bit value over two words.
pub fn split_low(value: &Fr, bits: u32) -> (BigInt<4>, u64) {
    let integer = value.into_bigint();
    let high = integer >> bits;
    let mut low = integer;
    low.sub_with_borrow(&(high << bits));
    (low, high.0.first().copied().unwrap_or(0))
}

/// Borsh bytes of `value`.
#[must_use]
pub fn to_bytes<T: BorshSerialize>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("writing to a Vec cannot fail, and every length here fits u32")
}

/// Value of exactly these Borsh bytes.
///
/// # Errors
/// [`DecodeError::Malformed`] if they are short, carry trailing bytes or hold a value out of range.
pub fn from_bytes<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::try_from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}

/// Borsh form of [`Fr`], for `#[borsh(serialize_with, deserialize_with)]`.
pub mod borsh_field {
    use std::io::{Error, ErrorKind, Read, Result, Write};

    use ark_bn254::Fr;

    /// Writes 32 little-endian bytes.
    ///
    /// # Errors
    /// The writer's.
    pub fn serialize<W: Write>(value: &Fr, writer: &mut W) -> Result<()> {
        writer.write_all(&super::field_to_le_bytes(value))
    }

    /// Reads 32 little-endian bytes below p.
    ///
    /// # Errors
    /// The reader's, or `InvalidData` if the value is not canonical.
    pub fn deserialize<R: Read>(reader: &mut R) -> Result<Fr> {
        let mut bytes = [0; 32];
        reader.read_exact(&mut bytes)?;
        super::field_from_le_bytes(&bytes)
            .map_err(|error| Error::new(ErrorKind::InvalidData, error.to_string()))
    }
}

/// `abi.encode` of a string followed by 32-byte words: the preimages that contracts hash.
///
/// Layout (Solidity ABI): offset of the string, the words, its length, its bytes padded to 32.
#[must_use]
pub fn abi_encode_tagged(name: &str, words: &[[u8; 32]]) -> Vec<u8> {
    let integer = |value: usize| {
        let mut word = [0_u8; 32];
        if let Some(low) = word.last_chunk_mut::<8>() {
            *low = u64::try_from(value).unwrap_or(u64::MAX).to_be_bytes();
        }
        word
    };
    let mut bytes = Vec::with_capacity(32 * (words.len() + 3) + name.len());
    bytes.extend_from_slice(&integer(32 * (words.len() + 1)));
    for word in words {
        bytes.extend_from_slice(word);
    }
    bytes.extend_from_slice(&integer(name.len()));
    bytes.extend_from_slice(name.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes
}

/// A `u128` as a 32-byte big-endian word.
#[must_use]
pub fn abi_word(value: u128) -> [u8; 32] {
    let mut word = [0; 32];
    if let Some(low) = word.last_chunk_mut::<16>() {
        *low = value.to_be_bytes();
    }
    word
}

/// `0x` and two lower-case digits a byte.
pub(crate) fn display_hex(bytes: &[u8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    write!(f, "0x")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use ark_ff::{AdditiveGroup, Field};

    use super::*;

    #[test]
    fn modulus_and_above_are_refused() {
        let mut bytes = field_to_le_bytes(&-Fr::ONE);
        assert_eq!(field_from_le_bytes(&bytes), Ok(-Fr::ONE));
        bytes[0] += 1;
        assert_eq!(
            field_from_le_bytes(&bytes),
            Err(DecodeError::NonCanonicalField)
        );
        assert_eq!(
            field_from_be_bytes(&[0xff; 32]),
            Err(DecodeError::NonCanonicalField)
        );
        assert_eq!(field_from_be_bytes(&[0; 32]), Ok(Fr::ZERO));
    }

    #[test]
    fn split_is_exact() {
        let (low, high) = split_low(&-Fr::ONE, 248);
        let back = Fr::from_bigint(low).unwrap() + Fr::from(high) * Fr::from(2_u64).pow([248]);
        assert_eq!(back, -Fr::ONE);
        assert!(low.num_bits() <= 248 && high < 64);
    }

    #[test]
    fn abi_of_a_string_and_a_number_is_solidity() {
        // abi.encode("hi", uint256(7))
        let expected = format!("{:064x}{:064x}{:064x}{:0<64}", 64, 7, 2, hex::encode("hi"));
        assert_eq!(
            hex::encode(abi_encode_tagged("hi", &[abi_word(7)])),
            expected
        );
    }
}
