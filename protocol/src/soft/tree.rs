//! All soft blocks above one base, whose newest vote supports which, and which of them is the head.
//!
//! The head is found from the base upwards: of a block's children the one with the most weight, of equal weights the
//! one with the lower hash; a child without weight is no head. The weight of a block is that of the validators whose
//! newest vote is for it or for a block above it, so the weights of siblings never add up to more than the set's. A
//! validator that has signed two blocks with one number counts for none. Invariants: a block is here after its parent,
//! with a higher number; every validator has one vote and a fixed share of blocks and bytes.
//!
//! What this module does not do: forget. Whoever follows the chain starts a new tree on each base.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use super::{SOFT_BLOCK_BYTES_MAX, SignedSoftVote, SoftError, SoftHash, SoftProposal};
use crate::{
    account::L1Address,
    block::BlockId,
    number::Height,
    transaction::Domain,
    validator::{VALIDATORS_MAX, ValidatorSet},
};

/// Soft blocks of one tree, shared evenly by the validators: a long outage at one block a second for each of four.
const TREE_BLOCKS_MAX: usize = 4_096;
/// Bytes of the soft blocks of one tree, shared evenly by the validators.
const TREE_BYTES_MAX: usize = 32 << 20;

// Every validator's share of bytes has room for a block.
const _: () = assert!(TREE_BYTES_MAX / VALIDATORS_MAX > SOFT_BLOCK_BYTES_MAX);

/// Why a soft block or a vote is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoftRefusal {
    /// It stands on another block than this tree.
    #[error("it stands on another block, at height {0}")]
    OtherBase(Height),
    /// It is here, or says less than what is here.
    #[error("it is known")]
    Known,
    /// Its parent is not here.
    #[error("its parent {0} is not here")]
    Unconnected(SoftHash),
    /// The author has used up its share of the tree.
    #[error("{0} has used up its share of soft blocks above this base")]
    Full(L1Address),
    /// It is malformed.
    #[error(transparent)]
    Malformed(#[from] SoftError),
    /// Its signer is not in the set.
    #[error("{0} is not in the validator set")]
    Stranger(L1Address),
    /// The signature is not its signer's.
    #[error("the signature is not that of {0}")]
    Signature(L1Address),
    /// A number that is not above the parent's.
    #[error("number {number} is not above its parent's, {parent}")]
    Number {
        /// Its number.
        number: u64,
        /// The parent's.
        parent: u64,
    },
    /// A vote that gives a block another number than it has.
    #[error("a vote says {voted} of a soft block with number {number}")]
    OtherNumber {
        /// What the vote says.
        voted: u64,
        /// The block's number.
        number: u64,
    },
}

impl SoftRefusal {
    /// Whether every honest node on this base refuses it: then whoever sent it is at fault.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::OtherBase(_) | Self::Known | Self::Unconnected(_) | Self::Full(_) => false,
            Self::Malformed(_)
            | Self::Stranger(_)
            | Self::Signature(_)
            | Self::Number { .. }
            | Self::OtherNumber { .. } => true,
        }
    }
}

/// A soft block of a tree.
#[derive(Clone, Debug)]
pub struct SoftNode {
    /// The block, under its author's signature.
    pub proposal: SoftProposal,
    children: BTreeSet<SoftHash>,
}

/// A validator's newest vote.
#[derive(Clone, Copy, Debug)]
struct Support {
    vote: SignedSoftVote,
    /// It has signed two blocks with one number.
    is_faulty: bool,
}

/// What a tree says at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoftChoice {
    /// Head of the heaviest chain; none if no block has weight.
    pub head: Option<SoftHash>,
    /// Weight that supports each block.
    pub weights: BTreeMap<SoftHash, u128>,
}

/// Soft blocks and votes above one base.
#[derive(Clone, Debug)]
pub struct SoftTree {
    base_height: Height,
    base: BlockId,
    /// Children of the base.
    first: BTreeSet<SoftHash>,
    nodes: BTreeMap<SoftHash, SoftNode>,
    by_number: BTreeSet<(u64, SoftHash)>,
    votes: BTreeMap<L1Address, Support>,
    /// Blocks and bytes by author.
    used: BTreeMap<L1Address, (usize, usize)>,
}

impl SoftTree {
    /// The tree above a certified block: nothing yet.
    #[must_use]
    pub fn new(base_height: Height, base: BlockId) -> Self {
        Self {
            base_height,
            base,
            first: BTreeSet::new(),
            nodes: BTreeMap::new(),
            by_number: BTreeSet::new(),
            votes: BTreeMap::new(),
            used: BTreeMap::new(),
        }
    }

    /// The certified block that it stands on.
    #[must_use]
    pub fn base(&self) -> (Height, BlockId) {
        (self.base_height, self.base)
    }

    /// The parent of a first block.
    #[must_use]
    pub fn root(&self) -> SoftHash {
        SoftHash(self.base.0)
    }

    /// A block of the tree.
    #[must_use]
    pub fn get(&self, hash: &SoftHash) -> Option<&SoftNode> {
        self.nodes.get(hash)
    }

    /// Number of a block; 0 of the base.
    #[must_use]
    pub fn number_of(&self, hash: &SoftHash) -> Option<u64> {
        if *hash == self.root() {
            return Some(0);
        }
        self.nodes.get(hash).map(|node| node.proposal.block.number)
    }

    /// Whether a block may be inserted once its submissions turn out to apply.
    ///
    /// # Errors
    /// [`SoftRefusal`].
    pub fn examine(
        &self,
        proposal: &SoftProposal,
        domain: &Domain,
        set: &ValidatorSet,
    ) -> Result<(), SoftRefusal> {
        let block = &proposal.block;
        let bytes = block.check()?;
        if (block.base_height, block.base) != (self.base_height, self.base) {
            return Err(SoftRefusal::OtherBase(block.base_height));
        }
        if self.nodes.contains_key(&block.hash()) {
            return Err(SoftRefusal::Known);
        }
        check_vote(&proposal.vote(), domain, set)?;
        let unknown = || SoftRefusal::Unconnected(block.parent);
        let parent = self.number_of(&block.parent).ok_or_else(unknown)?;
        let number = block.number;
        if number <= parent {
            return Err(SoftRefusal::Number { number, parent });
        }
        let shares = set.validators().len().max(1);
        let (blocks_used, bytes_used) = self.used.get(&block.author).copied().unwrap_or_default();
        let is_full = blocks_used >= TREE_BLOCKS_MAX / shares
            || bytes_used.saturating_add(bytes) > TREE_BYTES_MAX / shares;
        if is_full {
            return Err(SoftRefusal::Full(block.author));
        }
        Ok(())
    }

    /// Takes a block whose submissions apply after its parent, and its author's vote.
    ///
    /// # Errors
    /// As [`SoftTree::examine`].
    pub fn insert(
        &mut self,
        proposal: SoftProposal,
        domain: &Domain,
        set: &ValidatorSet,
    ) -> Result<SoftHash, SoftRefusal> {
        self.examine(&proposal, domain, set)?;
        let block = &proposal.block;
        let (hash, vote) = (block.hash(), proposal.vote());
        let bytes = block.check()?;
        let siblings = match self.nodes.get_mut(&block.parent) {
            Some(parent) => &mut parent.children,
            None => &mut self.first,
        };
        siblings.insert(hash);
        let used = self.used.entry(block.author).or_default();
        *used = (used.0.saturating_add(1), used.1.saturating_add(bytes));
        self.by_number.insert((block.number, hash));
        let children = BTreeSet::new();
        self.nodes.insert(hash, SoftNode { proposal, children });
        self.count(vote);
        Ok(hash)
    }

    /// Whether a vote, for a block that is here or may come, says something new.
    ///
    /// # Errors
    /// [`SoftRefusal`].
    pub fn examine_vote(
        &self,
        signed: &SignedSoftVote,
        domain: &Domain,
        set: &ValidatorSet,
    ) -> Result<(), SoftRefusal> {
        let vote = &signed.vote;
        if (vote.base_height, vote.base) != (self.base_height, self.base) {
            return Err(SoftRefusal::OtherBase(vote.base_height));
        }
        if let Some(known) = self.votes.get(&signed.validator)
            && (known.is_faulty || known.vote == *signed || known.vote.vote.number > vote.number)
        {
            return Err(SoftRefusal::Known);
        }
        check_vote(signed, domain, set)?;
        if let Some(node) = self.nodes.get(&vote.block) {
            let (voted, number) = (vote.number, node.proposal.block.number);
            if voted != number {
                return Err(SoftRefusal::OtherNumber { voted, number });
            }
        }
        Ok(())
    }

    /// Takes a vote.
    ///
    /// # Errors
    /// As [`SoftTree::examine_vote`].
    pub fn vote(
        &mut self,
        signed: SignedSoftVote,
        domain: &Domain,
        set: &ValidatorSet,
    ) -> Result<(), SoftRefusal> {
        self.examine_vote(&signed, domain, set)?;
        self.count(signed);
        Ok(())
    }

    /// Counts a vote that was checked.
    fn count(&mut self, signed: SignedSoftVote) {
        let support = Support {
            vote: signed,
            is_faulty: false,
        };
        match self.votes.entry(signed.validator) {
            Entry::Vacant(place) => {
                place.insert(support);
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                let (old, new) = (&known.vote.vote, &signed.vote);
                if new.number == old.number {
                    known.is_faulty |= new.block != old.block;
                } else if new.number > old.number && !known.is_faulty {
                    *known = support;
                }
            }
        }
    }

    /// The head, and the weight of every block.
    #[must_use]
    pub fn choose(&self, set: &ValidatorSet) -> SoftChoice {
        let mut weights: BTreeMap<SoftHash, u128> = BTreeMap::new();
        for (validator, support) in &self.votes {
            let vote = &support.vote.vote;
            let is_here = self.number_of(&vote.block) == Some(vote.number);
            if is_here && !support.is_faulty {
                *weights.entry(vote.block).or_default() += set.weight_of(validator);
            }
        }
        // the highest numbers first: a block's weight is complete before its parent's is made of it
        for (_, hash) in self.by_number.iter().rev() {
            let weight = weights.get(hash).copied().unwrap_or(0);
            let parent = self.nodes.get(hash).map(|node| node.proposal.block.parent);
            if let Some(parent) = parent.filter(|_| weight > 0) {
                *weights.entry(parent).or_default() += weight;
            }
        }
        weights.remove(&self.root());
        let mut head = None;
        let mut children = &self.first;
        loop {
            // ascending hashes: of equal weights the first stays
            let mut best: Option<(u128, SoftHash)> = None;
            for child in children {
                let weight = weights.get(child).copied().unwrap_or(0);
                if weight > best.map_or(0, |(weight, _)| weight) {
                    best = Some((weight, *child));
                }
            }
            let Some(node) = best.and_then(|(_, hash)| self.nodes.get(&hash)) else {
                return SoftChoice { head, weights };
            };
            head = best.map(|(_, hash)| hash);
            children = &node.children;
        }
    }

    /// The chain that ends in this block, from the base upwards.
    #[must_use]
    pub fn chain(&self, head: Option<SoftHash>) -> Vec<(SoftHash, &SoftNode)> {
        let mut chain = Vec::new();
        let mut next = head;
        while let Some((hash, node)) = next.and_then(|hash| Some((hash, self.nodes.get(&hash)?))) {
            chain.push((hash, node));
            next = Some(node.proposal.block.parent);
        }
        chain.reverse();
        chain
    }

    /// The blocks that nothing stands on, the highest first.
    pub fn tips(&self) -> impl Iterator<Item = (SoftHash, &SoftNode)> {
        let all = self.by_number.iter().rev();
        all.filter_map(|(_, hash)| Some((*hash, self.nodes.get(hash)?)))
            .filter(|(_, node)| node.children.is_empty())
    }

    /// Every validator's newest vote that counts.
    pub fn votes(&self) -> impl Iterator<Item = &SignedSoftVote> {
        let votes = self.votes.values().filter(|support| !support.is_faulty);
        votes.map(|support| &support.vote)
    }

    /// Blocks, parents first, without those that end in one of the `known`, in `bytes_max` bytes at most.
    #[must_use]
    pub fn beyond(&self, known: &[SoftHash], bytes_max: usize) -> Vec<&SoftProposal> {
        let mut skipped: BTreeSet<SoftHash> = BTreeSet::new();
        for tip in known {
            let mut next = Some(*tip);
            while let Some(node) = next.and_then(|hash| self.nodes.get(&hash)) {
                if !next.is_some_and(|hash| skipped.insert(hash)) {
                    break;
                }
                next = Some(node.proposal.block.parent);
            }
        }
        let mut left = bytes_max;
        let missing = self.by_number.iter().map(|(_, hash)| hash);
        missing
            .filter(|hash| !skipped.contains(hash))
            .filter_map(|hash| self.nodes.get(hash))
            .map(|node| &node.proposal)
            .take_while(|proposal| {
                let bytes = proposal.block.check().unwrap_or(SOFT_BLOCK_BYTES_MAX);
                left.checked_sub(bytes).map(|rest| left = rest).is_some()
            })
            .collect()
    }
}

fn check_vote(
    signed: &SignedSoftVote,
    domain: &Domain,
    set: &ValidatorSet,
) -> Result<(), SoftRefusal> {
    if set.weight_of(&signed.validator) == 0 {
        return Err(SoftRefusal::Stranger(signed.validator));
    }
    if !signed.is_authentic(domain) {
        return Err(SoftRefusal::Signature(signed.validator));
    }
    Ok(())
}
