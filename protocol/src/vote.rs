//! What validators sign while they agree on a block: votes, extensions, proposals (`sequencing.md`, rules 1, 5, 8).
//!
//! All digests are `keccak256(abi.encode(name, domain, height, round, ..))`, so that a contract judges two of them by
//! `ecrecover`. Rounds and optional values take one word each; an absent block id is the zero word, an absent
//! proof-of-lock round is 0 and round r is `r + 1`.
//!
//! What this module does not do: count votes (`certificate`), judge pairs of them (`evidence`), or decide what is
//! valid (`validity`).

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::L1Address,
    block::BlockId,
    codec::{abi_word, field_to_be_bytes, to_bytes},
    hash::keccak256,
    number::{Height, Round},
    params::{LIST_HASHES_MAX, REPORTS_MAX},
    transaction::{BidHash, Domain, ListHash},
    validator::{ValidatorKey, ValidatorSignature, digest},
};

/// Which of the two votes of a round.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Step {
    /// First vote: this proposal is valid and may be decided.
    Prevote,
    /// Second vote: more than two thirds of the weight prevoted for it.
    Precommit,
}

/// One validator's vote in one step of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// Height voted on.
    pub height: Height,
    /// Round voted in.
    pub round: Round,
    /// Step of the round.
    pub step: Step,
    /// The block, or `None`: no block in this round.
    pub block: Option<BlockId>,
}

fn place(domain: &Domain, height: Height, round: Round) -> [[u8; 32]; 3] {
    [
        field_to_be_bytes(&domain.0),
        abi_word(u128::from(height.0)),
        abi_word(u128::from(round.0)),
    ]
}

fn id_word(block: Option<BlockId>) -> [u8; 32] {
    block.map_or([0; 32], |block| block.0)
}

impl Vote {
    /// `abi.encode("QUORATE/protocol/vote/v1", domain, height, round, step (1 or 2), block)`, hashed.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> [u8; 32] {
        let [domain, height, round] = place(domain, self.height, self.round);
        let step = match self.step {
            Step::Prevote => 1,
            Step::Precommit => 2,
        };
        let words = [domain, height, round, abi_word(step), id_word(self.block)];
        digest("QUORATE/protocol/vote/v1", &words)
    }

    /// Signs the vote.
    #[must_use]
    pub fn sign(self, domain: &Domain, key: &ValidatorKey) -> SignedVote {
        SignedVote {
            vote: self,
            validator: key.address(),
            signature: key.sign(&self.digest(domain)),
        }
    }
}

/// A vote with its signature. Not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct SignedVote {
    /// What was voted.
    pub vote: Vote,
    /// Who says so.
    pub validator: L1Address,
    /// Over [`Vote::digest`].
    pub signature: ValidatorSignature,
}

impl SignedVote {
    /// Whether the signature is the validator's.
    #[must_use]
    pub fn is_authentic(&self, domain: &Domain) -> bool {
        self.signature
            .is_by(&self.validator, &self.vote.digest(domain))
    }
}

/// A leader's signed choice for a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    /// Height proposed for.
    pub height: Height,
    /// Round proposed in.
    pub round: Round,
    /// Round whose prevotes allow to propose this block again, if it is not new.
    pub pol_round: Option<Round>,
    /// The block.
    pub block: BlockId,
}

/// The two messages a proposer signs for one choice: the engine's proposal, and the opening of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum ProposalKind {
    /// What the engine counts.
    Proposal,
    /// What a builder reveals on: `Init {chain, height, round, POL round, core, bid, certificate}`; the block id covers
    /// core and bid, and the core covers the certificate.
    Init,
}

impl Proposal {
    /// `abi.encode("QUORATE/protocol/proposal/v1" or "../init/v1", domain, height, round, pol_round, block)`, hashed.
    #[must_use]
    pub fn digest(&self, kind: ProposalKind, domain: &Domain) -> [u8; 32] {
        let [domain, height, round] = place(domain, self.height, self.round);
        let pol = self.pol_round.map_or(0, |round| u128::from(round.0) + 1);
        let words = [domain, height, round, abi_word(pol), self.block.0];
        let name = match kind {
            ProposalKind::Proposal => "QUORATE/protocol/proposal/v1",
            ProposalKind::Init => "QUORATE/protocol/init/v1",
        };
        digest(name, &words)
    }

    /// Signs it as `kind`.
    #[must_use]
    pub fn sign(self, kind: ProposalKind, domain: &Domain, key: &ValidatorKey) -> SignedProposal {
        SignedProposal {
            proposal: self,
            kind,
            proposer: key.address(),
            signature: key.sign(&self.digest(kind, domain)),
        }
    }
}

/// A proposal or Init with its signature. Not yet checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct SignedProposal {
    /// What was proposed.
    pub proposal: Proposal,
    /// Which of the two messages this is.
    pub kind: ProposalKind,
    /// Who says so.
    pub proposer: L1Address,
    /// Over [`Proposal::digest`].
    pub signature: ValidatorSignature,
}

impl SignedProposal {
    /// Whether the signature is the proposer's.
    #[must_use]
    pub fn is_authentic(&self, domain: &Domain) -> bool {
        let digest = self.proposal.digest(self.kind, domain);
        self.signature.is_by(&self.proposer, &digest)
    }
}

/// What became of a builder's payload that a validator waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Withheld {
    /// The Init came in time, a complete payload did not.
    Missing,
    /// A complete payload came and is invalid.
    Invalid,
}

/// A validator's word that a builder's payload did not arrive, or was invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Report {
    /// Height of the bid.
    pub height: Height,
    /// The bid.
    pub bid: BidHash,
    /// Its builder.
    pub builder: L1Address,
    /// The block that stood on it.
    pub block: BlockId,
    /// What was wrong.
    pub fault: Withheld,
}

/// Why an extension is refused. Syntax only: anything else would throw away votes (review finding M4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// More hashes than [`LIST_HASHES_MAX`].
    #[error("an extension lists at most {LIST_HASHES_MAX} transactions, not {0}")]
    Hashes(usize),
    /// Hashes that do not strictly ascend.
    #[error("listed hashes must ascend, each once")]
    HashOrder,
    /// More reports than [`REPORTS_MAX`].
    #[error("an extension carries at most {REPORTS_MAX} reports, not {0}")]
    Reports(usize),
    /// Reports that do not strictly ascend.
    #[error("reports must ascend, each once")]
    ReportOrder,
}

/// What a validator adds to its precommit of a block, signed beside it; at most 4 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Extension {
    /// Listed transactions ([`crate::transaction::Submission::list_hash`]), ascending.
    pub hashes: Vec<ListHash>,
    /// The signer's clock, milliseconds since 1970.
    pub time_ms: u64,
    /// Builders who withheld, ascending.
    pub reports: Vec<Report>,
}

impl Extension {
    /// Checks bounds and order.
    ///
    /// # Errors
    /// [`ExtensionError`].
    pub fn check(&self) -> Result<(), ExtensionError> {
        if self.hashes.len() > LIST_HASHES_MAX {
            return Err(ExtensionError::Hashes(self.hashes.len()));
        }
        if !self.hashes.is_sorted_by(|one, next| one < next) {
            return Err(ExtensionError::HashOrder);
        }
        if self.reports.len() > REPORTS_MAX {
            return Err(ExtensionError::Reports(self.reports.len()));
        }
        if !self.reports.is_sorted_by(|one, next| one < next) {
            return Err(ExtensionError::ReportOrder);
        }
        Ok(())
    }

    /// `abi.encode("QUORATE/protocol/extension/v1", domain, height, round, block, keccak256(encoding))`, hashed: the
    /// precommit's own signature does not cover the extension.
    #[must_use]
    pub fn digest(
        &self,
        domain: &Domain,
        height: Height,
        round: Round,
        block: BlockId,
    ) -> [u8; 32] {
        extension_digest(domain, height, round, block, &keccak256(&to_bytes(self)))
    }
}

/// [`Extension::digest`] of an extension known by the hash of its encoding: what evidence carries.
#[must_use]
pub fn extension_digest(
    domain: &Domain,
    height: Height,
    round: Round,
    block: BlockId,
    content: &[u8; 32],
) -> [u8; 32] {
    let [domain, height, round] = place(domain, height, round);
    let words = [domain, height, round, block.0, *content];
    digest("QUORATE/protocol/extension/v1", &words)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Fr;

    const BLOCK: BlockId = BlockId([4; 32]);

    fn domain() -> Domain {
        Domain(Fr::from(1_u64))
    }

    fn report(height: u64) -> Report {
        Report {
            height: Height(height),
            bid: BidHash([1; 32]),
            builder: L1Address([2; 20]),
            block: BLOCK,
            fault: Withheld::Missing,
        }
    }

    #[test]
    fn every_field_and_every_kind_of_message_has_its_own_digest() {
        let base = Vote {
            height: Height(3),
            round: Round(1),
            step: Step::Prevote,
            block: Some(BLOCK),
        };
        let nil = Vote {
            block: None,
            ..base
        };
        let votes = [
            base,
            nil,
            Vote {
                height: Height(4),
                ..base
            },
            Vote {
                round: Round(0),
                ..base
            },
            Vote {
                step: Step::Precommit,
                ..base
            },
            Vote {
                block: Some(BlockId([5; 32])),
                ..base
            },
        ];
        let mut digests: BTreeSet<_> = votes.iter().map(|vote| vote.digest(&domain())).collect();
        digests.insert(base.digest(&Domain(Fr::from(2_u64))));
        let proposal = Proposal {
            height: Height(3),
            round: Round(1),
            pol_round: None,
            block: BLOCK,
        };
        let again = Proposal {
            pol_round: Some(Round(0)),
            ..proposal
        };
        for kind in [ProposalKind::Proposal, ProposalKind::Init] {
            digests.insert(proposal.digest(kind, &domain()));
            digests.insert(again.digest(kind, &domain()));
        }
        let extension = Extension::default();
        digests.insert(extension.digest(&domain(), Height(3), Round(1), BLOCK));
        let later = Extension {
            time_ms: 1,
            ..extension
        };
        digests.insert(later.digest(&domain(), Height(3), Round(1), BLOCK));
        assert_eq!(digests.len(), votes.len() + 1 + 4 + 2);
    }

    #[test]
    fn signatures_are_the_signers() {
        let key = ValidatorKey::from_bytes(&[5; 32]).unwrap();
        let vote = Vote {
            height: Height(3),
            round: Round(1),
            step: Step::Precommit,
            block: Some(BLOCK),
        };
        let good = vote.sign(&domain(), &key);
        assert!(good.is_authentic(&domain()));
        assert!(!good.is_authentic(&Domain(Fr::from(2_u64))));
        let stolen = SignedVote {
            validator: L1Address([1; 20]),
            ..good
        };
        assert!(!stolen.is_authentic(&domain()));
        let proposal = Proposal {
            height: Height(3),
            round: Round(1),
            pol_round: None,
            block: BLOCK,
        };
        let init = proposal.sign(ProposalKind::Init, &domain(), &key);
        assert!(init.is_authentic(&domain()));
        let disguised = SignedProposal {
            kind: ProposalKind::Proposal,
            ..init
        };
        assert!(!disguised.is_authentic(&domain()));
    }

    #[test]
    fn extensions_are_bounded_and_have_one_spelling() {
        let full = Extension {
            hashes: (0..LIST_HASHES_MAX)
                .map(|place| ListHash([u8::try_from(place).unwrap(); 32]))
                .collect(),
            time_ms: u64::MAX,
            reports: (0..REPORTS_MAX as u64).map(report).collect(),
        };
        assert_eq!(full.check(), Ok(()));
        assert!(to_bytes(&full).len() <= 4_096, "{}", to_bytes(&full).len());
        let with = |alter: &dyn Fn(&mut Extension)| {
            let mut extension = full.clone();
            alter(&mut extension);
            extension.check()
        };
        assert_eq!(
            with(&|extension| extension.hashes.push(ListHash([0xff; 32]))),
            Err(ExtensionError::Hashes(LIST_HASHES_MAX + 1))
        );
        assert_eq!(
            with(&|extension| extension.hashes.swap(0, 1)),
            Err(ExtensionError::HashOrder)
        );
        assert_eq!(
            with(&|extension| extension.hashes[1] = extension.hashes[0]),
            Err(ExtensionError::HashOrder)
        );
        assert_eq!(
            with(&|extension| extension.reports.push(report(99))),
            Err(ExtensionError::Reports(REPORTS_MAX + 1))
        );
        assert_eq!(
            with(&|extension| extension.reports.swap(0, 1)),
            Err(ExtensionError::ReportOrder)
        );
    }
}
