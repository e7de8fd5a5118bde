//! Failing seeds are kept: a run appends them to a file of the repository, and every run plays that file first.
//!
//! What this does not do: forget a seed once it passes. Whoever fixes it commits the line with the fix.

use std::{fs, io::Write as _, path::Path, path::PathBuf, sync::Mutex};

/// The list of this repository.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/failing-seeds.txt")
}

/// Seeds in the list; lines with `#` are comments.
///
/// # Panics
/// If the list cannot be read, or a line does not begin with a number.
pub(crate) fn seeds(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let seed = |line: &str| {
        let number = line.split_whitespace().next().map(str::parse);
        match number {
            Some(Ok(seed)) => seed,
            _ => panic!("{}: a line without a seed: {line}", path.display()),
        }
    };
    lines.map(seed).collect()
}

/// Appends a seed, unless the list has it.
pub(crate) fn keep(path: &Path, seed: u64, reason: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap();
    if seeds(path).contains(&seed) {
        return;
    }
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    let reason = reason.replace(['\n', '\r'], " ");
    writeln!(file, "{seed} {reason}").unwrap();
}

#[test]
fn a_failing_seed_is_kept_once_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("failing-seeds.txt");
    fs::write(&list, "# seeds\n\n7 an old one\n").unwrap();
    keep(&list, 12, "height 3:\nboth decided");
    keep(&list, 12, "again");
    keep(&list, 7, "again");
    assert_eq!(seeds(&list), [7, 12]);
    let text = fs::read_to_string(&list).unwrap();
    assert!(text.ends_with("7 an old one\n12 height 3: both decided\n"));
    seeds(&path()); // the repository's own list can be read
}
