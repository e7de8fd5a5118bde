//! Each encoding round trips, and each second spelling of a point is refused.

use ark_bn254::{Fq, Fr, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInteger, One, PrimeField};

use super::*;

fn samples() -> Vec<G1Affine> {
    (1_u64..20)
        .map(|i| (G1Affine::generator() * Fr::from(i * i)).into_affine())
        .collect()
}

fn compressed(point: &G1Affine) -> [u8; 32] {
    let (x, y) = point.xy().unwrap();
    let mut bytes = coordinate_to_le(&x);
    if y.into_bigint().is_odd() {
        bytes[31] |= ODD_FLAG;
    }
    bytes
}

#[test]
fn compressed_points_decode_to_themselves_and_their_negatives() {
    for point in samples() {
        let mut bytes = compressed(&point);
        assert_eq!(g1_from_compressed(&bytes), Ok(point));
        bytes[31] ^= ODD_FLAG;
        assert_eq!(g1_from_compressed(&bytes), Ok(-point));
    }
}

#[test]
fn the_identity_has_one_compressed_spelling() {
    let mut bytes = [0_u8; 32];
    bytes[31] = IDENTITY_FLAG;
    assert_eq!(g1_from_compressed(&bytes), Ok(G1Affine::identity()));
    bytes[31] |= ODD_FLAG;
    assert_eq!(g1_from_compressed(&bytes), Err(EncodingError::StrayFlag));
    // Zero without the flag is x = 0, and 3 is not a square.
    assert_eq!(g1_from_compressed(&[0; 32]), Err(EncodingError::NotOnCurve));
}

#[test]
fn the_identity_flag_on_another_point_is_refused() {
    for point in samples() {
        let mut bytes = compressed(&point);
        bytes[31] |= IDENTITY_FLAG;
        assert_eq!(g1_from_compressed(&bytes), Err(EncodingError::StrayFlag));
    }
}

#[test]
fn coordinates_at_or_above_the_modulus_are_refused() {
    let modulus: [u8; 32] = Fq::MODULUS.to_bytes_le().try_into().unwrap();
    assert_eq!(
        g1_from_compressed(&modulus),
        Err(EncodingError::NonCanonical)
    );
    // The generator is (1, 2): x + q is the same number modulo q.
    let mut shifted = Fq::MODULUS;
    shifted.add_with_carry(&Fq::one().into_bigint());
    let shifted: [u8; 32] = shifted.to_bytes_le().try_into().unwrap();
    assert_eq!(
        g1_from_compressed(&shifted),
        Err(EncodingError::NonCanonical)
    );
    let two = reversed(&coordinate_to_le(&Fq::from(2_u64)));
    assert_eq!(
        g1_from_words(&reversed(&shifted), &two),
        Err(EncodingError::NonCanonical)
    );
}

#[test]
fn pairs_round_trip_and_keep_the_identity() {
    for point in samples().into_iter().chain([G1Affine::identity()]) {
        assert_eq!(g1_from_pair(&g1_to_pair(&point)), Ok(point));
    }
    let mut bytes = g1_to_pair(&G1Affine::generator());
    bytes[32] ^= 1;
    assert_eq!(g1_from_pair(&bytes), Err(EncodingError::NotOnCurve));
}

#[test]
fn word_pairs_round_trip_and_refuse_the_identity() {
    for point in samples() {
        let (x, y) = point.xy().unwrap();
        let words = [x, y].map(|c| reversed(&coordinate_to_le(&c)));
        assert_eq!(g1_from_words(&words[0], &words[1]), Ok(point));
        assert_eq!(
            g1_from_words(&words[1], &words[0]),
            Err(EncodingError::NotOnCurve)
        );
    }
    assert_eq!(
        g1_from_words(&[0; 32], &[0; 32]),
        Err(EncodingError::Identity)
    );
}

#[test]
fn second_group_pairs_are_checked_for_curve_and_subgroup() {
    let point = (G2Affine::generator() * Fr::from(77_u64)).into_affine();
    let bytes = g2_to_pair(&point);
    assert_eq!(g2_from_pair(&bytes), Ok(point));
    assert_eq!(g2_from_pair(&[0; 128]), Err(EncodingError::Identity));
    let mut off = bytes;
    off[0] ^= 1;
    assert_eq!(g2_from_pair(&off), Err(EncodingError::NotOnCurve));
    // The curve of the second group has a large cofactor: a point found by trying x is almost
    // surely outside the subgroup.
    let outside = (1_u64..)
        .find_map(|i| G2Affine::get_point_from_x_unchecked(Fq2::from(i), false))
        .unwrap();
    assert!(!outside.is_in_correct_subgroup_assuming_on_curve());
    assert_eq!(
        g2_from_pair(&g2_to_pair(&outside)),
        Err(EncodingError::NotInSubgroup)
    );
}
