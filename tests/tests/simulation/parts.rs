//! Parts of blocks, as they come to a node: kept, judged, and reported if a builder's payload is missing or invalid.
//!
//! Not here: what is done with the verdict, which is the engine's.

use arc_malachitebft_core_consensus::{Input, ProposedValue};
use arc_malachitebft_core_types::{Round as EngineRound, Validity, ValueOrigin};
use protocol::{
    block::{Block, BlockHeader, BlockId},
    number::Round,
    validity::{Refusal, Verdict},
    vote::{ProposalKind, Report, SignedProposal, Withheld},
};
use sequencer::agreement::{Agreement, BlockValue, EngineHeight, SeatAddress};

use crate::{chain::is_authentic, message::Message, node::Node, referee::Referee};

/// Messages of later heights that a node keeps.
const EARLY_MAX: usize = 400;

impl Node {
    /// An Init or a payload: kept, and judged when both halves are here.
    pub(crate) fn take_part(
        &mut self,
        message: Message,
        referee: &mut Referee,
    ) -> Vec<Input<Agreement>> {
        let height = match &message {
            Message::Init { signed, .. } => signed.proposal.height,
            Message::Payload { height, .. } => *height,
            _ => return Vec::new(),
        };
        match self.expects(height) {
            std::cmp::Ordering::Less => return Vec::new(),
            std::cmp::Ordering::Greater => {
                if self.early.len() < EARLY_MAX {
                    self.early.push(message);
                }
                return Vec::new();
            }
            std::cmp::Ordering::Equal => {}
        }
        match message {
            Message::Init { signed, header } => {
                let proposal = &signed.proposal;
                let is_proper = signed.kind == ProposalKind::Init
                    && header.id() == proposal.block
                    && header.core.height == height
                    && self.host.disk.chain.set().proposer(height, proposal.round)
                        == &signed.proposer;
                let round = proposal.round;
                let place = (round, proposal.block);
                if !is_proper || self.host.parts.inits.contains_key(&place) {
                    return Vec::new();
                }
                let digest = proposal.digest(signed.kind, &self.host.agreement.domain);
                if !is_authentic(digest, signed.proposer, signed.signature) {
                    return Vec::new();
                }
                if self.is_honest {
                    referee.on_proposal(signed);
                    referee.on_header(&header);
                }
                let rivals = self.host.parts.inits.keys();
                if rivals.filter(|(at, _)| *at == round).count() >= 2 {
                    return Vec::new();
                }
                self.keep_init(signed, header);
            }
            Message::Payload { payload, .. } => {
                self.host
                    .parts
                    .payloads
                    .entry(payload.root())
                    .or_insert(payload);
            }
            _ => {}
        }
        self.judge_all(referee)
    }

    /// Judges every block of this height that has no answer yet. Unknown is not answered.
    pub(crate) fn judge_all(&mut self, referee: &mut Referee) -> Vec<Input<Agreement>> {
        let open: Vec<(SignedProposal, BlockHeader)> = self
            .host
            .parts
            .inits
            .iter()
            .filter(|((_, id), _)| !self.host.parts.judged.contains_key(id))
            .map(|(_, (signed, header, _))| (*signed, (**header).clone()))
            .collect();
        let mut inputs = Vec::new();
        for (signed, header) in open {
            let id = signed.proposal.block;
            if self.host.parts.judged.contains_key(&id) {
                continue; // proposed in two rounds
            }
            let Some(is_valid) = self.judge(id, header) else {
                continue;
            };
            self.host.parts.judged.insert(id, is_valid);
            let value = ProposedValue {
                height: EngineHeight(signed.proposal.height),
                round: EngineRound::new(signed.proposal.round.0),
                valid_round: signed
                    .proposal
                    .pol_round
                    .map_or(EngineRound::Nil, |round| EngineRound::new(round.0)),
                proposer: SeatAddress(signed.proposer),
                value: BlockValue(id),
                validity: Validity::from_bool(is_valid),
            };
            inputs.push(Input::ProposedValue(value, ValueOrigin::Consensus));
            if let (true, Some(certificate)) = (is_valid, self.awaited.clone()) {
                inputs.extend(self.decide(certificate, referee));
                return inputs;
            }
        }
        inputs
    }

    fn judge(&mut self, id: BlockId, header: BlockHeader) -> Option<bool> {
        if self.host.disk.blocks.contains_key(&id) {
            return Some(true);
        }
        let root = header.core.payload_root;
        let Some(payload) = self.host.parts.payloads.get(&root) else {
            // a bad header is refused before the payload is seen
            let refusal = self.host.disk.chain.judge_header(&header).err();
            return matches!(refusal, Some(Refusal::Invalid(_))).then_some(false);
        };
        let payload = (**payload).clone();
        let block = Block { header, payload };
        match self.host.disk.chain.judge(&block) {
            Verdict::Valid(effects) => {
                if self.host.parts.unknown.contains(&id) {
                    self.host.counts.late_answers += 1;
                }
                if self.craft.slanders {
                    self.report(&block.header, Withheld::Missing);
                }
                self.host.disk.blocks.insert(id, (block, *effects));
                Some(true)
            }
            Verdict::Invalid(_) => {
                // a bad header is the proposer's fault
                if self.host.disk.chain.judge_header(&block.header).is_ok() {
                    self.report(&block.header, Withheld::Invalid);
                }
                Some(false)
            }
            Verdict::Unknown(_) => {
                self.host.parts.unknown.insert(id);
                None
            }
        }
    }

    fn report(&mut self, header: &BlockHeader, fault: Withheld) {
        let Some(bid) = &header.bid else { return };
        let report = Report {
            height: header.core.height,
            bid: bid.hash(&self.host.agreement.domain),
            builder: bid.builder,
            block: header.id(),
            fault,
        };
        self.host.disk.reports.insert(report);
        self.host.filed.insert(report);
    }

    /// The propose timeout of a round: whose payload did not come, though its Init came by `deadline`, is reported.
    pub(crate) fn report_withheld(&mut self, round: Round, deadline: u64) {
        let inits = self.host.parts.inits.iter();
        let missing: Vec<BlockHeader> = inits
            .filter(|((at, id), (_, _, came))| {
                *at == round && *came <= deadline && !self.host.disk.blocks.contains_key(id)
            })
            .filter(|(_, (_, header, _))| {
                let root = &header.core.payload_root;
                header.bid.is_some() && !self.host.parts.payloads.contains_key(root)
            })
            .map(|(_, (_, header, _))| (**header).clone())
            .collect();
        for header in missing {
            self.report(&header, Withheld::Missing);
        }
    }
}
