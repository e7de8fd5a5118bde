//! Where the validator set of each epoch comes from, and which sets are in office (`sequencing.md`, "The set").
//!
//! The set of epoch e is fixed by what a [`SetSource`] says at the first block of epoch e - 1, and by the set of e - 1
//! (`protocol::epoch::next_set`: queue, cap). Every header of e - 1 names its hash, so nodes whose sources differ find
//! out a whole epoch before the difference could count: who stands alone stops ([`OtherSet`]), and has signed nothing
//! under another set. Invariants: a source is a pure function of decided values; a set that a committed header names is
//! stored, and never made again from the source. What this module does not do: read the base layer, whose registry
//! will be one more source, or certify.

mod file;
mod leaves;

use std::{fmt, sync::Arc};

use protocol::{
    account::L1Address,
    block::Tip,
    epoch::{Registry, next_set},
    number::{Epoch, Height},
    state::LeafView,
    validator::ValidatorSet,
};

use crate::storage::{StorageError, Store};

pub use file::{SET_FILE_BYTES_MAX, SetFileError, parse_sets};

/// What a node reads the stakes of each epoch from. All nodes of a chain must be given sources that say the same.
pub trait SetSource: Send + Sync + fmt::Debug {
    /// Who stakes in `epoch`. `state` is that before the first block of the epoch before it, at genesis for epoch 1. An
    /// empty registry leaves the set as it is.
    fn registry(&self, epoch: Epoch, state: &dyn LeafView) -> Registry;

    /// The same, if it depends on no state: what a start can compare with what was decided.
    fn fixed(&self, epoch: Epoch) -> Option<Registry>;

    /// Whether this key may sit in a later set: its node follows until then.
    fn names(&self, validator: &L1Address) -> bool;
}

/// The set of genesis, for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct GenesisSet;

impl SetSource for GenesisSet {
    fn registry(&self, _: Epoch, _: &dyn LeafView) -> Registry {
        Registry::default()
    }

    fn fixed(&self, _: Epoch) -> Option<Registry> {
        Some(Registry::default())
    }

    fn names(&self, _: &L1Address) -> bool {
        false
    }
}

/// This node expects another next set than the one that was decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "block {height}, which more than two thirds of the weight decided, names {decided} as the validator set of epoch \
     {epoch}; the validator set file of this node makes it {expected}. The files differ: get the one that the other \
     operators use, and start again with --validator-sets FILE"
)]
pub struct OtherSet {
    /// Height of the block.
    pub height: Height,
    /// Epoch of the set.
    pub epoch: Epoch,
    /// Hash in the block's header.
    pub decided: String,
    /// Hash of the set that this node expects.
    pub expected: String,
}

impl OtherSet {
    /// What a decided header says that this node does not expect.
    pub(crate) fn new(height: Height, decided: &[u8; 32], expected: &[u8; 32]) -> Self {
        let text = |hash: &[u8; 32]| format!("0x{}", hex::encode(hash));
        Self {
            height,
            epoch: Epoch::of(height).next(),
            decided: text(decided),
            expected: text(expected),
        }
    }
}

/// Why the sets in office cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetsError {
    /// The database failed, or lacks a set.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The source says something else than what was decided.
    #[error(transparent)]
    Other(#[from] OtherSet),
}

/// The sets in office at the height after the newest block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// Epoch of that height.
    pub(crate) epoch: Epoch,
    /// Its set.
    pub(crate) set: Arc<ValidatorSet>,
    /// The set of the epoch after.
    pub(crate) next: Arc<ValidatorSet>,
    /// Its hash, which every header of the epoch names.
    pub(crate) next_hash: [u8; 32],
}

impl Term {
    pub(crate) fn new(epoch: Epoch, set: Arc<ValidatorSet>, next: Arc<ValidatorSet>) -> Self {
        let next_hash = next.hash();
        Self {
            epoch,
            set,
            next,
            next_hash,
        }
    }

    /// The term that begins with an epoch's first block, of which `state` is the state before.
    fn begin(
        epoch: Epoch,
        set: Arc<ValidatorSet>,
        source: &dyn SetSource,
        state: &dyn LeafView,
    ) -> Self {
        let next = next_set(&set, &source.registry(epoch.next(), state));
        Self::new(epoch, set, Arc::new(next))
    }

    /// The term after the last block of this one, of which `state` is the state after.
    pub(crate) fn following(&self, source: &dyn SetSource, state: &dyn LeafView) -> Self {
        Self::begin(self.epoch.next(), Arc::clone(&self.next), source, state)
    }

    /// The set of a height of this epoch or the next; others are not known here.
    pub(crate) fn set_of(&self, height: Height) -> Option<&Arc<ValidatorSet>> {
        let epoch = Epoch::of(height);
        if epoch == self.epoch {
            Some(&self.set)
        } else {
            (epoch == self.epoch.next()).then_some(&self.next)
        }
    }

    /// The term after the newest block, from what was stored with the blocks; made from the source if that block was an
    /// epoch's last one.
    ///
    /// # Errors
    /// [`SetsError`].
    pub(crate) fn load(
        store: &Store,
        source: &dyn SetSource,
        (tip, state): (&Tip, &dyn LeafView),
    ) -> Result<Self, SetsError> {
        let epoch = Epoch::of(Height(tip.height.0.saturating_add(1)));
        let set = Arc::new(store.office(epoch)?);
        let Some(next) = store.validator_set(epoch.next())? else {
            if tip.height.0.saturating_add(1) == epoch.first_height().0 {
                return Ok(Self::begin(epoch, set, source, state));
            }
            let what = format!("the validator set of epoch {} is missing", epoch.next());
            return Err(store.corrupt(what).into());
        };
        let term = Self::new(epoch, set, Arc::new(next));
        if let Some(registry) = source.fixed(epoch.next()) {
            let expected = next_set(&term.set, &registry).hash();
            if expected != term.next_hash {
                return Err(OtherSet::new(tip.height, &term.next_hash, &expected).into());
            }
        }
        Ok(term)
    }
}

#[cfg(test)]
mod tests;
