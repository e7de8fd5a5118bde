//! The embedded chain on the bench, and the facts that it alone promises: finality that holds, and the rules
//! that a development chain could be tempted to relax.

use alloy_primitives::{Bytes, TxKind, U256};
use async_trait::async_trait;
use settlement::{
    BaseLayer, BaseLayerError, BlockAt, BlockPlan, ChainError, EmbeddedChain, EmbeddedConfig,
    Finality, Mining, Orphans, Rejection, Reorg,
};

use crate::bench::{Bench, account, content, deploy, next_nonce, signed, store};
use crate::probe;

/// The chain, mining by hand, with 64 blocks that may be reorganised.
pub(crate) struct Embedded {
    chain: EmbeddedChain,
}

impl Embedded {
    pub(crate) fn start() -> Self {
        Self {
            chain: EmbeddedChain::start(EmbeddedConfig {
                mining: Mining::ByHand,
                finality: Finality::Depths {
                    safe: 32,
                    finalized: 64,
                },
                ..EmbeddedConfig::default()
            }),
        }
    }

    /// Another handle to the same chain.
    pub(crate) fn chain(&self) -> EmbeddedChain {
        self.chain.clone()
    }
}

#[async_trait]
impl Bench for Embedded {
    fn layer(&self) -> &dyn BaseLayer {
        &self.chain
    }

    async fn mine(&self) {
        self.chain.mine(&BlockPlan::Pool);
    }

    async fn reorg(&self, depth: u64) {
        let blocks = (0..depth).map(|_| BlockPlan::Empty).collect();
        let plan = Reorg {
            depth,
            blocks,
            orphans: Orphans::Forget,
        };
        self.chain.reorg(&plan).expect("above what is final");
    }
}

async fn finalized(bench: &Embedded) -> u64 {
    let header = bench.chain.header(BlockAt::Finalized).await;
    header
        .expect("it answers")
        .expect("genesis is final")
        .number
}

fn reorg(depth: u64, blocks: Vec<BlockPlan>) -> Reorg {
    Reorg {
        depth,
        blocks,
        orphans: Orphans::Return,
    }
}

#[tokio::test]
async fn finalized_never_moves_back() {
    let bench = Embedded::start();
    for _ in 0..100 {
        bench.mine().await;
    }
    assert_eq!(finalized(&bench).await, 36);
    let rollback = bench.chain.reorg(&reorg(64, Vec::new()));
    rollback.expect("down to the finalized block");
    assert_eq!(finalized(&bench).await, 36);
    let below = bench.chain.reorg(&reorg(1, Vec::new()));
    assert_eq!(
        below,
        Err(ChainError::BelowFinalized {
            depth: 1,
            head: 36,
            finalized: 36
        })
    );
    for _ in 0..10 {
        bench.mine().await;
    }
    assert_eq!(finalized(&bench).await, 36);
    assert_eq!(
        bench.chain.set_final(40, 35),
        Err(ChainError::FinalityMovesBack {
            finalized: 36,
            asked: 35
        })
    );
    assert!(matches!(
        bench.chain.set_final(47, 40),
        Err(ChainError::PointerOrder { head: 46, .. })
    ));
    bench.chain.set_final(45, 40).expect("forward");
    assert_eq!(finalized(&bench).await, 40);
}

#[tokio::test]
async fn a_refused_reorganisation_changes_nothing() {
    let bench = Embedded::start();
    let probe = deploy(&bench, 0).await;
    store(&bench, 0, probe, 1, 1).await;
    bench.chain.set_final(2, 2).expect("forward");
    let before = bench.chain.header(BlockAt::Latest).await.expect("answers");
    let refused = bench.chain.reorg(&reorg(1, vec![BlockPlan::Empty]));
    assert!(matches!(refused, Err(ChainError::BelowFinalized { .. })));
    let after = bench.chain.header(BlockAt::Latest).await.expect("answers");
    assert_eq!(before, after);
}

#[tokio::test]
async fn orphans_return_to_the_pool_and_are_mined_again() {
    let bench = Embedded::start();
    let probe = deploy(&bench, 0).await;
    let receipt = store(&bench, 0, probe, 1, 5).await;
    bench
        .chain
        .reorg(&reorg(1, vec![BlockPlan::Empty]))
        .expect("not final");
    let waits = bench.chain.receipt(receipt.transaction).await;
    assert_eq!(waits.expect("answers"), None);
    bench.mine().await;
    let again = bench.chain.receipt(receipt.transaction).await;
    let again = again.expect("answers").expect("it is mined again");
    assert_ne!(again.block, receipt.block);
}

#[tokio::test]
async fn planned_transactions_that_cannot_stand_are_named() {
    let bench = Embedded::start();
    let probe = deploy(&bench, 0).await;
    let fits = signed(0, 1, probe, probe::store(U256::from(1), U256::from(1)));
    let gap = signed(0, 9, probe, probe::store(U256::from(1), U256::from(2)));
    let blocks = vec![BlockPlan::Of(vec![fits.raw.clone(), gap.raw.clone()])];
    let left_out = bench
        .chain
        .reorg(&reorg(0, blocks))
        .expect("nothing is undone");
    assert_eq!(left_out, [gap.hash]);
    assert!(
        bench
            .chain
            .receipt(fits.hash)
            .await
            .expect("answers")
            .is_some()
    );
}

#[tokio::test]
async fn gas_limits_are_those_of_mainnet() {
    let bench = Embedded::start();
    let refusal = async |gas_limit: u64, input: Bytes| {
        let mut content = content(0, TxKind::Call(account(1).address()), input);
        content.gas_limit = gas_limit;
        let signed = account(0).sign(content).expect("a development chain");
        bench.chain.send(&signed.raw).await
    };
    let rules = |answer| {
        matches!(
            answer,
            Err(BaseLayerError::Rejected(Rejection::Rules { .. }))
        )
    };
    // EIP-7825: one transaction at most 2^24.
    assert!(rules(refusal(16_777_217, Bytes::new()).await));
    // EIP-7623: 21,000 and 40 for each byte that is not zero, whatever is done with it.
    let input = Bytes::from(vec![1; 1_000]);
    assert!(rules(refusal(60_999, input.clone()).await));
    assert!(refusal(61_000, input.clone()).await.is_ok());
    // The pool of go-ethereum takes 128 KiB.
    assert!(rules(
        refusal(16_777_216, Bytes::from(vec![0; 131_072])).await
    ));
    bench.mine().await;
    let nonce = next_nonce(&bench, 0).await;
    assert_eq!(nonce, 1);
}

#[tokio::test]
async fn replacement_raises_both_fees_by_a_tenth() {
    let bench = Embedded::start();
    let paying = |fee: u128, tip: u128| {
        let mut content = content(0, TxKind::Call(account(1).address()), Bytes::new());
        content.max_fee_per_gas = fee;
        content.max_priority_fee_per_gas = tip;
        account(0).sign(content).expect("a development chain")
    };
    let refused = async |fee, tip| {
        let answer = bench.chain.send(&paying(fee, tip).raw).await;
        let underpriced = |r: &Rejection| matches!(r, Rejection::ReplacementUnderpriced { .. });
        matches!(&answer, Err(BaseLayerError::Rejected(reason)) if underpriced(reason))
    };
    let first = paying(10_000_000_000, 1_000_000_000);
    bench.chain.send(&first.raw).await.expect("taken");
    assert!(refused(10_999_999_999, 2_000_000_000).await, "fee limit");
    assert!(refused(20_000_000_000, 1_099_999_999).await, "tip");
    let enough = paying(11_000_000_000, 1_100_000_000);
    bench.chain.send(&enough.raw).await.expect("replaces");
    bench.mine().await;
    let mined = bench.chain.receipt(enough.hash).await.expect("answers");
    assert!(mined.is_some());
}

#[tokio::test]
async fn calldata_costs_its_floor() {
    let bench = Embedded::start();
    let mut content = content(0, TxKind::Call(account(1).address()), vec![1; 1_000].into());
    content.gas_limit = 100_000;
    let signed = account(0).sign(content).expect("a development chain");
    let receipt = crate::bench::include(&bench, &signed).await;
    assert_eq!(receipt.gas_used, 61_000);
}

#[tokio::test]
async fn base_fee_can_spike_and_falls_again() {
    let bench = Embedded::start();
    bench.chain.set_base_fee(900_000_000_000);
    let fees = bench.chain.fees().await.expect("answers");
    assert_eq!(fees.base_fee_wei, 900_000_000_000);
    let waits = signed(0, 0, account(1).address(), Bytes::new());
    bench.chain.send(&waits.raw).await.expect("it may wait");
    bench.mine().await;
    assert_eq!(
        bench.chain.receipt(waits.hash).await.expect("answers"),
        None
    );
    for _ in 0..40 {
        bench.mine().await;
    }
    let receipt = bench.chain.receipt(waits.hash).await.expect("answers");
    assert!(
        receipt.is_some(),
        "an empty block lowers the fee by an eighth"
    );
}

#[tokio::test]
async fn time_is_what_the_driver_says() {
    let bench = Embedded::start();
    bench.mine().await;
    let first = crate::bench::head(&bench).await.timestamp;
    bench.chain.advance_time(3_600);
    bench.mine().await;
    let second = crate::bench::head(&bench).await.timestamp;
    assert_eq!(second, first + 3_612);
    bench.chain.set_time(second + 100);
    bench.mine().await;
    bench.mine().await;
    assert_eq!(crate::bench::head(&bench).await.timestamp, second + 112);
}

#[tokio::test]
async fn every_send_mines_where_it_is_configured() {
    let chain = EmbeddedChain::start(EmbeddedConfig::default());
    let later = signed(0, 1, account(1).address(), Bytes::new());
    let first = signed(0, 0, account(1).address(), Bytes::new());
    chain.send(&later.raw).await.expect("it waits for its turn");
    assert_eq!(chain.receipt(later.hash).await.expect("answers"), None);
    chain.send(&first.raw).await.expect("its turn");
    let of = async |hash| {
        chain
            .receipt(hash)
            .await
            .expect("answers")
            .map(|r| r.block_number)
    };
    assert_eq!(of(first.hash).await, Some(1));
    assert_eq!(of(later.hash).await, Some(1));
}
