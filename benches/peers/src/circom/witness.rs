//! circom's `.wtns` file: a value for each wire of a circuit.

use std::path::Path;

use ark_bn254::Fr;

use super::binary::{self, FIELD_BYTES, FormatError, Sections};

const MAGIC: [u8; 4] = *b"wtns";
const VERSION: u32 = 2;
const HEADER: u32 = 1;
const VALUES: u32 = 2;

/// Reads the values of a file.
///
/// # Errors
/// [`FormatError`].
pub fn read(path: &Path) -> Result<Vec<Fr>, FormatError> {
    parse(&binary::read_file(path)?)
}

/// Reads the bytes of a file.
///
/// # Errors
/// [`FormatError`].
pub fn parse(bytes: &[u8]) -> Result<Vec<Fr>, FormatError> {
    let sections = Sections::parse(bytes, MAGIC, VERSION)?;
    let mut header = sections.one(HEADER)?;
    header.prime()?;
    let count = header.u32("number of values")?;
    header.end("the header")?;
    let mut section = sections.one(VALUES)?;
    let count = section.fits("number of values", count, FIELD_BYTES)?;
    let mut values = Vec::with_capacity(count);
    for index in 0..count {
        values.push(section.field("value", index)?);
    }
    section.end("the values")?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use ark_ff::{BigInteger, One, PrimeField};

    use super::*;

    fn file(count: u32, values: &[[u8; 32]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(2_u32.to_le_bytes());
        bytes.extend(HEADER.to_le_bytes());
        bytes.extend(40_u64.to_le_bytes());
        bytes.extend(32_u32.to_le_bytes());
        bytes.extend(Fr::MODULUS.to_bytes_le());
        bytes.extend(count.to_le_bytes());
        bytes.extend(VALUES.to_le_bytes());
        bytes.extend((32 * values.len() as u64).to_le_bytes());
        bytes.extend(values.as_flattened());
        bytes
    }

    fn small(value: u8) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = value;
        bytes
    }

    #[test]
    fn values_are_read_in_order() {
        let values = parse(&file(2, &[small(1), small(9)])).unwrap();
        assert_eq!(values, [Fr::one(), Fr::from(9_u64)]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = file(2, &[small(1), small(9)]);
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_count_beyond_the_bytes_is_refused_before_memory_is_taken() {
        let error = parse(&file(u32::MAX, &[small(1)])).unwrap_err();
        assert!(
            matches!(error, FormatError::TooMany { limit: 1, .. }),
            "{error}"
        );
        let error = parse(&file(1, &[small(1), small(2)])).unwrap_err();
        assert!(
            matches!(error, FormatError::Trailing { count: 32, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_value_of_the_prime_is_refused() {
        let mut prime = [0; 32];
        prime.copy_from_slice(&Fr::MODULUS.to_bytes_le());
        let error = parse(&file(2, &[small(1), prime])).unwrap_err();
        assert!(
            matches!(error, FormatError::NotCanonical { index: 1 }),
            "{error}"
        );
    }

    #[test]
    fn another_field_magic_or_version_is_refused() {
        let whole = file(1, &[small(1)]);
        let changed = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            parse(&bytes).unwrap_err()
        };
        assert!(matches!(changed(0), FormatError::Magic { .. }));
        assert!(matches!(changed(4), FormatError::Unexpected { .. }));
        assert!(matches!(changed(24), FormatError::Unexpected { .. }));
        assert!(matches!(changed(28), FormatError::Field));
    }
}
