//! `quorate wallet refund`: in Desert, items that no proven batch consumed go back to who sent them, deposit and fee.
//!
//! Which items those are is read from the contracts' events; no node of the rollup is asked. Invariants: what the contract
//! would refuse is not sent; the sender of an item is paid, whoever asks. Leaves are `leave.rs`, withdrawals `settle.rs`.

use alloy_primitives::{Address, U256};
use clap::Args;
use protocol::inbox::InboxKind;
use protocol::number::Amount;
use serde::Serialize;
use settlement::BaseLayer;
use settlement::bindings::{
    BindingError, DesertExit, EnqueuedItem, Rollup, address, item_refund, view,
};
use settlement::deploy::DeploymentFile;
use settlement::history::{SettledEvent, read_history};

use super::leave::DESERT;
use crate::base_layer::{
    ContractsArgs, PayerArgs, binding_error, connect, head, intent, load_deployment, transact,
};
use crate::exit::{CliError, Exit, Outcome};
use crate::node::block_on;
use crate::output::{Output, table};

/// Gas of a refund at most: two payments, and tokens differ.
const REFUND_GAS: u64 = 500_000;
/// What is said first when nothing went back.
const WHAT: &str = "nothing was refunded";

/// Arguments of `quorate wallet refund`.
#[derive(Debug, Args)]
pub(super) struct RefundArgs {
    #[command(flatten)]
    contracts: ContractsArgs,
    #[command(flatten)]
    payer: PayerArgs,
    /// Whose items are undone [default: the payer's]
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
    /// Show what can be undone, and undo nothing
    #[arg(long)]
    list: bool,
}

/// An item that can be undone, or was.
#[derive(Serialize)]
struct Refunded {
    /// Its place in the inbox.
    number: u64,
    /// What was deposited; zero of a forced operation.
    amount: String,
    token: u32,
    fee_wei: String,
    owner: Address,
    /// The transaction that undid it; absent if it was only listed.
    transaction: Option<String>,
}

fn unclear(error: &BindingError) -> CliError {
    binding_error(WHAT, error)
}

/// Has items undone.
pub(super) fn refund_all(args: &RefundArgs, output: Output) -> Outcome {
    block_on(async {
        let file = load_deployment(&args.contracts.deployment)?;
        let layer = connect(&args.contracts.base_layer, file.chain_id).await?;
        let owner = match args.owner {
            Some(owner) => owner,
            None => args.payer.l1_key.signer()?.address(),
        };
        let mut done = Vec::new();
        for item in open_items(&*layer, &file, owner).await? {
            let transaction = if args.list {
                None
            } else {
                let input = item_refund(item.number, &item.item);
                let call = intent(file.desert_exit, input, U256::ZERO, REFUND_GAS);
                let receipt = transact(&layer, &args.payer, WHAT, call).await?;
                Some(receipt.transaction.to_string())
            };
            let request = item.item.request();
            let is_deposit = request.kind == Some(InboxKind::Deposit);
            let amount = if is_deposit {
                request.amount
            } else {
                Amount::ZERO
            };
            done.push(Refunded {
                number: item.number,
                amount: amount.to_string(),
                token: request.token.0,
                fee_wei: item.fee_wei.to_string(),
                owner,
                transaction,
            });
        }
        output.data(&done, |done| {
            if done.is_empty() {
                return format!("no item of {owner} is left to undo\n");
            }
            let rows = done.iter().map(|one| {
                vec![
                    one.number.to_string(),
                    one.amount.clone(),
                    one.token.to_string(),
                    one.fee_wei.clone(),
                    one.transaction.clone().unwrap_or_else(|| "-".to_owned()),
                ]
            });
            table(&["item", "amount", "token", "fee", "transaction"], rows)
        });
        Ok(Exit::Success)
    })
}

/// Items of an owner that no proven batch consumed and that were not undone, if the Rollup is in Desert.
async fn open_items(
    layer: &dyn BaseLayer,
    file: &DeploymentFile,
    owner: Address,
) -> Result<Vec<EnqueuedItem>, CliError> {
    let block = head(layer).await?;
    let mode = view(layer, block, file.rollup, &Rollup::modeCall {}).await;
    if mode.map_err(|error| unclear(&error))? != DESERT {
        let why = "the Rollup is not in Desert: items wait for a batch that consumes them";
        let todo = "quorate outsider serves the inbox when nobody does";
        return Err(CliError::new(Exit::Invalid, WHAT, why, todo));
    }
    let consumed = view(layer, block, file.rollup, &Rollup::provenInboxCountCall {}).await;
    let consumed = consumed.map_err(|error| unclear(&error))?;
    let mut items = Vec::new();
    let mut take = |event| {
        if let SettledEvent::Enqueued(item) = event
            && item.number >= consumed
            && address(item.owner) == owner
        {
            items.push(item);
        }
        Ok(())
    };
    let history = read_history(layer, file, block, &mut take).await;
    history.map_err(|error| unclear(&error))?;
    let mut open = Vec::new();
    for item in items {
        let number = item.number;
        let call = DesertExit::isRefundedCall { number };
        let is_refunded = view(layer, block, file.desert_exit, &call).await;
        if !is_refunded.map_err(|error| unclear(&error))? {
            open.push(item);
        }
    }
    Ok(open)
}
