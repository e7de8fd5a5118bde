//! The invariants, checked as the run goes, and the evidence that honest nodes could gather.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use arc_malachitebft_core_consensus::MisbehaviorEvidence;
use protocol::{
    account::L1Address,
    block::{Block, BlockHeader, BlockId, Entry},
    certificate::ExtendedCertificate,
    codec::to_bytes,
    evidence::{Evidence, Finding},
    hash::keccak256,
    number::{Height, Round},
    params::INBOX_PER_BATCH_MAX,
    transaction::{Domain, ListHash},
    validator::{ValidatorSet, ValidatorSignature},
    vote::{Extension, ProposalKind, SignedProposal, SignedVote, Step, Vote},
};
use sequencer::agreement::Agreement;

use crate::{
    chain::{Chain, is_authentic},
    layer::{BaseLayer, Sets},
};

/// Where a validator may sign once: height, round, and which message.
pub(crate) type Slot = (Height, Round, Signed);

/// The messages that a validator signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signed {
    Prevote,
    Precommit,
    Proposal,
    Init,
    Extension,
}

type ExtensionPlace = (Height, Round, BlockId, L1Address);

/// Watches every honest node.
pub(crate) struct Referee {
    domain: Domain,
    sets: Rc<Sets>,
    layer: Rc<BaseLayer>,
    /// Inbox items in the blocks decided so far.
    consumed: usize,
    honest: BTreeSet<L1Address>,
    decided: BTreeMap<Height, BlockId>,
    certified: BTreeSet<Height>,
    /// When the first honest node decided each height.
    pub(crate) decided_at: BTreeMap<Height, u64>,
    signed: BTreeMap<(L1Address, Slot), [u8; 32]>,
    votes: BTreeMap<(Height, Round, Step, L1Address), SignedVote>,
    proposals: BTreeMap<(Height, Round, bool, L1Address), SignedProposal>,
    extensions: BTreeMap<ExtensionPlace, ([u8; 32], ValidatorSignature)>,
    /// What honest validators list, by precommit.
    listed: BTreeMap<(Height, Round, BlockId), BTreeMap<L1Address, Vec<ListHash>>>,
    pub(crate) findings: BTreeSet<Finding>,
    /// What went wrong; empty in a good run.
    pub(crate) violations: Vec<String>,
}

impl Referee {
    pub(crate) fn new(genesis: &Chain, honest: BTreeSet<L1Address>) -> Self {
        Self {
            domain: genesis.world.domain,
            sets: Rc::clone(&genesis.sets),
            layer: Rc::clone(&genesis.view.layer),
            consumed: 0,
            honest,
            decided: BTreeMap::new(),
            certified: BTreeSet::new(),
            decided_at: BTreeMap::new(),
            signed: BTreeMap::new(),
            votes: BTreeMap::new(),
            proposals: BTreeMap::new(),
            extensions: BTreeMap::new(),
            listed: BTreeMap::new(),
            findings: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn accuse(&mut self, what: String) {
        self.violations.push(what);
    }

    /// An honest validator signed this: nothing else may stand in that slot, ever, also after a restart.
    pub(crate) fn on_signed(&mut self, by: L1Address, slot: Slot, digest: [u8; 32]) {
        let first = *self.signed.entry((by, slot)).or_insert(digest);
        if first != digest {
            self.accuse(format!("honest {by} signed two messages at {slot:?}"));
        }
    }

    /// An honest node decided: agreement, the certificate, and the list, counted anew from the certificate.
    pub(crate) fn on_decided(
        &mut self,
        block: &Block,
        certificate: &ExtendedCertificate,
        (parent_ms, now): (u64, u64),
    ) {
        self.decided_at
            .entry(block.header.core.height)
            .or_insert(now);
        let (height, id) = (block.header.core.height, block.id());
        if !self.decided.contains_key(&height) {
            self.check_inbox(block);
            self.check_next_set(block);
            self.listed.retain(|(at, ..), _| at.0 + 1 >= height.0);
        }
        let first = *self.decided.entry(height).or_insert(id);
        if first != id {
            self.accuse(format!(
                "height {height}: {first} and {id} are both decided"
            ));
        }
        if (certificate.height, certificate.block) != (height, id) {
            self.accuse(format!("height {height}: certificate of another block"));
        }
        if let Err(error) = self.check_certificate(certificate) {
            self.accuse(format!("height {height}: {error}"));
        }
        if block.header.core.timestamp_ms <= parent_ms {
            self.accuse(format!("height {height}: time stands still"));
        }
        if let Some(parent) = &block.header.certificate {
            self.check_list(block, parent);
        }
    }

    /// The first certificate of a height is verified as a stranger does it. Of the others, which nodes collected
    /// themselves, it is enough that the weight is there and that every signature has been verified in this run.
    fn check_certificate(&mut self, certificate: &ExtendedCertificate) -> Result<(), String> {
        if self.certified.insert(certificate.height) {
            let set = self.sets.at(certificate.height);
            let verdict = certificate.verify(&self.domain, set);
            return verdict.map_err(|error| error.to_string());
        }
        let (height, round, block) = (certificate.height, certificate.round, certificate.block);
        let vote = Vote {
            height,
            round,
            step: Step::Precommit,
            block: Some(block),
        };
        let digest = vote.digest(&self.domain);
        let mut signers = BTreeSet::new();
        for one in &certificate.signatures {
            let (by, extension) = (one.validator, &one.extension);
            let said = extension.digest(&self.domain, height, round, block);
            let is_good = is_authentic(digest, by, one.signature)
                && is_authentic(said, by, one.extension_signature)
                && signers.insert(by);
            if !is_good {
                return Err(format!("{by} signed no such precommit"));
            }
        }
        let set = self.sets.at(height);
        let weight = signers.iter().map(|signer| set.weight_of(signer)).sum();
        match set.is_quorum(weight) {
            true => Ok(()),
            false => Err("a certificate without a quorum".to_owned()),
        }
    }

    fn check_list(&mut self, block: &Block, parent: &ExtendedCertificate) {
        let mut present = BTreeSet::new();
        for entry in &block.payload.entries {
            if let Entry::Submission { submission, .. } = entry {
                present.insert(submission.list_hash(&self.domain));
            }
        }
        for submission in &block.payload.excuses {
            present.insert(submission.list_hash(&self.domain));
        }
        let set = self.sets.at(parent.height);
        let total = set.total();
        let inside = parent.signatures.iter();
        let inside = weigh(
            set,
            inside.map(|one| (&one.validator, &one.extension.hashes)),
        );
        let place = (parent.height, parent.round, parent.block);
        let honest = self.listed.get(&place).into_iter().flatten();
        let honest = weigh(set, honest);
        // above a third inside the certificate; above two thirds in whatever certificate
        let inside = inside.into_iter().filter(|(_, weight)| weight * 3 > total);
        let honest = honest
            .into_iter()
            .filter(|(_, weight)| weight * 3 > 2 * total);
        let due: BTreeSet<ListHash> = inside.chain(honest).map(|(hash, _)| hash).collect();
        for hash in due.difference(&present) {
            let height = block.header.core.height;
            self.accuse(format!("height {height}: listed {hash} is missing"));
        }
    }

    /// What an honest validator lists in the extension of a precommit.
    pub(crate) fn on_listed(
        &mut self,
        by: L1Address,
        (height, round, block): (Height, Round, BlockId),
        hashes: Vec<ListHash>,
    ) {
        let place = self.listed.entry((height, round, block)).or_default();
        place.insert(by, hashes);
    }

    /// The first block decided at each height, counted anew from the base layer's own queue.
    fn check_inbox(&mut self, block: &Block) {
        let core = &block.header.core;
        let origin = core.l1_origin.number;
        for item in &block.payload.inbox {
            let next = self.layer.items.get(self.consumed);
            if next.is_none_or(|next| next.item != *item || next.enqueued_at > origin) {
                let height = core.height;
                self.accuse(format!("height {height}: a wrong inbox item"));
            }
            self.consumed += 1;
        }
        let next = self.layer.items.get(self.consumed);
        let is_overdue = next.is_some_and(|next| next.enqueued_at.max(next.due_at) <= origin);
        if is_overdue && (block.payload.inbox.len() as u64) < INBOX_PER_BATCH_MAX {
            let height = core.height;
            self.accuse(format!("height {height}: an overdue item is left out"));
        }
    }

    fn check_next_set(&mut self, block: &Block) {
        let height = block.header.core.height;
        if block.header.core.next_set_hash != self.sets.after(height).hash() {
            self.accuse(format!("height {height}: another next set"));
        }
    }

    fn convict(&mut self, evidence: &Evidence) {
        match evidence.verify(&self.domain, self.sets.at(evidence.height())) {
            Ok(finding) if self.honest.contains(&finding.offender) => {
                self.accuse(format!("honest validator convicted: {finding:?}"));
            }
            Ok(finding) => {
                self.findings.insert(finding);
            }
            Err(error) => self.accuse(format!("evidence does not hold: {error}")),
        }
    }

    /// An honest node received an authentic vote.
    pub(crate) fn on_vote(&mut self, vote: SignedVote) {
        let place = (
            vote.vote.height,
            vote.vote.round,
            vote.vote.step,
            vote.validator,
        );
        let first = *self.votes.entry(place).or_insert(vote);
        if first.vote != vote.vote {
            self.convict(&Evidence::DoubleVote(first, vote));
        }
    }

    /// An honest node received an authentic proposal or Init.
    pub(crate) fn on_proposal(&mut self, one: SignedProposal) {
        let is_init = one.kind == ProposalKind::Init;
        let place = (
            one.proposal.height,
            one.proposal.round,
            is_init,
            one.proposer,
        );
        let first = *self.proposals.entry(place).or_insert(one);
        if first.proposal != one.proposal {
            self.convict(&Evidence::DoubleProposal(first, one));
        }
    }

    /// An honest node received a precommit with this extension, authentic as well.
    pub(crate) fn on_extension(
        &mut self,
        vote: &SignedVote,
        extension: &Extension,
        signature: ValidatorSignature,
    ) {
        let Some(block) = vote.vote.block else { return };
        let place = (vote.vote.height, vote.vote.round, block, vote.validator);
        self.compare_extension(place, extension, signature);
    }

    /// An honest node received a header. Its certificate may hold an extension that its signer showed nobody else.
    pub(crate) fn on_header(&mut self, header: &BlockHeader) {
        let Some(certificate) = &header.certificate else {
            return;
        };
        let (height, round, block) = (certificate.height, certificate.round, certificate.block);
        for one in &certificate.signatures {
            let (by, signature) = (one.validator, one.extension_signature);
            let digest = one.extension.digest(&self.domain, height, round, block);
            if self.sets.at(height).weight_of(&by) > 0 && is_authentic(digest, by, signature) {
                self.compare_extension((height, round, block, by), &one.extension, signature);
            }
        }
    }

    fn compare_extension(
        &mut self,
        place: ExtensionPlace,
        extension: &Extension,
        signature: ValidatorSignature,
    ) {
        let (height, round, block, validator) = place;
        let said = (keccak256(&to_bytes(extension)), signature);
        let first = *self.extensions.entry(place).or_insert(said);
        if first.0 != said.0 {
            self.convict(&Evidence::DoubleExtension {
                height,
                round,
                block,
                validator,
                first,
                second: said,
            });
        }
    }

    /// What the engine of an honest node noticed itself.
    pub(crate) fn on_engine_evidence(&mut self, evidence: &MisbehaviorEvidence<Agreement>) {
        for (_, pairs) in evidence.votes.iter() {
            for (one, other) in pairs {
                let pair = Agreement::to_protocol_vote(one).zip(Agreement::to_protocol_vote(other));
                if let Some((one, other)) = pair {
                    self.convict(&Evidence::DoubleVote(one, other));
                }
            }
        }
        for (_, pairs) in evidence.proposals.iter() {
            for (one, other) in pairs {
                let pair = Agreement::to_protocol_proposal(one)
                    .zip(Agreement::to_protocol_proposal(other));
                if let Some((one, other)) = pair {
                    self.convict(&Evidence::DoubleProposal(one, other));
                }
            }
        }
    }

    /// Weight of the validators that evidence convicts.
    pub(crate) fn guilty_weight(&self) -> u128 {
        let guilty: BTreeSet<_> = self.findings.iter().map(|one| one.offender).collect();
        guilty.iter().map(|one| self.sets.weight_of(one)).sum()
    }
}

/// Weight of those who list each transaction.
fn weigh<'a>(
    set: &ValidatorSet,
    lists: impl Iterator<Item = (&'a L1Address, &'a Vec<ListHash>)>,
) -> BTreeMap<ListHash, u128> {
    let mut weights = BTreeMap::new();
    for (by, hashes) in lists {
        for hash in hashes {
            *weights.entry(*hash).or_default() += set.weight_of(by);
        }
    }
    weights
}
