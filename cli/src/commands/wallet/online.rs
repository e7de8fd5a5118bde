//! The half of the wallet that speaks with a node.
//!
//! The node is not believed blindly: the domain is recomputed (and compared with `--genesis`), and a leaf that it
//! names as sender or recipient must carry the key, owner and token that were asked for. What this does not catch: a
//! node that lies about the index of the recipient's leaf and about what stands there. Who pays through a foreign node
//! should compare the leaf's path with a root that a bundle proves.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::time::Duration;

use api::ledger::{BlockJson, EntryJson, LeafJson};
use api::operation::{ActionJson, TransactionJson};
use api::rpc::QuorateClient;
use api::status::{Evidence, Stage, TransactionStatus};
use api::text::HashText;
use clap::{Args, ValueEnum};
use protocol::number::TokenId;
use serde::Serialize;

use super::receipt::{stage_name, tier_line};
use crate::exit::{CliError, Exit, Outcome};
use crate::node::{Node, block_on};
use crate::output::{Output, pairs, table};
use crate::secret::SecretSource;
use crate::wallet::address::PaymentAddress;
use crate::wallet::keystore::{Identity, Keystore};

/// Leaves of one owner that are looked at.
const LEAVES_MAX: usize = 10_000;
/// Entries asked for at once.
const PAGE: u32 = 100;

/// How to reach key and node.
pub(super) struct Connection<'a> {
    pub(super) path: &'a Path,
    pub(super) rpc: &'a str,
    pub(super) password: &'a SecretSource,
}

/// How far to wait.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum WaitFor {
    /// In a block that the validator has certified
    Certified,
    /// Its batch stands on the base layer
    Committed,
    /// Proven: every proof of its batch was verified by the node
    Proven,
    /// A final block of the base layer has proven its batch
    Finalized,
}

impl WaitFor {
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Certified => Stage::Certified,
            Self::Committed => Stage::Committed,
            Self::Proven => Stage::Proven,
            Self::Finalized => Stage::Finalized,
        }
    }
}

/// Arguments of `quorate wallet status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Id, as `send` printed it
    id: String,
    /// Return only when this stage is reached
    #[arg(long, value_name = "STAGE")]
    wait: Option<WaitFor>,
    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    patience: u64,
}

/// Arguments of `quorate wallet history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Operations to show at most, for each leaf
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
}

/// All leaves of an identity, checked to be its own.
pub(super) async fn leaves(node: &Node, identity: &Identity) -> Result<Vec<LeafJson>, CliError> {
    let mut found: Vec<LeafJson> = Vec::new();
    let mut cursor = None;
    loop {
        let page = node
            .client
            .leaves_of_owner(
                identity.key.into(),
                identity.l1_owner.into(),
                cursor,
                Some(PAGE),
            )
            .await
            .map_err(|error| node.error("asking for leaves", error))?;
        for leaf in page.entries {
            check_leaf(&leaf, &identity.address(TokenId(leaf.token)))?;
            found.push(leaf);
        }
        cursor = page.next;
        if cursor.is_none() || found.len() >= LEAVES_MAX {
            return Ok(found);
        }
    }
}

/// A node that names somebody else's leaf would misdirect a payment.
pub(super) fn check_leaf(leaf: &LeafJson, expected: &PaymentAddress) -> Result<(), CliError> {
    let is_ours = leaf.parse().is_ok_and(|leaf| {
        leaf.key == expected.key.into()
            && leaf.l1_owner == expected.l1_owner
            && leaf.token == expected.token
    });
    if is_ours {
        return Ok(());
    }
    let why = format!(
        "leaf {} has another key, owner or token than was asked for",
        leaf.index
    );
    Err(CliError::new(
        Exit::Invalid,
        "the node's answer is false",
        why,
        "do not use this node",
    ))
}

/// Shows every leaf.
pub(super) fn balance(connection: &Connection<'_>, output: Output) -> Outcome {
    let keystore = Keystore::open(connection.path)?;
    let node = Node::new(connection.rpc)?;
    let leaves = block_on(leaves(&node, &keystore.identity))?;
    output.data(&leaves, |leaves| {
        if leaves.is_empty() {
            return "no leaf yet: the first payment to this address makes one\n".to_owned();
        }
        let rows = leaves.iter().map(|leaf| {
            vec![
                leaf.index.to_string(),
                leaf.token.to_string(),
                leaf.balance.to_string(),
                leaf.nonce.to_string(),
                (leaf.pending_nonce - leaf.nonce.min(leaf.pending_nonce)).to_string(),
            ]
        });
        table(&["leaf", "token", "balance", "nonce", "pending"], rows)
    });
    Ok(Exit::Success)
}

pub(super) async fn follow(
    node: &Node,
    id: &HashText,
    stage: Stage,
    patience: u64,
    output: Output,
) -> Result<TransactionStatus, CliError> {
    let mut last = None;
    let seen = |status: &TransactionStatus| {
        if last.replace(status.stage) != Some(status.stage) {
            output.note(&format!("{}: {}", status.id, stage_name(status.stage)));
        }
    };
    node.wait(id, stage, Duration::from_secs(patience), seen)
        .await
}

/// Success, unless the operation failed or is not as far as was waited for.
pub(super) fn verdict(status: &TransactionStatus, wait: Option<WaitFor>) -> Outcome {
    if let Some(failure) = &status.failure {
        let verdict = &failure.verdict;
        let what = format!("{} failed", status.id);
        let why = format!("{} (code {})", verdict.reason, verdict.code);
        return Err(CliError::new(
            Exit::Invalid,
            what,
            why,
            verdict.hint.clone(),
        ));
    }
    match wait {
        Some(wait) if status.stage < wait.stage() => {
            let what = format!("{} is only {}", status.id, stage_name(status.stage));
            let todo = "it may still get there: ask again with quorate wallet status";
            Err(CliError::new(
                Exit::Invalid,
                what,
                "the time to wait is over",
                todo,
            ))
        }
        _ => Ok(Exit::Success),
    }
}

/// Shows the status of one operation.
pub(super) fn status(connection: &Connection<'_>, args: &StatusArgs, output: Output) -> Outcome {
    let node = Node::new(connection.rpc)?;
    let id = HashText(args.id.clone());
    id.parse().map_err(|error| {
        CliError::new(
            Exit::Usage,
            "this is not an id",
            error.reason,
            "copy the id that send printed",
        )
    })?;
    let stage = args.wait.map_or(Stage::UnknownHere, WaitFor::stage);
    let status = block_on(follow(&node, &id, stage, args.patience, output))?;
    output.data(&status, |status| {
        let mut rows = vec![
            ("id", status.id.to_string()),
            ("stage", stage_name(status.stage).to_owned()),
        ];
        for reached in &status.reached {
            let evidence = match &reached.evidence {
                Evidence::Mempool => "the node's word".to_owned(),
                Evidence::Soft {
                    base_height,
                    number,
                    weight_signed,
                    weight_total,
                    ..
                } => format!(
                    "soft block {number} above height {base_height}, signed by {weight_signed} of {weight_total}: \
                     it can be reverted"
                ),
                Evidence::Certificate {
                    height,
                    place,
                    certificate,
                    ..
                } => {
                    let signers = certificate.signatures.iter();
                    let names: Vec<String> = signers.map(|one| one.validator.to_string()).collect();
                    format!(
                        "block {height}, place {place}, signed by {}",
                        names.join(", ")
                    )
                }
                Evidence::Record { height, place } => {
                    format!("block {height}, place {place}; the node has pruned its certificate")
                }
                Evidence::Bundle { batch, hash } => format!("bundle of batch {batch}, {hash}"),
                Evidence::BaseLayer { batch, place } => format!(
                    "batch {batch} in block {} of the base layer, transaction {}",
                    place.number, place.transaction
                ),
            };
            rows.push((
                stage_name(reached.stage),
                format!("at {} ms: {evidence}", reached.time_ms),
            ));
        }
        rows.extend(status.tiers.iter().map(|tier| ("tier", tier_line(tier))));
        rows.push(("revertible by", status.revertible_by.clone()));
        pairs(&rows)
    });
    verdict(&status, args.wait)
}

/// One line of the history.
#[derive(Serialize)]
struct HistoryEntry {
    leaf: u32,
    direction: &'static str,
    transaction: Option<TransactionJson>,
    status: TransactionStatus,
}

/// Shows the operations of every leaf.
pub(super) fn history(connection: &Connection<'_>, args: &HistoryArgs, output: Output) -> Outcome {
    let keystore = Keystore::open(connection.path)?;
    let node = Node::new(connection.rpc)?;
    let entries = block_on(collect_history(&node, &keystore.identity, args.limit))?;
    output.data(&entries, |entries| {
        if entries.is_empty() {
            return "no operations yet\n".to_owned();
        }
        let rows = entries.iter().map(|entry| {
            let amount = entry
                .transaction
                .as_ref()
                .and_then(amount_of)
                .unwrap_or("-");
            vec![
                entry.leaf.to_string(),
                entry.direction.to_owned(),
                amount.to_owned(),
                stage_name(entry.status.stage).to_owned(),
                entry.status.id.to_string(),
            ]
        });
        table(&["leaf", "direction", "amount", "status", "id"], rows)
    });
    Ok(Exit::Success)
}

fn amount_of(transaction: &TransactionJson) -> Option<&str> {
    match &transaction.action {
        ActionJson::Transfer { amount, .. }
        | ActionJson::TransferToNew { amount, .. }
        | ActionJson::Withdraw { amount } => Some(&amount.0),
        ActionJson::ChangeKey { .. } | ActionJson::Lock { .. } => None,
    }
}

async fn collect_history(
    node: &Node,
    identity: &Identity,
    limit: u32,
) -> Result<Vec<HistoryEntry>, CliError> {
    let mut blocks: BTreeMap<u64, BlockJson> = BTreeMap::new();
    let mut entries = Vec::new();
    for leaf in leaves(node, identity).await? {
        let page = node
            .client
            .transactions_of_leaf(leaf.index, None, Some(limit))
            .await;
        let page = page.map_err(|error| node.error("asking for the history", error))?;
        for status in page.entries {
            let transaction = ordered(node, &status, &mut blocks).await?;
            let direction = match &transaction {
                Some(transaction) if transaction.from == leaf.index => "out",
                Some(_) => "in",
                None => "-",
            };
            entries.push(HistoryEntry {
                leaf: leaf.index,
                direction,
                transaction,
                status,
            });
        }
    }
    Ok(entries)
}

/// The operation inside its block, if it is in one.
async fn ordered(
    node: &Node,
    status: &TransactionStatus,
    blocks: &mut BTreeMap<u64, BlockJson>,
) -> Result<Option<TransactionJson>, CliError> {
    let height = status
        .reached
        .iter()
        .find_map(|reached| match &reached.evidence {
            Evidence::Certificate { height, .. } => Some(*height),
            _ => None,
        });
    let Some(height) = height else {
        return Ok(None);
    };
    if let Entry::Vacant(place) = blocks.entry(height) {
        let block = node.client.block(Some(height)).await;
        place.insert(block.map_err(|error| node.error("asking for a block", error))?);
    }
    let operations = blocks
        .get(&height)
        .into_iter()
        .flat_map(|block| &block.entries)
        .flat_map(|entry| match entry {
            EntryJson::Submission { operations, .. } => operations.as_slice(),
            EntryJson::BidBurn { .. } => &[],
        });
    let found = operations
        .into_iter()
        .find(|operation| operation.id == status.id);
    Ok(found.map(|operation| operation.transaction.clone()))
}
