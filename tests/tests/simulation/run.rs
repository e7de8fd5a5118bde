//! The scheduler: a queue of events on a virtual clock, and the network between the nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use arc_malachitebft_core_types::{LinearTimeouts, NilOrVal, SignedMessage, Timeout, Vote as _};
use protocol::{
    account::L1Address,
    block::{Block, BlockId},
    certificate::ExtendedCertificate,
    number::{Height, Round},
    testing::generator,
    transaction::{BidHash, SignedBid},
    vote::Report as Withholding,
};
use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use sequencer::agreement::Agreement;

use crate::{
    chain::{CLIENTS, Chain, Flaw, forget},
    faults::{Fault, Misconduct},
    host::Counts,
    layer::BASE_BLOCK_MS,
    message::{Message, Trace},
    node::{Node, Output},
    plan::{CALM_MS, Plan, Reveal},
    referee::Referee,
};

/// After this long a lock is published, unless its height is decided.
const LOCK_MS: u64 = 2 * CALM_MS;
/// How often a node tells its height.
const STATUS_MS: u64 = 250;
/// How long before the propose timeout an Init must have come for a report (2 D + 2 S).
const REVEAL_MS: u64 = 4 * CALM_MS;
/// Time in which the first round waits for a proposal.
const PROPOSE_MS: u64 = 120;
/// How long after the proposal a builder still reveals (T_c + D + S); later it keeps its payload.
const BUILDER_MS: u64 = PROPOSE_MS - REVEAL_MS + 2 * CALM_MS;
/// Rounds that a height started after the faults may take. A faulty proposer costs one, and may stand first and third.
const ROUNDS_MAX: i64 = 8;

fn timeouts() -> LinearTimeouts {
    let millis = Duration::from_millis;
    LinearTimeouts {
        propose: millis(PROPOSE_MS),
        propose_delta: millis(40),
        prevote: millis(50),
        prevote_delta: millis(25),
        precommit: millis(50),
        precommit_delta: millis(25),
        rebroadcast: millis(250),
        max_timeout: millis(2_000),
    }
}

enum Event {
    Deliver {
        from: usize,
        to: usize,
        message: Rc<Message>,
    },
    Timeout {
        node: usize,
        life: u32,
        timer: (u64, Timeout),
    },
    Crash {
        node: usize,
        is_torn: bool,
    },
    Restart(usize),
    Status(usize),
    Lock {
        node: usize,
        life: u32,
        lock: (Height, Round, BlockId),
    },
    Reveal(Rc<Message>, Vec<usize>),
    Submit(usize),
    BaseBlock {
        node: usize,
        number: u64,
    },
}

/// A message on its way, as a scenario's rule sees it.
pub(crate) struct Envelope<'a> {
    pub(crate) now: u64,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) message: &'a Message,
}

/// What a scenario does with a message.
pub(crate) enum Fate {
    /// As the plan has it.
    Usual,
    Lost,
    /// It takes this many milliseconds.
    After(u64),
}

type Rule = Box<dyn FnMut(&Envelope<'_>) -> Fate>;

/// What a run ended with.
pub(crate) struct Report {
    pub(crate) violations: Vec<String>,
    pub(crate) hash: u64,
    /// Highest round of any honest node, by height.
    pub(crate) rounds: BTreeMap<Height, i64>,
    pub(crate) chains: Vec<Vec<Block>>,
    /// Certificates of the first honest node's blocks.
    pub(crate) certificates: Vec<ExtendedCertificate>,
    /// Who reported which payloads, by seat; faulty ones too.
    pub(crate) reports: BTreeMap<Withholding, BTreeSet<usize>>,
    pub(crate) counts: Counts,
    /// The height and round that the foremost honest node was in when the calm began.
    pub(crate) at_calm: Option<(Height, i64)>,
    pub(crate) guilty_weight: u128,
    pub(crate) guilty: BTreeSet<L1Address>,
    pub(crate) events: u64,
    pub(crate) refusals: usize,
    pub(crate) burns: usize,
    pub(crate) is_live: bool,
    /// When the first honest node decided each height.
    pub(crate) decided_at: BTreeMap<Height, u64>,
}

pub(crate) struct Simulation {
    pub(crate) plan: Plan,
    pub(crate) nodes: Vec<Node>,
    pub(crate) referee: Referee,
    rule: Option<Rule>,
    now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Event>,
    rng: StdRng,
    trace: Trace,
    bids: BTreeMap<BidHash, SignedBid>,
    rounds: BTreeMap<Height, i64>,
    events: u64,
    at_calm: Option<(Height, i64)>,
    /// Height that every honest node must reach, once the faults are over.
    target: Option<Height>,
    started_calm: BTreeMap<Height, BTreeSet<usize>>,
}

impl Simulation {
    pub(crate) fn new(plan: Plan, is_printed: bool) -> Self {
        forget(plan.seed);
        let genesis = Chain::new(&plan);
        let mut rng = generator(plan.seed ^ 0x5eed);
        let seats = plan.weights.len();
        let twins = plan
            .faulty
            .iter()
            .filter(|(_, one)| **one == Misconduct::Twins);
        let places: Vec<usize> = (0..seats).chain(twins.map(|(seat, _)| *seat)).collect();
        let nodes: Vec<Node> = places
            .iter()
            .enumerate()
            .map(|(place, seat)| {
                let is_honest = !plan.faulty.contains_key(seat);
                let mut node = Node::new(*seat, genesis.clone(), rng.gen_range(0..30), is_honest);
                node.craft.empty = place >= seats; // so that the twins' blocks differ
                node.craft.bids_end = plan.bids_end;
                node.host.fault = plan.faulty.get(seat).map(|kind| Fault {
                    kind: *kind,
                    seed: plan.seed,
                    percent: plan.trigger_percent,
                });
                node
            })
            .collect();
        let honest = nodes.iter().filter(|node| node.is_honest);
        let honest = honest.map(|node| node.host.address).collect();
        Self {
            referee: Referee::new(&genesis, honest),
            plan,
            nodes,
            rule: None,
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            rng,
            trace: Trace::new(is_printed),
            bids: BTreeMap::new(),
            rounds: BTreeMap::new(),
            events: 0,
            at_calm: None,
            target: None,
            started_calm: BTreeMap::new(),
        }
    }

    /// Lets a scenario decide what becomes of each message.
    pub(crate) fn with_rule(mut self, rule: impl FnMut(&Envelope<'_>) -> Fate + 'static) -> Self {
        self.rule = Some(Box::new(rule));
        self
    }

    /// Judges a faulty seat as if it were honest, to see the referee bite.
    pub(crate) fn call_honest(&mut self, seat: usize) {
        self.nodes[seat].is_honest = true;
    }

    fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.queue
            .insert((time.max(self.now), self.sequence), event);
    }

    fn schedule_faults(&mut self) {
        let count = self.nodes.len();
        for node in 0..count {
            self.at(0, Event::Restart(node));
            let phase = self.rng.gen_range(0..STATUS_MS);
            self.at(STATUS_MS + phase, Event::Status(node));
            let lag = self.rng.gen_range(0..self.plan.base_lag_ms);
            self.at(BASE_BLOCK_MS + lag, Event::BaseBlock { node, number: 1 });
        }
        for outage in self.plan.outages.clone() {
            let (node, is_torn) = (outage.node, outage.is_torn);
            self.at(outage.at, Event::Crash { node, is_torn });
            self.at(outage.back.max(outage.at + 1), Event::Restart(node));
        }
        for (seat, kind) in self.plan.faulty.clone() {
            if kind == Misconduct::Amnesia {
                for _ in 0..4 {
                    let at = self.rng.gen_range(0..self.plan.calm_at.max(400));
                    let node = seat;
                    self.at(
                        at,
                        Event::Crash {
                            node,
                            is_torn: false,
                        },
                    );
                    let back = at + self.rng.gen_range(1..30);
                    self.at(back, Event::Restart(node));
                }
            }
        }
        for place in 0..self.plan.submissions.min(CLIENTS.len() / 2) {
            let at = self.rng.gen_range(0..self.plan.calm_at.max(300));
            self.at(at, Event::Submit(place));
        }
    }

    /// Runs to the target, to a violation, or out of time.
    pub(crate) fn run(mut self) -> Report {
        self.schedule_faults();
        while let Some(((time, _), event)) = self.queue.pop_first() {
            self.now = time;
            self.events += 1;
            if self.at_calm.is_none() && self.is_calm() {
                self.at_calm = self.foremost();
            }
            self.happen(event);
            if !self.referee.violations.is_empty() || self.is_done() {
                break;
            }
            if self.now > self.plan.end_at {
                break;
            }
        }
        let is_live = self.is_done();
        let honest: Vec<&Node> = self.nodes.iter().filter(|node| node.is_honest).collect();
        let chains: Vec<Vec<Block>> = honest
            .iter()
            .map(|node| {
                let decided = node.host.disk.chain.decided.iter();
                decided.map(|(block, _)| block.clone()).collect()
            })
            .collect();
        let burns = chains.iter().flatten().filter(|block| {
            let entries = &block.payload.entries;
            let burn = |entry: &protocol::block::Entry| {
                matches!(entry, protocol::block::Entry::BidBurn(_))
            };
            entries.iter().any(burn)
        });
        let certificates = honest[0].host.disk.chain.decided.iter();
        let certificates = certificates.map(|(_, one)| one.clone()).collect();
        let mut reports: BTreeMap<Withholding, BTreeSet<usize>> = BTreeMap::new();
        for node in &self.nodes {
            for report in &node.host.filed {
                reports.entry(*report).or_default().insert(node.seat);
            }
        }
        let mut counts = Counts::default();
        for node in &honest {
            counts.late_answers += node.host.counts.late_answers;
            counts.fetches += node.host.counts.fetches;
            counts.missed_fetches += node.host.counts.missed_fetches;
        }
        Report {
            certificates,
            reports,
            counts,
            at_calm: self.at_calm,
            burns: burns.count(),
            hash: self.trace.hash(),
            guilty_weight: self.referee.guilty_weight(),
            guilty: self
                .referee
                .findings
                .iter()
                .map(|one| one.offender)
                .collect(),
            refusals: honest.iter().map(|node| node.host.refusals).sum(),
            decided_at: self.referee.decided_at,
            violations: self.referee.violations,
            rounds: self.rounds,
            chains,
            events: self.events,
            is_live,
        }
    }

    fn is_calm(&self) -> bool {
        self.now >= self.plan.calm_at
    }

    /// Height and round of the honest node that is furthest.
    fn foremost(&self) -> Option<(Height, i64)> {
        let honest = self.nodes.iter().filter(|node| node.is_honest);
        let engines = honest.filter_map(|node| node.engine.as_ref());
        let places = engines.map(|engine| {
            let driver = &engine.driver;
            (driver.height().0, driver.round().as_i64())
        });
        places.max()
    }

    fn is_done(&mut self) -> bool {
        if !self.is_calm() {
            return false;
        }
        let honest = self.nodes.iter().filter(|node| node.is_honest);
        let tips: Vec<Height> = honest.map(Node::tip).collect();
        let highest = tips.iter().max().copied().unwrap_or_default();
        let heights = self.plan.heights;
        let target = *self
            .target
            .get_or_insert_with(|| Height(highest.0 + heights));
        tips.iter().all(|tip| *tip >= target)
    }

    fn note(&mut self, from: usize, to: usize, what: (&str, u64, i64, u64)) {
        self.trace.note(self.now, (from, to), what);
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        for node in &mut self.nodes {
            node.host.now = now;
        }
        match event {
            Event::Deliver { from, to, message } => {
                self.note(from, to, message.summary());
                self.deliver(from, to, &message);
            }
            Event::Timeout { node, life, timer } => {
                if self.nodes[node].life != life {
                    return;
                }
                let round = timer.1.round.as_i64();
                self.note(node, node, ("timeout", 0, round, timer.0));
                self.draw_craft(node);
                let one = &mut self.nodes[node];
                let reveal_ms = if self.plan.draft_reports {
                    0
                } else {
                    REVEAL_MS
                };
                let output = one.on_timeout(timer, reveal_ms, &mut self.referee, &self.bids);
                self.send_out(node, output);
            }
            Event::Crash { node, is_torn } => self.crash(node, is_torn),
            Event::Restart(node) => self.restart(node),
            Event::Status(node) => {
                let message = Message::Status(self.nodes[node].tip());
                if self.nodes[node].engine.is_some() {
                    self.broadcast(node, message);
                }
                self.at(now + STATUS_MS, Event::Status(node));
            }
            Event::Lock { node, life, lock } => {
                let (height, round, block) = lock;
                let one = &self.nodes[node];
                if one.life == life && one.host.disk.chain.next() == height {
                    let messages = one.publish_lock(round, block);
                    for message in messages {
                        self.broadcast(node, message);
                    }
                }
            }
            Event::Reveal(message, to) => {
                for to in to {
                    self.send(to, to, &message); // the builder's link is the receiver's own
                }
            }
            Event::Submit(place) => {
                let to = self.rng.gen_range(0..self.nodes.len());
                self.send(to, to, &Rc::new(Message::Submission(place)));
            }
            Event::BaseBlock { node, number } => {
                let blind = self.plan.blind;
                if blind.is_none_or(|(one, until)| one != node || now >= until) {
                    let one = &mut self.nodes[node];
                    let output = one.on_base_block(number, &mut self.referee, &self.bids);
                    self.send_out(node, output);
                }
                let longest = if self.is_calm() {
                    self.plan.base_lag_ms.min(BASE_BLOCK_MS)
                } else {
                    self.plan.base_lag_ms
                };
                let lag = self.rng.gen_range(0..longest);
                let next = (number + 1) * BASE_BLOCK_MS + lag;
                let number = number + 1;
                self.at(next, Event::BaseBlock { node, number });
            }
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: &Message) {
        if self.nodes[to].engine.is_none() {
            return;
        }
        let fault = self.nodes[to].host.fault;
        if fault.is_some_and(|fault| fault.drops_inbound(message)) {
            return;
        }
        match message {
            Message::Status(height) => {
                if let Some(block) = self.nodes[to].host.disk.chain.above(*height) {
                    let answer = Message::Decided(Box::new(block.clone()));
                    self.send(to, from, &Rc::new(answer));
                }
                return;
            }
            Message::Want(place) => {
                if self.nodes[to].host.disk.pool.contains_key(place) {
                    let slow = if self.is_calm() {
                        0
                    } else {
                        self.plan.fetch_ms
                    };
                    let extra = self.rng.gen_range(0..=slow);
                    let answer = Rc::new(Message::Submission(*place));
                    self.send_after(extra, (to, from), &answer);
                }
                return;
            }
            _ => {}
        }
        self.draw_craft(to);
        let before = self.nodes[to].tip();
        let one = &mut self.nodes[to];
        let output = one.receive(message.clone(), &mut self.referee, &self.bids);
        let is_synced = matches!(message, Message::Decided(_)) && self.nodes[to].tip() > before;
        self.send_out(to, output);
        if is_synced {
            let status = Message::Status(self.nodes[to].tip());
            self.send(to, from, &Rc::new(status));
        }
    }

    /// What the node would propose if this event asks it to.
    fn draw_craft(&mut self, node: usize) {
        let bid = self.rng.gen_range(0..100) < self.plan.bids;
        let flaws = [
            Flaw::Timestamp,
            Flaw::Author,
            Flaw::Operation,
            Flaw::Listed,
            Flaw::Overdue,
            Flaw::Early,
        ];
        let flaw = flaws[self.rng.gen_range(0..flaws.len())];
        let eager = self.rng.r#gen();
        let lies = self.rng.gen_range(0..3) == 0;
        let seat = self.nodes[node].seat;
        let reveal = self.plan.reveals.choose(&mut self.rng).copied();
        let is_liar = self.plan.faulty.get(&seat) == Some(&Misconduct::Liar);
        let craft = &mut self.nodes[node].craft;
        craft.bid = bid;
        craft.eager = eager;
        craft.reveal = reveal.unwrap_or_default();
        craft.flaw = (is_liar && lies).then_some(flaw);
    }

    fn crash(&mut self, node: usize, is_torn: bool) {
        self.note(node, node, ("crash", 0, 0, u64::from(is_torn)));
        let kind = self.plan.faulty.get(&self.nodes[node].seat).copied();
        let one = &mut self.nodes[node];
        if one.engine.is_none() {
            return;
        }
        one.engine = None;
        one.life += 1;
        one.host.crash();
        if is_torn {
            // the tail that no message depended on may be lost
            let (flushed, written) = (one.host.disk.flushed, one.host.disk.log.len());
            let kept = self.rng.gen_range(flushed.min(written)..=written);
            one.host.disk.log.truncate(kept);
        }
        if kind == Some(Misconduct::Amnesia) {
            let disk = &mut one.host.disk;
            disk.log.clear();
            disk.guard.clear();
            disk.extensions.clear();
            disk.blocks.clear();
        }
    }

    fn restart(&mut self, node: usize) {
        if self.nodes[node].engine.is_some() {
            return;
        }
        self.note(node, node, ("start", self.nodes[node].tip().0, 0, 0));
        self.draw_craft(node);
        let output = self.nodes[node].start(&mut self.referee, &self.bids);
        self.send_out(node, output);
        // peers that see it come back bring it up to date
        for peer in 0..self.nodes.len() {
            if peer != node && self.nodes[peer].engine.is_some() && self.now > 0 {
                for message in self.nodes[peer].recall() {
                    self.send(peer, node, &Rc::new(message));
                }
            }
        }
    }

    /// Puts what came out of a node onto the network and the clock.
    fn send_out(&mut self, node: usize, output: Output) {
        let life = self.nodes[node].life;
        for timer in output.timeouts {
            let after = timeouts().duration_for(timer.1).as_millis();
            let after = u64::try_from(after).unwrap();
            self.at(self.now + after, Event::Timeout { node, life, timer });
        }
        for (height, round) in output.rounds {
            if self.nodes[node].is_honest {
                self.note(node, node, ("round", height.0, round, 0));
                let highest = self.rounds.entry(height).or_default();
                *highest = (*highest).max(round);
                self.check_pace(node, height, round);
            }
        }
        if self.plan.publishes_locks {
            for lock in output.locks {
                self.at(self.now + LOCK_MS, Event::Lock { node, life, lock });
            }
        }
        for message in output.messages {
            self.broadcast(node, message);
        }
        if let Some(block) = output.sold {
            self.sell(block, self.nodes[node].craft.reveal);
        }
    }

    /// A height that all honest nodes started in calm must not take many rounds.
    fn check_pace(&mut self, node: usize, height: Height, round: i64) {
        let honest = self.nodes.iter().filter(|one| one.is_honest).count();
        let started = self.started_calm.entry(height).or_default();
        if round == 0 && self.now >= self.plan.calm_at {
            started.insert(node);
        }
        if started.len() == honest && round > ROUNDS_MAX {
            self.referee.accuse(format!(
                "height {height} is in round {round} on a calm network"
            ));
        }
    }

    /// The builder has sold this block: it reveals the payload, or does not.
    fn sell(&mut self, block: Block, how: Reveal) {
        let Some(bid) = block.header.bid else { return };
        let domain = self.nodes[0].host.agreement.domain;
        self.bids.insert(bid.hash(&domain), bid);
        let mut to: Vec<usize> = (0..self.nodes.len()).collect();
        let link = self.plan.builder_link_ms;
        let delay = match how {
            Reveal::InTime if link > BUILDER_MS => return, // it keeps the payload
            Reveal::InTime | Reveal::Invalid => link + self.rng.gen_range(1..CALM_MS),
            Reveal::Late => self.rng.gen_range(100..300),
            Reveal::Never => return,
            Reveal::Partial => {
                to.shuffle(&mut self.rng);
                to.truncate(2);
                self.rng.gen_range(1..CALM_MS)
            }
        };
        let message = Message::Payload {
            height: block.header.core.height,
            payload: Box::new(block.payload),
        };
        self.at(self.now + delay, Event::Reveal(Rc::new(message), to));
    }

    fn broadcast(&mut self, from: usize, message: Message) {
        let kind = self.plan.faulty.get(&self.nodes[from].seat).copied();
        let message = Rc::new(message);
        let fault = self.nodes[from].host.fault;
        for to in 0..self.nodes.len() {
            if to == from || fault.is_some_and(|fault| fault.drops_outgoing(&message, to)) {
                continue;
            }
            if let Message::Submission(_) = *message {
                let extra = self.rng.gen_range(0..=self.plan.gossip_ms);
                self.send_after(extra, (from, to), &message);
                continue;
            }
            if kind == Some(Misconduct::Liar) {
                match self.lie(from, &message) {
                    Some(lie) => self.send(from, to, &Rc::new(lie)),
                    None => continue,
                }
            } else {
                self.send(from, to, &message);
            }
        }
    }

    /// What a liar says instead, to one receiver.
    fn lie(&mut self, from: usize, message: &Message) -> Option<Message> {
        let draw = self.rng.gen_range(0..10);
        match message {
            Message::Vote(vote) if draw < 4 => {
                let victim = self.rng.gen_range(0..self.nodes.len());
                let victim = self.nodes[victim].host.address;
                let liar = &self.nodes[from].host;
                let signed = Agreement::to_protocol_vote(vote)?;
                if draw == 0 {
                    let forged = protocol::vote::SignedVote {
                        validator: victim,
                        ..signed
                    };
                    let mut forged = Agreement::to_engine_vote(&forged);
                    if let Some(extension) = vote.extension() {
                        forged = SignedMessage::new(
                            forged.message.extend(extension.clone()),
                            forged.signature,
                        );
                    }
                    return Some(Message::Vote(forged));
                }
                let mut known: Vec<Option<BlockId>> =
                    liar.parts.inits.keys().map(|(_, id)| Some(*id)).collect();
                known.push(None);
                let block = *known.choose(&mut self.rng)?;
                let changed = protocol::vote::Vote {
                    block,
                    ..signed.vote
                };
                let other =
                    Agreement::to_engine_vote(&changed.sign(&liar.agreement.domain, &liar.key));
                let is_bare = matches!(
                    (other.vote_type(), other.value()),
                    (
                        arc_malachitebft_core_types::VoteType::Precommit,
                        NilOrVal::Val(_)
                    )
                );
                if is_bare {
                    return None; // without an extension nobody takes it
                }
                Some(Message::Vote(other))
            }
            Message::Payload { .. } if draw < 5 => None,
            Message::Init { .. } | Message::Proposal(_) | Message::Vote(_) if draw < 6 => None,
            _ => Some(message.clone()),
        }
    }

    /// When the last partition that keeps these two apart now is over.
    fn cut_until(&self, from: usize, to: usize) -> Option<u64> {
        let cuts = self.plan.partitions.iter().filter(|one| {
            (one.from..one.until).contains(&self.now)
                && one.inside.contains(&from) != one.inside.contains(&to)
        });
        cuts.map(|one| one.until).max()
    }

    fn send(&mut self, from: usize, to: usize, message: &Rc<Message>) {
        self.send_after(0, (from, to), message);
    }

    /// Sends a message that takes `extra` milliseconds more than the network makes it take.
    fn send_after(&mut self, extra: u64, (from, to): (usize, usize), message: &Rc<Message>) {
        let now = self.now;
        let envelope = Envelope {
            now,
            from,
            to,
            message,
        };
        let fate = match self.rule.as_mut() {
            Some(rule) => rule(&envelope),
            None => Fate::Usual,
        };
        let deliver = || Event::Deliver {
            from,
            to,
            message: Rc::clone(message),
        };
        let delay = match fate {
            Fate::Lost => return,
            Fate::After(delay) => delay,
            Fate::Usual if self.is_calm() => self.rng.gen_range(1..=CALM_MS),
            Fate::Usual => {
                let plan = &self.plan;
                let left = plan.calm_at - self.now;
                let (lost, doubled, longest) = (plan.lost, plan.doubled, plan.delay_ms);
                let is_lost = self.rng.gen_range(0..100) < lost;
                let cut_until = self.cut_until(from, to);
                if self.rng.gen_range(0..100) < doubled && cut_until.is_none() {
                    let again = self.rng.gen_range(1..=2 * longest);
                    self.at(self.now + again, deliver());
                }
                let usual = self.rng.gen_range(1..=longest);
                if let Some(until) = cut_until {
                    until - now + usual
                } else if is_lost {
                    // gossip sends it again, at the latest when the network is calm
                    left.min(self.rng.gen_range(100..400)) + usual
                } else {
                    usual
                }
            }
        };
        self.at(self.now + delay + extra, deliver());
    }
}
