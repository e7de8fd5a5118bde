//! Published words: 31 bytes each, three sequences, and the accumulator h over all of them (`protocol.md`, "Data
//! words").
//!
//! A word is a 248-bit integer; in bytes it is big-endian, as contracts read it. Fields are packed low bits first.
//!
//! **Accumulator.** `h <- Poseidon(h, t1, t2, t3, t4)` over `word + tag * 2^248` from the constant IV_DATA, tag 0
//! ops, 1 withdrawals, 2 inbox, 3 padding. Each pair of slots absorbs, in order, one group of four for its header
//! and slots and up to two for each slot's own words, filled with padding where a word is absent; a group without
//! any word is not absorbed (ADR 0003: padding is harmless, and fixed places make the circuit simple).

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::{L1Address, power_of_two, shifted},
    hash::{poseidon, tag},
};

/// Bytes of a word.
pub const WORD_BYTES: usize = 31;
/// Bits of a word.
pub const WORD_BITS: u32 = 248;
/// Bits of an operation slot; two make a word.
pub const SLOT_BITS: u32 = 124;

/// 31 bytes, big-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct Word(pub [u8; WORD_BYTES]);

impl Word {
    /// The word as a field element; it is always canonical.
    #[must_use]
    pub fn to_field(&self) -> Fr {
        Fr::from_be_bytes_mod_order(&self.0)
    }

    /// The low 248 bits of an integer.
    #[must_use]
    pub fn from_integer(integer: &BigInt<4>) -> Self {
        let mut bytes = [0; WORD_BYTES];
        for (target, byte) in bytes.iter_mut().rev().zip(integer.to_bytes_le()) {
            *target = byte;
        }
        Self(bytes)
    }

    /// The word of two 124-bit slots, the first in the low bits.
    #[must_use]
    pub fn from_slots(first: u128, second: u128) -> Self {
        let mut writer = WordWriter::default();
        writer.put(first, SLOT_BITS);
        writer.put(second, SLOT_BITS);
        writer.finish()
    }

    /// The two slots of this word.
    #[must_use]
    pub fn slots(&self) -> [u128; 2] {
        let mut reader = WordReader::new(self);
        [reader.take_u128(SLOT_BITS), reader.take_u128(SLOT_BITS)]
    }
}

/// Packs fields into a word, low bits first.
#[derive(Default)]
pub struct WordWriter {
    integer: BigInt<4>,
    bits: u32,
}

impl WordWriter {
    /// Appends the low `bits` bits of `value`.
    ///
    /// # Panics
    /// If the word would exceed 248 bits or `value` needs more than `bits`: layouts are fixed where they are
    /// written.
    pub fn put(&mut self, value: u128, bits: u32) {
        assert!(self.bits + bits <= WORD_BITS, "layouts fit a word");
        assert!(bits >= 128 || value >> bits == 0, "fields fit their bits");
        let mut field = Fr::from(value).into_bigint();
        field <<= self.bits;
        self.integer.add_with_carry(&field);
        self.bits += bits;
    }

    /// Appends a 160-bit address.
    pub fn put_address(&mut self, address: &L1Address) {
        let integer = address.to_field().into_bigint();
        let low = integer.0.first().copied().map_or(0, u128::from)
            | integer.0.get(1).copied().map_or(0, u128::from) << 64;
        self.put(low, 128);
        self.put(integer.0.get(2).copied().map_or(0, u128::from), 32);
    }

    /// The word.
    #[must_use]
    pub fn finish(self) -> Word {
        Word::from_integer(&self.integer)
    }
}

/// Unpacks fields of a word, low bits first; past the end it reads zeros.
pub struct WordReader {
    integer: BigInt<4>,
}

impl WordReader {
    /// Starts at the lowest bit.
    #[must_use]
    pub fn new(word: &Word) -> Self {
        Self {
            integer: word.to_field().into_bigint(),
        }
    }

    /// The next `bits` bits, at most 128.
    pub fn take_u128(&mut self, bits: u32) -> u128 {
        let low = self.integer.0.first().copied().map_or(0, u128::from)
            | self.integer.0.get(1).copied().map_or(0, u128::from) << 64;
        self.integer >>= bits;
        if bits >= 128 {
            low
        } else {
            low & ((1 << bits) - 1)
        }
    }

    /// The next `bits` bits, at most 64.
    pub fn take_u64(&mut self, bits: u32) -> u64 {
        u64::try_from(self.take_u128(bits.min(64))).unwrap_or(u64::MAX)
    }

    /// The next 32 bits.
    pub fn take_u32(&mut self) -> u32 {
        u32::try_from(self.take_u128(32)).unwrap_or(u32::MAX)
    }

    /// The next 160 bits.
    pub fn take_address(&mut self) -> L1Address {
        let (low, high) = (self.take_u128(128), self.take_u32());
        let mut bytes = [0; 20];
        let (head, tail) = bytes.split_at_mut(4);
        head.copy_from_slice(&high.to_be_bytes());
        tail.copy_from_slice(&low.to_be_bytes());
        L1Address(bytes)
    }

    /// Whether only zeros are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.integer.is_zero()
    }
}

/// Which sequence a word belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Sequence {
    /// Operation slots and their extension words.
    Ops,
    /// Two words per withdrawal.
    Withdrawals,
    /// Words of consumed inbox items.
    Inbox,
}

impl Sequence {
    /// The tag absorbed above the word.
    #[must_use]
    pub fn tag(self) -> u64 {
        match self {
            Self::Ops => 0,
            Self::Withdrawals => 1,
            Self::Inbox => 2,
        }
    }
}

/// Tag of a place without a word.
pub const PADDING_TAG: u64 = 3;

/// One absorbed place: a word of a sequence, or padding.
pub type Place = Option<(Sequence, Word)>;

/// Four places: what one permutation absorbs.
pub type Group = [Place; 4];

/// `word + tag * 2^248`, or `3 * 2^248` for padding.
#[must_use]
pub fn tagged(place: &Place) -> Fr {
    match place {
        Some((sequence, word)) => word.to_field() + shifted(u128::from(sequence.tag()), WORD_BITS),
        None => Fr::from(PADDING_TAG) * power_of_two(WORD_BITS),
    }
}

/// Named constant: the accumulator of a batch that has published nothing.
#[must_use]
pub fn iv_data() -> Fr {
    tag("QUORATE/protocol/data-iv/v1")
}

/// `Poseidon(h, t1, t2, t3, t4)`, or `h` if the group holds no word.
#[must_use]
pub fn absorb(h: &Fr, group: &Group) -> Fr {
    if group.iter().all(Option::is_none) {
        return *h;
    }
    let [a, b, c, d] = group;
    poseidon([*h, tagged(a), tagged(b), tagged(c), tagged(d)])
}

/// How many words each sequence has, and how many signed operations were executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct WordCounts {
    /// Words of ops.
    pub ops: u64,
    /// Words of withdrawals.
    pub withdrawals: u64,
    /// Words of inbox items.
    pub inbox: u64,
    /// Signed operations, bids included.
    pub signed_operations: u64,
}

impl WordCounts {
    /// `ops + 2^64 withdrawals + 2^128 inbox + 2^192 signed`; each count is far below 2^60.
    #[must_use]
    pub fn to_field(&self) -> Fr {
        Fr::from(self.ops)
            + shifted(u128::from(self.withdrawals), 64)
            + shifted(u128::from(self.inbox), 128)
            + shifted(u128::from(self.signed_operations), 192)
    }

    /// Counts the words of a group.
    pub fn count(&mut self, group: &Group) {
        for (sequence, _) in group.iter().flatten() {
            let count = match sequence {
                Sequence::Ops => &mut self.ops,
                Sequence::Withdrawals => &mut self.withdrawals,
                Sequence::Inbox => &mut self.inbox,
            };
            *count = count.saturating_add(1);
        }
    }
}

/// The three sequences of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Words {
    /// Operation slots and extension words.
    pub ops: Vec<Word>,
    /// Two words per withdrawal.
    pub withdrawals: Vec<Word>,
    /// Words of consumed inbox items.
    pub inbox: Vec<Word>,
}

impl Words {
    /// Appends the words of a group.
    pub fn extend(&mut self, group: &Group) {
        for (sequence, word) in group.iter().flatten() {
            match sequence {
                Sequence::Ops => self.ops.push(*word),
                Sequence::Withdrawals => self.withdrawals.push(*word),
                Sequence::Inbox => self.inbox.push(*word),
            }
        }
    }

    /// Published bytes: 31 a word.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        (self.ops.len() + self.withdrawals.len() + self.inbox.len()) * WORD_BYTES
    }
}

/// The bytes of a sequence: its words one after the other.
#[must_use]
pub fn sequence_bytes(words: &[Word]) -> Vec<u8> {
    words.iter().flat_map(|word| word.0).collect()
}

/// `y <- y z + w`, first word highest.
#[must_use]
pub fn evaluate(words: &[Word], z: &Fr) -> Fr {
    words
        .iter()
        .fold(Fr::from(0_u64), |y, word| y * z + word.to_field())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packing_round_trips(a in 0_u128..1 << 124, b in 0_u128..1 << 124, bytes: [u8; 20]) {
            prop_assert_eq!(Word::from_slots(a, b).slots(), [a, b]);
            let mut writer = WordWriter::default();
            writer.put(5, 4);
            writer.put_address(&L1Address(bytes));
            writer.put(77, 84);
            let word = writer.finish();
            let mut reader = WordReader::new(&word);
            prop_assert_eq!(reader.take_u64(4), 5);
            prop_assert_eq!(reader.take_address(), L1Address(bytes));
            prop_assert_eq!(reader.take_u64(60), 77);
            prop_assert!(reader.is_empty());
        }
    }

    #[test]
    fn leading_zero_words_evaluate_alike_but_count_differently() {
        let z = Fr::from(12_345_u64);
        let (zero, five) = (Word::default(), Word::from_slots(5, 0));
        assert_eq!(evaluate(&[five], &z), evaluate(&[zero, five], &z));
        let mut counts = WordCounts::default();
        counts.count(&[Some((Sequence::Ops, five)), None, None, None]);
        let short = counts;
        counts.count(&[Some((Sequence::Ops, zero)), None, None, None]);
        assert_ne!(short.to_field(), counts.to_field());
    }

    #[test]
    fn a_group_without_words_absorbs_nothing_and_tags_separate() {
        let h = iv_data();
        assert_eq!(absorb(&h, &[None; 4]), h);
        let word = Word::from_slots(1, 2);
        let groups = [Sequence::Ops, Sequence::Withdrawals, Sequence::Inbox]
            .map(|sequence| absorb(&h, &[Some((sequence, word)), None, None, None]));
        assert_ne!(groups[0], groups[1]);
        assert_ne!(groups[1], groups[2]);
        assert_ne!(
            absorb(
                &h,
                &[Some((Sequence::Ops, Word::default())), None, None, None]
            ),
            h
        );
    }
}
