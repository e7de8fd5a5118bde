//! A key decodes from exactly the bytes it encodes to, and each rule refuses what it is there for.

use ark_bn254::{Fr, G1Affine, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{One, PrimeField};

use crate::key::{
    ColumnKind, ExpressionBuilder, KeyDescription, KeyError, KeyParts, Lookup, Node,
    PermutationColumn, Query,
};
use crate::transcript::TranscriptKind;

/// A small key with one entry at least in each list.
fn sample() -> KeyParts {
    let mut builder = ExpressionBuilder::new();
    let a = builder.add(Node::Advice(0));
    let b = builder.add(Node::Advice(1));
    let s = builder.add(Node::Fixed(0));
    let i = builder.add(Node::Instance(0));
    let r = builder.add(Node::Challenge(0));
    let c = builder.add(Node::Constant(Fr::from(7_u64)));
    let ab = builder.add(Node::Product(a, b));
    let rc = builder.add(Node::Product(r, c));
    let minus = builder.add(Node::Negated(i));
    let sum = builder.add(Node::Sum(ab, minus));
    let sum = builder.add(Node::Sum(sum, rc));
    let gate = builder.add(Node::Product(s, sum));
    let point = |i: u64| (G1Affine::generator() * Fr::from(i)).into_affine();
    KeyParts {
        transcript: TranscriptKind::Poseidon,
        k: 5,
        degree: 5,
        blinding_factors: 5,
        transcript_repr: Fr::from(99_u64),
        advice_phases: vec![0, 1],
        challenge_phases: vec![0],
        instance_lens: vec![3],
        advice_queries: vec![
            Query {
                column: 0,
                rotation: 0,
            },
            Query {
                column: 1,
                rotation: -1,
            },
        ],
        instance_queries: vec![Query {
            column: 0,
            rotation: 0,
        }],
        fixed_queries: vec![Query {
            column: 0,
            rotation: 0,
        }],
        nodes: builder.finish(),
        gates: vec![gate],
        lookups: vec![Lookup {
            inputs: vec![a],
            tables: vec![s],
        }],
        permutation: vec![
            PermutationColumn {
                kind: ColumnKind::Advice,
                column: 0,
            },
            PermutationColumn {
                kind: ColumnKind::Instance,
                column: 0,
            },
        ],
        fixed_commitments: vec![point(3)],
        permutation_commitments: vec![point(4), G1Affine::identity()],
        g1: G1Affine::generator(),
        s_g2: (G2Affine::generator() * Fr::from(1234_u64)).into_affine(),
    }
}

fn refusal(change: impl FnOnce(&mut KeyParts)) -> KeyError {
    let mut parts = sample();
    change(&mut parts);
    KeyDescription::new(parts).unwrap_err()
}

#[test]
fn encoding_round_trips_for_both_transcripts() {
    for transcript in [TranscriptKind::Poseidon, TranscriptKind::Keccak] {
        let key = KeyDescription::new(KeyParts {
            transcript,
            ..sample()
        })
        .unwrap();
        let bytes = key.encode();
        let again = KeyDescription::decode(&bytes).unwrap();
        assert_eq!(again, key);
        assert_eq!(again.encode(), bytes);
        assert_eq!(again.digest(), key.digest());
    }
}

#[test]
fn every_flipped_bit_is_refused_or_another_key() {
    let key = KeyDescription::new(sample()).unwrap();
    let bytes = key.encode();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << bit;
            if let Ok(other) = KeyDescription::decode(&changed) {
                assert_eq!(other.encode(), changed);
                assert_ne!(other.digest(), key.digest());
            }
        }
    }
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let bytes = KeyDescription::new(sample()).unwrap().encode();
    for len in 0..bytes.len() {
        assert!(KeyDescription::decode(&bytes[..len]).is_err(), "{len}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(
        KeyDescription::decode(&longer),
        Err(KeyError::TrailingBytes { count: 1 })
    );
}

#[test]
fn a_length_beyond_the_bytes_is_refused_before_allocating() {
    let key = KeyDescription::new(sample()).unwrap();
    let bytes = key.encode();
    // The list of nodes, by its length and first tag.
    let count = u32::try_from(key.parts().nodes.len())
        .unwrap()
        .to_le_bytes();
    let at = bytes
        .windows(5)
        .position(|w| w[..4] == count && w[4] == 3)
        .unwrap();
    for claimed in [1_u32 << 18, u32::MAX] {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&claimed.to_le_bytes());
        assert!(matches!(
            KeyDescription::decode(&changed),
            Err(KeyError::Truncated { .. } | KeyError::OutOfLimits { .. })
        ));
    }
}

#[test]
fn the_digest_covers_the_reference_string_and_the_transcript() {
    let key = KeyDescription::new(sample()).unwrap();
    let other_string = KeyParts {
        s_g2: G2Affine::generator(),
        ..sample()
    };
    let other_transcript = KeyParts {
        transcript: TranscriptKind::Keccak,
        ..sample()
    };
    for parts in [other_string, other_transcript] {
        assert_ne!(KeyDescription::new(parts).unwrap().digest(), key.digest());
    }
}

#[test]
fn a_degree_below_the_constraints_is_refused_with_advice() {
    let error = refusal(|parts| parts.degree = 3);
    assert_eq!(
        error,
        KeyError::DegreeTooLow {
            what: "a lookup",
            needed: 4,
            declared: 3
        }
    );
    let error = refusal(|parts| {
        let square = u32::try_from(parts.nodes.len()).unwrap();
        parts.nodes.push(Node::Product(square - 1, square - 1));
        parts.gates.push(square);
    });
    assert_eq!(
        error,
        KeyError::DegreeTooLow {
            what: "a constraint",
            needed: 6,
            declared: 5
        }
    );
}

#[test]
fn references_out_of_range_are_refused() {
    let cases: Vec<fn(&mut KeyParts)> = vec![
        |parts| parts.gates.push(1_000),
        |parts| parts.lookups[0].tables[0] = 1_000,
        |parts| parts.nodes[0] = Node::Advice(2),
        |parts| parts.nodes[2] = Node::Fixed(1),
        |parts| parts.nodes[3] = Node::Instance(1),
        |parts| parts.nodes[4] = Node::Challenge(1),
        |parts| parts.nodes[6] = Node::Sum(1, 6),
        |parts| parts.advice_queries[0].column = 2,
        |parts| parts.fixed_queries[0].column = 1,
        |parts| parts.instance_queries[0].column = 1,
        // Advice column 1 is opened in the row before only.
        |parts| parts.permutation[0].column = 1,
    ];
    for (position, case) in cases.into_iter().enumerate() {
        let result = refusal(case);
        let dangling = matches!(result, KeyError::DanglingReference { .. });
        assert!(dangling, "case {position}: {result}");
    }
}

#[test]
fn duplicates_and_unused_nodes_are_refused() {
    let duplicate = |error: KeyError| matches!(error, KeyError::Duplicate { .. });
    assert!(duplicate(refusal(|parts| parts
        .nodes
        .push(Node::Advice(0)))));
    assert!(duplicate(refusal(|parts| {
        parts.advice_queries.push(Query {
            column: 0,
            rotation: 0,
        });
    })));
    // On 32 rows, 31 forward is 1 back.
    assert!(duplicate(refusal(|parts| {
        parts.advice_queries.push(Query {
            column: 1,
            rotation: 31,
        });
    })));
    assert!(duplicate(refusal(
        |parts| parts.permutation[1] = parts.permutation[0]
    )));
    let unused = refusal(|parts| parts.nodes.push(Node::Constant(Fr::one())));
    assert_eq!(
        unused,
        KeyError::UnusedNode {
            index: sample().nodes.len()
        }
    );
}

#[test]
fn stated_numbers_must_agree_with_the_key() {
    let inconsistent = |error: KeyError| matches!(error, KeyError::Inconsistent { .. });
    assert!(inconsistent(refusal(|parts| parts.blinding_factors = 6)));
    assert!(inconsistent(refusal(|parts| parts
        .permutation_commitments
        .truncate(1))));
    assert!(inconsistent(refusal(|parts| parts.lookups[0]
        .tables
        .push(0))));
    assert!(inconsistent(refusal(
        |parts| parts.nodes[6] = Node::Product(1, 0)
    )));
}

#[test]
fn numbers_outside_their_limits_are_refused() {
    let outside = |error: KeyError| matches!(error, KeyError::OutOfLimits { .. });
    assert!(outside(refusal(|parts| parts.k = 0)));
    assert!(outside(refusal(|parts| parts.k = 25)));
    assert!(outside(refusal(|parts| parts.k = 3)));
    assert!(outside(refusal(|parts| parts.degree = 2)));
    assert!(outside(refusal(|parts| parts.degree = u32::MAX)));
    assert!(outside(refusal(|parts| parts.advice_phases[0] = 3)));
    assert!(outside(refusal(|parts| parts.challenge_phases[0] = 2)));
    assert!(outside(refusal(|parts| parts.instance_lens[0] = 27)));
    assert!(outside(refusal(|parts| parts.instance_lens[0] = u32::MAX)));
    assert!(outside(refusal(
        |parts| parts.advice_queries[0].rotation = i32::MIN
    )));
    assert!(outside(refusal(
        |parts| parts.lookups[0] = Lookup::default()
    )));
    assert!(outside(refusal(
        |parts| parts.advice_phases = vec![0; 1_025]
    )));
}

#[test]
fn points_off_the_curve_and_foreign_generators_are_refused() {
    let off = G1Affine::new_unchecked(1_u64.into(), 3_u64.into());
    let invalid = |error: KeyError| matches!(error, KeyError::InvalidEncoding { .. });
    assert!(invalid(refusal(|parts| parts.fixed_commitments[0] = off)));
    assert!(invalid(refusal(
        |parts| parts.permutation_commitments[0] = off
    )));
    assert!(invalid(refusal(|parts| parts.s_g2 = G2Affine::identity())));
    assert_eq!(
        refusal(|parts| parts.g1 = -parts.g1),
        KeyError::ForeignGenerator
    );
}

#[test]
fn a_scalar_plus_the_modulus_is_refused() {
    let bytes = KeyDescription::new(sample()).unwrap().encode();
    // The transcript digest stands after magic, version, transcript and three numbers.
    let at = 8 + 4 + 1 + 12;
    assert_eq!(bytes[at], 99);
    let mut shifted = Fr::from(99_u64).into_bigint();
    ark_ff::BigInteger::add_with_carry(&mut shifted, &Fr::MODULUS);
    let mut changed = bytes;
    changed[at..at + 32].copy_from_slice(&ark_ff::BigInteger::to_bytes_le(&shifted));
    assert!(matches!(
        KeyDescription::decode(&changed),
        Err(KeyError::InvalidEncoding { .. })
    ));
}

#[test]
fn the_layout_of_a_proof_follows_the_key() {
    let key = KeyDescription::new(sample()).unwrap();
    // Points: 2 advice, 3 lookup, 1 product, 1 random, 4 quotient. Scalars: 2 advice, 1 fixed,
    // 1 random, 2 permutation, 2 product, 5 lookup. Points: 2 opening.
    assert_eq!(key.proof_layout().len(), 11 + 13 + 2);
    assert_eq!(key.proof_bytes(), 26 * 32);
    let keccak = KeyParts {
        transcript: TranscriptKind::Keccak,
        ..sample()
    };
    let keccak = KeyDescription::new(keccak).unwrap();
    assert_eq!(keccak.proof_bytes(), 13 * 64 + 13 * 32);
}
