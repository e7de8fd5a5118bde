//! `quorate srs`: reference strings from files. What a file holds, whether all of it is sound, and its way into the cache,
//! where provers find it.
//!
//! Whether a string is trusted follows from its `[s]_2` alone (`prover/CEREMONY.md`): any other string is INSECURE, and
//! the answer to it is no unless `--dev` was given. What this command does not do: download anything.

use std::path::{Path, PathBuf};

use alloy_primitives::U256;
use clap::{Args, Subcommand};
use prover::srs::{
    CheckedFile, FileDefect, FileFormat, FilePin, ReferenceString, SrsError, StringCache,
    StringKind, check_file, look_at_file,
};
use rand::rngs::OsRng;
use serde::Serialize;

use crate::exit::{CliError, Exit, Outcome};
use crate::files;
use crate::output::{Output, pairs};

/// Arguments of `quorate srs`.
#[derive(Debug, Args)]
pub(crate) struct SrsArgs {
    #[command(subcommand)]
    command: SrsCommand,
}

#[derive(Debug, Subcommand)]
enum SrsCommand {
    /// Check a ceremony's file, and put its string into the cache, where provers find it
    Import(ImportArgs),
    /// Check every power of a file, and say what that shows
    Verify(VerifyArgs),
    /// Show what a file says of itself, or what is in the cache
    Info(InfoArgs),
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// A snarkjs .ptau file, a halo2 parameter file, or a file of a cache
    file: PathBuf,
    /// log2 of the powers to take [default: all, at most 22]
    #[arg(long)]
    k: Option<u32>,
    /// Hash that the file must have: SHA-256 or BLAKE2b-512, in hex
    #[arg(long, value_name = "HEX")]
    hash: Option<FilePin>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Import a string that no accepted ceremony has made, too: it is INSECURE
    #[arg(long)]
    dev: bool,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// A snarkjs .ptau file, a halo2 parameter file, or a file of a cache
    file: PathBuf,
    /// Hash that the file must have: SHA-256 or BLAKE2b-512, in hex
    #[arg(long, value_name = "HEX")]
    hash: Option<FilePin>,
    /// Exit with 0 for a string that no accepted ceremony has made, too: it is INSECURE
    #[arg(long)]
    dev: bool,
}

#[derive(Debug, Args)]
struct InfoArgs {
    /// File to look at [default: every string in the cache]
    file: Option<PathBuf>,
    /// Directory of reference strings and keys [default: ~/.cache/quorate]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
}

/// A file, as JSON shows it.
#[derive(Debug, Serialize)]
struct Shown {
    path: PathBuf,
    format: String,
    bytes: u64,
    /// Largest k that the file serves.
    k: u32,
    kind: String,
    insecure: bool,
    /// `x.c0, x.c1, y.c0, y.c1`, decimal.
    s_g2: [String; 4],
    sha256: String,
    blake2b: String,
    /// What was shown of it, beyond what it says itself; empty if its points were not checked.
    shown: Vec<String>,
    /// Where the string was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<Stored>,
}

#[derive(Debug, Serialize)]
struct Stored {
    path: PathBuf,
    k: u32,
}

impl Shown {
    fn new(path: &Path, file: &CheckedFile) -> Self {
        let coordinate = |index: usize| {
            let bytes = file.s_g2.chunks_exact(32).nth(index).unwrap_or_default();
            U256::from_le_slice(bytes).to_string()
        };
        Self {
            path: path.to_path_buf(),
            format: file.format.to_string(),
            bytes: file.len_bytes,
            k: file.k,
            kind: file.kind.to_string(),
            insecure: is_insecure(file.kind),
            s_g2: [0, 1, 2, 3].map(coordinate),
            sha256: hex::encode(file.hashes.sha256),
            blake2b: hex::encode(file.hashes.blake2b),
            shown: shown(file),
            stored: None,
        }
    }

    fn describe(&self) -> String {
        let [x0, x1, y0, y1] = &self.s_g2;
        let kind = match self.insecure {
            true => format!("{}: INSECURE", self.kind),
            false => self.kind.clone(),
        };
        let checked = match self.shown.is_empty() {
            true => "its points were not checked: quorate srs verify does that".to_owned(),
            false => self.shown.join("\n               "),
        };
        let mut rows = vec![
            ("file", self.path.display().to_string()),
            ("format", self.format.clone()),
            ("bytes", self.bytes.to_string()),
            ("k", self.k.to_string()),
            ("kind", kind),
            ("[s]_2 x.c0", x0.clone()),
            ("[s]_2 x.c1", x1.clone()),
            ("[s]_2 y.c0", y0.clone()),
            ("[s]_2 y.c1", y1.clone()),
            ("SHA-256", self.sha256.clone()),
            ("BLAKE2b-512", self.blake2b.clone()),
            ("shown", checked),
        ];
        if let Some(stored) = &self.stored {
            let place = format!("{} (k = {})", stored.path.display(), stored.k);
            rows.push(("stored", place));
        }
        pairs(&rows)
    }
}

/// Only the accepted ceremony's string is not.
fn is_insecure(kind: StringKind) -> bool {
    kind != StringKind::PerpetualPowersOfTau
}

/// What the checks of a format show.
fn shown(file: &CheckedFile) -> Vec<String> {
    if !file.is_checked {
        return Vec::new();
    }
    let mut shown: Vec<String> = match file.format {
        FileFormat::Ptau => vec![
            "every point lies on its curve".to_owned(),
            format!(
                "all 2^{} - 1 powers in G1 begin at the generator, each is s times the one before",
                file.k + 1
            ),
            format!("all 2^{} powers in G2 do so with the same s", file.k),
            "the alpha and beta lists are those powers times one factor each".to_owned(),
            format!(
                "the last of {} recorded contributions left these points; none was replayed",
                file.contribution_count.unwrap_or(0)
            ),
        ],
        FileFormat::Halo2(_) | FileFormat::Cached => vec![
            "every point lies on its curve".to_owned(),
            format!(
                "all 2^{} powers in G1 begin at the generator, each is s times the one before",
                file.k
            ),
            "the Lagrange form belongs to the powers".to_owned(),
        ],
    };
    shown.push("[s]_2 lies in the subgroup of order r and has the same s".to_owned());
    shown.push(match file.kind {
        StringKind::PerpetualPowersOfTau => {
            "[s]_2 is that of the perpetual powers of tau, which determines every point".to_owned()
        }
        StringKind::Unattested => {
            "nobody vouches for the secret: whoever made the file may know it".to_owned()
        }
        StringKind::InsecureDevelopment => {
            "it is the development string: everybody knows the secret".to_owned()
        }
    });
    shown
}

/// An error of the importer as the program's.
fn refused(what: String, error: &SrsError) -> CliError {
    let again = "get it again from its publisher, and compare the hash (prover/CEREMONY.md)";
    let (exit, todo) = match error {
        SrsError::InvalidFile { defect, .. } => match defect {
            FileDefect::Format { .. } | FileDefect::Field => (
                Exit::Usage,
                "name a powers-of-tau file of BN254 (prover/CEREMONY.md)",
            ),
            FileDefect::SectionTable(_)
            | FileDefect::Length { .. }
            | FileDefect::Halo2Length { .. } => (Exit::Corrupt, again),
            _ => (Exit::Invalid, again),
        },
        SrsError::InvalidSize { .. } | SrsError::InvalidTooShort { .. } => {
            (Exit::Usage, "give a smaller --k, or a longer file")
        }
        SrsError::CorruptCache { .. } => (
            Exit::Corrupt,
            "remove it, and import the ceremony's file again",
        ),
        SrsError::UnavailableFile { .. } => {
            (Exit::Usage, "check the path, its permissions and the space")
        }
        SrsError::InvalidInsecure { .. } | SrsError::UnavailableString { .. } => {
            (Exit::Invalid, "import the ceremony's file")
        }
    };
    CliError::new(exit, what, error, todo)
}

fn import(args: ImportArgs, output: Output) -> Outcome {
    let path = &args.file;
    let not_imported = || format!("{} is not imported", path.display());
    if !args.dev {
        // Before minutes of work: the kind follows from [s]_2, which a look finds.
        let found = look_at_file(path, args.hash.as_ref());
        let found = found.map_err(|error| refused(not_imported(), &error))?;
        if is_insecure(found.kind) {
            let why = format!(
                "its string is {}, under which somebody may forge proofs: INSECURE",
                found.kind
            );
            let todo = "get the ceremony's file (prover/CEREMONY.md); for development, add --dev";
            return Err(CliError::new(Exit::Invalid, not_imported(), why, todo));
        }
    }
    output.note("checking every power and making the Lagrange form: minutes from k = 18 on");
    let (string, file) = ReferenceString::import_file(path, args.k, args.hash.as_ref(), &mut OsRng)
        .map_err(|error| refused(not_imported(), &error))?;
    let cache = StringCache::new(args.cache.unwrap_or_else(files::cache));
    let stored = cache.store(&string).map_err(|error| {
        let todo = "check the directory, its permissions and the free space";
        CliError::new(Exit::Unavailable, not_imported(), error, todo)
    })?;
    let mut shown = Shown::new(path, &file);
    shown.stored = Some(Stored {
        path: stored,
        k: string.k(),
    });
    output.data(&shown, Shown::describe);
    Ok(Exit::Success)
}

fn verify(args: &VerifyArgs, output: Output) -> Outcome {
    let path = &args.file;
    let file = check_file(path, args.hash.as_ref(), &mut OsRng)
        .map_err(|error| refused(format!("{} is not sound", path.display()), &error))?;
    output.data(&Shown::new(path, &file), Shown::describe);
    if is_insecure(file.kind) {
        output.note("INSECURE: no accepted ceremony has made this string; somebody may forge proofs under it");
        return Ok(if args.dev {
            Exit::Success
        } else {
            Exit::Invalid
        });
    }
    Ok(Exit::Success)
}

fn info(args: InfoArgs, output: Output) -> Outcome {
    let look = |path: &Path| -> Result<(), CliError> {
        let file = look_at_file(path, None)
            .map_err(|error| refused(format!("{} tells nothing", path.display()), &error))?;
        output.data(&Shown::new(path, &file), Shown::describe);
        Ok(())
    };
    if let Some(file) = &args.file {
        look(file)?;
        return Ok(Exit::Success);
    }
    let directory = args.cache.unwrap_or_else(files::cache);
    let paths = StringCache::new(&directory).files().map_err(|error| {
        let todo = "check the directory and its permissions";
        CliError::new(Exit::Unavailable, "the cache cannot be listed", error, todo)
    })?;
    if paths.is_empty() {
        output.note(&format!(
            "no reference string in {}; the development string is made when it is needed",
            directory.display()
        ));
    }
    let mut first = None;
    for path in &paths {
        // One damaged file must not hide the others.
        if let Err(error) = look(path) {
            output.error(&error);
            first = first.or(Some(error.exit));
        }
    }
    Ok(first.unwrap_or(Exit::Success))
}

/// Runs the command.
///
/// # Errors
/// `Usage` for files of another format, `Corrupt` for truncated ones, `Invalid` for unsound and insecure ones.
pub(crate) fn run(args: SrsArgs, output: Output) -> Outcome {
    match args.command {
        SrsCommand::Import(args) => import(args, output),
        SrsCommand::Verify(args) => verify(&args, output),
        SrsCommand::Info(args) => info(args, output),
    }
}
