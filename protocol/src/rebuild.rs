//! State from genesis and published words alone (`protocol.md`, "Data words"): what an auditor, a new node or a
//! user with no operator left runs. No signatures are needed: the batch's proof vouches for them.
//!
//! A decoder refuses what no honest batch publishes: unknown types, set spare bits, non-canonical keys, amounts of
//! 2^120 or more, nonce bits that are not the leaf's, groups that do not close inside their block, an announced bid
//! that does not come, missing or trailing words. It takes any float that decodes, as the circuit does.

mod reading;

use std::collections::BTreeMap;

use crate::{
    inbox::InboxItem,
    number::{Amount, Height, LeafIndex},
    params::{GROUP_MEMBERS_MAX, GROUP_MEMBERS_MIN},
    state::{LeafView, State},
    threaded::{OpenGroup, Phase, Threaded},
    transaction::{Action, OperationKind},
    transition::{InvalidOperation, open_block, replay},
    words::{WordReader, Words},
};
use reading::{Cursor, Reader, Slot};

pub use reading::{PublishedError, published, published_at};

/// An operation as words carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishedOperation {
    /// Nothing.
    Noop,
    /// What a signed operation does; key, signature, nonce and expiry are not published.
    Signed {
        /// Leaf that paid.
        from: LeafIndex,
        /// Fee paid.
        fee: Amount,
        /// What it did.
        action: Action,
        /// Selector among the block's fee leaves.
        fee_leaf: u8,
    },
    /// Payment of a bid.
    BidPay {
        /// Collateral leaf.
        leaf: LeafIndex,
        /// Base units.
        value: Amount,
    },
    /// Burn of a bid's collateral.
    BidBurn {
        /// Collateral leaf.
        leaf: LeafIndex,
        /// The bid's value.
        value: Amount,
    },
    /// An inbox item.
    Inbox(InboxItem),
}

/// Why words do not rebuild a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// A sequence ends too early.
    #[error("the {0} sequence ends too early")]
    Short(&'static str),
    /// A sequence has words that nothing refers to.
    #[error("the {0} sequence has words left over")]
    Trailing(&'static str),
    /// A word holds what no honest batch publishes.
    #[error("ops word {place}: {reason}")]
    Malformed {
        /// Place in the ops sequence.
        place: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// An operation breaks a rule.
    #[error("ops word {place}: {reason}")]
    Invalid {
        /// Place in the ops sequence.
        place: usize,
        /// The rule.
        reason: InvalidOperation,
    },
    /// The withdrawal words are not those the operation makes.
    #[error("ops word {place}: withdrawal words differ from the operation's")]
    Withdrawal {
        /// Place in the ops sequence.
        place: usize,
    },
}

/// Reads one batch's words on top of a state.
struct Rebuilder<'a> {
    state: State,
    threaded: Threaded,
    words: Reader<'a>,
    withdrawals: Cursor<'a>,
}

/// State and counters after a batch: `(state, height, inbox_count)`.
pub type Rebuilt = (State, Height, u64);

/// Applies the words of one batch to the state before it.
///
/// # Errors
/// Why the words are not those of a valid batch on this state.
pub fn apply_words(before: Rebuilt, words: &Words) -> Result<Rebuilt, RebuildError> {
    let (state, height, inbox_count) = before;
    let mut rebuilder = Rebuilder {
        threaded: Threaded::batch_start(state.root(), state.leaf_count(), height, inbox_count),
        state,
        words: Reader::new(words),
        withdrawals: Cursor::new(&words.withdrawals, "withdrawals"),
    };
    while let Some((header, slots)) = rebuilder.words.pair()? {
        if let Some(header) = header {
            let opened = open_block(&mut rebuilder.threaded, &header);
            opened.map_err(|reason| rebuilder.invalid(reason))?;
        }
        for slot in &slots {
            rebuilder.slot(slot)?;
        }
    }
    rebuilder.words.finish()?;
    rebuilder.withdrawals.finish()?;
    if rebuilder.threaded.group.is_open() {
        return Err(rebuilder.invalid(InvalidOperation::GroupOpen));
    }
    if rebuilder.threaded.phase == Phase::BidPending {
        return Err(rebuilder.invalid(InvalidOperation::BidMissing));
    }
    Ok((
        rebuilder.state,
        rebuilder.threaded.height,
        rebuilder.threaded.inbox_count,
    ))
}

impl Rebuilder<'_> {
    fn invalid(&self, reason: InvalidOperation) -> RebuildError {
        RebuildError::Invalid {
            place: self.words.ops.place.saturating_sub(1),
            reason,
        }
    }

    fn slot(&mut self, slot: &Slot) -> Result<(), RebuildError> {
        let withdrawn = match slot.kind {
            OperationKind::Withdraw => self.withdrawn()?,
            _ => Amount::ZERO,
        };
        let operation = self.words.operation(slot, withdrawn)?;
        let place = self.words.ops.place.saturating_sub(1);
        if let PublishedOperation::Signed { from, .. } = operation {
            self.member(slot)?;
            let nonce = self.state.leaf(from).map(|leaf| leaf.nonce.0 & 15);
            if nonce.is_some_and(|nonce| nonce != slot.nonce_low) {
                return Err(self.words.malformed("nonce bits are not the leaf's"));
            }
        }
        let executed = replay(&self.state, &mut self.threaded, &operation)
            .map_err(|reason| self.invalid(reason))?;
        if let Some(expected) = executed.withdrawal {
            for word in expected {
                if *self.withdrawals.next()? != word {
                    return Err(RebuildError::Withdrawal { place });
                }
            }
        }
        let mut changes = BTreeMap::new();
        for access in executed.accesses {
            if let (Some(after), true) = (access.after, access.before != access.after) {
                changes.insert(access.index, after);
            }
        }
        self.state.commit(&changes);
        Ok(())
    }

    /// Follows the group flags of a signed operation. Words do not carry G, so only members are counted.
    fn member(&mut self, slot: &Slot) -> Result<(), RebuildError> {
        let open = self.threaded.group;
        if !slot.in_group {
            return if open.is_open() {
                Err(self.invalid(InvalidOperation::GroupOpen))
            } else {
                Ok(())
            };
        }
        let members = open.members.saturating_add(1);
        if members > GROUP_MEMBERS_MAX || (slot.last && members < GROUP_MEMBERS_MIN) {
            return Err(self.invalid(InvalidOperation::GroupMismatch));
        }
        self.threaded.group = if slot.last {
            OpenGroup::NONE
        } else {
            OpenGroup { members, ..open }
        };
        Ok(())
    }

    /// The amount of the next withdrawal: signed withdrawals publish it there and nowhere else.
    fn withdrawn(&mut self) -> Result<Amount, RebuildError> {
        let place = self.withdrawals.place.saturating_add(1);
        let word = self
            .withdrawals
            .words
            .get(place)
            .ok_or(RebuildError::Short("withdrawals"))?;
        let mut reader = WordReader::new(word);
        let amount = Amount::new(reader.take_u128(120)).unwrap_or(Amount::ZERO);
        if reader.is_empty() {
            Ok(amount)
        } else {
            Err(self.words.malformed("withdrawn amount"))
        }
    }
}

#[cfg(test)]
mod tests;
