//! A tree whose nodes are hashed when somebody reads them.
//!
//! A path needs its siblings, never its own nodes; so while a batch is traced most nodes above a changed leaf are
//! written over before anybody looks. In a tree of n leaves the levels above log4 n have one node each and are hashed
//! once, at the end, instead of once per access.
//!
//! Invariant: above a node that is out of date every node is out of date.

use std::collections::BTreeSet;

use ark_bn254::Fr;
use ark_ff::AdditiveGroup;

use super::{Siblings, Tree, digit, place};
use crate::{
    number::LeafIndex,
    params::{TREE_ARITY, TREE_LEVELS},
};

/// A [`Tree`] with nodes that are still to be hashed.
#[derive(Clone, Debug)]
pub(crate) struct LazyTree {
    tree: Tree,
    /// Per level, leaves first: positions of nodes that are out of date.
    stale: Vec<BTreeSet<usize>>,
}

impl LazyTree {
    pub(crate) fn new(tree: Tree) -> Self {
        let stale = vec![BTreeSet::new(); TREE_LEVELS + 1];
        Self { tree, stale }
    }

    /// Sets a leaf's hash; a new index must be the next one.
    ///
    /// # Panics
    /// If the index would leave a gap.
    pub(crate) fn set(&mut self, index: LeafIndex, hash: Fr) {
        let mut node = place(index);
        self.tree.write(0, node, hash);
        for (level, stale) in self.stale.iter_mut().enumerate().skip(1) {
            node /= TREE_ARITY;
            if !stale.insert(node) {
                break;
            }
            if self.tree.levels.get(level).map_or(0, Vec::len) == node {
                self.tree.write(level, node, Fr::ZERO); // stale: hashed before it is read
            }
        }
    }

    /// Siblings along the path of `index`.
    pub(crate) fn siblings(&mut self, index: LeafIndex) -> Siblings {
        let path = place(index);
        for level in 0..TREE_LEVELS {
            let node = path >> (2 * level);
            let first = node - digit(path, level);
            for sibling in (first..first + TREE_ARITY).filter(|place| *place != node) {
                self.settle(level, sibling);
            }
        }
        self.tree.siblings(index)
    }

    /// Root of the tree.
    pub(crate) fn root(&mut self) -> Fr {
        self.settle(TREE_LEVELS, 0);
        self.tree.root()
    }

    /// The tree, up to date.
    pub(crate) fn into_tree(mut self) -> Tree {
        self.settle(TREE_LEVELS, 0);
        self.tree
    }

    fn settle(&mut self, level: usize, node: usize) {
        let is_stale = self
            .stale
            .get_mut(level)
            .is_some_and(|stale| stale.remove(&node));
        if let (true, Some(below)) = (is_stale, level.checked_sub(1)) {
            let first = node * TREE_ARITY;
            for child in first..first + TREE_ARITY {
                self.settle(below, child);
            }
            let hash = self.tree.hash_children(level, node);
            self.tree.write(level, node, hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is read in between, every answer is that of a tree that hashes at once.
        #[test]
        fn lazy_and_eager_trees_agree(
            start in 0_usize..70,
            steps in prop::collection::vec((any::<u32>(), any::<u64>(), 0_u8..4), 1..60),
        ) {
            let mut eager = Tree::new((0..start).map(|leaf| Fr::from(leaf as u64 + 1)).collect());
            let mut lazy = LazyTree::new(eager.clone());
            for (place, value, action) in steps {
                let index = LeafIndex(place % (eager.len() as u32 + 1));
                match action {
                    0 => prop_assert_eq!(lazy.root(), eager.root()),
                    1 => prop_assert_eq!(lazy.siblings(index), eager.siblings(index)),
                    _ => {
                        eager.update(&[(index, Fr::from(value))]);
                        lazy.set(index, Fr::from(value));
                    }
                }
            }
            let settled = lazy.into_tree();
            prop_assert_eq!(settled.levels(), eager.levels());
        }
    }
}
