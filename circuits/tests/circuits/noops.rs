//! Inbox items: every cause that the rules name makes a no-op in the circuit as it does natively, and
//! neither verdict can be turned round - an item that must not apply cannot, one that must cannot be
//! skipped.

use circuits::chunk::ChunkShape;
use circuits::convert::to_circuit;
use protocol::account::{L1Address, Leaf, LeafKey};
use protocol::inbox::{InboxItem, InboxKind, InboxRequest};
use protocol::number::{Height, LeafIndex, TokenId};
use protocol::params::{BALANCE_LIMIT, LEAF_COUNT_MAX};
use protocol::state::{LeafView, State};
use protocol::threaded::Threaded;
use protocol::transaction::Domain;
use protocol::transition::{Executed, Operation};
use protocol::witness::ChunkWitness;
use protocol::words::WordWriter;

use crate::checker::Checker;
use crate::forger::{Forger, Forgery};
use crate::ledger::{Ledger, START_HEIGHT, amount, owner, secret};

const SHAPE: ChunkShape = ChunkShape { pairs: 1 };
const BALANCE: u128 = 10_000_000_000_000;
const AMOUNT: u128 = 700;

/// 1 is locked for the very last height, 4 was locked until the height before; 2 has room for exactly
/// `AMOUNT`; 3 collects fees; 5 holds another token.
fn state() -> State {
    let leaf = |index: u32| {
        let token = TokenId(u32::from(index == 5));
        let key = LeafKey::from(secret(index).public());
        let mut leaf = Leaf::new(key, owner(index), token, amount(BALANCE));
        match index {
            1 => leaf.lock_until = Height(START_HEIGHT + 1),
            2 => leaf.balance = amount(BALANCE_LIMIT - 1 - AMOUNT),
            4 => leaf.lock_until = Height(START_HEIGHT),
            _ => {}
        }
        leaf
    };
    State::new((0..6).map(leaf).collect())
}

/// An item, and whether the tree is full when it comes.
#[derive(Clone)]
struct Case {
    name: String,
    item: InboxItem,
    is_full: bool,
}

fn case(name: impl std::fmt::Debug, cause: &str, request: InboxRequest) -> Case {
    Case {
        name: format!("{name:?}: {cause}"),
        item: request.to_item(),
        is_full: cause.contains("tree full"),
    }
}

fn request(kind: InboxKind) -> InboxRequest {
    InboxRequest {
        kind: Some(kind),
        from: LeafIndex(3), // not 0: accesses that are not needed read that one
        to: LeafIndex(if kind == InboxKind::Deposit { 3 } else { 4 }),
        token: TokenId(0),
        amount: amount(AMOUNT),
        owner: owner(3),
        l1_owner: owner(3),
        key: secret(9).public().into(),
    }
}

const FORCED: [InboxKind; 5] = [
    InboxKind::ForcedTransfer,
    InboxKind::ForcedTransferToNew,
    InboxKind::ForcedWithdraw,
    InboxKind::ForcedChangeKey,
    InboxKind::ForcedExit,
];

/// Every cause, with every kind it concerns. Deposits that go back are among them: they change no leaf.
fn noops() -> Vec<Case> {
    use InboxKind::{Deposit, ForcedTransfer, ForcedTransferToNew, ForcedWithdraw};
    let mut cases = Vec::new();
    for kind in FORCED {
        let base = request(kind);
        let (from, token) = (LeafIndex(99), TokenId(1));
        cases.push(case(kind, "from empty", InboxRequest { from, ..base }));
        let other = owner(1);
        cases.push(case(
            kind,
            "another owner",
            InboxRequest {
                owner: other,
                ..base
            },
        ));
        cases.push(case(kind, "another token", InboxRequest { token, ..base }));
        let locked = InboxRequest {
            from: LeafIndex(1),
            owner: owner(1),
            ..base
        };
        cases.push(case(kind, "locked", locked));
    }
    for kind in [ForcedTransfer, ForcedTransferToNew, ForcedWithdraw] {
        for value in [BALANCE + 1, BALANCE_LIMIT - 1] {
            let poor = InboxRequest {
                amount: amount(value),
                ..request(kind)
            };
            cases.push(case(kind, &format!("amount {value}"), poor));
        }
    }
    for (cause, to) in [
        ("to empty", 99),
        ("to empty", 6),
        ("to of another token", 5),
    ] {
        let to = LeafIndex(to);
        cases.push(case(
            ForcedTransfer,
            cause,
            InboxRequest {
                to,
                ..request(ForcedTransfer)
            },
        ));
    }
    let crowded = |kind| InboxRequest {
        to: LeafIndex(2),
        l1_owner: owner(2),
        amount: amount(AMOUNT + 1),
        ..request(kind)
    };
    for kind in [ForcedTransfer, Deposit] {
        cases.push(case(kind, "the credit reaches 2^120", crowded(kind)));
    }
    for kind in [ForcedTransferToNew, Deposit] {
        let l1_owner = L1Address::ZERO;
        cases.push(case(
            kind,
            "l1_owner 0",
            InboxRequest {
                l1_owner,
                ..request(kind)
            },
        ));
        let l1_owner = owner(8);
        cases.push(case(
            kind,
            "tree full",
            InboxRequest {
                l1_owner,
                ..request(kind)
            },
        ));
    }
    for number in [0, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
        let mut item = request(ForcedTransfer).to_item();
        let last = item.0[0].0.last_mut().unwrap();
        *last = (*last & 0xf0) | number;
        let name = format!("unknown type {number}");
        cases.push(Case {
            name,
            item,
            is_full: false,
        });
    }
    cases
}

/// Items that must apply: every kind, and the near side of every boundary.
fn effective() -> Vec<Case> {
    use InboxKind::{Deposit, ForcedTransfer, ForcedTransferToNew, ForcedWithdraw};
    let mut cases = Vec::new();
    for kind in FORCED {
        let base = request(kind);
        cases.push(case(kind, "plain", base));
        let unlocked = InboxRequest {
            from: LeafIndex(4),
            to: LeafIndex(3),
            owner: owner(4),
            ..base
        };
        cases.push(case(kind, "no longer locked", unlocked));
        cases.push(case(
            kind,
            "whole balance",
            InboxRequest {
                amount: amount(BALANCE),
                ..base
            },
        ));
        if kind != ForcedTransferToNew {
            cases.push(case(kind, "tree full but nothing created", base));
        }
    }
    let exact = InboxRequest {
        to: LeafIndex(2),
        ..request(ForcedTransfer)
    };
    cases.push(case(ForcedTransfer, "room for exactly this", exact));
    cases.push(case(Deposit, "credits", request(Deposit)));
    cases.push(case(Deposit, "tree full, but it credits", request(Deposit)));
    let exact = InboxRequest {
        to: LeafIndex(2),
        l1_owner: owner(2),
        ..request(Deposit)
    };
    cases.push(case(Deposit, "room for exactly this", exact));
    let locked = InboxRequest {
        to: LeafIndex(1),
        l1_owner: owner(1),
        ..request(Deposit)
    };
    cases.push(case(Deposit, "a locked leaf may be credited", locked));
    for (cause, to, token, to_owner) in [
        ("creates: leaf of another owner", 3, 0, 8),
        ("creates: leaf of another token", 3, 1, 3),
        ("creates: no such leaf", 99, 0, 8),
        ("creates: names the very place", 6, 0, 8),
    ] {
        let creates = InboxRequest {
            to: LeafIndex(to),
            token: TokenId(token),
            l1_owner: owner(to_owner),
            ..request(Deposit)
        };
        cases.push(case(Deposit, cause, creates));
    }
    let nobody = InboxRequest {
        l1_owner: L1Address::ZERO,
        ..request(ForcedWithdraw)
    };
    cases.push(case(ForcedWithdraw, "l1_owner is not its business", nobody));
    cases
}

/// Domain of the ledgers.
fn domain() -> Domain {
    Ledger::new().domain
}

fn witness(case: &Case, tweak: impl Fn(&mut Executed, &mut Threaded) + 'static) -> ChunkWitness {
    let mut forger = Forger::on(state(), domain());
    if case.is_full {
        forger = forger.starting_with(|threaded| threaded.leaf_count = LEAF_COUNT_MAX);
    }
    let header = Ledger::header(&[3], 1, false);
    let slot = Forgery::tweak(Operation::Inbox(case.item), tweak);
    let slots = [slot, Forgery::honest(Operation::Noop)];
    forger.pair(header.clone(), header, slots);
    forger.finish()
}

fn checker() -> Checker {
    Checker::new(&SHAPE.circuit())
}

/// Whether all constraints hold, and the inputs are the native ones.
fn is_accepted(checker: &Checker, witness: &ChunkWitness) -> Result<(), String> {
    let (circuit, inputs, errors) = SHAPE.fill(witness).unwrap();
    let broken = checker.violations(circuit.trace().unwrap(), &inputs);
    assert_eq!(
        errors.is_empty(),
        broken.is_empty(),
        "{errors:?}, {broken:?}"
    );
    assert!(!errors.is_empty() || inputs == witness.public_inputs().map(to_circuit));
    errors
        .first()
        .map_or(Ok(()), |error| Err(error.to_string()))
}

#[test]
fn every_cause_of_a_noop_is_an_honest_witness() {
    let checker = checker();
    for case in noops() {
        let done = witness(&case, |done, _| {
            assert!(!done.applied, "the native rules apply it");
            assert!(
                done.accesses
                    .iter()
                    .all(|access| access.before == access.after)
            );
        });
        assert_eq!(is_accepted(&checker, &done), Ok(()), "{}", case.name);
    }
    for case in effective() {
        let done = witness(&case, |done, _| {
            assert!(done.applied, "the native rules skip it")
        });
        assert_eq!(is_accepted(&checker, &done), Ok(()), "{}", case.name);
    }
}

/// Does what the item asks for, as far as leaves and words can say it, whatever forbids it.
fn apply(done: &mut Executed, threaded: &mut Threaded, request: &InboxRequest, state: &State) {
    let value = request.amount.get();
    let raised = |leaf: Leaf| {
        let balance = (leaf.balance.get() + value).min(BALANCE_LIMIT - 1);
        Leaf {
            balance: amount(balance),
            ..leaf
        }
    };
    let kind = request.kind.unwrap_or(InboxKind::ForcedTransfer);
    let [sender, recipient, _] = &mut done.accesses;
    let before = sender.before;
    let mut paid = value;
    sender.after = before.map(|leaf| match kind {
        InboxKind::Deposit => raised(leaf),
        InboxKind::ForcedChangeKey => Leaf {
            key: request.key,
            ..leaf
        },
        _ => {
            paid = value.min(leaf.balance.get());
            if kind == InboxKind::ForcedExit {
                paid = leaf.balance.get();
            }
            Leaf {
                balance: amount(leaf.balance.get() - paid),
                ..leaf
            }
        }
    });
    let next = LeafIndex(u32::try_from(state.leaf_count()).unwrap());
    let nobodys = kind == InboxKind::Deposit && request.l1_owner == L1Address::ZERO;
    if kind == InboxKind::ForcedTransferToNew || nobodys || done.withdrawal.is_some() {
        if kind == InboxKind::Deposit {
            sender.after = sender.before;
        }
        let created = Leaf::new(request.key, request.l1_owner, request.token, request.amount);
        recipient.index = next;
        (recipient.before, recipient.after) = (None, Some(created));
        threaded.leaf_count += 1;
        done.withdrawal = None;
    } else if kind == InboxKind::ForcedTransfer {
        recipient.index = request.to;
        recipient.before = state.leaf(request.to);
        recipient.after = match recipient.before {
            Some(leaf) => Some(raised(leaf)),
            None => {
                recipient.index = next;
                Some(Leaf::new(
                    request.key,
                    request.l1_owner,
                    request.token,
                    request.amount,
                ))
            }
        };
    } else if matches!(kind, InboxKind::ForcedWithdraw | InboxKind::ForcedExit) {
        let mut first = WordWriter::default();
        first.put_address(&request.owner);
        first.put(u128::from(request.token.0), 32);
        first.put(u128::from(request.from.0), 32);
        let mut second = WordWriter::default();
        second.put(paid, 120);
        done.withdrawal = Some([first.finish(), second.finish()]);
    }
}

#[test]
fn an_item_that_must_not_apply_cannot() {
    let checker = checker();
    for case in noops() {
        let honest = witness(&case, |_, _| {});
        let (request, state) = (case.item.request(), state());
        let forged = witness(&case, move |done, threaded| {
            apply(done, threaded, &request, &state);
        });
        if honest.public_inputs() == forged.public_inputs() {
            // nothing to gain: an empty leaf has no key to change
            assert_eq!(case.name, "ForcedChangeKey: from empty");
            continue;
        }
        assert!(is_accepted(&checker, &forged).is_err(), "{}", case.name);
    }
}

#[test]
fn an_item_that_must_apply_cannot_be_skipped() {
    let checker = checker();
    let returned = noops().into_iter().filter(|case| {
        let mut threaded = Threaded::batch_start(state().root(), 6, Height(START_HEIGHT), 5);
        if case.is_full {
            threaded.leaf_count = LEAF_COUNT_MAX;
        }
        threaded.phase = protocol::threaded::Phase::Inbox;
        let operation = Operation::Inbox(case.item);
        protocol::transition::execute(&state(), &mut threaded, &domain(), &operation)
            .is_ok_and(|done| done.withdrawal.is_some())
    });
    let cases: Vec<Case> = effective().into_iter().chain(returned).collect();
    assert!(
        cases
            .iter()
            .filter(|case| case.name.starts_with("Deposit"))
            .count()
            >= 10
    );
    for case in cases {
        let honest = witness(&case, |_, _| {});
        let is_full = case.is_full;
        let forged = witness(&case, move |done, threaded| {
            for access in &mut done.accesses {
                access.after = access.before;
            }
            done.withdrawal = None;
            threaded.leaf_count = if is_full { LEAF_COUNT_MAX } else { 6 };
        });
        assert_ne!(
            honest.public_inputs(),
            forged.public_inputs(),
            "{}",
            case.name
        );
        assert!(is_accepted(&checker, &forged).is_err(), "{}", case.name);
    }
}
