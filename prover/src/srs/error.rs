//! What can go wrong with a reference string, in words that say what to do.

use std::io;
use std::path::PathBuf;

use crate::sealed::SealedError;
use crate::srs::StringKind;

/// Failure to obtain or to use a reference string.
#[derive(Debug, thiserror::Error)]
pub enum SrsError {
    /// A file offered for import is not a sound string. Nothing of it is used.
    #[error(
        "{} is not a usable reference string: {defect}; get the file again from its publisher",
        .path.display()
    )]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        defect: FileDefect,
    },
    /// The number of rows asked for is outside what this project builds.
    #[error("k = {k} is outside {min}..={max}")]
    InvalidSize {
        /// Asked for.
        k: u32,
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
    },
    /// The string is shorter than what was asked of it.
    #[error(
        "k = {k} needs a longer string: {origin} reaches k = {available}; \
         import a file of at least that power"
    )]
    InvalidTooShort {
        /// Asked for.
        k: u32,
        /// What it has.
        available: u32,
        /// Where the string comes from.
        origin: String,
    },
    /// A string that does not come from an accepted ceremony is used outside development.
    #[error(
        "the reference string is {kind}, under which its maker can forge proofs: {reason}; \
         import an accepted ceremony file, or use a development genesis together with --dev"
    )]
    InvalidInsecure {
        /// What the string is.
        kind: StringKind,
        /// Which of the two conditions fails.
        reason: &'static str,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}; check the path and its permissions", .path.display())]
    UnavailableFile {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No cached string; import a file first.
    #[error(
        "no cached reference string of kind {kind} for k = {k} in {}; \
         import a file of at least that power",
        .directory.display()
    )]
    UnavailableString {
        /// What was asked for.
        kind: StringKind,
        /// Its size.
        k: u32,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// A cached string is not what was stored. It is not used and not replaced silently.
    #[error(
        "the cached reference string {} is corrupt: {reason}; \
         delete it and import the ceremony file again",
        .path.display()
    )]
    CorruptCache {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        reason: String,
    },
}

impl From<SealedError> for SrsError {
    fn from(error: SealedError) -> Self {
        match error {
            SealedError::Corrupt { path, reason } => Self::CorruptCache { path, reason },
            SealedError::UnavailableFile {
                path,
                action,
                source,
            } => Self::UnavailableFile {
                path,
                action,
                source,
            },
            SealedError::Missing { path } => Self::UnavailableFile {
                path,
                action: "open",
                source: io::Error::from(io::ErrorKind::NotFound),
            },
        }
    }
}

/// What is wrong with a file offered for import.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileDefect {
    /// Magic or version of another format.
    #[error("it is not {expected}")]
    Format {
        /// The format that was expected.
        expected: &'static str,
    },
    /// The table of sections does not describe the file.
    #[error("its section table is wrong: {0}")]
    SectionTable(String),
    /// Fewer or more bytes than the header calls for.
    #[error("{what} should be {expected} bytes long and is {found}")]
    Length {
        /// The file or one of its sections.
        what: String,
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// Made for another curve.
    #[error("its points are not over the base field of BN254")]
    Field,
    /// A power that the format or this importer does not have.
    #[error("its power {power} is outside 1..=28 or above its ceremony's power {ceremony_power}")]
    Power {
        /// As declared.
        power: u32,
        /// As declared.
        ceremony_power: u32,
    },
    /// More rows than this project supports, or none.
    #[error("it declares 2^{k} rows; 2^1 to 2^22 are supported")]
    Rows {
        /// As declared.
        k: u32,
    },
    /// It starts like a halo2 parameter file and has no such file's length.
    #[error(
        "it declares 2^{k} rows, for which a halo2 parameter file has {uncompressed} bytes, or {compressed} \
         if compressed, and it has {found}: it is truncated, or something else"
    )]
    Halo2Length {
        /// As declared.
        k: u32,
        /// Bytes of an uncompressed file.
        uncompressed: u64,
        /// Bytes of a compressed file.
        compressed: u64,
        /// Bytes found.
        found: u64,
    },
    /// Not the file that was pinned.
    #[error("its hash is {found}, pinned is {expected}")]
    Hash {
        /// Pinned, hexadecimal.
        expected: String,
        /// Computed, hexadecimal.
        found: String,
    },
    /// A coordinate above the modulus, a point off the curve, or the identity.
    #[error("entry {index} of {list} is not a point of the group")]
    Point {
        /// The list.
        list: &'static str,
        /// Position in it.
        index: u64,
    },
    /// A list that must start at the generator does not.
    #[error("{list} does not start at the generator")]
    Generator {
        /// The list.
        list: &'static str,
    },
    /// The secret is a root of unity, so everybody can guess it and proofs cannot be made.
    #[error("its secret is trivial: the generator occurs again at power {power}")]
    TrivialSecret {
        /// Where.
        power: u64,
    },
    /// `[s]_2` or another single G2 point has a component outside the subgroup of order r.
    #[error("{what} lies outside the subgroup of order r")]
    Subgroup {
        /// Which point.
        what: &'static str,
    },
    /// Some entry is not s times the one before it.
    #[error("{list} does not hold the powers of one secret")]
    NotPowers {
        /// The list.
        list: &'static str,
    },
    /// The last contribution's points are not the file's points.
    #[error("its contributions are wrong: {0}")]
    Contributions(&'static str),
    /// The Lagrange form is not that of the powers.
    #[error("its Lagrange form does not belong to its powers")]
    Lagrange,
}
