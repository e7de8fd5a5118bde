//! Duties, and the calls that do them.

use alloy_primitives::{Address, Bytes};
use protocol::handover::Handover;
use protocol::validator::ValidatorSet;
use serde::{Deserialize, Serialize};

use super::{CertifiedBatch, FinalProof, intent};
use crate::bindings::{
    BindingError, StoredBatch, commit_and_prove as commit_and_prove_input, commit_batch,
    hand_over as hand_over_input, prove_batch,
};
use crate::submitter::Intent;

/// `Rollup.mode()`: batches are committed by certificates.
pub(super) const ACTIVE: u8 = 0;
/// `Rollup.mode()`: batches enter with their proofs.
pub(super) const ENFORCED: u8 = 1;

/// Gas of a call beside what its bytes cost: storage, events, the certificate of a full set (docs/contracts.md).
const GAS_BASE: u64 = 1_500_000;
/// Gas of a byte of calldata at most: its floor price (EIP-7623), hashing, and its share of an evaluation.
const GAS_BYTE: u64 = 100;
/// Gas of one transaction at most (EIP-7825).
const GAS_MAX: u64 = 1 << 24;

/// A transaction that the chain lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// `commitBatch` of this batch.
    Commit(u64),
    /// `proveBatch` of this batch.
    Prove(u64),
    /// `commitAndProve` of this batch.
    CommitAndProve(u64),
    /// `handOver` of this epoch.
    HandOver(u64),
}

fn with_gas(to: Address, input: Bytes) -> Intent {
    let bytes = u64::try_from(input.len()).unwrap_or(u64::MAX);
    let gas = bytes.saturating_mul(GAS_BYTE).saturating_add(GAS_BASE);
    intent(to, input, gas.min(GAS_MAX))
}

pub(super) fn commit(rollup: Address, batch: &CertifiedBatch) -> Result<Intent, BindingError> {
    let CertifiedBatch {
        checkpoint,
        words,
        set,
    } = batch;
    Ok(with_gas(rollup, commit_batch(checkpoint, words, set)?))
}

pub(super) fn prove(rollup: Address, stored: &StoredBatch, proof: &FinalProof) -> Intent {
    with_gas(rollup, prove_batch(stored, proof.prover, &proof.proof))
}

pub(super) fn commit_and_prove(
    rollup: Address,
    batch: &CertifiedBatch,
    proof: &FinalProof,
) -> Result<Intent, BindingError> {
    let CertifiedBatch {
        checkpoint,
        words,
        set,
    } = batch;
    let input = commit_and_prove_input(checkpoint, words, set, proof.prover, &proof.proof)?;
    Ok(with_gas(rollup, input))
}

pub(super) fn hand_over(
    registry: Address,
    handover: &Handover,
    set: &ValidatorSet,
) -> Result<Intent, BindingError> {
    Ok(with_gas(registry, hand_over_input(handover, set)?))
}
