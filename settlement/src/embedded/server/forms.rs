//! The embedded chain's values in the JSON forms of the eth namespace.
//!
//! Pure: no request is read and nothing is changed here. Numbers are minimal hex, hashes and bytes full hex.

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Eip658Value, Header, ReceiptEnvelope, ReceiptWithBloom, Sealed, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes, U64, logs_bloom};
use alloy_rpc_types_eth as rpc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base_layer::{BlockAt, Call, Rejection};
use crate::embedded::chain::{Chain, Content};
use verifier::base_layer::StateProof;

/// `eth_call`'s request, as far as a call without value needs it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallForm {
    #[serde(default)]
    from: Address,
    to: Address,
    input: Option<Bytes>,
    data: Option<Bytes>,
}

impl From<CallForm> for Call {
    fn from(form: CallForm) -> Self {
        Self {
            from: form.from,
            to: form.to,
            input: form.input.or(form.data).unwrap_or_default(),
        }
    }
}

/// Which block a request names; none: it names none that could be.
pub(super) fn block_at(value: &Value) -> Option<BlockAt> {
    let field = |name| value.get(name).cloned();
    match value {
        Value::Null => Some(BlockAt::Latest),
        Value::String(tag) => match tag.as_str() {
            "latest" | "pending" => Some(BlockAt::Latest),
            "safe" => Some(BlockAt::Safe),
            "finalized" => Some(BlockAt::Finalized),
            "earliest" => Some(BlockAt::Number(0)),
            // A hash has 32 bytes; a shorter one is a number.
            _ => match serde_json::from_value::<B256>(value.clone()) {
                Ok(hash) => Some(BlockAt::Hash(hash)),
                Err(_) => number(value.clone()),
            },
        },
        _ => match (field("blockHash"), field("blockNumber")) {
            (Some(hash), _) => serde_json::from_value(hash).ok().map(BlockAt::Hash),
            (None, Some(at)) => number(at),
            (None, None) => None,
        },
    }
}

fn number(value: Value) -> Option<BlockAt> {
    let number: Option<U64> = serde_json::from_value(value).ok();
    number.map(|number| BlockAt::Number(number.to()))
}

fn form(value: impl Serialize) -> Value {
    let value = serde_json::to_value(value);
    value.expect("these forms have string keys and no failing parts")
}

/// A block with the hashes of its transactions.
pub(super) fn block(chain: &Chain, header: &Sealed<Header>) -> Value {
    let all = chain.contents(header.hash()).unwrap_or_default();
    let hashes = all.iter().map(|(pooled, _, _)| pooled.hash()).collect();
    form(rpc::Block::<B256> {
        header: rpc::Header::from_consensus(header.clone(), None, None),
        uncles: Vec::new(),
        transactions: rpc::BlockTransactions::Hashes(hashes),
        withdrawals: Some(Vec::new().into()),
    })
}

/// Receipts of all transactions of a block.
pub(super) fn receipts(chain: &Chain, header: &Sealed<Header>) -> Value {
    let all = chain.contents(header.hash()).unwrap_or_default();
    let (mut gas, mut logs_before) = (0, 0);
    let receipts = all.into_iter().map(|(pooled, receipt, logs)| {
        gas += receipt.gas_used;
        let first = logs_before;
        logs_before += u64::try_from(logs.len()).unwrap_or(u64::MAX);
        one_receipt(header, (pooled, receipt, logs), gas, first)
    });
    form(receipts.collect::<Vec<_>>())
}

fn one_receipt(
    header: &Sealed<Header>,
    (pooled, receipt, logs): Content<'_>,
    cumulative_gas_used: u64,
    first_log: u64,
) -> rpc::TransactionReceipt {
    let placed = (first_log..).zip(logs).map(|(log_index, log)| rpc::Log {
        inner: log.clone(),
        block_hash: Some(receipt.block),
        block_number: Some(receipt.block_number),
        block_timestamp: Some(header.timestamp),
        transaction_hash: Some(receipt.transaction),
        transaction_index: Some(receipt.transaction_index),
        log_index: Some(log_index),
        removed: false,
    });
    let inner = alloy_consensus::Receipt {
        status: Eip658Value::Eip658(receipt.succeeded),
        cumulative_gas_used,
        logs: placed.collect(),
    };
    rpc::TransactionReceipt {
        inner: ReceiptEnvelope::Eip1559(ReceiptWithBloom {
            receipt: inner,
            logs_bloom: logs_bloom(logs),
        }),
        transaction_hash: receipt.transaction,
        transaction_index: Some(receipt.transaction_index),
        block_hash: Some(receipt.block),
        block_number: Some(receipt.block_number),
        gas_used: receipt.gas_used,
        effective_gas_price: receipt.gas_price_wei,
        blob_gas_used: None,
        blob_gas_price: None,
        from: pooled.sender,
        to: pooled.signed.tx().to.to().copied(),
        contract_address: receipt.created,
    }
}

/// The receipt of one transaction; null if it is in no block.
pub(super) fn receipt(chain: &Chain, hash: B256) -> Value {
    let Some((_, found)) = chain.included(hash) else {
        return Value::Null;
    };
    let Some(header) = chain.header(BlockAt::Hash(found.block)) else {
        return Value::Null;
    };
    let index = usize::try_from(found.transaction_index).unwrap_or(usize::MAX);
    let mut all = receipts(chain, header);
    all.get_mut(index).map(Value::take).unwrap_or_default()
}

/// A transaction in a block or in the pool; null if it is in neither.
pub(super) fn transaction(chain: &Chain, hash: B256) -> Value {
    let included = chain.included(hash);
    let included = included.map(|(pooled, receipt)| (pooled, Some(receipt)));
    let found = included.or_else(|| chain.waiting(hash).map(|pooled| (pooled, None)));
    let Some((pooled, receipt)) = found else {
        return Value::Null;
    };
    let envelope = TxEnvelope::Eip1559(pooled.signed.clone());
    form(rpc::Transaction {
        inner: Recovered::new_unchecked(envelope, pooled.sender),
        block_hash: receipt.map(|receipt| receipt.block),
        block_number: receipt.map(|receipt| receipt.block_number),
        transaction_index: receipt.map(|receipt| receipt.transaction_index),
        effective_gas_price: receipt.map(|receipt| receipt.gas_price_wei),
        block_timestamp: None,
    })
}

/// An account and slots with their paths (EIP-1186).
pub(super) fn proof(proof: StateProof) -> Value {
    let slots = proof
        .slots
        .into_iter()
        .map(|slot| json!({ "key": slot.slot, "value": slot.value, "proof": slot.nodes }));
    json!({
        "address": proof.address,
        "balance": proof.account.balance,
        "codeHash": proof.account.code_hash,
        "nonce": U64::from(proof.account.nonce),
        "storageHash": proof.account.storage_root,
        "accountProof": proof.nodes,
        "storageProof": slots.collect::<Vec<_>>(),
    })
}

/// A refusal in the words that clients look for in go-ethereum's.
pub(super) fn rejection(reason: &Rejection) -> String {
    match reason {
        Rejection::NonceTooLow { reason } => format!("nonce too low: {reason}"),
        Rejection::ReplacementUnderpriced { reason } => {
            format!("replacement transaction underpriced: {reason}")
        }
        Rejection::InsufficientFunds { reason } => {
            format!("insufficient funds for gas * price + value: {reason}")
        }
        Rejection::Malformed { reason } => format!("rlp: {reason}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_named_by_hash_number_or_tag() {
        let hash = B256::repeat_byte(7);
        for (value, expected) in [
            (json!(null), Some(BlockAt::Latest)),
            (json!("finalized"), Some(BlockAt::Finalized)),
            (json!("0x10"), Some(BlockAt::Number(16))),
            (json!(hash), Some(BlockAt::Hash(hash))),
            (json!({ "blockHash": hash }), Some(BlockAt::Hash(hash))),
            (json!({ "blockNumber": "0x2" }), Some(BlockAt::Number(2))),
            (json!({}), None),
            (json!("head"), None),
            (json!({ "blockHash": "0x12" }), None),
            (json!([1]), None),
        ] {
            assert_eq!(block_at(&value), expected, "{value}");
        }
    }
}
