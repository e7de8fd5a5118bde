//! The state that is threaded from operation to operation, and its digest D (`protocol.md`, "Public inputs").
//!
//! A chunk proof exposes `domain, D_before, D_after`. One digest instead of a dozen inputs: nothing can be
//! forgotten in the threading. Layout:
//!
//! ```text
//! counters = leaf_count | height << 64 | inbox_count << 128
//! block    = fee leaf 0..3 (32 bits each) | number of fee leaves << 128 | phase << 131 | last_bid_height << 133
//! D        = Poseidon(Poseidon(root, h, word_counts, counters, block), G, acc, members, TAG_STATE)
//! ```

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Zero};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::shifted,
    codec::borsh_field,
    hash::{poseidon, tag},
    number::{Height, LeafIndex},
    params::FEE_LEAVES_MAX,
    words::{WordCounts, iv_data},
};

/// What may come next inside a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Phase {
    /// No block of this batch has been opened: only a header may come.
    #[default]
    NoBlock,
    /// A block is open and no signed operation has been seen.
    Inbox,
    /// A signed operation has been seen: no inbox item may come.
    Signed,
    /// As `Inbox`, and the first signed operation must be a BidPay.
    BidPending,
}

impl Phase {
    /// 0 to 3, two bits.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::NoBlock => 0,
            Self::Inbox => 1,
            Self::Signed => 2,
            Self::BidPending => 3,
        }
    }
}

/// Up to four leaves that collect fees; unused places are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize)]
pub struct FeeLeaves {
    count: u8,
    leaves: [LeafIndex; FEE_LEAVES_MAX],
}

impl FeeLeaves {
    /// None: only before the first block of a batch.
    pub const NONE: Self = Self {
        count: 0,
        leaves: [LeafIndex(0); FEE_LEAVES_MAX],
    };

    /// One to four leaves; `None` for any other number.
    #[must_use]
    pub fn new(leaves: &[LeafIndex]) -> Option<Self> {
        if leaves.is_empty() || leaves.len() > FEE_LEAVES_MAX {
            return None;
        }
        let mut all = [LeafIndex(0); FEE_LEAVES_MAX];
        all.iter_mut()
            .zip(leaves)
            .for_each(|(place, leaf)| *place = *leaf);
        Some(Self {
            count: u8::try_from(leaves.len()).ok()?,
            leaves: all,
        })
    }

    /// How many are named.
    #[must_use]
    pub fn count(&self) -> u8 {
        self.count
    }

    /// The named leaves, in order.
    pub fn iter(&self) -> impl Iterator<Item = LeafIndex> + '_ {
        self.leaves.iter().copied().take(usize::from(self.count))
    }

    /// The leaf a two-bit selector names, if there is one.
    #[must_use]
    pub fn get(&self, selector: u8) -> Option<LeafIndex> {
        self.iter().nth(usize::from(selector))
    }

    /// All four places, unused ones 0.
    #[must_use]
    pub fn places(&self) -> [LeafIndex; FEE_LEAVES_MAX] {
        self.leaves
    }
}

impl BorshDeserialize for FeeLeaves {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let count = u8::deserialize_reader(reader)?;
        let leaves = <[LeafIndex; FEE_LEAVES_MAX]>::deserialize_reader(reader)?;
        let named = leaves.get(..usize::from(count));
        match named {
            Some([]) if leaves == Self::NONE.leaves => Ok(Self::NONE),
            Some(named) if Self::new(named).is_some_and(|all| all.leaves == leaves) => {
                Ok(Self { count, leaves })
            }
            _ => Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "malformed fee leaves",
            )),
        }
    }
}

/// An atomic group of which some members were executed and some are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OpenGroup {
    /// G: what every member signs.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub hash: Fr,
    /// Running hash over the members so far.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub accumulator: Fr,
    /// Members so far.
    pub members: u64,
}

impl OpenGroup {
    /// No group is open.
    pub const NONE: Self = Self {
        hash: Fr::ZERO,
        accumulator: Fr::ZERO,
        members: 0,
    };

    /// Whether a group is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.members != 0
    }
}

/// Everything an operation's validity may depend on, beside the leaves it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Threaded {
    /// Root of the state tree.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub root: Fr,
    /// Accumulator over the batch's words.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub h: Fr,
    /// Words of the batch so far.
    pub counts: WordCounts,
    /// Leaves in the tree, at most 2^32.
    pub leaf_count: u64,
    /// Inbox items consumed since genesis.
    pub inbox_count: u64,
    /// Height of the last published block.
    pub height: Height,
    /// Where in a block we are.
    pub phase: Phase,
    /// Who collects fees.
    pub fee_leaves: FeeLeaves,
    /// Height of the last BidPay in this batch.
    pub last_bid_height: Height,
    /// The group being executed.
    pub group: OpenGroup,
}

impl Threaded {
    /// Start of a batch: nothing published, no block or group open.
    #[must_use]
    pub fn batch_start(root: Fr, leaf_count: u64, height: Height, inbox_count: u64) -> Self {
        Self {
            root,
            h: iv_data(),
            counts: WordCounts::default(),
            leaf_count,
            inbox_count,
            height,
            phase: Phase::NoBlock,
            fee_leaves: FeeLeaves::NONE,
            last_bid_height: Height(0),
            group: OpenGroup::NONE,
        }
    }

    /// `leaf_count | height << 64 | inbox_count << 128`: what the base layer stores beside the root.
    #[must_use]
    pub fn counters(&self) -> Fr {
        Fr::from(self.leaf_count)
            + shifted(u128::from(self.height.0), 64)
            + shifted(u128::from(self.inbox_count), 128)
    }

    /// Fee leaves, phase and last bid height in one element.
    #[must_use]
    pub fn block(&self) -> Fr {
        let leaves: Fr = (0_u32..)
            .zip(self.fee_leaves.places())
            .map(|(i, leaf)| shifted(u128::from(leaf.0), 32 * i))
            .sum();
        leaves
            + shifted(u128::from(self.fee_leaves.count()), 128)
            + shifted(u128::from(self.phase.number()), 131)
            + shifted(u128::from(self.last_bid_height.0), 133)
    }

    /// The digest D.
    #[must_use]
    pub fn digest(&self) -> Fr {
        let first = poseidon([
            self.root,
            self.h,
            self.counts.to_field(),
            self.counters(),
            self.block(),
        ]);
        poseidon([
            first,
            self.group.hash,
            self.group.accumulator,
            Fr::from(self.group.members),
            tag_state(),
        ])
    }

    /// Whether a batch may start here: the ends that the top circuit and `verify` fix.
    #[must_use]
    pub fn is_batch_start(&self) -> bool {
        *self == Self::batch_start(self.root, self.leaf_count, self.height, self.inbox_count)
    }

    /// Whether a batch may end here: no group open and no bid promised. The end of a batch closes its last block.
    #[must_use]
    pub fn is_batch_end(&self) -> bool {
        !self.group.is_open() && self.group.hash.is_zero() && self.phase != Phase::BidPending
    }
}

/// Named constant: last input of the state digest.
#[must_use]
pub fn tag_state() -> Fr {
    tag("QUORATE/protocol/state/v1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_threaded_field_changes_the_digest() {
        let base = Threaded::batch_start(Fr::from(1_u64), 2, Height(3), 4);
        let digest = base.digest();
        let changed = [
            Threaded {
                root: Fr::from(9_u64),
                ..base
            },
            Threaded {
                h: Fr::from(9_u64),
                ..base
            },
            Threaded {
                counts: WordCounts {
                    ops: 1,
                    ..base.counts
                },
                ..base
            },
            Threaded {
                counts: WordCounts {
                    withdrawals: 1,
                    ..base.counts
                },
                ..base
            },
            Threaded {
                counts: WordCounts {
                    inbox: 1,
                    ..base.counts
                },
                ..base
            },
            Threaded {
                counts: WordCounts {
                    signed_operations: 1,
                    ..base.counts
                },
                ..base
            },
            Threaded {
                leaf_count: 9,
                ..base
            },
            Threaded {
                inbox_count: 9,
                ..base
            },
            Threaded {
                height: Height(9),
                ..base
            },
            Threaded {
                phase: Phase::Signed,
                ..base
            },
            Threaded {
                fee_leaves: FeeLeaves::new(&[LeafIndex(0)]).unwrap(),
                ..base
            },
            Threaded {
                last_bid_height: Height(9),
                ..base
            },
            Threaded {
                group: OpenGroup {
                    hash: Fr::from(9_u64),
                    ..base.group
                },
                ..base
            },
            Threaded {
                group: OpenGroup {
                    accumulator: Fr::from(9_u64),
                    ..base.group
                },
                ..base
            },
            Threaded {
                group: OpenGroup {
                    members: 9,
                    ..base.group
                },
                ..base
            },
        ];
        for threaded in changed {
            assert_ne!(threaded.digest(), digest, "{threaded:?}");
        }
        assert!(base.is_batch_start() && base.is_batch_end());
    }

    #[test]
    fn fee_leaves_are_one_to_four_and_decode_strictly() {
        assert_eq!(FeeLeaves::new(&[]), None);
        assert_eq!(FeeLeaves::new(&[LeafIndex(1); 5]), None);
        let two = FeeLeaves::new(&[LeafIndex(5), LeafIndex(6)]).unwrap();
        assert_eq!((two.get(1), two.get(2)), (Some(LeafIndex(6)), None));
        let mut bytes = crate::codec::to_bytes(&two);
        assert_eq!(crate::codec::from_bytes::<FeeLeaves>(&bytes), Ok(two));
        bytes[16] = 1; // a place beyond the count
        assert!(crate::codec::from_bytes::<FeeLeaves>(&bytes).is_err());
        bytes[0] = 200;
        assert!(crate::codec::from_bytes::<FeeLeaves>(&bytes).is_err());
    }
}
