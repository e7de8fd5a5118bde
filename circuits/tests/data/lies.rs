//! Lies made by hand: the attacks the constraints are there for.

use circuits::convert::{power_of_two, to_circuit};
use circuits::data::layout::{
    BLOCK_ROWS, CHAIN, COUNTS, ENABLED, H, INVERSE, PADDING, PLACES, TAGGED, Y, Z, block_start,
};
use circuits::data::{DataShape, Table};
use circuits::trace::At;
use halo2curves::bn256::Fr;
use protocol::witness::DataWitness;
use protocol::words::{Group, Sequence, Word};

use crate::judge::Judge;
use crate::samples::{FULL, ZERO, place, plain, point, public_inputs, random};

/// Values of a place column for any tagged element, honest or not: its top two bits beyond 2^248 are
/// `tag`, whatever that makes of the first crumb below.
fn column(tag: u64, below: [u64; TAGGED]) -> [Fr; BLOCK_ROWS] {
    let mut out = [Fr::from(tag); BLOCK_ROWS];
    for (row, crumb) in below.into_iter().enumerate() {
        out[row + 1] = out[row] * Fr::from(4) + Fr::from(crumb);
    }
    out
}

/// The table in which place `index` of group `group` is replaced by `values`.
fn with_place(
    capacity: usize,
    witness: &DataWitness,
    group: usize,
    index: usize,
    values: [Fr; BLOCK_ROWS],
) -> Table {
    let start = block_start(capacity, group);
    let hook = |cell: At, value| match cell.row.checked_sub(start) {
        Some(row) if cell.column == index && row < BLOCK_ROWS => values[row],
        _ => value,
    };
    Table::assign_with(DataShape { groups: capacity }, witness, hook).unwrap()
}

/// The table in which chain cells of group `group` have given values.
fn with_chain(capacity: usize, witness: &DataWitness, group: usize, lies: &[(usize, Fr)]) -> Table {
    let start = block_start(capacity, group);
    let hook = |cell: At, value| {
        let lie = lies
            .iter()
            .find(|(row, _)| cell.column == CHAIN && cell.row == start + row);
        lie.map_or(value, |(_, value)| *value)
    };
    Table::assign_with(DataShape { groups: capacity }, witness, hook).unwrap()
}

/// A table in which group 0 is made empty although group 1 is not.
fn rising() -> Table {
    let start = block_start(2, 0);
    let hook = |cell: At, value| match cell.row.checked_sub(start) {
        Some(row) if cell.column < PLACES && row < BLOCK_ROWS => {
            Fr::from(PADDING as u64) * power_of_two(2 * row as u32)
        }
        _ => value,
    };
    Table::assign_with(DataShape { groups: 2 }, &random(2, 50), hook).unwrap()
}

/// Lies that one constraint alone refuses, with its name; those of single cells are in `mutation`.
pub(crate) fn against_single_constraints() -> Vec<(String, Judge, Table)> {
    let empty = DataWitness {
        groups: vec![],
        z: point(9),
    };
    let (zero, one) = (Fr::zero(), Fr::one());
    let mut lies = vec![
        // A group with words that the accumulator skips and the sums do not.
        (
            "disabled group is empty",
            Judge::new(1),
            with_chain(1, &plain(), 0, &[(ENABLED, zero), (INVERSE, zero)]),
        ),
        // An empty group absorbed.
        (
            "enabled",
            Judge::new(1),
            with_chain(1, &empty, 0, &[(ENABLED, one)]),
        ),
        // A second witness for one statement.
        (
            "inverse of nothing",
            Judge::new(1),
            with_chain(1, &empty, 0, &[(INVERSE, one)]),
        ),
        // Words after an empty group.
        ("enabled never rises", Judge::new(2), rising()),
    ]
    .into_iter()
    .map(|(name, judge, table)| (name.to_owned(), judge, table))
    .collect::<Vec<_>>();
    for index in 0..PLACES {
        // Padding that hides a word; the group holds another word, so it is absorbed.
        let mut group: Group = [None; PLACES];
        group[(index + 1) % PLACES] = place(Sequence::Ops, 1);
        let witness = DataWitness {
            groups: vec![group],
            z: point(10),
        };
        let mut below = [0; TAGGED];
        below[TAGGED - 1] = 1;
        let table = with_place(1, &witness, 0, index, column(PADDING as u64, below));
        lies.push((format!("place {index} padding"), Judge::new(1), table));
        // A fifth tag, with the word 0.
        let table = with_place(1, &witness, 0, index, column(4, [0; TAGGED]));
        lies.push((format!("place {index} tag"), Judge::new(1), table));
    }
    lies
}

/// The attack that the range is for: t stays as it is, so h stays, and the place is read as another
/// sequence's.
#[test]
fn place_cannot_be_read_as_another_sequences() {
    let witness = plain();
    let judge = Judge::new(1);
    let honest = Table::assign(DataShape { groups: 1 }, &witness).unwrap();
    for index in 0..PLACES {
        let values: [Fr; BLOCK_ROWS] =
            std::array::from_fn(|row| honest.get(At { column: index, row }));
        for tag in (0..4).map(Fr::from).filter(|tag| *tag != values[0]) {
            let mut read = values;
            read[0] = tag;
            let table = with_place(1, &witness, 0, index, read);
            assert_eq!(
                table.outputs()[H],
                honest.outputs()[H],
                "h binds t, not how it is read"
            );
            let complaints = judge.inner_complaints(&table);
            assert!(
                complaints.contains(&(format!("place {index} crumb"), 0)),
                "{complaints:?}"
            );
            assert!(!judge.mock_accepts(&table, &table.outputs()));
        }
    }
}

#[test]
fn word_with_bit_248_set_is_refused() {
    let witness = plain();
    let judge = Judge::new(1);
    // The tag stays and the first crumb is 4: t = word + 2^248.
    let mut below = [0; TAGGED];
    below[0] = 4;
    below[TAGGED - 1] = 2;
    let table = with_place(1, &witness, 0, 0, column(0, below));
    let expected = ("place 0 crumb".to_owned(), 0);
    assert_eq!(judge.inner_complaints(&table), [expected].into());
    // The same t with its honest reading is a word of the next sequence, and accepted as such.
    below[0] = 0;
    let table = with_place(1, &witness, 0, 0, column(1, below));
    assert_eq!(judge.inner_complaints(&table), [].into());
    assert_ne!(table.outputs(), public_inputs(&witness));
}

#[test]
fn tag_beyond_three_is_refused() {
    let judge = Judge::new(1);
    for tag in [4, 5, 1 << 20] {
        let table = with_place(1, &plain(), 0, 1, column(tag, [0; TAGGED]));
        let expected = ("place 1 tag".to_owned(), 0);
        assert!(judge.inner_complaints(&table).contains(&expected));
    }
}

#[test]
fn element_that_wraps_around_the_field_is_refused() {
    // t = 2 + p is 2 as an element; as an integer its top crumb would be far above 3.
    let judge = Judge::new(1);
    let quarter = Fr::from(4).invert().unwrap();
    let mut values = [Fr::from(2); BLOCK_ROWS];
    for row in (0..TAGGED).rev() {
        values[row] = values[row + 1] * quarter;
    }
    let table = with_place(1, &plain(), 0, 0, values);
    assert!(
        judge
            .inner_complaints(&table)
            .contains(&("place 0 tag".to_owned(), 0))
    );
}

#[test]
fn flag_beyond_one_is_refused() {
    // Half enabled: h moves half way to the hash.
    let judge = Judge::new(1);
    let presence = Fr::from(12 - 1 - 2 - 3);
    for flag in [Fr::from(2), Fr::from(2).invert().unwrap(), -Fr::one()] {
        let inverse = flag * presence.invert().unwrap();
        let table = with_chain(1, &plain(), 0, &[(INVERSE, inverse)]);
        assert_eq!(
            table.get(At {
                column: CHAIN,
                row: ENABLED
            }),
            flag
        );
        let expected = ("disabled group is empty".to_owned(), 0);
        assert!(judge.inner_complaints(&table).contains(&expected));
    }
}

#[test]
fn initial_state_is_fixed() {
    let judge = Judge::new(1);
    let start = BLOCK_ROWS;
    for row in [H, Y, Y + 1, Y + 2, COUNTS, ENABLED] {
        let table = with_chain(1, &plain(), 0, &[(start + row, Fr::from(77))]);
        let expected = ("initial state".to_owned(), start + row);
        assert!(
            judge.inner_complaints(&table).contains(&expected),
            "row {row}"
        );
    }
}

#[test]
fn point_cannot_change_between_groups() {
    let judge = Judge::new(2);
    let table = with_chain(2, &random(2, 51), 0, &[(Z, Fr::from(5))]);
    let expected = ("z".to_owned(), block_start(2, 0));
    assert_eq!(judge.inner_complaints(&table), [expected].into());
}

/// Proves `told` with the table of `done`.
fn refuses(done: &DataWitness, told: &DataWitness) {
    let judge = Judge::new(2);
    let table = Table::assign(DataShape { groups: 2 }, done).unwrap();
    assert!(judge.accepts(&table, &public_inputs(done)));
    assert!(!judge.accepts(&table, &public_inputs(told)));
    assert!(!judge.mock_accepts(&table, &public_inputs(told)));
}

#[test]
fn skipped_reordered_moved_and_retagged_words_are_refused() {
    let told = random(2, 52);
    let change = |edit: &dyn Fn(&mut [Group])| {
        let mut done = told.clone();
        edit(&mut done.groups);
        assert_ne!(done, told);
        refuses(&done, &told);
    };
    let word = Some((Sequence::Ops, Word([9; 31])));
    change(&|groups| groups[0] = [word; PLACES]);
    change(&|groups| groups.swap(0, 1));
    change(&|groups| groups[1].rotate_left(1));
    let filled = groups_with_words(&told);
    change(&|groups| groups[filled.0][filled.1] = None);
    change(&|groups| {
        if let Some((sequence, _)) = &mut groups[filled.0][filled.1] {
            *sequence = match sequence {
                Sequence::Ops => Sequence::Inbox,
                _ => Sequence::Ops,
            };
        }
    });
}

/// The first place with a word.
fn groups_with_words(witness: &DataWitness) -> (usize, usize) {
    let places = (0..witness.groups.len()).flat_map(|group| (0..PLACES).map(move |p| (group, p)));
    let mut filled = places.filter(|(group, place)| witness.groups[*group][*place].is_some());
    filled.next().expect("a random batch holds words")
}

#[test]
fn order_of_words_matters_across_padding() {
    let (a, b) = (place(Sequence::Ops, 1), place(Sequence::Ops, 2));
    let batch = |groups: Vec<Group>| DataWitness {
        groups,
        z: point(11),
    };
    refuses(
        &batch(vec![[a, b, None, None]]),
        &batch(vec![[b, a, None, None]]),
    );
    // The same words in other places: only h differs, and it must.
    let (left, right) = (
        batch(vec![[a, b, None, None]]),
        batch(vec![[a, None, None, b]]),
    );
    assert_eq!(public_inputs(&left)[1..], public_inputs(&right)[1..]);
    refuses(&left, &right);
    refuses(
        &left,
        &batch(vec![[a, None, None, None], [b, None, None, None]]),
    );
}

/// Review finding C2: Horner ignores leading zero words, so only the counts (and h) tell.
#[test]
fn leading_zero_word_is_refused_by_the_counts() {
    let (zero, five) = (Some((Sequence::Ops, ZERO)), place(Sequence::Ops, 5));
    let long = DataWitness {
        groups: vec![[zero, five, None, None]],
        z: point(12),
    };
    let short = DataWitness {
        groups: vec![[five, None, None, None]],
        z: point(12),
    };
    refuses(&long, &short);
    refuses(&short, &long);
    // Even with the accumulator of the long sequence granted, its evaluation does not pass as the
    // short one's.
    let judge = Judge::new(1);
    let mut granted = public_inputs(&short);
    granted[H] = public_inputs(&long)[H];
    let table = Table::assign(DataShape { groups: 1 }, &long).unwrap();
    let expected = ("public input".to_owned(), COUNTS);
    assert_eq!(judge.complaints(&table, &granted), [expected].into());
}

#[test]
fn counts_of_sequences_do_not_mix() {
    // One word more of one sequence is not 2^64 of another.
    for (sequence, unit) in [
        (Sequence::Ops, 0),
        (Sequence::Withdrawals, 64),
        (Sequence::Inbox, 128),
    ] {
        let group = [Some((sequence, FULL)); PLACES];
        let witness = DataWitness {
            groups: vec![group; 2],
            z: point(13),
        };
        let table = Table::assign(DataShape { groups: 2 }, &witness).unwrap();
        assert_eq!(table.outputs()[COUNTS], Fr::from(8) * power_of_two(unit));
        assert_eq!(table.outputs()[Z], to_circuit(witness.z));
    }
}
