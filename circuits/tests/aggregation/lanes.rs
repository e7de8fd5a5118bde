//! Level 0 over a real proof of the lanes: two phases, challenges between them, some three hundred commitments.

use circuits::aggregation::{
    ACCUMULATOR_LIMBS, Aggregation, AggregationShape, Lone, WideCircuit, inner_protocol,
};
use circuits::instance;
use circuits::lanes::LaneShape;
use halo2_proofs::plonk::{keygen_pk, keygen_vk};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr};
use protocol::account::{L1Address, Leaf, LeafKey};
use protocol::number::{Amount, Height, TokenId};
use protocol::state::State;
use protocol::transaction::Domain;
use protocol::witness::{BatchTrace, ChunkWitness};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::claim::{holds_under, prove};

/// The shape of every level (`prover::aggregate`): one proof of the lanes fills its rows.
const SHAPE: AggregationShape = AggregationShape::new(18, 8);

/// A chunk in which nothing happens.
fn quiet_chunk() -> ChunkWitness {
    let leaf = Leaf::new(
        LeafKey::NULL,
        L1Address([1; 20]),
        TokenId(0),
        Amount::new(1).expect("small"),
    );
    let domain = Domain::new(31_337, L1Address([0xee; 20]), [2; 32], 1);
    BatchTrace::new(domain, State::new(vec![leaf]), Height(0), 0).cut()
}

#[test]
fn level_0_takes_a_proof_of_the_lanes_and_a_broken_one_leaves_a_false_accumulator() {
    let shape = LaneShape { pairs: 8 };
    let params = ParamsKZG::<Bn256>::setup(shape.k(), ChaCha20Rng::seed_from_u64(5));
    let key = keygen_vk(&params, &shape.circuit()).expect("keys");
    let protocol = inner_protocol(&params, &key, instance::chunk::LEN, false);
    let key = keygen_pk(&params, key, &shape.circuit()).expect("keys");
    let (circuit, inputs) = shape.prove(&quiet_chunk()).expect("a true witness");
    let proof = prove(&params, &key, circuit, &inputs);
    let alone = |chunk| Lone {
        key: &protocol,
        chunk,
    };
    let built = WideCircuit::build(SHAPE, &alone(proof.clone())).expect("room for one");
    assert_eq!(built.needed.advice, SHAPE.advice);
    assert_eq!(built.instance[ACCUMULATOR_LIMBS..], inputs);
    assert!(holds_under(&params, &built.instance));
    let mut broken = proof.clone();
    let last_evaluation = broken.proof.len() - 3 * 32;
    broken.proof[last_evaluation] ^= 1;
    let built = WideCircuit::build(SHAPE, &alone(broken)).expect("room for one");
    assert!(!holds_under(&params, &built.instance));
    let mut other = proof;
    other.instance[instance::chunk::DIGEST_AFTER] += Fr::one();
    let built = WideCircuit::build(SHAPE, &alone(other)).expect("room for one");
    assert!(!holds_under(&params, &built.instance));
}
