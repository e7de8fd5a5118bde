//! What follows from one block of the base layer that the reader trusts by its hash.
//!
//! A [`BlockHeader`] is the header's own bytes with their hash; only what all Ethereum headers since the first share is read
//! of them, so a fork that appends fields changes nothing here. A [`StateProof`] carries what an account and its storage
//! hold under the header's state root. Invariants: everything accepted follows from the hash; untrusted bytes never
//! panic. It does not know whether the block is final: that is the reader's belief, until light clients stand here.
//!
//! Source: yellow paper, 4.3 (block header) and appendix D; EIP-1186.

mod state_proof;

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{Decodable, Header as RlpHeader};

pub use state_proof::{ProofError, SlotProof, StateProof, absent_account};

/// Bytes of a header at most: the longest of today's are below 1 KiB.
pub const HEADER_BYTES_MAX: usize = 8 << 10;

/// Place of the state root among a header's fields.
const STATE_ROOT: usize = 3;
/// Place of the height.
const NUMBER: usize = 8;
/// Place of the time.
const TIMESTAMP: usize = 11;
/// Fields of the oldest headers.
const FIELDS_MIN: usize = 15;

/// A header of the base layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// keccak256 of its bytes: the block's hash.
    pub hash: B256,
    /// Root of all accounts after the block.
    pub state_root: B256,
    /// Height.
    pub number: u64,
    /// Unix seconds.
    pub timestamp: u64,
}

/// Bytes that are no header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a block header: {0}")]
pub struct HeaderError(String);

impl BlockHeader {
    /// Reads the RLP of a header.
    ///
    /// # Errors
    /// [`HeaderError`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let broken = |what: &str| HeaderError(what.to_owned());
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(broken("it is too long"));
        }
        let mut rest = bytes;
        let mut body = RlpHeader::decode_bytes(&mut rest, true)
            .map_err(|error| HeaderError(error.to_string()))?;
        if !rest.is_empty() {
            return Err(broken("bytes follow it"));
        }
        let mut fields = Vec::new();
        while !body.is_empty() {
            let whole = body;
            let header =
                RlpHeader::decode(&mut body).map_err(|error| HeaderError(error.to_string()))?;
            body = body
                .get(header.payload_length..)
                .ok_or_else(|| broken("a field is cut off"))?;
            let length = whole.len().saturating_sub(body.len());
            fields.push(whole.get(..length).unwrap_or(&[]));
        }
        if fields.len() < FIELDS_MIN {
            return Err(broken("fields are missing"));
        }
        Ok(Self {
            hash: keccak256(bytes),
            state_root: field(&fields, STATE_ROOT)?,
            number: field(&fields, NUMBER)?,
            timestamp: field(&fields, TIMESTAMP)?,
        })
    }
}

fn field<T: Decodable>(fields: &[&[u8]], place: usize) -> Result<T, HeaderError> {
    let mut bytes = *fields
        .get(place)
        .ok_or_else(|| HeaderError("fields are missing".to_owned()))?;
    T::decode(&mut bytes).map_err(|error| HeaderError(format!("field {place}: {error}")))
}

#[cfg(test)]
mod tests;
