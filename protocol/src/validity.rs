//! The vote rule: a pure function of a block and the decided prefix (`sequencing.md`, rules 0 to 9 and 13).
//!
//! Proposers, builders, validators, sync, simulation and tests call the same [`verdict`]. It never reads the round
//! being voted in, a clock, or anything that two honest nodes could see differently without one of them being
//! [`Verdict::Unknown`]: an unknown block is not voted on, and the answer follows when the missing thing arrives.
//!
//! What this module does not do: fetch what is missing, or remember answers.

use std::collections::BTreeSet;

use crate::{
    batch::Usage,
    block::{
        Block, BlockEffects, BlockExecution, BlockHeader, Entry, InvalidBlock, L1Origin, Tip,
        check_bid, check_core, execute_block,
    },
    certificate::ExtendedCertificate,
    history::{DueBurn, History},
    inbox::InboxItem,
    number::{Epoch, Height, Round},
    params::{BATCH_ABSORPTIONS_MAX, INBOX_PER_BATCH_MAX, LIST_SHARE, WITHDRAWALS_PER_BATCH_MAX},
    restart::Restart,
    signature::{Claim, verify_batch},
    state::State,
    transaction::{Domain, ListHash, Submission},
    validator::ValidatorSet,
};

/// What a node's own view of the base layer says about a block that another names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginStatus {
    /// Final, and so is every block before it.
    Final,
    /// Not seen as final yet: it may become so.
    Unknown,
    /// Another block is final at this number.
    Conflicting,
}

/// An inbox item, and when it must be consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedItem {
    /// Its words.
    pub item: InboxItem,
    /// Number of the base-layer block that enqueued it.
    pub enqueued_at: u64,
    /// Base-layer block number from which blocks must not leave it out.
    pub due_at: u64,
}

/// A node's own view of the final part of the base layer.
pub trait BaseLayerView {
    /// Where `origin` stands.
    fn status(&self, origin: &L1Origin) -> OriginStatus;
    /// The inbox item of this index, counted from genesis, if a final block has enqueued it.
    fn item(&self, index: u64) -> Option<QueuedItem>;
}

/// A chain without a base layer: only the default origin is final, and the inbox is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBaseLayer;

impl BaseLayerView for NoBaseLayer {
    fn status(&self, origin: &L1Origin) -> OriginStatus {
        if *origin == L1Origin::default() {
            OriginStatus::Final
        } else {
            OriginStatus::Conflicting
        }
    }

    fn item(&self, _index: u64) -> Option<QueuedItem> {
        None
    }
}

/// Everything a verdict depends on, beside the block.
pub struct DecidedPrefix<'a> {
    /// Chain id of genesis.
    pub chain_id: u64,
    /// Domain of the chain.
    pub domain: &'a Domain,
    /// State after the parent.
    pub state: &'a State,
    /// Where execution stands after the parent.
    pub tip: &'a Tip,
    /// Set of the block's height.
    pub set: &'a ValidatorSet,
    /// Hash of the next epoch's set.
    pub next_set_hash: [u8; 32],
    /// The last decided blocks; empty at genesis.
    pub history: &'a History,
    /// The node's view of the base layer.
    pub base_layer: &'a dyn BaseLayerView,
}

/// What is missing for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The node's view does not yet hold this base-layer block as final.
    Origin(L1Origin),
}

/// Why a block gets no vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It can never be valid on this prefix.
    Invalid(InvalidBlock),
    /// Something is not here yet.
    Unknown(Missing),
}

impl From<InvalidBlock> for Refusal {
    fn from(reason: InvalidBlock) -> Self {
        Self::Invalid(reason)
    }
}

/// The three answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Vote for it; this is what it does.
    Valid(Box<BlockEffects>),
    /// Vote nil.
    Invalid(InvalidBlock),
    /// Do not answer yet.
    Unknown(Missing),
}

impl Verdict {
    /// Whether the block is valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}

/// Judges a whole block.
#[must_use]
pub fn verdict(block: &Block, prefix: &DecidedPrefix<'_>) -> Verdict {
    verdict_with(block, prefix, &[])
}

/// [`verdict`], by a node that has checked the signatures of some entries before: when it took them into its pool,
/// byte for byte. `checked[i]` says so of `payload.entries[i]`; what is not said is checked here. The answer is the same.
#[must_use]
pub fn verdict_with(block: &Block, prefix: &DecidedPrefix<'_>, checked: &[bool]) -> Verdict {
    match judge(block, prefix, checked) {
        Ok(effects) => Verdict::Valid(Box::new(effects)),
        Err(Refusal::Invalid(reason)) => Verdict::Invalid(reason),
        Err(Refusal::Unknown(missing)) => Verdict::Unknown(missing),
    }
}

fn judge(
    block: &Block,
    prefix: &DecidedPrefix<'_>,
    checked: &[bool],
) -> Result<BlockEffects, Refusal> {
    check_header(&block.header, prefix)?;
    check_inbox(block, prefix)?;
    check_burns(block, prefix)?;
    check_bid_leaves(block)?;
    let listed = listed(block.header.certificate.as_ref(), prefix);
    check_excuse_form(block, &listed, prefix.domain)?;
    let (after, effects) = execute_block(
        prefix.state,
        prefix.tip,
        prefix.domain,
        prefix.chain_id,
        (block, checked),
    )?;
    check_list(block, &listed, &after, prefix.domain)?;
    Ok(effects)
}

/// Judges what can be judged before the payload is seen. If this fails, nobody reports the builder.
///
/// # Errors
/// [`Refusal`].
pub fn check_header(header: &BlockHeader, prefix: &DecidedPrefix<'_>) -> Result<(), Refusal> {
    let core = &header.core;
    check_core(prefix.state, prefix.tip, prefix.chain_id, core)?;
    if core.epoch != Epoch::of(core.height) {
        return Err(InvalidBlock::Core("epoch").into());
    }
    if core.next_set_hash != prefix.next_set_hash {
        return Err(InvalidBlock::Core("hash of the next validator set").into());
    }
    if core.author != *prefix.set.proposer(core.height, core.birth_round) {
        return Err(InvalidBlock::Core("author does not propose in the birth round").into());
    }
    check_certificate(header, prefix)?;
    if core.timestamp_ms != timestamp_ms(header.certificate.as_ref(), prefix) {
        return Err(InvalidBlock::Core("timestamp is not the certificate's median").into());
    }
    if let Some(bid) = &header.bid {
        if core.birth_round != Round(0) {
            return Err(InvalidBlock::Bid("only a block born in round 0 may pay one").into());
        }
        if !prefix.set.may_take_bids() {
            return Err(InvalidBlock::Bid("this validator set takes none").into());
        }
        if prefix.history.is_suspended(&bid.builder) {
            return Err(InvalidBlock::Bid("its builder is suspended").into());
        }
        if core.fee_leaves.count() < 2 {
            let reason = "fee leaf 0 is the proposer's, so the builder needs another";
            return Err(InvalidBlock::Bid(reason).into());
        }
        check_bid(prefix.state, core, bid, prefix.domain)?;
        // Else the block would fail on its payload, the builder be reported, and the burn that is due then could never
        // be made: the name of a bid does not cover this signature.
        if !verify_batch(&[bid.bid.claim(prefix.domain)]) {
            return Err(InvalidBlock::Bid("its collateral leaf did not sign it").into());
        }
    }
    match prefix.base_layer.status(&core.l1_origin) {
        OriginStatus::Final => Ok(()),
        OriginStatus::Unknown => Err(Refusal::Unknown(Missing::Origin(core.l1_origin))),
        OriginStatus::Conflicting => Err(InvalidBlock::Core("base-layer origin").into()),
    }
}

fn check_certificate(header: &BlockHeader, prefix: &DecidedPrefix<'_>) -> Result<(), InvalidBlock> {
    let Some(parent) = prefix.history.last() else {
        if let Some(restart) = prefix.history.restart() {
            return check_restart(header, restart, prefix);
        }
        let is_first = prefix.tip.height == Height(0) && header.restart.is_none();
        let is_empty = header.certificate.is_none() && header.core.certificate_hash == [0; 32];
        return if is_first && is_empty {
            Ok(())
        } else {
            Err(InvalidBlock::Core("the first block embeds no certificate"))
        };
    };
    if header.restart.is_some() {
        return Err(InvalidBlock::Core(
            "a restart certificate above a decided block",
        ));
    }
    let Some(certificate) = &header.certificate else {
        return Err(InvalidBlock::Core("no certificate of the parent"));
    };
    if (certificate.height, certificate.block) != (parent.height, parent.id) {
        return Err(InvalidBlock::Core("certificate of another block"));
    }
    if header.core.certificate_hash != certificate.hash() {
        return Err(InvalidBlock::Core("hash of the parent's certificate"));
    }
    certificate.verify(prefix.domain, &parent.set)?;
    Ok(())
}

/// The first block after a restart embeds the certificate of that restart and no other.
fn check_restart(
    header: &BlockHeader,
    restart: &Restart,
    prefix: &DecidedPrefix<'_>,
) -> Result<(), InvalidBlock> {
    if header.certificate.is_some() {
        return Err(InvalidBlock::Core("a parent's certificate above a restart"));
    }
    let Some(certificate) = &header.restart else {
        return Err(InvalidBlock::Core("no restart certificate"));
    };
    if certificate.restart != *restart {
        return Err(InvalidBlock::Core("certificate of another restart"));
    }
    if header.core.certificate_hash != certificate.hash() {
        return Err(InvalidBlock::Core("hash of the restart certificate"));
    }
    certificate.verify(prefix.domain, prefix.set)?;
    Ok(())
}

/// What a block's timestamp must be: the stake-weighted median of the parent's signers, at least parent + 1.
#[must_use]
pub fn timestamp_ms(certificate: Option<&ExtendedCertificate>, prefix: &DecidedPrefix<'_>) -> u64 {
    let least = prefix.tip.timestamp_ms.saturating_add(1);
    certificate
        .zip(prefix.history.last())
        .and_then(|(certificate, parent)| certificate.median_time_ms(&parent.set))
        .map_or(least, |median| median.max(least))
}

/// E(h): what the block must hold or excuse.
#[must_use]
pub fn listed(
    certificate: Option<&ExtendedCertificate>,
    prefix: &DecidedPrefix<'_>,
) -> BTreeSet<ListHash> {
    certificate
        .zip(prefix.history.last())
        .map(|(certificate, parent)| certificate.listed(&parent.set))
        .unwrap_or_default()
}

/// Only items that the origin has enqueued, in order; overdue ones must stand, until none is left or the block is full.
fn check_inbox(block: &Block, prefix: &DecidedPrefix<'_>) -> Result<(), InvalidBlock> {
    let origin = block.header.core.l1_origin.number;
    let mut index = prefix.tip.inbox_count;
    for item in &block.payload.inbox {
        match prefix.base_layer.item(index) {
            Some(queued) if queued.enqueued_at <= origin && queued.item == *item => index += 1,
            _ => return Err(InvalidBlock::Inbox("an item is not the next of the inbox")),
        }
    }
    let is_full = block.header.core.usage.inbox >= INBOX_PER_BATCH_MAX;
    let next = prefix.base_layer.item(index);
    if next.is_some_and(|queued| queued.enqueued_at <= origin && queued.due_at <= origin)
        && !is_full
    {
        return Err(InvalidBlock::Inbox("an overdue item is left out"));
    }
    Ok(())
}

fn check_burns(block: &Block, prefix: &DecidedPrefix<'_>) -> Result<(), InvalidBlock> {
    let mut due = prefix.history.due_burns(block.header.core.height);
    for entry in &block.payload.entries {
        let Entry::BidBurn(signed) = entry else {
            continue;
        };
        let burn = DueBurn {
            height: signed.bid.height,
            bid: signed.hash(prefix.domain),
            builder: signed.builder,
        };
        if !due.remove(&burn) {
            return Err(InvalidBlock::Burn("one is not due"));
        }
        if !signed.is_authentic(prefix.domain) {
            return Err(InvalidBlock::Burn("its builder did not sign the bid"));
        }
    }
    if due.is_empty() {
        Ok(())
    } else {
        Err(InvalidBlock::Burn("one that is due is left out"))
    }
}

/// With a bid, fee leaf 0 is the proposer's and takes only the bid's payment.
fn check_bid_leaves(block: &Block) -> Result<(), InvalidBlock> {
    if block.header.bid.is_none() {
        return Ok(());
    }
    let pays_proposer = block.payload.entries.iter().any(|entry| match entry {
        Entry::BidBurn(_) => false,
        Entry::Submission {
            submission,
            fee_leaves,
        } => submission
            .members()
            .iter()
            .zip(fee_leaves)
            .any(|(member, selector)| member.transaction.fee.get() > 0 && *selector == 0),
    });
    if pays_proposer {
        return Err(InvalidBlock::Bid(
            "a fee goes to fee leaf 0, which takes only the bid",
        ));
    }
    Ok(())
}

/// Excuses are for listed submissions only, ascending by name, and carry valid signatures: an excuse with a broken
/// signature would turn a good submission into an invalid one, because names do not cover signatures.
fn check_excuse_form(
    block: &Block,
    listed: &BTreeSet<ListHash>,
    domain: &Domain,
) -> Result<(), InvalidBlock> {
    let excuses = &block.payload.excuses;
    if excuses.len() > listed.len() {
        return Err(InvalidBlock::Payload(
            "more excuses than listed transactions",
        ));
    }
    let mut last = None;
    for (place, submission) in excuses.iter().enumerate() {
        let excuse = |reason| InvalidBlock::Excuse { place, reason };
        if !submission.has_valid_size() {
            return Err(excuse("malformed group"));
        }
        let name = submission.list_hash(domain);
        if !listed.contains(&name) {
            return Err(excuse("it is not listed"));
        }
        if last.is_some_and(|last| last >= name) {
            return Err(excuse("excuses must ascend, each once"));
        }
        last = Some(name);
    }
    let claims: Vec<Claim> = excuses
        .iter()
        .flat_map(|submission| submission.claims(domain))
        .collect();
    if verify_batch(&claims) {
        Ok(())
    } else {
        Err(InvalidBlock::Signature)
    }
}

/// Every listed submission stands in the block, or is excused: it does not apply after the block, or the list's share
/// of a resource it needs is used up by listed submissions and it does not fit the rest.
fn check_list(
    block: &Block,
    listed: &BTreeSet<ListHash>,
    after: &BlockExecution<'_>,
    domain: &Domain,
) -> Result<(), InvalidBlock> {
    if listed.is_empty() {
        return Ok(());
    }
    let mut missing = listed.clone();
    let mut list_usage = Usage::default();
    for entry in &block.payload.entries {
        if let Entry::Submission { submission, .. } = entry
            && missing.remove(&submission.list_hash(domain))
        {
            list_usage = entry
                .operations(domain)
                .iter()
                .fold(list_usage, Usage::with);
        }
    }
    for (place, submission) in block.payload.excuses.iter().enumerate() {
        if !missing.remove(&submission.list_hash(domain)) {
            let reason = "the block holds it";
            return Err(InvalidBlock::Excuse { place, reason });
        }
        let fits = has_room(block.header.core.usage, list_usage, submission, domain);
        if fits && applies(submission, block, after, domain) {
            let reason = "it applies after the block, and fits";
            return Err(InvalidBlock::Excuse { place, reason });
        }
    }
    match missing.pop_first() {
        Some(hash) => Err(InvalidBlock::ListedMissing(hash)),
        None => Ok(()),
    }
}

/// Whether the submission applies after the block with some choice of fee leaves.
fn applies(
    submission: &Submission,
    block: &Block,
    after: &BlockExecution<'_>,
    domain: &Domain,
) -> bool {
    let core = &block.header.core;
    let first = u8::from(block.header.bid.is_some());
    let tokens = |selector: u8| {
        core.fee_leaves
            .get(selector)
            .and_then(|leaf| after.leaf(leaf))
            .map(|leaf| leaf.token)
    };
    let selectors = submission.members().iter().map(|member| {
        let token = after.leaf(member.transaction.from).map(|leaf| leaf.token);
        match member.transaction.fee.get() {
            0 => 0,
            _ => (first..core.fee_leaves.count())
                .find(|selector| tokens(*selector) == token)
                .unwrap_or(first),
        }
    });
    let entry = Entry::Submission {
        fee_leaves: selectors.collect(),
        submission: submission.clone(),
    };
    after.clone().push_entry(domain, &entry).is_ok()
}

/// Whether the block had room for one more listed submission: within the block's limits, or within the list's share.
fn has_room(total: Usage, listed: Usage, submission: &Submission, domain: &Domain) -> bool {
    let entry = Entry::Submission {
        fee_leaves: vec![0; submission.members().len()],
        submission: submission.clone(),
    };
    let operations = entry.operations(domain);
    let grown = |usage: Usage| operations.iter().fold(usage, Usage::with);
    let (total, listed) = (grown(total), grown(listed));
    let room = |total: u64, listed: u64, limit: u64| total <= limit || listed <= limit / LIST_SHARE;
    room(total.absorptions, listed.absorptions, BATCH_ABSORPTIONS_MAX)
        && room(
            total.withdrawals,
            listed.withdrawals,
            WITHDRAWALS_PER_BATCH_MAX,
        )
}

#[cfg(test)]
mod tests;
