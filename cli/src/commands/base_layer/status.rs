//! `quorate base-layer status`: what the contracts hold, in the state of one block.

use alloy_primitives::Address;
use clap::Args;
use serde::Serialize;
use settlement::bindings::{BindingError, Bridge, Inbox, Rollup, view};
use settlement::{BaseLayer, BlockAt};

use crate::base_layer::{self, ContractsArgs, binding_error, layer_error};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};

/// Arguments of `quorate base-layer status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    contracts: ContractsArgs,
}

/// What the contracts hold.
#[derive(Serialize)]
struct Status {
    block: u64,
    finalized: Option<u64>,
    mode: &'static str,
    batches_committed: u64,
    batches_proven: u64,
    /// Root after the last proven batch, in hex.
    proven_root: String,
    inbox_count: u64,
    inbox_proven: u64,
    inbox_fee_wei: String,
    escrow_wei: String,
}

/// Asks and prints.
///
/// # Errors
/// The base layer's.
pub(super) async fn run(args: &StatusArgs, output: Output) -> Outcome {
    let file = base_layer::load_deployment(&args.contracts.deployment)?;
    let layer = base_layer::connect(&args.contracts.base_layer, file.chain_id).await?;
    let what = "the contracts cannot be read";
    let head = layer
        .header(BlockAt::Latest)
        .await
        .map_err(|error| layer_error(what, &error))?;
    let none = || {
        CliError::new(
            Exit::Unavailable,
            what,
            "the chain has no block",
            "try again",
        )
    };
    let head = head.ok_or_else(none)?;
    let finalized = layer
        .header(BlockAt::Finalized)
        .await
        .map_err(|error| layer_error(what, &error))?;
    let read = read(&*layer, head.hash(), file.rollup, file.inbox, file.bridge).await;
    let mut status = read.map_err(|error| binding_error(what, &error))?;
    status.block = head.number;
    status.finalized = finalized.map(|header| header.number);
    output.data(&status, |status| {
        let finalized = status
            .finalized
            .map_or("none".to_owned(), |number| number.to_string());
        pairs(&[
            ("block", format!("{}, final {finalized}", status.block)),
            ("mode", status.mode.to_owned()),
            (
                "batches",
                format!(
                    "{} committed, {} proven",
                    status.batches_committed, status.batches_proven
                ),
            ),
            ("proven root", status.proven_root.clone()),
            (
                "inbox",
                format!(
                    "{} items, {} proven; the next costs {} wei",
                    status.inbox_count, status.inbox_proven, status.inbox_fee_wei
                ),
            ),
            ("escrow", format!("{} wei", status.escrow_wei)),
        ])
    });
    Ok(Exit::Success)
}

async fn read(
    layer: &dyn BaseLayer,
    block: alloy_primitives::B256,
    rollup: Address,
    inbox: Address,
    bridge: Address,
) -> Result<Status, BindingError> {
    let mode = match view(layer, block, rollup, &Rollup::modeCall {}).await? {
        0 => "active",
        1 => "enforced",
        _ => "desert",
    };
    let root = view(layer, block, rollup, &Rollup::provenRootCall {}).await?;
    Ok(Status {
        block: 0,
        finalized: None,
        mode,
        batches_committed: view(layer, block, rollup, &Rollup::committedCountCall {}).await?,
        batches_proven: view(layer, block, rollup, &Rollup::provenCountCall {}).await?,
        proven_root: format!("0x{root:064x}"),
        inbox_count: view(layer, block, inbox, &Inbox::countCall {}).await?,
        inbox_proven: view(layer, block, rollup, &Rollup::provenInboxCountCall {}).await?,
        inbox_fee_wei: view(layer, block, inbox, &Inbox::feeCall {})
            .await?
            .to_string(),
        escrow_wei: view(layer, block, bridge, &Bridge::escrowCall { token: 0 })
            .await?
            .to_string(),
    })
}
