//! The probe contract (`tests/probe/Probe.sol`): its code and its calls, encoded by hand.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use settlement::Call;

/// The code that creates it.
pub(crate) fn code() -> Bytes {
    let text = include_str!("../probe/Probe.hex").trim();
    Bytes::from(hex::decode(text).expect("Probe.hex is hex"))
}

pub(crate) fn store(slot: U256, value: U256) -> Bytes {
    encode("store(uint256,uint256)", &[slot, value])
}

pub(crate) fn load(probe: Address, slot: U256) -> Call {
    call(probe, encode("load(uint256)", &[slot]))
}

pub(crate) fn refuse(probe: Address) -> Call {
    call(probe, encode("refuse()", &[]))
}

/// Number, time, chain id and the parent's hash, as the contract sees them.
pub(crate) fn seen(probe: Address) -> Call {
    call(probe, encode("seen()", &[]))
}

/// First topic of its event.
pub(crate) fn stored() -> B256 {
    keccak256("Stored(uint256,uint256)")
}

/// What it reverts with.
pub(crate) fn refused() -> Bytes {
    encode("Refused(uint256)", &[U256::from(7)])
}

fn call(to: Address, input: Bytes) -> Call {
    Call {
        to,
        input,
        ..Call::default()
    }
}

fn encode(signature: &str, arguments: &[U256]) -> Bytes {
    let mut bytes = keccak256(signature)[..4].to_vec();
    for argument in arguments {
        bytes.extend(argument.to_be_bytes::<32>());
    }
    Bytes::from(bytes)
}
