//! Withdrawals that wait to be paid, read from the chain alone.
//!
//! A withdrawal is in a proven batch's words, at an index, and is paid once. No node of the rollup is asked.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use protocol::number::BatchNumber;
use settlement::BaseLayer;
use settlement::bindings::{Bridge, Claim, address, claim, view};
use settlement::deploy::DeploymentFile;
use settlement::history::{SettledEvent, read_history};

use super::{binding_error, head};
use crate::exit::CliError;

/// Withdrawals of proven batches to an owner that were not paid: batch, index and claim, in order.
///
/// # Errors
/// The base layer's; `what` failed then.
pub(crate) async fn claimable(
    layer: &dyn BaseLayer,
    file: &DeploymentFile,
    owner: Address,
    what: &str,
) -> Result<Vec<(u64, u64, Claim)>, CliError> {
    let block = head(layer).await?;
    let mut committed = BTreeMap::new();
    let mut found = Vec::new();
    let mut take = |event| {
        match event {
            SettledEvent::Committed(batch) => {
                committed.insert(batch.header.batchNumber, batch.words.withdrawals);
            }
            SettledEvent::Proven { batch, .. } => {
                if let Some(words) = committed.remove(&batch) {
                    found.push((batch, words));
                }
            }
            SettledEvent::Pruned { above } => {
                let _ = committed.split_off(&(above + 1));
            }
            SettledEvent::Enqueued(_) => {}
        }
        Ok(())
    };
    let history = read_history(layer, file, block, &mut take);
    history.await.map_err(|error| binding_error(what, &error))?;
    let mut open = Vec::new();
    for (batch, words) in found {
        let count = words.len() / protocol::params::WITHDRAWAL_WORDS;
        for index in 0..u64::try_from(count).unwrap_or(0) {
            let claim = claim(BatchNumber(batch), index, &words)
                .map_err(|error| binding_error(what, &error))?;
            if address(claim.withdrawal.owner) != owner {
                continue;
            }
            let call = Bridge::isClaimedCall {
                batchNumber: batch,
                index: U256::from(index),
            };
            let is_claimed = view(layer, block, file.bridge, &call).await;
            if !is_claimed.map_err(|error| binding_error(what, &error))? {
                open.push((batch, index, claim));
            }
        }
    }
    Ok(open)
}
