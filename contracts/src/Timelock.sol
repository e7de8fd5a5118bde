// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Events} from "./Events.sol";
import {PAUSE_REST_SECONDS, PAUSE_SECONDS_MAX} from "./Params.sol";

/// The only power over a deployment: calls that everybody sees long before they happen, and a short pause of
/// committing and proving (settlement.md, "Contracts", row Timelock).
///
/// What it can reach: VerifierRegistry, to add and disable circuit versions. It has no say over the Inbox, the Bridge,
/// DesertExit, stakes or roots. A pause ends by itself, rests long before the next, and is shorter than what Desert needs,
/// so it can delay but not take anything.
contract Timelock is Events {
    /// How long after it is ready a call may still be executed, in seconds: nobody waits for surprises.
    uint64 public constant GRACE_SECONDS = 30 days;

    /// Who schedules, cancels and pauses: a council's multi-signature contract.
    address public immutable governor;
    /// From scheduling to execution, in seconds; the Rollup refuses a short one.
    uint64 public immutable delaySeconds;
    /// Committing and proving are paused before this time, in seconds.
    uint64 public pausedUntil;
    /// Whether {renounceUpgrades} was called.
    bool public isRenounced;
    /// From when a call may be executed, in seconds; 0 if it is not scheduled.
    mapping(bytes32 id => uint64) public readyAt;

    error NotGovernor(address caller);
    error Renounced();
    error AlreadyScheduled(bytes32 id);
    error NotReady(bytes32 id, uint64 from, uint64 until);
    error CallFailed(bytes reason);
    error PausedTooRecently(uint64 allowedFrom);
    error NoCode(address target);

    modifier onlyGovernor() {
        if (msg.sender != governor) revert NotGovernor(msg.sender);
        _;
    }

    constructor(address governor_, uint64 delaySeconds_) {
        governor = governor_;
        delaySeconds = delaySeconds_;
    }

    /// Announces a call. `salt` tells equal calls apart.
    function schedule(address target, bytes calldata data, bytes32 salt) external onlyGovernor returns (bytes32 id) {
        if (isRenounced) revert Renounced();
        id = idOf(target, data, salt);
        if (readyAt[id] != 0) revert AlreadyScheduled(id);
        uint64 from = uint64(block.timestamp) + delaySeconds;
        readyAt[id] = from;
        emit CallScheduled(id, target, data, salt, from);
    }

    /// Makes an announced call, once, by anyone.
    function execute(address target, bytes calldata data, bytes32 salt) external {
        if (isRenounced) revert Renounced();
        bytes32 id = idOf(target, data, salt);
        uint64 from = readyAt[id];
        if (from == 0 || block.timestamp < from || block.timestamp > from + GRACE_SECONDS) {
            revert NotReady(id, from, from + GRACE_SECONDS);
        }
        if (target.code.length == 0) revert NoCode(target);
        delete readyAt[id];
        emit CallExecuted(id);
        (bool done, bytes memory answer) = target.call(data);
        if (!done) revert CallFailed(answer);
    }

    /// Withdraws an announcement.
    function cancel(bytes32 id) external onlyGovernor {
        if (readyAt[id] == 0) revert NotReady(id, 0, 0);
        delete readyAt[id];
        emit CallCancelled(id);
    }

    /// Stops committing and proving for {PAUSE_SECONDS_MAX}; not again until {PAUSE_REST_SECONDS} after its end.
    function pause() external onlyGovernor {
        uint64 last = pausedUntil;
        if (last != 0 && block.timestamp < last + PAUSE_REST_SECONDS) {
            revert PausedTooRecently(last + PAUSE_REST_SECONDS);
        }
        pausedUntil = uint64(block.timestamp) + PAUSE_SECONDS_MAX;
        emit Paused(pausedUntil);
    }

    /// Ends a pause early.
    function unpause() external onlyGovernor {
        if (pausedUntil > block.timestamp) pausedUntil = uint64(block.timestamp);
        emit Paused(pausedUntil);
    }

    /// Gives up scheduling and executing for ever; what is scheduled dies with it.
    function renounceUpgrades() external onlyGovernor {
        isRenounced = true;
        emit UpgradesRenounced();
    }

    /// Whether committing and proving are paused now.
    function isPaused() external view returns (bool) {
        return block.timestamp < pausedUntil;
    }

    /// Name of a call.
    function idOf(address target, bytes calldata data, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode(target, data, salt));
    }
}
