//! Along a development chain with the real contracts, over a wire that breaks and lies.

use protocol::inbox::InboxKind;
use settlement::{
    BlockPlan, Orphans, Reorg,
    bindings::{Inbox, view},
};
use tokio_util::sync::CancellationToken;

use super::*;
use stage::{Fault, deposit, request};

/// A database, its final part and the component that moves it.
struct Follow {
    rig: Rig,
    part: Arc<FinalPart>,
    token: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), StorageError>>,
}

impl Follow {
    fn start(rig: Rig, config: BaseLayerConfig) -> Self {
        let store = Arc::clone(&rig.shared().store);
        let part = Arc::new(FinalPart::load(store, &config).unwrap());
        let token = CancellationToken::new();
        let task = tokio::spawn(run_base_layer(Arc::clone(&part), config, token.clone()));
        Self {
            rig,
            part,
            token,
            task,
        }
    }

    async fn until(&self, what: &str, is_it: impl Fn(&BaseStanding) -> bool) -> BaseStanding {
        for _ in 0..5_000 {
            let standing = self.part.standing();
            if is_it(&standing) {
                return standing;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("not {what}: {:?}", self.part.standing());
    }

    async fn until_final(&self, number: u64) -> BaseStanding {
        self.until("final", |standing| standing.finalized == Some(number))
            .await
    }

    async fn stop(self) -> Rig {
        self.token.cancel();
        self.task.await.unwrap().unwrap();
        self.rig
    }
}

async fn staged() -> (Stage, Arc<Wire>, BaseLayerConfig) {
    let stage = Stage::deployed(&deployable()).await;
    let wire = Wire::new(&stage.chain);
    let config = config(Arc::clone(&wire) as Arc<dyn BaseLayer>, stage.deployment);
    (stage, wire, config)
}

#[tokio::test]
async fn items_are_read_when_their_block_is_final_and_hash_as_in_the_contract() {
    let (stage, _wire, config) = staged().await;
    let follow = Follow::start(rig(), config);
    let deployed = stage.head().await.number;
    follow.until_final(deployed).await;
    stage.enqueue(1, &deposit(1, owner_account(1), 500)).await;
    stage.enqueue(1, &request(InboxKind::ForcedExit)).await;
    let head = stage.head().await;
    let seen = follow
        .until("seen", |standing| standing.latest == Some(head.number))
        .await;
    assert_eq!((seen.items, seen.finalized), (0, Some(deployed)));
    stage.finalize().await;
    let seen = follow.until_final(head.number).await;
    assert_eq!((seen.items, seen.safe), (2, Some(head.number)));
    assert_eq!((seen.alarm, seen.trouble), (None, None));
    let store = &follow.rig.shared().store;
    let record = store.base_record().unwrap().unwrap();
    let rolling = Inbox::rollingAtCall { number: 2 };
    let rolling = view(&stage.chain, head.hash(), stage.deployment.inbox, &rolling).await;
    assert_eq!(record.rolling, rolling.unwrap().0);
    assert_eq!(record.overdue_seconds, OVERDUE);
    let first = store.base_item(0).unwrap().unwrap();
    assert_eq!(first.enqueued_at, deployed + 1);
    assert_eq!(first.item.request().owner, owner_account(1));
    follow.stop().await;
}

#[tokio::test]
async fn a_reorganisation_of_what_is_not_final_does_not_reach_the_final_part() {
    let (stage, _wire, config) = staged().await;
    let follow = Follow::start(rig(), config);
    let deployed = stage.head().await.number;
    follow.until_final(deployed).await;
    stage.enqueue(1, &deposit(1, owner_account(1), 500)).await;
    let head = stage.head().await.number;
    follow
        .until("seen", |standing| standing.latest == Some(head))
        .await;
    let branch = Reorg {
        depth: 1,
        blocks: vec![BlockPlan::Empty, BlockPlan::Empty, BlockPlan::Empty],
        orphans: Orphans::Forget,
    };
    stage.chain.reorg(&branch).unwrap();
    stage.enqueue(2, &deposit(1, owner_account(1), 700)).await;
    let head = stage.finalize().await;
    let seen = follow.until_final(head).await;
    assert_eq!(seen.items, 1);
    let item = follow.rig.shared().store.base_item(0).unwrap().unwrap();
    assert_eq!(item.item.request().owner, owner_account(2));
    follow.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_database_stands() {
    let (stage, wire, config) = staged().await;
    let follow = Follow::start(rig(), config.clone());
    stage.enqueue(1, &deposit(1, owner_account(1), 500)).await;
    let first = stage.finalize().await;
    follow.until_final(first).await;
    stage.enqueue(2, &deposit(1, owner_account(1), 700)).await; // seen, not final
    let rig = follow.stop().await;
    // a base layer that is down does not keep a node from what it knows
    wire.set(Fault::Down);
    let follow = Follow::start(rig, config);
    assert_eq!(follow.part.standing().finalized, Some(first));
    let from = L1Origin::default();
    assert_eq!(follow.part.origin_above(&from).number, first);
    follow.until("down", |seen| seen.trouble.is_some()).await;
    wire.set(Fault::None);
    let last = stage.finalize().await;
    let seen = follow.until_final(last).await;
    assert_eq!((seen.items, seen.trouble), (2, None));
    follow.stop().await;
}

#[tokio::test]
async fn another_block_where_one_was_final_is_an_alarm_and_moves_nothing() {
    let (stage, wire, config) = staged().await;
    let follow = Follow::start(rig(), config.clone());
    let deployed = stage.head().await.number;
    follow.until_final(deployed).await;
    stage.mine(2);
    wire.set(Fault::OtherFinal(deployed));
    let seen = follow.until("alarmed", |seen| seen.alarm.is_some()).await;
    assert!(seen.alarm.unwrap().contains("ALARM"));
    assert_eq!(seen.finalized, Some(deployed));
    let known = follow.part.origin_above(&L1Origin::default());
    assert_eq!(known.number, deployed, "ordering goes on with it");
    // an operator restarts it on a node that tells the truth
    let rig = follow.stop().await;
    wire.set(Fault::None);
    let follow = Follow::start(rig, config);
    let head = stage.finalize().await;
    assert_eq!(follow.until_final(head).await.alarm, None);
    follow.stop().await;
}

#[tokio::test]
async fn a_head_that_goes_back_is_waited_for() {
    let (stage, wire, config) = staged().await;
    let follow = Follow::start(rig(), config);
    let deployed = stage.head().await.number;
    follow.until_final(deployed).await;
    wire.set(Fault::EndsAt(deployed - 2));
    let seen = follow.until("behind", |seen| seen.trouble.is_some()).await;
    assert!(seen.trouble.unwrap().contains("behind"));
    assert_eq!((seen.finalized, seen.alarm), (Some(deployed), None));
    wire.set(Fault::None);
    stage.mine(1);
    let head = stage.finalize().await;
    follow.until_final(head).await;
    follow.stop().await;
}

/// A first block above the Inbox's first item would lose items: it is found with the first one that is read.
#[tokio::test]
async fn a_first_block_above_the_first_item_is_an_alarm() {
    let (stage, _wire, config) = staged().await;
    stage.enqueue(1, &deposit(1, owner_account(1), 500)).await;
    stage.mine(1);
    let config = BaseLayerConfig {
        first_block: stage.head().await.number,
        ..config
    };
    stage.finalize().await;
    let follow = Follow::start(rig(), config);
    stage.enqueue(1, &deposit(1, owner_account(1), 500)).await;
    stage.finalize().await;
    let seen = follow.until("alarmed", |seen| seen.alarm.is_some()).await;
    assert!(seen.alarm.unwrap().contains("item 1 stands where item 0"));
    assert_eq!(seen.items, 0);
    follow.stop().await;
}

/// A node that hides logs is found out by the next item that it shows.
#[tokio::test]
async fn an_item_that_was_hidden_is_an_alarm_when_the_next_is_shown() {
    let (stage, wire, config) = staged().await;
    let follow = Follow::start(rig(), config);
    wire.set(Fault::Hidden);
    stage.enqueue(1, &deposit(1, owner_account(1), 500)).await;
    let hidden = stage.finalize().await;
    assert_eq!(follow.until_final(hidden).await.items, 0);
    wire.set(Fault::None);
    stage.enqueue(1, &deposit(1, owner_account(1), 500)).await;
    stage.finalize().await;
    let seen = follow.until("alarmed", |seen| seen.alarm.is_some()).await;
    assert_eq!((seen.items, seen.finalized), (0, Some(hidden)));
    follow.stop().await;
}

#[tokio::test]
async fn a_node_is_refused_a_base_layer_that_is_not_its_own() {
    let (_stage, _wire, config) = staged().await;
    let genesis = deployable();
    let check = |config: Option<&BaseLayerConfig>, record: Option<&BaseRecord>| {
        check_config(config, &genesis, record)
    };
    assert_eq!(check(Some(&config), None), Ok(()));
    assert_eq!(check(None, None), Ok(()));
    let mut followed = record(3);
    followed.inbox = l1_address(config.deployment.inbox);
    assert_eq!(check(Some(&config), Some(&followed)), Ok(()));
    assert_eq!(check(None, Some(&followed)), Err(OtherBaseLayer::Missing));
    let mut other = config.clone();
    other.first_block = 0;
    assert_eq!(check(Some(&other), None), Err(OtherBaseLayer::FirstBlock));
    other.first_block = 2;
    let refused = check(Some(&other), Some(&followed));
    assert!(matches!(refused, Err(OtherBaseLayer::Followed { .. })));
    other.deployment.rollup = other.deployment.inbox;
    let refused = check(Some(&other), None);
    assert!(matches!(refused, Err(OtherBaseLayer::Rollup { .. })));
    let elsewhere = Genesis {
        chain_id: 1,
        ..genesis.clone()
    };
    let refused = check_config(Some(&config), &elsewhere, None);
    assert!(matches!(refused, Err(OtherBaseLayer::Chain { .. })));
}
