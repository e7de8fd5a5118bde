//! Signing, collecting, certifying.

use protocol::validator::ValidatorKey;
use tempfile::TempDir;

use super::*;
use crate::{
    base_layer::tests::{base_block, on_base_layer, write},
    config::MempoolConfig,
    fixture::{Rig, domain, sign, transfer, validator},
};

fn checkpoints(rig: &Rig, dir: &TempDir, constants: &ChainConstants) -> Checkpoints {
    let store = Arc::clone(&rig.shared().store);
    let guard = SigningGuard::open(&dir.path().join("guard"), validator(), domain()).unwrap();
    let outlet = Outlet::new().0;
    let files = dir.path().join("evidence");
    let book = EvidenceBook::open(files, Arc::clone(&store), constants.clone(), outlet.clone());
    let (guard, book) = (Arc::new(guard), Arc::new(book.unwrap()));
    Checkpoints::new(store, constants.clone(), guard, book, outlet)
}

/// A rig whose first batch is sealed.
fn sealed() -> Rig {
    seal(Rig::new(MempoolConfig::default()))
}

fn seal(mut rig: Rig) -> Rig {
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    rig.block();
    rig.block_after(protocol::params::BATCH_AGE_MS_MAX + 1_000);
    rig.send_one(sign(transfer(1, 2, 1, 10, 2))).unwrap();
    rig.block_after(protocol::params::BATCH_AGE_MS_MAX + 1_000);
    rig.block();
    rig.batcher();
    assert!(
        rig.shared().store.batch(BatchNumber(1)).unwrap().is_some(),
        "sealed"
    );
    rig
}

#[test]
fn a_sealed_batch_is_certified_by_a_quorum_and_survives_a_restart() {
    let rig = sealed();
    let dir = TempDir::new().unwrap();
    let constants = rig.shared().chain.constants.clone();
    let first = checkpoints(&rig, &dir, &constants);
    first.sign_sealed().unwrap();
    let stored = rig
        .shared()
        .store
        .checkpoint(BatchNumber(1))
        .unwrap()
        .unwrap();
    assert_eq!(stored.verify(&domain(), &constants.validators), Ok(()));
    drop(first);
    let again = checkpoints(&rig, &dir, &constants);
    again.sign_sealed().unwrap();
    assert!(again.open().is_empty(), "nothing left to sign");
}

/// By it the Rollup decides which items are overdue.
#[test]
fn a_checkpoint_has_the_time_of_its_last_blocks_origin() {
    for newest in [0, 9] {
        let mut rig = Rig::new(MempoolConfig::default());
        if newest > 0 {
            write(&rig, newest, &[]);
            rig = on_base_layer(rig);
        }
        let rig = seal(rig);
        let dir = TempDir::new().unwrap();
        let constants = rig.shared().chain.constants.clone();
        checkpoints(&rig, &dir, &constants).sign_sealed().unwrap();
        let stored = rig.shared().store.checkpoint(BatchNumber(1)).unwrap();
        let time = if newest > 0 {
            base_block(newest).time
        } else {
            0
        };
        assert_eq!(stored.unwrap().commitment.l1_origin_time, time);
    }
}

#[test]
fn less_than_a_quorum_certifies_nothing_and_the_last_signature_does() {
    let rig = sealed();
    let dir = TempDir::new().unwrap();
    let keys: Vec<ValidatorKey> = [7, 8, 9, 10]
        .map(|number| ValidatorKey::from_bytes(&[number; 32]).unwrap())
        .into();
    let validators = keys.iter().map(|key| protocol::validator::Validator {
        address: key.address(),
        weight: 1,
    });
    let constants = rig.shared().chain.constants.clone();
    let set = protocol::validator::ValidatorSet::new(validators.collect()).unwrap();
    rig.shared()
        .store
        .write_validator_set(protocol::number::Epoch(0), &set)
        .unwrap();
    let book = checkpoints(&rig, &dir, &constants);
    let store = &rig.shared().store;
    let record = store.batch(BatchNumber(1)).unwrap().unwrap();
    let commitment = book.commitment(&record).unwrap();
    // a peer is faster than this node
    let ahead = commitment.clone().sign(&domain(), &keys[1]);
    assert_eq!(book.take(ahead.clone()), Ok(Signed::New));
    assert_eq!(book.take(ahead), Ok(Signed::Known));
    book.sign_sealed().unwrap();
    assert_eq!(store.checkpoint(BatchNumber(1)), Ok(None), "two of four");
    let stranger = ValidatorKey::from_bytes(&[99; 32]).unwrap();
    let foreign = commitment.clone().sign(&domain(), &stranger);
    assert_eq!(book.take(foreign), Ok(Signed::Invalid));
    let mut forged = commitment.clone().sign(&domain(), &keys[2]);
    forged.signature.0[5] ^= 1;
    assert_eq!(book.take(forged), Ok(Signed::Invalid));
    assert_eq!(
        book.take(commitment.sign(&domain(), &keys[2])),
        Ok(Signed::New)
    );
    assert!(store.checkpoint(BatchNumber(1)).unwrap().is_some());
}

#[test]
fn two_commitments_of_one_validator_are_evidence() {
    let rig = sealed();
    let dir = TempDir::new().unwrap();
    let constants = rig.shared().chain.constants.clone();
    let book = checkpoints(&rig, &dir, &constants);
    let record = rig.shared().store.batch(BatchNumber(1)).unwrap().unwrap();
    let honest = book.commitment(&record).unwrap();
    let mut other = honest.clone();
    other.l1_origin_time += 1;
    book.sign_sealed().unwrap();
    assert_eq!(
        book.take(other.sign(&domain(), &validator())),
        Ok(Signed::New)
    );
    let files = std::fs::read_dir(dir.path().join("evidence")).unwrap();
    assert_eq!(files.count(), 1);
}
