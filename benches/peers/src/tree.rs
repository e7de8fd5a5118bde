//! A sparse binary Merkle tree of [`LEVELS`] levels, with circomlib's Poseidon of two.
//!
//! Only nodes over leaves that were set are kept; all others are roots of empty subtrees, whose leaf is 0.

use std::collections::BTreeMap;

use ark_bn254::Fr;
use ark_ff::Zero;

use crate::{LEVELS, poseidon::poseidon};

/// The siblings on the way from a leaf to the root.
pub type Siblings = [Fr; LEVELS];

/// The tree.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: BTreeMap<(usize, u32), Fr>,
    empty: [Fr; LEVELS + 1],
}

impl Default for Tree {
    fn default() -> Self {
        let mut empty = [Fr::zero(); LEVELS + 1];
        for level in 0..LEVELS {
            empty[level + 1] = poseidon(&[empty[level]; 2]);
        }
        Self {
            nodes: BTreeMap::new(),
            empty,
        }
    }
}

impl Tree {
    fn node(&self, level: usize, index: u32) -> Fr {
        let kept = self.nodes.get(&(level, index));
        kept.copied().unwrap_or(self.empty[level])
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Fr {
        self.node(LEVELS, 0)
    }

    /// The siblings of the leaf at `index`, from the bottom.
    #[must_use]
    pub fn siblings(&self, index: u32) -> Siblings {
        std::array::from_fn(|level| self.node(level, (index >> level) ^ 1))
    }

    /// Puts a leaf in its place.
    pub fn set(&mut self, index: u32, leaf: Fr) {
        self.nodes.insert((0, index), leaf);
        for level in 0..LEVELS {
            let left = (index >> level) & !1;
            let parent = poseidon(&[self.node(level, left), self.node(level, left | 1)]);
            self.nodes.insert((level + 1, index >> (level + 1)), parent);
        }
    }
}

/// The root above `leaf` at `index` with these siblings.
#[must_use]
pub fn root_of_path(index: u32, leaf: Fr, siblings: &Siblings) -> Fr {
    siblings
        .iter()
        .enumerate()
        .fold(leaf, |node, (level, sibling)| {
            if (index >> level) & 1 == 0 {
                poseidon(&[node, *sibling])
            } else {
                poseidon(&[*sibling, node])
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_the_root_before_and_after_a_change() {
        let mut tree = Tree::default();
        let (last, neighbour) = ((1 << LEVELS) - 1, (1 << LEVELS) - 2);
        tree.set(0, Fr::from(5_u64));
        tree.set(neighbour, Fr::from(6_u64));
        let before = tree.siblings(last);
        assert_eq!(root_of_path(last, Fr::zero(), &before), tree.root());
        tree.set(last, Fr::from(7_u64));
        assert_eq!(tree.siblings(last), before, "a leaf is not its own sibling");
        assert_eq!(root_of_path(last, Fr::from(7_u64), &before), tree.root());
        assert_ne!(root_of_path(last, Fr::from(8_u64), &before), tree.root());
    }
}
