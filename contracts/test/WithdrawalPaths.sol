// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Paths in the tree of withdrawals, made a second, plain way: level by level.
library WithdrawalPaths {
    /// Siblings of withdrawal `index` among `all` of a batch, from the leaf up.
    function pathOf(uint64 batch, bytes memory all, uint256 index) internal pure returns (bytes32[] memory path) {
        bytes32[] memory level = new bytes32[](all.length / 62);
        for (uint256 i = 0; i < level.length; ++i) {
            level[i] = keccak256(abi.encodePacked(uint8(0), uint256(batch), i, cut(all, i)));
        }
        uint256 depth = 0;
        while (1 << depth < level.length) ++depth;
        path = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            path[i] = index ^ 1 < level.length ? level[index ^ 1] : bytes32(0);
            level = above(level);
            index /= 2;
        }
    }

    /// The words of withdrawal `index`.
    function cut(bytes memory all, uint256 index) internal pure returns (bytes memory part) {
        part = new bytes(62);
        for (uint256 i = 0; i < 62; ++i) {
            part[i] = all[index * 62 + i];
        }
    }

    function above(bytes32[] memory level) private pure returns (bytes32[] memory parents) {
        parents = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < parents.length; ++i) {
            bytes32 right = 2 * i + 1 < level.length ? level[2 * i + 1] : bytes32(0);
            parents[i] = keccak256(abi.encodePacked(uint8(1), level[2 * i], right));
        }
    }
}
