//! `quorate verify`: believes a bundle, or says why not.
//!
//! Opens no socket, starts no runtime, reads no configuration, and needs neither a node nor a reference string. What
//! is believed beforehand is in the binary ([`verifier::golden`]) and in the genesis file that the reader names.

use std::path::PathBuf;
use std::time::Instant;

use api::text::{AddressText, FieldText};
use clap::Args;
use protocol::genesis::Genesis;
use serde::Serialize;
use verifier::{
    bundle::{BUNDLE_BYTES_MAX, Bundle, BundleError, Trust, VerifiedBatch},
    golden,
};

use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{files, genesis_file};

/// Arguments of `quorate verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Bundle to verify, as a node serves it for a proven batch
    file: PathBuf,
    /// Genesis of the chain you mean; without it the file says which chain it is of
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Tolerate the insecure development reference string, on a development chain
    #[arg(long)]
    dev: bool,
}

/// The verdict, as JSON shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Verdict {
    /// Proven.
    Valid(Box<Proven>),
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
        Err(error) => Verdict::Invalid {
            valid: false,
            exit_code: error.exit_code(),
            reason: reason(&error),
        },
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

/// The verdict for people.
pub(crate) fn describe(verdict: &Verdict) -> String {
    let proven = match verdict {
        Verdict::Invalid { reason, .. } => return format!("NOT VALID\n  why  {reason}\n"),
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
    text.push_str("still trusted:\n");
    for item in &proven.still_trusted {
        text.push_str("  - ");
        text.push_str(item);
        text.push('\n');
    }
    text
}

/// Runs the command.
///
/// # Errors
/// `Usage` for a file that cannot be read; a bundle that is not valid is an answer, not an error.
pub(crate) fn run(args: &VerifyArgs, output: Output) -> Outcome {
    let genesis = args
        .genesis
        .as_deref()
        .map(genesis_file::load)
        .transpose()?;
    let bytes = files::read(&args.file, BUNDLE_BYTES_MAX)?;
    let verdict = judge(&bytes, genesis.as_ref(), args.dev);
    output.data(&verdict, describe);
    match &verdict {
        Verdict::Valid(proven) => {
            if proven.insecure {
                output.note("INSECURE: accepted only because --dev was given and this is a development chain");
            }
            Ok(Exit::Success)
        }
        Verdict::Invalid {
            exit_code, reason, ..
        } => {
            let exit = Exit::from_code(*exit_code);
            let todo = match exit {
                Exit::Corrupt => "fetch the file again",
                Exit::Version => "use the quorate release that made the file, or a newer one",
                _ => {
                    "do not rely on this batch; ask who gave you the file, and compare --genesis with the chain's"
                }
            };
            Err(CliError::new(
                exit,
                format!("{} is not accepted", args.file.display()),
                reason,
                todo,
            ))
        }
    }
}
