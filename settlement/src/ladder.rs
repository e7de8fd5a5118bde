//! How far each batch has come on the base layer: committed, proven, final.
//!
//! A fold over [`FollowEvent`]s of the Rollup: every event of an applied block is recorded with the block, and taken back
//! when the block is undone. What is final is handed out once, for the consumer to store; what is not lives in memory
//! and is made again from the last final block.
//!
//! Invariants: the newest state is a function of final batches and of the blocks above them; nothing is called final
//! before the base layer says so of its block. It asks nothing, keeps nothing on disk, and believes the Rollup's
//! events alone: the follower's filter names that contract.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolValue;
use serde::{Deserialize, Serialize};

use crate::base_layer::Log;
use crate::bindings::{BindingError, Events, StoredBatch, event};
use crate::follower::{BlockMark, FollowEvent};

/// Where something stands on the base layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Height of the block.
    pub number: u64,
    /// Its hash.
    pub block: B256,
    /// Its time, in Unix seconds.
    pub time: u64,
    /// The transaction.
    pub transaction: B256,
}

/// A batch on the base layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledBatch {
    /// What the Rollup stored; proving and pruning name it whole.
    pub stored: StoredBatch,
    /// Where it was committed.
    pub committed: Place,
    /// Where it was proven, and who is paid for it.
    pub proven: Option<(Place, Address)>,
}

/// Number, hash, time and transaction of a place, as bytes hold them.
type PlaceTuple = (u64, B256, u64, B256);
/// A batch as bytes hold it; a place of zeros stands for none.
type BatchTuple = (StoredBatch, PlaceTuple, bool, PlaceTuple, Address);

impl Place {
    fn to_tuple(self) -> PlaceTuple {
        (self.number, self.block, self.time, self.transaction)
    }

    fn from_tuple((number, block, time, transaction): PlaceTuple) -> Self {
        Self {
            number,
            block,
            time,
            transaction,
        }
    }
}

impl SettledBatch {
    /// Bytes for a store: ABI encoding of stored fields, commit, whether it is proven, proof, prover.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (proven, prover) = self
            .proven
            .map_or_else(Default::default, |(place, prover)| {
                (place.to_tuple(), prover)
            });
        let committed = self.committed.to_tuple();
        let batch: BatchTuple = (
            self.stored.clone(),
            committed,
            self.proven.is_some(),
            proven,
            prover,
        );
        batch.abi_encode()
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`BindingError::Malformed`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BindingError> {
        let batch = BatchTuple::abi_decode_validate(bytes);
        let (stored, committed, is_proven, proven, prover) =
            batch.map_err(|error| BindingError::malformed("a stored batch", error))?;
        Ok(Self {
            stored,
            committed: Place::from_tuple(committed),
            proven: is_proven.then(|| (Place::from_tuple(proven), prover)),
        })
    }
}

/// What an event did to the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LadderStep {
    /// Nothing.
    None,
    /// These batches stand elsewhere now, or are gone.
    Changed(Vec<u64>),
    /// Batches that were committed or proven in blocks up to this one, as they stand there: store them with the mark.
    Final {
        /// The newest final block.
        mark: BlockMark,
        /// Batches that changed in blocks that have become final; none stands for one that was pruned.
        batches: Vec<(u64, Option<SettledBatch>)>,
        /// Mode of the Rollup after that block.
        mode: u8,
    },
}

/// What a block changed: each batch as it was before.
#[derive(Clone, Debug)]
struct Applied {
    block: BlockMark,
    before: BTreeMap<u64, Option<SettledBatch>>,
    mode_before: u8,
    after: BTreeMap<u64, Option<SettledBatch>>,
    mode_after: u8,
}

/// The batches of one Rollup.
#[derive(Clone, Debug)]
pub struct Ladder {
    batches: BTreeMap<u64, SettledBatch>,
    mode: u8,
    /// Blocks above the final one that changed something.
    applied: VecDeque<Applied>,
}

impl Ladder {
    /// From what was final: batches that are committed and not proven, or proven last, and the Rollup's mode.
    #[must_use]
    pub fn new(batches: BTreeMap<u64, SettledBatch>, mode: u8) -> Self {
        Self {
            batches,
            mode,
            applied: VecDeque::new(),
        }
    }

    /// A batch as it stands on the newest applied block.
    #[must_use]
    pub fn batch(&self, number: u64) -> Option<&SettledBatch> {
        self.batches.get(&number)
    }

    /// Mode of the Rollup on the newest applied block: 0 Active, 1 Enforced, 2 Desert.
    #[must_use]
    pub fn mode(&self) -> u8 {
        self.mode
    }

    /// Takes the follower's next event.
    ///
    /// # Errors
    /// [`BindingError`] for an event of the Rollup that is not in its form; nothing has changed then.
    pub fn take(&mut self, event: &FollowEvent) -> Result<LadderStep, BindingError> {
        match event {
            FollowEvent::Applied { block, logs } => self.apply(*block, logs),
            FollowEvent::Undone { block } => Ok(self.undo(block)),
            FollowEvent::Safe { .. } => Ok(LadderStep::None),
            FollowEvent::Finalized { block } => Ok(self.finalize(*block)),
        }
    }

    fn apply(&mut self, block: BlockMark, logs: &[Log]) -> Result<LadderStep, BindingError> {
        let mut after: BTreeMap<u64, Option<SettledBatch>> = BTreeMap::new();
        let mut mode = self.mode;
        let now = |after: &BTreeMap<u64, Option<SettledBatch>>, number: u64| {
            after
                .get(&number)
                .cloned()
                .unwrap_or_else(|| self.batches.get(&number).cloned())
        };
        for log in logs {
            let place = Place {
                number: block.number,
                block: block.hash,
                time: block.timestamp,
                transaction: log.transaction,
            };
            if let Some(read) = event::<Events::BatchCommitted>(log)? {
                let batch = SettledBatch {
                    stored: read.batch,
                    committed: place,
                    proven: None,
                };
                after.insert(read.batchNumber, Some(batch));
            } else if let Some(read) = event::<Events::BatchProven>(log)? {
                if let Some(mut batch) = now(&after, read.batchNumber) {
                    batch.proven = Some((place, read.prover));
                    after.insert(read.batchNumber, Some(batch));
                }
            } else if let Some(read) = event::<Events::BatchesPruned>(log)? {
                let known = self.batches.keys().chain(after.keys()).copied();
                let void: Vec<u64> = known.filter(|number| *number > read.batchNumber).collect();
                after.extend(void.into_iter().map(|number| (number, None)));
            } else if let Some(read) = event::<Events::ModeChanged>(log)? {
                mode = read.mode;
            }
        }
        if after.is_empty() && mode == self.mode {
            return Ok(LadderStep::None);
        }
        let before = after
            .keys()
            .map(|number| (*number, self.batches.get(number).cloned()));
        let applied = Applied {
            block,
            before: before.collect(),
            mode_before: self.mode,
            after,
            mode_after: mode,
        };
        let changed = applied.after.keys().copied().collect();
        self.put(&applied.after, mode);
        self.applied.push_back(applied);
        Ok(LadderStep::Changed(changed))
    }

    fn undo(&mut self, block: &BlockMark) -> LadderStep {
        match self
            .applied
            .pop_back_if(|last| last.block.hash == block.hash)
        {
            None => LadderStep::None,
            Some(last) => {
                self.put(&last.before, last.mode_before);
                LadderStep::Changed(last.before.into_keys().collect())
            }
        }
    }

    fn finalize(&mut self, mark: BlockMark) -> LadderStep {
        let mut batches = BTreeMap::new();
        let mut mode = self
            .applied
            .front()
            .map_or(self.mode, |first| first.mode_before);
        while let Some(first) = self
            .applied
            .pop_front_if(|first| first.block.number <= mark.number)
        {
            batches.extend(first.after);
            mode = first.mode_after;
        }
        // What is proven for ever is asked for no more, but for the last: the next begins where it ends.
        let proven = |batch: &SettledBatch| {
            batch
                .proven
                .is_some_and(|(place, _)| place.number <= mark.number)
        };
        let last = self
            .batches
            .iter()
            .rev()
            .find(|(_, batch)| proven(batch))
            .map(|(number, _)| *number);
        self.batches
            .retain(|number, batch| last.is_none_or(|last| *number >= last) || !proven(batch));
        LadderStep::Final {
            mark,
            batches: batches.into_iter().collect(),
            mode,
        }
    }

    fn put(&mut self, batches: &BTreeMap<u64, Option<SettledBatch>>, mode: u8) {
        for (number, batch) in batches {
            match batch {
                Some(batch) => self.batches.insert(*number, batch.clone()),
                None => self.batches.remove(number),
            };
        }
        self.mode = mode;
    }
}

#[cfg(test)]
mod tests;
