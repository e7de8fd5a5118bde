//! Who calls: contracts that pass a call on and log what came of it, tokens, and the verifier of this campaign.
//!
//! A receipt does not hold what a call reverted with, and a call from outside costs gas. An actor is called with target, value
//! and bytes, calls with its own ether, and logs whether that succeeded and what was returned: the exact error of the very
//! transaction that changed the chain, and balances that no gas blurs. Hand-written code, because only contracts of the
//! product come out of the compiler here.

use alloy_primitives::{Address, Bytes, U256, hex};
use settlement::Receipt;

use super::world::{Done, Refusal};
use crate::stage::Stage;

/// The account that sends every transaction.
pub(super) const OPERATOR: usize = 4;

/// Takes ether when called with nothing. Else calls address 0..32 with value 32..64 and the bytes from 64 on, and logs the
/// outcome (32 bytes) and what was returned.
const ACTOR: [u8; 41] = hex!(
    "3615602757 60403603 80 6040 5f 37 5f 5f 91 5f 602035 5f35 5a f1 5f52 3d5f60203e 3d602001 5fa0 00 5b00"
);

/// Base units of a token at first: more than an escrow may hold.
pub(super) const SUPPLY_BITS: usize = 122;

/// Creation code that returns this code.
fn creation(prefix: &[u8], code: &[u8]) -> Bytes {
    let length = u8::try_from(code.len()).expect("short");
    let offset = u8::try_from(prefix.len() + 10).expect("short");
    let copy = [
        0x60, length, 0x60, offset, 0x5f, 0x39, 0x60, length, 0x5f, 0xf3,
    ];
    [prefix, &copy, code].concat().into()
}

pub(super) fn actor_code() -> Bytes {
    creation(&[], &ACTOR)
}

/// A token without allowances, all of it the creator's, that keeps so many hundredths of each transfer; it takes no ether.
pub(crate) fn token_code(fee: u8) -> Bytes {
    let mut code = hex!(
        // selector; balanceOf, transfer, transferFrom, or revert
        "5f3560e01c 80 6370a08231 14 6025 57 80 63a9059cbb 14 6030 57 6323b872dd 14 603b 57 5f5ffd"
        // 25: balance of the argument
        "5b 600435 54 5f52 60205ff3"
        // 30: from the caller
        "5b 33 600435 602435 6045 56"
        // 3b: from the first argument
        "5b 600435 602435 604435"
        // 45: moves, keeps the fee, returns true
        "5b 82 54 81 81 10 606a 57 81 90 03 83 55 80 6000 02 6064 90 04 90 03 81 54 01 90 55 6001 5f52 60205ff3"
        // 6a
        "5b 5f5ffd"
    );
    code[0x55] = fee;
    // sstore(caller, supply)
    let supply = (U256::from(1) << SUPPLY_BITS).to_be_bytes::<32>();
    let prefix = [&[0x7f], &supply[..], &[0x33, 0x55]].concat();
    creation(&prefix, &code)
}

/// Code of a verifier that takes the Keccak hash of the thirteen inputs as their proof.
pub(crate) fn verifier_code() -> Bytes {
    Bytes::from_static(&hex!(
        "6101a0 6004 5f 37 6101a0 5f 20 6101e4 35 14 5f52 60205ff3"
    ))
}

/// Sends a call through an actor; its receipt, and what the called contract made of it.
pub(super) async fn act(
    stage: &Stage,
    actor: Address,
    (to, value, input): (Address, U256, &Bytes),
) -> (Receipt, Done) {
    let mut bytes = to.into_word().to_vec();
    bytes.extend_from_slice(&value.to_be_bytes::<32>());
    bytes.extend_from_slice(input);
    let receipt = stage
        .transact(OPERATOR, actor, U256::ZERO, &bytes.into())
        .await;
    assert!(receipt.succeeded, "an actor does not revert: {receipt:?}");
    let logs = stage.logs(&receipt).await;
    let own = logs.iter().rfind(|log| log.inner.address == actor);
    let data = &own.expect("an actor logs").inner.data.data;
    let (outcome, returned) = data.split_at(32);
    let done = if outcome[31] == 1 {
        Ok(())
    } else {
        Err(Refusal(Bytes::copy_from_slice(returned)))
    };
    (receipt, done)
}
