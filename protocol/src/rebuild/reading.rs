//! Reading words without a state: slots, headers, extension words and inbox items.
//!
//! Invariant: what is read has the one spelling that an honest batch publishes; whether it executes is for
//! [`super::apply_words`]. A withdrawal's amount stands in the withdrawals sequence, whose place only the state before tells
//! (a forced exit may make one or not), so whoever reads says it.

use super::{PublishedOperation, RebuildError};
use crate::{
    account::{L1Address, LeafKey},
    inbox::{InboxItem, join},
    number::{Amount, Height, LeafIndex, decode_amount, decode_fee},
    params::{FEE_LEAVES_MAX, ITEM_WORDS},
    threaded::FeeLeaves,
    transaction::{Action, OperationKind},
    transition::Header,
    words::{Word, WordReader, Words},
};

/// A place in one sequence.
pub(super) struct Cursor<'a> {
    pub(super) words: &'a [Word],
    pub(super) place: usize,
    name: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(words: &'a [Word], name: &'static str) -> Self {
        Self {
            words,
            place: 0,
            name,
        }
    }

    fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.place)
    }

    pub(super) fn next(&mut self) -> Result<&'a Word, RebuildError> {
        let word = self
            .words
            .get(self.place)
            .ok_or(RebuildError::Short(self.name))?;
        self.place += 1;
        Ok(word)
    }

    pub(super) fn finish(&self) -> Result<(), RebuildError> {
        if self.place == self.words.len() {
            Ok(())
        } else {
            Err(RebuildError::Trailing(self.name))
        }
    }
}

/// One slot as read, before its extension words.
pub(super) struct Slot {
    pub(super) kind: OperationKind,
    from: LeafIndex,
    to: LeafIndex,
    amount: Amount,
    fee: Amount,
    pub(super) nonce_low: u64,
    fee_leaf: u8,
    pub(super) in_group: bool,
    pub(super) last: bool,
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

/// The operations and inbox sequences, read together: an operation refers to the items that follow.
pub(super) struct Reader<'a> {
    pub(super) ops: Cursor<'a>,
    inbox: Cursor<'a>,
}

/// What stands at the next word: a block's header if one opens there, and a pair of slots.
pub(super) type Pair = (Option<Header>, [Slot; 2]);

impl<'a> Reader<'a> {
    pub(super) fn new(words: &'a Words) -> Self {
        Self {
            ops: Cursor::new(&words.ops, "ops"),
            inbox: Cursor::new(&words.inbox, "inbox"),
        }
    }

    /// The next pair; none at the end of the ops sequence. Its extension words come next, in the order of its slots.
    pub(super) fn pair(&mut self) -> Result<Option<Pair>, RebuildError> {
        if self.ops.peek().is_none() {
            return Ok(None);
        }
        let mut word = self.ops.next()?;
        let header = self.header(word)?;
        if header.is_some() {
            word = self.ops.next()?;
        }
        let [first, second] = word.slots();
        let first = read_slot(first).map_err(|reason| self.malformed(reason))?;
        let second = read_slot(second).map_err(|reason| self.malformed(reason))?;
        if first.kind == OperationKind::Noop {
            return Err(self.malformed("the first slot of a pair is never empty"));
        }
        Ok(Some((header, [first, second])))
    }

    /// Nothing is left over.
    pub(super) fn finish(&self) -> Result<(), RebuildError> {
        self.ops.finish()?;
        self.inbox.finish()
    }

    pub(super) fn malformed(&self, reason: &'static str) -> RebuildError {
        RebuildError::Malformed {
            place: self.ops.place.saturating_sub(1),
            reason,
        }
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

    /// The operation of a slot with its extension words; `withdrawn` is the amount if it is a withdrawal.
    pub(super) fn operation(
        &mut self,
        slot: &Slot,
        withdrawn: Amount,
    ) -> Result<PublishedOperation, RebuildError> {
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
            OperationKind::Withdraw => Action::Withdraw { amount: withdrawn },
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

/// Why no operation can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishedError {
    /// The words are not those of a batch.
    #[error(transparent)]
    Words(#[from] RebuildError),
    /// The batch has fewer slots.
    #[error("the batch has {slots} slots of operations, from 0: there is no slot {number}")]
    Beyond {
        /// Which was asked for.
        number: u64,
        /// How many there are.
        slots: u64,
    },
    /// A withdrawal in it does not say its amount.
    #[error("slot {0} withdraws: its amount stands in the withdrawal words, claim it from there")]
    Withdrawal(u64),
}

/// The operations that slots of a batch hold, in order; the second of a pair may be empty. Only structure is read: that they
/// execute, and that their payers signed them, is what the batch's proof says.
///
/// # Errors
/// [`PublishedError::Words`] for words that no honest batch publishes.
pub fn published(words: &Words) -> Result<Vec<PublishedOperation>, PublishedError> {
    let mut reader = Reader::new(words);
    let mut operations = Vec::with_capacity(words.ops.len().saturating_mul(2));
    while let Some((_, pair)) = reader.pair()? {
        for slot in &pair {
            operations.push(reader.operation(slot, Amount::ZERO)?);
        }
    }
    reader.finish()?;
    Ok(operations)
}

/// The operation at a slot of a batch, counted from 0, two to a pair.
///
/// # Errors
/// [`PublishedError`].
pub fn published_at(words: &Words, number: u64) -> Result<PublishedOperation, PublishedError> {
    let operations = published(words)?;
    let slots = u64::try_from(operations.len()).unwrap_or(u64::MAX);
    let place = usize::try_from(number).ok();
    let found = place.and_then(|place| operations.get(place));
    match found {
        None => Err(PublishedError::Beyond { number, slots }),
        Some(PublishedOperation::Signed {
            action: Action::Withdraw { .. },
            ..
        }) => Err(PublishedError::Withdrawal(number)),
        Some(operation) => Ok(*operation),
    }
}
