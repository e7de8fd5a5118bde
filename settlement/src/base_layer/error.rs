//! Why the base layer did not do what it was asked, by who must act.
//!
//! Does not decide what to do; it only says whose turn it is.

use alloy_primitives::{B256, Bytes};

use crate::base_layer::BlockAt;
use verifier::base_layer::ProofError;

/// Whose turn it is after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// Time: ask again, later or from a newer head.
    Time,
    /// The node lies or is broken: ask another one, tell the operator.
    Node,
    /// This program or its operator: the same request will fail again.
    Caller,
}

/// A request to the base layer that failed.
#[derive(Debug, thiserror::Error)]
pub enum BaseLayerError {
    /// Nobody answers, or the node says that it cannot now.
    #[error("base layer is unavailable for {request}: {reason}; try again")]
    Unavailable {
        /// What was asked.
        request: &'static str,
        /// What came instead of an answer.
        reason: String,
    },
    /// No answer in time. A transaction may have been taken all the same.
    #[error("base layer did not answer {request} within {timeout_ms} ms; try again")]
    TimedOut {
        /// What was asked.
        request: &'static str,
        /// How long was waited.
        timeout_ms: u64,
    },
    /// The node asks for fewer requests.
    #[error("base layer limits the rate of {request}; wait and try again")]
    RateLimited {
        /// What was asked.
        request: &'static str,
    },
    /// The block is not on the chain of the node's head, or not any more.
    #[error("base layer has no block at {at:?}; read the head again")]
    UnknownBlock {
        /// The block that was asked for.
        at: BlockAt,
    },
    /// The answer contradicts itself or what its hash commits to.
    #[error("base layer contradicts itself: {0}; do not use this node")]
    Contradiction(#[from] Contradiction),
    /// The node follows another chain.
    #[error("base layer has chain id {found}, configured is {expected}; check the endpoint")]
    WrongChain {
        /// What the configuration says.
        expected: u64,
        /// What the node says.
        found: u64,
    },
    /// The contract refused, with these bytes.
    #[error("contract reverted with {data}")]
    Reverted {
        /// Selector and arguments of the contract's error.
        data: Bytes,
    },
    /// The transaction cannot be taken as it is.
    #[error("transaction refused: {0}")]
    Rejected(#[from] Rejection),
    /// The request is one that this implementation can never answer.
    #[error("request {request} cannot be served: {reason}")]
    Unsupported {
        /// What was asked.
        request: &'static str,
        /// Why not.
        reason: String,
    },
}

impl BaseLayerError {
    /// Whose turn it is.
    #[must_use]
    pub fn culprit(&self) -> Culprit {
        match self {
            Self::Unavailable { .. }
            | Self::TimedOut { .. }
            | Self::RateLimited { .. }
            | Self::UnknownBlock { .. }
            | Self::Rejected(Rejection::PoolFull { .. }) => Culprit::Time,
            Self::Contradiction(_) => Culprit::Node,
            Self::WrongChain { .. }
            | Self::Reverted { .. }
            | Self::Rejected(_)
            | Self::Unsupported { .. } => Culprit::Caller,
        }
    }
}

/// A lie, or a bug of the node: either way, nothing it says may be used.
#[derive(Debug, thiserror::Error)]
pub enum Contradiction {
    /// A header whose hash is not the hash of its bytes.
    #[error("header of block {number} hashes to {computed}, the answer says {claimed}")]
    HeaderHash {
        /// Height in the header.
        number: u64,
        /// The hash that came with it.
        claimed: B256,
        /// Keccak of the header's RLP.
        computed: B256,
    },
    /// A block that is not the one that was asked for.
    #[error("asked for the block at {asked:?}, got number {number} with hash {hash}")]
    OtherBlock {
        /// The request.
        asked: BlockAt,
        /// Height of what came.
        number: u64,
        /// Hash of what came.
        hash: B256,
    },
    /// Receipts that are not those to which the header commits.
    #[error("receipts of block {block} have root {computed}, its header says {committed}")]
    ReceiptsRoot {
        /// The block.
        block: B256,
        /// What the header commits to.
        committed: B256,
        /// What came.
        computed: B256,
    },
    /// A receipt or log that says it stands elsewhere.
    #[error("an item of block {asked} says it belongs to {found:?}")]
    OtherPlace {
        /// The block that was asked for.
        asked: B256,
        /// The block that the item names, if any.
        found: Option<B256>,
    },
    /// A transaction other than the one that was asked for or sent.
    #[error("asked about transaction {asked}, the answer is about {found}")]
    OtherTransaction {
        /// The request.
        asked: B256,
        /// The answer.
        found: B256,
    },
    /// A storage proof that does not hold under the header's state root.
    #[error("storage proof under block {block} does not hold: {error}")]
    Proof {
        /// The block.
        block: B256,
        /// Where it breaks.
        error: ProofError,
    },
    /// An answer that is not of the agreed form.
    #[error("answer to {request} has the wrong form: {reason}")]
    Malformed {
        /// What was asked.
        request: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a transaction was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Bytes that are no transaction of a kind that is taken, or whose signature is bad.
    #[error("malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// Signed for another chain.
    #[error("signed for chain {found:?}, this is {expected}")]
    OtherChain {
        /// The chain.
        expected: u64,
        /// What was signed for.
        found: Option<u64>,
    },
    /// Another transaction with this nonce is in a block already.
    #[error("nonce is used already: {reason}")]
    NonceTooLow {
        /// The numbers, as far as they are known.
        reason: String,
    },
    /// Too far after the account's next nonce to be kept.
    #[error("nonce {nonce} is more than {limit} after the next one, {next}; fill the gap first")]
    NonceTooHigh {
        /// The transaction's.
        nonce: u64,
        /// The account's.
        next: u64,
        /// How far ahead is kept.
        limit: u64,
    },
    /// Another transaction with this nonce waits, and this one does not pay enough more.
    #[error("replacement does not raise both fees enough: {reason}")]
    ReplacementUnderpriced {
        /// The numbers, as far as they are known.
        reason: String,
    },
    /// The account cannot pay for gas and value.
    #[error("account cannot pay: {reason}")]
    InsufficientFunds {
        /// The numbers, as far as they are known.
        reason: String,
    },
    /// Gas limit, code size or fees outside the chain's rules.
    #[error("outside the rules of the chain: {reason}")]
    Rules {
        /// Which rule.
        reason: String,
    },
    /// The pool is full; this one may get in later.
    #[error("pool holds its limit of {limit} transactions; try again")]
    PoolFull {
        /// The limit.
        limit: usize,
    },
}
