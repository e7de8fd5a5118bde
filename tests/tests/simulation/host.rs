//! The application around one engine: answers its effects, keeps log and guard, and remembers what to send.

use std::collections::{BTreeMap, BTreeSet};

use arc_malachitebft_core_consensus::{
    ConsensusMsg, Effect, Input, LivenessMsg, MisbehaviorEvidence, Resumable, Resume,
    SignedConsensusMsg, VoteExtensionError,
};
use arc_malachitebft_core_types::{
    CommitCertificate, NilOrVal, PolkaCertificate, Proposal as _, Round as EngineRound,
    SignedMessage, Timeout, TimeoutKind, ValueResponse, Vote as _, VoteExtensionScope,
    VoteExtensions, VoteType,
};
use protocol::{
    account::L1Address,
    block::{Block, BlockEffects, BlockHeader, BlockId, Payload},
    number::{Height, Round},
    params::LIST_HASHES_MAX,
    transaction::ListHash,
    validator::{ValidatorKey, ValidatorSignature},
    vote::{Extension, Proposal, ProposalKind, Report, SignedProposal, Step, Vote},
};
use sequencer::agreement::{Agreement, EngineVote, Seats, VoteExtension};

use crate::{
    chain::{CLIENTS, Chain, is_authentic, sign},
    faults::Fault,
    message::Message,
    referee::{Signed, Slot},
};

/// The guard has signed something else in this place.
#[derive(Debug)]
pub(crate) struct Refused;

type SignedExtension = SignedMessage<Agreement, VoteExtension>;

/// Heights for which a node serves the bytes of a transaction that no longer applies.
const SERVED_HEIGHTS: u64 = 16;

/// What survives a crash.
#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) chain: Chain,
    /// Inputs of the current height, in order.
    pub(crate) log: Vec<Input<Agreement>>,
    /// Entries of the log that were on disk before the last message left.
    pub(crate) flushed: usize,
    /// What has been signed.
    pub(crate) guard: BTreeMap<Slot, [u8; 32]>,
    pub(crate) extensions: BTreeMap<(Height, Round, BlockId), SignedExtension>,
    /// Valid blocks of the current height: on disk before the engine hears of them.
    pub(crate) blocks: BTreeMap<BlockId, (Block, BlockEffects)>,
    /// Transactions by number, with the height at which they came; also those that do not apply any more.
    pub(crate) pool: BTreeMap<usize, Height>,
    /// When one that is in the pool was first seen not to apply any more.
    pub(crate) spent: BTreeMap<usize, Height>,
    pub(crate) reports: BTreeSet<Report>,
}

/// What one input made the engine ask for.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) messages: Vec<Message>,
    pub(crate) timeouts: Vec<(u64, Timeout)>,
    pub(crate) rounds: Vec<(Height, i64)>,
    pub(crate) value_wanted: Option<(Height, Round)>,
    pub(crate) restream: Vec<(Round, Option<Round>, L1Address, BlockId)>,
    pub(crate) synced: Vec<(ValueResponse<Agreement>, L1Address)>,
    pub(crate) finalized: Option<(CommitCertificate<Agreement>, VoteExtensions<Agreement>)>,
    pub(crate) evidence: Vec<MisbehaviorEvidence<Agreement>>,
    pub(crate) signed: Vec<(Slot, [u8; 32])>,
    /// What its extensions list.
    pub(crate) listed: Vec<(Height, Round, BlockId, Vec<ListHash>)>,
    pub(crate) locks: Vec<(Height, Round, BlockId)>,
    /// Length of the log when the input came: a crash during it may lose what came after.
    pub(crate) log_before: usize,
}

/// Parts of one height.
#[derive(Clone, Default)]
pub(crate) struct Parts {
    pub(crate) inits: BTreeMap<(Round, BlockId), (SignedProposal, Box<BlockHeader>, u64)>,
    pub(crate) payloads: BTreeMap<[u8; 32], Box<Payload>>,
    pub(crate) judged: BTreeMap<BlockId, bool>,
    /// Blocks that were unknown when they were first judged.
    pub(crate) unknown: BTreeSet<BlockId>,
}

pub(crate) struct Host {
    pub(crate) agreement: Agreement,
    pub(crate) key: ValidatorKey,
    pub(crate) address: L1Address,
    pub(crate) seats: Seats,
    pub(crate) disk: Disk,
    pub(crate) parts: Parts,
    pub(crate) out: Outbox,
    pub(crate) timers: BTreeMap<(u8, i64), u64>,
    pub(crate) timer_count: u64,
    /// Milliseconds of the virtual clock.
    pub(crate) now: u64,
    /// How far this node's clock is ahead, in milliseconds.
    pub(crate) skew: u64,
    /// Whether conflicting signatures are refused; a faulty node has none.
    pub(crate) is_guarded: bool,
    pub(crate) refusals: usize,
    /// How it misbehaves, if it does.
    pub(crate) fault: Option<Fault>,
    /// Reports it has ever made.
    pub(crate) filed: BTreeSet<Report>,
    pub(crate) counts: Counts,
}

/// What a run counts to show that it reached its corners.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Blocks that were unknown first, and judged when the view of the base layer moved on.
    pub(crate) late_answers: u64,
    /// Proposals that waited for the bytes of listed transactions.
    pub(crate) fetches: u64,
    /// Those of them whose bytes came too late.
    pub(crate) missed_fetches: u64,
}

fn timer_key(timeout: &Timeout) -> (u8, i64) {
    let kind = match timeout.kind {
        TimeoutKind::Propose => 0,
        TimeoutKind::Prevote => 1,
        TimeoutKind::Precommit => 2,
        TimeoutKind::Rebroadcast => 3,
        TimeoutKind::FinalizeHeight(_) => 4,
    };
    (kind, timeout.round.as_i64())
}

pub(crate) fn round_of(round: EngineRound) -> Round {
    Round(round.as_u32().expect("the engine signs in defined rounds"))
}

impl Host {
    pub(crate) fn new(chain: Chain, seat: usize, skew: u64, is_guarded: bool) -> Self {
        let key = chain.world.validators[seat].clone();
        let agreement = Agreement {
            domain: chain.world.domain,
        };
        Self {
            agreement,
            address: key.address(),
            key,
            seats: Seats::from(chain.set().clone()),
            disk: Disk {
                chain,
                log: Vec::new(),
                flushed: 0,
                guard: BTreeMap::new(),
                extensions: BTreeMap::new(),
                blocks: BTreeMap::new(),
                pool: BTreeMap::new(),
                spent: BTreeMap::new(),
                reports: BTreeSet::new(),
            },
            parts: Parts::default(),
            out: Outbox::default(),
            timers: BTreeMap::new(),
            timer_count: 0,
            now: 0,
            skew,
            is_guarded,
            refusals: 0,
            fault: None,
            filed: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// Forgets what is not on disk.
    pub(crate) fn crash(&mut self) {
        self.parts = Parts::default();
        self.out = Outbox::default();
        self.timers.clear();
    }

    /// Starts the books of the next height.
    pub(crate) fn turn_page(&mut self) {
        let next = self.disk.chain.next();
        self.disk.log.clear();
        self.disk.flushed = 0;
        self.disk.blocks.clear();
        self.parts = Parts::default();
        self.disk.guard.retain(|(height, ..), _| *height >= next);
        self.disk
            .extensions
            .retain(|(height, ..), _| *height >= next);
        self.seats = Seats::from(self.disk.chain.set().clone());
        for place in self.disk.pool.keys() {
            if !self.disk.chain.is_pending(&CLIENTS[*place]) {
                self.disk.spent.entry(*place).or_insert(next);
            }
        }
        let spent = &self.disk.spent;
        let is_served = |place: &usize| {
            let since = spent.get(place);
            since.is_none_or(|since| since.0 + SERVED_HEIGHTS >= next.0)
        };
        self.disk.pool.retain(|place, _| is_served(place));
        self.disk
            .reports
            .retain(|report| report.height.0 + 15 >= next.0);
    }

    /// Signs, unless the guard knows better.
    pub(crate) fn sign(
        &mut self,
        slot: Slot,
        digest: [u8; 32],
    ) -> Result<ValidatorSignature, Refused> {
        if self.is_guarded {
            let first = *self.disk.guard.entry(slot).or_insert(digest);
            if first != digest {
                self.refusals += 1;
                return Err(Refused);
            }
        }
        self.out.signed.push((slot, digest));
        Ok(sign(&self.key, self.address, digest))
    }

    /// Signs the opening of a block's parts.
    pub(crate) fn sign_init(
        &mut self,
        round: Round,
        pol_round: Option<Round>,
        block: BlockId,
    ) -> Option<SignedProposal> {
        let proposal = Proposal {
            height: self.disk.chain.next(),
            round,
            pol_round,
            block,
        };
        let digest = proposal.digest(ProposalKind::Init, &self.agreement.domain);
        let slot = (proposal.height, round, Signed::Init);
        let signature = self.sign(slot, digest).ok()?;
        Some(SignedProposal {
            proposal,
            kind: ProposalKind::Init,
            proposer: self.address,
            signature,
        })
    }

    /// The extension of a precommit: what it lists was here one height ago and is not in the block.
    fn extend(
        &mut self,
        height: Height,
        round: Round,
        block: BlockId,
    ) -> Result<SignedExtension, Refused> {
        let place = (height, round, block);
        if let (true, Some(stored)) = (self.is_guarded, self.disk.extensions.get(&place)) {
            return Ok(stored.clone());
        }
        let held = self.disk.blocks.get(&block);
        let is_inside = |name: &ListHash| {
            held.is_some_and(|(held, _)| {
                held.payload.entries.iter().any(|entry| match entry {
                    protocol::block::Entry::Submission { submission, .. } => {
                        submission.list_hash(&self.agreement.domain) == *name
                    }
                    protocol::block::Entry::BidBurn(_) => false,
                })
            })
        };
        let chain = &self.disk.chain;
        let ripe = self
            .disk
            .pool
            .iter()
            .filter(|(place, came)| **came < height && chain.is_pending(&CLIENTS[**place]));
        let mut hashes: Vec<ListHash> = ripe
            .map(|(place, _)| CLIENTS[*place].hash)
            .filter(|hash| !is_inside(hash))
            .take(LIST_HASHES_MAX)
            .collect();
        hashes.sort_unstable();
        let genesis_ms = self.disk.chain.world.genesis.timestamp_ms;
        let extension = VoteExtension(Extension {
            hashes,
            time_ms: genesis_ms + self.now + self.skew,
            reports: self.disk.reports.iter().take(8).copied().collect(),
        });
        let scope = VoteExtensionScope {
            height: sequencer::agreement::EngineHeight(height),
            round: EngineRound::new(round.0),
            value_id: block,
            validator_address: sequencer::agreement::SeatAddress(self.address),
        };
        let digest = self
            .agreement
            .extension_digest(&scope, &extension)
            .expect("a defined round");
        let slot = (height, round, Signed::Extension);
        let signature = self.sign(slot, digest)?;
        let said = extension.0.hashes.clone();
        self.out.listed.push((height, round, block, said));
        let signed = SignedMessage::new(extension, signature);
        self.disk.extensions.insert(place, signed.clone());
        Ok(signed)
    }

    fn sign_vote(
        &mut self,
        vote: EngineVote,
    ) -> Result<SignedMessage<Agreement, EngineVote>, Refused> {
        let vote = match &self.fault {
            Some(fault) => {
                let mut inits = self.parts.inits.keys();
                let proposed = inits.find(|(round, _)| EngineRound::new(round.0) == vote.round());
                fault.twist(&self.agreement, vote, proposed.map(|(_, id)| *id))
            }
            None => vote,
        };
        let digest = self.agreement.vote_digest(&vote).expect("a defined round");
        let (height, round) = (vote.height().0, round_of(vote.round()));
        let step = match vote.vote_type() {
            VoteType::Prevote => Signed::Prevote,
            VoteType::Precommit => Signed::Precommit,
        };
        let signature = self.sign((height, round, step), digest)?;
        Ok(SignedMessage::new(vote, signature))
    }

    fn publish(&mut self, message: Message) {
        if let Message::Vote(vote) = &message
            && let (VoteType::Precommit, NilOrVal::Val(block)) = (vote.vote_type(), vote.value())
        {
            let lock = (vote.height().0, round_of(vote.round()), *block);
            self.out.locks.push(lock);
        }
        self.out.messages.push(message);
        self.disk.flushed = self.disk.log.len();
    }

    /// Whether these are votes of a quorum, and each signature is its voter's; most have been verified before.
    fn is_known_quorum(&self, vote: &Vote, signers: &[(L1Address, ValidatorSignature)]) -> bool {
        let set = self.seats.set();
        let digest = vote.digest(&self.agreement.domain);
        let names: BTreeSet<L1Address> = signers.iter().map(|(name, _)| *name).collect();
        let weight = names.iter().map(|name| set.weight_of(name)).sum();
        set.is_quorum(weight)
            && names.len() == signers.len()
            && signers
                .iter()
                .all(|(name, signature)| is_authentic(digest, *name, *signature))
    }

    /// The engine made it of votes that it has had verified: nothing is recovered twice.
    fn is_known_commit(&self, certificate: &CommitCertificate<Agreement>) -> bool {
        let Some(commit) = Agreement::to_protocol_commit(certificate) else {
            return false;
        };
        let vote = Vote {
            height: commit.height,
            round: commit.round,
            step: Step::Precommit,
            block: Some(commit.block),
        };
        let signers = commit.signatures.iter();
        let signers: Vec<_> = signers.map(|one| (one.validator, one.signature)).collect();
        self.is_known_quorum(&vote, &signers)
    }

    fn is_known_polka(&self, certificate: &PolkaCertificate<Agreement>) -> bool {
        let Some(round) = certificate.round.as_u32() else {
            return false;
        };
        let vote = Vote {
            height: certificate.height.0,
            round: Round(round),
            step: Step::Prevote,
            block: Some(certificate.value_id),
        };
        let signers = certificate.polka_signatures.iter();
        let signers: Vec<_> = signers.map(|one| (one.address.0, one.signature)).collect();
        self.is_known_quorum(&vote, &signers)
    }

    /// Answers one effect.
    pub(crate) fn answer(
        &mut self,
        effect: Effect<Agreement>,
    ) -> Result<Resume<Agreement>, Refused> {
        Ok(match effect {
            Effect::CancelAllTimeouts(r) => {
                self.timers.clear();
                r.resume_with(())
            }
            Effect::CancelTimeout(timeout, r) => {
                self.timers.remove(&timer_key(&timeout));
                r.resume_with(())
            }
            Effect::ScheduleTimeout(timeout, r) => {
                self.timer_count += 1;
                self.timers.insert(timer_key(&timeout), self.timer_count);
                self.out.timeouts.push((self.timer_count, timeout));
                r.resume_with(())
            }
            Effect::StartRound(height, round, _, _, r) => {
                self.out.rounds.push((height.0, round.as_i64()));
                r.resume_with(())
            }
            Effect::PublishConsensusMsg(message, r) => {
                self.publish(match message {
                    SignedConsensusMsg::Vote(vote) => Message::Vote(vote),
                    SignedConsensusMsg::Proposal(proposal) => Message::Proposal(proposal),
                });
                r.resume_with(())
            }
            Effect::PublishLivenessMsg(message, r) => {
                self.publish(match message {
                    LivenessMsg::Vote(vote) => Message::Vote(vote),
                    LivenessMsg::PolkaCertificate(polka) => Message::Polka(polka),
                    LivenessMsg::SkipRoundCertificate(round) => Message::Round(round),
                });
                r.resume_with(())
            }
            Effect::RepublishVote(vote, r) => {
                self.out.messages.push(Message::Vote(vote));
                r.resume_with(())
            }
            Effect::RepublishRoundCertificate(certificate, r) => {
                self.out.messages.push(Message::Round(certificate));
                r.resume_with(())
            }
            Effect::GetValue(height, round, _, r) => {
                self.out.value_wanted = Some((height.0, round_of(round)));
                r.resume_with(())
            }
            Effect::RestreamProposal(_, round, valid_round, address, block, r) => {
                let pol = valid_round.as_u32().map(Round);
                self.out
                    .restream
                    .push((round_of(round), pol, address.0, block));
                r.resume_with(())
            }
            Effect::CertVerifiedSyncValue(response, proposer, r) => {
                self.out.synced.push((response, proposer.0));
                r.resume_with(())
            }
            Effect::CertRejectedSyncValue(_, _, _, r) => r.resume_with(()),
            Effect::Decide(_, _, r) => r.resume_with(()),
            Effect::SignVote(vote, r) => r.resume_with(self.sign_vote(vote)?),
            Effect::SignProposal(proposal, r) => {
                let digest = self
                    .agreement
                    .proposal_digest(&proposal)
                    .expect("a defined round");
                let (height, round) = (proposal.height().0, round_of(proposal.round()));
                let signature = self.sign((height, round, Signed::Proposal), digest)?;
                r.resume_with(SignedMessage::new(proposal, signature))
            }
            Effect::VerifySignature(message, key, r) => {
                let digest = match &message.message {
                    ConsensusMsg::Vote(vote) => self.agreement.vote_digest(vote),
                    ConsensusMsg::Proposal(one) => self.agreement.proposal_digest(one),
                };
                r.resume_with(
                    digest.is_some_and(|digest| is_authentic(digest, key, message.signature)),
                )
            }
            Effect::VerifyCommitCertificate(certificate, seats, thresholds, r) => {
                r.resume_with(if self.is_known_commit(&certificate) {
                    Ok(())
                } else {
                    self.agreement
                        .verify_commit(&certificate, &seats, thresholds)
                })
            }
            Effect::VerifyExtendedCommitCertificate(certificate, seats, thresholds, _, r) => {
                let verdict =
                    self.agreement
                        .verify_extended_commit(&certificate, &seats, thresholds);
                r.resume_with(verdict)
            }
            Effect::VerifyPolkaCertificate(certificate, seats, thresholds, r) => {
                r.resume_with(if self.is_known_polka(&certificate) {
                    Ok(())
                } else {
                    self.agreement
                        .verify_polka(&certificate, &seats, thresholds)
                })
            }
            Effect::VerifyRoundCertificate(certificate, seats, thresholds, r) => r.resume_with(
                self.agreement
                    .verify_round(&certificate, &seats, thresholds),
            ),
            Effect::WalAppend(height, input, r) => {
                if height.0 == self.disk.chain.next() {
                    self.disk.log.push(input);
                }
                r.resume_with(())
            }
            Effect::ExtendVote(height, round, block, _, r) => {
                let extension = self.extend(height.0, round_of(round), block)?;
                r.resume_with(Some(extension))
            }
            Effect::VerifyVoteExtension(height, round, block, address, extension, key, r) => {
                let scope = VoteExtensionScope::new(height, round, block, address);
                let digest = self.agreement.extension_digest(&scope, &extension.message);
                let is_good = extension.message.0.check().is_ok()
                    && digest.is_some_and(|digest| is_authentic(digest, key, extension.signature));
                r.resume_with(if is_good {
                    Ok(())
                } else {
                    Err(VoteExtensionError::InvalidVoteExtension)
                })
            }
            Effect::Finalize(certificate, extensions, evidence, r) => {
                self.out.finalized = Some((certificate, extensions));
                self.out.evidence.push(evidence);
                r.resume_with(())
            }
        })
    }
}
