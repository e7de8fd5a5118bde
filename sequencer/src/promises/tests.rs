//! Promises are made by the next proposer only, kept in its blocks, and never contradicted.

use protocol::{
    block::{Block, Entry},
    evidence::{BrokenPreconfirmation, Evidence, Offence},
    genesis::Genesis,
    number::Height,
    validity::Verdict,
    vote::{Proposal, ProposalKind},
};
use tempfile::TempDir;

use super::*;
use crate::{
    config::MempoolConfig,
    fixture::{Rig, domain, genesis, seat_key, set_of_four, sign, sign_group, transfer, validator},
};

fn rig() -> (Rig, TempDir, Promises) {
    let mut rig = Rig::new(MempoolConfig::default());
    rig.block();
    let dir = TempDir::new().unwrap();
    let promises = promises(&rig, &dir);
    (rig, dir, promises)
}

fn promises(rig: &Rig, dir: &TempDir) -> Promises {
    let guard = SigningGuard::open(&dir.path().join("guard"), validator(), domain()).unwrap();
    Promises::new(Arc::clone(&rig.executor), Arc::new(guard))
}

fn reason(refused: Result<SignedPreconfirmation, ApiError>) -> String {
    let error = refused.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotPreconfirmed, "{}", error.reason);
    error.reason
}

fn ids(block: &Block) -> Vec<TransactionId> {
    let entries = block.payload.entries.iter();
    let ids = entries.flat_map(|entry| match entry {
        Entry::Submission { submission, .. } => submission.ids(&domain()),
        Entry::BidBurn(_) => Vec::new(),
    });
    ids.collect()
}

#[test]
fn what_is_promised_stands_first_and_in_order() {
    let (rig, _dir, promises) = rig();
    let send = |from, nonce| rig.send_one(sign(transfer(from, 3, nonce, 10, 2))).unwrap();
    let (first, second, third) = (send(1, 0), send(2, 0), send(2, 1));
    let one = promises.preconfirm(second).unwrap();
    let other = promises.preconfirm(third).unwrap();
    for (signed, id, place) in [(&one, second, 0), (&other, third, 1)] {
        let promise = signed.preconfirmation;
        assert_eq!((promise.height, promise.place), (Height(2), place));
        assert_eq!(promise.transaction, id);
        assert_eq!(signed.proposer, validator().address());
        assert!(signed.is_authentic(&domain()));
    }
    assert_eq!(promises.preconfirm(second), Ok(one), "said again");
    assert!(rig.executor.has_promised(Height(2)));
    let judged = rig.propose();
    assert_eq!(ids(&judged.block), [second, third, first]);
    let verdict = rig.executor.judge(&judged.block).unwrap();
    assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
    rig.commit(judged);
    assert!(!rig.executor.has_promised(Height(3)));
}

#[test]
fn nothing_is_promised_once_the_block_is_built_until_the_next_height() {
    let (mut rig, _dir, promises) = rig();
    let id = rig.send_one(sign(transfer(1, 3, 0, 10, 2))).unwrap();
    let late = rig.send_one(sign(transfer(2, 3, 0, 10, 2))).unwrap();
    let signed = promises.preconfirm(id).unwrap();
    let built = rig.propose();
    assert!(reason(promises.preconfirm(late)).contains("is built"));
    assert_eq!(
        promises.preconfirm(id),
        Ok(signed),
        "what was promised stays"
    );
    // a block of a later round keeps it too
    assert_eq!(ids(&rig.propose().block)[0], id);
    rig.now_ms += 200;
    rig.commit(built);
    let next = rig.send_one(sign(transfer(2, 3, 1, 10, 2))).unwrap();
    assert_eq!(
        promises.preconfirm(next).unwrap().preconfirmation.height,
        Height(3)
    );
    rig.block();
}

#[test]
fn what_cannot_stand_in_the_next_block_is_not_promised() {
    let (rig, _dir, promises) = rig();
    let unknown = TransactionId([3; 32]);
    assert!(reason(promises.preconfirm(unknown)).contains("not pending"));
    let gap = rig.send_one(sign(transfer(1, 3, 1, 10, 2))).unwrap();
    assert!(reason(promises.preconfirm(gap)).contains("nonce"));
    let members = [transfer(2, 3, 0, 10, 2), transfer(3, 2, 0, 10, 2)];
    let group = rig.send(vec![sign_group(&members)]).remove(0).unwrap();
    assert!(reason(promises.preconfirm(group[0])).contains("group"));
    // with the nonce before it promised, it follows
    let before = rig.send_one(sign(transfer(1, 3, 0, 10, 2))).unwrap();
    assert_eq!(
        promises.preconfirm(before).unwrap().preconfirmation.place,
        0
    );
    assert_eq!(promises.preconfirm(gap).unwrap().preconfirmation.place, 1);
    assert_eq!(ids(&rig.propose().block)[..2], [before, gap]);
}

#[test]
fn promises_of_one_height_are_limited_and_cannot_be_replaced() {
    let (rig, _dir, promises) = rig();
    let max = crate::executor::PROMISES_MAX as u64;
    for nonce in 0..=max {
        let id = rig.send_one(sign(transfer(1, 3, nonce, 10, 2))).unwrap();
        let answer = promises.preconfirm(id);
        if nonce < max {
            answer.unwrap();
        } else {
            assert!(reason(answer).contains("promised at height 2 already"));
        }
    }
    let dearer = rig.send_one(sign(transfer(1, 2, 0, 10, 200)));
    assert_eq!(dearer.unwrap_err().code, ErrorCode::BeingOrdered);
}

#[test]
fn a_promise_outlives_a_crash_and_no_new_one_is_made_at_that_height() {
    let (rig, dir, promises) = rig();
    let first = rig.send_one(sign(transfer(1, 3, 0, 10, 2))).unwrap();
    let second = rig.send_one(sign(transfer(2, 3, 0, 10, 2))).unwrap();
    let signed = promises.preconfirm(second).unwrap();
    let data = Arc::clone(&rig.dir);
    drop((promises, rig));
    let rig = Rig::open(data, MempoolConfig::default(), Default::default()).unwrap();
    rig.executor.restore_promises().unwrap();
    let promises = self::promises(&rig, &dir);
    assert!(reason(promises.preconfirm(first)).contains("before a restart"));
    assert_eq!(promises.preconfirm(second), Ok(signed));
    assert_eq!(ids(&rig.propose().block), [second, first]);
}

#[test]
fn the_guard_signs_no_two_promises_that_conflict_even_if_the_database_forgot() {
    let (rig, dir, promises) = rig();
    let first = rig.send_one(sign(transfer(1, 3, 0, 10, 2))).unwrap();
    promises.preconfirm(first).unwrap();
    drop((promises, rig));
    // another database beside the same guard
    let mut rig = Rig::new(MempoolConfig::default());
    rig.block();
    let promises = self::promises(&rig, &dir);
    let other = rig.send_one(sign(transfer(2, 3, 0, 10, 2))).unwrap();
    assert!(reason(promises.preconfirm(other)).contains("guard"));
    // the same operation at another place
    let first = rig.send_one(sign(transfer(1, 3, 0, 10, 2))).unwrap();
    assert!(reason(promises.preconfirm(first)).contains("guard"));
}

#[test]
fn only_the_next_proposer_promises() {
    let genesis = Genesis {
        validators: set_of_four(),
        ..genesis()
    };
    let dir = Arc::new(TempDir::new().unwrap());
    let rig = Rig::open_chain(&genesis, dir, MempoolConfig::default(), Default::default()).unwrap();
    let transaction = transfer(1, 3, 0, 10, 2);
    let signature = crate::fixture::key(1).sign(&transaction.message(&genesis.domain(), false));
    let submission =
        protocol::transaction::Submission::Single(protocol::transaction::SignedTransaction {
            transaction,
            key: crate::fixture::key(1).public(),
            signature,
        });
    let id = rig.send_one(submission).unwrap();
    let next = *genesis
        .validators
        .proposer(Height(1), protocol::number::Round(0));
    for seat in 1..=4 {
        let place = TempDir::new().unwrap();
        let path = place.path().join("guard");
        let guard = SigningGuard::open(&path, seat_key(seat), genesis.domain()).unwrap();
        let own = guard.address();
        let promises = Promises::new(Arc::clone(&rig.executor), Arc::new(guard));
        let answer = promises.preconfirm(id);
        if own == next {
            assert!(answer.unwrap().is_authentic(&genesis.domain()));
        } else {
            assert!(reason(answer).contains(&format!("is {next}")));
        }
    }
}

/// A proposer whose program ignores its promise is convicted by its own Init.
#[test]
fn a_block_that_breaks_a_promise_is_evidence() {
    let (rig, _dir, promises) = rig();
    let (honest, _other_dir, _) = self::rig();
    let first = rig.send_one(sign(transfer(1, 3, 0, 10, 2))).unwrap();
    let second = rig.send_one(sign(transfer(2, 3, 0, 10, 2))).unwrap();
    let promise = promises.preconfirm(second).unwrap();
    // the same chain, without the promise
    for from in [1, 2] {
        honest.send_one(sign(transfer(from, 3, 0, 10, 2))).unwrap();
    }
    let (kept, broken) = (rig.propose().block, honest.propose().block);
    assert_eq!(ids(&broken), [first, second]);
    let judge = |block: &Block| {
        let core = &block.header.core;
        let proposal = Proposal {
            height: core.height,
            round: core.birth_round,
            pol_round: None,
            block: block.id(),
        };
        let evidence = Evidence::BrokenPreconfirmation(Box::new(BrokenPreconfirmation {
            promise,
            proposal: proposal.sign(ProposalKind::Init, &domain(), &validator()),
            core: core.clone(),
            bid: None,
            payload: block.payload.clone(),
        }));
        evidence.verify(&domain(), &genesis().validators)
    };
    assert!(judge(&kept).is_err());
    let finding = judge(&broken).unwrap();
    assert_eq!(finding.offender, validator().address());
    assert_eq!(finding.offence, Offence::BrokenPreconfirmation);
}
