//! Bids in agreement: choosing one, watching whether its payload is revealed, and getting a decided payload that is not here
//! (`sequencing.md`, rules 5 to 8).
//!
//! Invariant: a builder is reported only if this node held the Init by `T_c = T_propose - 2D - 2S` of its round, and a
//! builder reveals only by `T_c + D + S`: between synchronous honest nodes nobody is reported for what it revealed. What this
//! module does not do: judge bids ([`crate::builder`]).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use arc_malachitebft_app::engine::host::LocallyProposedValue;
use arc_malachitebft_core_types::Round as EngineRound;
use protocol::{
    block::{Block, BlockHeader, BlockId, InvalidBlock},
    number::{LeafIndex, Round},
    validity::Refusal,
    vote::{SignedProposal, Withheld},
};

use super::{App, Done, Init, Judgement, Pace, RETRY, Wanted};
use crate::{
    agreement::{BlockValue, EngineHeight},
    builder::Exchange,
    executor::{Executor, Judged},
};

/// When Inits with bids came, and when those of the present round are due.
#[derive(Debug, Default)]
pub(super) struct Watch {
    arrived: BTreeMap<(Round, BlockId), Instant>,
    /// Start of the present round; `None` before the engine has started the height.
    started: Option<Instant>,
    /// When the propose step of the present round is over.
    due: Option<(Round, Instant)>,
}

impl Watch {
    pub(super) fn start_height(&mut self) {
        *self = Self::default();
    }

    pub(super) fn start_round(&mut self, round: Round, now: Instant, pace: &Pace) {
        self.started = Some(now);
        self.due = Some((round, now + pace.propose_timeout(round)));
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.due.map(|(_, at)| at)
    }
}

impl Pace {
    pub(super) fn propose_timeout(&self, round: Round) -> Duration {
        let more = self.timeouts.propose_delta.saturating_mul(round.0);
        self.timeouts.propose.saturating_add(more)
    }

    /// From T_c to T_propose.
    fn reveal_time(&self) -> Duration {
        self.delay_bound.saturating_add(self.skew_bound) * 2
    }
}

/// The best bid, if it brings the proposer more than its own block does.
pub(super) fn choose(
    executor: &Executor,
    exchange: &Exchange,
    leaf: LeafIndex,
    local: &Judged,
) -> Option<Box<BlockHeader>> {
    let header = exchange.best(leaf)?;
    let (core, own) = (&header.core, &local.block.header.core);
    let is_for_this = core.height == own.height && core.parent == own.parent;
    let value = header.bid.map_or(0, |signed| signed.bid.value.get());
    let beats = value > executor.local_income(&local.block, leaf);
    (is_for_this && core.author == own.author && beats).then(|| Box::new(header))
}

impl App {
    /// An Init was kept. If it carries a bid it is told on, its time noted, and its header judged: a header that is wrong
    /// needs no payload to be refused.
    pub(super) fn see_bid(&mut self, init: &Init) {
        if init.header.bid.is_none() {
            return;
        }
        let (proposal, now) = (init.signed.proposal, Instant::now());
        let is_now = proposal.height == self.height();
        if is_now {
            let place = (proposal.round, proposal.block);
            self.watch.arrived.entry(place).or_insert(now);
        }
        let shorter = self.pace.reveal_time() / 2;
        let length = self.pace.propose_timeout(proposal.round);
        let start = match self.watch.started {
            Some(started) if is_now && proposal.round == self.parts.round() => Some(started),
            _ if is_now && proposal.round < self.parts.round() => None,
            _ => Some(now),
        };
        let until = start.and_then(|start| (start + length).checked_sub(shorter));
        self.exchange.see_init(&init.signed, &init.header, until);
        if is_now && !self.judged.contains_key(&proposal.block) {
            let (id, header) = (proposal.block, init.header.clone());
            self.spawn(move |executor, _| {
                Ok(match executor.judge_header(&header) {
                    Ok(Err(Refusal::Invalid(reason))) => Done::BadHeader(id, reason),
                    _ => Done::Nothing,
                })
            });
        }
    }

    /// The header of a block is wrong, whatever its payload.
    pub(super) fn refuse_header(&mut self, id: BlockId, reason: &InvalidBlock) {
        if self.parts.inits_of(id).next().is_some() && !self.judged.contains_key(&id) {
            tracing::warn!(height = self.height().0, block = %id, %reason, "invalid header");
            self.judged.insert(id, Judgement::Invalid);
            self.tell(id, false);
        }
    }

    /// At T_propose: reports the builders whose payload has not come, though the Init came by T_c.
    pub(super) fn report_withheld(&mut self, now: Instant) {
        let Some((round, due)) = self.watch.due.filter(|(_, due)| *due <= now) else {
            return;
        };
        self.watch.due = None;
        let Some(deadline) = due.checked_sub(self.pace.reveal_time()) else {
            return;
        };
        let arrived = &self.watch.arrived;
        let in_time = |id: &BlockId| arrived.get(&(round, *id)).is_some_and(|at| *at <= deadline);
        let withheld: Vec<Box<BlockHeader>> = self
            .parts
            .inits()
            .filter(|init| init.signed.proposal.round == round && init.header.bid.is_some())
            .filter(|init| in_time(&init.signed.proposal.block))
            .filter(|init| self.parts.block(init.signed.proposal.block).is_none())
            .filter(|init| !self.judged.contains_key(&init.signed.proposal.block))
            .map(|init| init.header.clone())
            .collect();
        for header in withheld {
            self.spawn(move |executor, _| {
                executor.charge(&header, Withheld::Missing)?;
                Ok(Done::Nothing)
            });
        }
    }

    /// Proposes a block whose payload nobody but its builder has seen.
    pub(super) fn propose_unseen(
        &mut self,
        wanted: Wanted,
        header: Box<BlockHeader>,
        signed: SignedProposal,
    ) {
        if wanted.height != self.height() {
            return;
        }
        let id = signed.proposal.block;
        tracing::debug!(height = wanted.height.0, block = %id, "a bid is taken");
        ::metrics::counter!("sequencer_bids_taken_total").increment(1);
        let init = Init { signed, header };
        self.publish_parts(&init, None);
        self.parts.keep(init.clone());
        self.see_bid(&init);
        let value = LocallyProposedValue {
            height: EngineHeight(wanted.height),
            round: EngineRound::new(wanted.round.0),
            value: BlockValue(id),
        };
        let _ = wanted.reply.send(value); // the engine is stopping
        self.judge_open();
    }

    /// Asks peers for the decided block if it is not here: nothing is acknowledged before.
    pub(super) fn fetch_decided(&mut self) {
        let height = self.height();
        let Some(decision) = self.decision.as_mut().filter(|one| !one.is_fetching) else {
            return;
        };
        let id = decision.certificate.block;
        if self.judged.contains_key(&id) {
            return; // being judged, or committed
        }
        if let Some((relay, gossip)) = self.peers.clone() {
            decision.is_fetching = true;
            self.jobs.spawn(async move {
                let block = relay.fetch_block(&gossip, (height, id)).await;
                Ok(Done::FetchedBlock(id, block.map(Box::new)))
            });
        }
    }

    pub(super) fn take_fetched(&mut self, id: BlockId, block: Option<Box<Block>>) {
        let is_wanted = |one: &super::Decision| one.certificate.block == id;
        if !self.decision.as_ref().is_some_and(is_wanted) {
            return;
        }
        if let Some(decision) = self.decision.as_mut() {
            decision.is_fetching = false;
        }
        if self.judged.contains_key(&id) {
            return;
        }
        match block {
            Some(block) => {
                self.judged.insert(id, Judgement::Pending);
                self.judge(*block);
            }
            None => self.retry_at = Some(Instant::now() + RETRY),
        }
    }
}

#[cfg(test)]
mod tests;
