//! Evidence convicts the guilty and nobody else.

use super::*;
use crate::{
    Fr,
    block::{Block, Entry},
    checkpoint::BatchCommitment,
    number::{Amount, BatchNumber, Epoch, LeafIndex, Nonce},
    preconfirmation::Preconfirmation,
    testing::{World, amount, leaf, secret_key},
    transaction::{Action, SignedTransaction, Submission, Transaction, TransactionId},
    validator::{Validator, ValidatorKey},
    vote::{Extension, Proposal, ProposalKind, Vote},
};

const HEIGHT: Height = Height(7);
const A: BlockId = BlockId([0xa; 32]);
const B: BlockId = BlockId([0xb; 32]);

fn domain() -> Domain {
    Domain(Fr::from(1_u64))
}

fn key(seed: u8) -> ValidatorKey {
    ValidatorKey::from_bytes(&[seed; 32]).unwrap()
}

fn set() -> ValidatorSet {
    let seats = (1..=4).map(|seed| Validator {
        address: key(seed).address(),
        weight: 1,
    });
    ValidatorSet::new(seats.collect()).unwrap()
}

fn vote(seed: u8, round: u32, step: Step, block: Option<BlockId>) -> SignedVote {
    let vote = Vote {
        height: HEIGHT,
        round: Round(round),
        step,
        block,
    };
    vote.sign(&domain(), &key(seed))
}

fn proposal(round: u32, pol: Option<u32>, block: BlockId, kind: ProposalKind) -> SignedProposal {
    let proposal = Proposal {
        height: HEIGHT,
        round: Round(round),
        pol_round: pol.map(Round),
        block,
    };
    proposal.sign(kind, &domain(), &key(1))
}

fn judge(evidence: &Evidence) -> Result<Offence, EvidenceError> {
    evidence.verify(&domain(), &set()).map(|finding| {
        assert_eq!(finding.offender, key(1).address());
        assert_eq!(finding.height, HEIGHT);
        finding.offence
    })
}

#[test]
fn two_votes_in_one_step_convict() {
    for step in [Step::Prevote, Step::Precommit] {
        for other in [Some(B), None] {
            let pair = Evidence::DoubleVote(vote(1, 0, step, Some(A)), vote(1, 0, step, other));
            assert_eq!(judge(&pair), Ok(Offence::DoubleVote));
        }
    }
}

#[test]
fn honest_votes_do_not() {
    let base = vote(1, 0, Step::Prevote, Some(A));
    let pairs = [
        (base, EvidenceError::Same),
        (
            vote(1, 1, Step::Prevote, Some(B)),
            EvidenceError::Unrelated("height, round or step"),
        ),
        (
            vote(1, 0, Step::Precommit, None),
            EvidenceError::Unrelated("height, round or step"),
        ),
        (
            vote(2, 0, Step::Prevote, Some(B)),
            EvidenceError::Unrelated("signers"),
        ),
    ];
    for (other, expected) in pairs {
        assert_eq!(judge(&Evidence::DoubleVote(base, other)), Err(expected));
    }
    // somebody else signed in the accused's name
    let forged = SignedVote {
        validator: key(1).address(),
        ..vote(2, 0, Step::Prevote, Some(B))
    };
    assert_eq!(
        judge(&Evidence::DoubleVote(base, forged)),
        Err(EvidenceError::Signature(key(1).address()))
    );
    let strangers = Evidence::DoubleVote(
        vote(9, 0, Step::Prevote, Some(A)),
        vote(9, 0, Step::Prevote, Some(B)),
    );
    assert_eq!(
        strangers.verify(&domain(), &set()),
        Err(EvidenceError::Stranger(key(9).address()))
    );
    let elsewhere = Domain(Fr::from(2_u64));
    let pair = Evidence::DoubleVote(base, vote(1, 0, Step::Prevote, Some(B)));
    assert!(pair.verify(&elsewhere, &set()).is_err());
}

#[test]
fn two_choices_for_one_round_convict_in_either_kind() {
    use ProposalKind::{Init, Proposal};
    for (one, other) in [(Proposal, Proposal), (Init, Init), (Proposal, Init)] {
        let pair = Evidence::DoubleProposal(proposal(0, None, A, one), proposal(0, None, B, other));
        assert_eq!(judge(&pair), Ok(Offence::DoubleProposal));
    }
    let pol = Evidence::DoubleProposal(
        proposal(2, None, A, Proposal),
        proposal(2, Some(1), A, Proposal),
    );
    assert_eq!(judge(&pol), Ok(Offence::DoubleProposal));
    // the proposal and the Init of one choice belong together
    let honest =
        Evidence::DoubleProposal(proposal(0, None, A, Proposal), proposal(0, None, A, Init));
    assert_eq!(judge(&honest), Err(EvidenceError::Same));
    let later = Evidence::DoubleProposal(proposal(0, None, A, Init), proposal(1, None, B, Init));
    assert!(matches!(judge(&later), Err(EvidenceError::Unrelated(_))));
}

#[test]
fn two_extensions_of_one_precommit_convict() {
    let signed = |time_ms: u64| {
        let extension = Extension {
            time_ms,
            ..Extension::default()
        };
        let content = crate::hash::keccak256(&crate::codec::to_bytes(&extension));
        let digest = extension.digest(&domain(), HEIGHT, Round(0), A);
        (content, key(1).sign(&digest))
    };
    let pair = |first, second, block| Evidence::DoubleExtension {
        height: HEIGHT,
        round: Round(0),
        block,
        validator: key(1).address(),
        first,
        second,
    };
    assert_eq!(
        judge(&pair(signed(1), signed(2), A)),
        Ok(Offence::DoubleExtension)
    );
    assert_eq!(
        judge(&pair(signed(1), signed(1), A)),
        Err(EvidenceError::Same)
    );
    assert!(matches!(
        judge(&pair(signed(1), signed(2), B)),
        Err(EvidenceError::Signature(_))
    ));
}

#[test]
fn a_lock_challenge_stands_until_a_polka_answers_it() {
    let challenge = Evidence::LockChallenge {
        precommit: vote(1, 1, Step::Precommit, Some(A)),
        prevote: vote(1, 4, Step::Prevote, Some(B)),
    };
    assert_eq!(judge(&challenge), Ok(Offence::BrokenLock));
    let answers = |votes: &[SignedVote]| challenge.is_answered_by(votes, &domain(), &set());
    let polka = |round: u32, block: BlockId, seeds: &[u8]| -> Vec<SignedVote> {
        let prevote = |seed: &u8| vote(*seed, round, Step::Prevote, Some(block));
        seeds.iter().map(prevote).collect()
    };
    assert!(answers(&polka(1, B, &[2, 3, 4])));
    assert!(answers(&polka(3, B, &[1, 2, 3, 4])));
    assert!(!answers(&polka(0, B, &[2, 3, 4])), "before the lock");
    assert!(!answers(&polka(4, B, &[2, 3, 4])), "not before the vote");
    assert!(!answers(&polka(2, A, &[2, 3, 4])), "for another block");
    assert!(!answers(&polka(2, B, &[2, 3])), "no quorum");
    assert!(!answers(&polka(2, B, &[2, 3, 3])), "one voter twice");
    let mixed = [polka(2, B, &[2, 3]), polka(3, B, &[4])].concat();
    assert!(!answers(&mixed), "of two rounds");
    let mut forged = polka(2, B, &[2, 3, 4]);
    forged[0].validator = key(1).address();
    assert!(!answers(&forged));
    assert!(!answers(&[]));
}

#[test]
fn keeping_a_lock_is_no_offence() {
    let lock = vote(1, 1, Step::Precommit, Some(A));
    for prevote in [
        vote(1, 2, Step::Prevote, Some(A)),
        vote(1, 2, Step::Prevote, None),
        vote(1, 1, Step::Prevote, Some(B)),
        vote(1, 0, Step::Prevote, Some(B)),
        vote(2, 2, Step::Prevote, Some(B)),
    ] {
        let challenge = Evidence::LockChallenge {
            precommit: lock,
            prevote,
        };
        assert!(judge(&challenge).is_err(), "{prevote:?}");
    }
    let nil = Evidence::LockChallenge {
        precommit: vote(1, 1, Step::Precommit, None),
        prevote: vote(1, 2, Step::Prevote, Some(B)),
    };
    assert!(judge(&nil).is_err());
}

fn commitment(batch: u64, root_before: u64, root_after: u64, height: Height) -> BatchCommitment {
    BatchCommitment {
        batch_number: BatchNumber(batch),
        root_before: Fr::from(root_before),
        root_after: Fr::from(root_after),
        counters_before: Fr::from(0_u64),
        counters_after: Fr::from(0_u64),
        h: Fr::from(0_u64),
        signed_operations: 0,
        epoch: Epoch(0),
        next_set_hash: [0; 32],
        l1_origin_time: 0,
        circuit_version: 1,
        ops_hash: [0; 32],
        withdrawals_hash: [0; 32],
        inbox_hash: [0; 32],
        last_height: height,
        last_block: A,
    }
}

#[test]
fn two_commitments_to_one_batch_from_one_root_convict() {
    let signed = |seed: u8, one: BatchCommitment| Box::new(one.sign(&domain(), &key(seed)));
    let first = signed(1, commitment(3, 5, 6, HEIGHT));
    let pair = |second| Evidence::DoubleCheckpoint(first.clone(), second);
    assert_eq!(
        judge(&pair(signed(1, commitment(3, 5, 7, HEIGHT)))),
        Ok(Offence::DoubleCheckpoint)
    );
    let longer = commitment(3, 5, 6, Height(HEIGHT.0 + 1));
    assert_eq!(
        judge(&pair(signed(1, longer.clone()))),
        Ok(Offence::DoubleCheckpoint)
    );
    let swapped = Evidence::DoubleCheckpoint(signed(1, longer), first.clone());
    assert_eq!(
        swapped.height(),
        HEIGHT,
        "the lower height, in either order"
    );
    assert_eq!(judge(&pair(first.clone())), Err(EvidenceError::Same));
    for other in [
        signed(1, commitment(4, 5, 7, HEIGHT)),
        signed(1, commitment(3, 4, 7, HEIGHT)),
        signed(2, commitment(3, 5, 7, HEIGHT)),
    ] {
        assert!(matches!(
            judge(&pair(other)),
            Err(EvidenceError::Unrelated(_))
        ));
    }
    let mut forged = signed(2, commitment(3, 5, 7, HEIGHT));
    forged.validator = key(1).address();
    assert_eq!(
        judge(&pair(forged)),
        Err(EvidenceError::Signature(key(1).address()))
    );
}

#[test]
fn two_promises_that_no_block_keeps_convict() {
    let promise = |height: Height, place: u32, transaction: u8| {
        let promise = Preconfirmation {
            height,
            place,
            transaction: TransactionId([transaction; 32]),
        };
        promise.sign(&domain(), &key(1))
    };
    let first = promise(HEIGHT, 2, 1);
    let pair = |second| Evidence::DoublePreconfirmation(first, second);
    for second in [promise(HEIGHT, 2, 9), promise(HEIGHT, 3, 1)] {
        assert_eq!(judge(&pair(second)), Ok(Offence::DoublePreconfirmation));
    }
    assert_eq!(judge(&pair(first)), Err(EvidenceError::Same));
    for honest in [promise(HEIGHT, 3, 9), promise(Height(8), 2, 9)] {
        assert!(matches!(
            judge(&pair(honest)),
            Err(EvidenceError::Unrelated(_))
        ));
    }
    let forged = SignedPreconfirmation {
        signature: promise(HEIGHT, 4, 4).signature,
        ..promise(HEIGHT, 2, 9)
    };
    assert!(matches!(
        judge(&pair(forged)),
        Err(EvidenceError::Signature(_))
    ));
}

/// A world, and a block of the next height's proposer with two payments of leaf 1.
fn promised_block() -> (World, ValidatorKey, Block, Vec<TransactionId>) {
    let leaves = (0..4).map(|number| leaf(number, 0, 1_000_000_000));
    let world = World::new(leaves.collect(), 4);
    let submission = |nonce| {
        let transaction = Transaction {
            from: LeafIndex(1),
            nonce: Nonce(nonce),
            valid_until: Height(100),
            fee: Amount::ZERO,
            action: Action::Transfer {
                to: LeafIndex(2),
                amount: amount(10),
            },
        };
        let key = secret_key(1);
        Submission::Single(SignedTransaction {
            transaction,
            key: key.public(),
            signature: key.sign(&transaction.message(&world.domain, false)),
        })
    };
    let submissions = [submission(0), submission(1)];
    let ids = submissions.iter().flat_map(|one| one.ids(&world.domain));
    let ids = ids.collect();
    let entries = submissions.map(|submission| Entry::Submission {
        submission,
        fee_leaves: vec![0],
    });
    let block = world.plain_block(vec![], entries.to_vec());
    let author = block.header.core.author;
    let key = world.validators.iter().find(|key| key.address() == author);
    let key = key.unwrap().clone();
    (world, key, block, ids)
}

#[test]
fn a_promise_that_its_makers_own_block_does_not_keep_convicts() {
    let (world, key, block, ids) = promised_block();
    let core = &block.header.core;
    let promise = |place: u32, transaction: TransactionId| {
        Preconfirmation {
            height: core.height,
            place,
            transaction,
        }
        .sign(&world.domain, &key)
    };
    let proposal = |round: u32, pol_round: Option<u32>| {
        Proposal {
            height: core.height,
            round: Round(round),
            pol_round: pol_round.map(Round),
            block: block.id(),
        }
        .sign(ProposalKind::Init, &world.domain, &key)
    };
    let broken = |promise, proposal| BrokenPreconfirmation {
        promise,
        proposal,
        core: core.clone(),
        bid: None,
        payload: block.payload.clone(),
    };
    let judge = |broken: BrokenPreconfirmation| {
        let evidence = Evidence::BrokenPreconfirmation(Box::new(broken));
        let finding = evidence.verify(&world.domain, &world.genesis.validators);
        finding.map(|finding| {
            assert_eq!(
                (finding.offender, finding.height),
                (key.address(), core.height)
            );
            finding.offence
        })
    };
    let guilty = Ok(Offence::BrokenPreconfirmation);
    let own = proposal(0, None);
    let kept = broken(promise(1, ids[1]), own);
    assert_eq!(judge(kept.clone()), Err(EvidenceError::Same));
    for (place, id) in [(0, ids[1]), (2, ids[0]), (u32::MAX, ids[0])] {
        assert_eq!(judge(broken(promise(place, id), own)), guilty);
    }
    // what it proposes again, or what others proposed in its name, is not its own choice
    for other in [
        proposal(1, None),
        proposal(1, Some(0)),
        proposal(0, Some(0)),
    ] {
        let again = judge(broken(promise(0, ids[1]), other));
        assert!(matches!(again, Err(EvidenceError::Unrelated(_))));
    }
    let good = broken(promise(0, ids[1]), own);
    let alter: [fn(&mut BrokenPreconfirmation); 3] = [
        |one| one.payload.entries.clear(),
        |one| one.core.timestamp_ms += 1,
        |one| one.core.author.0[0] ^= 1,
    ];
    for alter in alter {
        let mut other = good.clone();
        alter(&mut other);
        assert!(matches!(judge(other), Err(EvidenceError::Unrelated(_))));
    }
    let alter: [fn(&mut BrokenPreconfirmation); 3] = [
        |one| one.promise.preconfirmation.place += 5,
        |one| one.proposal.proposal.height.0 += 1,
        |one| one.proposal.proposer.0[0] ^= 1,
    ];
    for alter in alter {
        let mut forged = good.clone();
        alter(&mut forged);
        assert!(matches!(judge(forged), Err(EvidenceError::Signature(_))));
    }
}
