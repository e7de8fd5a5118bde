//! Level 0: one chunk's proof becomes a run of one, of the shape that every other level has.
//!
//! Statement: the chunk's own, `domain, D_before, D_after`. A chunk proof has several hundred commitments and evaluations,
//! and one of them fills the rows of a level (ADR 0032).

use halo2_base::gates::RangeChip;
use halo2curves::bn256::Fr;

use super::circuit::{Stated, Statement};
use super::recursion::verify;
use super::{AggregationError, CurveChip, InnerProof, Loader, Protocol};

/// A proof of a chunk, alone.
#[derive(Clone, Debug)]
pub struct Lone<'a> {
    /// Key of the chunk circuit.
    pub key: &'a Protocol,
    /// Its proof.
    pub chunk: InnerProof,
}

impl Statement for Lone<'_> {
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
            statement: chunk.statement,
            accumulators: chunk.accumulators,
        })
    }
}
