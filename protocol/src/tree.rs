//! The 4-ary Poseidon tree of exactly 16 levels (`protocol.md`, "State").
//!
//! Indices are handed out in order, so every level is a dense vector; what lies beyond it is an empty subtree with
//! a precomputed root. The empty leaf is the field element 0, not a hash.

mod lazy;

use std::{collections::BTreeSet, sync::OnceLock};

use ark_bn254::Fr;
use ark_ff::AdditiveGroup;
use rayon::prelude::*;

use crate::{
    hash::poseidon,
    number::LeafIndex,
    params::{TREE_ARITY, TREE_LEVELS},
};

pub(crate) use lazy::LazyTree;

/// The three siblings of a node at each level, leaves first, in ascending position.
pub type Siblings = [[Fr; TREE_ARITY - 1]; TREE_LEVELS];

/// Roots of empty subtrees: `[0]` is the empty leaf, `[16]` the empty tree.
#[must_use]
pub fn empty_roots() -> &'static [Fr; TREE_LEVELS + 1] {
    static ROOTS: OnceLock<[Fr; TREE_LEVELS + 1]> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut below = Fr::ZERO;
        let mut roots = [Fr::ZERO; TREE_LEVELS + 1];
        for root in roots.iter_mut().skip(1) {
            below = poseidon([below; TREE_ARITY]);
            *root = below;
        }
        roots
    })
}

fn empty_root(level: usize) -> Fr {
    empty_roots().get(level).copied().unwrap_or(Fr::ZERO)
}

fn digit(index: usize, level: usize) -> usize {
    (index >> (2 * level)) & (TREE_ARITY - 1)
}

/// Parent of `node` at position `digit` among its `siblings`.
fn parent(node: Fr, digit: usize, siblings: &[Fr; TREE_ARITY - 1]) -> Fr {
    let mut rest = siblings.iter();
    let children = std::array::from_fn(|place| {
        if place == digit {
            node
        } else {
            rest.next().copied().unwrap_or(Fr::ZERO)
        }
    });
    poseidon::<TREE_ARITY>(children)
}

/// Root of the tree in which `leaf` stands at `index` with these siblings.
#[must_use]
pub fn root_of_path(index: LeafIndex, leaf: Fr, siblings: &Siblings) -> Fr {
    let index = place(index);
    siblings
        .iter()
        .enumerate()
        .fold(leaf, |node, (level, siblings)| {
            parent(node, digit(index, level), siblings)
        })
}

fn place(index: LeafIndex) -> usize {
    usize::try_from(index.0).expect("usize has at least 32 bits on every supported machine")
}

/// A tree over leaf hashes 0..n.
#[derive(Clone, Debug)]
pub struct Tree {
    /// `levels[0]` are leaf hashes, `levels[16]` the root (absent while the tree is empty).
    levels: Vec<Vec<Fr>>,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            levels: vec![Vec::new(); TREE_LEVELS + 1],
        }
    }
}

impl Tree {
    /// The tree over these leaf hashes.
    #[must_use]
    pub fn new(leaves: Vec<Fr>) -> Self {
        let mut levels = Vec::with_capacity(TREE_LEVELS + 1);
        levels.push(leaves);
        for level in 0..TREE_LEVELS {
            let below = levels.last().map_or(&[][..], Vec::as_slice);
            let above = below
                .par_chunks(TREE_ARITY)
                .map(|children| {
                    poseidon::<TREE_ARITY>(std::array::from_fn(|i| {
                        children
                            .get(i)
                            .copied()
                            .unwrap_or_else(|| empty_root(level))
                    }))
                })
                .collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// The tree with these levels as [`Tree::levels`] gave them; hashes are taken as they are.
    ///
    /// `None` if the number or sizes of levels do not fit together.
    #[must_use]
    pub fn from_levels(levels: Vec<Vec<Fr>>) -> Option<Self> {
        let fits = levels.len() == TREE_LEVELS + 1
            && levels.windows(2).all(|pair| match pair {
                [below, above] => below.len().div_ceil(TREE_ARITY) == above.len(),
                _ => false,
            });
        fits.then_some(Self { levels })
    }

    /// All levels, leaf hashes first.
    #[must_use]
    pub fn levels(&self) -> &[Vec<Fr>] {
        &self.levels
    }

    /// Number of leaves.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Whether no leaf exists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> Fr {
        self.node(TREE_LEVELS, 0)
    }

    fn node(&self, level: usize, index: usize) -> Fr {
        self.levels
            .get(level)
            .and_then(|nodes| nodes.get(index))
            .copied()
            .unwrap_or_else(|| empty_root(level))
    }

    /// Siblings along the path of `index`, whether a leaf stands there or not.
    #[must_use]
    pub fn siblings(&self, index: LeafIndex) -> Siblings {
        let index = place(index);
        std::array::from_fn(|level| {
            let node = index >> (2 * level);
            let first = node - digit(index, level);
            let mut places = (first..first + TREE_ARITY).filter(|place| *place != node);
            std::array::from_fn(|_| {
                places
                    .next()
                    .map_or(Fr::ZERO, |place| self.node(level, place))
            })
        })
    }

    /// Sets leaf hashes and recomputes what is above them once; new indices must continue the old ones.
    ///
    /// Returns the changed nodes per level above the leaves, ascending: what a store must write.
    ///
    /// # Panics
    /// If an index would leave a gap: leaves are handed out in order by the only caller.
    pub fn update(&mut self, leaves: &[(LeafIndex, Fr)]) -> Vec<(usize, usize, Fr)> {
        let mut dirty = BTreeSet::new();
        for (index, hash) in leaves {
            let index = place(*index);
            self.write(0, index, *hash);
            dirty.insert(index / TREE_ARITY);
        }
        let mut changed = Vec::new();
        for level in 1..=TREE_LEVELS {
            let parents: Vec<usize> = dirty.iter().copied().collect();
            let hash = |parent: &usize| (*parent, self.hash_children(level, *parent));
            // Below a handful of hashes the fork costs more than it saves.
            let hashes: Vec<(usize, Fr)> = if parents.len() < 8 {
                parents.iter().map(hash).collect()
            } else {
                parents.par_iter().map(hash).collect()
            };
            dirty.clear();
            for (index, hash) in hashes {
                self.write(level, index, hash);
                dirty.insert(index / TREE_ARITY);
                changed.push((level, index, hash));
            }
        }
        changed
    }

    /// Writes one node, the next one of its level or one that exists.
    fn write(&mut self, level: usize, index: usize, hash: Fr) {
        let Some(nodes) = self.levels.get_mut(level) else {
            return;
        };
        if let Some(node) = nodes.get_mut(index) {
            *node = hash;
        } else {
            assert!(index == nodes.len(), "leaf indices are handed out in order");
            nodes.push(hash);
        }
    }

    /// Hash of a node above the leaves, from its children.
    fn hash_children(&self, level: usize, index: usize) -> Fr {
        let first = index * TREE_ARITY;
        let below = level.saturating_sub(1);
        poseidon::<TREE_ARITY>(std::array::from_fn(|i| self.node(below, first + i)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_tree_has_the_empty_root() {
        assert_eq!(Tree::default().root(), empty_roots()[TREE_LEVELS]);
        assert_eq!(Tree::new(vec![]).root(), empty_roots()[TREE_LEVELS]);
        assert_eq!(empty_roots()[0], Fr::ZERO);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn updates_equal_a_fresh_tree_and_paths_lead_to_the_root(
            start in 0_usize..70,
            writes in prop::collection::vec((0_usize..80, 1_u64..u64::MAX), 1..20),
        ) {
            let mut leaves: Vec<Fr> = (0..start).map(|i| Fr::from(i as u64 + 1)).collect();
            let mut tree = Tree::new(leaves.clone());
            for batch in writes.chunks(5) {
                let mut changes = vec![];
                for (index, value) in batch {
                    let index = (*index).min(leaves.len());
                    let value = Fr::from(*value);
                    if index == leaves.len() { leaves.push(value) } else { leaves[index] = value }
                    changes.push((LeafIndex(index as u32), value));
                }
                tree.update(&changes);
            }
            let fresh = Tree::new(leaves.clone());
            prop_assert_eq!(tree.levels(), fresh.levels());
            for index in [0, leaves.len() - 1, leaves.len(), 1 << 20] {
                let leaf = leaves.get(index).copied().unwrap_or(Fr::ZERO);
                let index = LeafIndex(index as u32);
                prop_assert_eq!(root_of_path(index, leaf, &tree.siblings(index)), tree.root());
                prop_assert_ne!(root_of_path(index, leaf + Fr::from(1_u64), &tree.siblings(index)), tree.root());
            }
            prop_assert!(Tree::from_levels(tree.levels().to_vec()).is_some());
        }
    }
}
