//! The follower against the embedded chain: whatever the chain does, the consumer's stack ends as the chain.
//!
//! A consumer that checks every event stands in for the node; random schedules come from a seed, which a failure
//! names. Nodes that lag, go back or change what is final are two chains behind one switch.

use std::sync::atomic::{AtomicUsize, Ordering};

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, Bytes, TxKind, U256, bytes};
use async_trait::async_trait;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::base_layer::{Call, Fees, NonceAt, Receipt, Transaction};
use crate::embedded::{BlockPlan, EmbeddedChain, EmbeddedConfig, Finality, Mining, Orphans, Reorg};
use crate::signer::{DEVELOPMENT_CHAIN_ID, TransactionSigner};
use verifier::base_layer::StateProof;

/// Random schedules; all of them take some seconds.
const SCHEDULES: u64 = 1_000;

/// Creates a contract that logs its call data, without topics, at every call: CALLDATASIZE, PUSH0, PUSH0,
/// CALLDATACOPY, CALLDATASIZE, PUSH0, LOG0.
const LOGGER: Bytes = bytes!("66365f5f37365fa05f5260076019f3");

fn chain(finalized: u64) -> EmbeddedChain {
    EmbeddedChain::start(EmbeddedConfig {
        mining: Mining::ByHand,
        finality: Finality::Depths {
            safe: finalized / 2,
            finalized,
        },
        ..EmbeddedConfig::default()
    })
}

fn signer() -> TransactionSigner {
    TransactionSigner::development(0).expect("there are ten")
}

async fn send(chain: &EmbeddedChain, to: TxKind, input: Bytes) {
    let nonce = chain.nonce(signer().address(), NonceAt::Pending).await;
    let signed = signer().sign(TxEip1559 {
        chain_id: DEVELOPMENT_CHAIN_ID,
        nonce: nonce.expect("answers"),
        gas_limit: 200_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1,
        to,
        input,
        ..TxEip1559::default()
    });
    let raw = signed.expect("a development chain").raw;
    // A full pool of a long branch is no matter here.
    let _ = chain.send(&raw).await;
}

/// The logger, in block 1.
async fn logger(chain: &EmbeddedChain) -> Address {
    send(chain, TxKind::Create, LOGGER).await;
    chain.mine(&BlockPlan::Pool);
    signer().address().create(0)
}

async fn genesis(chain: &dyn BaseLayer) -> BlockMark {
    let header = chain.header(BlockAt::Number(0)).await;
    BlockMark::from(&header.expect("answers").expect("there is a genesis"))
}

/// A consumer that keeps the stack and checks each event.
struct Consumer {
    start: BlockMark,
    stack: Vec<(BlockMark, Vec<Log>)>,
    safe: u64,
    finalized: u64,
}

impl Consumer {
    fn new(start: BlockMark) -> Self {
        Self {
            start,
            stack: Vec::new(),
            safe: start.number,
            finalized: start.number,
        }
    }

    fn top(&self) -> BlockMark {
        self.stack.last().map_or(self.start, |(block, _)| *block)
    }

    fn take(&mut self, event: FollowEvent) {
        match event {
            FollowEvent::Applied { block, logs } => {
                assert_eq!(block.number, self.top().number + 1);
                assert!(logs.iter().all(|log| log.block == block.hash));
                self.stack.push((block, logs));
            }
            FollowEvent::Undone { block } => {
                assert!(block.number > self.finalized, "undid what is final");
                let (top, _) = self.stack.pop().expect("something to undo");
                assert_eq!(top, block);
                self.safe = self.safe.min(self.top().number);
            }
            FollowEvent::Safe { block } => {
                assert!(block.number > self.safe);
                self.must_hold(block);
                self.safe = block.number;
            }
            FollowEvent::Finalized { block } => {
                assert!(block.number > self.finalized);
                self.must_hold(block);
                self.finalized = block.number;
                self.safe = self.safe.max(block.number);
            }
        }
    }

    fn must_hold(&self, block: BlockMark) {
        assert!(self.stack.iter().any(|(held, _)| *held == block));
    }

    /// The stack is the chain, log for log.
    async fn must_equal(&self, chain: &EmbeddedChain) {
        let at = async |at| chain.header(at).await.expect("answers").expect("a block");
        assert_eq!(self.top(), BlockMark::from(&at(BlockAt::Latest).await));
        assert_eq!(self.finalized, at(BlockAt::Finalized).await.number);
        // A shorter branch may move the chain's pointer back; what was called safe stays so while it stands.
        assert!(self.safe >= at(BlockAt::Safe).await.number);
        assert!(self.safe <= self.top().number);
        for (block, logs) in &self.stack {
            let header = at(BlockAt::Number(block.number)).await;
            assert_eq!(BlockMark::from(&header), *block);
            let all = chain.logs(block.hash, &LogFilter::default()).await;
            assert_eq!(&all.expect("answers"), logs);
        }
    }
}

/// Follows until there is nothing new.
async fn catch_up(follower: &mut Follower, consumer: &mut Consumer) {
    while let Some(event) = follower.next().await.expect("an honest chain") {
        consumer.take(event);
        assert_eq!(follower.top(), consumer.top());
    }
}

fn plans(rng: &mut ChaCha8Rng, count: u64) -> Vec<BlockPlan> {
    let plan = |_| {
        if rng.gen_bool(0.3) {
            BlockPlan::Empty
        } else {
            BlockPlan::Pool
        }
    };
    (0..count).map(plan).collect()
}

async fn schedule(seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let chain = chain(rng.gen_range(2..=64));
    let logger = logger(&chain).await;
    let layer: Arc<dyn BaseLayer> = Arc::new(chain.clone());
    let start = genesis(&chain).await;
    let mut follower = Follower::new(layer.clone(), LogFilter::default(), start, []);
    let mut consumer = Consumer::new(start);
    for step in 0..rng.gen_range(8..24_u64) {
        match rng.gen_range(0..4) {
            0 | 1 => {
                for _ in 0..rng.gen_range(0..3) {
                    let input = Bytes::from(U256::from(step).to_be_bytes::<32>());
                    send(&chain, TxKind::Call(logger), input).await;
                }
                let count = rng.gen_range(1..8);
                for plan in plans(&mut rng, count) {
                    chain.mine(&plan);
                }
            }
            2 => {
                let head = chain.header(BlockAt::Latest).await.expect("answers");
                let last = chain.header(BlockAt::Finalized).await.expect("answers");
                let head = head.expect("a head").number;
                let depth = rng.gen_range(0..=head - last.expect("genesis").number);
                let count = rng.gen_range(0..depth + 4);
                let plan = Reorg {
                    depth,
                    blocks: plans(&mut rng, count),
                    orphans: if rng.r#gen() {
                        Orphans::Return
                    } else {
                        Orphans::Forget
                    },
                };
                chain.reorg(&plan).expect("above what is final");
            }
            _ => {
                for _ in 0..rng.gen_range(0..12) {
                    if let Some(event) = follower.next().await.expect("an honest chain") {
                        consumer.take(event);
                    }
                }
            }
        }
        if rng.gen_bool(0.1) {
            // A restart from what the consumer stored.
            let below = |(block, _): &&(BlockMark, Vec<Log>)| block.number <= consumer.finalized;
            let last = consumer.stack.iter().take_while(below).last();
            let last = last.map_or(start, |(block, _)| *block);
            let above = consumer.stack.iter().map(|(block, _)| *block);
            let above = above.filter(|block| block.number > last.number);
            follower = Follower::new(layer.clone(), LogFilter::default(), last, above);
            consumer.safe = consumer.finalized;
        }
    }
    catch_up(&mut follower, &mut consumer).await;
    consumer.must_equal(&chain).await;
}

#[tokio::test]
async fn a_thousand_random_schedules_end_as_the_chain() {
    for seed in 0..SCHEDULES {
        let done = tokio::spawn(schedule(seed)).await;
        assert!(done.is_ok(), "schedule of seed {seed} failed");
    }
}

#[tokio::test]
async fn reorganisations_of_1_to_64_blocks_are_undone_top_first() {
    let chain = chain(64);
    logger(&chain).await;
    for _ in 0..64 {
        chain.mine(&BlockPlan::Empty);
    }
    let start = genesis(&chain).await;
    let mut consumer = Consumer::new(start);
    let mut follower = Follower::new(Arc::new(chain.clone()), LogFilter::default(), start, []);
    catch_up(&mut follower, &mut consumer).await;
    for depth in 1..=64 {
        let plan = Reorg {
            depth,
            blocks: vec![BlockPlan::Empty; usize::try_from(depth).expect("small")],
            orphans: Orphans::Forget,
        };
        chain.reorg(&plan).expect("64 blocks are not final");
        let mut undone = 0;
        while let Some(event) = follower.next().await.expect("an honest chain") {
            undone += u64::from(matches!(event, FollowEvent::Undone { .. }));
            consumer.take(event);
        }
        assert_eq!(undone, depth);
        consumer.must_equal(&chain).await;
    }
}

/// Several nodes behind one address.
struct Switch {
    nodes: Vec<EmbeddedChain>,
    chosen: AtomicUsize,
}

impl Switch {
    fn node(&self) -> &EmbeddedChain {
        &self.nodes[self.chosen.load(Ordering::SeqCst)]
    }

    fn choose(&self, node: usize) {
        self.chosen.store(node, Ordering::SeqCst);
    }
}

#[async_trait]
impl BaseLayer for Switch {
    fn chain_id(&self) -> u64 {
        DEVELOPMENT_CHAIN_ID
    }

    async fn header(&self, at: BlockAt) -> Result<Option<Sealed<Header>>, BaseLayerError> {
        self.node().header(at).await
    }

    async fn logs(&self, block: B256, filter: &LogFilter) -> Result<Vec<Log>, BaseLayerError> {
        self.node().logs(block, filter).await
    }

    async fn call(&self, block: B256, call: &Call) -> Result<Bytes, BaseLayerError> {
        self.node().call(block, call).await
    }

    async fn send(&self, raw: &Bytes) -> Result<B256, BaseLayerError> {
        self.node().send(raw).await
    }

    async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, BaseLayerError> {
        self.node().transaction(hash).await
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, BaseLayerError> {
        self.node().receipt(hash).await
    }

    async fn nonce(&self, address: Address, at: NonceAt) -> Result<u64, BaseLayerError> {
        self.node().nonce(address, at).await
    }

    async fn balance(&self, address: Address, block: B256) -> Result<U256, BaseLayerError> {
        self.node().balance(address, block).await
    }

    async fn fees(&self) -> Result<Fees, BaseLayerError> {
        self.node().fees().await
    }

    async fn proof(
        &self,
        block: B256,
        address: Address,
        slots: &[B256],
    ) -> Result<StateProof, BaseLayerError> {
        self.node().proof(block, address, slots).await
    }
}

/// Two nodes of one chain (it is deterministic) with that many blocks, and the follower at the first one's head.
async fn two_nodes(first: u64, second: u64) -> (Arc<Switch>, Follower) {
    let nodes = vec![chain(4), chain(4)];
    for (node, blocks) in nodes.iter().zip([first, second]) {
        for _ in 0..blocks {
            node.mine(&BlockPlan::Empty);
        }
    }
    let chosen = AtomicUsize::new(0);
    let switch = Arc::new(Switch { nodes, chosen });
    let start = genesis(switch.as_ref()).await;
    let mut follower = Follower::new(switch.clone(), LogFilter::default(), start, []);
    let mut consumer = Consumer::new(start);
    catch_up(&mut follower, &mut consumer).await;
    assert_eq!(follower.top().number, first);
    (switch, follower)
}

#[tokio::test]
async fn replaced_finalized_block_halts_for_ever() {
    let (switch, mut follower) = two_nodes(20, 0).await;
    let [_, second] = switch.nodes.as_slice() else {
        panic!("two nodes");
    };
    second.advance_time(7);
    for _ in 0..30 {
        second.mine(&BlockPlan::Empty);
    }
    switch.choose(1);
    let alarm = loop {
        match follower.next().await {
            Ok(Some(FollowEvent::Undone { block })) => assert!(block.number > 16),
            Ok(other) => panic!("expected the alarm, got {other:?}"),
            Err(alarm) => break alarm,
        }
    };
    assert!(matches!(
        alarm,
        FollowerError::FinalizedReplaced { number: 16, .. }
    ));
    assert_eq!(
        follower.top(),
        follower.finalized(),
        "nothing final is undone"
    );
    // The first node again: what was final and then was not needs an operator.
    switch.choose(0);
    let later = follower.next().await;
    assert!(matches!(
        later,
        Err(FollowerError::FinalizedReplaced { .. })
    ));
}

#[tokio::test]
async fn node_behind_what_is_final_is_not_followed() {
    let (switch, mut follower) = two_nodes(20, 10).await;
    switch.choose(1);
    let behind = follower.next().await;
    assert!(matches!(
        behind,
        Err(FollowerError::Behind {
            head: 10,
            finalized: 16
        })
    ));
    switch.choose(0);
    assert_eq!(follower.next().await.expect("answers"), None);
}

#[tokio::test]
async fn node_that_is_a_little_behind_is_followed_back_and_forth() {
    let (switch, mut follower) = two_nodes(20, 18).await;
    switch.choose(1);
    for expected in [20, 19] {
        match follower.next().await.expect("answers") {
            Some(FollowEvent::Undone { block }) => assert_eq!(block.number, expected),
            other => panic!("expected {expected} undone, got {other:?}"),
        }
    }
    // Its pointers are older than ours, and move nothing.
    assert_eq!(follower.next().await.expect("answers"), None);
    assert_eq!(follower.finalized().number, 16);
    switch.choose(0);
    while follower.next().await.expect("answers").is_some() {}
    assert_eq!(follower.top().number, 20);
}

#[tokio::test]
async fn finality_that_stalls_holds_nothing_but_finality() {
    let chain = EmbeddedChain::start(EmbeddedConfig {
        mining: Mining::ByHand,
        finality: Finality::ByHand,
        ..EmbeddedConfig::default()
    });
    let start = genesis(&chain).await;
    let mut consumer = Consumer::new(start);
    let mut follower = Follower::new(Arc::new(chain.clone()), LogFilter::default(), start, []);
    for _ in 0..200 {
        chain.mine(&BlockPlan::Empty);
    }
    chain.set_final(150, 0).expect("in order");
    catch_up(&mut follower, &mut consumer).await;
    assert_eq!((consumer.top().number, consumer.safe), (200, 150));
    assert_eq!(consumer.finalized, 0);
    chain.set_final(200, 199).expect("in order");
    catch_up(&mut follower, &mut consumer).await;
    assert_eq!((consumer.safe, consumer.finalized), (200, 199));
}
