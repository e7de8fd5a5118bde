//! `quorate base-layer bundle`: a file that shows a batch's finality offline, made of what the base layer holds.

use std::path::PathBuf;

use alloy_primitives::B256;
use api::text::HashText;
use clap::Args;
use protocol::number::BatchNumber;
use serde::Serialize;
use settlement::finality::{FinalityBundleError, finality_bundle};
use settlement::{BaseLayer, BlockAt};
use verifier::finality::FinalityBundle;

use crate::base_layer::{self, ContractsArgs, binding_error, layer_error};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{files, genesis_file};

/// Arguments of `quorate base-layer bundle`.
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    #[command(flatten)]
    contracts: ContractsArgs,
    /// Genesis file of the rollup
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// The batch
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    batch: u64,
    /// The file is about the operation in this slot of the batch, counted from 0, two to a pair
    #[arg(long, value_name = "SLOT")]
    slot: Option<u64>,
    /// Show it under the block with this hash [default: the newest final one]
    #[arg(long, value_name = "HASH")]
    block: Option<B256>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    file: PathBuf,
    batch: u64,
    block: u64,
    /// What whoever verifies the file must trust.
    block_hash: HashText,
    bytes: usize,
}

const WHAT: &str = "the bundle cannot be made";

/// The newest final block's hash.
///
/// # Errors
/// The base layer's, or `Unavailable` if it has finalized none.
pub(crate) async fn final_block(layer: &dyn BaseLayer) -> Result<B256, CliError> {
    let header = layer.header(BlockAt::Finalized).await;
    let header = header.map_err(|error| layer_error(WHAT, &error))?;
    let none = || {
        let why = "the base layer has no final block yet";
        CliError::new(Exit::Unavailable, WHAT, why, "wait, or name --block")
    };
    Ok(header.ok_or_else(none)?.hash())
}

/// Says why there is no bundle.
pub(crate) fn bundle_error(error: &FinalityBundleError) -> CliError {
    match error {
        FinalityBundleError::Binding(error) => binding_error(WHAT, error),
        FinalityBundleError::NotProven { .. } => CliError::new(
            Exit::Unavailable,
            WHAT,
            error,
            "wait until the batch is final: quorate base-layer status",
        ),
        FinalityBundleError::NoTransaction(_) => {
            CliError::new(Exit::Unavailable, WHAT, error, "use another --base-layer")
        }
        FinalityBundleError::Indirect(_) => CliError::new(
            Exit::Invalid,
            WHAT,
            error,
            "verify the bundle that a node serves for the batch instead",
        ),
    }
}

/// Makes and writes the file.
///
/// # Errors
/// The base layer's, `Unavailable` for a batch that is not proven there, or that of a file that cannot be written.
pub(super) async fn run(args: &BundleArgs, output: Output) -> Outcome {
    let genesis = genesis_file::load(&args.genesis)?;
    let file = base_layer::load_deployment(&args.contracts.deployment)?;
    let layer = base_layer::connect(&args.contracts.base_layer, file.chain_id).await?;
    let block = match args.block {
        Some(block) => block,
        None => final_block(&*layer).await?,
    };
    let number = BatchNumber(args.batch);
    let at = (block, args.slot);
    let bundle = finality_bundle(&*layer, &file, &genesis.reference_string, number, at).await;
    let bundle = bundle.map_err(|error| bundle_error(&error))?;
    let written = write(&bundle, (args, block))?;
    output.data(&written, |written| {
        format!(
            "{}verify it, offline:\n  quorate verify --genesis {} --trusted-block {} {}\n",
            pairs(&[
                ("file", written.file.display().to_string()),
                ("batch", written.batch.to_string()),
                ("block", format!("{} of the base layer", written.block)),
                ("bytes", written.bytes.to_string()),
            ]),
            args.genesis.display(),
            written.block_hash,
            written.file.display(),
        )
    });
    Ok(Exit::Success)
}

fn write(bundle: &FinalityBundle, (args, hash): (&BundleArgs, B256)) -> Result<Written, CliError> {
    let bytes = bundle.encode();
    let header = verifier::base_layer::BlockHeader::decode(&bundle.header);
    let header = header
        .map_err(|error| CliError::new(Exit::Invalid, WHAT, error, "use another --base-layer"))?;
    files::replace(&args.out, &bytes)?;
    Ok(Written {
        file: args.out.clone(),
        batch: args.batch,
        block: header.number,
        block_hash: HashText::from(hash.0),
        bytes: bytes.len(),
    })
}
