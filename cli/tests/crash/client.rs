//! A seeded client that keeps its own books: what it was told was accepted, and what it must come to.

use std::collections::BTreeMap;
use std::time::Duration;

use api::operation::SignedTransactionJson;
use api::rpc::QuorateClient;
use api::status::{Evidence, Stage, TransactionStatus};
use api::text::HashText;
use jsonrpsee::core::ClientError;
use jsonrpsee::http_client::HttpClient;
use protocol::account::L1Address;
use protocol::number::{Amount, Height, LeafIndex, Nonce};
use protocol::signature::SecretKey;
use protocol::transaction::{
    Action, Domain, SignedTransaction, Transaction, TransactionId, group_hash,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

use crate::node::{funded_key, l1_owner};

/// A funded key's balance at genesis.
pub(crate) const FUNDING: u128 = 1_000_000 * 1_000_000_000_000_000_000;
/// Chain id of development chains.
const CHAIN_ID: u64 = 31_337;

/// Who is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Recipient {
    /// A leaf of genesis.
    Leaf(u32),
    /// A leaf that the payment makes, under the payer's key and this owner.
    New(u32, L1Address),
}

/// One signed operation, as its sender remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: HashText,
    pub(crate) from: u32,
    pub(crate) nonce: u64,
    pub(crate) amount: u128,
    pub(crate) fee: u128,
    pub(crate) to: Recipient,
    /// It applies with another one or not at all.
    in_group: bool,
    /// Height of its certificate, once seen.
    pub(crate) height: Option<u64>,
    /// Whether it was seen failed.
    pub(crate) failed: bool,
}

impl Operation {
    /// Whether it was seen certified or failed.
    pub(crate) fn has_ended(&self) -> bool {
        self.height.is_some() || self.failed
    }

    /// Compares what a node says with what is known, and remembers it.
    pub(crate) fn learn(&mut self, status: &TransactionStatus) {
        assert_eq!(status.id, self.id);
        let certified = status
            .reached
            .iter()
            .find_map(|reached| match reached.evidence {
                Evidence::Certificate { height, .. } | Evidence::Record { height, .. } => {
                    Some(height)
                }
                Evidence::Mempool
                | Evidence::Soft { .. }
                | Evidence::Bundle { .. }
                | Evidence::BaseLayer { .. } => None,
            });
        match status.stage {
            Stage::UnknownHere => panic!("an acknowledged operation is lost: {self:?}"),
            Stage::Soft => panic!("a chain of one validator in mode halt says soft: {self:?}"),
            Stage::Pending => assert!(
                self.height.is_none() && !self.failed,
                "pending again: {self:?}"
            ),
            Stage::Certified | Stage::Committed | Stage::Proven | Stage::Finalized => {
                assert!(!self.failed, "failed, then certified: {self:?}");
                assert!(certified.is_some(), "no certificate: {status:?}");
                assert!(
                    self.height.is_none() || self.height == certified,
                    "moved to {certified:?}: {self:?}"
                );
                self.height = certified;
            }
            Stage::Failed => {
                assert!(self.height.is_none(), "certified, then failed: {self:?}");
                assert!(status.failure.is_some(), "no reason: {status:?}");
                self.failed = true;
            }
        }
    }
}

/// What is sent in one call.
#[derive(Clone, Debug)]
struct Request {
    signed: Vec<SignedTransactionJson>,
    operations: Vec<Operation>,
    /// It takes the place of an earlier operation: a node may refuse it.
    replaces: bool,
}

struct Account {
    leaf: u32,
    secret: SecretKey,
    nonce: u64,
}

/// A sender with two accounts, one request at a time.
pub(crate) struct Driver {
    rng: StdRng,
    domain: Domain,
    accounts: [Account; 2],
    leaves: u32,
    /// Sent, and the node died before it answered.
    unsure: Option<Request>,
    /// Acknowledged, or found on the node's disk afterwards.
    pub(crate) acknowledged: Vec<Operation>,
    /// Requests that had no answer.
    pub(crate) unanswered: usize,
}

impl Driver {
    /// The driver number `index` of a chain with `funded` funded keys (leaves 1 to `funded`).
    pub(crate) fn new(seed: u64, index: u32, funded: u32, domain: Domain) -> Self {
        let account = |number: u32| Account {
            leaf: number + 1,
            secret: funded_key(number),
            nonce: 0,
        };
        Self {
            rng: StdRng::seed_from_u64(seed ^ (u64::from(index) << 32)),
            domain,
            accounts: [account(2 * index), account(2 * index + 1)],
            leaves: funded,
            unsure: None,
            acknowledged: Vec::new(),
            unanswered: 0,
        }
    }

    /// Leaves it signs for, and the nonce each must have in the end.
    pub(crate) fn nonces(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.accounts
            .iter()
            .map(|account| (account.leaf, account.nonce))
    }

    /// Public key of one of its leaves.
    pub(crate) fn key(&self, leaf: u32) -> Option<api::operation::PointJson> {
        let mut accounts = self.accounts.iter();
        let account = accounts.find(|account| account.leaf == leaf)?;
        Some(account.secret.public().into())
    }

    /// Ids of the request that had no answer, if there is one.
    pub(crate) fn unsure(&self) -> Vec<HashText> {
        let operations = self.unsure.iter().flat_map(|request| &request.operations);
        operations.map(|operation| operation.id.clone()).collect()
    }

    /// Tells what the restarted node says of them.
    pub(crate) fn settle(&mut self, is_known: &[bool]) {
        let Some(request) = &self.unsure else { return };
        let known = is_known.iter().filter(|known| **known).count();
        assert!(
            known == 0 || known == request.operations.len(),
            "half of a group is on disk: {request:?}"
        );
        if known > 0 {
            self.acknowledge();
        } else if request.replaces {
            self.unsure = None; // the operation it was to replace still has the place
        }
    }

    fn acknowledge(&mut self) {
        let request = self.unsure.take().expect("a request was sent");
        self.acknowledged.extend(request.operations);
    }

    /// Sends until told to stop, or until the node is gone. What had no answer is sent again first, in any case.
    pub(crate) async fn run(mut self, client: HttpClient, stop: CancellationToken) -> Self {
        while self.unsure.is_some() || !stop.is_cancelled() {
            let request = match self.unsure.take() {
                Some(request) => request,
                None => self.next(),
            };
            let answer = send(&client, &request).await;
            let expected: Vec<_> = request.operations.iter().map(|op| op.id.clone()).collect();
            let replaces = request.replaces;
            self.unsure = Some(request);
            match answer {
                Ok(ids) => {
                    assert_eq!(ids, expected);
                    self.acknowledge();
                }
                // Its place was taken by a block in the meantime.
                Err(ClientError::Call(_)) if replaces => self.unsure = None,
                Err(ClientError::Call(refusal)) => {
                    panic!(
                        "a valid operation was refused: {refusal:?} {:?}",
                        self.unsure
                    )
                }
                Err(_) => {
                    self.unanswered += 1;
                    return self;
                }
            }
            let pause = self.rng.gen_range(1..10);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        self
    }

    fn next(&mut self) -> Request {
        let first = self.rng.gen_range(0..2);
        match self.rng.gen_range(0..10) {
            0 if self.acknowledged.last().is_some_and(|last| !last.in_group) => self.replacement(),
            1 => {
                let drafts = [self.draft(first), self.draft(1 - first)];
                self.signed(&drafts, false)
            }
            _ => {
                let draft = self.draft(first);
                self.signed(&[draft], false)
            }
        }
    }

    /// The last operation again, for twice the fee; it may be in a block already.
    fn replacement(&mut self) -> Request {
        let last = self
            .acknowledged
            .last()
            .expect("one was acknowledged")
            .clone();
        let place = usize::from(self.accounts[0].leaf != last.from);
        let action = Action::Transfer {
            to: LeafIndex(0),
            amount: amount(last.amount),
        };
        let transaction = Transaction {
            from: LeafIndex(last.from),
            nonce: Nonce(last.nonce),
            valid_until: Height(1 << 40),
            fee: amount((2 * last.fee).min(255_000_000_000)),
            action,
        };
        self.signed(&[(place, transaction, Recipient::Leaf(0))], true)
    }

    fn draft(&mut self, place: usize) -> (usize, Transaction, Recipient) {
        let value = amount(self.rng.gen_range(1..1 << 30));
        let fee = amount(self.rng.gen_range(1..=9) * 1_000_000_000);
        let account = &mut self.accounts[place];
        let nonce = account.nonce;
        account.nonce += 1;
        let (action, to) = if self.rng.gen_range(0..12) == 0 {
            let owner = l1_owner((u64::from(account.leaf) << 32) | nonce);
            let action = Action::TransferToNew {
                key: account.secret.public().into(),
                l1_owner: owner,
                amount: value,
            };
            (action, Recipient::New(account.leaf, owner))
        } else {
            let offset = self.rng.gen_range(1..self.leaves);
            let to = (account.leaf - 1 + offset) % self.leaves + 1;
            let action = Action::Transfer {
                to: LeafIndex(to),
                amount: value,
            };
            (action, Recipient::Leaf(to))
        };
        let transaction = Transaction {
            from: LeafIndex(account.leaf),
            nonce: Nonce(nonce),
            valid_until: Height(1 << 40),
            fee,
            action,
        };
        (place, transaction, to)
    }

    fn signed(&self, drafts: &[(usize, Transaction, Recipient)], replaces: bool) -> Request {
        let is_group = drafts.len() > 1;
        let messages: Vec<_> = drafts
            .iter()
            .map(|(_, transaction, _)| transaction.message(&self.domain, is_group))
            .collect();
        let group = group_hash(&messages);
        let (mut signed, mut operations) = (Vec::new(), Vec::new());
        for ((place, transaction, to), message) in drafts.iter().zip(&messages) {
            let secret = &self.accounts[*place].secret;
            let key = secret.public();
            let signature = secret.sign(if is_group { &group } else { message });
            let transaction = *transaction;
            let member = SignedTransaction {
                transaction,
                key,
                signature,
            };
            signed.push(SignedTransactionJson::new(CHAIN_ID, &member));
            operations.push(Operation {
                id: TransactionId::new(message, &key).into(),
                from: transaction.from.0,
                nonce: transaction.nonce.0,
                amount: transaction.action.amount().get(),
                fee: transaction.fee.get(),
                to: *to,
                in_group: is_group,
                height: None,
                failed: false,
            });
        }
        Request {
            signed,
            operations,
            replaces,
        }
    }
}

async fn send(client: &HttpClient, request: &Request) -> Result<Vec<HashText>, ClientError> {
    match request.signed.as_slice() {
        [single] => client
            .send_transaction(single.clone())
            .await
            .map(|id| vec![id]),
        members => client.send_atomic_group(members.to_vec()).await,
    }
}

fn amount(value: u128) -> Amount {
    Amount::new(value).expect("below 2^120")
}

/// What everybody holds in the end, by plain arithmetic over what was certified.
pub(crate) struct Arithmetic {
    /// Balances of genesis leaves.
    pub(crate) balances: BTreeMap<u32, u128>,
    /// Balances of leaves that were made, by payer and owner.
    pub(crate) made: BTreeMap<(u32, L1Address), u128>,
    /// Fees that were burned.
    pub(crate) burned: u128,
}

/// Adds up, and checks that each nonce was used exactly once.
pub(crate) fn settle(drivers: &[Driver], funded: u32) -> Arithmetic {
    use protocol::params::{BURN_NUMERATOR, BURN_SHIFT};
    let mut balances: BTreeMap<u32, u128> = (1..=funded).map(|leaf| (leaf, FUNDING)).collect();
    balances.insert(0, 0);
    let (mut made, mut burned) = (BTreeMap::new(), 0);
    for driver in drivers {
        let mut places: BTreeMap<(u32, u64), (u32, u32)> = BTreeMap::new();
        for operation in &driver.acknowledged {
            let place = places.entry((operation.from, operation.nonce)).or_default();
            place.0 += 1;
            if operation.height.is_none() {
                assert!(
                    operation.failed,
                    "neither applied nor failed: {operation:?}"
                );
                continue;
            }
            place.1 += 1;
            let share = (operation.fee * BURN_NUMERATOR) >> BURN_SHIFT;
            burned += share;
            *balances.entry(0).or_default() += operation.fee - share;
            let payer = balances.get_mut(&operation.from).expect("a genesis leaf");
            *payer -= operation.amount + operation.fee;
            match operation.to {
                Recipient::Leaf(leaf) => *balances.entry(leaf).or_default() += operation.amount,
                Recipient::New(payer, owner) => {
                    *made.entry((payer, owner)).or_default() += operation.amount;
                }
            }
        }
        for (leaf, nonce) in driver.nonces() {
            for nonce in 0..nonce {
                let (sent, applied) = places.get(&(leaf, nonce)).copied().unwrap_or_default();
                assert_eq!(applied, 1, "leaf {leaf} nonce {nonce}: {sent} sent");
            }
        }
    }
    Arithmetic {
        balances,
        made,
        burned,
    }
}
