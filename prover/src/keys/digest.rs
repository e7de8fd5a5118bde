//! What makes two circuits the same for a key: everything that enters the verifying key, hashed
//! before key generation.
//!
//! The digest covers the constraint system (halo2's pinned text: columns, gates, lookups,
//! permutation, declared degree), k, and every fixed cell, selector and copy of the synthesised
//! circuit, in order. A circuit that changes any of them gets another digest and so never meets an
//! old key. It is found by running `synthesize` once without a witness into a hash instead of into
//! polynomials.
//!
//! What it does not do: it is no public identity of a circuit (that is the key description's
//! digest); it may change with a new halo2, which then regenerates keys.

use halo2_proofs::circuit::Value;
use halo2_proofs::plonk::{
    Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed,
    FloorPlanner, Instance, Selector,
};
use halo2curves::bn256::Fr;
use halo2curves::serde::SerdeObject;
use sha2::{Digest, Sha256};

/// Versions the format of the digest.
const DOMAIN: &[u8] = b"QUORATE/prover/circuit/v1";

/// Digest of a circuit on `2^k` rows.
///
/// # Errors
/// What `synthesize` returns; rows beyond the usable ones are `NotEnoughRowsAvailable`.
pub fn circuit_digest<C: Circuit<Fr>>(circuit: &C, k: u32) -> Result<[u8; 32], Error> {
    let mut cs = ConstraintSystem::default();
    let config = C::configure_with_params(&mut cs, circuit.params());
    let not_enough_rows = || Error::NotEnoughRowsAvailable { current_k: k };
    let usable_rows = (1usize << k)
        .checked_sub(cs.minimum_rows())
        .map(|_| (1 << k) - cs.blinding_factors() - 1);
    let mut hasher = CellHasher {
        hasher: Sha256::new(),
        usable_rows: usable_rows.ok_or_else(not_enough_rows)?,
        fault: None,
    };
    hasher.hasher.update(DOMAIN);
    hasher.hasher.update(k.to_le_bytes());
    let text = format!("{:?}", cs.pinned());
    hasher.hasher.update((text.len() as u64).to_le_bytes());
    hasher.hasher.update(text.as_bytes());
    let constants = cs.constants().clone();
    C::FloorPlanner::synthesize(&mut hasher, &circuit.without_witnesses(), config, constants)?;
    match hasher.fault {
        Some(()) => Err(not_enough_rows()),
        None => Ok(hasher.hasher.finalize().into()),
    }
}

/// Takes a circuit's assignments and keeps only their hash.
struct CellHasher {
    hasher: Sha256,
    usable_rows: usize,
    /// A cell beyond the usable rows, in a call that cannot return an error.
    fault: Option<()>,
}

impl CellHasher {
    fn check(&mut self, row: usize) {
        if row >= self.usable_rows {
            self.fault = Some(());
        }
    }

    fn record(&mut self, tag: u8, numbers: &[usize]) {
        self.hasher.update([tag]);
        for number in numbers {
            self.hasher.update((*number as u64).to_le_bytes());
        }
    }

    fn record_value(&mut self, value: Assigned<Fr>) {
        let (numerator, denominator) = match value {
            Assigned::Zero => (Fr::zero(), None),
            Assigned::Trivial(value) => (value, None),
            Assigned::Rational(numerator, denominator) => (numerator, Some(denominator)),
        };
        self.hasher.update(numerator.to_raw_bytes());
        self.hasher.update([u8::from(denominator.is_some())]);
        if let Some(denominator) = denominator {
            self.hasher.update(denominator.to_raw_bytes());
        }
    }
}

/// A number for each kind of column.
fn column_tag(column: &Column<Any>) -> usize {
    match column.column_type() {
        Any::Advice(_) => 0,
        Any::Fixed => 1,
        Any::Instance => 2,
    }
}

impl Assignment<Fr> for CellHasher {
    fn enter_region<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn annotate_column<A: FnOnce() -> AR, AR: Into<String>>(&mut self, _: A, _: Column<Any>) {}

    fn exit_region(&mut self) {}

    fn enable_selector<A: FnOnce() -> AR, AR: Into<String>>(
        &mut self,
        _: A,
        selector: &Selector,
        row: usize,
    ) -> Result<(), Error> {
        self.check(row);
        self.record(b's', &[selector.index(), row]);
        Ok(())
    }

    fn query_instance(&self, _: Column<Instance>, _: usize) -> Result<Value<Fr>, Error> {
        Ok(Value::unknown())
    }

    fn assign_advice<'v>(
        &mut self,
        _: Column<Advice>,
        _: usize,
        _: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        Value::unknown()
    }

    fn assign_fixed(&mut self, column: Column<Fixed>, row: usize, to: Assigned<Fr>) {
        self.check(row);
        self.record(b'f', &[column.index(), row]);
        self.record_value(to);
    }

    fn copy(
        &mut self,
        left_column: Column<Any>,
        left_row: usize,
        right_column: Column<Any>,
        right_row: usize,
    ) {
        self.check(left_row.max(right_row));
        let (left, right) = (column_tag(&left_column), column_tag(&right_column));
        let (left_index, right_index) = (left_column.index(), right_column.index());
        self.record(
            b'c',
            &[left, left_index, left_row, right, right_index, right_row],
        );
    }

    fn fill_from_row(
        &mut self,
        column: Column<Fixed>,
        row: usize,
        to: Value<Assigned<Fr>>,
    ) -> Result<(), Error> {
        self.check(row);
        self.record(b'r', &[column.index(), row]);
        to.map(|value| self.record_value(value));
        Ok(())
    }

    fn get_challenge(&self, _: Challenge) -> Value<Fr> {
        Value::unknown()
    }

    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}

    fn pop_namespace(&mut self, _: Option<String>) {}
}
