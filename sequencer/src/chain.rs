//! The chain as this node holds it in memory.
//!
//! Two forms of the newest state: the leaves alone, which admission and simulation read while a block is being
//! hashed, and the whole state with its tree. Both stand at the same block whenever the pool's lock is free; the
//! order of locks is pool, then view; the state's lock is taken with neither held.

use std::sync::{
    PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, Ordering},
};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::{
    account::{L1Address, Leaf},
    block::{BlockId, Tip},
    genesis::Genesis,
    number::{Height, LeafIndex},
    state::{LeafView, State},
    threaded::FeeLeaves,
    transaction::Domain,
    validator::ValidatorSet,
};

/// Milliseconds since 1970 by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What genesis fixes, without its leaves.
#[derive(Clone, Debug)]
pub(crate) struct ChainConstants {
    pub(crate) chain_id: u64,
    pub(crate) rollup: L1Address,
    pub(crate) domain: Domain,
    pub(crate) genesis_hash: BlockId,
    pub(crate) params_hash: [u8; 32],
    pub(crate) reference_string: String,
    pub(crate) validators: ValidatorSet,
    pub(crate) fee_leaves: FeeLeaves,
    pub(crate) is_development: bool,
}

impl ChainConstants {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        Self {
            chain_id: genesis.chain_id,
            rollup: genesis.rollup,
            domain: genesis.domain(),
            genesis_hash: genesis.hash(),
            params_hash: genesis.params_hash(),
            reference_string: genesis.reference_string.clone(),
            validators: genesis.validators.clone(),
            fee_leaves: genesis.fee_leaves,
            is_development: genesis.is_development(),
        }
    }
}

/// Leaves and tip after the newest block.
pub(crate) struct View {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) tip: Tip,
}

impl LeafView for View {
    fn leaf(&self, index: LeafIndex) -> Option<Leaf> {
        self.leaves.get(usize::try_from(index.0).ok()?).copied()
    }
}

/// The whole state and the height it stands at: for a moment one above the view's.
pub(crate) struct StateAt {
    pub(crate) state: State,
    pub(crate) height: Height,
}

/// What the open batch holds so far, as far as the batcher has followed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OpenProgress {
    pub(crate) signed_operations: u64,
    pub(crate) published_bytes: u64,
    pub(crate) opened_ms: Option<u64>,
}

/// The newest state in both forms.
pub(crate) struct Chain {
    pub(crate) constants: ChainConstants,
    view: RwLock<View>,
    state: RwLock<StateAt>,
    open: RwLock<OpenProgress>,
    /// Whether senders wait for an answer: work that nobody waits for gives way meanwhile.
    is_admitting: AtomicBool,
}

// A poisoned lock means that a thread panicked while it wrote; the node stops on any panic of a component, so what
// is read in between is the last complete value or about to be thrown away.
impl Chain {
    pub(crate) fn new(constants: ChainConstants, state: State, tip: Tip) -> Self {
        let view = View {
            leaves: state.leaves().to_vec(),
            tip,
        };
        let state = StateAt {
            state,
            height: tip.height,
        };
        Self {
            constants,
            view: RwLock::new(view),
            state: RwLock::new(state),
            open: RwLock::default(),
            is_admitting: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_admitting(&self) -> bool {
        self.is_admitting.load(Ordering::Relaxed)
    }

    pub(crate) fn set_admitting(&self, is_admitting: bool) {
        self.is_admitting.store(is_admitting, Ordering::Relaxed);
    }

    pub(crate) fn open_progress(&self) -> OpenProgress {
        *self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_open_progress(&self, progress: OpenProgress) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    pub(crate) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, StateAt> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, StateAt> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
