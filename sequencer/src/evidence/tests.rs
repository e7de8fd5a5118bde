use protocol::{
    block::BlockId,
    number::{Height, Round},
    vote::{Step, Vote},
};
use tempfile::TempDir;

use super::*;
use crate::{
    config::MempoolConfig,
    fixture::{Rig, domain, validator},
};

fn book(rig: &Rig, dir: &TempDir) -> EvidenceBook {
    let shared = rig.shared();
    let (store, constants) = (Arc::clone(&shared.store), shared.chain.constants.clone());
    EvidenceBook::open(
        dir.path().join("evidence"),
        store,
        constants,
        Outlet::new().0,
    )
    .unwrap()
}

fn double_vote(height: u64) -> Evidence {
    let vote = |block| Vote {
        height: Height(height),
        round: Round(0),
        step: Step::Prevote,
        block: Some(BlockId([block; 32])),
    };
    let sign = |block| vote(block).sign(&domain(), &validator());
    Evidence::DoubleVote(sign(1), sign(2))
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.path().join("evidence"));
    entries
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

#[test]
fn evidence_becomes_one_file_that_convicts_offline() {
    let rig = Rig::new(MempoolConfig::default());
    let dir = TempDir::new().unwrap();
    let first = book(&rig, &dir);
    assert_eq!(first.record(double_vote(3)), Ok(Recorded::New));
    assert_eq!(first.record(double_vote(3)), Ok(Recorded::Known));
    assert_eq!(
        book(&rig, &dir).record(double_vote(3)),
        Ok(Recorded::Known),
        "after a restart"
    );
    let files = files(&dir);
    assert_eq!(files.len(), 1, "{files:?}");
    let bytes = fs::read(&files[0]).unwrap();
    let genesis = crate::fixture::genesis();
    let judgement = verifier::evidence::verify_evidence(&bytes, Some(&genesis)).unwrap();
    assert_eq!(judgement.finding.offender, validator().address());
    let other = TempDir::new().unwrap();
    assert_eq!(
        book(&rig, &other).take(&bytes),
        Recorded::New,
        "a peer's file"
    );
}

#[test]
fn what_does_not_convict_is_not_kept() {
    let rig = Rig::new(MempoolConfig::default());
    let dir = TempDir::new().unwrap();
    let book = book(&rig, &dir);
    let Evidence::DoubleVote(first, mut second) = double_vote(3) else {
        unreachable!("it is one");
    };
    second.signature.0[0] ^= 1;
    assert_eq!(
        book.record(Evidence::DoubleVote(first, second)),
        Ok(Recorded::Nothing)
    );
    assert_eq!(book.take(b"not a file"), Recorded::Nothing);
    assert!(files(&dir).is_empty());
}
