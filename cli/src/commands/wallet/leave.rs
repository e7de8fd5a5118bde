//! `quorate wallet exit`: leaving with everything that a leaf holds, while the rollup is served and after its end.
//!
//! While the Rollup takes batches, the way out is a forced exit through the Inbox. In Desert it is DesertExit, with a path in
//! the state that is rebuilt here from genesis and the contracts' events: no node of the rollup is asked. Invariants: what the
//! contract would refuse is told before anything is sent; the leaf's owner is paid, whoever sends. Items that no proven
//! batch consumed are `refund.rs`.

use std::path::PathBuf;
use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use clap::Args;
use protocol::genesis::Genesis;
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{Amount, LeafIndex, TokenId};
use serde::Serialize;
use settlement::bindings::{
    BindingError, DesertExit, Rollup, address, desert_from, leaf_exit, view,
};
use settlement::deploy::DeploymentFile;
use settlement::{BaseLayer, BlockAt};

use super::settle::{ForceArgs, enter, request};
use crate::base_layer::{
    binding_error, connect, head, intent, layer_error, load_deployment, rebuilt, transact,
};
use crate::exit::{CliError, Exit, Outcome};
use crate::genesis_file;
use crate::node::block_on;
use crate::output::{Output, pairs};

/// The Rollup's number of the mode in which nothing but exits happens.
pub(super) const DESERT: u8 = 2;
/// Gas of opening Desert at most.
const TRIGGER_GAS: u64 = 500_000;
/// Gas of an exit at most: 17 Poseidon hashes cost a million, and tokens differ.
const EXIT_GAS: u64 = 2_000_000;
/// What is said first when nobody left.
const WHAT: &str = "the leaf was not paid out";

/// Arguments of `quorate wallet exit`.
#[derive(Debug, Args)]
pub(super) struct ExitArgs {
    #[command(flatten)]
    leaf: ForceArgs,
    /// Genesis file of the rollup, from which the state is rebuilt in Desert
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Leave by DesertExit and in no other way; opens Desert if that is due
    #[arg(long)]
    desert: bool,
}

/// A leaf that was paid out in Desert.
#[derive(Serialize)]
struct Left {
    leaf: u32,
    owner: Address,
    token: u32,
    amount: String,
    transaction: String,
    block: u64,
}

/// What is known before Desert is left.
struct Desert<'a> {
    args: &'a ForceArgs,
    layer: Arc<dyn BaseLayer>,
    file: DeploymentFile,
    genesis: Genesis,
}

fn unclear(error: &BindingError) -> CliError {
    binding_error(WHAT, error)
}

/// Leaves with everything that a leaf holds.
pub(super) fn exit(args: &ExitArgs, output: Output) -> Outcome {
    let leaf = &args.leaf;
    block_on(async {
        let file = load_deployment(&leaf.contracts.deployment)?;
        let layer = connect(&leaf.contracts.base_layer, file.chain_id).await?;
        let mode = view(
            &*layer,
            head(&*layer).await?,
            file.rollup,
            &Rollup::modeCall {},
        )
        .await;
        let mode = mode.map_err(|error| unclear(&error))?;
        if mode != DESERT && !args.desert {
            let request = InboxRequest {
                from: LeafIndex(leaf.from),
                token: TokenId(leaf.token),
                ..request(InboxKind::ForcedExit, leaf.payer.l1_key.signer()?.address())
            };
            let by = (&leaf.contracts, &leaf.payer);
            return enter(by, "no exit was begun", &request, output).await;
        }
        let Some(path) = &args.genesis else {
            let why = "the state is rebuilt from genesis and the contracts' events";
            let todo = "name the rollup's genesis file with --genesis";
            return Err(CliError::new(Exit::Usage, WHAT, why, todo));
        };
        let desert = Desert {
            args: leaf,
            layer,
            file,
            genesis: genesis_file::load(path)?,
        };
        if mode != DESERT {
            desert.open().await?;
        }
        let left = desert.leave().await?;
        output.data(&left, |left| {
            pairs(&[
                ("leaf", left.leaf.to_string()),
                ("owner", left.owner.to_string()),
                ("amount", format!("{} of token {}", left.amount, left.token)),
                ("transaction", left.transaction.clone()),
                ("block", left.block.to_string()),
            ])
        });
        Ok(Exit::Success)
    })
}

impl Desert<'_> {
    /// Opens Desert if what waits has waited for long enough.
    async fn open(&self) -> Result<(), CliError> {
        let at = BlockAt::Latest;
        let header = self.layer.header(at).await;
        let header = header.map_err(|error| layer_error(WHAT, &error))?;
        let none = || CliError::new(Exit::Unavailable, WHAT, "there is no block", "try again");
        let header = header.ok_or_else(none)?;
        let (rollup, inbox) = (self.file.rollup, self.file.inbox);
        let from = desert_from(&*self.layer, header.hash(), rollup, inbox).await;
        let why = match from.map_err(|error| unclear(&error))? {
            Some(from) if header.timestamp >= from => {
                let input = Bytes::from(Rollup::triggerDesertCall {}.abi_encode());
                let call = intent(rollup, input, U256::ZERO, TRIGGER_GAS);
                let what = "Desert was not opened";
                return transact(&self.layer, &self.args.payer, what, call)
                    .await
                    .map(|_| ());
            }
            Some(from) => {
                let left = from.saturating_sub(header.timestamp);
                format!(
                    "the Rollup is not in Desert; what waits may open it at Unix time {from}, in {left} s, if nothing is \
                     proven until then"
                )
            }
            None => "the Rollup is not in Desert; nothing waits for a proof, so nobody may open it"
                .to_owned(),
        };
        let todo =
            "leave without --desert: a forced exit enters the inbox, and no batch may leave it out";
        Err(CliError::new(Exit::Invalid, WHAT, why, todo))
    }

    /// Has the leaf paid out by its path in the rebuilt state.
    async fn leave(&self) -> Result<Left, CliError> {
        let index = self.args.from;
        let refused =
            |why: String, todo: &'static str| Err(CliError::new(Exit::Invalid, WHAT, why, todo));
        let chain = rebuilt(&*self.layer, &self.file, &self.genesis).await?;
        let exit = match leaf_exit(&chain.state, LeafIndex(index)) {
            Ok(exit) => exit,
            Err(BindingError::NoLeaf(_)) => {
                let count = chain.state.leaf_count();
                let why = format!("the last proven state has {count} leaves, and no leaf {index}");
                return refused(why, "quorate base-layer rebuild --leaf shows leaves");
            }
            Err(error) => return Err(unclear(&error)),
        };
        let call = DesertExit::isExitedCall { index };
        let at = head(&*self.layer).await?;
        let is_exited = view(&*self.layer, at, self.file.desert_exit, &call).await;
        if is_exited.map_err(|error| unclear(&error))? {
            let why = format!("leaf {index} has left already, and its owner was paid");
            return refused(why, "nothing is left to do for this leaf");
        }
        let leaf = exit.leaf;
        if leaf.balance == Amount::ZERO {
            let why = format!(
                "nothing is owed: leaf {index} holds 0 of token {}",
                leaf.token
            );
            return refused(
                why,
                "claim its withdrawals, if it had any: quorate wallet claim",
            );
        }
        let call = intent(self.file.desert_exit, exit.input, U256::ZERO, EXIT_GAS);
        let receipt = transact(&self.layer, &self.args.payer, WHAT, call).await?;
        Ok(Left {
            leaf: index,
            owner: address(leaf.l1_owner),
            token: leaf.token.0,
            amount: leaf.balance.to_string(),
            transaction: receipt.transaction.to_string(),
            block: receipt.block_number,
        })
    }
}
