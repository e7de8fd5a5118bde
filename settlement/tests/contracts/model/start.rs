//! What a stream starts from: trees and sets to draw from, and the model as the deployment left the chain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use protocol::account::Leaf;
use protocol::number::Amount;
use protocol::state::State;
use protocol::testing::leaf;
use protocol::validator::{Validator, ValidatorKey, ValidatorSet};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use settlement::bindings::{ValidatorRegistry, integer, l1_address};

use super::calls::Token;
use super::head;
use super::stream::Cast;
use super::world::{ACTIVE, Rules, World};
use crate::stage::Stage;

/// Trees with leaves of people and of tokens, the last of which nobody registered.
pub(super) fn states(rng: &mut ChaCha8Rng, people: &[Address], genesis: State) -> Vec<State> {
    let mut states = vec![genesis];
    for _ in 0..6 {
        let count = rng.gen_range(5..12);
        let leaves = (0..count).map(|number| Leaf {
            l1_owner: l1_address(people[rng.gen_range(0..people.len())]),
            balance: Amount::new(u128::from(rng.r#gen::<u64>()) >> 6).expect("58 bits"),
            ..leaf(number, rng.gen_range(0..4), 0)
        });
        states.push(State::new(leaves.collect()));
    }
    states
}

/// The chain's set first, the same with other weights, and one that is never named.
pub(super) fn sets(keys: &[ValidatorKey]) -> Vec<ValidatorSet> {
    let set = |weights: &[u64]| {
        let seats = keys.iter().zip(weights).map(|(key, weight)| Validator {
            address: key.address(),
            weight: *weight,
        });
        ValidatorSet::new(seats.collect()).expect("a set")
    };
    vec![set(&[1; 4]), set(&[3, 2, 1]), set(&[5, 1, 1, 1])]
}

/// The model as the deployment left the chain.
pub(super) async fn first_world(
    stage: &Stage,
    cast: &Cast,
    rules: Rules,
    tokens: Vec<Address>,
) -> World {
    let genesis = &stage.batch.world.genesis;
    let state = genesis.state();
    let (root, counters) = (integer(&state.root()), U256::from(state.leaf_count()));
    let bridge = rules.made.bridge;
    let mut balances = BTreeMap::new();
    for account in cast.people.iter().copied().chain([bridge]) {
        balances.insert((0, account), stage.balance(account).await);
        for (token, address) in (0_u32..).zip(&tokens).skip(1) {
            let balance = stage
                .view(*address, &Token::balanceOfCall { account })
                .await;
            balances.insert((token, account), balance);
        }
    }
    let registry = ValidatorRegistry::epochsCall { epoch: 0 };
    let first = stage.view(rules.made.validators, &registry).await;
    let set = B256::from(genesis.validators.hash());
    World {
        now: head(stage).await.timestamp,
        mode: ACTIVE,
        proven: 0,
        committed: 0,
        waiting_since: 0,
        proven_root: root,
        proven_counters: counters,
        committed_root: root,
        committed_counters: counters,
        batches: BTreeMap::new(),
        withdrawal_roots: BTreeMap::new(),
        items: Vec::new(),
        tokens,
        escrow: BTreeMap::from([(0, stage.batch.genesis_wei())]),
        fees_held: U256::ZERO,
        fee_credit: BTreeMap::new(),
        claimed: BTreeSet::new(),
        exited: BTreeSet::new(),
        refunded: BTreeSet::new(),
        epochs: BTreeMap::from([(0, (set, first.beganAt))]),
        versions: BTreeMap::from([(1, false)]),
        paused_until: 0,
        ready_at: BTreeMap::new(),
        balances,
        rules: Arc::new(rules),
    }
}
