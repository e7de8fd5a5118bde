//! Withdrawals as the base layer keeps them: a keccak Merkle tree over one batch's withdrawal words (`protocol.md`,
//! "Commit and prove").
//!
//! `leaf = keccak256(0x00, batch number, index, words)` with 32 big-endian bytes for each number and 31 for each of the
//! two words; `node = keccak256(0x01, left, right)`. A level with an odd number of nodes is filled up with one zero word.
//! The root of one leaf is that leaf, of none zero. `contracts/src/WithdrawalTree.sol` is the same function, held equal
//! by `tests/vectors/settlement.json`. What this module does not do: know which batches are proven.

use crate::{
    account::L1Address,
    codec::abi_word,
    hash::keccak256,
    number::{Amount, BatchNumber, LeafIndex, TokenId},
    params::WITHDRAWAL_WORDS,
    words::{Word, WordReader},
};

/// What the two words of a withdrawal say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Who is paid on the base layer.
    pub owner: L1Address,
    /// What is paid.
    pub token: TokenId,
    /// The leaf that was debited, or that a deposit should have credited.
    pub leaf: LeafIndex,
    /// Base units.
    pub amount: Amount,
}

impl Withdrawal {
    /// Reads the words; `None` if spare bits are set, which no proven batch does.
    #[must_use]
    pub fn read(words: &[Word; WITHDRAWAL_WORDS]) -> Option<Self> {
        let [first, second] = words;
        let (mut first, mut second) = (WordReader::new(first), WordReader::new(second));
        let read = Self {
            owner: first.take_address(),
            token: TokenId(first.take_u32()),
            leaf: LeafIndex(first.take_u32()),
            amount: Amount::new(second.take_u128(120))?,
        };
        (first.is_empty() && second.is_empty()).then_some(read)
    }
}

/// Hash of withdrawal `index` (from 0) of a batch.
#[must_use]
pub fn withdrawal_leaf(
    batch: BatchNumber,
    index: u64,
    words: &[Word; WITHDRAWAL_WORDS],
) -> [u8; 32] {
    let mut bytes = vec![0x00];
    bytes.extend_from_slice(&abi_word(u128::from(batch.0)));
    bytes.extend_from_slice(&abi_word(u128::from(index)));
    bytes.extend(words.iter().flat_map(|word| word.0));
    keccak256(&bytes)
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut bytes = vec![0x01];
    bytes.extend_from_slice(left);
    bytes.extend_from_slice(right);
    keccak256(&bytes)
}

/// The tree of one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawalTree {
    /// Leaves first; the last level is the root alone, or empty.
    levels: Vec<Vec<[u8; 32]>>,
}

impl WithdrawalTree {
    /// The tree over a batch's withdrawal words; `None` if their number is odd.
    #[must_use]
    pub fn new(batch: BatchNumber, words: &[Word]) -> Option<Self> {
        let (pairs, rest) = words.as_chunks::<WITHDRAWAL_WORDS>();
        if !rest.is_empty() {
            return None;
        }
        let leaves = (0..).zip(pairs);
        let mut level: Vec<[u8; 32]> = leaves
            .map(|(index, words)| withdrawal_leaf(batch, index, words))
            .collect();
        let mut levels = vec![];
        while level.len() > 1 {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                [left] => node(left, &[0; 32]),
                _ => [0; 32], // chunks of two have one or two
            });
            let above = above.collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        levels.push(level);
        Some(Self { levels })
    }

    /// What the base layer stores of the batch.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or([0; 32])
    }

    /// The siblings of withdrawal `index` from the leaf up; `None` if there is no such withdrawal.
    #[must_use]
    pub fn path(&self, index: u64) -> Option<Vec<[u8; 32]>> {
        let mut place = usize::try_from(index).ok()?;
        let (leaves, mut path) = (self.levels.first()?, vec![]);
        leaves.get(place)?;
        for level in self.levels.iter().rev().skip(1).rev() {
            path.push(level.get(place ^ 1).copied().unwrap_or([0; 32]));
            place /= 2; // rounds down, to the parent
        }
        Some(path)
    }
}

/// The root that a path from `leaf` at `index` leads to.
#[must_use]
pub fn root_of_withdrawal(leaf: [u8; 32], index: u64, path: &[[u8; 32]]) -> [u8; 32] {
    let climb = |(place, at): (u64, [u8; 32]), sibling: &[u8; 32]| {
        let above = if place & 1 == 0 {
            node(&at, sibling)
        } else {
            node(sibling, &at)
        };
        (place >> 1, above)
    };
    path.iter().fold((index, leaf), climb).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::WordWriter;

    fn words(count: u64) -> Vec<Word> {
        let word = |number: u64| Word::from_slots(u128::from(number), 7);
        (0..count * 2).map(word).collect()
    }

    #[test]
    fn every_path_leads_to_the_root_and_no_other_place_does() {
        for count in [1_u64, 2, 3, 5, 8, 13] {
            let words = words(count);
            let tree = WithdrawalTree::new(BatchNumber(4), &words).unwrap();
            for index in 0..count {
                let place = usize::try_from(index).unwrap() * 2;
                let pair = [words[place], words[place + 1]];
                let path = tree.path(index).unwrap();
                let climb = |batch, named| {
                    let leaf = withdrawal_leaf(BatchNumber(batch), named, &pair);
                    root_of_withdrawal(leaf, named, &path)
                };
                assert_eq!(climb(4, index), tree.root());
                assert_ne!(climb(5, index), tree.root());
                assert_ne!(climb(4, index + 1), tree.root());
                // more bits than the path has levels
                assert_ne!(climb(4, index + (1 << 20)), tree.root());
            }
            assert_eq!(tree.path(count), None);
        }
    }

    #[test]
    fn no_withdrawals_are_zero_and_half_of_one_is_refused() {
        let none = WithdrawalTree::new(BatchNumber(1), &[]).unwrap();
        assert_eq!((none.root(), none.path(0)), ([0; 32], None));
        assert_eq!(WithdrawalTree::new(BatchNumber(1), &words(2)[..3]), None);
    }

    #[test]
    fn words_are_read_strictly() {
        let withdrawal = Withdrawal {
            owner: L1Address([9; 20]),
            token: TokenId(3),
            leaf: LeafIndex(u32::MAX),
            amount: Amount::new(5).unwrap(),
        };
        let mut first = WordWriter::default();
        first.put_address(&withdrawal.owner);
        first.put(3, 32);
        first.put(u128::from(u32::MAX), 32);
        let mut second = WordWriter::default();
        second.put(5, 120);
        let words = [first.finish(), second.finish()];
        assert_eq!(Withdrawal::read(&words), Some(withdrawal));
        let mut spare = words;
        spare[0].0[2] = 1;
        assert_eq!(Withdrawal::read(&spare), None);
        let mut spare = words;
        spare[1].0[15] = 1; // bit 120
        assert_eq!(Withdrawal::read(&spare), None);
    }
}
