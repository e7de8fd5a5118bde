//! Operations from the inbox: authority is `msg.sender`, and whatever the words hold is provable.
//!
//! The complete list of rules by which an item becomes a no-op (`protocol.md`, "Inbox operations"): unknown type;
//! `from` empty; item.owner differs; item.token differs; leaf locked; amount above the balance; `to` empty or of
//! another token; new l1_owner zero; tree full; a credit reaching 2^120. A Deposit that cannot be credited goes
//! back through the withdrawals, but for an l1_owner of zero, which is a no-op.

use super::{
    Accesses, Executed,
    signed::{next_index, withdrawal_words},
};
use crate::{
    account::{L1Address, Leaf},
    inbox::{InboxItem, InboxKind, InboxRequest},
    number::{Amount, LeafIndex},
    state::LeafView,
    threaded::Threaded,
    words::Word,
};

/// Sender's leaf afterwards, recipient's leaf afterwards (None: not opened), withdrawal.
struct Outcome {
    sender: (LeafIndex, Option<Leaf>),
    recipient: Option<(LeafIndex, Leaf)>,
    withdrawal: Option<[Word; 2]>,
    applied: bool,
}

pub(super) fn execute<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    item: &InboxItem,
) -> Executed {
    threaded.inbox_count = threaded.inbox_count.saturating_add(1);
    let request = item.request();
    let outcome = match request.kind {
        Some(InboxKind::Deposit) => deposit(view, threaded, &request),
        Some(kind) => {
            forced(view, threaded, kind, &request).unwrap_or_else(|| unchanged(view, request.from))
        }
        None => unchanged(view, request.from),
    };
    let mut accesses = Accesses::new(view);
    accesses.write(outcome.sender.0, outcome.sender.1);
    if let Some((index, leaf)) = outcome.recipient {
        accesses.write(index, Some(leaf));
    } else if outcome.applied || request.kind != Some(InboxKind::ForcedTransfer) {
        accesses.keep(LeafIndex(0));
    } else {
        accesses.keep(request.to); // the circuit must see why the transfer failed
    }
    Executed {
        accesses: accesses.finish(),
        withdrawal: outcome.withdrawal,
        burned: Amount::ZERO,
        applied: outcome.applied,
    }
}

fn unchanged<V: LeafView>(view: &V, index: LeafIndex) -> Outcome {
    Outcome {
        sender: (index, view.leaf(index)),
        recipient: None,
        withdrawal: None,
        applied: false,
    }
}

/// Opens leaf `to` as sender: the leaf the deposit would credit.
fn deposit<V: LeafView>(view: &V, threaded: &mut Threaded, request: &InboxRequest) -> Outcome {
    let candidate = view.leaf(request.to);
    let kept = unchanged(view, request.to);
    if request.l1_owner == L1Address::ZERO {
        return kept;
    }
    let matching =
        candidate.filter(|leaf| leaf.token == request.token && leaf.l1_owner == request.l1_owner);
    if let Some(leaf) = matching {
        return match leaf.balance.checked_add(request.amount) {
            Some(balance) => Outcome {
                sender: (request.to, Some(Leaf { balance, ..leaf })),
                applied: true,
                ..kept
            },
            None => Outcome {
                withdrawal: Some(returned(request)),
                ..kept
            },
        };
    }
    match next_index(threaded) {
        Some(index) => {
            let leaf = Leaf::new(request.key, request.l1_owner, request.token, request.amount);
            Outcome {
                recipient: Some((index, leaf)),
                applied: true,
                ..kept
            }
        }
        None => Outcome {
            withdrawal: Some(returned(request)),
            ..kept
        },
    }
}

/// A deposit that cannot be credited is paid back to its depositor.
fn returned(request: &InboxRequest) -> [Word; 2] {
    let place = Leaf::new(request.key, request.owner, request.token, Amount::ZERO);
    withdrawal_words(&place, request.to, request.amount)
}

/// `None` if a rule of the list makes the item a no-op.
fn forced<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    kind: InboxKind,
    request: &InboxRequest,
) -> Option<Outcome> {
    let sender = view.leaf(request.from)?;
    let authorized = sender.l1_owner == request.owner
        && sender.token == request.token
        && !sender.is_locked(threaded.height);
    if !authorized {
        return None;
    }
    let debit = match kind {
        InboxKind::ForcedExit => sender.balance,
        InboxKind::ForcedChangeKey => Amount::ZERO,
        _ => request.amount,
    };
    let balance = sender.balance.checked_sub(debit)?;
    let mut after = Leaf { balance, ..sender };
    let mut outcome = Outcome {
        sender: (request.from, None),
        recipient: None,
        withdrawal: None,
        applied: true,
    };
    match kind {
        InboxKind::ForcedTransfer => {
            let recipient = if request.to == request.from {
                after
            } else {
                view.leaf(request.to)?
            };
            if recipient.token != sender.token {
                return None;
            }
            let credited = recipient.balance.checked_add(debit)?;
            outcome.recipient = Some((
                request.to,
                Leaf {
                    balance: credited,
                    ..recipient
                },
            ));
        }
        InboxKind::ForcedTransferToNew => {
            if request.l1_owner == L1Address::ZERO {
                return None;
            }
            let index = next_index(threaded)?;
            outcome.recipient = Some((
                index,
                Leaf::new(request.key, request.l1_owner, sender.token, debit),
            ));
        }
        InboxKind::ForcedWithdraw | InboxKind::ForcedExit => {
            outcome.withdrawal = Some(withdrawal_words(&sender, request.from, debit));
        }
        InboxKind::ForcedChangeKey => after.key = request.key,
        InboxKind::Deposit => return None, // handled before
    }
    outcome.sender.1 = Some(after);
    Some(outcome)
}
