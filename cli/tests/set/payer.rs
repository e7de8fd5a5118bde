//! Payers that keep their own books: one funded leaf each, a plain transfer at a time, through every node in turn.
//!
//! A payer goes on until its operation is acknowledged by some node, whatever dies meanwhile; so in the end each of its
//! nonces is acknowledged, and what everybody holds is plain arithmetic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use api::error::{ApiError, ErrorCode};
use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use api::status::{Evidence, Stage, TransactionStatus};
use api::text::HashText;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::http_client::HttpClient;
use jsonrpsee::rpc_params;
use protocol::number::{Amount, Height, LeafIndex, Nonce};
use protocol::signature::SecretKey;
use protocol::transaction::{Action, Domain, SignedTransaction, Transaction, TransactionId};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::node::funded_key;
use crate::set::{PATIENCE, Set};

/// A funded key's balance at genesis.
const FUNDING: u128 = 1_000_000 * 1_000_000_000_000_000_000;
/// Chain id of development chains.
pub(crate) const CHAIN_ID: u64 = 31_337;
/// Pause between two payments of one payer.
const PAUSE: Duration = Duration::from_millis(20);
/// Pause before an operation is offered to the next node.
const RETRY: Duration = Duration::from_millis(100);
/// Requests in one call; the node's limit.
const IDS_PER_CALL: usize = 100;

/// One acknowledged payment.
struct Payment {
    id: HashText,
    to: u32,
    amount: u128,
}

/// Who pays from one leaf.
struct Payer {
    leaf: u32,
    leaves: u32,
    secret: SecretKey,
    domain: Domain,
    fee: u128,
    acknowledged: Vec<Payment>,
}

impl Payer {
    fn nonce(&self) -> u64 {
        u64::try_from(self.acknowledged.len()).expect("a count")
    }

    async fn run(mut self, clients: Vec<HttpClient>, stop: CancellationToken) -> Self {
        while !stop.is_cancelled() {
            let (signed, payment) = self.next();
            deliver(&clients, &signed, &payment.id, self.leaf, self.nonce()).await;
            self.acknowledged.push(payment);
            tokio::time::sleep(PAUSE).await;
        }
        self
    }

    fn next(&self) -> (SignedTransactionJson, Payment) {
        let nonce = self.nonce();
        let step = u32::try_from(nonce % u64::from(self.leaves)).expect("below the leaves");
        let to = (self.leaf - 1 + step) % self.leaves + 1;
        let amount = 1 + u128::from(nonce);
        let transaction = Transaction {
            from: LeafIndex(self.leaf),
            nonce: Nonce(nonce),
            valid_until: Height(1 << 40),
            fee: Amount::new(self.fee).expect("a small fee"),
            action: Action::Transfer {
                to: LeafIndex(to),
                amount: Amount::new(amount).expect("below 2^120"),
            },
        };
        let message = transaction.message(&self.domain, false);
        let key = self.secret.public();
        let signed = SignedTransaction {
            transaction,
            key,
            signature: self.secret.sign(&message),
        };
        let id = TransactionId::new(&message, &key).into();
        let json = SignedTransactionJson::new(CHAIN_ID, &signed);
        (json, Payment { id, to, amount })
    }
}

/// Offers an operation to one node after the other until it is acknowledged.
async fn deliver(
    clients: &[HttpClient],
    signed: &SignedTransactionJson,
    id: &HashText,
    leaf: u32,
    nonce: u64,
) {
    let until = Instant::now() + PATIENCE;
    let first = usize::try_from(u64::from(leaf) + nonce).expect("small");
    let mut is_again = false;
    for client in clients.iter().cycle().skip(first % clients.len()) {
        match client.send_transaction(signed.clone()).await {
            Ok(answer) => {
                assert_eq!(answer, *id);
                return;
            }
            Err(ClientError::Call(refusal)) => {
                let code = ApiError::from_object(&refusal).map(|error| error.code);
                match code {
                    // An answer was lost, and the operation is in a block by now.
                    Some(ErrorCode::NonceUsed) if is_again => return,
                    // Blocks stand still, or what was acknowledged elsewhere has not arrived.
                    Some(
                        ErrorCode::NonceGap
                        | ErrorCode::LeafQuota
                        | ErrorCode::MempoolFull
                        | ErrorCode::Unavailable,
                    ) => {}
                    _ => panic!("leaf {leaf} nonce {nonce} was refused: {refusal:?}"),
                }
            }
            // Dead, or standing still.
            Err(_) => is_again = true,
        }
        assert!(
            Instant::now() < until,
            "nobody takes nonce {nonce} of leaf {leaf}"
        );
        tokio::time::sleep(RETRY).await;
    }
}

/// Payers at work.
pub(crate) struct Load {
    running: Vec<JoinHandle<Payer>>,
    stop: CancellationToken,
}

impl Load {
    /// Starts one payer for each of `accounts` funded leaves.
    pub(crate) async fn start(set: &Set, accounts: u32) -> Self {
        let domain = set.domain().await;
        Self::start_on(&set.clients(), domain, accounts, 0)
    }

    /// The same for nodes behind these clients, with a fee.
    pub(crate) fn start_on(
        clients: &[HttpClient],
        domain: Domain,
        accounts: u32,
        fee: u128,
    ) -> Self {
        let stop = CancellationToken::new();
        let running = (0..accounts).map(|account| {
            let payer = Payer {
                leaf: account + 1,
                leaves: accounts,
                secret: funded_key(account),
                domain,
                fee,
                acknowledged: Vec::new(),
            };
            tokio::spawn(payer.run(clients.to_vec(), stop.clone()))
        });
        Self {
            running: running.collect(),
            stop,
        }
    }

    /// Stops, once what each payer is at is acknowledged.
    pub(crate) async fn stop(self) -> Books {
        self.stop.cancel();
        let mut payers = Vec::new();
        for payer in self.running {
            payers.push(payer.await.expect("a payer does not panic"));
        }
        let books = Books(payers);
        assert!(!books.ids().is_empty(), "nothing was acknowledged");
        books
    }

    /// Stops, waits until every node has every acknowledged payment in the same block, and checks what everybody holds;
    /// returns how many payments there were. All nodes must run.
    pub(crate) async fn settle(self, set: &mut Set) -> usize {
        let books = self.stop().await;
        let last = books.check(&set.clients()).await;
        set.reach(last).await;
        books.ids().len()
    }
}

/// What payers have in writing.
pub(crate) struct Books(Vec<Payer>);

impl Books {
    fn ids(&self) -> Vec<HashText> {
        let payments = self.0.iter().flat_map(|payer| &payer.acknowledged);
        payments.map(|payment| payment.id.clone()).collect()
    }

    /// Waits until every node has every acknowledged payment in the same block, and checks what everybody holds; the
    /// last of these blocks' heights.
    pub(crate) async fn check(&self, clients: &[HttpClient]) -> u64 {
        let ids = self.ids();
        let mut known: Option<Vec<u64>> = None;
        for (number, client) in clients.iter().enumerate() {
            let heights = certified(client, &ids, number).await;
            let known = known.get_or_insert_with(|| heights.clone());
            assert_eq!(*known, heights, "node {number} has them elsewhere");
        }
        let expected = balances(&self.0);
        for client in clients {
            for payer in &self.0 {
                let proof = client.leaf(payer.leaf).await.expect("a leaf");
                let leaf = proof.verify().expect("a Merkle path");
                let found = (leaf.balance.get(), leaf.nonce.0);
                let leaf = payer.leaf;
                assert_eq!(found, (expected[&leaf], payer.nonce()), "leaf {leaf}");
            }
        }
        known.into_iter().flatten().max().unwrap_or(0)
    }
}

/// What each leaf holds after all payments.
fn balances(payers: &[Payer]) -> BTreeMap<u32, u128> {
    let mut balances: BTreeMap<u32, u128> =
        payers.iter().map(|payer| (payer.leaf, FUNDING)).collect();
    for payer in payers {
        for payment in &payer.acknowledged {
            let cost = payment.amount + payer.fee;
            *balances.get_mut(&payer.leaf).expect("a payer") -= cost;
            *balances.get_mut(&payment.to).expect("a payer") += payment.amount;
        }
    }
    balances
}

/// Waits until a node has all of these in blocks; the heights.
async fn certified(client: &HttpClient, ids: &[HashText], number: usize) -> Vec<u64> {
    let until = Instant::now() + PATIENCE;
    let mut heights = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IDS_PER_CALL) {
        loop {
            let statuses = statuses(client, ids).await;
            let failed = statuses.iter().find(|status| status.stage == Stage::Failed);
            assert!(failed.is_none(), "acknowledged, then failed: {failed:?}");
            let found: Vec<u64> = statuses.iter().filter_map(height).collect();
            if found.len() == ids.len() {
                heights.extend(found);
                break;
            }
            let missing = statuses.iter().find(|status| height(status).is_none());
            assert!(
                Instant::now() < until,
                "node {number} has {} of {}: {missing:?}",
                found.len(),
                ids.len()
            );
            tokio::time::sleep(RETRY).await;
        }
    }
    heights
}

fn height(status: &TransactionStatus) -> Option<u64> {
    status
        .reached
        .iter()
        .find_map(|reached| match reached.evidence {
            Evidence::Certificate { height, .. } | Evidence::Record { height, .. } => Some(height),
            Evidence::Mempool
            | Evidence::Soft { .. }
            | Evidence::Bundle { .. }
            | Evidence::BaseLayer { .. } => None,
        })
}

async fn statuses(client: &HttpClient, ids: &[HashText]) -> Vec<TransactionStatus> {
    let mut calls = BatchRequestBuilder::new();
    for id in ids {
        let method = "quorate_transactionStatus";
        calls
            .insert(method, rpc_params![id])
            .expect("an id is JSON");
    }
    let answers = client.batch_request::<TransactionStatus>(calls).await;
    let answers = answers.expect("the node answers");
    answers
        .into_iter()
        .map(|answer| answer.expect("a status"))
        .collect()
}
