// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// What the conformance suite asks of a chain: storage, logs, reverts and the block's own values.
/// Compiled once into Probe.hex; the command is in compile.sh.
contract Probe {
    event Stored(uint256 indexed slot, uint256 value);

    error Refused(uint256 why);

    function store(uint256 slot, uint256 value) external {
        assembly {
            sstore(slot, value)
        }
        emit Stored(slot, value);
    }

    function load(uint256 slot) external view returns (uint256 value) {
        assembly {
            value := sload(slot)
        }
    }

    function refuse() external pure {
        revert Refused(7);
    }

    function seen() external view returns (uint256, uint256, uint256, bytes32) {
        return (block.number, block.timestamp, block.chainid, blockhash(block.number - 1));
    }
}
