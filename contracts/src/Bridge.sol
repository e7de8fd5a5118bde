// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Events} from "./Events.sol";
import {BALANCE_LIMIT, WITHDRAWAL_BYTES} from "./Params.sol";
import {Rollup} from "./Rollup.sol";
import {WithdrawalTree} from "./WithdrawalTree.sol";

/// The part of ERC-20 that is used.
interface IERC20 {
    function balanceOf(address account) external view returns (uint256);
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// All money of the rollup but stakes (protocol.md, "Commit and prove"; settlement.md, row Bridge).
///
/// Escrow is counted per token and stays below 2^120, so that no credit on the rollup can overflow, and a bad token
/// harms its own holders only. ETH is token 0. Withdrawals of proven batches are pulled, once each, by anyone, for
/// ever; a payment that fails reverts alone and stays owed. One lock covers everything that calls a token or an owner.
/// Not upgradeable, never paused. What is burned on the rollup stays here, owed to nobody.
contract Bridge is Events {
    /// Which batches are proven.
    Rollup public immutable rollup;
    /// Who takes deposits and fees.
    address public immutable inbox;
    /// Who pays leaves of the last state in Desert.
    address public immutable desertExit;

    /// Base units held per token and owed to leaves, withdrawals, waiting deposits, or nobody.
    mapping(uint32 token => uint256) public escrow;
    /// Fees of inbox items that are not paid out, in wei; beside the escrow of ETH.
    uint256 public feesHeld;
    /// Fees that a prover may claim, in wei.
    mapping(address prover => uint256) public feeCredit;
    /// Number of a token's address; 0 if it has none.
    mapping(address token => uint32) public tokenId;

    address[] private tokens;
    mapping(uint64 batchNumber => mapping(uint256 word => uint256)) private claimed;
    bool private transient locked;

    error NotInbox(address caller);
    error NotDesertExit(address caller);
    error Reentered();
    error NotAToken(address token);
    error TokenTaken(address token);
    error UnknownToken(uint32 token);
    error WrongValue(uint256 value, uint256 expected);
    error EscrowFull(uint32 token, uint256 escrow);
    error NotProven(uint64 batchNumber);
    error AlreadyClaimed(uint64 batchNumber, uint256 index);
    error WrongPath(bytes32 root);
    error BrokenWithdrawal(uint256 length);
    error TransferFailed(uint32 token, address to, uint256 amount);
    error NothingToClaim(address prover);

    modifier locking() {
        if (locked) revert Reentered();
        locked = true;
        _;
        locked = false;
    }

    modifier onlyInbox() {
        if (msg.sender != inbox) revert NotInbox(msg.sender);
        _;
    }

    modifier onlyDesertExit() {
        if (msg.sender != desertExit) revert NotDesertExit(msg.sender);
        _;
    }

    constructor(Rollup rollup_, address inbox_, address desertExit_) {
        rollup = rollup_;
        inbox = inbox_;
        desertExit = desertExit_;
        tokens.push(address(0));
    }

    /// Gives an ERC-20 contract the next token number, by anyone: numbers are never changed, and whoever deposits a
    /// token trusts that token alone.
    function registerToken(address token) external returns (uint32 id) {
        if (token.code.length == 0) revert NotAToken(token);
        if (tokenId[token] != 0) revert TokenTaken(token);
        if (tokens.length > type(uint32).max) revert UnknownToken(type(uint32).max);
        id = uint32(tokens.length);
        tokens.push(token);
        tokenId[token] = id;
        emit TokenRegistered(id, token);
    }

    /// Adds to the escrow of a token without an inbox item: what the balances of genesis stand on.
    function fund(uint32 token, uint256 amount) external payable locking {
        if (msg.value != (token == 0 ? amount : 0)) revert WrongValue(msg.value, amount);
        _take(token, msg.sender, amount);
    }

    /// Takes a deposit from `from`, and the rest of `msg.value` as a fee. Returns what arrived, in base units.
    function takeDeposit(uint32 token, address from, uint256 amount)
        external
        payable
        onlyInbox
        locking
        returns (uint256 received)
    {
        feesHeld += msg.value - (token == 0 ? amount : 0);
        return _take(token, from, amount);
    }

    /// Takes the fee of a forced operation.
    function takeFee() external payable onlyInbox {
        feesHeld += msg.value;
    }

    /// Owes fees that were taken, in wei, to a prover.
    function creditFees(address prover, uint256 amount) external onlyInbox {
        feeCredit[prover] += amount;
    }

    /// Pays a prover its fees.
    function claimFees(address prover) external locking {
        uint256 amount = feeCredit[prover];
        if (amount == 0) revert NothingToClaim(prover);
        feeCredit[prover] = 0;
        feesHeld -= amount;
        emit FeesClaimed(prover, amount);
        _send(0, prover, amount);
    }

    /// Pays withdrawal `index` (from 0) of a proven batch to its owner, once, by anyone. `words` are its two words, 62
    /// bytes: owner 160 | token 32 | leaf 32 from the low bits up, then the amount; `path` its siblings from the leaf up.
    function claim(uint64 batchNumber, uint256 index, bytes calldata words, bytes32[] calldata path) external locking {
        if (words.length != WITHDRAWAL_BYTES) revert BrokenWithdrawal(words.length);
        if (batchNumber > rollup.provenCount()) revert NotProven(batchNumber);
        bytes32 root = WithdrawalTree.climb(WithdrawalTree.leaf(batchNumber, index, words), index, path);
        if (root != rollup.withdrawalRoot(batchNumber)) revert WrongPath(root);
        if (isClaimed(batchNumber, index)) revert AlreadyClaimed(batchNumber, index);
        claimed[batchNumber][index / 256] |= 1 << (index % 256);
        uint256 head = uint248(bytes31(words[:31]));
        address owner = address(uint160(head));
        uint32 token = uint32(head >> 160);
        uint256 amount = uint248(bytes31(words[31:]));
        emit WithdrawalClaimed(batchNumber, index, owner, token, amount);
        _pay(token, owner, amount);
    }

    /// Pays out of escrow in Desert, in base units.
    function payExit(uint32 token, address to, uint256 amount) external onlyDesertExit locking {
        _pay(token, to, amount);
    }

    /// Pays back the fee of an item that was never consumed, in wei.
    function payFee(address to, uint256 amount) external onlyDesertExit locking {
        feesHeld -= amount;
        _send(0, to, amount);
    }

    /// Whether a withdrawal was paid.
    function isClaimed(uint64 batchNumber, uint256 index) public view returns (bool) {
        return claimed[batchNumber][index / 256] >> (index % 256) & 1 == 1;
    }

    /// Address of a token; zero for ETH.
    function tokenOf(uint32 token) public view returns (address) {
        if (token >= tokens.length) revert UnknownToken(token);
        return tokens[token];
    }

    /// Token numbers given, with ETH's.
    function tokenCount() external view returns (uint256) {
        return tokens.length;
    }

    /// Base units that should be here, and that are.
    function solvency(uint32 token) external view returns (uint256 owed, uint256 held) {
        address code = tokenOf(token);
        owed = escrow[token];
        if (token == 0) return (owed + feesHeld, address(this).balance);
        return (owed, IERC20(code).balanceOf(address(this)));
    }

    /// Counts what really arrives, and keeps the escrow below its bound.
    function _take(uint32 token, address from, uint256 amount) private returns (uint256 received) {
        address code = tokenOf(token);
        received = amount;
        if (token != 0) {
            uint256 before = IERC20(code).balanceOf(address(this));
            _call(token, code, abi.encodeCall(IERC20.transferFrom, (from, address(this), amount)), from, amount);
            received = IERC20(code).balanceOf(address(this)) - before;
        }
        uint256 total = escrow[token] + received;
        if (total >= BALANCE_LIMIT) revert EscrowFull(token, total);
        escrow[token] = total;
        emit EscrowFunded(token, from, received);
    }

    function _pay(uint32 token, address to, uint256 amount) private {
        escrow[token] -= amount; // reverts if more is asked than is there
        _send(token, to, amount);
    }

    function _send(uint32 token, address to, uint256 amount) private {
        if (token == 0) {
            (bool done,) = to.call{value: amount}("");
            if (!done) revert TransferFailed(token, to, amount);
        } else {
            _call(token, tokenOf(token), abi.encodeCall(IERC20.transfer, (to, amount)), to, amount);
        }
    }

    /// Calls a token; it may answer nothing or true.
    function _call(uint32 token, address code, bytes memory data, address who, uint256 amount) private {
        (bool done, bytes memory answer) = code.call(data);
        bool isTrue = answer.length == 0 ? code.code.length != 0 : answer.length >= 32 && uint256(bytes32(answer)) == 1;
        if (!done || !isTrue) revert TransferFailed(token, who, amount);
    }
}
