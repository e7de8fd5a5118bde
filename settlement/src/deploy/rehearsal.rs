//! The deployment run in this process first, on an empty state.
//!
//! Addresses follow from sender and nonces, and constructors read only what the deployment itself has made, so the rehearsal
//! shows exactly what will stand on the chain: the code of each contract, immutables included, what it costs, and whether a
//! constructor refuses, before anything is paid. Time enters storage but no code.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::context::result::{ExecutionResult, Output};
use revm::context::{BlockEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::state::AccountInfo;
use revm::{DatabaseRef, ExecuteCommitEvm, MainBuilder, MainContext};

use super::{DeployError, Step};
use crate::bindings::revert;
use crate::embedded::{TRANSACTION_GAS_MAX, rules};

/// What a step does.
pub(super) struct Rehearsed {
    /// Hash of the code of the contract that it made.
    pub(super) code_hash: Option<B256>,
    /// Gas it is charged for.
    pub(super) gas_used: u64,
}

/// Runs the steps in order.
pub(super) fn rehearse(
    chain_id: u64,
    deployer: Address,
    first_nonce: u64,
    steps: &[Step],
) -> Result<Vec<Rehearsed>, DeployError> {
    let mut state = CacheDB::new(EmptyDB::default());
    let info = AccountInfo {
        balance: U256::MAX >> 1,
        nonce: first_nonce,
        ..AccountInfo::default()
    };
    state.insert_account_info(deployer, info);
    let block = BlockEnv {
        timestamp: U256::from(1),
        gas_limit: u64::MAX,
        basefee: 0,
        prevrandao: Some(B256::ZERO),
        ..BlockEnv::default()
    };
    let mut evm = Context::mainnet()
        .with_db(state)
        .with_cfg(rules(chain_id))
        .with_block(block)
        .build_mainnet();
    let mut done = Vec::new();
    for step in steps {
        let refused = |reason: String| DeployError::Refused {
            step: step.name,
            reason,
        };
        let result = evm
            .transact_commit(TxEnv {
                caller: deployer,
                gas_limit: TRANSACTION_GAS_MAX,
                kind: step.to,
                value: step.value,
                data: step.input.clone(),
                nonce: step.nonce,
                chain_id: Some(chain_id),
                ..TxEnv::default()
            })
            .map_err(|error| refused(error.to_string()))?;
        let gas_used = result.tx_gas_used();
        let made = match result {
            ExecutionResult::Success {
                output: Output::Create(_, made),
                ..
            } => made,
            ExecutionResult::Success { .. } => None,
            ExecutionResult::Revert { output, .. } => return Err(refused(spelled(&output))),
            ExecutionResult::Halt { reason, .. } => return Err(refused(format!("{reason:?}"))),
        };
        if step.to == TxKind::Create && made != step.creates {
            return Err(refused(format!("it made {made:?}, not {:?}", step.creates)));
        }
        let code_hash = match made {
            Some(address) => evm
                .ctx
                .journaled_state
                .database
                .basic_ref(address)
                .map_err(|error| refused(error.to_string()))?
                .map(|info| info.code_hash),
            None => None,
        };
        done.push(Rehearsed {
            code_hash,
            gas_used,
        });
    }
    Ok(done)
}

/// A revert in words.
fn spelled(data: &Bytes) -> String {
    match revert(data) {
        Some(error) => format!("{error:?}"),
        None => format!("reverted with {data}"),
    }
}
