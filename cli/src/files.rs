//! Reading and writing files with care: a size limit on what is read, nothing half-written, nothing overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::exit::{CliError, Exit};

/// Reads a file of at most `bytes_max` bytes.
///
/// # Errors
/// `Usage` if it cannot be read or is longer.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, CliError> {
    let unreadable = |error: std::io::Error| CliError::unreadable(path, error);
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(CliError::unreadable(path, "it is a directory"));
    }
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > bytes_max {
        return Err(CliError::unreadable(
            path,
            format!("it is longer than {bytes_max} bytes"),
        ));
    }
    Ok(bytes)
}

/// Reads a text file of at most `bytes_max` bytes.
///
/// # Errors
/// `Usage` if it cannot be read, is longer, or is no UTF-8.
pub(crate) fn read_text(path: &Path, bytes_max: usize) -> Result<String, CliError> {
    String::from_utf8(read(path, bytes_max)?)
        .map_err(|_| CliError::unreadable(path, "it is not UTF-8 text"))
}

/// Writes a new file that only its owner can read; the directory is made with the same care.
///
/// # Errors
/// `Usage` if the file exists, `Unavailable` if it cannot be written.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let unwritable = |error: std::io::Error| CliError::unwritable(path, error);
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        make_private_directory(directory)?;
    }
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let what = format!("{} exists", path.display());
            CliError::new(
                Exit::Usage,
                what,
                "it is never overwritten",
                "choose another name, or move the old file away",
            )
        }
        _ => CliError::unwritable(path, error),
    })?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(unwritable)
}

/// Makes a directory that only its owner can enter; an existing one stays as it is.
///
/// # Errors
/// `Unavailable`.
pub(crate) fn make_private_directory(directory: &Path) -> Result<(), CliError> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)
        .and_then(|()| fs::set_permissions(directory, fs::Permissions::from_mode(0o700)))
        .map_err(|error| CliError::unwritable(directory, error))
}

/// Writes a file whole or not at all, replacing what was there; makes its directory.
///
/// # Errors
/// `Unavailable`.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let unwritable = |error: std::io::Error| CliError::unwritable(path, error);
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        fs::create_dir_all(directory).map_err(unwritable)?;
    }
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The leftover is of no use; failing to remove it changes nothing.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(unwritable)
}

/// Permission bits of a file, if it can be looked at.
pub(crate) fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path)
        .ok()
        .map(|metadata| metadata.permissions().mode() & 0o7777)
}

/// The directory of this user's keys and configuration: `QUORATE_HOME`, else `~/.quorate`.
pub(crate) fn home() -> PathBuf {
    std::env::var_os("QUORATE_HOME").map_or_else(
        || {
            std::env::home_dir()
                .unwrap_or_else(|| PathBuf::from("."))
                .join(".quorate")
        },
        PathBuf::from,
    )
}

/// The directory of what can be made again: `QUORATE_CACHE`, else `~/.cache/quorate`.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("QUORATE_CACHE").map_or_else(
        || {
            std::env::home_dir()
                .unwrap_or_else(|| PathBuf::from("."))
                .join(".cache/quorate")
        },
        PathBuf::from,
    )
}

#[cfg(test)]
mod tests {
    use super::{create_private, mode, read, replace};
    use crate::exit::Exit;

    #[test]
    fn private_files_are_private_and_never_overwritten() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("new").join("key.json");
        create_private(&path, b"one").expect("create");
        assert_eq!(mode(&path), Some(0o600));
        assert_eq!(mode(path.parent().expect("parent")), Some(0o700));
        let error = create_private(&path, b"two").expect_err("exists");
        assert_eq!(error.exit, Exit::Usage);
        assert_eq!(read(&path, 3).expect("read"), b"one");
    }

    #[test]
    fn long_files_directories_and_absent_files_are_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        replace(&path, b"four").expect("write");
        replace(&path, b"five!").expect("replace");
        assert_eq!(read(&path, 5).expect("read"), b"five!");
        for path in [
            path.as_path(),
            directory.path(),
            &directory.path().join("absent"),
        ] {
            assert_eq!(read(path, 4).expect_err("refused").exit, Exit::Usage);
        }
    }
}
