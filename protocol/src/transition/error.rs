//! Why a signed operation is invalid.

use crate::number::{Amount, Height, LeafIndex, Nonce, TokenId};

/// The rule a signed operation breaks. Nothing has been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOperation {
    /// No block is open.
    #[error("no block is open")]
    NoBlock,
    /// A header's height delta is 0, 2^40 or more, or overflows.
    #[error("height delta must be 1 to 2^40 - 1")]
    HeightDelta,
    /// The first block of a batch must name its fee leaves.
    #[error("the first block of a batch must name fee leaves")]
    NoFeeLeaves,
    /// An inbox item after a signed operation, or outside a block.
    #[error("inbox items come before signed operations, inside a block")]
    InboxOutOfPlace,
    /// The block promised a BidPay that did not come first.
    #[error("the block promises a bid payment as its first signed operation")]
    BidMissing,
    /// A BidPay that the block did not promise.
    #[error("a bid payment must be the first signed operation of a block that announces it")]
    BidOutOfPlace,
    /// The sender's leaf does not exist.
    #[error("leaf {index} does not exist")]
    SenderMissing {
        /// The leaf named.
        index: LeafIndex,
    },
    /// The signing key is not the leaf's key.
    #[error("leaf {index} has another key")]
    KeyMismatch {
        /// The leaf named.
        index: LeafIndex,
    },
    /// The nonce is not the leaf's.
    #[error("nonce {actual} does not match the leaf's next nonce {expected}")]
    NonceMismatch {
        /// The leaf's nonce.
        expected: Nonce,
        /// The operation's.
        actual: Nonce,
    },
    /// The leaf has used its last nonce.
    #[error("the leaf has no nonce left; its owner can act through the base layer")]
    NonceExhausted,
    /// The height is past `valid_until`.
    #[error("operation was valid until height {valid_until}, the block's is {height}")]
    Expired {
        /// Last valid height.
        valid_until: Height,
        /// The block's.
        height: Height,
    },
    /// The leaf is collateral.
    #[error("leaf is locked until height {until}")]
    Locked {
        /// Last locked height.
        until: Height,
    },
    /// No published float holds the amount.
    #[error("amount {amount} is not a published float: at most 30 bits times a power of ten")]
    AmountNotFloat {
        /// The amount.
        amount: Amount,
    },
    /// No published float holds the fee.
    #[error("fee {fee} is not a published float: at most 8 bits times a power of ten")]
    FeeNotFloat {
        /// The fee.
        fee: Amount,
    },
    /// The leaf holds less than amount and fee.
    #[error("leaf holds {available}, amount and fee need {needed}")]
    InsufficientBalance {
        /// Amount and fee.
        needed: u128,
        /// The balance.
        available: Amount,
    },
    /// The recipient's leaf does not exist.
    #[error("recipient leaf {index} does not exist")]
    RecipientMissing {
        /// The leaf named.
        index: LeafIndex,
    },
    /// The recipient's leaf holds another token.
    #[error("recipient leaf holds token {actual}, sender's holds {expected}")]
    RecipientToken {
        /// The sender's token.
        expected: TokenId,
        /// The recipient's.
        actual: TokenId,
    },
    /// The block has no such fee leaf, or a fee leaf is named for no fee.
    #[error("the block has no fee leaf {selector} for this operation")]
    FeeLeafSelector {
        /// The selector.
        selector: u8,
    },
    /// The fee leaf does not exist.
    #[error("fee leaf {index} does not exist")]
    FeeLeafMissing {
        /// The leaf named.
        index: LeafIndex,
    },
    /// The fee leaf holds another token: only a fee of 0 is valid.
    #[error("fee leaf holds token {actual}, sender's holds {expected}")]
    FeeLeafToken {
        /// The sender's token.
        expected: TokenId,
        /// The fee leaf's.
        actual: TokenId,
    },
    /// A balance would reach 2^120.
    #[error("a balance would reach 2^120")]
    BalanceOverflow,
    /// All 2^32 leaves exist.
    #[error("the state tree is full")]
    TreeFull,
    /// A new leaf must have an owner on the base layer.
    #[error("a new leaf needs an l1_owner other than zero")]
    ZeroOwner,
    /// A lock may only be raised.
    #[error("lock_until may only be raised above {current}")]
    LockNotRaised {
        /// The leaf's value.
        current: Height,
    },
    /// A lock may not reach so far ahead.
    #[error("lock_until may be at most {max}")]
    LockTooFar {
        /// Largest value now.
        max: Height,
    },
    /// A Lock on a locked leaf must have fee 0.
    #[error("a locked leaf can only be locked further with fee 0")]
    LockedFee,
    /// An atomic group is open and this is not its next member.
    #[error("an atomic group is open and this operation is not its next member")]
    GroupOpen,
    /// The members do not hash to the G they signed, or there are too few or too many.
    #[error("atomic group does not close over its members")]
    GroupMismatch,
    /// The bid is not for this height.
    #[error("bid is for height {bid}, the block's is {height}")]
    BidHeight {
        /// The bid's.
        bid: Height,
        /// The block's.
        height: Height,
    },
}
