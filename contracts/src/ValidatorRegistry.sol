// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Events} from "./Events.sol";
import {VALIDATORS_MAX, epochOf} from "./Params.sol";
import {Quorum} from "./Quorum.sol";
import {Rollup} from "./Rollup.sol";

/// Stakes, and which set may certify in which epoch (sequencing.md, "The set"; settlement.md, row ValidatorRegistry;
/// ADR 0018).
///
/// **Stakes** are ETH in units of one gwei. Validators compute the set of each epoch from them by `protocol::epoch`; the
/// set of an epoch names its successor by hash, in every batch certificate and in every block, so this contract holds
/// only hashes and certificates bring the set itself. **Epochs**: a certificate of epoch e is taken while e + 1 has
/// not begun here, and for `handoverSeconds` after; an epoch begins with its first accepted certificate. A batch names
/// the next set anew, since it stands on the one committed chain; a handover, which anybody can replay, fills only gaps.
///
/// What this version does not do: delegation, slashing, evidence.
contract ValidatorRegistry is Events {
    /// One validator, by the address of its secp256k1 key.
    struct Validator {
        /// Who staked, and is paid back.
        address staker;
        /// Stake in gwei; kept while leaving, 0 once paid back.
        uint64 stakeGwei;
        /// When it applied, in seconds: its place in the queue.
        uint64 appliedAt;
        /// From when the stake may be taken back, in seconds; 0 unless leaving.
        uint64 leavesAt;
    }

    struct Epoch {
        /// Hash of its set; zero while unknown.
        bytes32 setHash;
        /// When its first certificate was accepted, in seconds; 0 before.
        uint64 beganAt;
    }

    /// Whose batches are certified.
    Rollup public immutable rollup;
    /// How long certificates of an epoch are taken after the next has begun, in seconds.
    uint64 public immutable handoverSeconds;
    /// From leaving to payment, in seconds; the Rollup refuses a short one.
    uint64 public immutable unbondingSeconds;
    /// Least stake of a new validator, in gwei: what makes a flood of applicants expensive.
    uint64 public immutable stakeMinGwei;

    /// By key; an entry is never removed, so a key registers once for ever.
    mapping(address validator => Validator) public validatorOf;
    /// Sets by epoch.
    mapping(uint64 epoch => Epoch) public epochs;

    error Zero();
    error NotRollup(address caller);
    error NotStaker(address caller, address staker);
    error KeyTaken(address validator);
    error WrongProofOfPossession(address signer, address validator);
    error NotWholeGwei(uint256 amount);
    error StakeTooSmall(uint256 stakeGwei, uint256 least);
    error StakeTooLarge(uint256 stakeGwei);
    error IsLeaving(address validator);
    error NotYet(address validator, uint64 from);
    error PaymentFailed(address to, uint256 amount);
    error WrongSet(uint64 epoch, bytes32 given, bytes32 expected);
    error EpochOver(uint64 epoch, uint64 until);
    error BrokenCore(uint256 length);
    error WrongEpoch(uint64 epoch, uint64 height);

    constructor(
        Rollup rollup_,
        bytes32 firstSetHash,
        uint64 handoverSeconds_,
        uint64 unbondingSeconds_,
        uint64 stakeMinGwei_
    ) {
        if (firstSetHash == 0 || stakeMinGwei_ == 0) revert Zero();
        rollup = rollup_;
        handoverSeconds = handoverSeconds_;
        unbondingSeconds = unbondingSeconds_;
        stakeMinGwei = stakeMinGwei_;
        epochs[0] = Epoch(firstSetHash, uint64(block.timestamp));
        emit SetNamed(0, firstSetHash);
        emit EpochBegan(0);
    }

    /// Registers a key with the sender as its staker and `msg.value` as its stake. `proof`: the key's signature of
    /// {registrationDigest}, 65 bytes r, s, recovery id.
    function register(address validator, bytes calldata proof) external payable {
        if (validatorOf[validator].staker != address(0)) revert KeyTaken(validator);
        address signer = Quorum.recover(registrationDigest(msg.sender, validator), proof);
        if (signer != validator) revert WrongProofOfPossession(signer, validator);
        uint64 stake = _gwei(msg.value, 0);
        if (stake < stakeMinGwei) revert StakeTooSmall(stake, stakeMinGwei);
        uint64 appliedAt = uint64(block.timestamp);
        validatorOf[validator] = Validator(msg.sender, stake, appliedAt, 0);
        emit ValidatorRegistered(validator, msg.sender, appliedAt);
        emit StakeChanged(validator, stake);
    }

    /// Adds `msg.value` to the stake.
    function addStake(address validator) external payable {
        Validator storage entry = _ownEntry(validator);
        if (entry.leavesAt != 0) revert IsLeaving(validator);
        if (msg.value == 0) revert Zero();
        entry.stakeGwei = _gwei(msg.value, entry.stakeGwei);
        emit StakeChanged(validator, entry.stakeGwei);
    }

    /// Leaves: no later set counts the stake, which may be taken back after `unbondingSeconds`.
    function requestExit(address validator) external {
        Validator storage entry = _ownEntry(validator);
        if (entry.leavesAt != 0) revert IsLeaving(validator);
        entry.leavesAt = uint64(block.timestamp) + unbondingSeconds;
        emit StakeChanged(validator, 0);
    }

    /// Pays a leaver's stake to its staker, once, by anyone, also in Desert.
    function takeBack(address validator) external {
        Validator storage entry = validatorOf[validator];
        uint64 from = entry.leavesAt;
        if (from == 0 || block.timestamp < from || entry.stakeGwei == 0) revert NotYet(validator, from);
        uint256 amount = uint256(entry.stakeGwei) * 1 gwei;
        entry.stakeGwei = 0;
        emit StakeReturned(validator, entry.staker, amount);
        (bool done,) = entry.staker.call{value: amount}("");
        if (!done) revert PaymentFailed(entry.staker, amount);
    }

    /// Accepts a batch certificate for the Rollup, which made the digest: the set of `epoch` signed, and names its
    /// successor.
    function acceptBatch(
        uint64 epoch,
        bytes32 nextSetHash,
        bytes32 digest,
        bytes calldata set,
        bytes calldata signatures
    ) external {
        if (msg.sender != address(rollup)) revert NotRollup(msg.sender);
        _checkCertificate(epoch, digest, set, signatures);
        _name(epoch + 1, nextSetHash);
    }

    /// Accepts a decided block of an epoch that shows the set of the next, by anyone: `protocol::handover` in bytes. For
    /// epochs in which no batch ended. `core` and `bid` are the encodings that the block's id covers (`bid`: an option, one
    /// zero byte for none), `round` is where it was decided.
    function handOver(
        uint64 circuitVersion,
        bytes calldata core,
        bytes calldata bid,
        uint32 round,
        bytes calldata set,
        bytes calldata signatures
    ) external {
        (uint64 epoch, bytes32 next, bytes32 digest) = _decided(circuitVersion, core, bid, round);
        _checkCertificate(epoch, digest, set, signatures);
        if (epochs[epoch + 1].setHash == 0) _name(epoch + 1, next);
    }

    /// What a validator's key signs to register: `keccak256(abi.encode("QUORATE/settlement/registration/v1", chain id,
    /// registry, staker, key))`.
    function registrationDigest(address staker, address validator) public view returns (bytes32) {
        return
            keccak256(abi.encode("QUORATE/settlement/registration/v1", block.chainid, address(this), staker, validator));
    }

    /// Until when certificates of an epoch are taken, in seconds; the largest number while the next has not begun.
    function epochEnds(uint64 epoch) public view returns (uint64) {
        uint64 began = epochs[epoch + 1].beganAt;
        return began == 0 ? type(uint64).max : began + handoverSeconds;
    }

    /// The hash of a set of at most 100 seats of 28 bytes.
    function setHash(bytes calldata set) external pure returns (bytes32) {
        return Quorum.setHash(set);
    }

    function _checkCertificate(uint64 epoch, bytes32 digest, bytes calldata set, bytes calldata signatures) private {
        bytes32 given = Quorum.setHash(set);
        bytes32 expected = epochs[epoch].setHash;
        if (given != expected) revert WrongSet(epoch, given, expected);
        if (block.timestamp > epochEnds(epoch)) revert EpochOver(epoch, epochEnds(epoch));
        Quorum.check(digest, set, signatures);
        if (epochs[epoch].beganAt == 0) {
            epochs[epoch].beganAt = uint64(block.timestamp);
            emit EpochBegan(epoch);
        }
    }

    /// What a block says of its epoch and the next, and the digest of precommits for it.
    function _decided(uint64 circuitVersion, bytes calldata core, bytes calldata bid, uint32 round)
        private
        view
        returns (uint64 epoch, bytes32 next, bytes32 digest)
    {
        // chain id 8, height 8, epoch 8, next set hash 32, ..; integers are little-endian
        if (core.length < 56) revert BrokenCore(core.length);
        uint64 height = _littleEndian(core[8:16]);
        epoch = _littleEndian(core[16:24]);
        if (epoch != epochOf(height)) revert WrongEpoch(epoch, height);
        next = bytes32(core[24:56]);
        bytes32 id = keccak256(
            abi.encodePacked(
                "QUORATE/protocol/block/v1", keccak256(abi.encodePacked("QUORATE/protocol/core/v1", core)), bid
            )
        );
        uint256 precommit = 2;
        digest = keccak256(
            abi.encode("QUORATE/protocol/vote/v1", rollup.domainOf(circuitVersion), height, round, precommit, id)
        );
    }

    function _name(uint64 epoch, bytes32 hash) private {
        if (hash == 0) revert Zero();
        if (epochs[epoch].setHash == hash) return;
        epochs[epoch].setHash = hash;
        emit SetNamed(epoch, hash);
    }

    function _ownEntry(address validator) private view returns (Validator storage entry) {
        entry = validatorOf[validator];
        if (entry.staker != msg.sender) revert NotStaker(msg.sender, entry.staker);
    }

    /// The stake in gwei with `amount` wei more.
    function _gwei(uint256 amount, uint64 stakeGwei) private pure returns (uint64) {
        if (amount % 1 gwei != 0) revert NotWholeGwei(amount);
        uint256 sum = uint256(stakeGwei) + amount / 1 gwei;
        // a hundred of the largest stakes are a total weight that sets allow: `protocol::epoch::STAKE_MAX`
        if (sum > type(uint64).max / 3 / VALIDATORS_MAX) revert StakeTooLarge(sum);
        return uint64(sum);
    }

    function _littleEndian(bytes calldata eight) private pure returns (uint64 value) {
        for (uint256 i = 8; i > 0; --i) {
            value = (value << 8) | uint8(eight[i - 1]);
        }
    }
}
