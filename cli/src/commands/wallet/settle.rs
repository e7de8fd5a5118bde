//! The half of the wallet that speaks with the base layer: money in, money out, and operations that no sequencer can refuse.
//!
//! It needs no node of the rollup but to find the leaf of a key: what can be claimed is read from the Rollup's events and
//! checked against the root that the contract holds. The key that signs here must be the owner of the leaf on the base
//! layer: authority is `msg.sender`.

use std::sync::Arc;

use alloy_primitives::{Address, U256};
use clap::{Args, Subcommand};
use protocol::account::{L1Address, LeafKey};
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{Amount, LeafIndex, TokenId};
use serde::Serialize;
use settlement::bindings::{
    EnqueuedItem, Events, Inbox, address, enqueue, event, l1_address, view,
};
use settlement::deploy::DeploymentFile;
use settlement::{BaseLayer, LogFilter, Receipt};

use super::online::{Connection, leaves};
use crate::base_layer::{
    ContractsArgs, PayerArgs, binding_error, claimable, connect, head, intent, layer_error,
    load_deployment, transact,
};
use crate::exit::{CliError, Exit, Outcome};
use crate::node::{Node, block_on};
use crate::output::{Output, pairs, table};
use crate::wallet::amount::parse_units;
use crate::wallet::keystore::Keystore;

/// Gas of an item at most: a deposit of a token costs 150,000, and tokens differ.
const ITEM_GAS: u64 = 500_000;
/// Gas of a claim at most: a path of nine hashes and a payment to a contract.
const CLAIM_GAS: u64 = 400_000;
/// A fee that rises before the transaction is included shall not revert it: a quarter more goes along, and counts as fee.
const FEE_MARGIN: u64 = 4;

/// Arguments of `quorate wallet deposit`.
#[derive(Debug, Args)]
pub(super) struct DepositArgs {
    #[command(flatten)]
    contracts: ContractsArgs,
    #[command(flatten)]
    payer: PayerArgs,
    /// Wei
    #[arg(long, value_name = "UNITS", value_parser = parse_units)]
    amount: Amount,
    /// Leaf to credit; without it a new one, or the key's first if the node at --rpc knows it
    #[arg(long, value_name = "INDEX")]
    to: Option<u32>,
    /// Do not ask a node of the rollup for the key's leaf
    #[arg(long)]
    offline: bool,
}

/// Arguments of `quorate wallet claim`.
#[derive(Debug, Args)]
pub(super) struct ClaimArgs {
    #[command(flatten)]
    contracts: ContractsArgs,
    #[command(flatten)]
    payer: PayerArgs,
    /// Whose withdrawals are claimed [default: the payer's]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Show what can be claimed, and claim nothing
    #[arg(long)]
    list: bool,
}

/// Arguments of `quorate wallet force` and `exit`.
#[derive(Debug, Args)]
pub(super) struct ForceArgs {
    #[command(flatten)]
    pub(super) contracts: ContractsArgs,
    #[command(flatten)]
    pub(super) payer: PayerArgs,
    /// Leaf that the payer owns
    #[arg(long, value_name = "INDEX")]
    pub(super) from: u32,
    /// Token of the leaf
    #[arg(long, value_name = "TOKEN", default_value_t = 0)]
    pub(super) token: u32,
}

/// What `quorate wallet force` puts into the inbox.
#[derive(Debug, Subcommand)]
pub(super) enum ForceCommand {
    /// Pay an amount out to the owner
    Withdraw {
        #[command(flatten)]
        args: ForceArgs,
        /// Base units
        #[arg(long, value_name = "UNITS", value_parser = parse_units)]
        amount: Amount,
    },
    /// Move an amount to a leaf of the same token
    Transfer {
        #[command(flatten)]
        args: ForceArgs,
        /// Base units
        #[arg(long, value_name = "UNITS", value_parser = parse_units)]
        amount: Amount,
        /// Leaf that is paid
        #[arg(long, value_name = "INDEX")]
        to: u32,
    },
}

/// An item that entered.
#[derive(Serialize)]
struct Entered {
    /// Its place in the inbox.
    number: u64,
    transaction: String,
    block: u64,
    fee_wei: String,
}

/// A withdrawal that can be claimed, or was.
#[derive(Serialize)]
struct Claimed {
    batch: u64,
    index: u64,
    amount: String,
    token: u32,
    owner: Address,
    /// The transaction that paid it; absent if it was only listed.
    transaction: Option<String>,
}

/// A request of this kind by this sender; everything else is zero.
pub(super) fn request(kind: InboxKind, owner: Address) -> InboxRequest {
    InboxRequest {
        kind: Some(kind),
        from: LeafIndex(0),
        to: LeafIndex(0),
        token: TokenId(0),
        amount: Amount::ZERO,
        owner: l1_address(owner),
        l1_owner: L1Address::ZERO,
        key: LeafKey::NULL,
    }
}

/// Enqueues a request and says where it stands.
pub(super) async fn enter(
    (contracts, payer): (&ContractsArgs, &PayerArgs),
    what: &str,
    request: &InboxRequest,
    output: Output,
) -> Outcome {
    let file = load_deployment(&contracts.deployment)?;
    let layer = connect(&contracts.base_layer, file.chain_id).await?;
    let fee = view(
        &*layer,
        head(&*layer).await?,
        file.inbox,
        &Inbox::feeCall {},
    )
    .await;
    let fee = fee.map_err(|error| binding_error(what, &error))?;
    let (input, value) = enqueue(request).map_err(|error| binding_error(what, &error))?;
    let value = value + fee + fee / U256::from(FEE_MARGIN);
    let receipt = transact(
        &layer,
        payer,
        what,
        intent(file.inbox, input, value, ITEM_GAS),
    )
    .await?;
    let entered = entered(&layer, &file, &receipt, what).await?;
    output.data(&entered, |entered| {
        pairs(&[
            ("inbox item", entered.number.to_string()),
            ("transaction", entered.transaction.clone()),
            ("block", entered.block.to_string()),
            ("fee", format!("{} wei", entered.fee_wei)),
        ])
    });
    output.note(
        "it is executed once the block is final; the contracts let no batch leave it out for ever",
    );
    Ok(Exit::Success)
}

async fn entered(
    layer: &Arc<dyn BaseLayer>,
    file: &DeploymentFile,
    receipt: &Receipt,
    what: &str,
) -> Result<Entered, CliError> {
    let filter = LogFilter {
        addresses: vec![file.inbox],
        ..LogFilter::default()
    };
    let logs = layer.logs(receipt.block, &filter).await;
    let logs = logs.map_err(|error| layer_error(what, &error))?;
    let own = logs
        .iter()
        .filter(|log| log.transaction == receipt.transaction);
    for log in own {
        let read =
            event::<Events::ItemEnqueued>(log).map_err(|error| binding_error(what, &error))?;
        if let Some(read) = read {
            let item = EnqueuedItem::read(&read).map_err(|error| binding_error(what, &error))?;
            return Ok(Entered {
                number: item.number,
                transaction: receipt.transaction.to_string(),
                block: receipt.block_number,
                fee_wei: item.fee_wei.to_string(),
            });
        }
    }
    let why = "the transaction wrote no item";
    Err(CliError::new(
        Exit::Invalid,
        what,
        why,
        "check that the deployment file is of this chain",
    ))
}

/// Pays money in.
pub(super) fn deposit(connection: &Connection<'_>, args: &DepositArgs, output: Output) -> Outcome {
    let keystore = Keystore::open(connection.path)?;
    let identity = &keystore.identity;
    let payer = args.payer.l1_key.signer()?.address();
    block_on(async {
        let known = match (args.to, args.offline) {
            (Some(index), _) => Some(index),
            (None, true) => None,
            (None, false) => {
                let node = Node::new(connection.rpc)?;
                let leaves = leaves(&node, identity).await?;
                leaves
                    .iter()
                    .find(|leaf| leaf.token == 0)
                    .map(|leaf| leaf.index)
            }
        };
        let request = InboxRequest {
            // no leaf has the last index before the tree is full: then the deposit goes to a new one
            to: LeafIndex(known.unwrap_or(u32::MAX)),
            amount: args.amount,
            l1_owner: identity.l1_owner,
            key: identity.key.into(),
            ..request(InboxKind::Deposit, payer)
        };
        enter(
            (&args.contracts, &args.payer),
            "no deposit was made",
            &request,
            output,
        )
        .await
    })
}

/// Puts an operation into the inbox.
pub(super) fn force(command: &ForceCommand, output: Output) -> Outcome {
    let (args, kind, amount, to) = match command {
        ForceCommand::Withdraw { args, amount } => (args, InboxKind::ForcedWithdraw, *amount, 0),
        ForceCommand::Transfer { args, amount, to } => {
            (args, InboxKind::ForcedTransfer, *amount, *to)
        }
    };
    let payer = args.payer.l1_key.signer()?.address();
    let request = InboxRequest {
        from: LeafIndex(args.from),
        to: LeafIndex(to),
        token: TokenId(args.token),
        amount,
        ..request(kind, payer)
    };
    block_on(enter(
        (&args.contracts, &args.payer),
        "nothing was forced",
        &request,
        output,
    ))
}

/// Has withdrawals of proven batches paid.
pub(super) fn claim_all(args: &ClaimArgs, output: Output) -> Outcome {
    let what = "nothing was claimed";
    block_on(async {
        let file = load_deployment(&args.contracts.deployment)?;
        let layer = connect(&args.contracts.base_layer, file.chain_id).await?;
        let owner = match args.owner {
            Some(owner) => owner,
            None => args.payer.l1_key.signer()?.address(),
        };
        let open = claimable(&*layer, &file, owner, what).await?;
        let mut done = Vec::new();
        for (batch, index, claim) in open {
            let transaction = if args.list {
                None
            } else {
                let call = intent(file.bridge, claim.input, U256::ZERO, CLAIM_GAS);
                Some(
                    transact(&layer, &args.payer, what, call)
                        .await?
                        .transaction
                        .to_string(),
                )
            };
            done.push(Claimed {
                batch,
                index,
                amount: claim.withdrawal.amount.to_string(),
                token: claim.withdrawal.token.0,
                owner: address(claim.withdrawal.owner),
                transaction,
            });
        }
        output.data(&done, |done| {
            if done.is_empty() {
                return format!("no withdrawal to {owner} of a proven batch is open\n");
            }
            let rows = done.iter().map(|one| {
                vec![
                    one.batch.to_string(),
                    one.index.to_string(),
                    one.amount.clone(),
                    one.token.to_string(),
                    one.transaction.clone().unwrap_or_else(|| "-".to_owned()),
                ]
            });
            table(&["batch", "index", "amount", "token", "transaction"], rows)
        });
        Ok(Exit::Success)
    })
}
