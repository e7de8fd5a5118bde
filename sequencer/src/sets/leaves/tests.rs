//! What a balance weighs.

use protocol::{
    account::Leaf,
    number::{Amount, Height},
    state::State,
};

use super::*;
use crate::fixture::{genesis, seat_key};

/// Stake of a validator whose leaf this is, in epoch 3.
fn stake_of(change: impl FnOnce(&mut Leaf)) -> Registry {
    let mut leaf = genesis().leaves[1];
    leaf.lock_until = Epoch(3).last_height();
    change(&mut leaf);
    let named = Named {
        leaf: LeafIndex(0),
        applied_at: 4,
    };
    let absent = Named {
        leaf: LeafIndex(9),
        applied_at: 5,
    };
    let named = [
        (seat_key(1).address(), named),
        (seat_key(2).address(), absent),
    ];
    let source = LeafStakes::new(leaf.token, 1_000, named.into());
    source.registry(Epoch(3), &State::new(vec![leaf]))
}

fn registry(stake: u64) -> Registry {
    let mut registry = Registry::default();
    for (number, stake, applied_at) in [(1, stake, 4), (2, 0, 5)] {
        registry.put(seat_key(number).address(), Stake { stake, applied_at });
    }
    registry
}

#[test]
fn what_is_locked_to_the_end_of_the_epoch_is_stake() {
    assert_eq!(stake_of(|_| {}), registry(1_000));
    let least = Amount::new(999).unwrap();
    assert_eq!(
        stake_of(|leaf| leaf.balance = least),
        registry(0),
        "below a unit"
    );
    let most = Amount::new((1 << 120) - 1).unwrap();
    assert_eq!(stake_of(|leaf| leaf.balance = most), registry(u64::MAX));
    let early = Height(Epoch(3).last_height().0 - 1);
    assert_eq!(
        stake_of(|leaf| leaf.lock_until = early),
        registry(0),
        "free too early"
    );
}

#[test]
fn another_token_is_no_stake() {
    let mut leaf = genesis().leaves[4];
    leaf.lock_until = Height(u64::MAX);
    let named = Named {
        leaf: LeafIndex(0),
        applied_at: 0,
    };
    let source = LeafStakes::new(TokenId(0), 1, [(seat_key(1).address(), named)].into());
    let none = Stake {
        stake: 0,
        applied_at: 0,
    };
    let mut expected = Registry::default();
    expected.put(seat_key(1).address(), none);
    assert_eq!(source.registry(Epoch(1), &State::new(vec![leaf])), expected);
}
