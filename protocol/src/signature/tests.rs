//! circomlib's published vectors, every `must_reject` case by value, and the documented acceptance of R8 + T.

use std::str::FromStr;

use ark_ff::One;
use serde_json::Value;

use super::*;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/circomlib.json")).unwrap()
}

fn field(value: &Value) -> Fr {
    Fr::from_str(value.as_str().unwrap()).unwrap()
}

fn decimal_le(text: &str) -> [u8; 32] {
    let big: num::Digits = num::parse(text);
    num::to_le(&big)
}

/// Decimal strings that may exceed both moduli.
mod num {
    pub(super) type Digits = Vec<u8>;

    pub(super) fn parse(text: &str) -> Digits {
        text.bytes().map(|b| b - b'0').collect()
    }

    pub(super) fn to_le(digits: &Digits) -> [u8; 32] {
        let mut out = [0_u8; 32];
        for digit in digits {
            let mut carry = u32::from(*digit);
            for byte in &mut out {
                let value = u32::from(*byte) * 10 + carry;
                *byte = (value & 255) as u8;
                carry = value >> 8;
            }
            assert_eq!(carry, 0);
        }
        out
    }
}

fn add_le(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut carry = 0_u16;
    for i in 0..32 {
        let sum = u16::from(a[i]) + u16::from(b[i]) + carry;
        out[i] = (sum & 255) as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    out
}

const L: &str = "2736030358979909402780800718157159386076813972158567259200215660948447373041";

fn sample() -> (SecretKey, Fr, Signature) {
    let key = SecretKey::from_seed(&[7; 32]);
    let message = Fr::from(1234_u64);
    let signature = key.sign(&message);
    (key, message, signature)
}

fn bytes(key: &PublicKey, signature: &Signature) -> Vec<u8> {
    let mut bytes = crate::codec::to_bytes(key);
    bytes.extend(crate::codec::to_bytes(signature));
    bytes
}

#[test]
fn poseidon_vectors_pass() {
    let vectors = vectors();
    let cases = vectors["poseidon"].as_array().unwrap();
    assert_eq!(cases.len(), 21);
    for case in cases {
        let inputs: Vec<Fr> = case["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(field)
            .collect();
        let output = match inputs[..] {
            [a] => poseidon([a]),
            [a, b] => poseidon([a, b]),
            [a, b, c] => poseidon([a, b, c]),
            [a, b, c, d] => poseidon([a, b, c, d]),
            [a, b, c, d, e] => poseidon([a, b, c, d, e]),
            [a, b, c, d, e, f] => poseidon([a, b, c, d, e, f]),
            _ => panic!("vectors have 1 to 6 inputs"),
        };
        assert_eq!(output, field(&case["output"]));
    }
}

#[test]
fn eddsa_vectors_pass() {
    let vectors = vectors();
    let cases = vectors["eddsa_poseidon"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    let mut packed_cases = 0;
    for case in cases {
        let seed: [u8; 32] = hex::decode(case["private_key_hex"].as_str().unwrap())
            .unwrap()
            .try_into()
            .unwrap();
        let message = vector_message(case);
        let key = SecretKey::from_seed(&seed);
        assert_eq!(key.public().0.x, field(&case["public_key"][0]));
        assert_eq!(key.public().0.y, field(&case["public_key"][1]));
        let signature = key.sign(&message);
        assert_eq!(signature.r8.x, field(&case["r8"][0]));
        assert_eq!(signature.r8.y, field(&case["r8"][1]));
        assert_eq!(signature.s(), decimal_le(case["s"].as_str().unwrap()));
        if let Some(packed) = case["packed_signature_hex"].as_str() {
            packed_cases += 1;
            assert_eq!(hex::encode(packed_by_circomlib(&signature)), packed);
        }
        assert_eq!(verify(&key.public(), &message, &signature), Ok(()));
        assert_eq!(
            verify(&key.public(), &(message + Fr::one()), &signature),
            Err(SignatureError::Mismatch)
        );
    }
    assert_eq!(packed_cases, 8);
}

/// The message of a vector: little-endian bytes (the first case) or a decimal field element
/// (the others). Exactly one of the two stands in a case.
fn vector_message(case: &Value) -> Fr {
    match (&case["message_le_hex"], &case["message"]) {
        (Value::String(text), Value::Null) => {
            let mut bytes = hex::decode(text).unwrap();
            assert!(bytes.len() <= 32, "a longer message would be cut");
            bytes.resize(32, 0);
            crate::codec::field_from_le_bytes(&bytes.try_into().unwrap()).unwrap()
        }
        (Value::Null, decimal @ Value::String(_)) => field(decimal),
        other => panic!("a vector has one message: {other:?}"),
    }
}

/// circomlib's packed signature: y of R8 with the sign of x (x > p/2) in the top bit, then S. It is not our wire
/// form; here it pins the published bytes once more.
fn packed_by_circomlib(signature: &Signature) -> Vec<u8> {
    let mut bytes = field_to_le_bytes(&signature.r8.y);
    let half = Fr::MODULUS >> 1_u32;
    if signature.r8.x.into_bigint() > half {
        bytes[31] |= 0x80;
    }
    [bytes, signature.s()].concat()
}

/// The list in the vectors file; each case has its own test below.
#[test]
fn every_must_reject_case_is_written_out() {
    assert_eq!(vectors()["must_reject"].as_array().unwrap().len(), 7);
}

// must_reject 0
#[test]
fn s_plus_l_is_rejected() {
    let (_, _, signature) = sample();
    let shifted = add_le(&signature.s(), &decimal_le(L));
    assert_eq!(
        Signature::new(signature.r8, &shifted),
        Err(SignatureError::ScalarTooLarge)
    );
    assert_eq!(
        Signature::new(signature.r8, &decimal_le(L)),
        Err(SignatureError::ScalarTooLarge)
    );
}

// must_reject 1
#[test]
fn zero_scalar_with_identity_is_rejected() {
    let (key, message, _) = sample();
    let identity = Point::new(Fr::ZERO, Fr::ONE).unwrap();
    let forged = Signature::new(identity, &[0; 32]).unwrap();
    assert_eq!(
        verify(&key.public(), &message, &forged),
        Err(SignatureError::Mismatch)
    );
}

// must_reject 2
#[test]
fn r8_off_the_curve_is_rejected() {
    let (_, _, signature) = sample();
    assert_eq!(
        Point::new(signature.r8.x + Fr::ONE, signature.r8.y),
        Err(SignatureError::NotOnCurve)
    );
    let mut encoded = crate::codec::to_bytes(&signature);
    encoded[0] ^= 1;
    assert!(crate::codec::from_bytes::<Signature>(&encoded).is_err());
}

/// The eight points T with 8T = O, by multiplying a point of full order by l.
fn small_order_points() -> Vec<Point> {
    let order = Scalar::MODULUS;
    let torsion = (2_u64..)
        .find_map(|y| {
            let point = EdwardsAffine::get_point_from_y_unchecked(Fr::from(y), false)?;
            let torsion = point.into_group().mul_bigint(order);
            (!torsion.double().double().is_zero()).then_some(torsion)
        })
        .unwrap();
    let mut points = vec![];
    let mut sum = EdwardsProjective::zero();
    for _ in 0..8 {
        points.push(Point::from_projective(sum));
        sum += torsion;
    }
    assert!(sum.is_zero());
    points
}

// must_reject 3
#[test]
fn small_order_keys_are_rejected() {
    for point in small_order_points() {
        assert_eq!(
            PublicKey::new(point.x, point.y),
            Err(SignatureError::SmallOrderKey)
        );
    }
    assert_eq!(
        PublicKey::new(Fr::ZERO, Fr::ONE),
        Err(SignatureError::SmallOrderKey)
    );
    assert_eq!(
        PublicKey::new(Fr::ZERO, -Fr::ONE),
        Err(SignatureError::SmallOrderKey)
    );
    assert_eq!(
        PublicKey::new(Fr::ZERO, Fr::ZERO),
        Err(SignatureError::NotOnCurve),
        "the null key"
    );
}

// must_reject 4 and 5: coordinate + p, message + p. There is no packed form.
#[test]
fn non_canonical_encodings_are_rejected() {
    let (key, message, signature) = sample();
    let mut modulus = [0; 32];
    modulus.copy_from_slice(&Fr::MODULUS.to_bytes_le());
    let good = bytes(&key.public(), &signature);
    for coordinate in 0..4 {
        let mut encoded = good.clone();
        let range = coordinate * 32..coordinate * 32 + 32;
        let shifted = add_le(&good[range.clone()].try_into().unwrap(), &modulus);
        encoded[range].copy_from_slice(&shifted);
        assert!(crate::codec::from_bytes::<(PublicKey, Signature)>(&encoded).is_err());
    }
    assert!(crate::codec::from_bytes::<(PublicKey, Signature)>(&good).is_ok());
    let shifted = add_le(&field_to_le_bytes(&message), &modulus);
    assert!(crate::codec::field_from_le_bytes(&shifted).is_err());
}

// must_reject 6: lengths. The wire form is x and y, so there is no sign bit to flip.
#[test]
fn wrong_lengths_are_rejected() {
    let (key, _, signature) = sample();
    let (key, signature) = (
        crate::codec::to_bytes(&key.public()),
        crate::codec::to_bytes(&signature),
    );
    for wrong in [31, 33, 63, 65] {
        let mut bytes = key.clone();
        bytes.resize(wrong, 0);
        assert!(crate::codec::from_bytes::<PublicKey>(&bytes).is_err());
    }
    for wrong in [63, 65, 95, 97] {
        let mut bytes = signature.clone();
        bytes.resize(wrong, 0);
        assert!(crate::codec::from_bytes::<Signature>(&bytes).is_err());
    }
}

/// Only the key's owner can make R8 + T: sign for the challenge of the shifted point. Accepted, as documented.
#[test]
fn r8_with_a_small_order_part_is_accepted() {
    let key = SecretKey::from_seed(&[9; 32]);
    let message = Fr::from(77_u64);
    for torsion in small_order_points() {
        let r = Scalar::from(123_456_789_u64);
        let r8 = EdwardsProjective::generator().mul_bigint(r.into_bigint()) + torsion.affine();
        let r8 = Point::from_projective(r8);
        let c = reduce(&challenge(&r8, &key.public(), &message));
        let s = r + c * Scalar::from_le_bytes_mod_order(&key.scalar.to_bytes_le());
        let signature = Signature { r8, s };
        assert_eq!(verify(&key.public(), &message, &signature), Ok(()));
        assert!(verify_batch(&[
            (key.public(), message, signature),
            claim(1)
        ]));
    }
}

fn claim(seed: u8) -> Claim {
    let key = SecretKey::from_seed(&[seed; 32]);
    let message = Fr::from(u64::from(seed) * 1_000_003);
    (key.public(), message, key.sign(&message))
}

#[test]
fn batch_agrees_with_single_checks_and_names_the_invalid() {
    let mut claims: Vec<Claim> = (0..33).map(claim).collect();
    assert!(verify_batch(&claims));
    assert!(verify_batch(&[]));
    assert!(invalid_claims(&claims).is_empty());
    claims[4].1 += Fr::ONE;
    claims[31].2 = claims[30].2;
    assert!(!verify_batch(&claims));
    assert_eq!(invalid_claims(&claims), vec![4, 31]);
}
