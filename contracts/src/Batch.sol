// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Field} from "./Field.sol";

/// What a committer states of a batch (protocol.md, "Commit and prove"); field order is that of the signed digest.
struct Header {
    /// One above the last committed one; the first batch is 1.
    uint64 batchNumber;
    /// State root before; below p, as all field elements here.
    uint256 rootBefore;
    /// State root after.
    uint256 rootAfter;
    /// leaf_count | height << 64 | inbox_count << 128 before; the height is that of the last published block.
    uint256 countersBefore;
    /// The same after.
    uint256 countersAfter;
    /// Accumulator over all words.
    uint256 h;
    /// Signed operations in the batch.
    uint64 signedOps;
    /// Epoch of the last block: its set signs.
    uint64 epoch;
    /// Hash of the set of the epoch after.
    bytes32 nextSetHash;
    /// Timestamp of the base-layer block that the last block refers to, in seconds.
    uint64 l1OriginTime;
    /// Circuits that prove the batch.
    uint64 circuitVersion;
}

/// The three sequences of 31-byte words, each as its bytes.
struct Words {
    /// Operation slots and extension words.
    bytes ops;
    /// Two words per withdrawal.
    bytes withdrawals;
    /// Five words per consumed inbox item.
    bytes inbox;
}

/// keccak256 of the three sequences.
struct WordHashes {
    bytes32 ops;
    bytes32 withdrawals;
    bytes32 inbox;
}

/// More than two thirds of a set's weight signed a batch. A batch without one has no signatures and zeros.
struct Certificate {
    /// Height of the batch's last block, published or empty.
    uint64 lastHeight;
    /// Id of that block.
    bytes32 lastBlock;
    /// The set: 28 bytes a seat, address (20) and weight (8, big-endian), ascending by address.
    bytes validators;
    /// 66 bytes a signer, ascending by seat: seat (1), r (32), s (32), recovery id 0 or 1 (1).
    bytes signatures;
}

/// What the contract remembers of a batch, as one hash: all public inputs but prover_id, in their order, then what
/// proving and claiming need. The base layer stores keccak256(abi.encode(this)).
struct StoredBatch {
    /// Chain, contract, parameters, circuit version.
    uint256 domain;
    /// As in the header.
    uint256 batchNumber;
    uint256 rootBefore;
    uint256 rootAfter;
    uint256 countersBefore;
    uint256 countersAfter;
    uint256 h;
    /// Point of evaluation.
    uint256 z;
    /// The sequences at z.
    uint256 yOps;
    uint256 yWithdrawals;
    uint256 yInbox;
    /// n_ops + 2^64 n_withdrawals + 2^128 n_inbox + 2^192 signed_ops, in words.
    uint256 wordCounts;
    /// Root of the withdrawals' tree.
    bytes32 withdrawalRoot;
    /// When it was committed, in seconds.
    uint64 commitTime;
    /// Circuits that prove it.
    uint64 circuitVersion;
}

/// Hashes that the protocol defines over batches; no state.
library Batch {
    /// `keccak256(abi.encode("QUORATE/protocol/domain/v1", chainid, rollup, params_hash, circuit_version)) mod p`.
    function domain(address rollup, bytes32 paramsHash, uint64 circuitVersion) internal view returns (uint256) {
        return Field.reduce(
            keccak256(abi.encode("QUORATE/protocol/domain/v1", block.chainid, rollup, paramsHash, circuitVersion))
        );
    }

    /// keccak256 of each sequence.
    function hashes(Words calldata words) internal pure returns (WordHashes memory) {
        return WordHashes(keccak256(words.ops), keccak256(words.withdrawals), keccak256(words.inbox));
    }

    /// What validators sign: `BatchCommitment::digest` of `protocol::checkpoint`.
    function digest(
        uint256 ofDomain,
        Header calldata header,
        WordHashes memory hashed,
        uint64 lastHeight,
        bytes32 lastBlock
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode("QUORATE/protocol/checkpoint/v1", ofDomain, header, hashed, lastHeight, lastBlock));
    }

    /// The challenge z: all that is evaluated is hashed into it, and nothing of it may be set afterwards.
    function challenge(StoredBatch memory batch, WordHashes memory hashed) internal pure returns (uint256) {
        return Field.reduce(
            keccak256(
                abi.encode(
                    "QUORATE/protocol/data/v1", batch.domain, batch.batchNumber, batch.h, batch.wordCounts, hashed
                )
            )
        );
    }

    /// The thirteen public inputs of the final proof, in the order of the instance.
    function publicInputs(StoredBatch calldata batch, address prover)
        internal
        pure
        returns (uint256[13] memory inputs)
    {
        assembly ("memory-safe") {
            calldatacopy(inputs, batch, 384) // the first twelve fields are the first twelve inputs
        }
        inputs[12] = uint160(prover);
    }

    /// The leaf count in a counters word.
    function leafCount(uint256 counters) internal pure returns (uint64) {
        return uint64(counters);
    }

    /// The height of the last published block in a counters word.
    function height(uint256 counters) internal pure returns (uint64) {
        return uint64(counters >> 64);
    }

    /// The number of consumed inbox items in a counters word.
    function inboxCount(uint256 counters) internal pure returns (uint64) {
        return uint64(counters >> 128);
    }
}
