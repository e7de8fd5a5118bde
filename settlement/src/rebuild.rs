//! The rollup's state from genesis and the base layer alone: no node, no snapshot, nobody's word.
//!
//! Batches are applied in the order in which they were proven, from the words that their commits published. Invariants: each batch
//! begins with the root that the one before left, and ends with the root that the contract proved; the result has the
//! root that the Rollup holds in the state of the same block. A batch that is committed and not proven changes nothing here.
//! Who wants the end of an earlier batch ([`rebuild_until`]) gets it under the same check: of the batches after it the chain
//! of roots is followed, without their words.
//!
//! Source: `settlement.md`, "L2BEAT checklist" (the node rebuilds the state from L1 alone).

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use protocol::genesis::Genesis;
use protocol::number::{BatchNumber, Height};
use protocol::rebuild::{RebuildError, apply_words};
use protocol::state::State;

use crate::base_layer::BaseLayer;
use crate::bindings::{
    BindingError, CommittedBatch, EnqueuedItem, Rollup, address, integer, l1_address, view,
};
use crate::deploy::DeploymentFile;
use crate::history::{SettledEvent, read_history};

/// Batches that wait for their proof at once: the Rollup itself lets them be pruned after the proof window, and this bounds
/// what their words take here.
const WAITING_MAX: usize = 4_096;

/// A chain that cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum ChainRebuildError {
    /// The base layer, or an event that is not in its form.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// Contracts of another rollup, or on another chain.
    #[error(
        "genesis is of Rollup {expected} on chain {chain_id}, and the deployment names {found} on chain {found_chain}; use the \
         deployment file of this chain"
    )]
    OtherRollup {
        /// Of genesis.
        expected: Address,
        /// Of genesis.
        chain_id: u64,
        /// In the deployment file.
        found: Address,
        /// Of the base layer.
        found_chain: u64,
    },
    /// The contracts are newer.
    #[error(
        "read up to block {end}, and the contracts begin with block {first}; wait until that block is there, or final"
    )]
    TooEarly {
        /// The last block.
        end: u64,
        /// In the deployment file.
        first: u64,
    },
    /// Another genesis than the contract's.
    #[error(
        "genesis has state root {genesis:#x} and the Rollup began with {rollup:#x}; name the genesis of this chain"
    )]
    OtherGenesis {
        /// Of genesis.
        genesis: U256,
        /// Before the first batch.
        rollup: U256,
    },
    /// The words of a batch do not describe a state transition.
    #[error("batch {batch}: {error}")]
    Words {
        /// The batch.
        batch: BatchNumber,
        /// What is wrong.
        error: RebuildError,
    },
    /// The words of a batch lead to another root than was proven.
    #[error(
        "batch {batch} leads to root {ours:#x} and was proven with {proven:#x}; report this: the circuit or this program is wrong"
    )]
    OtherRoot {
        /// The batch.
        batch: BatchNumber,
        /// After applying its words.
        ours: U256,
        /// In its event.
        proven: U256,
    },
    /// The contract holds another root in the end.
    #[error(
        "the rebuilt root is {ours:#x}, the Rollup holds {rollup:#x}; read again, or use another node"
    )]
    OtherEnd {
        /// After the last proven batch.
        ours: U256,
        /// In the contract.
        rollup: U256,
    },
    /// A batch is wanted that is not proven yet.
    #[error(
        "batch {wanted} is wanted and the last proven one is {proven}; wait until its proof is final, or name an earlier one"
    )]
    NotProven {
        /// Which.
        wanted: BatchNumber,
        /// The last that a proof was accepted for.
        proven: BatchNumber,
    },
    /// More unproven batches than are kept.
    #[error("more than {WAITING_MAX} batches wait for a proof")]
    TooManyWaiting,
}

/// A rebuilt rollup.
#[derive(Debug)]
pub struct RebuiltChain {
    /// All leaves after the last proven batch.
    pub state: State,
    /// Height of the last published block.
    pub height: Height,
    /// Inbox items that these batches consumed.
    pub inbox_count: u64,
    /// Batches in it.
    pub batches: u64,
    /// Slots of published operations, signed and forced.
    pub operations: u64,
    /// Bytes that these batches published.
    pub published_bytes: u64,
    /// Items that none of these batches has consumed, in order.
    pub waiting: Vec<EnqueuedItem>,
    /// Block of the base layer up to which was read.
    pub block: u64,
}

/// Rebuilds the state after the last batch that is proven in the past of block `last`.
///
/// # Errors
/// [`ChainRebuildError`].
pub async fn rebuild(
    layer: &dyn BaseLayer,
    file: &DeploymentFile,
    genesis: &Genesis,
    last: B256,
) -> Result<RebuiltChain, ChainRebuildError> {
    replay(layer, (file, genesis), last, None).await
}

/// Rebuilds the state after batch `until`, which is proven in the past of block `last`; 0 is genesis.
///
/// # Errors
/// [`ChainRebuildError`].
pub async fn rebuild_until(
    layer: &dyn BaseLayer,
    file: &DeploymentFile,
    genesis: &Genesis,
    last: B256,
    until: BatchNumber,
) -> Result<RebuiltChain, ChainRebuildError> {
    replay(layer, (file, genesis), last, Some(until)).await
}

async fn replay(
    layer: &dyn BaseLayer,
    (file, genesis): (&DeploymentFile, &Genesis),
    last: B256,
    until: Option<BatchNumber>,
) -> Result<RebuiltChain, ChainRebuildError> {
    let (found, found_chain) = (file.rollup, layer.chain_id());
    if l1_address(found) != genesis.rollup || found_chain != genesis.chain_id {
        return Err(ChainRebuildError::OtherRollup {
            expected: address(genesis.rollup),
            chain_id: genesis.chain_id,
            found,
            found_chain,
        });
    }
    let (state, tip) = (genesis.state(), genesis.tip());
    let mut replay = Replay {
        root: integer(&state.root()),
        proven: BatchNumber(0),
        chain: RebuiltChain {
            state,
            height: tip.height,
            inbox_count: tip.inbox_count,
            batches: 0,
            operations: 0,
            published_bytes: 0,
            waiting: Vec::new(),
            block: 0,
        },
        until,
        committed: BTreeMap::new(),
        failure: None,
    };
    let mut take = |event| {
        // the first failure is what is told
        if replay.failure.is_none()
            && let Err(error) = replay.take(event)
        {
            replay.failure = Some(error);
        }
        Ok(())
    };
    let block = read_history(layer, file, last, &mut take).await?;
    if let Some(error) = replay.failure {
        return Err(error);
    }
    if block < file.first_block {
        return Err(ChainRebuildError::TooEarly {
            end: block,
            first: file.first_block,
        });
    }
    let (ours, proven, mut chain) = (replay.root, replay.proven, replay.chain);
    let rollup = view(layer, last, file.rollup, &Rollup::provenRootCall {}).await?;
    if ours != rollup {
        return Err(match proven {
            BatchNumber(0) => ChainRebuildError::OtherGenesis {
                genesis: ours,
                rollup,
            },
            _ => ChainRebuildError::OtherEnd { ours, rollup },
        });
    }
    if let Some(wanted) = until.filter(|until| *until > proven) {
        return Err(ChainRebuildError::NotProven { wanted, proven });
    }
    chain.block = block;
    let consumed = usize::try_from(chain.inbox_count.saturating_sub(tip.inbox_count));
    chain
        .waiting
        .drain(..consumed.unwrap_or(usize::MAX).min(chain.waiting.len()));
    Ok(chain)
}

struct Replay {
    chain: RebuiltChain,
    /// The last batch whose words are applied; all are without one.
    until: Option<BatchNumber>,
    /// Root after the newest proven batch.
    root: U256,
    /// The newest proven batch.
    proven: BatchNumber,
    committed: BTreeMap<u64, CommittedBatch>,
    failure: Option<ChainRebuildError>,
}

impl Replay {
    fn take(&mut self, event: SettledEvent) -> Result<(), ChainRebuildError> {
        match event {
            SettledEvent::Enqueued(item) => self.chain.waiting.push(item),
            SettledEvent::Committed(batch) => {
                if self.committed.len() >= WAITING_MAX {
                    return Err(ChainRebuildError::TooManyWaiting);
                }
                self.committed.insert(batch.header.batchNumber, *batch);
            }
            SettledEvent::Pruned { above } => {
                let _ = self.committed.split_off(&(above + 1)); // void
            }
            SettledEvent::Proven { batch, .. } => {
                if let Some(committed) = self.committed.remove(&batch) {
                    self.prove(BatchNumber(batch), &committed)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the next proven batch: it goes on from the root that the one before has left.
    fn prove(
        &mut self,
        batch: BatchNumber,
        committed: &CommittedBatch,
    ) -> Result<(), ChainRebuildError> {
        let began = committed.stored.rootBefore;
        if self.root != began {
            let ours = self.root;
            return Err(match self.proven {
                BatchNumber(0) => ChainRebuildError::OtherGenesis {
                    genesis: ours,
                    rollup: began,
                },
                batch => ChainRebuildError::OtherRoot {
                    batch,
                    ours,
                    proven: began,
                },
            });
        }
        if self.until.is_none_or(|until| batch <= until) {
            self.apply(batch, committed)?;
        }
        (self.root, self.proven) = (committed.stored.rootAfter, batch);
        Ok(())
    }

    fn apply(
        &mut self,
        batch: BatchNumber,
        committed: &CommittedBatch,
    ) -> Result<(), ChainRebuildError> {
        let chain = &mut self.chain;
        let before = (
            std::mem::take(&mut chain.state),
            chain.height,
            chain.inbox_count,
        );
        let after = apply_words(before, &committed.words);
        let (state, height, inbox_count) =
            after.map_err(|error| ChainRebuildError::Words { batch, error })?;
        let (ours, proven) = (integer(&state.root()), committed.stored.rootAfter);
        if ours != proven {
            return Err(ChainRebuildError::OtherRoot {
                batch,
                ours,
                proven,
            });
        }
        let bytes = u64::try_from(committed.words.len_bytes()).unwrap_or(u64::MAX);
        let items = inbox_count.saturating_sub(chain.inbox_count);
        chain.operations += committed.header.signedOps.saturating_add(items);
        chain.published_bytes += bytes;
        (chain.state, chain.height, chain.inbox_count) = (state, height, inbox_count);
        chain.batches = batch.0;
        Ok(())
    }
}
