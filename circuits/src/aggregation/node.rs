//! A node: two neighbours of the level below become one run of chunks.
//!
//! Statement: that of a chunk, `domain, D_before, D_after`, with equal domains and `D_after(left) = D_before(right)`.
//! Where a level has an odd number of proofs, the last one stands in both places: then a bit says so, and
//! `D_before(left) = D_before(right)` is demanded instead. Either way the right proof ends the run and a proven run
//! leads from the left's start to its end, so the bit is the prover's to choose.

use halo2_base::gates::{GateInstructions, RangeChip, RangeInstructions};
use halo2curves::bn256::Fr;

use super::circuit::{Stated, Statement};
use super::recursion::verify;
use super::{AggregationError, CurveChip, InnerProof, Loader, Protocol};
use crate::instance::chunk::{DIGEST_AFTER, DIGEST_BEFORE, DOMAIN};

/// Two proofs of the level below.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Key of the level below.
    pub key: &'a Protocol,
    /// The earlier run.
    pub left: InnerProof,
    /// The run after it; `None` takes the left one again.
    pub right: Option<InnerProof>,
}

impl Statement for Node<'_> {
    fn check(&self) -> Result<(), AggregationError> {
        let Some(right) = &self.right else {
            return Ok(());
        };
        let (from, to) = (self.left.statement(self.key), right.statement(self.key));
        if from.get(DOMAIN) != to.get(DOMAIN) {
            return Err(AggregationError::Unconnected("the runs have two domains"));
        }
        if from.get(DIGEST_AFTER) != to.get(DIGEST_BEFORE) {
            return Err(AggregationError::Unconnected(
                "the right run does not begin where the left one ends",
            ));
        }
        Ok(())
    }

    fn constrain<E: CurveChip>(
        &self,
        loader: &Loader<E>,
        range: &RangeChip<Fr>,
    ) -> Result<Stated<E>, AggregationError> {
        let is_single = self.right.is_none();
        let left = verify(loader, "left", self.key, &self.left)?;
        let right = self.right.as_ref().unwrap_or(&self.left);
        let right = verify(loader, "right", self.key, right)?;
        let mut context = loader.ctx_mut();
        let (context, gate) = (context.main(), range.gate());
        let is_single = context.load_witness(Fr::from(u64::from(is_single)));
        gate.assert_bit(context, is_single);
        let (from, to) = (&left.statement, &right.statement);
        let meeting = gate.select(context, from[DIGEST_BEFORE], from[DIGEST_AFTER], is_single);
        context.constrain_equal(&meeting, &to[DIGEST_BEFORE]);
        context.constrain_equal(&from[DOMAIN], &to[DOMAIN]);
        Ok(Stated {
            statement: vec![from[DOMAIN], from[DIGEST_BEFORE], to[DIGEST_AFTER]],
            accumulators: [left.accumulators, right.accumulators].concat(),
        })
    }
}
