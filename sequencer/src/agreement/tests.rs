//! What is signed through the engine's context is what `protocol` signs, and nothing else passes.

use arc_malachitebft_core_types::{
    self as engine, CertificateError, CommitCertificate, Context, Height as _, NilOrVal,
    PolkaCertificate, Round, RoundCertificate, RoundCertificateType, SigningScheme,
    ThresholdParams, Validator as _, ValidatorSet as _, Vote as _, VoteExtensionScope,
    VoteExtensions, VoteType,
};
use protocol::{
    block::BlockId,
    number::Height,
    transaction::Domain,
    validator::{Validator, ValidatorKey, ValidatorSet},
    vote::{Extension, Proposal, ProposalKind, SignedProposal, SignedVote, Step, Vote},
};

use super::*;

const BLOCK: BlockId = BlockId([4; 32]);
const HEIGHT: EngineHeight = EngineHeight(Height(3));

fn agreement() -> Agreement {
    let domain = Domain(protocol::Fr::from(9_u64));
    Agreement { domain }
}

fn keys() -> Vec<ValidatorKey> {
    let mut keys: Vec<_> = (1..=4)
        .map(|seed| ValidatorKey::from_bytes(&[seed; 32]).unwrap())
        .collect();
    keys.sort_by_key(ValidatorKey::address);
    keys
}

fn seats(weights: [u64; 4]) -> Seats {
    let validators = keys()
        .into_iter()
        .zip(weights)
        .map(|(key, weight)| Validator {
            address: key.address(),
            weight,
        });
    ValidatorSet::new(validators.collect()).unwrap().into()
}

fn vote(step: Step, block: Option<BlockId>) -> Vote {
    Vote {
        height: HEIGHT.0,
        round: protocol::number::Round(1),
        step,
        block,
    }
}

fn signed(step: Step, block: Option<BlockId>, key: &ValidatorKey) -> SignedVote {
    vote(step, block).sign(&agreement().domain, key)
}

fn engine_votes(step: Step, signers: &[usize]) -> Vec<engine::SignedVote<Agreement>> {
    let keys = keys();
    let votes = signers
        .iter()
        .map(|seat| signed(step, Some(BLOCK), &keys[*seat]));
    votes.map(|vote| Agreement::to_engine_vote(&vote)).collect()
}

#[test]
fn votes_are_signed_over_the_protocols_digest_and_come_back() {
    let (agreement, key) = (agreement(), &keys()[2]);
    for step in [Step::Prevote, Step::Precommit] {
        for block in [None, Some(BLOCK)] {
            let ours = signed(step, block, key);
            let theirs = Agreement::to_engine_vote(&ours);
            let digest = agreement.vote_digest(&theirs.message);
            assert_eq!(digest, Some(ours.vote.digest(&agreement.domain)));
            assert!(agreement.is_vote_by(&theirs, &key.address()));
            assert!(!agreement.is_vote_by(&theirs, &keys()[1].address()));
            assert_eq!(Agreement::to_protocol_vote(&theirs), Some(ours));
            let block = block.map_or(NilOrVal::Nil, NilOrVal::Val);
            let address = SeatAddress(key.address());
            let made = match step {
                Step::Prevote => agreement.new_prevote(HEIGHT, Round::new(1), block, address),
                Step::Precommit => agreement.new_precommit(HEIGHT, Round::new(1), block, address),
            };
            assert_eq!(made, theirs.message);
        }
    }
}

#[test]
fn proposals_are_signed_over_the_protocols_digest_and_come_back() {
    let (agreement, key) = (agreement(), &keys()[0]);
    for pol_round in [None, Some(protocol::number::Round(0))] {
        let proposal = Proposal {
            height: HEIGHT.0,
            round: protocol::number::Round(1),
            pol_round,
            block: BLOCK,
        };
        let ours = proposal.sign(ProposalKind::Proposal, &agreement.domain, key);
        let theirs = Agreement::to_engine_proposal(&ours).unwrap();
        let digest = proposal.digest(ProposalKind::Proposal, &agreement.domain);
        assert_eq!(agreement.proposal_digest(&theirs.message), Some(digest));
        assert!(agreement.is_proposal_by(&theirs, &key.address()));
        assert!(!agreement.is_proposal_by(&theirs, &keys()[1].address()));
        assert_eq!(Agreement::to_protocol_proposal(&theirs), Some(ours));
        let pol = pol_round.map_or(Round::Nil, |round| Round::new(round.0));
        let address = SeatAddress(key.address());
        let made = agreement.new_proposal(HEIGHT, Round::new(1), BlockValue(BLOCK), pol, address);
        assert_eq!(made, theirs.message);
        let init = SignedProposal {
            kind: ProposalKind::Init,
            ..ours
        };
        assert_eq!(Agreement::to_engine_proposal(&init), None);
    }
}

#[test]
fn nothing_of_the_nil_round_has_a_digest() {
    let (agreement, key) = (agreement(), &keys()[0]);
    let address = SeatAddress(key.address());
    let prevote = agreement.new_prevote(HEIGHT, Round::Nil, NilOrVal::Nil, address);
    assert_eq!(agreement.vote_digest(&prevote), None);
    let signature = key.sign(&[0; 32]);
    let prevote = engine::SignedVote::new(prevote, signature);
    assert!(!agreement.is_vote_by(&prevote, &key.address()));
    assert_eq!(Agreement::to_protocol_vote(&prevote), None);
    let proposal =
        agreement.new_proposal(HEIGHT, Round::Nil, BlockValue(BLOCK), Round::Nil, address);
    assert_eq!(agreement.proposal_digest(&proposal), None);
}

fn extended(key: &ValidatorKey, time_ms: u64) -> engine::SignedExtension<Agreement> {
    let extension = VoteExtension(Extension {
        time_ms,
        ..Extension::default()
    });
    let digest = agreement().extension_digest(&scope(key), &extension);
    engine::SignedExtension::new(extension, key.sign(&digest.unwrap()))
}

fn scope(key: &ValidatorKey) -> VoteExtensionScope<Agreement> {
    VoteExtensionScope::new(HEIGHT, Round::new(1), BLOCK, SeatAddress(key.address()))
}

#[test]
fn extensions_are_bound_to_their_precommit_and_bounded() {
    let (agreement, keys) = (agreement(), keys());
    let good = extended(&keys[0], 7);
    let round = protocol::number::Round(1);
    let digest = good
        .message
        .0
        .digest(&agreement.domain, HEIGHT.0, round, BLOCK);
    assert!(good.signature.is_by(&keys[0].address(), &digest));
    assert!(agreement.is_extension_valid(&scope(&keys[0]), &good));
    assert!(!agreement.is_extension_valid(&scope(&keys[1]), &good));
    let elsewhere = VoteExtensionScope {
        value_id: BlockId([5; 32]),
        ..scope(&keys[0])
    };
    assert!(!agreement.is_extension_valid(&elsewhere, &good));
    let mut long = good.message.clone();
    long.0.hashes = vec![protocol::transaction::ListHash([0; 32]); 97];
    let digest = agreement.extension_digest(&scope(&keys[0]), &long).unwrap();
    let long = engine::SignedExtension::new(long, keys[0].sign(&digest));
    assert!(!agreement.is_extension_valid(&scope(&keys[0]), &long));
}

#[test]
fn certificates_come_back_and_verify_in_both_worlds() {
    let (agreement, keys, seats) = (agreement(), keys(), seats([1; 4]));
    let votes: Vec<_> = engine_votes(Step::Precommit, &[3, 0, 2])
        .into_iter()
        .zip([3, 0, 2])
        .map(|(vote, seat)| {
            let extension = extended(&keys[seat], seat as u64);
            engine::SignedVote::new(vote.message.extend(extension), vote.signature)
        })
        .collect();
    let extensions = votes.iter().map(|vote| {
        let extension = vote.message.extension().unwrap().clone();
        (*vote.message.validator_address(), extension)
    });
    let extensions = VoteExtensions::new(extensions.collect());
    let certificate = CommitCertificate::new(HEIGHT, Round::new(1), BLOCK, votes);
    let ours = Agreement::to_protocol_certificate(&certificate, &extensions).unwrap();
    assert_eq!(ours.verify(&agreement.domain, seats.set()), Ok(()));
    let commit = Agreement::to_protocol_commit(&certificate).unwrap();
    assert_eq!(commit, ours.to_commit());
    let theirs = Agreement::to_engine_certificate(&ours);
    let thresholds = ThresholdParams::default();
    assert_eq!(
        agreement.verify_extended_commit(&theirs, &seats, thresholds),
        Ok(())
    );
    let mut forged = theirs.clone();
    forged.commit_signatures[1]
        .extension
        .as_mut()
        .unwrap()
        .message
        .0
        .time_ms = 99;
    assert!(matches!(
        agreement.verify_extended_commit(&forged, &seats, thresholds),
        Err(CertificateError::InvalidVoteExtension(_))
    ));
    let mut bare = theirs;
    bare.commit_signatures[0].extension = None;
    assert!(matches!(
        agreement.verify_extended_commit(&bare, &seats, thresholds),
        Err(CertificateError::MissingVoteExtension(_))
    ));
}

#[test]
fn certificates_with_strangers_doubles_forgeries_or_little_weight_are_refused() {
    let (agreement, seats, thresholds) = (agreement(), seats([1; 4]), ThresholdParams::default());
    let polka = |signers: &[usize]| {
        let votes = engine_votes(Step::Prevote, signers);
        PolkaCertificate::<Agreement>::new(HEIGHT, Round::new(1), BLOCK, votes)
    };
    let verify =
        |polka: &PolkaCertificate<Agreement>| agreement.verify_polka(polka, &seats, thresholds);
    assert_eq!(verify(&polka(&[0, 1, 2])), Ok(()));
    assert!(matches!(
        verify(&polka(&[0, 1])),
        Err(CertificateError::NotEnoughVotingPower { .. })
    ));
    assert!(matches!(
        verify(&polka(&[0, 1, 1])),
        Err(CertificateError::DuplicateVote(_))
    ));
    let mut forged = polka(&[0, 1, 2]);
    forged.polka_signatures[1].signature = forged.polka_signatures[0].signature;
    assert!(matches!(
        verify(&forged),
        Err(CertificateError::InvalidPolkaSignature(_))
    ));
    let mut strange = polka(&[0, 1, 2]);
    strange.polka_signatures[1].address = SeatAddress(protocol::account::L1Address([1; 20]));
    assert!(matches!(
        verify(&strange),
        Err(CertificateError::UnknownValidator(_))
    ));
    // what is a quorum of prevotes is none of precommits
    let round = |step, kind, signers: &[usize]| {
        let votes = engine_votes(step, signers);
        let certificate = RoundCertificate::new_from_votes(HEIGHT, Round::new(1), kind, votes);
        agreement.verify_round(&certificate, &seats, thresholds)
    };
    assert_eq!(
        round(Step::Precommit, RoundCertificateType::Precommit, &[0, 1, 2]),
        Ok(())
    );
    assert!(round(Step::Precommit, RoundCertificateType::Precommit, &[0, 1]).is_err());
    assert!(round(Step::Prevote, RoundCertificateType::Precommit, &[0, 1, 2]).is_err());
    assert_eq!(
        round(Step::Prevote, RoundCertificateType::Skip, &[0, 1]),
        Ok(())
    );
    assert!(round(Step::Prevote, RoundCertificateType::Skip, &[0]).is_err());
    let votes = engine_votes(Step::Precommit, &[0, 1, 2]);
    let mut commit = CommitCertificate::new(HEIGHT, Round::new(1), BLOCK, votes);
    assert_eq!(agreement.verify_commit(&commit, &seats, thresholds), Ok(()));
    commit.round = Round::new(2);
    assert!(
        agreement
            .verify_commit(&commit, &seats, thresholds)
            .is_err()
    );
    commit.round = Round::Nil;
    assert!(
        agreement
            .verify_commit(&commit, &seats, thresholds)
            .is_err()
    );
}

#[test]
fn seats_and_proposers_are_the_sets() {
    let (agreement, seats) = (agreement(), seats([4, 3, 2, 2]));
    assert_eq!((seats.count(), seats.total_voting_power()), (4, 11));
    for (place, validator) in seats.set().validators().iter().enumerate() {
        let seat = seats.get_by_index(place).unwrap();
        assert_eq!(seat.address().0, validator.address);
        assert_eq!(*seat.public_key(), validator.address);
        assert_eq!(seat.voting_power(), validator.weight);
        assert_eq!(seats.get_by_address(seat.address()), Some(seat));
    }
    for height in 1..50 {
        for round in 0..4 {
            let proposer = seats
                .set()
                .proposer(Height(height), protocol::number::Round(round));
            let height = EngineHeight(Height(height));
            let seat = agreement.select_proposer(&seats, height, Round::new(round));
            assert_eq!(seat.address().0, *proposer);
        }
    }
    // the engine compares three times the weight: the largest set must not overflow it
    let half = protocol::validator::TOTAL_WEIGHT_MAX / 2;
    let heavy = keys().into_iter().take(2).map(|key| Validator {
        address: key.address(),
        weight: half,
    });
    let heavy: Seats = ValidatorSet::new(heavy.collect()).unwrap().into();
    let total = heavy.total_voting_power();
    assert!(ThresholdParams::default().quorum.is_met(total, total));
}

#[test]
fn heights_signatures_and_addresses_have_one_encoding() {
    assert_eq!(EngineHeight::ZERO, EngineHeight::default());
    assert_eq!(HEIGHT.increment().as_u64(), 4);
    assert_eq!(EngineHeight::ZERO.decrement(), None);
    let key = &keys()[0];
    let signature = key.sign(&[1; 32]);
    let bytes = Secp256k1::encode_signature(&signature);
    assert_eq!(Secp256k1::decode_signature(&bytes), Ok(signature));
    assert!(Secp256k1::decode_signature(&bytes[1..]).is_err());
    let bytes = Secp256k1::encode_public_key(&key.address());
    assert_eq!(Secp256k1::decode_public_key(&bytes), Ok(key.address()));
    assert!(Secp256k1::decode_public_key(&[0; 32]).is_err());
    let vote = agreement().new_prevote(
        HEIGHT,
        Round::new(0),
        NilOrVal::Nil,
        SeatAddress(key.address()),
    );
    assert_eq!(vote.vote_type(), VoteType::Prevote);
}
