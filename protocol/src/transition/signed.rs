//! Operations that an account's key authorizes.

use super::{Accesses, Executed, InvalidOperation, Membership, burn_of};
use crate::{
    account::{L1Address, Leaf, LeafKey},
    number::{Amount, Height, LeafIndex, Nonce, encode_amount, encode_fee},
    params::{
        BID_BURN_HEIGHTS_MAX, BID_FLOOR, GROUP_MEMBERS_MAX, GROUP_MEMBERS_MIN, LEAF_COUNT_MAX,
        LOCK_HEIGHTS_MAX, NONCE_LAST,
    },
    state::LeafView,
    threaded::{OpenGroup, Threaded},
    transaction::{
        Action, Bid, Domain, SignedTransaction, Transaction, group_close, group_step, tag_group,
    },
    words::{Word, WordWriter},
};

/// Everything the signature covers and words do not carry: key, nonce, expiry, group.
pub(super) fn authorize<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    domain: &Domain,
    signed: &SignedTransaction,
    group: Option<Membership>,
) -> Result<(), InvalidOperation> {
    let transaction = &signed.transaction;
    let leaf = view
        .leaf(transaction.from)
        .ok_or(InvalidOperation::SenderMissing {
            index: transaction.from,
        })?;
    if leaf.key != LeafKey::from(signed.key) {
        return Err(InvalidOperation::KeyMismatch {
            index: transaction.from,
        });
    }
    if transaction.nonce != leaf.nonce {
        return Err(InvalidOperation::NonceMismatch {
            expected: leaf.nonce,
            actual: transaction.nonce,
        });
    }
    if transaction.valid_until < threaded.height {
        return Err(InvalidOperation::Expired {
            valid_until: transaction.valid_until,
            height: threaded.height,
        });
    }
    threaded.group = match group {
        None if threaded.group.is_open() => return Err(InvalidOperation::GroupOpen),
        None => OpenGroup::NONE,
        Some(membership) => {
            let open = threaded.group;
            let start = if open.is_open() {
                open.accumulator
            } else {
                tag_group()
            };
            if open.is_open() && open.hash != membership.hash {
                return Err(InvalidOperation::GroupOpen);
            }
            let accumulator = group_step(&start, &transaction.message(domain, true));
            let members = open.members.saturating_add(1);
            if members > GROUP_MEMBERS_MAX {
                return Err(InvalidOperation::GroupMismatch);
            }
            if membership.last {
                if members < GROUP_MEMBERS_MIN
                    || group_close(&accumulator, members) != membership.hash
                {
                    return Err(InvalidOperation::GroupMismatch);
                }
                OpenGroup::NONE
            } else {
                OpenGroup {
                    hash: membership.hash,
                    accumulator,
                    members,
                }
            }
        }
    };
    Ok(())
}

/// What a transaction does, whoever signed it.
pub(super) fn execute<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    transaction: &Transaction,
    fee_leaf: u8,
) -> Result<Executed, InvalidOperation> {
    let (action, fee) = (&transaction.action, transaction.fee);
    let sender = view
        .leaf(transaction.from)
        .ok_or(InvalidOperation::SenderMissing {
            index: transaction.from,
        })?;
    if sender.nonce.0 >= NONCE_LAST {
        return Err(InvalidOperation::NonceExhausted);
    }
    let is_float = matches!(
        action,
        Action::Transfer { .. } | Action::TransferToNew { .. }
    );
    if is_float && encode_amount(action.amount()).is_none() {
        return Err(InvalidOperation::AmountNotFloat {
            amount: action.amount(),
        });
    }
    if encode_fee(fee).is_none() {
        return Err(InvalidOperation::FeeNotFloat { fee });
    }
    if sender.is_locked(threaded.height) {
        match action {
            Action::Lock { .. } if fee == Amount::ZERO => {}
            Action::Lock { .. } => return Err(InvalidOperation::LockedFee),
            _ => {
                return Err(InvalidOperation::Locked {
                    until: sender.lock_until,
                });
            }
        }
    }
    let needed = action.amount().get().saturating_add(fee.get());
    let mut after = Leaf {
        nonce: Nonce(sender.nonce.0.saturating_add(1)),
        ..debited(sender, needed)?
    };
    let mut accesses = Accesses::new(view);
    match action {
        Action::ChangeKey { key } => after.key = *key,
        Action::Lock { until } => {
            after.lock_until = checked_lock(&sender, *until, threaded.height)?
        }
        Action::Transfer { .. } | Action::TransferToNew { .. } | Action::Withdraw { .. } => {}
    }
    accesses.write(transaction.from, Some(after));
    let mut withdrawal = None;
    match action {
        Action::Transfer { to, amount } => {
            let recipient = accesses
                .read(*to)
                .ok_or(InvalidOperation::RecipientMissing { index: *to })?;
            if recipient.token != sender.token {
                return Err(InvalidOperation::RecipientToken {
                    expected: sender.token,
                    actual: recipient.token,
                });
            }
            accesses.write(*to, Some(credited(recipient, *amount)?));
        }
        Action::TransferToNew {
            key,
            l1_owner,
            amount,
        } => {
            if *l1_owner == L1Address::ZERO {
                return Err(InvalidOperation::ZeroOwner);
            }
            let index = next_index(threaded).ok_or(InvalidOperation::TreeFull)?;
            accesses.write(
                index,
                Some(Leaf::new(*key, *l1_owner, sender.token, *amount)),
            );
        }
        Action::Withdraw { amount } => {
            accesses.keep(LeafIndex(0));
            withdrawal = Some(withdrawal_words(&sender, transaction.from, *amount));
        }
        Action::ChangeKey { .. } | Action::Lock { .. } => accesses.keep(LeafIndex(0)),
    }
    let burned = burn_of(fee);
    if fee == Amount::ZERO {
        if fee_leaf != 0 {
            return Err(InvalidOperation::FeeLeafSelector { selector: fee_leaf });
        }
    } else {
        let index = threaded
            .fee_leaves
            .get(fee_leaf)
            .ok_or(InvalidOperation::FeeLeafSelector { selector: fee_leaf })?;
        let leaf = accesses
            .read(index)
            .ok_or(InvalidOperation::FeeLeafMissing { index })?;
        if leaf.token != sender.token {
            return Err(InvalidOperation::FeeLeafToken {
                expected: sender.token,
                actual: leaf.token,
            });
        }
        let income = fee.checked_sub(burned).unwrap_or(Amount::ZERO); // burned <= fee
        accesses.write(index, Some(credited(leaf, income)?));
    }
    Ok(Executed {
        accesses: accesses.finish(),
        withdrawal,
        burned,
        applied: true,
    })
}

/// Takes the next leaf index; `None` if the tree is full.
pub(super) fn next_index(threaded: &mut Threaded) -> Option<LeafIndex> {
    if threaded.leaf_count >= LEAF_COUNT_MAX {
        return None;
    }
    let index = LeafIndex(u32::try_from(threaded.leaf_count).ok()?);
    threaded.leaf_count = threaded.leaf_count.saturating_add(1);
    Some(index)
}

/// `owner | token << 160 | leaf << 192`, then the amount.
pub(super) fn withdrawal_words(leaf: &Leaf, index: LeafIndex, amount: Amount) -> [Word; 2] {
    let mut first = WordWriter::default();
    first.put_address(&leaf.l1_owner);
    first.put(u128::from(leaf.token.0), 32);
    first.put(u128::from(index.0), 32);
    let mut second = WordWriter::default();
    second.put(amount.get(), 120);
    [first.finish(), second.finish()]
}

/// The leaf without `needed` base units, which may be more than any balance.
fn debited(leaf: Leaf, needed: u128) -> Result<Leaf, InvalidOperation> {
    let balance = Amount::new(needed)
        .and_then(|needed| leaf.balance.checked_sub(needed))
        .ok_or(InvalidOperation::InsufficientBalance {
            needed,
            available: leaf.balance,
        })?;
    Ok(Leaf { balance, ..leaf })
}

fn credited(leaf: Leaf, amount: Amount) -> Result<Leaf, InvalidOperation> {
    let balance = leaf
        .balance
        .checked_add(amount)
        .ok_or(InvalidOperation::BalanceOverflow)?;
    Ok(Leaf { balance, ..leaf })
}

fn checked_lock(leaf: &Leaf, until: Height, height: Height) -> Result<Height, InvalidOperation> {
    let max = Height(height.0.saturating_add(LOCK_HEIGHTS_MAX));
    if until <= leaf.lock_until {
        Err(InvalidOperation::LockNotRaised {
            current: leaf.lock_until,
        })
    } else if until > max {
        Err(InvalidOperation::LockTooFar { max })
    } else {
        Ok(until)
    }
}

fn collateral<V: LeafView>(view: &V, bid: &Bid) -> Result<(), InvalidOperation> {
    let leaf = view
        .leaf(bid.leaf)
        .ok_or(InvalidOperation::SenderMissing { index: bid.leaf })?;
    if leaf.key == LeafKey::from(bid.key) {
        Ok(())
    } else {
        Err(InvalidOperation::KeyMismatch { index: bid.leaf })
    }
}

/// Pays a bid of this height from its collateral to the first fee leaf.
pub(super) fn pay_bid<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    bid: &Bid,
) -> Result<Executed, InvalidOperation> {
    collateral(view, bid)?;
    if bid.height != threaded.height {
        return Err(InvalidOperation::BidHeight {
            bid: bid.height,
            height: threaded.height,
        });
    }
    move_bid(view, threaded, bid.leaf, bid.value)
}

/// The effects of a BidPay. One payment per height: a block holds at most one, and heights rise.
pub(super) fn move_bid<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    leaf: LeafIndex,
    value: Amount,
) -> Result<Executed, InvalidOperation> {
    let payer = view
        .leaf(leaf)
        .ok_or(InvalidOperation::SenderMissing { index: leaf })?;
    let after = debited(payer, value.get())?;
    let mut accesses = Accesses::new(view);
    accesses.write(leaf, Some(after));
    let index = threaded
        .fee_leaves
        .get(0)
        .ok_or(InvalidOperation::NoFeeLeaves)?;
    let proposer = accesses
        .read(index)
        .ok_or(InvalidOperation::FeeLeafMissing { index })?;
    if proposer.token != payer.token {
        return Err(InvalidOperation::FeeLeafToken {
            expected: payer.token,
            actual: proposer.token,
        });
    }
    accesses.write(index, Some(credited(proposer, value)?));
    threaded.last_bid_height = threaded.height;
    Ok(Executed {
        accesses: accesses.finish(),
        withdrawal: None,
        burned: Amount::ZERO,
        applied: true,
    })
}

/// Burns `min(balance, max(value, BID_FLOOR))` of a recent bid's collateral.
pub(super) fn burn_bid<V: LeafView>(
    view: &V,
    threaded: &mut Threaded,
    bid: &Bid,
) -> Result<Executed, InvalidOperation> {
    if threaded.group.is_open() {
        return Err(InvalidOperation::GroupOpen);
    }
    collateral(view, bid)?;
    let oldest = threaded.height.0.saturating_sub(BID_BURN_HEIGHTS_MAX);
    if !(oldest..=threaded.height.0).contains(&bid.height.0) {
        return Err(InvalidOperation::BidHeight {
            bid: bid.height,
            height: threaded.height,
        });
    }
    destroy_bid(view, bid.leaf, bid.value)
}

/// The effects of a BidBurn.
pub(super) fn destroy_bid<V: LeafView>(
    view: &V,
    leaf: LeafIndex,
    value: Amount,
) -> Result<Executed, InvalidOperation> {
    let payer = view
        .leaf(leaf)
        .ok_or(InvalidOperation::SenderMissing { index: leaf })?;
    let burned =
        Amount::new(value.get().max(BID_FLOOR).min(payer.balance.get())).unwrap_or(payer.balance);
    let balance = payer.balance.checked_sub(burned).unwrap_or(Amount::ZERO); // burned <= balance
    let mut accesses = Accesses::new(view);
    accesses.write(leaf, Some(Leaf { balance, ..payer }));
    Ok(Executed {
        accesses: accesses.finish(),
        withdrawal: None,
        burned,
        applied: true,
    })
}
