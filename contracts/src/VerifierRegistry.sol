// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Events} from "./Events.sol";
import {Timelock} from "./Timelock.sol";

/// A verifier of final proofs: the thirteen public inputs of protocol.md, then the proof, which begins with the
/// accumulator's twelve limbs. It refuses any input or scalar of p or more and any missing or trailing byte.
interface IFinalVerifier {
    /// Whether the proof shows the inputs.
    function verify(uint256[13] calldata inputs, bytes calldata proof) external view returns (bool);
}

/// What is known of the verifier of one circuit version.
struct Verifier {
    /// The contract; zero for a version that does not exist.
    address code;
    /// Whether batches of this version are refused.
    bool isDisabled;
    /// keccak256 of the contract's code when it was added.
    bytes32 codeHash;
    /// Digest of the verifying key.
    bytes32 keyHash;
    /// Digest of the circuits' description.
    bytes32 circuitHash;
    /// Digest of the reference string.
    bytes32 referenceHash;
}

/// Verifiers by circuit version (settlement.md, "Contracts", row VerifierRegistry; review finding M12).
///
/// Append-only: a version never gets another verifier. Disabling one makes its unproven batches prunable and touches
/// nothing else: not claims, not the inbox, not Desert. The first version is the constructor's; later ones come through
/// the timelock. Verifiers are only ever called by `staticcall`, and only while they have the code they were added with.
contract VerifierRegistry is Events {
    /// Who adds and disables.
    Timelock public immutable timelock;

    mapping(uint64 version => Verifier) private verifiers;

    error NotTimelock(address caller);
    error NoCode(address verifier);
    error VersionTaken(uint64 version);
    error VersionUnknown(uint64 version);
    error VersionDisabled(uint64 version);
    error CodeChanged(address verifier);
    error NoConflict();

    modifier onlyTimelock() {
        if (msg.sender != address(timelock)) revert NotTimelock(msg.sender);
        _;
    }

    constructor(
        Timelock timelock_,
        uint64 version,
        address code,
        bytes32 keyHash,
        bytes32 circuitHash,
        bytes32 referenceHash
    ) {
        timelock = timelock_;
        _add(version, code, keyHash, circuitHash, referenceHash);
    }

    /// Gives a new version its verifier.
    function add(uint64 version, address code, bytes32 keyHash, bytes32 circuitHash, bytes32 referenceHash)
        external
        onlyTimelock
    {
        _add(version, code, keyHash, circuitHash, referenceHash);
    }

    /// Refuses batches of a version from now on.
    function disable(uint64 version) external onlyTimelock {
        _disable(version);
    }

    /// Refuses a version that is shown to be unsound, by anyone and at once: it accepts two proofs that agree on
    /// everything before and on all words, but not on the state after.
    function disableUnsound(
        uint64 version,
        uint256[13] calldata inputs,
        bytes calldata proof,
        uint256[13] calldata otherInputs,
        bytes calldata otherProof
    ) external {
        bool differ = false;
        for (uint256 i = 0; i < 12; ++i) {
            if (inputs[i] == otherInputs[i]) continue;
            if (i != 3 && i != 5) revert NoConflict(); // root_after and counters_after
            differ = true;
        }
        if (!differ || !verify(version, inputs, proof) || !verify(version, otherInputs, otherProof)) {
            revert NoConflict();
        }
        _disable(version);
    }

    /// Whether the proof of a batch of this version holds. Reverts if there is no usable verifier.
    function verify(uint64 version, uint256[13] calldata inputs, bytes calldata proof) public view returns (bool) {
        Verifier storage verifier = verifiers[version];
        address code = verifier.code;
        if (code == address(0)) revert VersionUnknown(version);
        if (verifier.isDisabled) revert VersionDisabled(version);
        if (code.codehash != verifier.codeHash) revert CodeChanged(code);
        return IFinalVerifier(code).verify(inputs, proof);
    }

    /// Whether batches of this version are taken.
    function isActive(uint64 version) external view returns (bool) {
        Verifier storage verifier = verifiers[version];
        return verifier.code != address(0) && !verifier.isDisabled;
    }

    /// What is known of a version.
    function verifierOf(uint64 version) external view returns (Verifier memory) {
        return verifiers[version];
    }

    function _add(uint64 version, address code, bytes32 keyHash, bytes32 circuitHash, bytes32 referenceHash) private {
        if (code.code.length == 0) revert NoCode(code);
        if (verifiers[version].code != address(0)) revert VersionTaken(version);
        verifiers[version] = Verifier(code, false, code.codehash, keyHash, circuitHash, referenceHash);
        emit VerifierAdded(version, code, code.codehash, keyHash, circuitHash, referenceHash);
    }

    function _disable(uint64 version) private {
        Verifier storage verifier = verifiers[version];
        if (verifier.code == address(0)) revert VersionUnknown(version);
        if (verifier.isDisabled) revert VersionDisabled(version);
        verifier.isDisabled = true;
        emit VerifierDisabled(version);
    }
}
