//! What a dishonest prover would try in the lanes: scalars that are not the signature's, stale reads, leaves opened twice.

use circuits::convert::limbs;
use circuits::gadgets::edwards::Point;
use circuits::gadgets::signature::{SignatureValues, idle_signature, subgroup_order};
use circuits::lanes::bytes;
use circuits::lanes::ladder::{self, Split, split};
use circuits::lanes::layout::{Extra, ROWS, TREE_SPARE, WIDTH, place};
use circuits::lanes::{LaneCircuit, LaneShape, tree};
use circuits::trace::{At, Block, at};
use halo2curves::bn256::Fr;

use super::checker::{LaneChecker, challenges};
use super::shape;
use crate::chunk::every_witness;
use crate::harness::mock;
use crate::signature::{resigned, signed, small_order};

fn cell(name: Extra) -> At {
    let place = place(name);
    at(place.column, place.rotation as usize)
}

/// The first constraint or range that a signature and scalars break.
fn verdict(
    values: &SignatureValues,
    scalars: impl FnOnce(Fr) -> Split,
    tamper: impl FnOnce(&mut Block),
) -> Result<(), String> {
    let mut block = Block::wide(ROWS, WIDTH);
    let signed = ladder::assign(&mut block, values, scalars);
    tamper(&mut block);
    signed.and(bytes::assign(&mut block))
}

fn honest(values: &SignatureValues) -> Result<(), String> {
    verdict(values, |c| split(c, values.response), |_| {})
}

#[test]
fn signatures_in_lanes_have_the_native_verdict() {
    for (seed, message) in [(1, 0), (2, 1), (3, 77), (4, 1 << 40)] {
        assert_eq!(honest(&signed(seed, message)), Ok(()));
    }
    assert_eq!(honest(idle_signature()), Ok(()));
    for torsion in small_order() {
        assert_eq!(honest(&resigned(9, torsion)), Ok(()));
        let own = signed(9, 3);
        let shifted = SignatureValues {
            commitment: own.commitment.add(&torsion),
            ..own
        };
        assert_eq!(honest(&shifted).is_ok(), torsion == Point::identity());
    }
}

#[test]
fn forged_signatures_are_refused_in_lanes() {
    let own = signed(1, 7);
    let off_curve = Point {
        x: own.commitment.x + Fr::one(),
        y: own.commitment.y,
    };
    let null = Point {
        x: Fr::zero(),
        y: Fr::zero(),
    };
    let with_key = |key| SignatureValues { key, ..own };
    let with_commitment = |commitment| SignatureValues { commitment, ..own };
    let with_response = |response| SignatureValues { response, ..own };
    let other_message = SignatureValues {
        message: own.message + Fr::one(),
        ..own
    };
    for (name, values) in [
        ("S + 1", with_response(own.response + Fr::one())),
        ("S = 0", with_response(Fr::zero())),
        ("other message", other_message),
        ("8A for A", with_key(own.key.double().double().double())),
        ("R8 off the curve", with_commitment(off_curve)),
        ("A off the curve", with_key(off_curve)),
        ("null key", with_key(null)),
        ("-R8", with_commitment(own.commitment.negated())),
    ] {
        assert!(honest(&values).is_err(), "{name}");
    }
    for key in small_order() {
        // S B8 = R8 would hold for every c.
        let values = SignatureValues {
            key,
            commitment: Point::base(),
            response: Fr::one(),
            message: Fr::from(5),
        };
        assert_eq!(honest(&values), Err("x(8A) is not 0".to_owned()));
    }
    // S + l is S: the circuit states that a signature exists, and admission refuses the text
    let order = Fr::from_raw(subgroup_order());
    assert_eq!(honest(&with_response(own.response + order)), Ok(()));
}

#[test]
fn scalars_that_are_not_the_signatures_are_refused() {
    let own = signed(1, 7);
    let true_split = |c| split(c, own.response);
    let changed = |change: fn(&mut Split)| {
        verdict(
            &own,
            |c| {
                let mut split = true_split(c);
                change(&mut split);
                split
            },
            |_| {},
        )
    };
    let nothing = |split: &mut Split| {
        let carry = split.carry;
        *split = Split {
            v: [0; 4],
            u: [0; 4],
            is_negative: false,
            q: [0; 4],
            carry,
            w: [0; 4],
        };
        split.carry = [0, 1 << 3, 0, 0]; // 2^67: no carry
    };
    assert_eq!(changed(nothing), Err("v is not 0".to_owned()));
    for (name, change) in [
        ("q + 1", (|split| split.q[0] += 1) as fn(&mut Split)),
        ("q - 1", |split| split.q[0] -= 1),
        ("u + 1", |split| split.u[0] += 1),
        ("v + 1", |split| split.v[0] += 1),
        ("carry + 1", |split| split.carry[0] += 1),
        ("w + 1", |split| split.w[0] ^= 1),
        ("other sign", |split| split.is_negative = !split.is_negative),
    ] {
        assert!(changed(change).is_err(), "{name}");
    }
    // twice the scalars are scalars too, as long as they are short
    let twice = |split: &mut Split| {
        for number in [&mut split.v, &mut split.u, &mut split.q] {
            *number = limbs(Fr::from_raw(*number).double());
        }
        split.w = limbs(Fr::from_raw(split.w).double());
    };
    assert!(
        matches!(changed(twice), Err(rule) if rule.contains("2^128")),
        "the carry is not twice the old one's text"
    );
}

/// c + p as limbs of the challenge: a second challenge for the same signature (review finding C3).
#[test]
fn a_challenge_of_p_or_more_is_refused_in_lanes() {
    let mut tried = 0;
    for message in 0..40 {
        let own = signed(1, message);
        let mut sum = [0_u64; 4];
        let result = verdict(
            &own,
            |c| split(c, own.response),
            |block| {
                let challenge = limbs(block.get(cell(Extra::Challenge)));
                let below = limbs(-Fr::one());
                let mut carry = 1_u128; // p = (p - 1) + 1
                for i in 0..4 {
                    let total = u128::from(challenge[i]) + u128::from(below[i]) + carry;
                    (sum[i], carry) = (total as u64, total >> 64);
                }
                let high = Fr::from_raw([sum[2], sum[3], 0, 0]);
                let p_high = Fr::from_raw([below[2], below[3], 0, 0]);
                block.set(cell(Extra::C0), Fr::from(sum[0]));
                block.set(cell(Extra::C1), Fr::from(sum[1]));
                block.set(cell(Extra::C2), high);
                block.set(cell(Extra::C2Rest), p_high - Fr::one() - high);
            },
        );
        assert!(result.is_err());
        if sum[3] >> 62 == 0 {
            // the limbs fit: only the comparison with p notices
            assert_eq!(result, Err("C2Rest".to_owned()));
            tried += 1;
        }
    }
    assert!(tried > 3, "about a third of all challenges: {tried}");
}

fn transfers() -> (LaneShape, LaneCircuit, Vec<Fr>) {
    let (_, witness) = every_witness().remove(0);
    let shape = shape(&witness);
    let (circuit, inputs) = shape.prove(&witness).unwrap();
    (shape, circuit, inputs.to_vec())
}

/// What the mock prover says about a changed trace, whose products it computes anew.
fn complaint(change: impl FnOnce(&LaneShape, &mut circuits::trace::Trace)) -> String {
    let (shape, mut circuit, inputs) = transfers();
    change(&shape, circuit.trace_mut().unwrap());
    match mock(shape.k(), &circuit, &inputs) {
        Ok(()) => "accepted".to_owned(),
        Err(complaint) => complaint,
    }
}

#[test]
fn reads_of_what_is_no_longer_there_are_refused() {
    // the second transfer's fee leaf was written by the first; here it is read as the chunk found it
    let stale = complaint(|shape, trace| {
        let (time, age) = (shape.cell(1, Extra::Time3), shape.cell(1, Extra::Age3));
        let written = trace.get(time);
        assert_ne!(written, Fr::zero());
        trace.set(time, Fr::zero());
        trace.set(age, trace.get(age) + written);
    });
    assert!(
        stale.contains("memory ends") || stale.contains("products"),
        "{stale}"
    );
    // an access that claims to read what is written later: its age is negative
    let future = complaint(|shape, trace| {
        let (time, age) = (shape.cell(0, Extra::Time3), shape.cell(0, Extra::Age3));
        trace.set(time, trace.get(time) + Fr::from(6));
        trace.set(age, trace.get(age) - Fr::from(6));
    });
    assert_ne!(future, "accepted");
    let unwritten = complaint(|shape, trace| {
        let row = shape.slot_row(0) + tree::leaf_row(0) + 1;
        let written = at(tree::WRITTEN, row);
        trace.set(written, trace.get(written) + Fr::one());
    });
    assert_ne!(unwritten, "accepted");
}

#[test]
fn a_leaf_opened_twice_is_refused() {
    let twice = complaint(|shape, trace| {
        let rows = |slot: usize, i: usize| shape.slot_row(slot) + tree::leaf_row(i);
        let used = rows(0, 0);
        let places = (0..14)
            .flat_map(|slot| (0..circuits::lanes::layout::leaves(slot)).map(move |i| (slot, i)));
        let idle = places
            .map(|(slot, i)| rows(slot, i))
            .find(|row| trace.get(at(tree::ON, *row)) == Fr::zero())
            .expect("a short chunk has idle leaves");
        for column in 0..TREE_SPARE + 3 {
            for side in 0..2 {
                let value = trace.get(at(column, used + side));
                trace.set(at(column, idle + side), value);
            }
        }
    });
    assert!(twice.contains("products"), "{twice}");
}

#[test]
fn an_unopened_child_cannot_change() {
    let (shape, circuit, _) = transfers();
    let honest = circuit.trace().unwrap();
    let is_opened = |row: usize, j: usize| {
        let flag = tree::flag(j);
        let row = row.checked_add_signed(flag.rotation as isize).unwrap();
        honest.get(at(flag.column, row)) == Fr::one()
    };
    let (row, j) = (0..2)
        .flat_map(|slot| (0..tree::nodes(slot)).map(move |i| (slot, i)))
        .map(|(slot, i)| shape.slot_row(slot) + tree::node_row(slot, i) + 1)
        .filter(|row| honest.get(at(tree::ON, row - 1)) == Fr::one())
        .find_map(|row| (0..4).find(|j| !is_opened(row, *j)).map(|j| (row, j)))
        .expect("some node has a child that is not opened");
    let mut changed = circuit.clone();
    let trace = changed.trace_mut().unwrap();
    trace.set(at(j, row), trace.get(at(j, row)) + Fr::one());
    let broken = LaneChecker::new(&circuit).violations(&changed.complete(challenges()).unwrap());
    let named = broken
        .iter()
        .any(|name| name.contains("other children stay"));
    assert!(named, "{broken:?}");
}
