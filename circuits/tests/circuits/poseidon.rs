//! The permutation rows.

use circuits::gadgets::poseidon;
use circuits::layout::{Columns, Fixed, WIDTH};
use circuits::trace::{At, GateSet, Trace, TraceCircuit, Wiring, at};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use crate::harness::{accepts, mock, proves};

#[derive(Clone, Default)]
struct Hashes;

impl GateSet for Hashes {
    const FIXED: &'static [Fixed] = &[
        Fixed::Poseidon3,
        Fixed::Poseidon5,
        Fixed::Poseidon6,
        Fixed::Leaf,
    ];

    fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
        for width in [3, 5, 6] {
            poseidon::configure(meta, columns, width);
        }
    }
}

/// `count` chained hashes of each width; the last hash is public.
fn chain(count: usize, seed: u64) -> (TraceCircuit<Hashes>, Vec<Fr>) {
    let mut wiring = Wiring::default();
    let mut trace = Trace::new(3 * count);
    let mut last: Option<(At, Fr)> = None;
    for index in 0..3 * count {
        let (selector, inputs) = match index % 3 {
            0 => (Fixed::Poseidon3, 2),
            1 => (Fixed::Poseidon5, 4),
            _ => (Fixed::Poseidon6, 5),
        };
        let mut values: Vec<Fr> = (0..inputs).map(|i| Fr::from(seed + i)).collect();
        if let Some((cell, hash)) = last {
            values[1] = hash;
            wiring.copy(cell, at(1, index));
        }
        wiring.enable(selector, index);
        let mut row = [Fr::zero(); WIDTH];
        let hash = poseidon::assign(&mut row, &values);
        for (column, value) in row.iter().enumerate() {
            trace.set(at(column, index), *value);
        }
        last = Some((at(poseidon::OUT, index), hash));
    }
    let (cell, hash) = last.unwrap();
    wiring.expose(cell, 0);
    (TraceCircuit::new(wiring, trace), vec![hash])
}

#[test]
fn chained_hashes_satisfy_the_gates_and_prove() {
    let (circuit, instance) = chain(2, 7);
    assert_eq!(mock(6, &circuit, &instance), Ok(()));
    assert!(!accepts(6, &circuit, &[instance[0] + Fr::one()]));
    assert!(proves(6, circuit, &instance));
}

#[test]
fn every_cell_of_a_permutation_row_is_constrained() {
    let (circuit, instance) = chain(1, 9);
    for (row, inputs, cells) in [(0, 2, 80), (1, 4, 99), (2, 5, 107)] {
        for column in (0..inputs).chain(poseidon::OUT..poseidon::INTERNAL + cells - inputs) {
            let mut tampered = circuit.clone();
            let trace = tampered.trace_mut().unwrap();
            trace.set(at(column, row), trace.get(at(column, row)) + Fr::one());
            assert!(
                !accepts(6, &tampered, &instance),
                "row {row} column {column}"
            );
        }
    }
}
