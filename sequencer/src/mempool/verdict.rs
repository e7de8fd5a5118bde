//! Rules of the protocol as error codes.

use api::error::{ApiError, ErrorCode};
use protocol::transition::InvalidOperation as Invalid;

/// The error a sender gets for a broken rule.
pub(crate) fn api_error(invalid: &Invalid) -> ApiError {
    let code = match invalid {
        Invalid::SenderMissing { .. }
        | Invalid::RecipientMissing { .. }
        | Invalid::FeeLeafMissing { .. } => ErrorCode::UnknownLeaf,
        Invalid::KeyMismatch { .. } => ErrorCode::KeyMismatch,
        Invalid::NonceMismatch { expected, actual } if actual < expected => ErrorCode::NonceUsed,
        Invalid::NonceMismatch { .. } => ErrorCode::NonceGap,
        Invalid::NonceExhausted => ErrorCode::NonceExhausted,
        Invalid::Expired { .. } => ErrorCode::Expired,
        Invalid::Locked { .. } | Invalid::LockedFee => ErrorCode::LeafLocked,
        Invalid::AmountNotFloat { .. } => ErrorCode::AmountNotFloat,
        Invalid::FeeNotFloat { .. } => ErrorCode::FeeNotFloat,
        Invalid::InsufficientBalance { .. } => ErrorCode::InsufficientBalance,
        Invalid::RecipientToken { .. } => ErrorCode::UnknownToken,
        Invalid::FeeLeafToken { .. } | Invalid::FeeLeafSelector { .. } => ErrorCode::FeeToken,
        Invalid::NoBlock
        | Invalid::HeightDelta
        | Invalid::NoFeeLeaves
        | Invalid::InboxOutOfPlace
        | Invalid::BidMissing
        | Invalid::BidOutOfPlace
        | Invalid::BalanceOverflow
        | Invalid::TreeFull
        | Invalid::ZeroOwner
        | Invalid::LockNotRaised { .. }
        | Invalid::LockTooFar { .. }
        | Invalid::GroupOpen
        | Invalid::GroupMismatch
        | Invalid::BidHeight { .. } => ErrorCode::InvalidOperation,
    };
    ApiError::new(code, invalid.to_string())
}
