//! A chain that lost everything but genesis and the words of a batch goes on.

use std::sync::Arc;

use protocol::{
    params::BATCH_AGE_MS_MAX,
    validity::Verdict,
    vote::{Step, Vote},
};
use tempfile::TempDir;

use super::*;
use crate::{
    config::MempoolConfig,
    fixture::{Rig, domain, genesis, sign, transfer, validator},
    guard::GuardRequest,
};

const LAST: Height = Height(50);
const PARENT: BlockId = BlockId([9; 32]);

/// The words of batch 1 of a chain, and a point after them. What the chain ordered in batch 2 is lost.
fn lost() -> (Words, RestartPoint) {
    let mut rig = Rig::new(MempoolConfig::default());
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    rig.block();
    rig.block_after(BATCH_AGE_MS_MAX + 1_000);
    rig.send_one(sign(transfer(1, 2, 1, 500, 2))).unwrap();
    rig.block_after(BATCH_AGE_MS_MAX + 1_000);
    rig.block();
    rig.batcher();
    assert_eq!(rig.balance(2), 1_000_510);
    let record = rig.shared().store.batch(BatchNumber(1)).unwrap();
    let words = record.expect("batch 1 is sealed").words;
    let point = RestartPoint::genesis(&genesis())
        .after(BatchNumber(1), &words)
        .unwrap();
    (words, point)
}

fn signed(dir: &Path, point: &RestartPoint) -> SignedRestart {
    sign_restart(dir, (&genesis(), validator()), point, (LAST, PARENT)).unwrap()
}

fn certificate(signed: SignedRestart) -> RestartCertificate {
    RestartCertificate::assemble(signed.restart, [&signed])
}

fn open(dir: &Arc<TempDir>) -> Rig {
    Rig::open(
        Arc::clone(dir),
        MempoolConfig::default(),
        Default::default(),
    )
    .unwrap()
}

#[test]
fn a_chain_goes_on_from_the_words_of_its_batches_above_every_height_that_was_signed() {
    let (_, point) = lost();
    let dir = Arc::new(TempDir::new().unwrap());
    let data = dir.path().join("db");
    let certificate = certificate(signed(&data, &point));
    make_restarted(&data, &genesis(), &point, &certificate).unwrap();
    let mut rig = open(&dir);
    let tip = rig.executor.tip();
    assert_eq!((tip.height, tip.id), (LAST, PARENT));
    assert_eq!(
        rig.balance(2),
        1_000_010,
        "batch 1 stands, batch 2 does not"
    );

    // what was ordered in the lost batch may be ordered again
    rig.send_one(sign(transfer(1, 2, 1, 500, 2))).unwrap();
    let judged = rig.propose();
    let header = &judged.block.header;
    assert_eq!(
        (header.core.height, header.core.parent),
        (Height(51), PARENT)
    );
    assert_eq!(header.restart, Some(certificate));
    assert_eq!(header.certificate, None);
    let verdict = rig.executor.judge(&judged.block).unwrap();
    assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
    rig.now_ms += 200;
    rig.commit(judged);
    assert_eq!(rig.balance(2), 1_000_510);

    // a start on one block, and on more than the vote rule looks back on, goes on as well
    for blocks in [1, 20] {
        drop(rig);
        rig = open(&dir);
        for _ in 0..blocks {
            let judged = rig.propose();
            assert_eq!(judged.block.header.restart, None);
            let verdict = rig.executor.judge(&judged.block).unwrap();
            assert!(matches!(verdict, Verdict::Valid(_)), "{verdict:?}");
            rig.now_ms += 200;
            rig.commit(judged);
        }
    }
    // the next batch starts where the proven one ended, and seals
    rig.block_after(BATCH_AGE_MS_MAX + 1_000);
    rig.block();
    rig.batcher();
    let store = &rig.shared().store;
    let record = store.batch(BatchNumber(2)).unwrap().expect("sealed");
    assert_eq!(record.start.root, point.end().state.root());
    assert_eq!(record.first_height, Height(51));
    assert_eq!(store.proven_up_to().unwrap(), 1);
}

#[test]
fn a_start_before_the_first_block_after_a_restart_changes_nothing() {
    let (_, point) = lost();
    let dir = Arc::new(TempDir::new().unwrap());
    let data = dir.path().join("db");
    make_restarted(
        &data,
        &genesis(),
        &point,
        &certificate(signed(&data, &point)),
    )
    .unwrap();
    let before = open(&dir).propose().block;
    assert_eq!(open(&dir).propose().block, before);
}

#[test]
fn no_database_is_made_of_a_certificate_or_state_that_is_not_the_chains() {
    let (words, point) = lost();
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("db");
    let good = certificate(signed(&data, &point));
    let make = |point: &RestartPoint, certificate: &RestartCertificate| {
        make_restarted(&data, &genesis(), point, certificate)
    };
    let unsigned = RestartCertificate::assemble(good.restart, []);
    assert!(matches!(
        make(&point, &unsigned),
        Err(RestartRefusal::Certificate(_))
    ));
    let start = RestartPoint::genesis(&genesis());
    assert!(matches!(
        make(&start, &good),
        Err(RestartRefusal::Restart(RestartError::OtherEnd { .. }))
    ));
    assert!(matches!(
        start.clone().after(BatchNumber(2), &words),
        Err(RestartRefusal::Order { .. })
    ));
    let mut other = words;
    other.ops.pop();
    assert!(matches!(
        start.after(BatchNumber(1), &other),
        Err(RestartRefusal::Words { .. })
    ));
    make(&point, &good).unwrap();
    // never in the place of a database, be it the same
    assert!(matches!(
        make(&point, &good),
        Err(RestartRefusal::Storage(StorageError::Unavailable { .. }))
    ));
}

#[test]
fn a_key_that_has_signed_a_restart_signs_nothing_at_or_below_its_last_height() {
    let (_, point) = lost();
    let dir = TempDir::new().unwrap();
    let again = signed(dir.path(), &point);
    assert_eq!(signed(dir.path(), &point), again);
    let chain = (&genesis(), validator());
    let at = |last: u64, parent: BlockId| {
        sign_restart(
            dir.path(),
            (chain.0, chain.1.clone()),
            &point,
            (Height(last), parent),
        )
    };
    assert!(matches!(
        at(LAST.0, BlockId([1; 32])),
        Err(RestartRefusal::Guard(GuardError::Conflict { .. }))
    ));
    assert!(matches!(
        at(LAST.0 - 1, PARENT),
        Err(RestartRefusal::Guard(GuardError::Below { .. }))
    ));
    let path = agreement_dir(dir.path()).join("guard");
    let guard = SigningGuard::open(&path, validator(), domain()).unwrap();
    let prevote = |height| {
        guard.sign(&GuardRequest::Vote(Vote {
            height: Height(height),
            round: protocol::number::Round(0),
            step: Step::Prevote,
            block: None,
        }))
    };
    assert!(matches!(prevote(LAST.0), Err(GuardError::Below { .. })));
    prevote(LAST.0 + 3).unwrap();
    drop(guard);
    // and a restart must not be below what the key has signed
    assert!(matches!(
        at(LAST.0 + 2, PARENT),
        Err(RestartRefusal::Guard(GuardError::Below { .. }))
    ));
    at(LAST.0 + 3, PARENT).unwrap();
}

#[test]
fn strangers_and_impossible_heights_are_not_signed_for() {
    let (_, point) = lost();
    let dir = TempDir::new().unwrap();
    let stranger = ValidatorKey::from_bytes(&[8; 32]).unwrap();
    let refused = sign_restart(dir.path(), (&genesis(), stranger), &point, (LAST, PARENT));
    assert!(matches!(refused, Err(RestartRefusal::Stranger(_))));
    for last in [Height(0), Height(u64::MAX)] {
        let refused = sign_restart(
            dir.path(),
            (&genesis(), validator()),
            &point,
            (last, PARENT),
        );
        assert!(matches!(
            refused,
            Err(RestartRefusal::Restart(RestartError::LastHeight { .. }))
        ));
    }
}
