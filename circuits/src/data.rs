//! The data circuit, once per batch: takes the absorbed words again and evaluates the three sequences
//! at z.
//!
//! Public inputs: `h, z, y_ops, y_withdrawals, y_inbox, n_ops + 2^64 n_withdrawals + 2^128 n_inbox`
//! (`protocol::witness::DataWitness`). The last chunk's h and counts join it to the chunks: equal h
//! means equal tagged words, and a word below 2^248 has one tag.
//!
//! Rows: one `DataStart` row, then 7 for each group of four places:
//!
//! | row | kind | cells |
//! |---|---|---|
//! | 0 | `DataGroup` | z, sums and counts before and after, tagged places, their words' parts, flags |
//! | 1 | `Poseidon6` | (h, t1, t2, t3, t4) |
//! | 2 .. 6 | range rows of 25 bytes | low 200 bits of each word |
//! | 6 | range row of 6 bytes | high 48 bits of each word |
//!
//! Gate `data group`, for each place with flags o, w, i (none: padding):
//!
//! | constraint | equation | degree |
//! |---|---|---|
//! | flags | each boolean, their sum boolean | 3 |
//! | place | `t = word + (w + 2 i + 3 padding) 2^248`, `padding word = 0` | 3 |
//! | sums | `y <- flag ? y z + word : y` | 4 |
//! | counts | `n <- n + o + 2^64 w + 2^128 i` | 2 |
//! | absorb | `h <- on ? hash : h`; without `on` no flag is set | 3 |
//!
//! Horner's first word stands highest. Where padding stands is free and changes no sum or count.

use halo2_proofs::plonk::ConstraintSystem;
use halo2curves::bn256::Fr;
use protocol::params::BATCH_ABSORPTIONS_MAX;
use protocol::witness::DataWitness;
use protocol::words::{Group, Sequence, iv_data};
use rayon::prelude::*;

use crate::algebra::{Algebra, sum};
use crate::convert::{bits, from_u128, limbs, power_of_two, to_circuit};
use crate::gadgets::poseidon::{self, OUT};
use crate::gadgets::range::{self, Pattern};
use crate::instance::data as instance;
use crate::layout::{Columns, Fixed};
use crate::trace::{Block, GateSet, Trace, TraceCircuit, Wiring, at};
use crate::window::{GateWindow, Window, WitnessWindow, pos};

/// Rows of one group.
const GROUP_ROWS: usize = 7;
/// Rows that halo2 keeps for blinding, at most.
const BLINDING_ROWS: usize = 16;
/// Places of a group.
const PLACES: usize = 4;

const Z: usize = 0;
const SUMS: [usize; 3] = [1, 2, 3];
const COUNTS: usize = 4;
const COUNTS_AFTER: usize = 5;
const SUMS_AFTER: [usize; 3] = [6, 7, 8];
const TAGGED: usize = 9;
const LOW: usize = 13;
const HIGH: usize = 17;
const H: usize = 21;
const H_AFTER: usize = 22;
const HASH: usize = 23;
/// Flags of the four places: ops, withdrawals, inbox.
const FLAGS: usize = 27;
/// Sums after the first three places.
const PARTIAL: usize = 39;
const ON: usize = 48;

/// The gates of the data circuit.
#[derive(Clone, Debug, Default)]
pub struct DataGates;

impl GateSet for DataGates {
    const FIXED: &'static [Fixed] = &[
        Fixed::Poseidon6,
        Fixed::Crumbs,
        Fixed::Range25,
        Fixed::Range6And6And6And6,
        Fixed::DataStart,
        Fixed::DataGroup,
    ];

    fn configure(meta: &mut ConstraintSystem<Fr>, columns: &Columns) {
        poseidon::configure(meta, columns, 6);
        range::configure(meta, columns, &Pattern::DATA);
        meta.create_gate("data start", |meta| {
            let mut window = GateWindow::new(meta, columns, Fixed::DataStart);
            start(&mut window);
            window.finish()
        });
        meta.create_gate("data group", |meta| {
            let mut window = GateWindow::new(meta, columns, Fixed::DataGroup);
            group(&mut window);
            window.finish()
        });
    }
}

/// The data circuit.
pub type DataCircuit = TraceCircuit<DataGates>;

/// Why a witness does not satisfy the data circuit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// More groups than the circuit has.
    #[error("the witness has {groups} groups, the circuit holds {capacity}")]
    TooManyGroups {
        /// Groups of the witness.
        groups: usize,
        /// Groups of the circuit.
        capacity: usize,
    },
    /// A constraint does not hold: an error of this crate, for every witness of a fitting size is valid.
    #[error("group {group} breaks '{rule}'")]
    Rule {
        /// Group, from 0.
        group: usize,
        /// Name of the constraint.
        rule: String,
    },
    /// The native evaluation disagrees: an error of this crate.
    #[error("public input {index} of the witness is not what the circuit computes")]
    PublicInput {
        /// Position in the instance.
        index: usize,
    },
}

/// Size of a data circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShape {
    /// Groups of four places.
    pub groups: usize,
}

fn start<W: Window>(window: &mut W) {
    for column in SUMS_AFTER {
        window.define("sums start at 0", pos(0, column), W::Value::number(0));
    }
    window.define(
        "counts start at 0",
        pos(0, COUNTS_AFTER),
        W::Value::number(0),
    );
    let initial = W::Value::constant(to_circuit(iv_data()));
    window.define("h starts at IV_DATA", pos(0, H_AFTER), initial);
}

fn group<W: Window>(window: &mut W) {
    window.boolean("on", pos(0, ON));
    let on = window.get(pos(0, ON));
    let z = window.get(pos(0, Z));
    let mut sums = SUMS.map(|column| window.get(pos(0, column)));
    let mut counts = window.get(pos(0, COUNTS));
    for place in 0..PLACES {
        let flags = [0, 1, 2].map(|i| pos(0, FLAGS + 3 * place + i));
        for flag in flags {
            window.boolean("flag", flag);
        }
        let flags = flags.map(|flag| window.get(flag));
        let present = sum(flags.clone());
        window.constrain("one flag", present.clone() * present.not());
        window.constrain("no word in a group that is off", on.not() * present.clone());
        let high = window.get(pos(0, HIGH + place));
        let word = window.get(pos(0, LOW + place)) + high * power_of_two(200);
        window.constrain("padding is 0", present.not() * word.clone());
        let [ops, withdrawals, inbox] = flags.clone();
        let tag = withdrawals.clone() + inbox.clone() * Fr::from(2) + present.not() * Fr::from(3);
        let tagged = word.clone() + tag * power_of_two(248);
        window.define("tagged place", pos(0, TAGGED + place), tagged);
        counts = counts + ops + withdrawals * power_of_two(64) + inbox * power_of_two(128);
        for (s, flag) in flags.into_iter().enumerate() {
            let next = flag.select(sums[s].clone() * z.clone() + word.clone(), sums[s].clone());
            let cell = if place + 1 == PLACES {
                pos(0, SUMS_AFTER[s])
            } else {
                pos(0, PARTIAL + 3 * place + s)
            };
            window.define("sum", cell, next);
            sums[s] = window.get(cell);
        }
    }
    window.define("counts", pos(0, COUNTS_AFTER), counts);
    let (hash, before) = (window.get(pos(0, HASH)), window.get(pos(0, H)));
    window.define("h", pos(0, H_AFTER), on.select(hash, before));
}

impl DataShape {
    /// The shape that the protocol prescribes.
    #[must_use]
    pub fn protocol() -> Self {
        DataShape {
            groups: BATCH_ABSORPTIONS_MAX as usize,
        }
    }

    /// Rows in use.
    #[must_use]
    pub fn rows(&self) -> usize {
        1 + GROUP_ROWS * self.groups
    }

    /// log2 of the rows of the circuit.
    #[must_use]
    pub fn k(&self) -> u32 {
        (self.rows() + BLINDING_ROWS)
            .next_power_of_two()
            .trailing_zeros()
    }

    /// The circuit without a witness: what keys are made from.
    #[must_use]
    pub fn circuit(&self) -> DataCircuit {
        TraceCircuit::without_trace(self.wiring())
    }

    /// Row of a group; the start stands above the first.
    fn group_row(group: usize) -> usize {
        1 + GROUP_ROWS * group
    }

    /// Selectors, copies and instance cells.
    #[must_use]
    pub fn wiring(&self) -> Wiring {
        let mut wiring = Wiring::default();
        wiring.enable(Fixed::DataStart, 0);
        let mut above = 0;
        for group in 0..self.groups {
            let row = Self::group_row(group);
            wiring.enable(Fixed::DataGroup, row);
            for s in 0..3 {
                wiring.copy(at(SUMS_AFTER[s], above), at(SUMS[s], row));
            }
            wiring.copy(at(COUNTS_AFTER, above), at(COUNTS, row));
            wiring.copy(at(H_AFTER, above), at(H, row));
            wiring.copy(at(Z, above), at(Z, row));
            wiring.enable(Fixed::Poseidon6, row + 1);
            wiring.copy(at(H, row), at(0, row + 1));
            wiring.copy(at(HASH, row), at(OUT, row + 1));
            for place in 0..PLACES {
                wiring.copy(at(TAGGED + place, row), at(1 + place, row + 1));
                let range = row + 2 + place;
                wiring.enable(Fixed::Crumbs, range);
                wiring.enable(Fixed::Range25, range);
                wiring.copy(at(LOW + place, row), at(0, range));
                wiring.copy(at(HIGH + place, row), at(place, row + 6));
            }
            wiring.enable(Fixed::Crumbs, row + 6);
            wiring.enable(Fixed::Range6And6And6And6, row + 6);
            above = row;
        }
        let [ops, withdrawals, inbox] = SUMS_AFTER;
        for (column, row) in [
            (H_AFTER, instance::H),
            (Z, instance::Z),
            (ops, instance::Y_OPS),
            (withdrawals, instance::Y_WITHDRAWALS),
            (inbox, instance::Y_INBOX),
            (COUNTS_AFTER, instance::WORD_COUNTS),
        ] {
            wiring.expose(at(column, above), row);
        }
        wiring
    }

    /// The circuit with its witness, and its public inputs.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn prove(&self, witness: &DataWitness) -> Result<(DataCircuit, [Fr; 6]), DataError> {
        if witness.groups.len() > self.groups {
            let (groups, capacity) = (witness.groups.len(), self.groups);
            return Err(DataError::TooManyGroups { groups, capacity });
        }
        let z = to_circuit(witness.z);
        let mut blocks: Vec<Block> = (0..self.groups)
            .into_par_iter()
            .map(|number| words(witness.groups.get(number), z))
            .collect();
        let mut head = Block::new(1);
        head.row_mut(0)[Z] = z;
        start(&mut WitnessWindow::new(&mut head, 0, &[]));
        let mut above = *head.row_mut(0);
        for (number, block) in blocks.iter_mut().enumerate() {
            let line = block.row_mut(0);
            for s in 0..3 {
                line[SUMS[s]] = above[SUMS_AFTER[s]];
            }
            line[COUNTS] = above[COUNTS_AFTER];
            line[H] = above[H_AFTER];
            let mut inputs = [line[H]; 5];
            inputs[1..].copy_from_slice(&tagged_places(witness.groups.get(number)));
            let hash = poseidon::assign(block.row_mut(1), &inputs);
            block.row_mut(0)[HASH] = hash;
            let mut window = WitnessWindow::new(block, 0, &[]);
            group(&mut window);
            if let Some(rule) = window.broken() {
                return Err(DataError::Rule {
                    group: number,
                    rule,
                });
            }
            above = *block.row_mut(0);
        }
        let mut trace = Trace::new(self.rows());
        trace.place(0, &head);
        for (number, block) in blocks.iter().enumerate() {
            trace.place(Self::group_row(number), block);
        }
        let [ops, withdrawals, inbox] = SUMS_AFTER;
        let inputs =
            [H_AFTER, Z, ops, withdrawals, inbox, COUNTS_AFTER].map(|column| above[column]);
        for (index, input) in witness.public_inputs().into_iter().enumerate() {
            if to_circuit(input) != inputs[index] {
                return Err(DataError::PublicInput { index });
            }
        }
        Ok((TraceCircuit::new(self.wiring(), trace), inputs))
    }
}

fn tagged_places(group: Option<&Group>) -> [Fr; PLACES] {
    std::array::from_fn(|place| {
        to_circuit(protocol::words::tagged(
            &group.and_then(|group| group[place]),
        ))
    })
}

/// Everything about a group that does not depend on the groups above.
fn words(group: Option<&Group>, z: Fr) -> Block {
    let mut block = Block::new(GROUP_ROWS);
    let mut highs = [Fr::zero(); PLACES];
    for place in 0..PLACES {
        let Some((sequence, word)) = group.and_then(|group| group[place]) else {
            continue;
        };
        let integer = limbs(to_circuit(word.to_field()));
        let low = Fr::from_raw([integer[0], integer[1], integer[2], bits(&integer, 192, 8)]);
        highs[place] = from_u128(u128::from(bits(&integer, 200, 48)));
        let flag = match sequence {
            Sequence::Ops => 0,
            Sequence::Withdrawals => 1,
            Sequence::Inbox => 2,
        };
        let line = block.row_mut(0);
        line[FLAGS + 3 * place + flag] = Fr::one();
        line[LOW + place] = low;
        line[HIGH + place] = highs[place];
        let fits = range::assign(block.row_mut(2 + place), Pattern::Bytes25, &[low]);
        debug_assert_eq!(fits, Ok(()), "a word has 248 bits");
    }
    let fits = range::assign(block.row_mut(6), Pattern::Bytes6And6And6And6, &highs);
    debug_assert_eq!(fits, Ok(()), "a word has 248 bits");
    let line = block.row_mut(0);
    line[Z] = z;
    line[ON] = Fr::from(u64::from(group.is_some()));
    block
}
