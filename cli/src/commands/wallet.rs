//! `quorate wallet`: keys in encrypted files, and payments through a node's RPC.

use std::path::PathBuf;

use api::operation::PointJson;
use api::text::AddressText;
use clap::{Args, Subcommand};
use protocol::{account::L1Address, number::TokenId};
use rand::{RngCore, rngs::OsRng};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::{Sources, flag};
use crate::exit::{CliError, Exit, Outcome};
use crate::output::{Output, pairs};
use crate::secret::SecretSource;
use crate::wallet::address::parse_l1_address;
use crate::wallet::keystore::{Identity, Keystore, SEED_BYTES, default_path};

mod leave;
mod online;
mod pay;
mod receipt;
mod refund;
mod settle;

/// Arguments of `quorate wallet`.
#[derive(Debug, Args)]
pub(crate) struct WalletArgs {
    /// Keystore file [default: ~/.quorate/wallet.json]
    #[arg(long, global = true, value_name = "FILE")]
    keystore: Option<PathBuf>,
    /// URL of a node [default: http://127.0.0.1:8545]
    #[arg(long, global = true, value_name = "URL")]
    rpc: Option<String>,
    /// Where the password is: prompt, file:PATH or env:NAME
    #[arg(long, global = true, value_name = "SOURCE", default_value = "prompt")]
    password: SecretSource,
    #[command(subcommand)]
    command: WalletCommand,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Make a new random key
    New {
        /// Base-layer address that withdrawals pay, and that can recover the funds
        #[arg(long, value_name = "ADDRESS", value_parser = parse_l1_address)]
        l1_owner: L1Address,
    },
    /// Import a 32-byte seed
    Import {
        /// Base-layer address that withdrawals pay, and that can recover the funds
        #[arg(long, value_name = "ADDRESS", value_parser = parse_l1_address)]
        l1_owner: L1Address,
        /// Where the seed is, as 64 hex digits: prompt, file:PATH or env:NAME
        #[arg(long, value_name = "SOURCE", default_value = "prompt")]
        seed: SecretSource,
    },
    /// Show the payment address
    Address {
        /// Token to be paid in; 0 is the base layer's coin
        #[arg(long, default_value_t = 0)]
        token: u32,
    },
    /// Show the leaves of this key and what they hold
    Balance,
    /// Send a payment
    Send(pay::SendArgs),
    /// Show how far an operation has come
    Status(online::StatusArgs),
    /// Show the operations of this key's leaves, newest first
    History(online::HistoryArgs),
    /// Pay an amount out to the key's owner on the base layer
    Withdraw(pay::WithdrawArgs),
    /// Pay ether in through the base layer
    Deposit(settle::DepositArgs),
    /// Have withdrawals of proven batches paid on the base layer
    Claim(settle::ClaimArgs),
    /// Put an operation into the inbox of the base layer: no sequencer can refuse it
    Force {
        #[command(subcommand)]
        command: settle::ForceCommand,
    },
    /// Leave with everything that a leaf holds: through the inbox, or in Desert by its path in the last proven state
    Exit(leave::ExitArgs),
    /// Have items undone in Desert that no proven batch consumed: deposits and fees go back
    Refund(refund::RefundArgs),
}

#[derive(Serialize)]
struct Created {
    keystore: PathBuf,
    address: String,
    key: PointJson,
    l1_owner: AddressText,
}

/// Runs the command.
///
/// # Errors
/// Each subcommand's.
pub(crate) fn run(args: WalletArgs, sources: &Sources, output: Output) -> Outcome {
    let settings = sources
        .load([
            flag("wallet.keystore", args.keystore),
            flag("wallet.rpc", args.rpc),
        ])?
        .wallet;
    let path = settings.keystore.unwrap_or_else(default_path);
    let connection = online::Connection {
        path: &path,
        rpc: &settings.rpc,
        password: &args.password,
    };
    match args.command {
        WalletCommand::New { l1_owner } => {
            refuse_existing(&path)?;
            let mut seed = Zeroizing::new([0; SEED_BYTES]);
            OsRng.fill_bytes(seed.as_mut_slice());
            create(path, &seed, l1_owner, &args.password, output)
        }
        WalletCommand::Import { l1_owner, seed } => {
            refuse_existing(&path)?;
            let seed = read_seed(&seed)?;
            create(path, &seed, l1_owner, &args.password, output)
        }
        WalletCommand::Address { token } => {
            let identity = Keystore::open(&path)?.identity;
            show(path, &identity, TokenId(token), output);
            Ok(Exit::Success)
        }
        WalletCommand::Balance => online::balance(&connection, output),
        WalletCommand::Send(args) => pay::send(&connection, &args, output),
        WalletCommand::Status(args) => online::status(&connection, &args, output),
        WalletCommand::History(args) => online::history(&connection, &args, output),
        WalletCommand::Withdraw(args) => pay::withdraw(&connection, &args, output),
        WalletCommand::Deposit(args) => settle::deposit(&connection, &args, output),
        WalletCommand::Claim(args) => settle::claim_all(&args, output),
        WalletCommand::Force { command } => settle::force(&command, output),
        WalletCommand::Exit(args) => leave::exit(&args, output),
        WalletCommand::Refund(args) => refund::refund_all(&args, output),
    }
}

/// Before anybody types a password for nothing; the file is created with the same rule.
fn refuse_existing(path: &std::path::Path) -> Result<(), CliError> {
    if !path.exists() {
        return Ok(());
    }
    let what = format!("{} exists", path.display());
    let todo = "choose another name with --keystore, or move the old file away";
    Err(CliError::new(
        Exit::Usage,
        what,
        "a keystore is never overwritten",
        todo,
    ))
}

fn create(
    path: PathBuf,
    seed: &[u8; SEED_BYTES],
    l1_owner: L1Address,
    password: &SecretSource,
    output: Output,
) -> Outcome {
    let password = password.read("password", true)?;
    let identity = Keystore::create(&path, seed, l1_owner, &password)?;
    show(path, &identity, TokenId(0), output);
    output
        .note("Keep the file and its password apart, and a copy of both: nobody can restore them.");
    Ok(Exit::Success)
}

fn show(keystore: PathBuf, identity: &Identity, token: TokenId, output: Output) {
    let created = Created {
        keystore,
        address: identity.address(token).to_string(),
        key: identity.key.into(),
        l1_owner: identity.l1_owner.into(),
    };
    output.data(&created, |created| {
        pairs(&[
            ("address", created.address.clone()),
            ("token", token.to_string()),
            ("l1 owner", created.l1_owner.to_string()),
            ("key x", created.key.x.to_string()),
            ("key y", created.key.y.to_string()),
            ("keystore", created.keystore.display().to_string()),
        ])
    });
}

fn read_seed(source: &SecretSource) -> Result<Zeroizing<[u8; SEED_BYTES]>, CliError> {
    let text = source.read("seed", false)?;
    let text = text.trim();
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    // The text is not repeated: it is the secret.
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), seed.as_mut_slice()).map_err(
        |_| {
            let why = format!("{} letters were given", text.len());
            CliError::new(
                Exit::Usage,
                "the seed is not usable",
                why,
                "give 64 hex digits",
            )
        },
    )?;
    Ok(seed)
}
