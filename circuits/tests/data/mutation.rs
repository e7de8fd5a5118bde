//! Every cell is changed and somebody must complain.

use std::collections::BTreeSet;

use circuits::data::layout::{
    ADVICE, BLOCK_ROWS, CHAIN, ENABLED, HASH_OUT, INVERSE, PLACES, Z, rows,
};
use circuits::data::{DataShape, Table};
use circuits::trace::{At, at};
use ff::Field;
use halo2curves::bn256::Fr;
use protocol::witness::DataWitness;
use protocol::words::Sequence;
use rand::Rng;

use crate::judge::Judge;
use crate::lies;
use crate::samples::{FULL, place, plain, point, public_inputs, rng};

/// Cells that no gate reads: the rows after the hash, and the place columns beside the initial state.
fn is_unread(capacity: usize, cell: At) -> bool {
    let tail = cell.row >= capacity * BLOCK_ROWS;
    match cell.column {
        CHAIN => !tail && cell.row % BLOCK_ROWS > HASH_OUT,
        _ => tail,
    }
}

fn cells(capacity: usize) -> impl Iterator<Item = At> {
    (0..ADVICE).flat_map(move |column| (0..rows(capacity)).map(move |row| at(column, row)))
}

#[test]
fn change_of_any_cell_alone_is_refused_unless_nothing_reads_it() {
    // One enabled and one disabled group.
    let (capacity, witness) = (2, plain());
    let judge = Judge::new(capacity);
    let honest = Table::assign(DataShape { groups: capacity }, &witness).unwrap();
    let instance = public_inputs(&witness);
    let mut rng = rng(70);
    for cell in cells(capacity) {
        let value = honest.get(cell);
        for changed in [value + Fr::one(), Fr::zero(), -value, Fr::random(&mut rng)] {
            if changed == value {
                continue;
            }
            let mut table = honest.clone();
            table.set(cell, changed);
            let accepted = judge.accepts(&table, &instance);
            assert_eq!(
                accepted,
                is_unread(capacity, cell),
                "{cell:?} = {changed:?}"
            );
        }
    }
}

/// The table in which one cell is off by `change` and all later cells follow from it.
fn consistent(capacity: usize, witness: &DataWitness, lie: At, change: Fr) -> Table {
    let hook = |cell, value| if cell == lie { value + change } else { value };
    Table::assign_with(DataShape { groups: capacity }, witness, hook).unwrap()
}

#[test]
fn change_that_everything_after_it_follows_is_refused_by_its_own_constraint() {
    // No padding: a change of its word would break a second constraint.
    let group = [
        place(Sequence::Ops, 200),
        Some((Sequence::Withdrawals, FULL)),
        place(Sequence::Inbox, 3),
        Some((Sequence::Ops, FULL)),
    ];
    let (capacity, witness) = (
        2,
        DataWitness {
            groups: vec![group; 2],
            z: point(71),
        },
    );
    let judge = Judge::new(capacity);
    let instance = public_inputs(&witness);
    let tail = capacity * BLOCK_ROWS;
    let mut sole = BTreeSet::new();
    for cell in cells(capacity).filter(|cell| !is_unread(capacity, *cell)) {
        // A step of 4 leaves the range of a crumb whatever it was.
        let change = Fr::from(if cell.column < PLACES { 4 } else { 1 });
        let table = consistent(capacity, &witness, cell, change);
        let complaints = judge.inner_complaints(&table);
        let row = cell.row % BLOCK_ROWS;
        if cell == at(CHAIN, tail + Z) {
            // Another z is another statement, true as such.
            assert_eq!(complaints, BTreeSet::new());
            assert_ne!(table.outputs()[Z], instance[Z]);
        } else if cell.column == CHAIN && [ENABLED, INVERSE].contains(&row) {
            // The two flags hold each other; `lies` breaks each of their constraints alone.
            assert!(!complaints.is_empty(), "{cell:?}");
        } else if cell.column < PLACES && row == 0 {
            // A tag of 4 and more is a padding of sorts too; `lies` has it with the word 0.
            let expected = (format!("place {} tag", cell.column), cell.row);
            assert!(complaints.contains(&expected), "{cell:?}: {complaints:?}");
        } else {
            assert_eq!(complaints.len(), 1, "{cell:?}: {complaints:?}");
            sole.extend(complaints.into_iter().map(|(name, _)| name));
        }
        assert!(!judge.accepts(&table, &instance), "{cell:?}");
    }

    // With the lies made by hand, each constraint is the only one in the way of some lie: none of
    // them could be dropped unnoticed.
    for (name, judge, table) in lies::against_single_constraints() {
        let complaints = judge.inner_complaints(&table);
        let names: BTreeSet<_> = complaints.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, BTreeSet::from([name.clone()]));
        assert!(!judge.mock_accepts(&table, &table.outputs()), "{name}");
        sole.insert(name);
    }
    sole.insert(public_input_alone());
    assert_eq!(sole, judge.names());
}

/// The name of the constraint that refuses an honest table with another instance.
fn public_input_alone() -> String {
    let (judge, witness) = (Judge::new(1), plain());
    let table = Table::assign(DataShape { groups: 1 }, &witness).unwrap();
    for row in 0..6 {
        let mut instance = public_inputs(&witness);
        instance[row] += Fr::one();
        let expected = ("public input".to_owned(), row);
        assert_eq!(
            judge.complaints(&table, &instance),
            BTreeSet::from([expected])
        );
    }
    "public input".to_owned()
}

#[test]
fn judge_and_mock_prover_agree() {
    let (capacity, witness) = (2, plain());
    let judge = Judge::new(capacity);
    let instance = public_inputs(&witness);
    let table = Table::assign(judge.shape, &witness).unwrap();
    assert!(judge.mock_accepts(&table, &instance));
    let mut rng = rng(72);
    let mut refused = 0;
    for _ in 0..100 {
        let cell = at(rng.gen_range(0..ADVICE), rng.gen_range(0..table.rows()));
        let mut changed = table.clone();
        changed.set(cell, changed.get(cell) + Fr::from(rng.gen_range(0..2)));
        let verdict = judge.accepts(&changed, &instance);
        assert_eq!(verdict, judge.mock_accepts(&changed, &instance), "{cell:?}");
        refused += u32::from(!verdict);
    }
    assert!(
        (20..80).contains(&refused),
        "both verdicts occur: {refused} of 100 refused"
    );
}
