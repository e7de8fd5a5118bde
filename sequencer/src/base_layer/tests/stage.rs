//! A development base layer with the contracts, and a wire to it that can break and lie. Used by the tests of this crate's library and by
//! those of whole nodes; it checks nothing itself but that the chain answers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_consensus::{Header, Sealed, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use async_trait::async_trait;
use protocol::{
    account::{L1Address, LeafKey},
    genesis::Genesis,
    inbox::{InboxKind, InboxRequest},
    number::{Amount, LeafIndex, TokenId},
};
use settlement::{
    BaseLayer, BaseLayerError, BlockAt, BlockPlan, Call, EmbeddedChain, EmbeddedConfig, Fees,
    Finality, Log, LogFilter, NonceAt, Receipt, StateProof, Transaction, TransactionSigner,
    bindings::{Inbox, enqueue, l1_address, view},
    deploy::{
        DeployPace, Deployment, DeploymentConfig, DeploymentPlan, Timing, VerifierCode,
        VerifierConfig, deploy,
    },
};

/// More than any transaction here needs.
const GAS: u64 = 5_000_000;
/// Seconds after which an item is overdue: five blocks.
pub(crate) const OVERDUE: u64 = 60;

pub(crate) fn account(index: usize) -> TransactionSigner {
    TransactionSigner::development(index).expect("there are ten accounts")
}

/// Owner of leaves on the base layer.
pub(crate) fn owner_account(index: usize) -> L1Address {
    l1_address(account(index).address())
}

/// Where the Rollup will be.
pub(crate) fn rollup() -> L1Address {
    l1_address(Deployment::foretold(account(0).address(), 0).rollup)
}

/// The chain and its contracts.
pub(crate) struct Stage {
    pub(crate) chain: EmbeddedChain,
    pub(crate) deployment: Deployment,
}

impl Stage {
    /// Deployed in final blocks, from block 1 on. Blocks become final when [`Stage::finalize`] says so.
    pub(crate) async fn deployed(genesis: &Genesis) -> Self {
        let chain = EmbeddedChain::start(EmbeddedConfig {
            finality: Finality::ByHand,
            ..EmbeddedConfig::default()
        });
        let returns_one = [0x60, 0x01, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
        let verifier = VerifierConfig {
            code: VerifierCode::Runtime(Bytes::copy_from_slice(&returns_one)),
            key_hash: B256::with_last_byte(1),
            circuit_hash: B256::with_last_byte(2),
            reference_hash: B256::with_last_byte(3),
            is_insecure: true,
        };
        let suggested = DeploymentConfig::suggested(account(0).address(), verifier);
        let config = DeploymentConfig {
            timing: Timing {
                overdue: OVERDUE,
                ..suggested.timing
            },
            ..suggested
        };
        let plan = DeploymentPlan::new(genesis, account(0).address(), &config);
        let pace = DeployPace {
            poll: Duration::from_millis(1),
            polls: 3,
            fee_max_wei: 1_000_000_000_000,
        };
        let deployed = deploy(&chain, &account(0), &plan.expect("a good plan"), &pace).await;
        let stage = Self {
            chain,
            deployment: deployed.expect("it is deployed"),
        };
        stage.finalize().await;
        stage
    }

    pub(crate) async fn head(&self) -> Sealed<Header> {
        let head = self.chain.header(BlockAt::Latest).await;
        head.expect("it answers").expect("there is a head")
    }

    /// Everything up to the head is final.
    pub(crate) async fn finalize(&self) -> u64 {
        let number = self.head().await.number;
        self.chain.set_final(number, number).expect("it ascends");
        number
    }

    pub(crate) fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            self.chain.mine(&BlockPlan::Empty);
        }
    }

    /// Enqueues an item by a development account, in a block of its own.
    pub(crate) async fn enqueue(&self, from: usize, request: &InboxRequest) {
        let inbox = self.deployment.inbox;
        let head = self.head().await.hash();
        let fee = view(&self.chain, head, inbox, &Inbox::feeCall {}).await;
        let (input, value) = enqueue(request).expect("a known kind");
        let value = value + fee.expect("it answers");
        let receipt = self.transact(from, inbox, value, input).await;
        assert!(receipt.succeeded, "{request:?}");
    }

    /// Sends a transaction of a development account, in a block of its own.
    pub(crate) async fn transact(
        &self,
        from: usize,
        to: Address,
        value: U256,
        input: Bytes,
    ) -> Receipt {
        let signer = account(from);
        let nonce = self.chain.nonce(signer.address(), NonceAt::Pending).await;
        let content = TxEip1559 {
            chain_id: self.chain.chain_id(),
            nonce: nonce.expect("it answers"),
            gas_limit: GAS,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(to),
            value,
            input,
            ..TxEip1559::default()
        };
        let signed = signer.sign(content).expect("a development chain");
        self.chain.send(&signed.raw).await.expect("it is taken");
        let receipt = self.chain.receipt(signed.hash).await;
        receipt.expect("it answers").expect("every send is mined")
    }
}

/// Nothing of this kind.
pub(crate) fn request(kind: InboxKind) -> InboxRequest {
    InboxRequest {
        kind: Some(kind),
        from: LeafIndex(0),
        to: LeafIndex(0),
        token: TokenId(0),
        amount: Amount::ZERO,
        owner: L1Address::ZERO,
        l1_owner: L1Address::ZERO,
        key: LeafKey::NULL,
    }
}

/// Credits a leaf of this owner.
pub(crate) fn deposit(to: u32, l1_owner: L1Address, amount: u128) -> InboxRequest {
    InboxRequest {
        to: LeafIndex(to),
        amount: Amount::new(amount).expect("small"),
        l1_owner,
        ..request(InboxKind::Deposit)
    }
}

/// What a wire does to answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Nobody answers.
    Down,
    /// The chain seems to end at this block.
    EndsAt(u64),
    /// No block has a log.
    Hidden,
    /// The final block of this number has another time, and so another hash, and what is above it has another parent.
    OtherFinal(u64),
}

/// A base layer through which a test reaches into the answers.
pub(crate) struct Wire {
    chain: EmbeddedChain,
    fault: Mutex<Fault>,
}

impl Wire {
    pub(crate) fn new(chain: &EmbeddedChain) -> Arc<Self> {
        Arc::new(Self {
            chain: chain.clone(),
            fault: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().expect("no panic in between") = fault;
    }

    fn fault(&self, request: &'static str) -> Result<Fault, BaseLayerError> {
        let fault = *self.fault.lock().expect("no panic in between");
        if fault == Fault::Down {
            let reason = "the test has cut the wire".to_owned();
            return Err(BaseLayerError::Unavailable { request, reason });
        }
        Ok(fault)
    }
}

#[async_trait]
impl BaseLayer for Wire {
    fn chain_id(&self) -> u64 {
        self.chain.chain_id()
    }

    async fn header(&self, at: BlockAt) -> Result<Option<Sealed<Header>>, BaseLayerError> {
        let fault = self.fault("header")?;
        let found = self.chain.header(at).await?;
        match (fault, found) {
            (Fault::EndsAt(last), Some(found)) if found.number > last => match at {
                BlockAt::Number(_) | BlockAt::Hash(_) => Ok(None),
                _ => self.chain.header(BlockAt::Number(last)).await,
            },
            (Fault::OtherFinal(number), Some(found)) if found.number >= number => {
                let mut header = found.into_inner();
                header.extra_data = Bytes::from_static(b"another");
                if header.number > number {
                    header.parent_hash = B256::repeat_byte(0xaa);
                }
                Ok(Some(Sealed::new(header)))
            }
            (_, found) => Ok(found),
        }
    }

    async fn logs(&self, block: B256, filter: &LogFilter) -> Result<Vec<Log>, BaseLayerError> {
        match self.fault("logs")? {
            Fault::Hidden => Ok(Vec::new()),
            _ => self.chain.logs(block, filter).await,
        }
    }

    async fn call(&self, block: B256, call: &Call) -> Result<Bytes, BaseLayerError> {
        self.fault("call")?;
        self.chain.call(block, call).await
    }

    async fn send(&self, raw: &Bytes) -> Result<B256, BaseLayerError> {
        self.fault("send")?;
        self.chain.send(raw).await
    }

    async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, BaseLayerError> {
        self.fault("transaction")?;
        self.chain.transaction(hash).await
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, BaseLayerError> {
        self.fault("receipt")?;
        self.chain.receipt(hash).await
    }

    async fn nonce(&self, address: Address, at: NonceAt) -> Result<u64, BaseLayerError> {
        self.fault("nonce")?;
        self.chain.nonce(address, at).await
    }

    async fn balance(&self, address: Address, block: B256) -> Result<U256, BaseLayerError> {
        self.fault("balance")?;
        self.chain.balance(address, block).await
    }

    async fn fees(&self) -> Result<Fees, BaseLayerError> {
        self.fault("fees")?;
        self.chain.fees().await
    }

    async fn proof(
        &self,
        block: B256,
        address: Address,
        slots: &[B256],
    ) -> Result<StateProof, BaseLayerError> {
        self.fault("proof")?;
        self.chain.proof(block, address, slots).await
    }
}
