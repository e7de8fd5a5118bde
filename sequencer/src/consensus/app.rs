//! The application that the engine asks: one loop that never waits for disk or hashing. What takes time runs on other
//! threads and comes back as a [`Done`]; an answer is given when it is known, however late.
//!
//! Invariants: a block is on disk before the engine hears that it is valid; a height is answered as finished only after
//! its block is committed; an unknown verdict is not answered. What this module does not do: count votes.

mod answers;
mod bids;
mod jobs;
mod kept;
mod publish;
mod refused;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api::status::NodeRole;

use arc_malachitebft_app::{
    consensus::SignedConsensusMsg,
    engine::{
        consensus::{ConsensusMsg, ConsensusRef},
        host::{LocallyProposedValue, Next, ProposedValue, SyncedValueOutcome},
        network::NetworkRef,
        util::events::{Event, RxEvent},
    },
};
use arc_malachitebft_core_consensus::Input;
use arc_malachitebft_core_types::{
    HeightParams, LinearTimeouts, NilOrVal, Round as EngineRound, Validity, ValueOrigin, Vote as _,
    VoteExtensionPolicy, VoteType,
};
use protocol::{
    account::L1Address,
    block::{Block, BlockHeader, BlockId, InvalidBlock},
    certificate::ExtendedCertificate,
    evidence::Evidence,
    number::{Height, LeafIndex, Round},
    transaction::{BidHash, ListHash},
    validator::ValidatorSet,
    vote::SignedProposal,
};
use ractor::RpcReplyPort;
use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    ConsensusError, Peers,
    engine::Engine,
    host::Question,
    locks::Heard,
    parts::{Init, Parts},
};
use crate::{
    agreement::{Agreement, BlockValue, EngineHeight, Part, SeatAddress, Seats},
    builder::Exchange,
    config::RoundTimeouts,
    evidence::EvidenceBook,
    executor::{Executor, Judged},
    guard::SigningGuard,
    sightings::Sighting,
};
use bids::Watch;
use refused::Refused;

/// Verdicts worked on at a time: a faulty proposer has two Inits a round, and must not keep the good one waiting.
const JUDGING_MAX: usize = 2;
/// How long to wait before asking again what could not be answered: listed bytes.
const RETRY: Duration = Duration::from_millis(50);
/// The same of a block whose origin is not final here: the base layer is looked at less often than that, and a decided block may
/// have to be fetched again each time.
const UNKNOWN_RETRY: Duration = Duration::from_millis(250);
/// Block intervals after which a block is old when it is committed: its time is one interval behind as a rule.
const LATE_INTERVALS: u128 = 3;
/// Milliseconds more, for what agreement takes.
const LATE_MS: u128 = 200;
/// Longest wait of a step, however late the round.
const STEP_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// How fast heights follow each other, and how long messages take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// From the start of a height to the next, at least.
    pub(super) block_interval: Duration,
    pub(super) timeouts: RoundTimeouts,
    /// D of `sequencing.md`: a lock that has led to no decision by then is published.
    pub(super) delay_bound: Duration,
    /// S of `sequencing.md`.
    pub(super) skew_bound: Duration,
}

impl Pace {
    fn engine_timeouts(&self) -> LinearTimeouts {
        let timeouts = self.timeouts;
        LinearTimeouts {
            propose: timeouts.propose,
            propose_delta: timeouts.propose_delta,
            prevote: timeouts.prevote,
            prevote_delta: timeouts.prevote_delta,
            precommit: timeouts.precommit,
            precommit_delta: timeouts.precommit_delta,
            rebroadcast: timeouts.rebroadcast,
            max_timeout: STEP_TIMEOUT_MAX,
        }
    }
}

/// What a node does in agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Proposes and votes.
    Validator,
    /// Follows until a height is committed.
    Observer { until: Height },
}

impl Role {
    /// What the node says of itself, and until when.
    fn named(self) -> (NodeRole, Option<Height>) {
        match self {
            Self::Validator => (NodeRole::Validator, None),
            Self::Observer { until } if until == FOLLOWED_HEIGHT_MAX => (NodeRole::Follower, None),
            Self::Observer { until } => (NodeRole::Observer, Some(until)),
        }
    }
}

/// Until when a follower observes: it never votes.
pub(super) const FOLLOWED_HEIGHT_MAX: Height = Height(u64::MAX);

/// Why the application has ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to.
    Cancelled,
    /// It has observed what it had to.
    CaughtUp,
}

/// What is known of a block at the present height.
enum Judgement {
    /// Being judged.
    Pending,
    /// Valid, and on disk.
    Valid(Judged),
    Invalid,
    /// Something is missing: judged again later.
    Unknown,
}

/// A proposal that the engine waits for.
struct Wanted {
    height: Height,
    round: Round,
    reply: RpcReplyPort<LocallyProposedValue<Agreement>>,
}

/// A decision that is not committed yet.
struct Decision {
    certificate: ExtendedCertificate,
    reply: Option<RpcReplyPort<()>>,
    is_committing: bool,
    /// Peers have been asked for the block.
    is_fetching: bool,
}

/// Work that has come back from another thread.
enum Done {
    Proposed(Wanted, Judged, SignedProposal),
    /// A builder's block is to be proposed, without its payload.
    Sold(Wanted, Box<BlockHeader>, SignedProposal),
    /// No block can be proposed before these are here; tried again while the round lasts.
    NotProposed(Wanted, Vec<ListHash>, Vec<BidHash>),
    /// The header of a block with a bid is wrong.
    BadHeader(BlockId, InvalidBlock),
    /// The decided block, if a peer had it.
    FetchedBlock(BlockId, Option<Box<Block>>),
    /// What was asked for has come, or nobody has it.
    Fetched,
    Judged(BlockId, Verdict),
    Synced {
        value: ProposedValue<Agreement>,
        id: BlockId,
        verdict: Verdict,
        reply: RpcReplyPort<SyncedValueOutcome<Agreement>>,
    },
    Committed,
    /// The Init under which a block is proposed again.
    Restreamed(SignedProposal, Box<BlockHeader>),
    /// Nothing to do any more.
    Nothing,
}

/// What a judge on another thread says.
enum Verdict {
    Valid(Judged),
    Invalid(Refused),
    Unknown,
    /// The height has gone by.
    Stale,
}

/// Something to do at a time.
struct Lock {
    due: Instant,
    round: Round,
    block: BlockId,
}

/// The application.
pub(super) struct App {
    executor: Arc<Executor>,
    guard: Arc<SigningGuard>,
    address: L1Address,
    peers: Peers,
    evidence: Arc<EvidenceBook>,
    pace: Pace,
    role: Role,
    consensus: ConsensusRef<Agreement>,
    network: NetworkRef<Agreement>,
    events: RxEvent<Agreement>,
    parts: Parts,
    heard: Heard,
    judged: BTreeMap<BlockId, Judgement>,
    /// The last synchronised block that is not valid here: if it comes with its certificate, this node cannot go on.
    refused: Option<(BlockId, Refused)>,
    jobs: JoinSet<Result<Done, ConsensusError>>,
    wanted: Option<Wanted>,
    decision: Option<Decision>,
    /// The engine waits to be told to start its first height.
    ready: Option<RpcReplyPort<(EngineHeight, HeightParams<Agreement>)>>,
    /// The engine waits to be told to start the next height.
    finished: Option<RpcReplyPort<Next<Agreement>>>,
    /// When the present height was started.
    started: Instant,
    locks: Vec<Lock>,
    /// Bids, and what peers reveal.
    exchange: Arc<Exchange>,
    revealed: mpsc::Receiver<Part>,
    watch: Watch,
    /// Where this validator wants bids paid; without a leaf it takes none.
    bid_leaf: Option<LeafIndex>,
    retry_at: Option<Instant>,
    /// Streams of parts sent so far: the network forwards no message twice.
    streams: u64,
}

impl App {
    pub(super) fn new(
        executor: Arc<Executor>,
        guard: Arc<SigningGuard>,
        agreement: Agreement,
        engine: &Engine,
        (peers, evidence): (Peers, Arc<EvidenceBook>),
        (pace, role): (Pace, Role),
        (exchange, bid_leaf): (Arc<Exchange>, Option<LeafIndex>),
    ) -> Self {
        let height = Height(executor.tip().height.0.saturating_add(1));
        let (named, until) = role.named();
        executor.observed.standing.take_role(named, until);
        Self {
            address: guard.address(),
            parts: Parts::new(agreement.domain, height),
            heard: Heard::new(agreement, height),
            executor,
            guard,
            peers,
            evidence,
            pace,
            role,
            consensus: engine.consensus.clone(),
            network: engine.network.clone(),
            events: engine.events.subscribe(),
            judged: BTreeMap::new(),
            refused: None,
            jobs: JoinSet::new(),
            wanted: None,
            decision: None,
            ready: None,
            finished: None,
            started: Instant::now(),
            locks: Vec::new(),
            revealed: exchange.attach(),
            exchange,
            watch: Watch::default(),
            bid_leaf,
            retry_at: None,
            streams: 0,
        }
    }

    /// Answers until cancelled.
    ///
    /// # Errors
    /// What ended it.
    pub(super) async fn run(
        &mut self,
        questions: &mut mpsc::Receiver<Question>,
        cancelled: &CancellationToken,
    ) -> Result<Ended, ConsensusError> {
        let ended = self.run_loop(questions, cancelled).await;
        self.jobs.shutdown().await; // what is being written is written to its end
        ended
    }

    async fn run_loop(
        &mut self,
        questions: &mut mpsc::Receiver<Question>,
        cancelled: &CancellationToken,
    ) -> Result<Ended, ConsensusError> {
        self.recall();
        loop {
            if let Role::Observer { until } = self.role
                && self.height() > until
            {
                return Ok(Ended::CaughtUp);
            }
            let wake = self.next_wake();
            tokio::select! {
                () = cancelled.cancelled() => return Ok(Ended::Cancelled),
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.done(done?)?,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => std::panic::resume_unwind(panic),
                        Err(_) => return Ok(Ended::Cancelled), // the runtime ends, and its tasks with it
                    },
                },
                question = questions.recv() => match question {
                    Some(question) => self.answer(question)?,
                    None => return Err(ConsensusError::Stopped),
                },
                event = self.events.recv() => match event {
                    Ok(event) => self.observe(event)?,
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "engine events missed");
                    }
                    Err(RecvError::Closed) => return Err(ConsensusError::Stopped),
                },
                Some(part) = self.revealed.recv() => self.take_part(part),
                () = tokio::time::sleep_until(wake.into()) => self.wake()?,
            }
        }
    }

    fn height(&self) -> Height {
        self.parts.height()
    }

    /// The set of the height being agreed on, or of the next while the present one's block is being committed.
    fn set(&self) -> Arc<ValidatorSet> {
        let set = self.executor.set_of(self.height());
        set.unwrap_or_else(|| Arc::clone(&self.executor.decided().term.set))
    }

    /// Whether this key votes at the present height.
    fn is_seated(&self) -> bool {
        self.role == Role::Validator && self.set().weight_of(&self.address) > 0
    }

    fn height_params(&self) -> HeightParams<Agreement> {
        HeightParams {
            validator_set: Seats::from((*self.set()).clone()),
            timeouts: self.pace.engine_timeouts(),
            target_time: None,
            vote_extension_policy: VoteExtensionPolicy::Required,
        }
    }

    /// When something is to be done without being asked.
    fn next_wake(&self) -> Instant {
        let is_waiting = self.finished.is_some() || self.ready.is_some();
        let pacing = is_waiting && self.decision.is_none();
        let far = Instant::now() + STEP_TIMEOUT_MAX;
        let pacing = pacing.then(|| self.started + self.pace.block_interval);
        let locks = self.locks.iter().map(|lock| lock.due);
        locks
            .chain(pacing)
            .chain(self.retry_at)
            .chain(self.watch.wake_at())
            .min()
            .unwrap_or(far)
    }

    fn wake(&mut self) -> Result<(), ConsensusError> {
        let now = Instant::now();
        self.start_next_height(now);
        self.report_withheld(now);
        let (due, rest) = std::mem::take(&mut self.locks)
            .into_iter()
            .partition(|lock: &Lock| lock.due <= now);
        self.locks = rest;
        let due: Vec<Lock> = due;
        for lock in due {
            self.publish_lock(&lock);
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.judged
                .retain(|_, judgement| !matches!(judgement, Judgement::Unknown));
            self.judge_open();
            self.commit_if_ready();
            if let Some(wanted) = self.wanted.take() {
                self.propose(wanted);
            }
        }
        Ok(())
    }

    /// Whether the newest block is old: a node that came late to a height would stay late if it waited like the others.
    fn is_late(&self) -> bool {
        let age = crate::chain::now_ms().saturating_sub(self.executor.tip().timestamp_ms);
        u128::from(age) > LATE_INTERVALS * self.pace.block_interval.as_millis() + LATE_MS
    }

    /// Tells the engine to go on, once the block is committed and its time is over.
    fn start_next_height(&mut self, now: Instant) {
        let interval = self.pace.block_interval;
        let is_behind = self.ready.is_none() && (!self.is_seated() || self.is_late());
        let is_due = is_behind || now >= self.started + interval;
        let is_over = self.decision.is_none() && is_due;
        if !is_over {
            return;
        }
        let (height, params) = (EngineHeight(self.height()), self.height_params());
        if let Some(reply) = self.ready.take() {
            self.started = now;
            let _ = reply.send((height, params)); // the engine is stopping
        } else if let Some(reply) = self.finished.take() {
            self.started = now;
            let _ = reply.send(Next::Start(height, params)); // the engine is stopping
        }
    }

    /// Tells the engine what a block is worth, under every Init that names it.
    fn tell(&self, id: BlockId, is_valid: bool) {
        for init in self.parts.inits_of(id) {
            let proposal = init.signed.proposal;
            let value = ProposedValue {
                height: EngineHeight(proposal.height),
                round: EngineRound::new(proposal.round.0),
                valid_round: proposal
                    .pol_round
                    .map_or(EngineRound::Nil, |round| EngineRound::new(round.0)),
                proposer: SeatAddress(init.signed.proposer),
                value: BlockValue(id),
                validity: Validity::from_bool(is_valid),
            };
            let message = ConsensusMsg::ReceivedProposedValue(value, ValueOrigin::Consensus);
            let _ = self.consensus.cast(message); // the engine is stopping
        }
    }

    /// Judges what has both halves and no verdict.
    fn judge_open(&mut self) {
        let pending = self
            .judged
            .values()
            .filter(|judgement| matches!(judgement, Judgement::Pending))
            .count();
        let open: Vec<BlockId> = self
            .parts
            .inits()
            .map(|init| init.signed.proposal.block)
            .filter(|id| !self.judged.contains_key(id))
            .collect();
        let mut free = JUDGING_MAX.saturating_sub(pending);
        for id in open {
            if free == 0 {
                break;
            }
            let is_new = !self.judged.contains_key(&id);
            if let (true, Some(block)) = (is_new, self.parts.block(id)) {
                self.judged.insert(id, Judgement::Pending);
                self.judge(block);
                free -= 1;
            }
        }
    }

    /// What the engine has sent or heard.
    ///
    /// # Errors
    /// More than two thirds have certified what is not valid here.
    fn observe(&mut self, event: Event<Agreement>) -> Result<(), ConsensusError> {
        let set = self.set();
        match event {
            // the log repeats what was heard at this height before a restart
            Event::WalReplayEntry(Input::Vote(vote)) => {
                self.see(&SignedConsensusMsg::Vote(vote));
            }
            Event::WalReplayEntry(Input::Proposal(proposal)) => {
                self.see(&SignedConsensusMsg::Proposal(proposal));
            }
            Event::Received(message) => {
                self.see(&message);
                if let Some(evidence) = self.heard.take(&message, &set) {
                    self.accuse(evidence);
                }
            }
            Event::Published(message) => {
                let _ = self.heard.take(&message, &set); // this node signs nothing twice
                if let SignedConsensusMsg::Vote(vote) = &message
                    && let (VoteType::Precommit, NilOrVal::Val(block)) =
                        (vote.message.vote_type(), *vote.message.value())
                    && let Some(round) = vote.message.round().as_u32()
                    && vote.message.height().0 == self.height()
                {
                    self.locks.push(Lock {
                        due: Instant::now() + self.pace.delay_bound,
                        round: Round(round),
                        block,
                    });
                }
            }
            // only a value that its certificate names comes as far as this
            Event::ReceivedProposedValue(value, ValueOrigin::Sync)
                if value.height.0 == self.height() && value.validity == Validity::Invalid =>
            {
                let refused = self.refused.take().filter(|(id, _)| *id == value.value.0);
                if let Some((_, refused)) = refused {
                    return Err(refused.into_decided(self.height()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Keeps what its signer may ask for after a restore.
    fn see(&self, message: &SignedConsensusMsg<Agreement>) {
        let sighting = match message {
            SignedConsensusMsg::Vote(vote) => Agreement::to_protocol_vote(vote).map(Sighting::Vote),
            SignedConsensusMsg::Proposal(proposal) => {
                Agreement::to_protocol_proposal(proposal).map(Sighting::Proposal)
            }
        };
        if let Some(sighting) = sighting {
            self.executor.saw(sighting);
        }
    }

    /// Two messages that no honest validator signs.
    fn accuse(&mut self, evidence: Evidence) {
        let book = Arc::clone(&self.evidence);
        self.jobs.spawn_blocking(move || {
            book.record(evidence)?;
            Ok(Done::Nothing)
        });
    }

    /// Turns to the next height after a commit.
    fn turn_page(&mut self) {
        self.compare_promises();
        let next = Height(self.executor.tip().height.0.saturating_add(1));
        self.parts.start_height(next);
        self.heard.start_height(next);
        self.watch.start_height();
        self.judged.clear();
        self.refused = None;
        self.locks.clear();
        self.wanted = None;
        self.retry_at = None;
        let early: Vec<Init> = self.parts.inits().cloned().collect();
        for init in &early {
            self.see_bid(init);
        }
        self.judge_open();
    }

    fn take_init(&mut self, init: Init) {
        use super::parts::Arrival;
        let Some(set) = self.executor.set_of(init.signed.proposal.height) else {
            return;
        };
        let sold = init.header.bid.is_some().then(|| init.clone());
        let signed = init.signed;
        let arrival = self.parts.take_init(init, &set);
        if let (Arrival::Init(..) | Arrival::Double(_), Some(init)) = (&arrival, &sold) {
            self.see_bid(init);
        }
        if matches!(arrival, Arrival::Init(..) | Arrival::Double(_)) {
            self.executor.saw(Sighting::Proposal(signed));
        }
        match arrival {
            Arrival::Init(_, id) => self.tell_again(id),
            Arrival::Double(pair) => {
                let id = pair.1.proposal.block;
                self.accuse(Evidence::DoubleProposal(pair.0, pair.1));
                self.tell_again(id);
            }
            Arrival::Nothing | Arrival::Payload(_) => {}
        }
        self.judge_open();
    }

    /// A block that was judged before is proposed again.
    fn tell_again(&self, id: BlockId) {
        match self.judged.get(&id) {
            Some(Judgement::Valid(_)) => self.tell(id, true),
            Some(Judgement::Invalid) => self.tell(id, false),
            Some(Judgement::Pending | Judgement::Unknown) | None => {}
        }
    }
}
