//! Sums against the library's, on the edges.

use ff::Field;
use halo2_proofs::dev::MockProver;
use halo2curves::bn256::{Fq, Fr, G1, G1Affine};
use halo2curves::group::{Curve, Group};
use snark_verifier::loader::halo2::EccInstructions;

use super::trace::Trace;
use super::{host, random_point, random_scalar, rng, sum};
use crate::gadgets::foreign::limbs::point_of_limbs;

fn native(pairs: &[(Fr, G1Affine)]) -> G1Affine {
    pairs
        .iter()
        .fold(G1::identity(), |sum, (scalar, point)| {
            sum + *point * *scalar
        })
        .to_affine()
}

/// Value of a sum, and whether its constraints hold.
fn made(pairs: &[(Fr, G1Affine)], fixed: bool) -> (G1Affine, bool) {
    let (mut builder, mut chip) = host();
    let point = sum((&mut builder, &mut chip), pairs, fixed);
    let value = chip.value(builder.pool(0), &point);
    (value, Trace::new(&mut builder).holds())
}

fn check(pairs: &[(Fr, G1Affine)]) {
    for fixed in [false, true] {
        assert_eq!(made(pairs, fixed), (native(pairs), true), "fixed: {fixed}");
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
    for (pairs, fixed) in [
        (vec![(scalar, point), (scalar, -point)], false),
        (vec![(Fr::zero(), point)], true),
    ] {
        assert!(!made(&pairs, fixed).1);
    }
}

#[test]
fn the_identity_and_points_off_the_curve_are_refused_as_witnesses() {
    let good = random_point(&mut rng(4));
    let off = G1Affine {
        x: good.x,
        y: good.y + Fq::one(),
    };
    for point in [G1Affine::default(), off] {
        let (mut builder, chip) = host();
        chip.assign_point(builder.pool(0), point);
        assert!(!Trace::new(&mut builder).holds());
    }
    let (mut builder, chip) = host();
    chip.assign_point(builder.pool(0), good);
    assert!(Trace::new(&mut builder).holds());
}

#[test]
fn sums_of_sums_share_points_and_the_mock_prover_agrees() {
    let mut rng = rng(5);
    let (mut builder, mut chip) = host();
    let manager = builder.pool(0);
    let points = [0; 3].map(|_| random_point(&mut rng));
    let scalars = [0; 3].map(|_| random_scalar(&mut rng));
    let cells = scalars.map(|scalar| manager.main().load_witness(scalar));
    let own = [0, 1].map(|i| chip.assign_point(manager, points[i]));
    let inner = chip.variable_base_msm(manager, &[(&cells[0], &own[0]), (&cells[1], &own[1])]);
    let fixed = chip.fixed_base_msm(
        manager,
        &[(&cells[2], points[2]), (&cells[0], G1Affine::default())],
    );
    let total = chip.sum_with_const(manager, &[&inner, &fixed, &own[0]], points[1]);
    let expected = points[0] * scalars[0]
        + points[1] * scalars[1]
        + points[2] * scalars[2]
        + points[0]
        + points[1];
    assert_eq!(chip.value(manager, &total), expected.to_affine());

    // a plain sum, an equality, limbs of an instance and back
    let direct = chip.sum_with_const(manager, &[&own[0], &own[1]], points[2]);
    let again = chip.sum_with_const(manager, &[&own[1], &own[0]], points[2]);
    chip.assert_equal(manager, &direct, &again);
    let limbs = chip.to_instance_limbs(manager, &total);
    let values = limbs.map(|limb| *limb.value());
    assert_eq!(point_of_limbs(&values), expected.to_affine());
    let back = chip.from_instance_limbs(manager, &limbs);
    assert_eq!(chip.value(manager, &back), expected.to_affine());
    assert!(Trace::new(&mut builder).holds());

    builder.assigned_instances[0] = limbs.to_vec();
    builder.calculate_params(Some(20));
    let verdict = |instance: Vec<Fr>| {
        let prover = MockProver::run(18, &builder, vec![instance]).expect("it fits");
        prover.verify().is_ok()
    };
    assert!(verdict(values.to_vec()));
    let mut other = values.to_vec();
    other[4] += Fr::one();
    assert!(!verdict(other));
}

#[test]
fn different_points_are_not_equal() {
    let mut rng = rng(6);
    let (mut builder, chip) = host();
    let manager = builder.pool(0);
    let points = [0; 2].map(|_| chip.assign_point(manager, random_point(&mut rng)));
    chip.assert_equal(manager, &points[0], &points[1]);
    assert!(!Trace::new(&mut builder).holds());
}
