//! Judging a snapshot: from genesis to the set that signed, from its signatures to blocks and state root, from the root
//! to every leaf.
//!
//! Invariant: what [`judge`] returns is what more than two thirds of the set of its epoch have certified, or has no
//! meaning. What this module does not do: notice that old keys were bought (a long-range attack, `protocol::handover`);
//! an operator compares the block's id with a node that is trusted.

use std::{io::Read, path::Path};

use protocol::{
    block::{BlockHeader, Tip},
    genesis::Genesis,
    handover::{BrokenChain, Handover},
    number::{BatchNumber, Epoch, Height},
    state::State,
    threaded::Threaded,
    transaction::Domain,
    validator::ValidatorSet,
};

use super::{
    Head, SnapshotError, SnapshotInfo,
    frame::{FrameReader, Kind},
    write::LEAVES_MAX,
};
use crate::storage::{OpenBatchRecord, Restored, StoredBlock};

/// A snapshot that holds.
pub(super) struct Judged {
    head: Head,
    handovers: Vec<Handover>,
    blocks: Vec<StoredBlock>,
    state: State,
    tip: Tip,
    pub(super) info: SnapshotInfo,
}

impl Judged {
    /// What a database is made of.
    pub(super) fn restored(&self, now_ms: u64) -> Restored<'_> {
        let commitment = &self.head.checkpoint.commitment;
        Restored {
            state: &self.state,
            tip: self.tip,
            open: OpenBatchRecord {
                number: BatchNumber(commitment.batch_number.0.saturating_add(1)),
                first_height: Height(self.tip.height.0.saturating_add(1)),
                published_height: self.head.published_height,
                inbox_count: self.head.inbox_count,
                root: self.state.root(),
            },
            checkpoint: &self.head.checkpoint,
            restart: self.head.restart.as_ref(),
            blocks: &self.blocks,
            first_epoch: self.head.first_epoch(),
            handovers: &self.handovers,
            next_set: &self.head.next_set,
            now_ms,
        }
    }
}

/// Reads and judges a whole snapshot.
///
/// # Errors
/// [`SnapshotError`].
pub(super) fn judge(
    from: &mut dyn Read,
    path: &Path,
    genesis: &Genesis,
) -> Result<Judged, SnapshotError> {
    let domain = genesis.domain();
    let mut frames = FrameReader::new(from, path)?;
    let head: Head = frames.read(Kind::Head)?;
    check_beginning(&head, genesis, &domain)?;
    let last = head.last_height();
    let epoch = Epoch::of(last);
    let first = head.first_epoch();
    // the file must have as many as the head claims, so it bounds them
    let mut handovers: Vec<Handover> = Vec::new();
    for at in first.0..epoch.0 {
        let at = Epoch(at);
        let link: Handover = frames.read(Kind::Handover)?;
        let set = set_of(genesis, (first, &handovers), at)?;
        link.verify(&domain, at, set)
            .map_err(|reason| BrokenChain { epoch: at, reason })?;
        handovers.push(link);
    }
    let chain = (first, handovers.as_slice());
    check_batch(&head, set_of(genesis, chain, epoch)?, &domain)?;
    let mut blocks: Vec<StoredBlock> = Vec::new();
    for height in head.first_block().0..=last.0 {
        let stored: StoredBlock = frames.read(Kind::Block)?;
        let set = set_of(genesis, chain, Epoch::of(Height(height)))?;
        check_block(&stored, Height(height), (set, &domain))?;
        if let Some(before) = blocks.last() {
            let parent = stored.block.header.core.parent;
            if parent != before.block.id() {
                return Err(inconsistent(format!(
                    "block {height} does not follow the one before"
                )));
            }
        }
        blocks.push(stored);
    }
    let commitment = &head.checkpoint.commitment;
    let newest = blocks.last().map(|stored| &stored.block.header);
    let newest = newest
        .filter(|header| header.id() == commitment.last_block)
        .ok_or_else(|| inconsistent(format!("block {last} is not the last one of its batch")))?;
    let tip = Tip {
        height: last,
        id: commitment.last_block,
        timestamp_ms: newest.core.timestamp_ms,
        inbox_count: head.inbox_count,
        l1_origin: newest.core.l1_origin,
    };
    let state = read_state(&mut frames, &head)?;
    let (bytes, contents) = frames.finish()?;
    let info = SnapshotInfo {
        height: last,
        block: tip.id,
        root: state.root(),
        leaf_count: head.leaf_count,
        batch: commitment.batch_number,
        epoch,
        blocks_from: head.first_block(),
        bytes,
        contents,
    };
    Ok(Judged {
        head,
        handovers,
        blocks,
        state,
        tip,
        info,
    })
}

fn inconsistent(what: String) -> SnapshotError {
    SnapshotError::Inconsistent(what)
}

/// Genesis, and what the chain goes on from.
fn check_beginning(head: &Head, genesis: &Genesis, domain: &Domain) -> Result<(), SnapshotError> {
    let expected = genesis.hash();
    if head.genesis != expected {
        return Err(SnapshotError::OtherGenesis {
            found: head.genesis,
            expected,
        });
    }
    let commitment = &head.checkpoint.commitment;
    let mut after = (BatchNumber(0), Height(0));
    if let Some(certificate) = &head.restart {
        certificate
            .verify(domain, &genesis.validators)
            .map_err(SnapshotError::Restart)?;
        let restart = &certificate.restart;
        after = (restart.batch, restart.last_height);
    }
    let (batch, height) = (commitment.batch_number, commitment.last_height);
    // a height that has none above it could not be gone on from
    if batch <= after.0 || height <= after.1 || height.0 >= u64::MAX / 2 {
        return Err(inconsistent(format!(
            "batch {batch} ends at height {height}, the chain begins after batch {}, height {}",
            after.0, after.1
        )));
    }
    Ok(())
}

/// The set of an epoch, from genesis or the handover before.
fn set_of<'a>(
    genesis: &'a Genesis,
    (first, handovers): (Epoch, &'a [Handover]),
    epoch: Epoch,
) -> Result<&'a ValidatorSet, SnapshotError> {
    if epoch <= first {
        return Ok(&genesis.validators);
    }
    let place = epoch.0.saturating_sub(first.0).saturating_sub(1);
    let link = usize::try_from(place)
        .ok()
        .and_then(|place| handovers.get(place));
    link.map(|link| &link.next)
        .ok_or_else(|| inconsistent(format!("the set of epoch {epoch} is not proven")))
}

/// The checkpoint, and what it says in hashes only.
fn check_batch(head: &Head, set: &ValidatorSet, domain: &Domain) -> Result<(), SnapshotError> {
    head.checkpoint.verify(domain, set)?;
    let commitment = &head.checkpoint.commitment;
    if commitment.next_set_hash != head.next_set.hash() {
        return Err(inconsistent(
            "the set of the next epoch is not the one that was certified".to_owned(),
        ));
    }
    let counters = Threaded::batch_start(
        commitment.root_after,
        head.leaf_count,
        head.published_height,
        head.inbox_count,
    )
    .counters();
    if counters != commitment.counters_after {
        return Err(inconsistent(format!(
            "{} leaves, published height {} and {} inbox items are not what was certified",
            head.leaf_count, head.published_height, head.inbox_count
        )));
    }
    Ok(())
}

/// A decided block at its height, whose content is what its id covers.
fn check_block(
    stored: &StoredBlock,
    height: Height,
    (set, domain): (&ValidatorSet, &Domain),
) -> Result<(), SnapshotError> {
    let (block, certificate) = (&stored.block, &stored.certificate);
    let header = &block.header;
    let named = (certificate.height, certificate.block);
    if header.core.height != height || named != (height, block.id()) {
        let what = format!("the block or certificate in the place of height {height} is another");
        return Err(inconsistent(what));
    }
    certificate
        .verify(domain, set)
        .map_err(|reason| SnapshotError::Certificate { height, reason })?;
    if block.payload.root() != header.core.payload_root {
        let what = format!("the payload of block {height} is not the one that was decided");
        return Err(inconsistent(what));
    }
    if embedded(header) != Some(header.core.certificate_hash) {
        let what = format!("the certificate inside block {height} is not the one that was decided");
        return Err(inconsistent(what));
    }
    Ok(())
}

/// Hash of what a header embeds of its parent; `None` if it embeds two things.
fn embedded(header: &BlockHeader) -> Option<[u8; 32]> {
    match (&header.certificate, &header.restart) {
        (Some(certificate), None) => Some(certificate.hash()),
        (None, Some(restart)) => Some(restart.hash()),
        (None, None) => Some([0; 32]),
        (Some(_), Some(_)) => None,
    }
}

/// All leaves, and the certified root over them.
fn read_state(frames: &mut FrameReader<'_>, head: &Head) -> Result<State, SnapshotError> {
    let mut leaves = Vec::new();
    let mut left = head.leaf_count;
    while left > 0 {
        let more: Vec<protocol::account::Leaf> = frames.read(Kind::Leaves)?;
        let most = u64::try_from(LEAVES_MAX).unwrap_or(u64::MAX).min(left);
        let count = u64::try_from(more.len()).unwrap_or(u64::MAX);
        if count != most {
            let what = format!("{count} leaves stand where {most} should");
            return Err(SnapshotError::Damaged(what));
        }
        leaves.extend(more);
        left = left.saturating_sub(count);
    }
    let state = State::new(leaves);
    let certified = head.checkpoint.commitment.root_after;
    if state.root() != certified {
        return Err(SnapshotError::Root {
            certified,
            found: state.root(),
        });
    }
    Ok(state)
}
