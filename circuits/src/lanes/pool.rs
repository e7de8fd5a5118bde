//! Hashes on demand: a chunk has three permutations of six elements and one of three for each slot, and a slot asks for as
//! many as its operation needs.
//!
//! What is asked and what is answered are multisets of `(width, inputs, hash)`, and equal: a running product over entries
//! as in [`super::memory`], with the same challenges. A slot asks if a flag of its rules says so; where it is 0, the
//! rules do not read the hash:
//!
//! | asked in step | hash | if |
//! |---|---|---|
//! | 0 | the first accumulator | a first slot with an operation |
//! | 0 | the message, the signature's challenge | signed |
//! | 1 | the second accumulator | a key, an extension or an inbox item is published |
//! | 1 | the third accumulator | an inbox item or a withdrawal |
//! | 1 | the digest of a key | a key is stated under a signature |
//! | 2 | a group's running hash | in a group |
//! | 2 | a group's hash | last of a group |
//!
//! The product's column takes the steps in rows 0, 1, 2 of a block, answers of six elements three rows below their first
//! row, that of three four rows below; all are read from where the cells stand, by the product's rotation. An answer
//! counts if its flag, which is boolean, is 1. The flags of the rules are boolean by the rules.
//!
//! A false hash vanishes in the product with probability below 2^18 / p, as entries do in memory.

use halo2_proofs::plonk::{Advice, Challenge, Column, ConstraintSystem, Expression, SecondPhase};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use rayon::prelude::*;

use super::LaneShape;
use super::layout::{Extra, HASH3, HASH3_STARTS, HASH6, HASH6_STARTS, Named, ROWS, place};
use super::memory::{GateReader, Reader, entry, if_on};
use crate::algebra::{Algebra, sum};
use crate::chunk::{Cell, WitnessError};
use crate::gadgets::poseidon::Spread;
use crate::layout::{Columns, Fixed};
use crate::trace::{Trace, at};
use crate::window::{Folding, GateWindow, Window};

/// Rows of a block in which slots ask.
pub(super) const STEPS: usize = 3;
/// Rows from the first row of an answer of six elements to its step in the product.
pub(super) const STEP6: usize = 3;
/// The same for three elements.
pub(super) const STEP3: usize = 4;

/// A hash of the rules: what it is of, and the cell that holds it.
struct Call {
    inputs: Vec<Named>,
    hash: Named,
}

impl Call {
    fn new<const N: usize>(inputs: [Cell; N], hash: Cell) -> Self {
        Self {
            inputs: inputs.map(Named::Rule).to_vec(),
            hash: hash.into(),
        }
    }
}

/// The calls of each step.
fn calls() -> [Vec<Call>; STEPS] {
    use Cell::{
        After0, After1, Domain, GroupClose, GroupNumber, GroupStart, GroupStep, H, Hash0, Hash1,
        Hash2, KeyDigest, KeyX, KeyY, Message, Message1, Message2, Message3, Message4, Place00,
        Place01, Place02, Place03, Place10, Place11, Place12, Place13, Place20, Place21, Place22,
        Place23, SignatureMessage, SignatureX, SignatureY,
    };
    let challenge = Call {
        inputs: vec![
            Extra::R8x.into(),
            Extra::R8y.into(),
            SignatureX.into(),
            SignatureY.into(),
            SignatureMessage.into(),
        ],
        hash: Extra::Challenge.into(),
    };
    [
        vec![
            Call::new([H, Place00, Place01, Place02, Place03], Hash0),
            Call::new([Domain, Message1, Message2, Message3, Message4], Message),
            challenge,
        ],
        vec![
            Call::new([After0, Place10, Place11, Place12, Place13], Hash1),
            Call::new([After1, Place20, Place21, Place22, Place23], Hash2),
            Call::new([KeyX, KeyY], KeyDigest),
        ],
        vec![
            Call::new([GroupStart, Message], GroupStep),
            Call::new([GroupStep, GroupNumber], GroupClose),
        ],
    ]
}

/// Whether each call of a step is made, in their order.
fn flags<R: Reader>(reader: &mut R, step: usize) -> Vec<R::Value> {
    use Cell::{
        InGroup, IsBidBurn, IsBidPay, IsChangeKey, IsInbox, IsLast, IsLock, IsNew, IsNoop,
        IsTransfer, IsWithdraw,
    };
    let of = |reader: &mut R, cells: &[Cell]| {
        let values = cells.iter().map(|cell| reader.cell(place(*cell)));
        sum(values.collect::<Vec<_>>())
    };
    match step {
        0 => {
            let active = reader.first() * of(reader, &[IsNoop]).not();
            let signed = of(
                reader,
                &[
                    IsTransfer,
                    IsNew,
                    IsWithdraw,
                    IsChangeKey,
                    IsLock,
                    IsBidPay,
                    IsBidBurn,
                ],
            );
            vec![active, signed.clone(), signed]
        }
        1 => vec![
            of(
                reader,
                &[IsNew, IsChangeKey, IsLock, IsBidPay, IsBidBurn, IsInbox],
            ),
            of(reader, &[IsInbox, IsWithdraw]),
            of(reader, &[IsNew, IsChangeKey]),
        ],
        _ => vec![of(reader, &[InGroup]), of(reader, &[IsLast])],
    }
}

/// Cells whose value nothing reads while no call is made for them, with whether the slot at the reader's row makes it: the
/// hashes, and the message under a signature.
pub(super) fn hashes<R: Reader>(reader: &mut R) -> Vec<(Named, R::Value)> {
    let steps = calls().into_iter().enumerate();
    steps
        .flat_map(|(step, calls)| {
            let flags = flags(reader, step);
            calls
                .into_iter()
                .map(|call| call.hash)
                .zip(flags)
                .collect::<Vec<_>>()
        })
        .flat_map(|(hash, flag)| {
            let is_challenge = hash == Named::Extra(Extra::Challenge);
            let message = is_challenge.then(|| (Cell::SignatureMessage.into(), flag.clone()));
            std::iter::once((hash, flag)).chain(message)
        })
        .collect()
}

fn tuple<R: Reader>(reader: &R, mut inputs: Vec<R::Value>, hash: R::Value) -> R::Value {
    let width = R::Value::number(inputs.len() as u64 + 1);
    inputs.insert(0, width);
    inputs.push(hash);
    entry(reader, inputs)
}

/// What a slot asks for in a step, at the first row of its block.
pub(super) fn asked<R: Reader>(reader: &mut R, step: usize) -> R::Value {
    let flags = flags(reader, step);
    let [first, second, third] = calls();
    let calls = [first, second, third]
        .into_iter()
        .nth(step)
        .unwrap_or_default();
    let factors = calls.into_iter().zip(flags).map(|(call, flag)| {
        let inputs = call.inputs.iter().map(|name| reader.cell(place(*name)));
        let inputs = inputs.collect();
        let hash = reader.cell(place(call.hash));
        if_on(flag, tuple(reader, inputs, hash))
    });
    factors
        .reduce(|all, factor| all * factor)
        .unwrap_or_else(|| R::Value::number(1))
}

/// What a permutation answers, at its first row.
pub(super) fn answered<R: Reader>(reader: &mut R, spread: Spread) -> R::Value {
    let inputs = (0..spread.width - 1).map(|i| reader.cell(spread.input(i)));
    let inputs = inputs.collect();
    let hash = reader.cell(spread.out());
    let on = reader.cell(spread.spare());
    if_on(on, tuple(reader, inputs, hash))
}

/// Allocates the product's column and adds its gates.
pub(super) fn configure(
    meta: &mut ConstraintSystem<Fr>,
    columns: &Columns,
    challenges: [Challenge; 2],
    folding: Option<Folding>,
) -> Column<Advice> {
    let product = meta.advice_column_in(SecondPhase);
    for (spread, selector) in [(HASH6, Fixed::Poseidon6), (HASH3, Fixed::Poseidon3)] {
        meta.create_gate(format!("answer of {}", spread.width), |meta| {
            let mut window = GateWindow::new(meta, columns, selector);
            window.boolean("an answer counts or not", spread.spare());
            window.finish_folded(folding)
        });
    }
    meta.create_gate("hashes on demand", |meta| {
        let drawn = challenges.map(|challenge| meta.query_challenge(challenge));
        let [q_slot, q_rules, q6, q3, q_start, q_end] = [
            Fixed::Poseidon5,
            Fixed::Rules,
            Fixed::Poseidon6,
            Fixed::Poseidon3,
            Fixed::Start,
            Fixed::End,
        ]
        .map(|name| columns.selector(meta, name));
        let z: Vec<Expression<Fr>> = (0..=STEP3 as i32 + 1)
            .map(|row| meta.query_advice(product, Rotation(row)))
            .collect();
        let starts = meta.query_advice(product, Rotation(ROWS as i32));
        let mut above = |name: Fixed, rows: usize| {
            meta.query_fixed(columns.fixed(name), Rotation(-(rows as i32)))
        };
        let moves = [
            above(Fixed::Rules, 1),
            above(Fixed::Rules, 2),
            above(Fixed::Poseidon6, STEP6),
            above(Fixed::Poseidon3, STEP3),
        ];
        let mut reader = GateReader {
            meta,
            columns,
            challenges: drawn,
        };
        let one = Expression::Constant(Fr::one());
        let mut constraints = Vec::new();
        for step in 0..STEPS {
            let asked = asked(&mut reader, step);
            let moved = z[step + 1].clone() * asked - z[step].clone();
            constraints.push(("asked", q_rules.clone() * moved));
        }
        for (spread, own, step) in [(HASH6, q6, STEP6), (HASH3, q3, STEP3)] {
            let answered = answered(&mut reader, spread);
            let moved = z[step + 1].clone() - z[step].clone() * answered;
            constraints.push(("answered", (q_slot.clone() * own) * moved));
        }
        let stays = moves
            .into_iter()
            .fold(q_slot - q_rules, |stays, moved| stays - moved);
        constraints.push(("stays", stays * (z[1].clone() - z[0].clone())));
        constraints.push(("starts", q_start * (starts - one.clone())));
        constraints.push(("ends", q_end * (z[0].clone() - one)));
        constraints
    });
    product
}

/// Inputs of the hashes that the slots of a trace ask for: of six elements, of three.
pub(super) fn asked_inputs(shape: &LaneShape, trace: &Trace) -> [Vec<Vec<Fr>>; 2] {
    let mut asked: [Vec<Vec<Fr>>; 2] = Default::default();
    for slot in 0..2 * shape.pairs {
        let mut reader = super::products::reader(shape, trace, slot, [Fr::zero(); 2]);
        for (step, calls) in calls().into_iter().enumerate() {
            for (call, flag) in calls.into_iter().zip(flags(&mut reader, step)) {
                if flag != Fr::zero() {
                    let inputs = call.inputs.iter().map(|name| reader.cell(place(*name)));
                    let inputs: Vec<Fr> = inputs.collect();
                    asked[usize::from(inputs.len() == 2)].push(inputs);
                }
            }
        }
    }
    asked
}

/// Fills the permutations with what the slots of a trace ask for.
///
/// # Errors
/// [`WitnessError::Capacity`] if there are too few.
pub(super) fn fill(shape: &LaneShape, trace: &mut Trace) -> Result<(), WitnessError> {
    let asked = asked_inputs(shape, trace);
    let places = [(HASH6, &HASH6_STARTS[..]), (HASH3, &HASH3_STARTS[..])];
    for ((spread, starts), asked) in places.into_iter().zip(asked) {
        let capacity = 2 * shape.pairs * starts.len();
        if asked.len() > capacity {
            return Err(WitnessError::Capacity {
                what: "hashes",
                needed: asked.len(),
                capacity,
            });
        }
        let idle = spread.cells(&vec![Fr::zero(); spread.width - 1]).0;
        let filled: Vec<_> = asked
            .par_iter()
            .map(|inputs| spread.cells(inputs).0)
            .collect();
        for number in 0..capacity {
            let row = shape.slot_row(number / starts.len()) + starts[number % starts.len()];
            for (place, value) in filled.get(number).unwrap_or(&idle) {
                trace.set(at(place.column, row + place.rotation as usize), *value);
            }
            let flag = spread.spare();
            let on = Fr::from(u64::from(number < filled.len()));
            trace.set(at(flag.column, row + flag.rotation as usize), on);
        }
    }
    Ok(())
}
