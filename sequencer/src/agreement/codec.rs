//! Bytes of what validators send each other, and of the engine's log.
//!
//! A message is a version, a kind, and the Borsh bytes of its body (`vote`, `part`, `peer`). Decoding takes exactly what encoding
//! makes: no trailing bytes, no unknown tag, no second spelling, no list above its limit, and no memory that a length
//! prefix asks for before the bytes are there. What has no signature to check is refused here already: a message of the
//! nil round, an extension on anything but a precommit of a block, an Init where a proposal is due.
//!
//! The engine's log uses the same bytes: a change of them is a new [`VERSION`], which an old log does not survive.
//!
//! What this module does not do: check signatures, membership or blocks.

mod list;
mod part;
mod peer;
#[cfg(test)]
mod tests;
mod vote;

use arc_malachitebft_app::types::{
    codec::{Codec, HasEncodedLen},
    sync::Response,
};
use borsh::{BorshDeserialize, BorshSerialize, object_length};
use bytes::Bytes;

use super::Agreement;

/// First byte of every message.
const VERSION: u8 = 1;
/// Version and kind.
const HEAD_BYTES: usize = 2;

/// A vote, proposal, status, request or proof: the largest is a precommit with its extension, below 4.5 KiB.
const SMALL_BYTES_MAX: usize = 8 << 10;
/// A certificate of 100 signers without extensions takes 13 KiB.
const CERTIFICATE_BYTES_MAX: usize = 32 << 10;
/// One part of a block. A header carries 100 extensions of 4 KiB; a payload is bounded by what a batch can hold, about
/// 2,000 operations of 250 bytes, and as many excused ones. It is what the engine's gossip takes.
const PART_BYTES_MAX: usize = 4 << 20;
/// A whole block, header and payload, in an answer to a node that was away.
const VALUE_BYTES_MAX: usize = 2 * PART_BYTES_MAX;
/// An answer with several blocks: two of the largest. The engine asks for less (its `rpc_max_size` is 10 MiB).
const RESPONSE_BYTES_MAX: usize = 2 * VALUE_BYTES_MAX + (1 << 20);
/// Blocks in one answer. The engine asks for 5 unless it is told otherwise.
const RESPONSE_VALUES_MAX: usize = 64;
/// Name of a stream of parts.
const STREAM_ID_BYTES_MAX: usize = 64;
/// A libp2p peer id is 38 bytes for ed25519, 34 for a hashed key, 44 at most.
const PEER_ID_BYTES_MAX: usize = 48;

/// Why bytes are no message, or a message has no bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// No room for version and kind.
    #[error("a message of {0} bytes is too short")]
    Short(usize),
    /// More bytes than this kind of message may have.
    #[error("this kind of message has at most {max} bytes, not {got}")]
    Long {
        /// The limit.
        max: usize,
        /// What came.
        got: usize,
    },
    /// Another version of these bytes.
    #[error("message version {0}: this node knows version {VERSION}")]
    Version(u8),
    /// Another kind of message than this place takes.
    #[error("message of kind {got} where kind {expected} is due")]
    Kind {
        /// What is due.
        expected: u8,
        /// What came.
        got: u8,
    },
    /// The body is not Borsh of such a message, or a list in it is too long.
    #[error("malformed message: {0}")]
    Body(String),
    /// The body is well-formed, but nobody signs such a message.
    #[error("meaningless message: {0}")]
    Meaning(&'static str),
}

impl WireError {
    fn body(error: std::io::Error) -> Self {
        Self::Body(error.to_string())
    }
}

/// A message with bytes of its own.
trait Wire: Sized {
    /// Second byte. Kinds differ, so that no message can stand for another.
    const KIND: u8;
    /// Most bytes of such a message.
    const BYTES_MAX: usize;
    /// What follows the first two bytes.
    type Body: BorshDeserialize;

    fn to_body(&self) -> Result<impl BorshSerialize, WireError>;
    fn from_body(body: Self::Body) -> Result<Self, WireError>;
}

fn check_len<T: Wire>(got: usize) -> Result<(), WireError> {
    let max = T::BYTES_MAX;
    if got > max {
        return Err(WireError::Long { max, got });
    }
    Ok(())
}

/// The bytes of every message and log entry of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCodec;

impl<T: Wire> Codec<T> for WireCodec {
    type Error = WireError;

    fn decode(&self, bytes: Bytes) -> Result<T, WireError> {
        check_len::<T>(bytes.len())?;
        let Some(([version, kind], body)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
            return Err(WireError::Short(bytes.len()));
        };
        if *version != VERSION {
            return Err(WireError::Version(*version));
        }
        if *kind != T::KIND {
            return Err(WireError::Kind {
                expected: T::KIND,
                got: *kind,
            });
        }
        let body = T::Body::try_from_slice(body).map_err(WireError::body)?;
        T::from_body(body)
    }

    fn encode(&self, message: &T) -> Result<Bytes, WireError> {
        let mut bytes = vec![VERSION, T::KIND];
        message
            .to_body()?
            .serialize(&mut bytes)
            .map_err(WireError::body)?;
        check_len::<T>(bytes.len())?;
        Ok(bytes.into())
    }
}

impl HasEncodedLen<Response<Agreement>> for WireCodec {
    fn encoded_len(&self, message: &Response<Agreement>) -> Result<usize, WireError> {
        let body = object_length(&message.to_body()?).map_err(WireError::body)?;
        Ok(body.saturating_add(HEAD_BYTES))
    }
}
