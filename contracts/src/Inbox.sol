// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bridge} from "./Bridge.sol";
import {Events, Mode} from "./Events.sol";
import {Field} from "./Field.sol";
import {INBOX_PER_BATCH_MAX, Timing} from "./Params.sol";
import {Rollup} from "./Rollup.sol";

/// Operations that enter through the base layer, in order (protocol.md, "Inbox operations"; settlement.md, row Inbox).
///
/// An item is five words of 31 bytes, laid out as in `protocol::inbox`, low bits first; spare bits are zero. Its
/// authority is `msg.sender`, written into word 1. Items are never changed or removed. `rolling(i + 1) =
/// keccak256(rolling(i), 155 bytes of item i)`, from zero. Not upgradeable, never paused, closed in Desert only.
///
/// A flood costs more the longer it lasts: the fee doubles with every sixteenth of the queue that is full, at most
/// {queueMax} items wait for a proof, and deposits may fill half of it. A sender's whole `msg.value` beyond a deposit is
/// the fee, so that a margin over a quote is not lost to a revert; whoever proves the item earns it.
contract Inbox is Events {
    struct Item {
        /// rolling hash after the item.
        bytes32 rolling;
        /// When it was enqueued, in seconds.
        uint64 time;
        /// Fees of all items up to and with this one, in wei.
        uint128 feesTotal;
    }

    /// Type numbers of `protocol::inbox::InboxKind`.
    uint256 public constant DEPOSIT = 1;
    uint256 public constant FORCED_TRANSFER = 2;
    uint256 public constant FORCED_TRANSFER_TO_NEW = 3;
    uint256 public constant FORCED_WITHDRAW = 4;
    uint256 public constant FORCED_CHANGE_KEY = 5;
    uint256 public constant FORCED_EXIT = 6;
    /// Steps in which the fee doubles until the queue is full.
    uint64 public constant FEE_STEPS = 16;

    /// Whose batches consume items.
    Rollup public immutable rollup;
    /// Who holds what is deposited.
    Bridge public immutable bridge;
    /// Items that may wait for a proof: what half of `enforced` seconds drains at one full batch per proof time.
    uint64 public immutable queueMax;
    /// Fee of an item while the queue is nearly empty, in wei.
    uint128 public immutable feeBaseWei;

    Item[] private items;

    error Miswired();
    error InDesert();
    error QueueFull(uint64 waiting);
    error FeeTooLow(uint256 paid, uint256 fee);
    error ZeroAmount();
    error ZeroOwner();
    error AmountTooLarge(uint256 amount);
    error NotRollup(address caller);

    /// What goes into an item; unused fields are zero.
    struct Request {
        uint256 kind;
        uint32 from;
        uint32 to;
        uint32 token;
        uint256 amount;
        address l1Owner;
        uint256 keyX;
        uint256 keyY;
    }

    constructor(Rollup rollup_, Bridge bridge_, uint128 feeBaseWei_) {
        if (address(rollup_.inbox()) != address(this) || address(bridge_.inbox()) != address(this)) revert Miswired();
        // a full queue must not ask for more than _checkFee takes
        if (uint256(feeBaseWei_) << FEE_STEPS > type(uint64).max) revert AmountTooLarge(feeBaseWei_);
        Timing memory timing = rollup_.timing();
        rollup = rollup_;
        bridge = bridge_;
        feeBaseWei = feeBaseWei_;
        uint64 batches = timing.enforced / 2 / timing.proofTime;
        queueMax = uint64(INBOX_PER_BATCH_MAX) * (batches == 0 ? 1 : batches);
    }

    /// Deposits `amount` base units of a token: credits leaf `to` if it is live with this token and l1_owner, else makes
    /// a new leaf with this l1_owner and key ((0, 0) for none). Of a token that takes a fee on transfers, what arrives
    /// counts. ETH is token 0 and part of `msg.value`.
    function deposit(uint32 token, uint256 amount, uint32 to, address l1Owner, uint256 keyX, uint256 keyY)
        external
        payable
        returns (uint64 number)
    {
        if (l1Owner == address(0)) revert ZeroOwner();
        if (token == 0 && msg.value < amount) revert FeeTooLow(msg.value, amount + fee());
        uint256 paid = msg.value - (token == 0 ? amount : 0);
        _checkFee(paid);
        uint256 received = bridge.takeDeposit{value: msg.value}(token, msg.sender, amount);
        if (received == 0) revert ZeroAmount();
        return _append(Request(DEPOSIT, 0, to, token, received, l1Owner, keyX, keyY), paid, queueMax / 2);
    }

    /// Moves `amount` from leaf `from`, whose l1_owner is the sender, to leaf `to`.
    function forceTransfer(uint32 from, uint32 to, uint32 token, uint256 amount) external payable returns (uint64) {
        return _force(Request(FORCED_TRANSFER, from, to, token, amount, address(0), 0, 0));
    }

    /// Moves `amount` from leaf `from` to a new leaf with this l1_owner and key.
    function forceTransferToNew(uint32 from, uint32 token, uint256 amount, address l1Owner, uint256 keyX, uint256 keyY)
        external
        payable
        returns (uint64)
    {
        if (l1Owner == address(0)) revert ZeroOwner();
        return _force(Request(FORCED_TRANSFER_TO_NEW, from, 0, token, amount, l1Owner, keyX, keyY));
    }

    /// Pays `amount` of leaf `from` to its l1_owner, the sender.
    function forceWithdraw(uint32 from, uint32 token, uint256 amount) external payable returns (uint64) {
        return _force(Request(FORCED_WITHDRAW, from, 0, token, amount, address(0), 0, 0));
    }

    /// Replaces the key of leaf `from`; (0, 0) is the null key, which never signs.
    function forceChangeKey(uint32 from, uint32 token, uint256 keyX, uint256 keyY) external payable returns (uint64) {
        return _force(Request(FORCED_CHANGE_KEY, from, 0, token, 0, address(0), keyX, keyY));
    }

    /// Pays all of leaf `from` to its l1_owner, the sender.
    function forceExit(uint32 from, uint32 token) external payable returns (uint64) {
        return _force(Request(FORCED_EXIT, from, 0, token, 0, address(0), 0, 0));
    }

    /// Credits the fees of items `from` up to and without `to` to who proved them.
    function creditFees(uint64 from, uint64 to, address prover) external {
        if (msg.sender != address(rollup)) revert NotRollup(msg.sender);
        bridge.creditFees(prover, _feesBefore(to) - _feesBefore(from));
    }

    /// Items ever enqueued.
    function count() public view returns (uint64) {
        return uint64(items.length);
    }

    /// Items that no proven batch has consumed.
    function waiting() public view returns (uint64) {
        return count() - rollup.provenInboxCount();
    }

    /// What an item costs now, in wei, beside what is deposited.
    function fee() public view returns (uint256) {
        return uint256(feeBaseWei) << (uint256(waiting()) * FEE_STEPS / queueMax);
    }

    /// Rolling hash after the first `number` items.
    function rollingAt(uint64 number) external view returns (bytes32) {
        return number == 0 ? bytes32(0) : items[number - 1].rolling;
    }

    /// When item `number` (from 0) was enqueued, in seconds.
    function timeOf(uint64 number) external view returns (uint64) {
        return items[number].time;
    }

    /// Fee paid for item `number` (from 0), in wei.
    function feeOf(uint64 number) external view returns (uint256) {
        return items[number].feesTotal - _feesBefore(number);
    }

    function _feesBefore(uint64 number) private view returns (uint128) {
        return number == 0 ? 0 : items[number - 1].feesTotal;
    }

    function _force(Request memory request) private returns (uint64) {
        _checkFee(msg.value);
        bridge.takeFee{value: msg.value}();
        return _append(request, msg.value, queueMax);
    }

    function _checkFee(uint256 paid) private view {
        if (paid < fee()) revert FeeTooLow(paid, fee());
        if (paid > type(uint64).max) revert AmountTooLarge(paid); // 18 ETH: a slip, and the total stays far below 2^128
    }

    /// Checks the queue last: a token that is deposited may have enqueued items of its own by then.
    function _append(Request memory request, uint256 paid, uint64 limit) private returns (uint64 number) {
        if (waiting() >= limit) revert QueueFull(waiting());
        if (rollup.mode() == Mode.Desert) revert InDesert();
        bytes memory words = encode(request, msg.sender);
        number = count();
        bytes32 before = number == 0 ? bytes32(0) : items[number - 1].rolling;
        items.push(
            Item(
                keccak256(abi.encodePacked(before, words)), uint64(block.timestamp), _feesBefore(number) + uint128(paid)
            )
        );
        emit ItemEnqueued(number, msg.sender, words, uint64(block.timestamp), paid);
    }

    /// The five words of a request, 155 bytes.
    function encode(Request memory request, address owner) public pure returns (bytes memory) {
        if (request.amount >> 120 != 0) revert AmountTooLarge(request.amount);
        Field.check(request.keyX);
        Field.check(request.keyY);
        uint256 head = request.kind | (uint256(request.from) << 4) | (uint256(request.to) << 36)
            | (uint256(request.token) << 68) | (request.amount << 100);
        uint256 newOwner = uint160(request.l1Owner) | ((request.keyX >> 248) << 160) | ((request.keyY >> 248) << 166);
        return abi.encodePacked(
            uint248(head),
            uint248(uint160(owner)),
            uint248(newOwner),
            uint248(request.keyX), // the low 248 bits
            uint248(request.keyY)
        );
    }
}
