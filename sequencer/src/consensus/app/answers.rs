//! Answers to the engine's questions.

use std::ops::RangeInclusive;

use arc_malachitebft_app::{
    consensus::MisbehaviorEvidence,
    engine::{
        host::{HostMsg, ProposedValue, SyncedValueOutcome},
        util::streaming::StreamContent,
    },
    types::sync::RawDecidedValue,
};
use arc_malachitebft_core_consensus::VoteExtensionError;
use arc_malachitebft_core_types::{
    CommitCertificate, Round as EngineRound, Validity, VoteExtensions,
};
use bytes::Bytes;
use protocol::{
    block::{Block, BlockId},
    codec::{from_bytes, to_bytes},
    evidence::Evidence,
    number::{Height, Round},
    vote::Extension,
};
use ractor::RpcReplyPort;

use super::{App, ConsensusError, Decision, Done, Init, Judgement, Question, Wanted};
use crate::{
    agreement::{Agreement, BlockValue, EngineHeight, Part, VoteExtension},
    chain::now_ms,
    consensus::engine::SYNC_BYTES_MAX,
    executor::Executor,
    storage::StorageError,
};

/// The extension of a precommit for a block. Without the block nothing is listed.
fn extension(executor: &Executor, height: Height, block: Option<&Block>) -> Extension {
    Extension {
        hashes: block
            .map(|block| executor.listable(block))
            .unwrap_or_default(),
        time_ms: now_ms(),
        reports: executor.reports.reports(height),
    }
}

/// Decided blocks of these heights, as far as one answer holds them.
fn decided_values(
    executor: &Executor,
    heights: RangeInclusive<EngineHeight>,
) -> Result<Vec<RawDecidedValue<Agreement>>, StorageError> {
    let mut values = Vec::new();
    let mut bytes = 0_u64;
    for height in heights.start().0.0..=heights.end().0.0 {
        let Some(stored) = executor.shared.store.block(Height(height))? else {
            break;
        };
        let value_bytes = Bytes::from(to_bytes(&stored.block));
        let certificate = to_bytes(&stored.certificate).len();
        let size = value_bytes.len().saturating_add(certificate);
        bytes = bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        if bytes > SYNC_BYTES_MAX && !values.is_empty() {
            break;
        }
        values.push(RawDecidedValue {
            value_bytes,
            certificate: Agreement::to_engine_certificate(&stored.certificate),
        });
    }
    Ok(values)
}

impl App {
    /// Answers a question of the engine, now or later.
    pub(super) fn answer(&mut self, question: Question) -> Result<(), ConsensusError> {
        match question {
            HostMsg::ConsensusReady { reply_to } => {
                self.started = std::time::Instant::now();
                self.ready = Some(reply_to);
            }
            HostMsg::StartedRound {
                height,
                round,
                reply_to,
                ..
            } => {
                if let (true, Some(round)) = (height.0 == self.height(), round.as_u32()) {
                    let (round, now) = (Round(round), std::time::Instant::now());
                    self.parts.start_round(round);
                    self.watch.start_round(round, now, &self.pace);
                    let standing = &self.executor.observed.standing;
                    standing.start_round(height.0, round);
                }
                // what is known to be valid was told when it became known, and is in the engine's log
                let _ = reply_to.send(Vec::new());
            }
            HostMsg::GetValue {
                height,
                round,
                reply_to: reply,
                ..
            } => {
                if let Some(round) = round.as_u32().map(Round) {
                    let height = height.0;
                    self.propose(Wanted {
                        height,
                        round,
                        reply,
                    });
                }
            }
            HostMsg::ExtendVote {
                value_id, reply_to, ..
            } => self.extend(value_id, reply_to),
            HostMsg::VerifyVoteExtensions {
                extensions,
                reply_to,
                ..
            } => {
                // syntax only: anything else would throw away votes (review finding M4)
                let verdicts = extensions.into_iter().map(|(address, extension)| {
                    let verdict = extension.0.check();
                    let verdict = verdict.map_err(|_| VoteExtensionError::InvalidVoteExtension);
                    (address, verdict)
                });
                let _ = reply_to.send(verdicts.collect());
            }
            HostMsg::RestreamValue {
                round,
                valid_round,
                address,
                value_id,
                ..
            } => {
                let pol_round = valid_round.as_u32().map(Round);
                if let (true, Some(round)) = (address.0 == self.address, round.as_u32()) {
                    self.restream(Round(round), pol_round, value_id);
                }
            }
            HostMsg::GetHistoryMinHeight { reply_to } => {
                let first = self.executor.shared.store.first_height()?;
                let _ = reply_to.send(EngineHeight(first));
            }
            // a part that completes a block is answered when the block is judged
            HostMsg::ReceivedProposalPart { part, .. } => {
                if let StreamContent::Data(part) = part.content {
                    self.take_part(part);
                }
            }
            HostMsg::Decided {
                certificate,
                extensions,
                reply_to,
            } => self.decide(&certificate, &extensions, reply_to)?,
            HostMsg::Finalized {
                evidence, reply_to, ..
            } => {
                self.take_evidence(evidence);
                self.finished = Some(reply_to);
                self.start_next_height(std::time::Instant::now());
            }
            HostMsg::GetDecidedValues { range, reply_to } => {
                let executor = self.executor.clone();
                self.jobs.spawn_blocking(move || {
                    let values = decided_values(&executor, range)?;
                    let _ = reply_to.send(values);
                    Ok(Done::Nothing)
                });
            }
            HostMsg::ProcessSyncedValue {
                height,
                round,
                proposer,
                value_bytes,
                reply_to,
            } => {
                let Ok(block) = from_bytes::<Block>(&value_bytes) else {
                    let _ = reply_to.send(SyncedValueOutcome::PeerFault);
                    return Ok(());
                };
                if block.header.core.height != height.0 {
                    let _ = reply_to.send(SyncedValueOutcome::PeerFault);
                    return Ok(());
                }
                let value = ProposedValue {
                    height,
                    round,
                    valid_round: EngineRound::Nil,
                    proposer,
                    value: BlockValue(BlockId::default()),
                    validity: Validity::Valid,
                };
                self.judge_synced(value, block, reply_to);
            }
        }
        Ok(())
    }

    fn extend(&mut self, id: BlockId, reply: RpcReplyPort<Option<VoteExtension>>) {
        let (executor, height) = (self.executor.clone(), self.height());
        let block = match self.judged.get(&id) {
            Some(Judgement::Valid(judged)) => Some(judged.block.clone()),
            _ => None,
        };
        self.jobs.spawn_blocking(move || {
            let extension = extension(&executor, height, block.as_deref());
            let _ = reply.send(Some(VoteExtension(extension)));
            Ok(Done::Nothing)
        });
    }

    pub(super) fn take_part(&mut self, part: Part) {
        match part {
            Part::Init { signed, header } => self.take_init(Init { signed, header }),
            Part::Payload(payload) => {
                self.parts.take_payload(payload);
                self.judge_open();
            }
        }
    }

    fn decide(
        &mut self,
        certificate: &CommitCertificate<Agreement>,
        extensions: &VoteExtensions<Agreement>,
        reply: RpcReplyPort<()>,
    ) -> Result<(), ConsensusError> {
        let reason = "the engine decided in the round before the first";
        let certificate = Agreement::to_protocol_certificate(certificate, extensions)
            .ok_or_else(|| ConsensusError::Engine(reason.into()))?;
        if certificate.height != self.height() {
            // decided again from the log: the commit was the last thing before the crash
            let _ = reply.send(());
            return Ok(());
        }
        self.decision = Some(Decision {
            certificate,
            reply: Some(reply),
            is_committing: false,
            is_fetching: false,
        });
        self.commit_if_ready();
        Ok(())
    }

    fn take_evidence(&mut self, evidence: MisbehaviorEvidence<Agreement>) {
        let proposals = evidence.proposals.iter().flat_map(|(_, pairs)| pairs);
        let proposals = proposals.filter_map(|(first, second)| {
            Some(Evidence::DoubleProposal(
                Agreement::to_protocol_proposal(first)?,
                Agreement::to_protocol_proposal(second)?,
            ))
        });
        let votes = evidence.votes.iter().flat_map(|(_, pairs)| pairs);
        let votes = votes.filter_map(|(first, second)| {
            Some(Evidence::DoubleVote(
                Agreement::to_protocol_vote(first)?,
                Agreement::to_protocol_vote(second)?,
            ))
        });
        let all: Vec<Evidence> = proposals.chain(votes).collect();
        for evidence in all {
            self.accuse(evidence);
        }
    }
}
