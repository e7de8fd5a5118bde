//! One transaction or call on revm, on the embedded chain's state.
//!
//! Pure: state and environment in, result and changes out; nothing is written here. Rules are those of
//! Osaka: code of at most 24,576 bytes (EIP-170), at most 16,777,216 gas a transaction (EIP-7825), the floor
//! of what calldata costs (EIP-7623). The system contracts of Cancun and later (beacon roots, history,
//! requests) are not deployed and not called.

use std::convert::Infallible;

use alloy_consensus::{Header, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction, ResultAndState};
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::primitives::{eip4844, hardfork::SpecId};
use revm::{Database, ExecuteEvm, MainBuilder, MainContext};

use crate::base_layer::{BaseLayerError, Call};
use crate::embedded::pool::Pooled;
use crate::embedded::state::State;

/// The rules of the chain.
const FORK: SpecId = SpecId::OSAKA;

/// Gas of one transaction at most (EIP-7825); a call gets as much, so that what a call can do, a
/// transaction can.
pub(crate) const TRANSACTION_GAS_MAX: u64 = 16_777_216;

/// The state after a block, as the EVM reads it.
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) height: u64,
    /// Hashes of the blocks, by height.
    pub(super) hashes: &'a [B256],
}

impl Database for View<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<revm::state::AccountInfo>, Self::Error> {
        Ok(self.state.info(address, self.height))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<revm::bytecode::Bytecode, Self::Error> {
        Ok(self.state.code(hash))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        Ok(self.state.slot(address, slot, self.height))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        let known = usize::try_from(number)
            .ok()
            .and_then(|number| self.hashes.get(number));
        Ok(known.copied().unwrap_or_default())
    }
}

/// The chain's rules, as revm takes them.
pub(crate) fn rules(chain_id: u64) -> CfgEnv {
    let mut rules = CfgEnv::default();
    rules.set_spec_and_mainnet_gas_params(FORK);
    rules.chain_id = chain_id;
    rules
}

/// What contracts see of the block with this header.
pub(super) fn environment(header: &Header) -> BlockEnv {
    let mut block = BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        ..BlockEnv::default()
    };
    block.set_blob_excess_gas_and_price(0, eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE);
    block
}

/// Gas that the bytes of a transaction cost before and whatever they do: what they are charged, or the
/// floor, whichever is more.
pub(super) fn intrinsic_gas(content: &TxEip1559) -> u64 {
    let accounts = u64::try_from(content.access_list.len()).unwrap_or(u64::MAX);
    let slots = content.access_list.storage_keys_count();
    let slots = u64::try_from(slots).unwrap_or(u64::MAX);
    let create = content.to.is_create();
    let gas = rules(content.chain_id).gas_params.initial_tx_gas(
        &content.input,
        create,
        accounts,
        slots,
        0,
        None,
    );
    gas.initial_total_gas().max(gas.floor_gas())
}

/// Runs a transaction. `Err` means that it cannot stand in this block; a transaction that reverts can.
pub(super) fn transact(
    view: View<'_>,
    rules: CfgEnv,
    block: BlockEnv,
    transaction: &Pooled,
) -> Result<ResultAndState, InvalidTransaction> {
    let content = transaction.signed.tx();
    let environment = TxEnv {
        tx_type: 2,
        caller: transaction.sender,
        gas_limit: content.gas_limit,
        gas_price: content.max_fee_per_gas,
        gas_priority_fee: Some(content.max_priority_fee_per_gas),
        kind: content.to,
        value: content.value,
        data: content.input.clone(),
        nonce: content.nonce,
        chain_id: Some(content.chain_id),
        access_list: content.access_list.clone(),
        ..TxEnv::default()
    };
    run(view, rules, block, environment)
}

/// Runs a call in the state after a block and returns what the contract returns.
pub(super) fn call(
    view: View<'_>,
    mut rules: CfgEnv,
    mut block: BlockEnv,
    call: &Call,
) -> Result<Bytes, BaseLayerError> {
    // A call pays nothing, so that anybody can ask; its caller's nonce does not matter either.
    rules.disable_nonce_check = true;
    block.basefee = 0;
    let environment = TxEnv {
        caller: call.from,
        gas_limit: TRANSACTION_GAS_MAX,
        gas_price: 0,
        kind: TxKind::Call(call.to),
        data: call.input.clone(),
        chain_id: Some(rules.chain_id),
        ..TxEnv::default()
    };
    let failed = |reason: String| BaseLayerError::Unsupported {
        request: "call",
        reason,
    };
    match run(view, rules, block, environment) {
        Ok(result) => match result.result {
            ExecutionResult::Success { output, .. } => Ok(output.into_data()),
            ExecutionResult::Revert { output, .. } => {
                Err(BaseLayerError::Reverted { data: output })
            }
            ExecutionResult::Halt { reason, .. } => Err(failed(format!("halted: {reason:?}"))),
        },
        Err(invalid) => Err(failed(invalid.to_string())),
    }
}

fn run(
    view: View<'_>,
    rules: CfgEnv,
    block: BlockEnv,
    transaction: TxEnv,
) -> Result<ResultAndState, InvalidTransaction> {
    let mut evm = Context::mainnet()
        .with_db(view)
        .with_cfg(rules)
        .with_block(block)
        .build_mainnet();
    evm.transact(transaction).map_err(|error| match error {
        EVMError::Transaction(invalid) => invalid,
        // The state cannot fail and the header is complete, so nothing else is left but text.
        other => InvalidTransaction::Str(other.to_string().into()),
    })
}
