//! What sums cost, pinned: a change is a change of keys.

use halo2_proofs::plonk::ConstraintSystem;
use snark_verifier::loader::halo2::EccInstructions;

use super::super::chip::ForeignPoint;
use super::super::host::HostCircuit;
use super::super::layout::{DEGREE, ForeignConfig, WIDTH};
use super::{host, random_point, random_scalar, rng};

/// Rows of a sum of `count` witness points, or constants, and of everything that it needs.
fn rows(count: usize, fixed: bool, witness_gen_only: bool) -> usize {
    let mut rng = rng(1);
    let mut circuit = host(witness_gen_only);
    let mut chip = circuit.chip.clone();
    let manager = circuit.builder.pool(0);
    let points: Vec<_> = (0..count).map(|_| random_point(&mut rng)).collect();
    let scalars: Vec<_> = (0..count)
        .map(|_| manager.main().load_witness(random_scalar(&mut rng)))
        .collect();
    let sum = if fixed {
        let pairs: Vec<_> = scalars.iter().zip(points).collect();
        chip.fixed_base_msm(manager, &pairs)
    } else {
        let points: Vec<ForeignPoint> = points
            .iter()
            .map(|point| chip.assign_point(manager, *point))
            .collect();
        let pairs: Vec<_> = scalars.iter().zip(&points).collect();
        chip.variable_base_msm(manager, &pairs)
    };
    chip.value(manager, &sum);
    let rows = chip.tape().rows();
    assert_eq!(chip.tape().grid().rows(), rows);
    rows
}

#[test]
fn rows_of_sums_are_pinned() {
    // 850 rows a witness point, 625 a constant, and 4,296 a sum
    let once = 4 + 8 + 17 + 50 * 5 * 17 + 11 + 6;
    for (count, variable, fixed) in [
        (1, 5_146, 4_921),
        (50, 46_796, 35_546),
        (170, 148_796, 110_546),
    ] {
        assert_eq!(
            rows(count, false, false),
            variable,
            "{count} witness points"
        );
        assert_eq!(rows(count, true, false), fixed, "{count} constants");
        assert_eq!(variable, once + 850 * count);
        assert_eq!(fixed, once + 625 * count);
    }
    let cells = rows(170, false, true) * (WIDTH + 1) / 170;
    assert_eq!(
        cells, 7_877,
        "advice cells a point, of 170; halo2-ecc needs about 170,000"
    );
}

#[test]
fn declared_degree_covers_every_gate() {
    let mut meta = ConstraintSystem::default();
    meta.set_minimum_degree(DEGREE);
    ForeignConfig::configure(&mut meta, &[]);
    let gates = meta.gates().iter().flat_map(|gate| gate.polynomials());
    let degree = gates.map(|poly| poly.degree()).max();
    assert_eq!(degree, Some(DEGREE));
    assert!(meta.lookups().is_empty(), "both are sums");
    assert_eq!(meta.degree(), DEGREE);
    assert_eq!(
        (meta.num_advice_columns(), meta.num_fixed_columns()),
        (15, 13)
    );
}

#[test]
fn layout_does_not_depend_on_witnesses() {
    let circuits: [HostCircuit; 2] = [1, 2].map(|seed| {
        let mut rng = rng(seed);
        let mut circuit = host(false);
        let mut chip = circuit.chip.clone();
        let manager = circuit.builder.pool(0);
        let scalar = manager.main().load_witness(random_scalar(&mut rng));
        let point = chip.assign_point(manager, random_point(&mut rng));
        let sum = chip.variable_base_msm(manager, &[(&scalar, &point)]);
        chip.to_instance_limbs(manager, &sum);
        circuit
    });
    let [left, right] = circuits.map(|circuit| {
        let fixed = circuit.chip.tape().grid().fixed.clone();
        let core = circuit.builder.core();
        let copies = core.copy_manager.lock().expect("no thread failed");
        let equal = copies.advice_equalities.clone();
        (fixed, equal, copies.constant_equalities.clone())
    });
    assert_eq!(left.0, right.0);
    assert_eq!(left.1, right.1);
    assert_eq!(left.2, right.2);
    assert_eq!(rows(2, false, false), rows(2, false, true));
}
