//! `quorate genesis`: makes a development genesis file, or shows what a genesis file says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use api::ledger::ValidatorJson;
use api::text::{AddressText, FieldText, HashText};
use clap::{Args, Subcommand};
use protocol::genesis::Genesis;
use protocol::validator::{Validator, ValidatorSet};
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
        /// Number of development validators, whose keys everybody knows, each of weight 1
        #[arg(long, value_name = "COUNT", default_value_t = 1, conflicts_with = "named",
              value_parser = clap::value_parser!(u32).range(1..=i64::from(development::VALIDATORS_MAX)))]
        validators: u32,
        /// A validator with a key of its own, and its weight [default: 1]; repeat it for each of the set
        #[arg(long = "validator", value_name = "ADDRESS[:WEIGHT]", value_parser = validator)]
        named: Vec<Validator>,
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
    /// Those of them whose keys everybody knows.
    insecure_validators: Vec<AddressText>,
    leaf_count: usize,
    state_root: FieldText,
    development: bool,
}

/// A validator as `ADDRESS` or `ADDRESS:WEIGHT`.
fn validator(text: &str) -> Result<Validator, String> {
    let (address, weight) = text.split_once(':').unwrap_or((text, "1"));
    let address = AddressText(address.to_owned())
        .parse()
        .map_err(|error| format!("{error}; use a form like 0x1234..:5, address and weight"))?;
    let weight = weight.parse().ok().filter(|weight| *weight > 0);
    let weight = weight.ok_or("a weight is a whole number from 1, like 0x1234..:5")?;
    Ok(Validator { address, weight })
}

/// The set to be written.
fn set(count: u32, named: &[Validator]) -> Result<ValidatorSet, CliError> {
    if named.is_empty() {
        return Ok(development::validators(count));
    }
    ValidatorSet::new(named.to_vec()).map_err(|error| {
        let what = "the validators form no set";
        let todo = "name each of them once, with weights in proportion to their stakes";
        CliError::new(Exit::Usage, what, error, todo)
    })
}

fn identity(file: PathBuf, genesis: &Genesis) -> Identity {
    let known: BTreeSet<_> = (0..development::VALIDATORS_MAX)
        .map(|index| development::validator(index).address())
        .collect();
    let seats = genesis.validators.validators();
    let insecure = seats.iter().filter(|seat| known.contains(&seat.address));
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
        insecure_validators: insecure.map(|seat| seat.address.into()).collect(),
        leaf_count: genesis.leaves.len(),
        state_root: genesis.state().root().into(),
        development: genesis.is_development(),
    }
}

fn describe(identity: &Identity) -> String {
    let kind = if identity.development {
        "development: insecure tools are permitted"
    } else {
        "production"
    };
    let chain = format!(
        "{} with the contract {}",
        identity.chain_id, identity.rollup
    );
    let mut rows = vec![
        ("file", identity.file.display().to_string()),
        ("genesis hash", identity.hash.to_string()),
        ("chain", chain),
        ("kind", kind.to_owned()),
        ("domain", identity.domain.to_string()),
        ("params hash", identity.params_hash.to_string()),
        ("reference string", identity.reference_string.clone()),
        ("validators", identity.validators.len().to_string()),
    ];
    rows.extend(identity.validators.iter().map(|seat| {
        let insecure = identity.insecure_validators.contains(&seat.address);
        let warning = if insecure {
            ", INSECURE: everybody knows its key"
        } else {
            ""
        };
        let text = format!("{} (weight {}{warning})", seat.address, seat.weight);
        ("validator", text)
    }));
    rows.push(("leaves", identity.leaf_count.to_string()));
    rows.push(("state root", identity.state_root.to_string()));
    pairs(&rows)
}

/// Runs the command.
///
/// # Errors
/// A file that exists, cannot be read, or is no genesis.
pub(crate) fn run(args: &GenesisArgs, output: Output) -> Outcome {
    let (file, genesis) = match &args.command {
        GenesisCommand::New {
            file,
            accounts,
            validators,
            named,
        } => {
            let set = set(*validators, named)?;
            let genesis = development::genesis(set, *accounts, [], development::now_ms());
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

#[cfg(test)]
mod tests {
    use protocol::account::L1Address;

    use super::*;

    #[test]
    fn a_validator_is_an_address_and_a_weight() {
        let address = format!("0x{}", "ab".repeat(20));
        let seat = |weight| Validator {
            address: L1Address([0xab; 20]),
            weight,
        };
        assert_eq!(validator(&address), Ok(seat(1)));
        assert_eq!(validator(&format!("{address}:70")), Ok(seat(70)));
        for bad in [
            String::new(),
            "0xab:1".to_owned(),
            format!("{address}:"),
            format!("{address}:0"),
            format!("{address}:-1"),
            format!("{address}:1:1"),
            format!("{address}:18446744073709551616"),
        ] {
            assert!(validator(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_set_names_each_validator_once() {
        let seat = |number, weight| Validator {
            address: L1Address([number; 20]),
            weight,
        };
        let both = set(1, &[seat(2, 5), seat(1, 3)]).expect("a set, in any order");
        assert_eq!(both.total(), 8);
        let twice = set(1, &[seat(1, 3), seat(1, 3)]).expect_err("named twice");
        assert_eq!(twice.exit, Exit::Usage);
        let heavy = set(1, &[seat(1, u64::MAX), seat(2, 1)]).expect_err("too much weight");
        assert!(heavy.why.contains("together"), "{heavy}");
    }

    #[test]
    fn known_keys_are_called_insecure() {
        let mut seats = development::validators(2).validators().to_vec();
        seats.push(Validator {
            address: L1Address([7; 20]),
            weight: 9,
        });
        let set = set(1, &seats).expect("a set");
        let genesis = development::genesis(set, 0, [], 5);
        let identity = identity(PathBuf::from("genesis.json"), &genesis);
        assert_eq!(identity.validators.len(), 3);
        assert_eq!(identity.insecure_validators.len(), 2);
        assert_eq!(describe(&identity).matches("INSECURE").count(), 2);
    }
}
