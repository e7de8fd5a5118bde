// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IPoseidon4, Leaf} from "../src/DesertExit.sol";
import {TREE_LEVELS} from "../src/Params.sol";

/// A second, plain way to the root of a small state tree, for tests: up to 16 leaves, everything else empty.
contract StateTree {
    IPoseidon4 private immutable poseidon;
    /// Roots of empty subtrees; [0] is the empty leaf.
    uint256[TREE_LEVELS + 1] private empty;

    constructor(IPoseidon4 poseidon_) {
        poseidon = poseidon_;
        for (uint256 level = 0; level < TREE_LEVELS; ++level) {
            uint256 below = empty[level];
            empty[level + 1] = poseidon_.hash([below, below, below, below]);
        }
    }

    function leafHash(Leaf memory leaf) public view returns (uint256) {
        uint256 meta = uint160(leaf.l1Owner) + uint256(leaf.token) * 2 ** 160 + uint256(leaf.nonce) * 2 ** 192;
        return poseidon.hash([leaf.keyX, leaf.keyY, meta, leaf.balance + uint256(leaf.lockUntil) * 2 ** 120]);
    }

    function rootOf(Leaf[] memory leaves) external view returns (uint256 root) {
        (, root) = levels(leaves);
    }

    /// Siblings of a leaf at each level, in ascending position.
    function siblings(Leaf[] memory leaves, uint32 index) external view returns (uint256[3][TREE_LEVELS] memory path) {
        (uint256[16][2] memory low,) = levels(leaves);
        for (uint256 level = 0; level < TREE_LEVELS; ++level) {
            uint256 own = index >> (2 * level);
            uint256 next = 0;
            for (uint256 place = 0; place < 4; ++place) {
                uint256 sibling = (own & ~uint256(3)) + place;
                if (sibling == own) continue;
                uint256 width = level == 0 ? 16 : 4;
                path[level][next++] = level < 2 && sibling < width ? low[level][sibling] : empty[level];
            }
        }
    }

    /// The two lowest levels, and the root.
    function levels(Leaf[] memory leaves) private view returns (uint256[16][2] memory low, uint256 root) {
        require(leaves.length <= 16, "at most 16 leaves");
        for (uint256 i = 0; i < leaves.length; ++i) {
            low[0][i] = leafHash(leaves[i]);
        }
        for (uint256 i = 0; i < 4; ++i) {
            low[1][i] = poseidon.hash([low[0][4 * i], low[0][4 * i + 1], low[0][4 * i + 2], low[0][4 * i + 3]]);
        }
        root = poseidon.hash([low[1][0], low[1][1], low[1][2], low[1][3]]);
        for (uint256 level = 2; level < TREE_LEVELS; ++level) {
            root = poseidon.hash([root, empty[level], empty[level], empty[level]]);
        }
    }
}
