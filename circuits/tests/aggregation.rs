//! Aggregation circuits over small inner circuits: what they accept, what they state, and that each demand of theirs is
//! a constraint and not only a check before it.
//!
//! The inner proofs are real (halo2, SHPLONK, Poseidon transcript) of a circuit that claims any numbers; where it plays
//! an aggregation, its first twelve numbers are an accumulator that holds. The outer circuits run in the mock prover;
//! their accumulators are decided by a pairing.

#[path = "aggregation/claim.rs"]
mod claim;
#[path = "aggregation/lanes.rs"]
mod lanes;

use circuits::aggregation::{
    ACCUMULATOR_LIMBS, Aggregation, AggregationError, AggregationShape, BatchEnds, Built, Final,
    InnerProof, Lone, Node, Statement, Top, WideCircuit, dummy_proof,
};
use circuits::convert::to_circuit;
use claim::{Claims, holds};
use halo2_proofs::dev::MockProver;
use halo2_proofs::plonk::Circuit;
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::group::prime::PrimeCurveAffine;
use protocol::account::L1Address;
use protocol::number::{BatchNumber, Height};
use protocol::threaded::{FeeLeaves, Phase, Threaded};
use protocol::words::WordCounts;

const SHAPE: AggregationShape = AggregationShape::new(18, 2);

fn is_satisfied(built: &Built<impl Circuit<Fr>>, instance: &[Fr]) -> bool {
    MockProver::run(SHAPE.k, &built.circuit, vec![instance.to_vec()])
        .expect("the circuit fits")
        .verify()
        .is_ok()
}

/// Builds a statement whose proofs meet, and checks that it holds and that the public input of a row is bound: all rows are
/// bound by one loop, and each look takes half a minute.
fn accepted(statement: &impl Statement, row: usize) -> Vec<Fr> {
    let built = WideCircuit::build(SHAPE, statement).expect("the proofs meet");
    assert!(is_satisfied(&built, &built.instance));
    let mut other = built.instance.clone();
    other[row] += Fr::one();
    assert!(!is_satisfied(&built, &other), "row {row}");
    built.instance
}

/// A statement that is refused before proving, and by the constraints of the circuit alone.
fn refused(statement: &impl Statement, reason: &str) {
    let error = WideCircuit::build(SHAPE, statement).unwrap_err();
    assert_eq!(error, AggregationError::Unconnected(leak(reason)));
    let built = WideCircuit::build_unchecked(SHAPE, statement).expect("it can be laid out");
    assert!(!is_satisfied(&built, &built.instance), "{reason}");
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn numbers<const N: usize>(values: [u64; N]) -> Vec<Fr> {
    values.map(Fr::from).to_vec()
}

#[test]
fn a_chunk_alone_states_the_same_and_a_broken_proof_leaves_a_false_accumulator() {
    let chunks = Claims::new(3, false);
    let chunk = chunks.prove(&numbers([7, 1, 2]));
    let alone = |chunk: InnerProof| Lone {
        key: &chunks.protocol,
        chunk,
    };
    let instance = accepted(&alone(chunk.clone()), 0);
    assert_eq!(instance[ACCUMULATOR_LIMBS..], numbers([7, 1, 2]));
    assert!(holds(&chunks, &instance));
    // an evaluation changed: the circuit is satisfied, and what it leaves does not hold
    let mut broken = chunk.clone();
    let last_evaluation = broken.proof.len() - 3 * 32;
    broken.proof[last_evaluation] ^= 1;
    let built = WideCircuit::build(SHAPE, &alone(broken)).unwrap();
    assert!(is_satisfied(&built, &built.instance));
    assert!(!holds(&chunks, &built.instance));
    // another statement under the same proof
    let mut other = chunk.clone();
    other.instance[1] += Fr::one();
    let built = WideCircuit::build(SHAPE, &alone(other)).unwrap();
    assert!(!holds(&chunks, &built.instance));
    // bytes that are no proof
    let mut short = chunk.clone();
    short.proof.truncate(100);
    let error = WideCircuit::build(SHAPE, &alone(short)).unwrap_err();
    assert!(
        matches!(error, AggregationError::InvalidProof { .. }),
        "{error}"
    );
    let mut few = chunk;
    few.instance.pop();
    let error = WideCircuit::build(SHAPE, &alone(few)).unwrap_err();
    assert!(
        matches!(error, AggregationError::InvalidInstance { .. }),
        "{error}"
    );
    // a key is made from a proof that shows nothing, with the same layout
    let dummy = WideCircuit::build(SHAPE, &alone(dummy_proof(&chunks.protocol))).unwrap();
    assert_eq!(dummy.needed, built.needed);
    assert!(!holds(&chunks, &dummy.instance));
}

#[test]
fn a_node_joins_neighbours_of_one_domain() {
    let runs = Claims::new(ACCUMULATOR_LIMBS + 3, true);
    let prove = |statement: [u64; 3]| runs.prove_aggregated(&numbers(statement));
    let node = |left: &InnerProof, right: Option<&InnerProof>| Node {
        key: &runs.protocol,
        left: left.clone(),
        right: right.cloned(),
    };
    let (first, second) = (prove([7, 1, 2]), prove([7, 2, 3]));
    let instance = accepted(&node(&first, Some(&second)), ACCUMULATOR_LIMBS - 1);
    assert_eq!(instance[ACCUMULATOR_LIMBS..], numbers([7, 1, 3]));
    assert!(holds(&runs, &instance));
    let alone = WideCircuit::build(SHAPE, &node(&first, None)).unwrap();
    assert!(is_satisfied(&alone, &alone.instance));
    assert_eq!(alone.instance[ACCUMULATOR_LIMBS..], numbers([7, 1, 2]));
    assert!(holds(&runs, &alone.instance));
    refused(
        &node(&second, Some(&first)),
        "the right run does not begin where the left one ends",
    );
    refused(
        &node(&first, Some(&prove([8, 2, 3]))),
        "the runs have two domains",
    );
    // limbs that are no point are refused before they are laid out
    let mut off = first.clone();
    off.instance[0] += Fr::one();
    let error = WideCircuit::build(SHAPE, &node(&off, None)).unwrap_err();
    assert!(
        matches!(error, AggregationError::InvalidProof { which: "left", .. }),
        "{error}"
    );
    // a false accumulator inside makes the outer one false
    let mut foreign = first;
    let (lhs, rhs) = foreign.instance[..ACCUMULATOR_LIMBS].split_at_mut(ACCUMULATOR_LIMBS / 2);
    lhs.swap_with_slice(rhs);
    let built = WideCircuit::build(SHAPE, &node(&foreign, None)).unwrap();
    assert!(!holds(&runs, &built.instance));
}

/// A batch of seven words and three signed operations.
fn ends() -> BatchEnds {
    let start = Threaded::batch_start(protocol::Fr::from(11_u64), 5, Height(8), 2);
    let end = Threaded {
        root: protocol::Fr::from(12_u64),
        h: protocol::Fr::from(13_u64),
        counts: WordCounts {
            ops: 4,
            withdrawals: 2,
            inbox: 1,
            signed_operations: 3,
        },
        leaf_count: 6,
        height: Height(9),
        phase: Phase::Signed,
        fee_leaves: FeeLeaves::new(&[protocol::number::LeafIndex(1)]).unwrap(),
        ..start
    };
    BatchEnds {
        number: BatchNumber(4),
        start,
        end,
    }
}

/// The root and data proofs of a batch.
struct Batch {
    roots: [Claims; 2],
    data: Claims,
}

impl Batch {
    fn new() -> Self {
        let roots = [
            Claims::new(ACCUMULATOR_LIMBS + 3, true),
            Claims::other(ACCUMULATOR_LIMBS + 3),
        ];
        let data = Claims::new(6, false);
        Self { roots, data }
    }

    fn root_of(&self, kind: usize, ends: &BatchEnds) -> InnerProof {
        let digests = [ends.start.digest(), ends.end.digest()].map(to_circuit);
        self.roots[kind].prove_aggregated(&[vec![Fr::from(7)], digests.to_vec()].concat())
    }

    fn data_of(&self, ends: &BatchEnds) -> InnerProof {
        let counts = WordCounts {
            signed_operations: 0,
            ..ends.end.counts
        };
        let mut instance = vec![to_circuit(ends.end.h)];
        instance.extend(numbers([21, 22, 23, 24]));
        instance.push(to_circuit(counts.to_field()));
        self.data.prove(&instance)
    }
}

#[test]
fn the_top_fixes_the_ends_of_a_batch_and_joins_its_data() {
    let batch = Batch::new();
    let keys = [
        batch.roots[0].protocol.clone(),
        batch.roots[1].protocol.clone(),
    ];
    let top = |kind: usize, root: InnerProof, data: InnerProof, ends: BatchEnds| Top {
        root_keys: &keys,
        root_kind: kind,
        root,
        data_key: &batch.data.protocol,
        data,
        ends,
    };
    let ends = ends();
    let (root, data) = (batch.root_of(0, &ends), batch.data_of(&ends));
    let instance = accepted(&top(0, root.clone(), data.clone(), ends), ACCUMULATOR_LIMBS);
    let field = |value: protocol::Fr| to_circuit(value);
    let expected = [
        Fr::from(7),
        Fr::from(4),
        field(ends.start.root),
        field(ends.end.root),
        field(ends.start.counters()),
        field(ends.end.counters()),
        field(ends.end.h),
        Fr::from(21),
        Fr::from(22),
        Fr::from(23),
        Fr::from(24),
        field(ends.end.counts.to_field()),
    ];
    assert_eq!(instance[ACCUMULATOR_LIMBS..], expected);
    assert!(holds(&batch.data, &instance));

    // a root of the other kind is taken as that, and only as that
    let second = batch.root_of(1, &ends);
    let built = WideCircuit::build(SHAPE, &top(1, second.clone(), data.clone(), ends)).unwrap();
    assert!(is_satisfied(&built, &built.instance));
    assert!(holds(&batch.data, &built.instance));
    let built = WideCircuit::build(SHAPE, &top(0, second, data.clone(), ends)).unwrap();
    assert!(!holds(&batch.data, &built.instance));
    let foreign = [
        batch.roots[1].protocol.clone(),
        batch.roots[1].protocol.clone(),
    ];
    let mut unlisted = top(0, root.clone(), data.clone(), ends);
    unlisted.root_keys = &foreign;
    let built = WideCircuit::build(SHAPE, &unlisted).unwrap();
    assert!(!holds(&batch.data, &built.instance));

    // a key that cannot be a witness
    let mut empty = keys.clone();
    empty[1].preprocessed[0] = G1Affine::identity();
    let mut unusable = top(0, root.clone(), data.clone(), ends);
    unusable.root_keys = &empty;
    let error = WideCircuit::build(SHAPE, &unusable).unwrap_err();
    assert_eq!(error, AggregationError::EmptyColumn { kind: 1 });

    for (change, reason) in [
        (
            Threaded {
                h: protocol::Fr::from(1_u64),
                ..ends.start
            },
            "a batch does not start like this",
        ),
        (
            Threaded {
                fee_leaves: ends.end.fee_leaves,
                ..ends.start
            },
            "a batch does not start like this",
        ),
        (
            Threaded {
                leaf_count: 9,
                ..ends.start
            },
            "the state before is not the run's",
        ),
    ] {
        let started = BatchEnds {
            start: change,
            ..ends
        };
        // the run truly starts there, but a batch must not
        let run = match reason.contains("not the run's") {
            true => root.clone(),
            false => batch.root_of(0, &started),
        };
        refused(&top(0, run, data.clone(), started), reason);
    }
    for (change, reason) in [
        (
            Threaded {
                phase: Phase::BidPending,
                ..ends.end
            },
            "a batch does not end like this",
        ),
        (
            Threaded {
                group: protocol::threaded::OpenGroup {
                    members: 1,
                    ..ends.end.group
                },
                ..ends.end
            },
            "a batch does not end like this",
        ),
        (
            Threaded {
                root: protocol::Fr::from(1_u64),
                ..ends.end
            },
            "the state after is not the run's",
        ),
    ] {
        let ended = BatchEnds {
            end: change,
            ..ends
        };
        let run = match reason.contains("not the run's") {
            true => root.clone(),
            false => batch.root_of(0, &ended),
        };
        refused(&top(0, run, data.clone(), ended), reason);
    }
    let mut other = ends;
    other.end.h = protocol::Fr::from(99_u64);
    refused(
        &top(0, root.clone(), batch.data_of(&other), ends),
        "the data proof is about another h",
    );
    let mut other = ends;
    other.end.counts.inbox += 1;
    refused(
        &top(0, root, batch.data_of(&other), ends),
        "the data proof is about other counts",
    );
}

#[test]
fn the_final_proof_adds_its_maker() {
    let tops = Claims::new(ACCUMULATOR_LIMBS + 12, true);
    let statement: Vec<Fr> = (100..112).map(Fr::from).collect();
    let outer = Final {
        key: &tops.protocol,
        top: tops.prove_aggregated(&statement),
        prover_id: L1Address([0xab; 20]),
    };
    let instance = accepted(&outer, ACCUMULATOR_LIMBS + 12);
    assert_eq!(instance[ACCUMULATOR_LIMBS..][..12], statement);
    let id = to_circuit(L1Address([0xab; 20]).to_field());
    assert_eq!(instance[ACCUMULATOR_LIMBS + 12..], [id]);
    assert!(holds(&tops, &instance));
}
