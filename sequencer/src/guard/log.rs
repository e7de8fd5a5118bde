//! The guard's file: records appended and synced one by one, rewritten whole when it has grown.
//!
//! A record is its length (u32), the complement of the length, a Borsh body, and the first 8 bytes of keccak256 of all
//! of that. The first record names key and chain. The file is only ever made whole: written beside, synced, renamed,
//! and the directory synced.
//!
//! A record that a crash cut off is told from damage so: it is the last one, and it is short, or its checksum reads as
//! zeros (a file that grew before all of its bytes arrived). A flipped bit looks like neither: the complement guards
//! the length, and no flip makes eight zero bytes of a checksum.
//!
//! The lock is on a file of its own, which is never renamed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use borsh::BorshDeserialize;
use protocol::{codec::to_bytes, hash::keccak256};

use super::{
    GuardError,
    slots::{Record, Slots},
};

/// Length and its complement.
const HEAD_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 8;
/// The largest record is an extension of 4 KiB with its slot.
const BODY_BYTES_MAX: usize = 8 << 10;
const RECORD_BYTES_MAX: usize = HEAD_BYTES + BODY_BYTES_MAX + CHECKSUM_BYTES;
/// The log is rewritten when it is longer than this and twice what it was after the last time: some hundred heights.
const OVERGROWN_BYTES: u64 = 1 << 20;
/// What is kept fits 5 records of 4.5 KiB for 256 rounds of two heights, twice, and the growth in between: nothing
/// longer was written by a guard.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    len: u64,
    len_rewritten: u64,
    /// Held, not used: closing it would let another process in.
    _lock: File,
}

fn encode(record: &Record) -> Vec<u8> {
    let body = to_bytes(record);
    let len = u32::try_from(body.len()).expect("a record is some kilobytes");
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len() + CHECKSUM_BYTES);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&(!len).to_le_bytes());
    bytes.extend_from_slice(&body);
    let checksum = keccak256(&bytes);
    bytes.extend_from_slice(checksum.split_at(CHECKSUM_BYTES).0);
    bytes
}

/// The record at the start of these bytes, and what follows it; `None` if all of them are one record that was cut off.
///
/// # Errors
/// What is wrong with it, if it is damaged.
fn decode(bytes: &[u8]) -> Result<Option<(Record, &[u8])>, String> {
    let no_checksum_came = bytes.len() <= RECORD_BYTES_MAX && bytes.ends_with(&[0; CHECKSUM_BYTES]);
    let damage = |reason: String| {
        if no_checksum_came {
            Ok(None)
        } else {
            Err(reason)
        }
    };
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let Some((complement, rest)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let len = u32::from_le_bytes(*len);
    let body_bytes = usize::try_from(len).unwrap_or(usize::MAX);
    if len != !u32::from_le_bytes(*complement) || body_bytes > BODY_BYTES_MAX {
        return damage("the length is not one".into());
    }
    let Some((body, rest)) = rest.split_at_checked(body_bytes) else {
        return Ok(None);
    };
    let Some((checksum, rest)) = rest.split_first_chunk::<CHECKSUM_BYTES>() else {
        return Ok(None);
    };
    let (covered, _) = bytes.split_at(HEAD_BYTES + body_bytes);
    if !keccak256(covered).starts_with(checksum) {
        return damage("the checksum does not match".into());
    }
    match Record::try_from_slice(body) {
        Ok(record) => Ok(Some((record, rest))),
        Err(error) => Err(error.to_string()),
    }
}

/// A file's name with something after it.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn offset(whole: &[u8], rest: &[u8]) -> u64 {
    let offset = whole.len().saturating_sub(rest.len());
    u64::try_from(offset).unwrap_or(u64::MAX)
}

/// Folds the bytes of a file; returns how many of them are whole records.
fn fold(path: &Path, bytes: &[u8], slots: &mut Slots) -> Result<u64, GuardError> {
    let mut rest = bytes;
    let damaged = |rest: &[u8], reason: String| GuardError::Damaged {
        path: path.to_owned(),
        offset: offset(bytes, rest),
        reason,
    };
    let foreign = |what| GuardError::Foreign {
        path: path.to_owned(),
        what,
    };
    while !rest.is_empty() {
        let Some((record, after)) = decode(rest).map_err(|reason| damaged(rest, reason))? else {
            break;
        };
        if offset(bytes, rest) == 0 {
            let Record::Owner(owner, domain) = record else {
                return Err(damaged(rest, "the first record names no key".into()));
            };
            let ours = slots.owner();
            if owner != ours.0 {
                return Err(foreign("validator key"));
            }
            if domain != ours.1 {
                return Err(foreign("chain"));
            }
        } else if !slots.apply(record) {
            return Err(damaged(rest, "it contradicts an earlier record".into()));
        }
        rest = after;
    }
    let whole = offset(bytes, rest);
    if whole == 0 {
        return Err(damaged(bytes, "it has no first record".into()));
    }
    Ok(whole)
}

impl Log {
    /// Opens or makes the file, and folds it into `slots`, which come empty.
    pub(super) fn open(path: &Path, mut slots: Slots) -> Result<(Self, Slots), GuardError> {
        let io = |source| GuardError::Io {
            path: path.to_owned(),
            source,
        };
        let lock_path = beside(path, ".lock");
        let lock = File::create(&lock_path).map_err(io)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => GuardError::InUse { path: lock_path },
            fs::TryLockError::Error(source) => io(source),
        })?;
        if !path.try_exists().map_err(io)? {
            write_whole(path, slots.records()).map_err(io)?;
        }
        let file = open_to_append(path).map_err(io)?;
        let mut bytes = Vec::new();
        (&file)
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        let read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if read > FILE_BYTES_MAX {
            return Err(GuardError::Damaged {
                path: path.to_owned(),
                offset: FILE_BYTES_MAX,
                reason: format!("it is longer than {FILE_BYTES_MAX} bytes"),
            });
        }
        let len = fold(path, &bytes, &mut slots)?;
        if len < read {
            let dropped = read - len;
            tracing::warn!(
                path = %path.display(), dropped,
                "dropped the last record of the signing guard: a crash cut it off before it was used"
            );
            file.set_len(len)
                .and_then(|()| file.sync_all())
                .map_err(io)?;
        }
        let log = Self {
            path: path.to_owned(),
            file,
            len,
            len_rewritten: 0,
            _lock: lock,
        };
        Ok((log, slots))
    }

    fn io(&self, source: io::Error) -> GuardError {
        GuardError::Io {
            path: self.path.clone(),
            source,
        }
    }

    /// Appends a record; returns when it is on disk.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), GuardError> {
        let bytes = encode(record);
        self.file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(|error| self.io(error))?;
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.len = self.len.saturating_add(added);
        Ok(())
    }

    /// Whether it is time to rewrite.
    pub(super) fn is_overgrown(&self) -> bool {
        self.len > OVERGROWN_BYTES && self.len > self.len_rewritten.saturating_mul(2)
    }

    /// Replaces the file by one of these records, whole or not at all.
    pub(super) fn replace(
        &mut self,
        records: impl Iterator<Item = Record>,
    ) -> Result<(), GuardError> {
        let replaced = write_whole(&self.path, records)
            .and_then(|len| open_to_append(&self.path).map(|file| (len, file)));
        let (len, file) = replaced.map_err(|error| self.io(error))?;
        (self.len, self.len_rewritten, self.file) = (len, len, file);
        Ok(())
    }
}

#[cfg(test)]
impl Log {
    /// From now on the disk is this file.
    pub(super) fn swap(&mut self, file: File) {
        self.file = file;
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).open(path)
}

/// Writes beside, syncs, renames, syncs the directory; returns the length.
fn write_whole(path: &Path, records: impl Iterator<Item = Record>) -> io::Result<u64> {
    let bytes: Vec<u8> = records.flat_map(|record| encode(&record)).collect();
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let directory = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
}
