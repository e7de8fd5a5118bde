//! `quorate verify`: believes a bundle, a finality bundle, a checkpoint or evidence, or says why not.
//!
//! A file is what its first bytes say; `verify evidence` and `verify checkpoint` insist on one kind and take more of it.
//! Opens no socket, starts no runtime, reads no configuration, and needs neither a node nor a reference string. What
//! is believed beforehand is in the binary ([`verifier::golden`]) and in the genesis file that the reader names.

mod checkpoint;
mod evidence;
pub(crate) mod finality;

use std::path::{Path, PathBuf};
use std::time::Instant;

use alloy_primitives::B256;
use api::text::{AddressText, FieldText};
use clap::{Args, Subcommand};
use protocol::genesis::Genesis;
use serde::Serialize;
use verifier::{
    bundle::{BUNDLE_BYTES_MAX, Bundle, BundleError, Trust, VerifiedBatch},
    checkpoint::CHECKPOINT,
    container::FileError,
    evidence::EVIDENCE,
    finality::FINALITY,
    golden,
};

use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{files, genesis_file};

/// Arguments of `quorate verify`.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct VerifyArgs {
    /// File to verify: a bundle, as a node serves it for a proven batch, a finality bundle, as quorate base-layer bundle
    /// writes it, a checkpoint, or evidence; for a file of the name of a subcommand write ./evidence
    #[arg(required = true)]
    file: Option<PathBuf>,
    #[command(subcommand)]
    kind: Option<VerifyKind>,
    /// Genesis of the chain you mean; without it the file says which chain it is of
    #[arg(long, value_name = "FILE", global = true)]
    genesis: Option<PathBuf>,
    /// Tolerate the insecure development reference string, on a development chain
    #[arg(long, global = true)]
    dev: bool,
    /// Hash of a block of the base layer that you know is final: a finality bundle must be about it
    #[arg(long, value_name = "HASH")]
    trusted_block: Option<B256>,
}

#[derive(Debug, Subcommand)]
enum VerifyKind {
    /// Judge evidence against validators, and add up who must answer for a height
    Evidence {
        /// Evidence files; several must be about one height
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Verify a checkpoint: the batch certificate of more than two thirds of a validator set
    Checkpoint {
        /// Checkpoint file
        file: PathBuf,
        /// Bundle that proves the same batch: it is verified too, and compared
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
    },
}

/// The verdict, as JSON shows it: what a valid file of this kind shows, or why it is not accepted.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Verdict<T = Proven> {
    /// Proven.
    Valid(Box<T>),
    /// Not proven, or not readable.
    Invalid {
        /// Always false.
        valid: bool,
        /// Exit code of `quorate verify`.
        exit_code: u8,
        /// Why.
        reason: String,
    },
}

impl<T> Verdict<T> {
    fn invalid(exit_code: u8, reason: String) -> Self {
        Self::Invalid {
            valid: false,
            exit_code,
            reason,
        }
    }

    fn refused(error: &FileError) -> Self {
        Self::invalid(error.exit_code(), error.to_string())
    }
}

/// What was proven.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Proven {
    valid: bool,
    insecure: bool,
    chain_id: u64,
    rollup: AddressText,
    batch: u64,
    first_height: u64,
    last_height: u64,
    root_before: FieldText,
    root_after: FieldText,
    leaf_count: u64,
    inbox_count: u64,
    signed_operations: u64,
    chunk_proofs: usize,
    proof_bytes: usize,
    published_bytes: usize,
    anchored_in_genesis: bool,
    verify_ms: f64,
    still_trusted: Vec<&'static str>,
}

impl Proven {
    /// Milliseconds from the file's bytes to the verdict.
    pub(crate) fn verify_ms(&self) -> f64 {
        self.verify_ms
    }

    /// Bytes of all proofs.
    pub(crate) fn proof_bytes(&self) -> usize {
        self.proof_bytes
    }

    /// Bytes the batch publishes.
    pub(crate) fn published_bytes(&self) -> usize {
        self.published_bytes
    }

    /// Signed operations in the batch.
    pub(crate) fn signed_operations(&self) -> u64 {
        self.signed_operations
    }
}

/// Decides about the bytes of a bundle: the one function behind `quorate verify` and the demo's last step.
pub(crate) fn judge(bytes: &[u8], genesis: Option<&Genesis>, development: bool) -> Verdict {
    let from = Instant::now();
    let trust = Trust {
        keys: golden::keys(),
        genesis,
        development,
    };
    match Bundle::decode(bytes).and_then(|bundle| bundle.verify(&trust)) {
        Ok(batch) => {
            let verify_ms = from.elapsed().as_secs_f64() * 1_000.0;
            Verdict::Valid(Box::new(proven(&batch, genesis.is_some(), verify_ms)))
        }
        Err(error) => Verdict::invalid(error.exit_code(), reason(&error)),
    }
}

fn reason(error: &BundleError) -> String {
    match error {
        BundleError::Invalid(_) if golden::keys().is_empty() => {
            format!("{error} (this program's list of accepted keys is empty)")
        }
        _ => error.to_string(),
    }
}

fn proven(batch: &VerifiedBatch, has_genesis: bool, verify_ms: f64) -> Proven {
    let mut still_trusted = vec![
        "the base layer: nothing here shows that it committed to this batch",
        "this program's list of accepted keys, and the ceremony behind their reference string",
    ];
    if !batch.is_anchored_in_genesis {
        still_trusted.push("the state before: nothing here shows that it is the chain's (batch 1 with --genesis does)");
    }
    if !has_genesis {
        still_trusted
            .push("the chain id and contract: the file names them (pass --genesis to fix them)");
    }
    if batch.is_insecure {
        still_trusted.insert(
            0,
            "EVERYBODY: the development reference string lets anybody forge these proofs",
        );
    }
    Proven {
        valid: true,
        insecure: batch.is_insecure,
        chain_id: batch.chain_id,
        rollup: batch.rollup.into(),
        batch: batch.batch_number.0,
        first_height: batch.start.height.0 + 1,
        last_height: batch.end.height.0,
        root_before: batch.start.root.into(),
        root_after: batch.end.root.into(),
        leaf_count: batch.end.leaf_count,
        inbox_count: batch.end.inbox_count,
        signed_operations: batch.end.counts.signed_operations,
        chunk_proofs: batch.chunks,
        proof_bytes: batch.proof_bytes,
        published_bytes: batch.published_bytes,
        anchored_in_genesis: batch.is_anchored_in_genesis,
        verify_ms,
        still_trusted,
    }
}

fn not_valid(reason: &str) -> String {
    format!("NOT VALID\n  why  {reason}\n")
}

fn still_trusted(items: &[&str]) -> String {
    let lines: String = items.iter().map(|item| format!("  - {item}\n")).collect();
    format!("still trusted:\n{lines}")
}

/// The verdict for people.
pub(crate) fn describe(verdict: &Verdict) -> String {
    let proven = match verdict {
        Verdict::Invalid { reason, .. } => return not_valid(reason),
        Verdict::Valid(proven) => proven,
    };
    let mut text = String::new();
    if proven.insecure {
        text.push_str(
            "INSECURE: made with the development reference string; anybody can forge such proofs\n",
        );
    }
    text.push_str("VALID\n");
    text.push_str(&pairs(&[
        (
            "chain",
            format!("{} with the contract {}", proven.chain_id, proven.rollup),
        ),
        (
            "batch",
            format!(
                "{}, heights {} to {}",
                proven.batch, proven.first_height, proven.last_height
            ),
        ),
        ("root before", proven.root_before.to_string()),
        ("root after", proven.root_after.to_string()),
        (
            "executed",
            format!(
                "{} signed operations, {} leaves after",
                proven.signed_operations, proven.leaf_count
            ),
        ),
        (
            "published",
            format!(
                "{} bytes, all of them bound by the proofs",
                proven.published_bytes
            ),
        ),
        (
            "proofs",
            format!(
                "{} of chunks and 1 of the data, {} bytes",
                proven.chunk_proofs, proven.proof_bytes
            ),
        ),
        (
            "from genesis",
            if proven.anchored_in_genesis {
                "yes"
            } else {
                "not shown"
            }
            .to_owned(),
        ),
        ("verified in", format!("{:.1} ms", proven.verify_ms)),
    ]));
    text.push_str("proven: these words, executed under the protocol's rules from the root before, give the root after\n");
    text.push_str(&still_trusted(&proven.still_trusted));
    text
}

/// Runs the command.
///
/// # Errors
/// `Usage` for a file that cannot be read or for two kinds at once; a file that is not valid is an answer, not an error.
pub(crate) fn run(args: &VerifyArgs, output: Output) -> Outcome {
    let load = || args.genesis.as_deref().map(genesis_file::load).transpose();
    match (&args.kind, &args.file) {
        (None, Some(file)) => {
            let genesis = load()?;
            let (file, bytes) = read(file, BUNDLE_BYTES_MAX)?;
            let trust = (genesis.as_ref(), args.dev);
            if FINALITY.is_start_of(&bytes) {
                return finality::run((file, &bytes), trust, args.trusted_block, output);
            }
            if args.trusted_block.is_some() {
                return Err(CliError::new(
                    Exit::Usage,
                    "no block of the base layer is in this file",
                    format!("{} is no finality bundle", file.display()),
                    "leave --trusted-block out, or write the file with quorate base-layer bundle",
                ));
            }
            if EVIDENCE.is_start_of(&bytes) {
                evidence::run(&[(file, bytes)], genesis.as_ref(), output)
            } else if CHECKPOINT.is_start_of(&bytes) {
                checkpoint::run((file, &bytes), None, trust, output)
            } else {
                run_bundle((file, &bytes), trust, output)
            }
        }
        (Some(VerifyKind::Evidence { files: named }), None) => {
            let genesis = load()?;
            let all = named
                .iter()
                .map(|file| read(file, EVIDENCE.bytes_max))
                .collect::<Result<Vec<_>, _>>()?;
            evidence::run(&all, genesis.as_ref(), output)
        }
        (Some(VerifyKind::Checkpoint { file, bundle }), None) => {
            let genesis = load()?;
            let (file, bytes) = read(file, CHECKPOINT.bytes_max)?;
            let bundle = bundle
                .as_deref()
                .map(|bundle| read(bundle, BUNDLE_BYTES_MAX))
                .transpose()?;
            let trust = (genesis.as_ref(), args.dev);
            checkpoint::run((file, &bytes), bundle, trust, output)
        }
        (_, file) => Err(CliError::new(
            Exit::Usage,
            "which file shall be verified?",
            format!(
                "a subcommand and the file {} were named",
                file.as_deref().unwrap_or(Path::new("")).display()
            ),
            "name the file behind the subcommand, or write ./evidence for a file of that name",
        )),
    }
}

fn read(file: &Path, bytes_max: usize) -> Result<(&Path, Vec<u8>), CliError> {
    Ok((file, files::read(file, bytes_max)?))
}

fn run_bundle(
    (file, bytes): (&Path, &[u8]),
    (genesis, development): (Option<&Genesis>, bool),
    output: Output,
) -> Outcome {
    let verdict = judge(bytes, genesis, development);
    output.data(&verdict, describe);
    if let Verdict::Valid(proven) = &verdict
        && proven.insecure
    {
        output.note(INSECURE_NOTE);
    }
    conclude(
        file,
        &verdict,
        "do not rely on this batch; ask who gave you the file, and compare --genesis with the chain's",
    )
}

/// Said on stderr when a development reference string was tolerated.
const INSECURE_NOTE: &str =
    "INSECURE: accepted only because --dev was given and this is a development chain";

/// The outcome of a verdict about `file`; `todo` is what to do about a valid file that shows nothing.
fn conclude<T>(file: &Path, verdict: &Verdict<T>, todo: &str) -> Outcome {
    let Verdict::Invalid {
        exit_code, reason, ..
    } = verdict
    else {
        return Ok(Exit::Success);
    };
    let exit = Exit::from_code(*exit_code);
    let todo = match exit {
        Exit::Corrupt => "fetch the file again",
        Exit::Version => "use the quorate release that made the file, or a newer one",
        _ => todo,
    };
    let what = format!("{} is not accepted", file.display());
    Err(CliError::new(exit, what, reason, todo))
}
