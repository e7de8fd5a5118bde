//! Validator sets, signatures and handovers as the contracts take them.
//!
//! A seat is 28 bytes (address, weight big-endian), a signer 66 (seat, r, s, recovery id), both ascending by address, so a set
//! hashes as `ValidatorSet::hash` and a seat is a signer's place in it. Signatures are not verified here.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use protocol::account::L1Address;
use protocol::certificate::Quorum;
use protocol::codec::to_bytes;
use protocol::handover::Handover;
use protocol::params::CIRCUIT_VERSION;
use protocol::validator::ValidatorSet;

use super::{BindingError, ValidatorRegistry};

/// The set as calldata.
#[must_use]
pub fn pack_seats(set: &ValidatorSet) -> Bytes {
    let seats = set.validators().iter();
    let bytes = seats.flat_map(|seat| seat.address.0.into_iter().chain(seat.weight.to_be_bytes()));
    bytes.collect()
}

/// The signatures as calldata.
///
/// # Errors
/// [`BindingError::Stranger`] or [`BindingError::Order`].
pub fn pack_signers(signatures: &Quorum, set: &ValidatorSet) -> Result<Bytes, BindingError> {
    let mut bytes = Vec::new();
    let mut last: Option<L1Address> = None;
    for one in signatures.iter() {
        if last.is_some_and(|last| last >= one.validator) {
            return Err(BindingError::Order(one.validator));
        }
        last = Some(one.validator);
        let mut seats = (0_u8..).zip(set.validators());
        let seat = seats.find(|(_, seat)| seat.address == one.validator);
        let (number, _) = seat.ok_or(BindingError::Stranger(one.validator))?;
        bytes.push(number);
        bytes.extend_from_slice(&one.signature.0);
    }
    Ok(bytes.into())
}

/// `ValidatorRegistry.handOver`: a decided block of an epoch in which no batch ended. `set` is the set of its epoch.
///
/// # Errors
/// As [`pack_signers`].
pub fn hand_over(handover: &Handover, set: &ValidatorSet) -> Result<Bytes, BindingError> {
    let call = ValidatorRegistry::handOverCall {
        circuitVersion: CIRCUIT_VERSION,
        core: to_bytes(&handover.core).into(),
        bid: to_bytes(&handover.bid).into(),
        round: handover.certificate.round.0,
        set: pack_seats(set),
        signatures: pack_signers(&handover.certificate.signatures, set)?,
    };
    Ok(call.abi_encode().into())
}

/// What a validator's key signs so that `staker` may register it; the signature is the proof of `register`.
#[must_use]
pub fn registration_digest(
    chain_id: u64,
    registry: Address,
    staker: Address,
    validator: L1Address,
) -> B256 {
    let name = "QUORATE/settlement/registration/v1".to_owned();
    let validator = super::address(validator);
    keccak256((name, chain_id, registry, staker, validator).abi_encode_params())
}
