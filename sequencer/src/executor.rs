//! Builds blocks from the mempool, executes them and stores them: one synced write a block.

use std::sync::Arc;

use protocol::{
    batch::Usage,
    block::{
        Block, BlockCore, BlockExecution, BlockHeader, Entry as BlockEntry, L1Origin, Payload, Tip,
    },
    certificate::ExtendedCertificate,
    number::{Epoch, Height, LeafIndex},
    state::State,
    transaction::{Action, TransactionId},
    transition::{Executed, Operation},
};
use std::collections::BTreeMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    chain::now_ms,
    consensus::{Consensus, ONLY_ROUND},
    events::Event,
    failpoint,
    mempool::{Admission, Entry, api_error, block_entry, failed_records},
    storage::{BlockWrite, StorageError, StoredBlock, TransactionRecord, Undo},
};

/// Operations taken from the mempool for one block: bounds the time a block takes to build.
const BLOCK_OPERATIONS: usize = 2_048;

/// Makes blocks.
pub(crate) struct Executor {
    /// Pool, chain, store and events are those of admission.
    pub(crate) shared: Admission,
    pub(crate) tip_height: watch::Sender<Height>,
}

/// Makes a block at every turn until cancelled.
///
/// # Errors
/// The storage error that ended it.
pub(crate) async fn run_blocks(
    executor: Arc<Executor>,
    mut consensus: Consensus,
    cancelled: CancellationToken,
) -> Result<(), StorageError> {
    loop {
        tokio::select! {
            () = cancelled.cancelled() => return Ok(()),
            () = consensus.next_turn() => {}
        }
        let executor = Arc::clone(&executor);
        consensus = tokio::task::spawn_blocking(move || {
            executor
                .make_block(&mut consensus, now_ms())
                .map(|()| consensus)
        })
        .await
        .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    }
}

/// A block that was built and executed but not yet committed.
struct Built {
    block: Block,
    changes: BTreeMap<LeafIndex, protocol::account::Leaf>,
    executed: Vec<Executed>,
    included: Vec<Entry>,
    /// Entries that turned out invalid, and why.
    failed: Vec<(Entry, api::ApiError)>,
}

impl Executor {
    /// Builds, executes, certifies and stores the next block.
    pub(crate) fn make_block(
        &self,
        consensus: &mut Consensus,
        now_ms: u64,
    ) -> Result<(), StorageError> {
        let started = std::time::Instant::now();
        let shared = &self.shared;
        let (tip, flight, expired) = {
            let mut pool = shared.pool();
            let view = shared.chain.view();
            let height = Height(view.tip.height.0 + 1);
            let expired = pool.expired(height);
            for entry in &expired {
                pool.remove(entry.sequence);
            }
            (view.tip, pool.take_off(&view, BLOCK_OPERATIONS), expired)
        };
        let built = {
            let state = shared.chain.state();
            self.build(&state.state, &tip, &flight, consensus)
        };
        let certificate = consensus.certify(&built.block, now_ms);
        let tip = Tip {
            height: built.block.header.core.height,
            id: certificate.block,
            timestamp_ms: built.block.header.core.timestamp_ms,
            inbox_count: tip.inbox_count,
            l1_origin: built.block.header.core.l1_origin,
        };
        let (records, mentions) = records(&built, &expired, now_ms);
        let done: Vec<u64> = built
            .included
            .iter()
            .chain(built.failed.iter().map(|(entry, _)| entry))
            .chain(&expired)
            .map(|entry| entry.sequence)
            .collect();
        let Built {
            block,
            changes,
            executed,
            ..
        } = built;
        let stored = StoredBlock { block, certificate };
        {
            let mut state = shared.chain.state_mut();
            let undo = undo_of(&state.state, &changes);
            let nodes = state.state.commit(&changes);
            state.height = tip.height;
            failpoint::pass("block.before_write");
            shared.store.write_block(&BlockWrite {
                stored: &stored,
                tip,
                state: &state.state,
                changes: &changes,
                undo: &undo,
                nodes: &nodes,
                transactions: &records,
                mentions: &mentions,
                done: &done,
            })?;
            failpoint::pass("block.after_write");
        }
        {
            let mut pool = shared.pool();
            let mut view = shared.chain.view_mut();
            for (index, leaf) in &changes {
                match usize::try_from(index.0)
                    .ok()
                    .and_then(|index| view.leaves.get_mut(index))
                {
                    Some(place) => *place = *leaf,
                    None => view.leaves.push(*leaf),
                }
            }
            view.tip = tip;
            pool.land(&flight, &done);
        }
        self.announce(&tip, executed.len(), &records, started.elapsed());
        Ok(())
    }

    fn build(&self, state: &State, tip: &Tip, flight: &[Entry], consensus: &Consensus) -> Built {
        let constants = &self.shared.chain.constants;
        let (domain, fee_leaves) = (&constants.domain, constants.fee_leaves);
        let mut execution = BlockExecution::new(state, tip, &fee_leaves, false);
        let mut usage = Usage::default();
        let (mut entries, mut included, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for pending in flight {
            let entry = match block_entry(state, &fee_leaves, &pending.submission) {
                Ok(entry) => entry,
                Err(error) => {
                    failed.push((pending.clone(), error));
                    continue;
                }
            };
            let operations: Vec<Operation> = entry.operations(domain);
            let next = operations.iter().fold(usage, Usage::with);
            if !next.fits() {
                break; // a block fits one batch alone; the rest waits for the next
            }
            match execution.push_entry(domain, &entry) {
                Ok(()) => {
                    usage = next;
                    entries.push(entry);
                    included.push(pending.clone());
                }
                Err((member, reason)) => {
                    tracing::debug!(member, %reason, "pending operation is no longer valid");
                    failed.push((pending.clone(), api_error(&reason)));
                }
            }
        }
        // A follower of a failed entry has a nonce gap now: it is not invalid, it waits for the gap to be filled.
        failed.retain(|(_, error)| error.code != api::ErrorCode::NonceGap);
        let (changes, executed) = execution
            .finish()
            .expect("entries are whole groups, and the block promised no bid");
        let payload = Payload {
            inbox: Vec::new(),
            entries,
            excuses: Vec::new(),
        };
        let (height, certificate) = (Height(tip.height.0 + 1), consensus.parent_certificate());
        let core = BlockCore {
            chain_id: constants.chain_id,
            height,
            epoch: Epoch::of(height),
            next_set_hash: consensus.set().hash(),
            birth_round: ONLY_ROUND,
            author: consensus.author(),
            parent: tip.id,
            payload_root: payload.root(),
            fee_leaves,
            certificate_hash: certificate.map_or([0; 32], ExtendedCertificate::hash),
            l1_origin: L1Origin::default(),
            timestamp_ms: consensus.timestamp_ms(tip),
            state_root_before: state.root(),
            usage,
        };
        let header = BlockHeader {
            core,
            bid: None,
            certificate: certificate.cloned(),
        };
        Built {
            block: Block { header, payload },
            changes,
            executed,
            included,
            failed,
        }
    }

    fn announce(
        &self,
        tip: &Tip,
        operations: usize,
        records: &[(TransactionId, TransactionRecord)],
        elapsed: std::time::Duration,
    ) {
        ::metrics::gauge!("sequencer_height").set(tip.height.0 as f64);
        ::metrics::counter!("sequencer_operations_total")
            .increment(u64::try_from(operations).unwrap_or(0));
        ::metrics::histogram!("sequencer_block_seconds").record(elapsed.as_secs_f64());
        if operations > 0 {
            tracing::info!(
                height = tip.height.0,
                operations,
                ms = elapsed.as_millis(),
                "block certified"
            );
        }
        self.tip_height.send_replace(tip.height);
        self.shared.events.send(Event::Block {
            height: tip.height,
            id: tip.id,
            timestamp_ms: tip.timestamp_ms,
            operations: u32::try_from(operations).unwrap_or(u32::MAX),
        });
        if !records.is_empty() {
            let ids = records.iter().map(|(id, _)| *id).collect();
            self.shared.events.send(Event::Transactions(Arc::new(ids)));
        }
    }
}

fn undo_of(state: &State, changes: &BTreeMap<LeafIndex, protocol::account::Leaf>) -> Undo {
    use protocol::state::LeafView;
    let earlier = changes
        .keys()
        .filter_map(|index| state.leaf(*index).map(|leaf| (*index, leaf)))
        .collect();
    Undo {
        leaf_count: state.leaf_count(),
        earlier,
    }
}

type Records = Vec<(TransactionId, TransactionRecord)>;
type Mentions = Vec<(LeafIndex, u32, TransactionId)>;

/// What became of every operation this block touched, and which leaves name it.
fn records(built: &Built, expired: &[Entry], now_ms: u64) -> (Records, Mentions) {
    let height = built.block.header.core.height;
    let (mut records, mut mentions) = (Vec::new(), Vec::new());
    let mut place = 0_u32;
    let mut executed = built.executed.iter();
    for (entry, ordered) in built.included.iter().zip(&built.block.payload.entries) {
        let BlockEntry::Submission { submission, .. } = ordered else {
            continue;
        };
        for (member, id) in submission.members().iter().zip(&entry.ids) {
            let received_ms = entry.received_ms;
            records.push((
                *id,
                TransactionRecord::Ordered {
                    received_ms,
                    height,
                    place,
                },
            ));
            mentions.push((member.transaction.from, place, *id));
            let recipient = executed.next().map(|effects| effects.accesses[1].index);
            let names_recipient = matches!(
                member.transaction.action,
                Action::Transfer { .. } | Action::TransferToNew { .. }
            );
            if let Some(to) =
                recipient.filter(|to| names_recipient && *to != member.transaction.from)
            {
                mentions.push((to, place, *id));
            }
            place += 1;
        }
    }
    for (entry, error) in &built.failed {
        records.extend(failed_records(entry, now_ms, error.code, &error.reason));
    }
    for entry in expired {
        let reason = "it was still pending when valid_until passed";
        records.extend(failed_records(
            entry,
            now_ms,
            api::ErrorCode::Expired,
            reason,
        ));
    }
    (records, mentions)
}
