//! The two ends of a chunk - its threaded state before and after - and the public inputs.

use circuits::chunk::{Cell, ChunkShape};
use circuits::convert::power_of_two;
use circuits::layout::WIDTH;
use circuits::trace::at;
use halo2curves::bn256::Fr;

use crate::checker::{Checker, Violation};
use crate::chunk::every_witness;
use crate::harness::accepts;

/// Rows before the first slot: the start (13), then the end (3).
const END: usize = 13;
/// First range row of the start.
const RANGES: usize = 3;
/// Behind the last group of both patterns that the start uses: 92 crumbs from column 8 on.
const SPARE_CRUMBS: usize = 100;

fn changes(value: Fr) -> impl Iterator<Item = Fr> {
    let random = Fr::from(0x1234_5678_9abc_def1) * Fr::from(0xfeed_beef_0123_4567).square();
    let all = [value + Fr::one(), Fr::zero(), -value, random];
    all.into_iter().filter(move |other| *other != value)
}

#[test]
fn every_used_cell_of_both_ends_is_constrained() {
    let mut changed = 0;
    for (name, witness) in every_witness() {
        let shape = ChunkShape {
            pairs: witness.pairs.len(),
        };
        let (circuit, _) = shape.prove(&witness).unwrap();
        let checker = Checker::new(&circuit);
        let mut trace = circuit.trace().unwrap().clone();
        for (row, column) in
            (0..shape.slot_row(0)).flat_map(|row| (0..WIDTH).map(move |c| (row, c)))
        {
            let place = at(column, row);
            let is_spare = (RANGES..END).contains(&row) && column >= SPARE_CRUMBS;
            if is_spare || !checker.is_used(place) {
                continue;
            }
            let value = trace.get(place);
            for other in changes(value) {
                changed += 1;
                trace.set(place, other);
                assert!(checker.refuses(&trace, place), "{name}: {place:?}");
            }
            trace.set(place, value);
        }
    }
    assert!(changed > 30_000, "{changed}");
}

#[test]
fn every_public_input_is_bound() {
    for (name, witness) in every_witness() {
        let shape = ChunkShape {
            pairs: witness.pairs.len(),
        };
        let (circuit, inputs) = shape.prove(&witness).unwrap();
        let checker = Checker::new(&circuit);
        let trace = circuit.trace().unwrap();
        assert_eq!(checker.violations(trace, &inputs), vec![], "{name}");
        for (index, input) in inputs.iter().enumerate() {
            for other in changes(*input) {
                let mut wrong = inputs;
                wrong[index] = other;
                let broken = checker.unequal(trace, &wrong);
                assert_eq!(broken, vec![Violation::Instance(index)], "{name}");
            }
        }
        let mut swapped = inputs;
        swapped.swap(1, 2);
        assert!(!accepts(shape.k(), &circuit, &swapped), "{name}");
    }
}

/// D packs counts at 64 bits each. Without the range rows of the start, an ops count of 2^64 more beside a
/// withdrawals count of one less would open the same digest: only they refuse it.
#[test]
fn a_digest_opens_in_one_way_only() {
    let (_, witness) = every_witness().remove(0);
    let shape = ChunkShape {
        pairs: witness.pairs.len(),
    };
    let pairs = [
        // each packed element, and the one packed 64 bits above it
        [Cell::OpsCount, Cell::WithdrawalsCount],
        [Cell::WithdrawalsCount, Cell::InboxWords],
        [Cell::InboxWords, Cell::SignedCount],
        [Cell::LeafCount, Cell::Height],
        [Cell::Height, Cell::InboxCount],
    ];
    let (circuit, inputs) = shape.prove(&witness).unwrap();
    let checker = Checker::new(&circuit);
    for [low, high] in pairs {
        let mut trace = circuit.trace().unwrap().clone();
        let mut places = vec![(at(low as usize, 0), at(high as usize, 0))];
        places.push((at(low as usize, END), at(high as usize, END)));
        for slot in 0..2 * shape.pairs {
            let after = |name: Cell| Cell::ALL[Cell::RootAfter as usize + name as usize];
            places.push((shape.cell(slot, low), shape.cell(slot, high)));
            places.push((shape.cell(slot, after(low)), shape.cell(slot, after(high))));
        }
        for (low, high) in places {
            trace.set(low, trace.get(low) + power_of_two(64));
            trace.set(high, trace.get(high) - Fr::one());
        }
        let broken = checker.violations(&trace, &inputs);
        assert!(!broken.is_empty(), "{low:?}");
        let at_start = broken.iter().filter(|violation| match violation {
            Violation::Copy(left, right) => left.row < END || right.row < END,
            Violation::Polynomial(_, row) => *row < END,
            Violation::Instance(_) => false,
        });
        let packed_only = [Cell::OpsCount, Cell::WithdrawalsCount, Cell::InboxWords];
        assert_eq!(at_start.count(), 2, "{low:?}: {broken:?}");
        // counts are added to and nothing else, so that nothing else in the circuit would notice
        if packed_only.contains(&low) {
            assert_eq!(broken.len(), 2, "{low:?}: {broken:?}");
        }
    }
}
