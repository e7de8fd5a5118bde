//! The whole state: leaves by index, and the tree over them. Also the view and the overlay through which rules read
//! it, so that a block that turns out invalid changes nothing.

use std::collections::BTreeMap;

use ark_bn254::Fr;
use rayon::prelude::*;

use crate::{
    account::Leaf,
    number::LeafIndex,
    params::LEAF_COUNT_MAX,
    tree::{Siblings, Tree},
};

/// What the rules may read.
pub trait LeafView {
    /// The leaf at `index`, if one lives there.
    fn leaf(&self, index: LeafIndex) -> Option<Leaf>;
}

/// Leaves 0..n and their tree.
#[derive(Clone, Debug, Default)]
pub struct State {
    leaves: Vec<Leaf>,
    tree: Tree,
}

impl State {
    /// The state of these leaves, hashed in parallel.
    #[must_use]
    pub fn new(leaves: Vec<Leaf>) -> Self {
        let tree = Tree::new(leaves.par_iter().map(Leaf::hash).collect());
        Self { leaves, tree }
    }

    /// The state of stored leaves and a stored tree; `None` if their sizes differ. Hashes are taken as they are.
    #[must_use]
    pub fn from_parts(leaves: Vec<Leaf>, tree: Tree) -> Option<Self> {
        (leaves.len() == tree.len()).then_some(Self { leaves, tree })
    }

    /// Leaves and tree: the inverse of [`State::from_parts`].
    #[must_use]
    pub fn into_parts(self) -> (Vec<Leaf>, Tree) {
        (self.leaves, self.tree)
    }

    /// All leaves, by index.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Fr {
        self.tree.root()
    }

    /// Number of leaves, at most 2^32.
    #[must_use]
    pub fn leaf_count(&self) -> u64 {
        u64::try_from(self.leaves.len()).unwrap_or(LEAF_COUNT_MAX)
    }

    /// Siblings along the path of `index`.
    #[must_use]
    pub fn siblings(&self, index: LeafIndex) -> Siblings {
        self.tree.siblings(index)
    }

    /// Writes leaves and recomputes the tree once. Returns the changed nodes (level, index, hash) above the leaves.
    ///
    /// # Panics
    /// If an index would leave a gap: leaves are handed out in order by the transition.
    pub fn commit(&mut self, changes: &BTreeMap<LeafIndex, Leaf>) -> Vec<(usize, usize, Fr)> {
        let changed: Vec<(&LeafIndex, &Leaf)> = changes.iter().collect();
        let hashes: Vec<(LeafIndex, Fr)> = if changed.len() < 8 {
            changed
                .iter()
                .map(|(index, leaf)| (**index, leaf.hash()))
                .collect()
        } else {
            changed
                .par_iter()
                .map(|(index, leaf)| (**index, leaf.hash()))
                .collect()
        };
        for (index, leaf) in changes {
            match usize::try_from(index.0)
                .ok()
                .and_then(|index| self.leaves.get_mut(index))
            {
                Some(place) => *place = *leaf,
                None => self.leaves.push(*leaf),
            }
        }
        self.tree.update(&hashes)
    }

    /// Forgets the leaves from `leaf_count` on and restores earlier values of others: the inverse of commits.
    ///
    /// Rebuilds the tree over the remaining leaves.
    pub fn revert(&mut self, leaf_count: u64, earlier: &BTreeMap<LeafIndex, Leaf>) {
        self.leaves
            .truncate(usize::try_from(leaf_count).unwrap_or(usize::MAX));
        for (index, leaf) in earlier {
            if let Some(place) = usize::try_from(index.0)
                .ok()
                .and_then(|index| self.leaves.get_mut(index))
            {
                *place = *leaf;
            }
        }
        *self = Self::new(std::mem::take(&mut self.leaves));
    }
}

impl LeafView for State {
    fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.leaves.get(usize::try_from(index.0).ok()?).copied()
    }
}

/// Changes on top of a view, not yet committed.
#[derive(Clone)]
pub struct Overlay<'a, V> {
    base: &'a V,
    changes: BTreeMap<LeafIndex, Leaf>,
}

impl<'a, V: LeafView> Overlay<'a, V> {
    /// No changes on top of `base`.
    #[must_use]
    pub fn new(base: &'a V) -> Self {
        Self {
            base,
            changes: BTreeMap::new(),
        }
    }

    /// Sets a leaf.
    pub fn write(&mut self, index: LeafIndex, leaf: Leaf) {
        self.changes.insert(index, leaf);
    }

    /// Takes over the changes of an overlay on top of this one.
    pub fn absorb(&mut self, changes: BTreeMap<LeafIndex, Leaf>) {
        self.changes.extend(changes);
    }

    /// The changes, for [`State::commit`].
    #[must_use]
    pub fn into_changes(self) -> BTreeMap<LeafIndex, Leaf> {
        self.changes
    }
}

impl<V: LeafView> LeafView for Overlay<'_, V> {
    fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.changes
            .get(&index)
            .copied()
            .or_else(|| self.base.leaf(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        account::{L1Address, LeafKey},
        number::{Amount, TokenId},
    };

    fn leaf(balance: u128) -> Leaf {
        Leaf::new(
            LeafKey::NULL,
            L1Address([1; 20]),
            TokenId(0),
            Amount::new(balance).unwrap(),
        )
    }

    #[test]
    fn revert_undoes_commits() {
        let mut state = State::new(vec![leaf(1), leaf(2)]);
        let root = state.root();
        let earlier = BTreeMap::from([(LeafIndex(0), leaf(1))]);
        state.commit(&BTreeMap::from([
            (LeafIndex(0), leaf(9)),
            (LeafIndex(2), leaf(3)),
        ]));
        assert_ne!(state.root(), root);
        assert_eq!(state.leaf_count(), 3);
        state.revert(2, &earlier);
        assert_eq!((state.root(), state.leaf_count()), (root, 2));
    }

    #[test]
    fn overlay_reads_through_and_hides_nothing() {
        let state = State::new(vec![leaf(1)]);
        let mut overlay = Overlay::new(&state);
        overlay.write(LeafIndex(0), leaf(5));
        assert_eq!(overlay.leaf(LeafIndex(0)), Some(leaf(5)));
        assert_eq!(overlay.leaf(LeafIndex(7)), None);
        assert_eq!(state.leaf(LeafIndex(0)), Some(leaf(1)));
    }
}
