//! Leaves of the state tree and the owners they name (`protocol.md`, "State").

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, PrimeField, Zero};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    codec::borsh_field,
    hash::poseidon,
    number::{Amount, Height, Nonce, TokenId},
    signature::PublicKey,
};

/// An account on the base layer: 20 bytes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct L1Address(pub [u8; 20]);

impl L1Address {
    /// The zero address, which owns nothing.
    pub const ZERO: Self = Self([0; 20]);

    /// The address as a 160-bit integer (its bytes are big-endian).
    #[must_use]
    pub fn to_field(self) -> Fr {
        Fr::from_be_bytes_mod_order(&self.0)
    }
}

impl std::fmt::Display for L1Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::codec::display_hex(&self.0, f)
    }
}

/// The key field of a leaf: two canonical field elements.
///
/// (0, 0) is the null key, which never signs. Any other pair may stand here; one that is not a usable
/// [`PublicKey`] never signs either, and its `l1_owner` can replace it by a forced `ChangeKey`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LeafKey {
    /// Affine x.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub x: Fr,
    /// Affine y.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub y: Fr,
}

impl LeafKey {
    /// The null key.
    pub const NULL: Self = Self {
        x: Fr::ZERO,
        y: Fr::ZERO,
    };

    /// Whether this is the null key.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.x.is_zero() && self.y.is_zero()
    }

    /// `Poseidon(x, y)`: how a message names a new key (ext0).
    #[must_use]
    pub fn digest(&self) -> Fr {
        poseidon([self.x, self.y])
    }
}

impl From<PublicKey> for LeafKey {
    fn from(key: PublicKey) -> Self {
        Self {
            x: key.point().x(),
            y: key.point().y(),
        }
    }
}

/// One balance of one owner and token, with its nonce. A live leaf has `l1_owner != 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Leaf {
    /// Who signs.
    pub key: LeafKey,
    /// Who is paid by withdrawals and may force operations; never zero.
    pub l1_owner: L1Address,
    /// What is held.
    pub token: TokenId,
    /// Signed operations so far, below 2^40.
    pub nonce: Nonce,
    /// Base units held.
    pub balance: Amount,
    /// The leaf is locked while the height is at most this.
    pub lock_until: Height,
}

impl Leaf {
    /// A new leaf: nonce 0, unlocked.
    #[must_use]
    pub fn new(key: LeafKey, l1_owner: L1Address, token: TokenId, balance: Amount) -> Self {
        Self {
            key,
            l1_owner,
            token,
            nonce: Nonce(0),
            balance,
            lock_until: Height(0),
        }
    }

    /// Whether the leaf is locked at `height`.
    #[must_use]
    pub fn is_locked(&self, height: Height) -> bool {
        height <= self.lock_until
    }

    /// `l1_owner | token << 160 | nonce << 192`.
    #[must_use]
    pub fn meta(&self) -> Fr {
        self.l1_owner.to_field()
            + shifted(u128::from(self.token.0), 160)
            + shifted(u128::from(self.nonce.0), 192)
    }

    /// `balance | lock_until << 120`.
    #[must_use]
    pub fn holdings(&self) -> Fr {
        Fr::from(self.balance.get()) + shifted(u128::from(self.lock_until.0), 120)
    }

    /// `Poseidon(Ax, Ay, meta, holdings)`.
    #[must_use]
    pub fn hash(&self) -> Fr {
        poseidon([self.key.x, self.key.y, self.meta(), self.holdings()])
    }
}

/// Hash of a place in the tree: 0 where there is no leaf.
#[must_use]
pub fn leaf_hash(leaf: Option<&Leaf>) -> Fr {
    leaf.map_or(Fr::ZERO, Leaf::hash)
}

/// `value << bits` as a field element.
#[must_use]
pub fn shifted(value: u128, bits: u32) -> Fr {
    Fr::from(value) * power_of_two(bits)
}

/// `2^bits` as a field element.
#[must_use]
pub fn power_of_two(bits: u32) -> Fr {
    use ark_ff::Field;
    Fr::from(2_u64).pow([u64::from(bits)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_leaf_never_hashes_to_the_empty_leaf() {
        let leaf = Leaf::new(LeafKey::NULL, L1Address([1; 20]), TokenId(0), Amount::ZERO);
        assert_ne!(leaf.hash(), leaf_hash(None));
    }

    #[test]
    fn every_field_changes_the_hash() {
        let base = Leaf::new(
            LeafKey::NULL,
            L1Address([1; 20]),
            TokenId(3),
            Amount::new(5).unwrap(),
        );
        let changed = [
            Leaf {
                key: LeafKey {
                    x: Fr::from(1_u64),
                    y: Fr::ZERO,
                },
                ..base
            },
            Leaf {
                key: LeafKey {
                    x: Fr::ZERO,
                    y: Fr::from(1_u64),
                },
                ..base
            },
            Leaf {
                l1_owner: L1Address([2; 20]),
                ..base
            },
            Leaf {
                token: TokenId(4),
                ..base
            },
            Leaf {
                nonce: Nonce(1),
                ..base
            },
            Leaf {
                balance: Amount::new(6).unwrap(),
                ..base
            },
            Leaf {
                lock_until: Height(1),
                ..base
            },
        ];
        for leaf in changed {
            assert_ne!(leaf.hash(), base.hash());
        }
    }
}
