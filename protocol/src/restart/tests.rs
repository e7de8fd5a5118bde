//! Restarts: what is signed, who may sign it, and which block goes on from one.

use std::collections::BTreeSet;

use super::*;
use crate::{
    block::{Block, InvalidBlock},
    codec::from_bytes,
    history::History,
    rebuild::apply_words,
    testing::{World, generator, trace_batch},
    validity::{NoBaseLayer, Verdict, verdict},
};

const LAST: Height = Height(40);

/// A world that lost its blocks after batch 1, with the end of that batch rebuilt from its words alone.
struct Lost {
    world: World,
    state: State,
    published_height: Height,
    inbox_count: u64,
}

impl Lost {
    fn new() -> Self {
        let mut rng = generator(7);
        let mut world = World::random(&mut rng, 12);
        let before = (world.state.clone(), Height(0), 0);
        let blocks = world.grow(&mut rng, 3, 4);
        let batch = trace_batch(world.domain, before.clone(), &blocks).unwrap();
        let (state, published_height, inbox_count) =
            apply_words(before, &batch.finished.words).unwrap();
        // ordered after the batch, and void
        world.grow(&mut rng, 2, 4);
        Self {
            world,
            state,
            published_height,
            inbox_count,
        }
    }

    fn end(&self) -> BatchEnd<'_> {
        BatchEnd {
            batch: BatchNumber(1),
            state: &self.state,
            published_height: self.published_height,
            inbox_count: self.inbox_count,
        }
    }

    fn restart(&self) -> Restart {
        Restart::new(&self.end(), LAST, BlockId([7; 32]))
    }

    fn certificate(&self, restart: Restart, seats: usize) -> RestartCertificate {
        let keys = self.world.validators.iter().rev().take(seats);
        let signed: Vec<SignedRestart> = keys
            .map(|key| restart.sign(&self.world.domain, key))
            .collect();
        RestartCertificate::assemble(restart, &signed)
    }

    /// The world that goes on, and the first block of it.
    fn restarted(&self) -> (World, Block) {
        let mut world = self.world.clone();
        let restart = self.restart();
        world.state = self.state.clone();
        world.tip = restart.tip(self.inbox_count, world.genesis.timestamp_ms);
        world.history = History::after_restart(restart);
        world.certificate = None;
        let mut block = world.plain_block(vec![], vec![]);
        let certificate = self.certificate(restart, 3);
        block.header.core.certificate_hash = certificate.hash();
        block.header.restart = Some(certificate);
        (world, block)
    }
}

fn judge(world: &World, block: &Block) -> Verdict {
    verdict(block, &world.prefix(&NoBaseLayer))
}

fn core_reason(world: &World, block: &Block) -> &'static str {
    match judge(world, block) {
        Verdict::Invalid(InvalidBlock::Core(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_field_is_signed() {
    let lost = Lost::new();
    let base = lost.restart();
    let alter: [fn(&mut Restart); 5] = [
        |one| one.batch.0 += 1,
        |one| one.root += Fr::from(1_u64),
        |one| one.counters += Fr::from(1_u64),
        |one| one.last_height.0 += 1,
        |one| one.last_block.0[0] ^= 1,
    ];
    let domain = lost.world.domain;
    let mut digests = BTreeSet::from([base.digest(&domain), base.digest(&Domain(Fr::from(2_u64)))]);
    let good = base.sign(&domain, &lost.world.validators[0]);
    assert!(good.is_authentic(&domain));
    for alter in alter {
        let mut restart = base;
        alter(&mut restart);
        digests.insert(restart.digest(&domain));
        assert!(!SignedRestart { restart, ..good }.is_authentic(&domain));
    }
    assert_eq!(digests.len(), 7);
}

#[test]
fn more_than_two_thirds_certify_a_restart() {
    let lost = Lost::new();
    let (domain, set) = (lost.world.domain, &lost.world.genesis.validators);
    let verify = |one: &RestartCertificate| one.verify(&domain, set);
    let good = lost.certificate(lost.restart(), 3);
    assert_eq!(verify(&good), Ok(()));
    assert_eq!(
        from_bytes::<RestartCertificate>(&to_bytes(&good)),
        Ok(good.clone())
    );
    assert_eq!(
        verify(&lost.certificate(lost.restart(), 2)),
        Err(CertificateError::NoQuorum {
            signed: 2,
            total: 4
        })
    );
    let mut moved = good.clone();
    moved.restart.last_height.0 += 1;
    assert!(matches!(
        verify(&moved),
        Err(CertificateError::Signature(_))
    ));
    let mut twice = good;
    twice.signatures.0[1] = twice.signatures[0];
    assert!(matches!(verify(&twice), Err(CertificateError::Order(_))));
}

#[test]
fn signatures_on_another_restart_and_second_ones_are_left_out() {
    let lost = Lost::new();
    let restart = lost.restart();
    let higher = Restart {
        last_height: Height(LAST.0 + 1),
        ..restart
    };
    let sign = |restart: Restart, seat: usize| {
        restart.sign(&lost.world.domain, &lost.world.validators[seat])
    };
    let signed = [
        sign(restart, 3),
        sign(restart, 0),
        sign(higher, 1),
        sign(restart, 3),
    ];
    let certificate = RestartCertificate::assemble(restart, &signed);
    let signers: Vec<_> = certificate
        .signatures
        .iter()
        .map(|one| one.validator)
        .collect();
    assert_eq!(signers, [signed[1].validator, signed[0].validator]);
}

#[test]
fn a_restart_goes_on_from_exactly_the_end_it_names() {
    let lost = Lost::new();
    let restart = lost.restart();
    assert_eq!(restart.check(&lost.end()), Ok(()));
    let other = |alter: &dyn Fn(&mut BatchEnd<'_>)| {
        let mut end = lost.end();
        alter(&mut end);
        assert!(matches!(
            restart.check(&end),
            Err(RestartError::OtherEnd { .. })
        ));
    };
    other(&|end| end.batch.0 = 2);
    other(&|end| end.published_height.0 += 1);
    other(&|end| end.inbox_count += 1);
    let genesis = lost.world.genesis.state();
    let end = BatchEnd {
        state: &genesis,
        ..lost.end()
    };
    assert!(restart.check(&end).is_err());
    for last in [
        Height(0),
        Height(lost.published_height.0 - 1),
        Height(u64::MAX),
    ] {
        let early = Restart::new(&lost.end(), last, restart.last_block);
        assert!(matches!(
            early.check(&lost.end()),
            Err(RestartError::LastHeight { .. })
        ));
    }
}

#[test]
fn the_first_block_after_a_restart_embeds_its_certificate_and_the_next_one_its_parents() {
    let lost = Lost::new();
    let (mut world, block) = lost.restarted();
    assert_eq!(block.header.core.height, Height(LAST.0 + 1));
    let Verdict::Valid(effects) = judge(&world, &block) else {
        panic!("{:?}", judge(&world, &block));
    };
    assert_eq!(*effects, world.apply(&block));
    assert_eq!(world.history.restart(), None);
    let mut second = world.plain_block(vec![], vec![]);
    assert!(judge(&world, &second).is_valid());
    second.header.restart.clone_from(&block.header.restart);
    assert!(core_reason(&world, &second).contains("above a decided block"));
}

#[test]
fn after_a_restart_no_other_certificate_will_do() {
    let lost = Lost::new();
    let (world, block) = lost.restarted();
    let with = |restart: Option<RestartCertificate>| {
        let mut block = block.clone();
        block.header.core.certificate_hash =
            restart.as_ref().map_or([0; 32], RestartCertificate::hash);
        block.header.restart = restart;
        block
    };
    assert!(core_reason(&world, &with(None)).contains("no restart certificate"));
    let higher = Restart {
        batch: BatchNumber(2),
        ..lost.restart()
    };
    let other = with(Some(lost.certificate(higher, 4)));
    assert!(core_reason(&world, &other).contains("another restart"));
    let few = with(Some(lost.certificate(lost.restart(), 2)));
    assert!(matches!(
        judge(&world, &few),
        Verdict::Invalid(InvalidBlock::Certificate(CertificateError::NoQuorum { .. }))
    ));
    let mut unbound = block.clone();
    unbound.header.core.certificate_hash = [0; 32];
    assert!(core_reason(&world, &unbound).contains("hash of the restart certificate"));
    let mut both = block.clone();
    both.header.certificate.clone_from(&lost.world.certificate);
    assert!(core_reason(&world, &both).contains("parent's certificate above a restart"));
    // the chain that did not restart takes none, and neither does a new one
    let mut blank = World::new(world.genesis.leaves.clone(), 5);
    let mut first = blank.plain_block(vec![], vec![]);
    first.header.restart.clone_from(&block.header.restart);
    assert!(core_reason(&blank, &first).contains("first block"));
    first.header.restart = None;
    blank.apply(&first);
    let mut second = blank.plain_block(vec![], vec![]);
    second.header.restart = block.header.restart;
    assert!(core_reason(&blank, &second).contains("above a decided block"));
}
