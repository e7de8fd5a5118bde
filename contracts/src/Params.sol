// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

// Protocol constants that contracts need. They are rules, equal to those of `protocol::params` (held equal by
// tests/vectors/settlement.json); times are the deployment's and stand in {Timing}.

// Bytes of a published word, a 248-bit integer, big-endian.
uint256 constant WORD_BYTES = 31;
// Words of one inbox item.
uint256 constant ITEM_WORDS = 5;
// Bytes of one inbox item.
uint256 constant ITEM_BYTES = 155;
// Words of one withdrawal.
uint256 constant WITHDRAWAL_WORDS = 2;
// Bytes of one withdrawal.
uint256 constant WITHDRAWAL_BYTES = 62;
// Withdrawals of one batch: bounds the gas of its Merkle root.
uint256 constant WITHDRAWALS_PER_BATCH_MAX = 512;
// Inbox items that always fit one batch alone, whatever they hold.
uint256 constant INBOX_PER_BATCH_MAX = 128;
// Heights of one epoch; epoch 0 starts at height 1.
uint64 constant EPOCH_HEIGHTS = 14_400;
// Levels of 4-ary nodes above the leaves of the state tree.
uint256 constant TREE_LEVELS = 16;
// First value that a balance, and the escrow of a token, may not have.
uint256 constant BALANCE_LIMIT = 1 << 120;
// Seats of a validator set.
uint256 constant VALIDATORS_MAX = 100;
// Longest pause of committing and proving, in seconds, and the shortest time from its end to the next.
uint64 constant PAUSE_SECONDS_MAX = 3 days;
// See PAUSE_SECONDS_MAX.
uint64 constant PAUSE_REST_SECONDS = 30 days;
// What users have to leave before an upgrade, beyond the time a forced exit takes, in seconds.
uint64 constant EXIT_WINDOW_SECONDS = 30 days;
// How long after an offence its evidence may come, in seconds: stake stays bonded for it.
uint64 constant EVIDENCE_SECONDS = 7 days;

/// Deadlines of one deployment, all in seconds (settlement.md, "Contracts", row Rollup).
struct Timing {
    /// An item older than this at a batch's base-layer time must be in the batch.
    uint64 overdue;
    /// Age of the oldest item not consumed by a proven batch, or of unproven batches, that opens Enforced mode.
    uint64 enforced;
    /// Age at which an unproven batch may be pruned.
    uint64 proofWindow;
    /// What committing and proving one batch takes an outsider.
    uint64 proofTime;
    /// The same as `enforced`, for Desert; more than enforced + proofWindow + proofTime + the longest pause.
    uint64 desert;
}

/// Epoch of a height; genesis (0) belongs to epoch 0.
function epochOf(uint64 height) pure returns (uint64) {
    return height == 0 ? 0 : (height - 1) / EPOCH_HEIGHTS;
}
