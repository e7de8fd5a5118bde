//! `quorate verify` of a finality bundle: a batch, and an operation in it, under a base-layer block that the reader trusts.

use std::path::Path;
use std::time::Instant;

use alloy_primitives::B256;
use api::text::{AddressText, FieldText, HashText};
use protocol::genesis::Genesis;
use protocol::rebuild::PublishedOperation;
use protocol::transaction::Action;
use serde::Serialize;
use verifier::{
    bundle::Trust,
    finality::{FinalityBundle, RollupMode, VerifiedFinality},
    golden,
};

use super::{INSECURE_NOTE, Verdict, conclude, not_valid, reason, still_trusted};
use crate::exit::Outcome;
use crate::output::{Output, pairs};

/// What a finality bundle shows, as JSON shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settled {
    valid: bool,
    kind: &'static str,
    insecure: bool,
    chain_id: u64,
    rollup: AddressText,
    batch: u64,
    root_before: FieldText,
    root_after: FieldText,
    counters_before: FieldText,
    counters_after: FieldText,
    signed_operations: u64,
    /// The operation that the file is about.
    operation: Option<OperationJson>,
    prover: AddressText,
    key_digest: HashText,
    proof_bytes: usize,
    published_bytes: usize,
    block: u64,
    block_hash: HashText,
    block_time: u64,
    block_trusted: bool,
    proven_batches: u64,
    mode: &'static str,
    code_hash: HashText,
    anchored_in_genesis: bool,
    verify_ms: f64,
    still_trusted: Vec<&'static str>,
}

/// An operation at its slot.
#[derive(Clone, Debug, Serialize)]
struct OperationJson {
    slot: u64,
    does: String,
    from: Option<u32>,
    to: Option<u32>,
    amount: Option<String>,
    fee: Option<String>,
}

impl OperationJson {
    fn new(slot: u64, operation: &PublishedOperation) -> Self {
        let plain = |does: String| Self {
            slot,
            does,
            from: None,
            to: None,
            amount: None,
            fee: None,
        };
        let (from, fee, action) = match operation {
            PublishedOperation::Noop => return plain("nothing".to_owned()),
            PublishedOperation::Inbox(_) => {
                return plain("an item of the inbox is executed".to_owned());
            }
            PublishedOperation::BidPay { leaf, value } => {
                return plain(format!("leaf {leaf} pays {value} for the block"));
            }
            PublishedOperation::BidBurn { leaf, value } => {
                return plain(format!("{value} of leaf {leaf} is burned"));
            }
            PublishedOperation::Signed {
                from, fee, action, ..
            } => (from, fee, action),
        };
        let (does, to, amount) = match action {
            Action::Transfer { to, amount } => (
                format!("leaf {from} pays {amount} to leaf {to}, fee {fee}"),
                Some(to.0),
                Some(amount),
            ),
            Action::TransferToNew {
                amount, l1_owner, ..
            } => (
                format!("leaf {from} pays {amount} to a new leaf of {l1_owner}, fee {fee}"),
                None,
                Some(amount),
            ),
            Action::Withdraw { amount } => (
                format!("leaf {from} withdraws {amount}, fee {fee}"),
                None,
                Some(amount),
            ),
            Action::ChangeKey { .. } => (
                format!("leaf {from} changes its key, fee {fee}"),
                None,
                None,
            ),
            Action::Lock { until } => (
                format!("leaf {from} is locked until height {}, fee {fee}", until.0),
                None,
                None,
            ),
        };
        Self {
            slot,
            does,
            from: Some(from.0),
            to,
            amount: amount.map(ToString::to_string),
            fee: Some(fee.to_string()),
        }
    }
}

/// Decides about the bytes of a finality bundle: the one function behind `quorate verify` and the demo's last step.
pub(crate) fn judge(
    bytes: &[u8],
    (genesis, development): (Option<&Genesis>, bool),
    trusted_block: Option<B256>,
) -> Verdict<Settled> {
    let started = Instant::now();
    let trust = Trust {
        keys: golden::keys(),
        genesis,
        development,
    };
    let verified = FinalityBundle::decode(bytes).and_then(|bundle| {
        bundle
            .verify(&trust, trusted_block)
            .map(|seen| (bundle, seen))
    });
    match verified {
        Err(error) => Verdict::invalid(error.exit_code(), reason(&error)),
        Ok((bundle, seen)) => {
            let verify_ms = started.elapsed().as_secs_f64() * 1_000.0;
            Verdict::Valid(Box::new(settled(
                &bundle,
                &seen,
                genesis.is_some(),
                verify_ms,
            )))
        }
    }
}

fn settled(
    bundle: &FinalityBundle,
    seen: &VerifiedFinality,
    has_genesis: bool,
    verify_ms: f64,
) -> Settled {
    let mut still_trusted = vec![
        if seen.is_block_trusted {
            "that the block with the trusted hash is final: you named it"
        } else {
            "the base layer: the file names the block (pass --trusted-block with the hash of one that you know is final)"
        },
        "the code at the contract's address (compare its hash with the deployment's)",
        "this program's list of accepted keys, and the ceremony behind their reference string",
    ];
    if !has_genesis {
        still_trusted
            .push("the chain id and contract: the file names them (pass --genesis to fix them)");
    }
    if seen.is_insecure {
        still_trusted.insert(
            0,
            "EVERYBODY: the development reference string lets anybody forge these proofs",
        );
    }
    let inputs = &seen.inputs;
    Settled {
        valid: true,
        kind: "finality",
        insecure: seen.is_insecure,
        chain_id: bundle.chain_id,
        rollup: bundle.rollup.into(),
        batch: inputs.batch_number.0,
        root_before: inputs.root_before.into(),
        root_after: inputs.root_after.into(),
        counters_before: inputs.counters_before.into(),
        counters_after: inputs.counters_after.into(),
        signed_operations: seen.counts.signed_operations,
        operation: seen
            .operation
            .as_ref()
            .map(|(slot, operation)| OperationJson::new(*slot, operation)),
        prover: inputs.prover_id.into(),
        key_digest: HashText::from(seen.key_digest),
        proof_bytes: bundle.proof.len(),
        published_bytes: bundle.words.len_bytes(),
        block: seen.block.number,
        block_hash: HashText::from(seen.block.hash.0),
        block_time: seen.block.timestamp,
        block_trusted: seen.is_block_trusted,
        proven_batches: seen.proven_count,
        mode: match seen.mode {
            RollupMode::Active => "active",
            RollupMode::Enforced => "enforced",
            RollupMode::Desert => "desert",
        },
        code_hash: HashText::from(seen.code_hash.0),
        anchored_in_genesis: seen.is_anchored_in_genesis,
        verify_ms,
        still_trusted,
    }
}

/// Verifies the file and prints the verdict.
pub(super) fn run(
    (file, bytes): (&Path, &[u8]),
    trust: (Option<&Genesis>, bool),
    trusted_block: Option<B256>,
    output: Output,
) -> Outcome {
    let verdict = judge(bytes, trust, trusted_block);
    output.data(&verdict, describe);
    if let Verdict::Valid(settled) = &verdict
        && settled.insecure
    {
        output.note(INSECURE_NOTE);
    }
    conclude(
        file,
        &verdict,
        "do not rely on this batch; compare --genesis and --trusted-block, and ask who gave you the file",
    )
}

/// The verdict for people.
pub(crate) fn describe(verdict: &Verdict<Settled>) -> String {
    let settled = match verdict {
        Verdict::Invalid { reason, .. } => return not_valid(reason),
        Verdict::Valid(settled) => settled,
    };
    let mut text = String::new();
    if settled.insecure {
        text.push_str(
            "INSECURE: made with the development reference string; anybody can forge such proofs\n",
        );
    }
    text.push_str("VALID\n");
    let trusted = if settled.block_trusted {
        "trusted by you"
    } else {
        "named by the file only"
    };
    let mut rows = vec![
        (
            "chain",
            format!("{} with the contract {}", settled.chain_id, settled.rollup),
        ),
        ("batch", settled.batch.to_string()),
        ("root before", settled.root_before.to_string()),
        ("root after", settled.root_after.to_string()),
        (
            "executed",
            format!("{} signed operations", settled.signed_operations),
        ),
    ];
    if let Some(operation) = &settled.operation {
        rows.push((
            "this one",
            format!("slot {}: {}", operation.slot, operation.does),
        ));
    }
    rows.extend([
        (
            "proof",
            format!(
                "{} bytes over {} published ones, by {}, key {}",
                settled.proof_bytes, settled.published_bytes, settled.prover, settled.key_digest
            ),
        ),
        (
            "block",
            format!(
                "{} of the base layer, {}, {trusted}",
                settled.block, settled.block_hash
            ),
        ),
        (
            "contract",
            format!(
                "{} batches proven, mode {}, code {}",
                settled.proven_batches, settled.mode, settled.code_hash
            ),
        ),
        (
            "from genesis",
            if settled.anchored_in_genesis {
                "yes"
            } else {
                "not shown"
            }
            .to_owned(),
        ),
        ("verified in", format!("{:.1} ms", settled.verify_ms)),
    ]);
    text.push_str(&pairs(&rows));
    text.push_str("proven: these words give the root after, and in this block the contract counts exactly this batch as proven\n");
    text.push_str(&still_trusted(&settled.still_trusted));
    text
}
