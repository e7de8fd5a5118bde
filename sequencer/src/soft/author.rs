//! Making soft blocks, and asking others for theirs, as time passes.
//!
//! Whoever may sign makes the next soft block when something pending is not in the head's chain. All would do so at
//! once, so each waits a while for every validator before it in an order that turns with the number, counting only those
//! that its gossip reaches. Two blocks at once do no harm: the next one stands on the head of both. Before its first block
//! on a base a node asks its peers: it may have been away. What this module does not do: decide when something is final;
//! clocks are read here because nothing here is.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use libp2p::PeerId;
use protocol::{
    account::L1Address,
    block::BlockId,
    codec::{from_bytes, to_bytes},
    soft::{SOFT_BLOCK_BYTES_MAX, SOFT_NUMBER_MAX, SOFT_SUBMISSIONS_MAX, SoftBlock, SoftProposal},
    transaction::Submission,
};
use tokio::{task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Above, Scratch, Soft, SoftMessage, SoftNews, leaves_after};
use crate::{
    chain::now_ms,
    config::Mode,
    mempool::Entry,
    network::{Gossip, PeerStatus},
    relay::{News, Relay},
};

/// Between two looks at what is to be done: short beside a human's patience, long beside its work.
const TICK: Duration = Duration::from_millis(100);
/// Looks between two questions to a peer.
const ASK_TICKS: usize = 10;
/// Peers asked before this node makes its first soft block on a base: most of a set that one misses.
const FIRST_ASKED_MAX: usize = 8;
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// Bytes of a soft block that are not submissions, at most.
const HEADER_BYTES: usize = 256;
/// Operations of the pool that are looked at beside those of the head's chain.
const OPERATIONS_LOOKED_AT: usize = 2 * SOFT_SUBMISSIONS_MAX;

/// Makes, signs and fetches soft blocks until cancelled.
pub(crate) async fn run_soft(
    soft: Arc<Soft>,
    relay: Arc<Relay>,
    gossip: Gossip,
    cancelled: CancellationToken,
) {
    if soft.mode() == Mode::Halt {
        cancelled.cancelled().await;
        return;
    }
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0_usize;
    let mut asked = None;
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let ready = gossip.peers().into_iter().filter(|peer| peer.ready);
        let ready: Vec<PeerStatus> = ready.collect();
        let validators = ready
            .iter()
            .filter_map(|peer| peer.validator.map(L1Address));
        let reachable: BTreeSet<L1Address> = validators.collect();
        let worker = Arc::clone(&soft);
        let base = tokio::task::spawn_blocking(move || worker.tick(&reachable, asked))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let Some(base) = base else {
            continue;
        };
        turn = turn.wrapping_add(1);
        let is_first = asked != Some(base);
        let count = match turn % ASK_TICKS {
            _ if is_first => FIRST_ASKED_MAX,
            0 => 1,
            _ => 0,
        };
        // another one each time
        let start = (turn / ASK_TICKS).checked_rem(ready.len()).unwrap_or(0);
        let peers = ready
            .iter()
            .cycle()
            .skip(start)
            .take(ready.len().min(count));
        let peers: Vec<PeerId> = peers.map(|status| status.peer).collect();
        tokio::select! {
            () = cancelled.cancelled() => return,
            () = ask(&soft, &relay, &gossip, &peers) => {}
        }
        asked = Some(base);
    }
}

/// Asks peers, all at once, for what they know and this node does not.
async fn ask(soft: &Soft, relay: &Relay, gossip: &Gossip, peers: &[PeerId]) {
    if peers.is_empty() {
        return;
    }
    let question = Bytes::from(Relay::soft_question(soft.question()));
    let mut answers = JoinSet::new();
    for peer in peers.iter().copied() {
        let (gossip, question) = (gossip.clone(), question.clone());
        answers.spawn(async move {
            let answer = gossip.request_from(peer, question, ANSWER_TIMEOUT).await;
            answer.and_then(|bytes| from_bytes::<SoftNews>(&bytes).ok())
        });
    }
    while let Some(answer) = answers.join_next().await {
        let Ok(Some(SoftNews(messages))) = answer else {
            continue; // nothing, or nothing that can be read
        };
        for message in messages {
            relay.take_soft(message).await;
        }
    }
}

impl Soft {
    /// Signs what is to be signed now, and makes what is to be made on a base for which peers were `asked`; the base, if no
    /// height is decided on it.
    pub(super) fn tick(
        &self,
        reachable: &BTreeSet<L1Address>,
        asked: Option<BlockId>,
    ) -> Option<BlockId> {
        let mut above = self.above();
        if !self.is_stalled(&above) {
            return None;
        }
        self.sign_head(&mut above);
        self.tell_pool(&mut above);
        let base = above.tree.base().1;
        if asked == Some(base) {
            self.make(&mut above, reachable);
        }
        Some(base)
    }

    /// Makes the next soft block, if it is this node's turn and there is something to put in.
    fn make(&self, above: &mut Above, reachable: &BTreeSet<L1Address>) {
        let Some(guard) = self.signer(above) else {
            return;
        };
        if above.head_since.elapsed() < self.rules.pace {
            return;
        }
        let author = guard.address();
        let (base_height, base) = above.tree.base();
        let parent = above.choice.head.unwrap_or_else(|| above.tree.root());
        let Ok(last) = guard.last_soft(base_height) else {
            return; // its disk failed, which agreement finds out too
        };
        let number = above.tree.number_of(&parent).unwrap_or(0).max(last) + 1;
        if number > SOFT_NUMBER_MAX {
            return;
        }
        let submissions = self.gather(above);
        if submissions.is_empty() {
            above.waiting = None;
            return;
        }
        let waiting = above.waiting.get_or_insert_with(Instant::now).elapsed();
        let turn = self
            .rules
            .stagger
            .saturating_mul(rank(above, &author, reachable, number));
        if waiting < turn {
            return;
        }
        let block = SoftBlock {
            base_height,
            base,
            number,
            parent,
            author,
            time_ms: now_ms(),
            submissions,
        };
        let signature = match guard.sign_soft(&block.vote()) {
            Ok(signed) => signed.signature,
            Err(error) => {
                tracing::debug!(%error, "soft block not made");
                return;
            }
        };
        let proposal = SoftProposal { block, signature };
        let message = to_bytes(&SoftMessage::Proposal(proposal.clone()));
        let operations = proposal.block.submissions.len();
        match self.insert(above, proposal) {
            Ok(()) => {
                ::metrics::counter!("sequencer_soft_signatures_total").increment(1);
                tracing::info!(base = base_height.0, number, operations, "soft block made");
                self.shared.outlet.send(News::Soft(message));
            }
            // this node's share of the tree, or a height was decided meanwhile
            Err(reason) => tracing::debug!(%reason, "soft block not kept"),
        }
    }

    /// What is pending, applies after the head, and fits one soft block.
    fn gather(&self, above: &Above) -> Vec<Submission> {
        let constants = &self.shared.chain.constants;
        let pool = self.shared.pool();
        let view = self.shared.chain.view();
        let tip = view.tip;
        if (tip.height, tip.id) != above.tree.base() {
            return Vec::new();
        }
        let first = pool.soft_order();
        let limit = above.places.len() + OPERATIONS_LOOKED_AT;
        let pending = pool.applicable(&view, &first, limit);
        drop(pool);
        let is_new = |entry: &Entry| !entry.ids.iter().any(|id| above.places.contains_key(id));
        let (leaves, leaf_count) = leaves_after(&view, above.effects(above.choice.head));
        let Ok(mut scratch) = Scratch::new(constants, &tip, (&leaves, leaf_count)) else {
            return Vec::new();
        };
        let mut left = SOFT_BLOCK_BYTES_MAX - HEADER_BYTES;
        let mut submissions = Vec::new();
        for entry in pending.iter().filter(|entry| is_new(entry)) {
            if submissions.len() >= SOFT_SUBMISSIONS_MAX {
                break;
            }
            let submission = &entry.submission;
            let Some(rest) = left.checked_sub(to_bytes(&**submission).len()) else {
                break;
            };
            if scratch.push(submission).is_ok() {
                left = rest;
                submissions.push((**submission).clone());
            }
        }
        submissions
    }
}

/// Place of a validator among those that are reached, in an order that turns with the number.
fn rank(above: &Above, own: &L1Address, reachable: &BTreeSet<L1Address>, number: u64) -> u32 {
    let seats = above.set.validators().iter().map(|seat| seat.address);
    let here: Vec<L1Address> = seats
        .filter(|address| address == own || reachable.contains(address))
        .collect();
    let count = here.len().max(1);
    let place = here.iter().position(|address| address == own).unwrap_or(0);
    let first = usize::try_from(number).unwrap_or(0) % count;
    u32::try_from((place + count - first) % count).unwrap_or(u32::MAX)
}
