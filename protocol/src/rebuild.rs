//! State from genesis and published words alone (`protocol.md`, "Data words"): what an auditor, a new node or a
//! user with no operator left runs. No signatures are needed: the batch's proof vouches for them.
//!
//! A decoder refuses what no honest batch publishes: unknown types, set spare bits, non-canonical keys, amounts of
//! 2^120 or more, nonce bits that are not the leaf's, groups that do not close inside their block, an announced bid
//! that does not come, missing or trailing words. It takes any float that decodes, as the circuit does.

use crate::{
    account::{L1Address, LeafKey},
    inbox::{InboxItem, join},
    number::{Amount, Height, LeafIndex, decode_amount, decode_fee},
    params::{FEE_LEAVES_MAX, GROUP_MEMBERS_MAX, GROUP_MEMBERS_MIN, ITEM_WORDS},
    state::{LeafView, State},
    threaded::{FeeLeaves, OpenGroup, Phase, Threaded},
    transaction::{Action, OperationKind},
    transition::{Header, InvalidOperation, open_block, replay},
    words::{Word, WordReader, Words},
};
use std::collections::BTreeMap;

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

struct Cursor<'a> {
    words: &'a [Word],
    place: usize,
    name: &'static str,
}

impl<'a> Cursor<'a> {
    fn new(words: &'a [Word], name: &'static str) -> Self {
        Self {
            words,
            place: 0,
            name,
        }
    }

    fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.place)
    }

    fn next(&mut self) -> Result<&'a Word, RebuildError> {
        let word = self
            .words
            .get(self.place)
            .ok_or(RebuildError::Short(self.name))?;
        self.place += 1;
        Ok(word)
    }

    fn finish(&self) -> Result<(), RebuildError> {
        if self.place == self.words.len() {
            Ok(())
        } else {
            Err(RebuildError::Trailing(self.name))
        }
    }
}

/// One slot as read, before its extension words.
struct Slot {
    kind: OperationKind,
    from: LeafIndex,
    to: LeafIndex,
    amount: Amount,
    fee: Amount,
    nonce_low: u64,
    fee_leaf: u8,
    in_group: bool,
    last: bool,
}

fn read_slot(bits: u128) -> Result<Slot, &'static str> {
    let field = |shift: u32, width: u32| {
        u64::try_from((bits >> shift) & ((1 << width) - 1)).unwrap_or(u64::MAX)
    };
    let narrow = |value: u64| u32::try_from(value).map(LeafIndex).map_err(|_| "index");
    let kind = u8::try_from(field(0, 4))
        .ok()
        .and_then(OperationKind::from_number)
        .ok_or("unknown type")?;
    let slot = Slot {
        kind,
        from: narrow(field(4, 32))?,
        to: narrow(field(36, 32))?,
        amount: decode_amount(field(68, 35)).ok_or("amount of 2^120 or more")?,
        fee: decode_fee(field(103, 13)).ok_or("fee")?,
        nonce_low: field(116, 4),
        fee_leaf: u8::try_from(field(120, 2)).unwrap_or(0),
        in_group: field(122, 1) == 1,
        last: field(123, 1) == 1,
    };
    let used: u128 = match kind {
        OperationKind::Noop | OperationKind::Inbox => 15,
        OperationKind::BidPay | OperationKind::BidBurn => (1 << 36) - 1,
        OperationKind::Block => return Err("a block may open only on a word"),
        OperationKind::Transfer => u128::MAX,
        OperationKind::TransferToNew => !(0xffff_ffff << 36),
        OperationKind::Withdraw | OperationKind::ChangeKey | OperationKind::Lock => {
            !(((1 << 67) - 1) << 36)
        }
    };
    if bits & !used != 0 {
        Err("a field that must be zero is set")
    } else if slot.last && !slot.in_group {
        Err("the last member of no group")
    } else {
        Ok(slot)
    }
}

/// Reads one batch's words on top of a state.
struct Rebuilder<'a> {
    state: State,
    threaded: Threaded,
    ops: Cursor<'a>,
    withdrawals: Cursor<'a>,
    inbox: Cursor<'a>,
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
        ops: Cursor::new(&words.ops, "ops"),
        withdrawals: Cursor::new(&words.withdrawals, "withdrawals"),
        inbox: Cursor::new(&words.inbox, "inbox"),
    };
    while rebuilder.ops.peek().is_some() {
        rebuilder.pair()?;
    }
    rebuilder.ops.finish()?;
    rebuilder.withdrawals.finish()?;
    rebuilder.inbox.finish()?;
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
    fn malformed(&self, reason: &'static str) -> RebuildError {
        RebuildError::Malformed {
            place: self.ops.place.saturating_sub(1),
            reason,
        }
    }

    fn invalid(&self, reason: InvalidOperation) -> RebuildError {
        RebuildError::Invalid {
            place: self.ops.place.saturating_sub(1),
            reason,
        }
    }

    fn pair(&mut self) -> Result<(), RebuildError> {
        let mut word = self.ops.next()?;
        if let Some(header) = self.header(word)? {
            open_block(&mut self.threaded, &header).map_err(|reason| self.invalid(reason))?;
            word = self.ops.next()?;
        }
        let [first, second] = word.slots();
        let first = read_slot(first).map_err(|reason| self.malformed(reason))?;
        let second = read_slot(second).map_err(|reason| self.malformed(reason))?;
        if first.kind == OperationKind::Noop {
            return Err(self.malformed("the first slot of a pair is never empty"));
        }
        self.slot(&first)?;
        self.slot(&second)
    }

    /// The header that starts at `word`, if it is one.
    fn header(&mut self, word: &Word) -> Result<Option<Header>, RebuildError> {
        let [slot, leaves] = word.slots();
        if slot & 15 != u128::from(OperationKind::Block.number()) {
            return Ok(None);
        }
        let height_delta = u64::try_from((slot >> 4) & ((1 << 40) - 1)).unwrap_or(0);
        let count = usize::try_from((slot >> 44) & 7).unwrap_or(usize::MAX);
        if slot >> 48 != 0 || count > FEE_LEAVES_MAX {
            return Err(self.malformed("block header"));
        }
        let narrow = |value: u128| LeafIndex(u32::try_from(value & 0xffff_ffff).unwrap_or(0));
        let mut named = vec![narrow(leaves), narrow(leaves >> 32), narrow(leaves >> 64)];
        let mut spare = leaves >> 96;
        if count > 3 {
            let [fourth, rest] = self.ops.next()?.slots();
            named.push(narrow(fourth));
            spare |= (fourth >> 32) | rest;
        }
        let beyond = named.split_off(count.min(named.len()));
        if spare != 0 || beyond.iter().any(|leaf| leaf.0 != 0) {
            return Err(self.malformed("fee leaves"));
        }
        Ok(Some(Header {
            height_delta,
            fee_leaves: FeeLeaves::new(&named),
            bid: (slot >> 47) & 1 == 1,
        }))
    }

    fn slot(&mut self, slot: &Slot) -> Result<(), RebuildError> {
        let operation = self.operation(slot)?;
        let place = self.ops.place.saturating_sub(1);
        if let PublishedOperation::Signed { from, .. } = operation {
            self.member(slot)?;
            let nonce = self.state.leaf(from).map(|leaf| leaf.nonce.0 & 15);
            if nonce.is_some_and(|nonce| nonce != slot.nonce_low) {
                return Err(self.malformed("nonce bits are not the leaf's"));
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

    fn operation(&mut self, slot: &Slot) -> Result<PublishedOperation, RebuildError> {
        let action = match slot.kind {
            OperationKind::Noop => return Ok(PublishedOperation::Noop),
            OperationKind::Inbox => return Ok(PublishedOperation::Inbox(self.item()?)),
            OperationKind::BidPay => {
                return Ok(PublishedOperation::BidPay {
                    leaf: slot.from,
                    value: self.exact()?,
                });
            }
            OperationKind::BidBurn => {
                return Ok(PublishedOperation::BidBurn {
                    leaf: slot.from,
                    value: self.exact()?,
                });
            }
            OperationKind::Block => return Err(self.malformed("a block may open only on a word")),
            OperationKind::Transfer => Action::Transfer {
                to: slot.to,
                amount: slot.amount,
            },
            OperationKind::TransferToNew => {
                let (key, l1_owner) = self.key(true)?;
                Action::TransferToNew {
                    key,
                    l1_owner,
                    amount: slot.amount,
                }
            }
            OperationKind::Withdraw => Action::Withdraw {
                amount: self.withdrawn()?,
            },
            OperationKind::ChangeKey => Action::ChangeKey {
                key: self.key(false)?.0,
            },
            OperationKind::Lock => {
                let until = self.field(64)?;
                Action::Lock {
                    until: Height(u64::try_from(until).unwrap_or(u64::MAX)),
                }
            }
        };
        Ok(PublishedOperation::Signed {
            from: slot.from,
            fee: slot.fee,
            action,
            fee_leaf: slot.fee_leaf,
        })
    }

    fn item(&mut self) -> Result<InboxItem, RebuildError> {
        let mut words = [Word::default(); ITEM_WORDS];
        for word in &mut words {
            *word = *self.inbox.next()?;
        }
        Ok(InboxItem(words))
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
            Err(self.malformed("withdrawn amount"))
        }
    }

    fn exact(&mut self) -> Result<Amount, RebuildError> {
        let value = self.field(120)?;
        Amount::new(value).ok_or(self.malformed("value"))
    }

    /// An extension word without key bits: its field of `bits` bits.
    fn field(&mut self, bits: u32) -> Result<u128, RebuildError> {
        let mut reader = WordReader::new(self.ops.next()?);
        let key_bits = reader.take_u64(12);
        let value = reader.take_u128(bits);
        if key_bits == 0 && reader.is_empty() {
            Ok(value)
        } else {
            Err(self.malformed("extension word"))
        }
    }

    fn key(&mut self, with_owner: bool) -> Result<(LeafKey, L1Address), RebuildError> {
        let (x, y) = (*self.ops.next()?, *self.ops.next()?);
        let mut reader = WordReader::new(self.ops.next()?);
        let (x_high, y_high) = (reader.take_u64(6), reader.take_u64(6));
        let owner = if with_owner {
            reader.take_address()
        } else {
            L1Address::ZERO
        };
        match (join(&x, x_high), join(&y, y_high), reader.is_empty()) {
            (Some(x), Some(y), true) => Ok((LeafKey { x, y }, owner)),
            _ => Err(self.malformed("key")),
        }
    }
}

#[cfg(test)]
mod tests;
