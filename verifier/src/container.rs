//! The outside of every file that `quorate verify` reads.
//!
//! ```text
//! magic (8) | format version u32 | body length u64 | body (Borsh) | keccak256 of all before (32)
//! ```
//!
//! Integers are little-endian. Invariants: one spelling per content; a longer file than the limit is not looked at; the
//! checksum is compared before the body is decoded. What this module does not do: believe the body.

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    codec::{from_bytes, to_bytes},
    hash::keccak256,
};

const HEADER_BYTES: usize = 20;
const CHECKSUM_BYTES: usize = 32;

/// Why a file is not accepted, grouped by exit code of `quorate verify`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The bytes are not such a file, or were damaged. Exit code 4.
    #[error("corrupt: {0}")]
    Corrupt(String),
    /// Another format or circuit version. Exit code 5.
    #[error("incompatible version: {0}")]
    Version(String),
    /// A well-formed file that does not show what it says. Exit code 1.
    #[error("invalid: {0}")]
    Invalid(String),
}

impl FileError {
    /// Exit code of `quorate verify`.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Invalid(_) => 1,
            Self::Corrupt(_) => 4,
            Self::Version(_) => 5,
        }
    }
}

/// One kind of file.
#[derive(Clone, Copy, Debug)]
pub struct Container {
    /// First bytes of every file of this kind.
    pub magic: [u8; 8],
    /// Version of the layout.
    pub version: u32,
    /// Largest file that is read.
    pub bytes_max: usize,
    /// What the kind is called in messages.
    pub noun: &'static str,
}

impl Container {
    /// Whether the bytes start as a file of this kind.
    #[must_use]
    pub fn is_start_of(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(&self.magic)
    }

    /// The file around this body.
    #[must_use]
    pub fn encode<T: BorshSerialize>(&self, body: &T) -> Vec<u8> {
        let body = to_bytes(body);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len() + CHECKSUM_BYTES);
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&u64::try_from(body.len()).unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend_from_slice(&body);
        let checksum = keccak256(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// The body of a file.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] or [`FileError::Version`].
    pub fn decode<T: BorshDeserialize>(&self, bytes: &[u8]) -> Result<T, FileError> {
        let corrupt = |what: &str| FileError::Corrupt(what.to_owned());
        let noun = self.noun;
        if bytes.len() > self.bytes_max {
            return Err(corrupt(&format!("larger than any {noun}")));
        }
        let rest = bytes
            .strip_prefix(&self.magic)
            .ok_or_else(|| corrupt(&format!("it does not start as a {noun}")))?;
        let (version, rest) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| corrupt("the header is cut off"))?;
        let version = u32::from_le_bytes(*version);
        if version != self.version {
            return Err(FileError::Version(format!(
                "{noun} format {version}, this program reads {}",
                self.version
            )));
        }
        let (length, rest) = rest
            .split_first_chunk::<8>()
            .ok_or_else(|| corrupt("the header is cut off"))?;
        let (body, checksum) = rest
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or_else(|| corrupt("the checksum is cut off"))?;
        if u64::try_from(body.len()) != Ok(u64::from_le_bytes(*length)) {
            return Err(corrupt("its length differs from the header's"));
        }
        let covered = bytes
            .get(..bytes.len().saturating_sub(CHECKSUM_BYTES))
            .unwrap_or(&[]);
        if keccak256(covered) != *checksum {
            return Err(corrupt("the checksum does not match: the file was damaged"));
        }
        from_bytes(body).map_err(|error| FileError::Corrupt(error.to_string()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const NUMBERS: Container = Container {
        magic: *b"QRNUMBER",
        version: 3,
        bytes_max: 80,
        noun: "number",
    };

    /// Every flipped byte, every shorter and one longer file is refused with the documented exit code.
    pub(crate) fn assert_damage_is_seen(bytes: &[u8], refused: impl Fn(&[u8]) -> Option<u8>) {
        for place in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[place] ^= 1;
            let expected = if (8..12).contains(&place) { 5 } else { 4 };
            assert_eq!(refused(&damaged), Some(expected), "byte {place}");
        }
        for length in 0..bytes.len() {
            assert_eq!(refused(&bytes[..length]), Some(4), "cut at {length}");
        }
        assert_eq!(refused(&[bytes, &[0]].concat()), Some(4));
    }

    #[test]
    fn files_have_one_spelling_and_a_limit() {
        let bytes = NUMBERS.encode(&7_u64);
        assert!(NUMBERS.is_start_of(&bytes));
        assert_eq!(NUMBERS.decode::<u64>(&bytes), Ok(7));
        assert_damage_is_seen(&bytes, |bytes| {
            let decoded = NUMBERS.decode::<u64>(bytes);
            decoded.err().map(|error| error.exit_code())
        });
        let long = NUMBERS.encode(&[7_u64; 4]);
        assert_eq!(
            NUMBERS.decode::<[u64; 4]>(&long),
            Err(FileError::Corrupt("larger than any number".to_owned()))
        );
        // a right checksum over a body of another shape
        let short = NUMBERS.encode(&7_u32);
        assert_eq!(NUMBERS.decode::<u64>(&short).unwrap_err().exit_code(), 4);
    }
}
