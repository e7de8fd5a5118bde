//! Operations waiting for a block.
//!
//! Rules: one pending operation per (leaf, nonce), replaced by a fee at least 10 % higher; a leaf's balance covers
//! everything pending for it; limits on entries, bytes, bytes per leaf and nonce gap; the lowest fee is evicted.
//! Entries are ordered first come first served (a market for places comes with builders); a nonce gap only holds
//! back its own leaf. Fees of different tokens are compared as numbers, and only for eviction.
//!
//! What this module does not do: touch the disk ([`admission`] does) or check signatures by itself.

mod admission;
mod check;
mod verdict;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::error::{ApiError, ErrorCode};
use protocol::{
    number::{Height, LeafIndex, Nonce},
    transaction::{Domain, ListHash, Submission, TransactionId},
};

pub(crate) use admission::{Admission, AdmissionRequest, Origin, failed_records, run_admission};
pub(crate) use check::{Rules, block_entry, simulate};
pub(crate) use verdict::api_error;

use crate::{chain::View, config::MempoolConfig, observed::Waited};

/// Places a replacement's fee must exceed, in percent.
const REPLACEMENT_PERCENT: u128 = 10;

/// Operations looked at for one inclusion list: a list holds 96 names, and names in the block voted on are skipped.
const LISTED_OPERATIONS_MAX: usize = 2_048 + 512;

/// A leaf and nonce that an entry uses, and what it spends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spend {
    pub(crate) leaf: LeafIndex,
    pub(crate) nonce: Nonce,
    pub(crate) amount: u128,
}

/// The sequence number of what is not in the pool: counted up from 0, no entry has it.
const DEPARTED: u64 = u64::MAX;

/// A pending submission.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) submission: Arc<Submission>,
    pub(crate) ids: Vec<TransactionId>,
    /// Its name in inclusion lists.
    pub(crate) name: ListHash,
    pub(crate) spends: Vec<Spend>,
    pub(crate) received_ms: u64,
    /// Height that was being agreed on when it came; 0 for one that a start has brought back.
    since: Height,
    fee: u128,
    bytes: usize,
    valid_until: Height,
    /// Its place among those that soft blocks held, if one did: senders were told so.
    soft: Option<u64>,
}

impl Entry {
    pub(crate) fn new(
        sequence: u64,
        submission: Submission,
        ids: Vec<TransactionId>,
        received_ms: u64,
    ) -> Self {
        let members = submission.members();
        let spends = members
            .iter()
            .map(|member| {
                let transaction = &member.transaction;
                Spend {
                    leaf: transaction.from,
                    nonce: transaction.nonce,
                    amount: transaction.action.amount().get() + transaction.fee.get(),
                }
            })
            .collect();
        let valid_until = members
            .iter()
            .map(|member| member.transaction.valid_until)
            .min();
        Self {
            sequence,
            name: submission.list_hash_of(&ids),
            ids,
            spends,
            received_ms,
            since: Height(0),
            fee: members
                .iter()
                .map(|member| member.transaction.fee.get())
                .sum(),
            bytes: protocol::codec::to_bytes(&submission).len(),
            valid_until: valid_until.unwrap_or(Height(0)),
            soft: None,
            submission: Arc::new(submission),
        }
    }

    /// A submission that a list demands and that is not in the pool (any more): it has no sequence number there.
    pub(crate) fn departed(submission: Submission, domain: &Domain) -> Self {
        let ids = submission.ids(domain);
        Self::new(DEPARTED, submission, ids, 0)
    }

    /// Whether it is not in the pool.
    pub(crate) fn is_departed(&self) -> bool {
        self.sequence == DEPARTED
    }

    fn places(&self) -> impl Iterator<Item = (LeafIndex, Nonce)> + '_ {
        self.spends.iter().map(|spend| (spend.leaf, spend.nonce))
    }

    /// What the entry spends from a leaf.
    fn spend_of(&self, leaf: LeafIndex) -> u128 {
        let spends = self.spends.iter().filter(|spend| spend.leaf == leaf);
        spends.map(|spend| spend.amount).sum()
    }

    /// How long it stood here before the block at `height` held it. Not known of one that a start has brought back: nobody
    /// waited for it while nodes were down.
    pub(crate) fn waited(&self, height: Height, now_ms: u64) -> Option<Waited> {
        let heights = height.0.checked_sub(self.since.0);
        let heights = heights.filter(|_| self.since > Height(0))?;
        Some(Waited {
            heights,
            milliseconds: now_ms.saturating_sub(self.received_ms),
        })
    }

    fn leaves(&self) -> BTreeSet<LeafIndex> {
        self.spends.iter().map(|spend| spend.leaf).collect()
    }
}

/// What became of the pool by one admission.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Sequence number of the new entry; `None` if it was pending already.
    pub(crate) sequence: Option<u64>,
    /// Entries it replaced.
    pub(crate) replaced: Vec<Entry>,
    /// Entries that made room for it.
    pub(crate) evicted: Vec<Entry>,
}

/// What is pending for one leaf.
#[derive(Clone, Copy, Debug, Default)]
struct LeafUsage {
    entries: usize,
    bytes: usize,
    spend: u128,
}

/// All pending entries.
pub(crate) struct Mempool {
    config: MempoolConfig,
    entries: BTreeMap<u64, Entry>,
    by_place: BTreeMap<(LeafIndex, Nonce), u64>,
    by_name: BTreeMap<ListHash, u64>,
    by_fee: BTreeSet<(u128, Reverse<u64>)>,
    by_expiry: BTreeSet<(Height, u64)>,
    /// In a block of the height that is being decided: neither replaced nor evicted.
    in_flight: BTreeSet<u64>,
    /// Entries that soft blocks held, by their place there.
    soft: BTreeSet<(u64, u64)>,
    leaf_usage: BTreeMap<LeafIndex, LeafUsage>,
    bytes: usize,
    next_sequence: u64,
}

impl Mempool {
    pub(crate) fn new(config: MempoolConfig) -> Self {
        Self {
            config,
            entries: BTreeMap::new(),
            by_place: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_fee: BTreeSet::new(),
            by_expiry: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            soft: BTreeSet::new(),
            leaf_usage: BTreeMap::new(),
            bytes: 0,
            next_sequence: 0,
        }
    }

    /// Takes back an entry from disk; it was admitted once.
    pub(crate) fn restore(&mut self, entry: Entry) {
        self.next_sequence = self.next_sequence.max(entry.sequence + 1);
        self.insert(entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// First nonce of the leaf, from `nonce` on, that no pending operation uses.
    pub(crate) fn next_nonce(&self, leaf: LeafIndex, nonce: Nonce) -> Nonce {
        let mut next = nonce;
        while self.by_place.contains_key(&(leaf, next)) {
            next = Nonce(next.0 + 1);
        }
        next
    }

    /// Takes a submission whose signatures have been checked.
    ///
    /// # Errors
    /// The rule it breaks; nothing has changed.
    pub(crate) fn admit(
        &mut self,
        rules: &Rules<'_>,
        submission: Submission,
        ids: Vec<TransactionId>,
        now_ms: u64,
    ) -> Result<Admitted, ApiError> {
        let mut entry = Entry::new(self.next_sequence, submission, ids, now_ms);
        entry.since = Height(rules.view.tip.height.0 + 1);
        let conflicts: BTreeSet<u64> = entry
            .places()
            .filter_map(|place| self.by_place.get(&place).copied())
            .collect();
        let same = conflicts.iter().find(|sequence| {
            self.entries
                .get(sequence)
                .is_some_and(|old| old.ids == entry.ids)
        });
        if same.is_some() {
            return Ok(Admitted {
                sequence: None,
                replaced: Vec::new(),
                evicted: Vec::new(),
            });
        }
        self.check_replacement(&entry, &conflicts)?;
        rules.check(
            &entry,
            self.config.nonce_gap_max,
            self.config.fee_min,
            |leaf| self.pending_spend(leaf, &conflicts),
        )?;
        self.check_leaf_quota(&entry, &conflicts)?;
        let evicted = self.make_room(&entry, &conflicts)?;
        let sequence = entry.sequence;
        let replaced = conflicts
            .iter()
            .filter_map(|old| self.remove(*old))
            .collect();
        self.next_sequence += 1;
        self.insert(entry);
        Ok(Admitted {
            sequence: Some(sequence),
            replaced,
            evicted,
        })
    }

    fn check_replacement(&self, entry: &Entry, conflicts: &BTreeSet<u64>) -> Result<(), ApiError> {
        if conflicts.is_empty() {
            return Ok(());
        }
        let old: Vec<&Entry> = conflicts
            .iter()
            .filter_map(|sequence| self.entries.get(sequence))
            .collect();
        if old
            .iter()
            .any(|entry| self.in_flight.contains(&entry.sequence))
        {
            let reason = "an operation with this nonce is being put into a block";
            return Err(ApiError::new(ErrorCode::BeingOrdered, reason));
        }
        let paid: u128 = old.iter().map(|entry| entry.fee).sum();
        let needed = paid + (paid * REPLACEMENT_PERCENT).div_ceil(100).max(1); // rounds up
        if entry.fee < needed {
            let reason = format!(
                "pending pays {paid}, the replacement {}, it needs {needed}",
                entry.fee
            );
            return Err(ApiError::new(ErrorCode::ReplacementUnderpriced, reason));
        }
        Ok(())
    }

    /// What is pending for a leaf, without the entries about to be replaced.
    fn pending_spend(&self, leaf: LeafIndex, without: &BTreeSet<u64>) -> u128 {
        // Members of groups may spend what the group itself brings: sums can pass any balance, so they saturate.
        let freed = without
            .iter()
            .filter_map(|sequence| self.entries.get(sequence))
            .fold(0_u128, |sum, entry| {
                sum.saturating_add(entry.spend_of(leaf))
            });
        let all = self.leaf_usage.get(&leaf).map_or(0, |usage| usage.spend);
        all.saturating_sub(freed)
    }

    fn check_leaf_quota(&self, entry: &Entry, conflicts: &BTreeSet<u64>) -> Result<(), ApiError> {
        for leaf in entry.leaves() {
            let freed: usize = conflicts
                .iter()
                .filter_map(|sequence| self.entries.get(sequence))
                .filter(|old| old.leaves().contains(&leaf))
                .map(|old| old.bytes)
                .sum();
            let all = self.leaf_usage.get(&leaf).map_or(0, |usage| usage.bytes);
            let used = all.saturating_sub(freed);
            if used + entry.bytes > self.config.leaf_bytes_max {
                let max = self.config.leaf_bytes_max;
                let reason = format!("leaf {leaf} has {used} of {max} bytes pending");
                return Err(ApiError::new(ErrorCode::LeafQuota, reason));
            }
        }
        Ok(())
    }

    /// Evicts what pays less until the entry fits.
    fn make_room(
        &mut self,
        entry: &Entry,
        conflicts: &BTreeSet<u64>,
    ) -> Result<Vec<Entry>, ApiError> {
        let freed: usize = conflicts
            .iter()
            .filter_map(|old| self.entries.get(old))
            .map(|old| old.bytes)
            .sum();
        let mut count = self.entries.len() - conflicts.len();
        let mut bytes = self.bytes - freed;
        let mut victims = Vec::new();
        let fits = |count: usize, bytes: usize| {
            count < self.config.entries_max && bytes + entry.bytes <= self.config.bytes_max
        };
        for (fee, Reverse(sequence)) in &self.by_fee {
            if fits(count, bytes) {
                break;
            }
            let Some(old) = self.entries.get(sequence) else {
                continue;
            };
            if *fee >= entry.fee {
                break;
            }
            if self.in_flight.contains(sequence) || conflicts.contains(sequence) {
                continue;
            }
            count -= 1;
            bytes -= old.bytes;
            victims.push(*sequence);
        }
        if !fits(count, bytes) {
            let reason = format!(
                "it holds {} entries, none of them pays less",
                self.entries.len()
            );
            return Err(ApiError::new(ErrorCode::MempoolFull, reason));
        }
        Ok(victims
            .into_iter()
            .filter_map(|sequence| self.remove(sequence))
            .collect())
    }

    fn insert(&mut self, entry: Entry) {
        for place in entry.places() {
            self.by_place.insert(place, entry.sequence);
        }
        self.by_name.insert(entry.name, entry.sequence);
        for leaf in entry.leaves() {
            let usage = self.leaf_usage.entry(leaf).or_default();
            usage.entries += 1;
            usage.bytes += entry.bytes;
            usage.spend = usage.spend.saturating_add(entry.spend_of(leaf));
        }
        self.by_fee.insert((entry.fee, Reverse(entry.sequence)));
        self.by_expiry.insert((entry.valid_until, entry.sequence));
        self.bytes += entry.bytes;
        self.entries.insert(entry.sequence, entry);
    }

    /// Forgets an entry.
    pub(crate) fn remove(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.entries.remove(&sequence)?;
        for place in entry.places() {
            self.by_place.remove(&place);
        }
        self.by_name.remove(&entry.name);
        for leaf in entry.leaves() {
            if let Some(usage) = self.leaf_usage.get_mut(&leaf) {
                usage.entries -= 1;
                usage.bytes -= entry.bytes;
                usage.spend = usage.spend.saturating_sub(entry.spend_of(leaf));
                if usage.entries == 0 {
                    self.leaf_usage.remove(&leaf);
                }
            }
        }
        self.by_fee.remove(&(entry.fee, Reverse(sequence)));
        self.by_expiry.remove(&(entry.valid_until, sequence));
        self.in_flight.remove(&sequence);
        self.soft.remove(&(entry.soft.unwrap_or(0), sequence));
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Entries that no block from `height` on can hold.
    pub(crate) fn expired(&self, height: Height) -> Vec<Entry> {
        self.by_expiry
            .range(..(height, 0))
            .filter_map(|(_, sequence)| self.entries.get(sequence).cloned())
            .collect()
    }

    /// The entry of this name in inclusion lists.
    pub(crate) fn named(&self, name: &ListHash) -> Option<&Entry> {
        self.entries.get(self.by_name.get(name)?)
    }

    /// The entry of this sequence number.
    pub(crate) fn get(&self, sequence: u64) -> Option<Entry> {
        self.entries.get(&sequence).cloned()
    }

    /// The entry that holds exactly this submission.
    pub(crate) fn holding(&self, submission: &Submission) -> Option<&Entry> {
        let first = &submission.members().first()?.transaction;
        self.at((first.from, first.nonce))
            .filter(|entry| *entry.submission == *submission)
    }

    /// Entries that came before a time (milliseconds since 1970), oldest first.
    pub(crate) fn received_before(&self, time_ms: u64) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.values();
        entries.filter(move |entry| entry.received_ms < time_ms)
    }

    /// Puts entries in flight: they can be neither replaced nor evicted until [`Mempool::settle`].
    pub(crate) fn mark(&mut self, sequences: impl IntoIterator<Item = u64>) {
        let entries = &self.entries;
        let known = sequences
            .into_iter()
            .filter(|one| entries.contains_key(one));
        self.in_flight.extend(known);
    }

    /// Remembers that soft blocks hold these entries, in this order, and puts them in flight.
    pub(crate) fn tell_soft(&mut self, sequences: &[u64]) {
        for (place, sequence) in (0_u64..).zip(sequences) {
            if let Some(entry) = self.entries.get_mut(sequence) {
                let before = entry.soft.replace(place);
                self.soft.remove(&(before.unwrap_or(place), *sequence));
                self.soft.insert((place, *sequence));
            }
        }
        self.mark(sequences.iter().copied());
    }

    /// Entries that soft blocks hold or held, in their order there.
    pub(crate) fn soft_order(&self) -> Vec<u64> {
        self.soft.iter().map(|(_, sequence)| *sequence).collect()
    }

    /// The entry at a leaf's nonce.
    pub(crate) fn at(&self, place: (LeafIndex, Nonce)) -> Option<&Entry> {
        self.entries.get(self.by_place.get(&place)?)
    }

    /// Entries whose nonces follow from the view and from entries before them, the `first` ones before the others,
    /// else oldest first, holding at most `operations_max` operations; they are in flight until [`Mempool::settle`].
    pub(crate) fn take_off(
        &mut self,
        view: &View,
        first: &[u64],
        operations_max: usize,
    ) -> Vec<Entry> {
        let flight = self.applicable(view, first, operations_max);
        self.mark(flight.iter().map(|entry| entry.sequence));
        flight
    }

    /// Entries that a block may hold, as [`Mempool::take_off`] chooses them; none is put in flight.
    pub(crate) fn applicable(
        &self,
        view: &View,
        first: &[u64],
        operations_max: usize,
    ) -> Vec<Entry> {
        let ready = self.ready(view, first, operations_max).into_iter();
        ready.filter_map(|sequence| self.get(sequence)).collect()
    }

    /// Sequence numbers by fee, the highest first; of equal fees the oldest first.
    pub(crate) fn by_fee(&self) -> impl Iterator<Item = u64> + '_ {
        self.by_fee
            .iter()
            .rev()
            .map(|(_, Reverse(sequence))| *sequence)
    }

    /// What changes when an entry comes or goes.
    pub(crate) fn version(&self) -> (u64, usize) {
        (self.next_sequence, self.entries.len())
    }

    /// Names of entries that a validator may list at `height`: applicable in order, and here since an earlier height.
    /// Oldest first; those that `skip` holds stand in the block being voted on.
    pub(crate) fn listable(
        &self,
        view: &View,
        height: Height,
        skip: &BTreeSet<ListHash>,
        count_max: usize,
    ) -> Vec<ListHash> {
        self.ready(view, &[], LISTED_OPERATIONS_MAX)
            .into_iter()
            .filter_map(|sequence| self.entries.get(&sequence))
            .filter(|entry| entry.since < height && !skip.contains(&entry.name))
            .map(|entry| entry.name)
            .take(count_max)
            .collect()
    }

    fn ready(&self, view: &View, first: &[u64], operations_max: usize) -> Vec<u64> {
        use protocol::state::LeafView;
        let mut next: BTreeMap<LeafIndex, Nonce> = BTreeMap::new();
        let mut waiting: BTreeMap<(LeafIndex, Nonce), u64> = BTreeMap::new();
        let (mut ready, mut seen) = (Vec::new(), BTreeSet::new());
        let mut operations = 0;
        for start in first.iter().chain(self.entries.keys()) {
            let mut queue = vec![*start];
            while let Some(sequence) = queue.pop() {
                let Some(entry) = self.entries.get(&sequence) else {
                    continue;
                };
                if seen.contains(&sequence) {
                    continue;
                }
                let mut trial = next.clone_for(&entry.spends, |leaf| view.leaf(leaf));
                let blocked = entry.spends.iter().find(|spend| !trial.advance(spend));
                if let Some(spend) = blocked {
                    waiting.insert((spend.leaf, spend.nonce), sequence);
                    continue;
                }
                if operations + entry.spends.len() > operations_max {
                    return ready;
                }
                operations += entry.spends.len();
                ready.push(sequence);
                seen.insert(sequence);
                for (leaf, nonce) in trial.0 {
                    next.insert(leaf, nonce);
                    queue.extend(waiting.remove(&(leaf, nonce)));
                }
            }
        }
        ready
    }

    /// The height is decided: `done` are gone, and nothing is in flight.
    pub(crate) fn settle(&mut self, done: &[u64]) {
        for sequence in done {
            self.remove(*sequence);
        }
        self.in_flight.clear();
    }
}

/// Next nonces of the leaves of one entry.
struct Nonces(BTreeMap<LeafIndex, Nonce>);

impl Nonces {
    /// Whether the spend is next for its leaf; then the leaf moves on.
    fn advance(&mut self, spend: &Spend) -> bool {
        match self.0.get_mut(&spend.leaf) {
            Some(next) if *next == spend.nonce => {
                *next = Nonce(next.0 + 1);
                true
            }
            _ => false,
        }
    }
}

trait NextNonces {
    fn clone_for(
        &self,
        spends: &[Spend],
        leaf: impl Fn(LeafIndex) -> Option<protocol::account::Leaf>,
    ) -> Nonces;
}

impl NextNonces for BTreeMap<LeafIndex, Nonce> {
    fn clone_for(
        &self,
        spends: &[Spend],
        leaf: impl Fn(LeafIndex) -> Option<protocol::account::Leaf>,
    ) -> Nonces {
        let next = |index| {
            self.get(&index)
                .copied()
                .or_else(|| leaf(index).map(|leaf| leaf.nonce))
        };
        let nonces = spends
            .iter()
            .filter_map(|spend| Some((spend.leaf, next(spend.leaf)?)))
            .collect();
        Nonces(nonces)
    }
}

#[cfg(test)]
mod tests;
