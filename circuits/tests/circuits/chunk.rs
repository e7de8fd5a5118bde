//! The chunk circuit against the native transition: every operation, honest and tampered.

use circuits::chunk::{ChunkShape, WitnessError};
use circuits::convert::to_circuit;
use halo2curves::bn256::Fr;
use protocol::account::LeafKey;
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{Height, LeafIndex, TokenId};
use protocol::transaction::Action;
use protocol::transition::Operation;
use protocol::witness::ChunkWitness;

use crate::harness::{accepts, mock, proves};
use crate::ledger::{Ledger, START_HEIGHT, amount, item, owner, raw_item, secret};

const SMALL: ChunkShape = ChunkShape { pairs: 2 };

fn transfers() -> ChunkWitness {
    let mut ledger = Ledger::new();
    let first = ledger.transfer(0, 1, 1_000);
    let second = ledger.transfer(1, 2, 999);
    ledger.push(Ledger::header(&[3], 1, false), [first, second]);
    ledger.finish()
}

fn request(kind: InboxKind, from: u32, to: u32, value: u128) -> InboxRequest {
    InboxRequest {
        kind: Some(kind),
        from: LeafIndex(from),
        to: LeafIndex(to),
        token: TokenId(0),
        amount: amount(value),
        owner: owner(from),
        l1_owner: owner(to),
        key: secret(9).public().into(),
    }
}

/// Every signed operation but bids.
fn signed_operations() -> ChunkWitness {
    let mut ledger = Ledger::new();
    let header = Ledger::header(&[3, 2, 1, 0], 2, false);
    let key: LeafKey = secret(9).public().into();
    let new = Action::TransferToNew {
        key,
        l1_owner: owner(9),
        amount: amount(123_000),
    };
    let slots = [
        ledger.signed(0, 250, new),
        ledger.signed(
            1,
            0,
            Action::Withdraw {
                amount: amount(123_456_789),
            },
        ),
    ];
    ledger.push(header, slots);
    let until = Height(START_HEIGHT + 500);
    let slots = [
        ledger.signed(2, 30, Action::ChangeKey { key: LeafKey::NULL }),
        ledger.signed(3, 0, Action::Lock { until }),
    ];
    ledger.push(None, slots);
    // a self-transfer, then a lone slot of the next block with the same fee leaves
    let slots = [ledger.transfer(0, 0, 5_000), ledger.transfer(1, 4, 0)];
    ledger.push(None, slots);
    let lone = ledger.signed(
        3,
        0,
        Action::Lock {
            until: Height(START_HEIGHT + 501),
        },
    );
    ledger.push(Ledger::header(&[], 7, false), [lone, Operation::Noop]);
    ledger.finish()
}

/// A group of three across pairs, a BidPay and a BidBurn.
fn groups_and_bids() -> ChunkWitness {
    let mut ledger = Ledger::new();
    let pay = Operation::BidPay(ledger.bid(1, START_HEIGHT + 1, 777_777));
    let [a, b, c] = ledger
        .group(&[(0, 1, 50), (2, 0, 60), (3, 5 - 1, 70)])
        .try_into()
        .unwrap();
    ledger.push(Ledger::header(&[0, 3], 1, true), [pay, a]);
    ledger.push(None, [b, c]);
    let burn = Operation::BidBurn(ledger.bid(1, START_HEIGHT + 1, 5));
    let poor = Operation::BidBurn(ledger.bid(2, START_HEIGHT, 1 << 119));
    ledger.push(None, [burn, poor]);
    ledger.finish()
}

/// Every inbox operation that applies.
fn inbox_operations() -> ChunkWitness {
    let mut ledger = Ledger::new();
    let slots = [
        item(request(InboxKind::Deposit, 0, 1, 500)),
        item(InboxRequest {
            l1_owner: owner(77),
            ..request(InboxKind::Deposit, 0, 1, 600)
        }),
    ];
    ledger.push(Ledger::header(&[3], 1, false), slots);
    let slots = [
        item(request(InboxKind::ForcedTransfer, 0, 1, 700)),
        item(request(InboxKind::ForcedTransferToNew, 1, 0, 800)),
    ];
    ledger.push(None, slots);
    let slots = [
        item(request(InboxKind::ForcedWithdraw, 2, 0, 900)),
        item(request(InboxKind::ForcedChangeKey, 2, 0, 0)),
    ];
    ledger.push(None, slots);
    let slots = [
        item(request(InboxKind::ForcedExit, 3, 0, 0)),
        item(request(InboxKind::ForcedTransfer, 0, 0, 1)),
    ];
    ledger.push(None, slots);
    ledger.finish()
}

/// Inbox operations that are no-ops or come back, one for each rule, and random words.
fn inbox_noops() -> Vec<ChunkWitness> {
    let transfer = request(InboxKind::ForcedTransfer, 0, 1, 700);
    let new = request(InboxKind::ForcedTransferToNew, 0, 0, 5);
    let zero = protocol::account::L1Address::ZERO;
    let huge = (1 << 120) - 1;
    let mut non_canonical = match item(new) {
        Operation::Inbox(item) => item.0.map(|word| word.0),
        _ => unreachable!(),
    };
    non_canonical[2][30 - 20] |= 0xf0; // high bits of x: x >= p
    let items = vec![
        item(InboxRequest {
            kind: None,
            ..transfer
        }),
        item(request(InboxKind::ForcedTransfer, 99, 1, 7)),
        item(InboxRequest {
            owner: owner(1),
            ..transfer
        }),
        item(InboxRequest {
            token: TokenId(1),
            ..transfer
        }),
        item(InboxRequest {
            amount: amount(huge),
            ..transfer
        }),
        item(InboxRequest {
            to: LeafIndex(99),
            ..transfer
        }),
        item(InboxRequest {
            to: LeafIndex(5),
            ..transfer
        }),
        item(InboxRequest {
            l1_owner: zero,
            ..new
        }),
        item(InboxRequest {
            l1_owner: zero,
            ..request(InboxKind::Deposit, 0, 1, 5)
        }),
        item(InboxRequest {
            amount: amount(huge),
            ..request(InboxKind::Deposit, 0, 1, 5)
        }),
        item(request(InboxKind::ForcedWithdraw, 0, 0, huge)),
        raw_item(non_canonical),
        raw_item([[0xff; 31]; 5]),
        raw_item([[0x5a; 31]; 5]),
        raw_item(std::array::from_fn(|i| {
            std::array::from_fn(|j| (i * 71 + j * 37) as u8)
        })),
        raw_item([[0; 31]; 5]),
    ];
    items
        .chunks(4)
        .map(|items| {
            let mut ledger = Ledger::new();
            ledger.push(Ledger::header(&[3], 1, false), [items[0], items[1]]);
            ledger.push(None, [items[2], items[3]]);
            ledger.finish()
        })
        .collect()
}

pub(crate) fn every_witness() -> Vec<(&'static str, ChunkWitness)> {
    let mut all = vec![
        ("transfers", transfers()),
        ("signed", signed_operations()),
        ("groups and bids", groups_and_bids()),
        ("inbox", inbox_operations()),
    ];
    all.extend(inbox_noops().into_iter().map(|witness| ("no-ops", witness)));
    all
}

#[test]
fn every_operation_satisfies_rules_ranges_and_copies() {
    for (name, witness) in every_witness() {
        let shape = ChunkShape {
            pairs: witness.pairs.len() + 1,
        };
        let (_, inputs, errors) = shape.fill(&witness).unwrap();
        let located: Vec<_> = errors
            .iter()
            .map(|error| match error {
                WitnessError::Copy { left, right } => {
                    format!(
                        "{error} ({:?} {:?})",
                        shape.locate(*left),
                        shape.locate(*right)
                    )
                }
                _ => error.to_string(),
            })
            .collect();
        assert_eq!(located, Vec::<String>::new(), "{name}");
        assert_eq!(inputs, witness.public_inputs().map(to_circuit));
    }
}

#[test]
fn transfers_satisfy_the_gates_and_prove() {
    let (circuit, inputs) = SMALL.prove(&transfers()).unwrap();
    assert_eq!(mock(SMALL.k(), &circuit, &inputs), Ok(()));
    for changed in 0..3 {
        let mut wrong = inputs;
        wrong[changed] += Fr::one();
        assert!(!accepts(SMALL.k(), &circuit, &wrong));
    }
    assert!(proves(SMALL.k(), circuit, &inputs));
}

#[test]
fn every_operation_satisfies_the_gates() {
    for (name, witness) in every_witness() {
        let shape = ChunkShape {
            pairs: witness.pairs.len(),
        };
        let (circuit, inputs) = shape.prove(&witness).unwrap();
        assert_eq!(mock(shape.k(), &circuit, &inputs), Ok(()), "{name}");
    }
}
