//! The demo on its base layer: money comes in through the Inbox before the payments, some goes out with them, and in the end the
//! chain has paid it.
//!
//! Everything is checked from outside: the balance that a deposit makes, the status ladder up to `finalized`, the wei that a
//! claim pays. Keys are those of development chains.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256};
use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use api::status::Stage;
use api::text::HashText;
use protocol::genesis::Genesis;
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{Amount, BatchNumber, Height, LeafIndex, Nonce, TokenId};
use protocol::rebuild::{PublishedOperation, published};
use protocol::transaction::{Action, SignedTransaction, Transaction};
use settlement::bindings::{Inbox, address, enqueue, view};
use settlement::deploy::DeploymentFile;
use settlement::finality::finality_bundle;
use settlement::{BaseLayer, Receipt};

use crate::base_layer::{
    KeySource, PayerArgs, binding_error, claimable, connect, head, intent, layer_error,
    load_deployment, transact,
};
use crate::commands::base_layer::{bundle_error, final_block};
use crate::development;
use crate::exit::{CliError, Exit};
use crate::files;
use crate::node::Node;
use crate::output::Output;

/// Ether, in wei.
const ETHER: u128 = 1_000_000_000_000_000_000;
/// Development account that deposits; it owns leaf 4.
const DEPOSITOR: u32 = 3;
/// Development account that withdraws; it owns leaf 3.
const LEAVER: u32 = 2;
/// What comes in.
const DEPOSIT_WEI: u128 = 5 * ETHER;
/// What goes out.
const WITHDRAWAL_WEI: u128 = 2 * ETHER;
/// Gas that is enough for an item or a claim.
const GAS: u64 = 500_000;
/// Longest wait for a deposit: blocks of a second, four until final, three looks.
const DEPOSIT_PATIENCE: Duration = Duration::from_secs(180);
/// Longest wait for a batch on the base layer, its final proof included.
const SETTLE_PATIENCE: Duration = Duration::from_secs(7_200);
/// Time between looks.
const POLL: Duration = Duration::from_millis(200);

/// The base layer of a demo.
pub(crate) struct Settlement {
    layer: Arc<dyn BaseLayer>,
    file: DeploymentFile,
}

/// What settling cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SettledFigures {
    /// Gas of committing.
    pub(crate) commit_gas: u64,
    /// Gas of proving; none if no final proof was asked for.
    pub(crate) prove_gas: Option<u64>,
    /// The batch.
    pub(crate) batch: u64,
}

fn contradiction(why: String) -> CliError {
    let what = "the base layer and the rollup contradict each other";
    CliError::new(Exit::Bug, what, why, "please report it, with the logs")
}

fn payer(account: u32) -> PayerArgs {
    PayerArgs {
        l1_key: KeySource::Development(usize::try_from(account).unwrap_or(usize::MAX)),
        fee_max: 1_000,
    }
}

/// Leaf of a development account in the demo's genesis: leaf 0 collects fees.
fn leaf_of(account: u32) -> LeafIndex {
    LeafIndex(account + 1)
}

impl Settlement {
    /// The contracts of this file, at this node.
    ///
    /// # Errors
    /// The base layer's or the file's.
    pub(crate) async fn connect(url: &str, deployment: &Path) -> Result<Self, CliError> {
        let file = load_deployment(deployment)?;
        let layer = connect(url, file.chain_id).await?;
        Ok(Self { layer, file })
    }

    /// Deposits ether, and waits until it is in the depositor's leaf. Returns the height that executed it.
    ///
    /// # Errors
    /// The base layer's or the node's, or `Bug` if another balance comes out.
    pub(crate) async fn deposit(&self, node: &Node, output: Output) -> Result<u64, CliError> {
        let what = "the deposit of the demo failed";
        let owner = development::account(DEPOSITOR).l1_owner;
        let request = InboxRequest {
            kind: Some(InboxKind::Deposit),
            from: LeafIndex(0),
            to: leaf_of(DEPOSITOR),
            token: TokenId(0),
            amount: Amount::new(DEPOSIT_WEI).unwrap_or(Amount::ZERO),
            owner,
            l1_owner: owner,
            key: development::account(DEPOSITOR).secret.public().into(),
        };
        let before = balance(node, leaf_of(DEPOSITOR)).await?;
        let fee = view(
            &*self.layer,
            head(&*self.layer).await?,
            self.file.inbox,
            &Inbox::feeCall {},
        )
        .await;
        let fee = fee.map_err(|error| binding_error(what, &error))?;
        let (input, value) = enqueue(&request).map_err(|error| binding_error(what, &error))?;
        let call = intent(self.file.inbox, input, value + fee, GAS);
        let receipt = transact(&self.layer, &payer(DEPOSITOR), what, call).await?;
        output.note(&format!(
            "deposited 5 ether in block {} of the base layer",
            receipt.block_number
        ));
        let until = Instant::now() + DEPOSIT_PATIENCE;
        loop {
            let now = balance(node, leaf_of(DEPOSITOR)).await?;
            if now == before + DEPOSIT_WEI {
                break;
            }
            if now != before {
                return Err(contradiction(format!(
                    "leaf {} holds {now} after a deposit on {before}",
                    leaf_of(DEPOSITOR)
                )));
            }
            if Instant::now() >= until {
                let why = format!(
                    "its leaf holds {before} after {} s",
                    DEPOSIT_PATIENCE.as_secs()
                );
                return Err(CliError::new(
                    Exit::Unavailable,
                    what,
                    why,
                    "look at base_layer of quorate_status",
                ));
            }
            tokio::time::sleep(POLL).await;
        }
        let status = node.client.status().await;
        let status = status.map_err(|error| node.error("asking for the height", error))?;
        Ok(status.height)
    }

    /// Sends a withdrawal; its id.
    ///
    /// # Errors
    /// The node's.
    pub(crate) async fn withdraw(
        &self,
        node: &Node,
        genesis: &Genesis,
    ) -> Result<HashText, CliError> {
        let key = development::account(LEAVER);
        let status = node.client.status().await;
        let status = status.map_err(|error| node.error("asking for the height", error))?;
        let transaction = Transaction {
            from: leaf_of(LEAVER),
            nonce: Nonce(0),
            valid_until: Height(status.height + 1_000),
            fee: Amount::ZERO,
            action: Action::Withdraw {
                amount: Amount::new(WITHDRAWAL_WEI).unwrap_or(Amount::ZERO),
            },
        };
        let signed = SignedTransaction {
            transaction,
            key: key.secret.public(),
            signature: key
                .secret
                .sign(&transaction.message(&genesis.domain(), false)),
        };
        let request = SignedTransactionJson::new(genesis.chain_id, &signed);
        let sent = node.client.send_transaction(request).await;
        sent.map_err(|error| node.error("sending the withdrawal", error))
    }

    /// Waits until the withdrawal is as far as the demo goes, and, if that is `finalized`, has it paid.
    ///
    /// # Errors
    /// The base layer's or the node's, or `Bug` if another amount is paid.
    pub(crate) async fn settle(
        &self,
        node: &Node,
        withdrawal: &HashText,
        is_final: bool,
        output: Output,
    ) -> Result<SettledFigures, CliError> {
        let goal = if is_final {
            Stage::Finalized
        } else {
            Stage::Committed
        };
        let mut last = None;
        let seen = |status: &api::status::TransactionStatus| {
            if last.replace(status.stage) != Some(status.stage) {
                tracing::info!(stage = ?status.stage, "the withdrawal moves on");
            }
        };
        let status = node.wait(withdrawal, goal, SETTLE_PATIENCE, seen).await?;
        let reached = status.reached.iter().any(|one| one.stage == goal);
        if !reached {
            let why = format!("the withdrawal is {:?} and not {goal:?}", status.stage);
            return Err(CliError::new(
                Exit::Unavailable,
                "the batch was not settled",
                why,
                "look at the nodes' logs",
            ));
        }
        let (batch, commit, prove) = self.transactions(&status).await?;
        let figures = SettledFigures {
            batch,
            commit_gas: commit.gas_used,
            prove_gas: prove.map(|receipt| receipt.gas_used),
        };
        if !is_final {
            output.note(&format!(
                "its batch is committed on the base layer for {} gas",
                commit.gas_used
            ));
            return Ok(figures);
        }
        output.note("its batch is proven by one proof in a final block of the base layer");
        let paid = self.claim().await?;
        output.note(&format!("the withdrawal is paid: {paid} wei"));
        Ok(figures)
    }

    /// The batch and receipts of the transactions that the status names.
    async fn transactions(
        &self,
        status: &api::status::TransactionStatus,
    ) -> Result<(u64, Receipt, Option<Receipt>), CliError> {
        let what = "the status names a transaction that the base layer does not have";
        let (mut number, mut receipts) = (0, Vec::new());
        for one in &status.reached {
            if let api::status::Evidence::BaseLayer { batch, place } = &one.evidence {
                number = *batch;
                let hash = place
                    .transaction
                    .parse()
                    .map_err(|error| CliError::refused(what, &error))?;
                let receipt = self.layer.receipt(hash.into()).await;
                let receipt = receipt.map_err(|error| layer_error(what, &error))?;
                receipts.push(receipt.ok_or_else(|| contradiction(what.to_owned()))?);
            }
        }
        let mut receipts = receipts.into_iter();
        let commit = receipts
            .next()
            .ok_or_else(|| contradiction("no evidence of a commit".to_owned()))?;
        Ok((number, commit, receipts.next()))
    }

    /// Writes the finality bundle of a batch, about its first payment, and returns the hash of the final block it is under.
    ///
    /// # Errors
    /// The base layer's, or `Bug` if the batch holds no payment.
    pub(crate) async fn write_finality(
        &self,
        genesis: &Genesis,
        batch: u64,
        path: &Path,
    ) -> Result<B256, CliError> {
        let block = final_block(&*self.layer).await?;
        let (string, number) = (&genesis.reference_string, BatchNumber(batch));
        let made = finality_bundle(&*self.layer, &self.file, string, number, (block, None)).await;
        let mut bundle = made.map_err(|error| bundle_error(&error))?;
        let operations = published(&bundle.words);
        let operations = operations.map_err(|error| contradiction(error.to_string()))?;
        let is_payment = |operation: &PublishedOperation| {
            matches!(
                operation,
                PublishedOperation::Signed {
                    action: Action::Transfer { .. } | Action::TransferToNew { .. },
                    ..
                }
            )
        };
        let slot = operations.iter().position(is_payment);
        let slot = slot.ok_or_else(|| contradiction("the batch holds no payment".to_owned()))?;
        bundle.slot = u64::try_from(slot).ok();
        files::replace(path, &bundle.encode())?;
        Ok(block)
    }

    /// Claims the withdrawal and compares what its owner got.
    async fn claim(&self) -> Result<u128, CliError> {
        let what = "the claim of the demo failed";
        let owner = address(development::account(LEAVER).l1_owner);
        let open = claimable(&*self.layer, &self.file, owner, what).await?;
        let [(_, _, claim)] = open.as_slice() else {
            return Err(contradiction(format!(
                "{} withdrawals to {owner} wait in proven batches, and one was made",
                open.len()
            )));
        };
        let before = self
            .layer
            .balance(owner, head(&*self.layer).await?)
            .await
            .map_err(|error| layer_error(what, &error))?;
        // anybody may claim for anybody: the depositor pays the gas
        let call = intent(self.file.bridge, claim.input.clone(), U256::ZERO, GAS);
        let receipt = transact(&self.layer, &payer(DEPOSITOR), what, call).await?;
        let after = self.layer.balance(owner, receipt.block).await;
        let after = after.map_err(|error| layer_error(what, &error))?;
        let paid = after.saturating_sub(before);
        if paid != U256::from(WITHDRAWAL_WEI) {
            return Err(contradiction(format!(
                "the claim paid {paid} wei and not {WITHDRAWAL_WEI}"
            )));
        }
        let open = claimable(&*self.layer, &self.file, owner, what).await?;
        if !open.is_empty() {
            return Err(contradiction(
                "a paid claim can be claimed again".to_owned(),
            ));
        }
        Ok(WITHDRAWAL_WEI)
    }
}

/// What a leaf holds, by the node's word; the demo compares all leaves by their paths in the end.
async fn balance(node: &Node, index: LeafIndex) -> Result<u128, CliError> {
    let proof = node.client.leaf(index.0).await;
    let proof = proof.map_err(|error| node.error("asking for a leaf", error))?;
    let leaf = proof
        .verify()
        .map_err(|error| CliError::refused("checking a leaf's path", &error))?;
    Ok(leaf.balance.get())
}
