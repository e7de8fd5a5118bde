//! Range rows: boundaries pass, one above and negative values fail.

use circuits::convert::power_of_two;
use circuits::gadgets::range::{self, Pattern};
use circuits::layout::{Columns, Fixed, WIDTH};
use circuits::trace::{Block, GateSet, Trace, TraceCircuit, Wiring, at};
use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;

use crate::harness::{accepts, mock, proves};

#[derive(Clone, Default)]
struct Ranges;

impl GateSet for Ranges {
    const FIXED: &'static [Fixed] = &[
        Fixed::Crumbs,
        Fixed::Range20And5,
        Fixed::Range15And8,
        Fixed::Range15And4And4,
        Fixed::Range16And8,
        Fixed::RangeSpare,
        Fixed::RangeSmall,
    ];

    fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
        range::configure(meta, columns, &Pattern::CHUNK);
    }
}

/// One row per pattern, with these values; also whether every value fitted.
fn rows(value: impl Fn(usize) -> Fr) -> (TraceCircuit<Ranges>, bool) {
    let mut wiring = Wiring::default();
    let mut block = Block::new(Pattern::CHUNK.len());
    let mut fits = true;
    for (row, pattern) in Pattern::CHUNK.into_iter().enumerate() {
        wiring.enable(Fixed::Crumbs, row);
        wiring.enable(pattern.selector(), row);
        let values: Vec<Fr> = pattern
            .groups()
            .iter()
            .map(|crumbs| value(2 * crumbs))
            .collect();
        let mut line = [Fr::zero(); WIDTH];
        fits &= range::assign(&mut line, pattern, &values).is_ok();
        block.row_mut(row).copy_from_slice(&line);
    }
    let mut trace = Trace::new(block.len());
    trace.place(0, &block);
    (TraceCircuit::new(wiring, trace), fits)
}

#[test]
fn values_inside_their_ranges_satisfy_and_prove() {
    let values: [&dyn Fn(usize) -> Fr; 3] = [&|_| Fr::zero(), &|_| Fr::one(), &|bits| {
        power_of_two(bits as u32) - Fr::one()
    }];
    for value in values {
        let (circuit, fits) = rows(value);
        assert!(fits);
        assert_eq!(mock(5, &circuit, &[]), Ok(()));
    }
    assert!(proves(5, rows(|bits| power_of_two(bits as u32 - 1)).0, &[]));
}

#[test]
fn values_outside_their_ranges_are_refused() {
    let values: [&dyn Fn(usize) -> Fr; 2] = [&|bits| power_of_two(bits as u32), &|_| -Fr::one()];
    for value in values {
        let (circuit, fits) = rows(value);
        assert!(!fits);
        assert!(!accepts(5, &circuit, &[]));
    }
}

#[test]
fn a_crumb_of_four_is_refused_where_the_sum_still_holds() {
    for (row, pattern) in Pattern::CHUNK.into_iter().enumerate() {
        let (mut circuit, _) = rows(|_| Fr::from(4));
        // 4 = crumbs (0, 1) = crumbs (4, 0)
        let trace = circuit.trace_mut().unwrap();
        assert_eq!(trace.get(at(9, row)), Fr::one(), "{pattern:?}");
        trace.set(at(8, row), Fr::from(4));
        trace.set(at(9, row), Fr::zero());
        assert!(!accepts(5, &circuit, &[]), "{pattern:?}");
    }
}
