//! State, blocks and what goes with a block: one batch each.

use std::collections::BTreeMap;

use protocol::{
    Fr,
    account::{L1Address, Leaf, LeafKey},
    block::Tip,
    codec::{field_from_le_bytes, field_to_be_bytes, field_to_le_bytes},
    genesis::Genesis,
    history::HISTORY_BLOCKS,
    number::{Epoch, Height, LeafIndex, TokenId},
    params::{TREE_ARITY, TREE_LEVELS},
    state::State,
    transaction::TransactionId,
    tree::Tree,
    validator::ValidatorSet,
};
use rocksdb::WriteBatch;

use super::{
    Column, Durability, OpenBatchRecord, StorageError, Store, StoredBlock, TipRecord,
    TransactionRecord, Undo, open,
};

/// Everything a block writes.
pub(crate) struct BlockWrite<'a> {
    pub(crate) stored: &'a StoredBlock,
    pub(crate) tip: Tip,
    /// The state after the block.
    pub(crate) state: &'a State,
    /// Changed leaves, and what they were.
    pub(crate) changes: &'a BTreeMap<LeafIndex, Leaf>,
    pub(crate) undo: &'a Undo,
    /// Changed nodes above the leaves.
    pub(crate) nodes: &'a [(usize, usize, Fr)],
    /// Records of the block's operations.
    pub(crate) transactions: &'a [(TransactionId, TransactionRecord)],
    /// Leaf, height, place and id of each operation that names a leaf.
    pub(crate) mentions: &'a [(LeafIndex, u32, TransactionId)],
    /// What left the pool without being ordered.
    pub(crate) departed: &'a [super::Departed],
    /// Mempool entries that are done.
    pub(crate) done: &'a [u64],
    /// The set of the next epoch, if this block is the first that names it.
    pub(crate) next_set: Option<&'a ValidatorSet>,
}

fn node_key(level: usize, index: usize) -> [u8; 5] {
    let mut key = [0; 5];
    key[0] = u8::try_from(level).expect("the tree has 16 levels");
    let index = u32::try_from(index).expect("the tree has at most 2^32 leaves");
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Leaf hash, then the leaf.
fn leaf_value(hash: &Fr, leaf: &Leaf) -> Vec<u8> {
    let mut value = field_to_le_bytes(hash).to_vec();
    value.extend_from_slice(&protocol::codec::to_bytes(leaf));
    value
}

/// Key x, key y, l1_owner: prefix of an owner's leaves.
fn owner_prefix(key: &LeafKey, owner: &L1Address) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(92);
    prefix.extend_from_slice(&field_to_be_bytes(&key.x));
    prefix.extend_from_slice(&field_to_be_bytes(&key.y));
    prefix.extend_from_slice(&owner.0);
    prefix
}

fn owner_key(leaf: &Leaf, index: LeafIndex) -> Vec<u8> {
    let mut key = owner_prefix(&leaf.key, &leaf.l1_owner);
    key.extend_from_slice(&leaf.token.0.to_be_bytes());
    key.extend_from_slice(&index.0.to_be_bytes());
    key
}

/// Everything that a state is on disk: column, key, value.
pub(super) fn state_entries(state: &State) -> impl Iterator<Item = (Column, Vec<u8>, Vec<u8>)> {
    let levels = state.tree().levels();
    let leaves = (0_u32..).zip(state.leaves()).zip(levels.iter().flatten());
    let leaves = leaves.flat_map(|((index, leaf), hash)| {
        let key = index.to_be_bytes().to_vec();
        let owner = owner_key(leaf, LeafIndex(index));
        [
            (Column::Leaves, key, leaf_value(hash, leaf)),
            (Column::Owners, owner, Vec::new()),
        ]
    });
    let levels = levels.iter().enumerate().skip(1);
    let nodes = levels.flat_map(|(level, nodes)| {
        nodes.iter().enumerate().map(move |(index, hash)| {
            let key = node_key(level, index).to_vec();
            (Column::Nodes, key, field_to_le_bytes(hash).to_vec())
        })
    });
    leaves.chain(nodes)
}

impl Store {
    pub(super) fn put_whole_state(&self, batch: &mut WriteBatch, state: &State) {
        for (column, key, value) in state_entries(state) {
            batch.put_cf(self.column(column), key, value);
        }
    }

    /// Stores a block with all it changes, synced.
    pub(crate) fn write_block(&self, write: &BlockWrite<'_>) -> Result<(), StorageError> {
        let mut batch = WriteBatch::default();
        let height = write.tip.height;
        let hashes = write
            .state
            .tree()
            .levels()
            .first()
            .map_or(&[][..], Vec::as_slice);
        for (index, leaf) in write.changes {
            let hash = usize::try_from(index.0)
                .ok()
                .and_then(|index| hashes.get(index))
                .expect("the state after the block holds every changed leaf");
            let leaves = self.column(Column::Leaves);
            batch.put_cf(leaves, index.0.to_be_bytes(), leaf_value(hash, leaf));
            let earlier = write.undo.earlier.get(index);
            let moved = earlier.is_none_or(|earlier| earlier.key != leaf.key);
            if moved {
                let owners = self.column(Column::Owners);
                if let Some(earlier) = earlier {
                    batch.delete_cf(owners, owner_key(earlier, *index));
                }
                batch.put_cf(owners, owner_key(leaf, *index), []);
            }
        }
        for (level, index, hash) in write.nodes {
            let column = self.column(Column::Nodes);
            batch.put_cf(column, node_key(*level, *index), field_to_le_bytes(hash));
        }
        self.put(
            &mut batch,
            Column::Blocks,
            &height.0.to_be_bytes(),
            write.stored,
        );
        self.delete_undecided(&mut batch, height);
        if !write.changes.is_empty() {
            self.put(
                &mut batch,
                Column::Undo,
                &height.0.to_be_bytes(),
                write.undo,
            );
        }
        for (id, record) in write.transactions {
            self.put(&mut batch, Column::Transactions, &id.0, record);
        }
        for (leaf, place, id) in write.mentions {
            let key = mention_key(*leaf, height, *place);
            self.put(&mut batch, Column::LeafTransactions, &key, id);
        }
        self.delete_departed(&mut batch, height);
        for departed in write.departed {
            self.put_departed(&mut batch, height, departed);
        }
        for sequence in write.done {
            self.delete(&mut batch, Column::Mempool, &sequence.to_be_bytes());
        }
        if let Some(set) = write.next_set {
            self.put_validator_set(&mut batch, Epoch::of(height).next(), set);
        }
        let record = TipRecord {
            tip: write.tip,
            root: write.state.root(),
            leaf_count: write.state.leaf_count(),
        };
        self.put(&mut batch, Column::Meta, open::TIP_KEY, &record);
        self.write(batch, Durability::Synced)
    }

    /// The state on disk, without hashing, and where it stands.
    pub(crate) fn load_state(&self, genesis: &Genesis) -> Result<(State, Tip), StorageError> {
        let record: TipRecord = self
            .get(Column::Meta, open::TIP_KEY)?
            .ok_or_else(|| self.corrupt("its tip is not recorded"))?;
        let (mut leaves, mut levels) = (Vec::new(), vec![Vec::new(); TREE_LEVELS + 1]);
        self.scan(Column::Leaves, None, false, |key, value| {
            if *key
                != u32::try_from(leaves.len())
                    .unwrap_or(u32::MAX)
                    .to_be_bytes()
            {
                return Err(self.corrupt(format!("leaf {} is missing", leaves.len())));
            }
            let (hash, leaf) = value
                .split_first_chunk::<32>()
                .ok_or_else(|| self.corrupt("a leaf is cut off"))?;
            let hash =
                field_from_le_bytes(hash).map_err(|error| self.corrupt(error.to_string()))?;
            leaves.push(self.decode(Column::Leaves, leaf)?);
            levels[0].push(hash);
            Ok(true)
        })?;
        self.scan(Column::Nodes, None, false, |key, value| {
            let level = key.first().map_or(0, |level| usize::from(*level));
            let nodes = levels
                .get_mut(level)
                .filter(|nodes| *key == node_key(level, nodes.len()))
                .ok_or_else(|| self.corrupt("a tree node is missing or out of place"))?;
            let hash = <[u8; 32]>::try_from(value)
                .ok()
                .and_then(|bytes| field_from_le_bytes(&bytes).ok())
                .ok_or_else(|| self.corrupt("a tree node is no field element"))?;
            nodes.push(hash);
            Ok(true)
        })?;
        let state = Tree::from_levels(levels)
            .and_then(|tree| State::from_parts(leaves, tree))
            .ok_or_else(|| self.corrupt("leaves and tree nodes do not fit together"))?;
        if state.root() != record.root || state.leaf_count() != record.leaf_count {
            return Err(self.corrupt("leaves and tree are not those of the newest block"));
        }
        self.spot_check(&state)?;
        self.check_tip(&record.tip, genesis)?;
        Ok((state, record.tip))
    }

    /// Rehashes the newest leaves and their paths: stored hashes are taken as they are otherwise.
    fn spot_check(&self, state: &State) -> Result<(), StorageError> {
        let count = state.leaves().len();
        for (index, leaf) in state
            .leaves()
            .iter()
            .enumerate()
            .skip(count.saturating_sub(TREE_ARITY))
        {
            let index = LeafIndex(u32::try_from(index).unwrap_or(u32::MAX));
            let root = protocol::tree::root_of_path(index, leaf.hash(), &state.siblings(index));
            if root != state.root() {
                return Err(self.corrupt(format!("leaf {index} does not hash to the state root")));
            }
        }
        Ok(())
    }

    fn check_tip(&self, tip: &Tip, genesis: &Genesis) -> Result<(), StorageError> {
        if tip.height == Height(0) {
            return if *tip == genesis.tip() {
                Ok(())
            } else {
                Err(self.corrupt("height 0 is not genesis"))
            };
        }
        if self.check_rebuilt(tip, genesis)? || self.check_restart(tip, genesis)? {
            return Ok(());
        }
        let stored = self
            .block(tip.height)?
            .ok_or_else(|| self.corrupt(format!("block {} is missing", tip.height)))?;
        if stored.block.id() != tip.id || stored.certificate.block != tip.id {
            return Err(self.corrupt(format!("block {} is not the newest one", tip.height)));
        }
        let epoch = Epoch::of(tip.height);
        stored
            .certificate
            .verify(&genesis.domain(), &self.office(epoch)?)
            .map_err(|error| {
                self.corrupt(format!("certificate of block {}: {error}", tip.height))
            })?;
        if self.office(epoch.next())?.hash() != stored.block.header.core.next_set_hash {
            let what = format!(
                "the set of epoch {} is not the one that was decided",
                epoch.next()
            );
            return Err(self.corrupt(what));
        }
        Ok(())
    }

    /// The last blocks up to the newest, as many as the vote rule looks back on.
    pub(crate) fn recent_blocks(&self, tip: Height) -> Result<Vec<StoredBlock>, StorageError> {
        let count = u64::try_from(HISTORY_BLOCKS).unwrap_or(u64::MAX);
        let first = self.first_height()?;
        (first.0.max(tip.0.saturating_sub(count) + 1)..=tip.0)
            .map(|height| {
                let missing = || self.corrupt(format!("block {height} is missing"));
                self.block(Height(height))?.ok_or_else(missing)
            })
            .collect()
    }

    /// A certified block.
    pub(crate) fn block(&self, height: Height) -> Result<Option<StoredBlock>, StorageError> {
        self.get(Column::Blocks, &height.0.to_be_bytes())
    }

    /// The state before block `first`, from the state after the newest one.
    pub(crate) fn state_before(
        &self,
        mut state: State,
        first: Height,
    ) -> Result<State, StorageError> {
        if let Some(undo) = self.frozen().undo_since(first)? {
            state.revert(undo.leaf_count, &undo.earlier);
        }
        Ok(state)
    }

    /// Forgets how to undo blocks below `height`.
    pub(super) fn delete_undo_below(
        &self,
        batch: &mut WriteBatch,
        height: Height,
    ) -> Result<(), StorageError> {
        self.scan(Column::Undo, None, false, |key, _| {
            let is_below = *key < height.0.to_be_bytes()[..];
            if is_below {
                self.delete(batch, Column::Undo, key);
            }
            Ok(is_below)
        })
    }

    /// Where the batcher stands.
    pub(crate) fn open_batch(&self) -> Result<OpenBatchRecord, StorageError> {
        self.get(Column::Meta, open::OPEN_BATCH_KEY)?
            .ok_or_else(|| self.corrupt("its open batch is not recorded"))
    }

    /// Leaves of a key and owner by token and index, after the cursor.
    pub(crate) fn leaves_of_owner(
        &self,
        key: &LeafKey,
        owner: &L1Address,
        after: Option<(TokenId, LeafIndex)>,
        limit: usize,
    ) -> Result<Vec<(TokenId, LeafIndex)>, StorageError> {
        let prefix = owner_prefix(key, owner);
        let mut start = prefix.clone();
        if let Some((token, index)) = after {
            start.extend_from_slice(&token.0.to_be_bytes());
            start.extend_from_slice(&index.0.to_be_bytes());
            start.push(0); // the first key behind the cursor
        }
        let mut found = Vec::new();
        self.scan(Column::Owners, Some(&start), false, |key, _| {
            let Some(rest) = key.strip_prefix(prefix.as_slice()) else {
                return Ok(false);
            };
            let (token, index) = rest
                .split_first_chunk::<4>()
                .and_then(|(token, rest)| Some((token, <[u8; 4]>::try_from(rest).ok()?)))
                .ok_or_else(|| self.corrupt("a key in column owners"))?;
            let token = TokenId(u32::from_be_bytes(*token));
            found.push((token, LeafIndex(u32::from_be_bytes(index))));
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }
}

pub(super) fn mention_key(leaf: LeafIndex, height: Height, place: u32) -> Vec<u8> {
    let mut key = leaf.0.to_be_bytes().to_vec();
    key.extend_from_slice(&height.0.to_be_bytes());
    key.extend_from_slice(&place.to_be_bytes());
    key
}
