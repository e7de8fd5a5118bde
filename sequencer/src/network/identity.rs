//! The key by which peers know this node, in a file of its own.
//!
//! The file is 32 bytes of ed25519 secret, mode 0600, and appears whole or not at all. The key signs nothing but
//! the transport handshake: the tie to a validator is a proof made with the validator's key over the peer id.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use libp2p::identity::{Keypair, ed25519};
use thiserror::Error;

/// Length of an ed25519 secret.
const SECRET_BYTES: usize = 32;

/// Why the identity cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("cannot use the identity file {path}: {source}")]
    UnavailableFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("identity file {path} is not {SECRET_BYTES} bytes: move it away to get a new identity")]
    CorruptFile {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the secret.
    #[error("identity file {path} has mode {mode:o}: run chmod 600 on it")]
    InvalidMode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// Reads the identity in `path`, or makes one and writes it there.
///
/// # Errors
/// `UnavailableFile` if the file cannot be read or written, `CorruptFile` if it is no secret, `InvalidMode` if
/// others can read it.
pub fn load_or_make_identity(path: &Path) -> Result<Keypair, IdentityError> {
    if let Some(keypair) = load(path)? {
        return Ok(keypair);
    }
    let pair = ed25519::Keypair::generate();
    match store(path, pair.secret().as_ref()) {
        Ok(()) => Ok(pair.into()),
        // Another process was first: its identity is the node's.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            load(path)?.ok_or_else(|| unavailable(path, error))
        }
        Err(error) => Err(unavailable(path, error)),
    }
}

fn unavailable(path: &Path, source: std::io::Error) -> IdentityError {
    IdentityError::UnavailableFile {
        path: path.to_owned(),
        source,
    }
}

fn load(path: &Path) -> Result<Option<Keypair>, IdentityError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable(path, error)),
    };
    let metadata = file.metadata().map_err(|error| unavailable(path, error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(IdentityError::InvalidMode { path, mode });
    }
    let mut secret = Vec::with_capacity(SECRET_BYTES + 1);
    file.take(SECRET_BYTES as u64 + 1)
        .read_to_end(&mut secret)
        .map_err(|error| unavailable(path, error))?;
    let corrupt = || IdentityError::CorruptFile {
        path: path.to_owned(),
    };
    if secret.len() != SECRET_BYTES {
        return Err(corrupt());
    }
    // Takes the bytes over and wipes them.
    Keypair::ed25519_from_bytes(&mut secret)
        .map(Some)
        .map_err(|_| corrupt())
}

/// Writes beside `path`, then links: the name appears with all bytes on disk, and never replaces another file.
fn store(path: &Path, secret: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    // A leftover of a crash under the same process id.
    let _ = fs::remove_file(&temporary);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(secret).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    written?;
    match path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_made_once_private_and_kept() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("identity");
        let first = load_or_make_identity(&path).expect("made");
        let second = load_or_make_identity(&path).expect("loaded");
        assert_eq!(first.public(), second.public());
        let mode = fs::metadata(&path).expect("file").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        // Nothing else is left in the directory.
        assert_eq!(fs::read_dir(directory.path()).expect("list").count(), 1);
    }

    #[test]
    fn torn_or_open_identity_is_refused() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("identity");
        load_or_make_identity(&path).expect("made");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(
            load_or_make_identity(&path),
            Err(IdentityError::InvalidMode { mode: 0o644, .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        fs::write(&path, [1_u8; 31]).expect("write");
        assert!(matches!(
            load_or_make_identity(&path),
            Err(IdentityError::CorruptFile { .. })
        ));
    }
}
