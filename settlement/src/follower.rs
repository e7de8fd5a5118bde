//! Follows the base layer block by block, through reorganisations, and never below what is final.
//!
//! `Follower::next` returns one [`FollowEvent`] at a time: a block with its logs, the top block's undoing,
//! or a pointer that moved. Whoever consumes them keeps a stack: `Applied` pushes, `Undone` pops, `Safe` and
//! `Finalized` are the status ladder. It stores the marks of its stack with what it makes of them and
//! hands them back at the next start.
//!
//! Invariants:
//! - Every applied block is the child, by hash, of the one before it; logs are asked for by that hash.
//! - Undone is always the top, and never a finalized block. If the base layer's finalized block is another
//!   than ours, the follower halts: an operator must decide, since something irreversible may have been done.
//! - A pointer that goes backwards moves nothing; a head that goes backwards undoes what it leaves.
//! - An error leaves everything as it was; the same call may be made again.
//!
//! It holds no connection open, keeps no time, and does not retry: the caller's loop does, at its own pace.
//! What an event means for the rollup is the consumer's.
//!
//! Source: design "Settlement"; OP stack specification, "Resetting the pipeline", for the shape of the walk.

use std::collections::VecDeque;
use std::sync::Arc;

use alloy_consensus::{Header, Sealed};
use alloy_primitives::B256;

use crate::base_layer::{BaseLayer, BaseLayerError, BlockAt, Contradiction, Log, LogFilter};

/// Blocks above the finalized one at most: nine days of Ethereum without finality. Beyond that nothing is
/// applied until something is final.
const UNFINALIZED_MAX: usize = 65_536;
/// While catching up, blocks between two looks at what is final.
const FINALITY_EVERY: u64 = 64;

/// A block that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockMark {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its time, in Unix seconds.
    pub timestamp: u64,
}

impl From<&Sealed<Header>> for BlockMark {
    fn from(header: &Sealed<Header>) -> Self {
        Self {
            number: header.number,
            hash: header.hash(),
            timestamp: header.timestamp,
        }
    }
}

/// What happened on the base layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowEvent {
    /// A block on top of the last one.
    Applied {
        /// The block.
        block: BlockMark,
        /// All wanted logs of it, in order; often none.
        logs: Vec<Log>,
    },
    /// The top block has left the chain: undo what it did.
    Undone {
        /// The block.
        block: BlockMark,
    },
    /// This block and all below it are unlikely to leave. It may still be undone.
    Safe {
        /// The newest such block.
        block: BlockMark,
    },
    /// This block and all below it are final: what is irreversible may be done now.
    Finalized {
        /// The newest such block.
        block: BlockMark,
    },
}

/// Why there is no next event.
#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    /// The base layer did not answer, or not well; its error says whose turn it is.
    #[error(transparent)]
    BaseLayer(#[from] BaseLayerError),
    /// The chain moved while it was read.
    #[error("base layer changed between two requests at block {number}; try again")]
    Moved {
        /// Where it was seen.
        number: u64,
    },
    /// The node's head is below what is final: it is behind, or it was reset.
    #[error(
        "base layer's head {head} is below the finalized block {finalized}; the node is behind"
    )]
    Behind {
        /// Its head.
        head: u64,
        /// Our finalized block.
        finalized: u64,
    },
    /// Nothing has been final for too long.
    #[error("{UNFINALIZED_MAX} blocks since {finalized} and none is final; waiting for finality")]
    FinalityStalled {
        /// Our finalized block.
        finalized: u64,
    },
    /// ALARM: the base layer has another block where ours is final. Every later call says so again.
    #[error(
        "ALARM: finalized block {number} is {ours}, the base layer now has {theirs}; halted, nothing is \
         undone; compare with independent nodes before you restart"
    )]
    FinalizedReplaced {
        /// Height.
        number: u64,
        /// What was final.
        ours: B256,
        /// What is there now.
        theirs: B256,
    },
}

/// Follows one base layer for one consumer.
pub struct Follower {
    layer: Arc<dyn BaseLayer>,
    filter: LogFilter,
    /// The newest final block.
    finalized: BlockMark,
    /// The blocks above it, ascending.
    unfinalized: VecDeque<BlockMark>,
    /// Height of the newest block that was called safe.
    safe: u64,
    halted: Option<(u64, B256, B256)>,
}

impl Follower {
    /// Starts above a block that is final: the one before the contracts' first, or where the consumer
    /// stopped. `unfinalized` are the marks that the consumer had applied above it, ascending.
    pub fn new(
        layer: Arc<dyn BaseLayer>,
        filter: LogFilter,
        finalized: BlockMark,
        unfinalized: impl IntoIterator<Item = BlockMark>,
    ) -> Self {
        Self {
            layer,
            filter,
            finalized,
            unfinalized: unfinalized.into_iter().collect(),
            safe: finalized.number,
            halted: None,
        }
    }

    /// The newest applied block.
    #[must_use]
    pub fn top(&self) -> BlockMark {
        *self.unfinalized.back().unwrap_or(&self.finalized)
    }

    /// The newest final block.
    #[must_use]
    pub fn finalized(&self) -> BlockMark {
        self.finalized
    }

    /// The next event, or `None` when there is nothing new.
    ///
    /// # Errors
    /// Nothing has changed then. [`FollowerError::FinalizedReplaced`] is for ever.
    pub async fn next(&mut self) -> Result<Option<FollowEvent>, FollowerError> {
        self.check_not_halted()?;
        let head = self.required(BlockAt::Latest).await?;
        if head.number < self.finalized.number {
            return Err(FollowerError::Behind {
                head: head.number,
                finalized: self.finalized.number,
            });
        }
        let top = self.top();
        if head.hash() == top.hash {
            return self.move_pointers().await;
        }
        if head.number <= top.number {
            return self.undo().await.map(Some);
        }
        if top.number.is_multiple_of(FINALITY_EVERY) {
            match self.move_pointers().await {
                Ok(Some(event)) => return Ok(Some(event)),
                // Our top may be on a branch that the pointers have left; the walk below finds out.
                Ok(None) | Err(FollowerError::Moved { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let child = self.required(BlockAt::Number(top.number + 1)).await?;
        if child.parent_hash == top.hash {
            self.apply(&child).await.map(Some)
        } else {
            self.undo().await.map(Some)
        }
    }

    async fn apply(&mut self, header: &Sealed<Header>) -> Result<FollowEvent, FollowerError> {
        if self.unfinalized.len() >= UNFINALIZED_MAX {
            return Err(FollowerError::FinalityStalled {
                finalized: self.finalized.number,
            });
        }
        let logs = self.layer.logs(header.hash(), &self.filter).await?;
        let block = BlockMark::from(header);
        if let Some(stray) = logs.iter().find(|log| log.block != block.hash) {
            let found = Some(stray.block);
            let asked = block.hash;
            let stray = Contradiction::OtherPlace { asked, found };
            return Err(BaseLayerError::from(stray).into());
        }
        self.unfinalized.push_back(block);
        Ok(FollowEvent::Applied { block, logs })
    }

    /// Takes the top off, unless it is final.
    async fn undo(&mut self) -> Result<FollowEvent, FollowerError> {
        if let Some(block) = self.unfinalized.pop_back() {
            self.safe = self.safe.min(self.top().number);
            return Ok(FollowEvent::Undone { block });
        }
        // The answers so far came one after the other; only the block itself convicts.
        let number = self.finalized.number;
        let theirs = self.required(BlockAt::Number(number)).await?.hash();
        if theirs == self.finalized.hash {
            return Err(FollowerError::Moved { number });
        }
        self.halted = Some((number, self.finalized.hash, theirs));
        self.check_not_halted()?;
        Err(FollowerError::Moved { number })
    }

    fn check_not_halted(&self) -> Result<(), FollowerError> {
        match self.halted {
            None => Ok(()),
            Some((number, ours, theirs)) => Err(FollowerError::FinalizedReplaced {
                number,
                ours,
                theirs,
            }),
        }
    }

    /// Moves the finalized pointer, or else the safe one, as far as the applied blocks reach.
    async fn move_pointers(&mut self) -> Result<Option<FollowEvent>, FollowerError> {
        if let Some(pointer) = self.layer.header(BlockAt::Finalized).await?
            && let Some(block) = self.applied(&pointer, self.finalized.number)?
        {
            self.finalized = block;
            self.safe = self.safe.max(block.number);
            while self
                .unfinalized
                .front()
                .is_some_and(|b| b.number <= block.number)
            {
                self.unfinalized.pop_front();
            }
            return Ok(Some(FollowEvent::Finalized { block }));
        }
        if let Some(pointer) = self.layer.header(BlockAt::Safe).await?
            && let Some(block) = self.applied(&pointer, self.safe)?
        {
            self.safe = block.number;
            return Ok(Some(FollowEvent::Safe { block }));
        }
        Ok(None)
    }

    /// Our mark of a pointer of the base layer, if it is news: above `known` and applied.
    fn applied(
        &mut self,
        pointer: &Sealed<Header>,
        known: u64,
    ) -> Result<Option<BlockMark>, FollowerError> {
        let number = pointer.number;
        if number == self.finalized.number && pointer.hash() != self.finalized.hash {
            self.halted = Some((number, self.finalized.hash, pointer.hash()));
            self.check_not_halted()?;
        }
        if number <= known {
            return Ok(None);
        }
        let distance = number - self.finalized.number - 1;
        let mark = usize::try_from(distance)
            .ok()
            .and_then(|at| self.unfinalized.get(at));
        match mark {
            None => Ok(None),
            Some(mark) if mark.hash == pointer.hash() => Ok(Some(*mark)),
            // The pointer is on a branch that the head has just left, or is about to join.
            Some(_) => Err(FollowerError::Moved { number }),
        }
    }

    async fn required(&self, at: BlockAt) -> Result<Sealed<Header>, FollowerError> {
        let header = self.layer.header(at).await?;
        Ok(header.ok_or(BaseLayerError::UnknownBlock { at })?)
    }
}

#[cfg(test)]
mod tests;
