//! What the suite needs of a chain besides `BaseLayer`: somebody who makes blocks and branches.
//!
//! No facts are checked here.

use alloy_consensus::{Header, Sealed, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use async_trait::async_trait;
use settlement::{
    BaseLayer, BlockAt, DEVELOPMENT_CHAIN_ID, NonceAt, Receipt, SignedTransaction,
    TransactionSigner,
};

use crate::probe;

/// A chain on the bench, mining by hand.
#[async_trait]
pub(crate) trait Bench: Send + Sync {
    /// The chain.
    fn layer(&self) -> &dyn BaseLayer;

    /// Makes a block of what waits.
    async fn mine(&self);

    /// Replaces the newest `depth` blocks by as many empty ones, and forgets their transactions.
    async fn reorg(&self, depth: u64);
}

/// Wei per gas that every block of the suite takes.
pub(crate) const FEE_WEI: u128 = 50_000_000_000;
/// Gas that is enough for everything but large code.
pub(crate) const GAS: u64 = 1_000_000;

pub(crate) fn account(index: usize) -> TransactionSigner {
    TransactionSigner::development(index).expect("there are ten accounts")
}

/// A transaction with the bench's fees.
pub(crate) fn content(nonce: u64, to: TxKind, input: Bytes) -> TxEip1559 {
    TxEip1559 {
        chain_id: DEVELOPMENT_CHAIN_ID,
        nonce,
        gas_limit: GAS,
        max_fee_per_gas: FEE_WEI,
        max_priority_fee_per_gas: 1_000_000_000,
        to,
        input,
        ..TxEip1559::default()
    }
}

/// A call of the probe, signed.
pub(crate) fn signed(from: usize, nonce: u64, to: Address, input: Bytes) -> SignedTransaction {
    let content = content(nonce, TxKind::Call(to), input);
    account(from).sign(content).expect("a development chain")
}

pub(crate) async fn head(bench: &dyn Bench) -> Sealed<Header> {
    let head = bench.layer().header(BlockAt::Latest).await;
    head.expect("the node answers").expect("there is a head")
}

pub(crate) async fn next_nonce(bench: &dyn Bench, from: usize) -> u64 {
    let head = head(bench).await.hash();
    let address = account(from).address();
    let nonce = bench.layer().nonce(address, NonceAt::Block(head)).await;
    nonce.expect("the node answers")
}

/// Sends and mines a transaction; its receipt.
pub(crate) async fn include(bench: &dyn Bench, transaction: &SignedTransaction) -> Receipt {
    let sent = bench.layer().send(&transaction.raw).await;
    assert_eq!(sent.expect("it is taken"), transaction.hash);
    bench.mine().await;
    let receipt = bench.layer().receipt(transaction.hash).await;
    receipt
        .expect("the node answers")
        .expect("it is in a block")
}

/// Deploys the probe from an account.
pub(crate) async fn deploy(bench: &dyn Bench, from: usize) -> Address {
    let nonce = next_nonce(bench, from).await;
    let content = content(nonce, TxKind::Create, probe::code());
    let signed = account(from).sign(content).expect("a development chain");
    let receipt = include(bench, &signed).await;
    assert!(receipt.succeeded);
    receipt.created.expect("it creates a contract")
}

/// Stores a value through the probe, in a block of its own.
pub(crate) async fn store(
    bench: &dyn Bench,
    from: usize,
    probe: Address,
    slot: u64,
    value: u64,
) -> Receipt {
    let nonce = next_nonce(bench, from).await;
    let input = probe::store(U256::from(slot), U256::from(value));
    include(bench, &signed(from, nonce, probe, input)).await
}

/// A slot of the probe after a block.
pub(crate) async fn load(bench: &dyn Bench, block: B256, probe: Address, slot: u64) -> U256 {
    let call = probe::load(probe, U256::from(slot));
    let answer = bench.layer().call(block, &call).await.expect("it answers");
    U256::from_be_slice(&answer)
}
