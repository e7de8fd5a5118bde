//! Execution of soft blocks, on leaves that nobody else sees.
//!
//! A soft chain is executed as the beginning of the block above its base: by the one state transition, with the leaves
//! of the newest block below and the changes of the soft blocks before on top. Nothing of it is written anywhere. What
//! this module does not do: check signatures.

use std::collections::BTreeMap;

use api::ApiError;
use protocol::{
    account::Leaf,
    block::Tip,
    number::LeafIndex,
    state::{LeafView, Overlay},
    threaded::Threaded,
    transaction::Submission,
    transition::{Header, execute, open_block},
};

use crate::{
    chain::{ChainConstants, View},
    mempool::{api_error, block_entry},
};

/// What one soft block does.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    changes: BTreeMap<LeafIndex, Leaf>,
    /// Leaves in the tree after it.
    leaf_count: u64,
}

/// The leaves after these soft blocks, and how many there are.
pub(super) fn leaves_after<'a, 'b>(
    view: &'a View,
    blocks: impl Iterator<Item = &'b Effects>,
) -> (Overlay<'a, View>, u64) {
    let mut overlay = Overlay::new(view);
    let mut leaf_count = u64::try_from(view.leaves.len()).unwrap_or(u64::MAX);
    for effects in blocks {
        overlay.absorb(effects.changes.clone());
        leaf_count = effects.leaf_count;
    }
    (overlay, leaf_count)
}

/// A soft block being executed: submissions go in one by one, a refused one changes nothing.
pub(super) struct Scratch<'a, V> {
    constants: &'a ChainConstants,
    overlay: Overlay<'a, V>,
    threaded: Threaded,
}

impl<'a, V: LeafView> Scratch<'a, V> {
    /// A soft block on these leaves, above the certified block `tip`.
    ///
    /// # Errors
    /// The chain has no fee leaves.
    pub(super) fn new(
        constants: &'a ChainConstants,
        tip: &Tip,
        (leaves, leaf_count): (&'a V, u64),
    ) -> Result<Self, ApiError> {
        // no rule reads the root
        let root = protocol::Fr::from(0_u64);
        let mut threaded = Threaded::batch_start(root, leaf_count, tip.height, tip.inbox_count);
        let header = Header {
            height_delta: 1,
            fee_leaves: Some(constants.fee_leaves),
            bid: false,
        };
        open_block(&mut threaded, &header).map_err(|error| api_error(&error))?;
        Ok(Self {
            constants,
            overlay: Overlay::new(leaves),
            threaded,
        })
    }

    /// Executes all members of a submission, or none.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn push(&mut self, submission: &Submission) -> Result<(), ApiError> {
        let (domain, fee_leaves) = (&self.constants.domain, &self.constants.fee_leaves);
        let entry = block_entry(&self.overlay, (fee_leaves, 0), submission)?;
        let mut threaded = self.threaded;
        let mut trial = Overlay::new(&self.overlay);
        for operation in entry.operations(domain) {
            let executed = execute(&trial, &mut threaded, domain, &operation)
                .map_err(|error| api_error(&error))?;
            for access in executed.accesses {
                if let Some(leaf) = access.after {
                    trial.write(access.index, leaf);
                }
            }
        }
        let changes = trial.into_changes();
        self.overlay.absorb(changes);
        self.threaded = threaded;
        Ok(())
    }

    /// What the block does.
    pub(super) fn finish(self) -> Effects {
        Effects {
            changes: self.overlay.into_changes(),
            leaf_count: self.threaded.leaf_count,
        }
    }
}
