//! Sends the payments through the public RPC of every node in turn: many in flight, in mainnet's order, nonces in order
//! per leaf.
//!
//! A payment to a recipient without a leaf creates it; later payments to the same recipient wait until that block is
//! certified on every node, resolve the index by RPC, and are signed then. Waiting cannot deadlock: a payment waits only for one
//! that stands before it, and nonces are given out in that order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use api::status::Stage;
use api::text::HashText;
use futures::stream::{FuturesUnordered, StreamExt};
use protocol::{
    number::{Height, LeafIndex, Nonce},
    transaction::{Action, Domain, SignedTransaction, Transaction},
};
use tokio::sync::{Semaphore, watch};

use crate::demo::agreement;
use crate::demo::workload::{Holder, Payment, Workload, party_key};
use crate::exit::{CliError, Exit};
use crate::node::Node;

/// Requests in flight at a time.
const IN_FLIGHT: usize = 32;
/// Heights after which a payment can no longer be applied.
const VALID_HEIGHTS: u64 = 100_000;
/// Longest a payment may take to be certified.
const CERTIFIED_PATIENCE: Duration = Duration::from_secs(120);

/// What was sent, in the workload's order.
pub(crate) struct Replayed {
    /// Ids of the payments.
    pub(crate) ids: Vec<HashText>,
    /// Where the new leaves stand.
    pub(crate) created: BTreeMap<Holder, LeafIndex>,
    /// Time until every payment was certified.
    pub(crate) elapsed: Duration,
}

/// What a payment needs to be signed and sent.
struct Replay<'a> {
    nodes: &'a [Node],
    chain_id: u64,
    domain: Domain,
    valid_until: Height,
    indices: BTreeMap<Holder, LeafIndex>,
    /// Indices of new leaves, once they are known.
    fresh: BTreeMap<Holder, watch::Sender<Option<LeafIndex>>>,
    slots: Arc<Semaphore>,
}

/// Sends everything and waits until all of it is certified; `certified` is told of each.
///
/// # Errors
/// The first refusal or failure.
pub(crate) async fn replay(
    nodes: &[Node],
    workload: &Workload,
    offset: u32,
    certified: impl Fn(),
) -> Result<Replayed, CliError> {
    let node = nodes.first().ok_or_else(|| bug("there is no node"))?;
    let (chain, domain) = node.chain(None).await?;
    let status = node.client.status().await;
    let height = status
        .map_err(|error| node.error("asking for the height", error))?
        .height;
    let fresh = workload
        .fresh
        .iter()
        .map(|holder| (*holder, watch::channel(None).0))
        .collect();
    let replay = Replay {
        nodes,
        chain_id: chain.chain_id,
        domain,
        valid_until: Height(height + VALID_HEIGHTS),
        indices: workload.indices(offset),
        fresh,
        slots: Arc::new(Semaphore::new(IN_FLIGHT)),
    };
    let started = Instant::now();
    let mut creators = std::collections::BTreeSet::new();
    let mut running: FuturesUnordered<_> = workload
        .payments
        .iter()
        .enumerate()
        .map(|(place, payment)| {
            // Only the first payment to a new leaf creates it.
            let recipient = payment.recipient();
            let creates = replay.fresh.contains_key(&recipient) && creators.insert(recipient);
            let (replay, certified) = (&replay, &certified);
            async move {
                let node = &replay.nodes[place % replay.nodes.len()];
                let id = replay.one(node, payment, creates).await?;
                certified();
                Ok::<_, CliError>((place, id))
            }
        })
        .collect();
    let mut ids = vec![HashText::default(); workload.payments.len()];
    while let Some(done) = running.next().await {
        let (place, id) = done?;
        ids[place] = id;
    }
    drop(running);
    let elapsed = started.elapsed();
    let created = replay
        .fresh
        .iter()
        .filter_map(|(holder, index)| index.borrow().map(|index| (*holder, index)))
        .collect();
    Ok(Replayed {
        ids,
        created,
        elapsed,
    })
}

impl Replay<'_> {
    /// Sends one payment through `node` and waits until it is certified there.
    async fn one(
        &self,
        node: &Node,
        payment: &Payment,
        creates: bool,
    ) -> Result<HashText, CliError> {
        let recipient = payment.recipient();
        let action = if creates {
            let key = party_key(&payment.to).public().into();
            Action::TransferToNew {
                key,
                l1_owner: payment.to,
                amount: payment.amount,
            }
        } else {
            Action::Transfer {
                to: self.index(&recipient).await?,
                amount: payment.amount,
            }
        };
        let from = self.indices.get(&payment.sender()).copied();
        let transaction = Transaction {
            from: from.ok_or_else(|| bug("a sender without a leaf in genesis"))?,
            nonce: Nonce(payment.nonce),
            valid_until: self.valid_until,
            fee: payment.fee,
            action,
        };
        let secret = party_key(&payment.from);
        let signed = SignedTransaction {
            transaction,
            key: secret.public(),
            signature: secret.sign(&transaction.message(&self.domain, false)),
        };
        let request = SignedTransactionJson::new(self.chain_id, &signed);
        let id = {
            let _slot = self
                .slots
                .acquire()
                .await
                .map_err(|_| bug("the semaphore is closed"))?;
            let sent = node.client.send_transaction(request).await;
            sent.map_err(|error| node.error("sending a payment", error))?
        };
        let status = node
            .wait(&id, Stage::Certified, CERTIFIED_PATIENCE, |_| {})
            .await?;
        if status.stage < Stage::Certified || status.stage == Stage::Failed {
            let why = status.failure.map_or_else(
                || {
                    format!(
                        "it is still {:?} after {} s",
                        status.stage,
                        CERTIFIED_PATIENCE.as_secs()
                    )
                },
                |failure| failure.verdict.reason,
            );
            let todo = "look at the node's log";
            return Err(CliError::new(
                Exit::Invalid,
                format!("payment {id} was not certified"),
                why,
                todo,
            ));
        }
        if creates && let Some(index) = self.fresh.get(&recipient) {
            // A node that is a block behind would refuse a payment to the new leaf.
            let height = node.client.status().await;
            let height = height.map_err(|error| node.error("asking for the height", error))?;
            agreement::reached(self.nodes, height.height).await?;
            index.send_replace(Some(self.resolve(node, &recipient).await?));
        }
        Ok(id)
    }

    /// Index of a recipient's leaf; waits for one that is being created.
    async fn index(&self, holder: &Holder) -> Result<LeafIndex, CliError> {
        if let Some(index) = self.indices.get(holder) {
            return Ok(*index);
        }
        let fresh = self
            .fresh
            .get(holder)
            .ok_or_else(|| bug("a recipient that nobody knows"))?;
        let mut known = fresh.subscribe();
        let index = known
            .wait_for(Option::is_some)
            .await
            .map_err(|_| bug("a channel is closed"))?;
        index.ok_or_else(|| bug("an index that is none"))
    }

    async fn resolve(&self, node: &Node, holder: &Holder) -> Result<LeafIndex, CliError> {
        let key = party_key(&holder.party).public().into();
        let leaf = node
            .client
            .resolve_leaf(key, holder.party.into(), holder.token.0)
            .await;
        let leaf = leaf.map_err(|error| node.error("resolving a new leaf", error))?;
        Ok(LeafIndex(leaf.index))
    }
}

fn bug(why: &str) -> CliError {
    CliError::new(
        Exit::Bug,
        "the demo contradicts itself",
        why,
        "please report it",
    )
}
