//! What the nodes of a set have on disk: copied, put back, thrown away, and disks of a few megabytes that can be filled.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Set;

impl Set {
    /// From its next start, a node whose files may not grow gets an error and no signal.
    pub(crate) fn survive_file_limits(&mut self, number: usize) {
        self.seats[number].is_limited = true;
    }

    /// Removes the data of a node that does not run; its key stays.
    pub(crate) fn wipe(&self, number: usize) {
        assert!(self.seats[number].node.is_none(), "node {number} runs");
        std::fs::remove_dir_all(self.data(number)).expect("its data");
    }

    /// Copies the data of a node that does not run; where the copy is.
    pub(crate) fn back_up(&self, number: usize) -> PathBuf {
        assert!(self.seats[number].node.is_none(), "node {number} runs");
        let copy = self.directory(number).join("backup");
        copy_directory(&self.data(number), &copy);
        copy
    }

    /// Puts a copy in the place of a node's data.
    pub(crate) fn restore(&self, number: usize, copy: &Path) {
        self.wipe(number);
        copy_directory(copy, &self.data(number));
    }

    /// Files of evidence that any node has written.
    pub(crate) fn evidence(&self) -> Vec<PathBuf> {
        (0..self.count())
            .filter_map(|number| std::fs::read_dir(self.data(number).join("evidence")).ok())
            .flatten()
            .map(|entry| entry.expect("a file").path())
            .collect()
    }
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A file system in memory; it goes with its user.
pub(crate) struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many bytes on a directory, which is made; or says why that cannot be.
    pub(crate) fn mount(at: PathBuf, bytes: u64) -> Result<Self, String> {
        std::fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        let size = format!("size={bytes}");
        let words = ["-t", "tmpfs", "-o", &size, "tmpfs"].map(OsStr::new);
        run(Command::new("mount").args(words).arg(&at))?;
        Ok(Self { at })
    }

    /// Writes until nothing more fits.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file");
        // Page by page in the end: not a record fits afterwards.
        for step in [1 << 20, 4 << 10] {
            while ballast.write_all(&vec![0xff; step]).is_ok() {}
        }
    }

    /// Gives the room back.
    pub(crate) fn clear(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    /// Lazily: a failed test has processes on it.
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        if let Err(why) = run(command.arg("--lazy").arg(&self.at)) {
            assert!(std::thread::panicking(), "umount: {why}");
        }
    }
}

/// The same program, for which the signal of a file that may not grow is none.
pub(super) fn unsignalled(program: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
