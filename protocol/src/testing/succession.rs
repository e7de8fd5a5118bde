//! Validator sets that change from epoch to epoch, and the handovers between them.

use crate::{
    block::Payload,
    certificate::CommitCertificate,
    handover::Handover,
    number::{Epoch, Round},
    testing::World,
    validator::{Validator, ValidatorKey, ValidatorSet},
    vote::{Step, Vote},
};

/// A chain of sets from a world's genesis: each epoch the validator who has sat longest leaves and a new one enters.
#[derive(Clone, Debug)]
pub struct Succession {
    /// Keys of each epoch's set, by address.
    pub keys: Vec<Vec<ValidatorKey>>,
    /// The sets, from epoch 0 on: one more than there are links.
    pub sets: Vec<ValidatorSet>,
    /// Proof of each set but the first.
    pub links: Vec<Handover>,
}

impl Succession {
    /// `epochs` handovers.
    ///
    /// # Panics
    /// Beyond 90 epochs: new keys are numbered in one byte.
    #[must_use]
    pub fn new(world: &World, epochs: u8) -> Self {
        let mut sitting = world.validators.clone();
        let mut made = Self {
            keys: vec![by_address(&sitting)],
            sets: vec![world.genesis.validators.clone()],
            links: Vec::new(),
        };
        for epoch in 0..epochs {
            let voters = by_address(&sitting);
            sitting.remove(0);
            let newcomer = epoch.checked_add(100).expect("few epochs");
            sitting.extend(ValidatorKey::from_bytes(&[newcomer; 32]));
            let seats = sitting.iter().map(|key| Validator {
                address: key.address(),
                weight: 1,
            });
            let next = ValidatorSet::new(seats.collect()).expect("distinct keys");
            let link = Self::link(world, Epoch(u64::from(epoch)), &voters, &next);
            made.links.push(link);
            made.keys.push(by_address(&sitting));
            made.sets.push(next);
        }
        made
    }

    /// A block of `epoch` that names `next`, certified by these keys, whoever they are.
    #[must_use]
    pub fn link(
        world: &World,
        epoch: Epoch,
        voters: &[ValidatorKey],
        next: &ValidatorSet,
    ) -> Handover {
        let block = world.block(Payload::default(), world.genesis.fee_leaves);
        let mut core = block.header.core;
        core.height = epoch.last_height();
        core.epoch = epoch;
        core.next_set_hash = next.hash();
        let (height, round, block) = (core.height, Round(0), core.block_id(None));
        let vote = Vote {
            height,
            round,
            step: Step::Precommit,
            block: Some(block),
        };
        let digest = vote.digest(&world.domain);
        let signatures = voters.iter().map(|key| (key.address(), key.sign(&digest)));
        Handover {
            core,
            bid: None,
            certificate: CommitCertificate {
                height,
                round,
                block,
                signatures: signatures.collect(),
            },
            next: next.clone(),
        }
    }
}

fn by_address(keys: &[ValidatorKey]) -> Vec<ValidatorKey> {
    let mut sorted = keys.to_vec();
    sorted.sort_by_key(ValidatorKey::address);
    sorted
}
