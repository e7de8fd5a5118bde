//! A proposer's promise as JSON.

use protocol::preconfirmation::SignedPreconfirmation;
use serde::{Deserialize, Serialize};

use crate::text::{AddressText, BytesText, HashText};

/// What the next proposer promises of an operation: less than a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreconfirmationJson {
    /// The operation.
    pub id: HashText,
    /// Height of the block that it will stand in, if that block is decided.
    pub height: u64,
    /// Place among the block's signed operations, from 0; burns are not counted.
    pub place: u32,
    /// Who promises.
    pub proposer: AddressText,
    /// 65 bytes r, s, v over `keccak256(abi.encode("QUORATE/protocol/preconfirmation/v1", domain, height, place, id))`.
    pub signature: BytesText,
    /// What it is worth, in words.
    pub tier: String,
}

impl From<&SignedPreconfirmation> for PreconfirmationJson {
    fn from(signed: &SignedPreconfirmation) -> Self {
        let promise = &signed.preconfirmation;
        let proposer: AddressText = signed.proposer.into();
        Self {
            id: promise.transaction.into(),
            height: promise.height.0,
            place: promise.place,
            tier: format!(
                "preconfirmed by {}, can be broken; it then loses its stake",
                proposer.0
            ),
            proposer,
            signature: BytesText::from(&signed.signature.0[..]),
        }
    }
}
