//! Protocol constants. They are rules, not configuration: all of them are hashed into `params_hash`, which is part
//! of every domain (`protocol.md`, "Domain, keys, signatures").

use crate::hash::keccak256;

/// Children of a tree node.
pub const TREE_ARITY: usize = 4;
/// Levels of nodes above the leaves: 4^16 = 2^32 leaves.
pub const TREE_LEVELS: usize = 16;
/// Number of leaves the tree can hold.
pub const LEAF_COUNT_MAX: u64 = 1 << 32;
/// Bits of a balance and of an exact amount.
pub const BALANCE_BITS: u32 = 120;
/// First value a balance may not have.
pub const BALANCE_LIMIT: u128 = 1 << BALANCE_BITS;
/// Bits of a nonce; the last value, `2^40 - 1`, never signs (review finding L2).
pub const NONCE_BITS: u32 = 40;
/// The last nonce of a leaf, which is unusable.
pub const NONCE_LAST: u64 = (1 << NONCE_BITS) - 1;
/// Share of a fee that is burned, in 1/65536: 10 %, rounded down per operation.
pub const BURN_NUMERATOR: u128 = 6_554;
/// log2 of the denominator of the burned share.
pub const BURN_SHIFT: u32 = 16;
/// Fee leaves a block may name, at least one.
pub const FEE_LEAVES_MAX: usize = 4;
/// Smallest atomic group.
pub const GROUP_MEMBERS_MIN: u64 = 2;
/// Largest atomic group.
pub const GROUP_MEMBERS_MAX: u64 = 16;
/// Heights in one epoch.
pub const EPOCH_HEIGHTS: u64 = 14_400;
/// A lock may reach at most this many heights ahead.
pub const LOCK_HEIGHTS_MAX: u64 = 8 * EPOCH_HEIGHTS;
/// The least a withheld bid burns, in base units of the collateral's token.
pub const BID_FLOOR: u128 = 1_000_000_000;
/// A burn may name a bid at most this many heights old.
pub const BID_BURN_HEIGHTS_MAX: u64 = 17;
/// Transactions one validator may list in an extension.
pub const LIST_HASHES_MAX: usize = 96;
/// Reports of withheld payloads in an extension.
pub const REPORTS_MAX: usize = 8;
/// Share of every resource of a block that listed transactions may claim: one part in this many.
pub const LIST_SHARE: u64 = 4;
/// Bits of a height delta in a `Block` slot.
pub const HEIGHT_DELTA_BITS: u32 = 40;
/// Words of one inbox item.
pub const ITEM_WORDS: usize = 5;
/// Words of one withdrawal.
pub const WITHDRAWAL_WORDS: usize = 2;
/// Withdrawals of one batch.
pub const WITHDRAWALS_PER_BATCH_MAX: u64 = 512;
/// Inbox items that always fit one batch alone, whatever they hold.
pub const INBOX_PER_BATCH_MAX: u64 = 128;
/// Slot pairs of one chunk, two operations each: the most that the chunk circuit's 2^15 rows hold.
pub const CHUNK_PAIRS: usize = 1_021;
/// Leaves that one chunk opens.
pub const CHUNK_LEAVES: usize = 3_063;
/// Inner nodes of the state tree that one chunk opens.
pub const CHUNK_NODES: usize = 13_273;
/// Permutations of six elements in one chunk.
pub const CHUNK_WIDE_HASHES: usize = 6_126;
/// Permutations of three elements in one chunk.
pub const CHUNK_SHORT_HASHES: usize = 2_042;
/// Absorptions (Poseidon permutations over four tagged words) of one batch: capacity of the data circuit. Every pair
/// absorbs at least once, so a batch never has more pairs than a chunk: full of payments between few parties, it is one.
pub const BATCH_ABSORPTIONS_MAX: u64 = 1_021;
/// A batch seals when its first block is at least this much older than its last, in milliseconds.
pub const BATCH_AGE_MS_MAX: u64 = 10_000;
/// Version of the circuits: a change of bytes, roots or keys gets a new one.
pub const CIRCUIT_VERSION: u64 = 1;

/// Keccak-256 of every constant above in order, each as a 32-byte big-endian integer, then the name of the
/// reference string (review finding M7).
#[must_use]
pub fn params_hash(reference_string: &str) -> [u8; 32] {
    let numbers: [u128; 29] = [
        4,
        16,
        u128::from(LEAF_COUNT_MAX),
        u128::from(BALANCE_BITS),
        u128::from(NONCE_BITS),
        BURN_NUMERATOR,
        u128::from(BURN_SHIFT),
        4,
        u128::from(GROUP_MEMBERS_MIN),
        u128::from(GROUP_MEMBERS_MAX),
        u128::from(EPOCH_HEIGHTS),
        u128::from(LOCK_HEIGHTS_MAX),
        BID_FLOOR,
        u128::from(BID_BURN_HEIGHTS_MAX),
        u128::from(HEIGHT_DELTA_BITS),
        96,
        8,
        u128::from(LIST_SHARE),
        5,
        2,
        u128::from(WITHDRAWALS_PER_BATCH_MAX),
        u128::from(INBOX_PER_BATCH_MAX),
        1_021,
        3_063,
        13_273,
        6_126,
        2_042,
        u128::from(BATCH_ABSORPTIONS_MAX),
        u128::from(BATCH_AGE_MS_MAX),
    ];
    let mut bytes = Vec::with_capacity(32 * numbers.len() + reference_string.len());
    for number in numbers {
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(reference_string.as_bytes());
    keccak256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_sizes_in_the_hash_are_the_constants() {
        assert_eq!((TREE_ARITY, TREE_LEVELS, FEE_LEAVES_MAX), (4, 16, 4));
        assert_eq!(
            (CHUNK_PAIRS, CHUNK_LEAVES, CHUNK_NODES),
            (1_021, 3_063, 13_273)
        );
        assert_eq!(BATCH_ABSORPTIONS_MAX, 1_021, "as many as a chunk has pairs");
        assert_eq!((CHUNK_WIDE_HASHES, CHUNK_SHORT_HASHES), (6_126, 2_042));
        assert_eq!((ITEM_WORDS, WITHDRAWAL_WORDS), (5, 2));
        assert_eq!((LIST_HASHES_MAX, REPORTS_MAX), (96, 8));
    }

    #[test]
    fn reference_string_changes_the_hash() {
        assert_ne!(params_hash("a"), params_hash("b"));
    }
}
