//! Blocks and items that do not fit are refused, and dueness follows from final blocks alone.

use protocol::inbox::InboxKind;
use settlement::{BlockMark, bindings::EnqueuedItem};

use super::{
    super::ledger::{BadFinal, Ledger},
    *,
};
use stage::request;

fn mark(number: u64) -> BlockMark {
    let block = base_block(number);
    BlockMark {
        number,
        hash: block.hash.into(),
        timestamp: block.time,
    }
}

fn item(number: u64, block: u64) -> EnqueuedItem {
    let owner = owner_account(1);
    let request = protocol::inbox::InboxRequest {
        owner,
        ..request(InboxKind::ForcedExit)
    };
    EnqueuedItem {
        number,
        owner,
        item: request.to_item(),
        time: base_block(block).time,
        fee_wei: Default::default(),
    }
}

#[test]
fn what_does_not_follow_is_refused_and_changes_nothing() {
    let rig = rig();
    let store = &rig.shared().store;
    let mut ledger = Ledger::new(record(0));
    ledger.take(store, &mark(1), &[item(0, 1)]).unwrap();
    let before = *ledger.record();
    let mut early = mark(2);
    early.timestamp = mark(1).timestamp;
    let mut late = item(1, 2);
    late.time += 1;
    let mut stolen = item(1, 2);
    stolen.owner = owner_account(2);
    let refused: [(BlockMark, &[EnqueuedItem]); 7] = [
        (mark(3), &[]),
        (mark(1), &[]),
        (early, &[]),
        (mark(2), &[item(2, 2)]),
        (mark(2), &[item(1, 2), item(1, 2)]),
        (mark(2), &[late]),
        (mark(2), &[stolen]),
    ];
    for (block, items) in refused {
        let refused = ledger.take(store, &block, items);
        assert!(
            matches!(
                refused,
                Err(BadFinal::Block { .. } | BadFinal::Order { .. } | BadFinal::Item { .. })
            ),
            "{block:?} {items:?}"
        );
        assert_eq!(*ledger.record(), before);
        assert_eq!(ledger.taken().items.len(), 1);
    }
    ledger.take(store, &mark(2), &[item(1, 2)]).unwrap();
    let rolled = [item(0, 1), item(1, 2)]
        .iter()
        .fold([0; 32], |before, one| one.item.rolling_hash(&before));
    assert_eq!(ledger.record().rolling, rolled);
}

/// The contract refuses a batch that leaves an item out if `time of item + overdue < time of its last origin`.
#[test]
fn an_item_is_due_at_the_first_block_at_which_the_contract_calls_it_overdue() {
    let rig = rig();
    let store = &rig.shared().store;
    let mut ledger = Ledger::new(record(0));
    let mut due = Vec::new();
    for number in 1..=20 {
        let items: Vec<EnqueuedItem> = match number {
            2 => vec![item(0, 2), item(1, 2)],
            4 => vec![item(2, 4)],
            19 => vec![item(3, 19)],
            _ => Vec::new(),
        };
        ledger.take(store, &mark(number), &items).unwrap();
        // some of it is on disk when the rest comes, as after a restart
        if number % 3 == 0 {
            let (taken, record) = ledger.hand_over();
            store
                .write_base(&taken.blocks, &taken.items, &record)
                .unwrap();
            ledger = Ledger::new(store.base_record().unwrap().unwrap());
        }
        due.push(ledger.record().due);
    }
    let (taken, record) = ledger.hand_over();
    store
        .write_base(&taken.blocks, &taken.items, &record)
        .unwrap();
    let overdue = |item: &BaseItem, at: u64| item.time + OVERDUE < base_block(at).time;
    for index in 0..4 {
        let item = store.base_item(index).unwrap().unwrap();
        let first = (1..=20).find(|at| overdue(&item, *at));
        assert_eq!(item.due_at, first, "item {index}");
    }
    assert_eq!(store.base_item(2).unwrap().unwrap().due_at, Some(10));
    assert_eq!(store.base_item(3).unwrap().unwrap().due_at, None);
    assert!(due.is_sorted());
}
