//! The invariants, checked as the run goes, and the evidence that honest nodes could gather.

use std::collections::{BTreeMap, BTreeSet};

use arc_malachitebft_core_consensus::MisbehaviorEvidence;
use protocol::{
    account::L1Address,
    block::{Block, BlockId, Entry},
    certificate::ExtendedCertificate,
    codec::to_bytes,
    evidence::{Evidence, Finding},
    hash::keccak256,
    number::{Height, Round},
    transaction::Domain,
    validator::{ValidatorSet, ValidatorSignature},
    vote::{Extension, ProposalKind, SignedProposal, SignedVote, Step, Vote},
};
use sequencer::agreement::Agreement;

use crate::chain::is_authentic;

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
    set: ValidatorSet,
    honest: BTreeSet<L1Address>,
    decided: BTreeMap<Height, BlockId>,
    certified: BTreeSet<Height>,
    /// When the first honest node decided each height.
    pub(crate) decided_at: BTreeMap<Height, u64>,
    signed: BTreeMap<(L1Address, Slot), [u8; 32]>,
    votes: BTreeMap<(Height, Round, Step, L1Address), SignedVote>,
    proposals: BTreeMap<(Height, Round, bool, L1Address), SignedProposal>,
    extensions: BTreeMap<ExtensionPlace, ([u8; 32], ValidatorSignature)>,
    pub(crate) findings: BTreeSet<Finding>,
    /// What went wrong; empty in a good run.
    pub(crate) violations: Vec<String>,
}

impl Referee {
    pub(crate) fn new(domain: Domain, set: ValidatorSet, honest: BTreeSet<L1Address>) -> Self {
        Self {
            domain,
            set,
            honest,
            decided: BTreeMap::new(),
            certified: BTreeSet::new(),
            decided_at: BTreeMap::new(),
            signed: BTreeMap::new(),
            votes: BTreeMap::new(),
            proposals: BTreeMap::new(),
            extensions: BTreeMap::new(),
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
            let verdict = certificate.verify(&self.domain, &self.set);
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
        let weight = signers
            .iter()
            .map(|signer| self.set.weight_of(signer))
            .sum();
        match self.set.is_quorum(weight) {
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
        let mut listers: BTreeMap<_, u128> = BTreeMap::new();
        for one in &parent.signatures {
            for hash in &one.extension.hashes {
                *listers.entry(*hash).or_default() += self.set.weight_of(&one.validator);
            }
        }
        let total = self.set.total();
        for (hash, weight) in listers {
            if weight * 3 > total && !present.contains(&hash) {
                let height = block.header.core.height;
                self.accuse(format!("height {height}: listed {hash} is missing"));
            }
        }
    }

    fn convict(&mut self, evidence: &Evidence) {
        match evidence.verify(&self.domain, &self.set) {
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
        let (height, round, validator) = (vote.vote.height, vote.vote.round, vote.validator);
        let said = (keccak256(&to_bytes(extension)), signature);
        let place = (height, round, block, validator);
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
        guilty.iter().map(|one| self.set.weight_of(one)).sum()
    }
}
