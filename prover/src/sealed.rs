//! Files that detect their own corruption: the container of every cache this crate keeps on disk.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | magic `QRTSEAL\n` |
//! | 8 | 4 | format version, little-endian, 1 |
//! | 12 | 4 | what is inside, four ASCII letters |
//! | 16 | 8 | payload length in bytes, little-endian |
//! | 24 | n | payload |
//! | 24 + n | 32 | SHA-256 of everything before |
//!
//! Invariants: a payload is returned only after its hash was compared; a file appears under its
//! final name whole or not at all (temporary file, `fsync`, rename, `fsync` of the directory), and
//! only the holder of its lock writes it; nothing is allocated from a length that the file's own
//! size does not bear out.
//!
//! What it does not do: it does not authenticate. Whoever can write the cache directory can write a
//! file with a matching hash, so owners re-check what decides soundness (`srs::cache`, `keys`).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// First bytes of every sealed file.
pub(crate) const MAGIC: [u8; 8] = *b"QRTSEAL\n";
/// Version of the container, not of the content.
const VERSION: u32 = 1;
/// Bytes before the payload.
const HEADER_BYTES: usize = 24;
/// Bytes of the closing hash.
const HASH_BYTES: usize = 32;

/// What a sealed file holds; a file of one content is never read as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Points of a reference string.
    ReferenceString,
    /// A proving key, see `keys`.
    ProvingKey,
}

impl Content {
    fn tag(self) -> [u8; 4] {
        match self {
            Self::ReferenceString => *b"SRS1",
            Self::ProvingKey => *b"PKEY",
        }
    }
}

/// Why a sealed file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// No file under that name: not an error for a cache, the caller makes the content.
    #[error("{} does not exist", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error(
        "cannot {action} {}: {source}; check the path, its permissions and the free space",
        .path.display()
    )]
    UnavailableFile {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what was written; its content is not used.
    #[error("{} is corrupt: {reason}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        reason: String,
    },
}

impl SealedError {
    /// Names the action that failed on `path`.
    pub fn unavailable(
        path: &Path,
        action: &'static str,
    ) -> impl FnOnce(io::Error) -> SealedError + use<> {
        let path = path.to_path_buf();
        move |source| SealedError::UnavailableFile {
            path,
            action,
            source,
        }
    }

    fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}

/// Reads the payload of a sealed file of at most `payload_bytes_max` bytes.
///
/// # Errors
/// `Missing` without a file, `UnavailableFile` when the system refuses, `Corrupt` for anything but
/// the bytes that [`store`] wrote.
pub fn load(
    path: &Path,
    content: Content,
    payload_bytes_max: usize,
) -> Result<Vec<u8>, SealedError> {
    let mut file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => SealedError::Missing {
            path: path.to_path_buf(),
        },
        _ => SealedError::UnavailableFile {
            path: path.to_path_buf(),
            action: "open",
            source,
        },
    })?;
    let file_bytes = file
        .metadata()
        .map_err(SealedError::unavailable(path, "measure"))?
        .len();
    let mut header = [0u8; HEADER_BYTES];
    read_exact(&mut file, &mut header, path)?;
    let (magic, rest) = header.split_at(8);
    let (version, rest) = rest.split_at(4);
    let (tag, length) = rest.split_at(4);
    if magic != MAGIC {
        return Err(SealedError::corrupt(
            path,
            "it does not start with the magic bytes",
        ));
    }
    if version != VERSION.to_le_bytes() {
        return Err(SealedError::corrupt(
            path,
            "its container version is unknown",
        ));
    }
    if tag != content.tag() {
        return Err(SealedError::corrupt(
            path,
            format!("it does not hold a {content:?}"),
        ));
    }
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes were split off"));
    let overhead = (HEADER_BYTES + HASH_BYTES) as u64;
    if length > payload_bytes_max as u64 || length.checked_add(overhead) != Some(file_bytes) {
        return Err(SealedError::corrupt(
            path,
            format!("it is {file_bytes} bytes long and declares a payload of {length}"),
        ));
    }
    let mut payload = vec![0u8; length as usize];
    read_exact(&mut file, &mut payload, path)?;
    let mut stored_hash = [0u8; HASH_BYTES];
    read_exact(&mut file, &mut stored_hash, path)?;
    let computed = Sha256::new()
        .chain_update(header)
        .chain_update(&payload)
        .finalize();
    if computed.as_slice() != stored_hash {
        return Err(SealedError::corrupt(
            path,
            "its SHA-256 does not match its content",
        ));
    }
    Ok(payload)
}

/// Writes `payload` under `path`, atomically and durably, replacing what was there.
///
/// Everybody who writes this path must hold the same lock; the argument is there so that nobody
/// forgets.
///
/// # Errors
/// `UnavailableFile` naming the step that failed; the old file, if any, is then still whole.
pub fn store(
    _lock: &Lock,
    path: &Path,
    content: Content,
    payload: &[u8],
) -> Result<(), SealedError> {
    let directory = parent(path);
    // One name for the temporary file is enough: only the holder of the lock writes, and the
    // leftover of a killed writer is simply overwritten.
    let temporary = path.with_extension("tmp");
    let written = write_whole(&temporary, content, payload);
    if written.is_err() {
        // The half-written temporary is of no use to anybody; failing to remove it changes nothing.
        fs::remove_file(&temporary).ok();
    }
    written?;
    fs::rename(&temporary, path).map_err(SealedError::unavailable(path, "rename into place"))?;
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(SealedError::unavailable(directory, "sync"))
}

/// An exclusive lock between processes and threads, held until dropped.
///
/// The lock file stays: removing it would let two holders lock two different files of one name.
#[derive(Debug)]
pub struct Lock {
    /// Closing the handle releases the lock, also when the process is killed.
    _file: File,
}

impl Lock {
    /// Waits until nobody else holds the lock file `lock_path`, which is made if it is not there.
    ///
    /// # Errors
    /// `UnavailableFile` when the lock file cannot be made or the file system has no locks.
    pub fn acquire(lock_path: &Path) -> Result<Self, SealedError> {
        let directory = parent(lock_path);
        fs::create_dir_all(directory).map_err(SealedError::unavailable(directory, "create"))?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock_path)
            .map_err(SealedError::unavailable(lock_path, "open"))?;
        file.lock()
            .map_err(SealedError::unavailable(lock_path, "lock"))?;
        Ok(Self { _file: file })
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn read_exact(file: &mut File, buffer: &mut [u8], path: &Path) -> Result<(), SealedError> {
    file.read_exact(buffer)
        .map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => SealedError::corrupt(path, "it ends too early"),
            _ => SealedError::UnavailableFile {
                path: path.to_path_buf(),
                action: "read",
                source,
            },
        })
}

fn write_whole(path: &Path, content: Content, payload: &[u8]) -> Result<(), SealedError> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&content.tag());
    header.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let hash = Sha256::new()
        .chain_update(&header)
        .chain_update(payload)
        .finalize();
    let mut file = File::create(path).map_err(SealedError::unavailable(path, "create"))?;
    file.write_all(&header)
        .and_then(|()| file.write_all(payload))
        .and_then(|()| file.write_all(&hash))
        .and_then(|()| file.sync_all())
        .map_err(SealedError::unavailable(path, "write"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Content, HASH_BYTES, HEADER_BYTES, Lock, SealedError, load, store};

    const MAX: usize = 1 << 10;

    fn lock(path: &Path) -> Lock {
        Lock::acquire(&path.with_extension("lock")).expect("lock")
    }

    #[test]
    fn stored_payload_is_loaded_again() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("deep").join("file.qrt");
        for payload in [&b""[..], b"payload", &[7; MAX]] {
            store(&lock(&path), &path, Content::ProvingKey, payload).expect("store");
            assert_eq!(
                load(&path, Content::ProvingKey, MAX).expect("load"),
                payload
            );
        }
        let left: Vec<_> = std::fs::read_dir(path.parent().expect("parent"))
            .expect("list")
            .map(|entry| entry.expect("entry").file_name())
            .collect();
        assert!(
            left.iter()
                .all(|name| name == "file.qrt" || name == "file.lock"),
            "{left:?}"
        );
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file.qrt");
        store(
            &lock(&path),
            &path,
            Content::ReferenceString,
            b"some points",
        )
        .expect("store");
        let honest = std::fs::read(&path).expect("read");
        assert_eq!(honest.len(), HEADER_BYTES + 11 + HASH_BYTES);
        for index in 0..honest.len() {
            let mut bytes = honest.clone();
            bytes[index] ^= 1 << (index % 8);
            std::fs::write(&path, &bytes).expect("write");
            let error = load(&path, Content::ReferenceString, MAX).expect_err("flipped byte");
            assert!(
                matches!(error, SealedError::Corrupt { .. }),
                "byte {index}: {error}"
            );
            assert!(error.to_string().contains("file.qrt"), "{error}");
            std::fs::write(&path, &honest[..index]).expect("write");
            let error = load(&path, Content::ReferenceString, MAX).expect_err("truncated");
            assert!(
                matches!(error, SealedError::Corrupt { .. }),
                "length {index}: {error}"
            );
        }
        let mut longer = honest.clone();
        longer.push(0);
        std::fs::write(&path, &longer).expect("write");
        assert!(matches!(
            load(&path, Content::ReferenceString, MAX),
            Err(SealedError::Corrupt { .. })
        ));
    }

    #[test]
    fn wrong_content_too_long_and_missing_are_told_apart() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file.qrt");
        assert!(matches!(
            load(&path, Content::ProvingKey, MAX),
            Err(SealedError::Missing { .. })
        ));
        store(&lock(&path), &path, Content::ProvingKey, &[1; 100]).expect("store");
        assert!(matches!(
            load(&path, Content::ReferenceString, MAX),
            Err(SealedError::Corrupt { .. })
        ));
        assert!(matches!(
            load(&path, Content::ProvingKey, 99),
            Err(SealedError::Corrupt { .. })
        ));
    }

    #[test]
    fn lock_excludes_a_second_holder_until_dropped() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file.qrt");
        let first = lock(&path);
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let other = path.clone();
        let waiter = std::thread::spawn(move || {
            let held = lock(&other);
            sender.send(()).expect("send");
            drop(held);
        });
        let wait = std::time::Duration::from_millis(100);
        assert!(
            receiver.recv_timeout(wait).is_err(),
            "the second holder must wait"
        );
        drop(first);
        receiver
            .recv_timeout(std::time::Duration::from_secs(10))
            .expect("the lock is handed over");
        waiter.join().expect("join");
    }
}
