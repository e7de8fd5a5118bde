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
use circuits::gadgets::poseidon::{LIVE, schedule};
use circuits::lanes::layout::{Extra, LADDER, Named, ROWS, TREE_SPARE, place};
use circuits::lanes::tree::{ON, PLACE};
use circuits::trace::{At, Trace, at};
use circuits::window::invert_or_zero;
use halo2curves::bn256::Fr;
use protocol::params::{BURN_NUMERATOR, BURN_SHIFT};

use super::evaluator::Broken;
use super::honest::{Honest, Rule, accesses, below, calls, comparison, fits, target};
use super::idle::output;
use super::refill::{false_permutation, leaf_rows};

/// Times a slot is computed again before its wave counts as lost.
const ROUNDS: usize = 4;

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
    pub(super) honest: &'a Honest,
    pub(crate) trace: Trace,
    pub(super) pinned: BTreeSet<At>,
    dropped: Vec<usize>,
    pub(super) poison: Option<Poison>,
    /// A slot whose clock is 0.
    stopped: Option<usize>,
    /// Slots whose rules have changed cells.
    pub(super) touched: BTreeSet<usize>,
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

    pub(super) fn clock(&self, slot: usize) -> u64 {
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

    pub(super) fn set(&mut self, cell: At, value: Fr) -> bool {
        if self.pinned.contains(&cell) || self.trace.get(cell) == value {
            return false;
        }
        self.trace.set(cell, value);
        true
    }

    pub(super) fn cell(&self, slot: usize, name: impl Into<Named>) -> At {
        self.honest.shape.cell(slot, name)
    }

    pub(super) fn get(&self, slot: usize, name: impl Into<Named>) -> Fr {
        self.trace.get(self.cell(slot, name))
    }

    pub(super) fn put(&mut self, slot: usize, name: impl Into<Named>, value: Fr) -> bool {
        let cell = self.cell(slot, name);
        self.set(cell, value)
    }

    pub(super) fn is_dropped(&self, constraint: usize) -> bool {
        self.dropped.contains(&constraint)
    }

    pub(super) fn value(&self, constraint: usize, row: usize) -> Fr {
        let demand = self.honest.evaluator.demand(constraint);
        self.honest.evaluator.evaluate(demand, &self.trace, row)
    }

    /// Writes the cell of `cell = value`.
    pub(super) fn define(&mut self, constraint: usize, row: usize) -> bool {
        let target = target(self.honest.evaluator.demand(constraint));
        let Some(target) = target.filter(|_| !self.is_dropped(constraint)) else {
            return false;
        };
        self.write(constraint, below(target, row), row)
    }

    pub(super) fn write(&mut self, constraint: usize, target: At, row: usize) -> bool {
        if self.pinned.contains(&target) {
            return false;
        }
        let value = self.value(constraint, row);
        value != Fr::zero() && self.set(target, self.trace.get(target) - value)
    }

    pub(super) fn slots(&mut self) {
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
    pub(super) fn is_promising(&self) -> bool {
        let broken = self.broken_rules();
        broken
            .iter()
            .all(|broken| self.dropped.contains(&broken.constraint))
    }

    pub(super) fn partner(&mut self, slot: usize) -> bool {
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

    pub(super) fn threads(&mut self, slot: usize) -> bool {
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
    pub(super) fn memory(&self) -> BTreeMap<u64, ([Fr; 5], u64)> {
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
    pub(super) fn reads(&mut self, slot: usize, memory: &BTreeMap<u64, ([Fr; 5], u64)>) -> bool {
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

    pub(super) fn writes(&self, slot: usize, memory: &mut BTreeMap<u64, ([Fr; 5], u64)>) {
        for (i, access) in accesses().into_iter().enumerate() {
            let index = limbs(self.get(slot, access.index))[0];
            let after = access.after.map(|name| self.get(slot, name));
            memory.insert(index, (after, self.clock(slot) + i as u64 + 1));
        }
    }

    /// The rules of a slot, in order.
    pub(super) fn rules(&mut self, slot: usize) {
        let honest = self.honest;
        let row = honest.shape.slot_row(slot);
        let nonce = limbs(self.get(slot, Cell::Nonce1));
        self.put(slot, Cell::NonceLow, Fr::from(bits(&nonce, 0, 4)));
        self.put(slot, Cell::NonceHigh, Fr::from(bits(&nonce, 4, 58)));
        for rule in &honest.rules {
            // a dropped rule says nothing, but the phase's flags are found where the first of them is first read
            if rule.name.starts_with("Phase") || !self.is_dropped(rule.number) {
                self.hint(slot, &rule.name);
            }
            if self.is_dropped(rule.number) {
                continue;
            }
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
    pub(super) fn hint(&mut self, slot: usize, rule: &str) {
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

    pub(super) fn hash(&mut self, slot: usize, call: usize) {
        let (inputs, hash, _) = &calls()[call];
        let values: Vec<Fr> = inputs.iter().map(|name| self.get(slot, *name)).collect();
        let value = self.permutation(slot, call, &values).1;
        self.put(slot, *hash, value);
    }

    /// The cells of a call's permutation and its hash, with the error if it is the poisoned one.
    pub(super) fn permutation(&self, slot: usize, call: usize, inputs: &[Fr]) -> (Vec<Fr>, Fr) {
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
    pub(super) fn solve(&mut self, slot: usize, rule: &Rule, row: usize) {
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

    pub(super) fn broken_rules(&self) -> Vec<Broken> {
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
            let value = invert_or_zero(self.trace.get(at(LADDER + 9, row)));
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
}
