//! The final part: what gets in, when, and what the vote rule makes of it.

mod blocks;
mod following;
mod ledger;
pub(crate) mod stage;

use std::{sync::Arc, time::Duration};

use protocol::{genesis::Genesis, inbox::InboxItem};
use settlement::{BaseLayer, deploy::Deployment};

use super::*;
use crate::{
    config::{JobsConfig, MempoolConfig},
    fixture::Rig,
    storage::{BaseBlock, BaseItem},
};
use stage::{OVERDUE, Stage, Wire, owner_account, rollup};

/// The small chain, whose leaf 1 belongs to development account 1.
fn genesis() -> Genesis {
    let mut genesis = crate::fixture::genesis();
    genesis.leaves[1].l1_owner = owner_account(1);
    genesis
}

/// The same with the contracts that can be deployed.
fn deployable() -> Genesis {
    Genesis {
        rollup: rollup(),
        ..genesis()
    }
}

/// Its look at a base layer, without pauses.
fn config(layer: Arc<dyn BaseLayer>, deployment: Deployment) -> BaseLayerConfig {
    BaseLayerConfig {
        poll: Duration::from_millis(1),
        origin_delay: Duration::ZERO,
        ..BaseLayerConfig::new(layer, deployment, 1)
    }
}

fn rig() -> Rig {
    let dir = Arc::new(tempfile::TempDir::new().unwrap());
    let (mempool, jobs) = (MempoolConfig::default(), JobsConfig::default());
    Rig::open_chain(&genesis(), dir, mempool, jobs).unwrap()
}

/// Block `number` of an invented base layer: twelve seconds each.
pub(crate) fn base_block(number: u64) -> BaseBlock {
    BaseBlock {
        number,
        hash: [u8::try_from(number).unwrap(); 32],
        time: 1_000 + 12 * number,
    }
}

fn origin(number: u64) -> L1Origin {
    let BaseBlock { number, hash, .. } = base_block(number);
    L1Origin { number, hash }
}

fn record(newest: u64) -> BaseRecord {
    BaseRecord {
        chain_id: 31_337,
        rollup: rollup(),
        inbox: L1Address([0xcc; 20]),
        first_block: 1,
        overdue_seconds: OVERDUE,
        newest: base_block(newest),
        items: 0,
        due: 0,
        rolling: [0; 32],
    }
}

/// Writes final blocks 1 to `newest` and these items, and when each came and is due.
pub(crate) fn write(rig: &Rig, newest: u64, items: &[(InboxItem, u64, Option<u64>)]) {
    let blocks: Vec<BaseBlock> = (1..=newest).map(base_block).collect();
    let items: Vec<(u64, BaseItem)> = (0..)
        .zip(items)
        .map(|(index, (item, enqueued_at, due_at))| {
            let item = BaseItem {
                item: *item,
                enqueued_at: *enqueued_at,
                time: base_block(*enqueued_at).time,
                due_at: *due_at,
            };
            (index, item)
        })
        .collect();
    let record = BaseRecord {
        items: u64::try_from(items.len()).unwrap(),
        ..record(newest)
    };
    let pairs = items.iter().map(|(index, item)| (index, item));
    rig.shared()
        .store
        .write_base(&blocks, pairs, &record)
        .unwrap();
}

/// A layer that nobody asks.
fn silent() -> BaseLayerConfig {
    let chain = settlement::EmbeddedChain::start(settlement::EmbeddedConfig::default());
    let foretold = Deployment::foretold(stage::account(0).address(), 0);
    config(Arc::new(chain), foretold)
}

fn load(rig: &Rig) -> Arc<FinalPart> {
    let store = Arc::clone(&rig.shared().store);
    Arc::new(FinalPart::load(store, &silent()).unwrap())
}

/// The rig on what its database has of the base layer.
pub(crate) fn on_base_layer(mut rig: Rig) -> Rig {
    let part = load(&rig);
    let executor = Arc::into_inner(rig.executor).expect("nobody else has it");
    rig.executor = Arc::new(executor.on_base_layer(Some(part)));
    rig
}
