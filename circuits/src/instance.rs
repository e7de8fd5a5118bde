//! The public inputs of each circuit: one instance column, in this order.

/// Instance rows of the chunk circuit.
pub mod chunk {
    /// Chain, contract, parameters and circuit version.
    pub const DOMAIN: usize = 0;
    /// Digest of the threaded state before the chunk.
    pub const DIGEST_BEFORE: usize = 1;
    /// Digest of the threaded state after the chunk.
    pub const DIGEST_AFTER: usize = 2;
    /// Number of public inputs.
    pub const LEN: usize = 3;
}

/// Instance rows of the data circuit.
pub mod data {
    /// Accumulator over all words.
    pub const H: usize = 0;
    /// Point of evaluation.
    pub const Z: usize = 1;
    /// The ops sequence at z.
    pub const Y_OPS: usize = 2;
    /// The withdrawals sequence at z.
    pub const Y_WITHDRAWALS: usize = 3;
    /// The inbox sequence at z.
    pub const Y_INBOX: usize = 4;
    /// `n_ops + 2^64 n_withdrawals + 2^128 n_inbox`.
    pub const WORD_COUNTS: usize = 5;
    /// Number of public inputs.
    pub const LEN: usize = 6;
}
