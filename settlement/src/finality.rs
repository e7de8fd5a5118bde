//! Makes a finality bundle of what the base layer holds: no node of the rollup is asked.
//!
//! Words come from the event of the commit, the final proof from the call that proved the batch, the Rollup's account and
//! slots from `eth_getProof` under the block that the caller names. It decides nothing: `verifier::finality` does, offline.

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use protocol::number::BatchNumber;
use verifier::finality::{AccountEvidence, FinalityBundle};

use crate::base_layer::{BaseLayer, BaseLayerError, BlockAt};
use crate::bindings::{BindingError, CommittedBatch, Rollup, l1_address};
use crate::deploy::DeploymentFile;
use crate::history::{SettledEvent, read_history};

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum FinalityBundleError {
    /// The base layer, or an event that is not in its form.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The batch is not proven in the block's past.
    #[error("batch {batch} is not proven up to block {block} of the base layer")]
    NotProven {
        /// The batch.
        batch: BatchNumber,
        /// Height of the block.
        block: u64,
    },
    /// The transaction that proved it cannot be read.
    #[error(
        "transaction {0}, which proved the batch, is not to be had: ask a node that keeps old transactions"
    )]
    NoTransaction(B256),
    /// It was proven through another contract.
    #[error(
        "transaction {0} proved the batch through another contract; its proof is inside that call"
    )]
    Indirect(B256),
}

impl From<BaseLayerError> for FinalityBundleError {
    fn from(error: BaseLayerError) -> Self {
        Self::Binding(error.into())
    }
}

/// What the history up to a block says of one batch.
#[derive(Default)]
struct Found {
    committed: Option<Box<CommittedBatch>>,
    proven: Option<(Address, B256)>,
}

impl Found {
    fn take(&mut self, number: BatchNumber, event: SettledEvent) {
        match event {
            SettledEvent::Committed(batch) if batch.header.batchNumber == number.0 => {
                self.committed = Some(batch);
            }
            SettledEvent::Proven {
                batch,
                prover,
                transaction,
            } if batch == number.0 => self.proven = Some((prover, transaction)),
            // what is proven is never pruned
            SettledEvent::Pruned { above } if above < number.0 => self.committed = None,
            _ => {}
        }
    }
}

/// The bundle of a batch as block `last` holds it, about an operation's slot if one is named; `reference_string` is genesis's.
///
/// # Errors
/// [`FinalityBundleError`].
pub async fn finality_bundle(
    layer: &dyn BaseLayer,
    file: &DeploymentFile,
    reference_string: &str,
    number: BatchNumber,
    (last, slot): (B256, Option<u64>),
) -> Result<FinalityBundle, FinalityBundleError> {
    let mut found = Found::default();
    let mut take = |event| {
        found.take(number, event);
        Ok(())
    };
    let block = read_history(layer, file, last, &mut take).await?;
    let missing = FinalityBundleError::NotProven {
        batch: number,
        block,
    };
    let (Some(committed), Some((prover, transaction))) = (found.committed, found.proven) else {
        return Err(missing);
    };
    let proof = proof_of(layer, file.rollup, transaction).await?;
    let at = BlockAt::Hash(last);
    let header = layer.header(at).await?;
    let header = header.ok_or(BaseLayerError::UnknownBlock { at })?;
    let slots = AccountEvidence::slots(number);
    let state = layer.proof(last, file.rollup, &slots).await?;
    let account = AccountEvidence::new(&state, number);
    let account =
        account.ok_or_else(|| BindingError::malformed("a storage proof", "other slots"))?;
    Ok(FinalityBundle {
        chain_id: file.chain_id,
        rollup: l1_address(file.rollup),
        circuit_version: committed.header.circuitVersion,
        reference_string: reference_string.to_owned(),
        inputs: committed.public_inputs(prover)?,
        words: committed.words,
        commit_time: committed.stored.commitTime,
        proof: proof.to_vec(),
        header: alloy_rlp::encode(header.inner()),
        account,
        slot,
    })
}

/// The proof in the call that proved the batch.
async fn proof_of(
    layer: &dyn BaseLayer,
    rollup: Address,
    hash: B256,
) -> Result<Bytes, FinalityBundleError> {
    let transaction = layer.transaction(hash).await?;
    let transaction = transaction.ok_or(FinalityBundleError::NoTransaction(hash))?;
    if transaction.to != Some(rollup) {
        return Err(FinalityBundleError::Indirect(hash));
    }
    let input = &transaction.input;
    if let Ok(call) = Rollup::proveBatchCall::abi_decode_validate(input) {
        return Ok(call.proof);
    }
    let call = Rollup::commitAndProveCall::abi_decode_validate(input);
    let call = call.map_err(|error| BindingError::malformed("a call that proves", error))?;
    Ok(call.proof)
}
