//! The tree of commands, and the run of one of them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{
    base_layer, builder, devnet, doctor, generate, genesis, outsider, prover, restart, sequencer,
    snapshot, srs, verify, wallet,
};
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::{config, logs};

/// A ZK-rollup node: order, prove, verify.
#[derive(Debug, Parser)]
#[command(
    name = "quorate",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct App {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print data as JSON, one object per line, and errors and logs as JSON too
    #[arg(long, global = true)]
    json: bool,
    /// Log level: error, warn, info, debug or trace [env: QUORATE_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    /// Configuration file; environment variables QUORATE__SECTION__KEY and flags override it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: a node, prover workers and funded keys
    Devnet(devnet::DevnetArgs),
    /// Run a node: order, execute, serve the RPC, hand out proof jobs
    Sequencer(sequencer::SequencerArgs),
    /// Run a builder: follow the chain, sell blocks to its validators
    Builder(builder::BuilderArgs),
    /// Run a prover worker: lease jobs of a node, prove them
    Prover(prover::ProverArgs),
    /// Verify a bundle, a checkpoint or evidence offline: no node, no network, no reference string
    Verify(verify::VerifyArgs),
    /// Make keys, look at balances, send payments
    Wallet(wallet::WalletArgs),
    /// Make a genesis file for development, or look at one
    Genesis(genesis::GenesisArgs),
    /// Serve a development base layer, deploy the contracts, show what they hold
    BaseLayer(base_layer::BaseLayerArgs),
    /// Serve the inbox of a rollup whose operators are gone: rebuild, prove, settle
    Outsider(outsider::OutsiderArgs),
    /// Go on without history: sign a restart, combine signatures, make a database of them
    Restart(restart::RestartArgs),
    /// Write a snapshot of a node, judge one, or start a node from one
    Snapshot(snapshot::SnapshotArgs),
    /// Reference strings: check a ceremony's file, import it, show what there is
    Srs(srs::SrsArgs),
    /// Check whether this machine is fit to run a node
    Doctor(doctor::DoctorArgs),
    /// Print a completion script for a shell
    Completions(generate::CompletionsArgs),
    /// Write man pages into a directory
    Man(generate::ManArgs),
}

/// The whole command tree, for completions, man pages and tests.
#[must_use]
pub fn command() -> clap::Command {
    let codes: String = Exit::ALL
        .iter()
        .map(|exit| format!("  {:>2}  {}\n", exit.code(), exit.meaning()))
        .collect();
    App::command().after_help(format!("Exit codes:\n{codes}"))
}

/// Parses the arguments and runs the command.
#[must_use]
pub fn run() -> ExitCode {
    logs::abort_on_panic();
    let parsed = command()
        .try_get_matches()
        .and_then(|matches| App::from_arg_matches(&matches));
    let app = match parsed {
        Ok(app) => app,
        Err(mut error) => {
            hide_secrets(&mut error);
            // Help and version go to stdout with code 0, everything else to stderr with code 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    let output = Output::new(app.global.json);
    let exit = match dispatch(app, output) {
        Ok(exit) => exit,
        Err(error) => {
            output.error(&error);
            error.exit
        }
    };
    ExitCode::from(exit.code())
}

/// Flags that name where a secret is. Somebody may have typed the secret itself, which must not stand in a log.
const SECRET_FLAGS: [&str; 3] = ["--password", "--seed", "--l1-key"];

fn hide_secrets(error: &mut clap::Error) {
    let is_secret = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => SECRET_FLAGS.iter().any(|one| flag.starts_with(one)),
        _ => false,
    };
    if is_secret {
        let hidden = ContextValue::String("not repeated here".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
}

fn dispatch(app: App, output: Output) -> Outcome {
    let Global { log, config, .. } = app.global;
    // What runs for long tells what it does; what answers a question, or shows its progress, is quiet.
    let level = match &app.command {
        Command::Devnet(args) if !args.is_demo() => "info",
        Command::BaseLayer(args) if args.is_serving() => "info",
        Command::Prover(args) if args.is_worker() => "info",
        Command::Sequencer(_) | Command::Builder(_) => "info",
        _ => "warn",
    };
    let level = log.unwrap_or_else(|| level.to_owned());
    logs::start(&level, output.is_json())?;
    let sources = config::Sources {
        file: config,
        level,
    };
    match app.command {
        Command::Devnet(args) => devnet::run(args, &sources, output),
        Command::Sequencer(args) => sequencer::run(args, &sources, output),
        Command::Builder(args) => builder::run(args, &sources, output),
        Command::Prover(args) => prover::run(args, &sources, output),
        Command::Verify(args) => verify::run(&args, output),
        Command::Wallet(args) => wallet::run(args, &sources, output),
        Command::Genesis(args) => genesis::run(&args, output),
        Command::BaseLayer(args) => base_layer::run(&args, output),
        Command::Outsider(args) => outsider::run(&args, output),
        Command::Restart(args) => restart::run(&args, output),
        Command::Snapshot(args) => snapshot::run(&args, output),
        Command::Srs(args) => srs::run(args, output),
        Command::Doctor(args) => doctor::run(&args, &sources, output),
        Command::Completions(args) => generate::completions(&args, output),
        Command::Man(args) => generate::man(&args, output),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_secret_that_was_typed_as_an_argument_is_not_repeated() {
        for flag in super::SECRET_FLAGS {
            let words = match flag {
                "--seed" => vec![
                    "quorate",
                    "wallet",
                    "import",
                    "--l1-owner",
                    "0x0000000000000000000000000000000000000001",
                    flag,
                    "hunter2",
                ],
                "--l1-key" => vec!["quorate", "base-layer", "deploy", flag, "hunter2"],
                _ => vec!["quorate", "wallet", flag, "hunter2", "balance"],
            };
            let mut error = super::command()
                .try_get_matches_from(words)
                .expect_err("no source");
            super::hide_secrets(&mut error);
            let told = error.to_string();
            assert!(told.contains(flag), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn command_tree_is_consistent() {
        super::command().debug_assert();
    }
}
