//! The next set: bounded, capped, independent of order.

use proptest::prelude::*;

use super::*;

fn address(number: u8) -> L1Address {
    L1Address([number; 20])
}

fn registry(entries: &[(u8, u64, u64)]) -> Registry {
    let mut registry = Registry::default();
    for (number, stake, applied_at) in entries {
        let entry = Stake {
            stake: *stake,
            applied_at: *applied_at,
        };
        registry.put(address(*number), entry);
    }
    registry
}

fn set(weights: &[(u8, u64)]) -> ValidatorSet {
    let validators = weights.iter().map(|(number, weight)| Validator {
        address: address(*number),
        weight: *weight,
    });
    ValidatorSet::new(validators.collect()).unwrap()
}

/// Four members of weight 10 and their registry entries.
fn four() -> (ValidatorSet, Vec<(u8, u64, u64)>) {
    (
        set(&[(1, 10), (2, 10), (3, 10), (4, 10)]),
        (1..=4).map(|number| (number, 10, 0)).collect(),
    )
}

#[test]
fn the_limit_of_stake_is_that_of_a_full_set() {
    assert_eq!(VALIDATORS_MAX, 100);
    let whales: Vec<(u8, u64)> = (0..100).map(|number| (number, STAKE_MAX)).collect();
    assert_eq!(set(&whales).validators().len(), 100);
}

#[test]
fn epochs_and_their_heights_agree() {
    for epoch in [Epoch(0), Epoch(1), Epoch(77)] {
        let (first, last) = (epoch.first_height(), epoch.last_height());
        assert_eq!((Epoch::of(first), Epoch::of(last)), (epoch, epoch));
        assert_eq!(last.0 - first.0 + 1, EPOCH_HEIGHTS);
        assert_eq!(epoch.next().first_height(), Height(last.0 + 1));
    }
}

#[test]
fn a_third_of_the_stake_at_once_enters_a_few_each_epoch_in_order() {
    let (mut current, mut entries) = four();
    // ten more with together far above a third, who applied in the order 10, 9, .. 1 and two at once
    entries.extend((0..10).map(|place| (20 - place, 9, 100 + u64::from(place) / 2)));
    let registry = registry(&entries);
    let mut seats = Vec::new();
    for _ in 0..4 {
        current = next_set(&current, &registry);
        seats.push(current.validators().len());
    }
    assert_eq!(seats, [8, 12, 14, 14]);
    let first = next_set(&four().0, &registry);
    for (number, is_in) in [(19, true), (20, true), (17, true), (18, true), (16, false)] {
        assert_eq!(first.weight_of(&address(number)) > 0, is_in, "{number}");
    }
    let next = next_set(&first, &registry);
    assert!(next.weight_of(&address(15)) > 0 && next.weight_of(&address(12)) == 0);
}

#[test]
fn leaving_and_changed_stakes_count_from_the_next_epoch() {
    let (current, entries) = four();
    let mut registry = registry(&entries);
    registry.remove(&address(2));
    let changed = Stake {
        stake: 11,
        applied_at: 0,
    };
    registry.put(address(3), changed);
    registry.put(
        address(4),
        Stake {
            stake: 0,
            ..changed
        },
    );
    let next = next_set(&current, &registry);
    assert_eq!(next, set(&[(1, 10), (3, 11)]));
    assert!(!next.may_take_bids());
}

#[test]
fn nobody_staking_keeps_the_set() {
    let (current, _) = four();
    assert_eq!(next_set(&current, &Registry::default()), current);
    assert_eq!(next_set(&current, &registry(&[(1, 0, 0)])), current);
}

#[test]
fn small_applicants_do_not_block_the_queue_of_a_full_set() {
    let members: Vec<(u8, u64)> = (0..100).map(|number| (number, 10)).collect();
    let mut entries: Vec<(u8, u64, u64)> = members
        .iter()
        .map(|(number, stake)| (*number, *stake, 0))
        .collect();
    entries.extend((100..110).map(|number| (number, 1, 1))); // early and too small
    entries.push((200, 50, 9)); // late and large
    let next = next_set(&set(&members), &registry(&entries));
    assert_eq!(next.validators().len(), 100);
    assert_eq!(next.weight_of(&address(200)), 50);
    assert_eq!(
        next.weight_of(&address(99)),
        0,
        "the last of equals made room"
    );
    assert_eq!(next.weight_of(&address(100)), 0);
}

#[test]
fn the_heaviest_is_cut_to_just_below_a_third() {
    let current = set(&[(1, 1)]);
    let whale = [(1, 1_000_000, 0), (2, 10, 0), (3, 10, 0), (4, 10, 0)];
    let next = next_set(&current, &registry(&whale));
    // 3 c < c + 30
    assert_eq!(next, set(&[(1, 14), (2, 10), (3, 10), (4, 10)]));
    let equal = [(1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 0)];
    assert_eq!(next_set(&current, &registry(&equal)).total(), 4);
    let three = [(1, 98, 0), (2, 1, 0), (3, 1, 0)];
    let next = next_set(&current, &registry(&three));
    assert_eq!(
        next.total(),
        100,
        "too few to cap: they run with their stakes"
    );
    assert!(!next.may_take_bids());
}

fn entries() -> impl Strategy<Value = Vec<(u8, u64, u64)>> {
    let stake = prop_oneof![0_u64..5, 1_u64..1_000, Just(u64::MAX)];
    let entry = (any::<u8>(), stake, 0_u64..4);
    prop::collection::vec(entry, 0..160).prop_map(|mut entries| {
        entries.sort_unstable();
        entries.dedup_by_key(|(number, _, _)| *number);
        entries
    })
}

fn members() -> impl Strategy<Value = ValidatorSet> {
    prop::collection::btree_map(any::<u8>(), 1_u64..1_000, 1..=VALIDATORS_MAX)
        .prop_map(|weights| set(&weights.into_iter().collect::<Vec<_>>()))
}

proptest! {
    #[test]
    fn sets_are_bounded_capped_and_take_few_newcomers(current in members(), entries in entries()) {
        let next = next_set(&current, &registry(&entries));
        let seats = next.validators();
        prop_assert!((1..=VALIDATORS_MAX).contains(&seats.len()));
        prop_assert!(seats.len() < 4 || next == current || next.may_take_bids());
        let joined = seats.iter().filter(|seat| current.weight_of(&seat.address) == 0).count();
        prop_assert!(joined <= JOINS_PER_EPOCH);
        let stake = |seat: &Validator| {
            entries.iter().find(|(number, _, _)| address(*number) == seat.address).map_or(0, |entry| entry.1)
        };
        if next != current {
            prop_assert!(seats.iter().all(|seat| seat.weight <= stake(seat)), "nobody weighs more than it stakes");
        }
    }

    /// The cap is the largest there is: one unit more for those whom it cuts would reach a third.
    #[test]
    fn the_cap_cuts_no_more_than_it_must(stakes in prop::collection::vec(1_u64..1_000_000, 4..20)) {
        let candidates: Vec<Candidate> = stakes
            .iter()
            .map(|stake| Candidate { address: address(0), stake: *stake, applied_at: 0 })
            .collect();
        let cap = weight_cap(&candidates);
        let sum = |cap: u64| -> u128 { stakes.iter().map(|stake| u128::from((*stake).min(cap))).sum() };
        prop_assert!(u128::from(cap) * 3 < sum(cap));
        let heaviest = stakes.iter().max().copied().unwrap();
        prop_assert!(cap == heaviest || u128::from(cap + 1) * 3 >= sum(cap + 1));
    }

    #[test]
    fn order_of_the_entries_does_not_matter(
        current in members(), (entries, shuffled) in entries().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        prop_assert_eq!(next_set(&current, &registry(&entries)), next_set(&current, &registry(&shuffled)));
    }
}
