//! `quorate base-layer`: a development chain to settle on, the contracts put on any chain, and what stands there.

mod bundle;
mod deploy;
mod rebuild;
mod serve;
mod status;

use clap::{Args, Subcommand};

use crate::exit::{CliError, Exit, Outcome};
use crate::output::Output;

pub(crate) use bundle::{bundle_error, final_block};
pub(crate) use deploy::{DeployTerms, deploy_contracts};
pub(crate) use serve::Serving;

/// Arguments of `quorate base-layer`.
#[derive(Debug, Args)]
pub(crate) struct BaseLayerArgs {
    #[command(subcommand)]
    command: BaseLayerCommand,
}

#[derive(Debug, Subcommand)]
enum BaseLayerCommand {
    /// Serve a development chain with public keys over JSON-RPC; it ends with the process
    Serve(serve::ServeArgs),
    /// Put the contracts of a genesis on a chain; a second run goes on where the first stopped
    Deploy(deploy::DeployArgs),
    /// Show what the contracts hold: mode, batches, inbox, escrow
    Status(status::StatusArgs),
    /// Write a file that shows offline that a batch, and an operation in it, is final
    Bundle(bundle::BundleArgs),
    /// Make every leaf of the rollup from genesis and the base layer alone, and compare the root with the contract's
    Rebuild(rebuild::RebuildArgs),
}

impl BaseLayerArgs {
    /// Whether it runs until it is told to stop.
    pub(crate) fn is_serving(&self) -> bool {
        matches!(self.command, BaseLayerCommand::Serve(_))
    }
}

/// Runs the command.
///
/// # Errors
/// Each subcommand's.
pub(crate) fn run(args: &BaseLayerArgs, output: Output) -> Outcome {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        let todo = "check the limits of this process (ulimit -a)";
        CliError::new(Exit::Unavailable, "cannot start a runtime", error, todo)
    })?;
    match &args.command {
        BaseLayerCommand::Serve(args) => runtime.block_on(serve::run(args, output)),
        BaseLayerCommand::Deploy(args) => runtime.block_on(deploy::run(args, output)),
        BaseLayerCommand::Status(args) => runtime.block_on(status::run(args, output)),
        BaseLayerCommand::Bundle(args) => runtime.block_on(bundle::run(args, output)),
        BaseLayerCommand::Rebuild(args) => runtime.block_on(rebuild::run(args, output)),
    }
}
