//! The data circuit against `protocol::words`.

use circuits::convert::to_circuit;
use circuits::data::{DataError, DataShape};
use circuits::trace::at;
use halo2curves::bn256::Fr;
use protocol::witness::DataWitness;
use protocol::words::{Group, Sequence, Word};

use crate::harness::{accepts, mock, proves};

const SHAPE: DataShape = DataShape { groups: 6 };

fn word(seed: u8) -> Word {
    Word(std::array::from_fn(|i| {
        seed.wrapping_mul(31).wrapping_add(i as u8 * 7)
    }))
}

fn witness() -> DataWitness {
    let ops = |seed| Some((Sequence::Ops, word(seed)));
    let full = Word([0xff; 31]);
    let groups: Vec<Group> = vec![
        [ops(1), None, ops(2), None],
        [
            Some((Sequence::Inbox, full)),
            Some((Sequence::Inbox, word(4))),
            None,
            ops(5),
        ],
        [
            None,
            Some((Sequence::Withdrawals, word(6))),
            Some((Sequence::Withdrawals, full)),
            None,
        ],
        [
            ops(0),
            Some((Sequence::Ops, Word::default())),
            ops(7),
            ops(8),
        ],
    ];
    DataWitness {
        groups,
        z: -protocol::Fr::from(12_345u64),
    }
}

#[test]
fn sequences_are_evaluated_as_natively_and_prove() {
    let witness = witness();
    let (circuit, inputs) = SHAPE.prove(&witness).unwrap();
    assert_eq!(inputs, witness.public_inputs().map(to_circuit));
    assert_eq!(mock(SHAPE.k(), &circuit, &inputs), Ok(()));
    for changed in 0..6 {
        let mut wrong = inputs;
        wrong[changed] += Fr::one();
        assert!(!accepts(SHAPE.k(), &circuit, &wrong), "input {changed}");
    }
    let empty = DataWitness {
        groups: vec![],
        ..witness.clone()
    };
    let (circuit_, inputs_) = SHAPE.prove(&empty).unwrap();
    assert_eq!(mock(SHAPE.k(), &circuit_, &inputs_), Ok(()));
    assert!(proves(SHAPE.k(), circuit, &inputs));
    let crowded = DataWitness {
        groups: vec![[None; 4]; 7],
        ..witness
    };
    let error = SHAPE.prove(&crowded).map(|_| ());
    assert_eq!(
        error,
        Err(DataError::TooManyGroups {
            groups: 7,
            capacity: 6
        })
    );
}

/// The same tagged place read as another sequence: word and tag trade 2^248.
#[test]
fn a_place_has_one_reading() {
    let (circuit, inputs) = SHAPE.prove(&witness()).unwrap();
    let row = 1 + 7; // second group: two inbox words
    for (flag, high) in [(0, 2), (1, 1)] {
        let mut tampered = circuit.clone();
        let trace = tampered.trace_mut().unwrap();
        for column in [27, 28, 29] {
            trace.set(at(column, row), Fr::from(u64::from(column == 27 + flag)));
        }
        let extra = Fr::from(high) * circuits::convert::power_of_two(48);
        trace.set(at(17, row), trace.get(at(17, row)) + extra);
        trace.set(at(0, row + 6), trace.get(at(0, row + 6)) + extra);
        assert!(!accepts(SHAPE.k(), &tampered, &inputs));
    }
}

#[test]
fn every_used_cell_of_a_group_is_constrained() {
    let (circuit, inputs) = SHAPE.prove(&witness()).unwrap();
    let row = 1 + 7;
    let cells = (0..49)
        .filter(|column| !(24..27).contains(column))
        .map(|column| (column, row));
    let ranges = (2..7).flat_map(|i| [(0, row + i), (8, row + i), (107, row + i)]);
    for (column, row) in cells.chain(ranges) {
        // high parts stand in the first four columns of the last range row; low range rows use one
        let mut tampered = circuit.clone();
        let trace = tampered.trace_mut().unwrap();
        trace.set(at(column, row), trace.get(at(column, row)) + Fr::from(5));
        assert!(
            !accepts(SHAPE.k(), &tampered, &inputs),
            "row {row} column {column}"
        );
    }
}
