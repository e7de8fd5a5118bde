//! Execution of a block, operation by operation: what builds blocks and what checks them.

use std::collections::BTreeMap;

use crate::{
    account::Leaf,
    block::{Entry, Tip},
    number::LeafIndex,
    state::{LeafView, Overlay, State},
    threaded::{FeeLeaves, Phase, Threaded},
    transaction::Domain,
    transition::{Access, Executed, Header, InvalidOperation, Operation, execute, open_block},
};

/// A block being executed or built: operations go in one by one, a refused one changes nothing.
#[derive(Clone)]
pub struct BlockExecution<'a> {
    overlay: Overlay<'a, State>,
    /// Threaded state; root, accumulator and word counts stand still.
    pub threaded: Threaded,
    executed: Vec<Executed>,
}

impl<'a> BlockExecution<'a> {
    /// Opens the block above `tip`.
    #[must_use]
    pub fn new(state: &'a State, tip: &Tip, fee_leaves: &FeeLeaves, pays_bid: bool) -> Self {
        let mut threaded = Threaded::batch_start(
            state.root(),
            state.leaf_count(),
            tip.height,
            tip.inbox_count,
        );
        let header = Header {
            height_delta: 1,
            fee_leaves: Some(*fee_leaves),
            bid: pays_bid,
        };
        if open_block(&mut threaded, &header).is_err() {
            threaded.phase = Phase::NoBlock; // no fee leaves: every operation will be refused
        }
        Self {
            overlay: Overlay::new(state),
            threaded,
            executed: Vec::new(),
        }
    }

    /// Executes one operation whose signature has been checked.
    ///
    /// # Errors
    /// The rule it breaks; nothing has changed.
    pub fn push(
        &mut self,
        domain: &Domain,
        operation: &Operation,
    ) -> Result<Executed, InvalidOperation> {
        let executed = execute(&self.overlay, &mut self.threaded, domain, operation)?;
        self.write(executed.accesses);
        self.executed.push(executed);
        Ok(executed)
    }

    /// Executes all operations of an entry, or none. Signatures have been checked.
    ///
    /// # Errors
    /// The rule broken and the member that breaks it; nothing has changed. A malformed entry (group size, number of
    /// fee leaf selectors) is a [`InvalidOperation::GroupMismatch`] of member 0.
    pub fn push_entry(
        &mut self,
        domain: &Domain,
        entry: &Entry,
    ) -> Result<(), (usize, InvalidOperation)> {
        if !entry.is_well_formed() {
            return Err((0, InvalidOperation::GroupMismatch));
        }
        let mut threaded = self.threaded;
        let mut trial = Overlay::new(&self.overlay);
        let mut executed = Vec::new();
        for (place, operation) in entry.operations(domain).iter().enumerate() {
            let effects = execute(&trial, &mut threaded, domain, operation)
                .map_err(|reason| (place, reason))?;
            for access in effects.accesses {
                if let Some(leaf) = access.after {
                    trial.write(access.index, leaf);
                }
            }
            executed.push(effects);
        }
        self.threaded = threaded;
        for effects in executed {
            self.write(effects.accesses);
            self.executed.push(effects);
        }
        Ok(())
    }

    fn write(&mut self, accesses: [Access; 3]) {
        for access in accesses {
            if let (Some(after), true) = (access.after, access.before != access.after) {
                self.overlay.write(access.index, after);
            }
        }
    }

    /// The leaf as this block has left it so far.
    #[must_use]
    pub fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.overlay.leaf(index)
    }

    /// Closes the block: its changes and the effects of each slot.
    ///
    /// # Errors
    /// [`InvalidOperation::GroupOpen`] or [`InvalidOperation::BidMissing`].
    pub fn finish(self) -> Result<(BTreeMap<LeafIndex, Leaf>, Vec<Executed>), InvalidOperation> {
        if self.threaded.group.is_open() {
            return Err(InvalidOperation::GroupOpen);
        }
        if self.threaded.phase == Phase::BidPending {
            return Err(InvalidOperation::BidMissing);
        }
        Ok((self.overlay.into_changes(), self.executed))
    }
}

impl LeafView for BlockExecution<'_> {
    fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.overlay.leaf(index)
    }
}
