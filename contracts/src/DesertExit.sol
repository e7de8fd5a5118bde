// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "./Batch.sol";
import {Bridge} from "./Bridge.sol";
import {Events, Mode} from "./Events.sol";
import {Field} from "./Field.sol";
import {Inbox} from "./Inbox.sol";
import {ITEM_BYTES, TREE_LEVELS} from "./Params.sol";
import {Rollup} from "./Rollup.sol";

/// circomlib's Poseidon of four inputs (t = 5).
interface IPoseidon4 {
    function hash(uint256[4] calldata inputs) external pure returns (uint256);
}

/// One leaf of the state tree.
struct Leaf {
    /// Affine x of the key, below p.
    uint256 keyX;
    /// Affine y of the key, below p.
    uint256 keyY;
    /// Who is paid.
    address l1Owner;
    /// What is held.
    uint32 token;
    /// Signed operations so far.
    uint40 nonce;
    /// Base units held.
    uint120 balance;
    /// The leaf is locked up to this height; Desert ignores locks.
    uint64 lockUntil;
}

/// The way out when nobody proves any more (settlement.md, row DesertExit; review finding H7).
///
/// In Desert the Rollup never changes again, so its root and counters of the last proven batch are frozen. Each leaf
/// below leaf_count pays its l1_owner once, whoever calls; each item that no proven batch consumed gives its deposit
/// and its fee back, once. Claims of proven batches go on in the Bridge. Not upgradeable, no owner, no way back.
contract DesertExit is Events {
    Rollup public immutable rollup;
    Inbox public immutable inbox;
    Bridge public immutable bridge;
    IPoseidon4 public immutable poseidon;

    mapping(uint256 word => uint256) private exited;
    mapping(uint256 word => uint256) private refunded;

    error Miswired();
    error WrongPoseidon();
    error NotDesert();
    error NoSuchLeaf(uint32 index);
    error AlreadyExited(uint32 index);
    error WrongRoot(uint256 root);
    error WasConsumed(uint64 number);
    error AlreadyRefunded(uint64 number);
    error WrongItem(uint64 number);

    modifier inDesert() {
        if (rollup.mode() != Mode.Desert) revert NotDesert();
        _;
    }

    constructor(Rollup rollup_, Inbox inbox_, Bridge bridge_, IPoseidon4 poseidon_) {
        if (
            address(rollup_.inbox()) != address(inbox_) || address(inbox_.bridge()) != address(bridge_)
                || bridge_.desertExit() != address(this)
        ) revert Miswired();
        // circomlib's published Poseidon(1, 2, 3, 4)
        if (
            poseidon_.hash([uint256(1), 2, 3, 4])
                != 18821383157269793795438455681495246036402687001665670618754263018637548127333
        ) revert WrongPoseidon();
        rollup = rollup_;
        inbox = inbox_;
        bridge = bridge_;
        poseidon = poseidon_;
    }

    /// Pays leaf `index` to its l1_owner. `siblings`: three at each of the 16 levels, leaves first, in ascending position,
    /// the node itself left out.
    function exit(uint32 index, Leaf calldata leaf, uint256[3][TREE_LEVELS] calldata siblings) external inDesert {
        if (index >= Batch.leafCount(rollup.provenCounters())) revert NoSuchLeaf(index);
        if (isExited(index)) revert AlreadyExited(index);
        uint256 root = rootOf(index, leaf, siblings);
        if (root != rollup.provenRoot()) revert WrongRoot(root);
        exited[index / 256] |= 1 << (index % 256);
        emit LeafExited(index, leaf.l1Owner, leaf.token, leaf.balance);
        bridge.payExit(leaf.token, leaf.l1Owner, leaf.balance);
    }

    /// Undoes item `number` (from 0), which no proven batch consumed: its deposit, if it is one, and its fee go back to
    /// who sent it. `words` are the item's 155 bytes.
    function refund(uint64 number, bytes calldata words) external inDesert {
        if (number < Batch.inboxCount(rollup.provenCounters())) revert WasConsumed(number);
        if (isRefunded(number)) revert AlreadyRefunded(number);
        bytes32 rolling = keccak256(abi.encodePacked(inbox.rollingAt(number), words));
        if (words.length != ITEM_BYTES || rolling != inbox.rollingAt(number + 1)) revert WrongItem(number);
        refunded[number / 256] |= 1 << (number % 256);
        uint256 head = uint248(bytes31(words[:31]));
        address owner = address(uint160(uint248(bytes31(words[31:62]))));
        uint32 token = uint32(head >> 68);
        uint256 amount = head & 15 == inbox.DEPOSIT() ? uint120(head >> 100) : 0;
        uint256 fee = inbox.feeOf(number);
        emit ItemRefunded(number, owner, token, amount, fee);
        if (amount != 0) bridge.payExit(token, owner, amount);
        if (fee != 0) bridge.payFee(owner, fee);
    }

    /// Whether a leaf was paid out.
    function isExited(uint32 index) public view returns (bool) {
        return exited[index / 256] >> (index % 256) & 1 == 1;
    }

    /// Whether an item was undone.
    function isRefunded(uint64 number) public view returns (bool) {
        return refunded[number / 256] >> (number % 256) & 1 == 1;
    }

    /// `Poseidon(Ax, Ay, l1_owner | token << 160 | nonce << 192, balance | lock_until << 120)`.
    function leafHash(Leaf calldata leaf) public view returns (uint256) {
        Field.check(leaf.keyX);
        Field.check(leaf.keyY);
        uint256 meta = uint160(leaf.l1Owner) | (uint256(leaf.token) << 160) | (uint256(leaf.nonce) << 192);
        return poseidon.hash([leaf.keyX, leaf.keyY, meta, leaf.balance | (uint256(leaf.lockUntil) << 120)]);
    }

    /// The root of the tree in which `leaf` stands at `index` with these siblings: exactly 16 levels, position at level i
    /// the i-th base-4 digit of the index from the lowest.
    function rootOf(uint32 index, Leaf calldata leaf, uint256[3][TREE_LEVELS] calldata siblings)
        public
        view
        returns (uint256 node)
    {
        node = leafHash(leaf);
        for (uint256 level = 0; level < TREE_LEVELS; ++level) {
            uint256 place = (uint256(index) >> (2 * level)) & 3;
            uint256[4] memory children;
            for (uint256 i = 0; i < 3; ++i) {
                Field.check(siblings[level][i]);
                children[i < place ? i : i + 1] = siblings[level][i];
            }
            children[place] = node;
            node = poseidon.hash(children);
        }
    }
}
