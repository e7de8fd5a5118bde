//! What sums cost, pinned: a change is a change of keys.

use super::{host, random_point, random_scalar, rng, sum};

/// Cells and looked up cells of a sum of `count` points and everything that it needs.
fn cells(count: usize, fixed: bool, seed: u64) -> (usize, usize) {
    let mut rng = rng(seed);
    let pairs: Vec<_> = (0..count)
        .map(|_| (random_scalar(&mut rng), random_point(&mut rng)))
        .collect();
    let (mut builder, mut chip) = host();
    let point = sum((&mut builder, &mut chip), &pairs, fixed);
    chip.value(builder.pool(0), &point);
    let statistics = builder.statistics();
    (
        statistics.gate.total_advice_per_phase[0],
        statistics.total_lookup_advice_per_phase[0],
    )
}

#[test]
fn cells_of_sums_are_pinned() {
    let [(one, one_looked_up), (two, two_looked_up)] = [1, 2].map(|count| cells(count, false, 1));
    let [(first, _), (second, _)] = [1, 2].map(|count| cells(count, true, 1));
    let (witness, constant) = (two - one, second - first);
    assert_eq!(
        (
            witness,
            two_looked_up - one_looked_up,
            constant,
            one - witness
        ),
        (49_710, 6_432, 43_582, 169_490),
        "a witness point, its looked up cells, a constant, and what a sum takes once"
    );
}

#[test]
fn layout_does_not_depend_on_witnesses() {
    for fixed in [false, true] {
        assert_eq!(cells(2, fixed, 1), cells(2, fixed, 2));
    }
}
