//! `quorate verify checkpoint`: what more than two thirds of a validator set vouch for, and whether a bundle proves it.

use std::path::Path;

use api::text::{FieldText, HashText};
use protocol::genesis::Genesis;
use serde::Serialize;
use verifier::{
    bundle::{Bundle, Trust, VerifiedBatch},
    checkpoint::{CheckpointFile, VerifiedCheckpoint},
    container::FileError,
    golden,
};

use super::{INSECURE_NOTE, Verdict, conclude, not_valid, reason, still_trusted};
use crate::exit::Outcome;
use crate::output::{Output, pairs};

/// What a checkpoint shows, as JSON shows it.
#[derive(Clone, Debug, Serialize)]
struct Vouched {
    valid: bool,
    kind: &'static str,
    insecure: bool,
    batch: u64,
    epoch: u64,
    root_before: FieldText,
    root_after: FieldText,
    signed_operations: u64,
    last_height: u64,
    last_block: HashText,
    next_set_hash: HashText,
    signers: usize,
    signed_weight: String,
    total_weight: String,
    proven_by_bundle: bool,
    anchored_in_genesis: bool,
    still_trusted: Vec<&'static str>,
}

/// Verifies a checkpoint and the bundle beside it.
pub(super) fn run(
    (file, bytes): (&Path, &[u8]),
    bundle: Option<(&Path, Vec<u8>)>,
    (genesis, development): (Option<&Genesis>, bool),
    output: Output,
) -> Outcome {
    let trust = Trust {
        keys: golden::keys(),
        genesis,
        development,
    };
    let verified = CheckpointFile::decode(bytes).and_then(|file| file.verify(genesis));
    let (blamed, verdict) = match (&verified, &bundle) {
        (Err(error), _) => (file, Verdict::refused(error)),
        (Ok(checkpoint), None) => (file, valid(checkpoint, None)),
        (Ok(checkpoint), Some((path, bytes))) => (*path, with_bundle(checkpoint, bytes, &trust)),
    };
    output.data(&verdict, describe);
    if let Verdict::Valid(vouched) = &verdict
        && vouched.insecure
    {
        output.note(INSECURE_NOTE);
    }
    conclude(
        blamed,
        &verdict,
        "do not rely on this root; compare --genesis with the chain's, and ask who gave you the file",
    )
}

fn with_bundle(
    checkpoint: &VerifiedCheckpoint,
    bytes: &[u8],
    trust: &Trust<'_>,
) -> Verdict<Vouched> {
    let proven =
        Bundle::decode(bytes).and_then(|bundle| bundle.verify(trust).map(|batch| (bundle, batch)));
    match proven {
        Err(error) => Verdict::invalid(error.exit_code(), reason(&error)),
        Ok((bundle, batch)) => match checkpoint.check_bundle(&bundle, &batch) {
            Ok(()) => valid(checkpoint, Some(&batch)),
            Err(error) => Verdict::refused(&mismatch(&error)),
        },
    }
}

fn mismatch(error: &FileError) -> FileError {
    FileError::Invalid(format!("the bundle is not the checkpoint's: {error}"))
}

fn valid(checkpoint: &VerifiedCheckpoint, batch: Option<&VerifiedBatch>) -> Verdict<Vouched> {
    let commitment = &checkpoint.commitment;
    let is_insecure = batch.is_some_and(|batch| batch.is_insecure);
    let mut still_trusted = vec![
        "the base layer: nothing here shows that it stored this commitment",
        "the keys of the validator sets since genesis: more than two thirds of an old set could name another successor",
    ];
    if batch.is_none() {
        still_trusted.push(
            "more than two thirds of this set, for the root (pass --bundle to have it proven)",
        );
    }
    if !checkpoint.is_anchored_in_genesis {
        still_trusted.push(
            "the chain and its first validators: the file names them (pass --genesis to fix them)",
        );
    }
    if is_insecure {
        still_trusted.insert(
            0,
            "EVERYBODY: the development reference string lets anybody forge the bundle's proofs",
        );
    }
    Verdict::Valid(Box::new(Vouched {
        valid: true,
        kind: "checkpoint",
        insecure: is_insecure,
        batch: commitment.batch_number.0,
        epoch: commitment.epoch.0,
        root_before: commitment.root_before.into(),
        root_after: commitment.root_after.into(),
        signed_operations: commitment.signed_operations,
        last_height: commitment.last_height.0,
        last_block: commitment.last_block.into(),
        next_set_hash: commitment.next_set_hash.into(),
        signers: checkpoint.signers,
        signed_weight: checkpoint.weight.to_string(),
        total_weight: checkpoint.total.to_string(),
        proven_by_bundle: batch.is_some(),
        anchored_in_genesis: checkpoint.is_anchored_in_genesis,
        still_trusted,
    }))
}

fn describe(verdict: &Verdict<Vouched>) -> String {
    let vouched = match verdict {
        Verdict::Invalid { reason, .. } => return not_valid(reason),
        Verdict::Valid(vouched) => vouched,
    };
    let yes_or = |is_yes: bool, no: &str| if is_yes { "yes" } else { no }.to_owned();
    let mut text = "VALID CHECKPOINT\n".to_owned();
    text.push_str(&pairs(&[
        (
            "batch",
            format!("{}, to height {}", vouched.batch, vouched.last_height),
        ),
        ("root before", vouched.root_before.to_string()),
        ("root after", vouched.root_after.to_string()),
        ("last block", vouched.last_block.to_string()),
        (
            "signed by",
            format!(
                "{} validators of epoch {}, weight {} of {}",
                vouched.signers, vouched.epoch, vouched.signed_weight, vouched.total_weight
            ),
        ),
        (
            "proven",
            yes_or(vouched.proven_by_bundle, "not shown: no bundle was given"),
        ),
        (
            "from genesis",
            yes_or(vouched.anchored_in_genesis, "not shown"),
        ),
    ]));
    text.push_str("shown: more than two thirds of the set signed this batch's commitment\n");
    text.push_str(&still_trusted(&vouched.still_trusted));
    text
}
