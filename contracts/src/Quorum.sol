// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {VALIDATORS_MAX} from "./Params.sol";

/// Weighted sets and the signatures of more than two thirds of them (`protocol::validator::set`, `protocol::certificate`;
/// review finding M6). Pure: a set comes as calldata and is known by its hash.
library Quorum {
    /// Bytes of a seat: address (20), weight (8, big-endian).
    uint256 internal constant SEAT_BYTES = 28;
    /// Bytes of a signer: seat (1), r (32), s (32), recovery id (1).
    uint256 internal constant SIGNER_BYTES = 66;
    /// Half the order of secp256k1, rounded down: the largest s that is accepted.
    uint256 internal constant S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    error BrokenSet(uint256 length);
    error BrokenSignatures(uint256 length);
    error SignerOrder(uint256 seat);
    error WrongSignature(uint256 seat);
    error NoQuorum(uint256 signed, uint256 total);

    /// `keccak256(abi.encode("QUORATE/protocol/validator_set/v1", address, weight, address, weight, ..))`.
    function setHash(bytes calldata set) internal pure returns (bytes32 hash) {
        uint256 seats = set.length / SEAT_BYTES;
        if (set.length % SEAT_BYTES != 0 || seats == 0 || seats > VALIDATORS_MAX) revert BrokenSet(set.length);
        // offset of the string, two words a seat, its length, its 33 bytes in two words
        uint256[] memory words = new uint256[](2 * seats + 4);
        words[0] = 32 * (2 * seats + 1);
        for (uint256 seat = 0; seat < seats; ++seat) {
            (address validator, uint64 weight) = seatOf(set, seat);
            words[2 * seat + 1] = uint160(validator);
            words[2 * seat + 2] = weight;
        }
        words[2 * seats + 1] = 33;
        words[2 * seats + 2] = uint256(bytes32("QUORATE/protocol/validator_set/v"));
        words[2 * seats + 3] = uint256(bytes32("1"));
        assembly ("memory-safe") {
            hash := keccak256(add(words, 32), mul(mload(words), 32))
        }
    }

    /// Refuses unless seats of more than two thirds of the weight signed `digest`, each once.
    function check(bytes32 digest, bytes calldata set, bytes calldata signatures) internal pure {
        uint256 seats = set.length / SEAT_BYTES;
        uint256 total = 0;
        for (uint256 seat = 0; seat < seats; ++seat) {
            (, uint64 weight) = seatOf(set, seat);
            total += weight;
        }
        if (signatures.length % SIGNER_BYTES != 0) revert BrokenSignatures(signatures.length);
        uint256 signed = 0;
        uint256 next = 0; // lowest seat that may come
        for (uint256 place = 0; place < signatures.length; place += SIGNER_BYTES) {
            uint256 seat = uint8(signatures[place]);
            if (seat < next || seat >= seats) revert SignerOrder(seat);
            next = seat + 1;
            (address validator, uint64 weight) = seatOf(set, seat);
            if (recover(digest, signatures[place + 1:place + SIGNER_BYTES]) != validator) revert WrongSignature(seat);
            signed += weight;
        }
        if (3 * signed <= 2 * total) revert NoQuorum(signed, total);
    }

    /// Who signed `digest`: 65 bytes r, s, recovery id (0 or 1). Never zero: what is malformed, or has a second spelling,
    /// reverts.
    function recover(bytes32 digest, bytes calldata signature) internal pure returns (address signer) {
        if (signature.length != 65) revert BrokenSignatures(signature.length);
        uint8 id = uint8(signature[64]);
        bytes32 s = bytes32(signature[32:64]);
        if (id > 1 || uint256(s) > S_MAX) revert BrokenSignatures(signature.length);
        signer = ecrecover(digest, 27 + id, bytes32(signature[:32]), s);
        if (signer == address(0)) revert BrokenSignatures(signature.length);
    }

    /// One load: the address in the high 20 bytes, the weight in the next 8. The caller checks that there is such a seat.
    function seatOf(bytes calldata set, uint256 seat) private pure returns (address validator, uint64 weight) {
        uint256 word;
        assembly ("memory-safe") {
            word := calldataload(add(set.offset, mul(seat, SEAT_BYTES)))
        }
        validator = address(uint160(word >> 96));
        weight = uint64(word >> 32);
    }
}
