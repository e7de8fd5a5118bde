//! Building a block of this node's own: what it has promised, what the list demands, what soft blocks held, then the pool, first come
//! first served.

use std::{collections::BTreeSet, sync::Arc};

use protocol::{
    account::L1Address,
    block::{Block, BlockEffects, BlockHeader, Tip},
    number::{Height, Round},
    transaction::{BidHash, ListHash, SignedBid},
    transition::InvalidOperation,
    validity::{DecidedPrefix, listed},
};

use super::{
    Draft, Executor, Judged, NoPrefix, Stale,
    filling::{Filled, Terms, core, fill},
};
use crate::{
    mempool::{Entry, Mempool},
    storage::StorageError,
};

/// Operations taken from the mempool for one block: bounds the time a block takes to build.
pub(crate) const BLOCK_OPERATIONS: usize = 2_048;

/// Why there is no block to propose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProposeError {
    /// Another height is the next one now.
    #[error(transparent)]
    Stale(Stale),
    /// Listed transactions whose bytes are not here: a block without them would be invalid.
    #[error("{} listed transactions are not here yet", .0.len())]
    Unlisted(Vec<ListHash>),
    /// Withheld bids that the block must burn and that are not here: a block without the burns would be invalid.
    #[error("{} withheld bids that must be burned are not here yet", .0.len())]
    Unburnable(Vec<BidHash>),
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The payment of a bid, or a burn, does not execute.
    #[error("the block cannot be opened: {0}")]
    Unopened(#[from] InvalidOperation),
}

impl From<NoPrefix> for ProposeError {
    fn from(error: NoPrefix) -> Self {
        match error {
            NoPrefix::Stale(stale) => Self::Stale(stale),
            NoPrefix::Storage(error) => Self::Storage(error),
        }
    }
}

/// Bids that the block at `height` must burn, and the names of those that are not here.
pub(super) fn burns(
    executor: &Executor,
    prefix: &DecidedPrefix<'_>,
    height: Height,
) -> Result<Vec<SignedBid>, Vec<BidHash>> {
    let (mut here, mut missing) = (Vec::new(), Vec::new());
    for due in prefix.history.due_burns(height) {
        match executor.reports.bid(&due.bid) {
            Some(bid) => here.push(bid),
            None => missing.push(due.bid),
        }
    }
    if missing.is_empty() {
        Ok(here)
    } else {
        Err(missing)
    }
}

impl Executor {
    /// Builds a block at the next height, born in `round`. Valid under the vote rule.
    ///
    /// # Errors
    /// [`ProposeError`]; nothing has changed.
    pub(crate) fn propose(
        &self,
        height: Height,
        round: Round,
        author: L1Address,
    ) -> Result<Judged, ProposeError> {
        let decided = self.decided();
        let certificate = decided.certificate.as_ref();
        let (listed, burns, origin) = self.on_prefix(height, |prefix| {
            let listed = listed(certificate, prefix);
            let burns = burns(self, prefix, height);
            (listed, burns, self.origin_above(prefix.tip))
        })?;
        let burns = burns.map_err(ProposeError::Unburnable)?;
        let (promised, promised_origin) = self.close_promises(height);
        let (flight, missing) = self.take_off(&promised, &listed)?;
        if !missing.is_empty() {
            return Err(ProposeError::Unlisted(missing));
        }
        let terms = Terms {
            origin: promised_origin.unwrap_or(origin),
            fee_leaves: self.shared.chain.constants.fee_leaves,
            payment: None,
            burns: &burns,
            listed: &listed,
        };
        let built = self.on_prefix(height, |prefix| {
            let filled = fill(prefix, &terms, &flight)?;
            let mut core = core(
                prefix,
                (height, round, author),
                &terms,
                certificate,
                &filled,
            );
            if let Some(restart) = &decided.restart {
                core.certificate_hash = restart.hash();
            }
            let header = BlockHeader {
                core,
                bid: None,
                certificate: certificate.cloned(),
                restart: decided.restart.clone(),
            };
            Ok(finish(prefix, header, filled))
        });
        let (proposed, failed) = built.map_err(ProposeError::from).and_then(|built| built)?;
        // the draft of an earlier round of this height is forgotten
        *self.draft() = Some(Draft {
            id: proposed.effects.tip.id,
            failed,
        });
        Ok(proposed)
    }

    /// Entries for the block, what was promised first, in order, then those that the list names; and the names that are not
    /// here.
    fn take_off(
        &self,
        promised: &[u64],
        listed: &BTreeSet<ListHash>,
    ) -> Result<(Vec<Entry>, Vec<ListHash>), StorageError> {
        let mut pool = self.shared.pool();
        let demanded = self.demanded(&pool, listed)?;
        let mut first = demanded.first.clone();
        first.retain(|sequence| !promised.contains(sequence));
        first.splice(0..0, promised.iter().copied());
        // what senders were told to be soft keeps its order if it can
        first.extend(pool.soft_order());
        let view = self.shared.chain.view();
        let mut flight = pool.take_off(&view, &first, BLOCK_OPERATIONS);
        let rest = demanded.rest(&flight);
        pool.mark(rest.iter().map(|entry| entry.sequence));
        flight.extend(rest);
        Ok((flight, demanded.missing))
    }

    /// What the list names: in the pool, or gone from it a short while ago.
    pub(super) fn demanded(
        &self,
        pool: &Mempool,
        listed: &BTreeSet<ListHash>,
    ) -> Result<Demanded, StorageError> {
        let constants = &self.shared.chain.constants;
        let tip = self.tip().height;
        let mut demanded = Demanded::default();
        for name in listed {
            if let Some(entry) = pool.named(name) {
                demanded.first.push(entry.sequence);
                demanded.entries.push(entry.clone());
            } else if let Some(submission) = self.shared.store.departed(tip, name)? {
                let entry = Entry::departed(submission, &constants.domain);
                demanded.entries.push(entry);
            } else {
                demanded.missing.push(*name);
            }
        }
        demanded.first.sort_unstable();
        Ok(demanded)
    }
}

/// What a list names.
#[derive(Default)]
pub(super) struct Demanded {
    entries: Vec<Entry>,
    /// Sequence numbers of those in the pool, ascending.
    pub(super) first: Vec<u64>,
    /// What is not here.
    pub(super) missing: Vec<ListHash>,
}

impl Demanded {
    /// Those that are not in this flight: they are needed as excuses.
    pub(super) fn rest(&self, flight: &[Entry]) -> Vec<Entry> {
        let taken: BTreeSet<ListHash> = flight.iter().map(|entry| entry.name).collect();
        let rest = self
            .entries
            .iter()
            .filter(|entry| !taken.contains(&entry.name));
        rest.cloned().collect()
    }
}

fn finish(
    prefix: &DecidedPrefix<'_>,
    header: BlockHeader,
    filled: Filled,
) -> (Judged, Vec<(Entry, api::ApiError)>) {
    let Filled {
        payload,
        effects: (changes, executed),
        failed,
        ..
    } = filled;
    let taken = u64::try_from(payload.inbox.len()).unwrap_or(u64::MAX);
    let tip = Tip {
        height: header.core.height,
        id: header.id(),
        timestamp_ms: header.core.timestamp_ms,
        inbox_count: prefix.tip.inbox_count.saturating_add(taken),
        l1_origin: header.core.l1_origin,
    };
    let effects = BlockEffects {
        changes,
        tip,
        executed,
    };
    let block = Block { header, payload };
    let proposed = Judged {
        block: Arc::new(block),
        effects: Arc::new(effects),
    };
    (proposed, failed)
}
