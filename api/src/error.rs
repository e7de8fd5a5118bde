//! Error codes of every interface in this crate. A code is never reused for another meaning.
//!
//! On the wire an error is a JSON-RPC error object; `data` carries `{reason, hint, docs}`.

use jsonrpsee::types::ErrorObjectOwned;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, $hint:literal;)*) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum ErrorCode {
            $($(#[$doc])* $name = $number,)*
        }

        impl ErrorCode {
            /// Every code, ascending.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The JSON-RPC error code.
            #[must_use]
            pub fn number(self) -> i32 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// Short message, the same for every error of this code.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What to do about it.
            #[must_use]
            pub fn hint(self) -> &'static str {
                match self {
                    $(Self::$name => $hint,)*
                }
            }
        }
    };
}

codes! {
    /// A job that is not in the queue.
    UnknownJob = -32149, "unknown job",
        "the job may be done and pruned; lease another one";
    /// A lease that another worker or the clock has taken away.
    LeaseLost = -32148, "the lease is no longer held",
        "drop the work, or submit it all the same: a valid proof is always welcome";
    /// A worker whose results did not verify.
    WorkerSuspended = -32147, "worker is suspended",
        "its proofs did not verify: compare its circuit keys with the node's, then wait for the time stated";
    /// A result above the size limit.
    ProofTooLarge = -32146, "proof is too large",
        "no proof of these circuits is so large: compare the worker's version with the node's";
    /// A worker name that cannot be used.
    InvalidWorker = -32145, "invalid worker description",
        "a worker's name has 1 to 64 letters, digits, '-', '_' or '.'";
    /// What is asked about lies before the history that this node keeps.
    Pruned = -32135, "pruned here",
        "the reason names where this node's history begins: ask an archive node, one that keeps everything";
    /// A soft block held the operation, and the decided blocks do not.
    Reverted = -32134, "the soft block that held the operation was reverted",
        "the reason names the rule that it breaks now: sign the operation again if you still want it";
    /// This node does not promise the operation.
    NotPreconfirmed = -32133, "the operation is not preconfirmed",
        "the reason names the next proposer: ask its node before it has built its block, or wait for a certificate";
    /// The batch has no checkpoint yet.
    CheckpointNotReady = -32132, "the batch has no checkpoint yet",
        "validators sign a batch when it is sealed: ask again when quorate_status says it is certified";
    /// A limit on entries of one page.
    InvalidPage = -32131, "invalid page request",
        "use the cursor of the page before, and a limit of 1 to 1000";
    /// The batch is not proven yet.
    BundleNotReady = -32130, "the batch is not proven yet",
        "subscribe to batches, or ask again when quorate_batch says proven";
    /// No such batch.
    UnknownBatch = -32129, "unknown batch",
        "quorate_status names the newest batch; the first is 1";
    /// No such block.
    UnknownBlock = -32128, "unknown block",
        "quorate_status names the newest height";
    /// The node is stopping or overloaded.
    Unavailable = -32127, "the node cannot take this now",
        "nothing was accepted: send it again in a moment";
    /// The node's storage failed; it is stopping.
    Internal = -32126, "internal error",
        "the node's log names the cause";
    /// A pending operation is being put into a block.
    BeingOrdered = -32125, "the pending operation is being ordered and cannot be replaced",
        "ask for its status in a moment";
    /// A replacement that pays too little.
    ReplacementUnderpriced = -32124, "replacement pays too little",
        "a pending operation is replaced only by one whose fee is at least 10 % higher, and not lower than 1 more";
    /// One leaf has too many bytes pending.
    LeafQuota = -32123, "too much is pending for this leaf",
        "wait until some of the leaf's operations are certified";
    /// The mempool is full of operations that pay more.
    MempoolFull = -32122, "the mempool is full",
        "raise the fee, or send it again later";
    /// Any other rule.
    InvalidOperation = -32121, "operation breaks a rule",
        "the reason names the rule; quorate_simulate gives the same verdict without sending";
    /// A group of fewer than 2 or more than 16.
    GroupSize = -32120, "a group has 2 to 16 operations",
        "send a single operation with quorate_sendTransaction";
    /// The leaf is collateral.
    LeafLocked = -32119, "the leaf is locked",
        "a locked leaf can only be locked further, with fee 0, until the height stated";
    /// `valid_until` is in the past.
    Expired = -32118, "operation has expired",
        "sign it again with a valid_until above the current height";
    /// The balance does not cover the operation and what is pending before it.
    InsufficientBalance = -32117, "insufficient balance",
        "the leaf's balance must cover amount and fee of this and of everything pending before it";
    /// The leaf has used all 2^40 - 1 nonces.
    NonceExhausted = -32116, "the leaf has no nonce left",
        "its l1_owner can move the balance through the base layer";
    /// The nonce is too far ahead.
    NonceGap = -32115, "nonce is too far ahead",
        "send the operations with the nonces in between first";
    /// The nonce was used before.
    NonceUsed = -32114, "nonce was used already",
        "quorate_leaf gives the leaf's next nonce";
    /// The signing key is not the leaf's.
    KeyMismatch = -32113, "the leaf has another key",
        "quorate_leaf gives the leaf's key";
    /// Sender and recipient hold different tokens, or nobody holds the token.
    UnknownToken = -32112, "unknown or different token",
        "both leaves must hold one token; quorate_resolveLeaf finds the recipient's leaf of a token";
    /// No such leaf.
    UnknownLeaf = -32111, "unknown leaf",
        "a party without a leaf is paid with transfer_to_new, which creates one";
    /// No fee leaf collects this token.
    FeeToken = -32110, "no fee leaf collects this token",
        "the fee must be 0 for this token; quorate_chain names the fee leaves";
    /// The fee is below the node's minimum.
    FeeTooLow = -32109, "fee is too low",
        "quorate_chain gives the minimum";
    /// No published float holds the fee.
    FeeNotFloat = -32108, "fee cannot be published",
        "a fee is at most 255 times a power of ten";
    /// No published float holds the amount.
    AmountNotFloat = -32107, "amount cannot be published",
        "an amount is at most 2^30 - 1 times a power of ten; round it down, or send the rest apart";
    /// 2^120 or more.
    AmountOutOfRange = -32106, "amount is out of range",
        "amounts are below 2^120";
    /// The signature does not fit message and key.
    InvalidSignature = -32105, "invalid signature",
        "the message starts with the chain's domain: compare it with quorate_chain, and sign R8, S as circomlib does";
    /// The key is of small order: anybody could sign for it.
    SmallOrderKey = -32104, "key has small order",
        "make a new key; nobody owns this one";
    /// The coordinates are not on Baby Jubjub.
    InvalidPoint = -32103, "point is not on Baby Jubjub",
        "coordinates are circomlib's (a = 168700, d = 168696), not those of the reduced form";
    /// An integer of p, or l, or more.
    NonCanonicalField = -32102, "number is not canonical",
        "field elements are below the BN254 scalar modulus, S is below the subgroup order; nothing is reduced";
    /// Another chain.
    WrongChain = -32101, "operation is for another chain",
        "quorate_chain gives this node's chain id and domain";
    /// A text that is not the one form of its value.
    MalformedText = -32100, "malformed text",
        "hex is 0x and lower-case digits of full length, amounts are decimal digits without leading zeros";
}

impl ErrorCode {
    /// Name in `docs/rpc.md`, in kebab case.
    #[must_use]
    pub fn anchor(self) -> String {
        let mut anchor = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !anchor.is_empty() {
                anchor.push('-');
            }
            anchor.push(letter.to_ascii_lowercase());
        }
        anchor
    }

    /// The code with this number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.number() == number)
    }
}

/// `data` of an error object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorDetails {
    /// What is wrong, with values.
    pub reason: String,
    /// What to do.
    pub hint: String,
    /// Where it is documented.
    pub docs: String,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason} ({})", code.message(), code.hint())]
pub struct ApiError {
    /// Kind of refusal.
    pub code: ErrorCode,
    /// What is wrong, with values.
    pub reason: String,
}

impl ApiError {
    /// A refusal of this kind.
    #[must_use]
    pub fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    /// The refusal inside a JSON-RPC error object, if it is one of ours.
    #[must_use]
    pub fn from_object(object: &ErrorObjectOwned) -> Option<Self> {
        let code = ErrorCode::from_number(object.code())?;
        let details: ErrorDetails = serde_json::from_str(object.data()?.get()).ok()?;
        Some(Self::new(code, details.reason))
    }

    /// `data` of the error object.
    #[must_use]
    pub fn details(&self) -> ErrorDetails {
        ErrorDetails {
            reason: self.reason.clone(),
            hint: self.code.hint().to_owned(),
            docs: format!("docs/rpc.md#{}", self.code.anchor()),
        }
    }
}

impl From<ApiError> for ErrorObjectOwned {
    fn from(error: ApiError) -> Self {
        Self::owned(
            error.code.number(),
            error.code.message(),
            Some(error.details()),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_ours() {
        let numbers: BTreeSet<i32> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers.len(), ErrorCode::ALL.len());
        assert!(
            numbers
                .iter()
                .all(|number| (-32199..=-32100).contains(number))
        );
        assert!(ErrorCode::ALL.is_sorted_by_key(|code| code.number()));
    }

    #[test]
    fn error_objects_round_trip_with_reason_and_hint() {
        let error = ApiError::new(ErrorCode::NonceGap, "nonce 9 is 7 ahead");
        let object: ErrorObjectOwned = error.clone().into();
        assert_eq!(ApiError::from_object(&object), Some(error.clone()));
        assert_eq!(error.details().docs, "docs/rpc.md#nonce-gap");
        assert!(!error.details().hint.is_empty());
    }
}
