//! The soft chain of mode `available` (ADR 0014): what reachable validators sign while no height is decided.
//!
//! When nothing was decided for [`SoftRules::patience`], validators order what is pending in soft blocks on the newest
//! certified block, sign the head of the heaviest chain, and tell senders `soft`, which can be reverted. The next
//! decided height ends it: the tree is dropped, and what it held is pending as before, first in line at this node's own
//! blocks. Invariants: nothing here is read by the vote rule, by agreement or by a commit, but for the order in which a
//! block of this node's own is filled and the words in which a dropped operation fails; the state is never written; a
//! soft block is kept only if it applies; nothing is signed but through the guard, and only by a node that may vote.
//! This module's lock is taken before those of the chain state, the pool and the view.
//!
//! What this module does not do: move bytes ([`crate::relay`] does), or survive a restart, but for the guard's record:
//! blocks and votes are learned again from peers.

mod author;
mod head;
mod message;
mod scratch;
mod shown;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use api::status::NodeRole;
use protocol::{
    block::BlockId,
    number::Height,
    signature::invalid_claims,
    soft::{SignedSoftVote, SoftChoice, SoftHash, SoftProposal, SoftRefusal, SoftTree},
    transaction::{Submission, TransactionId},
    validator::ValidatorSet,
};

pub(crate) use author::run_soft;
pub(crate) use message::{SoftMessage, SoftNews};
pub(crate) use shown::Told;

use crate::{
    chain::now_ms,
    config::{Mode, NodeConfig},
    executor::Executor,
    guard::SigningGuard,
    mempool::Admission,
    network::Acceptance,
};
use scratch::{Effects, Scratch, leaves_after};

/// Propose timeouts without a decided height after which soft blocks are made: three rounds had their chance.
const PATIENCE_ROUNDS: u32 = 3;
/// Between two authors who would both make the next soft block: a block's way there and back, in delay bounds.
const STAGGER_DELAYS: u32 = 2;
/// Bytes of soft blocks in one answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Ends of chains that a question names: more forks than four validators make in an outage.
const TIPS_ASKED_MAX: usize = 16;

/// How a node deals with the soft chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SoftRules {
    pub(crate) mode: Mode,
    /// Time without a decided height after which soft blocks are made and signed.
    pub(crate) patience: Duration,
    /// Least time between two soft blocks of a chain.
    pub(crate) pace: Duration,
    /// Time that each author waits for the one before it.
    pub(crate) stagger: Duration,
}

impl SoftRules {
    pub(crate) fn new(config: &NodeConfig) -> Self {
        let timeouts = &config.network.timeouts;
        let rounds = (timeouts.propose + timeouts.propose_delta) * PATIENCE_ROUNDS;
        Self {
            mode: config.mode,
            patience: config.block_interval + rounds,
            pace: config.block_interval,
            stagger: config.network.delay_bound * STAGGER_DELAYS,
        }
    }
}

/// Why a message is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Unwanted {
    #[error("this node's mode is halt")]
    Halt,
    #[error(transparent)]
    Refused(#[from] SoftRefusal),
    #[error("a submission of a soft block has a signature that does not match")]
    Unsigned,
    #[error("submission {place} of a soft block does not apply: {reason}")]
    Inapplicable { place: usize, reason: String },
}

impl Unwanted {
    fn acceptance(&self) -> Acceptance {
        match self {
            Self::Refused(refusal) if !refusal.is_fault() => Acceptance::Ignore,
            Self::Halt => Acceptance::Ignore,
            Self::Refused(_) | Self::Unsigned | Self::Inapplicable { .. } => Acceptance::Reject,
        }
    }
}

/// A soft block that applies.
struct Applied {
    effects: Effects,
    ids: Vec<TransactionId>,
    seen_ms: u64,
}

/// What is known above one base.
struct Above {
    tree: SoftTree,
    /// The set that decides the height above the base.
    set: Arc<ValidatorSet>,
    applied: BTreeMap<SoftHash, Applied>,
    choice: SoftChoice,
    /// Operations of the head's chain, and the block that holds each.
    places: BTreeMap<TransactionId, SoftHash>,
    /// Since when this node stands on the base.
    since: Instant,
    /// Since when the head is the head.
    head_since: Instant,
    /// Since when something waits for a soft block of this node's.
    waiting: Option<Instant>,
    /// Head and version of the pool when the pool was told last.
    told: Option<(SoftHash, (u64, usize))>,
}

impl Above {
    fn new((height, base): (Height, BlockId), set: Arc<ValidatorSet>) -> Self {
        let now = Instant::now();
        Self {
            tree: SoftTree::new(height, base),
            set,
            applied: BTreeMap::new(),
            choice: SoftChoice::default(),
            places: BTreeMap::new(),
            since: now,
            head_since: now,
            waiting: None,
            told: None,
        }
    }

    /// Effects of the chain that ends in this block.
    fn effects(&self, head: Option<SoftHash>) -> impl Iterator<Item = &Effects> {
        let chain = self.tree.chain(head).into_iter();
        chain.filter_map(|(hash, _)| self.applied.get(&hash).map(|applied| &applied.effects))
    }

    fn weight(&self, hash: &SoftHash) -> u128 {
        self.choice.weights.get(hash).copied().unwrap_or(0)
    }
}

/// The soft chain of this node.
pub(crate) struct Soft {
    shared: Admission,
    executor: Arc<Executor>,
    /// Signs, if this node is a validator's.
    guard: Option<Arc<SigningGuard>>,
    rules: SoftRules,
    above: Mutex<Above>,
}

impl Soft {
    pub(crate) fn new(
        executor: Arc<Executor>,
        guard: Option<Arc<SigningGuard>>,
        rules: SoftRules,
    ) -> Self {
        let shared = executor.shared.clone();
        let (base, set) = base_of(&executor);
        Self {
            shared,
            executor,
            guard,
            rules,
            above: Mutex::new(Above::new(base, set)),
        }
    }

    /// What is known above the newest certified block.
    fn above(&self) -> MutexGuard<'_, Above> {
        let mut above = self.above.lock().unwrap_or_else(PoisonError::into_inner);
        let (base, set) = base_of(&self.executor);
        if above.tree.base() != base {
            let old = std::mem::replace(&mut *above, Above::new(base, set));
            ::metrics::gauge!("sequencer_soft_number").set(0.0);
            self.announce(old.places.into_keys().collect());
        }
        above
    }

    pub(crate) fn mode(&self) -> Mode {
        self.rules.mode
    }

    /// Whether soft blocks are made and signed now.
    fn is_stalled(&self, above: &Above) -> bool {
        self.rules.mode == Mode::Available && above.since.elapsed() >= self.rules.patience
    }

    /// The guard, if this node may sign soft blocks now.
    fn signer(&self, above: &Above) -> Option<&SigningGuard> {
        let guard = self.guard.as_deref()?;
        let role = self.executor.observed.standing.get().role;
        let may_sign = self.is_stalled(above)
            && role == NodeRole::Validator
            && above.set.weight_of(&guard.address()) > 0;
        may_sign.then_some(guard)
    }

    /// Judges what a peer tells; also submissions that this node did not know: they belong into the pool.
    pub(crate) fn take(&self, message: SoftMessage) -> (Acceptance, Vec<Submission>) {
        let taken = match message {
            SoftMessage::Proposal(proposal) => self.take_proposal(proposal),
            SoftMessage::Vote(vote) => self.take_vote(vote).map(|()| Vec::new()),
        };
        taken.map_or_else(
            |unwanted| {
                let acceptance = unwanted.acceptance();
                if acceptance == Acceptance::Reject {
                    tracing::debug!(%unwanted, "soft message refused");
                }
                (acceptance, Vec::new())
            },
            |unknown| (Acceptance::Accept, unknown),
        )
    }

    fn take_vote(&self, vote: SignedSoftVote) -> Result<(), Unwanted> {
        let mut above = self.above();
        let above = &mut *above;
        let domain = &self.shared.chain.constants.domain;
        above.tree.examine_vote(&vote, domain, &above.set)?;
        if self.rules.mode == Mode::Halt {
            return Err(Unwanted::Halt);
        }
        above.tree.vote(vote, domain, &above.set)?;
        self.refresh(above);
        self.sign_head(above);
        Ok(())
    }

    fn take_proposal(&self, proposal: SoftProposal) -> Result<Vec<Submission>, Unwanted> {
        let domain = &self.shared.chain.constants.domain;
        {
            let above = self.above();
            above.tree.examine(&proposal, domain, &above.set)?;
        }
        if self.rules.mode == Mode::Halt {
            return Err(Unwanted::Halt);
        }
        let unknown: Vec<Submission> = {
            let pool = self.shared.pool();
            let submissions = proposal.block.submissions.iter();
            let unknown = submissions.filter(|one| pool.holding(one).is_none());
            unknown.cloned().collect()
        };
        let claims: Vec<_> = unknown.iter().flat_map(|one| one.claims(domain)).collect();
        if !invalid_claims(&claims).is_empty() {
            return Err(Unwanted::Unsigned);
        }
        let mut above = self.above();
        self.insert(&mut above, proposal)?;
        self.sign_head(&mut above);
        Ok(unknown)
    }

    /// Takes a soft block whose signatures were checked, if it applies.
    fn insert(&self, above: &mut Above, proposal: SoftProposal) -> Result<(), Unwanted> {
        let constants = &self.shared.chain.constants;
        let block = &proposal.block;
        above
            .tree
            .examine(&proposal, &constants.domain, &above.set)?;
        let effects = {
            let view = self.shared.chain.view();
            let tip = view.tip;
            if (tip.height, tip.id) != above.tree.base() {
                return Err(SoftRefusal::OtherBase(block.base_height).into());
            }
            let (leaves, leaf_count) = leaves_after(&view, above.effects(Some(block.parent)));
            let broken = |place| {
                move |error: api::ApiError| Unwanted::Inapplicable {
                    place,
                    reason: error.reason,
                }
            };
            let mut scratch =
                Scratch::new(constants, &tip, (&leaves, leaf_count)).map_err(broken(0))?;
            for (place, submission) in block.submissions.iter().enumerate() {
                scratch.push(submission).map_err(broken(place))?;
            }
            scratch.finish()
        };
        let submissions = block.submissions.iter();
        let ids = submissions.flat_map(|one| one.ids(&constants.domain));
        let applied = Applied {
            effects,
            ids: ids.collect(),
            seen_ms: now_ms(),
        };
        let hash = above.tree.insert(proposal, &constants.domain, &above.set)?;
        above.applied.insert(hash, applied);
        ::metrics::counter!("sequencer_soft_blocks_total").increment(1);
        self.refresh(above);
        Ok(())
    }

    /// What somebody asks who knows these ends of chains.
    pub(crate) fn answer(&self, base: &BlockId, known: &[SoftHash]) -> Option<SoftNews> {
        let above = self.above();
        if self.rules.mode == Mode::Halt || above.tree.base().1 != *base {
            return None;
        }
        let beyond = above.tree.beyond(known, ANSWER_BYTES_MAX).into_iter();
        let blocks = beyond.map(|proposal| SoftMessage::Proposal(proposal.clone()));
        let votes = above.tree.votes().map(|vote| SoftMessage::Vote(*vote));
        Some(SoftNews(blocks.chain(votes).collect()))
    }

    /// What to ask others: the base, and the ends of the chains that are here.
    pub(crate) fn question(&self) -> (BlockId, Vec<SoftHash>) {
        let above = self.above();
        let tips = above.tree.tips().map(|(hash, _)| hash);
        (above.tree.base().1, tips.take(TIPS_ASKED_MAX).collect())
    }
}

/// The newest certified block, and the set of the height above it.
fn base_of(executor: &Executor) -> ((Height, BlockId), Arc<ValidatorSet>) {
    let view = executor.shared.chain.view();
    let set = Arc::clone(&executor.decided().term.set);
    ((view.tip.height, view.tip.id), set)
}

/// Names this module's metrics for whoever reads them.
pub(crate) fn describe_metrics() {
    ::metrics::describe_counter!("sequencer_soft_blocks_total", "soft blocks taken");
    ::metrics::describe_counter!(
        "sequencer_soft_signatures_total",
        "soft blocks that this node signed"
    );
    ::metrics::describe_gauge!(
        "sequencer_soft_number",
        "number of the soft head above its base; 0 without one"
    );
}

#[cfg(test)]
mod tests;
