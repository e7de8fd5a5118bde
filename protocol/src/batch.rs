//! Batches: consecutive blocks cut into pairs of slots, and the rule that seals them (`protocol.md`, "Blocks,
//! batches, chunks" and "Data words").
//!
//! A pair is what one word of slots publishes. A non-empty block opens with a header before its first pair; a lone
//! slot is paired with a Noop. A chunk is a run of at most [`crate::params::CHUNK_PAIRS`] pairs, so blocks and
//! chunks start on a word. Sealing is a pure function of the blocks, not configuration.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    block::Block,
    codec::split_low,
    number::{Height, encode_amount, encode_fee},
    params::{
        BATCH_ABSORPTIONS_MAX, BATCH_AGE_MS_MAX, INBOX_PER_BATCH_MAX, WITHDRAWALS_PER_BATCH_MAX,
    },
    threaded::FeeLeaves,
    transaction::{Action, Domain, OperationKind},
    transition::{Executed, Header, Operation},
    words::{Group, Sequence, Word, WordWriter},
};

/// Two slots, and the header of the block they open.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Pair {
    /// Present in a block's first pair.
    pub header: Option<Header>,
    /// First slot is never a Noop; the second is one if the block has an odd number of operations.
    pub slots: [Operation; 2],
}

/// Groups one pair may absorb: header and slots, then two for each slot.
pub const PAIR_GROUPS: usize = 5;

/// The pairs of a block; none if it is empty. `previous` is what the batch's last published block left behind:
/// height, and its fee leaves ([`FeeLeaves::NONE`] at the start of a batch).
#[must_use]
pub fn pairs_of_block(block: &Block, previous: (Height, FeeLeaves), domain: &Domain) -> Vec<Pair> {
    let operations = block.operations(domain);
    let (height, fee_leaves) = previous;
    let mut header = Some(Header {
        height_delta: block.header.core.height.0.saturating_sub(height.0),
        fee_leaves: (block.header.core.fee_leaves != fee_leaves)
            .then_some(block.header.core.fee_leaves),
        bid: block.header.bid.is_some(),
    });
    operations
        .chunks(2)
        .map(|slots| Pair {
            header: header.take(),
            slots: [
                slots.first().copied().unwrap_or(Operation::Noop),
                slots.get(1).copied().unwrap_or(Operation::Noop),
            ],
        })
        .collect()
}

/// The words a pair publishes, in the places where they are absorbed.
///
/// Group 0: header word, second header word (a fourth fee leaf), word of the two slots. Groups 1, 2 for the first
/// slot and 3, 4 for the second: extension words (key x, key y, `x high 6 | y high 6 | field 160`) or inbox words
/// 0 to 3; then inbox word 4 and the two withdrawal words.
#[must_use]
pub fn pair_groups(pair: &Pair, executed: &[Executed; 2]) -> [Group; PAIR_GROUPS] {
    let ops = |word: Word| Some((Sequence::Ops, word));
    let [first, second] = &pair.slots;
    let [header_one, header_two] = pair.header.as_ref().map_or([None, None], header_words);
    let slots = Word::from_slots(slot_bits(first), slot_bits(second));
    let [first_done, second_done] = executed;
    let [a, b] = slot_groups(first, first_done);
    let [c, d] = slot_groups(second, second_done);
    [
        [
            header_one.and_then(ops),
            header_two.and_then(ops),
            ops(slots),
            None,
        ],
        a,
        b,
        c,
        d,
    ]
}

fn slot_groups(operation: &Operation, executed: &Executed) -> [Group; 2] {
    let (first, fifth) = match operation {
        Operation::Inbox(item) => {
            let [a, b, c, d, e] = item.0.map(|word| Some((Sequence::Inbox, word)));
            ([a, b, c, d], e)
        }
        _ => {
            let [a, b, c] =
                extension_words(operation).map(|word| word.map(|word| (Sequence::Ops, word)));
            ([a, b, c, None], None)
        }
    };
    let [owner, amount] = executed.withdrawal.map_or([None, None], |words| {
        words.map(|word| Some((Sequence::Withdrawals, word)))
    });
    [first, [fifth, owner, amount, None]]
}

/// Extension words of a slot: key x, key y, and `x high 6 | y high 6 | field 160`, the field being the new
/// l1_owner, lock_until or exact value.
fn extension_words(operation: &Operation) -> [Option<Word>; 3] {
    let third = |key_bits: (u64, u64), put: &dyn Fn(&mut WordWriter)| {
        let mut writer = WordWriter::default();
        writer.put(u128::from(key_bits.0), 6);
        writer.put(u128::from(key_bits.1), 6);
        put(&mut writer);
        Some(writer.finish())
    };
    match operation {
        Operation::Noop | Operation::Inbox(_) => [None; 3],
        Operation::BidPay(bid) | Operation::BidBurn(bid) => [
            None,
            None,
            third((0, 0), &|writer| writer.put(bid.value.get(), 120)),
        ],
        Operation::Signed { transaction, .. } => match transaction.transaction.action {
            Action::Transfer { .. } | Action::Withdraw { .. } => [None; 3],
            Action::Lock { until } => [
                None,
                None,
                third((0, 0), &|writer| writer.put(u128::from(until.0), 64)),
            ],
            Action::TransferToNew { key, .. } | Action::ChangeKey { key } => {
                let ((x, x_high), (y, y_high)) = (split_low(&key.x, 248), split_low(&key.y, 248));
                let owner = match transaction.transaction.action {
                    Action::TransferToNew { l1_owner, .. } => Some(l1_owner),
                    _ => None,
                };
                let last = third((x_high, y_high), &|writer| {
                    if let Some(owner) = &owner {
                        writer.put_address(owner);
                    }
                });
                [
                    Some(Word::from_integer(&x)),
                    Some(Word::from_integer(&y)),
                    last,
                ]
            }
        },
    }
}

/// The 124 bits of a slot, low bits first: type 4, from 32, to 32, amount 35, fee 13, nonce low 4, fee leaf 2,
/// in_group 1, last 1. Inbox slots and Noops carry nothing beside the type; bids carry type and leaf.
#[must_use]
pub fn slot_bits(operation: &Operation) -> u128 {
    let kind = u128::from(operation.kind().number());
    match operation {
        Operation::Noop | Operation::Inbox(_) => kind,
        Operation::BidPay(bid) | Operation::BidBurn(bid) => kind | (u128::from(bid.leaf.0) << 4),
        Operation::Signed {
            transaction,
            fee_leaf,
            group,
        } => {
            let transaction = &transaction.transaction;
            let amount = match transaction.action {
                Action::Transfer { amount, .. } | Action::TransferToNew { amount, .. } => {
                    encode_amount(amount)
                }
                _ => None,
            };
            kind | (u128::from(transaction.from.0) << 4)
                | (u128::from(transaction.action.to().0) << 36)
                | (u128::from(amount.unwrap_or(0)) << 68)
                | (u128::from(encode_fee(transaction.fee).unwrap_or(0)) << 103)
                | (u128::from(transaction.nonce.0 & 15) << 116)
                | (u128::from(fee_leaf & 3) << 120)
                | (u128::from(group.is_some()) << 122)
                | (u128::from(group.is_some_and(|group| group.last)) << 123)
        }
    }
}

/// `Block` slot {type 4, height delta 40, number of fee leaves 3, bid flag 1} and the first three fee leaves; a
/// fourth stands in a second word.
fn header_words(header: &Header) -> [Option<Word>; 2] {
    let (count, places) = header
        .fee_leaves
        .map_or((0, FeeLeaves::NONE.places()), |leaves| {
            (leaves.count(), leaves.places())
        });
    let slot = u128::from(OperationKind::Block.number())
        | (u128::from(header.height_delta) << 4)
        | (u128::from(count) << 44)
        | (u128::from(header.bid) << 47);
    let [a, b, c, d] = places.map(|leaf| u128::from(leaf.0));
    let first = Word::from_slots(slot, a | (b << 32) | (c << 64));
    [Some(first), (count > 3).then(|| Word::from_slots(d, 0))]
}

/// Resources of a run of blocks, as the seal rule and builders meter them: upper bounds that follow from the
/// operations alone, so nothing ordered can fail to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Usage {
    /// Groups absorbed.
    pub absorptions: u64,
    /// Withdrawals made.
    pub withdrawals: u64,
    /// Inbox items consumed.
    pub inbox: u64,
    /// Operation slots, without padding.
    pub operations: u64,
}

impl Usage {
    /// Adds one operation; a pair's own group is counted with every first slot.
    #[must_use]
    pub fn with(self, operation: &Operation) -> Self {
        let is_first = self.operations.is_multiple_of(2);
        let is_inbox = matches!(operation, Operation::Inbox(_));
        let own = match operation.kind() {
            OperationKind::Noop | OperationKind::Block | OperationKind::Transfer => 0,
            OperationKind::Inbox => 2,
            _ => 1,
        };
        let may_withdraw = is_inbox || operation.kind() == OperationKind::Withdraw;
        Self {
            absorptions: self.absorptions + own + u64::from(is_first),
            withdrawals: self.withdrawals + u64::from(may_withdraw),
            inbox: self.inbox + u64::from(is_inbox),
            operations: self.operations + 1,
        }
    }

    /// Usage of a whole block: it starts on a word.
    #[must_use]
    pub fn of(operations: &[Operation]) -> Self {
        operations.iter().fold(Self::default(), Self::with)
    }

    /// Whether a batch with this usage fits.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.absorptions <= BATCH_ABSORPTIONS_MAX
            && self.withdrawals <= WITHDRAWALS_PER_BATCH_MAX
            && self.inbox <= INBOX_PER_BATCH_MAX
    }

    /// Usage of two runs, each starting on a word.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            absorptions: self.absorptions + other.absorptions,
            withdrawals: self.withdrawals + other.withdrawals,
            inbox: self.inbox + other.inbox,
            operations: self.operations.next_multiple_of(2) + other.operations,
        }
    }
}

/// A batch that is still open: which blocks it has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OpenBatch {
    /// Timestamp of its first non-empty block.
    pub first_timestamp_ms: Option<u64>,
    /// Resources taken.
    pub usage: Usage,
}

impl OpenBatch {
    /// Whether the batch seals before a block with this usage and timestamp: it does not fit, or the batch is old.
    #[must_use]
    pub fn seals_before(&self, usage: &Usage, timestamp_ms: u64) -> bool {
        let Some(first) = self.first_timestamp_ms else {
            return false;
        };
        !self.usage.join(*usage).fits() || timestamp_ms.saturating_sub(first) >= BATCH_AGE_MS_MAX
    }

    /// Takes a block.
    pub fn take(&mut self, usage: &Usage, timestamp_ms: u64) {
        if usage.operations == 0 {
            return;
        }
        self.first_timestamp_ms.get_or_insert(timestamp_ms);
        self.usage = self.usage.join(*usage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inbox::InboxItem,
        number::{LeafIndex, Nonce},
        params::ITEM_WORDS,
        testing::{amount, secret_key},
        transaction::{Bid, SignedTransaction, Transaction},
        transition::Membership,
    };

    fn operation(action: Action, group: Option<Membership>) -> Operation {
        let key = secret_key(1);
        Operation::Signed {
            transaction: SignedTransaction {
                transaction: Transaction {
                    from: LeafIndex(0x89ab_cdef),
                    nonce: Nonce(0x35),
                    valid_until: Height(u64::MAX),
                    fee: amount(2_550),
                    action,
                },
                key: key.public(),
                signature: key.sign(&crate::Fr::from(1_u64)),
            },
            fee_leaf: 2,
            group,
        }
    }

    /// The layout of `protocol.md`, "Data words", field by field.
    #[test]
    fn slots_hold_124_bits_in_the_documented_places() {
        let transfer = Action::Transfer {
            to: LeafIndex(0x0123_4567),
            amount: amount((1 << 29) * 1_000), // 2^29, exponent 3
        };
        let (amount_float, fee_float) = (
            u128::from(encode_amount(transfer.amount()).unwrap()),
            u128::from(encode_fee(amount(2_550)).unwrap()),
        );
        assert_eq!(fee_float, 255 << 5 | 1);
        let base = 1
            | 0x89ab_cdef << 4
            | 0x0123_4567 << 36
            | amount_float << 68
            | fee_float << 103
            | 5 << 116
            | 2 << 120;
        assert_eq!(slot_bits(&operation(transfer, None)), base);
        let member = |last| Membership {
            hash: crate::Fr::from(7_u64),
            last,
        };
        let in_group = |last| slot_bits(&operation(transfer, Some(member(last))));
        assert_eq!(in_group(false), base | 1 << 122);
        assert_eq!(in_group(true), base | 1 << 122 | 1 << 123);
        // exact amounts are elsewhere: in the withdrawal words, or in an extension word
        let withdraw = slot_bits(&operation(Action::Withdraw { amount: amount(77) }, None));
        assert_eq!((withdraw & 15, withdraw >> 36 & ((1 << 67) - 1)), (3, 0));
        let key = secret_key(1);
        let bid = Bid {
            leaf: LeafIndex(u32::MAX),
            height: Height(5),
            value: amount(9),
            core_hash: crate::Fr::from(1_u64),
            key: key.public(),
            signature: key.sign(&crate::Fr::from(1_u64)),
        };
        assert_eq!(slot_bits(&Operation::BidPay(bid)), 6 | 0xffff_ffff << 4);
        assert_eq!(slot_bits(&Operation::BidBurn(bid)), 7 | 0xffff_ffff << 4);
        let item = InboxItem([Word([0xff; 31]); ITEM_WORDS]);
        assert_eq!(slot_bits(&Operation::Inbox(item)), 8);
        assert_eq!(slot_bits(&Operation::Noop), 0);
    }

    #[test]
    fn the_worst_inbox_mix_fits_one_batch_alone() {
        let item = Operation::Inbox(InboxItem([Word([0xff; 31]); ITEM_WORDS]));
        let operations = vec![item; usize::try_from(INBOX_PER_BATCH_MAX).unwrap()];
        assert!(Usage::of(&operations).fits());
        assert!(!Usage::of(&[operations, vec![item]].concat()).fits());
    }

    #[test]
    fn batches_seal_by_age_and_by_capacity_but_never_empty() {
        let mut batch = OpenBatch::default();
        let one = Usage {
            absorptions: BATCH_ABSORPTIONS_MAX,
            operations: 2,
            ..Usage::default()
        };
        assert!(!batch.seals_before(&one, u64::MAX));
        batch.take(&Usage::default(), 5);
        assert_eq!(batch, OpenBatch::default());
        batch.take(&one, 100);
        assert!(batch.seals_before(&one, 101));
        assert!(!batch.seals_before(&Usage::default(), 100 + BATCH_AGE_MS_MAX - 1));
        assert!(batch.seals_before(&Usage::default(), 100 + BATCH_AGE_MS_MAX));
    }
}
