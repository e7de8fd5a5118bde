//! Certificates: quorums, forged parts, lists, clocks.

use proptest::prelude::*;

use super::*;
use crate::{Fr, validator::Validator, validator::ValidatorKey};

const BLOCK: BlockId = BlockId([4; 32]);
const HEIGHT: Height = Height(7);
const ROUND: Round = Round(1);

fn domain() -> Domain {
    Domain(Fr::from(1_u64))
}

/// Keys in the order of their addresses, and their set.
fn set(weights: &[u64]) -> (Vec<ValidatorKey>, ValidatorSet) {
    let mut keys: Vec<ValidatorKey> = (1_u8..)
        .take(weights.len())
        .map(|seed| ValidatorKey::from_bytes(&[seed; 32]).unwrap())
        .collect();
    keys.sort_by_key(ValidatorKey::address);
    let seats = keys.iter().zip(weights).map(|(key, weight)| Validator {
        address: key.address(),
        weight: *weight,
    });
    (keys.clone(), ValidatorSet::new(seats.collect()).unwrap())
}

fn sign(key: &ValidatorKey, extension: Extension) -> ExtendedSignature {
    let digest = extension.digest(&domain(), HEIGHT, ROUND, BLOCK);
    ExtendedSignature {
        validator: key.address(),
        signature: key.sign(&precommit(HEIGHT, ROUND, BLOCK).digest(&domain())),
        extension_signature: key.sign(&digest),
        extension,
    }
}

fn certificate(signatures: Vec<ExtendedSignature>) -> ExtendedCertificate {
    ExtendedCertificate {
        height: HEIGHT,
        round: ROUND,
        block: BLOCK,
        signatures,
    }
}

fn timed(time_ms: u64, hashes: &[u8]) -> Extension {
    Extension {
        hashes: hashes.iter().map(|byte| ListHash([*byte; 32])).collect(),
        time_ms,
        reports: vec![],
    }
}

fn good(keys: &[ValidatorKey]) -> ExtendedCertificate {
    let sign = |key| sign(key, timed(5, &[1]));
    certificate(keys.iter().map(sign).collect())
}

#[test]
fn more_than_two_thirds_are_needed() {
    let (keys, set) = set(&[1; 4]);
    assert_eq!(good(&keys).verify(&domain(), &set), Ok(()));
    assert_eq!(good(&keys[..3]).verify(&domain(), &set), Ok(()));
    assert_eq!(good(&keys[..3]).to_commit().verify(&domain(), &set), Ok(()));
    let refused = CertificateError::NoQuorum {
        signed: 2,
        total: 4,
    };
    assert_eq!(good(&keys[..2]).verify(&domain(), &set), Err(refused));
    assert!(certificate(vec![]).verify(&domain(), &set).is_err());
}

#[test]
fn one_signer_counts_once_and_strangers_do_not() {
    let (keys, set) = set(&[1; 4]);
    let mut twice = good(&keys[..2]);
    twice.signatures.push(twice.signatures[1].clone());
    assert_eq!(
        twice.verify(&domain(), &set),
        Err(CertificateError::Order(keys[1].address()))
    );
    let mut unsorted = good(&keys[..3]);
    unsorted.signatures.swap(0, 1);
    assert!(matches!(
        unsorted.verify(&domain(), &set),
        Err(CertificateError::Order(_))
    ));
    let stranger = ValidatorKey::from_bytes(&[99; 32]).unwrap();
    let mut keys = keys;
    keys[3] = stranger.clone();
    keys.sort_by_key(ValidatorKey::address);
    assert_eq!(
        good(&keys).verify(&domain(), &set),
        Err(CertificateError::Stranger(stranger.address()))
    );
}

#[test]
fn every_signed_field_is_bound() {
    let (keys, set) = set(&[1; 4]);
    let refused = |alter: &dyn Fn(&mut ExtendedCertificate)| {
        let mut bad = good(&keys);
        alter(&mut bad);
        bad.verify(&domain(), &set).unwrap_err()
    };
    let first = keys[0].address();
    assert_eq!(
        refused(&|bad| bad.height = Height(8)),
        CertificateError::Signature(first)
    );
    assert_eq!(
        refused(&|bad| bad.round = Round(0)),
        CertificateError::Signature(first)
    );
    assert_eq!(
        refused(&|bad| bad.block = BlockId([5; 32])),
        CertificateError::Signature(first)
    );
    assert_eq!(
        refused(&|bad| bad.signatures[0].extension.time_ms += 1),
        CertificateError::ExtensionSignature(first)
    );
    assert_eq!(
        refused(&|bad| bad.signatures[0].extension_signature = bad.signatures[0].signature),
        CertificateError::ExtensionSignature(first)
    );
    assert!(matches!(
        refused(&|bad| bad.signatures[0].extension.hashes.push(ListHash([0; 32]))),
        CertificateError::Extension { .. }
    ));
    assert!(good(&keys).verify(&Domain(Fr::from(2_u64)), &set).is_err());
}

#[test]
fn median_is_weighted_and_out_of_a_minoritys_reach() {
    let (keys, set) = set(&[1, 1, 1, 10]);
    let times = |times: [u64; 4]| {
        let signed = keys
            .iter()
            .zip(times)
            .map(|(key, time)| sign(key, timed(time, &[])));
        certificate(signed.collect()).median_time_ms(&set)
    };
    assert_eq!(times([1, 2, 3, 9]), Some(9));
    assert_eq!(times([0, u64::MAX, u64::MAX, 9]), Some(9));
    assert_eq!(certificate(vec![]).median_time_ms(&set), None);
}

proptest! {
    /// Review finding H6: what is promised, and no more. Over every quorum of 4 and of 7: a hash that more than two
    /// thirds list is always in E(h); one that a third or less list never is.
    #[test]
    fn lists_hold_for_every_quorum(weights in prop::collection::vec(1_u64..5, 4..=7), listers in any::<u8>()) {
        let (keys, set) = set(&weights);
        let lists = |seat: usize| listers >> seat & 1 == 1;
        let weight = |seats: &mut dyn Iterator<Item = usize>| -> u128 {
            seats.map(|seat| u128::from(set.validators()[seat].weight)).sum()
        };
        let listed_by = weight(&mut (0..keys.len()).filter(|seat| lists(*seat)));
        for members in 0_u8..1 << keys.len() {
            let inside = |seat: &usize| members >> seat & 1 == 1;
            if !set.is_quorum(weight(&mut (0..keys.len()).filter(inside))) {
                continue;
            }
            let signatures = (0..keys.len())
                .filter(inside)
                .map(|seat| ExtendedSignature {
                    validator: keys[seat].address(),
                    signature: ValidatorSignature([0; 65]),
                    extension: timed(0, if lists(seat) { &[9] } else { &[] }),
                    extension_signature: ValidatorSignature([0; 65]),
                })
                .collect();
            let enforced = certificate(signatures).listed(&set).contains(&ListHash([9; 32]));
            prop_assert!(enforced || !set.is_quorum(listed_by));
            prop_assert!(!enforced || set.is_above_third(listed_by));
        }
    }
}

/// Evidence files, checkpoints and stored certificates are read by others.
#[test]
fn a_quorum_is_encoded_as_the_list_of_its_signatures_and_gathered_in_any_order() {
    let (keys, set) = set(&[1, 1, 1]);
    let sign = |key: &ValidatorKey| (key.address(), key.sign(&[7; 32]));
    let forwards: Quorum = keys.iter().map(sign).collect();
    let twice: Quorum = keys.iter().rev().chain(&keys).map(sign).collect();
    assert_eq!(twice, forwards);
    assert_eq!(forwards.len(), keys.len());
    assert_eq!(to_bytes(&forwards), to_bytes(&forwards.0));
    assert_eq!(forwards.verify(&[7; 32], &set), Ok(()));
    assert!(forwards.is_sorted_by_key(|one| one.validator));
}
