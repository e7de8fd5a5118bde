//! What stands in a directory before and after a rebuild, whole or killed.

use protocol::{number::Height, restart::Restart, state::LeafView, transaction::Action};
use tempfile::TempDir;

use super::*;
use crate::fixture::{genesis, transfer};

/// The state of a chain that has moved some money, as read up to block 9 of the base layer.
fn chain(batches: u64) -> RebuiltChain {
    let mut state = genesis().state();
    if batches > 0 {
        let Action::Transfer { to, amount } = transfer(1, 2, 0, 10, 0).action else {
            unreachable!("it is a transfer");
        };
        let mut leaf = state.leaf(to).unwrap();
        leaf.balance = leaf.balance.checked_add(amount).unwrap();
        state.commit(&[(to, leaf)].into());
    }
    RebuiltChain {
        state,
        height: Height(7 * batches),
        inbox_count: batches,
        batches,
        operations: batches,
        published_bytes: 0,
        waiting: Vec::new(),
        block: 9,
    }
}

fn opened(data: &Path) -> (Store, protocol::state::State) {
    let store = Store::open_existing(data, &genesis()).unwrap();
    store.read_everything().unwrap();
    let (state, _) = store.load_state(&genesis()).unwrap();
    (store, state)
}

#[test]
fn a_rebuilt_database_is_whole_and_is_never_made_in_the_place_of_another() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("db");
    // what lies beside a database does not count as one
    std::fs::create_dir_all(data.join("agreement")).unwrap();
    make_rebuilt(&data, &genesis(), chain(3)).unwrap();
    let (store, state) = opened(&data);
    assert_eq!(state.root(), chain(3).state.root());
    let record = store.rebuilt().unwrap().unwrap();
    assert_eq!((record.batch, record.base_layer_block), (BatchNumber(3), 9));
    assert_eq!(store.open_batch().unwrap().number, BatchNumber(4));
    drop(store);
    let again = make_rebuilt(&data, &genesis(), chain(4));
    assert!(
        matches!(
            again,
            Err(NotRebuilt::Storage(StorageError::Occupied { .. }))
        ),
        "{again:?}"
    );
    assert_eq!(opened(&data).1.root(), chain(3).state.root());
    let other = TempDir::new().unwrap();
    drop(Store::open(other.path(), &genesis()).unwrap());
    assert!(matches!(
        check_unmade(other.path()),
        Err(StorageError::Occupied { .. })
    ));
}

#[test]
fn what_a_killed_rebuild_has_left_is_finished() {
    // killed before anything was written, and after everything was
    for is_written in [false, true] {
        let dir = TempDir::new().unwrap();
        let data = dir.path().join("db");
        if is_written {
            make_rebuilt(&data, &genesis(), chain(3)).unwrap();
        } else {
            std::fs::create_dir_all(&data).unwrap();
        }
        std::fs::write(data.join("MAKING"), "").unwrap();
        check_unmade(&data).unwrap();
        make_rebuilt(&data, &genesis(), chain(4)).unwrap();
        assert!(check_unmade(&data).is_err());
        let batch = opened(&data).0.rebuilt().unwrap().unwrap().batch;
        assert_eq!(batch, BatchNumber(if is_written { 3 } else { 4 }));
    }
    // one of a chain is not taken for a rebuilt one
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("db");
    drop(Store::open(&data, &genesis()).unwrap());
    std::fs::write(data.join("MAKING"), "").unwrap();
    assert!(make_rebuilt(&data, &genesis(), chain(3)).is_err());
    assert_eq!(opened(&data).0.rebuilt().unwrap(), None);
}

#[test]
fn nothing_is_made_while_no_batch_is_proven() {
    let dir = TempDir::new().unwrap();
    let refused = make_rebuilt(dir.path(), &genesis(), chain(0));
    assert!(matches!(refused, Err(NotRebuilt::NothingProven)));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_end_that_is_rebuilt_is_the_one_that_a_restart_names() {
    let point = RestartPoint::from(chain(3));
    let end = point.end();
    let restart = Restart::new(&end, Height(100), protocol::block::BlockId::default());
    assert_eq!(
        (restart.batch, restart.root),
        (BatchNumber(3), chain(3).state.root())
    );
    restart.check(&end).unwrap();
    let least = Restart::new(&end, Height(20), protocol::block::BlockId::default());
    assert!(least.check(&end).is_err(), "below the published height 21");
}
