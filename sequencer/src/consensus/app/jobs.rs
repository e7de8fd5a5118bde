//! Work on other threads, and what becomes of it.

use arc_malachitebft_app::engine::host::{LocallyProposedValue, ProposedValue, SyncedValueOutcome};
use arc_malachitebft_core_types::Validity;
use protocol::{
    block::{Block, BlockId},
    number::{Height, Round},
    validity,
    vote::{Proposal, ProposalKind, SignedProposal},
};
use ractor::RpcReplyPort;

use super::{
    App, ConsensusError, Decision, Done, Init, Judgement, RETRY, Refused, UNKNOWN_RETRY, Verdict,
    Wanted, bids::choose,
};
use crate::{
    agreement::{Agreement, BlockValue},
    chain::now_ms,
    executor::{Executor, Judged, NoPrefix, ProposeError},
    guard::{GuardError, GuardRequest, SigningGuard},
};

/// Judges a block; a valid one is on disk when this returns.
fn judge(executor: &Executor, block: Block) -> Result<Verdict, ConsensusError> {
    match executor.judge(&block) {
        Ok(validity::Verdict::Valid(effects)) => {
            executor.shared.store.write_undecided(&block)?;
            Ok(Verdict::Valid(Judged {
                block: block.into(),
                effects: std::sync::Arc::new(*effects),
            }))
        }
        Ok(validity::Verdict::Invalid(reason)) => {
            executor.charge_invalid(&block)?;
            let other = executor.other_set(&block.header.core);
            Ok(Verdict::Invalid(
                other.map_or(Refused::Rule(reason), Refused::Set),
            ))
        }
        Ok(validity::Verdict::Unknown(missing)) => {
            tracing::debug!(?missing, "no verdict yet");
            Ok(Verdict::Unknown)
        }
        Err(NoPrefix::Stale(stale)) => {
            tracing::debug!(%stale, "no verdict");
            Ok(Verdict::Stale)
        }
        Err(NoPrefix::Storage(error)) => Err(error.into()),
    }
}

/// Signs the opening of a block's parts, and with it the proposal that the engine will ask for: one write instead of two.
/// `None` if this node has opened another block in this round.
fn sign_init(
    guard: &SigningGuard,
    (height, round, pol_round): (Height, Round, Option<Round>),
    block: BlockId,
) -> Result<Option<SignedProposal>, ConsensusError> {
    let proposal = Proposal {
        height,
        round,
        pol_round,
        block,
    };
    let kinds = [ProposalKind::Init, ProposalKind::Proposal];
    match guard.sign_together(kinds.map(|kind| GuardRequest::Proposal(proposal, kind))) {
        Ok([signature, _]) => Ok(Some(SignedProposal {
            proposal,
            kind: ProposalKind::Init,
            proposer: guard.address(),
            signature,
        })),
        Err(error @ (GuardError::Conflict { .. } | GuardError::Below { .. })) => {
            tracing::warn!(%error, "not proposing");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

impl App {
    pub(super) fn spawn(
        &mut self,
        work: impl FnOnce(&Executor, &SigningGuard) -> Result<Done, ConsensusError> + Send + 'static,
    ) {
        let (executor, guard) = (self.executor.clone(), self.guard.clone());
        self.jobs.spawn_blocking(move || work(&executor, &guard));
    }

    /// Builds a block, or takes the one that was built for this round before a restart.
    pub(super) fn propose(&mut self, wanted: Wanted) {
        let (height, round, address) = (wanted.height, wanted.round, self.address);
        if height != self.height() || round < self.parts.round() {
            return; // nobody waits any more
        }
        let earlier = self.judged.values().find_map(|judgement| match judgement {
            Judgement::Valid(judged) => {
                let core = &judged.block.header.core;
                let is_it = core.author == address && core.birth_round == round;
                is_it.then(|| judged.clone())
            }
            _ => None,
        });
        let (exchange, bid_leaf) = (self.exchange.clone(), self.bid_leaf);
        let bid_leaf = bid_leaf.filter(|_| round == Round(0) && earlier.is_none());
        self.spawn(move |executor, guard| {
            let store = &executor.shared.store;
            let sold = store.sold(height)?.filter(|header| {
                let core = &header.core;
                (core.author, core.birth_round, core.parent) == (address, round, executor.tip().id)
            });
            let mut sold = sold.map(Box::new);
            let mut built = None;
            if sold.is_none() {
                let judged =
                    match earlier.map_or_else(|| executor.propose(height, round, address), Ok) {
                        Ok(judged) => judged,
                        Err(ProposeError::Unlisted(names)) => {
                            return Ok(Done::NotProposed(wanted, names, Vec::new()));
                        }
                        Err(ProposeError::Unburnable(bids)) => {
                            return Ok(Done::NotProposed(wanted, Vec::new(), bids));
                        }
                        Err(ProposeError::Stale(_)) => return Ok(Done::Nothing),
                        Err(ProposeError::Storage(error)) => return Err(error.into()),
                        Err(error @ ProposeError::Unopened(_)) => {
                            tracing::error!(%error, "no block to propose");
                            return Ok(Done::Nothing);
                        }
                    };
                // a builder's block would not begin with what was promised
                sold = bid_leaf
                    .filter(|_| !executor.has_promised(height))
                    .and_then(|leaf| choose(executor, &exchange, leaf, &judged));
                if let Some(header) = &sold {
                    store.write_sold(header)?;
                }
                built = Some(judged);
            }
            if let Some(header) = sold {
                return Ok(
                    match sign_init(guard, (height, round, None), header.id())? {
                        Some(init) => Done::Sold(wanted, header, init),
                        None => Done::Nothing,
                    },
                );
            }
            let Some(judged) = built else {
                return Ok(Done::Nothing);
            };
            let id = judged.effects.tip.id;
            // in this order: who has signed for a block that a crash took away has no proposal left in the round
            executor.shared.store.write_undecided(&judged.block)?;
            Ok(match sign_init(guard, (height, round, None), id)? {
                Some(init) => Done::Proposed(wanted, judged, init),
                None => Done::Nothing,
            })
        });
    }

    pub(super) fn judge(&mut self, block: Block) {
        let id = block.id();
        self.spawn(move |executor, _| Ok(Done::Judged(id, judge(executor, block)?)));
    }

    pub(super) fn judge_synced(
        &mut self,
        mut value: ProposedValue<Agreement>,
        block: Block,
        reply: RpcReplyPort<SyncedValueOutcome<Agreement>>,
    ) {
        let id = block.id();
        value.value = BlockValue(id);
        self.spawn(move |executor, _| {
            let verdict = judge(executor, block)?;
            Ok(Done::Synced {
                value,
                id,
                verdict,
                reply,
            })
        });
    }

    /// Blocks of this height that were valid before a restart.
    pub(super) fn recall(&mut self) {
        match self.executor.shared.store.undecided(self.height()) {
            Ok(blocks) => {
                for block in blocks {
                    let id = block.id();
                    self.judged.insert(id, Judgement::Pending);
                    self.judge(block);
                }
            }
            Err(error) => {
                self.jobs.spawn(async move { Err(error.into()) });
            }
        }
    }

    /// Opens a block's parts once more, in a later round.
    pub(super) fn restream(&mut self, round: Round, pol_round: Option<Round>, id: BlockId) {
        let header = match self.judged.get(&id) {
            Some(Judgement::Valid(judged)) => Some(Box::new(judged.block.header.clone())),
            // proposed unseen, and locked by others: the payload follows
            _ => self
                .parts
                .inits_of(id)
                .next()
                .map(|init| init.header.clone()),
        };
        let (Some(header), height) = (header, self.height()) else {
            return;
        };
        self.spawn(move |_, guard| {
            Ok(match sign_init(guard, (height, round, pol_round), id)? {
                Some(init) => Done::Restreamed(init, header),
                None => Done::Nothing,
            })
        });
    }

    /// Commits the decided block if it is here, judged and valid.
    pub(super) fn commit_if_ready(&mut self) {
        let Some(decision) = self.decision.as_mut().filter(|one| !one.is_committing) else {
            return;
        };
        let Some(Judgement::Valid(judged)) = self.judged.get(&decision.certificate.block) else {
            self.fetch_decided();
            return;
        };
        decision.is_committing = true;
        let (judged, certificate) = (judged.clone(), decision.certificate.clone());
        self.spawn(move |executor, _| {
            executor.commit(judged, certificate, now_ms())?;
            Ok(Done::Committed)
        });
    }

    pub(super) fn done(&mut self, done: Done) -> Result<(), ConsensusError> {
        match done {
            Done::Nothing => {}
            Done::Proposed(wanted, judged, signed) => {
                let id = judged.effects.tip.id;
                if wanted.height != self.height() {
                    return Ok(());
                }
                let header = Box::new(judged.block.header.clone());
                let init = Init { signed, header };
                self.publish_parts(&init, Some(&judged.block.payload));
                self.parts.keep(init);
                self.judged.insert(id, Judgement::Valid(judged));
                let value = LocallyProposedValue {
                    height: crate::agreement::EngineHeight(wanted.height),
                    round: arc_malachitebft_core_types::Round::new(wanted.round.0),
                    value: BlockValue(id),
                };
                let _ = wanted.reply.send(value); // the engine is stopping
            }
            Done::Sold(wanted, header, signed) => self.propose_unseen(wanted, header, signed),
            Done::BadHeader(id, reason) => self.refuse_header(id, &reason),
            Done::FetchedBlock(id, block) => self.take_fetched(id, block),
            Done::NotProposed(wanted, names, bids) => {
                let (lists, burns) = (names.len(), bids.len());
                tracing::debug!(lists, burns, "what the block must hold is not here yet");
                self.wanted = Some(wanted);
                match self.peers.clone() {
                    Some((relay, gossip)) => {
                        self.jobs.spawn(async move {
                            relay.fetch(&gossip, names).await;
                            relay.fetch_bids(&gossip, bids).await;
                            Ok(Done::Fetched)
                        });
                    }
                    None => self.retry_at = Some(std::time::Instant::now() + RETRY),
                }
            }
            Done::Fetched => self.retry_at = Some(std::time::Instant::now() + RETRY),
            Done::Judged(id, verdict) => {
                self.take_verdict(id, verdict)?;
                self.judge_open();
            }
            Done::Synced {
                mut value,
                id,
                verdict,
                reply,
            } => {
                let outcome = match &verdict {
                    Verdict::Valid(_) => SyncedValueOutcome::Verdict(value),
                    Verdict::Invalid(reason) => {
                        tracing::error!(height = self.height().0, %reason, "a peer's block is not valid here");
                        value.validity = Validity::Invalid;
                        SyncedValueOutcome::Verdict(value)
                    }
                    Verdict::Unknown | Verdict::Stale => SyncedValueOutcome::LocalTransientError,
                };
                match verdict {
                    Verdict::Valid(judged) => {
                        self.judged.insert(id, Judgement::Valid(judged));
                    }
                    Verdict::Invalid(reason) => self.refused = Some((id, reason)),
                    Verdict::Unknown | Verdict::Stale => {}
                }
                let _ = reply.send(outcome); // the engine is stopping
                self.commit_if_ready();
            }
            Done::Committed => {
                if let Some(Decision {
                    reply: Some(reply), ..
                }) = self.decision.take()
                {
                    let _ = reply.send(()); // the engine is stopping
                }
                self.turn_page();
                self.start_next_height(std::time::Instant::now());
            }
            Done::Restreamed(signed, header) => {
                let id = signed.proposal.block;
                let init = Init { signed, header };
                let payload = self.payload_of(id);
                self.publish_parts(&init, payload.as_ref());
                self.parts.keep(init.clone());
                self.see_bid(&init);
            }
        }
        Ok(())
    }

    fn take_verdict(&mut self, id: BlockId, verdict: Verdict) -> Result<(), ConsensusError> {
        if !matches!(self.judged.get(&id), Some(Judgement::Pending)) {
            return Ok(()); // of a height that has gone by
        }
        let is_decided = self
            .decision
            .as_ref()
            .is_some_and(|decision| decision.certificate.block == id);
        match verdict {
            Verdict::Valid(judged) => {
                self.judged.insert(id, Judgement::Valid(judged));
                self.tell(id, true);
                self.commit_if_ready();
            }
            Verdict::Invalid(reason) if is_decided => {
                return Err(reason.into_decided(self.height()));
            }
            Verdict::Invalid(reason) => {
                tracing::warn!(height = self.height().0, block = %id, %reason, "invalid proposal");
                self.judged.insert(id, Judgement::Invalid);
                self.tell(id, false);
            }
            Verdict::Unknown => {
                self.judged.insert(id, Judgement::Unknown);
                self.retry_at = Some(std::time::Instant::now() + UNKNOWN_RETRY);
            }
            Verdict::Stale => {
                self.judged.remove(&id);
            }
        }
        Ok(())
    }
}
