//! Signatures against `protocol::signature`, with the forgeries of the design's list.

use circuits::convert::{limbs, power_of_two, to_circuit};
use circuits::gadgets::edwards::Point;
use circuits::gadgets::poseidon;
use circuits::gadgets::range::{self, Pattern};
use circuits::gadgets::signature::{self, ROWS, Signature, SignatureValues, subgroup_order};
use circuits::layout::{Columns, Fixed};
use circuits::trace::{At, Block, GateSet, Trace, TraceCircuit, Wiring, at};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use protocol::signature::{SecretKey, verify};

use crate::harness::{accepts, mock, proves};

#[derive(Clone, Default)]
struct Signatures;

impl GateSet for Signatures {
    const FIXED: &'static [Fixed] = &[
        Fixed::Poseidon6,
        Fixed::Crumbs,
        Fixed::Range20And5,
        Fixed::Range15And8,
        Fixed::SignatureHead,
        Fixed::Ladder,
        Fixed::SignatureTail,
    ];

    fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
        poseidon::configure(meta, columns, 6);
        range::configure(meta, columns, &[Pattern::Bytes20And5, Pattern::Bytes15And8]);
        signature::configure(meta, columns);
    }
}

fn ranges() -> [(Pattern, At); 4] {
    let (low, high) = Signature { row: 0 }.ranges();
    [
        (Pattern::Bytes15And8, low[0]),
        (Pattern::Bytes15And8, low[1]),
        (Pattern::Bytes20And5, high[0]),
        (Pattern::Bytes20And5, high[1]),
    ]
}

fn place(row: usize, pattern: Pattern, value: Fr, block: &mut Block) {
    let _ = range::assign(block.row_mut(row), pattern, &[value]);
}

/// One signature and its range rows; public: A and M.
fn circuit(values: &SignatureValues) -> (TraceCircuit<Signatures>, Vec<Fr>, Result<(), String>) {
    let mut wiring = Wiring::default();
    let signature = Signature { row: 0 };
    signature.wire(&mut wiring);
    let mut block = Block::new(ROWS + 4);
    let verdict = signature::assign(&mut block, 0, values);
    for (i, (pattern, cell)) in ranges().into_iter().enumerate() {
        wiring.enable(Fixed::Crumbs, ROWS + i);
        wiring.enable(pattern.selector(), ROWS + i);
        wiring.copy(cell, at(0, ROWS + i));
        let value = block.get(cell);
        place(ROWS + i, pattern, value, &mut block);
    }
    let [x, y] = signature.key();
    wiring.expose(x, 0);
    wiring.expose(y, 1);
    wiring.expose(signature.message(), 2);
    let mut trace = Trace::new(ROWS + 4);
    trace.place(0, &block);
    let instance = vec![values.key.x, values.key.y, values.message];
    (TraceCircuit::new(wiring, trace), instance, verdict)
}

pub(crate) fn signed(seed: u8, message: u64) -> SignatureValues {
    let secret = SecretKey::from_seed(&[seed; 32]);
    let message = -protocol::Fr::from(message);
    let signature = secret.sign(&message);
    assert_eq!(verify(&secret.public(), &message, &signature), Ok(()));
    let (key, r8) = (secret.public().point(), signature.r8());
    let mut response = [0; 4];
    for (limb, chunk) in response.iter_mut().zip(signature.s().chunks_exact(8)) {
        *limb = u64::from_le_bytes(chunk.try_into().unwrap());
    }
    SignatureValues {
        key: Point {
            x: to_circuit(key.x()),
            y: to_circuit(key.y()),
        },
        commitment: Point {
            x: to_circuit(r8.x()),
            y: to_circuit(r8.y()),
        },
        response: Fr::from_raw(response),
        message: to_circuit(message),
    }
}

fn order() -> Fr {
    Fr::from_raw(subgroup_order())
}

/// All points of order dividing 8: multiples of one of order 8.
pub(crate) fn small_order() -> Vec<Point<Fr>> {
    // x such that (x, y) has order 8: found as 2T = a point of order 4, whose y is 0.
    let a = Fr::from(168_700);
    let d = Fr::from(168_696);
    let sqrt = |value: Fr| Option::<Fr>::from(ff::Field::sqrt(&value));
    let invert = |value: Fr| Option::<Fr>::from(ff::Field::invert(&value)).unwrap();
    // doubling to y = 0 needs y^2 = a x^2; on the curve 2 y^2 = 1 + (d / a) y^4.
    let root = sqrt(Fr::one() - d * invert(a)).unwrap();
    let candidates = [root, -root].into_iter().filter_map(|root| {
        let yy = (Fr::one() + root) * a * invert(d);
        let y = sqrt(yy)?;
        let x = sqrt(yy * invert(a))?;
        Some(Point { x, y })
    });
    let generator = candidates
        .into_iter()
        .next()
        .expect("the curve has a point of order 8");
    let mut points = vec![Point::identity()];
    for i in 0..7 {
        points.push(points[i].add(&generator));
    }
    assert_eq!(points[7].add(&generator), Point::identity());
    assert_ne!(points[4], Point::identity());
    points
}

#[test]
fn honest_signatures_satisfy_and_prove() {
    for (seed, message) in [(1, 0), (2, 1), (3, 77)] {
        let (circuit, instance, verdict) = circuit(&signed(seed, message));
        assert_eq!(verdict, Ok(()));
        assert_eq!(mock(6, &circuit, &instance), Ok(()));
    }
    let (circuit_, instance, verdict) = circuit(signature::idle_signature());
    assert_eq!(verdict, Ok(()));
    assert_eq!(mock(6, &circuit_, &instance), Ok(()));
    let (circuit, instance, _) = circuit(&signed(4, 5));
    assert!(proves(6, circuit, &instance));
}

#[test]
fn commitment_with_a_small_order_part_gets_the_native_verdict() {
    // Only the key's owner can make one: sign with R8 + T as commitment, so that the challenge covers it.
    for torsion in small_order() {
        let honest = signed(9, 3);
        let shifted = SignatureValues {
            commitment: honest.commitment.add(&torsion),
            ..honest
        };
        // The challenge changes, so this is no signature, whatever T is (but for T = O).
        let accepted = circuit(&shifted).2.is_ok();
        assert_eq!(accepted, torsion == Point::identity());
        let (circuit, instance, verdict) = circuit(&resigned(9, torsion));
        assert_eq!(verdict, Ok(()));
        assert_eq!(mock(6, &circuit, &instance), Ok(()));
    }
}

/// A signature with commitment `B8 + torsion` by the key 3 B8: S = 1 + 24 c mod l.
pub(crate) fn resigned(message: u64, torsion: Point<Fr>) -> SignatureValues {
    let key = Point::base().double().add(&Point::base());
    let commitment = Point::base().add(&torsion);
    let message = Fr::from(message);
    let inputs = [commitment.x, commitment.y, key.x, key.y, message];
    let challenge = limbs(poseidon::schedule(6).run(&inputs).1);
    let mut response = Fr::zero();
    let mut term = Fr::zero();
    for bit in (0..254).rev() {
        term = modular(term, term);
        if circuits::convert::bits(&challenge, bit, 1) == 1 {
            term = modular(term, Fr::one());
        }
    }
    for _ in 0..24 {
        response = modular(response, term);
    }
    SignatureValues {
        key,
        commitment,
        response: modular(response, Fr::one()),
        message,
    }
}

fn modular(a: Fr, b: Fr) -> Fr {
    let sum = a + b;
    if sum >= order() { sum - order() } else { sum }
}

#[test]
fn forgeries_are_refused() {
    let honest = signed(1, 7);
    let eight_a = honest.key.double().double().double();
    let off_curve = Point {
        x: honest.commitment.x + Fr::one(),
        y: honest.commitment.y,
    };
    let forgeries = [
        (
            "S + 1",
            SignatureValues {
                response: honest.response + Fr::one(),
                ..honest
            },
        ),
        (
            "S + l",
            SignatureValues {
                response: honest.response + order(),
                ..honest
            },
        ),
        (
            "S = 0",
            SignatureValues {
                response: Fr::zero(),
                ..honest
            },
        ),
        (
            "other message",
            SignatureValues {
                message: honest.message + Fr::one(),
                ..honest
            },
        ),
        (
            "8A for A",
            SignatureValues {
                key: eight_a,
                ..honest
            },
        ),
        (
            "R8 off the curve",
            SignatureValues {
                commitment: off_curve,
                ..honest
            },
        ),
        (
            "A off the curve",
            SignatureValues {
                key: off_curve,
                ..honest
            },
        ),
        (
            "null key",
            SignatureValues {
                key: Point {
                    x: Fr::zero(),
                    y: Fr::zero(),
                },
                ..honest
            },
        ),
        (
            "-R8",
            SignatureValues {
                commitment: honest.commitment.negated(),
                ..honest
            },
        ),
    ];
    for (name, values) in forgeries {
        let (circuit, instance, verdict) = circuit(&values);
        assert!(!accepts(6, &circuit, &instance), "{name}");
        assert!(
            verdict.is_err() || name == "S + l",
            "{name}: the witness maker must notice"
        );
    }
}

#[test]
fn keys_of_small_order_are_refused() {
    for key in small_order() {
        // S B8 = R8 would hold for every c.
        let values = SignatureValues {
            key,
            commitment: Point::base(),
            response: Fr::one(),
            message: Fr::from(5),
        };
        let (circuit, instance, verdict) = circuit(&values);
        assert!(verdict.is_err());
        assert!(!accepts(6, &circuit, &instance));
    }
}

/// c + p as the bits of the challenge: a second challenge for the same signature (review finding C3).
#[test]
fn a_challenge_of_p_or_more_is_refused() {
    let mut tried = 0;
    for message in 0..40 {
        let honest = signed(1, message);
        let (circuit, instance, _) = circuit(&honest);
        let trace = circuit.trace().unwrap();
        let challenge = limbs(trace.get(at(5, ROWS - 1)));
        let modulus = limbs(-Fr::one());
        // c + p, limb by limb
        let mut sum = [0u64; 4];
        let mut carry = 1u128; // p = (p - 1) + 1
        for i in 0..4 {
            let total = u128::from(challenge[i]) + u128::from(modulus[i]) + carry;
            sum[i] = total as u64;
            carry = total >> 64;
        }
        if carry > 0 || sum[3] >> 62 != 0 {
            continue;
        }
        tried += 1;
        let mut tampered = circuit.clone();
        assert!(rewrite_challenge(&mut tampered, &sum));
        assert!(!accepts(6, &tampered, &instance));
        if tried == 3 {
            return;
        }
    }
    panic!("about a third of all challenges have c + p below 2^254");
}

/// Puts other bits of c into the ladder and recomputes everything that follows from them in the ladder.
fn rewrite_challenge(circuit: &mut TraceCircuit<Signatures>, bits: &[u64; 4]) -> bool {
    let trace = circuit.trace_mut().unwrap();
    let mut running = Fr::zero();
    for row in 1..=19 {
        for step in 0..14 {
            let place = 14 * (20 - row) - 1 - step;
            let bit = Fr::from(circuits::convert::bits(bits, place, 1));
            trace.set(at(6 + 7 * step + 1, row), bit);
            running = running.double() + bit;
        }
        trace.set(at(1, row), running);
    }
    // The running scalar still equals c modulo p: only the canonical check can notice.
    running == trace.get(at(5, ROWS - 1)) && running != power_of_two(0)
}

#[test]
fn every_used_cell_is_constrained() {
    let (circuit, instance, _) = circuit(&signed(6, 7));
    let cells = (0..15)
        .chain(102..104)
        .map(|column| (0, column))
        .chain((0..104).map(|column| (1, column)))
        .chain((0..104).map(|column| (10, column)))
        .chain((0..104).map(|column| (19, column)))
        .chain((0..18).map(|column| (20, column)))
        .chain((0..6).map(|column| (21, column)));
    for (row, column) in cells {
        let mut tampered = circuit.clone();
        let trace = tampered.trace_mut().unwrap();
        trace.set(at(column, row), trace.get(at(column, row)) + Fr::one());
        assert!(
            !accepts(6, &tampered, &instance),
            "row {row} column {column}"
        );
    }
}
