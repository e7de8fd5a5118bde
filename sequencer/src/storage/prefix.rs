//! A database as a long chain leaves it, for tests that begin far from genesis: the last blocks, empty, each with the
//! certificate of a whole set, and the records that go with them.

use std::{collections::BTreeMap, path::Path};

use protocol::{
    batch::Usage,
    block::{Block, BlockCore, BlockHeader, L1Origin, Payload, Tip},
    certificate::ExtendedCertificate,
    epoch::next_set,
    genesis::Genesis,
    history::HISTORY_BLOCKS,
    number::{Epoch, Height, Round},
    validator::ValidatorKey,
};
use rocksdb::WriteBatch;

use super::{BlockWrite, Column, Durability, Store, StoredBlock, Undo, open::OPEN_BATCH_KEY};
use crate::{fixture::certify_by, sets::SetSource};

/// Makes the database of a chain of empty blocks that stands at `last`, a height of epoch 0. `keys` are those of
/// genesis' validators, by address.
pub(crate) fn write_prefix(
    path: &Path,
    genesis: &Genesis,
    keys: &[ValidatorKey],
    (source, last): (&dyn SetSource, Height),
) {
    assert_eq!(Epoch::of(last), Epoch(0), "later sets are not made here");
    let store = Store::open(path, genesis).unwrap();
    let state = genesis.state();
    let next = next_set(&genesis.validators, &source.registry(Epoch(1), &state));
    let mut tip = genesis.tip();
    let mut certificate: Option<ExtendedCertificate> = None;
    let count = u64::try_from(HISTORY_BLOCKS).unwrap();
    for height in last.0 - count + 1..=last.0 {
        let (height, payload) = (Height(height), Payload::default());
        let core = BlockCore {
            chain_id: genesis.chain_id,
            height,
            epoch: Epoch(0),
            next_set_hash: next.hash(),
            birth_round: Round(0),
            author: *genesis.validators.proposer(height, Round(0)),
            parent: tip.id,
            payload_root: payload.root(),
            fee_leaves: genesis.fee_leaves,
            certificate_hash: certificate
                .as_ref()
                .map_or([0; 32], ExtendedCertificate::hash),
            l1_origin: L1Origin::default(),
            timestamp_ms: tip.timestamp_ms + 1,
            state_root_before: state.root(),
            usage: Usage::default(),
        };
        let header = BlockHeader {
            core,
            bid: None,
            certificate: certificate.take(),
            restart: None,
        };
        let block = Block { header, payload };
        tip = Tip {
            height,
            id: block.id(),
            timestamp_ms: block.header.core.timestamp_ms,
            ..tip
        };
        let decided = certify_by(&block, keys, tip.timestamp_ms);
        certificate = Some(decided.clone());
        let stored = StoredBlock {
            block,
            certificate: decided,
        };
        let write = BlockWrite {
            stored: &stored,
            tip,
            state: &state,
            changes: &BTreeMap::new(),
            undo: &Undo::default(),
            nodes: &[],
            transactions: &[],
            mentions: &[],
            departed: &[],
            done: &[],
            next_set: Some(&next),
        };
        store.write_block(&write).unwrap();
    }
    let mut open = store.open_batch().unwrap();
    open.first_height = Height(last.0 + 1);
    let mut batch = WriteBatch::default();
    store.put(&mut batch, Column::Meta, OPEN_BATCH_KEY, &open);
    store.write(batch, Durability::Synced).unwrap();
}
