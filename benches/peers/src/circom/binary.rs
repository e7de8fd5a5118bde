//! The container that circom's files share: a magic word, a version, then sections with a kind and a length.
//!
//! The bytes may be anybody's. Every read says where the file ended too early, a count is compared with the bytes
//! that are left before memory is taken for it, and lengths of sections must add up to the file's.

use std::path::{Path, PathBuf};

use ark_bn254::Fr;
use ark_ff::{BigInteger, PrimeField};

/// Largest file that is read: a circuit of 2^20 constraints has half a gigabyte.
pub const FILE_BYTES_MAX: u64 = 4 << 30;

/// Sections of a file; circom writes five.
const SECTIONS_MAX: u32 = 16;

/// Bytes of a field element.
pub const FIELD_BYTES: usize = 32;

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file cannot be read.
    #[error(
        "cannot read {path}: {source}; compile the circuit first: make -C benches/peers compile"
    )]
    Unreadable {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is larger than any circuit that this machine could prove.
    #[error("{path} has {bytes} bytes, at most {FILE_BYTES_MAX} are read")]
    TooLarge {
        /// Where it is.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file ends inside of something.
    #[error("{what}: {wanted} bytes wanted at byte {at}, {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where.
        at: usize,
        /// Bytes it needs.
        wanted: u64,
        /// Bytes there are.
        left: usize,
    },
    /// The first bytes are another format's.
    #[error("the file begins with {found:?}, not with {expected:?}")]
    Magic {
        /// What the format begins with.
        expected: [u8; 4],
        /// What the file begins with.
        found: [u8; 4],
    },
    /// A number is not one that this reader knows.
    #[error("{what} is {found}, expected {expected}")]
    Unexpected {
        /// Which number.
        what: &'static str,
        /// What the reader knows.
        expected: u64,
        /// What the file says.
        found: u64,
    },
    /// A count is larger than what it counts can be.
    #[error("{what} is {found}, at most {limit} fit")]
    TooMany {
        /// Which count.
        what: &'static str,
        /// What the file says.
        found: u64,
        /// What could be there.
        limit: u64,
    },
    /// A section is missing or there twice.
    #[error("section {kind} is there {found} times, expected once")]
    Sections {
        /// Its kind.
        kind: u32,
        /// How often it is there.
        found: usize,
    },
    /// Bytes are left where nothing should be.
    #[error("{count} bytes follow {what}")]
    Trailing {
        /// The last thing known.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// The file is about another field.
    #[error("the file's prime is not the order of BN254; compile with --prime bn128")]
    Field,
    /// An element is the prime or more.
    #[error("element {index} is not below the prime")]
    NotCanonical {
        /// Its place: of a constraint's term or of a witness value.
        index: usize,
    },
}

/// Reads a file of limited size.
///
/// # Errors
/// [`FormatError::Unreadable`] or [`FormatError::TooLarge`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, FormatError> {
    let unreadable = |source| FormatError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        let path = path.to_owned();
        return Err(FormatError::TooLarge { path, bytes });
    }
    std::fs::read(path).map_err(unreadable)
}

/// A place in bytes that are read from the front.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes, as a cursor of their own.
    ///
    /// # Errors
    /// [`FormatError::Truncated`].
    pub fn part(&mut self, what: &'static str, count: u64) -> Result<Self, FormatError> {
        let at = self.at;
        let bytes = usize::try_from(count).ok();
        let split = bytes.and_then(|bytes| self.rest.split_at_checked(bytes));
        let Some((part, rest)) = split else {
            return Err(FormatError::Truncated {
                what,
                at,
                wanted: count,
                left: self.rest.len(),
            });
        };
        self.rest = rest;
        self.at += part.len();
        Ok(Self { rest: part, at })
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`FormatError::Truncated`].
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], FormatError> {
        let part = self.part(what, N as u64)?;
        let mut array = [0; N];
        array.copy_from_slice(part.rest);
        Ok(array)
    }

    /// A 32-bit number, least significant byte first.
    ///
    /// # Errors
    /// [`FormatError::Truncated`].
    pub fn u32(&mut self, what: &'static str) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// A 64-bit number, least significant byte first.
    ///
    /// # Errors
    /// [`FormatError::Truncated`].
    pub fn u64(&mut self, what: &'static str) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// A field element as its canonical integer, least significant byte first.
    ///
    /// # Errors
    /// [`FormatError::Truncated`]; [`FormatError::NotCanonical`] with `index`.
    pub fn field(&mut self, what: &'static str, index: usize) -> Result<Fr, FormatError> {
        let bytes: [u8; FIELD_BYTES] = self.array(what)?;
        let integer = protocol::codec::integer_from_le_bytes(&bytes);
        Fr::from_bigint(integer).ok_or(FormatError::NotCanonical { index })
    }

    /// A count of things that have at least `bytes_each`, all of which are still to come.
    ///
    /// # Errors
    /// [`FormatError::TooMany`].
    pub fn fits(
        &self,
        what: &'static str,
        count: u32,
        bytes_each: usize,
    ) -> Result<usize, FormatError> {
        let limit = (self.rest.len() / bytes_each) as u64;
        match usize::try_from(count) {
            Ok(fitting) if u64::from(count) <= limit => Ok(fitting),
            _ => Err(FormatError::TooMany {
                what,
                found: count.into(),
                limit,
            }),
        }
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// [`FormatError::Trailing`].
    pub fn end(self, what: &'static str) -> Result<(), FormatError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(FormatError::Trailing { what, count }),
        }
    }

    /// The bytes of a field element and the prime, which must be BN254's.
    ///
    /// # Errors
    /// [`FormatError::Unexpected`], [`FormatError::Field`], [`FormatError::Truncated`].
    pub fn prime(&mut self) -> Result<(), FormatError> {
        let found = u64::from(self.u32("size of a field element")?);
        let expected = FIELD_BYTES as u64;
        expect("size of a field element", expected, found)?;
        let prime: [u8; FIELD_BYTES] = self.array("prime")?;
        if prime[..] == Fr::MODULUS.to_bytes_le()[..] {
            Ok(())
        } else {
            Err(FormatError::Field)
        }
    }
}

/// A number has the value that this reader knows.
///
/// # Errors
/// [`FormatError::Unexpected`].
pub fn expect(what: &'static str, expected: u64, found: u64) -> Result<(), FormatError> {
    if expected == found {
        Ok(())
    } else {
        Err(FormatError::Unexpected {
            what,
            expected,
            found,
        })
    }
}

/// The sections of a file, by kind.
#[derive(Debug)]
pub struct Sections<'a>(Vec<(u32, Cursor<'a>)>);

impl<'a> Sections<'a> {
    /// Reads the frame of a file.
    ///
    /// # Errors
    /// Any but the ones about files and elements.
    pub fn parse(bytes: &'a [u8], magic: [u8; 4], version: u32) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bytes);
        let found: [u8; 4] = cursor.array("magic word")?;
        if found != magic {
            return Err(FormatError::Magic {
                expected: magic,
                found,
            });
        }
        let stated = cursor.u32("version")?;
        expect("version", version.into(), stated.into())?;
        let count = cursor.u32("number of sections")?;
        if count > SECTIONS_MAX {
            return Err(FormatError::TooMany {
                what: "number of sections",
                found: count.into(),
                limit: SECTIONS_MAX.into(),
            });
        }
        let mut sections = Vec::new();
        for _ in 0..count {
            let kind = cursor.u32("kind of a section")?;
            let length = cursor.u64("length of a section")?;
            sections.push((kind, cursor.part("section", length)?));
        }
        cursor.end("the last section")?;
        Ok(Self(sections))
    }

    /// The one section of a kind.
    ///
    /// # Errors
    /// [`FormatError::Sections`].
    pub fn one(&self, kind: u32) -> Result<Cursor<'a>, FormatError> {
        let found: Vec<_> = self.0.iter().filter(|(other, _)| *other == kind).collect();
        match found[..] {
            [(_, section)] => Ok(section.clone()),
            _ => Err(FormatError::Sections {
                kind,
                found: found.len(),
            }),
        }
    }

    /// Whether a section of this kind has any bytes.
    #[must_use]
    pub fn has(&self, kind: u32) -> bool {
        let mut all = self.0.iter();
        all.any(|(other, section)| *other == kind && section.left() > 0)
    }
}
