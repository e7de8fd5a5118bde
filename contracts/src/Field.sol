// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// BN254's scalar field and the polynomials that batches' words are (protocol.md, "Data words").
library Field {
    /// p: every root, counter and public input is below it, and nothing is ever reduced but a keccak hash.
    uint256 internal constant P = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    /// An integer that is not below p where a field element is needed.
    error NotCanonical(uint256 value);

    /// Refuses what is not below p (review finding H9).
    function check(uint256 value) internal pure {
        if (value >= P) revert NotCanonical(value);
    }

    /// A hash as a big-endian integer, reduced mod p: how the protocol makes field elements of hashes.
    function reduce(bytes32 hash) internal pure returns (uint256) {
        return uint256(hash) % P;
    }

    /// `y <- y z + w` over words of 31 bytes, big-endian, first word highest, mod p.
    /// @dev Leading zero words do not change y: callers bind the number of words (review finding C2). The length must
    /// be a multiple of 31; a load reads one byte more than a word, which the shift drops.
    function evaluate(bytes calldata words, uint256 z) internal pure returns (uint256 y) {
        assembly ("memory-safe") {
            let modulus := P
            let end := add(words.offset, words.length)
            for { let at := words.offset } lt(at, end) { at := add(at, 31) } {
                y := addmod(mulmod(y, z, modulus), shr(8, calldataload(at)), modulus)
            }
        }
    }
}
