//! Invalid operations, each consistent in everything but one rule: the witness maker names the rule and
//! the gates refuse the trace.

use circuits::chunk::ChunkShape;
use protocol::account::{L1Address, LeafKey};
use protocol::inbox::{InboxKind, InboxRequest};
use protocol::number::{Height, LeafIndex, TokenId};
use protocol::params::{BID_BURN_HEIGHTS_MAX, LOCK_HEIGHTS_MAX};
use protocol::threaded::{OpenGroup, Phase};
use protocol::transaction::{Action, Transaction};
use protocol::transition::{Header, Membership, Operation};
use protocol::witness::ChunkWitness;

use crate::forger::{Forger, Forgery};
use crate::harness::accepts;
use crate::ledger::{Ledger, START_HEIGHT, amount, item, owner, secret};

const SHAPE: ChunkShape = ChunkShape { pairs: 1 };

fn header() -> Option<Header> {
    Ledger::header(&[3], 1, false)
}

/// A pair of a forged slot and a Noop, in a block with fee leaf 3.
fn forged(locked: bool, forgery: Forgery) -> ChunkWitness {
    let mut forger = Forger::new(locked);
    forger.pair(
        header(),
        header(),
        [forgery, Forgery::honest(Operation::Noop)],
    );
    forger.finish()
}

fn base() -> Transaction {
    Transaction {
        from: LeafIndex(1),
        nonce: protocol::number::Nonce(0),
        valid_until: Height(START_HEIGHT + 9),
        fee: amount(20),
        action: Action::Transfer {
            to: LeafIndex(2),
            amount: amount(1_000),
        },
    }
}

fn sign(transaction: Transaction) -> Operation {
    Ledger::new().sign(transaction, transaction.from.0)
}

fn transfer(to: u32) -> Operation {
    sign(Transaction {
        action: Action::Transfer {
            to: LeafIndex(to),
            amount: amount(1_000),
        },
        ..base()
    })
}

fn with_selector(operation: Operation, selector: u8) -> Operation {
    match operation {
        Operation::Signed {
            transaction, group, ..
        } => Operation::Signed {
            transaction,
            fee_leaf: selector,
            group,
        },
        other => other,
    }
}

fn request(kind: InboxKind) -> InboxRequest {
    InboxRequest {
        kind: Some(kind),
        from: LeafIndex(1),
        to: LeafIndex(2),
        token: TokenId(0),
        amount: amount(700),
        owner: owner(1),
        l1_owner: owner(2),
        key: LeafKey::NULL,
    }
}

/// `(name, expected complaint, witness)`.
pub(crate) type Case = (&'static str, &'static str, ChunkWitness);

/// Every forgery of this module.
pub(crate) fn cases() -> Vec<Case> {
    [
        broken_rules(),
        false_effects(),
        out_of_order(),
        bent_items(),
        false_words(),
    ]
    .concat()
}

fn refused(cases: Vec<Case>) {
    let mut failures = Vec::new();
    for (name, complaint, witness) in cases {
        let (circuit, inputs, errors) = SHAPE.fill(&witness).unwrap();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        if !errors
            .first()
            .is_some_and(|error| error.contains(complaint))
        {
            failures.push(format!("{name}: expected '{complaint}', got {errors:?}"));
        }
        if accepts(SHAPE.k(), &circuit, &inputs) {
            failures.push(format!("{name}: the gates accept"));
        }
    }
    assert_eq!(failures, Vec::<String>::new());
}

#[test]
fn the_forger_is_consistent_when_it_forges_nothing() {
    let witness = forged(false, Forgery::honest(transfer(2)));
    let (circuit, inputs, errors) = SHAPE.fill(&witness).unwrap();
    assert_eq!(errors, vec![]);
    assert!(accepts(SHAPE.k(), &circuit, &inputs));
}

#[test]
fn signed_operations_that_break_a_rule_are_refused() {
    refused(broken_rules());
}

fn broken_rules() -> Vec<Case> {
    let expired = sign(Transaction {
        valid_until: Height(START_HEIGHT),
        ..base()
    });
    let stranger = Ledger::new().sign(base(), 2);
    let altered = match transfer(2) {
        Operation::Signed {
            transaction,
            fee_leaf,
            group,
        } => {
            let mut transaction = transaction;
            transaction.transaction.action = Action::Transfer {
                to: LeafIndex(2),
                amount: amount(1_001),
            };
            Operation::Signed {
                transaction,
                fee_leaf,
                group,
            }
        }
        other => other,
    };
    let replayed = sign(Transaction {
        nonce: protocol::number::Nonce(1),
        ..base()
    });
    let new = |owner, fee| {
        let key = LeafKey::NULL;
        let action = Action::TransferToNew {
            key,
            l1_owner: owner,
            amount: amount(1_000),
        };
        sign(Transaction {
            action,
            fee: amount(fee),
            ..base()
        })
    };
    let lock = |until: u64, fee| {
        let action = Action::Lock {
            until: Height(until),
        };
        sign(Transaction {
            action,
            fee: amount(fee),
            ..base()
        })
    };
    let height = START_HEIGHT + 1;
    vec![
        (
            "expired",
            "ExpiryDistance",
            forged(false, Forgery::swap(expired, transfer(2))),
        ),
        (
            "signed by a stranger",
            "key signs",
            forged(false, Forgery::swap(stranger, transfer(2))),
        ),
        (
            "altered after signing",
            "signature breaks",
            forged(false, Forgery::honest(altered)),
        ),
        (
            "nonce of the future",
            "signs its message",
            forged(false, Forgery::swap(replayed, transfer(2))),
        ),
        (
            "recipient of another token",
            "recipient has the token",
            forged(
                false,
                Forgery::tweak(transfer(2), |done, _| {
                    done.accesses[1].index = LeafIndex(5);
                    let mut leaf = done.accesses[1].before.unwrap();
                    leaf.key = secret(5).public().into();
                    leaf.l1_owner = owner(5);
                    leaf.token = TokenId(1);
                    done.accesses[1].before = Some(leaf);
                    leaf.balance = amount(leaf.balance.get() + 1_000);
                    done.accesses[1].after = Some(leaf);
                }),
            ),
        ),
        (
            "locked leaf pays",
            "a locked leaf only locks",
            forged(true, locked_payment(lock(height + 60, 0))),
        ),
        (
            "locked leaf pays a fee",
            "a locked leaf pays no fee",
            forged(
                true,
                Forgery {
                    claimed: lock(height + 60, 20),
                    executed: lock(height + 60, 0),
                    tweak: Box::new(|done, _| {
                        let payer = done.accesses[0].after.as_mut().unwrap();
                        payer.balance = amount(payer.balance.get() - 20);
                        let mut collector = done.accesses[0].before.unwrap();
                        collector.key = secret(3).public().into();
                        (collector.l1_owner, collector.lock_until) = (owner(3), Height(0));
                        done.accesses[2].index = LeafIndex(3);
                        done.accesses[2].before = Some(collector);
                        collector.balance = amount(collector.balance.get() + 18);
                        done.accesses[2].after = Some(collector);
                    }),
                },
            ),
        ),
        (
            "lock lowered",
            "LockRaise",
            forged(
                true,
                Forgery::swap(lock(height + 49, 0), lock(height + 60, 0)),
            ),
        ),
        (
            "lock too far",
            "LockRoom",
            forged(
                false,
                Forgery::swap(
                    lock(height + LOCK_HEIGHTS_MAX + 1, 0),
                    lock(height + LOCK_HEIGHTS_MAX, 0),
                ),
            ),
        ),
        (
            "leaf without owner",
            "a new leaf has an owner",
            forged(false, Forgery::tweak(new(owner(9), 0), |_, _| {}))
                .swapped(new(L1Address::ZERO, 0)),
        ),
        ("leaf out of order", "a new leaf takes the next place", {
            let forger = Forger::new(false).starting_with(|threaded| threaded.leaf_count = 5);
            let mut forger = forger;
            forger.threaded.leaf_count = 6;
            let slot = Forgery::tweak(new(owner(9), 0), |_, threaded| threaded.leaf_count = 6);
            forger.pair(header(), header(), [slot, Forgery::honest(Operation::Noop)]);
            forger.finish()
        }),
    ]
}

/// A fee-less transfer of 1,000 from the locked leaf 1 to leaf 2, executed over a Lock.
fn locked_payment(lock: Operation) -> Forgery {
    let action = Action::Transfer {
        to: LeafIndex(2),
        amount: amount(1_000),
    };
    let claimed = sign(Transaction {
        fee: amount(0),
        action,
        ..base()
    });
    let tweak = |done: &mut protocol::transition::Executed, _: &mut _| {
        let payer = done.accesses[0].before.unwrap();
        let mut paid = payer;
        paid.balance = amount(payer.balance.get() - 1_000);
        paid.nonce.0 += 1;
        done.accesses[0].after = Some(paid);
        let mut recipient = payer;
        (recipient.key, recipient.l1_owner) = (secret(2).public().into(), owner(2));
        recipient.lock_until = Height(0);
        done.accesses[1].index = LeafIndex(2);
        done.accesses[1].before = Some(recipient);
        recipient.balance = amount(recipient.balance.get() + 1_000);
        done.accesses[1].after = Some(recipient);
    };
    Forgery {
        claimed,
        executed: lock,
        tweak: Box::new(tweak),
    }
}

trait Swapped {
    fn swapped(self, operation: Operation) -> Self;
}

impl Swapped for ChunkWitness {
    /// Claims another operation in the first slot, without recomputing words.
    fn swapped(mut self, operation: Operation) -> Self {
        self.pairs[0].slots[0].operation = operation;
        self
    }
}

#[test]
fn effects_that_do_not_follow_from_the_operation_are_refused() {
    refused(false_effects());
}

fn false_effects() -> Vec<Case> {
    let equal = "must be equal and are not";
    let tweak = |change: fn(&mut protocol::transition::Executed)| {
        forged(
            false,
            Forgery::tweak(transfer(2), move |done, _| change(done)),
        )
    };
    vec![
        (
            "credit one more",
            equal,
            tweak(|done| {
                let leaf = done.accesses[1].after.as_mut().unwrap();
                leaf.balance = amount(leaf.balance.get() + 1);
            }),
        ),
        (
            "debit one less",
            equal,
            tweak(|done| {
                let leaf = done.accesses[0].after.as_mut().unwrap();
                leaf.balance = amount(leaf.balance.get() + 1);
            }),
        ),
        (
            "keep the nonce",
            equal,
            tweak(|done| {
                done.accesses[0].after.as_mut().unwrap().nonce.0 = 0;
            }),
        ),
        (
            "take the key",
            equal,
            tweak(|done| {
                done.accesses[1].after.as_mut().unwrap().key = LeafKey::NULL;
            }),
        ),
        (
            "take the leaf",
            equal,
            tweak(|done| {
                done.accesses[1].after.as_mut().unwrap().l1_owner = owner(8);
            }),
        ),
        (
            "keep the burn",
            equal,
            tweak(|done| {
                let leaf = done.accesses[2].after.as_mut().unwrap();
                leaf.balance = amount(leaf.balance.get() + 1);
            }),
        ),
        (
            "lock the fee leaf",
            equal,
            tweak(|done| {
                done.accesses[2].after.as_mut().unwrap().lock_until = Height(1);
            }),
        ),
        (
            "fee leaf's key",
            equal,
            tweak(|done| {
                done.accesses[2].after.as_mut().unwrap().key = LeafKey::NULL;
            }),
        ),
        (
            "another recipient",
            "signs its message",
            tweak(|done| {
                done.accesses[1].index = LeafIndex(0);
                let mut leaf = done.accesses[1].before.unwrap();
                (leaf.key, leaf.l1_owner) = (secret(0).public().into(), owner(0));
                done.accesses[1].before = Some(leaf);
                leaf.balance = amount(leaf.balance.get() + 1_000);
                done.accesses[1].after = Some(leaf);
            }),
        ),
        (
            "fee to another leaf",
            "fee leaf is the chosen one",
            tweak(|done| {
                done.accesses[2].index = LeafIndex(0);
                let mut leaf = done.accesses[2].before.unwrap();
                (leaf.key, leaf.l1_owner) = (secret(0).public().into(), owner(0));
                done.accesses[2].before = Some(leaf);
                leaf.balance = amount(leaf.balance.get() + 18);
                done.accesses[2].after = Some(leaf);
            }),
        ),
        (
            "selector beyond the fee leaves",
            "selector names a fee leaf",
            // unused places are 0: leaf 0 would collect
            {
                let mut forger = Forger::new(false);
                let claimed = with_selector(transfer(2), 1);
                let slot = Forgery {
                    claimed,
                    executed: transfer(2),
                    tweak: Box::new(|done, _| {
                        done.accesses[2].index = LeafIndex(0);
                        let mut leaf = done.accesses[2].before.unwrap();
                        (leaf.key, leaf.l1_owner) = (secret(0).public().into(), owner(0));
                        done.accesses[2].before = Some(leaf);
                        leaf.balance = amount(leaf.balance.get() + 18);
                        done.accesses[2].after = Some(leaf);
                    }),
                };
                forger.pair(header(), header(), [slot, Forgery::honest(Operation::Noop)]);
                forger.finish()
            },
        ),
        ("a Noop that changes a leaf", equal, {
            let mut forger = Forger::new(false);
            let thief = Forgery::tweak(Operation::Noop, |done, _| {
                let leaf = done.accesses[0].after.as_mut().unwrap();
                leaf.balance = amount(leaf.balance.get() + 1);
            });
            forger.pair(header(), header(), [Forgery::honest(transfer(2)), thief]);
            forger.finish()
        }),
        ("a Noop that counts", equal, {
            let mut forger = Forger::new(false);
            let thief = Forgery::tweak(Operation::Noop, |_, threaded| {
                threaded.inbox_count += 1;
            });
            forger.pair(header(), header(), [Forgery::honest(transfer(2)), thief]);
            forger.finish()
        }),
    ]
}

#[test]
fn blocks_and_phases_out_of_order_are_refused() {
    refused(out_of_order());
}

fn out_of_order() -> Vec<Case> {
    let noop = || Forgery::honest(Operation::Noop);
    let honest = || {
        [
            Forgery::honest(transfer(2)),
            Forgery::honest(Operation::Noop),
        ]
    };
    let pay = |height| Operation::BidPay(Ledger::new().bid(1, height, 77));
    let burn = |height| Operation::BidBurn(Ledger::new().bid(1, height, 2_000_000_000));
    let height = START_HEIGHT + 1;
    let bid_header = Ledger::header(&[3], 1, true);
    vec![
        ("no block is open", "signed operations in an open block", {
            let mut forger = Forger::new(false).starting_with(with_fee_leaf);
            forger.threaded.phase = Phase::Signed;
            forger.pair(None, None, honest());
            forger.finish()
        }),
        ("a block without fee leaves", "a block has a fee leaf", {
            let mut witness = forged(false, Forgery::honest(transfer(2)));
            witness.pairs[0].header.as_mut().unwrap().fee_leaves = None;
            witness
        }),
        ("a block of the same height", "DeltaRest", {
            let mut witness = forged(false, Forgery::honest(transfer(2)));
            witness.pairs[0].header.as_mut().unwrap().height_delta = 0;
            witness
        }),
        (
            "a block inside a group",
            "no group is open when a block opens",
            {
                let forger = Forger::new(false).starting_with(|threaded| {
                    threaded.group = OpenGroup {
                        members: 1,
                        ..OpenGroup::NONE
                    };
                });
                let mut forger = forger;
                forger.threaded.group = OpenGroup::NONE;
                forger.pair(header(), header(), honest());
                forger.finish()
            },
        ),
        (
            "a block before the promised bid",
            "a promised bid comes before the next block",
            {
                let mut forger =
                    Forger::new(false).starting_with(|threaded| threaded.phase = Phase::BidPending);
                forger.threaded.phase = Phase::Signed;
                forger.pair(header(), header(), honest());
                forger.finish()
            },
        ),
        (
            "an item after a signed operation",
            "inbox items before signed operations",
            {
                let mut forger = Forger::new(false).starting_with(|threaded| {
                    threaded.phase = Phase::Inbox;
                });
                let deposit = item(request(InboxKind::Deposit));
                let slot = Forgery::honest(deposit);
                forger.pair(None, None, [slot, noop()]);
                let mut witness = forger.finish();
                witness.before.phase = Phase::Signed;
                witness.after.phase = Phase::Signed;
                witness
            },
        ),
        (
            "a transaction before the promised bid",
            "a promised bid comes first",
            {
                let mut witness = forged(false, Forgery::honest(transfer(2)));
                witness.pairs[0].header.as_mut().unwrap().bid = true;
                witness
            },
        ),
        (
            "a BidPay nobody promised",
            "a BidPay where one is promised",
            {
                let mut forger = Forger::new(false);
                forger.pair(
                    header(),
                    bid_header.clone(),
                    [Forgery::honest(pay(height)), noop()],
                );
                forger.finish()
            },
        ),
        (
            "a BidPay of another height",
            "a bid is paid at its height",
            {
                let mut forger = Forger::new(false);
                let slot = Forgery::swap(pay(height + 1), pay(height));
                forger.pair(bid_header.clone(), bid_header.clone(), [slot, noop()]);
                forger.finish()
            },
        ),
        (
            "a BidBurn of the future",
            "BidAge",
            forged(false, Forgery::swap(burn(height + 1), burn(height))),
        ),
        (
            "a BidBurn too old",
            "BidAgeRoom",
            forged(
                false,
                Forgery::swap(burn(height - BID_BURN_HEIGHTS_MAX - 1), burn(height)),
            ),
        ),
        ("a transaction in an open group", "an open group goes on", {
            let mut forger = Forger::new(false).starting_with(|threaded| {
                with_fee_leaf(threaded);
                threaded.phase = Phase::Signed;
                threaded.group = OpenGroup {
                    members: 2,
                    ..OpenGroup::NONE
                };
            });
            forger.threaded.group = OpenGroup::NONE;
            forger.pair(None, None, honest());
            forger.finish()
        }),
        ("a group of one", "a group has two members", {
            let hash = protocol::transaction::group_hash(&[
                base().message(&Forger::new(false).finish().domain, true)
            ]);
            let claimed = match transfer(2) {
                Operation::Signed {
                    transaction,
                    fee_leaf,
                    ..
                } => {
                    let signature = secret(1).sign(&hash);
                    let transaction = protocol::transaction::SignedTransaction {
                        signature,
                        ..transaction
                    };
                    let group = Some(Membership { hash, last: true });
                    Operation::Signed {
                        transaction,
                        fee_leaf,
                        group,
                    }
                }
                other => other,
            };
            forged(false, Forgery::swap(claimed, transfer(2)))
        }),
    ]
}

fn with_fee_leaf(threaded: &mut protocol::threaded::Threaded) {
    threaded.fee_leaves = protocol::threaded::FeeLeaves::new(&[LeafIndex(3)]).unwrap();
}

#[test]
fn inbox_items_can_neither_be_skipped_nor_bent() {
    refused(bent_items());
}

fn bent_items() -> Vec<Case> {
    let equal = "must be equal and are not";
    let skipped = |kind| {
        let operation = item(request(kind));
        forged(
            false,
            Forgery::tweak(operation, |done, threaded| {
                for access in &mut done.accesses {
                    access.after = access.before;
                }
                done.withdrawal = None;
                threaded.leaf_count = 6;
            }),
        )
    };
    let mut cases: Vec<Case> = [
        InboxKind::Deposit,
        InboxKind::ForcedTransfer,
        InboxKind::ForcedTransferToNew,
        InboxKind::ForcedWithdraw,
        InboxKind::ForcedExit,
        InboxKind::ForcedChangeKey,
    ]
    .into_iter()
    .map(|kind| ("skipped item", "", skipped(kind)))
    .collect();
    let poor = InboxRequest {
        owner: owner(4),
        ..request(InboxKind::ForcedExit)
    };
    let rich = item(request(InboxKind::ForcedExit));
    cases.push((
        "exit of a stranger",
        "",
        forged(false, Forgery::swap(item(poor), rich)),
    ));
    let deposit = item(request(InboxKind::Deposit));
    cases.push((
        "deposit of one more",
        equal,
        forged(
            false,
            Forgery::tweak(deposit, |done, _| {
                let leaf = done.accesses[0].after.as_mut().unwrap();
                leaf.balance = amount(leaf.balance.get() + 1);
            }),
        ),
    ));
    cases
}

#[test]
fn words_that_were_not_executed_are_refused() {
    refused(false_words());
}

fn false_words() -> Vec<Case> {
    let mut witness = forged(false, Forgery::honest(transfer(2)));
    witness.after.h += protocol::Fr::from(1u64);
    let mut counted = forged(false, Forgery::honest(transfer(2)));
    counted.after.counts.ops += 1;
    let mut signed = forged(false, Forgery::honest(transfer(2)));
    signed.after.counts.signed_operations = 0;
    let equal = "must be equal and are not";
    vec![
        ("another accumulator", equal, witness),
        ("another count", equal, counted),
        ("an uncounted signature", equal, signed),
    ]
}
