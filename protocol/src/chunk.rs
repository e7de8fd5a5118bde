//! What one chunk holds, and where a batch is cut into chunks (`protocol.md`, "Batches and chunks").
//!
//! The chunk circuit has room for a number of slots and, shared by all of them, for a number of opened leaves, inner
//! nodes and hashes. A pair is never split, and what it opens is known only when it has been executed; so a chunk ends
//! behind the pair after which the largest possible pair might not fit. Whoever traces a batch cuts it there; a verifier
//! does not care where it was cut.

use std::collections::BTreeSet;

use crate::{
    number::LeafIndex,
    params::{
        CHUNK_LEAVES, CHUNK_NODES, CHUNK_PAIRS, CHUNK_SHORT_HASHES, CHUNK_WIDE_HASHES, TREE_LEVELS,
    },
    transaction::OperationKind,
    transition::Operation,
    witness::PairWitness,
};

/// How much of everything there is, or is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkSize {
    /// Slot pairs.
    pub pairs: usize,
    /// Leaves that are opened, each counted once.
    pub leaves: usize,
    /// Inner nodes of the tree on their paths, each counted once.
    pub nodes: usize,
    /// Permutations of six elements: accumulator, messages, signatures' challenges.
    pub wide_hashes: usize,
    /// Permutations of three elements: digests of stated keys, hashes of groups.
    pub short_hashes: usize,
}

impl ChunkSize {
    /// What the protocol's chunk circuit holds.
    pub const PROTOCOL: Self = Self {
        pairs: CHUNK_PAIRS,
        leaves: CHUNK_LEAVES,
        nodes: CHUNK_NODES,
        wide_hashes: CHUNK_WIDE_HASHES,
        short_hashes: CHUNK_SHORT_HASHES,
    };

    /// The most that a pair needs: six leaves with their paths, an accumulator for both slots, and for each slot two
    /// hashes under its signature and another accumulator (an inbox item has two of those and no signature), the digest
    /// of a key and two hashes of a group.
    pub const PAIR_MAX: Self = Self {
        pairs: 1,
        leaves: 6,
        nodes: 6 * TREE_LEVELS,
        wide_hashes: 7,
        short_hashes: 6,
    };

    /// Whether there is room for `more` beside `self`.
    #[must_use]
    pub fn has_room(&self, used: &Self, more: &Self) -> bool {
        let fits = |of: fn(&Self) -> usize| of(used).saturating_add(of(more)) <= of(self);
        fits(|size| size.pairs)
            && fits(|size| size.leaves)
            && fits(|size| size.nodes)
            && fits(|size| size.wide_hashes)
            && fits(|size| size.short_hashes)
    }
}

/// What a chunk uses of its size so far.
#[derive(Clone, Debug)]
pub struct ChunkLoad {
    used: ChunkSize,
    /// Opened places: height above the leaves, then the place on that level.
    opened: BTreeSet<(usize, u32)>,
}

impl Default for ChunkLoad {
    /// An empty chunk: slots in which nothing happens read leaf 0.
    fn default() -> Self {
        let mut load = Self {
            used: ChunkSize::default(),
            opened: BTreeSet::new(),
        };
        load.open(LeafIndex(0));
        load
    }
}

impl ChunkLoad {
    /// What is used.
    #[must_use]
    pub fn used(&self) -> ChunkSize {
        self.used
    }

    /// Takes an executed pair.
    pub fn take(&mut self, pair: &PairWitness) {
        for slot in &pair.slots {
            for witness in &slot.accesses {
                self.open(witness.access.index);
            }
        }
        let [first, second] = pair.slots.each_ref().map(|slot| &slot.operation);
        self.used.pairs += 1;
        self.used.wide_hashes += wide_hashes(first) + wide_hashes(second);
        // the first slot's accumulator takes the words of both
        self.used.wide_hashes += usize::from(!matches!(first, Operation::Noop));
        self.used.short_hashes += short_hashes(first) + short_hashes(second);
    }

    fn open(&mut self, index: LeafIndex) {
        let mut place = index.0;
        for height in 0..=TREE_LEVELS {
            if !self.opened.insert((height, place)) {
                return; // and so is everything above
            }
            let count = match height {
                0 => &mut self.used.leaves,
                _ => &mut self.used.nodes,
            };
            *count += 1;
            place >>= 2;
        }
    }
}

/// Hashes of six elements that a slot needs for itself.
fn wide_hashes(operation: &Operation) -> usize {
    let signature = if operation.is_signed() { 2 } else { 0 };
    let accumulators = match operation.kind() {
        OperationKind::Noop | OperationKind::Block | OperationKind::Transfer => 0,
        OperationKind::TransferToNew
        | OperationKind::Withdraw
        | OperationKind::ChangeKey
        | OperationKind::Lock
        | OperationKind::BidPay
        | OperationKind::BidBurn => 1,
        OperationKind::Inbox => 2,
    };
    signature + accumulators
}

/// Hashes of three elements that a slot needs.
fn short_hashes(operation: &Operation) -> usize {
    let states_a_key = matches!(
        operation.kind(),
        OperationKind::TransferToNew | OperationKind::ChangeKey
    );
    let group = match operation {
        Operation::Signed {
            group: Some(member),
            ..
        } => 1 + usize::from(member.last),
        _ => 0,
    };
    usize::from(states_a_key) + group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_chunk_opens_the_path_of_leaf_0_and_what_is_shared_counts_once() {
        let mut load = ChunkLoad::default();
        assert_eq!((load.used().leaves, load.used().nodes), (1, TREE_LEVELS));
        for index in [0, 3, 4, 3] {
            load.open(LeafIndex(index));
        }
        assert_eq!(
            load.used(),
            ChunkSize {
                leaves: 3,
                nodes: TREE_LEVELS + 1,
                ..ChunkSize::default()
            }
        );
        load.open(LeafIndex(u32::MAX));
        assert_eq!(load.used().nodes, TREE_LEVELS + 1 + TREE_LEVELS - 1);
    }

    #[test]
    fn there_is_room_up_to_the_last_of_each_kind() {
        let more = ChunkSize::PAIR_MAX;
        let whole = ChunkSize::PROTOCOL;
        let used = ChunkSize {
            pairs: whole.pairs - more.pairs,
            leaves: whole.leaves - more.leaves,
            nodes: whole.nodes - more.nodes,
            wide_hashes: whole.wide_hashes - more.wide_hashes,
            short_hashes: whole.short_hashes - more.short_hashes,
        };
        assert!(whole.has_room(&used, &more));
        let fuller: [fn(&mut ChunkSize) -> &mut usize; 5] = [
            |size| &mut size.pairs,
            |size| &mut size.leaves,
            |size| &mut size.nodes,
            |size| &mut size.wide_hashes,
            |size| &mut size.short_hashes,
        ];
        for part in fuller {
            let mut used = used;
            *part(&mut used) += 1;
            assert!(!whole.has_room(&used, &more), "{used:?}");
        }
    }
}
