//! Tree accesses against `protocol::tree`.

use circuits::convert::{to_circuit, to_native};
use circuits::gadgets::{merkle, poseidon};
use circuits::layout::{Columns, Fixed};
use circuits::trace::{Block, GateSet, Trace, TraceCircuit, Wiring, at};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use protocol::number::LeafIndex;
use protocol::tree::{Tree, root_of_path};

use crate::harness::{accepts, mock, proves};

#[derive(Clone, Default)]
struct Paths;

impl GateSet for Paths {
    const FIXED: &'static [Fixed] = &[Fixed::Poseidon5, Fixed::Leaf, Fixed::Level, Fixed::Inner];

    fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
        poseidon::configure(meta, columns, 5);
        merkle::configure(meta, columns);
    }
}

fn leaf(seed: u64) -> [Fr; 4] {
    std::array::from_fn(|i| Fr::from(seed + i as u64))
}

fn hash(leaf: [Fr; 4]) -> protocol::Fr {
    protocol::hash::poseidon(leaf.map(to_native))
}

/// A tree of `count` leaves in which `index` is opened; public: index, roots before and after.
fn access(count: u64, index: u32, alive: [bool; 2]) -> (TraceCircuit<Paths>, Vec<Fr>) {
    let tree = Tree::new((0..count).map(|i| hash(leaf(10 * i))).collect());
    let siblings = tree.siblings(LeafIndex(index));
    let (old, new) = (leaf(10 * u64::from(index)), leaf(777));
    let values = merkle::AccessValues {
        old: (old, alive[0]),
        new: (new, alive[1]),
        index,
        siblings: siblings.map(|level| level.map(to_circuit)),
    };
    let mut block = Block::new(merkle::ROWS);
    let roots = merkle::assign(&mut block, 0, &values);
    for (side, leaf) in [old, new].into_iter().enumerate() {
        let node = if alive[side] {
            hash(leaf)
        } else {
            protocol::Fr::from(0u64)
        };
        assert_eq!(
            to_native(roots[side]),
            root_of_path(LeafIndex(index), node, &siblings)
        );
    }
    assert_eq!(to_native(roots[0]), tree.root());
    let mut wiring = Wiring::default();
    let place = merkle::Access { row: 0 };
    place.wire(&mut wiring);
    wiring.expose(place.index(), 0);
    wiring.expose(place.roots()[0], 1);
    wiring.expose(place.roots()[1], 2);
    let mut trace = Trace::new(merkle::ROWS);
    trace.place(0, &block);
    (
        TraceCircuit::new(wiring, trace),
        vec![Fr::from(u64::from(index)), roots[0], roots[1]],
    )
}

#[test]
fn accesses_agree_with_the_native_tree() {
    for (count, index, alive) in [
        (5, 0, [true, true]),
        (5, 3, [true, true]),
        (70, 69, [true, true]),
        (70, 70, [false, true]),
        (0, 0, [false, false]),
        (3, u32::MAX, [false, true]),
    ] {
        let (circuit, instance) = access(count, index, alive);
        assert_eq!(
            mock(7, &circuit, &instance),
            Ok(()),
            "leaf {index} of {count}"
        );
        for changed in 0..3 {
            let mut wrong = instance.clone();
            wrong[changed] += Fr::one();
            assert!(!accepts(7, &circuit, &wrong));
        }
    }
    let (circuit, instance) = access(70, 70, [false, true]);
    assert!(proves(7, circuit, &instance));
}

#[test]
fn every_used_cell_of_a_path_is_constrained() {
    let (circuit, instance) = access(9, 6, [true, true]);
    for row in [0, 1, 2, 3, 16, 17, merkle::ROWS - 2, merkle::ROWS - 1] {
        let columns = match row {
            0 | 1 => vec![0, 1, 2, 3, 4, 5, 60],
            row if row % 2 == 1 => vec![0, 1, 2, 3, 4, 5, 60, 101, 102],
            _ => vec![0, 1, 2, 3, 5, 60],
        };
        for column in columns {
            let mut tampered = circuit.clone();
            let trace = tampered.trace_mut().unwrap();
            trace.set(at(column, row), trace.get(at(column, row)) + Fr::one());
            assert!(
                !accepts(7, &tampered, &instance),
                "row {row} column {column}"
            );
        }
    }
}

/// The attack of review finding H11: the new path carries another value for an untouched subtree.
#[test]
fn a_changed_sibling_is_refused_even_with_a_consistent_new_path() {
    let (honest, instance) = access(9, 6, [true, true]);
    let mut block = Block::new(merkle::ROWS);
    let tree = Tree::new((0..9).map(|i| hash(leaf(10 * i))).collect());
    let mut siblings = tree
        .siblings(LeafIndex(6))
        .map(|level| level.map(to_circuit));
    siblings[2][1] += Fr::one();
    let values = merkle::AccessValues {
        old: (leaf(60), true),
        new: (leaf(777), true),
        index: 6,
        siblings,
    };
    let roots = merkle::assign(&mut block, 0, &values);
    let mut mixed = honest.clone();
    let trace = mixed.trace_mut().unwrap();
    for row in (1..merkle::ROWS).step_by(2) {
        for column in 0..circuits::layout::WIDTH {
            trace.set(at(column, row), block.get(at(column, row)));
        }
    }
    assert!(accepts(7, &honest, &instance));
    assert!(!accepts(7, &mixed, &[instance[0], instance[1], roots[1]]));
}

/// A digit other than the one that fits the path.
#[test]
fn another_index_for_the_same_path_is_refused() {
    let (circuit, instance) = access(9, 6, [true, true]);
    for (low, high) in [(0, 0), (1, 0), (1, 1), (2, 0)] {
        let mut tampered = circuit.clone();
        let trace = tampered.trace_mut().unwrap();
        let row = 3;
        trace.set(at(101, row), Fr::from(low));
        trace.set(at(102, row), Fr::from(high));
        let index = Fr::from(low + 2 * high + 4);
        trace.set(at(4, row), index);
        assert!(
            !accepts(7, &tampered, &[index, instance[1], instance[2]]),
            "{low} {high}"
        );
    }
}
