//! A base layer behind a bad line: answers are lost, late, limited, repeated or contradictory, as a seed says.
//!
//! What the client can find out it has found out: a lie comes as `Contradiction`. What it cannot, comes as an answer: an old
//! head, an old finalized block, an old receipt or none. A question whose answer is lost was asked all the same, so a
//! transaction may have been taken. Blocks asked for by number or hash are what they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use settlement::{
    BaseLayer, BaseLayerError, BlockAt, Call, Contradiction, EmbeddedChain, Fees, Log, LogFilter,
    NonceAt, Receipt, StateProof, Transaction,
};

/// What is remembered of earlier answers.
struct Line {
    rng: ChaCha8Rng,
    /// How many of a thousand questions go wrong.
    faulty: u32,
    /// The last heads and finalized blocks that were told.
    latest: Option<Sealed<Header>>,
    finalized: Option<Sealed<Header>>,
    receipts: BTreeMap<B256, Option<Receipt>>,
    /// Faults so far.
    faults: u64,
}

/// The chain behind the line.
#[derive(Clone)]
pub(super) struct Rough {
    chain: EmbeddedChain,
    line: Arc<Mutex<Line>>,
}

/// What happens to a question.
enum Fate {
    Asked,
    /// It is asked, and the answer does not come.
    Lost(BaseLayerError),
    /// It is not asked.
    Refused(BaseLayerError),
    /// The last answer comes again.
    Repeated,
}

impl Rough {
    pub(super) fn new(chain: EmbeddedChain, rng: ChaCha8Rng) -> Self {
        let line = Line {
            rng,
            faulty: 0,
            latest: None,
            finalized: None,
            receipts: BTreeMap::new(),
            faults: 0,
        };
        let line = Arc::new(Mutex::new(line));
        Self { chain, line }
    }

    /// From now on so many of a thousand questions go wrong.
    pub(super) fn set_faulty(&self, faulty: u32) {
        self.line().faulty = faulty;
    }

    pub(super) fn faults(&self) -> u64 {
        self.line().faults
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("no panic")
    }

    fn fate(&self, request: &'static str) -> Fate {
        let mut line = self.line();
        if line.rng.gen_range(0..1_000) >= line.faulty {
            return Fate::Asked;
        }
        line.faults += 1;
        let at = BlockAt::Latest;
        match line.rng.gen_range(0..7) {
            0 => Fate::Refused(BaseLayerError::Unavailable {
                request,
                reason: "no route".to_owned(),
            }),
            1 => Fate::Refused(BaseLayerError::RateLimited { request }),
            2 => Fate::Refused(BaseLayerError::UnknownBlock { at }),
            3 => Fate::Lost(BaseLayerError::from(Contradiction::OtherBlock {
                asked: at,
                number: 1,
                hash: B256::repeat_byte(1),
            })),
            4 | 5 => Fate::Lost(BaseLayerError::TimedOut {
                request,
                timeout_ms: 1,
            }),
            _ => Fate::Repeated,
        }
    }

    /// Asks, unless the line says otherwise; a repeated answer is `last`, if there was one.
    async fn ask<T>(
        &self,
        request: &'static str,
        last: impl FnOnce(&Line) -> Option<T>,
        answer: impl Future<Output = Result<T, BaseLayerError>>,
    ) -> Result<T, BaseLayerError> {
        match self.fate(request) {
            Fate::Refused(error) => Err(error),
            Fate::Lost(error) => {
                let _ = answer.await; // nobody hears it
                Err(error)
            }
            Fate::Asked => answer.await,
            Fate::Repeated => {
                let last = last(&self.line());
                match last {
                    Some(last) => Ok(last),
                    None => answer.await,
                }
            }
        }
    }
}

#[async_trait]
impl BaseLayer for Rough {
    fn chain_id(&self) -> u64 {
        self.chain.chain_id()
    }

    async fn header(&self, at: BlockAt) -> Result<Option<Sealed<Header>>, BaseLayerError> {
        let last = |line: &Line| match at {
            BlockAt::Latest => line.latest.clone().map(Some),
            BlockAt::Finalized => line.finalized.clone().map(Some),
            _ => None,
        };
        let header = self.ask("header", last, self.chain.header(at)).await?;
        let mut line = self.line();
        // every few answers are remembered, so that a repeated one is some blocks old
        if line.rng.gen_bool(0.1) {
            match at {
                BlockAt::Latest => line.latest = header.clone(),
                BlockAt::Finalized => line.finalized = header.clone(),
                _ => {}
            }
        }
        Ok(header)
    }

    async fn logs(&self, block: B256, filter: &LogFilter) -> Result<Vec<Log>, BaseLayerError> {
        let answer = self.chain.logs(block, filter);
        self.ask("logs", |_| None, answer).await
    }

    async fn call(&self, block: B256, call: &Call) -> Result<Bytes, BaseLayerError> {
        let answer = self.chain.call(block, call);
        self.ask("call", |_| None, answer).await
    }

    async fn send(&self, raw: &Bytes) -> Result<B256, BaseLayerError> {
        self.ask("send", |_| None, self.chain.send(raw)).await
    }

    async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, BaseLayerError> {
        let answer = self.chain.transaction(hash);
        self.ask("transaction", |_| None, answer).await
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, BaseLayerError> {
        let last = |line: &Line| line.receipts.get(&hash).cloned();
        let receipt = self.ask("receipt", last, self.chain.receipt(hash)).await?;
        self.line().receipts.insert(hash, receipt.clone());
        Ok(receipt)
    }

    async fn nonce(&self, address: Address, at: NonceAt) -> Result<u64, BaseLayerError> {
        let answer = self.chain.nonce(address, at);
        self.ask("nonce", |_| None, answer).await
    }

    async fn balance(&self, address: Address, block: B256) -> Result<U256, BaseLayerError> {
        let answer = self.chain.balance(address, block);
        self.ask("balance", |_| None, answer).await
    }

    async fn fees(&self) -> Result<Fees, BaseLayerError> {
        self.ask("fees", |_| None, self.chain.fees()).await
    }

    async fn proof(
        &self,
        block: B256,
        address: Address,
        slots: &[B256],
    ) -> Result<StateProof, BaseLayerError> {
        let answer = self.chain.proof(block, address, slots);
        self.ask("proof", |_| None, answer).await
    }
}
