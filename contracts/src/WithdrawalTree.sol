// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {WITHDRAWAL_BYTES} from "./Params.sol";

/// The keccak Merkle tree over one batch's withdrawals (protocol.md, "Commit and prove").
///
/// leaf = keccak256(0x00, batch number (32 bytes, big-endian), index (32 bytes, big-endian), words (62 bytes));
/// node = keccak256(0x01, left, right). A level with an odd number of nodes is filled up with one zero word. The root of
/// one leaf is that leaf, of none zero. Leaves and nodes cannot be confused, and a leaf names its batch and index, so
/// the length of a path needs no bound beyond what its index has bits for.
library WithdrawalTree {
    /// The leaf of a withdrawal, whose words are the first 62 bytes of `words`.
    function leaf(uint64 batchNumber, uint256 index, bytes calldata words) internal pure returns (bytes32) {
        return _leaf(batchNumber, index, words, 0);
    }

    /// The root over all withdrawals of a batch: `withdrawals` holds 62 bytes for each.
    function root(uint64 batchNumber, bytes calldata withdrawals) internal pure returns (bytes32) {
        uint256 count = withdrawals.length / WITHDRAWAL_BYTES;
        if (count == 0) return 0;
        bytes32[] memory nodes = new bytes32[](count + 1); // one more: the last level may need filling up
        for (uint256 i = 0; i < count; ++i) {
            nodes[i] = _leaf(batchNumber, i, withdrawals, i * WITHDRAWAL_BYTES);
        }
        while (count > 1) {
            if (count % 2 == 1) nodes[count] = 0;
            count = (count + 1) / 2;
            for (uint256 i = 0; i < count; ++i) {
                nodes[i] = node(nodes[2 * i], nodes[2 * i + 1]);
            }
        }
        return nodes[0];
    }

    /// The root that a path from `start` at `index` leads to; siblings from the leaf up.
    function climb(bytes32 start, uint256 index, bytes32[] calldata path) internal pure returns (bytes32 top) {
        top = start;
        for (uint256 i = 0; i < path.length; ++i) {
            top = (index >> i) & 1 == 0 ? node(top, path[i]) : node(path[i], top);
        }
    }

    function _leaf(uint64 batchNumber, uint256 index, bytes calldata words, uint256 offset)
        private
        pure
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            // 127 bytes at the free memory, which is not claimed
            let free := mload(0x40)
            mstore8(free, 0x00)
            mstore(add(free, 1), batchNumber)
            mstore(add(free, 33), index)
            calldatacopy(add(free, 65), add(words.offset, offset), WITHDRAWAL_BYTES)
            hash := keccak256(free, 127)
        }
    }

    function node(bytes32 left, bytes32 right) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            // 65 bytes at the free memory, which is not claimed
            let free := mload(0x40)
            mstore8(free, 0x01)
            mstore(add(free, 1), left)
            mstore(add(free, 33), right)
            hash := keccak256(free, 65)
        }
    }
}
