//! Sums against the library's, on the edges.

use ff::Field;
use halo2curves::bn256::{Fr, G1, G1Affine};
use halo2curves::group::{Curve, Group};
use snark_verifier::loader::halo2::EccInstructions;

use super::super::chip::ForeignPoint;
use super::super::host::HostCircuit;
use super::super::limbs::point_of_limbs;
use super::checker::Checker;
use super::{host, random_point, random_scalar, rng};

/// `sum scalar * point` in a circuit: its value, and what the constraints say.
fn sum(pairs: &[(Fr, G1Affine)], fixed: bool) -> (G1Affine, Option<String>) {
    let mut circuit = host(false);
    let mut chip = circuit.chip.clone();
    let manager = circuit.builder.pool(0);
    let scalars: Vec<_> = pairs
        .iter()
        .map(|(scalar, _)| manager.main().load_witness(*scalar))
        .collect();
    let point = if fixed {
        let pairs: Vec<_> = scalars
            .iter()
            .zip(pairs)
            .map(|(s, (_, p))| (s, *p))
            .collect();
        chip.fixed_base_msm(manager, &pairs)
    } else {
        let points: Vec<ForeignPoint> = pairs
            .iter()
            .map(|(_, point)| chip.assign_point(manager, *point))
            .collect();
        let pairs: Vec<_> = scalars.iter().zip(&points).collect();
        chip.variable_base_msm(manager, &pairs)
    };
    let value = chip.value(manager, &point);
    let failure = verdict(&circuit);
    (value, failure)
}

fn verdict(circuit: &HostCircuit) -> Option<String> {
    Checker::new(circuit).failure(&circuit.chip.tape().grid())
}

fn native(pairs: &[(Fr, G1Affine)]) -> G1Affine {
    pairs
        .iter()
        .fold(G1::identity(), |sum, (scalar, point)| {
            sum + *point * *scalar
        })
        .to_affine()
}

fn check(pairs: &[(Fr, G1Affine)]) {
    for fixed in [false, true] {
        let (value, failure) = sum(pairs, fixed);
        assert_eq!(failure, None, "fixed: {fixed}");
        assert_eq!(value, native(pairs), "fixed: {fixed}");
    }
}

#[test]
fn sums_agree_with_the_library_on_edge_scalars() {
    let mut rng = rng(1);
    let point = random_point(&mut rng);
    let edges = [
        Fr::one(),
        -Fr::one(),
        Fr::from(2).pow_vartime([253]),
        Fr::from(1 << 20),
        random_scalar(&mut rng),
    ];
    for scalar in edges {
        check(&[(scalar, point)]);
    }
    // 0 times a point next to one that counts
    check(&[(Fr::zero(), point), (Fr::from(7), random_point(&mut rng))]);
}

#[test]
fn sums_agree_with_the_library_on_repeated_and_opposite_points() {
    let mut rng = rng(2);
    let point = random_point(&mut rng);
    let scalars = [0; 3].map(|_| random_scalar(&mut rng));
    check(&[
        (scalars[0], point),
        (scalars[1], point),
        (scalars[2], -point),
    ]);
    let generator = G1Affine::generator();
    check(&[(scalars[0], generator), (scalars[0], generator)]);
}

#[test]
fn a_sum_that_is_the_identity_is_refused() {
    let mut rng = rng(3);
    let point = random_point(&mut rng);
    let scalar = random_scalar(&mut rng);
    // the last addition is that of a point to its opposite, which has no slope
    let (_, failure) = sum(&[(scalar, point), (scalar, -point)], false);
    assert_eq!(failure.as_deref(), Some("slope modulo r"));
    let (_, failure) = sum(&[(Fr::zero(), point)], true);
    assert_eq!(failure.as_deref(), Some("slope modulo r"));
}

#[test]
fn the_identity_and_points_off_the_curve_are_refused_as_witnesses() {
    let mut rng = rng(4);
    let good = random_point(&mut rng);
    let off = G1Affine {
        x: good.x,
        y: good.y + halo2curves::bn256::Fq::one(),
    };
    for point in [G1Affine::default(), off] {
        let (_, failure) = sum(&[(Fr::from(3), point)], false);
        assert!(failure.is_some());
    }
}

#[test]
fn sums_of_sums_share_points_and_agree_with_the_library() {
    let mut rng = rng(5);
    let mut circuit = host(false);
    let mut chip = circuit.chip.clone();
    let manager = circuit.builder.pool(0);
    let points = [0; 3].map(|_| random_point(&mut rng));
    let scalars = [0; 4].map(|_| random_scalar(&mut rng));
    let cells = scalars.map(|scalar| manager.main().load_witness(scalar));
    let own = [0, 1].map(|i| chip.assign_point(manager, points[i]));

    let inner = chip.variable_base_msm(manager, &[(&cells[0], &own[0]), (&cells[1], &own[1])]);
    let fixed = chip.fixed_base_msm(
        manager,
        &[(&cells[2], points[2]), (&cells[0], G1Affine::default())],
    );
    let plain = chip.sum_with_const(manager, &[&inner, &fixed, &own[0]], points[1]);
    let outer = chip.variable_base_msm(manager, &[(&cells[3], &plain), (&cells[0], &own[0])]);
    let total = chip.sum_with_const(manager, &[&outer, &own[1], &own[1]], G1Affine::default());

    let inner = points[0] * scalars[0] + points[1] * scalars[1];
    let plain = inner + points[2] * scalars[2] + points[0] + points[1];
    let expected = plain * scalars[3] + points[0] * scalars[0] + points[1] + points[1];
    let value = chip.value(manager, &total);
    assert_eq!(value, expected.to_affine());

    // a plain sum, an equality and limbs of an instance
    let direct = chip.sum_with_const(manager, &[&own[0], &own[1]], points[2]);
    let again = chip.sum_with_const(manager, &[&own[1], &own[0]], points[2]);
    chip.assert_equal(manager, &direct, &again);
    let limbs = chip.to_instance_limbs(manager, &total);
    assert_eq!(point_of_limbs(&limbs.map(|limb| *limb.value())), value);
    let back = chip.from_instance_limbs(manager, &limbs);
    chip.assert_equal(manager, &back, &total);
    assert_eq!(verdict(&circuit), None);
}

#[test]
fn unequal_points_are_not_equal() {
    let mut rng = rng(6);
    let mut circuit = host(false);
    let chip = circuit.chip.clone();
    let manager = circuit.builder.pool(0);
    let left = chip.assign_point(manager, random_point(&mut rng));
    let right = chip.assign_point(manager, random_point(&mut rng));
    chip.assert_equal(manager, &left, &right);
    assert_eq!(verdict(&circuit).as_deref(), Some("link"));
}
