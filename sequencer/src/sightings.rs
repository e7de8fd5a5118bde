//! The newest signature of each validator that this node has seen in agreement. A validator that was restored from an old copy
//! asks for its own: it does not know what it has signed since, and its peers may.
//!
//! Invariants: what is shown was signed by whom it is about; a forged message takes the place of none; one is kept of each
//! validator, and a few that are not checked yet, because checking all would cost every vote a second time. What this module does
//! not do: outlive the node's end, but for what the engine's log repeats of the open height.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use borsh::{BorshDeserialize, BorshSerialize};
use protocol::{
    account::L1Address,
    number::{Height, Round},
    preconfirmation::SignedPreconfirmation,
    transaction::Domain,
    validator::{VALIDATORS_MAX, ValidatorSet},
    vote::{ProposalKind, SignedProposal, SignedVote, Step},
};

use crate::guard::{GuardRequest, promised_place};

/// Messages of a validator that wait to be checked: at two votes a height one check in four heights.
const UNCHECKED_MAX: usize = 8;
/// Validators about whom something is kept: those of two sets.
const SIGNERS_MAX: usize = 2 * VALIDATORS_MAX;

/// A signed message of agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Sighting {
    /// A vote.
    Vote(SignedVote),
    /// A proposal or Init.
    Proposal(SignedProposal),
    /// A promise about the block of a height.
    Promise(SignedPreconfirmation),
}

impl Sighting {
    pub(crate) fn signer(&self) -> L1Address {
        match self {
            Self::Vote(signed) => signed.validator,
            Self::Proposal(signed) => signed.proposer,
            Self::Promise(signed) => signed.proposer,
        }
    }

    pub(crate) fn height(&self) -> Height {
        self.rank().0
    }

    pub(crate) fn is_authentic(&self, domain: &Domain) -> bool {
        match self {
            Self::Vote(signed) => signed.is_authentic(domain),
            Self::Proposal(signed) => signed.is_authentic(domain),
            Self::Promise(signed) => signed.is_authentic(domain),
        }
    }

    /// Height, round and step: a validator signs in this order.
    pub(crate) fn rank(&self) -> (Height, Round, u8) {
        match self {
            Self::Promise(signed) => (signed.preconfirmation.height, Round(0), 0),
            Self::Proposal(signed) => {
                let proposal = &signed.proposal;
                let step = match signed.kind {
                    ProposalKind::Init => 1,
                    ProposalKind::Proposal => 2,
                };
                (proposal.height, proposal.round, step)
            }
            Self::Vote(signed) => {
                let step = match signed.vote.step {
                    Step::Prevote => 3,
                    Step::Precommit => 4,
                };
                (signed.vote.height, signed.vote.round, step)
            }
        }
    }

    /// What the signer's guard was asked for.
    pub(crate) fn request(&self, domain: &Domain) -> GuardRequest {
        match self {
            Self::Vote(signed) => GuardRequest::Vote(signed.vote),
            Self::Proposal(signed) => GuardRequest::Proposal(signed.proposal, signed.kind),
            Self::Promise(signed) => promised_place(&signed.preconfirmation, domain),
        }
    }
}

/// What is kept of one validator.
#[derive(Debug, Default)]
struct Signer {
    newest: Option<Sighting>,
    /// Newer ones, in no order, whose signatures nobody has checked.
    unchecked: Vec<Sighting>,
}

impl Signer {
    /// Finds the newest that is signed, and forgets the others.
    fn check(&mut self, domain: &Domain) {
        let mut unchecked = std::mem::take(&mut self.unchecked);
        unchecked.sort_by_key(|one| std::cmp::Reverse(one.rank()));
        if let Some(newest) = unchecked.into_iter().find(|one| one.is_authentic(domain)) {
            self.newest = Some(newest);
        }
    }
}

/// Signatures by signer.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    signers: Mutex<BTreeMap<L1Address, Signer>>,
}

impl Sightings {
    fn signers(&self) -> MutexGuard<'_, BTreeMap<L1Address, Signer>> {
        self.signers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message that names a validator of `set` as its signer; it need not be checked yet.
    pub(crate) fn take(&self, sighting: Sighting, domain: &Domain, set: &ValidatorSet) {
        if set.weight_of(&sighting.signer()) == 0 {
            return;
        }
        let mut signers = self.signers();
        if signers.len() >= SIGNERS_MAX && !signers.contains_key(&sighting.signer()) {
            signers.retain(|signer, _| set.weight_of(signer) > 0);
        }
        let signer = signers.entry(sighting.signer()).or_default();
        if signer
            .newest
            .is_some_and(|one| one.rank() >= sighting.rank())
        {
            return;
        }
        if !signer.unchecked.contains(&sighting) {
            signer.unchecked.push(sighting);
        }
        if signer.unchecked.len() >= UNCHECKED_MAX {
            signer.check(domain);
        }
    }

    /// The newest message that this validator has signed, as far as this node has seen.
    pub(crate) fn of(&self, signer: &L1Address, domain: &Domain) -> Option<Sighting> {
        let mut signers = self.signers();
        let signer = signers.get_mut(signer)?;
        signer.check(domain);
        signer.newest
    }
}

#[cfg(test)]
mod tests {
    use protocol::vote::Vote;

    use super::*;
    use crate::fixture::{domain, seat_key, set_of_four};

    fn vote(height: u64, round: u32, step: Step, seat: u8) -> Sighting {
        let vote = Vote {
            height: Height(height),
            round: Round(round),
            step,
            block: None,
        };
        Sighting::Vote(vote.sign(&domain(), &seat_key(seat)))
    }

    fn forged(height: u64, seat: u8) -> Sighting {
        let Sighting::Vote(mut signed) = vote(height, 0, Step::Prevote, seat) else {
            unreachable!("it is one");
        };
        signed.signature.0[3] ^= 1;
        Sighting::Vote(signed)
    }

    #[test]
    fn the_newest_signature_of_each_validator_is_shown() {
        let sightings = Sightings::default();
        let of = |seat: u8| sightings.of(&seat_key(seat).address(), &domain());
        assert_eq!(of(1), None);
        let newest = vote(3, 2, Step::Precommit, 1);
        for one in [
            vote(3, 2, Step::Prevote, 1),
            newest,
            vote(3, 1, Step::Precommit, 1),
            vote(2, 9, Step::Precommit, 1),
            vote(9, 0, Step::Prevote, 2),
        ] {
            sightings.take(one, &domain(), &set_of_four());
        }
        assert_eq!(of(1), Some(newest));
        sightings.take(vote(3, 2, Step::Prevote, 1), &domain(), &set_of_four());
        assert_eq!(of(1), Some(newest), "an older one");
        assert_eq!(of(2).map(|one| one.height()), Some(Height(9)));
        assert_eq!(of(3), None);
    }

    #[test]
    fn forged_messages_take_no_place_however_many_and_however_high() {
        let sightings = Sightings::default();
        let real = vote(3, 0, Step::Prevote, 1);
        let (mut high, set) = (100, set_of_four());
        for round in 0..4 * UNCHECKED_MAX {
            if round == 5 {
                sightings.take(real, &domain(), &set);
            }
            high += 1;
            sightings.take(forged(high, 1), &domain(), &set);
        }
        assert_eq!(sightings.of(&seat_key(1).address(), &domain()), Some(real));
        let stranger = protocol::validator::ValidatorKey::from_bytes(&[99; 32]).unwrap();
        let vote = Vote {
            height: Height(3),
            round: Round(0),
            step: Step::Prevote,
            block: None,
        };
        let foreign = Sighting::Vote(vote.sign(&domain(), &stranger));
        sightings.take(foreign, &domain(), &set);
        assert_eq!(sightings.of(&stranger.address(), &domain()), None);
    }
}
