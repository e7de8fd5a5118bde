//! Evidence files: what a node writes when it sees a validator contradict itself, and what anybody judges offline.
//!
//! The file ([`EVIDENCE`]) holds the two signed messages, where the set of their height comes from, and for a lock
//! challenge what was answered. Signatures and the set decide, nothing else in the file. [`Accountability`] adds up
//! several files: if a height has two decided blocks, at least a third of the weight is in them.
//!
//! What this module does not do: punish, or know that an answer was withheld. An unanswered challenge convicts as long
//! as nobody shows the polka.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    account::L1Address,
    evidence::{Evidence, Finding, Offence},
    genesis::Genesis,
    number::{Epoch, Height},
    transaction::Domain,
    validator::{VALIDATORS_MAX, ValidatorSet},
    vote::SignedVote,
};

use crate::{
    container::{Container, FileError},
    lineage::Lineage,
};

/// Largest evidence file in bytes: the handovers of a thousand epochs of full sets.
pub const EVIDENCE_BYTES_MAX: usize = 16 << 20;

/// The container of evidence files.
pub const EVIDENCE: Container = Container {
    magic: *b"QREVIDEN",
    version: 1,
    bytes_max: EVIDENCE_BYTES_MAX,
    noun: "piece of evidence",
};

/// What an evidence file holds. Nothing of it is believed before [`EvidenceFile::judge`].
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EvidenceFile {
    /// Where the set of the evidence's height comes from.
    pub lineage: Lineage,
    /// The contradiction.
    pub evidence: Evidence,
    /// A polka that answers a lock challenge; empty for anything else.
    pub answer: Vec<SignedVote>,
}

/// What evidence shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Who did what, and at which height.
    pub finding: Finding,
    /// Epoch of that height.
    pub epoch: Epoch,
    /// Domain of the chain.
    pub domain: Domain,
    /// The set of the epoch.
    pub set: ValidatorSet,
    /// Whether the set follows from the reader's own genesis, and not only from the file's.
    pub is_anchored_in_genesis: bool,
}

impl Judgement {
    /// Weight of the offender in the set of the height.
    #[must_use]
    pub fn weight(&self) -> u128 {
        self.set.weight_of(&self.finding.offender)
    }
}

impl EvidenceFile {
    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        EVIDENCE.encode(self)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`FileError::Corrupt`] or [`FileError::Version`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FileError> {
        let file: Self = EVIDENCE.decode(bytes)?;
        if file.answer.len() > VALIDATORS_MAX {
            return Err(FileError::Corrupt(format!(
                "its answer has {} votes, more than a set has validators",
                file.answer.len()
            )));
        }
        Ok(file)
    }

    /// Convicts, or says why not.
    ///
    /// # Errors
    /// [`FileError::Invalid`].
    pub fn judge(&self, genesis: Option<&Genesis>) -> Result<Judgement, FileError> {
        let invalid = |what: String| FileError::Invalid(what);
        let epoch = Epoch::of(self.evidence.height());
        let set = self.lineage.set_of(epoch, genesis)?;
        let domain = self.lineage.domain;
        let finding = self
            .evidence
            .verify(&domain, set)
            .map_err(|error| invalid(error.to_string()))?;
        if !self.answer.is_empty() && finding.offence != Offence::BrokenLock {
            return Err(invalid("only a lock challenge can be answered".to_owned()));
        }
        if self.evidence.is_answered_by(&self.answer, &domain, set) {
            return Err(invalid(format!(
                "the challenge of {} is answered: a polka freed its lock",
                finding.offender
            )));
        }
        Ok(Judgement {
            finding,
            epoch,
            domain,
            set: set.clone(),
            is_anchored_in_genesis: genesis.is_some(),
        })
    }
}

/// Reads and judges the bytes of an evidence file; with the reader's genesis, or under the chain that the file names.
///
/// # Errors
/// [`FileError`].
pub fn verify_evidence(bytes: &[u8], genesis: Option<&Genesis>) -> Result<Judgement, FileError> {
    EvidenceFile::decode(bytes)?.judge(genesis)
}

/// Who must answer for one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accountability {
    /// The height.
    pub height: Height,
    /// Distinct offenders and their weights.
    pub offenders: BTreeMap<L1Address, u128>,
    /// Weight of the whole set.
    pub total: u128,
}

impl Accountability {
    /// Adds up judgements of one height.
    ///
    /// # Errors
    /// [`FileError::Invalid`] if there are none, or they are of different heights, chains or sets.
    pub fn new(judgements: &[Judgement]) -> Result<Self, FileError> {
        let invalid = |what: &str| Err(FileError::Invalid(what.to_owned()));
        let Some(first) = judgements.first() else {
            return invalid("there is no evidence");
        };
        for one in judgements {
            if one.finding.height != first.finding.height {
                return invalid("the pieces of evidence are about different heights");
            }
            if (one.domain, &one.set) != (first.domain, &first.set) {
                return invalid("the pieces of evidence are about different chains or sets");
            }
        }
        let offenders = judgements
            .iter()
            .map(|one| (one.finding.offender, one.weight()))
            .collect();
        Ok(Self {
            height: first.finding.height,
            offenders,
            total: first.set.total(),
        })
    }

    /// Weight of the offenders, each counted once.
    #[must_use]
    pub fn weight(&self) -> u128 {
        self.offenders.values().sum()
    }

    /// Whether the offenders weigh at least one third: enough to have broken agreement.
    #[must_use]
    pub fn is_a_third(&self) -> bool {
        self.weight().saturating_mul(3) >= self.total
    }
}

#[cfg(test)]
mod tests {
    use protocol::{
        number::Round,
        params::EPOCH_HEIGHTS,
        testing::{Succession, World, leaf},
        validator::ValidatorKey,
        vote::{Step, Vote},
    };

    use super::*;
    use crate::container::tests::assert_damage_is_seen;

    const A: protocol::block::BlockId = protocol::block::BlockId([0xa; 32]);
    const B: protocol::block::BlockId = protocol::block::BlockId([0xb; 32]);

    fn world() -> World {
        World::new(vec![leaf(0, 0, 1)], 1)
    }

    fn vote(
        key: &ValidatorKey,
        height: u64,
        round: u32,
        step: Step,
        block: protocol::block::BlockId,
    ) -> SignedVote {
        let vote = Vote {
            height: Height(height),
            round: Round(round),
            step,
            block: Some(block),
        };
        vote.sign(&world().domain, key)
    }

    fn double_vote(key: &ValidatorKey, height: u64) -> Evidence {
        let one = |block| vote(key, height, 0, Step::Prevote, block);
        Evidence::DoubleVote(one(A), one(B))
    }

    fn file(evidence: Evidence) -> EvidenceFile {
        EvidenceFile {
            lineage: Lineage::new(&world().genesis, Vec::new()),
            evidence,
            answer: Vec::new(),
        }
    }

    /// Seat 0 locks A in round 1 and prevotes B in round 4; `voters` are the seats whose polka answers it.
    fn challenge(voters: &[usize]) -> EvidenceFile {
        let keys = world().validators;
        EvidenceFile {
            answer: voters
                .iter()
                .map(|seat| vote(&keys[*seat], 7, 2, Step::Prevote, B))
                .collect(),
            ..file(Evidence::LockChallenge {
                precommit: vote(&keys[0], 7, 1, Step::Precommit, A),
                prevote: vote(&keys[0], 7, 4, Step::Prevote, B),
            })
        }
    }

    #[test]
    fn a_double_vote_convicts_offline_with_and_without_genesis() {
        let world = world();
        let bytes = file(double_vote(&world.validators[1], 7)).encode();
        for genesis in [None, Some(&world.genesis)] {
            let judged = verify_evidence(&bytes, genesis).unwrap();
            assert_eq!(judged.finding.offender, world.validators[1].address());
            assert_eq!(judged.finding.offence, Offence::DoubleVote);
            assert_eq!((judged.finding.height, judged.epoch), (Height(7), Epoch(0)));
            assert_eq!((judged.weight(), judged.set.total()), (1, 4));
            assert_eq!(judged.is_anchored_in_genesis, genesis.is_some());
        }
    }

    #[test]
    fn damage_is_seen() {
        let world = world();
        let bytes = file(double_vote(&world.validators[1], 7)).encode();
        assert_damage_is_seen(&bytes, |bytes| {
            let judged = verify_evidence(bytes, Some(&world.genesis));
            judged.err().map(|error| error.exit_code())
        });
    }

    /// Without the checksum in the way: whatever a forger changes in the body, nobody else is convicted.
    #[test]
    fn a_changed_body_convicts_the_same_validator_or_nobody() {
        let world = world();
        let good = file(double_vote(&world.validators[1], 7));
        let body = protocol::codec::to_bytes(&good);
        let expected = good.judge(Some(&world.genesis)).unwrap().finding;
        for place in 0..body.len() {
            for flip in [1, 0x80] {
                let mut changed = body.clone();
                changed[place] ^= flip;
                let Ok(changed) = protocol::codec::from_bytes::<EvidenceFile>(&changed) else {
                    continue;
                };
                if let Ok(judged) = changed.judge(Some(&world.genesis)) {
                    assert_eq!(judged.finding, expected, "byte {place}");
                }
                let _ = changed.judge(None);
            }
        }
    }

    #[test]
    fn honest_votes_strangers_and_foreign_chains_do_not_convict() {
        let world = world();
        let keys = &world.validators;
        let same = vote(&keys[1], 7, 0, Step::Prevote, A);
        let stranger = ValidatorKey::from_bytes(&[99; 32]).unwrap();
        for evidence in [
            Evidence::DoubleVote(same, same),
            Evidence::DoubleVote(same, vote(&keys[1], 7, 1, Step::Prevote, B)),
            Evidence::DoubleVote(same, vote(&keys[2], 7, 0, Step::Prevote, B)),
            double_vote(&stranger, 7),
        ] {
            let refused = file(evidence).judge(Some(&world.genesis));
            assert_eq!(refused.unwrap_err().exit_code(), 1);
        }
        let richer = World::new(vec![leaf(0, 0, 2)], 1);
        let refused = file(double_vote(&keys[1], 7)).judge(Some(&richer.genesis));
        assert_eq!(refused.unwrap_err().exit_code(), 1);
    }

    #[test]
    fn later_epochs_are_judged_by_their_own_set() {
        let world = world();
        let succession = Succession::new(&world, 2);
        let height = 2 * EPOCH_HEIGHTS + 1;
        let at = |key: &ValidatorKey, links: usize| {
            let made = EvidenceFile {
                lineage: Lineage::new(&world.genesis, succession.links[..links].to_vec()),
                ..file(double_vote(key, height))
            };
            verify_evidence(&made.encode(), Some(&world.genesis))
        };
        let newest = ValidatorKey::from_bytes(&[101; 32]).unwrap();
        let judged = at(&newest, 2).unwrap();
        assert_eq!((judged.epoch, judged.weight()), (Epoch(2), 1));
        assert!(at(&newest, 1).is_err(), "a handover is missing");
        assert!(
            at(&world.validators[0], 2).is_err(),
            "who left answers for nothing later"
        );
        let mut forged = succession.links.clone();
        forged[1].certificate.signatures.0[0].signature = newest.sign(&[0; 32]);
        let made = EvidenceFile {
            lineage: Lineage::new(&world.genesis, forged),
            ..file(double_vote(&newest, height))
        };
        assert!(made.judge(Some(&world.genesis)).is_err());
    }

    #[test]
    fn a_challenge_convicts_until_a_polka_answers_it() {
        let genesis = world().genesis;
        let judged = challenge(&[]).judge(Some(&genesis)).unwrap();
        assert_eq!(judged.finding.offence, Offence::BrokenLock);
        let answered = challenge(&[1, 2, 3]).judge(Some(&genesis)).unwrap_err();
        assert!(answered.to_string().contains("is answered"), "{answered}");
        assert!(
            challenge(&[1, 2]).judge(Some(&genesis)).is_ok(),
            "no quorum"
        );
        let elsewhere = EvidenceFile {
            evidence: double_vote(&world().validators[1], 7),
            ..challenge(&[1, 2, 3])
        };
        assert!(elsewhere.judge(Some(&genesis)).is_err());
        let flood = challenge(&[1; VALIDATORS_MAX + 1]).encode();
        assert_eq!(EvidenceFile::decode(&flood).unwrap_err().exit_code(), 4);
    }

    #[test]
    fn a_third_is_counted_over_distinct_offenders_of_one_height() {
        let world = world();
        let judged = |seat: usize, height: u64| {
            file(double_vote(&world.validators[seat], height))
                .judge(Some(&world.genesis))
                .unwrap()
        };
        let lock = challenge(&[]).judge(Some(&world.genesis)).unwrap();
        let sum = |all: &[Judgement]| Accountability::new(all).unwrap();
        let one = sum(&[judged(0, 7), judged(0, 7), lock.clone()]);
        assert_eq!((one.weight(), one.total, one.is_a_third()), (1, 4, false));
        let two = sum(&[judged(0, 7), judged(1, 7), lock]);
        assert_eq!(
            (two.weight(), two.height, two.is_a_third()),
            (2, Height(7), true)
        );
        assert!(Accountability::new(&[]).is_err());
        assert!(Accountability::new(&[judged(0, 7), judged(1, 8)]).is_err());
        let elsewhere = Judgement {
            set: ValidatorSet::of_one(world.validators[1].address()),
            ..judged(1, 7)
        };
        assert!(Accountability::new(&[judged(0, 7), elsewhere]).is_err());
    }
}
