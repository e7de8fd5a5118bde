// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Header, StoredBatch, Words} from "./Batch.sol";

/// How the Rollup takes batches. Only ever Active -> Enforced -> Active or Desert; Desert is for ever.
enum Mode {
    Active,
    Enforced,
    Desert
}

/// Every event of every contract: what readers follow, instead of transaction inputs (review finding H8).
interface Events {
    // Rollup ----------------------------------------------------------------------------------------------------

    /// A batch was committed. Its words stand here whole: genesis and these events rebuild every leaf.
    event BatchCommitted(uint64 indexed batchNumber, StoredBatch batch, Header header, Words words);
    /// A batch was proven by `prover`: its root is the chain's.
    event BatchProven(uint64 indexed batchNumber, address indexed prover, uint256 root, uint256 counters);
    /// Batches above `batchNumber` are void; their inbox items wait again, with their first times.
    event BatchesPruned(uint64 indexed batchNumber);
    /// The mode is another one.
    event ModeChanged(Mode mode);

    // Inbox and Bridge ------------------------------------------------------------------------------------------

    /// Item `number` (from 0) was enqueued at `time` (seconds) for `fee` (wei): five words, 155 bytes.
    event ItemEnqueued(uint64 indexed number, address indexed owner, bytes words, uint64 time, uint256 fee);
    /// A token got its number; 0 is ETH from the start.
    event TokenRegistered(uint32 indexed id, address indexed token);
    /// Escrow of a token grew by what was received: a deposit, or a gift that nobody is owed.
    event EscrowFunded(uint32 indexed token, address indexed from, uint256 amount);
    /// A withdrawal of a proven batch was paid.
    event WithdrawalClaimed(
        uint64 indexed batchNumber, uint256 indexed index, address indexed owner, uint32 token, uint256 amount
    );
    /// Fees of inbox items were paid to a prover, in wei.
    event FeesClaimed(address indexed prover, uint256 amount);

    // DesertExit ------------------------------------------------------------------------------------------------

    /// A leaf of the last proven state was paid out.
    event LeafExited(uint32 indexed index, address indexed owner, uint32 token, uint256 amount);
    /// An item that no proven batch consumed was undone: its deposit and its fee (wei) went back.
    event ItemRefunded(uint64 indexed number, address indexed owner, uint32 token, uint256 amount, uint256 fee);

    // ValidatorRegistry -----------------------------------------------------------------------------------------

    /// A validator registered; `appliedAt` (seconds) is its place in the queue. Its stake follows.
    event ValidatorRegistered(address indexed validator, address indexed staker, uint64 appliedAt);
    /// A validator's stake in gwei is now this; 0 once it wants to leave.
    event StakeChanged(address indexed validator, uint64 stakeGwei);
    /// A leaving validator's stake was paid back, in wei.
    event StakeReturned(address indexed validator, address indexed staker, uint256 amount);
    /// The set of an epoch is the one with this hash.
    event SetNamed(uint64 indexed epoch, bytes32 setHash);
    /// A certificate of this epoch was accepted for the first time.
    event EpochBegan(uint64 indexed epoch);

    // VerifierRegistry and Timelock -----------------------------------------------------------------------------

    /// A circuit version got its verifier.
    event VerifierAdded(
        uint64 indexed version,
        address verifier,
        bytes32 codeHash,
        bytes32 keyHash,
        bytes32 circuitHash,
        bytes32 referenceHash
    );
    /// No batch of this version can be committed or proven any more.
    event VerifierDisabled(uint64 indexed version);
    /// A call may be executed from `readyAt` (seconds) on.
    event CallScheduled(bytes32 indexed id, address indexed target, bytes data, bytes32 salt, uint64 readyAt);
    /// A scheduled call was executed.
    event CallExecuted(bytes32 indexed id);
    /// A scheduled call was withdrawn.
    event CallCancelled(bytes32 indexed id);
    /// No committing and proving until then, in seconds.
    event Paused(uint64 until);
    /// Nothing can be scheduled or executed, for ever.
    event UpgradesRenounced();
}
