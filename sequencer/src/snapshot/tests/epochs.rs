//! Snapshots of a chain that has crossed epochs: the sets are proven from genesis, here and in what is made of the file.

use protocol::{
    codec::from_bytes, handover::Handover, params::EPOCH_HEIGHTS, validator::Validator,
};
use serde_json::json;

use super::*;
use crate::{
    evidence::lineage,
    sets::{SetSource, parse_sets},
    snapshot::frame::{FrameReader, FrameWriter, Kind},
    storage::{StoredBlock, write_prefix},
};

/// The only validator weighs 5 in epoch 1, and 9 from epoch 2 on.
fn heavier() -> Arc<dyn SetSource> {
    let own = validator().address().to_string();
    let entry = |epoch: u64, stake: u64| json!({"from_epoch": epoch, "validators": [{"address": own, "stake": stake}]});
    let file = json!({
        "genesis": genesis().hash().to_string(),
        "stakes": [entry(1, 5), entry(2, 9)],
    });
    parse_sets(&file.to_string(), &genesis()).unwrap()
}

fn open_epochs(dir: &Arc<TempDir>) -> Rig {
    let dir = Arc::clone(dir);
    Rig::open_epochs(&genesis(), heavier(), dir, Default::default()).unwrap()
}

/// A chain whose first certified batch ends in epoch 1.
fn crossed() -> Rig {
    let dir = Arc::new(TempDir::new().unwrap());
    let at = (&*heavier(), Height(EPOCH_HEIGHTS - 3));
    write_prefix(&dir.path().join("db"), &genesis(), &[validator()], at);
    let mut rig = open_epochs(&dir);
    for nonce in 0..8 {
        rig.send_one(sign(transfer(1, 2, nonce, 10, 2))).unwrap();
        rig.block();
    }
    rig.seal(8);
    rig.certify_batch(1, &[validator()]);
    rig
}

#[test]
fn a_snapshot_of_a_later_epoch_is_judged_from_genesis_alone() {
    let mut rig = crossed();
    let path = written(&rig);
    let dir = Arc::new(TempDir::new().unwrap());
    let info = restore_snapshot(&path, &dir.path().join("db"), &genesis()).unwrap();
    assert_eq!(info.epoch, Epoch(1));
    assert!(info.blocks_from.0 <= EPOCH_HEIGHTS, "blocks of both epochs");
    let mut restored = open_epochs(&dir);
    let weights = |rig: &Rig| {
        let term = rig.executor.decided().term.clone();
        (term.set.total(), term.next.total())
    };
    assert_eq!((weights(&restored), weights(&rig)), ((5, 9), (5, 9)));
    rig.block();
    restored.catch_up(&rig);
    // it proves the set to others, from the handover that came in the file
    let constants = restored.shared().chain.constants.clone();
    let found = lineage(&restored.shared().store, &constants, Epoch(1)).unwrap();
    let found = found.expect("the handover of epoch 0");
    let seat = Validator {
        address: validator().address(),
        weight: 5,
    };
    let expected = ValidatorSet::new(vec![seat]).unwrap();
    assert_eq!(found.set_of(Epoch(1), Some(&genesis())), Ok(&expected));
    drop(restored);
    assert!(check_database(&dir.path().join("db"), &genesis()).is_ok());
}

#[test]
fn a_set_that_the_one_before_did_not_hand_over_to_is_refused() {
    let rig = crossed();
    let path = written(&rig);
    let forge = |change: &dyn Fn(&mut Handover)| {
        let mut from = File::open(&path).unwrap();
        let forged = rig.dir.path().join("forged");
        let mut to = File::create(&forged).unwrap();
        let mut reader = FrameReader::new(&mut from, &path).unwrap();
        let mut writer = FrameWriter::new(&mut to, &forged).unwrap();
        let head: Head = reader.read(Kind::Head).unwrap();
        writer.write(Kind::Head, &head).unwrap();
        let mut link: Handover = reader.read(Kind::Handover).unwrap();
        change(&mut link);
        writer.write(Kind::Handover, &link).unwrap();
        for _ in head.first_block().0..=head.last_height().0 {
            let stored: StoredBlock = reader.read(Kind::Block).unwrap();
            writer.write(Kind::Block, &stored).unwrap();
        }
        let leaves: Vec<protocol::account::Leaf> = reader.read(Kind::Leaves).unwrap();
        writer.write(Kind::Leaves, &leaves).unwrap();
        writer.write(Kind::End, &()).unwrap();
        check_snapshot(&forged, &genesis())
    };
    assert!(forge(&|_| {}).is_ok());
    let stranger = L1Address([7; 20]);
    let changes: [&dyn Fn(&mut Handover); 3] = [
        &|link| link.next = ValidatorSet::of_one(stranger),
        &|link| {
            link.next = ValidatorSet::of_one(stranger);
            link.core.next_set_hash = link.next.hash();
        },
        &|link| link.certificate.signatures.0.clear(),
    ];
    for change in changes {
        let error = forge(change).unwrap_err();
        assert!(matches!(error, SnapshotError::Sets(_)), "{error}");
    }
    assert!(from_bytes::<Handover>(&[]).is_err());
}

#[test]
fn what_was_pruned_across_a_boundary_leaves_the_proof_of_the_set() {
    let rig = crossed();
    let store = &rig.shared().store;
    let link = store.handover(Epoch(0)).unwrap().unwrap();
    // as the database of a long chain: it has no blocks of the first heights
    let first = Height(EPOCH_HEIGHTS + 2);
    store.prune_blocks(first).unwrap();
    assert_eq!(store.block(Height(EPOCH_HEIGHTS)).unwrap(), None);
    assert_eq!(store.handover(Epoch(0)).unwrap(), Some(link));
    assert_eq!(store.first_height().unwrap(), first);
    store.prune_blocks(Height(5)).unwrap();
    assert_eq!(store.first_height().unwrap(), first, "it never goes back");
}
