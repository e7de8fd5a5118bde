//! The sums alone, over a table of sixteen entries: every cheat that they are there to catch.

use halo2_base::gates::RangeInstructions;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::dev::MockProver;
use halo2_proofs::plonk::{Advice, Circuit, Column, ConstraintSystem, Error, Fixed};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::super::host::HostCircuit;
use super::super::integer::CHUNK_BITS;
use super::super::layout::DEGREE;
use super::super::logup::{GATE, LogUp, Looked, Selection, Sums};
use super::host;

const K: u32 = 6;
const ENTRIES: usize = 16;
const ROWS: usize = 40;
/// Columns looked up: a whole part, and one of a single cell.
const CELLS: usize = 4;

/// What a test changes in the sums of an honest prover.
type Change = fn(&mut Sums);

/// Cells in a table, and tuples that are wanted and offered.
#[derive(Clone)]
struct Small {
    looked: Looked,
    change: Change,
}

#[derive(Clone)]
struct Config {
    cells: [Column<Advice>; CELLS],
    tuples: [Column<Advice>; 2],
    tags: [Column<Fixed>; 2],
    selects: Column<Fixed>,
    lookups: LogUp,
}

impl Circuit<Fr> for Small {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(meta: &mut ConstraintSystem<Fr>) -> Config {
        meta.set_minimum_degree(DEGREE);
        let cells = std::array::from_fn(|_| meta.advice_column());
        let tuples = [(); 2].map(|()| meta.advice_column());
        let tags = [(); 2].map(|()| meta.fixed_column());
        let selects = meta.fixed_column();
        let lookups = LogUp::configure(meta, cells.to_vec(), |meta| {
            let [wanted, offered] = [0, 1].map(|side| {
                let tag = meta.query_fixed(tags[side], Rotation::cur());
                vec![tag, meta.query_advice(tuples[side], Rotation::cur())]
            });
            Selection {
                selects: meta.query_fixed(selects, Rotation::cur()),
                wanted,
                offered,
            }
        });
        Config {
            cells,
            tuples,
            tags,
            selects,
            lookups,
        }
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let drawn = config.lookups.drawn(|one| layouter.get_challenge(one));
        layouter.assign_region(
            || "small",
            |mut region| {
                if let Some(drawn) = drawn {
                    let mut sums = self.looked.sums(ENTRIES, &drawn);
                    (self.change)(&mut sums);
                    config.lookups.assign_sums(&mut region, &sums);
                    return Ok(());
                }
                for (column, cells) in config.cells.iter().zip(&self.looked.columns) {
                    for (row, cell) in cells.iter().enumerate() {
                        let value = Fr::from(u64::from(*cell));
                        region.assign_advice(*column, row, Value::known(value));
                    }
                }
                let wanted = self
                    .looked
                    .wanted
                    .iter()
                    .map(|(row, tuple)| (0, row, tuple));
                let offered = self.looked.offered.iter();
                let offered = offered.map(|(row, tuple, _)| (1, row, tuple));
                for (side, row, tuple) in wanted.chain(offered) {
                    region.assign_fixed(config.tags[side], *row, tuple[0]);
                    region.assign_advice(config.tuples[side], *row, Value::known(tuple[1]));
                }
                for (row, _) in &self.looked.wanted {
                    region.assign_fixed(config.selects, *row, Fr::one());
                }
                config.lookups.assign(&mut region, ENTRIES, &self.looked);
                Ok(())
            },
        )
    }
}

fn tuple(tag: u64, value: u64) -> Vec<Fr> {
    vec![Fr::from(tag), Fr::from(value)]
}

fn honest() -> Small {
    let rows = 0..ROWS as u32 - 3;
    let column = |step: u32| rows.clone().map(move |row| (row * step) % ENTRIES as u32);
    Small {
        looked: Looked {
            rows: ROWS,
            columns: [1, 3, 5, 7].map(|step| column(step).collect()).to_vec(),
            wanted: vec![(5, tuple(1, 70)), (6, tuple(1, 70)), (9, tuple(2, 80))],
            offered: vec![
                (2, tuple(1, 70), 2),
                (30, tuple(2, 80), 1),
                (31, tuple(3, 80), 0),
            ],
        },
        change: |_| (),
    }
}

/// The first constraint that does not hold.
fn failure(circuit: &Small) -> Option<String> {
    let prover = MockProver::run(K, circuit, Vec::new()).expect("it fits");
    let failures = prover.verify().err()?;
    Some(format!("{:?}", failures[0]))
}

fn assert_refused(circuit: &Small, constraint: &str, what: &str) {
    let found = failure(circuit).unwrap_or_else(|| panic!("{what} is accepted"));
    assert!(found.contains(constraint), "{what}: {found}");
}

#[test]
fn honest_lookups_are_accepted() {
    assert_eq!(failure(&honest()), None);
    let mut empty = honest();
    empty.looked.wanted.clear();
    empty.looked.offered.clear();
    empty.looked.columns.iter_mut().for_each(Vec::clear);
    assert_eq!(failure(&empty), None);
}

#[test]
fn a_cell_beyond_the_table_is_refused_in_every_column_and_row() {
    for column in 0..CELLS {
        for row in [0, 15, 16, 36] {
            for value in [ENTRIES as u32, u32::MAX] {
                let mut cheat = honest();
                cheat.looked.columns[column][row] = value;
                assert_refused(&cheat, "difference is 0 at its ends", "a large cell");
            }
        }
    }
}

#[test]
fn a_tuple_that_nobody_offers_is_refused() {
    for other in [tuple(1, 71), tuple(2, 70), tuple(3, 70), tuple(0, 0)] {
        let mut cheat = honest();
        cheat.looked.wanted[1].1 = other.clone();
        cheat.looked.offered[0].2 = 1;
        assert_refused(&cheat, "difference is 0 at its ends", "a foreign tuple");
        // nor with the count of another in its place
        for place in 0..3 {
            let mut cheat = cheat.clone();
            cheat.looked.offered[place].2 += 1;
            assert_refused(&cheat, "difference is 0 at its ends", "a foreign tuple");
        }
    }
}

#[test]
fn wrong_counts_are_refused() {
    for place in 0..3 {
        let mut cheat = honest();
        cheat.looked.offered[place].2 += 1;
        assert_refused(&cheat, "difference is 0 at its ends", "a count too high");
    }
}

#[test]
fn every_changed_sum_is_refused() {
    let changes: [(Change, &str, &str); 7] = [
        (
            |sums| sums.parts[0][3] += Fr::one(),
            "sum of inverses",
            "a part",
        ),
        (
            |sums| sums.parts[1][ROWS - 1] = Fr::zero(),
            "sum of inverses",
            "the last part",
        ),
        (
            |sums| sums.running[7] += Fr::one(),
            "running difference",
            "a difference",
        ),
        (
            |sums| sums.running[0] = Fr::one(),
            "",
            "the first difference",
        ),
        (
            |sums| sums.running[ROWS] = Fr::one(),
            "",
            "the last difference",
        ),
        (
            |sums| {
                sums.running
                    .iter_mut()
                    .for_each(|value| *value += Fr::one())
            },
            "difference is 0 at its ends",
            "all differences",
        ),
        (
            |sums| {
                let (from, shift) = (20, Fr::from(5));
                sums.parts[0][from] += shift;
                sums.running[from + 1..]
                    .iter_mut()
                    .for_each(|value| *value += shift);
                sums.parts[0][from + 1] -= shift;
                sums.running[from + 2..]
                    .iter_mut()
                    .for_each(|value| *value -= shift);
            },
            "sum of inverses",
            "parts that make up for each other",
        ),
    ];
    for (change, constraint, what) in changes {
        let cheat = Small { change, ..honest() };
        assert_refused(&cheat, constraint, what);
    }
    // a false sum that is made to end in 0
    let mut cheat = honest();
    cheat.looked.columns[2][4] = 99;
    cheat.change = |sums| sums.running[ROWS] = Fr::zero();
    assert_refused(&cheat, "running difference", "an end made to fit");
}

/// The host's cells enter the sum: without them its range checks would say nothing.
#[test]
fn a_cell_that_the_host_looks_up_beyond_the_table_is_refused() {
    let verdict = |value: u64| {
        let mut circuit = host(false);
        let range = circuit.builder.range_chip();
        let context = circuit.builder.main(0);
        let cell = context.load_witness(Fr::from(value));
        range.range_check(context, cell, CHUNK_BITS);
        let params = circuit.calculate_params();
        let end = (1 << params.k) - HostCircuit::blinded_rows(&params);
        let prover = MockProver::run(18, &circuit, vec![Vec::new()]).expect("it fits");
        let rows = (0..4).chain(end - 4..=end);
        let verdict = prover.verify_at_rows(rows.clone(), rows);
        verdict.map_err(|failures| format!("{:?}", failures[0]))
    };
    assert_eq!(verdict((1 << CHUNK_BITS) - 1), Ok(()));
    for value in [1 << CHUNK_BITS, u64::MAX] {
        let failure = verdict(value).expect_err("no entry of the table");
        assert!(failure.contains(GATE), "{failure}");
    }
}
