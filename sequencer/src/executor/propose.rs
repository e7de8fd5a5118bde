//! Building a block: what the list demands first, then the pool, first come first served.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use protocol::{
    account::{L1Address, Leaf},
    batch::Usage,
    block::{
        Block, BlockCore, BlockEffects, BlockExecution, BlockHeader, Entry as BlockEntry, L1Origin,
        Payload, Tip,
    },
    certificate::ExtendedCertificate,
    number::{Epoch, Height, LeafIndex, Round},
    threaded::FeeLeaves,
    transaction::ListHash,
    transition::{Executed, Operation},
    validity::{DecidedPrefix, listed, timestamp_ms},
};

use super::{Draft, Executor, Judged, Stale};
use crate::mempool::{Entry, api_error, block_entry};

/// Operations taken from the mempool for one block: bounds the time a block takes to build.
const BLOCK_OPERATIONS: usize = 2_048;

/// Why there is no block to propose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProposeError {
    /// Another height is the next one now.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// Listed transactions whose bytes are not here: a block without them would be invalid.
    #[error("{} listed transactions are not here yet", .0.len())]
    Unlisted(Vec<ListHash>),
}

/// What goes into a payload, and what became of the rest.
struct Filled {
    payload: Payload,
    usage: Usage,
    effects: (BTreeMap<LeafIndex, Leaf>, Vec<Executed>),
    failed: Vec<(Entry, api::ApiError)>,
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
        let listed = self.on_prefix(height, |prefix| listed(certificate, prefix))?;
        let (flight, missing) = self.take_off(&listed);
        if !missing.is_empty() {
            self.shared.pool().land(&flight, &[]);
            return Err(ProposeError::Unlisted(missing));
        }
        let fee_leaves = self.shared.chain.constants.fee_leaves;
        let place = (height, round, author);
        let built = self.on_prefix(height, |prefix| {
            let filled = fill(prefix, &fee_leaves, &flight, &listed);
            finish(prefix, place, fee_leaves, certificate, filled)
        });
        let (proposed, failed) = match built {
            Ok(built) => built,
            Err(stale) => {
                self.shared.pool().land(&flight, &[]);
                return Err(stale.into());
            }
        };
        let draft = Draft {
            id: proposed.effects.tip.id,
            flight,
            failed,
        };
        if let Some(last) = self.draft().replace(draft) {
            // built in an earlier round of this height: what is in this flight too stays marked by it
            let pool = &mut self.shared.pool();
            pool.land(&last.flight, &[]);
            if let Some(draft) = self.draft().as_ref() {
                pool.mark(&draft.flight);
            }
        }
        Ok(proposed)
    }

    /// Entries for the block, those that the list names first; and the names that are not here.
    fn take_off(&self, listed: &BTreeSet<ListHash>) -> (Vec<Entry>, Vec<ListHash>) {
        let mut pool = self.shared.pool();
        let (mut first, mut missing) = (Vec::new(), Vec::new());
        for name in listed {
            match pool.named(name) {
                Some(entry) => first.push(entry.sequence),
                None => missing.push(*name),
            }
        }
        first.sort_unstable();
        let view = self.shared.chain.view();
        let mut flight = pool.take_off(&view, &first, BLOCK_OPERATIONS);
        // listed entries that are not applicable are needed as excuses
        let taken: BTreeSet<u64> = flight.iter().map(|entry| entry.sequence).collect();
        let rest = first.iter().filter(|sequence| !taken.contains(sequence));
        let rest: Vec<Entry> = rest.filter_map(|sequence| pool.get(*sequence)).collect();
        pool.mark(&rest);
        flight.extend(rest);
        (flight, missing)
    }
}

/// A payload being filled.
struct Filling<'a> {
    prefix: &'a DecidedPrefix<'a>,
    fee_leaves: &'a FeeLeaves,
    execution: BlockExecution<'a>,
    usage: Usage,
    entries: Vec<BlockEntry>,
}

/// Why an entry does not go in.
enum Unfit {
    /// The block is full: a block fits one batch alone, the rest waits for the next.
    Full,
    /// It does not apply here.
    Invalid(api::ApiError),
}

impl Filling<'_> {
    fn push(&mut self, pending: &Entry) -> Result<(), Unfit> {
        let entry = block_entry(&self.execution, self.fee_leaves, &pending.submission)
            .map_err(Unfit::Invalid)?;
        let operations: Vec<Operation> = entry.operations(self.prefix.domain);
        let usage = operations.iter().fold(self.usage, Usage::with);
        if !usage.fits() {
            return Err(Unfit::Full);
        }
        self.execution
            .push_entry(self.prefix.domain, &entry)
            .map_err(|(member, reason)| {
                tracing::debug!(member, %reason, "pending operation does not apply");
                Unfit::Invalid(api_error(&reason))
            })?;
        self.usage = usage;
        self.entries.push(entry);
        Ok(())
    }
}

fn fill(
    prefix: &DecidedPrefix<'_>,
    fee_leaves: &FeeLeaves,
    flight: &[Entry],
    listed: &BTreeSet<ListHash>,
) -> Filled {
    let mut filling = Filling {
        prefix,
        fee_leaves,
        execution: BlockExecution::new(prefix.state, prefix.tip, fee_leaves, false),
        usage: Usage::default(),
        entries: Vec::new(),
    };
    let (mut failed, mut excused) = (Vec::new(), Vec::new());
    let mut is_full = false;
    for pending in flight {
        let is_listed = listed.contains(&pending.name);
        if is_full && !is_listed {
            continue;
        }
        let Err(unfit) = filling.push(pending) else {
            continue;
        };
        if is_listed {
            excused.push(pending);
        }
        match unfit {
            Unfit::Full => is_full = true,
            Unfit::Invalid(error) => failed.push((pending.clone(), error)),
        }
    }
    // An excuse must hold after the whole block: what a later entry has made applicable goes in after all.
    loop {
        let before = excused.len();
        excused.retain(|pending| filling.push(pending).is_err());
        if excused.len() == before {
            break;
        }
    }
    let excused: BTreeMap<ListHash, &Entry> = excused
        .into_iter()
        .map(|entry| (entry.name, entry))
        .collect();
    let is_in = |entry: &Entry| listed.contains(&entry.name) && !excused.contains_key(&entry.name);
    // A follower of a failed entry has a nonce gap now: it is not invalid, it waits for the gap to be filled.
    failed.retain(|(entry, error)| error.code != api::ErrorCode::NonceGap && !is_in(entry));
    let effects = filling
        .execution
        .finish()
        .expect("entries are whole groups, and the block promised no bid");
    let payload = Payload {
        inbox: Vec::new(),
        entries: filling.entries,
        excuses: excused
            .values()
            .map(|entry| (*entry.submission).clone())
            .collect(),
    };
    Filled {
        payload,
        usage: filling.usage,
        effects,
        failed,
    }
}

fn finish(
    prefix: &DecidedPrefix<'_>,
    (height, birth_round, author): (Height, Round, L1Address),
    fee_leaves: FeeLeaves,
    certificate: Option<&ExtendedCertificate>,
    filled: Filled,
) -> (Judged, Vec<(Entry, api::ApiError)>) {
    let Filled {
        payload,
        usage,
        effects: (changes, executed),
        failed,
    } = filled;
    let core = BlockCore {
        chain_id: prefix.chain_id,
        height,
        epoch: Epoch::of(height),
        next_set_hash: prefix.next_set_hash,
        birth_round,
        author,
        parent: prefix.tip.id,
        payload_root: payload.root(),
        fee_leaves,
        certificate_hash: certificate.map_or([0; 32], ExtendedCertificate::hash),
        l1_origin: L1Origin::default(),
        timestamp_ms: timestamp_ms(certificate, prefix),
        state_root_before: prefix.state.root(),
        usage,
    };
    let header = BlockHeader {
        core,
        bid: None,
        certificate: certificate.cloned(),
    };
    let tip = Tip {
        height,
        id: header.id(),
        timestamp_ms: header.core.timestamp_ms,
        inbox_count: prefix.tip.inbox_count,
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
