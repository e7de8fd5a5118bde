//! Committing a decided block: state, records and the block itself, one synced write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use api::{ApiError, ErrorCode};
use protocol::{
    account::Leaf,
    block::{BlockEffects, Entry as BlockEntry, Tip},
    certificate::ExtendedCertificate,
    number::{Height, LeafIndex},
    state::{LeafView, State},
    transaction::{Action, TransactionId},
};

use super::{Executor, Judged, Stale};
use crate::{
    events::Event,
    failpoint,
    mempool::{Entry, Mempool, failed_records},
    observed::{Committed, Waited, left_out},
    storage::{BlockWrite, Departed, StorageError, Store, StoredBlock, TransactionRecord, Undo},
};

/// Why a decided block is not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommitError {
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It is not on top of the newest block.
    #[error(transparent)]
    Stale(#[from] Stale),
}

type Records = Vec<(TransactionId, TransactionRecord)>;
type Mentions = Vec<(LeafIndex, u32, TransactionId)>;

/// What a block does to the pool and to the records of operations.
#[derive(Default)]
struct Outcome {
    records: Records,
    mentions: Mentions,
    /// What leaves it without being ordered.
    departed: Vec<Departed>,
    /// Entries that leave the pool.
    done: BTreeSet<u64>,
    /// How long those that the block holds stood there.
    waited: Vec<Waited>,
}

impl Outcome {
    /// An entry that will not be applied. One that came again while its block was being committed was applied: its
    /// nonce is used by itself.
    fn fail(
        &mut self,
        store: &Store,
        entry: &Entry,
        now_ms: u64,
        error: &ApiError,
    ) -> Result<(), StorageError> {
        if !self.done.insert(entry.sequence) {
            return Ok(());
        }
        let departed = (entry.name, Arc::clone(&entry.submission));
        self.departed.push(departed);
        for (id, record) in failed_records(entry, now_ms, error.code, &error.reason) {
            let known = store.transaction(&id)?;
            if !matches!(known, Some(TransactionRecord::Ordered { .. })) {
                self.records.push((id, record));
            }
        }
        Ok(())
    }
}

impl Executor {
    /// Commits a decided block with the certificate that decides it.
    ///
    /// # Errors
    /// [`CommitError`]; after a storage error nothing in memory has changed but the state, and the node must stop.
    pub(crate) fn commit(
        &self,
        judged: Judged,
        certificate: ExtendedCertificate,
        now_ms: u64,
    ) -> Result<(), CommitError> {
        let started = std::time::Instant::now();
        let shared = &self.shared;
        let tip = judged.effects.tip;
        let before = shared.chain.view().tip;
        if before.height.0.checked_add(1) != Some(tip.height.0)
            || judged.block.header.core.parent != before.id
        {
            let (asked, tip) = (tip.height, before.height);
            return Err(Stale { asked, tip }.into());
        }
        let draft = self.draft().take();
        // Both are held until the block is on disk and its nonces count: what came in between would wait for ever.
        let mut state = shared.chain.state_mut();
        let mut pool = shared.pool();
        let mut outcome = self.outcome(&judged, &pool, now_ms)?;
        if let Some(draft) = draft.as_ref().filter(|draft| draft.id == tip.id) {
            for (entry, error) in &draft.failed {
                // a soft block may have held it since the draft was made
                let now = pool.get(entry.sequence);
                let entry = now.as_ref().unwrap_or(entry);
                outcome.fail(&shared.store, entry, now_ms, error)?;
            }
        }
        let done: Vec<u64> = outcome.done.iter().copied().collect();
        let Judged { block, effects } = judged;
        let block = Arc::unwrap_or_clone(block);
        let decided = self.decided();
        let mut next = (*decided).clone();
        let term = &decided.term;
        next.history
            .push(&block, &term.set, &shared.chain.constants.domain);
        next.certificate = Some(certificate.clone());
        next.restart = None;
        let stored = StoredBlock { block, certificate };
        let changes = &effects.changes;
        let undo = undo_of(&state.state, changes);
        let nodes = state.state.commit(changes);
        state.height = tip.height;
        if tip.height == term.epoch.last_height() {
            next.term = term.following(&*self.sets, &state.state);
        }
        let is_first = tip.height == term.epoch.first_height();
        failpoint::pass("block.before_write");
        shared.store.write_block(&BlockWrite {
            stored: &stored,
            tip,
            state: &state.state,
            changes,
            undo: &undo,
            nodes: &nodes,
            transactions: &outcome.records,
            mentions: &outcome.mentions,
            departed: &outcome.departed,
            done: &done,
            next_set: is_first.then_some(&*term.next),
        })?;
        failpoint::pass("block.after_write");
        {
            let mut view = shared.chain.view_mut();
            for (index, leaf) in changes {
                match usize::try_from(index.0)
                    .ok()
                    .and_then(|index| view.leaves.get_mut(index))
                {
                    Some(place) => *place = *leaf,
                    None => view.leaves.push(*leaf),
                }
            }
            view.tip = tip;
            *self.decided.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        }
        pool.settle(&done);
        drop(state);
        let constants = &shared.chain.constants;
        let left_out = left_out(constants, &shared.chain.view(), &pool, &stored.block);
        drop(pool);
        self.observed.commit(&Committed {
            block: &stored.block,
            certificate: &stored.certificate,
            set: &term.set,
            domain: &constants.domain,
            waited: outcome.waited,
            left_out,
            now_ms,
        });
        if tip.height == term.epoch.last_height() {
            let (epoch, set) = (term.epoch.next().0, term.next.validators().len());
            tracing::info!(epoch, validators = set, "an epoch begins");
        }
        self.announce(&tip, &effects, &outcome.records, started.elapsed());
        Ok(())
    }

    /// What became of every operation that this block touches, and which leaves name it.
    fn outcome(
        &self,
        judged: &Judged,
        pool: &Mempool,
        now_ms: u64,
    ) -> Result<Outcome, StorageError> {
        let store = &self.shared.store;
        let domain = &self.shared.chain.constants.domain;
        let height = judged.effects.tip.height;
        let mut outcome = Outcome::default();
        let mut executed = judged.effects.executed.iter();
        let mut overtaken = Vec::new();
        let signed = judged.block.payload.entries.iter();
        let block = &judged.block;
        let leading = block.payload.inbox.len() + usize::from(block.header.bid.is_some());
        executed.by_ref().take(leading).for_each(drop);
        let mut place = 0_u32;
        for entry in signed {
            let BlockEntry::Submission { submission, .. } = entry else {
                executed.next();
                continue;
            };
            let known = pool.holding(submission);
            let ids = known.map_or_else(|| submission.ids(domain), |entry| entry.ids.clone());
            let received_ms = known.map_or(now_ms, |entry| entry.received_ms);
            outcome.done.extend(known.map(|entry| entry.sequence));
            let waited = known.and_then(|entry| entry.waited(height, now_ms));
            outcome.waited.extend(waited);
            for (member, id) in submission.members().iter().zip(&ids) {
                let transaction = &member.transaction;
                let record = TransactionRecord::Ordered {
                    received_ms,
                    ordered_ms: now_ms,
                    height,
                    place,
                };
                outcome.records.push((*id, record));
                outcome.mentions.push((transaction.from, place, *id));
                let recipient = executed.next().map(|effects| effects.accesses[1].index);
                let names_recipient = matches!(
                    transaction.action,
                    Action::Transfer { .. } | Action::TransferToNew { .. }
                );
                if let Some(to) = recipient.filter(|to| names_recipient && *to != transaction.from)
                {
                    outcome.mentions.push((to, place, *id));
                }
                place += 1;
                overtaken.extend(
                    pool.at((transaction.from, transaction.nonce))
                        .map(|other| (other, ids.clone())),
                );
            }
        }
        let reason = "another operation with this nonce was ordered";
        let used = ApiError::new(ErrorCode::NonceUsed, reason);
        for (other, ids) in overtaken {
            if other.ids == ids {
                outcome.done.insert(other.sequence); // the same, signed in another spelling
            } else {
                outcome.fail(store, other, now_ms, &used)?;
            }
        }
        let reason = "it was still pending when valid_until passed";
        let expired = ApiError::new(ErrorCode::Expired, reason);
        for entry in pool.expired(Height(height.0.saturating_add(1))) {
            outcome.fail(store, &entry, now_ms, &expired)?;
        }
        Ok(outcome)
    }

    fn announce(
        &self,
        tip: &Tip,
        effects: &BlockEffects,
        records: &[(TransactionId, TransactionRecord)],
        elapsed: std::time::Duration,
    ) {
        let operations = effects.executed.len();
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

fn undo_of(state: &State, changes: &BTreeMap<LeafIndex, Leaf>) -> Undo {
    let earlier = changes
        .keys()
        .filter_map(|index| state.leaf(*index).map(|leaf| (*index, leaf)))
        .collect();
    Undo {
        leaf_count: state.leaf_count(),
        earlier,
    }
}
