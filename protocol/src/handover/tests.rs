//! Chains of handovers: five epochs hold, every broken link is named.

use super::*;
use crate::{
    Fr,
    codec::{from_bytes, to_bytes},
    testing::{Succession, World},
    validator::{ValidatorKey, ValidatorSet},
};

fn world() -> World {
    World::new(vec![crate::testing::leaf(0, 0, 1)], 1)
}

fn refused(links: &[Handover]) -> BrokenChain {
    let world = world();
    verify_chain(&world.domain, &world.genesis.validators, links).unwrap_err()
}

#[test]
fn five_epochs_of_changing_sets_follow_from_genesis() {
    let world = world();
    let succession = Succession::new(&world, 5);
    let first = &world.genesis.validators;
    assert_eq!(verify_chain(&world.domain, first, &[]), Ok(first));
    for (epoch, set) in succession.sets.iter().enumerate() {
        let links = &succession.links[..epoch];
        assert_eq!(verify_chain(&world.domain, first, links), Ok(set));
    }
    assert_ne!(succession.sets[5], succession.sets[0]);
    let bytes = to_bytes(&succession.links);
    assert_eq!(from_bytes::<Vec<Handover>>(&bytes), Ok(succession.links));
}

#[test]
fn missing_and_misplaced_links_are_named() {
    let links = Succession::new(&world(), 5).links;
    let mut gap = links.clone();
    gap.remove(2);
    let broken = refused(&gap);
    assert_eq!(broken.epoch, Epoch(2));
    assert!(matches!(broken.reason, HandoverError::Epoch { found, .. } if found == Epoch(3)));
    let mut swapped = links.clone();
    swapped.swap(0, 1);
    assert_eq!(refused(&swapped).epoch, Epoch(0));
    let twice = [links[0].clone(), links[0].clone()];
    assert_eq!(refused(&twice).epoch, Epoch(1));
}

#[test]
fn a_set_that_the_block_does_not_name_is_refused() {
    let succession = Succession::new(&world(), 3);
    let mut links = succession.links;
    links[1].next = succession.sets[3].clone();
    let broken = refused(&links);
    assert_eq!(
        (broken.epoch, broken.reason),
        (Epoch(1), HandoverError::Set)
    );
    // and whoever renames it needs the set's votes for the new id
    links[1].core.next_set_hash = links[1].next.hash();
    assert_eq!(refused(&links).reason, HandoverError::Block);
    links[1].certificate.block = links[1].core.block_id(None);
    assert!(matches!(
        refused(&links).reason,
        HandoverError::Certificate(CertificateError::Signature(_))
    ));
}

#[test]
fn certificates_of_another_set_too_few_or_forged_votes_are_refused() {
    let world = world();
    let succession = Succession::new(&world, 3);
    // the set of epoch 2 signs for epoch 1
    let mut links = succession.links.clone();
    links[1] = Succession::link(&world, Epoch(1), &succession.keys[3], &succession.sets[2]);
    assert!(matches!(
        refused(&links).reason,
        HandoverError::Certificate(CertificateError::Stranger(_))
    ));
    let mut links = succession.links.clone();
    links[1].certificate.signatures.0.truncate(2);
    assert!(matches!(
        refused(&links).reason,
        HandoverError::Certificate(CertificateError::NoQuorum {
            signed: 2,
            total: 4
        })
    ));
    let mut links = succession.links.clone();
    links[1].certificate.signatures.0[0].signature =
        ValidatorKey::from_bytes(&[99; 32]).unwrap().sign(&[1; 32]);
    assert!(matches!(
        refused(&links).reason,
        HandoverError::Certificate(CertificateError::Signature(_))
    ));
    let elsewhere = Domain(Fr::from(2_u64));
    let first: &ValidatorSet = &world.genesis.validators;
    assert!(verify_chain(&elsewhere, first, &succession.links).is_err());
}

#[test]
fn every_part_of_the_block_is_bound() {
    let link = Succession::new(&world(), 1).links.remove(0);
    let alter: [fn(&mut Handover); 5] = [
        |link| link.core.timestamp_ms += 1,
        |link| link.core.payload_root[0] ^= 1,
        |link| link.core.height.0 += 1,
        |link| link.certificate.height.0 += 1,
        |link| link.certificate.round.0 += 1,
    ];
    for alter in alter {
        let mut bad = link.clone();
        alter(&mut bad);
        refused(&[bad]);
    }
    // a core that lies about its own epoch
    let mut bad = link;
    bad.core.epoch = Epoch(1);
    assert!(matches!(
        refused(&[bad]).reason,
        HandoverError::Epoch { .. }
    ));
}
