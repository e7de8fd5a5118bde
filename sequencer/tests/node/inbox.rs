//! Four validators on one base layer: what enters there is executed by all of them, and whatever happens to the base layer, the chain goes on.

use std::{sync::Arc, time::Duration};

use api::{rpc::QuorateClient, status::NodeStatus};
use protocol::{
    block::BlockHeader,
    codec::from_bytes,
    genesis::Genesis,
    inbox::InboxKind,
    number::{Amount, LeafIndex},
};
use sequencer::{BaseLayerConfig, NodeError};
use settlement::{BaseLayer, BlockPlan, Orphans, Reorg};

use crate::{
    set::{COUNT, Set},
    setup::{genesis_of, key, validator_number},
    stage::{Fault, OVERDUE, Stage, Wire, deposit, owner_account, request, rollup},
};

const INTERVAL: Duration = Duration::from_millis(50);

fn genesis() -> Genesis {
    let mut genesis = genesis_of(COUNT);
    genesis.rollup = rollup();
    genesis.leaves[1].l1_owner = owner_account(1);
    genesis.leaves[2].l1_owner = owner_account(2);
    genesis
}

/// A base layer, the validators and a wire for each.
struct Scene {
    stage: Stage,
    wires: Vec<Arc<Wire>>,
    set: Set,
}

impl Scene {
    async fn start(interval: Duration) -> Self {
        let stage = Stage::deployed(&genesis()).await;
        let wires: Vec<Arc<Wire>> = (0..COUNT).map(|_| Wire::new(&stage.chain)).collect();
        let layer = |wire: &Arc<Wire>| {
            let layer = Arc::clone(wire) as Arc<dyn BaseLayer>;
            BaseLayerConfig {
                poll: Duration::from_millis(5),
                origin_delay: Duration::from_millis(20),
                ..BaseLayerConfig::new(layer, stage.deployment, 1)
            }
        };
        let set = Set::start_on(genesis(), wires.iter().map(layer).collect(), interval).await;
        Self { stage, wires, set }
    }

    async fn status(&self, node: u8) -> NodeStatus {
        self.set.client(node).status().await.unwrap()
    }

    async fn until(&self, node: u8, what: &str, is_it: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        for _ in 0..1_200 {
            let status = self.status(node).await;
            if is_it(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("node {node} not {what}: {:?}", self.status(node).await);
    }

    /// All of these have consumed so many items, and a block more.
    async fn consumed(&self, nodes: &[u8], items: u64) {
        let mut highest = 0;
        for node in nodes {
            let status = self.until(*node, "there", |one| one.inbox_count == items);
            highest = highest.max(status.await.height);
        }
        for node in nodes {
            self.set.wait_for_height(*node, highest + 1).await;
        }
    }

    /// Balance of a leaf, the same at all nodes.
    async fn balance(&self, nodes: &[u8], leaf: u32) -> Amount {
        let mut seen = Vec::new();
        for node in nodes {
            let proof = self.set.client(*node).leaf(leaf).await.unwrap();
            seen.push(proof.verify().unwrap().balance);
        }
        assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:?}");
        seen[0]
    }

    async fn header(&self, node: u8, height: u64) -> (BlockHeader, usize) {
        let block = self.set.client(node).block(Some(height)).await.unwrap();
        let header = from_bytes(&block.header.parse().unwrap()).unwrap();
        (header, block.inbox.len())
    }
}

const ALL: [u8; 4] = [0, 1, 2, 3];

fn amount(units: u128) -> Amount {
    Amount::new(units).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_final_on_the_base_layer_is_executed_by_all_nodes_and_nothing_before() {
    let mut scene = Scene::start(INTERVAL).await;
    let stage = &scene.stage;
    // a deposit that a reorganisation takes away, and one that stays
    stage.enqueue(1, &deposit(1, owner_account(1), 7)).await;
    let head = stage.head().await.number;
    let seen = |status: &NodeStatus| status.base_layer.as_ref().unwrap().latest == Some(head);
    for node in ALL {
        scene.until(node, "up to the head", seen).await;
    }
    let height = scene.set.height(0).await;
    scene.set.wait_for_height(0, height + 5).await;
    assert_eq!(scene.status(0).await.inbox_count, 0, "it is not final");
    let branch = Reorg {
        depth: 1,
        blocks: vec![BlockPlan::Empty, BlockPlan::Empty],
        orphans: Orphans::Forget,
    };
    stage.chain.reorg(&branch).unwrap();
    stage.enqueue(1, &deposit(1, owner_account(1), 500)).await;
    stage.finalize().await;
    scene.consumed(&ALL, 1).await;
    assert_eq!(scene.balance(&ALL, 1).await, amount(1_000_500));

    // one is away while the rest of it comes, in the middle of catching up with the base layer
    scene.set.stop_one(3).await;
    let stage = &scene.stage;
    let mut withdraw = request(InboxKind::ForcedWithdraw);
    (withdraw.from, withdraw.amount) = (LeafIndex(1), amount(500));
    let mut change = request(InboxKind::ForcedChangeKey);
    (change.from, change.key) = (LeafIndex(1), key(9).public().into());
    let mut exit = request(InboxKind::ForcedExit);
    exit.from = LeafIndex(2);
    stage.enqueue(1, &withdraw).await;
    stage.enqueue(1, &change).await;
    stage.finalize().await;
    scene.consumed(&ALL[..3], 3).await;
    scene.stage.enqueue(2, &exit).await;
    // not its own leaf: it does nothing, everywhere
    let mut stolen = request(InboxKind::ForcedExit);
    stolen.from = LeafIndex(1);
    scene.stage.enqueue(2, &stolen).await;
    scene.stage.finalize().await;
    scene.consumed(&ALL[..3], 5).await;
    scene.set.start_one(3).await;
    scene.consumed(&ALL, 5).await;
    assert_eq!(scene.balance(&ALL, 1).await, amount(1_000_000));
    assert_eq!(scene.balance(&ALL, 2).await, Amount::ZERO);
    let leaf = scene.set.client(3).leaf(1).await.unwrap().verify().unwrap();
    assert_eq!(leaf.key, key(9).public().into());
    let height = scene.status(3).await.height;
    for node in ALL {
        scene.set.wait_for_height(node, height).await;
    }
    scene.set.assert_equal(1..=height).await;
    scene.set.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_the_base_layer_is_down_blocks_repeat_the_origin_and_afterwards_they_go_on() {
    let scene = Scene::start(INTERVAL).await;
    let deployed = scene.stage.head().await.number;
    let named = |status: &NodeStatus| status.base_layer.as_ref().unwrap().origin == deployed;
    scene.until(0, "on the base layer", named).await;
    for wire in &scene.wires {
        wire.set(Fault::Down);
    }
    scene
        .stage
        .enqueue(1, &deposit(1, owner_account(1), 500))
        .await;
    scene.stage.finalize().await;
    let height = scene.set.height(0).await;
    for node in ALL {
        scene.set.wait_for_height(node, height + 8).await;
        let troubled = |status: &NodeStatus| status.base_layer.as_ref().unwrap().trouble.is_some();
        let status = scene.until(node, "troubled", troubled).await;
        assert_eq!(status.base_layer.unwrap().origin, deployed);
    }
    for wire in &scene.wires {
        wire.set(Fault::None);
    }
    scene.consumed(&ALL, 1).await;
    assert_eq!(scene.balance(&ALL, 1).await, amount(1_000_500));

    // the base layer of all contradicts what was final: an operator is called, and the chain goes on
    let last = scene.stage.head().await.number;
    scene.stage.mine(1);
    for wire in &scene.wires {
        wire.set(Fault::OtherFinal(last));
    }
    for node in ALL {
        let alarmed = |status: &NodeStatus| status.base_layer.as_ref().unwrap().alarm.is_some();
        scene.until(node, "alarmed", alarmed).await;
    }
    let height = scene.set.height(0).await;
    scene.set.wait_for_height(0, height + 8).await;
    scene.set.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_whose_base_layer_is_behind_waits_while_the_others_go_on_and_catches_up() {
    let scene = Scene::start(INTERVAL).await;
    let deployed = scene.stage.head().await.number;
    scene.wires[3].set(Fault::EndsAt(deployed));
    scene
        .stage
        .enqueue(1, &deposit(1, owner_account(1), 500))
        .await;
    scene.stage.mine(3);
    let last = scene.stage.finalize().await;
    scene.consumed(&ALL[..3], 1).await;
    let behind = scene.status(3).await;
    assert_eq!(behind.inbox_count, 0, "it has not seen the deposit");
    assert_eq!(behind.base_layer.unwrap().finalized, Some(deployed));
    // its turn to propose comes and goes
    let height = scene.set.height(0).await;
    scene.set.wait_for_height(0, height + 8).await;
    assert_eq!(scene.status(0).await.base_layer.unwrap().origin, last);
    scene.wires[3].set(Fault::None);
    scene.consumed(&ALL, 1).await;
    let height = scene.status(3).await.height;
    for node in ALL {
        scene.set.wait_for_height(node, height).await;
    }
    scene.set.assert_equal(1..=height).await;
    scene.set.stop().await;
}

/// Its base layer hides items from one node. It proposes a block without the one that is due, gets no votes for it, and learns from the
/// next block, which the others decide, that it cannot go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proposer_that_leaves_out_a_due_item_is_outvoted_and_the_chain_goes_on() {
    let mut scene = Scene::start(Duration::from_millis(500)).await;
    scene.set.wait_for_height(0, 2).await;
    scene.wires[3].set(Fault::Hidden);
    scene
        .stage
        .enqueue(1, &deposit(1, owner_account(1), 500))
        .await;
    let enqueued = scene.stage.head().await;
    scene.stage.mine(OVERDUE / 12 + 2);
    let blind = validator_number(3).address().to_string();
    for _ in 0..2_000 {
        let next = scene
            .set
            .client(0)
            .validators()
            .await
            .unwrap()
            .next_proposer;
        if next.to_string() == blind {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    scene.stage.finalize().await;
    let honest = &ALL[..3];
    scene.consumed(honest, 1).await;
    assert_eq!(scene.balance(honest, 1).await, amount(1_000_500));
    let error = scene.set.fall(3).await;
    assert!(matches!(error, NodeError::Consensus(_)), "{error}");
    let height = scene.set.height(0).await;
    scene.set.wait_for_height(0, height + 3).await;
    for at in 1..=height {
        let (header, items) = scene.header(0, at).await;
        if header.core.l1_origin.number > enqueued.number {
            assert_eq!(items, 1, "the first block on such an origin holds it");
            assert_ne!(header.core.author.to_string(), blind);
            break;
        }
        assert_eq!(items, 0);
    }
    scene.set.assert_equal(1..=height).await;
    scene.set.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_has_followed_a_base_layer_is_not_opened_without_it() {
    let stage = Stage::deployed(&genesis()).await;
    let dir = tempfile::TempDir::new().unwrap();
    let mut config = crate::setup::config(dir.path(), INTERVAL);
    config.genesis.rollup = rollup();
    let layer = Wire::new(&stage.chain) as Arc<dyn BaseLayer>;
    let followed = BaseLayerConfig::new(layer, stage.deployment, 1);
    config.base_layer = Some(followed.clone());
    let node = sequencer::Node::start(config.clone()).await.unwrap();
    let mut heights = node.heights();
    heights.wait_for(|height| height.0 >= 2).await.unwrap();
    let database = config.data_dir.clone();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        let url = format!("http://{}", node.rpc_address());
        let client = jsonrpsee::http_client::HttpClientBuilder::default();
        let status = client.build(url).unwrap().status().await.unwrap();
        if status.base_layer.unwrap().finalized.is_some() {
            break;
        }
    }
    node.stop().await.unwrap();
    config.base_layer = None;
    let refused = sequencer::Node::start(config.clone()).await;
    assert!(matches!(refused, Err(NodeError::OtherBaseLayer(_))));
    config.base_layer = Some(BaseLayerConfig {
        first_block: 2,
        ..followed
    });
    let refused = sequencer::Node::start(config).await;
    assert!(matches!(refused, Err(NodeError::OtherBaseLayer(_))));
    assert!(database.exists());
}
