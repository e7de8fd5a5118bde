//! Honest traces of the lanes to start a forgery from, and what a wave knows of their rules: accesses, hashes, inverses.

use std::collections::{BTreeMap, BTreeSet};

use circuits::chunk::Cell;
use circuits::convert::{bits, limbs};
use circuits::lanes::layout::{Extra, Named, ROWS, place};
use circuits::lanes::{LaneCircuit, LaneShape};
use circuits::trace::{At, Trace, at};
use circuits::window::{Pos, pos};
use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;
use protocol::witness::ChunkWitness;

use super::checker::challenges;
use super::evaluator::{Broken, Evaluator};
use super::shape;
use crate::checker::queries;

/// Cells before an access, cells after it, and the fields that the first are made of.
pub(super) struct Access {
    pub(super) index: Cell,
    pub(super) before: [Named; 5],
    pub(super) after: [Named; 5],
    pub(super) fields: [Cell; 5],
    pub(super) time: Extra,
    pub(super) age: Extra,
}

pub(super) fn accesses() -> [Access; 3] {
    use Cell::*;
    let rules = |cells: [Cell; 5]| cells.map(Named::Rule);
    let (x3, y3) = (Extra::X3.into(), Extra::Y3.into());
    [
        Access {
            index: Index1,
            before: rules([X1, Y1, Meta1, Holdings1, Live1]),
            after: rules([X1After, Y1After, Meta1After, Holdings1After, Live1]),
            fields: [Owner1, Token1, Nonce1, Balance1, Lock1],
            time: Extra::Time1,
            age: Extra::Age1,
        },
        Access {
            index: Index2,
            before: rules([X2, Y2, Meta2, Holdings2, Live2]),
            after: rules([X2After, Y2After, Meta2After, Holdings2After, Live2After]),
            fields: [Owner2, Token2, Nonce2, Balance2, Lock2],
            time: Extra::Time2,
            age: Extra::Age2,
        },
        Access {
            index: Index3,
            before: [x3, y3, Meta3.into(), Holdings3.into(), Live3.into()],
            after: [x3, y3, Meta3.into(), Holdings3After.into(), Live3.into()],
            fields: [Owner3, Token3, Nonce3, Balance3, Lock3],
            time: Extra::Time3,
            age: Extra::Age3,
        },
    ]
}

/// Hashes that the rules may ask for: inputs, hash, and the flags of which one asks (in a first slot also `not IsNoop`).
pub(super) type Call = (Vec<Named>, Named, &'static [Cell]);

pub(super) fn calls() -> Vec<Call> {
    use Cell::*;
    const SIGNED: &[Cell] = &[
        IsTransfer,
        IsNew,
        IsWithdraw,
        IsChangeKey,
        IsLock,
        IsBidPay,
        IsBidBurn,
    ];
    let call = |inputs: &[Cell], hash: Cell, flags: &'static [Cell]| {
        let inputs = inputs.iter().map(|cell| Named::Rule(*cell)).collect();
        (inputs, Named::Rule(hash), flags)
    };
    let challenge = vec![
        Extra::R8x.into(),
        Extra::R8y.into(),
        SignatureX.into(),
        SignatureY.into(),
        SignatureMessage.into(),
    ];
    vec![
        call(&[H, Place00, Place01, Place02, Place03], Hash0, &[]),
        call(
            &[Domain, Message1, Message2, Message3, Message4],
            Message,
            SIGNED,
        ),
        (challenge, Extra::Challenge.into(), SIGNED),
        call(
            &[After0, Place10, Place11, Place12, Place13],
            Hash1,
            &[IsNew, IsChangeKey, IsLock, IsBidPay, IsBidBurn, IsInbox],
        ),
        call(
            &[After1, Place20, Place21, Place22, Place23],
            Hash2,
            &[IsInbox, IsWithdraw],
        ),
        call(&[KeyX, KeyY], KeyDigest, &[IsNew, IsChangeKey]),
        call(&[GroupStart, Message], GroupStep, &[InGroup]),
        call(&[GroupStep, GroupNumber], GroupClose, &[IsLast]),
    ]
}

/// An honest trace to start from.
pub(crate) struct Honest {
    pub(crate) name: String,
    pub(crate) shape: LaneShape,
    pub(crate) circuit: LaneCircuit,
    pub(crate) evaluator: Evaluator,
    /// Slots that the witness fills; the others are idle.
    pub(crate) filled: usize,
    /// Constraints of each gate, in order.
    gates: BTreeMap<String, Vec<usize>>,
    pub(super) rules: Vec<Rule>,
}

/// What a wave does about a constraint of the rules.
pub(super) struct Rule {
    pub(super) number: usize,
    pub(super) name: String,
    /// The cell that it defines.
    pub(super) target: Option<Pos>,
    /// Inverses that it pins down: what each is the inverse of, and its place.
    pub(super) inverses: Vec<(Expression<Fr>, Pos)>,
    pub(super) reads: Vec<(usize, i32)>,
}

impl Honest {
    pub(crate) fn new(name: &str, witness: &ChunkWitness) -> Self {
        let shape = shape(witness);
        let (circuit, ..) = shape.fill(witness).expect("there is room");
        Self::from(name, shape, circuit, 2 * witness.pairs.len())
    }

    fn from(name: &str, shape: LaneShape, circuit: LaneCircuit, filled: usize) -> Self {
        let evaluator = Evaluator::new(&circuit, shape.rows());
        let mut gates: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, constraint) in evaluator.names().iter().enumerate() {
            let gate = constraint.split(": ").next().unwrap_or_default();
            gates.entry(gate.to_owned()).or_default().push(number);
        }
        let rule = |number: &usize| {
            let demand = evaluator.demand(*number);
            let name = evaluator.names()[*number].trim_start_matches("rules: ");
            Rule {
                number: *number,
                name: name.split(" #").next().unwrap_or_default().to_owned(),
                target: target(demand),
                inverses: inverses(demand),
                reads: queries(demand),
            }
        };
        let rules = gates["rules"].iter().map(rule).collect();
        Self {
            name: name.to_owned(),
            shape,
            circuit,
            evaluator,
            filled,
            gates,
            rules,
        }
    }

    /// The same circuit and trace, to change.
    pub(crate) fn of(other: &Honest) -> Self {
        Self::from(
            &other.name,
            other.shape,
            other.circuit.clone(),
            other.filled,
        )
    }

    pub(crate) fn trace(&self) -> &Trace {
        self.circuit.trace().expect("it has a trace")
    }

    /// Constraints of a gate.
    pub(crate) fn gate(&self, name: &str) -> &[usize] {
        self.gates.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn end(&self) -> usize {
        self.shape.slot_row(2 * self.shape.pairs)
    }

    /// A trace of the first phase with honest products.
    pub(crate) fn complete(&self, trace: Trace) -> Trace {
        let mut circuit = self.circuit.clone();
        *circuit.trace_mut().expect("it has a trace") = trace;
        circuit.complete(challenges()).expect("it has a trace")
    }

    /// Everything that a trace of the first phase breaks, in every row.
    pub(crate) fn broken_anywhere(&self, trace: Trace) -> Vec<Broken> {
        self.evaluator.broken(&self.complete(trace))
    }

    /// Everything that a trace of the first phase breaks, products computed honestly: at the ends, and around cells that are
    /// not those of the honest trace.
    pub(crate) fn broken(&self, trace: Trace) -> Vec<Broken> {
        let mut changed: BTreeSet<usize> = [0, self.end() / ROWS].into();
        for (old, new) in self.trace().columns().iter().zip(trace.columns()) {
            for (row, (old, new)) in old.iter().zip(new).enumerate() {
                if old != new {
                    let block = row / ROWS;
                    changed.extend(block.saturating_sub(1)..=block + 1);
                }
            }
        }
        let whole = self.complete(trace);
        self.evaluator
            .broken_in(&whole, |row| changed.contains(&(row / ROWS)))
    }
}

/// The cell of `cell = value`.
pub(super) fn target(demand: &Expression<Fr>) -> Option<Pos> {
    let Expression::Sum(left, right) = demand else {
        return None;
    };
    match (left.as_ref(), right.as_ref()) {
        (Expression::Advice(query), Expression::Negated(_)) => {
            Some(pos(query.rotation().0, query.column_index()))
        }
        _ => None,
    }
}

/// A place counted from a row.
pub(super) fn below(place: Pos, row: usize) -> At {
    at(
        place.column,
        row.wrapping_add_signed(place.rotation as isize),
    )
}

/// Flag, distance and its bits, of a comparison.
pub(super) fn comparison(rule: &str) -> Option<(Cell, Cell, usize)> {
    match rule {
        "locked" => Some((Cell::IsLocked, Cell::LockDistance, 64)),
        "bid floor" => Some((Cell::AboveFloor, Cell::FloorDistance, 120)),
        "enough" => Some((Cell::IsEnough, Cell::EnoughDistance, 120)),
        "room" => Some((Cell::HasRoom, Cell::RoomDistance, 120)),
        _ => None,
    }
}

pub(super) fn fits(value: Fr, width: usize) -> bool {
    let value = limbs(value);
    (width..256)
        .step_by(32)
        .all(|start| bits(&value, start, 32.min(256 - start)) == 0)
}

/// Products with a cell that is nothing but an inverse: the other factor, and the cell.
pub(super) fn inverses(demand: &Expression<Fr>) -> Vec<(Expression<Fr>, Pos)> {
    use Cell::*;
    const INVERSES: [Cell; 10] = [
        UnknownInverse,
        FeeCountInverse,
        FeeInverse,
        OpenInverse,
        OwnerInverse,
        TokenInverse,
        Token2Inverse,
        NewOwnerInverse,
        SpaceInverse,
        NonceInverse,
    ];
    match demand {
        Expression::Product(left, right) => {
            if let Expression::Advice(query) = right.as_ref() {
                let cell = pos(query.rotation().0, query.column_index());
                if INVERSES.iter().any(|name| place(*name) == cell) {
                    return vec![(left.as_ref().clone(), cell)];
                }
            }
            [inverses(left), inverses(right)].concat()
        }
        Expression::Sum(left, right) => [inverses(left), inverses(right)].concat(),
        Expression::Negated(inner) | Expression::Scaled(inner, _) => inverses(inner),
        _ => Vec::new(),
    }
}
