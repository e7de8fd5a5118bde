//! Payments and withdrawals: what is signed by the wallet and ordered by validators.
//!
//! The node is not believed about whose leaf it names (`online.rs` checks that), and the domain is recomputed before anything is
//! signed. The password is asked for last: everything else that can go wrong has gone wrong by then.

use std::path::PathBuf;

use api::ErrorCode;
use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use api::status::{Stage, TransactionStatus};
use api::text::HashText;
use clap::Args;
use jsonrpsee::core::ClientError;
use protocol::{
    genesis::Genesis,
    number::{Amount, Height, LeafIndex, Nonce, TokenId},
    transaction::{Action, Domain, SignedTransaction, Transaction},
};
use serde::Serialize;

use super::online::{Connection, WaitFor, check_leaf, follow, leaves, verdict};
use super::receipt::stage_name;
use crate::exit::{CliError, Exit, Outcome};
use crate::genesis_file;
use crate::node::{Node, block_on};
use crate::output::{Output, pairs};
use crate::wallet::address::PaymentAddress;
use crate::wallet::amount::{parse_units, publishable_amount, publishable_fee};
use crate::wallet::keystore::{Identity, Keystore};

/// How an operation is sent and waited for.
#[derive(Debug, Args)]
pub(super) struct Terms {
    /// Fee in base units of the same token [default: the node's minimum]
    #[arg(long, value_name = "UNITS", value_parser = parse_units)]
    fee: Option<Amount>,
    /// Leaf to pay from [default: the first of the token]
    #[arg(long, value_name = "INDEX")]
    from: Option<u32>,
    /// Heights after which the operation can no longer be applied
    #[arg(long, value_name = "HEIGHTS", default_value_t = 1_000)]
    valid_for: u64,
    /// Genesis of the chain you mean; the node must serve it
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Return only when this stage is reached
    #[arg(long, value_name = "STAGE")]
    wait: Option<WaitFor>,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
}

/// Arguments of `quorate wallet send`.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// Payment address: qr1...
    #[arg(long, value_name = "ADDRESS")]
    to: PaymentAddress,
    /// Base units: at most nine significant digits
    #[arg(long, value_name = "UNITS", value_parser = parse_units)]
    amount: Amount,
    /// Round an amount that cannot be published down instead of refusing it
    #[arg(long)]
    round_down: bool,
    #[command(flatten)]
    terms: Terms,
}

/// Arguments of `quorate wallet withdraw`.
#[derive(Debug, Args)]
pub(super) struct WithdrawArgs {
    /// Base units
    #[arg(long, value_name = "UNITS", value_parser = parse_units)]
    amount: Amount,
    /// Token; 0 is the base layer's coin
    #[arg(long, value_name = "TOKEN", default_value_t = 0)]
    token: u32,
    #[command(flatten)]
    terms: Terms,
}

/// What was sent.
#[derive(Serialize)]
struct Sent {
    id: HashText,
    from: u32,
    to: Option<u32>,
    creates_leaf: bool,
    amount: String,
    fee: String,
    nonce: u64,
    valid_until: u64,
    status: TransactionStatus,
}

impl Sent {
    fn describe(&self, action: &Action) -> String {
        let (what, to) = match action {
            Action::Withdraw { .. } => ("withdrawal", "the owner on the base layer".to_owned()),
            Action::Transfer { to, .. } => ("payment", format!("leaf {to}")),
            _ => ("payment", "a new leaf".to_owned()),
        };
        let text = format!(
            "{} from leaf {} to {to}, fee {}",
            self.amount, self.from, self.fee
        );
        pairs(&[
            ("id", self.id.to_string()),
            (what, text),
            ("nonce", self.nonce.to_string()),
            ("valid until", format!("height {}", self.valid_until)),
            ("status", stage_name(self.status.stage).to_owned()),
            ("revertible by", self.status.revertible_by.clone()),
        ])
    }
}

/// Where an amount goes.
enum Purpose<'a> {
    Pay(&'a PaymentAddress),
    Withdraw(TokenId),
}

/// Signs and sends a payment.
pub(super) fn send(connection: &Connection<'_>, args: &SendArgs, output: Output) -> Outcome {
    let amount = publishable_amount(args.amount, args.round_down).map_err(|why| {
        let todo = "send the amount below, or pass --round-down";
        CliError::new(Exit::Usage, "the amount cannot be sent", why, todo)
    })?;
    carry_out(
        connection,
        &Purpose::Pay(&args.to),
        amount,
        &args.terms,
        output,
    )
}

/// Signs and sends a withdrawal.
pub(super) fn withdraw(
    connection: &Connection<'_>,
    args: &WithdrawArgs,
    output: Output,
) -> Outcome {
    let purpose = Purpose::Withdraw(TokenId(args.token));
    let outcome = carry_out(connection, &purpose, args.amount, &args.terms, output)?;
    output.note("once its batch is finalized, quorate wallet claim has it paid on the base layer");
    Ok(outcome)
}

fn carry_out(
    connection: &Connection<'_>,
    purpose: &Purpose<'_>,
    amount: Amount,
    terms: &Terms,
    output: Output,
) -> Outcome {
    let keystore = Keystore::open(connection.path)?;
    let genesis = terms
        .genesis
        .as_deref()
        .map(genesis_file::load)
        .transpose()?;
    let node = Node::new(connection.rpc)?;
    let identity = &keystore.identity;
    let prepared = block_on(prepare(
        &node,
        identity,
        purpose,
        (amount, terms),
        genesis.as_ref(),
    ))?;
    let Prepared {
        transaction,
        chain_id,
        domain,
    } = prepared;
    let creates_leaf = matches!(transaction.action, Action::TransferToNew { .. });
    if creates_leaf {
        output.note(
            "the recipient has no leaf of this token yet: the payment creates it (transfer_to_new)",
        );
    }
    let secret = keystore.unlock(&connection.password.read("password", false)?)?;
    let signed = SignedTransaction {
        transaction,
        key: secret.public(),
        signature: secret.sign(&transaction.message(&domain, false)),
    };
    let sent = block_on(async {
        let request = SignedTransactionJson::new(chain_id, &signed);
        let id = node.client.send_transaction(request).await;
        let id = id.map_err(|error| node.error("sending the operation", error))?;
        let stage = terms.wait.map_or(Stage::Pending, WaitFor::stage);
        let status = follow(&node, &id, stage, terms.patience, output).await?;
        let to = match transaction.action {
            Action::Transfer { to, .. } => Some(to.0),
            _ => None,
        };
        Ok(Sent {
            id,
            from: transaction.from.0,
            to,
            creates_leaf,
            amount: amount.to_string(),
            fee: transaction.fee.to_string(),
            nonce: transaction.nonce.0,
            valid_until: transaction.valid_until.0,
            status,
        })
    })?;
    output.data(&sent, |sent| sent.describe(&transaction.action));
    verdict(&sent.status, terms.wait)
}

/// An operation that is ready to be signed.
struct Prepared {
    transaction: Transaction,
    chain_id: u64,
    domain: Domain,
}

async fn prepare(
    node: &Node,
    identity: &Identity,
    purpose: &Purpose<'_>,
    (amount, terms): (Amount, &Terms),
    genesis: Option<&Genesis>,
) -> Result<Prepared, CliError> {
    let (chain, domain) = node.chain(genesis).await?;
    let token = match purpose {
        Purpose::Pay(to) => to.token,
        Purpose::Withdraw(token) => *token,
    };
    let own = leaves(node, identity).await?;
    let from = own
        .iter()
        .filter(|leaf| leaf.token == token.0)
        .find(|leaf| terms.from.is_none_or(|index| index == leaf.index))
        .ok_or_else(|| {
            let why = format!("this key has no such leaf of token {token}");
            let todo = "quorate wallet balance lists the leaves; a first payment to your address makes one";
            CliError::new(Exit::Invalid, "there is nothing to pay from", why, todo)
        })?;
    let collects = chain.fee_leaves.iter().any(|leaf| leaf.token == token.0);
    let minimum = chain
        .fee_min
        .parse()
        .map_err(|error| CliError::refused("reading the fee", &error))?;
    let fee = terms
        .fee
        .unwrap_or(if collects { minimum } else { Amount::ZERO });
    let fee = publishable_fee(fee).map_err(|why| {
        let todo = "use the fee below, or the next higher one";
        CliError::new(Exit::Usage, "the fee cannot be paid", why, todo)
    })?;
    let status = node.client.status().await;
    let status = status.map_err(|error| node.error("asking for the height", error))?;
    let action = match purpose {
        Purpose::Pay(to) => payment(node, to, amount).await?,
        Purpose::Withdraw(_) => Action::Withdraw { amount },
    };
    let transaction = Transaction {
        from: LeafIndex(from.index),
        nonce: Nonce(from.pending_nonce),
        valid_until: Height(status.height.saturating_add(terms.valid_for)),
        fee,
        action,
    };
    Ok(Prepared {
        transaction,
        chain_id: chain.chain_id,
        domain,
    })
}

/// To the recipient's leaf, or to one that the payment makes.
async fn payment(node: &Node, to: &PaymentAddress, amount: Amount) -> Result<Action, CliError> {
    let resolved = node
        .client
        .resolve_leaf(to.key.into(), to.l1_owner.into(), to.token.0)
        .await;
    match resolved {
        Ok(leaf) => {
            check_leaf(&leaf, to)?;
            Ok(Action::Transfer {
                to: LeafIndex(leaf.index),
                amount,
            })
        }
        Err(ClientError::Call(object)) if object.code() == ErrorCode::UnknownLeaf.number() => {
            Ok(Action::TransferToNew {
                key: to.key.into(),
                l1_owner: to.l1_owner,
                amount,
            })
        }
        Err(error) => Err(node.error("resolving the recipient", error)),
    }
}
