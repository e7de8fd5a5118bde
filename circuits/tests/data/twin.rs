//! The circuit and `DataWitness::public_inputs` are one function.

use circuits::data::{DataError, DataShape, Table};
use protocol::params::BATCH_ABSORPTIONS_MAX;
use protocol::witness::DataWitness;
use protocol::words::Sequence;

use crate::judge::Judge;
use crate::samples::{FULL, ZERO, place, point, public_inputs, random};

fn agrees(judge: &Judge, witness: &DataWitness) {
    let table = Table::assign(judge.shape, witness).expect("it fits");
    let instance = public_inputs(witness);
    assert_eq!(table.outputs(), instance);
    assert_eq!(judge.complaints(&table, &instance), Default::default());
}

#[test]
fn random_batches_agree_with_the_native_twin() {
    let judge = Judge::new(3);
    for seed in 0..40 {
        agrees(&judge, &random(seed as usize % 4, seed));
    }
    let witness = random(2, 99);
    let table = Table::assign(DataShape { groups: 3 }, &witness).unwrap();
    assert!(judge.mock_accepts(&table, &public_inputs(&witness)));
}

#[test]
fn boundary_words_in_every_place_and_sequence_agree() {
    let judge = Judge::new(1);
    for sequence in [Sequence::Ops, Sequence::Withdrawals, Sequence::Inbox] {
        for word in [ZERO, FULL] {
            for position in 0..4 {
                let mut group = [None; 4];
                group[position] = Some((sequence, word));
                agrees(
                    &judge,
                    &DataWitness {
                        groups: vec![group],
                        z: point(4),
                    },
                );
            }
            agrees(
                &judge,
                &DataWitness {
                    groups: vec![[Some((sequence, word)); 4]],
                    z: point(5),
                },
            );
        }
    }
}

#[test]
fn points_zero_one_and_minus_one_agree() {
    let judge = Judge::new(2);
    let one = circuits::convert::NativeField::from(1_u64);
    for z in [one - one, one, -one] {
        agrees(&judge, &DataWitness { z, ..random(2, 17) });
    }
}

#[test]
fn empty_batch_agrees_and_has_the_initial_accumulator() {
    let judge = Judge::new(2);
    let witness = DataWitness {
        groups: vec![],
        z: point(2),
    };
    agrees(&judge, &witness);
    let table = Table::assign(DataShape { groups: 2 }, &witness).unwrap();
    assert!(judge.mock_accepts(&table, &public_inputs(&witness)));
    let initial = circuits::convert::to_circuit(protocol::words::iv_data());
    assert_eq!(public_inputs(&witness)[0], initial);
}

#[test]
fn groups_without_a_word_are_absorbed_by_neither() {
    let judge = Judge::new(2);
    let mut witness = random(2, 8);
    let expected = public_inputs(&witness);
    witness.groups.insert(1, [None; 4]);
    witness.groups.push([None; 4]);
    agrees(&judge, &witness);
    assert_eq!(public_inputs(&witness), expected);
}

#[test]
fn one_group_more_than_the_capacity_is_refused_by_name() {
    let shape = DataShape { groups: 2 };
    assert!(shape.prove(&random(2, 3)).is_ok());
    let refusal = shape.prove(&random(3, 3)).map(|_| ());
    assert_eq!(
        refusal,
        Err(DataError::TooManyGroups {
            groups: 3,
            capacity: 2
        })
    );
}

#[test]
fn batch_of_the_protocols_capacity_agrees() {
    let DataShape { groups: capacity } = DataShape::protocol();
    assert_eq!(capacity as u64, BATCH_ABSORPTIONS_MAX);
    assert_eq!(DataShape::protocol().k(), 17);
    let judge = Judge::new(capacity);
    agrees(&judge, &random(capacity, 6));
    // Only words of one sequence: the longest polynomial.
    let group = [place(Sequence::Ops, 255); 4];
    agrees(
        &judge,
        &DataWitness {
            groups: vec![group; capacity],
            z: point(7),
        },
    );
}
