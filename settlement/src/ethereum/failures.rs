//! What a failed request means: whose turn it is.
//!
//! Nodes agree on few error codes, so some of it is read from their words; where words decide, the worst
//! that a misreading does is one more question or a less exact reason. A refusal that is not understood comes
//! out as `Unsupported`, with the node's words.

use std::time::Duration;

use alloy_primitives::Bytes;
use jsonrpsee::core::client::Error;
use jsonrpsee::http_client::transport;
use jsonrpsee::types::ErrorObject;

use crate::base_layer::{BaseLayerError, Contradiction, Rejection};

/// A contract's revert, as go-ethereum numbers it and others after it.
const REVERTED: i32 = 3;
/// "Limit exceeded" (EIP-1474); providers also use the HTTP number.
const LIMIT_EXCEEDED: [i32; 2] = [-32_005, 429];
/// "Internal error": the node's own trouble, which may pass.
const INTERNAL: i32 = -32_603;
/// Bytes of a node's words that are kept.
const REASON_BYTES_MAX: usize = 512;

/// A failed request, typed.
pub(super) fn classify(request: &'static str, timeout: Duration, error: Error) -> BaseLayerError {
    match error {
        Error::RequestTimeout => BaseLayerError::TimedOut {
            request,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        },
        Error::Call(refusal) => refused(request, &refusal),
        Error::ParseError(error) => malformed(request, error.to_string()),
        Error::InvalidRequestId(error) => malformed(request, error.to_string()),
        Error::Transport(error) => match error.downcast_ref::<transport::Error>() {
            Some(transport::Error::Rejected { status_code }) => rejected(request, *status_code),
            _ => unavailable(request, error.to_string()),
        },
        other => unavailable(request, other.to_string()),
    }
}

fn rejected(request: &'static str, status: u16) -> BaseLayerError {
    match status {
        429 => BaseLayerError::RateLimited { request },
        400..=499 => BaseLayerError::Unsupported {
            request,
            reason: format!("HTTP status {status}; check the URL and its credentials"),
        },
        _ => unavailable(request, format!("HTTP status {status}")),
    }
}

fn refused(request: &'static str, refusal: &ErrorObject<'_>) -> BaseLayerError {
    let words = refusal.message();
    if LIMIT_EXCEEDED.contains(&refusal.code()) {
        return BaseLayerError::RateLimited { request };
    }
    if refusal.code() == INTERNAL {
        return unavailable(request, words.to_owned());
    }
    if refusal.code() == REVERTED {
        let data = refusal
            .data()
            .map(|data| serde_json::from_str::<Bytes>(data.get()));
        return match data {
            Some(Err(error)) => malformed(request, error.to_string()),
            Some(Ok(data)) => BaseLayerError::Reverted { data },
            None => BaseLayerError::Reverted { data: Bytes::new() },
        };
    }
    BaseLayerError::Unsupported {
        request,
        reason: cut(format!("code {}: {words}", refusal.code())),
    }
}

/// Why a transaction was refused, from the node's words.
pub(super) fn rejection(reason: String) -> Rejection {
    let words = reason.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|part| words.contains(part));
    if says(&["nonce too low", "nonce is too low", "oldnonce"]) {
        Rejection::NonceTooLow { reason }
    } else if says(&["replacement", "underpriced"]) {
        Rejection::ReplacementUnderpriced { reason }
    } else if says(&["insufficient funds", "insufficient balance"]) {
        Rejection::InsufficientFunds { reason }
    } else if says(&["rlp", "decode", "signature", "invalid sender"]) {
        Rejection::Malformed { reason }
    } else {
        Rejection::Rules { reason }
    }
}

/// Do the node's words say that there is no such block?
pub(super) fn says_not_found(reason: &str) -> bool {
    let words = reason.to_lowercase();
    words.contains("not found") || words.contains("unknown block")
}

fn unavailable(request: &'static str, reason: String) -> BaseLayerError {
    BaseLayerError::Unavailable {
        request,
        reason: cut(reason),
    }
}

fn malformed(request: &'static str, reason: String) -> BaseLayerError {
    let reason = cut(reason);
    Contradiction::Malformed { request, reason }.into()
}

fn cut(mut words: String) -> String {
    let end = (0..=REASON_BYTES_MAX)
        .rev()
        .find(|end| words.is_char_boundary(*end));
    words.truncate(end.unwrap_or_default());
    words
}
