//! The ladder on events that no chain has to produce: prunes, undone blocks, and bytes of a store.

use alloy_primitives::{Bytes, LogData};
use alloy_sol_types::SolEvent;

use super::*;
use crate::bindings::{Header, Words};

fn mark(number: u64, branch: u8) -> BlockMark {
    BlockMark {
        number,
        hash: B256::from(
            [[branch; 24].as_slice(), &number.to_be_bytes()]
                .concat()
                .try_into()
                .unwrap_or([0; 32]),
        ),
        timestamp: 1_000 + number,
    }
}

fn log(block: BlockMark, data: LogData) -> Log {
    Log {
        inner: alloy_primitives::Log {
            address: Address::repeat_byte(1),
            data,
        },
        block: block.hash,
        block_number: block.number,
        transaction: B256::repeat_byte(9),
        transaction_index: 0,
        log_index: 0,
    }
}

fn stored(number: u64) -> StoredBatch {
    let zero = alloy_primitives::U256::ZERO;
    StoredBatch {
        domain: zero,
        batchNumber: alloy_primitives::U256::from(number),
        rootBefore: zero,
        rootAfter: zero,
        countersBefore: zero,
        countersAfter: zero,
        h: zero,
        z: zero,
        yOps: zero,
        yWithdrawals: zero,
        yInbox: zero,
        wordCounts: zero,
        withdrawalRoot: B256::ZERO,
        commitTime: 7,
        circuitVersion: 1,
    }
}

fn committed(number: u64) -> LogData {
    let zero = alloy_primitives::U256::ZERO;
    let event = Events::BatchCommitted {
        batchNumber: number,
        batch: stored(number),
        header: Header {
            batchNumber: number,
            rootBefore: zero,
            rootAfter: zero,
            countersBefore: zero,
            countersAfter: zero,
            h: zero,
            signedOps: 0,
            epoch: 0,
            nextSetHash: B256::ZERO,
            l1OriginTime: 0,
            circuitVersion: 1,
        },
        words: Words {
            ops: Bytes::new(),
            withdrawals: Bytes::new(),
            inbox: Bytes::new(),
        },
    };
    event.encode_log_data()
}

fn proven(number: u64) -> LogData {
    let event = Events::BatchProven {
        batchNumber: number,
        prover: Address::repeat_byte(2),
        root: alloy_primitives::U256::ZERO,
        counters: alloy_primitives::U256::ZERO,
    };
    event.encode_log_data()
}

fn pruned(number: u64) -> LogData {
    Events::BatchesPruned {
        batchNumber: number,
    }
    .encode_log_data()
}

fn applied(ladder: &mut Ladder, block: BlockMark, events: Vec<LogData>) -> LadderStep {
    let logs = events.into_iter().map(|data| log(block, data)).collect();
    let step = ladder.take(&FollowEvent::Applied { block, logs });
    step.expect("well formed")
}

fn standing(ladder: &Ladder) -> Vec<(u64, bool)> {
    (0..10)
        .filter_map(|number| Some((number, ladder.batch(number)?.proven.is_some())))
        .collect()
}

#[test]
fn undone_blocks_take_back_what_they_did_prunes_included() {
    let mut ladder = Ladder::new(BTreeMap::new(), 0);
    let one = applied(&mut ladder, mark(1, 0), vec![committed(1), committed(2)]);
    assert_eq!(one, LadderStep::Changed(vec![1, 2]));
    applied(&mut ladder, mark(2, 0), vec![proven(1), committed(3)]);
    assert_eq!(standing(&ladder), [(1, true), (2, false), (3, false)]);
    let mode = Events::ModeChanged { mode: 1 }.encode_log_data();
    applied(&mut ladder, mark(3, 0), vec![pruned(1), mode]);
    assert_eq!((standing(&ladder), ladder.mode()), (vec![(1, true)], 1));
    // a block that changed nothing, and then all of them
    assert_eq!(applied(&mut ladder, mark(4, 0), vec![]), LadderStep::None);
    for number in [4, 3] {
        let block = mark(number, 0);
        ladder
            .take(&FollowEvent::Undone { block })
            .expect("no events");
    }
    assert_eq!(standing(&ladder), [(1, true), (2, false), (3, false)]);
    assert_eq!(ladder.mode(), 0);
    for number in [2, 1] {
        let block = mark(number, 0);
        ladder
            .take(&FollowEvent::Undone { block })
            .expect("no events");
    }
    assert_eq!(standing(&ladder), []);
}

#[test]
fn what_is_final_is_handed_out_once_as_it_stood_there() {
    let mut ladder = Ladder::new(BTreeMap::new(), 0);
    applied(&mut ladder, mark(1, 0), vec![committed(1), committed(2)]);
    applied(&mut ladder, mark(2, 0), vec![proven(1)]);
    applied(&mut ladder, mark(3, 0), vec![pruned(1)]);
    let finalize = |ladder: &mut Ladder, number| {
        let block = mark(number, 0);
        match ladder
            .take(&FollowEvent::Finalized { block })
            .expect("no events")
        {
            LadderStep::Final { batches, .. } => batches
                .into_iter()
                .map(|(number, batch)| (number, batch.map(|batch| batch.proven.is_some())))
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        finalize(&mut ladder, 1),
        [(1, Some(false)), (2, Some(false))]
    );
    assert_eq!(finalize(&mut ladder, 3), [(1, Some(true)), (2, None)]);
    assert_eq!(finalize(&mut ladder, 4), []);
    assert_eq!(standing(&ladder), [(1, true)]);
}

#[test]
fn a_batch_survives_its_bytes_and_other_bytes_are_refused() {
    let place = Place {
        number: 5,
        block: B256::repeat_byte(1),
        time: 6,
        transaction: B256::repeat_byte(2),
    };
    for proven in [None, Some((place, Address::repeat_byte(3)))] {
        let batch = SettledBatch {
            stored: stored(4),
            committed: place,
            proven,
        };
        let bytes = batch.to_bytes();
        assert_eq!(SettledBatch::from_bytes(&bytes).expect("ours"), batch);
        assert!(SettledBatch::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
    assert!(SettledBatch::from_bytes(&[]).is_err());
}
