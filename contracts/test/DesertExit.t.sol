// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {StoredBatch} from "../src/Batch.sol";
import {Bridge} from "../src/Bridge.sol";
import {DesertExit, Leaf} from "../src/DesertExit.sol";
import {Field} from "../src/Field.sol";
import {TREE_LEVELS} from "../src/Params.sol";
import {StateTree} from "./StateTree.sol";
import {Stage} from "./Stage.sol";
import {Moody, Token} from "./Tokens.sol";

/// The way out without anybody's help (protocol-review.md H7).
contract DesertExitTest is Stage {
    Leaf[] private leaves;
    StateTree private tree;
    Token private token;

    /// Six leaves of genesis, on funded escrow: ETH and one token.
    function setUp() public override {
        vm.warp(1_700_000_000);
        for (uint256 i = 0; i < 6; ++i) {
            leaves.push(
                Leaf({
                    keyX: uint256(keccak256(abi.encode("x", i))) % Field.P,
                    keyY: uint256(keccak256(abi.encode("y", i))) % Field.P,
                    l1Owner: address(uint160(0x1000 + i)),
                    token: uint32(i % 2),
                    nonce: uint40(i * 7),
                    balance: uint120((i + 1) * 1 ether),
                    lockUntil: i == 3 ? type(uint64).max : 0 // locked for ever, which Desert ignores
                })
            );
        }
        deploy(1, 0);
        tree = StateTree(createTest("StateTree.sol:StateTree", abi.encode(poseidon)));
        deploy(tree.rootOf(leaves), 6);
        token = new Token();
        bridge.registerToken(address(token));
        token.mint(address(this), 12 ether);
        token.approve(address(bridge), 12 ether);
        bridge.fund{value: 9 ether}(0, 9 ether);
        bridge.fund(1, 12 ether);
    }

    function test_H7_every_leaf_leaves_and_the_vault_ends_at_zero() public {
        desert();
        for (uint32 i = 0; i < 6; ++i) {
            vm.prank(BOB); // whoever calls
            desertExit.exit(i, leaves[i], tree.siblings(leaves, i));
            address owner = leaves[i].l1Owner;
            equal(i % 2 == 0 ? owner.balance : token.balanceOf(owner), uint256(i + 1) * 1 ether, "paid");
        }
        equal(bridge.escrow(0), 0, "no ETH is left");
        equal(bridge.escrow(1), 0, "no token is left");
        equal(address(bridge).balance, 0, "to the wei");
    }

    function test_H7_a_leaf_leaves_once() public {
        desert();
        desertExit.exit(2, leaves[2], tree.siblings(leaves, 2));
        isTrue(desertExit.isExited(2), "flag");
        uint256[3][TREE_LEVELS] memory path = tree.siblings(leaves, 2);
        vm.expectRevert(abi.encodeWithSelector(DesertExit.AlreadyExited.selector, 2));
        desertExit.exit(2, leaves[2], path);
    }

    function test_H7_only_in_desert() public {
        uint256[3][TREE_LEVELS] memory path = tree.siblings(leaves, 2);
        vm.expectRevert(DesertExit.NotDesert.selector);
        desertExit.exit(2, leaves[2], path);
        vm.expectRevert(DesertExit.NotDesert.selector);
        desertExit.refund(0, new bytes(155));
    }

    function test_H7_every_field_and_sibling_is_bound() public {
        desert();
        uint256[3][TREE_LEVELS] memory path = tree.siblings(leaves, 2);
        for (uint256 field = 0; field < 7; ++field) {
            Leaf memory other = leaves[2];
            if (field == 0) other.keyX ^= 1;
            if (field == 1) other.keyY ^= 1;
            if (field == 2) other.l1Owner = BOB;
            if (field == 3) other.token ^= 1;
            if (field == 4) other.nonce += 1;
            if (field == 5) other.balance += 1;
            if (field == 6) other.lockUntil += 1;
            refuse(2, other, path);
        }
        refuse(1, leaves[2], path);
        refuse(3, leaves[2], path);
        for (uint256 level = 0; level < TREE_LEVELS; ++level) {
            path[level][level % 3] ^= 1;
            refuse(2, leaves[2], path);
            path[level][level % 3] ^= 1;
        }
        desertExit.exit(2, leaves[2], path);
    }

    /// Field elements have one spelling: a value and the same plus p are not two leaves.
    function test_H9_nothing_is_reduced() public {
        desert();
        uint256[3][TREE_LEVELS] memory path = tree.siblings(leaves, 2);
        Leaf memory other = leaves[2];
        other.keyX += Field.P;
        vm.expectRevert(abi.encodeWithSelector(Field.NotCanonical.selector, other.keyX));
        desertExit.exit(2, other, path);
        path[4][1] += Field.P;
        vm.expectRevert(abi.encodeWithSelector(Field.NotCanonical.selector, path[4][1]));
        desertExit.exit(2, leaves[2], path);
    }

    function test_H7_places_beyond_the_leaf_count_hold_nothing() public {
        desert();
        uint256[3][TREE_LEVELS] memory path = tree.siblings(leaves, 2);
        vm.expectRevert(abi.encodeWithSelector(DesertExit.NoSuchLeaf.selector, 6));
        desertExit.exit(6, leaves[2], path);
        vm.expectRevert(abi.encodeWithSelector(DesertExit.NoSuchLeaf.selector, type(uint32).max));
        desertExit.exit(type(uint32).max, leaves[2], path);
    }

    /// Deposits and fees that no proven batch consumed go back; those of a proven one do not, those of an unproven do.
    function test_H7_unconsumed_items_are_refunded_exactly() public {
        deposit(ALICE, 1 ether);
        finish(randomWords(1, 1), "", 1);
        deposit(ALICE, 2 ether);
        commit(certify(draft(randomWords(1, 2), "", 1), 3)); // never proven
        forceExit(BOB, 1, 1);
        token.mint(ALICE, 50);
        vm.prank(ALICE);
        token.approve(address(bridge), 50);
        depositToken(ALICE, 1, 50);
        desert();
        vm.expectRevert(abi.encodeWithSelector(DesertExit.WasConsumed.selector, 0));
        desertExit.refund(0, itemWords[0]);
        (uint256 alice, uint256 bob) = (ALICE.balance, BOB.balance);
        desertExit.refund(1, itemWords[1]);
        equal(ALICE.balance, alice + 2 ether + FEE_BASE, "deposit and fee");
        vm.expectRevert(abi.encodeWithSelector(DesertExit.AlreadyRefunded.selector, 1));
        desertExit.refund(1, itemWords[1]);
        desertExit.refund(2, itemWords[2]);
        equal(BOB.balance, bob + FEE_BASE, "a forced operation has a fee only");
        vm.expectRevert(abi.encodeWithSelector(DesertExit.WrongItem.selector, 3));
        desertExit.refund(3, itemWords[1]);
        vm.expectRevert(abi.encodeWithSelector(DesertExit.WrongItem.selector, 3));
        desertExit.refund(3, abi.encodePacked(itemWords[3], uint8(0)));
        desertExit.refund(3, itemWords[3]);
        equal(token.balanceOf(ALICE), 50, "tokens");
        vm.expectRevert();
        desertExit.refund(4, itemWords[3]);
    }

    function test_H7_claims_of_proven_batches_stay_open() public {
        deposit(ALICE, 5 ether);
        bytes memory one = withdrawalWords(BOB, 0, 0, 1 ether);
        finish(randomWords(1, 1), one, 1);
        deposit(ALICE, 1 ether);
        desert();
        uint256 before = BOB.balance;
        bridge.claim(1, 0, one, new bytes32[](0));
        equal(BOB.balance, before + 1 ether, "paid");
    }

    function test_an_owner_that_refuses_payment_can_be_paid_later() public {
        Moody moody = new Moody();
        leaves[2].l1Owner = address(moody);
        setUpTree();
        desert();
        uint256[3][TREE_LEVELS] memory path = tree.siblings(leaves, 2);
        vm.expectRevert(abi.encodeWithSelector(Bridge.TransferFailed.selector, 0, address(moody), 3 ether));
        desertExit.exit(2, leaves[2], path);
        desertExit.exit(0, leaves[0], tree.siblings(leaves, 0));
        moody.open();
        desertExit.exit(2, leaves[2], path);
    }

    function test_miswired_deployments_are_refused() public {
        bytes memory wrong = abi.encode(rollup, inbox, bridge, poseidon);
        vm.expectRevert(DesertExit.Miswired.selector);
        this.attempt("DesertExit", wrong);
        wrong = abi.encode(rollup, bridge, FEE_BASE);
        vm.expectRevert();
        this.attempt("Inbox", wrong);
    }

    function attempt(string memory artifact, bytes memory arguments) external {
        create(artifact, arguments);
    }

    function setUpTree() private {
        deploy(tree.rootOf(leaves), 6);
        bridge.fund{value: 9 ether}(0, 9 ether);
    }

    /// Silence until Desert. If nothing waits, a deposit is made to wait for, and undone.
    function desert() private {
        bool isEmpty = inbox.waiting() == 0;
        if (isEmpty) deposit(ALICE, 0.5 ether);
        vm.warp(block.timestamp + DESERT + 1);
        rollup.triggerDesert();
        uint64 last = inbox.count() - 1;
        if (isEmpty) desertExit.refund(last, itemWords[last]);
    }

    function refuse(uint32 index, Leaf memory leaf, uint256[3][TREE_LEVELS] memory path) private {
        vm.expectPartialRevert(DesertExit.WrongRoot.selector);
        desertExit.exit(index, leaf, path);
    }
}
