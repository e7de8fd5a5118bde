//! The state from genesis and events alone: the same leaves as the chain's, and refused where they cannot follow.

use protocol::number::{BatchNumber, LeafIndex};
use protocol::state::LeafView;
use settlement::deploy::DeploymentFile;
use settlement::rebuild::{ChainRebuildError, rebuild, rebuild_until};
use settlement::{BlockPlan, Orphans, Reorg};

use crate::stage::Stage;

fn file(stage: &Stage) -> DeploymentFile {
    DeploymentFile::new(31_337, 1, stage.plan.deployment())
}

#[tokio::test]
async fn every_leaf_comes_back_from_genesis_and_events() {
    let stage = Stage::deployed().await;
    let (file, genesis) = (file(&stage), &stage.batch.world.genesis);
    stage.enqueue_items().await;
    let committed = stage.commit().await;
    // committed is not proven: the state is that of genesis, and both items wait
    let before = rebuild(&stage.chain, &file, genesis, stage.head().await).await;
    let before = before.expect("nothing is proven");
    assert_eq!((before.batches, before.waiting.len()), (0, 2));
    assert_eq!(before.state.root(), genesis.state().root());

    assert!(stage.prove(&committed).await.succeeded);
    let after = rebuild(&stage.chain, &file, genesis, stage.head().await).await;
    let after = after.expect("one batch is proven");
    let world = &stage.batch.world;
    assert_eq!(after.state.root(), world.state.root());
    assert_eq!(after.state.leaf_count(), world.state.leaf_count());
    for index in 0..u32::try_from(world.state.leaf_count()).expect("few") {
        let index = LeafIndex(index);
        assert_eq!(after.state.leaf(index), world.state.leaf(index));
    }
    assert_eq!(
        (after.batches, after.inbox_count, after.operations),
        (1, 2, 4)
    );
    assert!(after.waiting.is_empty() && after.published_bytes > 0);

    // an earlier end comes under the same root, and a later one is not there
    let until = async |batch| {
        let head = stage.head().await;
        rebuild_until(&stage.chain, &file, genesis, head, BatchNumber(batch)).await
    };
    let start = until(0).await.expect("genesis");
    assert_eq!((start.batches, start.waiting.len()), (0, 2));
    assert_eq!(start.state.root(), genesis.state().root());
    let same = until(1).await.expect("batch 1");
    assert_eq!(same.state.root(), world.state.root());
    let refused = until(2).await;
    assert!(
        matches!(
            refused,
            Err(ChainRebuildError::NotProven {
                wanted: BatchNumber(2),
                proven: BatchNumber(1)
            })
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn another_genesis_and_a_block_that_left_the_chain_are_refused() {
    let stage = Stage::deployed().await;
    let (file, genesis) = (file(&stage), &stage.batch.world.genesis);
    stage.enqueue_items().await;
    let committed = stage.commit().await;
    assert!(stage.prove(&committed).await.succeeded);
    let mut other = genesis.clone();
    other.leaves.pop();
    let refused = rebuild(&stage.chain, &file, &other, stage.head().await).await;
    assert!(
        matches!(refused, Err(ChainRebuildError::OtherGenesis { .. })),
        "{refused:?}"
    );
    let mut other = genesis.clone();
    other.rollup.0[0] ^= 1;
    let refused = rebuild(&stage.chain, &file, &other, stage.head().await).await;
    assert!(
        matches!(refused, Err(ChainRebuildError::OtherRollup { .. })),
        "{refused:?}"
    );
    let head = stage.head().await;
    let plan = Reorg {
        depth: 1,
        blocks: vec![BlockPlan::Empty; 2],
        orphans: Orphans::Forget,
    };
    stage.chain.reorg(&plan).expect("not final");
    let refused = rebuild(&stage.chain, &file, genesis, head).await;
    assert!(
        matches!(refused, Err(ChainRebuildError::Binding(_))),
        "{refused:?}"
    );
}
