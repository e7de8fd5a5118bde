//! A full batch of the Ethereum transfers in `tests/fixtures`, by the rules of `make demo`: one leaf per address and token,
//! large amounts cut down, fees in token 0, the first 20 pure recipients created by their first payment. So few parties
//! fit one chunk.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{
    account::{L1Address, Leaf},
    batch::{Pair, Usage},
    hash::keccak256,
    number::{Amount, BatchNumber, Height, LeafIndex, TokenId, floor_amount},
    public_inputs::data_challenge,
    signature::SecretKey,
    state::State,
    threaded::FeeLeaves,
    transaction::{Action, Domain, SignedTransaction, Transaction},
    transition::{Header, Operation},
    witness::{BatchTrace, ChunkWitness, DataWitness},
};

const ROWS: &str = include_str!("../../../tests/fixtures/mainnet-transfers.csv");
const FRESH_RECIPIENTS: usize = 20;
pub(super) const FEE: u128 = 1_000_000_000;
/// What each leaf of genesis holds: covers its payments, and 331 such leaves of one token stay below 2^120.
pub(super) const BALANCE: u128 = 1 << 111;

/// A party's leaf of one token.
pub(super) type Holder = (L1Address, TokenId);

#[derive(Clone, Copy, Debug)]
pub(super) struct Payment {
    pub(super) from: Holder,
    pub(super) to: Holder,
    pub(super) amount: Amount,
}

/// What is proven.
pub(super) struct Work {
    pub(super) transfers: u32,
    pub(super) chunk: ChunkWitness,
    pub(super) data: DataWitness,
}

fn address(text: &str) -> L1Address {
    let digits = text.strip_prefix("0x").expect("addresses begin with 0x");
    let bytes = hex::decode(digits).expect("hex");
    L1Address(bytes.try_into().expect("20 bytes"))
}

fn scaled(text: &str) -> Amount {
    let mut digits = text.trim_start_matches('0');
    loop {
        let value = if digits.is_empty() {
            Ok(0)
        } else {
            digits.parse::<u128>()
        };
        match value {
            Ok(value) if value < 1 << 110 => {
                return floor_amount(Amount::new(value).expect("below 2^110"));
            }
            _ => digits = &digits[..digits.len() - 1],
        }
    }
}

pub(super) fn payments() -> Vec<Payment> {
    let mut tokens: BTreeMap<String, TokenId> = BTreeMap::new();
    let mut payments = Vec::new();
    for row in csv::Reader::from_reader(ROWS.as_bytes()).records() {
        let row = row.expect("the carried file");
        let field = |place: usize| row.get(place).expect("seven columns");
        let token = match field(2) {
            "eth" => TokenId(0),
            "erc20" => {
                let next = TokenId(u32::try_from(tokens.len() + 1).expect("few tokens"));
                *tokens.entry(field(5).to_owned()).or_insert(next)
            }
            _ => continue,
        };
        payments.push(Payment {
            from: (address(field(3)), token),
            to: (address(field(4)), token),
            amount: scaled(field(6)),
        });
    }
    payments
}

fn key(party: &L1Address) -> SecretKey {
    let seed = [b"QUORATE/cli/demo/party/v1", party.0.as_slice()].concat();
    SecretKey::from_seed(&keccak256(&seed))
}

fn leaf((party, token): &Holder, balance: u128) -> Leaf {
    let balance = Amount::new(balance).expect("below 2^120");
    Leaf::new(key(party).public().into(), *party, *token, balance)
}

/// Payments in order, from the first again after the last, until the batch is full.
pub(super) fn full_batch() -> Work {
    let payments = payments();
    let senders: BTreeSet<Holder> = payments.iter().map(|payment| payment.from).collect();
    let mut fresh = BTreeSet::new();
    for payment in &payments {
        if fresh.len() < FRESH_RECIPIENTS && !senders.contains(&payment.to) {
            fresh.insert(payment.to);
        }
    }
    let collector = (L1Address([0xfe; 20]), TokenId(0));
    let mut leaves = vec![leaf(&collector, 0)];
    let mut places: BTreeMap<Holder, LeafIndex> = BTreeMap::new();
    let index = |place: usize| LeafIndex(u32::try_from(place).expect("few leaves"));
    for holder in payments
        .iter()
        .flat_map(|payment| [payment.from, payment.to])
    {
        if !fresh.contains(&holder) && !places.contains_key(&holder) {
            places.insert(holder, index(leaves.len()));
            leaves.push(leaf(&holder, BALANCE));
        }
    }
    let domain = Domain::new(31_337, L1Address([0xee; 20]), [2; 32], 1);
    let mut next_leaf = leaves.len();
    let mut trace = BatchTrace::new(domain, State::new(leaves), Height(0), 0);
    let mut header = Some(Header {
        height_delta: 1,
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]),
        bid: false,
    });
    let mut sent = BTreeMap::<Holder, u64>::new();
    let mut queue = payments.iter().cycle();
    let mut operation = || {
        let payment = queue.next().expect("a cycle does not end");
        let amount = payment.amount;
        let action = match places.get(&payment.to) {
            Some(to) => Action::Transfer { to: *to, amount },
            None => {
                places.insert(payment.to, index(next_leaf));
                next_leaf += 1;
                let (party, _) = payment.to;
                let key = key(&party).public().into();
                Action::TransferToNew {
                    key,
                    l1_owner: party,
                    amount,
                }
            }
        };
        let (party, token) = payment.from;
        let nonce = sent.entry(payment.from).or_default();
        let fee = if token == TokenId(0) { FEE } else { 0 };
        let transaction = Transaction {
            from: places[&payment.from],
            nonce: protocol::number::Nonce(*nonce),
            valid_until: Height(1_000),
            fee: Amount::new(fee).expect("small"),
            action,
        };
        *nonce += 1;
        let secret = key(&party);
        Operation::Signed {
            transaction: SignedTransaction {
                transaction,
                key: secret.public(),
                signature: secret.sign(&transaction.message(&domain, false)),
            },
            fee_leaf: 0,
            group: None,
        }
    };
    let mut usage = Usage::default();
    loop {
        let slots = [operation(), operation()];
        usage = slots.iter().fold(usage, Usage::with);
        if !usage.fits() {
            break;
        }
        let header = header.take();
        let full = trace
            .push(&Pair { header, slots })
            .expect("every payment is covered");
        assert!(full.is_none(), "one chunk holds them");
    }
    let transfers = u32::try_from(trace.threaded().counts.signed_operations).expect("few");
    assert!(
        trace
            .leaf(LeafIndex(0))
            .is_some_and(|leaf| leaf.balance > Amount::ZERO)
    );
    let mut batch = trace.finish();
    let chunk = batch.chunk.take().expect("some payments");
    let (h, counts) = (batch.end.h, batch.end.counts);
    let z = data_challenge(&domain, BatchNumber(1), &h, &counts, &batch.words);
    Work {
        transfers,
        chunk,
        data: DataWitness {
            groups: batch.groups,
            z,
        },
    }
}
