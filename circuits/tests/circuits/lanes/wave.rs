//! From one changed cell of the lanes to a whole forged trace: what follows from the change is computed again, as an attacker
//! would, so that only the constraint that was dropped speaks against it.
//!
//! A wave runs forward. Slot by slot: the thread from the block above, reads of the memory, rules in their order (an equation
//! `cell = value` writes its cell, a hint - flag of a comparison, inverse, hash - is found again), a new signature where the
//! message changed (the ledger's keys are known). Then opened leaves and nodes up to the root, the digests at both ends, hashes
//! on demand, bytes and their counts. Cells that the forger chose are pinned: nothing writes them.

use std::collections::{BTreeMap, BTreeSet};

use circuits::chunk::Cell;
use circuits::convert::{bits, from_u128, limbs, power_of_two};
use circuits::gadgets::edwards::Point;
use circuits::gadgets::poseidon::{self, LIVE, OUT, Spread, schedule};
use circuits::gadgets::signature::SignatureValues;
use circuits::lanes::layout::{
    BYTES, COUNTS, Extra, HASH3, HASH3_STARTS, HASH6, HASH6_STARTS, Named, ROWS, TREE_SPARE, WIDTH,
    leaves, place,
};
use circuits::lanes::tree::{INDEX, ON, PLACE, WRITTEN, flag, leaf_row, node_row, nodes};
use circuits::lanes::{LaneCircuit, LaneShape, bytes, ladder};
use circuits::trace::{At, Block, Trace, at};
use circuits::window::{Pos, invert_or_zero, pos};
use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;
use protocol::params::{BURN_NUMERATOR, BURN_SHIFT};
use protocol::signature::SecretKey;
use protocol::witness::ChunkWitness;

use super::checker::challenges;
use super::evaluator::{Broken, Evaluator};
use super::idle::output;
use super::shape;
use crate::checker::queries;
use crate::ledger::secret;

/// Times a slot is computed again before its wave counts as lost.
const ROUNDS: usize = 4;

/// Cells before an access, cells after it, and the fields that the first are made of.
struct Access {
    index: Cell,
    before: [Named; 5],
    after: [Named; 5],
    fields: [Cell; 5],
    time: Extra,
    age: Extra,
}

fn accesses() -> [Access; 3] {
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
type Call = (Vec<Named>, Named, &'static [Cell]);

fn calls() -> Vec<Call> {
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
    rules: Vec<Rule>,
}

/// What a wave does about a constraint of the rules.
struct Rule {
    number: usize,
    name: String,
    /// The cell that it defines.
    target: Option<Pos>,
    /// Inverses that it pins down: what each is the inverse of, and its place.
    inverses: Vec<(Expression<Fr>, Pos)>,
    reads: Vec<(usize, i32)>,
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

/// A permutation with an error, from cell `index` on: of a call of a slot, or of a row of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Poison {
    Call {
        slot: usize,
        call: usize,
        index: usize,
    },
    Tree {
        row: usize,
        index: usize,
    },
}

/// A forgery in the making.
pub(crate) struct Wave<'a> {
    honest: &'a Honest,
    pub(crate) trace: Trace,
    pinned: BTreeSet<At>,
    dropped: Vec<usize>,
    poison: Option<Poison>,
    /// A slot whose clock is 0.
    stopped: Option<usize>,
    /// Slots whose rules have changed cells.
    touched: BTreeSet<usize>,
}

impl<'a> Wave<'a> {
    /// A wave against constraints that are left out.
    pub(crate) fn new(honest: &'a Honest, dropped: &[usize]) -> Self {
        Self {
            honest,
            trace: honest.trace().clone(),
            pinned: BTreeSet::new(),
            dropped: dropped.to_vec(),
            poison: None,
            stopped: None,
            touched: BTreeSet::new(),
        }
    }

    /// The forger's choice.
    pub(crate) fn pin(mut self, cell: At, value: Fr) -> Self {
        self.trace.set(cell, value);
        self.pinned.insert(cell);
        let slot = (cell.row / ROWS).checked_sub(1);
        self.touched
            .extend(slot.filter(|slot| *slot < 2 * self.honest.shape.pairs));
        self
    }

    /// A false permutation.
    pub(crate) fn poisoned(mut self, poison: Poison) -> Self {
        self.poison = Some(poison);
        if let Poison::Call { slot, .. } = poison {
            self.touched.insert(slot);
        }
        self
    }

    /// A slot's accesses happen at the times of the first slot's.
    pub(crate) fn stopped(mut self, slot: usize) -> Self {
        self.stopped = Some(slot);
        self.touched.insert(slot);
        self
    }

    fn clock(&self, slot: usize) -> u64 {
        match self.stopped {
            Some(stopped) if stopped == slot => 0,
            _ => 3 * slot as u64,
        }
    }

    /// Computes all that follows. Returns what is broken then: all of it, or what the rules break if that is not what was dropped.
    pub(crate) fn run(mut self) -> (Trace, Vec<Broken>) {
        if self.pinned.iter().any(|cell| cell.column < TREE_SPARE + 3) {
            self.tree();
        }
        self.end_block(0);
        self.slots();
        let early = self.broken_rules();
        if early
            .iter()
            .any(|broken| !self.is_dropped(broken.constraint))
        {
            return (self.trace, early);
        }
        let is_rule = |number: &usize| {
            let gates = ["rules", "slot"];
            gates
                .iter()
                .any(|gate| self.honest.gate(gate).contains(number))
        };
        if early.is_empty() && !self.dropped.is_empty() && self.dropped.iter().all(is_rule) {
            return (self.trace, early); // nothing that was dropped would have objected
        }
        self.sign();
        self.tree();
        self.end_block(self.honest.end());
        self.answers();
        self.bytes();
        let broken = self.honest.broken(self.trace.clone());
        (self.trace, broken)
    }

    fn set(&mut self, cell: At, value: Fr) -> bool {
        if self.pinned.contains(&cell) || self.trace.get(cell) == value {
            return false;
        }
        self.trace.set(cell, value);
        true
    }

    fn cell(&self, slot: usize, name: impl Into<Named>) -> At {
        self.honest.shape.cell(slot, name)
    }

    fn get(&self, slot: usize, name: impl Into<Named>) -> Fr {
        self.trace.get(self.cell(slot, name))
    }

    fn put(&mut self, slot: usize, name: impl Into<Named>, value: Fr) -> bool {
        let cell = self.cell(slot, name);
        self.set(cell, value)
    }

    fn is_dropped(&self, constraint: usize) -> bool {
        self.dropped.contains(&constraint)
    }

    fn value(&self, constraint: usize, row: usize) -> Fr {
        let demand = self.honest.evaluator.demand(constraint);
        self.honest.evaluator.evaluate(demand, &self.trace, row)
    }

    /// Writes the cell of `cell = value`.
    fn define(&mut self, constraint: usize, row: usize) -> bool {
        let target = target(self.honest.evaluator.demand(constraint));
        let Some(target) = target.filter(|_| !self.is_dropped(constraint)) else {
            return false;
        };
        self.write(constraint, below(target, row), row)
    }

    fn write(&mut self, constraint: usize, target: At, row: usize) -> bool {
        if self.pinned.contains(&target) {
            return false;
        }
        let value = self.value(constraint, row);
        value != Fr::zero() && self.set(target, self.trace.get(target) - value)
    }

    fn slots(&mut self) {
        let mut memory = self.memory();
        let seeded = self.touched.first().copied().unwrap_or_default();
        for slot in 0..2 * self.honest.shape.pairs {
            for round in 0..ROUNDS {
                let mut changed = self.threads(slot);
                changed |= self.reads(slot, &memory);
                if changed || (round == 0 && self.touched.contains(&slot)) {
                    self.touched.insert(slot);
                    self.rules(slot);
                } else {
                    break;
                }
            }
            // a first slot publishes its partner's bits: the partner is computed, then the first again
            if slot % 2 == 1 && self.partner(slot - 1) {
                self.touched.insert(slot - 1);
                self.rules(slot - 1);
                self.threads(slot);
                self.rules(slot);
            }
            self.writes(slot, &mut memory);
            if slot == seeded | 1 && !self.is_promising() {
                return;
            }
        }
    }

    /// Whether the rules of the slots so far break nothing but what was dropped.
    fn is_promising(&self) -> bool {
        let broken = self.broken_rules();
        broken
            .iter()
            .all(|broken| self.dropped.contains(&broken.constraint))
    }

    fn partner(&mut self, slot: usize) -> bool {
        use Cell::{IsNoop, PartnerBits, PartnerNoop, SlotBits};
        let mut changed = false;
        let gate = self.honest.gate("slot");
        let ties = gate
            .iter()
            .copied()
            .filter(|number| self.honest.evaluator.names()[*number].contains("the partner's"));
        for (tie, (own, theirs)) in ties.zip([(PartnerBits, SlotBits), (PartnerNoop, IsNoop)]) {
            if !self.is_dropped(tie) {
                let value = self.get(slot + 1, theirs);
                changed |= self.put(slot, own, value);
            }
        }
        changed
    }

    fn threads(&mut self, slot: usize) -> bool {
        let row = self.honest.shape.slot_row(slot);
        let mut changed = false;
        for number in self.honest.gate("slot") {
            let name = self.honest.evaluator.names()[*number].as_str();
            if name.contains("thread") || name.contains("passes through") {
                changed |= self.define(*number, row);
            } else if name.contains("one domain") && slot > 0 && !self.is_dropped(*number) {
                let domain = self.get(slot - 1, Cell::Domain);
                changed |= self.put(slot, Cell::Domain, domain);
            }
        }
        changed
    }

    /// Opened leaves by index: fields, live flag, and the time of the last write.
    fn memory(&self) -> BTreeMap<u64, ([Fr; 5], u64)> {
        let mut memory = BTreeMap::new();
        for row in self.leaf_rows() {
            if self.trace.get(at(ON, row)) == Fr::one() {
                let fields = [0, 1, 2, 3, LIVE].map(|column| self.trace.get(at(column, row)));
                memory.insert(limbs(self.trace.get(at(PLACE, row)))[0], (fields, 0));
            }
        }
        memory
    }

    pub(crate) fn leaf_rows(&self) -> Vec<usize> {
        leaf_rows(&self.honest.shape)
    }

    /// What the slot's accesses find, each after those before it.
    fn reads(&mut self, slot: usize, memory: &BTreeMap<u64, ([Fr; 5], u64)>) -> bool {
        let (mut local, mut changed) = (memory.clone(), false);
        for (i, access) in accesses().into_iter().enumerate() {
            let index = limbs(self.get(slot, access.index))[0];
            let now = self.clock(slot) + i as u64;
            let Some((fields, written)) = local.get(&index).copied() else {
                continue; // nothing opens it: some constraint will say so
            };
            for (name, value) in access.before.into_iter().zip(fields) {
                changed |= self.put(slot, name, value);
            }
            let [_, _, meta, holdings, _] = fields;
            let (meta, holdings) = (limbs(meta), limbs(holdings));
            let owner = Fr::from_raw([meta[0], meta[1], bits(&meta, 128, 32), 0]);
            let token = Fr::from(bits(&meta, 160, 32));
            let nonce = Fr::from(bits(&meta, 192, 62));
            let balance = Fr::from_raw([holdings[0], bits(&holdings, 64, 56), 0, 0]);
            let lock = Fr::from(bits(&holdings, 120, 64));
            for (name, value) in access
                .fields
                .into_iter()
                .zip([owner, token, nonce, balance, lock])
            {
                changed |= self.put(slot, name, value);
            }
            changed |= self.put(slot, access.time, Fr::from(written));
            let read = self.get(slot, access.time);
            changed |= self.put(slot, access.age, Fr::from(now) - read);
            let after = access.after.map(|name| self.get(slot, name));
            local.insert(index, (after, now + 1));
        }
        changed
    }

    fn writes(&self, slot: usize, memory: &mut BTreeMap<u64, ([Fr; 5], u64)>) {
        for (i, access) in accesses().into_iter().enumerate() {
            let index = limbs(self.get(slot, access.index))[0];
            let after = access.after.map(|name| self.get(slot, name));
            memory.insert(index, (after, self.clock(slot) + i as u64 + 1));
        }
    }

    /// The rules of a slot, in order.
    fn rules(&mut self, slot: usize) {
        let honest = self.honest;
        let row = honest.shape.slot_row(slot);
        let nonce = limbs(self.get(slot, Cell::Nonce1));
        self.put(slot, Cell::NonceLow, Fr::from(bits(&nonce, 0, 4)));
        self.put(slot, Cell::NonceHigh, Fr::from(bits(&nonce, 4, 58)));
        for rule in &honest.rules {
            if self.is_dropped(rule.number) {
                continue;
            }
            self.hint(slot, &rule.name);
            for (factor, inverse) in &rule.inverses {
                let value = honest.evaluator.evaluate(factor, &self.trace, row);
                self.set(below(*inverse, row), invert_or_zero(value));
            }
            let Some(target) = rule.target else {
                self.solve(slot, rule, row);
                continue;
            };
            self.write(rule.number, below(target, row), row);
            if let Some((flag, distance, width)) = comparison(&rule.name)
                && !fits(self.get(slot, distance), width)
            {
                let other = Fr::one() - self.get(slot, flag);
                self.put(slot, flag, other);
                self.write(rule.number, below(target, row), row);
            }
        }
    }

    /// Cells that constraints pin down only indirectly, before the rule that first reads them.
    fn hint(&mut self, slot: usize, rule: &str) {
        use Cell::*;
        match rule {
            "PhaseNone is boolean" => {
                let (header, bid) = (self.get(slot, Header), self.get(slot, HeaderBid));
                let opened = Fr::one() + bid.double();
                let phase = self.get(slot, Phase);
                let now = header * (opened - phase) + phase;
                for (number, cell) in [PhaseNone, PhaseInbox, PhaseSigned, PhaseBid]
                    .into_iter()
                    .enumerate()
                {
                    let is_now = now == Fr::from(number as u64);
                    self.put(slot, cell, Fr::from(u64::from(is_now)));
                }
            }
            "burn rounds down" => {
                let product = limbs(self.get(slot, Fee) * from_u128(BURN_NUMERATOR));
                let remainder = Fr::from(bits(&product, 0, BURN_SHIFT as usize));
                let share = self.get(slot, Fee) * from_u128(BURN_NUMERATOR) - remainder;
                let shift: Fr = power_of_two(BURN_SHIFT);
                self.put(slot, BurnRemainder, remainder);
                self.put(slot, Burn, share * invert_or_zero(shift));
            }
            "message: key or value" => self.hash(slot, 5),
            "the sender's key signs: x" => self.hash(slot, 1),
            "members sign one hash" => self.hash(slot, 6),
            "a group has two members" => self.hash(slot, 7),
            "group 0" => self.hash(slot, 0),
            "group 1" => self.hash(slot, 3),
            "group 2" => self.hash(slot, 4),
            _ => {}
        }
    }

    fn hash(&mut self, slot: usize, call: usize) {
        let (inputs, hash, _) = &calls()[call];
        let values: Vec<Fr> = inputs.iter().map(|name| self.get(slot, *name)).collect();
        let value = self.permutation(slot, call, &values).1;
        self.put(slot, *hash, value);
    }

    /// The cells of a call's permutation and its hash, with the error if it is the poisoned one.
    fn permutation(&self, slot: usize, call: usize, inputs: &[Fr]) -> (Vec<Fr>, Fr) {
        match self.poison {
            Some(Poison::Call {
                slot: poisoned,
                call: number,
                index,
            }) if (poisoned, number) == (slot, call) => false_permutation(inputs, index),
            _ => schedule(inputs.len() + 1).run(inputs),
        }
    }

    /// A broken demand without a cell of its own is met by an input that nothing else defines.
    fn solve(&mut self, slot: usize, rule: &Rule, row: usize) {
        use Cell::*;
        const INPUTS: [Cell; 14] = [
            SignatureMessage,
            SignatureX,
            SignatureY,
            Amount,
            Until,
            ItemType,
            ItemFrom,
            ItemTo,
            ValidUntil,
            Spare0,
            BidHeight,
            New0,
            PartnerNoop,
            Index3,
        ];
        let constraint = rule.number;
        let value = self.value(constraint, row);
        if value == Fr::zero() {
            return;
        }
        for name in INPUTS {
            let here = place(name);
            let cell = self.cell(slot, name);
            if self.pinned.contains(&cell) || !rule.reads.contains(&(here.column, here.rotation)) {
                continue;
            }
            let old = self.trace.get(cell);
            self.trace.set(cell, old + Fr::one());
            let slope = self.value(constraint, row) - value;
            self.trace.set(cell, old + Fr::from(2));
            let again = self.value(constraint, row) - value;
            self.trace.set(cell, old);
            if slope != Fr::zero() && again == slope.double() {
                self.trace.set(cell, old - value * invert_or_zero(slope));
                return;
            }
        }
    }

    fn broken_rules(&self) -> Vec<Broken> {
        let first_rows: BTreeSet<usize> = (self.touched.iter())
            .map(|slot| self.honest.shape.slot_row(*slot))
            .collect();
        let mut broken = Vec::new();
        for gate in ["rules", "slot"] {
            for constraint in self.honest.gate(gate) {
                for row in &first_rows {
                    if self.value(*constraint, *row) != Fr::zero() {
                        let (constraint, row) = (*constraint, *row);
                        broken.push(Broken { constraint, row });
                    }
                }
            }
        }
        broken
    }

    /// Signs again where key or message changed.
    fn sign(&mut self) {
        for slot in self.touched.clone() {
            let [x, y, message] = [Cell::SignatureX, Cell::SignatureY, Cell::SignatureMessage]
                .map(|name| self.get(slot, name));
            let before = [Cell::SignatureX, Cell::SignatureY, Cell::SignatureMessage]
                .map(|name| self.honest.trace().get(self.cell(slot, name)));
            let is_forged = self
                .pinned
                .iter()
                .any(|cell| cell.row / ROWS == slot + 1 && (104..171).contains(&cell.column));
            if [x, y, message] == before || is_forged {
                continue;
            }
            let Some(values) = signature(Point { x, y }, message) else {
                continue;
            };
            let mut block = Block::wide(ROWS, WIDTH);
            let _ = ladder::assign(&mut block, &values, |c| ladder::split(c, values.response));
            self.ladder(slot, &block);
        }
    }

    /// Writes the output cell of an equation of the ladder; inverses as hints.
    pub(crate) fn solve_ladder(&mut self, constraint: usize, row: usize) {
        let name = &self.honest.evaluator.names()[constraint];
        let demand = self.honest.evaluator.demand(constraint);
        let inverse = [("x(8A) is not 0", Extra::A8x, Extra::A8Inverse)];
        if let Some((_, of, cell)) = inverse.into_iter().find(|(rule, ..)| name.contains(rule)) {
            let slot = row / ROWS - 1;
            let value = invert_or_zero(self.get(slot, of));
            self.put(slot, cell, value);
            return;
        }
        if name.contains("v is not 0") {
            let value = invert_or_zero(self.trace.get(at(113, row)));
            self.put(row / ROWS - 1, Extra::VInverse, value);
            return;
        }
        let free = |cell: &At| !self.pinned.contains(cell) && !name.contains("8 sum");
        let Some(cell) = output(demand, row).filter(free) else {
            return;
        };
        let mut with = |value: Fr| {
            self.trace.set(cell, value);
            self.honest.evaluator.evaluate(demand, &self.trace, row)
        };
        let (at_zero, at_one) = (with(Fr::zero()), with(Fr::one()));
        let solved = at_zero * invert_or_zero(at_zero - at_one);
        self.trace.set(cell, solved);
    }

    /// Takes ladder and signature cells from a block.
    pub(crate) fn ladder(&mut self, slot: usize, block: &Block) {
        let first = self.honest.shape.slot_row(slot);
        for row in 0..ROWS {
            for column in 104..171 {
                self.set(at(column, first + row), block.get(at(column, row)));
            }
        }
        let cells = Extra::ALL[..=Extra::E4y as usize].iter();
        for name in cells.copied().map(Named::Extra) {
            let here = place(name);
            let value = block.get(at(here.column, here.rotation as usize));
            self.put(slot, name, value);
        }
    }

    /// Opened leaves as they were last written, and all nodes above them.
    fn tree(&mut self) {
        let memory = {
            let mut memory = self.memory();
            for slot in 0..2 * self.honest.shape.pairs {
                self.writes(slot, &mut memory);
            }
            memory
        };
        let mut made: BTreeMap<(u64, u64), [Fr; 2]> = BTreeMap::new();
        for row in self.leaf_rows() {
            if self.trace.get(at(ON, row)) != Fr::one() {
                continue;
            }
            let index = limbs(self.trace.get(at(PLACE, row)))[0];
            if let Some((fields, written)) = memory.get(&index) {
                for (column, value) in [0, 1, 2, 3, LIVE].into_iter().zip(fields) {
                    self.set(at(column, row + 1), *value);
                }
                self.set(at(WRITTEN, row + 1), Fr::from(*written));
            }
            made.insert(
                (0, index),
                [0, 1].map(|side| self.permute(row + side, true)),
            );
        }
        let mut rows: Vec<(u64, u64, usize)> = node_rows(&self.honest.shape)
            .into_iter()
            .filter(|row| self.trace.get(at(ON, *row)) == Fr::one())
            .map(|row| {
                let number = |cell: At| limbs(self.trace.get(cell))[0];
                (number(at(INDEX, row + 1)), number(at(INDEX, row)), row)
            })
            .collect();
        rows.sort_unstable();
        for (level, index, row) in rows {
            for j in 0..4 {
                let place = flag(j);
                let opened = at(
                    place.column,
                    (row + 1).wrapping_add_signed(place.rotation as isize),
                );
                if self.trace.get(opened) != Fr::one() {
                    continue;
                }
                let child = made
                    .get(&(level.wrapping_sub(1), 4 * index + j as u64))
                    .copied();
                for (side, value) in child.into_iter().flatten().enumerate() {
                    self.set(at(j, row + side), value);
                }
            }
            made.insert(
                (level, index),
                [0, 1].map(|side| self.permute(row + side, false)),
            );
        }
        if let Some(roots) = made.get(&(16, 0)).copied() {
            let root = place(Cell::RootAfter);
            for (row, value) in [0, self.honest.end()].into_iter().zip(roots) {
                self.set(at(root.column, row + root.rotation as usize), value);
            }
        }
    }

    /// Fills a row of the tree from its inputs; returns its value.
    fn permute(&mut self, row: usize, is_leaf: bool) -> Fr {
        let inputs: Vec<Fr> = (0..4)
            .map(|column| self.trace.get(at(column, row)))
            .collect();
        let (cells, mut hash) = match self.poison {
            Some(Poison::Tree {
                row: poisoned,
                index,
            }) if poisoned == row => false_permutation(&inputs, index),
            _ => schedule(5).run(&inputs),
        };
        for (index, value) in cells.iter().enumerate().skip(4) {
            self.set(at(poseidon::INTERNAL + index - 4, row), *value);
        }
        if is_leaf {
            hash *= self.trace.get(at(LIVE, row));
        }
        self.set(at(OUT, row), hash);
        self.trace.get(at(OUT, row))
    }

    /// The block of an end: what is threaded to it, packings, digest.
    fn end_block(&mut self, row: usize) {
        let honest = self.honest;
        let gate = if row == 0 { "start" } else { "end" };
        for constraint in honest.gate(gate) {
            self.define(*constraint, row);
        }
        let packings = honest.gate("ends");
        for start in &HASH6_STARTS[..2] {
            for constraint in packings {
                self.define(*constraint, row);
            }
            let first = row + start;
            let inputs: Vec<Fr> = (0..5)
                .map(|i| HASH6.input(i))
                .map(|place| {
                    self.trace
                        .get(at(place.column, first + place.rotation as usize))
                })
                .collect();
            let (cells, digest) = schedule(6).run(&inputs);
            self.spread(HASH6, first, cells, digest);
        }
    }

    fn spread(&mut self, spread: Spread, first: usize, cells: Vec<Fr>, hash: Fr) {
        let inputs = spread.width - 1;
        for (index, value) in cells.into_iter().chain([hash]).enumerate() {
            let cell = at(
                spread.first + index % spread.across,
                first + index / spread.across,
            );
            if index >= inputs || self.trace.get(cell) != value {
                self.set(cell, value);
            }
        }
    }

    /// Answers what the slots ask, in their order.
    fn answers(&mut self) {
        let mut asked: [Vec<(Vec<Fr>, Fr, Fr)>; 2] = Default::default();
        for slot in 0..2 * self.honest.shape.pairs {
            for (call, (inputs, hash, flags)) in calls().into_iter().enumerate() {
                let on: Fr = flags.iter().map(|flag| self.get(slot, *flag)).sum();
                let is_active = slot % 2 == 0 && self.get(slot, Cell::IsNoop) == Fr::zero();
                if on == Fr::zero() && !(flags.is_empty() && is_active) {
                    continue;
                }
                let values: Vec<Fr> = inputs.iter().map(|name| self.get(slot, *name)).collect();
                let (cells, value) = self.permutation(slot, call, &values);
                if call == 2 {
                    self.put(slot, hash, value);
                }
                let on = if flags.is_empty() { Fr::one() } else { on };
                asked[usize::from(values.len() == 2)].push((cells, value, on));
            }
        }
        for ((spread, starts), asked) in [(HASH6, &HASH6_STARTS[..]), (HASH3, &HASH3_STARTS[..])]
            .into_iter()
            .zip(asked)
        {
            let capacity = 2 * self.honest.shape.pairs * starts.len();
            let idle = schedule(spread.width).run(&vec![Fr::zero(); spread.width - 1]);
            for number in 0..capacity {
                let row = self.honest.shape.slot_row(number / starts.len())
                    + starts[number % starts.len()];
                let (cells, hash, on) = match asked.get(number) {
                    Some((cells, hash, on)) => (cells.clone(), *hash, *on),
                    None => (idle.0.clone(), idle.1, Fr::zero()),
                };
                self.spread(spread, row, cells, hash);
                let flag = spread.spare();
                self.set(at(flag.column, row + flag.rotation as usize), on);
            }
        }
    }

    /// Bytes of all blocks that have any, and how often each occurs.
    fn bytes(&mut self) {
        for first in (0..self.honest.end()).step_by(ROWS) {
            let mut block = Block::wide(ROWS, WIDTH);
            for row in 0..ROWS {
                for column in COUNTS + 1..WIDTH {
                    block.set(at(column, row), self.trace.get(at(column, first + row)));
                }
            }
            let _ = bytes::assign(&mut block); // what does not fit is seen as its bytes
            for row in 0..ROWS {
                for column in BYTES..COUNTS {
                    self.set(at(column, first + row), block.get(at(column, row)));
                }
            }
        }
        count(&mut self.trace, self.honest.end());
    }
}

/// Counts the bytes of the rows below `rows`.
pub(crate) fn count(trace: &mut Trace, rows: usize) {
    let mut counts = [0_u64; bytes::TABLE];
    for column in BYTES..BYTES + bytes::ACROSS {
        for row in 0..rows {
            let value = limbs(trace.get(at(column, row)));
            let is_byte = value[1..] == [0; 3] && value[0] < bytes::TABLE as u64;
            if is_byte {
                counts[value[0] as usize] += 1;
            }
        }
    }
    for (row, count) in counts.into_iter().enumerate() {
        trace.set(at(COUNTS, row), Fr::from(count));
    }
}

/// First rows of the places for leaves.
pub(crate) fn leaf_rows(shape: &LaneShape) -> Vec<usize> {
    (0..2 * shape.pairs)
        .flat_map(|slot| (0..leaves(slot)).map(move |i| (slot, i)))
        .map(|(slot, i)| shape.slot_row(slot) + leaf_row(i))
        .collect()
}

/// First rows of the places for nodes.
pub(crate) fn node_rows(shape: &LaneShape) -> Vec<usize> {
    (0..2 * shape.pairs)
        .flat_map(|slot| (0..nodes(slot)).map(move |i| (slot, i)))
        .map(|(slot, i)| shape.slot_row(slot) + node_row(slot, i))
        .collect()
}

/// A permutation whose cell `index` is one too large, and everything after it computed from that.
pub(crate) fn false_permutation(inputs: &[Fr], index: usize) -> (Vec<Fr>, Fr) {
    let schedule = schedule(inputs.len() + 1);
    let mut cells = inputs.to_vec();
    for number in inputs.len()..schedule.cells() {
        let known = cells.clone();
        let error = Fr::from(u64::from(number == index));
        cells.push(schedule.next::<Fr>(number, &|i| known[i]) + error);
    }
    let error = Fr::from(u64::from(schedule.cells() == index));
    let hash = schedule.output::<Fr>(&|i| cells[i]) + error;
    (cells, hash)
}

/// The cell of `cell = value`.
fn target(demand: &Expression<Fr>) -> Option<Pos> {
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
fn below(place: Pos, row: usize) -> At {
    at(
        place.column,
        row.wrapping_add_signed(place.rotation as isize),
    )
}

/// Flag, distance and its bits, of a comparison.
fn comparison(rule: &str) -> Option<(Cell, Cell, usize)> {
    match rule {
        "locked" => Some((Cell::IsLocked, Cell::LockDistance, 64)),
        "bid floor" => Some((Cell::AboveFloor, Cell::FloorDistance, 120)),
        "enough" => Some((Cell::IsEnough, Cell::EnoughDistance, 120)),
        "room" => Some((Cell::HasRoom, Cell::RoomDistance, 120)),
        _ => None,
    }
}

fn fits(value: Fr, width: usize) -> bool {
    let value = limbs(value);
    (width..256)
        .step_by(32)
        .all(|start| bits(&value, start, 32.min(256 - start)) == 0)
}

/// Products with a cell that is nothing but an inverse: the other factor, and the cell.
fn inverses(demand: &Expression<Fr>) -> Vec<(Expression<Fr>, Pos)> {
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

/// A signature by a key of the ledger.
fn signature(key: Point<Fr>, message: Fr) -> Option<SignatureValues> {
    use circuits::convert::{to_circuit, to_native};
    let owner: SecretKey = (0..6).map(secret).find(|secret| {
        let point = secret.public().point();
        (to_circuit(point.x()), to_circuit(point.y())) == (key.x, key.y)
    })?;
    let signed = owner.sign(&to_native(message));
    let mut response = [0; 4];
    for (limb, chunk) in response.iter_mut().zip(signed.s().chunks_exact(8)) {
        *limb = u64::from_le_bytes(chunk.try_into().ok()?);
    }
    let r8 = signed.r8();
    Some(SignatureValues {
        key,
        commitment: Point {
            x: to_circuit(r8.x()),
            y: to_circuit(r8.y()),
        },
        response: Fr::from_raw(response),
        message,
    })
}
