//! One node: an engine, its host, and what happens between them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::LazyLock,
};

use arc_malachitebft_core_consensus::{
    Error, Input, LocallyProposedValue, Params, ProposedValue, State, ValuePayload, process,
};
use arc_malachitebft_core_types::{
    Proposal as _, Round as EngineRound, ThresholdParams, Timeout, Validity, ValueOrigin,
    ValueResponse, Vote as _, VoteExtensionPolicy,
};
use arc_malachitebft_metrics::Metrics;
use protocol::{
    account::L1Address,
    block::{Block, BlockHeader, BlockId},
    certificate::ExtendedCertificate,
    codec::{from_bytes, to_bytes},
    number::{Height, Round},
    transaction::{BidHash, ListHash, SignedBid},
    validity::Verdict,
    vote::SignedProposal,
};
use sequencer::agreement::{Agreement, BlockValue, EngineHeight, SeatAddress};

use crate::{
    chain::{Chain, Flaw, Order, is_authentic},
    host::Host,
    message::Message,
    plan::Reveal,
    referee::Referee,
};

/// The engine counts for a dashboard; nothing here reads it.
static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// What a proposer does when it is asked for a block.
#[derive(Clone, Copy, Default)]
pub(crate) struct Craft {
    /// Whether to take a builder's bid, if one is allowed.
    pub(crate) bid: bool,
    /// Last height at which it does.
    pub(crate) bids_end: u64,
    pub(crate) reveal: Reveal,
    pub(crate) flaw: Option<Flaw>,
    pub(crate) empty: bool,
    /// Whether inbox items are taken before they are due.
    pub(crate) eager: bool,
    /// Takes a bid under another certificate, in which it lists this transaction; whether the bid binds the builder's
    /// (finding H1).
    pub(crate) swap: Option<(ListHash, bool)>,
    /// Reports every bid, also one whose payload it holds.
    pub(crate) slanders: bool,
}

/// What comes out of a node, beside its host's outbox.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) messages: Vec<Message>,
    pub(crate) timeouts: Vec<(u64, Timeout)>,
    pub(crate) rounds: Vec<(Height, i64)>,
    pub(crate) locks: Vec<(Height, Round, BlockId)>,
    /// A builder's payload that the node proposed unseen.
    pub(crate) sold: Option<Block>,
}

pub(crate) struct Node {
    pub(crate) seat: usize,
    pub(crate) is_honest: bool,
    /// `None` while it is down.
    pub(crate) engine: Option<State<Agreement>>,
    pub(crate) host: Host,
    /// How often it has been started.
    pub(crate) life: u32,
    pub(crate) craft: Craft,
    /// Decided, but the payload has not come.
    pub(crate) awaited: Option<ExtendedCertificate>,
    /// Round in which it is to propose, while bytes of listed transactions are missing.
    wanted: Option<Round>,
    pub(crate) early: Vec<Message>,
    peer: arc_malachitebft_core_consensus::PeerId,
}

impl Node {
    pub(crate) fn new(seat: usize, chain: Chain, skew: u64, is_honest: bool) -> Self {
        // a peer id is a multihash: code 0 (identity), length, bytes
        let peer = arc_malachitebft_core_consensus::PeerId::from_bytes(&[0, 1, 7]).unwrap();
        Self {
            seat,
            is_honest,
            engine: None,
            host: Host::new(chain, seat, skew, is_honest),
            life: 0,
            craft: Craft::default(),
            awaited: None,
            wanted: None,
            early: Vec::new(),
            peer,
        }
    }

    pub(crate) fn tip(&self) -> Height {
        self.host.disk.chain.world.tip.height
    }

    /// Starts at the next height and replays the log, as after a crash.
    pub(crate) fn start(
        &mut self,
        referee: &mut Referee,
        bids: &BTreeMap<BidHash, SignedBid>,
    ) -> Output {
        self.life += 1;
        self.awaited = None;
        self.wanted = None;
        let height = self.host.disk.chain.next();
        let seats = self.host.seats.clone();
        let params = Params {
            address: SeatAddress(self.host.address),
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let agreement = self.host.agreement;
        let engine = State::new(agreement, EngineHeight(height), seats, params, 8, 1_000);
        self.engine = Some(engine);
        let log = std::mem::take(&mut self.host.disk.log);
        let mut output = Output::default();
        let mut inputs = VecDeque::from([self.start_of(height)]);
        inputs.extend(log.iter().cloned());
        let count = inputs.len();
        for (place, input) in inputs.into_iter().enumerate() {
            if place == 1 {
                let engine = self.engine.as_mut().unwrap();
                engine.record_recovered_own_precommit_extensions(&log);
                engine.index_wal_entries(&log);
            }
            self.step(input, referee, &mut output);
        }
        if count > 1 {
            self.engine.as_mut().unwrap().reset_entries_index();
        }
        let follow = self.settle(referee, bids, &mut output);
        self.run(follow, referee, bids, &mut output);
        output
    }

    fn start_of(&self, height: Height) -> Input<Agreement> {
        let seats = self.host.seats.clone();
        let policy = VoteExtensionPolicy::Required;
        Input::StartHeight(EngineHeight(height), seats, false, None, policy)
    }

    /// Feeds one input to the engine.
    fn step(&mut self, input: Input<Agreement>, referee: &mut Referee, output: &mut Output) {
        let Some(engine) = self.engine.as_mut() else {
            return;
        };
        let host = &mut self.host;
        host.out.log_before = host.disk.log.len();
        let refusals = host.refusals;
        let result: Result<(), Error<Agreement>> = process!(
            input: input,
            state: engine,
            metrics: &METRICS,
            with: effect => host.answer(effect)
        );
        // an error is right only where the guard refused; the node is silent then
        if let Err(error) = result
            && self.is_honest
            && refusals == self.host.refusals
        {
            referee.accuse(format!("engine of seat {}: {error}", self.seat));
        }
        let out = &mut self.host.out;
        output.messages.append(&mut out.messages);
        output.timeouts.append(&mut out.timeouts);
        output.rounds.append(&mut out.rounds);
        output.locks.append(&mut out.locks);
        for (slot, digest) in out.signed.drain(..) {
            if self.is_honest {
                referee.on_signed(self.host.address, slot, digest);
            }
        }
        for (height, round, block, hashes) in out.listed.drain(..) {
            if self.is_honest {
                referee.on_listed(self.host.address, (height, round, block), hashes);
            }
        }
        for evidence in out.evidence.drain(..) {
            if self.is_honest {
                referee.on_engine_evidence(&evidence);
            }
        }
    }

    fn run(
        &mut self,
        mut inputs: VecDeque<Input<Agreement>>,
        referee: &mut Referee,
        bids: &BTreeMap<BidHash, SignedBid>,
        output: &mut Output,
    ) {
        while let Some(input) = inputs.pop_front() {
            self.step(input, referee, output);
            inputs.extend(self.settle(referee, bids, output));
        }
    }

    /// What the engine's effects ask the application to do next.
    fn settle(
        &mut self,
        referee: &mut Referee,
        bids: &BTreeMap<BidHash, SignedBid>,
        output: &mut Output,
    ) -> VecDeque<Input<Agreement>> {
        let mut inputs = VecDeque::new();
        if let Some((height, round)) = self.host.out.value_wanted.take()
            && height == self.host.disk.chain.next()
        {
            inputs.extend(self.propose(round, bids, output));
        }
        for (round, pol_round, proposer, block) in std::mem::take(&mut self.host.out.restream) {
            self.restream(round, pol_round, proposer, block, output);
        }
        for (response, proposer) in std::mem::take(&mut self.host.out.synced) {
            inputs.extend(self.take_synced(&response, proposer, referee));
        }
        if let Some((certificate, extensions)) = self.host.out.finalized.take() {
            let certificate = Agreement::to_protocol_certificate(&certificate, &extensions)
                .expect("a decision has a round");
            inputs.extend(self.decide(certificate, referee));
        }
        inputs
    }

    /// Applies a decided block, or waits for its payload.
    pub(crate) fn decide(
        &mut self,
        certificate: ExtendedCertificate,
        referee: &mut Referee,
    ) -> Vec<Input<Agreement>> {
        let Some((block, effects)) = self.host.disk.blocks.get(&certificate.block).cloned() else {
            self.awaited = Some(certificate);
            return Vec::new();
        };
        self.awaited = None;
        let chain = &mut self.host.disk.chain;
        if self.is_honest {
            let times = (chain.world.tip.timestamp_ms, self.host.now);
            referee.on_decided(&block, &certificate, times);
        }
        chain.advance(block, &effects, certificate);
        self.wanted = None;
        self.host.turn_page();
        let mut inputs = vec![self.start_of(self.host.disk.chain.next())];
        for message in std::mem::take(&mut self.early) {
            inputs.extend(self.take_part(message, referee));
        }
        inputs
    }

    fn propose(
        &mut self,
        round: Round,
        bids: &BTreeMap<BidHash, SignedBid>,
        output: &mut Output,
    ) -> Option<Input<Agreement>> {
        let host = &self.host;
        let chain = &host.disk.chain;
        let builder = host.disk.chain.world.builder.address();
        let takes_bid = self.craft.bid
            && chain.next().0 <= self.craft.bids_end
            && round == Round(0)
            && chain.set().may_take_bids()
            && !chain.world.history.is_suspended(&builder);
        let order = Order {
            bid: takes_bid,
            empty: self.craft.empty,
            eager: self.craft.eager,
            flaw: if takes_bid {
                (self.craft.reveal == Reveal::Invalid).then_some(Flaw::Operation)
            } else {
                self.craft.flaw
            },
        };
        let built = chain.build(round, host.address, &host.disk.pool, bids, order);
        let mut block = match built {
            Ok(block) => block,
            Err(absent) => {
                if self.wanted != Some(round) {
                    self.host.counts.fetches += 1;
                    self.host.counts.missed_fetches += 1; // until they come
                    output
                        .messages
                        .extend(absent.into_iter().map(Message::Want));
                }
                self.wanted = Some(round);
                return None;
            }
        };
        if self.wanted.take().is_some() {
            self.host.counts.missed_fetches -= 1;
        }
        if let (true, Some((hash, is_bid_bound))) = (takes_bid, self.craft.swap) {
            let chain = &self.host.disk.chain;
            chain.swap_certificate(&mut block, &self.host.key, hash, is_bid_bound);
        }
        let id = block.id();
        let signed = self.host.sign_init(round, None, id)?;
        let header = Box::new(block.header.clone());
        self.keep_init(signed, header.clone());
        output.messages.push(Message::Init { signed, header });
        if takes_bid {
            output.sold = Some(block);
        } else {
            if let (true, Verdict::Valid(effects)) = (
                self.craft.flaw.is_none(),
                self.host.disk.chain.judge(&block),
            ) {
                self.host.disk.blocks.insert(id, (block.clone(), *effects));
            }
            let payload = Box::new(block.payload);
            let root = block.header.core.payload_root;
            self.host.parts.payloads.insert(root, payload.clone());
            let height = self.host.disk.chain.next();
            output.messages.push(Message::Payload { height, payload });
        }
        self.host.parts.judged.insert(id, true);
        if takes_bid {
            self.host.parts.judged.remove(&id);
        }
        Some(Input::Propose(LocallyProposedValue {
            height: EngineHeight(self.host.disk.chain.next()),
            round: EngineRound::new(round.0),
            value: BlockValue(id),
        }))
    }

    /// Bytes have come that a proposal waited for: too late, unless its round still waits for it.
    fn resume(
        &mut self,
        bids: &BTreeMap<BidHash, SignedBid>,
        output: &mut Output,
    ) -> Option<Input<Agreement>> {
        let (round, engine) = (self.wanted?, self.engine.as_ref()?);
        let height = EngineHeight(self.host.disk.chain.next());
        let place = (engine.driver.height(), engine.driver.round());
        if place == (height, EngineRound::new(round.0)) && engine.driver.step_is_propose() {
            return self.propose(round, bids, output);
        }
        self.wanted = None;
        None
    }

    pub(crate) fn keep_init(&mut self, signed: SignedProposal, header: Box<BlockHeader>) {
        let place = (signed.proposal.round, signed.proposal.block);
        let now = self.host.now;
        self.host
            .parts
            .inits
            .entry(place)
            .or_insert((signed, header, now));
    }

    fn header_of(&self, block: BlockId) -> Option<&BlockHeader> {
        let inits = self.host.parts.inits.iter();
        let known = inits.filter(|((_, id), _)| *id == block);
        known
            .map(|(_, (_, header, _))| &**header)
            .next()
            .or_else(|| {
                self.host
                    .disk
                    .blocks
                    .get(&block)
                    .map(|(one, _)| &one.header)
            })
    }

    /// Sends the parts of a block again: a proposer under its own Init, others under the one they hold.
    fn restream(
        &mut self,
        round: Round,
        pol_round: Option<Round>,
        proposer: L1Address,
        block: BlockId,
        output: &mut Output,
    ) {
        let Some(header) = self.header_of(block).cloned().map(Box::new) else {
            return;
        };
        if proposer == self.host.address {
            if let Some(signed) = self.host.sign_init(round, pol_round, block) {
                self.keep_init(signed, header.clone());
                output.messages.push(Message::Init { signed, header });
            }
        } else if let Some((signed, header, _)) = self.host.parts.inits.get(&(round, block)) {
            output.messages.push(Message::Init {
                signed: *signed,
                header: header.clone(),
            });
        }
        output.messages.extend(self.payload_of(block));
    }

    pub(crate) fn payload_of(&self, block: BlockId) -> Option<Message> {
        let header = self.header_of(block)?;
        let held = self
            .host
            .disk
            .blocks
            .get(&block)
            .map(|(one, _)| &one.payload);
        let root = header.core.payload_root;
        let payload = held.or_else(|| self.host.parts.payloads.get(&root).map(|one| &**one))?;
        Some(Message::Payload {
            height: header.core.height,
            payload: Box::new(payload.clone()),
        })
    }

    /// Publishes a lock: the polka, the proposal, and the parts.
    pub(crate) fn publish_lock(&self, round: Round, block: BlockId) -> Vec<Message> {
        let Some(engine) = &self.engine else {
            return Vec::new();
        };
        let place = EngineRound::new(round.0);
        let polka = engine.polka_certificate(place, &block).cloned();
        let proposal = engine
            .driver
            .proposal_and_validity_for_round_and_value(place, block);
        let init = self.host.parts.inits.get(&(round, block));
        let init = init.map(|(signed, header, _)| Message::Init {
            signed: *signed,
            header: header.clone(),
        });
        let mut messages: Vec<Message> = polka.map(Message::Polka).into_iter().collect();
        messages.extend(proposal.map(|(signed, _)| Message::Proposal(signed.clone())));
        messages.extend(init);
        messages.extend(self.payload_of(block));
        messages
    }

    /// Everything a peer that was away may have missed of this height.
    pub(crate) fn recall(&self) -> Vec<Message> {
        let inits = self.host.parts.inits.values();
        let mut messages: Vec<Message> = inits
            .map(|(signed, header, _)| Message::Init {
                signed: *signed,
                header: header.clone(),
            })
            .collect();
        let blocks: std::collections::BTreeSet<BlockId> =
            self.host.parts.inits.keys().map(|(_, id)| *id).collect();
        messages.extend(blocks.into_iter().filter_map(|id| self.payload_of(id)));
        for entry in &self.host.disk.log {
            match entry {
                Input::Vote(vote) => messages.push(Message::Vote(vote.clone())),
                Input::Proposal(one) => messages.push(Message::Proposal(one.clone())),
                Input::PolkaCertificate(one) => messages.push(Message::Polka(one.clone())),
                _ => {}
            }
        }
        messages
    }

    fn take_synced(
        &mut self,
        response: &ValueResponse<Agreement>,
        proposer: L1Address,
        referee: &mut Referee,
    ) -> Option<Input<Agreement>> {
        let block: Block = from_bytes(&response.value_bytes).ok()?;
        let id = block.id();
        if id != response.certificate.value_id {
            return None;
        }
        match self.host.disk.chain.judge(&block) {
            Verdict::Valid(effects) => self.host.disk.blocks.insert(id, (block, *effects)),
            Verdict::Unknown(_) => return None, // asked for again after the next status
            Verdict::Invalid(reason) => {
                if self.is_honest {
                    referee.accuse(format!("an invalid block is decided: {reason}"));
                }
                return None;
            }
        };
        let value = ProposedValue {
            height: response.certificate.height,
            round: response.certificate.round,
            valid_round: EngineRound::Nil,
            proposer: SeatAddress(proposer),
            value: BlockValue(id),
            validity: Validity::Valid,
        };
        Some(Input::ProposedValue(value, ValueOrigin::Sync))
    }

    pub(crate) fn expects(&self, height: Height) -> std::cmp::Ordering {
        height.cmp(&self.host.disk.chain.next())
    }

    pub(crate) fn on_timeout(
        &mut self,
        (id, timeout): (u64, Timeout),
        reveal_ms: u64,
        referee: &mut Referee,
        bids: &BTreeMap<BidHash, SignedBid>,
    ) -> Output {
        let mut output = Output::default();
        let is_current = self.host.timers.values().any(|timer| *timer == id);
        if !is_current || self.engine.is_none() {
            return output;
        }
        self.host.timers.retain(|_, timer| *timer != id);
        if let (arc_malachitebft_core_types::TimeoutKind::Propose, Some(round)) =
            (timeout.kind, timeout.round.as_u32())
        {
            let deadline = self.host.now.saturating_sub(reveal_ms);
            self.report_withheld(Round(round), deadline);
        }
        let inputs = VecDeque::from([Input::TimeoutElapsed(timeout)]);
        self.run(inputs, referee, bids, &mut output);
        output
    }

    /// The view of the base layer has moved on.
    pub(crate) fn on_base_block(
        &mut self,
        number: u64,
        referee: &mut Referee,
        bids: &BTreeMap<BidHash, SignedBid>,
    ) -> Output {
        let mut output = Output::default();
        let view = &mut self.host.disk.chain.view;
        view.number = view.number.max(number);
        if self.engine.is_some() {
            let inputs = self.judge_all(referee).into();
            self.run(inputs, referee, bids, &mut output);
        }
        output
    }

    fn witness(&self, message: &Message, referee: &mut Referee) {
        if !self.is_honest {
            return;
        }
        match message {
            Message::Vote(vote) => {
                let Some(signed) = Agreement::to_protocol_vote(vote) else {
                    return;
                };
                let digest = signed.vote.digest(&self.host.agreement.domain);
                let is_good = is_authentic(digest, signed.validator, signed.signature);
                if vote.height().0 < self.tip() || !is_good {
                    return;
                }
                referee.on_vote(signed);
                if let Some(extension) = vote.extension() {
                    let scope = arc_malachitebft_core_types::VoteExtensionScope {
                        height: vote.height(),
                        round: vote.round(),
                        value_id: signed.vote.block.unwrap_or_default(),
                        validator_address: SeatAddress(signed.validator),
                    };
                    let digest = self
                        .host
                        .agreement
                        .extension_digest(&scope, &extension.message);
                    let signature = extension.signature;
                    if digest.is_some_and(|one| is_authentic(one, signed.validator, signature)) {
                        referee.on_extension(&signed, &extension.message.0, signature);
                    }
                }
            }
            Message::Proposal(proposal) => {
                let domain = &self.host.agreement.domain;
                let signed = Agreement::to_protocol_proposal(proposal);
                if let Some(signed) = signed.filter(|one| {
                    let digest = one.proposal.digest(one.kind, domain);
                    is_authentic(digest, one.proposer, one.signature)
                }) && proposal.height().0 >= self.tip()
                {
                    referee.on_proposal(signed);
                }
            }
            _ => {}
        }
    }

    /// A message has arrived. `None` stands for the answer to a status, which only the caller can send.
    pub(crate) fn receive(
        &mut self,
        message: Message,
        referee: &mut Referee,
        bids: &BTreeMap<BidHash, SignedBid>,
    ) -> Output {
        let mut output = Output::default();
        if self.engine.is_none() {
            return output;
        }
        self.witness(&message, referee);
        let inputs: Vec<Input<Agreement>> = match message {
            Message::Vote(vote) => vec![Input::Vote(vote)],
            Message::Proposal(proposal) => vec![Input::Proposal(proposal)],
            Message::Polka(polka) => vec![Input::PolkaCertificate(polka)],
            Message::Round(round) => vec![Input::RoundCertificate(round)],
            Message::Init { .. } | Message::Payload { .. } => self.take_part(message, referee),
            Message::Submission(place) => {
                let height = self.host.disk.chain.next();
                if let std::collections::btree_map::Entry::Vacant(vacant) =
                    self.host.disk.pool.entry(place)
                {
                    vacant.insert(height);
                    output.messages.push(Message::Submission(place));
                }
                self.resume(bids, &mut output).into_iter().collect()
            }
            Message::Status(_) | Message::Want(_) => Vec::new(),
            Message::Decided(decided) => self.take_decided(*decided, referee),
        };
        self.run(inputs.into(), referee, bids, &mut output);
        output
    }

    fn take_decided(
        &mut self,
        (block, certificate): (Block, ExtendedCertificate),
        referee: &mut Referee,
    ) -> Vec<Input<Agreement>> {
        if self.expects(certificate.height) != std::cmp::Ordering::Equal {
            return Vec::new();
        }
        if let Some(awaited) = self.awaited.clone() {
            if block.id() != awaited.block {
                return Vec::new();
            }
            return match self.host.disk.chain.judge(&block) {
                Verdict::Valid(effects) => {
                    let id = block.id();
                    self.host.disk.blocks.insert(id, (block, *effects));
                    self.decide(awaited, referee)
                }
                Verdict::Invalid(reason) => {
                    if self.is_honest {
                        referee.accuse(format!("an invalid block is decided: {reason}"));
                    }
                    Vec::new()
                }
                Verdict::Unknown(_) => Vec::new(),
            };
        }
        let bytes = to_bytes(&block);
        vec![Input::SyncValueResponse(ValueResponse {
            peer: self.peer,
            value_bytes: bytes.into(),
            certificate: Agreement::to_engine_certificate(&certificate),
        })]
    }
}
