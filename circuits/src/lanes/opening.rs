//! From the accesses of a chunk, each with its own path, to one opening of the tree.
//!
//! A node that no access passes through has one value for the whole chunk, so any path that names it will do; all
//! others are computed from the leaves, as they were before the first access and are after the last.

use std::collections::BTreeMap;

use halo2curves::bn256::Fr;
use protocol::account::Leaf;
use protocol::params::TREE_LEVELS;
use protocol::witness::AccessWitness;
use rayon::prelude::*;

use super::tree::{LeafPair, NodePair};
use crate::convert::to_circuit;
use crate::gadgets::poseidon::schedule;

/// Everything that a chunk opens, leaves by index and nodes level by level.
#[derive(Debug)]
pub struct Opening {
    /// Leaves.
    pub leaves: Vec<LeafPair>,
    /// Inner nodes, lowest level first.
    pub nodes: Vec<NodePair>,
    /// Root before and after.
    pub roots: [Fr; 2],
    /// When the leaf of each access was last written before it, in order of the accesses.
    pub times: Vec<u64>,
    /// Positions of accesses that find another leaf than was last written.
    pub misfits: Vec<usize>,
}

/// The inputs of a leaf's hash, and whether there is a leaf.
pub(super) fn inputs(leaf: Option<&Leaf>) -> ([Fr; 4], bool) {
    let fields = leaf.map_or([Fr::zero(); 4], |leaf| {
        [leaf.key.x, leaf.key.y, leaf.meta(), leaf.holdings()].map(to_circuit)
    });
    (fields, leaf.is_some())
}

fn value((fields, live): &([Fr; 4], bool)) -> Fr {
    if *live {
        schedule(5).run(fields).1
    } else {
        Fr::zero()
    }
}

impl Opening {
    /// The opening that serves these accesses; the time of the first is 1.
    #[must_use]
    pub fn new<'a>(accesses: impl Iterator<Item = &'a AccessWitness>) -> Self {
        let mut leaves: BTreeMap<u64, (LeafPair, Option<Leaf>)> = BTreeMap::new();
        let mut siblings: BTreeMap<(usize, u64), Fr> = BTreeMap::new();
        let (mut times, mut misfits) = (Vec::new(), Vec::new());
        for (number, witness) in accesses.enumerate() {
            let access = &witness.access;
            let index = u64::from(access.index.0);
            let now = number as u64 + 1;
            let after = inputs(access.after.as_ref());
            match leaves.get_mut(&index) {
                Some((leaf, last)) => {
                    times.push(leaf.written);
                    if *last != access.before {
                        misfits.push(number);
                    }
                    (leaf.after, leaf.written) = (after, now);
                    *last = access.after;
                }
                None => {
                    times.push(0);
                    let leaf = LeafPair {
                        index,
                        before: inputs(access.before.as_ref()),
                        after,
                        written: now,
                    };
                    leaves.insert(index, (leaf, access.after));
                    let mut place = index;
                    for (level, nodes) in witness.siblings.iter().enumerate() {
                        let others = (0..4).filter(|j| *j != place & 3);
                        for (j, node) in others.zip(nodes) {
                            let key = (level, place & !3 | j);
                            siblings.entry(key).or_insert_with(|| to_circuit(*node));
                        }
                        place >>= 2;
                    }
                }
            }
        }
        let leaves: Vec<LeafPair> = leaves.into_values().map(|(leaf, _)| leaf).collect();
        let mut level_values: Vec<(u64, [Fr; 2])> = leaves
            .par_iter()
            .map(|leaf| (leaf.index, [value(&leaf.before), value(&leaf.after)]))
            .collect();
        let mut nodes = Vec::new();
        for level in 1..=TREE_LEVELS {
            let mut parents: BTreeMap<u64, NodePair> = BTreeMap::new();
            for (index, [before, after]) in &level_values {
                let parent = parents.entry(index >> 2).or_insert_with(|| NodePair {
                    level: level as u64,
                    index: index >> 2,
                    before: std::array::from_fn(|j| {
                        let key = (level - 1, index & !3 | j as u64);
                        siblings.get(&key).copied().unwrap_or(Fr::zero())
                    }),
                    after: [Fr::zero(); 4],
                    opened: [false; 4],
                });
                let j = (index & 3) as usize;
                parent.opened[j] = true;
                (parent.before[j], parent.after[j]) = (*before, *after);
            }
            let mut parents: Vec<NodePair> = parents.into_values().collect();
            for parent in &mut parents {
                for j in 0..4 {
                    if !parent.opened[j] {
                        parent.after[j] = parent.before[j];
                    }
                }
            }
            level_values = parents
                .par_iter()
                .map(|node| {
                    let hash = |children: &[Fr; 4]| schedule(5).run(children).1;
                    (node.index, [hash(&node.before), hash(&node.after)])
                })
                .collect();
            nodes.extend(parents);
        }
        let roots = level_values
            .first()
            .map_or([Fr::zero(); 2], |(_, roots)| *roots);
        Opening {
            leaves,
            nodes,
            roots,
            times,
            misfits,
        }
    }
}
