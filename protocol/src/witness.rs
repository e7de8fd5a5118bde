//! Witnesses: all private input of one proof, self-contained (`protocol.md`, "Public inputs"; `proving.md`).
//!
//! [`BatchTrace`] executes the pairs of a batch one access at a time, with the path of every access, and cuts them
//! into [`ChunkWitness`]es; at the end it yields the [`DataWitness`]. It is the native twin of the chunk circuit:
//! `h`, roots and counts are computed here and nowhere else.

use ark_bn254::Fr;
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::Leaf,
    batch::{PAIR_GROUPS, Pair, pair_groups},
    chunk::{ChunkLoad, ChunkSize},
    codec::borsh_field,
    number::{Height, LeafIndex},
    params::TREE_LEVELS,
    state::{LeafView, State},
    threaded::Threaded,
    transaction::Domain,
    transition::{Access, Executed, Header, InvalidOperation, Operation, execute, open_block},
    tree::{LazyTree, Siblings},
    words::{Group, WordCounts, Words, absorb, iv_data},
};

/// One opened leaf with the path that proves both of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessWitness {
    /// Place and both values.
    pub access: Access,
    /// Siblings at the time of the access, leaves first.
    pub siblings: Siblings,
}

impl BorshSerialize for AccessWitness {
    fn serialize<W: std::io::Write>(&self, writer: &mut W) -> std::io::Result<()> {
        self.access.serialize(writer)?;
        self.siblings
            .iter()
            .flatten()
            .try_for_each(|node| borsh_field::serialize(node, writer))
    }
}

impl BorshDeserialize for AccessWitness {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        let access = Access::deserialize_reader(reader)?;
        let mut siblings: Siblings = [[Fr::from(0_u64); 3]; TREE_LEVELS];
        for node in siblings.iter_mut().flatten() {
            *node = borsh_field::deserialize(reader)?;
        }
        Ok(Self { access, siblings })
    }
}

/// One slot: the operation, and its three accesses in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SlotWitness {
    /// What the slot holds.
    pub operation: Operation,
    /// Sender, recipient, fee leaf.
    pub accesses: [AccessWitness; 3],
}

/// One pair of slots and what it absorbs.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PairWitness {
    /// Header of the block it opens.
    pub header: Option<Header>,
    /// Both slots.
    pub slots: [SlotWitness; 2],
    /// What is absorbed, in order.
    pub groups: [Group; PAIR_GROUPS],
}

/// All private input of one chunk proof. Pairs beyond the last are empty: they change nothing.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkWitness {
    /// First public input.
    pub domain: Domain,
    /// Threaded state before the first pair; its digest is the second public input.
    pub before: Threaded,
    /// Threaded state after the last pair; its digest is the third public input.
    pub after: Threaded,
    /// No more pairs, and no more of what they need, than the circuit has room for ([`ChunkSize`]).
    pub pairs: Vec<PairWitness>,
    /// Siblings of leaf 0 at the end, and the leaf: what the reads of an empty pair open.
    pub idle: AccessWitness,
}

impl ChunkWitness {
    /// `domain, D_before, D_after`.
    #[must_use]
    pub fn public_inputs(&self) -> [Fr; 3] {
        [self.domain.0, self.before.digest(), self.after.digest()]
    }
}

/// All private input of one data proof: what was absorbed, and the point of evaluation.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DataWitness {
    /// Absorbed groups, in order; at most `BATCH_ABSORPTIONS_MAX`.
    pub groups: Vec<Group>,
    /// Point at which the three sequences are evaluated.
    #[borsh(
        serialize_with = "borsh_field::serialize",
        deserialize_with = "borsh_field::deserialize"
    )]
    pub z: Fr,
}

impl DataWitness {
    /// `h, z, y_ops, y_withdrawals, y_inbox, n_ops + 2^64 n_withdrawals + 2^128 n_inbox`: the public inputs of the
    /// data circuit. The count of signed operations is not its business (it comes from the chunk digest).
    #[must_use]
    pub fn public_inputs(&self) -> [Fr; 6] {
        let mut words = Words::default();
        let mut counts = WordCounts::default();
        let mut h = iv_data();
        for group in &self.groups {
            h = absorb(&h, group);
            words.extend(group);
            counts.count(group);
        }
        let y = |sequence: &[crate::words::Word]| crate::words::evaluate(sequence, &self.z);
        [
            h,
            self.z,
            y(&words.ops),
            y(&words.withdrawals),
            y(&words.inbox),
            counts.to_field(),
        ]
    }
}

/// Leaves and tree while a batch is traced: nodes are hashed when a path needs them.
struct TracedState {
    leaves: Vec<Leaf>,
    tree: LazyTree,
}

impl TracedState {
    fn write(&mut self, index: LeafIndex, leaf: Leaf) {
        self.tree.set(index, leaf.hash());
        let place = usize::try_from(index.0).ok();
        match place.and_then(|place| self.leaves.get_mut(place)) {
            Some(old) => *old = leaf,
            None => self.leaves.push(leaf), // the tree has checked that it is the next one
        }
    }
}

impl LeafView for TracedState {
    fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.leaves.get(usize::try_from(index.0).ok()?).copied()
    }
}

/// Executes a batch pair by pair and cuts it into chunks.
pub struct BatchTrace {
    domain: Domain,
    state: TracedState,
    /// Threaded state at the start of the batch.
    start: Threaded,
    threaded: Threaded,
    chunk_start: Threaded,
    size: ChunkSize,
    load: ChunkLoad,
    pairs: Vec<PairWitness>,
    groups: Vec<Group>,
    words: Words,
}

impl BatchTrace {
    /// Starts a batch on this state, to be cut into chunks of the protocol's size.
    #[must_use]
    pub fn new(domain: Domain, state: State, height: Height, inbox_count: u64) -> Self {
        Self::with_chunks(ChunkSize::PROTOCOL, domain, state, height, inbox_count)
    }

    /// As [`BatchTrace::new`], for a circuit of another size, which has room for [`ChunkSize::PAIR_MAX`] at least.
    #[must_use]
    pub fn with_chunks(
        size: ChunkSize,
        domain: Domain,
        state: State,
        height: Height,
        inbox_count: u64,
    ) -> Self {
        let start = Threaded::batch_start(state.root(), state.leaf_count(), height, inbox_count);
        let (leaves, tree) = state.into_parts();
        let tree = LazyTree::new(tree);
        Self {
            domain,
            state: TracedState { leaves, tree },
            start,
            threaded: start,
            chunk_start: start,
            size,
            load: ChunkLoad::default(),
            pairs: Vec::new(),
            groups: Vec::new(),
            words: Words::default(),
        }
    }

    /// Threaded state at the start of the batch.
    #[must_use]
    pub fn start(&self) -> &Threaded {
        &self.start
    }

    /// Threaded state now; its root is that of the last cut.
    #[must_use]
    pub fn threaded(&self) -> &Threaded {
        &self.threaded
    }

    /// Words published so far.
    #[must_use]
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// A leaf as the batch has left it so far.
    #[must_use]
    pub fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.state.leaf(index)
    }

    /// Executes a pair; returns the chunk that ends with it, if another pair might not fit.
    ///
    /// # Errors
    /// The rule an operation breaks: a certified block never holds one, so the caller's data is corrupt. The trace
    /// must then be discarded.
    pub fn push(&mut self, pair: &Pair) -> Result<Option<ChunkWitness>, InvalidOperation> {
        if let Some(header) = &pair.header {
            open_block(&mut self.threaded, header)?;
        }
        let [first, second] = &pair.slots;
        let (first, first_done) = self.slot(first)?;
        let (second, second_done) = self.slot(second)?;
        let groups = pair_groups(pair, &[first_done, second_done]);
        for group in groups
            .iter()
            .filter(|group| group.iter().any(Option::is_some))
        {
            self.threaded.h = absorb(&self.threaded.h, group);
            self.threaded.counts.count(group);
            self.words.extend(group);
            self.groups.push(*group);
        }
        let pair = PairWitness {
            header: pair.header.clone(),
            slots: [first, second],
            groups,
        };
        self.load.take(&pair);
        self.pairs.push(pair);
        let used = self.load.used();
        let is_full = !self.size.has_room(&used, &ChunkSize::PAIR_MAX);
        Ok(is_full.then(|| self.cut()))
    }

    fn slot(&mut self, operation: &Operation) -> Result<(SlotWitness, Executed), InvalidOperation> {
        let executed = execute(&self.state, &mut self.threaded, &self.domain, operation)?;
        let accesses = executed.accesses.map(|access| self.open(access));
        Ok((
            SlotWitness {
                operation: *operation,
                accesses,
            },
            executed,
        ))
    }

    fn open(&mut self, access: Access) -> AccessWitness {
        let siblings = self.state.tree.siblings(access.index);
        if let (Some(after), true) = (access.after, access.before != access.after) {
            self.state.write(access.index, after);
        }
        AccessWitness { access, siblings }
    }

    /// Ends the chunk here, full or not.
    pub fn cut(&mut self) -> ChunkWitness {
        self.threaded.root = self.state.tree.root();
        let leaf = self.state.leaf(LeafIndex(0));
        let idle = Access {
            index: LeafIndex(0),
            before: leaf,
            after: leaf,
        };
        let witness = ChunkWitness {
            domain: self.domain,
            before: self.chunk_start,
            after: self.threaded,
            pairs: std::mem::take(&mut self.pairs),
            idle: AccessWitness {
                access: idle,
                siblings: self.state.tree.siblings(LeafIndex(0)),
            },
        };
        self.chunk_start = self.threaded;
        self.load = ChunkLoad::default();
        witness
    }

    /// Ends the batch: the last chunk (absent if the one before was cut exactly here), the state, and the groups
    /// for [`DataWitness`].
    #[must_use]
    pub fn finish(mut self) -> FinishedBatch {
        let chunk = (!self.pairs.is_empty()).then(|| self.cut());
        let TracedState { leaves, tree } = self.state;
        let state = State::from_parts(leaves, tree.into_tree());
        FinishedBatch {
            chunk,
            start: self.start,
            end: self.threaded,
            words: self.words,
            groups: self.groups,
            state: state.expect("a leaf and its hash are written together"),
        }
    }
}

/// What [`BatchTrace::finish`] yields.
pub struct FinishedBatch {
    /// The last, partly filled chunk.
    pub chunk: Option<ChunkWitness>,
    /// Threaded state before the batch.
    pub start: Threaded,
    /// Threaded state after the batch.
    pub end: Threaded,
    /// What is published.
    pub words: Words,
    /// What was absorbed.
    pub groups: Vec<Group>,
    /// State after the batch.
    pub state: State,
}

#[cfg(test)]
mod tests;
