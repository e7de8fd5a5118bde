//! The random stream: what is tried next, given where the model stands.
//!
//! Invariant: a seed and the times of blocks give the same stream. It looks at the model to try what is likely to work, and a
//! share of everything is wrong on purpose.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use protocol::number::{BatchNumber, LeafIndex};
use protocol::state::State;
use protocol::validator::{ValidatorKey, ValidatorSet};
use protocol::words::sequence_bytes;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use settlement::bindings::{
    Bridge, DesertExit, Inbox, Rollup, StoredBatch, claim, integer, leaf_exit,
};

use super::batches;
use super::calls::{ContractCall, Timelock, Verifiers};
use super::deadlines::{at_deadline, to_desert, wait};
use super::rollup::proof_of;
use super::world::{ACTIVE, DESERT, ENFORCED, World, leaf_count};

/// Deepest reorganisation.
pub(super) const DEPTH_MAX: u64 = 64;

/// Who and what there is.
pub(super) struct Cast {
    /// Keys of all seats of all sets.
    pub(super) keys: Vec<ValidatorKey>,
    /// The first set, a second, and one that is never named.
    pub(super) sets: Vec<ValidatorSet>,
    /// Trees that batches may lead to; genesis is the first.
    pub(super) states: Vec<State>,
    /// Contracts that call; the first governs.
    pub(super) actors: Vec<Address>,
    /// Everybody who may be owed something.
    pub(super) people: Vec<Address>,
    /// Until this step nearly everything is an item, so that the inbox fills up.
    pub(super) flood_until: usize,
}

/// What happens next.
#[derive(Debug)]
pub(super) enum Step {
    /// An actor calls a contract with so many wei.
    Call(usize, U256, Box<ContractCall>),
    /// An empty block, so many seconds later than usual.
    Wait(u64),
    /// Other empty blocks, so many, instead of the last ones.
    Reorg(u64, usize),
}

/// Draws step `number`. From step `late` on the stream wants to come to its end, Desert.
pub(super) fn draw(
    rng: &mut ChaCha8Rng,
    cast: &Cast,
    world: &World,
    (number, late): (usize, usize),
) -> Step {
    let actor = rng.gen_range(0..cast.actors.len());
    if number >= late && world.mode != DESERT && rng.gen_bool(0.5) {
        return to_desert(rng, world);
    }
    if number < cast.flood_until && rng.gen_bool(0.9) {
        return item(rng, cast, world, actor);
    }
    if world.mode == ACTIVE && world.is_enforced_due() && rng.gen_bool(0.4) {
        let call = Rollup::RollupCalls::triggerEnforced(Rollup::triggerEnforcedCall {});
        return Step::Call(actor, U256::ZERO, Box::new(ContractCall::Rollup(call)));
    }
    if rng.gen_bool(0.7)
        && let Some(call) = at_deadline(world)
    {
        return Step::Call(actor, U256::ZERO, Box::new(call));
    }
    let call = match (rng.gen_range(0..100), world.mode) {
        (0..14, _) => return item(rng, cast, world, actor),
        (14..18, _) => return Step::Wait(wait(rng, world)),
        (18..21, _) => {
            let depth = if rng.gen_bool(0.8) {
                rng.gen_range(1..6)
            } else {
                rng.gen_range(1..=DEPTH_MAX)
            };
            return Step::Reorg(depth, rng.gen_range(0..8));
        }
        (21..25, _) => return fund(rng, actor),
        (25..27, _) => governance(rng, world),
        (27..30, _) => {
            let prover = person(rng, cast);
            ContractCall::Bridge(Bridge::BridgeCalls::claimFees(Bridge::claimFeesCall {
                prover,
            }))
        }
        (30..40, _) => claims(rng, cast, world),
        (40..41, _) => {
            // people that are no contracts, or tokens that have their number
            let token = person(rng, cast);
            if cast.actors.contains(&token) {
                return Step::Wait(0);
            }
            let has_code = world.rules.rejecting.contains(&token);
            ContractCall::Register(Bridge::registerTokenCall { token }, has_code)
        }
        (41..44, DESERT) | (41..42, _) => other_rollup(rng, cast, world),
        (42..44, _) => exits(rng, cast, world),
        (44..72, DESERT) => exits(rng, cast, world),
        (72..90, DESERT) => refunds(rng, world),
        (44..68, ACTIVE) => ContractCall::Rollup(Rollup::RollupCalls::commitBatch(
            batches::commit(rng, cast, world),
        )),
        (44..86, ENFORCED) => {
            let prover = person(rng, cast);
            ContractCall::Rollup(Rollup::RollupCalls::commitAndProve(batches::settle(
                rng, cast, world, prover,
            )))
        }
        (44..92, _) => proves(rng, cast, world),
        _ => other_rollup(rng, cast, world),
    };
    Step::Call(actor, U256::ZERO, Box::new(call))
}

fn person(rng: &mut ChaCha8Rng, cast: &Cast) -> Address {
    cast.people[rng.gen_range(0..cast.people.len())]
}

/// A deposit or a forced operation, with the fee or a wrong one.
fn item(rng: &mut ChaCha8Rng, cast: &Cast, world: &World, actor: usize) -> Step {
    let fee = world.fee();
    let paid = match rng.gen_range(0..20) {
        0 => fee - U256::from(1),
        1 => U256::ZERO,
        2 => U256::from(19) * U256::from(10).pow(U256::from(18)),
        3 | 4 => fee + U256::from(rng.r#gen::<u32>()),
        _ => fee,
    };
    let key = |rng: &mut ChaCha8Rng| match rng.gen_range(0..12) {
        0 => U256::MAX,
        1 => U256::ZERO,
        _ => U256::from(rng.r#gen::<u128>()),
    };
    let owner = match rng.gen_range(0..12) {
        0 => Address::ZERO,
        _ => person(rng, cast),
    };
    let small = U256::from(rng.r#gen::<u64>() >> 8);
    let amount = match rng.gen_range(0..12) {
        0 => U256::ZERO,
        1 => U256::from(1) << 120,
        _ => small,
    };
    let (from, to) = (rng.gen_range(0..12), rng.gen_range(0..12));
    let token = if rng.gen_bool(0.9) {
        rng.gen_range(0..3)
    } else {
        7
    };
    let mut value = paid;
    let call = match rng.gen_range(0..10) {
        0..5 => {
            let amount = if token == 0 { small } else { amount };
            if token == 0 && rng.gen_bool(0.95) {
                value += amount;
            }
            Inbox::InboxCalls::deposit(Inbox::depositCall {
                token,
                amount,
                to,
                l1Owner: owner,
                keyX: key(rng),
                keyY: key(rng),
            })
        }
        5 => Inbox::InboxCalls::forceTransfer((from, to, token, amount).into()),
        6 => {
            let (x, y) = (key(rng), key(rng));
            Inbox::InboxCalls::forceTransferToNew((from, token, amount, owner, x, y).into())
        }
        7 => Inbox::InboxCalls::forceWithdraw((from, token, amount).into()),
        8 => {
            let (x, y) = (key(rng), key(rng));
            Inbox::InboxCalls::forceChangeKey((from, token, x, y).into())
        }
        _ => Inbox::InboxCalls::forceExit((from, token).into()),
    };
    Step::Call(actor, value, Box::new(ContractCall::Inbox(call)))
}

fn fund(rng: &mut ChaCha8Rng, actor: usize) -> Step {
    let token = rng.gen_range(0..4);
    let amount = U256::from(rng.r#gen::<u64>() >> 4);
    let value = if (token == 0) == rng.gen_bool(0.9) {
        amount
    } else {
        U256::ZERO
    };
    let amount = if token != 0 && rng.gen_bool(0.1) {
        U256::from(1) << rng.gen_range(118..124)
    } else {
        amount
    };
    let call = Bridge::BridgeCalls::fund(Bridge::fundCall { token, amount });
    Step::Call(actor, value, Box::new(ContractCall::Bridge(call)))
}

fn governance(rng: &mut ChaCha8Rng, world: &World) -> ContractCall {
    let version = rng.gen_range(1..3);
    let target = world.rules.made.verifiers;
    let data: Bytes = Verifiers::disableCall { version }.abi_encode().into();
    let salt = B256::ZERO;
    ContractCall::Timelock(match rng.gen_range(0..12) {
        0..3 => Timelock::TimelockCalls::pause(Timelock::pauseCall {}),
        3..6 => Timelock::TimelockCalls::unpause(Timelock::unpauseCall {}),
        6..8 if version == 2 || rng.gen_bool(0.3) => {
            Timelock::TimelockCalls::schedule((target, data, salt).into())
        }
        6..10 => Timelock::TimelockCalls::execute((target, data, salt).into()),
        _ => return ContractCall::Disable(Verifiers::disableCall { version }),
    })
}

/// A batch that the contract may know: mostly the next to prove.
fn stored(rng: &mut ChaCha8Rng, world: &World, number: u64) -> StoredBatch {
    let known = world.batches.get(&number).or_else(|| {
        let last = world.batches.last_key_value();
        last.map(|(_, batch)| batch)
    });
    let mut stored = known.map(|batch| batch.stored.clone()).unwrap_or_default();
    if rng.gen_bool(0.05) {
        stored.commitTime += 1;
    }
    stored
}

fn proves(rng: &mut ChaCha8Rng, cast: &Cast, world: &World) -> ContractCall {
    let number = match rng.gen_range(0..20) {
        0 => world.proven,
        1 => world.proven + 2,
        _ => world.proven + 1,
    };
    let prover = person(rng, cast);
    let batch = stored(rng, world, number);
    let inputs = world.batches.get(&number).map(|batch| batch.inputs);
    let named = if rng.gen_bool(0.1) {
        person(rng, cast)
    } else {
        prover
    };
    let mut proof = inputs
        .map_or(B256::ZERO, |inputs| proof_of(&inputs, named))
        .to_vec();
    match rng.gen_range(0..20) {
        0 => proof.truncate(31),
        1 => proof[5] ^= 1,
        2 => proof.push(0), // this verifier does not look at the rest
        _ => {}
    }
    let prover = if rng.gen_bool(0.03) {
        Address::ZERO
    } else {
        prover
    };
    ContractCall::Rollup(Rollup::RollupCalls::proveBatch(Rollup::proveBatchCall {
        batch,
        prover,
        proof: proof.into(),
    }))
}

fn other_rollup(rng: &mut ChaCha8Rng, cast: &Cast, world: &World) -> ContractCall {
    ContractCall::Rollup(match rng.gen_range(0..10) {
        0..4 => {
            let number = world.proven + rng.gen_range(0..3);
            let batch = stored(rng, world, number);
            Rollup::RollupCalls::prune(Rollup::pruneCall { batch })
        }
        4..7 => Rollup::RollupCalls::triggerEnforced(Rollup::triggerEnforcedCall {}),
        7 => Rollup::RollupCalls::triggerDesert(Rollup::triggerDesertCall {}),
        8 => Rollup::RollupCalls::commitBatch(batches::commit(rng, cast, world)),
        _ => {
            let batch = stored(rng, world, world.proven + 1);
            return ContractCall::ProveCommitted(batch);
        }
    })
}

fn claims(rng: &mut ChaCha8Rng, cast: &Cast, world: &World) -> ContractCall {
    let withdrawing: BTreeMap<_, _> = world
        .batches
        .iter()
        .filter(|(_, batch)| !batch.withdrawals.is_empty())
        .collect();
    let chosen = withdrawing.iter().nth(rng.gen_range(0..=withdrawing.len()));
    let Some((number, batch)) = chosen else {
        let prover = person(rng, cast);
        return ContractCall::Bridge(Bridge::BridgeCalls::claimFees(Bridge::claimFeesCall {
            prover,
        }));
    };
    let count = u64::try_from(batch.withdrawals.len() / 2).expect("few");
    let index = rng.gen_range(0..count);
    let made = claim(BatchNumber(**number), index, &batch.withdrawals).expect("it is there");
    let mut call = Bridge::claimCall::abi_decode(&made.input).expect("ours");
    match rng.gen_range(0..16) {
        0 => call.index += U256::from(1),
        1 => call.batchNumber += 1,
        2 => call.words = call.words.slice(..61),
        3 => call.path.push(B256::ZERO),
        _ => {}
    }
    ContractCall::Bridge(Bridge::BridgeCalls::claim(call))
}

fn exits(rng: &mut ChaCha8Rng, cast: &Cast, world: &World) -> ContractCall {
    let proven = |state: &&State| integer(&state.root()) == world.proven_root;
    let state = cast.states.iter().find(proven);
    let state = state.expect("only these roots are ever proven");
    let index = u32::try_from(rng.gen_range(0..=leaf_count(world.proven_counters)));
    let index = index.expect("small trees");
    // one too many: the contract must not look at the leaf at all
    let shown = index.min(u32::try_from(state.leaf_count() - 1).expect("small trees"));
    let made = leaf_exit(state, LeafIndex(shown)).expect("it is there");
    let mut call = DesertExit::exitCall::abi_decode(&made.input).expect("ours");
    call.index = index;
    match rng.gen_range(0..16) {
        0 => call.leaf.balance += alloy_primitives::Uint::from(1),
        1 => call.siblings[3][1] ^= U256::from(1),
        2 => call.leaf.keyX = U256::MAX,
        3 => call.siblings[15][2] = U256::MAX,
        4 => call.leaf.l1Owner = cast.actors[0],
        _ => {}
    }
    ContractCall::Desert(Box::new(DesertExit::DesertExitCalls::exit(call)))
}

fn refunds(rng: &mut ChaCha8Rng, world: &World) -> ContractCall {
    let number = rng.gen_range(0..world.item_count() + 2);
    let known = world.item(number).or(world.items.last());
    let mut words = known.map_or(Vec::new(), |item| sequence_bytes(&item.item.0));
    match rng.gen_range(0..12) {
        0 => words.truncate(154),
        1 if !words.is_empty() => words[30] ^= 1,
        _ => {}
    }
    let words = Bytes::from(words);
    let call = DesertExit::refundCall { number, words };
    ContractCall::Desert(Box::new(DesertExit::DesertExitCalls::refund(call)))
}
