//! Whether the contracts hold what the model remembers.
//!
//! Small values and the newest batches and items are compared after every step; every batch, item, claim and exit when
//! `is_whole` says so.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use settlement::bindings::{
    Bridge, DesertExit, Inbox, Rollup, ValidatorRegistry, VerifierRegistry,
};

use super::calls::{Money, Timelock, Token};
use super::stream::Cast;
use super::world::{World, inbox_count};
use crate::stage::Stage;

/// Newest batches and items that are compared after every step.
const NEWEST: u64 = 3;

/// What differed.
struct Reader<'a> {
    stage: &'a Stage,
    differing: Vec<String>,
}

impl Reader<'_> {
    async fn same<C: SolCall>(&mut self, to: Address, call: C, expected: C::Return)
    where
        C::Return: PartialEq + std::fmt::Debug,
    {
        let is = self.stage.view(to, &call).await;
        if is != expected {
            let text = format!(
                "{}: the contract has {is:?}, the model {expected:?}",
                C::SIGNATURE
            );
            self.differing.push(text);
        }
    }
}

/// What differs between contracts and model; nothing, if they are the same.
pub(super) async fn differences(
    stage: &Stage,
    cast: &Cast,
    world: &World,
    is_whole: bool,
) -> Vec<String> {
    let mut reader = Reader {
        stage,
        differing: Vec::new(),
    };
    rollup(&mut reader, world, is_whole).await;
    inbox(&mut reader, world, is_whole).await;
    money(&mut reader, cast, world).await;
    let made = &world.rules.made;
    reader
        .same(
            made.timelock,
            Timelock::pausedUntilCall {},
            world.paused_until,
        )
        .await;
    for (epoch, (hash, began)) in &world.epochs {
        let call = ValidatorRegistry::epochsCall { epoch: *epoch };
        let is = stage.view(made.validators, &call).await;
        if (is.setHash, is.beganAt) != (*hash, *began) {
            reader
                .differing
                .push(format!("epoch {epoch}: {is:?}, the model {hash} {began}"));
        }
    }
    if is_whole {
        whole(&mut reader, world).await;
    }
    reader.differing
}

async fn rollup(reader: &mut Reader<'_>, world: &World, is_whole: bool) {
    let to = world.rules.made.rollup;
    reader.same(to, Rollup::modeCall {}, world.mode).await;
    reader
        .same(to, Rollup::provenCountCall {}, world.proven)
        .await;
    reader
        .same(to, Rollup::committedCountCall {}, world.committed)
        .await;
    reader
        .same(to, Rollup::waitingSinceCall {}, world.waiting_since)
        .await;
    reader
        .same(to, Rollup::provenRootCall {}, world.proven_root)
        .await;
    reader
        .same(to, Rollup::provenCountersCall {}, world.proven_counters)
        .await;
    reader
        .same(to, Rollup::committedRootCall {}, world.committed_root)
        .await;
    reader
        .same(
            to,
            Rollup::committedCountersCall {},
            world.committed_counters,
        )
        .await;
    let consumed = inbox_count(world.proven_counters);
    reader
        .same(to, Rollup::provenInboxCountCall {}, consumed)
        .await;
    let last = world
        .batches
        .last_key_value()
        .map_or(0, |(number, _)| *number);
    let first = if is_whole {
        1
    } else {
        world.committed.saturating_sub(NEWEST)
    };
    for batch in first..=last {
        let known = world.batches.get(&batch);
        let hash = known.map_or(B256::ZERO, |known| keccak256(known.stored.abi_encode()));
        let call = Rollup::batchHashCall { batchNumber: batch };
        reader.same(to, call, hash).await;
        let root = world.withdrawal_roots.get(&batch).copied();
        let call = Rollup::withdrawalRootCall { batchNumber: batch };
        reader.same(to, call, root.unwrap_or_default()).await;
    }
}

async fn inbox(reader: &mut Reader<'_>, world: &World, is_whole: bool) {
    let (to, count) = (world.rules.made.inbox, world.item_count());
    reader.same(to, Inbox::countCall {}, count).await;
    reader
        .same(to, Inbox::waitingCall {}, world.waiting())
        .await;
    reader.same(to, Inbox::feeCall {}, world.fee()).await;
    let first = if is_whole {
        0
    } else {
        count.saturating_sub(NEWEST)
    };
    for number in first..=count {
        let rolling = world.rolling_at(number).expect("not more than there are");
        reader
            .same(to, Inbox::rollingAtCall { number }, rolling)
            .await;
        if let Some(item) = world.item(number) {
            reader
                .same(to, Inbox::timeOfCall { number }, item.time)
                .await;
        }
    }
}

async fn money(reader: &mut Reader<'_>, cast: &Cast, world: &World) {
    let to = world.rules.made.bridge;
    let (stage, bridge) = (reader.stage, to);
    reader
        .same(to, Money::feesHeldCall {}, world.fees_held)
        .await;
    reader
        .same(
            to,
            Bridge::tokenCountCall {},
            U256::from(world.tokens.len()),
        )
        .await;
    for (token, address) in (0_u32..)
        .zip(&world.tokens)
        .take(world.rules.token_fee.len())
    {
        let escrow = world.escrow.get(&token).copied().unwrap_or_default();
        reader.same(to, Bridge::escrowCall { token }, escrow).await;
        for account in cast.people.iter().copied().chain([bridge]) {
            let is = if token == 0 {
                stage.balance(account).await
            } else {
                stage
                    .view(*address, &Token::balanceOfCall { account })
                    .await
            };
            let expected = world.balance(token, account);
            if is != expected {
                let text = format!("token {token} of {account}: {is}, the model {expected}");
                reader.differing.push(text);
            }
        }
        // what is owed is there, whatever happened
        let held = stage.view(to, &Money::solvencyCall { token }).await;
        if held.held < held.owed {
            let text = format!("token {token}: owes {} and has {}", held.owed, held.held);
            reader.differing.push(text);
        }
    }
    for prover in &cast.people {
        let credit = world.fee_credit.get(prover).copied().unwrap_or_default();
        reader
            .same(to, Bridge::feeCreditCall { prover: *prover }, credit)
            .await;
    }
}

async fn whole(reader: &mut Reader<'_>, world: &World) {
    let made = &world.rules.made;
    for (number, batch) in &world.batches {
        for index in (0_u64..).map(U256::from).take(batch.withdrawals.len() / 2) {
            let is_claimed = world.claimed.contains(&(*number, index));
            let call = Bridge::isClaimedCall {
                batchNumber: *number,
                index,
            };
            reader.same(made.bridge, call, is_claimed).await;
        }
    }
    for index in 0..16 {
        let is_exited = world.exited.contains(&index);
        reader
            .same(
                made.desert_exit,
                DesertExit::isExitedCall { index },
                is_exited,
            )
            .await;
    }
    for number in 0..world.item_count() {
        let is_refunded = world.refunded.contains(&number);
        let call = DesertExit::isRefundedCall { number };
        reader.same(made.desert_exit, call, is_refunded).await;
    }
    for version in 1..3 {
        let is_active = world.versions.get(&version) == Some(&false);
        let call = VerifierRegistry::isActiveCall { version };
        reader.same(made.verifiers, call, is_active).await;
    }
    for (id, at) in &world.ready_at {
        reader
            .same(made.timelock, Timelock::readyAtCall { id: *id }, *at)
            .await;
    }
}
