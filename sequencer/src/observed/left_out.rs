//! What a block left out without need: a sign of censorship, when it goes on.

use protocol::{block::Block, number::Height, params::LIST_HASHES_MAX, transition::Operation};

use crate::{
    chain::{ChainConstants, View},
    executor::BLOCK_OPERATIONS,
    mempool::{Mempool, block_entry, simulate},
};

/// How many submissions of the pool stand there without need after `block`: this node could have listed them in its
/// precommit of the block before, they apply after this one as it is, and its resources had room for them. Counts up to
/// one list; of operations that follow each other the first. `view` and `pool` are those after the block.
///
/// One is no proof: the proposer may not have had it, or ask a higher fee.
pub(crate) fn left_out(
    constants: &ChainConstants,
    view: &View,
    pool: &Mempool,
    block: &Block,
) -> u64 {
    let core = &block.header.core;
    let pair = [Operation::Noop, Operation::Noop];
    let is_full = !pair
        .iter()
        .fold(core.usage, |usage, one| usage.with(one))
        .fits();
    let operations = usize::try_from(core.usage.operations).unwrap_or(usize::MAX);
    if is_full || operations >= BLOCK_OPERATIONS {
        return 0;
    }
    let before = Height(core.height.0.saturating_sub(1));
    let names = pool.listable(view, before, &Default::default(), LIST_HASHES_MAX);
    let is_needless = |submission: &protocol::transaction::Submission| {
        let Ok(entry) = block_entry(view, (&constants.fee_leaves, 0), submission) else {
            return false;
        };
        let operations = entry.operations(&constants.domain);
        let usage = operations
            .iter()
            .fold(core.usage, |usage, one| usage.with(one));
        usage.fits() && simulate(constants, view, submission).error.is_none()
    };
    let entries = names.iter().filter_map(|name| pool.named(name));
    let count = entries
        .filter(|entry| is_needless(&entry.submission))
        .count();
    u64::try_from(count).unwrap_or(u64::MAX)
}
