//! Inbox items: operations that entered through the base layer (`protocol.md`, "Inbox operations").
//!
//! Five 31-byte words, whose random content must always be provable: an unknown type is a no-op, a key coordinate
//! of p or more reads as the null key, spare bits are ignored. Layout, low bits first:
//!
//! | word | content |
//! |---|---|
//! | 0 | type 4, from 32, to 32, token 32, amount 120 (28 bits spare) |
//! | 1 | owner 160 = `msg.sender` (88 bits spare) |
//! | 2 | l1_owner 160 of a new leaf or deposit, high 6 bits of key x, high 6 bits of key y (76 bits spare) |
//! | 3 | low 248 bits of key x |
//! | 4 | low 248 bits of key y |

use ark_ff::BigInt;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::{L1Address, LeafKey},
    codec::{integer_to_field, split_low},
    hash::keccak256,
    number::{Amount, LeafIndex, TokenId},
    params::ITEM_WORDS,
    words::{Word, WordReader, WordWriter, sequence_bytes},
};

/// Type of an inbox item, 4 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum InboxKind {
    /// Credits leaf `to` if it is live with this token and l1_owner, else creates a leaf; never fails.
    Deposit,
    /// Moves `amount` from `from` to `to`.
    ForcedTransfer,
    /// Creates the next leaf with the stated key and l1_owner, holding `amount` of `from`'s.
    ForcedTransferToNew,
    /// Pays `amount` to the leaf's l1_owner.
    ForcedWithdraw,
    /// Replaces the leaf's key by the stated one.
    ForcedChangeKey,
    /// Pays the whole balance to the leaf's l1_owner.
    ForcedExit,
}

impl InboxKind {
    /// Every kind, in order of its number (1 to 6).
    pub const ALL: [Self; 6] = [
        Self::Deposit,
        Self::ForcedTransfer,
        Self::ForcedTransferToNew,
        Self::ForcedWithdraw,
        Self::ForcedChangeKey,
        Self::ForcedExit,
    ];

    /// The type number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Deposit => 1,
            Self::ForcedTransfer => 2,
            Self::ForcedTransferToNew => 3,
            Self::ForcedWithdraw => 4,
            Self::ForcedChangeKey => 5,
            Self::ForcedExit => 6,
        }
    }
}

/// The words of one item, as the base layer holds them: any content is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct InboxItem(pub [Word; ITEM_WORDS]);

/// What an item's words mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxRequest {
    /// `None` for an unknown type number: a no-op.
    pub kind: Option<InboxKind>,
    /// Leaf debited or changed by a forced operation.
    pub from: LeafIndex,
    /// Recipient of a ForcedTransfer; leaf a Deposit would credit.
    pub to: LeafIndex,
    /// Token deposited, or that the owner believes the leaf to hold.
    pub token: TokenId,
    /// Exact amount; ignored by ForcedChangeKey and ForcedExit.
    pub amount: Amount,
    /// `msg.sender` on the base layer.
    pub owner: L1Address,
    /// Owner of a leaf that is created, and of the leaf a Deposit credits.
    pub l1_owner: L1Address,
    /// Key of a leaf that is created or changed; null if a coordinate is p or more.
    pub key: LeafKey,
}

impl InboxItem {
    /// The base layer's hash over all items up to and with this one: keccak256(hash before, 155 bytes); zero before the
    /// first.
    #[must_use]
    pub fn rolling_hash(&self, before: &[u8; 32]) -> [u8; 32] {
        keccak256(&[&before[..], &sequence_bytes(&self.0)].concat())
    }

    /// Reads the words; never fails.
    #[must_use]
    pub fn request(&self) -> InboxRequest {
        let [head, owner, new_owner, x_low, y_low] = &self.0;
        let mut head = WordReader::new(head);
        let number = head.take_u64(4);
        let kind = InboxKind::ALL
            .into_iter()
            .find(|kind| u64::from(kind.number()) == number);
        let (from, to, token) = (head.take_u32(), head.take_u32(), head.take_u32());
        let amount = Amount::new(head.take_u128(120)).unwrap_or(Amount::ZERO); // 120 bits always fit
        let owner = WordReader::new(owner).take_address();
        let mut new_owner = WordReader::new(new_owner);
        let l1_owner = new_owner.take_address();
        let (x_high, y_high) = (new_owner.take_u64(6), new_owner.take_u64(6));
        let key = match (join(x_low, x_high), join(y_low, y_high)) {
            (Some(x), Some(y)) => LeafKey { x, y },
            _ => LeafKey::NULL,
        };
        InboxRequest {
            kind,
            from: LeafIndex(from),
            to: LeafIndex(to),
            token: TokenId(token),
            amount,
            owner,
            l1_owner,
            key,
        }
    }
}

/// The field element of a 248-bit word and 6 more bits above it, if it is below p.
pub(crate) fn join(low: &Word, high: u64) -> Option<ark_bn254::Fr> {
    let mut bytes = [0; 32];
    for (target, byte) in bytes.iter_mut().zip(low.0.iter().rev()) {
        *target = *byte;
    }
    if let (Some(top), Ok(high)) = (bytes.last_mut(), u8::try_from(high)) {
        *top = high;
    }
    let integer: BigInt<4> = crate::codec::integer_from_le_bytes(&bytes);
    integer_to_field(integer)
}

impl InboxRequest {
    /// The item's words, spare bits zero: what the base layer's Inbox writes.
    #[must_use]
    pub fn to_item(&self) -> InboxItem {
        let mut head = WordWriter::default();
        head.put(u128::from(self.kind.map_or(0, InboxKind::number)), 4);
        head.put(u128::from(self.from.0), 32);
        head.put(u128::from(self.to.0), 32);
        head.put(u128::from(self.token.0), 32);
        head.put(self.amount.get(), 120);
        let mut owner = WordWriter::default();
        owner.put_address(&self.owner);
        let ((x_low, x_high), (y_low, y_high)) =
            (split_low(&self.key.x, 248), split_low(&self.key.y, 248));
        let mut new_owner = WordWriter::default();
        new_owner.put_address(&self.l1_owner);
        new_owner.put(u128::from(x_high), 6);
        new_owner.put(u128::from(y_high), 6);
        InboxItem([
            head.finish(),
            owner.finish(),
            new_owner.finish(),
            Word::from_integer(&x_low),
            Word::from_integer(&y_low),
        ])
    }
}

#[cfg(test)]
mod tests {
    use ark_ff::{Field, UniformRand};
    use proptest::prelude::*;

    use super::*;
    use crate::Fr;

    proptest! {
        #[test]
        fn requests_round_trip(
            kind in 0_usize..6, from: u32, to: u32, token: u32, amount in 0_u128..1 << 120,
            owner: [u8; 20], l1_owner: [u8; 20], seed: u64,
        ) {
            let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
            let request = InboxRequest {
                kind: Some(InboxKind::ALL[kind]),
                from: LeafIndex(from),
                to: LeafIndex(to),
                token: TokenId(token),
                amount: Amount::new(amount).unwrap(),
                owner: L1Address(owner),
                l1_owner: L1Address(l1_owner),
                key: LeafKey { x: Fr::rand(&mut rng), y: Fr::rand(&mut rng) },
            };
            prop_assert_eq!(request.to_item().request(), request);
        }
    }

    #[test]
    fn coordinate_of_p_or_more_reads_as_the_null_key() {
        let full = InboxItem([Word([0xff; 31]); ITEM_WORDS]);
        let request = full.request();
        assert_eq!(request.kind, None);
        assert_eq!(request.key, LeafKey::NULL);
        let mut one_bad = InboxRequest {
            key: LeafKey {
                x: -Fr::ONE,
                y: Fr::ONE,
            },
            ..request
        }
        .to_item();
        assert_eq!(one_bad.request().key.x, -Fr::ONE);
        one_bad.0[3].0[30] = one_bad.0[3].0[30].wrapping_add(1); // x = p
        assert_eq!(one_bad.request().key, LeafKey::NULL);
    }
}
