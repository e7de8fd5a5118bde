//! Random campaigns: what [`Stage::run`] checks holds for operations nobody thought of.

use rand::{Rng, seq::SliceRandom};

use super::{Height, LeafIndex, Leaves, Operation, Phase, Stage, header, open_block};
use crate::{
    Fr,
    params::LEAF_COUNT_MAX,
    testing::{World, generator, random_item, soak},
    threaded::{FeeLeaves, Threaded},
    transaction::OperationKind,
    transition::{Header, InvalidOperation},
};

/// A stage over a random world, a block open.
fn random_stage(rng: &mut impl Rng) -> Stage {
    let world = World::random(rng, 40);
    let leaves = (0_u32..)
        .zip(world.state.leaves())
        .map(|(index, leaf)| (LeafIndex(index), *leaf))
        .collect();
    let mut threaded = Threaded::batch_start(Fr::from(1_u64), 40, Height(50), 0);
    let fee_leaves = FeeLeaves::new(&[0, 1, 2, 3].map(LeafIndex));
    open_block(
        &mut threaded,
        &Header {
            fee_leaves,
            ..header(false)
        },
    )
    .unwrap();
    Stage {
        leaves: Leaves(leaves),
        threaded,
        domain: world.domain,
        keyring: world.keyring,
    }
}

const KINDS: [OperationKind; 5] = [
    OperationKind::Transfer,
    OperationKind::TransferToNew,
    OperationKind::Withdraw,
    OperationKind::ChangeKey,
    OperationKind::Lock,
];

#[test]
fn signed_operations_conserve_and_refusals_change_nothing() {
    let (mut applied, mut refused) = (0, 0);
    for seed in 0..soak(4) {
        let mut rng = generator(seed);
        let mut stage = random_stage(&mut rng);
        for _ in 0..500 {
            let kind = *KINDS.choose(&mut rng).unwrap();
            let Some(draft) = stage.drafter().transaction(&mut rng, kind) else {
                continue;
            };
            let broken = stage.drafter().broken(&mut rng, &draft);
            for draft in [broken, draft] {
                let operation = stage.drafter().operation(&draft);
                let leaves = stage.leaves.clone();
                if stage.run(&operation).is_ok() {
                    applied += 1;
                } else {
                    refused += 1;
                    assert_eq!(stage.leaves, leaves);
                }
            }
        }
    }
    // the campaign is worth something only if both happen often
    assert!(applied > 500 && refused > 500, "{applied} {refused}");
}

#[test]
fn drafts_are_nearly_always_valid() {
    let mut rng = generator(11);
    let stage = random_stage(&mut rng);
    for kind in KINDS {
        let valid = (0..50)
            .filter(|_| {
                let draft = stage.drafter().transaction(&mut rng, kind);
                draft.is_some_and(|draft| {
                    let operation = stage.drafter().operation(&draft);
                    stage.clone().run(&operation).is_ok()
                })
            })
            .count();
        assert!(valid > 35, "{kind:?}: {valid} of 50");
    }
}

#[test]
fn bids_conserve() {
    for seed in 0..soak(4) {
        let mut rng = generator(seed);
        let mut stage = random_stage(&mut rng);
        for _ in 0..60 {
            if let Some(bid) = stage.drafter().payable_bid(&mut rng) {
                stage.threaded.phase = Phase::BidPending;
                stage.run(&Operation::BidPay(bid)).unwrap();
            }
            stage.threaded.phase = Phase::Inbox;
            if let Some(bid) = stage.drafter().burnable_bid(&mut rng) {
                stage.run(&Operation::BidBurn(bid)).unwrap();
            }
        }
    }
}

/// Valid, near-valid and random items: none fails, none makes money, whatever the tree's size.
#[test]
fn items_never_fail_and_never_make_money() {
    let (mut applied, mut unapplied) = (0, 0);
    for seed in 0..soak(4) {
        let mut rng = generator(seed);
        let mut stage = random_stage(&mut rng);
        for round in 0..1_000 {
            if round == 900 {
                stage.threaded.leaf_count = LEAF_COUNT_MAX - 1;
            }
            let item = stage.drafter().item(&mut rng);
            if stage.run(&Operation::Inbox(item)).unwrap().applied {
                applied += 1;
            } else {
                unapplied += 1;
            }
        }
    }
    assert!(applied > 1_000 && unapplied > 300, "{applied} {unapplied}");
}

#[test]
fn random_words_never_fail_and_never_make_money() {
    let mut rng = generator(5);
    let mut stage = random_stage(&mut rng);
    for _ in 0..soak(5_000) {
        stage.run(&Operation::Inbox(random_item(&mut rng))).unwrap();
        if stage.leaves.0.len() > 200 {
            stage = random_stage(&mut rng); // deposits of random words make leaves
        }
    }
}

/// Extreme threaded states: errors are typed, nothing panics.
#[test]
fn operations_meet_any_threaded_state_without_panic() {
    let mut rng = generator(6);
    let stage = random_stage(&mut rng);
    for _ in 0..soak(300) {
        let mut odd = stage.clone();
        odd.threaded.height = Height(rng.r#gen::<u64>() >> rng.gen_range(0..64));
        odd.threaded.leaf_count = rng.gen_range(40..=LEAF_COUNT_MAX);
        odd.threaded.group.members = rng.gen_range(0..20);
        odd.threaded.phase = *[
            Phase::NoBlock,
            Phase::Inbox,
            Phase::Signed,
            Phase::BidPending,
        ]
        .choose(&mut rng)
        .unwrap();
        let kind = *KINDS.choose(&mut rng).unwrap();
        if let Some(draft) = stage.drafter().transaction(&mut rng, kind) {
            let operation = odd.drafter().operation(&draft);
            let result = odd.clone().run(&operation);
            if odd.threaded.group.members > 0 && odd.threaded.phase == Phase::Signed {
                assert!(result.is_err());
            }
            if odd.threaded.phase == Phase::NoBlock {
                assert_eq!(result, Err(InvalidOperation::NoBlock));
            }
        }
    }
}
