//! `quorate snapshot`: a file from which a node goes on without the blocks before it. `docs/snapshots.md` says when it is
//! needed, and what a node that began at one does not know.
//!
//! Three steps, all offline: make it from the data of a stopped node (a running one writes them by itself, by `[storage]`),
//! check it, make a database of it. What this command does not do: carry the file, or touch what a validator has signed.

use std::path::{Path, PathBuf};

use api::text::{BytesText, FieldText, HashText};
use clap::{Args, Subcommand};
use sequencer::{
    SnapshotError, SnapshotInfo, StorageError, check_snapshot, make_snapshot, restore_snapshot,
};
use serde::Serialize;

use crate::exit::{CliError, Exit, Outcome};
use crate::genesis_file;
use crate::output::{Output, pairs};

/// Arguments of `quorate snapshot`.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Debug, Subcommand)]
enum SnapshotCommand {
    /// Write a snapshot of a stopped node, at the end of its newest sealed batch
    Make(MakeArgs),
    /// Judge a snapshot offline: its signatures from genesis on, its blocks, and every leaf
    Check(CheckArgs),
    /// Make the database of a node from a snapshot
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
struct MakeArgs {
    /// Genesis file of the chain
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Data directory of the node; none may be running on it
    #[arg(long, value_name = "DIRECTORY")]
    data: PathBuf,
    /// File to write; an existing one is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The snapshot
    file: PathBuf,
    /// Genesis file of the chain: all else is believed only if it follows from this
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
}

#[derive(Debug, Args)]
struct RestoreArgs {
    /// The snapshot
    file: PathBuf,
    /// Genesis file of the chain: all else is believed only if it follows from this
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Data directory of the node: empty, but for the directory agreement of a validator, which stays
    #[arg(long, value_name = "DIRECTORY")]
    data: PathBuf,
}

/// A snapshot, as JSON shows it.
#[derive(Clone, Debug, Serialize)]
struct Shown {
    height: u64,
    block: HashText,
    root: FieldText,
    leaf_count: u64,
    batch: u64,
    epoch: u64,
    blocks_from: u64,
    bytes: u64,
    contents: BytesText,
    /// The file that was written or judged, or the directory that was made.
    path: PathBuf,
}

impl Shown {
    fn new(info: &SnapshotInfo, path: &Path) -> Self {
        Self {
            height: info.height.0,
            block: info.block.into(),
            root: info.root.into(),
            leaf_count: info.leaf_count,
            batch: info.batch.0,
            epoch: info.epoch.0,
            blocks_from: info.blocks_from.0,
            bytes: info.bytes,
            contents: BytesText::from(&info.contents[..]),
            path: path.to_owned(),
        }
    }

    fn describe(&self) -> String {
        pairs(&[
            ("height", self.height.to_string()),
            ("block", self.block.to_string()),
            ("root", self.root.to_string()),
            ("leaves", self.leaf_count.to_string()),
            ("after batch", self.batch.to_string()),
            ("epoch", self.epoch.to_string()),
            ("blocks from", self.blocks_from.to_string()),
            ("bytes", self.bytes.to_string()),
            ("contents", self.contents.to_string()),
            ("path", self.path.display().to_string()),
        ])
    }
}

/// A refusal as the program's error; `files` is the exit code of a file that cannot be read or written.
fn refused(what: String, error: &SnapshotError, files: Exit) -> CliError {
    let (exit, todo) = match error {
        SnapshotError::Files { .. } => (files, "name a file that can be read or written"),
        SnapshotError::Exists(_) => (Exit::Usage, "an existing file is never overwritten"),
        SnapshotError::NotReady(_) => (
            Exit::Unavailable,
            "run the node until a batch is sealed and certified, or use another node's snapshot",
        ),
        SnapshotError::Damaged(_) => (
            Exit::Corrupt,
            "copy it again, and compare contents with who made it",
        ),
        SnapshotError::Version { .. } => (
            Exit::Version,
            "use the release that wrote it, or a newer snapshot",
        ),
        SnapshotError::OtherGenesis { .. } => (
            Exit::Invalid,
            "name the genesis of this chain, and get a snapshot of this chain",
        ),
        SnapshotError::Storage(StorageError::Corrupt { .. }) => (
            Exit::Corrupt,
            "use another node's snapshot, and check the disk",
        ),
        SnapshotError::Storage(StorageError::OtherSchema { .. }) => {
            (Exit::Version, "use the release that wrote the database")
        }
        SnapshotError::Storage(
            StorageError::Occupied { .. } | StorageError::OtherGenesis { .. },
        ) => (Exit::Usage, "name another directory"),
        SnapshotError::Storage(_) => (
            Exit::Unavailable,
            "stop the node on this directory; check space and permissions",
        ),
        _ => (
            Exit::Invalid,
            "do not use it: whoever made it holds another chain, or lies",
        ),
    };
    CliError::new(exit, what, error, todo)
}

fn make(args: &MakeArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    let info = make_snapshot(&args.data, &genesis, &args.out)
        .map_err(|error| refused("no snapshot was made".to_owned(), &error, Exit::Unavailable))?;
    output.data(&Shown::new(&info, &args.out), Shown::describe);
    Ok(Exit::Success)
}

fn check(args: &CheckArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    let info = check_snapshot(&args.file, &genesis).map_err(|error| {
        refused(
            format!("{} is not accepted", args.file.display()),
            &error,
            Exit::Usage,
        )
    })?;
    output.data(&Shown::new(&info, &args.file), Shown::describe);
    Ok(Exit::Success)
}

fn restore(args: &RestoreArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    let info = restore_snapshot(&args.file, &args.data, &genesis).map_err(|error| {
        refused(
            format!("{} is not restored", args.file.display()),
            &error,
            Exit::Usage,
        )
    })?;
    output.data(&Shown::new(&info, &args.data), Shown::describe);
    output.note("compare the block's id with a node that you trust, then start the node as usual: it gets the blocks since from its peers");
    Ok(Exit::Success)
}

/// Runs the command.
///
/// # Errors
/// `Usage` for files and directories that cannot be used, `Corrupt` for damaged files, `Invalid` for what was not certified.
pub(crate) fn run(args: &SnapshotArgs, output: Output) -> Outcome {
    match &args.command {
        SnapshotCommand::Make(args) => make(args, output),
        SnapshotCommand::Check(args) => check(args, output),
        SnapshotCommand::Restore(args) => restore(args, output),
    }
}
