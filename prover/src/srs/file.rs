//! A file of unknown origin: which of the formats it is, what its bytes hash to, and every check of its format.
//!
//! | format | told by |
//! |---|---|
//! | snarkjs `.ptau` | its first four bytes |
//! | a file of the cache | its first eight bytes |
//! | raw halo2 parameters | its k, whose two possible lengths are compared with the file's |
//!
//! Invariants: a pinned hash is compared before any point is looked at; what [`look_at_file`] returns was read and not
//! checked, and says so; what [`check_file`] and [`ReferenceString::import_file`] return passed every check.
//!
//! What it does not do: decide whether a string may be used ([`ReferenceString::check_allowed`]).

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use halo2curves::bn256::G2Affine;
use rand::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};

use super::error::{FileDefect, SrsError};
use super::point::{G2_BYTES, G2_COMPRESSED_BYTES, canonical_g2, decode, decompress};
use super::{
    K_MAX, K_MIN, RawFormat, ReferenceString, StringKind, cache, ceremony, check_size, ptau, raw,
};
use crate::sealed::{self, Content};

/// Longest start of a file that tells its format.
const HEAD_BYTES: usize = 8;

/// What kind of file holds a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Powers of tau, as snarkjs writes them.
    Ptau,
    /// halo2's parameters.
    Halo2(RawFormat),
    /// A file of [`super::StringCache`].
    Cached,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ptau => "ptau",
            Self::Halo2(RawFormat::Uncompressed) => "halo2",
            Self::Halo2(RawFormat::Compressed) => "halo2-compressed",
            Self::Cached => "cached",
        })
    }
}

/// Hashes of a whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHashes {
    /// SHA-256.
    pub sha256: [u8; 32],
    /// BLAKE2b-512, which ceremonies publish.
    pub blake2b: [u8; 64],
}

/// The hash that a file must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePin {
    /// SHA-256.
    Sha256([u8; 32]),
    /// BLAKE2b-512.
    Blake2b([u8; 64]),
}

impl std::str::FromStr for FilePin {
    type Err = String;

    /// Reads 64 or 128 hex digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a SHA-256 has 64 hex digits, a BLAKE2b-512 has 128".to_owned();
        let bytes = hex::decode(text).map_err(|_| wrong())?;
        if let Ok(sha256) = bytes.as_slice().try_into() {
            return Ok(Self::Sha256(sha256));
        }
        let blake2b = bytes.as_slice().try_into().map_err(|_| wrong())?;
        Ok(Self::Blake2b(blake2b))
    }
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedFile {
    /// Which kind of file it is.
    pub format: FileFormat,
    /// Bytes.
    pub len_bytes: u64,
    /// Its hashes.
    pub hashes: FileHashes,
    /// Largest k that it serves, above this project's limit as well.
    pub k: u32,
    /// What is known about its secret.
    pub kind: StringKind,
    /// `[s]_2` as [`ReferenceString::s_g2_bytes`] has it.
    pub s_g2: [u8; 128],
    /// Contributions that a `.ptau` file records; not replayed.
    pub contribution_count: Option<u32>,
    /// Whether all points were checked, and not only read.
    pub is_checked: bool,
}

/// A file that is open at its start.
struct Opened<'a> {
    path: &'a Path,
    file: File,
    format: FileFormat,
    len_bytes: u64,
    hashes: FileHashes,
}

/// Checks all of a file; the Lagrange form of a `.ptau` file is not computed.
///
/// # Errors
/// `InvalidFile` naming the defect, `CorruptCache` for a file of the cache, `UnavailableFile`.
pub fn check_file(
    path: &Path,
    pin: Option<&FilePin>,
    rng: &mut (impl RngCore + CryptoRng),
) -> Result<CheckedFile, SrsError> {
    let mut opened = Opened::new(path, pin)?;
    if opened.format != FileFormat::Ptau {
        let string = opened.import_points(rng)?;
        return Ok(opened.found(string.k(), &string.params.s_g2(), None, true));
    }
    let checked = ptau::read(&mut opened.file, path, Some(K_MIN), rng)?;
    let contributions = Some(checked.contribution_count);
    Ok(opened.found(checked.power, &checked.s_g2, contributions, true))
}

/// Reads what a file says of itself. Its hashes are computed, its points are not checked.
///
/// # Errors
/// As [`check_file`], as far as a look can tell.
pub fn look_at_file(path: &Path, pin: Option<&FilePin>) -> Result<CheckedFile, SrsError> {
    let mut opened = Opened::new(path, pin)?;
    let (k, s_g2) = match opened.format {
        FileFormat::Ptau => ptau::look(&mut opened.file, path)?,
        FileFormat::Halo2(format) => opened.look_at_halo2(format)?,
        FileFormat::Cached => {
            let string = cache::open(path, K_MAX)?;
            (string.k(), string.params.s_g2())
        }
    };
    Ok(opened.found(k, &s_g2, None, false))
}

impl ReferenceString {
    /// Imports a file of any format after all of its checks; of a `.ptau` file the first `2^k` powers (without a `k` all
    /// of them, at most `2^`[`K_MAX`]), of the others all or, with a `k`, a shorter string.
    ///
    /// # Errors
    /// As [`check_file`]; `InvalidSize` and `InvalidTooShort` for a k that cannot be had.
    pub fn import_file(
        path: &Path,
        k: Option<u32>,
        pin: Option<&FilePin>,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<(Self, CheckedFile), SrsError> {
        if let Some(k) = k {
            check_size(k)?;
        }
        let mut opened = Opened::new(path, pin)?;
        if opened.format == FileFormat::Ptau {
            let checked = ptau::read(&mut opened.file, path, k, rng)?;
            let contributions = Some(checked.contribution_count);
            let found = opened.found(checked.power, &checked.s_g2, contributions, true);
            return Ok((Self::from_ptau(checked, path, rng)?, found));
        }
        let whole = opened.import_points(rng)?;
        let found = opened.found(whole.k(), &whole.params.s_g2(), None, true);
        let string = match k {
            Some(k) if k < whole.k() => whole.downsize(k)?,
            Some(k) if k > whole.k() => {
                return Err(SrsError::InvalidTooShort {
                    k,
                    available: whole.k(),
                    origin: path.display().to_string(),
                });
            }
            _ => whole,
        };
        Ok((string, found))
    }
}

impl<'a> Opened<'a> {
    fn new(path: &'a Path, pin: Option<&FilePin>) -> Result<Self, SrsError> {
        let unavailable = |action| {
            move |source| SrsError::UnavailableFile {
                path: path.to_path_buf(),
                action,
                source,
            }
        };
        let mut file = File::open(path).map_err(unavailable("open"))?;
        let measured = file.metadata().map_err(unavailable("measure"))?;
        if measured.is_dir() {
            return Err(unavailable("read")(io::ErrorKind::IsADirectory.into()));
        }
        let mut hasher = Hasher::default();
        let mut head = Vec::new();
        let mut start = Read::by_ref(&mut file).take(HEAD_BYTES as u64);
        start.read_to_end(&mut head).map_err(unavailable("read"))?;
        hasher.update(&head);
        io::copy(&mut file, &mut hasher).map_err(unavailable("read"))?;
        file.seek(SeekFrom::Start(0))
            .map_err(unavailable("rewind"))?;
        let hashes = hasher.finish();
        let invalid = |defect| SrsError::InvalidFile {
            path: path.to_path_buf(),
            defect,
        };
        if let Some(pin) = pin {
            check_pin(pin, &hashes).map_err(invalid)?;
        }
        let format = format_of(&head, measured.len()).map_err(invalid)?;
        Ok(Self {
            path,
            file,
            format,
            len_bytes: measured.len(),
            hashes,
        })
    }

    fn invalid(&self, defect: FileDefect) -> SrsError {
        SrsError::InvalidFile {
            path: self.path.to_path_buf(),
            defect,
        }
    }

    /// All points of a file that has both bases, every relation between them checked.
    fn import_points(
        &mut self,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<ReferenceString, SrsError> {
        let (k, points) = match self.format {
            FileFormat::Halo2(format) => {
                raw::read(&mut self.file, self.len_bytes, self.path, format, rng)?
            }
            FileFormat::Ptau | FileFormat::Cached => {
                let bytes_max = usize::try_from(self.len_bytes).unwrap_or(usize::MAX);
                let payload = sealed::load(self.path, Content::ReferenceString, bytes_max)?;
                let format = RawFormat::Uncompressed;
                let len_bytes = payload.len() as u64;
                raw::read(&mut payload.as_slice(), len_bytes, self.path, format, rng)?
            }
        };
        Ok(ReferenceString::from_points(k, points))
    }

    /// The k and `[s]_2` that a parameter file states; its length is known to be right.
    fn look_at_halo2(&mut self, format: RawFormat) -> Result<(u32, G2Affine), SrsError> {
        let length = match format {
            RawFormat::Uncompressed => G2_BYTES,
            RawFormat::Compressed => G2_COMPRESSED_BYTES,
        };
        let mut k = [0; 4];
        let mut last = vec![0; length];
        let place = SeekFrom::Start(self.len_bytes - length as u64);
        let read = self.file.read_exact(&mut k);
        read.and_then(|()| self.file.seek(place))
            .and_then(|_| self.file.read_exact(&mut last))
            .map_err(|source| SrsError::UnavailableFile {
                path: self.path.to_path_buf(),
                action: "read",
                source,
            })?;
        let point = match format {
            RawFormat::Uncompressed => decode(&last),
            RawFormat::Compressed => decompress(&last),
        };
        let list = "s_g2";
        let point = point.ok_or_else(|| self.invalid(FileDefect::Point { list, index: 0 }))?;
        Ok((u32::from_le_bytes(k), point))
    }

    fn found(
        &self,
        k: u32,
        s_g2: &G2Affine,
        contribution_count: Option<u32>,
        is_checked: bool,
    ) -> CheckedFile {
        CheckedFile {
            format: self.format,
            len_bytes: self.len_bytes,
            hashes: self.hashes.clone(),
            k,
            kind: ceremony::classify(s_g2),
            s_g2: canonical_g2(s_g2),
            contribution_count,
            is_checked,
        }
    }
}

/// Which format a file of this start and length has.
fn format_of(head: &[u8], found: u64) -> Result<FileFormat, FileDefect> {
    if head.starts_with(b"ptau") {
        return Ok(FileFormat::Ptau);
    }
    if head.starts_with(&sealed::MAGIC) {
        return Ok(FileFormat::Cached);
    }
    let k = head.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let Some(k) = k.filter(|k| (K_MIN..=K_MAX).contains(k)) else {
        let expected = "a snarkjs .ptau file, a halo2 parameter file of 2^1 to 2^22 rows, or a file of the cache";
        return Err(FileDefect::Format { expected });
    };
    let [uncompressed, compressed] =
        [RawFormat::Uncompressed, RawFormat::Compressed].map(|format| raw::file_bytes(k, format));
    if found == uncompressed {
        Ok(FileFormat::Halo2(RawFormat::Uncompressed))
    } else if found == compressed {
        Ok(FileFormat::Halo2(RawFormat::Compressed))
    } else {
        Err(FileDefect::Halo2Length {
            k,
            uncompressed,
            compressed,
            found,
        })
    }
}

fn check_pin(pin: &FilePin, hashes: &FileHashes) -> Result<(), FileDefect> {
    let (expected, found): (&[u8], &[u8]) = match pin {
        FilePin::Sha256(expected) => (expected, &hashes.sha256),
        FilePin::Blake2b(expected) => (expected, &hashes.blake2b),
    };
    if expected == found {
        return Ok(());
    }
    Err(FileDefect::Hash {
        expected: hex::encode(expected),
        found: hex::encode(found),
    })
}

/// Both hashes in one pass.
struct Hasher {
    sha256: Sha256,
    blake2b: blake2b_simd::State,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            sha256: Sha256::new(),
            blake2b: blake2b_simd::State::new(),
        }
    }
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.blake2b.update(bytes);
    }

    fn finish(self) -> FileHashes {
        FileHashes {
            sha256: self.sha256.finalize().into(),
            blake2b: *self.blake2b.finalize().as_array(),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
