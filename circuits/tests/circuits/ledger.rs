//! A small ledger that builds chunk witnesses: the native transition decides, the circuit must agree.

use protocol::account::{L1Address, Leaf, LeafKey};
use protocol::batch::Pair;
use protocol::inbox::{InboxItem, InboxRequest};
use protocol::number::{Amount, Height, LeafIndex, TokenId};
use protocol::signature::SecretKey;
use protocol::state::State;
use protocol::threaded::FeeLeaves;
use protocol::transaction::{Action, Bid, Domain, SignedTransaction, Transaction, group_hash};
use protocol::transition::{Header, Membership, Operation};
use protocol::witness::{BatchTrace, ChunkWitness};

/// Leaves 0 to 5; leaf 5 holds another token, leaf 4 has the null key.
pub(crate) struct Ledger {
    pub(crate) trace: BatchTrace,
    pub(crate) domain: Domain,
    /// A chunk that was cut because it was full.
    pub(crate) chunk: Option<ChunkWitness>,
}

pub(crate) const START_HEIGHT: u64 = 100;

pub(crate) fn secret(index: u32) -> SecretKey {
    SecretKey::from_seed(&[index as u8; 32])
}

pub(crate) fn owner(index: u32) -> L1Address {
    L1Address([index as u8 ^ 0xa0; 20])
}

pub(crate) fn amount(value: u128) -> Amount {
    Amount::new(value).unwrap()
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let leaf = |index: u32| {
            let key = if index == 4 {
                LeafKey::NULL
            } else {
                secret(index).public().into()
            };
            let token = TokenId(u32::from(index == 5));
            Leaf::new(key, owner(index), token, amount(10_000_000_000_000))
        };
        Self::with(State::new((0..6).map(leaf).collect()))
    }

    pub(crate) fn with(state: State) -> Self {
        let domain = Domain::new(31_337, L1Address([7; 20]), [9; 32], 1);
        let trace = BatchTrace::new(domain, state, Height(START_HEIGHT), 5);
        Self {
            trace,
            domain,
            chunk: None,
        }
    }

    fn transaction(&self, from: u32, fee: u128, action: Action) -> Transaction {
        let nonce = self.trace.leaf(LeafIndex(from)).unwrap().nonce;
        let valid_until = Height(START_HEIGHT + 1_000);
        Transaction {
            from: LeafIndex(from),
            nonce,
            valid_until,
            fee: amount(fee),
            action,
        }
    }

    pub(crate) fn sign(&self, transaction: Transaction, by: u32) -> Operation {
        let message = transaction.message(&self.domain, false);
        let transaction = SignedTransaction {
            transaction,
            key: secret(by).public(),
            signature: secret(by).sign(&message),
        };
        Operation::Signed {
            transaction,
            fee_leaf: 0,
            group: None,
        }
    }

    pub(crate) fn signed(&self, from: u32, fee: u128, action: Action) -> Operation {
        self.sign(self.transaction(from, fee, action), from)
    }

    pub(crate) fn transfer(&self, from: u32, to: u32, value: u128) -> Operation {
        self.signed(
            from,
            7,
            Action::Transfer {
                to: LeafIndex(to),
                amount: amount(value),
            },
        )
    }

    /// Members of one atomic group, in order; each from another leaf.
    pub(crate) fn group(&self, moves: &[(u32, u32, u128)]) -> Vec<Operation> {
        let transactions: Vec<Transaction> = moves
            .iter()
            .map(|(from, to, value)| {
                let action = Action::Transfer {
                    to: LeafIndex(*to),
                    amount: amount(*value),
                };
                self.transaction(*from, 3, action)
            })
            .collect();
        let messages: Vec<_> = transactions
            .iter()
            .map(|t| t.message(&self.domain, true))
            .collect();
        let hash = group_hash(&messages);
        let last = transactions.len() - 1;
        transactions
            .into_iter()
            .enumerate()
            .map(|(i, transaction)| {
                let by = transaction.from.0;
                let signature = secret(by).sign(&hash);
                let key = secret(by).public();
                Operation::Signed {
                    transaction: SignedTransaction {
                        transaction,
                        key,
                        signature,
                    },
                    fee_leaf: 0,
                    group: Some(Membership {
                        hash,
                        last: i == last,
                    }),
                }
            })
            .collect()
    }

    pub(crate) fn bid(&self, leaf: u32, height: u64, value: u128) -> Bid {
        let core_hash = protocol::Fr::from(4_242u64);
        let unsigned = Bid {
            leaf: LeafIndex(leaf),
            height: Height(height),
            value: amount(value),
            core_hash,
            key: secret(leaf).public(),
            signature: secret(leaf).sign(&core_hash),
        };
        Bid {
            signature: secret(leaf).sign(&unsigned.message(&self.domain)),
            ..unsigned
        }
    }

    pub(crate) fn header(leaves: &[u32], delta: u64, bid: bool) -> Option<Header> {
        let leaves: Vec<LeafIndex> = leaves.iter().map(|leaf| LeafIndex(*leaf)).collect();
        Some(Header {
            height_delta: delta,
            fee_leaves: FeeLeaves::new(&leaves),
            bid,
        })
    }

    pub(crate) fn push(&mut self, header: Option<Header>, slots: [Operation; 2]) {
        self.chunk = self
            .trace
            .push(&Pair { header, slots })
            .expect("the pair is valid");
    }

    pub(crate) fn finish(self) -> ChunkWitness {
        self.chunk
            .or(self.trace.finish().chunk)
            .expect("there are pairs")
    }
}

pub(crate) fn item(request: InboxRequest) -> Operation {
    Operation::Inbox(request.to_item())
}

pub(crate) fn raw_item(words: [[u8; 31]; 5]) -> Operation {
    Operation::Inbox(InboxItem(words.map(protocol::words::Word)))
}
