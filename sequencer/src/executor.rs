//! The chain's hand: builds blocks from the mempool, judges the blocks of others by the vote rule, and commits what was
//! decided, one synced write a block.
//!
//! Invariants: a block is committed only on its parent, with the certificate that decides it; every answer is about
//! the height above the newest committed block, and is [`Stale`] when that has moved meanwhile. What this module does
//! not do: agree (`consensus`), or take operations in (`mempool`).

mod bidding;
mod commit;
mod filling;
mod promising;
mod propose;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{
    account::L1Address,
    block::{Block, BlockCore, BlockEffects, BlockId, L1Origin, Tip},
    certificate::ExtendedCertificate,
    history::History,
    number::{Epoch, Height},
    restart::RestartCertificate,
    state::{LeafView, State},
    transaction::{Domain, ListHash},
    validator::ValidatorSet,
    validity::{self, BaseLayerView, DecidedPrefix, NoBaseLayer, Verdict},
};
use tokio::sync::watch;

use crate::{
    base_layer::{FinalPart, Reading},
    builder::Reports,
    mempool::{Admission, Entry},
    observed::Observed,
    promises::Heard,
    sets::{OtherSet, SetSource, SetsError, Term},
    sightings::{Sighting, Sightings},
    storage::{StorageError, Store},
};

pub(crate) use bidding::{Offer, OfferOrder};
pub(crate) use commit::CommitError;
pub(crate) use promising::PROMISES_MAX;
use promising::Promised;
pub(crate) use propose::{BLOCK_OPERATIONS, ProposeError};

/// What the vote rule reads beside the state.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    /// Sets of the next height.
    pub(crate) term: Term,
    /// The last blocks.
    pub(crate) history: History,
    /// Certificate of the newest block, which the next one embeds.
    pub(crate) certificate: Option<ExtendedCertificate>,
    /// What the next block embeds in its place, if nothing was decided since a restart.
    pub(crate) restart: Option<RestartCertificate>,
}

impl Decided {
    /// What the newest block on disk leaves behind: the sets in office, and the last
    /// [`protocol::history::HISTORY_BLOCKS`] blocks, each under its own set.
    ///
    /// # Errors
    /// [`SetsError`].
    pub(crate) fn load(
        store: &Store,
        domain: &Domain,
        source: &dyn SetSource,
        (tip, state): (&Tip, &dyn LeafView),
    ) -> Result<Self, SetsError> {
        let term = Term::load(store, source, (tip, state))?;
        let recent = store.recent_blocks(tip.height)?;
        let mut history = History::default();
        let mut known: Option<(Epoch, ValidatorSet)> = None;
        for stored in &recent {
            let epoch = Epoch::of(stored.block.header.core.height);
            let set = match known.take() {
                Some((of, set)) if of == epoch => set,
                _ => store.office(epoch)?,
            };
            history.push(&stored.block, &set, domain);
            known = Some((epoch, set));
        }
        let certificate = recent.into_iter().last().map(|stored| stored.certificate);
        Ok(Self {
            term,
            history,
            certificate,
            restart: None,
        }
        .after(store.restart()?))
    }

    /// The same in a database that began with this restart.
    fn after(self, restart: Option<RestartCertificate>) -> Self {
        match restart {
            Some(restart) if self.certificate.is_none() => Self {
                history: History::after_restart(restart.restart),
                restart: Some(restart),
                ..self
            },
            _ => self,
        }
    }

    fn prefix<'a>(&'a self, chain: &'a Chained<'a>) -> DecidedPrefix<'a> {
        DecidedPrefix {
            chain_id: chain.chain_id,
            domain: chain.domain,
            state: chain.state,
            tip: chain.tip,
            set: &self.term.set,
            next_set_hash: self.term.next_hash,
            history: &self.history,
            base_layer: chain.base_layer,
        }
    }
}

/// The part of a prefix that the chain holds.
struct Chained<'a> {
    chain_id: u64,
    domain: &'a Domain,
    state: &'a State,
    tip: &'a Tip,
    base_layer: &'a dyn BaseLayerView,
}

/// The height asked about is not the next one any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("height {asked} is not the next one: the newest block is {tip}")]
pub(crate) struct Stale {
    /// Height asked about.
    pub(crate) asked: Height,
    /// Newest committed height.
    pub(crate) tip: Height,
}

/// Why the prefix below a height cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPrefix {
    /// Another height is the next one now.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The database failed, and nothing that was read counts.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The block this node built last, until its height is decided.
struct Draft {
    id: BlockId,
    /// Entries that turned out invalid, and why.
    failed: Vec<(Entry, api::ApiError)>,
}

/// Builds, judges and commits blocks.
pub(crate) struct Executor {
    /// Pool, chain, store and events are those of admission.
    pub(crate) shared: Admission,
    /// Builders to report, and bids to burn.
    pub(crate) reports: Reports,
    /// What was seen of the set.
    pub(crate) observed: Observed,
    sets: Arc<dyn SetSource>,
    /// What is final on the base layer, if this chain has one.
    pub(crate) base_layer: Option<Arc<FinalPart>>,
    tip_height: watch::Sender<Height>,
    decided: Mutex<Arc<Decided>>,
    draft: Mutex<Option<Draft>>,
    promised: Mutex<Promised>,
    /// What proposers have promised.
    pub(crate) heard: Heard,
    /// What validators have signed last.
    pub(crate) sightings: Sightings,
}

impl Executor {
    pub(crate) fn new(
        shared: Admission,
        (decided, sets): (Decided, Arc<dyn SetSource>),
        tip_height: watch::Sender<Height>,
    ) -> Self {
        let observed = Observed::new(shared.chain.view().tip.height);
        Self {
            shared,
            sets,
            base_layer: None,
            reports: Reports::default(),
            observed,
            tip_height,
            decided: Mutex::new(Arc::new(decided)),
            draft: Mutex::new(None),
            promised: Mutex::default(),
            heard: Heard::default(),
            sightings: Sightings::default(),
        }
    }

    /// The same, on a base layer.
    pub(crate) fn on_base_layer(self, base_layer: Option<Arc<FinalPart>>) -> Self {
        Self { base_layer, ..self }
    }

    /// The base-layer block that a block of this node's own above `tip` names.
    fn origin_above(&self, tip: &Tip) -> L1Origin {
        let base_layer = self.base_layer.as_ref();
        base_layer.map_or(tip.l1_origin, |part| part.origin_above(&tip.l1_origin))
    }

    /// What the next block is judged by, beside the state.
    pub(crate) fn decided(&self) -> Arc<Decided> {
        let decided = self.decided.lock();
        Arc::clone(&decided.unwrap_or_else(PoisonError::into_inner))
    }

    /// The set of a height, as far as it is fixed: of this epoch and the next.
    pub(crate) fn set_of(&self, height: Height) -> Option<Arc<ValidatorSet>> {
        self.decided().term.set_of(height).map(Arc::clone)
    }

    /// Whether this key votes, is about to, or may in a later epoch.
    pub(crate) fn may_be_validator(&self, key: &L1Address) -> bool {
        let term = &self.decided().term;
        term.set.weight_of(key) > 0 || term.next.weight_of(key) > 0 || self.sets.names(key)
    }

    /// Whether the header of a block at the next height names another next set than this node expects.
    pub(crate) fn other_set(&self, core: &BlockCore) -> Option<OtherSet> {
        let term = &self.decided().term;
        let is_other = core.epoch == term.epoch && core.next_set_hash != term.next_hash;
        is_other.then(|| OtherSet::new(core.height, &core.next_set_hash, &term.next_hash))
    }

    /// Takes a signed message of agreement, checked or not.
    pub(crate) fn saw(&self, sighting: Sighting) {
        let domain = &self.shared.chain.constants.domain;
        if let Some(set) = self.set_of(sighting.height()) {
            self.sightings.take(sighting, domain, &set);
        }
    }

    /// Moves with the newest committed height.
    pub(crate) fn follow_tip(&self) -> watch::Receiver<Height> {
        self.tip_height.subscribe()
    }

    /// Newest committed height.
    pub(crate) fn tip(&self) -> Tip {
        self.shared.chain.view().tip
    }

    fn draft(&self) -> MutexGuard<'_, Option<Draft>> {
        self.draft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `judge` on the prefix below `height`; the state stands still meanwhile.
    pub(crate) fn on_prefix<T>(
        &self,
        height: Height,
        judge: impl FnOnce(&DecidedPrefix<'_>) -> T,
    ) -> Result<T, NoPrefix> {
        let chain = &self.shared.chain;
        let at = chain.state();
        let (decided, tip) = (self.decided(), chain.view().tip);
        // while a block is being committed the state is one ahead of the rest
        if at.height != tip.height || tip.height.0.checked_add(1) != Some(height.0) {
            return Err(Stale {
                asked: height,
                tip: at.height,
            }
            .into());
        }
        let reading = self.base_layer.as_ref().map(|part| part.read());
        let chained = Chained {
            chain_id: chain.constants.chain_id,
            domain: &chain.constants.domain,
            state: &at.state,
            tip: &tip,
            base_layer: match &reading {
                Some(reading) => reading,
                None => &NoBaseLayer,
            },
        };
        let judged = judge(&decided.prefix(&chained));
        match reading.and_then(Reading::failure) {
            Some(failure) => Err(failure.into()),
            None => Ok(judged),
        }
    }

    /// The vote rule's verdict on a block at the next height.
    ///
    /// # Errors
    /// [`NoPrefix`].
    pub(crate) fn judge(&self, block: &Block) -> Result<Verdict, NoPrefix> {
        let checked = self.checked(block);
        let verdict = self.on_prefix(block.header.core.height, |prefix| {
            validity::verdict_with(block, prefix, &checked)
        })?;
        if matches!(verdict, Verdict::Valid(_)) {
            self.mark(block);
        }
        Ok(verdict)
    }

    /// Nothing takes the place of what a block holds that may be decided at the next height.
    fn mark(&self, block: &Block) {
        let mut pool = self.shared.pool();
        let tip = self.shared.chain.view().tip.height;
        if tip.0.checked_add(1) != Some(block.header.core.height.0) {
            return; // it was decided meanwhile
        }
        let entries = block.payload.entries.iter();
        let inside: Vec<u64> = entries
            .filter_map(|entry| match entry {
                protocol::block::Entry::Submission { submission, .. } => pool.holding(submission),
                protocol::block::Entry::BidBurn(_) => None,
            })
            .map(|entry| entry.sequence)
            .collect();
        pool.mark(inside);
    }

    /// Entries that stand in the pool byte for byte: their signatures were checked on the way in.
    fn checked(&self, block: &Block) -> Vec<bool> {
        let pool = self.shared.pool();
        let entries = block.payload.entries.iter();
        let checked = entries.map(|entry| match entry {
            protocol::block::Entry::Submission { submission, .. } => {
                pool.holding(submission).is_some()
            }
            protocol::block::Entry::BidBurn(_) => false,
        });
        checked.collect()
    }

    /// Names that this node may list in a vote for `block`: what is pending, applies, and came at an earlier height.
    pub(crate) fn listable(&self, block: &Block) -> Vec<ListHash> {
        let domain = &self.shared.chain.constants.domain;
        let pool = self.shared.pool();
        let inside = block
            .payload
            .entries
            .iter()
            .filter_map(|entry| match entry {
                protocol::block::Entry::Submission { submission, .. } => {
                    let known = pool.holding(submission);
                    Some(known.map_or_else(|| submission.list_hash(domain), |entry| entry.name))
                }
                protocol::block::Entry::BidBurn(_) => None,
            });
        let inside = inside.collect();
        let view = self.shared.chain.view();
        let height = block.header.core.height;
        let mut names = pool.listable(&view, height, &inside, protocol::params::LIST_HASHES_MAX);
        names.sort_unstable();
        names
    }
}

/// A block with what it does, ready to be committed once it is decided.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) block: Arc<Block>,
    pub(crate) effects: Arc<BlockEffects>,
}

#[cfg(test)]
mod tests;
