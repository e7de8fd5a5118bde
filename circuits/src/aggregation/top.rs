//! The top: a run of chunks and the data they published become a batch.
//!
//! Statement, twelve elements: `domain, batch_number, root_before, root_after, counters_before, counters_after, h, z,
//! y_ops, y_withdrawals, y_inbox, word_counts`.
//!
//! * The run's two digests are opened. The start has nothing behind it: `h = IV_DATA`, no words, no signed operations,
//!   no fee leaves, no open block or group, no bid. The end has no open group and no bid that waits for its payment.
//! * Root and counters of both ends, and the end's h and counts, are public.
//! * The data proof is about the same h, and about the same three counts: `word_counts = data counts + 2^192 signed`,
//!   with ranges that make the sum unique.
//! * The batch number, z and the three y are bound by being public: the base layer derives z from all of them.
//!
//! The native twin is `protocol::public_inputs::PublicInputs`.

use halo2_base::gates::{GateInstructions, RangeChip, RangeInstructions};
use halo2_base::{AssignedValue, Context, QuantumCell};
use halo2curves::bn256::Fr;
use protocol::number::BatchNumber;
use protocol::threaded::{Phase, Threaded};
use protocol::words::WordCounts;

use super::circuit::{Stated, Statement};
use super::hash::{StateCells, state_digest};
use super::recursion::{verify, verify_one_of};
use super::{AggregationError, CurveChip, InnerProof, Loader, Protocol};
use crate::convert::{NativeField, power_of_two, to_circuit};
use crate::instance::{chunk, data};

/// Bits of the three counts together.
const COUNTS_BITS: usize = 192;
/// Bits of the number of signed operations: with the counts, below p.
const SIGNED_BITS: usize = 60;
/// Bits below the phase in `Threaded::block`: four fee leaves and their number.
const FEES_BITS: usize = 131;
/// Bits of the phase.
const PHASE_BITS: usize = 2;
/// Bits of the last bid's height, above.
const BID_BITS: usize = 64;

/// The two ends of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchEnds {
    /// Position of the batch.
    pub number: BatchNumber,
    /// State before the first chunk.
    pub start: Threaded,
    /// State after the last.
    pub end: Threaded,
}

/// A whole batch.
#[derive(Clone, Debug)]
pub struct Top<'a> {
    /// Keys of the levels of nodes, level 0 first: all of one shape.
    pub root_keys: &'a [Protocol],
    /// Level of the root.
    pub root_kind: usize,
    /// Proof of all chunks.
    pub root: InnerProof,
    /// Key of the data circuit.
    pub data_key: &'a Protocol,
    /// Proof of the data.
    pub data: InnerProof,
    /// What the digests open to.
    pub ends: BatchEnds,
}

impl Statement for Top<'_> {
    fn check(&self) -> Result<(), AggregationError> {
        let BatchEnds { start, end, .. } = &self.ends;
        let key = self.root_keys.get(self.root_kind);
        let root = key.map_or(&[][..], |key| self.root.statement(key));
        let data = &self.data.instance;
        let counts = end.counts.to_field() - with_signed_operations(end);
        let equal = |left: Option<&Fr>, right: NativeField| left == Some(&to_circuit(right));
        for (is_so, what) in [
            (start.is_batch_start(), "a batch does not start like this"),
            (end.is_batch_end(), "a batch does not end like this"),
            (
                equal(root.get(chunk::DIGEST_BEFORE), start.digest()),
                "the state before is not the run's",
            ),
            (
                equal(root.get(chunk::DIGEST_AFTER), end.digest()),
                "the state after is not the run's",
            ),
            (
                equal(data.get(data::H), end.h),
                "the data proof is about another h",
            ),
            (
                equal(data.get(data::WORD_COUNTS), counts),
                "the data proof is about other counts",
            ),
        ] {
            if !is_so {
                return Err(AggregationError::Unconnected(what));
            }
        }
        Ok(())
    }

    fn constrain<E: CurveChip>(
        &self,
        loader: &Loader<E>,
        range: &RangeChip<Fr>,
    ) -> Result<Stated<E>, AggregationError> {
        let keys = (self.root_keys, self.root_kind);
        let root = verify_one_of(loader, range, "root", keys, &self.root)?;
        let data = verify(loader, "data", self.data_key, &self.data)?;
        let mut context = loader.ctx_mut();
        let context = context.main();
        let start = start_cells(context, &self.ends.start);
        let end = end_cells(context, range, &self.ends.end);
        for (state, place) in [(&start, chunk::DIGEST_BEFORE), (&end, chunk::DIGEST_AFTER)] {
            let digest = state_digest(context, range.gate(), state);
            context.constrain_equal(&digest, &root.statement[place]);
        }
        join_data(context, range, &end, &data.statement);
        let number = context.load_witness(Fr::from(self.ends.number.0));
        range.range_check(context, number, 64);
        let [z, y_ops, y_withdrawals, y_inbox] =
            [data::Z, data::Y_OPS, data::Y_WITHDRAWALS, data::Y_INBOX]
                .map(|place| data.statement[place]);
        let statement = vec![
            root.statement[chunk::DOMAIN],
            number,
            start.root,
            end.root,
            start.counters,
            end.counters,
            end.h,
            z,
            y_ops,
            y_withdrawals,
            y_inbox,
            end.counts,
        ];
        Ok(Stated {
            statement,
            accumulators: [root.accumulators, data.accumulators].concat(),
        })
    }
}

/// What the signed operations of a batch add to its counts.
fn with_signed_operations(end: &Threaded) -> NativeField {
    let counts = WordCounts {
        signed_operations: end.counts.signed_operations,
        ..WordCounts::default()
    };
    counts.to_field()
}

/// The state before: all that a batch may not bring along is a constant.
fn start_cells(context: &mut Context<Fr>, state: &Threaded) -> StateCells {
    let root = context.load_witness(to_circuit(state.root));
    let counters = context.load_witness(to_circuit(state.counters()));
    let fixed = Threaded::batch_start(
        state.root,
        state.leaf_count,
        state.height,
        state.inbox_count,
    );
    let mut constant = |value| context.load_constant(to_circuit(value));
    StateCells {
        root,
        counters,
        h: constant(fixed.h),
        counts: constant(fixed.counts.to_field()),
        block: constant(fixed.block()),
        group_hash: constant(fixed.group.hash),
        group_sum: constant(fixed.group.accumulator),
        group_members: constant(NativeField::from(fixed.group.members)),
    }
}

/// The state after: no group is open and no bid waits.
fn end_cells(context: &mut Context<Fr>, range: &RangeChip<Fr>, state: &Threaded) -> StateCells {
    let block = to_circuit(state.block());
    let phase = Fr::from(u64::from(state.phase.number()));
    let bid = Fr::from(state.last_bid_height.0);
    let (phase_unit, bid_unit) = (power_of_two(131), power_of_two(133));
    let fees = block - phase * phase_unit - bid * bid_unit;
    let [fees, phase, bid] = [fees, phase, bid].map(|value| context.load_witness(value));
    range.range_check(context, fees, FEES_BITS);
    range.range_check(context, phase, PHASE_BITS);
    range.range_check(context, bid, BID_BITS);
    let gate = range.gate();
    let pending = Fr::from(u64::from(Phase::BidPending.number()));
    let is_pending = gate.is_equal(context, phase, QuantumCell::Constant(pending));
    gate.assert_is_const(context, &is_pending, &Fr::zero());
    let units = [Fr::one(), phase_unit, bid_unit].map(QuantumCell::Constant);
    let block = gate.inner_product(context, [fees, phase, bid], units);
    let mut witness = |value| context.load_witness(to_circuit(value));
    let (root, h) = (witness(state.root), witness(state.h));
    let (counts, counters) = (witness(state.counts.to_field()), witness(state.counters()));
    let group_sum = witness(state.group.accumulator);
    StateCells {
        root,
        h,
        counts,
        counters,
        block,
        group_sum,
        group_hash: context.load_zero(),
        group_members: context.load_zero(),
    }
}

/// The data circuit speaks of the words that the run absorbed.
fn join_data(
    context: &mut Context<Fr>,
    range: &RangeChip<Fr>,
    end: &StateCells,
    statement: &[AssignedValue<Fr>],
) {
    let (h, counts) = (statement[data::H], statement[data::WORD_COUNTS]);
    context.constrain_equal(&h, &end.h);
    range.range_check(context, counts, COUNTS_BITS);
    let unit = power_of_two(192);
    let inverse = Option::<Fr>::from(unit.invert()).expect("a power of two is not 0");
    let signed = context.load_witness((*end.counts.value() - *counts.value()) * inverse);
    range.range_check(context, signed, SIGNED_BITS);
    let gate = range.gate();
    let sum = gate.mul_add(context, signed, QuantumCell::Constant(unit), counts);
    context.constrain_equal(&sum, &end.counts);
}
