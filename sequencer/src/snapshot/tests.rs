//! Snapshots of a chain of one validator: what begins at one goes on as the others do, and nothing else is believed.

use std::sync::Arc;

use protocol::{
    account::L1Address,
    number::{Amount, LeafIndex, TokenId},
    state::LeafView,
    transaction::{Action, Transaction},
};
use tempfile::TempDir;

use super::*;
use crate::{
    fixture::{Rig, genesis, key, sign, transfer, validator},
    storage::check_database,
};

mod epochs;
mod forged;

/// More blocks than the vote rule looks back on, a certified batch, and an open one with a payment and a new leaf.
pub(super) fn certified() -> Rig {
    let mut rig = Rig::new(Default::default());
    for nonce in 0..20 {
        rig.send_one(sign(transfer(1, 2, nonce, 10, 2))).unwrap();
        rig.block();
    }
    rig.seal(20);
    let to_new = Transaction {
        action: Action::TransferToNew {
            key: key(9).public().into(),
            l1_owner: L1Address([9; 20]),
            amount: Amount::new(1_000).unwrap(),
        },
        ..transfer(3, 0, 0, 0, 0)
    };
    rig.send_one(sign(to_new)).unwrap();
    rig.block();
    rig.batcher();
    rig.certify_batch(1, &[validator()]);
    rig
}

/// A file of this rig's database, which stays open.
pub(super) fn written(rig: &Rig) -> PathBuf {
    let path = rig.dir.path().join("one.snapshot");
    let store = &rig.shared().store;
    let hash = rig.shared().chain.constants.genesis_hash;
    write_file(store, hash, &path, Ok).unwrap();
    path
}

fn open(dir: &Arc<TempDir>) -> Rig {
    Rig::open(Arc::clone(dir), Default::default(), Default::default()).unwrap()
}

/// Number of files and directories in a directory, which need not exist.
pub(super) fn entries(path: &Path) -> usize {
    std::fs::read_dir(path).map_or(0, Iterator::count)
}

#[test]
fn a_node_that_begins_at_a_snapshot_goes_on_as_the_others_and_seals_the_same_batch() {
    let mut rig = certified();
    let path = written(&rig);
    let dir = Arc::new(TempDir::new().unwrap());
    let data = dir.path().join("db");
    let info = restore_snapshot(&path, &data, &genesis()).unwrap();
    assert_eq!(info.batch, BatchNumber(1));
    assert_eq!(info.bytes, std::fs::metadata(&path).unwrap().len());
    let sealed = rig.shared().store.batch(info.batch).unwrap().unwrap();
    assert_eq!(
        (info.height, info.root),
        (sealed.last_height, sealed.end.root)
    );
    assert!(
        info.height < rig.executor.tip().height,
        "an open batch follows"
    );
    assert_eq!(check_snapshot(&path, &genesis()).unwrap(), info);
    assert_eq!(
        check_database(&data, &genesis()).unwrap().height,
        info.height.0
    );

    let mut restored = open(&dir);
    let (before, own) = (rig.executor.decided(), restored.executor.decided());
    assert_eq!(own.term, before.term);
    restored.catch_up(&rig);
    assert_eq!(restored.executor.decided().history, before.history);
    let root = |rig: &Rig| rig.shared().chain.state().state.root();
    assert_eq!(root(&restored), root(&rig));
    for who in 0..4 {
        assert_eq!(restored.balance(who), rig.balance(who));
    }
    // the next batch is the same to the byte, and so are the jobs that prove it
    rig.seal(21);
    restored.catch_up(&rig);
    restored.batcher();
    let batch = |rig: &Rig| {
        let record = rig.shared().store.batch(BatchNumber(2)).unwrap().unwrap();
        let ends = (record.first_height, record.last_height);
        (ends, record.start, record.end, record.words, record.jobs)
    };
    assert_eq!(batch(&restored), batch(&rig));
    // and it claims nothing of what it never had
    let store = &restored.shared().store;
    assert_eq!(
        restored.queue.proven_up_to(),
        1,
        "nothing before is to be proven here"
    );
    assert_eq!(store.proven_up_to().unwrap(), 0);
    assert_eq!(store.batch(BatchNumber(1)).unwrap(), None);
    let history = store.history().unwrap();
    assert_eq!(history.operations_from, Height(info.height.0 + 1));
    assert_eq!(history.blocks_from, info.blocks_from);
    assert_eq!(info.height.0 - info.blocks_from.0 + 1, 17);
    // a restart of it reads the same
    drop(restored);
    let again = open(&dir);
    assert_eq!(root(&again), root(&rig));
    again.batcher();
}

#[test]
fn a_restored_node_makes_the_next_snapshot() {
    let mut rig = certified();
    let dir = Arc::new(TempDir::new().unwrap());
    restore_snapshot(&written(&rig), &dir.path().join("db"), &genesis()).unwrap();
    let mut restored = open(&dir);
    rig.seal(21);
    restored.catch_up(&rig);
    restored.batcher();
    restored.certify_batch(2, &[validator()]);
    rig.certify_batch(2, &[validator()]);
    drop(restored);
    std::fs::remove_file(rig.dir.path().join("one.snapshot")).unwrap();
    let other = check_snapshot(&written(&rig), &genesis()).unwrap();
    let own = make_snapshot(&dir.path().join("db"), &genesis(), &dir.path().join("two")).unwrap();
    assert_eq!(
        own.contents, other.contents,
        "two nodes write the same file"
    );
    assert_eq!(own.batch, BatchNumber(2));
}

#[test]
fn the_state_is_taken_back_to_the_end_of_the_batch() {
    let rig = certified();
    let newest = rig.shared().chain.state().state.leaf_count();
    let judged = judged(&written(&rig), &genesis()).unwrap();
    assert_eq!(
        judged.info.leaf_count + 1,
        newest,
        "the new leaf came later"
    );
    let restored = judged.restored(0);
    let leaf = restored.state.leaf(LeafIndex(3)).unwrap();
    assert_eq!((leaf.balance.get(), leaf.token), (1_000_000, TokenId(0)));
}

#[test]
fn no_snapshot_is_made_before_a_batch_is_sealed_and_certified() {
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("out");
    let mut rig = Rig::new(Default::default());
    rig.block();
    let refused = |rig: &Rig| {
        let hash = genesis().hash();
        write_file(&rig.shared().store, hash, &out, Ok).unwrap_err()
    };
    assert!(matches!(refused(&rig), SnapshotError::NotReady(_)));
    rig.send_one(sign(transfer(1, 2, 0, 10, 2))).unwrap();
    rig.block();
    rig.seal(1);
    assert!(
        matches!(refused(&rig), SnapshotError::NotReady(_)),
        "not certified"
    );
    rig.certify_batch(1, &[validator()]);
    write_file(&rig.shared().store, genesis().hash(), &out, Ok).unwrap();
    let data = rig.dir.path().join("db");
    let taken = make_snapshot(&data, &genesis(), &out).unwrap_err();
    assert!(matches!(taken, SnapshotError::Exists(_)));
    let in_use = make_snapshot(&data, &genesis(), &dir.path().join("other")).unwrap_err();
    assert!(matches!(
        in_use,
        SnapshotError::Storage(StorageError::InUse { .. })
    ));
    let nowhere = dir.path().join("nowhere");
    assert!(make_snapshot(&nowhere, &genesis(), &dir.path().join("other")).is_err());
    assert!(!nowhere.exists());
    assert_eq!(entries(dir.path()), 1, "nothing unfinished is left");
}

#[test]
fn a_database_is_never_made_over_another_and_what_was_signed_stays() {
    let rig = certified();
    let path = written(&rig);
    let occupied = restore_snapshot(&path, &rig.dir.path().join("db"), &genesis()).unwrap_err();
    assert!(matches!(
        occupied,
        SnapshotError::Storage(StorageError::Occupied { .. })
    ));
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("db");
    std::fs::create_dir_all(data.join("agreement")).unwrap();
    std::fs::write(data.join("agreement/guard"), "signed").unwrap();
    restore_snapshot(&path, &data, &genesis()).unwrap();
    let kept = std::fs::read_to_string(data.join("agreement/guard")).unwrap();
    assert_eq!(kept, "signed");
}

#[test]
fn an_interrupted_restore_starts_no_node_and_is_begun_again() {
    let rig = certified();
    let path = written(&rig);
    let dir = Arc::new(TempDir::new().unwrap());
    let data = dir.path().join("db");
    std::fs::create_dir_all(data.join("agreement")).unwrap();
    // killed in the middle: some files of a database, and the mark
    drop(Store::open(&data, &genesis()).unwrap());
    std::fs::write(data.join("RESTORING"), []).unwrap();
    let refused = match Store::open(&data, &genesis()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("half a database was opened"),
    };
    assert!(refused.contains("quorate snapshot restore"), "{refused}");
    assert!(check_database(&data, &genesis()).is_err());
    let info = restore_snapshot(&path, &data, &genesis()).unwrap();
    assert!(data.join("agreement").exists() && !data.join("RESTORING").exists());
    assert_eq!(open(&dir).executor.tip().height, info.height);
}
