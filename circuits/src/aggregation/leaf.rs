//! A leaf: one chunk proof, taken into the tree.
//!
//! Statement: that of the chunk, `domain, D_before, D_after`.

use super::circuit::{Stated, Statement};
use super::recursion::verify;
use super::{AggregationError, CurveChip, InnerProof, Loader, Protocol};
use halo2_base::gates::RangeChip;
use halo2curves::bn256::Fr;

/// One chunk proof under the chunk circuit's key.
#[derive(Clone, Debug)]
pub struct Leaf<'a> {
    /// Key of the chunk circuit.
    pub key: &'a Protocol,
    /// Proof of a chunk.
    pub chunk: InnerProof,
}

impl Statement for Leaf<'_> {
    fn check(&self) -> Result<(), AggregationError> {
        Ok(()) // one proof meets nothing
    }

    fn constrain<E: CurveChip>(
        &self,
        loader: &Loader<E>,
        _range: &RangeChip<Fr>,
    ) -> Result<Stated<E>, AggregationError> {
        let chunk = verify(loader, "chunk", self.key, &self.chunk)?;
        Ok(Stated {
            accumulators: chunk.accumulators,
            statement: chunk.statement,
        })
    }
}
