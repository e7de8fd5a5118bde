//! Terms of office on a chain of one validator, block by block; a whole network in [`crossing`].

use std::path::Path;

use protocol::{genesis::Genesis, number::Round, params::EPOCH_HEIGHTS, validator::Validator};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    evidence::lineage,
    executor::Judged,
    fixture::{Rig, certify, genesis, validator},
    storage::write_prefix,
};

mod crossing;
mod ports;

/// Last height of epoch 0.
const LAST: u64 = EPOCH_HEIGHTS;

/// The file of these entries: first epoch, and who stakes how much.
fn file(genesis: &Genesis, entries: &[(u64, &[(L1Address, u64)])]) -> Arc<dyn SetSource> {
    let entries = entries.iter().map(|(from_epoch, seats)| {
        let seats = seats
            .iter()
            .map(|(address, stake)| json!({"address": address.to_string(), "stake": stake}));
        json!({"from_epoch": from_epoch, "validators": seats.collect::<Vec<_>>()})
    });
    let file = json!({
        "genesis": genesis.hash().to_string(),
        "stakes": entries.collect::<Vec<_>>(),
    });
    parse_sets(&file.to_string(), genesis).unwrap()
}

/// The only validator weighs 5 in epoch 1, and 9 from epoch 2 on.
fn heavier() -> Arc<dyn SetSource> {
    let own = validator().address();
    file(&genesis(), &[(1, &[(own, 5)]), (2, &[(own, 9)])])
}

fn weighing(weight: u64) -> ValidatorSet {
    let address = validator().address();
    ValidatorSet::new(vec![Validator { address, weight }]).unwrap()
}

fn open(dir: &Arc<TempDir>, sets: Arc<dyn SetSource>) -> Result<Rig, SetsError> {
    Rig::open_epochs(&genesis(), sets, Arc::clone(dir), Default::default())
}

fn prefix_at(path: &Path, height: u64) {
    let at = (&*heavier(), Height(height));
    write_prefix(path, &genesis(), &[validator()], at);
}

/// Weight in office at the next height, and in the epoch after.
fn weights(rig: &Rig) -> (u128, u128) {
    let term = rig.executor.decided().term.clone();
    (term.set.total(), term.next.total())
}

#[test]
fn sets_move_at_the_boundary_and_a_restart_at_any_height_finds_them_again() {
    let dir = Arc::new(TempDir::new().unwrap());
    prefix_at(&dir.path().join("db"), LAST - 2);
    let expected = [
        (LAST - 2, (1, 5)),
        (LAST - 1, (1, 5)),
        (LAST, (5, 9)),
        (LAST + 1, (5, 9)),
        (LAST + 2, (5, 9)),
    ];
    for (height, in_office) in expected {
        let mut rig = open(&dir, heavier()).unwrap();
        assert_eq!(rig.executor.tip().height, Height(height));
        assert_eq!(weights(&rig), in_office, "read at {height}");
        let before = rig.executor.decided();
        rig.block();
        let header = rig.executor.decided().history.last().cloned().unwrap();
        assert_eq!(
            header.set, *before.term.set,
            "decided by the set of its height"
        );
        let stored = rig
            .shared()
            .store
            .block(Height(height + 1))
            .unwrap()
            .unwrap();
        let core = &stored.block.header.core;
        assert_eq!(core.next_set_hash, before.term.next_hash);
        assert_eq!(
            core.author,
            *before.term.set.proposer(core.height, Round(0))
        );
        let after = rig.executor.decided();
        drop(rig);
        let again = open(&dir, heavier()).unwrap().executor.decided();
        assert_eq!((&again.term, &again.history), (&after.term, &after.history));
    }
}

#[test]
fn what_the_boundary_leaves_on_disk_proves_the_new_set_offline() {
    let dir = Arc::new(TempDir::new().unwrap());
    prefix_at(&dir.path().join("db"), LAST - 1);
    let mut rig = open(&dir, heavier()).unwrap();
    let constants = rig.shared().chain.constants.clone();
    let of = |rig: &Rig, epoch| lineage(&rig.shared().store, &constants, Epoch(epoch)).unwrap();
    assert_eq!(of(&rig, 1), None, "epoch 0 has not ended");
    rig.block();
    let proven = of(&rig, 1).unwrap();
    assert_eq!(
        proven.set_of(Epoch(1), Some(&genesis())),
        Ok(&weighing(5)),
        "from the last block of epoch 0"
    );
    assert_eq!(of(&rig, 2), None);
}

#[test]
fn a_block_that_names_another_next_set_is_refused_and_the_refusal_says_which() {
    let dir = Arc::new(TempDir::new().unwrap());
    prefix_at(&dir.path().join("db"), LAST);
    let own = validator().address();
    let other = file(&genesis(), &[(1, &[(own, 5)]), (2, &[(own, 8)])]);
    let proposed: Judged = open(&dir, other).unwrap().propose();
    let rig = open(&dir, heavier()).unwrap();
    assert!(!rig.executor.judge(&proposed.block).unwrap().is_valid());
    let core = &proposed.block.header.core;
    let refused = rig.executor.other_set(core).unwrap();
    assert_eq!(
        (refused.height, refused.epoch),
        (Height(LAST + 1), Epoch(2))
    );
    let text = refused.to_string();
    let (named, expected) = (weighing(8).hash(), weighing(9).hash());
    assert!(text.contains(&hex::encode(named)) && text.contains(&hex::encode(expected)));
    assert!(
        rig.executor
            .other_set(&rig.propose().block.header.core)
            .is_none()
    );
}

#[test]
fn a_file_that_contradicts_what_was_decided_is_refused_at_the_start() {
    let dir = Arc::new(TempDir::new().unwrap());
    prefix_at(&dir.path().join("db"), LAST - 1);
    let own = validator().address();
    let other = || file(&genesis(), &[(1, &[(own, 6)])]);
    let refused = open(&dir, other());
    assert!(matches!(refused, Err(SetsError::Other(_))));
    let none = open(&dir, Arc::new(GenesisSet));
    assert!(matches!(none, Err(SetsError::Other(_))), "no file at all");
    // the next set is that of epoch 2 now, of which nothing is decided; that of epoch 1 stays what it is
    open(&dir, heavier()).unwrap().block();
    assert_eq!(weights(&open(&dir, other()).unwrap()), (5, 6));
}

#[test]
fn a_tip_whose_header_names_another_set_than_the_stored_one_is_corrupt() {
    let dir = Arc::new(TempDir::new().unwrap());
    prefix_at(&dir.path().join("db"), LAST - 1);
    let rig = open(&dir, heavier()).unwrap();
    let store = Arc::clone(&rig.shared().store);
    store.write_validator_set(Epoch(1), &weighing(6)).unwrap();
    drop((rig, store));
    let refused = open(&dir, heavier());
    assert!(matches!(
        refused,
        Err(SetsError::Storage(StorageError::Corrupt { .. }))
    ));
}

#[test]
fn stakes_locked_in_the_state_weigh_two_epochs_later() {
    let mut genesis = genesis();
    for leaf in &mut genesis.leaves {
        leaf.lock_until = Epoch(1).last_height();
    }
    let own = validator().address();
    let text = json!({
        "genesis": genesis.hash().to_string(),
        "leaves": {
            "token": 0,
            "unit": "1000",
            "validators": [{"address": own.to_string(), "leaf": 1}],
        },
    });
    let source = parse_sets(&text.to_string(), &genesis).unwrap();
    let dir = Arc::new(TempDir::new().unwrap());
    let at = (&*source, Height(LAST - 1));
    write_prefix(&dir.path().join("db"), &genesis, &[validator()], at);
    let rig = Rig::open_epochs(&genesis, source, Arc::clone(&dir), Default::default()).unwrap();
    assert_eq!(weights(&rig), (1, 1_000));
    let judged = rig.propose();
    let certificate = certify(&judged.block, &validator(), 2_000);
    rig.executor.commit(judged, certificate, 2_000).unwrap();
    // the lock ends before epoch 2 does: nobody stakes, so the set stays
    assert_eq!(weights(&rig), (1_000, 1_000));
}
