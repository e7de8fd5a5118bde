//! What senders and operators see of the soft chain.

use api::{
    set::SetWeights,
    soft::{SoftChainJson, SoftHeadJson},
    status::FinalityMode,
};
use protocol::{
    number::Height,
    soft::{SoftHash, SoftNode},
    transaction::TransactionId,
};

use super::{Above, Soft};
use crate::config::Mode;

/// Ends of chains that are shown.
const HEADS_SHOWN_MAX: usize = 64;

/// Where an operation stands in the chain that this node follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) base_height: Height,
    pub(crate) number: u64,
    pub(crate) block: SoftHash,
    pub(crate) weight_signed: u64,
    pub(crate) weights: SetWeights,
    /// When this node had the block.
    pub(crate) time_ms: u64,
}

fn number(weight: u128) -> u64 {
    u64::try_from(weight).unwrap_or(u64::MAX)
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

impl From<Mode> for FinalityMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Halt => Self::Halt,
            Mode::Available => Self::Available,
        }
    }
}

impl Soft {
    /// The soft block that holds an operation, if one on the way to the head does.
    pub(crate) fn told(&self, id: &TransactionId) -> Option<Told> {
        if self.rules.mode == Mode::Halt {
            return None; // no lock is taken where nothing can be soft
        }
        let above = self.above();
        let block = *above.places.get(id)?;
        Some(Told {
            base_height: above.tree.base().0,
            number: above.tree.number_of(&block)?,
            block,
            weight_signed: number(above.weight(&block)),
            weights: SetWeights::new(&above.set),
            time_ms: above.applied.get(&block)?.seen_ms,
        })
    }

    /// All chains above the newest certified block.
    pub(crate) fn shown(&self) -> SoftChainJson {
        let above = self.above();
        let (base_height, base) = above.tree.base();
        let heads = above.tree.tips().take(HEADS_SHOWN_MAX);
        SoftChainJson {
            mode: self.rules.mode.into(),
            is_active: self.is_stalled(&above),
            base_height: base_height.0,
            base: base.into(),
            weight_total: number(above.set.total()),
            head: above.choice.head.map(|head| head.0.into()),
            heads: heads.map(|(hash, node)| head(&above, hash, node)).collect(),
        }
    }
}

fn head(above: &Above, hash: SoftHash, node: &SoftNode) -> SoftHeadJson {
    let block = &node.proposal.block;
    let chain = above.tree.chain(Some(hash));
    let applied = chain.iter().filter_map(|(hash, _)| above.applied.get(hash));
    let votes = above.tree.votes().filter(|one| one.vote.block == hash);
    let rooted = chain.first().map_or(0, |(first, _)| above.weight(first));
    SoftHeadJson {
        block: hash.0.into(),
        number: block.number,
        author: block.author.into(),
        time_ms: block.time_ms,
        blocks: count(chain.len()),
        operations: count(applied.map(|applied| applied.ids.len()).sum()),
        signers: votes.map(|one| one.validator.into()).collect(),
        weight_signed: number(above.weight(&hash)),
        weight_rooted: number(rooted),
    }
}
