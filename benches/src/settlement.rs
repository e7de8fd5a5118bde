//! What settling costs: gas and bytes of the golden final proof on the embedded chain, which prices as Osaka does.
//!
//! The figures depend on the circuits and the contract alone, so one run is exact. Gas of a whole batch, and the time that
//! aggregation takes, are the demo's.

use std::{fs, path::Path};

use alloy_consensus::TxEip1559;
use alloy_primitives::{Bytes, TxKind, keccak256};
use settlement::{BaseLayer, EmbeddedChain, EmbeddedConfig, Receipt, TransactionSigner};

use crate::report::Row;

/// The golden proof: its instance in little-endian words, then the proof.
const PROOF: &str = "tests/fixtures/golden/batch-1.final";
/// Words of the accumulator in the instance.
const LIMBS: usize = 12;
/// Public inputs behind them.
const INPUTS: usize = 13;
/// Bytes of a word.
const WORD: usize = 32;
/// More than anything here needs.
const GAS: u64 = 10_000_000;

/// Big-endian words of little-endian ones.
fn words(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes
        .chunks(WORD)
        .flat_map(|word| word.iter().rev().copied())
}

fn number(value: usize) -> [u8; WORD] {
    let mut word = [0; WORD];
    word[WORD - 8..].copy_from_slice(&u64::try_from(value).expect("small").to_be_bytes());
    word
}

/// `verify(uint256[13],bytes)`, as an encoder of the ABI writes it.
fn call(file: &[u8]) -> Bytes {
    let (limbs, rest) = file.split_at(LIMBS * WORD);
    let (inputs, proof) = rest.split_at(INPUTS * WORD);
    let argument: Vec<u8> = words(limbs).chain(proof.iter().copied()).collect();
    let mut data = keccak256("verify(uint256[13],bytes)")[..4].to_vec();
    data.extend(words(inputs));
    data.extend(number((INPUTS + 1) * WORD));
    data.extend(number(argument.len()));
    data.extend(&argument);
    data.resize(data.len() + (WORD - argument.len() % WORD) % WORD, 0);
    data.into()
}

async fn send(chain: &EmbeddedChain, nonce: u64, to: TxKind, input: Bytes) -> Receipt {
    let signer = TransactionSigner::development(0).expect("there are ten");
    let signed = signer.sign(TxEip1559 {
        chain_id: chain.chain_id(),
        nonce,
        gas_limit: GAS,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to,
        input,
        ..TxEip1559::default()
    });
    let signed = signed.expect("a development chain");
    chain.send(&signed.raw).await.expect("it is taken");
    let receipt = chain.receipt(signed.hash).await.expect("it answers");
    let receipt = receipt.expect("every send is mined");
    assert!(receipt.succeeded, "transaction {nonce} reverted");
    receipt
}

/// Gas of verifying, bytes of the proof, bytes of the verifier's code.
#[must_use]
pub(crate) fn rows() -> Vec<Row> {
    let file = fs::read(Path::new(PROOF)).expect("run this program from the repository's root");
    let code = prover::solidity::final_verifier_code().expect("the committed verifier");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (gas, code_bytes) = runtime.block_on(async {
        let chain = EmbeddedChain::start(EmbeddedConfig::default());
        let created = send(&chain, 0, TxKind::Create, code.into()).await;
        let verifier = created.created.expect("a contract");
        let caller = TransactionSigner::development(0).expect("there are ten");
        let request = settlement::Call {
            from: caller.address(),
            to: verifier,
            input: call(&file),
        };
        let answer = chain
            .call(created.block, &request)
            .await
            .expect("it answers");
        assert_eq!(
            answer.last(),
            Some(&1),
            "the contract refuses the golden proof"
        );
        let verified = send(&chain, 1, TxKind::Call(verifier), call(&file)).await;
        let head = verified.block;
        (
            verified.gas_used,
            chain.code(verifier, head).expect("a block").len(),
        )
    });
    let proof = file.len() - INPUTS * WORD;
    let count = |value: usize| f64::from(u32::try_from(value).expect("small"));
    vec![
        Row::alone(
            "final_verify_gas",
            "gas",
            count(usize::try_from(gas).expect("small")),
        ),
        Row::alone("final_proof_bytes", "bytes", count(proof)),
        Row::alone("verifier_code_bytes", "bytes", count(code_bytes)),
    ]
}
