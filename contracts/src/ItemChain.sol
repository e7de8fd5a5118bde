// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ITEM_BYTES} from "./Params.sol";

/// The rolling hash over inbox items (`protocol::inbox::InboxItem::rolling_hash`).
library ItemChain {
    /// `rolling <- keccak256(rolling, 155 bytes)` for each item; the length of `items` is a multiple of 155.
    function fold(bytes32 start, bytes calldata items) internal pure returns (bytes32 rolling) {
        rolling = start;
        assembly ("memory-safe") {
            // 187 bytes at the free memory, which is not claimed
            let free := mload(0x40)
            let end := add(items.offset, items.length)
            for { let item := items.offset } lt(item, end) { item := add(item, ITEM_BYTES) } {
                mstore(free, rolling)
                calldatacopy(add(free, 32), item, ITEM_BYTES)
                rolling := keccak256(free, add(32, ITEM_BYTES))
            }
        }
    }
}
