//! What the circuit costs, and what it declares.

use circuits::data::layout::{BLINDED_ROWS, DEGREE};
use circuits::data::{DataCircuit, DataColumns, DataShape};
use halo2_proofs::plonk::{Circuit, ConstraintSystem};
use halo2curves::bn256::Fr;

fn configured() -> (ConstraintSystem<Fr>, DataColumns) {
    let mut cs = ConstraintSystem::default();
    let columns = DataCircuit::configure(&mut cs);
    (cs, columns)
}

#[test]
fn declared_degree_is_the_largest_degree_of_a_gate() {
    let (cs, _) = configured();
    let polynomials = cs.gates().iter().flat_map(|gate| gate.polynomials());
    let largest = polynomials.map(|polynomial| polynomial.degree()).max();
    assert_eq!(largest, Some(DEGREE));
    assert_eq!(cs.degree(), DEGREE);
}

#[test]
fn shape_is_what_aggregation_was_promised() {
    let (cs, _) = configured();
    assert_eq!((cs.num_advice_columns(), cs.num_fixed_columns()), (5, 6));
    assert_eq!((cs.num_instance_columns(), cs.num_selectors()), (1, 0));
    assert_eq!(cs.permutation().get_columns().len(), 0);
    assert_eq!(cs.lookups().len(), 0);
    // Every advice query is an element of the proof.
    assert_eq!(cs.advice_queries().len(), 61 + 4 * 3);
    assert_eq!(cs.fixed_queries().len(), 5 + 6);
}

#[test]
fn stated_rows_are_what_halo2_leaves() {
    let (cs, _) = configured();
    assert_eq!(cs.blinding_factors() + 1, BLINDED_ROWS);
    for (groups, expected) in [(1, 8), (2, 9), (3, 9), (4, 10), (1024, 17), (1048, 17)] {
        let shape = DataShape { groups };
        assert_eq!(shape.k(), expected, "{groups} groups");
        assert!(shape.rows() + BLINDED_ROWS <= 1 << expected);
    }
    assert_eq!(DataShape { groups: 1049 }.k(), 18);
}
