//! The answers of a node, checked against the hashes they must have.
//!
//! Pure: JSON forms in, values of `base_layer.rs` out, or the contradiction. No request is made here.

use alloy_consensus::proofs::calculate_receipt_root;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Header, ReceiptEnvelope, Sealable, Sealed, Transaction as _};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, keccak256};
use alloy_rpc_types_eth as rpc;
use alloy_trie::TrieAccount;

use crate::base_layer::{
    BaseLayerError, BlockAt, Contradiction, Log, LogFilter, Receipt, Transaction,
};
use verifier::base_layer::{SlotProof, StateProof};

/// Receipts in one block at most: what the gas of a block of 1.5 billion gas could pay for.
const RECEIPTS_MAX: usize = 65_536;

/// A header is the one asked for, and hashes to what it says.
pub(super) fn header(
    at: BlockAt,
    answer: Option<rpc::Block<B256>>,
) -> Result<Option<Sealed<Header>>, BaseLayerError> {
    let Some(block) = answer else {
        return Ok(None);
    };
    let claimed = block.header.hash;
    let header = block.header.inner.seal_slow();
    let (number, hash) = (header.number, header.hash());
    if hash != claimed {
        return Err(Contradiction::HeaderHash {
            number,
            claimed,
            computed: hash,
        }
        .into());
    }
    let asked = match at {
        BlockAt::Latest | BlockAt::Safe | BlockAt::Finalized => true,
        BlockAt::Number(asked) => asked == number,
        BlockAt::Hash(asked) => asked == hash,
    };
    if !asked {
        return Err(Contradiction::OtherBlock {
            asked: at,
            number,
            hash,
        }
        .into());
    }
    Ok(Some(header))
}

/// The wanted logs, out of all receipts of a block, which must be those the header commits to.
pub(super) fn logs(
    header: &Sealed<Header>,
    answer: Option<Vec<rpc::TransactionReceipt>>,
    filter: &LogFilter,
) -> Result<Vec<Log>, BaseLayerError> {
    let block = header.hash();
    let receipts = answer.ok_or(BaseLayerError::UnknownBlock {
        at: BlockAt::Hash(block),
    })?;
    if receipts.len() > RECEIPTS_MAX {
        return Err(Contradiction::Malformed {
            request: "eth_getBlockReceipts",
            reason: format!("{} receipts, at most {RECEIPTS_MAX}", receipts.len()),
        }
        .into());
    }
    let transactions: Vec<B256> = receipts.iter().map(|r| r.transaction_hash).collect();
    if let Some(stray) = receipts.iter().find(|r| r.block_hash != Some(block)) {
        return Err(Contradiction::OtherPlace {
            asked: block,
            found: stray.block_hash,
        }
        .into());
    }
    let receipts = receipts
        .into_iter()
        .map(|r| r.inner.map_logs(|log| log.inner));
    let receipts: Vec<ReceiptEnvelope> = receipts.collect();
    let computed = calculate_receipt_root(&receipts);
    if computed != header.receipts_root {
        return Err(Contradiction::ReceiptsRoot {
            block,
            committed: header.receipts_root,
            computed,
        }
        .into());
    }
    // The root fixes order and content; indices are counted here and not taken from the answer. The hash of
    // the transaction is the node's word.
    let placed = (0..).zip(transactions).zip(&receipts);
    let all = placed.flat_map(|((index, transaction), receipt)| {
        let logs = receipt.logs().iter();
        logs.map(move |log| (index, transaction, log))
    });
    let logs = (0..)
        .zip(all)
        .map(|(log_index, (index, transaction, log))| Log {
            inner: log.clone(),
            block,
            block_number: header.number,
            transaction,
            transaction_index: index,
            log_index,
        });
    Ok(logs.filter(|log| filter.accepts(&log.inner)).collect())
}

/// A transaction whose signed bytes hash to what was asked for.
pub(super) fn transaction(
    asked: B256,
    answer: Option<rpc::Transaction>,
) -> Result<Option<Transaction>, BaseLayerError> {
    let Some(answer) = answer else {
        return Ok(None);
    };
    let envelope = answer.inner.inner();
    let found = keccak256(envelope.encoded_2718());
    if found != asked {
        return Err(Contradiction::OtherTransaction { asked, found }.into());
    }
    let from = envelope.recover_signer();
    let from = from.map_err(|error| Contradiction::Malformed {
        request: "eth_getTransactionByHash",
        reason: format!("signature of {asked}: {error}"),
    })?;
    Ok(Some(Transaction {
        hash: asked,
        from,
        nonce: envelope.nonce(),
        to: envelope.to(),
        input: envelope.input().clone(),
        block: answer.block_hash,
    }))
}

/// A receipt that is about the transaction asked for and says where it stands.
pub(super) fn receipt(
    asked: B256,
    answer: Option<rpc::TransactionReceipt>,
) -> Result<Option<Receipt>, BaseLayerError> {
    let Some(answer) = answer else {
        return Ok(None);
    };
    let found = answer.transaction_hash;
    if found != asked {
        return Err(Contradiction::OtherTransaction { asked, found }.into());
    }
    // Without a block it is a receipt of nothing; some nodes make one up while they look.
    let place = answer.block_hash.zip(answer.block_number);
    let (Some((block, block_number)), Some(transaction_index)) = (place, answer.transaction_index)
    else {
        return Ok(None);
    };
    Ok(Some(Receipt {
        transaction: asked,
        block,
        block_number,
        transaction_index,
        succeeded: answer.inner.status(),
        gas_used: answer.gas_used,
        gas_price_wei: answer.effective_gas_price,
        created: answer.contract_address,
    }))
}

/// A proof of what was asked for, under the header's state root.
pub(super) fn proof(
    header: &Sealed<Header>,
    address: Address,
    slots: &[B256],
    answer: rpc::EIP1186AccountProofResponse,
) -> Result<StateProof, BaseLayerError> {
    let slot_proofs = answer.storage_proof.into_iter().map(|proof| SlotProof {
        slot: proof.key.as_b256(),
        value: proof.value,
        nodes: proof.proof,
    });
    let proof = StateProof {
        address: answer.address,
        account: TrieAccount {
            nonce: answer.nonce,
            balance: answer.balance,
            storage_root: answer.storage_hash,
            code_hash: answer.code_hash,
        },
        nodes: answer.account_proof,
        slots: slot_proofs.collect(),
    };
    if proof.address != address || !proof.slots.iter().map(|s| &s.slot).eq(slots) {
        return Err(Contradiction::Malformed {
            request: "eth_getProof",
            reason: format!(
                "another account or other slots than asked for, of {}",
                proof.address
            ),
        }
        .into());
    }
    let held = proof.verify(header.state_root);
    held.map_err(|error| Contradiction::Proof {
        block: header.hash(),
        error,
    })?;
    Ok(proof)
}
