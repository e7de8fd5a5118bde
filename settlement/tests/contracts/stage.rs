//! A deployment on the embedded chain, and hands to work it. Checks nothing itself but that the chain answers.

use std::time::Duration;

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use protocol::public_inputs::PublicInputs;
use settlement::bindings::{
    Events, Inbox, StoredBatch, commit_batch, enqueue, event, prove_batch, view,
};
use settlement::deploy::{
    DeployPace, Deployment, DeploymentConfig, DeploymentPlan, VerifierCode, VerifierConfig, deploy,
};
use settlement::{
    BaseLayer, BlockAt, Call, EmbeddedChain, EmbeddedConfig, Finality, Log, LogFilter, NonceAt,
    Receipt,
};

pub(crate) use crate::batch::account;
use crate::batch::{Batch, prover};

/// More than any transaction here needs.
const GAS: u64 = 5_000_000;

pub(crate) fn pace() -> DeployPace {
    DeployPace {
        poll: Duration::from_millis(1),
        polls: 3,
        fee_max_wei: 1_000_000_000_000,
    }
}

/// Code of a contract that answers whether the 13 inputs are those with this hash, whatever the proof.
pub(crate) fn stand_in(inputs: &PublicInputs) -> Bytes {
    let fields = inputs.to_fields();
    let bytes: Vec<u8> = fields
        .iter()
        .flat_map(protocol::codec::field_to_be_bytes)
        .collect();
    assert_eq!(bytes.len(), 416);
    // calldatacopy(0, 4, 416)
    let mut code = vec![0x61, 0x01, 0xa0, 0x60, 0x04, 0x5f, 0x37];
    // keccak256(0, 416) == hash
    code.extend_from_slice(&[0x61, 0x01, 0xa0, 0x5f, 0x20, 0x7f]);
    code.extend_from_slice(keccak256(bytes).as_slice());
    // mstore(0, ..), return(0, 32)
    code.extend_from_slice(&[0x14, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]);
    code.into()
}

/// A deployment and the batch that its verifier takes.
pub(crate) struct Stage {
    pub(crate) chain: EmbeddedChain,
    pub(crate) plan: DeploymentPlan,
    pub(crate) batch: Batch,
}

/// A verifier whose hashes nobody reads here.
pub(crate) fn verifier(code: VerifierCode) -> VerifierConfig {
    VerifierConfig {
        code,
        key_hash: B256::with_last_byte(1),
        circuit_hash: B256::with_last_byte(2),
        reference_hash: B256::with_last_byte(3),
        is_insecure: true,
    }
}

impl Stage {
    /// With a verifier that takes this batch's inputs and no others, and does not look at proofs.
    pub(crate) async fn deployed() -> Self {
        Self::with_verifier(|batch| VerifierCode::Runtime(stand_in(&batch.inputs))).await
    }

    /// With the code of this verifier.
    pub(crate) async fn with_verifier(code: impl FnOnce(&Batch) -> VerifierCode) -> Self {
        Self::with_config(Batch::new, code, |_| {}).await
    }

    /// With the batch of this Rollup, the code of this verifier and a changed configuration.
    pub(crate) async fn with_config(
        batch: impl FnOnce(Address) -> Batch,
        code: impl FnOnce(&Batch) -> VerifierCode,
        change: impl FnOnce(&mut DeploymentConfig),
    ) -> Self {
        let chain = EmbeddedChain::start(EmbeddedConfig {
            finality: Finality::Depths {
                safe: 32,
                finalized: 64,
            },
            ..EmbeddedConfig::default()
        });
        let deployer = account(0);
        let foretold = Deployment::foretold(deployer.address(), 0);
        let batch = batch(foretold.rollup);
        let verifier = verifier(code(&batch));
        let mut config = DeploymentConfig {
            fund_wei: batch.genesis_wei(),
            ..DeploymentConfig::suggested(deployer.address(), verifier)
        };
        change(&mut config);
        let plan = DeploymentPlan::new(&batch.world.genesis, deployer.address(), &config);
        let plan = plan.expect("a good plan");
        let made = deploy(&chain, &deployer, &plan, &pace()).await;
        assert_eq!(made.expect("it is deployed"), foretold);
        Self { chain, plan, batch }
    }

    pub(crate) async fn head(&self) -> B256 {
        let head = self.chain.header(BlockAt::Latest).await;
        head.expect("it answers").expect("there is a head").hash()
    }

    pub(crate) async fn view<C: SolCall>(&self, contract: Address, call: &C) -> C::Return {
        let answer = view(&self.chain, self.head().await, contract, call).await;
        answer.expect("it answers")
    }

    pub(crate) async fn balance(&self, address: Address) -> U256 {
        let balance = self.chain.balance(address, self.head().await).await;
        balance.expect("it answers")
    }

    /// Sends a transaction of a development account; its receipt.
    pub(crate) async fn transact(
        &self,
        from: usize,
        to: Address,
        value: U256,
        input: &Bytes,
    ) -> Receipt {
        self.send(from, TxKind::Call(to), value, input).await
    }

    /// Creates a contract by a development account; its address.
    pub(crate) async fn create(&self, from: usize, code: &Bytes) -> Address {
        let receipt = self.send(from, TxKind::Create, U256::ZERO, code).await;
        assert!(receipt.succeeded, "creation");
        receipt.created.expect("it creates")
    }

    async fn send(&self, from: usize, to: TxKind, value: U256, input: &Bytes) -> Receipt {
        let signer = account(from);
        let nonce = self.chain.nonce(signer.address(), NonceAt::Pending).await;
        let content = TxEip1559 {
            chain_id: self.chain.chain_id(),
            nonce: nonce.expect("it answers"),
            gas_limit: GAS,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to,
            value,
            input: input.clone(),
            ..TxEip1559::default()
        };
        let signed = signer.sign(content).expect("a development chain");
        self.chain.send(&signed.raw).await.expect("it is taken");
        let receipt = self.chain.receipt(signed.hash).await;
        receipt.expect("it answers").expect("every send is mined")
    }

    pub(crate) async fn call<C: SolCall>(
        &self,
        from: usize,
        to: Address,
        value: U256,
        call: &C,
    ) -> Receipt {
        let input = Bytes::from(call.abi_encode());
        self.transact(from, to, value, &input).await
    }

    /// What a contract says to this call by a development account, without a transaction.
    pub(crate) async fn ask(
        &self,
        to: Address,
        input: &Bytes,
    ) -> Result<Bytes, settlement::BaseLayerError> {
        let call = Call {
            from: account(4).address(),
            to,
            input: input.clone(),
        };
        self.chain.call(self.head().await, &call).await
    }

    /// The logs of a receipt's transaction.
    pub(crate) async fn logs(&self, receipt: &Receipt) -> Vec<Log> {
        let logs = self.chain.logs(receipt.block, &LogFilter::default()).await;
        let mut logs = logs.expect("it answers");
        logs.retain(|log| log.transaction == receipt.transaction);
        logs
    }

    /// Events of one kind that a transaction wrote.
    pub(crate) async fn events<E: SolEvent>(&self, receipt: &Receipt) -> Vec<E> {
        let logs = self.logs(receipt).await;
        let read = logs.iter().map(|log| event::<E>(log).expect("well formed"));
        read.flatten().collect()
    }

    /// Enqueues the batch's items, each by its owner.
    pub(crate) async fn enqueue_items(&self) -> Vec<Receipt> {
        let inbox = self.plan.deployment().inbox;
        let mut receipts = Vec::new();
        for (from, item) in (1..).zip(&self.batch.items) {
            let fee = self.view(inbox, &Inbox::feeCall {}).await;
            let (input, value) = enqueue(item).expect("a known kind");
            let receipt = self.transact(from, inbox, value + fee, &input).await;
            assert!(receipt.succeeded, "{item:?}");
            receipts.push(receipt);
        }
        receipts
    }

    /// Calldata that commits the batch with three signatures.
    pub(crate) fn commit_input(&self) -> Bytes {
        let batch = &self.batch;
        let checkpoint = batch.sign(&batch.commitment, 3);
        let set = &batch.world.genesis.validators;
        let input = commit_batch(&checkpoint, &batch.finished.words, set);
        input.expect("all have seats")
    }

    pub(crate) async fn commit(&self) -> Receipt {
        let rollup = self.plan.deployment().rollup;
        self.transact(4, rollup, U256::ZERO, &self.commit_input())
            .await
    }

    /// The stored fields of a commit, from its event and, equal to it, from the native inputs.
    pub(crate) async fn stored(&self, committed: &Receipt) -> StoredBatch {
        let header = self.chain.header(BlockAt::Hash(committed.block)).await;
        let header = header.expect("it answers").expect("it is there");
        let words = &self.batch.finished.words.withdrawals;
        let version = self.batch.commitment.circuit_version;
        let time = header.timestamp;
        let native = settlement::bindings::stored_batch(&self.batch.inputs, words, time, version);
        let native = native.expect("an even number of words");
        let events = self.events::<Events::BatchCommitted>(committed).await;
        assert_eq!(events[0].batch, native);
        native
    }

    pub(crate) async fn prove(&self, committed: &Receipt) -> Receipt {
        self.prove_by(committed, prover(), &Bytes::new()).await
    }

    pub(crate) async fn prove_by(
        &self,
        committed: &Receipt,
        by: Address,
        proof: &Bytes,
    ) -> Receipt {
        let rollup = self.plan.deployment().rollup;
        let stored = self.stored(committed).await;
        let input = prove_batch(&stored, by, proof);
        self.transact(4, rollup, U256::ZERO, &input).await
    }
}
