//! The chunk circuit in lanes beside the naive one: the same statement, the same public inputs.

#[path = "lanes/checker.rs"]
mod checker;
#[path = "lanes/choices.rs"]
mod choices;
#[path = "lanes/cost.rs"]
mod cost;
#[path = "lanes/dropped.rs"]
mod dropped;
#[path = "lanes/evaluator.rs"]
mod evaluator;
#[path = "lanes/forgeries.rs"]
mod forgeries;
#[path = "lanes/historic.rs"]
mod historic;
#[path = "lanes/honest.rs"]
mod honest;
#[path = "lanes/idle.rs"]
mod idle;
#[path = "lanes/mutation.rs"]
mod mutation;
#[path = "lanes/random.rs"]
mod random;
#[path = "lanes/refill.rs"]
mod refill;
#[path = "lanes/second.rs"]
mod second;
#[path = "lanes/selectors.rs"]
mod selectors;
#[path = "lanes/together.rs"]
mod together;
#[path = "lanes/wave.rs"]
mod wave;

use circuits::chunk::ChunkShape;
use circuits::convert::to_circuit;
use circuits::lanes::opening::Opening;
use circuits::lanes::{BLINDED_ROWS, LaneCircuit, LaneShape};
use halo2_proofs::plonk::{Circuit, ConstraintSystem};
use halo2curves::bn256::Fr;
use protocol::chunk::{ChunkLoad, ChunkSize};
use protocol::witness::ChunkWitness;

use crate::chunk::every_witness;
use crate::harness::{accepts, mock, proves};

/// Room for the witness, and for paths of sixteen levels that share little.
pub(crate) fn shape(witness: &ChunkWitness) -> LaneShape {
    LaneShape {
        pairs: witness.pairs.len() + 8,
    }
}

#[test]
fn every_operation_fills_the_lanes_and_exposes_what_the_naive_circuit_does() {
    for (name, witness) in every_witness() {
        let (_, inputs, errors) = shape(&witness).fill(&witness).unwrap();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, Vec::<String>::new(), "{name}");
        assert_eq!(inputs, witness.public_inputs().map(to_circuit));
        let naive = ChunkShape {
            pairs: witness.pairs.len(),
        };
        assert_eq!(naive.prove(&witness).unwrap().1, inputs, "{name}");
    }
}

/// What a batch is cut by (`protocol::chunk`), against what the circuit fills.
#[test]
fn the_load_of_a_chunk_is_what_its_trace_holds() {
    for (name, witness) in every_witness() {
        let shape = shape(&witness);
        let (circuit, _) = shape.prove(&witness).unwrap();
        let mut load = ChunkLoad::default();
        for pair in &witness.pairs {
            let before = load.used();
            load.take(pair);
            let needed = load.used();
            assert!(
                add(before, ChunkSize::PAIR_MAX).has_room(&needed, &ChunkSize::default()),
                "{name}: no pair needs more than PAIR_MAX"
            );
        }
        let slots = witness.pairs.iter().flat_map(|pair| &pair.slots);
        let accesses = slots.flat_map(|slot| &slot.accesses);
        let opening = Opening::new(accesses.chain([&witness.idle]));
        let [wide_hashes, short_hashes] = shape.hashes_asked(circuit.trace().unwrap());
        let held = ChunkSize {
            pairs: witness.pairs.len(),
            leaves: opening.leaves.len(),
            nodes: opening.nodes.len(),
            wide_hashes,
            short_hashes,
        };
        assert_eq!(load.used(), held, "{name}");
    }
}

fn add(left: ChunkSize, right: ChunkSize) -> ChunkSize {
    ChunkSize {
        pairs: left.pairs + right.pairs,
        leaves: left.leaves + right.leaves,
        nodes: left.nodes + right.nodes,
        wide_hashes: left.wide_hashes + right.wide_hashes,
        short_hashes: left.short_hashes + right.short_hashes,
    }
}

#[test]
fn the_protocols_chunk_is_the_fullest_of_its_rows_and_batches_are_cut_by_its_size() {
    let shape = LaneShape::protocol();
    assert_eq!(shape, LaneShape::fullest(15));
    assert_eq!(shape.size(), ChunkSize::PROTOCOL);
}

#[test]
fn every_operation_satisfies_the_gates_in_lanes() {
    for (name, witness) in every_witness() {
        let shape = shape(&witness);
        let (circuit, inputs) = shape.prove(&witness).unwrap();
        assert_eq!(mock(shape.k(), &circuit, &inputs), Ok(()), "{name}");
    }
}

#[test]
fn lanes_prove_and_refuse_other_public_inputs() {
    let (_, witness) = every_witness().remove(0);
    let shape = shape(&witness);
    let (circuit, inputs) = shape.prove(&witness).unwrap();
    for changed in 0..3 {
        let mut wrong = inputs;
        wrong[changed] += Fr::one();
        assert!(!accepts(shape.k(), &circuit, &wrong));
    }
    assert!(proves(shape.k(), circuit, &inputs));
}

#[test]
fn declared_degree_and_blinded_rows_of_the_lanes_are_those_of_the_gates() {
    let mut meta = ConstraintSystem::<Fr>::default();
    LaneCircuit::configure(&mut meta);
    let gates = meta.gates().iter().flat_map(|gate| gate.polynomials());
    let degree = gates.map(|polynomial| polynomial.degree()).max();
    assert_eq!(degree, Some(meta.degree()));
    assert!(
        meta.blinding_factors() < BLINDED_ROWS,
        "{}",
        meta.blinding_factors()
    );
}
