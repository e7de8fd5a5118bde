//! `quorate genesis`: makes a development genesis file, or shows what a genesis file says.

use std::path::PathBuf;

use api::ledger::ValidatorJson;
use api::text::{AddressText, FieldText, HashText};
use clap::{Args, Subcommand};
use protocol::genesis::Genesis;
use serde::Serialize;

use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::{development, files, genesis_file};

/// Arguments of `quorate genesis`.
#[derive(Debug, Args)]
pub(crate) struct GenesisArgs {
    #[command(subcommand)]
    command: GenesisCommand,
}

#[derive(Debug, Subcommand)]
enum GenesisCommand {
    /// Write a genesis for development: public keys, insecure reference string
    New {
        /// File to write; an existing one is never overwritten
        file: PathBuf,
        /// Number of funded keys
        #[arg(long, default_value_t = development::ACCOUNTS,
              value_parser = clap::value_parser!(u32).range(0..=i64::from(development::ACCOUNTS_MAX)))]
        accounts: u32,
    },
    /// Check a genesis file and show its identity
    Show {
        /// Genesis file
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct Identity {
    file: PathBuf,
    hash: HashText,
    chain_id: u64,
    rollup: AddressText,
    domain: FieldText,
    params_hash: HashText,
    reference_string: String,
    validators: Vec<ValidatorJson>,
    leaf_count: usize,
    state_root: FieldText,
    development: bool,
}

fn identity(file: PathBuf, genesis: &Genesis) -> Identity {
    Identity {
        file,
        hash: genesis.hash().into(),
        chain_id: genesis.chain_id,
        rollup: genesis.rollup.into(),
        domain: genesis.domain().0.into(),
        params_hash: genesis.params_hash().into(),
        reference_string: genesis.reference_string.clone(),
        validators: genesis
            .validators
            .validators()
            .iter()
            .map(Into::into)
            .collect(),
        leaf_count: genesis.leaves.len(),
        state_root: genesis.state().root().into(),
        development: genesis.is_development(),
    }
}

fn describe(identity: &Identity) -> String {
    let validators: Vec<String> = identity
        .validators
        .iter()
        .map(|validator| format!("{} (weight {})", validator.address, validator.weight))
        .collect();
    let kind = if identity.development {
        "development: insecure tools are permitted"
    } else {
        "production"
    };
    pairs(&[
        ("file", identity.file.display().to_string()),
        ("genesis hash", identity.hash.to_string()),
        (
            "chain",
            format!(
                "{} with the contract {}",
                identity.chain_id, identity.rollup
            ),
        ),
        ("kind", kind.to_owned()),
        ("domain", identity.domain.to_string()),
        ("params hash", identity.params_hash.to_string()),
        ("reference string", identity.reference_string.clone()),
        ("validators", validators.join(", ")),
        ("leaves", identity.leaf_count.to_string()),
        ("state root", identity.state_root.to_string()),
    ])
}

/// Runs the command.
///
/// # Errors
/// A file that exists, cannot be read, or is no genesis.
pub(crate) fn run(args: &GenesisArgs, output: Output) -> Outcome {
    let (file, genesis) = match &args.command {
        GenesisCommand::New { file, accounts } => {
            let genesis = development::genesis(*accounts, [], development::now_ms());
            if file.exists() {
                let what = format!("{} exists", file.display());
                let todo = "choose another name: a chain keeps its genesis for ever";
                return Err(CliError::new(
                    Exit::Usage,
                    what,
                    "it is never overwritten",
                    todo,
                ));
            }
            files::replace(file, genesis_file::to_text(&genesis).as_bytes())?;
            (file, genesis)
        }
        GenesisCommand::Show { file } => (file, genesis_file::load(file)?),
    };
    output.data(&identity(file.clone(), &genesis), describe);
    Ok(Exit::Success)
}
