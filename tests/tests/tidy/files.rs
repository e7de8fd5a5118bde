//! The files of the repository: what git tracks and what it would track, never what it ignores.
//!
//! In a tree without `.git` (an unpacked archive) everything but `target/` and hidden directories counts.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the workspace's `Cargo.toml` lies.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the tests package lies one level below the root")
        .to_path_buf()
}

/// Paths of all files, from the root, with `/` between components, sorted.
pub(crate) fn all() -> Vec<String> {
    let root = root();
    let mut paths = if root.join(".git").exists() {
        from_git(&root)
    } else {
        from_disk(&root, "")
    };
    paths.retain(|path| root.join(path).is_file());
    paths.sort();
    paths.dedup();
    assert!(
        paths.iter().any(|path| path == "Cargo.toml"),
        "no Cargo.toml among {} files",
        paths.len()
    );
    paths
}

/// The text of a file; `None` when it is not UTF-8 (a fixture, a proof).
pub(crate) fn read(path: &str) -> Option<String> {
    let full = root().join(path);
    let bytes = std::fs::read(&full)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", full.display()));
    String::from_utf8(bytes).ok()
}

/// The text of a file that must be there.
pub(crate) fn must_read(path: &str) -> String {
    read(path).unwrap_or_else(|| panic!("{path} is not UTF-8 text"))
}

/// Paths that end in `suffix`, with their text.
pub(crate) fn ending_in(suffix: &str) -> Vec<(String, String)> {
    let paths = all().into_iter().filter(|path| path.ends_with(suffix));
    paths
        .filter_map(|path| read(&path).map(|text| (path, text)))
        .collect()
}

fn from_git(root: &Path) -> Vec<String> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .unwrap_or_else(|error| panic!("cannot run git: {error}; install it: apt-get install git"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "git ls-files failed in {}: {complaint}",
        root.display()
    );
    let names = output
        .stdout
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

fn from_disk(root: &Path, below: &str) -> Vec<String> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(root.join(below))
        .unwrap_or_else(|error| panic!("cannot list {below:?} in {}: {error}", root.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("cannot list {below:?}: {error}"));
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() {
            name.clone()
        } else {
            format!("{below}/{name}")
        };
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_directory {
            found.push(path);
        } else if path != "target" && (!name.starts_with('.') || name == ".ci") {
            found.extend(from_disk(root, &path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{all, from_disk, root};

    #[test]
    fn this_file_is_among_the_files_either_way() {
        let this = "tests/tests/tidy/files.rs".to_owned();
        assert!(all().contains(&this));
        assert!(from_disk(&root(), "").contains(&this));
    }

    #[test]
    fn build_products_are_not_files_of_the_repository() {
        assert!(!all().iter().any(|path| path.starts_with("target/")));
    }
}
