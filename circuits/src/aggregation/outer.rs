//! The final circuit: as few columns as possible around the top, for a verifier that pays for each.
//!
//! Statement: the top's, then `prover_id`, which nothing constrains: it is bound because it is an input.

use halo2_base::gates::{RangeChip, RangeInstructions};
use halo2curves::bn256::Fr;

use super::circuit::{Stated, Statement};
use super::recursion::verify;
use super::{AggregationError, CurveChip, InnerProof, Loader, Protocol};
use crate::convert::{NativeField, to_circuit};
use protocol::account::L1Address;

/// A proof of the top, and who made the final one.
#[derive(Clone, Debug)]
pub struct Final<'a> {
    /// Key of the top circuit.
    pub key: &'a Protocol,
    /// Its proof.
    pub top: InnerProof,
    /// Who is rewarded.
    pub prover_id: L1Address,
}

/// Bits of an address.
const ADDRESS_BITS: usize = 160;

impl Statement for Final<'_> {
    fn check(&self) -> Result<(), AggregationError> {
        Ok(()) // one proof meets nothing
    }

    fn constrain<E: CurveChip>(
        &self,
        loader: &Loader<E>,
        range: &RangeChip<Fr>,
    ) -> Result<Stated<E>, AggregationError> {
        let top = verify(loader, "top", self.key, &self.top)?;
        let mut context = loader.ctx_mut();
        let context = context.main();
        let id: NativeField = self.prover_id.to_field();
        let id = context.load_witness(to_circuit(id));
        range.range_check(context, id, ADDRESS_BITS);
        let mut statement = top.statement;
        statement.push(id);
        Ok(Stated {
            statement,
            accumulators: top.accumulators,
        })
    }
}
