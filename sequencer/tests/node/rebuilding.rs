//! Everything local is lost: databases, guards, bundles. What is left is genesis, the validators' keys and the base layer.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use api::{rpc::QuorateClient, status::NodeRole, status::Stage as Reached};
use jsonrpsee::http_client::HttpClientBuilder;
use protocol::{
    codec::field_to_be_bytes,
    inbox::InboxKind,
    number::{Amount, BatchNumber, Height, LeafIndex, Nonce},
    restart::RestartCertificate,
    state::LeafView,
    transaction::{Action, Transaction},
};
use sequencer::{
    BaseLayerConfig, Node, PosterConfig, RestartPoint, StorageError, check_unmade, make_rebuilt,
    make_restarted, sign_restart,
};
use settlement::{
    BaseLayer, BlockAt,
    bindings::{Rollup, view},
    rebuild::{RebuiltChain, rebuild, rebuild_until},
};

use crate::{
    set::{COUNT, Set},
    settled::Settled,
    setup::{genesis_of, sign_for, transfer, validator_number, wait_for},
    stage::{Wire, account, deposit, owner_account, request, rollup},
};

const INTERVAL: Duration = Duration::from_millis(50);
/// The development account that posts.
const POSTER: usize = 6;

fn withdraw(from: u32, nonce: u64, units: u128) -> Transaction {
    Transaction {
        from: LeafIndex(from),
        action: Action::Withdraw {
            amount: Amount::new(units).unwrap(),
        },
        ..transfer(0, 0, nonce, 0)
    }
}

/// Three proven batches with a deposit, a forced exit, transfers and withdrawals, and a deposit that waits.
async fn settled() -> Settled {
    let mut genesis = genesis_of(COUNT);
    genesis.rollup = rollup();
    genesis.leaves[1].l1_owner = owner_account(1);
    genesis.leaves[2].l1_owner = owner_account(2);
    let keys = (0..COUNT).map(validator_number).collect();
    let mut chain = Settled::start(genesis, keys).await;
    chain.enqueue(1, deposit(1, owner_account(1), 500)).await;
    let mut exit = request(InboxKind::ForcedExit);
    exit.from = LeafIndex(2);
    chain.enqueue(2, exit).await;
    chain.batch(vec![transfer(1, 0, 0, 100)]).await;
    chain
        .batch(vec![transfer(1, 0, 1, 20), withdraw(1, 2, 3)])
        .await;
    chain
        .batch(vec![withdraw(0, 0, 7), transfer(0, 1, 1, 50)])
        .await;
    chain.enqueue(1, deposit(1, owner_account(1), 900)).await;
    chain.stage.finalize().await;
    chain
}

async fn last_final(chain: &Settled) -> B256 {
    let header = chain.stage.chain.header(BlockAt::Finalized).await;
    header.unwrap().unwrap().hash()
}

async fn rebuilt(chain: &Settled) -> RebuiltChain {
    let (file, genesis) = (chain.deployment_file(), &chain.world.genesis);
    let last = last_final(chain).await;
    rebuild(&chain.stage.chain, &file, genesis, last)
        .await
        .unwrap()
}

fn layer(chain: &Settled) -> BaseLayerConfig {
    let layer = Wire::new(&chain.stage.chain) as Arc<dyn BaseLayer>;
    BaseLayerConfig {
        poll: Duration::from_millis(5),
        origin_delay: Duration::from_millis(20),
        ..BaseLayerConfig::new(layer, chain.stage.deployment, 1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebuilt_state_is_served_and_nothing_is_ordered_on_it() {
    let chain = settled().await;
    let state = &chain.world.state;
    let found = rebuilt(&chain).await;
    let rollup = chain.stage.deployment.rollup;
    let proven = view(
        &chain.stage.chain,
        last_final(&chain).await,
        rollup,
        &Rollup::provenRootCall {},
    );
    let root = field_to_be_bytes(&found.state.root());
    assert_eq!(proven.await.unwrap().to_be_bytes::<32>(), root);
    assert_eq!((found.batches, found.waiting.len()), (3, 1));
    let block = found.block;

    let dir = tempfile::TempDir::new().unwrap();
    let mut config = crate::setup::config(dir.path(), INTERVAL);
    config.genesis = chain.world.genesis.clone();
    config.base_layer = Some(layer(&chain));
    check_unmade(&config.data_dir).unwrap();
    make_rebuilt(&config.data_dir, &config.genesis, found).unwrap();
    let refused = check_unmade(&config.data_dir);
    assert!(
        matches!(refused, Err(StorageError::Occupied { .. })),
        "{refused:?}"
    );
    // a start, and one after it
    for _ in 0..2 {
        let node = Node::start(config.clone()).await.unwrap();
        let url = format!("http://{}", node.rpc_address());
        let client = HttpClientBuilder::default().build(url).unwrap();
        let status = client.status().await.unwrap();
        let from = status.rebuilt.expect("it says where its state is from");
        assert_eq!((from.batch, from.base_layer_block), (3, block));
        assert_eq!(status.root, state.root().into());
        assert_eq!((status.height, status.inbox_count), (chain.published.0, 2));
        assert_eq!((status.batch_open, status.batch_proven), (4, 3));
        assert_eq!(status.role, NodeRole::Follower);
        for index in 0..u32::try_from(state.leaf_count()).unwrap() {
            let proof = client.leaf(index).await.unwrap();
            let leaf = proof.verify().unwrap();
            assert_eq!(
                (Some(leaf), proof.root),
                (state.leaf(LeafIndex(index)), state.root().into())
            );
        }
        let signed = sign_for(&chain.world.domain, transfer(1, 0, 3, 10));
        let refused = client
            .send_transaction(signed)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains("after batch 3"), "{refused}");
        let pruned = client.block(None).await.unwrap_err().to_string();
        assert!(pruned.contains("pruned here"), "{pruned}");
        // what waits is seen on the base layer, and nothing is made of it
        for _ in 0..400 {
            let seen = client.status().await.unwrap().base_layer.unwrap();
            if seen.inbox_items == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let status = client.status().await.unwrap();
        assert_eq!(status.base_layer.unwrap().inbox_items, 3);
        assert_eq!(status.height, chain.published.0);
        node.stop().await.unwrap();
    }
    let again = make_rebuilt(&config.data_dir, &config.genesis, rebuilt(&chain).await);
    assert!(again.is_err(), "a database is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_validators_that_lost_everything_go_on_from_the_base_layer_and_settle_the_next_batch()
{
    let chain = settled().await;
    let (stage, genesis) = (&chain.stage, &chain.world.genesis);
    let mut layers: Vec<_> = (0..COUNT).map(|_| layer(&chain)).collect();
    layers[0].poster = Some(PosterConfig {
        fee_max_wei: 1_000_000_000_000,
        ..PosterConfig::new(account(POSTER))
    });
    let mut set = Set::prepare(genesis.clone(), layers, INTERVAL);
    // each makes its own point of what it reads itself
    let last = Height(chain.published.0 + 1_000);
    let mut signed = Vec::new();
    for number in 0..COUNT {
        let point = RestartPoint::from(rebuilt(&chain).await);
        assert_eq!(point.batch(), BatchNumber(3));
        let (data, key) = (set.data_dir(number), validator_number(number));
        signed.push(sign_restart(&data, (genesis, key), &point, (last, genesis.hash())).unwrap());
    }
    let certificate = RestartCertificate::assemble(signed[0].restart, &signed);
    for number in 0..COUNT {
        let point = RestartPoint::from(rebuilt(&chain).await);
        make_restarted(&set.data_dir(number), genesis, &point, &certificate).unwrap();
    }
    set.start_all().await;
    for number in 0..COUNT {
        set.wait_for_height(number, last.0 + 3).await;
        let status = set.client(number).status().await.unwrap();
        // the first block has the time of genesis, and what it holds may seal with the second
        assert!(status.rebuilt.is_none() && status.batch_open >= 4);
    }
    // the deposit that waited comes again from the base layer, and the leaf's nonce is that of batch 2
    let id = set
        .client(1)
        .send_transaction(sign_for(&set.domain, transfer(1, 0, 3, 10)))
        .await;
    wait_for(set.client(1), &id.unwrap(), Reached::Certified).await;
    for number in 0..COUNT {
        for _ in 0..400 {
            if set.client(number).status().await.unwrap().inbox_count == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let leaf = set.client(number).leaf(1).await.unwrap().verify().unwrap();
        assert_eq!(
            leaf.balance.get(),
            1_000_000 + 500 - 100 - 20 - 3 + 50 + 900 - 10
        );
        assert_eq!(leaf.nonce, Nonce(4));
    }

    // the next batch is committed on top of the three that stood before everything was lost
    let committed = async || {
        let head = stage.head().await.hash();
        let rollup = stage.deployment.rollup;
        view(&stage.chain, head, rollup, &Rollup::committedCountCall {})
            .await
            .unwrap()
    };
    for _ in 0..600 {
        if committed().await >= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(committed().await >= 4);
    let batch = set.client(2).batch(Some(4)).await.unwrap();
    chain.prove(4).await;
    stage.finalize().await;
    let after = rebuilt(&chain).await;
    assert_eq!((after.batches, after.inbox_count), (4, 3));
    assert_eq!(batch.root_after, Some(after.state.root().into()));

    // one that comes later needs the state at the restart, which the base layer gives as well
    let file = chain.deployment_file();
    let head = last_final(&chain).await;
    let batch = certificate.restart.batch;
    let end = rebuild_until(&stage.chain, &file, genesis, head, batch)
        .await
        .unwrap();
    set.stop_one(3).await;
    set.lose_database(3);
    make_restarted(&set.data_dir(3), genesis, &end.into(), &certificate).unwrap();
    set.start_one(3).await;
    let target = set.height(0).await + 5;
    set.wait_for_height(3, target).await;
    for number in 0..COUNT {
        assert_eq!(set.evidence(number).len(), 0, "node {number}");
    }
    set.stop().await;
}
