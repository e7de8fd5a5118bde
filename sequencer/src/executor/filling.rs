//! Filling a payload: inbox items, burns that are due, what the list demands, then the rest in the order given.
//!
//! Invariant: what comes out is valid under the vote rule. What this module does not do: choose the order.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{
    account::{L1Address, Leaf},
    batch::Usage,
    block::{BlockCore, BlockExecution, Entry as BlockEntry, L1Origin, Payload},
    certificate::ExtendedCertificate,
    inbox::InboxItem,
    number::{Epoch, Height, LeafIndex, Round},
    threaded::FeeLeaves,
    transaction::{Bid, ListHash, SignedBid},
    transition::{Executed, InvalidOperation, Operation, burn_of},
    validity::{DecidedPrefix, timestamp_ms},
};

use crate::mempool::{Entry, api_error, block_entry};

/// What a payload is filled under.
pub(super) struct Terms<'a> {
    /// Base-layer block whose inbox items may stand in the block.
    pub(super) origin: L1Origin,
    pub(super) fee_leaves: FeeLeaves,
    /// The payment that opens the block if it is sold: its core hash and signature do not matter here.
    pub(super) payment: Option<Bid>,
    /// Burns that are due, all of them.
    pub(super) burns: &'a [SignedBid],
    pub(super) listed: &'a BTreeSet<ListHash>,
}

/// What goes into a payload, and what became of the rest.
pub(super) struct Filled {
    pub(super) payload: Payload,
    pub(super) usage: Usage,
    pub(super) effects: (BTreeMap<LeafIndex, Leaf>, Vec<Executed>),
    pub(super) failed: Vec<(Entry, api::ApiError)>,
}

/// A payload being filled.
struct Filling<'a> {
    prefix: &'a DecidedPrefix<'a>,
    fee_leaves: &'a FeeLeaves,
    /// First fee leaf that takes fees: the proposer's takes none if the block is sold.
    first: u8,
    execution: BlockExecution<'a>,
    usage: Usage,
    inbox: Vec<InboxItem>,
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
        let fee_leaves = (self.fee_leaves, self.first);
        let entry = block_entry(&self.execution, fee_leaves, &pending.submission)
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

    /// The next inbox items, the payment of the bid, and burns: nothing may come before them. Items never fail, and as many as
    /// a batch takes leave room for the rest.
    fn open(&mut self, terms: &Terms<'_>) -> Result<(), InvalidOperation> {
        let domain = self.prefix.domain;
        let (base_layer, mut index) = (self.prefix.base_layer, self.prefix.tip.inbox_count);
        while let Some(queued) = base_layer.item(index)
            && queued.enqueued_at <= terms.origin.number
        {
            let item = Operation::Inbox(queued.item);
            let usage = self.usage.with(&item);
            if !usage.fits() {
                break;
            }
            self.execution.push(domain, &item)?;
            self.usage = usage;
            self.inbox.push(queued.item);
            index = index.saturating_add(1);
        }
        if let Some(bid) = terms.payment {
            let payment = Operation::BidPay(bid);
            self.execution.push(domain, &payment)?;
            self.usage = self.usage.with(&payment);
        }
        for signed in terms.burns {
            let burn = Operation::BidBurn(signed.bid);
            self.execution.push(domain, &burn)?;
            self.usage = self.usage.with(&burn);
            self.entries.push(BlockEntry::BidBurn(*signed));
        }
        Ok(())
    }
}

/// Fills a payload with what is on the flight, in its order.
///
/// # Errors
/// The payment or a burn does not execute: no entry of the flight is at fault.
pub(super) fn fill(
    prefix: &DecidedPrefix<'_>,
    terms: &Terms<'_>,
    flight: &[Entry],
) -> Result<Filled, InvalidOperation> {
    let (fee_leaves, listed) = (&terms.fee_leaves, terms.listed);
    let is_sold = terms.payment.is_some();
    let mut filling = Filling {
        prefix,
        fee_leaves,
        first: u8::from(is_sold),
        execution: BlockExecution::new(prefix.state, prefix.tip, fee_leaves, is_sold),
        usage: Usage::default(),
        inbox: Vec::new(),
        entries: Vec::new(),
    };
    filling.open(terms)?;
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
    // What is not in the pool has failed before. A follower of a failed entry has a nonce gap now: it is not invalid, it waits for the gap to be filled.
    failed.retain(|(entry, error)| {
        !entry.is_departed() && error.code != api::ErrorCode::NonceGap && !is_in(entry)
    });
    let effects = filling.execution.finish()?;
    let payload = Payload {
        inbox: filling.inbox,
        entries: filling.entries,
        excuses: excused
            .values()
            .map(|entry| (*entry.submission).clone())
            .collect(),
    };
    Ok(Filled {
        payload,
        usage: filling.usage,
        effects,
        failed,
    })
}

/// The core of the next block with this payload.
pub(super) fn core(
    prefix: &DecidedPrefix<'_>,
    (height, birth_round, author): (Height, Round, L1Address),
    terms: &Terms<'_>,
    certificate: Option<&ExtendedCertificate>,
    filled: &Filled,
) -> BlockCore {
    BlockCore {
        chain_id: prefix.chain_id,
        height,
        epoch: Epoch::of(height),
        next_set_hash: prefix.next_set_hash,
        birth_round,
        author,
        parent: prefix.tip.id,
        payload_root: filled.payload.root(),
        fee_leaves: terms.fee_leaves,
        certificate_hash: certificate.map_or([0; 32], ExtendedCertificate::hash),
        l1_origin: terms.origin,
        timestamp_ms: timestamp_ms(certificate, prefix),
        state_root_before: prefix.state.root(),
        usage: filled.usage,
    }
}

/// What the fees of a payload bring to a leaf.
pub(crate) fn income(payload: &Payload, fee_leaves: &FeeLeaves, leaf: LeafIndex) -> u128 {
    let incomes = payload.entries.iter().flat_map(|entry| match entry {
        BlockEntry::BidBurn(_) => Vec::new(),
        BlockEntry::Submission {
            submission,
            fee_leaves: selectors,
        } => submission
            .members()
            .iter()
            .zip(selectors)
            .filter(|(_, selector)| fee_leaves.get(**selector) == Some(leaf))
            .map(|(member, _)| {
                let fee = member.transaction.fee;
                fee.get().saturating_sub(burn_of(fee).get())
            })
            .collect(),
    });
    incomes.fold(0, u128::saturating_add)
}
