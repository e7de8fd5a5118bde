//! Reopening, and refusing to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use protocol::{
    account::L1Address,
    block::Tip,
    number::{Height, LeafIndex},
    transaction::TransactionId,
};

use super::{BlockWrite, StorageError, TransactionRecord, Undo, check_database};
use crate::{
    JobsConfig, MempoolConfig,
    fixture::{Rig, genesis, sign, transfer},
};

/// A database with blocks, pending operations and tables on disk; closed.
fn grown() -> Arc<tempfile::TempDir> {
    let mut rig = Rig::new(MempoolConfig::default());
    for round in 0..6 {
        for from in 1..4 {
            rig.send_one(sign(transfer(from, 0, round, 1, 0))).unwrap();
        }
        rig.block();
        if round == 3 {
            rig.shared().store.flush().unwrap();
        }
    }
    rig.send_one(sign(transfer(1, 2, 6, 1, 0))).unwrap();
    rig.dir
}

fn reopen(dir: &Arc<tempfile::TempDir>) -> Result<Rig, StorageError> {
    Rig::open(
        Arc::clone(dir),
        MempoolConfig::default(),
        JobsConfig::default(),
    )
}

fn copy(dir: &Path) -> Arc<tempfile::TempDir> {
    let target = tempfile::TempDir::new().unwrap();
    std::fs::create_dir(target.path().join("db")).unwrap();
    for file in files(dir) {
        let name = file.file_name().unwrap();
        std::fs::copy(&file, target.path().join("db").join(name)).unwrap();
    }
    Arc::new(target)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir.join("db"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn answers(rig: &Rig) -> (u128, u128, Height, usize) {
    let height = rig.shared().chain.view().tip.height;
    (
        rig.balance(0),
        rig.balance(1),
        height,
        rig.shared().pool().len(),
    )
}

#[test]
fn a_reopened_database_answers_as_before_without_rehashing() {
    let dir = grown();
    let rig = reopen(&dir).unwrap();
    assert_eq!(answers(&rig), (1_000_018, 999_994, Height(6), 1));
    let state = &rig.shared().chain.state().state;
    let fresh = protocol::state::State::new(state.leaves().to_vec());
    assert_eq!(state.root(), fresh.root());
    assert_eq!(state.tree().levels(), fresh.tree().levels());
}

#[test]
fn the_state_before_any_unsealed_block_can_be_restored() {
    let rig = reopen(&grown()).unwrap();
    let store = &rig.shared().store;
    for height in 1..=6 {
        let state = rig.shared().chain.state().state.clone();
        let before = store.state_before(state, Height(height)).unwrap();
        let block = store.block(Height(height)).unwrap().unwrap();
        assert_eq!(
            before.root(),
            block.block.header.core.state_root_before,
            "height {height}"
        );
    }
}

#[test]
fn another_genesis_and_a_second_process_are_refused() {
    let dir = grown();
    let path = dir.path().join("db");
    let mut other = genesis();
    other.rollup = L1Address([1; 20]);
    let error = check_database(&path, &other).unwrap_err();
    assert!(
        matches!(error, StorageError::OtherGenesis { .. }),
        "{error}"
    );
    let _rig = reopen(&dir).unwrap();
    let error = check_database(&path, &genesis()).unwrap_err();
    assert!(matches!(error, StorageError::InUse { .. }), "{error}");
}

#[test]
fn check_reads_everything_and_names_a_missing_database() {
    let dir = grown();
    let checked = check_database(&dir.path().join("db"), &genesis()).unwrap();
    assert_eq!((checked.height, checked.leaf_count), (6, 5));
    assert!(checked.entries > 30);
    let nowhere = dir.path().join("nowhere");
    assert!(check_database(&nowhere, &genesis()).is_err());
    assert!(!nowhere.exists(), "looking must not make a database");
}

/// A node that was killed while it made its database left a directory that no node started in again: "it is no
/// database, or lost that file".
#[test]
fn a_database_whose_making_was_interrupted_is_finished() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("db");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("MAKING"), []).unwrap();
    let error = check_database(&path, &genesis()).unwrap_err();
    assert!(matches!(error, StorageError::Unavailable { .. }), "{error}");
    let dir = Arc::new(dir);
    drop(reopen(&dir).unwrap());
    assert!(!path.join("MAKING").exists());
    assert_eq!(check_database(&path, &genesis()).unwrap().height, 0);
}

#[test]
fn a_stale_mark_of_making_costs_no_data() {
    let dir = grown();
    let expected = answers(&reopen(&dir).unwrap());
    let mark = dir.path().join("db").join("MAKING");
    std::fs::write(&mark, []).unwrap();
    assert_eq!(answers(&reopen(&dir).unwrap()), expected);
    assert!(!mark.exists());
    // Not even if the log with the layout is gone: what is there is not written over.
    for file in files(dir.path()) {
        if file.extension().is_some_and(|end| end == "log") {
            std::fs::remove_file(file).unwrap();
        }
    }
    std::fs::write(&mark, []).unwrap();
    match reopen(&dir) {
        Ok(rig) => assert_eq!(answers(&rig), expected),
        Err(error) => assert!(matches!(error, StorageError::Corrupt { .. }), "{error}"),
    }
}

#[test]
fn a_start_reads_all_of_the_state_and_a_bounded_part_of_history() {
    let rig = reopen(&grown()).unwrap();
    let store = &rig.shared().store;
    let all = store.read_everything().unwrap();
    let by_entries = store.read_columns(1, u64::MAX).unwrap();
    let by_bytes = store.read_columns(u64::MAX, 1).unwrap();
    assert_eq!(by_entries, by_bytes);
    // 6 blocks, 19 operations with at least a mention each: all but one of each column are left out.
    assert!(by_entries + 5 + 18 + 17 <= all, "{by_entries} of {all}");
    let state = store.load_state(&genesis()).unwrap().0;
    assert!(by_entries > state.leaf_count());
}

#[test]
fn a_missing_file_is_named_and_refused() {
    let dir = grown();
    let mut refused = 0;
    for file in files(dir.path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let matters = ["CURRENT", "MANIFEST"]
            .iter()
            .any(|part| name.starts_with(part))
            || name.ends_with(".sst")
            || name.ends_with(".log");
        if !matters {
            continue;
        }
        let damaged = copy(dir.path());
        std::fs::remove_file(damaged.path().join("db").join(&name)).unwrap();
        match reopen(&damaged) {
            Err(StorageError::Corrupt { .. }) => refused += 1,
            Err(other) => panic!("{name}: {other}"),
            Ok(_) => panic!("{name} is missing and nobody noticed"),
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn a_flipped_byte_is_refused_or_changes_no_answer() {
    let dir = grown();
    let expected = answers(&reopen(&copy(dir.path())).unwrap());
    let (mut refused, mut unchanged) = (0, 0);
    for file in files(dir.path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".sst") && !name.ends_with(".log") {
            continue;
        }
        let length = std::fs::metadata(&file).unwrap().len();
        for place in [length / 7, length / 3, length / 2] {
            if length == 0 {
                continue;
            }
            let damaged = copy(dir.path());
            let path = damaged.path().join("db").join(&name);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[usize::try_from(place).unwrap()] ^= 0x40;
            std::fs::write(&path, bytes).unwrap();
            match reopen(&damaged) {
                Err(StorageError::Corrupt { .. }) => refused += 1,
                Err(other) => panic!("{name}: {other}"),
                Ok(rig) => {
                    assert_eq!(answers(&rig), expected, "{name} at {place}");
                    unchanged += 1;
                }
            }
        }
    }
    assert!(refused >= 30, "{refused} refused, {unchanged} unchanged");
}

#[test]
fn the_page_describes_exactly_the_columns_of_the_program() {
    let page = include_str!("../../../docs/storage.md");
    let table = page.split("## What is written when").next().unwrap();
    let described: std::collections::BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let columns = super::Column::ALL
        .iter()
        .map(|column| column.name())
        .collect();
    assert_eq!(described, columns);
}

/// What a start reads does not grow with the chain. The figures in `docs/storage.md` are this test's.
#[test]
#[expect(clippy::print_stderr, reason = "the figures belong to the report")]
fn a_long_history_does_not_slow_a_start() {
    const BLOCKS: u64 = 150;
    const OPERATIONS: u32 = 2_000;
    let rig = reopen(&grown()).unwrap();
    let store = &rig.shared().store;
    let state = rig.shared().chain.state().state.clone();
    let mut stored = store.block(Height(6)).unwrap().unwrap();
    let entry = stored.block.payload.entries[0].clone();
    stored.block.payload.entries = vec![entry; usize::try_from(OPERATIONS).unwrap()];
    for height in 100..100 + BLOCKS {
        let height = Height(height);
        stored.block.header.core.height = height;
        let operations = (0..OPERATIONS).map(|place| {
            let name = [height.0.to_be_bytes(), u64::from(place).to_be_bytes()].concat();
            let id = TransactionId(protocol::hash::keccak256(&name));
            let record = TransactionRecord::Ordered {
                received_ms: 0,
                ordered_ms: 0,
                height,
                place,
            };
            (id, record)
        });
        let transactions: Vec<_> = operations.collect();
        let mentions: Vec<_> = transactions
            .iter()
            .zip(0..)
            .flat_map(|((id, _), place)| [1, 2].map(|leaf| (LeafIndex(leaf), place, *id)))
            .collect();
        let tip = Tip {
            height,
            ..rig.shared().chain.view().tip
        };
        let write = BlockWrite {
            stored: &stored,
            tip,
            state: &state,
            changes: &BTreeMap::new(),
            undo: &Undo::default(),
            nodes: &[],
            transactions: &transactions,
            mentions: &mentions,
            departed: &[],
            done: &[],
            next_set: None,
        };
        store.write_block(&write).unwrap();
    }
    let timed = |read: &dyn Fn() -> u64| {
        let started = std::time::Instant::now();
        (read(), started.elapsed().as_millis())
    };
    let (all, all_ms) = timed(&|| store.read_everything().unwrap());
    let (some, some_ms) = timed(&|| store.read_for_start().unwrap());
    let operations = BLOCKS * u64::from(OPERATIONS);
    eprintln!(
        "{operations} operations: {all} entries in {all_ms} ms, a start reads {some} in {some_ms} ms"
    );
    assert!(all > 3 * operations);
    assert!(some < 2 * 200_000 + 1_000, "{some} of {all}");
}
