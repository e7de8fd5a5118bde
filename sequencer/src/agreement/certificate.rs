//! Certificates that the engine asks us to judge: one vote per signer, each signed, enough weight.

use std::collections::BTreeSet;

use arc_malachitebft_core_types::{
    CertificateError, CommitCertificate, CommitSignature, Context, ExtendedCommitCertificate,
    NilOrVal, PolkaCertificate, PolkaSignature, RoundCertificate, RoundCertificateType,
    RoundSignature, SignedVote, ThresholdParam, ThresholdParams, Validator, ValidatorSet,
    VoteExtensionScope, VoteType, VotingPower,
};

use super::{
    Agreement,
    seats::{SeatAddress, Seats},
};

type Refusal = CertificateError<Agreement>;

/// Weight of these signers, each once and in the set.
fn weigh<'a>(
    signers: impl Iterator<Item = &'a SeatAddress>,
    seats: &Seats,
) -> Result<VotingPower, Refusal> {
    let mut seen = BTreeSet::new();
    let mut signed: VotingPower = 0;
    for signer in signers {
        let seat = seats
            .get_by_address(signer)
            .ok_or(Refusal::UnknownValidator(*signer))?;
        if !seen.insert(signer) {
            return Err(Refusal::DuplicateVote(*signer));
        }
        let added = seat.voting_power();
        signed = signed
            .checked_add(added)
            .ok_or(Refusal::VotingPowerOverflow { signed, added })?;
    }
    Ok(signed)
}

fn enough(signed: VotingPower, seats: &Seats, threshold: ThresholdParam) -> Result<(), Refusal> {
    let total = seats.total_voting_power();
    if threshold.is_met(signed, total) {
        return Ok(());
    }
    Err(Refusal::NotEnoughVotingPower {
        signed,
        total,
        expected: threshold.min_expected(total),
    })
}

impl Agreement {
    /// Judges a commit certificate.
    ///
    /// # Errors
    /// The first thing that is wrong; cheap checks come before signatures.
    pub fn verify_commit(
        &self,
        certificate: &CommitCertificate<Self>,
        seats: &Seats,
        thresholds: ThresholdParams,
    ) -> Result<(), Refusal> {
        let signatures = &certificate.commit_signatures;
        let signed = weigh(signatures.iter().map(|one| &one.address), seats)?;
        enough(signed, seats, thresholds.quorum)?;
        for one in signatures {
            let CommitSignature { address, signature } = one;
            let block = NilOrVal::Val(certificate.value_id);
            let vote = self.new_precommit(certificate.height, certificate.round, block, *address);
            if !self.is_vote_by(&SignedVote::new(vote, *signature), &address.0) {
                return Err(Refusal::InvalidCommitSignature(one.clone()));
            }
        }
        Ok(())
    }

    /// Judges a commit certificate in which every signer has a valid extension.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_extended_commit(
        &self,
        certificate: &ExtendedCommitCertificate<Self>,
        seats: &Seats,
        thresholds: ThresholdParams,
    ) -> Result<(), Refusal> {
        self.verify_commit(&certificate.trim_vote_extensions(), seats, thresholds)?;
        for one in &certificate.commit_signatures {
            let Some(extension) = &one.extension else {
                return Err(Refusal::MissingVoteExtension(one.address));
            };
            let scope = VoteExtensionScope {
                height: certificate.height,
                round: certificate.round,
                value_id: certificate.value_id,
                validator_address: one.address,
            };
            if !self.is_extension_valid(&scope, extension) {
                return Err(Refusal::InvalidVoteExtension(one.address));
            }
        }
        Ok(())
    }

    /// Judges a polka: prevotes of a quorum for one block in one round.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_polka(
        &self,
        certificate: &PolkaCertificate<Self>,
        seats: &Seats,
        thresholds: ThresholdParams,
    ) -> Result<(), Refusal> {
        let signatures = &certificate.polka_signatures;
        let signed = weigh(signatures.iter().map(|one| &one.address), seats)?;
        enough(signed, seats, thresholds.quorum)?;
        for one in signatures {
            let PolkaSignature { address, signature } = one;
            let block = NilOrVal::Val(certificate.value_id);
            let vote = self.new_prevote(certificate.height, certificate.round, block, *address);
            if !self.is_vote_by(&SignedVote::new(vote, *signature), &address.0) {
                return Err(Refusal::InvalidPolkaSignature(one.clone()));
            }
        }
        Ok(())
    }

    /// Judges what lets a validator leave a round: precommits of a quorum, or any votes of more than a third in a
    /// later one.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_round(
        &self,
        certificate: &RoundCertificate<Self>,
        seats: &Seats,
        thresholds: ThresholdParams,
    ) -> Result<(), Refusal> {
        let signatures = &certificate.round_signatures;
        let signed = weigh(signatures.iter().map(|one| &one.address), seats)?;
        let threshold = match certificate.cert_type {
            RoundCertificateType::Precommit => thresholds.quorum,
            RoundCertificateType::Skip => thresholds.honest,
        };
        enough(signed, seats, threshold)?;
        for one in signatures {
            let RoundSignature {
                vote_type,
                value_id,
                address,
                signature,
            } = one;
            let (height, round) = (certificate.height, certificate.round);
            let vote = match vote_type {
                VoteType::Precommit => self.new_precommit(height, round, *value_id, *address),
                VoteType::Prevote if certificate.cert_type == RoundCertificateType::Precommit => {
                    return Err(Refusal::InvalidVoteType(*address));
                }
                VoteType::Prevote => self.new_prevote(height, round, *value_id, *address),
            };
            if !self.is_vote_by(&SignedVote::new(vote, *signature), &address.0) {
                return Err(Refusal::InvalidRoundSignature(one.clone()));
            }
        }
        Ok(())
    }
}
