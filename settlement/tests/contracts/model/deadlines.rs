//! Time in the stream: waits that end at deadlines to the second, and what is tried there.

use alloy_primitives::U256;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use settlement::bindings::Rollup;

use super::calls::ContractCall;
use super::stream::Step;
use super::world::{ACTIVE, DESERT, World};

/// Seconds from a block to the next, unless it is waited.
const BLOCK_SECONDS: u64 = 12;

/// The last second at which something may not be done yet, and what that is.
fn deadlines(world: &World) -> Vec<(u64, ContractCall)> {
    let timing = &world.rules.timing;
    let mut all = Vec::new();
    if let Some(since) = world.oldest().filter(|_| world.mode != DESERT) {
        let call = Rollup::RollupCalls::triggerDesert(Rollup::triggerDesertCall {});
        all.push((since + timing.desert, ContractCall::Rollup(call)));
    }
    if let Some(since) = world.oldest().filter(|_| world.mode == ACTIVE) {
        let call = Rollup::RollupCalls::triggerEnforced(Rollup::triggerEnforcedCall {});
        all.push((since + timing.enforced, ContractCall::Rollup(call)));
    }
    if world.committed > world.proven {
        let batch = world.batches[&(world.proven + 1)].stored.clone();
        let last = batch.commitTime + timing.proof_window;
        let call = Rollup::RollupCalls::prune(Rollup::pruneCall { batch });
        all.push((last, ContractCall::Rollup(call)));
    }
    all
}

/// What is tried because the next block stands at its last second before, or its first.
pub(super) fn at_deadline(world: &World) -> Option<ContractCall> {
    let next = world.now + BLOCK_SECONDS;
    let due = |(last, _): &(u64, ContractCall)| next == *last || next == last + 1;
    deadlines(world).into_iter().find(due).map(|(_, call)| call)
}

/// Seconds to wait: short or long, or so that a deadline comes next.
pub(super) fn wait(rng: &mut ChaCha8Rng, world: &World) -> u64 {
    let timing = &world.rules.timing;
    // so that the block after the empty one stands at a deadline, or a second after it
    let mut near: Vec<u64> = deadlines(world).iter().map(|(last, _)| *last).collect();
    near.retain(|last| *last < world.now + timing.desert / 2);
    if !near.is_empty() && rng.gen_bool(0.3) {
        let at = near[rng.gen_range(0..near.len())] + rng.gen_range(0..2);
        return at.saturating_sub(world.now + 2 * BLOCK_SECONDS);
    }
    match rng.gen_range(0..20) {
        0 => timing.proof_window + 1,
        1 | 2 => timing.enforced + 1,
        3 => 3 * 24 * 3_600,
        _ => rng.gen_range(0..400),
    }
}

/// A step towards Desert: so long a wait that it is due, to the second or roughly, or the call that opens it.
pub(super) fn to_desert(rng: &mut ChaCha8Rng, world: &World) -> Step {
    match (rng.gen_range(0..4), world.oldest()) {
        (0, _) => return Step::Wait(world.rules.timing.desert + 1),
        (1, Some(since)) => {
            let at = since + world.rules.timing.desert + rng.gen_range(0..2);
            return Step::Wait(at.saturating_sub(world.now + 2 * BLOCK_SECONDS));
        }
        _ => {}
    }
    let call = Rollup::RollupCalls::triggerDesert(Rollup::triggerDesertCall {});
    Step::Call(0, U256::ZERO, Box::new(ContractCall::Rollup(call)))
}
