//! The batch that anybody may make when nobody serves the rollup any more: the next inbox items, and nothing else.
//!
//! In Enforced mode the Rollup takes a batch without a certificate if it holds inbox items only and comes with its proof
//! (`settlement.md`, "Contracts"). Invariants: it begins where the last proven batch ended, takes items in their order, at most
//! as many as always fit, and raises the height by one; two outsiders with one chain make the same batch. What this module
//! does not do: prove it (its witnesses go to any prover), or open Enforced mode (`Rollup.triggerEnforced`, by anyone).

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use protocol::batch::Pair;
use protocol::number::{BatchNumber, LeafIndex};
use protocol::params::{CIRCUIT_VERSION, INBOX_PER_BATCH_MAX};
use protocol::public_inputs::{PublicInputs, data_challenge};
use protocol::threaded::{FeeLeaves, Threaded};
use protocol::transaction::Domain;
use protocol::transition::{self, InvalidOperation, Operation};
use protocol::witness::{BatchTrace, ChunkWitness, DataWitness};
use protocol::words::{Words, sequence_bytes};

use crate::bindings::{Certificate, Header, Rollup, integer, l1_address};
use crate::rebuild::RebuiltChain;

/// A batch of inbox items.
#[derive(Debug)]
pub struct OutsiderBatch {
    /// Its number.
    pub number: BatchNumber,
    /// Threaded state before.
    pub start: Threaded,
    /// Threaded state after.
    pub end: Threaded,
    /// What it publishes.
    pub words: Words,
    /// Witnesses of its chunks, in order.
    pub chunks: Vec<ChunkWitness>,
    /// Witness of its data.
    pub data: DataWitness,
    domain: Domain,
}

/// The next batch of a rebuilt chain: its first waiting items, as many as always fit a batch. `None` if none waits.
///
/// # Errors
/// The rule that an item breaks: none does, whatever it holds, so the chain was rebuilt wrongly.
pub fn inbox_batch(
    chain: &RebuiltChain,
    domain: Domain,
) -> Result<Option<OutsiderBatch>, InvalidOperation> {
    let most = usize::try_from(INBOX_PER_BATCH_MAX).unwrap_or(usize::MAX);
    let items = chain.waiting.iter().take(most);
    let slots: Vec<Operation> = items
        .map(|waiting| Operation::Inbox(waiting.item))
        .collect();
    if slots.is_empty() {
        return Ok(None);
    }
    let number = BatchNumber(chain.batches.saturating_add(1));
    let mut trace = BatchTrace::new(domain, chain.state.clone(), chain.height, chain.inbox_count);
    // nobody is paid a fee in it; the rules want a leaf to be named
    let mut header = Some(transition::Header {
        height_delta: 1,
        fee_leaves: FeeLeaves::new(&[LeafIndex(0)]),
        bid: false,
    });
    let mut chunks = Vec::new();
    for pair in slots.chunks(2) {
        let pair = Pair {
            header: header.take(),
            slots: [
                pair.first().copied().unwrap_or(Operation::Noop),
                pair.get(1).copied().unwrap_or(Operation::Noop),
            ],
        };
        chunks.extend(trace.push(&pair)?);
    }
    let finished = trace.finish();
    chunks.extend(finished.chunk);
    let z = data_challenge(
        &domain,
        number,
        &finished.end.h,
        &finished.end.counts,
        &finished.words,
    );
    Ok(Some(OutsiderBatch {
        number,
        start: finished.start,
        end: finished.end,
        words: finished.words,
        chunks,
        data: DataWitness {
            groups: finished.groups,
            z,
        },
        domain,
    }))
}

impl OutsiderBatch {
    /// What its proof by this prover states.
    #[must_use]
    pub fn public_inputs(&self, prover: Address) -> PublicInputs {
        let ends = (&self.start, &self.end);
        PublicInputs::new(
            self.domain,
            self.number,
            ends,
            &self.words,
            l1_address(prover),
        )
    }

    /// Calldata of `Rollup.commitAndProve`, by anyone.
    #[must_use]
    pub fn commit_and_prove(&self, prover: Address, proof: &Bytes) -> Bytes {
        let call = Rollup::commitAndProveCall {
            // only a certificate could vouch for what is zero here
            header: Header {
                batchNumber: self.number.0,
                rootBefore: integer(&self.start.root),
                rootAfter: integer(&self.end.root),
                countersBefore: integer(&self.start.counters()),
                countersAfter: integer(&self.end.counters()),
                h: integer(&self.end.h),
                signedOps: 0,
                epoch: 0,
                nextSetHash: B256::ZERO,
                l1OriginTime: 0,
                circuitVersion: CIRCUIT_VERSION,
            },
            words: crate::bindings::Words {
                ops: sequence_bytes(&self.words.ops).into(),
                withdrawals: sequence_bytes(&self.words.withdrawals).into(),
                inbox: sequence_bytes(&self.words.inbox).into(),
            },
            certificate: Certificate {
                lastHeight: 0,
                lastBlock: B256::ZERO,
                validators: Bytes::new(),
                signatures: Bytes::new(),
            },
            prover,
            proof: proof.clone(),
        };
        call.abi_encode().into()
    }
}
